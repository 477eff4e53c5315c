//! What can be asked about past runs, as words of the command line. Reads no file.

use clap::{Args, ValueEnum};

use super::Format;

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
    /// Checks that the record is signed by somebody whom this allowed-signers file names; starts `ssh-keygen`
    #[arg(long, value_name = "FILE")]
    pub signers: Option<String>,
}

/// Writes a run in the format of another tool, or as one portable file.
#[derive(Args, Clone, Debug)]
pub struct Export {
    /// The run: its id, the beginning of it, its folder, or `latest`
    #[arg(default_value = "latest")]
    pub run: String,
    /// The format
    #[arg(long, value_enum)]
    pub format: ExportFormat,
    /// Where to (default and `-`: stdout)
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<String>,
    /// For `slsa`: who answers for the machine that ran it
    #[arg(long, value_name = "URI", env = "RUNPLAN_BUILDER_ID", value_parser = uri)]
    pub builder_id: Option<String>,
}

fn uri(text: &str) -> Result<String, String> {
    let scheme = text.split_once(':').map_or("", |(scheme, _)| scheme);
    let good = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
        && text.len() > scheme.len() + 1
        && text.bytes().all(|byte| byte.is_ascii_graphic());
    if good { Ok(text.to_owned()) } else { Err("expected a URI such as https://ci.example/builder".to_owned()) }
}

/// Formats of an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    /// JUnit XML
    Junit,
    /// Common Test Report Format (JSON)
    Ctrf,
    /// Test Anything Protocol, version 14
    Tap,
    /// in-toto statement with a test result
    InToto,
    /// in-toto statement with SLSA provenance
    Slsa,
    /// OpenTelemetry trace (OTLP as JSON)
    Otlp,
    /// Chrome trace, for Perfetto
    Chrome,
    /// The whole run as one file, for `runplan import`
    Archive,
    /// Readiness report, Markdown
    Md,
    /// Readiness report, one page for a browser
    Html,
    /// Readiness report, JSON
    Json,
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
