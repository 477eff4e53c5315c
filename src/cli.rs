//! The command line: argv in, a checked [`Command`] out. Reads no file, runs nothing.

mod complete;
mod edit;
mod graph;
mod lsp;
mod man;
mod past;
mod progress;
mod run;
mod schema;
#[cfg(feature = "serve")]
mod serve;
mod sign;

use std::ffi::OsString;

use clap::{Args, CommandFactory as _, Parser, Subcommand, ValueEnum};

pub use self::complete::{Candidates, Shell};
pub use self::edit::{Add, Fmt, Form, Import, Init};
pub use self::graph::{Graph, GraphForm, GroupBy};
pub use self::lsp::Lsp;
pub use self::past::{
    AgainArgs, Before, Diff, Export, ExportFormat, Gc, History, Judge, Replay, ReplayAs, Rerun, Resume, Show, Verify,
};
pub use self::progress::{OutputArg, ProgressArgs};
pub use self::run::Run;
use self::run::{RunArgs, Watch};
#[cfg(feature = "serve")]
pub use self::serve::Serve;
pub use self::sign::Sign;
use self::sign::SignArgs;

/// What was asked for.
#[derive(Clone, Debug)]
pub enum Command {
    /// Run a plan.
    Run(Run),
    /// Run a plan whenever what it reads changes.
    Watch(Run),
    /// Say everything there is to say about a plan.
    Check {
        /// The plan and its variables.
        plan: PlanArgs,
        /// How to say it.
        format: Format,
    },
    /// List the steps.
    List {
        /// The plan and its variables.
        plan: PlanArgs,
        /// How to say it.
        format: Format,
    },
    /// One step in full.
    Explain {
        /// The plan and its variables.
        plan: PlanArgs,
        /// The step.
        step: String,
        /// The folder that has `.runplan`, instead of the workspace.
        log_dir: Option<String>,
        /// The run that is looked back at, instead of the last one of the plan.
        run: Option<String>,
    },
    /// Go on with a run that was interrupted.
    Resume(Resume),
    /// Run the plan of a run again, with what passed in it.
    Rerun(Rerun),
    /// Sign for a role about a run.
    Sign(Sign),
    /// Sign the record of a run.
    SignRecord {
        /// The run.
        run: String,
        /// The key; the usual one if not given.
        key: Option<String>,
    },
    /// The decision of a run with its sign-offs and waivers as they are now.
    Decide {
        /// The run.
        run: String,
        /// The day that waivers are held against, instead of today.
        date: Option<String>,
    },
    /// The readiness report of a run.
    Report {
        /// The run.
        run: String,
        /// Its form; that of the file's name if not given.
        format: Option<ReportFormat>,
        /// Where to; stdout if nowhere.
        output: Option<String>,
    },
    /// Hold a run against itself.
    Verify(Verify),
    /// Judge a run again on what it recorded.
    Judge(Judge),
    /// Show how a run ended.
    Show(Show),
    /// Show a run again as it went.
    Replay(Replay),
    /// Say what differs between two runs.
    Diff(Diff),
    /// List past runs.
    History(History),
    /// Draw the graph of a plan or of a run.
    Graph(Graph),
    /// Show runs in a browser.
    #[cfg(feature = "serve")]
    Serve(Serve),
    /// Write a run in the format of another tool.
    Export(Export),
    /// Take in a run of another machine, or make a plan of a checklist.
    Import(Import),
    /// Add a step to a plan.
    Add(Box<Add>),
    /// Write a first plan.
    Init(Init),
    /// Lay plan files out.
    Fmt(Fmt),
    /// Serve editors.
    Lsp(Lsp),
    /// Remove past runs.
    Gc(Gc),
    /// Print the JSON Schema of plan files, or write it to this file.
    Schema(Option<String>),
    /// Print what a shell reads for completion.
    Completions(Shell),
    /// Say what may stand at a place of the command line.
    Complete(Candidates),
    /// Print a manual page.
    Man(String),
}

/// Forms of the readiness report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ReportFormat {
    /// Markdown.
    #[default]
    Md,
    /// JSON.
    Json,
    /// One page for a browser.
    Html,
    /// JUnit XML.
    Junit,
}

impl ReportFormat {
    /// The form that a file's name asks for: `.md`, `.json`, `.html` or `.xml`.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        match std::path::Path::new(name).extension()?.to_str()? {
            "md" => Some(Self::Md),
            "json" => Some(Self::Json),
            "html" => Some(Self::Html),
            "xml" => Some(Self::Junit),
            _ => None,
        }
    }
}

/// The plan and its variables.
#[derive(Args, Clone, Debug, Default)]
pub struct PlanArgs {
    /// The plan file.
    #[arg(skip)]
    pub path: String,
    /// Sets a variable of the plan's `[vars]`
    #[arg(long = "var", value_name = "NAME=VALUE", value_parser = name_value)]
    pub vars: Vec<(String, String)>,
    /// Reads variables from a TOML file of `name = value` lines
    #[arg(long = "var-file", value_name = "FILE")]
    pub var_files: Vec<String>,
    /// Treats warnings about the plan as errors
    #[arg(long, env = "RUNPLAN_STRICT", value_parser = clap::builder::FalseyValueParser::new())]
    pub strict: bool,
    /// Colours: `auto` also looks at NO_COLOR, CLICOLOR, CLICOLOR_FORCE and TERM
    #[arg(long, value_enum, default_value_t = Colour::Auto, value_name = "WHEN")]
    pub color: Colour,
    /// The day of the run, for waivers and variables that are it (default: today, UTC)
    #[arg(long, value_name = "YYYY-MM-DD", env = "RUNPLAN_DATE", value_parser = date)]
    pub date: Option<String>,
}

/// When to colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Colour {
    /// On a terminal that can.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// How diagnostics and lists are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Human,
    /// For programs.
    Json,
}

const EXIT_CODES: &str = "\
Exit codes:
  0 GO   1 NO-GO   3 HOLD
  2 the plan or the command line is wrong; nothing ran
  4 a run log is corrupt   70 a bug in the engine
  74 the run log or stdout could not be written   128+n interrupted by signal n";

const MORE: &str = "\
`runplan -n PLAN` shows what a run would do; `runplan run --help` has all options.";

/// Runs a declarative plan: steps, dependencies and pass criteria; ends in GO, HOLD or NO-GO.
#[derive(Parser)]
#[command(name = "runplan", version, after_help = format!("{MORE}\n\n{EXIT_CODES}"), max_term_width = 100)]
#[command(override_usage = "runplan [run] [OPTIONS] PLAN [STEP]...\n       runplan COMMAND ...")]
struct Top {
    #[command(subcommand)]
    command: Sub,
}

#[derive(Subcommand)]
enum Sub {
    /// Runs a plan; the word `run` may be left out
    #[command(after_help = EXIT_CODES)]
    Run(RunArgs),
    /// Runs a plan, and again whenever the content of something it reads changes, until Ctrl-C
    ///
    /// Watched are the plan's files and what its steps name: `inputs`, files that `file` and `report` look at, templates.
    /// What a step makes starts nothing. Steps that declare `inputs` and `outputs` are only executed where something of
    /// theirs changed. A plan with a fault is told, and watched until it is mended.
    Watch(Watch),
    /// Checks a plan and says everything that is wrong with it; runs nothing
    Check(CheckArgs),
    /// Lists the steps of a plan
    List {
        /// Plan file
        #[arg(default_value = "blueprint.toml")]
        plan: String,
        #[command(flatten)]
        args: PlanArgs,
        /// How to write the list
        #[arg(long, value_enum, default_value_t = Format::Human)]
        format: Format,
    },
    /// Shows one step in full: criteria in force, policy, what it waits for
    ///
    /// PLAN is blueprint.toml unless it is named.
    #[command(override_usage = "runplan explain [OPTIONS] [PLAN] STEP")]
    Explain {
        #[arg(required = true, num_args = 1..=2, value_names = ["PLAN", "STEP"], hide = true)]
        words: Vec<String>,
        #[command(flatten)]
        args: PlanArgs,
        /// Folder that has `.runplan` with earlier results (default: the plan's workspace)
        #[arg(long, value_name = "DIR")]
        log_dir: Option<String>,
        /// The run to say of why the step waited in it: its id, its folder, or `latest` (default: the plan's last one)
        #[arg(long, value_name = "RUN")]
        run: Option<String>,
    },
    /// Goes on with a run that was interrupted; its record is that of a run without the interruption
    #[command(after_help = EXIT_CODES)]
    Resume(Resume),
    /// Runs the plan of a run again and takes over what passed in it
    #[command(after_help = EXIT_CODES)]
    Rerun(Rerun),
    /// Signs for a role about a run, or its record, with an ssh key
    #[command(
        override_usage = "runplan sign [OPTIONS] --role <ROLE> --as <WHO> [RUN]\n       runplan sign --record [--key <FILE>] [RUN]"
    )]
    Sign(SignArgs),
    /// Decides a run again, with its sign-offs and waivers; runs nothing
    #[command(after_help = EXIT_CODES)]
    Decide {
        /// The run: its id, its folder, or `latest`
        #[arg(default_value = "latest")]
        run: String,
        /// The day that waivers are held against (default: today, UTC)
        #[arg(long, value_name = "YYYY-MM-DD", env = "RUNPLAN_DATE", value_parser = date)]
        date: Option<String>,
    },
    /// Writes the readiness report of a run
    Report {
        /// The run: its id, its folder, or `latest`
        #[arg(default_value = "latest")]
        run: String,
        /// Its form (default: by the end of FILE's name, else md)
        #[arg(long, value_enum)]
        format: Option<ReportFormat>,
        /// Where to (default: stdout)
        #[arg(short, long, value_name = "FILE")]
        output: Option<String>,
    },
    /// Checks every byte that a run left: journal, record, plan, archive, decision
    ///
    /// Offline: starts nothing, writes nothing. Says each thing that was checked with what was found, and all faults. Ends
    /// with 0 only where there is a record and it is what the journal says; an interrupted run has none.
    ///
    /// With --rerun it runs the plan again instead, in a clean copy of the workspace: 0 means the same record, 1 that
    /// something came out otherwise. Secrets have to be in the environment again.
    #[command(after_help = EXIT_CODES)]
    Verify(Verify),
    /// Judges a run again on the facts it recorded, by its own plan or another one; runs nothing
    ///
    /// Says each verdict that changes and why, what the new criteria ask for and was not recorded, and the new decision
    /// beside the old one. The exit code is that of the new decision. Without --plan the verdicts have to be those of the
    /// record; anything else is a bug, and the code is 1.
    #[command(after_help = EXIT_CODES)]
    Judge(Judge),
    /// Shows how a run ended, or one step of it in full
    Show(Show),
    /// Shows a run again as it went, and ends as it did
    ///
    /// The exit code is that of the run: of its decision or its signal; 74 where the journal breaks off before either.
    #[command(after_help = EXIT_CODES)]
    Replay(Replay),
    /// Says what differs between the records of two runs, and why
    ///
    /// Ends with 0 if nothing does, with 1 if something does.
    Diff(Diff),
    /// Lists past runs, flaky steps, and the trend of a criterion
    History(History),
    /// Draws the graph of a plan, or of how a run ended
    Graph(Graph),
    /// Shows past runs, and the one that goes on, in a browser of this machine
    ///
    /// Prints an address with a random token, the only way in; listens on loopback only and writes nothing. The pages are
    /// those of `graph --format html`; that of a run that goes on follows it.
    #[cfg(feature = "serve")]
    Serve(Serve),
    /// Writes a run in the format of another tool, or as one portable file
    ///
    /// Offline: starts nothing. The same run gives the same bytes, except for `md`, `html` and `json`, whose links lead
    /// from where they are written to.
    Export(Export),
    /// Makes a plan of a checklist, a Makefile or a compose file; or takes in an exported run
    ///
    /// What FILE is is seen by its name and content. Every item becomes a step, and what can't be proven one that people
    /// sign; the plan is checked before it is written. Of a run, whatever is not exactly what `export --format
    /// archive` writes is refused. An imported run is never the latest one, no baseline and no part of the history.
    Import(Import),
    /// Adds a step to a plan, comments and layout kept
    ///
    /// The plan is checked as a whole first: where anything is wrong, nothing is written.
    Add(Box<Add>),
    /// Writes a first plan for this folder, by what lies in it; runs nothing
    Init(Init),
    /// Lays plan files out: order of keys, alignment, blank lines; comments and meaning are kept
    Fmt(Fmt),
    /// Serves editors: the language server protocol over stdin and stdout
    Lsp(Lsp),
    /// Removes old runs and what only they named, and says of each other run why it stays
    ///
    /// Never removed: a run that goes on, the newest of each plan, what a `baseline`, a sign-off, a waiver in force or a
    /// reused result rests on.
    Gc(Gc),
    /// Prints the JSON Schema of plan files, for editors
    Schema(schema::Schema),
    /// Prints completion for a shell, with the steps of plans: `source <(runplan completions bash)`
    Completions {
        #[arg(value_enum)]
        shell: Shell,
    },
    /// Says what may stand where the last word is
    #[command(hide = true)]
    Complete {
        #[arg(last = true, allow_hyphen_values = true)]
        words: Vec<String>,
    },
    /// Prints the manual page, or that of a command: `runplan man add | man -l -`
    Man {
        /// The command
        command: Option<String>,
    },
}

fn date(text: &str) -> Result<String, String> {
    let good = text.len() == 10 && text.parse::<jiff::civil::Date>().is_ok();
    if good { Ok(text.to_owned()) } else { Err("expected a day such as 2026-12-01".to_owned()) }
}

fn name_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.trim().is_empty() => Ok((name.trim().to_owned(), value.to_owned())),
        _ => Err("expected NAME=VALUE".to_owned()),
    }
}

/// Reads the command line.
///
/// # Errors
/// Help, version and usage errors, as clap words them.
pub fn parse(mut argv: Vec<OsString>) -> Result<Command, clap::Error> {
    if argv.is_empty() {
        argv.push("runplan".into());
    }
    let first = argv.iter().skip(1).map(|arg| arg.to_string_lossy()).find(|arg| !arg.starts_with('-'));
    // A path has no need to be looked up, nor what is asked most.
    let is_word = first.is_some_and(|arg| {
        !arg.contains(['.', '/'])
            && (["help", "run", "check"].contains(&arg.as_ref())
                || Top::command().get_subcommands().any(|sub| sub.get_name() == arg))
    });
    let asks_top = argv.len() == 2 && ["-h", "--help", "-V", "--version"].iter().any(|flag| argv[1] == *flag);
    if argv.len() > 1 && !is_word && !asks_top {
        argv.insert(1, "run".into());
    }
    if let Some(command) = alone(&argv) {
        return Ok(command);
    }
    let command = match Top::try_parse_from(argv)?.command {
        Sub::Run(args) => Command::Run(args.checked()),
        Sub::Watch(watch) => Command::Watch(watch.checked()),
        Sub::Check(check) => check.checked(),
        Sub::List { plan, args, format } => Command::List { plan: args.of(plan), format },
        Sub::Explain { mut words, args, log_dir, run } => {
            let step = words.pop().unwrap_or_default();
            let plan = words.pop().unwrap_or_else(|| "blueprint.toml".to_owned());
            Command::Explain { plan: args.of(plan), step, log_dir, run }
        }
        Sub::Resume(resume) => Command::Resume(resume),
        Sub::Rerun(rerun) => Command::Rerun(rerun),
        Sub::Sign(sign) => sign.checked(),
        Sub::Decide { run, date } => Command::Decide { run, date },
        Sub::Report { run, format, output } => Command::Report { run, format, output },
        Sub::Verify(verify) => Command::Verify(verify),
        Sub::Judge(judge) => Command::Judge(judge),
        Sub::Show(show) => Command::Show(show),
        Sub::Replay(replay) => Command::Replay(replay),
        Sub::Diff(diff) => Command::Diff(diff),
        Sub::History(history) => Command::History(history),
        Sub::Graph(graph) => Command::Graph(graph.checked()),
        #[cfg(feature = "serve")]
        Sub::Serve(serve) => Command::Serve(serve),
        Sub::Export(export) => Command::Export(export),
        Sub::Import(import) => Command::Import(import),
        Sub::Add(add) => Command::Add(add),
        Sub::Init(init) => Command::Init(init),
        Sub::Fmt(fmt) => Command::Fmt(fmt),
        Sub::Lsp(lsp) => Command::Lsp(lsp),
        Sub::Gc(gc) => Command::Gc(gc),
        Sub::Schema(asked) => Command::Schema(asked.output),
        Sub::Completions { shell } => Command::Completions(shell),
        Sub::Complete { words } => {
            let mut top = Top::command();
            top.build();
            Command::Complete(complete::candidates(&top, &words))
        }
        Sub::Man { command } => Command::Man(man::page(Top::command(), command.as_deref())?),
    };
    Ok(command)
}

/// The command of a line that asks for one of the two that start most often, read without the arguments of all others,
/// which take longer to set up than a small plan to load. A line with a fault is read again, with all of them.
fn alone(argv: &[OsString]) -> Option<Command> {
    #[derive(Parser)]
    struct Only<A: Args> {
        #[command(flatten)]
        args: A,
    }

    let [program, word, rest @ ..] = argv else { return None };
    let line = std::iter::once(program).chain(rest);
    match word.to_str()? {
        "run" => Some(Command::Run(Only::<RunArgs>::try_parse_from(line).ok()?.args.checked())),
        "check" => Some(Only::<CheckArgs>::try_parse_from(line).ok()?.args.checked()),
        _ => None,
    }
}

#[derive(Args)]
struct CheckArgs {
    /// Plan file
    #[arg(default_value = "blueprint.toml")]
    plan: String,
    #[command(flatten)]
    args: PlanArgs,
    /// How to write diagnostics
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
}

impl CheckArgs {
    fn checked(self) -> Command {
        Command::Check { plan: self.args.of(self.plan), format: self.format }
    }
}

impl PlanArgs {
    fn of(self, path: String) -> Self {
        Self { path, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(line: &str) -> Command {
        parse(line.split_whitespace().map(OsString::from).collect()).unwrap()
    }

    #[test]
    fn the_word_run_may_be_left_out() {
        for line in ["runplan p.toml", "runplan run p.toml", "runplan -n p.toml", "runplan -j 4 p.toml a b"] {
            let Command::Run(run) = ask(line) else { panic!("{line}") };
            assert_eq!(run.plan.path, "p.toml");
            assert_eq!(run.dry_run, line.contains("-n"));
            assert_eq!(run.selection.steps.len(), if line.contains("a b") { 2 } else { 0 });
        }
        let Command::Run(run) = ask("runplan ./check") else { panic!() };
        assert_eq!(run.plan.path, "./check");
    }

    #[test]
    fn explain_takes_one_or_two_words() {
        let Command::Explain { plan, step, .. } = ask("runplan explain up") else { panic!() };
        assert_eq!((plan.path.as_str(), step.as_str()), ("blueprint.toml", "up"));
        let Command::Explain { plan, step, .. } = ask("runplan explain x/p.toml up --var a=b=c") else { panic!() };
        assert_eq!((plan.path.as_str(), step.as_str()), ("x/p.toml", "up"));
        assert_eq!(plan.vars, [("a".to_owned(), "b=c".to_owned())]);
    }

    #[test]
    fn wrong_words_are_usage_errors() {
        for line in ["runplan p.toml --progres tty", "runplan p.toml --var x", "runplan p.toml -j 0", "runplan explain"]
        {
            let error = parse(line.split_whitespace().map(OsString::from).collect()).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{line}");
        }
    }
}
