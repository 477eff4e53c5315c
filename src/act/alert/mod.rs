//! `alert`: a drill on a real Alertmanager. Fires an alert and sees what its receivers get, firing and resolved. Judges
//! nothing.
//!
//! The user's configuration is taken with other endpoints (see `config`) into a private Alertmanager, or an Alertmanager
//! that runs already is used, whose receivers lead here. Every notification is captured on loopback (see `capture`); it
//! counts for the integration whose secret path, port or name it came to. What the alert is known by, the *nonce*, is a
//! label with a random value: where a payload shows labels it must be in it.
//!
//! Facts: `receivers`, `routed` (List of Text), `receiver` (Map from each wanted one to `firing`, `resolved` (Bool, true
//! if every integration of it was told), `latency` (Time from firing until the last integration was told the first time),
//! `payload` (Text, its first notification), `count`), `problems` (List of Text), `nonce`, `version` (Text), `shortened`
//! (Bool). Inspected: wanted receivers.

mod capture;
mod config;
mod manager;
mod smtp;
mod state;
mod yaml;

use std::fs::{DirBuilder, OpenOptions};
use std::io::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::blocking::{blocking, ended, misrouted};
use super::file::MAX_TEXT;
use super::process::spoken;
use super::{Act, ActError, Lent, Look, Observation, Request, Stop};
use crate::action::{Action, AlertSpec};
use crate::files;
use crate::outcome::{Cause, Note};
use capture::{Capture, Limits};
use config::{Channel, Config, Endpoint, Integration, Timers};
use manager::{Api, Manager};
use state::{Drill, Phase};

/// The label that the alert is known by.
const NONCE: &str = "runplan_drill";

/// How long an alert outlives the drill by itself, should nobody be left to resolve it.
const LINGERS: Duration = Duration::from_secs(300);

/// Longest time for which an alert is fired ahead: about what a calendar can tell.
const LONGEST: Duration = Duration::from_secs(1000 * 365 * 86_400);

/// How long a given Alertmanager may take to hear that an interrupted drill is over.
const PARTING: Duration = Duration::from_secs(2);

/// Random bytes.
pub type Random = Arc<dyn Fn() -> std::io::Result<[u8; 16]>>;

const DIED: &str = "Alertmanager ended in the middle of the drill";

/// The `alert` action.
pub struct Alert {
    http: Box<dyn Act>,
    random: Random,
}

impl Alert {
    /// `http` asks the API; `random` gives secrets for paths and the nonce.
    #[must_use]
    pub fn new(http: Box<dyn Act>, random: Random) -> Self {
        Self { http, random }
    }

    #[expect(clippy::result_large_err, reason = "it is what every action answers")]
    fn secret(&self) -> Result<String, ActError> {
        let bytes = (self.random)().map_err(|error| failed(format!("no random numbers: {error}")))?;
        Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
    }
}

impl Act for Alert {
    fn look<'a>(&'a self, request: &'a Request, lent: &'a Lent) -> Look<'a> {
        Box::pin(async move {
            let Action::Alert(spec) = &request.action else { return Err(misrouted(request, "alert")) };
            match &spec.server {
                None => self.private(spec, request, lent).await,
                Some(server) => self.given(server.as_str(), spec, request, lent).await,
            }
        })
    }
}

fn failed(detail: impl Into<String>) -> ActError {
    ActError::new(Cause::ActionError, detail)
}

impl Alert {
    /// With an Alertmanager of its own.
    async fn private(&self, spec: &AlertSpec, request: &Request, lent: &Lent) -> Result<Observation, ActError> {
        let shown = spec.config.as_str().to_owned();
        let path = files::anywhere(&request.workspace, &shown).map_err(|error| failed(error.to_string()))?;
        let (read, named) = (path.clone(), shown.clone());
        let text = blocking(request, lent, move |quit| {
            files::read_text(&read, &named, MAX_TEXT, quit).map_err(|error| error.to_string())
        });
        let text = text.await?;
        let about = |why: String| failed(format!("`{shown}` {why}"));
        let config = Config::read(&text).map_err(about)?;
        let integrations = config.integrations(&spec.receivers).map_err(about)?;
        let secret = self.secret()?;
        let nonce = self.secret()?[..16].to_owned();

        let mut capture = Capture::new(Limits::default());
        let endpoints = listen(&mut capture, &integrations, &secret).await?;
        let home = tempfile::tempdir().map_err(|error| failed(format!("no folder for Alertmanager: {error}")))?;
        let folder = path.parent().unwrap_or(Path::new("/"));
        let pairs: Vec<_> = integrations.iter().cloned().zip(endpoints).collect();
        let rewritten = config.rewritten(&spec.receivers, &pairs, folder, spec.timers);
        prepare(home.path(), &rewritten).map_err(|error| failed(format!("no folder for Alertmanager: {error}")))?;

        let mut manager = Manager::start(request, lent, home.path(), &secret, &shown).await?;
        let api = Api { http: &*self.http, request: request.clone(), lent, base: manager.base.clone() };
        let timers = config.timers(spec.timers);
        let mut drill = Drill::new(spec, integrations, nonce, timers, lent.mask.clone());
        drill.shortened = timers != config.timers(None);
        let outcome = tokio::select! {
            biased;
            error = ended(lent, request.deadline) => Err(error),
            () = manager.died() => Err(failed(DIED)),
            done = run(&mut drill, &api, &mut capture, lent) => done,
        };
        // A question to one that has just ended fails before its end is known.
        let outcome = match outcome {
            Err(error) if error.cause == Cause::ActionError => {
                let died = tokio::time::timeout(Duration::from_millis(500), manager.died()).await.is_ok();
                Err(if died { failed(DIED) } else { error })
            }
            other => other,
        };
        drill.log = manager.log();
        let over = manager.end().await;
        drop(capture);
        finish(drill, outcome, request, over.output_bytes(), over.notes)
    }

    /// With one that runs already.
    async fn given(
        &self,
        server: &str,
        spec: &AlertSpec,
        request: &Request,
        lent: &Lent,
    ) -> Result<Observation, ActError> {
        let api =
            Api { http: &*self.http, request: request.clone(), lent, base: server.trim_end_matches('/').to_owned() };
        let (_, original) = api.status().await?;
        let config = Config::read(&original).map_err(|why| failed(format!("the configuration of `{server}` {why}")))?;
        let nonce = self.secret()?[..16].to_owned();
        let mut capture = Capture::new(Limits::default());
        let mut integrations = Vec::new();
        for (at, name) in spec.receivers.iter().enumerate() {
            let address = spec.capture.iter().find(|(known, _)| known == name).map_or("", |(_, text)| text.as_str());
            let channel = meet(&mut capture, address, integrations.len())
                .await
                .map_err(|why| failed(format!("receiver `{name}` can't be captured on `{address}`: {why}")))?;
            let resolves = config.resolves(name, channel);
            integrations.push(Integration { receiver: at, channel, index: 0, resolves });
        }
        let timers = config.timers(None);
        let mut drill = Drill::new(spec, integrations, nonce, timers, lent.mask.clone());
        drill.shared = true;
        let outcome = tokio::select! {
            biased;
            error = ended(lent, request.deadline) => Err(error),
            done = run(&mut drill, &api, &mut capture, lent) => done,
        };
        drop(capture);
        if let Some(mut alert) = drill.open.take() {
            // Others look at this Alertmanager: nothing is left firing there, even if the step has to end at once.
            let (_stop, stop) = watch::channel(Stop::Run);
            let lent = Lent { stop, ..lent.clone() };
            let request = Request { deadline: Some(Instant::now() + PARTING), ..request.clone() };
            alert["endsAt"] = json!(at((lent.now)()));
            let api = Api { http: &*self.http, request, lent: &lent, base: api.base.clone() };
            if let Err(error) = api.post(&alert).await {
                let text = format!("the alert may still fire for some minutes: {}", error.detail);
                drill.notes.push(Note { code: "not_resolved".into(), text });
            }
        }
        finish(drill, outcome, request, 0, Vec::new())
    }
}

/// Opens a listener for each integration: one for all HTTP, one each for mail.
async fn listen(capture: &mut Capture, integrations: &[Integration], secret: &str) -> Result<Vec<Endpoint>, ActError> {
    let no_port = |error: std::io::Error| failed(format!("no loopback port to capture on: {error}"));
    let paths: Vec<(String, usize)> = integrations
        .iter()
        .enumerate()
        .filter(|(_, integration)| integration.channel != Channel::Email)
        .map(|(at, _)| (format!("/{secret}/{at}"), at))
        .collect();
    let web =
        if paths.is_empty() { None } else { Some(capture.http(capture::anywhere(), paths).await.map_err(no_port)?) };
    let mut endpoints = Vec::new();
    for (at, integration) in integrations.iter().enumerate() {
        endpoints.push(match (integration.channel, web) {
            (Channel::Slack | Channel::Webhook, Some(web)) => Endpoint::Http(format!("http://{web}/{secret}/{at}")),
            _ => {
                let hello = format!("{secret}.localhost");
                let mail = capture.smtp(capture::anywhere(), at, Some(hello.clone())).await.map_err(no_port)?;
                Endpoint::Smtp(mail.to_string(), hello)
            }
        });
    }
    Ok(endpoints)
}

/// Listens on the address that a receiver of a given Alertmanager leads to.
async fn meet(capture: &mut Capture, address: &str, endpoint: usize) -> Result<Channel, String> {
    let (mail, rest) = match (address.strip_prefix("http://"), address.strip_prefix("smtp://")) {
        (Some(rest), _) => (false, rest),
        (_, Some(rest)) => (true, rest),
        _ => return Err("write `http://127.0.0.1:PORT/PATH` or `smtp://127.0.0.1:PORT`".to_owned()),
    };
    let (host, path) = rest.split_once('/').map_or((rest, "/".to_owned()), |(host, path)| (host, format!("/{path}")));
    let host = host.strip_prefix("localhost:").map_or_else(|| host.to_owned(), |port| format!("127.0.0.1:{port}"));
    let at: SocketAddr = host.parse().map_err(|_| format!("`{host}` is not `127.0.0.1:PORT`"))?;
    if !IpAddr::is_loopback(&at.ip()) {
        return Err("only loopback addresses are listened on".to_owned());
    }
    let opened = match mail {
        true => capture.smtp(at, endpoint, None).await,
        false => capture.http(at, vec![(path, endpoint)]).await,
    };
    opened.map_err(|error| files::plain(&error))?;
    Ok(if mail { Channel::Email } else { Channel::Webhook })
}

/// What a private Alertmanager needs, for nobody else to read.
fn prepare(folder: &Path, config: &str) -> std::io::Result<()> {
    DirBuilder::new().mode(0o700).create(folder.join("data"))?;
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600).open(folder.join("config.yml"))?.write_all(config.as_bytes())
}

/// A time as the API takes it.
fn at(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms).unwrap_or(jiff::Timestamp::MAX).to_string()
}

/// The drill itself: fire, see, resolve, see.
async fn run(drill: &mut Drill, api: &Api<'_>, capture: &mut Capture, lent: &Lent) -> Result<(), ActError> {
    let millis = |time: Duration| i64::try_from(time.as_millis()).unwrap_or(i64::MAX / 4);
    let (version, _) = api.status().await?;
    drill.version = version;
    let begin = (lent.now)();
    let Timers { wait, interval } = drill.timers;
    let lasts = wait.saturating_add(interval).saturating_add(drill.within.saturating_mul(2));
    let end = begin + millis(lasts.min(LONGEST) + LINGERS);
    let mut alert = json!({
        "labels": drill.labels(),
        "annotations": drill.annotations(),
        "startsAt": at(begin),
        "endsAt": at(end),
    });
    drill.begin();
    drill.open = Some(alert.clone());
    api.post(&alert).await?;
    let routed = api.routed(NONCE, &drill.nonce).await?;
    drill.routed(routed);
    see(drill, capture, Phase::Firing).await;
    // It is over for whoever got to know of it, in any case.
    alert["endsAt"] = json!(at((lent.now)().max(begin + 1)));
    drill.over();
    api.post(&alert).await?;
    drill.open = None;
    see(drill, capture, Phase::Resolved).await;
    Ok(())
}

/// Takes notifications in until all that is waited for is there, or it has been waited long enough.
async fn see(drill: &mut Drill, capture: &mut Capture, phase: Phase) {
    let until = Instant::now() + drill.patience(phase);
    while drill.waits(phase) {
        tokio::select! {
            biased;
            hit = capture.next() => drill.take(hit),
            () = sleep_until(until) => return,
        }
    }
}

/// Keeps the evidence and says what came out.
#[expect(clippy::result_large_err, reason = "it is what every action answers")]
fn finish(
    mut drill: Drill,
    outcome: Result<(), ActError>,
    request: &Request,
    output_bytes: u64,
    mut notes: Vec<Note>,
) -> Result<Observation, ActError> {
    if outcome.is_ok() {
        drill.conclude();
    }
    let kept = drill.keep(request).map_err(|error| failed(format!("its evidence could not be stored: {error}")));
    notes.append(&mut drill.notes);
    let facts = drill.facts();
    let output_bytes = output_bytes + kept.as_ref().copied().unwrap_or(0);
    match outcome.and(kept.map(drop)) {
        Ok(()) => Ok(Observation { facts, output_bytes, notes, ..Observation::default() }),
        Err(error) => {
            let waiting = drill.missing();
            let detail = match (&error.cause, waiting) {
                (Cause::Timeout, Some(waiting)) => {
                    let time = request.timeout.unwrap_or_else(|| drill.elapsed());
                    format!("the step's time was over after {}, and {waiting}", spoken(time))
                }
                _ => error.detail.clone(),
            };
            Err(ActError { detail, facts, output_bytes, notes, ..error })
        }
    }
}
