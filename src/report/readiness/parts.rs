//! What the readiness report tells of steps that stand for others: the people at a gate, the steps of a plan within the
//! plan. Knows no form that it is written in.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Row;
use crate::facts::Value;

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
