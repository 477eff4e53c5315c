//! What the scheduler knows, hears and says: plain data.

use std::time::Duration;

use crate::ids::{PoolId, StepId};
use crate::outcome::{Cause, State};
use crate::policy::{OnFailure, Retry, RunWhen};

/// What the scheduler knows of a step.
#[derive(Clone, Debug)]
pub struct Job {
    /// Its name, for causes.
    pub name: String,
    /// Runs after everything else.
    pub finally: bool,
    /// Not selected on the command line.
    pub filtered: bool,
    /// Stays alive after it became ready.
    pub service: bool,
    /// Its failure may stop the run.
    pub required: bool,
    /// On which outcome of its needs it runs.
    pub run_when: RunWhen,
    /// What its failure does.
    pub on_failure: OnFailure,
    /// Extra attempts.
    pub retry: Retry,
    /// Capacities it holds, sorted, without duplicates.
    pub pools: Vec<PoolId>,
    /// Of the steps that are ready the one with the lowest turn starts (see [`super::turns`]); ties by plan rank.
    pub turn: u64,
}

/// How an attempt ended, as far as scheduling goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Its state.
    pub state: State,
    /// Its cause.
    pub cause: Option<Cause>,
    /// Exit code, if a process ended with one.
    pub exit: Option<i32>,
}

/// What the world tells the scheduler.
#[derive(Clone, Debug)]
pub enum Input {
    /// Start.
    Begin,
    /// An attempt ended, or a service that was serving did.
    Ended(StepId, Ended),
    /// A service became ready.
    Serving(StepId),
    /// The pause before another attempt is over.
    Woke(StepId),
    /// Go on with the `finally` steps (answer to [`Effect::MainDone`]).
    Finally,
    /// Ctrl-C or SIGTERM: stop launching, end what runs; `finally` steps still run.
    Interrupt,
    /// Again: end everything now.
    Kill,
    /// The time budget of the `finally` steps is spent: end those that run, start no other.
    Expire,
}

/// What the scheduler wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// A step may start, but there is no worker or pool for it yet.
    Ready(StepId),
    /// Start this attempt (from 1).
    Launch(StepId, u32),
    /// Wake it after this pause; `u32` is the attempt that comes then.
    Sleep(StepId, Duration, u32),
    /// Forget its pause.
    Unsleep(StepId),
    /// The step is over with this state and cause; its last attempt, if any, decided.
    Done(StepId, State, Option<Cause>),
    /// End its process (`true` = now).
    Cancel(StepId, bool),
    /// A service has no dependants left (`true` = now).
    StopService(StepId, bool),
    /// Every main step is over (or serves a `finally` step): decide, then say [`Input::Finally`].
    MainDone,
    /// Nothing is left to do.
    Finished,
}
