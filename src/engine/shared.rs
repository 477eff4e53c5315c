//! What all attempts of a run share: the plan, the world, and what earlier steps gave.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use std::rc::Rc;
use std::sync::{Arc, OnceLock};

use tokio::sync::mpsc::UnboundedSender;

use crate::act::slots::Slots;
use crate::criteria::{self, Criterion, Evidence, Root};
use crate::event::EventKind;
use crate::facts::{Facts, Value};
use crate::graph::Graph;
use crate::identity::{GateForm, NeedForm};
use crate::ids::StepId;
use crate::outcome::{Filter, OutputDigest, State, Verdict};
use crate::plan::{Plan, Step};

use super::world::{KeepError, Keeper, Options, World};

/// What a step gave, as far as later steps may use it.
pub(super) struct Finished {
    state: State,
    /// Facts that others name.
    quoted: Vec<(String, Value)>,
    pub(super) outputs: Vec<OutputDigest>,
    pub(super) values: BTreeMap<String, String>,
    /// Digest of its action, if it started.
    pub(super) identity: Option<String>,
}

impl Finished {
    /// What criteria of other steps may see of it.
    fn facts(&self) -> Facts {
        let mut facts = Facts::default();
        facts.values.extend(self.quoted.iter().cloned());
        let outputs = self.values.iter().map(|(name, value)| (name.clone(), Value::text(value.clone()))).collect();
        facts.set("state", Value::text(self.state.word()));
        facts.set("outputs", Value::Map(outputs));
        facts
    }
}

pub(super) struct Shared<'a> {
    pub(super) plan: &'a Plan,
    pub(super) graph: &'a Graph,
    pub(super) world: &'a World,
    pub(super) keeper: &'a dyn Keeper,
    pub(super) options: &'a Options,
    pub(super) events: UnboundedSender<EventKind>,
    pub(super) decision: Cell<Option<Verdict>>,
    /// Why the run can't be recorded any more.
    pub(super) lost: Arc<OnceLock<String>>,
    /// What each ratchet's subject reached, by step name.
    pub(super) reached: RefCell<BTreeMap<String, Value>>,
    slots: OnceCell<Rc<Slots>>,
    /// Steps in the order of their names, once one is looked for.
    names: OnceCell<Vec<StepId>>,
    done: RefCell<Vec<Option<Rc<Finished>>>>,
    /// Steps that were executed, or services that come after one: what declares nothing and follows them is new too.
    fresh: RefCell<BTreeSet<StepId>>,
    /// Services that are not started, because all that needs them is reused.
    pub(super) idle: RefCell<BTreeSet<StepId>>,
    /// Those of them that gave named outputs: few, even where steps are many.
    giving: RefCell<BTreeSet<StepId>>,
    /// Facts that other steps name, by step name.
    quoted: BTreeMap<String, BTreeSet<String>>,
    vars: BTreeMap<String, Value>,
    env: BTreeMap<String, String>,
    /// Some step has normalized outputs.
    normalizes: bool,
}

impl<'a> Shared<'a> {
    pub(super) fn new(
        plan: &'a Plan,
        graph: &'a Graph,
        world: &'a World,
        keeper: &'a dyn Keeper,
        options: &'a Options,
        events: UnboundedSender<EventKind>,
    ) -> Self {
        let vars = plan.vars.iter().map(|(name, var)| (name.clone(), var.value.clone())).collect();
        let env =
            world.env.iter().filter_map(|(name, value)| Some((name.clone(), value.to_str()?.to_owned()))).collect();
        Self {
            plan,
            graph,
            world,
            keeper,
            options,
            events,
            decision: Cell::new(None),
            lost: Arc::default(),
            reached: RefCell::default(),
            slots: OnceCell::new(),
            names: OnceCell::new(),
            done: RefCell::new(vec![None; plan.steps.len()]),
            fresh: RefCell::default(),
            idle: RefCell::default(),
            giving: RefCell::default(),
            quoted: quoted(plan),
            vars,
            env,
            normalizes: plan.steps.iter().flat_map(|step| &step.outputs).any(|output| !output.normalize.is_empty()),
        }
    }

    /// Files that steps write to, of the run.
    ///
    /// # Errors
    /// When those of an engine that died can't be put aside.
    pub(super) fn slots(&self) -> io::Result<Rc<Slots>> {
        if let Some(slots) = self.slots.get() {
            return Ok(Rc::clone(slots));
        }
        let slots = Rc::new(Slots::new(&self.keeper.slots())?);
        Ok(Rc::clone(self.slots.get_or_init(|| slots)))
    }

    /// Keeps an artifact.
    ///
    /// # Errors
    /// Why it was not kept, in words. Where the store is at fault the run ends too.
    pub(super) fn archive(&self, file: &Path, sha256: &str) -> Result<(), String> {
        self.keeper.archive(file, sha256).map_err(|error| match error {
            KeepError::File(text) => text,
            KeepError::Store(error) => self.lose(&error),
        })
    }

    /// What is needed to record the run could not be written: it has no result any more. Gives the reason in words.
    pub(super) fn lose(&self, error: &io::Error) -> String {
        self.lost.get_or_init(|| error.to_string()).clone()
    }

    /// Tells what happened.
    pub(super) fn tell(&self, kind: EventKind) {
        // The receiver lives as long as the loop; after it nobody listens any more.
        drop(self.events.send(kind));
    }

    /// The step of that name.
    pub(super) fn find(&self, name: &str) -> Option<StepId> {
        let name_of = |id: &StepId| self.plan.step(*id).name.as_str();
        let names = self.names.get_or_init(|| {
            let mut ids: Vec<StepId> = (0..self.plan.steps.len()).map(StepId::at).collect();
            ids.sort_by_key(name_of);
            ids
        });
        names.binary_search_by_key(&name, name_of).ok().map(|at| names[at])
    }

    pub(super) fn finished(&self, id: StepId) -> Option<Rc<Finished>> {
        self.done.borrow()[id.index()].clone()
    }

    /// Publishes a step's facts and, on success, its outputs.
    pub(super) fn publish(&self, id: StepId, state: State, facts: &Facts, given: &super::attempt::Given) {
        let step = self.plan.step(id);
        let ratcheted = step.criteria.iter().find(|criterion| criterion.uses_ratchet());
        if let (Some(criterion), true) = (ratcheted, state.is_success()) {
            let steps = BTreeMap::new();
            let evidence = self.evidence(facts, std::slice::from_ref(facts), &steps, None);
            if let Ok(value) = criteria::measured(criterion, &evidence) {
                self.reached.borrow_mut().insert(step.name.clone(), value);
            }
        }
        let names = self.quoted.get(&step.name);
        let wanted = |(name, _): &(&String, &Value)| names.is_some_and(|names| names.contains(*name));
        let quoted = facts.values.iter().filter(wanted).map(|(n, v)| (n.clone(), v.clone())).collect();
        let identity = given.identity.as_ref().map(|(digest, _)| digest.clone());
        let (outputs, values) = (given.outputs.clone(), given.values.clone());
        self.settle(id, Finished { state, quoted, outputs, values, identity });
    }

    /// The step was executed. A service is new only if something before it is: starting it again changes nothing.
    pub(super) fn executed(&self, id: StepId) {
        let step = self.plan.step(id);
        let service = matches!(step.action, crate::action::Action::Service(_));
        if !service || self.fresh_before(id).is_some() {
            self.fresh.borrow_mut().insert(id);
        }
    }

    pub(super) fn is_fresh(&self, id: StepId) -> bool {
        self.fresh.borrow().contains(&id)
    }

    /// A step directly before this one that was executed.
    pub(super) fn fresh_before(&self, id: StepId) -> Option<StepId> {
        let step = self.plan.step(id);
        step.needs.iter().chain(&step.after).map(|need| need.step).find(|other| self.is_fresh(*other))
    }

    /// A service before this step that is not started.
    pub(super) fn idle_before(&self, id: StepId) -> Option<StepId> {
        let idle = self.idle.borrow();
        if idle.is_empty() {
            return None;
        }
        let before = self.graph.ancestors(&[id]);
        idle.iter().copied().find(|service| before[service.index()])
    }

    /// Steps whose named outputs later texts may name.
    pub(super) fn givers(&self) -> Vec<StepId> {
        self.giving.borrow().iter().copied().collect()
    }

    fn settle(&self, id: StepId, finished: Finished) {
        if finished.values.is_empty() {
            self.giving.borrow_mut().remove(&id);
        } else {
            self.giving.borrow_mut().insert(id);
        }
        self.done.borrow_mut()[id.index()] = Some(Rc::new(finished));
    }

    /// The step is over, perhaps otherwise than its last attempt: only its state and outputs change.
    pub(super) fn restate(
        &self,
        id: StepId,
        state: State,
        outputs: &[OutputDigest],
        values: &BTreeMap<String, String>,
    ) {
        let Some(before) = self.finished(id) else { return };
        if before.state != state || before.outputs != outputs || before.values != *values {
            let (quoted, identity) = (before.quoted.clone(), before.identity.clone());
            let (outputs, values) = (outputs.to_vec(), values.clone());
            self.settle(id, Finished { state, quoted, outputs, values, identity });
        }
    }

    /// The step did not run, or counts as if it had not: all that later steps may see of it is its state.
    pub(super) fn unrun(&self, id: StepId, state: State) {
        self.reached.borrow_mut().remove(&self.plan.step(id).name);
        let done = Finished { state, quoted: Vec::new(), outputs: Vec::new(), values: BTreeMap::new(), identity: None };
        self.done.borrow_mut()[id.index()] = Some(Rc::new(done));
    }

    /// Named outputs of every finished step.
    pub(super) fn published(&self) -> BTreeMap<String, BTreeMap<String, String>> {
        let giving = self.giving.borrow();
        let done = giving.iter().filter_map(|id| Some((*id, self.finished(*id)?)));
        done.map(|(id, done)| (self.plan.step(id).name.clone(), done.values.clone())).collect()
    }

    pub(super) fn decision_word(&self) -> Option<&'static str> {
        self.decision.get().map(Verdict::word)
    }

    /// First path segments that the step's criteria, or others that name this step, ask for.
    pub(super) fn wants(&self, id: StepId) -> BTreeSet<String> {
        wanted(self.plan.step(id), &self.quoted)
    }

    /// Facts of the steps that some criteria name.
    pub(super) fn named_by<'c>(&self, criteria: impl Iterator<Item = &'c Criterion>) -> BTreeMap<String, Facts> {
        self.facts_of(criteria.filter(|criterion| !criterion.is_own()).flat_map(Criterion::roots))
    }

    fn facts_of(&self, roots: impl Iterator<Item = Root>) -> BTreeMap<String, Facts> {
        let mut facts = BTreeMap::new();
        for root in roots {
            if let Root::Step { name, .. } = root
                && let Some(done) = self.find(&name).and_then(|id| self.finished(id))
            {
                facts.insert(name, done.facts());
            }
        }
        facts
    }

    /// The facts of a `value` action.
    pub(super) fn values_of(&self, id: StepId, named: &[(String, String)]) -> Result<BTreeMap<String, Value>, String> {
        let _ = id;
        let mut values = BTreeMap::new();
        for (name, subject) in named {
            let steps = self.facts_of(criteria::roots_of(subject).into_iter());
            let value = criteria::value_of(subject, &self.evidence(&Facts::default(), &[], &steps, None))
                .map_err(|fault| format!("`{name} = {subject}`: {fault}"))?;
            values.insert(name.clone(), value);
        }
        Ok(values)
    }

    /// States of every step that comes before this one, directly or through others; of `finally` steps all ordinary ones.
    pub(super) fn states_before(&self, id: StepId) -> BTreeMap<String, Value> {
        let state = |other: StepId| Value::text(self.finished(other).map_or(State::Skipped, |done| done.state).word());
        self.before(id).into_iter().map(|other| (self.plan.step(other).name.clone(), state(other))).collect()
    }

    /// What every step before a gate came to, in plan rank.
    pub(super) fn gate_form(&self, id: StepId) -> Vec<GateForm> {
        let mut before: Vec<StepId> = self.before(id).into_iter().collect();
        before.sort_by_key(|other| self.graph.rank(*other));
        let form = |other: StepId| {
            let done = self.finished(other)?;
            let state = done.state.word().to_owned();
            let stable = NeedForm::of(&done.outputs, &done.values).outputs;
            let (step, action) = (self.plan.step(other).name.clone(), done.identity.clone());
            Some(GateForm { step, state, action, outputs: stable, values: done.values.clone() })
        };
        before.into_iter().filter_map(form).collect()
    }

    /// The filters of normalized outputs that steps before this one made, by path.
    pub(super) fn normalized_before(&self, id: StepId) -> BTreeMap<String, Vec<Filter>> {
        let mut found = BTreeMap::new();
        if !self.normalizes {
            return found;
        }
        for done in self.before(id).into_iter().filter_map(|other| self.finished(other)) {
            let left = done.outputs.iter().filter_map(|output| Some((&output.file.path, output.normalized.as_ref()?)));
            found.extend(left.map(|(path, left)| (path.clone(), left.filters.clone())));
        }
        found
    }

    /// Every step that comes before this one, directly or through others; of `finally` steps all ordinary ones.
    fn before(&self, id: StepId) -> BTreeSet<StepId> {
        let step = self.plan.step(id);
        let ordinary = (0..self.plan.steps.len()).map(StepId::at).filter(|other| !self.plan.step(*other).finally);
        let mut open: Vec<StepId> = if step.finally { ordinary.collect() } else { Vec::new() };
        let parents = |step: &Step| step.needs.iter().chain(&step.after).map(|n| n.step).collect::<Vec<_>>();
        open.extend(parents(step));
        let mut found = BTreeSet::new();
        while let Some(other) = open.pop() {
            if found.insert(other) {
                open.extend(parents(self.plan.step(other)));
            }
        }
        found
    }

    pub(super) fn evidence<'e>(
        &'e self,
        facts: &'e Facts,
        samples: &'e [Facts],
        steps: &'e BTreeMap<String, Facts>,
        step: Option<&'e Step>,
    ) -> Evidence<'e> {
        Evidence {
            facts,
            samples,
            steps,
            vars: &self.vars,
            env: &self.env,
            ratchet: step.and_then(|step| self.options.ratchets.get(&step.name)),
            baseline: step.and_then(|step| self.options.baselines.get(&step.name)).map(Vec::as_slice),
            allow_no_baseline: step.and_then(|step| step.allow_no_baseline.as_deref()),
            now: (self.world.now)(),
        }
    }

    /// `path:line:col` of a criterion.
    pub(super) fn locate(&self, criterion: &Criterion) -> String {
        if criterion.implied { String::new() } else { self.plan.sources.locate(criterion.place) }
    }
}

/// First path segments that a step's criteria ask for, or others that name the step.
pub(super) fn wanted(step: &Step, quoted: &BTreeMap<String, BTreeSet<String>>) -> BTreeSet<String> {
    let mut wants = quoted.get(&step.name).cloned().unwrap_or_default();
    wants.extend(step.criteria.iter().flat_map(Criterion::roots).filter_map(|root| match root {
        Root::Fact(name) => Some(name),
        _ => None,
    }));
    let families: Vec<String> = wants.iter().filter_map(|key| Some(key.split_once('(')?.0.to_owned())).collect();
    wants.extend(families);
    wants
}

/// Which facts of which steps are named by others.
pub(super) fn quoted(plan: &Plan) -> BTreeMap<String, BTreeSet<String>> {
    let mut quoted: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut note = |root: Root| {
        if let Root::Step { name, fact } = root {
            quoted.entry(name).or_default().insert(fact);
        }
    };
    for step in &plan.steps {
        step.criteria.iter().chain(&step.when).flat_map(Criterion::roots).for_each(&mut note);
        if let crate::action::Action::Value(spec) = &step.action {
            spec.values.iter().flat_map(|(_, subject)| criteria::roots_of(subject)).for_each(&mut note);
        }
    }
    quoted
}
