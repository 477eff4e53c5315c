//! What a step does or looks at, as data. Knows no graph, no plan file and no criteria.

mod compare;
mod gates;
mod looks;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use compare::{CompareMethod, CompareSpec};
pub use gates::{PlanSpec, SignoffSpec};
pub use looks::{
    AlertSpec, ChecklistSpec, GitSpec, LoadSpec, MakeTag, NetLook, NetSpec, PromqlRange, PromqlSpec, Query,
};

use crate::outcome::{Class, Filter};

/// Text that is either fixed at load or completed when its step starts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Text {
    /// The text; a template while `late`.
    pub src: String,
    /// Names values that exist only at run time (`steps.x.outputs.y`, `ports.x`, `secrets.x`).
    pub late: bool,
}

impl Text {
    /// Fixed text.
    #[must_use]
    pub fn fixed(src: impl Into<String>) -> Self {
        Self { src: src.into(), late: false }
    }

    /// The text. Only meaningful once it is not late any more.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.src
    }
}

/// Which action, for type tables and display.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActionKind {
    /// A process.
    Run,
    /// An HTTP request.
    Http,
    /// A template file rendered to a file.
    Render,
    /// A look at files.
    File,
    /// A long-running process.
    Service,
    /// Facts of earlier steps.
    Value,
    /// A result file.
    Report,
    /// A git repository and a tag of it.
    Git,
    /// A Markdown task list.
    Checklist,
    /// A port, a name, a TLS server.
    Net,
    /// A burst of requests.
    Load,
    /// A question to Prometheus.
    Promql,
    /// People's approval in the middle of a plan.
    Signoff,
    /// Another plan.
    Plan,
    /// A drill on an Alertmanager.
    Alert,
}

impl ActionKind {
    /// All, in the order of the documentation.
    pub const ALL: [Self; 15] = [
        Self::Run,
        Self::Http,
        Self::Render,
        Self::File,
        Self::Service,
        Self::Value,
        Self::Report,
        Self::Git,
        Self::Checklist,
        Self::Net,
        Self::Load,
        Self::Promql,
        Self::Signoff,
        Self::Plan,
        Self::Alert,
    ];

    /// The key in the plan.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Http => "http",
            Self::Render => "render",
            Self::File => "file",
            Self::Service => "service",
            Self::Value => "value",
            Self::Report => "report",
            Self::Git => "git",
            Self::Checklist => "checklist",
            Self::Net => "net",
            Self::Load => "load",
            Self::Promql => "promql",
            Self::Signoff => "signoff",
            Self::Plan => "plan",
            Self::Alert => "alert",
        }
    }
}

/// The main action of a step. Steps that run a program are by far the most; others are large and stand in a box.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// A process.
    Run(RunSpec),
    /// An HTTP request.
    Http(Box<HttpSpec>),
    /// A template file rendered to a file.
    Render(Box<RenderSpec>),
    /// A look at files.
    File(Box<FileSpec>),
    /// A long-running process.
    Service(Box<ServiceSpec>),
    /// Facts of earlier steps.
    Value(ValueSpec),
    /// A result file.
    Report(Box<ReportSpec>),
    /// A git repository and a tag of it.
    Git(Box<GitSpec>),
    /// A Markdown task list.
    Checklist(Box<ChecklistSpec>),
    /// A port, a name, a TLS server.
    Net(Box<NetSpec>),
    /// A burst of requests.
    Load(Box<LoadSpec>),
    /// A question to Prometheus.
    Promql(Box<PromqlSpec>),
    /// People's approval in the middle of a plan.
    Signoff(Box<SignoffSpec>),
    /// Another plan.
    Plan(Box<PlanSpec>),
    /// A drill on an Alertmanager.
    Alert(Box<AlertSpec>),
}

impl Action {
    /// Which action this is.
    #[must_use]
    pub fn kind(&self) -> ActionKind {
        match self {
            Self::Run(_) => ActionKind::Run,
            Self::Http(_) => ActionKind::Http,
            Self::Render(_) => ActionKind::Render,
            Self::File(_) => ActionKind::File,
            Self::Service(_) => ActionKind::Service,
            Self::Value(_) => ActionKind::Value,
            Self::Report(_) => ActionKind::Report,
            Self::Git(_) => ActionKind::Git,
            Self::Checklist(_) => ActionKind::Checklist,
            Self::Net(_) => ActionKind::Net,
            Self::Load(_) => ActionKind::Load,
            Self::Promql(_) => ActionKind::Promql,
            Self::Signoff(_) => ActionKind::Signoff,
            Self::Plan(_) => ActionKind::Plan,
            Self::Alert(_) => ActionKind::Alert,
        }
    }

    /// Whether every look has a second side to `compare` with, without another step.
    #[must_use]
    pub fn is_two_sided(&self) -> bool {
        match self {
            Self::Run(_)
            | Self::Http(_)
            | Self::Render(_)
            | Self::File(_)
            | Self::Service(_)
            | Self::Value(_)
            | Self::Report(_)
            | Self::Git(_)
            | Self::Checklist(_)
            | Self::Net(_)
            | Self::Signoff(_)
            | Self::Plan(_)
            | Self::Alert(_) => false,
            Self::Load(spec) => spec.baseline.is_some(),
            Self::Promql(spec) => spec.baseline.is_some(),
        }
    }

    /// Most samples that one look takes of anything it measures several times; `None` where only the look knows.
    #[must_use]
    pub fn most_samples(&self) -> Option<u64> {
        match self {
            Self::Run(_)
            | Self::Http(_)
            | Self::Render(_)
            | Self::File(_)
            | Self::Service(_)
            | Self::Value(_)
            | Self::Report(_)
            | Self::Git(_)
            | Self::Checklist(_)
            | Self::Net(_)
            | Self::Signoff(_)
            | Self::Plan(_)
            | Self::Alert(_) => None,
            Self::Load(spec) => Some(spec.total),
            Self::Promql(spec) => spec.range.map(PromqlRange::most_samples),
        }
    }

    /// Every text that may be late, for rendering and for finding what it refers to.
    pub fn texts_mut(&mut self) -> Vec<&mut Text> {
        match self {
            Self::Run(spec) => spec.command.texts_mut(),
            Self::Http(spec) => spec.texts_mut(),
            Self::Render(spec) => vec![&mut spec.template, &mut spec.to],
            Self::File(spec) => spec.paths.iter_mut().chain(spec.template.as_mut()).collect(),
            Self::Service(spec) => {
                let mut texts = spec.command.texts_mut();
                match &mut spec.ready.probe {
                    Probe::Http(http) => texts.extend(http.texts_mut()),
                    Probe::Run(run) => texts.extend(run.texts_mut()),
                    Probe::Tcp(address) => texts.push(address),
                    Probe::Log(_) | Probe::Started => {}
                }
                texts
            }
            Self::Value(_) => Vec::new(),
            Self::Report(spec) => spec.texts_mut(),
            Self::Git(spec) => spec.texts_mut(),
            Self::Checklist(spec) => vec![&mut spec.path],
            Self::Net(spec) => spec.texts_mut(),
            Self::Load(spec) => spec.texts_mut(),
            Self::Promql(spec) => spec.texts_mut(),
            Self::Signoff(_) => Vec::new(),
            Self::Plan(spec) => spec.texts_mut(),
            Self::Alert(spec) => spec.texts_mut(),
        }
    }
}

/// A command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// Program and arguments, passed as they are.
    Argv(Vec<Text>),
    /// Text for `/bin/sh -c`, never templated: values reach it as environment variables.
    Shell(String),
}

impl Command {
    /// The texts of an argv.
    pub fn texts_mut(&mut self) -> Vec<&mut Text> {
        match self {
            Self::Argv(argv) => argv.iter_mut().collect(),
            Self::Shell(_) => Vec::new(),
        }
    }
}

/// How stdout is read as data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Parse {
    /// One JSON document.
    Json,
    /// One JSON document a line; `json` is the list of them.
    Jsonl,
}

/// `run`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunSpec {
    /// The command.
    pub command: Command,
    /// How stdout is read as data.
    pub parse: Option<Parse>,
}

/// `http`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpSpec {
    /// Absolute URLs, http or https, in the order written; at least one.
    pub urls: Vec<Text>,
    /// Upper-case method.
    pub method: String,
    /// In the order written; names lower-case.
    pub headers: Vec<(String, Text)>,
    /// Body, sent as it is.
    pub body: Option<Text>,
    /// Total time of one request, redirects included.
    pub timeout: Duration,
    /// How many redirects are followed (0 = none).
    pub redirects: u32,
    /// Most bytes of body read; more is an error.
    pub max_body: u64,
    /// PEM file with the only authorities that are trusted, relative to the workspace (default: the system's).
    pub ca: Option<Text>,
}

impl HttpSpec {
    /// Its texts.
    pub fn texts_mut(&mut self) -> Vec<&mut Text> {
        let Self { urls, headers, body, ca, .. } = self;
        let headers = headers.iter_mut().map(|(_, text)| text);
        urls.iter_mut().chain(headers).chain(body.as_mut()).chain(ca.as_mut()).collect()
    }

    /// One URL: its facts are single values. Otherwise they are lists in the order written.
    #[must_use]
    pub fn is_single(&self) -> bool {
        self.urls.len() == 1
    }

    /// The first URL, for messages about a single one.
    #[must_use]
    pub fn first(&self) -> &str {
        self.urls.first().map_or("", Text::as_str)
    }
}

/// `render`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RenderSpec {
    /// Template file, relative to the workspace.
    pub template: Text,
    /// Target file, relative to the workspace; replaced atomically.
    pub to: Text,
    /// Permission bits of the target (default 0o644 masked by 022; 0o600 where secrets are named).
    pub mode: Option<u32>,
}

/// How a file is read as data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// `KEY=value` lines.
    Dotenv,
    /// JSON.
    Json,
    /// TOML.
    Toml,
    /// YAML, first document.
    Yaml,
    /// INI; keys are `section.key`.
    Ini,
}

/// `file`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileSpec {
    /// Paths or globs, relative to the workspace.
    pub paths: Vec<Text>,
    /// How it is read as data (default: by extension).
    pub parse: Option<Format>,
    /// A template to compare keys with (`template.keys`).
    pub template: Option<Text>,
}

impl FileSpec {
    /// One plain path: its facts are single values. Otherwise they are lists in path order.
    #[must_use]
    pub fn is_single(&self) -> bool {
        self.paths.len() == 1 && !self.paths[0].src.contains(['*', '?', '['])
    }
}

/// `service`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceSpec {
    /// The process.
    pub command: Command,
    /// When it counts as ready.
    pub ready: Ready,
    /// Signal sent first at the end (`SIGTERM`).
    pub stop_signal: String,
    /// Time between that signal and SIGKILL.
    pub stop_grace: Duration,
}

/// Readiness of a service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ready {
    /// What is looked at.
    pub probe: Probe,
    /// Pause between two looks.
    pub every: Duration,
    /// Longest time until it must be ready.
    pub within: Duration,
    /// How many looks in a row must succeed.
    pub consecutive: u32,
}

/// What readiness looks at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Probe {
    /// A 2xx answer.
    Http(HttpSpec),
    /// Exit code 0.
    Run(Command),
    /// A line of its output matches this regular expression.
    Log(String),
    /// `host:port` accepts a connection.
    Tcp(Text),
    /// It was started (nothing more is known).
    Started,
}

/// `value`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ValueSpec {
    /// Name and subject (`steps.load.p95(latency)`), in the order written.
    pub values: Vec<(String, String)>,
}

/// Which family of result file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReportFormat {
    /// Cobertura XML.
    Cobertura,
    /// coverage.py JSON (format 2 or 3).
    CoveragePy,
    /// lcov tracefile.
    Lcov,
    /// JaCoCo XML.
    Jacoco,
    /// JUnit XML.
    Junit,
    /// SARIF 2.1.0.
    Sarif,
    /// hyperfine's JSON export.
    Hyperfine,
    /// k6's end-of-test summary.
    K6,
}

/// `report`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportSpec {
    /// The result file, relative to the workspace.
    pub path: Text,
    /// Its format; absent: found by content.
    pub format: Option<ReportFormat>,
    /// Only these source files (globs on the paths in the report).
    pub files: Vec<String>,
    /// An earlier SARIF report, relative to the workspace: what it has is not new.
    pub baseline: Option<Text>,
    /// A git revision: how much of the lines added since is covered.
    pub diff: Option<Text>,
}

impl ReportSpec {
    /// Its texts.
    pub fn texts_mut(&mut self) -> Vec<&mut Text> {
        std::iter::once(&mut self.path).chain(&mut self.baseline).chain(&mut self.diff).collect()
    }
}

/// A declared output file or folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputSpec {
    /// Path relative to the workspace; a folder ends in `/` or is one.
    pub path: Text,
    /// Whether its bytes are part of the record's identity.
    pub class: Class,
    /// Archived in the store, not only digested.
    pub artifact: bool,
    /// What is done to its lines before its digest is taken, in order; of a normalized one only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub normalize: Vec<Filter>,
}

/// How often to look. `Default` = once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sampling {
    /// Pause before the first look.
    pub delay: Duration,
    /// Pause between looks.
    pub every: Duration,
    /// Most looks; `None` = until `within` ends.
    pub max: Option<u32>,
    /// Longest time from the first look.
    pub within: Option<Duration>,
    /// Looks in a row that must pass: the step polls until then. 0 = it does not poll, every look counts.
    pub consecutive: u32,
    /// Failed looks tolerated (`None` = any number, while polling).
    pub failures: Option<u32>,
    /// Undecided looks tolerated.
    pub inconclusive: Option<u32>,
    /// Looks in a row that may go wrong.
    pub errors: u32,
}

impl Default for Sampling {
    fn default() -> Self {
        SampleKeys { max: Some(1), errors: Some(0), ..SampleKeys::default() }.filled()
    }
}

/// `sample = { … }` as written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SampleKeys {
    /// See [`Sampling`].
    pub delay: Option<Duration>,
    /// See [`Sampling`].
    pub every: Option<Duration>,
    /// See [`Sampling`].
    pub max: Option<u32>,
    /// See [`Sampling`].
    pub within: Option<Duration>,
    /// See [`Sampling`].
    pub consecutive: Option<u32>,
    /// See [`Sampling`].
    pub failures: Option<u32>,
    /// See [`Sampling`].
    pub inconclusive: Option<u32>,
    /// See [`Sampling`].
    pub errors: Option<u32>,
}

impl SampleKeys {
    /// Fills what was left out.
    ///
    /// `consecutive`, or `within` without `failures`, makes the step *poll* until it holds (`consecutive` 1): failed
    /// and undecided looks are tolerated until the looks or the time run out; looks that go wrong too while there is a
    /// deadline, else 4 in a row. Otherwise every look counts: none may fail, none may be undecided, 4 in a row may go
    /// wrong. `every` is one second. Without `max` and `within`, a poll ends after 60 s and a count after one look.
    #[must_use]
    pub fn filled(self) -> Sampling {
        let polls = self.consecutive.is_some() || (self.within.is_some() && self.failures.is_none());
        let endless = self.max.is_none() && self.within.is_none();
        let within = if endless && polls { Some(Duration::from_secs(60)) } else { self.within };
        let limit = if polls { None } else { Some(0) };
        Sampling {
            delay: self.delay.unwrap_or_default(),
            every: self.every.unwrap_or(Duration::from_secs(1)),
            max: if endless && !polls { Some(1) } else { self.max },
            within,
            consecutive: if polls { self.consecutive.unwrap_or(1).max(1) } else { 0 },
            failures: self.failures.or(limit),
            inconclusive: self.inconclusive.or(limit),
            errors: self.errors.unwrap_or(if polls && within.is_some() { u32::MAX } else { 4 }),
        }
    }
}
