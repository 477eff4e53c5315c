//! Composition root.
use std::ffi::OsString;
use std::process::ExitCode;

/// Runs the command line.
#[must_use]
pub fn main(_args: Vec<OsString>) -> ExitCode {
    ExitCode::SUCCESS
}
