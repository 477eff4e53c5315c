//! Texts: those open in the editor, as it last told them, and files by their paths. Knows no plan.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::ops::Range;
use std::rc::Rc;

use camino::{Utf8Path, Utf8PathBuf};
use serde_json::{Value as Json, json};

use super::marks::Sheet;
use super::position::{Lines, Position, Unit};
use super::scan::Scan;

/// Largest file that is looked at without being open: as large as a plan may be.
const MOST_BYTES: u64 = 8 << 20;

/// A text with its lines and names.
#[derive(Debug)]
pub(super) struct Page {
    /// Links resolved, as far as there is such a file.
    pub(super) path: Utf8PathBuf,
    /// As the editor calls it.
    pub(super) uri: String,
    pub(super) text: String,
    pub(super) lines: Lines,
    sheet: OnceCell<Sheet>,
}

impl Page {
    pub(super) fn new(path: Utf8PathBuf, uri: String, text: String) -> Self {
        let lines = Lines::of(&text);
        Self { path, uri, text, lines, sheet: OnceCell::new() }
    }

    /// The names in it.
    pub(super) fn sheet(&self) -> &Sheet {
        self.sheet.get_or_init(|| Sheet::of(&Scan::of(&self.text)))
    }

    pub(super) fn range(&self, range: &Range<usize>, unit: Unit) -> Json {
        self.lines.range(&self.text, range, unit)
    }

    pub(super) fn location(&self, range: &Range<usize>, unit: Unit) -> Json {
        json!({ "uri": self.uri, "range": self.range(range, unit) })
    }

    pub(super) fn offset(&self, position: Position, unit: Unit) -> usize {
        self.lines.offset(&self.text, position, unit)
    }
}

/// The open texts.
#[derive(Debug, Default)]
pub(super) struct Documents {
    by_path: BTreeMap<Utf8PathBuf, Rc<Page>>,
    by_uri: BTreeMap<String, Utf8PathBuf>,
}

impl Documents {
    pub(super) fn open(&mut self, uri: &str, text: String) -> Rc<Page> {
        let path = whole(&path_of(uri));
        let page = Rc::new(Page::new(path.clone(), uri.to_owned(), text));
        self.by_path.insert(path.clone(), page.clone());
        self.by_uri.insert(uri.to_owned(), path);
        page
    }

    /// Takes over changes; `None` if the document is not open.
    pub(super) fn change(&mut self, uri: &str, changes: &[Json], unit: Unit) -> Option<Rc<Page>> {
        let page = self.get(uri)?;
        let mut text = page.text.clone();
        let mut lines = page.lines.clone();
        for change in changes {
            let new = change.get("text").and_then(Json::as_str).unwrap_or("");
            match change.get("range") {
                None | Some(Json::Null) => new.clone_into(&mut text),
                Some(range) => {
                    let end = |name: &str| range.get(name).and_then(Position::read);
                    let (Some(start), Some(end)) = (end("start"), end("end")) else { continue };
                    let start = lines.offset(&text, start, unit);
                    let end = lines.offset(&text, end, unit).max(start);
                    text.replace_range(start..end, new);
                }
            }
            lines = Lines::of(&text);
        }
        Some(self.open(uri, text))
    }

    pub(super) fn close(&mut self, uri: &str) -> Option<Rc<Page>> {
        let path = self.by_uri.remove(uri)?;
        self.by_path.remove(&path)
    }

    pub(super) fn get(&self, uri: &str) -> Option<Rc<Page>> {
        self.by_path.get(self.by_uri.get(uri)?).cloned()
    }

    /// By a path with links resolved.
    pub(super) fn at(&self, path: &Utf8Path) -> Option<Rc<Page>> {
        self.by_path.get(path).cloned()
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Rc<Page>> {
        self.by_path.values()
    }

    /// The open text, or that on the disk.
    pub(super) fn read(&self, path: &Utf8Path) -> Option<Rc<Page>> {
        if let Some(page) = self.at(path) {
            return Some(page);
        }
        let meta = std::fs::metadata(path).ok()?;
        if !meta.is_file() || meta.len() > MOST_BYTES {
            return None;
        }
        let text = std::fs::read_to_string(path).ok()?;
        Some(Rc::new(Page::new(path.to_owned(), uri_of(path), text)))
    }
}

/// One name for every spelling of a path, also of a file that is still to be saved.
pub(super) fn whole(path: &Utf8Path) -> Utf8PathBuf {
    if let Ok(path) = path.canonicalize_utf8() {
        return path;
    }
    let folder = path.parent().and_then(|folder| folder.canonicalize_utf8().ok());
    match (folder, path.file_name()) {
        (Some(folder), Some(name)) if path.is_absolute() => folder.join(name),
        _ => path.to_owned(),
    }
}

/// The path of a URI; of one that names no file, the URI itself.
pub(super) fn path_of(uri: &str) -> Utf8PathBuf {
    let Some(rest) = uri.strip_prefix("file://") else { return Utf8PathBuf::from(uri) };
    let path = &rest[rest.find('/').unwrap_or(0)..];
    let bytes = path.as_bytes();
    let (mut out, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while let Some(byte) = bytes.get(at) {
        let code = path.get(at + 1..at + 3).filter(|_| *byte == b'%');
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(code) => {
                out.push(code);
                at += 3;
            }
            None => {
                out.push(*byte);
                at += 1;
            }
        }
    }
    String::from_utf8(out).map_or_else(|_| Utf8PathBuf::from(path), Utf8PathBuf::from)
}

/// The URI of a file.
pub(super) fn uri_of(path: &Utf8Path) -> String {
    if !path.is_absolute() {
        return path.to_string();
    }
    let mut uri = "file://".to_owned();
    for byte in path.as_str().bytes() {
        if byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            uri.push_str(&format!("%{byte:02X}"));
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris_and_paths() {
        for path in ["/a/b.toml", "/a b/\u{e9}#%.toml", "/"] {
            assert_eq!(path_of(&uri_of(Utf8Path::new(path))), path);
        }
        assert_eq!(path_of("file:///a%20b/c%3a.toml"), "/a b/c:.toml");
        assert_eq!(path_of("file:///a%zz%"), "/a%zz%");
        assert_eq!(path_of("untitled:Untitled-1"), "untitled:Untitled-1");
    }

    #[test]
    fn changes_are_taken_over_in_their_order() {
        let mut documents = Documents::default();
        documents.open("file:///nowhere/x.toml", "a\r\n\u{1f600}b\n".to_owned());
        let at = |line: u32, column: u32| json!({ "line": line, "character": column });
        let changes = [
            json!({ "range": { "start": at(1, 2), "end": at(1, 3) }, "text": "cd" }),
            json!({ "range": { "start": at(0, 0), "end": at(0, 1) }, "text": "" }),
            json!({ "range": { "start": at(9, 9), "end": at(9, 9) }, "text": "end" }),
            json!({ "range": "nonsense", "text": "lost" }),
        ];
        let page = documents.change("file:///nowhere/x.toml", &changes, Unit::Utf16).unwrap();
        assert_eq!(page.text, "\r\n\u{1f600}cd\nend");
        let page = documents.change("file:///nowhere/x.toml", &[json!({ "text": "new" })], Unit::Utf16).unwrap();
        assert_eq!(page.text, "new");
        assert!(documents.change("file:///nowhere/y.toml", &[], Unit::Utf16).is_none());
        assert!(
            documents.close("file:///nowhere/x.toml").is_some() && documents.get("file:///nowhere/x.toml").is_none()
        );
    }
}
