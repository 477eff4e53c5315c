//! `[plan] reports`: which readiness reports are written where. Knows the forms by their endings, not how they look.

use std::collections::HashMap;

use super::action::outside;
use super::error::{Diagnostic, clean};
use super::tables;
use super::text::Texts;
use super::tree::Table;
use crate::place::Place;

/// Endings of the forms that there are.
const FORMS: [&str; 4] = [".md", ".json", ".html", ".xml"];
/// Folder of the run log, where nothing else may write.
const LOG: &str = ".runplan";

/// The paths, as they are spelt shortest.
pub(super) fn read(main: Table<'_>, texts: &mut Texts<'_>) -> Vec<String> {
    let Some(table) = main.get("plan").and_then(|node| node.table(&tables::PLAN)) else { return Vec::new() };
    let mut seen: HashMap<String, Place> = HashMap::new();
    let mut list = Vec::new();
    for node in table.list("reports") {
        let faults = texts.diags.count();
        let path = texts.plain(node);
        if texts.diags.count() > faults {
            continue;
        }
        let short = shortest(&path);
        if let Some(fault) = fault(&path, &short, node.place) {
            texts.diags.push(fault);
        } else if let Some(first) = seen.get(&short) {
            let fault = Diagnostic::error(
                "duplicate-report",
                node.place,
                format!("the report `{}` stands twice", clean(&path)),
            );
            texts.diags.push(fault.related(*first, "first here").help("remove one of the two"));
        } else {
            seen.insert(short.clone(), node.place);
            list.push(short);
        }
    }
    list
}

fn fault(path: &str, short: &str, place: Place) -> Option<Diagnostic> {
    let shown = clean(path);
    if let Some(reason) = outside(path) {
        let fault = Diagnostic::error("path-outside", place, format!("the report `{shown}` {reason}"));
        return Some(fault.help("paths are relative to the workspace and stay inside it"));
    }
    if short.split('/').next() == Some(LOG) {
        let fault = Diagnostic::error("path-outside", place, format!("the report `{shown}` would lie in the run log"));
        return Some(fault.help("name a folder outside `.runplan`"));
    }
    let name = short.rsplit('/').next().unwrap_or_default();
    // A file that is only an ending (`.md`) has none.
    let known = FORMS.iter().any(|form| name.len() > form.len() && name.ends_with(form));
    if known && !path.ends_with('/') && !path.chars().any(char::is_control) {
        return None;
    }
    let fault = Diagnostic::error("report-form", place, format!("`{shown}` has the name of no form of report"));
    Some(fault.help("the end of the name says the form: `.md`, `.json`, `.html` or `.xml` (JUnit)"))
}

/// Without `.`, `..` and empty parts.
fn shortest(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}
