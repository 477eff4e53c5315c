//! From the command line's plan to a graph, with everything that is wrong said at once.

use camino::Utf8PathBuf;

use crate::cli::{Format, PlanArgs};
use crate::graph::{self, Graph};
use crate::plan::error::{self, Level};
use crate::plan::{self, LoadOptions, Loaded};
use crate::report::terminal::{Stream, Terminal};

/// A plan that may run, and its graph.
pub(super) struct Ready {
    pub(super) loaded: Loaded,
    pub(super) graph: Graph,
}

/// Loads and checks; `None` if anything forbids running it.
pub(super) fn load(args: &PlanArgs) -> (Loaded, Option<Graph>) {
    let options = LoadOptions {
        vars: args.vars.clone(),
        var_files: args.var_files.iter().map(Utf8PathBuf::from).collect(),
        env: &super::variable,
        strict: args.strict,
    };
    let mut loaded = plan::load(args.path.as_str().into(), &options);
    let graph = match graph::build(&loaded.plan) {
        Ok(graph) => Some(graph),
        Err(faults) => {
            loaded.diagnostics.extend(faults);
            loaded.diagnostics.sort_by_key(|d| (d.place.is_some(), d.place));
            None
        }
    };
    let fit = !loaded.has_errors();
    (loaded, graph.filter(|_| fit))
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
    graph.is_some()
}

/// Waves of main steps; `finally` steps come after all of them.
fn main_waves(graph: &Graph, plan: &plan::Plan) -> usize {
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
