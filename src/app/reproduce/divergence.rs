//! What came out otherwise, step by step: first what differs by itself, and what only follows from it; with what to do
//! about each. Reads the files that both runs left.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::digest::sha256_reader;
use crate::event::{Event, EventKind};
use crate::ids::StepId;
use crate::normalize;
use crate::outcome::{Cause, StepResult};
use crate::record::difference::{self, Difference, StepDifference};
use crate::record::project::StepLine;
use crate::report::differences::Field;
use crate::report::reproduced::{Divergence, FileDifference, First, Reproduced};

use super::super::diff;
use super::Side;

/// Most bytes of a file in which the first difference is looked for.
const MOST: u64 = 8 << 20;
/// Characters around it that are shown.
const AROUND: (usize, usize) = (30, 60);

pub(super) fn committed(events: &[Event], wanted: StepId) -> Option<&StepResult> {
    events.iter().rev().find_map(|event| match &event.kind {
        EventKind::Commit { step, result } if *step == wanted => Some(&**result),
        _ => None,
    })
}

/// The final result of a step by its name.
fn result<'a>(side: &'a Side, name: &str) -> Option<&'a StepResult> {
    let heads = side.events.iter().find_map(|event| match &event.kind {
        EventKind::Open { steps, .. } => Some(steps),
        _ => None,
    })?;
    committed(&side.events, heads.iter().find(|head| head.name == name)?.step)
}

pub(super) fn compare(then: &Side, now: &Side) -> Reproduced {
    let same = then.record.id == now.record.id;
    let found = difference::records(&then.record, &now.record).unwrap_or_default();
    let mut divergences = Vec::new();
    if !found.run.is_empty() {
        divergences.push(Divergence {
            step: String::new(),
            fields: found.run.iter().map(|d| field(d, &diff::record_name(&d.field))).collect(),
            fixes: vec!["the run was asked for by a condition that is another one now, such as a variable of the environment that a risk names".to_owned()],
            ..Divergence::default()
        });
    }
    let mut known = BTreeSet::new();
    let mut steps: Vec<&StepDifference> = found.steps.iter().collect();
    let rank = |name: &str| then.record.steps.iter().find(|line| line.id == name).map_or(u32::MAX, |line| line.rank);
    steps.sort_by_key(|step| rank(&step.step));
    for step in steps {
        divergences.push(one(then, now, step, &known));
        known.insert(step.step.clone());
    }
    divergences.sort_by_key(|divergence| !divergence.follows.is_empty());
    Reproduced {
        run: then.id.clone(),
        records: [then.record.id.clone(), now.record.id.clone()],
        verdicts: [then.record.end.verdict, now.record.end.verdict],
        same,
        divergences,
        notes: Vec::new(),
    }
}

fn line<'a>(side: &'a Side, name: &str) -> Option<&'a StepLine> {
    side.record.steps.iter().find(|line| line.id == name)
}

fn field(difference: &Difference, name: &str) -> Field {
    Field { name: name.to_owned(), a: difference.a.clone(), b: difference.b.clone() }
}

fn one(then: &Side, now: &Side, step: &StepDifference, known: &BTreeSet<String>) -> Divergence {
    let name = &step.step;
    let why = why(then, now, name);
    let follows = follows(then, now, name, &why, known);
    let mut found = Divergence { step: name.clone(), follows: follows.clone(), ..Divergence::default() };
    let mut paths: BTreeMap<(&str, &str), ()> = BTreeMap::new();
    for difference in &step.fields {
        let word = |at: usize| difference.field.get(at).map_or("", String::as_str);
        match word(0) {
            part @ ("outputs" | "inputs") if difference.field.len() > 1 => drop(paths.insert((part, word(1)), ())),
            "action" => {}
            _ => found.fields.push(field(difference, &diff::record_name(&difference.field))),
        }
    }
    // Where the end is another one, how each attempt ended says nothing more.
    if found.fields.iter().any(|field| field.name == "state") {
        found.fields.retain(|field| !field.name.starts_with("attempts "));
    }
    let own = |d: &&Difference| d.field.first().is_none_or(|word| word != "inputs");
    found.fields.extend(why.iter().filter(own).map(|d| field(d, &diff::action_name(&d.field))));
    found.files = paths.keys().map(|(part, path)| file(then, now, name, part, path)).collect();
    if follows.is_empty() {
        found.fixes = fixes(then, now, step, &found, &why);
    }
    found
}

/// What changed the action of a step.
fn why(then: &Side, now: &Side, name: &str) -> Vec<Difference> {
    let text = |side| result(side, name).and_then(|result| result.action_preimage.as_deref());
    match (text(then), text(now)) {
        (Some(then), Some(now)) if then != now => difference::preimages(then, now).unwrap_or_default(),
        _ => Vec::new(),
    }
}

/// The steps before this one that came out otherwise, if that explains everything about it: its action is another one
/// only by what they gave, or they keep it from running.
fn follows(then: &Side, now: &Side, name: &str, why: &[Difference], known: &BTreeSet<String>) -> Vec<String> {
    let (Some(old), Some(new)) = (line(then, name), line(now, name)) else { return Vec::new() };
    for line in [old, new] {
        if let Some(Cause::Stopped(root) | Cause::NeedFailed(root) | Cause::NeedSkipped(root)) = &line.cause
            && known.contains(root)
        {
            return vec![root.clone()];
        }
    }
    let mut reasons = BTreeSet::new();
    for difference in why {
        let word = |at: usize| difference.field.get(at).map_or("", String::as_str);
        match word(0) {
            "needs" if known.contains(word(1)) => drop(reasons.insert(word(1).to_owned())),
            "inputs" => {
                let maker = known.iter().find(|step| makes(then, now, step, word(1)));
                let Some(maker) = maker else { return Vec::new() };
                reasons.insert(maker.clone());
            }
            _ => return Vec::new(),
        }
    }
    reasons.into_iter().collect()
}

fn makes(then: &Side, now: &Side, step: &str, path: &str) -> bool {
    [then, now].into_iter().filter_map(|side| line(side, step)).any(|line| line.outputs.iter().any(|o| o.path == path))
}

/// What can be told of a file that is not the same.
fn file(then: &Side, now: &Side, step: &str, part: &str, path: &str) -> FileDifference {
    let of = |side: &Side| -> Option<(Option<String>, Option<u64>)> {
        let line = line(side, step)?;
        if part == "inputs" {
            let file = line.inputs.iter().find(|file| file.path == path)?;
            return Some((Some(file.sha256.clone()), Some(file.size)));
        }
        let output = line.outputs.iter().find(|output| output.path == path)?;
        Some((output.sha256.clone(), output.size))
    };
    let kind = if part == "inputs" { "input" } else { "output" };
    let (what, first) = match (of(then), of(now)) {
        (Some(_), None) => (format!("{kind} that is there no more"), None),
        (None, Some(_)) => (format!("{kind} that was not there"), None),
        (Some((old, old_size)), Some((new, new_size))) if old != new => {
            let first = match (left(then, step, path), left(now, step, path)) {
                (Some(old), Some(new)) if kind == "output" => Some(first_difference(&old, &new)),
                _ => old.as_deref().zip(new.as_deref()).and_then(|(old, new)| first(then, now, path, old, new)),
            };
            let sizes = match (old_size, new_size) {
                (Some(old), Some(new)) if old != new => format!(", {old} B then, {new} B now"),
                _ => String::new(),
            };
            (format!("{kind} with other bytes{sizes}"), first)
        }
        _ => (format!("{kind} with other permissions"), None),
    };
    FileDifference { path: path.to_owned(), what, first }
}

/// Where the bytes of a digest still lie: in the archive, or in the workspace.
fn bytes(side: &Side, path: &str, sha256: &str) -> Option<Vec<u8>> {
    let object = side.store.as_ref().map(|store| store.object_path(sha256));
    let found = object.into_iter().chain([side.workspace.join(path)]).find(|path| is(path, sha256))?;
    let mut bytes = Vec::new();
    File::open(found).ok()?.take(MOST).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

/// What the filters of a normalized output left.
fn left(side: &Side, step: &str, path: &str) -> Option<Vec<u8>> {
    let output = result(side, step)?.outputs.iter().find(|output| output.file.path == path)?;
    let filters = &output.normalized.as_ref()?.filters;
    let whole = bytes(side, path, &output.file.sha256)?;
    normalize::text(whole.as_slice(), filters, &side.workspace.to_string_lossy()).ok()
}

fn is(path: &PathBuf, sha256: &str) -> bool {
    let plain = std::fs::symlink_metadata(path).is_ok_and(|about| about.is_file());
    plain && File::open(path).and_then(sha256_reader).is_ok_and(|(digest, _)| digest == sha256)
}

fn first(then: &Side, now: &Side, path: &str, old: &str, new: &str) -> Option<First> {
    let (old, new) = (bytes(then, path, old)?, bytes(now, path, new)?);
    Some(first_difference(&old, &new))
}

/// Where two texts part, with what stands there.
fn first_difference(old: &[u8], new: &[u8]) -> First {
    let shared = old.iter().zip(new).take_while(|(a, b)| a == b).count();
    if shared == old.len().min(new.len()) && old.len() == new.len() {
        return First { place: format!("only behind byte {MOST}"), then: String::new(), now: String::new() };
    }
    if [old, new].into_iter().any(|bytes| bytes.iter().take(1 << 16).any(|byte| *byte == 0)) {
        return First { place: format!("byte {}", shared + 1), then: String::new(), now: String::new() };
    }
    let before = &old[..shared];
    let number = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let part = |bytes: &[u8]| {
        let from = start.max(shared.saturating_sub(AROUND.0));
        let rest = bytes.get(from..).unwrap_or_default();
        let end = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len()).min(shared - from + AROUND.1);
        String::from_utf8_lossy(&rest[..end]).into_owned()
    };
    First { place: format!("line {number}"), then: part(old), now: part(new) }
}

fn fixes(then: &Side, now: &Side, step: &StepDifference, found: &Divergence, why: &[Difference]) -> Vec<String> {
    let mut fixes = Vec::new();
    let has = |word: &str| step.fields.iter().any(|d| d.field.first().is_some_and(|first| first == word));
    if let [had, has] = step.in_both
        && had != has
    {
        return vec!["the plan makes other steps of its files now: what they name is not what it was".to_owned()];
    }
    for file in &found.files {
        if file.what.starts_with("input") {
            fixes.push(format!(
                "`{}` is not what the run read: the workspace changed since (or git ignores it); check out what it was",
                file.path
            ));
        } else {
            fixes.push(output_fix(then, now, file));
        }
    }
    let otherwise = ["state", "cause", "exit", "criteria", "attempts"].iter().any(|word| has(word));
    if otherwise && why.is_empty() {
        fixes.push(flaky_fix(then, now, &step.step));
    }
    if has("values") {
        let text = "a named output is another one: give out what does not change, or keep it in a volatile output";
        fixes.push(text.to_owned());
    }
    if !why.is_empty() && fixes.is_empty() {
        fixes.push("its action is another one: pin what its texts are made of".to_owned());
    }
    fixes
}

fn output_fix(then: &Side, now: &Side, file: &FileDifference) -> String {
    let path = &file.path;
    let volatile = "or filter that out (`class = \"normalized\"` with `normalize`), or, if it may differ as a whole, declare it with `class = \"volatile\"`";
    let Some(first) = file.first.as_ref().filter(|first| !first.then.is_empty() || !first.now.is_empty()) else {
        return format!(
            "make `{path}` the same every time (no clock: SOURCE_DATE_EPOCH; no random numbers, sorted lists), {volatile}"
        );
    };
    let holds = |side: &Side, text: &str| {
        let name = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned());
        let whole = side.workspace.display().to_string();
        text.contains(&whole) || name(&side.workspace).is_some_and(|name| name.len() > 8 && text.contains(&name))
    };
    let digits = |text: &str| text.bytes().filter(u8::is_ascii_digit).count() >= 4;
    if holds(then, &first.then) || holds(now, &first.now) {
        return format!(
            "`{path}` holds the path of the workspace: write relative paths, or take it out (`normalize = [\"workspace\"]`), or, if it may differ as a whole, declare it with `class = \"volatile\"`"
        );
    }
    if digits(&first.then) && digits(&first.now) {
        return format!(
            "write `{path}` without the clock or random numbers (SOURCE_DATE_EPOCH, a fixed seed), {volatile}"
        );
    }
    format!("write `{path}` the same every time (sorted lists, a fixed seed), {volatile}")
}

/// A step that comes out otherwise from the same action: the criterion is named, with what it saw both times.
fn flaky_fix(then: &Side, now: &Side, name: &str) -> String {
    let (Some(old), Some(new)) = (result(then, name), result(now, name)) else { return String::new() };
    let tries = [old, new].map(|result| result.attempts.len());
    let criterion = old.criteria().iter().find_map(|old| {
        let new = new.criteria().iter().find(|new| new.tier == old.tier && new.text == old.text)?;
        (new.state != old.state).then(|| format!("`{}` was {}, then {}", old.text, old.actual, new.actual))
    });
    let what = match (criterion, &new.detail) {
        (Some(criterion), _) => criterion,
        (None, _) if old.state == new.state && tries[0] != tries[1] => {
            format!("it took {} attempts, then {}", tries[0], tries[1])
        }
        (None, Some(detail)) => detail.clone(),
        (None, None) => format!("it was {}, then {}", old.state, new.state),
    };
    format!(
        "{what}: the step rests on what it does not declare (the clock, the network, the load, files that git ignores or an earlier run left); declare it, pin it, or allow for it by `retry` or `sample`"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_difference_is_told_by_its_line() {
        let first = first_difference(b"a\nb 12\nc\n", b"a\nb 13\nd\n");
        assert_eq!((first.place.as_str(), first.then.as_str(), first.now.as_str()), ("line 2", "b 12", "b 13"));
        let first = first_difference(b"a\n", b"a\nb\n");
        assert_eq!((first.place.as_str(), first.then.as_str(), first.now.as_str()), ("line 2", "", "b"));
        let long = [b"x".repeat(100), b"1".to_vec(), b"y".repeat(100)].concat();
        let mut other = long.clone();
        other[100] = b'2';
        let first = first_difference(&long, &other);
        assert_eq!((first.then.len(), first.now.contains('2')), (90, true));
        assert_eq!(first_difference(b"\0a", b"\0b").place, "byte 2");
        assert_eq!(first_difference(b"", b"\xff\n").place, "line 1");
    }
}
