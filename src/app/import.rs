//! `runplan import`: takes in a run that `export --format archive` wrote on any machine, or refuses it as a whole.
//! Nothing that is in the archive is taken on trust. What is no archive is made a plan of, in `edit`.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, BufReader, Seek as _, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use crate::cli::Import;
use crate::digest::{Sha256Stream, sha256_reader};
use crate::exit::Exit;
use crate::export::archive::{self, Manifest, Member};
use crate::export::ustar;
use crate::record::store::{FOLDER, IMPORTED, Store, StoreError};
use crate::report::escape;
use crate::report::format;
use crate::report::terminal::{Stream, Terminal};
use crate::report::verified::Standing;

use super::archive::Packed;
use super::past::{self, Fault, corrupt, wrong};
use super::{edit, log, verify};

pub(super) fn import(ask: &Import, terminal: &Terminal) -> Exit {
    let done = match edit::form(ask) {
        Some(form) => return edit::converted(ask, form, terminal),
        None if ask.output.is_some() => Err(wrong(format!(
            "`{}` is not known as a checklist, a Makefile or a compose file: say what it is, `--as checklist`",
            ask.file
        ))),
        None => imported(ask).map_err(|mut fault| {
            if ask.form.is_none() && !edit::is_archive(&ask.file) {
                fault.text.push_str("; a checklist, a Makefile or a compose file is one by its name or by `--as`");
            }
            fault
        }),
    };
    match done {
        Ok(text) => {
            terminal.write(Stream::Out, &escape::text(&text));
            Exit::Done
        }
        Err(fault) => log::refused(terminal, &fault),
    }
}

/// What happened, in a sentence.
fn imported(ask: &Import) -> Result<String, Fault> {
    let mut file = opened(&ask.file).map_err(|error| wrong(format!("`{}`: {error}", ask.file)))?;
    let (digest, _) = sha256_reader(&mut file).map_err(|error| wrong(format!("`{}`: {error}", ask.file)))?;
    let refused = |why: String| corrupt(format!("`{}` is not taken: {why}", ask.file));
    let told = |fault: ustar::Fault| match fault {
        ustar::Fault::Io(error) => wrong(format!("`{}`: {error}", ask.file)),
        ustar::Fault::Wrong(why) => refused(why),
    };
    let unreadable = |error: io::Error| wrong(format!("`{}`: {error}", ask.file));
    file.seek(SeekFrom::Start(0)).map_err(unreadable)?;
    // All of it is read before anything of it is written.
    let mut input = BufReader::new(file);
    let manifest = archive::manifest(&mut input).map_err(told)?;
    archive::members(&manifest, &mut input, |_| Ok(io::sink())).map_err(told)?;
    input.seek(SeekFrom::Start(0)).map_err(unreadable)?;
    if archive::manifest(&mut input).map_err(told)? != manifest {
        return Err(refused("it changed while it was read".to_owned()));
    }
    let workspace = workspace(ask)?;
    let id = &manifest.run;
    if let Some(text) = already(&workspace, id, &digest)? {
        return Ok(text);
    }
    let home = Store::imported(&workspace).map_err(|error| wrong(error.to_string()))?;
    let store = Store::open(&home, false).map_err(|error| match error {
        StoreError::Busy { .. } => wrong("another import is going on here; try again when it is over".to_owned()),
        error => wrong(error.to_string()),
    })?;
    // Somebody may have been faster.
    if let Some(text) = already(&workspace, id, &digest)? {
        return Ok(text);
    }
    let taking = Taking::begin(&store, &manifest).map_err(|error| wrong(format!("the run can't be taken: {error}")))?;
    archive::members(&manifest, &mut input, |member| taking.open(member)).map_err(told)?;
    let objects = taking.place_objects().map_err(|error| wrong(format!("the run can't be taken: {error}")))?;
    let whole = taking.check();
    if let Err(why) = whole {
        objects.iter().for_each(|path| drop(std::fs::remove_file(path)));
        return Err(refused(why));
    }
    let path = store.adopt(&taking.run(), id).map_err(|error| wrong(error.to_string()))?;
    let shown = path.strip_prefix(std::env::current_dir().unwrap_or_default()).unwrap_or(&path).display();
    let files = format::count(manifest.members.len(), "file");
    Ok(format!("imported run {id} ({files}), verified\n  {shown}\n  `runplan show {id}` shows it\n"))
}

/// The archive as a file that can be read twice.
fn opened(name: &str) -> io::Result<File> {
    if name != "-" {
        return File::open(name);
    }
    let mut file = tempfile::tempfile()?;
    io::copy(&mut io::stdin().lock(), &mut file)?;
    file.seek(SeekFrom::Start(0))?;
    Ok(file)
}

/// The folder whose store takes the run.
fn workspace(ask: &Import) -> Result<PathBuf, Fault> {
    if let Some(folder) = &ask.log_dir {
        let whole = Path::new(folder).canonicalize();
        return whole.map_err(|error| wrong(format!("`{folder}`: {error}")));
    }
    match past::workspace() {
        Ok(folder) => Ok(folder),
        Err(_) => std::env::current_dir().map_err(|error| wrong(format!("the current folder: {error}"))),
    }
}

/// A sentence where the very same run is here; a fault where another one has its id.
fn already(workspace: &Path, id: &str, digest: &str) -> Result<Option<String>, Fault> {
    for logs in [workspace.to_owned(), workspace.join(FOLDER).join(IMPORTED)] {
        let Ok(store) = Store::reader(&logs) else { continue };
        let dir = store.run_path(id);
        if std::fs::symlink_metadata(&dir).is_err() {
            continue;
        }
        let mut sum = Sum::default();
        let same = Packed::of(id, &dir, &store).is_ok_and(|packed| packed.write(&mut sum).is_ok());
        if same && sum.0.finish_hex() == digest {
            return Ok(Some(format!("run {id} is already here, the same byte for byte\n  {}\n", dir.display())));
        }
        let help = "nothing is overwritten; import it elsewhere (`--log-dir DIR`), or remove the one that is here";
        return Err(wrong(format!(
            "another run `{id}` is here, or the same with other sign-offs or a later decision: {help}"
        )));
    }
    Ok(None)
}

/// Only the digest of what is written.
#[derive(Default)]
struct Sum(Sha256Stream);

impl Write for Sum {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A run that is on its way into the store, in a folder of its own, which goes away unless the run is adopted.
struct Taking<'a> {
    store: &'a Store,
    manifest: &'a Manifest,
    /// Below the store, so that what is moved stays on one file system.
    folder: tempfile::TempDir,
}

impl<'a> Taking<'a> {
    fn begin(store: &'a Store, manifest: &'a Manifest) -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix(".taking-").tempdir_in(store.root())?;
        DirBuilder::new().mode(0o700).create(folder.path().join(&manifest.run))?;
        Ok(Self { store, manifest, folder })
    }

    /// Its folder so far: two below the store, as that of every run.
    fn run(&self) -> PathBuf {
        self.folder.path().join(&self.manifest.run)
    }

    /// Where a member goes for now. Its name was checked: it leads nowhere else.
    fn path(&self, name: &str) -> PathBuf {
        match name.strip_prefix("run/") {
            Some(inside) => self.run().join(inside),
            // The id of a run holds no `=`.
            None => self.folder.path().join("=").join(name),
        }
    }

    fn open(&self, member: &Member) -> io::Result<Kept> {
        let path = self.path(&member.name);
        if let Some(parent) = path.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
        }
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        Ok(Kept { file, left: member.size })
    }

    /// Puts archived outputs and sign-offs of gates where the store keeps them; gives those that are new.
    fn place_objects(&self) -> io::Result<Vec<PathBuf>> {
        let mut placed = Vec::new();
        let outside = self.manifest.members.iter().filter(|member| !member.name.starts_with("run/"));
        for member in outside {
            let target = match member.name.strip_prefix("objects/") {
                Some(digest) => self.store.object_path(digest),
                None => self.store.root().join(&member.name),
            };
            let there = File::open(&target).and_then(sha256_reader).map(|(digest, _)| digest);
            match there {
                Ok(digest) if digest == member.sha256 => continue,
                Ok(_) if member.name.starts_with("gates/") => {
                    let text = format!("other sign-offs of a gate are at `{}`", target.display());
                    return Err(io::Error::other(text));
                }
                _ => {}
            }
            if let Some(parent) = target.parent() {
                DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
            }
            std::fs::rename(self.path(&member.name), &target)?;
            placed.push(target);
        }
        Ok(placed)
    }

    /// Whether this is a run as an engine leaves it, and would give the same archive again.
    fn check(&self) -> Result<(), String> {
        let dir = self.run();
        let log = log::open(&dir.display().to_string()).map_err(|fault| fault.text)?;
        let verified = verify::verified(&log, false, None);
        if !verified.verified {
            let faults = verified.findings.iter().filter(|finding| finding.standing == Standing::Fault);
            let first = faults.map(|finding| format!("{}: {}", finding.check, finding.found)).next();
            return Err(first.unwrap_or(verified.verdict));
        }
        let told = log.recovered().map_err(|fault| fault.text)?;
        let run = told.events.iter().find_map(|event| match &event.kind {
            crate::event::EventKind::Open { settings, .. } => Some(settings.run.clone()),
            _ => None,
        });
        if run.as_ref() != Some(&self.manifest.run) {
            return Err(format!("its journal is that of run `{}`", run.unwrap_or_default().escape_debug()));
        }
        let again = Packed::of(&self.manifest.run, &dir, self.store)?.manifest;
        if again == *self.manifest {
            return Ok(());
        }
        let known = |member: &&Member| !again.members.contains(member);
        let extra = self.manifest.members.iter().find(known).map_or("", |member| &member.name);
        Err(format!("`{}` does not belong to the run", extra.escape_debug()))
    }
}

/// A file that takes so many bytes and no more.
struct Kept {
    file: File,
    left: u64,
}

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.left = self.left.checked_sub(bytes.len() as u64).ok_or(io::ErrorKind::FileTooLarge)?;
        self.file.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        // Before anybody is told that the run is here.
        if self.left == 0 { self.file.sync_data() } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::engine;
    use crate::event::{EventKind, Sink as _};
    use crate::outcome::{FileDigest, OutputDigest, RunStatus};
    use crate::place::{Source, Sources};
    use crate::record::journal::{Durability, Journal};
    use crate::record::{preimage, project, sample};

    const RUN: &str = "20260101T000000Z-aaaaaa";

    type Files = BTreeMap<String, Vec<u8>>;

    /// The archive of a small run with one archived output.
    fn small_archive() -> Vec<u8> {
        let workspace = tempfile::tempdir().unwrap();
        let store = Store::open(workspace.path(), false).unwrap();
        let run = store.begin(RUN, 1, "now").unwrap();
        let plan = Sources { files: vec![std::sync::Arc::new(Source::new("plan.toml".into(), "format = 1\n".into()))] };
        let list = run.snapshot(&plan).unwrap();
        std::fs::write(workspace.path().join("out"), "made\n").unwrap();
        let kept = store.archive(&workspace.path().join("out"), None).unwrap();
        let mut open = sample::open(vec![sample::head(0, "a")]);
        let EventKind::Open { plan: head, settings, .. } = &mut open.kind else { unreachable!() };
        head.sha256 = crate::record::store::plan_digest(&plan);
        settings.plan_files = Some(list);
        let mut result = sample::passed();
        let file = FileDigest { path: "out".into(), sha256: kept.sha256, size: kept.size, executable: false };
        result.outputs =
            vec![OutputDigest { file, class: crate::outcome::Class::Stable, artifact: true, normalized: None }];
        result.action_preimage = Some("{}".into());
        result.action = Some(preimage::digest_of("{}"));
        let mut events = vec![open, sample::commit(0, result)];
        let record = project::project(&events).unwrap();
        let unsigned = engine::unsigned(None);
        let decision = super::super::judgement::decision(&record.run, &record.steps, None, &unsigned);
        let bytes = record.finish(&decision).unwrap();
        let (status, id) = (RunStatus::Decided(decision.verdict), run.write_record(&bytes).unwrap());
        events.push(sample::event(EventKind::Decision { decision: Box::new(decision), last: true }));
        events.push(sample::event(EventKind::Close { status, record: Some(id) }));
        let mut journal = Journal::create(run.path(), Durability::None, None).unwrap();
        events.iter().for_each(|event| journal.event(event).unwrap());
        drop(journal);
        let mut archive = Vec::new();
        Packed::of(RUN, run.path(), &store).unwrap().write(&mut archive).unwrap();
        archive
    }

    /// Takes an archive into a workspace; what was said, or how it was refused.
    fn take(bytes: &[u8], workspace: &Path) -> Result<String, String> {
        let file = workspace.join("run.tar");
        std::fs::write(&file, bytes).unwrap();
        let log_dir = Some(workspace.display().to_string());
        let file = file.display().to_string();
        imported(&Import { file, log_dir, output: None, force: false, form: None }).map_err(|fault| fault.text)
    }

    #[test]
    fn every_flipped_byte_of_an_archive_is_refused() {
        let whole = small_archive();
        let workspace = tempfile::tempdir().unwrap();
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= if at % 2 == 0 { 0x01 } else { 0x80 };
            let taken = take(&damaged, workspace.path());
            assert!(taken.is_err(), "byte {at}: {taken:?}");
        }
        for end in (0..whole.len()).step_by(97) {
            assert!(take(&whole[..end], workspace.path()).is_err(), "{end} bytes");
        }
        let left = workspace.path().join(".runplan/imported/.runplan");
        if left.exists() {
            assert_eq!(std::fs::read_dir(left.join("runs")).unwrap().count(), 0);
            let names = std::fs::read_dir(&left).unwrap().map(|entry| entry.unwrap().file_name());
            assert!(names.into_iter().all(|name| !name.to_string_lossy().starts_with(".taking")), "no folder stays");
        }
        assert!(take(&whole, workspace.path()).unwrap().starts_with(&format!("imported run {RUN}")));
        assert!(take(&whole, workspace.path()).unwrap().contains("already here"));
    }

    /// Sound by itself, but with an output that the journal does not name, or without one that it does.
    #[test]
    fn members_that_the_journal_does_not_name_are_refused() {
        let whole = small_archive();
        let mut input = whole.as_slice();
        let manifest = archive::manifest(&mut input).unwrap();
        let files = std::cell::RefCell::new(Files::new());
        struct Into<'f>(&'f std::cell::RefCell<Files>, String);
        impl Write for Into<'_> {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0.borrow_mut().get_mut(&self.1).expect("it was put there").extend(bytes);
                Ok(bytes.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let open = |member: &Member| {
            files.borrow_mut().insert(member.name.clone(), Vec::new());
            Ok(Into(&files, member.name.clone()))
        };
        archive::members(&manifest, &mut input, open).unwrap();
        let made = |change: &dyn Fn(&mut Files)| {
            let mut files = files.borrow().clone();
            change(&mut files);
            let sum = crate::digest::sha256_hex;
            let member = |(name, bytes): (&String, &Vec<u8>)| Member {
                name: name.clone(),
                sha256: sum(bytes),
                size: bytes.len() as u64,
            };
            let manifest = Manifest { members: files.iter().map(member).collect(), ..manifest.clone() };
            let mut archive = Vec::new();
            let open = |member: &Member| -> io::Result<Box<dyn io::Read>> {
                Ok(Box::new(io::Cursor::new(files[&member.name].clone())))
            };
            archive::write(&manifest, open, &mut archive).unwrap();
            let workspace = tempfile::tempdir().unwrap();
            take(&archive, workspace.path()).unwrap_err()
        };
        let extra = made(&|files| {
            let name = format!("objects/{}", crate::digest::sha256_hex(b"more"));
            files.insert(name, b"more".to_vec());
        });
        assert!(extra.contains("does not belong to the run"), "{extra}");
        let gate = made(&|files| drop(files.insert("gates/x/y/signoffs/z.json".into(), Vec::new())));
        assert!(gate.contains("does not belong to the run"), "{gate}");
        let missing = made(&|files| files.retain(|name, _| !name.starts_with("objects/")));
        assert!(missing.contains("archive: `out` of step `a`"), "{missing}");
        let plan = made(&|files| drop(files.insert("run/plan.toml".into(), b"format = 1\n# x\n".to_vec())));
        assert!(plan.contains("plan: "), "{plan}");
    }
}
