//! Where the schema of plans goes, as words of the command line. Reads no file.

use clap::Args;

/// Prints the JSON Schema of plan files, for editors.
#[derive(Args, Clone, Debug)]
pub(super) struct Schema {
    /// Writes to a file instead of stdout, and says the line by which editors find it
    #[arg(short, long, value_name = "FILE")]
    pub(super) output: Option<String>,
}
