//! The readiness report of a run that is over, from its record and journal, with sign-offs and waivers as they are now:
//! `runplan report RUN`, and the files that `[plan] reports` names.

use std::path::{Component, Path, PathBuf};

use crate::act;
use crate::cli::ReportFormat;
use crate::digest::sha256_hex;
use crate::event::EventKind;
use crate::exit::Exit;
use crate::facts::{Facts, Value};
use crate::files;
use crate::ids::StepId;
use crate::record::store;
use crate::report::escape;
use crate::report::readiness::{self, Link, Readiness, Row};
use crate::report::terminal::{Stream, Terminal};

use super::past::{self, Past};
use super::sign::{self, Judged, failed};

/// A report is for others to read, as far as the umask lets them.
const SHARED: u32 = 0o666;

pub(super) fn report(named: &str, format: Option<ReportFormat>, output: Option<&str>, terminal: &Terminal) -> Exit {
    let past = match past::read(named) {
        Ok(past) => past,
        Err(fault) => return failed(terminal, &fault.text, fault.exit),
    };
    let judged = Judged::now(&past, None);
    let to = output.map(|name| std::path::absolute(name).unwrap_or_else(|_| name.into()));
    let Some(readiness) = gather(&past, &judged, to.as_deref()) else {
        return failed(terminal, &format!("run `{}` announces no plan", past.id), Exit::Corrupt);
    };
    let format = format.or_else(|| ReportFormat::of(output?)).unwrap_or_default();
    let text = rendered(&readiness, format);
    let Some(path) = to else {
        terminal.write(Stream::Out, &text);
        return match terminal.lost_output() {
            None => Exit::Done,
            Some(kind) => failed(terminal, &format!("stdout could not be written: {kind}"), Exit::Unrecorded),
        };
    };
    match sign::write(&path, text.as_bytes()) {
        Ok(()) => Exit::Done,
        Err(error) => failed(terminal, &format!("can't write `{}`: {error}", path.display()), Exit::Unrecorded),
    }
}

/// The report of a run as it was decided, without asking the clock or any signature.
pub(super) fn as_decided(past: &Past, format: ReportFormat, to: Option<&Path>) -> Result<String, String> {
    let judged = Judged::then(past)?;
    let readiness = gather(past, &judged, to).ok_or("the run announces no plan")?;
    Ok(rendered(&readiness, format))
}

/// The report of a run that has just ended as Markdown of at most so many bytes, failures first.
pub(super) fn summary(past: &Past, day: &str, most: usize) -> Option<String> {
    let judged = Judged::now(past, Some(day));
    Some(readiness::markdown::render_within(&gather(past, &judged, None)?, most))
}

fn rendered(readiness: &Readiness<'_>, format: ReportFormat) -> String {
    match format {
        ReportFormat::Md => readiness::markdown::render(readiness),
        ReportFormat::Json => format!("{:#}\n", readiness::json::render(readiness)),
        ReportFormat::Html => readiness::html::render(readiness),
        ReportFormat::Junit => readiness::junit::render(readiness),
    }
}

/// Writes the reports of a run that has just ended; `day` is the one that its waivers were held against.
pub(super) fn after_run(dir: &Path, day: &str, terminal: &Terminal) {
    match past::read(&dir.display().to_string()) {
        Ok(past) => publish(&past, &Judged::now(&past, Some(day)), terminal),
        Err(fault) => not_written(terminal, &fault.text),
    }
}

/// Writes what `[plan] reports` of a run names. A report that can't be written changes no decision: that is said, no more.
pub(super) fn publish(past: &Past, judged: &Judged, terminal: &Terminal) {
    // Where an imported run lies, its plan has no say.
    if past::is_imported(&past.dir) {
        return;
    }
    let Some(EventKind::Open { settings, .. }) = past.events.first().map(|event| &event.kind) else { return };
    for name in &settings.reports {
        if let Err(why) = published(past, judged, name) {
            not_written(terminal, &format!("`{name}`: {why}"));
        }
    }
}

fn not_written(terminal: &Terminal, why: &str) {
    let text = format!("runplan: a readiness report could not be written: {why}; the decision stands\n");
    terminal.write(Stream::Err, &escape::text(&text));
}

fn published(past: &Past, judged: &Judged, name: &str) -> Result<(), String> {
    let format = ReportFormat::of(name).ok_or("not a form that this version knows")?;
    let path = files::writable(&past.workspace, name).map_err(|error| error.to_string())?;
    let folder = path.parent().unwrap_or(&past.workspace);
    std::fs::create_dir_all(folder).map_err(|error| files::plain(&error))?;
    let readiness = gather(past, judged, Some(&path)).ok_or("the run announces no plan")?;
    let text = rendered(&readiness, format);
    sign::replace(&path, text.as_bytes(), SHARED).map_err(|error| files::plain(&error))
}

/// Everything the report tells. Links lead from the folder of the report, or from the workspace.
fn gather<'p>(past: &'p Past, judged: &'p Judged, to: Option<&Path>) -> Option<Readiness<'p>> {
    let first = past.events.first()?;
    let EventKind::Open { plan, settings, steps: heads } = &first.kind else { return None };
    let from = to.and_then(Path::parent).unwrap_or(&past.workspace);
    let store = past.store().ok()?;
    let link = |path: PathBuf| relative(from, &path);
    let archived = past.archived();
    let rows = past.record.steps.iter().filter_map(|line| {
        let head = heads.iter().find(|head| head.name == line.id)?;
        let result = past.events.iter().find_map(|event| match &event.kind {
            EventKind::Commit { step, result } if *step == head.step => Some(result.as_ref()),
            _ => None,
        })?;
        let folder = past.dir.join("steps").join(store::step_folder(line.rank, &line.id));
        let mut links: Vec<Link> = archived
            .iter()
            .filter(|(name, _)| *name == line.id)
            .map(|(_, file)| Link {
                name: file.path.clone(),
                target: link(store.object_path(&file.sha256)),
                sha256: Some(file.sha256.clone()),
            })
            .collect();
        for stream in ["stdout", "stderr"] {
            let attempts = line.attempts.len();
            let name = if attempts <= 1 { stream.to_owned() } else { format!("{attempts}.{stream}") };
            let path = folder.join(&name);
            if std::fs::metadata(&path).is_ok_and(|there| there.len() > 0) {
                links.push(Link { name, target: link(path), sha256: None });
            }
        }
        let facts = facts_of(past, head.step, line.attempts.len());
        links.extend(child(past, &line.id, facts).map(|dir| Link {
            name: "the run of its plan".to_owned(),
            target: link(dir),
            sha256: None,
        }));
        Some(Row {
            head,
            // What a serial run would not have reached says nothing.
            result: (!line.attempts.is_empty()).then_some(result),
            state: line.state,
            cause: line.cause.clone(),
            facts,
            lapsed: judged.lapsed.contains(&line.id),
            links,
        })
    });
    Some(Readiness {
        plan,
        settings,
        rows: rows.collect(),
        decision: &judged.decision,
        standings: &judged.standings,
        started: crate::signoff::timestamp(first.at),
        took_ns: past.events.last().map_or(0, |event| event.mono),
        at: judged.at.clone(),
        day: judged.day.clone(),
        record: past.record.id.clone(),
        journal: past.subject.journal.clone().unwrap_or_default(),
        folder: link(past.dir.clone()),
    })
}

/// The folder of the run that a `plan` step made, while it is the latest of its plan.
fn child(past: &Past, step: &str, facts: Option<&Facts>) -> Option<PathBuf> {
    let Value::Text(record) = facts?.values.get("record")? else { return None };
    let latest = act::plan::logs(&past.workspace, step).join(store::FOLDER).join("latest").canonicalize().ok()?;
    let bytes = std::fs::read(latest.join(store::RECORD_FILE)).ok()?;
    (*record == format!("sha256:{}", sha256_hex(&bytes))).then_some(latest)
}

/// What the last of that many attempts saw.
fn facts_of(past: &Past, step: StepId, attempts: usize) -> Option<&Facts> {
    past.events.iter().find_map(|event| match &event.kind {
        EventKind::Attempt { step: of, attempt, result } if *of == step && *attempt as usize == attempts => {
            Some(&result.facts)
        }
        _ => None,
    })
}

/// The way from a folder to a file, `/`-separated.
fn relative(from: &Path, to: &Path) -> String {
    let from = from.canonicalize().unwrap_or_else(|_| from.to_owned());
    let (from, to): (Vec<Component<'_>>, Vec<Component<'_>>) = (from.components().collect(), to.components().collect());
    let same = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    let up = std::iter::repeat_n("..".to_owned(), from.len() - same);
    let down = to.iter().skip(same).map(|part| part.as_os_str().to_string_lossy().into_owned());
    up.chain(down).collect::<Vec<_>>().join("/")
}
