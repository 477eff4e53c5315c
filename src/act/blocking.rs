//! Work that blocks (files, parsing), away from the engine's thread and ended when the step is. Knows no action.

use std::future::Future;

use tokio::time::{Instant, sleep_until};

use super::{ActError, Lent, Request, Stop};
use crate::files::Quit;
use crate::outcome::Cause;

/// Completes when the step must end: told to stop, or past its deadline.
pub(super) fn ended(lent: &Lent, deadline: Option<Instant>) -> impl Future<Output = ActError> + use<> {
    let mut stop = lent.stop.clone();
    async move {
        let stopped = async {
            if stop.wait_for(|stop| *stop >= Stop::Term).await.is_err() {
                // Nobody is left who could ask.
                std::future::pending::<()>().await;
            }
        };
        let late = async {
            match deadline {
                Some(deadline) => sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = stopped => ActError::new(Cause::Interrupted, "stopped before it had seen everything"),
            () = late => ActError::new(Cause::Timeout, "still looking when the step's time was over"),
        }
    }
}

/// Runs `work` on a thread for blocking work. Its error is a sentence and becomes [`Cause::ActionError`].
pub(super) async fn blocking<T, F>(request: &Request, lent: &Lent, work: F) -> Result<T, ActError>
where
    T: Send + 'static,
    F: FnOnce(&Quit) -> Result<T, String> + Send + 'static,
{
    let quit = Quit::default();
    let theirs = quit.clone();
    let task = tokio::task::spawn_blocking(move || work(&theirs));
    tokio::select! {
        biased;
        error = ended(lent, request.deadline) => {
            quit.ask();
            Err(error)
        }
        done = task => match done {
            Ok(result) => result.map_err(|detail| ActError::new(Cause::ActionError, detail)),
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => Err(ActError::new(Cause::Interrupted, "the engine is shutting down")),
        },
    }
}

/// What an action says when it is handed another one's request: a mistake of the caller, never of a plan.
pub(super) fn misrouted(request: &Request, expected: &str) -> ActError {
    let got = request.action.kind().word();
    ActError::new(Cause::ActionError, format!("a `{got}` request reached the `{expected}` action"))
}
