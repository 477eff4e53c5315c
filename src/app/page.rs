//! `runplan graph --format html`: what a page for a browser says, gathered from a plan or from what a run left. Starts
//! nothing and writes only the file it was asked for; how the page looks is the matter of `page`.

mod plots;
mod steps;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value as Json;

use crate::cli::Graph as Ask;
use crate::draw::{self, Picture};
use crate::event::{EventKind, PlanHead, Settings};
use crate::exit::Exit;
use crate::export;
use crate::mask::Mask;
use crate::outcome::State;
use crate::page::{self, Mode, Moment, Page, Past};
use crate::record::history::HistoryLine;
use crate::record::store::Store;
use crate::report::terminal::Terminal;
use crate::report::{Which, escape, format};

use super::load::{self, Ready};
use super::log::{self, Log};
use super::past::{Fault, corrupt, wrong};
use super::{draw as drawing, export as exports, history, view};

/// Runs of the trend.
const RUNS: usize = 24;

/// What a page is made of.
pub(super) struct Gathered {
    /// A [`Page`], with secrets taken out.
    pub(super) data: Json,
    /// The graph.
    pub(super) picture: Picture,
    /// What the steps that are going on write to.
    #[cfg_attr(not(feature = "serve"), expect(dead_code, reason = "only what is served goes on being looked at"))]
    pub(super) watch: Vec<PathBuf>,
    /// Takes out secrets that are set here.
    mask: Option<Mask>,
}

impl Gathered {
    /// The whole page.
    pub(super) fn html(&self, picture: &Picture, mode: Mode) -> String {
        let drawing = draw::svg_part(picture);
        let drawing = self.mask.as_ref().map_or(drawing.clone(), |mask| mask.text(&drawing));
        page::html(&self.data, &drawing, mode)
    }
}

pub(super) fn write(ask: &Ask, terminal: &Terminal) -> Exit {
    let gathered = match &ask.run {
        Some(run) => match log::open(run).and_then(|log| of_run(&log)) {
            Ok(gathered) => gathered,
            Err(fault) => return log::refused(terminal, &fault),
        },
        None => {
            let Some(ready) = load::ready(&ask.args, terminal) else { return Exit::Usage };
            of_plan(&ready, ask)
        }
    };
    let picture = match drawing::asked(gathered.picture.clone(), ask) {
        Ok((picture, _)) => picture,
        Err(text) => return log::refused(terminal, &wrong(text)),
    };
    drawing::deliver(ask, &gathered.html(&picture, Mode::File), terminal)
}

/// A plan, as a dry run sees it.
fn of_plan(ready: &Ready, ask: &Ask) -> Gathered {
    let picture = drawing::of_plan(ready, &ask.args.path);
    let plan = &ready.loaded.plan;
    let vars =
        ask.args.vars.iter().map(|(name, value)| format!(" --var {}", format::shell_word(&format!("{name}={value}"))));
    let files = ask.args.var_files.iter().map(|file| format!(" --var-file {}", format::shell_word(file)));
    let words: String = vars.chain(files).collect();
    let path = format::shell_word(&ask.args.path);
    let (trend, past) = Store::reader(plan.workspace.as_std_path())
        .map_or_else(|_| Default::default(), |store| trend(&store, &plan.name, None));
    let steps = steps::of_plan(ready, &picture, &past);
    let page = Page {
        schema: "runplan.page/1",
        title: picture.title.clone(),
        plan: escape::line(&plan.name),
        path: picture.path.clone(),
        summary: picture.summary.clone(),
        commands: vec![format!("runplan explain{words} {path}"), format!("runplan{words} {path}")],
        steps,
        trend,
        ..Page::default()
    };
    let mut data = serde_json::to_value(&page).unwrap_or_default();
    let mask = exports::masking(super::world::secrets_here(plan));
    if let Some(mask) = &mask {
        exports::conceal_texts(mask, &mut data);
    }
    Gathered { data, picture, watch: Vec::new(), mask }
}

/// A run, over or going on, from its journal and the files beside it.
pub(super) fn of_run(log: &Log) -> Result<Gathered, Fault> {
    let mut found = log.recovered()?;
    let record = match &log.record {
        Some(_) => Some(log.checked_record(&found)?),
        None => None,
    };
    let mask = exports::mask(&log.dir, &found.events);
    let about = exports::gathered(log, &found, record.as_ref())?;
    if let Some(mask) = &mask {
        found.events.iter_mut().for_each(|event| {
            if let Ok(mut value) = serde_json::to_value(&*event)
                && exports::conceal_texts(mask, &mut value)
                && let Ok(masked) = serde_json::from_value(value)
            {
                *event = masked;
            }
        });
    }
    let picture = drawing::of_events(log, &found.events)?;
    let announced = || corrupt(format!("run `{}`: its journal announces no plan", log.id));
    let (head, settings) = found.events.first().and_then(|event| opening(&event.kind)).ok_or_else(announced)?;
    let (head, settings) = (head.clone(), settings.clone());
    let run = export::Run::of(&found.events, about).ok_or_else(announced)?;
    let store = log.home.as_deref().and_then(|home| Store::reader(home).ok());
    let (trend, past) =
        store.map_or_else(Default::default, |store| trend(&store, &head.name, Some((&log.id, run.wall_ms(0)))));
    let (steps, left_out) = steps::of_run(log, &found.events, &run, &picture, &past, mask.as_ref());
    let end = if log.live { "running" } else { run.word() };
    let page = Page {
        schema: "runplan.page/1",
        title: picture.title.clone(),
        plan: escape::line(&head.name),
        path: escape::line(&head.path),
        summary: picture.summary.clone(),
        run: Some(page::Run {
            id: log.id.clone(),
            started: crate::signoff::timestamp(run.wall_ms(0)),
            took_ns: run.took_ns,
            end: end.to_owned(),
            why: if log.live { String::new() } else { escape::line(&run.why()) },
            jobs: settings.jobs,
            engine: settings.engine.clone(),
            record: run.about.record.as_ref().map(|(digest, _)| digest.clone()),
            plan_sha256: head.sha256.clone(),
        }),
        decision: run.decision.as_ref().and_then(|decision| serde_json::to_value(decision).ok()),
        commands: commands(log, &head),
        moments: moments(&run),
        steps,
        trend,
        left_out,
    };
    let mut data = serde_json::to_value(&page).map_err(|error| wrong(error.to_string()))?;
    if let Some(mask) = &mask {
        exports::conceal_texts(mask, &mut data);
    }
    let watch = if log.live { watch(log, &run) } else { Vec::new() };
    Ok(Gathered { data, picture, watch, mask })
}

fn opening(kind: &EventKind) -> Option<(&PlanHead, &Settings)> {
    match kind {
        EventKind::Open { plan, settings, .. } => Some((plan, settings)),
        _ => None,
    }
}

/// Beginnings of command lines that a step's name ends.
fn commands(log: &Log, head: &PlanHead) -> Vec<String> {
    let run = match &log.home {
        Some(_) => log.id.clone(),
        None => log.dir.display().to_string(),
    };
    vec![
        format!("runplan explain {}", format::shell_word(&head.path)),
        format!("runplan show {} --step", format::shell_word(&run)),
    ]
}

/// The files that steps write to at this moment.
fn watch(log: &Log, run: &export::Run) -> Vec<PathBuf> {
    let open = run.steps.iter().filter(|step| step.came == export::Came::Unfinished);
    let last = open.filter_map(|step| Some((&step.head, step.attempts.last()?.number)));
    last.flat_map(|(head, attempt)| {
        let which = Which { rank: head.rank, name: &head.name, attempt };
        ["stdout", "stderr"].map(|stream| view::spool_path(&log.dir, which, stream))
    })
    .collect()
}

fn moments(run: &export::Run) -> Vec<Moment> {
    let name = |id| run.steps.iter().find(|step| step.head.step == id).map(|step| step.head.name.clone());
    let moment = |mark: &export::Mark| Moment {
        at: mark.at,
        step: mark.step.and_then(name),
        name: escape::line(&mark.name),
        text: escape::line(&mark.text),
    };
    run.marks.iter().map(moment).collect()
}

/// What is known of the steps in earlier runs: a line a run of the trend.
type Earlier = Vec<Option<HistoryLine>>;

/// Runs of a plan up to one of them (or to the newest), oldest first. Writes nothing.
fn trend(store: &Store, plan: &str, to: Option<(&str, i64)>) -> (Vec<Past>, Earlier) {
    let Ok(ids) = store.runs() else { return Default::default() };
    let known = history::known(store, &ids);
    let mut runs: Vec<(i64, crate::report::history::Run)> = ids
        .iter()
        .filter_map(|id| match known.index.get(id) {
            Some(line) => (line.plan == plan).then(|| (line.at, history::finished(store, line))),
            None => history::unfinished(store, id),
        })
        .filter(|(at, run)| run.plan == plan && to.is_none_or(|(id, last)| run.id == id || *at <= last))
        .collect();
    runs.sort_by(|a, b| (a.0, &a.1.id).cmp(&(b.0, &b.1.id)));
    let runs = runs.split_off(runs.len().saturating_sub(RUNS));
    let steps = runs.iter().map(|(_, run)| known.steps(&run.id)).collect();
    let past = |(_, run): (i64, crate::report::history::Run)| Past {
        run: run.id,
        at: run.at,
        end: run.end,
        risk: run.risk,
        took_ns: run.took_ns,
    };
    (runs.into_iter().map(past).collect(), steps)
}

/// A letter a run.
fn letters(past: &Earlier, step: &str) -> String {
    let letter =
        |line: &Option<HistoryLine>| match line.as_ref().and_then(|line| line.steps.get(step)).map(|brief| brief.state)
        {
            Some(State::Pass) => 'p',
            Some(State::Warn) => 'w',
            Some(State::Fail) => 'f',
            Some(State::Error) => 'e',
            Some(State::Inconclusive) => 'i',
            Some(State::Pending) => 'h',
            Some(State::Skipped | State::NotRun) => 's',
            None => '-',
        };
    let letters: String = past.iter().map(letter).collect();
    if letters.chars().all(|letter| letter == '-') { String::new() } else { letters }
}

/// The plan's lines from where a step begins to the next header, by `path:line:col`.
fn snippet(sources: &BTreeMap<String, String>, place: &str) -> Vec<String> {
    const MOST: usize = 40;
    let mut parts = place.rsplitn(3, ':');
    let (_, Some(line), Some(path)) = (parts.next(), parts.next().and_then(|n| n.parse::<usize>().ok()), parts.next())
    else {
        return Vec::new();
    };
    let Some(text) = sources.get(path) else { return Vec::new() };
    let mut lines = Vec::new();
    for (number, text) in text.lines().enumerate().skip(line.saturating_sub(1)) {
        if number + 1 > line && text.starts_with('[') || lines.len() == MOST {
            break;
        }
        lines.push(escape::line(text));
    }
    // What stands before the next header belongs to it.
    while lines.last().is_some_and(|line| line.trim().is_empty() || line.trim_start().starts_with('#'))
        && lines.len() > 1
    {
        lines.pop();
    }
    lines
}

fn relative(path: &Path, home: Option<&Path>) -> String {
    let shown = home.and_then(|home| path.strip_prefix(home).ok()).unwrap_or(path);
    escape::line(&shown.display().to_string())
}
