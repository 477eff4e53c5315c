//! A plan's graph as a picture: SVG with a layout of its own, DOT, Mermaid, a tree, JSON. Pure: plain data in, text out.
//! Knows no plan, no state of a run and no terminal; what a box says enters as text that is safe to show.
//!
//! The layout of the SVG is that of K. Sugiyama, S. Tagawa, M. Toda, *Methods for visual understanding of hierarchical
//! system structures* (IEEE Trans. SMC 11, 1981): layers by the longest path, dummies that lines of one box share, an
//! order by medians and exchanges (E. R. Gansner et al., *A technique for drawing directed graphs*, IEEE Trans. Softw.
//! Eng. 19, 1993) with crossings counted after W. Barth, M. Jünger, P. Mutzel (GD 2002), places by weighted least squares
//! under the distances that have to be kept (isotonic regression, R. E. Barlow et al., 1972).

mod dot;
mod json;
mod layout;
mod mermaid;
mod svg;
mod text;
mod tree;

use std::collections::{BTreeMap, BTreeSet};

pub use dot::dot;
pub use json::json;
pub use mermaid::{MOST_LINES, mermaid};
pub use svg::{svg, svg_part};
pub use text::text;
pub use tree::tree;

/// How a box is marked: what would happen to the step, or how it ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mark {
    /// It would run.
    #[default]
    Run,
    /// Its earlier result would stand, or stood.
    Reuse,
    /// Skipped by choice.
    Skip,
    /// Behind something that did not succeed, or could not run.
    Blocked,
    /// Passed.
    Pass,
    /// Passed with a warning.
    Warn,
    /// Failed.
    Fail,
    /// Looking went wrong.
    Error,
    /// Not enough evidence.
    Inconclusive,
    /// Waits for people.
    Pending,
    /// Never reached.
    NotRun,
    /// Going on right now.
    Running,
}

impl Mark {
    /// Every mark.
    pub const ALL: [Self; 12] = [
        Self::Run,
        Self::Reuse,
        Self::Skip,
        Self::Blocked,
        Self::Pass,
        Self::Warn,
        Self::Fail,
        Self::Error,
        Self::Inconclusive,
        Self::Pending,
        Self::NotRun,
        Self::Running,
    ];

    /// The word of legends, classes and JSON.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Reuse => "reuse",
            Self::Skip => "skip",
            Self::Blocked => "blocked",
            Self::Pass => "pass",
            Self::Warn => "warn",
            Self::Fail => "fail",
            Self::Error => "error",
            Self::Inconclusive => "inconclusive",
            Self::Pending => "pending",
            Self::NotRun => "not_run",
            Self::Running => "running",
        }
    }

    /// A sign, so that no meaning hangs on colour alone.
    #[must_use]
    pub fn sign(self) -> &'static str {
        match self {
            Self::Run => "●",
            Self::Reuse => "≡",
            Self::Skip => "○",
            Self::Blocked => "⊘",
            Self::Pass => "✓",
            Self::Warn => "!",
            Self::Fail => "✗",
            Self::Error => "✖",
            Self::Inconclusive => "?",
            Self::Pending => "…",
            Self::NotRun => "–",
            Self::Running => "▶",
        }
    }

    /// Fill and stroke on white paper.
    fn colours(self) -> (&'static str, &'static str) {
        match self {
            Self::Run | Self::Running => ("#eef2ff", "#4f5fbf"),
            Self::Reuse => ("#e6f6f8", "#1f7f8f"),
            Self::Skip | Self::NotRun => ("#f4f4f5", "#8a8a92"),
            Self::Blocked => ("#f6efe6", "#9a6b2f"),
            Self::Pass => ("#e8f6ec", "#2b7f45"),
            Self::Warn => ("#fdf5dc", "#8f6a00"),
            Self::Fail | Self::Error => ("#fdeaea", "#b3261e"),
            Self::Inconclusive | Self::Pending => ("#f3ecfb", "#7446a8"),
        }
    }
}

/// A box.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    /// Unique name.
    pub name: String,
    /// What the box says: the name, shortened if need be.
    pub label: String,
    /// Columns that the label takes in a fixed-width font.
    pub columns: usize,
    /// A second, smaller line.
    pub note: String,
    /// Columns of that line.
    pub note_columns: usize,
    /// Human title.
    pub title: Option<String>,
    /// What it does, in a line.
    pub action: String,
    /// What would happen to it, or how it ended.
    pub mark: Mark,
    /// Why; may be empty.
    pub reason: String,
    /// Nanoseconds that it took, or is expected to take.
    pub time: Option<u64>,
    /// On the critical path.
    pub critical: bool,
    /// In `[finally]`.
    pub finally: bool,
    /// A failure blocks GO.
    pub required: bool,
    /// For grouping and for JSON.
    pub tags: Vec<String>,
    /// Distance from the start, from 1.
    pub wave: usize,
    /// How many steps it stands for; 1 unless it is a group.
    pub steps: usize,
    /// Its blast radius: the steps that did not run because of it, in plan rank.
    pub blast: Vec<String>,
}

impl Node {
    /// What a line from it to a step that never ran was: not gone along, because of this one.
    fn stops(&self) -> bool {
        !matches!(self.mark, Mark::Run | Mark::Reuse | Mark::Pass | Mark::Warn | Mark::Running)
    }

    /// `a, b, …`: so many of those that it blocks.
    fn blocked(&self, most: usize) -> String {
        let shown: Vec<&str> = self.blast.iter().take(most).map(String::as_str).collect();
        format!("{}{}", shown.join(", "), if self.blast.len() > most { ", …" } else { "" })
    }
}

/// A line from an earlier box to a later one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Line {
    /// Number of the earlier box.
    pub from: usize,
    /// Number of the later box.
    pub to: usize,
    /// Order only: the outcome does not matter.
    pub soft: bool,
}

/// A picture.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Picture {
    /// Title or name of the plan.
    pub title: String,
    /// The plan file.
    pub path: String,
    /// One line: how many, how wide, how long.
    pub summary: String,
    /// In plan rank, those of `[finally]` last.
    pub nodes: Vec<Node>,
    /// Acyclic, sorted.
    pub lines: Vec<Line>,
}

impl Picture {
    /// Number of the first box of `[finally]`.
    fn tail(&self) -> usize {
        self.nodes.iter().position(|node| node.finally).unwrap_or(self.nodes.len())
    }

    /// Marks that occur.
    fn marks(&self) -> BTreeSet<Mark> {
        self.nodes.iter().map(|node| node.mark).collect()
    }

    /// Names of the boxes before each, sorted: those that it needs, and those that it only comes after.
    fn before(&self) -> Vec<[Vec<&str>; 2]> {
        let mut names = vec![[Vec::new(), Vec::new()]; self.nodes.len()];
        for line in &self.lines {
            names[line.to][usize::from(line.soft)].push(self.nodes[line.from].name.as_str());
        }
        names.iter_mut().flatten().for_each(|names| names.sort_unstable());
        names
    }

    /// Whether nothing went along a line: what it leads to did not run because of what it comes from.
    fn cut(&self, line: &Line) -> bool {
        let (from, to) = (&self.nodes[line.from], &self.nodes[line.to]);
        !line.soft && matches!(to.mark, Mark::Blocked | Mark::NotRun) && from.stops()
    }

    /// Whether a line is of the critical path: from one of its boxes to the next. A path goes up in plan rank.
    fn critical(&self, line: &Line) -> bool {
        let ends = self.nodes[line.from].critical && self.nodes[line.to].critical;
        let next = || self.nodes[line.from..line.to].iter().skip(1).all(|between| !between.critical);
        !line.soft && ends && line.from < line.to && next()
    }

    /// Only the boxes that are marked `true`, and the lines between them.
    #[must_use]
    pub fn only(mut self, keep: &[bool]) -> Self {
        let mut number = 0;
        let numbers: Vec<Option<usize>> = keep
            .iter()
            .map(|&kept| {
                number += usize::from(kept);
                kept.then(|| number - 1)
            })
            .collect();
        let mut keep = keep.iter();
        self.nodes.retain(|_| *keep.next().unwrap_or(&false));
        let line = |line: &Line| Some(Line { from: numbers[line.from]?, to: numbers[line.to]?, ..*line });
        self.lines = self.lines.iter().filter_map(line).collect();
        self
    }

    /// One flag a box: within `depth` lines of `focus`, in either direction.
    #[must_use]
    pub fn around(&self, focus: &[usize], depth: usize) -> Vec<bool> {
        let mut keep = vec![false; self.nodes.len()];
        for forth in [true, false] {
            let mut reached: BTreeSet<usize> = focus.iter().copied().collect();
            for _ in 0..depth.min(self.nodes.len()) {
                let step = |line: &Line| {
                    let (here, there) = if forth { (line.from, line.to) } else { (line.to, line.from) };
                    (reached.contains(&here) && !reached.contains(&there)).then_some(there)
                };
                let more: Vec<usize> = self.lines.iter().filter_map(step).collect();
                if more.is_empty() {
                    break;
                }
                reached.extend(more);
            }
            reached.iter().for_each(|&node| keep[node] = true);
        }
        keep
    }

    /// One box for all that have the same group, by `group` (one word a box). Groups that would wait for each other stay
    /// apart.
    #[must_use]
    pub fn grouped(self, group: &[Option<String>]) -> Self {
        let mut members: BTreeMap<(&str, bool), Vec<usize>> = BTreeMap::new();
        for (node, name) in group.iter().enumerate() {
            if let Some(name) = name {
                members.entry((name, self.nodes[node].finally)).or_default().push(node);
            }
        }
        // Number of the first member stands for the group.
        let mut stands: Vec<usize> = (0..self.nodes.len()).collect();
        for nodes in members.values().filter(|nodes| nodes.len() > 1) {
            nodes.iter().for_each(|&node| stands[node] = nodes[0]);
        }
        let knotted: BTreeSet<usize> = self.knots(&stands).into_iter().flatten().collect();
        stands.iter_mut().enumerate().filter(|(_, of)| knotted.contains(of)).for_each(|(node, of)| *of = node);
        self.merged(&stands, group)
    }

    /// Groups that wait for each other: sets of more than one (Kosaraju, without recursion).
    fn knots(&self, stands: &[usize]) -> Vec<BTreeSet<usize>> {
        let count = stands.len();
        let (mut after, mut before) = (vec![BTreeSet::new(); count], vec![BTreeSet::new(); count]);
        for line in &self.lines {
            let (from, to) = (stands[line.from], stands[line.to]);
            if from != to {
                after[from].insert(to);
                before[to].insert(from);
            }
        }
        let walk = |root: usize, next: &[BTreeSet<usize>], seen: &mut Vec<bool>| {
            let (mut stack, mut left) = (vec![(root, false)], Vec::new());
            while let Some((node, done)) = stack.pop() {
                if done {
                    left.push(node);
                } else if !std::mem::replace(&mut seen[node], true) {
                    stack.push((node, true));
                    stack.extend(next[node].iter().filter(|other| !seen[**other]).map(|&other| (other, false)));
                }
            }
            left
        };
        let mut seen = vec![false; count];
        let mut order = Vec::new();
        (0..count).for_each(|root| order.extend(walk(root, &after, &mut seen)));
        let mut seen = vec![false; count];
        let parts = order.iter().rev().map(|&root| walk(root, &before, &mut seen)).filter(|part| part.len() > 1);
        parts.map(|part| part.into_iter().collect()).collect()
    }

    fn merged(self, stands: &[usize], group: &[Option<String>]) -> Self {
        let mut numbers = BTreeMap::new();
        let mut nodes: Vec<Node> = Vec::new();
        let mut members = vec![0_usize; stands.len()];
        stands.iter().for_each(|&of| members[of] += 1);
        for (node, &of) in stands.iter().enumerate() {
            let found = &self.nodes[node];
            if node == of {
                numbers.insert(of, nodes.len());
                let mut first = found.clone();
                if members[of] > 1 {
                    first.name = group[node].clone().unwrap_or_default();
                    (first.title, first.action, first.reason) = (None, String::new(), String::new());
                }
                nodes.push(first);
            } else {
                let whole = &mut nodes[numbers[&of]];
                whole.steps += found.steps;
                whole.critical |= found.critical;
                whole.required |= found.required;
                whole.wave = whole.wave.min(found.wave);
                whole.mark = whole.mark.max(found.mark);
                whole.blast.extend(found.blast.iter().cloned());
                whole.time = match (whole.time, found.time) {
                    (Some(a), Some(b)) => Some(a + b),
                    (a, b) => a.or(b),
                };
            }
        }
        for node in nodes.iter_mut().filter(|node| node.steps > 1) {
            node.label = format!("{} ×{}", node.name, node.steps);
            node.columns = node.label.chars().count();
            node.note = if node.blast.is_empty() { String::new() } else { format!("blocks {}", node.blast.len()) };
            node.note_columns = node.note.chars().count();
        }
        let line = |line: &Line| {
            let (from, to) = (numbers[&stands[line.from]], numbers[&stands[line.to]]);
            (from != to).then_some(Line { from, to, soft: line.soft })
        };
        let mut lines: Vec<Line> = self.lines.iter().filter_map(line).collect();
        // A hard line says more than a soft one.
        lines.sort_unstable();
        lines.dedup_by_key(|line| (line.from, line.to));
        Self { nodes, lines, ..self }
    }
}

#[cfg(test)]
mod tests;
