//! `--progress github`: the log of a GitHub Actions job. Each step's output in a group that can steer nothing, problems as
//! annotations at their place in the plan. All on stdout, so that the order holds. Writes no file.

use std::io;

use crate::event::{Event, EventKind, Sink};
use crate::ids::StepId;
use crate::outcome::State;

use super::output::{self, Flow, Output};
use super::style::{self, Look};
use super::summary::{Brief, Row, Summary};
use super::terminal::{Stream, Terminal};
use super::{Context, Reporter, closing, failure, format, plain};

/// Annotations of a kind that one step of a job may have; GitHub drops the rest without a word.
const MOST: usize = 10;

/// A log for GitHub Actions.
pub struct Github {
    terminal: Terminal,
    context: Context,
    summary: Summary,
    flow: Flow,
    /// Ends the part of the log in which nothing is a command, while lines come as they are written.
    stopped: Option<String>,
    concluded: bool,
}

impl Github {
    /// On the terminal's stdout.
    #[must_use]
    pub fn new(terminal: Terminal, context: Context) -> Self {
        let flow = Flow::new(terminal.clone(), Stream::Out);
        Self { terminal, context, summary: Summary::default(), flow, stopped: None, concluded: false }
    }

    fn look(&self) -> Look {
        self.terminal.look(Stream::Out)
    }

    /// A step that is over, with its output where that is wanted.
    fn over(&mut self, step: StepId, lines: &str) {
        let failed = self.summary.row(step).and_then(|row| row.result.as_ref()).is_some_and(|r| r.state.is_failure());
        let wanted = match self.context.output {
            Output::All => true,
            Output::Failed => failed,
            Output::Live | Output::None => false,
        };
        if !wanted || !output::wrote(&self.context, &self.summary, step) {
            return self.flow.text(harmless(lines), &self.context);
        }
        let name = self.summary.row(step).map_or("", |row| row.head.name.as_str());
        let token = (self.context.token)(name);
        let before = format!("::group::{}\n::stop-commands::{token}\n", data(lines.trim_end()));
        let after = format!("::{token}::\n::endgroup::\n");
        self.flow.group(&self.summary, step, (before, after), &self.context);
    }
}

impl Sink for Github {
    fn event(&mut self, event: &Event) -> io::Result<()> {
        self.summary.apply(event);
        let look = self.look();
        let lines = style::page(&plain::lines(&self.summary, event, look.width), look);
        match &event.kind {
            EventKind::Commit { step, .. } if self.context.output != Output::Live => self.over(*step, &lines),
            EventKind::Open { .. } if self.context.output == Output::Live => {
                let token = (self.context.token)("");
                self.flow.text(format!("{}::stop-commands::{token}\n", harmless(&lines)), &self.context);
                self.stopped = Some(token);
            }
            EventKind::Close { .. } => self.finish(),
            _ if self.context.output == Output::Live => {
                self.flow.event(&self.summary, event, &self.context, harmless(&lines));
            }
            _ => self.flow.text(harmless(&lines), &self.context),
        }
        Ok(())
    }
}

impl Reporter for Github {
    fn tick(&mut self, _mono: u64) {
        if !self.concluded {
            self.flow.tick(&self.context);
        }
    }

    fn finish(&mut self) {
        if std::mem::replace(&mut self.concluded, true) {
            return;
        }
        self.flow.end(&self.context);
        if let Some(token) = self.stopped.take() {
            self.terminal.write(Stream::Out, &format!("::{token}::\n"));
        }
        let failures = failure::report(&self.summary, &self.context, self.look());
        if !failures.is_empty() {
            self.terminal.write(Stream::Out, &harmless(&format!("\n{}\n", failures.trim_end())));
        }
        self.terminal.write(Stream::Out, &annotations(&self.summary, &self.context));
        let closing = closing::report(&self.summary, &self.context, self.look());
        self.terminal.write(Stream::Out, &harmless(&format!("\n{closing}")));
    }
}

/// What deserves an annotation, and whether it is an error: what forbids GO is, what only adds to the risk or waits is not.
fn kind(row: &Row, result: &Brief) -> Option<bool> {
    match result.state {
        State::Fail | State::Error => Some(row.head.required),
        State::Warn | State::Inconclusive | State::Pending => Some(false),
        State::Pass | State::Skipped | State::NotRun => None,
    }
}

/// The most severe problems as annotations, and how many more there are.
#[must_use]
pub fn annotations(summary: &Summary, context: &Context) -> String {
    let mut found: Vec<(bool, &Row, &Brief)> = summary
        .ranked(|row, result| kind(row, result).is_some())
        .into_iter()
        .filter_map(|step| summary.row(step))
        .filter_map(|row| Some((kind(row, row.result.as_ref()?)?, row, row.result.as_ref()?)))
        .collect();
    // Stable: plan rank decides among equals.
    found.sort_by_key(|(_, row, _)| std::cmp::Reverse(row.head.weight_permille));
    let mut out = String::new();
    let mut more = Vec::new();
    for (is_error, word, singular) in [(true, "error", "error"), (false, "warning", "warning")] {
        let of_kind: Vec<_> = found.iter().filter(|one| one.0 == is_error).collect();
        of_kind.iter().take(MOST).for_each(|(_, row, result)| out += &annotation(word, row, result, context));
        if of_kind.len() > MOST {
            more.push(format::count(of_kind.len() - MOST, singular));
        }
    }
    if !more.is_empty() {
        let text = format!("{} more: see the log above and the summary of this job", more.join(" and "));
        out += &format!("::notice title=runplan::{}\n", data(&text));
    }
    out
}

/// `::error file=…,line=…,col=…,title=…::…`, at the criterion that made it so, or at the step.
fn annotation(word: &str, row: &Row, result: &Brief, context: &Context) -> String {
    let own = result.culprits().into_iter().find(|criterion| !criterion.implied && !criterion.place.is_empty());
    let place = own.map_or(&*row.head.place, |criterion| criterion.place.as_str());
    let mut properties = Vec::new();
    let mut parts = place.rsplitn(3, ':');
    if let (Some(col), Some(line), Some(path)) = (parts.next(), parts.next(), parts.next())
        && let Some(path) = (context.repository)(path)
    {
        properties.push(format!("file={},line={},col={}", property(&path), property(line), property(col)));
    }
    let title = row.head.title.as_ref().map_or_else(String::new, |title| format!(": {title}"));
    let (state, _) = plain::word(result);
    properties.push(format!("title={}", property(&format!("{state} {}{title}", row.head.name))));
    let reason = result.reason().unwrap_or_else(|| result.state.word().to_owned());
    let about = (context.about)(&row.head.name);
    let did = about.and_then(|about| about.action.lines().next().map(|line| format!("\n{line}"))).unwrap_or_default();
    format!("::{word} {}::{}\n", properties.join(","), data(&format!("{reason}{did}")))
}

/// A text as the data of a command; nothing in it reads like an old command either.
fn data(text: &str) -> String {
    text.replace("##[", "# #[").replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// A text as the value of a command's property.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

/// Lines of which none is a command: neither `::…::` at the start, nor the older `##[…]` anywhere.
fn harmless(text: &str) -> String {
    let line = |line: &str| {
        let line = line.replace("##[", "# #[");
        let start = line.trim_start();
        if start.starts_with("::") {
            let indent = line.len() - start.len();
            format!("{} {}", line.get(..=indent).unwrap_or(""), line.get(indent + 1..).unwrap_or(""))
        } else {
            line
        }
    };
    text.split('\n').map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::super::sample::{Stream as Sample, attempt, context, eventful, exit_one, no_go};
    use super::super::terminal::tests::fake;
    use super::*;
    use crate::outcome::Cause;

    fn log(sample: &Sample, context: Context) -> String {
        let (terminal, out, err) = fake(100, 24, false);
        let mut github = Github::new(terminal, context);
        sample.events.iter().for_each(|event| github.event(event).unwrap());
        github.finish();
        assert_eq!(err.text(), "");
        out.text()
    }

    fn wrote(text: &'static [u8], mode: Output) -> Context {
        let read = move |which: super::super::Which<'_>, stream: &str, offset: u64| {
            let rest = text.get(usize::try_from(offset).ok()?..).filter(|rest| !rest.is_empty());
            rest.filter(|_| stream == "stdout" && which.name == "fmt").map(<[u8]>::to_vec)
        };
        Context { read: Box::new(read), output: mode, token: Box::new(|name| format!("t-{name}")), ..context() }
    }

    #[test]
    fn each_output_stands_in_a_group_and_problems_at_their_place() {
        let mut sample = eventful();
        sample.close(no_go());
        let text = log(&sample, wrote(b"::error::pwn\n::endgroup::\r::t-fmt::\n", Output::All));
        let group = "::group::   FAIL [  0.42s] (4/9) fmt  exit == 0, got 1\n::stop-commands::t-fmt\n  ┌ stdout of fmt\n  │ ::error::pwn\n  │ ::t-fmt::\n::t-fmt::\n::endgroup::\n";
        assert!(text.contains(group), "{text}");
        assert_eq!(text.matches("::group::").count(), 1, "only one step wrote anything");
        assert!(
            text.contains("::error file=blueprint.toml,line=12,col=1,title=FAIL fmt::exit == 0, got 1%0A$ make fmt\n"),
            "{text}"
        );
        assert!(text.trim_end().contains("\nNO-GO  1 veto"), "{text}");
        for (mode, groups) in [(Output::Failed, 1), (Output::None, 0), (Output::Live, 0)] {
            let text = log(&sample, wrote(b"hello\n", mode));
            assert_eq!(text.matches("::group::").count(), groups, "{mode:?}");
            assert_eq!(text.contains("fmt │ hello"), mode == Output::Live, "{text}");
        }
    }

    #[test]
    fn the_most_severe_are_annotated_and_the_others_counted() {
        let names: Vec<String> = (0..25).map(|n| format!("s{n}")).collect();
        let refs: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut sample = Sample::open(&refs);
        if let EventKind::Open { steps, .. } = &mut sample.events[0].kind {
            steps[24].weight_permille = 900;
        }
        for name in &refs[..13] {
            sample.start(name, 1).end(name, &[], attempt(State::Warn, Some(Cause::Criteria), 5));
        }
        for name in &refs[13..] {
            sample.start(name, 1).end(name, &[], exit_one(5));
        }
        let text = annotations(&sample.summary(), &context());
        assert_eq!((text.matches("::error ").count(), text.matches("::warning ").count()), (10, 10));
        assert!(text.starts_with("::error file=blueprint.toml,line=12,col=1,title=FAIL s24::"), "{text}");
        assert!(
            text.ends_with(
                "::notice title=runplan::2 errors and 3 warnings more: see the log above and the summary of this job\n"
            ),
            "{text}"
        );
    }

    #[test]
    fn nothing_in_a_text_is_a_command() {
        assert_eq!(harmless("a\n  ::error::x\n::x\nb ##[error]y\n"), "a\n  : :error::x\n: :x\nb # #[error]y\n");
        assert_eq!(property("a:b,c%\r\n"), "a%3Ab%2Cc%25%0D%0A");
        assert_eq!(data("50%0A\n"), "50%250A%0A");
    }
}
