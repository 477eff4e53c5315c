//! A service after it became ready: waits for its death or its stop, whichever comes first.

use std::path::PathBuf;

use tokio::sync::watch;

use crate::act::{Held, Stop};
use crate::ids::StepId;
use crate::outcome::{Exit, FileDigest, Note};
use crate::schedule;

use super::{Over, made};

/// How a service ended.
pub(super) enum How {
    /// By itself.
    Died(Exit),
    /// We ended it.
    Stopped(Exit),
    /// It was ready, but its attempt failed all the same.
    Refused(schedule::Ended),
}

/// A service that is over.
pub(super) struct Ended {
    pub(super) step: StepId,
    pub(super) how: How,
    pub(super) notes: Vec<Note>,
    /// What it wrote.
    pub(super) spools: Vec<FileDigest>,
}

/// Folder and number of the attempt that came up.
pub(super) type Kept = (PathBuf, u32);

pub(super) async fn serve(
    step: StepId,
    mut held: Box<dyn Held>,
    stop: Option<watch::Receiver<Stop>>,
    kept: Kept,
) -> Over {
    let asked = async {
        match stop.clone() {
            Some(mut stop) => drop(stop.wait_for(|stop| *stop != Stop::Run).await),
            None => std::future::pending().await,
        }
    };
    let died = tokio::select! {
        exit = held.died() => Some(exit),
        () = asked => None,
    };
    let now = stop.is_some_and(|stop| *stop.borrow() == Stop::Kill);
    let (exit, notes) = held.stop(now || died.is_some()).await;
    let how = died.map_or(How::Stopped(exit), How::Died);
    let spools = made::spools(&kept.0, kept.1).await;
    Over::Service(Ended { step, how, notes, spools })
}

pub(super) async fn refuse(step: StepId, held: Box<dyn Held>, ended: schedule::Ended, kept: Kept) -> Over {
    let (_, notes) = held.stop(false).await;
    let spools = made::spools(&kept.0, kept.1).await;
    Over::Service(Ended { step, how: How::Refused(ended), notes, spools })
}
