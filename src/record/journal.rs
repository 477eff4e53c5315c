//! Writes the journal: one event, one chained canonical line. Knows no record and never reads back.
//!
//! A journal may be batched: lines are written together, at the latest before anything is done on the strength of them.

use std::borrow::Cow;
use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value as Json};

use super::line::{self, Line};
use super::summed::{Digits, Summed};
use crate::event::{Event, EventKind, Sink};
use crate::facts::{Facts, Value};
use crate::outcome::{AttemptResult, CriterionResult};

/// Name of the journal in the folder of its run.
pub const FILE_NAME: &str = "journal.jsonl";

/// `prev` of the first line.
pub(super) const NO_LINE: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// Longest observed text kept in a line, in bytes. The whole output stays in the spool.
pub const MAX_TEXT: usize = 64 * 1024;

/// Most items of a list among the facts.
const MAX_ITEMS: usize = 100_000;

/// Deepest nesting of an observed value, so that every line can be read back.
const MAX_DEPTH: usize = 40;

/// Deepest nesting of a JSON document among the facts; the reader's own limit is 128.
const MAX_JSON_DEPTH: usize = 120;

/// Least time between two syncs of commits. A sync takes as long as half a step that does nothing.
pub const GROUP: Duration = Duration::from_millis(50);

/// Most bytes that wait to be written.
const MOST_WAITING: usize = 256 * 1024;

/// Most memory that is kept for lines to come.
const MOST_KEPT: usize = 32 * 1024;

/// Replaces secrets in a text.
pub type MaskFn = Arc<dyn Fn(&str) -> String>;

/// What a power failure may take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// Nothing that was committed more than [`GROUP`] and one turn of the clock before: `fdatasync` at open, at close and at a
    /// commit, but commits that follow one on the other faster than that share one.
    #[default]
    Full,
    /// Whatever the system had not written yet. A killed engine still loses nothing.
    None,
}

/// Where lines go: a file, or a fake that fails on purpose.
pub trait Medium: Write {
    /// Returns when everything written is on the disk.
    ///
    /// # Errors
    /// When that cannot be known; then nothing may be taken for stored.
    fn sync(&mut self) -> io::Result<()>;
}

impl Medium for File {
    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }
}

/// The journal of a running run. After the first error it takes no event any more.
pub struct Journal<M = File> {
    medium: M,
    name: String,
    durability: Durability,
    mask: Option<MaskFn>,
    writer: Summed,
    lines: u64,
    prev: Digits,
    state: Phase,
    /// Lines wait for [`Journal::flush`].
    batched: bool,
    waiting: Vec<u8>,
    /// Something is done on the strength of a line that waits.
    urgent: bool,
    /// `mono` of the last write.
    written: u64,
    /// Commits since the last sync.
    unsynced: bool,
    /// `mono` of the last sync and of the last event.
    synced: u64,
    mono: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Nothing written yet.
    New,
    Open,
    /// Read back, whatever its end: a resumed run goes on in it.
    Resumable,
    Closed,
    /// A write or a sync went wrong: what the file holds is unknown.
    Failed,
}

impl Journal<File> {
    /// Creates `journal.jsonl` in `run_dir`, which has none yet. `mask` is the second wall against secrets: the engine
    /// masks what it emits, this masks every text of the line again.
    ///
    /// # Errors
    /// When it exists already or cannot be created; the message names the path.
    pub fn create(run_dir: &Path, durability: Durability, mask: Option<MaskFn>) -> io::Result<Self> {
        let path = run_dir.join(FILE_NAME);
        let name = path.display().to_string();
        let name_it = |e: io::Error| io::Error::new(e.kind(), format!("cannot create `{name}`: {e}"));
        let file = OpenOptions::new().append(true).create_new(true).mode(0o600).open(&path).map_err(name_it)?;
        if durability == Durability::Full {
            File::open(run_dir).and_then(|folder| folder.sync_all()).map_err(name_it)?;
        }
        Ok(Self::over(file, name, durability, mask))
    }

    /// Opens the journal of a run that was interrupted, to go on in it: the chain goes on where the good lines end. A
    /// torn tail is cut off, and kept beside as `journal.torn-<offset>`. The next event has to be `resume`. Gives the latest
    /// time in it too (see [`Event::mono`]).
    ///
    /// # Errors
    /// When it cannot be read, holds no good line or cannot be cut; the message names the path.
    pub fn reopen(run_dir: &Path, durability: Durability, mask: Option<MaskFn>) -> io::Result<(Self, u64)> {
        let path = run_dir.join(FILE_NAME);
        let name = path.display().to_string();
        let name_it = |e: io::Error| io::Error::new(e.kind(), format!("cannot go on in `{name}`: {e}"));
        let mut mono = 0;
        let take = &mut |event: Event| mono = event.mono.max(mono);
        let found = super::read::recover_file_each(run_dir, take).map_err(|e| name_it(io::Error::other(e)))?;
        if found.lines == 0 {
            return Err(name_it(io::Error::other("it holds no whole line")));
        }
        let file = OpenOptions::new().read(true).append(true).open(&path).map_err(name_it)?;
        if found.torn {
            let good = found.good_bytes;
            let mut beside = OpenOptions::new();
            beside.write(true).create(true).truncate(true).mode(0o600);
            let mut beside = beside.open(run_dir.join(format!("journal.torn-{good}"))).map_err(name_it)?;
            let torn = (&file).seek(SeekFrom::Start(good)).and_then(|_| io::copy(&mut &file, &mut beside));
            torn.and_then(|_| beside.sync_all()).map_err(name_it)?;
            file.set_len(good).and_then(|()| file.sync_all()).map_err(name_it)?;
        }
        let mut journal = Self::over(file, name, durability, mask);
        journal.lines = found.lines;
        journal.prev = found.last.as_bytes().try_into().unwrap_or([b'0'; 64]);
        journal.state = Phase::Resumable;
        Ok((journal, mono))
    }
}

impl<M: Medium> Journal<M> {
    /// A journal over any medium; `name` is for messages.
    pub fn over(medium: M, name: impl Into<String>, durability: Durability, mask: Option<MaskFn>) -> Self {
        let prev = [b'0'; 64];
        Self {
            medium,
            name: name.into(),
            durability,
            mask,
            writer: Summed::new(),
            lines: 0,
            prev,
            state: Phase::New,
            batched: false,
            waiting: Vec::new(),
            urgent: false,
            written: 0,
            unsynced: false,
            synced: 0,
            mono: 0,
        }
    }

    /// From now on lines wait until [`Journal::flush`], which has to come before anything is done on the strength of them;
    /// `open`, `resume` and `close` wait for nothing. A flush may leave lines that nothing follows from to a later one.
    pub fn batch(&mut self) {
        self.batched = true;
    }

    /// Writes the lines that wait, and syncs the commits among them unless the last sync was less than [`GROUP`] before
    /// `mono` (as in [`Event::mono`]): then a later call does.
    ///
    /// # Errors
    /// When it can't be written; nothing is taken any more then.
    pub fn flush(&mut self, mono: u64) -> io::Result<()> {
        self.mono = self.mono.max(mono);
        let is_past = |then: u64| u128::from(self.mono.saturating_sub(then)) >= GROUP.as_nanos();
        let is_due = self.unsynced && is_past(self.synced);
        let writes = self.urgent || !self.waiting.is_empty() && is_past(self.written);
        if !writes && !is_due || self.state == Phase::Failed {
            return Ok(());
        }
        let state = std::mem::replace(&mut self.state, Phase::Failed);
        self.write_out(is_due).map_err(|e| self.told(&e))?;
        self.state = state;
        Ok(())
    }

    /// The medium.
    pub fn into_medium(self) -> M {
        self.medium
    }

    /// Writes and syncs whatever waits: what is made from the journal must not be there without it.
    ///
    /// # Errors
    /// As [`Journal::flush`].
    pub fn sync(&mut self) -> io::Result<()> {
        if self.state == Phase::Failed {
            return Ok(());
        }
        let state = std::mem::replace(&mut self.state, Phase::Failed);
        self.write_out(true).map_err(|e| self.told(&e))?;
        self.state = state;
        Ok(())
    }

    fn append(&mut self, event: &Event) -> io::Result<()> {
        match (self.state, &event.kind) {
            (Phase::Failed, _) => return Err(io::Error::other("it failed before and is not tried again")),
            (Phase::Closed, _) => return Err(io::Error::other("it is closed")),
            (Phase::New, EventKind::Open { .. }) => {}
            (Phase::New, _) => return Err(io::Error::other("its first event has to be `open`")),
            (Phase::Open, EventKind::Open { .. }) => return Err(io::Error::other("it is open already")),
            (Phase::Resumable, EventKind::Resume { .. }) | (Phase::Open, _) => {}
            (Phase::Resumable, _) => return Err(io::Error::other("its next event has to be `resume`")),
        }
        self.state = Phase::Failed;
        self.line(event)?;
        self.lines += 1;
        self.mono = self.mono.max(event.mono);
        // A number of a process is for people; nothing follows from it.
        self.urgent |= !matches!(event.kind, EventKind::Spawned { .. });
        let is_edge = matches!(event.kind, EventKind::Open { .. } | EventKind::Resume { .. } | EventKind::Close { .. });
        self.unsynced |= is_edge || matches!(event.kind, EventKind::Commit { .. });
        if is_edge || !self.batched || self.waiting.len() > MOST_WAITING {
            self.write_out(is_edge || !self.batched)?;
        }
        self.state = if matches!(event.kind, EventKind::Close { .. }) { Phase::Closed } else { Phase::Open };
        Ok(())
    }

    /// What waits goes out with one write; a sync follows where there is something to sync.
    fn write_out(&mut self, sync: bool) -> io::Result<()> {
        let bytes = std::mem::take(&mut self.waiting);
        if !bytes.is_empty() {
            self.write_once(&bytes)?;
            self.waiting = bytes;
            self.waiting.clear();
            // The first line is as long as the plan.
            self.waiting.shrink_to(MOST_KEPT);
            (self.urgent, self.written) = (false, self.mono);
        }
        if sync && self.unsynced {
            if self.durability == Durability::Full {
                self.medium.sync()?;
            }
            (self.unsynced, self.synced) = (false, self.mono);
        }
        Ok(())
    }

    fn told(&self, error: &io::Error) -> io::Error {
        io::Error::new(error.kind(), format!("cannot write `{}`: {error}", self.name))
    }

    fn write_once(&mut self, bytes: &[u8]) -> io::Result<()> {
        loop {
            match self.medium.write(bytes) {
                Ok(n) if n == bytes.len() => return Ok(()),
                Ok(n) => {
                    let why = format!("only {n} of {} bytes were written", bytes.len());
                    return Err(io::Error::new(io::ErrorKind::WriteZero, why));
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
    }

    /// Adds the event's line to what waits.
    fn line(&mut self, event: &Event) -> io::Result<()> {
        let (event, cut) = bounded(event, self.mask.as_ref());
        let cut = (cut > 0).then_some(cut);
        let (n, prev) = (self.lines, std::str::from_utf8(&self.prev).map_err(io::Error::other)?);
        let written = match &self.mask {
            None => self.writer.line(&Line { event: &event, cut, n, prev }),
            Some(mask) => {
                let mut members = match serde_json::to_value(&*event).map_err(io::Error::other)? {
                    Json::Object(members) => members,
                    other => return Err(io::Error::other(format!("an event is no object but `{other}`"))),
                };
                mask_members(&mut members, mask);
                self.writer.line(&line::Whole { event: &members, schema: line::schema_of(&event), cut, n, prev })
            }
        };
        let (text, digest) = written.map_err(io::Error::other)?;
        if self.waiting.is_empty() && text.len() > MOST_KEPT {
            self.waiting = self.writer.take();
        } else {
            self.waiting.extend_from_slice(text);
        }
        self.prev = digest;
        Ok(())
    }
}

impl<M: Medium> Sink for Journal<M> {
    fn event(&mut self, event: &Event) -> io::Result<()> {
        self.append(event).map_err(|e| self.told(&e))
    }
}

/// How many bytes the journal left out of this value, if it was shortened (a text keeps its first [`MAX_TEXT`] bytes
/// and ends in a line `{"cut":N}`; a document is replaced by `{"cut":N}`). Only to be asked about lines that have `cut`.
#[must_use]
pub fn cut_of(value: &Value) -> Option<u64> {
    let marker = |text: &str| serde_json::from_str::<Json>(text).ok().as_ref().and_then(marker_bytes);
    match value {
        Value::Text(text) => marker(text.rsplit('\n').next()?),
        Value::Json(document) => marker_bytes(document),
        _ => None,
    }
}

fn marker_bytes(document: &Json) -> Option<u64> {
    let members = document.as_object().filter(|members| members.len() == 1)?;
    members.get("cut")?.as_u64()
}

/// The event with its observed texts shortened to [`MAX_TEXT`], and how many bytes that left out. What a record is made
/// of (criteria, values, causes, digests) is never shortened.
fn bounded<'a>(event: &'a Event, mask: Option<&MaskFn>) -> (Cow<'a, Event>, u64) {
    let mut event = Cow::Borrowed(event);
    let mut bound = Bound { mask, cut: 0 };
    let is_short = match &event.kind {
        EventKind::Sample { criteria, facts, detail, .. } => {
            short_criteria(criteria) && short_facts(facts) && short(detail.as_ref())
        }
        EventKind::Attempt { result, .. } => short_attempt(result),
        EventKind::Commit { result, .. } => short(result.detail.as_ref()) && result.attempts.iter().all(short_attempt),
        EventKind::Warn { text, .. } => text.len() <= MAX_TEXT,
        _ => true,
    };
    if is_short {
        return (event, 0);
    }
    match &mut event.to_mut().kind {
        EventKind::Sample { criteria, facts, detail, .. } => {
            bound.criteria(criteria);
            bound.facts(facts);
            bound.optional(detail.as_mut());
        }
        EventKind::Attempt { result, .. } => bound.attempt(result),
        EventKind::Commit { result, .. } => {
            bound.optional(result.detail.as_mut());
            result.attempts.iter_mut().for_each(|attempt| bound.attempt(attempt));
        }
        EventKind::Warn { text, .. } => bound.text(text),
        _ => {}
    }
    (event, bound.cut)
}

/// Whether nothing of it has to be shortened, as far as that is to be seen at once: nearly always.
fn short_attempt(attempt: &AttemptResult) -> bool {
    short(attempt.detail.as_ref())
        && short_criteria(&attempt.criteria)
        && short_facts(&attempt.facts)
        && attempt.notes.iter().all(|note| note.text.len() <= MAX_TEXT)
}

fn short(text: Option<&String>) -> bool {
    text.is_none_or(|text| text.len() <= MAX_TEXT)
}

fn short_criteria(criteria: &[CriterionResult]) -> bool {
    criteria.iter().all(|criterion| {
        let observed = [&criterion.against, &criterion.margin, &criterion.note];
        criterion.actual.len() <= MAX_TEXT && observed.into_iter().all(|text| short(text.as_ref()))
    })
}

fn short_facts(facts: &Facts) -> bool {
    facts.values.values().all(|value| short_value(value, 0))
}

fn short_value(value: &Value, depth: usize) -> bool {
    match value {
        Value::Text(text) => text.len() <= MAX_TEXT,
        Value::List(_) | Value::Map(_) if depth >= MAX_DEPTH || is_long(value) => false,
        Value::List(items) => items.iter().all(|item| short_value(item, depth + 1)),
        Value::Map(members) => members.values().all(|member| short_value(member, depth + 1)),
        Value::Json(Json::String(_) | Json::Array(_) | Json::Object(_)) => false,
        Value::Json(_) | Value::Null | Value::Bool(_) | Value::Num(..) => true,
    }
}

struct Bound<'a> {
    mask: Option<&'a MaskFn>,
    cut: u64,
}

impl Bound<'_> {
    fn attempt(&mut self, attempt: &mut AttemptResult) {
        self.optional(attempt.detail.as_mut());
        self.criteria(&mut attempt.criteria);
        self.facts(&mut attempt.facts);
        attempt.notes.iter_mut().for_each(|note| self.text(&mut note.text));
    }

    fn criteria(&mut self, criteria: &mut [CriterionResult]) {
        for criterion in criteria {
            self.text(&mut criterion.actual);
            self.optional(criterion.against.as_mut());
            self.optional(criterion.margin.as_mut());
            self.optional(criterion.note.as_mut());
        }
    }

    fn facts(&mut self, facts: &mut Facts) {
        facts.values.values_mut().for_each(|value| self.value(value, 0));
    }

    fn value(&mut self, value: &mut Value, depth: usize) {
        match value {
            Value::List(_) | Value::Map(_) if depth >= MAX_DEPTH || is_long(value) => {
                let size = serde_json::to_vec(value).map_or(0, |bytes| bytes.len());
                *value = Value::Text(self.marker(size));
            }
            Value::List(items) => items.iter_mut().for_each(|item| self.value(item, depth + 1)),
            Value::Map(members) => members.values_mut().for_each(|member| self.value(member, depth + 1)),
            Value::Text(text) => self.text(text),
            Value::Json(document) => self.document(document),
            Value::Null | Value::Bool(_) | Value::Num(..) => {}
        }
    }

    fn document(&mut self, document: &mut Json) {
        let size = if deeper_than(document, MAX_JSON_DEPTH) { None } else { Some(document.to_string().len()) };
        if size.is_none_or(|size| size > MAX_TEXT) {
            let size = size.unwrap_or(0);
            self.cut += (size as u64).max(1);
            *document = serde_json::json!({ "cut": size });
        }
    }

    fn optional(&mut self, text: Option<&mut String>) {
        if let Some(text) = text {
            self.text(text);
        }
    }

    fn text(&mut self, text: &mut String) {
        if text.len() <= MAX_TEXT {
            return;
        }
        // A secret that the cut would split could not be found any more.
        if let Some(mask) = self.mask {
            *text = mask(text);
        }
        let mut keep = text.len().min(MAX_TEXT);
        while !text.is_char_boundary(keep) {
            keep -= 1;
        }
        let marker = self.marker(text.len() - keep);
        text.truncate(keep);
        text.push('\n');
        text.push_str(&marker);
    }

    fn marker(&mut self, bytes: usize) -> String {
        self.cut += (bytes as u64).max(1);
        format!("{{\"cut\":{bytes}}}")
    }
}

fn is_long(value: &Value) -> bool {
    matches!(value, Value::List(items) if items.len() > MAX_ITEMS)
}

fn deeper_than(document: &Json, limit: usize) -> bool {
    match document {
        Json::Array(items) => limit == 0 || items.iter().any(|item| deeper_than(item, limit - 1)),
        Json::Object(members) => limit == 0 || members.values().any(|member| deeper_than(member, limit - 1)),
        _ => false,
    }
}

/// Members whose strings are words or digests of ours: a secret that happens to equal one must not break the line.
const WORDS: [&str; 19] = [
    "action",
    "bool",
    "class",
    "code",
    "decided",
    "kind",
    "norm_sha256",
    "num",
    "on_failure",
    "prev",
    "record",
    "schema",
    "severity",
    "sha256",
    "state",
    "sum",
    "t",
    "tier",
    "verdict",
];

/// Members whose own members have names that the plan chose, so that no word of ours stands in them.
const CHOSEN: [&str; 4] = ["env_set", "map", "values", "vars"];

fn mask_members(members: &mut Map<String, Json>, mask: &MaskFn) {
    for (name, member) in members.iter_mut() {
        match member {
            Json::Object(chosen) if CHOSEN.contains(&name.as_str()) => {
                chosen.values_mut().for_each(|value| mask_value(value, mask));
            }
            Json::String(text) if name == "json" => *text = masked_document(text, mask),
            Json::String(_) if WORDS.contains(&name.as_str()) => {}
            Json::Array(_) if name == "num" => {}
            other => mask_value(other, mask),
        }
    }
}

fn mask_value(value: &mut Json, mask: &MaskFn) {
    match value {
        Json::String(text) => *text = mask(text),
        Json::Array(items) => items.iter_mut().for_each(|item| mask_value(item, mask)),
        Json::Object(members) => mask_members(members, mask),
        Json::Null | Json::Bool(_) | Json::Number(_) => {}
    }
}

/// A JSON document stays one: where masking its text breaks it (a secret number), it becomes one string.
fn masked_document(text: &str, mask: &MaskFn) -> String {
    let masked = mask(text);
    if masked == text || serde_json::from_str::<Json>(&masked).is_ok() {
        masked
    } else {
        Json::String(masked).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::super::read::recover;
    use super::super::sample::{commit, event, head, open, passed, small_run};
    use super::*;
    use crate::digest::sha256_hex;
    use crate::ids::StepId;

    /// A medium that takes `room` bytes and fails at the n-th sync; counts what is asked of it.
    struct Fake {
        bytes: Vec<u8>,
        writes: usize,
        syncs: usize,
        interrupts: usize,
        room: usize,
        full: io::ErrorKind,
        bad_sync: Option<usize>,
    }

    impl Fake {
        fn new() -> Self {
            let full = io::ErrorKind::StorageFull;
            Self { bytes: Vec::new(), writes: 0, syncs: 0, interrupts: 0, room: usize::MAX, full, bad_sync: None }
        }
    }

    impl Write for Fake {
        fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
            self.writes += 1;
            if self.interrupts > 0 {
                self.interrupts -= 1;
                return Err(io::ErrorKind::Interrupted.into());
            }
            let n = buf.len().min(self.room - self.bytes.len().min(self.room));
            if n == 0 {
                return Err(self.full.into());
            }
            self.bytes.extend_from_slice(&buf[..n]);
            Ok(n)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Medium for Fake {
        fn sync(&mut self) -> io::Result<()> {
            self.syncs += 1;
            if self.bad_sync == Some(self.syncs) { Err(io::Error::other("I/O error")) } else { Ok(()) }
        }
    }

    fn journal(fake: Fake) -> Journal<Fake> {
        Journal::over(fake, "j", Durability::Full, None)
    }

    fn written(events: &[Event], mask: Option<MaskFn>) -> Vec<u8> {
        let mut journal = Journal::over(Fake::new(), "j", Durability::None, mask);
        events.iter().for_each(|event| journal.event(event).unwrap());
        journal.into_medium().bytes
    }

    /// A mask that finds nothing takes the other way to the same bytes.
    #[test]
    fn lines_are_the_same_with_and_without_a_tree_in_between() {
        let mut events = small_run();
        let long = EventKind::Warn { step: None, code: "x".into(), text: "\u{1f600}\"".repeat(40_000) };
        events.insert(1, event(long));
        let (plain, masked) = (written(&events, None), written(&events, Some(Arc::new(str::to_owned))));
        assert!(plain.len() > 1000 && plain == masked);
        assert!(recover(&plain).unwrap().cut > 0);
    }

    #[test]
    fn one_line_a_write_and_a_sync_where_promised() {
        let mut journal = journal(Fake { interrupts: 2, ..Fake::new() });
        small_run().iter().for_each(|event| journal.event(event).unwrap());
        let fake = journal.into_medium();
        assert_eq!((fake.writes, fake.syncs), (small_run().len() + 2, 3));
        let lines: Vec<&[u8]> = fake.bytes.split_inclusive(|&b| b == b'\n').collect();
        assert_eq!(lines.len(), small_run().len());
        for pair in lines.windows(2) {
            let next: Json = serde_json::from_slice(pair[1]).unwrap();
            assert_eq!(next["prev"], sha256_hex(pair[0]));
        }
        assert_eq!(recover(&fake.bytes).unwrap().events, small_run());
    }

    #[test]
    fn a_short_write_at_any_byte_is_an_error_and_the_last() {
        let whole = written(&small_run(), None);
        for room in 0..whole.len() {
            let mut journal = journal(Fake { room, ..Fake::new() });
            let errors: Vec<bool> = small_run().iter().map(|event| journal.event(event).is_err()).collect();
            let first = errors.iter().position(|&e| e);
            assert!(first.is_some_and(|first| errors[first..].iter().all(|&e| e)), "room for {room} bytes");
            let fake = journal.into_medium();
            assert_eq!(fake.bytes, whole[..room]);
            assert_eq!(fake.writes, first.unwrap() + 1, "nothing is tried again");
        }
    }

    #[test]
    fn errors_name_the_file_and_keep_their_kind() {
        let mut journal = journal(Fake { room: 0, ..Fake::new() });
        let error = journal.event(&small_run()[0]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert!(error.to_string().starts_with("cannot write `j`: "), "{error}");
    }

    #[test]
    fn a_failed_sync_is_final() {
        let mut journal = journal(Fake { bad_sync: Some(2), ..Fake::new() });
        let results: Vec<bool> = small_run().iter().map(|event| journal.event(event).is_ok()).collect();
        assert_eq!(results, [true, true, false, false, false]);
        assert_eq!(journal.into_medium().syncs, 2);
    }

    fn at(mut event: Event, millis: u64) -> Event {
        event.mono = millis * 1_000_000;
        event
    }

    #[test]
    fn a_batched_journal_has_the_same_bytes_in_fewer_writes_and_commits_share_a_sync() {
        let mut plain = journal(Fake::new());
        let (run, commits) = (small_run(), 400);
        let (first, last) = (run.first().unwrap(), run.last().unwrap());
        let step = |n: u64| {
            let start = event(EventKind::Start { step: StepId(0), attempt: 1 });
            [at(start, n), at(commit(0, passed()), n)]
        };
        let events: Vec<Event> = std::iter::once(at(first.clone(), 0))
            .chain((0..commits).flat_map(step))
            .chain([at(last.clone(), commits)])
            .collect();
        events.iter().for_each(|event| plain.event(event).unwrap());
        let mut batched = journal(Fake::new());
        batched.batch();
        for event in &events {
            batched.event(event).unwrap();
            if matches!(event.kind, EventKind::Commit { .. }) {
                batched.flush(event.mono).unwrap();
            }
        }
        let (plain, batched) = (plain.into_medium(), batched.into_medium());
        assert_eq!(plain.bytes, batched.bytes);
        // One a commit, of both lines, and open and close; one sync every 50 ms of 400.
        assert_eq!((plain.writes, batched.writes), (2 * 400 + 2, 400 + 2));
        assert_eq!((plain.syncs, batched.syncs), (402, 2 + 7));
    }

    #[test]
    fn a_commit_after_a_pause_is_synced_at_once_and_one_soon_after_it_later() {
        let mut journal = journal(Fake::new());
        journal.batch();
        let synced = |journal: &Journal<Fake>| journal.medium.syncs;
        journal.event(&at(small_run().first().unwrap().clone(), 0)).unwrap();
        assert_eq!(synced(&journal), 1);
        for (millis, right) in [(60, 2), (70, 2), (90, 2)] {
            journal.event(&at(commit(0, passed()), millis)).unwrap();
            journal.flush(millis * 1_000_000).unwrap();
            assert_eq!((synced(&journal), journal.waiting.len()), (right, 0), "{millis}");
        }
        // The clock goes on without another event.
        journal.flush(109_000_000).unwrap();
        assert_eq!(synced(&journal), 2);
        journal.flush(110_000_000).unwrap();
        journal.flush(500_000_000).unwrap();
        assert_eq!(synced(&journal), 3);
        journal.event(&at(commit(0, passed()), 501)).unwrap();
        journal.sync().unwrap();
        journal.sync().unwrap();
        assert_eq!(synced(&journal), 4);
    }

    #[test]
    fn the_number_of_a_process_waits_for_the_next_line_or_the_clock() {
        let mut journal = journal(Fake::new());
        journal.batch();
        let spawned = |millis| at(event(EventKind::Spawned { step: StepId(0), pid: 7 }), millis);
        journal.event(&at(small_run().first().unwrap().clone(), 0)).unwrap();
        journal.event(&spawned(1)).unwrap();
        journal.flush(2_000_000).unwrap();
        assert!(!journal.waiting.is_empty());
        journal.flush(60_000_000).unwrap();
        assert!(journal.waiting.is_empty());
        journal.event(&spawned(61)).unwrap();
        journal.event(&at(event(EventKind::Start { step: StepId(0), attempt: 2 }), 62)).unwrap();
        journal.flush(62_000_000).unwrap();
        assert_eq!((journal.waiting.len(), journal.medium.writes), (0, 3));
    }

    #[test]
    fn a_batched_write_that_fails_is_final() {
        let mut journal = journal(Fake { bad_sync: Some(2), ..Fake::new() });
        journal.batch();
        let run = small_run();
        journal.event(&at(run[0].clone(), 0)).unwrap();
        journal.event(&at(commit(0, passed()), 100)).unwrap();
        assert!(journal.flush(100_000_000).is_err());
        assert!(journal.flush(200_000_000).is_ok(), "nothing more is tried");
        assert!(journal.event(run.last().unwrap()).is_err());
        assert_eq!(journal.into_medium().syncs, 2);
    }

    #[test]
    fn open_comes_first_and_nothing_after_close() {
        let start = event(EventKind::Start { step: StepId(0), attempt: 1 });
        assert!(journal(Fake::new()).event(&start).is_err());
        let mut journal = journal(Fake::new());
        small_run().iter().for_each(|event| journal.event(event).unwrap());
        assert!(journal.event(&start).is_err());
    }

    #[test]
    fn long_observed_texts_are_cut_and_say_so() {
        let mut result = passed();
        let facts = &mut result.attempts[0].facts;
        facts.set("stdout", Value::text("\u{e9}".repeat(MAX_TEXT)));
        facts.set("json", Value::Json(serde_json::json!(["x".repeat(MAX_TEXT)])));
        let mut deep = Value::int(1);
        let mut tree = serde_json::json!(1);
        for _ in 0..500 {
            deep = Value::List(vec![deep]);
            tree = serde_json::json!([tree]);
        }
        facts.set("deep", deep);
        facts.set("many", Value::List(vec![Value::Null; MAX_ITEMS + 1]));
        facts.set("most", Value::List(vec![Value::Null; MAX_ITEMS]));
        facts.set("tree", Value::Json(tree));
        result.action_preimage = Some("p".repeat(2 * MAX_TEXT));
        result.values.insert("long".into(), "v".repeat(2 * MAX_TEXT));
        let found = recover(&written(&[open(vec![head(0, "a")]), commit(0, result.clone())], None)).unwrap();
        let EventKind::Commit { result: kept, .. } = &found.events[1].kind else { panic!("no commit") };
        let (facts, bytes) = (&kept.attempts[0].facts.values, u64::try_from(MAX_TEXT).unwrap());
        assert_eq!(cut_of(&facts["stdout"]), Some(bytes));
        assert_eq!(cut_of(&facts["json"]), Some(bytes + 4));
        assert_eq!(cut_of(&facts["tree"]), Some(0));
        assert!(cut_of(&facts["many"]).is_some_and(|bytes| bytes > 100_000));
        assert!(matches!(&facts["most"], Value::List(items) if items.len() == MAX_ITEMS));
        assert_eq!(cut_of(&facts["percent(lines)"]), None);
        assert!(found.cut > 2 * bytes);
        assert_eq!((&kept.values, &kept.action_preimage), (&result.values, &result.action_preimage));
    }

    #[test]
    fn the_mask_reaches_every_text_and_leaves_a_readable_line() {
        let secret = "s3cr3t-12345678";
        let mut result = passed();
        result.detail = Some(format!("<{secret}>"));
        result.values.insert("code".into(), secret.into());
        let facts = &mut result.attempts[0].facts;
        facts.set("list", Value::List(vec![Value::text(secret)]));
        facts.set("json", Value::Json(serde_json::json!({ "k": secret, "pin": 12_345_678 })));
        facts.set("long", Value::text(format!("{}{secret}", "x".repeat(MAX_TEXT - 3))));
        let mask: MaskFn = Arc::new(move |text| text.replace(secret, "***").replace("12345678", "***"));
        let bytes = written(&[open(vec![head(0, "a")]), commit(0, result)], Some(mask));
        let text = String::from_utf8(bytes.clone()).unwrap();
        assert!(!text.contains("s3c") && !text.contains("12345678"));
        assert_eq!(recover(&bytes).unwrap().events.len(), 2);
        // A secret that equals a word of ours breaks nothing.
        let mask: MaskFn =
            Arc::new(|text| text.replace("percent", "***").replace("commit", "***").replace("pass", "***"));
        assert_eq!(recover(&written(&small_run(), Some(mask))).unwrap().events.len(), small_run().len());
    }

    #[test]
    fn the_file_is_new_private_and_complete() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let mut journal = Journal::create(folder.path(), Durability::Full, None).unwrap();
        small_run().iter().for_each(|event| journal.event(event).unwrap());
        let path = folder.path().join(FILE_NAME);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read(&path).unwrap(), written(&small_run(), None));
        let error = Journal::create(folder.path(), Durability::Full, None).err().unwrap();
        assert!(error.to_string().contains("journal.jsonl"), "{error}");
    }
}
