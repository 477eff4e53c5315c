//! Files that steps read and made, by their digests, and what counts of them. Plain serde data.

use serde::{Deserialize, Serialize};

/// A file that a step read or made.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FileDigest {
    /// Relative to the workspace, `/`-separated.
    pub path: String,
    /// SHA-256 of the bytes, lower-case hex (of the target's text for a symlink).
    pub sha256: String,
    /// Size in bytes.
    pub size: u64,
    /// The owner may execute it.
    #[serde(default, rename = "x")]
    pub executable: bool,
}

/// Whether an output's bytes are part of the record's identity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Same bytes every time: its digest is in the record.
    #[default]
    Stable,
    /// Same bytes once some filters are applied: the digest of what they leave is in the record.
    Normalized,
    /// May differ from run to run: its digest is in the journal only.
    Volatile,
}

impl Class {
    /// The word in plans and records.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Stable => "stable",
            Self::Normalized => "normalized",
            Self::Volatile => "volatile",
        }
    }
}

/// What is done to the lines of a file before its digest is taken. Nothing is done to the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Filter {
    /// Every match of a regular expression in a line becomes this text, in which `$1` names a group.
    Replace {
        /// The regular expression.
        pattern: String,
        /// The text.
        with: String,
    },
    /// Dates with times, and times of day, become `<time>`.
    Timestamps,
    /// `0x7ffd…` becomes `<address>`.
    HexAddresses,
    /// The absolute path of the workspace becomes `$WORKSPACE`.
    Workspace,
    /// Lines are sorted by their bytes.
    SortLines,
    /// A carriage return at the end of a line goes.
    Crlf,
}

/// What filters left of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Normalized {
    /// SHA-256 of what is left, lower-case hex.
    pub sha256: String,
    /// Its size in bytes.
    pub size: u64,
    /// The filters, in order.
    pub filters: Vec<Filter>,
}

/// An output or artifact that a step made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Flat")]
pub struct OutputDigest {
    /// The file.
    #[serde(flatten)]
    pub file: FileDigest,
    /// Its class.
    pub class: Class,
    /// Declared under `artifacts` (archived), not only under `outputs`.
    pub artifact: bool,
    /// What its filters left, if it has some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub normalized: Option<Box<Normalized>>,
}

/// As an [`OutputDigest`] is read: what is read through `flatten` is buffered first, which takes longer than the reading.
#[derive(Deserialize)]
struct Flat {
    path: String,
    sha256: String,
    size: u64,
    #[serde(default)]
    x: bool,
    class: Class,
    artifact: bool,
    #[serde(default)]
    normalized: Option<Box<Normalized>>,
}

impl From<Flat> for OutputDigest {
    fn from(flat: Flat) -> Self {
        let Flat { path, sha256, size, x, class, artifact, normalized } = flat;
        Self { file: FileDigest { path, sha256, size, executable: x }, class, artifact, normalized }
    }
}

impl OutputDigest {
    /// The file as it counts for the record and for whoever reads it: by what its filters leave. `None` if it is volatile.
    #[must_use]
    pub fn identity(&self) -> Option<FileDigest> {
        match (&self.normalized, self.class) {
            (_, Class::Volatile) => None,
            (Some(left), _) => Some(left.of(&self.file)),
            (None, _) => Some(self.file.clone()),
        }
    }
}

impl Normalized {
    /// A file by what is left of it.
    #[must_use]
    pub fn of(&self, file: &FileDigest) -> FileDigest {
        FileDigest { sha256: self.sha256.clone(), size: self.size, ..file.clone() }
    }
}
