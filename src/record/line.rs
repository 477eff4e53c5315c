//! What a line of the journal holds, besides its check sum: an event, its number, the digest of the line before.
//!
//! The lines that every step has, and the first one, which tells of all of them, come in the order of canonical JSON, so
//! that nothing has to be sorted.

use serde::ser::{Serialize, SerializeStruct as _, Serializer};

use super::format::JOURNAL;
use crate::event::{Event, EventKind};
use crate::ids::StepId;
use crate::outcome::{AttemptResult, StepResult};

/// A line.
pub(super) struct Line<'a> {
    pub(super) event: &'a Event,
    /// Bytes that were left out of it.
    pub(super) cut: Option<u64>,
    /// Its number, from 0.
    pub(super) n: u64,
    pub(super) prev: &'a str,
}

/// Any line; `event` is one, or its members.
#[derive(serde::Serialize)]
pub(super) struct Whole<'a, E> {
    #[serde(flatten)]
    pub(super) event: &'a E,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) schema: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cut: Option<u64>,
    pub(super) n: u64,
    pub(super) prev: &'a str,
}

/// What the first line says of all.
pub(super) fn schema_of(event: &Event) -> Option<String> {
    matches!(event.kind, EventKind::Open { .. }).then(|| JOURNAL.to_string())
}

/// Members of an event that every step has, beside the time.
struct Common<'a> {
    attempt: Option<u32>,
    pid: Option<u32>,
    result: Option<Outcome<'a>>,
    run: Option<&'a str>,
    step: StepId,
    t: &'static str,
}

#[derive(serde::Serialize)]
#[serde(untagged)]
enum Outcome<'a> {
    Attempt(&'a AttemptResult),
    Step(&'a StepResult),
}

impl<'a> Common<'a> {
    fn of(kind: &'a EventKind) -> Option<Self> {
        let of = |step: &StepId, t| Self { attempt: None, pid: None, result: None, run: None, step: *step, t };
        Some(match kind {
            EventKind::Ready { step } => of(step, "ready"),
            EventKind::Start { step, attempt } => Self { attempt: Some(*attempt), ..of(step, "start") },
            EventKind::Spawned { step, pid } => Self { pid: Some(*pid), ..of(step, "spawned") },
            EventKind::Attempt { step, attempt, result } => {
                Self { attempt: Some(*attempt), result: Some(Outcome::Attempt(result)), ..of(step, "attempt") }
            }
            EventKind::Reused { step, run } => Self { run: Some(run), ..of(step, "reused") },
            EventKind::Commit { step, result } => Self { result: Some(Outcome::Step(result)), ..of(step, "commit") },
            _ => return None,
        })
    }
}

impl Serialize for Line<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { event, cut, n, prev } = self;
        if let EventKind::Open { plan, settings, steps } = &event.kind {
            let mut line = serializer.serialize_struct("Line", 10)?;
            line.serialize_field("at", &event.at)?;
            if let Some(cut) = cut {
                line.serialize_field("cut", cut)?;
            }
            line.serialize_field("mono", &event.mono)?;
            line.serialize_field("n", n)?;
            line.serialize_field("plan", plan)?;
            line.serialize_field("prev", prev)?;
            line.serialize_field("schema", &schema_of(event))?;
            line.serialize_field("settings", settings)?;
            line.serialize_field("steps", steps)?;
            line.serialize_field("t", "open")?;
            return line.end();
        }
        let Some(common) = Common::of(&event.kind) else {
            return Whole { event: *event, schema: schema_of(event), cut: *cut, n: *n, prev }.serialize(serializer);
        };
        let mut line = serializer.serialize_struct("Line", 11)?;
        line.serialize_field("at", &event.at)?;
        if let Some(attempt) = common.attempt {
            line.serialize_field("attempt", &attempt)?;
        }
        if let Some(cut) = cut {
            line.serialize_field("cut", cut)?;
        }
        line.serialize_field("mono", &event.mono)?;
        line.serialize_field("n", n)?;
        if let Some(pid) = common.pid {
            line.serialize_field("pid", &pid)?;
        }
        line.serialize_field("prev", prev)?;
        if let Some(result) = &common.result {
            line.serialize_field("result", result)?;
        }
        if let Some(run) = common.run {
            line.serialize_field("run", run)?;
        }
        line.serialize_field("step", &common.step)?;
        line.serialize_field("t", common.t)?;
        line.end()
    }
}

#[cfg(test)]
mod tests {
    use super::super::canonical::to_bytes;
    use super::super::sample;
    use super::*;

    #[test]
    fn a_line_is_what_the_event_and_its_place_are() {
        for event in sample::every_event() {
            for cut in [None, Some(3)] {
                let line = Line { event: &event, cut, n: 7, prev: "p" };
                let whole = Whole { event: &event, schema: schema_of(&event), cut, n: 7, prev: "p" };
                assert_eq!(to_bytes(&line).unwrap(), to_bytes(&whole).unwrap(), "{event:?}");
            }
        }
    }
}
