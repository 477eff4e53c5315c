//! `baseline` in a step that says `compare`: finds the two samples and lets the statistics answer. Knows where facts lie,
//! no arithmetic of its own.

use std::ops::Range;

use super::aggregate::aggregate;
use super::ast::{Adjust, Agg, Compare, Form, Op, Operand, Path, Seg, Subject};
use super::datum::Datum;
use super::eval::{Outcome, operand_text};
use super::exact::Ratio;
use super::read::{self, Read};
use super::scope::{Item, Kind, Scope};
use super::{Evidence, Fault, show};
use crate::action::{CompareMethod, CompareSpec};
use crate::compare::{self, Answer, Comparison, Counts, Limit, Method, Misfit, Rules, Scale, Side, Statistic};
use crate::facts::{Num, Unit, Value};
use crate::outcome::{self, State};

/// How a step compares, for the check of its criteria.
#[derive(Clone, Copy, Debug)]
pub struct Comparing<'a> {
    /// As the plan says; a criterion takes the first that can compare its subject.
    pub specs: &'a [CompareSpec],
    /// Most samples of a list that one look can ever take, where that is known.
    pub most: Option<u64>,
    /// Most looks of the step, where that is known.
    pub looks: Option<u64>,
}

/// What `check` settles about a criterion that compares.
#[derive(Clone, Debug)]
pub(super) struct Compared {
    spec: CompareSpec,
    method: Method,
    /// The subject's path in the baseline step; `None`: the look itself has both sides.
    baseline: Option<Path>,
}

impl Compared {
    /// Facts it reads beside the subject: key in the step's own facts, and (step, key) of the baseline's.
    pub(super) fn roots(&self) -> (Option<&'static str>, Vec<(String, String)>) {
        let fisher = self.method == Method::Fisher;
        let Some(path) = &self.baseline else { return (Some(COMPARE), Vec::new()) };
        let name = |i: usize| path.segs.get(i).map(Seg::key).unwrap_or_default();
        let counts = fisher.then(|| (name(1), COUNTS.to_owned()));
        (fisher.then_some(COUNTS), std::iter::once((name(1), name(2))).chain(counts).collect())
    }
}

const COMPARE: &str = "compare";
const COUNTS: &str = "counts";

/// Where a criterion's parts stand.
pub(super) struct Places<'a> {
    pub(super) subject: &'a Range<usize>,
    pub(super) op: &'a Range<usize>,
    pub(super) operand: &'a Range<usize>,
}

/// Checks a criterion that says `baseline`.
pub(super) fn check(
    subject: &Subject,
    op: Op,
    adjust: Option<Adjust>,
    comparing: Comparing<'_>,
    scope: &Scope<'_>,
    places: &Places<'_>,
) -> Result<Compared, Fault> {
    let Some(first) = comparing.specs.first() else {
        return Err(Fault::new("this step does not say `compare`", places.operand.clone()));
    };
    if !op.is_order() {
        return Err(Fault::new(format!("`compare` does not answer `{}`", op.word()), places.op.clone())
            .help("it answers `<=`, `<`, `>=` and `>`"));
    }
    let fitting = comparing.specs.iter().find_map(|spec| Some((spec, method_of(spec.method, subject)?)));
    let (spec, method) = fitting.ok_or_else(|| {
        let words: Vec<String> = comparing.specs.iter().map(|spec| format!("`{}`", spec.method.word())).collect();
        let help = match first.method {
            CompareMethod::Point => "compare a fact, or an aggregate of a list",
            CompareMethod::MannWhitney => {
                "it compares where the samples lie: `med(…)`; for another figure: `bootstrap`"
            }
            CompareMethod::Bootstrap => "it compares a percentile or the mean: `p95(…)`, `med(…)`, `avg(…)`",
            CompareMethod::Fisher => "it compares counted shares: `rate(…)` or `percent(…)`",
        };
        let (does, help) = match words.len() {
            1 => ("does", help),
            _ => (
                "do",
                "shares take `fisher`, percentiles and means `bootstrap`, medians `mann-whitney`, figures `point`",
            ),
        };
        let message = format!("{} {does} not compare this", words.join(" and "));
        Fault::new(message, places.subject.clone()).help(help)
    })?;
    if let (Method::Fisher, Some(Adjust::Absolute(..))) = (method, adjust) {
        return Err(Fault::new("`fisher` compares the ratio of two shares", places.operand.clone())
            .help("write the distance in percent of the baseline: `baseline + 50%`"));
    }
    let baseline = baseline_of(subject, spec, scope, places)?;
    let over_looks = matches!(subject, Subject::Agg { samples: true, .. });
    if let Some(most) = if over_looks { comparing.looks } else { comparing.most } {
        reach(spec, method, most, places)?;
    }
    Ok(Compared { spec: spec.clone(), method, baseline })
}

fn method_of(method: CompareMethod, subject: &Subject) -> Option<Method> {
    let agg = match subject {
        Subject::Path(_) => None,
        Subject::Agg { agg, .. } => Some(*agg),
        Subject::Quant { .. } => return None,
    };
    match (method, agg) {
        (CompareMethod::Point, Some(Agg::Age)) => None,
        (CompareMethod::Point, _) => Some(Method::Point),
        (CompareMethod::MannWhitney, Some(Agg::Med)) => Some(Method::MannWhitney),
        (CompareMethod::Bootstrap, Some(Agg::Avg)) => Some(Method::Bootstrap(Statistic::Mean)),
        (CompareMethod::Bootstrap, Some(Agg::Med)) => Some(Method::Bootstrap(Statistic::MEDIAN)),
        (CompareMethod::Bootstrap, Some(Agg::Percentile(p))) => {
            Some(Method::Bootstrap(Statistic::Quantile(p.to_f64() / 100.0)))
        }
        (CompareMethod::Fisher, None | Some(Agg::Rate | Agg::Percent)) => Some(Method::Fisher),
        _ => None,
    }
}

/// The subject's path in the baseline step.
fn baseline_of(
    subject: &Subject,
    spec: &CompareSpec,
    scope: &Scope<'_>,
    places: &Places<'_>,
) -> Result<Option<Path>, Fault> {
    let own = subject.path();
    if matches!(own.head(), "vars" | "env" | "steps") {
        return Err(Fault::new(format!("`{own}` is no fact of this step"), places.subject.clone())
            .help("`compare` sets a fact of the step itself against its baseline"));
    }
    let Some(name) = &spec.baseline else {
        let action = scope.shape.kind.word();
        return if scope.shape.two_sided {
            Ok(None)
        } else {
            Err(Fault::new(format!("this `{action}` looks at one side only"), places.operand.clone())
                .help("name the step to compare with: `compare = { …, baseline = \"STEP\" }`"))
        };
    };
    let at = places.operand.clone();
    let seg = |name: &str, quoted| Seg { name: name.to_owned(), quoted, param: None, at: at.clone() };
    let mut segs = vec![seg("steps", false), seg(name, true)];
    segs.extend(own.segs.iter().map(|seg| Seg { at: at.clone(), ..seg.clone() }));
    let mut path = Path { segs, at: at.clone(), optional: false, each: false, json: None, glob: None };
    let kind = scope.resolve(&mut path)?;
    let several = matches!(kind, Kind::List(_) | Kind::One(Item::Any));
    if matches!(subject, Subject::Agg { .. }) && spec.method != CompareMethod::Point && !several {
        return Err(Fault::new(format!("`{path}` is {kind}, not a list of samples"), at)
            .help(format!("`{}` needs all samples of both sides", spec.method.word())));
    }
    Ok(Some(path))
}

/// Refuses what can never be decided.
fn reach(spec: &CompareSpec, method: Method, most: u64, places: &Places<'_>) -> Result<(), Fault> {
    let at = places.operand.clone();
    if most < spec.min_n {
        let message = format!("the step takes at most {most} samples, and `min_n` is {}", spec.min_n);
        return Err(Fault::new(message, at).help("let it take more, or lower `min_n`"));
    }
    let alpha = spec.alpha.to_f64();
    if !compare::reachable(alpha, most, method) {
        let message = format!("{most} samples a side can never reach alpha {}", Ratio::from(spec.alpha).text(6));
        let need = compare::needed(alpha, method);
        return Err(
            Fault::new(message, at).help(format!("it takes at least {need} samples a side, or a larger `alpha`"))
        );
    }
    Ok(())
}

/// Judges a checked criterion.
pub(super) fn judge(form: &Form, test: &Compare, compared: &Compared, ev: &Evidence<'_>) -> Outcome {
    let spec = &compared.spec;
    let how = match compared.method {
        Method::Point => "point".to_owned(),
        _ => format!("{}, alpha {}", spec.method.word(), Ratio::from(spec.alpha).text(6)),
    };
    let expected = format!("{} {} ({how})", test.op.word(), operand_text(form.unit, &test.operand));
    let lacking = |(state, note): (State, String)| {
        let actual = if state == State::Fail { "absent" } else { "no data" };
        Outcome::new(state, expected.clone(), actual).note(note)
    };
    let Operand::Baseline(adjust) = test.operand else {
        return lacking((State::Error, "only `baseline` is compared".to_owned()));
    };
    let Some(limit) = limit(test.op, adjust) else {
        return lacking((State::Error, "the margin leaves the exact range".to_owned()));
    };
    let (candidate, baseline) = match sides(form, compared, ev) {
        Ok(sides) => sides,
        Err(lack) => return lacking(lack),
    };
    let answer = answer(form, compared, &candidate, &baseline, &limit);
    match answer {
        Err(note) => lacking((State::Error, note)),
        Ok((comparison, unit)) => {
            let text = |value: f64| figure_text(value, &limit, unit);
            let interval = comparison.low != comparison.high;
            let compared = outcome::Compared {
                subject: String::new(),
                candidate: side_text(&form.subject, compared.method, &candidate),
                baseline: side_text(&form.subject, compared.method, &baseline),
                estimate: (!comparison.estimate.is_nan()).then(|| text(comparison.estimate)),
                interval: interval.then(|| [text(comparison.low), text(comparison.high)]),
                limit: format!("{} {}", test.op.word(), text(limit.bound)),
                n: [comparison.n.0, comparison.n.1],
                method: how,
            };
            told(&comparison, &limit, unit, expected).compared(compared)
        }
    }
}

/// What must hold, as numbers: `baseline + 10%` is a ratio of 1.1, `baseline + 5ms` a shift.
fn limit(op: Op, adjust: Option<Adjust>) -> Option<Limit> {
    let (scale, bound) = match adjust {
        None => (Scale::Ratio, Num::int(1)),
        Some(Adjust::Relative(percent)) => {
            (Scale::Ratio, Num::int(100).plus(percent)?.times(Num::ratio(1, 100)?)?.reduced())
        }
        Some(Adjust::Absolute(distance, _)) => (Scale::Shift, distance),
    };
    let side = if matches!(op, Op::Lt | Op::Le) { Side::AtMost } else { Side::AtLeast };
    Some(Limit { side, scale, bound: bound.to_f64(), strict: matches!(op, Op::Lt | Op::Gt) })
}

/// One side of a comparison, as it was found.
enum Found<'a> {
    Datum(Datum<'a>),
    Counts(Counts),
}

type Lacking = (State, String);

fn sides<'a>(form: &Form, compared: &Compared, ev: &Evidence<'a>) -> Result<(Found<'a>, Found<'a>), Lacking> {
    let path = form.subject.path();
    let key = path.to_string();
    let Some(other) = &compared.baseline else {
        let pair = match ev.facts.values.get(COMPARE) {
            Some(Value::Map(all)) => all.get(&key),
            _ => None,
        };
        let Some(Value::Map(pair)) = pair else {
            return Err((State::Error, format!("the look gave no second side for `{key}`")));
        };
        let side = |name: &str| pair.get(name).filter(|value| **value != Value::Null);
        let candidate = side("candidate").ok_or((State::Error, format!("there is nothing to measure for `{key}`")))?;
        let baseline = side("baseline").ok_or((State::Inconclusive, format!("there is no baseline for `{key}`")))?;
        return Ok((of(candidate), of(baseline)));
    };
    let counted = |facts: Option<&'a crate::facts::Facts>| match facts?.values.get(COUNTS)? {
        Value::Map(all) => all.get(&key).and_then(counts_of).map(Found::Counts),
        _ => None,
    };
    let fisher = compared.method == Method::Fisher;
    let samples = matches!(form.subject, Subject::Agg { samples: true, .. });
    let candidate = match counted(Some(ev.facts)).filter(|_| fisher && !samples) {
        Some(counts) => counts,
        None if samples => Found::Datum(Datum::List(read::samples(path, ev).map_err(|note| (State::Error, note))?)),
        None => match read::path(path, ev) {
            Read::Found(datum) => Found::Datum(datum),
            Read::Absent => return Err((State::Fail, format!("`{path}` is absent"))),
            Read::NoData(note) => return Err((State::Error, note)),
        },
    };
    let step = other.segs.get(1).map(Seg::key).unwrap_or_default();
    let baseline = match counted(ev.steps.get(&step)).filter(|_| fisher) {
        Some(counts) => counts,
        None => match read::path(other, ev) {
            Read::Found(datum) => Found::Datum(datum),
            Read::Absent => return Err((State::Inconclusive, format!("there is no baseline: `{other}` is absent"))),
            Read::NoData(note) => return Err((State::Inconclusive, format!("there is no baseline: {note}"))),
        },
    };
    Ok((candidate, baseline))
}

fn of(value: &Value) -> Found<'_> {
    counts_of(value).map_or_else(|| Found::Datum(Datum::of(value)), Found::Counts)
}

/// `{ bad, total }`.
fn counts_of(value: &Value) -> Option<Counts> {
    let Value::Map(map) = value else { return None };
    let count = |name: &str| match map.get(name)? {
        Value::Num(num, _) if num.den == 1 => u64::try_from(num.num).ok(),
        _ => None,
    };
    Some(Counts { bad: count("bad")?, total: count("total")? })
}

/// The comparison and the unit of its samples; the error says why there is none.
fn answer(
    form: &Form,
    compared: &Compared,
    candidate: &Found<'_>,
    baseline: &Found<'_>,
    limit: &Limit,
) -> Result<(Comparison, Unit), String> {
    let spec = &compared.spec;
    let rules = Rules { alpha: spec.alpha.to_f64(), min_n: spec.min_n };
    let told = |misfit: Misfit| misfit.to_string();
    if compared.method == Method::Fisher {
        let (candidate, baseline) = (counts(candidate)?, counts(baseline)?);
        return Ok((compare::fisher(candidate, baseline, limit, &rules).map_err(told)?, Unit::One));
    }
    let (Found::Datum(candidate), Found::Datum(baseline)) = (candidate, baseline) else {
        return Err(format!("`{}` compares samples, and there are only counts", spec.method.word()));
    };
    if compared.method == Method::Point {
        let ((a, unit, n), (b, other, m)) = (figure(&form.subject, candidate)?, figure(&form.subject, baseline)?);
        same_unit(unit, other)?;
        return Ok((compare::point(a, b, (n, m), limit, spec.min_n).map_err(told)?, unit.unwrap_or(Unit::One)));
    }
    let ((c, unit), (b, other)) = (numbers(candidate)?, numbers(baseline)?);
    if c.is_empty() {
        return Err(format!("`{}` is empty", form.subject.path()));
    }
    same_unit(unit, other)?;
    let comparison = match compared.method {
        Method::Bootstrap(statistic) => compare::bootstrap(&c, &b, statistic, spec.seed, limit, &rules),
        _ => compare::mann_whitney(&c, &b, limit, &rules),
    };
    Ok((comparison.map_err(told)?, unit.unwrap_or(Unit::One)))
}

fn same_unit(candidate: Option<Unit>, baseline: Option<Unit>) -> Result<(), String> {
    match (candidate, baseline) {
        (Some(a), Some(b)) if a != b => Err("the two sides have different units".to_owned()),
        _ => Ok(()),
    }
}

/// The figure of one side for `point`, its unit and how many samples it rests on; NaN where there is none.
fn figure(subject: &Subject, side: &Datum<'_>) -> Result<(f64, Option<Unit>, u64), String> {
    let (datum, n) = match (subject, side) {
        (Subject::Agg { .. }, Datum::List(items)) if items.is_empty() => return Ok((f64::NAN, None, 0)),
        (Subject::Agg { agg, .. }, Datum::List(items)) => (aggregate(*agg, items)?, items.len() as u64),
        (Subject::Agg { agg, .. }, one) => (aggregate(*agg, std::slice::from_ref(one))?, 1),
        (_, one) => (one.clone(), 1),
    };
    let (value, unit) = number(&datum)?;
    Ok((value, unit, n))
}

/// Every sample of a side; NaN for a missing one.
fn numbers(side: &Datum<'_>) -> Result<(Vec<f64>, Option<Unit>), String> {
    let one = std::slice::from_ref(side);
    let items = if let Datum::List(items) = side { items.as_slice() } else { one };
    let mut unit = None;
    let mut values = Vec::with_capacity(items.len());
    for item in items {
        let (value, own) = number(item)?;
        same_unit(unit, own)?;
        unit = own.or(unit);
        values.push(value);
    }
    Ok((values, unit))
}

fn number(datum: &Datum<'_>) -> Result<(f64, Option<Unit>), String> {
    match datum {
        Datum::Null => Ok((f64::NAN, None)),
        Datum::Num(number) => {
            let exact = number.value.to_num().map(Num::to_f64);
            Ok((exact.unwrap_or_else(|| number.value.to_f64()), Some(number.unit)))
        }
        other => Err(format!("{} is {}, not a number", show::datum(other, None), other.noun())),
    }
}

/// How many of how many: given as counts, a list of true and false, or a counted percentage.
fn counts(side: &Found<'_>) -> Result<Counts, String> {
    let datum = match side {
        Found::Counts(counts) => return Ok(*counts),
        Found::Datum(datum) => datum,
    };
    let uncounted = || format!("{} is not counted: `fisher` needs how many of how many", show::datum(datum, None));
    match datum {
        Datum::List(items) => {
            let mut counts = Counts { bad: 0, total: items.len() as u64 };
            for item in items {
                let Datum::Bool(hit) = item else { return Err(uncounted()) };
                counts.bad += u64::from(*hit);
            }
            Ok(counts)
        }
        Datum::Num(number) if number.unit == Unit::Percent => {
            let num = number.counted.or_else(|| number.value.to_num()).ok_or_else(uncounted)?;
            let count = |n: i128| u64::try_from(n).map_err(|_| uncounted());
            Ok(Counts { bad: count(num.num)?, total: count(num.den)? })
        }
        _ => Err(uncounted()),
    }
}

/// A comparison as a result.
fn told(comparison: &Comparison, limit: &Limit, unit: Unit, expected: String) -> Outcome {
    let text = |value: f64| figure_text(value, limit, unit);
    let (n, m) = comparison.n;
    let mut parts = Vec::new();
    if comparison.low != comparison.high {
        parts.push(format!("{} to {}", text(comparison.low), text(comparison.high)));
    }
    match comparison.p {
        Some(p) if p < 0.0001 => parts.push("p < 0.0001".to_owned()),
        Some(p) => parts.push(format!("p = {p:.4}")),
        None => {}
    }
    parts.push(format!("{n} against {m} samples"));
    let estimate = if comparison.estimate.is_nan() { "unknown".to_owned() } else { text(comparison.estimate) };
    let actual = format!("{estimate} ({})", parts.join(", "));
    match comparison.answer {
        Answer::Holds => Outcome::new(State::Pass, expected, actual),
        Answer::Fails => Outcome::new(State::Fail, expected, actual),
        Answer::Unknown(lack) => {
            Outcome::new(State::Inconclusive, expected, actual).note(format!("not enough data to tell: {lack}"))
        }
    }
}

/// The figure of one side.
fn side_text(subject: &Subject, method: Method, side: &Found<'_>) -> String {
    if method == Method::Fisher {
        return counts(side).map_or_else(|_| "–".to_owned(), |counts| format!("{} of {}", counts.bad, counts.total));
    }
    match (subject, side) {
        (_, Found::Counts(counts)) => format!("{} of {}", counts.bad, counts.total),
        (Subject::Agg { agg, .. }, Found::Datum(Datum::List(items))) => {
            aggregate(*agg, items).map_or_else(|_| "–".to_owned(), |datum| show::datum(&datum, None))
        }
        (_, Found::Datum(datum)) => show::datum(datum, None),
    }
}

/// `1.3 times the baseline`, `+12 ms`: never rounded across the limit.
fn figure_text(value: f64, limit: &Limit, unit: Unit) -> String {
    let sign = if value < 0.0 { "-" } else { "+" };
    let (Some(number), Some(bound)) = (decimal(value), decimal(limit.bound)) else {
        return if limit.scale == Scale::Ratio { "∞×".to_owned() } else { format!("{sign}∞") };
    };
    match limit.scale {
        Scale::Ratio => format!("{}×", show::figure(&number, Unit::One, Some(&bound))),
        Scale::Shift if value <= 0.0 => show::figure(&number, unit, Some(&bound)),
        Scale::Shift => format!("{sign}{}", show::figure(&number, unit, Some(&bound))),
    }
}

fn decimal(value: f64) -> Option<Ratio> {
    value.is_finite().then(|| Ratio::decimal(&format!("{value:e}"))).flatten()
}

#[cfg(test)]
#[path = "compared_tests.rs"]
mod tests;
