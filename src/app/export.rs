//! `runplan export`: a past run in the format of another tool, or as one file. Starts nothing, changes nothing of the
//! run, and lets no secret out that is set here.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use serde_json::Value as Json;

use crate::cli::{Export, ExportFormat, ReportFormat};
use crate::digest::sha256_hex;
use crate::event::{Event, EventKind, PlanHead, Settings};
use crate::exit::Exit;
use crate::export::{self, Gathered, Run, Stream as Wrote, Written};
use crate::ids::StepId;
use crate::mask::Mask;
use crate::record::read::{self, Recovered};
use crate::record::store;
use crate::report::Which;
use crate::report::terminal::{Stream, Terminal};
use crate::signoff::Subject;

use super::archive::Packed;
use super::log::{self, Log};
use super::past::{self, Fault, corrupt, wrong};
use super::{again, readiness, sign, verify, view};

/// Bytes written to stdout at once.
const CHUNK: usize = 256 * 1024;

pub(super) fn export(ask: &Export, terminal: &Terminal) -> Exit {
    let done = match ask.format {
        ExportFormat::Archive => archived(ask, terminal),
        ExportFormat::Md => report(ask, ReportFormat::Md, terminal),
        ExportFormat::Html => report(ask, ReportFormat::Html, terminal),
        ExportFormat::Json => report(ask, ReportFormat::Json, terminal),
        _ => told(ask, terminal),
    };
    match done {
        Ok(()) => Exit::Done,
        Err(fault) => log::refused(terminal, &fault),
    }
}

/// A format of another tool.
fn told(ask: &Export, terminal: &Terminal) -> Result<(), Fault> {
    let log = log::open(&ask.run)?;
    let mut found = log.recovered()?;
    let record = if log.record.is_some() { Some(log.checked_record(&found)?) } else { None };
    let attests = matches!(ask.format, ExportFormat::InToto | ExportFormat::Slsa);
    if record.is_none() && attests {
        let why = if log.live { "it is going on" } else { "it was interrupted" };
        let help = "this format attests to a record";
        return Err(wrong(format!("run `{}` has no record: {why}, and {help}", log.id)));
    }
    if !read::is_closed(&found.events) {
        let why = if log.live { "is going on" } else { "broke off: its engine was killed" };
        let text = format!("runplan: run `{}` {why}; the export says how far its journal goes\n", log.id);
        terminal.write(Stream::Err, &text);
    }
    let mask = mask(&log.dir, &found.events);
    let mut about = gathered(&log, &found, record.as_ref())?;
    if matches!(ask.format, ExportFormat::Junit | ExportFormat::Ctrf) {
        about.written = written(&log, &found.events);
    }
    if let Some(mask) = &mask {
        conceal(mask, &mut found.events, &mut about, terminal);
    }
    let run = Run::of(&found.events, about)
        .ok_or_else(|| corrupt(format!("run `{}`: its journal announces no plan", log.id)))?;
    let bytes = match ask.format {
        ExportFormat::Ctrf => export::ctrf::render(&run),
        ExportFormat::Tap => export::tap::render(&run),
        ExportFormat::InToto => export::intoto::render(&run),
        ExportFormat::Slsa => export::slsa::render(&run, ask.builder_id.as_deref().unwrap_or(export::slsa::BUILDER)),
        ExportFormat::Otlp => export::otlp::render(&run),
        ExportFormat::Chrome => export::chrome::render(&run),
        _ => export::junit::render(&run),
    };
    deliver(ask, &bytes, mask.as_ref(), terminal)
}

/// The readiness report as it stood when the run was decided.
fn report(ask: &Export, format: ReportFormat, terminal: &Terminal) -> Result<(), Fault> {
    let past = past::read(&ask.run)?;
    let to = output(ask).map(|name| std::path::absolute(name).unwrap_or_else(|_| name.into()));
    let text = readiness::as_decided(&past, format, to.as_deref())
        .map_err(|why| corrupt(format!("run `{}`: {why}", past.id)))?;
    let mask = mask(&past.dir, &past.events);
    let text = match &mask {
        Some(mask) => mask.text(&text),
        None => text,
    };
    deliver(ask, text.as_bytes(), mask.as_ref(), terminal)
}

/// The whole run as one file.
fn archived(ask: &Export, terminal: &Terminal) -> Result<(), Fault> {
    let past = past::read(&ask.run)?;
    let name = output(ask);
    if name.is_none() && terminal.caps(Stream::Out).tty {
        return Err(wrong("an archive is nothing for a terminal: name a file with `-o FILE`".to_owned()));
    }
    let store = past.store().map_err(|error| wrong(error.to_string()))?;
    let told = |why: String| wrong(format!("run `{}` can't be archived: {why}", past.id));
    let packed = Packed::of(&past.id, &past.dir, &store).map_err(told)?;
    if let Some(mask) = mask(&past.dir, &past.events) {
        for member in &packed.manifest.members {
            let found = packed.open(member).and_then(|bytes| mask.finds(bytes)).map_err(|e| told(e.to_string()))?;
            if let Some(secret) = found {
                let what = format!("`{}` holds the secret `{secret}` as it is set now", member.name);
                return Err(told(format!("{what}; an archive keeps every byte, so nothing is written")));
            }
        }
    }
    let to = name.map(|name| std::path::absolute(name).unwrap_or_else(|_| name.into()));
    let folder = to.as_deref().and_then(Path::parent).map_or_else(std::env::temp_dir, Path::to_owned);
    let unwritten =
        |error: io::Error| Fault { text: format!("the archive can't be written: {error}"), exit: Exit::Unrecorded };
    let mut file = io::BufWriter::new(tempfile::NamedTempFile::new_in(folder).map_err(unwritten)?);
    packed.write(&mut file).map_err(unwritten)?;
    let mut file = file.into_inner().map_err(|error| unwritten(error.into_error()))?;
    match to {
        Some(path) => {
            file.as_file().sync_all().map_err(unwritten)?;
            file.persist(path).map_err(|error| unwritten(error.error))?;
            Ok(())
        }
        None => {
            file.seek(SeekFrom::Start(0)).map_err(unwritten)?;
            let mut buffer = vec![0; CHUNK];
            loop {
                match file.as_file_mut().read(&mut buffer).map_err(unwritten)? {
                    0 => return Ok(()),
                    n => terminal.write_bytes(Stream::Out, &buffer[..n]),
                }
            }
        }
    }
}

/// The file that was asked for; none for stdout.
fn output(ask: &Export) -> Option<&str> {
    ask.output.as_deref().filter(|name| *name != "-")
}

fn deliver(ask: &Export, bytes: &[u8], mask: Option<&Mask>, terminal: &Terminal) -> Result<(), Fault> {
    if let Some(mask) = mask
        && let Ok(Some(secret)) = mask.finds(bytes)
    {
        let what = format!("the export would hold the secret `{secret}` as it is set now");
        return Err(wrong(format!("{what}, in a place where it can't be replaced; nothing is written")));
    }
    let Some(name) = output(ask) else {
        terminal.write_bytes(Stream::Out, bytes);
        return Ok(());
    };
    let path = std::path::absolute(name).unwrap_or_else(|_| name.into());
    sign::write(&path, bytes)
        .map_err(|error| Fault { text: format!("can't write `{}`: {error}", path.display()), exit: Exit::Unrecorded })
}

/// What the events don't say.
pub(super) fn gathered(log: &Log, found: &Recovered, record: Option<&read::RecordFile>) -> Result<Gathered, Fault> {
    let told = |why: String| corrupt(format!("run `{}`: {why}", log.id));
    let (head, _) = opening(&found.events).ok_or_else(|| told("its journal announces no plan".to_owned()))?;
    let journal = log.journal.digest().map_err(|error| told(format!("its journal can't be read: {error}")))?;
    let later = match record {
        None => None,
        Some(record) => {
            let subject = Subject {
                plan: record.run.plan.sha256.clone(),
                evidence: record.id.clone(),
                journal: Some(journal.clone()),
                gate: None,
            };
            verify::decided(&log.dir, record, &subject).map_err(told)?.map(|kept| kept.decision)
        }
    };
    let size = log.record.as_ref().map_or(0, |bytes| bytes.len() as u64);
    Ok(Gathered {
        run: log.id.clone(),
        record: record.map(|record| (record.id.clone(), size)),
        journal,
        files: plan_files(&log.dir, head).map_err(told)?,
        later,
        written: BTreeMap::new(),
    })
}

fn opening(events: &[Event]) -> Option<(&PlanHead, &Settings)> {
    match &events.first()?.kind {
        EventKind::Open { plan, settings, .. } => Some((plan, settings)),
        _ => None,
    }
}

/// Path and digest of every file of the plan, as kept with the run and named by its journal.
fn plan_files(dir: &Path, head: &PlanHead) -> Result<Vec<(String, String)>, String> {
    let list = std::fs::read_to_string(dir.join(store::PLAN_FILES)).map_err(|error| error.to_string())?;
    let mut files = Vec::new();
    for (number, line) in list.lines().enumerate() {
        let value: Json = serde_json::from_str(line).map_err(|error| error.to_string())?;
        let name = if number == 0 { "plan.toml".to_owned() } else { format!("plan-{number}.toml") };
        let bytes = std::fs::read(dir.join(&name)).map_err(|error| format!("`{name}`: {error}"))?;
        let path = value.get("path").and_then(Json::as_str).unwrap_or(&name);
        files.push((path.to_owned(), sha256_hex(&bytes)));
    }
    let whole = match files.as_slice() {
        [(_, only)] => only.clone(),
        many => sha256_hex(many.iter().fold(String::new(), |list, (_, digest)| list + digest + "\n").as_bytes()),
    };
    if whole == head.sha256 { Ok(files) } else { Err("the plan kept with it is not the one that ran".to_owned()) }
}

/// The ends of what deciding attempts wrote, as much as exports repeat.
fn written(log: &Log, events: &[Event]) -> BTreeMap<StepId, Written> {
    let heads = events.iter().find_map(|event| match &event.kind {
        EventKind::Open { steps, .. } => Some(steps),
        _ => None,
    });
    let mut ranked: Vec<_> = heads.into_iter().flatten().collect();
    ranked.sort_by_key(|head| head.rank);
    let tries: BTreeMap<StepId, usize> = events
        .iter()
        .filter_map(|event| match &event.kind {
            EventKind::Commit { step, result } => Some((*step, result.attempts.len())),
            _ => None,
        })
        .collect();
    let mut left = export::ALL_BYTES;
    let mut all = BTreeMap::new();
    for head in ranked {
        let attempt = tries.get(&head.step).map_or(0, |tries| u32::try_from(*tries).unwrap_or(u32::MAX));
        if attempt == 0 {
            continue;
        }
        let mut stream = |name: &str| {
            let path = view::spool_path(&log.dir, Which { rank: head.rank, name: &head.name, attempt }, name);
            let wrote = end_of(&path, export::STREAM_BYTES.min(left)).unwrap_or_default();
            left = left.saturating_sub(wrote.bytes.len() as u64);
            wrote
        };
        all.insert(head.step, Written { stdout: stream("stdout"), stderr: stream("stderr") });
    }
    all
}

pub(super) fn end_of(path: &Path, most: u64) -> io::Result<Wrote> {
    let mut file = File::open(path)?;
    let size = file.metadata()?.len();
    let left_out = size.saturating_sub(most);
    file.seek(SeekFrom::Start(left_out))?;
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes)?;
    Ok(Wrote { bytes, left_out })
}

/// Finds the secrets of the run's plan, as far as they are set here. What the run stored was masked with those it had.
pub(super) fn mask(dir: &Path, events: &[Event]) -> Option<Mask> {
    let (head, settings) = opening(events)?;
    masking(again::secrets(dir, head, settings))
}

/// Finds these secrets, as far as they are long enough to be told from other texts.
pub(super) fn masking(secrets: BTreeMap<String, String>) -> Option<Mask> {
    let secrets: Vec<(String, Vec<u8>)> = secrets
        .into_iter()
        .map(|(name, value)| (name, value.into_bytes()))
        .filter(|(_, value)| value.len() >= 8)
        .collect();
    (!secrets.is_empty()).then(|| Mask::new(&secrets))
}

/// Takes secrets out of everything that an export is made of, and says so where there were some.
pub(super) fn conceal(mask: &Mask, events: &mut [Event], about: &mut Gathered, terminal: &Terminal) {
    let mut hid = false;
    for event in events {
        let Ok(mut value) = serde_json::to_value(&*event) else { continue };
        if conceal_texts(mask, &mut value)
            && let Ok(masked) = serde_json::from_value(value)
        {
            *event = masked;
            hid = true;
        }
    }
    let streams = about.written.values_mut().flat_map(|written| [&mut written.stdout, &mut written.stderr]);
    for stream in streams {
        let masked = mask.bytes(&stream.bytes);
        hid |= masked != stream.bytes;
        stream.bytes = masked;
    }
    if hid {
        let text = "the run log holds a secret as it is set now; the export does not\n";
        terminal.write(Stream::Err, &format!("runplan: {text}"));
    }
}

/// Whether there was one.
pub(super) fn conceal_texts(mask: &Mask, value: &mut Json) -> bool {
    match value {
        Json::String(text) => {
            let masked = mask.text(text);
            let changed = masked != *text;
            *text = masked;
            changed
        }
        Json::Array(items) => items.iter_mut().fold(false, |hid, item| conceal_texts(mask, item) | hid),
        Json::Object(members) => members.values_mut().fold(false, |hid, member| conceal_texts(mask, member) | hid),
        Json::Null | Json::Bool(_) | Json::Number(_) => false,
    }
}
