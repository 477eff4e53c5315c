//! What `git`, `checklist`, `net`, `load` and `promql` are asked, as data. Knows no plan file and no criteria.

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
