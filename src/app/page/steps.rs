//! The steps of a page: from a plan, or from what a run left of each. Reads ends of outputs, and the plan kept with a run.

use std::collections::BTreeMap;

use crate::draw::{Node, Picture};
use crate::event::Event;
use crate::export::{self, Came};
use crate::mask::Mask;
use crate::outcome::{AttemptResult, Cause, CriterionResult, Exit};
use crate::page::{Attempt, Criterion, Log as Tail, Step};
use crate::report::explain::{Explain, Rule};
use crate::report::{Which, escape, format};

use super::super::again::Begun;
use super::super::load::Ready;
use super::super::log::Log;
use super::super::{export as exports, show, view};
use super::{Earlier, letters, plots, relative, snippet};

/// Most bytes of one output on the page.
const OUTPUT: u64 = 12 * 1024;
/// Most bytes of all of them.
const OUTPUTS: u64 = 400 * 1024;
/// Most lines of criteria, notes and the like of one attempt.
const LINES: usize = 200;
/// Longest text of one of them, characters.
const LONG: usize = 2000;

fn cut(text: &str) -> String {
    let line = escape::line(text);
    if line.chars().count() <= LONG { line } else { line.chars().take(LONG).chain(['…']).collect() }
}

/// As [`cut`], with the lines that it has.
fn cut_lines(text: &str) -> String {
    let text = escape::text(text);
    if text.chars().count() <= LONG { text } else { text.chars().take(LONG).chain(['…']).collect() }
}

fn cuts(texts: &[String]) -> Vec<String> {
    texts.iter().take(LINES).map(|text| cut_lines(text)).collect()
}

pub(super) fn of_plan(ready: &Ready, picture: &Picture, past: &Earlier) -> Vec<Step> {
    let (plan, graph) = (&ready.loaded.plan, &ready.graph);
    let sources: BTreeMap<String, String> =
        plan.sources.files.iter().map(|file| (file.path.clone(), file.text.clone())).collect();
    let step = |node: &Node| {
        let id = plan.find(&node.name)?;
        let told = view::explained(plan, graph, id, Default::default());
        let mut step = planned(&told, &sources);
        step.needs = plan.step(id).needs.iter().map(|need| plan.step(need.step).name.clone()).collect();
        step.past = letters(past, &node.name);
        step.why.clone_from(&node.reason);
        drawn(&mut step, node);
        Some(step)
    };
    picture.nodes.iter().filter_map(step).collect()
}

/// What the plan says of a step.
fn planned(told: &Explain, sources: &BTreeMap<String, String>) -> Step {
    let rule = |rule: &Rule| Criterion {
        tier: rule.tier.clone(),
        text: cut(&rule.text),
        origin: escape::line(&rule.origin),
        ..Criterion::default()
    };
    Step {
        docs: told.docs.as_deref().map(cut),
        action: cuts(&told.action),
        after: told.after.clone(),
        tags: told.tags.clone(),
        place: escape::line(&told.place),
        source: snippet(sources, &told.place),
        criteria: told.rules.iter().take(LINES).map(rule).collect(),
        policy: told.policy.iter().map(|(key, text)| (key.clone(), cut(text))).collect(),
        ..Step::default()
    }
}

/// What the picture says of it.
fn drawn(step: &mut Step, node: &Node) {
    step.name.clone_from(&node.name);
    step.title.clone_from(&node.title);
    step.state = node.mark.word().to_owned();
    step.finally = node.finally;
    step.critical = node.critical;
    step.required = node.required;
    step.wave = node.wave;
    step.time_ns = node.time;
    if step.kind.is_empty() {
        step.kind = node.note.split(" · ").next().unwrap_or_default().to_owned();
    }
    let severity = step.policy.iter().find(|(key, _)| key == "severity");
    if step.severity.is_empty() {
        step.severity = severity.and_then(|(_, text)| text.split(',').next()).unwrap_or_default().to_owned();
    }
}

/// The steps of a run, and a sentence about outputs that are left out.
pub(super) fn of_run(
    log: &Log,
    events: &[Event],
    run: &export::Run,
    picture: &Picture,
    past: &Earlier,
    mask: Option<&Mask>,
) -> (Vec<Step>, String) {
    // What the plan says beyond the journal; a plan that can't be read any more says nothing, and the page less.
    let begun = Begun::of(log, events.to_vec()).ok();
    let ready = begun.and_then(|begun| begun.plan(&|_| None, None).ok());
    let sources = show::sources(&log.dir);
    let mut plots = plots::of_events(events);
    let known: BTreeMap<&str, &export::Step> = run.steps.iter().map(|step| (step.head.name.as_str(), step)).collect();
    let mut steps: Vec<Step> = Vec::new();
    for node in &picture.nodes {
        let Some(found) = known.get(node.name.as_str()) else { continue };
        let told = ready.as_ref().and_then(|ready| {
            let id = ready.loaded.plan.find(&node.name)?;
            Some(view::explained(&ready.loaded.plan, &ready.graph, id, Default::default()))
        });
        let mut step = told.map(|told| planned(&told, &sources)).unwrap_or_default();
        step.kind.clone_from(&found.head.kind);
        came(&mut step, found, &sources);
        step.plots = plots.remove(&found.head.step).unwrap_or_default();
        step.past = letters(past, &node.name);
        step.severity = found.head.severity.word().to_owned();
        drawn(&mut step, node);
        steps.push(step);
    }
    let left_out = outputs(log, &known, &mut steps, mask);
    (steps, left_out)
}

/// How it went.
fn came(step: &mut Step, found: &export::Step, sources: &BTreeMap<String, String>) {
    let head = &found.head;
    (step.needs, step.after) = (head.needs.clone(), head.after.clone());
    step.place = escape::line(&head.place);
    if step.source.is_empty() {
        step.source = snippet(sources, &head.place);
    }
    step.attempts = found.attempts.iter().map(attempt).collect();
    if !matches!(found.came, Came::Pass | Came::Unfinished) {
        step.why = cut(&found.why());
    }
    let note = |is: bool, text: String| is.then_some(text);
    step.notes = [
        note(found.came == Came::Waived, "waived".to_owned()),
        note(found.is_flaky(), format!("passed at attempt {}", found.attempts.len())),
        found.reused.as_ref().map(|run| format!("taken over from run {}", escape::line(run))),
        match &found.cause {
            Some(Cause::NeedFailed(root)) => Some(format!("in the blast radius of {}", escape::line(root))),
            _ => None,
        },
    ]
    .into_iter()
    .flatten()
    .collect();
    let Some(result) = &found.result else { return };
    if let Some(about) = show::about(result)
        && step.action.is_empty()
    {
        step.action = vec![cut_lines(&format!("$ {}", about.action))];
    }
    if !result.criteria().is_empty() {
        let when: Vec<Criterion> = step.criteria.drain(..).filter(|criterion| criterion.tier == "when").collect();
        step.criteria = result.criteria().iter().take(LINES).map(judged).chain(when).collect();
    }
    let file = |output: &crate::outcome::OutputDigest| {
        (escape::line(&output.file.path), output.file.sha256.clone(), output.artifact)
    };
    step.files = result.outputs.iter().take(LINES).map(file).collect();
    step.values = result.values.iter().take(LINES).map(|(name, value)| (name.clone(), cut(value))).collect();
}

fn judged(criterion: &CriterionResult) -> Criterion {
    let mut notes: Vec<String> = criterion.note.iter().map(|note| cut(note)).collect();
    if let Some(waiver) = &criterion.waiver {
        let until = if waiver.expired { "expired" } else { "until" };
        notes.push(cut(&format!("waived by {} {until} {}: {}", waiver.owner, waiver.expires, waiver.reason)));
    }
    if let Some(found) = &criterion.compared {
        let estimate = found.estimate.as_deref().unwrap_or("no ratio");
        let interval = found.interval.as_ref().map_or_else(String::new, |[low, high]| format!(" ({low} to {high})"));
        notes.push(cut(&format!(
            "{}: candidate {} of {}, baseline {} of {}; {estimate}{interval}, held against {} by {}",
            found.subject, found.candidate, found.n[0], found.baseline, found.n[1], found.limit, found.method
        )));
    }
    let against = criterion.against.as_ref().map_or_else(String::new, |text| format!(" ({text})"));
    Criterion {
        tier: criterion.tier.word().to_owned(),
        text: cut(&criterion.text),
        origin: if criterion.implied { "implied".to_owned() } else { escape::line(&criterion.place) },
        state: criterion.state.word().to_owned(),
        expected: cut(&format!("{}{against}", criterion.expected)),
        actual: cut(&criterion.actual),
        margin: criterion.margin.as_deref().map(cut).unwrap_or_default(),
        notes,
    }
}

fn attempt(attempt: &export::Attempt) -> Attempt {
    let exit = |result: &AttemptResult| match &result.exit {
        Some(Exit::Code(code)) => format!("exit {code}"),
        Some(Exit::Signal(name)) => name.clone(),
        None => String::new(),
    };
    let result = attempt.result.as_ref();
    let notes = result.map_or(&[][..], |result| &result.notes);
    Attempt {
        number: attempt.number,
        start: attempt.start,
        end: attempt.end,
        state: result.map(|result| result.state.word().to_owned()).unwrap_or_default(),
        exit: result.map(exit).unwrap_or_default(),
        detail: result.and_then(|result| result.detail.as_deref()).map(cut).unwrap_or_default(),
        samples: result.map_or(0, |result| result.samples),
        notes: notes.iter().take(LINES).map(|note| cut(&note.text)).collect(),
    }
}

/// Ends of what the last attempts wrote: of failures first, since there is room for so much only.
fn outputs(log: &Log, known: &BTreeMap<&str, &export::Step>, steps: &mut [Step], mask: Option<&Mask>) -> String {
    let mut order: Vec<usize> = (0..steps.len()).collect();
    let failed = |step: &Step| known.get(step.name.as_str()).is_some_and(|found| found.came.is_failure());
    order.sort_by_key(|&at| !failed(&steps[at]));
    let (mut left, mut without) = (OUTPUTS, 0);
    for at in order {
        let step = &mut steps[at];
        let Some(found) = known.get(step.name.as_str()) else { continue };
        let Some(last) = found.attempts.last() else { continue };
        let mut any = false;
        for name in ["stdout", "stderr"] {
            let which = Which { rank: found.head.rank, name: &found.head.name, attempt: last.number };
            let path = view::spool_path(&log.dir, which, name);
            let size = std::fs::metadata(&path).map_or(0, |there| there.len());
            if size == 0 {
                continue;
            }
            let Ok(wrote) = exports::end_of(&path, OUTPUT.min(left)) else { continue };
            left -= wrote.bytes.len() as u64;
            any |= wrote.bytes.is_empty();
            let bytes = mask.map_or(wrote.bytes.clone(), |mask| mask.bytes(&wrote.bytes));
            step.logs.push(Tail {
                name: name.to_owned(),
                text: String::from_utf8_lossy(&bytes).into_owned(),
                left_out: wrote.left_out,
                path: relative(&path, log.home.as_deref()),
            });
        }
        without += usize::from(any);
    }
    if without == 0 {
        return String::new();
    }
    let most = format::size(OUTPUTS);
    format!("Outputs of {} are left out: a page holds {most} of them, failures first.", format::count(without, "step"))
}
