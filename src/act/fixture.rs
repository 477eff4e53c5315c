//! For tests of actions: a plain request and what an engine would lend. Knows no action.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::{Input, Lent, Request, Stop};
use crate::action::Action;

/// A first attempt in `workspace` without a deadline that wants nothing.
pub(crate) fn request(action: Action, workspace: &Path) -> Request {
    Request {
        step: "step".into(),
        action,
        workspace: workspace.to_owned(),
        cwd: workspace.to_owned(),
        env: Vec::new(),
        stdin: Input::Null,
        spool: workspace.to_owned(),
        named: std::path::PathBuf::new(),
        attempt: 1,
        deadline: None,
        timeout: None,
        grace: Duration::ZERO,
        wants: BTreeSet::new(),
        values: BTreeMap::new(),
        mark: String::new(),
    }
}

/// Nothing special lent; templates come back in upper case; the clock stands at 1,000,000 s.
pub(crate) fn lent() -> (Lent, watch::Sender<Stop>) {
    let (sender, stop) = watch::channel(Stop::Run);
    let render = |text: &str| match text.contains("{{ bad") {
        true => Err("line 1, column 4: `bad` is not defined".to_owned()),
        false => Ok(text.to_uppercase()),
    };
    let lent = Lent {
        stop,
        spawned: Arc::new(|_| {}),
        mask: None,
        lost: Arc::default(),
        slot: None,
        render: Arc::new(render),
        now: Arc::new(|| 1_000_000_000),
    };
    (lent, sender)
}
