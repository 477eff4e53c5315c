//! The graph as JSON (`runplan.graph/1`), for other programs.

use serde_json::{Value, json};

use super::Picture;

/// Writes. Times are nanoseconds; `wave` counts from 1; steps are in plan rank.
#[must_use]
pub fn json(picture: &Picture) -> String {
    let before = picture.before();
    let steps: Vec<Value> = picture
        .nodes
        .iter()
        .enumerate()
        .map(|(number, node)| {
            json!({
                "name": node.name, "title": node.title, "action": node.action, "mark": node.mark.word(),
                "reason": node.reason, "time_ns": node.time, "critical": node.critical, "finally": node.finally,
                "required": node.required, "tags": node.tags, "wave": node.wave, "steps": node.steps,
                "needs": before[number][0], "after": before[number][1], "blast": node.blast,
            })
        })
        .collect();
    let whole = json!({
        "format": "runplan.graph/1", "title": picture.title, "path": picture.path, "summary": picture.summary,
        "steps": steps,
    });
    format!("{whole:#}\n")
}
