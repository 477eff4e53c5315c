//! `runplan verify --rerun`: the plan of a run once more in a clean copy of its workspace, and everything that came out
//! otherwise, with what to do about it. Leaves the workspace and its runs as they are.

mod copy;
mod divergence;
mod stray;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::{Value as Json, json};

use crate::action::Action;
use crate::cli::{Format, ProgressArgs, Verify};
use crate::engine::signals::Signals;
use crate::event::Event;
use crate::exit::Exit;
use crate::facts::{Num, Unit, Value};
use crate::files::Quit;
use crate::graph::{self, Selection};
use crate::outcome::RunStatus;
use crate::plan::{Plan, SecretSource};
use crate::record::read::RecordFile;
use crate::record::{baseline, store::Store};
use crate::report::format;
use crate::report::reproduced::{self, Reproduced};
use crate::report::style::ColourChoice;
use crate::report::terminal::{Stream, Terminal};

use super::again::{Begun, Refusal};
use super::reuse::Source;
use super::run::{self, Like, Order};
use super::{log, sign};

use copy::Copy;

/// A run as its log has it.
struct Side {
    id: String,
    record: RecordFile,
    events: Vec<Event>,
    /// Its folder with the files that it read and made, and its store.
    workspace: PathBuf,
    store: Option<Store>,
}

pub(super) fn reproduce(ask: &Verify, terminal: &Terminal) -> Exit {
    match reproduced(ask, terminal) {
        Ok(exit) => exit,
        Err((text, exit)) => sign::failed(terminal, &text, exit),
    }
}

fn reproduced(ask: &Verify, terminal: &Terminal) -> Result<Exit, Refusal> {
    let then = read(&ask.run)?;
    let mut begun = Begun::of(&then.1, then.0.events.clone())?;
    let then = then.0;
    if Path::new(&begun.head.path).is_absolute() || !then.workspace.join(&begun.head.path).starts_with(&then.workspace)
    {
        let text = format!("run `{}`: its plan lies outside of the workspace, so a copy has none", then.id);
        return Err((text, Exit::Usage));
    }
    // Before anything is copied: what its plan needs is there.
    begun.settings.workspace = then.workspace.display().to_string();
    let known = begun.plan(&super::variable, None).map(|ready| besides(&ready.loaded.plan)).unwrap_or_default();
    let (made, kept) = made(&then.record);
    let copy = match copied(&then.workspace, &made, &kept, &known)? {
        Ok(copy) => copy,
        Err(signal) => return Ok(Exit::Run(RunStatus::Interrupted(signal))),
    };
    let aside = Terminal::aside(ColourChoice::Auto, &super::variable);
    aside.write(Stream::Err, &format!("runplan: {}\n", about(&copy)));
    let before = stray::manifest(&copy.workspace);
    begun.settings.workspace = copy.workspace.display().to_string();
    let outcome = rerun(&begun, &then, &copy, ask.jobs, &aside);
    let found = outcome.and_then(|exit| match exit {
        Exit::Run(RunStatus::Decided(_)) => {
            let now = now(&copy)?;
            let mut found = divergence::compare(&then, &now);
            found.notes.extend(stray::notes(&then, &now, &before));
            Ok(Ok(found))
        }
        other => Ok(Err(other)),
    });
    if ask.keep {
        let path = copy.keep();
        aside.write(Stream::Err, &format!("runplan: the copy is kept in `{}`\n", path.display()));
    }
    // It is nobody else's terminal: what still waits for a reader would be lost with it.
    aside.settle(None);
    match found? {
        // It was interrupted, or could not be recorded; that has been said.
        Err(exit) => Ok(exit),
        Ok(found) => {
            let text = match ask.format {
                Format::Human => reproduced::render(&found, terminal.look(Stream::Out)),
                Format::Json => as_json(&found),
            };
            terminal.write(Stream::Out, &text);
            Ok(if found.same { Exit::Done } else { Exit::Differs })
        }
    }
}

fn read(named: &str) -> Result<(Side, log::Log), Refusal> {
    let refusal = |fault: super::past::Fault| (fault.text, fault.exit);
    let log = log::open(named).map_err(refusal)?;
    let found = log.recovered().map_err(refusal)?;
    let record = log.checked_record(&found).map_err(refusal)?;
    let Some(home) = log.home.clone() else {
        let text = format!("run `{}` lies in no workspace: there is nothing to run it in", log.id);
        return Err((text, Exit::Usage));
    };
    let told = super::past::told_workspace(&found.events).filter(|_| !super::past::is_imported(&log.dir));
    // A plan within a plan keeps its runs below the workspace, and `--log-dir` anywhere.
    let workspace =
        told.filter(|told| home.starts_with(told) || (told.is_dir() && !home.join(&record.run.plan.path).is_file()));
    let side = Side {
        id: log.id.clone(),
        record,
        events: found.events,
        workspace: workspace.unwrap_or_else(|| super::past::workspace_of(&home, &[])),
        store: Store::reader(&home).ok(),
    };
    Ok((side, log))
}

/// Files that a plan needs to be read, whatever git says: secrets.
fn besides(plan: &Plan) -> Vec<PathBuf> {
    let file = |source: &SecretSource| match source {
        SecretSource::File(path) => Some(PathBuf::from(path)),
        SecretSource::Env { .. } => None,
    };
    plan.secrets.iter().filter_map(|secret| file(&secret.source)).collect()
}

/// What the run made, and what of it some step read before it was made.
fn made(record: &RecordFile) -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut made, mut kept) = (BTreeSet::new(), BTreeSet::new());
    for line in &record.steps {
        kept.extend(line.inputs.iter().map(|file| file.path.clone()).filter(|path| !made.contains(path)));
        made.extend(line.outputs.iter().map(|output| output.path.clone()));
    }
    (made, kept)
}

/// The copy, or the number of the signal that ended the copying.
fn copied(
    workspace: &Path,
    made: &BTreeSet<String>,
    kept: &BTreeSet<String>,
    besides: &[PathBuf],
) -> Result<Result<Copy, i32>, Refusal> {
    let failed = |text: String| (format!("the workspace can't be copied: {text}"), Exit::Unrecorded);
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| failed(e.to_string()))?;
    runtime.block_on(async {
        let mut signals = Signals::listen().map_err(|e| failed(e.to_string()))?;
        let quit = Quit::default();
        let (asked, workspace, made) = (quit.clone(), workspace.to_owned(), made.clone());
        let (kept, besides) = (kept.clone(), besides.to_vec());
        let mut work = tokio::task::spawn_blocking(move || copy::make(&workspace, &made, &kept, &besides, &asked));
        let mut signal = 0;
        loop {
            tokio::select! {
                done = &mut work => return match done {
                    Ok(Ok(copy)) if signal == 0 => Ok(Ok(copy)),
                    Ok(Ok(_) | Err(copy::Fault::Asked)) => Ok(Err(signal)),
                    Ok(Err(copy::Fault::Io(text))) => Err(failed(text)),
                    Err(error) => Err(failed(error.to_string())),
                },
                Some(got) = signals.next() => if !got.only_pauses() {
                    signal = got.number();
                    quit.ask();
                },
            }
        }
    })
}

fn about(copy: &Copy) -> String {
    let what = if copy.git { "what git tracks or does not ignore" } else { "everything" };
    let left = match copy.left_out.len() {
        0 => String::new(),
        n => format!(", without {} that the run had made", format::count(n, "file")),
    };
    format!("runs again in a clean copy of the workspace ({what}: {}{left})", format::count(copy.files, "file"))
}

/// Runs the plan kept with the run, as it was run, in the copy.
fn rerun(begun: &Begun, then: &Side, copy: &Copy, jobs: Option<u32>, terminal: &Terminal) -> Result<Exit, Refusal> {
    for (path, text) in begun.texts(None)? {
        let path = path.as_std_path();
        let failed = |error: std::io::Error| (format!("`{}`: {error}", path.display()), Exit::Unrecorded);
        let path = std::path::absolute(path).map_err(failed)?;
        if path.starts_with(&copy.workspace) && std::fs::read(&path).map_or(true, |old| old != text.as_bytes()) {
            std::fs::create_dir_all(path.parent().unwrap_or(&path)).map_err(failed)?;
            std::fs::write(&path, text).map_err(failed)?;
        }
    }
    let ready = begun.plan(&super::variable, Some(terminal))?;
    let plan = &ready.loaded.plan;
    let selected = graph::select(plan, &ready.graph, &Selection::of_words(&begun.head.select))
        .map_err(|faults| (faults.join("\n"), Exit::Usage))?;
    let order = Order {
        ready: &ready,
        selected,
        select: begun.head.select.clone(),
        jobs,
        shuffle: None,
        shown: ProgressArgs::default(),
        wait: false,
        logs: copy.workspace.clone(),
        today: begun.day(),
        again: begun.command(),
        source: Source::Off,
        head: None,
        like: Some(like(begun, then, plan)),
    };
    Ok(run::go(&order, terminal))
}

/// What the run was given from other runs, and by people.
fn like(begun: &Begun, then: &Side, plan: &Plan) -> Like {
    let mut baselines = BTreeMap::new();
    for (step, run) in &begun.settings.baselines {
        let looks = then.store.as_ref().and_then(|store| baseline::of_run(store, run));
        if let Some(looks) = looks.and_then(|mut looks| looks.remove(step)) {
            baselines.insert(step.clone(), baseline::Seen { run: run.clone(), looks });
        }
    }
    let mut ratchets = BTreeMap::new();
    for (id, step) in plan.ids().zip(&plan.steps) {
        let Some(Value::Num(_, unit)) = step.ratchet.as_ref().map(|ratchet| &ratchet.floor) else { continue };
        let told =
            divergence::committed(&then.events, id).and_then(|result| ratchet_of(result.action_preimage.as_ref()?));
        if let Some(num) = told {
            let unit: Unit = *unit;
            ratchets.insert(step.name.clone(), Value::Num(num, unit));
        }
    }
    let asks = plan.steps.iter().any(|step| matches!(step.action, Action::Signoff(_)));
    let gates = then.store.as_ref().filter(|_| asks).map(|store| store.root().to_owned());
    Like {
        baselines,
        ratchets,
        gates: gates.unwrap_or_else(|| plan.workspace.as_std_path().join(crate::files::OWN_FOLDER)),
    }
}

/// What a ratchet asked for, from the text of the action.
pub(super) fn ratchet_of(preimage: &str) -> Option<Num> {
    let form: Json = serde_json::from_str(preimage).ok()?;
    form.get("policy")?.get("ratchet")?.as_str()?.parse().ok()
}

/// The run that has just ended in the copy.
fn now(copy: &Copy) -> Result<Side, Refusal> {
    let store = Store::reader(&copy.workspace).map_err(|error| (error.to_string(), Exit::Unrecorded))?;
    let last = store.latest().ok_or_else(|| ("the run in the copy left no log".to_owned(), Exit::Unrecorded))?;
    let (side, _) = read(&store.run_path(&last).display().to_string())?;
    Ok(Side { workspace: copy.workspace.clone(), ..side })
}

fn as_json(found: &Reproduced) -> String {
    let divergences: Vec<Json> = found
        .divergences
        .iter()
        .map(|d| {
            let fields: Vec<Json> =
                d.fields.iter().map(|f| json!({ "field": f.name, "then": f.a, "now": f.b })).collect();
            let files: Vec<Json> = d
                .files
                .iter()
                .map(|file| {
                    let first = file.first.as_ref();
                    json!({
                        "path": file.path, "what": file.what, "place": first.map(|first| &first.place),
                        "then": first.map(|first| &first.then), "now": first.map(|first| &first.now),
                    })
                })
                .collect();
            json!({
                "step": d.step, "follows": d.follows, "fields": fields, "files": files, "fixes": d.fixes,
            })
        })
        .collect();
    let value = json!({
        "schema": "runplan.reproduced/1", "run": found.run, "record": found.records[0], "again": found.records[1],
        "same": found.same, "divergences": divergences, "notes": found.notes,
    });
    format!("{value:#}\n")
}
