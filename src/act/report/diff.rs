//! The lines that a working tree adds to a git revision, and how much of them a coverage report has seen run. Knows `git`
//! as a program.
//!
//! The base is where the branch left the revision (`git merge-base`), so that what others did since does not count. Lines
//! of files that git does not track are not seen.
//!
//! Facts: `diff` (Map): `percent(lines)`, `covered(lines)`, `total(lines)`, `uncovered(lines)` of the added lines that
//! the report measures. Inspected: these lines.

use std::collections::{BTreeMap, BTreeSet};

use super::super::tool::Tool;
use super::super::{ActError, Lent, Request};
use super::coverage::{Counts, Files};
use crate::facts::{Facts, Value};
use crate::outcome::{Cause, Note};

/// Added lines by path, relative to the workspace.
pub(super) type Added = BTreeMap<String, BTreeSet<u64>>;

/// Variables that would lead git somewhere else than to the repository of the workspace.
const UNSET: [&str; 4] = ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX"];

/// Asks git what was added since `base`.
pub(super) async fn added(base: &str, request: &Request, lent: &Lent) -> Result<Added, ActError> {
    let request = Request { cwd: request.workspace.clone(), ..request.clone() };
    let tool = Tool::new(&request, lent, &[("LC_ALL", "C"), ("GIT_OPTIONAL_LOCKS", "0")], &UNSET)?;
    let git = |words: &[&str]| {
        let head = ["git", "-c", "core.quotePath=false"];
        tool.run(head.iter().chain(words).map(|word| (*word).to_owned()).collect())
    };
    let fault = |text: String| ActError::new(Cause::ActionError, text);
    let fork = git(&["merge-base", "--end-of-options", base, "HEAD"]).await?;
    if !fork.ok() {
        let why = format!("`diff`: git finds no commit that `{base}` and `HEAD` share: {}", fork.why());
        return Err(fault(format!("{why} (is it fetched, and the clone not shallow?)")));
    }
    let options = ["--unified=0", "--no-color", "--no-ext-diff", "--no-textconv", "--no-renames", "--diff-filter=AM"];
    let mut words = vec!["diff", "--relative", "--src-prefix=a/", "--dst-prefix=b/"];
    words.extend(options);
    words.extend([fork.stdout.trim(), "--", "."]);
    let said = git(&words).await?;
    if !said.ok() {
        return Err(fault(format!("`diff`: {}", said.why())));
    }
    parse(&said.stdout).ok_or_else(|| fault("`diff`: git wrote a diff that can't be read".to_owned()))
}

/// Reads a unified diff without context.
fn parse(text: &str) -> Option<Added> {
    let mut added = Added::new();
    let mut path = None;
    let (mut removed_left, mut added_left) = (0, 0);
    for line in text.lines() {
        // Inside a hunk a line may look like anything.
        if removed_left > 0 && line.starts_with('-') {
            removed_left -= 1;
        } else if added_left > 0 && line.starts_with('+') {
            added_left -= 1;
        } else if let Some(name) = line.strip_prefix("+++ ") {
            let name = name.trim_end_matches('\t').trim_matches('"');
            path = name.strip_prefix("b/").map(str::to_owned);
        } else if let Some(hunk) = line.strip_prefix("@@ ") {
            let mut ranges = hunk.split(' ');
            let (_, removed) = range(ranges.next()?.strip_prefix('-')?)?;
            let (first, count) = range(ranges.next()?.strip_prefix('+')?)?;
            (removed_left, added_left) = (removed, count);
            let lines = added.entry(path.clone()?).or_default();
            lines.extend(first..first.checked_add(count)?);
        }
    }
    Some(added)
}

/// `12,3` or `12`.
fn range(text: &str) -> Option<(u64, u64)> {
    match text.split_once(',') {
        Some((first, count)) => Some((first.parse().ok()?, count.parse().ok()?)),
        None => Some((text.parse().ok()?, 1)),
    }
}

/// Adds the facts. `known` says whether a path was selected; only those count.
pub(super) fn facts(facts: &mut Facts, files: &Files, added: &Added, known: impl Fn(&str) -> bool) -> Vec<Note> {
    let (mut covered, mut total) = (0, 0);
    let mut unknown = Vec::new();
    let mut missed = Vec::new();
    for (path, lines) in added.iter().filter(|(_, lines)| !lines.is_empty()) {
        let Some(measured) = files.get(path) else {
            unknown.push(path.as_str());
            continue;
        };
        if !known(path) {
            continue;
        }
        for line in lines {
            if let Some(hit) = measured.hits.get(line) {
                total += 1;
                covered += u64::from(*hit);
                if !hit {
                    missed.push(format!("{path}:{line}"));
                }
            }
        }
    }
    let counts = Counts { lines: (covered, total), branches: None };
    let mut map = BTreeMap::new();
    counts.facts(|name, value| drop(map.insert(name, value)));
    facts.set("diff", Value::Map(map));
    facts.inspected = crate::facts::Inspected { count: total, what: "added line that the report measures".to_owned() };
    let note = |code: &str, text: String| Note { code: code.into(), text };
    let shown = |all: &[String]| match all.len() {
        n if n > 5 => format!("{} and {} more", all[..5].join(", "), n - 5),
        _ => all.join(", "),
    };
    let mut notes = Vec::new();
    if !missed.is_empty() {
        notes.push(note("not_covered", format!("added, and not run: {}", shown(&missed))));
    }
    // Only where it matters: a file of another language is none of the report's business.
    let ending = |path: &str| path.rsplit_once('.').map(|(_, ending)| ending.to_owned());
    let endings: BTreeSet<Option<String>> = files.keys().map(|path| ending(path)).collect();
    let unknown: Vec<String> =
        unknown.into_iter().filter(|path| endings.contains(&ending(path))).map(str::to_owned).collect();
    if !unknown.is_empty() {
        notes.push(note("not_in_report", format!("changed, and not in the report: {}", shown(&unknown))));
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::act::report::coverage::Lines;

    fn added(text: &str) -> Vec<(String, Vec<u64>)> {
        let added = parse(text).expect("a diff");
        added.into_iter().map(|(path, lines)| (path, lines.into_iter().collect())).collect()
    }

    #[test]
    fn hunks_and_what_only_looks_like_one() {
        let text = "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1,2 +1,3 @@ fn\n--- old\n-b\n+++ new\n+@@ -1 +9 @@\n+c\n\
                    @@ -9 +10,0 @@\n-gone\n@@ -20,0 +21 @@\n+d\n\\ No newline at end of file\n\
                    diff --git a/y b/y\nnew file mode 100644\n--- /dev/null\n+++ \"b/y z\"\t\n@@ -0,0 +1,2 @@\n+a\n+b\n";
        assert_eq!(added(text), [("x".into(), vec![1, 2, 3, 21]), ("y z".into(), vec![1, 2])]);
        assert_eq!(added(""), []);
        assert!(parse("@@ -1 +1 @@\n").is_none(), "no file");
        assert!(parse("+++ b/x\n@@ -1 +1,18446744073709551615 @@\n").is_none());
    }

    #[test]
    fn only_measured_lines_count() {
        let mut lines = Lines::default();
        [(1, true), (2, false), (4, true)].into_iter().for_each(|(number, hit)| lines.line(number, hit));
        let files = Files::from([("a.py".to_owned(), lines.measured())]);
        let added =
            Added::from([("a.py".into(), [2, 3, 4].into()), ("b.py".into(), [1].into()), ("c.md".into(), [1].into())]);
        let mut all = Facts::default();
        let notes = facts(&mut all, &files, &added, |_| true);
        let Value::Map(diff) = &all.values["diff"] else { panic!() };
        assert_eq!((&diff["percent(lines)"], &diff["uncovered(lines)"]), (&Value::percent(1, 2), &Value::int(1)));
        assert_eq!(all.inspected.count, 2);
        let said: Vec<&str> = notes.iter().map(|note| note.text.as_str()).collect();
        assert_eq!(said, ["added, and not run: a.py:2", "changed, and not in the report: b.py"]);
        facts(&mut all, &files, &added, |_| false);
        assert_eq!(all.inspected.count, 0);
    }
}
