//! The lines of a record, as they are read and written. Data only; what makes them is `project`'s.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::outcome::{Cause, Class, Exit, FileDigest, RiskTerm, Severity, State, Tier, Verdict, Veto, WaiverMark};
use crate::policy::SignoffPolicy;

/// `t = "run"`: what was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunLine {
    /// `runplan.record/1`.
    pub schema: String,
    /// See [`super::format::RecordSemantics`].
    pub record_semantics: u32,
    /// The plan.
    pub plan: PlanLine,
    /// Values of `[vars]` as canonical text.
    pub params: BTreeMap<String, String>,
    /// Selection from the command line, sorted; empty = everything.
    pub select: Vec<String>,
    /// Failure and decision policy.
    pub policy: PolicyLine,
    /// Environment of children.
    pub env: EnvLine,
    /// Names of declared secrets, sorted.
    pub secrets: Vec<String>,
    /// Declared risk factors that apply, in plan order.
    pub risks: Vec<RiskLine>,
    /// The day that waivers were held against; only where the plan has some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub date: Option<String>,
}

/// Which plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanLine {
    /// Its name.
    pub name: String,
    /// Its file relative to the workspace; the bare file name where it lies outside.
    pub path: String,
    /// SHA-256 of the plan's bytes (see [`super::store::plan_digest`]).
    pub sha256: String,
    /// SHA-256 of the expanded plan.
    pub norm_sha256: String,
}

/// Failure and decision policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyLine {
    /// `independent`, `stop` or `continue`.
    pub on_failure: String,
    /// Up to this risk: GO.
    pub go: u32,
    /// From this risk on: NO-GO.
    pub no_go: u32,
    /// Who has to sign.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signoffs: Option<SignoffPolicy>,
}

/// Environment of children.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnvLine {
    /// Names inherited, sorted.
    pub pass: Vec<String>,
    /// Variables set, as written where they are completed at run time.
    pub set: BTreeMap<String, String>,
}

/// A declared risk factor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RiskLine {
    /// Its id.
    pub id: String,
    /// Weight in thousandths.
    pub weight_permille: u32,
}

/// `t = "step"`: how one step ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepLine {
    /// SHA-256 of the action's canonical form; none if it never ran.
    pub action: Option<String>,
    /// Steps it only follows, sorted.
    pub after: Vec<String>,
    /// Reason for letting an empty look through.
    pub allowed_empty: Option<String>,
    /// Every attempt; empty if it never ran.
    pub attempts: Vec<AttemptLine>,
    /// Why, unless it passed.
    pub cause: Option<Cause>,
    /// Criteria of the deciding attempt, in plan order.
    pub criteria: Vec<CriterionLine>,
    /// Steps it needs, sorted.
    pub deps: Vec<String>,
    /// How the process of the deciding attempt ended, unless we ended it.
    pub exit: Option<Exit>,
    /// In `[finally]`.
    pub finally: bool,
    /// Name, with the matrix part.
    pub id: String,
    /// Declared inputs, sorted by path.
    pub inputs: Vec<FileDigest>,
    /// Action word.
    pub kind: String,
    /// What a failure of it does to the rest.
    pub on_failure: String,
    /// Declared outputs and artifacts, sorted by path.
    pub outputs: Vec<OutputLine>,
    /// Plan rank.
    pub rank: u32,
    /// A failure blocks GO.
    pub required: bool,
    /// For the risk.
    pub severity: Severity,
    /// How it ended.
    pub state: State,
    /// An attempt ran into its timeout, so this line may depend on the machine's speed.
    pub time_sensitive: bool,
    /// Named outputs.
    pub values: BTreeMap<String, String>,
    /// Reads a volatile output, so this line may differ from run to run.
    pub volatile: bool,
    /// Weight in thousandths.
    pub weight_permille: u32,
}

/// One judged criterion without what was observed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CriterionLine {
    /// What had to be, as the plan says it.
    pub expected: String,
    /// Nobody wrote it.
    pub implied: bool,
    /// `line:col` in its plan file; none if implied.
    pub place: Option<String>,
    /// How it came out.
    pub state: State,
    /// As written.
    pub text: String,
    /// Its list.
    pub tier: Tier,
    /// The waiver that covers it, where it does not hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiver: Option<WaiverMark>,
}

/// One output. Only stable ones are identified by their bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutputLine {
    /// Relative to the workspace.
    pub path: String,
    /// Stable, normalized or volatile.
    pub class: Class,
    /// Archived.
    pub artifact: bool,
    /// SHA-256 of the bytes, or of what filters leave of them; none if volatile.
    pub sha256: Option<String>,
    /// Bytes; none if volatile.
    pub size: Option<u64>,
    /// The owner may execute it; none if volatile.
    pub x: Option<bool>,
}

/// One attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttemptLine {
    /// Why, unless it passed.
    pub cause: Option<Cause>,
    /// How it ended.
    pub state: State,
}

/// `t = "end"`: the decision with all its terms.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EndLine {
    /// GO, HOLD or NO-GO.
    pub verdict: Verdict,
    /// 0 to 100.
    pub risk: u32,
    /// Up to this risk: GO.
    pub go: u32,
    /// From this risk on: NO-GO.
    pub no_go: u32,
    /// Factors of the risk, in plan rank, declared ones last.
    pub terms: Vec<RiskTerm>,
    /// What makes it NO-GO.
    pub vetoes: Vec<Veto>,
    /// What makes it HOLD.
    pub holds: Vec<Veto>,
    /// How many steps ended in each state; every state is named.
    pub counts: BTreeMap<State, u32>,
    /// The failed step of lowest rank.
    pub first_failure: Option<String>,
    /// Always true: an incomplete run has no record.
    pub complete: bool,
}
