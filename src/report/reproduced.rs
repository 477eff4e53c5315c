//! `runplan verify --rerun` as text: what came out otherwise, what differs by itself first, each with what to do. Pure: from
//! plain data that the app fills in.

use super::differences::{Field, told};
use super::style::{Line, Look, Role, page};
use super::{escape, format};
use crate::outcome::Verdict;

/// Where two files part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct First {
    /// `line 3`, `byte 17`.
    pub place: String,
    /// What stood there in the run; empty where it is no text.
    pub then: String,
    /// What stands there now.
    pub now: String,
}

/// A file that is not the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileDifference {
    /// Relative to the workspace.
    pub path: String,
    /// `output with other bytes`.
    pub what: String,
    /// The first difference, where both sides could be read.
    pub first: Option<First>,
}

/// A step that came out otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Divergence {
    /// Its name; empty for the run as a whole.
    pub step: String,
    /// Steps before it that explain everything about it; empty if it differs by itself.
    pub follows: Vec<String>,
    /// Fields of the record, and parts of the action.
    pub fields: Vec<Field>,
    /// Files that it read or made.
    pub files: Vec<FileDifference>,
    /// What to do about it.
    pub fixes: Vec<String>,
}

/// A run and the same plan run again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reproduced {
    /// Run id.
    pub run: String,
    /// Record ids, then and now.
    pub records: [String; 2],
    /// Decisions, then and now.
    pub verdicts: [Verdict; 2],
    /// The records are the same, byte for byte.
    pub same: bool,
    /// What differs by itself first.
    pub divergences: Vec<Divergence>,
    /// What else is to be said.
    pub notes: Vec<String>,
}

/// The whole text.
#[must_use]
pub fn render(found: &Reproduced, look: Look) -> String {
    let mut lines = Vec::new();
    for (word, record) in ["run", "again"].into_iter().zip(&found.records) {
        let run = if word == "run" { found.run.as_str() } else { "in a clean copy" };
        let line = Line::of(Role::Strong, word).pad(7).plain(run);
        lines.push(line.with(Role::Dim, &format!("  record sha256:{record}")));
    }
    for divergence in &found.divergences {
        lines.push(Line::new());
        step(divergence, look, &mut lines);
    }
    if !found.divergences.is_empty() {
        lines.push(Line::new());
    }
    for note in &found.notes {
        wrapped(&mut lines, Line::of(Role::Dim, "note  "), note, look);
    }
    let own = found.divergences.iter().filter(|divergence| divergence.follows.is_empty()).count();
    let follow = found.divergences.len() - own;
    if found.same {
        lines.push(Line::of(Role::Good, "REPRODUCED").plain("  the records are the same, byte for byte"));
    } else {
        let steps = match (own, follow) {
            (1, 0) => "1 step comes out otherwise".to_owned(),
            (1, more) => format!("1 step comes out otherwise, {more} only by what it gives"),
            (own, 0) => format!("{own} steps come out otherwise"),
            (own, more) => format!("{own} steps come out otherwise, {more} only by what they give"),
        };
        let [then, now] = &found.verdicts;
        let verdict = if then == now { String::new() } else { format!("; {then} is now {now}") };
        lines.push(Line::of(Role::Bad, "NOT REPRODUCED").plain(&format!("  {steps}{verdict}")));
    }
    page(&lines, look)
}

fn step(divergence: &Divergence, look: Look, lines: &mut Vec<Line>) {
    let head = match divergence.step.as_str() {
        "" => Line::of(Role::Strong, "the run"),
        name => Line::of(Role::Strong, "step ").with(Role::Strong, name),
    };
    lines.push(match divergence.follows.as_slice() {
        [] => head.with(Role::Bad, "  comes out otherwise"),
        names => head.with(Role::Dim, &format!("  only because of {}", format::names(names, 6))),
    });
    for file in &divergence.files {
        let row = Line::new().plain("    ").with(Role::Note, &file.path).plain("  ");
        match &file.first {
            None => wrapped(lines, row, &file.what, look),
            Some(first) => {
                wrapped(lines, row, &format!("{}; first in {}", file.what, first.place), look);
                if !(first.then.is_empty() && first.now.is_empty()) {
                    for (mark, role, text) in [("- ", Role::Bad, &first.then), ("+ ", Role::Good, &first.now)] {
                        let text = escape::cut(&escape::line(text), look.width.saturating_sub(8).max(20));
                        lines.push(Line::new().plain("      ").with(role, mark).with(role, &text));
                    }
                }
            }
        }
    }
    divergence.fields.iter().for_each(|field| lines.extend(told(field, look)));
    for fix in &divergence.fixes {
        wrapped(lines, Line::new().plain("    ").with(Role::Warn, "fix  "), fix, look);
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
    fn what_differs_by_itself_comes_first_with_its_fix() {
        let mut found = Reproduced {
            run: "20260101T000000Z-aaaaaa".into(),
            records: ["1".repeat(64), "2".repeat(64)],
            verdicts: [Verdict::Go, Verdict::NoGo],
            same: false,
            divergences: vec![
                Divergence {
                    step: "stamp".into(),
                    files: vec![FileDifference {
                        path: "out.txt".into(),
                        what: "output with other bytes".into(),
                        first: Some(First { place: "line 1".into(), then: "17640\u{1b}[2J".into(), now: "17641".into() }),
                    }],
                    fixes: vec![
                        "write `out.txt` without the clock or random numbers (SOURCE_DATE_EPOCH, a fixed seed), or, if it may differ, declare it with `class = \"volatile\"`"
                            .into(),
                    ],
                    ..Divergence::default()
                },
                Divergence {
                    step: "use".into(),
                    follows: vec!["stamp".into()],
                    fields: vec![Field { name: "state".into(), a: Some("pass".into()), b: Some("fail".into()) }],
                    ..Divergence::default()
                },
            ],
            notes: vec!["`log.txt` is not the same either".into()],
        };
        golden("reproduced-80.txt", &render(&found, Look { width: 80, colour: false }));
        (found.same, found.divergences, found.notes) = (true, Vec::new(), Vec::new());
        assert!(render(&found, Look { width: 80, colour: false }).contains("\nREPRODUCED  the records are the same"));
    }
}
