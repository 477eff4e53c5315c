//! What stands at the cursor: a key, a text, a value without quotes, a header. Read from the text as it is, whatever is
//! not finished.

use std::ops::Range;

use super::marks;
use super::scan::{Form, Scan};
use crate::plan::guide::Guide;

/// What stands at a place.
pub(super) enum Spot {
    /// A name in `[ … ]`.
    Header {
        /// Names before it.
        before: Vec<String>,
        typed: Range<usize>,
    },
    /// Where a key stands or may stand.
    Key {
        /// Of the table that it is in.
        guide: Option<Guide>,
        /// The whole word there.
        typed: Range<usize>,
        /// Keys that the table has already.
        taken: Vec<String>,
        /// The table's path.
        path: Vec<String>,
        /// In the document itself, under no header.
        at_top: bool,
    },
    /// In quotes: the value's index.
    Text(usize),
    /// Where a value stands without quotes, or may stand: what the tables say, and the path.
    Bare { guide: Option<Guide>, typed: Range<usize>, path: Vec<String>, in_list: bool },
    /// In a comment, or behind a value.
    Nowhere,
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '-'
}

/// The word around a place.
fn word(text: &str, at: usize) -> Range<usize> {
    let (before, after) = text.split_at(at);
    let start = before.trim_end_matches(is_word).len();
    start..at + after.len() - after.trim_start_matches(is_word).len()
}

/// Looks at a place.
pub(super) fn spot(scan: &Scan<'_>, at: usize) -> Spot {
    let text = scan.text;
    if scan.comments.iter().any(|comment| comment.start < at && at <= comment.end) {
        return Spot::Nowhere;
    }
    let table = scan.table_at(at);
    let head = &scan.tables[table];
    if head.at.start < at && at <= head.at.end && !text[head.at.start..at].contains(']') {
        let typed = word(text, at);
        let before = head.keys.iter().filter(|key| key.at.end < typed.start).map(|key| key.name.to_string());
        return Spot::Header { before: before.collect(), typed };
    }
    if !head.at.is_empty() && at <= head.at.end {
        return Spot::Nowhere;
    }
    match scan.value_at(at) {
        Some(value) => match scan.values[value].form {
            Form::Text { .. } => Spot::Text(value),
            Form::Bare => bare(scan, value, at),
            Form::List => {
                let guide = marks::guide_of(scan, value).map(Guide::element);
                let path = path(scan, value);
                Spot::Bare { guide, typed: word(text, at), path, in_list: true }
            }
            Form::Table => key(scan, Some(value), at),
        },
        None => key(scan, None, at),
    }
}

fn path(scan: &Scan<'_>, value: usize) -> Vec<String> {
    scan.path(&scan.values[value]).into_iter().map(str::to_owned).collect()
}

fn bare(scan: &Scan<'_>, value: usize, at: usize) -> Spot {
    let value_of = &scan.values[value];
    let parent = value_of.parent.map(|parent| scan.values[parent].form);
    // A comma that is still to come: `[a, b` reads as words.
    let in_list = parent == Some(Form::List);
    let guide = marks::guide_of(scan, value).map(|guide| if in_list { guide.element() } else { guide });
    let typed = word(scan.text, at);
    Spot::Bare { guide, typed, path: path(scan, value), in_list }
}

/// Where a key may stand: at the begin of a line, or in an inline table.
fn key(scan: &Scan<'_>, parent: Option<usize>, at: usize) -> Spot {
    let text = scan.text;
    let typed = word(text, at);
    // Names before a dot belong to the key.
    let mut start = typed.start;
    let mut dotted: Vec<String> = Vec::new();
    while text[..start].ends_with('.') {
        let name = word(text, start - 1);
        if name.is_empty() {
            return Spot::Nowhere;
        }
        dotted.insert(0, text[name.clone()].to_owned());
        start = name.start;
    }
    let before = text[..start].trim_end_matches([' ', '\t']);
    let table = scan.table_at(at);
    // Behind `=`, with more blanks than one.
    if before.ends_with('=') {
        let behind = scan.values.iter().position(|value| value.at.start >= before.len() && value.table == table);
        let owner = behind.filter(|value| {
            scan.values[*value].keys.last().is_some_and(|key| key.at.end < before.len())
                && scan.values[*value].at.start
                    <= at + text[at..].len() - text[at..].trim_start_matches([' ', '\t']).len()
        });
        return owner.map_or(Spot::Nowhere, |value| bare(scan, value, at));
    }
    let free = match parent {
        Some(_) => before.trim_end().ends_with(['{', ',']) || before.ends_with(['\n', '\r']),
        None => before.is_empty() || before.ends_with(['\n', '\r', '\u{feff}']),
    };
    if !free {
        return Spot::Nowhere;
    }
    let (mut guide, mut names) = match parent {
        Some(parent) => (marks::guide_of(scan, parent), path(scan, parent)),
        None => {
            let head = scan.tables[table].keys.iter().map(|key| key.name.to_string()).collect();
            (marks::table_guide(scan, table), head)
        }
    };
    let at_top = parent.is_none() && table == 0 && dotted.is_empty();
    for name in &dotted {
        guide = guide.and_then(|guide| guide.under(name));
    }
    names.extend(dotted);
    let taken = taken(scan, parent, table, &names, &typed);
    Spot::Key { guide, typed, taken, path: names, at_top }
}

/// Keys that a table has, but for the one at the cursor.
fn taken(scan: &Scan<'_>, parent: Option<usize>, table: usize, path: &[String], typed: &Range<usize>) -> Vec<String> {
    let own = scan.values.iter().filter(|value| value.table == table && value.parent == parent);
    let first = own.filter_map(|value| value.keys.first()).filter(|key| key.at != *typed);
    let below = scan.tables.iter().filter_map(|head| {
        let fits = head.keys.len() > path.len() && head.keys.iter().zip(path).all(|(key, name)| key.name == *name);
        fits.then(|| &head.keys[path.len()])
    });
    first.chain(below).map(|key| key.name.to_string()).collect()
}
