//! The server as an editor sees it: texts with a cursor (`|`) in them, and what comes back.

mod protocol;

use std::collections::BTreeMap;
use std::fs;
use std::io::Cursor;

use camino::{Utf8Path, Utf8PathBuf};
use lsp_server::Message;
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::documents::uri_of;
use super::session::Session;
use super::{Checked, Ended, Last, Texts, World, serve};
use crate::graph;
use crate::plan::{self, LoadOptions, Plan, Step};

fn check(path: &Utf8Path, texts: Texts<'_>) -> Checked {
    let options =
        LoadOptions { vars: Vec::new(), var_files: Vec::new(), env: &|_| None, today: "2026-11-24", strict: false };
    let mut loaded = plan::load_open(path, texts, &options);
    let graph = graph::build(&loaded.plan).map_err(|faults| loaded.diagnostics.extend(faults)).ok();
    Checked { loaded, graph }
}

fn last(plan: &Plan) -> BTreeMap<String, Last> {
    let one = || Last { state: "fail".to_owned(), took: Some("1.20s".to_owned()), when: "2026-11-23".to_owned() };
    plan.steps.iter().take(1).map(|step| (step.name.clone(), one())).collect()
}

fn does(step: &Step) -> String {
    step.action.kind().word().to_owned()
}

const WORLD: World<'static> = World { check: &check, last: &last, does: &does };

/// A session over a folder of files; the first one is open.
struct Desk {
    folder: tempfile::TempDir,
    session: Session<'static>,
}

impl Desk {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        let mut desk = Self { folder, session: Session::new(&WORLD) };
        let capabilities = json!({
            "textDocument": {
                "completion": { "completionItem": { "snippetSupport": true } },
                "documentSymbol": { "hierarchicalDocumentSymbolSupport": true },
                "codeAction": { "codeActionLiteralSupport": {} },
            },
        });
        desk.session.request("initialize", &json!({ "capabilities": capabilities })).unwrap();
        desk.open(files[0].0, files[0].1);
        desk
    }

    fn path(&self, name: &str) -> Utf8PathBuf {
        Utf8PathBuf::from_path_buf(self.folder.path().canonicalize().unwrap().join(name)).unwrap()
    }

    fn uri(&self, name: &str) -> String {
        uri_of(&self.path(name))
    }

    fn open(&mut self, name: &str, text: &str) {
        let document = json!({ "uri": self.uri(name), "languageId": "toml", "version": 1, "text": text });
        self.session.note("textDocument/didOpen", &json!({ "textDocument": document }));
        if self.session.is_stale() {
            self.session.refresh();
        }
    }

    fn write(&mut self, name: &str, text: &str) {
        let params =
            json!({ "textDocument": { "uri": self.uri(name), "version": 2 }, "contentChanges": [{ "text": text }] });
        self.session.note("textDocument/didChange", &params);
    }

    /// Diagnostics said since the last time: by file, `code line:column-column message`.
    fn said(&mut self) -> BTreeMap<String, Vec<String>> {
        if self.session.is_stale() {
            self.session.refresh();
        }
        let mut said = BTreeMap::new();
        for message in self.session.out.drain(..) {
            let Message::Notification(note) = message else { continue };
            if note.method != "textDocument/publishDiagnostics" {
                continue;
            }
            let file = note.params["uri"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
            let one = |d: &Json| {
                let (start, end) = (&d["range"]["start"], &d["range"]["end"]);
                let message = d["message"].as_str().unwrap();
                format!(
                    "{} {}:{}-{} {message}",
                    d["code"].as_str().unwrap(),
                    start["line"],
                    start["character"],
                    end["character"]
                )
            };
            let list = note.params["diagnostics"].as_array().unwrap();
            said.insert(file, list.iter().map(one).collect());
        }
        said
    }

    /// Asks at the cursor of a text that takes the place of a file's.
    fn ask(&mut self, name: &str, marked: &str, method: &str, more: Json) -> Json {
        let at = marked.find('|').expect("a cursor");
        let text = marked.replacen('|', "", 1);
        self.write(name, &text);
        let line = text[..at].matches('\n').count();
        let column = text[..at].rsplit('\n').next().unwrap().encode_utf16().count();
        let mut params =
            json!({ "textDocument": { "uri": self.uri(name) }, "position": { "line": line, "character": column } });
        if let (Json::Object(params), Json::Object(more)) = (&mut params, more) {
            params.extend(more);
        }
        self.session
            .request(&format!("textDocument/{method}"), &params)
            .unwrap_or_else(|refused| json!(refused.message))
    }

    /// Labels that are offered and begin with what is typed, in their order.
    fn offers(&mut self, marked: &str) -> Vec<String> {
        let at = marked.find('|').unwrap();
        let answer = self.ask("blueprint.toml", marked, "completion", json!({}));
        let line = marked[..at].rsplit('\n').next().unwrap();
        let items = answer["items"].as_array().cloned().unwrap_or_default();
        let fits = |item: &&Json| {
            let start = &item["textEdit"]["range"]["start"];
            assert_eq!(start["line"], marked[..at].matches('\n').count(), "{item}");
            let typed: String =
                line.chars().skip(usize::try_from(start["character"].as_u64().unwrap()).unwrap()).collect();
            item["label"].as_str().unwrap().starts_with(&typed)
        };
        items.iter().filter(fits).map(|item| item["label"].as_str().unwrap().to_owned()).collect()
    }

    /// What a text becomes when the only (or this) offer is taken.
    fn taken(&mut self, marked: &str, label: &str) -> String {
        let answer = self.ask("blueprint.toml", marked, "completion", json!({}));
        let items = answer["items"].as_array().expect("offers");
        let item = items.iter().find(|item| item["label"] == label).unwrap_or_else(|| panic!("{label}: {items:?}"));
        edited(&marked.replacen('|', "", 1), &[item["textEdit"].clone()])
    }
}

/// A text after edits (ASCII only).
fn edited(text: &str, edits: &[Json]) -> String {
    let lines = super::position::Lines::of(text);
    let offset = |json: &Json| {
        let position = super::position::Position::read(json).unwrap();
        lines.offset(text, position, super::position::Unit::Utf16)
    };
    let mut spans: Vec<(usize, usize, &str)> = edits
        .iter()
        .map(|edit| (offset(&edit["range"]["start"]), offset(&edit["range"]["end"]), edit["newText"].as_str().unwrap()))
        .collect();
    spans.sort_unstable();
    let mut out = text.to_owned();
    for (start, end, new) in spans.into_iter().rev() {
        out.replace_range(start..end, new);
    }
    out
}

const PLAN: &str = r#"format = 1
[vars]
base = "http://127.0.0.1:1"
port = 80
[pools]
db = 1
[secrets]
token = { env = "TOKEN" }
[steps.build]
title = "Builds it"
run = ["make", "{{ vars.base }}"]
tags = ["quick"]
outputs = { values = ["version"] }
[steps.test]
run = "true"
needs = ["build"]
pool = "db"
[steps.deploy]
run = ["x", "{{ steps.build.outputs.version }}"]
needs = ["test", "build"]
"#;

fn desk() -> Desk {
    Desk::new(&[("blueprint.toml", PLAN)])
}

#[test]
fn steps_are_offered_that_close_no_circle() {
    let mut desk = desk();
    let with = |step: &str| format!("{PLAN}[steps.new]\nrun = 'x'\n{step}");
    assert_eq!(desk.offers(&with("needs = [\"bu|\"]")), ["build"]);
    assert_eq!(desk.offers(&with("needs = [\"|\"]")), ["build", "test", "deploy"]);
    assert_eq!(desk.offers(&with("needs = [\"build\", \"|\"]")), ["test", "deploy"]);
    assert_eq!(desk.offers(&with("after = ['|")), ["build", "test", "deploy"]);
    assert_eq!(desk.offers(&with("needs = [|]")), ["\"build\"", "\"test\"", "\"deploy\"", "\"\""]);
    assert_eq!(desk.offers(&with("needs = |"))[..1], ["[\"build\"]"]);
    // `test` and `deploy` wait for `build`, so it can't wait for them, nor for itself.
    assert_eq!(desk.offers(&PLAN.replace("title = \"Builds it\"", "needs = [\"|\"]")), Vec::<String>::new());
    assert_eq!(desk.offers(&PLAN.replace("needs = [\"build\"]", "needs = [\"|\"]")), ["build"]);
    assert_eq!(desk.taken(&with("needs = [\"bu|i\"]\n"), "build"), with("needs = [\"build\"]\n"));
}

#[test]
fn of_very_many_steps_those_are_offered_that_fit() {
    let many: String = (0..900).map(|at| format!("[steps.s-{at}]\nrun = 'x'\n")).collect();
    let text = format!("format = 1\n{many}[steps.new]\nrun = 'x'\n");
    let mut desk = Desk::new(&[("blueprint.toml", &text)]);
    let answer = desk.ask("blueprint.toml", &format!("{text}needs = [\"s77|\"]\n"), "completion", json!({}));
    let labels: Vec<&str> =
        answer["items"].as_array().unwrap().iter().filter_map(|item| item["label"].as_str()).collect();
    assert!(labels.contains(&"s-77") && labels.contains(&"s-797") && labels.len() < 40, "{labels:?}");
    assert_eq!(answer["isIncomplete"], true);
    let answer = desk.ask("blueprint.toml", &format!("{text}needs = [\"|\"]\n"), "completion", json!({}));
    assert_eq!(answer["items"].as_array().unwrap().len(), 200);
}

#[test]
fn the_last_good_plan_serves_while_the_text_is_broken() {
    let mut desk = desk();
    let broken = PLAN.replace("needs = [\"test\", \"build\"]", "needs = [\"test\", \"|\nafter = [");
    assert_eq!(desk.offers(&broken), ["build"]);
    let broken = PLAN.replace("run = \"true\"", "run = \"tr\nneeds = [\"|");
    assert!(!desk.offers(&broken).contains(&"deploy".to_owned()), "it waits for this one");
    assert!(desk.said()["blueprint.toml"].iter().all(|line| line.starts_with("syntax ")));
}

#[test]
fn keys_are_offered_by_their_table() {
    let mut desk = desk();
    let with = |text: &str| format!("{PLAN}[steps.new]\n{text}");
    assert_eq!(desk.offers(&with("ne|")), ["needs", "net"]);
    assert_eq!(desk.offers(&with("run = 'x'\nne|\npass = []")), ["needs"], "one thing a step does");
    assert_eq!(desk.taken(&with("ne|\n"), "needs"), with("needs = [\"$0\"]\n"));
    assert_eq!(desk.taken(&with("nee|ds = []\n"), "needs"), with("needs = []\n"));
    assert_eq!(desk.offers(&with("http = { me|, url = 'x' }")), ["method"]);
    assert_eq!(desk.offers(&with("[steps.new.retry]\nb|")), ["backoff"]);
    assert_eq!(desk.offers(&with("retry.b|")), ["backoff"]);
    assert_eq!(desk.offers("format = 1\nde|\n"), ["defaults", "decision"]);
    assert_eq!(desk.taken("format = 1\nste|\n", "steps"), "format = 1\n[steps.${1:name}]\n$0\n");
    assert_eq!(desk.offers("format = 1\n[de|]\n"), ["defaults", "decision"]);
    assert_eq!(desk.offers(&with("[steps.new.ret|]")), ["retry"]);
    assert_eq!(desk.offers(&with("run = 'x' |")), Vec::<String>::new());
    assert_eq!(desk.offers(&with("# ne|")), Vec::<String>::new());
}

#[test]
fn values_are_offered_by_their_key() {
    let mut desk = desk();
    let with = |text: &str| format!("{PLAN}[steps.new]\nrun = 'x'\n{text}");
    assert_eq!(desk.offers(&with("severity = \"h|\"")), ["high"]);
    let answer = desk.ask("blueprint.toml", &with("on_failure = \"|\""), "completion", json!({}));
    assert!(answer["items"][0]["documentation"]["value"].is_string(), "what a word means: {answer}");
    assert_eq!(desk.offers(&with("severity = |")), ["\"low\"", "\"medium\"", "\"high\"", "\"critical\""]);
    assert_eq!(desk.offers(&with("required = |")), ["true", "false"]);
    assert_eq!(desk.offers(&with("pool = \"|\"")), ["db"]);
    assert_eq!(desk.offers(&with("tags = [\"|\"]")), ["quick"]);
    assert_eq!(desk.offers(&with("secrets = [\"t|\"]")), ["token"]);
    assert_eq!(desk.offers(&with("timeout = |")), ["\"30s\""]);
    assert_eq!(desk.offers(&with("outputs = [{ path = 'x', class = '|' }]")), ["stable", "normalized", "volatile"]);
}

#[test]
fn criteria_are_offered_by_the_action() {
    let mut desk = desk();
    let with = |text: &str| format!("{PLAN}[steps.new]\nhttp = '{{{{ vars.base }}}}'\nneeds = ['build']\n{text}");
    assert_eq!(desk.offers(&with("pass = [\"la|\"]")), ["latency", "last("]);
    assert_eq!(desk.offers(&with("pass = [\"latency |\"]"))[..4], ["==", "!=", "<", "<="]);
    assert_eq!(desk.offers(&with("pass = [\"latency < 5|\"]"))[..2], ["5ms", "5s"]);
    assert_eq!(desk.offers(&with("pass = [\"status == vars.p|\"]")), ["vars.port"]);
    assert_eq!(desk.offers(&with("warn = 'steps.build.ex|")), ["steps.build.exit"]);
    assert_eq!(desk.offers(&with("when = \"va|\"")), ["vars."]);
    assert_eq!(desk.taken(&with("pass = [\"head|\"]"), "header.'NAME'"), with("pass = [\"header.'${1:NAME}'$0\"]"));
    assert_eq!(desk.taken(&with("pass = ['head|']"), "header.\"NAME\""), with("pass = ['header.\"${1:NAME}\"$0']"));
    // A step that is in the plan: its criteria know what comes before it.
    let text = PLAN.replace("pool = \"db\"", "pass = ['steps.|']");
    assert_eq!(desk.offers(&text), ["steps.build"]);
}

#[test]
fn names_are_offered_in_templates() {
    let mut desk = desk();
    let with =
        |text: &str| format!("{PLAN}[steps.new]\nneeds = ['build']\nmatrix = {{ os = ['a'] }}\nrun = ['x', \"{text}");
    assert_eq!(desk.offers(&with("{{ va|")), ["vars"]);
    assert_eq!(desk.offers(&with("{{ vars.|")), ["vars.base", "vars.port"]);
    assert_eq!(desk.taken(&with("{{ vars.b| }}\"]\n"), "vars.base"), with("{{ vars.base }}\"]\n"));
    assert_eq!(desk.offers(&with("{{ steps.|")), ["steps.build"]);
    assert_eq!(desk.offers(&with("{{ steps.build.o|")), ["steps.build.outputs"]);
    assert_eq!(desk.offers(&with("{{ steps.build.outputs.|")), ["steps.build.outputs.version"]);
    assert_eq!(desk.offers(&with("{{ matrix.|")), ["matrix.os"]);
    assert_eq!(desk.offers(&with("{{ secrets.|")), ["secrets.token"]);
    assert_eq!(desk.offers(&with("{{ vars.base }} va|")), Vec::<String>::new());
}

#[test]
fn a_circle_is_one_diagnostic_at_each_edge() {
    let mut desk = desk();
    desk.said();
    desk.write("blueprint.toml", &PLAN.replace("title = \"Builds it\"", "needs = [\"test\"]"));
    desk.session.refresh();
    let Some(Message::Notification(note)) = desk.session.out.pop() else { panic!("diagnostics") };
    let list = note.params["diagnostics"].as_array().unwrap();
    assert_eq!(list.len(), 2, "{list:?}");
    for (one, other) in [(0, 1), (1, 0)] {
        assert_eq!(list[one]["code"], "cycle");
        let related = list[one]["relatedInformation"].as_array().unwrap();
        assert_eq!(related.len(), 1);
        assert_eq!(related[0]["location"]["range"], list[other]["range"]);
    }
    desk.write("blueprint.toml", PLAN);
    assert_eq!(desk.said()["blueprint.toml"], Vec::<String>::new(), "they go when the circle is gone");
}

const MAIN: &str = "format = 1\ninclude = [\"more.toml\"]\nwaivers = \"waivers.toml\"\n[steps.build]\nrun = 'x'\n[steps.build.env]\nX = '1'\n[steps.pack]\nrun = 'x'\nneeds = [\"build\"]\n";
const MORE: &str = "[steps.\"ship\"]\nrun = ['x', \"{{ steps.build.outputs.v }}\"]\nneeds = ['build', \"pack\"]\npass = ['steps.build.exit == 0', \"exit == 0\"]\nwhen = \"steps.\\\"build\\\".state == 'pass'\"\n";
const WAIVERS: &str =
    "[[waivers]]\nstep = \"build\"\ncriterion = \"exit == 0\"\nowner = \"a\"\nreason = \"b\"\nexpires = 2027-01-01\n";

fn parts() -> Desk {
    Desk::new(&[("more.toml", MORE), ("blueprint.toml", MAIN), ("waivers.toml", WAIVERS)])
}

#[test]
fn an_included_file_is_a_part_of_its_plan() {
    let mut desk = parts();
    let said = desk.said();
    // Only what is wrong in the included file, which is no plan by itself: no output `v`.
    assert_eq!(said.keys().collect::<Vec<_>>(), ["more.toml"]);
    assert_eq!(said["more.toml"].len(), 1, "{said:?}");
    assert!(said["more.toml"][0].starts_with("template 1:16-"), "{said:?}");
    // A text that is not saved wins over the disk.
    desk.open(
        "blueprint.toml",
        &MAIN.replace("run = 'x'\n[steps.build.env]", "run = 'x'\noutputs = { values = ['v'] }\n[steps.build.env]"),
    );
    assert_eq!(desk.said()["more.toml"], Vec::<String>::new());
    // The file that is not open has a diagnostic too, and closing gives back what lies on the disk.
    desk.session.note("textDocument/didClose", &json!({ "textDocument": { "uri": desk.uri("blueprint.toml") } }));
    assert_eq!(desk.said()["more.toml"].len(), 1);
    desk.session.note("textDocument/didClose", &json!({ "textDocument": { "uri": desk.uri("more.toml") } }));
    assert!(desk.said().values().all(Vec::is_empty), "nothing of it is open: nothing is said");
}

#[test]
fn names_lead_to_each_other_across_files() {
    let mut desk = parts();
    let marked = MORE.replace("needs = ['build'", "needs = ['bu|ild'");
    let found = desk.ask("more.toml", &marked, "definition", json!({}));
    assert_eq!(found.as_array().unwrap().len(), 1);
    assert_eq!(found[0]["uri"], desk.uri("blueprint.toml"));
    assert_eq!(
        found[0]["range"],
        json!({ "start": { "line": 3, "character": 7 }, "end": { "line": 3, "character": 12 } })
    );
    let found = desk.ask("more.toml", &marked, "references", json!({ "context": { "includeDeclaration": true } }));
    assert_eq!(found.as_array().unwrap().len(), 8, "{found:#}");
    let found = desk.ask("more.toml", &marked, "references", json!({ "context": { "includeDeclaration": false } }));
    assert_eq!(found.as_array().unwrap().len(), 7);
    let found = desk.ask("more.toml", &marked, "documentHighlight", json!({}));
    assert_eq!(found.as_array().unwrap().len(), 4);
    let found = desk.ask("more.toml", &marked, "documentSymbol", json!({}));
    assert_eq!(found[0]["name"], "ship");
    desk.open("blueprint.toml", MAIN);
    let found = desk.ask("blueprint.toml", &MAIN.replace("more.toml", "mo|re.toml"), "definition", json!({}));
    assert_eq!(found[0]["uri"], desk.uri("more.toml"));
}

#[test]
fn a_step_is_renamed_wherever_it_is_named() {
    let mut desk = parts();
    let marked = MORE.replace("needs = ['build'", "needs = ['bu|ild'");
    let answer = desk.ask("more.toml", &marked, "prepareRename", json!({}));
    assert_eq!(answer["placeholder"], "build");
    let answer = desk.ask("more.toml", &marked, "rename", json!({ "newName": "make-it" }));
    for (name, text, count) in [("more.toml", MORE, 4), ("blueprint.toml", MAIN, 3), ("waivers.toml", WAIVERS, 1)] {
        let edits = answer["changes"][desk.uri(name)].as_array().unwrap_or_else(|| panic!("{answer}"));
        assert_eq!(edits.len(), count, "{name}");
        assert_eq!(edited(text, edits), text.replace("build", "make-it"), "{name}");
    }
    for (new, why) in [
        ("pack", "there is a step `pack` in `blueprint.toml` already"),
        ("Not A Name", "`Not A Name` is not a step name: `not-a-name` would be one"),
        ("", "`` is not a step name"),
    ] {
        let answer = desk.ask("more.toml", &marked, "rename", json!({ "newName": new }));
        assert!(answer.as_str().unwrap().starts_with(why), "{answer}");
    }
    let answer = desk.ask("more.toml", &MORE.replace("exit == 0'", "ex|it == 0'"), "prepareRename", json!({}));
    assert!(answer.is_string(), "{answer}");
}

#[test]
fn hover_tells_keys_steps_variables_and_facts() {
    let mut desk = desk();
    let mut at = |from: &str, to: &str| {
        let marked = PLAN.replacen(from, to, 1);
        let answer = desk.ask("blueprint.toml", &marked, "hover", json!({}));
        answer["contents"]["value"].as_str().unwrap_or_default().to_owned()
    };
    assert!(
        at("needs = [\"build\"]", "ne|eds = [\"build\"]")
            .starts_with("Steps that must have succeeded.\n\nTakes a list of strings. Default: [].")
    );
    let step = at("needs = [\"build\"]", "needs = [\"bu|ild\"]");
    for part in [
        "**build**: Builds it",
        "```text\nrun\n```",
        "needed by: `deploy`, `test`",
        "wave 1 of 3",
        "last: fail in 1.20s, 2026-11-23",
    ] {
        assert!(step.contains(part), "{part}: {step}");
    }
    assert!(at("[pools]", "[po|ols]").starts_with("Named capacities"));
    assert!(
        at("{{ vars.base }}", "{{ vars.b|ase }}").starts_with("**vars.base** = `http://127.0.0.1:1`\n\nfrom: default")
    );
    assert!(at("pool = \"db\"", "pool = \"d|b\"").starts_with("pool **db**: 1 at once"));
    assert_eq!(at("token", "to|ken"), "secret **token**, named in 0 places");
    assert!(at("pool = \"db\"", "pass = [\"exi|t == 0\"]").starts_with("**exit**: a plain number"));
    assert_eq!(at("\"true\"", "\"tr|ue\""), "");
}

fn fixed(desk: &mut Desk, text: &str) -> Vec<(String, String)> {
    desk.write("blueprint.toml", text);
    desk.session.out.clear();
    desk.session.refresh();
    let note = desk.session.out.iter().find_map(|message| match message {
        Message::Notification(note) if note.params["uri"] == desk.uri("blueprint.toml") => Some(note.params.clone()),
        _ => None,
    });
    let diagnostics = note.expect("something is wrong")["diagnostics"].clone();
    let uri = desk.uri("blueprint.toml");
    let params = json!({ "textDocument": { "uri": uri }, "context": { "diagnostics": diagnostics } });
    let answer = desk.session.request("textDocument/codeAction", &params).unwrap();
    let one = |action: &Json| {
        let edits = action["edit"]["changes"][&uri].as_array().unwrap();
        (action["title"].as_str().unwrap().to_owned(), edited(text, edits))
    };
    answer.as_array().unwrap().iter().map(one).collect()
}

#[test]
fn what_a_diagnostic_suggests_is_an_edit() {
    let mut desk = desk();
    let base = "format = 1\n[vars]\nport = 1\n[steps.build]\nrun = 'x'\n[steps.test]\n";
    for (wrong, right) in [
        ("run = 'x'\nneds = ['build']\n", "run = 'x'\nneeds = ['build']\n"),
        ("run = 'x'\nneeds = ['biuld']\n", "run = 'x'\nneeds = ['build']\n"),
        ("run = 'x'\nseverity = \"hihg\"\n", "run = 'x'\nseverity = \"high\"\n"),
        ("run = ['x', \"{{ vars.prot }}\"]\n", "run = ['x', \"{{ vars.port }}\"]\n"),
        (
            "http = 'http://a.test'\npass = [\"statsu == 200\"]\n",
            "http = 'http://a.test'\npass = [\"status == 200\"]\n",
        ),
        ("run = 'x'\npass = [\"exit == vars.prt\"]\n", "run = 'x'\npass = [\"exit == vars.port\"]\n"),
    ] {
        let fixes = fixed(&mut desk, &format!("{base}{wrong}"));
        assert_eq!(fixes.first().map(|(_, text)| text.as_str()), Some(format!("{base}{right}").as_str()), "{fixes:?}");
    }
    let fixes = fixed(&mut desk, &format!("{base}run = 'x'\nneeds = [\"lint\"]\n"));
    assert_eq!(fixes.len(), 1, "{fixes:?}");
    assert_eq!(fixes[0].0, "add the step `lint`");
    assert!(fixes[0].1.ends_with("\n\n[steps.lint]\nrun = \"echo 'not written yet' >&2; exit 1\"\n"), "{}", fixes[0].1);
    let fixes = fixed(&mut desk, &format!("{base}run = 'x'\npass = ['steps.build.exit == 0']\n"));
    assert_eq!(fixes[0].1, format!("{base}needs = [\"build\"]\nrun = 'x'\npass = ['steps.build.exit == 0']\n"));
    let fixes = fixed(&mut desk, &format!("{base}needs = []\nrun = 'x'\npass = ['steps.build.exit == 0']\n"));
    assert_eq!(fixes[0].1, format!("{base}needs = [\"build\"]\nrun = 'x'\npass = ['steps.build.exit == 0']\n"));
    let fixes = fixed(&mut desk, "[steps.a]\nrun = 'x'\n");
    assert_eq!(fixes[0].1, "format = 1\n[steps.a]\nrun = 'x'\n");
}

#[test]
fn lenses_run_steps_and_tell_how_they_came_out() {
    let mut desk = desk();
    let lenses = desk.ask("blueprint.toml", &format!("{PLAN}|"), "codeLens", json!({}));
    let lenses = lenses.as_array().unwrap();
    assert_eq!(lenses.len(), 3);
    assert_eq!(lenses[0]["command"]["title"], "\u{25b6} run (last: fail in 1.20s, 2026-11-23)");
    assert_eq!(lenses[1]["command"]["command"], "runplan.run");
    assert_eq!(lenses[1]["command"]["arguments"], json!([desk.path("blueprint.toml").as_str(), "test"]));
}

#[test]
fn formatting_is_that_of_fmt_and_other_toml_is_left_alone() {
    let mut desk = desk();
    let text = "format=1\n[steps.a]\nrun='x'   \ntitle = 't'\n";
    let answer = desk.ask("blueprint.toml", &format!("{text}|"), "formatting", json!({}));
    assert_eq!(edited(text, answer.as_array().unwrap()), crate::edit::layout::formatted(text).unwrap());
    let mut desk = Desk::new(&[("Cargo.toml", "[package]\nname = 'x'\n")]);
    assert!(desk.said().is_empty());
    for method in ["completion", "hover", "definition"] {
        let answer = desk.ask("Cargo.toml", "[package]\nna|me = 'x'\n", method, json!({}));
        assert_eq!(answer, Json::Null, "{method}");
    }
    assert_eq!(desk.ask("Cargo.toml", "[package]\nname='x'|\n", "formatting", json!({})), json!([]));
}

#[test]
fn places_count_utf16_and_lines_may_end_in_both() {
    let mut desk = desk();
    let text = "format = 1\r\n[steps.a]\r\ntitle = \"\u{1f600}\u{e9}\"\r\nrun = ['\u{1f600}', '{{ vars.x }}']\r\n";
    desk.said();
    desk.write("blueprint.toml", text);
    let said = desk.said();
    assert!(said["blueprint.toml"][0].starts_with("template 3:17-23 "), "{said:?}");
}
