//! Texts of a step: fills what is known at load, notes what is late, refuses secrets where they would be seen. Knows names,
//! not what they mean.

use std::collections::HashSet;
use std::ops::Range;

use super::diags::Diags;
use super::error::Diagnostic;
use super::expand::template_fault;
use super::template::{self, Known, Name, nearest, words};
use super::tree::{Node, Table};
use crate::action::Text;
use crate::place::{Place, Sources};

/// The place of a part of a string value, escapes counted as they are written; else the whole string.
pub(super) fn inner(sources: &Sources, place: Place, value: &str, range: Range<usize>) -> Place {
    let raw = sources.text(place);
    let long = ["\"\"\"\r\n", "\"\"\"\n", "'''\r\n", "'''\n", "\"\"\"", "'''"];
    let prefix = long.iter().find(|prefix| raw.starts_with(**prefix)).map_or(1, |prefix| prefix.len());
    let suffix = if raw.starts_with("\"\"\"") || raw.starts_with("'''") { 3 } else { 1 };
    let Some(written) = raw.len().checked_sub(suffix).and_then(|end| raw.get(prefix..end)) else { return place };
    if written == value {
        return place.part(prefix + range.start, range.len().max(1));
    }
    let (Some(start), Some(end)) = (written_at(written, value, range.start), written_at(written, value, range.end))
    else {
        return place;
    };
    place.part(prefix + start, (end - start).max(1))
}

/// Where the byte `at` of a value stands in the text that it was written as; `None` if that is too involved to tell.
fn written_at(written: &str, value: &str, at: usize) -> Option<usize> {
    let (mut from, mut chars) = (0, value.char_indices());
    loop {
        let (offset, c) = chars.next().unwrap_or((value.len(), '\0'));
        if offset >= at {
            return Some(from);
        }
        let rest = written.get(from..)?;
        from += match rest.strip_prefix('\\').map(|escape| escape.bytes().next()) {
            None => rest.starts_with(c).then(|| c.len_utf8())?,
            Some(Some(b'x')) => 4,
            Some(Some(b'u')) => 6,
            Some(Some(b'U')) => 10,
            Some(Some(b'b' | b't' | b'n' | b'f' | b'r' | b'e' | b'"' | b'\\')) => 2,
            // A line that goes on.
            Some(_) => return None,
        };
    }
}

/// What the plan declares besides steps, for names in texts.
#[derive(Default)]
pub(super) struct Declared {
    /// `[ports]`.
    pub(super) ports: Vec<String>,
    /// `[secrets]`.
    pub(super) secrets: Vec<String>,
}

/// A late name that leads to another step; checked when all steps are known.
pub(super) struct Ref {
    pub(super) name: Name,
    pub(super) place: Place,
}

/// Where a text ends up.
#[derive(Clone, Copy)]
pub(super) enum Sink {
    /// Only the child or the server sees it: secrets are fine.
    Hidden,
    /// Others see it (an argument, a URL, a path): no secrets. With the word for messages.
    Seen(&'static str),
    /// Needed before anything runs: no late names at all.
    AtLoad,
}

/// Reads the texts of one step (or of `[env]`).
pub(super) struct Texts<'a> {
    pub(super) diags: &'a mut Diags,
    pub(super) sources: &'a Sources,
    pub(super) known: &'a Known,
    pub(super) declared: &'a Declared,
    /// References found so far.
    pub(super) refs: Vec<Ref>,
    /// Secrets named so far.
    pub(super) secrets: HashSet<String>,
}

impl Texts<'_> {
    /// A string node as text; scalars as written.
    pub(super) fn text(&mut self, node: Node<'_>, sink: Sink) -> Text {
        let Some(text) = node.text() else { return Text::fixed(node.scalar().unwrap_or_default()) };
        match template::fill(text, self.known) {
            Ok(filled) => {
                for name in &filled.late {
                    self.late(name, text, node.place, sink);
                }
                filled.text
            }
            Err(errors) => {
                errors.iter().for_each(|error| self.diags.push(template_fault(self.sources, text, node.place, error)));
                Text::fixed(text)
            }
        }
    }

    pub(super) fn texts(&mut self, nodes: &[Node<'_>], sink: Sink) -> Vec<Text> {
        nodes.iter().map(|node| self.text(*node, sink)).collect()
    }

    /// A text that is known at load.
    pub(super) fn plain(&mut self, node: Node<'_>) -> String {
        self.text(node, Sink::AtLoad).src
    }

    fn late(&mut self, name: &Name, text: &str, place: Place, sink: Sink) {
        let at = inner(self.sources, place, text, name.range.clone());
        if matches!(sink, Sink::AtLoad) {
            let message = format!("`{}` is known only while the plan runs", name.dotted());
            self.diags.push(
                Diagnostic::error("late-name", at, message).help("this text has to be known before anything runs"),
            );
            return;
        }
        let second = name.parts.get(1).map_or("", String::as_str);
        match name.parts[0].as_str() {
            "ports" => self.declared_name("port", "[ports]", &self.declared.ports, second, name, at),
            "secrets" => {
                if let Sink::Seen(what) = sink {
                    let message = format!("`{}` would be visible in {what}", name.dotted());
                    self.diags.push(Diagnostic::error("secret-exposed", at, message).help(
                        "secrets may stand in `env`, `stdin`, `http` headers and bodies, and files made by `render`",
                    ));
                }
                self.secrets.insert(second.to_owned());
                self.declared_name("secret", "[secrets]", &self.declared.secrets, second, name, at);
            }
            "steps" => self.refs.push(Ref { name: name.clone(), place: at }),
            _ => {}
        }
    }

    fn declared_name(&mut self, what: &str, table: &str, all: &[String], wanted: &str, name: &Name, at: Place) {
        if all.iter().any(|known| known == wanted) && name.parts.len() == 2 {
            return;
        }
        let fault = Diagnostic::error("template", at, format!("unknown {what} `{}`", name.dotted()));
        let names: Vec<&str> = all.iter().map(String::as_str).collect();
        self.diags.push(match nearest(wanted, names.iter().copied()) {
            Some(near) => fault.help(format!("did you mean `{}.{near}`?", name.parts[0])),
            None if names.is_empty() => fault.help(format!("the plan declares none: add it to `{table}`")),
            None => fault.help(format!("`{table}` has {}", words(&names))),
        });
    }

    /// Shell text is never a template: refuses names of ours in it.
    pub(super) fn shell(&mut self, node: Node<'_>) -> String {
        let text = node.text().unwrap_or("");
        let roots = ["vars", "steps", "matrix", "item", "plan", "ports", "secrets", "run"];
        let named = template::names(text).unwrap_or_default();
        if let Some(name) = named.into_iter().find(|name| roots.contains(&name.parts[0].as_str())) {
            let at = inner(self.sources, node.place, text, name.range.clone());
            let dotted = name.dotted();
            let variable =
                name.parts.last().map_or("VALUE".to_owned(), |part| part.replace(['-', '['], "_").to_uppercase());
            let fault = Diagnostic::error("template-in-shell", at, format!("`{dotted}` in shell text"));
            self.diags.push(fault.label("shell text is never filled in").help(format!(
                "no quoting would be safe: pass it as a variable, `env = {{ {variable} = \"{{{{ {dotted} }}}}\" }}`, and write `\"${variable}\"`; or give `run` as a list"
            )));
        }
        text.to_owned()
    }

    /// `name = value` pairs for an environment.
    pub(super) fn env(&mut self, table: Table<'_>) -> Vec<(String, Text)> {
        let mut pairs = Vec::new();
        for entry in table.entries() {
            if env_name(entry.key, entry.key_place, self.diags) {
                pairs.push((entry.key.to_owned(), self.text(entry.node, Sink::Hidden)));
            }
        }
        pairs
    }
}

/// Whether a text is the name of an environment variable that a plan may set.
pub(super) fn env_name(name: &str, place: Place, diags: &mut Diags) -> bool {
    if !super::names::is_identifier(name) {
        let fault =
            Diagnostic::error("bad-name", place, format!("`{name}` is not the name of an environment variable"));
        diags.push(fault.help("names are letters, digits and `_`"));
        return false;
    }
    if name.starts_with("RUNPLAN_") {
        let fault = Diagnostic::error("bad-name", place, format!("`{name}` is reserved"));
        diags.push(fault.help("names that begin with `RUNPLAN_` are set by the engine"));
        return false;
    }
    true
}
