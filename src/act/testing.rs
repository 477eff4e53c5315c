//! A workbench for tests of actions with real processes. Whatever its processes leave behind fails the test.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use tokio::sync::watch;

use super::{Input, Lent, Request, Stop, contain};
use crate::action::{Action, Command, RunSpec, Text};
use crate::mask::Mask;

/// Most tests may run beside each other; a few have to be alone in the process.
static GATE: RwLock<()> = RwLock::new(());

enum Pass {
    Shared { _pass: RwLockReadGuard<'static, ()> },
    Alone { _pass: RwLockWriteGuard<'static, ()> },
}

pub(super) struct Bench {
    pub(super) dir: tempfile::TempDir,
    pub(super) stop: watch::Sender<Stop>,
    pub(super) spawned: Arc<Mutex<Vec<u32>>>,
    pub(super) mask: Option<Arc<Mask>>,
    mark: String,
    _pass: Pass,
}

impl Bench {
    pub(super) fn new() -> Self {
        Self::with(Pass::Shared { _pass: GATE.read().unwrap_or_else(PoisonError::into_inner) })
    }

    /// While no other bench exists.
    pub(super) fn alone() -> Self {
        Self::with(Pass::Alone { _pass: GATE.write().unwrap_or_else(PoisonError::into_inner) })
    }

    fn with(pass: Pass) -> Self {
        contain::enable();
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("spool")).unwrap();
        let mark = dir.path().file_name().unwrap().to_str().unwrap().to_owned();
        Self { dir, stop: watch::channel(Stop::Run).0, spawned: Arc::default(), mask: None, mark, _pass: pass }
    }

    pub(super) fn request(&self, action: Action) -> Request {
        Request {
            step: "step".into(),
            action,
            workspace: self.dir.path().into(),
            cwd: self.dir.path().into(),
            env: vec![("PATH".into(), std::env::var_os("PATH").unwrap())],
            stdin: Input::Null,
            spool: self.dir.path().join("spool"),
            named: PathBuf::new(),
            attempt: 1,
            deadline: None,
            timeout: None,
            grace: Duration::from_secs(60),
            wants: BTreeSet::new(),
            values: BTreeMap::new(),
            mark: self.mark.clone(),
        }
    }

    pub(super) fn shell(&self, text: &str) -> Request {
        self.request(Action::Run(RunSpec { command: Command::Shell(text.into()), parse: None }))
    }

    pub(super) fn argv(&self, argv: &[&str]) -> Request {
        let argv = argv.iter().copied().map(Text::fixed).collect();
        self.request(Action::Run(RunSpec { command: Command::Argv(argv), parse: None }))
    }

    pub(super) fn lent(&self) -> Lent {
        let spawned = Arc::clone(&self.spawned);
        Lent {
            stop: self.stop.subscribe(),
            spawned: Arc::new(move |pid| spawned.lock().unwrap().push(pid)),
            mask: self.mask.clone(),
            lost: Arc::default(),
            slot: None,
            render: Arc::new(|text| Ok(text.to_owned())),
            now: Arc::new(|| 0),
        }
    }

    pub(super) fn spool(&self, name: &str) -> PathBuf {
        self.dir.path().join("spool").join(name)
    }

    pub(super) fn read(&self, name: &str) -> String {
        String::from_utf8_lossy(&std::fs::read(self.spool(name)).unwrap_or_default()).into_owned()
    }

    /// Completes once a spool file contains this text.
    pub(super) async fn says(&self, name: &str, text: &str) {
        until(|| self.read(name).contains(text)).await;
    }

    /// Living processes of this bench.
    pub(super) fn alive(&self) -> Vec<i32> {
        contain::marked(&self.mark)
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert_eq!(self.alive(), Vec::<i32>::new(), "processes were left");
        }
    }
}

/// Completes once the condition holds; fails the test if it never does.
pub(super) async fn until(condition: impl Fn() -> bool) {
    for _ in 0..5000 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    panic!("waited ten seconds in vain");
}

/// As the engine does it: one thread.
pub(super) fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}
