//! Actions: one file each. A request in, facts out. Knows no graph, no schedule, no plan and no criteria.

pub mod alert;
mod blocking;
mod cert;
pub mod checklist;
pub mod contain;
mod data;
pub mod file;
#[cfg(test)]
pub(crate) mod fixture;
pub mod git;
pub mod http;
pub mod load;
pub mod net;
pub mod plan;
mod process;
mod program;
pub mod promql;
mod pump;
pub mod render;
pub mod report;
pub mod run;
pub mod scripted;
pub mod service;
mod signals;
pub mod signoff;
pub mod slots;
#[cfg(test)]
mod testing;
mod tool;
pub mod value;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::action::Action;
use crate::facts::{Facts, Value};
use crate::mask::Mask;
use crate::outcome::{Cause, Exit, Note};

/// The first document of a YAML text as JSON data, aliases resolved.
///
/// # Errors
/// What is wrong with it, and where.
pub fn yaml(text: &str) -> Result<serde_json::Value, String> {
    data::parse(text, crate::action::Format::Yaml).map(|data| data.tree).map_err(|wrong| wrong.to_string())
}

/// Completes a template file's text.
pub type Render = Arc<dyn Fn(&str) -> Result<String, String>>;

/// Everything an action needs to look once. Every [`crate::action::Text`] in it is complete.
#[derive(Clone)]
pub struct Request {
    /// Step name, for messages.
    pub step: String,
    /// What to do.
    pub action: Action,
    /// Absolute.
    pub workspace: PathBuf,
    /// Absolute; inside the workspace.
    pub cwd: PathBuf,
    /// The complete environment of a child, in any order.
    pub env: Vec<(OsString, OsString)>,
    /// Standard input of a process.
    pub stdin: Input,
    /// Folder for raw output (exists, unless a slot is lent); files are [`Request::spool_file`].
    pub spool: PathBuf,
    /// File of named outputs (`$RUNPLAN_OUTPUT`); no path where the action has none.
    pub named: PathBuf,
    /// From 1.
    pub attempt: u32,
    /// The attempt must be over by then.
    pub deadline: Option<Instant>,
    /// The step's `timeout` that the deadline comes from, for messages.
    pub timeout: Option<Duration>,
    /// Time between TERM and KILL.
    pub grace: Duration,
    /// First path segments (`stdout`, `json`, `percent`) that criteria name: costly facts are only made if wanted.
    pub wants: BTreeSet<String>,
    /// For `value`: the facts, already computed. For `checklist`: the states of all steps that come before, by name.
    pub values: BTreeMap<String, Value>,
    /// Marks every process of this attempt in its environment (`RUNPLAN_MARK`), to find those that escaped their group.
    pub mark: String,
}

impl Request {
    /// `stdout`, or `2.stdout` from the second attempt on.
    #[must_use]
    pub fn spool_file(&self, stream: &str) -> PathBuf {
        self.spool.join(spool_name(stream, self.attempt))
    }
}

/// `stdout`, or `2.stdout` from the second attempt on: a file in the folder of a step.
#[must_use]
pub fn spool_name(stream: &str, attempt: u32) -> String {
    if attempt <= 1 { stream.to_owned() } else { format!("{attempt}.{stream}") }
}

/// Standard input.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Input {
    /// `/dev/null`.
    #[default]
    Null,
    /// These bytes.
    Bytes(Vec<u8>),
    /// This file (absolute).
    File(PathBuf),
}

/// How urgently a running action has to end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stop {
    /// Go on.
    #[default]
    Run,
    /// End: TERM, grace, KILL.
    Term,
    /// End now: KILL.
    Kill,
}

/// Why the output of a step could not be stored; the first reason stays.
pub type Lost = Arc<OnceLock<String>>;

/// What the engine lends to every action.
#[derive(Clone)]
pub struct Lent {
    /// Asks this step to end.
    pub stop: watch::Receiver<Stop>,
    /// Told of each process started (its pid, also its group).
    pub spawned: Arc<dyn Fn(u32)>,
    /// Replaces secrets in every byte before it is stored; `None` if the plan declares none.
    pub mask: Option<Arc<Mask>>,
    /// Set, to a sentence, by what can't store the output of a step: the run has no result then.
    pub lost: Lost,
    /// Files for a process that writes to them once; they get their place in the step's folder when there is something in
    /// them. `None`: files are made in that folder.
    pub slot: Option<Rc<slots::Slot>>,
    /// Renders template text with the values in force for the step (`Err`: one sentence with line and column).
    pub render: Render,
    /// Wall clock, milliseconds since 1970.
    pub now: Arc<dyn Fn() -> i64>,
}

/// What one look gave.
#[derive(Default)]
pub struct Observation {
    /// The facts.
    pub facts: Facts,
    /// How the process ended, where there was one.
    pub exit: Option<Exit>,
    /// Bytes of output stored.
    pub output_bytes: u64,
    /// Things worth saying.
    pub notes: Vec<Note>,
    /// A service that goes on running.
    pub held: Option<Box<dyn Held>>,
}

/// Why an action could not look, or was ended. `facts` and `exit` are kept as far as there are any.
pub struct ActError {
    /// The cause (`SpawnFailed`, `Timeout`, `ActionError`, `Interrupted`, `NoData` …).
    pub cause: Cause,
    /// One sentence a stranger can act on; lower-case, the thing in backticks.
    pub detail: String,
    /// How the process ended, where there was one.
    pub exit: Option<Exit>,
    /// What was seen before it went wrong.
    pub facts: Facts,
    /// Bytes of output stored.
    pub output_bytes: u64,
    /// Things worth saying.
    pub notes: Vec<Note>,
}

impl ActError {
    /// An error with nothing seen.
    #[must_use]
    pub fn new(cause: Cause, detail: impl Into<String>) -> Self {
        Self { cause, detail: detail.into(), exit: None, facts: Facts::default(), output_bytes: 0, notes: Vec::new() }
    }
}

/// The result of one look, to be awaited on the engine's own thread.
pub type Look<'a> = Pin<Box<dyn Future<Output = Result<Observation, ActError>> + 'a>>;

/// A service after it became ready.
pub trait Held {
    /// Completes when the process ends by itself: how, and the last words of its output.
    fn died(&mut self) -> Pin<Box<dyn Future<Output = Exit> + '_>>;
    /// Ends it (TERM, grace, KILL, sweep) and says how it ended. `kill` skips the grace.
    fn stop(self: Box<Self>, kill: bool) -> Pin<Box<dyn Future<Output = (Exit, Vec<Note>)>>>;
}

/// One kind of action.
pub trait Act {
    /// Looks once.
    fn look<'a>(&'a self, request: &'a Request, lent: &'a Lent) -> Look<'a>;
}
