//! `--progress none`: says nothing while the run goes on, then failures and decision as ever.

use std::io;

use crate::event::{Event, EventKind, Sink};

use super::summary::Summary;
use super::terminal::Terminal;
use super::{Context, Reporter, conclude};

/// Only the result.
pub struct Quiet {
    terminal: Terminal,
    context: Context,
    summary: Summary,
    concluded: bool,
}

impl Quiet {
    /// A reporter that waits for the end.
    #[must_use]
    pub fn new(terminal: Terminal, context: Context) -> Self {
        Self { terminal, context, summary: Summary::default(), concluded: false }
    }
}

impl Sink for Quiet {
    fn event(&mut self, event: &Event) -> io::Result<()> {
        self.summary.apply(event);
        if matches!(event.kind, EventKind::Close { .. }) {
            self.finish();
        }
        Ok(())
    }
}

impl Reporter for Quiet {
    fn tick(&mut self, _mono: u64) {}

    fn finish(&mut self) {
        if !std::mem::replace(&mut self.concluded, true) {
            conclude(&self.terminal, &self.summary, &self.context, false);
        }
    }
}
