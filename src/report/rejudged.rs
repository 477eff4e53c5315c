//! `runplan judge` as text: what a run comes to by other criteria, step by step. Pure: from plain data that the app fills
//! in.

use super::style::{Line, Look, Role, page};
use super::{escape, format};
use crate::outcome::Verdict;

/// Most parts of an action told of one step.
const PARTS: usize = 6;

/// A decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Side {
    /// GO, HOLD or NO-GO.
    pub verdict: Verdict,
    /// 0 to 100.
    pub risk: u32,
}

/// How a step came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The state's word, or `unknown`.
    pub state: String,
    /// Why, as a sentence.
    pub cause: Option<String>,
}

/// One criterion then and now: text and the state's word; `None` where there was or is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Criterion {
    /// `pass`, `any`, `warn` or `reject`.
    pub tier: &'static str,
    /// Then.
    pub before: Option<(String, String)>,
    /// Now.
    pub now: Option<(String, String)>,
    /// What was seen, with how far off it is now.
    pub seen: String,
    /// Not the same on both sides.
    pub changed: bool,
}

/// A step about which there is something to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Its name.
    pub step: String,
    /// Then.
    pub before: Outcome,
    /// Now.
    pub now: Outcome,
    /// What decides now, in a sentence.
    pub detail: Option<String>,
    /// Nothing is known of it, for this reason.
    pub unknown: Option<String>,
    /// What else is to be said.
    pub notes: Vec<String>,
    /// Parts of its action that are other ones than then, as sentences.
    pub action: Vec<String>,
    /// Its criteria.
    pub criteria: Vec<Criterion>,
}

/// A run judged again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// Run id.
    pub run: String,
    /// The plan it was judged by; `None` for its own.
    pub plan: Option<String>,
    /// The decision of the record.
    pub before: Side,
    /// The decision now.
    pub now: Side,
    /// What forbids a GO now: step (or nothing) and reason.
    pub reasons: Vec<(String, String)>,
    /// Steps about which there is nothing to say.
    pub same_steps: usize,
    /// The others, in plan rank.
    pub changes: Vec<Change>,
    /// Steps that the plan does not have.
    pub only_in_run: Vec<String>,
    /// Steps that the run does not have.
    pub only_in_plan: Vec<String>,
    /// The record would be the same, byte for byte.
    pub same: bool,
}

/// The whole text.
#[must_use]
pub fn render(told: &Told, look: Look) -> String {
    let by = told.plan.as_ref().map_or_else(|| "the plan kept with it".to_owned(), |plan| format!("`{plan}`"));
    let mut lines = vec![
        Line::of(Role::Strong, "run ")
            .plain(&told.run)
            .with(Role::Dim, &format!("  judged again by {by}; nothing was run")),
    ];
    for change in &told.changes {
        lines.push(Line::new());
        step(change, look, &mut lines);
    }
    lines.push(Line::new());
    let mut note = |text: String| {
        wrapped(&mut lines, Line::of(Role::Dim, "note  "), &text, look);
    };
    if told.same_steps > 0 {
        note(format!("{} came out as before, by the same criteria", format::count(told.same_steps, "step")));
    }
    if !told.only_in_run.is_empty() {
        let names = format::names(&told.only_in_run, 12);
        note(format!("only in the run, so not judged: {names}"));
    }
    if !told.only_in_plan.is_empty() {
        let names = format::names(&told.only_in_plan, 12);
        note(format!("only in the plan, and never run, so unknown: {names}"));
    }
    let told_reasons = told.reasons.iter().filter(|_| told.plan.is_some() || !told.same);
    for (step, reason) in told_reasons {
        let what = if step.is_empty() { reason.clone() } else { format!("`{step}` {reason}") };
        wrapped(&mut lines, Line::of(Role::Warn, "forbids GO  "), &what, look);
    }
    lines.push(closing(told));
    page(&lines, look)
}

fn closing(told: &Told) -> Line {
    let side = |side: &Side| format!("{} (risk {})", side.verdict, side.risk);
    let role = match told.now.verdict {
        Verdict::Go => Role::Good,
        Verdict::Hold => Role::Warn,
        Verdict::NoGo => Role::Bad,
    };
    let now = Line::of(role, told.now.verdict.word()).plain(&format!("  risk {}", told.now.risk));
    match (&told.plan, told.same) {
        (None, true) => now.with(Role::Dim, "  the same record, byte for byte"),
        (None, false) => {
            now.with(Role::Bad, &format!("  NOT the record's {}: this is a bug in runplan", side(&told.before)))
        }
        (Some(_), _) if told.before == told.now => now.with(Role::Dim, "  as the run was decided"),
        (Some(_), _) => now.with(Role::Dim, &format!("  the run was {}", side(&told.before))),
    }
}

fn step(change: &Change, look: Look, lines: &mut Vec<Line>) {
    let role = |state: &str| match state {
        "pass" => Role::Good,
        "fail" | "error" => Role::Bad,
        _ => Role::Warn,
    };
    let head = Line::of(Role::Strong, "step ").with(Role::Strong, &change.step).plain("  ");
    let head = if change.before.state == change.now.state {
        head.with(role(&change.now.state), &change.now.state)
    } else {
        head.with(role(&change.before.state), &change.before.state)
            .plain(" → ")
            .with(role(&change.now.state), &change.now.state)
    };
    lines.push(head);
    let indent = || Line::new().plain("    ");
    let why = change.unknown.as_ref().or(change.detail.as_ref()).or(change.now.cause.as_ref());
    if let Some(why) = why.filter(|_| change.before != change.now || change.unknown.is_some()) {
        wrapped(lines, indent(), why, look);
    }
    for note in change.notes.iter().filter(|note| change.detail.as_ref() != Some(*note)) {
        wrapped(lines, indent().with(Role::Dim, "note: "), note, look);
    }
    if !change.action.is_empty() {
        let text = "its facts are from another action; this is about what was recorded:";
        wrapped(lines, indent().with(Role::Warn, "note: "), text, look);
        for part in change.action.iter().take(PARTS) {
            wrapped(lines, indent().plain("  "), part, look);
        }
        if let Some(more) = change.action.len().checked_sub(PARTS).filter(|more| *more > 0) {
            lines.push(indent().plain("  ").with(Role::Dim, &format!("and {more} more")));
        }
    }
    if change.unknown.is_some() {
        return;
    }
    for criterion in change.criteria.iter().filter(|criterion| criterion.changed) {
        let word = |(text, state): &(String, String)| format!("{} {text}: {state}", criterion.tier);
        match (&criterion.before, &criterion.now) {
            (Some(old), Some(new)) if old.0 == new.0 => {
                let text = format!("{} {}: {} → {}, {}", criterion.tier, new.0, old.1, new.1, criterion.seen);
                wrapped(lines, indent().with(role(&new.1), "~ "), &text, look);
            }
            (old, new) => {
                if let Some(old) = old {
                    wrapped(lines, indent().with(Role::Dim, "- "), &word(old), look);
                }
                if let Some(new) = new {
                    let text = format!("{}, {}", word(new), criterion.seen);
                    wrapped(lines, indent().with(role(&new.1), "+ "), &text, look);
                }
            }
        }
    }
}

/// A sentence behind a head, in as many rows as it takes.
fn wrapped(lines: &mut Vec<Line>, head: Line, text: &str, look: Look) {
    let column = head.width();
    let rows = escape::wrap(&escape::line(text), look.width.saturating_sub(column).max(20));
    let mut head = Some(head);
    for row in rows {
        lines.push(head.take().unwrap_or_else(|| Line::new().pad(column)).plain(&row));
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::golden;
    use super::*;

    #[test]
    fn a_run_judged_again_says_what_changes_and_what_nobody_knows() {
        let outcome = |state: &str| Outcome { state: state.to_owned(), cause: None };
        let half = |text: &str, state: &str| Some((text.to_owned(), state.to_owned()));
        let told = Told {
            run: "20260101T000000Z-aaaaaa".into(),
            plan: Some("stricter.toml".into()),
            before: Side { verdict: Verdict::Go, risk: 0 },
            now: Side { verdict: Verdict::NoGo, risk: 36 },
            reasons: vec![("cov".into(), "failed: a criterion does not hold".into())],
            same_steps: 3,
            changes: vec![
                Change {
                    step: "cov".into(),
                    before: outcome("pass"),
                    now: outcome("fail"),
                    detail: Some("`percent(lines) >= 40 %`: was 31.4 % (157/500), short by 8.6 pp".into()),
                    unknown: None,
                    notes: vec!["would have been tried again after attempt 1, the last one that was recorded".into()],
                    action: vec!["run 2: one → two".into()],
                    criteria: vec![
                        Criterion {
                            tier: "pass",
                            before: half("percent(lines) >= 30 %", "pass"),
                            now: half("percent(lines) >= 40 %", "fail"),
                            seen: "was 31.4 % (157/500), short by 8.6 pp".into(),
                            changed: true,
                        },
                        Criterion {
                            tier: "pass",
                            before: half("exit == 0", "pass"),
                            now: half("exit == 0", "fail"),
                            seen: "was \u{1b}[2J1".into(),
                            changed: true,
                        },
                    ],
                },
                Change {
                    step: "after".into(),
                    before: outcome("skipped"),
                    now: outcome("unknown"),
                    detail: None,
                    unknown: Some("it was not run (needs `cov`, which did not succeed)".into()),
                    notes: Vec::new(),
                    action: Vec::new(),
                    criteria: Vec::new(),
                },
            ],
            only_in_run: vec!["old".into()],
            only_in_plan: vec!["new".into()],
            same: false,
        };
        golden("rejudged-80.txt", &render(&told, Look { width: 80, colour: false }));
    }
}
