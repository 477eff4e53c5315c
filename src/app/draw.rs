//! `runplan graph`: a plan, or a run that is over, as a picture. Starts nothing; writes only the file it was asked for.

use std::collections::{BTreeMap, BTreeSet};

use crate::cli::{Graph as Ask, GraphForm, GroupBy};
use crate::draw::{self, Line, Mark, Node, Picture};
use crate::event::{Event, EventKind, StepHead};
use crate::exit::Exit;
use crate::graph::{self, Edge};
use crate::ids::StepId;
use crate::outcome::{Cause, State, StepResult};
use crate::plan::Plan;
use crate::report::dryrun::Marker;
use crate::report::terminal::{Stream, Terminal};
use crate::report::{escape, format};

use super::load::{self, Ready};
use super::log::{self, Log};
use super::past::{Fault, wrong};
use super::{page, reuse, view};

/// From so many boxes on they are put together unless somebody asks for each.
const MANY: usize = 150;
/// Columns of a label before it is shortened.
const LABEL: usize = 32;

pub(super) fn graph(ask: &Ask, terminal: &Terminal) -> Exit {
    if ask.form() == GraphForm::Html {
        return page::write(ask, terminal);
    }
    let picture = match &ask.run {
        Some(run) => match of_run(run) {
            Ok(picture) => picture,
            Err(fault) => return log::refused(terminal, &fault),
        },
        None => {
            let Some(ready) = load::ready(&ask.args, terminal) else { return Exit::Usage };
            of_plan(&ready, &ask.args.path)
        }
    };
    let (picture, focus) = match asked(picture, ask) {
        Ok(both) => both,
        Err(text) => return log::refused(terminal, &wrong(text)),
    };
    let depth = ask.depth.map_or(usize::MAX, |depth| depth as usize);
    let text = match ask.form() {
        GraphForm::Text | GraphForm::Html => draw::text(&picture, terminal.look(Stream::Out).width),
        GraphForm::Tree => draw::tree(&picture, &focus, depth),
        GraphForm::Dot => draw::dot(&picture),
        GraphForm::Mermaid => draw::mermaid(&picture),
        GraphForm::Svg => draw::svg(&picture),
        GraphForm::Json => draw::json(&picture),
    };
    if ask.form() == GraphForm::Mermaid && picture.lines.len() > draw::MOST_LINES {
        let many = picture.lines.len();
        let help =
            format!("Mermaid draws {} lines unless its `maxEdges` is raised; these are {many}", draw::MOST_LINES);
        terminal.write(Stream::Err, &format!("runplan: {help}\n"));
    }
    deliver(ask, &text, terminal)
}

/// To the file that was asked for, or to stdout.
pub(super) fn deliver(ask: &Ask, text: &str, terminal: &Terminal) -> Exit {
    let Some(file) = ask.output.as_deref().filter(|file| *file != "-") else {
        terminal.write(Stream::Out, text);
        return Exit::Done;
    };
    match std::fs::write(file, text) {
        Ok(()) => Exit::Done,
        Err(error) => log::refused(terminal, &wrong(format!("`{file}` can't be written: {error}"))),
    }
}

/// What of the picture was asked for, and where the focus is in it.
pub(super) fn asked(picture: Picture, ask: &Ask) -> Result<(Picture, Vec<usize>), String> {
    let mut picture = picture;
    if !ask.focus.is_empty() {
        let focus = find(&picture, &ask.focus)?;
        let depth = ask.depth.map_or(usize::MAX, |depth| depth as usize);
        let keep = picture.around(&focus, depth);
        picture = picture.only(&keep);
    }
    let by = match ask.group_by {
        Some(by) => by,
        // A page is large enough for each, and its table names them anyway.
        None if matches!(ask.form(), GraphForm::Json | GraphForm::Tree | GraphForm::Html) => GroupBy::None,
        None if picture.nodes.len() <= MANY => GroupBy::None,
        None => GroupBy::Matrix,
    };
    let mut grouped = by_group(picture, by);
    if ask.group_by.is_none() && by == GroupBy::Matrix && grouped.nodes.len() > MANY {
        grouped = by_group(grouped, GroupBy::Tag);
    }
    // A focus that went into a group is not to be found any more; a tree then shows everything.
    let focus = find(&grouped, &ask.focus).unwrap_or_default();
    Ok((grouped, focus))
}

fn find(picture: &Picture, names: &[String]) -> Result<Vec<usize>, String> {
    let mut found = Vec::new();
    for name in names {
        let is_it = |node: &Node| node.name == *name || node.name.split('[').next() == Some(name);
        let nodes: Vec<usize> = (0..picture.nodes.len()).filter(|&number| is_it(&picture.nodes[number])).collect();
        if nodes.is_empty() {
            let known: Vec<&str> = picture.nodes.iter().map(|node| node.name.as_str()).collect();
            let near = graph::nearest(name, known.iter().copied());
            let near = if near.is_empty() { format!("; there are {}", format::names(&known, 12)) } else { near };
            return Err(format!("no step `{name}`{near}"));
        }
        found.extend(nodes);
    }
    Ok(found)
}

fn by_group(picture: Picture, by: GroupBy) -> Picture {
    let group = |node: &Node| match by {
        GroupBy::None => None,
        GroupBy::Tag => node.tags.first().cloned(),
        GroupBy::Stage => Some(format!("wave {}", node.wave)),
        GroupBy::Matrix => node.name.split_once('[').map(|(base, _)| base.to_owned()),
    };
    let groups: Vec<Option<String>> = picture.nodes.iter().map(group).collect();
    picture.grouped(&groups)
}

/// A plan, as a dry run sees it.
pub(super) fn of_plan(ready: &Ready, path: &str) -> Picture {
    let (plan, graph) = (&ready.loaded.plan, &ready.graph);
    let all = vec![true; plan.steps.len()];
    let mut prospects = view::prospects(plan, graph, &all);
    reuse::overlay(&mut prospects, plan, &reuse::foreseen(plan, graph, &all, None));
    let remembered = view::remembered(plan);
    let known = crate::engine::heads::estimate(&remembered);
    let critical = graph.critical_path(&|id| known(&plan.step(id).name));
    let mut wave_of = vec![0; plan.steps.len()];
    for (number, wave) in graph.waves(plan).iter().enumerate() {
        wave.iter().for_each(|id| wave_of[id.index()] = number + 1);
    }
    let node = |&id: &StepId| {
        let step = plan.step(id);
        let (marker, reason) = &prospects[id.index()];
        let time = remembered.get(&step.name);
        let note = time.map_or_else(
            || step.action.kind().word().to_owned(),
            |time| format!("{} · about {}", step.action.kind().word(), format::duration(*time)),
        );
        boxed(Node {
            name: step.name.clone(),
            note,
            title: step.title.as_deref().map(escape::line),
            action: escape::line(&view::action_line(step)),
            mark: match marker {
                Marker::Run => Mark::Run,
                Marker::Cached => Mark::Reuse,
                Marker::Skip => Mark::Skip,
                Marker::Blocked => Mark::Blocked,
            },
            reason: escape::line(reason),
            time: time.map(|time| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)),
            critical: critical.contains(&id),
            finally: step.finally,
            required: step.required,
            tags: step.tags.clone(),
            wave: wave_of[id.index()],
            ..Node::default()
        })
    };
    let nodes: Vec<Node> = graph.order().iter().map(node).collect();
    let estimate = (!remembered.is_empty()).then(|| critical.iter().map(|id| known(&plan.step(*id).name)).sum());
    let names: Vec<&str> = critical.iter().map(|id| plan.step(*id).name.as_str()).collect();
    Picture {
        title: escape::line(plan.title.as_deref().unwrap_or(&plan.name)),
        path: escape::line(path),
        summary: summary(&nodes, &names, estimate.map(|time| format!("est. {}", format::duration(time)))),
        lines: lines(plan, graph),
        nodes,
    }
}

fn lines(plan: &Plan, graph: &graph::Graph) -> Vec<Line> {
    let line = |id: StepId, (next, edge): (StepId, Edge)| Line {
        from: graph.rank(id) as usize,
        to: graph.rank(next) as usize,
        soft: edge == Edge::After,
    };
    let mut lines: Vec<Line> = plan.ids().flat_map(|id| graph.next(id).map(move |next| line(id, next))).collect();
    lines.sort_unstable();
    // `needs` says more than `after`.
    lines.dedup_by_key(|line| (line.from, line.to));
    lines
}

/// `30 steps, 6 waves, widest 11, critical path a → b → c, est. 1m05s`.
fn summary(nodes: &[Node], critical: &[&str], time: Option<String>) -> String {
    let mut waves: BTreeMap<usize, usize> = BTreeMap::new();
    nodes.iter().filter(|node| !node.finally).for_each(|node| *waves.entry(node.wave).or_default() += 1);
    let widest = waves.values().max().copied().unwrap_or(0);
    let path = match critical {
        [] => String::new(),
        all if all.len() <= 8 => format!(", critical path {}", escape::line(&all.join(" → "))),
        all => {
            let shown = escape::line(&all[..3].join(" → "));
            format!(", critical path {shown} → … → {} ({} steps)", escape::line(all[all.len() - 1]), all.len())
        }
    };
    let time = time.map_or_else(String::new, |time| format!(", {time}"));
    let counts = (format::count(nodes.len(), "step"), format::count(waves.len(), "wave"));
    format!("{}, {}, widest {widest}{path}{time}", counts.0, counts.1)
}

/// The texts of a box from its name and note.
fn boxed(node: Node) -> Node {
    let label = escape::cut(&escape::line(&node.name), LABEL);
    let note = escape::cut(&escape::line(&node.note), LABEL);
    let (columns, note_columns) = (escape::width(&label), escape::width(&note));
    Node { label, columns, note, note_columns, steps: 1, ..node }
}

/// A run, from its journal alone.
fn of_run(named: &str) -> Result<Picture, Fault> {
    let log = log::open(named)?;
    of_events(&log, &log.recovered()?.events)
}

/// A run, from the events of its journal.
pub(super) fn of_events(log: &Log, events: &[Event]) -> Result<Picture, Fault> {
    let open = events.iter().find_map(|event| match &event.kind {
        EventKind::Open { plan, steps, .. } => Some((plan, steps)),
        _ => None,
    });
    let (plan, heads) = open.ok_or_else(|| wrong(format!("run `{}` has no beginning", log.id)))?;
    let mut started: BTreeSet<StepId> = BTreeSet::new();
    let mut results: BTreeMap<StepId, &StepResult> = BTreeMap::new();
    let mut times: BTreeMap<StepId, u64> = BTreeMap::new();
    for event in events {
        match &event.kind {
            EventKind::Start { step, .. } if log.live => drop(started.insert(*step)),
            EventKind::Commit { step, result } => drop(results.insert(*step, result)),
            EventKind::Attempt { step, result, .. } => *times.entry(*step).or_default() += result.duration_ns,
            _ => {}
        }
    }
    let mut heads: Vec<&StepHead> = heads.iter().collect();
    heads.sort_by_key(|head| (head.finally, head.rank));
    let number: BTreeMap<&str, usize> = heads.iter().enumerate().map(|(at, head)| (head.name.as_str(), at)).collect();
    let mut lines = Vec::new();
    for (to, head) in heads.iter().enumerate() {
        let before = head.needs.iter().map(|name| (name, false)).chain(head.after.iter().map(|name| (name, true)));
        let line = |(name, soft): (&String, bool)| Some(Line { from: *number.get(name.as_str())?, to, soft });
        lines.extend(before.filter_map(line));
    }
    lines.sort_unstable();
    lines.dedup_by_key(|line| (line.from, line.to));
    let node = |head: &&StepHead| {
        let running = started.contains(&head.step);
        of_result(head, results.get(&head.step), times.get(&head.step), running)
    };
    let mut nodes: Vec<Node> = heads.iter().map(node).collect();
    blast(&mut nodes, heads.iter().map(|head| results.get(&head.step).and_then(|result| result.cause.as_ref())));
    for line in &lines {
        nodes[line.to].wave = nodes[line.to].wave.max(nodes[line.from].wave + 1);
    }
    let critical = longest(&nodes, &lines);
    critical.iter().for_each(|&node| nodes[node].critical = true);
    let names: Vec<&str> = critical.iter().map(|&node| nodes[node].name.as_str()).collect();
    let whole = events.last().map(|event| {
        let time = format::duration(std::time::Duration::from_nanos(event.mono));
        if log.live { format!("{time} so far") } else { format!("took {time}") }
    });
    let summary = summary(&nodes, &names, whole);
    let title = escape::line(plan.title.as_deref().unwrap_or(&plan.name));
    Ok(Picture { title, path: escape::line(&format!("{} run {}", plan.path, log.id)), summary, nodes, lines })
}

fn of_result(head: &StepHead, result: Option<&&StepResult>, time: Option<&u64>, running: bool) -> Node {
    let (mark, reason) = match result {
        None if running => (Mark::Running, "going on".to_owned()),
        None => (Mark::NotRun, "no result in the journal".to_owned()),
        Some(result) => {
            (mark(result), result.detail.clone().or_else(|| why(result.cause.as_ref())).unwrap_or_default())
        }
    };
    let took = time.map(|ns| format::duration(std::time::Duration::from_nanos(*ns)));
    boxed(Node {
        name: head.name.clone(),
        note: took.map_or_else(|| mark.word().to_owned(), |took| format!("{} · {took}", mark.word())),
        title: head.title.as_deref().map(escape::line),
        action: head.kind.clone(),
        mark,
        reason: escape::line(&reason),
        time: time.copied(),
        finally: head.finally,
        required: head.required,
        wave: 1,
        ..Node::default()
    })
}

/// What each failure kept from running: `causes` are those of the boxes, in their order.
fn blast<'a>(nodes: &mut [Node], causes: impl Iterator<Item = Option<&'a Cause>>) {
    let mut behind: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (node, cause) in nodes.iter().zip(causes) {
        if let Some(Cause::NeedFailed(root) | Cause::Stopped(root)) = cause {
            behind.entry(root).or_default().push(node.name.clone());
        }
    }
    for node in nodes.iter_mut() {
        if let Some(blast) = behind.remove(node.name.as_str()) {
            let note = format!("{} · blocks {}", node.note, blast.len());
            *node = boxed(Node { note, blast, ..std::mem::take(node) });
        }
    }
}

/// What stands behind a failure is its blast radius: blocked, with its root.
fn why(cause: Option<&Cause>) -> Option<String> {
    match cause? {
        Cause::NeedFailed(root) => Some(format!("behind `{root}`")),
        Cause::Stopped(root) => Some(format!("stopped by `{root}`")),
        Cause::NeedSkipped(root) => Some(format!("behind `{root}`, which was skipped")),
        other => Some(other.code().to_owned()),
    }
}

fn mark(result: &StepResult) -> Mark {
    match (result.state, &result.cause) {
        (State::Skipped, Some(Cause::NeedFailed(_))) => Mark::Blocked,
        (State::Skipped, _) => Mark::Skip,
        (State::Pass, _) => Mark::Pass,
        (State::Warn, _) => Mark::Warn,
        (State::Fail, _) => Mark::Fail,
        (State::Error, _) => Mark::Error,
        (State::Inconclusive, _) => Mark::Inconclusive,
        (State::Pending, _) => Mark::Pending,
        (State::NotRun, _) => Mark::NotRun,
    }
}

/// The path of main steps that took longest.
fn longest(nodes: &[Node], lines: &[Line]) -> Vec<usize> {
    let mut best: Vec<(u64, Option<usize>)> = nodes.iter().map(|node| (node.time.unwrap_or(0), None)).collect();
    // Boxes are in plan rank: everything before a line's end is settled when its turn comes.
    let mut sorted: Vec<&Line> = lines.iter().collect();
    sorted.sort_by_key(|line| (line.to, line.from));
    for line in sorted {
        let through = best[line.from].0 + nodes[line.to].time.unwrap_or(0);
        if through > best[line.to].0 || best[line.to].1.is_none() && through == best[line.to].0 {
            best[line.to] = (through, Some(line.from));
        }
    }
    let mut path = Vec::new();
    let main = (0..nodes.len()).filter(|&node| !nodes[node].finally);
    let mut at = main.max_by_key(|&node| (best[node].0, std::cmp::Reverse(node)));
    while let Some(node) = at {
        path.push(node);
        at = best[node].1;
    }
    path.reverse();
    path
}
