//! The failure report: one block for each root failure, what it blocked folded under it; advisory failures and
//! warnings shorter and after. Pure.

use std::collections::HashMap;

use crate::ids::StepId;
use crate::outcome::{Cause, CriterionResult, Exit, State, Tier};

use super::style::{Line, Look, Role, page, rule};
use super::summary::{Brief, Row, Summary, got};
use super::{Context, Output, Tail, Which, escape, excerpt, format};

/// Root failures told in full; the next ones get a line each.
const FULL: usize = 10;
/// Lines at most of each kind of one-line entry.
const SHORT: usize = 20;
/// Criteria told in full in one block.
const CRITERIA: usize = 3;
/// Lines of output in one block.
const OUTPUT: usize = 8;
/// Column where a field's text begins.
const FIELD: usize = 12;
/// Rows at most of one field.
const ROWS: usize = 6;

/// The whole report; empty if there is nothing to say.
#[must_use]
pub fn report(summary: &Summary, context: &Context, look: Look) -> String {
    let failed = summary.ranked(|row, result| result.state.is_failure() && row.head.required);
    let advisory = summary.ranked(|row, result| result.state.is_failure() && !row.head.required);
    let pending = summary.ranked(|_, result| result.state == State::Pending);
    let warned = summary.ranked(|_, result| result.state == State::Warn);
    let blocked = blocked_by(summary);
    let block = |step: &StepId| Block::new(summary, context, blocked.get(step).map_or(&[], Vec::as_slice), *step, look);
    let mut lines = Vec::new();
    for block in failed.iter().take(FULL).filter_map(block) {
        lines.extend(block.full());
    }
    lines.extend(one_liners(summary, failed.get(FULL..).unwrap_or(&[]), look.width));
    for block in advisory.iter().take(FULL).filter_map(block) {
        lines.extend(block.brief());
    }
    lines.extend(one_liners(summary, advisory.get(FULL..).unwrap_or(&[]), look.width));
    for block in pending.iter().take(FULL).filter_map(block) {
        lines.extend(block.waiting());
    }
    lines.extend(one_liners(summary, pending.get(FULL..).unwrap_or(&[]), look.width));
    lines.extend(one_liners(summary, &warned, look.width));
    page(&lines, look)
}

/// Names of the steps that each root keeps from running, in plan rank.
fn blocked_by(summary: &Summary) -> HashMap<StepId, Vec<String>> {
    let mut members: Vec<(u32, StepId, &str)> = Vec::new();
    for (row, root) in summary.rows.iter().zip(summary.roots()) {
        if let Some(root) = root {
            members.push((row.head.rank, root, &row.head.name));
        }
    }
    members.sort_unstable();
    let mut blocked: HashMap<StepId, Vec<String>> = HashMap::new();
    for (_, root, name) in members {
        blocked.entry(root).or_default().push(name.to_owned());
    }
    blocked
}

/// `   WARN coverage  percent(lines) >= 55, got 31.4 %, short by 23.6 pp  blueprint.toml:14:9`.
fn one_liners(summary: &Summary, steps: &[StepId], width: usize) -> Vec<Line> {
    let rows = steps.iter().take(SHORT).filter_map(|step| summary.row(*step));
    let mut lines: Vec<Line> = rows.flat_map(|row| one_liner(row, width)).collect();
    if steps.len() > SHORT {
        lines.push(Line::new().pad(8).with(Role::Dim, &format!("and {} more", steps.len() - SHORT)));
    }
    lines
}

/// One line if it fits; what does not fit goes on below.
fn one_liner(row: &Row, width: usize) -> Vec<Line> {
    let Some(result) = &row.result else { return Vec::new() };
    let (word, role) = super::plain::word(result);
    let name = escape::cut(&escape::line(&row.head.name), 40.min(width / 2));
    let start = Line::of(role, &format!("{word:>7} ")).with(Role::Strong, &name).plain("  ");
    let culprits = result.culprits();
    let culprit = culprits.first();
    let margin = culprit.and_then(|c| c.margin.as_ref()).map_or_else(String::new, |margin| format!(", {margin}"));
    let text = escape::line(&format!("{}{margin}", result.reason().unwrap_or_default()));
    let mut rows = escape::wrap(&text, width.saturating_sub(start.width())).into_iter();
    let mut lines = vec![start.plain(&rows.next().unwrap_or_default())];
    let rest: Vec<String> = rows.collect();
    let below = escape::wrap(&rest.join(" "), width.saturating_sub(8));
    lines.extend(below.iter().filter(|row| !row.is_empty()).take(2).map(|row| Line::new().pad(8).plain(row)));
    let place = culprit.map_or("", |c| c.place.as_str());
    match lines.pop() {
        Some(last) if place.is_empty() || last.width() + 2 + escape::width(&escape::line(place)) <= width => {
            lines.push(last.plain("  ").with(Role::Dim, place));
        }
        Some(last) => lines.extend([last, Line::new().pad(8).with(Role::Dim, place)]),
        None => {}
    }
    lines
}

/// One root failure and everything about it.
struct Block<'a> {
    row: &'a Row,
    result: &'a Brief,
    context: &'a Context,
    blocked: &'a [String],
    look: Look,
}

impl<'a> Block<'a> {
    fn new(
        summary: &'a Summary,
        context: &'a Context,
        blocked: &'a [String],
        step: StepId,
        look: Look,
    ) -> Option<Self> {
        let row = summary.row(step)?;
        Some(Self { row, result: row.result.as_ref()?, context, blocked, look })
    }

    fn full(&self) -> Vec<Line> {
        let mut lines = vec![rule((Role::Bad, &self.row.head.name), &self.headline(), self.look)];
        if let Some(title) = &self.row.head.title {
            lines.push(Line::new().plain("  ").with(Role::Dim, title));
        }
        lines.extend(self.criteria());
        if let Some(sentence) = self.sentence() {
            self.field(&mut lines, "because", Role::Strong, &sentence);
        }
        if let Some(about) = (self.context.about)(&self.row.head.name) {
            let place = about.cwd.map_or_else(String::new, |cwd| format!("  (in {cwd})"));
            self.field(&mut lines, "did", Role::Note, &format!("{}{place}", about.action));
        }
        self.output(&mut lines);
        self.consequences(&mut lines);
        let rerun = format!("{} {}", self.context.command, format::shell_word(&self.row.head.name));
        self.field(&mut lines, "rerun", Role::Note, &rerun);
        lines.push(Line::new());
        lines
    }

    fn brief(&self) -> Vec<Line> {
        let name = format!("{} (advisory)", self.row.head.name);
        let mut lines = vec![rule((Role::Warn, &name), &self.headline(), self.look)];
        let place = self.result.culprits().first().map_or("", |c| c.place.as_str());
        let reason = self.result.reason().unwrap_or_default();
        self.field(&mut lines, "because", Role::Plain, format!("{reason}  {place}").trim_end());
        let tails = self.tails();
        if let Some((stream, tail)) = tails.first().filter(|_| self.context.output != Output::None)
            && let Some(last) = tail.lines.iter().rev().find(|line| !line.trim_ascii().is_empty())
        {
            let room = self.look.width.saturating_sub(FIELD);
            self.field(&mut lines, stream, Role::Plain, &escape::cut(&escape::bytes(last), room));
        }
        self.log(&mut lines, &tails);
        self.consequences(&mut lines);
        lines.push(Line::new());
        lines
    }

    /// What has to be done before it can go on.
    fn waiting(&self) -> Vec<Line> {
        let mut lines = vec![rule((Role::Warn, &self.row.head.name), "pending", self.look)];
        self.field(&mut lines, "because", Role::Plain, &self.result.reason().unwrap_or_default());
        self.consequences(&mut lines);
        lines.push(Line::new());
        lines
    }

    /// `exit 1 after 0.42s (try 2/3)`.
    fn headline(&self) -> String {
        let last = self.result.last.as_ref();
        let how = match (&self.result.cause, last.and_then(|last| last.exit.as_ref())) {
            (Some(Cause::Timeout), _) => "timed out".to_owned(),
            (Some(Cause::SpawnFailed), _) => "not started".to_owned(),
            (Some(Cause::ServiceDied), _) => "service ended too early".to_owned(),
            (Some(Cause::Signal(name)), _) | (_, Some(Exit::Signal(name))) => name.clone(),
            (_, Some(Exit::Code(code))) if *code != 0 => format!("exit {code}"),
            _ => self.result.state.word().to_owned(),
        };
        let Some(last) = last else { return how };
        let tries = (self.context.about)(&self.row.head.name).map_or(0, |about| about.tries).max(self.result.attempts);
        let looks = if last.samples > 1 { format!(", {} looks", last.samples) } else { String::new() };
        format!("{how} after {}{looks} (try {}/{tries})", format::short(last.duration_ns), self.result.attempts)
    }

    /// Each culprit: where it stands, what had to be, what was.
    fn criteria(&self) -> Vec<Line> {
        let culprits = self.result.culprits();
        let mut lines = Vec::new();
        if !culprits.iter().take(CRITERIA).any(|c| !c.place.is_empty()) {
            lines.extend(self.underlined(&self.row.head.place, "", ""));
        }
        for criterion in culprits.iter().take(CRITERIA) {
            self.criterion(&mut lines, criterion);
        }
        if culprits.len() > CRITERIA {
            let more = culprits.iter().skip(CRITERIA).map(|c| c.text.as_str()).collect::<Vec<_>>().join("; ");
            self.field(&mut lines, "and", Role::Plain, &more);
        }
        lines
    }

    fn criterion(&self, lines: &mut Vec<Line>, criterion: &CriterionResult) {
        if criterion.place.is_empty() {
            let origin = if criterion.implied { "  (implied by the action)" } else { "" };
            self.field(lines, criterion.tier.word(), Role::Strong, &format!("{}{origin}", criterion.text));
        } else {
            let otherwise = format!("{} {}", criterion.tier.word(), criterion.text);
            lines.extend(self.underlined(&criterion.place, verdict(criterion), &otherwise));
        }
        let refused = criterion.tier == Tier::Reject;
        let against = criterion.against.as_ref().map(|text| format!(" ({text})")).unwrap_or_default();
        let expected = format!("{}{against}", criterion.expected);
        for (key, text) in [
            (if refused { "refused" } else { "expected" }, Some(expected.as_str()).filter(|t| !t.is_empty())),
            ("actual", Some(criterion.actual.as_str()).filter(|t| !t.is_empty())),
            ("margin", criterion.margin.as_deref()),
            ("note", criterion.note.as_deref()),
        ] {
            if let Some(text) = text {
                self.field(lines, key, if key == "actual" { Role::Bad } else { Role::Plain }, text);
            }
        }
    }

    /// The plan's line, or where it would be if nobody has the plan at hand.
    fn underlined(&self, place: &str, label: &str, otherwise: &str) -> Vec<Line> {
        match (self.context.excerpt)(place) {
            Some(found) => excerpt::draw(&found, label, self.look.width),
            None if otherwise.is_empty() => {
                vec![Line::of(Role::Dim, "  ╭▸ ").with(Role::Note, place)]
            }
            None => {
                vec![Line::of(Role::Dim, "  ╭▸ ").with(Role::Note, place).plain("  ").with(Role::Strong, otherwise)]
            }
        }
    }

    /// The sentence about it, unless the criteria have said it all.
    fn sentence(&self) -> Option<String> {
        let culprits = self.result.culprits();
        let general = self.result.cause.as_ref().map(ToString::to_string);
        let told = matches!(self.result.cause, Some(Cause::Criteria | Cause::Rejected | Cause::Undecided))
            && !culprits.is_empty();
        let detail = self.result.detail.clone().filter(|detail| Some(detail) != general.as_ref());
        let repeats = |detail: &String| culprits.iter().any(|c| Some(detail) == c.note.as_ref() || *detail == got(c));
        detail.filter(|detail| !repeats(detail)).or_else(|| general.filter(|_| !told))
    }

    /// What it wrote last, stderr first.
    fn tails(&self) -> Vec<(&'static str, Tail)> {
        let which = Which { rank: self.row.head.rank, name: &self.row.head.name, attempt: self.result.attempts.max(1) };
        if self.result.attempts == 0 {
            return Vec::new();
        }
        let tail = |stream: &'static str| (self.context.tail)(which, stream).map(|tail| (stream, tail));
        ["stderr", "stdout"].into_iter().filter_map(tail).filter(|(_, tail)| !tail.lines.is_empty()).collect()
    }

    fn output(&self, lines: &mut Vec<Line>) {
        let tails = self.tails();
        if self.context.output == Output::None {
            return self.log(lines, &tails);
        }
        let mut shares: Vec<usize> = tails.iter().map(|(_, tail)| tail.lines.len()).collect();
        if let [stderr, stdout] = shares.as_mut_slice() {
            // Each stream has half of the room, and what the other one leaves of its half.
            let for_stderr = (*stderr).min(OUTPUT / 2 + (OUTPUT / 2).saturating_sub(*stdout));
            *stdout = (*stdout).min(OUTPUT - for_stderr);
            *stderr = for_stderr;
        }
        for ((stream, tail), share) in tails.iter().zip(shares) {
            let share = share.min(OUTPUT);
            let total = tail.total_lines.unwrap_or(0);
            let extent = match u64::try_from(share).unwrap_or(u64::MAX) {
                _ if tail.total_lines.is_none() => format!("last {}", format::count(share, "line")),
                shown if shown >= total => format::count(share, "line"),
                shown => format!("last {shown} of {total} lines"),
            };
            self.field(lines, stream, Role::Plain, &format!("{extent}:"));
            for raw in tail.lines.iter().skip(tail.lines.len() - share) {
                lines.extend(quoted(raw, self.look.width));
            }
        }
        self.log(lines, &tails);
    }

    /// Where all of it can be read: `…/{stderr,stdout}`, as a shell takes it.
    fn log(&self, lines: &mut Vec<Line>, tails: &[(&'static str, Tail)]) {
        let split = |tail: &Tail| tail.path.rsplit_once('/').map(|(dir, file)| (dir.to_owned(), file.to_owned()));
        let text = match tails {
            [] => return,
            [(_, one)] => one.path.clone(),
            [(_, first), (_, second), ..] => match (split(first), split(second)) {
                (Some((dir, a)), Some((same, b))) if dir == same => format!("{dir}/{{{a},{b}}}"),
                _ => format!("{}, {}", first.path, second.path),
            },
        };
        self.field(lines, "log", Role::Note, &text);
    }

    fn consequences(&self, lines: &mut Vec<Line>) {
        if !self.blocked.is_empty() {
            self.field(lines, "blocked", Role::Plain, &format::names(self.blocked, 6));
        }
    }

    /// `  key       text`, wrapped under itself; line feeds of the text are kept.
    fn field(&self, lines: &mut Vec<Line>, key: &str, role: Role, text: &str) {
        let rows = escape::wrap(&escape::text(text.trim_end()), self.look.width.saturating_sub(FIELD));
        for (index, row) in rows.iter().take(ROWS).enumerate() {
            let line = if index == 0 {
                Line::new().plain("  ").with(Role::Dim, key).pad(FIELD)
            } else {
                Line::new().pad(FIELD)
            };
            let rest = if index + 1 == ROWS && rows.len() > ROWS { " …" } else { "" };
            lines.push(line.with(role, row).with(Role::Dim, rest));
        }
    }
}

/// What is wrong with a criterion, in the fewest words.
fn verdict(criterion: &CriterionResult) -> &'static str {
    match (criterion.tier, criterion.state) {
        (_, State::Error) => "could not be evaluated",
        (Tier::Reject, State::Pass) => "holds, and must not",
        (_, State::Pass | State::Inconclusive) => "not decided",
        (Tier::Any, _) => "none of `any` holds",
        _ => "does not hold",
    }
}

/// A line of output on at most two rows.
fn quoted(raw: &[u8], width: usize) -> Vec<Line> {
    let room = width.saturating_sub(4);
    let rows = escape::fold(&escape::bytes(raw), room);
    let more = rows.len() > 2;
    let line = |(index, row): (usize, &String)| {
        let line = Line::of(Role::Dim, "  │ ");
        if more && index == 1 {
            line.plain(escape::prefix(row, room.saturating_sub(1))).with(Role::Dim, "…")
        } else {
            line.plain(row)
        }
    };
    rows.iter().take(2).enumerate().map(line).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Excerpt;
    use super::super::sample::{Stream, attempt, below, context, eventful, exit_one, golden};
    use super::*;
    use crate::outcome::AttemptResult;

    #[test]
    fn root_failures_with_everything_about_them() {
        let mut sample =
            Stream::open(&["coverage", "stuck", "nlp!", "ask", "p1", "p2", "p3", "p4", "p5", "p6", "p7", "p8"]);
        sample.start("coverage", 1).end("coverage", &[exit_one(10)], below(State::Fail, 420));
        let stuck = AttemptResult {
            detail: Some("no answer from 127.0.0.1:8080 within 3 s, and the wrapped sentence goes on for longer than one row of the screen".into()),
            exit: Some(Exit::Signal("SIGKILL".into())),
            samples: 7,
            ..attempt(State::Fail, Some(Cause::Timeout), 180_000)
        };
        sample.start("stuck", 1).end("stuck", &[], stuck);
        sample.start("nlp", 1).end("nlp", &[], exit_one(200));
        sample.unrun("ask", State::Pending, Cause::Undecided);
        for n in 1..=8 {
            sample.unrun(
                &format!("p{n}"),
                State::Skipped,
                Cause::NeedFailed(if n == 1 { "coverage".into() } else { format!("p{}", n - 1) }),
            );
        }
        let summary = sample.summary();
        golden("failure-80.txt", &report(&summary, &context(), Look { width: 80, colour: false }));
        golden("failure-120.txt", &report(&summary, &context(), Look { width: 120, colour: false }));
        golden("failure-80-colour.txt", &report(&summary, &context(), Look { width: 80, colour: true }));
        golden("failure-bare-80.txt", &report(&summary, &Context::default(), Look { width: 80, colour: false }));
    }

    #[test]
    fn advisory_failures_and_warnings_come_after() {
        golden("failure-mixed-80.txt", &report(&eventful().summary(), &context(), Look { width: 80, colour: false }));
    }

    #[test]
    fn nothing_to_say_about_a_clean_run() {
        let mut sample = Stream::open(&["a"]);
        sample.pass("a", 5);
        assert_eq!(report(&sample.summary(), &context(), Look { width: 80, colour: false }), "");
    }

    #[test]
    fn a_thousand_failures_still_fit() {
        let names: Vec<String> = (0..1000).map(|n| format!("s{n}")).collect();
        let refs: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut sample = Stream::open(&refs);
        refs.iter().for_each(|name| {
            sample.start(name, 1).end(name, &[], exit_one(1));
        });
        let text = report(&sample.summary(), &context(), Look { width: 80, colour: false });
        assert!(text.contains("   FAIL s10  exit == 0, got 1\n"), "{text}");
        assert!(text.ends_with("and 970 more\n"));
        assert!(text.lines().count() < 300);
    }

    #[test]
    fn several_criteria_and_a_rejected_one() {
        let mut last = below(State::Fail, 5);
        last.cause = Some(Cause::Rejected);
        let extra = |tier, text: &str, state| super::super::sample::criterion(tier, text, state, "", "");
        last.criteria.push(extra(Tier::Reject, "stdout contains \"panic\"", State::Pass));
        last.criteria.push(extra(Tier::Reject, "stdout contains \"abort\"", State::Fail));
        last.criteria.extend((0..3).map(|n| extra(Tier::Pass, &format!("count(x{n}) == 0"), State::Inconclusive)));
        let mut sample = Stream::open(&["silent"]);
        sample.start("silent", 1).end("silent", &[], last);
        golden("failure-criteria-80.txt", &report(&sample.summary(), &context(), Look { width: 80, colour: false }));
    }

    proptest! {
        #[test]
        fn no_screen_is_wider_than_asked_or_carries_a_control(
            name in "[a-z\\[\\]=,.\u{0}-\u{1f}漢]{1,60}",
            text in "\\PC{0,90}|[\u{0}-\u{a0} ]{0,40}",
            output in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..200), 0..12),
            col in 0usize..120,
            width in 40usize..130,
        ) {
            let name = name.trim_end_matches('!').to_owned();
            let mut last = below(State::Fail, 420);
            last.detail = Some(text.clone());
            for criterion in &mut last.criteria {
                criterion.text.clone_from(&text);
                criterion.actual.clone_from(&text);
                criterion.note = Some(text.clone());
            }
            let mut sample = Stream::open(&[&name, "blocked", "warned"]);
            sample.start(&name, 1).end(&name, &[], last.clone());
            sample.unrun("blocked", State::Skipped, Cause::NeedFailed(name.clone()));
            last.state = State::Warn;
            sample.start("warned", 1).end("warned", &[], last);
            let (line, lines) = (text.clone(), output);
            let hostile = Context {
                excerpt: Box::new(move |_| Some(Excerpt { path: "p\n".into(), line: 9, col, text: line.clone(), len: 20 })),
                tail: Box::new(move |_, _| Some(Tail { lines: lines.clone(), total_lines: None, path: text.clone() })),
                ..context()
            };
            let summary = sample.summary();
            let look = Look { width, colour: false };
            for screen in [report(&summary, &hostile, look), super::super::closing::report(&summary, &hostile, look)] {
                for line in screen.lines() {
                    prop_assert!(escape::width(line) <= width, "{line}");
                    prop_assert_eq!(escape::line(line), line);
                }
            }
        }
    }
}
