//! Earlier results that may stand for new ones: read from a journal, or from `reuse.jsonl`, a cache over runs. Decides
//! nothing about them.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Read, Write};

use serde::{Deserialize, Serialize};

use super::canonical;
use super::journal::cut_of;
use super::store::{Store, StoreError, io_error};
use crate::digest::sha256_hex;
use crate::event::{Event, EventKind, StepHead};
use crate::facts::Facts;
use crate::ids::StepId;
use crate::outcome::StepResult;

/// The cache below `.runplan`. Whoever removes it loses no result, only time.
const FILE_NAME: &str = "reuse.jsonl";
/// Version of its lines; others are passed over.
const VERSION: u32 = 1;
/// Most bytes of the cache that are read or written: the oldest lines go first.
const MOST_BYTES: u64 = 64 << 20;
/// Most bytes of one line: a step that saw more than that is executed again.
const MOST_LINE: usize = 256 << 10;

/// A result that succeeded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Earlier {
    /// The step's name.
    pub step: String,
    /// The run that executed it.
    pub run: String,
    /// Digest of what that run inherited from its environment (see [`inherited_digest`]); empty if not known.
    pub inherited: String,
    /// What it came to; the last attempt with what was seen.
    pub result: StepResult,
}

/// A line of the cache. Flat, because what is read through `flatten` is buffered first, which takes longer than the reading.
#[derive(Serialize, Deserialize)]
struct Line<'a> {
    inherited: Cow<'a, str>,
    plan: Cow<'a, str>,
    result: Cow<'a, StepResult>,
    run: Cow<'a, str>,
    step: Cow<'a, str>,
    v: u32,
}

impl<'a> Line<'a> {
    fn of(plan: &'a str, earlier: &'a Earlier) -> Self {
        Self {
            inherited: Cow::Borrowed(&earlier.inherited),
            plan: Cow::Borrowed(plan),
            result: Cow::Borrowed(&earlier.result),
            run: Cow::Borrowed(&earlier.run),
            step: Cow::Borrowed(&earlier.step),
            v: VERSION,
        }
    }

    fn earlier(self) -> Earlier {
        let (step, run) = (self.step.into_owned(), self.run.into_owned());
        Earlier { step, run, inherited: self.inherited.into_owned(), result: self.result.into_owned() }
    }
}

/// Which line it is, without what it says.
#[derive(Deserialize)]
struct Key {
    v: u32,
    plan: String,
    step: String,
    run: String,
}

/// The lines of the cache.
fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty())
}

/// The digest of inherited variables, by name, as one run saw them. It is salted with the run's id and stands in no
/// journal.
#[must_use]
pub fn inherited_digest(run: &str, variables: &BTreeMap<String, Vec<u8>>) -> String {
    let mut text = format!("runplan-inherited/1\n{run}\n").into_bytes();
    for (name, value) in variables {
        text.extend(format!("{name}={}\n", sha256_hex(value)).into_bytes());
    }
    sha256_hex(&text)
}

/// The last result of each step that succeeded, by name, over all parts of a run, gathered event by event. A step that was
/// executed again later and did not come to an end that counts is left out: what is on the disk is no more what the result
/// says. So is one that saw more than the journal keeps.
pub struct Successes<'w> {
    run: String,
    wanted: &'w dyn Fn(StepId) -> bool,
    names: BTreeMap<StepId, String>,
    /// What comes directly after each step.
    edges: BTreeMap<StepId, Vec<StepId>>,
    /// What the last attempt of each step saw, and its number.
    seen: BTreeMap<StepId, (u32, Facts)>,
    origins: BTreeMap<StepId, String>,
    resumed: bool,
    found: BTreeMap<StepId, Earlier>,
}

impl<'w> Successes<'w> {
    /// None yet, of a run; only steps that are `wanted` are kept.
    pub fn new(run: &str, wanted: &'w dyn Fn(StepId) -> bool) -> Self {
        Self {
            run: run.to_owned(),
            wanted,
            names: BTreeMap::new(),
            edges: BTreeMap::new(),
            seen: BTreeMap::new(),
            origins: BTreeMap::new(),
            resumed: false,
            found: BTreeMap::new(),
        }
    }

    /// Of events that are still needed.
    #[must_use]
    pub fn among(events: &[Event], run: &str, wanted: &'w dyn Fn(StepId) -> bool) -> BTreeMap<String, Earlier> {
        let mut all = Self::new(run, wanted);
        for event in events {
            match &event.kind {
                EventKind::Attempt { step, attempt, result } if wanted(*step) => {
                    all.saw(*step, *attempt, result.facts.clone());
                }
                EventKind::Commit { step, result } => all.ended(*step, Cow::Borrowed(result)),
                other => all.other(other),
            }
        }
        all.finish()
    }

    /// What happened next. Gives back what is no part of a result.
    pub fn take(&mut self, event: Event) -> Option<Event> {
        match event.kind {
            EventKind::Attempt { step, attempt, result } if (self.wanted)(step) => {
                self.saw(step, attempt, result.facts);
            }
            EventKind::Commit { step, result } => self.ended(step, Cow::Owned(*result)),
            _ => {
                self.other(&event.kind);
                return Some(event);
            }
        }
        None
    }

    /// All of them.
    #[must_use]
    pub fn finish(self) -> BTreeMap<String, Earlier> {
        self.found.into_values().map(|earlier| (earlier.step.clone(), earlier)).collect()
    }

    fn saw(&mut self, step: StepId, attempt: u32, facts: Facts) {
        self.seen.insert(step, (attempt, facts));
    }

    fn ended(&mut self, step: StepId, result: Cow<'_, StepResult>) {
        let Some(name) = self.names.get(&step).filter(|_| !result.attempts.is_empty()) else { return };
        self.found.remove(&step);
        if self.resumed && !self.origins.contains_key(&step) {
            // What came after it in an earlier part rests on what it gave then.
            after(&self.edges, step).into_iter().for_each(|later| drop(self.found.remove(&later)));
        }
        let seen = self.seen.remove(&step);
        let Some((_, facts)) =
            seen.filter(|(attempt, facts)| *attempt as usize == result.attempts.len() && whole(facts))
        else {
            return;
        };
        if !result.state.is_success() {
            return;
        }
        let mut result = result.into_owned();
        if let Some(last) = result.attempts.last_mut() {
            last.facts = facts;
        }
        let run = self.origins.get(&step).unwrap_or(&self.run).clone();
        self.found.insert(step, Earlier { step: name.clone(), run, inherited: String::new(), result });
    }

    fn other(&mut self, event: &EventKind) {
        match event {
            EventKind::Open { steps, .. } => {
                self.names = steps.iter().map(|head| (head.step, head.name.clone())).collect();
                self.edges = edges(steps);
            }
            EventKind::Resume { .. } => self.resumed = true,
            EventKind::Start { step, .. } => drop(self.origins.remove(step)),
            EventKind::Reused { step, run } => drop(self.origins.insert(*step, run.clone())),
            EventKind::Stale { step, .. } => drop(self.found.remove(step)),
            _ => {}
        }
    }
}

/// Which steps come directly after each step. Nothing comes after a service in this sense: it may be started again.
fn edges(heads: &[StepHead]) -> BTreeMap<StepId, Vec<StepId>> {
    let ids: BTreeMap<&str, StepId> = heads.iter().map(|head| (head.name.as_str(), head.step)).collect();
    let mut edges: BTreeMap<StepId, Vec<StepId>> = BTreeMap::new();
    for head in heads {
        for earlier in head.needs.iter().chain(&head.after).filter_map(|name| ids.get(name.as_str())) {
            edges.entry(*earlier).or_default().push(head.step);
        }
    }
    heads.iter().filter(|head| head.kind == "service").for_each(|head| drop(edges.remove(&head.step)));
    edges
}

/// Every step that comes after this one.
fn after(edges: &BTreeMap<StepId, Vec<StepId>>, step: StepId) -> BTreeSet<StepId> {
    let mut found = BTreeSet::new();
    let mut open: Vec<StepId> = edges.get(&step).cloned().unwrap_or_default();
    while let Some(later) = open.pop() {
        if found.insert(later) {
            open.extend(edges.get(&later).into_iter().flatten());
        }
    }
    found
}

/// Nothing was left out of what was seen.
fn whole(facts: &Facts) -> bool {
    facts.values.values().all(|value| cut_of(value).is_none())
}

/// The plan that a line is about, where it can be told from how the line begins.
fn plan_of(line: &[u8]) -> Option<&[u8]> {
    let rest = line.strip_prefix(b"{\"inherited\":\"")?;
    let rest = rest.get(rest.iter().position(|byte| *byte == b'"')?..)?.strip_prefix(b"\",\"plan\":\"")?;
    let plan = rest.get(..rest.iter().position(|byte| *byte == b'"')?)?;
    (!plan.contains(&b'\\')).then_some(plan)
}

impl Store {
    /// What earlier runs of a plan left, by step name. Lines that cannot be read are left out: it is a cache.
    #[must_use]
    pub fn reusable(&self, plan: &str) -> BTreeMap<String, Earlier> {
        let bytes = self.reuse_bytes();
        // What another plan left is not read to its end.
        let other = |line: &[u8]| plan_of(line).is_some_and(|other| other != plan.as_bytes());
        let own = lines(&bytes).filter(|line| !other(line));
        let own = own.filter_map(|line| serde_json::from_slice::<Line<'_>>(line).ok());
        let own = own.filter(|line| line.v == VERSION && line.plan == plan);
        own.map(|line| (line.step.clone().into_owned(), line.earlier())).collect()
    }

    /// Runs whose results may be taken over by later ones, with the steps that left them.
    #[must_use]
    pub fn reuse_origins(&self) -> BTreeMap<String, BTreeSet<String>> {
        let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let bytes = self.reuse_bytes();
        for key in lines(&bytes).filter_map(|line| serde_json::from_slice::<Key>(line).ok()) {
            found.entry(key.run).or_default().insert(key.step);
        }
        found
    }

    fn reuse_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let read =
            File::open(self.root().join(FILE_NAME)).and_then(|file| file.take(MOST_BYTES).read_to_end(&mut bytes));
        if read.is_ok() { bytes } else { Vec::new() }
    }

    /// Keeps results of a plan for later runs; those of `dropped` steps and of the steps in `fresh` go. The caller holds
    /// the workspace.
    ///
    /// # Errors
    /// When the cache cannot be replaced. The run itself is safe all the same.
    pub fn keep_reusable(&self, plan: &str, fresh: &[Earlier], dropped: &BTreeSet<String>) -> Result<(), StoreError> {
        let path = self.root().join(FILE_NAME);
        let error = io_error("write", &path);
        let names: BTreeSet<&str> =
            fresh.iter().map(|earlier| earlier.step.as_str()).chain(dropped.iter().map(String::as_str)).collect();
        let there = self.reuse_bytes();
        let stays = |line: &&[u8]| {
            let key = serde_json::from_slice::<Key>(line);
            key.is_ok_and(|key| key.v == VERSION && !(key.plan == plan && names.contains(key.step.as_str())))
        };
        let mut all: Vec<Cow<'_, [u8]>> = lines(&there).filter(stays).map(Cow::Borrowed).collect();
        for earlier in fresh {
            let line = canonical::to_bytes(&Line::of(plan, earlier)).map_err(|e| error(io::Error::other(e)))?;
            if line.len() <= MOST_LINE {
                all.push(Cow::Owned(line));
            }
        }
        let mut room = MOST_BYTES;
        let fits = |line: &&Cow<'_, [u8]>| {
            room = room.saturating_sub(line.len() as u64 + 1);
            room > 0
        };
        let mut kept: Vec<&Cow<'_, [u8]>> = all.iter().rev().take_while(fits).collect();
        kept.reverse();
        if kept.is_empty() {
            return match fs::remove_file(&path) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => Err(error(e)),
                _ => Ok(()),
            };
        }
        let mut file = io::BufWriter::new(tempfile::NamedTempFile::new_in(self.root()).map_err(&error)?);
        for line in kept {
            file.write_all(line).and_then(|()| file.write_all(b"\n")).map_err(&error)?;
        }
        let file = file.into_inner().map_err(|e| error(e.into_error()))?;
        file.persist(&path).map_err(|e| error(e.error))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::{commit, event, head, open, passed, ran};
    use super::*;
    use crate::outcome::{Cause, State};

    /// By both ways, which have to agree.
    fn successes(events: &[Event], run: &str) -> BTreeMap<String, Earlier> {
        let mut told = Successes::new(run, &|_| true);
        events.iter().for_each(|event| drop(told.take(event.clone())));
        let found = Successes::among(events, run, &|_| true);
        assert_eq!(told.finish(), found);
        found
    }

    fn seen(step: u32) -> Event {
        let result = passed().attempts.remove(0);
        event(EventKind::Attempt { step: StepId(step), attempt: 1, result: Box::new(result) })
    }

    #[test]
    fn the_last_word_about_a_step_counts() {
        let heads = || open(vec![head(0, "a"), head(1, "b")]);
        let mut bare = passed();
        bare.attempts[0].facts = Facts::default();
        let mut events = vec![heads(), seen(0), commit(0, bare.clone())];
        let found = successes(&events, "r");
        assert_eq!(found.keys().collect::<Vec<_>>(), ["a"]);
        assert_eq!(found["a"].result, passed(), "with what was seen");
        events.push(commit(0, StepResult::unrun(State::NotRun, Cause::Interrupted)));
        assert_eq!(successes(&events, "r").len(), 1, "not reached later: it stands");
        events.push(event(EventKind::Reused { step: StepId(0), run: "older".into() }));
        events.extend([seen(0), commit(0, bare)]);
        assert_eq!(successes(&events, "r")["a"].run, "older");
        events.push(event(EventKind::Stale { step: StepId(0), run: "older".into(), why: String::new() }));
        assert!(successes(&events, "r").is_empty(), "begun again");
        events.push(commit(0, ran(State::Fail, Some(Cause::Criteria))));
        assert!(successes(&events, "r").is_empty());
    }

    #[test]
    fn the_cache_keeps_one_result_a_step_and_survives_rubbish() {
        let workspace = tempfile::tempdir().unwrap();
        let store = Store::open(workspace.path(), false).unwrap();
        let earlier = |step: &str, run: &str| Earlier {
            step: step.into(),
            run: run.into(),
            inherited: "i".into(),
            result: passed(),
        };
        let none = BTreeSet::new();
        assert!(store.reusable("p").is_empty());
        store.keep_reusable("p", &[earlier("a", "r1"), earlier("b", "r1")], &none).unwrap();
        store.keep_reusable("q", &[earlier("a", "r2")], &none).unwrap();
        store.keep_reusable("p", &[earlier("a", "r3")], &BTreeSet::from(["b".to_owned()])).unwrap();
        assert_eq!(store.reusable("p"), BTreeMap::from([("a".to_owned(), earlier("a", "r3"))]));
        assert_eq!(store.reusable("q")["a"].run, "r2");
        let path = store.root().join(FILE_NAME);
        let mut text = fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().count(), 2);
        text = format!("rubbish\n{}\n", text.replace("\"v\":1", "\"v\":99"));
        fs::write(&path, text).unwrap();
        assert!(store.reusable("p").is_empty());
        store.keep_reusable("p", &[earlier("c", "r4")], &none).unwrap();
        assert_eq!(store.reusable("p").len(), 1);
        assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 1, "what cannot be read goes");
    }

    #[test]
    fn every_inherited_value_counts_and_none_is_seen() {
        let of = |value: &str| BTreeMap::from([("NAME".to_owned(), value.as_bytes().to_vec())]);
        let digest = inherited_digest("r", &of("secret"));
        assert_ne!(digest, inherited_digest("r", &of("other")));
        assert_ne!(digest, inherited_digest("s", &of("secret")), "salted by the run");
        assert_eq!(digest, inherited_digest("r", &of("secret")));
    }
}
