//! What enters from outside as values: environment, clock, ports, secrets, actions, storage. `app` makes it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::act::Act;
use crate::action::ActionKind;
use crate::facts::{Facts, Value};
use crate::identity::{ActionForm, GateForm};
use crate::mask::Mask;
use crate::outcome::{StepResult, WaiverMark};

/// Everything from outside.
pub struct World {
    /// The engine's own environment; children get what the plan names.
    pub env: BTreeMap<String, OsString>,
    /// Wall clock, milliseconds since 1970.
    pub now: Arc<dyn Fn() -> i64>,
    /// When the run began.
    pub start: Instant,
    /// Values of declared secrets that are there.
    pub secrets: BTreeMap<String, String>,
    /// Hides them.
    pub mask: Option<Arc<Mask>>,
    /// Ports the run picked, by name.
    pub ports: BTreeMap<String, u16>,
    /// One implementation an action.
    pub acts: BTreeMap<ActionKind, Box<dyn Act>>,
}

/// Why bytes were not kept.
#[derive(Debug)]
pub enum KeepError {
    /// The file is not what was judged, or can't be read: a fault of the step.
    File(String),
    /// The store can't be written: the run has no result any more.
    Store(io::Error),
}

/// What stores bytes; implemented over the run's folder and the store.
pub trait Keeper {
    /// The folder for a step's raw output, made if needed.
    ///
    /// # Errors
    /// When it can't be made.
    fn spool(&self, rank: u32, name: &str) -> io::Result<PathBuf>;
    /// The folder for a step's raw output, whether it is there or not.
    fn place(&self, rank: u32, name: &str) -> PathBuf;
    /// The folder of what is written by steps that have nothing in their own yet.
    fn slots(&self) -> PathBuf;
    /// Keeps an artifact's bytes, addressed by content, which must be what was digested.
    ///
    /// # Errors
    /// See [`KeepError`].
    fn archive(&self, file: &Path, sha256: &str) -> Result<(), KeepError>;
    /// Digest of an action and the text it was taken of.
    ///
    /// # Errors
    /// When the form holds what can't be canonical.
    fn identify(&self, form: ActionForm<'_>) -> io::Result<(String, String)>;
    /// Digest of what was found before a gate.
    ///
    /// # Errors
    /// When the form holds what can't be canonical.
    fn gate(&self, form: &[GateForm]) -> io::Result<String>;
}

/// How to run.
pub struct Options {
    /// Worker slots.
    pub jobs: u32,
    /// One number a step: the ready step with the highest starts, instead of that with the longest tail.
    pub shuffled: Option<Vec<u64>>,
    /// Time between TERM and KILL.
    pub grace: Duration,
    /// One flag a step: selected on the command line.
    pub selected: Vec<bool>,
    /// Remembered durations by step name.
    pub durations: BTreeMap<String, Duration>,
    /// Values of ratchets by step name.
    pub ratchets: BTreeMap<String, Value>,
    /// What each step that says `baseline` saw in the last run that passed, by step name.
    pub baselines: BTreeMap<String, Vec<Facts>>,
    /// What the waivers of each step are worth on the day of the run, by step name: criterion texts with their mark.
    pub waivers: BTreeMap<String, Vec<(String, WaiverMark)>>,
    /// Run id, for marks.
    pub run: String,
    /// Earlier results that may stand for new ones, by step name; each is taken out of here when it does.
    pub known: RefCell<BTreeMap<String, Known>>,
}

/// An earlier result of a step.
#[derive(Clone, Debug)]
pub struct Known {
    /// The run that executed it.
    pub run: String,
    /// What it came to; its last attempt with what was seen.
    pub result: StepResult,
    /// How far it may be trusted.
    pub trust: Trust,
    /// Why it can't be taken over, whatever the step looks like now.
    pub stale: Option<String>,
}

/// When an earlier result may be taken over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// It is there because some run left it: the step has to declare what it reads and what it makes.
    Declared,
    /// Somebody asked for what passed: a step that declares nothing too, as long as nothing before it is done again.
    Asked,
}

impl World {
    /// Monotonic nanoseconds since the run began.
    #[must_use]
    pub fn mono(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}
