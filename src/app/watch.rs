//! `runplan watch`: runs a plan whenever the content of something it reads changes. The kernel wakes it; digests decide,
//! so that what a run writes itself, or what was only touched, starts nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::inotify;
use tokio::net::unix::pipe::Receiver;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::cli::Run;
use crate::digest::sha256_hex;
use crate::exit::Exit;
use crate::files;
use crate::graph;
use crate::outcome::RunStatus;
use crate::plan::Plan;
use crate::record::store;
use crate::report::terminal::{Stream, Terminal};
use crate::report::{escape, format};

use super::{load, reads, run};

/// So long nothing more may change before a run starts: editors and checkouts write several files.
const QUIET: Duration = Duration::from_millis(120);
/// So often it is looked where the kernel can't wake.
const POLL: Duration = Duration::from_secs(1);
/// Runs in a row that were started by what changed during the one before; more are a circle.
const CIRCLE: usize = 3;
/// Folders that are watched at most, each for what lies directly in it.
const FOLDERS: usize = 50_000;

/// What is watched: of the last plan that could be read, so that one with a fault can be mended.
#[derive(Default)]
struct Watched {
    /// Patterns relative to the workspace, with the steps that read them.
    patterns: BTreeMap<String, BTreeSet<String>>,
    plan: Option<Arc<Plan>>,
    /// Who reads each path that was ever seen.
    readers: BTreeMap<String, BTreeSet<String>>,
    /// Plan files and files of variables, as they are opened.
    sources: BTreeSet<PathBuf>,
}

/// Contents by path, as they are shown.
type Seen = BTreeMap<String, String>;

/// What ended the waiting.
enum Woke {
    Changed(Vec<String>),
    Signal(i32),
}

pub(super) fn watch(command: &Run, terminal: &Terminal) -> Exit {
    match watching(command, terminal) {
        Ok(exit) => exit,
        Err(error) => {
            say(terminal, &format!("can't watch: {error}"));
            Exit::Usage
        }
    }
}

fn watching(command: &Run, terminal: &Terminal) -> io::Result<Exit> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut signals = runtime.block_on(async { Signals::listen() })?;
    let mut watched = Watched::default();
    let mut in_a_row = 0;
    loop {
        watched.take(command);
        let before = watched.seen();
        let exit = run::run(command, terminal);
        if let Exit::Run(RunStatus::Interrupted(_)) | Exit::Unrecorded | Exit::Bug = exit {
            return Ok(exit);
        }
        // The plan may have changed while it ran.
        watched.take(command);
        let now = watched.seen();
        let mut changed = differing(&before, &now);
        in_a_row = if changed.is_empty() { 0 } else { in_a_row + 1 };
        if in_a_row > CIRCLE {
            say(terminal, &format!("{} in every run: that starts none", listed(&changed, "changed")));
            changed.clear();
        }
        if changed.is_empty() {
            in_a_row = 0;
            say(terminal, &watched.waits());
            match runtime.block_on(watched.change(&now, &mut signals))? {
                Woke::Changed(paths) => changed = paths,
                Woke::Signal(number) => return Ok(Exit::Run(RunStatus::Interrupted(number))),
            }
        }
        say(terminal, &watched.reason(&changed));
    }
}

/// Signals that end the waiting; a run has its own way with them.
struct Signals {
    all: [(i32, Signal); 3],
}

impl Signals {
    fn listen() -> io::Result<Self> {
        let one = |kind: SignalKind| Ok::<_, io::Error>((kind.as_raw_value(), signal(kind)?));
        Ok(Self { all: [one(SignalKind::interrupt())?, one(SignalKind::terminate())?, one(SignalKind::hangup())?] })
    }

    async fn next(&mut self) -> i32 {
        let [(a, first), (b, second), (c, third)] = &mut self.all;
        tokio::select! {
            _ = first.recv() => *a,
            _ = second.recv() => *b,
            _ = third.recv() => *c,
        }
    }
}

impl Watched {
    /// Reads the plan anew. What is wrong with it the run says; then the patterns stay as they were.
    fn take(&mut self, command: &Run) {
        let (loaded, graph) = load::load(&command.plan);
        let plan = loaded.plan;
        let sources = plan.sources.files.iter().map(|file| file.path.as_str());
        let given = [command.plan.path.as_str()].into_iter().chain(command.plan.var_files.iter().map(String::as_str));
        let named: BTreeSet<PathBuf> = sources.chain(given).map(PathBuf::from).collect();
        let Some(graph) = graph else {
            self.sources.extend(named);
            return;
        };
        self.sources = named;
        let selected =
            graph::select(&plan, &graph, &command.selection).unwrap_or_else(|_| vec![true; plan.steps.len()]);
        self.patterns.clear();
        for id in plan.ids().filter(|id| selected[id.index()]) {
            let step = plan.step(id);
            for pattern in reads::looked_at(step) {
                self.patterns.entry(pattern.to_owned()).or_default().insert(step.name.clone());
            }
        }
        self.plan = Some(plan);
    }

    /// The contents now.
    fn seen(&mut self) -> Seen {
        let mut seen = Seen::new();
        for path in &self.sources {
            let digest = std::fs::read(path).map_or_else(|error| files::plain(&error), |bytes| sha256_hex(&bytes));
            let shown = path.display().to_string();
            self.readers.entry(shown.clone()).or_default().insert("the plan".to_owned());
            seen.insert(shown, digest);
        }
        let Some(plan) = &self.plan else { return seen };
        let made = reads::Made::of(plan);
        for (pattern, steps) in &self.patterns {
            for (path, digest) in reads::digests(plan, &[pattern], &made) {
                self.readers.entry(path.clone()).or_default().extend(steps.iter().cloned());
                seen.insert(path, digest);
            }
        }
        seen
    }

    /// `watching 14 files of 5 steps, and the plan; Ctrl-C ends`.
    fn waits(&self) -> String {
        let steps: BTreeSet<&String> = self.patterns.values().flatten().collect();
        let what = match steps.len() {
            0 => "the plan; no step says what it reads".to_owned(),
            n => format!("the plan and what {} read", format::count(n, "step")),
        };
        format!("watching {what} (Ctrl-C ends)")
    }

    /// `src/a.rs changed → lint, test`.
    fn reason(&self, changed: &[String]) -> String {
        let readers: BTreeSet<&str> =
            changed.iter().filter_map(|path| self.readers.get(path)).flatten().map(String::as_str).collect();
        let readers: Vec<&str> = readers.into_iter().collect();
        format!("{} → {}", listed(changed, "changed"), format::names(&readers, 8))
    }

    /// Waits until something is another than it was.
    async fn change(&mut self, before: &Seen, signals: &mut Signals) -> io::Result<Woke> {
        let bell = Bell::new().ok();
        loop {
            let heard = bell.as_ref().is_some_and(|bell| bell.watch(&self.folders()).is_ok());
            // What changed before the folders were watched would wake nobody.
            let changed = differing(before, &self.seen());
            if !changed.is_empty() {
                return Ok(Woke::Changed(changed));
            }
            let rings = async {
                match &bell {
                    Some(bell) if heard => bell.rings().await,
                    _ => {
                        tokio::time::sleep(POLL).await;
                        Ok(())
                    }
                }
            };
            tokio::select! {
                number = signals.next() => return Ok(Woke::Signal(number)),
                rang = rings => rang?,
            }
            if let Some(bell) = &bell {
                // Several files are often written at once; a file that is written all the time must not hold it up.
                for _ in 0..16 {
                    match tokio::time::timeout(QUIET, bell.rings()).await {
                        Ok(rang) => rang?,
                        Err(_) => break,
                    }
                }
            }
        }
    }

    /// Every folder in which something that is read can appear, change or go.
    fn folders(&self) -> BTreeSet<PathBuf> {
        let mut folders = BTreeSet::new();
        for path in &self.sources {
            let real = path.canonicalize().ok();
            for path in [Some(path.clone()), real].into_iter().flatten() {
                folders.insert(existing(path.parent().unwrap_or(Path::new("."))));
            }
        }
        let Some(plan) = &self.plan else { return folders };
        for pattern in self.patterns.keys() {
            let fixed: PathBuf = Path::new(pattern).iter().take_while(|part| !is_glob(part)).collect();
            let base = plan.workspace.as_std_path().join(fixed);
            if !base.is_dir() {
                folders.insert(existing(base.parent().unwrap_or(&base)));
                continue;
            }
            folders.extend(base.parent().map(existing));
            let below = walkdir::WalkDir::new(&base).follow_links(true).into_iter();
            let own =
                |entry: &walkdir::DirEntry| ![store::FOLDER, ".git"].iter().any(|name| entry.file_name() == *name);
            let below = below.filter_entry(own).flatten().filter(|entry| entry.file_type().is_dir());
            folders.extend(below.map(walkdir::DirEntry::into_path).take(FOLDERS));
        }
        folders
    }
}

fn is_glob(part: &OsStr) -> bool {
    part.to_str().is_none_or(files::is_glob)
}

/// The folder, or the nearest one around it that is there.
fn existing(folder: &Path) -> PathBuf {
    let found = folder.ancestors().find(|folder| folder.is_dir()).unwrap_or(Path::new("."));
    if found.as_os_str().is_empty() { PathBuf::from(".") } else { found.to_owned() }
}

/// Paths whose content is not the same.
fn differing(before: &Seen, now: &Seen) -> Vec<String> {
    let all: BTreeSet<&String> = before.keys().chain(now.keys()).collect();
    all.into_iter().filter(|path| before.get(*path) != now.get(*path)).cloned().collect()
}

/// `a, b and 3 more changed`.
fn listed(paths: &[String], verb: &str) -> String {
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    format!("{} {verb}", format::names(&paths, 4))
}

/// The kernel's word that something happened in a folder.
struct Bell {
    /// To the kernel it reads like a pipe.
    words: Receiver,
}

impl Bell {
    fn new() -> io::Result<Self> {
        let fd = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK)?;
        Ok(Self { words: Receiver::from_owned_fd_unchecked(fd)? })
    }

    /// Folders that are watched already stay so.
    fn watch(&self, folders: &BTreeSet<PathBuf>) -> io::Result<()> {
        use inotify::WatchFlags as On;
        let what = On::CREATE | On::DELETE | On::MOVE | On::MODIFY | On::CLOSE_WRITE | On::DELETE_SELF | On::MOVE_SELF;
        for folder in folders {
            match inotify::add_watch(&self.words, folder, what | On::ONLYDIR) {
                Ok(_) | Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Waits for the next word; everything that was said until then counts as one.
    async fn rings(&self) -> io::Result<()> {
        self.words.readable().await?;
        let mut bytes = [0_u8; 8192];
        loop {
            match self.words.try_read(&mut bytes) {
                Ok(0) => return Ok(()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

fn say(terminal: &Terminal, text: &str) {
    terminal.write(Stream::Err, &format!("runplan: {}\n", escape::line(text)));
}
