//! What `signoff` and `plan` are asked, as data: people and whole plans as one step. Knows no key and no plan file.

use serde::{Deserialize, Serialize};

use super::Text;
use crate::policy::SignoffPolicy;

/// `signoff`: people approve what was found so far, before anything after it starts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignoffSpec {
    /// Who has to sign, and how long that counts.
    pub policy: SignoffPolicy,
}

/// `plan`: another plan file as one step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanSpec {
    /// The plan file, relative to the workspace.
    pub path: Text,
    /// Its variables, in the order written.
    pub vars: Vec<(String, Text)>,
    /// Only these of its steps, and what they need; all if empty.
    pub steps: Vec<String>,
}

impl PlanSpec {
    /// Its texts.
    pub fn texts_mut(&mut self) -> Vec<&mut Text> {
        std::iter::once(&mut self.path).chain(self.vars.iter_mut().map(|(_, text)| text)).collect()
    }
}
