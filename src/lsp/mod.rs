//! A language server for plan files: what is wrong, what may be written, what it means and where it is said, while
//! somebody types. Texts come from the editor; what only the composition root can know (how a plan is checked, earlier
//! results) comes in as functions. Writes to no file and runs nothing.
//!
//! Two views of a plan are held apart. `scan` and `marks` read the text as it is *now*, however broken, so every place
//! they give is right. The loader's plan (`project`) is that of the last text without syntax errors: it tells what names
//! mean (what comes before what, which facts a step has), never where something stands.
//!
//! `wire` reads and answers messages; `session` keeps documents and plans and hands each request to one of `complete`,
//! `hover`, `jump`, `rename`, `actions`, `lens`; `spot` says what stands at the cursor.

mod actions;
mod complete;
mod criterion;
mod diagnostics;
mod documents;
mod hover;
mod jump;
mod lens;
mod marks;
mod position;
mod project;
mod rename;
mod scan;
mod session;
mod spot;
#[cfg(test)]
mod tests;
mod wire;

use std::collections::BTreeMap;

use camino::Utf8Path;

use crate::graph::Graph;
use crate::plan::{Loaded, Plan, Step};

pub use wire::{Ended, serve};

/// Text of a path, links resolved, that is open in the editor.
pub type Texts<'a> = &'a dyn Fn(&Utf8Path) -> Option<String>;

/// What the server is told by whoever knows the rest.
pub struct World<'a> {
    /// Loads and checks a plan as `runplan check` does, open texts before those on the disk.
    pub check: &'a dyn Fn(&Utf8Path, Texts<'_>) -> Checked,
    /// How each step of a plan came out last, by name.
    pub last: &'a dyn Fn(&Plan) -> BTreeMap<String, Last>,
    /// What a step does, in one line.
    pub does: &'a dyn Fn(&Step) -> String,
}

/// A plan and everything that is to be said of it.
pub struct Checked {
    /// With the graph's diagnostics among the others.
    pub loaded: Loaded,
    /// Unless steps wait for each other in a circle.
    pub graph: Option<Graph>,
}

/// How a step came out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Last {
    /// In a word (`pass`).
    pub state: String,
    /// How long it took, where that is known (`1.2 s`).
    pub took: Option<String>,
    /// When its run began.
    pub when: String,
}
