//! The committed schemas and golden files describe what is written, member by member. Knows just enough of draft 7 to
//! check that.

use std::path::Path;

use serde_json::Value as Json;

use super::journal::{Durability, Journal};
use super::project::project;
use super::sample::{decision, event, every_event};
use crate::digest::sha256_hex;
use crate::event::{EventKind, Sink};
use crate::outcome::{Class, FileDigest, Filter, Normalized, RunStatus, Verdict};

const JOURNAL: &str = include_str!("../../schemas/journal.schema.json");
const RECORD: &str = include_str!("../../schemas/record.schema.json");

/// Whether `value` fits `schema`: the keywords that our two schemas use; any other one is an error.
fn fits(root: &Json, schema: &Json, value: &Json) -> Result<(), String> {
    let Some(keywords) = schema.as_object() else { return Err(format!("not a schema: {schema}")) };
    for (keyword, rule) in keywords {
        check(root, keywords, keyword, rule, value).map_err(|why| format!("{keyword}: {why}"))?;
    }
    Ok(())
}

fn check(
    root: &Json,
    schema: &serde_json::Map<String, Json>,
    keyword: &str,
    rule: &Json,
    value: &Json,
) -> Result<(), String> {
    let claim = |holds: bool| if holds { Ok(()) } else { Err(format!("`{rule}` does not hold for `{value}`")) };
    let list = |rule: &Json| rule.as_array().cloned().unwrap_or_default();
    match keyword {
        "$schema" | "$id" | "title" | "description" | "definitions" => Ok(()),
        "$ref" => {
            let pointer = rule.as_str().and_then(|text| text.strip_prefix('#')).unwrap_or("/none");
            fits(root, root.pointer(pointer).ok_or("no such definition")?, value)
        }
        "const" => claim(rule == value),
        "enum" => claim(list(rule).contains(value)),
        "type" => {
            let named = |name: &Json| match name.as_str() {
                Some("null") => value.is_null(),
                Some("boolean") => value.is_boolean(),
                Some("integer") => value.is_i64() || value.is_u64(),
                Some("string") => value.is_string(),
                Some("array") => value.is_array(),
                Some("object") => value.is_object(),
                _ => false,
            };
            claim(if rule.is_array() { list(rule).iter().any(named) } else { named(rule) })
        }
        "minimum" => claim(value.as_i64().is_none_or(|n| n >= rule.as_i64().unwrap_or(i64::MAX))),
        "pattern" => {
            let pattern = regex::Regex::new(rule.as_str().unwrap_or("(")).map_err(|e| e.to_string())?;
            claim(value.as_str().is_none_or(|text| pattern.is_match(text)))
        }
        "required" => claim(list(rule).iter().all(|name| value.get(name.as_str().unwrap_or_default()).is_some())),
        "items" => list(value).iter().try_for_each(|item| fits(root, rule, item)),
        "properties" => rule.as_object().into_iter().flatten().try_for_each(|(name, schema)| match value.get(name) {
            Some(member) => fits(root, schema, member).map_err(|why| format!("{name}: {why}")),
            None => Ok(()),
        }),
        "additionalProperties" => {
            let known = |name: &str| schema.get("properties").and_then(|all| all.get(name)).is_some();
            let other = |(name, _): &(&String, &Json)| !known(name);
            value.as_object().into_iter().flatten().filter(other).try_for_each(|(name, member)| match rule {
                Json::Bool(false) => Err(format!("`{name}` is not described")),
                rule => fits(root, rule, member),
            })
        }
        "oneOf" => {
            let results: Vec<_> = list(rule).iter().map(|schema| fits(root, schema, value)).collect();
            let count = results.iter().filter(|result| result.is_ok()).count();
            let why = || results.iter().filter_map(|result| result.clone().err()).collect::<Vec<_>>().join("\n");
            if count == 1 { Ok(()) } else { Err(format!("{count} branches fit\n{}", why())) }
        }
        other => Err(format!("this check does not know `{other}`")),
    }
}

/// Every line fits; with a member too many or one too few it does not.
fn describes(schema: &str, lines: &str, optional: &[&str]) {
    let schema: Json = serde_json::from_str(schema).unwrap();
    for line in lines.lines() {
        let value: Json = serde_json::from_str(line).unwrap();
        fits(&schema, &schema, &value).unwrap_or_else(|why| panic!("{line}\n{why}"));
        let mut more = value.clone();
        more["unknown"] = 1.into();
        assert!(fits(&schema, &schema, &more).is_err(), "{line}");
        for name in value.as_object().unwrap().keys().filter(|name| !optional.contains(&name.as_str())) {
            let mut less = value.clone();
            less.as_object_mut().unwrap().shift_remove(name);
            assert!(fits(&schema, &schema, &less).is_err(), "without `{name}`: {line}");
        }
    }
}

/// A new event type does not compile here before it is in the sample.
fn word(kind: &EventKind) -> &'static str {
    match kind {
        EventKind::Open { .. } => "open",
        EventKind::Ready { .. } => "ready",
        EventKind::Start { .. } => "start",
        EventKind::Spawned { .. } => "spawned",
        EventKind::Sample { .. } => "sample",
        EventKind::Attempt { .. } => "attempt",
        EventKind::Retry { .. } => "retry",
        EventKind::Serving { .. } => "serving",
        EventKind::Stopping { .. } => "stopping",
        EventKind::Reused { .. } => "reused",
        EventKind::Stale { .. } => "stale",
        EventKind::Resume { .. } => "resume",
        EventKind::Commit { .. } => "commit",
        EventKind::Warn { .. } => "warn",
        EventKind::Signal { .. } => "signal",
        EventKind::Decision { .. } => "decision",
        EventKind::Close { .. } => "close",
    }
}

#[test]
fn the_journal_schema_describes_every_line() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = Journal::create(folder.path(), Durability::None, None).unwrap();
    every_event().iter().for_each(|event| journal.event(event).unwrap());
    let lines = std::fs::read_to_string(folder.path().join(super::journal::FILE_NAME)).unwrap();
    describes(JOURNAL, &lines, &["cut"]);
    assert!(lines.contains("\"cut\":"));
    let found = super::read::recover(lines.as_bytes()).unwrap();
    assert_eq!(found.events.len(), every_event().len());
    let schema: Json = serde_json::from_str(JOURNAL).unwrap();
    let mut described: Vec<String> = Vec::new();
    for branch in schema["oneOf"].as_array().unwrap() {
        let definition = schema.pointer(branch["$ref"].as_str().unwrap().trim_start_matches('#')).unwrap();
        described.push(definition["properties"]["t"]["const"].as_str().unwrap().to_owned());
    }
    let mut sampled: Vec<&str> = every_event().iter().map(|event| word(&event.kind)).collect();
    sampled.dedup();
    sampled.retain(|word| described.contains(&(*word).to_owned()));
    sampled.sort_unstable();
    sampled.dedup();
    described.sort_unstable();
    assert_eq!(sampled, described);
    assert_eq!(described.len(), 17);
}

#[test]
fn the_record_schema_describes_every_line() {
    let events = every_event();
    let last = events.iter().find_map(|event| match &event.kind {
        EventKind::Decision { decision, .. } => Some(decision.as_ref().clone()),
        _ => None,
    });
    let bytes = project(&events).unwrap().finish(&last.unwrap_or_else(decision)).unwrap();
    describes(RECORD, std::str::from_utf8(&bytes).unwrap(), &[]);
}

/// Members that are left out where there is nothing to tell.
#[test]
fn the_schemas_describe_what_steps_wrote_and_what_filters_left() {
    let mut events = every_event();
    let file = FileDigest { path: "stdout".into(), sha256: "5".repeat(64), size: 7, executable: false };
    let filters =
        vec![Filter::Timestamps, Filter::Replace { pattern: "a".into(), with: "b".into() }, Filter::SortLines];
    for event in &mut events {
        let EventKind::Commit { result, .. } = &mut event.kind else { continue };
        result.attempts.iter_mut().for_each(|attempt| attempt.spools.push(file.clone()));
        for output in &mut result.outputs {
            output.class = Class::Normalized;
            output.normalized =
                Some(Box::new(Normalized { sha256: "6".repeat(64), size: 3, filters: filters.clone() }));
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let mut journal = Journal::create(folder.path(), Durability::None, None).unwrap();
    events.iter().for_each(|event| journal.event(event).unwrap());
    let lines = std::fs::read_to_string(folder.path().join(super::journal::FILE_NAME)).unwrap();
    assert!(lines.contains("\"spools\"") && lines.contains("\"normalized\":{"));
    describes(JOURNAL, &lines, &["cut"]);
    assert_eq!(super::read::recover(lines.as_bytes()).unwrap().events.len(), events.len());
    let bytes = project(&events).unwrap().finish(&decision()).unwrap();
    let text = std::str::from_utf8(&bytes).unwrap();
    assert!(text.contains(&"6".repeat(64)) && !text.contains("stdout"), "the record has what is left, and no output");
    describes(RECORD, text, &[]);
}

/// Files of the current versions, as an engine wrote them. They change only together with a version in `format.rs`
/// once there is a release; `RUNPLAN_BLESS=1` writes them anew.
fn golden(name: &str, now: &[u8]) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/record").join(name);
    if std::env::var_os("RUNPLAN_BLESS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, now).unwrap();
    }
    std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

#[test]
fn files_of_version_one_are_still_read_and_written_the_same() {
    let mut events = every_event();
    // Kinds of lines that came later change nothing of the others.
    use EventKind::{Resume, Reused, Stale, Warn};
    events.retain(|event| !matches!(event.kind, Warn { .. } | Resume { .. } | Reused { .. } | Stale { .. }));
    let bytes = project(&events).unwrap().finish(&decision()).unwrap();
    let id = sha256_hex(&bytes);
    let close = EventKind::Close { status: RunStatus::Decided(Verdict::Go), record: Some(id.clone()) };
    events.pop();
    events.push(event(close));
    let folder = tempfile::tempdir().unwrap();
    let mut journal = Journal::create(folder.path(), Durability::None, None).unwrap();
    events.iter().for_each(|event| journal.event(event).unwrap());
    let lines = std::fs::read(folder.path().join(super::journal::FILE_NAME)).unwrap();

    let kept = golden("journal-1.jsonl", &lines);
    assert!(kept == lines, "the journal of one run changed");
    let kept_record = golden("record-1.jsonl", &bytes);
    assert!(kept_record == bytes, "the record of one run changed");
    let found = super::read::recover(&kept).unwrap();
    assert_eq!((&found.events, found.torn), (&events, false));
    // What `verify` does: the record is what the journal says, and the journal knows its digest.
    assert_eq!(project(&found.events).unwrap().finish(&decision()).unwrap(), kept_record);
    let EventKind::Close { record, .. } = &found.events.last().unwrap().kind else { panic!("no close") };
    assert_eq!(record.as_ref(), Some(&id));
    assert_eq!(super::read::read_record(&kept_record).unwrap().id, id);
}
