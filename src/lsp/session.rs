//! What a session remembers: open documents, the plans they are parts of, what the client was told. Hands requests to
//! those who answer them.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use camino::Utf8PathBuf;
use lsp_server::{ErrorCode, Message, Request};
use serde_json::{Value as Json, json};

use super::documents::{Documents, Page};
use super::position::{Position, Unit};
use super::project::{Project, root_of};
use super::wire::notification;
use super::{World, actions, complete, diagnostics, hover, jump, lens, rename};
use crate::edit::layout;

/// Why a request is not answered.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) code: ErrorCode,
    pub(super) message: String,
}

impl Refused {
    pub(super) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    fn params(what: &str) -> Self {
        Self::new(ErrorCode::InvalidParams, format!("the request has no {what}"))
    }
}

pub(super) type Answer = Result<Json, Refused>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    New,
    Running,
    ShutDown,
}

/// What a client can.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Client {
    pub(super) unit: Unit,
    /// Completions with places to fill in.
    pub(super) snippets: bool,
    /// Edits with versions of documents.
    pub(super) document_changes: bool,
    /// Symbols within symbols.
    pub(super) nested_symbols: bool,
    /// Code actions that are no commands.
    pub(super) literal_actions: bool,
    /// It can be asked to tell of files that change on the disk.
    watches: bool,
}

pub(super) struct Session<'w> {
    world: &'w World<'w>,
    phase: Phase,
    client: Client,
    documents: Documents,
    /// By main file.
    projects: BTreeMap<Utf8PathBuf, Project>,
    /// The main file of each open document's plan.
    roots: BTreeMap<Utf8PathBuf, Utf8PathBuf>,
    /// What each file was last said to have, so that nothing is said twice.
    published: BTreeMap<String, Json>,
    /// To the client.
    pub(super) out: Vec<Message>,
}

/// A request about a place in a document.
pub(super) struct Asked<'s> {
    pub(super) page: Rc<Page>,
    pub(super) at: usize,
    pub(super) project: Option<&'s Project>,
    pub(super) documents: &'s Documents,
    pub(super) world: &'s World<'s>,
    pub(super) client: Client,
    pub(super) params: &'s Json,
}

impl Asked<'_> {
    /// All pages of the plan, or the document alone.
    pub(super) fn pages(&self) -> Vec<Rc<Page>> {
        let mut pages = self.project.map(|project| project.now(self.documents)).unwrap_or_default();
        if !pages.iter().any(|page| page.path == self.page.path) {
            pages.push(self.page.clone());
        }
        pages
    }
}

impl<'w> Session<'w> {
    pub(super) fn new(world: &'w World<'w>) -> Self {
        Self {
            world,
            phase: Phase::New,
            client: Client::default(),
            documents: Documents::default(),
            projects: BTreeMap::new(),
            roots: BTreeMap::new(),
            published: BTreeMap::new(),
            out: Vec::new(),
        }
    }

    pub(super) fn was_shut_down(&self) -> bool {
        self.phase == Phase::ShutDown
    }

    pub(super) fn is_stale(&self) -> bool {
        self.phase == Phase::Running && self.projects.values().any(|project| project.stale)
    }

    /// Checks plans whose texts changed, and says what is wrong with them now.
    pub(super) fn refresh(&mut self) {
        for project in self.projects.values_mut().filter(|project| project.stale) {
            project.load(&self.documents, self.world);
        }
        self.publish();
    }

    /// After a panic: the same texts would only fail again.
    pub(super) fn give_up(&mut self) {
        self.projects.values_mut().for_each(|project| project.stale = false);
        let params = json!({ "type": 1, "message": "the plan could not be checked: this is a bug in runplan" });
        self.out.push(notification("window/logMessage", params));
    }

    fn publish(&mut self) {
        let mut now: BTreeMap<String, Json> = BTreeMap::new();
        for project in self.projects.values() {
            for (uri, list) in diagnostics::of(project, &self.documents, self.client.unit) {
                now.entry(uri).or_insert(list);
            }
        }
        let gone: Vec<String> = self.published.keys().filter(|uri| !now.contains_key(*uri)).cloned().collect();
        for uri in gone {
            self.published.remove(&uri);
            let params = json!({ "uri": uri, "diagnostics": [] });
            self.out.push(notification("textDocument/publishDiagnostics", params));
        }
        for (uri, list) in now {
            let before = self.published.get(&uri);
            // Of a file that is not open, nothing is said unless something is wrong with it.
            let silent = before.is_none() && list == json!([]) && self.documents.get(&uri).is_none();
            if before != Some(&list) && !silent {
                let params = json!({ "uri": uri, "diagnostics": list });
                self.out.push(notification("textDocument/publishDiagnostics", params));
                self.published.insert(uri, list);
            }
        }
    }

    /// A notification; unknown ones mean nothing.
    pub(super) fn note(&mut self, method: &str, params: &Json) {
        if self.phase != Phase::Running {
            return;
        }
        let document = params.get("textDocument").unwrap_or(&Json::Null);
        let uri = document.get("uri").and_then(Json::as_str).unwrap_or("");
        match method {
            "initialized" if self.client.watches => {
                let watchers = json!({ "watchers": [{ "globPattern": "**/*.toml" }] });
                let one =
                    json!({ "id": "plans", "method": "workspace/didChangeWatchedFiles", "registerOptions": watchers });
                let params = json!({ "registrations": [one] });
                let method = "client/registerCapability".to_owned();
                self.out.push(Request { id: "plans".to_owned().into(), method, params }.into());
            }
            "textDocument/didOpen" => {
                let text = document.get("text").and_then(Json::as_str).unwrap_or("");
                if !uri.is_empty() {
                    self.documents.open(uri, text.to_owned());
                    self.settle();
                    self.touch(uri);
                }
            }
            "textDocument/didChange" => {
                let changes = params.get("contentChanges").and_then(Json::as_array);
                let before = self.documents.get(uri);
                let after = changes.and_then(|list| self.documents.change(uri, list, self.client.unit));
                if let (Some(before), Some(after)) = (before, after)
                    && before.text != after.text
                {
                    let (old, new) = (before.sheet(), after.sheet());
                    if old.named_files != new.named_files || old.is_plan != new.is_plan {
                        self.settle();
                    }
                    self.touch(uri);
                }
            }
            "textDocument/didClose" => {
                self.touch(uri);
                self.documents.close(uri);
                self.settle();
            }
            "textDocument/didSave" | "workspace/didChangeWatchedFiles" => {
                self.settle();
                self.projects.values_mut().for_each(|project| project.stale = true);
            }
            _ => {}
        }
    }

    /// Marks the plans of a document as changed.
    fn touch(&mut self, uri: &str) {
        let Some(page) = self.documents.get(uri) else { return };
        let root = self.roots.get(&page.path);
        for project in self.projects.values_mut() {
            project.stale |= project.has(&page.path) || root == Some(&project.root);
        }
    }

    /// Which plan each open document belongs to; plans of which none is open are forgotten.
    fn settle(&mut self) {
        let pages: Vec<Rc<Page>> = self.documents.all().cloned().collect();
        self.roots =
            pages.iter().filter_map(|page| Some((page.path.clone(), root_of(page, &self.documents)?))).collect();
        let wanted: BTreeSet<&Utf8PathBuf> = self.roots.values().collect();
        let before = self.projects.len();
        self.projects.retain(|root, _| wanted.contains(root));
        let mut changed = self.projects.len() != before;
        for root in wanted {
            if !self.projects.contains_key(root) {
                self.projects.insert(root.clone(), Project::new(root.clone()));
                changed = true;
            }
        }
        if changed {
            self.publish();
        }
    }

    /// Answers a request.
    pub(super) fn request(&mut self, method: &str, params: &Json) -> Answer {
        match (self.phase, method) {
            (Phase::New, "initialize") => {
                self.phase = Phase::Running;
                self.client = client(params);
                return Ok(capabilities(self.client.unit));
            }
            (Phase::New, _) => {
                return Err(Refused::new(ErrorCode::ServerNotInitialized, "`initialize` comes first"));
            }
            (Phase::Running, "initialize") => {
                return Err(Refused::new(ErrorCode::InvalidRequest, "the session is initialized already"));
            }
            (Phase::Running, "shutdown") => {
                self.phase = Phase::ShutDown;
                return Ok(Json::Null);
            }
            (Phase::ShutDown, _) => {
                return Err(Refused::new(ErrorCode::InvalidRequest, "the session is shut down"));
            }
            (Phase::Running, _) => {}
        }
        type Handler = fn(&Asked<'_>) -> Answer;
        let (handler, at_place): (Handler, bool) = match method {
            "textDocument/completion" => (complete::completion, true),
            "textDocument/hover" => (hover::hover, true),
            "textDocument/definition" | "textDocument/declaration" => (jump::definition, true),
            "textDocument/references" => (jump::references, true),
            "textDocument/documentHighlight" => (jump::highlight, true),
            "textDocument/prepareRename" => (rename::prepare, true),
            "textDocument/rename" => (rename::rename, true),
            "textDocument/documentSymbol" => (jump::symbols, false),
            "textDocument/codeAction" => (actions::actions, false),
            "textDocument/codeLens" => (lens::lenses, false),
            "textDocument/formatting" => (formatting, false),
            _ => {
                return Err(Refused::new(ErrorCode::MethodNotFound, format!("`{method}` is not supported")));
            }
        };
        let uri = params.get("textDocument").and_then(|document| document.get("uri")).and_then(Json::as_str);
        let page = uri.and_then(|uri| self.documents.get(uri)).ok_or_else(|| Refused::params("open document"))?;
        let position = params.get("position").and_then(Position::read);
        if at_place && position.is_none() {
            return Err(Refused::params("position"));
        }
        let root = self.roots.get(&page.path).cloned();
        if let Some(project) = root.as_ref().and_then(|root| self.projects.get_mut(root))
            && project.good.is_none()
        {
            // Asked before it was ever checked.
            project.load(&self.documents, self.world);
            self.publish();
        }
        let at = position.map_or(0, |position| page.offset(position, self.client.unit));
        handler(&Asked {
            page,
            at,
            project: root.as_ref().and_then(|root| self.projects.get(root)),
            documents: &self.documents,
            world: self.world,
            client: self.client,
            params,
        })
    }
}

/// The canonical layout, as `runplan fmt` writes it.
fn formatting(asked: &Asked<'_>) -> Answer {
    let Some(text) = layout::formatted(&asked.page.text) else {
        return Err(Refused::new(ErrorCode::RequestFailed, "the text is not valid TOML: nothing is laid out"));
    };
    if text == asked.page.text || asked.project.is_none() {
        return Ok(json!([]));
    }
    let range = asked.page.range(&(0..asked.page.text.len()), asked.client.unit);
    Ok(json!([{ "range": range, "newText": text }]))
}

fn client(params: &Json) -> Client {
    let at = |path: &str| params.pointer(&format!("/capabilities/{path}"));
    let can = |path: &str| at(path).and_then(Json::as_bool).unwrap_or(false);
    let offered = at("general/positionEncodings").and_then(Json::as_array);
    let utf8 = offered.is_some_and(|list| list.iter().any(|unit| unit == "utf-8"));
    Client {
        unit: if utf8 { Unit::Utf8 } else { Unit::Utf16 },
        snippets: can("textDocument/completion/completionItem/snippetSupport"),
        document_changes: can("workspace/workspaceEdit/documentChanges"),
        nested_symbols: can("textDocument/documentSymbol/hierarchicalDocumentSymbolSupport"),
        literal_actions: at("textDocument/codeAction/codeActionLiteralSupport").is_some(),
        watches: can("workspace/didChangeWatchedFiles/dynamicRegistration"),
    }
}

fn capabilities(unit: Unit) -> Json {
    json!({
        "capabilities": {
            "positionEncoding": if unit == Unit::Utf8 { "utf-8" } else { "utf-16" },
            "textDocumentSync": { "openClose": true, "change": 2, "save": { "includeText": false } },
            "completionProvider": { "triggerCharacters": ["\"", "'", ".", "[", "{", "(", "=", " "] },
            "hoverProvider": true,
            "definitionProvider": true,
            "declarationProvider": true,
            "referencesProvider": true,
            "documentHighlightProvider": true,
            "documentSymbolProvider": true,
            "renameProvider": { "prepareProvider": true },
            "codeActionProvider": { "codeActionKinds": ["quickfix"] },
            "codeLensProvider": { "resolveProvider": false },
            "documentFormattingProvider": true,
        },
        "serverInfo": { "name": "runplan", "version": env!("CARGO_PKG_VERSION") },
    })
}
