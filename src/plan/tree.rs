//! The parsed TOML tree with places: nodes and tables that the walk reads. Reading is silent: what has a wrong shape was
//! reported by `shape` before and reads as absent here. Knows no plan.

use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::keys::{Key, Kind};
use super::template::nearest;
use super::units;
use crate::facts::Num;
use crate::ids::FileId;
use crate::place::Place;

/// A value, free of the text that it was read from.
pub(super) enum Value {
    Text(String),
    /// As written; `None` if it does not fit.
    Integer(String, Option<i64>),
    Float(String),
    Bool(bool),
    Date,
    List(Vec<(Value, Place)>),
    Table(Members),
}

/// A table's keys and values in the order written.
pub(super) struct Members(Vec<Member>);

struct Member {
    key: String,
    key_place: Place,
    value: Value,
    place: Place,
}

impl Members {
    /// Takes over a parsed table. The parser bounds how deep it is.
    pub(super) fn new(table: DeTable<'_>, file: FileId) -> Self {
        let member = |(key, value): (Spanned<toml::de::DeString<'_>>, Spanned<DeValue<'_>>)| {
            let (key_place, place) = (Place::new(file, key.span()), Place::new(file, value.span()));
            let value = Value::new(value.into_inner(), file);
            Member { key: key.into_inner().into_owned(), key_place, value, place }
        };
        Self(table.into_iter().map(member).collect())
    }

    fn get(&self, name: &str) -> Option<&Member> {
        self.0.iter().find(|member| member.key == name)
    }
}

impl Value {
    fn new(value: DeValue<'_>, file: FileId) -> Self {
        match value {
            DeValue::String(text) => Self::Text(text.into_owned()),
            DeValue::Integer(number) => {
                let value = i64::from_str_radix(number.as_str(), number.radix()).ok();
                Self::Integer(number.to_string(), value)
            }
            DeValue::Float(float) => Self::Float(float.as_str().to_owned()),
            DeValue::Boolean(on) => Self::Bool(on),
            DeValue::Datetime(_) => Self::Date,
            DeValue::Array(array) => {
                let item = |item: Spanned<DeValue<'_>>| {
                    let place = Place::new(file, item.span());
                    (Self::new(item.into_inner(), file), place)
                };
                Self::List(array.into_iter().map(item).collect())
            }
            DeValue::Table(table) => Self::Table(Members::new(table, file)),
        }
    }

    pub(super) fn is_text(&self) -> bool {
        matches!(self, Self::Text(_))
    }

    pub(super) fn is_list(&self) -> bool {
        matches!(self, Self::List(_))
    }

    pub(super) fn is_table(&self) -> bool {
        matches!(self, Self::Table(_))
    }
}

/// A value and where it stands.
#[derive(Clone, Copy)]
pub(super) struct Node<'t> {
    /// The value.
    pub(super) value: &'t Value,
    /// Its bytes; for `[a.b]` tables only the header.
    pub(super) place: Place,
}

impl<'t> Node<'t> {
    pub(super) fn text(self) -> Option<&'t str> {
        if let Value::Text(text) = self.value { Some(text) } else { None }
    }

    pub(super) fn int(self) -> Option<i64> {
        if let Value::Integer(_, number) = self.value { *number } else { None }
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
        if let Value::Bool(on) = self.value { Some(*on) } else { None }
    }

    pub(super) fn duration(self) -> Option<Duration> {
        units::duration(self.text()?).ok()
    }

    /// A string, number or boolean as text, numbers as written.
    pub(super) fn scalar(self) -> Option<String> {
        match self.value {
            Value::Text(text) => Some(text.clone()),
            Value::Integer(raw, number) => Some(number.map_or_else(|| raw.clone(), |int| int.to_string())),
            Value::Float(float) => Some(float.clone()),
            Value::Bool(on) => Some(on.to_string()),
            _ => None,
        }
    }

    /// The elements of a list; nothing for anything else.
    pub(super) fn items(self) -> impl Iterator<Item = Node<'t>> + use<'t> {
        let list = if let Value::List(list) = self.value { list.as_slice() } else { &[] };
        list.iter().map(|(value, place)| Node { value, place: *place })
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
            Value::Date => "a date",
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
    members: &'t Members,
    pub(super) place: Place,
    kind: Option<&'static Kind>,
}

impl<'t> Table<'t> {
    /// The root of a file.
    pub(super) fn root(members: &'t Members, file: FileId, kind: &'static Kind) -> Self {
        Self { members, place: Place::new(file, 0..0), kind: Some(kind) }
    }

    /// The value of a key that the table's kind has.
    pub(super) fn get(self, name: &str) -> Option<Node<'t>> {
        if let Some(kind) = self.kind {
            #[cfg(test)]
            seen::note(kind.name, name);
            debug_assert!(kind.key(name).is_some(), "`{name}` is not in the key table of {}", kind.name);
        }
        let member = self.members.get(name)?;
        Some(Node { value: &member.value, place: member.place })
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
        self.members.get(name).map_or(self.place, |member| member.key_place)
    }

    /// In the order written.
    pub(super) fn entries(self) -> impl Iterator<Item = Entry<'t>> + use<'t> {
        self.members.0.iter().map(|member| Entry {
            key: member.key.as_str(),
            key_place: member.key_place,
            node: Node { value: &member.value, place: member.place },
        })
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
