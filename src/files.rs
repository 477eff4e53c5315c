//! Paths of a workspace: joined safely, expanded, walked, read and digested. Knows no plan, no step and no engine.
//!
//! Nothing here blocks for ever: FIFOs, devices and sockets are refused before they are opened, and every long
//! operation watches a [`Quit`].

mod digests;

use std::fmt;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use globset::GlobBuilder;
use walkdir::WalkDir;

pub use digests::{Digests, Role, digest, digest_all, tree_sha256};

/// The engine's own folder in a workspace; never part of an expansion or a tree.
pub const OWN_FOLDER: &str = ".runplan";

/// Asks a long operation on another thread to end.
#[derive(Clone, Debug, Default)]
pub struct Quit(Arc<AtomicBool>);

impl Quit {
    /// Asks.
    pub fn ask(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it was asked.
    #[must_use]
    pub fn asked(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Why a path cannot be used: shown as one sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileError {
    /// The path as a person wrote it or would write it.
    pub path: String,
    /// What is wrong with it.
    pub fault: Fault,
}

/// What is wrong with a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// No text.
    Empty,
    /// Contains a NUL byte.
    Nul,
    /// Starts at the root where a path inside the workspace is asked for.
    Absolute,
    /// Leaves the workspace by `..`.
    Escapes,
    /// Leads out of the workspace by a symbolic link.
    LinksOut,
    /// Is a symbolic link where a plain file is asked for.
    Link,
    /// Is a folder where a file is asked for.
    Folder,
    /// Is neither file nor folder (`FIFO`, `device`, `socket`).
    Special(&'static str),
    /// Has more bytes than this.
    TooLarge(u64),
    /// Is not UTF-8 from this byte on.
    NotUtf8(usize),
    /// Is not a glob.
    Glob(String),
    /// The operating system says no.
    Io(io::ErrorKind, String),
    /// [`Quit`] was asked.
    Quit,
}

impl FileError {
    fn new(path: impl Into<String>, fault: Fault) -> Self {
        Self { path: path.into(), fault }
    }

    fn io(path: impl Into<String>, error: &io::Error) -> Self {
        let fault = match error.get_ref().and_then(|inner| inner.downcast_ref::<Asked>()) {
            Some(_) => Fault::Quit,
            None => Fault::Io(error.kind(), plain(error)),
        };
        Self::new(path, fault)
    }

    /// Whether there is no such file.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        matches!(&self.fault, Fault::Io(io::ErrorKind::NotFound | io::ErrorKind::NotADirectory, _))
    }
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = &self.path;
        match &self.fault {
            Fault::Empty => f.write_str("the path is empty"),
            Fault::Nul => write!(f, "`{}` contains a NUL byte", path.escape_debug()),
            Fault::Absolute => write!(f, "`{path}` is absolute: write it relative to the workspace"),
            Fault::Escapes => write!(f, "`{path}` leaves the workspace"),
            Fault::LinksOut => write!(f, "`{path}` leads out of the workspace by a symbolic link"),
            Fault::Link => write!(f, "`{path}` is a symbolic link: name the file it points to"),
            Fault::Folder => write!(f, "`{path}` is a folder, not a file"),
            Fault::Special(kind) => write!(f, "`{path}` is a {kind}, not a file"),
            Fault::TooLarge(limit) => write!(f, "`{path}` is larger than {}", human_size(*limit)),
            Fault::NotUtf8(at) => write!(f, "`{path}` is not UTF-8 text (byte {at})"),
            Fault::Glob(why) => write!(f, "`{path}` is not a glob: {why}"),
            Fault::Io(io::ErrorKind::NotFound, _) => write!(f, "`{path}` does not exist"),
            Fault::Io(_, why) => write!(f, "cannot read `{path}`: {why}"),
            Fault::Quit => write!(f, "stopped while reading `{path}`"),
        }
    }
}

impl std::error::Error for FileError {}

/// An I/O error without the ` (os error 2)` that tells a person nothing, in lower case.
#[must_use]
pub fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or(&text);
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}

/// `16 MiB`, `1536 B`: the largest unit that keeps a whole number.
#[must_use]
pub fn human_size(bytes: u64) -> String {
    for (unit, name) in [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")] {
        if bytes >= unit && bytes.is_multiple_of(unit) {
            return format!("{} {name}", bytes / unit);
        }
    }
    format!("{bytes} B")
}

/// A path as text; bytes that are not UTF-8 as `\xNN`, so that two different paths stay different.
#[must_use]
pub fn show(path: &Path) -> String {
    let mut text = String::new();
    for chunk in path.as_os_str().as_bytes().utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text
}

/// `path` as written relative to the workspace if it is inside, absolute otherwise.
#[must_use]
pub fn relative(workspace: &Path, path: &Path) -> String {
    // As texts, where that is the same: nearly always.
    let (home, whole) = (workspace.as_os_str().as_bytes(), path.as_os_str().as_bytes());
    if let Some(rest) = whole.strip_prefix(home).and_then(|rest| rest.strip_prefix(b"/"))
        && let Ok(rest) = std::str::from_utf8(rest)
        && rest.split('/').all(|part| !matches!(part, "" | "." | ".."))
    {
        return rest.to_owned();
    }
    match path.strip_prefix(workspace) {
        Ok(rest) if rest.as_os_str().is_empty() => ".".to_owned(),
        Ok(rest) => show(rest),
        Err(_) => show(path),
    }
}

/// Joins a relative path to the workspace, `.` and `..` resolved by text.
///
/// # Errors
/// For an empty or absolute path, a NUL byte, and a path that leaves the workspace.
pub fn inside(workspace: &Path, path: &str) -> Result<PathBuf, FileError> {
    check_text(path)?;
    if path.split('/').all(|part| !matches!(part, "" | "." | "..")) {
        return Ok(workspace.join(path));
    }
    let mut joined = PathBuf::new();
    for component in Path::new(path).components() {
        match component {
            Component::Normal(name) => joined.push(name),
            Component::CurDir => {}
            Component::ParentDir if joined.pop() => {}
            Component::ParentDir => return Err(FileError::new(path, Fault::Escapes)),
            Component::RootDir | Component::Prefix(_) => return Err(FileError::new(path, Fault::Absolute)),
        }
    }
    Ok(workspace.join(joined))
}

/// Joins a path that is only looked at: it may be absolute or leave the workspace.
///
/// # Errors
/// For an empty path and a NUL byte.
pub fn anywhere(workspace: &Path, path: &str) -> Result<PathBuf, FileError> {
    check_text(path)?;
    Ok(inside(workspace, path).unwrap_or_else(|_| workspace.join(path)))
}

fn check_text(path: &str) -> Result<(), FileError> {
    if path.is_empty() {
        return Err(FileError::new(path, Fault::Empty));
    }
    if path.contains('\0') { Err(FileError::new(path, Fault::Nul)) } else { Ok(()) }
}

/// The absolute path of a file that may be written: inside the workspace, also through the symbolic links on the way,
/// and itself absent or a plain file.
///
/// # Errors
/// As [`inside`], and for a way that links out, a symbolic link, a folder or a special file at the end.
pub fn writable(workspace: &Path, path: &str) -> Result<PathBuf, FileError> {
    let target = inside(workspace, path)?;
    if target == workspace {
        return Err(FileError::new(path, Fault::Folder));
    }
    stays_inside(workspace, target.parent().unwrap_or(workspace), path)?;
    match fs::symlink_metadata(&target) {
        Ok(meta) if meta.is_symlink() => Err(FileError::new(path, Fault::Link)),
        Ok(meta) => match unfit(&meta) {
            Some(fault) => Err(FileError::new(path, fault)),
            None => Ok(target),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(target),
        Err(error) => Err(FileError::io(path, &error)),
    }
}

/// Whether a path (its deepest part that exists) lies inside the workspace with all symbolic links resolved.
///
/// # Errors
/// [`Fault::LinksOut`] if not, or what the operating system says.
pub fn stays_inside(workspace: &Path, absolute: &Path, shown: &str) -> Result<(), FileError> {
    if is_plain_below(workspace, absolute) {
        return Ok(());
    }
    let home = workspace.canonicalize().map_err(|error| FileError::io(show(workspace), &error))?;
    for part in absolute.ancestors() {
        match part.canonicalize() {
            Ok(real) if real.starts_with(&home) => return Ok(()),
            Ok(_) => return Err(FileError::new(shown, Fault::LinksOut)),
            // A dangling link would be created where it points to.
            Err(error) if error.kind() == io::ErrorKind::NotFound && !part.is_symlink() => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(FileError::new(shown, Fault::LinksOut));
            }
            Err(error) => return Err(FileError::io(shown, &error)),
        }
    }
    Err(FileError::new(shown, Fault::LinksOut))
}

/// Whether nothing below the workspace on the way there is a link, nor steps up: nearly always, and quickly asked.
fn is_plain_below(workspace: &Path, absolute: &Path) -> bool {
    let Ok(rest) = absolute.strip_prefix(workspace) else { return false };
    let mut path = workspace.to_owned();
    for part in rest.components() {
        let Component::Normal(name) = part else { return false };
        path.push(name);
        match fs::symlink_metadata(&path) {
            Ok(meta) if meta.is_symlink() => return false,
            Ok(_) => {}
            // What is not there is no link either, nor is what would lie in it.
            Err(error) => return error.kind() == io::ErrorKind::NotFound,
        }
    }
    true
}

/// Why this is not a plain file.
fn unfit(meta: &Metadata) -> Option<Fault> {
    let kind = meta.file_type();
    if kind.is_file() {
        None
    } else if kind.is_dir() {
        Some(Fault::Folder)
    } else if kind.is_fifo() {
        Some(Fault::Special("FIFO"))
    } else if kind.is_socket() {
        Some(Fault::Special("socket"))
    } else {
        Some(Fault::Special("device"))
    }
}

/// A file being read that ends with an error once asked to quit.
pub struct Reading {
    file: File,
    quit: Quit,
}

/// Marks the error of a [`Reading`] that was asked to quit.
#[derive(Debug)]
struct Asked;

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("stopped")
    }
}

impl std::error::Error for Asked {}

impl Read for Reading {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.quit.asked() {
            return Err(io::Error::other(Asked));
        }
        self.file.read(buffer)
    }
}

/// Opens a plain file, symbolic links followed. `shown` names it in errors.
///
/// # Errors
/// For anything but a plain file, or what the operating system says.
pub fn open(path: &Path, shown: &str, quit: &Quit) -> Result<Reading, FileError> {
    let check = |meta: io::Result<Metadata>| match meta {
        Ok(meta) => unfit(&meta).map_or(Ok(()), |fault| Err(FileError::new(shown, fault))),
        Err(error) => Err(FileError::io(shown, &error)),
    };
    check(fs::metadata(path))?;
    Ok(open_plain(path, shown, quit)?.0)
}

/// Opens what was a plain file a moment ago, and says what it is now.
fn open_plain(path: &Path, shown: &str, quit: &Quit) -> Result<(Reading, Metadata), FileError> {
    // Not to wait for a writer if a FIFO took its place in between; a plain file ignores the flag.
    let flags = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or(0);
    let opened = OpenOptions::new().read(true).custom_flags(flags).open(path);
    let file = opened.map_err(|error| FileError::io(shown, &error))?;
    let meta = file.metadata().map_err(|error| FileError::io(shown, &error))?;
    match unfit(&meta) {
        Some(fault) => Err(FileError::new(shown, fault)),
        None => Ok((Reading { file, quit: quit.clone() }, meta)),
    }
}

/// All bytes of a plain file, at most `limit`.
///
/// # Errors
/// As [`open`], and [`Fault::TooLarge`].
pub fn read(path: &Path, shown: &str, limit: u64, quit: &Quit) -> Result<Vec<u8>, FileError> {
    let mut bytes = Vec::new();
    let reading = open(path, shown, quit)?.take(limit.saturating_add(1)).read_to_end(&mut bytes);
    reading.map_err(|error| FileError::io(shown, &error))?;
    if bytes.len() as u64 > limit { Err(FileError::new(shown, Fault::TooLarge(limit))) } else { Ok(bytes) }
}

/// All text of a plain file, at most `limit` bytes; a byte order mark at its start is left out.
///
/// # Errors
/// As [`read`], and [`Fault::NotUtf8`].
pub fn read_text(path: &Path, shown: &str, limit: u64, quit: &Quit) -> Result<String, FileError> {
    let text = String::from_utf8(read(path, shown, limit, quit)?)
        .map_err(|error| FileError::new(shown, Fault::NotUtf8(error.utf8_error().valid_up_to())))?;
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

/// Whether a text is a glob (`*`, `?` or `[`); `{a,b}` alone is none.
#[must_use]
pub fn is_glob(text: &str) -> bool {
    text.contains(['*', '?', '['])
}

/// What a path or glob stands for, sorted by bytes: a plain path for itself, whether it exists or not; a glob for the
/// files (not folders) that match. `*` and `?` stop at `/`, `**` does not; symbolic links to folders are not entered.
///
/// # Errors
/// For a text that is no path or glob, and for a folder that cannot be listed.
pub fn expand(workspace: &Path, text: &str, quit: &Quit) -> Result<Vec<PathBuf>, FileError> {
    if !is_glob(text) {
        return anywhere(workspace, text).map(|path| vec![path]);
    }
    check_text(text)?;
    let parts: Vec<&str> = text.split('/').collect();
    let fixed = parts.iter().take_while(|part| !is_glob(part) && !part.contains(['{', '\\'])).count();
    let base = match parts[..fixed].join("/").as_str() {
        "" if fixed > 0 => PathBuf::from("/"),
        "" => workspace.to_owned(),
        base => anywhere(workspace, base)?,
    };
    let pattern = parts[fixed..].join("/");
    let glob = GlobBuilder::new(&pattern).literal_separator(true).build();
    let matcher = glob.map_err(|error| FileError::new(text, Fault::Glob(error.kind().to_string())))?.compile_matcher();
    let depth = if pattern.contains("**") { usize::MAX } else { parts.len() - fixed };
    let mut found = Vec::new();
    let own = workspace.join(OWN_FOLDER);
    let entries = WalkDir::new(&base).min_depth(1).max_depth(depth).into_iter();
    for entry in entries.filter_entry(|entry| entry.path() != own) {
        if quit.asked() {
            return Err(FileError::new(text, Fault::Quit));
        }
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) if missing(&error) => continue,
            Err(error) => return Err(walk_error(workspace, &error)),
        };
        let Ok(rest) = entry.path().strip_prefix(&base) else { continue };
        // A link that leads nowhere is not a folder: it is listed, and whoever looks at it will say so.
        if matcher.is_match(rest) && !entry.path().is_dir() {
            found.push(entry.into_path());
        }
    }
    found.sort_by(|a, b| a.as_os_str().as_bytes().cmp(b.as_os_str().as_bytes()));
    Ok(found)
}

fn missing(error: &walkdir::Error) -> bool {
    error.io_error().is_some_and(|io| matches!(io.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory))
}

fn walk_error(workspace: &Path, error: &walkdir::Error) -> FileError {
    let path = error.path().map_or_else(String::new, |path| relative(workspace, path));
    match error.io_error() {
        Some(io) => FileError::io(path, io),
        None => FileError::new(path, Fault::Io(io::ErrorKind::Other, "the links form a loop".to_owned())),
    }
}

/// All files and symbolic links under a folder, sorted by bytes. Links are not followed; the engine's own folder is
/// left out.
///
/// # Errors
/// For a folder that cannot be listed, or anything that is neither file, folder nor link.
pub fn walk(workspace: &Path, folder: &Path, quit: &Quit) -> Result<Vec<PathBuf>, FileError> {
    let mut found = Vec::new();
    let own = workspace.join(OWN_FOLDER);
    let entries = WalkDir::new(folder).min_depth(1).into_iter();
    for entry in entries.filter_entry(|entry| entry.path() != own) {
        if quit.asked() {
            return Err(FileError::new(relative(workspace, folder), Fault::Quit));
        }
        let entry = entry.map_err(|error| walk_error(workspace, &error))?;
        let kind = entry.file_type();
        if kind.is_file() || kind.is_symlink() {
            found.push(entry.into_path());
        } else if !kind.is_dir() {
            let meta = entry.metadata().map_err(|error| walk_error(workspace, &error))?;
            let fault = unfit(&meta).unwrap_or(Fault::Special("special file"));
            return Err(FileError::new(relative(workspace, entry.path()), fault));
        }
    }
    found.sort_by(|a, b| a.as_os_str().as_bytes().cmp(b.as_os_str().as_bytes()));
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest;
    use std::os::unix::fs::symlink;

    fn quit() -> Quit {
        Quit::default()
    }

    fn tree(files: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for name in files {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, name).unwrap();
        }
        dir
    }

    fn names(workspace: &Path, text: &str) -> Vec<String> {
        expand(workspace, text, &quit()).unwrap().iter().map(|path| relative(workspace, path)).collect()
    }

    #[test]
    fn joining_stays_inside() {
        let ws = Path::new("/ws");
        assert_eq!(inside(ws, "a/./b/../c").unwrap(), Path::new("/ws/a/c"));
        assert_eq!(inside(ws, ".").unwrap(), Path::new("/ws"));
        for (path, fault) in [
            ("", Fault::Empty),
            ("a\0", Fault::Nul),
            ("/etc/passwd", Fault::Absolute),
            ("..", Fault::Escapes),
            ("a/../../ws/b", Fault::Escapes),
        ] {
            assert_eq!(inside(ws, path).unwrap_err().fault, fault, "{path}");
        }
        assert_eq!(anywhere(ws, "/etc/hosts").unwrap(), Path::new("/etc/hosts"));
    }

    #[test]
    fn globs_are_sorted_and_stop_at_slashes() {
        let dir = tree(&["b.py", "a.py", "x/c.py", "x/y/d.py", ".runplan/e.py", "x/n.txt"]);
        let ws = dir.path();
        assert_eq!(names(ws, "*.py"), ["a.py", "b.py"]);
        assert_eq!(names(ws, "**/*.py"), ["a.py", "b.py", "x/c.py", "x/y/d.py"]);
        assert_eq!(names(ws, "x/**"), ["x/c.py", "x/n.txt", "x/y/d.py"]);
        assert_eq!(names(ws, "x/?.{py,txt}"), ["x/c.py", "x/n.txt"]);
        assert_eq!(names(ws, "x/*/d.py"), ["x/y/d.py"]);
        assert_eq!(names(ws, "nowhere/*.py"), [""; 0]);
        assert_eq!(names(ws, "missing.txt"), ["missing.txt"]);
        let absolute = format!("{}/x/*.py", ws.display());
        assert_eq!(names(ws, &absolute), ["x/c.py"]);
        assert!(matches!(expand(ws, "a[", &quit()).unwrap_err().fault, Fault::Glob(_)));
    }

    #[test]
    fn writing_is_refused_outside_and_through_links() {
        let (dir, out) = (tree(&["in/f", "f"]), tree(&["f"]));
        let ws = dir.path();
        symlink(out.path(), ws.join("out")).unwrap();
        symlink(ws.join("f"), ws.join("link")).unwrap();
        symlink(ws.join("in"), ws.join("in2")).unwrap();
        symlink("/nonexistent/x", ws.join("dangling")).unwrap();
        let fault = |path| writable(ws, path).unwrap_err().fault;
        assert_eq!(fault("out/f"), Fault::LinksOut);
        assert_eq!(fault("out/new/f"), Fault::LinksOut);
        assert_eq!(fault("dangling/f"), Fault::LinksOut);
        assert_eq!(fault("link"), Fault::Link);
        assert_eq!(fault("in"), Fault::Folder);
        assert_eq!(fault("."), Fault::Folder);
        assert!(writable(ws, "new/deep/f").is_ok() && writable(ws, "in2/f").is_ok() && writable(ws, "f").is_ok());
    }

    #[test]
    fn special_files_are_refused_without_waiting() {
        let dir = tree(&["f"]);
        let fifo = dir.path().join("fifo");
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        assert_eq!(read(&fifo, "fifo", 10, &quit()).unwrap_err().to_string(), "`fifo` is a FIFO, not a file");
        let device = read(Path::new("/dev/zero"), "/dev/zero", 10, &quit());
        assert_eq!(device.unwrap_err().fault, Fault::Special("device"));
        assert_eq!(read(dir.path(), "d", 10, &quit()).unwrap_err().fault, Fault::Folder);
        assert!(walk(dir.path(), dir.path(), &quit()).is_err());
    }

    #[test]
    fn reading_is_bounded_and_can_be_ended() {
        let dir = tree(&["four"]);
        let path = dir.path().join("four");
        assert_eq!(read(&path, "four", 4, &quit()).unwrap(), b"four");
        assert_eq!(read(&path, "four", 3, &quit()).unwrap_err().fault, Fault::TooLarge(3));
        let asked = quit();
        asked.ask();
        assert_eq!(read(&path, "four", 9, &asked).unwrap_err().fault, Fault::Quit);
        assert_eq!(digest(dir.path(), &path, Role::Input, &asked).unwrap_err().fault, Fault::Quit);
        fs::write(&path, b"a\xff").unwrap();
        assert_eq!(read_text(&path, "four", 9, &quit()).unwrap_err().fault, Fault::NotUtf8(1));
        fs::write(&path, "\u{feff}a").unwrap();
        assert_eq!(read_text(&path, "four", 9, &quit()).unwrap(), "a");
    }

    #[test]
    fn digests_of_folders_globs_and_links() {
        let (dir, out) = (tree(&["d/b", "d/a", "e"]), tree(&["secret"]));
        let ws = dir.path();
        let seen = digest_all(ws, &["d/", "e", "nope", "no*"], Role::Input, &quit()).unwrap();
        let paths: Vec<&str> = seen.files.iter().map(|file| file.path.as_str()).collect();
        assert_eq!(
            (paths.as_slice(), seen.missing.as_slice()),
            (&["d/a", "d/b", "e"][..], &["nope".into(), "no*".into()][..])
        );
        assert_eq!(seen.files[2].sha256, digest::sha256_hex(b"e"));
        let whole = digest_all(ws, &["d"], Role::Output, &quit()).unwrap();
        let before = tree_sha256("d", &whole.files);
        fs::rename(ws.join("d"), ws.join("g")).unwrap();
        let moved = digest_all(ws, &["g"], Role::Output, &quit()).unwrap();
        assert_eq!(tree_sha256("g", &moved.files), before);
        symlink(out.path().join("secret"), ws.join("g/link")).unwrap();
        let fault = digest_all(ws, &["g"], Role::Output, &quit()).unwrap_err().fault;
        assert_eq!(fault, Fault::LinksOut);
        let followed = digest_all(ws, &["g/link"], Role::Input, &quit()).unwrap();
        assert_eq!(followed.files[0].sha256, digest::sha256_hex(b"secret"));
        assert_eq!(digest_all(ws, &["../x"], Role::Input, &quit()).unwrap_err().fault, Fault::Escapes);
    }

    #[test]
    fn paths_that_are_not_utf8_stay_distinct() {
        let path = |bytes: &[u8]| show(Path::new(std::ffi::OsStr::from_bytes(bytes)));
        assert_eq!(path(b"a\xffb"), "a\\xffb");
        assert_ne!(path(b"\xff"), path(b"\xfe"));
    }
}
