//! `--progress json`: the events themselves, one JSON object a line on stdout and nothing else there. What `--output`
//! asks for goes to stderr.

use std::io;

use crate::event::{Event, Sink};

use super::output::Flow;
use super::summary::Summary;
use super::terminal::{Stream, Terminal};
use super::{Context, Reporter};

/// One event as a line, with its line feed.
///
/// # Errors
/// When it has no JSON form, which would be a bug of the event types.
pub fn line(event: &Event) -> io::Result<String> {
    let mut line = serde_json::to_string(event)?;
    line.push('\n');
    Ok(line)
}

/// Writes each event as it happens.
pub struct Json {
    terminal: Terminal,
    context: Context,
    summary: Summary,
    flow: Flow,
}

impl Json {
    /// On the terminal's stdout.
    #[must_use]
    pub fn new(terminal: Terminal, context: Context) -> Self {
        let flow = Flow::new(terminal.clone(), Stream::Err);
        Self { terminal, context, summary: Summary::default(), flow }
    }
}

impl Sink for Json {
    fn event(&mut self, event: &Event) -> io::Result<()> {
        self.terminal.write(Stream::Out, &line(event)?);
        self.summary.apply(event);
        self.flow.event(&self.summary, event, &self.context, String::new());
        Ok(())
    }
}

impl Reporter for Json {
    fn tick(&mut self, _mono: u64) {
        self.flow.tick(&self.context);
    }

    fn finish(&mut self) {
        self.flow.end(&self.context);
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::{eventful, no_go};
    use super::super::terminal::tests::fake;
    use super::*;

    #[test]
    fn every_line_reads_back_as_its_event_and_nothing_else_is_written() {
        let (terminal, out, err) = fake(80, 24, false);
        let mut json = Json::new(terminal, Context::default());
        let mut sample = eventful();
        sample.close(no_go());
        sample.events.iter().for_each(|event| json.event(event).unwrap());
        json.tick(u64::MAX);
        json.finish();
        let back: Vec<Event> = out.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(back, sample.events);
        assert_eq!(err.text(), "");
    }
}
