//! What happened, in order: the one stream that the recorder and every reporter read. Owned data, no channels.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::facts::Facts;
use crate::ids::StepId;
use crate::outcome::{AttemptResult, CriterionResult, Decision, RunStatus, Severity, State, StepResult};
use crate::policy::SignoffPolicy;

/// One event. `at` is wall-clock time in milliseconds since 1970, `mono` nanoseconds since the run began.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Wall clock, milliseconds since the epoch; evidence only.
    pub at: i64,
    /// Monotonic nanoseconds since the run began.
    pub mono: u64,
    /// What happened.
    #[serde(flatten)]
    pub kind: EventKind,
}

/// What a plan was, as far as identity goes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanHead {
    /// The day that waivers are held against (`2026-11-24`); only where the plan has some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub date: Option<String>,
    /// Names the children may inherit.
    pub env_pass: Vec<String>,
    /// Variables set for every child, unrendered where late.
    pub env_set: BTreeMap<String, String>,
    /// Bounds of the decision.
    pub go: u32,
    /// `[plan] name`.
    pub name: String,
    /// See `go`.
    pub no_go: u32,
    /// SHA-256 of the expanded plan's canonical JSON: comments and layout don't change it.
    pub norm_sha256: String,
    /// `independent`, `stop` or `continue`.
    pub on_failure: String,
    /// Plan file relative to the workspace.
    pub path: String,
    /// Declared risk factors that apply: id and weight in thousandths.
    pub risks: Vec<(String, u32)>,
    /// Names of declared secrets.
    pub secrets: Vec<String>,
    /// Selection from the command line; empty = everything.
    pub select: Vec<String>,
    /// SHA-256 over all plan files' raw bytes (see `record`).
    pub sha256: String,
    /// Who has to sign.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signoffs: Option<SignoffPolicy>,
    /// `[plan] title`.
    pub title: Option<String>,
    /// Values of all `[vars]`, as canonical text.
    pub vars: BTreeMap<String, String>,
}

/// A step as announced when the run opens: every one, also those that will be skipped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepHead {
    /// Names of steps it only follows, sorted.
    pub after: Vec<String>,
    /// In `[finally]`.
    pub finally: bool,
    /// Action word (`run`).
    pub kind: String,
    /// Name, with the matrix part: `test[py=3.12]`.
    pub name: String,
    /// Names of needed steps, sorted.
    pub needs: Vec<String>,
    /// What a failure of this step does to the rest: `independent`, `stop` or `continue`.
    pub on_failure: String,
    /// `path:line:col` of its header in the plan.
    pub place: String,
    /// Plan rank: topological, ties by declaration.
    pub rank: u32,
    /// A failure blocks GO.
    pub required: bool,
    /// For the risk.
    pub severity: Severity,
    /// Dense id: position in declaration order.
    pub step: StepId,
    /// Human title.
    pub title: Option<String>,
    /// Reads a volatile output of another step, so it is volatile itself.
    pub volatile: bool,
    /// Weight in thousandths, from the severity unless the plan overrides it.
    pub weight_permille: u32,
}

/// Settings of this run that may not change the record.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// The earlier run that each step with a `baseline` is compared with, by step name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub baselines: BTreeMap<String, String>,
    /// How children are contained (`group+subreaper`, `group`).
    pub containment: String,
    /// Engine version.
    pub engine: String,
    /// Host name.
    pub host: String,
    /// `-j`.
    pub jobs: u32,
    /// Process id of the engine.
    pub pid: u32,
    /// SHA-256 of the list of the plan's files that is kept with the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan_files: Option<String>,
    /// Readiness reports that are written after each decision: paths relative to the workspace.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reports: Vec<String>,
    /// Run id: `<utc>-<rand>`.
    pub run: String,
    /// `--shuffle`: the seed of the order in which ready steps started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shuffle: Option<u64>,
    /// Workspace, absolute.
    pub workspace: String,
}

/// What can happen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "t", rename_all = "snake_case")]
pub enum EventKind {
    /// The run begins; every step is announced.
    Open {
        /// The plan.
        plan: Box<PlanHead>,
        /// The settings.
        settings: Box<Settings>,
        /// In declaration order.
        steps: Vec<StepHead>,
    },
    /// A step may start; it may still wait for a worker or a pool.
    Ready {
        /// The step.
        step: StepId,
    },
    /// An attempt starts.
    Start {
        /// The step.
        step: StepId,
        /// From 1.
        attempt: u32,
    },
    /// A process of the step was started.
    Spawned {
        /// The step.
        step: StepId,
        /// Process id, also the process-group id.
        pid: u32,
    },
    /// One look of a sampled step or of a service's readiness.
    Sample {
        /// The step.
        step: StepId,
        /// From 1.
        attempt: u32,
        /// From 1.
        sample: u32,
        /// How this look alone came out.
        state: State,
        /// Criteria of this look.
        criteria: Vec<CriterionResult>,
        /// What was seen.
        facts: Facts,
        /// What went wrong, if it could not look.
        detail: Option<String>,
    },
    /// An attempt ended.
    Attempt {
        /// The step.
        step: StepId,
        /// From 1.
        attempt: u32,
        /// How.
        result: Box<AttemptResult>,
    },
    /// The step will be tried again.
    Retry {
        /// The step.
        step: StepId,
        /// The attempt that comes next.
        attempt: u32,
        /// After this many nanoseconds.
        after_ns: u64,
    },
    /// A service is ready; its dependants may go on while it stays alive.
    Serving {
        /// The step.
        step: StepId,
    },
    /// A service is being ended.
    Stopping {
        /// The step.
        step: StepId,
    },
    /// The step's earlier result stands for a new one: nothing is started. Its deciding attempt and its commit follow.
    Reused {
        /// The step.
        step: StepId,
        /// The run that executed it.
        run: String,
    },
    /// An earlier result of the step was known, but it is not taken over: the step is executed.
    Stale {
        /// The step.
        step: StepId,
        /// The run that the result is from.
        run: String,
        /// The first difference.
        why: String,
    },
    /// The final result of a step: what the record is projected from.
    Commit {
        /// The step.
        step: StepId,
        /// How it ended.
        result: Box<StepResult>,
    },
    /// Worth saying, not a failure.
    Warn {
        /// The step it is about, if any.
        step: Option<StepId>,
        /// Short stable word.
        code: String,
        /// A sentence.
        text: String,
    },
    /// A signal reached the engine.
    Signal {
        /// Its name.
        name: String,
        /// How many so far.
        count: u32,
    },
    /// The decision over the main steps, seen by `finally` steps; the last one is final.
    Decision {
        /// The decision.
        decision: Box<Decision>,
        /// Includes the `finally` steps.
        last: bool,
    },
    /// A run that was interrupted goes on. Every result before this line is only what may be taken over: each step is
    /// committed anew.
    Resume {
        /// Those of this part.
        settings: Box<Settings>,
    },
    /// The run ends.
    Close {
        /// How.
        status: RunStatus,
        /// SHA-256 of `record.jsonl`, if one was written.
        record: Option<String>,
    },
}

/// Takes events as they happen. An error means the record is not safe and ends the run (exit 74).
pub trait Sink {
    /// Takes one event.
    ///
    /// # Errors
    /// When the event could not be stored.
    fn event(&mut self, event: &Event) -> std::io::Result<()>;
}
