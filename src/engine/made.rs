//! What an attempt made: named outputs, output files and artifacts, checked, digested, kept.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::act::{self, Request};
use crate::action::{Action, OutputSpec};
use crate::facts::{Facts, Value};
use crate::files::{self, Quit, Role};
use crate::ids::StepId;
use crate::mask::Mask;
use crate::normalize;
use crate::outcome::{Cause, Class, FileDigest, Filter, Normalized, OutputDigest};

use super::outputs;
use super::prepare::{self, Fault, Ready};
use super::shared::Shared;

/// What was taken in.
pub(super) struct Made {
    pub(super) outputs: Vec<OutputDigest>,
    pub(super) values: BTreeMap<String, String>,
}

/// When and how a file was last written; `None` if there is none.
pub(super) fn stamp(path: &Path) -> Option<(i64, i64, u64, u64)> {
    std::fs::metadata(path).ok().map(|meta| (meta.mtime(), meta.mtime_nsec(), meta.ino(), meta.size()))
}

/// More than this is digested beside the loop that everything else waits for.
const MOST_AT_ONCE: u64 = 1 << 20;

/// Digests of what an attempt wrote, as it lies in the step's folder. What can't be read has none: the output itself is
/// what counts, and `verify` says what it did not cover.
pub(super) async fn spools(folder: &Path, attempt: u32) -> Vec<FileDigest> {
    if folder.as_os_str().is_empty() {
        return Vec::new();
    }
    let names = ["stdout", "stderr"].map(|stream| match attempt {
        0 | 1 => stream.to_owned(),
        attempt => format!("{attempt}.{stream}"),
    });
    let size = |name: &String| std::fs::symlink_metadata(folder.join(name)).map_or(0, |meta| meta.len());
    let names: Vec<String> = names.into_iter().filter(|name| size(name) > 0).collect();
    if names.iter().map(size).sum::<u64>() <= MOST_AT_ONCE {
        return digested(folder, &names);
    }
    let folder = folder.to_owned();
    tokio::task::spawn_blocking(move || digested(&folder, &names)).await.unwrap_or_default()
}

fn digested(folder: &Path, names: &[String]) -> Vec<FileDigest> {
    let one = |name: &String| files::digest(folder, &folder.join(name), Role::Input, &Quit::default()).ok();
    names.iter().filter_map(one).collect()
}

/// Leaves no secret in the file of named outputs, whatever became of the attempt, and no empty file. Whether it has nothing to
/// keep.
pub(super) fn tidy_named(request: &Request, size: u64, mask: Option<&Mask>) -> std::io::Result<bool> {
    let path = &request.named;
    if path.as_os_str().is_empty() {
        return Ok(true);
    }
    let shared = !path.starts_with(&request.spool);
    match (size, mask) {
        // Nearly every step: the next one has it, or no empty file is left beside its output.
        (0, _) if shared => return Ok(true),
        (0, _) => drop(std::fs::remove_file(path)),
        (1..=outputs::MOST_BYTES, Some(mask)) => std::fs::write(path, mask.bytes(&std::fs::read(path)?))?,
        (_, Some(_)) => std::fs::remove_file(path)?,
        (_, None) => {}
    }
    Ok(false)
}

/// Moves the file of named outputs, if there is something in it, from where it was handed on to the step's own folder.
pub(super) fn keep_named(request: &Request) -> std::io::Result<()> {
    let (from, to) = (&request.named, request.spool_file("outputs"));
    let is_kept =
        from.as_os_str().is_empty() || *from == to || std::fs::metadata(from).map_or(0, |meta| meta.len()) == 0;
    if is_kept { Ok(()) } else { act::slots::place(from, &to) }
}

fn invalid(detail: impl Into<String>) -> Fault {
    Fault { cause: Cause::OutputInvalid, detail: detail.into() }
}

/// Checks and keeps everything a successful attempt was to make.
pub(super) async fn take_in(
    shared: &Shared<'_>,
    id: StepId,
    (request, size): (&Request, u64),
    ready: &Ready,
) -> Result<Made, Fault> {
    let step = shared.plan.step(id);
    let values = named(request, size, &step.values)?;
    if let Some(mask) = &shared.world.mask
        && let Some((name, _)) = values.iter().find(|(_, value)| mask.text(value) != **value)
    {
        return Err(Fault {
            cause: Cause::SecretInOutput,
            detail: format!("the named output `{name}` contains a secret"),
        });
    }
    let mut made = BTreeMap::new();
    for spec in &step.outputs {
        for output in files_of(shared, request, spec).await? {
            let known = made.entry(output.file.path.clone()).or_insert_with(|| output.clone());
            known.artifact |= output.artifact;
        }
    }
    let again = prepare::digest_inputs(shared, id, &ready.input_patterns)?;
    if let Some(changed) = again
        .iter()
        .find(|file| !ready.inputs.contains(file))
        .or_else(|| ready.inputs.iter().find(|f| !again.contains(f)))
    {
        let detail = format!("the input `{}` changed while the step ran", changed.path);
        return Err(Fault { cause: Cause::InputChanged, detail });
    }
    Ok(Made { outputs: made.into_values().collect(), values })
}

fn named(request: &Request, size: u64, declared: &[String]) -> Result<BTreeMap<String, String>, Fault> {
    if !matches!(request.action, Action::Run(_) | Action::Service(_)) {
        return Ok(BTreeMap::new());
    }
    let path = &request.named;
    if size == 0 && declared.is_empty() {
        return Ok(BTreeMap::new());
    }
    if size > outputs::MOST_BYTES {
        return Err(invalid(format!("the output file has {size} bytes; at most {} are read", outputs::MOST_BYTES)));
    }
    let bytes = std::fs::read(path).map_err(|e| invalid(format!("can't read the output file: {e}")))?;
    let values = outputs::parse(&bytes, declared).map_err(invalid)?;
    Ok(values)
}

async fn files_of(shared: &Shared<'_>, request: &Request, spec: &OutputSpec) -> Result<Vec<OutputDigest>, Fault> {
    let workspace = request.workspace.clone();
    let pattern = spec.path.as_str().to_owned();
    let digests =
        tokio::task::spawn_blocking(move || files::digest_all(&workspace, &[pattern], Role::Output, &Quit::default()))
            .await
            .map_err(|e| invalid(e.to_string()))?
            .map_err(|e| invalid(format!("output {e}")))?;
    if let Some(missing) = digests.missing.first() {
        let what = if spec.artifact { "artifact" } else { "output" };
        return Err(invalid(format!("the {what} `{missing}` was not made")));
    }
    for file in &digests.files {
        let path = request.workspace.join(&file.path);
        if let Some(mask) = &shared.world.mask {
            prepare::without_secret(mask, &file.path, "output", Cause::SecretInOutput)?;
            let found = std::fs::File::open(&path).and_then(|bytes| mask.finds(bytes));
            if let Ok(Some(secret)) = found {
                let detail = format!("`{}` contains the secret `{secret}`", file.path);
                return Err(Fault { cause: Cause::SecretInOutput, detail });
            }
        }
        if spec.artifact && path.is_file() {
            let kept = shared.archive(&path, &file.sha256);
            kept.map_err(|e| invalid(format!("can't archive `{}`: {e}", file.path)))?;
        }
    }
    let mut outputs = Vec::new();
    for file in digests.files {
        let normalized = match spec.class {
            Class::Normalized => Some(Box::new(normalized(&request.workspace, &file, &spec.normalize).await?)),
            Class::Stable | Class::Volatile => None,
        };
        outputs.push(OutputDigest { file, class: spec.class, artifact: spec.artifact, normalized });
    }
    Ok(outputs)
}

/// What the filters leave of a file that was digested just now.
async fn normalized(workspace: &Path, file: &FileDigest, filters: &[Filter]) -> Result<Normalized, Fault> {
    let (workspace, path, list) = (workspace.to_owned(), file.path.clone(), filters.to_vec());
    tokio::task::spawn_blocking(move || normalize::file(&workspace, &path, list))
        .await
        .map_err(|e| invalid(e.to_string()))?
        .map_err(|fault| invalid(format!("can't normalize `{}`: {fault}", file.path)))
}

/// `artifact."path".exists/.size/.sha256` of declared outputs, if a criterion asks for them.
pub(super) fn add_artifact_facts(shared: &Shared<'_>, request: &Request, facts: &mut Facts) {
    if !request.wants.contains("artifact") {
        return;
    }
    let Some(id) = shared.find(&request.step) else { return };
    let mut artifacts = BTreeMap::new();
    for spec in &shared.plan.step(id).outputs {
        let mut about = BTreeMap::from([("exists".to_owned(), Value::Bool(false))]);
        let found = files::digest_all(&request.workspace, &[spec.path.as_str()], Role::Output, &Quit::default());
        if let Ok(found) = found
            && !found.files.is_empty()
        {
            about.insert("exists".to_owned(), Value::Bool(true));
            about.insert("size".to_owned(), Value::size(found.files.iter().map(|file| file.size).sum()));
            let sha256 = match found.files.as_slice() {
                [only] if only.path == spec.path.as_str() => only.sha256.clone(),
                many => files::tree_sha256(spec.path.as_str(), many),
            };
            about.insert("sha256".to_owned(), Value::text(sha256));
        }
        artifacts.insert(spec.path.as_str().to_owned(), Value::Map(about));
    }
    facts.set("artifact", Value::Map(artifacts));
}
