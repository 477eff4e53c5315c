//! How plans are made and changed from the shell, as words of the command line. Reads no file.

use clap::{ArgGroup, Args, ValueEnum};

use super::PlanArgs;

/// Makes a plan of something else, or takes in a run.
#[derive(Args, Clone, Debug)]
pub struct Import {
    /// A checklist (.md), a Makefile, a compose file, or the archive of a run; `-` is stdin
    #[arg(value_name = "FILE")]
    pub file: String,
    /// Where the plan goes (default and `-`: stdout)
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<String>,
    /// Replaces the file of `-o`
    #[arg(long, requires = "output")]
    pub force: bool,
    /// What FILE is (default: by its name and content)
    #[arg(long = "as", value_enum, value_name = "KIND")]
    pub form: Option<Form>,
    /// For a run: folder whose `.runplan` takes it (default: the one here or above, else one that is made here)
    #[arg(long, value_name = "DIR", conflicts_with = "output")]
    pub log_dir: Option<String>,
}

/// What can be imported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// Markdown with boxes
    Checklist,
    /// Makefile
    Makefile,
    /// Compose file
    Compose,
    /// Exported run
    Archive,
}

/// Adds a step to a plan.
#[derive(Args, Clone, Debug)]
#[command(group = ArgGroup::new("action").required(true))]
#[command(override_usage = "runplan add [OPTIONS] STEP <--run COMMAND | --http URL | --file PATH | …>")]
pub struct Add {
    /// The new step's name
    pub step: String,
    /// Plan file
    #[arg(long = "plan", value_name = "FILE", default_value = "blueprint.toml")]
    pub path: String,
    /// Runs a command, as shell text
    #[arg(long, value_name = "COMMAND", group = "action")]
    pub run: Option<String>,
    /// Runs a command without a shell: all words that follow
    #[arg(long, value_name = "WORD", group = "action", num_args = 1.., allow_hyphen_values = true)]
    pub argv: Vec<String>,
    /// Asks an address
    #[arg(long, value_name = "URL", group = "action")]
    pub http: Option<String>,
    /// Looks at a file or glob
    #[arg(long, value_name = "PATH", group = "action")]
    pub file: Option<String>,
    /// Reads a result file: coverage, tests, findings, benchmarks
    #[arg(long, value_name = "PATH", group = "action")]
    pub report: Option<String>,
    /// Looks at a port
    #[arg(long, value_name = "HOST:PORT", group = "action")]
    pub net: Option<String>,
    /// Looks at a Markdown checklist
    #[arg(long, value_name = "FILE[#HEADING]", group = "action")]
    pub checklist: Option<String>,
    /// Waits until a role has approved
    #[arg(long, value_name = "ROLE", group = "action")]
    pub signoff: Vec<String>,
    /// What must hold; may be given several times, as each of the following
    #[arg(long, value_name = "CRITERION")]
    pub pass: Vec<String>,
    /// What makes it a warning where `--pass` does not hold
    #[arg(long, value_name = "CRITERION")]
    pub warn: Vec<String>,
    /// A step that must have succeeded before
    #[arg(long, value_name = "STEP")]
    pub needs: Vec<String>,
    /// A step that must have ended before
    #[arg(long, value_name = "STEP")]
    pub after: Vec<String>,
    /// A tag
    #[arg(long, value_name = "TAG")]
    pub tag: Vec<String>,
    /// Title for people
    #[arg(long, value_name = "TEXT")]
    pub title: Option<String>,
    /// Longest time of one attempt, such as 30s
    #[arg(long, value_name = "DURATION")]
    pub timeout: Option<String>,
    /// Weight in the risk: low, medium, high or critical
    #[arg(long, value_name = "SEVERITY")]
    pub severity: Option<String>,
    /// A failure does not block GO
    #[arg(long)]
    pub advisory: bool,
    /// Where it is written: behind this step (default: behind the last one)
    #[arg(long, value_name = "STEP")]
    pub after_step: Option<String>,
    /// File that it is written to: one that the plan includes (default: the plan file)
    #[arg(long, value_name = "FILE")]
    pub into: Option<String>,
    /// Prints what would be added, and writes nothing
    #[arg(short = 'n', long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub plan: PlanArgs,
}

/// Writes a first plan.
#[derive(Args, Clone, Debug)]
pub struct Init {
    /// Where it goes
    #[arg(value_name = "FILE", default_value = "blueprint.toml")]
    pub output: String,
    /// Replaces the file
    #[arg(long)]
    pub force: bool,
}

/// Lays plan files out.
#[derive(Args, Clone, Debug)]
pub struct Fmt {
    /// Plan files; `-` is stdin to stdout
    #[arg(value_name = "FILE", default_value = "blueprint.toml")]
    pub files: Vec<String>,
    /// Writes nothing; ends with 1 where a file is laid out otherwise
    #[arg(long)]
    pub check: bool,
}
