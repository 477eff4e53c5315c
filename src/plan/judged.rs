//! Criteria of steps: read from the tree, type-checked against what steps offer. The only file of this room that calls the
//! criteria room.

use std::cell::Cell as Counter;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::diags::Diags;
use super::error::Diagnostic;
use super::links::Links;
use super::names::{self, Index};
use super::text::{Texts, inner};
use super::tree::{Node, Table};
use super::{Plan, Ratchet, Risk, Step, Terms, Var, preset, ratchet};
use crate::action::{Action, CompareSpec, RunSpec, ValueSpec};
use crate::criteria::{self, Comparing, Criterion, Fault, Kind, Root, Scope, Shape, StepScope};
use crate::facts::{Unit, Value};
use crate::ids::StepId;
use crate::outcome::Tier;
use crate::place::{Place, Sources};

/// Suggestions look at every step name, so only the first faults get one.
const MOST_SUGGESTIONS: u32 = 200;

/// The criteria written under `keys`, in that order.
pub(super) fn read(table: Table<'_>, tiers: &[Tier], texts: &mut Texts<'_>) -> Vec<Criterion> {
    let mut list = Vec::new();
    for tier in tiers {
        for node in table.list(tier.word()) {
            list.extend(one(node, *tier, texts));
        }
    }
    list
}

/// The criteria of `preset`, as if written under `pass` where the preset is named. A header that a criterion of the
/// step under `pass` or `any` names itself is left to that.
pub(super) fn preset(
    table: Table<'_>,
    action: &Action,
    broken: bool,
    criteria: &mut Vec<Criterion>,
    texts: &mut Texts<'_>,
) {
    let Some(node) = table.get("preset") else { return };
    if broken || !node.text().is_some_and(|name| preset::NAMES.contains(&name)) {
        return;
    }
    let Action::Http(spec) = action else {
        let message = format!("`preset` judges answers of an `http`, and this is a `{}`", action.kind().word());
        let fault = Diagnostic::error("unused-key", node.place, message);
        texts.diags.push(fault.help("remove it, or make the step an `http`"));
        return;
    };
    let secure = spec.urls.iter().filter(|url| !url.src.starts_with("http://")).count();
    if secure != 0 && secure != spec.urls.len() {
        let message = "`preset` asks more over https than over http, and here are both".to_owned();
        let fault = Diagnostic::error("preset", node.place, message);
        texts.diags.push(fault.help("make them two steps"));
    }
    let named = |header: &str| {
        criteria.iter().any(|criterion: &Criterion| {
            matches!(criterion.tier, Tier::Pass | Tier::Any) && criterion.names_header(header)
        })
    };
    let rules = preset::criteria(!spec.is_single(), secure != 0).filter(|(header, _)| !named(header));
    let made: Vec<Criterion> =
        rules.filter_map(|(_, text)| criteria::parse(&text, Tier::Pass, node.place).ok()).collect();
    criteria.extend(made);
}

fn one(node: Node<'_>, tier: Tier, texts: &mut Texts<'_>) -> Option<Criterion> {
    node.text()?;
    let before = texts.diags.count();
    let text = texts.plain(node);
    if texts.diags.count() > before {
        return None;
    }
    match criteria::parse(&text, tier, node.place) {
        Ok(criterion) => Some(criterion),
        Err(fault) => {
            texts.diags.push(diagnostic(texts.sources, node.place, &text, fault));
            None
        }
    }
}

fn diagnostic(sources: &Sources, place: Place, text: &str, fault: Fault) -> Diagnostic {
    let at = inner(sources, place, text, fault.at);
    Diagnostic::error("criterion", at, fault.message).hint(fault.help)
}

/// How a step compares, most samples of a look and most looks.
type Compares = (Vec<CompareSpec>, Option<u64>, Option<u64>);

/// What checking looks at.
pub(super) struct Judge<'a> {
    pub(super) sources: &'a Sources,
    pub(super) index: &'a Index<'a>,
    pub(super) links: &'a Links,
    kinds: BTreeMap<String, Kind>,
    shapes: Vec<Shape>,
    compares: HashMap<StepId, Compares>,
    outputs: HashMap<StepId, Vec<String>>,
    suggested: Counter<u32>,
}

impl<'a> Judge<'a> {
    pub(super) fn new(
        sources: &'a Sources,
        index: &'a Index<'a>,
        links: &'a Links,
        vars: &BTreeMap<String, Var>,
        steps: &[Step],
    ) -> Self {
        let outputs = steps.iter().enumerate().filter(|(_, step)| !step.values.is_empty());
        Self {
            sources,
            index,
            links,
            kinds: vars.iter().map(|(name, var)| (name.clone(), Kind::of(&var.value))).collect(),
            shapes: steps.iter().map(shape).collect(),
            compares: steps
                .iter()
                .enumerate()
                .filter_map(|(at, step)| Some((StepId::at(at), compare(step)?)))
                .collect(),
            outputs: outputs.map(|(at, step)| (StepId::at(at), step.values.clone())).collect(),
            suggested: Counter::new(0),
        }
    }

    /// Checks everything a plan judges; completes steps with what is implied.
    pub(super) fn check(
        &mut self,
        plan: &mut Plan,
        broken: &[bool],
        values: &HashMap<StepId, Vec<Place>>,
        diags: &mut Diags,
    ) {
        self.values(&plan.steps, values, diags);
        // Steps that say no more than what they run share their terms before and share them after.
        let mut shared: Option<(Arc<Terms>, Arc<Terms>)> = None;
        for (at, step) in plan.steps.iter_mut().enumerate() {
            let alike = !broken[at] && matches!(step.action, Action::Run(RunSpec { parse: None, .. }));
            match &shared {
                Some((before, after)) if alike && Arc::ptr_eq(before, &step.terms) => step.terms = after.clone(),
                _ => {
                    let before = (alike && Arc::strong_count(&step.terms) > 1).then(|| step.terms.clone());
                    self.step(StepId::at(at), step, broken[at], diags);
                    shared = before.map(|before| (before, step.terms.clone())).or(shared);
                }
            }
        }
        for risk in &mut plan.risks {
            self.risk(risk, diags);
        }
    }

    /// Kinds of the names that `value` steps give. Twice, because they may name each other.
    fn values(&mut self, steps: &[Step], places: &HashMap<StepId, Vec<Place>>, diags: &mut Diags) {
        for last in [false, true] {
            for (at, step) in steps.iter().enumerate() {
                let Action::Value(spec) = &step.action else { continue };
                for ((name, subject), place) in
                    spec.values.iter().zip(places.get(&StepId::at(at)).into_iter().flatten())
                {
                    let kind = self.within(StepId::at(at), true, |scope| criteria::kind_of(subject, scope));
                    match kind {
                        Ok(kind) => {
                            self.shapes[at].values.insert(name.clone(), kind);
                        }
                        Err(fault) if last => diags.push(diagnostic(self.sources, *place, subject, fault)),
                        Err(_) => {}
                    }
                }
            }
        }
    }

    fn step(&self, id: StepId, step: &mut Step, broken: bool, diags: &mut Diags) {
        if broken && step.when.is_empty() {
            return;
        }
        let terms = Arc::make_mut(&mut step.terms);
        for criterion in &mut terms.when {
            self.one(id, true, criterion, diags);
        }
        if broken {
            return;
        }
        for criterion in &mut terms.criteria {
            self.one(id, false, criterion, diags);
        }
        let mut all = criteria::implied(&step.action, &terms.criteria);
        all.append(&mut terms.criteria);
        all.sort_by_key(|criterion| criterion.tier);
        terms.criteria = all;
        if !terms.compare.is_empty() && !terms.criteria.iter().any(Criterion::uses_baseline) {
            let message = format!("no criterion of `{}` compares with `baseline`", names::base(&step.name));
            let fault = Diagnostic::error("compare", step.place, message);
            diags.push(fault.help("write such as `pass = [\"p95(latency) <= baseline + 10%\"]`"));
        }
        if let Some(ratchet) = &mut terms.ratchet {
            let mut users = terms.criteria.iter().filter(|criterion| criterion.uses_ratchet());
            match (users.next(), users.next()) {
                (Some(user), None) => {
                    user.subject_text().clone_into(&mut ratchet.subject);
                    if let Some(unit) = user.unit() {
                        ratchet_in_unit(ratchet, unit, user.place, diags);
                    }
                }
                (Some(_), Some(second)) => {
                    let message = "two criteria compare with `ratchet`".to_owned();
                    diags.push(
                        Diagnostic::error("ratchet", second.place, message)
                            .help("a step has one ratchet: split it in two steps"),
                    );
                }
                _ => {
                    let message = format!("no criterion of `{}` compares with `ratchet`", names::base(&step.name));
                    diags.push(
                        Diagnostic::error("ratchet", step.place, message)
                            .help("write such as `pass = [\"percent(lines) >= ratchet\"]`"),
                    );
                }
            }
        }
    }

    fn one(&self, id: StepId, only_globals: bool, criterion: &mut Criterion, diags: &mut Diags) {
        let faults = self.within(id, only_globals, |scope| criteria::check(criterion, scope));
        for fault in faults {
            diags.push(diagnostic(self.sources, criterion.place, &criterion.text, fault));
        }
    }

    fn risk(&self, risk: &mut Risk, diags: &mut Diags) {
        let scope = Scope {
            shape: Shape::of(&Action::Value(ValueSpec { values: Vec::new() })),
            vars: &self.kinds,
            ratchet: false,
            baseline: false,
            compare: None,
            only_globals: true,
            step: &|_| None,
            known_steps: &Vec::new,
        };
        for criterion in &mut risk.when {
            let other = criterion.roots().into_iter().find(|root| !matches!(root, Root::Var(_) | Root::Env(_)));
            if let Some(Root::Step { .. } | Root::Fact(_)) = other {
                let message = format!("`{}` cannot be asked of a risk factor", criterion.text);
                let fault = Diagnostic::error("criterion", criterion.place, message);
                diags.push(fault.help("it knows no step: only `vars.NAME` and `env.NAME`; text goes in quotes"));
                continue;
            }
            for fault in criteria::check(criterion, &scope) {
                diags.push(diagnostic(self.sources, criterion.place, &criterion.text, fault));
            }
        }
    }

    /// Runs something with what a step may name.
    fn within<T>(&self, id: StepId, only_globals: bool, run: impl FnOnce(&Scope<'_>) -> T) -> T {
        let step = |name: &str| {
            let other = self.index.exact(name)?;
            Some(StepScope {
                shape: self.shapes.get(other.index())?.clone(),
                outputs: self.outputs.get(&other).cloned().unwrap_or_default(),
                upstream: self.links.reaches(id, other),
            })
        };
        let known_steps = || {
            self.suggested.set(self.suggested.get() + 1);
            if self.suggested.get() > MOST_SUGGESTIONS { Vec::new() } else { self.index.names() }
        };
        let shape = self.shapes[id.index()].clone();
        let compare =
            self.compares.get(&id).map(|(specs, most, looks)| Comparing { specs, most: *most, looks: *looks });
        // What is asked before a step runs has no threshold of its own.
        let ratchet = self.links.has_ratchet(id) && !only_globals;
        let scope = Scope {
            shape,
            vars: &self.kinds,
            ratchet,
            baseline: !only_globals,
            compare: compare.filter(|_| !only_globals),
            only_globals,
            step: &step,
            known_steps: &known_steps,
        };
        run(&scope)
    }
}

/// See [`super::with_scope`].
pub(super) fn with_scope<T>(
    plan: &Plan,
    step: Option<StepId>,
    own: Option<Shape>,
    only_globals: bool,
    run: impl FnOnce(&Scope<'_>) -> T,
) -> T {
    let mut index = Index::with_room(plan.steps.len());
    for (at, step) in plan.steps.iter().enumerate() {
        index.add(StepId::at(at), &step.name, step.base(), &step.matrix, step.finally);
    }
    let links = Links::of(&plan.steps);
    let mut judge = Judge::new(&plan.sources, &index, &links, &plan.vars, &plan.steps);
    let places = plan.steps.iter().enumerate().filter_map(|(at, step)| match &step.action {
        Action::Value(spec) => Some((StepId::at(at), vec![step.place; spec.values.len()])),
        _ => None,
    });
    let places = places.collect();
    judge.values(&plan.steps, &places, &mut Diags::default());
    let Some(id) = step.filter(|id| id.index() < plan.steps.len()) else {
        let step = |name: &str| {
            let other = judge.index.exact(name)?;
            let outputs = judge.outputs.get(&other).cloned().unwrap_or_default();
            Some(StepScope { shape: judge.shapes.get(other.index())?.clone(), outputs, upstream: true })
        };
        return run(&Scope {
            shape: own.unwrap_or_else(|| Shape::of(&Action::Value(ValueSpec { values: Vec::new() }))),
            vars: &judge.kinds,
            ratchet: false,
            baseline: !only_globals,
            compare: None,
            only_globals,
            step: &step,
            known_steps: &|| judge.index.names(),
        });
    };
    judge.within(id, only_globals, |scope| {
        let shape = own.unwrap_or_else(|| scope.shape.clone());
        run(&Scope { shape, known_steps: &|| judge.index.names(), ..*scope })
    })
}

/// Puts the numbers of a ratchet on the scale of what it watches.
fn ratchet_in_unit(ratchet: &mut Ratchet, unit: Unit, place: Place, diags: &mut Diags) {
    let numbers =
        [("floor", Some(&mut ratchet.floor)), ("goal", ratchet.goal.as_mut()), ("slack", ratchet.slack.as_mut())];
    for (key, value) in numbers {
        let Some(Value::Num(num, given)) = value.as_deref().cloned() else { continue };
        match ratchet::in_unit(num, given, unit) {
            Some(fitting) => value.into_iter().for_each(|value| *value = fitting.clone()),
            None => {
                let message = format!("`ratchet.{key}` has another unit than `{}`", ratchet.subject);
                diags.push(
                    Diagnostic::error("wrong-unit", place, message)
                        .help("write `floor`, `goal` and `slack` in the unit of what they are compared with"),
                );
            }
        }
    }
}

fn compare(step: &Step) -> Option<Compares> {
    let looks = step.sample.as_ref().and_then(|sample| sample.max).map(u64::from);
    (!step.compare.is_empty()).then(|| (step.compare.clone(), step.action.most_samples(), looks))
}

fn shape(step: &Step) -> Shape {
    let mut shape = Shape::of(&step.action);
    shape.report = step.report.is_some();
    shape.sampled = step.sample.is_some();
    if let Action::Value(spec) = &step.action {
        shape.values = spec.values.iter().map(|(name, _)| (name.clone(), Kind::ANY)).collect();
    }
    shape
}
