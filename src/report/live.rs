//! The view on a terminal: finished lines scroll by, what runs now stays below them. The only home of indicatif.
//! Has no thread and no clock: events and [`Reporter::tick`] move it.

use std::io;
use std::sync::{Mutex, PoisonError};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle, TermLike};

use crate::event::{Event, EventKind, Sink};

use super::style::{self, Line, Role};
use super::summary::{Bucket, Phase, Row, Summary};
use super::terminal::{Size, Stream, Terminal};
use super::{Context, Reporter, Which, conclude, escape, format, plain};

/// Time between two drawings, in nanoseconds.
const REFRESH: u64 = 100_000_000;
/// Running rows at most.
const ROWS: usize = 8;
/// Columns at most of a name in a running row.
const NAME: usize = 32;

/// What stays at the bottom of the screen: running rows, how many more run, totals.
#[must_use]
pub fn frame(summary: &Summary, context: &Context, now: u64, size: Size) -> Vec<Line> {
    let jobs = usize::try_from(summary.settings.jobs).unwrap_or(usize::MAX);
    let most = jobs.min(usize::from(size.rows).saturating_sub(4)).clamp(1, ROWS);
    let rows: Vec<&Row> = summary.running.iter().filter_map(|step| summary.row(*step)).collect();
    let shown = rows.get(..most).unwrap_or(&rows);
    let names = shown.iter().map(|row| escape::width(&escape::line(&row.head.name)));
    let column = names.max().unwrap_or(0).min(NAME).min(usize::from(size.columns) / 3);
    let mut lines: Vec<Line> = shown.iter().map(|row| running(row, context, now, column)).collect();
    if rows.len() > shown.len() {
        lines.push(Line::of(Role::Dim, &format!("  +{} more running", rows.len() - shown.len())));
    }
    lines.push(totals(summary, context, now));
    lines
}

/// `⏵ it-db   34.1s  INSERT 0 500`.
fn running(row: &Row, context: &Context, now: u64, column: usize) -> Line {
    let name = escape::cut(&escape::line(&row.head.name), column);
    let elapsed = format::short(now.saturating_sub(row.started));
    let line =
        Line::of(Role::Note, "  ⏵ ").with(Role::Strong, &name).pad(4 + column).plain(&format!(" {elapsed:>7}  "));
    let says = match row.phase {
        Phase::Pausing { until } => {
            let why = row.last_try.as_ref().map_or("", |(_, why)| why.as_str());
            let wait = format::short(until.saturating_sub(now));
            return line.with(Role::Warn, &format!("try {} in {wait}: ", row.attempt + 1)).with(Role::Dim, why);
        }
        Phase::Stopping => return line.with(Role::Dim, "is being ended"),
        _ => row.glance.clone(),
    };
    let which = Which { rank: row.head.rank, name: &row.head.name, attempt: row.attempt.max(1) };
    let says = says.or_else(|| (context.glance)(which).map(|raw| escape::bytes(&raw)));
    let line = if row.attempt > 1 { line.with(Role::Warn, &format!("try {}  ", row.attempt)) } else { line };
    line.with(Role::Dim, says.as_deref().unwrap_or("").trim())
}

/// `∑ ⏵ 5 │ ✔ 12 │ ✘ 1 │ ⊘ 1 │ 0:41, critical path ~1:05 left`.
fn totals(summary: &Summary, context: &Context, now: u64) -> Line {
    let sum = |buckets: &[Bucket]| buckets.iter().map(|bucket| summary.count(*bucket)).sum::<usize>();
    let good = sum(&[Bucket::Passed, Bucket::Warned]);
    let advisory = sum(&[Bucket::FailedAdvisory, Bucket::ErroredAdvisory]);
    let bad = sum(&[Bucket::Failed, Bucket::Errored, Bucket::Inconclusive]) + advisory;
    let blocked = sum(&[Bucket::Blocked, Bucket::NotRun]);
    let line = Line::new().plain("  ∑ ").with(Role::Note, &format!("⏵ {}", summary.running.len()));
    let line = line.plain(" │ ").with(Role::Good, &format!("✔ {good}"));
    let line = line.plain(" │ ").with(if bad > 0 { Role::Bad } else { Role::Dim }, &format!("✘ {bad}"));
    let line = line.plain(" │ ").with(if blocked > 0 { Role::Warn } else { Role::Dim }, &format!("⊘ {blocked}"));
    let line = line.plain(&format!(" │ {}/{} │ {}", summary.done(), summary.total(), format::clock(now)));
    match (&summary.signal, (context.remaining)(summary)) {
        (Some((name, _)), _) => line.with(Role::Warn, &format!(", {name}: ending")),
        (None, Some(left)) => {
            let left = u64::try_from(left.as_nanos()).unwrap_or(u64::MAX);
            line.with(Role::Dim, &format!(", critical path ~{} left", format::clock(left)))
        }
        (None, None) => line,
    }
}

/// The live view.
pub struct Live {
    terminal: Terminal,
    context: Context,
    summary: Summary,
    bar: ProgressBar,
    /// Lines of the frame on the screen, and the width they were drawn for.
    drawn: (usize, u16),
    /// Finished lines that wait for the next drawing.
    pending: Vec<Line>,
    last_draw: Option<u64>,
    concluded: bool,
}

impl Live {
    /// A view on the terminal's stderr.
    #[must_use]
    pub fn new(terminal: Terminal, context: Context) -> Self {
        let bar = bar(&terminal);
        let summary = Summary::default();
        Self { terminal, context, summary, bar, drawn: (0, 0), pending: Vec::new(), last_draw: None, concluded: false }
    }

    fn draw(&mut self, now: u64) {
        self.last_draw = Some(now);
        let size = self.terminal.size();
        self.resized(size);
        let look = self.terminal.look(Stream::Err);
        if !self.pending.is_empty() {
            let text = style::page(&std::mem::take(&mut self.pending), look);
            self.bar.suspend(|| self.terminal.write(Stream::Err, &text));
        }
        let lines = frame(&self.summary, &self.context, now, size);
        let text: Vec<String> = lines.iter().map(|line| line.render(look)).collect();
        self.drawn = (lines.len(), size.columns);
        self.bar.set_message(text.join("\n"));
    }

    /// After a change of width the old frame may have been wrapped anew, which indicatif cannot know: wipe it by what
    /// a terminal makes of it, and start afresh.
    fn resized(&mut self, size: Size) {
        let (lines, columns) = self.drawn;
        if lines == 0 || columns == size.columns {
            return;
        }
        self.bar.set_draw_target(ProgressDrawTarget::hidden());
        let rows = lines * usize::from(columns).div_ceil(usize::from(size.columns)).max(1);
        let up = rows.min(usize::from(size.rows)).saturating_sub(1);
        let up = if up == 0 { String::new() } else { format!("\u{1b}[{up}A") };
        self.terminal.write(Stream::Err, &format!("\r{up}\u{1b}[J"));
        self.bar = bar(&self.terminal);
        self.drawn = (0, size.columns);
    }

    /// Takes the frame off the screen and writes what still waits.
    fn clear(&mut self) {
        self.resized(self.terminal.size());
        self.bar.finish_and_clear();
        let look = self.terminal.look(Stream::Err);
        self.terminal.write(Stream::Err, &style::page(&std::mem::take(&mut self.pending), look));
    }
}

impl Sink for Live {
    fn event(&mut self, event: &Event) -> io::Result<()> {
        self.summary.apply(event);
        self.pending.extend(plain::lines(&self.summary, event, usize::from(self.terminal.size().columns)));
        if matches!(event.kind, EventKind::Close { .. }) {
            self.finish();
        } else {
            self.tick(event.mono);
        }
        Ok(())
    }
}

impl Reporter for Live {
    fn tick(&mut self, mono: u64) {
        let due = self.last_draw.is_none_or(|last| mono.saturating_sub(last) >= REFRESH);
        if due && !self.concluded {
            self.draw(mono);
        }
    }

    fn finish(&mut self) {
        if !std::mem::replace(&mut self.concluded, true) {
            self.clear();
            conclude(&self.terminal, &self.summary, &self.context);
        }
    }
}

/// Whatever ends the run, the frame does not stay behind.
impl Drop for Live {
    fn drop(&mut self) {
        if !self.concluded {
            self.clear();
        }
    }
}

fn bar(terminal: &Terminal) -> ProgressBar {
    let screen = Screen { terminal: terminal.clone(), waiting: Mutex::default() };
    let target = ProgressDrawTarget::term_like(Box::new(screen));
    let style = ProgressStyle::with_template("{msg}").unwrap_or_else(|_| ProgressStyle::default_spinner());
    ProgressBar::with_draw_target(None, target).with_style(style)
}

/// stderr as indicatif wants it; one write a drawing, so that nothing flickers.
#[derive(Debug)]
struct Screen {
    terminal: Terminal,
    waiting: Mutex<String>,
}

impl Screen {
    fn add(&self, text: &str) -> io::Result<()> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).push_str(text);
        Ok(())
    }

    fn moved(&self, n: usize, direction: char) -> io::Result<()> {
        if n == 0 { Ok(()) } else { self.add(&format!("\u{1b}[{n}{direction}")) }
    }
}

impl TermLike for Screen {
    fn width(&self) -> u16 {
        self.terminal.size().columns
    }

    fn height(&self) -> u16 {
        self.terminal.size().rows
    }

    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        self.moved(n, 'A')
    }

    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        self.moved(n, 'B')
    }

    fn move_cursor_right(&self, n: usize) -> io::Result<()> {
        self.moved(n, 'C')
    }

    fn move_cursor_left(&self, n: usize) -> io::Result<()> {
        self.moved(n, 'D')
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.add(text)?;
        self.add("\n")
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        self.add(text)
    }

    fn clear_line(&self) -> io::Result<()> {
        self.add("\r\u{1b}[2K")
    }

    fn flush(&self) -> io::Result<()> {
        let text = std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        if !text.is_empty() {
            self.terminal.write(Stream::Err, &text);
        }
        Ok(())
    }
}
