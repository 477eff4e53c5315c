//! What can be asked about past runs, as words of the command line. Reads no file.

use clap::{Args, ValueEnum};

use super::{Colour, Format, OutputArg, ProgressArgs, date, name_value};

/// How a run that goes on or is run again is shown and scheduled.
#[derive(Args, Clone, Debug)]
pub struct AgainArgs {
    /// Steps at once (default: number of processors)
    #[arg(short, long, value_name = "N", env = "RUNPLAN_JOBS", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub jobs: Option<u32>,
    #[command(flatten)]
    pub shown: ProgressArgs,
    /// Starts ready steps in a random order, to find `needs` that are missing; the same number gives the same order
    #[arg(long, value_name = "SEED", num_args = 0..=1, require_equals = true, default_missing_value = "0")]
    pub shuffle: Option<u32>,
    /// Waits while another run is going on in the same workspace
    #[arg(long)]
    pub wait: bool,
    /// Colours: `auto` also looks at NO_COLOR, CLICOLOR, CLICOLOR_FORCE and TERM
    #[arg(long, value_enum, default_value_t = Colour::Auto, value_name = "WHEN")]
    pub color: Colour,
}

/// What is to be gone on with.
#[derive(Args, Clone, Debug)]
pub struct Resume {
    /// The run: its id, its folder, or `latest` (default: the newest, finished or not)
    pub run: Option<String>,
    #[command(flatten)]
    pub again: AgainArgs,
}

/// What is to be run again.
#[derive(Args, Clone, Debug)]
#[group(id = "which", required = true, multiple = false, args = ["failed", "from"])]
pub struct Rerun {
    /// The run: its id, its folder, or `latest`
    #[arg(default_value = "latest")]
    pub run: String,
    /// Takes over every step that passed
    #[arg(long)]
    pub failed: bool,
    /// Takes over what passed, but not this step and what comes after it
    #[arg(long, value_name = "STEP")]
    pub from: Option<String>,
    #[command(flatten)]
    pub again: AgainArgs,
}

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
    #[arg(long, conflicts_with_all = ["signatures", "signers"])]
    pub rerun: bool,
    /// With --rerun: leaves the copy where it is
    #[arg(long, requires = "rerun")]
    pub keep: bool,
    /// With --rerun: steps at once (default: number of processors)
    #[arg(short, long, value_name = "N", requires = "rerun", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub jobs: Option<u32>,
    /// Checks that the record is signed by somebody whom this allowed-signers file names; starts `ssh-keygen`
    #[arg(long, value_name = "FILE")]
    pub signers: Option<String>,
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
    /// What of the steps' own output is shown, as in a run
    #[arg(long, value_enum, default_value = "failed", value_name = "MODE")]
    pub output: OutputArg,
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

/// Removes runs.
#[derive(Args, Clone, Debug)]
pub struct Gc {
    /// Keeps so many runs of each plan, the newest ones (default: 50; 1 with --older-than)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub keep: Option<u32>,
    /// Keeps what began less than an age ago (`12h`, `30d`, `2w`), or on this day (`2026-11-01`, UTC) or later
    #[arg(long, value_name = "AGE|DAY", value_parser = Before::parse)]
    pub older_than: Option<Before>,
    /// Removes also runs that were interrupted, which `resume` could go on with
    #[arg(long)]
    pub interrupted: bool,
    /// Only says what would be removed; writes nothing
    #[arg(short = 'n', long)]
    pub dry_run: bool,
    /// Waits while a run is going on in the same workspace
    #[arg(long)]
    pub wait: bool,
    /// How to write what was removed and what was kept
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub format: Format,
}

/// A moment in the past.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Before {
    /// So many milliseconds ago.
    Ago(i64),
    /// The begin of a day: milliseconds since 1970.
    Day(i64),
}

impl Before {
    fn parse(text: &str) -> Result<Self, String> {
        let wrong = || "expected an age such as 12h, 30d or 2w, or a day such as 2026-11-01".to_owned();
        if date(text).is_ok() {
            let day: jiff::civil::Date = text.parse().map_err(|_| wrong())?;
            let begin = day.to_datetime(jiff::civil::Time::midnight());
            let begin = jiff::tz::Offset::UTC.to_timestamp(begin).map_err(|_| wrong())?;
            return Ok(Self::Day(begin.as_millisecond()));
        }
        let unit = text.bytes().rev().take_while(u8::is_ascii_alphabetic).count();
        let (number, unit) = text.split_at(text.len() - unit);
        let scale = match unit {
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            "w" => 604_800_000,
            _ => return Err(wrong()),
        };
        let number: i64 = number.parse().ok().filter(|number| *number >= 0).ok_or_else(wrong)?;
        number.checked_mul(scale).map(Self::Ago).ok_or_else(wrong)
    }

    /// It as milliseconds since 1970.
    #[must_use]
    pub fn at(self, now: i64) -> i64 {
        match self {
            Self::Ago(age) => now.saturating_sub(age),
            Self::Day(begin) => begin,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_an_age_or_a_day() {
        let of = |text: &str| Before::parse(text).unwrap();
        assert_eq!((of("30d"), of("0s")), (Before::Ago(30 * 86_400_000), Before::Ago(0)));
        assert_eq!(of("2w").at(1_209_600_001), 1);
        assert_eq!(of("1970-01-02").at(5), 86_400_000);
        for wrong in ["", "d", "30", "-1d", "3mo", "2026-13-01", "99999999999999999w", "1970"] {
            assert!(Before::parse(wrong).is_err(), "{wrong}");
        }
    }
}
