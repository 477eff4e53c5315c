//! The record of a run that goes on: of each result its line is made when its step ends, so that no result has to be kept.
//! What is written at the end is what [`super::project`] makes of the same events. Lines that are many wait in a file that
//! has no name: whoever kills the engine leaves none of it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::canonical;
use super::history::{self, HistoryLine};
use super::index;
use super::project::{self, ProjectError, RunLine};
use crate::event::{PlanHead, StepHead};
use crate::ids::StepId;
use crate::outcome::{Cause, Decision, State, StepResult};

/// Most bytes that wait in memory.
const MOST_WAITING: usize = 64 * 1024;
/// How much is read at once: steps end nearly in the order of the record.
const WINDOW: usize = 8 * 1024;

/// What the steps of a run came to so far.
pub struct Gathered {
    run: RunLine,
    workspace: String,
    parts: Parts,
    /// By step.
    ended: Vec<Option<Ended>>,
    /// What no correct engine does.
    fault: Option<ProjectError>,
}

/// A step that ended, as much of it as the order of the lines and the decision need.
struct Ended {
    /// Its line, and behind it what the history says of it.
    at: u64,
    line: u32,
    /// Nothing for a step that never ran.
    brief: u32,
    /// For later runs: how long it took.
    took: Option<u64>,
    cause: Option<Box<Cause>>,
    state: State,
    finally: bool,
    /// Its end keeps later ranks from being reached.
    stops: bool,
    /// A serial run would not have reached it: its line is another one.
    stopped: bool,
}

impl Gathered {
    /// Nothing yet, of a run of so many steps; what does not fit into memory waits in `folder`.
    #[must_use]
    pub fn new(plan: &PlanHead, workspace: &str, steps: usize, folder: &Path) -> Self {
        Self {
            run: project::run_line(plan),
            workspace: workspace.to_owned(),
            parts: Parts::new(folder),
            ended: std::iter::repeat_with(|| None).take(steps).collect(),
            fault: None,
        }
    }

    /// A step ended.
    ///
    /// # Errors
    /// When its line can't be made or kept.
    pub fn take(&mut self, head: &StepHead, result: &StepResult) -> io::Result<()> {
        let Some(slot) = self.ended.get_mut(head.step.index()) else {
            self.fault.get_or_insert_with(|| project::unannounced(head.step));
            return Ok(());
        };
        if slot.is_some() {
            self.fault.get_or_insert_with(|| project::twice(head.step));
            return Ok(());
        }
        let line = project::tagged("step", &project::step_line(head, result), &self.workspace).map_err(other)?;
        let at = self.parts.put(&line)?;
        let brief = history::brief(result).map(|brief| canonical::to_bytes(&brief)).transpose().map_err(other)?;
        let brief = brief.unwrap_or_default();
        self.parts.put(&brief)?;
        let length = |bytes: &[u8]| u32::try_from(bytes.len()).map_err(other);
        *slot = Some(Ended {
            at,
            line: length(&line)?,
            brief: length(&brief)?,
            took: index::took(result),
            cause: result.cause.clone().map(Box::new),
            state: result.state,
            finally: head.finally,
            stops: project::stops(head, result.state),
            stopped: false,
        });
        Ok(())
    }

    /// Every step has ended; `order` is that of plan rank. From now on each counts as if the plan had run serially.
    ///
    /// # Errors
    /// As [`project::project`].
    pub fn settle(&mut self, order: &[StepId], name: &dyn Fn(StepId) -> String) -> Result<(), ProjectError> {
        if let Some(fault) = self.fault.take() {
            return Err(fault);
        }
        if self.ended.iter().flatten().any(|ended| ended.cause.as_deref() == Some(&Cause::Interrupted)) {
            return Err(ProjectError::Interrupted);
        }
        let missing = self.ended.iter().enumerate().filter(|(_, ended)| ended.is_none());
        let missing: Vec<String> = missing.map(|(index, _)| name(StepId::at(index))).collect();
        if !missing.is_empty() {
            return Err(ProjectError::Incomplete(missing));
        }
        let mut stopper: Option<String> = None;
        for id in order {
            let Some(ended) = self.ended.get_mut(id.index()).and_then(Option::as_mut) else { continue };
            let cause = ended.cause.as_deref();
            match &stopper {
                Some(stopper) if project::is_stopped(ended.finally, cause) => {
                    ended.state = State::NotRun;
                    ended.cause = Some(Box::new(Cause::Stopped(stopper.clone())));
                    ended.stopped = true;
                }
                _ if !ended.finally && matches!(cause, Some(Cause::Stopped(_))) => {
                    return Err(ProjectError::NotSerial(name(*id)));
                }
                None if ended.stops => stopper = Some(name(*id)),
                _ => {}
            }
        }
        Ok(())
    }

    /// What was asked for.
    #[must_use]
    pub fn run(&self) -> &RunLine {
        &self.run
    }

    /// How a step ended, and why.
    #[must_use]
    pub fn ended(&self, step: StepId) -> Option<(State, Option<&Cause>)> {
        self.ended.get(step.index())?.as_ref().map(|ended| (ended.state, ended.cause.as_deref()))
    }

    /// Writes the record: the same bytes as [`project::Record::finish`].
    ///
    /// # Errors
    /// When it can't be written, or what waits can't be read.
    pub fn write(
        &mut self,
        order: &[StepId],
        head: &dyn Fn(StepId) -> StepHead,
        decision: &Decision,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        out.write_all(&project::tagged("run", &self.run, &self.workspace).map_err(other)?)?;
        let mut first_failure = None;
        for id in order {
            let Some(ended) = self.ended.get(id.index()).and_then(Option::as_ref) else { continue };
            if first_failure.is_none() && ended.state.is_failure() {
                first_failure = Some(head(*id).name);
            }
            if ended.stopped {
                let line = project::unrun_line(&head(*id), ended.state, ended.cause.as_deref().cloned());
                out.write_all(&project::tagged("step", &line, &self.workspace).map_err(other)?)?;
            } else {
                out.write_all(self.parts.get(ended.at, ended.line, WINDOW)?)?;
            }
        }
        let states = self.ended.iter().flatten().map(|ended| ended.state);
        let end = project::end_line(decision, states, first_failure);
        out.write_all(&project::tagged("end", &end, &self.workspace).map_err(other)?)
    }

    /// How long each step took that succeeded, by name.
    #[must_use]
    pub fn durations(&self, name: &dyn Fn(StepId) -> String) -> BTreeMap<String, u64> {
        let took = self.ended.iter().enumerate().filter_map(|(index, ended)| Some((index, ended.as_ref()?.took?)));
        took.map(|(index, nanos)| (name(StepId::at(index)), nanos)).collect()
    }

    /// The line of the history.
    ///
    /// # Errors
    /// When what waits can't be read.
    pub fn history(&mut self, run: &str, record: &str, name: &dyn Fn(StepId) -> String) -> io::Result<Vec<u8>> {
        let ran = self.ended.iter().enumerate().filter_map(|(index, ended)| {
            let ended = ended.as_ref().filter(|ended| ended.brief > 0)?;
            Some((name(StepId::at(index)), (ended.at + u64::from(ended.line), ended.brief)))
        });
        let mut ran: Vec<(String, (u64, u32))> = ran.collect();
        ran.sort_unstable_by(|a, b| canonical::order(&a.0, &b.0));
        let whole: usize = ran.iter().map(|(name, (_, brief))| name.len() + *brief as usize + 8).sum();
        let empty = HistoryLine::empty(run, record);
        let steps = ran.into_iter().map(|(name, (at, brief))| {
            let brief = self.parts.get(at, brief, 0)?.to_vec();
            Ok((name, brief))
        });
        empty.with_steps(whole, steps)
    }
}

fn other(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::other(error)
}

/// Bytes that are asked for again later.
struct Parts {
    folder: PathBuf,
    /// Made once there are many.
    file: Option<File>,
    /// Bytes in the file.
    filed: u64,
    waiting: Vec<u8>,
    /// What was read last, and from where.
    window: Vec<u8>,
    from: u64,
}

impl Parts {
    fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), file: None, filed: 0, waiting: Vec::new(), window: Vec::new(), from: 0 }
    }

    /// Where they are from now on.
    fn put(&mut self, bytes: &[u8]) -> io::Result<u64> {
        if !self.waiting.is_empty() && self.waiting.len() + bytes.len() > MOST_WAITING {
            let file = match self.file.take() {
                Some(file) => file,
                None => tempfile::tempfile_in(&self.folder)?,
            };
            file.write_all_at(&self.waiting, self.filed)?;
            self.filed += self.waiting.len() as u64;
            self.waiting.clear();
            self.file = Some(file);
        }
        let at = self.filed + self.waiting.len() as u64;
        self.waiting.extend_from_slice(bytes);
        Ok(at)
    }

    /// `len` bytes; up to `ahead` are read at once.
    fn get(&mut self, at: u64, len: u32, ahead: usize) -> io::Result<&[u8]> {
        let lost = || io::Error::other("what was kept of the steps is not there any more");
        let len = len as usize;
        if let Some(at) = at.checked_sub(self.filed) {
            let at = usize::try_from(at).map_err(other)?;
            return self.waiting.get(at..at + len).ok_or_else(lost);
        }
        let held = at.checked_sub(self.from).filter(|at| *at + len as u64 <= self.window.len() as u64);
        let start = match held {
            Some(start) => usize::try_from(start).map_err(other)?,
            None => {
                let there = usize::try_from(self.filed - at).unwrap_or(usize::MAX);
                self.window.resize(ahead.max(len).min(there), 0);
                self.file.as_ref().ok_or_else(lost)?.read_exact_at(&mut self.window, at)?;
                self.from = at;
                0
            }
        };
        self.window.get(start..start + len).ok_or_else(lost)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::project::project;
    use super::super::read::read_record;
    use super::super::sample::{commit, decision, head, open, passed, ran};
    use super::*;
    use crate::event::{Event, EventKind};

    /// Heads, and the order of their ranks.
    fn parts_of(events: &[Event]) -> (PlanHead, String, Vec<StepHead>, Vec<StepId>) {
        let EventKind::Open { plan, settings, steps } = &events[0].kind else { panic!() };
        let mut order: Vec<&StepHead> = steps.iter().collect();
        order.sort_by_key(|head| head.rank);
        let order = order.into_iter().map(|head| head.step).collect();
        (PlanHead::clone(plan), settings.workspace.clone(), steps.clone(), order)
    }

    fn gathered(events: &[Event], folder: &Path) -> Gathered {
        let (plan, workspace, heads, _) = parts_of(events);
        let mut gathered = Gathered::new(&plan, &workspace, heads.len(), folder);
        for event in events {
            if let EventKind::Commit { step, result } = &event.kind {
                gathered.take(heads.get(step.index()).unwrap_or(&head(step.0, "other")), result).unwrap();
            }
        }
        gathered
    }

    /// The record, the durations and the line of the history.
    type Written = (Vec<u8>, BTreeMap<String, u64>, Vec<u8>);

    fn written(events: &[Event]) -> Result<Written, ProjectError> {
        let folder = tempfile::tempdir().unwrap();
        let (.., heads, order) = parts_of(events);
        let mut gathered = gathered(events, folder.path());
        let name = |id: StepId| heads[id.index()].name.clone();
        gathered.settle(&order, &name)?;
        let mut bytes = Vec::new();
        gathered.write(&order, &|id| heads[id.index()].clone(), &decision(), &mut bytes).unwrap();
        let history = gathered.history("r", "x", &name).unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing has a name");
        Ok((bytes, gathered.durations(&name), history))
    }

    fn same(events: &[Event]) {
        let projected = project(events).map(|record| record.finish(&decision()).unwrap());
        match (written(events), projected) {
            (Ok((bytes, durations, history)), Ok(right)) => {
                line_by_line(events, &right);
                assert_eq!(String::from_utf8(bytes).unwrap(), String::from_utf8(right).unwrap());
                let mut ended = events.to_vec();
                let decision = EventKind::Decision { decision: Box::new(decision()), last: true };
                ended.push(Event { at: 1, mono: 2, kind: decision });
                assert_eq!(durations, index::IndexLine::of("r", &ended, "x").unwrap().durations);
                let right = canonical::to_line(&HistoryLine::of("r", events, "x")).unwrap();
                assert_eq!(String::from_utf8(history).unwrap(), String::from_utf8(right).unwrap());
            }
            (wrote, projected) => assert_eq!(wrote.map(|_| ()), projected.map(|_| ())),
        }
    }

    /// The record is known again without being made as a whole; one that says something else, less or more is not.
    fn line_by_line(events: &[Event], right: &[u8]) {
        let file = read_record(right).unwrap();
        let gives = |bytes: &[u8]| project::gives(events, bytes, &file, &|_, _| decision()).unwrap();
        assert!(gives(right));
        let lines: Vec<&[u8]> = right.split_inclusive(|byte| *byte == b'\n').collect();
        for at in 0..lines.len() {
            let without = [&lines[..at], &lines[at + 1..]].concat().concat();
            let twice = [&lines[..=at], &lines[at..]].concat().concat();
            let mut other = right.to_vec();
            other[lines[..at].concat().len()] ^= 1;
            assert!(!gives(&without) && !gives(&twice) && !gives(&other), "line {at}");
        }
    }

    /// Large enough not to fit into memory.
    fn large(mut result: StepResult, size: usize) -> StepResult {
        result.values.insert("large".into(), "x".repeat(size));
        if let Some(last) = result.attempts.last_mut() {
            last.criteria[0].actual = "\u{1f600}".repeat(size / 100);
        }
        result
    }

    #[test]
    fn what_was_gathered_is_what_is_projected() {
        let names = ["b", "a", "\u{ffff}", "\u{10000}", "c"];
        let heads: Vec<StepHead> = names.iter().zip(0..).map(|(name, id)| head(id, name)).collect();
        let mut events = vec![open(heads)];
        for (id, size) in [(3, 10), (0, 40_000), (4, 70_000), (2, 30_000), (1, 200)] {
            events.push(commit(
                id,
                large(if id == 2 { ran(State::Fail, Some(Cause::Criteria)) } else { passed() }, size),
            ));
        }
        same(&events);
        events[2] = commit(0, StepResult::unrun(State::Skipped, Cause::Filtered));
        same(&events);
    }

    #[test]
    fn what_no_engine_does_is_told_as_the_projection_tells_it() {
        let heads = || vec![head(0, "a"), head(1, "b")];
        same(&[open(heads()), commit(0, passed())]);
        same(&[open(heads()), commit(0, passed()), commit(0, passed())]);
        same(&[open(heads()), commit(7, passed())]);
        let stopped = StepResult::unrun(State::NotRun, Cause::Stopped("a".into()));
        same(&[open(heads()), commit(0, passed()), commit(1, stopped)]);
        let interrupted = StepResult::unrun(State::NotRun, Cause::Interrupted);
        same(&[open(heads()), commit(0, passed()), commit(1, interrupted)]);
    }

    proptest! {
        #[test]
        fn in_whatever_order_steps_end(
            ranks in Just((0..6_u32).collect::<Vec<_>>()).prop_shuffle(),
            ended in Just((0..6_u32).collect::<Vec<_>>()).prop_shuffle(),
            failed in proptest::collection::vec(any::<bool>(), 6),
            stop in proptest::collection::vec(any::<bool>(), 6),
            finally in 0..8_u32,
            size in prop_oneof![Just(10_usize), Just(30_000)],
        ) {
            let head = |id: u32| StepHead {
                rank: ranks[id as usize],
                on_failure: if stop[id as usize] { "stop" } else { "independent" }.into(),
                finally: id == finally,
                ..head(id, &format!("s{id}"))
            };
            let mut events = vec![open((0..6).map(head).collect())];
            for id in ended {
                let result = match failed[id as usize] {
                    true => ran(State::Fail, Some(Cause::Criteria)),
                    false => passed(),
                };
                events.push(commit(id, large(result, size)));
            }
            same(&events);
        }
    }
}
