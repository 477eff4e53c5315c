//! Facts × criteria → how a look came out. Pure: no clock, no I/O; knows no plan and no schedule.
//!
//! Order: action error → no-data rule → `reject` → `pass` and `any` → `warn` → the rest fails (or is inconclusive when
//! `reject` is given). Lists combine by three-valued logic ([`combine`]). What an action implies (a `run` exits with 0)
//! must hold for a warning too: nobody who asks for less coverage asks for failing tests.

mod sampler;

pub use sampler::{Next, Sampler};

use crate::criteria::{Criterion, Evidence, evaluate};
use crate::facts::{Facts, Inspected, Value};
use crate::outcome::{Cause, CriterionResult, State, Tier, WaiverMark};

/// How a list of criteria combines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Logic {
    /// All must hold.
    All,
    /// One must hold.
    Any,
}

/// Combines states by three-valued logic. What decides beats what is unknown: one `fail` fails a list of which all
/// must hold, one `pass` passes a list of which one must; otherwise an error beats an inconclusive. Of an empty list
/// all hold, and none does.
#[must_use]
pub fn combine(logic: Logic, states: impl IntoIterator<Item = State>) -> State {
    let (decides, rest) = match logic {
        Logic::All => (State::Fail, State::Pass),
        Logic::Any => (State::Pass, State::Fail),
    };
    let strength = |state: State| match state {
        state if state == decides => 3,
        state if state == rest => 0,
        State::Inconclusive => 1,
        _ => 2,
    };
    states.into_iter().fold(rest, |a, b| if strength(b) > strength(a) { b } else { a })
}

/// How one look came out.
#[derive(Clone, Debug, PartialEq)]
pub struct Judged {
    /// How.
    pub state: State,
    /// Why, unless it passed.
    pub cause: Option<Cause>,
    /// One sentence: the criterion that decides, with expected and actual.
    pub detail: Option<String>,
    /// Every criterion, in the order given, also where an earlier rule decided.
    pub criteria: Vec<CriterionResult>,
    /// It does not pass only because of criteria over all looks that further looks may still turn.
    pub may_recover: bool,
}

/// Judges one look. `allow_empty` is the reason that lets an empty look through; `action_error` says that the action
/// could not look, or was ended.
#[must_use]
pub fn look(
    criteria: &[Criterion],
    evidence: &Evidence<'_>,
    locate: &dyn Fn(&Criterion) -> String,
    allow_empty: Option<&str>,
    action_error: Option<(&Cause, &str)>,
) -> Judged {
    let results = criteria.iter().map(|c| evaluate(c, evidence, locate(c))).collect();
    settled(criteria, results, &evidence.facts.inspected, allow_empty, action_error)
}

/// As [`look`], of criteria whose results are there already, in the same order.
#[must_use]
pub fn settled(
    criteria: &[Criterion],
    mut results: Vec<CriterionResult>,
    inspected: &Inspected,
    allow_empty: Option<&str>,
    action_error: Option<(&Cause, &str)>,
) -> Judged {
    let decided = |state, cause, detail: String, criteria| Judged {
        state,
        cause: Some(cause),
        detail: Some(detail),
        criteria,
        may_recover: false,
    };
    if let Some((cause, detail)) = action_error {
        return decided(error_state(cause), cause.clone(), detail.to_owned(), results);
    }
    if inspected.count == 0 {
        let Some(reason) = allow_empty else {
            return decided(State::Error, Cause::NoData, nothing_inspected(inspected), results);
        };
        for result in results.iter_mut().filter(|r| r.state == State::Error) {
            result.state = if result.tier == Tier::Reject { State::Fail } else { State::Pass };
            result.note = Some(format!("nothing to look at, allowed: {reason}"));
        }
    }
    let (state, cause, decider) = tiers(&results);
    let detail = decider.map(|at| sentence(&results[at]));
    let open = |(c, r): (&Criterion, &CriterionResult)| {
        r.state == State::Pass || matches!(r.tier, Tier::Warn | Tier::Reject) || c.may_recover()
    };
    let may_recover = matches!(state, State::Fail | State::Inconclusive)
        && cause != Some(Cause::Rejected)
        && criteria.iter().zip(&results).all(open);
    Judged { state, cause, detail, criteria: results, may_recover }
}

/// What is said of a look that found nothing to look at.
#[must_use]
pub fn nothing_inspected(inspected: &Inspected) -> String {
    let what = if inspected.what.is_empty() { "thing" } else { &inspected.what };
    format!("nothing was inspected: not one {what} (say `allow_empty = \"reason\"` if that is fine)")
}

/// What the results of all criteria of a look come to by themselves: state, cause, and the sentence about the one that
/// decides.
#[must_use]
pub fn follows(results: &[CriterionResult]) -> (State, Option<Cause>, Option<String>) {
    let (state, cause, decider) = tiers(results);
    (state, cause, decider.map(|at| sentence(&results[at])))
}

/// Whether all conditions of a step hold, and every result.
#[must_use]
pub fn when(
    criteria: &[Criterion],
    evidence: &Evidence<'_>,
    locate: &dyn Fn(&Criterion) -> String,
) -> (State, Vec<CriterionResult>) {
    let results: Vec<CriterionResult> = criteria.iter().map(|c| evaluate(c, evidence, locate(c))).collect();
    (combine(Logic::All, results.iter().map(|r| r.state)), results)
}

/// What an action error makes of a look: a process that crashed, a service that died or a wrong output is proven bad;
/// an interrupted look was never judged; anything else could not look.
fn error_state(cause: &Cause) -> State {
    match cause {
        Cause::Signal(_) | Cause::ServiceDied | Cause::OutputInvalid | Cause::SecretInOutput => State::Fail,
        Cause::Interrupted => State::NotRun,
        // What was seen does not decide, as the action knows.
        Cause::Undecided => State::Inconclusive,
        _ => State::Error,
    }
}

/// The state that the tiers give, with its cause and the criterion that decides.
fn tiers(results: &[CriterionResult]) -> (State, Option<Cause>, Option<usize>) {
    let of = |tier: Tier| results.iter().filter(move |r| r.tier == tier).map(|r| r.state);
    let first = |state: State, of: &[Tier]| results.iter().position(|r| r.state == state && of.contains(&r.tier));
    let has = |tier: Tier| results.iter().any(|r| r.tier == tier);

    let reject = combine(Logic::Any, of(Tier::Reject));
    if reject == State::Pass {
        return (State::Fail, Some(Cause::Rejected), first(State::Pass, &[Tier::Reject]));
    }
    let any = has(Tier::Any).then(|| combine(Logic::Any, of(Tier::Any)));
    let main = combine(Logic::All, of(Tier::Pass).chain(any));
    // A `reject` that could not be ruled out forbids a success.
    let unless_rejected = |state: State, decider: Option<usize>| match reject {
        State::Error => (State::Error, Some(Cause::ActionError), first(State::Error, &[Tier::Reject])),
        State::Inconclusive => (State::Inconclusive, Some(Cause::Undecided), first(reject, &[Tier::Reject])),
        _ => (state, (state != State::Pass).then_some(Cause::Criteria), decider),
    };
    let blamed = |state: State| first(state, &[Tier::Pass]).or_else(|| first(state, &[Tier::Any]));
    if main == State::Pass {
        return unless_rejected(State::Pass, None);
    }
    if main == State::Error {
        return (State::Error, Some(Cause::ActionError), blamed(State::Error));
    }
    if has(Tier::Warn) {
        let implied = results.iter().filter(|r| r.implied && r.tier == Tier::Pass).map(|r| r.state);
        match combine(Logic::All, of(Tier::Warn).chain(implied)) {
            State::Pass => return unless_rejected(State::Warn, blamed(main)),
            State::Error => return (State::Error, Some(Cause::ActionError), first(State::Error, &[Tier::Warn])),
            State::Inconclusive => {
                return (State::Inconclusive, Some(Cause::Undecided), first(State::Inconclusive, &[Tier::Warn]));
            }
            _ => {}
        }
    }
    match (main, reject) {
        (_, State::Error) => (State::Error, Some(Cause::ActionError), first(State::Error, &[Tier::Reject])),
        (State::Fail, _) if !has(Tier::Reject) => {
            let floor = first(State::Fail, &[Tier::Warn]);
            (State::Fail, Some(Cause::Criteria), floor.or_else(|| blamed(State::Fail)))
        }
        _ => (State::Inconclusive, Some(Cause::Undecided), blamed(main)),
    }
}

/// A gate that fails only because people have not signed yet waits for them, with this sentence.
pub fn wait_for_people(judged: &mut Judged, facts: &Facts) {
    let count = |name: &str| facts.values.get(name).is_some_and(|value| *value == Value::int(0));
    if judged.state == State::Fail && judged.cause == Some(Cause::Criteria) && count("rejected") && !count("missing") {
        judged.state = State::Pending;
        judged.cause = Some(Cause::Unsigned);
        if let Some(Value::Text(ask)) = facts.values.get("ask") {
            judged.detail = Some(ask.clone());
        }
    }
}

/// Marks the criteria that waivers cover and, where nothing else speaks against it, makes a failure by criteria a
/// warning: accepted, not good. A waiver that has expired is marked and changes nothing.
pub fn waive(judged: &mut Judged, waivers: &[(String, WaiverMark)]) {
    let speaks_against = |result: &CriterionResult| match result.tier {
        Tier::Reject => result.state == State::Pass,
        Tier::When => false,
        _ => result.state == State::Fail,
    };
    for result in judged.criteria.iter_mut().filter(|result| speaks_against(result)) {
        result.waiver = waivers.iter().find(|(text, _)| *text == result.text).map(|(_, mark)| mark.clone());
    }
    let by_criteria = matches!(judged.cause, None | Some(Cause::Criteria | Cause::Rejected | Cause::Undecided));
    if !by_criteria || !matches!(judged.state, State::Fail | State::Inconclusive) {
        return;
    }
    let mut told: Vec<String> = Vec::new();
    let mut accepted = judged.criteria.clone();
    for result in &mut accepted {
        let Some(mark) = &result.waiver else { continue };
        if mark.expired {
            told.push(format!("the waiver of `{}` by {} expired on {}", result.text, mark.owner, mark.expires));
            continue;
        }
        result.state = if result.tier == Tier::Reject { State::Fail } else { State::Pass };
    }
    let (state, ..) = tiers(&accepted);
    if state.is_success() {
        let waived = judged.criteria.iter().filter_map(|result| Some((result, result.waiver.as_ref()?)));
        let waived = waived.map(|(result, mark)| {
            let WaiverMark { owner, reason, expires, .. } = mark;
            format!("{}; waived by {owner} until {expires}: {reason}", sentence(result))
        });
        judged.detail = Some(waived.collect::<Vec<_>>().join("; "));
        (judged.state, judged.cause) = (State::Warn, Some(Cause::Waived));
    } else if !told.is_empty() {
        let before = judged.detail.take().map_or_else(String::new, |detail| format!("{detail}; "));
        judged.detail = Some(before + &told.join("; "));
    }
}

/// A result in one sentence.
#[must_use]
pub fn sentence(result: &CriterionResult) -> String {
    let CriterionResult { text, actual, margin, note, tier, state, .. } = result;
    let verb = match (state, tier) {
        (State::Pass, Tier::Reject) => "`reject` holds: ",
        _ => "",
    };
    let after = match (note, margin) {
        (Some(note), _) if actual == "no data" || actual == "absent" => return format!("{verb}`{text}`: {note}"),
        (Some(note), _) => format!(" ({note})"),
        (None, Some(margin)) => format!(", {margin}"),
        (None, None) => String::new(),
    };
    format!("{verb}`{text}`: was {actual}{after}")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::criteria::parse;
    use crate::facts::{Facts, Value};
    use crate::place::Place;

    const ALL: [State; 4] = [State::Pass, State::Fail, State::Inconclusive, State::Error];

    #[test]
    fn three_valued_logic_in_full() {
        for a in ALL {
            for b in ALL {
                let (all, any) = (combine(Logic::All, [a, b]), combine(Logic::Any, [a, b]));
                assert_eq!(all, combine(Logic::All, [b, a]));
                assert_eq!(any, combine(Logic::Any, [b, a]));
                let expected = |order: [State; 4]| *order.iter().find(|s| **s == a || **s == b).unwrap();
                assert_eq!(all, expected([State::Fail, State::Error, State::Inconclusive, State::Pass]), "{a} {b}");
                assert_eq!(any, expected([State::Pass, State::Error, State::Inconclusive, State::Fail]), "{a} {b}");
                for c in ALL {
                    for logic in [Logic::All, Logic::Any] {
                        let nested = combine(logic, [combine(logic, [a, b]), c]);
                        assert_eq!(nested, combine(logic, [a, combine(logic, [b, c])]));
                    }
                }
            }
        }
        assert_eq!(combine(Logic::All, []), State::Pass);
        assert_eq!(combine(Logic::Any, []), State::Fail);
    }

    /// Criteria on facts `n`: `pass`, `any`, `warn`, `reject` as text.
    fn judge(lists: &[(Tier, &str)], n: i32, allow: Option<&str>, inspected: u64) -> Judged {
        let mut facts = Facts::about(inspected, "test");
        facts.set("n", Value::int(n));
        let criteria: Vec<_> = lists.iter().map(|(tier, text)| parse(text, *tier, Place::default()).unwrap()).collect();
        let (steps, vars, env) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let evidence = Evidence {
            facts: &facts,
            samples: std::slice::from_ref(&facts),
            steps: &steps,
            vars: &vars,
            env: &env,
            ratchet: None,
            baseline: None,
            allow_no_baseline: None,
            now: 0,
        };
        look(&criteria, &evidence, &|_| "p:1:1".to_owned(), allow, None)
    }

    #[test]
    fn a_warning_needs_what_the_action_implies() {
        let judged = |exit: i32, n: i32| {
            let mut facts = Facts::about(1, "process");
            facts.set("exit", Value::int(exit));
            facts.set("n", Value::int(n));
            let mut criteria: Vec<_> = [(Tier::Pass, "exit == 0"), (Tier::Pass, "n >= 55"), (Tier::Warn, "n >= 32")]
                .map(|(tier, text)| parse(text, tier, Place::default()).unwrap())
                .into();
            criteria[0].implied = true;
            let (steps, vars, env) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
            let evidence = Evidence {
                facts: &facts,
                samples: &[],
                steps: &steps,
                vars: &vars,
                env: &env,
                ratchet: None,
                baseline: None,
                allow_no_baseline: None,
                now: 0,
            };
            look(&criteria, &evidence, &|_| String::new(), None, None)
        };
        assert_eq!(judged(0, 40).state, State::Warn);
        assert_eq!(judged(0, 60).state, State::Pass);
        let failed = judged(2, 40);
        assert_eq!((failed.state, failed.detail.as_deref()), (State::Fail, Some("`exit == 0`: was 2")));
        assert_eq!(judged(2, 60).state, State::Fail);
    }

    #[test]
    fn tiers_in_order() {
        use Tier::{Any, Pass, Reject, Warn};
        let tiers = [(Pass, "n >= 55"), (Warn, "n >= 32")];
        assert_eq!(judge(&tiers, 60, None, 1).state, State::Pass);
        let warn = judge(&tiers, 40, None, 1);
        assert_eq!((warn.state, warn.cause), (State::Warn, Some(Cause::Criteria)));
        assert_eq!(warn.detail.as_deref(), Some("`n >= 55`: was 40, short by 15"));
        let fail = judge(&tiers, 10, None, 1);
        assert_eq!(fail.state, State::Fail);
        assert_eq!(fail.detail.as_deref(), Some("`n >= 32`: was 10, short by 22"));
        assert_eq!(fail.criteria.len(), 2);

        let grey = [(Pass, "n >= 55"), (Reject, "n < 10")];
        assert_eq!(judge(&grey, 60, None, 1).state, State::Pass);
        let grey_zone = judge(&grey, 40, None, 1);
        assert_eq!((grey_zone.state, grey_zone.cause), (State::Inconclusive, Some(Cause::Undecided)));
        let rejected = judge(&grey, 5, None, 1);
        assert_eq!((rejected.state, rejected.cause), (State::Fail, Some(Cause::Rejected)));
        assert!(rejected.detail.unwrap().starts_with("`reject` holds: `n < 10`"));

        let any = [(Pass, "n > 0"), (Any, "n == 3"), (Any, "n == 5")];
        assert_eq!(judge(&any, 5, None, 1).state, State::Pass);
        assert_eq!(judge(&any, 4, None, 1).state, State::Fail);
        assert_eq!(judge(&[(Pass, "missing == 1")], 1, None, 1).state, State::Error);
        assert_eq!(judge(&[(Pass, "n <= baseline")], 1, None, 1).state, State::Inconclusive);
        assert_eq!(judge(&[(Pass, "n <= baseline"), (Warn, "n < 9")], 1, None, 1).state, State::Warn);
        assert_eq!(judge(&[(Pass, "n == 1"), (Reject, "gone == 1")], 1, None, 1).state, State::Error);
        assert_eq!(judge(&[], 1, None, 1).state, State::Pass);
    }

    #[test]
    fn nothing_inspected_is_never_a_pass() {
        let none = judge(&[(Tier::Pass, "n == 1")], 1, None, 0);
        assert_eq!((none.state, none.cause), (State::Error, Some(Cause::NoData)));
        assert!(none.detail.unwrap().contains("not one test"));
        assert_eq!(judge(&[], 1, None, 0).state, State::Error);
        assert_eq!(judge(&[(Tier::Pass, "every(gone) == 1")], 1, Some("new project"), 0).state, State::Pass);
        assert_eq!(judge(&[(Tier::Reject, "some(gone) == 1")], 1, Some("new project"), 0).state, State::Pass);
        assert_eq!(judge(&[(Tier::Pass, "n == 2")], 1, Some("new project"), 0).state, State::Fail);
    }

    #[test]
    fn an_action_error_decides_and_keeps_the_criteria() {
        let facts = Facts::default();
        let (steps, vars, env) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let evidence = Evidence {
            facts: &facts,
            samples: &[],
            steps: &steps,
            vars: &vars,
            env: &env,
            ratchet: None,
            baseline: None,
            allow_no_baseline: None,
            now: 0,
        };
        let criteria = [parse("exit == 0", Tier::Pass, Place::default()).unwrap()];
        let judge = |cause: Cause| look(&criteria, &evidence, &|_| String::new(), None, Some((&cause, "why")));
        let timeout = judge(Cause::Timeout);
        assert_eq!((timeout.state, timeout.criteria.len()), (State::Error, 1));
        assert_eq!(judge(Cause::Signal("SIGSEGV".into())).state, State::Fail);
        assert_eq!(judge(Cause::Interrupted).state, State::NotRun);
        assert_eq!(judge(Cause::Undecided).state, State::Inconclusive);
    }
}
