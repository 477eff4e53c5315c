//! The digest of an action's identity and the text it is made from. Reads no file; what counts is [`ActionForm`]'s matter.

use super::canonical::CanonicalError;
use super::portable;
use crate::digest::Sha256Stream;
use crate::identity::ActionForm;

/// Separates these digests from any other use of SHA-256.
const DOMAIN: &[u8] = b"runplan-action/1\n";

/// The digest of an action (64 hex digits) and the text it was made from (canonical JSON), kept in the journal so that a
/// changed digest can be explained. Sets are sorted here; the order in which they were found does not count.
///
/// # Errors
/// When a number in the form is beyond 2^53 - 1.
pub fn action_digest(mut form: ActionForm<'_>) -> Result<(String, String), CanonicalError> {
    form.secrets.sort_unstable();
    form.secrets.dedup();
    form.inputs.sort_unstable();
    form.needs.values_mut().for_each(|need| need.outputs.sort_unstable());
    let preimage = portable::to_bytes(&form, form.workspace)?;
    let mut digest = Sha256Stream::new();
    digest.update(DOMAIN);
    digest.update(&preimage);
    let text = String::from_utf8(preimage).map_err(|e| CanonicalError::Serialize(e.to_string()))?;
    Ok((digest.finish_hex(), text))
}

/// The digest of a text that [`action_digest`] gave.
#[must_use]
pub fn digest_of(preimage: &str) -> String {
    let mut digest = Sha256Stream::new();
    digest.update(DOMAIN);
    digest.update(preimage.as_bytes());
    digest.finish_hex()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::action::{Action, Command, RunSpec, Text};
    use crate::identity::{NeedForm, StdinForm};
    use crate::outcome::{Class, FileDigest, OutputDigest, Tier};

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
        let (first, text) = action_digest(form(&here, "/w/one")).unwrap();
        let mut other = form(&there, "/else/two");
        other.inputs.reverse();
        other.secrets = vec!["token", "token"];
        assert_eq!(action_digest(other).unwrap().0, first);
        assert!(!text.contains("/w/one") && text.contains("{{ plan.workspace }}/bin/x"), "{text}");
        let again = crate::digest::sha256_hex(format!("runplan-action/1\n{text}").as_bytes());
        assert_eq!((again, digest_of(&text)), (first.clone(), first));
    }

    #[test]
    fn everything_else_counts() {
        let action = run(&["x"]);
        let (base, _) = action_digest(form(&action, "/w")).unwrap();
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
        let mut digests: Vec<String> = changed.into_iter().map(|form| action_digest(form).unwrap().0).collect();
        digests.push(base);
        let count = digests.len();
        digests.sort_unstable();
        digests.dedup();
        assert_eq!(digests.len(), count);
    }

    #[test]
    fn only_stable_outputs_of_needed_steps_count() {
        let output = |path: &str, class| OutputDigest { file: file(path), class, artifact: false, normalized: None };
        let values = BTreeMap::from([("v".to_owned(), "1".to_owned())]);
        let need = NeedForm::of(&[output("s", Class::Stable), output("v", Class::Volatile)], &values);
        assert_eq!((need.outputs, need.values), (vec![file("s")], BTreeMap::from([("v", "1")])));
    }
}
