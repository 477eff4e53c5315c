//! What can go wrong with the store. Knows no file format.

use std::path::{Path, PathBuf};
use std::{fmt, io};

/// What went wrong with the store; each names the path.
#[derive(Debug)]
pub enum StoreError {
    /// The system said no.
    Io {
        /// What was tried: `create`, `read`, `write`, `lock`, `archive`, `remove`.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// Its answer.
        source: io::Error,
    },
    /// Another run is going on in this workspace.
    Busy {
        /// Process id of its engine, once it has said so.
        pid: Option<u32>,
        /// Its run id.
        run: Option<String>,
        /// Since when.
        since: Option<String>,
    },
    /// It is not safe to use.
    Refused {
        /// What.
        path: PathBuf,
        /// Why, and what to do.
        reason: String,
    },
    /// A file was not what its digest said.
    Changed {
        /// The file.
        path: PathBuf,
        /// Digest asked for.
        expected: String,
        /// Digest found.
        found: String,
    },
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { doing, path, source } => write!(f, "cannot {doing} `{}`: {source}", path.display()),
            Self::Busy { pid, run, since } => {
                f.write_str("another run is going on in this workspace")?;
                if let (Some(pid), Some(run)) = (pid, run) {
                    write!(f, ": `{run}`, process {pid}")?;
                }
                since.as_ref().map_or(Ok(()), |since| write!(f, ", since {since}"))?;
                f.write_str("; `--wait` waits until it ends")
            }
            Self::Refused { path, reason } => write!(f, "will not use `{}`: {reason}", path.display()),
            Self::Changed { path, expected, found } => {
                write!(f, "`{}` changed: SHA-256 is `{found}`, expected `{expected}`", path.display())
            }
        }
    }
}

impl std::error::Error for StoreError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}

/// For `map_err`: names what was tried on which path.
pub(in crate::record) fn io_error(doing: &'static str, path: &Path) -> impl Fn(io::Error) -> StoreError {
    move |source| StoreError::Io { doing, path: path.to_owned(), source }
}
