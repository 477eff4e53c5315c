//! What makes an action what it is, as data: the form that action digests are taken of. Digests nothing itself.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::action::{Action, OutputSpec, ReportSpec};
use crate::outcome::{FileDigest, OutputDigest, Tier};

/// Everything that makes a step's result what it is. Texts stand as written: late ones as templates, secrets as
/// `{{ secrets.x }}`. No times, no absolute paths, no values of secrets.
#[derive(Clone, Debug, Serialize)]
pub struct ActionForm<'a> {
    /// The main action.
    pub action: &'a Action,
    /// Every criterion in force.
    pub criteria: Vec<(Tier, &'a str)>,
    /// Folder it runs in, relative to the workspace.
    pub cwd: &'a str,
    /// Declared environment (plan and step): name to text as written; an inherited one to `None`.
    pub env: BTreeMap<&'a str, Option<&'a str>>,
    /// Declared inputs.
    pub inputs: Vec<FileDigest>,
    /// What it uses of the steps that it needs, by step name.
    pub needs: BTreeMap<&'a str, NeedForm<'a>>,
    /// Declared output files.
    pub outputs: &'a [OutputSpec],
    /// Retry, sampling, timeout and the like: key as in the plan (`retry.limit`) to its text.
    pub policy: BTreeMap<String, String>,
    /// A result file read after it.
    pub report: Option<&'a ReportSpec>,
    /// Names of secrets that it sees.
    pub secrets: Vec<&'a str>,
    /// Standard input.
    pub stdin: Option<StdinForm<'a>>,
    /// Declared named outputs.
    pub values: &'a [String],
    /// The workspace, absolute; stands nowhere in the form.
    #[serde(skip)]
    pub workspace: &'a str,
}

/// Standard input as written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StdinForm<'a> {
    /// This text.
    Text(&'a str),
    /// This file, relative to the workspace, and its SHA-256.
    File(&'a str, String),
}

/// What a needed step gave.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct NeedForm<'a> {
    /// Its stable outputs.
    pub outputs: Vec<FileDigest>,
    /// Its named outputs.
    pub values: BTreeMap<&'a str, &'a str>,
}

impl<'a> NeedForm<'a> {
    /// The stable part of what a step gave.
    #[must_use]
    pub fn of(outputs: &[OutputDigest], values: &'a BTreeMap<String, String>) -> Self {
        Self {
            outputs: outputs.iter().filter_map(OutputDigest::identity).collect(),
            values: values.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect(),
        }
    }
}

/// What a step before a gate came to, as people sign it: what every run that finds the same finds too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GateForm {
    /// The step.
    pub step: String,
    /// How it ended.
    pub state: String,
    /// Digest of its action, inputs and criteria among it; none if it did not start.
    pub action: Option<String>,
    /// Its stable outputs.
    pub outputs: Vec<FileDigest>,
    /// Its named outputs.
    pub values: BTreeMap<String, String>,
}
