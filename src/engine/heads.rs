//! What a run announces of its steps, and what the scheduler needs to know of them: pure views of the plan.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::event::{EventKind, StepHead};
use crate::graph::Graph;
use crate::ids::StepId;
use crate::mask::Mask;
use crate::outcome::StepResult;
use crate::plan::{Need, Plan};
use crate::schedule::{self, Job};

use super::attempt::masked;
use super::world::Options;

/// The announcement of every step, in declaration order.
#[must_use]
pub fn steps(plan: &Plan, graph: &Graph) -> Vec<StepHead> {
    plan.ids().map(|id| step(plan, graph, id)).collect()
}

/// The announcement of one step.
#[must_use]
pub fn step(plan: &Plan, graph: &Graph, id: StepId) -> StepHead {
    let names = |needs: &[Need]| {
        let mut names: Vec<String> = needs.iter().map(|need| plan.step(need.step).name.clone()).collect();
        names.sort();
        names
    };
    let step = plan.step(id);
    StepHead {
        step: id,
        name: step.name.clone(),
        title: step.title.clone(),
        rank: graph.rank(id),
        kind: step.action.kind().word().to_owned(),
        needs: names(&step.needs),
        after: names(&step.after),
        required: step.required,
        severity: step.severity,
        weight_permille: step.weight_permille(),
        finally: step.finally,
        volatile: step.volatile,
        on_failure: step.on_failure.word().to_owned(),
        place: plan.sources.locate(step.place),
    }
}

/// What the scheduler knows of each step, and the turn it has.
#[must_use]
pub fn jobs(plan: &Plan, graph: &Graph, options: &Options) -> Vec<Job> {
    let job = |id: StepId| {
        let step = plan.step(id);
        let mut pools = step.pools.clone();
        pools.sort();
        pools.dedup();
        Job {
            name: step.name.clone(),
            finally: step.finally,
            filtered: !options.selected.get(id.index()).copied().unwrap_or(true),
            service: matches!(step.action, crate::action::Action::Service(_)),
            required: step.required,
            run_when: step.run_when,
            on_failure: step.on_failure,
            retry: step.retry.clone(),
            pools,
            turn: 0,
        }
    };
    let mut jobs: Vec<Job> = plan.ids().map(job).collect();
    let turns = match &options.shuffled {
        Some(numbers) => numbers.iter().map(|number| u64::MAX - number).collect(),
        // One worker gains nothing from any order; it runs as a serial run would.
        None if options.jobs <= 1 => Vec::new(),
        None => {
            let known = estimate(&options.durations);
            let took: Vec<Duration> = plan.steps.iter().map(|step| known(&step.name)).collect();
            let capacities: Vec<u32> = plan.pools.iter().map(|pool| pool.capacity).collect();
            schedule::turns(graph, &jobs, &took, options.jobs, &capacities)
        }
    };
    jobs.iter_mut().zip(turns).for_each(|(job, turn)| job.turn = turn);
    jobs
}

/// Remembered duration of a step. A cell of a matrix that was never seen weighs as its siblings do, every other step that
/// was never seen as those that were: more than three quarters of them, since what is new may be long, and a long step
/// that starts late costs more than a short one that starts early. 1 s if nothing was ever seen.
pub fn estimate(remembered: &BTreeMap<String, Duration>) -> impl Fn(&str) -> Duration {
    let mut siblings: BTreeMap<&str, Vec<Duration>> = BTreeMap::new();
    for (name, duration) in remembered {
        if let Some((base, _)) = name.split_once('[') {
            siblings.entry(base).or_default().push(*duration);
        }
    }
    let all = typical(remembered.values().copied().collect()).unwrap_or(Duration::from_secs(1));
    let siblings: BTreeMap<&str, Duration> =
        siblings.into_iter().filter_map(|(base, durations)| Some((base, typical(durations)?))).collect();
    move |name| {
        let cells = || siblings.get(name.split_once('[')?.0).copied();
        remembered.get(name).copied().or_else(cells).unwrap_or(all)
    }
}

/// The upper quartile.
fn typical(mut durations: Vec<Duration>) -> Option<Duration> {
    durations.sort_unstable();
    durations.get(durations.len() * 3 / 4).copied()
}

/// The event with every secret replaced in what was observed.
pub(super) fn masked_event(mut kind: EventKind, mask: &Mask) -> EventKind {
    match &mut kind {
        EventKind::Attempt { result, .. } => masked(result, mask),
        EventKind::Commit { result, .. } => masked_result(result, mask),
        EventKind::Sample { criteria, facts, detail, .. } => {
            detail.iter_mut().for_each(|text| *text = mask.text(text));
            super::attempt::masked_criteria(criteria, mask);
            facts.values.values_mut().for_each(|value| super::attempt::masked_value(value, mask));
        }
        EventKind::Warn { text, .. } | EventKind::Stale { why: text, .. } => *text = mask.text(text),
        _ => {}
    }
    kind
}

fn masked_result(result: &mut StepResult, mask: &Mask) {
    result.detail.iter_mut().for_each(|text| *text = mask.text(text));
    result.attempts.iter_mut().for_each(|attempt| masked(attempt, mask));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_never_seen_weighs_as_its_siblings_or_as_most_others() {
        let seconds = Duration::from_secs;
        let seen = [("a", 1), ("b", 2), ("c", 3), ("d", 40), ("t[x=1]", 7), ("t[x=2]", 9), ("t[x=3]", 8)];
        let seen: BTreeMap<String, Duration> = seen.map(|(name, time)| (name.to_owned(), seconds(time))).into();
        let known = estimate(&seen);
        assert_eq!([known("a"), known("t[x=2]")], [seconds(1), seconds(9)]);
        assert_eq!([known("t[x=4]"), known("new"), known("u[x=1]")], [seconds(9), seconds(9), seconds(9)]);
        let mut cells = seen.clone();
        cells.extend([("e".to_owned(), seconds(90)), ("f".to_owned(), seconds(80)), ("g".to_owned(), seconds(70))]);
        let known = estimate(&cells);
        assert_eq!([known("t[x=4]"), known("new")], [seconds(9), seconds(70)]);
        assert_eq!(estimate(&BTreeMap::new())("any"), seconds(1));
    }
}
