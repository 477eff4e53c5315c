//! What the parts of the engine cost by themselves, each beside something as large that does only the unavoidable.
//! `cargo bench --bench micro`; `-- --steps 1000 --rounds 7`.
//!
//! Both sides of a row take turns, each as often as 20 ms allow; ratios are taken within a round, and the median of the
//! rounds is told. Events and bytes are those of a real run of the same plan.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::fmt::Write as _;
use std::hint::black_box;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use camino::Utf8Path;
use petgraph::graph::{DiGraph, NodeIndex};
use runplan::engine::{Options, heads};
use runplan::event::{Event, EventKind, Sink};
use runplan::graph;
use runplan::mask::Mask;
use runplan::outcome::{Decision, State};
use runplan::plan::{self, LoadOptions, Plan};
use runplan::record::journal::{self, Durability, Journal};
use runplan::record::{project, read};
use runplan::schedule::{Effect, Ended, Input, Schedule};

/// A part, what it is held against, and how many units each pass has.
struct Row<'a> {
    name: &'static str,
    beside: &'static str,
    unit: &'static str,
    units: usize,
    part: Box<dyn FnMut() -> io::Result<()> + 'a>,
    floor: Box<dyn FnMut() -> io::Result<()> + 'a>,
}

/// Nanoseconds of one pass.
fn timed(work: &mut dyn FnMut() -> io::Result<()>) -> io::Result<f64> {
    let (began, mut passes) = (Instant::now(), 0.0);
    while passes < 1.0 || began.elapsed() < Duration::from_millis(20) {
        work()?;
        passes += 1.0;
    }
    Ok(began.elapsed().as_secs_f64() * 1e9 / passes)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

impl Row<'_> {
    #[expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]
    fn told(&mut self, rounds: usize) -> io::Result<()> {
        let (mut ratios, mut parts) = (Vec::new(), Vec::new());
        // The first round only warms up.
        for round in 0..=rounds {
            let (part, floor) = (timed(&mut self.part)?, timed(&mut self.floor)?);
            if round > 0 {
                ratios.push(part / floor);
                parts.push(part / self.units as f64);
            }
        }
        let Self { name, beside, unit, .. } = self;
        println!("| {name} | {:.2} ns a {unit} | {:.2} | {beside} |", median(parts), median(ratios));
        Ok(())
    }
}

/// Steps that wait for up to three of the sixty before, with a criterion each.
fn plan_text(steps: usize) -> String {
    let mut state: u64 = 3;
    let mut below = |bound: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap_or(0) % bound.max(1)
    };
    let mut text = String::from("format = 1\n[plan]\nname = 'bench'\n");
    for at in 0..steps {
        let mut needs: Vec<usize> = (0..below(4)).filter_map(|_| at.checked_sub(1 + below(60))).collect();
        needs.sort_unstable();
        needs.dedup();
        let needs: Vec<String> = needs.iter().map(|need| format!("'step-{need}'")).collect();
        let pass = "pass = ['exit == 0', 'duration < 60s']";
        let _ = write!(text, "[steps.step-{at}]\nrun = ['true']\nneeds = [{}]\n{pass}\n", needs.join(", "));
    }
    text
}

/// Steps that are all cells of a matrix with templates, and the same steps written out.
fn matrix_texts(cells: usize) -> (String, String) {
    let numbers: Vec<String> = (0..cells).map(|n| format!("'{n}'")).collect();
    let command =
        |n: &str, mode: &str| format!("run = ['echo', '{n}', '{mode}-{n}']\npass = ['exit == 0', 'duration < 60s']\n");
    let matrix = format!(
        "format = 1\n[vars]\nmode = 'fast'\n[steps.cell]\nmatrix = {{ n = [{}] }}\n{}",
        numbers.join(", "),
        command("{{ matrix.n }}", "{{ vars.mode }}")
    );
    let mut plain = String::from("format = 1\n");
    for n in 0..cells {
        let _ = write!(plain, "[steps.cell-{n}]\n{}", command(&n.to_string(), "fast"));
    }
    (matrix, plain)
}

fn load(text: &str) -> io::Result<Arc<Plan>> {
    let env = |_: &str| None;
    let options =
        LoadOptions { today: "2026-01-01", vars: Vec::new(), var_files: Vec::new(), env: &env, strict: false };
    let loaded = plan::load_text(Utf8Path::new("blueprint.toml"), text, &options);
    if loaded.has_errors() {
        return Err(io::Error::other("the plan has errors"));
    }
    Ok(loaded.plan)
}

/// The events of a run of the plan, and the bytes of its journal.
fn run(folder: &Path, text: &str) -> io::Result<(Vec<Event>, Vec<u8>)> {
    std::fs::write(folder.join("blueprint.toml"), text)?;
    let mut command = Command::new(env!("CARGO_BIN_EXE_runplan"));
    command.arg("blueprint.toml").current_dir(folder).stdout(Stdio::null()).stderr(Stdio::null());
    if !command.status()?.success() {
        return Err(io::Error::other("the plan did not end in GO"));
    }
    let bytes = std::fs::read(folder.join(".runplan/latest").join(journal::FILE_NAME))?;
    Ok((read::recover(&bytes).map_err(io::Error::other)?.events, bytes))
}

fn options(plan: &Plan) -> Options {
    Options {
        jobs: 8,
        shuffled: None,
        grace: Duration::ZERO,
        selected: vec![true; plan.steps.len()],
        durations: BTreeMap::new(),
        ratchets: BTreeMap::new(),
        baselines: BTreeMap::new(),
        waivers: BTreeMap::new(),
        run: String::new(),
        known: std::cell::RefCell::default(),
    }
}

/// A whole run as the schedule sees it; everything passes, the oldest attempt ends first.
fn scheduled(plan: &Plan, graph: &graph::Graph, options: &Options) {
    let mut schedule = Schedule::new(graph, heads::jobs(plan, graph, options), options.jobs, Vec::new());
    let mut inputs = std::collections::VecDeque::from([Input::Begin]);
    while let Some(input) = inputs.pop_front() {
        for effect in schedule.on(input) {
            match effect {
                Effect::Launch(id, _) => {
                    inputs.push_back(Input::Ended(id, Ended { state: State::Pass, cause: None, exit: None }));
                }
                Effect::MainDone => inputs.push_back(Input::Finally),
                _ => {}
            }
        }
    }
    black_box(schedule.result(runplan::ids::StepId::at(0)).is_some());
}

/// The same order by nothing but counts and one heap.
fn counted(next: &[Vec<u32>], before: &[u32]) -> u32 {
    let mut waits = before.to_vec();
    let mut ready: BinaryHeap<Reverse<u32>> =
        (0_u32..).zip(&waits).filter(|(_, waits)| **waits == 0).map(|(at, _)| Reverse(at)).collect();
    let mut last = 0;
    while let Some(Reverse(at)) = ready.pop() {
        last = at;
        for next in &next[at as usize] {
            waits[*next as usize] -= 1;
            if waits[*next as usize] == 0 {
                ready.push(Reverse(*next));
            }
        }
    }
    last
}

fn dag(plan: &Plan) -> DiGraph<(), ()> {
    let mut dag = DiGraph::new();
    for _ in &plan.steps {
        dag.add_node(());
    }
    for (at, step) in plan.steps.iter().enumerate() {
        for need in &step.needs {
            dag.add_edge(NodeIndex::new(need.step.index()), NodeIndex::new(at), ());
        }
    }
    dag
}

fn decision(events: &[Event]) -> io::Result<&Decision> {
    let found = events.iter().rev().find_map(|event| match &event.kind {
        EventKind::Decision { decision, last: true } => Some(&**decision),
        _ => None,
    });
    found.ok_or_else(|| io::Error::other("the run has no decision"))
}

/// A megabyte of what programs print, with a secret every few hundred lines.
fn output() -> Vec<u8> {
    let mut text = String::new();
    for n in 0.. {
        let secret = if n % 300 == 0 { " token=correct-horse-battery-staple" } else { "" };
        let _ = writeln!(text, "2026-01-01T00:00:{:02}Z INFO request {n} took {} ms, 200 OK{secret}", n % 60, n % 97);
        if text.len() > 1 << 20 {
            break;
        }
    }
    text.into_bytes()
}

/// Rows about plans, graphs and the schedule.
fn of_plans(steps: usize, rounds: usize) -> io::Result<()> {
    let text = plan_text(steps);
    let plan = load(&text)?;
    let graph = graph::build(&plan).map_err(|_| io::Error::other("the plan can't be ordered"))?;
    let (matrix, plain) = matrix_texts(steps);
    let options = options(&plan);
    let ids = || plan.ids();
    let next: Vec<Vec<u32>> = ids().map(|id| graph.next(id).map(|(next, _)| next.0).collect()).collect();
    let before: Vec<u32> = ids().map(|id| u32::try_from(graph.before(id).count()).unwrap_or(0)).collect();
    let second = |_| Duration::from_secs(1);
    let rows = [
        Row {
            name: "parse: a plan read and checked",
            beside: "`toml` reading the same text",
            unit: "step",
            units: steps,
            part: Box::new(|| load(&text).map(|plan| drop(black_box(plan)))),
            floor: Box::new(|| {
                toml::de::DeTable::parse(&text).map(|table| drop(black_box(table))).map_err(io::Error::other)
            }),
        },
        Row {
            name: "resolve: a matrix with templates",
            beside: "the same steps written out, read and checked",
            unit: "step",
            units: steps,
            part: Box::new(|| load(&matrix).map(|plan| drop(black_box(plan)))),
            floor: Box::new(|| load(&plain).map(|plan| drop(black_box(plan)))),
        },
        Row {
            name: "graph: order, ranks, waves, critical path",
            beside: "the bare graph made and sorted by `petgraph`",
            unit: "step",
            units: steps,
            part: Box::new(|| {
                let graph = graph::build(&plan).map_err(|_| io::Error::other("no order"))?;
                black_box((graph.waves(&plan), graph.critical_path(&second)));
                Ok(())
            }),
            floor: Box::new(|| {
                let dag = dag(&plan);
                black_box(petgraph::algo::toposort(&dag, None).map_err(|_| io::Error::other("no order"))?);
                Ok(())
            }),
        },
        Row {
            name: "schedule: a whole run",
            beside: "the same order by counts and one heap",
            unit: "step",
            units: steps,
            part: Box::new(|| {
                scheduled(&plan, &graph, &options);
                Ok(())
            }),
            floor: Box::new(|| {
                black_box(counted(&next, &before));
                Ok(())
            }),
        },
    ];
    rows.into_iter().try_for_each(|mut row| row.told(rounds))
}

/// Rows about the log and the mask.
fn of_logs(steps: usize, rounds: usize) -> io::Result<()> {
    let scratch = tempfile::tempdir()?;
    let (events, bytes) = run(scratch.path(), &plan_text(steps))?;
    let decision = decision(&events)?;
    let record = project::project(&events).map_err(io::Error::other)?.finish(decision).map_err(io::Error::other)?;
    let lines = |bytes: &[u8]| -> io::Result<Vec<serde_json::Value>> {
        let lines = bytes.split(|b| *b == b'\n').filter(|line| !line.is_empty());
        lines.map(|line| serde_json::from_slice(line).map_err(io::Error::other)).collect()
    };
    let values = lines(&record)?;
    let secrets = ["correct-horse-battery-staple", "hunter2-hunter2", "0123456789abcdef0123456789abcdef"];
    let mask = Mask::new(&secrets.map(|secret| (secret[..3].to_owned(), secret.as_bytes().to_vec())));
    let printed = output();
    let folder = || tempfile::tempdir_in(scratch.path());
    let rows = [
        Row {
            name: "journal: lines written, without syncs",
            beside: "a file that gets the same lines",
            unit: "byte",
            units: bytes.len(),
            part: Box::new(|| {
                let mut journal = Journal::create(folder()?.path(), Durability::None, None)?;
                events.iter().try_for_each(|event| journal.event(event))
            }),
            floor: Box::new(|| {
                let folder = folder()?;
                let mut file = std::fs::File::create(folder.path().join("journal"))?;
                bytes.split_inclusive(|b| *b == b'\n').try_for_each(|line| file.write_all(line))
            }),
        },
        Row {
            name: "journal: read and held against its own digests",
            beside: "`serde_json` reading the same lines",
            unit: "byte",
            units: bytes.len(),
            part: Box::new(|| read::recover(&bytes).map(|found| drop(black_box(found))).map_err(io::Error::other)),
            floor: Box::new(|| lines(&bytes).map(|values| drop(black_box(values)))),
        },
        Row {
            name: "project: the record from the events",
            beside: "`serde_json` writing the same lines",
            unit: "byte",
            units: record.len(),
            part: Box::new(|| {
                let record = project::project(&events).map_err(io::Error::other)?;
                black_box(record.finish(decision).map_err(io::Error::other)?);
                Ok(())
            }),
            floor: Box::new(|| {
                black_box(serde_json::to_vec(&values).map_err(io::Error::other)?);
                Ok(())
            }),
        },
        Row {
            name: "mask: output with three secrets to find",
            beside: "the same bytes copied",
            unit: "byte",
            units: printed.len(),
            part: Box::new(|| {
                black_box(mask.bytes(&printed));
                Ok(())
            }),
            floor: Box::new(|| {
                black_box(black_box(&printed).clone());
                Ok(())
            }),
        },
    ];
    rows.into_iter().try_for_each(|mut row| row.told(rounds))
}

#[expect(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark prints what it measured")]
fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().collect();
    let number = |name: &str, usual: usize| {
        let at = args.iter().position(|arg| arg == name);
        at.and_then(|at| args.get(at + 1)?.parse().ok()).unwrap_or(usual)
    };
    let (steps, rounds) = (number("--steps", 1_000), number("--rounds", 7));
    println!("{steps} steps, {rounds} rounds\n\n| part | takes | times | beside it |\n|---|---|---|---|");
    match of_plans(steps, rounds).and_then(|()| of_logs(steps, rounds)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
