//! What judging again changed, as plain data: the record of the run beside what it comes to now.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value as Json, json};

use crate::engine::rejudge::Rejudged;
use crate::event::EventKind;
use crate::ids::StepId;
use crate::outcome::{CriterionResult, StepResult, Tier};
use crate::plan::{self, Plan, Step};
use crate::record::difference;
use crate::record::project::StepLine;
use crate::report::rejudged::{Change, Criterion, Outcome, Side, Told};

use super::{Now, Then};

pub(super) fn told(then: &Then, now: &Now, plan: &Plan, path: Option<&str>) -> Told {
    let norms = (path.is_some()).then(|| (plan::norm(&then.plan), plan::norm(plan)));
    let mut changes = Vec::new();
    let mut same = 0;
    let ids: BTreeMap<&str, StepId> = plan.ids().map(|id| (plan.step(id).name.as_str(), id)).collect();
    let old: BTreeMap<&str, StepId> = then.plan.ids().map(|id| (then.plan.step(id).name.as_str(), id)).collect();
    let lines: BTreeMap<&str, &StepLine> = then.record.steps.iter().map(|line| (line.id.as_str(), line)).collect();
    let commits = commits(then);
    for line in &now.record.steps {
        let name = line.id.as_str();
        let (Some(&id), Some(before)) = (ids.get(name), lines.get(name)) else { continue };
        let judged = &now.steps[id.index()];
        let old = old.get(name);
        let change = Change {
            step: line.id.clone(),
            before: outcome(before, None),
            now: outcome(line, judged.unknown.as_ref()),
            detail: judged.result.detail.clone().filter(|_| judged.unknown.is_none()),
            unknown: judged.unknown.clone(),
            notes: judged.notes.clone(),
            action: norms.as_ref().map_or_else(Vec::new, |(old, new)| other_action(old, new, &line.id)),
            criteria: criteria(
                old.and_then(|id| commits.get(id).copied()),
                judged,
                old.map(|id| then.plan.step(*id)),
                plan.step(id),
            ),
        };
        let silent = change.unknown.is_none() && change.notes.is_empty() && change.action.is_empty();
        if silent && change.before == change.now && change.criteria.iter().all(|c| !c.changed) {
            same += 1;
        } else {
            changes.push(change);
        }
    }
    let only = |ours: &[StepLine], theirs: &[StepLine]| -> Vec<String> {
        let theirs: BTreeSet<&str> = theirs.iter().map(|line| line.id.as_str()).collect();
        let other = |line: &&StepLine| !theirs.contains(line.id.as_str());
        ours.iter().filter(other).map(|line| line.id.clone()).collect()
    };
    let record = now.record.finish(&now.decision).ok().map(|bytes| crate::digest::sha256_hex(&bytes));
    let all_same = record.as_ref() == Some(&then.record.id);
    Told {
        run: then.begun.id.clone(),
        plan: path.map(str::to_owned),
        before: Side { verdict: then.record.end.verdict, risk: then.record.end.risk },
        now: Side { verdict: now.decision.verdict, risk: now.decision.risk },
        reasons: now
            .decision
            .vetoes
            .iter()
            .chain(&now.decision.holds)
            .map(|veto| (veto.id.clone(), veto.reason.clone()))
            .collect(),
        same_steps: same,
        changes,
        only_in_run: only(&then.record.steps, &now.record.steps),
        only_in_plan: only(&now.record.steps, &then.record.steps),
        same: all_same,
    }
}

/// The final result of each step.
fn commits(then: &Then) -> BTreeMap<StepId, &StepResult> {
    let mut found = BTreeMap::new();
    for event in &then.begun.events {
        if let EventKind::Commit { step, result } = &event.kind {
            found.insert(*step, &**result);
        }
    }
    found
}

fn outcome(line: &StepLine, unknown: Option<&String>) -> Outcome {
    match unknown {
        Some(_) => Outcome { state: "unknown".to_owned(), cause: None },
        None => Outcome { state: line.state.word().to_owned(), cause: line.cause.as_ref().map(ToString::to_string) },
    }
}

/// Parts of a step's action that are not what they were then: its facts are those of another action.
fn other_action(old: &Json, new: &Json, name: &str) -> Vec<String> {
    const PARTS: [&str; 8] = ["action", "report", "cwd", "env", "secrets", "stdin", "inputs", "outputs"];
    let step = |norm: &Json| {
        let steps = norm.get("steps")?.as_array()?;
        let step = steps.iter().find(|step| step.get("name").and_then(Json::as_str) == Some(name))?;
        Some(PARTS.map(|part| (part.to_owned(), step.get(part).cloned().unwrap_or_default())))
    };
    let (Some(old), Some(new)) = (step(old), step(new)) else { return Vec::new() };
    let (old, new) = (Json::Object(old.into_iter().collect()), Json::Object(new.into_iter().collect()));
    let words = |d: difference::Difference| {
        let side = |text: Option<String>| text.unwrap_or_else(|| "(not there)".to_owned());
        let field: Vec<&str> = d.field.iter().map(String::as_str).filter(|word| *word != "action").collect();
        format!("{}: {} → {}", field.join(" "), side(d.a), side(d.b))
    };
    difference::documents(&old, &new).into_iter().map(words).collect()
}

/// The criteria of both sides, in the order of the new ones; those that are gone stand last.
fn criteria(then: Option<&StepResult>, now: &Rejudged, old: Option<&Step>, new: &Step) -> Vec<Criterion> {
    let before: Vec<&CriterionResult> = then.map_or(&[][..], StepResult::criteria).iter().collect();
    let mut left: Vec<&CriterionResult> = before;
    let mut take = |tier: Tier, holds: &dyn Fn(&CriterionResult) -> bool| {
        let at = left.iter().position(|old| old.tier == tier && holds(old))?;
        Some(left.remove(at))
    };
    let results = now.result.criteria();
    let mut pairs: Vec<(&CriterionResult, Option<&CriterionResult>)> =
        results.iter().map(|new| (new, take(new.tier, &|old| old.text == new.text))).collect();
    // What says the same about the same thing with another bound is the same criterion, changed.
    for (result, pair) in pairs.iter_mut().filter(|(_, pair)| pair.is_none()) {
        let subject = |step: Option<&Step>, text: &str, tier: Tier| {
            let found = step?.criteria.iter().find(|c| c.tier == tier && c.text == text)?;
            Some(found.subject_text().to_owned())
        };
        let ours = subject(Some(new), &result.text, result.tier);
        *pair = take(result.tier, &|then| ours.is_some() && subject(old, &then.text, then.tier) == ours);
    }
    let side = |result: &CriterionResult| (result.text.clone(), result.state.word().to_owned());
    let mut told: Vec<Criterion> = pairs
        .into_iter()
        .map(|(new, old)| Criterion {
            tier: new.tier.word(),
            before: old.map(side),
            now: Some(side(new)),
            seen: seen(new),
            changed: old.is_none_or(|old| old.text != new.text || old.state != new.state),
        })
        .collect();
    let judged = !results.is_empty();
    told.extend(left.into_iter().filter(|_| judged).map(|old| Criterion {
        tier: old.tier.word(),
        before: Some(side(old)),
        now: None,
        seen: String::new(),
        changed: true,
    }));
    told
}

fn seen(result: &CriterionResult) -> String {
    let more = [&result.margin, &result.note].into_iter().flatten().cloned();
    std::iter::once(format!("was {}", result.actual)).chain(more).collect::<Vec<_>>().join(", ")
}

pub(super) fn as_json(told: &Told) -> String {
    let side = |side: &Side| json!({ "verdict": side.verdict, "risk": side.risk });
    let outcome = |outcome: &Outcome| json!({ "state": outcome.state, "cause": outcome.cause });
    let half =
        |half: &Option<(String, String)>| half.as_ref().map(|(text, state)| json!({ "text": text, "state": state }));
    let changes: Vec<Json> = told
        .changes
        .iter()
        .map(|change| {
            let criteria: Vec<Json> = change
                .criteria
                .iter()
                .map(|c| {
                    json!({
                        "tier": c.tier, "before": half(&c.before), "now": half(&c.now), "seen": c.seen, "changed": c.changed,
                    })
                })
                .collect();
            json!({
                "step": change.step, "before": outcome(&change.before), "now": outcome(&change.now),
                "detail": change.detail, "unknown": change.unknown, "notes": change.notes,
                "other_action": change.action, "criteria": criteria,
            })
        })
        .collect();
    let reasons: Vec<Json> =
        told.reasons.iter().map(|(step, reason)| json!({ "step": step, "reason": reason })).collect();
    let value = json!({
        "schema": "runplan.judged/1", "run": told.run, "plan": told.plan, "same_record": told.same,
        "before": side(&told.before), "now": side(&told.now), "reasons": reasons,
        "unchanged": told.same_steps, "changes": changes,
        "only_in_run": told.only_in_run, "only_in_plan": told.only_in_plan,
    });
    format!("{value:#}\n")
}
