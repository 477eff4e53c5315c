//! Times of benchmarks, whatever tool took them: figures by name, and the facts made of them. Reads no file.
//!
//! Facts of a benchmark: `mean`, `median`, `min`, `max`, `p90`, `p95`, `p99` (Time), as far as known; with single times
//! also `times` (List of Time), `stddev` (of a sample; of one time there is none), `count` and `failed` (runs that ended
//! badly). They stand in `bench` (Map, by name), and at the top level for the one that a report is about. Percentiles
//! interpolate as those of criteria do.

use std::collections::BTreeMap;

use crate::facts::{Facts, Num, Unit, Value};

/// Parts of a nanosecond that are kept: picoseconds.
const PER_NS: i128 = 1000;

/// One benchmark.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Bench(BTreeMap<String, Value>);

/// Seconds times `unit` (1 for seconds, 1000 for milliseconds …) as picoseconds; `None` for what is no time.
#[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "bounded before")]
fn picoseconds(value: f64, unit: u64) -> Option<i128> {
    let scaled = value * (1e12 / unit as f64);
    (scaled.is_finite() && scaled.abs() < 1e30).then(|| scaled.round() as i128)
}

fn time(num: i128, parts: i128) -> Value {
    Num::ratio(num, PER_NS.saturating_mul(parts)).map_or(Value::Null, |num| Value::Num(num, Unit::Time))
}

impl Bench {
    /// From single times in seconds, and how many runs ended badly.
    ///
    /// # Errors
    /// A time that is none.
    pub(super) fn of_times(seconds: &[f64], failed: u64) -> Result<Self, String> {
        let one =
            |value: &f64| picoseconds(*value, 1).filter(|ps| *ps >= 0).ok_or_else(|| format!("`{value}` is no time"));
        let times = seconds.iter().map(one).collect::<Result<Vec<i128>, String>>()?;
        let mut bench = Self::default();
        let mut set = |name: &str, value: Value| drop(bench.0.insert(name.to_owned(), value));
        set("times", Value::List(times.iter().map(|ps| time(*ps, 1)).collect()));
        set("count", Value::int(times.len() as u64));
        set("failed", Value::int(failed));
        let mut sorted = times;
        sorted.sort_unstable();
        if let (Some(least), Some(most)) = (sorted.first(), sorted.last()) {
            let sum = sorted.iter().fold(0_i128, |sum, ps| sum.saturating_add(*ps));
            set("mean", time(sum, sorted.len() as i128));
            set("min", time(*least, 1));
            set("max", time(*most, 1));
            for (name, percent) in [("median", 50), ("p90", 90), ("p95", 95), ("p99", 99)] {
                set(name, percentile(&sorted, percent));
            }
            if let Some(stddev) = stddev(&sorted, sum) {
                set("stddev", time(stddev, 1));
            }
        }
        Ok(bench)
    }

    /// From figures in milliseconds, by the names of facts.
    ///
    /// # Errors
    /// A figure that is no time.
    pub(super) fn of_figures<'a>(figures: impl Iterator<Item = (&'a str, f64)>) -> Result<Self, String> {
        let one = |(name, value): (&str, f64)| {
            let ps = picoseconds(value, 1000).ok_or_else(|| format!("`{value}` is no time"))?;
            Ok((name.to_owned(), time(ps, 1)))
        };
        figures.map(one).collect::<Result<_, String>>().map(Self)
    }
}

/// Rank `percent/100·(n-1)`, between two neighbours.
fn percentile(sorted: &[i128], percent: usize) -> Value {
    let last = sorted.len().saturating_sub(1);
    let (below, part) = (percent * last / 100, percent * last % 100);
    let (Some(low), Some(high)) = (sorted.get(below), sorted.get((below + 1).min(last))) else { return Value::Null };
    let scaled = low.saturating_mul(100).saturating_add((high - low).saturating_mul(part as i128));
    time(scaled, 100)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "irrational anyway")]
fn stddev(times: &[i128], sum: i128) -> Option<i128> {
    let mean = sum as f64 / times.len() as f64;
    let squares: f64 = times.iter().map(|ps| (*ps as f64 - mean).powi(2)).sum();
    (times.len() > 1).then(|| (squares / (times.len() - 1) as f64).sqrt().round() as i128)
}

/// Facts of several benchmarks; those of `main` also stand alone.
pub(super) fn facts(facts: &mut Facts, all: BTreeMap<String, Bench>, main: Option<&str>) {
    if let Some(Bench(figures)) = main.and_then(|main| all.get(main)) {
        figures.iter().for_each(|(name, value)| facts.set(name.clone(), value.clone()));
    }
    facts.set("bench", Value::Map(all.into_iter().map(|(name, Bench(figures))| (name, Value::Map(figures))).collect()));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(bench: &Bench, name: &str) -> f64 {
        match bench.0.get(name) {
            Some(Value::Num(num, Unit::Time)) => num.to_f64() / 1e6,
            other => panic!("{name}: {other:?}"),
        }
    }

    #[test]
    fn figures_of_times() {
        let bench = Bench::of_times(&[0.001, 0.004, 0.002, 0.003, 0.0], 1).unwrap();
        let wanted =
            [("mean", 2.0), ("median", 2.0), ("min", 0.0), ("max", 4.0), ("p90", 3.6), ("p95", 3.8), ("p99", 3.96)];
        for (name, value) in wanted {
            assert!((ms(&bench, name) - value).abs() < 1e-9, "{name}");
        }
        assert!((ms(&bench, "stddev") - 2.5_f64.sqrt()).abs() < 1e-9);
        assert_eq!((bench.0.get("count"), bench.0.get("failed")), (Some(&Value::int(5)), Some(&Value::int(1))));
    }

    #[test]
    fn none_and_one_and_nonsense() {
        let none = Bench::of_times(&[], 0).unwrap();
        assert_eq!((none.0.get("mean"), none.0.get("count")), (None, Some(&Value::int(0))));
        let one = Bench::of_times(&[0.5], 0).unwrap();
        assert_eq!((one.0.get("stddev"), one.0.get("p99")), (None, Some(&time(50_000_000_000_000, 100))));
        for bad in [f64::NAN, f64::INFINITY, -1.0, 1e300] {
            assert!(Bench::of_times(&[bad], 0).unwrap_err().contains("is no time"));
        }
        assert!(Bench::of_figures([("p95", f64::NAN)].into_iter()).is_err());
    }
}
