//! Criteria: one small typed grammar. Parsed and type-checked at load, evaluated on facts; pure.
//!
//! ```text
//! criterion = ["not"] subject op operand | subject "exists" | subject "is" type
//! ```

use std::ops::Range;

use crate::outcome::Tier;
use crate::place::Place;

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

/// A parsed criterion. Fields below `implied` are the parser's.
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
    pub vars: &'a std::collections::BTreeMap<String, crate::facts::Value>,
    /// `env.*`: only names that are set.
    pub env: &'a std::collections::BTreeMap<String, String>,
    /// Value of `ratchet` now.
    pub ratchet: Option<&'a crate::facts::Value>,
    /// Value of `baseline`: the subject's value in the last run that passed.
    pub baseline: Option<&'a crate::facts::Value>,
    /// Wall clock, milliseconds since 1970 (for `age(…)`).
    pub now: i64,
}
