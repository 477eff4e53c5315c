//! How things ended: states, causes, results of criteria, attempts, steps and the run. Plain serde data.

mod files;

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::facts::Facts;

pub use files::{Class, FileDigest, Filter, Normalized, OutputDigest};

/// How a criterion, a sample, an attempt or a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Everything asked for holds.
    Pass,
    /// The goal does not hold, the `warn` tier does.
    Warn,
    /// Proven not to hold.
    Fail,
    /// Looked, but the evidence does not decide.
    Inconclusive,
    /// The looking itself went wrong (no data, no such program, malformed file).
    Error,
    /// Waits for a person.
    Pending,
    /// Deliberately not run, or blocked by a step it needs; the cause says which.
    Skipped,
    /// Never reached: stopped, cancelled or interrupted before it could be judged.
    NotRun,
}

impl State {
    /// The word used in plans, records and on screen.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Warn => "warn",
            Self::Fail => "fail",
            Self::Inconclusive => "inconclusive",
            Self::Error => "error",
            Self::Pending => "pending",
            Self::Skipped => "skipped",
            Self::NotRun => "not_run",
        }
    }

    /// Whether a step that needs this one may go on under `run_when = "success"`.
    #[must_use]
    pub fn is_success(self) -> bool {
        matches!(self, Self::Pass | Self::Warn)
    }

    /// Whether the step ran and did not succeed.
    #[must_use]
    pub fn is_failure(self) -> bool {
        matches!(self, Self::Fail | Self::Error | Self::Inconclusive)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// Why a step ended as it did; a closed list.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "code", content = "of", rename_all = "snake_case")]
pub enum Cause {
    /// A `pass` (and, if given, every `warn`) criterion does not hold.
    Criteria,
    /// A `reject` criterion holds.
    Rejected,
    /// Neither `pass` nor `reject` is decided, or the samples ran out.
    Undecided,
    /// Ran longer than `timeout`.
    Timeout,
    /// The process ended by a signal that nobody of us sent (its name: `SIGSEGV`).
    Signal(String),
    /// The program could not be started.
    SpawnFailed,
    /// Nothing was inspected (`no_data`) and the step does not say `allow_empty`.
    NoData,
    /// The action could not look: connection refused, file malformed, template broken.
    ActionError,
    /// A declared output or artifact is missing, or a named output is missing, undeclared or given twice.
    OutputInvalid,
    /// An input changed while the step ran.
    InputChanged,
    /// A declared output contains a secret.
    SecretInOutput,
    /// A service ended before the last step that depends on it.
    ServiceDied,
    /// Its `when` does not hold (the criterion's text).
    When(String),
    /// Its `run_when` asked for another outcome of what it needs.
    RunWhen(String),
    /// Not part of what was selected on the command line.
    Filtered,
    /// A step it needs did not succeed (that step).
    NeedFailed(String),
    /// A step it needs was skipped (that step).
    NeedSkipped(String),
    /// An earlier step failed under `on_failure = "stop"` (that step).
    Stopped(String),
    /// The run was interrupted.
    Interrupted,
    /// What does not hold is accepted by a waiver that is in force.
    Waived,
    /// People have yet to sign.
    Unsigned,
}

impl Cause {
    /// The word in the record.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Criteria => "criteria",
            Self::Rejected => "rejected",
            Self::Undecided => "undecided",
            Self::Timeout => "timeout",
            Self::Signal(_) => "signal",
            Self::SpawnFailed => "spawn_failed",
            Self::NoData => "no_data",
            Self::ActionError => "action_error",
            Self::OutputInvalid => "output_invalid",
            Self::InputChanged => "input_changed",
            Self::SecretInOutput => "secret_in_output",
            Self::ServiceDied => "service_died",
            Self::When(_) => "when",
            Self::RunWhen(_) => "run_when",
            Self::Filtered => "filtered",
            Self::NeedFailed(_) => "need_failed",
            Self::NeedSkipped(_) => "need_skipped",
            Self::Stopped(_) => "stopped",
            Self::Interrupted => "interrupted",
            Self::Waived => "waived",
            Self::Unsigned => "unsigned",
        }
    }

    /// What it is about, for the causes that name something.
    #[must_use]
    pub fn of(&self) -> Option<&str> {
        match self {
            Self::Signal(of) | Self::When(of) | Self::RunWhen(of) => Some(of),
            Self::NeedFailed(of) | Self::NeedSkipped(of) | Self::Stopped(of) => Some(of),
            _ => None,
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Criteria => f.write_str("a criterion does not hold"),
            Self::Rejected => f.write_str("a `reject` criterion holds"),
            Self::Undecided => f.write_str("the evidence does not decide"),
            Self::Timeout => f.write_str("ran into its timeout"),
            Self::Signal(name) => write!(f, "ended by {name}"),
            Self::SpawnFailed => f.write_str("could not be started"),
            Self::NoData => f.write_str("nothing was inspected"),
            Self::ActionError => f.write_str("could not look"),
            Self::OutputInvalid => f.write_str("an output is missing or not as declared"),
            Self::InputChanged => f.write_str("an input changed while it ran"),
            Self::SecretInOutput => f.write_str("an output contains a secret"),
            Self::ServiceDied => f.write_str("the service ended while steps still needed it"),
            Self::When(text) => write!(f, "`when` does not hold: {text}"),
            Self::RunWhen(text) => f.write_str(text),
            Self::Filtered => f.write_str("not selected"),
            Self::NeedFailed(name) => write!(f, "needs `{name}`, which did not succeed"),
            Self::NeedSkipped(name) => write!(f, "needs `{name}`, which was skipped"),
            Self::Stopped(name) => write!(f, "not reached: `{name}` failed and stops the run"),
            Self::Interrupted => f.write_str("interrupted"),
            Self::Waived => f.write_str("what does not hold is waived"),
            Self::Unsigned => f.write_str("waits for people to sign"),
        }
    }
}

/// Which list a criterion stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tier {
    /// All must hold.
    Pass,
    /// One must hold.
    Any,
    /// All hold when `pass` did not: a warning.
    Warn,
    /// Any holds: fail at once.
    Reject,
    /// Condition of a step.
    When,
}

impl Tier {
    /// The key in the plan.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Any => "any",
            Self::Warn => "warn",
            Self::Reject => "reject",
            Self::When => "when",
        }
    }
}

/// One judged criterion: kept on a pass too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CriterionResult {
    /// What was: `31.4 % (157/500)`. Observed, so never part of the record.
    pub actual: String,
    /// What the right side came to where the plan only names it: `32 %`. Observed, so never part of the record.
    #[serde(default)]
    pub against: Option<String>,
    /// What it rests on, where it compares two samples. Observed, so never part of the record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compared: Option<Box<Compared>>,
    /// What had to be, as the plan says it: `>= 55 %`, `>= ratchet`.
    pub expected: String,
    /// `true` if nobody wrote it (`exit == 0` of a `run`).
    #[serde(default)]
    pub implied: bool,
    /// How far off or how much to spare: `short by 23.6 pp`.
    pub margin: Option<String>,
    /// Why it is an error or undecided.
    pub note: Option<String>,
    /// `file:line:col` in the plan; empty if implied.
    pub place: String,
    /// Pass (holds), Fail (does not hold), Inconclusive (not decided) or Error (could not be evaluated).
    pub state: State,
    /// As written in the plan (after load-time templates), or as implied by the action.
    pub text: String,
    /// Its list.
    pub tier: Tier,
    /// The waiver that covers it, where it does not hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiver: Option<WaiverMark>,
}

/// A comparison of two samples, as a person reads it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compared {
    /// What is compared (`p95(latency)`).
    pub subject: String,
    /// That figure of the candidate (`52 ms`, `3 of 1000`).
    pub candidate: String,
    /// That figure of the baseline.
    pub baseline: String,
    /// Their ratio (`1.02×`) or difference (`+3 ms`); none if there is none.
    pub estimate: Option<String>,
    /// Its bounds, lower first; none where the method has no interval.
    pub interval: Option<[String; 2]>,
    /// What the bounds are held against (`<= 1.1×`).
    pub limit: String,
    /// Samples of the candidate and of the baseline.
    pub n: [u64; 2],
    /// `bootstrap, alpha 0.05`.
    pub method: String,
}

/// A waiver as it stands on the day of a run: somebody accepts one criterion until a date.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WaiverMark {
    /// Who answers for it.
    pub owner: String,
    /// Why.
    pub reason: String,
    /// Last day it is in force (`2026-12-01`).
    pub expires: String,
    /// That day is over: it counts for nothing.
    pub expired: bool,
}

/// How a process ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exit {
    /// Exit code.
    Code(i32),
    /// Signal name (`SIGKILL`).
    Signal(String),
}

/// One execution of a step's action, with all its samples.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AttemptResult {
    /// Why, unless it passed.
    pub cause: Option<Cause>,
    /// Every criterion in force, in plan order.
    pub criteria: Vec<CriterionResult>,
    /// One sentence a stranger can act on, unless it passed (`connection refused: 127.0.0.1:8080`).
    pub detail: Option<String>,
    /// Wall time of the attempt, monotonic, in nanoseconds.
    pub duration_ns: u64,
    /// How the process ended, where there was one.
    pub exit: Option<Exit>,
    /// What was seen last.
    pub facts: Facts,
    /// Things worth saying that are not failures (`leaked_handles`, a process left running and ended by us).
    pub notes: Vec<Note>,
    /// Bytes written to stdout and stderr.
    pub output_bytes: u64,
    /// How often it looked.
    pub samples: u32,
    /// What it wrote to stdout and stderr, as it is kept: files by their name in the step's folder. Empty ones are left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub spools: Vec<FileDigest>,
    /// How it ended.
    pub state: State,
}

impl AttemptResult {
    /// Of an attempt that never looked.
    #[must_use]
    pub fn unlooked() -> Self {
        Self {
            state: State::NotRun,
            cause: None,
            detail: None,
            exit: None,
            criteria: Vec::new(),
            facts: Facts::default(),
            samples: 0,
            duration_ns: 0,
            output_bytes: 0,
            notes: Vec::new(),
            spools: Vec::new(),
        }
    }
}

/// Something worth saying that is not a failure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// Short stable word (`leaked_handles`).
    pub code: String,
    /// A sentence.
    pub text: String,
}

/// How a step ended: what its `commit` in the journal carries.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepResult {
    /// SHA-256 of the action's canonical form; absent if it never ran.
    pub action: Option<String>,
    /// That canonical form, so that a changed digest can be explained.
    pub action_preimage: Option<String>,
    /// The reason given in `allow_empty`, if it let an empty look through.
    pub allowed_empty: Option<String>,
    /// Every attempt; the last one decided. Empty if it never ran.
    pub attempts: Vec<AttemptResult>,
    /// Why, unless it passed.
    pub cause: Option<Cause>,
    /// One sentence, unless it passed.
    pub detail: Option<String>,
    /// Digests of declared inputs, sorted by path.
    pub inputs: Vec<FileDigest>,
    /// Digests of declared outputs and artifacts, sorted by path.
    pub outputs: Vec<OutputDigest>,
    /// How it ended.
    pub state: State,
    /// Named outputs, published only on success.
    pub values: BTreeMap<String, String>,
}

impl StepResult {
    /// A result of a step that never ran.
    #[must_use]
    pub fn unrun(state: State, cause: Cause) -> Self {
        Self {
            state,
            detail: Some(cause.to_string()),
            cause: Some(cause),
            attempts: Vec::new(),
            action: None,
            action_preimage: None,
            inputs: Vec::new(),
            outputs: Vec::new(),
            values: BTreeMap::new(),
            allowed_empty: None,
        }
    }

    /// Criteria of the attempt that decided.
    #[must_use]
    pub fn criteria(&self) -> &[CriterionResult] {
        self.attempts.last().map_or(&[], |attempt| &attempt.criteria)
    }
}

/// How bad a failure would be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Weight 0.05.
    Low,
    /// Weight 0.15.
    #[default]
    Medium,
    /// Weight 0.35.
    High,
    /// Weight 1: alone it makes the risk 100.
    Critical,
}

impl Severity {
    /// Weight in thousandths.
    #[must_use]
    pub fn permille(self) -> u32 {
        match self {
            Self::Low => 50,
            Self::Medium => 150,
            Self::High => 350,
            Self::Critical => 1000,
        }
    }

    /// The word in the plan.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

/// GO, HOLD or NO-GO.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Verdict {
    /// Ready.
    #[serde(rename = "GO")]
    Go,
    /// Not decided yet; resumable.
    #[serde(rename = "HOLD")]
    Hold,
    /// Not ready.
    #[serde(rename = "NO-GO")]
    NoGo,
}

impl Verdict {
    /// The word on screen.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Go => "GO",
            Self::Hold => "HOLD",
            Self::NoGo => "NO-GO",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// One factor of the risk product, so that a person can recompute it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RiskTerm {
    /// Step or `[[risk]]` id.
    pub id: String,
    /// `step` or `declared`.
    pub kind: String,
    /// State of the step (`open` for a declared factor).
    pub state: String,
    /// Weight `w` in thousandths.
    pub weight_permille: u32,
    /// How much is unknown or bad, `u`, in thousandths.
    pub unknown_permille: u32,
}

/// Something that alone forbids a GO.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Veto {
    /// The step (empty for the risk bound).
    pub id: String,
    /// Why.
    pub reason: String,
}

/// The decision with everything it rests on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// The answer.
    pub verdict: Verdict,
    /// `ceil(100 * (1 - Π(1 - w·u)))`.
    pub risk: u32,
    /// Up to this risk: GO.
    pub go: u32,
    /// From this risk on: NO-GO.
    pub no_go: u32,
    /// What makes it NO-GO.
    pub vetoes: Vec<Veto>,
    /// What makes it HOLD, if nothing is a veto.
    pub holds: Vec<Veto>,
    /// The terms, in plan rank, declared factors last.
    pub terms: Vec<RiskTerm>,
}

/// How a run ended, from which the exit code follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// Complete, with this decision.
    Decided(Verdict),
    /// Ended by this signal (2 = SIGINT, 15 = SIGTERM …): a journal, no record.
    Interrupted(i32),
}
