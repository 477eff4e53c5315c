//! Judges a run again: the same schedule and the same rules, with recorded facts where the engine would start something.
//! Starts nothing, connects to nothing and writes nothing; knows no file and no format.

mod lacking;
mod looks;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use crate::criteria::{self, Criterion};
use crate::facts::Facts;
use crate::graph::Graph;
use crate::identity::{ActionForm, GateForm};
use crate::ids::StepId;
use crate::judge::{self, Judged};
use crate::outcome::{AttemptResult, Cause, CriterionResult, Exit, State, StepResult};
use crate::plan::{Plan, Step};
use crate::schedule::{Effect, Ended, Input, Schedule};

use super::attempt::Given;
use super::heads;
use super::shared::{self, Shared};
use super::world::{KeepError, Keeper, Options, World};

/// One look as it was recorded.
#[derive(Clone, Debug, Default)]
pub struct Look {
    /// What was seen.
    pub facts: Facts,
    /// Facts that are not there as they were seen, by name, with the reason in a few words.
    pub impaired: BTreeMap<String, String>,
    /// How it was judged then.
    pub state: Option<State>,
    /// What was said of it then.
    pub detail: Option<String>,
    /// Its criteria as they were judged then.
    pub criteria: Vec<CriterionResult>,
    /// Wall clock, milliseconds since 1970.
    pub at: i64,
    /// Since the first look began.
    pub elapsed: Duration,
}

/// One attempt as it was recorded.
#[derive(Clone, Debug)]
pub struct Tried {
    /// Every look; one unless the step sampled.
    pub looks: Vec<Look>,
    /// How it ended then.
    pub result: AttemptResult,
    /// Its looks were sampled, and they are not to be had any more, for this reason.
    pub looks_lost: Option<String>,
}

/// What a run left of one step.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// Every attempt, oldest first; empty if it never ran.
    pub attempts: Vec<Tried>,
    /// Its final result.
    pub committed: StepResult,
    /// First segments of the facts that were asked for then (see [`wanted`]).
    pub wanted: BTreeSet<String>,
    /// Texts of its conditions then.
    pub when: BTreeSet<String>,
    /// Sampling and comparing go by the same rules as then.
    pub same_rules: bool,
    /// What it was compared with is not known any more, for this reason.
    pub baseline_lost: Option<String>,
}

/// How a step comes out now.
#[derive(Clone, Debug)]
pub struct Rejudged {
    /// As a run would commit it.
    pub result: StepResult,
    /// Nothing is known of it, for this reason; its state is `inconclusive`.
    pub unknown: Option<String>,
    /// What is to be said about it.
    pub notes: Vec<String>,
}

/// First segments of the facts that each step of a plan is asked for, in declaration order.
#[must_use]
pub fn wanted(plan: &Plan) -> Vec<BTreeSet<String>> {
    let quoted = shared::quoted(plan);
    plan.steps.iter().map(|step| shared::wanted(step, &quoted)).collect()
}

/// Judges every step of a plan, in declaration order, on what a run recorded (by step name). `options` are those of one
/// worker; `at` is the time of the run.
#[must_use]
pub fn rejudge(
    plan: &Plan,
    graph: &Graph,
    options: &Options,
    recorded: &BTreeMap<String, Recorded>,
    at: i64,
) -> Vec<Rejudged> {
    let clock = Arc::new(AtomicI64::new(at));
    let reader = Arc::clone(&clock);
    let world = World {
        env: BTreeMap::new(),
        now: Arc::new(move || reader.load(Ordering::Relaxed)),
        start: Instant::now(),
        secrets: BTreeMap::new(),
        mask: None,
        ports: BTreeMap::new(),
        acts: BTreeMap::new(),
    };
    let (tell, _told) = mpsc::unbounded_channel();
    let shared = Shared::new(plan, graph, &world, &Nobody, options, tell);
    let capacities = plan.pools.iter().map(|pool| pool.capacity).collect();
    let mut court = Court {
        shared: &shared,
        schedule: Schedule::new(graph, heads::jobs(plan, graph, options), 1, capacities),
        recorded,
        clock,
        files: BTreeMap::new(),
        over: vec![None; plan.steps.len()],
    };
    court.sit();
    let unreached =
        || Rejudged { result: StepResult::unrun(State::NotRun, Cause::Interrupted), unknown: None, notes: Vec::new() };
    court.over.into_iter().map(|over| over.unwrap_or_else(unreached)).collect()
}

/// Keeps nothing and tells nothing.
struct Nobody;

impl Keeper for Nobody {
    fn spool(&self, _: u32, _: &str) -> io::Result<PathBuf> {
        Err(io::Error::other("nothing is run"))
    }

    fn place(&self, _: u32, _: &str) -> PathBuf {
        PathBuf::new()
    }

    fn slots(&self) -> PathBuf {
        PathBuf::new()
    }

    fn archive(&self, _: &Path, _: &str) -> Result<(), KeepError> {
        Err(KeepError::File("nothing is kept".to_owned()))
    }

    fn identify(&self, _: ActionForm<'_>) -> io::Result<(String, String)> {
        Err(io::Error::other("nothing is run"))
    }

    fn gate(&self, _: &[GateForm]) -> io::Result<String> {
        Err(io::Error::other("nobody is asked"))
    }
}

/// What is known of a step while it is judged.
#[derive(Default)]
struct File {
    attempts: Vec<AttemptResult>,
    given: Given,
    allowed_empty: bool,
    unknown: Option<String>,
    notes: Vec<String>,
}

struct Court<'a> {
    shared: &'a Shared<'a>,
    schedule: Schedule<'a>,
    recorded: &'a BTreeMap<String, Recorded>,
    clock: Arc<AtomicI64>,
    files: BTreeMap<StepId, File>,
    over: Vec<Option<Rejudged>>,
}

impl<'a> Court<'a> {
    fn sit(&mut self) {
        let mut inputs = VecDeque::from([Input::Begin]);
        while let Some(input) = inputs.pop_front() {
            for effect in self.schedule.on(input) {
                match effect {
                    Effect::Launch(step, attempt) => inputs.push_back(self.launch(step, attempt)),
                    Effect::Sleep(step, ..) => inputs.push_back(Input::Woke(step)),
                    Effect::Done(step, state, cause) => self.commit(step, state, cause),
                    Effect::StopService(step, _) => inputs.push_back(self.stop_service(step)),
                    Effect::MainDone => {
                        self.main_done();
                        inputs.push_back(Input::Finally);
                    }
                    Effect::Ready(_) | Effect::Unsleep(_) | Effect::Cancel(..) | Effect::Finished => {}
                }
            }
        }
    }

    fn step(&self, id: StepId) -> &'a Step {
        self.shared.plan.step(id)
    }

    /// What the world would have answered.
    fn launch(&mut self, id: StepId, attempt: u32) -> Input {
        let step = self.step(id);
        let recorded = self.recorded.get(&step.name);
        match self.conditions(step, recorded) {
            Conditions::Hold => {}
            Conditions::Skip(cause) => {
                return Input::Ended(id, Ended { state: State::Skipped, cause: Some(cause), exit: None });
            }
            Conditions::Wrong(detail) => {
                let judged = self.judged_error(step, &Cause::ActionError, &detail);
                return self.ended(id, judged, AttemptResult::unlooked(), None);
            }
            Conditions::Unknown(why) => return self.nothing_known(id, why),
        }
        let Some(recorded) = recorded else { return self.nothing_known(id, "the run has no such step".to_owned()) };
        let at = usize::try_from(attempt).unwrap_or(usize::MAX).saturating_sub(1);
        let Some(tried) = recorded.attempts.get(at) else {
            let Some(last) = recorded.attempts.last() else {
                let how = recorded.committed.cause.as_ref().map_or_else(String::new, |cause| format!(" ({cause})"));
                return self.nothing_known(id, format!("it was not run{how}"));
            };
            let tries = recorded.attempts.len();
            let note = format!("would have been tried again after attempt {tries}, the last one that was recorded");
            let file = self.files.entry(id).or_default();
            if !file.notes.contains(&note) {
                file.notes.push(note);
            }
            // As often as the plan allows: the end is that of the last attempt that there was.
            let state = file.attempts.last().map_or(last.result.state, |last| last.state);
            let cause = file.attempts.last().and_then(|last| last.cause.clone());
            return Input::Ended(id, Ended { state, cause, exit: super::code_of(last.result.exit.as_ref()) });
        };
        let judged = self.attempt(id, recorded, tried);
        let is_last = at + 1 == recorded.attempts.len();
        self.ended(id, judged, tried.result.clone(), Some((recorded, tried, is_last)))
    }

    /// Nobody knows how it would have ended: never a success.
    fn nothing_known(&mut self, id: StepId, why: String) -> Input {
        self.files.entry(id).or_default().unknown = Some(why);
        Input::Ended(id, Ended { state: State::Inconclusive, cause: Some(Cause::Undecided), exit: None })
    }

    fn ended(
        &mut self,
        id: StepId,
        mut judged: Judged,
        mut result: AttemptResult,
        from: Option<(&Recorded, &Tried, bool)>,
    ) -> Input {
        let step = self.step(id);
        if judged.state.is_failure() && judged.cause.is_none() {
            judged.cause = Some(Cause::Criteria);
        }
        if let (Some(Cause::Criteria), Some(Exit::Signal(name))) = (&judged.cause, &result.exit) {
            judged.detail = Some(format!("ended by {name}"));
            judged.cause = Some(Cause::Signal(name.clone()));
        }
        let success = judged.state.is_success();
        let mut given = Given::default();
        let mut note = None;
        if let Some((recorded, tried, is_last)) = from {
            let committed = &recorded.committed;
            given.identity = committed.action.clone().zip(committed.action_preimage.clone());
            given.inputs.clone_from(&committed.inputs);
            let taken_in = is_last && tried.result.state.is_success();
            if success && taken_in {
                given.outputs.clone_from(&committed.outputs);
                given.values.clone_from(&committed.values);
            } else if success && !(step.outputs.is_empty() && step.values.is_empty()) {
                note = Some("what it made was not taken in then, as it did not pass".to_owned());
            }
        }
        (result.state, result.cause) = (judged.state, judged.cause.clone());
        (result.detail, result.criteria) = (judged.detail, judged.criteria);
        self.shared.publish(id, result.state, &result.facts, &given);
        let allowed_empty = result.facts.inspected.count == 0 && step.allow_empty.is_some() && success;
        let exit = super::code_of(result.exit.as_ref());
        let ended = Ended { state: result.state, cause: result.cause.clone(), exit };
        result.facts = Facts::default();
        let file = self.files.entry(id).or_default();
        file.attempts.push(result);
        (file.given, file.allowed_empty) = (given, allowed_empty);
        file.notes.extend(note);
        let service = matches!(step.action, crate::action::Action::Service(_));
        if service && success { Input::Serving(id) } else { Input::Ended(id, ended) }
    }

    fn stop_service(&mut self, id: StepId) -> Input {
        let recorded = self.recorded.get(&self.step(id).name);
        let then = recorded.map(|recorded| &recorded.committed);
        let exit = then.and_then(|then| then.attempts.last()?.exit.clone());
        let died = then.is_some_and(|then| then.cause == Some(Cause::ServiceDied));
        let last = self.files.get_mut(&id).and_then(|file| file.attempts.last_mut());
        let state = last.as_ref().map_or(State::Pass, |last| last.state);
        let mut ended = Ended { state, cause: None, exit: None };
        if let Some(last) = last {
            last.exit = exit;
            if died {
                last.state = State::Fail;
                last.cause = Some(Cause::ServiceDied);
                last.detail = then.and_then(|then| then.detail.clone());
                ended = Ended {
                    state: State::Fail,
                    cause: Some(Cause::ServiceDied),
                    exit: super::code_of(last.exit.as_ref()),
                };
            }
        }
        Input::Ended(id, ended)
    }

    fn commit(&mut self, id: StepId, state: State, cause: Option<Cause>) {
        let file = self.files.remove(&id).unwrap_or_default();
        let step = self.step(id);
        let result = match file.attempts.last() {
            Some(last) => {
                let detail = match last.state == state {
                    true => last.detail.clone(),
                    false => cause.as_ref().map(ToString::to_string),
                };
                let (action, action_preimage) = file.given.identity.unzip();
                StepResult {
                    state,
                    cause,
                    detail,
                    action,
                    action_preimage,
                    inputs: file.given.inputs,
                    outputs: file.given.outputs,
                    values: file.given.values,
                    allowed_empty: file.allowed_empty.then(|| step.allow_empty.clone()).flatten(),
                    attempts: file.attempts,
                }
            }
            None => StepResult::unrun(state, cause.unwrap_or(Cause::Interrupted)),
        };
        if result.attempts.is_empty() {
            self.shared.unrun(id, state);
        } else {
            self.shared.restate(id, state, &result.outputs, &result.values);
        }
        self.over[id.index()] = Some(Rejudged { result, unknown: file.unknown, notes: file.notes });
    }

    /// `finally` steps see what a serial run would have left.
    fn main_done(&self) {
        for id in self.shared.plan.ids() {
            if let Some((state, Some(Cause::Stopped(_)))) = self.schedule.counted(id) {
                self.shared.unrun(id, state);
            }
        }
    }

    fn conditions(&self, step: &Step, recorded: Option<&Recorded>) -> Conditions {
        let steps = self.shared.named_by(step.when.iter());
        let nothing = Facts::default();
        for criterion in &step.when {
            if let Some(why) = lacking::outside(criterion) {
                let ran = recorded.is_some_and(|r| !r.attempts.is_empty() && r.when.contains(&criterion.text));
                let skipped = recorded.is_some_and(|r| r.committed.cause == Some(Cause::When(criterion.text.clone())));
                match (ran, skipped) {
                    (_, true) => return Conditions::Skip(Cause::When(criterion.text.clone())),
                    (true, _) => continue,
                    _ => return Conditions::Unknown(format!("whether `when = {}` held: {why}", criterion.text)),
                }
            }
            let evidence = self.shared.evidence(&nothing, &[], &steps, None);
            let result = criteria::evaluate(criterion, &evidence, self.shared.locate(criterion));
            match result.state {
                State::Pass => {}
                State::Fail => return Conditions::Skip(Cause::When(criterion.text.clone())),
                _ => {
                    let note = result.note.unwrap_or_else(|| "it can't be decided".to_owned());
                    return Conditions::Wrong(format!("`when = {}`: {note}", criterion.text));
                }
            }
        }
        Conditions::Hold
    }

    fn judged_error(&self, step: &Step, cause: &Cause, detail: &str) -> Judged {
        let steps = self.shared.named_by(step.criteria.iter());
        let nothing = Facts::default();
        let evidence = self.shared.evidence(&nothing, &[], &steps, Some(step));
        let locate = |criterion: &Criterion| self.shared.locate(criterion);
        judge::look(&step.criteria, &evidence, &locate, step.allow_empty.as_deref(), Some((cause, detail)))
    }
}

enum Conditions {
    Hold,
    Skip(Cause),
    Wrong(String),
    Unknown(String),
}
