//! Thousands of random plans through the real engine with a scripted action, held against an independent serial oracle
//! of the record: for each fail mode, any number of workers, any order in which steps end. No process is started.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use runplan::act::scripted::{Play, Scripted, Seen, Service};
use runplan::act::{Act, Lent, Look, Request};
use runplan::action::ActionKind;
use runplan::engine::{self, KeepError, Keeper, Known, Options, Outlet, Trust, World};
use runplan::event::{Event, EventKind, PlanHead, Sink};
use runplan::facts::Facts;
use runplan::graph::{self, Graph};
use runplan::identity::ActionForm;
use runplan::outcome::{Cause, Exit, RunStatus};
use runplan::plan::{self, LoadOptions, Plan};
use runplan::record::journal::{Durability, Journal, Medium};
use runplan::record::{preimage, project, read, reuse};

use crate::seeded::Seed;
use crate::support;

const PLANS: u64 = 2_000;

/// What one look of a step comes to.
#[derive(Clone, Debug)]
enum Outcome {
    /// A process with this exit code.
    Code(i32),
    /// It can't look, or its process crashes.
    Error(Cause),
}

#[derive(Clone, Debug, PartialEq)]
enum When {
    Never,
    Always,
    /// That step's state is this one.
    State(usize, &'static str),
    /// That step's exit code is 0.
    Exit(usize),
}

/// A step as the oracle knows it. Its index is its place in the plan.
#[derive(Clone, Debug)]
struct Step {
    name: String,
    finally: bool,
    needs: Vec<usize>,
    after: Vec<usize>,
    required: bool,
    run_when: &'static str,
    on_failure: &'static str,
    severity: (&'static str, f64),
    service: bool,
    retry: usize,
    retry_exit: Option<i32>,
    pool: bool,
    when: Option<When>,
    warns: bool,
    rejects: bool,
    looks: Vec<Outcome>,
    filtered: bool,
}

/// What the oracle says of a step.
#[derive(Clone, Debug, PartialEq)]
struct Fate {
    state: &'static str,
    cause: Option<(&'static str, Option<String>)>,
    attempts: Vec<(&'static str, Option<&'static str>)>,
}

fn random(seed: &mut Seed, mode: &'static str) -> Vec<Step> {
    let main = 1 + seed.below(14);
    let all = main + seed.below(4);
    let bad = seed.pick(&[5, 15, 40]);
    let filter = seed.chance(25);
    let mut steps: Vec<Step> = Vec::new();
    for at in 0..all {
        let finally = at >= main;
        let (mut needs, mut after) = (Vec::new(), Vec::new());
        for _ in 0..seed.below(4).min(at) {
            let other = seed.below(at);
            if !needs.contains(&other) && !after.contains(&other) {
                if seed.chance(75) { needs.push(other) } else { after.push(other) }
            }
        }
        needs.sort_unstable();
        let service = seed.chance(8);
        let seen: Vec<usize> = needs.iter().chain(&after).copied().collect();
        let when = match (seen.as_slice(), seed.below(100)) {
            (_, 0..=3) => Some(When::Never),
            (_, 4..=7) => Some(When::Always),
            ([_, ..], 8..=15) => {
                Some(When::State(seed.pick(&seen), seed.pick(&["pass", "fail", "skipped", "not_run"])))
            }
            ([_, ..], 16..=22) => Some(seed.pick(&seen)).filter(|other| !steps[*other].service).map(When::Exit),
            _ => None,
        };
        let look = |seed: &mut Seed| match seed.below(100) {
            n if n < 2 => Outcome::Error(Cause::ActionError),
            n if n < 3 => Outcome::Error(Cause::Signal("SIGSEGV".into())),
            n if n < 4 => Outcome::Error(Cause::SpawnFailed),
            n if n < 4 + bad => Outcome::Code(seed.pick(&[1, 2, 5, 9])),
            _ => Outcome::Code(0),
        };
        steps.push(Step {
            name: format!("{}{at}", if finally { "f" } else { "s" }),
            finally,
            needs,
            after,
            required: seed.chance(75),
            run_when: seed.pick(&["success", "success", "success", "failure", "completed", "always"]),
            on_failure: if mode == "mixed" { seed.pick(&["independent", "stop", "continue"]) } else { mode },
            severity: seed.pick(&[("low", 0.05), ("medium", 0.15), ("high", 0.35)]),
            service,
            retry: if seed.chance(30) { 1 + seed.below(2) } else { 0 },
            retry_exit: seed.chance(30).then_some(5),
            pool: seed.chance(20),
            when,
            warns: seed.chance(30) && !service,
            rejects: seed.chance(20) && !service,
            looks: (0..3).map(|_| look(seed)).collect(),
            filtered: filter && !finally && seed.chance(20),
        });
    }
    steps
}

/// The plan as a person would write it.
fn text(steps: &[Step], mode: &str) -> String {
    let mut out = format!(
        "format = 1\n[plan]\nname = \"random\"\non_failure = \"{}\"\n[vars]\nyes = true\n[pools]\nlock = 1\n",
        if mode == "mixed" { "independent" } else { mode }
    );
    let names = |list: &[usize]| list.iter().map(|other| steps[*other].name.as_str()).collect::<Vec<_>>();
    for step in steps {
        let table = if step.finally { "finally" } else { "steps" };
        let _ = writeln!(out, "[{table}.{}]\nneeds = {:?}", step.name, names(&step.needs));
        let _ = writeln!(out, "after = {:?}\nrequired = {}", names(&step.after), step.required);
        let _ = writeln!(out, "run_when = {:?}\nseverity = {:?}", step.run_when, step.severity.0);
        if mode == "mixed" {
            let _ = writeln!(out, "on_failure = {:?}", step.on_failure);
        }
        if step.retry > 0 {
            let only = step.retry_exit.map_or(String::new(), |code| format!(", exit = [{code}]"));
            let _ = writeln!(out, "retry = {{ limit = {}{only} }}", step.retry);
        }
        if step.pool {
            out.push_str("pool = \"lock\"\n");
        }
        if let Some(when) = &step.when {
            let _ = writeln!(out, "when = '{}'", condition(when, steps));
        }
        if step.service {
            out.push_str("service = { run = \"played\", ready = { log = \"up\" } }\n");
            continue;
        }
        out.push_str("run = \"played\"\npass = ['exit == 0']\n");
        if step.warns {
            out.push_str("warn = ['exit <= 2']\n");
        }
        if step.rejects {
            out.push_str("reject = ['exit == 9']\n");
        }
    }
    out
}

fn condition(when: &When, steps: &[Step]) -> String {
    match when {
        When::Never => "vars.yes == false".to_owned(),
        When::Always => "vars.yes == true".to_owned(),
        When::State(other, state) => format!("steps.{}.state == \"{state}\"", steps[*other].name),
        When::Exit(other) => format!("steps.{}.exit == 0", steps[*other].name),
    }
}

/// One after the other, in plan rank; that is the order of the list, since steps only need earlier ones.
fn serial(steps: &[Step]) -> Vec<Fate> {
    let mut fates: Vec<Fate> = Vec::new();
    let mut exits: Vec<Option<i32>> = Vec::new();
    let mut stopper: Option<String> = None;
    for step in steps {
        let (fate, exit) = match (step.filtered, &stopper) {
            (true, _) => (skipped("filtered", None), None),
            (false, Some(stopper)) if !step.finally => {
                let cause = Some(("stopped", Some(stopper.clone())));
                (Fate { state: "not_run", cause, attempts: vec![] }, None)
            }
            _ => match blocked(step, steps, &fates) {
                Some(fate) => (fate, None),
                None => ran(step, steps, &fates, &exits),
            },
        };
        if stopper.is_none() && is_failure(fate.state) && step.required && step.on_failure == "stop" && !step.finally {
            stopper = Some(step.name.clone());
        }
        fates.push(fate);
        exits.push(exit);
    }
    fates
}

fn skipped(code: &'static str, of: Option<String>) -> Fate {
    Fate { state: "skipped", cause: Some((code, of)), attempts: vec![] }
}

fn is_failure(state: &str) -> bool {
    ["fail", "error", "inconclusive"].contains(&state)
}

/// The step whose failure this one stands for.
fn failed(at: usize, steps: &[Step], fates: &[Fate]) -> Option<String> {
    match (fates[at].state, &fates[at].cause) {
        ("pass" | "warn", _) => None,
        ("skipped", Some(("need_failed", Some(root)))) => Some(root.clone()),
        ("skipped", _) => None,
        _ => Some(steps[at].name.clone()),
    }
}

fn blocked(step: &Step, steps: &[Step], fates: &[Fate]) -> Option<Fate> {
    let left_out = |at: usize| fates[at].cause.as_ref().is_some_and(|(code, _)| *code == "filtered");
    let by = |at: usize| match (failed(at, steps, fates), &fates[at].cause) {
        (Some(root), _) => skipped("need_failed", Some(root)),
        (None, Some(("need_skipped", Some(root)))) => skipped("need_skipped", Some(root.clone())),
        _ => skipped("need_skipped", Some(steps[at].name.clone())),
    };
    match step.run_when {
        "always" => None,
        "failure" if step.needs.iter().any(|at| failed(*at, steps, fates).is_some()) => None,
        "failure" => {
            Some(skipped("run_when", Some("`run_when = \"failure\"`, and nothing it needs failed".to_owned())))
        }
        "completed" => {
            let unrun = |at: &&usize| ["skipped", "not_run"].contains(&fates[**at].state) && !left_out(**at);
            step.needs.iter().find(unrun).map(|at| by(*at))
        }
        _ => {
            let fine = |at: usize| match fates[at].state {
                "pass" | "warn" => true,
                state if is_failure(state) => steps[at].on_failure == "continue",
                _ => left_out(at),
            };
            step.needs.iter().find(|at| !fine(**at)).map(|at| by(*at))
        }
    }
}

fn ran(step: &Step, steps: &[Step], fates: &[Fate], exits: &[Option<i32>]) -> (Fate, Option<i32>) {
    let mut attempts = Vec::new();
    loop {
        let holds = match &step.when {
            None | Some(When::Always) => Some(true),
            Some(When::Never) => Some(false),
            Some(When::State(other, state)) => Some(fates[*other].state == *state),
            // Of a step that never ran nothing is known; one that gave no exit code had none.
            Some(When::Exit(other)) if fates[*other].attempts.is_empty() => None,
            Some(When::Exit(other)) => Some(exits[*other] == Some(0)),
        };
        let (state, cause, exit) = match (holds, step.looks.get(attempts.len()).or(step.looks.last())) {
            (Some(false), _) => {
                let when = step.when.as_ref().map(|when| condition(when, steps));
                return (skipped("when", when), None);
            }
            (None, _) | (_, None) => ("error", Some("action_error"), None),
            (_, Some(Outcome::Error(Cause::Signal(_)))) => ("fail", Some("signal"), None),
            (_, Some(Outcome::Error(cause))) => ("error", Some(cause.code()), None),
            (_, Some(Outcome::Code(0))) => ("pass", None, Some(0)),
            // A service has no exit code to judge: the script leaves it running.
            (_, Some(Outcome::Code(_))) if step.service => ("pass", None, None),
            (_, Some(Outcome::Code(9))) if step.rejects => ("fail", Some("rejected"), Some(9)),
            (_, Some(Outcome::Code(code))) if step.warns && *code <= 2 => ("warn", Some("criteria"), Some(*code)),
            (_, Some(Outcome::Code(code))) if step.rejects => ("inconclusive", Some("undecided"), Some(*code)),
            (_, Some(Outcome::Code(code))) => ("fail", Some("criteria"), Some(*code)),
        };
        attempts.push((state, cause));
        let wanted = step.retry_exit.is_none_or(|code| exit == Some(code));
        if !(is_failure(state) && cause != Some("rejected") && wanted && attempts.len() <= step.retry) {
            let of = (cause == Some("signal")).then(|| "SIGSEGV".to_owned());
            return (Fate { state, cause: cause.map(|code| (code, of)), attempts }, exit);
        }
    }
}

/// The decision by the formula, on floats.
fn decision(steps: &[Step], fates: &[Fate]) -> (&'static str, u32) {
    let (mut left, mut veto, mut hold) = (1.0, false, false);
    for (step, fate) in steps.iter().zip(fates) {
        let by_choice =
            |fate: &Fate| fate.cause.as_ref().is_some_and(|(code, _)| ["when", "run_when", "filtered"].contains(code));
        let root = match &fate.cause {
            Some(("need_failed" | "need_skipped", Some(root))) => steps.iter().position(|step| step.name == *root),
            _ => None,
        };
        let fine = fate.state == "pass" || by_choice(fate) || root.is_some_and(|root| by_choice(&fates[root]));
        let open = if fine {
            0.0
        } else if fate.state == "warn" {
            0.5
        } else {
            1.0
        };
        left *= 1.0 - step.severity.1 * open;
        if open == 1.0 && step.required {
            // What is open where it began is open here.
            let open_there = root.is_some_and(|root| fates[root].state == "inconclusive");
            if fate.state == "inconclusive" || open_there { hold = true } else { veto = true }
        }
    }
    let ran = |(step, fate): (&Step, &Fate)| !step.finally && !["skipped", "not_run"].contains(&fate.state);
    if !veto && !steps.iter().zip(fates).any(ran) {
        hold = true;
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 100")]
    let risk = (100.0 * (1.0 - left) - 1e-9).ceil().max(0.0) as u32;
    let verdict = if veto || risk >= 70 {
        "NO-GO"
    } else if hold || risk > 40 {
        "HOLD"
    } else {
        "GO"
    };
    (verdict, risk)
}

/// One script, played by every kind of action.
struct Played(Rc<Scripted>);

impl Act for Played {
    fn look<'a>(&'a self, request: &'a Request, lent: &'a Lent) -> Look<'a> {
        self.0.look(request, lent)
    }
}

struct Folder(PathBuf);

impl Keeper for Folder {
    fn spool(&self, rank: u32, _name: &str) -> io::Result<PathBuf> {
        let path = self.0.join(rank.to_string());
        std::fs::create_dir_all(&path)?;
        Ok(path)
    }

    fn place(&self, rank: u32, _name: &str) -> PathBuf {
        self.0.join(rank.to_string())
    }

    fn slots(&self) -> PathBuf {
        self.0.join("slots")
    }

    fn archive(&self, _file: &Path, _sha256: &str) -> Result<(), KeepError> {
        Err(KeepError::File("nothing is archived here".to_owned()))
    }

    fn identify(&self, form: ActionForm<'_>) -> io::Result<(String, String)> {
        preimage::action_digest(form).map_err(io::Error::other)
    }

    fn gate(&self, _: &[runplan::identity::GateForm]) -> io::Result<String> {
        Err(io::Error::other("no gates here"))
    }
}

/// A journal in memory, readable after the run.
#[derive(Clone, Default)]
struct Bytes(Rc<RefCell<Vec<u8>>>);

impl Write for Bytes {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Medium for Bytes {
    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Events {
    journal: Journal<Bytes>,
    kept: Vec<Event>,
}

impl Sink for Events {
    fn event(&mut self, event: &Event) -> io::Result<()> {
        self.kept.push(event.clone());
        self.journal.event(event)
    }
}

impl Outlet for Events {
    fn settle(&mut self, _: u64) -> io::Result<()> {
        Ok(())
    }

    fn pause(&mut self) {}

    fn tick(&mut self, _mono: u64) {}
}

/// One run of the real engine.
struct Gone {
    record: Vec<u8>,
    seen: Vec<Seen>,
    most: usize,
    events: Vec<Event>,
}

fn plays(steps: &[Step], seed: &mut Seed) -> Vec<(String, Vec<Play>)> {
    let play = |step: &Step, look: &Outcome, seed: &mut Seed| {
        let service = Service { dies: None, stops: Exit::Signal("SIGTERM".into()) };
        let play = match look {
            Outcome::Error(cause) => Play::error(cause.clone(), "played"),
            Outcome::Code(_) if step.service => {
                Play { facts: Facts::about(1, "probe"), service: Some(service), ..Play::default() }
            }
            Outcome::Code(code) => Play::exit(*code),
        };
        play.yielding(u32::try_from(seed.below(9)).expect("small"))
    };
    steps
        .iter()
        .map(|step| (step.name.clone(), step.looks.iter().map(|look| play(step, look, seed)).collect()))
        .collect()
}

fn load(text: &str) -> (Plan, Graph) {
    let options = LoadOptions { today: "2026-11-24", vars: vec![], var_files: vec![], env: &|_| None, strict: false };
    let loaded = plan::load_text("blueprint.toml".into(), text, &options);
    assert!(!loaded.has_errors(), "{:#?}\n{text}", loaded.diagnostics);
    let graph = graph::build(&loaded.plan).unwrap_or_else(|faults| panic!("{faults:?}\n{text}"));
    (Arc::unwrap_or_clone(loaded.plan), graph)
}

fn go(
    (plan, graph): (&Plan, &Graph),
    text: &str,
    steps: &[Step],
    (jobs, order): (u32, u64),
    folder: &Path,
    known: BTreeMap<String, Known>,
) -> Gone {
    let mut seed = Seed::new(order);
    let scripted = Rc::new(Scripted::new(plays(steps, &mut seed)));
    let act = || -> Box<dyn Act> { Box::new(Played(Rc::clone(&scripted))) };
    let world = World {
        env: BTreeMap::new(),
        now: Arc::new(|| 0),
        start: Instant::now(),
        secrets: BTreeMap::new(),
        mask: None,
        ports: BTreeMap::new(),
        acts: [(ActionKind::Run, act()), (ActionKind::Service, act())].into(),
    };
    let durations = steps.iter().map(|step| (step.name.clone(), Duration::from_millis(seed.next() % 50)));
    let options = Options {
        jobs,
        shuffled: None,
        grace: Duration::ZERO,
        selected: steps.iter().map(|step| !step.filtered).collect(),
        durations: durations.collect(),
        baselines: BTreeMap::new(),
        ratchets: BTreeMap::new(),
        waivers: BTreeMap::new(),
        run: "run".to_owned(),
        known: known.into(),
    };
    let head = PlanHead { name: plan.name.clone(), go: 40, no_go: 70, ..PlanHead::default() };
    let open =
        EventKind::Open { plan: head.into(), settings: Box::default(), steps: engine::heads::steps(plan, graph) };
    let bytes = Bytes::default();
    let mut events = Events { journal: Journal::over(bytes.clone(), "memory", Durability::None, None), kept: vec![] };
    let keeper = Folder(folder.to_owned());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let going = engine::run(plan, graph, &world, &keeper, &options, open, &mut events);
    let outcome = runtime.block_on(async { tokio::time::timeout(Duration::from_secs(600), going).await });
    let outcome = outcome.unwrap_or_else(|_| panic!("it hangs:\n{text}")).expect("the journal takes everything");
    assert!(matches!(outcome.status, RunStatus::Decided(_)));
    let record = project::project(&events.kept).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let record = record.finish(&outcome.decision).expect("canonical");
    if jobs > 1 {
        // The journal alone gives the same bytes.
        let read = read::recover(&bytes.0.borrow()).expect("a sound journal");
        let again = project::project(&read.events).expect("complete").finish(&outcome.decision).expect("canonical");
        assert!(!read.torn && again == record, "the journal gives another record");
    }
    Gone { record, seen: scripted.log(), most: scripted.most_at_once(), events: events.kept }
}

/// The record holds what the oracle says.
fn agrees(record: &[u8], steps: &[Step], text: &str) {
    let file = read::read_record(record).expect("a canonical record");
    let fates = serial(steps);
    for (line, (step, fate)) in file.steps.iter().zip(steps.iter().zip(&fates)) {
        let found = Fate {
            state: line.state.word(),
            cause: line.cause.as_ref().map(|cause| (cause.code(), cause.of().map(str::to_owned))),
            attempts: line.attempts.iter().map(|a| (a.state.word(), a.cause.as_ref().map(Cause::code))).collect(),
        };
        assert_eq!(line.id, step.name);
        assert_eq!(found, *fate, "step `{}` of\n{text}", step.name);
    }
    assert_eq!(file.steps.len(), steps.len());
    assert_eq!((file.end.verdict.word(), file.end.risk), decision(steps, &fates), "the decision of\n{text}");
}

/// Never more at once than workers, and never two that hold the lock.
fn orderly(gone: &Gone, steps: &[Step], jobs: u32) {
    assert!(gone.most <= jobs as usize, "{} looks at once with {jobs} workers", gone.most);
    let mut holder: Option<&str> = None;
    for seen in &gone.seen {
        let locks = |name: &String| steps.iter().any(|step| step.pool && step.name == *name);
        match seen {
            Seen::Began(name, _) if locks(name) => {
                assert_eq!(holder.replace(name), None, "`{name}` began while another step held the lock");
            }
            Seen::Ended(name, _) if locks(name) => holder = None,
            _ => {}
        }
    }
}

#[test]
fn random_plans_agree_with_a_serial_oracle() {
    let temp = tempfile::tempdir().expect("a folder");
    let (mut runs, mut words) = (0, BTreeMap::<&str, u32>::new());
    for number in 0..PLANS {
        let mut seed = Seed::new(number);
        let mode = seed.pick(&["independent", "stop", "continue", "mixed"]);
        let steps = random(&mut seed, mode);
        let text = text(&steps, mode);
        serial(&steps).iter().for_each(|fate| *words.entry(fate.state).or_default() += 1);
        let (plan, graph) = load(&text);
        let mut first: Option<Vec<u8>> = None;
        for jobs in [1, 2 + u32::try_from(seed.below(15)).expect("small")] {
            let gone = go((&plan, &graph), &text, &steps, (jobs, seed.next()), temp.path(), BTreeMap::new());
            orderly(&gone, &steps, jobs);
            agrees(&gone.record, &steps, &text);
            assert_eq!(first.get_or_insert_with(|| gone.record.clone()), &gone.record, "-j{jobs} of\n{text}");
            runs += 1;
        }
    }
    support::say(&format!("{PLANS} plans, {runs} runs; states: {words:?}"));
    for word in ["pass", "warn", "fail", "error", "inconclusive", "skipped", "not_run"] {
        assert!(words[word] > 100, "`{word}` is too rare: {words:?}");
    }
}

#[test]
fn a_run_that_takes_over_earlier_results_has_the_record_of_one_that_does_not() {
    let temp = tempfile::tempdir().expect("a folder");
    let (mut reused, mut idle) = (0, 0);
    for number in 0..PLANS / 4 {
        let mut seed = Seed::new(50_000 + number);
        let mode = seed.pick(&["independent", "stop", "continue", "mixed"]);
        let steps = random(&mut seed, mode);
        let text = text(&steps, mode);
        let (plan, graph) = load(&text);
        let clean = go((&plan, &graph), &text, &steps, (4, seed.next()), temp.path(), BTreeMap::new());
        let passed = reuse::Successes::among(&clean.events, "run", &|_| true);
        for percent in [100, 60] {
            let some = passed.clone().into_iter().filter(|_| seed.chance(percent));
            let known: BTreeMap<String, Known> = some
                .map(|(name, earlier)| {
                    (name, Known { run: earlier.run, result: earlier.result, trust: Trust::Asked, stale: None })
                })
                .collect();
            let jobs = 1 + u32::try_from(seed.below(9)).expect("small");
            let again = go((&plan, &graph), &text, &steps, (jobs, seed.next()), temp.path(), known.clone());
            let (right, found) = (String::from_utf8_lossy(&clean.record), String::from_utf8_lossy(&again.record));
            assert_eq!(right, found, "known: {:?}; plan:\n{text}", known.keys());
            let taken: Vec<&str> = again
                .events
                .iter()
                .filter_map(|event| match &event.kind {
                    EventKind::Reused { step, .. } => Some(plan.step(*step).name.as_str()),
                    _ => None,
                })
                .collect();
            let began =
                |name: &str| again.seen.iter().any(|seen| matches!(seen, Seen::Began(other, _) if other == name));
            assert!(taken.iter().all(|name| !began(name)), "nothing that is reused is started");
            reused += taken.len();
            idle += taken.iter().filter(|name| steps.iter().any(|step| step.service && step.name == **name)).count();
        }
    }
    support::say(&format!("{reused} results taken over, {idle} of them services that were not started"));
    assert!(reused > 1000 && idle > 10, "{reused} {idle}");
}
