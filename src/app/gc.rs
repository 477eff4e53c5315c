//! `runplan gc`: which runs may go, and why each other one stays. Decides before it removes anything; runs nothing.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};

use serde_json::{Value as Json, json};

use crate::cli::{Format, Gc as Ask};
use crate::event::EventKind;
use crate::exit::Exit;
use crate::outcome::Cause;
use crate::record::gc::{self as remove, Digest};
use crate::record::index::IndexLine;
use crate::record::store::{self, RECORD_FILE, Store, StoreError};
use crate::record::{baseline, read};
use crate::report::gc::{self, Gc, Run, Why};
use crate::report::terminal::{Stream, Terminal};
use crate::{digest, signoff};

use super::{history, judgement, log, past, world};

/// Newest runs of each plan that are kept where nobody says how many.
const KEEP: u32 = 50;

pub(super) fn gc(ask: &Ask, terminal: &Terminal) -> Exit {
    let done = past::workspace().and_then(|workspace| {
        let mut stores = open(&workspace, ask).map_err(|error| match error {
            StoreError::Io { doing: "write" | "lock" | "create", .. } => unwritable(&error),
            other => past::wrong(other.to_string()),
        })?;
        collect(ask, &mut stores, terminal).map_err(|error| unwritable(&error))
    });
    let gc = match done {
        Ok(gc) => gc,
        Err(fault) => return log::refused(terminal, &fault),
    };
    let text = match ask.format {
        Format::Human => gc::render(&gc, terminal.look(Stream::Out)),
        Format::Json => as_json(&gc),
    };
    terminal.write(Stream::Out, &text);
    Exit::Done
}

fn unwritable(error: &StoreError) -> past::Fault {
    past::Fault { text: error.to_string(), exit: Exit::Unrecorded }
}

/// A store with its runs.
struct Room {
    store: Store,
    /// `plans/STEP`; empty for the workspace's own.
    part: String,
    /// Oldest first.
    runs: Vec<Seen>,
    /// Of the runs that are there, oldest first.
    index: Vec<IndexLine>,
    known: Option<history::Known>,
}

/// A run as far as it matters here.
struct Seen {
    run: Run,
    /// When it began; 0 if it never did.
    at: i64,
    dir: PathBuf,
    /// Its record id, if it has a record.
    record: Option<String>,
    /// Somebody has looked what it rests on.
    asked: bool,
}

impl Seen {
    fn keep(&mut self, code: &'static str, text: impl Into<String>) {
        let why = Why { code, text: text.into() };
        if !self.run.why.contains(&why) {
            self.run.why.push(why);
        }
    }

    fn stays(&self) -> bool {
        !self.run.why.is_empty()
    }
}

/// The workspace's store and those of plans within its plans, each one held unless nothing is to be written. In this
/// order, which is that of an engine and its children.
fn open(workspace: &Path, ask: &Ask) -> Result<Vec<Room>, StoreError> {
    let mut rooms = Vec::new();
    let mut folders = vec![(workspace.to_owned(), String::new())];
    while let Some((folder, part)) = folders.pop() {
        let store = if ask.dry_run { Store::reader(&folder)? } else { Store::open(&folder, ask.wait)? };
        if !ask.dry_run {
            let since = signoff::timestamp(world::now());
            store.hold("gc", std::process::id(), &since)?;
        }
        folders.extend(store.nested().into_iter().map(|inner| {
            let below = inner.strip_prefix(store.root()).unwrap_or(&inner).display().to_string();
            (inner.clone(), if part.is_empty() { below } else { format!("{part}/{below}") })
        }));
        rooms.push(Room { store, part, runs: Vec::new(), index: Vec::new(), known: None });
    }
    for room in &mut rooms {
        look(room)?;
    }
    Ok(rooms)
}

fn look(room: &mut Room) -> Result<(), StoreError> {
    let ids = room.store.runs()?;
    let known = history::known(&room.store, &ids);
    for id in ids {
        let dir = room.store.run_path(&id);
        let line = known.index.get(&id);
        let (at, told) = match line {
            Some(line) => (line.at, history::finished(&room.store, line)),
            None => history::unfinished(&room.store, &id).unwrap_or_default(),
        };
        // A record that the index does not know: of a journal that can't be read.
        let record = line.map(|line| line.record.clone()).or_else(|| {
            let bytes = std::fs::read(dir.join(RECORD_FILE)).ok()?;
            Some(digest::sha256_hex(&bytes))
        });
        let end = if told.end.is_empty() { "never began".to_owned() } else { told.end };
        let run = Run { id, part: room.part.clone(), at: told.at, plan: told.plan, end, bytes: 0, why: Vec::new() };
        room.runs.push(Seen { run, at, dir, record, asked: false });
    }
    room.runs.sort_by(|a, b| (a.at, &a.run.id).cmp(&(b.at, &b.run.id)));
    room.index = room.runs.iter().filter_map(|seen| known.index.get(&seen.run.id).cloned()).collect();
    room.known = Some(known);
    Ok(())
}

fn collect(ask: &Ask, rooms: &mut [Room], terminal: &Terminal) -> Result<Gc, StoreError> {
    for room in rooms.iter_mut() {
        room.by_rule(ask)?;
        room.by_people();
        room.by_baseline();
        room.by_reuse();
        room.damaged();
        room.named_by_kept();
    }
    while parts(rooms)? {}
    let mut gc = Gc { dry: ask.dry_run, ..Gc::default() };
    for room in rooms.iter_mut() {
        if let Err(error) = clear(room, &mut gc) {
            let text = "what was removed so far is gone as a whole, and the rest is as it was; `runplan gc` goes on";
            terminal.write(Stream::Err, &format!("runplan: {text}\n"));
            return Err(error);
        }
    }
    // Those of one store are in order already, also within a second.
    gc.removed.sort_by(|a, b| a.at.cmp(&b.at));
    gc.kept.sort_by(|a, b| a.at.cmp(&b.at));
    Ok(gc)
}

impl Room {
    fn run(&mut self, id: &str) -> Option<&mut Seen> {
        self.runs.iter_mut().find(|seen| seen.run.id == id)
    }

    /// What is live, new or young, and what can be gone on with.
    fn by_rule(&mut self, ask: &Ask) -> Result<(), StoreError> {
        let keep = ask.keep.unwrap_or(if ask.older_than.is_some() { 1 } else { KEEP }) as usize;
        let young = ask.older_than.map(|before| before.at(world::now()));
        let latest = self.store.latest();
        let mut of_plan: HashMap<String, usize> = HashMap::new();
        for seen in self.runs.iter_mut().rev() {
            if store::is_live(&seen.dir)? {
                seen.keep("live", "it is going on, or a process that it left is");
            }
            if latest.as_deref() == Some(&seen.run.id) {
                seen.keep("latest", "`latest` points at it");
            }
            let newer = of_plan.entry(seen.run.plan.clone()).or_default();
            *newer += 1;
            match *newer {
                1 => seen.keep("newest", "the newest run of its plan"),
                newer if newer <= keep => seen.keep("recent", format!("among the newest {keep} of its plan")),
                _ => {}
            }
            if young.is_some_and(|young| seen.at >= young) {
                seen.keep("young", "it is not old enough");
            }
            if seen.record.is_none() && !seen.run.plan.is_empty() && !ask.interrupted {
                seen.keep("interrupted", "`resume` can go on with it; `--interrupted` removes such runs");
            }
        }
        Ok(())
    }

    /// What people have signed, and what stands by their waivers.
    fn by_people(&mut self) {
        let gates = gates(self.store.root());
        let today = world::today();
        // The first run that showed it and the last one; all of them say the same.
        let mut first: HashMap<Digest, usize> = HashMap::new();
        let mut last: HashMap<Digest, usize> = HashMap::new();
        for (at, seen) in self.runs.iter_mut().enumerate() {
            if let Some(told) = signed(&seen.dir) {
                seen.keep("signed", told);
            }
            if let Some(step) = waived(&seen.dir, &today) {
                seen.keep("waived", format!("`{step}` stands by a waiver that is in force"));
            }
            if gates.is_empty() {
                continue;
            }
            let mut named = HashSet::new();
            // What can't be read is told elsewhere, and stays.
            let _ = remove::named_by(&seen.dir, &mut named);
            for evidence in gates.keys().filter(|evidence| named.contains(*evidence)) {
                first.entry(*evidence).or_insert(at);
                last.insert(*evidence, at);
            }
        }
        for (evidence, at) in first.into_iter().chain(last) {
            let gate = gates.get(&evidence).cloned().unwrap_or_default();
            self.runs[at].keep("gate", format!("what was signed at its gate `{gate}`"));
        }
    }

    /// What criteria that say `baseline` are held against now, or would be.
    fn by_baseline(&mut self) {
        let plans: BTreeSet<String> = self.index.iter().map(|line| line.plan.clone()).collect();
        for plan in plans {
            let passed = self.index.iter().rev().find(|line| line.plan == plan && baseline::passed(&self.store, line));
            if let Some(id) = passed.map(|line| line.run.clone())
                && let Some(seen) = self.run(&id)
            {
                seen.keep("baseline", "the last run of its plan that passed");
            }
            let mut steps = BTreeSet::new();
            for seen in self.runs.iter().filter(|seen| seen.run.plan == plan && seen.stays()) {
                let line = self.known.as_ref().and_then(|known| known.steps(&seen.run.id));
                let lines = line.map(|line| line.steps).into_iter().flatten();
                let compared = lines
                    .filter(|(_, brief)| brief.criteria.iter().any(|criterion| criterion.text.contains("baseline")));
                steps.extend(compared.map(|(name, _)| name));
            }
            for (step, found) in baseline::last_passing_of(&self.store, &self.index, &plan, &steps) {
                if let Some(seen) = self.run(&found.run) {
                    seen.keep("baseline", format!("`{step}` is held against it"));
                }
            }
        }
    }

    /// What later runs may take over.
    fn by_reuse(&mut self) {
        for (id, steps) in self.store.reuse_origins() {
            if let Some(seen) = self.run(&id) {
                let steps: Vec<String> = steps.into_iter().collect();
                seen.keep("reuse", format!("later runs may reuse {}", crate::report::format::names(&steps, 3)));
            }
        }
    }

    /// A journal that can't be read is evidence, and nobody knows what else rests on it.
    fn damaged(&mut self) {
        for seen in self.runs.iter_mut().filter(|seen| !seen.stays()) {
            match read::recover_file(&seen.dir) {
                Err(read::ReadError::Io(..)) if !seen.dir.join(crate::record::journal::FILE_NAME).exists() => {}
                Err(error) => seen.keep(
                    "damaged",
                    format!("its journal can't be read ({error}); `verify` it, or remove its folder by hand"),
                ),
                Ok(_) => {}
            }
        }
    }

    /// What the kept runs were compared with, and where their reused results come from. What a run was compared with is
    /// not asked in turn, or no run would ever go.
    fn named_by_kept(&mut self) {
        for follow in [true, false] {
            let mut named: Vec<(String, &'static str, String)> = Vec::new();
            for seen in self.runs.iter_mut().filter(|seen| seen.stays() && !seen.asked) {
                seen.asked = true;
                let Ok(found) = read::recover_file(&seen.dir) else { continue };
                let by = &seen.run.id;
                for event in found.events {
                    match event.kind {
                        EventKind::Open { settings, .. } | EventKind::Resume { settings } if follow => {
                            let compared = settings.baselines.into_iter();
                            named.extend(
                                compared.map(|(step, id)| {
                                    (id, "baseline", format!("`{step}` of {by} was held against it"))
                                }),
                            );
                        }
                        EventKind::Reused { run, .. } => {
                            named.push((run, "reuse", format!("{by} took results over from it")));
                        }
                        _ => {}
                    }
                }
            }
            for (id, code, text) in named {
                if let Some(seen) = self.run(&id) {
                    seen.keep(code, text);
                }
            }
        }
    }
}

/// Keeps the runs of plans within plans whose record a kept run of another store names, as its plan's part. Whether there
/// was one more.
fn parts(rooms: &mut [Room]) -> Result<bool, StoreError> {
    if rooms.len() < 2 {
        return Ok(false);
    }
    let mut named: Vec<HashSet<Digest>> = Vec::new();
    for room in rooms.iter() {
        let mut found = HashSet::new();
        for seen in room.runs.iter().filter(|seen| seen.stays()) {
            remove::named_by(&seen.dir, &mut found)?;
        }
        named.push(found);
    }
    let mut more = false;
    for (at, room) in rooms.iter_mut().enumerate() {
        let own = |record: &Option<String>| {
            let mut digest = HashSet::new();
            remove::digests_in(record.as_deref().unwrap_or_default().as_bytes(), &mut digest);
            digest.into_iter().next()
        };
        // Runs that came to the same have the same record: the newest of them stands for all.
        let mut have: HashSet<Digest> =
            room.runs.iter().filter(|seen| seen.stays()).filter_map(|seen| own(&seen.record)).collect();
        for seen in room.runs.iter_mut().rev() {
            let Some(record) = own(&seen.record) else { continue };
            let others = named.iter().enumerate().filter(|(other, _)| *other != at);
            if !have.contains(&record) && others.into_iter().any(|(_, named)| named.contains(&record)) {
                have.insert(record);
                seen.keep("part", "it was a step of a run that stays");
                more = true;
            }
        }
    }
    Ok(more)
}

/// Removes what does not stay: runs first; then, once they are gone for good, what only they named.
fn clear(room: &mut Room, gc: &mut Gc) -> Result<(), StoreError> {
    let leftovers = room.store.leftovers();
    gc.leftovers += leftovers.len();
    gc.leftover_bytes += leftovers.iter().map(|path| remove::size_of(path)).sum::<u64>();
    if !gc.dry {
        leftovers.iter().try_for_each(|path| remove::remove(path))?;
    }
    let mut named = HashSet::new();
    remove::digests_in(&std::fs::read(room.store.root().join("reuse.jsonl")).unwrap_or_default(), &mut named);
    for seen in &mut room.runs {
        seen.run.bytes = remove::size_of(&seen.dir);
        if seen.stays() {
            remove::named_by(&seen.dir, &mut named)?;
        }
    }
    for seen in room.runs.iter_mut().filter(|seen| !seen.stays()) {
        if !gc.dry && !room.store.discard(&seen.run.id)? {
            seen.keep("live", "somebody holds it just now");
            remove::named_by(&seen.dir, &mut named)?;
        }
    }
    if !gc.dry {
        room.store.settle()?;
    }
    let unnamed = room.store.unnamed(&named)?;
    gc.files += unnamed.len();
    gc.file_bytes += unnamed.iter().map(|object| object.size).sum::<u64>();
    if !gc.dry {
        unnamed.iter().try_for_each(|object| remove::remove(&object.path))?;
        room.store.leftovers().iter().try_for_each(|path| remove::remove(path))?;
    }
    for seen in room.runs.drain(..) {
        if seen.stays() { gc.kept.push(seen.run) } else { gc.removed.push(seen.run) }
    }
    Ok(())
}

/// What somebody has signed: roles, and the record itself.
fn signed(dir: &Path) -> Option<String> {
    let by_role = std::fs::read_dir(dir.join(signoff::FOLDER)).ok().map(|entries| {
        let names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
        let mut roles: Vec<String> = names.filter_map(|name| Some(name.strip_suffix(".json")?.to_owned())).collect();
        roles.sort();
        // A file of which nobody knows what it is may be half a signature.
        let roles = if roles.is_empty() { "a role".to_owned() } else { crate::report::format::names(&roles, 4) };
        format!("signed for {roles}")
    });
    by_role.or_else(|| dir.join(signoff::RECORD_SIGNATURE).exists().then(|| "its record is signed".to_owned()))
}

/// Gates at which somebody has signed, by the evidence that they signed.
fn gates(store: &Path) -> HashMap<Digest, String> {
    let list = |folder: PathBuf| std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found = HashMap::new();
    for gate in list(store.join("gates")) {
        for evidence in list(gate.path()).filter(|evidence| evidence.path().join(signoff::FOLDER).is_dir()) {
            let mut digest = HashSet::new();
            remove::digests_in(evidence.file_name().to_string_lossy().as_bytes(), &mut digest);
            found.extend(digest.into_iter().map(|digest| (digest, gate.file_name().to_string_lossy().into_owned())));
        }
    }
    found
}

/// A step that stands by a waiver which is in force on this day.
fn waived(dir: &Path, day: &str) -> Option<String> {
    let record = read::read_record(&std::fs::read(dir.join(RECORD_FILE)).ok()?).ok()?;
    let mut steps = record.steps.into_iter();
    steps.find(|line| line.cause == Some(Cause::Waived) && !judgement::is_lapsed(line, day)).map(|line| line.id)
}

fn as_json(gc: &Gc) -> String {
    let run = |run: &Run| -> Json {
        let why: Vec<Json> = run.why.iter().map(|why| json!({ "code": why.code, "text": why.text })).collect();
        let mut told = json!({
            "run": run.id, "store": run.part, "plan": run.plan, "at": run.at, "end": run.end, "bytes": run.bytes,
        });
        if !why.is_empty() {
            told["why"] = why.into();
        }
        told
    };
    let value = json!({
        "schema": "runplan.gc/1",
        "dry_run": gc.dry,
        "removed": gc.removed.iter().map(run).collect::<Vec<_>>(),
        "kept": gc.kept.iter().map(run).collect::<Vec<_>>(),
        "archive": { "files": gc.files, "bytes": gc.file_bytes },
        "leftovers": { "files": gc.leftovers, "bytes": gc.leftover_bytes },
        "bytes": gc.bytes(),
    });
    format!("{value:#}\n")
}
