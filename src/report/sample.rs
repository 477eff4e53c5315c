//! A run for tests: events with failures, retries, blocked steps, services and interrupts, in one small builder.

use std::collections::BTreeMap;
use std::path::Path;

use crate::event::{Event, EventKind, PlanHead, Settings, StepHead};
use crate::facts::Facts;
use crate::ids::StepId;
use crate::outcome::{
    AttemptResult, Cause, CriterionResult, Decision, Exit, RiskTerm, RunStatus, Severity, State, StepResult, Tier,
    Verdict, Veto,
};

use super::summary::Summary;
use super::{About, Context, Excerpt, Left, Tail};

/// Milliseconds in nanoseconds.
pub(super) const MS: u64 = 1_000_000;

/// The plan's line 14 of these tests.
pub(super) const LINE: &str = r#"pass = ["exit == 0", "percent(lines) >= 55"]"#;

/// Builds a stream of events.
pub(super) struct Stream {
    pub(super) events: Vec<Event>,
    heads: Vec<StepHead>,
    now: u64,
}

impl Stream {
    /// A run of these steps; `!` after a name makes it advisory.
    pub(super) fn open(names: &[&str]) -> Self {
        let head = |(index, name): (usize, &&str)| StepHead {
            step: StepId::at(index),
            name: name.trim_end_matches('!').to_owned(),
            title: None,
            rank: u32::try_from(index).unwrap(),
            kind: "run".into(),
            needs: Vec::new(),
            after: Vec::new(),
            required: !name.ends_with('!'),
            severity: Severity::High,
            weight_permille: 350,
            finally: false,
            volatile: false,
            on_failure: "independent".into(),
            place: "blueprint.toml:12:1".into(),
        };
        let heads: Vec<StepHead> = names.iter().enumerate().map(head).collect();
        let plan =
            PlanHead { name: "demo".into(), path: "blueprint.toml".into(), go: 40, no_go: 70, ..PlanHead::default() };
        let settings = Settings { run: "20261124T061500Z-k3".into(), jobs: 4, ..Settings::default() };
        let mut stream = Self { events: Vec::new(), heads: heads.clone(), now: 0 };
        stream.push(EventKind::Open { plan: plan.into(), settings: settings.into(), steps: heads });
        stream
    }

    pub(super) fn push(&mut self, kind: EventKind) -> &mut Self {
        self.events.push(Event { at: 0, mono: self.now, kind });
        self
    }

    pub(super) fn wait(&mut self, ms: u64) -> &mut Self {
        self.now += ms * MS;
        self
    }

    pub(super) fn id(&self, name: &str) -> StepId {
        StepId::at(self.heads.iter().position(|head| head.name == name).unwrap())
    }

    pub(super) fn start(&mut self, name: &str, attempt: u32) -> &mut Self {
        let step = self.id(name);
        self.push(EventKind::Start { step, attempt })
    }

    /// The attempt ends without a commit: a retry follows.
    pub(super) fn retry(&mut self, name: &str, result: AttemptResult, attempt: u32) -> &mut Self {
        let step = self.id(name);
        self.wait(result.duration_ns / MS);
        self.push(EventKind::Attempt { step, attempt: attempt - 1, result: Box::new(result) });
        self.push(EventKind::Retry { step, attempt, after_ns: 2_000 * MS })
    }

    /// The last attempt ends and the step with it.
    pub(super) fn end(&mut self, name: &str, earlier: &[AttemptResult], last: AttemptResult) -> &mut Self {
        let step = self.id(name);
        self.wait(last.duration_ns / MS);
        let attempt = u32::try_from(earlier.len()).unwrap() + 1;
        self.push(EventKind::Attempt { step, attempt, result: Box::new(last.clone()) });
        let mut result = StepResult::unrun(last.state, Cause::Filtered);
        result.cause.clone_from(&last.cause);
        result.detail.clone_from(&last.detail);
        result.attempts = earlier.iter().cloned().chain([last]).collect();
        self.push(EventKind::Commit { step, result: Box::new(result) })
    }

    pub(super) fn pass(&mut self, name: &str, ms: u64) -> &mut Self {
        self.start(name, 1).end(name, &[], attempt(State::Pass, None, ms))
    }

    pub(super) fn unrun(&mut self, name: &str, state: State, cause: Cause) -> &mut Self {
        let step = self.id(name);
        self.push(EventKind::Commit { step, result: Box::new(StepResult::unrun(state, cause)) })
    }

    pub(super) fn close(&mut self, decision: Decision) -> &mut Self {
        let verdict = decision.verdict;
        self.push(EventKind::Decision { decision: Box::new(decision), last: true });
        self.push(EventKind::Close { status: RunStatus::Decided(verdict), record: Some("5f".repeat(32)) })
    }

    pub(super) fn summary(&self) -> Summary {
        let mut summary = Summary::default();
        self.events.iter().for_each(|event| summary.apply(event));
        summary
    }
}

pub(super) fn attempt(state: State, cause: Option<Cause>, ms: u64) -> AttemptResult {
    AttemptResult {
        state,
        cause,
        detail: None,
        exit: Some(Exit::Code(i32::from(state == State::Fail))),
        criteria: Vec::new(),
        facts: Facts::default(),
        samples: 1,
        duration_ns: ms * MS,
        output_bytes: 0,
        notes: Vec::new(),
        spools: Vec::new(),
    }
}

pub(super) fn criterion(tier: Tier, text: &str, state: State, expected: &str, actual: &str) -> CriterionResult {
    CriterionResult {
        tier,
        text: text.into(),
        implied: false,
        place: "blueprint.toml:14:22".into(),
        state,
        expected: expected.into(),
        against: None,
        actual: actual.into(),
        margin: None,
        note: None,
        waiver: None,
        compared: None,
    }
}

/// A failure by an implied `exit == 0`.
pub(super) fn exit_one(ms: u64) -> AttemptResult {
    let implied = criterion(Tier::Pass, "exit == 0", State::Fail, "0", "1");
    let implied = CriterionResult { implied: true, place: String::new(), ..implied };
    AttemptResult { criteria: vec![implied], ..attempt(State::Fail, Some(Cause::Criteria), ms) }
}

/// Coverage below its goal.
pub(super) fn below(state: State, ms: u64) -> AttemptResult {
    let goal = criterion(Tier::Pass, "percent(lines) >= 55", State::Fail, ">= 55 %", "31.4 % (157/500)");
    let goal = CriterionResult { margin: Some("short by 23.6 pp".into()), ..goal };
    let holds = criterion(Tier::Pass, "exit == 0", State::Pass, "0", "0");
    AttemptResult {
        exit: Some(Exit::Code(0)),
        criteria: vec![holds, goal],
        ..attempt(state, Some(Cause::Criteria), ms)
    }
}

/// Answers like the app would.
pub(super) fn context() -> Context {
    Context {
        excerpt: Box::new(|place| {
            let (line, text, len) = match place {
                "blueprint.toml:14:22" => (14, LINE, 22),
                "blueprint.toml:12:1" => (12, "[steps.fmt]", 11),
                _ => return None,
            };
            let col = place.rsplit(':').next()?.parse().ok()?;
            Some(Excerpt { path: "blueprint.toml".into(), line, col, text: text.into(), len })
        }),
        tail: Box::new(|which, stream| {
            let path = format!(".runplan/runs/r1/steps/{:04}-{}/{stream}", which.rank, which.name);
            let lines: Vec<Vec<u8>> = match stream {
                "stderr" => vec![b"\x1b[31merror\x1b[0m: it broke \xff".to_vec()],
                _ => (203..=212).map(|n| format!("line {n} {}", "w".repeat(n - 150)).into_bytes()).collect(),
            };
            let total = if stream == "stderr" { 1 } else { 212 };
            (which.name != "silent").then_some(Tail { lines, total_lines: Some(total), path })
        }),
        glance: Box::new(|which| Some(format!("{} says\t\x1b[2Jhello", which.name).into_bytes())),
        about: Box::new(|name| Some(About { action: format!("$ make {name}"), cwd: Some("app".into()), tries: 3 })),
        read: Box::new(|_, _, _| None),
        output: super::Output::default(),
        pace: Box::new(|_| None),
        remaining: Box::new(|_, _| Some(Left { left: std::time::Duration::from_secs(65), over: Default::default() })),
        repository: Box::new(|path| Some(path.to_owned())),
        token: Box::new(str::to_owned),
        run_dir: ".runplan/runs/20261124T061500Z-k3".into(),
        command: "runplan blueprint.toml".into(),
    }
}

/// 1 required failure that blocks two, 1 advisory one, a warning, a flaky pass, a service, a choice, a note.
pub(super) fn eventful() -> Stream {
    let names =
        ["app", "unit-lib", "flaky", "coverage", "fmt", "package", "release", "nlp!", "e2e[os=linux,py=3.12]", "off"];
    let mut stream = Stream::open(&names);
    stream.unrun("off", State::Skipped, Cause::Filtered);
    let app = stream.id("app");
    stream.start("app", 1).wait(350).push(EventKind::Serving { step: app });
    stream.pass("unit-lib", 2_310);
    stream.start("flaky", 1).retry("flaky", exit_one(120), 2).wait(2_000).start("flaky", 2);
    stream.end("flaky", &[exit_one(120)], attempt(State::Pass, None, 80));
    stream.start("coverage", 1).end("coverage", &[], below(State::Warn, 34_100));
    stream.start("fmt", 1).end("fmt", &[], exit_one(420));
    stream.unrun("package", State::Skipped, Cause::NeedFailed("fmt".into()));
    stream.unrun("release", State::Skipped, Cause::NeedSkipped("package".into()));
    let nlp = AttemptResult {
        detail: Some("could not start `spacy`: no such file\n\u{1b}]0;x\u{7}".into()),
        exit: None,
        ..attempt(State::Error, Some(Cause::SpawnFailed), 12)
    };
    let about = Some(stream.id("nlp"));
    let text = "a background process held its output open".to_owned();
    stream.start("nlp", 1).push(EventKind::Warn { step: about, code: "leaked_handles".into(), text });
    stream.end("nlp", &[], nlp);
    stream.unrun("e2e[os=linux,py=3.12]", State::Skipped, Cause::When("vars.os == \"linux\"".into()));
    stream.push(EventKind::Warn {
        step: None,
        code: "x".into(),
        text: "the plan reads a file outside of the workspace, so its record says nothing about what that file holds"
            .into(),
    });
    stream.push(EventKind::Stopping { step: app });
    stream.end("app", &[], attempt(State::Pass, None, 41_000));
    stream
}

/// NO-GO by `fmt`.
pub(super) fn no_go() -> Decision {
    let term = |id: &str, state: &str, w: u32, u: u32| RiskTerm {
        id: id.into(),
        kind: "step".into(),
        state: state.into(),
        weight_permille: w,
        unknown_permille: u,
    };
    let declared = RiskTerm { kind: "declared".into(), ..term("new-vendor", "open", 50, 1000) };
    Decision {
        verdict: Verdict::NoGo,
        risk: 84,
        go: 40,
        no_go: 70,
        vetoes: vec![Veto { id: "fmt".into(), reason: "required and failed".into() }],
        holds: vec![],
        terms: vec![
            term("coverage", "warn", 350, 500),
            term("fmt", "fail", 350, 1000),
            term("nlp", "error", 150, 1000),
            declared,
        ],
    }
}

/// Compares with a golden file; `RUNPLAN_BLESS=1` writes it instead.
pub(super) fn golden(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/report").join(name);
    if std::env::var_os("RUNPLAN_BLESS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
    }
    let wanted = std::fs::read_to_string(&path).unwrap_or_else(|_| panic!("no golden file {name}"));
    assert!(wanted == text, "{name} differs; got:\n{text}\nwanted:\n{wanted}");
}

/// Every name that a test of counts needs.
pub(super) fn counts(summary: &Summary) -> BTreeMap<String, usize> {
    summary.counts.iter().map(|(bucket, n)| (format!("{bucket:?}"), *n)).collect()
}
