//! What the run log costs: the CPU time of a plan of 10,000 steps, with its log and without one. `cargo bench --bench log`.
//!
//! There is no switch that turns the log off, so the engine is run here as the program runs it, once with journal, record,
//! store, action digests and caches, once with an outlet that takes every event and drops it. Each run is a process of
//! its own; what counts is its user and system time with all its children. Runs of both kinds take turns, since the
//! machine changes under them. The time that the log takes is also measured from within, by the clock of the one thread
//! that everything of it runs on: that figure does not suffer from the rest of the machine.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use camino::Utf8PathBuf;
use runplan::act::{Act, run::Run};
use runplan::action::ActionKind;
use runplan::engine::{self, KeepError, Keeper, Options, Outlet, World};
use runplan::event::{Event, EventKind, PlanHead, Settings, Sink};
use runplan::graph;
use runplan::identity::{ActionForm, GateForm};
use runplan::outcome::RunStatus;
use runplan::plan::{self, LoadOptions, Plan};
use runplan::record::journal::{self, Durability, Journal, Medium};
use runplan::record::store::{self, RunDir, Store};
use runplan::record::{canonical, history::HistoryLine, index::IndexLine, preimage, project, reuse};

const RUN: &str = "20260101T000000Z-aaaaaa";

/// CPU time of this thread.
fn thread_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// What a log is made of.
const PARTS: [&str; 5] = ["lines", "syncs", "digests", "folders", "begin and end"];
const LINES: usize = 0;
const SYNCS: usize = 1;
const DIGESTS: usize = 2;
const FOLDERS: usize = 3;
const ENDS: usize = 4;

/// Where the log's share is added up, by part.
#[derive(Clone, Default)]
struct Meter(Rc<Cell<[Duration; 5]>>);

impl Meter {
    fn of<T>(&self, part: usize, work: impl FnOnce() -> T) -> T {
        let (begin, before) = (thread_time(), self.sum());
        let done = work();
        // What was metered within it is another part's.
        let inner = self.sum() - before;
        let mut all = self.0.get();
        all[part] += thread_time().saturating_sub(begin).saturating_sub(inner);
        self.0.set(all);
        done
    }

    fn sum(&self) -> Duration {
        self.0.get().iter().sum()
    }
}

/// A journal's file whose syncs are metered.
struct Metered(std::fs::File, Meter);

impl io::Write for Metered {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Medium for Metered {
    fn sync(&mut self) -> io::Result<()> {
        self.1.of(SYNCS, || self.0.sync_data())
    }
}

/// A log as the program keeps it.
struct Log {
    journal: Journal<Metered>,
    kept: Vec<Event>,
    meter: Meter,
}

/// Takes events: into a log, or nowhere.
struct Outlets(Option<Log>);

impl Sink for Outlets {
    fn event(&mut self, event: &Event) -> io::Result<()> {
        let Some(log) = &mut self.0 else { return Ok(()) };
        let Log { journal, kept, meter } = log;
        meter.of(LINES, || {
            journal.event(event)?;
            use EventKind::{Close, Commit, Decision, Open};
            if matches!(event.kind, Open { .. } | Commit { .. } | Decision { .. } | Close { .. }) {
                kept.push(event.clone());
            }
            Ok(())
        })
    }
}

impl Outlet for Outlets {
    fn settle(&mut self, mono: u64) -> io::Result<()> {
        let Some(Log { journal, meter, .. }) = &mut self.0 else { return Ok(()) };
        meter.of(LINES, || journal.flush(mono))
    }

    fn tick(&mut self, _: u64) {}

    fn pause(&mut self) {}
}

/// Keeps bytes: in the store, or only what the engine can't do without.
enum Kept {
    Log {
        store: Store,
        run: RunDir,
        meter: Meter,
    },
    /// A few folders in turn: a child's output has to go somewhere, so that it can be judged.
    Nothing {
        folder: PathBuf,
    },
}

impl Keeper for Kept {
    fn spool(&self, rank: u32, name: &str) -> io::Result<PathBuf> {
        match self {
            Self::Log { run, meter, .. } => meter.of(FOLDERS, || run.step_dir(rank, name).map_err(io::Error::other)),
            Self::Nothing { folder } => Ok(folder.join((rank % 64).to_string())),
        }
    }

    fn place(&self, rank: u32, name: &str) -> PathBuf {
        match self {
            Self::Log { run, .. } => run.step_path(rank, name),
            Self::Nothing { folder } => folder.join((rank % 64).to_string()),
        }
    }

    fn slots(&self) -> PathBuf {
        match self {
            Self::Log { run, .. } => run.steps(),
            Self::Nothing { folder } => folder.join("slots"),
        }
    }

    fn archive(&self, _: &Path, _: &str) -> Result<(), KeepError> {
        Err(KeepError::File("no artifacts here".to_owned()))
    }

    fn identify(&self, form: ActionForm<'_>) -> io::Result<(String, String)> {
        match self {
            Self::Log { meter, .. } => meter.of(DIGESTS, || preimage::action_digest(form).map_err(io::Error::other)),
            Self::Nothing { .. } => Ok((String::new(), String::new())),
        }
    }

    fn gate(&self, _: &[GateForm]) -> io::Result<String> {
        Err(io::Error::other("no gates here"))
    }
}

fn head(plan: &Plan) -> io::Result<PlanHead> {
    let norm = canonical::to_bytes(&plan::norm(plan)).map_err(io::Error::other)?;
    Ok(PlanHead {
        name: plan.name.clone(),
        path: plan.path.clone(),
        sha256: store::plan_digest(&plan.sources),
        norm_sha256: runplan::digest::sha256_hex(&norm),
        env_pass: plan.env.pass.clone(),
        on_failure: plan.on_failure.word().to_owned(),
        go: plan.decision.go,
        no_go: plan.decision.no_go,
        ..PlanHead::default()
    })
}

/// What `runplan blueprint.toml -j 2` does at the end of a run.
fn close(outlets: &mut Outlets, kept: &Kept, over: &engine::Outcome) -> io::Result<()> {
    let (Some(log), Kept::Log { store, run, meter }) = (&mut outlets.0, kept) else { return Ok(()) };
    let Log { journal, kept: events, .. } = log;
    meter.of(ENDS, || {
        let record = project::project(events).map_err(io::Error::other)?;
        let id =
            run.write_record(&record.finish(&over.decision).map_err(io::Error::other)?).map_err(io::Error::other)?;
        let mono = events.last().map_or(0, |event| event.mono);
        let close = Event { at: 0, mono, kind: EventKind::Close { status: over.status, record: Some(id.clone()) } };
        journal.event(&close)?;
        events.push(close);
        store.set_latest(run.id()).map_err(io::Error::other)?;
        let line = IndexLine::of(run.id(), events, &id).ok_or_else(|| io::Error::other("it has no end"))?;
        store.remember(&line).map_err(io::Error::other)?;
        store.remember_steps(&[HistoryLine::of(run.id(), events, &id)]).map_err(io::Error::other)?;
        let passed: Vec<reuse::Earlier> = reuse::Successes::among(events, run.id(), &|_| true).into_values().collect();
        store.keep_reusable(&line.plan, &passed, &BTreeSet::new()).map_err(io::Error::other)
    })
}

/// One run in a folder; says how long its log took.
fn one(folder: &Path, with_log: bool) -> io::Result<[Duration; 5]> {
    let path = Utf8PathBuf::from_path_buf(folder.join("blueprint.toml")).map_err(|_| io::Error::other("a path"))?;
    let env = |_: &str| None;
    let options =
        LoadOptions { today: "2026-01-01", vars: Vec::new(), var_files: Vec::new(), env: &env, strict: false };
    let loaded = plan::load(&path, &options);
    let graph = graph::build(&loaded.plan).map_err(|_| io::Error::other("the plan can't be ordered"))?;
    let plan = &loaded.plan;
    let meter = Meter::default();
    let mut outlets = Outlets(None);
    let kept = if with_log {
        meter.of(ENDS, || -> io::Result<Kept> {
            let store = Store::open(folder, false).map_err(io::Error::other)?;
            let run = store.begin(RUN, std::process::id(), "now").map_err(io::Error::other)?;
            run.snapshot(&plan.sources).map_err(io::Error::other)?;
            let path = run.path().join(journal::FILE_NAME);
            let file = std::fs::OpenOptions::new().append(true).create_new(true).open(&path)?;
            let name = path.display().to_string();
            let mut journal = Journal::over(Metered(file, meter.clone()), name, Durability::Full, None);
            journal.batch();
            outlets.0 = Some(Log { journal, kept: Vec::new(), meter: meter.clone() });
            Ok(Kept::Log { store, run, meter: meter.clone() })
        })?
    } else {
        let folder = folder.join("spool");
        (0..64).try_for_each(|n| std::fs::create_dir_all(folder.join(n.to_string())))?;
        Kept::Nothing { folder }
    };
    let env = std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value))).collect();
    let acts: BTreeMap<ActionKind, Box<dyn Act>> = BTreeMap::from([(ActionKind::Run, Box::new(Run) as Box<dyn Act>)]);
    let world = World {
        env,
        now: Arc::new(|| 0),
        start: Instant::now(),
        secrets: BTreeMap::new(),
        mask: None,
        ports: BTreeMap::new(),
        acts,
    };
    let options = Options {
        jobs: 2,
        shuffled: None,
        grace: Duration::from_secs(5),
        selected: vec![true; plan.steps.len()],
        durations: BTreeMap::new(),
        ratchets: BTreeMap::new(),
        baselines: BTreeMap::new(),
        waivers: BTreeMap::new(),
        run: RUN.to_owned(),
        known: BTreeMap::new().into(),
    };
    let settings = Settings { run: RUN.to_owned(), jobs: 2, ..Settings::default() };
    let head = if with_log { meter.of(ENDS, || head(plan))? } else { PlanHead::default() };
    let (head, settings) = (Box::new(head), Box::new(settings));
    let open = EventKind::Open { plan: head, settings, steps: engine::heads::steps(plan, &graph) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(4).build()?;
    let local = tokio::task::LocalSet::new();
    let going = engine::run(plan, &graph, &world, &kept, &options, open, &mut outlets);
    let over = runtime.block_on(local.run_until(going))?;
    if !matches!(over.status, RunStatus::Decided(runplan::outcome::Verdict::Go)) {
        return Err(io::Error::other("it did not end in GO"));
    }
    close(&mut outlets, &kept, &over)?;
    Ok(meter.0.get())
}

/// User and system time of all children that have ended, in clock ticks of 10 ms.
fn children_time() -> Duration {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after = text.rsplit(')').next().unwrap_or_default();
    let ticks: u64 = after.split_whitespace().skip(13).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}

fn plan_of(steps: usize, command: &str) -> String {
    let mut text = String::from("format = 1\n[plan]\nname = 'bench'\n");
    for n in 0..steps {
        text.push_str(&format!("[steps.s{n:05}]\nrun = [{command}]\n"));
    }
    text
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// A run in a process of its own: its CPU time with children, how long it was, and what the parts of its log took.
fn measured(mode: &str, steps: usize, command: &str) -> io::Result<(f64, f64, Vec<f64>)> {
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("blueprint.toml"), plan_of(steps, command))?;
    let (before, began) = (children_time(), Instant::now());
    let ended = Command::new(std::env::current_exe()?).args(["one", mode]).arg(folder.path()).output()?;
    let (used, took) = (children_time().saturating_sub(before), began.elapsed());
    let said = String::from_utf8_lossy(&ended.stdout).into_owned();
    let parts: Vec<f64> = said.split_whitespace().filter_map(|part| part.parse().ok()).collect();
    if parts.len() != PARTS.len() {
        return Err(io::Error::other(format!("{said}{}", String::from_utf8_lossy(&ended.stderr))));
    }
    Ok((used.as_secs_f64(), took.as_secs_f64(), parts))
}

#[expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]
fn compare(name: &str, command: &str, steps: usize, rounds: usize) -> io::Result<()> {
    let (mut with, mut without, mut inside, mut wall) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut of_parts = vec![Vec::new(); PARTS.len()];
    for round in 0..=rounds {
        for mode in if round % 2 == 0 { ["log", "none"] } else { ["none", "log"] } {
            let (used, took, parts) = measured(mode, steps, command)?;
            match mode {
                // The first round only warms up.
                _ if round == 0 => {}
                "log" => {
                    with.push(used);
                    inside.push(100.0 * parts.iter().sum::<f64>() / used);
                    of_parts.iter_mut().zip(&parts).for_each(|(all, part)| all.push(100.0 * part / used));
                    wall.push(took);
                }
                _ => without.push(used),
            }
        }
    }
    let spread = |values: &[f64]| {
        let (low, high) = values.iter().fold((f64::MAX, f64::MIN), |(low, high), v| (low.min(*v), high.max(*v)));
        format!("{low:.2}..{high:.2}")
    };
    let (lows, highs) = (spread(&with), spread(&without));
    let (a, b, share, wall) = (median(&mut with), median(&mut without), median(&mut inside), median(&mut wall));
    let parts: Vec<String> =
        PARTS.iter().zip(&mut of_parts).map(|(name, all)| format!("{name} {:.1}", median(all))).collect();
    println!(
        "| {name} | {steps} | {rounds} | {a:.2} ({lows}) | {b:.2} ({highs}) | {:+.1} % | {share:.1} % ({}) | {wall:.1} |",
        100.0 * (a / b - 1.0),
        parts.join(", ")
    );
    Ok(())
}

#[expect(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark prints what it measured")]
fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().collect();
    let done = match args.get(1..).unwrap_or_default() {
        [one_run, mode, folder] if one_run == "one" => one(Path::new(folder), mode == "log").map(|parts| {
            let parts: Vec<String> = parts.iter().map(|part| part.as_secs_f64().to_string()).collect();
            println!("{}", parts.join(" "));
        }),
        args => {
            let number = |name: &str, usual: usize| {
                let at = args.iter().position(|arg| arg == name);
                at.and_then(|at| args.get(at + 1)?.parse().ok()).unwrap_or(usual)
            };
            let (steps, rounds) = (number("--steps", 10_000), number("--rounds", 5));
            println!(
                "| steps | how many | rounds | CPU s with log | CPU s without | differs by | log by its own clock | wall s |"
            );
            println!("|---|---|---|---|---|---|---|---|");
            compare("`true`", "'/bin/true'", steps, rounds)
                .and_then(|()| compare("`sh -c 'echo $((1+1))'`", "'/bin/sh', '-c', 'echo $((1+1))'", steps, rounds))
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
