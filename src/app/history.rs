//! `runplan history`: past runs, flaky steps and the trend of a criterion, from the caches in the store; what they lack
//! is read from the journals once. Runs nothing.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use serde_json::{Value as Json, json};

use crate::cli::{Format, History as Ask};
use crate::exit::Exit;
use crate::outcome::{State, Verdict};
use crate::record::history::{HistoryLine, Remembered, StepBrief};
use crate::record::index::IndexLine;
use crate::record::store::{self, Store};
use crate::record::{journal, read};
use crate::report::history::{self, Flaky, History, Point, Run, Trend};
use crate::report::terminal::{Stream, Terminal};

use super::{log, past};

/// Bytes read from the end of the journal of a run without record.
const TAIL: u64 = 64 * 1024;

pub(super) fn history(ask: &Ask, terminal: &Terminal) -> Exit {
    let gathered =
        past::workspace().and_then(|workspace| gather(ask, &workspace).map_err(|error| past::wrong(error.to_string())));
    let history = match gathered {
        Ok(history) => history,
        Err(fault) => return log::refused(terminal, &fault),
    };
    let text = match ask.format {
        Format::Human => history::render(&history, terminal.look(Stream::Out)),
        Format::Json => as_json(&history),
    };
    terminal.write(Stream::Out, &text);
    Exit::Done
}

fn gather(ask: &Ask, workspace: &Path) -> Result<History, store::StoreError> {
    let store = Store::reader(workspace)?;
    let ids = store.runs()?;
    let known = caches(&store, workspace, &ids);
    let fits = |plan: &str| ask.plan.as_deref().is_none_or(|wanted| wanted == plan);
    let mut timed: Vec<(i64, Run)> = ids
        .iter()
        .filter_map(|id| match known.index.get(id) {
            Some(line) => Some((line.at, finished(&store, line))),
            None => unfinished(&store, id),
        })
        .filter(|(_, run)| fits(&run.plan))
        .collect();
    // Ids tell runs of one second apart by chance.
    timed.sort_by(|a, b| (a.0, &a.1.id).cmp(&(b.0, &b.1.id)));
    let mut all: Vec<Run> = timed.into_iter().map(|(_, run)| run).collect();
    let count = all.len();
    let mut runs = all.split_off(count.saturating_sub(ask.last as usize));
    let steps: BTreeMap<String, HistoryLine> =
        runs.iter().filter_map(|run| Some((run.id.clone(), known.steps(&run.id)?))).collect();
    let seen: Vec<(&str, &HistoryLine)> =
        runs.iter().filter_map(|run| Some((run.plan.as_str(), steps.get(&run.id)?))).collect();
    let flaky = flaky(&seen, ask.step.as_deref());
    let trends = ask.criterion.as_deref().map_or_else(Vec::new, |text| trends(&seen, ask.step.as_deref(), text));
    if let Some(step) = &ask.step {
        for run in &mut runs {
            let brief = steps.get(&run.id).and_then(|line| line.steps.get(step));
            run.step = brief.map(|brief| match brief.tries {
                0 | 1 => brief.state.word().to_owned(),
                tries => format!("{}, try {tries}", brief.state.word()),
            });
        }
    }
    runs.reverse();
    Ok(History { runs, all: count, step: ask.step.clone(), flaky, trends })
}

/// What is known of finished runs.
pub(super) struct Known {
    /// By run id.
    pub(super) index: BTreeMap<String, IndexLine>,
    remembered: Remembered,
    /// Steps of runs that the cache lacks, by run id.
    made: BTreeMap<String, HistoryLine>,
    /// The index lacks none.
    is_indexed: bool,
}

impl Known {
    /// The steps of a run.
    pub(super) fn steps(&self, id: &str) -> Option<HistoryLine> {
        self.made.get(id).cloned().or_else(|| self.remembered.get(id))
    }
}

/// Both caches; what they lack is read from the runs, and kept if nobody else holds the workspace.
fn caches(store: &Store, workspace: &Path, ids: &[String]) -> Known {
    let known = known(store, ids);
    // Only a cache: where it can't be written, the next one reads the runs again.
    if !(known.made.is_empty() && known.is_indexed)
        && let Ok(held) = Store::open(workspace, false)
    {
        drop(held.remember_steps(&known.made.values().cloned().collect::<Vec<_>>()));
        // A run that ended since is in the index on the disk, and not in this one.
        if !known.is_indexed && held.runs().is_ok_and(|now| now == ids) {
            let there = known.index.values().filter(|line| ids.contains(&line.run));
            drop(held.replace_index(there.cloned().collect()));
        }
    }
    known
}

/// Both caches, and what they lack, read from the runs. Writes nothing.
pub(super) fn known(store: &Store, ids: &[String]) -> Known {
    let index = store.whole_index().into_iter().map(|line| (line.run.clone(), line)).collect();
    let mut known = Known { index, remembered: store.history(), made: BTreeMap::new(), is_indexed: true };
    let lacks = |known: &Known, id: &str| !known.index.contains_key(id) || !known.remembered.knows(id);
    let missing: Vec<&String> = ids
        .iter()
        .filter(|id| lacks(&known, id))
        .filter(|id| store.run_path(id).join(store::RECORD_FILE).is_file())
        .collect();
    known.is_indexed = missing.iter().all(|id| known.index.contains_key(*id));
    for id in missing {
        let Ok(record) = std::fs::read(store.run_path(id).join(store::RECORD_FILE)) else { continue };
        let Ok(found) = read::recover_file(&store.run_path(id)) else { continue };
        let digest = crate::digest::sha256_hex(&record);
        let Some(line) = IndexLine::of(id, &found.events, &digest) else { continue };
        known.index.insert(id.clone(), line);
        if !known.remembered.knows(id) {
            known.made.insert(id.clone(), HistoryLine::of(id, &found.events, &digest));
        }
    }
    known
}

pub(super) fn finished(store: &Store, line: &IndexLine) -> Run {
    // Only what waits for people can have come to something else since.
    let later = if line.verdict == Verdict::Hold { store.later_verdict(&line.run, &line.record) } else { None };
    let later = later.filter(|later| *later != line.verdict);
    let end = later.map_or_else(|| line.verdict.word().to_owned(), |later| format!("{} → {}", line.verdict, later));
    Run {
        id: line.run.clone(),
        at: crate::signoff::timestamp(line.at),
        plan: line.plan.clone(),
        end,
        risk: Some(line.risk),
        took_ns: line.duration_ns,
        record: Some(line.record.clone()),
        step: None,
    }
}

/// When it began, and what is known of a run without record: from the first line of its journal and the last ones; `None` if it has not even begun.
pub(super) fn unfinished(store: &Store, id: &str) -> Option<(i64, Run)> {
    let path = store.run_path(id).join(journal::FILE_NAME);
    let mut reader = BufReader::new(std::fs::File::open(path).ok()?);
    let mut first = Vec::new();
    reader.read_until(b'\n', &mut first).ok()?;
    let first: Json = serde_json::from_slice(&first).ok()?;
    let mut file = reader.into_inner();
    let start = file.metadata().ok()?.len().saturating_sub(TAIL);
    file.seek(SeekFrom::Start(start)).ok()?;
    let mut tail = Vec::new();
    file.take(TAIL).read_to_end(&mut tail).ok()?;
    let line = |line: &[u8]| serde_json::from_slice::<Json>(line).ok();
    let last = tail.rsplit(|&b| b == b'\n').find_map(line);
    let number = |value: &Json, name: &str| value.get(name).and_then(Json::as_i64).unwrap_or(0);
    let is_closed = last.as_ref().is_some_and(|last| last.get("t").and_then(Json::as_str) == Some("close"));
    let end = match (is_closed, store.is_live(id).unwrap_or(false)) {
        (true, _) => "interrupted",
        (false, true) => "running",
        (false, false) => "broke off",
    };
    let at = number(&first, "at");
    let run = Run {
        id: id.to_owned(),
        at: crate::signoff::timestamp(at),
        plan: first.get("plan")?.get("name")?.as_str()?.to_owned(),
        end: end.to_owned(),
        took_ns: u64::try_from(last.map_or(0, |last| number(&last, "mono"))).unwrap_or(0),
        ..Run::default()
    };
    Some((at, run))
}

/// Steps that did not come to the same by the same action, the flakiest first.
fn flaky(runs: &[(&str, &HistoryLine)], only: Option<&str>) -> Vec<Flaky> {
    let mut found: BTreeMap<(&str, &str), (Flaky, &StepBrief)> = BTreeMap::new();
    for (plan, line) in runs {
        for (name, brief) in line.steps.iter().filter(|(name, _)| only.is_none_or(|only| only == name.as_str())) {
            let retried = usize::from(brief.tries > 1 && brief.state.is_success());
            match found.get_mut(&(*plan, name.as_str())) {
                None => {
                    let (plan_name, step) = ((*plan).to_owned(), name.clone());
                    let states = vec![brief.state];
                    let flaky = Flaky { plan: plan_name, step, runs: 1, changes: 0, retried, states };
                    found.insert((plan, name), (flaky, brief));
                }
                Some((flaky, before)) => {
                    let same_action = before.action.is_some() && before.action == brief.action;
                    flaky.changes += usize::from(same_action && before.state != brief.state);
                    flaky.runs += 1;
                    flaky.retried += retried;
                    flaky.states.push(brief.state);
                    *before = brief;
                }
            }
        }
    }
    let mut list: Vec<Flaky> = found.into_values().map(|(flaky, _)| flaky).collect();
    list.retain(|flaky| flaky.changes + flaky.retried > 0);
    list.sort_by_key(|flaky| std::cmp::Reverse(flaky.changes + flaky.retried));
    list
}

fn trends(runs: &[(&str, &HistoryLine)], only: Option<&str>, text: &str) -> Vec<Trend> {
    let mut found: BTreeMap<(&str, &str, &str), Vec<Point>> = BTreeMap::new();
    let mut units: BTreeMap<(&str, &str, &str), &str> = BTreeMap::new();
    for (plan, line) in runs {
        for (name, brief) in line.steps.iter().filter(|(name, _)| only.is_none_or(|only| only == name.as_str())) {
            for criterion in brief.criteria.iter().filter(|criterion| criterion.text.contains(text)) {
                let key = (*plan, name.as_str(), criterion.text.as_str());
                let number = history::number(&criterion.actual);
                // Figures of another unit do not compare: they are told in words.
                let unit = number.map(|(_, unit)| *units.entry(key).or_insert(unit));
                let value = number.filter(|(_, own)| unit == Some(*own)).map(|(value, _)| value);
                let (run, actual) = (line.run.clone(), criterion.actual.clone());
                found.entry(key).or_default().push(Point { run, state: criterion.state, actual, value });
            }
        }
    }
    let trend = |((plan, step, criterion), points): ((&str, &str, &str), Vec<Point>)| Trend {
        plan: plan.to_owned(),
        step: step.to_owned(),
        criterion: criterion.to_owned(),
        points,
    };
    found.into_iter().map(trend).collect()
}

fn as_json(history: &History) -> String {
    let words = |states: &[State]| -> Vec<&str> { states.iter().map(|state| state.word()).collect() };
    let runs: Vec<Json> = history
        .runs
        .iter()
        .map(|run| {
            json!({
                "run": run.id, "at": run.at, "plan": run.plan, "end": run.end, "risk": run.risk, "duration_ns": run.took_ns,
                "record": run.record, "step": run.step,
            })
        })
        .collect();
    let flaky: Vec<Json> = history
        .flaky
        .iter()
        .map(|flaky| {
            json!({
                "plan": flaky.plan, "step": flaky.step, "runs": flaky.runs, "changes": flaky.changes,
                "passed_by_retry": flaky.retried, "states": words(&flaky.states),
            })
        })
        .collect();
    let trends: Vec<Json> = history
        .trends
        .iter()
        .map(|trend| {
            let points: Vec<Json> = trend
                .points
                .iter()
                .map(|point| json!({ "run": point.run, "state": point.state.word(), "actual": point.actual, "value": point.value }))
                .collect();
            json!({ "plan": trend.plan, "step": trend.step, "criterion": trend.criterion, "points": points })
        })
        .collect();
    let value = json!({
        "schema": "runplan.history/1", "all": history.all, "runs": runs, "flaky": flaky, "trends": trends,
    });
    format!("{value:#}\n")
}
