//! The readiness report as JSON (`runplan.readiness/1`): the same as the Markdown, for programs.

use serde_json::{Value, json};

use super::{Readiness, Row, canary, is_good, parts};

/// The document.
#[must_use]
pub fn render(readiness: &Readiness<'_>) -> Value {
    let Readiness { plan, settings, decision, .. } = readiness;
    json!({
        "schema": "runplan.readiness/1",
        "decision": decision,
        "signoffs": readiness.standings,
        "plan": { "name": plan.name, "title": plan.title, "path": plan.path, "sha256": plan.sha256 },
        "run": {
            "id": settings.run,
            "started": readiness.started,
            "took_ns": readiness.took_ns,
            "folder": readiness.folder,
        },
        "record": readiness.record,
        "journal": readiness.journal,
        "at": readiness.at,
        "date": readiness.day,
        "select": plan.select,
        "comparisons": canary::comparisons(readiness).map(|one| json!({
            "step": one.step,
            "criterion": one.criterion.text,
            "state": one.criterion.state.word(),
            "verdict": one.verdict(),
            "compared": one.compared,
        })).collect::<Vec<_>>(),
        "promql": canary::questions(readiness).map(|one| json!({
            "step": one.step,
            "side": one.side,
            "what": one.what,
            "query": one.query,
            "time": one.time,
            "start": one.range.map(|(start, _)| start),
            "step_ns": one.range.map(|(_, step)| step.to_string()),
            "answer": one.answer,
            "state": one.state,
        })).collect::<Vec<_>>(),
        "steps": readiness.rows.iter().map(step).collect::<Vec<_>>(),
    })
}

fn step(row: &Row<'_>) -> Value {
    let criteria = row.criteria().iter().map(|criterion| {
        json!({
            "tier": criterion.tier.word(),
            "text": criterion.text,
            "implied": criterion.implied,
            "place": criterion.place,
            "state": criterion.state.word(),
            "good": is_good(criterion),
            "expected": criterion.expected,
            "actual": criterion.actual,
            "margin": criterion.margin,
            "note": criterion.note,
            "waiver": criterion.waiver,
        })
    });
    let evidence =
        row.links.iter().map(|link| json!({ "name": link.name, "path": link.target, "sha256": link.sha256 }));
    let mut step = json!({
        "name": row.head.name,
        "title": row.head.title,
        "kind": row.head.kind,
        "rank": row.head.rank,
        "required": row.head.required,
        "state": row.word(),
        "cause": row.cause,
        "why": row.why(),
        "took_ns": row.took_ns(),
        "attempts": row.result.map_or(0, |result| result.attempts.len()),
        "allowed_empty": row.result.and_then(|result| result.allowed_empty.clone()),
        "inspected": row.facts.map(|facts| &facts.inspected),
        "criteria": criteria.collect::<Vec<_>>(),
        "evidence": evidence.collect::<Vec<_>>(),
    });
    let signers = parts::signers(row);
    if !signers.is_empty() {
        step["signers"] = json!(signers);
    }
    if let Some(inner) = parts::inner(row) {
        step["plan"] = json!(inner);
    }
    step
}
