//! What a run leaves in a job of GitHub Actions: tokens and paths for its log, the summary of the job, outputs of its step.
//! A file that can't be written is said, and changes no decision.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::act;
use crate::digest::sha256_hex;
use crate::event::EventKind;
use crate::outcome::RunStatus;
use crate::report::terminal::{Stream, Terminal};
use crate::report::{Context, escape};

use super::{past, readiness, world};

/// GitHub drops a summary of more than 1 MiB as a whole; this leaves room.
const MOST: usize = 900 * 1024;
/// Less than this is no summary.
const LEAST: usize = 2 * 1024;

/// Whether this is a job of GitHub Actions.
pub(super) fn is_here() -> bool {
    super::variable("GITHUB_ACTIONS").is_some_and(|value| value == "true")
}

/// Whether another run started this one: the outer one speaks for the job.
pub(super) fn is_nested() -> bool {
    super::variable(act::plan::NESTED).is_some_and(|plans| !plans.is_empty())
}

/// Gives the reporter what only the process knows: randomness and where the repository is.
pub(super) fn prepare(context: &mut Context) -> std::io::Result<()> {
    let secret: [u8; 32] = world::random()?;
    context.token = Box::new(move |name| {
        let text = secret.iter().copied().chain(name.bytes()).collect::<Vec<u8>>();
        format!("runplan-{}", sha256_hex(&text))
    });
    let root = super::variable("GITHUB_WORKSPACE").map(PathBuf::from);
    context.repository = Box::new(move |path| in_repository(root.as_deref()?, Path::new(path)));
    Ok(())
}

/// The way from the root of the repository to a file in it.
fn in_repository(root: &Path, path: &Path) -> Option<String> {
    let path = path.canonicalize().ok()?;
    let inside = path.strip_prefix(root.canonicalize().ok()?).ok()?;
    Some(inside.to_str()?.to_owned())
}

/// Writes the summary of the job and the outputs of its step.
pub(super) fn publish(run: &Path, status: RunStatus, day: &str, terminal: &Terminal) {
    let past = past::read(&run.display().to_string());
    let written = |name: &str, make: &dyn Fn(u64) -> Option<String>| {
        let Some(file) = super::variable(name).filter(|file| !file.is_empty()) else { return };
        let there = std::fs::metadata(&file).map_or(0, |file| file.len());
        let Some(text) = make(there) else { return };
        let appended = std::fs::OpenOptions::new().create(true).append(true).open(&file);
        if let Err(error) = appended.and_then(|mut file| file.write_all(text.as_bytes())) {
            let text = format!("runplan: ${name} `{file}` can't be written: {error}; the decision stands\n");
            terminal.write(Stream::Err, &escape::text(&text));
        }
    };
    written("GITHUB_STEP_SUMMARY", &|there| {
        let room = MOST.saturating_sub(usize::try_from(there).unwrap_or(usize::MAX));
        let text = readiness::summary(past.as_ref().ok()?, day, room.max(LEAST))?;
        (room >= LEAST).then(|| format!("{text}\n"))
    });
    written("GITHUB_OUTPUT", &|_| {
        let id = run.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut text = format!("run={id}\n");
        if let (RunStatus::Decided(verdict), Ok(past)) = (status, &past) {
            let risk = past.events.iter().rev().find_map(|event| match &event.kind {
                EventKind::Decision { decision, last: true } => Some(decision.risk.to_string()),
                _ => None,
            });
            let risk = risk.unwrap_or_default();
            text += &format!("decision={verdict}\nrisk={risk}\nrecord={}\n", past.record.id);
        }
        Some(text)
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_leads_from_the_root_of_the_repository() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("ci")).unwrap();
        std::fs::write(root.path().join("ci/plan.toml"), "").unwrap();
        let inside = |path: &str| in_repository(root.path(), &root.path().join(path));
        assert_eq!(inside("ci/../ci/plan.toml").as_deref(), Some("ci/plan.toml"));
        assert_eq!((inside("none"), in_repository(&root.path().join("ci"), root.path())), (None, None));
    }
}
