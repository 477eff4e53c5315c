//! `runplan verify`: a run held against itself, every byte of it. Offline; starts no process unless signatures are asked
//! for, and writes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::cli::{Format, Verify};
use crate::digest::{sha256_hex, sha256_reader};
use crate::event::{Event, EventKind, PlanHead};
use crate::exit::Exit;
use crate::ids::StepId;
use crate::normalize;
use crate::outcome::{Decision, FileDigest, RunStatus};
use crate::policy::{SignoffPolicy, SignoffStanding};
use crate::record::{canonical, preimage, project, read, store};
use crate::report::closing::signal_name;
use crate::report::format;
use crate::report::terminal::{Stream, Terminal};
use crate::report::verified::{self, Finding, Standing, Verified};
use crate::signoff::keygen::Keygen;
use crate::signoff::{self, Check, Subject};

use super::log::{self, Journal, Log};
use super::{judgement, past, world};

/// Faults told of one file.
const MOST: usize = 50;

pub(super) fn verify(ask: &Verify, terminal: &Terminal) -> Exit {
    if ask.rerun {
        return super::reproduce::reproduce(ask, terminal);
    }
    let log = match log::open(&ask.run) {
        Ok(log) => log,
        Err(fault) => return log::refused(terminal, &fault),
    };
    let verified = verified(&log, ask.signatures, ask.signers.as_deref().map(Path::new));
    let text = match ask.format {
        Format::Human => verified::render(&verified, terminal.look(Stream::Out)),
        Format::Json => {
            let checks: Vec<_> = verified
                .findings
                .iter()
                .map(|f| json!({ "check": f.check, "state": f.standing.word(), "found": f.found }))
                .collect();
            let value = json!({
                "schema": "runplan.verified/1", "run": verified.run, "verified": verified.verified,
                "verdict": verified.verdict, "checks": checks,
            });
            format!("{value:#}\n")
        }
    };
    terminal.write(Stream::Out, &text);
    if verified.verified { Exit::Done } else { Exit::Corrupt }
}

/// Everything about one run. `signers` is what the signature over its record is held against.
pub(super) fn verified(log: &Log, signatures: bool, signers: Option<&Path>) -> Verified {
    let mut found = Found::default();
    let (events, record) = found.log(&log.journal, log.record.as_deref(), log.live);
    let head = events.iter().find_map(|event| match &event.kind {
        EventKind::Open { plan, settings, .. } => Some((plan, settings)),
        _ => None,
    });
    match head {
        Some((head, settings)) => found.plan(&log.dir, head, settings.plan_files.as_deref()),
        None => found.note("plan", "not checked: the journal does not name it"),
    }
    found.archive(log.home.as_deref(), &events);
    found.outputs(log, &events);
    if let Some(record) = &record {
        let digest = log.journal.digest();
        let subject = Subject {
            plan: record.run.plan.sha256.clone(),
            evidence: record.id.clone(),
            journal: digest.map_err(|error| found.fault("journal", format!("can't be read again: {error}"))).ok(),
            gate: None,
        };
        match &record.run.policy.signoffs {
            None => found.note("sign-offs", "the plan asks for none"),
            Some(policy) => found.signoffs(policy, log, &events, &subject, signatures),
        }
        found.decision(&log.dir, record, &subject);
    }
    found.signature(log, signers);
    found.over(log, record.is_some())
}

/// What was found so far.
#[derive(Default)]
struct Found {
    list: Vec<Finding>,
}

/// Digests of actions, held against the texts kept beside them.
#[derive(Default)]
struct Actions {
    right: usize,
    faults: Vec<StepId>,
}

impl Actions {
    fn check(&mut self, event: &Event) {
        let EventKind::Commit { step, result } = &event.kind else { return };
        match (&result.action, &result.action_preimage) {
            (Some(digest), Some(text)) if *digest == preimage::digest_of(text) => self.right += 1,
            // A masked text is not the one that was digested any more.
            (Some(_), Some(text)) if text.contains("[secret ") => {}
            (None, None) => {}
            _ => self.faults.push(*step),
        }
    }
}

/// Of an event what the rest is held against: a journal is many times that. What only tells how a step went is left out.
fn needed(mut event: Event) -> Option<Event> {
    match &mut event.kind {
        EventKind::Open { .. } | EventKind::Resume { .. } | EventKind::Reused { .. } => {}
        EventKind::Decision { .. } | EventKind::Close { .. } => {}
        EventKind::Commit { result, .. } => {
            result.action_preimage = None;
            for attempt in &mut result.attempts {
                (attempt.detail, attempt.notes) = (None, Vec::new());
                for criterion in &mut attempt.criteria {
                    criterion.actual = String::new();
                    (criterion.against, criterion.margin, criterion.note) = (None, None, None);
                }
            }
        }
        _ => return None,
    }
    Some(event)
}

impl Found {
    fn put(&mut self, check: &'static str, standing: Standing, found: impl Into<String>) {
        self.list.push(Finding { check, standing, found: found.into() });
    }

    fn good(&mut self, check: &'static str, found: impl Into<String>) {
        self.put(check, Standing::Sound, found);
    }

    fn fault(&mut self, check: &'static str, found: impl Into<String>) {
        self.put(check, Standing::Fault, found);
    }

    fn note(&mut self, check: &'static str, found: impl Into<String>) {
        self.put(check, Standing::Noted, found);
    }

    fn faults(&self) -> usize {
        self.list.iter().filter(|finding| finding.standing == Standing::Fault).count()
    }

    fn over(self, log: &Log, has_record: bool) -> Verified {
        let faults = self.faults();
        let verified = faults == 0 && has_record && !log.live;
        let verdict = match faults {
            0 if log.live => "the run is going on; verify it once it is over".to_owned(),
            0 if verified => "the run is whole, and its record is what its journal says".to_owned(),
            0 => "nothing is wrong with what is there, but a run without a record comes to nothing".to_owned(),
            n => format::count(n, "fault"),
        };
        Verified { run: log.id.clone(), findings: self.list, verified, verdict }
    }

    /// Journal and record, by their bytes alone. Gives the sound events, and the record if it can be read.
    fn log(&mut self, journal: &Journal, record: Option<&[u8]>, live: bool) -> (Vec<Event>, Option<read::RecordFile>) {
        let before = self.faults();
        let events = self.journal(journal, live);
        let is_sound = self.faults() == before;
        let Some(bytes) = record else {
            self.no_record(&events, live);
            return (events, None);
        };
        let file = match read::read_record(bytes) {
            Ok(file) => {
                self.good("record", format!("canonical, {}, id {}", format::count(file.steps.len(), "step"), file.id));
                Some(file)
            }
            Err(error) => {
                self.fault("record", error.to_string());
                None
            }
        };
        if is_sound {
            self.projection(&events, bytes, file.as_ref());
        } else {
            self.note("record", "not recomputed: the journal it has to come from is not whole");
        }
        (events, file)
    }

    fn journal(&mut self, journal: &Journal, live: bool) -> Vec<Event> {
        let (mut events, mut actions) = (Vec::new(), Actions::default());
        let take = &mut |event| {
            actions.check(&event);
            events.extend(needed(event));
        };
        let found = match journal.each(take) {
            Ok(found) => found,
            Err(error) => {
                let all = journal.faults(MOST);
                if all.is_empty() {
                    self.fault("journal", error.to_string());
                }
                all.into_iter().for_each(|fault| self.fault("journal", fault));
                return Vec::new();
            }
        };
        let lines = format::count(usize::try_from(found.lines).unwrap_or(usize::MAX), "line");
        if found.torn && live {
            self.note("journal", format!("{lines} chained so far, one is being written"));
        } else if found.torn {
            let rest = journal.size() - found.good_bytes;
            self.fault("journal", format!("breaks off: {lines} whole, and {rest} bytes behind them are no line"));
            let all = journal.faults(MOST);
            // One bad line at the end is what a killed engine leaves; more are told one by one.
            all.into_iter().skip(1).for_each(|fault| self.fault("journal", fault));
        } else {
            self.good("journal", format!("{lines}, canonical, chained, every sum is right"));
        }
        match events.last().map(|event: &Event| &event.kind) {
            Some(EventKind::Close { status: RunStatus::Decided(verdict), .. }) => {
                self.good("journal", format!("closed, with {}", verdict.word()));
            }
            Some(EventKind::Close { status: RunStatus::Interrupted(signal), .. }) => {
                self.note("journal", format!("closed: the run was interrupted by {}", signal_name(*signal)));
            }
            _ if live => self.note("journal", "not closed: the run is going on"),
            _ => self.fault("journal", "not closed: the engine was killed, or lines at the end are missing"),
        }
        self.actions(actions);
        events
    }

    /// Digests of actions are those of the texts kept beside them.
    fn actions(&mut self, found: Actions) {
        if found.faults.is_empty() {
            self.good("actions", format!("{} right", format::count(found.right, "digest")));
        }
        for step in found.faults {
            self.fault("actions", format!("the action digest of step {} is not that of its text", step.0));
        }
    }

    fn no_record(&mut self, events: &[Event], live: bool) {
        let close = events.last().map(|event| &event.kind);
        match close {
            Some(EventKind::Close { record: Some(id), .. }) => {
                self.fault("record", format!("there is none, and the journal names {id}"));
            }
            Some(EventKind::Close { status: RunStatus::Decided(_), .. }) => {
                self.fault("record", "there is none, and the journal ends with a decision");
            }
            _ if live => self.note("record", "none yet: the run is going on"),
            _ => self.note("record", "none: the run was interrupted"),
        }
    }

    /// The record is what the journal gives, and the journal names it.
    fn projection(&mut self, events: &[Event], bytes: &[u8], file: Option<&read::RecordFile>) {
        if file.is_some_and(|file| past::is_projected(events, bytes, file)) {
            self.good("record", "recomputed from the journal: the same, byte for byte");
        } else {
            self.differing(events, bytes);
        }
        let id = sha256_hex(bytes);
        for event in read::current(events) {
            if let EventKind::Close { record, .. } = &event.kind
                && record.as_ref() != Some(&id)
            {
                let told = record.as_deref().unwrap_or("none");
                self.fault("record", format!("its id is {id}, and the journal names {told}"));
            }
        }
    }

    /// Where the record is not what the journal gives.
    fn differing(&mut self, events: &[Event], bytes: &[u8]) {
        match past::projected(events) {
            Some(again) => {
                let (ours, theirs) = (lines(&again), lines(bytes));
                let more = ours.len().max(theirs.len());
                for number in (0..more).filter(|n| ours.get(*n) != theirs.get(*n)).take(MOST) {
                    let what = ours.get(number).map_or_else(|| "not in the journal".to_owned(), |line| subject(line));
                    self.fault("record", format!("line {} is not what the journal says ({what})", number + 1));
                }
            }
            None => {
                let why = project::project(events).map_or_else(|e| e.to_string(), |_| "no decision follows".to_owned());
                self.fault("record", format!("the journal gives no record: {why}"));
            }
        }
    }

    /// The copies of the plan's files, each against the list beside them, all against the journal.
    fn plan(&mut self, dir: &Path, head: &PlanHead, list: Option<&str>) {
        let before = self.faults();
        let mut digests = Vec::new();
        for number in 0.. {
            let name = if number == 0 { "plan.toml".to_owned() } else { format!("plan-{number}.toml") };
            match std::fs::read(dir.join(&name)) {
                Ok(bytes) => digests.push((name, sha256_hex(&bytes))),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => break,
                Err(error) => {
                    self.fault("plan", format!("`{name}` can't be read: {error}"));
                    break;
                }
            }
        }
        let files = std::fs::read(dir.join(store::PLAN_FILES)).unwrap_or_default();
        let listed = listed(&files);
        // Journals of older engines don't have the digest.
        if list.is_some_and(|list| list != sha256_hex(&files)) {
            self.fault("plan", format!("`{}` is not the list that was written", store::PLAN_FILES));
        }
        for (name, told) in &listed {
            match digests.iter().find(|(known, _)| known == name) {
                None => self.fault("plan", format!("`{name}` is missing")),
                Some((_, digest)) if digest != told => {
                    self.fault("plan", format!("`{name}` is not the file that was read: {digest}, expected {told}"));
                }
                Some(_) => {}
            }
        }
        let whole = match digests.as_slice() {
            [(_, only)] => only.clone(),
            many => sha256_hex(many.iter().fold(String::new(), |list, (_, digest)| list + digest + "\n").as_bytes()),
        };
        if whole != head.sha256 {
            self.fault("plan", format!("the plan kept with the run is not the one that ran: {whole}"));
        } else if listed.len() != digests.len() {
            self.fault("plan", "the list of plan files is not that of the copies");
        }
        if self.faults() == before {
            self.good("plan", format!("{} kept, as read: {whole}", format::count(digests.len(), "file")));
        }
    }

    fn archive(&mut self, home: Option<&Path>, events: &[Event]) {
        let files = past::archived(events);
        if files.is_empty() {
            return self.note("archive", "the run archived nothing");
        }
        let Some(store) = home.and_then(|home| store::Store::reader(home).ok()) else {
            let what = format::count(files.len(), "archived file");
            return self
                .note("archive", format!("not checked: the folder lies in no store, so {what} can't be looked up"));
        };
        let before = self.faults();
        for (step, file) in &files {
            let wrong = match std::fs::File::open(store.object_path(&file.sha256)).and_then(sha256_reader) {
                Ok((digest, _)) if digest == file.sha256 => continue,
                Ok((digest, _)) => format!("is {digest}, expected {}", file.sha256),
                Err(error) => format!("can't be read: {error}"),
            };
            self.fault("archive", format!("`{}` of step `{step}` {wrong}", file.path));
        }
        let left = self.normalized(&store, events);
        if self.faults() == before {
            let left = if left == 0 { String::new() } else { format!(", {left} by what filters leave too") };
            self.good("archive", format!("{} there, each with its digest{left}", format::count(files.len(), "file")));
        }
    }

    /// What steps wrote, as it lies below `steps/`; not of results that were taken over from another run.
    fn outputs(&mut self, log: &Log, events: &[Event]) {
        let folder = log.dir.join("steps");
        let mut names = BTreeMap::new();
        let mut taken = BTreeSet::new();
        let (mut count, mut grown) = (0, 0);
        let before = self.faults();
        for event in events {
            if let EventKind::Open { steps, .. } = &event.kind {
                names = steps.iter().map(|head| (head.step, (head.rank, head.name.as_str()))).collect();
            }
        }
        for event in read::current(events) {
            match &event.kind {
                EventKind::Reused { step, run } if *run != log.id => drop(taken.insert(*step)),
                EventKind::Commit { step, result } if !taken.contains(step) => {
                    let Some((rank, name)) = names.get(step) else { continue };
                    for spool in result.attempts.iter().flat_map(|attempt| &attempt.spools) {
                        let path = folder.join(store::step_folder(*rank, name)).join(&spool.path);
                        count += 1;
                        match spool_of(&path, spool) {
                            Ok(true) => {}
                            Ok(false) => grown += 1,
                            Err(_) if !folder.is_dir() => {}
                            Err(why) => self.fault("output", format!("`{}` of step `{name}` {why}", spool.path)),
                        }
                    }
                }
                _ => {}
            }
        }
        let files = format::count(count, "file");
        if count > 0 && !folder.is_dir() {
            return self.note("output", format!("not checked: {files} of what steps wrote are not there"));
        }
        if count > 0 && self.faults() == before {
            self.good("output", format!("{files} of what steps wrote, each with its digest"));
        }
        if grown > 0 {
            self.note("output", format!("{} grew after the step had ended", format::count(grown, "file")));
        }
    }

    /// Archived files that were normalized, filtered again; how many.
    fn normalized(&mut self, store: &store::Store, events: &[Event]) -> usize {
        let workspace = past::told_workspace(events).unwrap_or_default();
        let mut count = 0;
        for event in read::current(events) {
            let EventKind::Commit { result, .. } = &event.kind else { continue };
            for output in result.outputs.iter().filter(|output| output.artifact) {
                let Some(then) = &output.normalized else { continue };
                let Ok(file) = std::fs::File::open(store.object_path(&output.file.sha256)) else { continue };
                count += 1;
                let path = &output.file.path;
                match normalize::reader(file, then.filters.clone(), &workspace.to_string_lossy()) {
                    Ok(now) if now == **then => {}
                    Ok(now) => self.fault(
                        "archive",
                        format!("filters leave {} of `{path}`, expected {}", now.sha256, then.sha256),
                    ),
                    Err(fault) => self.fault("archive", format!("can't normalize `{path}`: {fault}")),
                }
            }
        }
        count
    }

    /// What people signed. A sign-off that does not count is no fault of the log: it is said.
    fn signoffs(&mut self, policy: &SignoffPolicy, log: &Log, events: &[Event], subject: &Subject, ask: bool) {
        let keygen = Keygen::new(false);
        let workspace = log.home.as_ref().map(|home| past::workspace_of(home, events));
        let signers = workspace.unwrap_or_else(|| PathBuf::from(".")).join(&policy.signers);
        let check = Check { keygen: &keygen, signers: &signers, subject, now: world::now() };
        if ask {
            for standing in signoff::standings(policy, &log.dir, &check) {
                let by = standing.who.as_ref().map_or_else(String::new, |who| format!(" by {who}"));
                let why = standing.reason.as_ref().map_or_else(String::new, |why| format!(": {why}"));
                self.note("sign-offs", format!("`{}`: {}{by}{why}", standing.role, standing.state.word()));
            }
            return;
        }
        for role in &policy.roles {
            let text = match signoff::unsigned_statement(policy, &log.dir, role, &check) {
                None => "nobody signed".to_owned(),
                Some(Err(why)) => format!("does not count: {why}"),
                Some(Ok(statement)) => {
                    let who = statement.who;
                    format!("a statement by {who} about this run; `--signatures` checks that {who} signed it")
                }
            };
            self.note("sign-offs", format!("`{role}`: {text}"));
        }
    }

    /// The signature over the record: whose key vouches for its bytes.
    fn signature(&mut self, log: &Log, signers: Option<&Path>) {
        let signature = match signoff::record_signature(&log.dir) {
            Ok(signature) => signature,
            Err(error) => return self.fault("signature", format!("can't be read: {error}")),
        };
        match (signature, signers, &log.record) {
            (None, None, _) => {}
            (None, Some(_), _) => self.fault("signature", "nobody signed the record (`runplan sign --record`)"),
            (Some(_), None, _) => {
                self.note("signature", "the record is signed; `--signers FILE` checks by whom");
            }
            (Some(_), Some(_), None) => self.fault("signature", "there is no record that it could be about"),
            (Some(signature), Some(signers), Some(record)) => match signed_by(record, &signature, signers) {
                Ok((who, key)) => self.good("signature", format!("the record is signed by {who} with {key}")),
                Err(why) => self.fault("signature", why),
            },
        }
    }

    /// `decision.json`, as `decide` leaves it: about this run, and what record and sign-offs in it lead to.
    fn decision(&mut self, dir: &Path, record: &read::RecordFile, subject: &Subject) {
        let bytes = match std::fs::read(dir.join(store::DECISION_FILE)) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return self.note("decision", "nobody asked `runplan decide`");
            }
            Err(error) => return self.fault("decision", format!("can't be read: {error}")),
        };
        match later(&bytes, record, subject) {
            Err(why) => self.fault("decision", why),
            Ok(kept) => {
                let verdict = kept.decision.verdict.word();
                self.good(
                    "decision",
                    format!("{verdict} on {}, which follows from the record and its sign-offs", kept.date),
                );
            }
        }
    }
}

/// Whether a file of output is whole as it was; `false` if more was written behind it later.
fn spool_of(path: &Path, then: &FileDigest) -> Result<bool, String> {
    let unreadable = |error: std::io::Error| format!("can't be read: {error}");
    let plain = !then.path.contains('/') && std::fs::symlink_metadata(path).map_err(unreadable)?.is_file();
    if !plain {
        return Err("is no file".to_owned());
    }
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let longer = file.metadata().is_ok_and(|about| about.len() > then.size);
    let (digest, size) = sha256_reader(std::io::Read::take(file, then.size)).map_err(unreadable)?;
    if (digest.as_str(), size) == (then.sha256.as_str(), then.size) {
        return Ok(!longer);
    }
    Err(format!("is {digest}, expected {}", then.sha256))
}

/// Who signed these bytes, and with which key.
fn signed_by(record: &[u8], signature: &[u8], signers: &Path) -> Result<(String, String), String> {
    let keygen = Keygen::of_records(false);
    let mut why = String::new();
    for who in keygen.principals(signature, signers).map_err(|error| error.to_string())? {
        match keygen.verify(record, signature, &who, signers) {
            Ok(key) => return Ok((who, key)),
            Err(error) => why = error.to_string(),
        }
    }
    Err(why)
}

/// The part of `decision.json` that can be checked.
#[derive(serde::Deserialize)]
pub(super) struct Kept {
    record: String,
    plan: String,
    journal: String,
    pub(super) at: String,
    pub(super) date: String,
    pub(super) decision: Decision,
    pub(super) signoffs: Vec<SignoffStanding>,
}

/// The `decision.json` of a run, if there is one.
pub(super) fn decided(dir: &Path, record: &read::RecordFile, subject: &Subject) -> Result<Option<Kept>, String> {
    match std::fs::read(dir.join(store::DECISION_FILE)) {
        Ok(bytes) => later(&bytes, record, subject).map(Some).map_err(|why| format!("the later decision: {why}")),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("`{}` can't be read: {error}", store::DECISION_FILE)),
    }
}

/// Reads a `decision.json` and holds it against the run that it has to be about.
pub(super) fn later(bytes: &[u8], record: &read::RecordFile, subject: &Subject) -> Result<Kept, String> {
    let kept = kept(bytes).map_err(|why| format!("`{}` is not as it was written: {why}", store::DECISION_FILE))?;
    let about = [(&kept.record, &subject.evidence), (&kept.plan, &subject.plan)];
    if about.iter().any(|(told, right)| told != right) || Some(&kept.journal) != subject.journal.as_ref() {
        return Err("it is about another run".to_owned());
    }
    let again = judgement::decision(&record.run, &record.steps, Some(&kept.date), &kept.signoffs);
    if again != kept.decision {
        return Err("it does not follow from the record and the sign-offs that it names".to_owned());
    }
    Ok(kept)
}

fn kept(bytes: &[u8]) -> Result<Kept, String> {
    let value = canonical::check_line(bytes).map_err(|error| error.to_string())?;
    serde_json::from_value(value).map_err(|error| error.to_string())
}

/// Names and digests of the copies of the plan's files, as the list beside them says; what can't be read is left out.
fn listed(bytes: &[u8]) -> Vec<(String, String)> {
    let text = String::from_utf8_lossy(bytes);
    let line = |line: &str| {
        let value: serde_json::Value = serde_json::from_str(line).ok()?;
        Some((value.get("file")?.as_str()?.to_owned(), value.get("sha256")?.as_str()?.to_owned()))
    };
    text.lines().filter_map(line).collect()
}

fn lines(bytes: &[u8]) -> Vec<&[u8]> {
    bytes.split_inclusive(|&b| b == b'\n').collect()
}

/// What a line of a record is about.
fn subject(line: &[u8]) -> String {
    let value: serde_json::Value = serde_json::from_slice(line).unwrap_or_default();
    let text = |name: &str| value.get(name).and_then(serde_json::Value::as_str);
    match (text("t"), text("id")) {
        (Some("step"), Some(id)) => format!("step `{id}`"),
        (Some("run"), _) => "what was asked for".to_owned(),
        _ => "the decision".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine;
    use crate::event::Sink as _;
    use crate::outcome::{Cause, State};
    use crate::record::journal::{Durability, FILE_NAME, Journal};
    use crate::record::sample;

    /// Journal and record of a run of two steps, as an engine writes them.
    fn small_log() -> (Vec<u8>, Vec<u8>) {
        let text = r#"{"action":{}}"#;
        let mut first = sample::passed();
        first.action = Some(preimage::digest_of(text));
        first.action_preimage = Some(text.to_owned());
        let mut second = sample::ran(State::Warn, Some(Cause::Criteria));
        (second.action, second.action_preimage) = (None, None);
        let mut events = vec![
            sample::open(vec![sample::head(0, "a"), sample::head(1, "b")]),
            sample::commit(0, first),
            sample::commit(1, second),
        ];
        let record = project::project(&events).unwrap();
        let decision = judgement::decision(
            &record.run,
            &record.steps,
            None,
            &engine::unsigned(record.run.policy.signoffs.as_ref()),
        );
        let bytes = record.finish(&decision).unwrap();
        let status = RunStatus::Decided(decision.verdict);
        events.push(sample::event(EventKind::Decision { decision: Box::new(decision), last: true }));
        events.push(sample::event(EventKind::Close { status, record: Some(sha256_hex(&bytes)) }));
        let folder = tempfile::tempdir().unwrap();
        let mut journal = Journal::create(folder.path(), Durability::None, None).unwrap();
        events.iter().for_each(|event| journal.event(event).unwrap());
        (std::fs::read(folder.path().join(FILE_NAME)).unwrap(), bytes)
    }

    fn held(journal: &[u8], record: &[u8]) -> (Found, Option<read::RecordFile>) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(FILE_NAME), journal).unwrap();
        let mut found = Found::default();
        let (_, file) = found.log(&super::Journal::of(folder.path()).unwrap(), Some(record), false);
        (found, file)
    }

    fn faults(journal: &[u8], record: &[u8]) -> usize {
        held(journal, record).0.faults()
    }

    /// Of every byte one bit that keeps it ASCII and one that does not.
    fn flips(whole: &[u8], check: impl Fn(&[u8]) -> usize) {
        for at in 0..whole.len() {
            for flip in [0x01, 0x80] {
                let mut damaged = whole.to_vec();
                damaged[at] ^= flip;
                assert!(check(&damaged) > 0, "byte {at} flipped by {flip}");
            }
        }
    }

    #[test]
    fn every_flipped_byte_of_the_journal_is_refused() {
        let (journal, record) = small_log();
        assert_eq!(faults(&journal, &record), 0);
        flips(&journal, |damaged| faults(damaged, &record));
    }

    #[test]
    fn every_flipped_byte_of_the_record_is_refused() {
        let (journal, record) = small_log();
        flips(&record, |damaged| faults(&journal, damaged));
    }

    #[test]
    fn every_missing_end_is_refused() {
        let (journal, record) = small_log();
        for cut in 0..journal.len() {
            assert!(faults(&journal[..cut], &record) > 0, "journal of {cut} bytes");
        }
        for cut in 0..record.len() {
            assert!(faults(&journal, &record[..cut]) > 0, "record of {cut} bytes");
        }
    }

    /// A record that somebody made anew, sound by itself, is not the one that the journal gives.
    #[test]
    fn a_forged_record_is_told_line_by_line() {
        let (journal, record) = small_log();
        let forged = String::from_utf8(record).unwrap().replace("\"state\":\"warn\"", "\"state\":\"pass\"");
        let (found, read) = held(&journal, forged.as_bytes());
        assert!(read.is_some(), "it is canonical");
        let told: Vec<&str> =
            found.list.iter().filter(|f| f.standing == Standing::Fault).map(|f| f.found.as_str()).collect();
        assert!(told.iter().any(|text| text.contains("line 3 is not what the journal says (step `b`)")), "{told:?}");
        assert!(told.iter().any(|text| text.contains("the journal names ")), "{told:?}");
    }
}
