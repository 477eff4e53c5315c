//! Two samples in, one of three answers out: the limit holds, it does not, or the data does not tell. Pure arithmetic on
//! `f64` in a fixed order; knows no criteria, no facts and no plan.
//!
//! # The rule
//!
//! A comparison is a non-inferiority test. Of the ratio `r = candidate / baseline` (or of the difference) a method gives
//! bounds `L ≤ r ≤ U`, each of which is wrong with a probability of at most `alpha / 2`. Against "at most `1 + margin`":
//!
//! | bounds | answer |
//! |---|---|
//! | `U ≤ 1 + margin` | [`Answer::Holds`] |
//! | `L > 1 + margin` | [`Answer::Fails`] |
//! | otherwise | [`Answer::Unknown`]: [`Lack::Wide`] |
//!
//! "At least" is the mirror image. Before that it is [`Answer::Unknown`] when a side is empty, has a value that is no
//! finite number, has fewer than `min_n` samples, or when no outcome at all could reach `alpha` ([`reachable`]).
//!
//! # Methods
//!
//! | method | asks about | bounds |
//! |---|---|---|
//! | [`point`] | any figure | none: `L = U =` the figure itself |
//! | [`mann_whitney`] | the typical value (Hodges–Lehmann shift; of logarithms, where the margin is a ratio) | order statistics of all pairs; exact up to 50 × 50 samples without ties, else normal with tie and continuity correction |
//! | [`bootstrap`] | a quantile or the mean | percentiles of a seeded bootstrap |
//! | [`fisher`] | a share, `bad` of `total` | conditional exact (Clopper–Pearson) on the ratio of the shares; `p` is Fisher's |
//!
//! `p`, where there is one, is the two-sided p-value of *no difference at all*, whatever the margin.
//!
//! # Zero, missing, constant
//!
//! - *Constant samples are evidence*: their bounds coincide, and the answer is as sure as `n` allows.
//! - *Zero*: no sample below zero can stand in a ratio ([`Misfit::Negative`]). `x/0` is infinite, `0/x` is zero and `0/0`
//!   is 1: nothing is as large as nothing. So a baseline of zeros and a candidate that is not zero fails any ratio, and
//!   two sides of zeros hold `≤ baseline + 10 %`. Pairs of zeros tell nothing about a ratio and are left out of its order
//!   statistics. `fisher` with not one bad event on either side holds likewise; one-sided zeros go by the bounds.
//! - *Missing or NaN*: one such value on a side makes the answer unknown. Leaving it out would favour the side that
//!   failed to measure.
//! - *Empty*: unknown.
//!
//! # Sources
//!
//! - H. B. Mann, D. R. Whitney, *On a test of whether one of two random variables is stochastically larger than the
//!   other*, Ann. Math. Statist. 18 (1947) 50–60.
//! - J. L. Hodges, E. L. Lehmann, *Estimates of location based on rank tests*, Ann. Math. Statist. 34 (1963) 598–611.
//! - D. F. Bauer, *Constructing confidence sets using rank statistics*, JASA 67 (1972) 687–690.
//! - G. E. Noether, *Wilcoxon confidence intervals for location parameters in the discrete case*, JASA 62 (1967) 184–188
//!   (closed intervals keep their level with ties).
//! - B. Efron, R. J. Tibshirani, *An Introduction to the Bootstrap* (1993), chapter 13; T. J. DiCiccio, B. Efron,
//!   *Bootstrap confidence intervals*, Statist. Sci. 11 (1996) 189–228.
//! - H. A. David, H. N. Nagaraja, *Order Statistics* (2003), 7.1 (a quantile is bounded by the sample's extremes only if
//!   `q^n` is small).
//! - R. A. Fisher, *The logic of inductive inference*, J. R. Statist. Soc. 98 (1935) 39–82.
//! - J. Przyborowski, H. Wilenski, *Homogeneity of results in testing samples from Poisson series*, Biometrika 31 (1940)
//!   313–323 (conditional on the sum, one count is binomial); C. J. Clopper, E. S. Pearson, *The use of confidence or
//!   fiducial limits illustrated in the case of the binomial*, Biometrika 26 (1934) 404–413.
//! - G. Piaggio et al., *Reporting of noninferiority and equivalence randomized trials*, JAMA 308 (2012) 2594–2604 (the
//!   three answers).

mod bootstrap;
mod fisher;
mod mann_whitney;
mod normal;
mod random;

use std::fmt;

pub use bootstrap::{Statistic, bootstrap};
pub use fisher::{Counts, fisher};
pub use mann_whitney::mann_whitney;

/// Which side of the bound is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The candidate may not be larger.
    AtMost,
    /// The candidate may not be smaller.
    AtLeast,
}

/// What the bound is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// `candidate / baseline`.
    Ratio,
    /// `candidate - baseline`, in the unit of the samples.
    Shift,
}

/// What has to hold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limit {
    /// Which side of the bound is good.
    pub side: Side,
    /// What the bound is about.
    pub scale: Scale,
    /// `1 + margin` of a ratio, the margin of a shift.
    pub bound: f64,
    /// The bound itself is not good any more (`<`, `>`).
    pub strict: bool,
}

/// How sure an answer has to be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rules {
    /// Both bounds together are wrong with at most this probability.
    pub alpha: f64,
    /// Fewest samples a side.
    pub min_n: u64,
}

/// A way to compare, as far as what it can reach depends on it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Method {
    /// [`point`].
    Point,
    /// [`mann_whitney`].
    MannWhitney,
    /// [`bootstrap`] of this statistic.
    Bootstrap(Statistic),
    /// [`fisher`].
    Fisher,
}

/// One of the two samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// What is judged.
    Candidate,
    /// What it is compared with.
    Baseline,
}

impl fmt::Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Candidate => "candidate",
            Self::Baseline => "baseline",
        })
    }
}

/// How a comparison came out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Answer {
    /// The limit holds.
    Holds,
    /// The limit does not hold.
    Fails,
    /// The data does not tell, and why.
    Unknown(Lack),
}

/// What was missing for an answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Lack {
    /// A side has no samples.
    Empty(Which),
    /// So many values of a side are no finite numbers.
    NotFinite(Which, u64),
    /// Fewer samples than `min_n`.
    TooFew {
        /// The smaller side.
        have: u64,
        /// `min_n`.
        need: u64,
    },
    /// So few samples can't reach `alpha`, whatever they are.
    Unreachable {
        /// The smaller side.
        have: u64,
        /// Samples a side from which on it can be reached.
        need: u64,
    },
    /// The bound lies between `L` and `U`.
    Wide,
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty(which) => write!(f, "the {which} has no samples"),
            Self::NotFinite(which, count) => write!(f, "{count} values of the {which} are no finite numbers"),
            Self::TooFew { have, need } => write!(f, "{have} samples on a side, `min_n` is {need}"),
            Self::Unreachable { have, need } => {
                write!(f, "{have} samples on a side can't reach `alpha` whatever they are; it takes {need}")
            }
            Self::Wide => f.write_str("the limit lies within the interval; more samples would tell"),
        }
    }
}

/// Why two samples can't be compared at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misfit {
    /// A ratio of values below zero.
    Negative(Which),
    /// More bad events than events.
    Counts(Which),
    /// A share has no difference with exact bounds.
    Shift,
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Negative(which) => write!(f, "the {which} has values below zero, and a ratio of those means nothing"),
            Self::Counts(which) => write!(f, "the {which} has more hits than events"),
            Self::Shift => f.write_str("`fisher` compares the ratio of two shares, not their difference"),
        }
    }
}

impl std::error::Error for Misfit {}

/// A comparison with everything it rests on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Comparison {
    /// How it came out.
    pub answer: Answer,
    /// The ratio or difference itself; NaN if there is none.
    pub estimate: f64,
    /// Its lower bound `L`; `0` or negative infinity if there is none.
    pub low: f64,
    /// Its upper bound `U`; infinity if there is none.
    pub high: f64,
    /// Two-sided p-value of no difference at all.
    pub p: Option<f64>,
    /// Samples of the candidate and of the baseline.
    pub n: (u64, u64),
    /// What was done (`mann-whitney, exact`).
    pub method: &'static str,
}

impl Comparison {
    /// Nothing is known yet.
    fn unknown(lack: Lack, scale: Scale, n: (u64, u64), method: &'static str) -> Self {
        let low = if scale == Scale::Ratio { 0.0 } else { f64::NEG_INFINITY };
        Self { answer: Answer::Unknown(lack), estimate: f64::NAN, low, high: f64::INFINITY, p: None, n, method }
    }

    /// Answers by the bounds, unless something was missing before.
    fn judged(mut self, limit: &Limit, lack: Option<Lack>) -> Self {
        self.answer = lack.map_or_else(|| limit.answer(self.low, self.high), Answer::Unknown);
        self
    }
}

impl Limit {
    /// The answer of these bounds.
    fn answer(&self, low: f64, high: f64) -> Answer {
        let good = |value: f64| match (self.side, self.strict) {
            (Side::AtMost, false) => value <= self.bound,
            (Side::AtMost, true) => value < self.bound,
            (Side::AtLeast, false) => value >= self.bound,
            (Side::AtLeast, true) => value > self.bound,
        };
        let (best, worst) = if self.side == Side::AtMost { (low, high) } else { (high, low) };
        match (good(best), good(worst)) {
            (_, true) => Answer::Holds,
            (false, _) => Answer::Fails,
            _ => Answer::Unknown(Lack::Wide),
        }
    }
}

/// Compares two figures without any interval: the answer is as good as the figures. `n` is how many samples each
/// rests on.
///
/// # Errors
/// A ratio of a figure below zero.
pub fn point(candidate: f64, baseline: f64, n: (u64, u64), limit: &Limit, min_n: u64) -> Result<Comparison, Misfit> {
    const METHOD: &str = "point";
    let sides = [(Which::Candidate, candidate, n.0), (Which::Baseline, baseline, n.1)];
    for (which, figure, n) in sides {
        if n == 0 {
            return Ok(Comparison::unknown(Lack::Empty(which), limit.scale, sides_n(&sides), METHOD));
        }
        if !figure.is_finite() {
            return Ok(Comparison::unknown(Lack::NotFinite(which, 1), limit.scale, sides_n(&sides), METHOD));
        }
        if limit.scale == Scale::Ratio && figure < 0.0 {
            return Err(Misfit::Negative(which));
        }
    }
    let estimate = relate(limit.scale, candidate, baseline);
    let have = n.0.min(n.1);
    let lack = (have < min_n).then_some(Lack::TooFew { have, need: min_n });
    let all = Comparison { answer: Answer::Holds, estimate, low: estimate, high: estimate, p: None, n, method: METHOD };
    Ok(all.judged(limit, lack))
}

fn sides_n(sides: &[(Which, f64, u64); 2]) -> (u64, u64) {
    (sides[0].2, sides[1].2)
}

/// Ratio or difference of two figures; `0/0` is 1.
fn relate(scale: Scale, candidate: f64, baseline: f64) -> f64 {
    match scale {
        Scale::Shift => candidate - baseline,
        Scale::Ratio if candidate == 0.0 && baseline == 0.0 => 1.0,
        Scale::Ratio => candidate / baseline,
    }
}

/// Both samples in ascending order, once they are fit to be compared.
struct Sorted {
    candidate: Vec<f64>,
    baseline: Vec<f64>,
}

/// Sorts and checks two samples: a comparison if there is nothing to compare.
fn sorted(
    candidate: &[f64],
    baseline: &[f64],
    scale: Scale,
    method: &'static str,
) -> Result<Result<Sorted, Comparison>, Misfit> {
    let n = (candidate.len() as u64, baseline.len() as u64);
    let lacking = |lack| Ok(Err(Comparison::unknown(lack, scale, n, method)));
    for (which, side) in [(Which::Candidate, candidate), (Which::Baseline, baseline)] {
        let broken = side.iter().filter(|value| !value.is_finite()).count() as u64;
        if side.is_empty() {
            return lacking(Lack::Empty(which));
        }
        if broken > 0 {
            return lacking(Lack::NotFinite(which, broken));
        }
        if scale == Scale::Ratio && side.iter().any(|value| *value < 0.0) {
            return Err(Misfit::Negative(which));
        }
    }
    let ascending = |side: &[f64]| {
        // `-0.0 + 0.0` is `0.0`, so that the two zeros can't be told apart.
        let mut side: Vec<f64> = side.iter().map(|value| value + 0.0).collect();
        side.sort_by(f64::total_cmp);
        side
    };
    Ok(Ok(Sorted { candidate: ascending(candidate), baseline: ascending(baseline) }))
}

/// What forbids an answer whatever the values are.
fn too_few(n: (u64, u64), rules: &Rules, method: Method) -> Option<Lack> {
    let have = n.0.min(n.1);
    if have < rules.min_n {
        return Some(Lack::TooFew { have, need: rules.min_n });
    }
    (!can_reach(rules.alpha, n, method)).then(|| Lack::Unreachable { have, need: needed(rules.alpha, method) })
}

/// Whether a comparison of at most `max_n` samples a side could ever give an answer at this `alpha`: the smallest
/// two-sided p-value of any outcome, `2/C(2n, n)`, has to reach it. A bootstrap of a quantile also has to have the
/// quantile between its smallest and its largest sample: `q^n` and `(1-q)^n` are at most `alpha/2`.
#[must_use]
pub fn reachable(alpha: f64, max_n: u64, method: Method) -> bool {
    can_reach(alpha, (max_n, max_n), method)
}

/// Fewest samples a side with which `alpha` is [`reachable`].
#[must_use]
pub fn needed(alpha: f64, method: Method) -> u64 {
    (1..=1_000_000).find(|n| reachable(alpha, *n, method)).unwrap_or(u64::MAX)
}

fn can_reach(alpha: f64, n: (u64, u64), method: Method) -> bool {
    match method {
        Method::Point => n.0 > 0 && n.1 > 0,
        Method::MannWhitney | Method::Fisher => smallest_p(n) <= alpha,
        Method::Bootstrap(statistic) => {
            let tail = if let Statistic::Quantile(q) = statistic { q.max(1.0 - q) } else { 0.0 };
            smallest_p(n) <= alpha && tail_chance(tail, n.0.min(n.1), alpha / 2.0) <= alpha / 2.0
        }
    }
}

/// `2 / C(n + m, n)`: the two-sided p-value of a perfect separation.
fn smallest_p((n, m): (u64, u64)) -> f64 {
    let (small, large) = (n.min(m), n.max(m));
    let mut ways = 1.0_f64;
    for i in 1..=small {
        ways = ways * (large + i) as f64 / i as f64;
        if ways > 1e15 {
            break;
        }
    }
    2.0 / ways
}

/// `q^n`, as soon as it is known to be at most `enough`.
fn tail_chance(q: f64, n: u64, enough: f64) -> f64 {
    let mut chance = 1.0;
    for _ in 0..n {
        chance *= q;
        if chance <= enough {
            break;
        }
    }
    chance
}

#[cfg(test)]
mod tests;
