//! What a failure means: retries, fail modes, on which outcome a step runs; who has to sign. Plain data, shared by plan,
//! schedule and record.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

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

/// `[signoffs]`: who has to sign before a plan can be GO.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignoffPolicy {
    /// Roles, in plan order; each needs one signature.
    pub roles: Vec<String>,
    /// No person and no key may stand for two roles.
    pub distinct: bool,
    /// How long an approval counts, in seconds.
    pub valid_s: u64,
    /// The allowed-signers file of `ssh-keygen`, relative to the workspace.
    pub signers: String,
    /// Who may sign for a role; a role that is not named here takes every allowed signer.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub people: BTreeMap<String, Vec<String>>,
}

/// What a sign-off counts for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SignoffState {
    /// Nobody signed.
    Missing,
    /// There is something, but it does not count; the reason says why.
    Refused,
    /// Signed: yes.
    Approved,
    /// Signed: no.
    Rejected,
}

impl SignoffState {
    /// The word in files and on screen.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Refused => "refused",
            Self::Approved => "approved",
            Self::Rejected => "rejected",
        }
    }
}

/// How one role stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignoffStanding {
    /// The role.
    pub role: String,
    /// What its sign-off counts for.
    pub state: SignoffState,
    /// Who signed, as far as it is known.
    pub who: Option<String>,
    /// When, as the signer says (RFC 3339).
    pub at: Option<String>,
    /// Fingerprint of the key.
    pub key: Option<String>,
    /// What the signer added.
    pub comment: Option<String>,
    /// Why it does not count.
    pub reason: Option<String>,
}

impl SignoffStanding {
    /// Nobody signed for this role.
    #[must_use]
    pub fn missing(role: &str) -> Self {
        Self {
            role: role.to_owned(),
            state: SignoffState::Missing,
            who: None,
            at: None,
            key: None,
            comment: None,
            reason: None,
        }
    }
}
