//! A stand-in for every action that plays what a table says: for tests of the engine. Starts no process and opens no connection.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::{Act, ActError, Held, Lent, Look, Observation, Request, Stop};
use crate::facts::Facts;
use crate::outcome::{Cause, Exit, Note};

/// What one look does.
#[derive(Clone, Debug, Default)]
pub struct Play {
    /// What it sees.
    pub facts: Facts,
    /// How its process ends, if it has one.
    pub exit: Option<Exit>,
    /// It fails instead, with this cause and sentence; facts and exit are kept.
    pub error: Option<(Cause, String)>,
    /// How often it lets others run before it goes on.
    pub yields: u32,
    /// How long it takes on tokio's clock, after that.
    pub delay: Duration,
    /// It leaves a service running.
    pub service: Option<Service>,
}

/// A service that is only pretended.
#[derive(Clone, Debug)]
pub struct Service {
    /// It ends by itself after this time, like this.
    pub dies: Option<(Duration, Exit)>,
    /// How it ends when it is stopped.
    pub stops: Exit,
}

impl Play {
    /// A process with this exit code and the facts that follow.
    #[must_use]
    pub fn exit(code: i32) -> Self {
        let mut facts = Facts::about(1, "process");
        facts.set("exit", crate::facts::Value::int(code));
        facts.set("signal", crate::facts::Value::Null);
        Self { facts, exit: Some(Exit::Code(code)), ..Self::default() }
    }

    /// A look that fails.
    #[must_use]
    pub fn error(cause: Cause, detail: &str) -> Self {
        Self { error: Some((cause, detail.to_owned())), ..Self::default() }
    }

    /// The same, but letting others run first.
    #[must_use]
    pub fn yielding(self, yields: u32) -> Self {
        Self { yields, ..self }
    }

    /// The same, but taking this long.
    #[must_use]
    pub fn taking(self, delay: Duration) -> Self {
        Self { delay, ..self }
    }
}

/// Something that happened to a look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// A look of this step began (attempt from 1).
    Began(String, u32),
    /// It ended.
    Ended(String, u32),
    /// The step's service was stopped.
    Stopped(String),
}

/// Plays the looks of each step in order; the last one again and again. A step without any passes with exit code 0.
#[derive(Default)]
pub struct Scripted {
    table: BTreeMap<String, Vec<Play>>,
    looks: RefCell<BTreeMap<String, usize>>,
    log: std::rc::Rc<RefCell<Vec<Seen>>>,
    running: Cell<usize>,
    most: Cell<usize>,
}

impl Scripted {
    /// From a table of step names and their looks.
    #[must_use]
    pub fn new(table: impl IntoIterator<Item = (String, Vec<Play>)>) -> Self {
        Self { table: table.into_iter().collect(), ..Self::default() }
    }

    /// What happened so far, in order.
    #[must_use]
    pub fn log(&self) -> Vec<Seen> {
        self.log.borrow().clone()
    }

    /// The most looks that ever ran at once.
    #[must_use]
    pub fn most_at_once(&self) -> usize {
        self.most.get()
    }

    /// How often a step was looked at.
    #[must_use]
    pub fn looks(&self, step: &str) -> usize {
        self.looks.borrow().get(step).copied().unwrap_or(0)
    }

    fn next(&self, step: &str) -> Play {
        let mut looks = self.looks.borrow_mut();
        let count = looks.entry(step.to_owned()).or_default();
        let plays = self.table.get(step).map_or(&[][..], Vec::as_slice);
        let play = plays.get(*count).or(plays.last()).cloned();
        *count += 1;
        play.unwrap_or_else(|| Play::exit(0))
    }
}

impl Act for Scripted {
    fn look<'a>(&'a self, request: &'a Request, lent: &'a Lent) -> Look<'a> {
        Box::pin(async move {
            let play = self.next(&request.step);
            let _running = Running::enter(self, request);
            let mut stop = lent.stop.clone();
            let ending = tokio::select! {
                biased;
                () = pass(&play) => None,
                cause = ended(&mut stop, request.deadline) => Some(cause),
            };
            let error = match ending {
                Some(Cause::Timeout) => Some((Cause::Timeout, "ran longer than it may".to_owned())),
                Some(cause) => Some((cause, "interrupted".to_owned())),
                None => play.error,
            };
            let Some((cause, detail)) = error else {
                let held = play.service.map(|service| -> Box<dyn Held> {
                    Box::new(Pretended {
                        step: request.step.clone(),
                        since: Instant::now(),
                        service,
                        log: std::rc::Rc::clone(&self.log),
                    })
                });
                return Ok(Observation { facts: play.facts, exit: play.exit, held, ..Observation::default() });
            };
            Err(ActError { exit: play.exit, facts: play.facts, ..ActError::new(cause, detail) })
        })
    }
}

async fn pass(play: &Play) {
    for _ in 0..play.yields {
        tokio::task::yield_now().await;
    }
    if !play.delay.is_zero() {
        tokio::time::sleep(play.delay).await;
    }
}

/// Completes when the step has to end, with the cause.
async fn ended(stop: &mut watch::Receiver<Stop>, deadline: Option<Instant>) -> Cause {
    let asked = async {
        if stop.wait_for(|stop| *stop > Stop::Run).await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    let late = async {
        match deadline {
            Some(deadline) => tokio::time::sleep_until(deadline).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        biased;
        () = asked => Cause::Interrupted,
        () = late => Cause::Timeout,
    }
}

/// Counts a look as running for as long as it lives.
struct Running<'a> {
    scripted: &'a Scripted,
    step: String,
    attempt: u32,
}

impl<'a> Running<'a> {
    fn enter(scripted: &'a Scripted, request: &Request) -> Self {
        scripted.log.borrow_mut().push(Seen::Began(request.step.clone(), request.attempt));
        scripted.running.set(scripted.running.get() + 1);
        scripted.most.set(scripted.most.get().max(scripted.running.get()));
        Self { scripted, step: request.step.clone(), attempt: request.attempt }
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.scripted.running.set(self.scripted.running.get() - 1);
        self.scripted.log.borrow_mut().push(Seen::Ended(std::mem::take(&mut self.step), self.attempt));
    }
}

struct Pretended {
    step: String,
    since: Instant,
    service: Service,
    log: std::rc::Rc<RefCell<Vec<Seen>>>,
}

impl Held for Pretended {
    fn died(&mut self) -> Pin<Box<dyn Future<Output = Exit> + '_>> {
        Box::pin(async {
            match &self.service.dies {
                Some((after, exit)) => {
                    tokio::time::sleep_until(self.since + *after).await;
                    exit.clone()
                }
                None => std::future::pending().await,
            }
        })
    }

    fn stop(self: Box<Self>, _kill: bool) -> Pin<Box<dyn Future<Output = (Exit, Vec<Note>)>>> {
        Box::pin(async move {
            self.log.borrow_mut().push(Seen::Stopped(self.step));
            (self.service.stops, Vec::new())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Bench, block_on};
    use super::*;
    use crate::facts::Value;

    #[test]
    fn looks_are_played_in_order_and_the_last_repeats() {
        let bench = Bench::new();
        let scripted = Scripted::new([("step".to_owned(), vec![Play::exit(1), Play::exit(0)])]);
        let (request, lent) = (bench.shell(""), bench.lent());
        block_on(async {
            for code in [1, 0, 0] {
                let seen = scripted.look(&request, &lent).await.ok().unwrap();
                assert_eq!(seen.exit, Some(Exit::Code(code)));
                assert_eq!(seen.facts.values["exit"], Value::int(code));
            }
        });
        assert_eq!(scripted.looks("step"), 3);
        assert_eq!(scripted.looks("other"), 0);
    }

    #[test]
    fn looks_overlap_and_can_be_stopped() {
        let bench = Bench::new();
        let long = Play::default().taking(Duration::from_secs(3600));
        let quick = Play::error(Cause::NoData, "nothing").yielding(3);
        let scripted = Scripted::new([("step".to_owned(), vec![quick, long])]);
        let (request, lent) = (bench.shell(""), bench.lent());
        block_on(async {
            let first = async {
                let error = scripted.look(&request, &lent).await.map(|_| ()).expect_err("scripted");
                assert_eq!((error.cause, error.detail.as_str()), (Cause::NoData, "nothing"));
                bench.stop.send_replace(Stop::Term);
            };
            let ((), second) = tokio::join!(first, scripted.look(&request, &lent));
            assert_eq!(second.map(|_| ()).expect_err("stopped").cause, Cause::Interrupted);
            let late = Request { deadline: Some(Instant::now()), ..request.clone() };
            bench.stop.send_replace(Stop::Run);
            let error = scripted.look(&late, &lent).await.map(|_| ()).expect_err("late");
            assert_eq!(error.cause, Cause::Timeout);
        });
        assert_eq!(scripted.most_at_once(), 2);
        let (began, ended) = (Seen::Began("step".into(), 1), Seen::Ended("step".into(), 1));
        assert_eq!(scripted.log(), [&began, &began, &ended, &ended, &began, &ended].map(Clone::clone));
    }

    #[test]
    fn a_pretended_service_dies_or_is_stopped() {
        let bench = Bench::new();
        let service = |dies| Play { service: Some(Service { dies, stops: Exit::Code(0) }), ..Play::default() };
        let dying = service(Some((Duration::from_millis(1), Exit::Code(3))));
        let scripted = Scripted::new([("step".to_owned(), vec![dying, service(None)])]);
        let (request, lent) = (bench.shell(""), bench.lent());
        block_on(async {
            let mut held = scripted.look(&request, &lent).await.ok().unwrap().held.unwrap();
            assert_eq!(held.died().await, Exit::Code(3));
            let held = scripted.look(&request, &lent).await.ok().unwrap().held.unwrap();
            assert_eq!(held.stop(false).await, (Exit::Code(0), vec![]));
        });
        assert_eq!(scripted.log().last(), Some(&Seen::Stopped("step".into())));
    }
}
