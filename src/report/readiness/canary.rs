//! What the readiness report tells of comparisons and of questions to Prometheus. Knows no form that it is written in.

use std::collections::BTreeMap;

use super::{Readiness, Row};
use crate::facts::{Unit, Value};
use crate::outcome::{Compared, CriterionResult, State};

/// A comparison of a step.
#[derive(Debug)]
pub struct Comparison<'a> {
    /// The step's name.
    pub step: &'a str,
    /// The criterion.
    pub criterion: &'a CriterionResult,
    /// What it rests on.
    pub compared: &'a Compared,
}

impl Comparison<'_> {
    /// How it came out, in words.
    #[must_use]
    pub fn verdict(&self) -> &'static str {
        match self.criterion.state {
            State::Pass => "holds",
            State::Fail => "does not hold",
            State::Inconclusive => "not enough data",
            other => other.word(),
        }
    }
}

/// Every comparison of the run, in plan rank.
pub fn comparisons<'r>(readiness: &'r Readiness<'_>) -> impl Iterator<Item = Comparison<'r>> {
    readiness.rows.iter().flat_map(|row| {
        row.criteria().iter().filter_map(|criterion| {
            Some(Comparison { step: &row.head.name, criterion, compared: criterion.compared.as_deref()? })
        })
    })
}

/// A question to Prometheus as it was asked.
#[derive(Debug)]
pub struct Question<'a> {
    /// The step's name.
    pub step: &'a str,
    /// `candidate` or `baseline`; empty where there is one side only.
    pub side: &'a str,
    /// `value`, `bad` or `total`.
    pub what: &'a str,
    /// The query, templates filled in.
    pub query: &'a str,
    /// The instant it was asked for (RFC 3339), or the end of the range.
    pub time: &'a str,
    /// Start of the range (RFC 3339) and its step in nanoseconds.
    pub range: Option<(&'a str, i128)>,
    /// The value of the one series, or what there was instead.
    pub answer: String,
    /// How the step came out.
    pub state: &'static str,
}

/// Every question of the run, in the order of plan rank; of a step that looks several times those of the last look.
pub fn questions<'r>(readiness: &'r Readiness<'_>) -> impl Iterator<Item = Question<'r>> {
    readiness.rows.iter().filter(|row| row.head.kind == "promql").flat_map(of)
}

fn of<'r>(row: &'r Row<'_>) -> impl Iterator<Item = Question<'r>> {
    let facts = row.facts.map(|facts| &facts.values);
    let fact = move |name: &str| facts.and_then(|facts| facts.get(name));
    let asked = if let Some(Value::List(asked)) = fact("asked") { asked.as_slice() } else { &[] };
    let time = text(fact("time"));
    let range = fact("start").map(|start| (text(Some(start)), nanos(fact("step"))));
    asked.iter().filter_map(move |one| {
        let Value::Map(one) = one else { return None };
        let (side, what, query) = (text(one.get("side")), text(one.get("what")), text(one.get("query")));
        Some(Question { step: &row.head.name, side, what, query, time, range, answer: answer(one), state: row.word() })
    })
}

fn text(value: Option<&Value>) -> &str {
    if let Some(Value::Text(text)) = value { text } else { "" }
}

fn nanos(value: Option<&Value>) -> i128 {
    if let Some(Value::Num(num, Unit::Time)) = value { num.num / num.den } else { 0 }
}

fn answer(one: &BTreeMap<String, Value>) -> String {
    match (one.get("value"), one.get("series")) {
        (Some(Value::Num(num, _)), _) if num.den == 1 => num.to_string(),
        (Some(Value::Num(num, _)), _) => num.to_f64().to_string(),
        (_, Some(Value::Num(series, _))) if series.num == 0 => "no series".to_owned(),
        (_, Some(Value::Num(series, _))) if series.num == 1 => "not a number".to_owned(),
        (_, Some(Value::Num(series, _))) => format!("{series} series"),
        _ => "none".to_owned(),
    }
}
