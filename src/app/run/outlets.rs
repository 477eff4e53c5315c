//! Where the events of a run go: the journal, the screen, and what the record is made of.

use std::collections::BTreeSet;
use std::io;

use crate::engine::{self, Outlet};
use crate::event::{Event, EventKind, Sink};
use crate::graph::Graph;
use crate::ids::StepId;
use crate::plan::Plan;
use crate::record::gather::Gathered;
use crate::record::journal::Journal;
use crate::report::Reporter;
use crate::report::terminal::Terminal;

use super::super::reuse;

/// How long what was said may take to be read before the engine is stopped (Ctrl-Z).
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(1);

/// Every event goes to the journal first, then to the screen; what the record needs is gathered.
pub(super) struct Outlets<'a> {
    pub(super) journal: Journal,
    pub(super) reporter: Box<dyn Reporter>,
    /// What the reporter says is seen once the journal has it.
    pub(super) terminal: Terminal,
    pub(super) plan: &'a Plan,
    pub(super) graph: &'a Graph,
    pub(super) gathered: Gathered,
    /// When the run began (wall clock), and the latest event that says how far it is (since then).
    pub(super) span: Option<(i64, u64)>,
    /// All about the steps in `seen`.
    pub(super) kept: Vec<Event>,
    /// The journal has its `open` already.
    pub(super) resumed: bool,
    /// Steps of which later runs may want to know what was seen.
    pub(super) seen: BTreeSet<StepId>,
}

impl<'a> Outlets<'a> {
    /// Nothing happened yet, in a run that is no resumed one.
    pub(super) fn new(
        journal: Journal,
        reporter: Box<dyn Reporter>,
        terminal: &Terminal,
        (plan, graph): (&'a Plan, &'a Graph),
        gathered: Gathered,
    ) -> Self {
        Self {
            journal,
            reporter,
            terminal: terminal.clone(),
            plan,
            graph,
            gathered,
            span: None,
            kept: Vec::new(),
            resumed: false,
            seen: reuse::declared(plan),
        }
    }
}

impl Sink for Outlets<'_> {
    fn event(&mut self, event: &Event) -> io::Result<()> {
        use EventKind::{Attempt, Close, Commit, Decision, Open, Reused};
        if !(self.resumed && matches!(event.kind, Open { .. })) {
            self.journal.event(event)?;
        }
        self.reporter.event(event)?;
        if matches!(event.kind, Open { .. } | Commit { .. } | Decision { .. } | Close { .. }) {
            self.span = Some((self.span.map_or(event.at, |(began, _)| began), event.mono));
        }
        match &event.kind {
            Open { plan, settings, steps } if !self.seen.is_empty() => {
                let steps = steps.iter().filter(|head| self.seen.contains(&head.step)).cloned().collect();
                let kind = Open { plan: plan.clone(), settings: settings.clone(), steps };
                self.kept.push(Event { kind, ..*event });
            }
            Commit { step, result } => {
                self.gathered.take(&engine::heads::step(self.plan, self.graph, *step), result)?;
            }
            _ => {}
        }
        if let Attempt { step, .. } | Reused { step, .. } | Commit { step, .. } = &event.kind
            && self.seen.contains(step)
        {
            self.kept.push(event.clone());
        }
        Ok(())
    }
}

impl Outlet for Outlets<'_> {
    fn settle(&mut self, mono: u64) -> io::Result<()> {
        self.journal.flush(mono)?;
        self.terminal.release();
        Ok(())
    }

    fn tick(&mut self, mono: u64) {
        self.reporter.tick(mono);
    }

    fn pause(&mut self) {
        self.reporter.pause();
        self.terminal.settle(Some(PATIENCE));
    }
}
