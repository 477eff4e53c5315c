//! What of a run goes into an archive and where each part lies: its folder, the outputs it archived, the sign-offs of
//! its gates. Reads files; writes only to what it is given.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use crate::digest::sha256_reader;
use crate::event::{Event, EventKind};
use crate::export::archive::{self, Manifest, Member};
use crate::facts::Value;
use crate::record::store::Store;
use crate::record::{journal, read, store};
use crate::signoff;

use super::past;

/// An archive that is to be written.
pub(super) struct Packed {
    pub(super) manifest: Manifest,
    /// Where each member lies.
    paths: BTreeMap<String, PathBuf>,
}

impl Packed {
    /// Everything of the run in a folder, which lies in this store.
    ///
    /// # Errors
    /// A sentence.
    pub(super) fn of(run: &str, dir: &Path, store: &Store) -> Result<Self, String> {
        let mut paths = BTreeMap::new();
        walk(dir, "run", &mut paths)?;
        let found = read::recover_file(dir).map_err(|error| error.to_string())?;
        for (_, file) in past::archived(&found.events) {
            paths.insert(format!("objects/{}", file.sha256), store.object_path(&file.sha256));
        }
        for (gate, evidence) in gates(&found.events) {
            let folder = signoff::gate_folder(store.root(), &gate, &evidence);
            let inside = folder.strip_prefix(store.root()).unwrap_or(&folder).display().to_string();
            if folder.is_dir() {
                walk(&folder, &inside, &mut paths)?;
            }
        }
        let mut members = Vec::new();
        for (name, path) in &paths {
            let read = File::open(path).and_then(sha256_reader);
            let (sha256, size) = read.map_err(|error| format!("`{}` can't be read: {error}", path.display()))?;
            members.push(Member { name: name.clone(), sha256, size });
        }
        let digest = |file: &str| {
            let member = members.iter().find(|member| member.name == format!("run/{file}"));
            member.map(|member| member.sha256.clone()).ok_or_else(|| format!("the run has no `{file}`"))
        };
        let manifest = Manifest {
            schema: archive::SCHEMA.to_owned(),
            run: run.to_owned(),
            record: digest(store::RECORD_FILE)?,
            journal: digest(journal::FILE_NAME)?,
            members,
        };
        Ok(Self { manifest, paths })
    }

    /// Writes the archive.
    ///
    /// # Errors
    /// When a file can't be read or is not what it was, or the archive can't be written.
    pub(super) fn write(&self, to: &mut impl Write) -> io::Result<()> {
        archive::write(&self.manifest, |member| self.open(member), to)
    }

    /// The bytes of a member.
    ///
    /// # Errors
    /// When its file can't be opened.
    pub(super) fn open(&self, member: &Member) -> io::Result<Box<dyn Read>> {
        let path = self.paths.get(&member.name).ok_or(io::ErrorKind::NotFound)?;
        Ok(Box::new(File::open(path)?))
    }
}

/// Every plain file below a folder by its name in the archive. Nothing but files and folders belongs there.
fn walk(folder: &Path, inside: &str, paths: &mut BTreeMap<String, PathBuf>) -> Result<(), String> {
    let unreadable = |error: io::Error| format!("`{}` can't be read: {error}", folder.display());
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let path = entry.path();
        let Ok(name) = entry.file_name().into_string() else {
            return Err(format!("`{}` has a name that is not UTF-8", path.display()));
        };
        if inside == "run" && archive::is_local(&name) {
            continue;
        }
        let name = format!("{inside}/{name}");
        let kind = entry.file_type().map_err(unreadable)?;
        if kind.is_dir() {
            walk(&path, &name, paths)?;
        } else if kind.is_file() {
            paths.insert(name, path);
        } else {
            return Err(format!("`{}` is no plain file, so it can't be archived", path.display()));
        }
    }
    Ok(())
}

/// The gates that a run reached, with the digest of what was found before each.
fn gates(events: &[Event]) -> Vec<(String, String)> {
    let heads = events.iter().find_map(|event| match &event.kind {
        EventKind::Open { steps, .. } => Some(steps),
        _ => None,
    });
    let heads: Vec<_> = heads.into_iter().flatten().filter(|head| head.kind == "signoff").collect();
    let gate = |event: &Event| {
        let EventKind::Attempt { step, result, .. } = &event.kind else { return None };
        let head = heads.iter().find(|head| head.step == *step)?;
        let Value::Text(evidence) = result.facts.values.get("evidence")? else { return None };
        // It names a folder, and the journal may be a stranger's.
        let is_digest = evidence.len() == 64 && evidence.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_digest.then(|| (head.name.clone(), evidence.clone()))
    };
    events.iter().filter_map(gate).collect()
}
