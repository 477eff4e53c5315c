//! `run`: a process from start to end, and what it said. Knows no criteria: whether an exit code is good is not decided here.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Signal;
use tokio::time::Instant;

use super::process::{Ended, Fault, Process, spoken};
use super::{Act, ActError, Lent, Look, Observation, Request, Stop};
use crate::action::{Action, Parse, RunSpec};
use crate::facts::{Facts, Value};
use crate::outcome::{Cause, Exit};

/// The most output that is taken as a fact.
const JUDGED: u64 = 16 * 1024 * 1024;

/// Runs a process.
#[derive(Clone, Copy, Debug, Default)]
pub struct Run;

impl Act for Run {
    fn look<'a>(&'a self, request: &'a Request, lent: &'a Lent) -> Look<'a> {
        Box::pin(async move {
            match &request.action {
                Action::Run(spec) => look(request, spec, lent).await,
                _ => Err(ActError::new(Cause::ActionError, "not a `run`")),
            }
        })
    }
}

/// Why a process was ended by us.
enum Ending {
    Deadline(Duration),
    Asked(Stop),
}

async fn look(request: &Request, spec: &RunSpec, lent: &Lent) -> Result<Observation, ActError> {
    let began = Instant::now();
    let mut process = Process::start(request, &spec.command, lent).await?;
    let files = process.files().clone();
    let ending = watch(&mut process, request.deadline, began).await;
    let (ended, detail) = match ending {
        None => {
            let duration = began.elapsed();
            let ended = process.finish().await;
            let mut facts = basic(&ended.exit, duration);
            return match observe(request, spec, &files, &ended, &mut facts) {
                Ok(()) => Ok(observation(facts, ended)),
                Err(detail) => Err(error((Cause::ActionError, detail), facts, ended)),
            };
        }
        Some(Ending::Deadline(limit)) => {
            let (ended, signal) = process.end(Signal::TERM, request.grace).await;
            (ended, (Cause::Timeout, format!("ran longer than {}; ended by {signal}", spoken(limit))))
        }
        Some(Ending::Asked(stop)) => {
            let signal = if stop == Stop::Kill { Signal::KILL } else { Signal::TERM };
            let (ended, signal) = process.end(signal, request.grace).await;
            let how = match &ended.exit {
                Exit::Code(code) => format!("ended with exit code {code} after {signal}"),
                Exit::Signal(_) => format!("ended by {signal}"),
            };
            (ended, (Cause::Interrupted, format!("interrupted; {how}")))
        }
    };
    let facts = basic(&ended.exit, began.elapsed());
    Err(error(detail, facts, ended))
}

/// Waits for the leader to end; `Some` if we have to end it instead.
async fn watch(process: &mut Process, deadline: Option<Instant>, began: Instant) -> Option<Ending> {
    let limit = async {
        match deadline {
            Some(deadline) => tokio::time::sleep_until(deadline).await,
            None => std::future::pending().await,
        }
    };
    let stop = process.stop_asked();
    tokio::select! {
        biased;
        () = process.exited() => None,
        stop = stop => Some(Ending::Asked(stop)),
        () = limit => Some(Ending::Deadline(deadline.map_or(Duration::ZERO, |at| at.saturating_duration_since(began)))),
    }
}

fn error((cause, detail): Fault, facts: Facts, ended: Ended) -> ActError {
    ActError { cause, detail, exit: Some(ended.exit), facts, output_bytes: ended.output_bytes, notes: ended.notes }
}

/// The facts that every process has.
fn basic(exit: &Exit, duration: Duration) -> Facts {
    let (code, signal) = match exit {
        Exit::Code(code) => (Value::int(*code), Value::Null),
        Exit::Signal(name) => (Value::Null, Value::text(name)),
    };
    let mut facts = Facts::about(1, "process");
    facts.set("exit", code);
    facts.set("signal", signal);
    facts.set("duration", Value::time(duration));
    facts
}

fn observation(facts: Facts, ended: Ended) -> Observation {
    let Ended { exit, notes, output_bytes, .. } = ended;
    Observation { facts, exit: Some(exit), output_bytes, notes, held: None }
}

/// Adds the facts that come from the output.
fn observe(
    request: &Request,
    spec: &RunSpec,
    files: &[PathBuf; 2],
    ended: &Ended,
    facts: &mut Facts,
) -> Result<(), String> {
    if let Some(unstored) = &ended.unstored {
        return Err(unstored.clone());
    }
    said(request, spec, files, facts).map_err(|detail| match &ended.exit {
        // What went wrong first is usually what matters.
        Exit::Code(0) => detail,
        Exit::Code(code) => format!("{detail}; the process ended with exit code {code}"),
        Exit::Signal(name) => format!("{detail}; the process was ended by {name}"),
    })
}

/// Adds what was said, as far as it is wanted.
fn said(request: &Request, spec: &RunSpec, files: &[PathBuf; 2], facts: &mut Facts) -> Result<(), String> {
    let wants = |name: &str| request.wants.contains(name);
    let parse = spec.parse.or(wants("json").then_some(Parse::Json));
    for (stream, file) in ["stdout", "stderr"].iter().zip(files) {
        let lines = format!("lines({stream})");
        let json = parse.filter(|_| *stream == "stdout");
        if !wants(stream) && !wants(&lines) && json.is_none() {
            continue;
        }
        let bytes = read(file, stream)?;
        if let Some(parse) = json {
            facts.set("json", Value::Json(parsed(&bytes, parse)?));
        }
        let text = String::from_utf8_lossy(&bytes);
        if wants(&lines) {
            facts.set(lines, Value::List(text.lines().map(Value::text).collect()));
        }
        if wants(stream) {
            facts.set(*stream, Value::Text(text.into_owned()));
        }
    }
    Ok(())
}

fn read(path: &Path, stream: &str) -> Result<Vec<u8>, String> {
    let open = || -> io::Result<(File, u64)> {
        let file = File::open(path)?;
        let size = file.metadata()?.len();
        Ok((file, size))
    };
    let failed = |error: io::Error| format!("{stream} could not be read back: {error}");
    let (file, size) = open().map_err(failed)?;
    if size > JUDGED {
        return Err(format!("{stream} is {}; at most 16 MiB can be judged", sized(size)));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
    file.take(JUDGED).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

/// `1.0 GiB`, cut, not rounded.
fn sized(bytes: u64) -> String {
    let (unit, shift) = if bytes >= 1 << 30 { ("GiB", 30) } else { ("MiB", 20) };
    let tenths = (u128::from(bytes) * 10) >> shift;
    format!("{}.{} {unit}", tenths / 10, tenths % 10)
}

fn parsed(bytes: &[u8], parse: Parse) -> Result<serde_json::Value, String> {
    match parse {
        Parse::Json => serde_json::from_slice(bytes).map_err(|error| malformed(&error, 0)),
        Parse::Jsonl => bytes
            .split(|&byte| byte == b'\n')
            .enumerate()
            .filter(|(_, line)| !line.trim_ascii().is_empty())
            .map(|(above, line)| serde_json::from_slice(line).map_err(|error| malformed(&error, above)))
            .collect::<Result<Vec<_>, _>>()
            .map(serde_json::Value::Array),
    }
}

fn malformed(error: &serde_json::Error, above: usize) -> String {
    let text = error.to_string();
    let what = text.split(" at line ").next().unwrap_or(&text);
    format!("stdout is not JSON: {what}, line {} column {}", above + error.line(), error.column())
}
