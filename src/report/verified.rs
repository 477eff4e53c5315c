//! `runplan verify` as text: each thing that was checked, with what was found. Pure: from plain data that the app fills in.

use super::escape;
use super::style::{Line, Look, Role, page};

/// Column where what was found begins.
const FOUND: usize = 23;

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// As it has to be.
    Sound,
    /// Not as it has to be.
    Fault,
    /// Said without counting: nothing there to check, or not checked.
    Noted,
}

impl Standing {
    /// The word in both forms.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Sound => "ok",
            Self::Fault => "fault",
            Self::Noted => "note",
        }
    }
}

/// One thing that was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What: `journal`, `record`, `plan`, `archive`.
    pub check: &'static str,
    /// How it came out.
    pub standing: Standing,
    /// What was found, in a sentence.
    pub found: String,
}

/// A run with everything that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Run id.
    pub run: String,
    /// In the order of checking.
    pub findings: Vec<Finding>,
    /// There is a record, and nothing is wrong.
    pub verified: bool,
    /// The last line: what it all comes to.
    pub verdict: String,
}

/// The whole text.
#[must_use]
pub fn render(verified: &Verified, look: Look) -> String {
    let mut lines = vec![Line::of(Role::Strong, &format!("run {}", verified.run))];
    for finding in &verified.findings {
        let role = match finding.standing {
            Standing::Sound => Role::Good,
            Standing::Fault => Role::Bad,
            Standing::Noted => Role::Dim,
        };
        let word = if finding.standing == Standing::Fault { "FAULT" } else { finding.standing.word() };
        let rows = escape::wrap(&escape::text(&finding.found), look.width.saturating_sub(FOUND));
        for (index, row) in rows.iter().enumerate() {
            let line = match index {
                0 => Line::of(role, &format!("{word:>7}")).plain("  ").with(Role::Strong, finding.check),
                _ => Line::new(),
            };
            lines.push(line.pad(FOUND).plain(row));
        }
    }
    let role = if verified.verified { Role::Good } else { Role::Bad };
    let head = if verified.verified { "VERIFIED" } else { "NOT VERIFIED" };
    let rows = escape::wrap(&escape::line(&verified.verdict), look.width.saturating_sub(head.len() + 2));
    for (index, row) in rows.iter().enumerate() {
        let line = if index == 0 { Line::of(role, head).plain("  ") } else { Line::new().pad(head.len() + 2) };
        lines.push(line.plain(row));
    }
    page(&lines, look)
}

#[cfg(test)]
mod tests {
    use super::super::sample::golden;
    use super::*;

    #[test]
    fn each_check_has_a_line_and_hostile_text_stays_text() {
        let finding = |check, standing, found: &str| Finding { check, standing, found: found.to_owned() };
        let mut verified = Verified {
            run: "20260101T000000Z-aaaaaa".into(),
            findings: vec![
                finding("journal", Standing::Sound, "13 lines, chained, every sum is right"),
                finding(
                    "archive",
                    Standing::Fault,
                    "`dist/\u{1b}[2Japp` of step `build` is not there as it was, and this sentence is long enough to be wrapped",
                ),
                finding("sign-offs", Standing::Noted, "the plan asks for none"),
            ],
            verified: false,
            verdict: "1 fault".into(),
        };
        golden("verified-80.txt", &render(&verified, Look { width: 80, colour: false }));
        verified.verified = true;
        golden("verified-80-colour.txt", &render(&verified, Look { width: 80, colour: true }));
    }
}
