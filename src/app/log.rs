//! The log of a run as it lies in its folder, whether the run is over, broken off or going on, and wherever the folder
//! lies. Reads bytes; holds nothing against anything.

use std::fs::File;
use std::io::{BufReader, Read as _, Take};
use std::path::{Path, PathBuf};

use crate::digest::sha256_reader;
use crate::event::Event;
use crate::exit::Exit;
use crate::record::read::ReadError;
use crate::record::{journal, read, store};

use super::past::{self, Fault, corrupt, wrong};

/// What lies in the folder of a run.
pub(super) struct Log {
    /// Name of the folder: the run's id unless somebody renamed it.
    pub(super) id: String,
    /// The folder.
    pub(super) dir: PathBuf,
    /// The folder with the `.runplan` that it lies in; none for a copy elsewhere.
    pub(super) home: Option<PathBuf>,
    /// `journal.jsonl`, as long as it was.
    pub(super) journal: Journal,
    /// `record.jsonl`, if there is one.
    pub(super) record: Option<Vec<u8>>,
    /// The engine still writes it.
    pub(super) live: bool,
}

/// The bytes of a journal, read as often as they are asked for: they may be many. What an engine writes behind them
/// meanwhile is not among them.
pub(super) struct Journal {
    path: PathBuf,
    size: u64,
}

impl Journal {
    /// The journal in a folder.
    pub(super) fn of(dir: &Path) -> std::io::Result<Self> {
        let path = dir.join(journal::FILE_NAME);
        // Whether it can be read is found out now.
        let size = File::open(&path)?.metadata()?.len();
        Ok(Self { path, size })
    }

    fn bytes(&self) -> std::io::Result<Take<File>> {
        Ok(File::open(&self.path)?.take(self.size))
    }

    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// See [`read::recover_each`].
    pub(super) fn each(&self, take: &mut dyn FnMut(Event)) -> Result<read::Recovered, ReadError> {
        let bytes = self.bytes().map_err(|error| ReadError::Io(self.path.clone(), error))?;
        read::recover_each(&mut BufReader::with_capacity(64 * 1024, bytes), take)
    }

    /// See [`read::recover`].
    pub(super) fn recovered(&self) -> Result<read::Recovered, ReadError> {
        let mut events = Vec::new();
        let found = self.each(&mut |event| events.push(event))?;
        Ok(read::Recovered { events, ..found })
    }

    /// See [`read::faults`].
    pub(super) fn faults(&self, most: usize) -> Vec<String> {
        let mut whole = Vec::new();
        match self.bytes().and_then(|mut bytes| bytes.read_to_end(&mut whole)) {
            Ok(_) => read::faults(&whole, most),
            Err(error) => vec![ReadError::Io(self.path.clone(), error).to_string()],
        }
    }

    /// SHA-256 of the bytes.
    pub(super) fn digest(&self) -> std::io::Result<String> {
        sha256_reader(self.bytes()?).map(|(digest, _)| digest)
    }
}

/// Reads what somebody names: a run in the store, or the folder of one anywhere.
pub(super) fn open(named: &str) -> Result<Log, Fault> {
    // A folder that is there but holds no run must not be looked for in the store.
    let is_path = named.contains('/') || named == ".";
    if is_path && !Path::new(named).join(journal::FILE_NAME).is_file() {
        return Err(wrong(format!("`{named}` is no folder of a run: it has no `{}`", journal::FILE_NAME)));
    }
    let dir = past::find(named)?;
    let id = dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let unreadable =
        |name: &str, error: &std::io::Error| wrong(format!("`{name}` of run `{id}` can't be read: {error}"));
    // Before the bytes are read: an engine that ends in between has written all of them.
    let live = store::is_live(&dir).map_err(|error| wrong(error.to_string()))?;
    let journal = Journal::of(&dir).map_err(|e| unreadable(journal::FILE_NAME, &e))?;
    let record = match std::fs::read(dir.join(store::RECORD_FILE)) {
        Ok(bytes) => Some(bytes),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(unreadable(store::RECORD_FILE, &error)),
    };
    let root = dir.parent().and_then(Path::parent).filter(|root| root.ends_with(store::FOLDER));
    let home = root.and_then(Path::parent).map(Path::to_owned);
    Ok(Log { id, dir, home, journal, record, live })
}

impl Log {
    /// The events, as far as the journal goes; of a run that was resumed its last part.
    pub(super) fn recovered(&self) -> Result<read::Recovered, Fault> {
        let mut found = self.journal.recovered().map_err(|error| corrupt(format!("run `{}`: {error}", self.id)))?;
        if found.events.is_empty() {
            return Err(corrupt(format!("run `{}`: the journal has no whole line", self.id)));
        }
        found.events = read::last_part(found.events);
        Ok(found)
    }

    /// The record, if it is what the journal says.
    pub(super) fn checked_record(&self, found: &read::Recovered) -> Result<read::RecordFile, Fault> {
        let Some(bytes) = &self.record else {
            let why = if self.live { "it is going on" } else { "it was interrupted" };
            return Err(wrong(format!("run `{}` has no record: {why}", self.id)));
        };
        let record =
            read::read_record(bytes).map_err(|error| corrupt(format!("run `{}`: the record: {error}", self.id)))?;
        if !past::is_projected(&found.events, bytes, &record) {
            let help = format!("`runplan verify {}` says where", self.id);
            return Err(corrupt(format!("run `{}`: the record is not what the journal says; {help}", self.id)));
        }
        Ok(record)
    }
}

/// How a command that looks at a log ends where it can't.
pub(super) fn refused(terminal: &crate::report::terminal::Terminal, fault: &Fault) -> Exit {
    super::sign::failed(terminal, &fault.text, fault.exit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::sha256_hex;
    use crate::event::Sink as _;
    use crate::record::journal::{Durability, Journal as Writer};
    use crate::record::sample;

    #[test]
    fn what_is_written_behind_a_journal_later_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = Writer::create(folder.path(), Durability::None, None).unwrap();
        let first = sample::open(vec![sample::head(0, "a")]);
        writer.event(&first).unwrap();
        let then = std::fs::read(folder.path().join(journal::FILE_NAME)).unwrap();
        let found = Journal::of(folder.path()).unwrap();
        writer.event(&sample::commit(0, sample::passed())).unwrap();
        assert_eq!(found.recovered().unwrap().events, [first]);
        assert_eq!((found.size(), found.digest().unwrap()), (then.len() as u64, sha256_hex(&then)));
        assert!(found.faults(9).is_empty());
        assert_eq!(Journal::of(folder.path()).unwrap().recovered().unwrap().lines, 2);
    }
}
