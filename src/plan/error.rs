//! What is wrong with a plan: place, reason, suggestion. Data first; miette draws it.

use crate::place::Place;

/// How bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Nothing runs.
    Error,
    /// Shown, runs all the same (an error under `--strict`).
    Warning,
}

/// One thing to say about a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Stable code (`unknown-key`).
    pub code: &'static str,
    /// How bad.
    pub severity: Level,
    /// Lower-case fragment, the thing in backticks.
    pub message: String,
    /// Where; `None` only for faults of the file as a whole (missing, not UTF-8).
    pub place: Option<Place>,
    /// Text under the underlined place.
    pub label: String,
    /// Other places that matter (edges of a cycle, the first declaration).
    pub related: Vec<(Place, String)>,
    /// What to do about it.
    pub help: Option<String>,
}

impl Diagnostic {
    /// An error at a place.
    #[must_use]
    pub fn error(code: &'static str, place: Place, message: impl Into<String>) -> Self {
        Self {
            code,
            severity: Level::Error,
            message: message.into(),
            place: Some(place),
            label: String::new(),
            related: Vec::new(),
            help: None,
        }
    }

    /// A warning at a place.
    #[must_use]
    pub fn warning(code: &'static str, place: Place, message: impl Into<String>) -> Self {
        Self { severity: Level::Warning, ..Self::error(code, place, message) }
    }

    /// With text under the underlined place.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// With a suggestion.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// With another place that matters.
    #[must_use]
    pub fn related(mut self, place: Place, text: impl Into<String>) -> Self {
        self.related.push((place, text.into()));
        self
    }
}
