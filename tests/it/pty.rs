//! A pseudo-terminal with the program on it, and what a person would see there.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::pty::{self, OpenptFlags};
use rustix::termios::{self, Winsize};

use crate::support::Space;

/// How long a test waits for something that has to happen.
const PATIENCE: Duration = Duration::from_secs(60);

/// Polls until it holds.
#[track_caller]
pub fn wait_for(what: &str, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < until, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A terminal on which one program runs.
pub struct Pty {
    keyboard: File,
    /// Kept open, to look at the terminal's modes when the program has ended.
    line: Option<OwnedFd>,
    before: String,
    shown: Arc<Mutex<Vec<u8>>>,
    reader: Option<JoinHandle<()>>,
    child: Child,
    columns: u16,
    rows: u16,
}

/// What a program on a terminal left.
pub struct Left {
    /// Exit code; 128 + n for a signal.
    pub code: i32,
    /// All bytes that came.
    pub bytes: Vec<u8>,
    /// What stands on the screen, and what scrolled out of it above.
    pub screen: Screen,
}

impl Pty {
    /// The program with these arguments, on a terminal of this size.
    pub fn runplan(space: &Space, args: &[&str], columns: u16, rows: u16) -> Self {
        let command = space.command(args);
        let mut words = vec![command.get_program().to_owned()];
        words.extend(command.get_args().map(ToOwned::to_owned));
        Self::start(space, &words, columns, rows)
    }

    /// Any command line, as the leader of its own session whose terminal this is.
    pub fn start(space: &Space, words: &[std::ffi::OsString], columns: u16, rows: u16) -> Self {
        let master = pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).expect("a pty");
        pty::grantpt(&master).expect("a pty");
        pty::unlockpt(&master).expect("a pty");
        let name = pty::ptsname(&master, Vec::new()).expect("a pty").into_string().expect("a path");
        let line: OwnedFd = File::options().read(true).write(true).open(name).expect("its other end").into();
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        termios::tcsetwinsize(&line, size).expect("a size");
        let before = modes(&line);
        let end = || Stdio::from(line.try_clone().expect("a descriptor"));
        // `setsid` makes its own process the leader of a session and then becomes the program: its pid is the program's.
        let mut command = Command::new("setsid");
        command.arg("--ctty").args(words).current_dir(space.path()).env("TERM", "xterm");
        for (name, value) in space.command(&[]).get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        let child = command.stdin(end()).stdout(end()).stderr(end()).spawn().expect("`setsid` (util-linux) starts");
        let shown = Arc::new(Mutex::new(Vec::new()));
        let mut output = File::from(master.as_fd().try_clone_to_owned().expect("a descriptor"));
        let theirs = Arc::clone(&shown);
        let reader = std::thread::spawn(move || {
            let mut chunk = [0; 4096];
            // When the last holder of the other end is gone, reading fails.
            while let Ok(n @ 1..) = output.read(&mut chunk) {
                theirs.lock().expect("one reader").extend_from_slice(&chunk[..n]);
            }
        });
        let (line, reader) = (Some(line), Some(reader));
        Self { keyboard: File::from(master), line, before, shown, reader, child, columns, rows }
    }

    /// Types.
    pub fn type_in(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).expect("a keyboard");
    }

    /// Another size, as when a window is dragged.
    pub fn resize(&mut self, columns: u16, rows: u16) {
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        termios::tcsetwinsize(&self.keyboard, size).expect("a size");
        (self.columns, self.rows) = (columns, rows);
    }

    /// The program's process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What came so far.
    pub fn bytes(&self) -> Vec<u8> {
        self.shown.lock().expect("one reader").clone()
    }

    /// What can be seen now.
    pub fn screen(&self) -> Screen {
        Screen::after(&self.bytes(), self.columns, self.rows)
    }

    /// Waits until the screen contains a text.
    #[track_caller]
    pub fn shows(&self, text: &str) {
        let until = Instant::now() + PATIENCE;
        while !self.screen().text().contains(text) {
            assert!(Instant::now() < until, "`{text}` never came:\n{}", self.screen().text());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Waits for its end and for everything that it wrote.
    #[track_caller]
    pub fn end(mut self) -> Left {
        let until = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("it can be waited for") {
                break status;
            }
            assert!(Instant::now() < until, "it does not end:\n{}", self.screen().text());
            std::thread::sleep(Duration::from_millis(5));
        };
        let line = self.line.take().expect("kept until now");
        assert_eq!(modes(&line), self.before, "the terminal's modes are as they were");
        drop(line);
        self.reader.take().expect("kept until now").join().expect("the reader ends");
        let signal = std::os::unix::process::ExitStatusExt::signal(&status);
        let code = status.code().unwrap_or_else(|| 128 + signal.unwrap_or(0));
        Left { code, bytes: self.bytes(), screen: self.screen() }
    }
}

/// A test that failed leaves nothing running.
impl Drop for Pty {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            drop(self.child.kill());
            drop(self.child.wait());
        }
    }
}

fn modes(line: &OwnedFd) -> String {
    format!("{:?}", termios::tcgetattr(line).expect("a terminal"))
}

/// Enough of a terminal for what runplan sends; anything else is an error of the test.
pub struct Screen {
    /// Every row there ever was; the last ones are on the screen.
    lines: Vec<Vec<char>>,
    at: (usize, usize),
    columns: usize,
    rows: usize,
    /// The first row that did not scroll out.
    top: usize,
    /// Rows that ran over the right edge.
    pub wrapped: Vec<String>,
    /// Whether the cursor can be seen.
    pub cursor: bool,
}

impl Screen {
    /// What these bytes leave.
    pub fn after(bytes: &[u8], columns: u16, rows: u16) -> Self {
        let (columns, rows) = (usize::from(columns), usize::from(rows));
        let mut screen =
            Self { lines: vec![Vec::new()], at: (0, 0), columns, rows, top: 0, wrapped: Vec::new(), cursor: true };
        let text = String::from_utf8_lossy(bytes);
        let mut rest = text.chars();
        while let Some(c) = rest.next() {
            match c {
                '\n' => screen.to(screen.at.0 + 1, screen.at.1),
                '\r' => screen.at.1 = 0,
                '\u{1b}' => screen.escape(&mut rest),
                c if c.is_control() => panic!("a raw control character {c:?} reached the terminal"),
                c => screen.put(c),
            }
        }
        screen
    }

    /// The text, one line a row, without spaces at the ends.
    pub fn text(&self) -> String {
        let rows = self.lines.iter().map(|row| row.iter().collect::<String>().trim_end().to_owned());
        rows.collect::<Vec<_>>().join("\n")
    }

    fn to(&mut self, row: usize, column: usize) {
        self.at = (row, column);
        self.top = self.top.max((row + 1).saturating_sub(self.rows));
        while self.lines.len() <= row {
            self.lines.push(Vec::new());
        }
    }

    fn put(&mut self, c: char) {
        if self.at.1 >= self.columns {
            self.wrapped.push(self.lines[self.at.0].iter().collect());
            self.to(self.at.0 + 1, 0);
        }
        let row = &mut self.lines[self.at.0];
        while row.len() <= self.at.1 {
            row.push(' ');
        }
        row[self.at.1] = c;
        self.at.1 += 1;
    }

    fn escape(&mut self, rest: &mut std::str::Chars<'_>) {
        assert_eq!(rest.next(), Some('['), "only CSI sequences are sent");
        let mut arguments = String::new();
        let command = loop {
            // The end of what has come so far may be in the middle of a sequence.
            match rest.next() {
                None => return,
                Some(c @ '@'..='~') => break c,
                Some(c) => arguments.push(c),
            }
        };
        let n: usize = arguments.parse().unwrap_or(1);
        match command {
            'm' => {}
            // A real cursor can't go above the screen.
            'A' => self.at.0 = self.at.0.saturating_sub(n).max(self.top),
            'B' => self.to(self.at.0 + n, self.at.1),
            'C' => self.at.1 = (self.at.1 + n).min(self.columns - 1),
            'D' => self.at.1 = self.at.1.saturating_sub(n),
            'K' if n == 2 => self.lines[self.at.0].clear(),
            'K' => self.lines[self.at.0].truncate(self.at.1),
            'J' => {
                self.lines.truncate(self.at.0 + 1);
                self.lines[self.at.0].truncate(self.at.1);
            }
            // What is drawn together.
            'h' | 'l' if arguments == "?2026" => {}
            'l' if arguments == "?25" => self.cursor = false,
            'h' if arguments == "?25" => self.cursor = true,
            other => panic!("unexpected CSI {arguments}{other}"),
        }
    }
}

/// Living processes that belong to a run, by the mark in their environment, or whose command line has a token.
pub fn left_behind(space: &Space, token: &str) -> Vec<String> {
    let run = space.latest().file_name().expect("a run's folder has a name").to_string_lossy().into_owned();
    let mark = format!("RUNPLAN_MARK={run}");
    let processes = fs::read_dir("/proc").expect("/proc").flatten().filter_map(|entry| {
        let own = entry.file_name().to_str()?.parse::<u32>().ok()? == std::process::id();
        let part = |name: &str| {
            let bytes = fs::read(entry.path().join(name)).unwrap_or_default();
            String::from_utf8_lossy(&bytes).replace('\0', " ")
        };
        let (environ, line) = (part("environ"), part("cmdline"));
        let theirs = environ.contains(&mark) || (!token.is_empty() && line.contains(token));
        (theirs && !own).then(|| format!("{}: {line}", entry.path().display()))
    });
    processes.collect()
}
