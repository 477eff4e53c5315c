//! Files that no step declares and that are not the same after the second run: no part of the record, but the next thing
//! that somebody wants to know.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::event::EventKind;
use crate::files::OWN_FOLDER;

use super::Side;

/// Most files that are looked at, and most that are told.
const MOST: usize = 20_000;
const TOLD: usize = 20;
/// Most bytes of a file that is compared.
const MOST_BYTES: u64 = 8 << 20;

/// Size and time of each file.
pub(super) type Manifest = BTreeMap<PathBuf, (u64, i64, i64)>;

/// The files below a folder, without what git and the engine keep there.
pub(super) fn manifest(folder: &Path) -> Manifest {
    let mut found = Manifest::new();
    let mut open = vec![folder.to_owned()];
    while let Some(next) = open.pop() {
        let Ok(items) = fs::read_dir(&next) else { continue };
        for path in items.filter_map(|item| Some(item.ok()?.path())) {
            if path.file_name().is_some_and(|name| name == OWN_FOLDER || name == ".git") || found.len() >= MOST {
                continue;
            }
            let Ok(about) = fs::symlink_metadata(&path) else { continue };
            if about.is_dir() {
                open.push(path);
            } else if about.is_file()
                && let Ok(path) = path.strip_prefix(folder)
            {
                found.insert(path.to_owned(), (about.len(), about.mtime(), about.mtime_nsec()));
            }
        }
    }
    found
}

/// A sentence for each such file that the first run left too, with the step that was running when it was written.
pub(super) fn notes(then: &Side, now: &Side, before: &Manifest) -> Vec<String> {
    let declared = |path: &Path| {
        let lines = then.record.steps.iter().chain(&now.record.steps);
        lines.flat_map(|line| &line.outputs).any(|output| Path::new(&output.path) == path)
    };
    let mut notes = Vec::new();
    for (path, stamp) in manifest(&now.workspace) {
        if before.get(&path) == Some(&stamp) || declared(&path) {
            continue;
        }
        let (old, new) = (then.workspace.join(&path), now.workspace.join(&path));
        let small =
            |path: &Path| fs::symlink_metadata(path).is_ok_and(|about| about.is_file() && about.len() <= MOST_BYTES);
        if !small(&old) || !small(&new) || fs::read(&old).ok() == fs::read(&new).ok() {
            continue;
        }
        let steps = writers(now, stamp.1.saturating_mul(1000).saturating_add(stamp.2 / 1_000_000));
        let by = match steps.as_slice() {
            [] => String::new(),
            [one] => format!(", written by step `{one}`"),
            many => format!(", written by one of the steps {}", many.join(", ")),
        };
        notes.push(format!(
            "`{}` is not the same either{by}; no step declares it in `outputs`, so the record does not tell",
            path.display()
        ));
    }
    if notes.len() > TOLD {
        let more = notes.len() - TOLD;
        notes.truncate(TOLD);
        notes.push(format!("and {more} more such files"));
    }
    notes
}

/// Steps that were going on at a time (milliseconds since 1970).
fn writers(side: &Side, at: i64) -> Vec<String> {
    let mut started = BTreeMap::new();
    let mut found = Vec::new();
    let mut names = BTreeMap::new();
    for event in &side.events {
        match &event.kind {
            EventKind::Open { steps, .. } => {
                names = steps.iter().map(|head| (head.step, head.name.clone())).collect();
            }
            EventKind::Start { step, .. } => drop(started.insert(*step, event.at)),
            EventKind::Attempt { step, .. } => {
                let from = started.get(step).copied().unwrap_or(i64::MAX);
                if (from..=event.at).contains(&at)
                    && let Some(name) = names.get(step)
                {
                    found.push(name.clone());
                }
            }
            _ => {}
        }
    }
    found.dedup();
    found
}
