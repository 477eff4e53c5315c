//! What people and programs see of a run: folds events into a summary and renders it. Runs nothing, stores nothing.
//!
//! Renderers are pure: [`summary::Summary`] in, text out. Only [`terminal`] writes, and [`live`] draws through it.
//! Progress and messages go to stderr, the result to stdout.

pub mod closing;
pub mod differences;
pub mod dryrun;
pub mod escape;
pub mod excerpt;
pub mod explain;
pub mod failure;
pub mod format;
pub mod frame;
pub mod gc;
pub mod github;
pub mod history;
pub mod json;
pub mod listing;
pub mod live;
pub mod output;
pub mod plain;
pub mod quiet;
pub mod readiness;
pub mod rejudged;
pub mod reproduced;
#[cfg(test)]
mod sample;
pub mod shown;
pub mod style;
pub mod summary;
pub mod tail;
pub mod terminal;
pub mod verified;
pub mod waits;

use std::time::Duration;

use crate::event::Sink;

pub use self::output::Output;
use self::summary::Summary;
use self::terminal::{Stream, Terminal};

/// `--progress`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Progress {
    /// `Tty` where stderr is a terminal that can move its cursor, else `Plain`.
    #[default]
    Auto,
    /// A live view.
    Tty,
    /// One line for each thing that happened.
    Plain,
    /// The events themselves, one JSON object a line, on stdout.
    Json,
    /// A log of GitHub Actions: groups, annotations.
    Github,
    /// The result only.
    None,
}

impl Progress {
    /// All, by their words.
    pub const ALL: [(&'static str, Self); 6] = [
        ("auto", Self::Auto),
        ("tty", Self::Tty),
        ("plain", Self::Plain),
        ("json", Self::Json),
        ("github", Self::Github),
        ("none", Self::None),
    ];

    /// The mode of that word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == word).map(|(_, mode)| *mode)
    }
}

/// Takes events as they happen and shows them.
pub trait Reporter: Sink {
    /// Time passed: `mono` is nanoseconds since the run began, the clock of [`crate::event::Event::mono`]. Call it at
    /// least ten times a second while steps run.
    fn tick(&mut self, mono: u64);

    /// The terminal will be somebody else's until the next call: nothing of ours that moves stays on it.
    fn pause(&mut self) {}

    /// The last call: leaves the terminal clean. If no `Close` came, it says that the result is unknown.
    fn finish(&mut self);
}

/// Which attempt of which step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Which<'a> {
    /// Plan rank.
    pub rank: u32,
    /// Step name.
    pub name: &'a str,
    /// From 1.
    pub attempt: u32,
}

/// A line of a plan file with something underlined in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Excerpt {
    /// The file, as it should be shown.
    pub path: String,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub col: usize,
    /// The whole line without its end.
    pub text: String,
    /// Characters to underline (cut to the line).
    pub len: usize,
}

/// The end of what a step wrote to one stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tail {
    /// Raw, without line ends, oldest first.
    pub lines: Vec<Vec<u8>>,
    /// How many lines there are; `None` if nobody counted them.
    pub total_lines: Option<u64>,
    /// The file, relative to the workspace.
    pub path: String,
}

/// What a step does, in a line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct About {
    /// The command as one would type it, or the request: `GET http://…`.
    pub action: String,
    /// Folder relative to the workspace, unless it is the workspace.
    pub cwd: Option<String>,
    /// Most attempts it may take.
    pub tries: u32,
}

/// What is known about a name or a place.
pub type Lookup<V> = Box<dyn Fn(&str) -> Option<V>>;
/// The end of a stream (`stdout` or `stderr`) of an attempt.
pub type Tails = Box<dyn Fn(Which<'_>, &str) -> Option<Tail>>;
/// What an attempt wrote last.
pub type Glances = Box<dyn Fn(Which<'_>) -> Option<Vec<u8>>>;
/// Bytes that an attempt wrote to `stdout` or `stderr`, from an offset on: some of them, at most 64 KiB; `None` where
/// there are none yet.
pub type Reads = Box<dyn Fn(Which<'_>, &str, u64) -> Option<Vec<u8>>>;
/// What is left of a run at a moment, in nanoseconds since it began.
pub type Remaining = Box<dyn Fn(&Summary, u64) -> Option<Left>>;

/// How long the critical path still takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Left {
    /// By what earlier runs took.
    pub left: Duration,
    /// How much longer than then its running step takes already.
    pub over: Duration,
}

/// What is known about how long a step may take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pace {
    /// What it took in earlier runs.
    pub usual: Option<Duration>,
    /// The longest an attempt may take.
    pub timeout: Option<Duration>,
    /// It is on the critical path.
    pub critical: bool,
}

/// What events do not carry. Every closure may be asked at any time and must answer quickly.
pub struct Context {
    /// The plan's line for a `path:line:col`.
    pub excerpt: Lookup<Excerpt>,
    /// The last lines (about ten) that an attempt wrote to `stdout` or `stderr`.
    pub tail: Tails,
    /// The last line that a running attempt wrote, to whichever stream (see [`tail::last_line`]).
    pub glance: Glances,
    /// What an attempt wrote, masked, however much it is.
    pub read: Reads,
    /// What of that is shown.
    pub output: Output,
    /// How long a step usually takes, and may take at most.
    pub pace: Lookup<Pace>,
    /// What the step of that name does.
    pub about: Lookup<About>,
    /// Time left on the critical path, where it can be estimated.
    pub remaining: Remaining,
    /// The path from the root of the repository of a path in the plan's places.
    pub repository: Lookup<String>,
    /// A word for a step's name that nobody can guess.
    pub token: Box<dyn Fn(&str) -> String>,
    /// Folder of the run, relative to the workspace: `.runplan/runs/…`.
    pub run_dir: String,
    /// The command line without selected steps, ready for a shell: `runplan blueprint.toml --var x=1`.
    pub command: String,
}

impl Default for Context {
    /// Knows nothing.
    fn default() -> Self {
        Self {
            excerpt: Box::new(|_| None),
            tail: Box::new(|_, _| None),
            glance: Box::new(|_| None),
            read: Box::new(|_, _, _| None),
            output: Output::default(),
            pace: Box::new(|_| None),
            about: Box::new(|_| None),
            remaining: Box::new(|_, _| None),
            repository: Box::new(|path| Some(path.to_owned())),
            token: Box::new(str::to_owned),
            run_dir: String::new(),
            command: "runplan".to_owned(),
        }
    }
}

/// The reporter for a mode.
#[must_use]
pub fn make(mode: Progress, terminal: Terminal, context: Context) -> Box<dyn Reporter> {
    match mode {
        Progress::Auto if terminal.can_move() => Box::new(live::Live::new(terminal, context)),
        Progress::Tty => Box::new(live::Live::new(terminal, context)),
        Progress::Auto | Progress::Plain => Box::new(plain::Plain::new(terminal, context)),
        Progress::Json => Box::new(json::Json::new(terminal, context)),
        Progress::Github => Box::new(github::Github::new(terminal, context)),
        Progress::None => Box::new(quiet::Quiet::new(terminal, context)),
    }
}

/// The end of every mode but JSON: failures to stderr, the decision to stdout. `spoke`: there was progress above, from
/// which they stand apart by an empty line.
fn conclude(terminal: &Terminal, summary: &Summary, context: &Context, spoke: bool) {
    let failures = failure::report(summary, context, terminal.look(Stream::Err));
    let gap = if spoke { "\n" } else { "" };
    if failures.is_empty() {
        terminal.write(Stream::Err, gap);
    } else {
        terminal.write(Stream::Err, &format!("{gap}{}\n\n", failures.trim_end()));
    }
    terminal.write(Stream::Out, &closing::report(summary, context, terminal.look(Stream::Out)));
}
