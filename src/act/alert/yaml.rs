//! YAML that is read, changed and written again for another reader: plain scalars stay as they were written, aliases and
//! merge keys are resolved. Knows no configuration in particular.

use std::collections::HashMap;
use std::fmt::Write as _;

use saphyr_parser::{Event, Parser, ScalarStyle};

/// Deepest nesting.
const MAX_DEPTH: usize = 60;

/// Most nodes, with what aliases stand for.
const MAX_NODES: usize = 100_000;

/// One node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Node {
    /// Its text, and whether it stood without quotes, so that it may be a number, a duration or nothing.
    Scalar(String, bool),
    List(Vec<Node>),
    /// Each key once, in the order written.
    Map(Vec<(String, Node)>),
}

impl Node {
    /// Text that is text whatever it looks like.
    pub(super) fn text(text: impl Into<String>) -> Self {
        Self::Scalar(text.into(), false)
    }

    /// A word as it is: `false`, `30s`.
    pub(super) fn word(text: impl Into<String>) -> Self {
        Self::Scalar(text.into(), true)
    }

    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        let Self::Map(entries) = self else { return None };
        entries.iter().find(|(name, _)| name == key).map(|(_, node)| node)
    }

    /// Replaces or adds an entry of a mapping.
    pub(super) fn set(&mut self, key: &str, node: Self) {
        let Self::Map(entries) = self else { return };
        match entries.iter_mut().find(|(name, _)| name == key) {
            Some((_, old)) => *old = node,
            None => entries.push((key.to_owned(), node)),
        }
    }

    pub(super) fn items(&self) -> &[Self] {
        if let Self::List(items) = self { items } else { &[] }
    }

    /// The text of a scalar that is not empty.
    pub(super) fn as_text(&self) -> Option<&str> {
        match self {
            Self::Scalar(text, plain) if !(*plain && matches!(text.as_str(), "" | "~" | "null")) => Some(text),
            _ => None,
        }
    }

    /// As YAML in flow form, which is nearly JSON.
    pub(super) fn write(&self) -> String {
        let mut out = String::new();
        self.write_to(&mut out);
        out.push('\n');
        out
    }

    fn write_to(&self, out: &mut String) {
        match self {
            Self::Scalar(text, true) if text.is_empty() => out.push_str("null"),
            Self::Scalar(text, true) if bare(text) => out.push_str(text),
            Self::Scalar(text, _) => quote(text, out),
            Self::List(items) => {
                out.push('[');
                for (index, item) in items.iter().enumerate() {
                    out.push_str(if index == 0 { "" } else { ",\n " });
                    item.write_to(out);
                }
                out.push(']');
            }
            Self::Map(entries) => {
                out.push('{');
                for (index, (key, node)) in entries.iter().enumerate() {
                    out.push_str(if index == 0 { "" } else { ",\n " });
                    quote(key, out);
                    out.push_str(": ");
                    node.write_to(out);
                }
                out.push('}');
            }
        }
    }
}

/// Whether a plain scalar may stand without quotes here too. What may not is a text under every schema.
fn bare(text: &str) -> bool {
    let mut chars = text.chars();
    let first = chars.next().unwrap_or('-');
    let second = chars.next().unwrap_or('-');
    text.chars().all(|c| c.is_ascii_alphanumeric() || "_.+-~/".contains(c)) && (first != '-' || second != '-')
}

fn quote(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            // Not printable for YAML, or a line break to some readers.
            '\0'..' ' | '\u{7f}'..='\u{a0}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}' => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

/// A node with what it costs.
#[derive(Clone)]
struct Built {
    node: Node,
    nodes: usize,
    depth: usize,
}

/// A list or mapping that is not closed yet.
struct Open {
    anchor: usize,
    map: bool,
    /// Where it begins.
    line: usize,
    children: Vec<Built>,
}

/// Reads the first document; an empty text is an empty mapping.
///
/// # Errors
/// One fragment with the line: what is no YAML, is nested too deep, expands to too much, or has a key twice.
pub(super) fn read(text: &str) -> Result<Node, String> {
    let mut open: Vec<Open> = Vec::new();
    let mut anchors: HashMap<usize, Built> = HashMap::new();
    let mut total = 0_usize;
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| format!("{} (line {})", error.info(), error.marker().line()))?;
        let line = span.start.line();
        let fail = |what: &str| format!("{what} (line {line})");
        let (built, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                let forced = tag.is_some_and(|tag| tag.suffix == "str");
                let plain = style == ScalarStyle::Plain && !forced;
                (Built { node: Node::Scalar(text.into_owned(), plain), nodes: 1, depth: 0 }, anchor)
            }
            Event::Alias(id) => match anchors.get(&id) {
                Some(built) if total + built.nodes <= MAX_NODES => (built.clone(), 0),
                Some(_) => return Err(fail("its aliases expand to too much")),
                None => return Err(fail("an alias stands inside of what it stands for")),
            },
            Event::SequenceStart(anchor, _) | Event::MappingStart(anchor, _) => {
                let map = matches!(event, Event::MappingStart(..));
                open.push(Open { anchor, map, line, children: Vec::new() });
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(Open { anchor, map, line, children }) = open.pop() else { continue };
                let nodes = 1 + children.iter().map(|child| child.nodes).sum::<usize>();
                let depth = 1 + children.iter().map(|child| child.depth).max().unwrap_or(0);
                let children: Vec<Node> = children.into_iter().map(|child| child.node).collect();
                let node = if map {
                    mapping(children).map_err(|what| format!("{what} (line {line})"))?
                } else {
                    Node::List(children)
                };
                (Built { node, nodes, depth }, anchor)
            }
            _ => continue,
        };
        total += if matches!(built.node, Node::Scalar(..)) { 1 } else { built.nodes };
        if open.len() + built.depth > MAX_DEPTH {
            return Err(fail("it is nested too deep"));
        }
        if total > MAX_NODES {
            return Err(fail("it has too many values"));
        }
        if anchor != 0 {
            anchors.insert(anchor, built.clone());
        }
        match open.last_mut() {
            Some(parent) => parent.children.push(built),
            None => return Ok(built.node),
        }
    }
    Ok(Node::Map(Vec::new()))
}

/// A mapping of keys and values in turn; `<<` lays others under it.
fn mapping(children: Vec<Node>) -> Result<Node, String> {
    let mut entries: Vec<(String, Node)> = Vec::new();
    let mut under = Vec::new();
    let mut children = children.into_iter();
    while let (Some(key), Some(value)) = (children.next(), children.next()) {
        match (key, value) {
            (Node::Scalar(key, true), Node::List(maps)) if key == "<<" => under.extend(maps),
            (Node::Scalar(key, true), map) if key == "<<" => under.push(map),
            (Node::Scalar(key, _), _) if entries.iter().any(|(known, _)| *known == key) => {
                return Err(format!("the key `{key}` stands twice in a mapping"));
            }
            (Node::Scalar(key, _), value) => entries.push((key, value)),
            _ => return Err("a key is no text".to_owned()),
        }
    }
    for map in under {
        let Node::Map(more) = map else { return Err("`<<` takes mappings".to_owned()) };
        for (key, value) in more {
            if entries.iter().all(|(known, _)| *known != key) {
                entries.push((key, value));
            }
        }
    }
    Ok(Node::Map(entries))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_the_same() {
        let text = "a: yes\nb: 1.10\nc: '1.10'\nd: \"x\\ny\"\ne: [5m, ~, , 0x1F]\nf: |\n  two\n  lines\ng: a b, {c}\n\
                    h: -\ni: !!str 5\nj:\nk: \"\\u2028\\x7f\\0\\\\\"\n";
        let text = text.replace(", ,", ",").replace("h: -\n", "h: -5\n");
        let node = read(&text).unwrap();
        let written = node.write();
        assert_eq!(read(&written).unwrap().write(), written);
        for part in
            [r#""a": yes"#, r#""b": 1.10"#, r#""c": "1.10""#, r#""d": "x\ny""#, r#""g": "a b, {c}""#, r#""i": "5""#]
        {
            assert!(written.contains(part), "{part} in {written}");
        }
        assert!(written.contains(r#""h": -5"#) && written.contains(r#""j": null"#), "{written}");
        assert!(written.contains(r#""k": "\u2028\u007f\u0000\\""#), "{written}");
    }

    #[test]
    fn aliases_and_merges_are_resolved() {
        let text = "base: &b {x: 1, y: 2}\nother: &o {y: 9, z: 3}\none:\n  <<: [*b, *o]\n  x: 7\ntwo: *b\n";
        let node = read(text).unwrap();
        let of =
            |map: &str, key: &str| node.get(map).and_then(|m| m.get(key)).and_then(Node::as_text).map(str::to_owned);
        assert_eq!(of("one", "x").as_deref(), Some("7"));
        assert_eq!(of("one", "y").as_deref(), Some("2"));
        assert_eq!(of("one", "z").as_deref(), Some("3"));
        assert_eq!(of("two", "y").as_deref(), Some("2"));
        assert_eq!(of("one", "<<"), None);
    }

    #[test]
    fn bombs_and_nonsense_are_refused() {
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for n in 1..12 {
            let aliases = vec![format!("*a{}", n - 1); 10].join(", ");
            bomb += &format!("a{n}: &a{n} [{aliases}]\n");
        }
        assert!(read(&bomb).unwrap_err().contains("expand to too much"));
        assert!(read(&"[".repeat(5000)).is_err());
        let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
        assert!(read(&deep).unwrap_err().contains("too deep"), "{:?}", read(&deep));
        assert!(read("a: &a [*a]\n").is_err());
        assert_eq!(read("a: 1\na: 2\n").unwrap_err(), "the key `a` stands twice in a mapping (line 1)");
        assert!(read("a: [\n").is_err());
        assert_eq!(read("").unwrap(), Node::Map(vec![]));
    }
}
