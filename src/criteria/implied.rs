//! Criteria that nobody has to write: what a person expects of each action. Knows the actions, no facts.

use std::collections::BTreeMap;

use super::ast::Subject;
use super::scope::{Scope, Shape};
use super::{Criterion, check, parse};
use crate::action::{Action, ActionKind};
use crate::outcome::Tier;
use crate::place::Place;

/// The implied criteria of a step, type-checked. Nothing is implied about a fact that one of `given` names itself.
#[must_use]
pub fn implied(action: &Action, given: &[Criterion]) -> Vec<Criterion> {
    let shape = Shape::of(action);
    let (names, texts): (&[&str], &[&str]) = match action.kind() {
        ActionKind::Run => (&["exit", "signal"], &["exit == 0"]),
        ActionKind::Http => (&["status"], &["status >= 200", "status < 300"]),
        ActionKind::File if shape.many => (&["exists"], &["every(exists) == true"]),
        ActionKind::File => (&["exists"], &["exists == true"]),
        ActionKind::Render | ActionKind::Service | ActionKind::Value | ActionKind::Report => (&[], &[]),
    };
    let named = |criterion: &Criterion| {
        let path = match &criterion.form.subject {
            Subject::Path(path) | Subject::Agg { path, .. } | Subject::Quant { path, .. } => path,
        };
        path.segs.len() == 1 && names.contains(&path.head())
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
    let make = |text: &&str| {
        let mut criterion = parse(text, Tier::Pass, Place::default()).ok()?;
        criterion.implied = true;
        check(&mut criterion, &scope).is_empty().then_some(criterion)
    };
    texts.iter().filter_map(make).collect()
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
        let file = |path: &str| Action::File(FileSpec { paths: vec![Text::fixed(path)], parse: None, template: None });
        assert_eq!(texts(&file("a"), &[]), ["exists == true"]);
        assert_eq!(texts(&file("*.py"), &[]), ["every(exists) == true"]);
        assert_eq!(texts(&file("a"), &["exists == false"]), Vec::<String>::new());
        assert!(implied(&run, &[])[0].implied);
    }
}
