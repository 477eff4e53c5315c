//! `runplan explain STEP` as text: one step in full. Pure: from plain data that the app fills in.

use super::dryrun::Marker;
use super::style::{Line, Look, Role, page};
use super::{escape, format};

/// Column where texts begin.
const TEXT: usize = 13;
/// Names of other steps shown in one field.
const NAMES: usize = 40;

/// A criterion in force.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rule {
    /// `pass`, `warn`, `reject`, `any` or `when`.
    pub tier: String,
    /// As written, or as implied.
    pub text: String,
    /// Where it comes from: `blueprint.toml:14:9`, or what implies it (`a run must exit with 0`).
    pub origin: String,
    /// Nobody wrote it.
    pub implied: bool,
}

/// One step in full.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Explain {
    /// Name.
    pub name: String,
    /// Human title.
    pub title: Option<String>,
    /// Longer text or link.
    pub docs: Option<String>,
    /// `path:line:col` of its header.
    pub place: String,
    /// The action's key (`run`).
    pub kind: String,
    /// What it does, in as many lines as that takes (`$ cargo test`, `cwd sub/`, `env RUST_LOG=…`).
    pub action: Vec<String>,
    /// Criteria in force, in plan order.
    pub rules: Vec<Rule>,
    /// Policy as key and text: `severity` `high, weight 0.35`; `retry` `up to 2 more, …`; only what applies.
    pub policy: Vec<(String, String)>,
    /// Names of needed steps, each with what is to be said about it in parentheses, or nothing.
    pub needs: Vec<String>,
    /// Names of steps it only follows.
    pub after: Vec<String>,
    /// Names of steps that need it.
    pub dependants: Vec<String>,
    /// Pools it holds: `docker (1)`.
    pub pools: Vec<String>,
    /// Tags.
    pub tags: Vec<String>,
    /// Files it reads.
    pub inputs: Vec<String>,
    /// Files and named values it publishes: `dist/ (stable)`, `version (value)`.
    pub outputs: Vec<String>,
    /// What would happen to it now.
    pub marker: Marker,
    /// Why.
    pub reason: String,
    /// The run that is looked back at, and how the step ended in it; empty without one.
    pub last: String,
    /// What it waited for there, a line each.
    pub waited: Vec<String>,
}

/// The whole text.
#[must_use]
pub fn render(step: &Explain, look: Look) -> String {
    let mut lines = vec![Line::of(Role::Strong, &step.name).plain("  ").with(Role::Note, &step.place)];
    for text in step.title.iter().chain(&step.docs) {
        lines.extend(wrapped("", text, look));
    }
    lines.push(Line::new());
    for (index, text) in step.action.iter().enumerate() {
        lines.extend(wrapped(if index == 0 { &step.kind } else { "" }, text, look));
    }
    let tiers = step.rules.iter().scan("", |last, rule| {
        let new = *last != rule.tier;
        *last = &rule.tier;
        Some((new, rule))
    });
    for (new, rule) in tiers {
        lines.extend(criterion(if new { &rule.tier } else { "" }, rule, look));
    }
    for (key, text) in &step.policy {
        lines.extend(wrapped(key, text, look));
    }
    for (key, names) in [
        ("needs", &step.needs),
        ("after", &step.after),
        ("needed by", &step.dependants),
        ("pools", &step.pools),
        ("tags", &step.tags),
        ("inputs", &step.inputs),
        ("outputs", &step.outputs),
    ] {
        if !names.is_empty() {
            lines.extend(wrapped(key, &format::names(names, NAMES), look));
        }
    }
    let reason = if step.reason.is_empty() { String::new() } else { format!(": {}", step.reason) };
    lines.extend(wrapped("now", &format!("{}{reason}", step.marker.word()), look));
    if !step.last.is_empty() {
        lines.extend(wrapped("last run", &step.last, look));
    }
    for (index, text) in step.waited.iter().enumerate() {
        lines.extend(wrapped(if index == 0 { "waited" } else { "" }, text, look));
    }
    page(&lines, look)
}

/// The criterion whole, then where it comes from, on the same row if that fits.
fn criterion(key: &str, rule: &Rule, look: Look) -> Vec<Line> {
    let origin = match (rule.implied, rule.origin.is_empty()) {
        (true, true) => "implied".to_owned(),
        (true, false) => format!("implied: {}", rule.origin),
        (false, _) => rule.origin.clone(),
    };
    let mut lines = wrapped(key, &rule.text, look);
    let fits = |line: &Line| line.width() + 2 + escape::width(&escape::line(&origin)) <= look.width;
    match lines.pop() {
        Some(last) if fits(&last) => lines.push(last.plain("  ").with(Role::Dim, &origin)),
        Some(last) => lines.extend([last, Line::new().pad(TEXT + 2).with(Role::Dim, &origin)]),
        None => {}
    }
    lines
}

/// `  key       text`, wrapped under itself. Line feeds of the text are kept.
fn wrapped(key: &str, text: &str, look: Look) -> Vec<Line> {
    let rows = escape::wrap(&escape::text(text), look.width.saturating_sub(TEXT));
    let line = |(index, row): (usize, &String)| {
        let key = if index == 0 { key } else { "" };
        Line::new().plain("  ").with(Role::Dim, &escape::cut(key, TEXT - 3)).pad(TEXT).plain(row)
    };
    rows.iter().enumerate().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::super::sample::golden;
    use super::*;

    #[test]
    fn one_step_in_full() {
        let own = |list: &[&str]| list.iter().map(|&name| name.to_owned()).collect::<Vec<String>>();
        let rule = |tier: &str, text: &str, origin: &str, implied: bool| Rule {
            tier: tier.into(),
            text: text.into(),
            origin: origin.into(),
            implied,
        };
        let step = Explain {
            name: "coverage".into(),
            title: Some("Coverage does not fall".into()),
            docs: Some("See docs/coverage.md.\nThe goal rises by the quarter, and this sentence is long enough to be wrapped somewhere.".into()),
            place: "blueprint.toml:40:1".into(),
            kind: "run".into(),
            action: own(&["$ make coverage-report", "env  PYTHONPATH=."]),
            rules: vec![
                rule("pass", "percent(lines) >= 55", "blueprint.toml:43:9", false),
                rule("pass", "exit == 0", "a `run` must exit with 0 unless a criterion names `exit`", true),
                rule("warn", "percent(lines) >= 32", "blueprint.toml:44:9", false),
            ],
            policy: vec![("severity".into(), "high, weight 0.35".into()), ("retry".into(), "up to 2 more, 2s apart".into())],
            needs: own(&["build", "venv (advisory)"]),
            dependants: own(&["release"]),
            pools: own(&["docker (1)"]),
            tags: own(&["slow"]),
            inputs: own(&["src/**"]),
            outputs: own(&["coverage.xml (stable)"]),
            marker: Marker::Run,
            reason: "no earlier result".into(),
            last: "20260101T000000Z-aaaaaa: pass".into(),
            waited: own(&["12.3s for build", "4.20s for pool docker (1), held by up"]),
            ..Explain::default()
        };
        golden("explain-80.txt", &render(&step, Look { width: 80, colour: false }));
        golden("explain-120.txt", &render(&step, Look { width: 120, colour: false }));
        golden("explain-80-colour.txt", &render(&step, Look { width: 80, colour: true }));
    }
}
