//! `--progress none`: says nothing while the run goes on but what `--output` asks for, then failures and decision.

use std::io;

use crate::event::{Event, EventKind, Sink};

use super::output::Flow;
use super::summary::Summary;
use super::terminal::{Stream, Terminal};
use super::{Context, Reporter, conclude};

/// Only the result.
pub struct Quiet {
    terminal: Terminal,
    context: Context,
    summary: Summary,
    flow: Flow,
    concluded: bool,
}

impl Quiet {
    /// A reporter that waits for the end.
    #[must_use]
    pub fn new(terminal: Terminal, context: Context) -> Self {
        let flow = Flow::new(terminal.clone(), Stream::Err);
        Self { terminal, context, summary: Summary::default(), flow, concluded: false }
    }
}

impl Sink for Quiet {
    fn event(&mut self, event: &Event) -> io::Result<()> {
        self.summary.apply(event);
        self.flow.event(&self.summary, event, &self.context, String::new());
        if matches!(event.kind, EventKind::Close { .. }) {
            self.finish();
        }
        Ok(())
    }
}

impl Reporter for Quiet {
    fn tick(&mut self, _mono: u64) {
        if !self.concluded {
            self.flow.tick(&self.context);
        }
    }

    fn finish(&mut self) {
        if !std::mem::replace(&mut self.concluded, true) {
            self.flow.end(&self.context);
            conclude(&self.terminal, &self.summary, &self.context, false);
        }
    }
}
