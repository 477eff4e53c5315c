//! What a drill has seen so far, what it still waits for, and what that comes to. Waits for nothing itself and opens no
//! connection.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value as Json};
use tokio::time::Instant;

use super::super::Request;
use super::super::process::spoken;
use super::NONCE;
use super::capture::Hit;
use super::config::{Channel, Integration, Timers};
use super::{manager, smtp};
use crate::action::{AlertSpec, Text};
use crate::facts::{Facts, Value};
use crate::mask::Mask;
use crate::outcome::Note;

/// Notifications whose bytes are kept; more are counted.
const KEPT: usize = 32;

/// Most bytes of a notification that become a fact; the file has all of it.
const SHOWN: usize = 64 * 1024;

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Firing,
    Resolved,
}

impl Phase {
    fn word(self) -> &'static str {
        match self {
            Self::Firing => "firing",
            Self::Resolved => "resolved",
        }
    }
}

/// One integration and what it was told.
struct Told {
    integration: Integration,
    firing: Option<Duration>,
    resolved: Option<Duration>,
    /// Its first notification, as text.
    payload: Option<String>,
    /// After the end it was told the same once more.
    repeated: bool,
    count: u64,
}

/// A drill.
pub(super) struct Drill {
    receivers: Vec<String>,
    labels: Vec<(String, Text)>,
    annotations: Vec<(String, Text)>,
    told: Vec<Told>,
    pub(super) nonce: String,
    pub(super) timers: Timers,
    pub(super) within: Duration,
    /// The Alertmanager has alerts of others too: only what shows the nonce counts.
    pub(super) shared: bool,
    pub(super) shortened: bool,
    pub(super) version: String,
    /// What Alertmanager has logged, as far as that is known.
    pub(super) log: String,
    pub(super) notes: Vec<Note>,
    /// The alert, while it may fire.
    pub(super) open: Option<Json>,
    mask: Option<Arc<Mask>>,
    began: Instant,
    /// When it was resolved.
    over: Option<Instant>,
    routed: Vec<String>,
    problems: Vec<String>,
    said: Vec<String>,
    kept: Vec<(&'static str, Vec<u8>)>,
}

impl Drill {
    pub(super) fn new(
        spec: &AlertSpec,
        integrations: Vec<Integration>,
        nonce: String,
        timers: Timers,
        mask: Option<Arc<Mask>>,
    ) -> Self {
        let told = integrations.into_iter().map(|integration| Told {
            integration,
            firing: None,
            resolved: None,
            payload: None,
            repeated: false,
            count: 0,
        });
        Self {
            receivers: spec.receivers.clone(),
            labels: spec.labels.clone(),
            annotations: spec.annotations.clone(),
            told: told.collect(),
            nonce,
            timers,
            within: spec.within,
            shared: false,
            shortened: false,
            version: String::new(),
            log: String::new(),
            notes: Vec::new(),
            open: None,
            mask,
            began: Instant::now(),
            over: None,
            routed: Vec::new(),
            problems: Vec::new(),
            said: Vec::new(),
            kept: Vec::new(),
        }
    }

    /// Labels of the alert.
    pub(super) fn labels(&self) -> Map<String, Json> {
        let mut labels = pairs(&self.labels);
        labels.entry("alertname").or_insert_with(|| "RunplanDrill".into());
        labels.insert(NONCE.to_owned(), self.nonce.clone().into());
        labels
    }

    pub(super) fn annotations(&self) -> Map<String, Json> {
        pairs(&self.annotations)
    }

    /// The alert is about to be fired.
    pub(super) fn begin(&mut self) {
        self.began = Instant::now();
        let labels: Vec<String> = self.labels().iter().map(|(name, value)| format!("{name}={value}")).collect();
        let log = if self.shared { "" } else { ", its log: alertmanager.log" };
        self.said.push(format!("Alertmanager {}{log}", self.version));
        self.said.push(format!("alert {}", labels.join(" ")));
        if self.shortened {
            let most = spoken(self.timers.wait.max(self.timers.interval));
            let text = format!("timers of the configuration were shortened to {most} at most");
            self.said.push(text.clone());
            self.notes.push(Note { code: "timers_shortened".into(), text });
        }
    }

    /// Where the alert is routed to. Nobody else is waited for.
    pub(super) fn routed(&mut self, receivers: Vec<String>) {
        self.said.push(format!("routed to {}", ticked(&receivers)));
        self.routed = receivers;
    }

    /// The alert is about to be resolved.
    pub(super) fn over(&mut self) {
        self.over = Some(Instant::now());
        self.said.push(format!("{:>9}  resolved", at(self.began.elapsed())));
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// Longest time that a phase may take.
    pub(super) fn patience(&self, phase: Phase) -> Duration {
        let timer = if phase == Phase::Firing { self.timers.wait } else { self.timers.interval };
        timer.saturating_add(self.within)
    }

    fn is_routed(&self, told: &Told) -> bool {
        self.routed.contains(&self.receivers[told.integration.receiver])
    }

    fn lacks(&self, told: &Told, phase: Phase) -> bool {
        self.is_routed(told)
            && match phase {
                Phase::Firing => told.firing.is_none(),
                Phase::Resolved => told.integration.resolves && told.firing.is_some() && told.resolved.is_none(),
            }
    }

    /// Whether anybody has still to be told.
    pub(super) fn waits(&self, phase: Phase) -> bool {
        self.told.iter().any(|told| self.lacks(told, phase))
    }

    /// `receiver `email` had not got the firing notification (`group_wait`: up to 30 s)`, of the first one that is waited for.
    pub(super) fn missing(&self) -> Option<String> {
        let phase = if self.over.is_some() { Phase::Resolved } else { Phase::Firing };
        let told = self.told.iter().find(|told| self.lacks(told, phase))?;
        let name = &self.receivers[told.integration.receiver];
        let (key, timer) = match phase {
            Phase::Firing => ("group_wait", self.timers.wait),
            Phase::Resolved => ("group_interval", self.timers.interval),
        };
        let timer = spoken(timer);
        Some(format!("receiver `{name}` had not got the {} notification (`{key}`: up to {timer})", phase.word()))
    }

    /// Takes a notification in.
    pub(super) fn take(&mut self, hit: Hit) {
        let Some(told) = self.told.get_mut(hit.endpoint) else { return };
        let mail = told.integration.channel == Channel::Email;
        let text = if mail { smtp::readable(&hit.bytes) } else { String::from_utf8_lossy(&hit.bytes).into_owned() };
        let stated = if mail { None } else { stated(&text, &self.nonce) };
        let mine = match stated {
            Some(status) => status.is_some(),
            None => !self.shared || text.contains(&self.nonce),
        };
        if !mine {
            return;
        }
        let stated = stated.flatten();
        // Text that only repeats the first notification tells nobody that the alert is over.
        let repeats = told.payload.as_ref().is_some_and(|first| *first == text || mail && smtp::is_same(first, &text));
        let over = self.over.is_some_and(|over| over < hit.at);
        let phase = match stated {
            Some(phase) => Some(phase),
            None if mail && !smtp::is_whole(&text) => None,
            None if !over => Some(Phase::Firing),
            None => (told.firing.is_some() && !repeats).then_some(Phase::Resolved),
        };
        told.repeated |= over && repeats && phase.is_none();
        let after = hit.at.saturating_duration_since(self.began);
        told.count += 1;
        match phase {
            Some(Phase::Firing) => told.firing = told.firing.or(Some(after)),
            Some(Phase::Resolved) => told.resolved = told.resolved.or(Some(after)),
            None => {}
        }
        let name = told.integration.name();
        let size = hit.bytes.len();
        let silent = if mail { "broke off" } else { "said nothing new" };
        told.payload.get_or_insert(text);
        let receiver = &self.receivers[told.integration.receiver];
        let word = phase.map_or(silent, Phase::word);
        let file = if self.kept.len() < KEPT {
            let kind = if mail { "eml" } else { "json" };
            self.kept.push((kind, hit.bytes));
            format!(", notification-{}.{kind}", self.kept.len())
        } else {
            String::new()
        };
        self.said.push(format!("{:>9}  {receiver}: {word} ({name}, {size} B{file})", at(after)));
    }

    /// Says what did not come.
    pub(super) fn conclude(&mut self) {
        let mut problems = Vec::new();
        for (index, name) in self.receivers.iter().enumerate() {
            if !self.routed.contains(name) {
                let to = ticked(&self.routed);
                problems.push(format!("receiver `{name}`: no route leads there; the alert is routed to {to}"));
                continue;
            }
            let mine: Vec<&Told> = self.told.iter().filter(|told| told.integration.receiver == index).collect();
            for told in &mine {
                let which = if mine.len() > 1 { format!(" by `{}`", told.integration.name()) } else { String::new() };
                if told.repeated && self.lacks(told, Phase::Resolved) {
                    problems.push(format!(
                        "receiver `{name}`: after the end it was told word for word what it was told before{which}: use \
                         `{{{{ .Status }}}}` in its texts"
                    ));
                } else if let Some(phase) =
                    [Phase::Firing, Phase::Resolved].into_iter().find(|phase| self.lacks(told, *phase))
                {
                    let time = spoken(self.patience(phase));
                    let why = self.why(name).map_or_else(String::new, |why| format!("; {why}"));
                    problems.push(format!(
                        "receiver `{name}`: the {} notification was not received within {time}{which}{why}",
                        phase.word()
                    ));
                } else if !told.integration.resolves {
                    let key = told.integration.name();
                    problems.push(format!(
                        "receiver `{name}`: it is not told that the alert is over: set `send_resolved: true` in `{key}`"
                    ));
                }
            }
        }
        self.said.extend(problems.iter().cloned());
        self.problems = problems;
    }

    /// What Alertmanager says about it.
    fn why(&self, receiver: &str) -> Option<String> {
        let said = manager::complaint(&self.log, receiver);
        said.map(|said| format!("Alertmanager said: {}", manager::cut(&said))).or_else(|| {
            let muted = manager::is_muted(&self.log);
            muted.then(|| "a time interval of the configuration mutes it now".to_owned())
        })
    }

    /// Stores what was said and every notification; returns the bytes of what was said.
    ///
    /// # Errors
    /// When they can't be written.
    pub(super) fn keep(&self, request: &Request) -> io::Result<u64> {
        let mut options = OpenOptions::new();
        options.create(true).mode(0o600);
        let masked = |bytes: &[u8]| self.mask.as_ref().map_or_else(|| bytes.to_vec(), |mask| mask.bytes(bytes));
        for (index, (kind, bytes)) in self.kept.iter().enumerate() {
            let file = request.spool_file(&format!("notification-{}.{kind}", index + 1));
            options.clone().write(true).truncate(true).open(file)?.write_all(&masked(bytes))?;
        }
        let mut said = self.said.join("\n");
        said.push('\n');
        let said = masked(said.as_bytes());
        // A further look of the same attempt adds to it.
        options.append(true).open(request.spool_file("stdout"))?.write_all(&said)?;
        Ok(said.len() as u64)
    }

    pub(super) fn facts(&self) -> Facts {
        let mut facts = Facts::about(self.receivers.len() as u64, "receiver");
        let list = |texts: &[String]| Value::List(texts.iter().map(Value::text).collect());
        facts.set("receivers", list(&self.receivers));
        facts.set("routed", list(&self.routed));
        facts.set("problems", list(&self.problems));
        facts.set("nonce", Value::text(&self.nonce));
        facts.set("version", Value::text(&self.version));
        facts.set("shortened", Value::Bool(self.shortened));
        let mut all = BTreeMap::new();
        for (index, name) in self.receivers.iter().enumerate() {
            let mine: Vec<&Told> = self.told.iter().filter(|told| told.integration.receiver == index).collect();
            let every = |time: &dyn Fn(&Told) -> Option<Duration>| {
                !mine.is_empty() && mine.iter().all(|told| time(told).is_some())
            };
            let firing = every(&|told| told.firing);
            let mut one = BTreeMap::from([
                ("firing".to_owned(), Value::Bool(firing)),
                ("resolved".to_owned(), Value::Bool(every(&|told| told.resolved))),
                ("count".to_owned(), Value::int(mine.iter().map(|told| i128::from(told.count)).sum::<i128>())),
            ]);
            let last = mine.iter().filter_map(|told| told.firing).max().filter(|_| firing);
            one.extend(last.map(|time| ("latency".to_owned(), Value::time(time))));
            let payload = mine.iter().find_map(|told| told.payload.as_deref());
            one.extend(payload.map(|text| ("payload".to_owned(), Value::text(head(text)))));
            all.insert(name.clone(), Value::Map(one));
        }
        facts.set("receiver", Value::Map(all));
        facts
    }
}

fn pairs(texts: &[(String, Text)]) -> Map<String, Json> {
    texts.iter().map(|(name, text)| (name.clone(), Json::String(text.src.clone()))).collect()
}

fn ticked(names: &[String]) -> String {
    if names.is_empty() {
        return "nobody".to_owned();
    }
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

fn at(time: Duration) -> String {
    format!("+{:.3} s", time.as_secs_f64())
}

fn head(text: &str) -> &str {
    let end = (0..=SHOWN.min(text.len())).rev().find(|at| text.is_char_boundary(*at));
    &text[..end.unwrap_or(0)]
}

/// What a webhook payload says of the alert with this nonce; the outer `None` if it is of another form, the inner one if
/// that alert is not in it.
fn stated(text: &str, nonce: &str) -> Option<Option<Phase>> {
    let json: Json = serde_json::from_str(text).ok()?;
    let alerts = json.get("alerts")?.as_array()?;
    json.get("status")?.as_str()?;
    let mine =
        alerts.iter().find(|alert| alert.pointer(&format!("/labels/{NONCE}")).and_then(Json::as_str) == Some(nonce));
    Some(mine.and_then(|alert| match alert.get("status").and_then(Json::as_str) {
        Some("firing") => Some(Phase::Firing),
        Some("resolved") => Some(Phase::Resolved),
        _ => None,
    }))
}
