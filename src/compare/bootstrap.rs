//! The seeded percentile bootstrap of a ratio or difference of two quantiles or means. The order of the samples does not
//! matter, and the same seed gives the same bits.

use super::random::Random;
use super::{Answer, Comparison, Limit, Method, Misfit, Rules, relate, sorted, too_few};

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Statistic {
    /// A quantile, 0 to 1: rank `q·(n-1)`, between two samples in proportion, as `p95` in criteria.
    Quantile(f64),
    /// The mean.
    Mean,
}

impl Statistic {
    /// The median.
    pub const MEDIAN: Self = Self::Quantile(0.5);
}

/// Compares one statistic of two samples.
///
/// # Errors
/// A ratio of values below zero.
pub fn bootstrap(
    candidate: &[f64],
    baseline: &[f64],
    statistic: Statistic,
    seed: u64,
    limit: &Limit,
    rules: &Rules,
) -> Result<Comparison, Misfit> {
    const METHOD: &str = "bootstrap, percentile";
    let samples = match sorted(candidate, baseline, limit.scale, METHOD)? {
        Ok(samples) => samples,
        Err(lacking) => return Ok(lacking),
    };
    let n = (candidate.len() as u64, baseline.len() as u64);
    let (a, b) = (&samples.candidate, &samples.baseline);
    let mut random = Random::new(seed);
    let mut counts = vec![0_u32; a.len().max(b.len())];
    let mut again = |side: &[f64]| {
        let counts = &mut counts[..side.len()];
        counts.fill(0);
        (0..side.len()).for_each(|_| counts[random.below(side.len())] += 1);
        statistic.of(side, counts)
    };
    let resamples = resamples(rules.alpha);
    let mut spread = Vec::with_capacity(resamples);
    for _ in 0..resamples {
        let (candidate, baseline) = (again(a), again(b));
        spread.push(relate(limit.scale, candidate, baseline));
    }
    spread.sort_by(f64::total_cmp);
    // Rounded outwards; `resamples` times `alpha / 2` is at least 20.
    let outside = (resamples as f64 * rules.alpha / 2.0).floor() as usize;
    let once = |side: &[f64]| statistic.of(side, &vec![1; side.len()]);
    let all = Comparison {
        answer: Answer::Holds,
        estimate: relate(limit.scale, once(a), once(b)),
        low: spread[outside.min(resamples - 1)],
        high: spread[(resamples - 1).saturating_sub(outside)],
        p: None,
        n,
        method: METHOD,
    };
    Ok(all.judged(limit, too_few(n, rules, Method::Bootstrap(statistic))))
}

/// 2000, and more where `alpha` asks for the far tails; at most 40 000.
fn resamples(alpha: f64) -> usize {
    ((40.0 / alpha).ceil() as usize).clamp(2000, 40_000)
}

impl Statistic {
    /// Of a sample in ascending order in which each value stands `counts` times, `counts` summing up to its length.
    fn of(self, side: &[f64], counts: &[u32]) -> f64 {
        let n = side.len();
        match self {
            Self::Mean => {
                let sum = side.iter().zip(counts).fold(0.0, |sum, (value, count)| sum + value * f64::from(*count));
                sum / n as f64
            }
            Self::Quantile(q) => {
                let rank = q.clamp(0.0, 1.0) * (n - 1) as f64;
                let below = rank.floor() as usize;
                let (low, high) = (at_rank(side, counts, below), at_rank(side, counts, (below + 1).min(n - 1)));
                low + (high - low) * (rank - below as f64)
            }
        }
    }
}

/// The value of a rank, counted from 0.
fn at_rank(side: &[f64], counts: &[u32], rank: usize) -> f64 {
    let mut seen = 0;
    for (value, count) in side.iter().zip(counts) {
        seen += *count as usize;
        if seen > rank {
            return *value;
        }
    }
    side.last().copied().unwrap_or(f64::NAN)
}
