//! What can be asked about past runs, as words of the command line. Reads no file.

use clap::{Args, ValueEnum};

use super::{Format, name_value};

/// Holds a run against itself.
#[derive(Args, Clone, Debug)]
pub struct Verify {
    /// The run: its id, the beginning of it, its folder (also of a copy), or `latest`
    #[arg(default_value = "latest")]
    pub run: String,
    /// How to write what was found
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub format: Format,
    /// Checks the signatures of sign-offs too; starts `ssh-keygen`
    #[arg(long)]
    pub signatures: bool,
    /// Runs the plan of the run again in a clean copy of the workspace and says everything that comes out otherwise
    #[arg(long, conflicts_with = "signatures")]
    pub rerun: bool,
    /// With --rerun: leaves the copy where it is
    #[arg(long, requires = "rerun")]
    pub keep: bool,
    /// With --rerun: steps at once (default: number of processors)
    #[arg(short, long, value_name = "N", requires = "rerun", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub jobs: Option<u32>,
}

/// Judges a run again on the facts that it recorded.
#[derive(Args, Clone, Debug)]
pub struct Judge {
    /// The run: its id, the beginning of it, its folder (also of a copy), or `latest`
    #[arg(default_value = "latest")]
    pub run: String,
    /// Judges by the criteria of this plan (default: the plan kept with the run)
    #[arg(long, value_name = "FILE")]
    pub plan: Option<String>,
    /// Sets a variable of that plan; the others are as the run had them
    #[arg(long = "var", value_name = "NAME=VALUE", value_parser = name_value, requires = "plan")]
    pub vars: Vec<(String, String)>,
    /// How to write the answer
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub format: Format,
}

/// Shows how a run ended.
#[derive(Args, Clone, Debug)]
pub struct Show {
    /// The run: its id, the beginning of it, its folder, or `latest`
    #[arg(default_value = "latest")]
    pub run: String,
    /// Only this step: attempts, criteria, facts, files
    #[arg(long, value_name = "STEP")]
    pub step: Option<String>,
}

/// Shows a run again as it went.
#[derive(Args, Clone, Debug)]
pub struct Replay {
    /// The run: its id, the beginning of it, its folder, or `latest`
    #[arg(default_value = "latest")]
    pub run: String,
    /// How it is shown
    #[arg(long, value_enum, default_value_t = ReplayAs::Plain, value_name = "MODE")]
    pub progress: ReplayAs,
}

/// Forms of a replay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ReplayAs {
    /// A line for each thing that happened.
    #[default]
    Plain,
    /// The events, one JSON object a line.
    Json,
}

/// Says what differs between two runs.
#[derive(Args, Clone, Debug)]
pub struct Diff {
    /// A run: its id, the beginning of it, its folder, or `latest`
    #[arg(value_name = "A")]
    pub a: String,
    /// The other one
    #[arg(value_name = "B", default_value = "latest")]
    pub b: String,
    /// How to write the differences
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub format: Format,
}

/// Lists past runs.
#[derive(Args, Clone, Debug)]
pub struct History {
    /// Only runs of the plan of this name
    #[arg(long, value_name = "NAME")]
    pub plan: Option<String>,
    /// Only this step, and how it ended in each run
    #[arg(long, value_name = "STEP")]
    pub step: Option<String>,
    /// The trend of what was seen by criteria that contain this text
    #[arg(long, value_name = "TEXT")]
    pub criterion: Option<String>,
    /// So many runs, the latest ones
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    pub last: u32,
    /// How to write the list
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub format: Format,
}
