//! What is taken out of a store: runs, archived files that no run names any more, and what killed engines left. Knows how
//! to do that safely, not which runs may go.
//!
//! A run leaves in one step: its folder is renamed to `trash-<id>`, and is a run no more. Only then are lines of it taken
//! out of the caches, files that nobody names removed, and the trash emptied. Whoever is killed in between leaves a store in
//! which every run that is there is whole; the next one clears up.

use std::collections::{BTreeSet, HashSet};
use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::journal;
use super::store::{DECISION_FILE, RECORD_FILE, Store, StoreError, io_error, lock_file, sync_folder};

/// What the folder of a run that is being removed is called, before its id.
const TRASH: &str = "trash-";
/// Caches with a line a run.
const CACHES: [&str; 2] = ["index.jsonl", "history.jsonl"];

/// SHA-256 as bytes.
pub type Digest = [u8; 32];

/// An archived file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// Where it lies.
    pub path: PathBuf,
    /// Its size in bytes.
    pub size: u64,
}

/// Adds every SHA-256 that is written in a text (64 hex digits, no more and no less).
pub fn digests_in(text: &[u8], found: &mut HashSet<Digest>) {
    for word in text.split(|byte| !byte.is_ascii_hexdigit()).filter(|word| word.len() == 64) {
        let nibble = |byte: u8| char::from(byte).to_digit(16).and_then(|n| u8::try_from(n).ok()).unwrap_or(0);
        let mut digest = [0; 32];
        for (byte, pair) in digest.iter_mut().zip(word.chunks_exact(2)) {
            *byte = nibble(pair[0]) << 4 | nibble(pair[1]);
        }
        found.insert(digest);
    }
}

/// Every digest that a run names anywhere in its journal, record or decision: among them all files it archived. Needs no
/// whole journal.
///
/// # Errors
/// When a file is there and cannot be read: then nobody knows what the run names.
pub fn named_by(run_dir: &Path, found: &mut HashSet<Digest>) -> Result<(), StoreError> {
    for name in [journal::FILE_NAME, RECORD_FILE, DECISION_FILE] {
        let path = run_dir.join(name);
        match fs::read(&path) {
            Ok(bytes) => digests_in(&bytes, found),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(io_error("read", &path)(error)),
        }
    }
    Ok(())
}

/// Bytes of a file, or of all files below a folder. What cannot be looked at counts nothing.
#[must_use]
pub fn size_of(path: &Path) -> u64 {
    let Ok(about) = fs::symlink_metadata(path) else { return 0 };
    if !about.is_dir() {
        return about.len();
    }
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    entries.map(|entry| size_of(&entry.path())).sum()
}

/// Keeps the folder of a run where it is, for who writes into it after the run is over, until this is dropped.
///
/// # Errors
/// When there is no such run (any more), its engine is alive, or it cannot be locked.
pub fn hold_run(run_dir: &Path) -> Result<File, StoreError> {
    let path = run_dir.join("lock");
    let file = lock_file(&path)?;
    match file.try_lock_shared() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let run = run_dir.file_name().map(|name| name.to_string_lossy().into_owned());
            return Err(StoreError::Busy { pid: None, run, since: None });
        }
        Err(TryLockError::Error(e)) => return Err(io_error("lock", &path)(e)),
    }
    // Between the two lines above it may have been removed.
    fs::metadata(&path).map_err(io_error("read", &path))?;
    Ok(file)
}

impl Store {
    /// Stores of plans that are steps of plans here (`plans/STEP/.runplan`), by the folder that each lies in.
    #[must_use]
    pub fn nested(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.root().join("plans")).into_iter().flatten().flatten();
        let folders = entries.map(|entry| entry.path());
        let mut found: Vec<PathBuf> =
            folders.filter(|folder| folder.join(super::store::FOLDER).join("runs").is_dir()).collect();
        found.sort();
        found
    }

    /// What killed engines left: unfinished removals, archived files and caches. The caller holds the workspace, or only
    /// looks.
    #[must_use]
    pub fn leftovers(&self) -> Vec<PathBuf> {
        let entries = |folder: PathBuf| fs::read_dir(folder).into_iter().flatten().flatten();
        let ours = |name: &str| [TRASH, ".tmp", ".latest-"].iter().any(|ours| name.starts_with(ours));
        let mut found: Vec<PathBuf> = entries(self.root().to_owned())
            .filter(|entry| entry.file_name().to_str().is_some_and(ours))
            .chain(entries(self.root().join("objects/tmp")))
            .map(|entry| entry.path())
            .collect();
        found.sort();
        found
    }

    /// Takes a run out of the store. Nothing is deleted yet, and nothing is on the disk before [`Store::settle`]. `false`
    /// where somebody holds the run: its engine, a process that it left, or a person who signs. The caller holds the
    /// workspace.
    ///
    /// # Errors
    /// When the folder cannot be renamed.
    pub fn discard(&self, id: &str) -> Result<bool, StoreError> {
        let path = self.run_path(id);
        let lock_path = path.join("lock");
        let lock = lock_file(&lock_path)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(false),
            Err(TryLockError::Error(e)) => return Err(io_error("lock", &lock_path)(e)),
        }
        fs::rename(&path, self.root().join(format!("{TRASH}{id}"))).map_err(io_error("remove", &path))?;
        Ok(true)
    }

    /// Returns when the runs that were discarded are gone also after a power failure, and takes their lines out of the
    /// caches.
    ///
    /// # Errors
    /// When a folder cannot be synced or a cache cannot be replaced.
    pub fn settle(&self) -> Result<(), StoreError> {
        sync_folder(&self.root().join("runs"))?;
        sync_folder(self.root())?;
        let there: BTreeSet<String> = self.runs()?.into_iter().collect();
        CACHES.iter().try_for_each(|name| self.forget(name, &there))
    }

    /// Keeps the lines of a cache that are about a run that is there.
    fn forget(&self, name: &str, there: &BTreeSet<String>) -> Result<(), StoreError> {
        #[derive(Deserialize)]
        struct Line {
            run: String,
        }
        let path = self.root().join(name);
        let error = io_error("write", &path);
        let Ok(bytes) = fs::read(&path) else { return Ok(()) };
        let stays = |line: &&[u8]| serde_json::from_slice::<Line>(line).is_ok_and(|line| there.contains(&line.run));
        let kept: Vec<u8> = bytes.split_inclusive(|byte| *byte == b'\n').filter(stays).flatten().copied().collect();
        if kept.len() == bytes.len() {
            return Ok(());
        }
        let mut file = tempfile::NamedTempFile::new_in(self.root()).map_err(&error)?;
        file.write_all(&kept).map_err(&error)?;
        file.persist(&path).map_err(|e| error(e.error))?;
        Ok(())
    }

    /// Archived files whose digest is not among those named.
    ///
    /// # Errors
    /// When the archive cannot be listed.
    pub fn unnamed(&self, named: &HashSet<Digest>) -> Result<Vec<Object>, StoreError> {
        let archive = self.root().join("objects/sha256");
        let list = |folder: &Path| -> Result<Vec<PathBuf>, StoreError> {
            let error = io_error("read", folder);
            match fs::read_dir(folder) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
                entries => entries.map_err(&error)?.map(|entry| Ok(entry.map_err(&error)?.path())).collect(),
            }
        };
        let mut found = Vec::new();
        for folder in list(&archive)?.into_iter().filter(|path| path.is_dir()) {
            for path in list(&folder)? {
                let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                let mut own = HashSet::new();
                digests_in(format!("{}{}", name(&folder), name(&path)).as_bytes(), &mut own);
                // What has no digest for a name is not ours to remove.
                if own.len() == 1 && own.is_disjoint(named) {
                    found.push(Object { size: size_of(&path), path });
                }
            }
        }
        found.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(found)
    }
}

/// Removes a file, or a folder with all that is in it. That it is gone already is no error.
///
/// # Errors
/// When it cannot be removed.
pub fn remove(path: &Path) -> Result<(), StoreError> {
    let is_folder = fs::symlink_metadata(path).is_ok_and(|about| about.is_dir());
    let removed = if is_folder { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io_error("remove", path)(error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::sha256_hex;

    fn store() -> (tempfile::TempDir, Store) {
        let workspace = tempfile::tempdir().unwrap();
        let store = Store::open(workspace.path(), false).unwrap();
        (workspace, store)
    }

    #[test]
    fn digests_are_words_of_64_hex_digits() {
        let (one, two) = (sha256_hex(b"1"), sha256_hex(b"2"));
        let of = |text: &str| {
            let mut found = HashSet::new();
            digests_in(text.as_bytes(), &mut found);
            found.len()
        };
        assert_eq!(of(&format!("{{\"a\":\"{one}\",\"b\":\"sha256:{two}\"}}")), 2);
        assert_eq!(of(&format!("{one} {}", one.to_uppercase())), 1, "the same");
        assert_eq!(of(&format!("{one}0 0{one} {}", &one[1..])), 0);
    }

    #[test]
    fn a_discarded_run_is_no_run_and_its_lines_go() {
        let (_workspace, store) = store();
        for id in ["a", "b"] {
            drop(store.begin(id, 1, "now").unwrap());
        }
        fs::write(store.root().join("index.jsonl"), "{\"run\":\"a\"}\nrubbish\n{\"run\":\"b\"}\n").unwrap();
        fs::write(store.root().join("history.jsonl"), "{\"run\":\"b\"}\n").unwrap();
        assert!(store.discard("a").unwrap());
        assert_eq!(store.runs().unwrap(), ["b"]);
        store.settle().unwrap();
        assert_eq!(fs::read_to_string(store.root().join("index.jsonl")).unwrap(), "{\"run\":\"b\"}\n");
        let left = store.leftovers();
        assert!(left.len() == 1 && left[0].ends_with("trash-a"), "{left:?}");
        remove(&left[0]).unwrap();
        remove(&left[0]).unwrap();
        assert!(store.leftovers().is_empty());
        assert!(store.discard("nonesuch").is_err());
    }

    #[test]
    fn a_run_that_somebody_holds_stays() {
        let (_workspace, store) = store();
        let run = store.begin("a", 1, "now").unwrap();
        assert!(!store.discard("a").unwrap());
        drop(run);
        let signing = hold_run(&store.run_path("a")).unwrap();
        assert!(!store.discard("a").unwrap());
        drop(signing);
        assert!(store.discard("a").unwrap());
        assert!(hold_run(&store.run_path("a")).is_err());
    }

    #[test]
    fn only_files_that_nobody_names_are_found() {
        let (workspace, store) = store();
        let keep = |text: &str| {
            let file = workspace.path().join("file");
            fs::write(&file, text).unwrap();
            store.archive(&file, None).unwrap().sha256
        };
        let (one, two) = (keep("one"), keep("twelve"));
        let run = store.begin("a", 1, "now").unwrap();
        // A torn line counts as well.
        fs::write(run.path().join("journal.jsonl"), format!("{{\"x\":\"{one}\"")).unwrap();
        fs::write(store.root().join("objects/sha256/README"), "?").unwrap();
        fs::write(store.object_path(&one).with_file_name("stranger"), "?").unwrap();
        let mut named = HashSet::new();
        named_by(run.path(), &mut named).unwrap();
        assert_eq!(store.unnamed(&named).unwrap(), [Object { path: store.object_path(&two), size: 6 }]);
        assert_eq!(store.unnamed(&HashSet::new()).unwrap().len(), 2);
        fs::create_dir(run.path().join("record.jsonl")).unwrap();
        assert!(named_by(run.path(), &mut named).is_err(), "it is there and can't be read");
    }
}
