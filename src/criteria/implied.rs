//! Criteria that nobody has to write: what a person expects of each action. Knows the actions, no facts.

use std::collections::BTreeMap;

use super::ast::Subject;
use super::scope::{Scope, Shape};
use super::{Criterion, check, parse};
use crate::action::{Action, ActionKind, MakeTag, NetLook};
use crate::outcome::Tier;
use crate::place::Place;

/// The implied criteria of a step, type-checked. Nothing is implied about a fact that one of `given` names itself.
#[must_use]
pub fn implied(action: &Action, given: &[Criterion]) -> Vec<Criterion> {
    let shape = Shape::of(action);
    let (names, texts): (&[&str], &[&str]) = match action.kind() {
        ActionKind::Run => (&["exit", "signal"], &["exit == 0"]),
        ActionKind::Http if shape.many => (&["status"], &["every(status) >= 200", "every(status) < 300"]),
        ActionKind::Http => (&["status"], &["status >= 200", "status < 300"]),
        ActionKind::File if shape.many => (&["exists"], &["every(exists) == true"]),
        ActionKind::File => (&["exists"], &["exists == true"]),
        ActionKind::Load => (&["errors", "rate(errors)"], &["errors == 0"]),
        ActionKind::Signoff => (&["missing", "rejected", "approved"], &["rejected == 0", "missing == 0"]),
        ActionKind::Plan => (&["decision"], &["decision == \"GO\""]),
        ActionKind::Checklist => (&["checked", "unchecked", "open", "links"], &["unchecked == 0", "unearned == 0"]),
        ActionKind::Render
        | ActionKind::Service
        | ActionKind::Value
        | ActionKind::Report
        | ActionKind::Git
        | ActionKind::Net
        | ActionKind::Promql
        | ActionKind::Alert => (&[], &[]),
    };
    let looks = looks(action, given);
    let named = |criterion: &Criterion| {
        let path = match &criterion.form.subject {
            Subject::Path(path) | Subject::Agg { path, .. } | Subject::Quant { path, .. } => path,
        };
        path.segs.len() == 1 && (names.contains(&path.head()) || names.contains(&path.segs[0].key().as_str()))
    };
    if given.iter().any(named) {
        return Vec::new();
    }
    let vars = BTreeMap::new();
    let scope = Scope {
        shape,
        vars: &vars,
        ratchet: false,
        baseline: false,
        compare: None,
        only_globals: false,
        step: &|_| None,
        known_steps: &Vec::new,
    };
    let make = |text: &str| {
        let mut criterion = parse(text, Tier::Pass, Place::default()).ok()?;
        criterion.implied = true;
        check(&mut criterion, &scope).is_empty().then_some(criterion)
    };
    texts.iter().copied().chain(looks.iter().map(String::as_str)).filter_map(make).collect()
}

/// What is implied by how an action is written.
fn looks(action: &Action, given: &[Criterion]) -> Vec<String> {
    match action {
        Action::Git(spec) if spec.tag.is_some() => git(spec.make.as_ref(), given),
        Action::Net(spec) => {
            let wanted: &[(&str, &str)] = match spec.look {
                NetLook::Dns(_) => &[("addrs", "count(addrs) > 0")],
                NetLook::Tcp(_) => &[("open", "open == true")],
                NetLook::Tls { .. } => &[("open", "open == true"), ("tls.trusted", "tls.trusted == true")],
            };
            let named = |path: &str| given.iter().any(|c| c.form.subject.path().to_string() == path);
            wanted.iter().filter(|(path, _)| !named(path)).map(|(_, text)| (*text).to_owned()).collect()
        }
        Action::Alert(spec) => {
            let each = spec
                .receivers
                .iter()
                .flat_map(|name| ["firing", "resolved"].map(|word| format!("receiver.\"{name}\".{word}")));
            let named = |path: &str| given.iter().any(|c| c.form.subject.path().to_string() == path);
            each.filter(|path| !named(path)).map(|path| format!("{path} == true")).collect()
        }
        _ => Vec::new(),
    }
}

/// A tag is there; one that was to be made is where it was to be, here and on the remote it was pushed to.
fn git(make: Option<&MakeTag>, given: &[Criterion]) -> Vec<String> {
    let Some(make) = make else {
        let named = given.iter().any(|criterion| criterion.form.subject.path().head() == "tag");
        return if named { Vec::new() } else { vec!["tag.exists == true".to_owned()] };
    };
    let pushed = make.push.iter().map(|remote| {
        let plain = remote.bytes().all(|b| b.is_ascii_lowercase());
        let name = if plain { remote.clone() } else { format!("\"{remote}\"") };
        format!("remote.{name}.commit == tag.commit")
    });
    std::iter::once("tag.commit == tag.target".to_owned()).chain(pushed).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::{Command, FileSpec, RunSpec, Text};

    fn texts(action: &Action, given: &[&str]) -> Vec<String> {
        let given: Vec<_> = given.iter().map(|t| parse(t, Tier::Pass, Place::default()).unwrap()).collect();
        implied(action, &given).into_iter().map(|c| c.text).collect()
    }

    #[test]
    fn only_what_is_not_named() {
        let run = Action::Run(RunSpec { command: Command::Shell("true".into()), parse: None });
        assert_eq!(texts(&run, &["stdout contains \"x\""]), ["exit == 0"]);
        assert_eq!(texts(&run, &["exit in [0, 2]"]), Vec::<String>::new());
        assert_eq!(texts(&run, &["signal == \"SIGKILL\""]), Vec::<String>::new());
        assert_eq!(texts(&run, &["steps.a.exit == 1"]), ["exit == 0"]);
        let file = |path: &str| {
            Action::File(Box::new(FileSpec { paths: vec![Text::fixed(path)], parse: None, template: None }))
        };
        assert_eq!(texts(&file("a"), &[]), ["exists == true"]);
        assert_eq!(texts(&file("*.py"), &[]), ["every(exists) == true"]);
        assert_eq!(texts(&file("a"), &["exists == false"]), Vec::<String>::new());
        assert!(implied(&run, &[])[0].implied);
    }
}
