//! From the lines of a record to the decision: what a live run, `decide` and the reports share. Reads no file.

use crate::decide::{self, Policy, StepView};
use crate::outcome::{Cause, Decision, State};
use crate::policy::SignoffStanding;
use crate::record::project::{RunLine, StepLine};

/// The decision that a record leads to with these sign-offs. With a day, waivers that end before it count no longer.
pub(super) fn decision(
    run: &RunLine,
    steps: &[StepLine],
    day: Option<&str>,
    standings: &[SignoffStanding],
) -> Decision {
    of_views(run, &steps.iter().map(|line| view(line, day)).collect::<Vec<_>>(), standings)
}

/// The decision over steps as they count.
pub(super) fn of_views(run: &RunLine, views: &[StepView], standings: &[SignoffStanding]) -> Decision {
    let risks: Vec<(String, u32)> = run.risks.iter().map(|risk| (risk.id.clone(), risk.weight_permille)).collect();
    let policy = Policy { go: run.policy.go, no_go: run.policy.no_go };
    decide::with_signoffs(decide::decide(views, policy, &risks, false), standings)
}

fn view(line: &StepLine, day: Option<&str>) -> StepView {
    let lapsed = day.is_some_and(|day| is_lapsed(line, day));
    let (state, cause) = if lapsed { (State::Fail, Some(Cause::Criteria)) } else { (line.state, line.cause.clone()) };
    StepView {
        id: line.id.clone(),
        required: line.required,
        finally: line.finally,
        state,
        cause,
        weight_permille: line.weight_permille,
    }
}

/// Whether a step stands only by a waiver that is not in force any more on this day.
pub(super) fn is_lapsed(line: &StepLine, day: &str) -> bool {
    line.cause == Some(Cause::Waived)
        && line.criteria.iter().filter_map(|c| c.waiver.as_ref()).any(|w| !w.expired && w.expires.as_str() < day)
}
