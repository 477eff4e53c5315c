//! Why a step waited in a run that is over, for `explain`: the journal of the run, and the pools of the plan. Writes nothing.

use std::collections::BTreeMap;
use std::path::Path;

use crate::digest::sha256_hex;
use crate::event::{Event, EventKind, StepHead};
use crate::outcome::StepResult;
use crate::plan::{self, Plan};
use crate::record::store::Store;
use crate::record::{canonical, journal, read};
use crate::report::waits::{Pool, Waits};

use super::log;
use super::past::{self, Fault};

/// The longest journal that is read without having been asked for: some 20,000 steps.
const MOST: u64 = 64 << 20;

/// A run that is looked back at.
pub(super) struct Last {
    id: String,
    heads: Vec<StepHead>,
    /// Of a run that was resumed those of its last part.
    events: Vec<Event>,
    jobs: u32,
    /// The plan is no more what it was then.
    changed: bool,
}

/// The run that was named, or the last finished one of the plan; `None` if there is none.
pub(super) fn last(plan: &Plan, logs: Option<&str>, named: Option<&str>) -> Result<Option<Last>, Fault> {
    match named {
        Some(run) => look(plan, run).map(Some),
        // Nobody asked for it: what can't be read is left out.
        None => Ok(newest(plan, logs).and_then(|run| look(plan, &run).ok())),
    }
}

fn newest(plan: &Plan, logs: Option<&str>) -> Option<String> {
    let store = Store::reader(logs.map_or(plan.workspace.as_std_path(), Path::new)).ok()?;
    let lines = store.index().into_iter().filter(|line| line.plan == plan.name);
    let run = lines.max_by(|a, b| (a.at, &a.run).cmp(&(b.at, &b.run)))?.run;
    let folder = std::path::absolute(store.run_path(&run)).ok()?;
    let size = std::fs::metadata(folder.join(journal::FILE_NAME)).ok()?.len();
    (size <= MOST).then(|| folder.display().to_string())
}

fn look(plan: &Plan, run: &str) -> Result<Last, Fault> {
    let log = log::open(run)?;
    let found = log.journal.recovered().map_err(|error| past::corrupt(format!("run `{}`: {error}", log.id)))?;
    let norm = canonical::to_bytes(&plan::norm(plan)).map(|bytes| sha256_hex(&bytes)).unwrap_or_default();
    let mut last = Last { id: log.id, heads: Vec::new(), events: Vec::new(), jobs: 1, changed: false };
    for event in &found.events {
        match &event.kind {
            EventKind::Open { plan, settings, steps } => {
                last.changed = plan.norm_sha256 != norm;
                last.heads.clone_from(steps);
                last.jobs = settings.jobs;
            }
            EventKind::Resume { settings } => last.jobs = settings.jobs,
            _ => {}
        }
    }
    last.events = read::current(&found.events).to_vec();
    Ok(last)
}

impl Last {
    /// The run with how the step ended in it, and what it waited for.
    pub(super) fn of(&self, plan: &Plan, wanted: &str) -> (String, Vec<String>) {
        let Some(head) = self.heads.iter().find(|head| head.name == wanted) else {
            return (format!("{}: it had no such step", self.id), Vec::new());
        };
        let result = self.events.iter().find_map(|event| match &event.kind {
            EventKind::Commit { step, result } if *step == head.step => Some(&**result),
            _ => None,
        });
        let pools: Vec<Pool> =
            plan.pools.iter().map(|pool| Pool { name: pool.name.clone(), capacity: pool.capacity }).collect();
        let held = plan.steps.iter().filter(|step| !step.pools.is_empty());
        let held: BTreeMap<&str, Vec<usize>> =
            held.map(|step| (step.name.as_str(), step.pools.iter().map(|pool| pool.0 as usize).collect())).collect();
        let holds = |name: &str| held.get(name).cloned().unwrap_or_default();
        let waits = Waits { events: &self.events, heads: &self.heads, jobs: self.jobs, pools: &pools, holds: &holds };
        let changed = if self.changed { "; the plan was another one then" } else { "" };
        (format!("{}: {}{changed}", self.id, how(result)), waits.of(head))
    }
}

fn how(result: Option<&StepResult>) -> String {
    let Some(result) = result else { return "it did not end".to_owned() };
    match &result.cause {
        Some(cause) => format!("{} ({cause})", result.state.word()),
        None => result.state.word().to_owned(),
    }
}
