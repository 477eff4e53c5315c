//! Reads plan files, the only place that does: from the main file through its includes, each once, within bounds.
//! Knows TOML syntax and the key `include`, nothing else of a plan.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read as _;
use std::ops::Range;
use std::sync::Arc;

use camino::{Utf8Path, Utf8PathBuf};
use toml::de::DeTable;

use super::diags::Diags;
use super::error::Diagnostic;
use super::keys::Kind;
use super::plain;
use super::tables;
use super::tree::{Node, Table, Tree};
use crate::ids::FileId;
use crate::place::{Place, Source, Sources};

/// Most bytes of one file. Room for as many generated steps as a plan may have (100,000, of 80 bytes each), and little
/// enough to answer at once where somebody names a log or a dump by mistake.
const MOST_BYTES: u64 = 8 << 20;
/// Most files of one plan.
const MOST_FILES: usize = 256;
/// Deepest chain of includes.
const DEEPEST: usize = 16;
/// Most syntax errors reported of one file.
const MOST_SYNTAX: usize = 20;

/// A parsed file.
pub(super) struct Doc {
    /// Which file.
    pub(super) file: FileId,
    /// It has syntax errors: its tree is only a part.
    pub(super) broken: bool,
    /// Its tree, as far as it could be read.
    tree: Tree,
}

impl Doc {
    pub(super) fn root(&self) -> Table<'_> {
        self.root_as(&tables::DOCUMENT)
    }

    /// The root of a file that is no plan.
    pub(super) fn root_as(&self, kind: &'static Kind) -> Table<'_> {
        Table::root(&self.tree, kind)
    }
}

/// All files of a plan.
#[derive(Default)]
pub(super) struct Files {
    /// Included files before the one that includes them.
    pub(super) docs: Vec<Doc>,
    /// Their texts, the main one first.
    pub(super) sources: Arc<Sources>,
    /// A file could not be read: what is missing may stand there.
    pub(super) partial: bool,
    /// The file that `waivers` names.
    pub(super) waivers: Option<Doc>,
}

/// Reads the main file and everything it includes.
pub(super) fn read(path: &Utf8Path, diags: &mut Diags) -> Files {
    Reader::default().whole(path, diags)
}

/// As [`read`], with the texts of open files before those on the disk.
pub(super) fn read_open(path: &Utf8Path, open: OpenTexts<'_>, diags: &mut Diags) -> Files {
    Reader { unsaved: Some(open), ..Reader::default() }.whole(path, diags)
}

/// Text of a path, links resolved, that is open somewhere.
pub(super) type OpenTexts<'a> = &'a dyn Fn(&Utf8Path) -> Option<String>;

/// A main file that is already in memory; what it includes is read relative to `name`.
pub(super) fn from_text(name: &Utf8Path, text: &str, diags: &mut Diags) -> Files {
    let mut reader = Reader::default();
    match checked(name, text.as_bytes().to_vec()) {
        Ok(text) => reader.main(name, text, diags),
        Err(fault) => {
            reader.sources.files.push(source(name, String::new()));
            reader.partial = true;
            diags.push(*fault);
        }
    }
    reader.finish()
}

/// A plan whose texts were kept, by path: nothing is read from the disk.
pub(super) fn from_kept(path: &Utf8Path, texts: HashMap<Utf8PathBuf, String>, diags: &mut Diags) -> Files {
    Reader { kept: Some(texts), ..Reader::default() }.whole(path, diags)
}

/// The text of a plan-like file (`--var-file`), with the same checks.
pub(super) fn text_of(path: &Utf8Path) -> Result<String, Box<Diagnostic>> {
    let fault =
        |message: String, help: &str| Box::new(Diagnostic::global("unreadable-file", message).help(help.to_owned()));
    let name = super::error::clean(path.as_str());
    let meta = std::fs::metadata(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            fault(format!("no such file: `{name}`"), "check the path; it is relative to where you stand")
        }
        _ => fault(format!("cannot read `{name}`: {error}"), "check its permissions"),
    })?;
    if meta.is_dir() {
        return Err(fault(
            format!("`{name}` is a directory"),
            &format!("name the plan file: `{}`", path.join("blueprint.toml")),
        ));
    }
    if !meta.is_file() {
        return Err(fault(format!("`{name}` is not a regular file"), "a plan is read from a file"));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(meta.len().min(MOST_BYTES)).unwrap_or(0) + 1);
    let read = File::open(path).and_then(|file| file.take(MOST_BYTES + 1).read_to_end(&mut bytes));
    read.map_err(|error| fault(format!("cannot read `{name}`: {error}"), "check its permissions"))?;
    checked(path, bytes)
}

fn checked(path: &Utf8Path, bytes: Vec<u8>) -> Result<String, Box<Diagnostic>> {
    let name = super::error::clean(path.as_str());
    let fault = |code, message: String, help: &str| Box::new(Diagnostic::global(code, message).help(help.to_owned()));
    if bytes.len() as u64 > MOST_BYTES {
        return Err(fault(
            "file-too-large",
            format!("`{name}` is larger than {} MiB", MOST_BYTES >> 20),
            "split it with `include`, or generate fewer steps by `matrix` and `foreach`",
        ));
    }
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Err(fault("not-utf8", format!("`{name}` is UTF-16"), "save it as UTF-8"));
    }
    let (bytes, at, code) = match String::from_utf8(bytes) {
        Ok(text) => match text.find('\0') {
            None => return Ok(text),
            Some(at) => (text.into_bytes(), at, "nul"),
        },
        Err(error) => {
            let at = error.utf8_error().valid_up_to();
            (error.into_bytes(), at, "not-utf8")
        }
    };
    let before = String::from_utf8_lossy(&bytes[..at]);
    let (line, column) =
        (before.matches('\n').count() + 1, before.rsplit('\n').next().unwrap_or("").chars().count() + 1);
    let place = format!("at line {line}, column {column}");
    Err(if code == "nul" {
        fault(code, format!("`{name}` has a NUL byte {place}"), "a plan is text: remove it, if this is a plan at all")
    } else {
        fault(code, format!("`{name}` is not UTF-8: byte 0x{:02x} {place}", bytes[at]), "save it as UTF-8")
    })
}

#[derive(Default)]
struct Reader<'a> {
    docs: Vec<Doc>,
    sources: Sources,
    partial: bool,
    waivers: Option<Doc>,
    /// Where each file was included, by its path with links resolved; the main file has no place.
    known: HashMap<Utf8PathBuf, Option<Place>>,
    /// The chain of files being read.
    open: Vec<Utf8PathBuf>,
    /// Texts that stand for those on the disk.
    kept: Option<HashMap<Utf8PathBuf, String>>,
    /// Texts that are newer than those on the disk.
    unsaved: Option<OpenTexts<'a>>,
}

impl Reader<'_> {
    fn whole(mut self, path: &Utf8Path, diags: &mut Diags) -> Files {
        match self.text(path) {
            Ok(text) => self.main(path, text, diags),
            Err(fault) => {
                self.sources.files.push(source(path, String::new()));
                self.partial = true;
                diags.push(*fault);
            }
        }
        self.finish()
    }

    fn finish(self) -> Files {
        Files { docs: self.docs, sources: Arc::new(self.sources), partial: self.partial, waivers: self.waivers }
    }

    fn text(&self, path: &Utf8Path) -> Result<String, Box<Diagnostic>> {
        if let Some(open) = self.unsaved
            && let Some(text) = open(&path.canonicalize_utf8().unwrap_or_else(|_| path.to_owned()))
        {
            return checked(path, text.into_bytes());
        }
        let Some(kept) = &self.kept else { return text_of(path) };
        let missing = || Box::new(Diagnostic::global("unreadable-file", format!("`{path}` was not kept with the run")));
        kept.get(path).cloned().ok_or_else(missing)
    }

    fn main(&mut self, path: &Utf8Path, text: String, diags: &mut Diags) {
        let identity = path.canonicalize_utf8().unwrap_or_else(|_| path.to_owned());
        self.known.insert(identity.clone(), None);
        if text.trim_start_matches('\u{feff}').trim().is_empty() {
            self.sources.files.push(source(path, text));
            self.partial = true;
            let help = "a plan begins with `format = 1` and has at least one `[steps.NAME]`";
            diags.push(Diagnostic::global("empty-file", format!("`{path}` is empty")).help(help));
            return;
        }
        self.file(path, identity, text, diags);
        let main = self.docs.iter().find(|doc| doc.file == FileId(0)).and_then(|doc| doc.root().get("waivers"));
        if let Some((target, place)) = main.and_then(|node| Some((node.text()?.to_owned(), node.place))) {
            self.accepted(path, &target, place, diags);
        }
    }

    /// The file of waivers: a source of the plan like any other, so its digest is the plan's.
    fn accepted(&mut self, main: &Utf8Path, target: &str, place: Place, diags: &mut Diags) {
        let path = main.parent().unwrap_or(Utf8Path::new("")).join(target);
        match (self.text(&path), u16::try_from(self.sources.files.len())) {
            (Ok(text), Ok(id)) => {
                let source = source(&path, text);
                let (tree, broken) = parse(&source, FileId(id), diags);
                self.sources.files.push(source);
                self.waivers = Some(Doc { file: FileId(id), broken, tree });
            }
            (Err(fault), _) => {
                let help = "`waivers` is relative to the plan file's folder";
                diags.push(Diagnostic::error("bad-waivers", place, fault.message).help(help));
            }
            (Ok(_), Err(_)) => {}
        }
    }

    /// Parses one file and reads what it includes; the file itself comes after.
    fn file(&mut self, path: &Utf8Path, identity: Utf8PathBuf, text: String, diags: &mut Diags) {
        let Ok(id) = u16::try_from(self.sources.files.len()) else { return };
        let file = FileId(id);
        let source = source(path, text);
        let (tree, broken) = parse(&source, file, diags);
        self.sources.files.push(source);
        let doc = Doc { file, broken, tree };
        self.open.push(identity);
        let includes: Vec<(String, Place)> = doc
            .root()
            .get("include")
            .into_iter()
            .flat_map(Node::items)
            .filter_map(|node| Some((node.text()?.to_owned(), node.place)))
            .collect();
        for (target, place) in includes {
            self.include(path, &target, place, diags);
        }
        self.open.pop();
        self.docs.push(doc);
    }

    fn include(&mut self, from: &Utf8Path, target: &str, place: Place, diags: &mut Diags) {
        let folder = from.parent().unwrap_or(Utf8Path::new(""));
        let path = folder.join(target);
        let identity = path.canonicalize_utf8().unwrap_or_else(|_| path.clone());
        if self.open.contains(&identity) {
            let chain: Vec<&str> =
                self.open.iter().skip_while(|open| **open != identity).filter_map(|open| open.file_name()).collect();
            let message =
                format!("`{target}` includes itself: {} → {}", chain.join(" → "), chain.first().unwrap_or(&target));
            diags.push(Diagnostic::error("include-cycle", place, message).help("remove one of these includes"));
            return;
        }
        if let Some(first) = self.known.get(&identity) {
            let mut fault = Diagnostic::error("include-twice", place, format!("`{target}` is included twice"));
            if let Some(first) = first {
                fault = fault.related(*first, "first included here");
            }
            diags.push(fault.help("remove one of the two"));
            return;
        }
        self.known.insert(identity.clone(), Some(place));
        if self.open.len() >= DEEPEST || self.sources.files.len() >= MOST_FILES {
            let message = format!("too many includes: at most {MOST_FILES} files, {DEEPEST} deep");
            diags.push(Diagnostic::error("too-many-includes", place, message));
            return;
        }
        match self.text(&path) {
            Ok(text) => self.file(&path, identity, text, diags),
            Err(fault) => {
                self.partial = true;
                let help = match (path.is_dir(), fault.code) {
                    (true, _) => {
                        format!("name the files in it: such as `{}`", Utf8Path::new(target).join("checks.toml"))
                    }
                    (_, "unreadable-file") => format!(
                        "`include` paths are relative to the including file's folder (`{}`)",
                        if folder.as_str().is_empty() { "." } else { folder.as_str() }
                    ),
                    _ => fault.help.clone().unwrap_or_default(),
                };
                let code = if fault.code == "unreadable-file" { "bad-include" } else { fault.code };
                diags.push(Diagnostic::error(code, place, fault.message).help(help));
            }
        }
    }
}

/// Parses a text; says whether it had syntax errors.
fn parse(source: &Arc<Source>, file: FileId, diags: &mut Diags) -> (Tree, bool) {
    if let Some(tree) = plain::read(source, file) {
        return (tree, false);
    }
    let text = source.text.as_str();
    let (tree, errors) = DeTable::parse_recoverable(text);
    let mut said = 0;
    let mut end_of_last: Option<usize> = None;
    // The parser looks several times, so its errors are not in the order of the text.
    let mut errors: Vec<_> =
        errors.iter().map(|error| (error.span().unwrap_or_else(|| deepest(text)), error)).collect();
    errors.sort_by_key(|(span, _)| span.start);
    for (span, error) in &errors {
        // One region, one error: what follows on the next lines mostly comes of the first.
        let near = end_of_last
            .is_some_and(|end| text.get(end..span.start.max(end)).is_none_or(|gap| gap.matches('\n').count() <= 3));
        end_of_last = Some(span.end.max(end_of_last.unwrap_or(0)));
        if near || said == MOST_SYNTAX {
            continue;
        }
        said += 1;
        let (message, help) = friendly(error.message());
        let place = Place::new(file, span.start.min(text.len())..span.end.min(text.len()));
        diags.push(Diagnostic::error("syntax", place, message).label("here").hint(help));
    }
    (Tree::of(source.clone(), file, tree.into_inner()), !errors.is_empty())
}

fn source(path: &Utf8Path, text: String) -> Arc<Source> {
    Arc::new(Source::new(path.to_string(), text))
}

/// The line with the longest dotted key: the parser does not say where one is too long.
fn deepest(text: &str) -> Range<usize> {
    let mut start = 0;
    let mut found = (0, 0..0);
    for line in text.split_inclusive('\n') {
        let dots = line.split('"').step_by(2).map(|part| part.matches('.').count()).sum();
        if dots > found.0 {
            found = (dots, start..start + line.trim_end().len());
        }
        start += line.len();
    }
    found.1
}

/// The parser's words, made a sentence a stranger can act on.
fn friendly(message: &str) -> (String, Option<String>) {
    let has = |word: &str| message.contains(word);
    let help = if has("recurs") {
        return ("values are nested too deeply".to_owned(), Some("a plan needs no more than a few levels".to_owned()));
    } else if has("duplicate key") {
        "a name may stand only once in its table; rename or merge the two"
    } else if has("string values must be quoted") || has("invalid boolean") {
        let help = "text values stand in quotes: `name = \"value\"`; others are numbers, `true` and `false`";
        return ("not valid TOML: a word without quotes".to_owned(), Some(help.to_owned()));
    } else if has("visible characters") && !has("expected `") {
        let help = "write it as an escape, such as `\\u001b`";
        return ("not valid TOML: a control character in a text".to_owned(), Some(help.to_owned()));
    } else if has("escaped value") {
        let help = "in \"…\" write `\\\\` for a backslash, or use '…', where it stands for itself";
        return ("not valid TOML: unknown escape after `\\`".to_owned(), Some(help.to_owned()));
    } else if has("missing value") || has("unquoted") {
        "text values stand in quotes: `name = \"value\"`"
    } else if has("unclosed array") || has("array elements") {
        "close the list with `]` and put a comma between its elements"
    } else if has("unclosed table") || has("unclosed inline table") {
        "close it on the same level: `[steps.name]` or `{ key = value }`"
    } else if has("invalid basic string") || has("literal string") {
        "close the string with the quote that opened it; for `\\` use '…' quotes"
    } else if has("key with no value") || has("expected `=`") {
        "every key needs a value: `key = value`"
    } else {
        ""
    };
    let message = message.trim_end_matches(", expected nothing");
    (format!("not valid TOML: {message}"), (!help.is_empty()).then(|| help.to_owned()))
}

/// The values of a `--var-file`: TOML, `name = value`.
pub(super) fn values_of(path: &Utf8Path) -> Result<Tree, Box<Diagnostic>> {
    let source = source(path, text_of(path)?);
    let (tree, errors) = DeTable::parse_recoverable(&source.text);
    if let Some(error) = errors.first() {
        let (line, column) = source.line_col(error.span().map_or(0, |span| span.start));
        let (message, help) = friendly(error.message());
        let fault = Diagnostic::global("syntax", format!("`{path}` line {line}, column {column}: {message}"));
        return Err(Box::new(fault.hint(help)));
    }
    Ok(Tree::of(source.clone(), FileId(0), tree.into_inner()))
}
