//! `runplan report RUN`: the readiness report of a run that is over, from its record and journal, with sign-offs and
//! waivers as they are now.

use std::path::{Component, Path, PathBuf};

use crate::cli::ReportFormat;
use crate::event::EventKind;
use crate::exit::Exit;
use crate::record::store;
use crate::report::readiness::{self, Link, Readiness, Row};
use crate::report::terminal::{Stream, Terminal};

use super::past::{self, Past};
use super::sign::{self, Judged, failed};

pub(super) fn report(named: &str, format: ReportFormat, output: Option<&str>, terminal: &Terminal) -> Exit {
    let past = match past::read(named) {
        Ok(past) => past,
        Err(fault) => return failed(terminal, &fault.text, fault.exit),
    };
    let judged = Judged::now(&past, None);
    let to = output.map(|name| std::path::absolute(name).unwrap_or_else(|_| name.into()));
    let Some(readiness) = gather(&past, &judged, to.as_deref()) else {
        return failed(terminal, &format!("run `{}` announces no plan", past.id), Exit::Corrupt);
    };
    let text = match format {
        ReportFormat::Md => readiness::markdown::render(&readiness),
        ReportFormat::Json => format!("{:#}\n", readiness::json::render(&readiness)),
        ReportFormat::Junit => readiness::junit::render(&readiness),
    };
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
        Some(Row {
            head,
            // What a serial run would not have reached says nothing.
            result: (!line.attempts.is_empty()).then_some(result),
            state: line.state,
            cause: line.cause.clone(),
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

/// The way from a folder to a file, `/`-separated.
fn relative(from: &Path, to: &Path) -> String {
    let from = from.canonicalize().unwrap_or_else(|_| from.to_owned());
    let (from, to): (Vec<Component<'_>>, Vec<Component<'_>>) = (from.components().collect(), to.components().collect());
    let same = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    let up = std::iter::repeat_n("..".to_owned(), from.len() - same);
    let down = to.iter().skip(same).map(|part| part.as_os_str().to_string_lossy().into_owned());
    up.chain(down).collect::<Vec<_>>().join("/")
}
