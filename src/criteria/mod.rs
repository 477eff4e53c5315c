//! Criteria: one small typed grammar. Parsed and type-checked at load, evaluated on facts; pure.
//!
//! ```text
//! criterion = ["not"] subject op operand | subject "exists" | subject "is" type
//! subject   = path | agg "(" path ")" | ("every"|"some"|"none") "(" path ")"
//! agg       = min max avg med p<0..100> sum count rate percent last stddev age
//! op        = == != < <= > >= in contains matches starts_with ends_with superset_of subset_of same_set semver
//! operand   = literal[unit] | "[" literal,… "]" | path | "ratchet" | "baseline" [("+"|"-") number ("%"|unit)]
//! unit      = ns us ms s m h d | B KiB MiB GiB | pp          (compound times: 1m30s; "%" only after "baseline")
//! type      = string number bool list object null date duration size
//! path      = name ["(" word ")"] ("." (name ["(" word ")"] | quoted text))…
//! ```
//!
//! # How facts are stored
//!
//! Actions put facts into [`crate::facts::Facts::values`] so that a path can be walked: the first segment of a path is
//! the top-level key, each further segment a key of a [`Value::Map`]; a segment with a parameter is one key, spelled
//! `name(word)`. Which paths there are says [`facts_of`]; this table says where each is stored.
//!
//! | path | stored as |
//! |---|---|
//! | `exit`, `stdout`, `latency`, `size` … | `values["exit"]`; absent or `Null` if there is none (`exit` after a signal) |
//! | `lines(stdout)`, `percent(lines)` | `values["lines(stdout)"]`, `values["percent(lines)"]`; `Null` where the whole is 0 |
//! | `header."X"` | `values["header"]` = Map, **lower-case** name → Text (repeated: joined by `, `) |
//! | `json`, `json."$.a"` | `values["json"]` = Json; **no key** if it was no JSON (then the criterion is an error) |
//! | `artifact."P".size` | `values["artifact"]` = Map, path as declared → Map {`exists`, `size`, `sha256`} |
//! | `data.a.b` | `values["data"]` = Json, or Map (dotenv: name → Text; ini: section → Map); several files: Map, path → one of these |
//! | `template.keys` | `values["template"]` = Map {`keys`: List} |
//! | `tests.total`, `tests.names(failed)` | `values["tests"]` = Map {`total` …, `names(failed)`: List …} |
//! | `test."N".state` | `values["test"]` = Map, name → Map {`state`: Text}; several of one name: the worst |
//! | `files.percent(lines)`, `files` | `values["files"]` = Map {`percent(lines)`: List in path order …, `names`: List} |
//! | `diff.percent(lines)` | `values["diff"]` = Map {`percent(lines)`, `covered(lines)` …} |
//! | `open(error)`, `findings(new)` | `values["open(error)"]`, `values["findings(new)"]` |
//! | `bench."N".p95`, `metric."N".rate` | `values["bench"]` = Map, name → Map {`p95`, `times` …}; `metric` alike |
//! | `file."P".percent(lines)` | `values["file"]` = Map, path → Map {`percent(lines)`, `covered(lines)` …} |
//! | names of a `value` step | `values["name"]` |
//! | `steps.X.state`, `steps.X.outputs.N` | [`Evidence::steps`]`["X"]`: `values["state"]` = Text, `values["outputs"]` = Map |
//!
//! An `http` look at several addresses stores lists in the order written, `Null` where an answer has none: `header` and
//! `cert` are lists of Maps that a path is walked in, `headers` is all names one after the other, `paths` tells which
//! answer is whose.
//!
//! A `file` look at several files stores lists, in path order: scalar facts one item a file (`Null` where there is
//! none), list facts (`lines`, `keys`, `values`) concatenated; `paths`, `count` and `template` are as for one file.
//!
//! # Two sides
//!
//! In a step that says `compare`, a criterion with `baseline` is judged by [`crate::compare`] and may be inconclusive.
//! Where the two samples come from:
//!
//! - `compare = { baseline = "STEP", … }`: the candidate is the subject's path in the step itself (all looks so far, if
//!   it samples), the baseline the same path in `STEP`. Both are lists (`p95(latency)` ranges over `latency`), or single
//!   figures for `point`.
//! - Without `baseline` the action looks at both sides ([`Shape::two_sided`]) and stores `values["compare"]` = Map, path
//!   as written in the subject (`latency`, `rate(errors)`) → Map {`candidate`, `baseline`}, each a List of numbers, one
//!   number, or counts. The fact itself (`values["latency"]`) is the candidate's, for criteria without `baseline`.
//! - Counts, for `fisher`: Map {`bad`, `total`} of whole numbers; or a List of true and false; or a number of
//!   [`crate::facts::Unit::Percent`], which is a counted fraction. A fact that is itself a rate (`rate(errors)`) has its
//!   counts beside it: `values["counts"]` = Map, path → Map {`bad`, `total`}.
//! - A sample that could not be taken is `Null`: it makes the comparison inconclusive, as does a missing `baseline`. A
//!   missing or empty candidate is an error like any missing fact.
//!
//! An action that knows how many samples it takes at most says so in [`crate::action::Action::most_samples`], so that a
//! plan that can't reach its `alpha` is refused at load.
//!
//! # Absent, no data, undecided
//!
//! - *Absent* (a header, a JSON path, `exit` after a signal; [`FactSpec::optional`]): the evidence proves that it is
//!   not there, so every comparison, also `!=`, fails with a note; `not a == b` only denies and so holds.
//! - *No data* (a fact that was not produced, a percentage of nothing, an empty list under a quantifier or an aggregate
//!   other than `count`): an error, never a pass.
//! - A JSON value of another type than the operand is an error; no baseline yet is inconclusive,
//!   unless the step says `allow_no_baseline`.
//!
//! # Sampling
//!
//! In a step that samples, an aggregate or quantifier over a single fact ranges over **all looks so far** (looks that
//! went wrong give none); over a list it ranges over the items of the last look. A bare fact is the last look's.

mod aggregate;
mod ast;
mod check;
mod compared;
mod datum;
mod eval;
mod exact;
mod implied;
mod literal;
mod offers;
mod parse;
mod read;
mod scope;
mod show;
mod suggest;
mod table;
#[cfg(test)]
mod tests;

use std::ops::Range;

use crate::facts::{Unit, Value};
use crate::outcome::Tier;
use crate::place::Place;

pub use check::{check, kind_of};
pub use compared::Comparing;
pub use eval::{evaluate, measured, value_of};
pub use implied::implied;
pub use offers::{Offer, Part, dotted, offers};
pub use scope::{Item, Kind, Scope, Shape, StepScope};
pub use table::{FactSpec, facts_of};

/// What is wrong with a criterion's text, with the byte range in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Lower-case fragment, the thing in backticks.
    pub message: String,
    /// Bytes of the text it is about.
    pub at: Range<usize>,
    /// What to do about it.
    pub help: Option<String>,
}

impl Fault {
    fn new(message: impl Into<String>, at: Range<usize>) -> Self {
        Self { message: message.into(), at, help: None }
    }

    fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// A parsed criterion.
#[derive(Clone, Debug)]
pub struct Criterion {
    /// Its list.
    pub tier: Tier,
    /// The text after load-time templates.
    pub text: String,
    /// Where it stands in the plan (the whole string, quotes included).
    pub place: Place,
    /// Nobody wrote it.
    pub implied: bool,
    form: ast::Form,
}

/// Where a criterion takes a value from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Root {
    /// A fact of the step itself: the key in [`crate::facts::Facts::values`] (`stdout`, `percent(lines)`).
    Fact(String),
    /// A fact of another step.
    Step {
        /// The step's name.
        name: String,
        /// The key in that step's facts (`exit`, `state`, `outputs`).
        fact: String,
    },
    /// `vars.X`.
    Var(String),
    /// `env.X`.
    Env(String),
}

/// Parses a criterion. Types are checked by [`check`].
///
/// # Errors
/// The first thing that the grammar does not allow, with its place in `text`.
pub fn parse(text: &str, tier: Tier, place: Place) -> Result<Criterion, Fault> {
    Ok(Criterion { tier, text: text.to_owned(), place, implied: false, form: parse::criterion(text)? })
}

impl Criterion {
    /// Every value it names, subject first. Exact once [`check`] has run: only that tells the fact `percent(lines)`
    /// from an aggregate over `lines`.
    #[must_use]
    pub fn roots(&self) -> Vec<Root> {
        let mut roots = vec![root(self.form.subject.path())];
        if let Some(ast::Operand::Path(path)) = self.operand() {
            roots.push(root(path));
        }
        if let Some(compared) = self.compared() {
            let (own, others) = compared.roots();
            roots.extend(own.map(|fact| Root::Fact(fact.to_owned())));
            roots.extend(others.into_iter().map(|(name, fact)| Root::Step { name, fact }));
        }
        roots
    }

    /// Whether it surely names nothing but a fact of its own step: nearly all do, and need not be asked for their roots.
    #[must_use]
    pub fn is_own(&self) -> bool {
        let outside = matches!(self.form.subject.path().head(), "vars" | "env" | "steps");
        !outside && !matches!(self.operand(), Some(ast::Operand::Path(_))) && self.compared().is_none()
    }

    fn operand(&self) -> Option<&ast::Operand> {
        match &self.form.test {
            ast::Test::Compare(compare) => Some(&compare.operand),
            ast::Test::Exists | ast::Test::Is(_) => None,
        }
    }

    fn compared(&self) -> Option<&compared::Compared> {
        match &self.form.test {
            ast::Test::Compare(test) => test.compared.as_deref(),
            ast::Test::Exists | ast::Test::Is(_) => None,
        }
    }

    /// Whether its subject is this header (lower-case) of the step's own answer.
    #[must_use]
    pub fn names_header(&self, header: &str) -> bool {
        match self.form.subject.path().segs.as_slice() {
            [fact, name] => fact.key() == "header" && name.name.eq_ignore_ascii_case(header),
            _ => false,
        }
    }

    /// Whether it compares with `ratchet`.
    #[must_use]
    pub fn uses_ratchet(&self) -> bool {
        matches!(self.operand(), Some(ast::Operand::Ratchet))
    }

    /// The subject's unit, where it is known before a run (and [`check()`] has settled it).
    #[must_use]
    pub fn unit(&self) -> Option<Unit> {
        self.form.unit
    }

    /// Whether it compares with the last run that passed, not with another sample of this run.
    #[must_use]
    pub fn uses_earlier_run(&self) -> bool {
        self.uses_baseline() && !self.form.is_compared()
    }

    /// Whether it compares with `baseline`.
    #[must_use]
    pub fn uses_baseline(&self) -> bool {
        matches!(self.operand(), Some(ast::Operand::Baseline(_)))
    }

    /// The subject as written (`p95(latency)`).
    #[must_use]
    pub fn subject_text(&self) -> &str {
        self.text.get(self.form.subject_at.clone()).unwrap_or("")
    }

    /// Whether further looks may still turn it from failing to holding: it aggregates over all looks of a sampled
    /// step (known once [`check`] has run). `every` and `none` can't recover.
    #[must_use]
    pub fn may_recover(&self) -> bool {
        match &self.form.subject {
            ast::Subject::Agg { samples, .. } => *samples,
            ast::Subject::Quant { quant, samples, .. } => *samples && (*quant == ast::Quant::Some) != self.form.negated,
            ast::Subject::Path(_) => false,
        }
    }
}

fn root(path: &ast::Path) -> Root {
    let name = |i: usize| path.segs.get(i).map(ast::Seg::key).unwrap_or_default();
    match path.head() {
        "vars" => Root::Var(name(1)),
        "env" => Root::Env(name(1)),
        "steps" => Root::Step { name: name(1), fact: name(2) },
        _ => Root::Fact(name(0)),
    }
}

/// Every value that a subject text (of a `value` action) names; none if it does not parse, which the loader refuses.
#[must_use]
pub fn roots_of(subject_text: &str) -> Vec<Root> {
    parse(&format!("{subject_text} exists"), Tier::When, Place::default()).map(|c| c.roots()).unwrap_or_default()
}

/// What criteria are judged on.
pub struct Evidence<'a> {
    /// What the last look saw.
    pub facts: &'a crate::facts::Facts,
    /// All looks so far, oldest first, the last one included; one element unless the step samples.
    pub samples: &'a [crate::facts::Facts],
    /// Facts of earlier steps by name, with `state` and `outputs.NAME` among them.
    pub steps: &'a std::collections::BTreeMap<String, crate::facts::Facts>,
    /// `vars.*`.
    pub vars: &'a std::collections::BTreeMap<String, Value>,
    /// `env.*`: only names that are set.
    pub env: &'a std::collections::BTreeMap<String, String>,
    /// Value of `ratchet` now.
    pub ratchet: Option<&'a Value>,
    /// What `baseline` is measured on: every look of this step in the last run that passed, oldest first.
    pub baseline: Option<&'a [crate::facts::Facts]>,
    /// Without a baseline, what is compared with one holds, for this reason.
    pub allow_no_baseline: Option<&'a str>,
    /// Wall clock, milliseconds since 1970 (for `age(…)`).
    pub now: i64,
}
