//! `git`, `checklist`, `net`, `alert`, `load` and `promql`, read from their tables. Knows what they need, not how they are done.

use std::time::Duration;

use super::super::declare::required;
use super::super::error::Diagnostic;
use super::super::tables;
use super::super::text::{Sink, Texts};
use super::super::tree::{Node, Table};
use super::super::units;
use super::http::{address, headers};
use super::tcp;
use crate::action::{
    AlertSpec, ChecklistSpec, GitSpec, HttpSpec, LoadSpec, MakeTag, NetLook, NetSpec, PromqlRange, PromqlSpec, Query,
    Text,
};

/// Says that `key` means nothing without `other`.
fn needs(table: Table<'_>, key: &str, other: &str, texts: &mut Texts<'_>) {
    if table.has(key) {
        let message = format!("`{key}` means nothing without `{other}`");
        texts.diags.push(
            Diagnostic::error("unused-key", table.key_place(key), message).help(format!("add `{other}`, or drop it")),
        );
    }
}

pub(super) fn git(node: Node<'_>, texts: &mut Texts<'_>) -> Option<GitSpec> {
    let table = node.table(&tables::GIT)?;
    let flag = |key: &str| table.get(key).and_then(Node::bool).unwrap_or(false);
    let tag = table.get("tag").map(|node| texts.text(node, Sink::Seen("the name of a tag")));
    if tag.is_none() {
        needs(table, "make", "tag", texts);
    }
    if !flag("make") {
        ["at", "annotate", "sign", "push"].into_iter().for_each(|key| needs(table, key, "make = true", texts));
        return Some(GitSpec { tag, make: None });
    }
    if flag("sign") && !table.has("annotate") {
        needs(table, "sign", "annotate = \"…\"", texts);
    }
    let at = table.get("at").map(|node| texts.text(node, Sink::Seen("a commit")));
    let annotate = table.get("annotate").map(|node| texts.text(node, Sink::Seen("a tag")));
    let push = table.get("push").and_then(Node::text).map(str::to_owned);
    let make = MakeTag { at: at.unwrap_or_else(|| Text::fixed("HEAD")), annotate, sign: flag("sign"), push };
    Some(GitSpec { tag, make: Some(make) })
}

pub(super) fn checklist(node: Node<'_>, texts: &mut Texts<'_>) -> Option<ChecklistSpec> {
    let seen = Sink::Seen("a path");
    let Some(table) = node.table(&tables::CHECKLIST) else {
        return Some(ChecklistSpec { path: texts.text(node, seen), tick: false, links: Vec::new() });
    };
    let path = required(table, "path", "`checklist`", texts.diags)?;
    let tick = table.get("tick");
    let links = tick.and_then(Node::map).into_iter().flat_map(Table::entries);
    let links: Vec<_> = links.filter_map(|entry| Some((entry.key.to_owned(), entry.node.text()?.to_owned()))).collect();
    let tick = tick.and_then(Node::bool).unwrap_or(!links.is_empty());
    Some(ChecklistSpec { path: texts.text(path, seen), tick, links })
}

pub(super) fn net(node: Node<'_>, texts: &mut Texts<'_>) -> Option<NetSpec> {
    let timeout = Duration::from_secs(10);
    let Some(table) = node.table(&tables::NET) else {
        return Some(NetSpec { look: NetLook::Tcp(tcp(node, texts)), timeout });
    };
    let looks = ["tcp", "dns", "tls"];
    let given: Vec<&str> = looks.into_iter().filter(|key| table.has(key)).collect();
    if let [first, second, ..] = given[..] {
        let fault =
            Diagnostic::error("two-keys", table.key_place(second), format!("`net` has `{first}` and `{second}`"));
        texts.diags.push(fault.help("it looks at one thing; make the other a step"));
    }
    let Some(key) = given.first() else {
        let fault = Diagnostic::error("missing-key", table.place, "`net` looks at nothing".to_owned());
        texts.diags.push(fault.help("give it one of `tcp`, `dns` or `tls`"));
        return None;
    };
    if *key != "tls" {
        ["name", "ca"].into_iter().for_each(|key| needs(table, key, "tls", texts));
    }
    let node = table.get(key)?;
    let look = match *key {
        "tcp" => NetLook::Tcp(tcp(node, texts)),
        "dns" => NetLook::Dns(texts.text(node, Sink::Seen("a name"))),
        _ => NetLook::Tls {
            address: tcp(node, texts),
            name: table.get("name").map(|node| texts.text(node, Sink::Seen("a name"))),
            ca: table.get("ca").map(|node| texts.text(node, Sink::Seen("a path"))),
        },
    };
    Some(NetSpec { look, timeout: table.duration("timeout").unwrap_or(timeout) })
}

pub(super) fn load(node: Node<'_>, texts: &mut Texts<'_>) -> Option<LoadSpec> {
    let table = node.table(&tables::LOAD)?;
    let (url, total) = (required(table, "url", "`load`", texts.diags), required(table, "total", "`load`", texts.diags));
    let (url, total) = (url?, total?);
    let http = HttpSpec {
        urls: vec![address(url, texts)],
        method: table.text("method").unwrap_or("GET").to_owned(),
        headers: headers(table, texts),
        body: table.get("body").map(|node| texts.text(node, Sink::Hidden)),
        timeout: table.duration("timeout").unwrap_or(Duration::from_secs(10)),
        redirects: 0,
        max_body: table.text("max_body").and_then(|text| units::size(text).ok()).unwrap_or(4 << 20),
        ca: None,
    };
    let concurrency = table.count("concurrency").unwrap_or(8);
    Some(LoadSpec {
        http,
        total: total.int().and_then(|total| u64::try_from(total).ok())?,
        concurrency,
        warmup: table.count("warmup").unwrap_or(concurrency),
        rate: table.count("rate"),
        baseline: table.get("baseline").map(|node| address(node, texts)),
        allow_remote: table.get("allow_remote").and_then(Node::bool).unwrap_or(false),
    })
}

pub(super) fn promql(node: Node<'_>, texts: &mut Texts<'_>) -> Option<PromqlSpec> {
    let table = node.table(&tables::PROMQL)?;
    let server = required(table, "server", "`promql`", texts.diags).map(|node| address(node, texts));
    let asked = required(table, "query", "`promql`", texts.diags).and_then(|node| query(node, texts));
    let baseline = table.get("baseline").and_then(|node| query(node, texts));
    let range = table.get("range").and_then(|node| range(node, texts));
    let (server, asked) = (server?, asked?);
    if let (Query::Pair { .. }, Some(_)) = (&asked, &range) {
        let message = "`range` does not go with a pair of queries".to_owned();
        texts.diags.push(
            Diagnostic::error("unused-key", table.key_place("range"), message)
                .help("count over the range in the query: `sum(increase(errors_total[30m]))`"),
        );
    }
    let pair = |query: &Query| matches!(query, Query::Pair { .. });
    if baseline.as_ref().is_some_and(|baseline| pair(baseline) != pair(&asked)) {
        let message = "`baseline` and `query` are of two kinds".to_owned();
        texts.diags.push(
            Diagnostic::error("two-kinds", table.key_place("baseline"), message)
                .help("both are one query, or both are `{ bad = …, total = … }`"),
        );
    }
    Some(PromqlSpec {
        server,
        query: asked,
        time: table.get("time").map(|node| texts.text(node, Sink::Seen("a time"))),
        range,
        baseline,
        headers: headers(table, texts),
        timeout: table.duration("timeout").unwrap_or(Duration::from_secs(30)),
        allow_warnings: table.get("allow_warnings").and_then(Node::bool).unwrap_or(false),
    })
}

fn query(node: Node<'_>, texts: &mut Texts<'_>) -> Option<Query> {
    let seen = Sink::Seen("a query");
    let Some(table) = node.table(&tables::PAIR) else { return Some(Query::One(texts.text(node, seen))) };
    let mut one = |key: &str| required(table, key, "a pair of queries", texts.diags).map(|node| texts.text(node, seen));
    let (bad, total) = (one("bad"), one("total"));
    Some(Query::Pair { bad: bad?, total: total? })
}

fn range(node: Node<'_>, texts: &mut Texts<'_>) -> Option<PromqlRange> {
    let table = node.table(&tables::RANGE)?;
    let mut one = |key: &str| {
        required(table, key, "`range`", texts.diags)?;
        table.duration(key).filter(|duration| !duration.is_zero())
    };
    let (last, step) = (one("last"), one("step"));
    let (last, step) = (last?, step?);
    if last.as_nanos() / step.as_nanos() > 11_000 {
        let message = "a range has at most 11,000 samples".to_owned();
        texts.diags.push(Diagnostic::error("out-of-range", node.place, message).help("make `step` longer"));
    }
    Some(PromqlRange { last, step })
}

pub(super) fn alert(node: Node<'_>, texts: &mut Texts<'_>) -> Option<AlertSpec> {
    let table = node.table(&tables::ALERT)?;
    let pairs = |key: &str, what: &'static str, texts: &mut Texts<'_>| -> Vec<(String, Text)> {
        let entries = table.get(key).and_then(Node::map).into_iter().flat_map(Table::entries);
        entries.map(|entry| (entry.key.to_owned(), texts.text(entry.node, Sink::Seen(what)))).collect()
    };
    let labels = pairs("labels", "a label", texts);
    let annotations = pairs("annotations", "an annotation", texts);
    let capture = pairs("capture", "an address", texts);
    let config = table.get("config").map(|node| texts.text(node, Sink::Seen("a path")));
    let server = table.get("server").map(|node| texts.text(node, Sink::Seen("a URL")));
    let receivers: Vec<String> =
        table.list("receivers").into_iter().filter_map(Node::text).map(str::to_owned).collect();
    if receivers.is_empty() && !table.misspelt("receivers") {
        let fault = Diagnostic::error("missing-key", table.place, "`alert` names no receiver".to_owned());
        texts.diags.push(fault.help("write such as `receivers = [\"slack\", \"email\"]`"));
    }
    let named = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    };
    for entry in table.get("labels").and_then(Node::map).into_iter().flat_map(Table::entries) {
        if !named(entry.key) || entry.key == "runplan_drill" {
            let message = format!("`{}` cannot be a label of the alert", entry.key);
            let fault = Diagnostic::error("bad-name", entry.key_place, message);
            texts.diags.push(fault.help("labels are letters, digits and `_`; `runplan_drill` is the drill's own"));
        }
    }
    match (&config, &server) {
        (Some(_), Some(_)) => {
            let message = "`alert` has `config` and `server`".to_owned();
            let fault = Diagnostic::error("two-keys", table.key_place("server"), message);
            texts.diags.push(fault.help("`config` is for a private Alertmanager, `server` for one that runs already"));
        }
        (None, None) if !table.misspelt("config") => {
            let fault = Diagnostic::error("missing-key", table.place, "`alert` has no Alertmanager".to_owned());
            texts.diags.push(fault.help("name its configuration: `config = \"alertmanager.yml\"`"));
        }
        (None, Some(_)) => {
            needs(table, "timers", "config", texts);
            for name in receivers.iter().filter(|name| !capture.iter().any(|(known, _)| known == *name)) {
                let message = format!("`capture` does not say where receiver `{name}` leads to");
                let fault = Diagnostic::error("missing-key", table.key_place("server"), message);
                texts.diags.push(fault.help("write such as `capture = { slack = \"http://127.0.0.1:9095/slack\" }`"));
            }
        }
        _ => needs(table, "capture", "server", texts),
    }
    Some(AlertSpec {
        config: config.unwrap_or_default(),
        server,
        capture,
        receivers,
        labels,
        annotations,
        within: table.duration("within").unwrap_or(Duration::from_secs(30)),
        timers: table.duration("timers"),
    })
}
