//! `file`: looks at files and folders: whether they exist, what they are, what stands in them. Changes nothing.
//!
//! Facts of one plain path: `exists` (Bool), `size` (Size), `mode` (Octal), `sha256` (Text), `age` (Time since the last
//! change, negative for a file from the future), `text` (Text), `lines`, `keys`, `values` (List of Text), `data` (the
//! tree), `template` (Map with `keys`), and if wanted `paths` and `count`. A path that does not exist has only `exists = false`. Of a folder, `size` is
//! that of all files in it and `sha256` that of the tree ([`files::tree_sha256`]).
//!
//! Facts of several paths or of a glob: `paths` (List of Text), `count` (of those that exist); `exists`, `size`, `mode`,
//! `sha256`, `age`, `text` are lists in path order (Null where the file does not exist); `lines` and `values` are those
//! of all files one after another; `keys` all distinct keys; `data` a Map from path to tree. A glob without a match makes
//! the whole look empty (`inspected` 0), so that it cannot pass unnoticed.
//!
//! Everything from `sha256` on (and a folder's size) is only there if wanted. Symbolic links are followed.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::blocking::{blocking, misrouted};
use super::data::{self, Data};
use super::{Act, Lent, Look, Observation, Request};
use crate::action::{Action, FileSpec, Format};
use crate::facts::{Facts, Num, Unit, Value};
use crate::files::{self, Quit, Role};
use crate::outcome::Note;

/// Most bytes of a file whose text is judged.
pub const MAX_TEXT: u64 = 16 << 20;

/// The `file` action.
#[derive(Clone, Copy, Debug, Default)]
pub struct File;

impl Act for File {
    fn look<'a>(&'a self, request: &'a Request, lent: &'a Lent) -> Look<'a> {
        Box::pin(async move {
            let Action::File(spec) = &request.action else { return Err(misrouted(request, "file")) };
            let eye = Eye::new(request, lent, spec);
            let (facts, notes) = blocking(request, lent, move |quit| eye.look(quit)).await?;
            Ok(Observation { facts, notes, ..Observation::default() })
        })
    }
}

/// One look at files, complete in itself so that it can move to another thread.
pub(super) struct Eye {
    workspace: PathBuf,
    spec: FileSpec,
    wants: BTreeSet<String>,
    /// Milliseconds since 1970.
    now: i64,
}

/// Facts of single values, in the order of the documentation.
const SCALARS: [&str; 6] = ["exists", "size", "mode", "sha256", "age", "text"];

impl Eye {
    pub(super) fn new(request: &Request, lent: &Lent, spec: &FileSpec) -> Self {
        let (workspace, wants) = (request.workspace.clone(), request.wants.clone());
        Self { workspace, spec: spec.clone(), wants, now: (lent.now)() }
    }

    fn wants(&self, name: &str) -> bool {
        self.wants.contains(name)
    }

    /// Looks at everything.
    pub(super) fn look(&self, quit: &Quit) -> Result<(Facts, Vec<Note>), String> {
        let mut paths = Vec::new();
        let mut known = HashSet::new();
        let mut notes = Vec::new();
        for text in &self.spec.paths {
            let found = files::expand(&self.workspace, text.as_str(), quit).map_err(|error| error.to_string())?;
            if found.is_empty() {
                notes.push(Note { code: "empty_glob".into(), text: format!("no file matches `{}`", text.as_str()) });
            }
            paths.extend(found.into_iter().filter(|path| known.insert(path.clone())));
        }
        let mut facts = match (self.spec.is_single(), paths.first()) {
            (true, Some(path)) => {
                let mut facts = Facts::about(1, "file");
                facts.values =
                    self.one(path, quit)?.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
                if self.wants("paths") {
                    facts.set("paths", texts(vec![files::relative(&self.workspace, path)]));
                }
                if self.wants("count") {
                    let found = facts.values.get("exists") == Some(&Value::Bool(true));
                    facts.set("count", Value::int(i32::from(found)));
                }
                facts
            }
            _ => self.many(&paths, if notes.is_empty() { paths.len() as u64 } else { 0 }, quit)?,
        };
        if let Some(template) = &self.spec.template {
            let keys = self.template_keys(template.as_str(), &paths, quit)?;
            facts.set("template", Value::Map(BTreeMap::from([("keys".to_owned(), texts(keys))])));
        }
        Ok((facts, notes))
    }

    /// Facts of one path.
    fn one(&self, path: &Path, quit: &Quit) -> Result<BTreeMap<&'static str, Value>, String> {
        let shown = files::relative(&self.workspace, path);
        let meta = match fs::metadata(path) {
            Ok(meta) => meta,
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return Ok(BTreeMap::from([("exists", Value::Bool(false))]));
            }
            Err(error) => return Err(format!("cannot look at `{shown}`: {}", files::plain(&error))),
        };
        let mut facts = BTreeMap::from([
            ("exists", Value::Bool(true)),
            ("mode", Value::Num(Num::int(i128::from(meta.mode() & 0o7777)), Unit::Octal)),
            ("age", self.age(&meta)),
        ]);
        if meta.is_dir() {
            self.folder(path, &shown, &mut facts, quit)?;
        } else {
            facts.insert("size", Value::size(meta.len()));
            if self.wants("sha256") {
                let file =
                    files::digest(&self.workspace, path, Role::Input, quit).map_err(|error| error.to_string())?;
                facts.insert("sha256", Value::Text(file.sha256));
            }
        }
        self.content(path, &shown, &mut facts, quit)?;
        Ok(facts)
    }

    fn age(&self, meta: &Metadata) -> Value {
        let changed = i128::from(meta.mtime()) * 1_000_000_000 + i128::from(meta.mtime_nsec());
        Value::Num(Num::int(i128::from(self.now) * 1_000_000 - changed), Unit::Time)
    }

    fn folder(
        &self,
        path: &Path,
        shown: &str,
        facts: &mut BTreeMap<&'static str, Value>,
        quit: &Quit,
    ) -> Result<(), String> {
        if !self.wants("size") && !self.wants("sha256") {
            return Ok(());
        }
        let under = files::walk(&self.workspace, path, quit).map_err(|error| error.to_string())?;
        if self.wants("size") {
            let sizes = under.iter().map(|file| fs::symlink_metadata(file).map_or(0, |meta| meta.len()));
            facts.insert("size", Value::size(sizes.sum()));
        }
        if self.wants("sha256") {
            let digest = |file: &PathBuf| files::digest(&self.workspace, file, Role::Input, quit);
            let tree = under.iter().map(digest).collect::<Result<Vec<_>, _>>().map_err(|error| error.to_string())?;
            facts.insert("sha256", Value::Text(files::tree_sha256(shown, &tree)));
        }
        Ok(())
    }

    /// Text and data of one file.
    fn content(
        &self,
        path: &Path,
        shown: &str,
        facts: &mut BTreeMap<&'static str, Value>,
        quit: &Quit,
    ) -> Result<(), String> {
        // A format that is written in the plan is checked even if no criterion asks for a key.
        let wants_data = self.spec.parse.is_some() || ["keys", "values", "data"].iter().any(|name| self.wants(name));
        let wants_text = self.wants("text") || self.wants("lines");
        if !wants_text && !wants_data {
            return Ok(());
        }
        let bytes = files::read(path, shown, MAX_TEXT, quit).map_err(|error| error.to_string())?;
        if wants_data {
            let Data { tree, keys, values } = self.data(&bytes, shown)?;
            let made = [("keys", texts(keys)), ("values", texts(values)), ("data", Value::Json(tree))];
            facts.extend(made.into_iter().filter(|(name, _)| self.wants(name)));
        }
        let text = String::from_utf8_lossy(&bytes);
        if self.wants("lines") {
            facts.insert("lines", texts(text.lines().map(str::to_owned).collect()));
        }
        if self.wants("text") {
            facts.insert("text", Value::Text(text.into_owned()));
        }
        Ok(())
    }

    fn data(&self, bytes: &[u8], shown: &str) -> Result<Data, String> {
        let format = self.format(shown)?;
        let text = std::str::from_utf8(bytes)
            .map_err(|e| format!("`{shown}` is not UTF-8 text (byte {})", e.valid_up_to()))?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        data::parse(text, format).map_err(|malformed| format!("`{shown}` {malformed}"))
    }

    fn format(&self, shown: &str) -> Result<Format, String> {
        self.spec.parse.or_else(|| data::format_of(shown)).ok_or_else(|| {
            format!("cannot tell from its name how `{shown}` is read as data: say `parse = \"dotenv\"` (or json, toml, yaml, ini)")
        })
    }

    /// Keys of the template that the files are compared with.
    fn template_keys(&self, template: &str, paths: &[PathBuf], quit: &Quit) -> Result<Vec<String>, String> {
        let path = files::anywhere(&self.workspace, template).map_err(|error| error.to_string())?;
        let text = files::read_text(&path, template, MAX_TEXT, quit).map_err(|error| error.to_string())?;
        let like = paths.first().map_or_else(|| template.to_owned(), |path| files::relative(&self.workspace, path));
        let format = self.format(&like).or_else(|_| self.format(template))?;
        data::template_keys(&text, format).map_err(|malformed| format!("`{template}` {malformed}"))
    }

    /// Facts of several paths: see the head of this file.
    fn many(&self, paths: &[PathBuf], inspected: u64, quit: &Quit) -> Result<Facts, String> {
        let mut facts = Facts::about(inspected, "file");
        let shown: Vec<String> = paths.iter().map(|path| files::relative(&self.workspace, path)).collect();
        let all = paths.iter().map(|path| self.one(path, quit)).collect::<Result<Vec<_>, _>>()?;
        let exists = all.iter().filter(|one| one["exists"] == Value::Bool(true)).count();
        facts.set("count", Value::int(exists as u64));
        for name in SCALARS {
            if matches!(name, "sha256" | "text") && !self.wants(name) {
                continue;
            }
            let list = all.iter().map(|one| one.get(name).cloned().unwrap_or(Value::Null));
            facts.set(name, Value::List(list.collect()));
        }
        for name in ["lines", "keys", "values"].into_iter().filter(|name| self.wants(name)) {
            let mut seen = BTreeSet::new();
            let mut list = Vec::new();
            for one in &all {
                let Some(Value::List(items)) = one.get(name) else { continue };
                for item in items {
                    let Value::Text(text) = item else { continue };
                    if name != "keys" || seen.insert(text.as_str()) {
                        list.push(item.clone());
                    }
                }
            }
            facts.set(name, Value::List(list));
        }
        if self.wants("data") {
            let trees = all.iter().zip(&shown).filter_map(|(one, path)| Some((path.clone(), one.get("data")?.clone())));
            facts.set("data", Value::Map(trees.collect()));
        }
        facts.set("paths", texts(shown));
        Ok(facts)
    }
}

/// A list of texts.
pub(super) fn texts(items: Vec<String>) -> Value {
    Value::List(items.into_iter().map(Value::Text).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::act::{Stop, fixture};
    use crate::action::Text;
    use crate::digest::sha256_hex;
    use crate::outcome::Cause;
    use std::os::unix::fs::PermissionsExt;

    async fn look(dir: &Path, paths: &[&str], wants: &[&str]) -> Result<Observation, String> {
        look_as(
            dir,
            FileSpec { paths: paths.iter().copied().map(Text::fixed).collect(), parse: None, template: None },
            wants,
        )
        .await
    }

    async fn look_as(dir: &Path, spec: FileSpec, wants: &[&str]) -> Result<Observation, String> {
        let mut request = fixture::request(Action::File(Box::new(spec)), dir);
        request.wants = wants.iter().map(|&name| name.to_owned()).collect();
        let (lent, _stop) = fixture::lent();
        File.look(&request, &lent).await.map_err(|error| {
            assert_eq!(error.cause, Cause::ActionError);
            error.detail
        })
    }

    fn list(items: &[&str]) -> Value {
        texts(items.iter().map(|&item| item.to_owned()).collect())
    }

    #[tokio::test(flavor = "current_thread")]
    async fn one_file_costs_only_what_is_wanted() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(".env.staging");
        fs::write(&path, "A=1\nB=change-me\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(999_990);
        fs::File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
        let seen = look(dir.path(), &[".env.staging"], &[]).await.unwrap().facts;
        assert_eq!(seen.values.keys().collect::<Vec<_>>(), ["age", "exists", "mode", "size"]);
        assert_eq!(seen.values["mode"], Value::Num(Num::int(0o640), Unit::Octal));
        assert_eq!(seen.values["age"], Value::time(std::time::Duration::from_secs(10)));
        assert_eq!(seen.values["size"], Value::size(16));
        let wants = ["keys", "values", "data", "text", "lines", "sha256"];
        let seen = look(dir.path(), &[".env.staging"], &wants).await.unwrap().facts;
        assert_eq!(seen.values["keys"], list(&["A", "B"]));
        assert_eq!(seen.values["values"], list(&["1", "change-me"]));
        assert_eq!(seen.values["lines"], list(&["A=1", "B=change-me"]));
        assert_eq!(seen.values["sha256"], Value::text(sha256_hex(b"A=1\nB=change-me\n")));
        assert_eq!(seen.values["data"], Value::Json(serde_json::json!({"A": "1", "B": "change-me"})));
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_missing_file_is_a_fact_and_a_missing_match_is_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let seen = look(dir.path(), &["nope"], &["keys", "text"]).await.unwrap().facts;
        assert_eq!(seen.values, BTreeMap::from([("exists".into(), Value::Bool(false))]));
        assert_eq!(seen.inspected.count, 1);
        let seen = look(dir.path(), &["*.nope"], &["text"]).await.unwrap();
        assert_eq!((seen.facts.inspected.count, seen.facts.inspected.what.as_str()), (0, "file"));
        assert_eq!(seen.facts.values["count"], Value::int(0));
        assert_eq!(seen.notes[0].text, "no file matches `*.nope`");
    }

    #[tokio::test(flavor = "current_thread")]
    async fn many_files_give_lists_in_path_order() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("b.json"), r#"{"k":1,"only":2}"#).unwrap();
        fs::write(dir.path().join("a.json"), r#"{"k":3}"#).unwrap();
        let seen = look(dir.path(), &["gone.json", "*.json"], &["keys", "values", "data", "text"]).await.unwrap().facts;
        assert_eq!(seen.values["paths"], list(&["gone.json", "a.json", "b.json"]));
        assert_eq!(seen.values["size"], Value::List(vec![Value::Null, Value::size(7), Value::size(16)]));
        assert_eq!(seen.values["keys"], list(&["k", "only"]));
        assert_eq!(seen.values["values"], list(&["3", "1", "2"]));
        assert_eq!((&seen.values["count"], seen.inspected.count), (&Value::int(2), 3));
        let Value::Map(data) = &seen.values["data"] else { panic!() };
        assert_eq!(data.keys().collect::<Vec<_>>(), ["a.json", "b.json"]);
        let seen = look(dir.path(), &["a.json", "*.xml"], &[]).await.unwrap().facts;
        assert_eq!(seen.inspected.count, 0);
    }

    #[tokio::test(flavor = "current_thread")]
    async fn what_cannot_be_read_is_an_error_with_a_hint() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("x.json"), "{\n \"a\": }").unwrap();
        fs::write(dir.path().join("x.conf"), "a").unwrap();
        fs::File::create(dir.path().join("big")).unwrap().set_len(MAX_TEXT + 1).unwrap();
        let error = look(dir.path(), &["x.json"], &["data"]).await.err().unwrap();
        assert_eq!(error, "`x.json` is not JSON: expected value (line 2, column 7)");
        let error = look(dir.path(), &["x.conf"], &["keys"]).await.err().unwrap();
        assert!(error.starts_with("cannot tell from its name how `x.conf` is read as data: say `parse"));
        assert_eq!(look(dir.path(), &["big"], &["text"]).await.err().unwrap(), "`big` is larger than 16 MiB");
        assert!(look(dir.path(), &["big"], &["sha256"]).await.is_ok());
        assert_eq!(look(dir.path(), &["."], &["text"]).await.err().unwrap(), "`.` is a folder, not a file");
        let spec = FileSpec { paths: vec![Text::fixed("x.conf")], parse: Some(Format::Json), template: None };
        assert!(look_as(dir.path(), spec, &[]).await.is_err());
        assert!(look(dir.path(), &["/dev/zero"], &["text"]).await.err().unwrap().contains("is a device"));
    }

    #[tokio::test(flavor = "current_thread")]
    async fn folders_have_a_tree_digest() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("d/e")).unwrap();
        fs::write(dir.path().join("d/e/f"), "12").unwrap();
        fs::write(dir.path().join("d/g"), "3").unwrap();
        let before = look(dir.path(), &["d"], &["size", "sha256"]).await.unwrap().facts;
        assert_eq!(before.values["size"], Value::size(3));
        fs::write(dir.path().join("d/g"), "4").unwrap();
        let after = look(dir.path(), &["d"], &["size", "sha256"]).await.unwrap().facts;
        assert_ne!(before.values["sha256"], after.values["sha256"]);
    }

    #[tokio::test(flavor = "current_thread")]
    async fn templates_are_compared_by_keys() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(".env"), "A=1\nB=2\n").unwrap();
        fs::write(dir.path().join("env.template"), "A={{ vars.a }}\nC=x\n").unwrap();
        let template = Some(Text::fixed("env.template"));
        let spec = FileSpec { paths: vec![Text::fixed(".env")], parse: None, template };
        let seen = look_as(dir.path(), spec, &["keys", "template"]).await.unwrap().facts;
        assert_eq!(seen.values["template"], Value::Map(BTreeMap::from([("keys".into(), list(&["A", "C"]))])));
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_stopped_look_ends_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let spec = FileSpec { paths: vec![Text::fixed("x")], parse: None, template: None };
        let request = fixture::request(Action::File(Box::new(spec)), dir.path());
        let (lent, stop) = fixture::lent();
        stop.send(Stop::Term).unwrap();
        assert_eq!(File.look(&request, &lent).await.err().unwrap().cause, Cause::Interrupted);
    }
}
