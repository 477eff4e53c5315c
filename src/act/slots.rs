//! Files that processes write to, handed on from step to step. Most steps write nothing: a file that stayed empty serves
//! the next one, so that they cost no file at all. Knows no step, only where a file with something in it has to go.
//!
//! A new file costs more than everything else that is kept of a step; and one that is made and removed for each costs
//! more still, because some file systems look for a number that was not used lately.

use std::cell::{Cell, RefCell};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// The streams that are kept.
pub(super) const STREAMS: [&str; 2] = ["stdout", "stderr"];

/// Name of the file of named outputs.
const NAMED: &str = "outputs";

/// All slots of a run.
pub struct Slots {
    folder: PathBuf,
    free: RefCell<Vec<Files>>,
    made: Cell<u32>,
}

impl Slots {
    /// Slots whose files lie in `folder`, which is made with the first. What an engine that died left there keeps its
    /// bytes under another name (`cut-off-0-stdout`); what is empty goes.
    ///
    /// # Errors
    /// When the folder can't be read or what lies there can't be moved.
    pub fn new(folder: &Path) -> io::Result<Self> {
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Self { folder: folder.to_owned(), free: RefCell::default(), made: Cell::new(0) });
            }
            Err(error) => return Err(error),
        };
        let mut left = Vec::new();
        for entry in entries {
            let entry = entry?;
            if entry.file_name().to_str().is_some_and(|name| name.starts_with("slot-")) {
                left.push(entry);
            }
        }
        for entry in left {
            let name = entry.file_name().to_string_lossy().into_owned();
            if entry.metadata()?.len() == 0 {
                fs::remove_file(entry.path())?;
                continue;
            }
            let stream = name.rsplit('-').next().unwrap_or(&name).to_owned();
            let free = (0..u32::MAX).map(|n| folder.join(format!("cut-off-{n}-{stream}"))).find(|path| !path.exists());
            fs::rename(entry.path(), free.unwrap_or_else(|| folder.join(&name)))?;
        }
        Ok(Self { folder: folder.to_owned(), free: RefCell::default(), made: Cell::new(0) })
    }

    /// Empty files for one attempt; what is written to `stdout` and `stderr` ends at `paths`.
    ///
    /// # Errors
    /// When they can't be made; the text names the file.
    pub fn take(self: &Rc<Self>, paths: [PathBuf; 2]) -> io::Result<Slot> {
        let free = self.free.borrow_mut().pop();
        let mut files = match free {
            Some(files) => files,
            None => {
                let folder = || DirBuilder::new().recursive(true).mode(0o700).create(&self.folder);
                folder().map_err(|error| told(&self.folder, &error))?;
                let number = self.made.get();
                self.made.set(number + 1);
                let path = |stream: &str| self.folder.join(format!("slot-{number}-{stream}"));
                Files { streams: [None, None], paths: STREAMS.map(path), named: path(NAMED), named_is_empty: false }
            }
        };
        let Files { streams, paths: own, named, named_is_empty } = &mut files;
        for (stream, path) in streams.iter_mut().zip(own) {
            if stream.is_none() {
                *stream = Some(Stream::make(path).map_err(|error| told(path, &error))?);
            }
        }
        if !std::mem::replace(named_is_empty, false) {
            remove(named).map_err(|error| told(named, &error))?;
            make(named).map_err(|error| told(named, &error))?;
        }
        let slot = Taken { files, paths, spoiled: false };
        Ok(Slot { slots: Rc::clone(self), taken: RefCell::new(Some(slot)) })
    }
}

struct Files {
    /// `None`: to be made, because the one before has a name now.
    streams: [Option<Stream>; 2],
    paths: [PathBuf; 2],
    named: PathBuf,
    /// It was seen to be there and empty after the last process that could write to it had ended.
    named_is_empty: bool,
}

struct Stream {
    file: File,
    id: (u64, u64),
}

impl Stream {
    fn make(path: &Path) -> io::Result<Self> {
        let file = make(path)?;
        let meta = file.metadata()?;
        Ok(Self { file, id: (meta.dev(), meta.ino()) })
    }
}

/// Appending, so that a child that opens it again through `/dev/stdout` leaves no holes; for our eyes only.
fn make(path: &Path) -> io::Result<File> {
    OpenOptions::new().create_new(true).append(true).mode(0o600).open(path)
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn told(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("cannot make `{}`: {error}", path.display()))
}

/// What is never reused leaves no empty file behind.
impl Drop for Files {
    fn drop(&mut self) {
        for (stream, path) in self.streams.iter().zip(&self.paths) {
            if let Some(stream) = stream
                && stream.file.metadata().is_ok_and(|meta| meta.len() == 0)
            {
                // It is empty and ours; whoever looks finds it so.
                let _ = fs::remove_file(path);
            }
        }
        if fs::symlink_metadata(&self.named).is_ok_and(|meta| meta.len() == 0) {
            let _ = fs::remove_file(&self.named);
        }
    }
}

struct Taken {
    files: Files,
    paths: [PathBuf; 2],
    spoiled: bool,
}

/// Files of one attempt. Goes back when it is dropped.
pub struct Slot {
    slots: Rc<Slots>,
    taken: RefCell<Option<Taken>>,
}

impl Drop for Slot {
    fn drop(&mut self) {
        // What somebody may still write to is nobody else's.
        if let Some(taken) = self.taken.take().filter(|taken| !taken.spoiled) {
            self.slots.free.borrow_mut().push(taken.files);
        }
    }
}

impl Slot {
    /// The folder that what is written to the streams goes to.
    #[must_use]
    pub fn place(&self) -> PathBuf {
        let taken = self.taken.borrow();
        taken.as_ref().and_then(|taken| taken.paths[0].parent()).map(Path::to_owned).unwrap_or_default()
    }

    /// Where what is written to the streams goes: stdout, stderr.
    pub(super) fn paths(&self) -> Option<[PathBuf; 2]> {
        self.taken.borrow().as_ref().map(|taken| taken.paths.clone())
    }

    /// The file of named outputs; it is there, and empty.
    #[must_use]
    pub fn named(&self) -> PathBuf {
        self.taken.borrow().as_ref().map(|taken| taken.files.named.clone()).unwrap_or_default()
    }

    /// Size of the file of named outputs once nobody can write to it any more.
    #[must_use]
    pub fn named_size(&self) -> u64 {
        let mut taken = self.taken.borrow_mut();
        let Some(Taken { files, .. }) = taken.as_mut() else { return 0 };
        match fs::symlink_metadata(&files.named) {
            Ok(meta) if meta.is_file() => {
                files.named_is_empty = meta.len() == 0;
                meta.len()
            }
            _ => fs::metadata(&files.named).map_or(0, |meta| meta.len()),
        }
    }

    /// Descriptors of stdout and stderr, and the device and inode of each.
    pub(super) fn streams(&self) -> io::Result<[(File, (u64, u64)); 2]> {
        let taken = self.taken.borrow();
        let lost = || io::Error::other("its files are gone");
        let one = |number: usize| {
            let stream = taken.as_ref().and_then(|taken| taken.files.streams[number].as_ref()).ok_or_else(lost)?;
            Ok::<_, io::Error>((stream.file.try_clone()?, stream.id))
        };
        Ok([one(0)?, one(1)?])
    }

    /// Gives a name to every stream that has something in it. Returns the size of each.
    ///
    /// # Errors
    /// When it can't be moved to its place.
    pub(super) fn settle(&self) -> io::Result<[u64; 2]> {
        let mut taken = self.taken.borrow_mut();
        let mut sizes = [0, 0];
        let Some(Taken { files, paths, .. }) = taken.as_mut() else { return Ok(sizes) };
        for number in 0..2 {
            let Some(stream) = &files.streams[number] else {
                sizes[number] = fs::metadata(&paths[number]).map_or(0, |meta| meta.len());
                continue;
            };
            sizes[number] = stream.file.metadata()?.len();
            if sizes[number] > 0 {
                place(&files.paths[number], &paths[number])?;
                files.streams[number] = None;
            }
        }
        Ok(sizes)
    }

    /// Some process may still hold a file: no other one gets them.
    pub(super) fn spoil(&self) {
        if let Some(taken) = self.taken.borrow_mut().as_mut() {
            taken.spoiled = true;
        }
    }
}

/// Moves a file to its place, whose folder may not be there yet.
///
/// # Errors
/// The system's.
pub fn place(from: &Path, to: &Path) -> io::Result<()> {
    let moved = fs::rename(from, to);
    match moved {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let folder = to.parent().unwrap_or(to);
            DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
            fs::rename(from, to)
        }
        other => other,
    }
}
