//! `compare`: a second side for what a step measures, as data.

use serde::{Deserialize, Serialize};

use crate::facts::Num;

/// How two samples are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CompareMethod {
    /// The figures as they are, without an interval.
    Point,
    /// Where the samples lie, by ranks.
    MannWhitney,
    /// A quantile or the mean, by resampling.
    Bootstrap,
    /// Two shares, by their counts.
    Fisher,
}

impl CompareMethod {
    /// The words in the plan.
    pub const WORDS: [&'static str; 4] = ["point", "mann-whitney", "bootstrap", "fisher"];

    /// The word in the plan.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Point => "point",
            Self::MannWhitney => "mann-whitney",
            Self::Bootstrap => "bootstrap",
            Self::Fisher => "fisher",
        }
    }

    /// The method of that word.
    #[must_use]
    pub fn named(word: &str) -> Option<Self> {
        [Self::Point, Self::MannWhitney, Self::Bootstrap, Self::Fisher].into_iter().find(|method| method.word() == word)
    }
}

/// `compare`: how criteria of the step that say `baseline` are judged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompareSpec {
    /// How.
    pub method: CompareMethod,
    /// Both bounds of the interval together are wrong with at most this probability.
    pub alpha: Num,
    /// Fewest samples a side.
    pub min_n: u64,
    /// Seed of `bootstrap`.
    pub seed: u64,
    /// The step whose facts of the same name are the baseline; `None`: the action itself looks at both sides.
    pub baseline: Option<String>,
}
