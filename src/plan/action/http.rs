//! `http`, read from its table. Knows what a request needs, not how it is sent.

use std::time::Duration;

use super::super::declare::required;
use super::super::error::Diagnostic;
use super::super::tables;
use super::super::text::{Sink, Texts};
use super::super::tree::{Node, Table};
use super::super::units;
use crate::action::{HttpSpec, Text};

const SEEN: Sink = Sink::Seen("a URL");

pub(super) fn http(node: Node<'_>, texts: &mut Texts<'_>) -> Option<HttpSpec> {
    let mut spec = HttpSpec {
        urls: Vec::new(),
        method: "GET".to_owned(),
        headers: Vec::new(),
        body: None,
        timeout: Duration::from_secs(10),
        redirects: 0,
        max_body: 4 << 20,
        ca: None,
    };
    match node.table(&tables::HTTP) {
        None => {
            let nodes = node.one_or_many();
            if nodes.is_empty() && node.value.is_list() {
                return nothing(node, texts);
            }
            spec.urls = nodes.into_iter().map(|node| address(node, texts)).collect();
        }
        Some(table) => {
            spec.method = table.text("method").unwrap_or("GET").to_owned();
            spec.body = table.get("body").map(|node| texts.text(node, Sink::Hidden));
            spec.timeout = table.duration("timeout").unwrap_or(spec.timeout);
            spec.redirects = table.count("redirects").unwrap_or(0);
            spec.max_body = table.text("max_body").and_then(|text| units::size(text).ok()).unwrap_or(spec.max_body);
            spec.headers = headers(table, texts);
            spec.urls = urls(node, table, texts)?;
            spec.ca = table.get("ca").map(|node| texts.text(node, Sink::Seen("a path")));
            if spec.urls.iter().all(|url| url.src.starts_with("http://")) && table.has("ca") {
                let message = "`ca` means nothing over plain http".to_owned();
                let fault = Diagnostic::error("unused-key", table.key_place("ca"), message);
                texts.diags.push(fault.help("write `https://…`, or drop it"));
            }
        }
    }
    Some(spec)
}

fn nothing<T>(node: Node<'_>, texts: &mut Texts<'_>) -> Option<T> {
    let fault = Diagnostic::error("missing-key", node.place, "`http` names no URL".to_owned());
    texts.diags.push(fault.help("write such as `http = \"http://127.0.0.1:8080/health\"`"));
    None
}

/// Request headers.
pub(super) fn headers(table: Table<'_>, texts: &mut Texts<'_>) -> Vec<(String, Text)> {
    let mut headers = Vec::new();
    for entry in table.get("headers").and_then(Node::map).into_iter().flat_map(Table::entries) {
        let good = !entry.key.is_empty()
            && entry.key.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b));
        if !good {
            let message = format!("`{}` is not the name of a header", entry.key);
            let help = "names of headers are letters, digits and `-`, such as `content-type`";
            texts.diags.push(Diagnostic::error("bad-name", entry.key_place, message).help(help));
        }
        let value = texts.text(entry.node, Sink::Hidden);
        headers.push((entry.key.to_ascii_lowercase(), value));
    }
    headers
}

/// `url`, or `urls`, or `paths` of `url`.
fn urls(node: Node<'_>, table: Table<'_>, texts: &mut Texts<'_>) -> Option<Vec<Text>> {
    let (many, paths) = (table.list("urls"), table.list("paths"));
    if table.has("urls") {
        for other in ["url", "paths"].into_iter().filter(|key| table.has(key)) {
            let message = format!("`http` has `urls` and `{other}`");
            let fault = Diagnostic::error("two-keys", table.key_place(other), message);
            texts.diags.push(fault.help("put all addresses under `urls`, or write `url` and `paths`"));
        }
        if many.is_empty() {
            return nothing(table.get("urls")?, texts);
        }
        return Some(many.into_iter().map(|node| address(node, texts)).collect());
    }
    let first = required(table, "url", "`http`", texts.diags)?;
    let base = address(first, texts);
    if !table.has("paths") {
        return Some(vec![base]);
    }
    if paths.is_empty() {
        return nothing(node, texts);
    }
    let origin = base.src.trim_end_matches('/');
    if origin.splitn(4, '/').nth(3).is_some() || origin.contains(['?', '#']) {
        let message = format!("`{}` is more than an origin", base.src);
        let fault = Diagnostic::error("bad-url", first.place, message);
        texts.diags.push(fault.help("beside `paths`, `url` is only such as `http://127.0.0.1:8080`"));
    }
    let one = |node: Node<'_>| {
        let path = texts.text(node, SEEN);
        if !path.src.starts_with('/') {
            let fault =
                Diagnostic::error("bad-url", node.place, format!("path `{}` does not begin with `/`", path.src));
            texts.diags.push(fault.help(format!("write `/{}`", path.src)));
        }
        Text { src: format!("{origin}{}", path.src), late: base.late || path.late }
    };
    Some(paths.into_iter().map(one).collect())
}

/// An absolute URL.
pub(super) fn address(node: Node<'_>, texts: &mut Texts<'_>) -> Text {
    let url = texts.text(node, SEEN);
    let rest = url.src.strip_prefix("http://").or_else(|| url.src.strip_prefix("https://"));
    let has_host = rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with(['/', ':', '?']));
    if !has_host && !url.src.starts_with("{{") {
        let src = &url.src;
        let fault = Diagnostic::error("bad-url", node.place, format!("`{src}` is not an http or https URL"));
        let bare = !src.contains("://") && src.starts_with(|c: char| c.is_ascii_alphanumeric());
        texts.diags.push(if bare && src.contains([':', '.']) {
            fault.help(format!("write `http://{src}`"))
        } else {
            fault.help("write `http://host:port/path` or `https://…`")
        });
    }
    url
}
