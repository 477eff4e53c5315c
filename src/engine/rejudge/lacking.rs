//! Which criteria can't be judged on what was recorded, and why. What is not known is never taken for good, nor for bad.

use crate::criteria::{Criterion, Evidence, Root, evaluate};
use crate::outcome::{CriterionResult, State};
use crate::plan::Step;

use super::{Court, Look, Recorded};

/// Why a criterion can't be judged whatever the step saw: it asks for the environment, which no journal holds.
pub(super) fn outside(criterion: &Criterion) -> Option<String> {
    criterion.roots().into_iter().find_map(|root| match root {
        Root::Env(name) => Some(format!("`env.{name}` was not recorded: values of the environment never are")),
        _ => None,
    })
}

impl Court<'_> {
    /// One criterion on one look: judged, or taken from the record where it can't be judged and stood there too, or
    /// undecided.
    pub(super) fn one(
        &self,
        step: &Step,
        recorded: &Recorded,
        criterion: &Criterion,
        look: &Look,
        evidence: &Evidence<'_>,
        lost: Option<&str>,
    ) -> CriterionResult {
        let place = self.shared.locate(criterion);
        let why = lost.map(str::to_owned).or_else(|| self.lack(step, recorded, criterion, look));
        let Some(why) = why else { return evaluate(criterion, evidence, place) };
        let then = look.criteria.iter().find(|then| then.tier == criterion.tier && then.text == criterion.text);
        match then {
            Some(then) if recorded.same_rules => CriterionResult { place, waiver: None, ..then.clone() },
            _ => {
                let judged = evaluate(criterion, evidence, place);
                CriterionResult {
                    state: State::Inconclusive,
                    against: None,
                    actual: "not recorded".to_owned(),
                    margin: None,
                    note: Some(why),
                    compared: None,
                    ..judged
                }
            }
        }
    }

    /// Why a criterion can't be judged on this look.
    fn lack(&self, step: &Step, recorded: &Recorded, criterion: &Criterion, look: &Look) -> Option<String> {
        if criterion.uses_ratchet() && !self.shared.options.ratchets.contains_key(&step.name) {
            return Some("what its ratchet asked for was not recorded".to_owned());
        }
        if criterion.uses_earlier_run()
            && let Some(why) = &recorded.baseline_lost
        {
            return Some(why.clone());
        }
        outside(criterion).or_else(|| {
            criterion.roots().into_iter().find_map(|root| match root {
                Root::Fact(fact) => own(recorded, look, &fact),
                Root::Step { name, fact } => self.of_another(&name, &fact),
                Root::Var(_) | Root::Env(_) => None,
            })
        })
    }

    /// Why a fact of another step is not known.
    fn of_another(&self, name: &str, fact: &str) -> Option<String> {
        let id = self.shared.find(name)?;
        if let Some(why) = self.over[id.index()].as_ref().and_then(|over| over.unknown.as_ref()) {
            return Some(format!("nothing is known of step `{name}`: {why}"));
        }
        let recorded = self.recorded.get(name)?;
        if matches!(fact, "state" | "outputs") {
            return None;
        }
        let look = recorded.attempts.last()?.looks.last()?;
        own(recorded, look, fact).map(|why| format!("{why} (step `{name}`)"))
    }
}

/// Why a fact is not there as it was seen. What was asked for then and is not there was absent.
fn own(recorded: &Recorded, look: &Look, fact: &str) -> Option<String> {
    if let Some(why) = look.impaired.get(fact) {
        return Some(format!("`{fact}` is not recorded whole: {why}"));
    }
    // A look that went wrong saw nothing at all: the rules for that hold.
    let there = look.facts.values.contains_key(fact) || look.facts.values.is_empty() || recorded.wanted.contains(fact);
    (!there).then(|| format!("`{fact}` was not recorded: no criterion asked for it then"))
}
