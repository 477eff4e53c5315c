//! Walks paths through the evidence. The storage convention of the room's documentation, and nothing else.

use serde_json_path::JsonPath;

use super::Evidence;
use super::ast::{Path, Seg};
use super::datum::Datum;
use super::scope::{is_plural, json_query, matcher};
use super::suggest::listed;
use super::table::glob_of;
use crate::facts::{Facts, Value};

/// What stands under a path.
pub(super) enum Read<'a> {
    Found(Datum<'a>),
    /// Proven not to be there.
    Absent,
    /// Never produced; the note says what is missing.
    NoData(String),
}

pub(super) fn path<'a>(path: &Path, ev: &Evidence<'a>) -> Read<'a> {
    let name = |i: usize| path.segs.get(i).map(Seg::key).unwrap_or_default();
    match path.head() {
        "vars" => ev
            .vars
            .get(&name(1))
            .map_or_else(|| Read::NoData(format!("`{path}` has no value")), |v| Read::Found(Datum::of(v))),
        "env" => ev.env.get(&name(1)).map_or(Read::Absent, |text| Read::Found(Datum::Text(text.into()))),
        "steps" => match (ev.steps.get(&name(1)), path.segs.get(2..)) {
            (Some(facts), Some(segs)) => match unrun(facts) {
                Some(state) if segs.first().is_some_and(|seg| seg.name != "state") => {
                    Read::NoData(format!("step `{}` did not run ({state})", name(1)))
                }
                _ => walk(path, segs, facts),
            },
            _ => Read::NoData(format!("step `{}` gave no facts", name(1))),
        },
        _ => walk(path, &path.segs, ev.facts),
    }
}

/// The state of a step that never ran, if these are its facts: there is nothing else to say of it.
fn unrun(facts: &Facts) -> Option<&str> {
    match facts.values.get("state") {
        Some(Value::Text(state)) if ["skipped", "not_run"].contains(&state.as_str()) => Some(state),
        _ => None,
    }
}

/// The value under a path in every look; looks that went wrong (no facts at all) are left out.
pub(super) fn samples<'a>(path: &Path, ev: &Evidence<'a>) -> Result<Vec<Datum<'a>>, String> {
    let looks = ev.samples.iter().filter(|facts| !facts.values.is_empty());
    looks
        .map(|facts| match walk(path, &path.segs, facts) {
            Read::Found(datum) => Ok(datum),
            Read::Absent => Ok(Datum::Null),
            Read::NoData(note) => Err(note),
        })
        .collect()
}

/// What each item of a list belongs to, where the facts tell: the file of each coverage, the path of each `file` fact.
/// Empty, or as many as there are items.
pub(super) fn names(path: &Path, ev: &Evidence<'_>, count: usize) -> Vec<String> {
    let name = |i: usize| path.segs.get(i).map(Seg::key).unwrap_or_default();
    let (facts, at) = match path.head() {
        "steps" => (ev.steps.get(&name(1)), 2),
        _ => (Some(ev.facts), 0),
    };
    let Some(facts) = facts else { return Vec::new() };
    let value = |key: &str| facts.values.get(key);
    let names = match (path.segs.get(at).map(|seg| seg.name.as_str()), glob_of(path)) {
        (Some("files"), _) => match value("files") {
            Some(Value::Map(lists)) => lists.get("names").map(texts),
            _ => None,
        },
        (Some("file"), Some(glob)) => match (value("file"), matcher(path, glob)) {
            (Some(Value::Map(files)), Ok(matcher)) => {
                Some(files.keys().filter(|n| matcher.is_match(n)).cloned().collect())
            }
            _ => None,
        },
        (Some(fact), None) if PER_PATH.contains(&fact) => value("paths").map(texts),
        (Some("headers"), None) => Some(beside_headers(value("header"), value("paths"))),
        _ => None,
    };
    names.filter(|names: &Vec<String>| names.len() == count).unwrap_or_default()
}

/// Facts of `file` and `http` that are lists in the order of `paths` (`lines` and `values` are not).
const PER_PATH: [&str; 13] = [
    "exists",
    "size",
    "mode",
    "sha256",
    "age",
    "text",
    "status",
    "header",
    "latency",
    "redirects",
    "url",
    "json",
    "cert",
];

/// The path of each header name, of several answers.
fn beside_headers(headers: Option<&Value>, paths: Option<&Value>) -> Vec<String> {
    let (Some(Value::List(headers)), Some(paths)) = (headers, paths) else { return Vec::new() };
    let each = headers.iter().zip(texts(paths)).filter_map(|(header, path)| match header {
        Value::Map(names) => Some(std::iter::repeat_n(path, names.len())),
        _ => None,
    });
    each.flatten().collect()
}

fn texts(value: &Value) -> Vec<String> {
    let Value::List(items) = value else { return Vec::new() };
    items.iter().filter_map(|item| if let Value::Text(text) = item { Some(text.clone()) } else { None }).collect()
}

fn walk<'a>(path: &Path, segs: &[Seg], facts: &'a Facts) -> Read<'a> {
    let Some((first, rest)) = segs.split_first() else { return Read::NoData(format!("`{path}` names no fact")) };
    let value = match (facts.values.get(&first.key()), rest) {
        (None, [name]) if first.name == "outputs" => {
            let joined = facts.values.get(&format!("outputs.{}", name.key()));
            return joined.map_or(Read::Absent, |value| Read::Found(Datum::of(value)));
        }
        (None | Some(Value::Null), []) if path.optional => return Read::Absent,
        (None, _) => return Read::NoData(no_fact(path, first, facts)),
        (Some(Value::Null), _) => return Read::NoData(format!("there is nothing to measure for `{path}`")),
        (Some(Value::Map(map)), []) if first.name == "files" => match map.get("names") {
            Some(names) => names,
            None => return Read::NoData(format!("the report has no `{path}`")),
        },
        (Some(value), _) => value,
    };
    if json_query(path).is_some() {
        return query(path, value);
    }
    let found = match value {
        Value::Map(files) if path.each => {
            let items = files.values().map(|file| descend(path, file, rest).unwrap_or(Datum::Null));
            Some(Datum::List(items.collect()))
        }
        value => descend(path, value, rest),
    };
    // Several answers, each with a list: one list.
    let found = match (value, found) {
        (Value::List(_), Some(Datum::List(items)))
            if path.each && items.iter().any(|item| matches!(item, Datum::List(_))) =>
        {
            let inner = items.into_iter().map(|item| if let Datum::List(inner) = item { inner } else { vec![item] });
            Some(Datum::List(inner.flatten().collect()))
        }
        (_, found) => found,
    };
    match found {
        Some(Datum::Null) if !path.optional => Read::NoData(format!("there is nothing to measure for `{path}`")),
        Some(datum) => Read::Found(datum),
        None if path.optional && glob_of(path).is_none() => Read::Absent,
        None => Read::NoData(match glob_of(path) {
            Some(glob) => format!("nothing matches `{glob}`"),
            None => not_there(path, value, rest),
        }),
    }
}

fn no_fact(path: &Path, first: &Seg, facts: &Facts) -> String {
    if first.name == "json" {
        return format!("`{path}`: there is no valid JSON to look into");
    }
    if facts.values.is_empty() {
        return format!("`{path}` is not known: the look gave no facts");
    }
    format!("`{path}` is not among what was seen")
}

fn not_there(path: &Path, value: &Value, rest: &[Seg]) -> String {
    let near = match (value, rest.first()) {
        (Value::Map(map), Some(seg)) if seg.quoted => {
            let names: Vec<&str> = map.keys().map(String::as_str).collect();
            super::suggest::nearest(&seg.name, names.iter().copied())
                .map(|name| format!("; did you mean `{name}`?"))
                .or_else(|| (!names.is_empty() && names.len() < 6).then(|| format!("; there is {}", listed(&names, 6))))
        }
        _ => None,
    };
    format!("`{path}` is not among what was seen{}", near.unwrap_or_default())
}

/// Follows keys below a top-level fact; `None` where one is missing.
fn descend<'a>(path: &Path, value: &'a Value, rest: &[Seg]) -> Option<Datum<'a>> {
    let Some((seg, below)) = rest.split_first() else { return Some(Datum::of(value)) };
    match value {
        Value::Map(map) => {
            if below.len() == 1
                && let Some(glob) = glob_of(path)
            {
                return globbed(path, glob, map, seg, below);
            }
            let key = if path.segs.iter().rev().nth(1).is_some_and(|s| s.name == "header") {
                seg.key().to_lowercase()
            } else {
                seg.key()
            };
            descend(path, map.get(&key)?, below)
        }
        Value::Json(json) => descend_json(json, rest).map(Datum::json),
        Value::List(items) => {
            Some(Datum::List(items.iter().map(|item| descend(path, item, rest).unwrap_or(Datum::Null)).collect()))
        }
        _ => None,
    }
}

/// All entries whose name matches; an entry of exactly that name wins.
fn globbed<'a>(
    path: &Path,
    glob: &str,
    map: &'a std::collections::BTreeMap<String, Value>,
    seg: &Seg,
    below: &[Seg],
) -> Option<Datum<'a>> {
    let take = |value: &'a Value| descend(path, value, below).unwrap_or(Datum::Null);
    if let Some(exact) = map.get(&seg.name) {
        return Some(Datum::List(vec![take(exact)]));
    }
    let matcher = path.glob.clone().or_else(|| matcher(path, glob).ok())?;
    let items: Vec<_> = map.iter().filter(|(name, _)| matcher.is_match(name)).map(|(_, value)| take(value)).collect();
    (!items.is_empty()).then_some(Datum::List(items))
}

fn descend_json<'a>(json: &'a serde_json::Value, rest: &[Seg]) -> Option<&'a serde_json::Value> {
    rest.iter().try_fold(json, |json, seg| match json {
        serde_json::Value::Object(map) => map.get(&seg.key()),
        serde_json::Value::Array(items) => items.get(seg.name.parse::<usize>().ok()?),
        _ => None,
    })
}

fn query<'a>(path: &Path, value: &'a Value) -> Read<'a> {
    let json = match value {
        Value::Json(json) => json,
        // Several answers: what is found in each, in their order; of a path that finds many, all of it.
        Value::List(answers) => {
            let mut all = Vec::new();
            for answer in answers {
                match query(path, answer) {
                    Read::Found(Datum::List(items)) if is_plural(&json_query(path).unwrap_or_default().1) => {
                        all.extend(items);
                    }
                    Read::Found(datum) => all.push(datum),
                    Read::Absent => all.push(Datum::Null),
                    Read::NoData(why) => return Read::NoData(why),
                }
            }
            return Read::Found(Datum::List(all));
        }
        _ => return Read::NoData(format!("`{path}`: there is no valid JSON to look into")),
    };
    let Some((_, text)) = json_query(path) else { return Read::Absent };
    let Some(query) = path.json.clone().or_else(|| JsonPath::parse(&text).ok()) else {
        return Read::NoData(format!("`{text}` is no JSONPath"));
    };
    let nodes = query.query(json).all();
    if is_plural(&text) {
        return Read::Found(Datum::List(nodes.into_iter().map(Datum::json).collect()));
    }
    nodes.first().map_or(Read::Absent, |node| Read::Found(Datum::json(node)))
}
