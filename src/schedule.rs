//! What runs next: a pure state machine, `on(Input) -> Vec<Effect>`. Knows no clock, no process, no criteria.
//!
//! One state enum and one `set`, which keeps queues and counts in step. A step's worker slot and its pools are held
//! from launch to the end of the attempt; a service gives them back once it serves.
//!
//! Under `on_failure = "stop"` the result is that of a serial run in plan rank: after a failure at rank *r* everything
//! below *r* still runs, everything above is cancelled, whatever it was doing.

mod order;
mod words;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::graph::{Edge, Graph};
use crate::ids::{PoolId, StepId};
use crate::outcome::{Cause, State};
use crate::policy::{OnFailure, Retry, RunWhen};

pub use order::turns;
pub use words::{Effect, Ended, Input, Job};

/// Where a step stands. `Waiting` counts the predecessors that are not settled.
#[derive(Clone, Debug, PartialEq, Eq)]
enum St {
    Waiting(u32),
    Ready,
    Running,
    Sleeping,
    Serving,
    Done(State, Option<Cause>),
}

/// Which part of the run it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Main,
    Deciding,
    Finally,
    Finished,
}

type Key = (u64, u32, StepId);

/// The scheduler.
pub struct Schedule<'a> {
    graph: &'a Graph,
    jobs: Vec<Job>,
    workers: u32,
    /// The truth; everything below follows from it through `set`.
    states: Vec<St>,
    attempts: Vec<u32>,
    /// Ready steps by the pools they want; heads compete.
    ready: BTreeMap<Vec<PoolId>, BTreeSet<Key>>,
    busy: u32,
    free: Vec<u32>,
    /// Main and `finally` steps that are not over.
    open_main: usize,
    open_finally: usize,
    serving_main: usize,
    /// Per service: who comes after it, and how many of those are not over.
    users: BTreeMap<StepId, Users>,
    /// Lowest rank of a failure under `stop`.
    stop_rank: Option<u32>,
    interrupted: bool,
    killed: bool,
    expired: bool,
    phase: Phase,
    effects: Vec<Effect>,
}

struct Users {
    after: Vec<bool>,
    open: usize,
}

impl<'a> Schedule<'a> {
    /// A schedule for `jobs` (by step index) with `workers` slots and the capacities of the plan's pools.
    #[must_use]
    pub fn new(graph: &'a Graph, jobs: Vec<Job>, workers: u32, capacities: Vec<u32>) -> Self {
        let states = (0..jobs.len())
            .map(|index| St::Waiting(u32::try_from(graph.before(StepId::at(index)).count()).unwrap_or(u32::MAX)))
            .collect();
        let users = (0..jobs.len())
            .filter(|&index| jobs[index].service)
            .map(|index| {
                let after = graph.descendants(StepId::at(index));
                let open = after.iter().filter(|flag| **flag).count();
                (StepId::at(index), Users { after, open })
            })
            .collect();
        let open_finally = jobs.iter().filter(|job| job.finally).count();
        Self {
            graph,
            attempts: vec![0; jobs.len()],
            open_main: jobs.len() - open_finally,
            open_finally,
            serving_main: 0,
            jobs,
            workers: workers.max(1),
            states,
            ready: BTreeMap::new(),
            busy: 0,
            free: capacities,
            users,
            stop_rank: None,
            interrupted: false,
            killed: false,
            expired: false,
            phase: Phase::Main,
            effects: Vec::new(),
        }
    }

    /// Takes one input and says what has to be done, in order.
    pub fn on(&mut self, input: Input) -> Vec<Effect> {
        match input {
            Input::Begin => self.begin(),
            Input::Ended(id, ended) => self.ended(id, ended),
            Input::Serving(id) => self.serving(id),
            Input::Woke(id) => {
                if self.states[id.index()] == St::Sleeping {
                    self.set(id, St::Ready);
                }
            }
            Input::Finally => {
                if self.phase == Phase::Deciding {
                    self.phase = Phase::Finally;
                    self.wake_sources(true);
                }
            }
            Input::Interrupt => self.interrupt(),
            Input::Kill => self.kill(),
            Input::Expire => self.expire(),
        }
        self.launch();
        self.advance();
        std::mem::take(&mut self.effects)
    }

    /// How a step ended, once it has.
    #[must_use]
    pub fn result(&self, id: StepId) -> Option<(State, Option<&Cause>)> {
        match &self.states[id.index()] {
            St::Done(state, cause) => Some((*state, cause.as_ref())),
            _ => None,
        }
    }

    /// How a settled step counts: as in a serial run. A step above the failure that stops the run was not reached, even
    /// where it ran.
    #[must_use]
    pub fn counted(&self, id: StepId) -> Option<(State, Option<Cause>)> {
        match &self.states[id.index()] {
            St::Done(state, cause) if *cause == Some(Cause::Filtered) => Some((*state, cause.clone())),
            _ if self.stopper_below(id).is_some() => Some((State::NotRun, self.stopper_below(id).map(Cause::Stopped))),
            St::Done(state, cause) => Some((*state, cause.clone())),
            _ => None,
        }
    }

    /// The one transition: takes the step out of the queues and counts of its old state and into those of the new one.
    fn set(&mut self, id: StepId, to: St) {
        let index = id.index();
        let key = (self.jobs[index].turn, self.graph.rank(id), id);
        match &self.states[index] {
            St::Ready => {
                if let Some(queue) = self.ready.get_mut(&self.jobs[index].pools) {
                    queue.remove(&key);
                }
            }
            St::Running => {
                self.busy -= 1;
                for pool in &self.jobs[index].pools {
                    self.free[pool.0 as usize] += 1;
                }
            }
            St::Serving if !self.jobs[index].finally => self.serving_main -= 1,
            _ => {}
        }
        match &to {
            St::Ready => {
                self.ready.entry(self.jobs[index].pools.clone()).or_default().insert(key);
            }
            St::Running => {
                self.busy += 1;
                for pool in &self.jobs[index].pools {
                    self.free[pool.0 as usize] -= 1;
                }
            }
            St::Serving if !self.jobs[index].finally => self.serving_main += 1,
            St::Done(..) if self.jobs[index].finally => self.open_finally -= 1,
            St::Done(..) => self.open_main -= 1,
            _ => {}
        }
        self.states[index] = to;
    }

    fn ids(&self) -> impl Iterator<Item = StepId> + use<> {
        (0..self.jobs.len()).map(StepId::at)
    }

    /// Main steps from a rank on, in plan rank.
    fn main_from(&self, rank: usize) -> Vec<StepId> {
        self.graph.order()[rank..].iter().copied().filter(|id| !self.jobs[id.index()].finally).collect()
    }

    /// What was not selected is over before anything starts; then whatever waits for nothing.
    fn begin(&mut self) {
        for id in self.graph.order().to_vec() {
            if self.jobs[id.index()].filtered && !matches!(self.states[id.index()], St::Done(..)) {
                self.done(id, State::Skipped, Some(Cause::Filtered));
            }
        }
        self.wake_sources(false);
    }

    fn wake_sources(&mut self, finally: bool) {
        for id in self.ids() {
            if self.jobs[id.index()].finally == finally && self.states[id.index()] == St::Waiting(0) {
                self.settle_inputs(id);
            }
        }
    }

    /// All predecessors are settled: the step becomes ready, or is over without running.
    fn settle_inputs(&mut self, id: StepId) {
        if self.jobs[id.index()].finally && self.phase != Phase::Finally {
            return;
        }
        match self.verdict_before(id) {
            None => {
                self.set(id, St::Ready);
                self.effects.push(Effect::Ready(id));
            }
            Some((state, cause)) => self.done(id, state, Some(cause)),
        }
    }

    /// Why a step whose predecessors are settled does not run; `None` if it does.
    fn verdict_before(&self, id: StepId) -> Option<(State, Cause)> {
        let job = &self.jobs[id.index()];
        if job.filtered {
            return Some((State::Skipped, Cause::Filtered));
        }
        if self.killed || (self.interrupted && !job.finally) {
            return Some((State::NotRun, Cause::Interrupted));
        }
        if self.expired {
            return Some((State::NotRun, Cause::Timeout));
        }
        if let Some(stopper) = self.stopper_below(id) {
            return Some((State::NotRun, Cause::Stopped(stopper)));
        }
        self.skip_by_needs(id).map(|cause| (State::Skipped, cause))
    }

    /// The step whose failure stops `id`, if `id` lies above it.
    fn stopper_below(&self, id: StepId) -> Option<String> {
        let rank = self.stop_rank?;
        let stopped = !self.jobs[id.index()].finally && self.graph.rank(id) > rank;
        stopped.then(|| self.jobs[self.graph.order()[rank as usize].index()].name.clone())
    }

    fn skip_by_needs(&self, id: StepId) -> Option<Cause> {
        let job = &self.jobs[id.index()];
        let mut needs: Vec<StepId> =
            self.graph.before(id).filter(|(_, edge)| *edge == Edge::Needs).map(|(earlier, _)| earlier).collect();
        needs.sort_by_key(|need| self.graph.rank(*need));
        let failed = |need: &StepId| self.failure_of(*need);
        match job.run_when {
            RunWhen::Always => None,
            RunWhen::Failure => {
                let none = !needs.iter().any(|need| failed(need).is_some());
                none.then(|| Cause::RunWhen("`run_when = \"failure\"`, and nothing it needs failed".into()))
            }
            RunWhen::Completed => needs.iter().find_map(|need| match self.counted(*need) {
                Some((State::Skipped | State::NotRun, cause)) if cause != Some(Cause::Filtered) => {
                    Some(self.blocked_by(*need))
                }
                _ => None,
            }),
            RunWhen::Success => needs.iter().find_map(|need| {
                let tolerated = self.jobs[need.index()].on_failure == OnFailure::Continue;
                match self.counted(*need) {
                    Some((_, Some(Cause::Filtered))) | None => None,
                    Some((state, _)) if state.is_success() || (state.is_failure() && tolerated) => None,
                    Some(_) => Some(self.blocked_by(*need)),
                }
            }),
        }
    }

    /// The failure a need stands for, directly or through a skip that was caused by one.
    fn failure_of(&self, need: StepId) -> Option<String> {
        match self.counted(need)? {
            (State::Skipped, Some(Cause::NeedFailed(root))) => Some(root),
            (State::Skipped, _) => None,
            (state, _) => (!state.is_success()).then(|| self.jobs[need.index()].name.clone()),
        }
    }

    /// The cause for a step that needs `need`: it names the root, not the link.
    fn blocked_by(&self, need: StepId) -> Cause {
        if let Some(root) = self.failure_of(need) {
            return Cause::NeedFailed(root);
        }
        match self.counted(need) {
            Some((_, Some(Cause::NeedSkipped(root)))) => Cause::NeedSkipped(root),
            _ => Cause::NeedSkipped(self.jobs[need.index()].name.clone()),
        }
    }

    /// A step is over: tells its successors and the services before it. Iterative: a skip may run down a long chain.
    fn done(&mut self, id: StepId, state: State, cause: Option<Cause>) {
        let mut over = vec![(id, state, cause)];
        while let Some((id, state, cause)) = over.pop() {
            let was_serving = self.states[id.index()] == St::Serving;
            self.set(id, St::Done(state, cause.clone()));
            self.effects.push(Effect::Done(id, state, cause));
            self.release_services(id);
            if was_serving {
                continue;
            }
            for next in self.settled_successors(id) {
                match self.verdict_before(next) {
                    None => {
                        self.set(next, St::Ready);
                        self.effects.push(Effect::Ready(next));
                    }
                    Some((state, cause)) => over.push((next, state, Some(cause))),
                }
            }
        }
    }

    /// Counts one predecessor of each successor as settled; gives those with none left, lowest rank last.
    fn settled_successors(&mut self, id: StepId) -> Vec<StepId> {
        let mut settled = Vec::new();
        let nexts: Vec<StepId> = self.graph.next(id).map(|(next, _)| next).collect();
        for next in nexts {
            if let St::Waiting(left) = self.states[next.index()] {
                self.states[next.index()] = St::Waiting(left - 1);
                let may = !self.jobs[next.index()].finally || self.phase == Phase::Finally;
                if left == 1 && may {
                    settled.push(next);
                }
            }
        }
        settled.sort_by_key(|next| Reverse(self.graph.rank(*next)));
        settled
    }

    fn release_services(&mut self, id: StepId) {
        let mut idle = Vec::new();
        for (service, users) in &mut self.users {
            if users.after[id.index()] {
                users.open -= 1;
                if users.open == 0 && self.states[service.index()] == St::Serving {
                    idle.push(*service);
                }
            }
        }
        for service in idle {
            self.effects.push(Effect::StopService(service, false));
        }
    }

    fn serving(&mut self, id: StepId) {
        if self.states[id.index()] != St::Running {
            return;
        }
        self.set(id, St::Serving);
        let mut settled = self.settled_successors(id);
        settled.reverse();
        for next in settled {
            self.settle_inputs(next);
        }
        if self.interrupted || self.stopper_below(id).is_some() {
            self.halt(id, None, self.killed);
        } else if self.users.get(&id).is_some_and(|users| users.open == 0) {
            self.effects.push(Effect::StopService(id, false));
        }
    }

    fn ended(&mut self, id: StepId, ended: Ended) {
        if matches!(self.states[id.index()], St::Done(..)) {
            return;
        }
        if let Some(stopper) = self.stopper_below(id) {
            return self.done(id, State::NotRun, Some(Cause::Stopped(stopper)));
        }
        let was_running = self.states[id.index()] == St::Running;
        let job = &self.jobs[id.index()];
        if was_running && self.may_retry(id, &ended) {
            let made = self.attempts[id.index()];
            let pause = pause(&job.retry, made);
            self.set(id, St::Sleeping);
            self.effects.push(Effect::Sleep(id, pause, made + 1));
            return;
        }
        let stops = ended.state.is_failure() && job.required && job.on_failure == OnFailure::Stop && !job.finally;
        if stops && !self.interrupted {
            self.stop_above(self.graph.rank(id));
        }
        self.done(id, ended.state, ended.cause);
    }

    fn may_retry(&self, id: StepId, ended: &Ended) -> bool {
        let retry = &self.jobs[id.index()].retry;
        let final_cause = matches!(ended.cause, Some(Cause::Rejected | Cause::Interrupted | Cause::SecretInOutput));
        let wanted = retry.exit.is_empty() || ended.exit.is_some_and(|code| retry.exit.contains(&code));
        let halted = self.killed || self.expired || (self.interrupted && !self.jobs[id.index()].finally);
        ended.state.is_failure() && !final_cause && wanted && !halted && self.attempts[id.index()] <= retry.limit
    }

    /// Cancels everything above a rank; what lies below goes on.
    fn stop_above(&mut self, rank: u32) {
        if self.stop_rank.is_some_and(|lower| lower <= rank) {
            return;
        }
        self.stop_rank = Some(rank);
        for id in self.main_from(rank as usize + 1) {
            let cause = self.stopper_below(id).map(Cause::Stopped);
            self.halt(id, cause, false);
        }
    }

    fn interrupt(&mut self) {
        if std::mem::replace(&mut self.interrupted, true) {
            return;
        }
        for id in self.main_from(0) {
            self.halt(id, Some(Cause::Interrupted), false);
        }
    }

    fn kill(&mut self) {
        self.interrupted = true;
        self.killed = true;
        let order = self.graph.order().to_vec();
        for id in order {
            self.halt(id, Some(Cause::Interrupted), true);
        }
    }

    fn expire(&mut self) {
        self.expired = true;
        let order = self.graph.order().to_vec();
        for id in order {
            self.halt(id, Some(Cause::Timeout), false);
        }
    }

    /// Ends a step wherever it stands: at once if it does not run, by an effect if it does.
    fn halt(&mut self, id: StepId, cause: Option<Cause>, now: bool) {
        match self.states[id.index()] {
            St::Waiting(_) | St::Ready if self.jobs[id.index()].filtered => {
                self.done(id, State::Skipped, Some(Cause::Filtered));
            }
            St::Waiting(_) | St::Ready => self.done(id, State::NotRun, cause),
            St::Sleeping => {
                self.effects.push(Effect::Unsleep(id));
                self.done(id, State::NotRun, cause);
            }
            St::Running => self.effects.push(Effect::Cancel(id, now)),
            St::Serving => {
                let needed = !now && self.users.get(&id).is_some_and(|users| self.needed_still(users));
                if !needed {
                    self.effects.push(Effect::StopService(id, now));
                }
            }
            St::Done(..) => {}
        }
    }

    /// Whether a `finally` step that still has to run comes after the service.
    fn needed_still(&self, users: &Users) -> bool {
        self.ids().any(|id| {
            users.after[id.index()] && self.jobs[id.index()].finally && !matches!(self.states[id.index()], St::Done(..))
        })
    }

    /// Starts what may start: of all queues whose pools are free, the head with the lowest turn first.
    fn launch(&mut self) {
        while self.busy < self.workers {
            let fits = |pools: &[PoolId]| pools.iter().all(|pool| self.free[pool.0 as usize] > 0);
            let best = self.ready.iter().filter(|(pools, _)| fits(pools)).filter_map(|(_, queue)| queue.first()).min();
            let Some(&(_, _, id)) = best else { return };
            // A service it needs may have died since it became ready.
            if let Some((state, cause)) = self.verdict_before(id) {
                self.done(id, state, Some(cause));
                continue;
            }
            self.set(id, St::Running);
            self.attempts[id.index()] += 1;
            self.effects.push(Effect::Launch(id, self.attempts[id.index()]));
        }
    }

    fn advance(&mut self) {
        if self.phase == Phase::Main && self.open_main == self.serving_main && self.busy == 0 {
            self.stop_idle_or_decide();
        }
        if self.phase == Phase::Finally && self.open_finally == 0 && self.open_main == 0 {
            self.phase = Phase::Finished;
            self.effects.push(Effect::Finished);
        }
    }

    /// Services that only `finally` steps still need go on serving; all others have been told to end by now.
    fn stop_idle_or_decide(&mut self) {
        let all_needed = self.ids().all(|id| {
            self.states[id.index()] != St::Serving || self.users.get(&id).is_some_and(|users| users.open > 0)
        });
        if all_needed {
            self.phase = Phase::Deciding;
            self.effects.push(Effect::MainDone);
        }
    }
}

/// Pause before the attempt after `made` attempts: `backoff · factor^(made-1)`, at most `cap`.
fn pause(retry: &Retry, made: u32) -> Duration {
    let mut pause = retry.backoff.min(retry.cap);
    for _ in 1..made.min(64) {
        pause = (pause * retry.factor_percent / 100).min(retry.cap);
    }
    pause
}

#[cfg(test)]
mod tests;
