//! Counts: exact bounds of the ratio of two shares, and Fisher's p-value.
//!
//! Given how many bad events there were in all, `K = a + b`, the candidate's part of them is binomial with odds
//! `r · n/m` for rare events, whatever the rate itself is; Clopper and Pearson's bounds on it are exact, and for events
//! that are not rare they are wider than need be, never narrower. (The odds ratio, which the hypergeometric distribution
//! would bound, is not what "+50 % errors" speaks of: 60 % against 50 % is a ratio of 1.2 and an odds ratio of 1.5.)

use super::{Answer, Comparison, Lack, Limit, Method, Misfit, Rules, Scale, Which, relate, too_few};

const METHOD: &str = "fisher, exact";

/// How many of how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Bad events (or hits of any other kind).
    pub bad: u64,
    /// All events.
    pub total: u64,
}

impl Counts {
    fn share(self) -> f64 {
        self.bad as f64 / self.total as f64
    }
}

/// Compares two shares.
///
/// # Errors
/// More bad events than events, or a limit on the difference.
pub fn fisher(candidate: Counts, baseline: Counts, limit: &Limit, rules: &Rules) -> Result<Comparison, Misfit> {
    let n = (candidate.total, baseline.total);
    if limit.scale == Scale::Shift {
        return Err(Misfit::Shift);
    }
    for (which, side) in [(Which::Candidate, candidate), (Which::Baseline, baseline)] {
        if side.bad > side.total {
            return Err(Misfit::Counts(which));
        }
        if side.total == 0 {
            return Ok(Comparison::unknown(Lack::Empty(which), limit.scale, n, METHOD));
        }
    }
    let (low, high) = bounds(candidate, baseline, rules.alpha);
    let all = Comparison {
        answer: Answer::Holds,
        estimate: relate(Scale::Ratio, candidate.share(), baseline.share()),
        low,
        high,
        p: Some(p_of_no_difference(candidate, baseline)),
        n,
        method: METHOD,
    };
    Ok(all.judged(limit, too_few(n, rules, Method::Fisher)))
}

/// Bounds of the ratio of the shares.
fn bounds(candidate: Counts, baseline: Counts, alpha: f64) -> (f64, f64) {
    let (a, all) = (candidate.bad, candidate.bad + baseline.bad);
    if all == 0 {
        return (1.0, 1.0);
    }
    let scale = baseline.total as f64 / candidate.total as f64;
    let binomial = |odds: f64| Family {
        lowest: 0,
        highest: all,
        peak: all as f64 * (odds / (1.0 + odds)),
        ratio: move |k| (all - k) as f64 / (k + 1) as f64 * odds,
    };
    // Both tails grow or shrink with the odds, so that bisection finds where they reach `alpha / 2`.
    let low = if a == 0 { 0.0 } else { rising(|odds| binomial(odds).tails(a).1 >= alpha / 2.0) };
    let high = if a == all { f64::INFINITY } else { rising(|odds| binomial(odds).tails(a).0 <= alpha / 2.0) };
    (low * scale, high * scale)
}

/// The smallest positive float from which on something is true.
fn rising(is_true: impl Fn(f64) -> bool) -> f64 {
    // Positive floats and their bits have the same order.
    let (mut low, mut high) = (1e-30_f64.to_bits(), 1e30_f64.to_bits());
    while low < high {
        let middle = low + (high - low) / 2;
        if is_true(f64::from_bits(middle)) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    f64::from_bits(low)
}

/// Fisher's exact test: chances of all tables with the same margins that are no likelier than this one.
fn p_of_no_difference(candidate: Counts, baseline: Counts) -> f64 {
    let (n, m) = (candidate.total, baseline.total);
    let all = candidate.bad + baseline.bad;
    // (n - k)(all - k) / ((k + 1)(m - all + k + 1))
    let ratio = |k: u64| (n - k) as f64 * (all - k) as f64 / ((k + 1) as f64 * (m + k + 1 - all) as f64);
    let peak = (all + 1) as f64 * (n + 1) as f64 / (n + m + 2) as f64;
    Family { lowest: all.saturating_sub(m), highest: all.min(n), peak, ratio }.no_likelier(candidate.bad)
}

/// A distribution over whole numbers with one peak, given by the ratio of each chance to the one before.
struct Family<R> {
    lowest: u64,
    highest: u64,
    /// About where the peak is.
    peak: f64,
    /// Chance of `k + 1` in terms of that of `k`.
    ratio: R,
}

impl<R: Fn(u64) -> f64> Family<R> {
    /// Chances up to a constant factor, from the peak outwards, until they don't matter.
    fn weights(&self, mut take: impl FnMut(u64, f64)) {
        const NOTHING: f64 = 1e-30;
        let peak = (self.peak as u64).clamp(self.lowest, self.highest);
        let mut weight = 1.0;
        take(peak, weight);
        for k in peak..self.highest {
            weight *= (self.ratio)(k);
            take(k + 1, weight);
            if weight < NOTHING {
                break;
            }
        }
        weight = 1.0;
        for k in (self.lowest..peak).rev() {
            weight /= (self.ratio)(k);
            take(k, weight);
            if weight < NOTHING {
                break;
            }
        }
    }

    /// Chances of at most and of at least `at`.
    fn tails(&self, at: u64) -> (f64, f64) {
        let (mut below, mut equal, mut above) = (0.0, 0.0, 0.0);
        self.weights(|k, weight| match k.cmp(&at) {
            std::cmp::Ordering::Less => below += weight,
            std::cmp::Ordering::Equal => equal += weight,
            std::cmp::Ordering::Greater => above += weight,
        });
        let all = below + equal + above;
        ((below + equal) / all, (equal + above) / all)
    }

    /// Chance of everything that is no likelier than `at`; what differs by rounding alone counts as alike.
    fn no_likelier(&self, at: u64) -> f64 {
        let mut own = 0.0;
        self.weights(|k, weight| {
            if k == at {
                own = weight;
            }
        });
        let (mut all, mut rest) = (0.0, 0.0);
        self.weights(|_, weight| {
            all += weight;
            if weight <= own * (1.0 + 1e-7) {
                rest += weight;
            }
        });
        (rest / all).min(1.0)
    }
}
