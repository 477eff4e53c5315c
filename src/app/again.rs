//! `resume` and `rerun`: the plan kept with a run is run again, with the run's own variables and what passed in it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};

use crate::cli::{AgainArgs, Rerun, Resume};
use crate::digest::sha256_hex;
use crate::event::{Event, EventKind, PlanHead, Settings, StepHead};
use crate::exit::Exit;
use crate::graph::{self, Selection};
use crate::outcome::RunStatus;
use crate::plan::error::{self, Level};
use crate::plan::{self, LoadOptions, Loaded, Plan};
use crate::policy::OnFailure;
use crate::record::reuse::{Earlier, Successes};
use crate::record::{read, store};
use crate::report::format;
use crate::report::terminal::{Stream, Terminal};

use super::load::{self, Ready};
use super::log::Log;
use super::past;
use super::reuse::{Passed, Source};
use super::run::{self, Order};
use super::world;

/// A child that was being started when its engine was killed holds the lock until it runs another program.
const DYING: Duration = Duration::from_secs(1);

/// A run as far as its journal goes, finished or not.
pub(super) struct Begun {
    pub(super) id: String,
    pub(super) dir: PathBuf,
    pub(super) logs: PathBuf,
    pub(super) head: PlanHead,
    pub(super) settings: Settings,
    pub(super) steps: Vec<StepHead>,
    pub(super) events: Vec<Event>,
}

/// Why it can't be gone on with.
pub(super) type Refusal = (String, Exit);

fn wrong(text: String) -> Refusal {
    (text, Exit::Usage)
}

pub(super) fn resume(command: &Resume, terminal: &Terminal) -> Exit {
    let asked = || -> Result<(Begun, Ready, BTreeMap<String, Earlier>), Refusal> {
        let (begun, results) = Begun::read(command.run.as_deref())?;
        let status = begun.events.iter().rev().find_map(|event| match &event.kind {
            EventKind::Close { status, .. } => Some(*status),
            EventKind::Resume { .. } => Some(RunStatus::Interrupted(0)),
            _ => None,
        });
        if let Some(RunStatus::Decided(verdict)) = status
            && begun.dir.join(store::RECORD_FILE).is_file()
        {
            let id = &begun.id;
            return Err(wrong(format!(
                "run `{id}` is complete ({verdict}), there is nothing to go on with; `runplan rerun {id} --failed` runs again what did not pass"
            )));
        }
        let ready = begun.plan(&super::variable, Some(terminal))?;
        Ok((begun, ready, results))
    };
    let (begun, ready, results) = match asked() {
        Ok(found) => found,
        Err(refusal) => return refused(refusal, terminal),
    };
    let told = format!(
        "goes on with run {}: {} of {} had passed",
        begun.id,
        results.len(),
        format::count(begun.steps.len(), "step")
    );
    terminal.write(Stream::Err, &format!("runplan: {told}\n"));
    again(&begun, &ready, results, &command.again, true, terminal)
}

pub(super) fn rerun(command: &Rerun, terminal: &Terminal) -> Exit {
    let asked = || -> Result<(Begun, Ready, BTreeMap<String, Earlier>), Refusal> {
        let (begun, mut results) = Begun::read(Some(&command.run))?;
        let ready = begun.plan(&super::variable, Some(terminal))?;
        if let Some(from) = &command.from {
            let plan = &ready.loaded.plan;
            let selection = Selection { from: vec![from.clone()], ..Selection::default() };
            let again = graph::select(plan, &ready.graph, &selection).map_err(|faults| wrong(faults.join("\n")))?;
            let again: HashSet<&str> =
                plan.ids().filter(|id| again[id.index()]).map(|id| plan.step(id).name.as_str()).collect();
            results.retain(|name, _| !again.contains(name.as_str()));
        }
        Ok((begun, ready, results))
    };
    let (begun, ready, results) = match asked() {
        Ok(found) => found,
        Err(refusal) => return refused(refusal, terminal),
    };
    let names: Vec<&str> = begun.steps.iter().map(|head| head.name.as_str()).collect();
    let taken: Vec<&str> = names.iter().copied().filter(|name| results.contains_key(*name)).collect();
    let list = if taken.is_empty() { String::new() } else { format!(": {}", format::names(&taken, 12)) };
    let told =
        format!("takes over {} of {} from run {}{list}", taken.len(), format::count(names.len(), "step"), begun.id);
    terminal.write(Stream::Err, &format!("runplan: {told}\n"));
    again(&begun, &ready, results, &command.again, false, terminal)
}

fn refused((text, exit): Refusal, terminal: &Terminal) -> Exit {
    terminal.write(Stream::Err, &format!("runplan: {text}\n"));
    exit
}

fn again(
    begun: &Begun,
    ready: &Ready,
    results: BTreeMap<String, Earlier>,
    args: &AgainArgs,
    resume: bool,
    terminal: &Terminal,
) -> Exit {
    let plan = &ready.loaded.plan;
    let selection = Selection::of_words(&begun.head.select);
    let selected = match graph::select(plan, &ready.graph, &selection) {
        Ok(selected) => selected,
        Err(faults) => return refused(wrong(faults.join("\n")), terminal),
    };
    let passed =
        Passed { run: begun.id.clone(), results: results.into(), baselines: begun.settings.baselines.clone(), resume };
    let order = Order {
        ready,
        selected,
        select: begun.head.select.clone(),
        jobs: args.jobs,
        shuffle: args.shuffle,
        shown: args.shown,
        wait: args.wait,
        logs: begun.logs.clone(),
        today: begun.head.date.clone().filter(|_| resume).unwrap_or_else(world::today),
        again: begun.command(),
        source: Source::Run(Box::new(passed)),
        head: resume.then(|| begun.head.clone()),
        like: None,
    };
    run::go(&order, terminal)
}

/// The command line that runs a plan with the variables of a run.
pub(super) fn command(head: &PlanHead) -> String {
    let var = |(name, value): (String, String)| format!("--var {}", format::shell_word(&format!("{name}={value}")));
    let words = ["runplan".to_owned(), format::shell_word(&head.path)];
    words.into_iter().chain(vars(head).into_iter().map(var)).collect::<Vec<_>>().join(" ")
}

fn vars(head: &PlanHead) -> Vec<(String, String)> {
    let given = |(name, text): (&String, &String)| {
        let list = serde_json::from_str::<Vec<String>>(text);
        (name.clone(), list.map_or_else(|_| text.clone(), |list| list.join(",")))
    };
    head.vars.iter().map(given).collect()
}

/// A path as it works where the person stands.
fn seen_from_here(path: &Utf8Path) -> String {
    let here = std::env::current_dir().ok().and_then(|here| Utf8PathBuf::from_path_buf(here).ok());
    here.and_then(|here| path.strip_prefix(here).ok()).unwrap_or(path).to_string()
}

impl Begun {
    /// Reads the run that somebody names, without a name the newest one; and what passed in it. Of what happened only how its
    /// parts began and ended is kept.
    fn read(named: Option<&str>) -> Result<(Self, BTreeMap<String, Earlier>), Refusal> {
        let dir = match named {
            Some(named) => past::find(named),
            None => past::newest(),
        };
        let dir = dir.map_err(|fault| (fault.text, fault.exit))?;
        if past::is_imported(&dir) {
            let help = "run it again where it ran, or run the plan here anew";
            return Err(wrong(format!(
                "run `{}` was imported: it ran on another machine; {help}",
                named.unwrap_or("")
            )));
        }
        let logs = dir.ancestors().nth(3).map(Path::to_owned).unwrap_or_default();
        let id = dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let told = |error: &dyn std::fmt::Display| wrong(format!("run `{id}`: {error}"));
        let store = store::Store::reader(&logs).map_err(|e| told(&e))?;
        let patience = Instant::now() + DYING;
        while store.is_live(&id).map_err(|e| told(&e))? {
            if Instant::now() > patience {
                return Err(told(&"it is going on"));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let mut events = Vec::new();
        let mut passed = Successes::new(&id, &|_| true);
        let is_edge = |event: &Event| {
            matches!(event.kind, EventKind::Open { .. } | EventKind::Resume { .. } | EventKind::Close { .. })
        };
        let take = &mut |event| events.extend(passed.take(event).filter(is_edge));
        read::recover_file_each(&dir, take).map_err(|error| match error {
            read::ReadError::Io(..) => told(&error),
            other => (format!("run `{id}`: {other}"), Exit::Corrupt),
        })?;
        let Some(EventKind::Open { plan, settings, steps }) = events.first_mut().map(|event| &mut event.kind) else {
            return Err(told(&"it ended before anything was written down; run the plan anew"));
        };
        let (head, settings, steps) = (PlanHead::clone(plan), Settings::clone(settings), std::mem::take(steps));
        let passed = passed.finish();
        Ok((Self { id, dir, logs, head, settings, steps, events }, passed))
    }

    /// The run of a log that was read already.
    pub(super) fn of(log: &Log, events: Vec<Event>) -> Result<Self, Refusal> {
        let Some(EventKind::Open { plan, settings, steps }) = events.first().map(|event| event.kind.clone()) else {
            return Err(wrong(format!("run `{}`: the journal does not say what was run", log.id)));
        };
        let logs = log.home.clone().unwrap_or_else(|| log.dir.clone());
        Ok(Self { id: log.id.clone(), dir: log.dir.clone(), logs, head: *plan, settings: *settings, steps, events })
    }

    /// Where the main plan file lies, or lay.
    pub(super) fn main(&self) -> Utf8PathBuf {
        Utf8Path::new(&self.settings.workspace).join(&self.head.path)
    }

    /// The command line that runs its plan.
    pub(super) fn command(&self) -> String {
        command(&PlanHead { path: seen_from_here(&self.main()), ..self.head.clone() })
    }

    /// The variables as they can be given on the command line.
    pub(super) fn vars(&self) -> Vec<(String, String)> {
        vars(&self.head)
    }

    /// The plan that was kept with the run, as it was run: with its variables and modes. `env` tells whether secrets are
    /// there; a terminal is told what changed since.
    pub(super) fn plan(
        &self,
        env: &dyn Fn(&str) -> Option<String>,
        terminal: Option<&Terminal>,
    ) -> Result<Ready, Refusal> {
        let told = |text: &str| wrong(format!("run `{}`: {text}", self.id));
        let texts = self.texts(terminal)?;
        let main = Utf8PathBuf::from(seen_from_here(&self.main()));
        let today = self.head.date.clone().unwrap_or_else(world::today);
        let load = |vars: Vec<(String, String)>| {
            let options = LoadOptions { today: &today, vars, var_files: Vec::new(), env, strict: false };
            plan::load_kept(&main, texts.clone(), &options)
        };
        let same = |loaded: &Loaded| {
            let vars = loaded.plan.vars.iter().map(|(name, var)| (name.clone(), plan::shown(&var.value)));
            !loaded.has_errors() && vars.collect::<BTreeMap<_, _>>() == self.head.vars
        };
        let mut loaded = load(self.vars());
        if !same(&loaded) {
            // A text that only looks like a list.
            let other = load(self.head.vars.clone().into_iter().collect());
            loaded = if same(&other) { other } else { loaded };
        }
        if loaded.has_errors() {
            loaded.diagnostics.retain(|fault| fault.severity == Level::Error);
            if let Some(terminal) = terminal {
                let look = terminal.look(Stream::Err);
                let text = error::render_human(&loaded.diagnostics, &loaded.plan.sources, look.colour, look.width);
                terminal.write(Stream::Err, &text);
            }
            return Err(told("its plan can't be run any more"));
        }
        self.as_it_ran(Arc::make_mut(&mut loaded.plan));
        let graph = graph::build(&loaded.plan).map_err(|_| told("its plan can't be ordered any more"))?;
        let meaning = load::meaning(&loaded.plan).map_err(|error| told(&error.to_string()))?;
        if meaning != self.head.norm_sha256 || !same(&loaded) {
            let (then, now) = (&self.settings.engine, env!("CARGO_PKG_VERSION"));
            return Err(told(&format!(
                "its plan means something else now (it was run by runplan {then}, this is {now}); run it anew"
            )));
        }
        Ok(Ready { loaded, graph })
    }

    /// The day of the run, in UTC: `2026-11-24`.
    pub(super) fn day(&self) -> String {
        self.head.date.clone().unwrap_or_else(|| {
            let at = self.events.first().map_or(0, |event| event.at);
            let time = jiff::Timestamp::from_millisecond(at).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
            time.strftime("%Y-%m-%d").to_string()
        })
    }

    /// The run was asked for steps or tags, and so for nobody's signature.
    pub(super) fn asked_for_some(&self) -> bool {
        let selection = Selection::of_words(&self.head.select);
        !(selection.steps.is_empty() && selection.tags.is_empty())
    }

    /// Modes and sign-offs as the command line of the run had them.
    fn as_it_ran(&self, plan: &mut Plan) {
        let mode = |word: &str| {
            [OnFailure::Independent, OnFailure::Stop, OnFailure::Continue].into_iter().find(|mode| mode.word() == word)
        };
        plan.on_failure = mode(&self.head.on_failure).unwrap_or(plan.on_failure);
        let modes: HashMap<&str, &str> =
            self.steps.iter().map(|head| (head.name.as_str(), head.on_failure.as_str())).collect();
        for step in &mut plan.steps {
            step.on_failure = modes.get(step.name.as_str()).and_then(|word| mode(word)).unwrap_or(step.on_failure);
        }
        if self.head.signoffs.is_none() {
            plan.signoffs = None;
        }
    }

    /// The texts kept with the run, by the path that each has seen from here.
    pub(super) fn texts(&self, terminal: Option<&Terminal>) -> Result<HashMap<Utf8PathBuf, String>, Refusal> {
        let main = Utf8PathBuf::from(seen_from_here(&self.main()));
        let kept = texts(&self.dir, &main).map_err(|text| (format!("run `{}`: {text}", self.id), Exit::Corrupt))?;
        let is_other = |(path, text): &(&Utf8PathBuf, &String)| {
            std::fs::read(path).map_or(true, |bytes| sha256_hex(&bytes) != sha256_hex(text.as_bytes()))
        };
        let mut changed: Vec<String> = kept.iter().filter(is_other).map(|(path, _)| format!("`{path}`")).collect();
        if let (false, Some(terminal)) = (changed.is_empty(), terminal) {
            changed.sort();
            let text = format!("{} changed since; what runs is the plan as it was then", changed.join(", "));
            terminal.write(Stream::Err, &format!("runplan: {text}\n"));
        }
        Ok(kept)
    }
}

/// The texts kept in the folder of a run, by path; `main` is that of the plan itself.
fn texts(dir: &Path, main: &Utf8Path) -> Result<HashMap<Utf8PathBuf, String>, String> {
    #[derive(serde::Deserialize)]
    struct Line {
        file: String,
        path: String,
        sha256: String,
    }
    let read = |name: &str| {
        let path = dir.join(name);
        std::fs::read_to_string(&path).map_err(|error| format!("`{}`: {error}", path.display()))
    };
    let list = read(store::PLAN_FILES)?;
    let lines: Result<Vec<Line>, _> = list.lines().map(serde_json::from_str).collect();
    let lines = lines.map_err(|error| format!("the list of its plan files: {error}"))?;
    let parent = |path: &Utf8Path| path.parent().map(Utf8Path::to_owned).unwrap_or_default();
    let folder = lines.first().map(|line| parent(line.path.as_ref())).unwrap_or_default();
    let mut texts = HashMap::new();
    for (number, line) in lines.iter().enumerate() {
        let text = read(&line.file)?;
        if sha256_hex(text.as_bytes()) != line.sha256 {
            return Err(format!("`{}` is not the plan that was run", line.file));
        }
        let path = match Utf8Path::new(&line.path).strip_prefix(&folder) {
            _ if number == 0 => main.to_owned(),
            Ok(rest) => parent(main).join(rest),
            Err(_) => Utf8PathBuf::from(&line.path),
        };
        texts.insert(path, text);
    }
    Ok(texts)
}

/// Values of the secrets that the plan of a run declares, as far as they are set here; none if nobody can tell.
pub(super) fn secrets(dir: &Path, head: &PlanHead, settings: &Settings) -> BTreeMap<String, String> {
    let main = Utf8Path::new(&settings.workspace).join(&head.path);
    let Ok(texts) = texts(dir, &main) else { return BTreeMap::new() };
    let today = head.date.clone().unwrap_or_else(world::today);
    let vars = head.vars.clone().into_iter().collect();
    let options = LoadOptions { today: &today, vars, var_files: Vec::new(), env: &super::variable, strict: false };
    // Also of a plan that can't run here: what it declares is declared.
    world::secrets_here(&plan::load_kept(&main, texts, &options).plan)
}
