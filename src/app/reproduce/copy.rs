//! A clean copy of a workspace: what git tracks or does not ignore, with its history; else everything. Follows no symbolic
//! link, and leaves the workspace as it is.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, DirBuilder, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, symlink};
use std::path::{Path, PathBuf};

use crate::ask;
use crate::files::{OWN_FOLDER, Quit};

/// The copy. Its folder is removed with it.
pub(super) struct Copy {
    folder: tempfile::TempDir,
    /// The copy of the workspace; a folder below where the workspace is one of a repository.
    pub(super) workspace: PathBuf,
    /// How many files it got.
    pub(super) files: usize,
    /// Files that the run had made, which it did not get; relative to the workspace.
    pub(super) left_out: BTreeSet<String>,
    /// It holds what git tracks or does not ignore.
    pub(super) git: bool,
}

/// Why there is no copy.
pub(super) enum Fault {
    /// Somebody asked to end.
    Asked,
    Io(String),
}

/// Copies a workspace without the files that a run made (paths relative to it), unless git tracks them or `kept` names
/// them; and with the files in `besides`, whatever git says.
pub(super) fn make(
    workspace: &Path,
    made: &BTreeSet<String>,
    kept: &BTreeSet<String>,
    besides: &[PathBuf],
    quit: &Quit,
) -> Result<Copy, Fault> {
    let failed = |what: &Path| {
        let what = what.display().to_string();
        move |error: io::Error| Fault::Io(format!("`{what}`: {error}"))
    };
    let workspace = workspace.canonicalize().map_err(failed(workspace))?;
    let repository = Repository::of(&workspace);
    let top = repository.as_ref().map_or(&workspace, |repository| &repository.top);
    let folder = tempfile::Builder::new().prefix("runplan-copy-").tempdir().map_err(failed(&std::env::temp_dir()))?;
    let root =
        folder.path().canonicalize().map_err(failed(folder.path()))?.join(top.file_name().unwrap_or("copy".as_ref()));
    let inside = workspace.strip_prefix(top).unwrap_or(Path::new("")).to_owned();
    let mut copier = Copier { from: top.clone(), to: root.clone(), quit, files: 0, left_out: BTreeSet::new() };
    copier.folder(Path::new("")).map_err(failed(&root))?;
    let is_made = |path: &Path, tracked: bool| {
        let own = path.strip_prefix(&inside).ok().and_then(Path::to_str);
        own.filter(|own| !tracked && made.contains(*own) && !kept.contains(*own)).map(str::to_owned)
    };
    let told = |(path, error): (PathBuf, io::Error)| match quit.asked() {
        true => Fault::Asked,
        false => Fault::Io(format!("`{}`: {error}", path.display())),
    };
    match &repository {
        Some(repository) => {
            copier.repository(repository).map_err(told)?;
            for path in &repository.files {
                match is_made(path, repository.tracked.contains(path)) {
                    Some(own) => drop(copier.left_out.insert(own)),
                    None => copier.entry(path, &|_| None).map_err(told)?,
                }
            }
        }
        None => copier.entry(Path::new(""), &|path| is_made(path, false)).map_err(told)?,
    }
    let workspace_copy = root.join(&inside);
    copier.folder(&inside).map_err(failed(&workspace_copy))?;
    for path in besides {
        copier.entry(&inside.join(path), &|_| None).map_err(told)?;
    }
    let (files, left_out, git) = (copier.files, copier.left_out, repository.is_some());
    Ok(Copy { folder, workspace: workspace_copy, files, left_out, git })
}

impl Copy {
    /// Leaves the folder where it is, for somebody to look at.
    pub(super) fn keep(self) -> PathBuf {
        let _ = self.folder.keep();
        self.workspace
    }
}

struct Copier<'a> {
    from: PathBuf,
    to: PathBuf,
    quit: &'a Quit,
    files: usize,
    left_out: BTreeSet<String>,
}

type Failed = (PathBuf, io::Error);

impl Copier<'_> {
    /// A folder of the copy with all above it, with the permissions that they have.
    fn folder(&self, path: &Path) -> io::Result<()> {
        let mut whole = self.to.clone();
        let mut from = self.from.clone();
        for part in std::iter::once(OsStr::new("")).chain(path.iter()) {
            if !part.is_empty() {
                whole.push(part);
                from.push(part);
            }
            if fs::symlink_metadata(&whole).is_ok() {
                continue;
            }
            let mode = fs::symlink_metadata(&from).map_or(0o755, |about| about.mode());
            DirBuilder::new().mode((mode & 0o777) | 0o700).create(&whole)?;
        }
        Ok(())
    }

    /// A file, a link, or a folder with what is in it. What is neither, or not there any more, is left out.
    fn entry(&mut self, path: &Path, skip: &dyn Fn(&Path) -> Option<String>) -> Result<(), Failed> {
        let mut open = vec![path.to_owned()];
        while let Some(path) = open.pop() {
            let from = self.from.join(&path);
            let named = |error: io::Error| (from.clone(), error);
            if self.quit.asked() {
                return Err(named(io::ErrorKind::Interrupted.into()));
            }
            if path.iter().any(|part| part == OWN_FOLDER) {
                continue;
            }
            if let Some(own) = skip(&path) {
                self.left_out.insert(own);
                continue;
            }
            let about = match fs::symlink_metadata(&from) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                about => about.map_err(named)?,
            };
            if about.is_dir() {
                self.folder(&path).map_err(named)?;
                for item in fs::read_dir(&from).map_err(named)? {
                    open.push(path.join(item.map_err(named)?.file_name()));
                }
            } else {
                self.file(&path, &from, &about).map_err(named)?;
            }
        }
        Ok(())
    }

    fn file(&mut self, path: &Path, from: &Path, about: &Metadata) -> io::Result<()> {
        let to = self.to.join(path);
        if let Some(parent) = path.parent() {
            self.folder(parent)?;
        }
        if about.is_symlink() {
            let target = fs::read_link(from)?;
            // A link into the workspace by its whole path would lead out of the copy.
            let target = target.strip_prefix(&self.from).map_or_else(|_| target.clone(), |rest| self.to.join(rest));
            symlink(target, to)?;
        } else if about.is_file() {
            fs::copy(from, to)?;
        } else {
            return Ok(());
        }
        self.files += 1;
        Ok(())
    }

    /// The history as a folder of its own, also where the workspace is one of several work trees.
    fn repository(&self, repository: &Repository) -> Result<(), Failed> {
        let to = self.to.join(".git");
        let own = repository.folder != repository.common;
        self.history(&repository.common, &to, &|path| !(path == Path::new("worktrees") && own))?;
        if own {
            let is_file = |path: &Path| repository.folder.join(path).is_file() && path != Path::new("gitdir");
            self.history(&repository.folder, &to, &|path| is_file(path) && path != Path::new("commondir"))?;
        }
        Ok(())
    }

    /// Objects never change, so they may be shared.
    fn history(&self, from: &Path, to: &Path, wanted: &dyn Fn(&Path) -> bool) -> Result<(), Failed> {
        let mut open = vec![PathBuf::new()];
        while let Some(path) = open.pop() {
            let (source, target) = (from.join(&path), to.join(&path));
            let named = |error: io::Error| (source.clone(), error);
            if self.quit.asked() {
                return Err(named(io::ErrorKind::Interrupted.into()));
            }
            let about = fs::symlink_metadata(&source).map_err(named)?;
            let is_top = path.as_os_str().is_empty();
            if !is_top && (!wanted(&path) || path.extension() == Some(OsStr::new("lock"))) {
                continue;
            }
            if about.is_dir() {
                fs::create_dir_all(&target).map_err(named)?;
                for item in fs::read_dir(&source).map_err(named)? {
                    open.push(path.join(item.map_err(named)?.file_name()));
                }
            } else if about.is_file() {
                let shared = path.starts_with("objects") && fs::hard_link(&source, &target).is_ok();
                if !shared {
                    fs::copy(&source, &target).map_err(named)?;
                }
            } else if about.is_symlink() {
                symlink(fs::read_link(&source).map_err(named)?, &target).map_err(named)?;
            }
        }
        Ok(())
    }
}

/// The git work tree that a workspace lies in.
struct Repository {
    top: PathBuf,
    /// The git folder of this work tree, and the one that all of them share.
    folder: PathBuf,
    common: PathBuf,
    /// What git tracks or does not ignore, relative to the top.
    files: Vec<PathBuf>,
    tracked: BTreeSet<PathBuf>,
}

impl Repository {
    /// `None` where git is not there, or the workspace in no work tree, or ignored in it.
    fn of(workspace: &Path) -> Option<Self> {
        let text = |args: &[&str]| {
            let bytes = git(workspace, args)?;
            let line = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
            workspace.join(OsStr::from_bytes(line)).canonicalize().ok()
        };
        let top = text(&["rev-parse", "--show-toplevel"])?;
        let (folder, common) = (text(&["rev-parse", "--absolute-git-dir"])?, text(&["rev-parse", "--git-common-dir"])?);
        if git(workspace, &["check-ignore", "-q", "."]).is_some() {
            return None;
        }
        let list = |args: &[&str]| -> Option<Vec<PathBuf>> {
            let bytes = git(&top, args)?;
            let paths = bytes.split(|byte| *byte == 0).filter(|path| !path.is_empty());
            Some(paths.map(|path| PathBuf::from(OsStr::from_bytes(path))).collect())
        };
        let files = list(&["ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate"])?;
        let tracked = list(&["ls-files", "-z", "--cached", "--deduplicate"])?.into_iter().collect();
        Some(Self { top, folder, common, files, tracked })
    }
}

/// What git answers; `None` if it can't, or says no.
fn git(folder: &Path, args: &[&str]) -> Option<Vec<u8>> {
    let args: Vec<&OsStr> =
        ["-C".as_ref(), folder.as_os_str()].into_iter().chain(args.iter().map(OsStr::new)).collect();
    // Another repository must not be spoken of; and a look must not write the index.
    let without = ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_PREFIX"];
    let output = ask::run("git".as_ref(), &args, &[("GIT_OPTIONAL_LOCKS", "0")], &without, b"").ok()?;
    output.status.success().then_some(output.stdout)
}
