//! The canonical form of an action and its digest: what has to be equal for a result to be used again. Reads no file.

use std::collections::BTreeMap;

use serde::Serialize;

use super::canonical::{self, CanonicalError};
use super::portable::without_workspace;
use crate::action::{Action, OutputSpec, ReportSpec};
use crate::digest::Sha256Stream;
use crate::outcome::{FileDigest, OutputDigest, Tier};

/// Separates these digests from any other use of SHA-256.
const DOMAIN: &[u8] = b"runplan-action/1\n";

/// Everything that makes a step's result what it is. Texts stand as written: late ones as templates, secrets as
/// `{{ secrets.x }}`. No times, no absolute paths, no values of secrets.
#[derive(Clone, Debug, Serialize)]
pub struct ActionForm<'a> {
    /// The main action.
    pub action: &'a Action,
    /// A result file read after it.
    pub report: Option<&'a ReportSpec>,
    /// Folder it runs in, relative to the workspace.
    pub cwd: &'a str,
    /// Declared environment (plan and step): name to text as written; an inherited one to `None`.
    pub env: BTreeMap<&'a str, Option<&'a str>>,
    /// Names of secrets that it sees.
    pub secrets: Vec<&'a str>,
    /// Standard input.
    pub stdin: Option<StdinForm<'a>>,
    /// Declared inputs.
    pub inputs: Vec<FileDigest>,
    /// What it uses of the steps that it needs, by step name.
    pub needs: BTreeMap<&'a str, NeedForm<'a>>,
    /// Every criterion in force.
    pub criteria: Vec<(Tier, &'a str)>,
    /// Retry, sampling, timeout and the like: key as in the plan (`retry.limit`) to its text.
    pub policy: BTreeMap<String, String>,
    /// Declared output files.
    pub outputs: &'a [OutputSpec],
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
        let stable = |output: &&OutputDigest| output.class == crate::outcome::Class::Stable;
        Self {
            outputs: outputs.iter().filter(stable).map(|output| output.file.clone()).collect(),
            values: values.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect(),
        }
    }
}

/// The digest of an action (64 hex digits) and the text it was made from (canonical JSON), kept in the journal so that a
/// changed digest can be explained. Sets are sorted here; the order in which they were found does not count.
///
/// # Errors
/// When a number in the form is beyond 2^53 - 1.
pub fn action_digest(form: &ActionForm<'_>) -> Result<(String, String), CanonicalError> {
    let mut form = form.clone();
    form.secrets.sort_unstable();
    form.secrets.dedup();
    form.inputs.sort_unstable();
    form.needs.values_mut().for_each(|need| need.outputs.sort_unstable());
    let mut value = serde_json::to_value(&form).map_err(|e| CanonicalError::Serialize(e.to_string()))?;
    without_workspace(&mut value, form.workspace);
    let preimage = canonical::value_bytes(&value)?;
    let mut digest = Sha256Stream::new();
    digest.update(DOMAIN);
    digest.update(&preimage);
    let text = String::from_utf8(preimage).map_err(|e| CanonicalError::Serialize(e.to_string()))?;
    Ok((digest.finish_hex(), text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::{Command, RunSpec, Text};
    use crate::outcome::Class;

    fn run(argv: &[&str]) -> Action {
        let argv = argv.iter().map(|arg| Text::fixed(*arg)).collect();
        Action::Run(RunSpec { command: Command::Argv(argv), parse: None })
    }

    fn file(path: &str) -> FileDigest {
        FileDigest { path: path.into(), sha256: "0".repeat(64), size: 1, executable: false }
    }

    fn form<'a>(action: &'a Action, workspace: &'a str) -> ActionForm<'a> {
        ActionForm {
            action,
            report: None,
            cwd: "",
            env: BTreeMap::from([("PATH", None), ("TOKEN", Some("{{ secrets.token }}"))]),
            secrets: vec!["token"],
            stdin: None,
            inputs: vec![file("a"), file("b")],
            needs: BTreeMap::new(),
            criteria: vec![(Tier::Pass, "exit == 0")],
            policy: BTreeMap::from([("retry.limit".to_owned(), "2".to_owned())]),
            outputs: &[],
            values: &[],
            workspace,
        }
    }

    #[test]
    fn order_of_sets_and_place_of_the_workspace_do_not_count() {
        let (here, there) = (run(&["/w/one/bin/x", "-v"]), run(&["/else/two/bin/x", "-v"]));
        let (first, text) = action_digest(&form(&here, "/w/one")).unwrap();
        let mut other = form(&there, "/else/two");
        other.inputs.reverse();
        other.secrets = vec!["token", "token"];
        assert_eq!(action_digest(&other).unwrap().0, first);
        assert!(!text.contains("/w/one") && text.contains("{{ plan.workspace }}/bin/x"), "{text}");
        let again = crate::digest::sha256_hex(format!("runplan-action/1\n{text}").as_bytes());
        assert_eq!(again, first);
    }

    #[test]
    fn everything_else_counts() {
        let action = run(&["x"]);
        let (base, _) = action_digest(&form(&action, "/w")).unwrap();
        let other_action = run(&["x", ""]);
        let mut changed = vec![form(&other_action, "/w")];
        let mut next = |change: &dyn Fn(&mut ActionForm<'_>)| {
            let mut form = form(&action, "/w");
            change(&mut form);
            changed.push(form);
        };
        next(&|form| form.cwd = "sub");
        next(&|form| form.env.extend([("PATH", Some(""))]));
        next(&|form| form.secrets.clear());
        next(&|form| form.stdin = Some(StdinForm::Text("")));
        next(&|form| form.inputs[0].executable = true);
        next(&|form| form.needs.extend([("up", NeedForm::default())]));
        next(&|form| form.criteria[0].0 = Tier::Warn);
        next(&|form| form.policy.extend([("timeout".into(), "3s".into())]));
        let mut digests: Vec<String> = changed.iter().map(|form| action_digest(form).unwrap().0).collect();
        digests.push(base);
        let count = digests.len();
        digests.sort_unstable();
        digests.dedup();
        assert_eq!(digests.len(), count);
    }

    #[test]
    fn only_stable_outputs_of_needed_steps_count() {
        let output = |path: &str, class| OutputDigest { file: file(path), class, artifact: false };
        let values = BTreeMap::from([("v".to_owned(), "1".to_owned())]);
        let need = NeedForm::of(&[output("s", Class::Stable), output("v", Class::Volatile)], &values);
        assert_eq!((need.outputs, need.values), (vec![file("s")], BTreeMap::from([("v", "1")])));
    }
}
