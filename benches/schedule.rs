//! How near to the shortest possible run the engine's order of steps comes. `cargo bench --bench schedule -- FOLDER`.
//!
//! Nothing is started: the engine's own plan reader, weights, order and schedule decide, a clock that only counts stands
//! for the workers. FOLDER has the Standard Task Graph Set as it is published: task graphs (`50/rand0000.stg`) and their
//! optimal lengths (`opt/Case50_4_OPT.csv`, lines `50/rand0000.stg,4,66`; where nobody has proven one, the bounds
//! that it lies between: `50/rand0060.stg,2,157,165`). Without it graphs are made here, and stand against what no order
//! can beat: the longest chain, or the work shared out evenly.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::fmt::Write as _;
use std::io;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use camino::Utf8PathBuf;
use runplan::engine::{Options, heads};
use runplan::graph::{self, Graph};
use runplan::ids::StepId;
use runplan::outcome::State;
use runplan::plan::{self, LoadOptions, Plan};
use runplan::schedule::{Effect, Ended, Input, Job, Schedule};

const WORKERS: [u32; 4] = [2, 4, 8, 16];

/// Tasks that take time, and what each needs of the others.
struct Tasks {
    weights: Vec<u64>,
    needs: Vec<Vec<usize>>,
}

struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound.max(1)
    }
}

/// A file of the set: the number of tasks, then a line a task with its number, time and predecessors. Tasks without time
/// are only joints: who waits for one waits for what it waits for.
fn parse(text: &str) -> Option<Tasks> {
    let lines = text.lines().take_while(|line| !line.starts_with('#'));
    let mut numbers = lines.flat_map(str::split_whitespace).map_while(|word| word.parse::<usize>().ok());
    let count = numbers.next()? + 2;
    let mut rows: Vec<(u64, Vec<usize>)> = vec![(0, Vec::new()); count];
    for _ in 0..count {
        let (at, weight, before) = (numbers.next()?, numbers.next()?, numbers.next()?);
        let before: Vec<usize> = numbers.by_ref().take(before).collect();
        *rows.get_mut(at)? = (u64::try_from(weight).ok()?, before);
    }
    let places: BTreeMap<usize, usize> =
        (0..count).filter(|at| rows[*at].0 > 0).enumerate().map(|(place, at)| (at, place)).collect();
    let needs = places.keys().map(|at| {
        let (mut found, mut open) = (Vec::new(), rows[*at].1.clone());
        while let Some(before) = open.pop() {
            match places.get(&before) {
                Some(place) => found.push(*place),
                None => open.extend(&rows[before].1),
            }
        }
        found.sort_unstable();
        found.dedup();
        found
    });
    Some(Tasks { needs: needs.collect(), weights: places.keys().map(|at| rows[*at].0).collect() })
}

/// A graph made here, with the least time that any order takes.
fn made(seed: u64, steps: usize) -> Tasks {
    let mut numbers = Numbers(seed);
    let width = 2 + numbers.below(12);
    let needs = (0..steps as u64).map(|at| {
        let mut needs: Vec<usize> = (0..numbers.below(4))
            .filter_map(|_| usize::try_from(at.checked_sub(1 + numbers.below(2 * width))?).ok())
            .collect();
        needs.sort_unstable();
        needs.dedup();
        needs
    });
    let needs = needs.collect();
    Tasks { needs, weights: (0..steps).map(|_| 1 + numbers.below(20) * numbers.below(3)).collect() }
}

/// One plan as the engine has it.
struct Case {
    plan: std::sync::Arc<Plan>,
    graph: Graph,
    weights: Vec<u64>,
}

fn case(folder: &Path, tasks: &Tasks) -> io::Result<Case> {
    let mut text = String::from("format = 1\n");
    for (at, needs) in tasks.needs.iter().enumerate() {
        let needs: Vec<String> = needs.iter().map(|need| format!("'t{need}'")).collect();
        let _ = write!(text, "[steps.t{at}]\nrun = ['true']\nneeds = [{}]\n", needs.join(", "));
    }
    let path = folder.join("blueprint.toml");
    std::fs::write(&path, text)?;
    let path = Utf8PathBuf::from_path_buf(path).map_err(|_| io::Error::other("a path"))?;
    let env = |_: &str| None;
    let options =
        LoadOptions { today: "2026-01-01", vars: Vec::new(), var_files: Vec::new(), env: &env, strict: false };
    let plan = plan::load(&path, &options).plan;
    let graph = graph::build(&plan).map_err(|_| io::Error::other("the plan can't be ordered"))?;
    if plan.steps.len() != tasks.weights.len() {
        return Err(io::Error::other("the plan was not read"));
    }
    Ok(Case { plan, graph, weights: tasks.weights.clone() })
}

/// Lets a schedule run; the time it took. Finally all that ran is held against what was possible.
fn length(case: &Case, jobs: Vec<Job>, workers: u32) -> u64 {
    let mut schedule = Schedule::new(&case.graph, jobs, workers, Vec::new());
    let mut running = BinaryHeap::new();
    let (mut now, mut inputs) = (0, vec![Input::Begin]);
    loop {
        let Some(input) = inputs.pop() else {
            let Some(Reverse((end, at))) = running.pop() else { return now };
            now = end;
            inputs.push(Input::Ended(StepId::at(at), Ended { state: State::Pass, cause: None, exit: None }));
            continue;
        };
        for effect in schedule.on(input) {
            match effect {
                Effect::Launch(id, _) => running.push(Reverse((now + case.weights[id.index()], id.index()))),
                Effect::MainDone => inputs.push(Input::Finally),
                _ => {}
            }
        }
    }
}

fn options(case: &Case, workers: u32, durations: BTreeMap<String, Duration>) -> Options {
    Options {
        jobs: workers,
        shuffled: None,
        grace: Duration::ZERO,
        selected: vec![true; case.plan.steps.len()],
        durations,
        ratchets: BTreeMap::new(),
        baselines: BTreeMap::new(),
        waivers: BTreeMap::new(),
        run: String::new(),
        known: std::cell::RefCell::default(),
    }
}

/// The engine's order, knowing `durations`.
fn engine(case: &Case, workers: u32, durations: BTreeMap<String, Duration>) -> u64 {
    let options = options(case, workers, durations);
    length(case, heads::jobs(&case.plan, &case.graph, &options), workers)
}

/// Another order on the same machine: the highest number starts, ties go to the order of the file.
fn other(case: &Case, workers: u32, highest: &[Duration]) -> u64 {
    let mut jobs = heads::jobs(&case.plan, &case.graph, &options(case, 1, BTreeMap::new()));
    let nanos = highest.iter().map(|number| u64::MAX - u64::try_from(number.as_nanos()).unwrap_or(u64::MAX));
    jobs.iter_mut().zip(nanos).for_each(|(job, turn)| job.turn = turn);
    length(case, jobs, workers)
}

const RULES: [&str; 9] = [
    "remembered",
    "remembered, each wrong by up to 10 %",
    "remembered, each wrong by up to 30 %",
    "remembered, one of five steps is new",
    "remembered, half of the steps are new",
    "nothing remembered",
    "for comparison: true durations, longest tail alone",
    "for comparison: longest chain in steps (ninja's rule)",
    "for comparison: order of the file",
];

/// How long a plan takes by each of the rules.
fn lengths(case: &Case, workers: u32, seed: u64) -> [u64; RULES.len()] {
    let names = || case.plan.steps.iter().map(|step| step.name.clone()).zip(&case.weights);
    let wrong = |percent: u64| {
        let mut numbers = Numbers(seed);
        let factor = move |_| 1000 - 10 * percent + numbers.below(20 * percent + 1);
        let factors = (0..case.weights.len()).map(factor);
        names().zip(factors).map(|((name, weight), factor)| (name, Duration::from_micros(weight * factor))).collect()
    };
    let partly = |percent: u64| {
        let mut numbers = Numbers(seed);
        let known = names().filter(|_| numbers.below(100) >= percent);
        known.map(|(name, weight)| (name, Duration::from_millis(*weight))).collect()
    };
    let tails = |own: &dyn Fn(StepId) -> Duration| case.graph.tails(own);
    [
        engine(case, workers, partly(0)),
        engine(case, workers, wrong(10)),
        engine(case, workers, wrong(30)),
        engine(case, workers, partly(20)),
        engine(case, workers, partly(50)),
        engine(case, workers, BTreeMap::new()),
        other(case, workers, &tails(&|id| Duration::from_millis(case.weights[id.index()]))),
        other(case, workers, &tails(&|_| Duration::from_millis(1))),
        other(case, workers, &vec![Duration::ZERO; case.weights.len()]),
    ]
}

/// A run against the shortest there can be.
#[derive(Clone, Copy)]
struct Ratio {
    workers: u32,
    /// Of the optimum, or of a bound below it.
    times: f64,
    /// It is the optimum.
    proven: bool,
}

/// Per rule.
type Ratios = Vec<Vec<Ratio>>;

fn published(folder: &Path, ratios: &mut Ratios) -> io::Result<()> {
    let scratch = tempfile::tempdir()?;
    let mut cases: BTreeMap<String, Case> = BTreeMap::new();
    let mut tables: Vec<_> =
        std::fs::read_dir(folder.join("opt"))?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
    tables.sort();
    for table in tables {
        for line in std::fs::read_to_string(&table)?.lines() {
            let fields: Vec<&str> = line.split(',').map(str::trim).collect();
            let (&[file, workers, optimum, ..], proven) = (&fields[..], fields.len() == 3) else { continue };
            let (Ok(workers), Ok(optimum)) = (workers.parse::<u32>(), optimum.parse::<f64>()) else { continue };
            if !folder.join(file).is_file() {
                continue;
            }
            if !cases.contains_key(file) {
                let tasks = parse(&std::fs::read_to_string(folder.join(file))?)
                    .ok_or_else(|| io::Error::other(format!("`{file}` is no task graph")))?;
                cases.insert(file.to_owned(), case(scratch.path(), &tasks)?);
            }
            let seed = file.bytes().fold(7, |sum: u64, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
            for (all, length) in ratios.iter_mut().zip(lengths(&cases[file], workers, seed)) {
                all.push(Ratio { workers, times: length as f64 / optimum, proven });
            }
        }
    }
    Ok(())
}

fn generated(ratios: &mut Ratios) -> io::Result<()> {
    let scratch = tempfile::tempdir()?;
    for seed in 0..100 {
        let case = case(scratch.path(), &made(seed, 80))?;
        let chain = case.graph.tails(&|id| Duration::from_nanos(case.weights[id.index()])).into_iter().max();
        let chain = u64::try_from(chain.unwrap_or_default().as_nanos()).unwrap_or(0);
        for workers in WORKERS {
            let least = chain.max(case.weights.iter().sum::<u64>().div_ceil(workers.into()));
            for (all, length) in ratios.iter_mut().zip(lengths(&case, workers, seed)) {
                all.push(Ratio { workers, times: length as f64 / least as f64, proven: false });
            }
        }
    }
    Ok(())
}

/// `mean / p95 / share that is optimal`.
fn told(ratios: &[Ratio], wanted: impl Fn(&Ratio) -> bool) -> String {
    let mut all: Vec<f64> = ratios.iter().filter(|ratio| wanted(ratio)).map(|ratio| ratio.times).collect();
    all.sort_by(f64::total_cmp);
    let p95 = all.get(all.len() * 95 / 100).copied().unwrap_or(f64::NAN);
    let exact = all.iter().filter(|ratio| **ratio < 1.000_5).count() as f64 / all.len() as f64;
    format!("{:.3} / {p95:.3} / {:.0} %", all.iter().sum::<f64>() / all.len() as f64, 100.0 * exact)
}

/// How long the order itself takes to find, for layered plans: what a run pays before its first step.
fn cost(steps: usize) -> io::Result<(f64, f64)> {
    let scratch = tempfile::tempdir()?;
    let case = case(scratch.path(), &made(1, steps))?;
    let durations: BTreeMap<String, Duration> = case
        .plan
        .steps
        .iter()
        .zip(&case.weights)
        .map(|(step, weight)| (step.name.clone(), Duration::from_millis(*weight)))
        .collect();
    let mut best = [f64::MAX; 2];
    for _ in 0..5 {
        for (best, durations) in best.iter_mut().zip([BTreeMap::new(), durations.clone()]) {
            let options = options(&case, 8, durations);
            let began = Instant::now();
            let jobs = heads::jobs(&case.plan, &case.graph, &options);
            *best = best.min(began.elapsed().as_secs_f64() * 1e9 / jobs.len() as f64);
        }
    }
    Ok((best[0], best[1]))
}

#[expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]
fn measure(folder: Option<&str>) -> io::Result<()> {
    let mut ratios: Ratios = vec![Vec::new(); RULES.len()];
    match folder {
        Some(folder) => published(Path::new(folder), &mut ratios)?,
        None => generated(&mut ratios)?,
    }
    let all = ratios[0].len();
    if all == 0 {
        return Err(io::Error::other("no graph with a published optimum was found"));
    }
    let proven = ratios[0].iter().filter(|ratio| ratio.proven).count();
    match folder {
        Some(_) => println!("{proven} published optima, and {} published bounds of open ones\n", all - proven),
        None => println!("{all} bounds of graphs made here\n"),
    }
    println!("Mean / p95 / share of those at the optimum or bound\n");
    println!("| what is known | all {all} | optima alone |{}", WORKERS.map(|n| format!(" {n} workers |")).concat());
    println!("|---|---|---|{}", "---|".repeat(WORKERS.len()));
    for (rule, ratios) in RULES.iter().zip(&ratios) {
        let each: Vec<String> = WORKERS.iter().map(|n| told(ratios, |ratio| ratio.workers == *n)).collect();
        let optima = if proven == 0 { "–".to_owned() } else { told(ratios, |ratio| ratio.proven) };
        println!("| {rule} | {} | {optima} | {} |", told(ratios, |_| true), each.join(" | "));
    }
    println!("\n| steps | order, nothing remembered, ns a step | order, played through, ns a step |\n|---|---|---|");
    for steps in [1_000, 10_000, 100_000] {
        let (cold, played) = cost(steps)?;
        println!("| {steps} | {cold:.0} | {played:.0} |");
    }
    Ok(())
}

#[expect(clippy::print_stderr, reason = "a benchmark says what went wrong")]
fn main() -> ExitCode {
    let folder = std::env::args().skip(1).find(|arg| !arg.starts_with("--"));
    match measure(folder.as_deref()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
