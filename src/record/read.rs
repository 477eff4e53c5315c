//! Reads journals and records back and trusts no byte of them. Changes no file; never panics on what it reads.

use std::fmt;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use serde_json::Value as Json;

use super::canonical::{self, CanonicalError};
use super::format::{FormatError, JournalVersion, RecordSemantics, RecordVersion};
use super::journal::{self, NO_LINE};
use super::project::{EndLine, RunLine, StepLine};
use super::summed;
use crate::digest::sha256_hex;
use crate::event::{Event, EventKind};

/// What a journal still says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recovered {
    /// The events of all good lines, in order; a prefix of what was written.
    pub events: Vec<Event>,
    /// How many good lines there are.
    pub lines: u64,
    /// SHA-256 of the last of them.
    pub last: String,
    /// Length of the good lines in bytes: where a resumed run cuts a torn tail off.
    pub good_bytes: u64,
    /// Something incomplete follows the good lines: the engine or the machine died while writing it.
    pub torn: bool,
    /// Bytes of observed texts that the writer left out, over all lines.
    pub cut: u64,
}

/// Why a log file cannot be used.
#[derive(Debug)]
pub enum ReadError {
    /// The file cannot be read.
    Io(PathBuf, io::Error),
    /// A version that this engine does not read.
    Format(FormatError),
    /// The bytes are not those that were written.
    Corrupt {
        /// Line, from 1.
        line: u64,
        /// Byte offset of its first byte.
        offset: u64,
        /// What is wrong with it.
        reason: String,
    },
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(path, e) => write!(f, "cannot read `{}`: {e}", path.display()),
            Self::Format(e) => write!(f, "{e}; {}", e.help()),
            Self::Corrupt { line, offset, reason } => {
                write!(f, "the log is corrupt at line {line} (byte {offset}): {reason}")
            }
        }
    }
}

impl std::error::Error for ReadError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io(_, e) => Some(e),
            Self::Format(e) => Some(e),
            Self::Corrupt { .. } => None,
        }
    }
}

/// [`recover`] of the journal in the folder of a run.
///
/// # Errors
/// As [`recover`], or when the file cannot be read.
pub fn recover_file(run_dir: &Path) -> Result<Recovered, ReadError> {
    let mut events = Vec::new();
    let found = recover_file_each(run_dir, &mut |event| events.push(event))?;
    Ok(Recovered { events, ..found })
}

/// As [`recover_file`], but the events are told one by one and not held.
///
/// # Errors
/// As there; what was told by then counts for nothing.
pub fn recover_file_each(run_dir: &Path, take: &mut dyn FnMut(Event)) -> Result<Recovered, ReadError> {
    let path = run_dir.join(journal::FILE_NAME);
    let file = std::fs::File::open(&path).map_err(|e| ReadError::Io(path.clone(), e))?;
    recover_from(&mut BufReader::with_capacity(64 * 1024, file), &path, take)
}

/// Reads a journal. The good offset goes on only after a line is complete, canonical, sound and chained. A bad tail
/// with nothing good behind it is torn; anything else that is wrong is corruption.
///
/// # Errors
/// [`ReadError::Corrupt`] when a line is not what was written and sound lines follow it, or when sound lines are
/// missing, repeated or out of order; [`ReadError::Format`] for another version.
pub fn recover(bytes: &[u8]) -> Result<Recovered, ReadError> {
    let mut events = Vec::new();
    let found = recover_each(&mut &bytes[..], &mut |event| events.push(event))?;
    Ok(Recovered { events, ..found })
}

/// As [`recover`], but the events are told one by one and not held.
///
/// # Errors
/// As there; what was told by then counts for nothing.
pub fn recover_each(bytes: &mut dyn BufRead, take: &mut dyn FnMut(Event)) -> Result<Recovered, ReadError> {
    recover_from(bytes, Path::new(journal::FILE_NAME), take)
}

fn recover_from(bytes: &mut dyn BufRead, path: &Path, take: &mut dyn FnMut(Event)) -> Result<Recovered, ReadError> {
    let mut found = Recovered { last: NO_LINE.to_owned(), ..Recovered::default() };
    let mut line = Vec::new();
    while next_line(bytes, path, &mut line)? {
        let members = match sound(&line) {
            Ok(members) => members,
            Err(reason) => return torn_or_corrupt(found, bytes, path, &reason),
        };
        let number = found.lines;
        let corrupt = |reason: String| ReadError::Corrupt { line: number + 1, offset: found.good_bytes, reason };
        let (event, cut) = chained(members, number, &found.last, &corrupt)?;
        found.cut += cut;
        found.lines += 1;
        found.good_bytes += line.len() as u64;
        found.last = sha256_hex(&line);
        take(event);
    }
    Ok(found)
}

/// The bytes up to the next line feed, which they include, or all that are left; whether there were any.
fn next_line(bytes: &mut dyn BufRead, path: &Path, line: &mut Vec<u8>) -> Result<bool, ReadError> {
    line.clear();
    let read = bytes.read_until(b'\n', line).map_err(|e| ReadError::Io(path.to_owned(), e))?;
    Ok(read > 0)
}

/// The bytes up to the first line feed, which they include, or all of them.
fn first_line(bytes: &[u8]) -> &[u8] {
    bytes.iter().position(|&b| b == b'\n').map_or(bytes, |end| &bytes[..=end])
}

type Members = serde_json::Map<String, Json>;

/// A line that is whole by itself, wherever it stands.
fn sound(line: &[u8]) -> Result<Members, Reason> {
    let value = canonical::check_line(line).map_err(Reason::Canonical)?;
    let Json::Object(mut members) = value else { return Err(Reason::Sum) };
    // Before the check sum, which another version may not have.
    if let Some(schema) = members.get("schema").and_then(Json::as_str) {
        JournalVersion::readable(schema).map_err(Reason::Format)?;
    }
    let written = members.shift_remove("sum");
    let right = summed::sum(&members).map_err(Reason::Canonical)?;
    if written.as_ref().and_then(Json::as_str) == Some(right.as_str()) { Ok(members) } else { Err(Reason::Sum) }
}

enum Reason {
    Canonical(CanonicalError),
    Format(FormatError),
    Sum,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Canonical(e) => e.fmt(f),
            Self::Format(e) => e.fmt(f),
            Self::Sum => f.write_str("its check sum does not match"),
        }
    }
}

/// What is behind a line that is not sound decides.
fn torn_or_corrupt(
    mut found: Recovered,
    after: &mut dyn BufRead,
    path: &Path,
    reason: &Reason,
) -> Result<Recovered, ReadError> {
    if let Reason::Format(e) = reason
        && found.lines == 0
    {
        return Err(ReadError::Format(e.clone()));
    }
    let mut line = Vec::new();
    while next_line(after, path, &mut line)? {
        if sound(&line).is_ok() {
            let (line, offset) = (found.lines + 1, found.good_bytes);
            return Err(ReadError::Corrupt { line, offset, reason: reason.to_string() });
        }
    }
    found.torn = true;
    Ok(found)
}

fn chained(
    members: Members,
    number: u64,
    prev: &str,
    corrupt: &dyn Fn(String) -> ReadError,
) -> Result<(Event, u64), ReadError> {
    let n = members.get("n").and_then(Json::as_u64);
    if n != Some(number) || members.get("prev").and_then(Json::as_str) != Some(prev) {
        let found = n.map_or_else(|| "a line without number".to_owned(), |n| format!("line number {n}"));
        return Err(corrupt(format!(
            "lines are missing, repeated or out of order: {found} stands where {number} belongs"
        )));
    }
    let is_open = members.get("t").and_then(Json::as_str) == Some("open");
    if is_open != (number == 0) || is_open != members.contains_key("schema") {
        return Err(corrupt("`open` has to be the first line, and only that".to_owned()));
    }
    let cut = members.get("cut").and_then(Json::as_u64).unwrap_or(0);
    match serde_json::from_value(Json::Object(members)) {
        Ok(event) => Ok((event, cut)),
        Err(e) => Err(corrupt(format!("not an event: {e}"))),
    }
}

/// The events that the record is made of: those of the last part of a run that was resumed, all of them otherwise.
#[must_use]
pub fn current(events: &[Event]) -> &[Event] {
    let resumed = events.iter().rposition(|event| matches!(event.kind, EventKind::Resume { .. }));
    resumed.and_then(|at| events.get(at + 1..)).unwrap_or(events)
}

/// The opening and the events of [`current`]: what a reader of one run without interruptions expects.
#[must_use]
pub fn last_part(mut events: Vec<Event>) -> Vec<Event> {
    let left = events.len() - current(&events).len();
    if left > 1 {
        events.drain(1..left);
    }
    events
}

/// Everything that is wrong with the lines of a journal, not only the first: each as `line N (byte M): reason`, at most
/// `most` of them. A line is held against the bytes of the line before it, whatever those are, so that one damaged line
/// is one fault or two and not as many as lines follow. Empty exactly where [`recover`] takes the whole file.
#[must_use]
pub fn faults(bytes: &[u8], most: usize) -> Vec<String> {
    let mut faults = Vec::new();
    let mut prev = NO_LINE.to_owned();
    let (mut rest, mut expected, mut place, mut offset) = (bytes, 0_u64, 0_u64, 0_usize);
    while !rest.is_empty() && faults.len() < most {
        let line = first_line(rest);
        place += 1;
        let wrong = |reason: String| ReadError::Corrupt { line: place, offset: offset as u64, reason };
        let fault = match sound(line) {
            Ok(members) => {
                let number = expected;
                // A sound line says itself where it stands: what is missing before it is one fault.
                expected = members.get("n").and_then(Json::as_u64).unwrap_or(expected).saturating_add(1);
                chained(members, number, &prev, &wrong).err()
            }
            Err(reason) => {
                expected += 1;
                Some(wrong(reason.to_string()))
            }
        };
        if let Some(ReadError::Corrupt { line, offset, reason }) = fault {
            faults.push(format!("line {line} (byte {offset}): {reason}"));
        }
        prev = sha256_hex(line);
        offset += line.len();
        rest = &rest[line.len()..];
    }
    faults
}

/// Whether the journal was closed: its last event.
#[must_use]
pub fn is_closed(events: &[Event]) -> bool {
    matches!(events.last().map(|event| &event.kind), Some(EventKind::Close { .. }))
}

/// A record as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordFile {
    /// SHA-256 of the bytes.
    pub id: String,
    /// The first line.
    pub run: RunLine,
    /// In plan rank.
    pub steps: Vec<StepLine>,
    /// The last line.
    pub end: EndLine,
}

/// Reads the bytes of a `record.jsonl`, every line of which has to be in canonical form and known in all its members.
///
/// # Errors
/// [`ReadError::Corrupt`] at the first line that is not as written; [`ReadError::Format`] for another version.
pub fn read_record(bytes: &[u8]) -> Result<RecordFile, ReadError> {
    let mut lines = RecordLines { rest: bytes, line: 0, start: 0, end: 0 };
    let first = lines.next()?.ok_or_else(|| lines.corrupt("it is empty"))?;
    if let Some(schema) = first.get("schema").and_then(Json::as_str) {
        RecordVersion::readable(schema).map_err(ReadError::Format)?;
    }
    if let Some(number) = first.get("record_semantics").and_then(Json::as_u64) {
        RecordSemantics::readable(u32::try_from(number).unwrap_or(u32::MAX)).map_err(ReadError::Format)?;
    }
    let run = lines.typed(first, "run")?;
    let mut steps: Vec<StepLine> = Vec::new();
    loop {
        let value = lines.next()?.ok_or_else(|| lines.corrupt("the `end` line is missing"))?;
        if value.get("t").and_then(Json::as_str) == Some("end") {
            let end = lines.typed(value, "end")?;
            if lines.next()?.is_some() {
                return Err(lines.corrupt("nothing may follow the `end` line"));
            }
            return Ok(RecordFile { id: sha256_hex(bytes), run, steps, end });
        }
        let step: StepLine = lines.typed(value, "step")?;
        if steps.last().is_some_and(|last| last.rank >= step.rank) {
            return Err(lines.corrupt("steps have to be in plan rank"));
        }
        steps.push(step);
    }
}

struct RecordLines<'a> {
    rest: &'a [u8],
    /// Number of the line read last, from 1.
    line: u64,
    /// Its first byte.
    start: u64,
    /// The byte behind it.
    end: u64,
}

impl RecordLines<'_> {
    fn next(&mut self) -> Result<Option<Json>, ReadError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let line = first_line(self.rest);
        self.line += 1;
        self.start = self.end;
        self.end += line.len() as u64;
        let value = canonical::check_line(line).map_err(|e| self.corrupt(&e.to_string()))?;
        self.rest = &self.rest[line.len()..];
        Ok(Some(value))
    }

    fn corrupt(&self, reason: &str) -> ReadError {
        ReadError::Corrupt { line: self.line, offset: self.start, reason: reason.to_owned() }
    }

    fn typed<T: serde::de::DeserializeOwned>(&self, mut value: Json, t: &str) -> Result<T, ReadError> {
        let found = value.as_object_mut().and_then(|members| members.shift_remove("t"));
        if found.as_ref().and_then(Json::as_str) != Some(t) {
            return Err(self.corrupt(&format!("a `{t}` line belongs here")));
        }
        serde_json::from_value(value).map_err(|e| self.corrupt(&e.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::journal::{Durability, Journal};
    use super::super::sample::{every_event, small_run};
    use super::*;
    use crate::event::Sink;

    fn small_journal() -> Vec<u8> {
        journal_of(&small_run())
    }

    fn journal_of(events: &[Event]) -> Vec<u8> {
        let folder = tempfile::tempdir().unwrap();
        let mut journal = Journal::create(folder.path(), Durability::None, None).unwrap();
        events.iter().for_each(|event| journal.event(event).unwrap());
        let found = recover_file(folder.path()).unwrap();
        assert_eq!((found.events.as_slice(), found.torn), (events, false));
        std::fs::read(folder.path().join(journal::FILE_NAME)).unwrap()
    }

    /// A run with every type of event, without its one long text: shortened texts don't read back as they were.
    fn every_event_short() -> Vec<Event> {
        let long = |event: &Event| matches!(event.kind, EventKind::Warn { .. });
        every_event().into_iter().filter(|event| !long(event)).collect()
    }

    fn lines(bytes: &[u8]) -> Vec<&[u8]> {
        bytes.split_inclusive(|&b| b == b'\n').collect()
    }

    #[test]
    fn every_prefix_gives_a_prefix_of_the_events() {
        for events in [small_run(), every_event_short()] {
            prefixes(&events);
        }
    }

    fn prefixes(events: &[Event]) {
        let bytes = journal_of(events);
        let mut ends = vec![0];
        ends.extend((1..=bytes.len()).filter(|&end| bytes[end - 1] == b'\n'));
        for cut in 0..=bytes.len() {
            let found = recover(&bytes[..cut]).unwrap();
            let whole = ends.iter().filter(|&&end| end <= cut).count() - 1;
            assert_eq!(found.events, events[..whole], "prefix of {cut} bytes");
            assert_eq!(found.good_bytes, ends[whole] as u64);
            assert_eq!(found.torn, ends[whole] != cut);
            assert_eq!(faults(&bytes[..cut], 9).is_empty(), !found.torn);
        }
    }

    #[test]
    fn every_fault_is_told_and_one_damaged_line_is_at_most_two() {
        let bytes = journal_of(&every_event_short());
        assert_eq!(faults(&bytes, 9), Vec::<String>::new());
        let starts: Vec<usize> =
            lines(&bytes).iter().scan(0, |at, line| Some(std::mem::replace(at, *at + line.len()))).collect();
        for at in (0..bytes.len()).step_by(7) {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            let found = faults(&damaged, 9);
            assert!((1..=3).contains(&found.len()), "byte {at}: {found:?}");
        }
        let mut damaged = bytes.clone();
        for line in [2, 5, 9] {
            damaged[starts[line] + 20] ^= 1;
        }
        let found = faults(&damaged, 99);
        for line in [2, 5, 9] {
            let start = format!("line {} (byte {}): ", line + 1, starts[line]);
            assert!(found.iter().any(|fault| fault.starts_with(&start)), "{start} is not in {found:?}");
        }
        assert_eq!(faults(&damaged, 2).len(), 2);
    }

    #[test]
    fn every_flip_is_found() {
        let (bytes, events) = (small_journal(), small_run());
        let last = bytes.len() - lines(&bytes)[events.len() - 1].len();
        for at in 0..bytes.len() {
            for flip in [0x01, 0x20, 0x80, bytes[at] ^ b'\n'] {
                let mut damaged = bytes.clone();
                damaged[at] ^= flip;
                match recover(&damaged) {
                    _ if flip == 0 => {}
                    Err(_) => assert!(at < last, "byte {at} of the last line is a torn tail"),
                    Ok(found) => {
                        assert!(found.torn && found.events.len() < events.len(), "byte {at} flipped by {flip}");
                        assert_eq!(found.events, events[..found.events.len()]);
                        // The line feed before the last line belongs to both.
                        assert!(at + 1 >= last, "byte {at} is not in the tail");
                    }
                }
            }
        }
    }

    #[test]
    fn lines_that_are_missing_repeated_or_moved_are_corruption() {
        let bytes = small_journal();
        let lines = lines(&bytes);
        let corrupt = |parts: &[&[u8]]| {
            let error = recover(&parts.concat()).unwrap_err();
            assert!(matches!(error, ReadError::Corrupt { .. }), "{error}");
        };
        for at in 0..lines.len() {
            let mut repeated = lines.clone();
            repeated.insert(at, lines[at]);
            corrupt(&repeated);
            if at + 1 < lines.len() {
                let mut missing = lines.clone();
                missing.remove(at);
                corrupt(&missing);
                let mut moved = lines.clone();
                moved.swap(at, at + 1);
                corrupt(&moved);
                let mut damaged = lines.clone();
                damaged[at] = b"{}\n";
                corrupt(&damaged);
            }
        }
        // A line of another run, sound by itself, does not chain.
        let mut other = small_run();
        other[1].at += 1;
        let folder = tempfile::tempdir().unwrap();
        let mut journal = Journal::create(folder.path(), Durability::None, None).unwrap();
        other.iter().for_each(|event| journal.event(event).unwrap());
        let other = std::fs::read(folder.path().join(journal::FILE_NAME)).unwrap();
        let foreign = other.split_inclusive(|&b| b == b'\n').nth(2).unwrap();
        corrupt(&[lines[0], lines[1], foreign]);
    }

    #[test]
    fn the_message_says_where() {
        let bytes = small_journal();
        let mut parts = lines(&bytes);
        let start = parts[0].len();
        parts[1] = b"{\"a\": 1}\n";
        let error = recover(&parts.concat()).unwrap_err().to_string();
        let right =
            format!("the log is corrupt at line 2 (byte {start}): not canonical JSON from byte 5 of the line on");
        assert_eq!(error, right);
    }

    #[test]
    fn a_reopened_journal_goes_on_in_its_chain_and_keeps_what_was_torn() {
        use super::super::sample::{commit, event, passed};
        let (bytes, all) = (small_journal(), small_run());
        let ends: Vec<usize> = (1..=bytes.len()).filter(|&end| bytes[end - 1] == b'\n').collect();
        for cut in ends[0]..=bytes.len() {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join(journal::FILE_NAME);
            std::fs::write(&path, &bytes[..cut]).unwrap();
            let before = recover_file(folder.path()).unwrap().events;
            let (mut journal, _) = Journal::reopen(folder.path(), Durability::None, None).unwrap();
            assert_eq!(before, all[..before.len()]);
            let good = ends[before.len() - 1];
            let beside = std::fs::read(folder.path().join(format!("journal.torn-{good}")));
            assert_eq!(beside.unwrap_or_default(), &bytes[good..cut], "cut at {cut}");
            assert!(journal.event(&all[1]).is_err(), "first of all it says that it goes on");
            let (mut journal, _) = Journal::reopen(folder.path(), Durability::None, None).unwrap();
            let EventKind::Open { settings, .. } = &all[0].kind else { panic!("no open") };
            journal.event(&event(EventKind::Resume { settings: settings.clone() })).unwrap();
            let rest = [commit(0, passed()), all[4].clone()];
            rest.iter().for_each(|event| journal.event(event).unwrap());
            let found = recover_file(folder.path()).unwrap();
            assert!(!found.torn && found.events.len() == before.len() + 3);
            assert_eq!(current(&found.events), rest);
            assert_eq!(last_part(found.events), [all[0].clone(), rest[0].clone(), rest[1].clone()]);
        }
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(journal::FILE_NAME), &bytes[..ends[0] / 2]).unwrap();
        let Err(error) = Journal::reopen(folder.path(), Durability::None, None) else { panic!("nothing is known") };
        assert!(error.to_string().contains("no whole line"), "{error}");
    }

    #[test]
    fn another_version_is_refused_with_advice() {
        let bytes = String::from_utf8(small_journal()).unwrap();
        let newer = bytes.replace("runplan.journal/1", "runplan.journal/2");
        let error = recover(newer.as_bytes()).unwrap_err();
        assert!(matches!(error, ReadError::Format(FormatError::Newer { .. })), "{error}");
        assert!(error.to_string().ends_with("read it with the runplan that wrote it, or a newer one"), "{error}");
    }

    #[test]
    fn a_missing_journal_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let error = recover_file(folder.path()).unwrap_err().to_string();
        assert!(error.contains("journal.jsonl"), "{error}");
    }

    proptest! {
        #[test]
        fn garbage_never_panics(garbage in prop::collection::vec(any::<u8>(), 0..200), keep in 0_usize..3) {
            let bytes = small_journal();
            let kept: usize = lines(&bytes)[..keep].iter().map(|line| line.len()).sum();
            let mut damaged = bytes[..kept].to_vec();
            damaged.extend_from_slice(&garbage);
            let found = recover(&damaged).unwrap();
            prop_assert_eq!(found.events, &small_run()[..keep]);
            prop_assert_eq!(found.good_bytes, kept as u64);
            prop_assert!(read_record(&garbage).is_err());
        }
    }
}
