//! Gathers diagnostics: each thing is said once, however often the walk comes across it. Knows no plan.

use std::collections::HashSet;

use super::error::{Diagnostic, Level};
use crate::place::Place;

/// Suggestions cost a look at every name, so only the first faults get one.
const MOST_SUGGESTIONS: usize = 200;

/// Longest thing from a plan that a message repeats, in bytes.
const LONGEST_QUOTE: usize = 120;

/// Cuts what stands in backticks: a plan may hold a thing of any length.
fn shorten(message: &mut String) {
    let odd = |(at, part): (usize, &str)| {
        if at % 2 == 0 || part.len() <= LONGEST_QUOTE {
            return part.to_owned();
        }
        let end = (0..=LONGEST_QUOTE / 2).rev().find(|end| part.is_char_boundary(*end)).unwrap_or(0);
        format!("{}…", &part[..end])
    };
    if message.len() > LONGEST_QUOTE {
        *message = message.split('`').enumerate().map(odd).collect::<Vec<_>>().join("`");
    }
}

/// The diagnostics of one load.
#[derive(Default)]
pub(super) struct Diags {
    list: Vec<Diagnostic>,
    seen: HashSet<(&'static str, Option<Place>, String)>,
    suggestions: usize,
}

impl Diags {
    /// Adds one, unless the same was said at the same place.
    pub(super) fn push(&mut self, mut diagnostic: Diagnostic) {
        shorten(&mut diagnostic.message);
        diagnostic.help.as_mut().map(shorten);
        let key = (diagnostic.code, diagnostic.place, diagnostic.message.clone());
        if self.seen.insert(key) {
            self.list.push(diagnostic);
        }
    }

    /// Whether one more search for a near name is affordable.
    pub(super) fn may_suggest(&mut self) -> bool {
        self.suggestions += 1;
        self.suggestions <= MOST_SUGGESTIONS
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.list.len()
    }

    /// Whether anything forbids running the plan.
    pub(super) fn has_errors(&self) -> bool {
        self.list.iter().any(|diagnostic| diagnostic.severity == Level::Error)
    }

    /// All of them in source order: those without a place first.
    pub(super) fn finish(mut self, strict: bool) -> Vec<Diagnostic> {
        self.list.sort_by_key(|diagnostic| diagnostic.place.map(|place| (place.file, place.start, place.len)));
        if strict {
            for diagnostic in &mut self.list {
                diagnostic.severity = Level::Error;
            }
        }
        self.list
    }
}
