//! What a plan reads, as far as it is known before anything runs. Looks at files; changes none.

use std::collections::{BTreeMap, BTreeSet};

use crate::action::{Action, Text};
use crate::files::{self, Quit, Role};
use crate::plan::{Plan, Stdin, Step};
use crate::record::store;

/// What a step declares that its action reads: inputs, standard input, a template.
pub(super) fn declared(step: &Step) -> Vec<&str> {
    let stdin = match &step.stdin {
        Stdin::File(path) => Some(path),
        Stdin::Null | Stdin::Text(_) => None,
    };
    let template = match &step.action {
        Action::Render(spec) => Some(&spec.template),
        _ => None,
    };
    known(step.inputs.iter().chain(stdin).chain(template))
}

/// As [`declared`], with the files that the action looks at.
pub(super) fn looked_at(step: &Step) -> Vec<&str> {
    let own: Vec<&Text> = match &step.action {
        Action::File(spec) => spec.paths.iter().chain(&spec.template).collect(),
        Action::Report(spec) => std::iter::once(&spec.path).chain(&spec.baseline).chain(&spec.diff).collect(),
        Action::Checklist(spec) => vec![&spec.path],
        Action::Plan(spec) => vec![&spec.path],
        _ => Vec::new(),
    };
    let mut all = declared(step);
    all.extend(known(own));
    all
}

/// Texts that are complete already.
fn known<'t>(texts: impl IntoIterator<Item = &'t Text>) -> Vec<&'t str> {
    texts.into_iter().filter(|text| !text.late).map(Text::as_str).collect()
}

/// What a run makes itself: not news to it.
pub(super) struct Made {
    files: BTreeSet<String>,
    /// Folders, with their `/`.
    folders: Vec<String>,
}

impl Made {
    /// What is there now of what the steps of a plan make.
    pub(super) fn of(plan: &Plan) -> Self {
        let workspace = plan.workspace.as_std_path();
        let rendered = |step: &Step| match &step.action {
            Action::Render(spec) => known([&spec.to]).first().map(|to| (*to).to_owned()),
            _ => None,
        };
        let declared = |step: &Step| {
            let outputs = known(step.outputs.iter().map(|output| &output.path));
            outputs.into_iter().map(str::to_owned).chain(rendered(step)).collect::<Vec<_>>()
        };
        let patterns: Vec<String> = plan.steps.iter().flat_map(declared).collect();
        let mut files: BTreeSet<String> = patterns.iter().cloned().collect();
        for pattern in &patterns {
            let found = files::expand(workspace, pattern, &Quit::default()).unwrap_or_default();
            files.extend(found.iter().map(|path| files::relative(workspace, path)));
        }
        let mut folders: Vec<String> = files.iter().map(|path| format!("{}/", path.trim_end_matches('/'))).collect();
        folders.push(format!("{}/", store::FOLDER));
        Self { files, folders }
    }

    /// Whether this path, relative to the workspace, is one of them.
    pub(super) fn has(&self, path: &str) -> bool {
        self.files.contains(path) || self.folders.iter().any(|folder| path.starts_with(folder.as_str()))
    }
}

/// Digests of the files that patterns name, by path; what can't be read says so instead of a digest.
pub(super) fn digests(plan: &Plan, patterns: &[&str], made: &Made) -> BTreeMap<String, String> {
    let workspace = plan.workspace.as_std_path();
    let mut all = BTreeMap::new();
    for pattern in patterns {
        match files::digest_all(workspace, &[pattern], Role::Input, &Quit::default()) {
            Ok(found) => {
                let news = found.files.into_iter().filter(|file| !made.has(&file.path));
                all.extend(news.map(|file| (file.path, format!("sha256:{}", file.sha256))));
            }
            Err(error) => {
                all.insert((*pattern).to_owned(), error.to_string());
            }
        }
    }
    all
}
