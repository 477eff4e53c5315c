//! `runplan show` and `runplan replay`: a past run through the same reporters, from its journal and the files beside it.
//! Runs nothing and writes nothing; `verify` is what holds a run against itself.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value as Json;

use crate::cli::{Replay, ReplayAs, Show};
use crate::event::{Event, EventKind, PlanHead, StepHead};
use crate::exit::Exit;
use crate::ids::StepId;
use crate::outcome::{AttemptResult, StepResult};
use crate::record::read::{self, Recovered};
use crate::report::shown::{self, Spool, Step};
use crate::report::summary::Summary;
use crate::report::terminal::{Stream, Terminal};
use crate::report::{self, About, Context, Excerpt, Progress, Which, format};

use super::again;
use super::log::{self, Log};
use super::past::wrong;
use super::view;

pub(super) fn show(ask: &Show, terminal: &Terminal) -> Exit {
    let (log, found) = match read_log(&ask.run) {
        Ok(both) => both,
        Err(fault) => return log::refused(terminal, &fault),
    };
    tell_state(&log, &found, terminal);
    let look = terminal.look(Stream::Out);
    let text = match &ask.step {
        None => {
            let mut summary = Summary::default();
            found.events.iter().for_each(|event| summary.apply(event));
            shown::run(&summary, &context(&log, &found.events), look)
        }
        Some(wanted) => match step_of(&log, &found.events, wanted) {
            Ok(step) => shown::step(&step, look),
            Err(text) => return log::refused(terminal, &wrong(text)),
        },
    };
    terminal.write(Stream::Out, &text);
    Exit::Done
}

pub(super) fn replay(ask: &Replay, terminal: &Terminal) -> Exit {
    let (log, found) = match read_log(&ask.run) {
        Ok(both) => both,
        Err(fault) => return log::refused(terminal, &fault),
    };
    let mode = match ask.progress {
        ReplayAs::Plain => Progress::Plain,
        ReplayAs::Json => Progress::Json,
    };
    let told = Context { output: ask.output.meant(), ..context(&log, &found.events) };
    let mut reporter = report::make(mode, terminal.clone(), told);
    for event in &found.events {
        if reporter.event(event).is_err() {
            return Exit::Bug;
        }
    }
    reporter.finish();
    tell_state(&log, &found, terminal);
    match found.events.last().map(|event| &event.kind) {
        Some(EventKind::Close { status, .. }) => Exit::Run(*status),
        // As a run ends whose log could not be written to its end: nobody knows how it came out.
        _ => Exit::Unrecorded,
    }
}

fn read_log(named: &str) -> Result<(Log, Recovered), super::past::Fault> {
    let log = log::open(named)?;
    let found = log.recovered()?;
    Ok((log, found))
}

/// Says on stderr why there is no more to see.
fn tell_state(log: &Log, found: &Recovered, terminal: &Terminal) {
    if read::is_closed(&found.events) {
        return;
    }
    let why = if log.live { "is going on" } else { "broke off: its engine was killed" };
    terminal.write(Stream::Err, &format!("runplan: run `{}` {why}; this is how far its journal goes\n", log.id));
}

fn heads(events: &[Event]) -> &[StepHead] {
    let heads = events.iter().find_map(|event| match &event.kind {
        EventKind::Open { steps, .. } => Some(steps.as_slice()),
        _ => None,
    });
    heads.unwrap_or_default()
}

fn step_of<'a>(log: &Log, events: &'a [Event], wanted: &str) -> Result<Step<'a>, String> {
    let heads = heads(events);
    let Some(head) = heads.iter().find(|head| head.name == wanted) else {
        let cells: Vec<&str> = heads.iter().map(|head| head.name.as_str()).collect();
        let alike: Vec<&str> = cells.iter().copied().filter(|name| name.starts_with(&format!("{wanted}["))).collect();
        let known = if alike.is_empty() { cells } else { alike };
        return Err(format!("no step `{wanted}` in run `{}`; it has {}", log.id, format::names(&known, 12)));
    };
    let attempts: Vec<&AttemptResult> = events
        .iter()
        .filter_map(|event| match &event.kind {
            EventKind::Attempt { step, result, .. } if *step == head.step => Some(&**result),
            _ => None,
        })
        .collect();
    let stands = std::env::current_dir().unwrap_or_default();
    let mut spools = Vec::new();
    for attempt in 1..=u32::try_from(attempts.len()).unwrap_or(u32::MAX) {
        for stream in ["stdout", "stderr"] {
            let path = view::spool_path(&log.dir, Which { rank: head.rank, name: &head.name, attempt }, stream);
            let size = std::fs::metadata(&path).map_or(0, |found| found.len());
            if size > 0 {
                spools.push(Spool { attempt, path: view::seen_from(&stands, &path), size });
            }
        }
    }
    Ok(Step { head, result: result_of(events, head.step), attempts, spools })
}

fn result_of(events: &[Event], wanted: StepId) -> Option<&StepResult> {
    events.iter().find_map(|event| match &event.kind {
        EventKind::Commit { step, result } if *step == wanted => Some(&**result),
        _ => None,
    })
}

/// What the reporters may ask about a run that is over: the plan as it was kept, what the steps wrote.
fn context(log: &Log, events: &[Event]) -> Context {
    let stands = std::env::current_dir().unwrap_or_default();
    let (dir, run_dir) = (log.dir.clone(), view::seen_from(&stands, &log.dir));
    let sources = sources(&log.dir);
    let abouts: BTreeMap<String, About> = heads(events)
        .iter()
        .filter_map(|head| Some((head.name.clone(), about(result_of(events, head.step)?)?)))
        .collect();
    Context {
        excerpt: Box::new(move |place| excerpt(&sources, place)),
        read: view::reads(&log.dir),
        tail: Box::new(move |which, stream| view::tail(&dir, &stands, which, stream)),
        about: Box::new(move |name| abouts.get(name).cloned()),
        run_dir,
        command: plan_of(events).map_or_else(|| "runplan".to_owned(), again::command),
        ..Context::default()
    }
}

fn plan_of(events: &[Event]) -> Option<&PlanHead> {
    events.iter().find_map(|event| match &event.kind {
        EventKind::Open { plan, .. } => Some(plan.as_ref()),
        _ => None,
    })
}

/// The command that a step ran, from the text of its action; only what was a command has a line.
pub(super) fn about(result: &StepResult) -> Option<About> {
    let form: Json = serde_json::from_str(result.action_preimage.as_ref()?).ok()?;
    let command = ["run", "service"].iter().find_map(|kind| form.get("action")?.get(kind)?.get("command"))?;
    let src = |word: &Json| word.get("src").and_then(Json::as_str).map(format::shell_word);
    let action = match (command.get("argv").and_then(Json::as_array), command.get("shell").and_then(Json::as_str)) {
        (Some(argv), _) => argv.iter().filter_map(src).collect::<Vec<_>>().join(" "),
        (None, Some(shell)) => shell.trim().to_owned(),
        (None, None) => return None,
    };
    let cwd = form.get("cwd").and_then(Json::as_str).filter(|cwd| !cwd.is_empty() && *cwd != ".");
    Some(About { action, cwd: cwd.map(str::to_owned), tries: 1 })
}

/// The kept files of the plan, by the path they had.
pub(super) fn sources(dir: &Path) -> BTreeMap<String, String> {
    let list = std::fs::read_to_string(dir.join(crate::record::store::PLAN_FILES)).unwrap_or_default();
    let file = |line: &str| {
        let value: Json = serde_json::from_str(line).ok()?;
        let name = value.get("file")?.as_str()?;
        // The list says which copy; it must not lead anywhere else.
        let is_plain = name.starts_with("plan") && !name.contains('/');
        let text = std::fs::read_to_string(dir.join(name)).ok().filter(|_| is_plain)?;
        Some((value.get("path")?.as_str()?.to_owned(), text))
    };
    list.lines().filter_map(file).collect()
}

/// The plan's line for `path:line:col`, with the quoted text or the header that begins there.
fn excerpt(sources: &BTreeMap<String, String>, place: &str) -> Option<Excerpt> {
    let mut parts = place.rsplitn(3, ':');
    let (col, line, path) = (parts.next()?.parse::<usize>().ok()?, parts.next()?.parse::<usize>().ok()?, parts.next()?);
    let text = sources.get(path)?.lines().nth(line.checked_sub(1)?)?;
    let rest: String = text.chars().skip(col.checked_sub(1)?).collect();
    Some(Excerpt { path: path.to_owned(), line, col, text: text.to_owned(), len: extent(&rest) })
}

/// Characters of what begins here: a quoted text, a table's header, or the rest of the line.
fn extent(rest: &str) -> usize {
    let rest = rest.trim_end();
    let all = rest.chars().count();
    let Some(first) = rest.chars().next() else { return 0 };
    let end = match first {
        '"' | '\'' => first,
        '[' => ']',
        _ => return all,
    };
    let mut escaped = false;
    for (index, c) in rest.chars().enumerate().skip(1) {
        if c == end && !escaped {
            return index + 1;
        }
        escaped = first == '"' && c == '\\' && !escaped;
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_underlined_ends_where_it_ends() {
        assert_eq!(extent("\"exit == 0\", \"x\"]"), 11);
        assert_eq!(extent("\"a \\\" b\" # c"), 8);
        assert_eq!(extent("'a \\' # c"), 5);
        assert_eq!((extent("[steps.a] # x"), extent("plain text  "), extent("")), (9, 10, 0));
        let sources = BTreeMap::from([("p.toml".to_owned(), "a\npass = [\"x == 1\"]\n".to_owned())]);
        let found = excerpt(&sources, "p.toml:2:9").unwrap();
        assert_eq!((found.line, found.col, found.len), (2, 9, 8));
        for nowhere in ["p.toml:0:1", "p.toml:9:1", "p.toml:2:0", "q.toml:1:1", "p.toml", "p.toml:x:1", ""] {
            assert_eq!(excerpt(&sources, nowhere), None, "{nowhere}");
        }
    }
}
