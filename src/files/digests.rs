//! Digests of files, folders and globs of a workspace. Reads what it has to and nothing else.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::{
    FileError, Quit, expand, inside, is_glob, is_plain_below, open_plain, relative, stays_inside, unfit, walk,
};
use crate::digest;
use crate::outcome::FileDigest;

/// What files are digested for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Read by a step: symbolic links are followed.
    Input,
    /// Made by a step: a symbolic link is digested as its target's text and may not lead out of the workspace.
    Output,
}

/// Digests of what some paths and globs stand for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Digests {
    /// Sorted by path, each once.
    pub files: Vec<FileDigest>,
    /// Paths that do not exist, and globs and folders without a single file; as they were written.
    pub missing: Vec<String>,
}

/// Digests of files, whole folders and globs, all inside the workspace.
///
/// # Errors
/// For paths outside the workspace, special files, and what the operating system says.
pub fn digest_all<S: AsRef<str>>(workspace: &Path, texts: &[S], role: Role, quit: &Quit) -> Result<Digests, FileError> {
    Digester { workspace, role, quit }.all(texts)
}

/// Digest of one file.
///
/// # Errors
/// For special files, links out of the workspace (outputs), and what the operating system says.
pub fn digest(workspace: &Path, path: &Path, role: Role, quit: &Quit) -> Result<FileDigest, FileError> {
    let shown = relative(workspace, path);
    let link = fs::symlink_metadata(path).map_err(|error| FileError::io(&*shown, &error))?;
    Digester { workspace, role, quit }.one(path, shown, &link)
}

/// How files are digested.
struct Digester<'a> {
    workspace: &'a Path,
    role: Role,
    quit: &'a Quit,
}

impl Digester<'_> {
    fn all<S: AsRef<str>>(&self, texts: &[S]) -> Result<Digests, FileError> {
        let mut digests = Digests::default();
        for text in texts {
            let text = text.as_ref();
            let before = digests.files.len();
            let path = inside(self.workspace, text)?;
            let paths = if is_glob(text) { expand(self.workspace, text, self.quit)? } else { vec![path] };
            for path in paths {
                self.under(text, &path, &mut digests.files)?;
            }
            if digests.files.len() == before {
                digests.missing.push(text.to_owned());
            }
        }
        digests.files.sort();
        digests.files.dedup();
        Ok(digests)
    }

    /// A file, or all files of a folder; nothing where there is neither.
    fn under(&self, text: &str, path: &Path, found: &mut Vec<FileDigest>) -> Result<(), FileError> {
        let meta = match fs::symlink_metadata(path) {
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return Ok(());
            }
            other => other.map_err(|error| FileError::io(text, &error))?,
        };
        let is_folder = meta.is_dir() || meta.is_symlink() && self.role == Role::Input && path.is_dir();
        if !is_folder {
            found.push(self.one(path, relative(self.workspace, path), &meta)?);
            return Ok(());
        }
        for file in walk(self.workspace, path, self.quit)? {
            let shown = relative(self.workspace, &file);
            let meta = fs::symlink_metadata(&file).map_err(|error| FileError::io(&*shown, &error))?;
            found.push(self.one(&file, shown, &meta)?);
        }
        Ok(())
    }

    /// One file, `link` being what its path itself is.
    fn one(&self, path: &Path, shown: String, link: &Metadata) -> Result<FileDigest, FileError> {
        if self.role == Role::Output {
            // What it is itself is known already.
            let may_lead_out =
                link.is_symlink() || !path.parent().is_some_and(|folder| is_plain_below(self.workspace, folder));
            if may_lead_out {
                stays_inside(self.workspace, path, &shown)?;
            }
        }
        if link.is_symlink() && (self.role == Role::Output || !path.is_file()) {
            let target = fs::read_link(path).map_err(|error| FileError::io(&*shown, &error))?;
            let bytes = target.as_os_str().as_bytes();
            let (sha256, size) = (digest::sha256_hex(bytes), bytes.len() as u64);
            return Ok(FileDigest { path: shown, sha256, size, executable: false });
        }
        if let Some(fault) = unfit(link).filter(|_| !link.is_symlink()) {
            return Err(FileError::new(shown, fault));
        }
        let (reading, meta) = open_plain(path, &shown, self.quit)?;
        let (sha256, size) = digest::sha256_reader(reading).map_err(|error| FileError::io(&*shown, &error))?;
        Ok(FileDigest { path: shown, sha256, size, executable: meta.mode() & 0o100 != 0 })
    }
}

/// One digest for a whole tree: SHA-256 over a line `sha256 size x|- path` for each file, in path order, with the
/// folder's own path left out. Two trees are equal exactly if names, bytes and executable bits are.
#[must_use]
pub fn tree_sha256(folder: &str, files: &[FileDigest]) -> String {
    let mut hasher = digest::Sha256Stream::new();
    let prefix = format!("{}/", folder.trim_end_matches('/'));
    for file in files {
        let name = file.path.strip_prefix(&prefix).unwrap_or(&file.path);
        let x = if file.executable { 'x' } else { '-' };
        hasher.update(format!("{} {} {x} {name}\0", file.sha256, file.size).as_bytes());
    }
    hasher.finish_hex()
}
