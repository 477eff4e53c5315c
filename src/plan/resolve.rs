//! From files to a [`Plan`]: declarations, expansion, steps, checks, in that order; gathers every diagnostic.

use std::cell::OnceCell;
use std::collections::HashSet;
use std::sync::Arc;

use camino::Utf8Path;
use serde_json::json;

use super::checks::Rest;
use super::declare;
use super::diags::Diags;
use super::error::Diagnostic;
use super::expand::{Cell, Expander};
use super::judged::{self, Judge};
use super::links::Links;
use super::names::Index;
use super::source::{Doc, Files};
use super::step::Reader;
use super::tables;
use super::template::Known;
use super::text::{Declared, Texts};
use super::tree::Table;
use super::{LoadOptions, Loaded, Plan, Step, checks, people, reports, shape, vars};
use crate::ids::{FileId, StepId};
use crate::outcome::Tier;
use crate::place::{Place, Sources};

/// Most steps after expansion.
const MOST_STEPS: usize = 100_000;

/// Makes a plan of what was read.
pub(super) fn resolve(path: &Utf8Path, files: &Files, mut diags: Diags, options: &LoadOptions<'_>) -> Loaded {
    let mut plan = Plan { sources: files.sources.clone(), ..Plan::default() };
    plan.name = path.file_stem().unwrap_or("plan").to_owned();
    let readable = formats(files, &mut diags);
    for doc in files.docs.iter().filter(|doc| !doc.broken && readable.contains(&doc.file)) {
        shape::check(doc.root(), &tables::DOCUMENT, &mut diags);
    }
    let main = files.docs.iter().find(|doc| doc.file == FileId(0)).map(Doc::root);
    let broken = files.docs.iter().any(|doc| doc.broken);
    if let (Some(main), false) = (main, broken)
        && readable.len() == files.docs.len()
    {
        document(path, main, files, &mut plan, &mut diags, options);
    }
    Loaded { plan: Arc::new(plan), diagnostics: diags.finish(options.strict) }
}

/// The files that are written in the version of the language that this is; of others nothing more can be said.
fn formats(files: &Files, diags: &mut Diags) -> HashSet<FileId> {
    let mut readable: HashSet<FileId> = files.docs.iter().map(|doc| doc.file).collect();
    for doc in &files.docs {
        let root = doc.root();
        match (root.get("format"), doc.file == FileId(0)) {
            (None, false) => {}
            (None, true) if doc.broken || root.misspelt("format") => {}
            (None, true) => {
                let fault = Diagnostic::error(
                    "missing-format",
                    Place::new(doc.file, 0..0),
                    "the plan does not say its language version",
                );
                diags.push(fault.help("begin it with `format = 1`"));
            }
            (Some(node), _) => match node.int() {
                Some(1) | None => {}
                Some(version) => {
                    readable.remove(&doc.file);
                    let message =
                        format!("this plan is written in language version {version}; this runplan reads version 1");
                    let help =
                        if version > 1 { "use a newer runplan, or write `format = 1`" } else { "write `format = 1`" };
                    diags.push(Diagnostic::error("unknown-format", node.place, message).help(help));
                }
            },
        }
    }
    readable
}

/// Keys that do not belong into the file they stand in.
fn misplaced(files: &Files, diags: &mut Diags) {
    for doc in &files.docs {
        for entry in doc.root().entries() {
            if doc.file != FileId(0)
                && tables::DOCUMENT.key(entry.key).is_some()
                && !tables::INCLUDED.contains(&entry.key)
            {
                let message = format!("`{}` has no place in an included file", entry.key);
                diags.push(
                    Diagnostic::error("misplaced-key", entry.key_place, message).help("move it to the main plan file"),
                );
            }
        }
    }
}

fn document(
    path: &Utf8Path,
    main: Table<'_>,
    files: &Files,
    plan: &mut Plan,
    diags: &mut Diags,
    options: &LoadOptions<'_>,
) {
    misplaced(files, diags);
    let roots: Vec<Table<'_>> = files.docs.iter().map(Doc::root).collect();
    let head = main.get("plan").and_then(|node| node.table(&tables::PLAN));
    head_of(head, path, plan, diags);
    let tables_of_vars: Vec<Table<'_>> = roots.iter().filter_map(|root| root.get("vars")?.map()).collect();
    plan.vars = vars::resolve(&tables_of_vars, options, diags);
    plan.secrets = declare::secrets(&roots, diags);
    plan.ports = declare::ports(&roots, diags);
    plan.pools = declare::pools(&roots, diags);
    plan.decision = declare::decision(main, diags);
    plan.signoffs = people::signoffs(main, diags);
    let declared = Declared {
        ports: plan.ports.clone(),
        secrets: plan.secrets.iter().map(|secret| secret.name.clone()).collect(),
    };
    let known = known(plan);
    let mut secrets = Vec::new();
    {
        let mut texts = Texts {
            diags,
            sources: &files.sources,
            known: &known,
            declared: &declared,
            refs: Vec::new(),
            secrets: HashSet::new(),
        };
        plan.env = declare::env(&roots, &mut texts);
        for reference in std::mem::take(&mut texts.refs) {
            let fault = Diagnostic::error(
                "late-name",
                reference.place,
                format!("`{}` cannot stand in `[env]`", reference.name.dotted()),
            );
            texts.diags.push(fault.help("every step gets these, also the earliest: set it in the `env` of a step"));
        }
        let when = &mut |table: Table<'_>, texts: &mut Texts<'_>| judged::read(table, &[Tier::When], texts);
        plan.risks = declare::risks(&roots, &mut texts, when);
        plan.reports = reports::read(main, &mut texts);
        let mut used: Vec<String> = texts.secrets.into_iter().collect();
        used.sort();
        secrets.push((used, roots.first().map_or(Place::default(), |root| root.place)));
    }
    let (cells, complete) = cells(&roots, &known, files, diags);
    let index = index(&cells, &files.sources, diags);
    let reader = Reader {
        sources: &files.sources,
        known: &known,
        declared: &declared,
        defaults: main.get("defaults").and_then(|node| node.table(&tables::DEFAULTS)),
        index: &index,
        pools: &plan.pools,
        on_failure: plan.on_failure,
        common: OnceCell::new(),
        partial: files.partial || !complete,
    };
    let (read, (mut rest, links)) = steps(&reader, &cells, diags);
    plan.steps = read;
    for (id, refs) in &rest.refs {
        checks::refs(*id, refs, plan, &index, &links, diags);
    }
    checks::ticks(plan, &index, &links, diags);
    Judge::new(&files.sources, &index, &links, &plan.vars, &plan.steps).check(plan, &rest.broken, &rest.values, diags);
    plan.waivers = people::waivers(files.waivers.as_ref(), plan, diags);
    rest.secrets.append(&mut secrets);
    checks::secrets(plan, &rest.secrets, options, diags);
    checks::warnings(plan, diags);
}

fn head_of(head: Option<Table<'_>>, path: &Utf8Path, plan: &mut Plan, diags: &mut Diags) {
    plan.workspace = declare::workspace(head, path, diags);
    let absolute = path.canonicalize_utf8().unwrap_or_else(|_| path.to_owned());
    plan.path = absolute.strip_prefix(&plan.workspace).map_or_else(|_| absolute.to_string(), Utf8Path::to_string);
    let Some(head) = head else { return };
    if let Some(name) = head.text("name") {
        name.clone_into(&mut plan.name);
    }
    plan.title = head.text("title").map(str::to_owned);
    plan.docs = head.text("docs").map(str::to_owned);
    plan.on_failure = declare::on_failure(head.get("on_failure")).unwrap_or_default();
    plan.finally_timeout = head.duration("timeout_finally");
}

/// Every step, and what is yet to be checked once all are known.
fn steps(reader: &Reader<'_>, cells: &[Cell<'_>], diags: &mut Diags) -> (Vec<Step>, (Rest, Links)) {
    let mut steps = Vec::with_capacity(cells.len());
    let (mut rest, mut links) = (Rest::default(), Links::with_room(cells.len()));
    for (at, cell) in cells.iter().enumerate() {
        let id = StepId::at(at);
        if let Some(read) = reader.read(id, cell, diags) {
            let step = rest.keep(id, read);
            links.add(&step);
            steps.push(step);
        }
    }
    (steps, (rest, links))
}

/// What templates may name at load.
fn known(plan: &Plan) -> Known {
    let vars: serde_json::Map<String, serde_json::Value> =
        plan.vars.iter().map(|(name, var)| (name.clone(), vars::json_of(&var.value))).collect();
    let about = json!({ "name": plan.name, "title": plan.title.clone().unwrap_or_default() });
    Known::default().with("vars", serde_json::Value::Object(vars)).with("plan", about)
}

/// All steps after expansion, `finally` steps last; and whether every step that is written gave at least one.
fn cells<'t>(roots: &[Table<'t>], known: &Known, files: &Files, diags: &mut Diags) -> (Vec<Cell<'t>>, bool) {
    let expander = Expander { known, sources: &files.sources };
    let (mut cells, mut complete) = (Vec::new(), true);
    for (key, finally) in [("steps", false), ("finally", true)] {
        let members = roots.iter().filter_map(|root| root.get(key)?.map()).flat_map(Table::members);
        for member in members {
            let before = cells.len();
            expander.expand(member, finally, diags, &mut cells);
            complete &= cells.len() > before;
            if cells.len() > MOST_STEPS {
                let message = format!("more than {MOST_STEPS} steps after expansion");
                diags.push(Diagnostic::error("too-many-steps", member.key_place(), message).help("split the plan"));
                cells.truncate(MOST_STEPS);
                return (cells, false);
            }
        }
    }
    if !cells.iter().any(|cell| !cell.finally) && !diags.has_errors() {
        let place = roots.last().map_or(Place::default(), |root| root.place);
        let message = if cells.is_empty() { "the plan has no steps" } else { "the plan has only `finally` steps" };
        diags.push(
            Diagnostic::error("no-steps", place, message)
                .help("add one: `[steps.hello]` with `run = [\"echo\", \"hello\"]`"),
        );
    }
    (cells, complete)
}

fn index<'n>(cells: &'n [Cell<'_>], sources: &Sources, diags: &mut Diags) -> Index<'n> {
    let mut index = Index::with_room(cells.len());
    for (at, cell) in cells.iter().enumerate() {
        let id = StepId::at(at);
        if let Some(first) = index.add(id, cell.name(), cell.base(), cell.axes(), cell.finally) {
            let fault = Diagnostic::error(
                "duplicate-step",
                cell.place(sources),
                format!("step `{}` is declared twice", cell.name()),
            );
            diags.push(
                fault.related(cells[first.index()].place(sources), "first declared here").help("rename one of the two"),
            );
        }
    }
    index
}

/// The roots `vars` and `plan` for texts completed while the plan runs.
pub(super) fn context(plan: &Plan) -> serde_json::Value {
    let vars: serde_json::Map<String, serde_json::Value> =
        plan.vars.iter().map(|(name, var)| (name.clone(), vars::json_of(&var.value))).collect();
    json!({
        "vars": vars,
        "plan": {
            "name": plan.name,
            "title": plan.title.clone().unwrap_or_default(),
            "workspace": plan.workspace.as_str(),
        },
    })
}
