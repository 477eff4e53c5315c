//! `index.jsonl`: one line a finished run, a cache that can be rebuilt. Remembers how long steps took; decides nothing.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::canonical;
use super::read;
use super::store::{RECORD_FILE, Store, StoreError, io_error};
use crate::digest::sha256_hex;
use crate::event::{Event, EventKind};
use crate::ids::StepId;
use crate::outcome::{StepResult, Verdict};

const FILE_NAME: &str = "index.jsonl";

/// How much of the index is read, from its end: enough for the latest runs of any plan, and bounded.
const TAIL: u64 = 8 << 20;

/// A finished run in short.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexLine {
    /// Run id.
    pub run: String,
    /// Wall clock when it began, milliseconds since 1970.
    pub at: i64,
    /// How long it took, in nanoseconds.
    pub duration_ns: u64,
    /// Plan name.
    pub plan: String,
    /// Digest of the expanded plan.
    pub norm_sha256: String,
    /// Its decision.
    pub verdict: Verdict,
    /// Its risk.
    pub risk: u32,
    /// Record id.
    pub record: String,
    /// Nanoseconds that each step took that succeeded, by name.
    pub durations: BTreeMap<String, u64>,
}

impl IndexLine {
    /// The line of a run; `None` unless its events have an opening and a final decision.
    #[must_use]
    pub fn of(run: &str, events: &[Event], record: &str) -> Option<Self> {
        let first = events.first()?;
        let EventKind::Open { plan, steps, .. } = &first.kind else { return None };
        let decision = events.iter().rev().find_map(|event| match &event.kind {
            EventKind::Decision { decision, last: true } => Some(decision),
            _ => None,
        })?;
        let names: BTreeMap<StepId, &str> = steps.iter().map(|head| (head.step, head.name.as_str())).collect();
        let durations = events.iter().filter_map(|event| match &event.kind {
            EventKind::Commit { step, result } => Some(((*names.get(step)?).to_owned(), took(result)?)),
            _ => None,
        });
        Some(Self {
            run: run.to_owned(),
            at: first.at,
            duration_ns: events.last().map_or(0, |event| event.mono),
            plan: plan.name.clone(),
            norm_sha256: plan.norm_sha256.clone(),
            verdict: decision.verdict,
            risk: decision.risk,
            record: record.to_owned(),
            durations: durations.collect(),
        })
    }
}

/// Time of all attempts of a step that ran and succeeded.
pub(super) fn took(result: &StepResult) -> Option<u64> {
    if !result.state.is_success() || result.attempts.is_empty() {
        return None;
    }
    Some(result.attempts.iter().fold(0, |sum: u64, attempt| sum.saturating_add(attempt.duration_ns)))
}

/// The text of the durations in a whole line of this plan, where it lies as it is written here.
fn durations_of<'l>(line: &'l [u8], plan: &str) -> Option<&'l [u8]> {
    #[derive(Deserialize)]
    struct Rest<'r> {
        #[serde(borrow)]
        plan: Cow<'r, str>,
    }
    const BEGIN: &[u8] = b",\"durations\":{";
    const END: &[u8] = b"},\"norm_sha256\":\"";
    // Two numbers stand before it, and little behind; no quote stands in a name without a backslash before it.
    let from = find(line.get(..line.len().min(100))?, BEGIN)? + BEGIN.len();
    let end = line.windows(END.len()).rposition(|window| window == END)?;
    let text = line.get(from..end)?;
    let mut rest = line.get(end + 1..)?.to_vec();
    *rest.first_mut()? = b'{';
    let rest: Rest<'_> = serde_json::from_slice(&rest).ok()?;
    (rest.plan == plan).then_some(text)
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}

impl Store {
    /// Adds a finished run to the index. The caller holds the workspace (see [`Store::open`]).
    ///
    /// # Errors
    /// When the index cannot be written. The run itself is safe all the same.
    pub fn remember(&self, line: &IndexLine) -> Result<(), StoreError> {
        let path = self.root().join(FILE_NAME);
        let error = io_error("write", &path);
        let bytes = canonical::to_line(line).map_err(|e| error(io::Error::other(e)))?;
        let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(&path).map_err(&error)?;
        file.write_all(&bytes).map_err(&error)
    }

    /// Finished runs, oldest first: as far back as the end of the index reaches. Lines that cannot be read are left
    /// out: it is a cache.
    #[must_use]
    pub fn index(&self) -> Vec<IndexLine> {
        self.index_tail(TAIL)
    }

    /// As [`Store::index`], from its very beginning: for who asks about all runs.
    #[must_use]
    pub fn whole_index(&self) -> Vec<IndexLine> {
        self.index_tail(u64::MAX)
    }

    fn index_tail(&self, most: u64) -> Vec<IndexLine> {
        self.index_bytes(most).split(|&b| b == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect()
    }

    fn index_bytes(&self, most: u64) -> Vec<u8> {
        let tail = || -> io::Result<Vec<u8>> {
            let mut file = File::open(self.root().join(FILE_NAME))?;
            let start = file.metadata()?.len().saturating_sub(most);
            file.seek(SeekFrom::Start(start))?;
            let mut bytes = Vec::new();
            file.take(most).read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        tail().unwrap_or_default()
    }

    /// How long each step of the plan may take, from its latest runs: every run weighs as much as all before it. The
    /// same number of nanoseconds again is no second measurement: the step's result was taken over.
    #[must_use]
    pub fn durations(&self, plan_name: &str) -> BTreeMap<String, Duration> {
        // What counts by now, and the latest measurement.
        let mut smoothed: BTreeMap<String, (u64, u64)> = BTreeMap::new();
        let bytes = self.index_bytes(TAIL);
        let mut before: &[u8] = b"";
        for line in bytes.split(|&b| b == b'\n') {
            // Where everything was taken over, all of them are the same numbers again.
            let durations = durations_of(line, plan_name);
            if durations.is_some_and(|durations| durations == before) {
                continue;
            }
            let Ok(line) = serde_json::from_slice::<IndexLine>(line) else { continue };
            if line.plan != plan_name {
                continue;
            }
            before = durations.unwrap_or_default();
            for (step, latest) in line.durations {
                let (known, last) = smoothed.entry(step).or_insert((latest, latest));
                if *last != latest {
                    (*known, *last) = (known.midpoint(latest), latest);
                }
            }
        }
        smoothed.into_iter().map(|(step, (nanos, _))| (step, Duration::from_nanos(nanos))).collect()
    }

    /// Makes the index anew from the runs that have a record. Runs that cannot be read are left out.
    ///
    /// # Errors
    /// When the runs cannot be listed or the index cannot be replaced.
    pub fn rebuild_index(&self) -> Result<Vec<IndexLine>, StoreError> {
        let mut lines = Vec::new();
        for run in self.runs()? {
            let folder = self.run_path(&run);
            let Ok(record) = fs::read(folder.join(RECORD_FILE)) else { continue };
            let Ok(journal) = read::recover_file(&folder) else { continue };
            let Some(line) = IndexLine::of(&run, &journal.events, &sha256_hex(&record)) else { continue };
            lines.push(line);
        }
        self.replace_index(lines)
    }

    /// Makes the index anew from these lines, in the order of time.
    ///
    /// # Errors
    /// When the index cannot be replaced.
    pub fn replace_index(&self, mut lines: Vec<IndexLine>) -> Result<Vec<IndexLine>, StoreError> {
        let path = self.root().join(FILE_NAME);
        let error = io_error("write", &path);
        let mut file = tempfile::NamedTempFile::new_in(self.root()).map_err(&error)?;
        // Ids tell runs of one second apart by chance.
        lines.sort_by(|a, b| (a.at, &a.run).cmp(&(b.at, &b.run)));
        for line in &lines {
            let bytes = canonical::to_line(line).map_err(|e| error(io::Error::other(e)))?;
            file.write_all(&bytes).map_err(&error)?;
        }
        file.persist(&path).map_err(|e| error(e.error))?;
        Ok(lines)
    }
}

#[cfg(test)]
mod tests {
    use super::super::journal::{Durability, Journal};
    use super::super::sample::{commit, passed, ran, small_run};
    use super::*;
    use crate::event::Sink;
    use crate::outcome::{Cause, State};

    fn line(run: &str, plan: &str, durations: &[(&str, u64)]) -> IndexLine {
        IndexLine {
            run: run.into(),
            at: 1,
            duration_ns: 2,
            plan: plan.into(),
            norm_sha256: "0".repeat(64),
            verdict: Verdict::Go,
            risk: 0,
            record: "1".repeat(64),
            durations: durations.iter().map(|(name, nanos)| ((*name).to_owned(), *nanos)).collect(),
        }
    }

    #[test]
    fn durations_lean_to_the_latest_run_of_the_plan() {
        let workspace = tempfile::tempdir().unwrap();
        let store = Store::open(workspace.path(), false).unwrap();
        assert!(store.durations("p").is_empty());
        store.remember(&line("r1", "p", &[("a", 100), ("gone", 7)])).unwrap();
        store.remember(&line("r2", "other", &[("a", 9_999)])).unwrap();
        store.remember(&line("r3", "p", &[("a", 200)])).unwrap();
        store.remember(&line("r4", "p", &[("a", 50), ("new", 3)])).unwrap();
        // Nothing new: what r4 measured was taken over.
        store.remember(&line("r5", "p", &[("a", 50), ("new", 3)])).unwrap();
        let nanos = |n| Duration::from_nanos(n);
        let right = [("a".to_owned(), nanos(100)), ("gone".to_owned(), nanos(7)), ("new".to_owned(), nanos(3))];
        assert_eq!(store.durations("p"), BTreeMap::from(right));
    }

    #[test]
    fn the_same_durations_again_are_found_without_reading_them() {
        let text = |line: &IndexLine| String::from_utf8(canonical::to_bytes(line).unwrap()).unwrap();
        let odd = r#"a},"norm_sha256":"x"#;
        let long = text(&line("r1", "p\"q", &[(odd, 1), ("b", 2)]));
        assert_eq!(durations_of(long.as_bytes(), "p"), None);
        let found = durations_of(long.as_bytes(), "p\"q").unwrap();
        let whole = [b"{", found, b"}"].concat();
        let map: BTreeMap<String, u64> = serde_json::from_slice(&whole).unwrap();
        assert_eq!(map, line("", "", &[(odd, 1), ("b", 2)]).durations);
        assert_eq!(durations_of(text(&line("r1", "p", &[])).as_bytes(), "p"), Some(&b""[..]));
        assert_eq!(durations_of(&long.as_bytes()[..long.len() - 1], "p\"q"), None, "torn");
    }

    #[test]
    fn lines_that_cannot_be_read_are_left_out() {
        let workspace = tempfile::tempdir().unwrap();
        let store = Store::open(workspace.path(), false).unwrap();
        fs::write(store.root().join(FILE_NAME), b"rubbish\n{}\n\xff\n").unwrap();
        store.remember(&line("r1", "p", &[])).unwrap();
        assert_eq!(store.index(), [line("r1", "p", &[])]);
    }

    #[test]
    fn only_steps_that_ran_and_succeeded_are_remembered() {
        let mut events = small_run();
        let once = IndexLine::of("r", &events, "x").unwrap();
        assert_eq!(once.durations, BTreeMap::from([("a".to_owned(), 987_654_321)]));
        events[2] = commit(0, ran(State::Fail, Some(Cause::Criteria)));
        assert!(IndexLine::of("r", &events, "x").unwrap().durations.is_empty());
        events.truncate(3);
        assert_eq!(IndexLine::of("r", &events, "x"), None);
        assert!(took(&passed()).is_some());
    }

    #[test]
    fn the_index_is_rebuilt_from_the_runs() {
        let workspace = tempfile::tempdir().unwrap();
        let store = Store::open(workspace.path(), false).unwrap();
        for id in ["r1", "r2", "r3"] {
            let run = store.begin(id, 1, "now").unwrap();
            let mut journal = Journal::create(run.path(), Durability::None, None).unwrap();
            small_run().iter().for_each(|event| journal.event(event).unwrap());
            if id != "r2" {
                let record = run.write_record(b"{}\n").unwrap();
                store.remember(&IndexLine::of(id, &small_run(), &record).unwrap()).unwrap();
            }
        }
        let before = store.index();
        assert_eq!(before.iter().map(|line| line.run.as_str()).collect::<Vec<_>>(), ["r1", "r3"]);
        fs::remove_file(store.root().join(FILE_NAME)).unwrap();
        assert_eq!(store.rebuild_index().unwrap(), before);
        assert_eq!(store.index(), before);
    }
}
