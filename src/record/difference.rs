//! What differs between two canonical documents: lines of records, pre-images of action digests. Pure; knows neither
//! files nor how differences are shown.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::canonical::CanonicalError;
use super::project::{EndLine, StepLine};
use super::read::RecordFile;

/// One field that is not the same. `None` where the side does not have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Which, as words from the outside in: `outputs`, `dist/app`, `sha256`.
    pub field: Vec<String>,
    /// On the first side.
    pub a: Option<String>,
    /// On the second side.
    pub b: Option<String>,
}

/// One step that is not the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepDifference {
    /// Its name.
    pub step: String,
    /// Whether the first and the second record have it.
    pub in_both: [bool; 2],
    /// Fields; empty for a step that one of them has not.
    pub fields: Vec<Difference>,
}

/// Two records side by side.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordDifference {
    /// Plan, parameters, selection, policy, environment.
    pub run: Vec<Difference>,
    /// Steps in the order of the first record, new ones last.
    pub steps: Vec<StepDifference>,
    /// The decision.
    pub end: Vec<Difference>,
}

impl RecordDifference {
    /// Nothing differs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.run.is_empty() && self.steps.is_empty() && self.end.is_empty()
    }
}

/// Members by which objects in a list are told apart, most telling first.
const KEYS: [&str; 3] = ["path", "id", "text"];

/// Everything that differs between two records.
///
/// # Errors
/// When a line has no JSON form, which no record that was read makes happen.
pub fn records(a: &RecordFile, b: &RecordFile) -> Result<RecordDifference, CanonicalError> {
    let run = documents(&tree(&a.run)?, &tree(&b.run)?);
    let end = documents(&end_tree(&a.end)?, &end_tree(&b.end)?);
    let find = |record: &RecordFile, id: &str| record.steps.iter().position(|line| line.id == id);
    let same_steps = a.steps.len() == b.steps.len() && a.steps.iter().all(|line| find(b, &line.id).is_some());
    let mut steps = Vec::new();
    for line in &a.steps {
        let other = find(b, &line.id).and_then(|at| b.steps.get(at));
        let fields = match other {
            Some(other) => documents(&step_tree(line, same_steps)?, &step_tree(other, same_steps)?),
            None => Vec::new(),
        };
        if other.is_none() || !fields.is_empty() {
            steps.push(StepDifference { step: line.id.clone(), in_both: [true, other.is_some()], fields });
        }
    }
    for line in b.steps.iter().filter(|line| find(a, &line.id).is_none()) {
        steps.push(StepDifference { step: line.id.clone(), in_both: [false, true], fields: Vec::new() });
    }
    Ok(RecordDifference { run, steps, end })
}

fn tree(line: &impl serde::Serialize) -> Result<Json, CanonicalError> {
    serde_json::to_value(line).map_err(|e| CanonicalError::Serialize(e.to_string()))
}

/// A new step moves the ranks of all behind it: that is one difference, not as many as there are steps.
fn step_tree(line: &StepLine, with_rank: bool) -> Result<Json, CanonicalError> {
    let mut value = tree(line)?;
    if let Some(members) = value.as_object_mut().filter(|_| !with_rank) {
        members.shift_remove("rank");
    }
    Ok(value)
}

/// Counts follow from the states of the steps, and bounds stand in the policy.
fn end_tree(line: &EndLine) -> Result<Json, CanonicalError> {
    let mut value = tree(line)?;
    if let Some(members) = value.as_object_mut() {
        for derived in ["counts", "go", "no_go"] {
            members.shift_remove(derived);
        }
    }
    Ok(value)
}

/// Why two action digests differ, from the texts they were made of; `None` where a text is not JSON.
#[must_use]
pub fn preimages(a: &str, b: &str) -> Option<Vec<Difference>> {
    let read = |text: &str| serde_json::from_str::<Json>(text).ok().filter(Json::is_object);
    Some(documents(&plainer(read(a)?), &plainer(read(b)?)))
}

/// The form of an action as a person thinks of it: a text is its text, not an object about it.
fn plainer(value: Json) -> Json {
    match value {
        Json::Object(members) => {
            let is_text = members.len() == 2 && members.contains_key("late") && members.contains_key("src");
            match members.get("src") {
                Some(src) if is_text => src.clone(),
                _ => Json::Object(members.into_iter().map(|(name, member)| (name, plainer(member))).collect()),
            }
        }
        Json::Array(items) => Json::Array(items.into_iter().map(plainer).collect()),
        other => other,
    }
}

/// Every leaf that is not the same in two documents, in order of their fields.
#[must_use]
pub fn documents(a: &Json, b: &Json) -> Vec<Difference> {
    let (mut left, mut right) = (BTreeMap::new(), BTreeMap::new());
    leaves(a, &mut Vec::new(), &mut left);
    leaves(b, &mut Vec::new(), &mut right);
    let mut fields: Vec<&Vec<String>> = left.keys().chain(right.keys()).collect();
    fields.sort_unstable();
    fields.dedup();
    let mut found: Vec<Difference> = fields
        .into_iter()
        .filter(|field| left.get(*field) != right.get(*field))
        .map(|field| Difference { field: field.clone(), a: left.get(field).cloned(), b: right.get(field).cloned() })
        .collect();
    // What is empty on one side is told by what stands there on the other one.
    let told: Vec<Vec<String>> = found.iter().map(|difference| difference.field.clone()).collect();
    found.retain(|difference| {
        let below = |field: &Vec<String>| field.len() > difference.field.len() && field.starts_with(&difference.field);
        !told.iter().any(below)
    });
    found
}

fn leaves(value: &Json, at: &mut Vec<String>, out: &mut BTreeMap<Vec<String>, String>) {
    let mut child = |name: String, value: &Json| {
        at.push(name);
        leaves(value, at, out);
        at.pop();
    };
    match value {
        Json::Object(members) if !members.is_empty() => {
            members.iter().for_each(|(name, member)| child(name.clone(), member));
        }
        Json::Array(items) if !items.is_empty() && items.iter().all(Json::is_object) => {
            let key = KEYS.iter().find(|key| items.iter().all(|item| item.get(**key).is_some_and(Json::is_string)));
            let mut seen: BTreeMap<String, usize> = BTreeMap::new();
            for (index, item) in items.iter().enumerate() {
                let Some(key) = key else {
                    child(format!("{}", index + 1), item);
                    continue;
                };
                let name = item.get(*key).map_or_else(String::new, shown);
                let tier = item.get("tier").map_or_else(String::new, |tier| format!("{} ", shown(tier)));
                let mut rest = item.clone();
                if let Some(members) = rest.as_object_mut() {
                    members.shift_remove(*key);
                    members.shift_remove("tier");
                }
                let nth = seen.entry(format!("{tier}{name}")).or_default();
                *nth += 1;
                let again = if *nth > 1 { format!(" ({nth})") } else { String::new() };
                child(format!("{tier}{name}{again}"), &rest);
            }
        }
        // Criteria of a pre-image: pairs of list and text.
        Json::Array(items) if !items.is_empty() && items.iter().all(is_pair) => {
            for item in items {
                let words: Vec<String> = item.as_array().map_or(&[][..], Vec::as_slice).iter().map(shown).collect();
                child(words.join(" "), &Json::from("there"));
            }
        }
        leaf => {
            out.insert(at.clone(), shown(leaf));
        }
    }
}

fn is_pair(item: &Json) -> bool {
    item.as_array().is_some_and(|pair| pair.len() == 2 && pair.iter().all(Json::is_string))
}

/// A text as it is, everything else as JSON.
fn shown(value: &Json) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(differences: &[Difference]) -> Vec<String> {
        let side = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        differences.iter().map(|d| format!("{}: {} | {}", d.field.join("/"), side(&d.a), side(&d.b))).collect()
    }

    #[test]
    fn a_changed_action_says_which_part_of_it() {
        let text = |src: &str| json!({ "late": false, "src": src });
        let base = json!({
            "action": { "run": { "command": { "argv": [text("sh"), text("-c"), text("one")] }, "parse": null } },
            "env": { "A": "1", "PATH": null },
            "inputs": [{ "path": "a", "sha256": "x", "size": 1, "x": false }],
            "criteria": [["pass", "exit == 0"]],
            "needs": { "build": { "outputs": [], "values": { "v": "1" } } },
            "policy": {},
        });
        let mut changed = base.clone();
        changed["action"]["run"]["command"]["argv"][2] = text("two");
        changed["env"] = json!({ "A": "2", "B": "x", "PATH": null });
        changed["inputs"] = json!([{ "path": "a", "sha256": "y", "size": 1, "x": false }, { "path": "b", "sha256": "z", "size": 2, "x": true }]);
        changed["criteria"] = json!([["pass", "exit == 0"], ["warn", "duration < 5s"]]);
        changed["needs"]["build"]["values"]["v"] = json!("2");
        changed["policy"] = json!({ "timeout": "3s" });
        let found = preimages(&base.to_string(), &changed.to_string()).unwrap();
        assert_eq!(
            told(&found),
            [
                "action/run/command/argv: [\"sh\",\"-c\",\"one\"] | [\"sh\",\"-c\",\"two\"]",
                "criteria/warn duration < 5s: - | there",
                "env/A: 1 | 2",
                "env/B: - | x",
                "inputs/a/sha256: x | y",
                "inputs/b/sha256: - | z",
                "inputs/b/size: - | 2",
                "inputs/b/x: - | true",
                "needs/build/values/v: 1 | 2",
                "policy/timeout: - | 3s",
            ]
        );
        assert_eq!(preimages(&base.to_string(), &base.to_string()), Some(Vec::new()));
        assert_eq!(preimages("no JSON", "{}"), None);
    }

    #[test]
    fn lists_of_named_things_are_compared_by_name_and_twins_are_kept_apart() {
        let list = |state: &str| {
            json!({ "criteria": [
                { "tier": "pass", "text": "x == 1", "state": "pass" },
                { "tier": "reject", "text": "x == 1", "state": state },
                { "tier": "reject", "text": "x == 1", "state": "fail" },
            ] })
        };
        let found = documents(&list("pass"), &list("fail"));
        assert_eq!(told(&found), ["criteria/reject x == 1/state: pass | fail"]);
        let moved = json!({ "criteria": [{ "tier": "reject", "text": "x == 1", "state": "fail" }] });
        assert!(!documents(&list("fail"), &moved).is_empty());
    }
}
