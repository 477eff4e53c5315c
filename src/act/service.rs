//! `service`: a process that goes on running once it is ready. Knows no dependants: whoever holds it decides when it ends.

use std::fs::{DirBuilder, File};
use std::future::Future;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use regex::bytes::Regex;
use rustix::process::Signal;
use tokio::time::Instant;

use super::process::{Fault, Process, spoken};
use super::run::Run;
use super::{Act, ActError, Held, Input, Lent, Look, Observation, Request, Stop, signals};
use crate::action::{Action, Command, HttpSpec, Probe, RunSpec, ServiceSpec};
use crate::facts::{Facts, Num, Value};
use crate::outcome::{Cause, Exit, Note};

/// The longest unfinished line that is looked at.
const LONGEST_LINE: usize = 64 * 1024;

/// First pause between two looks at a log or a port, doubled each time up to what the plan says.
const FIRST_PAUSE: Duration = Duration::from_millis(5);

/// Grace of a probe that has to be ended.
const PROBE_GRACE: Duration = Duration::from_millis(500);

/// Starts services.
pub struct Service {
    http: Box<dyn Act>,
}

impl Service {
    /// `http` answers readiness by HTTP.
    #[must_use]
    pub fn new(http: Box<dyn Act>) -> Self {
        Self { http }
    }
}

impl Act for Service {
    fn look<'a>(&'a self, request: &'a Request, lent: &'a Lent) -> Look<'a> {
        Box::pin(async move {
            match &request.action {
                Action::Service(spec) => self.start(request, spec, lent).await,
                _ => Err(ActError::new(Cause::ActionError, "not a `service`")),
            }
        })
    }
}

/// How waiting for readiness ended.
enum Outcome {
    Ready,
    Died,
    Late,
    Asked(Stop),
}

impl Service {
    async fn start(&self, request: &Request, spec: &ServiceSpec, lent: &Lent) -> Result<Observation, ActError> {
        let signal = signals::parse(&spec.stop_signal).ok_or_else(|| {
            ActError::new(Cause::ActionError, format!("`{}` is not the name of a signal", spec.stop_signal))
        })?;
        let began = Instant::now();
        let limit = began + spec.ready.within;
        let limit = request.deadline.map_or(limit, |deadline| deadline.min(limit));
        let mut process = Process::start(request, &spec.command, lent).await?;
        let mut prober = Prober::new(request, spec, lent, self.http.as_ref(), &process, limit)?;
        let stop = process.stop_asked();
        let outcome = tokio::select! {
            biased;
            () = process.exited() => Outcome::Died,
            stop = stop => Outcome::Asked(stop),
            () = prober.until_ready() => Outcome::Ready,
            () = tokio::time::sleep_until(limit) => Outcome::Late,
        };
        let facts = prober.facts(matches!(outcome, Outcome::Ready), began.elapsed());
        let last = prober.last.take();
        drop(prober);
        let (cause, detail, ended) = match outcome {
            Outcome::Ready => {
                let held = Box::new(Running { process, signal, grace: spec.stop_grace });
                return Ok(Observation { facts, held: Some(held), ..Observation::default() });
            }
            Outcome::Died => {
                let ended = process.finish().await;
                (Cause::ServiceDied, format!("{} before it was ready", how(&ended.exit)), ended)
            }
            Outcome::Late => {
                let (ended, _) = process.end(signal, spec.stop_grace).await;
                let last = last.map_or_else(String::new, |last| format!(": last look: {last}"));
                let within = spoken(limit.saturating_duration_since(began));
                (Cause::Timeout, format!("not ready within {within}{last}"), ended)
            }
            Outcome::Asked(stop) => {
                let signal = if stop == Stop::Kill { Signal::KILL } else { signal };
                let (ended, signal) = process.end(signal, spec.stop_grace).await;
                (Cause::Interrupted, format!("interrupted before it was ready; ended by {signal}"), ended)
            }
        };
        let (output_bytes, notes) = (ended.output_bytes(), ended.notes);
        Err(ActError { cause, detail, exit: Some(ended.exit), facts, output_bytes, notes })
    }
}

fn how(exit: &Exit) -> String {
    match exit {
        Exit::Code(code) => format!("ended with exit code {code}"),
        Exit::Signal(name) => format!("ended by {name}"),
    }
}

/// Looks again and again until the service counts as ready.
struct Prober<'a> {
    spec: &'a ServiceSpec,
    http: &'a dyn Act,
    /// What looks by HTTP and by process are asked with.
    request: Request,
    lent: Lent,
    log: Option<Log>,
    attempts: u32,
    /// What the last look that failed said.
    last: Option<String>,
    /// Facts of the last look by HTTP.
    seen: Facts,
}

impl<'a> Prober<'a> {
    fn new(
        request: &Request,
        spec: &'a ServiceSpec,
        lent: &Lent,
        http: &'a dyn Act,
        process: &Process,
        limit: Instant,
    ) -> Result<Self, Fault> {
        let log = match &spec.ready.probe {
            Probe::Log(pattern) => Some(Log::new(pattern, process.files())?),
            _ => None,
        };
        let mut request = request.clone();
        request.deadline = Some(limit);
        request.grace = request.grace.min(PROBE_GRACE);
        request.stdin = Input::Null;
        // A mark of its own: what a probe leaves behind is ended with it, the service's processes are not.
        request.mark.push_str("/probe");
        match &spec.ready.probe {
            Probe::Http(http) => request.action = Action::Http(Box::new(http.clone())),
            Probe::Run(command) => {
                request.action = Action::Run(RunSpec { command: command.clone(), parse: None });
                request.wants.clear();
                request.spool = request.spool_file("probe");
                DirBuilder::new()
                    .recursive(true)
                    .mode(0o700)
                    .create(&request.spool)
                    .map_err(|error| (Cause::ActionError, format!("the probe's folder can't be made: {error}")))?;
            }
            _ => {}
        }
        let mut lent = lent.clone();
        lent.spawned = Arc::new(|_| {});
        Ok(Self { spec, http, request, lent, log, attempts: 0, last: None, seen: Facts::default() })
    }

    async fn until_ready(&mut self) {
        let ready = &self.spec.ready;
        let needed = match ready.probe {
            // A line once written stays written.
            Probe::Log(_) | Probe::Started => 1,
            _ => ready.consecutive.max(1),
        };
        let mut in_a_row = 0;
        // Looks that cost nothing come often at first: many services are up within milliseconds.
        let mut pause = match ready.probe {
            Probe::Log(_) | Probe::Tcp(_) => FIRST_PAUSE.min(ready.every),
            _ => ready.every,
        };
        loop {
            self.attempts = self.attempts.saturating_add(1);
            match self.probe().await {
                Ok(()) => in_a_row += 1,
                Err(why) => {
                    in_a_row = 0;
                    self.last = Some(why);
                }
            }
            if in_a_row >= needed {
                return;
            }
            if in_a_row > 0 {
                pause = ready.every;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(ready.every);
        }
    }

    async fn probe(&mut self) -> Result<(), String> {
        match &self.spec.ready.probe {
            Probe::Started => Ok(()),
            Probe::Http(http) => self.probe_http(http).await,
            Probe::Run(command) => self.probe_run(command).await,
            Probe::Log(_) => match &mut self.log {
                Some(log) => log.look(),
                None => Ok(()),
            },
            Probe::Tcp(address) => {
                let address = address.as_str();
                let connected = tokio::net::TcpStream::connect(address).await;
                connected.map(drop).map_err(|error| {
                    let why = match error.kind() {
                        io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
                        _ => error.to_string(),
                    };
                    format!("{why}: {address}")
                })
            }
        }
    }

    async fn probe_http(&mut self, spec: &HttpSpec) -> Result<(), String> {
        match self.http.look(&self.request, &self.lent).await {
            Ok(observation) => {
                self.seen = observation.facts;
                match self.seen.values.get("status") {
                    Some(Value::Num(status, _)) if *status >= Num::int(200) && *status < Num::int(300) => Ok(()),
                    Some(Value::Num(status, _)) => Err(format!("status {status} from {}", spec.first())),
                    _ => Err(format!("no answer from {}", spec.first())),
                }
            }
            Err(error) => Err(error.detail),
        }
    }

    async fn probe_run(&mut self, command: &Command) -> Result<(), String> {
        let name = match command {
            Command::Argv(argv) => argv.first().map_or("", |text| text.as_str()),
            Command::Shell(_) => "probe",
        };
        match Run.look(&self.request, &self.lent).await {
            Ok(Observation { exit: Some(Exit::Code(0)), .. }) => Ok(()),
            Ok(Observation { exit, .. }) => {
                Err(format!("`{name}` {}", exit.as_ref().map_or_else(|| "did not end".into(), how)))
            }
            Err(error) => Err(error.detail),
        }
    }

    fn facts(&mut self, ready: bool, startup: Duration) -> Facts {
        let mut facts = std::mem::take(&mut self.seen);
        facts.inspected = Facts::about(1, "service").inspected;
        facts.set("ready", Value::Bool(ready));
        facts.set("attempts", Value::int(self.attempts));
        facts.set("startup", Value::time(startup));
        facts
    }
}

/// Searches growing files for a line, reading each byte once.
struct Log {
    pattern: Regex,
    source: String,
    tails: Vec<Tail>,
}

struct Tail {
    path: PathBuf,
    read: u64,
    /// The line that isn't finished yet.
    line: Vec<u8>,
}

impl Log {
    fn new(pattern: &str, files: &[PathBuf]) -> Result<Self, Fault> {
        let regex = Regex::new(pattern)
            .map_err(|error| (Cause::ActionError, format!("`{pattern}` is no regular expression: {error}")))?;
        let tails = files.iter().map(|path| Tail { path: path.clone(), read: 0, line: Vec::new() }).collect();
        Ok(Self { pattern: regex, source: pattern.to_owned(), tails })
    }

    fn look(&mut self) -> Result<(), String> {
        for tail in &mut self.tails {
            if tail.look(&self.pattern).map_err(|error| format!("the output can't be read: {error}"))? {
                return Ok(());
            }
        }
        Err(format!("no line matches `{}`", self.source))
    }
}

impl Tail {
    /// Whether a new line matches. An unfinished line (a prompt) counts once it has stopped growing between two looks.
    fn look(&mut self, pattern: &Regex) -> io::Result<bool> {
        let mut file = File::open(&self.path)?;
        if file.metadata()?.len() < self.read {
            // The service emptied its own output.
            (self.read, self.line) = (0, Vec::new());
        }
        file.seek(SeekFrom::Start(self.read))?;
        let mut chunk = vec![0; LONGEST_LINE];
        let mut grown = false;
        loop {
            let length = file.read(&mut chunk)?;
            if length == 0 {
                break;
            }
            grown = true;
            self.read += length as u64;
            let mut pieces = chunk[..length].split(|&byte| byte == b'\n');
            // `split` gives at least one piece; what follows the last line end is the new unfinished line.
            self.line.extend_from_slice(pieces.next().unwrap_or_default());
            for piece in pieces {
                if matches(pattern, &self.line) {
                    return Ok(true);
                }
                self.line.clear();
                self.line.extend_from_slice(piece);
            }
            if self.line.len() > LONGEST_LINE {
                self.line.drain(..self.line.len() - LONGEST_LINE);
            }
        }
        Ok(!grown && !self.line.is_empty() && matches(pattern, &self.line))
    }
}

fn matches(pattern: &Regex, line: &[u8]) -> bool {
    pattern.is_match(line.strip_suffix(b"\r").unwrap_or(line))
}

/// A service that is ready. Dropping it kills it.
struct Running {
    process: Process,
    signal: Signal,
    grace: Duration,
}

impl Held for Running {
    fn died(&mut self) -> Pin<Box<dyn Future<Output = Exit> + '_>> {
        Box::pin(async {
            self.process.exited().await;
            // It stays a zombie until it is stopped, so the answer stays the same.
            self.process.peek().unwrap_or(Exit::Signal("SIGKILL".into()))
        })
    }

    fn stop(self: Box<Self>, kill: bool) -> Pin<Box<dyn Future<Output = (Exit, Vec<Note>)>>> {
        Box::pin(async move {
            let Self { process, signal, grace } = *self;
            let ended = if process.peek().is_some() {
                process.finish().await
            } else {
                let signal = if kill { Signal::KILL } else { signal };
                process.end(signal, grace).await.0
            };
            (ended.exit, ended.notes)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::scripted::{Play, Scripted};
    use super::super::testing::{Bench, block_on, until};
    use super::*;
    use crate::action::{Ready, Text};

    fn service(text: &str, probe: Probe) -> ServiceSpec {
        ServiceSpec {
            command: Command::Shell(text.into()),
            ready: Ready { probe, every: Duration::from_millis(5), within: Duration::from_secs(20), consecutive: 1 },
            stop_signal: "SIGTERM".into(),
            stop_grace: Duration::from_secs(20),
        }
    }

    async fn look(bench: &Bench, http: Scripted, spec: ServiceSpec) -> Result<Observation, ActError> {
        let request = bench.request(Action::Service(Box::new(spec)));
        let http: Box<dyn Act> = Box::new(http);
        Service::new(http).look(&request, &bench.lent()).await
    }

    async fn ready(bench: &Bench, http: Scripted, spec: ServiceSpec) -> (Facts, Box<dyn Held>) {
        let seen = look(bench, http, spec).await.unwrap_or_else(|error| panic!("{}", error.detail));
        assert_eq!(seen.facts.values["ready"], Value::Bool(true));
        assert!(seen.facts.values.contains_key("startup"));
        (seen.facts, seen.held.unwrap())
    }

    async fn unready(bench: &Bench, spec: ServiceSpec) -> ActError {
        look(bench, Scripted::default(), spec).await.map(|_| ()).expect_err("it can't become ready")
    }

    #[test]
    fn a_line_of_the_log_makes_it_ready() {
        let bench = Bench::new();
        block_on(async {
            for text in [
                "echo starting; echo 'listening on 80' >&2; exec sleep 1000",
                "printf 'listening on 80'; exec sleep 1000",
            ] {
                let probe = Probe::Log("^listening on [0-9]+$".into());
                let (_, held) = ready(&bench, Scripted::default(), service(text, probe)).await;
                assert!(!bench.alive().is_empty());
                assert_eq!(held.stop(false).await, (Exit::Signal("SIGTERM".into()), vec![]));
                assert!(bench.alive().is_empty());
            }
        });
    }

    #[test]
    fn an_open_port_makes_it_ready() {
        let bench = Bench::new();
        block_on(async {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap().to_string();
            let mut spec = service("exec sleep 1000", Probe::Tcp(Text::fixed(&address)));
            spec.ready.consecutive = 3;
            let (facts, held) = ready(&bench, Scripted::default(), spec.clone()).await;
            assert_eq!(facts.values["attempts"], Value::int(3));
            held.stop(true).await;
            drop(listener);
            spec.ready.within = Duration::from_millis(50);
            let error = unready(&bench, spec).await;
            assert_eq!(error.cause, Cause::Timeout);
            assert_eq!(error.detail, format!("not ready within 50 ms: last look: connection refused: {address}"));
            assert_eq!(error.facts.values["ready"], Value::Bool(false));
            assert_eq!(error.exit, Some(Exit::Signal("SIGTERM".into())));
        });
    }

    #[test]
    fn answers_in_a_row_make_it_ready_and_a_flap_starts_anew() {
        let bench = Bench::new();
        let answer = |status: i32| {
            let mut facts = Facts::about(1, "response");
            facts.set("status", Value::int(status));
            Play { facts, ..Play::default() }
        };
        let refused = Play::error(Cause::ActionError, "connection refused: 127.0.0.1:1");
        let plays = vec![refused, answer(200), answer(503), answer(200), answer(204)];
        let http = HttpSpec {
            urls: vec![Text::fixed("http://127.0.0.1:1/")],
            method: "GET".into(),
            headers: vec![],
            body: None,
            timeout: Duration::from_secs(1),
            redirects: 0,
            max_body: 1,
            ca: None,
        };
        block_on(async {
            let mut spec = service("exec sleep 1000", Probe::Http(http));
            spec.ready.consecutive = 2;
            let (facts, held) = ready(&bench, Scripted::new([("step".into(), plays)]), spec).await;
            assert_eq!(facts.values["attempts"], Value::int(5));
            assert_eq!(facts.values["status"], Value::int(204));
            assert_eq!(facts.inspected.what, "service");
            drop(held);
            assert!(bench.alive().is_empty());
        });
    }

    #[test]
    fn a_probe_process_leaves_the_service_alone() {
        let bench = Bench::new();
        block_on(async {
            let probe = Probe::Run(Command::Shell("sleep 1000 >/dev/null & test -e up".into()));
            // A daemon: it leaves its group and its parent.
            let spec = service("setsid sleep 1000 & sleep 0.02; touch up; exec sleep 1000", probe);
            let (facts, held) = ready(&bench, Scripted::default(), spec).await;
            assert!(matches!(facts.values["attempts"], Value::Num(n, _) if n.num >= 1));
            assert_eq!(bench.alive().len(), 2, "the service and its daemon, no probe");
            assert_eq!(bench.spawned.lock().unwrap().len(), 1);
            let (exit, notes) = held.stop(false).await;
            assert_eq!((exit, notes, bench.alive()), (Exit::Signal("SIGTERM".into()), vec![], vec![]));
        });
    }

    #[test]
    fn a_service_that_ends_before_it_is_ready_has_died() {
        let bench = Bench::new();
        block_on(async {
            let error = unready(&bench, service("echo no config >&2; exit 1", Probe::Log("never".into()))).await;
            assert_eq!(error.cause, Cause::ServiceDied);
            assert_eq!(error.detail, "ended with exit code 1 before it was ready");
            assert_eq!((error.exit, error.output_bytes), (Some(Exit::Code(1)), 10));
            let mut spec = service("exit 0", Probe::Log("(".into()));
            assert_eq!(unready(&bench, spec.clone()).await.cause, Cause::ActionError);
            spec.stop_signal = "SIGWHAT".into();
            assert_eq!(unready(&bench, spec).await.detail, "`SIGWHAT` is not the name of a signal");
        });
    }

    #[test]
    fn a_stop_while_it_starts_ends_it() {
        let bench = Bench::new();
        block_on(async {
            let spec = service("echo begun; exec sleep 1000", Probe::Log("never".into()));
            let ask = async {
                bench.says("stdout", "begun").await;
                bench.stop.send_replace(Stop::Term);
            };
            let (error, ()) = tokio::join!(unready(&bench, spec), ask);
            assert_eq!(error.cause, Cause::Interrupted);
            assert_eq!(error.detail, "interrupted before it was ready; ended by SIGTERM");
        });
    }

    #[test]
    fn a_service_that_dies_later_says_how() {
        let bench = Bench::new();
        block_on(async {
            let text = "echo up; while ! test -e die; do sleep 0.01; done; exit 9";
            let (_, mut held) = ready(&bench, Scripted::default(), service(text, Probe::Log("up".into()))).await;
            tokio::select! {
                biased;
                _ = held.died() => panic!("it has no reason yet"),
                () = tokio::task::yield_now() => {}
            }
            std::fs::write(bench.dir.path().join("die"), "").unwrap();
            assert_eq!(held.died().await, Exit::Code(9));
            assert_eq!(held.died().await, Exit::Code(9));
            assert_eq!(held.stop(false).await, (Exit::Code(9), vec![]));
        });
    }

    #[test]
    fn stopping_uses_its_own_signal_and_grace() {
        let bench = Bench::new();
        block_on(async {
            let text = "trap 'exit 5' USR1; echo up; while :; do sleep 0.01; done";
            let mut spec = service(text, Probe::Log("up".into()));
            spec.stop_signal = "USR1".into();
            let (_, held) = ready(&bench, Scripted::default(), spec).await;
            assert_eq!(held.stop(false).await.0, Exit::Code(5));

            let mut spec = service("trap '' TERM; echo up; sleep 1000; sleep 1000", Probe::Log("up".into()));
            spec.stop_grace = Duration::from_millis(30);
            let (_, held) = ready(&bench, Scripted::default(), spec.clone()).await;
            assert_eq!(held.stop(false).await.0, Exit::Signal("SIGKILL".into()));

            spec.stop_grace = Duration::from_secs(1000);
            let (_, held) = ready(&bench, Scripted::default(), spec).await;
            let stopping = held.stop(false);
            let hurry = async {
                until(|| !bench.alive().is_empty()).await;
                bench.stop.send_replace(Stop::Kill);
            };
            let ((exit, _), ()) = tokio::join!(stopping, hurry);
            assert_eq!(exit, Exit::Signal("SIGKILL".into()));
        });
    }

    #[test]
    fn a_started_service_is_ready_at_once_and_its_output_is_masked_later_too() {
        let mut bench = Bench::new();
        let secret = ("token".to_owned(), b"hunter2-hunter2".to_vec());
        bench.mask = Some(Arc::new(crate::mask::Mask::new(&[secret])));
        block_on(async {
            let text = "while ! test -e go; do sleep 0.01; done; echo hunter2-hunter2; echo done; exec sleep 1000";
            let (facts, held) = ready(&bench, Scripted::default(), service(text, Probe::Started)).await;
            assert_eq!(facts.values["attempts"], Value::int(1));
            std::fs::write(bench.dir.path().join("go"), "").unwrap();
            bench.says("stdout", "done").await;
            assert_eq!(bench.read("stdout"), "[secret token]\ndone\n");
            held.stop(false).await;
        });
    }

    #[test]
    fn log_lines_are_matched_once_and_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        std::fs::write(&path, "ready").unwrap();
        let mut tail = Tail { path: path.clone(), read: 0, line: Vec::new() };
        let pattern = Regex::new("^ready in [0-9]+$").unwrap();
        assert!(!tail.look(&pattern).unwrap());
        std::fs::write(&path, "ready in 1").unwrap();
        assert!(!tail.look(&pattern).unwrap(), "it may go on to be `ready in 1 hour`");
        assert!(tail.look(&pattern).unwrap(), "it did not");
        std::fs::write(&path, "ready in 1 hour\r\nready in 2\r\n").unwrap();
        assert!(tail.look(&pattern).unwrap());
    }
}
