//! `runplan gc` as text: what was removed, and why everything else is still there. Pure: from plain data that the app
//! fills in.

use super::format;
use super::style::{Line, Look, Role, page};

/// Removed runs listed at most.
const MOST: usize = 20;

/// Why a run stays.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Why {
    /// A short stable word: `recent`, `baseline`.
    pub code: &'static str,
    /// What protects it, as a fragment.
    pub text: String,
}

/// A run of a store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Run {
    /// Run id.
    pub id: String,
    /// Where its store lies, if it is the run of a plan within a plan: `plans/STEP`.
    pub part: String,
    /// When it began (`2026-01-01T00:00:00Z`).
    pub at: String,
    /// Name of its plan.
    pub plan: String,
    /// How it ended.
    pub end: String,
    /// Bytes of its folder.
    pub bytes: u64,
    /// Why it stays; empty for a run that goes.
    pub why: Vec<Why>,
}

/// What was done, or would be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gc {
    /// Nothing was done.
    pub dry: bool,
    /// Oldest first.
    pub removed: Vec<Run>,
    /// Oldest first.
    pub kept: Vec<Run>,
    /// Archived files removed.
    pub files: usize,
    /// Their bytes.
    pub file_bytes: u64,
    /// What killed engines had left, removed.
    pub leftovers: usize,
    /// Its bytes.
    pub leftover_bytes: u64,
}

impl Gc {
    /// All bytes that are free now.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.removed.iter().map(|run| run.bytes).sum::<u64>() + self.file_bytes + self.leftover_bytes
    }
}

/// The whole text.
#[must_use]
pub fn render(gc: &Gc, look: Look) -> String {
    let mut what = vec![format::count(gc.removed.len(), "run")];
    if gc.files > 0 {
        what.push(format::count(gc.files, "archived file"));
    }
    if gc.leftovers > 0 {
        what.push(format!("{} of killed engines", format::count(gc.leftovers, "leftover")));
    }
    let (verb, free) = if gc.dry { ("would remove", "to be freed") } else { ("removed", "freed") };
    let what = match what.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => what.concat(),
    };
    let mut lines = vec![
        Line::of(Role::Strong, &format!("{verb} {what}")).plain(&format!(", {} {free}", format::size(gc.bytes()))),
    ];
    lines.extend(gc.removed.iter().rev().take(MOST).map(row));
    if gc.removed.len() > MOST {
        let more = format!("  and {} more, older; `--format json` names all", gc.removed.len() - MOST);
        lines.push(Line::of(Role::Dim, &more));
    }
    lines.push(Line::of(Role::Strong, &format!("{} {}", if gc.dry { "would keep" } else { "kept" }, kept(gc))));
    // Those of which the count says it all are not listed.
    for run in gc.kept.iter().rev().filter(|run| run.why.iter().all(|why| why.code != "recent" && why.code != "young"))
    {
        let why: Vec<&str> = run.why.iter().map(|why| why.text.as_str()).collect();
        lines.push(row(run));
        lines.push(Line::new().pad(4).with(Role::Dim, &why.join("; ")));
    }
    page(&lines, look)
}

fn kept(gc: &Gc) -> String {
    let by_rule = |code: &str| gc.kept.iter().filter(|run| run.why.iter().any(|why| why.code == code)).count();
    let mut told = format::count(gc.kept.len(), "run");
    for (code, text) in [("recent", "among the newest of their plan"), ("young", "not old enough")] {
        if by_rule(code) > 0 {
            told.push_str(&format!(", {} {text}", by_rule(code)));
        }
    }
    told
}

fn row(run: &Run) -> Line {
    let time = run.at.replace('T', " ").trim_end_matches('Z').to_owned();
    let line = Line::new().plain("  ").plain(&time).pad(23).plain(&run.id).pad(48).plain(&run.end).pad(62);
    let line = line.plain(&format::size(run.bytes)).pad(73).plain(&run.plan);
    if run.part.is_empty() { line } else { line.with(Role::Dim, &format!(" in {}", run.part)) }
}

#[cfg(test)]
mod tests {
    use super::super::sample::golden;
    use super::*;

    #[test]
    fn what_went_and_why_the_rest_stays() {
        let run = |n: u32, end: &str, why: &[(&'static str, &str)]| Run {
            id: format!("20260101T0000{n:02}Z-aaaaaa"),
            part: if n == 3 { "plans/child".into() } else { String::new() },
            at: format!("2026-01-01T00:00:{n:02}Z"),
            plan: "demo\u{1b}[2J".into(),
            end: end.into(),
            bytes: 1_200_000,
            why: why.iter().map(|(code, text)| Why { code, text: (*text).into() }).collect(),
        };
        let mut gc = Gc {
            dry: true,
            removed: (10..32).map(|n| run(n, "NO-GO", &[])).collect(),
            kept: vec![
                run(1, "GO", &[("baseline", "`size` is held against it"), ("signed", "`Ops` signed")]),
                run(3, "interrupted", &[("interrupted", "`resume` can go on with it")]),
                run(40, "GO", &[("recent", "one of the newest 2"), ("latest", "the latest run")]),
                run(41, "GO", &[("young", "it is young")]),
            ],
            files: 3,
            file_bytes: 500,
            leftovers: 1,
            leftover_bytes: 1024,
        };
        let look = Look { width: 100, colour: false };
        let first = render(&gc, look);
        gc = Gc { removed: Vec::new(), files: 0, file_bytes: 0, leftovers: 0, leftover_bytes: 0, dry: false, ..gc };
        golden("gc-100.txt", &format!("{first}\n{}", render(&gc, look)));
    }
}
