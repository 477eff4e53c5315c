//! What can be asked of a drawing, as words of the command line. Reads no file.

use clap::{Args, ValueEnum};

use super::PlanArgs;

/// Draws the graph of a plan or of a run.
#[derive(Args, Clone, Debug)]
pub struct Graph {
    /// Plan file
    #[arg(default_value = "blueprint.toml")]
    pub(super) plan: String,
    #[command(flatten)]
    pub args: PlanArgs,
    /// How it is drawn (default: by the end of FILE's name, else text)
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub format: Option<GraphForm>,
    /// Only this step, what it waits for, and what waits for it
    #[arg(long, value_name = "STEP")]
    pub focus: Vec<String>,
    /// So many steps away from the focus; for a tree, so many levels
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub depth: Option<u32>,
    /// One box for all steps with the same first tag, in the same wave, or of the same matrix (above 150 steps: matrix, then tag)
    #[arg(long, value_enum, value_name = "WHAT")]
    pub group_by: Option<GroupBy>,
    /// How the steps of this run ended: its id, its folder, or `latest`
    #[arg(long, value_name = "RUN", conflicts_with_all = ["plan", "vars", "var_files"])]
    pub run: Option<String>,
    /// Writes to a file instead of stdout
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<String>,
}

impl Graph {
    /// The form that was asked for: by its word, else by the file's name.
    #[must_use]
    pub fn form(&self) -> GraphForm {
        self.format.or_else(|| GraphForm::of(self.output.as_deref()?)).unwrap_or_default()
    }

    /// The plan's path among the other arguments.
    pub(super) fn checked(self) -> Self {
        Self { args: self.args.of(self.plan.clone()), ..self }
    }
}

/// Forms of a drawing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum GraphForm {
    /// Waves with what each step waits for.
    #[default]
    Text,
    /// What a step waits for, indented.
    Tree,
    /// Graphviz.
    Dot,
    /// A Mermaid flowchart.
    Mermaid,
    /// A picture for a browser.
    Svg,
    /// One page for a browser: graph, timeline, table, everything about each step.
    Html,
    /// For programs.
    Json,
}

impl GraphForm {
    /// The form that a file's name asks for.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        match std::path::Path::new(name).extension()?.to_str()? {
            "txt" => Some(Self::Text),
            "dot" | "gv" => Some(Self::Dot),
            "mmd" | "mermaid" => Some(Self::Mermaid),
            "svg" => Some(Self::Svg),
            "html" | "htm" => Some(Self::Html),
            "json" => Some(Self::Json),
            _ => None,
        }
    }
}

/// What stands in one box.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum GroupBy {
    /// The first tag.
    Tag,
    /// The distance from the start.
    Stage,
    /// The name before the matrix part.
    Matrix,
    /// Every step for itself.
    None,
}
