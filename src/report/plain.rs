//! One line for each thing that happened: logs, CI, and what scrolls by above the live view.
//! Knows no terminal tricks: every line stands for itself.

use std::io;

use crate::event::{Event, EventKind, Sink};
use crate::ids::StepId;
use crate::outcome::State;

use super::output::Flow;
use super::style::{Look, Role};
use super::summary::{Brief, Row, Summary};
use super::terminal::{Stream, Terminal};
use super::{Context, Reporter, conclude, escape, format, style};

/// Silence longer than this (nanoseconds) is broken by a line that says what still runs.
const HEARTBEAT: u64 = 60_000_000_000;

/// The word for a result, and its role.
#[must_use]
pub fn word(result: &Brief) -> (&'static str, Role) {
    match result.state {
        State::Pass => ("PASS", Role::Good),
        State::Warn => ("WARN", Role::Warn),
        State::Fail => ("FAIL", Role::Bad),
        State::Inconclusive => ("UNSURE", Role::Warn),
        State::Error => ("ERROR", Role::Bad),
        State::Pending => ("HOLD", Role::Warn),
        State::Skipped if result.is_blocked() => ("BLOCK", Role::Warn),
        State::Skipped => ("SKIP", Role::Dim),
        State::NotRun => ("NOTRUN", Role::Dim),
    }
}

/// What an event adds to the log; the summary has already taken it.
#[must_use]
pub fn lines(summary: &Summary, event: &Event, width: usize) -> Vec<style::Line> {
    let row = |step: &StepId| summary.row(*step);
    match &event.kind {
        EventKind::Open { .. } => vec![opening(summary)],
        EventKind::Commit { step, .. } => row(step).and_then(|row| finished(summary, row, width)).into_iter().collect(),
        EventKind::Retry { step, attempt, after_ns } => {
            row(step).map(|row| retry(summary, row, *attempt, *after_ns, width)).into_iter().collect()
        }
        EventKind::Serving { step } => {
            row(step).map(|row| serving(summary, row, event.mono, width)).into_iter().collect()
        }
        EventKind::Warn { step, text, .. } => {
            remark("NOTE", step.as_ref().and_then(row).map(|row| row.head.name.as_str()), text, width)
        }
        EventKind::Signal { name, count } => {
            let still = format::count(summary.running.len() + summary.serving, "step");
            let left = summary.rows.iter().any(|row| row.head.finally && row.result.is_none());
            let then = if left { ", then the `finally` steps" } else { "" };
            let text = match count {
                0 | 1 => format!("{name}: starting nothing more, ending {still}{then} (again: at once)"),
                _ => format!("{name}: ending {still} at once"),
            };
            remark("STOP", None, &text, width)
        }
        _ => Vec::new(),
    }
}

/// `Title  blueprint.toml: 30 steps, 4 jobs  run 2026…`.
#[must_use]
pub fn opening(summary: &Summary) -> style::Line {
    let plan = &summary.plan;
    let line = style::Line::of(Role::Strong, plan.title.as_deref().unwrap_or(&plan.name)).plain("  ");
    let jobs = usize::try_from(summary.settings.jobs).unwrap_or(usize::MAX);
    let size = format!("{}, {}", format::count(summary.rows.len(), "step"), format::count(jobs, "job"));
    let shuffle = summary.settings.shuffle.map(|seed| format!(", shuffle {seed}")).unwrap_or_default();
    // A plan outside its workspace has a path that says nothing to who stands elsewhere.
    let shown = if plan.path.starts_with('/') { plan.path.rsplit('/').next() } else { None };
    line.with(Role::Note, shown.unwrap_or(&plan.path))
        .plain(": ")
        .plain(&size)
        .with(Role::Dim, &format!("  run {}{shuffle}", summary.settings.run))
}

/// `   PASS [  2.31s] unit-lib`: how a step ended, for a list of all; nothing for a step that was not selected.
#[must_use]
pub fn settled(row: &Row, width: usize) -> Option<style::Line> {
    let result = row.result.as_ref()?;
    if result.cause == Some(crate::outcome::Cause::Filtered) {
        return None;
    }
    let (word, role) = word(result);
    let took = (result.attempts > 0).then_some(result.total_ns);
    let took = took.map_or_else(|| "-".to_owned(), format::short);
    let line = style::Line::of(role, &format!("{word:>7}")).with(Role::Dim, &format!(" [{took:>7}] "));
    Some(noted(row, result, line, width))
}

/// `   PASS [  2.31s] (12/30) unit-lib`; nothing for a step that was not selected.
fn finished(summary: &Summary, row: &Row, width: usize) -> Option<style::Line> {
    let result = row.result.as_ref()?;
    if result.cause == Some(crate::outcome::Cause::Filtered) {
        return None;
    }
    let (word, role) = word(result);
    let took = (result.attempts > 0 && !row.reused).then_some(result.total_ns);
    let total = summary.total().to_string();
    let counter = format!("({:>width$}/{total})", summary.done(), width = total.len());
    Some(noted(row, result, start(word, role, took, &counter), width))
}

/// The line with the step's name and what is to be said about its end.
fn noted(row: &Row, result: &Brief, line: style::Line, width: usize) -> style::Line {
    let mut note = result.reason().unwrap_or_default();
    if result.attempts > 1 {
        let tries = format!("try {}", result.attempts);
        note = if note.is_empty() { tries } else { format!("{tries}: {note}") };
    }
    if row.reused {
        note = if note.is_empty() { "reused".to_owned() } else { format!("reused: {note}") };
    }
    let advisory = !row.head.required && result.state.is_failure();
    named(line, &row.head.name, advisory, &note, width)
}

fn retry(summary: &Summary, row: &Row, attempt: u32, after_ns: u64, width: usize) -> style::Line {
    let (took, why) = row.last_try.as_deref().map_or((None, ""), |(took, why)| (Some(*took), why.as_str()));
    let line = start("RETRY", Role::Warn, took, &no_counter(summary));
    let when = if after_ns == 0 { String::from("now") } else { format!("in {}", format::short(after_ns)) };
    let note = if why.is_empty() { format!("try {attempt} {when}") } else { format!("try {attempt} {when}: {why}") };
    named(line, &row.head.name, false, &note, width)
}

fn serving(summary: &Summary, row: &Row, now: u64, width: usize) -> style::Line {
    let line = start("READY", Role::Good, Some(now.saturating_sub(row.started)), &no_counter(summary));
    named(line, &row.head.name, false, "serves until its last dependant ends", width)
}

fn no_counter(summary: &Summary) -> String {
    " ".repeat(2 * summary.total().to_string().len() + 3)
}

fn start(word: &str, role: Role, took: Option<u64>, counter: &str) -> style::Line {
    let took = took.map_or_else(|| "-".to_owned(), format::short);
    style::Line::of(role, &format!("{word:>7}")).with(Role::Dim, &format!(" [{took:>7}] {counter} "))
}

/// Name, then as much of the note as fits; the name gives way only to half of the room.
fn named(line: style::Line, name: &str, advisory: bool, note: &str, width: usize) -> style::Line {
    let suffix = if advisory { " (advisory)" } else { "" };
    let room = width.saturating_sub(line.width() + suffix.len());
    let (name, note) = (escape::line(name), escape::line(note));
    let least = if note.is_empty() { room } else { room.saturating_sub(escape::width(&note) + 2).max(room / 2) };
    let line = line.with(Role::Strong, &escape::cut(&name, least)).with(Role::Warn, suffix);
    if note.is_empty() { line } else { line.plain("  ").plain(&note) }
}

/// A sentence that must not be cut: wrapped, with the name in front.
fn remark(word: &str, name: Option<&str>, text: &str, width: usize) -> Vec<style::Line> {
    let text = name.map_or_else(|| text.to_owned(), |name| format!("{name}: {text}"));
    let rows = escape::wrap(&escape::line(&text), width.saturating_sub(8));
    let line = |(index, row): (usize, &String)| match index {
        0 => style::Line::of(Role::Warn, &format!("{word:>7}")).plain(" ").plain(row),
        _ => style::Line::new().pad(8).plain(row),
    };
    rows.iter().enumerate().map(line).collect()
}

/// What still runs, for a log that was silent for long.
#[must_use]
pub fn heartbeat(summary: &Summary, now: u64) -> style::Line {
    let names: Vec<&str> =
        summary.running.iter().filter_map(|step| summary.row(*step)).map(|row| row.head.name.as_str()).collect();
    let counter = format!("({}/{})", summary.done(), summary.total());
    let line = start("WAIT", Role::Dim, Some(now), &counter);
    let text = match (names.is_empty(), summary.serving) {
        (false, _) => format!("running: {}", format::names(&names, 5)),
        (true, 0) => "nothing runs".to_owned(),
        (true, n) => format!("only {} ready", format::count(n, "service")),
    };
    line.plain(&text)
}

/// Writes [`lines`] to stderr as events come, and the result at the end.
pub struct Plain {
    terminal: Terminal,
    context: Context,
    summary: Summary,
    flow: Flow,
    last_line: u64,
    concluded: bool,
}

impl Plain {
    /// A reporter for logs.
    #[must_use]
    pub fn new(terminal: Terminal, context: Context) -> Self {
        let flow = Flow::new(terminal.clone(), Stream::Err);
        Self { terminal, context, summary: Summary::default(), flow, last_line: 0, concluded: false }
    }

    fn look(&self) -> Look {
        self.terminal.look(Stream::Err)
    }
}

impl Sink for Plain {
    fn event(&mut self, event: &Event) -> io::Result<()> {
        self.summary.apply(event);
        let look = self.look();
        let lines = lines(&self.summary, event, look.width);
        if !lines.is_empty() {
            self.last_line = event.mono;
        }
        self.flow.event(&self.summary, event, &self.context, style::page(&lines, look));
        if matches!(event.kind, EventKind::Close { .. }) {
            self.finish();
        }
        Ok(())
    }
}

impl Reporter for Plain {
    fn tick(&mut self, mono: u64) {
        if self.concluded {
            return;
        }
        self.flow.tick(&self.context);
        if mono.saturating_sub(self.last_line) >= HEARTBEAT {
            self.last_line = mono;
            let line = heartbeat(&self.summary, mono);
            self.flow.text(style::page(&[line], self.look()), &self.context);
        }
    }

    fn finish(&mut self) {
        if !std::mem::replace(&mut self.concluded, true) {
            self.flow.end(&self.context);
            conclude(&self.terminal, &self.summary, &self.context, true);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::sample::{MS, Stream as Sample, attempt, context, eventful, exit_one, golden, no_go};
    use super::super::terminal::tests::fake;
    use super::*;
    use crate::outcome::{Cause, RunStatus};

    fn log(sample: &Sample, look: Look) -> String {
        let mut summary = Summary::default();
        let mut out = String::new();
        for event in &sample.events {
            summary.apply(event);
            out.push_str(&style::page(&lines(&summary, event, look.width), look));
        }
        out
    }

    #[test]
    fn one_line_for_each_thing_that_happened() {
        golden("plain-80.txt", &log(&eventful(), Look { width: 80, colour: false }));
        golden("plain-120.txt", &log(&eventful(), Look { width: 120, colour: false }));
        golden("plain-80-colour.txt", &log(&eventful(), Look { width: 80, colour: true }));
    }

    #[test]
    fn a_whole_run_progress_to_stderr_and_decision_to_stdout() {
        let (terminal, out, err) = fake(80, 24, false);
        let mut plain = Plain::new(terminal, context());
        let mut sample = eventful();
        sample.close(no_go());
        sample.events.iter().for_each(|event| plain.event(event).unwrap());
        plain.finish();
        assert!(out.text().starts_with("NO-GO  1 veto, risk 84"), "{}", out.text());
        assert_eq!(out.text().matches("NO-GO").count(), 1);
        assert!(err.text().contains("   FAIL [  0.42s] (4/9) fmt  exit == 0, got 1\n"), "{}", err.text());
        assert!(err.text().trim_end().ends_with("blueprint.toml:14:22"), "{}", err.text());
    }

    #[test]
    fn silence_is_broken_once_a_minute() {
        let (terminal, _, err) = fake(80, 24, false);
        let mut plain = Plain::new(terminal, context());
        let mut sample = Sample::open(&["slow", "slower"]);
        sample.start("slow", 1).start("slower", 1);
        sample.events.iter().for_each(|event| plain.event(event).unwrap());
        let before = err.text().len();
        for second in [10, 59, 61, 62, 100, 122] {
            plain.tick(second * 1000 * MS);
        }
        let beats = err.text().split_off(before);
        assert_eq!(
            beats,
            "   WAIT [  1m01s] (0/2) running: slow, slower\n   WAIT [  2m02s] (0/2) running: slow, slower\n"
        );
    }

    #[test]
    fn an_interrupt_says_what_a_second_one_does() {
        let (terminal, out, err) = fake(80, 24, false);
        let mut plain = Plain::new(terminal, context());
        let mut sample = Sample::open(&["slow", "later"]);
        sample.start("slow", 1).wait(500);
        sample.push(EventKind::Signal { name: "SIGINT".into(), count: 1 });
        sample.push(EventKind::Signal { name: "SIGINT".into(), count: 2 });
        sample.end("slow", &[], attempt(State::NotRun, Some(Cause::Interrupted), 900));
        sample.unrun("later", State::NotRun, Cause::Interrupted);
        sample.push(EventKind::Close { status: RunStatus::Interrupted(2), record: None });
        sample.events.iter().for_each(|event| plain.event(event).unwrap());
        golden("interrupted-stderr.txt", &err.text());
        golden("interrupted-stdout.txt", &out.text());
    }

    proptest! {
        #[test]
        fn no_line_is_wider_than_the_screen(
            names in proptest::collection::btree_set("\\PC{1,30}|[a-z漢\\x00-\\x1f]{1,90}", 1..5),
            detail in "\\PC{0,120}",
            width in 40usize..130,
            colour: bool,
        ) {
            let names: Vec<String> = names.into_iter().map(|name| name.trim_end_matches('!').to_owned()).collect();
            let unique: std::collections::BTreeSet<&String> = names.iter().collect();
            prop_assume!(unique.len() == names.len());
            let refs: Vec<&str> = names.iter().map(String::as_str).collect();
            let mut sample = Sample::open(&refs);
            for name in &refs {
                let mut last = exit_one(420);
                last.cause = Some(Cause::ActionError);
                last.detail = Some(detail.clone());
                sample.start(name, 1).retry(name, last.clone(), 2).start(name, 2).end(name, &[last.clone()], last);
            }
            sample.push(EventKind::Warn { step: Some(StepId(0)), code: "c".into(), text: detail });
            let look = Look { width, colour: false };
            for line in log(&sample, look).lines() {
                prop_assert!(escape::width(line) <= width, "{line}");
            }
            let coloured = log(&sample, Look { width, colour });
            let bare = coloured.replace("\u{1b}[0m", "");
            let bare = ["1", "2", "32", "33", "1;31", "36"].iter().fold(bare, |text, sgr| text.replace(&format!("\u{1b}[{sgr}m"), ""));
            prop_assert_eq!(bare, log(&sample, look));
        }
    }
}
