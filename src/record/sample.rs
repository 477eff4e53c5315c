//! Small made-up runs for the tests of this room. Knows nothing that the tests themselves must prove.

use std::collections::BTreeMap;

use crate::event::{Event, EventKind, PlanHead, Settings, StepHead};
use crate::facts::{Facts, Num, Unit, Value};
use crate::ids::StepId;
use crate::outcome::{
    AttemptResult, Cause, Class, CriterionResult, Decision, Exit, FileDigest, Note, OutputDigest, RiskTerm, RunStatus,
    Severity, State, StepResult, Tier, Verdict, Veto,
};

pub(crate) fn event(kind: EventKind) -> Event {
    Event { at: 1_764_000_000_000, mono: 987_654_321, kind }
}

/// A required, independent step; its rank is its id.
pub(crate) fn head(id: u32, name: &str) -> StepHead {
    StepHead {
        step: StepId(id),
        name: name.into(),
        title: None,
        rank: id,
        kind: "run".into(),
        needs: Vec::new(),
        after: Vec::new(),
        required: true,
        severity: Severity::Medium,
        weight_permille: 150,
        finally: false,
        on_failure: "independent".into(),
        volatile: false,
        place: "seen-from/plan.toml:1:1".into(),
    }
}

pub(crate) fn open(steps: Vec<StepHead>) -> Event {
    let plan = PlanHead {
        name: "p".into(),
        path: "plan.toml".into(),
        sha256: "1".repeat(64),
        norm_sha256: "2".repeat(64),
        env_set: BTreeMap::from([("ROOT".into(), "/home/somebody/w/bin".into())]),
        on_failure: "independent".into(),
        go: 40,
        no_go: 70,
        ..PlanHead::default()
    };
    let settings = Settings {
        run: "20260101T000000Z-aaaaaa".into(),
        jobs: 4,
        shuffle: None,
        plan_files: None,
        engine: "0.0.1-engine".into(),
        host: "observed-host".into(),
        pid: 4242,
        workspace: "/home/somebody/w".into(),
        containment: "group".into(),
        baselines: [("a".to_owned(), "20251231T000000Z-bbbbbb".to_owned())].into(),
        reports: vec!["out/readiness.md".into()],
    };
    event(EventKind::Open { plan: plan.into(), settings: settings.into(), steps })
}

pub(crate) fn attempt(state: State, cause: Option<Cause>) -> AttemptResult {
    let mut facts = Facts::about(1, "line");
    facts.set("json", Value::Json(serde_json::json!({ "a": 0.1, "b": 1e300 })));
    facts.set("percent(lines)", Num::ratio(157, 500).map_or(Value::Null, |n| Value::Num(n, Unit::Percent)));
    facts.set("stdout", Value::text("seen-\u{e9}\n"));
    AttemptResult {
        state,
        cause,
        detail: Some("seen-detail".into()),
        exit: Some(Exit::Code(0)),
        criteria: vec![CriterionResult {
            tier: Tier::Pass,
            text: "exit == 0".into(),
            implied: true,
            place: "seen-from/plan.toml:12:9".into(),
            state: State::Pass,
            expected: "== 0".into(),
            against: Some("seen-against".into()),
            actual: "seen-actual".into(),
            margin: Some("seen-margin".into()),
            note: None,
            waiver: None,
            compared: None,
        }],
        facts,
        samples: 3,
        duration_ns: 987_654_321,
        output_bytes: 4242,
        notes: vec![Note { code: "seen-code".into(), text: "seen-note".into() }],
        spools: Vec::new(),
    }
}

pub(crate) fn ran(state: State, cause: Option<Cause>) -> StepResult {
    StepResult {
        state,
        cause: cause.clone(),
        detail: Some("seen-detail".into()),
        attempts: vec![attempt(state, cause)],
        action: Some("3".repeat(64)),
        action_preimage: Some("seen-preimage".into()),
        inputs: Vec::new(),
        outputs: vec![OutputDigest {
            file: FileDigest { path: "out".into(), sha256: "4".repeat(64), size: 1, executable: true },
            class: Class::Stable,
            artifact: false,
            normalized: None,
        }],
        values: BTreeMap::from([("version".into(), "v1".into())]),
        allowed_empty: None,
    }
}

pub(crate) fn passed() -> StepResult {
    ran(State::Pass, None)
}

pub(crate) fn commit(step: u32, result: StepResult) -> Event {
    event(EventKind::Commit { step: StepId(step), result: Box::new(result) })
}

pub(crate) fn decision() -> Decision {
    Decision {
        verdict: Verdict::Go,
        risk: 0,
        go: 40,
        no_go: 70,
        vetoes: Vec::new(),
        holds: Vec::new(),
        terms: Vec::new(),
    }
}

/// One step from open to close.
pub(crate) fn small_run() -> Vec<Event> {
    vec![
        open(vec![head(0, "a")]),
        event(EventKind::Start { step: StepId(0), attempt: 1 }),
        commit(0, passed()),
        event(EventKind::Decision { decision: Box::new(decision()), last: true }),
        event(EventKind::Close { status: RunStatus::Decided(Verdict::Go), record: Some("5".repeat(64)) }),
    ]
}

/// At least one event of every type, with as many of its optional members as there are.
pub(crate) fn every_event() -> Vec<Event> {
    let step = StepId(0);
    let mut result = ran(State::Fail, Some(Cause::When("vars.x == 1".into())));
    result.attempts[0].exit = Some(Exit::Signal("SIGSEGV".into()));
    result.attempts[0].facts.set("all", Value::List(vec![Value::Null, Value::Bool(true), Value::size(5)]));
    result.attempts[0].facts.set("map", Value::Map(BTreeMap::from([("k".into(), Value::int(1))])));
    result.inputs.push(FileDigest { path: "in".into(), sha256: "6".repeat(64), size: 2, executable: false });
    result.allowed_empty = Some("reason".into());
    let AttemptResult { criteria, facts, .. } = attempt(State::Pass, None);
    let mut last = decision();
    let veto = Veto { id: "a".into(), reason: "it failed".into() };
    last.vetoes.push(veto.clone());
    last.holds.push(veto);
    last.terms.push(RiskTerm {
        id: "a".into(),
        kind: "step".into(),
        state: "fail".into(),
        weight_permille: 150,
        unknown_permille: 1000,
    });
    let mut events = vec![
        open(vec![StepHead { title: Some("A".into()), needs: vec!["b".into()], ..head(0, "a") }]),
        event(EventKind::Ready { step }),
        event(EventKind::Start { step, attempt: 1 }),
        event(EventKind::Spawned { step, pid: 1 }),
        event(EventKind::Sample { step, attempt: 1, sample: 1, state: State::Error, criteria, facts, detail: None }),
        event(EventKind::Attempt { step, attempt: 1, result: Box::new(attempt(State::Error, Some(Cause::Timeout))) }),
        event(EventKind::Retry { step, attempt: 2, after_ns: 5 }),
        event(EventKind::Serving { step }),
        event(EventKind::Stopping { step }),
        event(EventKind::Reused { step, run: "20260101T000000Z-bbbbbb".into() }),
        event(EventKind::Stale { step, run: "20260101T000000Z-bbbbbb".into(), why: "its input `x` changed".into() }),
        commit(0, result),
        event(EventKind::Warn { step: None, code: "c".into(), text: "long ".repeat(20_000) }),
        event(EventKind::Signal { name: "SIGINT".into(), count: 1 }),
        event(EventKind::Decision { decision: Box::new(last), last: false }),
    ];
    let EventKind::Open { settings, .. } = &events[0].kind else { unreachable!("the first") };
    let settings = settings.clone();
    events.insert(1, event(EventKind::Resume { settings }));
    events.extend(small_run().into_iter().skip(3));
    events
}
