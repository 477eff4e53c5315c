//! A line above each step: a command that runs it, and how it came out last.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::Last;
use super::session::{Answer, Asked};

/// The command that a client runs in a terminal: `runplan PLAN STEP`, its two arguments.
const RUN: &str = "runplan.run";

pub(super) fn lenses(asked: &Asked<'_>) -> Answer {
    let Some(project) = asked.project else { return Ok(json!([])) };
    let last = project.good.as_ref().map(|good| (asked.world.last)(&good.plan)).unwrap_or_default();
    let blocks = asked.page.sheet().blocks.iter().filter(|block| !block.finally);
    let lens = |block: &super::marks::Block| {
        let title = match of_step(&last, &block.name) {
            Some(last) => format!("\u{25b6} run ({})", told(last)),
            None => "\u{25b6} run".to_owned(),
        };
        let arguments = json!([project.root.as_str(), block.name]);
        json!({
            "range": asked.page.range(&block.name_at, asked.client.unit),
            "command": { "title": title, "command": RUN, "arguments": arguments },
        })
    };
    Ok(Json::Array(blocks.map(lens).collect()))
}

/// How a step came out; of several cells, the first that did not pass.
pub(super) fn of_step<'l>(last: &'l BTreeMap<String, Last>, base: &str) -> Option<&'l Last> {
    if let Some(last) = last.get(base) {
        return Some(last);
    }
    let first = format!("{base}[");
    let mut cells = last.range(first.clone()..).take_while(|(name, _)| name.starts_with(&first)).map(|(_, last)| last);
    let one = cells.next()?;
    if one.state != "pass" {
        return Some(one);
    }
    cells.find(|last| last.state != "pass").or(Some(one))
}

/// `last: pass in 1.2 s, 2026-11-24T10:00:00Z`.
pub(super) fn told(last: &Last) -> String {
    let took = last.took.as_ref().map(|took| format!(" in {took}")).unwrap_or_default();
    format!("last: {}{took}, {}", last.state, last.when)
}
