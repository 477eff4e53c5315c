//! Why a step of a run that is over waited: for what it comes after, for a pool, for a worker, between attempts. Pure: from
//! the events of the run and the pools that its steps hold; knows no rule of the scheduler beyond what holds a place.

use std::collections::{BTreeMap, BTreeSet};

use super::format;
use crate::event::{Event, EventKind, StepHead};
use crate::ids::StepId;

/// What is shorter is the engine's own work and nobody's wait: 10 ms.
const SHORTEST: u64 = 10_000_000;
/// Names of holders shown.
const HOLDERS: usize = 4;

/// A capacity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pool {
    /// Name.
    pub name: String,
    /// Places.
    pub capacity: u32,
}

/// What a run says about waiting.
pub struct Waits<'a> {
    /// The events of the run; of one that was resumed those of its last part.
    pub events: &'a [Event],
    /// Every step, in declaration order.
    pub heads: &'a [StepHead],
    /// `-j`.
    pub jobs: u32,
    /// The pools of the plan.
    pub pools: &'a [Pool],
    /// Which of them a step holds, by its name.
    pub holds: &'a dyn Fn(&str) -> Vec<usize>,
}

/// What kept a ready step from starting.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum For {
    Pool(usize),
    Worker,
}

/// A stretch of time; nanoseconds of the run's clock.
#[derive(Clone, Copy)]
struct Span {
    step: StepId,
    from: u64,
    to: u64,
}

impl Waits<'_> {
    /// One line for each wait of the step, longest kind of reason in the order of time: `4.20s for pool docker (1), held
    /// by up`. One that says so where it did not wait; nothing where it never was ready.
    #[must_use]
    pub fn of(&self, head: &StepHead) -> Vec<String> {
        let mut lines: Vec<String> = self.for_others(head).into_iter().collect();
        let turns = self.turns(head.step);
        let Some((first, _)) = turns.first() else { return lines };
        for (place, (ready, start)) in turns.iter().enumerate() {
            if let (Some(before), true) = (place.checked_sub(1).and_then(|at| self.paused(head.step, at)), place > 0)
                && before >= SHORTEST
            {
                lines.push(format!("{} between attempts {place} and {}", format::short(before), place + 1));
            }
            lines.extend(self.places(head, *ready, *start));
        }
        if lines.is_empty() {
            lines.push(match first - self.begin() < SHORTEST {
                true => "for nothing: it started with the run".to_owned(),
                false => "for nothing: it started as soon as it could".to_owned(),
            });
        }
        lines
    }

    fn begin(&self) -> u64 {
        self.events.first().map_or(0, |event| event.mono)
    }

    fn end(&self) -> u64 {
        self.events.last().map_or(0, |event| event.mono)
    }

    fn name(&self, step: StepId) -> &str {
        self.heads.get(step.index()).filter(|head| head.step == step).map_or("", |head| head.name.as_str())
    }

    /// When each attempt could start, and when it did (or the end of the run).
    fn turns(&self, wanted: StepId) -> Vec<(u64, u64)> {
        let (mut turns, mut ready) = (Vec::new(), None);
        for event in self.events {
            match &event.kind {
                EventKind::Ready { step } if *step == wanted => ready = Some(event.mono),
                EventKind::Retry { step, after_ns, .. } if *step == wanted => {
                    ready = Some(event.mono.saturating_add(*after_ns));
                }
                EventKind::Start { step, .. } if *step == wanted => {
                    turns.extend(ready.take().map(|ready| (ready.min(event.mono), event.mono)));
                }
                // It never started.
                EventKind::Commit { step, .. } if *step == wanted => {
                    turns.extend(ready.take().map(|ready| (ready.min(event.mono), event.mono)));
                }
                _ => {}
            }
        }
        turns
    }

    /// The pause after attempt `made` (from 0).
    fn paused(&self, wanted: StepId, made: usize) -> Option<u64> {
        let pauses = self.events.iter().filter_map(|event| match &event.kind {
            EventKind::Retry { step, after_ns, .. } if *step == wanted => Some(*after_ns),
            _ => None,
        });
        pauses.into_iter().nth(made)
    }

    /// The time from the begin of the run until all that the step comes after let it go.
    fn for_others(&self, head: &StepHead) -> Option<String> {
        let ready =
            self.events.iter().find(|event| matches!(event.kind, EventKind::Ready { step } if step == head.step));
        let ready = ready?.mono;
        let waited = ready.saturating_sub(self.begin());
        if waited < SHORTEST {
            return None;
        }
        let before: BTreeSet<&str> = head.needs.iter().chain(&head.after).map(String::as_str).collect();
        let counts = |other: &StepHead| before.contains(other.name.as_str()) || (head.finally && !other.finally);
        let before: BTreeSet<StepId> =
            self.heads.iter().filter(|other| counts(other)).map(|other| other.step).collect();
        let mut let_go: BTreeMap<StepId, (u64, &str)> = BTreeMap::new();
        for event in self.events.iter().take_while(|event| event.mono <= ready) {
            let (step, word) = match &event.kind {
                EventKind::Serving { step } => (step, "was ready"),
                EventKind::Commit { step, .. } => (step, "ended"),
                _ => continue,
            };
            if before.contains(step) {
                let_go.entry(*step).or_insert((event.mono, word));
            }
        }
        let (step, (_, word)) = let_go.iter().max_by_key(|(step, (at, _))| (*at, **step))?;
        let (waited, last) = (format::short(waited), self.name(*step));
        Some(match let_go.len() {
            1 => format!("{waited} for {last}"),
            many => format!("{waited} for what it comes after: {last} {word} last of {many}"),
        })
    }

    /// When each attempt held a worker and its pools: until it was over, or the service served.
    fn held(&self) -> Vec<Span> {
        let (mut open, mut spans) = (BTreeMap::new(), Vec::new());
        for event in self.events {
            match &event.kind {
                EventKind::Start { step, .. } => drop(open.insert(*step, event.mono)),
                EventKind::Serving { step } | EventKind::Retry { step, .. } | EventKind::Commit { step, .. } => {
                    spans.extend(open.remove(step).map(|from| Span { step: *step, from, to: event.mono }));
                }
                _ => {}
            }
        }
        spans.extend(open.into_iter().map(|(step, from)| Span { step, from, to: self.end() }));
        spans
    }

    /// What a ready step waited for between two moments.
    fn places(&self, head: &StepHead, ready: u64, start: u64) -> Vec<String> {
        if start.saturating_sub(ready) < SHORTEST {
            return Vec::new();
        }
        let wanted = (self.holds)(&head.name);
        let mut spans = self.held();
        spans.retain(|span| span.from < start && span.to > ready && span.step != head.step);
        let mut moments: Vec<u64> =
            spans.iter().flat_map(|span| [span.from, span.to]).filter(|at| (ready..start).contains(at)).collect();
        moments.extend([ready, start]);
        moments.sort_unstable();
        moments.dedup();
        let pools: BTreeMap<StepId, Vec<usize>> =
            spans.iter().map(|span| (span.step, (self.holds)(self.name(span.step)))).collect();
        // Per reason: how long, and how long each of the others held it.
        let mut reasons: BTreeMap<For, (u64, BTreeMap<StepId, u64>)> = BTreeMap::new();
        for slice in moments.windows(2) {
            let &[from, to] = slice else { continue };
            let here: Vec<StepId> =
                spans.iter().filter(|span| span.from <= from && span.to >= to).map(|span| span.step).collect();
            let holders = |pool: usize| -> Vec<StepId> {
                here.iter().copied().filter(|step| pools[step].contains(&pool)).collect()
            };
            let is_full = |pool: &&usize| {
                self.pools.get(**pool).is_some_and(|known| holders(**pool).len() >= known.capacity as usize)
            };
            let (reason, by): (For, Vec<StepId>) = match wanted.iter().find(is_full) {
                Some(pool) => (For::Pool(*pool), holders(*pool)),
                None if here.len() >= self.jobs as usize => (For::Worker, here),
                None => continue,
            };
            let (time, each) = reasons.entry(reason).or_default();
            *time += to - from;
            by.into_iter().for_each(|step| *each.entry(step).or_default() += to - from);
        }
        let lines = reasons.into_iter().filter(|(_, (time, _))| *time >= SHORTEST);
        lines.map(|(reason, (time, by))| self.line(reason, time, by)).collect()
    }

    fn line(&self, reason: For, time: u64, by: BTreeMap<StepId, u64>) -> String {
        let mut by: Vec<(StepId, u64)> = by.into_iter().collect();
        by.sort_by_key(|(step, held)| (std::cmp::Reverse(*held), *step));
        let names: Vec<&str> = by.iter().map(|(step, _)| self.name(*step)).collect();
        let what = match reason {
            For::Worker => format!("a free worker (-j {})", self.jobs),
            For::Pool(at) => {
                let Pool { name, capacity } = &self.pools[at];
                format!("pool {name} ({capacity})")
            }
        };
        format!("{} for {what}, held by {}", format::short(time), format::names(&names, HOLDERS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::{Cause, Severity, State, StepResult};

    const TENTH: u64 = 100_000_000;

    fn head(id: u32, needs: &[&str]) -> StepHead {
        StepHead {
            step: StepId(id),
            name: ["up", "load", "scan", "tidy", "last"][id as usize].into(),
            title: None,
            rank: id,
            kind: "run".into(),
            needs: needs.iter().map(|&name| name.to_owned()).collect(),
            after: Vec::new(),
            required: true,
            severity: Severity::Medium,
            weight_permille: 150,
            finally: id == 4,
            on_failure: "independent".into(),
            volatile: false,
            place: String::new(),
        }
    }

    fn ready(id: u32) -> EventKind {
        EventKind::Ready { step: StepId(id) }
    }

    fn start(id: u32) -> EventKind {
        EventKind::Start { step: StepId(id), attempt: 1 }
    }

    fn over(id: u32) -> EventKind {
        let result = StepResult::unrun(State::Pass, Cause::Filtered);
        EventKind::Commit { step: StepId(id), result: Box::new(result) }
    }

    /// Lines of a step of a run with `-j 2`; `up` and `scan` hold the pool `docker` with one place.
    fn told(of: u32, heads: &[StepHead], tenths: Vec<(u64, EventKind)>) -> Vec<String> {
        let events: Vec<Event> =
            tenths.into_iter().map(|(tenths, kind)| Event { at: 0, mono: 7 + tenths * TENTH, kind }).collect();
        let holds = |name: &str| if ["up", "scan"].contains(&name) { vec![0] } else { vec![] };
        let pools = [Pool { name: "docker".into(), capacity: 1 }];
        Waits { events: &events, heads, jobs: 2, pools: &pools, holds: &holds }.of(&heads[of as usize])
    }

    #[test]
    fn every_wait_has_its_reason_and_who_held_it() {
        let heads = [head(0, &[]), head(1, &[]), head(2, &[]), head(3, &["up", "load"]), head(4, &[])];
        let run = || {
            vec![
                (0, ready(0)),
                (0, ready(1)),
                (0, ready(2)),
                (0, start(0)),
                (0, start(1)),
                (42, over(0)),
                (42, start(2)),
                (50, over(1)),
                (50, ready(3)),
                (50, start(3)),
                (60, over(2)),
                (90, over(3)),
                (91, ready(4)),
                (91, start(4)),
                (95, over(4)),
            ]
        };
        assert_eq!(told(0, &heads, run()), ["for nothing: it started with the run"]);
        assert_eq!(told(2, &heads, run()), ["4.20s for pool docker (1), held by up"]);
        assert_eq!(told(3, &heads, run()), ["5.00s for what it comes after: load ended last of 2"]);
        assert_eq!(told(4, &heads, run()), ["9.10s for what it comes after: tidy ended last of 4"]);
        // The pool was free again before there was a worker.
        let run = vec![
            (0, ready(0)),
            (0, ready(2)),
            (0, start(0)),
            (0, start(1)),
            (10, over(0)),
            (10, start(3)),
            (40, over(1)),
            (40, start(2)),
            (50, over(3)),
            (50, over(2)),
        ];
        let said = told(2, &heads, run);
        assert_eq!(
            said,
            ["1.00s for pool docker (1), held by up", "3.00s for a free worker (-j 2), held by load, tidy"]
        );
    }

    #[test]
    fn services_give_their_places_back_and_pauses_are_told() {
        let heads = [head(0, &[]), head(1, &["up"]), head(2, &[]), head(3, &[])];
        let retry = EventKind::Retry { step: StepId(1), attempt: 2, after_ns: 20 * TENTH };
        let run = || {
            vec![
                (0, ready(0)),
                (0, ready(2)),
                (0, start(0)),
                (15, EventKind::Serving { step: StepId(0) }),
                (15, ready(1)),
                (15, start(2)),
                (15, start(1)),
                (20, retry.clone()),
                (20, start(3)),
                (45, over(2)),
                (45, start(1)),
                (50, over(1)),
                (60, over(3)),
                (61, over(0)),
            ]
        };
        assert_eq!(told(2, &heads, run()), ["1.50s for pool docker (1), held by up"]);
        let said =
            ["1.50s for up", "2.00s between attempts 1 and 2", "0.50s for a free worker (-j 2), held by scan, tidy"];
        assert_eq!(told(1, &heads, run()), said);
        // Skipped: it never was ready.
        assert_eq!(told(3, &heads, vec![(0, ready(0)), (5, over(3))]), Vec::<String>::new());
    }
}
