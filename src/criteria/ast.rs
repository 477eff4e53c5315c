//! The shape of a parsed criterion. Data only; `parse` makes it, `check` completes it, `eval` reads it.

use std::fmt;
use std::ops::Range;

use globset::GlobMatcher;
use regex::Regex;
use semver::VersionReq;
use serde_json_path::JsonPath;

use crate::facts::{Num, Unit};

#[derive(Clone, Debug)]
pub(super) struct Form {
    pub(super) negated: bool,
    pub(super) subject: Subject,
    pub(super) subject_at: Range<usize>,
    /// Of the subject, where the check knows it: `55` beside a percentage reads `55 %`.
    pub(super) unit: Option<Unit>,
    pub(super) test: Test,
}

impl Form {
    /// Whether statistics judge it.
    pub(super) fn is_compared(&self) -> bool {
        matches!(&self.test, Test::Compare(test) if test.compared.is_some())
    }
}

#[derive(Clone, Debug)]
pub(super) enum Test {
    Exists,
    Is(Type),
    Compare(Box<Compare>),
}

#[derive(Clone, Debug)]
pub(super) struct Compare {
    pub(super) op: Op,
    pub(super) op_at: Range<usize>,
    pub(super) operand: Operand,
    pub(super) operand_at: Range<usize>,
    pub(super) compiled: Compiled,
    /// Filled by `check` where `baseline` is judged by a comparison.
    pub(super) compared: Option<Box<super::compared::Compared>>,
}

/// What `check` made of a text operand.
#[derive(Clone, Debug)]
pub(super) enum Compiled {
    No,
    Regex(Regex),
    Semver(VersionReq),
}

#[derive(Clone, Debug)]
pub(super) enum Subject {
    Path(Path),
    Agg { agg: Agg, path: Path, samples: bool },
    Quant { quant: Quant, path: Path, samples: bool },
}

impl Subject {
    pub(super) fn path(&self) -> &Path {
        match self {
            Self::Path(path) | Self::Agg { path, .. } | Self::Quant { path, .. } => path,
        }
    }
}

/// A dotted path. What stands below `at` is filled by `check`.
#[derive(Clone, Debug)]
pub(super) struct Path {
    pub(super) segs: Vec<Seg>,
    pub(super) at: Range<usize>,
    /// Absence is an answer (a header, a JSON path), not a failure to look.
    pub(super) optional: bool,
    /// The top-level fact holds one value a file: the path is walked in each.
    pub(super) each: bool,
    pub(super) json: Option<JsonPath>,
    pub(super) glob: Option<GlobMatcher>,
}

impl Path {
    pub(super) fn head(&self) -> &str {
        self.segs.first().filter(|seg| !seg.quoted && seg.param.is_none()).map_or("", |seg| &seg.name)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, seg) in self.segs.iter().enumerate() {
            if i > 0 {
                f.write_str(".")?;
            }
            if seg.quoted { write!(f, "\"{}\"", seg.name)? } else { f.write_str(&seg.key())? }
        }
        Ok(())
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seg {
    pub(super) name: String,
    pub(super) quoted: bool,
    pub(super) param: Option<String>,
    pub(super) at: Range<usize>,
}

impl Seg {
    /// The name under which facts are stored: `percent(lines)`.
    pub(super) fn key(&self) -> String {
        self.param.as_ref().map_or_else(|| self.name.clone(), |param| format!("{}({param})", self.name))
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Agg {
    Min,
    Max,
    Avg,
    Med,
    /// `p95`, `p99.9`.
    Percentile(Num),
    Sum,
    Count,
    Rate,
    Percent,
    Last,
    Stddev,
    Age,
}

impl Agg {
    pub(super) const WORDS: [(&'static str, Self); 11] = [
        ("min", Self::Min),
        ("max", Self::Max),
        ("avg", Self::Avg),
        ("med", Self::Med),
        ("sum", Self::Sum),
        ("count", Self::Count),
        ("rate", Self::Rate),
        ("percent", Self::Percent),
        ("last", Self::Last),
        ("stddev", Self::Stddev),
        ("age", Self::Age),
    ];

    /// The aggregate of that name; a percentile may lie outside 0..=100, which `check` refuses.
    pub(super) fn named(word: &str) -> Option<Self> {
        if let Some(number) = word.strip_prefix('p')
            && number.starts_with(|c: char| c.is_ascii_digit())
        {
            return Num::decimal(number).map(Self::Percentile);
        }
        Self::WORDS.iter().find(|(name, _)| *name == word).map(|(_, agg)| *agg)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quant {
    Every,
    Some,
    None,
}

impl Quant {
    pub(super) const WORDS: [(&'static str, Self); 3] =
        [("every", Self::Every), ("some", Self::Some), ("none", Self::None)];

    pub(super) fn named(word: &str) -> Option<Self> {
        Self::WORDS.iter().find(|(name, _)| *name == word).map(|(_, quant)| *quant)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Op {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    In,
    Contains,
    Matches,
    StartsWith,
    EndsWith,
    SupersetOf,
    SubsetOf,
    SameSet,
    Semver,
}

impl Op {
    pub(super) const ALL: [Self; 15] = [
        Self::Eq,
        Self::Ne,
        Self::Le,
        Self::Ge,
        Self::Lt,
        Self::Gt,
        Self::In,
        Self::Contains,
        Self::Matches,
        Self::StartsWith,
        Self::EndsWith,
        Self::SupersetOf,
        Self::SubsetOf,
        Self::SameSet,
        Self::Semver,
    ];

    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Eq => "==",
            Self::Ne => "!=",
            Self::Lt => "<",
            Self::Le => "<=",
            Self::Gt => ">",
            Self::Ge => ">=",
            Self::In => "in",
            Self::Contains => "contains",
            Self::Matches => "matches",
            Self::StartsWith => "starts_with",
            Self::EndsWith => "ends_with",
            Self::SupersetOf => "superset_of",
            Self::SubsetOf => "subset_of",
            Self::SameSet => "same_set",
            Self::Semver => "semver",
        }
    }

    pub(super) fn is_order(self) -> bool {
        matches!(self, Self::Lt | Self::Le | Self::Gt | Self::Ge)
    }

    pub(super) fn is_set(self) -> bool {
        matches!(self, Self::SupersetOf | Self::SubsetOf | Self::SameSet)
    }

    pub(super) fn is_text(self) -> bool {
        matches!(self, Self::Matches | Self::StartsWith | Self::EndsWith | Self::Semver)
    }

    /// The comparison that holds exactly when this one does not.
    pub(super) fn denied(self) -> Self {
        match self {
            Self::Eq => Self::Ne,
            Self::Ne => Self::Eq,
            Self::Lt => Self::Ge,
            Self::Le => Self::Gt,
            Self::Gt => Self::Le,
            Self::Ge => Self::Lt,
            other => other,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    String,
    Number,
    Bool,
    List,
    Object,
    Null,
    Date,
    Duration,
    Size,
}

impl Type {
    pub(super) const WORDS: [(&'static str, Self); 9] = [
        ("string", Self::String),
        ("number", Self::Number),
        ("bool", Self::Bool),
        ("list", Self::List),
        ("object", Self::Object),
        ("null", Self::Null),
        ("date", Self::Date),
        ("duration", Self::Duration),
        ("size", Self::Size),
    ];

    pub(super) fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(_, ty)| *ty == self).map_or("", |(word, _)| word)
    }
}

#[derive(Clone, Debug)]
pub(super) enum Operand {
    Lit(Lit),
    List(Vec<Lit>),
    Path(Path),
    Ratchet,
    Baseline(Option<Adjust>),
}

/// What is added to a baseline; negative for `-`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Adjust {
    /// Hundredths of the baseline's magnitude.
    Relative(Num),
    Absolute(Num, LitUnit),
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Lit {
    Bool(bool),
    Text(String),
    Num(Num, LitUnit),
}

/// How a number was written. Times are in nanoseconds, sizes in bytes, points as fractions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LitUnit {
    Plain,
    Octal,
    Time,
    Size,
    Points,
}

impl LitUnit {
    pub(super) fn unit(self) -> Unit {
        match self {
            Self::Plain => Unit::One,
            Self::Octal => Unit::Octal,
            Self::Time => Unit::Time,
            Self::Size => Unit::Size,
            Self::Points => Unit::Percent,
        }
    }
}
