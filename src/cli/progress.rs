//! How a run is shown, as words of the command line. Reads no file.

use clap::{Args, ValueEnum};

use crate::report::{Output, Progress};

/// How a run is shown.
#[derive(Args, Clone, Copy, Debug, Default)]
pub struct ProgressArgs {
    /// How progress is shown; `auto` is `tty` on a terminal, `github` where GITHUB_ACTIONS is `true`, else `plain`
    #[arg(long, value_enum, default_value_t = ProgressArg::Auto, value_name = "MODE", env = "RUNPLAN_PROGRESS")]
    progress: ProgressArg,
    /// What of the steps' own output is shown: the end of what failing ones wrote, everything in a block when a step ends,
    /// every line as it comes, or nothing (default: `failed`; with `--progress github` `all`)
    #[arg(long, value_enum, value_name = "MODE", env = "RUNPLAN_OUTPUT_MODE")]
    output: Option<OutputArg>,
}

impl ProgressArgs {
    /// How progress is shown.
    #[must_use]
    pub fn progress(&self) -> Progress {
        match self.progress {
            ProgressArg::Auto => Progress::Auto,
            ProgressArg::Tty => Progress::Tty,
            ProgressArg::Plain => Progress::Plain,
            ProgressArg::Json => Progress::Json,
            ProgressArg::Github => Progress::Github,
            ProgressArg::None => Progress::None,
        }
    }

    /// What of the steps' own output is shown, if somebody said so.
    #[must_use]
    pub fn output(&self) -> Option<Output> {
        self.output.map(OutputArg::meant)
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum ProgressArg {
    #[default]
    Auto,
    Tty,
    Plain,
    Json,
    Github,
    None,
}

/// What of the steps' own output is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OutputArg {
    /// The end of what failing steps wrote.
    Failed,
    /// Everything, in blocks.
    All,
    /// Everything as it comes.
    Live,
    /// Nothing.
    None,
}

impl OutputArg {
    /// As the reporters know it.
    #[must_use]
    pub fn meant(self) -> Output {
        match self {
            Self::Failed => Output::Failed,
            Self::All => Output::All,
            Self::Live => Output::Live,
            Self::None => Output::None,
        }
    }
}
