//! `runplan judge`: the criteria of a plan on what a run recorded, and what that changes. Starts nothing, connects to
//! nothing and writes nothing.

mod facts;
mod told;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use camino::Utf8PathBuf;

use crate::cli::{Format, Judge};
use crate::criteria::{self, Criterion, Evidence, Root};
use crate::engine::rejudge::{self, Rejudged};
use crate::engine::{self, Options};
use crate::event::{Event, EventKind, PlanHead};
use crate::exit::Exit;
use crate::facts::{Facts, Value};
use crate::graph::{self, Graph};
use crate::outcome::{Cause, Decision, RunStatus, State};
use crate::plan::error::{self, Level};
use crate::plan::{self, LoadOptions, Plan};
use crate::record::project;
use crate::record::read::RecordFile;
use crate::record::{canonical, store};
use crate::report::rejudged;
use crate::report::terminal::{Stream, Terminal};

use super::again::{Begun, Refusal};
use super::load::{self, Ready};
use super::{judgement, log, sign};

/// A declared secret is never asked for; the loader only wants to know that it is there, and long enough.
const SOME_SECRET: &str = "a secret that nobody asks for";

/// A run with the plan kept with it.
struct Then {
    begun: Begun,
    record: RecordFile,
    plan: Arc<Plan>,
    graph: Graph,
    /// Day of the run.
    day: String,
}

/// How it comes out now.
struct Now {
    record: project::Record,
    steps: Vec<Rejudged>,
    decision: Decision,
}

pub(super) fn judge(ask: &Judge, terminal: &Terminal) -> Exit {
    match judged(ask, terminal) {
        Ok(exit) => exit,
        Err((text, exit)) => sign::failed(terminal, &text, exit),
    }
}

fn judged(ask: &Judge, terminal: &Terminal) -> Result<Exit, Refusal> {
    let log = log::open(&ask.run).map_err(|fault| (fault.text, fault.exit))?;
    let found = log.recovered().map_err(|fault| (fault.text, fault.exit))?;
    let record = log.checked_record(&found).map_err(|fault| (fault.text, fault.exit))?;
    let cut = found.cut > 0;
    let begun = Begun::of(&log, found.events)?;
    let Ready { loaded, graph } = begun.plan(&lookup, None)?;
    let day = begun.day();
    let then = Then { begun, record, plan: loaded.plan, graph, day };
    let other = match &ask.plan {
        Some(path) => Some(other_plan(path, ask, &then, terminal)?),
        None => None,
    };
    let (plan, graph) = match &other {
        Some(ready) => (&ready.loaded.plan, &ready.graph),
        None => (&then.plan, &then.graph),
    };
    let now = again(&then, &log, plan, graph, cut, other.is_none())?;
    let told = told::told(&then, &now, plan, ask.plan.as_deref());
    let text = match ask.format {
        Format::Human => rejudged::render(&told, terminal.look(Stream::Out)),
        Format::Json => told::as_json(&told),
    };
    terminal.write(Stream::Out, &text);
    if ask.plan.is_none() && !told.same {
        return Ok(Exit::Differs);
    }
    Ok(Exit::Run(RunStatus::Decided(now.decision.verdict)))
}

/// Variables are those of the record; nothing else of the environment counts.
fn lookup(name: &str) -> Option<String> {
    (!name.starts_with("RUNPLAN_VAR_")).then(|| SOME_SECRET.to_owned())
}

/// The plan to judge by, with the variables that the run had.
fn other_plan(path: &str, ask: &Judge, then: &Then, terminal: &Terminal) -> Result<Ready, Refusal> {
    let path = Utf8PathBuf::from(path);
    let load = |vars: Vec<(String, String)>| {
        let options = LoadOptions { today: &then.day, vars, var_files: Vec::new(), env: &lookup, strict: false };
        plan::load(&path, &options)
    };
    let declared = load(ask.vars.clone()).plan.vars.clone();
    let given = |name: &String| ask.vars.iter().any(|(own, _)| own == name);
    let kept = then.begun.vars().into_iter().filter(|(name, _)| declared.contains_key(name) && !given(name));
    let mut loaded = load(kept.chain(ask.vars.iter().cloned()).collect());
    let graph = match graph::build(&loaded.plan) {
        Ok(graph) => Some(graph),
        Err(faults) => {
            loaded.diagnostics.extend(faults);
            None
        }
    };
    loaded.diagnostics.retain(|fault| fault.severity == Level::Error);
    match graph.filter(|_| loaded.diagnostics.is_empty()) {
        Some(graph) => {
            if then.begun.asked_for_some() {
                Arc::make_mut(&mut loaded.plan).signoffs = None;
            }
            Ok(Ready { loaded, graph })
        }
        None => {
            let look = terminal.look(Stream::Err);
            let text = error::render_human(&loaded.diagnostics, &loaded.plan.sources, look.colour, look.width);
            terminal.write(Stream::Err, &text);
            Err((format!("nothing is judged by `{path}`: it can't be read as a plan"), Exit::Usage))
        }
    }
}

fn again(then: &Then, log: &log::Log, plan: &Plan, graph: &Graph, cut: bool, own: bool) -> Result<Now, Refusal> {
    let bug = |error: &dyn std::fmt::Display| (format!("the run can't be judged again: {error}"), Exit::Bug);
    let (recorded, compared) = facts::gather(then, log, plan, cut);
    let out: BTreeSet<&str> =
        then.record.steps.iter().filter(|l| l.cause == Some(Cause::Filtered)).map(|l| l.id.as_str()).collect();
    let options = Options {
        jobs: 1,
        shuffled: None,
        grace: Duration::ZERO,
        selected: plan.steps.iter().map(|step| !out.contains(step.name.as_str())).collect(),
        durations: BTreeMap::new(),
        ratchets: facts::ratchets(then, plan, &recorded),
        baselines: compared,
        waivers: plan.waivers_on(&then.day),
        run: then.begun.id.clone(),
        known: RefCell::default(),
    };
    let at = then.begun.events.first().map_or(0, |event| event.at);
    let steps = rejudge::rejudge(plan, graph, &options, &recorded, at);
    let head = if own { then.begun.head.clone() } else { head(then, plan).map_err(|error| bug(&error))? };
    let open = EventKind::Open {
        plan: head.into(),
        settings: then.begun.settings.clone().into(),
        steps: engine::heads::steps(plan, graph),
    };
    let event = |kind| Event { at, mono: 0, kind };
    let mut events = vec![event(open)];
    let commits = plan.ids().zip(&steps);
    events.extend(
        commits.map(|(step, judged)| event(EventKind::Commit { step, result: Box::new(judged.result.clone()) })),
    );
    let record = project::project(&events).map_err(|error| bug(&error))?;
    let unsigned = engine::unsigned(record.run.policy.signoffs.as_ref());
    let decision = judgement::decision(&record.run, &record.steps, None, &unsigned);
    Ok(Now { record, steps, decision })
}

/// The head of a run of this plan at the time of the run.
fn head(then: &Then, plan: &Plan) -> Result<PlanHead, canonical::CanonicalError> {
    Ok(PlanHead {
        name: plan.name.clone(),
        title: plan.title.clone(),
        path: plan.path.clone(),
        sha256: store::plan_digest(&plan.sources),
        norm_sha256: load::meaning(plan)?,
        vars: plan.vars.iter().map(|(name, var)| (name.clone(), plan::shown(&var.value))).collect(),
        on_failure: plan.on_failure.word().to_owned(),
        go: plan.decision.go,
        no_go: plan.decision.no_go,
        risks: risks(then, plan),
        signoffs: plan.signoffs.clone(),
        date: (!plan.waivers.is_empty()).then(|| then.day.clone()),
        ..then.begun.head.clone()
    })
}

/// Declared risk factors that apply. One that rests on the environment is as it was, or, where the run had none of that
/// name, applies: unknown is not safe.
fn risks(then: &Then, plan: &Plan) -> Vec<(String, u32)> {
    let vars: BTreeMap<String, Value> = plan.vars.iter().map(|(name, var)| (name.clone(), var.value.clone())).collect();
    let (facts, steps, env) = (Facts::default(), BTreeMap::new(), BTreeMap::new());
    let evidence = Evidence {
        facts: &facts,
        samples: &[],
        steps: &steps,
        vars: &vars,
        env: &env,
        ratchet: None,
        baseline: None,
        allow_no_baseline: None,
        now: then.begun.events.first().map_or(0, |event| event.at),
    };
    let outside = |criterion: &Criterion| criterion.roots().iter().any(|root| matches!(root, Root::Env(_)));
    let applies = |risk: &&plan::Risk| {
        let had = then.plan.risks.iter().any(|old| old.id == risk.id);
        risk.when.iter().all(|criterion| match outside(criterion) {
            true if had => then.begun.head.risks.iter().any(|(id, _)| *id == risk.id),
            true => true,
            false => criteria::evaluate(criterion, &evidence, String::new()).state != State::Fail,
        })
    };
    let mut found: Vec<_> =
        plan.risks.iter().filter(applies).map(|risk| (risk.id.clone(), risk.weight_permille)).collect();
    found.sort();
    found
}
