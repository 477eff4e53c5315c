//! What can be plotted of a run: lists of numbers that an action saw (the latencies of a load), and the looks of sampled
//! steps. Thins out long lists; judges nothing.

use std::collections::BTreeMap;

use crate::event::{Event, EventKind};
use crate::facts::{Facts, Unit, Value};
use crate::ids::StepId;
use crate::outcome::State;
use crate::page::Plot;
use crate::report::{escape, history};

/// Points of one plot.
const POINTS: usize = 160;
/// Fewer numbers are no plot.
const FEW: usize = 3;

pub(super) fn of_events(events: &[Event]) -> BTreeMap<StepId, Vec<Plot>> {
    let mut plots: BTreeMap<StepId, Vec<Plot>> = BTreeMap::new();
    let mut looks: BTreeMap<StepId, (u32, Looks)> = BTreeMap::new();
    for event in events {
        match &event.kind {
            EventKind::Sample { step, attempt, state, criteria, .. } => {
                let (number, seen) = looks.entry(*step).or_default();
                if number != attempt {
                    (*number, *seen) = (*attempt, Looks::default());
                }
                seen.states.push(letter(*state));
                let looks = seen.states.len();
                for criterion in criteria {
                    let Some((value, unit)) = history::number(&criterion.actual) else { continue };
                    if !seen.series.iter().any(|series| series.label == criterion.text && series.unit == unit) {
                        seen.series.push(Series { label: criterion.text.clone(), unit, values: Vec::new() });
                    }
                    let series = seen.series.iter_mut().find(|s| s.label == criterion.text && s.unit == unit);
                    if let Some(series) = series.filter(|series| series.values.len() < looks) {
                        series.values.resize(looks - 1, None);
                        series.values.push(Some(value));
                    }
                }
            }
            EventKind::Attempt { step, result, .. } => {
                plots.insert(*step, of_facts(&result.facts));
            }
            _ => {}
        }
    }
    for (step, (_, seen)) in looks {
        if seen.states.len() >= FEW {
            plots.entry(step).or_default().insert(0, seen.plot());
        }
    }
    plots.retain(|_, plots| !plots.is_empty());
    plots
}

#[derive(Default)]
struct Looks {
    series: Vec<Series>,
    states: String,
}

/// What a criterion saw, look by look.
#[derive(Default)]
struct Series {
    label: String,
    unit: &'static str,
    values: Vec<Option<f64>>,
}

impl Series {
    fn varies(&self) -> bool {
        let mut seen = self.values.iter().flatten();
        seen.next().is_some_and(|first| seen.any(|value| value != first))
    }
}

impl Looks {
    /// One criterion stands for the step: the first whose figure is not the same at every look, else the first.
    fn plot(self) -> Plot {
        let count = self.states.len();
        let surplus = count.saturating_sub(POINTS);
        let chosen = self.series.iter().position(Series::varies).unwrap_or(0);
        let mut series = self.series.into_iter().nth(chosen).unwrap_or_default();
        series.values.resize(count, None);
        Plot {
            label: if series.label.is_empty() { "looks".to_owned() } else { escape::line(&series.label) },
            unit: series.unit,
            // The last ones decided.
            values: series.values.into_iter().skip(surplus).collect(),
            count,
            states: self.states.chars().skip(surplus).collect(),
        }
    }
}

fn letter(state: State) -> char {
    match state {
        State::Pass => 'p',
        State::Warn => 'w',
        State::Fail => 'f',
        State::Error => 'e',
        State::Inconclusive => 'i',
        State::Pending => 'h',
        State::Skipped | State::NotRun => 's',
    }
}

fn of_facts(facts: &Facts) -> Vec<Plot> {
    let mut plots = Vec::new();
    let compared = facts.values.get("compare");
    // What is compared is shown by its sides; one of them is the fact itself.
    let of_sides = |name: &str| matches!(compared, Some(Value::Map(pairs)) if pairs.contains_key(name));
    for (name, value) in facts.values.iter().filter(|(name, _)| *name != "compare" && !of_sides(name)) {
        plots.extend(list(name, value));
    }
    if let Some(Value::Map(pairs)) = compared {
        for (name, sides) in pairs {
            if let Value::Map(sides) = sides {
                plots.extend(sides.iter().filter_map(|(side, value)| list(&format!("{name} of the {side}"), value)));
            }
        }
    }
    plots
}

fn list(name: &str, value: &Value) -> Option<Plot> {
    let Value::List(items) = value else { return None };
    let number = |item: &Value| match item {
        Value::Num(number, unit) => Some((number.to_f64(), *unit)),
        _ => None,
    };
    let numbers: Vec<(f64, Unit)> = items.iter().map(number).collect::<Option<_>>()?;
    let unit = numbers.first()?.1;
    // A number that is always the same says nothing in a plot.
    let is_flat = numbers.iter().all(|(number, _)| *number == numbers[0].0);
    if numbers.len() < FEW || is_flat || numbers.iter().any(|(number, own)| *own != unit || !number.is_finite()) {
        return None;
    }
    let (unit, scale) = match unit {
        Unit::Time => ("ns", 1.0),
        Unit::Size => ("B", 1.0),
        Unit::Percent => ("%", 100.0),
        Unit::One | Unit::Octal => ("", 1.0),
    };
    let values: Vec<f64> = numbers.iter().map(|(number, _)| number * scale).collect();
    Some(Plot {
        label: escape::line(name),
        unit,
        values: thinned(&values).into_iter().map(Some).collect(),
        count: values.len(),
        states: String::new(),
    })
}

/// The greatest of each group of neighbours.
fn thinned(values: &[f64]) -> Vec<f64> {
    let size = values.len().div_ceil(POINTS).max(1);
    values.chunks(size).map(|group| group.iter().copied().fold(f64::NEG_INFINITY, f64::max)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Num;

    #[test]
    fn long_lists_keep_their_peaks_and_mixed_ones_are_no_plot() {
        let times = |n: i128| Value::List((0..n).map(|i| Value::Num(Num::int(i), Unit::Time)).collect());
        let plot = list("latency", &times(1000)).unwrap();
        assert_eq!((plot.unit, plot.count), ("ns", 1000));
        assert_eq!((plot.values.len(), plot.values.last().copied()), (143, Some(Some(999.0))));
        assert!(list("x", &times(2)).is_none());
        assert!(list("x", &Value::List(vec![Value::int(7); 9])).is_none());
        assert!(list("x", &Value::List(vec![Value::int(1), Value::text("a"), Value::int(2)])).is_none());
        let mixed = vec![Value::int(1), Value::size(1), Value::int(2)];
        assert!(list("x", &Value::List(mixed)).is_none());
    }
}
