//! The only place that writes to stdout and stderr: which stream, how wide, in colour or not, and what if nobody reads.
//! Knows no events.

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::style::{self, ColourChoice, Look};

/// Columns where no terminal says otherwise: logs are read in wide windows, and a cut line is lost evidence.
const COLUMNS: u16 = 120;
/// Rows where no terminal says otherwise.
const ROWS: u16 = 24;
/// Narrower than this is not believed.
const LEAST: u16 = 20;

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
    inner: Arc<Mutex<Inner>>,
}

struct Inner {
    out: Channel,
    err: Channel,
    size: Box<dyn Fn() -> Size + Send>,
    dumb: bool,
}

struct Channel {
    to: Box<dyn Write + Send>,
    caps: Caps,
    /// Set for good once a write failed.
    failed: Option<io::ErrorKind>,
}

impl Channel {
    fn new(to: Box<dyn Write + Send>, caps: Caps) -> Self {
        Self { to, caps, failed: None }
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
        let mut inner = terminal.lock();
        let caps = inner.err.caps;
        inner.out = Channel::new(Box::new(io::stderr()), caps);
        drop(inner);
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
        let (out, err) = (Channel::new(out, out_caps), Channel::new(err, err_caps));
        Self { inner: Arc::new(Mutex::new(Inner { out, err, size, dumb: false })) }
    }

    fn set_dumb(&mut self, dumb: bool) {
        self.lock().dumb = dumb;
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes and flushes. A reader that went away (`| head`) silences the stream for good and fails nothing.
    pub fn write(&self, stream: Stream, text: &str) {
        self.write_bytes(stream, text.as_bytes());
    }

    /// As [`Terminal::write`], of what need not be text.
    pub fn write_bytes(&self, stream: Stream, bytes: &[u8]) {
        let mut inner = self.lock();
        match stream {
            Stream::Out => inner.out.write(bytes),
            Stream::Err => inner.err.write(bytes),
        }
    }

    /// Why stdout lost something that somebody may still wait for (a full disk, say); a closed pipe is no such reason.
    #[must_use]
    pub fn lost_output(&self) -> Option<io::ErrorKind> {
        self.lock().out.failed.filter(|kind| *kind != io::ErrorKind::BrokenPipe)
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
        let inner = self.lock();
        match stream {
            Stream::Out => inner.out.caps,
            Stream::Err => inner.err.caps,
        }
    }

    /// Whether stderr is a terminal that can move its cursor.
    #[must_use]
    pub fn can_move(&self) -> bool {
        let inner = self.lock();
        inner.err.caps.tty && !inner.dumb
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
}
