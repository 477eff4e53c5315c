//! What a run announces of its steps, and what the scheduler needs to know of them: pure views of the plan.

use std::time::Duration;

use crate::event::{EventKind, StepHead};
use crate::graph::Graph;
use crate::mask::Mask;
use crate::outcome::StepResult;
use crate::plan::{Need, Plan};
use crate::schedule::Job;

use super::attempt::masked;
use super::world::Options;

/// The announcement of every step, in declaration order.
#[must_use]
pub fn steps(plan: &Plan, graph: &Graph) -> Vec<StepHead> {
    let names = |needs: &[Need]| {
        let mut names: Vec<String> = needs.iter().map(|need| plan.step(need.step).name.clone()).collect();
        names.sort();
        names
    };
    plan.ids()
        .map(|id| {
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
        })
        .collect()
}

/// What the scheduler knows of each step.
pub(super) fn jobs(plan: &Plan, graph: &Graph, options: &Options) -> Vec<Job> {
    let known = estimate(&options.durations);
    let tails = graph.tails(&|id| known(&plan.step(id).name));
    plan.ids()
        .map(|id| {
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
                priority: match &options.shuffled {
                    Some(numbers) => Duration::from_nanos(numbers.get(id.index()).copied().unwrap_or_default()),
                    None if options.jobs > 1 => tails[id.index()],
                    // One worker gains nothing from the longest tail first; it runs as a serial run would.
                    None => Duration::ZERO,
                },
            }
        })
        .collect()
}

/// Remembered duration of a step; one never seen weighs as much as the median of those that were (1 s if none was).
pub fn estimate(remembered: &std::collections::BTreeMap<String, Duration>) -> impl Fn(&str) -> Duration {
    let mut all: Vec<Duration> = remembered.values().copied().collect();
    all.sort();
    let typical = all.get(all.len() / 2).copied().unwrap_or(Duration::from_secs(1));
    move |name| remembered.get(name).copied().unwrap_or(typical)
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
