//! An Alertmanager: a private one that is started and ended here, or any that answers on a URL, and its API. Knows no
//! receivers and judges nothing.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value as Json;
use tokio::time::{Instant, sleep};

use super::super::process::{Ended, Process, spoken};
use super::super::{Act, ActError, Lent, Request, program};
use crate::action::{Action, Command, HttpSpec, Text};
use crate::facts::{Num, Value};
use crate::outcome::{Cause, Exit};

/// Names that the program goes by.
const PROGRAMS: [&str; 2] = ["prometheus-alertmanager", "alertmanager"];

/// Longest time until it listens.
const START: Duration = Duration::from_secs(30);

/// Pause between two looks at its log.
const PAUSE: Duration = Duration::from_millis(20);

/// Time between TERM and KILL, at most.
const GRACE: Duration = Duration::from_secs(3);

/// Most bytes of its log that are looked at.
const LOG: u64 = 4 << 20;

/// Variables that could lead its requests elsewhere.
const PROXIES: [&str; 3] = ["http_proxy", "https_proxy", "all_proxy"];

/// A private Alertmanager. Dropping it kills it.
pub(super) struct Manager {
    process: Process,
    request: Request,
    /// Where its API is.
    pub(super) base: String,
}

impl Manager {
    /// Starts one with this configuration in `folder`, on a free port of the loopback address, under a secret path.
    ///
    /// # Errors
    /// There is no such program, it refuses the configuration, or it does not come up.
    pub(super) async fn start(
        request: &Request,
        lent: &Lent,
        folder: &Path,
        secret: &str,
        shown: &str,
    ) -> Result<Self, ActError> {
        let mut request = request.clone();
        request.cwd = folder.to_owned();
        request.env.retain(|(name, _)| {
            let name = name.to_string_lossy().to_ascii_lowercase();
            !PROXIES.contains(&name.as_str())
        });
        let Some(found) = PROGRAMS.into_iter().find(|name| program::find(name, folder, &request.env).is_ok()) else {
            let detail = "there is no `prometheus-alertmanager` (or `alertmanager`) in PATH; on Debian or Ubuntu: \
                          `apt-get install prometheus-alertmanager`";
            return Err(ActError::new(Cause::SpawnFailed, detail));
        };
        let flags = [
            found.to_owned(),
            format!("--config.file={}", folder.join("config.yml").display()),
            format!("--storage.path={}", folder.join("data").display()),
            "--web.listen-address=127.0.0.1:0".to_owned(),
            "--web.external-url=http://alertmanager.invalid".to_owned(),
            format!("--web.route-prefix=/{secret}"),
            "--cluster.listen-address=".to_owned(),
            "--log.level=debug".to_owned(),
        ];
        let command = Command::Argv(flags.into_iter().map(Text::fixed).collect());
        let process = Process::start(&request, &command, lent).await?;
        let mut manager = Self { process, request, base: String::new() };
        let began = Instant::now();
        let until = began + START;
        let stop = manager.process.stop_asked();
        tokio::pin!(stop);
        loop {
            if let Some(address) = listening(&manager.log()) {
                manager.base = format!("http://{address}/{secret}");
                return Ok(manager);
            }
            tokio::select! {
                biased;
                () = manager.process.exited() => {
                    let why = refusal(&manager.log());
                    let ended = manager.process.finish().await;
                    let how = match &ended.exit {
                        Exit::Code(code) => format!("exit code {code}"),
                        Exit::Signal(name) => name.clone(),
                    };
                    let why = why.unwrap_or_else(|| format!("it ended with {how}"));
                    let detail = format!("Alertmanager does not start with `{shown}`: {why}");
                    return Err(over(Cause::ActionError, detail, ended));
                }
                _ = &mut stop => return Err(manager.give_up(Cause::Interrupted, "stopped while Alertmanager came up").await),
                () = sleep(PAUSE) => {}
            }
            if Instant::now() >= until.min(manager.request.deadline.unwrap_or(until)) {
                let detail = format!("Alertmanager does not listen after {}", spoken(began.elapsed()));
                return Err(manager.give_up(Cause::Timeout, &detail).await);
            }
        }
    }

    async fn give_up(self, cause: Cause, detail: &str) -> ActError {
        over(cause, detail.to_owned(), self.end().await)
    }

    /// Completes when it has ended by itself.
    pub(super) async fn died(&mut self) {
        self.process.exited().await;
    }

    /// Ends it and whatever it left behind.
    pub(super) async fn end(self) -> Ended {
        let grace = self.request.grace.min(GRACE);
        let ended = self.process.end(Signal::TERM, grace).await.0;
        // What it says while it ends would hide the story of the drill in a failure report.
        let _ = std::fs::rename(self.request.spool_file("stderr"), self.request.spool_file("alertmanager.log"));
        ended
    }

    /// What it has logged.
    pub(super) fn log(&self) -> String {
        let mut bytes = Vec::new();
        if let Ok(file) = File::open(&self.process.files()[1]) {
            let _ = file.take(LOG).read_to_end(&mut bytes);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

fn over(cause: Cause, detail: String, ended: Ended) -> ActError {
    let output_bytes = ended.output_bytes();
    let Ended { exit, notes, .. } = ended;
    ActError { exit: Some(exit), notes, output_bytes, ..ActError::new(cause, detail) }
}

/// The address that it listens on.
fn listening(log: &str) -> Option<String> {
    // A line that is being written may lack a digit.
    let whole = log.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'));
    let line = { whole }.find(|line| line.contains("msg=\"Listening on\""))?;
    field(line, "address")
}

/// Why it did not start.
fn refusal(log: &str) -> Option<String> {
    let errors = log.lines().filter(|line| line.to_ascii_lowercase().contains("level=error"));
    let why = errors.filter_map(|line| field(line, "err")).next_back();
    // Something that went wrong before there was a log.
    why.or_else(|| log.lines().rev().find(|line| !line.trim().is_empty()).map(str::to_owned))
}

/// What it said last about notifications of this receiver that failed.
pub(super) fn complaint(log: &str, receiver: &str) -> Option<String> {
    // Given up for good, it names the receiver only in the text: `mail/email[0]: …`.
    let given_up = format!("{receiver}/");
    log.lines().rev().find_map(|line| {
        let err = field(line, "err")?;
        let about = field(line, "receiver").is_some_and(|name| name == receiver);
        if about {
            return Some(err);
        }
        let rest = err.strip_prefix(&given_up)?;
        Some(rest.split_once(" attempts: ").map_or(rest, |(_, why)| why).to_owned())
    })
}

/// Whether it kept a notification back because of the time of day.
pub(super) fn is_muted(log: &str) -> bool {
    log.contains("route is within mute time") || log.contains("route is not within active time")
}

/// The value of `name=value` or `name="value"` in a log line.
fn field(line: &str, name: &str) -> Option<String> {
    let start = line.match_indices(name).find_map(|(at, _)| {
        let before = line[..at].chars().next_back();
        let rest = line[at + name.len()..].strip_prefix('=')?;
        before.is_none_or(|c| c == ' ').then_some(rest)
    })?;
    let Some(quoted) = start.strip_prefix('"') else {
        return Some(start.split(' ').next().unwrap_or_default().to_owned());
    };
    let mut value = String::new();
    let mut chars = quoted.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => break,
            '\\' => match chars.next() {
                Some('n' | 't') => value.push(' '),
                Some(c) => value.push(c),
                None => break,
            },
            c => value.push(c),
        }
    }
    Some(value)
}

/// The API of an Alertmanager.
pub(super) struct Api<'a> {
    pub(super) http: &'a dyn Act,
    pub(super) request: Request,
    pub(super) lent: &'a Lent,
    pub(super) base: String,
}

/// One answer.
struct Answer {
    status: i128,
    json: Option<Json>,
    text: String,
}

impl Api<'_> {
    async fn ask(&self, method: &str, path: &str, body: Option<String>) -> Result<Answer, ActError> {
        let spec = HttpSpec {
            urls: vec![Text::fixed(format!("{}{path}", self.base))],
            method: method.to_owned(),
            headers: vec![("content-type".to_owned(), Text::fixed("application/json"))],
            body: body.map(Text::fixed),
            timeout: Duration::from_secs(10),
            redirects: 0,
            max_body: 4 << 20,
            ca: None,
        };
        let wants = ["json", "text"].map(str::to_owned).into();
        let request = Request { action: Action::Http(Box::new(spec)), wants, ..self.request.clone() };
        let mut seen = self.http.look(&request, self.lent).await?.facts.values;
        let status = match seen.get("status") {
            Some(Value::Num(Num { num, .. }, _)) => *num,
            _ => 0,
        };
        let json = if let Some(Value::Json(json)) = seen.remove("json") { Some(json) } else { None };
        let text = if let Some(Value::Text(text)) = seen.remove("text") { text } else { String::new() };
        Ok(Answer { status, json, text })
    }

    /// Its version, and its configuration as it has understood it.
    ///
    /// # Errors
    /// It can't be asked.
    pub(super) async fn status(&self) -> Result<(String, String), ActError> {
        let answer = self.ask("GET", "/api/v2/status", None).await?;
        let Some(json) = answer.json.filter(|_| answer.status == 200) else {
            let detail = format!("`{}` does not answer as an Alertmanager: status {}", self.base, answer.status);
            return Err(ActError::new(Cause::ActionError, detail));
        };
        let text = |pointer: &str| json.pointer(pointer).and_then(Json::as_str).unwrap_or_default().to_owned();
        Ok((text("/versionInfo/version"), text("/config/original")))
    }

    /// Takes an alert in, new or known.
    ///
    /// # Errors
    /// It can't be asked, or refuses.
    pub(super) async fn post(&self, alert: &Json) -> Result<(), ActError> {
        let body = Json::Array(vec![alert.clone()]).to_string();
        let answer = self.ask("POST", "/api/v2/alerts", Some(body)).await?;
        if answer.status == 200 {
            return Ok(());
        }
        let said = cut(answer.text.trim());
        let detail = format!("Alertmanager does not take the alert: status {}: {said}", answer.status);
        Err(ActError::new(Cause::ActionError, detail))
    }

    /// The receivers that the alert with this label is routed to.
    ///
    /// # Errors
    /// It can't be asked, or does not know the alert.
    pub(super) async fn routed(&self, label: &str, value: &str) -> Result<Vec<String>, ActError> {
        let path = format!("/api/v2/alerts?filter={label}%3D%22{value}%22");
        let answer = self.ask("GET", &path, None).await?;
        let alert = answer.json.as_ref().and_then(|json| json.get(0)).filter(|_| answer.status == 200);
        let Some(receivers) = alert.and_then(|alert| alert.get("receivers")).and_then(Json::as_array) else {
            let detail = format!("Alertmanager took the alert and does not know it: status {}", answer.status);
            return Err(ActError::new(Cause::ActionError, detail));
        };
        let name = |receiver: &Json| receiver.get("name").and_then(Json::as_str).map(str::to_owned);
        Ok(receivers.iter().filter_map(name).collect())
    }
}

/// The beginning of what was said; with a `…` where that isn't all.
pub(super) fn cut(text: &str) -> String {
    const MOST: usize = 300;
    match text.char_indices().nth(MOST) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_is_understood() {
        let log = "ts=1 caller=main.go:241 level=info msg=\"Starting Alertmanager\" version=\"(version=0.25.0)\"\n\
                   ts=2 level=warn component=dispatcher receiver=email integration=email[0] msg=\"Notify attempt failed\" \
                   attempts=1 err=\"dial tcp 127.0.0.1:1: connection \\\"refused\\\"\"\n\
                   ts=2 caller=tls_config.go:232 level=info msg=\"Listening on\" address=127.0.0.1:33555\n";
        assert_eq!(listening(log.strip_suffix("5\n").unwrap()), None, "half a port");
        assert_eq!(listening(log).as_deref(), Some("127.0.0.1:33555"));
        assert_eq!(complaint(log, "email").as_deref(), Some("dial tcp 127.0.0.1:1: connection \"refused\""));
        assert_eq!(complaint(log, "slack"), None);
        let log = "ts=3 level=error component=dispatcher msg=\"Notify for alerts failed\" num_alerts=1 \
                   err=\"mail/email[0]: notify retry canceled due to unrecoverable error after 1 attempts: execute html\"\n";
        assert_eq!(complaint(log, "mail").as_deref(), Some("execute html"));
        let log =
            "time=x level=ERROR source=c.go:1 msg=\"Loading configuration file failed\" file=a.yml err=\"no route\"\n";
        assert_eq!(refusal(log).as_deref(), Some("no route"));
        assert_eq!(refusal("flag provided but not defined\n").as_deref(), Some("flag provided but not defined"));
        assert_eq!(refusal(""), None);
    }
}
