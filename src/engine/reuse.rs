//! Whether an earlier result of a step stands for a new one: the same action, the same outputs on the disk, and nothing
//! else before it that counts. Starts nothing, and knows nothing of where earlier results are kept.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value as Json};

use crate::action::{Action, Command, Text};
use crate::criteria::{self, Criterion, Root};
use crate::event::EventKind;
use crate::files::{self, Quit, Role};
use crate::graph::Graph;
use crate::ids::StepId;
use crate::outcome::{CriterionResult, OutputDigest, State};
use crate::plan::{Plan, RunWhen, SecretSource, Step};

use super::attempt::{self, Given};
use super::prepare::{self, Ready};
use super::shared::Shared;
use super::world::{Keeper, Known, Options, Trust, World};

/// What becomes of an attempt that could start.
pub(super) enum Choice {
    /// The earlier result, with places as in the plan of this run.
    Reuse(Box<Known>),
    /// It is executed.
    Execute,
    /// It would have to be executed, but a service that it needs was left out.
    TooLate(String),
}

/// What a run would do with a step, as far as it can be told now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Forecast {
    /// The result of this run would be taken over.
    Reuse(String),
    /// It would be executed; why its earlier result does not count, if there is one.
    Execute(Option<String>),
    /// Told only once this step, which will be executed, is over.
    Deferred(String),
    /// It would not be reached or not run by choice.
    Skip,
}

/// Whether a step's kind and keys allow that an earlier result stands for a new one.
///
/// # Errors
/// One sentence: why not.
pub fn may_reuse(step: &Step, trust: Trust) -> Result<(), &'static str> {
    let always = match &step.action {
        _ if !step.reuse => Err("the plan says `reuse = false`"),
        _ if step.finally => Err("a `finally` step always runs"),
        Action::Signoff(_) => Err("people are asked every time"),
        Action::Checklist(spec) if spec.tick => Err("a checklist is ticked every time"),
        _ => Ok(()),
    };
    match trust {
        Trust::Asked => always,
        Trust::Declared => always.and(match () {
            () if !matches!(step.action, Action::Run(_)) => Err("only `run` makes what can be reused"),
            () if !declares(step) => Err("it does not declare both `inputs` and `outputs` or `artifacts`"),
            () if step.sample.is_some() => Err("it looks several times"),
            () if step.volatile => Err("it reads a volatile output of another step"),
            () => Ok(()),
        }),
    }
}

/// Whether a step says what files it reads and makes.
fn declares(step: &Step) -> bool {
    (step.reads_nothing || !step.inputs.is_empty()) && !step.outputs.is_empty()
}

pub(super) fn choose(shared: &Shared<'_>, id: StepId, attempt: u32, ready: &Ready) -> Choice {
    let step = shared.plan.step(id);
    let mut all = shared.options.known.borrow_mut();
    let known = all.get(&step.name).filter(|_| attempt == 1);
    let stands = |known: &Known| {
        judge(shared, id, known, ready)?;
        if is_service(step) && !shared.idle.borrow().contains(&id) {
            return Err("steps that need it are executed".to_owned());
        }
        keep(shared, known)
    };
    let why = match known.map(stands) {
        Some(Ok(())) => return all.remove(&step.name).map_or(Choice::Execute, |known| placed(shared, step, known)),
        Some(Err(why)) => why,
        None => String::new(),
    };
    if let Some(service) = shared.idle_before(id) {
        let service = &shared.plan.step(service).name;
        let why = if why.is_empty() { "it has no earlier result any more" } else { why.as_str() };
        return Choice::TooLate(format!(
            "when this run began, the earlier result of this step stood, so `{service}` was not started; now {why}: run it again"
        ));
    }
    if let Some(known) = known {
        shared.tell(EventKind::Stale { step: id, run: known.run.clone(), why });
    }
    Choice::Execute
}

fn is_service(step: &Step) -> bool {
    matches!(step.action, Action::Service(_))
}

/// The record of this run names the artifacts too, so they have to be in the archive.
fn keep(shared: &Shared<'_>, known: &Known) -> Result<(), String> {
    for output in known.result.outputs.iter().filter(|output| output.artifact) {
        let path = shared.plan.workspace.as_std_path().join(&output.file.path);
        if path.is_file() {
            let kept = shared.archive(&path, &output.file.sha256);
            kept.map_err(|_| format!("`{}` can't be archived as it was", output.file.path))?;
        }
    }
    Ok(())
}

/// Whether the earlier result stands; else the first reason why not.
fn judge(shared: &Shared<'_>, id: StepId, known: &Known, ready: &Ready) -> Result<(), String> {
    let step = shared.plan.step(id);
    may_reuse(step, known.trust).map_err(str::to_owned)?;
    if let Some(why) = &known.stale {
        return Err(why.clone());
    }
    let result = &known.result;
    if !result.state.is_success() {
        return Err("it did not succeed".to_owned());
    }
    let waived = result.criteria().iter().any(|criterion| criterion.waiver.is_some());
    if waived || shared.options.waivers.contains_key(&step.name) {
        return Err("a waiver decides it anew every time".to_owned());
    }
    if result.action.as_ref() != Some(&ready.identity) {
        return Err(difference(result.action_preimage.as_deref().unwrap_or_default(), &ready.preimage));
    }
    let render = matches!(step.action, Action::Render(_));
    if let Some(what) = anew(shared, step) {
        return Err(format!("{what} has another value in every run"));
    }
    if (render || names(step, "run.")) && known.run != shared.options.run {
        return Err("it may name `run`, which is another one".to_owned());
    }
    let follows = |other: StepId| format!("`{}`, which it follows, was executed", shared.plan.step(other).name);
    if let Some(other) = reads(shared, step).into_iter().find(|other| shared.is_fresh(*other)) {
        return Err(follows(other));
    }
    if !declares(step)
        && let Some(other) = shared.fresh_before(id)
    {
        return Err(follows(other));
    }
    as_left(shared, step, &result.outputs)?;
    same_criteria(step, known)
}

/// What a step may write down that each run, and each part of one, makes for itself: a port, or a random secret. A
/// template file may name all of them; a step that only looks leaves nothing behind.
fn anew(shared: &Shared<'_>, step: &Step) -> Option<String> {
    let render = matches!(step.action, Action::Render(_));
    if !render && !matches!(step.action, Action::Run(_)) {
        return None;
    }
    if names(step, "ports.") || (render && !shared.plan.ports.is_empty()) {
        return Some("a port".to_owned());
    }
    let made = shared.plan.secrets.iter().filter(|secret| match &secret.source {
        SecretSource::Env { name, random } => *random && !shared.world.env.contains_key(name),
        SecretSource::File(_) => false,
    });
    let uses = |name: &String| render || step.secrets.contains(name) || names(step, &format!("secrets.{name}"));
    made.map(|secret| &secret.name).find(|name| uses(name)).map(|name| format!("the secret `{name}`"))
}

/// Steps whose facts or named outputs stand in the step's criteria, values or texts.
fn reads(shared: &Shared<'_>, step: &Step) -> BTreeSet<StepId> {
    let mut roots: Vec<Root> = step.criteria.iter().chain(&step.when).flat_map(Criterion::roots).collect();
    if let Action::Value(spec) = &step.action {
        roots.extend(spec.values.iter().flat_map(|(_, subject)| criteria::roots_of(subject)));
    }
    let by_criteria = roots.into_iter().filter_map(|root| match root {
        Root::Step { name, .. } => shared.find(&name),
        _ => None,
    });
    let mut found: BTreeSet<StepId> = by_criteria.collect();
    if names(step, "steps") {
        // What a direct need gives is part of the action's identity.
        let direct = |id: &StepId| step.needs.iter().any(|need| need.step == *id);
        let named = |id: &StepId| names(step, &shared.plan.step(*id).name);
        found.extend(shared.givers().into_iter().filter(|id| !direct(id) && named(id)));
    }
    found
}

/// Whether a text that is completed at run time holds this.
fn names(step: &Step, what: &str) -> bool {
    let found = |text: &Text| text.late && text.src.contains(what);
    let in_action = match &step.action {
        Action::Run(spec) => match &spec.command {
            Command::Argv(texts) => texts.iter().any(found),
            Command::Shell(_) => false,
        },
        action => action.clone().texts_mut().into_iter().any(|text| found(text)),
    };
    let mut own = step.env.iter().map(|(_, text)| text).chain(&step.inputs).chain([&step.cwd]);
    let stdin = match &step.stdin {
        crate::plan::Stdin::Text(text) | crate::plan::Stdin::File(text) => found(text),
        crate::plan::Stdin::Null => false,
    };
    stdin || in_action || own.any(found)
}

/// Every declared output, volatile ones too, has to be what that run left: later steps read it.
fn as_left(shared: &Shared<'_>, step: &Step, left: &[OutputDigest]) -> Result<(), String> {
    let patterns: Vec<&str> = step.outputs.iter().map(|output| output.path.as_str()).collect();
    if patterns.is_empty() {
        return Ok(());
    }
    let workspace = shared.plan.workspace.as_std_path();
    let found = files::digest_all(workspace, &patterns, Role::Output, &Quit::default());
    let found = found.map_err(|error| format!("its output {error}"))?;
    if let Some(gone) = found.missing.first() {
        return Err(format!("its output `{gone}` is gone"));
    }
    if found.files.iter().eq(left.iter().map(|output| &output.file)) {
        return Ok(());
    }
    let before: BTreeMap<&str, _> = left.iter().map(|output| (output.file.path.as_str(), &output.file)).collect();
    for file in &found.files {
        match before.get(file.path.as_str()) {
            None => return Err(format!("its output `{}` is new", file.path)),
            Some(before) if *before != file => return Err(format!("its output `{}` changed", file.path)),
            Some(_) => {}
        }
    }
    let now: BTreeSet<&str> = found.files.iter().map(|file| file.path.as_str()).collect();
    match before.keys().find(|path| !now.contains(*path)) {
        Some(gone) => Err(format!("its output `{gone}` is gone")),
        None => Ok(()),
    }
}

/// Whether each attempt judged the criteria of the plan of this run.
fn same_criteria(step: &Step, known: &Known) -> Result<(), String> {
    let same = |before: &CriterionResult, now: &Criterion| (before.tier, &before.text) == (now.tier, &now.text);
    // An attempt that could not even look has judged nothing.
    let mut judged = known.result.attempts.iter().map(|attempt| &attempt.criteria).filter(|all| !all.is_empty());
    let is_same = |all: &Vec<CriterionResult>| {
        all.len() == step.criteria.len() && all.iter().zip(&step.criteria).all(|(before, now)| same(before, now))
    };
    if judged.all(is_same) { Ok(()) } else { Err("its criteria changed".to_owned()) }
}

/// The result with the places that its criteria have in the plan of this run.
fn placed(shared: &Shared<'_>, step: &Step, mut known: Known) -> Choice {
    for attempt in &mut known.result.attempts {
        for (result, criterion) in attempt.criteria.iter_mut().zip(&step.criteria) {
            result.place = shared.locate(criterion);
        }
    }
    Choice::Reuse(Box::new(known))
}

/// The first part in which two forms of an action differ, as a person would say it.
fn difference(before: &str, now: &str) -> String {
    let parsed = |text: &str| serde_json::from_str::<Map<String, Json>>(text).unwrap_or_default();
    let (before, now) = (parsed(before), parsed(now));
    let part = |name: &str| (before.get(name).unwrap_or(&Json::Null), now.get(name).unwrap_or(&Json::Null));
    for name in ["action", "report", "cwd", "stdin", "env", "secrets", "criteria", "policy", "outputs", "values"] {
        let (old, new) = part(name);
        if old == new {
            continue;
        }
        return match (old, new) {
            (Json::Object(old), Json::Object(new)) if ["env", "policy"].contains(&name) => {
                let keys = old.keys().chain(new.keys());
                let key = keys.into_iter().find(|key| old.get(*key) != new.get(*key)).map_or("", |key| key);
                format!("its `{}{key}` changed", if name == "env" { "env." } else { "" })
            }
            _ if name == "action" => "what it does changed".to_owned(),
            _ if ["criteria", "secrets", "values"].contains(&name) => format!("its {name} changed"),
            _ => format!("its `{name}` changed"),
        };
    }
    let (old, new) = part("inputs");
    if let Some(told) = changed_file("its input", old, new) {
        return told;
    }
    let (old, new) = part("needs");
    let keys =
        |json: &Json| json.as_object().map(|map| map.keys().cloned().collect::<BTreeSet<_>>()).unwrap_or_default();
    match keys(old).union(&keys(new)).find(|name| old.get(name) != new.get(name)) {
        Some(name) => format!("`{name}`, which it needs, gave something else"),
        None => "its action changed".to_owned(),
    }
}

/// The first file of two lists that differs.
fn changed_file(what: &str, old: &Json, new: &Json) -> Option<String> {
    let by_path = |list: &Json| -> BTreeMap<String, Json> {
        let files = list.as_array().into_iter().flatten();
        files.filter_map(|file| Some((file.get("path")?.as_str()?.to_owned(), file.clone()))).collect()
    };
    let (old, new) = (by_path(old), by_path(new));
    let path = old.keys().chain(new.keys()).find(|path| old.get(*path) != new.get(*path))?;
    Some(match (old.get(path), new.get(path)) {
        (Some(_), None) => format!("{what} `{path}` is gone"),
        (None, _) => format!("{what} `{path}` is new"),
        _ => format!("{what} `{path}` changed"),
    })
}

/// What a run would do with each step, by step index; looks at the files as they are now and starts nothing.
#[must_use]
pub fn forecast(plan: &Plan, graph: &Graph, world: &World, keeper: &dyn Keeper, options: &Options) -> Vec<Forecast> {
    // What it would tell is of no interest.
    let (tell, _) = tokio::sync::mpsc::unbounded_channel();
    look_ahead(&Shared::new(plan, graph, world, keeper, options, tell))
}

/// The services that need not be started, because all that comes after them is reused or skipped.
pub(super) fn idle_services(shared: &Shared<'_>) -> BTreeSet<StepId> {
    let (plan, known) = (shared.plan, &shared.options.known);
    let candidate = |id: &StepId| is_service(plan.step(*id)) && known.borrow().contains_key(&plan.step(*id).name);
    if !plan.ids().any(|id| candidate(&id)) {
        return BTreeSet::new();
    }
    let (world, keeper) = (shared.world, shared.keeper);
    let all = forecast(plan, shared.graph, world, keeper, shared.options);
    plan.ids().filter(|id| candidate(id) && matches!(all[id.index()], Forecast::Reuse(_))).collect()
}

fn look_ahead(shared: &Shared<'_>) -> Vec<Forecast> {
    let (plan, graph) = (shared.plan, shared.graph);
    let mut all = vec![Forecast::Skip; plan.steps.len()];
    for &id in graph.order() {
        let fate = fate(shared, id, &all);
        match &fate {
            Forecast::Reuse(_) => {
                if let Some(Known { result, .. }) = shared.options.known.borrow().get(&plan.step(id).name)
                    && let Some(last) = result.attempts.last()
                {
                    let identity = result.action.clone().zip(result.action_preimage.clone());
                    let (outputs, values) = (result.outputs.clone(), result.values.clone());
                    let given = Given { identity, inputs: result.inputs.clone(), outputs, values };
                    shared.publish(id, result.state, &last.facts, &given);
                }
            }
            Forecast::Skip => shared.unrun(id, State::Skipped),
            Forecast::Execute(_) | Forecast::Deferred(_) => shared.executed(id),
        }
        all[id.index()] = fate;
    }
    for &id in graph.order().iter().rev() {
        if is_service(plan.step(id)) && matches!(all[id.index()], Forecast::Reuse(_)) {
            let after = graph.descendants(id);
            let runs = |other: &StepId| {
                after[other.index()] && !matches!(all[other.index()], Forecast::Reuse(_) | Forecast::Skip)
            };
            if let Some(user) = plan.ids().find(runs) {
                all[id.index()] = Forecast::Execute(Some(format!("`{}` needs it", plan.step(user).name)));
            }
        }
    }
    all
}

fn fate(shared: &Shared<'_>, id: StepId, all: &[Forecast]) -> Forecast {
    let (plan, step) = (shared.plan, shared.plan.step(id));
    let selected = |id: StepId| shared.options.selected.get(id.index()).copied().unwrap_or(true);
    if !selected(id) {
        return Forecast::Skip;
    }
    let left_out = |other: StepId| all[other.index()] == Forecast::Skip;
    let runs = |other: &StepId| matches!(all[other.index()], Forecast::Execute(_) | Forecast::Deferred(_));
    let blocked = step.needs.iter().any(|need| selected(need.step) && left_out(need.step));
    if blocked && matches!(step.run_when, RunWhen::Success | RunWhen::Completed) {
        return Forecast::Skip;
    }
    let deferred = |other: StepId| Forecast::Deferred(plan.step(other).name.clone());
    let before = || step.needs.iter().chain(&step.after).map(|need| need.step);
    match step.run_when {
        RunWhen::Failure => return before().find(|other| runs(other)).map_or(Forecast::Skip, deferred),
        _ if step.finally => return Forecast::Execute(None),
        _ => {}
    }
    // Whatever is known of it can't be held against what a step before it has yet to give.
    let mut given = before().chain(reads(shared, step));
    if let Some(other) = given.find(|other| runs(other) && !is_service(plan.step(*other))) {
        return deferred(other);
    }
    match attempt::conditions(shared, step) {
        Ok(None) => {}
        Ok(Some(_)) => return Forecast::Skip,
        Err(_) => return Forecast::Execute(None),
    }
    let all = shared.options.known.borrow();
    let Some(known) = all.get(&step.name) else { return Forecast::Execute(None) };
    match prepare::prepare(shared, id).map_err(|fault| fault.detail).and_then(|ready| judge(shared, id, known, &ready))
    {
        Ok(()) => Forecast::Reuse(known.run.clone()),
        Err(why) => Forecast::Execute(Some(why)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_difference_is_said() {
        let form = |change: &dyn Fn(&mut Json)| {
            let mut form = serde_json::json!({
                "action": {"run": ["x"]}, "cwd": ".", "env": {"A": "1"}, "criteria": [["pass", "exit == 0"]],
                "inputs": [{"path": "a", "sha256": "1"}, {"path": "b", "sha256": "2"}],
                "needs": {"up": {"outputs": [], "values": {}}}, "policy": {"retry.limit": "1"},
            });
            change(&mut form);
            form.to_string()
        };
        let base = form(&|_| {});
        for (change, told) in [
            (form(&|f| f["action"]["run"][0] = "y".into()), "what it does changed"),
            (form(&|f| f["env"]["B"] = "2".into()), "its `env.B` changed"),
            (form(&|f| f["policy"]["retry.limit"] = "3".into()), "its `retry.limit` changed"),
            (form(&|f| f["criteria"][0][1] = "exit == 1".into()), "its criteria changed"),
            (form(&|f| f["cwd"] = "sub".into()), "its `cwd` changed"),
            (form(&|f| f["inputs"][1]["sha256"] = "3".into()), "its input `b` changed"),
            (form(&|f| f["inputs"][1]["path"] = "c".into()), "its input `b` is gone"),
            (form(&|f| f["needs"]["up"]["values"]["v"] = "3".into()), "`up`, which it needs, gave something else"),
        ] {
            assert_eq!(difference(&base, &change), told);
        }
        assert_eq!(difference("", &base), "what it does changed");
    }
}
