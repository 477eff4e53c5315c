//! The view on a terminal: finished lines scroll by, what runs now stays below them. The only home of indicatif.
//! Has no thread and no clock: events and [`Reporter::tick`] move it. What stays below is made in [`super::frame`].

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle, TermLike};

use crate::event::{Event, EventKind, Sink};

use super::frame::frame;
use super::output::Feed;
use super::style::{self, Look};
use super::summary::Summary;
use super::terminal::{Size, Stream, Terminal};
use super::{Context, Reporter, conclude, escape, plain};

/// Time between two drawings, in nanoseconds.
const REFRESH: u64 = 100_000_000;
/// Bytes of text that go above the frame in one drawing.
const TURN: usize = 64 * 1024;
/// A terminal that knows it shows what comes between the two at once; others ignore them.
const TOGETHER: [&str; 2] = ["\u{1b}[?2026h", "\u{1b}[?2026l"];

/// The live view.
pub struct Live {
    terminal: Terminal,
    context: Context,
    summary: Summary,
    bar: ProgressBar,
    /// What is to be written in one piece.
    canvas: Canvas,
    /// Widths of the frame's lines on the screen, and the width of the screen they were drawn for.
    drawn: (Vec<usize>, u16),
    /// Finished lines and outputs that wait for the next drawing.
    feed: Feed,
    last_draw: Option<u64>,
    concluded: bool,
}

impl Live {
    /// A view on the terminal's stderr.
    #[must_use]
    pub fn new(terminal: Terminal, context: Context) -> Self {
        let canvas = Canvas::default();
        let bar = bar(&terminal, &canvas);
        let summary = Summary::default();
        Self {
            terminal,
            context,
            summary,
            bar,
            canvas,
            drawn: (Vec::new(), 0),
            feed: Feed::default(),
            last_draw: None,
            concluded: false,
        }
    }

    fn draw(&mut self, now: u64) {
        self.last_draw = Some(now);
        // Whoever reads slowly gets newer frames later instead of every old one.
        if self.terminal.backlog() > 0 {
            return;
        }
        let size = self.terminal.size();
        self.resized(size);
        let look = self.terminal.look(Stream::Err);
        if self.feed.is_empty() {
            self.feed.poll(&self.context, look);
        }
        let mut text = String::new();
        while text.len() < TURN
            && let Some(piece) = self.feed.next(&self.context, look)
        {
            text.push_str(&piece);
        }
        if !text.is_empty() {
            self.bar.suspend(|| add(&self.canvas, &text));
        }
        let lines = frame(&self.summary, &self.context, now, size);
        let shown: Vec<String> = lines.iter().map(|line| line.render(look)).collect();
        let bare = Look { colour: false, ..look };
        let widths = lines.iter().map(|line| escape::width(&line.render(bare)));
        self.drawn = (widths.collect(), size.columns);
        self.bar.set_message(shown.join("\n"));
        self.flush();
    }

    /// Sends what was drawn.
    fn flush(&self) {
        let text = std::mem::take(&mut *self.canvas.lock().unwrap_or_else(PoisonError::into_inner));
        if !text.is_empty() {
            self.terminal.write(Stream::Err, &format!("{}{text}{}", TOGETHER[0], TOGETHER[1]));
        }
    }

    /// After a change of width the old frame may have been wrapped anew, which indicatif cannot know: wipe it by what
    /// a terminal makes of it, and start afresh.
    fn resized(&mut self, size: Size) {
        let (widths, columns) = &self.drawn;
        if widths.is_empty() || *columns == size.columns {
            return;
        }
        self.bar.set_draw_target(ProgressDrawTarget::hidden());
        // The cursor waits at the start of the last line.
        let above = widths.iter().rev().skip(1).map(|width| width.div_ceil(usize::from(size.columns)).max(1));
        let up = above.sum::<usize>().min(usize::from(size.rows).saturating_sub(1));
        let up = if up == 0 { String::new() } else { format!("\u{1b}[{up}A") };
        add(&self.canvas, &format!("\r{up}\u{1b}[J"));
        self.bar = bar(&self.terminal, &self.canvas);
        self.drawn = (Vec::new(), size.columns);
    }

    /// Takes the frame off the screen and writes what still waits.
    fn clear(&mut self) {
        self.resized(self.terminal.size());
        self.bar.finish_and_clear();
        self.flush();
        let look = self.terminal.look(Stream::Err);
        while let Some(text) = self.feed.next(&self.context, look) {
            self.terminal.write(Stream::Err, &text);
        }
    }
}

impl Sink for Live {
    fn event(&mut self, event: &Event) -> io::Result<()> {
        self.summary.apply(event);
        let look = self.terminal.look(Stream::Err);
        let lines = style::page(&plain::lines(&self.summary, event, look.width), look);
        self.feed.event(&self.summary, event, self.context.output, lines);
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

    fn pause(&mut self) {
        if !self.concluded {
            self.clear();
            self.bar = bar(&self.terminal, &self.canvas);
            (self.drawn, self.last_draw) = ((Vec::new(), 0), None);
        }
    }

    fn finish(&mut self) {
        if !std::mem::replace(&mut self.concluded, true) {
            self.feed.end();
            self.clear();
            conclude(&self.terminal, &self.summary, &self.context, true);
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

/// A text that grows until it is sent.
type Canvas = Arc<Mutex<String>>;

fn add(canvas: &Canvas, text: &str) {
    canvas.lock().unwrap_or_else(PoisonError::into_inner).push_str(text);
}

fn bar(terminal: &Terminal, canvas: &Canvas) -> ProgressBar {
    let screen = Screen { terminal: terminal.clone(), canvas: Arc::clone(canvas), waiting: Mutex::default() };
    let target = ProgressDrawTarget::term_like(Box::new(screen));
    let style = ProgressStyle::with_template("{msg}").unwrap_or_else(|_| ProgressStyle::default_spinner());
    ProgressBar::with_draw_target(None, target).with_style(style)
}

/// stderr as indicatif wants it, collected so that a drawing is one write and nothing flickers.
///
/// indicatif fills each line with spaces up to the right edge and lets the terminal wrap. Then all lines are one to the
/// terminal, and a change of width tears them apart. So the filler becomes "erase the rest" and a line end of our own.
#[derive(Debug)]
struct Screen {
    terminal: Terminal,
    canvas: Canvas,
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    text: String,
    /// A line is complete; another one may follow.
    complete: bool,
}

impl Screen {
    fn add(&self, add: impl FnOnce(&mut Waiting)) -> io::Result<()> {
        add(&mut self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        Ok(())
    }

    fn steer(&self, text: &str) -> io::Result<()> {
        self.add(|waiting| {
            waiting.complete = false;
            waiting.text.push_str(text);
        })
    }

    fn moved(&self, n: usize, direction: char) -> io::Result<()> {
        if n == 0 { Ok(()) } else { self.steer(&format!("\u{1b}[{n}{direction}")) }
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
        self.steer(text)?;
        self.steer("\n")
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        self.add(|waiting| {
            if text.trim_matches(' ').is_empty() {
                // After a line that reaches the edge, erasing would take its last character.
                waiting.text.push_str(if text.is_empty() { "" } else { "\u{1b}[K" });
                waiting.complete = true;
                return;
            }
            if std::mem::take(&mut waiting.complete) {
                waiting.text.push('\n');
            }
            waiting.text.push_str(text);
        })
    }

    fn clear_line(&self) -> io::Result<()> {
        self.steer("\r\u{1b}[2K")
    }

    fn flush(&self) -> io::Result<()> {
        let waiting = std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        let mut text = waiting.text;
        if !text.is_empty() {
            // The cursor waits at the start of the line: an echoed `^C` then takes the margin and moves nothing.
            text.push('\r');
            add(&self.canvas, &text);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::{MS, Stream as Sample, context, eventful, no_go};
    use super::super::terminal::tests::fake;
    use super::*;

    /// What a terminal shows after these bytes: enough of one for what indicatif sends.
    struct Screenful {
        rows: Vec<Vec<char>>,
        at: (usize, usize),
        columns: usize,
    }

    impl Screenful {
        fn after(bytes: &str, columns: usize) -> String {
            let mut screen = Self { rows: vec![Vec::new()], at: (0, 0), columns };
            let mut rest = bytes.chars();
            while let Some(c) = rest.next() {
                match c {
                    '\n' => screen.go(screen.at.0 + 1, 0),
                    '\r' => screen.at.1 = 0,
                    '\u{1b}' => {
                        assert_eq!(rest.next(), Some('['));
                        let mut number = String::new();
                        let command = loop {
                            match rest.next().unwrap() {
                                '?' => {}
                                digit if digit.is_ascii_digit() => number.push(digit),
                                command => break command,
                            }
                        };
                        screen.steer(command, number.parse().unwrap_or(1));
                    }
                    c => screen.put(c),
                }
            }
            let rows: Vec<String> =
                screen.rows.iter().map(|row| row.iter().collect::<String>().trim_end().to_owned()).collect();
            rows.join("\n").trim_end().to_owned()
        }

        fn go(&mut self, row: usize, column: usize) {
            self.at = (row, column);
            while self.rows.len() <= row {
                self.rows.push(Vec::new());
            }
        }

        fn put(&mut self, c: char) {
            if self.at.1 >= self.columns {
                self.go(self.at.0 + 1, 0);
            }
            let row = &mut self.rows[self.at.0];
            while row.len() <= self.at.1 {
                row.push(' ');
            }
            row[self.at.1] = c;
            self.at.1 += 1;
        }

        fn steer(&mut self, command: char, n: usize) {
            match command {
                'h' | 'l' if n == 2026 => {}
                'A' => self.at.0 -= n,
                'B' => self.go(self.at.0 + n, self.at.1),
                'K' if n == 2 => self.rows[self.at.0].clear(),
                'K' => self.rows[self.at.0].truncate(self.at.1),
                'J' => {
                    self.rows.truncate(self.at.0 + 1);
                    self.rows[self.at.0].truncate(self.at.1);
                }
                other => panic!("unexpected {other}"),
            }
        }
    }

    fn busy(names: &[&str]) -> Sample {
        let mut sample = Sample::open(names);
        for name in names {
            sample.wait(1_000).start(name, 1);
        }
        sample
    }

    #[test]
    fn the_screen_holds_log_and_frame_and_is_clean_at_the_end() {
        let (terminal, out, err) = fake(80, 24, true);
        let mut live = Live::new(terminal.clone(), context());
        let mut sample = eventful();
        sample.close(no_go());
        let (close, before) = sample.events.split_last().unwrap();
        before.iter().for_each(|event| live.event(event).unwrap());
        let shown = Screenful::after(&err.text(), 80);
        assert!(shown.contains("∑ ⏵"), "{shown}");
        live.event(close).unwrap();
        let shown = Screenful::after(&err.text(), 80);
        assert!(!shown.contains('∑') && !shown.contains('⏵'), "{shown}");

        let (plain_terminal, plain_out, plain_err) = fake(80, 24, true);
        let mut plain = plain::Plain::new(plain_terminal, context());
        sample.events.iter().for_each(|event| plain.event(event).unwrap());
        assert_eq!(shown, Screenful::after(&plain_err.text(), 80));
        assert_eq!(out.text(), plain_out.text());
    }

    #[test]
    fn drawings_come_at_most_ten_times_a_second() {
        let (terminal, _, err) = fake(80, 24, true);
        let mut live = Live::new(terminal, context());
        let sample = busy(&["a"]);
        sample.events.iter().for_each(|event| live.event(event).unwrap());
        let before = err.text().matches('∑').count();
        (1..=1000).for_each(|ms| live.tick((1_000 + ms) * MS));
        assert_eq!(err.text().matches('∑').count() - before, 10);
    }

    #[test]
    fn a_narrower_window_leaves_no_rest_of_the_old_frame() {
        use std::sync::Arc;
        use std::sync::atomic::{AtomicU16, Ordering};
        let columns = Arc::new(AtomicU16::new(80));
        let err = super::super::terminal::tests::Buffer::default();
        let now = Arc::clone(&columns);
        let size = Box::new(move || Size { columns: now.load(Ordering::Relaxed), rows: 24 });
        let caps = super::super::terminal::Caps { tty: true, colour: false };
        let terminal = Terminal::with(Box::new(err.clone()), caps, Box::new(err.clone()), caps, size);
        let mut live = Live::new(terminal, context());
        busy(&["a", &"long".repeat(8)]).events.iter().for_each(|event| live.event(event).unwrap());
        live.tick(5_000 * MS);
        // Two lines above the cursor: one that fills its row takes two rows, the other one only where it is too long.
        for (now, width, up) in [(6, 76, 3), (7, 40, 4)] {
            let before = err.text().len();
            columns.store(width, Ordering::Relaxed);
            live.tick(now * 1_000 * MS);
            let wiped = format!("\u{1b}[?2026h\r\u{1b}[{up}A\u{1b}[J");
            assert!(err.text()[before..].starts_with(&wiped), "{:?}", &err.text()[before..]);
        }
        drop(live);
        assert!(err.text().ends_with("\r\u{1b}[?2026l"), "{:?}", err.text());
    }
}
