//! `runplan diff` as text: two runs side by side, grouped by step. Pure: from plain data that the app fills in.

use super::style::{Line, Look, Role, page};
use super::{escape, format};

/// Column where values begin.
const TEXT: usize = 13;
/// Rows at most of one side.
const ROWS: usize = 4;

/// One field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name as a person reads it: `env PATH`, `input src/a.c: sha256`.
    pub name: String,
    /// On the first side, if it is there.
    pub a: Option<String>,
    /// On the second side, if it is there.
    pub b: Option<String>,
}

/// One step, or the run as a whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// `step build`, `plan and parameters`, `decision`.
    pub title: String,
    /// What is to be said before the fields: `only in A`.
    pub note: String,
    /// Fields of the record.
    pub fields: Vec<Field>,
    /// Why its action digest is another one; empty if it is the same or nobody knows.
    pub why: Vec<Field>,
}

/// Two runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Differences {
    /// Run ids.
    pub runs: [String; 2],
    /// Record ids.
    pub records: [String; 2],
    /// Only groups that differ.
    pub groups: Vec<Group>,
}

/// The whole text.
#[must_use]
pub fn render(differences: &Differences, look: Look) -> String {
    let mut lines = Vec::new();
    for ((name, run), record) in ["A", "B"].into_iter().zip(&differences.runs).zip(&differences.records) {
        lines.push(
            Line::of(Role::Strong, name)
                .plain("  run ")
                .plain(run)
                .with(Role::Dim, &format!("  record sha256:{record}")),
        );
    }
    if differences.groups.is_empty() {
        lines.push(Line::of(Role::Good, "equal").plain("  the records are the same, byte for byte"));
        return page(&lines, look);
    }
    for group in &differences.groups {
        lines.push(Line::new());
        let head = Line::of(Role::Strong, &group.title);
        lines.push(if group.note.is_empty() { head } else { head.plain("  ").with(Role::Warn, &group.note) });
        group.fields.iter().for_each(|field| lines.extend(told(field, look)));
        if !group.why.is_empty() {
            lines.push(Line::of(Role::Warn, "  its action is another one, because of"));
            group.why.iter().for_each(|field| lines.extend(told(field, look)));
        }
    }
    lines.push(Line::new());
    lines.push(Line::of(Role::Warn, &format!("{} with differences", format::count(differences.groups.len(), "part"))));
    page(&lines, look)
}

/// `  env PATH`, then `- before` and `+ after`; on one row where both are short.
pub(super) fn told(field: &Field, look: Look) -> Vec<Line> {
    let name = escape::line(&field.name);
    let side = |text: &Option<String>| escape::line(&shortened(text.as_deref().unwrap_or("(not there)")));
    let (a, b) = (side(&field.a), side(&field.b));
    let row = Line::new().plain("    ").with(Role::Note, &name).plain("  ");
    if row.width() + escape::width(&a) + escape::width(&b) + 3 <= look.width {
        return vec![row.with(Role::Bad, &a).plain(" → ").with(Role::Good, &b)];
    }
    let mut lines = vec![row];
    for (mark, role, text) in [("-", Role::Bad, &a), ("+", Role::Good, &b)] {
        let rows = escape::wrap(text, look.width.saturating_sub(TEXT));
        for (index, row) in rows.iter().take(ROWS).enumerate() {
            let rest = if index + 1 == ROWS && rows.len() > ROWS { " …" } else { "" };
            let line = Line::new().pad(TEXT - 2).with(role, if index == 0 { mark } else { "" }).pad(TEXT);
            lines.push(line.with(role, row).with(Role::Dim, rest));
        }
    }
    lines
}

/// A digest by its first digits: nobody compares 64 of them by eye, and JSON has them whole.
fn shortened(text: &str) -> String {
    let is_digest = text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
    if is_digest { format!("{}…", text.get(..12).unwrap_or(text)) } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::super::sample::golden;
    use super::*;

    #[test]
    fn differences_are_grouped_and_told_on_both_sides() {
        let field = |name: &str, a: &str, b: &str| {
            let side = |text: &str| (text != "-").then(|| text.to_owned());
            Field { name: name.into(), a: side(a), b: side(b) }
        };
        let mut differences = Differences {
            runs: ["20260101T000000Z-aaaaaa".into(), "20260102T000000Z-bbbbbb".into()],
            records: ["1".repeat(64), "2".repeat(64)],
            groups: vec![
                Group {
                    title: "plan and parameters".into(),
                    fields: vec![field("params n", "3", "4")],
                    ..Group::default()
                },
                Group {
                    title: "step build".into(),
                    fields: vec![field("action", &"a".repeat(64), &"b".repeat(64)), field("state", "pass", "fail")],
                    why: vec![
                        field(
                            "run argv",
                            "[\"sh\",\"-c\",\"echo one; and a long tail of things to do\"]",
                            "[\"sh\",\"-c\",\"echo two; and a long tail of things to do\"]",
                        ),
                        field("env A\u{1b}[2J", "-", "1"),
                    ],
                    ..Group::default()
                },
                Group { title: "step old".into(), note: "only in A".into(), ..Group::default() },
            ],
        };
        golden("differences-80.txt", &render(&differences, Look { width: 80, colour: false }));
        differences.groups.clear();
        assert!(
            render(&differences, Look { width: 80, colour: false })
                .ends_with("the records are the same, byte for byte\n")
        );
    }
}
