//! What the loader says, as editors show it: each at its place in its file, a circle as one at each of its edges, all
//! pointing at each other.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::documents::{Documents, uri_of};
use super::position::Unit;
use super::project::Project;
use crate::place::Place;
use crate::plan::error::{Diagnostic, Level};

/// Most of one file: nobody reads more, and clients grow slow.
const MOST: usize = 200;

/// What depends on where a run happens, not on the text: shown, but not as a fault of the plan.
const ELSEWHERE: [&str; 3] = ["secret-missing", "secret-short", "var-missing"];

/// What stands for nothing and may go.
const UNNEEDED: [&str; 3] = ["unused-key", "duplicate-need", "duplicate-pool"];

/// The diagnostics of each file of a plan by URI; an empty list where there is nothing to say.
pub(super) fn of(project: &Project, documents: &Documents, unit: Unit) -> BTreeMap<String, Json> {
    let mut lists: BTreeMap<String, Vec<Json>> = BTreeMap::new();
    for page in &project.pages {
        lists.entry(page.uri.clone()).or_default();
    }
    if project.pages.is_empty() && !project.diagnostics.is_empty() {
        let uri = documents.at(&project.root).map_or_else(|| uri_of(&project.root), |page| page.uri.clone());
        lists.entry(uri).or_default();
    }
    for fault in project.diagnostics.iter().flat_map(edges) {
        let place = fault.place.unwrap_or_default();
        let Some(page) = project.page(place) else { continue };
        if let Some(list) = lists.get_mut(&page.uri).filter(|list| list.len() < MOST) {
            list.push(one(&fault, place, project, unit));
        }
    }
    lists.into_iter().map(|(uri, list)| (uri, Json::Array(list))).collect()
}

/// A circle: one diagnostic at each edge, each with all others. Anything else is itself.
fn edges(fault: &Diagnostic) -> Vec<Diagnostic> {
    let (true, Some(place)) = (fault.code == "cycle", fault.place) else { return vec![fault.clone()] };
    let mut all = vec![(place, fault.label.clone())];
    all.extend(fault.related.iter().cloned());
    let at = |at: usize| {
        let (before, from) = all.split_at(at);
        let (place, label) = from.first().cloned().unwrap_or_default();
        let related = from.iter().skip(1).chain(before).cloned().collect();
        Diagnostic { place: Some(place), label, related, ..fault.clone() }
    };
    (0..all.len()).map(at).collect()
}

fn one(fault: &Diagnostic, place: Place, project: &Project, unit: Unit) -> Json {
    let Some(page) = project.page(place) else { return Json::Null };
    let mut message = fault.message.clone();
    if !fault.label.is_empty() && fault.label != "here" {
        message.push_str(&format!(" ({})", fault.label));
    }
    if let Some(help) = &fault.help {
        message.push_str(&format!("\n{help}"));
    }
    let severity = match (ELSEWHERE.contains(&fault.code), fault.severity) {
        (true, _) => 3,
        (false, Level::Error) => 1,
        (false, Level::Warning) => 2,
    };
    let mut json = json!({
        "range": page.range(&place.range(), unit),
        "severity": severity,
        "code": fault.code,
        "source": "runplan",
        "message": message,
        // What a quick fix is made of.
        "data": { "message": fault.message, "help": fault.help },
    });
    let related: Vec<Json> = fault
        .related
        .iter()
        .filter_map(|(place, text)| {
            let page = project.page(*place)?;
            Some(json!({ "location": page.location(&place.range(), unit), "message": text }))
        })
        .collect();
    if !related.is_empty() {
        json["relatedInformation"] = Json::Array(related);
    }
    if UNNEEDED.contains(&fault.code) {
        json["tags"] = json!([1]);
    }
    json
}
