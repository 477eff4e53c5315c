//! Quick fixes: what a diagnostic suggests as an edit, a step that is missing as a stub, a step that has to come before as
//! one more of `needs`.

use std::ops::Range;

use serde_json::{Value as Json, json};

use super::documents::Page;
use super::position::Position;
use super::scan::{Form, Scan};
use super::session::{Answer, Asked};
use crate::plan::guide;

/// Diagnostics of one request that are looked at.
const MOST: usize = 50;

/// A fix: its title and what is written where.
struct Fix {
    title: String,
    range: Range<usize>,
    text: String,
}

pub(super) fn actions(asked: &Asked<'_>) -> Answer {
    let wanted = asked.params.pointer("/context/only").and_then(Json::as_array);
    let is_wanted = wanted.is_none_or(|kinds| kinds.iter().any(|kind| kind == "quickfix" || kind == ""));
    if !is_wanted || !asked.client.literal_actions {
        return Ok(json!([]));
    }
    let given = asked.params.pointer("/context/diagnostics").and_then(Json::as_array);
    let scan = Scan::of(&asked.page.text);
    let mut list = Vec::new();
    for diagnostic in given.into_iter().flatten().take(MOST) {
        for fix in fixes(asked, &scan, diagnostic) {
            let edit = json!({ "range": asked.page.range(&fix.range, asked.client.unit), "newText": fix.text });
            list.push(json!({
                "title": fix.title,
                "kind": "quickfix",
                "diagnostics": [diagnostic],
                "isPreferred": list.is_empty(),
                "edit": { "changes": { asked.page.uri.clone(): [edit] } },
            }));
        }
    }
    Ok(Json::Array(list))
}

fn fixes(asked: &Asked<'_>, scan: &Scan<'_>, diagnostic: &Json) -> Vec<Fix> {
    let text = |path: &str| diagnostic.pointer(path).and_then(Json::as_str).unwrap_or("");
    let (code, message, help) = (text("/code"), text("/data/message"), text("/data/help"));
    let Some(range) = range(&asked.page, asked, diagnostic) else { return Vec::new() };
    let mut fixes = Vec::new();
    fixes.extend(meant(scan, &range, message, help));
    let named: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    let steps = asked.pages();
    let exists = |name: &str| steps.iter().any(|page| page.sheet().blocks.iter().any(|block| block.name == name));
    let missing = match (code, message.contains("there is no step `")) {
        ("unknown-step", _) => named.last(),
        (_, true) => named.first(),
        (_, false) => None,
    };
    if let Some(name) = missing.filter(|name| guide::is_step_name(name) && !exists(name)) {
        fixes.extend(stub(scan, name));
    }
    if let (Some(name), true) = (named.first(), message.ends_with("does not come before this step")) {
        fixes.extend(needed(asked, scan, &range, name));
    }
    if code == "missing-format" {
        let ending = ending(scan.text);
        let at = if scan.text.starts_with("#:") { scan.text.find('\n').map_or(0, |at| at + 1) } else { 0 };
        fixes.push(Fix {
            title: "begin it with `format = 1`".to_owned(),
            range: at..at,
            text: format!("format = 1{ending}"),
        });
    }
    fixes
}

fn range(page: &Page, asked: &Asked<'_>, diagnostic: &Json) -> Option<Range<usize>> {
    let end = |name: &str| {
        let position = Position::read(diagnostic.get("range")?.get(name)?)?;
        Some(page.offset(position, asked.client.unit))
    };
    let (start, end) = (end("start")?, end("end")?);
    (start <= end).then_some(start..end)
}

/// `did you mean …?`: the word of the message that stands in the text and is most like it is what is wrong.
fn meant(scan: &Scan<'_>, range: &Range<usize>, message: &str, help: &str) -> Option<Fix> {
    let (_, rest) = help.split_once("did you mean `")?;
    let (suggestion, _) = rest.split_once('`')?;
    let there = scan.text.get(range.clone())?;
    let words = message.split('`').skip(1).step_by(2).filter(|word| !word.is_empty());
    let found = words.filter_map(|word| Some((there.find(word)?, word)));
    let (at, word) = found.min_by_key(|(_, word)| strsim::damerau_levenshtein(word, suggestion))?;
    let start = range.start + at;
    // Quotes in a text are the other kind than those around it.
    let value = scan.value_at(start).map(|value| scan.values[value].form);
    let text = match value {
        Some(Form::Text { literal: false, .. }) => suggestion.replace('"', "'"),
        Some(Form::Text { literal: true, .. }) if suggestion.contains('\'') => return None,
        _ => suggestion.to_owned(),
    };
    Some(Fix { title: format!("change `{word}` to `{suggestion}`"), range: start..start + word.len(), text })
}

fn ending(text: &str) -> &'static str {
    if text.contains("\r\n") { "\r\n" } else { "\n" }
}

/// The missing step, at the end: one that fails, so that nobody takes it for done.
fn stub(scan: &Scan<'_>, name: &str) -> Option<Fix> {
    let inline = |value: &super::scan::Value<'_>| value.parent.is_none() && scan.path(value) == ["steps"];
    if scan.values.iter().any(inline) {
        return None;
    }
    let (text, ending) = (scan.text, ending(scan.text));
    let before = match (text.is_empty() || text.ends_with('\n'), text.trim_end().len() + ending.len() < text.len()) {
        (false, _) => format!("{ending}{ending}"),
        (true, true) => String::new(),
        (true, false) => ending.to_owned(),
    };
    let body = format!("{before}[steps.{name}]{ending}run = \"echo 'not written yet' >&2; exit 1\"{ending}");
    Some(Fix { title: format!("add the step `{name}`"), range: text.len()..text.len(), text: body })
}

/// `needs` of the step around a place, with one more name.
fn needed(asked: &Asked<'_>, scan: &Scan<'_>, range: &Range<usize>, name: &str) -> Option<Fix> {
    let own = asked.page.sheet().block_at(range.start)?;
    let title = format!("add `{name}` to the `needs` of `{}`", own.name);
    let base = name.split('[').next()?;
    let needs = scan.values.iter().position(|value| {
        matches!(scan.path(value).as_slice(), ["steps" | "finally", step, "needs"] if *step == own.name)
            && value.parent.is_none_or(|parent| scan.values[parent].form == Form::Table)
    });
    if let Some(needs) = needs {
        let list = &scan.values[needs];
        if list.form != Form::List || !list.closed {
            return None;
        }
        let last = scan.values.iter().rev().find(|value| value.parent == Some(needs));
        let (at, text) = match last {
            Some(last) => (last.at.end, format!(", \"{base}\"")),
            None => (list.at.start + 1, format!("\"{base}\"")),
        };
        return Some(Fix { title, range: at..at, text });
    }
    let head = scan.tables.iter().find(|head| {
        let keys: Vec<&str> = head.keys.iter().map(|key| &*key.name).collect();
        matches!(keys.as_slice(), ["steps" | "finally", step] if *step == own.name)
    })?;
    let line = scan.text[head.at.end..].find('\n').map_or(scan.text.len(), |at| head.at.end + at + 1);
    let ending = ending(scan.text);
    let before = if scan.text[..line].ends_with('\n') { "" } else { ending };
    Some(Fix { title, range: line..line, text: format!("{before}needs = [\"{base}\"]{ending}") })
}
