//! The only place that writes to stdout and stderr: which stream, how wide, in colour or not, and what if nobody reads.
//! Knows no events.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::style::{self, ColourChoice, Look};

/// Columns where no terminal says otherwise: logs are read in wide windows, and a cut line is lost evidence.
const COLUMNS: u16 = 120;
/// Rows where no terminal says otherwise.
const ROWS: u16 = 24;
/// Narrower than this is not believed.
const LEAST: u16 = 20;
/// Bytes that wait for a slow reader at most; who writes more then waits as well.
const MOST_WAITING: usize = 8 * 1024 * 1024;
/// How long the thread that writes waits for more, and for how much: to wake it for each line costs more than the line.
const GATHER: (Duration, usize) = (Duration::from_millis(5), 32 * 1024);

/// Where something goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Results: what a pipe should carry.
    Out,
    /// Progress, messages, failures.
    Err,
}

/// What one stream is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Caps {
    /// A terminal.
    pub tty: bool,
    /// Gets colours.
    pub colour: bool,
}

/// Size in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Columns.
    pub columns: u16,
    /// Rows.
    pub rows: u16,
}

/// Both output streams of this process. A clone is the same terminal.
#[derive(Clone)]
pub struct Terminal {
    what: Arc<Mutex<What>>,
    channels: Arc<Mutex<Channels>>,
    queue: Arc<Queue>,
}

/// What is known about the streams. Asking never waits for a reader.
struct What {
    out: Caps,
    err: Caps,
    size: Box<dyn Fn() -> Size + Send>,
    dumb: bool,
}

struct Channels {
    out: Channel,
    err: Channel,
}

struct Channel {
    to: Box<dyn Write + Send>,
    /// Set for good once a write failed.
    failed: Option<io::ErrorKind>,
}

/// What waits for a reader, in order, of both streams.
#[derive(Default)]
struct Queue {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Default)]
struct Waiting {
    parts: VecDeque<(Stream, Vec<u8>)>,
    /// Of these parts and of the one that is being written.
    bytes: usize,
    /// A thread of its own writes.
    detached: bool,
    /// What comes waits for [`Terminal::release`].
    held: bool,
    /// How many of the parts may be written.
    released: usize,
    /// The thread sleeps until it is woken.
    idle: bool,
    /// How many wait until something is written: then nothing is gathered.
    waiters: u32,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'g>(&self, waiting: MutexGuard<'g, Waiting>) -> MutexGuard<'g, Waiting> {
        self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_for<'g>(&self, waiting: MutexGuard<'g, Waiting>, time: Duration) -> MutexGuard<'g, Waiting> {
        self.changed.wait_timeout(waiting, time).unwrap_or_else(PoisonError::into_inner).0
    }

    /// Lets out what waits.
    fn release(&self, waiting: &mut Waiting) {
        waiting.released = waiting.parts.len();
        // It is woken once, however long it takes until it is awake.
        if waiting.released > 0 && (std::mem::take(&mut waiting.idle) || waiting.waiters > 0) {
            self.changed.notify_all();
        }
    }

    /// What is written next: all that may be, of one stream.
    fn next(&self) -> (Stream, Vec<u8>) {
        let mut waiting = self.lock();
        while waiting.released == 0 {
            waiting.idle = true;
            waiting = self.wait(waiting);
        }
        waiting.idle = false;
        let until = Instant::now() + GATHER.0;
        while waiting.waiters == 0 && waiting.bytes < GATHER.1 {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            waiting = self.wait_for(waiting, left);
        }
        let Some((stream, mut bytes)) = waiting.parts.pop_front() else { return (Stream::Out, Vec::new()) };
        waiting.released -= 1;
        while waiting.released > 0 && waiting.parts.front().is_some_and(|(other, _)| *other == stream) {
            bytes.extend(waiting.parts.pop_front().into_iter().flat_map(|(_, more)| more));
            waiting.released -= 1;
        }
        (stream, bytes)
    }
}

impl Channel {
    fn new(to: Box<dyn Write + Send>) -> Self {
        Self { to, failed: None }
    }

    fn write(&mut self, bytes: &[u8]) {
        if self.failed.is_some() {
            return;
        }
        if let Err(error) = self.to.write_all(bytes).and_then(|()| self.to.flush()) {
            self.failed = Some(error.kind());
        }
    }
}

impl Channels {
    fn write(&mut self, stream: Stream, bytes: &[u8]) {
        match stream {
            Stream::Out => self.out.write(bytes),
            Stream::Err => self.err.write(bytes),
        }
    }
}

impl fmt::Debug for Terminal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Terminal").finish_non_exhaustive()
    }
}

impl Terminal {
    /// The streams of this process; `env` looks up a variable.
    #[must_use]
    pub fn real(choice: ColourChoice, env: &dyn Fn(&str) -> Option<String>) -> Self {
        let caps = |tty: bool| Caps { tty, colour: style::colour(choice, tty, env) };
        let (out, err) = (caps(io::stdout().is_terminal()), caps(io::stderr().is_terminal()));
        let number = |name: &str| env(name).and_then(|value| value.parse::<u16>().ok()).filter(|n| *n > 0);
        let fallback = Size { columns: number("COLUMNS").unwrap_or(COLUMNS), rows: number("LINES").unwrap_or(ROWS) };
        let size = move || asked_size(out.tty, err.tty).unwrap_or(fallback);
        let mut terminal = Self::with(Box::new(io::stdout()), out, Box::new(io::stderr()), err, Box::new(size));
        terminal.set_dumb(env("TERM").is_some_and(|term| term == "dumb"));
        terminal
    }

    /// As [`Terminal::real`], with everything on stderr: what is shown by the way while stdout waits for the result.
    #[must_use]
    pub fn aside(choice: ColourChoice, env: &dyn Fn(&str) -> Option<String>) -> Self {
        let terminal = Self::real(choice, env);
        let mut what = terminal.lock();
        what.out = what.err;
        drop(what);
        terminal.channels().out = Channel::new(Box::new(io::stderr()));
        terminal
    }

    /// Streams of your own.
    #[must_use]
    pub fn with(
        out: Box<dyn Write + Send>,
        out_caps: Caps,
        err: Box<dyn Write + Send>,
        err_caps: Caps,
        size: Box<dyn Fn() -> Size + Send>,
    ) -> Self {
        let channels = Channels { out: Channel::new(out), err: Channel::new(err) };
        let what = What { out: out_caps, err: err_caps, size, dumb: false };
        Self {
            what: Arc::new(Mutex::new(what)),
            channels: Arc::new(Mutex::new(channels)),
            queue: Arc::new(Queue::default()),
        }
    }

    fn set_dumb(&mut self, dumb: bool) {
        self.lock().dumb = dumb;
    }

    fn lock(&self) -> MutexGuard<'_, What> {
        self.what.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn channels(&self) -> MutexGuard<'_, Channels> {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on a thread writes, so that a reader who is slow or stopped (a full pipe, Ctrl-S) holds up nobody; in
    /// order, as before. Where no thread can be had, nothing changes.
    pub fn detach(&self) {
        let mut waiting = self.queue.lock();
        if waiting.detached {
            return;
        }
        let (queue, channels) = (Arc::clone(&self.queue), Arc::clone(&self.channels));
        let work = move || {
            loop {
                let (stream, bytes) = queue.next();
                channels.lock().unwrap_or_else(PoisonError::into_inner).write(stream, &bytes);
                let mut waiting = queue.lock();
                waiting.bytes = waiting.bytes.saturating_sub(bytes.len());
                if waiting.waiters > 0 {
                    queue.changed.notify_all();
                }
            }
        };
        waiting.detached = std::thread::Builder::new().name("terminal".to_owned()).spawn(work).is_ok();
    }

    /// Whether from now on what is written waits for [`Terminal::release`], where a thread writes.
    pub fn hold(&self, on: bool) {
        let mut waiting = self.queue.lock();
        waiting.held = on;
        self.queue.release(&mut waiting);
    }

    /// What was written so far may be seen.
    pub fn release(&self) {
        let mut waiting = self.queue.lock();
        self.queue.release(&mut waiting);
    }

    /// Bytes that still wait for a reader.
    #[must_use]
    pub fn backlog(&self) -> usize {
        self.queue.lock().bytes
    }

    /// Waits until everything is written, for at most `patience` if there is one.
    pub fn settle(&self, patience: Option<Duration>) {
        let until = patience.map(|patience| Instant::now() + patience);
        let mut waiting = self.queue.lock();
        waiting.waiters += 1;
        self.queue.changed.notify_all();
        while waiting.bytes > 0 {
            self.queue.release(&mut waiting);
            let Some(until) = until else {
                waiting = self.queue.wait(waiting);
                continue;
            };
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            waiting = self.queue.wait_for(waiting, left);
        }
        waiting.waiters -= 1;
    }

    /// Writes and flushes. A reader that went away (`| head`) silences the stream for good and fails nothing.
    pub fn write(&self, stream: Stream, text: &str) {
        self.write_bytes(stream, text.as_bytes());
    }

    /// As [`Terminal::write`], of what need not be text.
    pub fn write_bytes(&self, stream: Stream, bytes: &[u8]) {
        let mut waiting = self.queue.lock();
        if !waiting.detached {
            drop(waiting);
            self.channels().write(stream, bytes);
            return;
        }
        if waiting.bytes > MOST_WAITING {
            waiting.waiters += 1;
            while waiting.bytes > MOST_WAITING {
                self.queue.release(&mut waiting);
                waiting = self.queue.wait(waiting);
            }
            waiting.waiters -= 1;
        }
        if !bytes.is_empty() {
            waiting.bytes += bytes.len();
            waiting.parts.push_back((stream, bytes.to_vec()));
            if !waiting.held {
                self.queue.release(&mut waiting);
            }
        }
    }

    /// Why stdout lost something that somebody may still wait for (a full disk, say); a closed pipe is no such reason.
    /// Waits until everything is written.
    #[must_use]
    pub fn lost_output(&self) -> Option<io::ErrorKind> {
        self.settle(None);
        self.channels().out.failed.filter(|kind| *kind != io::ErrorKind::BrokenPipe)
    }

    /// Size now; it may change while a run goes on.
    #[must_use]
    pub fn size(&self) -> Size {
        let size = (self.lock().size)();
        Size { columns: size.columns.max(LEAST), rows: size.rows.max(1) }
    }

    /// What a renderer for this stream has to know.
    #[must_use]
    pub fn look(&self, stream: Stream) -> Look {
        Look { width: usize::from(self.size().columns), colour: self.caps(stream).colour }
    }

    /// What a stream is.
    #[must_use]
    pub fn caps(&self, stream: Stream) -> Caps {
        let what = self.lock();
        match stream {
            Stream::Out => what.out,
            Stream::Err => what.err,
        }
    }

    /// Whether stderr is a terminal that can move its cursor.
    #[must_use]
    pub fn can_move(&self) -> bool {
        let what = self.lock();
        what.err.tty && !what.dumb
    }
}

/// What the kernel says, of whichever stream is a terminal.
fn asked_size(out: bool, err: bool) -> Option<Size> {
    let asked = if err {
        rustix::termios::tcgetwinsize(io::stderr())
    } else if out {
        rustix::termios::tcgetwinsize(io::stdout())
    } else {
        return None;
    };
    asked
        .ok()
        .filter(|size| size.ws_col > 0 && size.ws_row > 0)
        .map(|size| Size { columns: size.ws_col, rows: size.ws_row })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Collects what is written.
    #[derive(Clone, Default)]
    pub(in crate::report) struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl Buffer {
        /// Everything so far.
        pub(in crate::report) fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    impl Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// A terminal that writes into two buffers.
    pub(in crate::report) fn fake(columns: u16, rows: u16, tty: bool) -> (Terminal, Buffer, Buffer) {
        let (out, err) = (Buffer::default(), Buffer::default());
        let caps = Caps { tty, colour: false };
        let size = Box::new(move || Size { columns, rows });
        (Terminal::with(Box::new(out.clone()), caps, Box::new(err.clone()), caps, size), out, err)
    }

    struct Broken(io::ErrorKind);

    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_went_away_silences_only_its_stream() {
        for (kind, lost) in
            [(io::ErrorKind::BrokenPipe, None), (io::ErrorKind::StorageFull, Some(io::ErrorKind::StorageFull))]
        {
            let err = Buffer::default();
            let size = Box::new(|| Size { columns: 5, rows: 0 });
            let terminal =
                Terminal::with(Box::new(Broken(kind)), Caps::default(), Box::new(err.clone()), Caps::default(), size);
            terminal.write(Stream::Out, "lost");
            terminal.write(Stream::Out, "lost");
            terminal.write(Stream::Err, "seen");
            assert_eq!(err.text(), "seen");
            assert_eq!(terminal.lost_output(), lost);
            assert_eq!(terminal.size(), Size { columns: LEAST, rows: 1 });
        }
    }

    #[test]
    fn a_reader_that_stands_still_holds_up_nobody_and_gets_everything_in_order() {
        let (reader, writer) = io::pipe().unwrap();
        let size = Box::new(|| Size { columns: 80, rows: 24 });
        let (out, err) = (Box::new(writer.try_clone().unwrap()), Box::new(writer));
        let terminal = Terminal::with(out, Caps::default(), err, Caps::default(), size);
        terminal.detach();
        terminal.detach();
        // Much more than a pipe holds.
        for n in 0..40_000 {
            terminal.write(if n % 2 == 0 { Stream::Out } else { Stream::Err }, &format!("line {n}\n"));
        }
        assert!(terminal.backlog() > 100_000, "{}", terminal.backlog());
        assert_eq!(terminal.size().columns, 80, "asking waits for nobody");
        terminal.settle(Some(Duration::from_millis(20)));
        let reads = std::thread::spawn(move || {
            use std::io::BufRead as _;
            io::BufReader::new(reader).lines().take(40_000).map(Result::unwrap).collect::<Vec<_>>()
        });
        assert_eq!(terminal.lost_output(), None);
        let lines = reads.join().unwrap();
        assert_eq!(lines.len(), 40_000);
        assert!(lines.iter().enumerate().all(|(n, line)| *line == format!("line {n}")));
        assert_eq!(terminal.backlog(), 0);
    }
}
