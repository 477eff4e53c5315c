//! What a run recorded of each step, from its journal, and from those of the runs whose results it took over. Judges
//! nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::engine::rejudge::{Look, Recorded, Tried, wanted};
use crate::event::{Event, EventKind, StepHead};
use crate::facts::{Facts, Unit, Value};
use crate::ids::StepId;
use crate::outcome::{AttemptResult, Cause, StepResult};
use crate::plan::{Plan, Step};
use crate::record::journal::cut_of;
use crate::record::{baseline, read, store::Store};

use super::super::log::Log;
use super::super::reproduce::ratchet_of;
use super::Then;

/// What every step of the run left, by name; and what steps of the plan are compared with.
pub(super) fn gather(
    then: &Then,
    log: &Log,
    plan: &Plan,
    cut: bool,
) -> (BTreeMap<String, Recorded>, BTreeMap<String, Vec<Facts>>) {
    let journal = Journal::new(&then.begun.events, cut, !then.begun.head.secrets.is_empty());
    let store = log.home.as_deref().and_then(|home| Store::reader(home).ok());
    let asked = wanted(&then.plan);
    let mut recorded = BTreeMap::new();
    for (id, wanted) in then.plan.ids().zip(asked) {
        let step = then.plan.step(id);
        let Some(committed) = journal.committed(id) else { continue };
        let attempts = match journal.taken_over(id) {
            Some(run) => taken_over(&journal, log, store.as_ref(), run, step, id),
            None => journal.attempts(id, step.sample.as_ref().map_or(Duration::ZERO, |sample| sample.delay)),
        };
        let now = plan.find(&step.name).map(|id| plan.step(id));
        let same_rules = now.is_some_and(|now| now.sample == step.sample && now.compare == step.compare);
        let when = step.when.iter().map(|criterion| criterion.text.clone()).collect();
        let entry = Recorded { attempts, committed: committed.clone(), wanted, when, same_rules, baseline_lost: None };
        recorded.insert(step.name.clone(), entry);
    }
    let compared = baselines(then, store.as_ref(), plan, &mut recorded);
    (recorded, compared)
}

/// A journal with what has to be known of its texts.
struct Journal<'a> {
    /// By the step that they are about, in order.
    by_step: BTreeMap<StepId, Vec<&'a Event>>,
    /// Some of them are shortened.
    cut: bool,
    /// Secrets were replaced in them.
    secrets: bool,
}

impl<'a> Journal<'a> {
    fn new(events: &'a [Event], cut: bool, secrets: bool) -> Self {
        use EventKind::{Attempt, Commit, Reused, Sample, Start};
        let mut by_step: BTreeMap<StepId, Vec<&Event>> = BTreeMap::new();
        for event in events {
            if let Start { step, .. }
            | Sample { step, .. }
            | Attempt { step, .. }
            | Reused { step, .. }
            | Commit { step, .. } = &event.kind
            {
                by_step.entry(*step).or_default().push(event);
            }
        }
        Self { by_step, cut, secrets }
    }

    fn of(&self, step: StepId) -> &[&'a Event] {
        self.by_step.get(&step).map_or(&[], Vec::as_slice)
    }

    fn committed(&self, wanted: StepId) -> Option<&StepResult> {
        self.of(wanted).iter().rev().find_map(|event| match &event.kind {
            EventKind::Commit { result, .. } => Some(&**result),
            _ => None,
        })
    }

    /// The run whose result stands for one of this run.
    fn taken_over(&self, wanted: StepId) -> Option<&str> {
        self.of(wanted).iter().rev().find_map(|event| match &event.kind {
            EventKind::Reused { run, .. } => Some(run.as_str()),
            _ => None,
        })
    }

    /// Every attempt of a step. `delay` is the time from its start to its first look.
    fn attempts(&self, wanted: StepId, delay: Duration) -> Vec<Tried> {
        let mut tried = Vec::new();
        let (mut looks, mut start) = (Vec::new(), 0);
        for event in self.of(wanted) {
            match &event.kind {
                EventKind::Start { .. } => {
                    looks.clear();
                    start = event.mono;
                }
                EventKind::Sample { state, criteria, facts, detail, .. } => looks.push(Look {
                    impaired: self.impaired(facts),
                    facts: facts.clone(),
                    state: Some(*state),
                    detail: detail.clone(),
                    criteria: criteria.clone(),
                    at: event.at,
                    elapsed: Duration::from_nanos(event.mono.saturating_sub(start)).saturating_sub(delay),
                }),
                EventKind::Attempt { result, .. } => {
                    let looks = std::mem::take(&mut looks);
                    tried.push(self.tried(looks, result, event.at));
                }
                _ => {}
            }
        }
        tried
    }

    fn tried(&self, mut looks: Vec<Look>, result: &AttemptResult, at: i64) -> Tried {
        let between_looks = result.samples == 0 && matches!(result.cause, Some(Cause::Timeout | Cause::Interrupted));
        if looks.is_empty() && !between_looks {
            looks.push(Look {
                impaired: self.impaired(&result.facts),
                facts: result.facts.clone(),
                state: Some(result.state),
                detail: result.detail.clone(),
                criteria: result.criteria.clone(),
                at,
                elapsed: Duration::ZERO,
            });
        }
        Tried { looks, result: result.clone(), looks_lost: None }
    }

    fn impaired(&self, facts: &Facts) -> BTreeMap<String, String> {
        let mut found = BTreeMap::new();
        for (name, value) in &facts.values {
            if self.cut && any(value, &|value| cut_of(value).is_some()) {
                found.insert(name.clone(), "it was too long for the journal".to_owned());
            } else if self.secrets && any(value, &|value| holds_mark(value)) {
                found.insert(name.clone(), "a secret in it was replaced".to_owned());
            }
        }
        found
    }
}

fn holds_mark(value: &Value) -> bool {
    match value {
        Value::Text(text) => text.contains("[secret "),
        Value::Json(json) => json.to_string().contains("[secret "),
        _ => false,
    }
}

fn any(value: &Value, holds: &dyn Fn(&Value) -> bool) -> bool {
    holds(value)
        || match value {
            Value::List(items) => items.iter().any(|item| any(item, holds)),
            Value::Map(members) => members.values().any(|member| any(member, holds)),
            _ => false,
        }
}

/// The deciding attempt of a result that was taken over: its looks stand in the journal of the run that executed it.
fn taken_over(
    journal: &Journal<'_>,
    log: &Log,
    store: Option<&Store>,
    run: &str,
    step: &Step,
    id: StepId,
) -> Vec<Tried> {
    let mut tried = journal.attempts(id, Duration::ZERO);
    let Some(last) = tried.last_mut() else { return tried };
    let sampled = step.sample.is_some() && last.result.samples > 0;
    if sampled {
        match looks_of(log, store, run, step) {
            Some(looks) => last.looks = looks,
            None => last.looks_lost = Some(format!("its looks were recorded in run `{run}`, which can't be read")),
        }
    }
    // The attempts before it failed then, and what they saw is not here.
    tried
}

fn looks_of(log: &Log, store: Option<&Store>, run: &str, step: &Step) -> Option<Vec<Look>> {
    let found = match run == log.id {
        true => log.journal.recovered().ok()?,
        false => read::recover_file(&store?.run_path(run)).ok()?,
    };
    let heads: &[StepHead] = match &found.events.first()?.kind {
        EventKind::Open { steps, .. } => steps,
        _ => return None,
    };
    let id = heads.iter().find(|head| head.name == step.name)?.step;
    let delay = step.sample.as_ref().map_or(Duration::ZERO, |sample| sample.delay);
    let journal = Journal::new(&found.events, found.cut > 0, true);
    let mut attempts = journal.attempts(id, delay);
    attempts.retain(|tried| tried.result.samples > 0 && tried.result.state.is_success());
    // In a run that was resumed, the same attempt may stand there twice, the second time without its looks.
    let best = attempts.into_iter().rev().find(|tried| tried.looks.len() == tried.result.samples as usize);
    best.map(|tried| tried.looks)
}

/// What criteria with `baseline` were held against, for the steps of a plan; says in `recorded` where that is not known.
fn baselines(
    then: &Then,
    store: Option<&Store>,
    plan: &Plan,
    recorded: &mut BTreeMap<String, Recorded>,
) -> BTreeMap<String, Vec<Facts>> {
    let had: BTreeSet<String> = then.plan.steps_with_baseline();
    let mut runs: BTreeMap<&str, Option<BTreeMap<String, Vec<Facts>>>> = BTreeMap::new();
    let mut found = BTreeMap::new();
    for name in plan.steps_with_baseline() {
        let Some(entry) = recorded.get_mut(&name) else { continue };
        match then.begun.settings.baselines.get(&name) {
            Some(run) => {
                let looks = runs.entry(run).or_insert_with(|| baseline::of_run(store?, run));
                match looks.as_ref().and_then(|looks| looks.get(&name)) {
                    Some(looks) => drop(found.insert(name, looks.clone())),
                    None => {
                        let why = format!("the run that it was compared with, `{run}`, can't be read");
                        entry.baseline_lost = Some(why);
                    }
                }
            }
            // There was none then, and the rules for that hold.
            None if had.contains(&name) => {}
            None => entry.baseline_lost = Some("the run was not compared with an earlier one here".to_owned()),
        }
    }
    found
}

/// What each ratchet asked for then; only where its rules are still the same.
pub(super) fn ratchets(then: &Then, plan: &Plan, recorded: &BTreeMap<String, Recorded>) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    for step in &plan.steps {
        let then = then.plan.find(&step.name).map(|id| then.plan.step(id));
        let same = then.is_some_and(|then| then.ratchet == step.ratchet);
        let Some(ratchet) = step.ratchet.as_ref().filter(|_| same) else { continue };
        let told = || ratchet_of(recorded.get(&step.name)?.committed.action_preimage.as_ref()?);
        let unit = match &ratchet.floor {
            Value::Num(_, unit) => *unit,
            _ => Unit::One,
        };
        if let Some(num) = told() {
            found.insert(step.name.clone(), Value::Num(num, unit));
        }
    }
    found
}
