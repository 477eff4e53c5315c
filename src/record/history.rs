//! `history.jsonl`: what every step of a finished run came to, a line a run, beside the index. A cache that can be made
//! anew from the journals; judges nothing and compares nothing.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::ops::Range;
use std::os::unix::fs::OpenOptionsExt;

use serde::{Deserialize, Serialize};

use super::canonical;
use super::store::{Store, StoreError, io_error};
use crate::event::{Event, EventKind};
use crate::ids::StepId;
use crate::outcome::{State, StepResult};

/// Beside the index, so that what every run reads at its start stays small.
const FILE_NAME: &str = "history.jsonl";
/// Raised when lines say more: lines of another version are made anew from their journals.
const VERSION: u32 = 1;
/// Longest observed text kept, in characters.
const MOST: usize = 120;
/// Digits kept of an action digest: enough to tell two apart.
const DIGITS: usize = 16;

/// The steps of a finished run in short.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryLine {
    /// Version of the line.
    pub v: u32,
    /// Run id.
    pub run: String,
    /// Record id.
    pub record: String,
    /// By name; those that ran.
    pub steps: BTreeMap<String, StepBrief>,
}

/// A step that ran, in short.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepBrief {
    /// How it ended.
    pub state: State,
    /// How many attempts it took.
    pub tries: u32,
    /// The first digits of its action digest.
    pub action: Option<String>,
    /// Criteria of the attempt that decided, in plan order.
    pub criteria: Vec<CriterionBrief>,
}

/// A judged criterion in short.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CriterionBrief {
    /// As written.
    pub text: String,
    /// How it came out.
    pub state: State,
    /// What was, as a person reads it.
    pub actual: String,
}

impl HistoryLine {
    /// The line of a run from its `open` and its commits.
    #[must_use]
    pub fn of(run: &str, events: &[Event], record: &str) -> Self {
        let heads = events.iter().find_map(|event| match &event.kind {
            EventKind::Open { steps, .. } => Some(steps),
            _ => None,
        });
        let names: BTreeMap<StepId, &str> =
            heads.into_iter().flatten().map(|head| (head.step, head.name.as_str())).collect();
        let steps = events.iter().filter_map(|event| match &event.kind {
            EventKind::Commit { step, result } => Some(((*names.get(step)?).to_owned(), brief(result)?)),
            _ => None,
        });
        Self { steps: steps.collect(), ..Self::empty(run, record) }
    }

    /// The line of a run that has no steps.
    pub(super) fn empty(run: &str, record: &str) -> Self {
        Self { v: VERSION, run: run.to_owned(), record: record.to_owned(), steps: BTreeMap::new() }
    }

    /// The bytes of this line with steps whose bytes are there already, in canonical order; about `size` of them.
    pub(super) fn with_steps(
        &self,
        size: usize,
        steps: impl Iterator<Item = io::Result<(String, Vec<u8>)>>,
    ) -> io::Result<Vec<u8>> {
        const HERE: &[u8] = br#""steps":{"#;
        let line = canonical::to_line(self).map_err(io::Error::other)?;
        let at = line.windows(HERE.len()).position(|part| part == HERE).map(|at| at + HERE.len());
        let (before, after) = line.split_at(at.unwrap_or(line.len()));
        let mut bytes = Vec::with_capacity(line.len() + size);
        bytes.extend_from_slice(before);
        for (number, step) in steps.enumerate() {
            let (name, brief) = step?;
            if number > 0 {
                bytes.push(b',');
            }
            bytes.append(&mut canonical::to_bytes(&name).map_err(io::Error::other)?);
            bytes.push(b':');
            bytes.extend_from_slice(&brief);
        }
        bytes.extend_from_slice(after);
        Ok(bytes)
    }
}

pub(super) fn brief(result: &StepResult) -> Option<StepBrief> {
    let short = |text: &str, most: usize| text.chars().take(most).collect::<String>();
    let criteria = result.attempts.last()?.criteria.iter().map(|criterion| CriterionBrief {
        text: criterion.text.clone(),
        state: criterion.state,
        actual: short(&criterion.actual, MOST),
    });
    Some(StepBrief {
        state: result.state,
        tries: u32::try_from(result.attempts.len()).unwrap_or(u32::MAX),
        action: result.action.as_ref().map(|digest| short(digest, DIGITS)),
        criteria: criteria.collect(),
    })
}

impl Store {
    /// Adds the steps of finished runs to the history. The caller holds the workspace (see [`Store::open`]).
    ///
    /// # Errors
    /// When the file cannot be written. The runs themselves are safe all the same.
    pub fn remember_steps(&self, lines: &[HistoryLine]) -> Result<(), StoreError> {
        let mut bytes = Vec::new();
        for line in lines {
            let path = self.root().join(FILE_NAME);
            let error = io_error("write", &path);
            bytes.append(&mut canonical::to_line(line).map_err(|e| error(io::Error::other(e)))?);
        }
        self.remember_lines(&bytes)
    }

    /// As [`Store::remember_steps`], of whole lines (see [`super::gather::Gathered::history`]).
    ///
    /// # Errors
    /// As there.
    pub fn remember_lines(&self, bytes: &[u8]) -> Result<(), StoreError> {
        let path = self.root().join(FILE_NAME);
        let error = io_error("write", &path);
        let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(&path).map_err(&error)?;
        file.write_all(bytes).map_err(&error)
    }

    /// What is remembered of the steps of finished runs. Lines that are torn, or that another version wrote, are left
    /// out: it is a cache.
    #[must_use]
    pub fn history(&self) -> Remembered {
        let bytes = fs::read(self.root().join(FILE_NAME)).unwrap_or_default();
        let mut lines = BTreeMap::new();
        let mut at = 0;
        for line in bytes.split_inclusive(|&b| b == b'\n') {
            if let Some(run) = run_of(line) {
                lines.insert(run.to_owned(), at..at + line.len());
            }
            at += line.len();
        }
        Remembered { bytes, lines }
    }
}

/// The run that a whole line of this version is about, without reading the rest of it.
fn run_of(line: &[u8]) -> Option<&str> {
    const BEGIN: &[u8] = br#"{"record":""#;
    const NEXT: &[u8] = br#"","run":""#;
    let end = format!(",\"v\":{VERSION}}}\n");
    let rest = line.strip_suffix(end.as_bytes())?.strip_prefix(BEGIN)?;
    let record = rest.iter().position(|&b| b == b'"')?;
    let run = rest[record..].strip_prefix(NEXT)?;
    std::str::from_utf8(&run[..run.iter().position(|&b| b == b'"')?]).ok()
}

/// Lines of the history; each is read when it is asked for, since most questions are about few of many runs.
#[derive(Debug, Default)]
pub struct Remembered {
    bytes: Vec<u8>,
    lines: BTreeMap<String, Range<usize>>,
}

impl Remembered {
    /// Whether there is a line about this run.
    #[must_use]
    pub fn knows(&self, run: &str) -> bool {
        self.lines.contains_key(run)
    }

    /// The line about a run; `None` if there is none, or it can't be read.
    #[must_use]
    pub fn get(&self, run: &str) -> Option<HistoryLine> {
        serde_json::from_slice(self.bytes.get(self.lines.get(run)?.clone())?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::{commit, head, open, passed, ran};
    use super::*;
    use crate::outcome::Cause;

    #[test]
    fn steps_that_ran_are_remembered_and_damaged_lines_are_left_out() {
        let mut twice = ran(State::Pass, None);
        twice.attempts.insert(0, twice.attempts[0].clone());
        twice.attempts[1].criteria[0].actual = "9".repeat(500);
        let skipped = StepResult::unrun(State::Skipped, Cause::Filtered);
        let events = [
            open(vec![head(0, "a"), head(1, "b"), head(2, "c")]),
            commit(0, twice),
            commit(1, skipped),
            commit(2, passed()),
        ];
        let line = HistoryLine::of("r1", &events, "x");
        assert_eq!(line.steps.keys().collect::<Vec<_>>(), ["a", "c"]);
        let a = &line.steps["a"];
        assert_eq!((a.state, a.tries, a.action.as_deref()), (State::Pass, 2, Some("3333333333333333")));
        assert_eq!((a.criteria[0].text.as_str(), a.criteria[0].actual.len()), ("exit == 0", MOST));
        let workspace = tempfile::tempdir().unwrap();
        let store = Store::open(workspace.path(), false).unwrap();
        assert!(!store.history().knows("r1"));
        let other = HistoryLine { v: VERSION + 1, run: "r2".into(), ..line.clone() };
        store.remember_steps(&[line.clone(), other]).unwrap();
        let path = store.root().join(FILE_NAME);
        let mut bytes = fs::read(&path).unwrap();
        bytes.extend(b"rubbish\n{}\n");
        fs::write(&path, bytes).unwrap();
        let found = store.history();
        assert_eq!((found.get("r1"), found.get("r2"), found.lines.len()), (Some(line.clone()), None, 1));
        // The last line about a run counts; one that was torn does not.
        let later = HistoryLine { record: "y".into(), ..line };
        store.remember_steps(std::slice::from_ref(&later)).unwrap();
        assert_eq!(store.history().get("r1"), Some(later));
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
        assert_eq!(store.history().get("r1").unwrap().record, "x");
    }
}
