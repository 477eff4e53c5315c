//! A saved dry run: what a plan comes to, as a text for a review, and whether a plan still comes to that. Runs nothing.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value as Json, json};

use crate::digest::sha256_hex;
use crate::mask::Mask;
use crate::plan::{self, Plan};
use crate::record::store;
use crate::report::{escape, format};

use super::load;
use super::{reads, world};

/// The version of the format.
const FORMAT: u64 = 1;
/// Differences that are told.
const MOST: usize = 40;
/// Characters of a value in a difference.
const LONGEST: usize = 70;

/// What a plan comes to now: stable, sorted, one fact a line. Secrets stand by name only.
///
/// # Errors
/// When the plan has no canonical form, which would be a bug.
pub(super) fn of(plan: &Plan, select: &[String]) -> Result<Json, String> {
    let mut norm = plan::norm(plan);
    let sha256 = load::meaning(plan).map_err(|error| error.to_string())?;
    let list = norm.as_object_mut().and_then(|norm| norm.remove("steps"));
    let made = reads::Made::of(plan);
    let mut steps = Map::new();
    for (step, mut norm) in plan.steps.iter().zip(list.as_ref().and_then(Json::as_array).cloned().unwrap_or_default()) {
        if let Some(norm) = norm.as_object_mut() {
            norm.remove("name");
        }
        norm["files"] = json!(reads::digests(plan, &reads::declared(step), &made));
        steps.insert(step.name.clone(), norm);
    }
    let sources: BTreeMap<&str, String> = plan
        .sources
        .files
        .iter()
        .map(|file| (file.path.as_str(), format!("sha256:{}", sha256_hex(file.text.as_bytes()))))
        .collect();
    let mut lock = json!({
        "lock": FORMAT,
        "text": { "files": sources, "sha256": store::plan_digest(&plan.sources) },
        "meaning": sha256,
        "plan": norm,
        "selection": select,
        "steps": steps,
    });
    let secrets = world::secrets_here(plan);
    let secrets: Vec<(String, Vec<u8>)> = secrets.into_iter().map(|(name, value)| (name, value.into_bytes())).collect();
    if !secrets.is_empty() {
        masked(&mut lock, &Mask::new(&secrets));
    }
    tidy(&mut lock);
    Ok(lock)
}

/// The text of a lock.
pub(super) fn text(lock: &Json) -> String {
    format!("{lock:#}\n")
}

fn masked(value: &mut Json, mask: &Mask) {
    match value {
        Json::String(text) => *text = mask.text(text),
        Json::Array(items) => items.iter_mut().for_each(|item| masked(item, mask)),
        Json::Object(map) => map.values_mut().for_each(|item| masked(item, mask)),
        Json::Null | Json::Bool(_) | Json::Number(_) => {}
    }
}

/// Keys in order; what is not set is left out.
fn tidy(value: &mut Json) {
    match value {
        Json::Array(items) => items.iter_mut().for_each(tidy),
        Json::Object(map) => {
            map.values_mut().for_each(tidy);
            let empty = |value: &Json| match value {
                Json::Null => true,
                Json::Array(items) => items.is_empty(),
                Json::Object(map) => map.is_empty(),
                _ => false,
            };
            map.retain(|_, value| !empty(value));
            map.sort_keys();
        }
        _ => {}
    }
}

/// Reads a lock.
///
/// # Errors
/// When it can't be read or is none that this version knows.
pub(super) fn read(file: &str) -> Result<Json, String> {
    let text = std::fs::read_to_string(file).map_err(|error| format!("`{file}` can't be read: {error}"))?;
    let again = "make it with `runplan -n PLAN --out FILE`";
    let lock: Json =
        serde_json::from_str(&text).map_err(|error| format!("`{file}` is no saved dry run: {error}; {again}"))?;
    match lock.get("lock").and_then(Json::as_u64) {
        Some(FORMAT) => Ok(lock),
        Some(other) => Err(format!("`{file}` has format {other}, this version knows {FORMAT}; {again}")),
        None => Err(format!("`{file}` is no saved dry run; {again}")),
    }
}

/// What differs between a lock and what a plan comes to now, in words; nothing where only comments or layout do.
pub(super) fn differences(then: &Json, now: &Json) -> Vec<String> {
    let mut told = Vec::new();
    for key in ["selection", "plan"] {
        compare(key, then.get(key), now.get(key), &mut told);
    }
    let empty = Map::new();
    let steps = |lock: &'_ Json| lock.get("steps").and_then(Json::as_object).cloned();
    let (then_steps, now_steps) = (steps(then).unwrap_or_else(|| empty.clone()), steps(now).unwrap_or(empty));
    let names: BTreeSet<&String> = then_steps.keys().chain(now_steps.keys()).collect();
    for name in names {
        match (then_steps.get(name), now_steps.get(name)) {
            (None, _) => told.push(format!("step `{name}` is new")),
            (_, None) => told.push(format!("step `{name}` is gone")),
            (Some(then), Some(now)) => {
                files(name, then.get("files"), now.get("files"), &mut told);
                let rest = |value: &Json| {
                    let mut value = value.clone();
                    value.as_object_mut().and_then(|map| map.remove("files"));
                    value
                };
                compare(&format!("step `{name}`"), Some(&rest(then)), Some(&rest(now)), &mut told);
            }
        }
    }
    if told.is_empty() && then.get("meaning") != now.get("meaning") {
        told.push("`meaning` is not the digest of what stands in the file: it was changed by hand".to_owned());
    }
    told
}

fn files(step: &str, then: Option<&Json>, now: Option<&Json>, told: &mut Vec<String>) {
    let paths = |files: Option<&Json>| files.and_then(Json::as_object).cloned().unwrap_or_default();
    let (then, now) = (paths(then), paths(now));
    let all: BTreeSet<&String> = then.keys().chain(now.keys()).collect();
    for path in all {
        let what = match (then.get(path), now.get(path)) {
            (None, _) => "is new",
            (_, None) => "is gone",
            (a, b) if a != b => "changed",
            _ => continue,
        };
        told.push(format!("step `{step}`: input `{path}` {what}"));
    }
}

/// Goes down to what differs.
fn compare(at: &str, then: Option<&Json>, now: Option<&Json>, told: &mut Vec<String>) {
    if then == now {
        return;
    }
    let below = |key: &str| if at.ends_with('`') { format!("{at}: {key}") } else { format!("{at}.{key}") };
    match (then, now) {
        (Some(Json::Object(a)), Some(Json::Object(b))) => {
            let keys: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
            keys.into_iter().for_each(|key| compare(&below(key), a.get(key), b.get(key), told));
        }
        (Some(Json::Array(a)), Some(Json::Array(b))) if a.len() == b.len() => {
            for (index, (a, b)) in a.iter().zip(b).enumerate() {
                compare(&format!("{at}[{index}]"), Some(a), Some(b), told);
            }
        }
        (None, Some(now)) => told.push(format!("{at}: is new: {}", short(now))),
        (Some(then), None) => told.push(format!("{at}: is gone, was {}", short(then))),
        (Some(then), Some(now)) => told.push(format!("{at}: was {}, is {}", short(then), short(now))),
        (None, None) => {}
    }
}

fn short(value: &Json) -> String {
    escape::cut(&escape::line(&value.to_string()), LONGEST)
}

/// Whether a plan may run by a lock; else every difference, in lines.
///
/// # Errors
/// What is to be said when it may not.
pub(super) fn hold(file: &str, plan: &Plan, select: &[String]) -> Result<Option<String>, String> {
    let then = read(file)?;
    let now = of(plan, select)?;
    let told = differences(&then, &now);
    if told.is_empty() {
        let same = then.get("text") == now.get("text");
        return Ok((!same).then(|| format!("the plan differs from `{file}` in comments or layout only")));
    }
    let mut text =
        format!("the plan is not what `{file}` says ({}); nothing was run", format::count(told.len(), "difference"));
    told.iter().take(MOST).for_each(|line| text += &format!("\n  {}", escape::line(line)));
    if told.len() > MOST {
        text += &format!("\n  and {} more", told.len() - MOST);
    }
    Err(text + "\n  if that is wanted, save it anew with `runplan -n PLAN --out FILE`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_go_down_to_what_differs() {
        let then = json!({ "selection": [], "meaning": "1", "plan": { "vars": { "a": 1 }, "ports": ["x"] }, "steps": {
            "a": { "needs": ["b"], "action": { "run": { "shell": "make" } }, "files": { "x": "1", "y": "1" } }, "old": {} } });
        let now = json!({ "selection": ["a"], "meaning": "2", "plan": { "vars": { "a": 2, "b": 3 } }, "steps": {
            "a": { "needs": ["c"], "action": { "run": { "shell": "make -j" } }, "files": { "x": "2", "z": "1" } }, "new": {} } });
        assert_eq!(
            differences(&then, &now),
            [
                "selection: was [], is [\"a\"]",
                "plan.ports: is gone, was [\"x\"]",
                "plan.vars.a: was 1, is 2",
                "plan.vars.b: is new: 3",
                "step `a`: input `x` changed",
                "step `a`: input `y` is gone",
                "step `a`: input `z` is new",
                "step `a`: action.run.shell: was \"make\", is \"make -j\"",
                "step `a`: needs[0]: was \"b\", is \"c\"",
                "step `new` is new",
                "step `old` is gone",
            ]
        );
        assert_eq!(differences(&then, &then), Vec::<String>::new());
        let mut forged = then.clone();
        forged["meaning"] = json!("3");
        assert_eq!(differences(&forged, &then).len(), 1);
    }

    #[test]
    fn what_is_not_set_is_left_out_and_keys_are_in_order() {
        let mut value = json!({ "b": null, "a": { "z": [], "y": [{ "d": 1, "c": {} }] }, "e": false });
        tidy(&mut value);
        assert_eq!(value.to_string(), r#"{"a":{"y":[{"d":1}]},"e":false}"#);
    }
}
