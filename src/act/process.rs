//! One process group: started, watched, ended, swept, reaped. Knows no criteria, no readiness and no facts.
//!
//! The leader stays an unreaped zombie until everything it left behind is gone: only so long does its number certainly mean its group.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::future::Future;
use std::io::{self, PipeReader};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::rc::Rc;
use std::sync::OnceLock;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::contain::{self, Leader, Patience, Prey};
use super::pump::Pump;
use super::slots::{STREAMS, Slot};
use super::{ActError, Input, Lent, Lost, Request, Stop, program, signals};
use crate::action::Command;
use crate::outcome::{Cause, Exit, Note};

/// The shell of shell text.
const SHELL: &str = "/bin/sh";

/// How long what a leader leaves behind may take to end by itself: a `tee` that still writes, a pipe that still drains.
const LINGER: Duration = Duration::from_millis(250);

/// How long a killed leader may take to end before we go on without it (a hung file system).
const UNKILLABLE: Duration = Duration::from_secs(10);

/// First pause before a start is tried again, doubled each time, and how often: two and a half seconds in all.
const RETRY: (Duration, u32) = (Duration::from_millis(5), 9);

/// How long a stream with something in it may lie under a name that says nothing.
const NAMELESS: Duration = Duration::from_millis(100);

/// A running process group. Dropping it kills the group and everything that escaped from it.
pub(super) struct Process {
    /// Taken when it is reaped.
    child: Option<(Child, Leader)>,
    pid: Pid,
    watcher: Watcher,
    pumps: Vec<Pump>,
    files: [PathBuf; 2],
    slot: Option<Rc<Slot>>,
    /// Device and inode of the output, or of the pipes that lead there.
    outputs: Vec<(u64, u64)>,
    mark: String,
    lost: Lost,
    stop: watch::Receiver<Stop>,
}

/// How a process is known to have ended, without reaping it.
enum Watcher {
    /// A pidfd.
    Fd(AsyncFd<OwnedFd>),
    /// A thread in `waitid`.
    Thread(JoinHandle<()>),
    Ended,
}

/// How a process group ended.
pub(super) struct Ended {
    pub(super) exit: Exit,
    pub(super) notes: Vec<Note>,
    /// Where what is stored lies: stdout, stderr.
    pub(super) files: [PathBuf; 2],
    /// Sizes of what is stored: stdout, stderr. What is empty may have no file.
    pub(super) sizes: [u64; 2],
    /// Why output could not be stored.
    pub(super) unstored: Option<String>,
}

/// What a command line is, ready to be started.
struct Line {
    program: String,
    file: PathBuf,
    args: Vec<OsString>,
}

impl Ended {
    /// Size of all that is stored.
    pub(super) fn output_bytes(&self) -> u64 {
        self.sizes.iter().sum()
    }
}

/// Where a stream goes: the file, and its device and inode where they are known.
type Spool = (File, Option<(u64, u64)>);

struct Started {
    child: Child,
    leader: Leader,
    pipes: Vec<(PipeReader, File)>,
    outputs: Vec<(u64, u64)>,
}

impl Process {
    /// Starts `command` as the leader of a new group, with exactly the request's environment.
    ///
    /// # Errors
    /// `SpawnFailed` with a sentence that names the program and what to do, `ActionError` if its files can't be opened.
    pub(super) async fn start(request: &Request, command: &Command, lent: &Lent) -> Result<Self, ActError> {
        let line = line(request, command)?;
        let stdin = stdin(request)?;
        let lent_files = lent.slot.as_ref().and_then(|slot| slot.paths());
        let files = lent_files.unwrap_or_else(|| STREAMS.map(|stream| request.spool_file(stream)));
        let (mut pause, mut left) = RETRY;
        let started = loop {
            let spools = spools(&files, lent)?;
            match start(request, &line, stdin.as_ref(), spools, lent.mask.is_some()) {
                Ok(started) => break started,
                Err(error) if program::is_transient(&error) && left > 1 => {
                    tokio::time::sleep(pause).await;
                    (pause, left) = (pause * 2, left - 1);
                }
                Err(error) => {
                    let detail = program::explain(&error, &line.program, &line.file, &request.cwd);
                    return Err(ActError::new(Cause::SpawnFailed, detail));
                }
            }
        };
        let Started { child, leader, pipes, outputs } = started;
        let pid = Pid::from_raw(leader.pid())
            .ok_or_else(|| ActError::new(Cause::SpawnFailed, "the system gave no process id"))?;
        let mut process = Self {
            child: Some((child, leader)),
            pid,
            watcher: Watcher::new(pid),
            pumps: Vec::new(),
            files,
            outputs,
            slot: lent.slot.clone(),
            mark: request.mark.clone(),
            lost: lent.lost.clone(),
            stop: lent.stop.clone(),
        };
        (lent.spawned)(pid.as_raw_nonzero().get().unsigned_abs());
        if let Some(mask) = &lent.mask {
            for (reader, file) in pipes {
                // On an error `process` is dropped, and with it the group.
                let pump = Pump::start(reader, file, mask)
                    .map_err(|error| ActError::new(Cause::ActionError, format!("its output can't be read: {error}")))?;
                process.pumps.push(pump);
            }
        }
        Ok(process)
    }

    /// Where its output goes: stdout, stderr.
    pub(super) fn files(&self) -> &[PathBuf; 2] {
        &self.files
    }

    /// Completes when the leader has ended. It is a zombie then, until [`Process::finish`].
    pub(super) async fn exited(&mut self) {
        let Some(slot) = self.slot.clone() else { return self.watcher.wait().await };
        loop {
            // Whoever looks at a step that runs looks for its output where it will be found later on.
            if tokio::time::timeout(NAMELESS, self.watcher.wait()).await.is_ok() {
                return;
            }
            // What can't be stored ends the run, not this wait.
            let _ = self.settle(&slot);
        }
    }

    fn settle(&self, slot: &Slot) -> Result<[u64; 2], String> {
        slot.settle().map_err(|error| {
            let text = format!("its output could not be stored: {error}");
            let _ = self.lost.set(text.clone());
            text
        })
    }

    /// How the leader ended, if it has.
    pub(super) fn peek(&self) -> Option<Exit> {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
        let status = rustix::process::waitid(WaitId::Pid(self.pid), options).ok()??;
        match (status.exit_status(), status.terminating_signal()) {
            (Some(code), _) => Some(Exit::Code(code)),
            (None, Some(signal)) => Some(Exit::Signal(signals::name(signal))),
            (None, None) => None,
        }
    }

    /// Completes when the step is asked to end, with how urgently. Never if nobody can ask any more.
    pub(super) fn stop_asked(&self) -> impl Future<Output = Stop> + use<> {
        let mut stop = self.stop.clone();
        async move { asked(&mut stop, Stop::Term).await }
    }

    /// Ends the group: `signal`, after `grace` (or as soon as it becomes urgent) SIGKILL. Then cleans up. Also says which signal it took.
    pub(super) async fn end(mut self, signal: Signal, grace: Duration) -> (Ended, String) {
        self.signal(signal);
        // A stopped process acts on a signal only once it runs again.
        self.signal(Signal::CONT);
        let until = Instant::now() + grace;
        let mut stop = self.stop.clone();
        let heeded = signal != Signal::KILL
            && tokio::select! {
                biased;
                () = self.exited() => true,
                () = tokio::time::sleep_until(until) => false,
                _ = asked(&mut stop, Stop::Kill) => false,
            };
        let (sent, left) = if heeded {
            // The others of the group had the signal too; they get what is left of the grace.
            (signal, until.saturating_duration_since(Instant::now()))
        } else {
            self.signal(Signal::KILL);
            let _ = tokio::time::timeout(UNKILLABLE, self.exited()).await;
            (Signal::KILL, Duration::ZERO)
        };
        let ended = self.clean(Patience { natural: Duration::ZERO, term: left, told: true }).await;
        (ended, signals::name(sent.as_raw()))
    }

    /// Cleans up after a leader that ended by itself: what it left running gets a moment, then TERM, then KILL.
    pub(super) async fn finish(self) -> Ended {
        self.clean(Patience { natural: LINGER, term: LINGER, told: false }).await
    }

    fn signal(&self, signal: Signal) {
        if let Some((_, leader)) = &self.child {
            leader.signal(signal);
        }
    }

    async fn clean(mut self, patience: Patience) -> Ended {
        let mut stop = self.stop.clone();
        let hurry = async {
            asked(&mut stop, Stop::Kill).await;
        };
        let leader = self.child.as_ref().map(|(_, leader)| leader.pid());
        let prey = Prey::Attempt { leader, mark: &self.mark };
        let mut notes = contain::clear(&prey, &self.outputs, patience, hurry).await;
        let mut unstored = None;
        for pump in &mut self.pumps {
            if let Err(error) = pump.finish(LINGER).await {
                let text = format!("its output could not be stored: {error}");
                let _ = self.lost.set(text.clone());
                notes.push(Note { code: "output_lost".into(), text: text.clone() });
                unstored = Some(text);
            }
        }
        let exit = self.reap().unwrap_or_else(|| {
            notes.push(Note { code: "not_ended".into(), text: "the process did not end after SIGKILL".into() });
            Exit::Signal("SIGKILL".into())
        });
        let sizes = match self.slot.clone() {
            Some(slot) => self.settle(&slot).unwrap_or_else(|text| {
                unstored.get_or_insert(text);
                [0, 0]
            }),
            None => [0, 1].map(|number| fs::metadata(&self.files[number]).map_or(0, |meta| meta.len())),
        };
        if let Some(slot) = self.slot.as_ref().filter(|_| notes.iter().any(|note| note.code == "not_ended")) {
            slot.spoil();
        }
        Ended { exit, notes, files: std::mem::take(&mut self.files), sizes, unstored }
    }

    /// Takes the exit status, if there is one. From here on the group's number means nothing any more.
    fn reap(&mut self) -> Option<Exit> {
        let (mut child, leader) = self.child.take()?;
        let status = leader.reap(|| child.try_wait().ok().flatten())?;
        match (status.code(), status.signal()) {
            (Some(code), _) => Some(Exit::Code(code)),
            (None, signal) => Some(Exit::Signal(signals::name(signal.unwrap_or(0)))),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some((_, leader)) = &self.child {
            let leader = leader.pid();
            self.signal(Signal::KILL);
            for _ in 0..200 {
                if self.peek().is_some() {
                    break;
                }
                std::thread::sleep(Duration::from_millis(1));
            }
            contain::clear_now(&Prey::Attempt { leader: Some(leader), mark: &self.mark });
            self.reap();
        }
    }
}

impl Watcher {
    #[expect(
        deprecated,
        reason = "sound for an `OwnedFd`, which keeps its descriptor open; the form in its place is `unsafe`"
    )]
    fn new(pid: Pid) -> Self {
        contain::exit_fd(pid)
            .and_then(|fd| AsyncFd::with_interest(fd, Interest::READABLE).ok())
            .map_or_else(|| Self::thread(pid), Self::Fd)
    }

    fn thread(pid: Pid) -> Self {
        Self::Thread(tokio::task::spawn_blocking(move || {
            let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
            while matches!(rustix::process::waitid(WaitId::Pid(pid), options), Err(Errno::INTR)) {}
        }))
    }

    async fn wait(&mut self) {
        match self {
            // Never cleared, so that it stays readable.
            Self::Fd(fd) => drop(fd.readable().await),
            Self::Thread(thread) => drop(thread.await),
            Self::Ended => return,
        }
        *self = Self::Ended;
    }
}

/// Completes once the step is asked to end at least this urgently.
async fn asked(stop: &mut watch::Receiver<Stop>, least: Stop) -> Stop {
    let asked = stop.wait_for(|stop| *stop >= least).await.map(|stop| *stop);
    match asked {
        Ok(stop) => stop,
        Err(_) => std::future::pending().await,
    }
}

/// A cause and its sentence, before anything was seen.
pub(super) type Fault = (Cause, String);

impl From<Fault> for ActError {
    fn from((cause, detail): Fault) -> Self {
        Self::new(cause, detail)
    }
}

fn line(request: &Request, command: &Command) -> Result<Line, Fault> {
    let (program, args): (&str, Vec<OsString>) = match command {
        Command::Argv(argv) => {
            let mut texts = argv.iter().map(crate::action::Text::as_str);
            (texts.next().unwrap_or(""), texts.map(OsString::from).collect())
        }
        Command::Shell(text) => (SHELL, vec!["-c".into(), text.into()]),
    };
    let file = program::find(program, &request.cwd, &request.env).map_err(|detail| (Cause::SpawnFailed, detail))?;
    Ok(Line { program: program.to_owned(), file, args })
}

fn stdin(request: &Request) -> Result<Option<File>, Fault> {
    let failed = |what: String| (Cause::ActionError, what);
    match &request.stdin {
        Input::Null => Ok(None),
        Input::Bytes(bytes) => contain::memory_file(bytes, &request.spool)
            .map(Some)
            .map_err(|error| failed(format!("its standard input could not be made: {error}"))),
        Input::File(path) => {
            let open = || {
                // Opening a pipe would wait for somebody to write into it.
                let kind = fs::metadata(path)?.file_type();
                if kind.is_dir() || kind.is_fifo() || kind.is_socket() {
                    return Err(io::Error::other("not a file"));
                }
                File::open(path)
            };
            open().map(Some).map_err(|error| failed(format!("its standard input `{}`: {error}", path.display())))
        }
    }
}

/// One try. The child gets files (or pipes), never anything that would need a thread, and nothing that would keep the
/// system's quick way of starting one (`posix_spawn`, which copies no memory) from being taken.
fn start(
    request: &Request,
    line: &Line,
    stdin: Option<&File>,
    spools: [Spool; 2],
    masked: bool,
) -> io::Result<Started> {
    let mut command = std::process::Command::new(&line.file);
    command.arg0(&line.program).args(&line.args).current_dir(&request.cwd).process_group(0);
    command.env_clear().envs(request.env.iter().map(|(name, value)| (name, value))).env(contain::MARK, &request.mark);
    command.stdin(match stdin {
        Some(file) => Stdio::from(file.try_clone()?),
        None => nothing()?,
    });
    let (mut pipes, mut outputs) = (Vec::new(), Vec::new());
    for (stream, (file, id)) in STREAMS.iter().zip(spools) {
        let (end, id) = if masked {
            let (reader, writer) = io::pipe()?;
            pipes.push((reader, file));
            (File::from(OwnedFd::from(writer)), None)
        } else {
            (file, id)
        };
        let id = match id {
            Some(id) => id,
            None => end.metadata().map(|meta| (meta.dev(), meta.ino()))?,
        };
        outputs.push(id);
        if *stream == "stdout" {
            command.stdout(end)
        } else {
            command.stderr(end)
        };
    }
    let (child, leader) = contain::start(|| {
        let child = command.spawn()?;
        let pid = child.id();
        Ok((child, pid))
    })?;
    Ok(Started { child, leader, pipes, outputs })
}

/// Standard input with nothing in it; opened once for all.
fn nothing() -> io::Result<Stdio> {
    static NULL: OnceLock<File> = OnceLock::new();
    if NULL.get().is_none() {
        // Whoever comes second has the same.
        let _ = NULL.set(File::open("/dev/null")?);
    }
    NULL.get().map_or_else(|| Ok(Stdio::null()), |file| file.try_clone().map(Stdio::from))
}

/// A fresh file for each stream; without them nothing is recorded any more.
#[expect(clippy::result_large_err, reason = "it is what every action answers")]
fn spools([out, err]: &[PathBuf; 2], lent: &Lent) -> Result<[Spool; 2], ActError> {
    let made = |path: &Path| match spool(path) {
        Ok(file) => Ok((file, None)),
        Err(error) => Err(format!("cannot make `{}`: {error}", path.display())),
    };
    let both = match &lent.slot {
        Some(slot) => {
            slot.streams().map(|streams| streams.map(|(file, id)| (file, Some(id)))).map_err(|e| e.to_string())
        }
        None => made(out).and_then(|out| Ok([out, made(err)?])),
    };
    both.map_err(|text| {
        let _ = lent.lost.set(text.clone());
        ActError::new(Cause::ActionError, text)
    })
}

/// A fresh spool file that only we may read, never one that lay there. Appending, so that a child that opens it again through
/// `/dev/stdout` leaves no holes.
fn spool(path: &Path) -> io::Result<File> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => OpenOptions::new().create_new(true).append(true).mode(0o600).open(path),
    }
}

/// `3 s`, `250 ms`, `2.5 s`, `2 min 30 s`: a duration for a sentence, to the millisecond.
pub(super) fn spoken(duration: Duration) -> String {
    let millis = (duration.as_micros() + 500) / 1000;
    let (minutes, rest) = (millis / 60_000, millis % 60_000);
    let seconds = match rest % 1000 {
        0 => format!("{} s", rest / 1000),
        part => format!("{} s", format!("{}.{part:03}", rest / 1000).trim_end_matches('0')),
    };
    match (minutes, rest) {
        (0, 1..1000) => format!("{rest} ms"),
        (0, _) => seconds,
        (_, 0) => format!("{minutes} min"),
        _ => format!("{minutes} min {seconds}"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Bench, block_on};
    use super::*;

    #[test]
    fn without_a_pidfd_a_thread_waits() {
        let bench = Bench::new();
        let request = bench.shell("");
        block_on(async {
            let command = Command::Shell("read line; exit 7".into());
            let mut process = Process::start(&request, &command, &bench.lent()).await.ok().unwrap();
            process.watcher = Watcher::thread(process.pid);
            process.exited().await;
            process.exited().await;
            // Not reaped: it can be asked for as often as one likes.
            assert_eq!(process.peek(), Some(Exit::Code(7)));
            assert_eq!(process.finish().await.exit, Exit::Code(7));
        });
    }

    #[test]
    fn durations_are_spoken() {
        for (millis, text) in
            [(0, "0 s"), (250, "250 ms"), (3000, "3 s"), (2500, "2.5 s"), (60_000, "1 min"), (150_000, "2 min 30 s")]
        {
            assert_eq!(spoken(Duration::from_millis(millis)), text);
        }
        assert_eq!(spoken(Duration::from_micros(2_999_800)), "3 s");
    }
}
