//! The plan: text in, a checked [`Plan`] out, with every diagnostic at once. Runs nothing.
//!
//! `source` reads files (the only reader of plan files) into TOML trees with spans → `shape` checks each tree against the
//! key tables (`keys`, `tables`) → `resolve` declares, expands `matrix` and `foreach`, reads every step with its defaults
//! and load-time templates, and checks what steps mean together → [`Plan`].

mod action;
mod checks;
mod compare;
mod declare;
mod diags;
pub mod error;
mod expand;
pub mod guide;
mod judged;
mod keys;
mod links;
mod names;
mod norm;
pub mod order;
mod people;
mod plain;
mod preset;
pub mod ratchet;
#[cfg(test)]
mod reference;
mod reports;
mod resolve;
pub mod schema;
mod shape;
mod source;
mod step;
mod tables;
pub mod template;
mod text;
mod tree;
mod units;
mod vars;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};

use crate::action::{Action, CompareSpec, OutputSpec, ReportSpec, Text};
use crate::criteria::{Criterion, Scope, Shape};
use crate::facts::Value;
use crate::ids::{PoolId, StepId};
use crate::outcome::{Severity, WaiverMark};
use crate::place::{Place, Sources};
pub use crate::policy::{OnFailure, Retry, RunWhen, SignoffPolicy};

pub use crate::action::Sampling;
pub use norm::{norm, norm_head, norm_steps};

/// What the caller knows and a plan file does not.
pub struct LoadOptions<'a> {
    /// `--var name=value`, in the order given.
    pub vars: Vec<(String, String)>,
    /// `--var-file`, in the order given; later ones win.
    pub var_files: Vec<Utf8PathBuf>,
    /// Looks up the engine's environment: `RUNPLAN_VAR_*`, and whether secrets are there and long enough.
    pub env: &'a dyn Fn(&str) -> Option<String>,
    /// The day of the run: `2026-11-24`.
    pub today: &'a str,
    /// Warnings are errors.
    pub strict: bool,
}

/// Reads and checks a plan file and everything it includes. Opens files for reading only and runs nothing.
#[must_use]
pub fn load(path: &Utf8Path, options: &LoadOptions<'_>) -> Loaded {
    let mut diags = diags::Diags::default();
    let files = source::read(path, &mut diags);
    resolve::resolve(path, &files, diags, options)
}

/// As [`load`], for a plan whose texts were kept (main file and includes, by path); their files are not read.
#[must_use]
pub fn load_kept(path: &Utf8Path, texts: HashMap<Utf8PathBuf, String>, options: &LoadOptions<'_>) -> Loaded {
    let mut diags = diags::Diags::default();
    let files = source::from_kept(path, texts, &mut diags);
    resolve::resolve(path, &files, diags, options)
}

/// As [`load`], for a main file whose text is already there; `name` says where it would lie.
#[must_use]
pub fn load_text(name: &Utf8Path, text: &str, options: &LoadOptions<'_>) -> Loaded {
    let mut diags = diags::Diags::default();
    let files = source::from_text(name, text, &mut diags);
    resolve::resolve(name, &files, diags, options)
}

/// As [`load`], where some texts are not those on the disk: `texts` gives the text of a path (links resolved) that is
/// open in an editor.
#[must_use]
pub fn load_open(path: &Utf8Path, texts: &dyn Fn(&Utf8Path) -> Option<String>, options: &LoadOptions<'_>) -> Loaded {
    let mut diags = diags::Diags::default();
    let files = source::read_open(path, texts, &mut diags);
    resolve::resolve(path, &files, diags, options)
}

/// Runs something with what the criteria of a step may name. Where the step is not in the plan (any more), everything in
/// the plan counts as coming before it. `shape` stands for what the plan says of the step's action.
pub fn with_scope<T>(
    plan: &Plan,
    step: Option<StepId>,
    shape: Option<Shape>,
    only_globals: bool,
    run: impl FnOnce(&Scope<'_>) -> T,
) -> T {
    judged::with_scope(plan, step, shape, only_globals, run)
}

/// The template roots `vars` and `plan` (`name`, `title`, `workspace`), to which the engine adds `steps`, `ports` and
/// `secrets` before it completes late texts.
#[must_use]
pub fn context(plan: &Plan) -> serde_json::Value {
    resolve::context(plan)
}

/// Canonical text of a variable's value, as it stands in records.
#[must_use]
pub fn shown(value: &Value) -> String {
    vars::shown(value)
}

/// What loading gives: always a plan (of the parts that could be read) and everything there is to say about it.
#[derive(Debug)]
pub struct Loaded {
    /// The plan; only to be run if no diagnostic is an error. Shared, for some who ask about it outlive the caller.
    pub plan: Arc<Plan>,
    /// All of them, in source order.
    pub diagnostics: Vec<error::Diagnostic>,
}

impl Loaded {
    /// Whether anything forbids running it.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(|d| d.severity == error::Level::Error)
    }
}

/// A checked plan: defaults filled, references resolved to dense ids.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// Texts of all files.
    pub sources: Arc<Sources>,
    /// `[plan] name`, or the file's stem.
    pub name: String,
    /// `[plan] title`.
    pub title: Option<String>,
    /// `[plan] docs`.
    pub docs: Option<String>,
    /// Folder that every path is relative to; absolute.
    pub workspace: Utf8PathBuf,
    /// The main plan file relative to the workspace (or absolute if outside).
    pub path: String,
    /// Values of `[vars]`, all of them set.
    pub vars: BTreeMap<String, Var>,
    /// What children inherit and get.
    pub env: EnvPolicy,
    /// `[secrets]`.
    pub secrets: Vec<Secret>,
    /// `[ports]`: free loopback ports that a run picks for itself, by name.
    pub ports: Vec<String>,
    /// `[pools]`.
    pub pools: Vec<Pool>,
    /// `[steps.*]` in declaration order (matrix expanded in place), then `[finally.*]`.
    pub steps: Vec<Step>,
    /// `[decision]`.
    pub decision: DecisionPolicy,
    /// `[[risk]]`.
    pub risks: Vec<Risk>,
    /// `[signoffs]`.
    pub signoffs: Option<SignoffPolicy>,
    /// What the file named by `waivers` accepts.
    pub waivers: Vec<Waiver>,
    /// `[plan] reports`: paths inside the workspace, each once; not a part of what a plan means.
    pub reports: Vec<String>,
    /// `[plan] on_failure`.
    pub on_failure: OnFailure,
    /// `[plan] timeout_finally`: time budget of all `finally` steps together.
    pub finally_timeout: Option<Duration>,
}

impl Plan {
    /// The step.
    #[must_use]
    pub fn step(&self, id: StepId) -> &Step {
        &self.steps[id.index()]
    }

    /// The step of that name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<StepId> {
        self.steps.iter().position(|step| step.name == name).map(StepId::at)
    }

    /// Names of the steps that are compared with the last run that passed.
    #[must_use]
    pub fn steps_with_baseline(&self) -> BTreeSet<String> {
        let compared = |step: &&Step| step.criteria.iter().any(Criterion::uses_earlier_run);
        self.steps.iter().filter(compared).map(|step| step.name.clone()).collect()
    }

    /// What each step's waivers are worth on a day (`2026-11-24`): by step name, criterion texts with their mark.
    #[must_use]
    pub fn waivers_on(&self, date: &str) -> BTreeMap<String, Vec<(String, WaiverMark)>> {
        let mut marks: BTreeMap<String, Vec<_>> = BTreeMap::new();
        for waiver in &self.waivers {
            let mark = WaiverMark {
                owner: waiver.owner.clone(),
                reason: waiver.reason.clone(),
                expires: waiver.expires.clone(),
                expired: waiver.expires.as_str() < date,
            };
            for step in &waiver.steps {
                let name = self.step(*step).name.clone();
                marks.entry(name).or_default().push((waiver.criterion.clone(), mark.clone()));
            }
        }
        marks
    }

    /// Ids in declaration order.
    pub fn ids(&self) -> impl Iterator<Item = StepId> + use<> {
        (0..self.steps.len()).map(StepId::at)
    }
}

/// A resolved variable.
#[derive(Clone, Debug, PartialEq)]
pub struct Var {
    /// Its value.
    pub value: Value,
    /// Where it is declared.
    pub place: Place,
    /// `help`.
    pub help: Option<String>,
    /// Where the value came from (`default`, `--var`, `--var-file FILE`, `RUNPLAN_VAR_X`).
    pub origin: String,
}

/// Environment of children.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EnvPolicy {
    /// Names inherited from the engine's own environment.
    pub pass: Vec<String>,
    /// Names set.
    pub set: Vec<(String, Text)>,
}

/// A declared secret: where its value comes from, never the value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secret {
    /// Its name.
    pub name: String,
    /// Where from.
    pub source: SecretSource,
    /// Where it is declared.
    pub place: Place,
}

/// Where a secret's value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// An environment variable of the engine.
    Env {
        /// Its name.
        name: String,
        /// Where it is not set, a run makes 256 random bits (in hex) for itself.
        random: bool,
    },
    /// A file (relative to the workspace), without a final newline.
    File(String),
}

/// A named capacity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pool {
    /// Its name.
    pub name: String,
    /// How many steps may hold it at once.
    pub capacity: u32,
}

/// Bounds of the decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecisionPolicy {
    /// Up to this risk: GO.
    pub go: u32,
    /// From this risk on: NO-GO.
    pub no_go: u32,
}

impl Default for DecisionPolicy {
    fn default() -> Self {
        Self { go: 40, no_go: 70 }
    }
}

/// `[[risk]]`: a declared factor.
#[derive(Clone, Debug)]
pub struct Risk {
    /// Its id.
    pub id: String,
    /// Weight in thousandths.
    pub weight_permille: u32,
    /// Applies only when all of these hold (on vars and env names).
    pub when: Vec<Criterion>,
    /// Where it is declared.
    pub place: Place,
}

/// One criterion whose failure somebody accepts until a date.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiver {
    /// The step, or all cells of its matrix.
    pub steps: Vec<StepId>,
    /// The criterion's text, as in the steps.
    pub criterion: String,
    /// Who answers for it.
    pub owner: String,
    /// Why.
    pub reason: String,
    /// Last day it is in force (`2026-12-01`).
    pub expires: String,
    /// Where it stands.
    pub place: Place,
}

/// An edge to an earlier step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Need {
    /// The earlier step.
    pub step: StepId,
    /// Where it is written.
    pub place: Place,
}

/// `ratchet = { floor, goal, slack }`: a threshold that rises with what was reached and never falls.
#[derive(Clone, Debug, PartialEq)]
pub struct Ratchet {
    /// Lowest value ever asked for.
    pub floor: Value,
    /// The threshold does not rise above this.
    pub goal: Option<Value>,
    /// How far below the best a run may be.
    pub slack: Option<Value>,
    /// The subject it watches (`percent(lines)`), as it stands in the one criterion that says `ratchet`.
    pub subject: String,
}

/// Standard input of a process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Stdin {
    /// Nothing.
    #[default]
    Null,
    /// This text.
    Text(Text),
    /// A file, relative to the workspace.
    File(Text),
}

/// One step, complete.
///
/// Generated plans have very many steps that differ in little: what they mostly have in common is their [`Terms`], shared
/// by all steps that have the same, and read like fields of the step.
#[derive(Clone, Debug)]
pub struct Step {
    /// Unique name; `base[axis=value,…]` for a matrix cell.
    pub name: String,
    /// Its header (`[steps.NAME]`) in the plan.
    pub place: Place,
    /// In `[finally]`.
    pub finally: bool,
    /// What a failure of this step does to the rest.
    pub on_failure: OnFailure,
    /// Reads a volatile output (stdout, a port) of another step, so its record may differ.
    pub volatile: bool,
    /// What it does.
    pub action: Action,
    /// Hard dependencies.
    pub needs: Vec<Need>,
    /// Order only.
    pub after: Vec<Need>,
    /// Files it reads (globs), relative to the workspace.
    pub inputs: Vec<Text>,
    /// It says that it reads no file: `inputs = []`.
    pub reads_nothing: bool,
    /// Files it makes.
    pub outputs: Vec<OutputSpec>,
    /// The rest.
    pub terms: Arc<Terms>,
}

impl Deref for Step {
    type Target = Terms;

    fn deref(&self) -> &Terms {
        &self.terms
    }
}

/// What a step has beside its name, its place in the graph, its action and its files.
#[derive(Clone, Debug)]
pub struct Terms {
    /// Axis values of this cell, in axis order.
    pub matrix: Vec<(String, String)>,
    /// Human title.
    pub title: Option<String>,
    /// Longer text or link.
    pub docs: Option<String>,
    /// For selection and grouping.
    pub tags: Vec<String>,
    /// A result file read after the action.
    pub report: Option<ReportSpec>,
    /// Every criterion in force, implied ones included, in tier order pass, any, warn, reject.
    pub criteria: Vec<Criterion>,
    /// Lets an empty look through, with this reason.
    pub allow_empty: Option<String>,
    /// Lets criteria that say `baseline` hold while no run has passed, with this reason.
    pub allow_no_baseline: Option<String>,
    /// Its earlier result may stand for a new one.
    pub reuse: bool,
    /// How often to look; `None` = once.
    pub sample: Option<Sampling>,
    /// Run again on failure.
    pub retry: Retry,
    /// Longest time of one attempt.
    pub timeout: Option<Duration>,
    /// A failure blocks GO.
    pub required: bool,
    /// For the risk.
    pub severity: Severity,
    /// Overrides the severity's weight, in thousandths.
    pub weight_permille: Option<u32>,
    /// All must hold for the step to run.
    pub when: Vec<Criterion>,
    /// On which outcome of its needs it runs.
    pub run_when: RunWhen,
    /// Pools it holds while it runs.
    pub pools: Vec<PoolId>,
    /// Named outputs it must publish.
    pub values: Vec<String>,
    /// Folder it runs in, relative to the workspace.
    pub cwd: Text,
    /// Variables of this step.
    pub env: Vec<(String, Text)>,
    /// Secrets it may see as environment variables of the same (upper-case) name.
    pub secrets: Vec<String>,
    /// Standard input.
    pub stdin: Stdin,
    /// How criteria that say `baseline` are judged: each by the first that can.
    pub compare: Vec<CompareSpec>,
    /// Rising threshold.
    pub ratchet: Option<Ratchet>,
}

impl Step {
    /// The name in the plan, without the matrix part.
    #[must_use]
    pub fn base(&self) -> &str {
        names::base(&self.name)
    }

    /// Weight in thousandths.
    #[must_use]
    pub fn weight_permille(&self) -> u32 {
        self.weight_permille.unwrap_or_else(|| self.severity.permille())
    }
}

#[cfg(test)]
mod tests;
