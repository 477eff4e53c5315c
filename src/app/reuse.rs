//! Which earlier results a run may take over, and what it leaves to later ones. The engine decides about each.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use crate::criteria::{Criterion, Root};
use crate::engine::{self, Forecast, Known, Options, Trust};
use crate::event::{Event, EventKind};
use crate::graph::Graph;
use crate::ids::StepId;
use crate::plan::Plan;
use crate::record::reuse::{self, Earlier, Successes};
use crate::record::store::{INHERITED_FILE, Store, StoreError};
use crate::report::dryrun::Marker;

use super::world::{self, Onlooker};

/// Where earlier results come from.
pub(super) enum Source {
    /// Nowhere, and none is left to later runs.
    Off,
    /// Nowhere; those of this run are left to later ones.
    Force,
    /// What earlier runs of the plan left in the workspace.
    Workspace,
    /// What passed in one run.
    Run(Box<Passed>),
}

/// What passed in a run.
pub(super) struct Passed {
    /// Its id.
    pub(super) run: String,
    /// What may be taken over, by step name; the run that it is for takes it.
    pub(super) results: RefCell<BTreeMap<String, Earlier>>,
    /// The run that each step with a `baseline` was compared with.
    pub(super) baselines: BTreeMap<String, String>,
    /// It goes on; otherwise it is another run.
    pub(super) resume: bool,
}

/// Values of the variables that steps inherit and of those that criteria name.
pub(super) fn inherited(plan: &Plan, env: &BTreeMap<String, OsString>) -> BTreeMap<String, Vec<u8>> {
    let criteria = plan.steps.iter().flat_map(|step| step.criteria.iter().chain(&step.when));
    let named = criteria.flat_map(Criterion::roots).filter_map(|root| match root {
        Root::Env(name) => Some(name),
        _ => None,
    });
    let names: BTreeSet<String> = plan.env.pass.iter().cloned().chain(named).collect();
    let value = |name: String| env.get(&name).map(|value| (name.clone(), value.as_bytes().to_vec()));
    names.into_iter().filter_map(value).collect()
}

/// Notes what a run inherited, for whoever takes over its results.
pub(super) fn note_inherited(run: &Path, digest: &str) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut options = std::fs::OpenOptions::new();
    let file = options.write(true).create(true).truncate(true).mode(0o600).open(run.join(INHERITED_FILE))?;
    std::io::Write::write_all(&mut { file }, digest.as_bytes())
}

/// Steps that may be reused because of what they declare.
pub(super) fn declared(plan: &Plan) -> BTreeSet<StepId> {
    plan.ids().filter(|id| engine::may_reuse(plan.step(*id), Trust::Declared).is_ok()).collect()
}

/// The results that the engine may take over.
pub(super) fn known(
    source: &Source,
    plan: &Plan,
    store: &Store,
    variables: &BTreeMap<String, Vec<u8>>,
    baselines: &BTreeMap<String, String>,
) -> BTreeMap<String, Known> {
    const OTHER: &str = "a variable that it inherits has another value";
    match source {
        Source::Off | Source::Force => BTreeMap::new(),
        Source::Workspace => {
            let names: BTreeSet<&str> = declared(plan).into_iter().map(|id| plan.step(id).name.as_str()).collect();
            if names.is_empty() {
                return BTreeMap::new();
            }
            let compared = plan.steps_with_baseline();
            let mut digests: BTreeMap<String, String> = BTreeMap::new();
            let left = store.reusable(&plan.path).into_iter().filter(|(name, _)| names.contains(name.as_str()));
            let known = left.map(|(name, Earlier { run, inherited, result, .. })| {
                let digest =
                    digests.entry(run.clone()).or_insert_with(|| reuse::inherited_digest(&run, variables)).clone();
                let stale = match () {
                    () if inherited != digest => Some(OTHER.to_owned()),
                    () if compared.contains(&name) => Some("it is compared with an earlier run".to_owned()),
                    () => None,
                };
                (name, Known { run, result, trust: Trust::Declared, stale })
            });
            known.collect()
        }
        Source::Run(passed) => {
            let noted = std::fs::read_to_string(store.run_path(&passed.run).join(INHERITED_FILE)).unwrap_or_default();
            let same = noted == reuse::inherited_digest(&passed.run, variables);
            let known = passed.results.take().into_iter().map(|(name, earlier)| {
                let stale = match () {
                    () if !same => Some(OTHER.to_owned()),
                    () if passed.baselines.get(&name) != baselines.get(&name) => {
                        Some("it would be compared with another run".to_owned())
                    }
                    () => None,
                };
                (name, Known { run: earlier.run, result: earlier.result, trust: Trust::Asked, stale })
            });
            known.collect()
        }
    }
}

/// Leaves the results of a run to later ones. What was taken from the workspace's store (`source`) is there as it was.
pub(super) fn leave(
    source: &Source,
    store: &Store,
    plan: &Plan,
    run: &str,
    events: &[Event],
    variables: &BTreeMap<String, Vec<u8>>,
) -> Result<(), StoreError> {
    let may: BTreeSet<StepId> = declared(plan);
    if may.is_empty() {
        return Ok(());
    }
    // What was taken from the store stands in it as it is.
    let (mut taken, mut ended) = (BTreeSet::new(), BTreeSet::new());
    for event in events {
        match &event.kind {
            EventKind::Reused { step, .. } if matches!(source, Source::Workspace) => drop(taken.insert(*step)),
            EventKind::Commit { step, result } if taken.contains(step) && result.state.is_success() => {}
            EventKind::Commit { step, result } if may.contains(step) && !result.attempts.is_empty() => {
                taken.remove(step);
                ended.insert(plan.step(*step).name.clone());
            }
            _ => {}
        }
    }
    if ended.is_empty() {
        return Ok(());
    }
    let passed = Successes::among(events, run, &|step| may.contains(&step) && !taken.contains(&step));
    let mut digests: BTreeMap<String, String> = BTreeMap::new();
    let mut inherited = |run: &str| {
        let digest = || reuse::inherited_digest(run, variables);
        digests.entry(run.to_owned()).or_insert_with(digest).clone()
    };
    let fresh: Vec<Earlier> =
        passed.into_values().map(|earlier| Earlier { inherited: inherited(&earlier.run), ..earlier }).collect();
    store.keep_reusable(&plan.path, &fresh, &ended)
}

/// What a run would do with each step; empty where nothing is known. Reads only.
pub(super) fn foreseen(plan: &Plan, graph: &Graph, selected: &[bool], logs: Option<&str>) -> Vec<Forecast> {
    let logs = logs.map_or(plan.workspace.as_std_path(), Path::new);
    let Ok(store) = Store::reader(logs) else { return Vec::new() };
    let world = world::onlooker(plan);
    let variables = inherited(plan, &world.env);
    let known = known(&Source::Workspace, plan, &store, &variables, &BTreeMap::new());
    if known.is_empty() {
        return Vec::new();
    }
    let day = world::today();
    let options = Options {
        jobs: 1,
        shuffled: None,
        grace: std::time::Duration::ZERO,
        selected: selected.to_vec(),
        durations: BTreeMap::new(),
        ratchets: crate::plan::ratchet::values(plan).unwrap_or_default(),
        baselines: BTreeMap::new(),
        waivers: plan.waivers_on(&day),
        run: String::new(),
        known: RefCell::new(known),
    };
    let mut all = engine::forecast(plan, graph, &world, &Onlooker, &options);
    // Nothing to say about steps that leave nothing.
    for id in plan.ids().filter(|id| !options.known.borrow().contains_key(&plan.step(*id).name)) {
        if !matches!(all[id.index()], Forecast::Reuse(_)) {
            all[id.index()] = Forecast::Skip;
        }
    }
    all
}

/// Adds to what is told of each step what becomes of its earlier result.
pub(super) fn overlay(prospects: &mut [(Marker, String)], plan: &Plan, foreseen: &[Forecast]) {
    for (id, fate) in plan.ids().zip(foreseen) {
        let (marker, reason) = &mut prospects[id.index()];
        if *marker != Marker::Run {
            continue;
        }
        let told = match fate {
            Forecast::Reuse(run) => {
                *marker = Marker::Cached;
                format!("as run {run} left it")
            }
            Forecast::Execute(Some(why)) => why.clone(),
            Forecast::Deferred(step) => format!("deferred: reused if `{step}` gives what it gave before"),
            Forecast::Execute(None) | Forecast::Skip => continue,
        };
        *reason = if reason.is_empty() { told } else { format!("{reason}; {told}") };
    }
}
