//! What earlier runs that passed have seen, for criteria that say `baseline`. Knows facts, not how a subject reads them.

use std::collections::{BTreeMap, BTreeSet};

use super::index::IndexLine;
use super::read;
use super::store::Store;
use crate::event::{Event, EventKind};
use crate::facts::Facts;
use crate::ids::StepId;
use crate::outcome::Verdict;

/// How many runs are looked at, newest first, before a step counts as never seen.
const MAX_RUNS: usize = 20;

/// What a step saw when it last passed.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// Id of the run.
    pub run: String,
    /// Every look of the deciding attempt, oldest first.
    pub looks: Vec<Facts>,
}

/// Every look of the deciding attempt of each wanted step, from the last run of the plan that ended in GO, at once or
/// by people's sign-offs later, and in which that step succeeded. Steps without such a run are left out, as are runs that cannot be read.
#[must_use]
pub fn last_passing(store: &Store, plan: &str, steps: &BTreeSet<String>) -> BTreeMap<String, Seen> {
    if steps.is_empty() {
        return BTreeMap::new();
    }
    last_passing_of(store, &store.index(), plan, steps)
}

/// As [`last_passing`], among these runs (oldest first).
#[must_use]
pub fn last_passing_of(
    store: &Store,
    index: &[IndexLine],
    plan: &str,
    steps: &BTreeSet<String>,
) -> BTreeMap<String, Seen> {
    let mut found = BTreeMap::new();
    let lines = index.iter().rev().filter(|line| line.plan == plan && passed(store, line));
    for line in lines.take(MAX_RUNS) {
        if found.len() == steps.len() {
            break;
        }
        let Ok(journal) = read::recover_file(&store.run_path(&line.run)) else { continue };
        for (step, looks) in looks(&journal.events) {
            if steps.contains(step) {
                found.entry(step.to_owned()).or_insert_with(|| Seen { run: line.run.clone(), looks });
            }
        }
    }
    found
}

/// Every look of the deciding attempt of each step that succeeded in a run, by step name; `None` if the run can't be
/// read any more.
#[must_use]
pub fn of_run(store: &Store, run: &str) -> Option<BTreeMap<String, Vec<Facts>>> {
    let journal = read::recover_file(&store.run_path(run)).ok()?;
    Some(looks(&journal.events).into_iter().map(|(step, looks)| (step.to_owned(), looks)).collect())
}

/// Whether a run ended in GO, at once or by people's sign-offs later.
#[must_use]
pub fn passed(store: &Store, line: &IndexLine) -> bool {
    match line.verdict {
        Verdict::Go => true,
        Verdict::Hold => store.later_verdict(&line.run, &line.record) == Some(Verdict::Go),
        Verdict::NoGo => false,
    }
}

/// The looks of every step that succeeded, by name.
fn looks(events: &[Event]) -> BTreeMap<&str, Vec<Facts>> {
    let mut names: BTreeMap<StepId, &str> = BTreeMap::new();
    let mut samples: BTreeMap<(StepId, u32), Vec<Facts>> = BTreeMap::new();
    let mut once: BTreeMap<(StepId, u32), Facts> = BTreeMap::new();
    let mut reused: BTreeSet<StepId> = BTreeSet::new();
    let mut found = BTreeMap::new();
    for event in events {
        match &event.kind {
            EventKind::Open { steps, .. } => names = steps.iter().map(|head| (head.step, head.name.as_str())).collect(),
            EventKind::Sample { step, attempt, sample, facts, .. } => {
                let looks = samples.entry((*step, *attempt)).or_default();
                if *sample == 1 {
                    // An attempt of this number that an interruption cut off.
                    looks.clear();
                }
                looks.push(facts.clone());
            }
            EventKind::Reused { step, .. } => drop(reused.insert(*step)),
            // A commit repeats its attempts without what they saw.
            EventKind::Attempt { step, attempt, result } => {
                once.insert((*step, *attempt), result.facts.clone());
            }
            EventKind::Commit { step, result } if result.state.is_success() => {
                let attempt = u32::try_from(result.attempts.len()).unwrap_or(u32::MAX);
                let key = (*step, attempt);
                // The looks of a reused result stand in the journal of the run that executed it.
                let gone = reused.remove(step) && result.attempts.last().is_some_and(|last| last.samples > 1);
                let looks = samples.remove(&key).or_else(|| Some(vec![once.remove(&key).filter(|_| !gone)?]));
                let (Some(name), Some(looks)) = (names.get(step), looks) else { continue };
                found.insert(*name, looks);
            }
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::index::IndexLine;
    use super::super::journal::{Durability, Journal};
    use super::super::sample::{attempt, commit, decision, event, head, open, passed, ran};
    use super::*;
    use crate::event::Sink;
    use crate::facts::Value;
    use crate::outcome::{Cause, State, StepResult};

    fn seen(latency: i32) -> Facts {
        let mut facts = Facts::about(1, "answer");
        facts.set("latency", Value::int(latency));
        facts
    }

    fn saw(latency: i32) -> StepResult {
        let mut result = passed();
        result.attempts[0].facts = seen(latency);
        result
    }

    /// Every attempt with what it saw, then the commit, which says it no more.
    fn as_journaled(mut event: Event) -> Vec<Event> {
        let EventKind::Commit { step, result } = &mut event.kind else { return vec![event] };
        let mut all = Vec::new();
        for (at, attempt) in (1..).zip(&mut result.attempts) {
            let told = EventKind::Attempt { step: *step, attempt: at, result: Box::new(attempt.clone()) };
            all.push(self::event(told));
            attempt.facts = Facts::default();
        }
        all.push(event);
        all
    }

    fn write(store: &Store, id: &str, verdict: Verdict, events: Vec<Event>) {
        let run = store.begin(id, 1, "now").unwrap();
        let mut journal = Journal::create(run.path(), Durability::None, None).unwrap();
        let mut all = vec![open(vec![head(0, "web"), head(1, "db")])];
        all.extend(events.into_iter().flat_map(as_journaled));
        let mut last = decision();
        last.verdict = verdict;
        all.push(event(EventKind::Decision { decision: Box::new(last), last: true }));
        all.iter().for_each(|event| journal.event(event).unwrap());
        store.remember(&IndexLine::of(id, &all, "x").unwrap()).unwrap();
    }

    fn wanted() -> BTreeSet<String> {
        BTreeSet::from(["web".to_owned(), "db".to_owned()])
    }

    #[test]
    fn each_step_comes_from_the_last_go_in_which_it_succeeded() {
        let workspace = tempfile::tempdir().unwrap();
        let store = Store::open(workspace.path(), false).unwrap();
        assert!(last_passing(&store, "p", &wanted()).is_empty());
        write(&store, "r1", Verdict::Go, vec![commit(0, saw(1)), commit(1, saw(2))]);
        write(&store, "r2", Verdict::Go, vec![commit(0, saw(3)), commit(1, ran(State::Fail, Some(Cause::Criteria)))]);
        write(&store, "r3", Verdict::NoGo, vec![commit(0, saw(5)), commit(1, saw(6))]);
        let of = |run: &str, latency| Seen { run: run.to_owned(), looks: vec![seen(latency)] };
        let right = BTreeMap::from([("web".to_owned(), of("r2", 3)), ("db".to_owned(), of("r1", 2))]);
        assert_eq!(last_passing(&store, "p", &wanted()), right);
        assert_eq!(last_passing(&store, "p", &BTreeSet::from(["db".to_owned()])).len(), 1);
        assert!(last_passing(&store, "other", &wanted()).is_empty());
        std::fs::remove_dir_all(store.run_path("r2")).unwrap();
        assert_eq!(last_passing(&store, "p", &wanted())["web"], of("r1", 1));
    }

    #[test]
    fn all_looks_of_the_deciding_attempt_count() {
        let workspace = tempfile::tempdir().unwrap();
        let store = Store::open(workspace.path(), false).unwrap();
        let look = |attempt, sample, latency| {
            let (step, state, criteria, facts) = (StepId(0), State::Pass, Vec::new(), seen(latency));
            event(EventKind::Sample { step, attempt, sample, state, criteria, facts, detail: None })
        };
        let mut result = saw(4);
        result.attempts.insert(0, attempt(State::Fail, Some(Cause::Criteria)));
        write(&store, "r", Verdict::Go, vec![look(1, 1, 1), look(2, 1, 3), look(2, 2, 4), commit(0, result)]);
        assert_eq!(last_passing(&store, "p", &wanted())["web"].looks, vec![seen(3), seen(4)]);
    }
}
