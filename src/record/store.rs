//! `.runplan/`: the folder of runs, archived outputs and locks. Knows where bytes lie, not what they say.
//!
//! ```text
//! .runplan/                 0700, CACHEDIR.TAG, .gitignore "*"
//!   lock                    flock of the one engine that runs in this workspace; its text says who
//!   runs/<utc>-<rand>/      lock (flock while alive)  plan.toml  plan-1.toml …  plan.files.jsonl
//!                           journal.jsonl  record.jsonl  steps/<rank>-<slug>/
//!   objects/sha256/ab/…     archived outputs by content; objects/tmp holds unfinished ones
//!   latest -> runs/…        index.jsonl, history.jsonl = caches, rebuildable
//!   imported/.runplan/      a store by itself: runs of other machines, which are nobody's latest, history or baseline
//!   trash-<utc>-<rand>/     a run that is being removed
//! ```

mod error;

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::canonical;
use crate::digest::{Sha256Stream, sha256_hex};
use crate::outcome::{Decision, Verdict};
use crate::place::Sources;

pub use error::StoreError;
pub(super) use error::io_error;

/// Name of the folder in the workspace.
pub const FOLDER: &str = ".runplan";
/// Name of the list of the plan's files in the folder of a run.
pub const PLAN_FILES: &str = "plan.files.jsonl";
/// Name of the record in the folder of its run.
pub const RECORD_FILE: &str = "record.jsonl";
/// Name of the file in the folder of a run that says, as a digest, what the run inherited. It stays on its machine.
pub const INHERITED_FILE: &str = "inherited";
/// Folder in the store that holds another one, of runs that were imported.
pub const IMPORTED: &str = "imported";
/// The decision that people's sign-offs lead to, as `decide` leaves it in the folder of the run.
pub const DECISION_FILE: &str = "decision.json";

const CACHEDIR_TAG: &str = "Signature: 8a477f597d28d172789f06886806bc55\n# Runs of runplan; not worth a backup.\n";
const GITIGNORE: &str = "*\n";

/// The id of a run: `20261124T061503Z-x7k2qd`, from the wall clock (milliseconds since 1970) and four random bytes.
#[must_use]
pub fn run_id(at: i64, random: [u8; 4]) -> String {
    const BASE32: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let time = jiff::Timestamp::from_millisecond(at).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    let bits = u32::from_be_bytes(random);
    let letters: String = (0..6).map(|i| char::from(BASE32[((bits >> (5 * i)) & 31) as usize])).collect();
    format!("{}-{letters}", time.strftime("%Y%m%dT%H%M%SZ"))
}

/// The digest of a plan: of the one file's bytes, so that `sha256sum` checks it; of the list of digests (hex, a line
/// each, in reading order) where there are several files.
#[must_use]
pub fn plan_digest(sources: &Sources) -> String {
    if let [only] = sources.files.as_slice() {
        return sha256_hex(only.text.as_bytes());
    }
    let mut list = String::new();
    for file in &sources.files {
        list.push_str(&sha256_hex(file.text.as_bytes()));
        list.push('\n');
    }
    sha256_hex(list.as_bytes())
}

/// Who holds the workspace.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Holder {
    pid: u32,
    run: String,
    since: String,
}

/// [`Store::is_live`] of the run in a folder, wherever it lies.
///
/// # Errors
/// When the lock cannot be looked at.
pub fn is_live(run_dir: &Path) -> Result<bool, StoreError> {
    let path = run_dir.join("lock");
    let file = match File::open(&path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(false),
        other => other.map_err(io_error("read", &path))?,
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(e)) => Err(io_error("lock", &path)(e)),
    }
}

/// The store of one workspace.
#[derive(Debug)]
pub struct Store {
    root: PathBuf,
    /// Held as long as this store may run something; `None` for readers.
    lock: Option<File>,
}

/// As for [`RunDir`].
impl Drop for Store {
    fn drop(&mut self) {
        if let Some(lock) = &self.lock {
            let _ = lock.unlock();
        }
    }
}

impl Store {
    /// Opens the store for a run: makes what is missing and takes the workspace's lock. With `wait` it returns once no
    /// other run is going on (call it before signal handlers are installed, so that Ctrl-C ends the wait).
    ///
    /// # Errors
    /// [`StoreError::Busy`] without `wait`; [`StoreError::Refused`] where the folder is a symlink or somebody else's.
    pub fn open(workspace: &Path, wait: bool) -> Result<Self, StoreError> {
        let root = workspace.join(FOLDER);
        private_folder(&root)?;
        for (name, text) in [("CACHEDIR.TAG", CACHEDIR_TAG), (".gitignore", GITIGNORE)] {
            write_new(&root.join(name), text.as_bytes())?;
        }
        for name in ["runs", "objects", "objects/sha256", "objects/tmp"] {
            private_folder(&root.join(name))?;
        }
        let path = root.join("lock");
        let lock = lock_file(&path)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) if wait => lock.lock().map_err(io_error("lock", &path))?,
            Err(TryLockError::WouldBlock) => return Err(busy(&path)),
            Err(TryLockError::Error(e)) => return Err(io_error("lock", &path)(e)),
        }
        // What the last holder wrote must not be taken for this one's.
        lock.set_len(0).map_err(io_error("write", &path))?;
        Ok(Self { root, lock: Some(lock) })
    }

    /// The store as a reader sees it: nothing is made, nothing is locked.
    ///
    /// # Errors
    /// [`StoreError::Refused`] where the folder is a symlink or somebody else's, [`StoreError::Io`] where there is none.
    pub fn reader(workspace: &Path) -> Result<Self, StoreError> {
        let root = workspace.join(FOLDER);
        check_folder(&root)?;
        Ok(Self { root, lock: None })
    }

    /// `.runplan`.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Makes the folder of a new run and says in the lock file who runs. `since` is for people.
    ///
    /// # Errors
    /// [`StoreError::Io`] with `AlreadyExists` where the id is taken: try another one.
    pub fn begin(&self, id: &str, pid: u32, since: &str) -> Result<RunDir, StoreError> {
        let path = self.run_path(id);
        DirBuilder::new().mode(0o700).create(&path).map_err(io_error("create", &path))?;
        let lock_path = path.join("lock");
        let lock = lock_file(&lock_path)?;
        // Waits only for a reader that is just looking whether this run lives.
        lock.lock().map_err(io_error("lock", &lock_path))?;
        sync_folder(&self.root.join("runs"))?;
        self.hold(id, pid, since)?;
        Ok(RunDir { id: id.to_owned(), path, lock })
    }

    /// Takes the folder of a run that is not over, to go on with it. The caller holds the workspace.
    ///
    /// # Errors
    /// [`StoreError::Busy`] while its engine is alive; [`StoreError::Io`] where there is no such run.
    pub fn resume(&self, id: &str, pid: u32, since: &str) -> Result<RunDir, StoreError> {
        let path = self.run_path(id);
        let lock = lock_file(&path.join("lock"))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(StoreError::Busy { pid: None, run: Some(id.to_owned()), since: None });
            }
            Err(TryLockError::Error(e)) => return Err(io_error("lock", &path)(e)),
        }
        self.hold(id, pid, since)?;
        Ok(RunDir { id: id.to_owned(), path, lock })
    }

    /// Says in the workspace's lock file who runs, or else holds it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn hold(&self, id: &str, pid: u32, since: &str) -> Result<(), StoreError> {
        if let Some(mut workspace_lock) = self.lock.as_ref() {
            let holder = Holder { pid, run: id.to_owned(), since: since.to_owned() };
            let text = serde_json::to_string(&holder).unwrap_or_default();
            workspace_lock.write_all(text.as_bytes()).map_err(io_error("write", &self.root.join("lock")))?;
        }
        Ok(())
    }

    /// The folder of a run, whether it exists or not.
    #[must_use]
    pub fn run_path(&self, id: &str) -> PathBuf {
        self.root.join("runs").join(id)
    }

    /// Ids of all runs, oldest first.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn runs(&self) -> Result<Vec<String>, StoreError> {
        let folder = self.root.join("runs");
        let error = io_error("read", &folder);
        let mut ids = Vec::new();
        for entry in fs::read_dir(&folder).map_err(&error)? {
            let entry = entry.map_err(&error)?;
            if entry.file_type().map_err(&error)?.is_dir()
                && let Ok(name) = entry.file_name().into_string()
            {
                ids.push(name);
            }
        }
        ids.sort_unstable();
        Ok(ids)
    }

    /// Whether the engine of this run is alive: it holds the lock in the run's folder.
    ///
    /// # Errors
    /// When the lock cannot be looked at.
    pub fn is_live(&self, id: &str) -> Result<bool, StoreError> {
        is_live(&self.run_path(id))
    }

    /// Points `latest` at a run, atomically.
    ///
    /// # Errors
    /// When the link cannot be made.
    pub fn set_latest(&self, id: &str) -> Result<(), StoreError> {
        let (link, fresh) = (self.root.join("latest"), self.root.join(format!(".latest-{id}")));
        let error = io_error("write", &link);
        match fs::remove_file(&fresh) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(error(e)),
            _ => {}
        }
        std::os::unix::fs::symlink(Path::new("runs").join(id), &fresh).map_err(&error)?;
        fs::rename(&fresh, &link).map_err(&error)
    }

    /// What people's sign-offs made of a run since, as far as somebody asked: the verdict of its last `decide`, if that
    /// was about this record.
    #[must_use]
    pub fn later_verdict(&self, run: &str, record: &str) -> Option<Verdict> {
        #[derive(serde::Deserialize)]
        struct Later {
            record: String,
            decision: Decision,
        }
        let bytes = fs::read(self.run_path(run).join(DECISION_FILE)).ok()?;
        let later: Later = serde_json::from_slice(&bytes).ok()?;
        (later.record == record).then_some(later.decision.verdict)
    }

    /// The run that `latest` points at.
    #[must_use]
    pub fn latest(&self) -> Option<String> {
        let target = fs::read_link(self.root.join("latest")).ok()?;
        target.strip_prefix("runs").ok()?.to_str().map(str::to_owned)
    }

    /// Where an archived file of this digest lies (64 hex digits).
    #[must_use]
    pub fn object_path(&self, sha256: &str) -> PathBuf {
        let (folder, name) = sha256.split_at_checked(2).unwrap_or(("", sha256));
        self.root.join("objects/sha256").join(folder).join(name)
    }

    /// Copies a regular file into the store, under the digest of the bytes that were copied. Never a link to it, and a
    /// symlink is not followed. `expected` is the digest it was judged by.
    ///
    /// # Errors
    /// [`StoreError::Changed`] where it is not what was judged; [`StoreError::Refused`] where it is no regular file.
    pub fn archive(&self, file: &Path, expected: Option<&str>) -> Result<Archived, StoreError> {
        let error = io_error("archive", file);
        let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
        let flags = i32::try_from(flags.bits()).unwrap_or_default();
        let mut from = match OpenOptions::new().read(true).custom_flags(flags).open(file) {
            Err(e) if e.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => {
                return Err(refused(file, "it is a symlink; only regular files are archived"));
            }
            other => other.map_err(&error)?,
        };
        if !from.metadata().map_err(&error)?.is_file() {
            return Err(refused(file, "only regular files are archived"));
        }
        let folder = self.root.join("objects/tmp");
        let mut to = tempfile::NamedTempFile::new_in(&folder).map_err(io_error("write", &folder))?;
        let archived = copy(&mut from, to.as_file_mut(), file, &folder)?;
        if let Some(expected) = expected.filter(|expected| *expected != archived.sha256) {
            let (path, expected) = (file.to_owned(), expected.to_owned());
            return Err(StoreError::Changed { path, expected, found: archived.sha256 });
        }
        let target = self.object_path(&archived.sha256);
        if fs::symlink_metadata(&target).is_ok_and(|there| there.is_file() && there.len() == archived.size) {
            return Ok(archived);
        }
        let parent = target.parent().unwrap_or(&self.root);
        private_folder(parent)?;
        to.as_file().sync_data().map_err(io_error("write", &target))?;
        to.persist(&target).map_err(|e| io_error("write", &target)(e.error))?;
        sync_folder(parent)?;
        Ok(archived)
    }
}

/// What was put into the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Archived {
    /// SHA-256 of its bytes.
    pub sha256: String,
    /// Size in bytes.
    pub size: u64,
}

fn copy(from: &mut File, to: &mut File, source: &Path, folder: &Path) -> Result<Archived, StoreError> {
    let mut digest = Sha256Stream::new();
    let mut size = 0;
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let n = match from.read(&mut buffer) {
            Ok(0) => return Ok(Archived { sha256: digest.finish_hex(), size }),
            Ok(n) => n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(io_error("archive", source)(e)),
        };
        digest.update(&buffer[..n]);
        to.write_all(&buffer[..n]).map_err(io_error("write", folder))?;
        size += n as u64;
    }
}

/// The folder of a run whose engine is alive; its lock is held until this is dropped.
#[derive(Debug)]
pub struct RunDir {
    id: String,
    path: PathBuf,
    lock: File,
}

/// Explicitly, because a child that is being started at this moment holds a copy of the descriptor until it runs.
impl Drop for RunDir {
    fn drop(&mut self) {
        let _ = self.lock.unlock();
    }
}

impl RunDir {
    /// `<utc>-<rand>`.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Keeps the plan as it was read: `plan.toml`, its included files as `plan-1.toml` and on, and `plan.files.jsonl`
    /// with the path and digest of each. Gives the SHA-256 of that list.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn snapshot(&self, sources: &Sources) -> Result<String, StoreError> {
        let list = self.path.join(PLAN_FILES);
        let mut lines = Vec::new();
        for (number, source) in sources.files.iter().enumerate() {
            let name = if number == 0 { "plan.toml".to_owned() } else { format!("plan-{number}.toml") };
            write_new(&self.path.join(&name), source.text.as_bytes())?;
            let digest = sha256_hex(source.text.as_bytes());
            let line = serde_json::json!({ "file": name, "path": source.path, "sha256": digest });
            let line = canonical::to_line(&line).map_err(|e| io_error("write", &list)(io::Error::other(e)))?;
            lines.extend(line);
        }
        write_new(&list, &lines)?;
        Ok(sha256_hex(&lines))
    }

    /// The folder of the folders of steps.
    #[must_use]
    pub fn steps(&self) -> PathBuf {
        self.path.join("steps")
    }

    /// The folder for a step's raw output, `steps/0007-test-py-3.12`: not there for a step that wrote nothing.
    #[must_use]
    pub fn step_path(&self, rank: u32, name: &str) -> PathBuf {
        self.steps().join(step_folder(rank, name))
    }

    /// Makes and gives [`RunDir::step_path`].
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn step_dir(&self, rank: u32, name: &str) -> Result<PathBuf, StoreError> {
        let path = self.step_path(rank, name);
        DirBuilder::new().recursive(true).mode(0o700).create(&path).map_err(io_error("create", &path))?;
        Ok(path)
    }

    /// Takes away a record that the journal does not know of: its engine died between the two.
    ///
    /// # Errors
    /// When there is one and it cannot be removed.
    pub fn drop_record(&self) -> Result<(), StoreError> {
        let path = self.path.join(RECORD_FILE);
        match fs::remove_file(&path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(io_error("write", &path)(e)),
            _ => Ok(()),
        }
    }

    /// Writes `record.jsonl`, once: its presence means that the run is complete. Returns the record's id.
    ///
    /// # Errors
    /// When any part of it fails, or there is a record already; then there is no new record.
    pub fn write_record(&self, bytes: &[u8]) -> Result<String, StoreError> {
        self.write_record_with(|out| out.write_all(bytes))
    }

    /// As [`RunDir::write_record`], of bytes that come piece by piece.
    ///
    /// # Errors
    /// As there, or when they don't come.
    pub fn write_record_with(
        &self,
        bytes: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<String, StoreError> {
        let path = self.path.join(RECORD_FILE);
        let error = io_error("write", &path);
        let file = tempfile::NamedTempFile::new_in(&self.path).map_err(&error)?;
        let mut out = Digesting { out: BufWriter::with_capacity(32 * 1024, file), digest: Sha256Stream::new() };
        bytes(&mut out).map_err(&error)?;
        let file = out.out.into_inner().map_err(|e| error(e.into_error()))?;
        file.as_file().sync_all().map_err(&error)?;
        file.persist_noclobber(&path).map_err(|e| error(e.error))?;
        sync_folder(&self.path)?;
        Ok(out.digest.finish_hex())
    }
}

/// Writes, and digests what it writes.
struct Digesting<W> {
    out: W,
    digest: Sha256Stream,
}

impl<W: Write> Write for Digesting<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.write_all(bytes)?;
        self.digest.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// `<rank>-<slug>`: letters and digits of the name in lower case, `.`, `_`; everything else is one `-`. The rank makes
/// it unique.
#[must_use]
pub fn step_folder(rank: u32, name: &str) -> String {
    let mut slug = String::new();
    for c in name.chars().map(|c| c.to_ascii_lowercase()) {
        if c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '_') {
            slug.push(c);
        } else if !slug.ends_with('-') {
            slug.push('-');
        }
        if slug.len() == 60 {
            break;
        }
    }
    format!("{rank:04}-{}", slug.trim_matches(['-', '.']))
}

fn refused(path: &Path, reason: &str) -> StoreError {
    StoreError::Refused { path: path.to_owned(), reason: reason.to_owned() }
}

fn busy(path: &Path) -> StoreError {
    let text = fs::read_to_string(path).unwrap_or_default();
    match serde_json::from_str::<Holder>(&text) {
        Ok(holder) => StoreError::Busy { pid: Some(holder.pid), run: Some(holder.run), since: Some(holder.since) },
        Err(_) => StoreError::Busy { pid: None, run: None, since: None },
    }
}

/// Makes a folder that only its owner may enter, or checks one that is there.
pub(super) fn private_folder(path: &Path) -> Result<(), StoreError> {
    match DirBuilder::new().mode(0o700).create(path) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
        other => other.map_err(io_error("create", path))?,
    }
    let mode = check_folder(path)?;
    if mode & 0o077 != 0 {
        fs::set_permissions(path, fs::Permissions::from_mode(0o700)).map_err(io_error("write", path))?;
    }
    Ok(())
}

/// Refuses a symlink, anything that is no folder, and a folder of another user. Returns its mode.
pub(super) fn check_folder(path: &Path) -> Result<u32, StoreError> {
    let there = fs::symlink_metadata(path).map_err(io_error("read", path))?;
    if there.file_type().is_symlink() {
        return Err(refused(path, "it is a symlink; remove it"));
    }
    if !there.is_dir() {
        return Err(refused(path, "it is no folder; remove it"));
    }
    check_owner(path, there.uid(), rustix::process::geteuid().as_raw())?;
    Ok(there.mode())
}

fn check_owner(path: &Path, owner: u32, me: u32) -> Result<(), StoreError> {
    if owner == me {
        return Ok(());
    }
    Err(refused(path, &format!("it belongs to user {owner} and this is user {me}; run as its owner or remove it")))
}

pub(super) fn lock_file(path: &Path) -> Result<File, StoreError> {
    let nofollow = i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).unwrap_or_default();
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600).custom_flags(nofollow);
    options.open(path).map_err(io_error("lock", path))
}

/// Writes a file unless there is one.
fn write_new(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(e) => Err(io_error("create", path)(e)),
        Ok(mut file) => file.write_all(bytes).map_err(io_error("write", path)),
    }
}

pub(super) fn sync_folder(path: &Path) -> Result<(), StoreError> {
    File::open(path).and_then(|folder| folder.sync_all()).map_err(io_error("write", path))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::place::Source;

    fn mode(path: &Path) -> u32 {
        fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn run_ids_are_time_and_letters() {
        assert_eq!(run_id(1_795_500_903_000, [0; 4]), "20261124T061503Z-aaaaaa");
        assert_eq!(run_id(-1, [0, 0, 0, 31]), "19691231T235959Z-7aaaaa");
        assert_eq!(run_id(i64::MAX, [255; 4]), "19700101T000000Z-777777");
    }

    #[test]
    fn step_folders_keep_to_a_closed_alphabet() {
        assert_eq!(step_folder(7, "test[py=3.12,os=Linux]"), "0007-test-py-3.12-os-linux");
        assert_eq!(step_folder(12_345, "../\u{e9}/x\0"), "12345-x");
        assert!(step_folder(0, &"x".repeat(500)).len() <= 65);
    }

    #[test]
    fn the_folder_is_private_and_marked() {
        let workspace = tempfile::tempdir().unwrap();
        let root = workspace.path().join(FOLDER);
        fs::create_dir(&root).unwrap();
        fs::set_permissions(&root, fs::Permissions::from_mode(0o755)).unwrap();
        let store = Store::open(workspace.path(), false).unwrap();
        assert_eq!((mode(&root), mode(&root.join("runs")), mode(&root.join("lock"))), (0o700, 0o700, 0o600));
        assert_eq!(fs::read_to_string(root.join(".gitignore")).unwrap(), "*\n");
        assert!(fs::read_to_string(root.join("CACHEDIR.TAG")).unwrap().starts_with("Signature: 8a477f597d28d172"));
        drop(store);
        Store::open(workspace.path(), false).unwrap();
    }

    #[test]
    fn a_planted_symlink_or_another_owner_is_refused() {
        let (workspace, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        symlink(elsewhere.path(), workspace.path().join(FOLDER)).unwrap();
        for result in [Store::open(workspace.path(), false), Store::reader(workspace.path())] {
            let text = result.unwrap_err().to_string();
            assert!(text.contains(".runplan") && text.contains("symlink"), "{text}");
        }
        assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 0);
        let text = check_owner(Path::new("w/.runplan"), 7, 8).unwrap_err().to_string();
        assert!(text.contains("belongs to user 7 and this is user 8"), "{text}");
    }

    #[test]
    fn a_planted_lock_link_is_not_followed() {
        let (workspace, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        drop(Store::open(workspace.path(), false).unwrap());
        let lock = workspace.path().join(FOLDER).join("lock");
        fs::remove_file(&lock).unwrap();
        symlink(elsewhere.path().join("victim"), &lock).unwrap();
        assert!(Store::open(workspace.path(), false).is_err());
        assert!(!elsewhere.path().join("victim").exists());
    }

    #[test]
    fn the_second_run_is_told_who_is_first_or_waits() {
        let workspace = tempfile::tempdir().unwrap();
        let store = Store::open(workspace.path(), false).unwrap();
        let early = Store::open(workspace.path(), false).unwrap_err();
        assert!(matches!(early, StoreError::Busy { pid: None, run: None, since: None }), "{early}");
        let run = store.begin("20260101T000000Z-aaaaaa", 4242, "06:15").unwrap();
        let text = Store::open(workspace.path(), false).unwrap_err().to_string();
        let right = "another run is going on in this workspace: `20260101T000000Z-aaaaaa`, process 4242, since 06:15; \
                     `--wait` waits until it ends";
        assert_eq!(text, right);
        let reader = Store::reader(workspace.path()).unwrap();
        assert!(reader.is_live(run.id()).unwrap());
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| Store::open(workspace.path(), true));
            drop((run, store));
            let store = waiting.join().unwrap().unwrap();
            assert!(!reader.is_live("20260101T000000Z-aaaaaa").unwrap());
            assert!(!reader.is_live("20260101T000000Z-bbbbbb").unwrap());
            // The text of the run that ended is gone.
            let busy = Store::open(workspace.path(), false).unwrap_err();
            assert!(matches!(busy, StoreError::Busy { pid: None, .. }), "{busy}");
            drop(store);
        });
    }

    #[test]
    fn a_run_folder_is_taken_once() {
        let workspace = tempfile::tempdir().unwrap();
        let store = Store::open(workspace.path(), false).unwrap();
        let run = store.begin("a", 1, "now").unwrap();
        let error = store.begin("a", 1, "now").unwrap_err();
        assert!(matches!(&error, StoreError::Io { source, .. } if source.kind() == io::ErrorKind::AlreadyExists));
        assert!(error.to_string().contains("runs/a"), "{error}");
        assert_eq!(run.step_dir(3, "x y").unwrap(), run.path().join("steps/0003-x-y"));
        assert_eq!(run.step_dir(3, "x y").unwrap(), run.path().join("steps/0003-x-y"));
        store.begin("b", 1, "now").unwrap();
        assert_eq!(store.runs().unwrap(), ["a", "b"]);
    }

    #[test]
    fn the_record_is_written_once() {
        let workspace = tempfile::tempdir().unwrap();
        let store = Store::open(workspace.path(), false).unwrap();
        let run = store.begin("a", 1, "now").unwrap();
        assert_eq!(run.write_record(b"abc").unwrap(), sha256_hex(b"abc"));
        let error = run.write_record(b"other").unwrap_err().to_string();
        assert!(error.contains("record.jsonl"), "{error}");
        assert_eq!(fs::read(run.path().join(RECORD_FILE)).unwrap(), b"abc");
        let left: Vec<_> = fs::read_dir(run.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left.len(), 2, "only the lock and the record: {left:?}");
    }

    #[test]
    fn latest_moves_on() {
        let workspace = tempfile::tempdir().unwrap();
        let store = Store::open(workspace.path(), false).unwrap();
        assert_eq!(store.latest(), None);
        for id in ["a", "b"] {
            store.begin(id, 1, "now").unwrap();
            store.set_latest(id).unwrap();
            assert_eq!(store.latest().as_deref(), Some(id));
            assert!(store.root().join("latest/lock").exists());
        }
    }

    #[test]
    fn the_plan_is_kept_as_it_was_read() {
        let workspace = tempfile::tempdir().unwrap();
        let store = Store::open(workspace.path(), false).unwrap();
        let run = store.begin("a", 1, "now").unwrap();
        let mut sources =
            Sources { files: vec![std::sync::Arc::new(Source::new("p.toml".into(), "format = 1\n".into()))] };
        assert_eq!(plan_digest(&sources), sha256_hex(b"format = 1\n"));
        sources.files.push(std::sync::Arc::new(Source::new("inc/x.toml".into(), "# x\r\n".into())));
        assert_eq!(plan_digest(&sources).len(), 64);
        assert_ne!(plan_digest(&sources), sha256_hex(b"format = 1\n"));
        run.snapshot(&sources).unwrap();
        assert_eq!(fs::read(run.path().join("plan.toml")).unwrap(), b"format = 1\n");
        assert_eq!(fs::read(run.path().join("plan-1.toml")).unwrap(), b"# x\r\n");
        let list = fs::read_to_string(run.path().join("plan.files.jsonl")).unwrap();
        let digest = sha256_hex(b"# x\r\n");
        let second = format!(r#"{{"file":"plan-1.toml","path":"inc/x.toml","sha256":"{digest}"}}"#);
        assert_eq!(list.lines().nth(1), Some(second.as_str()));
    }

    #[test]
    fn archived_files_are_copies_under_their_digest() {
        let workspace = tempfile::tempdir().unwrap();
        let store = Store::open(workspace.path(), false).unwrap();
        let file = workspace.path().join("big");
        let bytes: Vec<u8> = (0..200_000_u32).flat_map(u32::to_le_bytes).collect();
        fs::write(&file, &bytes).unwrap();
        let digest = sha256_hex(&bytes);
        let archived = store.archive(&file, Some(&digest)).unwrap();
        assert_eq!(archived, Archived { sha256: digest.clone(), size: 800_000 });
        let object = store.object_path(&digest);
        assert!(object.ends_with(format!("objects/sha256/{}/{}", &digest[..2], &digest[2..])));
        fs::write(&file, b"later").unwrap();
        assert_eq!(fs::read(&object).unwrap(), bytes);
        assert!(matches!(store.archive(&file, Some(&digest)), Err(StoreError::Changed { .. })));
        assert_eq!(store.archive(&file, None).unwrap(), store.archive(&file, None).unwrap());
        let link = workspace.path().join("link");
        symlink(&file, &link).unwrap();
        assert!(matches!(store.archive(&link, None), Err(StoreError::Refused { .. })));
        assert!(matches!(store.archive(workspace.path(), None), Err(StoreError::Refused { .. })));
        let missing = store.archive(&workspace.path().join("none"), None).unwrap_err().to_string();
        assert!(missing.contains("none"), "{missing}");
        assert_eq!(fs::read_dir(store.root().join("objects/tmp")).unwrap().count(), 0);
    }

    #[test]
    fn a_damaged_object_is_replaced() {
        let workspace = tempfile::tempdir().unwrap();
        let store = Store::open(workspace.path(), false).unwrap();
        let file = workspace.path().join("f");
        fs::write(&file, b"whole").unwrap();
        let object = store.object_path(&store.archive(&file, None).unwrap().sha256);
        fs::write(&object, b"wh").unwrap();
        store.archive(&file, None).unwrap();
        assert_eq!(fs::read(&object).unwrap(), b"whole");
    }
}
