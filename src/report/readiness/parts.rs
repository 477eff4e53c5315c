//! What the readiness report tells of steps that criteria say too little of: the people at a gate, the steps of a plan
//! within the plan, what a step without criteria saw. Knows no form that it is written in.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Row;
use crate::facts::{Num, Unit, Value};
use crate::report::format;

/// How a role stands at a gate.
#[derive(Debug, Serialize)]
pub struct Signer<'a> {
    /// The role.
    pub role: &'a str,
    /// `approved`, `rejected`, `refused` or `missing`.
    pub decision: &'a str,
    /// Who signed; empty if nobody did.
    pub by: &'a str,
    /// Why it does not count; empty if it does.
    pub reason: &'a str,
}

/// What a plan within the plan came to.
#[derive(Debug, Serialize)]
pub struct Inner<'a> {
    /// `GO`, `HOLD` or `NO-GO`.
    pub decision: &'a str,
    /// Its risk.
    pub risk: String,
    /// Id of its record (`sha256:…`).
    pub record: &'a str,
    /// Its vetoes, then its holds.
    pub reasons: Vec<&'a str>,
    /// Its steps by name, with their states.
    pub steps: Vec<(&'a str, &'a str)>,
}

type Values = BTreeMap<String, Value>;

/// The roles of a `signoff` step, as it saw them last.
#[must_use]
pub fn signers<'r>(row: &'r Row<'_>) -> Vec<Signer<'r>> {
    let roles = facts(row, "signoff").and_then(|facts| map(facts.get("role")));
    let signer = |(role, one): (&'r String, &'r Value)| {
        let one = map(Some(one))?;
        let said = |name: &str| text(one.get(name));
        Some(Signer { role, decision: said("decision"), by: said("by"), reason: said("reason") })
    };
    roles.into_iter().flatten().filter_map(signer).collect()
}

/// What the plan of a `plan` step came to, if it came to a decision.
#[must_use]
pub fn inner<'r>(row: &'r Row<'_>) -> Option<Inner<'r>> {
    let facts = facts(row, "plan")?;
    let risk = match facts.get("risk")? {
        Value::Num(risk, _) => risk.to_string(),
        _ => return None,
    };
    let reasons = ["vetoes", "holds"].iter().filter_map(|name| match facts.get(*name) {
        Some(Value::List(items)) => Some(items.iter().map(|item| text(Some(item)))),
        _ => None,
    });
    let steps = map(facts.get("step")).into_iter().flatten();
    let state = |one: &'r Value| text(map(Some(one)).and_then(|one| one.get("state")));
    Some(Inner {
        decision: text(facts.get("decision")),
        risk,
        record: text(facts.get("record")),
        reasons: reasons.flatten().collect(),
        steps: steps.map(|(name, one)| (name.as_str(), state(one))).collect(),
    })
}

fn facts<'r>(row: &'r Row<'_>, kind: &str) -> Option<&'r Values> {
    row.facts.filter(|_| row.head.kind == kind).map(|facts| &facts.values)
}

fn map(value: Option<&Value>) -> Option<&Values> {
    if let Some(Value::Map(map)) = value { Some(map) } else { None }
}

fn text(value: Option<&Value>) -> &str {
    if let Some(Value::Text(text)) = value { text } else { "" }
}

/// Most facts of a step that are shown.
const MOST_SEEN: usize = 12;
/// Longest text of a fact that is shown, in bytes.
const LONGEST_SEEN: usize = 80;

/// What a step without criteria saw, in short: single values by the names of their facts.
#[must_use]
pub fn seen<'r>(row: &'r Row<'_>) -> Vec<(&'r str, String)> {
    let facts = row.facts.filter(|_| row.criteria().is_empty()).map(|facts| &facts.values);
    let single = |(name, value): (&'r String, &'r Value)| {
        let shown = match value {
            Value::Bool(on) => on.to_string(),
            Value::Text(text) if text.len() <= LONGEST_SEEN && !text.trim().is_empty() => text.trim().to_owned(),
            Value::Num(num, unit) => number(num, *unit),
            _ => return None,
        };
        Some((name.as_str(), shown))
    };
    facts.into_iter().flatten().filter_map(single).take(MOST_SEEN).collect()
}

fn number(num: &Num, unit: Unit) -> String {
    let whole = || u64::try_from(num.num / num.den).unwrap_or_default();
    match unit {
        Unit::Time => format::short(whole()),
        Unit::Size => format::size(whole()),
        Unit::Octal => format!("0o{:o}", whole()),
        Unit::Percent => format!("{} %", num.to_f64() * 100.0),
        Unit::One if num.den == 1 => num.num.to_string(),
        Unit::One => num.to_f64().to_string(),
    }
}
