//! What `git`, `checklist`, `net`, `alert`, `load` and `promql` are asked, as data. Knows no plan file and no criteria.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Text;

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
