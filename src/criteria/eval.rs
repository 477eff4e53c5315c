//! Evaluation: a criterion and evidence in, a result with expected, actual and margin out. Pure; reads no clock.

use std::collections::BTreeSet;

use regex::Regex;
use semver::{Version, VersionReq};

use super::aggregate::{age, aggregate, instant};
use super::ast::{Adjust, Agg, Compiled, Form, Lit, LitUnit, Op, Operand, Path, Quant, Subject, Test, Type};
use super::datum::{Datum, Number};
use super::exact::Ratio;
use super::read::{self, Read};
use super::{Criterion, Evidence, compared, literal, parse, show};
use crate::facts::{Num, Unit, Value};
use crate::outcome::{Compared, CriterionResult, State, Tier};

/// Judges one criterion. `place` is where it stands (`file:line:col`), for the result.
#[must_use]
pub fn evaluate(criterion: &Criterion, evidence: &Evidence<'_>, place: String) -> CriterionResult {
    let form = &criterion.form;
    let outcome = match &form.test {
        Test::Exists => exists(form, evidence),
        Test::Is(ty) => is_type(form, *ty, evidence),
        Test::Compare(test) => match &test.compared {
            Some(compared) => compared::judge(form, test, compared, evidence),
            None => compare(form, (test.op, &test.compiled), &test.operand, evidence),
        },
    };
    let state = match outcome.state {
        State::Pass if form.negated => State::Fail,
        State::Fail if form.negated => State::Pass,
        state => state,
    };
    let (state, outcome) = first_time(criterion, evidence, state, outcome);
    let compared = outcome
        .compared
        .map(|compared| Box::new(Compared { subject: criterion.subject_text().to_owned(), ..compared }));
    CriterionResult {
        tier: criterion.tier,
        text: criterion.text.clone(),
        implied: criterion.implied,
        place,
        state,
        expected: if form.negated { format!("not {}", outcome.expected) } else { outcome.expected },
        against: outcome.against,
        actual: outcome.actual,
        margin: outcome.margin,
        note: outcome.note,
        waiver: None,
        compared,
    }
}

/// Where nothing is there to compare with yet and the step allows that, the criterion speaks for the step.
fn first_time(criterion: &Criterion, evidence: &Evidence<'_>, state: State, outcome: Outcome) -> (State, Outcome) {
    let lacks = state == State::Inconclusive && criterion.uses_baseline() && evidence.baseline.is_none();
    match evidence.allow_no_baseline {
        Some(reason) if lacks && !criterion.form.is_compared() => {
            let state = if criterion.tier == Tier::Reject { State::Fail } else { State::Pass };
            let expected = format!("{} (there is none yet, allowed: {reason})", outcome.expected);
            (state, Outcome { expected, note: None, ..outcome })
        }
        _ => (state, outcome),
    }
}

/// The value of a subject (`steps.load.p95(latency)`, `max(steps.cov.files.percent(lines))`).
///
/// # Errors
/// One sentence: why there is no such value.
pub fn value_of(subject_text: &str, evidence: &Evidence<'_>) -> Result<Value, String> {
    let subject = parse::subject(subject_text).map_err(|fault| fault.message)?;
    value(&subject, subject_text, evidence)
}

/// The value of a checked criterion's subject: what `percent(lines) >= 55` measured. Unlike [`value_of`] it knows
/// whether `percent(lines)` is a fact of that name or an aggregate, because [`super::check()`] has settled it.
///
/// # Errors
/// One sentence: why there is no such value.
pub fn measured(criterion: &Criterion, evidence: &Evidence<'_>) -> Result<Value, String> {
    value(&criterion.form.subject, criterion.subject_text(), evidence)
}

fn value(subject: &Subject, subject_text: &str, evidence: &Evidence<'_>) -> Result<Value, String> {
    match subject_value(subject, evidence) {
        Got::One(datum) => datum.to_value(),
        Got::Lack(Lack::Absent) => Err(format!("`{subject_text}` is absent")),
        Got::Lack(Lack::NoData(note)) => Err(note),
        Got::Items(..) => Err(format!("`{subject_text}` is no value")),
    }
}

/// What a subject came to.
enum Got<'a> {
    One(Datum<'a>),
    Items(Items<'a>),
    Lack(Lack),
}

/// What a quantifier ranges over.
struct Items<'a> {
    quant: Quant,
    data: Vec<Datum<'a>>,
    /// What each of them belongs to (a file); empty where nothing is known.
    names: Vec<String>,
}

/// Why there is no value.
enum Lack {
    /// Proven not to be there.
    Absent,
    /// Never produced, with the reason.
    NoData(String),
}

impl From<Lack> for Got<'_> {
    fn from(lack: Lack) -> Self {
        Self::Lack(lack)
    }
}

pub(super) struct Outcome {
    state: State,
    expected: String,
    against: Option<String>,
    actual: String,
    margin: Option<String>,
    note: Option<String>,
    compared: Option<Compared>,
}

impl Outcome {
    pub(super) fn new(state: State, expected: String, actual: impl Into<String>) -> Self {
        Self { state, expected, against: None, actual: actual.into(), margin: None, note: None, compared: None }
    }

    pub(super) fn compared(mut self, compared: Compared) -> Self {
        self.compared = Some(compared);
        self
    }

    pub(super) fn note(mut self, note: impl Into<String>) -> Self {
        self.note = Some(note.into());
        self
    }
}

fn subject_value<'a>(subject: &Subject, ev: &Evidence<'a>) -> Got<'a> {
    let items = |path: &Path, samples: bool| -> Result<Vec<Datum<'a>>, Lack> {
        if samples {
            return read::samples(path, ev).map_err(Lack::NoData);
        }
        match read::path(path, ev) {
            Read::Found(Datum::List(items)) => Ok(items),
            Read::Found(other) => Err(Lack::NoData(format!("`{path}` is {}, not a list", other.noun()))),
            Read::Absent => Err(Lack::Absent),
            Read::NoData(note) => Err(Lack::NoData(note)),
        }
    };
    match subject {
        Subject::Path(path) => match read::path(path, ev) {
            Read::Found(datum) => Got::One(datum),
            Read::Absent => Lack::Absent.into(),
            Read::NoData(note) => Lack::NoData(note).into(),
        },
        Subject::Agg { agg: Agg::Age, path, .. } => match read::path(path, ev) {
            Read::Found(datum) => age(&datum, ev.now).map_or_else(|note| Lack::NoData(note).into(), Got::One),
            Read::Absent => Lack::Absent.into(),
            Read::NoData(note) => Lack::NoData(note).into(),
        },
        Subject::Agg { agg, path, samples } => match items(path, *samples) {
            Ok(items) if items.is_empty() && *agg != Agg::Count => {
                Got::Lack(Lack::NoData(format!("`{path}` is empty")))
            }
            Ok(items) => aggregate(*agg, &items).map_or_else(|note| Lack::NoData(note).into(), Got::One),
            Err(lack) => lack.into(),
        },
        Subject::Quant { quant, path, samples } => match items(path, *samples) {
            Ok(items) if items.is_empty() => Got::Lack(Lack::NoData(format!("`{path}` is empty"))),
            Ok(data) => {
                let names = if *samples { Vec::new() } else { read::names(path, ev, data.len()) };
                Got::Items(Items { quant: *quant, data, names })
            }
            // Of what is not there, nothing can be said of every one; nor, by `not`, the opposite.
            Err(Lack::Absent) => Lack::NoData(format!("`{path}` is absent")).into(),
            Err(lack) => lack.into(),
        },
    }
}

fn absent_note(form: &Form) -> String {
    format!("`{}` is absent", form.subject.path())
}

fn exists(form: &Form, ev: &Evidence<'_>) -> Outcome {
    let expected = "exists".to_owned();
    match subject_value(&form.subject, ev) {
        Got::One(datum) => Outcome::new(State::Pass, expected, show::datum(&datum, None)),
        Got::Lack(Lack::Absent) => Outcome::new(State::Fail, expected, "absent"),
        Got::Lack(Lack::NoData(note)) => Outcome::new(State::Error, expected, "no data").note(note),
        Got::Items(items) => quantified(&items, &expected, |item| Ok(!matches!(item, Datum::Null))),
    }
}

fn is_type(form: &Form, ty: Type, ev: &Evidence<'_>) -> Outcome {
    let expected = format!("is {}", ty.word());
    let fits = |datum: &Datum<'_>| match (ty, datum) {
        (Type::String, Datum::Text(_))
        | (Type::Number, Datum::Num(_))
        | (Type::Bool, Datum::Bool(_))
        | (Type::List, Datum::List(_))
        | (Type::Object, Datum::Object(_))
        | (Type::Null, Datum::Null) => true,
        (Type::Date, Datum::Text(text)) => instant(text).is_some(),
        (Type::Duration, Datum::Text(text)) => literal::is_duration(text),
        (Type::Size, Datum::Text(text)) => literal::is_size(text),
        (Type::Duration, Datum::Num(number)) => number.unit == Unit::Time,
        (Type::Size, Datum::Num(number)) => number.unit == Unit::Size,
        _ => false,
    };
    match subject_value(&form.subject, ev) {
        Got::One(datum) => {
            let state = if fits(&datum) { State::Pass } else { State::Fail };
            Outcome::new(state, expected, format!("{}: {}", datum.noun(), show::datum(&datum, None)))
        }
        Got::Lack(Lack::Absent) => Outcome::new(State::Fail, expected, "absent").note(absent_note(form)),
        Got::Lack(Lack::NoData(note)) => Outcome::new(State::Error, expected, "no data").note(note),
        Got::Items(items) => quantified(&items, &expected, |item| Ok(fits(item))),
    }
}

fn compare(form: &Form, test: (Op, &Compiled), operand: &Operand, ev: &Evidence<'_>) -> Outcome {
    let op = test.0;
    let expected = format!("{} {}", op.word(), operand_text(form.unit, operand));
    let right = match right_side(form, operand, ev) {
        Ok(right) => right,
        Err((state, note)) => {
            let actual = match subject_value(&form.subject, ev) {
                Got::One(datum) => show::datum(&datum, None),
                Got::Items(items) => show::list(&items.data, 10),
                Got::Lack(Lack::Absent) => "absent".to_owned(),
                Got::Lack(Lack::NoData(_)) => "no data".to_owned(),
            };
            return Outcome::new(state, expected, actual).note(note);
        }
    };
    let mut outcome = match subject_value(&form.subject, ev) {
        Got::Lack(Lack::Absent) => Outcome::new(State::Fail, expected, "absent").note(absent_note(form)),
        Got::Lack(Lack::NoData(note)) => Outcome::new(State::Error, expected, "no data").note(note),
        Got::One(left) => one(form, test, &left, &right.datum, expected),
        Got::Items(items) => {
            let mut outcome = quantified(&items, &expected, |item| holds(test, item, &right.datum));
            let wanted = if (items.quant == Quant::None) == form.negated { op } else { op.denied() };
            let any_is_enough = (items.quant == Quant::Some) != form.negated;
            outcome.margin = worst(wanted, any_is_enough, &items.data, &right.datum);
            outcome
        }
    };
    outcome.against = right.against;
    outcome
}

/// One value against the operand.
fn one(form: &Form, test: (Op, &Compiled), left: &Datum<'_>, right: &Datum<'_>, expected: String) -> Outcome {
    let op = test.0;
    let aligned = match (left, right) {
        (Datum::Num(a), Datum::Num(b)) => a.align(b).map(|(x, y, unit)| (a, x, y, unit)),
        _ => None,
    };
    let actual = match &aligned {
        // The bound in the scale of the fact itself.
        Some((number, x, y, _)) if *x == number.value => show::datum(left, Some(y)),
        Some((_, x, y, unit)) => show::figure(x, *unit, Some(y)),
        None => show::datum(left, None),
    };
    let mut outcome = match holds(test, left, right) {
        Ok(true) => Outcome::new(State::Pass, expected, actual),
        Ok(false) => Outcome::new(State::Fail, expected, actual),
        Err(note) => return Outcome::new(State::Error, expected, actual).note(note),
    };
    if matches!(left, Datum::Null) {
        outcome = outcome.note(format!("`{}` is null", form.subject.path()));
    }
    outcome.margin = match (&aligned, left, right) {
        (Some((_, x, y, unit)), ..) => show::margin(if form.negated { op.denied() } else { op }, x, y, *unit),
        (None, Datum::List(a), Datum::List(b)) if !form.negated => set_margin(op, a, b),
        _ => None,
    };
    outcome
}

fn set_margin(op: Op, left: &[Datum<'_>], right: &[Datum<'_>]) -> Option<String> {
    let lacking = if matches!(op, Op::SupersetOf | Op::SameSet) { missing(left, right) } else { Vec::new() };
    let extra = if matches!(op, Op::SubsetOf | Op::SameSet) { missing(right, left) } else { Vec::new() };
    let named = |word: &str, items: &[&Datum<'_>]| {
        let items: Vec<Datum<'_>> = items.iter().map(|item| (*item).clone()).collect();
        (!items.is_empty()).then(|| format!("{word} {}", show::list(&items, 10).trim_matches(['[', ']'])))
    };
    let parts: Vec<String> = [named("missing", &lacking), named("too many", &extra)].into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join("; "))
}

/// Items of `wanted` that `have` lacks.
fn missing<'i, 'd>(have: &[Datum<'_>], wanted: &'i [Datum<'d>]) -> Vec<&'i Datum<'d>> {
    let texts: BTreeSet<&str> =
        have.iter().filter_map(|item| if let Datum::Text(text) = item { Some(text.as_ref()) } else { None }).collect();
    let lacks = |item: &&Datum<'_>| match item {
        Datum::Text(text) => !texts.contains(text.as_ref()),
        item => !have.iter().any(|h| h.equals(item) == Some(true)),
    };
    wanted.iter().filter(lacks).collect()
}

/// The margin of the item that decides: the worst, or the best where one is enough.
fn worst(op: Op, any_is_enough: bool, items: &[Datum<'_>], right: &Datum<'_>) -> Option<String> {
    let Datum::Num(bound) = right else { return None };
    let mut best: Option<(Ratio, Ratio, Ratio, Unit)> = None;
    for item in items {
        let Datum::Num(number) = item else { return None };
        let (x, y, unit) = number.align(bound)?;
        let slack = match op {
            Op::Lt | Op::Le => y.minus(&x),
            Op::Gt | Op::Ge => x.minus(&y),
            _ => return None,
        };
        if best.as_ref().is_none_or(|(least, ..)| (slack < *least) != any_is_enough) {
            best = Some((slack, x, y, unit));
        }
    }
    best.and_then(|(_, x, y, unit)| show::margin(op, &x, &y, unit))
}

fn quantified(
    Items { quant, data, names }: &Items<'_>,
    expected: &str,
    holds: impl Fn(&Datum<'_>) -> Result<bool, String>,
) -> Outcome {
    let results: Vec<Result<bool, String>> = data.iter().map(holds).collect();
    let pick = |wanted: bool| -> Vec<usize> { (0..data.len()).filter(|&at| results[at] == Ok(wanted)).collect() };
    let (yes, no, count) = (pick(true), pick(false), data.len());
    let error = results.iter().find_map(|result| result.as_ref().err());
    let state = match quant {
        Quant::Every if !no.is_empty() => State::Fail,
        Quant::None if !yes.is_empty() => State::Fail,
        Quant::Some if !yes.is_empty() => State::Pass,
        _ if error.is_some() => State::Error,
        Quant::Some => State::Fail,
        Quant::Every | Quant::None => State::Pass,
    };
    let some = |picked: &[usize]| {
        let shown = picked.iter().take(3).map(|&at| match names.get(at) {
            Some(name) if matches!(data[at], Datum::Null) => format!("{name}: absent"),
            Some(name) => format!("{name}: {}", show::datum(&data[at], None)),
            None => show::datum(&data[at], None),
        });
        let more = (picked.len() > 3).then(|| format!("… {} in all", picked.len()));
        shown.chain(more).collect::<Vec<_>>().join(", ")
    };
    // What holds for all is only counted: the values themselves may be nobody's business.
    let actual = match (quant, state) {
        (Quant::Every, State::Pass) => format!("all {count}"),
        (Quant::Every, State::Fail) => format!("{} of {count} not: {}", no.len(), some(&no)),
        (Quant::Some, State::Fail) | (Quant::None, State::Pass) => format!("none of {count}"),
        (_, State::Error) => format!("{} of {count} can't be compared", count - yes.len() - no.len()),
        _ => format!("{} of {count}: {}", yes.len(), some(&yes)),
    };
    let word = match quant {
        Quant::Every => "every",
        Quant::Some => "some",
        Quant::None => "none",
    };
    let outcome = Outcome::new(state, format!("{word} {expected}"), actual);
    match (state, error) {
        (State::Error, Some(note)) => outcome.note(note.clone()),
        _ => outcome,
    }
}

/// Whether `left op right`; the error says why they don't compare.
fn holds((op, compiled): (Op, &Compiled), left: &Datum<'_>, right: &Datum<'_>) -> Result<bool, String> {
    let mismatch = || {
        let left_text = show::datum(left, None);
        Err(match (left, right) {
            (Datum::Num(_), Datum::Num(_)) => {
                format!("{left_text} is {}, the other side is {}", left.noun(), right.noun())
            }
            _ if op.is_order() => format!("{left_text} is {}, not a number", left.noun()),
            _ => format!("{left_text} is {}, the other side is {}", left.noun(), right.noun()),
        })
    };
    if matches!(left, Datum::Null) {
        return Ok(false);
    }
    match (op, left, right) {
        (Op::Eq, ..) => left.equals(right).map_or_else(mismatch, Ok),
        (Op::Ne, ..) => left.equals(right).map_or_else(mismatch, |equal| Ok(!equal)),
        (Op::Lt | Op::Le | Op::Gt | Op::Ge, Datum::Num(a), Datum::Num(b)) => {
            let Some((a, b, _)) = a.align(b) else { return mismatch() };
            Ok(match op {
                Op::Lt => a < b,
                Op::Le => a <= b,
                Op::Gt => a > b,
                _ => a >= b,
            })
        }
        (Op::In, _, Datum::List(items)) => member(left, items).map_or_else(mismatch, Ok),
        (Op::Contains, Datum::List(items), _) => member(right, items).map_or_else(mismatch, Ok),
        (Op::Contains, Datum::Text(text), Datum::Text(part)) => Ok(text.contains(part.as_ref())),
        (Op::Contains, Datum::Object(names), Datum::Text(name)) => Ok(names.contains(&name.as_ref())),
        (Op::StartsWith, Datum::Text(text), Datum::Text(part)) => Ok(text.starts_with(part.as_ref())),
        (Op::EndsWith, Datum::Text(text), Datum::Text(part)) => Ok(text.ends_with(part.as_ref())),
        (Op::Matches, Datum::Text(text), Datum::Text(pattern)) => match compiled {
            Compiled::Regex(regex) => Ok(regex.is_match(text)),
            _ => Regex::new(pattern).map(|regex| regex.is_match(text)).map_err(|e| e.to_string()),
        },
        (Op::Semver, Datum::Text(text), Datum::Text(wanted)) => {
            let version = text.trim();
            let version = Version::parse(version.strip_prefix('v').unwrap_or(version))
                .map_err(|error| format!("{} is no semantic version: {error}", show::text(text)))?;
            match compiled {
                Compiled::Semver(wanted) => Ok(wanted.matches(&version)),
                _ => VersionReq::parse(wanted).map(|wanted| wanted.matches(&version)).map_err(|e| e.to_string()),
            }
        }
        (Op::SupersetOf, Datum::List(a), Datum::List(b)) => Ok(missing(a, b).is_empty()),
        (Op::SubsetOf, Datum::List(a), Datum::List(b)) => Ok(missing(b, a).is_empty()),
        (Op::SameSet, Datum::List(a), Datum::List(b)) => Ok(missing(a, b).is_empty() && missing(b, a).is_empty()),
        _ => mismatch(),
    }
}

/// Membership; `None` where nothing in a list that isn't empty could be compared.
fn member(item: &Datum<'_>, items: &[Datum<'_>]) -> Option<bool> {
    let results: Vec<Option<bool>> = items.iter().map(|other| item.equals(other)).collect();
    if results.contains(&Some(true)) {
        return Some(true);
    }
    (results.is_empty() || results.contains(&Some(false))).then_some(false)
}

/// The right side and, where the plan only names it, how it reads.
struct Right<'a> {
    datum: Datum<'a>,
    against: Option<String>,
}

fn right_side<'a>(form: &Form, operand: &'a Operand, ev: &Evidence<'a>) -> Result<Right<'a>, (State, String)> {
    let plain = |datum: Datum<'a>| Right { datum, against: None };
    let named = |datum: Datum<'a>| {
        let against = Some(read_as(form.unit, &datum));
        Right { datum, against }
    };
    match operand {
        Operand::Lit(lit) => Ok(plain(lit_datum(lit))),
        Operand::List(lits) => Ok(plain(Datum::List(lits.iter().map(lit_datum).collect()))),
        Operand::Path(path) => match read::path(path, ev) {
            Read::Found(Datum::Null) => Err((State::Error, format!("`{path}` is null: nothing to compare with"))),
            Read::Found(datum) => Ok(named(datum)),
            Read::Absent => Err((State::Error, format!("`{path}` is absent: nothing to compare with"))),
            Read::NoData(note) => Err((State::Error, note)),
        },
        Operand::Ratchet => match ev.ratchet.map(Datum::of) {
            None | Some(Datum::Null) => Err((State::Error, "the ratchet has no value".to_owned())),
            Some(datum) => Ok(named(datum)),
        },
        Operand::Baseline(adjust) => {
            let datum = baseline(form, ev)?;
            let Some(adjust) = adjust else { return Ok(named(datum)) };
            let from = format!("baseline {}", show::datum(&datum, None));
            let right = named(adjusted(&datum, *adjust)?);
            Ok(Right { against: right.against.map(|text| format!("{text}, {from}")), ..right })
        }
    }
}

/// What the subject was in the last run that passed.
fn baseline<'a>(form: &Form, ev: &Evidence<'a>) -> Result<Datum<'a>, (State, String)> {
    let lacking = |why: String| Err((State::Inconclusive, format!("there is no baseline yet: {why}")));
    let Some(looks) = ev.baseline else {
        let first = "no earlier run passed with this step (say `allow_no_baseline = \"reason\"` for the first time)";
        return lacking(first.to_owned());
    };
    let Some(facts) = looks.last() else { return lacking("the last run that passed did not look".to_owned()) };
    let earlier = Evidence { facts, samples: looks, baseline: None, ..*ev };
    match subject_value(&form.subject, &earlier) {
        Got::One(Datum::Null) | Got::Lack(Lack::Absent) => {
            lacking("it was absent in the last run that passed".to_owned())
        }
        Got::One(datum) => Ok(datum),
        Got::Lack(Lack::NoData(note)) => lacking(format!("in the last run that passed, {note}")),
        Got::Items(..) => Err((State::Error, "one of many values has no baseline of its own".to_owned())),
    }
}

/// The value as it reads beside a subject of this unit: `55` beside a percentage is `55 %`.
fn read_as(unit: Option<Unit>, datum: &Datum<'_>) -> String {
    match datum {
        Datum::Num(number) if unit == Some(Unit::Percent) && number.unit == Unit::One => {
            show::written(&Number::new(number.value.over(100), Unit::Percent))
        }
        Datum::Num(number) if unit == Some(Unit::One) && number.points => {
            show::written(&Number::new(number.value.clone(), Unit::One))
        }
        Datum::Num(number) if unit == Some(Unit::Octal) => {
            show::written(&Number::new(number.value.clone(), Unit::Octal))
        }
        Datum::Num(number) => show::written(number),
        Datum::List(items) => {
            let items: Vec<String> = items.iter().take(10).map(|item| read_as(unit, item)).collect();
            format!("[{}]", items.join(", "))
        }
        other => show::datum(other, None),
    }
}

fn lit_datum(lit: &Lit) -> Datum<'_> {
    match lit {
        Lit::Bool(b) => Datum::Bool(*b),
        Lit::Text(text) => Datum::Text(text.as_str().into()),
        Lit::Num(num, unit) => {
            let points = *unit == LitUnit::Points;
            Datum::Num(Number { value: Ratio::from(*num), unit: unit.unit(), counted: None, points })
        }
    }
}

/// A baseline with its distance: relative to its magnitude, so that zero stays zero.
fn adjusted<'a>(baseline: &Datum<'_>, adjust: Adjust) -> Result<Datum<'a>, (State, String)> {
    let Datum::Num(number) = baseline else {
        return Err((State::Error, format!("the baseline is {}, not a number", baseline.noun())));
    };
    let value = match adjust {
        Adjust::Relative(percent) => number.value.plus(&number.value.abs().times(&Ratio::from(percent)).over(100)),
        Adjust::Absolute(distance, unit) => {
            if unit.unit() != number.unit && !(number.unit == Unit::One && unit == LitUnit::Points) {
                return Err((State::Error, format!("the baseline is {}, the distance is not", baseline.noun())));
            }
            number.value.plus(&Ratio::from(distance))
        }
    };
    Ok(Datum::Num(Number::new(value, number.unit)))
}

fn adjust_text(adjust: Adjust) -> String {
    let (value, text): (Num, fn(Num, LitUnit) -> String) = match adjust {
        Adjust::Relative(value) => (value, |value, _| format!("{} %", Ratio::from(value).text(6))),
        Adjust::Absolute(value, _) => (value, |value, unit| {
            let text = show::written(&Number::new(Ratio::from(value), unit.unit()));
            if unit == LitUnit::Points { text.replace(" %", " pp") } else { text }
        }),
    };
    let unit = if let Adjust::Absolute(_, unit) = adjust { unit } else { LitUnit::Plain };
    let sign = if value.num < 0 { '-' } else { '+' };
    format!(" {sign} {}", text(Num { num: value.num.abs(), den: value.den }, unit))
}

/// The operand as the plan says it: nothing observed is in it.
pub(super) fn operand_text(unit: Option<Unit>, operand: &Operand) -> String {
    match operand {
        Operand::Path(path) => path.to_string(),
        Operand::Ratchet => "ratchet".to_owned(),
        Operand::Baseline(adjust) => format!("baseline{}", adjust.map(adjust_text).unwrap_or_default()),
        Operand::Lit(lit) => read_as(unit, &lit_datum(lit)),
        Operand::List(lits) => read_as(unit, &Datum::List(lits.iter().map(lit_datum).collect())),
    }
}
