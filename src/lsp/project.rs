//! A plan as it lies in the editor: which file is its main one, all its files, what the loader last said of it, and the
//! last time it could be read at all.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

use camino::{Utf8Path, Utf8PathBuf};

use super::documents::{Documents, Page, uri_of, whole};
use super::marks::{Mark, Sheet, Thing};
use super::scan::Scan;
use super::{Checked, World};
use crate::graph::Graph;
use crate::ids::StepId;
use crate::place::{Place, Sources};
use crate::plan::Plan;
use crate::plan::error::Diagnostic;

/// Folders above a file in which its plan is looked for.
const MOST_FOLDERS: usize = 4;
/// Files of one folder that are looked at.
const MOST_FILES: usize = 200;
/// Bytes of a file that may stand before its first table.
const HEAD: usize = 64 << 10;

/// A plan and its files.
pub(super) struct Project {
    /// The main file.
    pub(super) root: Utf8PathBuf,
    /// In the order of the loader's files.
    pub(super) pages: Vec<Rc<Page>>,
    pub(super) diagnostics: Vec<Diagnostic>,
    /// The plan when it could last be read.
    pub(super) good: Option<Good>,
    /// A text changed since.
    pub(super) stale: bool,
}

/// A plan that could be read.
pub(super) struct Good {
    pub(super) plan: Arc<Plan>,
    pub(super) graph: Option<Graph>,
}

impl Project {
    pub(super) fn new(root: Utf8PathBuf) -> Self {
        Self { root, pages: Vec::new(), diagnostics: Vec::new(), good: None, stale: true }
    }

    /// Loads it again, open texts first.
    pub(super) fn load(&mut self, documents: &Documents, world: &World<'_>) {
        let texts = |path: &Utf8Path| documents.at(path).map(|page| page.text.clone());
        let Checked { loaded, graph } = (world.check)(&self.root, &texts);
        self.pages = pages(&loaded.plan.sources, documents, &self.pages);
        let unreadable = |fault: &Diagnostic| matches!(fault.code, "syntax" | "empty-file" | "unreadable-file");
        if self.good.is_none() || !loaded.diagnostics.iter().any(unreadable) {
            self.good = Some(Good { plan: loaded.plan, graph });
        }
        self.diagnostics = loaded.diagnostics;
        self.stale = false;
    }

    pub(super) fn has(&self, path: &Utf8Path) -> bool {
        self.root == path || self.pages.iter().any(|page| page.path == path)
    }

    /// All its files, as they are now.
    pub(super) fn now(&self, documents: &Documents) -> Vec<Rc<Page>> {
        self.pages.iter().map(|page| documents.at(&page.path).unwrap_or_else(|| page.clone())).collect()
    }

    /// The page of a place that the loader gave.
    pub(super) fn page(&self, place: Place) -> Option<&Rc<Page>> {
        self.pages.get(usize::from(place.file.0))
    }

    /// The steps of that name: all cells of a matrix.
    pub(super) fn steps(&self, base: &str) -> Vec<StepId> {
        let Some(good) = &self.good else { return Vec::new() };
        good.plan.ids().filter(|id| good.plan.step(*id).base() == base).collect()
    }
}

/// Every mark of one name in some pages.
pub(super) fn marks_of<'p>(
    pages: &'p [Rc<Page>],
    thing: Thing,
    name: &'p str,
) -> impl Iterator<Item = (&'p Rc<Page>, &'p Mark)> {
    pages.iter().flat_map(move |page| {
        page.sheet()
            .marks
            .iter()
            .filter(move |mark| mark.thing == thing && mark.name == name)
            .map(move |mark| (page, mark))
    })
}

/// Pages for the loader's files; those whose text is the same are kept.
fn pages(sources: &Sources, documents: &Documents, before: &[Rc<Page>]) -> Vec<Rc<Page>> {
    let page = |source: &Arc<crate::place::Source>| {
        let path = whole(Utf8Path::new(&source.path));
        let same = |page: &&Rc<Page>| page.path == path && page.text == source.text;
        documents.at(&path).or_else(|| before.iter().find(same).cloned()).unwrap_or_else(|| {
            let uri = uri_of(&path);
            Rc::new(Page::new(path, uri, source.text.clone()))
        })
    };
    sources.files.iter().map(page).collect()
}

/// The main file of the plan that a file is a part of: the one that includes it, in its folder or one above; itself if
/// none does and it is a plan.
pub(super) fn root_of(page: &Page, documents: &Documents) -> Option<Utf8PathBuf> {
    let mut includers: BTreeMap<Utf8PathBuf, BTreeSet<Utf8PathBuf>> = BTreeMap::new();
    let mut note = |path: &Utf8Path, named: &[String]| {
        let folder = path.parent().unwrap_or(Utf8Path::new(""));
        for target in named {
            includers.entry(whole(&folder.join(target))).or_default().insert(path.to_owned());
        }
    };
    for other in documents.all() {
        note(&other.path, &other.sheet().named_files);
    }
    let folders = page.path.ancestors().skip(1).take(MOST_FOLDERS).filter(|_| page.path.is_absolute());
    for folder in folders {
        for path in plans_in(folder) {
            if documents.at(&path).is_none()
                && let Some(head) = head_of(&path)
            {
                note(&path, &Sheet::of(&Scan::of(&head)).named_files);
            }
        }
        // Above a repository lies nothing of it.
        if folder.join(".git").exists() {
            break;
        }
    }
    let mut at = page.path.clone();
    let mut seen = BTreeSet::from([at.clone()]);
    while let Some(next) = includers.get(&at).and_then(|all| all.iter().find(|path| !seen.contains(*path))) {
        at.clone_from(next);
        seen.insert(at.clone());
    }
    let name = page.path.file_name().unwrap_or("");
    let is_plan = page.sheet().is_plan || name == "blueprint.toml";
    (at != page.path || is_plan).then_some(at)
}

/// Files of a folder that may be plans.
fn plans_in(folder: &Utf8Path) -> Vec<Utf8PathBuf> {
    let Ok(entries) = folder.read_dir_utf8() else { return Vec::new() };
    let mut paths: Vec<Utf8PathBuf> = entries
        .filter_map(Result::ok)
        .map(|entry| entry.path().to_owned())
        .filter(|path| path.extension() == Some("toml"))
        .collect();
    paths.sort();
    paths.truncate(MOST_FILES);
    paths.into_iter().map(|path| whole(&path)).collect()
}

/// What stands before the first table of a file: there is its `include`.
fn head_of(path: &Utf8Path) -> Option<String> {
    use std::io::Read as _;
    // To open a named pipe would wait for its other end.
    std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file)?;
    let file = std::fs::File::open(path).ok()?;
    let mut bytes = Vec::new();
    file.take(HEAD as u64).read_to_end(&mut bytes).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let end = text.find("\n[").map_or(text.len(), |at| at + 1);
    let head = &text[..end];
    (head.contains("include") || head.contains("waivers")).then(|| head.to_owned())
}
