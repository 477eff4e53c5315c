//! Holds the tables of `plans/LANGUAGE.md` against the key tables and the fact table: the page says every key and every
//! fact that there is, and none that there isn't. Only a test; with `RUNPLAN_BLESS=1` it writes the tables anew.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::keys::{Key, Kind, Shape};
use super::tables;
use crate::action::ActionKind;
use crate::criteria::{FactSpec, facts_of};

const BEGIN: &str = "<!-- table: ";
const END: &str = "<!-- end of table -->";

fn page() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("plans/LANGUAGE.md")
}

/// Every kind of table there is, found from the document down.
pub(super) fn kinds() -> Vec<&'static Kind> {
    fn within(shape: &'static Shape, found: &mut Vec<&'static Kind>) {
        match shape {
            Shape::Table(kind) if !found.iter().any(|known| known.name == kind.name) => {
                found.push(kind);
                kind.keys.iter().for_each(|key| within(&key.shape, found));
            }
            Shape::List(of) | Shape::Map(of) => within(of, found),
            Shape::OneOf(shapes) => shapes.iter().for_each(|shape| within(shape, found)),
            _ => {}
        }
    }
    let mut found = vec![&tables::DOCUMENT, &tables::WAIVERS];
    for document in [&tables::DOCUMENT, &tables::WAIVERS] {
        document.keys.iter().for_each(|key| within(&key.shape, &mut found));
    }
    found
}

/// What a value looks like, in few words.
fn takes(shape: &Shape) -> String {
    match shape {
        Shape::Text => "text".to_owned(),
        Shape::Template => "text with `{{ }}`".to_owned(),
        Shape::Criterion => "criterion".to_owned(),
        Shape::Word(words) => words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(" "),
        Shape::Int(low, high) => match (*low, *high) {
            (i64::MIN, i64::MAX) => "whole number".to_owned(),
            (low, i64::MAX) => format!("whole number from {low}"),
            (low, high) => format!("{low} to {high}"),
        },
        Shape::Number => "number".to_owned(),
        Shape::Bool => "`true` `false`".to_owned(),
        Shape::Duration => "duration".to_owned(),
        Shape::Size => "size".to_owned(),
        Shape::Mode => "file mode".to_owned(),
        Shape::Date => "date".to_owned(),
        Shape::Scalar => "text, number or boolean".to_owned(),
        Shape::List(of) => match of {
            Shape::Table(_) | Shape::Map(_) => "list of tables".to_owned(),
            of => format!("list of {}", takes(of)),
        },
        Shape::OneOf(shapes) => {
            let mut words: Vec<String> = shapes.iter().map(takes).collect();
            words.dedup();
            words.join(", or ")
        }
        Shape::Table(_) => "table".to_owned(),
        Shape::Map(_) => "table by name".to_owned(),
        Shape::Any => "anything".to_owned(),
    }
}

fn row(key: &Key) -> String {
    let default = match key.default {
        "" => String::new(),
        words if words.contains(' ') && !words.starts_with('{') => words.to_owned(),
        word => format!("`{word}`"),
    };
    format!("| `{}` | {} | {default} | {} |\n", key.name, takes(&key.shape), key.doc)
}

fn facts(specs: &[FactSpec]) -> String {
    let mut text = "| fact | kind | what it says |\n|---|---|---|\n".to_owned();
    for spec in specs {
        let maybe = if spec.optional { ", or absent" } else { "" };
        let path = spec.path.replace('|', "\\|");
        text.push_str(&format!("| `{path}` | {}{maybe} | {} |\n", spec.kind, spec.doc));
    }
    text
}

/// The table that a marker asks for: `facts ACTION`, or `KIND` with some of its keys or without for all.
fn table(marker: &str, said: &mut BTreeSet<String>) -> String {
    let mut words = marker.split_whitespace();
    let name = words.next().unwrap_or_default();
    if name == "facts" {
        let word = words.next().unwrap_or_default();
        let action = ActionKind::ALL.into_iter().find(|kind| kind.word() == word).expect(word);
        said.insert(format!("facts {word}"));
        return facts(facts_of(action));
    }
    let kind = *kinds().iter().find(|kind| kind.name == name).unwrap_or_else(|| panic!("no kind `{name}`"));
    let some: Vec<&str> = words.collect();
    let keys: Vec<&Key> = match some.as_slice() {
        [] => kind.keys.iter().collect(),
        names => names.iter().map(|key| kind.key(key).unwrap_or_else(|| panic!("no key `{name}.{key}`"))).collect(),
    };
    let mut text = "| key | takes | default | meaning |\n|---|---|---|---|\n".to_owned();
    for key in keys {
        assert!(said.insert(format!("{name}.{}", key.name)), "`{name}.{}` stands in two tables", key.name);
        text.push_str(&row(key));
    }
    text
}

#[test]
fn the_page_tells_every_key_and_every_fact() {
    let page = page();
    let text = std::fs::read_to_string(&page).expect("the page is there");
    let (mut made, mut said) = (String::new(), BTreeSet::new());
    let mut rest = text.as_str();
    while let Some(at) = rest.find(BEGIN) {
        let marker = rest[at + BEGIN.len()..].split(" -->").next().unwrap_or_default();
        let head = at + BEGIN.len() + marker.len() + " -->\n".len();
        let end = head + rest[head..].find(END).unwrap_or_else(|| panic!("the table `{marker}` has no end"));
        made.push_str(&rest[..head]);
        made.push_str(&table(marker, &mut said));
        made.push_str(END);
        rest = &rest[end + END.len()..];
    }
    made.push_str(rest);
    if std::env::var_os("RUNPLAN_BLESS").is_some() && made != text {
        std::fs::write(&page, &made).expect("the page can be written");
    }
    let mut missing: Vec<String> = kinds()
        .iter()
        .flat_map(|kind| kind.keys.iter().map(|key| format!("{}.{}", kind.name, key.name)))
        .chain(
            ActionKind::ALL.iter().filter(|kind| !facts_of(**kind).is_empty()).map(|k| format!("facts {}", k.word())),
        )
        .filter(|name| !said.contains(name))
        .collect();
    // A `render` offers what a `file` does.
    missing.retain(|name| name != "facts render");
    assert_eq!(missing, Vec::<String>::new(), "in no table of {}", page.display());
    let text = std::fs::read_to_string(&page).expect("the page is there");
    assert!(text == made, "run the tests with RUNPLAN_BLESS=1 and commit {}", page.display());
}

#[test]
fn keys_that_hold_templates_say_so() {
    assert_eq!(takes(&Shape::OneOf(&[Shape::Template, Shape::List(&Shape::Template)])), {
        "text with `{{ }}`, or list of text with `{{ }}`"
    });
    assert_eq!(takes(&Shape::Int(0, 100)), "0 to 100");
}
