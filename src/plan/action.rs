//! The action of a step, read from its table. Knows what actions need, not how they are done.

mod gates;
mod http;
mod looks;

use std::time::Duration;

use super::declare::required;
use super::error::Diagnostic;
use super::tables;
use super::text::{Sink, Texts};
use super::tree::{Node, Table};
use super::units;
use super::vars::bad_regex;
use crate::action::{
    Action, Command, FileSpec, Format, Parse, Probe, Ready, RenderSpec, ReportFormat, ReportSpec, RunSpec, ServiceSpec,
    Text, ValueSpec,
};
use crate::place::Place;

/// The main action of a step, and the report that follows it. `None` if there is no single main action.
pub(super) fn read(
    step: Table<'_>,
    name: &str,
    place: Place,
    texts: &mut Texts<'_>,
) -> Option<(Action, Option<ReportSpec>)> {
    let given: Vec<&str> = tables::ACTIONS.into_iter().filter(|key| step.has(key)).collect();
    let mains: Vec<&str> = given.iter().copied().filter(|key| *key != "report").collect();
    let report = step.get("report").map(|node| report(node, texts));
    if let [first, second, ..] = mains[..] {
        let fault = Diagnostic::error(
            "two-actions",
            step.key_place(second),
            format!("step `{name}` has two actions, `{first}` and `{second}`"),
        );
        texts.diags.push(
            fault.related(step.key_place(first), "the first").help("make it two steps, one after the other by `needs`"),
        );
        return None;
    }
    if let (&[main], Some(_)) = (&mains[..], &report)
        && main != "run"
    {
        let fault =
            Diagnostic::error("two-actions", step.key_place("report"), format!("`report` cannot follow `{main}`"));
        texts.diags.push(fault.help("`report` stands alone or follows a `run`; make it a step of its own"));
    }
    let parse = step.get("parse");
    if let Some(node) = parse.filter(|_| mains.first() != Some(&"run")) {
        let fault = Diagnostic::error(
            "unused-key",
            node.place,
            "`parse` reads the stdout of a `run`, and there is none".to_owned(),
        );
        texts.diags.push(fault.help("for files write `file = { path = \"…\", parse = \"…\" }`"));
    }
    let Some(main) = mains.first() else {
        return match report {
            Some(report) => Some((Action::Report(Box::new(report?)), None)),
            // `[steps.a.b]`: already said that `b` is no step; `a` was not meant to be one.
            None if dotted(step) || tables::ACTIONS.iter().any(|key| step.misspelt(key)) => None,
            None => {
                let fault = Diagnostic::error("no-action", place, format!("step `{name}` does nothing"));
                texts.diags.push(
                    fault
                        .label("no action")
                        .help("give it one of `run`, `http`, `render`, `file`, `service`, `value`, `report`, `git`, `checklist`, `net`, `load`, `promql`, `alert`, `signoff` or `plan`"),
                );
                None
            }
        };
    };
    let action = main_action(main, step.get(main)?, parse, texts)?;
    Some((action, report.flatten()))
}

/// The action of a step that has no other than `run`.
pub(super) fn run(node: Node<'_>, texts: &mut Texts<'_>) -> Option<Action> {
    main_action("run", node, None, texts)
}

/// Whether a step holds a table that is none of its keys.
fn dotted(step: Table<'_>) -> bool {
    step.entries().any(|entry| entry.node.value.is_table() && tables::STEP.key(entry.key).is_none())
}

fn main_action(key: &str, node: Node<'_>, parse: Option<Node<'_>>, texts: &mut Texts<'_>) -> Option<Action> {
    Some(match key {
        "run" => Action::Run(RunSpec { command: command(node, "run", texts)?, parse: parse.and_then(stdout_format) }),
        "http" => Action::Http(Box::new(http::http(node, texts)?)),
        "render" => Action::Render(Box::new(render(node, texts)?)),
        "file" => Action::File(Box::new(file(node, texts)?)),
        "service" => Action::Service(Box::new(service(node, texts)?)),
        "value" => Action::Value(value(node, texts)?),
        "git" => Action::Git(Box::new(looks::git(node, texts)?)),
        "checklist" => Action::Checklist(Box::new(looks::checklist(node, texts)?)),
        "net" => Action::Net(Box::new(looks::net(node, texts)?)),
        "load" => Action::Load(Box::new(looks::load(node, texts)?)),
        "promql" => Action::Promql(Box::new(looks::promql(node, texts)?)),
        "signoff" => Action::Signoff(Box::new(gates::signoff(node, texts)?)),
        "plan" => Action::Plan(Box::new(gates::plan(node, texts)?)),
        "alert" => Action::Alert(Box::new(looks::alert(node, texts)?)),
        _ => return None,
    })
}

fn stdout_format(node: Node<'_>) -> Option<Parse> {
    match node.text()? {
        "json" => Some(Parse::Json),
        "jsonl" => Some(Parse::Jsonl),
        _ => None,
    }
}

fn command(node: Node<'_>, key: &str, texts: &mut Texts<'_>) -> Option<Command> {
    if let Some(text) = node.text() {
        if text.trim().is_empty() {
            texts.diags.push(
                Diagnostic::error("empty-command", node.place, format!("`{key}` is empty"))
                    .help("write such as `run = \"make test\"`"),
            );
            return None;
        }
        return Some(Command::Shell(texts.shell(node)));
    }
    if node.items().next().is_none_or(|program| program.text().is_some_and(str::is_empty)) {
        if node.value.is_list() {
            let fault = Diagnostic::error("empty-command", node.place, format!("`{key}` names no program"));
            texts.diags.push(fault.help("the first element is the program: `[\"make\", \"test\"]`"));
        }
        return None;
    }
    let mut argv = Vec::with_capacity(node.items().count());
    argv.extend(node.items().map(|item| texts.text(item, Sink::Seen("an argument"))));
    Some(Command::Argv(argv))
}

fn render(node: Node<'_>, texts: &mut Texts<'_>) -> Option<RenderSpec> {
    let table = node.table(&tables::RENDER)?;
    let template = required(table, "template", "`render`", texts.diags);
    let to = required(table, "to", "`render`", texts.diags);
    let mode = table.text("mode").and_then(|text| units::mode(text).ok());
    let (template, to) = (template?, to?);
    let spec = RenderSpec { template: texts.text(template, Sink::Seen("a path")), to: path(to, "`to`", texts), mode };
    Some(spec)
}

/// A path that is written to: inside the workspace.
pub(super) fn path(node: Node<'_>, what: &str, texts: &mut Texts<'_>) -> Text {
    let text = texts.text(node, Sink::Seen("a path"));
    let known = text.src.split("{{").next().unwrap_or("");
    let checked = if text.late { known } else { &text.src };
    if let Some(reason) = outside(checked) {
        let fault = Diagnostic::error("path-outside", node.place, format!("{what} `{}` {reason}", text.src));
        texts.diags.push(fault.help("paths are relative to the workspace and stay inside it"));
    } else if !text.late && text.src.trim().is_empty() {
        let fault = Diagnostic::error("path-outside", node.place, format!("{what} is empty"));
        texts.diags.push(fault.help("name a file or folder in the workspace; `.` is the workspace itself"));
    }
    text
}

/// Why a path is not inside the workspace.
pub(super) fn outside(path: &str) -> Option<&'static str> {
    if path.starts_with('/') {
        return Some("is absolute");
    }
    if path == "~" || path.starts_with("~/") {
        return Some("begins with `~`, which only a shell knows");
    }
    let mut depth = 0_i32;
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => depth -= 1,
            _ => depth += 1,
        }
        if depth < 0 {
            return Some("leaves the workspace");
        }
    }
    None
}

fn file(node: Node<'_>, texts: &mut Texts<'_>) -> Option<FileSpec> {
    let seen = Sink::Seen("a path");
    let Some(table) = node.table(&tables::FILE) else {
        let paths = texts.texts(&node.one_or_many(), seen);
        return some_paths(paths, node.place, None, None, texts);
    };
    let mut nodes = table.list("path");
    let many = table.list("paths");
    if !nodes.is_empty() && !many.is_empty() {
        let fault = Diagnostic::error("two-keys", table.key_place("paths"), "`file` has `path` and `paths`".to_owned());
        texts.diags.push(fault.help("put all of them under `paths`"));
    }
    nodes.extend(many);
    let paths = texts.texts(&nodes, seen);
    if paths.is_empty() && (table.misspelt("path") || table.misspelt("paths")) {
        return None;
    }
    let parse = table.text("parse").and_then(|word| match word {
        "dotenv" => Some(Format::Dotenv),
        "json" => Some(Format::Json),
        "toml" => Some(Format::Toml),
        "yaml" => Some(Format::Yaml),
        "ini" => Some(Format::Ini),
        _ => None,
    });
    let template = table.get("template").map(|node| texts.text(node, seen));
    some_paths(paths, table.place, parse, template, texts)
}

fn some_paths(
    paths: Vec<Text>,
    place: Place,
    parse: Option<Format>,
    template: Option<Text>,
    texts: &mut Texts<'_>,
) -> Option<FileSpec> {
    if paths.is_empty() {
        let fault = Diagnostic::error("missing-key", place, "`file` names no path".to_owned());
        texts.diags.push(fault.help("write such as `file = \"dist/app.tar.gz\"` or `file = { path = \"…\" }`"));
        return None;
    }
    Some(FileSpec { paths, parse, template })
}

fn service(node: Node<'_>, texts: &mut Texts<'_>) -> Option<ServiceSpec> {
    let table = node.table(&tables::SERVICE)?;
    let ready = table.get("ready").and_then(|node| node.table(&tables::READY));
    let ready = ready.map(|table| ready_of(table, texts));
    let stop = table.get("stop").and_then(|node| node.table(&tables::STOP));
    let stop_signal = stop.and_then(|stop| stop.text("signal")).unwrap_or("SIGTERM").to_owned();
    let stop_grace = stop.and_then(|stop| stop.duration("grace")).unwrap_or(Duration::from_secs(5));
    let command = command(required(table, "run", "`service`", texts.diags)?, "run", texts)?;
    Some(ServiceSpec { command, ready: ready.unwrap_or_else(started), stop_signal, stop_grace })
}

fn started() -> Ready {
    Ready { probe: Probe::Started, every: Duration::from_millis(200), within: Duration::from_secs(30), consecutive: 1 }
}

fn ready_of(table: Table<'_>, texts: &mut Texts<'_>) -> Ready {
    let looks = ["http", "run", "log", "tcp"];
    let given: Vec<&str> = looks.into_iter().filter(|key| table.has(key)).collect();
    if let [first, second, ..] = given[..] {
        let fault =
            Diagnostic::error("two-keys", table.key_place(second), format!("`ready` has `{first}` and `{second}`"));
        texts.diags.push(fault.help("readiness looks at one thing; make the other a step"));
    }
    if given.is_empty() && !looks.iter().any(|key| table.misspelt(key)) {
        let fault = Diagnostic::error("missing-key", table.place, "`ready` looks at nothing".to_owned());
        texts.diags.push(fault.help("give it one of `http`, `run`, `log` or `tcp`"));
    }
    let probe = given.first().and_then(|key| {
        let node = table.get(key)?;
        Some(match *key {
            "http" => {
                let spec = http::http(node, texts)?;
                if !spec.is_single() {
                    let message = "`ready` asks one address".to_owned();
                    let fault = Diagnostic::error("two-keys", node.place, message);
                    texts.diags.push(fault.help("ask the one that tells that it is up; make the others a step"));
                }
                Probe::Http(spec)
            }
            "run" => Probe::Run(command(node, "run", texts)?),
            "log" => Probe::Log(regex(node, texts)?),
            _ => Probe::Tcp(tcp(node, texts)),
        })
    });
    let defaults = started();
    Ready {
        probe: probe.unwrap_or(Probe::Started),
        every: table.duration("every").unwrap_or(defaults.every),
        within: table.duration("within").unwrap_or(defaults.within),
        consecutive: table.count("consecutive").unwrap_or(1),
    }
}

fn regex(node: Node<'_>, texts: &mut Texts<'_>) -> Option<String> {
    let text = node.text()?;
    if let Err(error) = regex::Regex::new(text) {
        texts.diags.push(bad_regex("log", node.place, &error));
    }
    Some(text.to_owned())
}

fn tcp(node: Node<'_>, texts: &mut Texts<'_>) -> Text {
    let text = texts.text(node, Sink::Seen("an address"));
    let good = text
        .src
        .rsplit_once(':')
        .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0));
    if !text.late && !good {
        let fault = Diagnostic::error("bad-address", node.place, format!("`{}` is not `host:port`", text.src));
        texts.diags.push(fault.help("write such as `127.0.0.1:5432`"));
    }
    text
}

fn value(node: Node<'_>, texts: &mut Texts<'_>) -> Option<ValueSpec> {
    let table = node.map()?;
    if table.entries().next().is_none() {
        let fault = Diagnostic::error("missing-key", node.place, "`value` names no fact".to_owned());
        texts.diags.push(fault.help("write such as `value = { code = \"steps.build.exit\" }`"));
    }
    let values = table.entries().filter_map(|entry| Some((entry.key.to_owned(), entry.node.text()?.to_owned())));
    Some(ValueSpec { values: values.collect() })
}

fn report(node: Node<'_>, texts: &mut Texts<'_>) -> Option<ReportSpec> {
    let seen = Sink::Seen("a path");
    let Some(table) = node.table(&tables::REPORT) else {
        return node.value.is_text().then(|| ReportSpec {
            path: texts.text(node, seen),
            format: None,
            files: Vec::new(),
            baseline: None,
            diff: None,
        });
    };
    let format = table.text("format").and_then(|word| match word {
        "cobertura" => Some(ReportFormat::Cobertura),
        "coverage.py" => Some(ReportFormat::CoveragePy),
        "lcov" => Some(ReportFormat::Lcov),
        "jacoco" => Some(ReportFormat::Jacoco),
        "junit" => Some(ReportFormat::Junit),
        "sarif" => Some(ReportFormat::Sarif),
        "hyperfine" => Some(ReportFormat::Hyperfine),
        "k6" => Some(ReportFormat::K6),
        _ => None,
    });
    let files = table.list("files").into_iter().filter_map(Node::text).map(str::to_owned).collect();
    let path = required(table, "path", "`report`", texts.diags)?;
    let baseline = table.get("baseline").map(|node| texts.text(node, seen));
    let diff = table.get("diff").map(|node| texts.text(node, Sink::Seen("a commit")));
    Some(ReportSpec { path: texts.text(path, seen), format, files, baseline, diff })
}
