//! From the command line's plan to a graph, with everything that is wrong said at once.

use std::collections::HashMap;

use camino::{Utf8Path, Utf8PathBuf};

use crate::action::Action;
use crate::cli::{Format, PlanArgs};
use crate::graph::{self, Graph};
use crate::lsp::{Checked, Texts};
use crate::plan::error::{self, Diagnostic, Level};
use crate::plan::{self, LoadOptions, Loaded, Plan};
use crate::record::canonical::{self, CanonicalError};
use crate::report::terminal::{Stream, Terminal};

/// A plan that may run, and its graph.
pub(super) struct Ready {
    pub(super) loaded: Loaded,
    pub(super) graph: Graph,
}

/// Loads and checks; `None` if anything forbids running it.
pub(super) fn load(args: &PlanArgs) -> (Loaded, Option<Graph>) {
    load_by(args, &|path, options| plan::load(path, options))
}

/// As [`load`], with another text in place of the main file's.
pub(super) fn load_text(args: &PlanArgs, text: &str) -> (Loaded, Option<Graph>) {
    load_by(args, &|path, options| plan::load_text(path, text, options))
}

/// As [`load`], with another text in place of one of the plan's files, by its path in the sources of `known`.
pub(super) fn load_changed(args: &PlanArgs, known: &Loaded, changed: &str, text: &str) -> (Loaded, Option<Graph>) {
    let files = known.plan.sources.files.iter();
    let texts = files.map(|file| if file.path == changed { text } else { &file.text }.to_owned());
    let paths = known.plan.sources.files.iter().map(|file| Utf8PathBuf::from(&file.path));
    let texts: HashMap<_, _> = paths.zip(texts).collect();
    load_by(args, &|path, options| plan::load_kept(path, texts.clone(), options))
}

/// As [`load`], open texts before those on the disk; with the graph also where the plan may not run.
pub(super) fn open(args: &PlanArgs, texts: Texts<'_>) -> Checked {
    let (loaded, graph) = check(args, &|path, options| plan::load_open(path, texts, options));
    Checked { loaded, graph }
}

fn load_by(args: &PlanArgs, read: &dyn Fn(&Utf8Path, &LoadOptions<'_>) -> Loaded) -> (Loaded, Option<Graph>) {
    let (loaded, graph) = check(args, read);
    let fit = !loaded.has_errors();
    (loaded, graph.filter(|_| fit))
}

/// The plan with all diagnostics, and its graph if it has no circle.
fn check(args: &PlanArgs, read: &dyn Fn(&Utf8Path, &LoadOptions<'_>) -> Loaded) -> (Loaded, Option<Graph>) {
    let today = args.date.clone().unwrap_or_else(super::world::today);
    let options = LoadOptions {
        today: &today,
        vars: args.vars.clone(),
        var_files: args.var_files.iter().map(Utf8PathBuf::from).collect(),
        env: &super::variable,
        strict: args.strict,
    };
    let path = Utf8PathBuf::from(&args.path);
    let mut loaded = read(&path, &options);
    if !loaded.has_errors() {
        let faults = children(&loaded.plan, &today, &mut vec![whole(&path)]);
        loaded.diagnostics.extend(faults);
    }
    let graph = match graph::build(&loaded.plan) {
        Ok(graph) => Some(graph),
        Err(faults) => {
            loaded.diagnostics.extend(faults);
            loaded.diagnostics.sort_by_key(|d| (d.place.is_some(), d.place));
            None
        }
    };
    (loaded, graph)
}

/// One name for every spelling of a path.
fn whole(path: &Utf8Path) -> Utf8PathBuf {
    path.canonicalize_utf8().unwrap_or_else(|_| path.to_owned())
}

/// What is wrong with the plans that steps of a plan run, as far as their paths are known already. `around` are the
/// plans it is a part of, itself last.
fn children(plan: &Plan, today: &str, around: &mut Vec<Utf8PathBuf>) -> Vec<Diagnostic> {
    let mut faults = Vec::new();
    for step in &plan.steps {
        let Action::Plan(spec) = &step.action else { continue };
        if spec.path.late {
            continue;
        }
        let name = spec.path.as_str();
        let path = whole(&plan.workspace.join(name));
        if around.contains(&path) {
            let fault = Diagnostic::error("plan-circle", step.place, format!("the plan `{name}` runs itself"));
            faults.push(fault.help("a plan can be a step of another one, not of itself or of its own parts"));
            continue;
        }
        // A value that is not known yet stands as its template; the child checks it when it starts.
        let known = spec.vars.iter().filter(|(_, text)| !text.late);
        let options = LoadOptions {
            today,
            vars: known.map(|(name, text)| (name.clone(), text.src.clone())).collect(),
            var_files: Vec::new(),
            env: &|name| super::variable(name).filter(|_| !name.starts_with("RUNPLAN_VAR_")),
            strict: false,
        };
        let child = plan::load(&path, &options);
        let mut wrong = child.diagnostics.iter().filter(|fault| fault.severity == Level::Error);
        let Some(first) = wrong.next() else {
            around.push(path);
            faults.extend(children(&child.plan, today, around).into_iter().map(|fault| Diagnostic {
                place: Some(step.place),
                related: Vec::new(),
                ..fault
            }));
            around.pop();
            continue;
        };
        let more = wrong.count();
        let rest = if more == 0 { String::new() } else { format!(" (and {more} more)") };
        let at = first.place.map(|place| format!("{}: ", child.plan.sources.locate(place))).unwrap_or_default();
        let fault = Diagnostic::error(
            "child-plan",
            step.place,
            format!("the plan of this step can't run: {at}{}{rest}", first.message),
        );
        faults.push(fault.help(format!("`runplan check {name}` says it all")));
    }
    faults
}

/// Loads, says what there is to say, and gives the plan if it may run.
pub(super) fn ready(args: &PlanArgs, terminal: &Terminal) -> Option<Ready> {
    let (loaded, graph) = load(args);
    if !loaded.diagnostics.is_empty() {
        let look = terminal.look(Stream::Err);
        let text = error::render_human(&loaded.diagnostics, &loaded.plan.sources, look.colour, look.width);
        terminal.write(Stream::Err, &text);
    }
    graph.map(|graph| Ready { loaded, graph })
}

/// Says everything about a plan; whether it may run.
pub(super) fn tell(args: &PlanArgs, format: Format, terminal: &Terminal) -> bool {
    let (loaded, graph) = load(args);
    match format {
        Format::Json => {
            let json = error::render_json(&loaded.diagnostics, &loaded.plan.sources);
            terminal.write(Stream::Out, &format!("{json:#}\n"));
        }
        Format::Human => {
            let look = terminal.look(Stream::Out);
            let text = error::render_human(&loaded.diagnostics, &loaded.plan.sources, look.colour, look.width);
            let errors = loaded.diagnostics.iter().any(|d| d.severity == Level::Error);
            let fine = if errors { String::new() } else { well(&loaded, graph.as_ref()) };
            terminal.write(Stream::Out, &format!("{text}{fine}"));
        }
    }
    let fit = graph.is_some();
    leave((loaded, graph));
    fit
}

/// Leaves what the process does not need any more to its end: the system takes the memory of a large plan back at once,
/// piece by piece it takes as long as reading a part of it.
pub(super) fn leave<T>(value: T) {
    std::mem::forget(value);
}

/// Waves of main steps; `finally` steps come after all of them.
fn main_waves(graph: &Graph, plan: &Plan) -> usize {
    graph.waves(plan).iter().filter(|wave| wave.iter().any(|id| !plan.step(*id).finally)).count()
}

fn well(loaded: &Loaded, graph: Option<&Graph>) -> String {
    let steps = loaded.plan.steps.len();
    let waves = graph.map_or(0, |graph| main_waves(graph, &loaded.plan));
    let criteria: usize = loaded.plan.steps.iter().map(|step| step.criteria.len()).sum();
    let plural = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
    format!(
        "{}: {} in {}, {} in force: no errors\n",
        loaded.plan.sources.files.first().map_or("plan", |file| &file.path),
        plural(steps, "step"),
        plural(waves, "wave"),
        if criteria == 1 { "1 criterion".to_owned() } else { format!("{criteria} criteria") },
    )
}
/// SHA-256 of what a plan means: of its normalised form, whatever its layout and comments.
///
/// # Errors
/// When it has no canonical form, which would be a bug.
pub(super) fn meaning(plan: &Plan) -> Result<String, CanonicalError> {
    canonical::digest_with_list(&plan::norm_head(plan), "steps", plan::norm_steps(plan))
}
