//! Mann–Whitney: the Hodges–Lehmann shift with the interval that inverts the test. No pair is ever stored: an order
//! statistic of all `n·m` pairs is found by bisection over the bits of `f64`, counting with two pointers.

use super::{Comparison, Limit, Method, Misfit, Rules, Scale, Sorted, normal, sorted, too_few};

/// From this many samples on, on either side, the normal approximation is used.
const MOST_EXACT: usize = 50;

const EXACT: &str = "mann-whitney, exact";
const NORMAL: &str = "mann-whitney, normal";

/// Compares where two samples lie.
///
/// # Errors
/// A ratio of values below zero.
pub fn mann_whitney(candidate: &[f64], baseline: &[f64], limit: &Limit, rules: &Rules) -> Result<Comparison, Misfit> {
    let samples = match sorted(candidate, baseline, limit.scale, NORMAL)? {
        Ok(samples) => samples,
        Err(lacking) => return Ok(lacking),
    };
    let n = (candidate.len() as u64, baseline.len() as u64);
    let pairs = Pairs::of(&samples, limit.scale);
    let ties = ties(&pairs);
    let small = samples.candidate.len().max(samples.baseline.len()) <= MOST_EXACT;
    let null = small.then(|| null_distribution(samples.candidate.len(), samples.baseline.len()));
    let exact = null.as_ref().filter(|_| ties == 0.0);
    let cut = match exact {
        Some(null) => cut_exact(null, rules.alpha),
        None => cut_normal(pairs.count(), sigma(n, ties), rules.alpha),
    };
    let (low, high) = pairs.bounds(cut);
    let p = p_of_no_difference(&samples, null.as_deref());
    let method = if exact.is_some() { EXACT } else { NORMAL };
    let all = Comparison { answer: super::Answer::Holds, estimate: pairs.middle(), low, high, p: Some(p), n, method };
    Ok(all.judged(limit, too_few(n, rules, Method::MannWhitney)))
}

/// All pairs of a candidate and a baseline sample, as ratios or differences. Pairs of two zeros have no ratio and are
/// left out.
struct Pairs<'s> {
    scale: Scale,
    /// Samples above zero where ratios are asked for, all samples otherwise; ascending.
    candidate: &'s [f64],
    baseline: &'s [f64],
    /// Zeros of the candidate and of the baseline, where ratios are asked for.
    zeros: (u64, u64),
}

impl<'s> Pairs<'s> {
    fn of(samples: &'s Sorted, scale: Scale) -> Self {
        let zeros = |side: &[f64]| if scale == Scale::Ratio { side.partition_point(|value| *value == 0.0) } else { 0 };
        let (c, b) = (zeros(&samples.candidate), zeros(&samples.baseline));
        Self {
            scale,
            candidate: &samples.candidate[c..],
            baseline: &samples.baseline[b..],
            zeros: (c as u64, b as u64),
        }
    }

    /// Pairs whose ratio is zero, neither, infinite.
    fn parts(&self) -> (u64, u64, u64) {
        let (c, b) = (self.candidate.len() as u64, self.baseline.len() as u64);
        (self.zeros.0 * b, c * b, c * self.zeros.1)
    }

    fn count(&self) -> u64 {
        let (zero, some, infinite) = self.parts();
        zero + some + infinite
    }

    fn one(&self, candidate: f64, baseline: f64) -> f64 {
        match self.scale {
            Scale::Ratio => candidate / baseline,
            Scale::Shift => candidate - baseline,
        }
    }

    /// The pair of this rank, counted from 1.
    fn ranked(&self, rank: u64) -> f64 {
        let (zero, some, _) = self.parts();
        if rank <= zero {
            return 0.0;
        }
        if rank > zero + some {
            return f64::INFINITY;
        }
        let rank = rank - zero;
        let (mut low, mut high) = (order(f64::NEG_INFINITY), order(f64::INFINITY));
        while low < high {
            let middle = low + (high - low) / 2;
            if self.up_to(unorder(middle)) >= rank {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        unorder(low) + 0.0
    }

    /// How many pairs of samples that are not zeros are at most `value`.
    fn up_to(&self, value: f64) -> u64 {
        // The first baseline sample that is large enough; it only grows with the candidate's.
        let mut first = 0;
        let mut count = 0;
        for candidate in self.candidate {
            while first < self.baseline.len() && self.one(*candidate, self.baseline[first]) > value {
                first += 1;
            }
            count += (self.baseline.len() - first) as u64;
        }
        count
    }

    /// Bounds that leave `cut` pairs outside on either side; none without a cut.
    fn bounds(&self, cut: Option<u64>) -> (f64, f64) {
        let count = self.count();
        match (count, cut) {
            (0, _) => (1.0, 1.0),
            (_, Some(cut)) => (self.ranked(cut + 1), self.ranked(count - cut)),
            (_, None) if self.scale == Scale::Ratio => (0.0, f64::INFINITY),
            (_, None) => (f64::NEG_INFINITY, f64::INFINITY),
        }
    }

    /// The median pair (Hodges–Lehmann); between two ratios, the geometric mean.
    fn middle(&self) -> f64 {
        let count = self.count();
        if count == 0 {
            return 1.0;
        }
        let (a, b) = (self.ranked(count.div_ceil(2)), self.ranked(count / 2 + 1));
        match self.scale {
            _ if a == b => a,
            Scale::Shift => a + (b - a) / 2.0,
            Scale::Ratio if a == 0.0 && b.is_infinite() => 1.0,
            Scale::Ratio => a.sqrt() * b.sqrt(),
        }
    }
}

/// Whole numbers in the order of the floats.
fn order(value: f64) -> u64 {
    let bits = value.to_bits();
    if bits >> 63 == 1 { !bits } else { bits | 1 << 63 }
}

fn unorder(order: u64) -> f64 {
    f64::from_bits(if order >> 63 == 1 { order & !(1 << 63) } else { !order })
}

/// What ties take away from the variance while the samples are shifted against each other: groups within a sample, and
/// zeros, which no factor moves apart.
fn ties(pairs: &Pairs<'_>) -> f64 {
    let within = |side: &[f64]| groups(side.iter().copied()).map(cubed).sum::<f64>();
    within(pairs.candidate) + within(pairs.baseline) + cubed(pairs.zeros.0 + pairs.zeros.1)
}

/// `t³ - t` of a group of `t` equal values.
fn cubed(t: u64) -> f64 {
    let t = t as f64;
    t * t * t - t
}

fn sigma(n: (u64, u64), ties: f64) -> f64 {
    let (a, b) = (n.0 as f64, n.1 as f64);
    let all = a + b;
    (a * b / 12.0 * ((all + 1.0) - ties / (all * (all - 1.0)))).max(0.0).sqrt()
}

/// Sizes of runs of equal values in an ascending sequence.
fn groups(values: impl Iterator<Item = f64>) -> impl Iterator<Item = u64> {
    let mut values = values.peekable();
    std::iter::from_fn(move || {
        let first = values.next()?;
        let mut size = 1;
        while values.next_if(|value| *value == first).is_some() {
            size += 1;
        }
        Some(size)
    })
}

/// Most pairs that may lie outside on one side, where `count` pairs are spread like a normal variable.
fn cut_normal(count: u64, sigma: f64, alpha: f64) -> Option<u64> {
    let cut = (count as f64 / 2.0 - 0.5 - normal::quantile(alpha / 2.0) * sigma).floor();
    // The comparison is false for NaN; a cut is below 2^53 because its pairs fit in memory.
    (cut >= 0.0).then_some(cut as u64)
}

/// Likewise from the exact distribution.
fn cut_exact(null: &[f64], alpha: f64) -> Option<u64> {
    let mut below = 0.0;
    let mut cut = None;
    for (u, chance) in null.iter().enumerate() {
        below += chance;
        if 2.0 * below > alpha * (1.0 + 1e-12) {
            break;
        }
        cut = Some(u as u64);
    }
    cut
}

/// Chances of `U = 0, 1, …, nm` when nothing differs. Only sums of positive terms, so nothing cancels. The larger sample
/// comes second, so that swapped samples are rounded alike.
fn null_distribution(a: usize, b: usize) -> Vec<f64> {
    let (n, m) = (a.min(b), a.max(b));
    // `rows[i]`: the distribution of i candidates among the j baselines so far.
    let mut rows: Vec<Vec<f64>> = (0..=n).map(|_| vec![1.0]).collect();
    for j in 1..=m {
        for i in 1..=n {
            let all = (i + j) as f64;
            let (from_candidate, from_baseline) = (i as f64 / all, j as f64 / all);
            let mut row = vec![0.0; i * j + 1];
            // The largest value is a candidate (above all j baselines) or a baseline.
            for (u, chance) in rows[i - 1].iter().enumerate() {
                row[u + j] += from_candidate * chance;
            }
            for (u, chance) in rows[i].iter().enumerate() {
                row[u] += from_baseline * chance;
            }
            rows[i] = row;
        }
    }
    rows.pop().unwrap_or_default()
}

/// Two-sided p-value of no difference, exact where the distribution is known and no two values are equal.
fn p_of_no_difference(samples: &Sorted, null: Option<&[f64]>) -> f64 {
    let (n, m) = (samples.candidate.len() as u64, samples.baseline.len() as u64);
    let mut pooled: Vec<(f64, bool)> = samples.candidate.iter().map(|value| (*value, true)).collect();
    pooled.extend(samples.baseline.iter().map(|value| (*value, false)));
    pooled.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut ties, mut before, mut at, mut twice_u) = (0.0, 0_u64, 0, 0_u64);
    for size in groups(pooled.iter().map(|(value, _)| *value)) {
        let group = &pooled[at..at + size as usize];
        let candidates = group.iter().filter(|(_, is_candidate)| *is_candidate).count() as u64;
        let baselines = size - candidates;
        twice_u += candidates * (2 * before + baselines);
        before += baselines;
        ties += cubed(size);
        at += size as usize;
    }
    let twice_u = twice_u.max(2 * n * m - twice_u);
    if let Some(null) = null.filter(|_| ties == 0.0) {
        let tail: f64 = null.iter().take((n * m - twice_u / 2) as usize + 1).sum();
        return (2.0 * tail).min(1.0);
    }
    let sigma = sigma((n, m), ties);
    if sigma == 0.0 {
        return 1.0;
    }
    let z = (twice_u as f64 / 2.0 - (n * m) as f64 / 2.0 - 0.5) / sigma;
    (2.0 * normal::upper_tail(z)).min(1.0)
}
