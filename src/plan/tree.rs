//! The parsed TOML tree with places: nodes and tables that the walk reads. Reading is silent: what has a wrong shape was
//! reported by `shape` before and reads as absent here. Knows no plan.
//!
//! A generated plan has hundreds of thousands of values, so a value is 32 bytes in one list that is freed at once, and a
//! text is the bytes of the file that it stands in wherever it was written as it reads.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::keys::{Key, Kind};
use super::template::nearest;
use super::units;
use crate::facts::Num;
use crate::ids::FileId;
use crate::place::{Place, Source};

/// No item, no text of its own.
pub(super) const NONE: u32 = u32::MAX;
/// The table that the file is.
pub(super) const ROOT: u32 = 0;

/// What an item is; what its `data` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Is {
    /// A text; `data` as of [`Tree::raw`].
    Text,
    Integer,
    Float,
    /// A date or time.
    Date,
    /// `data` is 1 for `true`.
    Bool,
    /// `data` is the first element, `last` the last.
    List,
    /// `data` is the first member, `last` the last.
    Table,
}

/// A value, with its key where it is a member of a table.
#[derive(Clone, Debug)]
struct Item {
    key_start: u32,
    key_len: u32,
    start: u32,
    len: u32,
    /// The next in the same list or table.
    next: u32,
    data: u32,
    last: u32,
    is: Is,
    /// Members or elements; stops at the most it can say.
    count: u8,
    /// Made by a header: others may add to it.
    open: bool,
}

/// A parsed file.
#[derive(Debug)]
pub(super) struct Tree {
    source: Arc<Source>,
    file: FileId,
    items: Vec<Item>,
    /// What reads otherwise than it is written.
    own: Vec<String>,
    /// Keys that read otherwise than they are written, by item.
    own_keys: HashMap<u32, String>,
}

impl Tree {
    /// An empty table. A file of `u32::MAX` bytes and more has no places, and the reader refuses it long before.
    pub(super) fn new(source: Arc<Source>, file: FileId) -> Self {
        let mut tree = Self { source, file, items: Vec::new(), own: Vec::new(), own_keys: HashMap::new() };
        tree.add(Is::Table, 0..0);
        tree
    }

    /// Takes over a parsed table. The parser bounds how deep it is.
    pub(super) fn of(source: Arc<Source>, file: FileId, table: DeTable<'_>) -> Self {
        let mut tree = Self::new(source, file);
        tree.members(ROOT, table);
        tree
    }

    fn members(&mut self, parent: u32, table: DeTable<'_>) {
        for (key, value) in table {
            let (at, span) = (self.value(value), key.span());
            if self.source.text.get(span.clone()) != Some(key.get_ref()) {
                self.own_keys.insert(at, key.get_ref().to_string());
            }
            self.append(parent, at, span);
        }
    }

    fn value(&mut self, value: Spanned<DeValue<'_>>) -> u32 {
        let span = value.span();
        match value.into_inner() {
            DeValue::String(text) => self.add_text(Is::Text, span, &text),
            DeValue::Integer(number) => self.add_text(Is::Integer, span, &number.to_string()),
            DeValue::Float(float) => self.add_text(Is::Float, span, float.as_str()),
            DeValue::Datetime(date) => self.add_text(Is::Date, span, &date.to_string()),
            DeValue::Boolean(on) => self.add_bool(span, on),
            DeValue::Array(array) => {
                let list = self.add(Is::List, span);
                for item in array {
                    let at = self.value(item);
                    self.append(list, at, 0..0);
                }
                list
            }
            DeValue::Table(table) => {
                let at = self.add(Is::Table, span);
                self.members(at, table);
                at
            }
        }
    }

    /// A value that is not yet in any list or table.
    pub(super) fn add(&mut self, is: Is, span: Range<usize>) -> u32 {
        let at = u32::try_from(self.items.len()).unwrap_or(NONE);
        let place = Place::new(self.file, span);
        let (start, len) = (place.start, place.len);
        self.items.push(Item {
            key_start: 0,
            key_len: 0,
            start,
            len,
            next: NONE,
            data: NONE,
            last: NONE,
            is,
            count: 0,
            open: false,
        });
        at
    }

    /// As [`Tree::add`], for a value that reads `text`.
    pub(super) fn add_text(&mut self, is: Is, span: Range<usize>, text: &str) -> u32 {
        let at = self.add(is, span);
        if self.raw(at) != text {
            self.items[at as usize].data = u32::try_from(self.own.len()).unwrap_or(NONE);
            self.own.push(text.to_owned());
        }
        at
    }

    pub(super) fn add_bool(&mut self, span: Range<usize>, on: bool) -> u32 {
        let at = self.add(Is::Bool, span);
        self.items[at as usize].data = u32::from(on);
        at
    }

    /// Lets the place of a value reach up to `end`.
    pub(super) fn stretch(&mut self, at: u32, end: usize) {
        let item = &mut self.items[at as usize];
        item.len = u32::try_from(end).unwrap_or(u32::MAX).saturating_sub(item.start);
    }

    /// Puts a value at the end of a list or table.
    pub(super) fn append(&mut self, parent: u32, at: u32, key: Range<usize>) {
        let place = Place::new(self.file, key);
        let item = &mut self.items[at as usize];
        (item.key_start, item.key_len) = (place.start, place.len);
        let above = &mut self.items[parent as usize];
        above.count = above.count.saturating_add(1);
        let before = std::mem::replace(&mut above.last, at);
        match before {
            NONE => self.items[parent as usize].data = at,
            _ => self.items[before as usize].next = at,
        }
    }

    pub(super) fn is(&self, at: u32) -> Is {
        self.items[at as usize].is
    }

    /// Members or elements, if they are fewer than 255.
    pub(super) fn count(&self, at: u32) -> u8 {
        self.items[at as usize].count
    }

    /// Says that headers may add to a table or list.
    pub(super) fn open(&mut self, at: u32) {
        self.items[at as usize].open = true;
    }

    pub(super) fn is_open(&self, at: u32) -> bool {
        self.items[at as usize].open
    }

    /// Members or elements.
    pub(super) fn inside(&self, at: u32) -> Inside<'_> {
        let item = &self.items[at as usize];
        Inside { tree: self, at: if matches!(item.is, Is::List | Is::Table) { item.data } else { NONE } }
    }

    pub(super) fn key(&self, at: u32) -> &str {
        let item = &self.items[at as usize];
        if !self.own_keys.is_empty()
            && let Some(key) = self.own_keys.get(&at)
        {
            return key;
        }
        self.written(item.key_start, item.key_len)
    }

    fn has_key(&self, at: u32, name: &str) -> bool {
        let item = &self.items[at as usize];
        (item.key_len as usize == name.len() || !self.own_keys.is_empty()) && self.key(at) == name
    }

    fn written(&self, start: u32, len: u32) -> &str {
        self.source.text.get(start as usize..start as usize + len as usize).unwrap_or("")
    }

    /// What a text, a number or a date reads.
    fn raw(&self, at: u32) -> &str {
        let item = &self.items[at as usize];
        match (self.own.get(item.data as usize), item.is) {
            (Some(own), _) => own,
            (None, Is::Text) => self.written(item.start + 1, item.len.saturating_sub(2)),
            (None, _) => self.written(item.start, item.len),
        }
    }

    fn place(&self, at: u32) -> Place {
        let item = &self.items[at as usize];
        Place { file: self.file, start: item.start, len: item.len }
    }

    pub(super) fn key_place(&self, at: u32) -> Place {
        let item = &self.items[at as usize];
        Place { file: self.file, start: item.key_start, len: item.key_len }
    }

    fn node(&self, at: u32) -> Node<'_> {
        let item = &self.items[at as usize];
        let value = match item.is {
            Is::Text => Value::Text(self.raw(at)),
            Is::Integer => Value::Integer(self.raw(at), number(self.raw(at))),
            Is::Float => Value::Float(self.raw(at)),
            Is::Date => Value::Date(self.raw(at)),
            Is::Bool => Value::Bool(item.data == 1),
            Is::List => Value::List(self.inside(at)),
            Is::Table => Value::Table(self.inside(at)),
        };
        Node { value, place: self.place(at) }
    }
}

/// A whole number as written; `None` if it does not fit.
fn number(text: &str) -> Option<i64> {
    match text.get(..2) {
        Some("0x") => i64::from_str_radix(&text[2..], 16).ok(),
        Some("0o") => i64::from_str_radix(&text[2..], 8).ok(),
        Some("0b") => i64::from_str_radix(&text[2..], 2).ok(),
        _ => text.parse().ok(),
    }
}

/// Items one after the other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Inside<'t> {
    tree: &'t Tree,
    at: u32,
}

impl Iterator for Inside<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        let at = self.at;
        self.at = self.tree.items.get(at as usize)?.next;
        Some(at)
    }
}

impl<'t> Inside<'t> {
    pub(super) fn get(mut self, name: &str) -> Option<u32> {
        self.find(|at| self.tree.has_key(*at, name))
    }
}

/// A value as it is read.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value<'t> {
    Text(&'t str),
    /// As written; `None` if it does not fit.
    Integer(&'t str, Option<i64>),
    Float(&'t str),
    Bool(bool),
    /// A date or time as written.
    Date(&'t str),
    List(Inside<'t>),
    Table(Inside<'t>),
}

impl Value<'_> {
    pub(super) fn is_text(self) -> bool {
        matches!(self, Self::Text(_))
    }

    pub(super) fn is_list(self) -> bool {
        matches!(self, Self::List(_))
    }

    pub(super) fn is_table(self) -> bool {
        matches!(self, Self::Table(_))
    }
}

/// A value and where it stands.
#[derive(Clone, Copy)]
pub(super) struct Node<'t> {
    /// The value.
    pub(super) value: Value<'t>,
    /// Its bytes; for `[a.b]` tables only the header.
    pub(super) place: Place,
}

impl<'t> Node<'t> {
    pub(super) fn text(self) -> Option<&'t str> {
        if let Value::Text(text) = self.value { Some(text) } else { None }
    }

    pub(super) fn int(self) -> Option<i64> {
        if let Value::Integer(_, number) = self.value { number } else { None }
    }

    pub(super) fn count(self) -> Option<u32> {
        self.int().and_then(|number| u32::try_from(number).ok())
    }

    /// An exact number, from an integer or a float.
    pub(super) fn number(self) -> Option<Num> {
        match self.value {
            Value::Float(float) => Num::decimal(float),
            _ => self.int().map(|number| Num::int(i128::from(number))),
        }
    }

    /// A share of 0 to 1 in thousandths.
    pub(super) fn permille(self) -> Option<u32> {
        let scaled = self.number()?.times(Num::int(1000))?;
        u32::try_from(scaled.num / scaled.den).ok().filter(|weight| *weight <= 1000 && scaled.num >= 0)
    }

    pub(super) fn bool(self) -> Option<bool> {
        if let Value::Bool(on) = self.value { Some(on) } else { None }
    }

    pub(super) fn duration(self) -> Option<Duration> {
        units::duration(self.text()?).ok()
    }

    /// A day, quoted or not, in its one spelling.
    pub(super) fn date(self) -> Option<String> {
        let (Value::Text(text) | Value::Date(text)) = self.value else { return None };
        units::date(text).ok()
    }

    /// A string, number or boolean as text, numbers as written.
    pub(super) fn scalar(self) -> Option<String> {
        match self.value {
            Value::Text(text) => Some(text.to_owned()),
            Value::Integer(raw, number) => Some(number.map_or_else(|| raw.to_owned(), |int| int.to_string())),
            Value::Float(float) => Some(float.to_owned()),
            Value::Bool(on) => Some(on.to_string()),
            _ => None,
        }
    }

    /// The elements of a list; nothing for anything else.
    pub(super) fn items(self) -> impl Iterator<Item = Node<'t>> + use<'t> {
        let mut list = if let Value::List(list) = self.value { Some(list) } else { None };
        std::iter::from_fn(move || list.as_mut().and_then(|list| Some(list.tree.node(list.next()?))))
    }

    /// The elements of a list, or the value itself if it is a string.
    pub(super) fn one_or_many(self) -> Vec<Node<'t>> {
        if self.value.is_text() { vec![self] } else { self.items().collect() }
    }

    pub(super) fn table(self, kind: &'static Kind) -> Option<Table<'t>> {
        self.map().map(|table| Table { kind: Some(kind), ..table })
    }

    /// A table of free names.
    pub(super) fn map(self) -> Option<Table<'t>> {
        if let Value::Table(members) = self.value {
            return Some(Table { members, place: self.place, kind: None });
        }
        None
    }

    /// With an article, for messages.
    pub(super) fn type_name(self) -> &'static str {
        match self.value {
            Value::Text(_) => "a string",
            Value::Integer(..) => "an integer",
            Value::Float(_) => "a float",
            Value::Bool(_) => "a boolean",
            Value::Date(_) => "a date",
            Value::List(_) => "a list",
            Value::Table(_) => "a table",
        }
    }
}

/// One entry of a table.
#[derive(Clone, Copy)]
pub(super) struct Entry<'t> {
    pub(super) key: &'t str,
    pub(super) key_place: Place,
    pub(super) node: Node<'t>,
}

/// A table and where it stands.
#[derive(Clone, Copy)]
pub(super) struct Table<'t> {
    members: Inside<'t>,
    pub(super) place: Place,
    kind: Option<&'static Kind>,
}

impl<'t> Table<'t> {
    /// The root of a file.
    pub(super) fn root(tree: &'t Tree, kind: &'static Kind) -> Self {
        Self { members: tree.inside(ROOT), place: Place::new(tree.file, 0..0), kind: Some(kind) }
    }

    /// The value of a key that the table's kind has.
    pub(super) fn get(self, name: &str) -> Option<Node<'t>> {
        if let Some(kind) = self.kind {
            #[cfg(test)]
            seen::note(kind.name, name);
            debug_assert!(kind.key(name).is_some(), "`{name}` is not in the key table of {}", kind.name);
        }
        Some(self.members.tree.node(self.members.get(name)?))
    }

    pub(super) fn has(self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Whether a key is there under a name that its kind does not have: said already, and why `name` is missing.
    pub(super) fn misspelt(self, name: &str) -> bool {
        let known = |key: &str| self.kind.is_none_or(|kind| kind.key(key).is_some());
        !self.has(name)
            && self.entries().any(|entry| !known(entry.key) && nearest(entry.key, [name].into_iter()).is_some())
    }

    /// What the key tables say of a key.
    pub(super) fn about(self, name: &str) -> Option<&'static Key> {
        self.kind?.key(name)
    }

    /// Where a key stands; the table if it has no such key.
    pub(super) fn key_place(self, name: &str) -> Place {
        self.members.get(name).map_or(self.place, |at| self.members.tree.key_place(at))
    }

    /// In the order written.
    pub(super) fn entries(self) -> impl Iterator<Item = Entry<'t>> + use<'t> {
        let tree = self.members.tree;
        self.members.map(|at| Entry { key: tree.key(at), key_place: tree.key_place(at), node: tree.node(at) })
    }

    pub(super) fn text(self, name: &str) -> Option<&'t str> {
        self.get(name)?.text()
    }

    pub(super) fn duration(self, name: &str) -> Option<Duration> {
        self.get(name)?.duration()
    }

    pub(super) fn count(self, name: &str) -> Option<u32> {
        self.get(name)?.count()
    }

    /// The elements of a list, or the one string.
    pub(super) fn list(self, name: &str) -> Vec<Node<'t>> {
        self.get(name).map(Node::one_or_many).unwrap_or_default()
    }
}

/// Which keys the walk asked for: so that the tables and the walk cannot drift apart.
#[cfg(test)]
pub(super) mod seen {
    use std::cell::RefCell;
    use std::collections::BTreeSet;

    thread_local! {
        static SEEN: RefCell<BTreeSet<(String, String)>> = const { RefCell::new(BTreeSet::new()) };
    }

    pub(in crate::plan) fn note(kind: &str, key: &str) {
        SEEN.with_borrow_mut(|seen| seen.insert((kind.to_owned(), key.to_owned())));
    }

    pub(in crate::plan) fn take() -> BTreeSet<(String, String)> {
        SEEN.with_borrow_mut(std::mem::take)
    }
}
