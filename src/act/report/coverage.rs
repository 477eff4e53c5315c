//! Coverage, whatever tool measured it: counts by file, added up exactly, and the facts made of them. Reads no file.
//!
//! Facts: `percent(lines)` (exact share, Null for no lines), `covered(lines)`, `total(lines)`, `uncovered(lines)`, and the
//! same with `branches` where the report measured any; if wanted `file` (Map from path to these facts) and `files` (Map
//! with `names` and each of these facts as a list in path order, only of files that have lines, so that an empty
//! `__init__.py` neither passes nor fails a quantifier). Inspected: files that have lines.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use globset::{GlobBuilder, GlobMatcher};

use super::super::file::texts;
use crate::facts::{Facts, Value};
use crate::outcome::Note;

/// How much of one file is covered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Lines that ran, and all.
    pub(super) lines: (u64, u64),
    /// Branches taken, and all; `None` if they were not measured.
    pub(super) branches: Option<(u64, u64)>,
}

impl Counts {
    fn add(&mut self, other: Self) {
        let sum = |a: (u64, u64), b: (u64, u64)| (a.0.saturating_add(b.0), a.1.saturating_add(b.1));
        self.lines = sum(self.lines, other.lines);
        self.branches = match (self.branches, other.branches) {
            (Some(a), Some(b)) => Some(sum(a, b)),
            (a, b) => a.or(b),
        };
    }

    pub(super) fn facts(&self, mut set: impl FnMut(String, Value)) {
        let measured = [("lines", Some(self.lines)), ("branches", self.branches)];
        for (what, (covered, total)) in measured.into_iter().filter_map(|(what, counts)| Some((what, counts?))) {
            set(format!("percent({what})"), Value::percent(covered, total));
            set(format!("covered({what})"), Value::int(covered));
            set(format!("total({what})"), Value::int(total));
            set(format!("uncovered({what})"), Value::int(total.saturating_sub(covered)));
        }
    }
}

/// What a report says of one file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Measured {
    /// Its counts.
    pub(super) counts: Counts,
    /// Its lines by number, and whether each ran.
    pub(super) hits: BTreeMap<u64, bool>,
}

impl Measured {
    fn add(&mut self, other: Self) {
        self.counts.add(other.counts);
        for (line, hit) in other.hits {
            *self.hits.entry(line).or_default() |= hit;
        }
    }
}

/// Files by path as the report names it.
pub(super) type Files = BTreeMap<String, Measured>;

/// One line of a file, as seen by reports that list lines.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct LineSeen {
    hit: bool,
    branches: Option<(u64, u64)>,
}

/// Lines by number: the same line in several classes or records counts once.
#[derive(Clone, Debug, Default)]
pub(super) struct Lines(BTreeMap<u64, LineSeen>);

impl Lines {
    /// A line, and whether it ran.
    pub(super) fn line(&mut self, number: u64, hit: bool) {
        self.0.entry(number).or_default().hit |= hit;
    }

    /// The branches of a line; of two counts of the same line the larger one holds.
    pub(super) fn branches(&mut self, number: u64, covered: u64, total: u64) {
        let seen = &mut self.0.entry(number).or_default().branches;
        let old = seen.unwrap_or_default();
        *seen = Some((old.0.max(covered), old.1.max(total)));
    }

    /// Adds what another record or class says of the same file.
    pub(super) fn merge(&mut self, other: Self) {
        for (number, seen) in other.0 {
            self.line(number, seen.hit);
            if let Some((covered, total)) = seen.branches {
                self.branches(number, covered, total);
            }
        }
    }

    /// All that is known of them.
    pub(super) fn measured(&self) -> Measured {
        Measured { counts: self.counts(), hits: self.0.iter().map(|(number, seen)| (*number, seen.hit)).collect() }
    }

    /// Their sum.
    pub(super) fn counts(&self) -> Counts {
        let mut counts = Counts { lines: (0, self.0.len() as u64), branches: None };
        for line in self.0.values() {
            counts.lines.0 += u64::from(line.hit);
            counts.add(Counts { lines: (0, 0), branches: line.branches });
        }
        counts
    }
}

/// Paths relative to the workspace where they are inside it, `/`-separated.
pub(super) fn rooted(files: Files, workspace: &Path) -> Files {
    let mut rooted = Files::new();
    for (path, measured) in files {
        let path = path.replace('\\', "/");
        let path = path.strip_prefix("./").unwrap_or(&path);
        let inside = Path::new(path).strip_prefix(workspace).ok().and_then(Path::to_str).unwrap_or(path);
        rooted.entry(inside.to_owned()).or_default().add(measured);
    }
    rooted
}

/// The facts of those files that the globs select (all without a glob).
pub(super) fn facts(
    files: &Files,
    globs: &[String],
    wants: &BTreeSet<String>,
    shown: &str,
) -> Result<(Facts, Vec<Note>), String> {
    let mut notes = Vec::new();
    let mut chosen: BTreeSet<&str> = BTreeSet::new();
    for glob in globs {
        let matcher = matcher(glob)?;
        let matching: Vec<&str> = files.keys().map(String::as_str).filter(|path| matcher.is_match(path)).collect();
        if matching.is_empty() {
            notes.push(Note { code: "no_such_file".into(), text: nothing_matches(glob, files, shown) });
        }
        chosen.extend(matching);
    }
    let mut selected: Vec<(&String, &Counts)> = files.iter().map(|(path, measured)| (path, &measured.counts)).collect();
    selected.retain(|(path, _)| globs.is_empty() || chosen.contains(path.as_str()));
    let mut sum = Counts::default();
    selected.iter().for_each(|(_, counts)| sum.add(**counts));
    let with_lines = selected.iter().filter(|(_, counts)| counts.lines.1 > 0).count();
    // One glob without a match would otherwise hide behind the others.
    let mut facts = Facts::about(if notes.is_empty() { with_lines as u64 } else { 0 }, "file");
    sum.facts(|name, value| facts.set(name, value));
    if wants.contains("file") {
        let map = selected.iter().map(|(path, counts)| {
            let mut map = BTreeMap::new();
            counts.facts(|name, value| drop(map.insert(name, value)));
            ((*path).clone(), Value::Map(map))
        });
        facts.set("file", Value::Map(map.collect()));
    }
    if wants.contains("files") {
        facts.set("files", Value::Map(lists(&selected)));
    }
    Ok((facts, notes))
}

/// Facts of the files that have lines, as lists in path order.
fn lists(selected: &[(&String, &Counts)]) -> BTreeMap<String, Value> {
    let filled = || selected.iter().filter(|(_, counts)| counts.lines.1 > 0);
    let mut lists: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for (_, counts) in filled() {
        counts.facts(|name, value| lists.entry(name).or_default().push(value));
    }
    let mut lists: BTreeMap<String, Value> = lists.into_iter().map(|(name, list)| (name, Value::List(list))).collect();
    lists.insert("names".into(), texts(filled().map(|(path, _)| (*path).clone()).collect()));
    lists
}

/// Whether one of the globs selects a path; without globs all are.
pub(super) fn is_selected(path: &str, globs: &[String]) -> bool {
    globs.is_empty() || globs.iter().any(|glob| matcher(glob).is_ok_and(|matcher| matcher.is_match(path)))
}

/// A glob on report paths; without a slash it is one on the file's name.
fn matcher(glob: &str) -> Result<GlobMatcher, String> {
    let full = if glob.contains('/') { glob.to_owned() } else { format!("**/{glob}") };
    let built = GlobBuilder::new(&full).literal_separator(true).build();
    Ok(built.map_err(|error| format!("`{glob}` is not a glob: {}", error.kind()))?.compile_matcher())
}

/// Names the files that were probably meant: those whose path ends most like the glob.
fn nothing_matches(glob: &str, files: &Files, shown: &str) -> String {
    let likeness = |path: &str| {
        let stem = |text: &str| text.rsplit('/').next().unwrap_or(text).split('.').next().unwrap_or(text).to_owned();
        let (wanted, name) = (stem(glob), stem(path));
        let prefix = wanted.chars().zip(name.chars()).take_while(|(a, b)| a == b).count();
        let suffix = glob.chars().rev().zip(path.chars().rev()).take_while(|(a, b)| a == b).count();
        (prefix, suffix)
    };
    let mut near: Vec<&String> = files.keys().collect();
    near.sort_by_key(|path| std::cmp::Reverse(likeness(path)));
    let names: Vec<String> = near.iter().take(3).map(|path| format!("`{path}`")).collect();
    match (names.len(), files.len()) {
        (0, _) => format!("no file in `{shown}` matches `{glob}`: it lists no files at all"),
        (n, all) if n < all => {
            format!("no file in `{shown}` matches `{glob}`: it has {} and {} more", names.join(", "), all - n)
        }
        _ => format!("no file in `{shown}` matches `{glob}`: it has {}", names.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn files(paths: &[&str]) -> Files {
        let measured = Measured { counts: Counts { lines: (1, 2), branches: None }, hits: BTreeMap::new() };
        paths.iter().map(|path| ((*path).to_owned(), measured.clone())).collect()
    }

    fn selected(globs: &[&str]) -> (u64, usize) {
        let globs: Vec<String> = globs.iter().map(|&glob| glob.to_owned()).collect();
        let all = files(&["app/lock.py", "app/x/lock.py", "app/x/block.py", "b.py"]);
        let (facts, notes) = facts(&all, &globs, &BTreeSet::new(), "r").unwrap();
        (facts.inspected.count, notes.len())
    }

    #[test]
    fn globs_select_by_path_or_by_name() {
        assert_eq!(selected(&[]), (4, 0));
        assert_eq!(selected(&["lock.py"]), (2, 0));
        assert_eq!(selected(&["app/*.py"]), (1, 0));
        assert_eq!(selected(&["app/**"]), (3, 0));
        assert_eq!(selected(&["app/**", "lock.py"]), (3, 0));
        assert_eq!(selected(&["app/**", "gone.py"]), (0, 1));
        assert!(matcher("a[").is_err());
    }

    #[test]
    fn an_empty_report_is_no_percentage() {
        let (facts, _) = facts(&Files::new(), &[], &BTreeSet::new(), "r").unwrap();
        assert_eq!((facts.inspected.count, &facts.values["percent(lines)"]), (0, &Value::Null));
    }

    #[test]
    fn paths_become_relative_to_the_workspace() {
        let rooted = rooted(files(&["/ws/a.py", "./a.py", "b\\c.py", "/other/d.py"]), Path::new("/ws"));
        assert_eq!(rooted.keys().collect::<Vec<_>>(), ["/other/d.py", "a.py", "b/c.py"]);
        assert_eq!(rooted["a.py"].counts.lines, (2, 4));
    }

    proptest! {
        #[test]
        fn the_order_of_lines_never_matters(lines in prop::collection::vec((0..9_u64, any::<bool>(), 0..3_u64, 0..3_u64), 0..30)) {
            let feed = |lines: &mut dyn Iterator<Item = &(u64, bool, u64, u64)>| {
                let mut seen = Lines::default();
                for &(number, hit, covered, more) in lines {
                    seen.line(number, hit);
                    seen.branches(number, covered, covered + more);
                }
                seen.counts()
            };
            let counts = feed(&mut lines.iter());
            prop_assert_eq!(counts, feed(&mut lines.iter().rev()));
            prop_assert!(counts.lines.0 <= counts.lines.1);
            prop_assert!(counts.branches.unwrap_or_default().0 <= counts.branches.unwrap_or_default().1);
        }
    }
}
