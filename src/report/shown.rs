//! `runplan show` as text: how a run ended, and one step of it in full. Pure: a summary or events in, text out.

use crate::event::StepHead;
use crate::facts::{Facts, Num, Unit, Value};
use crate::outcome::{AttemptResult, CriterionResult, Exit, State, StepResult, Tier};

use super::style::{Line, Look, Role, page, rule};
use super::summary::Summary;
use super::{Context, closing, escape, failure, format, plain};

/// Column where texts begin.
const TEXT: usize = 13;
/// Rows at most of one fact.
const ROWS: usize = 8;

/// A file that an attempt wrote to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spool {
    /// From 1.
    pub attempt: u32,
    /// As a person may open it.
    pub path: String,
    /// Bytes.
    pub size: u64,
}

/// A step with everything that is known of it.
pub struct Step<'a> {
    /// As announced.
    pub head: &'a StepHead,
    /// How it ended; none if the journal breaks off before.
    pub result: Option<&'a StepResult>,
    /// Attempts as they ended, with what they saw.
    pub attempts: Vec<&'a AttemptResult>,
    /// What they wrote, attempt by attempt.
    pub spools: Vec<Spool>,
}

/// What the terminal showed at the end: every step with its result, the failures, the decision.
#[must_use]
pub fn run(summary: &Summary, context: &Context, look: Look) -> String {
    let mut lines = vec![plain::opening(summary)];
    let ranked = summary.ranked(|_, _| true);
    lines.extend(ranked.iter().filter_map(|step| plain::settled(summary.row(*step)?, look.width)));
    let mut open: Vec<_> = summary.rows.iter().filter(|row| row.result.is_none()).collect();
    open.sort_by_key(|row| row.head.rank);
    for row in open {
        let how = if row.attempt > 0 { "did not end" } else { "did not start" };
        let line = Line::of(Role::Dim, &format!("{:>7} [{:>7}] ", "OPEN", "-"));
        lines.push(line.with(Role::Strong, &row.head.name).plain("  ").plain(how));
    }
    lines.push(Line::new());
    let mut text = page(&lines, look);
    let failures = failure::report(summary, context, look);
    if !failures.is_empty() {
        text.push_str(failures.trim_end());
        text.push_str("\n\n");
    }
    text.push_str(&closing::report(summary, context, look));
    text
}

/// One step in full.
#[must_use]
pub fn step(step: &Step<'_>, look: Look) -> String {
    let head = step.head;
    let state = step.result.map_or("not finished", |result| result.state.word());
    let role = role(step.result.map(|result| result.state));
    let mut lines = vec![rule((Role::Strong, &head.name), state, look)];
    lines.extend(head.title.iter().flat_map(|title| field("", Role::Dim, title, look)));
    let mut put = |key: &str, role: Role, text: &str| lines.extend(field(key, role, text, look));
    put("state", role, state);
    put("kind", Role::Plain, &head.kind);
    put("place", Role::Note, &head.place);
    if !head.needs.is_empty() {
        put("needs", Role::Plain, &format::names(&head.needs, 40));
    }
    let weight = format::permille(head.weight_permille);
    let required = if head.required { "required" } else { "advisory" };
    put("counts", Role::Plain, &format!("{required}, {} severity, weight {weight}", head.severity.word()));
    if let Some(result) = step.result {
        if let Some(cause) = &result.cause {
            put("cause", Role::Plain, &cause.to_string());
        }
        if let Some(detail) = result.detail.as_ref().filter(|detail| !detail.is_empty()) {
            put("because", Role::Plain, detail);
        }
        if let Some(action) = &result.action {
            put("action", Role::Dim, &format!("sha256:{action}"));
        }
        if let Some(reason) = &result.allowed_empty {
            put("empty", Role::Plain, &format!("allowed: {reason}"));
        }
    }
    for (attempt, number) in step.attempts.iter().zip(1_u32..) {
        lines.push(Line::new());
        lines.extend(one_attempt(attempt, number, step.attempts.len(), look));
        for spool in step.spools.iter().filter(|spool| spool.attempt == number) {
            lines.extend(field("wrote", Role::Note, &format!("{}  ({})", spool.path, format::size(spool.size)), look));
        }
    }
    lines.extend(step.result.map_or_else(Vec::new, |result| files(result, look)));
    page(&lines, look)
}

fn role(state: Option<State>) -> Role {
    match state {
        Some(State::Pass) => Role::Good,
        Some(State::Fail | State::Error) => Role::Bad,
        Some(State::Warn | State::Inconclusive | State::Pending) | None => Role::Warn,
        Some(State::Skipped | State::NotRun) => Role::Dim,
    }
}

fn one_attempt(attempt: &AttemptResult, number: u32, of: usize, look: Look) -> Vec<Line> {
    let exit = match &attempt.exit {
        Some(Exit::Code(code)) => format!(", exit {code}"),
        Some(Exit::Signal(name)) => format!(", {name}"),
        None => String::new(),
    };
    let looks = if attempt.samples > 1 { format!(", {} looks", attempt.samples) } else { String::new() };
    let took = format::short(attempt.duration_ns);
    let mut lines = vec![
        Line::of(Role::Strong, &format!("attempt {number} of {of}"))
            .plain("  ")
            .with(role(Some(attempt.state)), attempt.state.word())
            .plain(&format!("{exit} after {took}{looks}")),
    ];
    lines.extend(attempt.detail.iter().flat_map(|detail| field("because", Role::Plain, detail, look)));
    attempt.criteria.iter().for_each(|c| lines.extend(criterion(c, look)));
    lines.extend(facts(&attempt.facts, look));
    attempt.notes.iter().for_each(|note| lines.extend(field("note", Role::Plain, &note.text, look)));
    lines
}

/// `  pass       exit == 0  holds`, and below it what had to be and what was.
fn criterion(criterion: &CriterionResult, look: Look) -> Vec<Line> {
    let good = (criterion.tier == Tier::Reject) != (criterion.state == State::Pass);
    let (role, word) = match criterion.state {
        State::Pass if criterion.tier == Tier::Reject => (Role::Bad, "holds, and must not"),
        State::Pass => (Role::Good, "holds"),
        State::Fail => (if good { Role::Good } else { Role::Bad }, "does not hold"),
        State::Error => (Role::Bad, "could not be evaluated"),
        _ => (Role::Warn, "not decided"),
    };
    let implied = if criterion.implied { "  (implied)" } else { "" };
    let head = format!("{}{implied}  {word}", criterion.text);
    let mut lines = field(criterion.tier.word(), role, &head, look);
    let against = criterion.against.as_ref().map(|text| format!(" ({text})")).unwrap_or_default();
    let margin = criterion.margin.as_ref().map(|text| format!(", {text}")).unwrap_or_default();
    let place = if criterion.place.is_empty() { String::new() } else { format!("  {}", criterion.place) };
    let told = match criterion.actual.as_str() {
        "" => format!("expected {}{against}{place}", criterion.expected),
        actual => format!("expected {}{against}, was {actual}{margin}{place}", criterion.expected),
    };
    lines.extend(field("", Role::Plain, &told, look));
    let waiver = criterion.waiver.as_ref();
    let waived = waiver.map(|w| format!("waived by {} until {}: {}", w.owner, w.expires, w.reason));
    lines.extend(criterion.note.iter().chain(&waived).flat_map(|text| field("", Role::Dim, text, look)));
    lines
}

fn facts(facts: &Facts, look: Look) -> Vec<Line> {
    let mut lines = Vec::new();
    if facts.inspected.count > 0 {
        let what = format!("{} × {}", facts.inspected.count, facts.inspected.what);
        lines.extend(field("inspected", Role::Plain, &what, look));
    }
    for (index, (name, value)) in facts.values.iter().enumerate() {
        let key = if index == 0 { "facts" } else { "" };
        lines.extend(field(key, Role::Plain, &format!("{name} = {}", fact(value)), look));
    }
    lines
}

/// A value as a person reads it.
fn fact(value: &Value) -> String {
    match value {
        Value::Text(text) => text.trim_end().to_owned(),
        Value::Json(document) => document.to_string(),
        Value::List(items) => format!("[{}]", items.iter().map(fact).collect::<Vec<_>>().join(", ")),
        Value::Map(members) => {
            let members: Vec<String> = members.iter().map(|(name, value)| format!("{name}: {}", fact(value))).collect();
            format!("{{{}}}", members.join(", "))
        }
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Num(number, unit) => figure(*number, *unit),
    }
}

fn figure(number: Num, unit: Unit) -> String {
    let number = if unit == Unit::Percent { number } else { number.reduced() };
    let plain = if number.den == 1 { number.num.to_string() } else { format!("{:.3}", number.to_f64()) };
    let whole = u64::try_from(number.num).ok().filter(|_| number.den == 1);
    match (unit, whole) {
        (Unit::Percent, _) => format!("{:.1} % ({}/{})", number.to_f64() * 100.0, number.num, number.den),
        (Unit::Octal, Some(whole)) => format!("0o{whole:o}"),
        (Unit::Size, Some(whole)) => format::size(whole),
        (Unit::Time, Some(ns)) if ns >= 1_000_000_000 => format::short(ns),
        (Unit::Time, _) => format!("{:.3} ms", number.to_f64() / 1e6),
        (_, _) => plain,
    }
}

fn files(result: &StepResult, look: Look) -> Vec<Line> {
    let mut lines = vec![Line::new()];
    let short = |digest: &str| digest.chars().take(12).collect::<String>();
    for input in &result.inputs {
        let text = format!("{}  {}  sha256:{}…", input.path, format::size(input.size), short(&input.sha256));
        lines.extend(field("input", Role::Plain, &text, look));
    }
    for output in &result.outputs {
        let class = output.class.word();
        let archived = if output.artifact { ", archived" } else { "" };
        let file = &output.file;
        let size = format::size(file.size);
        let text = format!("{}  {size}  {class}{archived}  sha256:{}…", file.path, short(&file.sha256));
        lines.extend(field("output", Role::Plain, &text, look));
    }
    for (name, value) in &result.values {
        lines.extend(field("value", Role::Plain, &format!("{name} = {value}"), look));
    }
    if lines.len() > 1 { lines } else { Vec::new() }
}

/// `  key        text`, wrapped under itself and cut; line feeds of the text are kept.
fn field(key: &str, role: Role, text: &str, look: Look) -> Vec<Line> {
    let rows = escape::wrap(&escape::text(text), look.width.saturating_sub(TEXT));
    let more = rows.len() > ROWS;
    let line = |(index, row): (usize, &String)| {
        let key = if index == 0 { key } else { "" };
        let rest = if more && index + 1 == ROWS { " …" } else { "" };
        Line::new().plain("  ").with(Role::Dim, key).pad(TEXT).with(role, row).with(Role::Dim, rest)
    };
    rows.iter().take(ROWS).enumerate().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::super::sample::{Stream, below, context, eventful, golden, no_go};
    use super::*;
    use crate::event::EventKind;

    const NARROW: Look = Look { width: 80, colour: false };

    #[test]
    fn a_run_as_it_ended() {
        let mut sample = eventful();
        sample.close(no_go());
        golden("shown-80.txt", &run(&sample.summary(), &context(), NARROW));
    }

    #[test]
    fn a_run_that_broke_off_names_what_is_open() {
        let mut sample = Stream::open(&["a", "b", "c"]);
        sample.pass("a", 1).start("b", 1);
        let text = run(&sample.summary(), &context(), NARROW);
        assert!(
            text.contains("OPEN") && text.contains("b  did not end") && text.contains("c  did not start"),
            "{text}"
        );
        assert!(text.contains("RESULT UNKNOWN"), "{text}");
    }

    #[test]
    fn a_step_in_full_and_nothing_of_it_steers_the_terminal() {
        let mut attempt = below(State::Warn, 900);
        attempt.facts = Facts::about(2, "line");
        attempt.facts.set("text", Value::text("\u{1b}[2J hostile\n\u{202e}line\n"));
        attempt.facts.set("long", Value::text("x".repeat(5_000)));
        let mut sample = Stream::open(&["coverage"]);
        sample.start("coverage", 1).end("coverage", &[], attempt.clone());
        let events = sample.events;
        let head = events.iter().find_map(|event| match &event.kind {
            EventKind::Open { steps, .. } => steps.first(),
            _ => None,
        });
        let result = events.iter().find_map(|event| match &event.kind {
            EventKind::Commit { result, .. } => Some(&**result),
            _ => None,
        });
        let spools = vec![Spool { attempt: 1, path: ".runplan/runs/x/steps/0000-coverage/stdout".into(), size: 2_000 }];
        let shown = Step { head: head.unwrap(), result, attempts: vec![&attempt], spools };
        let text = step(&shown, NARROW);
        golden("shown-step-80.txt", &text);
        assert!(!text.contains('\u{1b}') && !text.contains('\u{202e}'), "{text}");
    }
}
