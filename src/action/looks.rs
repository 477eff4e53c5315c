//! What `git`, `checklist`, `net`, `alert`, `load` and `promql` are asked, as data. Knows no plan file and no criteria.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{HttpSpec, Text};

/// `git`: a look at the repository that the step's `cwd` lies in, and at a tag of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GitSpec {
    /// Name of a tag, without `refs/tags/`.
    pub tag: Option<Text>,
    /// The tag is made where it is missing.
    pub make: Option<MakeTag>,
}

/// How a tag is made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MakeTag {
    /// The commit, as git understands it (`HEAD`).
    pub at: Text,
    /// Message of an annotated tag; a lightweight one without.
    pub annotate: Option<Text>,
    /// Signed with the user's key.
    pub sign: bool,
    /// Name of the remote it is pushed to.
    pub push: Option<String>,
}

impl GitSpec {
    /// Its texts.
    pub fn texts_mut(&mut self) -> Vec<&mut Text> {
        let make = self.make.as_mut().map(|make| std::iter::once(&mut make.at).chain(make.annotate.as_mut()));
        self.tag.iter_mut().chain(make.into_iter().flatten()).collect()
    }
}

/// `checklist`: the task list of a Markdown file, or of one section of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChecklistSpec {
    /// The file, relative to the workspace; `FILE#HEADING` for one section.
    pub path: Text,
    /// Boxes that evidence earned are ticked in place.
    pub tick: bool,
    /// Further links: text of an item, and the step whose pass earns its box.
    pub links: Vec<(String, String)>,
}

/// `net`: a look at an address or a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetSpec {
    /// What is looked at.
    pub look: NetLook,
    /// Longest time of each part of it: looking up and connecting, shaking hands.
    pub timeout: Duration,
}

/// What `net` looks at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NetLook {
    /// `host:port` accepts a connection.
    Tcp(Text),
    /// A name resolves.
    Dns(Text),
    /// `host:port` speaks TLS.
    Tls {
        /// `host:port`.
        address: Text,
        /// The name its certificate is to be valid for (default: the host).
        name: Option<Text>,
        /// PEM file with the only authorities that are trusted, relative to the workspace (default: the system's).
        ca: Option<Text>,
    },
}

impl NetSpec {
    /// Its texts.
    pub fn texts_mut(&mut self) -> Vec<&mut Text> {
        match &mut self.look {
            NetLook::Tcp(text) | NetLook::Dns(text) => vec![text],
            NetLook::Tls { address, name, ca } => std::iter::once(address).chain(name).chain(ca).collect(),
        }
    }
}

/// `load`: a bounded burst of requests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadSpec {
    /// The request; its `timeout` is that of each, its `redirects` are none.
    pub http: HttpSpec,
    /// How many are counted (to each address).
    pub total: u64,
    /// How many are under way at a time.
    pub concurrency: u32,
    /// How many go first and are not counted (to each address).
    pub warmup: u32,
    /// Most requests that start in a second.
    pub rate: Option<u32>,
    /// Another address that gets the same requests, to compare with.
    pub baseline: Option<Text>,
    /// Addresses may be on other machines.
    pub allow_remote: bool,
}

impl LoadSpec {
    /// Its texts.
    pub fn texts_mut(&mut self) -> Vec<&mut Text> {
        self.http.texts_mut().into_iter().chain(self.baseline.as_mut()).collect()
    }
}

/// `promql`: a question to a Prometheus server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PromqlSpec {
    /// Address of the server, without `/api`.
    pub server: Text,
    /// What is asked.
    pub query: Query,
    /// The instant it is asked for, or the end of the range (default: the time of the look).
    pub time: Option<Text>,
    /// Ask over a range, not at an instant.
    pub range: Option<PromqlRange>,
    /// The same question about the other side, to compare with.
    pub baseline: Option<Query>,
    /// Request headers, names lower-case.
    pub headers: Vec<(String, Text)>,
    /// Longest time of one question.
    pub timeout: Duration,
    /// Answers with warnings count.
    pub allow_warnings: bool,
}

/// A query, or a pair of queries that count events.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Query {
    /// One query.
    One(Text),
    /// Bad events of all events.
    Pair {
        /// Counts the bad ones.
        bad: Text,
        /// Counts all.
        total: Text,
    },
}

/// A range of time before an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PromqlRange {
    /// How long it is.
    pub last: Duration,
    /// From one sample to the next.
    pub step: Duration,
}

impl PromqlRange {
    /// Most samples of one series: both ends count.
    #[must_use]
    pub fn most_samples(self) -> u64 {
        let steps = self.last.as_nanos().checked_div(self.step.as_nanos()).unwrap_or(0);
        u64::try_from(steps).unwrap_or(u64::MAX).saturating_add(1)
    }
}

impl Query {
    fn texts_mut(&mut self) -> Vec<&mut Text> {
        match self {
            Self::One(query) => vec![query],
            Self::Pair { bad, total } => vec![bad, total],
        }
    }
}

impl PromqlSpec {
    /// Its texts.
    pub fn texts_mut(&mut self) -> Vec<&mut Text> {
        let Self { server, query, time, baseline, headers, .. } = self;
        let queries = query.texts_mut().into_iter().chain(baseline.iter_mut().flat_map(Query::texts_mut));
        std::iter::once(server).chain(queries).chain(time).chain(headers.iter_mut().map(|(_, text)| text)).collect()
    }
}

/// `alert`: a drill on an Alertmanager.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertSpec {
    /// Its configuration, relative to the workspace; empty with `server`.
    pub config: Text,
    /// URL of an Alertmanager that runs already, instead of a private one.
    pub server: Option<Text>,
    /// With `server`: receiver, and the loopback address that it leads to.
    pub capture: Vec<(String, Text)>,
    /// Who has to be told, at least one.
    pub receivers: Vec<String>,
    /// Labels of the alert; one with a random value is added.
    pub labels: Vec<(String, Text)>,
    /// Annotations of the alert.
    pub annotations: Vec<(String, Text)>,
    /// Longest time until reception, on top of the configuration's own timers.
    pub within: Duration,
    /// Longer timers of the configuration are shortened to this.
    pub timers: Option<Duration>,
}

impl AlertSpec {
    /// Its texts.
    pub fn texts_mut(&mut self) -> Vec<&mut Text> {
        let pairs = [&mut self.capture, &mut self.labels, &mut self.annotations];
        let pairs = pairs.into_iter().flat_map(|pairs| pairs.iter_mut().map(|(_, text)| text));
        std::iter::once(&mut self.config).chain(self.server.as_mut()).chain(pairs).collect()
    }
}
