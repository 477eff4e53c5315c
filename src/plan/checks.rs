//! What steps mean together: late names, upstream-ness, secrets, and what is allowed but probably not meant.

use std::collections::HashMap;

use super::declare::check_secret;
use super::diags::Diags;
use super::error::Diagnostic;
use super::links::Links;
use super::names::Index;
use super::step::ReadStep;
use super::template::{nearest, words};
use super::text::Ref;
use super::{LoadOptions, Plan, Stdin, Step};
use crate::action::Action;
use crate::ids::StepId;
use crate::outcome::Class;
use crate::place::Place;

/// Checks `steps.X.outputs.Y` in the texts of a step.
pub(super) fn refs(id: StepId, refs: &[Ref], plan: &Plan, index: &Index<'_>, links: &Links, diags: &mut Diags) {
    for Ref { name, place } in refs {
        let fault = |message: String| Diagnostic::error("template", *place, message);
        let Some(wanted) = name.parts.get(1) else {
            diags.push(fault("`steps` names no step".to_owned()).help("write `steps.NAME.outputs.VALUE`"));
            continue;
        };
        let Some(other) = index.exact(wanted) else {
            let help = if index.has_cells(wanted) {
                Some(format!("`{wanted}` has several cells: name one, as in `steps.{wanted}[…]`"))
            } else {
                index.suggestion(wanted, diags)
            };
            diags.push(fault(format!("there is no step `{wanted}`")).hint(help));
            continue;
        };
        let values = &plan.step(other).values;
        match (name.parts.get(2).map(String::as_str), name.parts.get(3)) {
            (Some("outputs"), Some(value)) if values.contains(value) => {
                if other == id {
                    diags.push(fault("a step cannot read its own outputs".to_owned()));
                } else if !links.reaches(id, other) {
                    let help = format!("add `needs = [\"{wanted}\"]`");
                    diags.push(fault(format!("`{wanted}` does not come before this step")).help(help));
                }
            }
            (Some("outputs"), Some(value)) => {
                let names: Vec<&str> = values.iter().map(String::as_str).collect();
                let help = match nearest(value, names.iter().copied()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None if names.is_empty() => format!("declare it there: `outputs = {{ values = [\"{value}\"] }}`"),
                    None => format!("`{wanted}` declares {}", words(&names)),
                };
                diags.push(fault(format!("step `{wanted}` declares no output `{value}`")).help(help));
            }
            _ => {
                let help = "only named outputs reach later steps: `steps.NAME.outputs.VALUE`";
                diags.push(fault(format!("`{}` is no output", name.dotted())).help(help));
            }
        }
    }
}

/// Checks the steps that boxes of a checklist are linked to.
pub(super) fn ticks(plan: &Plan, index: &Index<'_>, links: &Links, diags: &mut Diags) {
    for (at, step) in plan.steps.iter().enumerate() {
        let Action::Checklist(spec) = &step.action else { continue };
        for (item, name) in &spec.links {
            let fault = |message: String| Diagnostic::error("bad-link", step.place, message);
            match index.exact(name) {
                None => {
                    let help = index.suggestion(name, diags);
                    diags.push(fault(format!("there is no step `{name}` to earn the box `{item}`")).hint(help));
                }
                Some(other) if !links.reaches(StepId::at(at), other) => diags.push(
                    fault(format!("`{name}` does not come before this step, so it cannot earn the box `{item}`"))
                        .help(format!("add `after = [\"{name}\"]`")),
                ),
                Some(_) => {}
            }
        }
    }
}

/// Checks every secret once; that it is there, only where a step uses it.
pub(super) fn secrets(plan: &Plan, read: &[(Vec<String>, Place)], options: &LoadOptions<'_>, diags: &mut Diags) {
    let mut first: HashMap<&str, Place> = HashMap::new();
    for (names, place) in read {
        for name in names {
            first.entry(name).or_insert(*place);
        }
    }
    for secret in &plan.secrets {
        check_secret(secret, first.get(secret.name.as_str()).copied(), plan, options, diags);
    }
}

/// Warnings.
pub(super) fn warnings(plan: &mut Plan, diags: &mut Diags) {
    let mut needed = vec![false; plan.steps.len()];
    for need in plan.steps.iter().flat_map(|step| step.needs.iter().chain(&step.after)) {
        needed[need.step.index()] = true;
    }
    for (at, step) in plan.steps.iter().enumerate() {
        for need in step.needs.iter().filter(|_| step.required && step.run_when == super::RunWhen::Success) {
            let other = plan.step(need.step);
            if !other.required {
                let message = format!("required step `{}` needs the advisory step `{}`", step.base(), other.base());
                diags.push(Diagnostic::warning("needs-advisory", need.place, message).help(format!(
                    "if `{}` fails, this step is skipped and blocks GO; use `after`, or `run_when = \"completed\"`",
                    other.base()
                )));
            }
        }
        if matches!(step.action, Action::Service(_)) && !needed[at] {
            let message = format!("nothing depends on the service `{}`", step.base());
            diags.push(
                Diagnostic::warning("unused-service", step.place, message)
                    .help("it would be ended as soon as it is ready; add it to the `needs` of a step"),
            );
        }
    }
    volatile(plan, diags);
}

/// Steps that read volatile outputs of others.
fn volatile(plan: &mut Plan, diags: &mut Diags) {
    let mut made: HashMap<&str, StepId> = HashMap::new();
    for (at, step) in plan.steps.iter().enumerate() {
        for output in step.outputs.iter().filter(|output| output.class == Class::Volatile) {
            made.insert(output.path.src.trim_end_matches('/'), StepId::at(at));
        }
    }
    if made.is_empty() {
        return;
    }
    let mut found = Vec::new();
    for (at, step) in plan.steps.iter().enumerate() {
        let stdin = if let Stdin::File(path) = &step.stdin { Some(path) } else { None };
        let reads = step.inputs.iter().chain(stdin);
        let source = reads.filter_map(|path| Some((path, maker(&made, &path.src)?))).find(|(_, id)| id.index() != at);
        if let Some((path, id)) = source {
            let message =
                format!("`{}` reads `{}`, a volatile output of `{}`", step.base(), path.src, plan.step(id).base());
            let warning = Diagnostic::warning("reads-volatile", step.place, message);
            found.push((at, warning.help("its record may differ from run to run; declare the output stable if it is")));
        }
    }
    for (at, warning) in found {
        plan.steps[at].volatile = true;
        diags.push(warning);
    }
}

/// The step that makes a path or a folder above it.
fn maker(made: &HashMap<&str, StepId>, path: &str) -> Option<StepId> {
    let mut part = path.trim_end_matches('/');
    loop {
        if let Some(id) = made.get(part) {
            return Some(*id);
        }
        part = part.rsplit_once('/')?.0;
    }
}

/// The parts of [`ReadStep`] that outlive its step.
#[derive(Default)]
pub(super) struct Rest {
    /// Of steps that use any.
    pub(super) secrets: Vec<(Vec<String>, Place)>,
    /// One element a step.
    pub(super) broken: Vec<bool>,
    /// Of steps that have any.
    pub(super) refs: Vec<(StepId, Vec<Ref>)>,
    /// Of steps that have any.
    pub(super) values: HashMap<StepId, Vec<Place>>,
}

impl Rest {
    pub(super) fn keep(&mut self, id: StepId, read: ReadStep) -> Step {
        let ReadStep { step, broken, refs, secrets, values } = read;
        self.broken.push(broken);
        if !secrets.is_empty() {
            self.secrets.push((secrets, step.place));
        }
        if !refs.is_empty() {
            self.refs.push((id, refs));
        }
        if !values.is_empty() {
            self.values.insert(id, values);
        }
        step
    }
}
