//! A run that is over, read back and held against itself: the record is what its journal says, the plan and the archived
//! outputs are those it names. Writes nothing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::digest::sha256_hex;
use crate::engine;
use crate::event::{Event, EventKind};
use crate::exit::Exit;
use crate::facts::Facts;
use crate::ids::StepId;
use crate::outcome::Cause;
use crate::policy::SignoffStanding;
use crate::record::{project, read, store};
use crate::signoff::keygen::Keygen;
use crate::signoff::{self, Subject};

use super::{judgement, world};

/// Everything a run left that a decision rests on.
pub(super) struct Past {
    /// `<utc>-<rand>`.
    pub(super) id: String,
    /// Its folder.
    pub(super) dir: PathBuf,
    /// The folder with `.runplan`; mostly the workspace.
    pub(super) logs: PathBuf,
    /// The folder that paths in the plan are relative to.
    pub(super) workspace: PathBuf,
    /// The record.
    pub(super) record: read::RecordFile,
    /// The journal.
    pub(super) events: Vec<Event>,
    /// What a signature about this run is about.
    pub(super) subject: Subject,
}

/// Why a run can't be used.
pub(super) struct Fault {
    pub(super) text: String,
    pub(super) exit: Exit,
}

pub(super) fn wrong(text: String) -> Fault {
    Fault { text, exit: Exit::Usage }
}

pub(super) fn corrupt(text: String) -> Fault {
    Fault { text, exit: Exit::Corrupt }
}

/// Reads the run that somebody names: by its folder, its id, the beginning of its id, or `latest`.
pub(super) fn read(named: &str) -> Result<Past, Fault> {
    let dir = find(named)?;
    let runs = dir.parent().and_then(Path::parent).filter(|root| root.ends_with(store::FOLDER));
    let Some(workspace) = runs.and_then(Path::parent).map(Path::to_owned) else {
        return Err(wrong(format!("`{}` is not below `{}/runs`", dir.display(), store::FOLDER)));
    };
    let id = dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let journal = std::fs::read(dir.join(crate::record::journal::FILE_NAME))
        .map_err(|error| wrong(format!("run `{id}` has no journal that can be read: {error}")))?;
    let bytes = match std::fs::read(dir.join(store::RECORD_FILE)) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(wrong(format!(
                "run `{id}` has no record: it is going on, or it was interrupted (`runplan resume {id}`)"
            )));
        }
        Err(error) => return Err(wrong(format!("the record of run `{id}` can't be read: {error}"))),
    };
    let told = |error: read::ReadError| corrupt(format!("run `{id}`: {error}"));
    let found = read::recover(&journal).map_err(told)?;
    let record = read::read_record(&bytes).map_err(told)?;
    if found.torn || !read::is_closed(&found.events) {
        return Err(corrupt(format!("run `{id}`: the journal is not complete")));
    }
    if !is_projected(&found.events, &bytes, &record) {
        return Err(corrupt(format!("run `{id}`: the record is not what the journal says")));
    }
    let subject = Subject {
        plan: record.run.plan.sha256.clone(),
        evidence: record.id.clone(),
        journal: Some(sha256_hex(&journal)),
        gate: None,
    };
    // A plan within a plan keeps its runs below the workspace, not in it.
    let logs = workspace;
    let workspace = workspace_of(&logs, &found.events);
    let events = read::last_part(found.events);
    let past = Past { id, dir, logs, workspace, record, events, subject };
    past.check_plan()?;
    past.check_archive()?;
    Ok(past)
}

/// Whether a folder is that of a run of another machine.
pub(super) fn is_imported(dir: &Path) -> bool {
    dir.ancestors().nth(3).is_some_and(|logs| importing(logs).is_some())
}

/// The folder that the store of imported runs in `logs` belongs to; `None` if it is another store.
fn importing(logs: &Path) -> Option<&Path> {
    if !logs.ends_with(Path::new(store::FOLDER).join(store::IMPORTED)) {
        return None;
    }
    logs.ancestors().nth(2)
}

/// The folder that paths in the plan of a run are relative to; the run lies in the store of `logs`.
pub(super) fn workspace_of(logs: &Path, events: &[Event]) -> PathBuf {
    if let Some(here) = importing(logs) {
        return here.to_owned();
    }
    told_workspace(events).filter(|told| logs.starts_with(told)).unwrap_or_else(|| logs.to_owned())
}

pub(super) fn told_workspace(events: &[Event]) -> Option<PathBuf> {
    events.iter().find_map(|event| match &event.kind {
        EventKind::Open { settings, .. } => Some(PathBuf::from(&settings.workspace)),
        _ => None,
    })
}

/// Whether the record is what the journal gives.
pub(super) fn is_projected(events: &[Event], bytes: &[u8], record: &read::RecordFile) -> bool {
    let decide = |run: &project::RunLine, steps: &[project::StepLine]| {
        judgement::decision(run, steps, None, &engine::unsigned(run.policy.signoffs.as_ref()))
    };
    project::gives(events, bytes, record, &decide).unwrap_or(false)
}

/// The record as the journal gives it.
pub(super) fn projected(events: &[Event]) -> Option<Vec<u8>> {
    let record = project::project(events).ok()?;
    let unsigned = engine::unsigned(record.run.policy.signoffs.as_ref());
    record.finish(&judgement::decision(&record.run, &record.steps, None, &unsigned)).ok()
}

/// The folder of the newest run, finished or not.
pub(super) fn newest() -> Result<PathBuf, Fault> {
    let store = store::Store::reader(&workspace()?).map_err(|error| wrong(error.to_string()))?;
    let runs = store.runs().map_err(|error| wrong(error.to_string()))?;
    let last = runs.last().ok_or_else(|| wrong(format!("no run in `{}`", store.root().display())))?;
    Ok(store.run_path(last))
}

/// The folder with the `.runplan` that belongs to where the person stands.
pub(super) fn workspace() -> Result<PathBuf, Fault> {
    let here = std::env::current_dir().map_err(|error| wrong(format!("the current folder: {error}")))?;
    let found = here.ancestors().find(|folder| folder.join(store::FOLDER).join("runs").is_dir());
    let none = || wrong(format!("no `{}` here or above: name the folder of the run", store::FOLDER));
    found.map(Path::to_owned).ok_or_else(none)
}

/// The folder of the run that somebody names (see [`read`]; `last` is `latest`).
pub(super) fn find(named: &str) -> Result<PathBuf, Fault> {
    let as_path = Path::new(named);
    if as_path.join(crate::record::journal::FILE_NAME).is_file() {
        return as_path.canonicalize().map_err(|error| wrong(format!("`{named}`: {error}")));
    }
    let workspace = workspace()?;
    let store = store::Store::reader(&workspace).map_err(|error| wrong(error.to_string()))?;
    let own = store.runs().map_err(|error| wrong(error.to_string()))?;
    let is_latest = named == "latest" || named == "last";
    let wanted = if is_latest { store.latest().unwrap_or_default() } else { named.to_owned() };
    let mut runs: Vec<PathBuf> = own.iter().map(|id| store.run_path(id)).collect();
    if let Ok(imported) = store::Store::reader(&store.root().join(store::IMPORTED)) {
        let ids = imported.runs().map_err(|error| wrong(error.to_string()))?;
        runs.extend(ids.iter().map(|id| imported.run_path(id)));
    }
    let id = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let exact = runs.iter().find(|path| id(path) == wanted);
    let begun: Vec<&PathBuf> = runs.iter().filter(|path| !wanted.is_empty() && id(path).starts_with(&wanted)).collect();
    match (exact, begun.as_slice()) {
        (Some(path), _) => Ok(path.clone()),
        (None, [only]) => Ok((*only).clone()),
        (None, []) => Err(wrong(format!("no run `{named}` in `{}`", store.root().display()))),
        (None, many) => Err(wrong(format!("`{named}` could be any of {} runs", many.len()))),
    }
}

/// Every archived file with its step.
pub(super) fn archived(events: &[Event]) -> Vec<(String, crate::outcome::FileDigest)> {
    let mut files = Vec::new();
    let heads = events.iter().find_map(|event| match &event.kind {
        EventKind::Open { steps, .. } => Some(steps),
        _ => None,
    });
    let names: BTreeMap<StepId, &str> = heads.into_iter().flatten().map(|head| (head.step, &*head.name)).collect();
    for event in events {
        let EventKind::Commit { step, result } = &event.kind else { continue };
        let name = names.get(step).copied().unwrap_or_default().to_owned();
        let kept = result.outputs.iter().filter(|output| output.artifact);
        files.extend(kept.map(|output| (name.clone(), output.file.clone())));
    }
    files
}

impl Past {
    /// The plan kept with the run has to be the one that the record names.
    fn check_plan(&self) -> Result<(), Fault> {
        let mut digests = Vec::new();
        for number in 0.. {
            let name = if number == 0 { "plan.toml".to_owned() } else { format!("plan-{number}.toml") };
            match std::fs::read(self.dir.join(name)) {
                Ok(bytes) => digests.push(sha256_hex(&bytes)),
                Err(_) => break,
            }
        }
        let whole = match digests.as_slice() {
            [only] => only.clone(),
            many => sha256_hex(many.iter().fold(String::new(), |list, digest| list + digest + "\n").as_bytes()),
        };
        if whole == self.subject.plan {
            return Ok(());
        }
        Err(corrupt(format!("run `{}`: the plan kept with it is not the one that ran", self.id)))
    }

    /// Archived outputs have to be there, byte for byte.
    fn check_archive(&self) -> Result<(), Fault> {
        let store = self.store().map_err(|error| wrong(error.to_string()))?;
        for (step, output) in self.archived() {
            let path = store.object_path(&output.sha256);
            let found = std::fs::File::open(&path)
                .and_then(crate::digest::sha256_reader)
                .map(|(digest, _)| digest == output.sha256);
            if !found.unwrap_or(false) {
                let what = format!("`{}` of step `{step}` is not in the archive as it was", output.path);
                return Err(corrupt(format!("run `{}`: {what}", self.id)));
            }
        }
        Ok(())
    }

    /// Every archived file with its step.
    pub(super) fn archived(&self) -> Vec<(String, crate::outcome::FileDigest)> {
        archived(&self.events)
    }

    /// The store it lies in.
    pub(super) fn store(&self) -> Result<store::Store, store::StoreError> {
        store::Store::reader(&self.logs)
    }

    /// What a step saw last.
    pub(super) fn last_facts(&self, wanted: &str) -> Option<&Facts> {
        let heads = self.events.iter().find_map(|event| match &event.kind {
            EventKind::Open { steps, .. } => Some(steps),
            _ => None,
        })?;
        let wanted = heads.iter().find(|head| head.name == wanted)?.step;
        self.events.iter().rev().find_map(|event| match &event.kind {
            EventKind::Attempt { step, result, .. } if *step == wanted => Some(&result.facts),
            _ => None,
        })
    }

    /// How every role stands now.
    pub(super) fn standings(&self) -> Vec<SignoffStanding> {
        let Some(policy) = &self.record.run.policy.signoffs else { return Vec::new() };
        let keygen = Keygen::new(false);
        let signers = self.workspace.join(&policy.signers);
        let check = signoff::Check { keygen: &keygen, signers: &signers, subject: &self.subject, now: world::now() };
        signoff::standings(policy, &self.dir, &check)
    }

    /// Steps that stood by a waiver which is not in force any more.
    pub(super) fn lapsed(&self, day: &str) -> Vec<String> {
        let steps = self.record.steps.iter().filter(|line| line.cause == Some(Cause::Waived));
        steps.filter(|line| judgement::is_lapsed(line, day)).map(|line| line.id.clone()).collect()
    }
}
