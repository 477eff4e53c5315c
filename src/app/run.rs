//! `runplan PLAN`: takes the workspace, runs the engine, writes journal and record, says the decision.

mod outlets;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

use crate::act::contain;
use crate::cli::{self, Run};
use crate::criteria::{self, Evidence};
use crate::decide;
use crate::digest::sha256_hex;
use crate::engine::{self, Options};
use crate::event::{Event, EventKind, PlanHead, Settings, Sink};
use crate::exit::Exit;
use crate::facts::{Facts, Value};
use crate::graph::{self, Graph};
use crate::ids::StepId;
use crate::mask::Mask;
use crate::outcome::{Decision, RunStatus, State};
use crate::plan::{self, Plan, ratchet};
use crate::record::gather::Gathered;
use crate::record::journal::{Durability, Journal};
use crate::record::{self, store};
use crate::report::terminal::{Stream, Terminal};
use crate::report::{self, Reporter};

use super::github;
use super::judgement;
use super::load::{self, Ready};
use super::lock;
use super::readiness;
use super::reuse::{self, Source};
use super::view;
use super::world::{self, Kept};
use outlets::Outlets;

/// How many bytes of one action's time between TERM and KILL a plan can't change.
const GRACE: std::time::Duration = std::time::Duration::from_secs(5);

pub(super) fn run(command: &Run, terminal: &Terminal) -> Exit {
    let Some((ready, selected)) = asked(command, terminal) else { return Exit::Usage };
    let plan = &ready.loaded.plan;
    let logs = match &command.log_dir {
        Some(folder) => std::fs::create_dir_all(folder).and_then(|()| std::path::absolute(folder)),
        None => Ok(plan.workspace.clone().into_std_path_buf()),
    };
    let logs = match logs {
        Ok(logs) => logs,
        Err(error) => {
            let folder = command.log_dir.as_deref().unwrap_or_default();
            return tell(Trouble::NoLog(format!("`{folder}`: {error}")), terminal);
        }
    };
    let order = Order {
        ready: &ready,
        selected,
        select: command.selection.words(),
        jobs: command.jobs,
        shuffle: command.shuffle,
        shown: command.shown,
        wait: command.wait,
        logs,
        today: command.plan.date.clone().unwrap_or_else(world::today),
        again: view::command_again(command, plan),
        source: match (command.no_reuse, command.force) {
            (true, _) => Source::Off,
            (false, true) => Source::Force,
            (false, false) => Source::Workspace,
        },
        head: None,
        like: None,
    };
    go(&order, terminal)
}

/// The plan as it would be run, and which steps of it, if a lock allows it; says what is wrong.
pub(super) fn asked(command: &Run, terminal: &Terminal) -> Option<(Ready, Vec<bool>)> {
    let mut ready = load::ready(&command.plan, terminal)?;
    if let Some(mode) = command.on_failure {
        let plan = Arc::make_mut(&mut ready.loaded.plan);
        plan.on_failure = mode;
        plan.steps.iter_mut().for_each(|step| step.on_failure = mode);
    }
    let selected = match graph::select(&ready.loaded.plan, &ready.graph, &command.selection) {
        Ok(selected) => selected,
        Err(faults) => {
            faults.iter().for_each(|fault| terminal.write(Stream::Err, &format!("runplan: {fault}\n")));
            return None;
        }
    };
    // People approve a whole plan: a run of some steps by name asks nobody.
    if !command.selection.steps.is_empty() || !command.selection.tags.is_empty() {
        Arc::make_mut(&mut ready.loaded.plan).signoffs = None;
    }
    if let Some(file) = &command.locked {
        match lock::hold(file, &ready.loaded.plan, &command.selection.words()) {
            Ok(None) => {}
            Ok(Some(note)) => terminal.write(Stream::Err, &format!("runplan: {note}\n")),
            Err(text) => {
                terminal.write(Stream::Err, &format!("runplan: {text}\n"));
                return None;
            }
        }
    }
    Some((ready, selected))
}

/// What to run and how, however it was asked for.
pub(super) struct Order<'a> {
    pub(super) ready: &'a Ready,
    /// One flag a step.
    pub(super) selected: Vec<bool>,
    /// The selection as words.
    pub(super) select: Vec<String>,
    pub(super) jobs: Option<u32>,
    /// Ready steps start in a random order; 0 takes a seed of the run's own.
    pub(super) shuffle: Option<u32>,
    pub(super) shown: cli::ProgressArgs,
    pub(super) wait: bool,
    /// The folder that has `.runplan`.
    pub(super) logs: PathBuf,
    /// The day of the run.
    pub(super) today: String,
    /// The command line that does it again.
    pub(super) again: String,
    /// Where earlier results come from.
    pub(super) source: Source,
    /// The head of the run that goes on.
    pub(super) head: Option<PlanHead>,
    /// What it takes from the run that it repeats.
    pub(super) like: Option<Like>,
}

/// What a run that repeats another one has to be given as that one had it.
pub(super) struct Like {
    /// What steps with a `baseline` are compared with.
    pub(super) baselines: BTreeMap<String, record::baseline::Seen>,
    /// What ratchets asked for.
    pub(super) ratchets: BTreeMap<String, Value>,
    /// The store with the signatures that gates look for.
    pub(super) gates: PathBuf,
}

impl Order<'_> {
    /// The store with people's signatures.
    fn gates<'s>(&'s self, own: &'s std::path::Path) -> &'s std::path::Path {
        self.like.as_ref().map_or(own, |like| &like.gates)
    }

    /// What ratchets ask for.
    fn ratchets(&self, plan: &Plan) -> Result<BTreeMap<String, Value>, Trouble> {
        let mut values = ratchet::values(plan).map_err(Trouble::Refused)?;
        let then = self.like.iter().flat_map(|like| &like.ratchets);
        values.extend(then.map(|(step, value)| (step.clone(), value.clone())));
        Ok(values)
    }

    /// The run that goes on.
    fn resumed(&self) -> Option<&str> {
        match &self.source {
            Source::Run(passed) if passed.resume => Some(&passed.run),
            _ => None,
        }
    }
}

/// Runs what was ordered and says the decision.
pub(super) fn go(order: &Order<'_>, terminal: &Terminal) -> Exit {
    match record_run(order, terminal) {
        Ok(exit) => exit,
        Err(trouble) => tell(trouble, terminal),
    }
}

fn tell(trouble: Trouble, terminal: &Terminal) -> Exit {
    match trouble {
        Trouble::Refused(text) => {
            terminal.write(Stream::Err, &format!("runplan: {text}\n"));
            Exit::Usage
        }
        Trouble::NoLog(text) => {
            terminal.write(Stream::Err, &format!("runplan: no run log can be written: {text}; nothing was run\n"));
            Exit::Unrecorded
        }
        Trouble::Unrecorded(error) => {
            let text = format!("runplan: the run log could not be written: {error}\n");
            terminal.write(Stream::Err, &format!("{text}runplan: everything was ended; the result is unknown\n"));
            Exit::Unrecorded
        }
    }
}

/// Why there is no result.
enum Trouble {
    /// Nothing ran.
    Refused(String),
    /// Nothing ran: there is no place for a run log.
    NoLog(String),
    /// The journal or the record is not safe.
    Unrecorded(io::Error),
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::Unrecorded(error)
    }
}

fn record_run(order: &Order<'_>, terminal: &Terminal) -> Result<Exit, Trouble> {
    let (ready, plan) = (order.ready, &order.ready.loaded.plan);
    let store = Rc::new(store::Store::open(&order.logs, order.wait).map_err(refused)?);
    let run = match order.resumed() {
        Some(id) => resume(&store, id)?,
        None => begin(&store)?,
    };
    let plan_files = match order.resumed() {
        Some(_) => None,
        None => Some(run.snapshot(&plan.sources).map_err(|e| Trouble::Unrecorded(io::Error::other(e)))?),
    };
    let jobs = order.jobs.unwrap_or_else(processors);
    let baselines = match &order.like {
        Some(like) => like.baselines.clone(),
        None => record::baseline::last_passing(&store, &plan.name, &plan.steps_with_baseline()),
    };
    let mut settings = settings(plan, run.id(), jobs);
    settings.plan_files = plan_files;
    settings.shuffle =
        order.shuffle.map(|seed| if seed == 0 { (number_of(run.id()) >> 32).max(1) } else { seed.into() });
    settings.baselines = baselines.iter().map(|(step, seen)| (step.clone(), seen.run.clone())).collect();
    let mut world =
        world::world(plan, order.gates(store.root()), &order.today).map_err(|e| Trouble::Refused(e.to_string()))?;
    let head = match &order.head {
        Some(head) => head.clone(),
        None => head(plan, order, &world.env)?,
    };
    let variables = reuse::inherited(plan, &world.env);
    let known = reuse::known(&order.source, plan, &store, &variables, &settings.baselines);
    let options = Options {
        jobs,
        shuffled: settings.shuffle.map(|seed| shuffled(seed, plan.steps.len())),
        grace: GRACE,
        selected: order.selected.clone(),
        durations: store.durations(&plan.name),
        baselines: baselines.into_iter().map(|(step, seen)| (step, seen.looks)).collect(),
        ratchets: order.ratchets(plan)?,
        waivers: plan.waivers_on(&order.today),
        run: run.id().to_owned(),
        known: RefCell::new(known),
    };
    let mut journal = open_journal(order, &run, &mut world, &settings, terminal)?;
    reuse::note_inherited(run.path(), &record::reuse::inherited_digest(run.id(), &variables))?;
    terminal.detach();
    let reporter = reporter(order, &run, &options, terminal)?;
    journal.batch();
    let workspace = plan.workspace.as_str();
    let gathered = Gathered::new(&head, workspace, plan.steps.len(), run.path());
    let open = EventKind::Open {
        plan: head.into(),
        settings: settings.into(),
        steps: engine::heads::steps(plan, &ready.graph),
    };
    let mut outlet = Outlets::new(journal, reporter, terminal, (plan, &ready.graph), gathered);
    outlet.resumed = order.resumed().is_some();
    terminal.hold(true);
    let keeper = Kept { store: Rc::clone(&store), run: Rc::clone(&run) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(4).build()?;
    let local = tokio::task::LocalSet::new();
    let going = engine::run(plan, &ready.graph, &world, &keeper, &options, open, &mut outlet);
    let (outcome, strays) = runtime.block_on(local.run_until(async {
        let outcome = going.await;
        (outcome, contain::sweep_all(run.id()).await)
    }));
    runtime.shutdown_timeout(std::time::Duration::from_millis(200));
    terminal.hold(false);
    for note in strays {
        terminal.write(Stream::Err, &format!("runplan: {}\n", note.text));
    }
    let closed = outcome.and_then(|over| close(&mut outlet, &store, &run, &over));
    outlet.reporter.finish();
    let status = closed?;
    after(order, &store, &run, &outlet.kept, &variables, terminal);
    drop(outlet);
    publish(order, &run, status, terminal);
    Ok(Exit::Run(status))
}

/// Reports that the plan asks for, and what a job is told.
fn publish(order: &Order<'_>, run: &store::RunDir, status: RunStatus, terminal: &Terminal) {
    if let (RunStatus::Decided(_), false) = (status, order.ready.loaded.plan.reports.is_empty()) {
        readiness::after_run(run.path(), &order.today, terminal);
    }
    // Whoever repeats a run to hold it against the first one does not speak for a job.
    if github::is_here() && !github::is_nested() && order.like.is_none() {
        github::publish(run.path(), status, &order.today, terminal);
    }
}

/// The reporter that was asked for. Where GitHub runs it, the log is one of GitHub's, with everything that steps wrote: it
/// is folded there.
fn reporter(
    order: &Order<'_>,
    run: &Rc<store::RunDir>,
    options: &Options,
    terminal: &Terminal,
) -> io::Result<Box<dyn Reporter>> {
    use report::{Output, Progress};
    let mode = match order.shown.progress() {
        Progress::Auto if github::is_here() && order.like.is_none() => Progress::Github,
        mode => mode,
    };
    let on_github = mode == Progress::Github;
    let output = order.shown.output().unwrap_or(if on_github { Output::All } else { Output::Failed });
    let mut context = view::context(order.again.clone(), order.ready, run, options, output);
    if on_github {
        github::prepare(&mut context)?;
    }
    Ok(report::make(mode, terminal.clone(), context))
}

/// Leaves to later runs what they may reuse.
fn after(
    order: &Order<'_>,
    store: &store::Store,
    run: &store::RunDir,
    events: &[Event],
    variables: &BTreeMap<String, Vec<u8>>,
    terminal: &Terminal,
) {
    if matches!(order.source, Source::Off) {
        return;
    }
    if let Err(error) = reuse::leave(&order.source, store, &order.ready.loaded.plan, run.id(), events, variables) {
        // Only a cache: the next run executes what it would have found there.
        terminal.write(Stream::Err, &format!("runplan: nothing is left to later runs: {error}\n"));
    }
}

/// A new journal, or that of the run that goes on: its torn tail is cut off, and its clock goes on.
fn open_journal(
    order: &Order<'_>,
    run: &store::RunDir,
    world: &mut engine::World,
    settings: &Settings,
    terminal: &Terminal,
) -> Result<Journal, Trouble> {
    let mask = world.mask.clone().map(masker);
    if order.resumed().is_none() {
        return Ok(Journal::create(run.path(), Durability::Full, mask)?);
    }
    match contain::end_left(&format!("{}/", run.id())) {
        0 => {}
        n => {
            let text = format!("runplan: ended {} that the run had left\n", report::format::count(n, "process"));
            terminal.write(Stream::Err, &text.replace("processs", "processes"));
        }
    }
    let (mut journal, mono) = Journal::reopen(run.path(), Durability::Full, mask)?;
    let gone = std::time::Duration::from_nanos(mono);
    world.start = world.start.checked_sub(gone).unwrap_or(world.start);
    run.drop_record().map_err(|e| Trouble::Unrecorded(io::Error::other(e)))?;
    journal.event(&Event { at: world::now(), mono, kind: EventKind::Resume { settings: settings.clone().into() } })?;
    Ok(journal)
}

fn refused(error: store::StoreError) -> Trouble {
    match error {
        store::StoreError::Io { .. } => Trouble::NoLog(error.to_string()),
        other => Trouble::Refused(other.to_string()),
    }
}

fn begin(store: &store::Store) -> Result<Rc<store::RunDir>, Trouble> {
    let since = jiff::Timestamp::from_millisecond(world::now()).map(|at| at.to_string()).unwrap_or_default();
    let id = store::run_id(world::now(), world::random()?);
    let run = store.begin(&id, std::process::id(), &since).map_err(|e| Trouble::Unrecorded(io::Error::other(e)))?;
    Ok(Rc::new(run))
}

fn resume(store: &store::Store, id: &str) -> Result<Rc<store::RunDir>, Trouble> {
    let since = jiff::Timestamp::from_millisecond(world::now()).map(|at| at.to_string()).unwrap_or_default();
    Ok(Rc::new(store.resume(id, std::process::id(), &since).map_err(refused)?))
}

fn masker(mask: Arc<Mask>) -> record::journal::MaskFn {
    Arc::new(move |text| mask.text(text))
}

fn processors() -> u32 {
    std::thread::available_parallelism().map_or(2, |n| u32::try_from(n.get()).unwrap_or(2))
}

/// Projects the record, writes it once, closes the journal.
fn close(
    outlet: &mut Outlets<'_>,
    store: &store::Store,
    run: &store::RunDir,
    over: &engine::Outcome,
) -> io::Result<RunStatus> {
    let (status, decision, plan) = (over.status, &over.decision, outlet.plan);
    let at = world::now();
    let (began, mono) = outlet.span.unwrap_or_default();
    let name = |id: StepId| plan.step(id).name.clone();
    let mut id = None;
    if matches!(status, RunStatus::Decided(_)) {
        // A record that its journal does not bear out must not be there after a power failure.
        outlet.journal.sync()?;
        let (graph, gathered) = (outlet.graph, &mut outlet.gathered);
        gathered.settle(graph.order(), &name).map_err(io::Error::other)?;
        let again = judged(plan, graph, gathered);
        debug_assert_eq!(again, *decision, "the record decides as the engine did");
        let head = |id: StepId| engine::heads::step(plan, graph, id);
        let written = run.write_record_with(|out| gathered.write(graph.order(), &head, &again, out));
        id = Some(written.map_err(io::Error::other)?);
        if let Err(error) = ratchet::raise(plan, &over.reached) {
            let text = format!("the ratchet file could not be written: {error}");
            outlet.event(&Event { at, mono, kind: EventKind::Warn { step: None, code: "ratchet".into(), text } })?;
        }
    }
    outlet.event(&Event { at, mono, kind: EventKind::Close { status, record: id.clone() } })?;
    store.set_latest(run.id()).map_err(io::Error::other)?;
    if let Some(record) = id {
        let line = record::index::IndexLine {
            run: run.id().to_owned(),
            at: began,
            duration_ns: mono,
            plan: plan.name.clone(),
            norm_sha256: outlet.gathered.run().plan.norm_sha256.clone(),
            verdict: decision.verdict,
            risk: decision.risk,
            record,
            durations: outlet.gathered.durations(&name),
        };
        store.remember(&line).map_err(io::Error::other)?;
        let steps = outlet.gathered.history(run.id(), &line.record, &name)?;
        store.remember_lines(&steps).map_err(io::Error::other)?;
    }
    Ok(status)
}

/// What the record decides.
fn judged(plan: &Plan, graph: &Graph, gathered: &Gathered) -> Decision {
    let view = |id: &StepId| {
        let (step, (state, cause)) = (plan.step(*id), gathered.ended(*id)?);
        Some(decide::StepView {
            id: step.name.clone(),
            required: step.required,
            finally: step.finally,
            state,
            cause: cause.cloned(),
            weight_permille: step.weight_permille(),
        })
    };
    let views: Vec<decide::StepView> = graph.order().iter().filter_map(view).collect();
    judgement::of_views(gathered.run(), &views, &engine::unsigned(plan.signoffs.as_ref()))
}

fn settings(plan: &Plan, run: &str, jobs: u32) -> Settings {
    Settings {
        run: run.to_owned(),
        jobs,
        shuffle: None,
        engine: env!("CARGO_PKG_VERSION").to_owned(),
        host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
        pid: std::process::id(),
        workspace: plan.workspace.to_string(),
        containment: contain::enable().word().to_owned(),
        baselines: BTreeMap::new(),
        plan_files: None,
        reports: plan.reports.clone(),
    }
}

/// A number that looks random and is the same for the same text.
fn number_of(text: &str) -> u64 {
    u64::from_str_radix(&sha256_hex(text.as_bytes())[..16], 16).unwrap_or(0)
}

/// One random number a step, the same for the same seed.
fn shuffled(seed: u64, steps: usize) -> Vec<u64> {
    (0..steps).map(|step| number_of(&format!("{seed} {step}"))).collect()
}

pub(super) fn head(plan: &Plan, order: &Order<'_>, env: &BTreeMap<String, std::ffi::OsString>) -> io::Result<PlanHead> {
    let vars = plan.vars.iter().map(|(name, var)| (name.clone(), plan::shown(&var.value))).collect();
    Ok(PlanHead {
        name: plan.name.clone(),
        title: plan.title.clone(),
        path: plan.path.clone(),
        sha256: store::plan_digest(&plan.sources),
        norm_sha256: load::meaning(plan).map_err(io::Error::other)?,
        vars,
        env_pass: plan.env.pass.clone(),
        env_set: plan.env.set.iter().map(|(name, text)| (name.clone(), text.src.clone())).collect(),
        secrets: plan.secrets.iter().map(|secret| secret.name.clone()).collect(),
        select: order.select.clone(),
        on_failure: plan.on_failure.word().to_owned(),
        go: plan.decision.go,
        no_go: plan.decision.no_go,
        risks: risks(plan, env),
        signoffs: plan.signoffs.clone(),
        date: (!plan.waivers.is_empty()).then(|| order.today.clone()),
    })
}

/// Declared risk factors that apply.
fn risks(plan: &Plan, env: &BTreeMap<String, std::ffi::OsString>) -> Vec<(String, u32)> {
    let vars: BTreeMap<String, Value> = plan.vars.iter().map(|(name, var)| (name.clone(), var.value.clone())).collect();
    let env = env.iter().filter_map(|(n, v)| Some((n.clone(), v.to_str()?.to_owned()))).collect();
    let (facts, steps) = (Facts::default(), BTreeMap::new());
    let evidence = Evidence {
        facts: &facts,
        samples: &[],
        steps: &steps,
        vars: &vars,
        env: &env,
        ratchet: None,
        baseline: None,
        allow_no_baseline: None,
        now: world::now(),
    };
    // A factor whose condition can't be told applies: unknown is not safe.
    let applies =
        |criterion: &criteria::Criterion| criteria::evaluate(criterion, &evidence, String::new()).state != State::Fail;
    let mut risks: Vec<_> = plan
        .risks
        .iter()
        .filter(|risk| risk.when.iter().all(applies))
        .map(|risk| (risk.id.clone(), risk.weight_permille))
        .collect();
    risks.sort();
    risks
}
