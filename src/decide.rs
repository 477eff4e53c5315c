//! Step results, declared risks and sign-offs → GO, HOLD or NO-GO. Pure and exact; knows no plan, no clock and no output.
//!
//! `risk = ceil(100 · (1 - Π(1 - w·u)))`: `w` is the weight of a step or declared factor, `u` how much of it is open
//! (passed or left out by choice 0, warning ½, anything else 1). Vetoes come before the score.

use std::collections::BTreeMap;

use num_bigint::BigUint;

use crate::outcome::{Cause, Decision, RiskTerm, State, Verdict, Veto};
use crate::policy::{SignoffStanding, SignoffState};

/// What the decision needs to know of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepView {
    /// Its name.
    pub id: String,
    /// A failure forbids GO.
    pub required: bool,
    /// Runs last: it tidies up and proves nothing.
    pub finally: bool,
    /// How it ended.
    pub state: State,
    /// Why.
    pub cause: Option<Cause>,
    /// Weight in thousandths.
    pub weight_permille: u32,
}

/// Bounds of the risk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Up to this risk: GO.
    pub go: u32,
    /// From this risk on: NO-GO.
    pub no_go: u32,
}

/// Decides. `steps` are in plan-rank order; `risks` are the declared factors that apply, with weights in thousandths.
#[must_use]
pub fn decide(steps: &[StepView], policy: Policy, risks: &[(String, u32)], interrupted: bool) -> Decision {
    let by_id: BTreeMap<&str, &StepView> = steps.iter().map(|step| (step.id.as_str(), step)).collect();
    let (mut vetoes, mut holds, mut terms) = (Vec::new(), Vec::new(), Vec::new());
    for step in steps {
        let standing = Standing::of(step, &by_id);
        let unknown = standing.unknown_permille();
        if unknown > 0 {
            terms.push(RiskTerm {
                id: step.id.clone(),
                kind: "step".to_owned(),
                state: if step.cause == Some(Cause::Waived) { "waived" } else { step.state.word() }.to_owned(),
                weight_permille: step.weight_permille.min(1000),
                unknown_permille: unknown,
            });
        }
        let list = match standing {
            Standing::Bad(_) => &mut vetoes,
            Standing::Open(_) => &mut holds,
            Standing::Fine | Standing::Warned => continue,
        };
        if let (true, Standing::Bad(reason) | Standing::Open(reason)) = (step.required, standing) {
            list.push(Veto { id: step.id.clone(), reason });
        }
    }
    terms.extend(risks.iter().map(|(id, weight)| RiskTerm {
        id: id.clone(),
        kind: "declared".to_owned(),
        state: "open".to_owned(),
        weight_permille: (*weight).min(1000),
        unknown_permille: 1000,
    }));
    let risk = risk(&terms);
    let Policy { go, no_go } = policy;
    if risk >= no_go {
        vetoes.push(Veto { id: String::new(), reason: format!("risk {risk} is at or above {no_go} (no-go bound)") });
    } else if risk > go {
        holds.push(Veto { id: String::new(), reason: format!("risk {risk} is above {go} (go bound)") });
    }
    let judged = |step: &StepView| !step.finally && !matches!(step.state, State::Skipped | State::NotRun);
    if vetoes.is_empty() && steps.iter().any(|step| !step.finally) && !steps.iter().any(judged) {
        holds.push(Veto { id: String::new(), reason: "no step ran: nothing was judged".to_owned() });
    }
    if interrupted {
        holds.push(Veto { id: String::new(), reason: "the run was interrupted".to_owned() });
    }
    Decision { verdict: verdict(&vetoes, &holds), risk, go, no_go, vetoes, holds, terms }
}

/// Adds how the roles stand: a rejection is a veto, a sign-off that is missing or does not count a hold.
#[must_use]
pub fn with_signoffs(mut decision: Decision, standings: &[SignoffStanding]) -> Decision {
    for standing in standings {
        let SignoffStanding { role, who, reason, comment, .. } = standing;
        let who = who.as_deref().unwrap_or("somebody");
        let because = |text: &Option<String>| text.as_ref().map_or_else(String::new, |text| format!(": {text}"));
        let (list, reason) = match standing.state {
            SignoffState::Approved => continue,
            SignoffState::Missing => (&mut decision.holds, format!("the sign-off of `{role}` is missing")),
            SignoffState::Refused => {
                (&mut decision.holds, format!("the sign-off of `{role}` does not count{}", because(reason)))
            }
            SignoffState::Rejected => {
                (&mut decision.vetoes, format!("`{role}` ({who}) rejects it{}", because(comment)))
            }
        };
        list.push(Veto { id: String::new(), reason });
    }
    decision.verdict = verdict(&decision.vetoes, &decision.holds);
    decision
}

fn verdict(vetoes: &[Veto], holds: &[Veto]) -> Verdict {
    match (vetoes.is_empty(), holds.is_empty()) {
        (false, _) => Verdict::NoGo,
        (true, false) => Verdict::Hold,
        (true, true) => Verdict::Go,
    }
}

/// What a step's result means for the decision.
enum Standing {
    Fine,
    Warned,
    /// Not decided, with the reason.
    Open(String),
    /// Failed, went wrong or was never judged, with the reason.
    Bad(String),
}

impl Standing {
    fn of(step: &StepView, by_id: &BTreeMap<&str, &StepView>) -> Self {
        let why = |word: &str| step.cause.as_ref().map_or_else(|| word.to_owned(), |cause| format!("{word}: {cause}"));
        match step.state {
            State::Pass => Self::Fine,
            State::Warn => Self::Warned,
            State::Inconclusive => Self::Open(why("inconclusive")),
            State::Pending => Self::Open(why("pending")),
            State::Fail => Self::Bad(why("failed")),
            State::Error => Self::Bad(why("error")),
            State::NotRun => Self::Bad(why("not run")),
            State::Skipped => match root(step, by_id) {
                Root::Choice => Self::Fine,
                Root::Step(root) => {
                    let reason = format!("not run, blocked by `{}` ({})", root.id, root.state);
                    // What is open there is open here: waiting for evidence is no failure.
                    match root.state {
                        State::Inconclusive | State::Pending => Self::Open(reason),
                        _ => Self::Bad(reason),
                    }
                }
                Root::Unknown => Self::Bad(why("not run")),
            },
        }
    }

    /// `u` in thousandths.
    fn unknown_permille(&self) -> u32 {
        match self {
            Self::Fine => 0,
            Self::Warned => 500,
            Self::Open(_) | Self::Bad(_) => 1000,
        }
    }
}

/// What a skip goes back to.
enum Root<'a> {
    /// Somebody chose to leave it out (`when`, `run_when`, the command line).
    Choice,
    /// This step did not succeed.
    Step(&'a StepView),
    /// It can't be told: not safe.
    Unknown,
}

/// Follows the chain of skips to where it began.
fn root<'a>(step: &StepView, by_id: &BTreeMap<&str, &'a StepView>) -> Root<'a> {
    let mut cause = step.cause.as_ref();
    // A chain visits no step twice.
    for _ in 0..=by_id.len() {
        let blocker = match cause {
            Some(Cause::When(_) | Cause::RunWhen(_) | Cause::Filtered) => return Root::Choice,
            Some(Cause::NeedFailed(name) | Cause::NeedSkipped(name)) => by_id.get(name.as_str()),
            _ => return Root::Unknown,
        };
        match blocker {
            Some(blocker) if blocker.state == State::Skipped => cause = blocker.cause.as_ref(),
            Some(blocker) => return Root::Step(blocker),
            None => return Root::Unknown,
        }
    }
    Root::Unknown
}

/// `ceil(100 · (1 - Π(1 - w·u)))`, on integers.
fn risk(terms: &[RiskTerm]) -> u32 {
    const ONE: u64 = 1_000_000;
    let mut factors: BTreeMap<u64, u32> = BTreeMap::new();
    for term in terms {
        let open = u64::from(term.weight_permille.min(1000)) * u64::from(term.unknown_permille.min(1000));
        *factors.entry(ONE - open).or_default() += 1;
    }
    let (mut whole, mut left) = (BigUint::from(1u8), BigUint::from(1u8));
    for (factor, count) in factors {
        whole *= BigUint::from(ONE).pow(count);
        left *= BigUint::from(factor).pow(count);
    }
    let open = (&whole - left) * 100u8;
    let ceil = (open + &whole - 1u8) / whole;
    u32::try_from(ceil).unwrap_or(100)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{Just, Strategy, any, prop, prop_oneof, proptest};

    use super::*;

    const POLICY: Policy = Policy { go: 40, no_go: 70 };

    fn step(id: &str, required: bool, state: State, weight: u32) -> StepView {
        StepView { id: id.to_owned(), required, finally: false, state, cause: None, weight_permille: weight }
    }

    fn because(id: &str, state: State, cause: Cause) -> StepView {
        StepView { cause: Some(cause), ..step(id, true, state, 150) }
    }

    /// The decision over these steps and one that passed.
    fn of(steps: &[StepView]) -> Decision {
        let mut all = steps.to_vec();
        all.push(step("passed", true, State::Pass, 1));
        decide(&all, POLICY, &[], false)
    }

    #[test]
    fn nothing_judged_is_no_go_ahead() {
        let left_out = because("a", State::Skipped, Cause::Filtered);
        let tidied = StepView { finally: true, ..step("tidy", true, State::Pass, 1) };
        let decision = decide(&[left_out, tidied], POLICY, &[], false);
        assert_eq!(decision.verdict, Verdict::Hold);
        assert_eq!(decision.holds[0].reason, "no step ran: nothing was judged");
    }

    #[test]
    fn behind_an_undecided_step_everything_is_open() {
        let open = step("a", true, State::Inconclusive, 50);
        let behind = StepView { weight_permille: 50, ..because("b", State::Skipped, Cause::NeedFailed("a".into())) };
        assert_eq!(of(&[open, behind]).verdict, Verdict::Hold);
    }

    #[test]
    fn worked_examples() {
        let advisory = |list: &[(State, u32)]| {
            let steps: Vec<_> =
                list.iter().enumerate().map(|(i, (s, w))| step(&i.to_string(), false, *s, *w)).collect();
            let decision = of(&steps);
            (decision.risk, decision.verdict)
        };
        assert_eq!(advisory(&[(State::Warn, 350), (State::Fail, 150)]), (30, Verdict::Go));
        assert_eq!(advisory(&[(State::Fail, 350)]), (35, Verdict::Go));
        assert_eq!(advisory(&[(State::Fail, 350); 2]), (58, Verdict::Hold));
        assert_eq!(advisory(&[(State::Fail, 50); 5]), (23, Verdict::Go));
        assert_eq!(advisory(&[(State::Warn, 150); 2]), (15, Verdict::Go));
        assert_eq!(advisory(&[(State::Fail, 1000)]), (100, Verdict::NoGo));
        assert_eq!(advisory(&[(State::Pass, 1000)]), (0, Verdict::Go));
        assert_eq!(advisory(&[]), (0, Verdict::Go));
    }

    #[test]
    fn every_state_counts_and_vetoes_as_documented() {
        for (state, unknown, verdict) in [
            (State::Pass, 0, Verdict::Go),
            (State::Warn, 500, Verdict::Go),
            (State::Fail, 1000, Verdict::NoGo),
            (State::Error, 1000, Verdict::NoGo),
            (State::NotRun, 1000, Verdict::NoGo),
            (State::Inconclusive, 1000, Verdict::Hold),
            (State::Pending, 1000, Verdict::Hold),
        ] {
            let required = of(&[step("a", true, state, 50)]);
            assert_eq!(required.verdict, verdict, "{state}");
            assert_eq!(required.terms.first().map_or(0, |t| t.unknown_permille), unknown, "{state}");
            assert_eq!(of(&[step("a", false, state, 50)]).verdict, Verdict::Go, "{state}");
        }
    }

    #[test]
    fn skips_go_back_to_their_root() {
        let need = |name: &str| Cause::NeedSkipped(name.to_owned());
        let filtered = [because("a", State::Skipped, Cause::Filtered), because("b", State::Skipped, need("a"))];
        assert_eq!((of(&filtered).verdict, of(&filtered).risk), (Verdict::Go, 0));
        let failed = [
            step("a", false, State::Fail, 50),
            because("b", State::Skipped, Cause::NeedFailed("a".into())),
            because("c", State::Skipped, need("b")),
        ];
        let decision = of(&failed);
        assert_eq!(decision.verdict, Verdict::NoGo);
        let reasons: Vec<_> = decision.vetoes.iter().map(|v| v.reason.as_str()).collect();
        assert_eq!(reasons, ["not run, blocked by `a` (fail)", "not run, blocked by `a` (fail)"]);
        assert_eq!(decision.terms.len(), 3);
        let circle = [because("a", State::Skipped, need("b")), because("b", State::Skipped, need("a"))];
        assert_eq!(of(&circle).verdict, Verdict::NoGo);
        assert_eq!(of(&[because("a", State::Skipped, need("gone"))]).verdict, Verdict::NoGo);
        let stopped = of(&[because("z", State::NotRun, Cause::Stopped("a".into()))]);
        assert_eq!(stopped.vetoes[0].reason, "not run: not reached: `a` failed and stops the run");
    }

    #[test]
    fn declared_risks_and_interruption() {
        let decision = decide(&[], POLICY, &[("late".to_owned(), 410)], false);
        assert_eq!((decision.risk, decision.verdict, decision.terms[0].kind.as_str()), (41, Verdict::Hold, "declared"));
        assert_eq!(decide(&[], POLICY, &[], true).verdict, Verdict::Hold);
    }

    #[test]
    fn many_steps_stay_exact_and_quick() {
        let steps: Vec<_> = (0..20_000).map(|i| step(&i.to_string(), false, State::Fail, 1 + i % 3)).collect();
        assert_eq!(of(&steps).risk, 100);
    }

    #[test]
    fn sign_offs_hold_and_veto() {
        let standing = |role: &str, state| SignoffStanding { state, ..SignoffStanding::missing(role) };
        let go = of(&[]);
        let with = |list: &[SignoffStanding]| with_signoffs(go.clone(), list);
        assert_eq!(with(&[]).verdict, Verdict::Go);
        assert_eq!(with(&[standing("a", SignoffState::Approved)]).verdict, Verdict::Go);
        let held = with(&[standing("a", SignoffState::Approved), standing("b", SignoffState::Missing)]);
        assert_eq!((held.verdict, held.holds[0].reason.as_str()), (Verdict::Hold, "the sign-off of `b` is missing"));
        assert_eq!(with(&[standing("a", SignoffState::Refused)]).verdict, Verdict::Hold);
        let all = [SignoffState::Missing, SignoffState::Approved, SignoffState::Rejected].map(|s| standing("a", s));
        assert_eq!(with(&all).verdict, Verdict::NoGo);
    }

    #[test]
    fn a_waiver_counts_half_and_is_named() {
        let decision = of(&[StepView { cause: Some(Cause::Waived), ..step("a", true, State::Warn, 350) }]);
        assert_eq!((decision.verdict, decision.risk, decision.terms[0].state.as_str()), (Verdict::Go, 18, "waived"));
    }

    fn states() -> impl Strategy<Value = State> {
        prop_oneof![
            Just(State::Pass),
            Just(State::Warn),
            Just(State::Fail),
            Just(State::Inconclusive),
            Just(State::NotRun)
        ]
    }

    fn plans() -> impl Strategy<Value = Vec<StepView>> {
        prop::collection::vec((any::<bool>(), states(), 0u32..=1000), 0..30)
            .prop_map(|list| list.into_iter().enumerate().map(|(i, (r, s, w))| step(&i.to_string(), r, s, w)).collect())
    }

    proptest! {
        #[test]
        fn agrees_with_the_formula(steps in plans()) {
            let product: f64 = of(&steps).terms.iter()
                .map(|t| 1.0 - f64::from(t.weight_permille) * f64::from(t.unknown_permille) / 1e6).product();
            assert!((f64::from(of(&steps).risk) - (100.0 * (1.0 - product)).ceil()).abs() <= 1.0);
        }

        #[test]
        fn order_does_not_matter(mut steps in plans()) {
            let before = of(&steps);
            steps.reverse();
            assert_eq!((before.risk, before.verdict), (of(&steps).risk, of(&steps).verdict));
        }

        #[test]
        fn nothing_gets_better_by_failing(mut steps in plans(), pick in any::<prop::sample::Index>()) {
            if steps.is_empty() {
                return Ok(());
            }
            let before = of(&steps);
            let at = pick.index(steps.len());
            steps[at].state = State::Fail;
            let after = of(&steps);
            assert!(after.risk >= before.risk && after.verdict >= before.verdict);
        }

        #[test]
        fn a_pass_changes_nothing(mut steps in plans()) {
            let before = of(&steps);
            steps.push(step("more", true, State::Pass, 1000));
            assert_eq!(before, of(&steps));
        }
    }
}
