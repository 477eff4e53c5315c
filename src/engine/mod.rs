//! The one async loop: select {finished, signal, tick}; feeds the schedule, performs its effects, emits events.
//!
//! Judges nothing itself and knows no format: `attempt` runs one attempt, the schedule says what comes next, the
//! outlet stores and shows.

mod attempt;
pub mod heads;
mod made;
mod outputs;
mod prepare;
pub mod rejudge;
mod reuse;
mod service;
mod shared;
pub mod signals;
mod world;

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::future::LocalBoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{mpsc, watch};

use crate::act::Stop;
use crate::decide;
use crate::event::{Event, EventKind, Sink};
use crate::facts::{Facts, Value};
use crate::graph::Graph;
use crate::ids::StepId;
use crate::outcome::{AttemptResult, Cause, Decision, Exit, RunStatus, State, StepResult};
use crate::plan::Plan;
use crate::policy::{SignoffPolicy, SignoffStanding};
use crate::schedule::{Effect, Ended, Input, Schedule};

use attempt::{Attempted, Begun, Given};
use shared::Shared;
use signals::{Signal, Signals};

pub use reuse::{Forecast, forecast, may_reuse};
pub use world::{KeepError, Keeper, Known, Options, Trust, World};

/// Time budget of all `finally` steps if the plan sets none.
const FINALLY_BUDGET: Duration = Duration::from_secs(600);

/// For how long results are taken over without looking for signals.
const TURN: Duration = Duration::from_millis(5);

/// Where events go. An error means the record is not safe: the run ends at once.
pub trait Outlet: Sink {
    /// The engine is about to do what it told: all that it told so far is written. `mono` as in [`Event::mono`].
    ///
    /// # Errors
    /// As those of an event.
    fn settle(&mut self, mono: u64) -> io::Result<()>;
    /// Time passed; `mono` as in [`Event::mono`].
    fn tick(&mut self, mono: u64);
    /// The engine is about to be stopped (Ctrl-Z): the terminal belongs to somebody else until the next call.
    fn pause(&mut self);
}

/// What ended in the loop's set of futures.
enum Over {
    Attempt(Box<Attempted>),
    Woke(StepId, u32),
    Service(service::Ended),
    Budget,
}

/// What is remembered of a step while it goes on.
#[derive(Default)]
struct Course {
    attempts: Vec<AttemptResult>,
    given: Given,
    allowed_empty: bool,
    /// Facts of a service's start, published again when it ends.
    sleeping: Option<u32>,
}

struct Loop<'a, 'o> {
    shared: Rc<Shared<'a>>,
    schedule: Schedule<'a>,
    outlet: &'o mut dyn Outlet,
    running: FuturesUnordered<LocalBoxFuture<'a, Over>>,
    stops: BTreeMap<StepId, watch::Sender<Stop>>,
    courses: BTreeMap<StepId, Course>,
    risks: Vec<(String, u32)>,
    /// Nobody can have signed what is not over.
    signoffs: Vec<SignoffStanding>,
    signals_seen: u32,
    interrupted: Option<Signal>,
    finished: bool,
    /// The time budget of the `finally` steps is spent.
    expired: bool,
    /// When the loop last looked for what ended and what was asked.
    turned: Instant,
}

/// How a run ended.
pub struct Outcome {
    /// Decided or interrupted.
    pub status: RunStatus,
    /// The decision over what was settled.
    pub decision: Decision,
    /// What each ratchet's subject reached in a step that succeeded, by step name.
    pub reached: BTreeMap<String, Value>,
}

/// Runs a plan. The status is decided or interrupted; the caller closes the journal.
///
/// # Errors
/// When an event could not be stored: every child has been ended, the result is unknown.
pub async fn run<'a>(
    plan: &'a Plan,
    graph: &'a Graph,
    world: &'a World,
    keeper: &'a dyn Keeper,
    options: &'a Options,
    open: EventKind,
    outlet: &mut dyn Outlet,
) -> io::Result<Outcome> {
    let mut signals = Signals::listen()?;
    let (tell, mut told) = mpsc::unbounded_channel();
    let (risks, signoffs) = match &open {
        EventKind::Open { plan, .. } => (plan.risks.clone(), unsigned(plan.signoffs.as_ref())),
        _ => Default::default(),
    };
    let shared = Rc::new(Shared::new(plan, graph, world, keeper, options, tell));
    let capacities = plan.pools.iter().map(|pool| pool.capacity).collect();
    let mut this = Loop {
        schedule: Schedule::new(graph, heads::jobs(plan, graph, options), options.jobs, capacities),
        shared,
        outlet,
        running: FuturesUnordered::new(),
        stops: BTreeMap::new(),
        courses: BTreeMap::new(),
        risks,
        signoffs,
        signals_seen: 0,
        interrupted: None,
        finished: false,
        expired: false,
        turned: Instant::now(),
    };
    let outcome = this.drive(open, &mut signals, &mut told).await;
    match outcome {
        Ok(decision) => {
            let status = match this.interrupted {
                Some(signal) => RunStatus::Interrupted(signal.number()),
                None => RunStatus::Decided(decision.verdict),
            };
            Ok(Outcome { status, decision, reached: this.shared.reached.take() })
        }
        Err(error) => {
            this.abandon().await;
            // What is known is written if it can be; that it is not enough is known already.
            let _ = this.outlet.settle(world.mono());
            Err(error)
        }
    }
}

impl<'a> Loop<'a, '_> {
    async fn drive(
        &mut self,
        open: EventKind,
        signals: &mut Signals,
        told: &mut mpsc::UnboundedReceiver<EventKind>,
    ) -> io::Result<Decision> {
        self.emit(open)?;
        let idle = reuse::idle_services(&self.shared);
        *self.shared.idle.borrow_mut() = idle;
        self.feed(Input::Begin)?;
        let mut tick = tokio::time::interval(Duration::from_millis(100));
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        while !self.finished {
            self.outlet.settle(self.shared.world.mono())?;
            self.turned = Instant::now();
            tokio::select! {
                biased;
                Some(kind) = told.recv() => self.emit(kind)?,
                Some(signal) = signals.next() => self.signal(signal)?,
                Some(over) = self.running.next() => {
                    while let Ok(kind) = told.try_recv() {
                        self.emit(kind)?;
                    }
                    if let Some(why) = self.shared.lost.get() {
                        return Err(io::Error::other(why.clone()));
                    }
                    self.over(over)?;
                }
                _ = tick.tick() => self.outlet.tick(self.shared.world.mono()),
            }
        }
        let decision = self.decide();
        self.emit(EventKind::Decision { decision: Box::new(decision.clone()), last: true })?;
        self.outlet.settle(self.shared.world.mono())?;
        Ok(decision)
    }

    fn emit(&mut self, kind: EventKind) -> io::Result<()> {
        self.emit_whole(kind).map(drop)
    }

    /// Emits and gives back what was told.
    fn emit_whole(&mut self, kind: EventKind) -> io::Result<EventKind> {
        let world = self.shared.world;
        let kind = match &world.mask {
            Some(mask) => heads::masked_event(kind, mask),
            None => kind,
        };
        let event = Event { at: (world.now)(), mono: world.mono(), kind };
        self.outlet.event(&event)?;
        Ok(event.kind)
    }

    fn feed(&mut self, input: Input) -> io::Result<()> {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            for effect in self.schedule.on(input) {
                if let Some(answer) = self.perform(effect)? {
                    inputs.push_back(answer);
                }
            }
        }
        Ok(())
    }

    fn perform(&mut self, effect: Effect) -> io::Result<Option<Input>> {
        match effect {
            Effect::Ready(step) => self.emit(EventKind::Ready { step })?,
            Effect::Launch(step, attempt) => return self.launch(step, attempt),
            Effect::Sleep(step, pause, attempt) => self.sleep(step, pause, attempt)?,
            Effect::Unsleep(step) => self.courses.entry(step).or_default().sleeping = None,
            Effect::Done(step, state, cause) => self.commit(step, state, cause)?,
            Effect::Cancel(step, now) => self.ask(step, now),
            Effect::StopService(step, now) => {
                if self.stops.contains_key(&step) {
                    self.emit(EventKind::Stopping { step })?;
                } else if let Some(course) = self.courses.get(&step)
                    && self.shared.idle.borrow().contains(&step)
                {
                    // It never served: its earlier result stands.
                    let state = course.attempts.last().map_or(State::Pass, |last| last.state);
                    let ended = Ended { state, cause: None, exit: None };
                    return Ok(Some(Input::Ended(step, ended)));
                }
                self.ask(step, now);
            }
            Effect::MainDone => return self.main_done().map(Some),
            Effect::Finished => self.finished = true,
        }
        Ok(None)
    }

    fn launch(&mut self, step: StepId, attempt: u32) -> io::Result<Option<Input>> {
        self.emit(EventKind::Start { step, attempt })?;
        let begun = match self.begin(step, attempt) {
            Some((_, Begun::Reuse(known))) => return self.reused(step, *known).map(Some),
            begun => begun,
        };
        let (send, receive) = watch::channel(Stop::Run);
        self.stops.insert(step, send);
        let shared = self.shared.clone();
        let future = async move { Over::Attempt(Box::new(attempt::run(shared, step, attempt, receive, begun).await)) };
        self.running.push(Box::pin(future));
        Ok(None)
    }

    /// What becomes of an attempt, where an earlier result may stand for it. Nothing is done then that the journal has to
    /// know of first, so many may be told at once; but not for so long that nobody looks for signals.
    fn begin(&self, step: StepId, attempt: u32) -> Option<(tokio::time::Instant, Begun)> {
        let is_known = || self.shared.options.known.borrow().contains_key(&self.shared.plan.step(step).name);
        if attempt > 1 || self.turned.elapsed() >= TURN || !is_known() {
            return None;
        }
        Some((tokio::time::Instant::now(), attempt::begin(&self.shared, step, attempt)))
    }

    fn sleep(&mut self, step: StepId, pause: Duration, attempt: u32) -> io::Result<()> {
        let after_ns = u64::try_from(pause.as_nanos()).unwrap_or(u64::MAX);
        self.emit(EventKind::Retry { step, attempt, after_ns })?;
        self.courses.entry(step).or_default().sleeping = Some(attempt);
        self.running.push(Box::pin(async move {
            tokio::time::sleep(pause).await;
            Over::Woke(step, attempt)
        }));
        Ok(())
    }

    fn ask(&mut self, step: StepId, now: bool) {
        if let Some(stop) = self.stops.get(&step) {
            let wanted = if now { Stop::Kill } else { Stop::Term };
            stop.send_if_modified(|stop| {
                let raise = wanted > *stop;
                *stop = wanted.max(*stop);
                raise
            });
        }
    }

    fn over(&mut self, over: Over) -> io::Result<()> {
        match over {
            Over::Attempt(attempted) => self.attempted(*attempted),
            Over::Woke(step, attempt) => {
                if self.courses.get(&step).is_some_and(|course| course.sleeping == Some(attempt)) {
                    self.feed(Input::Woke(step))?;
                }
                Ok(())
            }
            Over::Service(ended) => self.service_over(ended),
            Over::Budget => {
                let text = "the `finally` steps ran out of their time budget".to_owned();
                self.emit(EventKind::Warn { step: None, code: "finally_budget".into(), text })?;
                self.expired = true;
                self.feed(Input::Expire)
            }
        }
    }

    fn attempted(&mut self, attempted: Attempted) -> io::Result<()> {
        let Attempted { step, attempt, skip, mut result, given, held, allowed_empty, reused } = attempted;
        if let Some(known) = reused {
            let input = self.reused(step, *known)?;
            return self.feed(input);
        }
        if let Some(cause) = skip {
            self.stops.remove(&step);
            return self.feed(Input::Ended(step, Ended { state: State::Skipped, cause: Some(cause), exit: None }));
        }
        if result.cause == Some(Cause::Interrupted) && self.expired && self.interrupted.is_none() {
            result.state = State::Error;
            result.cause = Some(Cause::Timeout);
            result.detail = Some("the time budget of the `finally` steps ran out".to_owned());
        } else if result.cause == Some(Cause::Interrupted) {
            result.state = State::NotRun;
        }
        self.shared.publish(step, result.state, &result.facts, &given);
        self.shared.executed(step);
        for note in &result.notes {
            let (code, text) = (note.code.clone(), note.text.clone());
            self.emit(EventKind::Warn { step: Some(step), code, text })?;
        }
        let ended = Ended { state: result.state, cause: result.cause.clone(), exit: code_of(result.exit.as_ref()) };
        let told = self.emit_whole(EventKind::Attempt { step, attempt, result: Box::new(result) })?;
        let course = self.courses.entry(step).or_default();
        if let EventKind::Attempt { mut result, .. } = told {
            result.facts = Facts::default();
            course.attempts.push(*result);
        }
        course.given = given;
        course.allowed_empty = allowed_empty;
        let kept = (self.folder(step), attempt);
        match held {
            Some(held) if ended.state.is_success() => {
                self.emit(EventKind::Serving { step })?;
                let stop = self.stops.get(&step).map(watch::Sender::subscribe);
                self.running.push(Box::pin(service::serve(step, held, stop, kept)));
                self.feed(Input::Serving(step))
            }
            Some(held) => {
                // Ready, but a criterion does not hold: it must not outlive its failure.
                self.running.push(Box::pin(service::refuse(step, held, ended, kept)));
                Ok(())
            }
            None => {
                self.stops.remove(&step);
                self.feed(Input::Ended(step, ended))
            }
        }
    }

    /// Where a service keeps what it writes; nowhere for all other steps.
    fn folder(&self, step: StepId) -> PathBuf {
        let service = matches!(self.shared.plan.step(step).action, crate::action::Action::Service(_));
        let folder = || self.shared.keeper.spool(self.shared.graph.rank(step), &self.shared.plan.step(step).name).ok();
        service.then(folder).flatten().unwrap_or_default()
    }

    /// An earlier result stands for a new one: it is told and committed as it is.
    fn reused(&mut self, step: StepId, known: Known) -> io::Result<Input> {
        self.stops.remove(&step);
        let Known { run, mut result, .. } = known;
        self.emit(EventKind::Reused { step, run })?;
        let given = Given {
            identity: result.action.zip(result.action_preimage),
            inputs: result.inputs,
            outputs: result.outputs,
            values: result.values,
        };
        let attempt = u32::try_from(result.attempts.len()).unwrap_or(u32::MAX);
        let mut ended = Ended { state: result.state, cause: result.cause, exit: None };
        if let Some(last) = result.attempts.pop() {
            self.shared.publish(step, result.state, &last.facts, &given);
            ended.exit = code_of(last.exit.as_ref());
            let told = self.emit_whole(EventKind::Attempt { step, attempt, result: Box::new(last) })?;
            if let EventKind::Attempt { result: mut last, .. } = told {
                last.facts = Facts::default();
                result.attempts.push(*last);
            }
        }
        let course = self.courses.entry(step).or_default();
        course.attempts = result.attempts;
        course.given = given;
        course.allowed_empty = result.allowed_empty.is_some();
        let idle = self.shared.idle.borrow().contains(&step);
        Ok(if idle { Input::Serving(step) } else { Input::Ended(step, ended) })
    }

    fn service_over(&mut self, over: service::Ended) -> io::Result<()> {
        let service::Ended { step, how, notes, spools } = over;
        self.stops.remove(&step);
        for note in notes {
            self.emit(EventKind::Warn { step: Some(step), code: note.code, text: note.text })?;
        }
        let mut last = self.courses.get_mut(&step).and_then(|course| course.attempts.last_mut());
        if let Some(last) = &mut last {
            last.spools = spools;
        }
        let ended = match (how, last) {
            (service::How::Refused(ended), _) => ended,
            (service::How::Stopped(exit), last) => {
                let state = last.as_ref().map_or(State::Pass, |last| last.state);
                if let Some(last) = last {
                    last.exit = Some(exit);
                }
                Ended { state, cause: None, exit: None }
            }
            (service::How::Died(exit), last) => {
                if let Some(last) = last {
                    last.state = State::Fail;
                    last.cause = Some(Cause::ServiceDied);
                    last.detail = Some(format!("ended by itself ({}) while steps still needed it", shown(&exit)));
                    last.exit = Some(exit.clone());
                }
                Ended { state: State::Fail, cause: Some(Cause::ServiceDied), exit: code_of(Some(&exit)) }
            }
        };
        self.feed(Input::Ended(step, ended))
    }

    fn commit(&mut self, step: StepId, state: State, cause: Option<Cause>) -> io::Result<()> {
        let result = match self.courses.remove(&step) {
            Some(course) if !course.attempts.is_empty() => {
                let last = course.attempts.last();
                let detail = match last {
                    Some(last) if last.state == state => last.detail.clone(),
                    _ => cause.as_ref().map(ToString::to_string),
                };
                let reason = course.allowed_empty.then(|| self.shared.plan.step(step).allow_empty.clone()).flatten();
                let (action, action_preimage) = course.given.identity.unzip();
                StepResult {
                    state,
                    cause,
                    detail,
                    attempts: course.attempts,
                    action,
                    action_preimage,
                    inputs: course.given.inputs,
                    outputs: course.given.outputs,
                    values: course.given.values,
                    allowed_empty: reason,
                }
            }
            _ => StepResult::unrun(state, cause.unwrap_or(Cause::Interrupted)),
        };
        if result.attempts.is_empty() {
            self.shared.unrun(step, state);
        } else {
            self.shared.restate(step, state, &result.outputs, &result.values);
        }
        self.emit(EventKind::Commit { step, result: Box::new(result) })
    }

    /// Every main step is over: the decision so far, which `finally` steps may see. They see what a serial run would
    /// have left: nothing of a step above the failure that stopped the run, even where it had already ended.
    fn main_done(&mut self) -> io::Result<Input> {
        for id in self.shared.plan.ids() {
            if let Some((state, Some(Cause::Stopped(_)))) = self.schedule.counted(id) {
                self.shared.unrun(id, state);
            }
        }
        let decision = self.decide();
        self.shared.decision.set(Some(decision.verdict));
        if self.shared.plan.steps.iter().any(|step| step.finally) {
            self.emit(EventKind::Decision { decision: Box::new(decision), last: false })?;
            let budget = self.shared.plan.finally_timeout.unwrap_or(FINALLY_BUDGET);
            self.running.push(Box::pin(async move {
                tokio::time::sleep(budget).await;
                Over::Budget
            }));
        }
        Ok(Input::Finally)
    }

    /// The decision over what is settled; a service that still serves counts as it came up.
    fn decide(&self) -> Decision {
        let plan = self.shared.plan;
        let settled = self.shared.graph.order().iter().filter_map(|&id| {
            let (state, cause) = self.schedule.counted(id)?;
            let step = plan.step(id);
            let (id, required, weight_permille) = (step.name.clone(), step.required, step.weight_permille());
            Some(decide::StepView { id, required, finally: step.finally, state, cause, weight_permille })
        });
        let policy = decide::Policy { go: plan.decision.go, no_go: plan.decision.no_go };
        let decision = decide::decide(&settled.collect::<Vec<_>>(), policy, &self.risks, self.interrupted.is_some());
        decide::with_signoffs(decision, &self.signoffs)
    }

    fn signal(&mut self, signal: Signal) -> io::Result<()> {
        if signal.only_pauses() {
            self.outlet.pause();
            signals::pause();
            return Ok(());
        }
        self.signals_seen += 1;
        self.interrupted.get_or_insert(signal);
        self.emit(EventKind::Signal { name: signal.name().to_owned(), count: self.signals_seen })?;
        self.feed(if self.signals_seen == 1 { Input::Interrupt } else { Input::Kill })
    }

    /// The record is not safe: end every child, tell nobody, wait until they are gone.
    async fn abandon(&mut self) {
        for stop in self.stops.values() {
            stop.send_replace(Stop::Kill);
        }
        let patience = tokio::time::sleep(Duration::from_secs(10));
        tokio::pin!(patience);
        while !self.stops.is_empty() {
            tokio::select! {
                over = self.running.next() => match over {
                    Some(Over::Attempt(attempted)) => {
                        self.stops.remove(&attempted.step);
                        if let Some(held) = attempted.held {
                            held.stop(true).await;
                        }
                    }
                    Some(Over::Service(ended)) => drop(self.stops.remove(&ended.step)),
                    Some(Over::Woke(..) | Over::Budget) => {}
                    None => return,
                },
                () = &mut patience => return,
            }
        }
    }
}

/// Every role as it stands when a run ends.
#[must_use]
pub fn unsigned(policy: Option<&SignoffPolicy>) -> Vec<SignoffStanding> {
    policy.iter().flat_map(|policy| &policy.roles).map(|role| SignoffStanding::missing(role)).collect()
}

fn code_of(exit: Option<&Exit>) -> Option<i32> {
    match exit {
        Some(Exit::Code(code)) => Some(*code),
        _ => None,
    }
}

fn shown(exit: &Exit) -> String {
    match exit {
        Exit::Code(code) => format!("exit code {code}"),
        Exit::Signal(name) => name.clone(),
    }
}
