//! Short commands that an action gives for its own ends, and what they said. Knows no tool in particular.

use std::cell::RefCell;
use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::time::Duration;

use tokio::time::Instant;

use super::run::Run;
use super::{Act, ActError, Input, Lent, Request};
use crate::action::{Action, Command, RunSpec, Text};
use crate::facts::Value;
use crate::outcome::{Cause, Exit};

/// Longest time of one command, if the step allows it so much.
const LONGEST: Duration = Duration::from_secs(120);

/// Gives commands in the step's folder, each a process group of its own, with the step's environment and some more.
pub(super) struct Tool<'a> {
    request: &'a Request,
    lent: &'a Lent,
    env: Vec<(OsString, OsString)>,
    folder: tempfile::TempDir,
    said: RefCell<Vec<u8>>,
}

/// What one command came to.
pub(super) struct Said {
    /// Exit code; `None` if a signal ended it.
    pub(super) code: Option<i32>,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

impl Said {
    pub(super) fn ok(&self) -> bool {
        self.code == Some(0)
    }

    /// Why it went wrong, in its own words: the last lines that are not blank.
    pub(super) fn why(&self) -> String {
        let both = if self.stderr.trim().is_empty() { &self.stdout } else { &self.stderr };
        let lines: Vec<&str> = both.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let last = lines[lines.len().saturating_sub(3)..].join("; ");
        if last.is_empty() { "it said nothing".to_owned() } else { last }
    }
}

impl<'a> Tool<'a> {
    /// `set` is laid over the step's environment, `unset` taken from it.
    #[expect(clippy::result_large_err, reason = "it is what every action answers")]
    pub(super) fn new(
        request: &'a Request,
        lent: &'a Lent,
        set: &[(&str, &str)],
        unset: &[&str],
    ) -> Result<Self, ActError> {
        let folder = tempfile::tempdir().map_err(|error| {
            ActError::new(Cause::ActionError, format!("no room for the output of a command: {error}"))
        })?;
        let kept = |(name, _): &&(OsString, OsString)| {
            !set.iter().any(|(other, _)| name == other) && !unset.iter().any(|other| name == other)
        };
        let mut env: Vec<_> = request.env.iter().filter(kept).cloned().collect();
        env.extend(set.iter().map(|(name, value)| (OsString::from(name), OsString::from(value))));
        Ok(Self { request, lent, env, folder, said: RefCell::default() })
    }

    /// Runs one command to its end.
    ///
    /// # Errors
    /// It could not be started, took too long, or the step has to end. Exit codes are no errors.
    pub(super) async fn run(&self, argv: Vec<String>) -> Result<Said, ActError> {
        let shown = argv.join(" ");
        let until = Instant::now() + LONGEST;
        let command = Command::Argv(argv.into_iter().map(Text::fixed).collect());
        let request = Request {
            action: Action::Run(RunSpec { command, parse: None }),
            env: self.env.clone(),
            stdin: Input::Null,
            spool: self.folder.path().to_owned(),
            attempt: 1,
            deadline: Some(self.request.deadline.map_or(until, |deadline| deadline.min(until))),
            wants: ["stdout", "stderr"].map(str::to_owned).into(),
            ..self.request.clone()
        };
        let seen = Run.look(&request, self.lent).await;
        let seen = seen.map_err(|error| ActError { detail: format!("`{shown}`: {}", error.detail), ..error })?;
        let text = |name: &str| match seen.facts.values.get(name) {
            Some(Value::Text(text)) => text.clone(),
            _ => String::new(),
        };
        let (stdout, stderr) = (text("stdout"), text("stderr"));
        self.said.borrow_mut().extend_from_slice(format!("$ {shown}\n{stdout}{stderr}").as_bytes());
        let code = if let Some(Exit::Code(code)) = seen.exit { Some(code) } else { None };
        Ok(Said { code, stdout, stderr })
    }

    /// Keeps every command and what it said as the step's standard output; returns how many bytes that are.
    #[expect(clippy::result_large_err, reason = "it is what every action answers")]
    pub(super) fn keep(&self) -> Result<u64, ActError> {
        let said = self.said.borrow();
        let path = self.request.spool_file("stdout");
        let write = || {
            // A further look of the same attempt adds to it.
            OpenOptions::new().create(true).append(true).mode(0o600).open(&path)?.write_all(&said)?;
            path.metadata().map(|meta| meta.len())
        };
        write().map_err(|error| {
            let text = format!("its output could not be stored: {error}");
            let _ = self.lent.lost.set(text.clone());
            ActError::new(Cause::ActionError, text)
        })
    }
}
