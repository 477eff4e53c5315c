//! What a failure means: retries, fail modes, on which outcome a step runs. Plain data, shared by plan and schedule.

use std::time::Duration;

/// What a failure does to the rest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OnFailure {
    /// Only dependants are skipped; running steps finish.
    #[default]
    Independent,
    /// Later ranks are not reached.
    Stop,
    /// Dependants run all the same.
    Continue,
}

impl OnFailure {
    /// The word in the plan.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Independent => "independent",
            Self::Stop => "stop",
            Self::Continue => "continue",
        }
    }
}

/// On which outcome of what it needs a step runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum RunWhen {
    /// Everything it needs succeeded.
    #[default]
    Success,
    /// Something it needs failed.
    Failure,
    /// Everything it needs ran, whatever came out.
    Completed,
    /// In any case.
    Always,
}

impl RunWhen {
    /// The word in the plan.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Completed => "completed",
            Self::Always => "always",
        }
    }
}

/// Run the action again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Extra attempts.
    pub limit: u32,
    /// Pause before the first extra attempt.
    pub backoff: Duration,
    /// Each pause is this many hundredths of the one before (200 = doubled).
    pub factor_percent: u32,
    /// Longest pause.
    pub cap: Duration,
    /// Only for these exit codes; empty = any failure or error.
    pub exit: Vec<i32>,
}

impl Default for Retry {
    fn default() -> Self {
        Self { limit: 0, backoff: Duration::ZERO, factor_percent: 100, cap: Duration::from_secs(300), exit: Vec::new() }
    }
}
