//! `runplan diff`: what differs between the records of two runs, and from their journals why. Runs nothing.

use serde_json::json;

use crate::cli::{Diff, Format};
use crate::event::{Event, EventKind};
use crate::exit::Exit;
use crate::record::difference::{self, Difference};
use crate::record::read::RecordFile;
use crate::report::differences::{self, Differences, Field, Group};
use crate::report::terminal::{Stream, Terminal};

use super::log;
use super::past::{Fault, wrong};

/// One of the two runs.
struct Side {
    id: String,
    record: RecordFile,
    events: Vec<Event>,
}

impl Side {
    fn read(named: &str) -> Result<Self, Fault> {
        let log = log::open(named)?;
        let found = log.recovered()?;
        let record = log.checked_record(&found)?;
        Ok(Self { id: log.id, record, events: found.events })
    }

    /// The text that the action digest of a step was made of.
    fn preimage(&self, wanted: &str) -> Option<&str> {
        let heads = self.events.iter().find_map(|event| match &event.kind {
            EventKind::Open { steps, .. } => Some(steps),
            _ => None,
        })?;
        let wanted = heads.iter().find(|head| head.name == wanted)?.step;
        self.events.iter().find_map(|event| match &event.kind {
            EventKind::Commit { step, result } if *step == wanted => result.action_preimage.as_deref(),
            _ => None,
        })
    }
}

pub(super) fn diff(ask: &Diff, terminal: &Terminal) -> Exit {
    let compared = Side::read(&ask.a).and_then(|a| {
        let b = Side::read(&ask.b)?;
        compare(&a, &b)
    });
    let found = match compared {
        Ok(found) => found,
        Err(fault) => return log::refused(terminal, &fault),
    };
    let text = match ask.format {
        Format::Human => differences::render(&found, terminal.look(Stream::Out)),
        Format::Json => as_json(&found),
    };
    terminal.write(Stream::Out, &text);
    if found.groups.is_empty() { Exit::Done } else { Exit::Differs }
}

fn compare(a: &Side, b: &Side) -> Result<Differences, Fault> {
    let found = difference::records(&a.record, &b.record).map_err(|error| wrong(error.to_string()))?;
    let mut groups = Vec::new();
    let mut whole = |title: &str, list: &[Difference]| {
        if !list.is_empty() {
            groups.push(Group { title: title.to_owned(), fields: fields(list), ..Group::default() });
        }
    };
    whole("plan and parameters", &found.run);
    whole("decision", &found.end);
    for step in &found.steps {
        let (note, why) = match step.in_both {
            [true, false] => ("only in A", Vec::new()),
            [false, true] => ("only in B", Vec::new()),
            _ => ("", why(a, b, step)),
        };
        let title = format!("step {}", step.step);
        groups.push(Group { title, note: note.to_owned(), fields: fields(&step.fields), why });
    }
    Ok(Differences { runs: [a.id.clone(), b.id.clone()], records: [a.record.id.clone(), b.record.id.clone()], groups })
}

/// What changed an action digest, if it did; nothing where one of the two steps never ran.
fn why(a: &Side, b: &Side, step: &difference::StepDifference) -> Vec<Field> {
    if !step.fields.iter().any(|difference| difference.field == ["action"]) {
        return Vec::new();
    }
    let (Some(one), Some(other)) = (a.preimage(&step.step), b.preimage(&step.step)) else { return Vec::new() };
    difference::preimages(one, other)
        .map(|list| list.iter().map(|d| field(d, &action_name(&d.field))).collect())
        .unwrap_or_default()
}

fn fields(list: &[Difference]) -> Vec<Field> {
    list.iter().map(|difference| field(difference, &record_name(&difference.field))).collect()
}

/// What only is there or is not has no value to tell.
fn field(difference: &Difference, name: &str) -> Field {
    Field { name: name.to_owned(), a: difference.a.clone(), b: difference.b.clone() }
}

pub(super) fn record_name(words: &[String]) -> String {
    words.join(" ")
}

/// A part of an action by the name that a plan has for it: `env PATH`, `input src/a.c: sha256`.
pub(super) fn action_name(words: &[String]) -> String {
    let rest = |from: usize| words.get(from..).unwrap_or_default().join(" ");
    let word = |at: usize| words.get(at).map_or("", String::as_str);
    match (word(0), words.len()) {
        ("action", 4..) if word(2) == "command" => format!("{} {}", word(1), rest(3)),
        ("action", 2..) => rest(1),
        ("inputs", 3..) => format!("input {}: {}", word(1), rest(2)),
        ("needs", 4..) if word(2) == "outputs" => format!("output {} of `{}`: {}", word(3), word(1), rest(4)),
        ("needs", 4..) if word(2) == "values" => format!("value {} of `{}`", word(3), word(1)),
        ("criteria", 2..) => format!("criterion {}", rest(1)),
        ("outputs", 2..) => format!("declared output {}", rest(1)),
        ("policy", 2..) => rest(1),
        _ => rest(0),
    }
}

fn as_json(found: &Differences) -> String {
    let fields =
        |list: &[Field]| -> Vec<_> { list.iter().map(|f| json!({ "field": f.name, "a": f.a, "b": f.b })).collect() };
    let groups: Vec<_> = found
        .groups
        .iter()
        .map(|group| {
            json!({
                "part": group.title, "note": group.note, "fields": fields(&group.fields), "action_changed_by": fields(&group.why),
            })
        })
        .collect();
    let value = json!({
        "schema": "runplan.diff/1", "runs": found.runs, "records": found.records, "equal": found.groups.is_empty(),
        "differences": groups,
    });
    format!("{value:#}\n")
}
