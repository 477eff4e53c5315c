//! What can be asked of a run, as words of the command line. Reads no file.

use clap::{Args, ValueEnum};

use super::{PlanArgs, ProgressArgs};
use crate::graph::Selection;
use crate::policy::OnFailure;

/// What was asked for of a run.
#[derive(Clone, Debug)]
pub struct Run {
    /// The plan and its variables.
    pub plan: PlanArgs,
    /// Which steps.
    pub selection: Selection,
    /// Only show what would run.
    pub dry_run: bool,
    /// Write down what was found.
    pub out: Option<String>,
    /// Run only what this file says.
    pub locked: Option<String>,
    /// Worker slots; `None` = as many as the machine has.
    pub jobs: Option<u32>,
    /// Start ready steps in a random order; 0 takes a seed of the run's own.
    pub shuffle: Option<u32>,
    /// Overrides the plan's fail mode.
    pub on_failure: Option<OnFailure>,
    /// How progress and the steps' own output are shown.
    pub shown: ProgressArgs,
    /// Wait for another run in the same workspace instead of refusing.
    pub wait: bool,
    /// The folder that gets `.runplan`, instead of the workspace.
    pub log_dir: Option<String>,
    /// Take over no earlier result.
    pub force: bool,
    /// Take over no earlier result and leave none to later runs.
    pub no_reuse: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Mode {
    Independent,
    Stop,
    Continue,
}

#[derive(Args)]
pub(super) struct RunArgs {
    /// Plan file
    #[arg(default_value = "blueprint.toml")]
    plan: String,
    /// Only these steps and what they need
    #[arg(value_name = "STEP")]
    steps: Vec<String>,
    #[command(flatten)]
    args: PlanArgs,
    /// Shows waves and reasons; starts nothing, connects to nothing, writes nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// With --dry-run: writes what was found to a file (`plan.lock`), for a review and for --locked
    #[arg(long, value_name = "FILE", requires = "dry_run")]
    out: Option<String>,
    /// Runs only what this file of `-n --out` says; where anything differs, nothing is run and each difference is said
    #[arg(long, value_name = "FILE", conflicts_with = "out")]
    locked: Option<String>,
    /// Steps at once (default: number of processors)
    #[arg(short, long, value_name = "N", env = "RUNPLAN_JOBS", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    jobs: Option<u32>,
    /// Starts ready steps in a random order, to find `needs` that are missing; the same number gives the same order
    #[arg(long, value_name = "SEED", num_args = 0..=1, require_equals = true, default_missing_value = "0")]
    shuffle: Option<u32>,
    /// Only steps with this tag and what they need
    #[arg(long, value_name = "TAG")]
    tag: Vec<String>,
    /// Leaves a step out
    #[arg(long, value_name = "STEP")]
    skip: Vec<String>,
    /// Starts at this step; what it needs is taken as done
    #[arg(long, value_name = "STEP")]
    from: Vec<String>,
    /// Ends with this step
    #[arg(long, value_name = "STEP")]
    until: Vec<String>,
    /// What a failure does to the rest: only dependants are skipped, later ranks are not reached, or nothing
    #[arg(long, value_enum, value_name = "MODE")]
    on_failure: Option<Mode>,
    #[command(flatten)]
    shown: ProgressArgs,
    /// Waits while another run is going on in the same workspace
    #[arg(long)]
    wait: bool,
    /// Folder that gets `.runplan` with the run log (default: the plan's workspace)
    #[arg(long, value_name = "DIR")]
    log_dir: Option<String>,
    /// Executes every step, also where an earlier result would do
    #[arg(long)]
    force: bool,
    /// Takes no earlier result, and leaves none to later runs
    #[arg(long)]
    no_reuse: bool,
}

impl RunArgs {
    pub(super) fn checked(self) -> Run {
        Run {
            plan: self.args.of(self.plan),
            selection: Selection {
                steps: self.steps,
                tags: self.tag,
                skip: self.skip,
                from: self.from,
                until: self.until,
            },
            dry_run: self.dry_run,
            out: self.out,
            locked: self.locked,
            jobs: self.jobs,
            shuffle: self.shuffle,
            on_failure: self.on_failure.map(|mode| match mode {
                Mode::Independent => OnFailure::Independent,
                Mode::Stop => OnFailure::Stop,
                Mode::Continue => OnFailure::Continue,
            }),
            shown: self.shown,
            wait: self.wait,
            log_dir: self.log_dir,
            force: self.force,
            no_reuse: self.no_reuse,
        }
    }
}

/// What is to be run again and again.
#[derive(Args, Clone, Debug)]
pub(super) struct Watch {
    /// Plan file
    #[arg(default_value = "blueprint.toml")]
    plan: String,
    /// Only these steps and what they need
    #[arg(value_name = "STEP")]
    steps: Vec<String>,
    #[command(flatten)]
    args: PlanArgs,
    /// Steps at once (default: number of processors)
    #[arg(short, long, value_name = "N", env = "RUNPLAN_JOBS", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    jobs: Option<u32>,
    /// Only steps with this tag and what they need
    #[arg(long, value_name = "TAG")]
    tag: Vec<String>,
    /// Leaves a step out
    #[arg(long, value_name = "STEP")]
    skip: Vec<String>,
    #[command(flatten)]
    shown: ProgressArgs,
    /// Folder that gets `.runplan` with the run logs (default: the plan's workspace)
    #[arg(long, value_name = "DIR")]
    log_dir: Option<String>,
}

impl Watch {
    /// Each of its runs.
    pub(super) fn checked(self) -> Run {
        Run {
            plan: self.args.of(self.plan),
            selection: Selection { steps: self.steps, tags: self.tag, skip: self.skip, ..Selection::default() },
            dry_run: false,
            out: None,
            locked: None,
            jobs: self.jobs,
            shuffle: None,
            on_failure: None,
            shown: self.shown,
            wait: true,
            log_dir: self.log_dir,
            force: false,
            no_reuse: false,
        }
    }
}
