//! `runplan lsp`: the language server with what only the composition root knows: how a plan is checked, and how its steps
//! came out last. stdout has protocol messages and nothing else.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{self, BufReader, BufWriter};
use std::path::PathBuf;
use std::time::SystemTime;

use camino::Utf8Path;

use crate::cli::{Lsp, PlanArgs};
use crate::exit::Exit;
use crate::lsp::{self, Ended, Last, Texts, World};
use crate::plan::Plan;
use crate::record::store::Store;
use crate::report::format;

use super::{history, load, view};

/// Runs of a plan that are looked through for the last result of each step.
const MOST_RUNS: usize = 5;

pub(super) fn lsp(ask: &Lsp) -> Exit {
    let results = Results::default();
    let world = World {
        check: &|path: &Utf8Path, texts: Texts<'_>| {
            let args = PlanArgs { path: path.to_string(), ..ask.plan.clone() };
            load::open(&args, texts)
        },
        last: &|plan| results.of(plan),
        does: &view::action_line,
    };
    let mut output = BufWriter::new(io::stdout());
    match lsp::serve(BufReader::new(io::stdin()), &mut output, &world) {
        Ended::Well => Exit::Done,
        // What the protocol asks for.
        Ended::Abruptly => Exit::Differs,
    }
}

/// The index of a store as it was when it was read.
type Stamp = (PathBuf, String, Option<(SystemTime, u64)>);

/// Last results, read again when the index of runs has changed.
#[derive(Default)]
struct Results(RefCell<Option<(Stamp, BTreeMap<String, Last>)>>);

impl Results {
    fn of(&self, plan: &Plan) -> BTreeMap<String, Last> {
        let Ok(store) = Store::reader(plan.workspace.as_std_path()) else { return BTreeMap::new() };
        let meta = std::fs::metadata(store.root().join("index.jsonl")).ok();
        let changed = meta.and_then(|meta| Some((meta.modified().ok()?, meta.len())));
        let stamp = (store.root().to_owned(), plan.name.clone(), changed);
        if let Some((known, results)) = &*self.0.borrow()
            && *known == stamp
        {
            return results.clone();
        }
        let results = read(&store, plan);
        *self.0.borrow_mut() = Some((stamp, results.clone()));
        results
    }
}

fn read(store: &Store, plan: &Plan) -> BTreeMap<String, Last> {
    let mut lines = store.index();
    lines.retain(|line| line.plan == plan.name);
    lines.sort_by_key(|line| line.at);
    let newest: Vec<_> = lines.into_iter().rev().take(MOST_RUNS).collect();
    let ids: Vec<String> = newest.iter().map(|line| line.run.clone()).collect();
    let known = history::known(store, &ids);
    let mut results = BTreeMap::new();
    for line in &newest {
        for (name, brief) in known.steps(&line.run).map(|steps| steps.steps).unwrap_or_default() {
            results.entry(name.clone()).or_insert_with(|| Last {
                state: brief.state.word().to_owned(),
                took: line.durations.get(&name).map(|ns| format::short(*ns)),
                when: crate::signoff::timestamp(line.at),
            });
        }
    }
    results
}
