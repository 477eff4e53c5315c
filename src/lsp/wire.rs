//! Messages in and out, in their order: whatever has come in is taken before anything is computed, cancelled requests are
//! not begun, a request that fails or panics is answered all the same.

use std::collections::VecDeque;
use std::io::{BufRead, ErrorKind, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::Duration;

use lsp_server::{ErrorCode, Message, Notification, Request, RequestId, Response};
use serde_json::{Value as Json, json};

use super::World;
use super::session::{Refused, Session};

/// Pause in which more typing, or a request about it, may come before a plan is checked again.
const QUIET: Duration = Duration::from_millis(2);

/// How a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// As it should: `shutdown`, then `exit`.
    Well,
    /// `exit`, or the end of the input, without `shutdown` before.
    Abruptly,
}

/// A message, or `None` for one that could not be read.
type Incoming = Option<Message>;

/// Answers until the client says `exit` or its messages end. `output` gets nothing but messages.
pub fn serve(input: impl BufRead + Send + 'static, output: &mut dyn Write, world: &World<'_>) -> Ended {
    let (sender, receiver) = mpsc::channel();
    // It ends with its input; nobody waits for it, as it may be waiting for the client.
    let reader = std::thread::Builder::new().name("lsp-reader".to_owned());
    let reader = reader.spawn(move || read(input, &sender));
    if reader.is_err() {
        return Ended::Abruptly;
    }
    let mut session = Session::new(world);
    let mut queue = VecDeque::new();
    loop {
        queue.extend(receiver.try_iter());
        let Some(message) = queue.pop_front() else {
            match next(&receiver, &mut session) {
                Ok(message) => queue.extend(message),
                Err(()) => return ended(&session),
            }
            if send(&mut session, output).is_err() {
                return ended(&session);
            }
            continue;
        };
        let exits = matches!(&message, Some(Message::Notification(note)) if note.method == "exit");
        if exits {
            return ended(&session);
        }
        handle(&mut session, message, &queue);
        if send(&mut session, output).is_err() {
            return ended(&session);
        }
    }
}

fn ended(session: &Session<'_>) -> Ended {
    if session.was_shut_down() { Ended::Well } else { Ended::Abruptly }
}

/// Reads until the input ends. A body that is no message is passed on as such; the next one is behind it.
fn read(mut input: impl BufRead, sender: &mpsc::Sender<Incoming>) {
    loop {
        let message = match Message::read(&mut input) {
            Ok(Some(message)) => Some(message),
            Ok(None) => return,
            Err(error) if error.kind() == ErrorKind::InvalidData => None,
            Err(_) => return,
        };
        if sender.send(message).is_err() {
            return;
        }
    }
}

/// The next message; while none comes, stale plans are checked.
fn next(receiver: &Receiver<Incoming>, session: &mut Session<'_>) -> Result<Option<Incoming>, ()> {
    if !session.is_stale() {
        return receiver.recv().map(Some).map_err(drop);
    }
    match receiver.recv_timeout(QUIET) {
        Ok(message) => Ok(Some(message)),
        Err(RecvTimeoutError::Disconnected) => Err(()),
        Err(RecvTimeoutError::Timeout) => {
            if catch_unwind(AssertUnwindSafe(|| session.refresh())).is_err() {
                session.give_up();
            }
            Ok(None)
        }
    }
}

fn send(session: &mut Session<'_>, output: &mut dyn Write) -> std::io::Result<()> {
    session.out.drain(..).try_for_each(|message| message.write(&mut &mut *output))
}

fn handle(session: &mut Session<'_>, message: Incoming, queue: &VecDeque<Incoming>) {
    match message {
        Some(Message::Request(request)) => {
            let response = if is_cancelled(&request.id, queue) {
                Response::new_err(request.id, ErrorCode::RequestCanceled as i32, "the request was cancelled".to_owned())
            } else {
                answer(session, request)
            };
            session.out.push(response.into());
        }
        Some(Message::Notification(note)) => {
            let told = catch_unwind(AssertUnwindSafe(|| session.note(&note.method, &note.params)));
            if told.is_err() {
                session.out.push(log(&format!("`{}` could not be taken over: this is a bug in runplan", note.method)));
            }
        }
        Some(Message::Response(_)) => {}
        // Its id can't be known: a message to the log says more than an answer without one.
        None => session.out.push(log("a message could not be read: it is no JSON-RPC")),
    }
}

/// Whether a later message says that nobody waits for it any more.
fn is_cancelled(id: &RequestId, queue: &VecDeque<Incoming>) -> bool {
    let wanted = serde_json::to_value(id).unwrap_or_default();
    queue.iter().flatten().any(|message| match message {
        Message::Notification(note) => note.method == "$/cancelRequest" && note.params.get("id") == Some(&wanted),
        _ => false,
    })
}

fn answer(session: &mut Session<'_>, request: Request) -> Response {
    let Request { id, method, params } = request;
    let result = catch_unwind(AssertUnwindSafe(|| session.request(&method, &params)));
    let result = result.unwrap_or_else(|_| {
        Err(Refused::new(ErrorCode::InternalError, format!("`{method}` failed: this is a bug in runplan")))
    });
    match result {
        Ok(json) => Response { id, response_result: Ok(json) },
        Err(refused) => Response::new_err(id, refused.code as i32, refused.message),
    }
}

fn log(text: &str) -> Message {
    let params = json!({ "type": 2, "message": text });
    Message::Notification(Notification { method: "window/logMessage".to_owned(), params })
}

/// A notification to the client.
pub(super) fn notification(method: &str, params: Json) -> Message {
    Message::Notification(Notification { method: method.to_owned(), params })
}
