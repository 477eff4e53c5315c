//! Keeps hold of everything a child starts: the only place that knows what is special about Linux (subreaper, pidfd, `/proc`).
//! Knows pids, groups and marks; knows no request, no step and no plan.
//!
//! A process that leaves its group (`setsid`, double fork) loses its parent sooner or later and is then handed to us, because we are
//! its nearest *subreaper*. So whatever a step left behind is found by reading our own list of children, and nothing more.

use std::collections::BTreeSet;
use std::fs::File;
use std::future::Future;
use std::io::{self, Seek as _, Write as _};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal};
use tokio::time::Instant;

use crate::outcome::Note;

/// The variable by which a process is known to belong to an attempt.
pub const MARK: &str = "RUNPLAN_MARK";

/// How long killed processes may take to disappear before we say that they don't.
const UNKILLABLE: Duration = Duration::from_secs(5);

/// How well children are contained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Containment {
    /// Own process groups, and processes that leave them come back to us.
    GroupAndSubreaper,
    /// Own process groups only.
    Group,
}

impl Containment {
    /// The word in the journal.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::GroupAndSubreaper => "group+subreaper",
            Self::Group => "group",
        }
    }
}

const KILL: Order = Order { signal: Signal::KILL, escaped_only: false };

static SUBREAPER: AtomicBool = AtomicBool::new(false);

/// Children started by us and not reaped yet: only their owner may reap them.
static LEADERS: Mutex<BTreeSet<i32>> = Mutex::new(BTreeSet::new());

fn leaders() -> MutexGuard<'static, BTreeSet<i32>> {
    LEADERS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes this process the new parent of all orphans below it. Called once, before the first child.
pub fn enable() -> Containment {
    if linux::become_subreaper() {
        SUBREAPER.store(true, Ordering::Relaxed);
        Containment::GroupAndSubreaper
    } else {
        Containment::Group
    }
}

/// Stops (`true`) or continues (`false`) every group that runs, when the terminal does that to us.
pub fn suspend_all(stop: bool) {
    let signal = if stop { Signal::TSTP } else { Signal::CONT };
    for &pid in leaders().iter() {
        signal_group(pid, signal);
    }
}

/// A child of ours that nobody but its owner reaps.
pub(super) struct Leader {
    pid: i32,
}

/// Starts a child and registers it before any sweep can mistake it for a stray. `spawn` gives back the pid as well.
pub(super) fn start<T>(spawn: impl FnOnce() -> io::Result<(T, u32)>) -> io::Result<(T, Leader)> {
    let mut leaders = leaders();
    let (child, pid) = spawn()?;
    let pid = i32::try_from(pid).map_err(io::Error::other)?;
    leaders.insert(pid);
    Ok((child, Leader { pid }))
}

impl Leader {
    /// Its process id, which is its group's as well.
    pub(super) fn pid(&self) -> i32 {
        self.pid
    }

    /// Sends a signal to the whole group. Only right while the leader isn't reaped: afterwards the number may be somebody else's.
    pub(super) fn signal(&self, signal: Signal) {
        signal_group(self.pid, signal);
    }

    /// Reaps it; its number is free again before any other child can be started. If it can't be reaped, its number stays taken.
    pub(super) fn reap<T>(self, wait: impl FnOnce() -> Option<T>) -> Option<T> {
        let mut leaders = leaders();
        let reaped = wait();
        if reaped.is_some() {
            leaders.remove(&self.pid);
        }
        drop(leaders);
        std::mem::forget(self);
        reaped
    }
}

impl Drop for Leader {
    fn drop(&mut self) {
        leaders().remove(&self.pid);
    }
}

fn signal_group(pid: i32, signal: Signal) {
    if let Some(pid) = Pid::from_raw(pid) {
        // Fails only if the group is gone, which is what signals are for.
        let _ = rustix::process::kill_process_group(pid, signal);
    }
}

/// Whose processes are looked for.
pub(super) enum Prey<'a> {
    /// What belongs to one attempt, whose leader is a zombie by now (or reaped: `None`).
    Attempt { leader: Option<i32>, mark: &'a str },
    /// Everything whose mark starts like this.
    Marked(&'a str),
}

impl Prey<'_> {
    fn leader(&self) -> Option<i32> {
        match self {
            Self::Attempt { leader, .. } => *leader,
            Self::Marked(_) => None,
        }
    }

    fn has_mark(&self, mark: &str) -> bool {
        match self {
            Self::Attempt { mark: own, .. } => *own == mark,
            Self::Marked(prefix) => mark.starts_with(prefix),
        }
    }
}

/// A process that outlived its leader.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Survivor {
    pid: i32,
    /// Command name.
    name: String,
}

/// How much time survivors get.
#[derive(Clone, Copy)]
pub(super) struct Patience {
    /// To end by themselves.
    pub(super) natural: Duration,
    /// Between TERM and KILL.
    pub(super) term: Duration,
    /// The group was told to end already: it isn't told again, and what is left of it is nothing worth saying.
    pub(super) told: bool,
}

/// A signal of one round, and whom it reaches.
#[derive(Clone, Copy)]
struct Order {
    signal: Signal,
    /// Only those that left their group.
    escaped_only: bool,
}

/// Ends everything that `prey` describes, in rounds until nothing is left, and says what it had to end. `outputs` are `(device, inode)`
/// of the attempt's output: a survivor that still holds one is a leaked handle. Once `hurry` completes, no more time is given.
pub(super) async fn clear(
    prey: &Prey<'_>,
    outputs: &[(u64, u64)],
    patience: Patience,
    hurry: impl Future<Output = ()>,
) -> Vec<Note> {
    if matches!(prey, Prey::Attempt { .. }) && linux::only_leaders(&leaders()) {
        return Vec::new();
    }
    let mut survivors = round(prey, None);
    if survivors.is_empty() {
        return Vec::new();
    }
    tokio::pin!(hurry);
    let mut hurried = false;
    let mut wait = async |order: Option<Order>, time: Duration| {
        let until = Instant::now() + time;
        let mut pause = Duration::from_millis(1);
        loop {
            let left = round(prey, order);
            if left.is_empty() || Instant::now() >= until || (hurried && order.is_none()) {
                return left;
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = &mut hurry, if !hurried => hurried = true,
            }
            pause = (pause * 2).min(Duration::from_millis(16));
        }
    };
    if !patience.natural.is_zero() {
        survivors = wait(None, patience.natural).await;
        if survivors.is_empty() {
            return Vec::new();
        }
    }
    let mut notes = if patience.told { Vec::new() } else { describe(&survivors, outputs) };
    if !patience.term.is_zero() {
        for signal in [Signal::TERM, Signal::CONT] {
            round(prey, Some(Order { signal, escaped_only: patience.told }));
        }
        survivors = wait(None, patience.term).await;
    }
    if !survivors.is_empty() {
        let left = wait(Some(KILL), UNKILLABLE).await;
        if !left.is_empty() {
            notes.push(Note { code: "not_ended".into(), text: format!("could not end {}", names(&left)) });
        }
    }
    notes
}

/// Kills what `prey` describes without awaiting anything; for destructors.
pub(super) fn clear_now(prey: &Prey<'_>) {
    for _ in 0..200 {
        if round(prey, Some(KILL)).is_empty() {
            return;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Ends whatever still carries a mark that starts with `prefix` (a run's marks have one in common), and strays without a mark. For the
/// end of a run.
pub async fn sweep_all(prefix: &str) -> Vec<Note> {
    let patience = Patience { natural: Duration::ZERO, term: Duration::from_millis(250), told: false };
    clear(&Prey::Marked(prefix), &[], patience, std::future::pending()).await
}

fn describe(survivors: &[Survivor], outputs: &[(u64, u64)]) -> Vec<Note> {
    let (holders, others): (Vec<Survivor>, Vec<Survivor>) =
        survivors.iter().cloned().partition(|survivor| linux::holds(survivor.pid, outputs));
    let mut notes = Vec::new();
    if !holders.is_empty() {
        let text = format!("{} still held the output when the step had ended, and was ended", names(&holders));
        notes.push(Note { code: "leaked_handles".into(), text });
    }
    if !others.is_empty() {
        let text = format!("{} was left running, and was ended", names(&others));
        notes.push(Note { code: "left_running".into(), text });
    }
    notes
}

fn names(survivors: &[Survivor]) -> String {
    let mut names: Vec<String> = survivors.iter().map(|survivor| format!("`{}`", survivor.name)).collect();
    names.sort();
    names.join(", ")
}

/// One pass: reaps dead strays, sends `signal` to the living ones that `prey` describes and returns those.
fn round(prey: &Prey<'_>, order: Option<Order>) -> Vec<Survivor> {
    // Held throughout, so that no child is started and no leader reaped between a look and what follows from it.
    let leaders = leaders();
    if let (Some(leader), Some(Order { signal, escaped_only: false })) = (prey.leader(), order) {
        signal_group(leader, signal);
    }
    linux::round(prey, order, &leaders)
}

/// A file without a name holding `bytes`, read from its start: never on disk where the system can do that.
///
/// # Errors
/// When it can't be made or written.
pub(super) fn memory_file(bytes: &[u8], spool: &Path) -> io::Result<File> {
    let mut file = linux::memory_file().or_else(|_| tempfile::tempfile_in(spool))?;
    file.write_all(bytes)?;
    file.rewind()?;
    Ok(file)
}

/// A descriptor that becomes readable when the child ends, where the system has such a thing.
pub(super) fn exit_fd(pid: Pid) -> Option<OwnedFd> {
    linux::exit_fd(pid)
}

#[cfg(target_os = "linux")]
mod linux {
    use std::collections::BTreeSet;
    use std::fs::{self, File};
    use std::io;
    use std::os::fd::OwnedFd;
    use std::os::unix::fs::{FileExt as _, MetadataExt as _};
    use std::sync::OnceLock;
    use std::sync::atomic::Ordering;
    use std::time::Duration;

    use rustix::fs::MemfdFlags;
    use rustix::process::{Pid, PidfdFlags, WaitOptions};

    use super::{MARK, Order, Prey, SUBREAPER, Survivor};

    pub(super) fn become_subreaper() -> bool {
        rustix::process::set_child_subreaper(Some(rustix::process::getpid())).is_ok()
    }

    pub(super) fn exit_fd(pid: Pid) -> Option<OwnedFd> {
        rustix::process::pidfd_open(pid, PidfdFlags::empty()).ok()
    }

    pub(super) fn memory_file() -> io::Result<File> {
        Ok(rustix::fs::memfd_create("runplan-stdin", MemfdFlags::CLOEXEC)?.into())
    }

    /// Whether the process has one of these files open.
    pub(super) fn holds(pid: i32, files: &[(u64, u64)]) -> bool {
        let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
        entries
            .flatten()
            .filter_map(|entry| fs::metadata(entry.path()).ok())
            .any(|meta| files.contains(&(meta.dev(), meta.ino())))
    }

    pub(super) fn round(prey: &Prey<'_>, order: Option<Order>, leaders: &BTreeSet<i32>) -> Vec<Survivor> {
        // Who ends after the list was read hands its own children to us: they are in the next list.
        for _ in 0..100 {
            let (survivors, ended) = pass(prey, order, leaders);
            if !survivors.is_empty() || !ended {
                return survivors;
            }
        }
        Vec::new()
    }

    /// Those of one list, and whether some of it had ended by the time it was looked at.
    fn pass(prey: &Prey<'_>, order: Option<Order>, leaders: &BTreeSet<i32>) -> (Vec<Survivor>, bool) {
        let own = rustix::process::getpid().as_raw_nonzero().get();
        let own_group = rustix::process::getpgrp().as_raw_nonzero().get();
        let (mut survivors, mut ended) = (Vec::new(), false);
        for pid in candidates() {
            if pid == own || leaders.contains(&pid) {
                continue;
            }
            // Opened before the look, so that the signal can only reach the process that was looked at.
            let Some(id) = Pid::from_raw(pid) else { continue };
            let handle = exit_fd(id);
            let Some(stat) = Stat::read(pid) else {
                ended = true;
                continue;
            };
            let adopted = stat.parent == own && stat.group != own_group;
            if stat.dead {
                if adopted {
                    ended = true;
                    let _ = rustix::process::waitpid(Some(id), WaitOptions::NOHANG);
                }
                continue;
            }
            if !belongs(prey, pid, &stat, adopted, leaders) {
                continue;
            }
            if let Some(Order { signal, escaped_only }) = order
                && !(escaped_only && prey.leader() == Some(stat.group))
            {
                let _ = match &handle {
                    Some(handle) => rustix::process::pidfd_send_signal(handle, signal),
                    None => rustix::process::kill_process(id, signal),
                };
            }
            survivors.push(Survivor { pid, name: stat.name });
        }
        (survivors, ended)
    }

    fn belongs(prey: &Prey<'_>, pid: i32, stat: &Stat, adopted: bool, leaders: &BTreeSet<i32>) -> bool {
        if prey.leader() == Some(stat.group) {
            return true;
        }
        match mark(pid, adopted) {
            Some(mark) => prey.has_mark(&mark),
            // It wiped its environment. Nobody else's if nobody else runs; otherwise it has to wait.
            None => adopted && leaders.iter().all(|&leader| prey.leader() == Some(leader)),
        }
    }

    /// Where survivors can be: among our children, or anywhere if orphans don't come to us.
    fn candidates() -> Vec<i32> {
        if SUBREAPER.load(Ordering::Relaxed) { children().unwrap_or_else(everybody) } else { everybody() }
    }

    /// Whether nobody is a child of ours but leaders: nearly always, when a step ends. Orphans become children of the first
    /// thread while it lives, and children of other threads are leaders; `false` where that can't be told.
    pub(super) fn only_leaders(leaders: &BTreeSet<i32>) -> bool {
        // Kept open: the file says at each reading how it is now.
        static CHILDREN: OnceLock<Option<File>> = OnceLock::new();
        let open = || {
            let own = rustix::process::getpid().as_raw_nonzero();
            File::open(format!("/proc/self/task/{own}/children")).ok()
        };
        let file = CHILDREN.get_or_init(open);
        let Some(file) = file.as_ref().filter(|_| SUBREAPER.load(Ordering::Relaxed)) else { return false };
        // The kernel passes over a child when the one before it is reaped while the list is read. The reaped one is then in
        // this reading and not in the next, so two that agree lack nobody.
        let (mut first, mut second) = ([0; 1024], [0; 1024]);
        let (Ok(n), Ok(m)) = (file.read_at(&mut first, 0), file.read_at(&mut second, 0)) else { return false };
        // A full buffer may lack some.
        if n == first.len() || first[..n] != second[..m] {
            return false;
        }
        let number = |digits: &[u8]| digits.iter().fold(0, |pid: i32, digit| pid * 10 + i32::from(digit - b'0'));
        let mut pids = first[..n].split(|byte| *byte == b' ').filter(|pid| !pid.is_empty());
        pids.all(|pid| pid.len() < 10 && pid.iter().all(u8::is_ascii_digit) && leaders.contains(&number(pid)))
    }

    /// Our children; `None` on kernels without that list.
    fn children() -> Option<Vec<i32>> {
        // Each thread has a list of its own. When one ends, its children move to another's, which may have been read by then.
        // And the kernel passes over a child when the one before it is reaped meanwhile: two readings that agree lack nobody.
        let mut last = None;
        for _ in 0..100 {
            let before = threads()?;
            let mut pids = Vec::new();
            let mut read = 0;
            for thread in &before {
                if let Ok(text) = fs::read_to_string(format!("/proc/self/task/{thread}/children")) {
                    read += 1;
                    pids.extend(text.split_ascii_whitespace().filter_map(|pid| pid.parse::<i32>().ok()));
                }
            }
            if before.is_subset(&threads()?) {
                if read < before.len() {
                    return None;
                }
                if last.as_ref() == Some(&pids) {
                    return Some(pids);
                }
                last = Some(pids);
            }
        }
        None
    }

    fn threads() -> Option<BTreeSet<i32>> {
        let entries = fs::read_dir("/proc/self/task").ok()?;
        Some(entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect())
    }

    fn everybody() -> Vec<i32> {
        let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
        entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
    }

    /// The mark in a process's environment. Looks twice at a child of ours that seems to have none.
    pub(super) fn mark(pid: i32, ours: bool) -> Option<String> {
        let path = format!("/proc/{pid}/environ");
        let mut environ = fs::read(&path).ok()?;
        for _ in 0..4 {
            if !environ.is_empty() || !ours {
                break;
            }
            // Either it has none, or it is just becoming another program and will have one at once.
            std::thread::sleep(Duration::from_micros(250));
            environ = fs::read(&path).ok()?;
        }
        environ
            .split(|&byte| byte == 0)
            .find_map(|entry| entry.strip_prefix(MARK.as_bytes())?.strip_prefix(b"="))
            .map(|mark| String::from_utf8_lossy(mark).into_owned())
    }

    /// What `/proc/PID/stat` says.
    #[derive(Debug, PartialEq, Eq)]
    pub(super) struct Stat {
        pub(super) name: String,
        pub(super) dead: bool,
        pub(super) parent: i32,
        pub(super) group: i32,
    }

    impl Stat {
        fn read(pid: i32) -> Option<Self> {
            Self::parse(&String::from_utf8_lossy(&fs::read(format!("/proc/{pid}/stat")).ok()?))
        }

        /// `pid (name) state parent group …`, where the name may contain anything, `)` too.
        pub(super) fn parse(text: &str) -> Option<Self> {
            let (head, tail) = text.rsplit_once(')')?;
            let (_, name) = head.split_once('(')?;
            let mut fields = tail.split_ascii_whitespace();
            let dead = matches!(fields.next()?, "Z" | "X");
            let (parent, group) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
            Some(Self { name: name.to_owned(), dead, parent, group })
        }
    }

    /// Pids of living processes with this mark.
    pub(super) fn marked(prefix: &str) -> Vec<i32> {
        everybody().into_iter().filter(|&pid| mark(pid, false).is_some_and(|mark| mark.starts_with(prefix))).collect()
    }
}

/// Plain Unix: a group can be killed, but nobody can say what was in it.
#[cfg(not(target_os = "linux"))]
mod linux {
    use std::collections::BTreeSet;
    use std::fs::File;
    use std::io;
    use std::os::fd::OwnedFd;

    /// Nobody can tell.
    pub(super) fn marked(_: &str) -> Vec<i32> {
        Vec::new()
    }

    use rustix::process::{Pid, Signal};

    use super::{Order, Prey, Survivor, signal_group};

    pub(super) fn become_subreaper() -> bool {
        false
    }

    pub(super) fn exit_fd(_pid: Pid) -> Option<OwnedFd> {
        None
    }

    pub(super) fn memory_file() -> io::Result<File> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(super) fn holds(_pid: i32, _files: &[(u64, u64)]) -> bool {
        false
    }

    pub(super) fn only_leaders(_: &BTreeSet<i32>) -> bool {
        false
    }

    pub(super) fn round(prey: &Prey<'_>, _order: Option<Order>, _leaders: &BTreeSet<i32>) -> Vec<Survivor> {
        if let Some(leader) = prey.leader() {
            signal_group(leader, Signal::KILL);
        }
        Vec::new()
    }
}

/// Ends what an engine that died has left running: everything whose mark starts with `prefix`, whoever its parent is by
/// now. Returns how many processes there were. Elsewhere than on Linux nobody can tell.
#[must_use]
pub fn end_left(prefix: &str) -> usize {
    let mine = i32::try_from(std::process::id()).unwrap_or_default();
    let left = || -> Vec<i32> { linux::marked(prefix).into_iter().filter(|pid| *pid != mine).collect() };
    let found = left().len();
    for signal in [Signal::TERM, Signal::KILL] {
        for _ in 0..50 {
            let pids = left();
            if pids.is_empty() {
                return found;
            }
            for pid in pids.into_iter().filter_map(Pid::from_raw) {
                // It may be gone by now.
                let _ = rustix::process::kill_process(pid, signal);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
    found
}

/// Pids of living processes whose mark starts with `prefix`, for assertions.
#[cfg(test)]
pub(super) fn marked(prefix: &str) -> Vec<i32> {
    linux::marked(prefix)
}

#[cfg(test)]
mod tests {
    use super::linux::Stat;
    use super::*;

    #[test]
    fn stat_lines_with_hostile_names() {
        let stat = Stat::parse("42 (a) S (b)) Z 7 9 9 0 -1").unwrap();
        assert_eq!(stat, Stat { name: "a) S (b)".into(), dead: true, parent: 7, group: 9 });
        assert_eq!(Stat::parse("42 (x"), None);
        assert_eq!(Stat::parse(""), None);
    }

    #[test]
    fn a_memory_file_is_read_from_its_start() {
        let dir = tempfile::tempdir().unwrap();
        let file = memory_file(b"abc", dir.path()).unwrap();
        assert_eq!(io::read_to_string(file).unwrap(), "abc");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn names_are_sorted_and_quoted() {
        let survivor = |name: &str| Survivor { pid: 1, name: name.into() };
        assert_eq!(names(&[survivor("z"), survivor("a")]), "`a`, `z`");
    }
}
