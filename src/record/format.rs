//! Versions and line types of the two log files. Knows which of them this engine reads, not how they are stored.
//!
//! # `journal.jsonl` (`runplan.journal/1`): evidence
//! One canonical JSON object a line, in the order of what happened. Every line has
//!
//! | member | meaning |
//! |---|---|
//! | `n` | number of the line, from 0 |
//! | `prev` | SHA-256 (hex) of the bytes of the line before, line feed included; 64 zeros on the first |
//! | `sum` | first 16 hex digits of SHA-256 of the canonical line without `sum`: a damaged last line shows too |
//! | `at` | wall clock, milliseconds since 1970 |
//! | `mono` | monotonic nanoseconds since the run began |
//! | `t` | type of the line; the other members are those of [`crate::event::EventKind`] |
//! | `cut` | only where observed texts were shortened: how many of their bytes were left out |
//!
//! Types: `open` (first; carries `schema`, the plan, the settings and every step), `ready`, `start`, `spawned`,
//! `sample`, `attempt`, `retry`, `serving`, `stopping`, `commit`, `warn`, `signal`, `decision`, `close` (last).
//! Sizes are bytes, members that end in `_ns` nanoseconds, in `_permille` thousandths; exact numbers that may be
//! large or fractions are strings (`157/500`), JSON documents among the facts are strings that hold their text.
//!
//! # `record.jsonl` (`runplan.record/1`): identity
//! One canonical JSON object a line, in plan rank: one `run`, a `step` for every step of the plan, one `end`. Members are
//! those of [`super::project::RunLine`], [`super::project::StepLine`] and [`super::project::EndLine`]. No times, no
//! observed values, no host, no engine version, no absolute paths; whole numbers only. Its id is the SHA-256 of the file.

use std::fmt;

/// Version of the journal: a reader refuses any other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct JournalVersion(pub u32);

/// Version of the record's form: a reader refuses any other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RecordVersion(pub u32);

/// Version of what the record means: raised when the same run would give another record in the same form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RecordSemantics(pub u32);

/// What this engine writes.
pub const JOURNAL: JournalVersion = JournalVersion(1);
/// What this engine writes.
pub const RECORD: RecordVersion = RecordVersion(1);
/// What this engine means.
pub const SEMANTICS: RecordSemantics = RecordSemantics(1);

const JOURNAL_FAMILY: &str = "runplan.journal";
const RECORD_FAMILY: &str = "runplan.record";

impl JournalVersion {
    /// Reads `runplan.journal/N` and checks that this engine can go on.
    ///
    /// # Errors
    /// See [`FormatError`].
    pub fn readable(text: &str) -> Result<Self, FormatError> {
        check(JOURNAL_FAMILY, JOURNAL.0, text).map(Self)
    }
}

impl RecordVersion {
    /// Reads `runplan.record/N` and checks that this engine can go on.
    ///
    /// # Errors
    /// See [`FormatError`].
    pub fn readable(text: &str) -> Result<Self, FormatError> {
        check(RECORD_FAMILY, RECORD.0, text).map(Self)
    }
}

impl RecordSemantics {
    /// Checks that this engine means the same.
    ///
    /// # Errors
    /// See [`FormatError`].
    pub fn readable(number: u32) -> Result<Self, FormatError> {
        compare("record_semantics", SEMANTICS.0, number).map(Self)
    }
}

impl fmt::Display for JournalVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{JOURNAL_FAMILY}/{}", self.0)
    }
}

impl fmt::Display for RecordVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{RECORD_FAMILY}/{}", self.0)
    }
}

/// Why a file cannot be read by this engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FormatError {
    /// Not one of our files.
    Foreign {
        /// What was expected: `runplan.journal/1`.
        expected: String,
        /// What stands there.
        found: String,
    },
    /// Written by a newer engine.
    Newer {
        /// What stands there.
        found: String,
        /// The newest version known here.
        knows: u32,
    },
    /// Written by an older engine, in a form that is not read any more.
    Older {
        /// What stands there.
        found: String,
        /// The oldest version known here.
        knows: u32,
    },
}

impl FormatError {
    /// What to do about it.
    #[must_use]
    pub fn help(&self) -> &'static str {
        match self {
            Self::Foreign { .. } => "give the folder of a run below `.runplan/runs/`",
            Self::Newer { .. } => "read it with the runplan that wrote it, or a newer one",
            Self::Older { .. } => "read it with the runplan that wrote it",
        }
    }
}

impl fmt::Display for FormatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Foreign { expected, found } => write!(f, "expected `{expected}`, found `{found}`"),
            Self::Newer { found, knows } => write!(f, "`{found}` is newer than version {knows}, the newest known here"),
            Self::Older { found, knows } => write!(f, "`{found}` is older than version {knows}, the oldest read here"),
        }
    }
}

impl std::error::Error for FormatError {}

fn check(family: &str, known: u32, text: &str) -> Result<u32, FormatError> {
    let number = text.strip_prefix(family).and_then(|rest| rest.strip_prefix('/'));
    // `/01` and `/+1` are no spelling of ours.
    let number = number.and_then(|n| n.parse::<u32>().ok().filter(|parsed| parsed.to_string() == n));
    match number {
        Some(number) => compare(family, known, number),
        None => Err(FormatError::Foreign { expected: format!("{family}/{known}"), found: text.to_owned() }),
    }
}

fn compare(family: &str, known: u32, number: u32) -> Result<u32, FormatError> {
    let found = || format!("{family}/{number}");
    match number.cmp(&known) {
        std::cmp::Ordering::Equal => Ok(number),
        std::cmp::Ordering::Greater => Err(FormatError::Newer { found: found(), knows: known }),
        std::cmp::Ordering::Less => Err(FormatError::Older { found: found(), knows: known }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_readable() {
        assert_eq!(JournalVersion::readable(&JOURNAL.to_string()), Ok(JOURNAL));
        assert_eq!(RecordVersion::readable(&RECORD.to_string()), Ok(RECORD));
        assert_eq!(RecordSemantics::readable(SEMANTICS.0), Ok(SEMANTICS));
    }

    #[test]
    fn other_versions_are_refused_with_advice() {
        let newer = JournalVersion::readable("runplan.journal/2").unwrap_err();
        assert_eq!(newer.to_string(), "`runplan.journal/2` is newer than version 1, the newest known here");
        assert!(newer.help().contains("newer one"));
        assert!(matches!(RecordVersion::readable("runplan.record/0"), Err(FormatError::Older { .. })));
        assert!(matches!(RecordSemantics::readable(7), Err(FormatError::Newer { .. })));
        for foreign in ["runplan.record/1", "runplan.journal", "runplan.journal/01", "runplan.journal/+1", "x/1", ""] {
            assert!(matches!(JournalVersion::readable(foreign), Err(FormatError::Foreign { .. })), "{foreign}");
        }
    }
}
