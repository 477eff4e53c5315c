//! Checks the TOML tree against the key tables: unknown keys, wrong types, words, units and bounds. Says everything that
//! can be said of a value alone; what values mean together is `resolve`'s. Knows no plan.

use super::diags::Diags;
use super::error::Diagnostic;
use super::keys::{Kind, Shape};
use super::tables;
use super::template::{nearest, words};
use super::tree::{Node, Table, Value};
use super::units;
use crate::place::Place;

/// Checks a whole table.
pub(super) fn check(table: Table<'_>, kind: &'static Kind, diags: &mut Diags) {
    for entry in table.entries() {
        if entry.key.starts_with("x-") {
            continue;
        }
        match (kind.key(entry.key), kind.open) {
            (Some(key), _) => check_value(entry.node, entry.key, &key.shape, diags),
            (None, Some(shape)) => check_value(entry.node, entry.key, &shape, diags),
            (None, None) => unknown_key(kind, entry.key, entry.key_place, entry.node, diags),
        }
    }
}

/// What other tools call it.
const MEANT: [(&str, &str); 26] = [
    ("depends_on", "needs"),
    ("depends", "needs"),
    ("dependencies", "needs"),
    ("deps", "needs"),
    ("requires", "needs"),
    ("if", "when"),
    ("only_if", "when"),
    ("condition", "when"),
    ("command", "run"),
    ("cmd", "run"),
    ("script", "run"),
    ("exec", "run"),
    ("shell", "run"),
    ("dir", "cwd"),
    ("workdir", "cwd"),
    ("working_directory", "cwd"),
    ("working-directory", "cwd"),
    ("environment", "env"),
    ("retries", "retry"),
    ("name", "title"),
    ("description", "title"),
    ("desc", "title"),
    ("labels", "tags"),
    ("criteria", "pass"),
    ("expect", "pass"),
    ("assert", "pass"),
];

fn unknown_key(kind: &'static Kind, key: &str, place: Place, node: Node<'_>, diags: &mut Diags) {
    let meant = MEANT.iter().find(|(word, name)| *word == key && kind.key(name).is_some());
    let affordable = diags.may_suggest();
    let near = meant.map(|(_, name)| *name);
    let near = near.or_else(|| nearest(key, kind.keys.iter().map(|key| key.name).filter(|_| affordable)));
    let in_step = std::ptr::eq(kind, &raw const tables::STEP) || kind.name == tables::STEP.name;
    // `[steps.a.b]`: the header holds the key; a table in braces stands behind it.
    let header = node.place.range().start <= place.range().start && place.range().end <= node.place.range().end;
    if in_step && near.is_none() && node.value.is_table() && header && super::names::is_name(key) {
        let fault = Diagnostic::error("step-name-dots", place, format!("`{key}` is a table inside a step, not a step"));
        diags.push(
            fault
                .label("a dot in a header makes a table within a table")
                .help("step names have no dots: write `[steps.a-b]` instead of `[steps.a.b]`"),
        );
        return;
    }
    let help = match near {
        Some(near) => Some(format!("did you mean `{near}`?")),
        None => affordable.then(|| {
            let keys: Vec<&str> = kind.keys.iter().map(|key| key.name).collect();
            format!("{} takes {}", kind.what, all(&keys))
        }),
    };
    let fault = Diagnostic::error("unknown-key", place, format!("unknown key `{key}` in {}", kind.what));
    diags.push(fault.label("not a key of this table").hint(help));
}

/// Every key, comma-separated.
fn all(keys: &[&str]) -> String {
    keys.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ")
}

fn check_value(node: Node<'_>, key: &str, shape: &Shape, diags: &mut Diags) {
    match *shape {
        Shape::Any => {}
        Shape::Table(kind) => match node.table(kind) {
            Some(table) => check(table, kind, diags),
            None => wrong_type(node, key, shape, diags),
        },
        Shape::Map(of) => match node.map() {
            Some(table) => table.entries().for_each(|entry| check_value(entry.node, entry.key, of, diags)),
            None => wrong_type(node, key, shape, diags),
        },
        Shape::List(of) => {
            if node.value.is_list() {
                node.items().for_each(|item| check_item(item, key, of, diags));
            } else {
                wrong_type(node, key, shape, diags);
            }
        }
        Shape::OneOf(shapes) => match shapes.iter().find(|shape| fits(node, shape)) {
            Some(found) => check_value(node, key, found, diags),
            None => wrong_type(node, key, shape, diags),
        },
        _ if !fits(node, shape) => wrong_type(node, key, shape, diags),
        Shape::Word(known) => word(node, key, known, diags),
        Shape::Int(low, high) => integer(node, key, low, high, diags),
        Shape::Number => number(node, key, diags),
        Shape::Duration => unit(node, key, units::duration(node.text().unwrap_or("")).err(), diags),
        Shape::Size => unit(node, key, units::size(node.text().unwrap_or("")).err(), diags),
        Shape::Mode => unit(node, key, units::mode(node.text().unwrap_or("")).err(), diags),
        Shape::Date => match node.value {
            Value::Text(text) | Value::Date(text) => date(node, key, text, diags),
            _ => {}
        },
        Shape::Text | Shape::Template | Shape::Criterion => nul(node, key, diags),
        Shape::Bool | Shape::Scalar => {}
    }
}

/// An element of a list: the message says so.
fn check_item(item: Node<'_>, key: &str, of: &Shape, diags: &mut Diags) {
    if matches!(of, Shape::Table(_) | Shape::OneOf(_) | Shape::List(_)) || fits(item, of) {
        check_value(item, key, of, diags);
    } else {
        let message = format!("each element of `{key}` needs to be {}, got {}", of.want(), item.type_name());
        let help = if matches!(of, Shape::Text | Shape::Template | Shape::Scalar) { quoted(item) } else { None };
        diags.push(Diagnostic::error("wrong-type", item.place, message).label(item.type_name()).hint(help));
    }
}

/// Whether the TOML type is right.
fn fits(node: Node<'_>, shape: &Shape) -> bool {
    match (shape, node.value) {
        (Shape::Any, _) => true,
        (Shape::OneOf(shapes), _) => shapes.iter().any(|shape| fits(node, shape)),
        (Shape::Scalar, value) => !matches!(value, Value::List(_) | Value::Table(_) | Value::Date(_)),
        (Shape::Date, Value::Date(_)) => true,
        (Shape::Int(..), Value::Integer(..)) | (Shape::Bool, Value::Bool(_)) => true,
        (Shape::Number, Value::Integer(..) | Value::Float(_)) => true,
        (Shape::List(_), Value::List(_)) | (Shape::Table(_) | Shape::Map(_), Value::Table(_)) => true,
        (shape, Value::Text(_)) => matches!(
            shape,
            Shape::Text
                | Shape::Template
                | Shape::Criterion
                | Shape::Word(_)
                | Shape::Duration
                | Shape::Size
                | Shape::Mode
                | Shape::Date
        ),
        _ => false,
    }
}

fn wrong_type(node: Node<'_>, key: &str, shape: &Shape, diags: &mut Diags) {
    let message = format!("`{key}` needs {}, got {}", shape.want(), node.type_name());
    let help = match (shape, node.value) {
        (Shape::Duration, Value::Integer(number, _)) => Some(format!("write `{key} = \"{}\"`", units::seconds(number))),
        (Shape::Size, Value::Integer(number, _)) => Some(format!("write `{key} = \"{number}B\"`")),
        (Shape::Mode, Value::Integer(..)) => Some(format!("write `{key} = \"0600\"`, in quotes")),
        (Shape::Bool, Value::Text(_)) => Some("write it without quotes".to_owned()),
        (Shape::Int(..) | Shape::Number, Value::Text(text)) if text.parse::<f64>().is_ok() => {
            Some("write it without quotes".to_owned())
        }
        (Shape::List(Shape::Text | Shape::Template), Value::Text(text)) => {
            Some(format!("write `{key} = [{}]`", serde_json::Value::from(text)))
        }
        (Shape::Text | Shape::Template | Shape::OneOf([Shape::Text | Shape::Template | Shape::Scalar, ..]), _) => {
            quoted(node)
        }
        (Shape::Table(kind), Value::Text(text)) if kind.name == tables::STEP.name => {
            Some(format!("begin a step with `[steps.{key}]` and give it `run = {}`", serde_json::Value::from(text)))
        }
        (Shape::Map(Shape::Table(kind)), _) if kind.name == tables::STEP.name => {
            Some(format!("each step is a table of its own: `[{key}.NAME]`"))
        }
        (Shape::Table(_) | Shape::Map(_), _) => Some(format!("write `{key} = {{ … }}`, or a header for it")),
        _ => None,
    };
    diags.push(Diagnostic::error("wrong-type", node.place, message).label(node.type_name()).hint(help));
}

fn quoted(node: Node<'_>) -> Option<String> {
    if matches!(node.value, Value::Date(_)) {
        return Some("write it in quotes".to_owned());
    }
    node.scalar().filter(|_| !node.value.is_text()).map(|text| format!("write it in quotes: \"{text}\""))
}

fn word(node: Node<'_>, key: &str, known: &'static [&'static str], diags: &mut Diags) {
    let text = node.text().unwrap_or("");
    if known.contains(&text) {
        return;
    }
    let fault = Diagnostic::error("unknown-word", node.place, format!("`{key}` cannot be `{text}`"));
    let fault = fault.label("no such word");
    let near = nearest(text, known.iter().copied());
    diags.push(
        fault.help(
            near.map_or_else(|| format!("use one of {}", words(known)), |near| format!("did you mean `{near}`?")),
        ),
    );
}

fn integer(node: Node<'_>, key: &str, low: i64, high: i64, diags: &mut Diags) {
    if !node.int().is_some_and(|number| (low..=high).contains(&number)) {
        let got = node.scalar().unwrap_or_default();
        let message = format!("`{key}` needs {}, got {got}", Shape::Int(low, high).want());
        diags.push(Diagnostic::error("out-of-range", node.place, message).label("out of range"));
    }
}

fn number(node: Node<'_>, key: &str, diags: &mut Diags) {
    if node.number().is_none() {
        let message = format!("`{key}` needs a finite number, got {}", node.scalar().unwrap_or_default());
        diags.push(Diagnostic::error("out-of-range", node.place, message).label("out of range"));
    }
}

fn unit(node: Node<'_>, key: &str, fault: Option<String>, diags: &mut Diags) {
    if let Some(reason) = fault {
        let text = node.text().unwrap_or("");
        let message = format!("`{key}` cannot be `{text}`");
        let (reason, help) = match reason.split_once("; ") {
            _ if text.contains("{{") => ("not a value", "templates have no place here: write the value"),
            Some(parts) => parts,
            None => ("not a value", reason.as_str()),
        };
        diags.push(Diagnostic::error("wrong-unit", node.place, message).label(reason).help(help));
    }
}

fn date(node: Node<'_>, key: &str, text: &str, diags: &mut Diags) {
    if let Err(reason) = units::date(text) {
        let message = format!("`{key}` cannot be `{text}`");
        diags.push(Diagnostic::error("wrong-unit", node.place, message).label(reason));
    }
}

fn nul(node: Node<'_>, key: &str, diags: &mut Diags) {
    if node.text().is_some_and(|text| text.contains('\0')) {
        let fault = Diagnostic::error("nul", node.place, format!("`{key}` has a NUL character in it"));
        diags.push(fault.help("no argument, variable or file name can hold one: remove it"));
    }
}
