//! What steps themselves wrote, among the lines about them (`--output`): in order, never more of it in memory than one
//! piece. Reads what was stored, so it is masked already, and a slow screen holds up no step. Writes nothing.

use std::collections::VecDeque;

use crate::event::{Event, EventKind};
use crate::ids::StepId;

use super::style::{Line, Look, Role};
use super::summary::Summary;
use super::tail::final_version;
use super::terminal::{Stream, Terminal};
use super::{Context, Which, escape};

/// A line is at most so long; the rest of a longer one follows as a line of its own.
const LONGEST: usize = 8 * 1024;
/// Bytes of one stream that are shown before the next one has its turn.
const TURN: usize = 64 * 1024;
/// Bytes that wait for a slow reader before the rest is left where it is stored.
const ROOM: usize = 64 * 1024;
/// Different colours of names.
const TINTS: usize = 6;

/// `--output`: what of the steps' own output is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Output {
    /// The end of what failing steps wrote, with the failure.
    #[default]
    Failed,
    /// Everything, each step's as one block when it ends.
    All,
    /// Everything as it comes, each line with its step's name.
    Live,
    /// Nothing.
    None,
}

impl Output {
    /// All, by their words.
    pub const ALL: [(&'static str, Self); 4] =
        [("failed", Self::Failed), ("all", Self::All), ("live", Self::Live), ("none", Self::None)];

    /// The mode of that word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == word).map(|(_, mode)| *mode)
    }
}

/// One stored stream on its way to the screen.
struct Source {
    step: StepId,
    rank: u32,
    name: String,
    attempt: u32,
    stream: &'static str,
    /// Bytes that were read.
    offset: u64,
    /// The start of a line whose end has not come.
    partial: Vec<u8>,
    /// Before each line.
    prefix: Line,
    /// Before the first line, if there is one.
    header: Option<Line>,
}

enum Item {
    Text(String),
    Source(Source),
}

/// Texts and outputs in the order in which they are to be shown.
#[derive(Default)]
pub struct Feed {
    items: VecDeque<Item>,
    /// Streams that still grow.
    growing: Vec<Source>,
}

impl Feed {
    /// Adds a text as it stands.
    pub fn text(&mut self, text: String) {
        if !text.is_empty() {
            self.items.push_back(Item::Text(text));
        }
    }

    /// An event, which the summary has taken, with the lines about it: before them what the attempt wrote last, behind
    /// them what the step wrote, as the mode wants it.
    pub fn event(&mut self, summary: &Summary, event: &Event, mode: Output, lines: String) {
        if mode == Output::Live {
            self.before(summary, event);
        }
        self.text(lines);
        if let (Output::All, EventKind::Commit { step, .. }) = (mode, &event.kind) {
            self.block(summary, *step);
        }
    }

    /// What an event changes, before the lines about it are added: an attempt that is over is shown to its end.
    fn before(&mut self, summary: &Summary, event: &Event) {
        match &event.kind {
            EventKind::Start { step, attempt } => {
                let Some(row) = summary.row(*step) else { return };
                let name = row.head.name.clone();
                let prefix = Line::of(tint(&name), &name).with(Role::Dim, " │ ");
                let source = |stream| Source {
                    step: *step,
                    rank: row.head.rank,
                    name: name.clone(),
                    attempt: *attempt,
                    stream,
                    offset: 0,
                    partial: Vec::new(),
                    prefix: prefix.clone(),
                    header: None,
                };
                self.growing.extend(["stdout", "stderr"].map(source));
            }
            EventKind::Attempt { step, .. } | EventKind::Commit { step, .. } => {
                let (over, growing) = self.growing.drain(..).partition(|source| source.step == *step);
                self.growing = growing;
                let over: Vec<Source> = over;
                self.items.extend(over.into_iter().map(Item::Source));
            }
            _ => {}
        }
    }

    /// Adds everything that a step wrote that is over; a result that was taken over has written nothing.
    pub fn block(&mut self, summary: &Summary, step: StepId) {
        let Some(row) = summary.row(step) else { return };
        let Some(result) = row.result.as_ref().filter(|_| !row.reused) else { return };
        for attempt in 1..=result.attempts {
            let tried = if result.attempts > 1 { format!(", try {attempt}") } else { String::new() };
            let source = |stream| Source {
                step,
                rank: row.head.rank,
                name: row.head.name.clone(),
                attempt,
                stream,
                offset: 0,
                partial: Vec::new(),
                prefix: Line::of(Role::Dim, "  │ "),
                header: Some(
                    Line::of(Role::Dim, &format!("  ┌ {stream} of "))
                        .with(Role::Strong, &row.head.name)
                        .with(Role::Dim, &tried),
                ),
            };
            self.items.extend(["stdout", "stderr"].map(|stream| Item::Source(source(stream))));
        }
    }

    /// Takes what growing streams have got.
    pub fn poll(&mut self, context: &Context, look: Look) {
        for source in &mut self.growing {
            let mut text = String::new();
            let mut taken = 0;
            while taken < TURN {
                let Some((piece, bytes)) = source.piece(context, look) else { break };
                text.push_str(&piece);
                taken += bytes;
            }
            if !text.is_empty() {
                self.items.push_back(Item::Text(text));
            }
        }
    }

    /// The next piece of text with its line ends.
    pub fn next(&mut self, context: &Context, look: Look) -> Option<String> {
        loop {
            match self.items.front_mut()? {
                Item::Text(text) => {
                    let text = std::mem::take(text);
                    self.items.pop_front();
                    return Some(text);
                }
                Item::Source(source) => {
                    let text = match source.piece(context, look) {
                        Some((text, _)) => text,
                        None => {
                            let rest = source.rest(look);
                            self.items.pop_front();
                            rest
                        }
                    };
                    if !text.is_empty() {
                        return Some(text);
                    }
                }
            }
        }
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Nothing comes any more: what grew is taken to its end.
    pub fn end(&mut self) {
        self.items.extend(self.growing.drain(..).map(Item::Source));
    }
}

/// A feed that goes straight to a stream, as fast as its reader takes it.
pub struct Flow {
    feed: Feed,
    terminal: Terminal,
    stream: Stream,
}

impl Flow {
    /// To this stream.
    #[must_use]
    pub fn new(terminal: Terminal, stream: Stream) -> Self {
        Self { feed: Feed::default(), terminal, stream }
    }

    /// An event, which the summary has taken, with the lines about it.
    pub fn event(&mut self, summary: &Summary, event: &Event, context: &Context, lines: String) {
        self.feed.event(summary, event, context.output, lines);
        self.pour(context);
    }

    /// Everything that a step wrote that is over, with a text before it and one behind it.
    pub fn group(&mut self, summary: &Summary, step: StepId, (before, after): (String, String), context: &Context) {
        self.feed.text(before);
        self.feed.block(summary, step);
        self.feed.text(after);
        self.pour(context);
    }

    /// Text that no event brought.
    pub fn text(&mut self, text: String, context: &Context) {
        self.feed.text(text);
        self.pour(context);
    }

    /// Time passed.
    pub fn tick(&mut self, context: &Context) {
        if self.feed.is_empty() && self.terminal.backlog() < ROOM {
            self.feed.poll(context, self.terminal.look(self.stream));
        }
        self.pour(context);
    }

    /// Everything that is left.
    pub fn end(&mut self, context: &Context) {
        self.feed.end();
        let look = self.terminal.look(self.stream);
        while let Some(text) = self.feed.next(context, look) {
            self.terminal.write(self.stream, &text);
        }
    }

    fn pour(&mut self, context: &Context) {
        let look = self.terminal.look(self.stream);
        while self.terminal.backlog() < ROOM
            && let Some(text) = self.feed.next(context, look)
        {
            self.terminal.write(self.stream, &text);
        }
    }
}

/// Whether a step wrote anything.
#[must_use]
pub fn wrote(context: &Context, summary: &Summary, step: StepId) -> bool {
    let Some(row) = summary.row(step).filter(|row| !row.reused) else { return false };
    let attempts = row.result.as_ref().map_or(0, |result| result.attempts);
    (1..=attempts).any(|attempt| {
        let which = Which { rank: row.head.rank, name: &row.head.name, attempt };
        ["stdout", "stderr"].iter().any(|stream| (context.read)(which, stream, 0).is_some())
    })
}

impl Source {
    /// The next complete lines, and how many bytes were read; `None` at the end of what is there now.
    fn piece(&mut self, context: &Context, look: Look) -> Option<(String, usize)> {
        let which = Which { rank: self.rank, name: &self.name, attempt: self.attempt };
        let bytes = (context.read)(which, self.stream, self.offset).filter(|bytes| !bytes.is_empty())?;
        self.offset += bytes.len() as u64;
        let mut text = String::new();
        let mut lines = bytes.split(|&b| b == b'\n').peekable();
        while let Some(part) = lines.next() {
            self.partial.extend_from_slice(part);
            while self.partial.len() > LONGEST {
                let rest = self.partial.split_off(boundary(&self.partial, LONGEST));
                let full = std::mem::replace(&mut self.partial, rest);
                self.line(&full, look, &mut text);
            }
            if lines.peek().is_some() {
                let full = std::mem::take(&mut self.partial);
                self.line(&full, look, &mut text);
            }
        }
        Some((text, bytes.len()))
    }

    /// A last line without its end.
    fn rest(&mut self, look: Look) -> String {
        let mut text = String::new();
        if !self.partial.is_empty() {
            let rest = std::mem::take(&mut self.partial);
            self.line(&rest, look, &mut text);
        }
        text
    }

    fn line(&mut self, raw: &[u8], look: Look, out: &mut String) {
        // Nothing is cut: a terminal wraps what is too long.
        let whole = Look { width: usize::MAX / 8, ..look };
        let line = self.prefix.clone().plain(&escape::bytes(final_version(raw)));
        for line in self.header.take().iter().chain([&line]) {
            out.push_str(&line.render(whole));
            out.push('\n');
        }
    }
}

/// At most `most` bytes, not within a character.
fn boundary(bytes: &[u8], most: usize) -> usize {
    let back = bytes.get(..=most).unwrap_or(bytes).iter().rev().take(4).position(|b| b & 0xc0 != 0x80);
    most.saturating_sub(back.unwrap_or(0)).max(1)
}

/// The colour of a name; always the same one.
fn tint(name: &str) -> Role {
    let sum = name.bytes().fold(5381_usize, |sum, byte| sum.wrapping_mul(33) ^ usize::from(byte));
    Role::Tint(u8::try_from(sum % TINTS).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::BTreeMap;
    use std::rc::Rc;

    use super::super::sample::{Stream as Sample, attempt};
    use super::*;
    use crate::outcome::State;

    type Files = Rc<RefCell<BTreeMap<String, Vec<u8>>>>;

    const PLAIN: Look = Look { width: 80, colour: false };

    /// Stored streams by `name attempt stream`; reads at most `most` bytes at once.
    fn stored(files: &[(&str, &[u8])], most: usize) -> (Context, Files) {
        let files = files.iter().map(|(name, bytes)| ((*name).to_owned(), bytes.to_vec())).collect();
        let files = Rc::new(RefCell::new(files));
        let kept = Rc::clone(&files);
        let read = move |which: Which<'_>, stream: &str, offset: u64| {
            let files: std::cell::Ref<'_, BTreeMap<String, Vec<u8>>> = kept.borrow();
            let bytes = files.get(&format!("{} {} {stream}", which.name, which.attempt))?;
            let rest = bytes.get(usize::try_from(offset).ok()?..).filter(|rest| !rest.is_empty())?;
            Some(rest[..rest.len().min(most)].to_vec())
        };
        (Context { read: Box::new(read), ..Context::default() }, files)
    }

    fn all(feed: &mut Feed, context: &Context) -> String {
        std::iter::from_fn(|| feed.next(context, PLAIN)).collect()
    }

    #[test]
    fn a_block_has_every_attempt_and_stream_and_can_steer_nothing() {
        let out = b"one\r\n10 %\r100 %\n\x1b[31mred \xff\nno end";
        let (context, _) = stored(&[("a 1 stdout", out), ("a 2 stderr", b"second\n")], 5);
        let mut sample = Sample::open(&["a", "b"]);
        let ok = || attempt(State::Pass, None, 5);
        sample.start("a", 1).end("a", &[ok()], ok());
        let summary = sample.summary();
        assert!(wrote(&context, &summary, sample.id("a")) && !wrote(&context, &summary, sample.id("b")));
        let mut feed = Feed::default();
        feed.text("before\n".to_owned());
        feed.block(&summary, sample.id("a"));
        feed.text("after\n".to_owned());
        assert_eq!(
            all(&mut feed, &context),
            "before\n  ┌ stdout of a, try 1\n  │ one\n  │ 100 %\n  │ ␛[31mred \\xff\n  │ no end\n  ┌ stderr of a, try 2\n  │ second\nafter\n"
        );
        assert!(feed.is_empty());
    }

    #[test]
    fn lines_come_as_they_are_written_and_a_partial_one_when_the_attempt_ends() {
        let (context, files) = stored(&[], 1000);
        let mut sample = Sample::open(&["a", "b"]);
        sample.start("a", 1).start("b", 1);
        let mut feed = Feed::default();
        let summary = sample.summary();
        sample.events.iter().for_each(|event| feed.before(&summary, event));
        let add = |name: &str, bytes: &[u8]| {
            files.borrow_mut().entry(name.to_owned()).or_default().extend_from_slice(bytes);
        };
        let poll = |feed: &mut Feed| {
            feed.poll(&context, PLAIN);
            all(feed, &context)
        };
        assert_eq!(poll(&mut feed), "");
        add("a 1 stdout", "hal\u{e9}".as_bytes());
        add("b 1 stderr", b"x\n");
        assert_eq!(poll(&mut feed), "b │ x\n");
        add("a 1 stdout", b"f\nrest");
        assert_eq!(poll(&mut feed), "a │ hal\u{e9}f\n");
        sample.end("a", &[], attempt(State::Pass, None, 5));
        feed.before(&summary, &sample.events[3]);
        feed.text("PASS a\n".to_owned());
        assert_eq!(poll(&mut feed), "a │ rest\nPASS a\n");
        add("b 1 stdout", b"end");
        feed.end();
        assert_eq!(all(&mut feed, &context), "b │ end\n");
    }

    #[test]
    fn an_endless_line_comes_in_pieces_between_characters() {
        let long = "é".repeat(20_000);
        let (context, _) = stored(&[("a 1 stdout", long.as_bytes())], 32 * 1024);
        let mut sample = Sample::open(&["a"]);
        sample.pass("a", 5);
        let mut feed = Feed::default();
        feed.block(&sample.summary(), sample.id("a"));
        let text = all(&mut feed, &context);
        assert!(!text.contains("\\x"), "no character is broken");
        assert_eq!(text.matches('é').count(), 20_000);
        assert_eq!(text.lines().count(), 1 + 40_000_usize.div_ceil(LONGEST));
        assert_eq!((boundary("aé".as_bytes(), 2), boundary(b"abc", 2)), (1, 2));
    }

    #[test]
    fn a_name_keeps_its_colour() {
        assert_eq!(tint("build"), tint("build"));
        let tints: Vec<Role> = ["a", "b", "c", "d"].map(tint).to_vec();
        assert!(tints.windows(2).any(|pair| pair[0] != pair[1]), "{tints:?}");
    }
}
