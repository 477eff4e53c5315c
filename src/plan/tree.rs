//! The parsed TOML tree with places: nodes and tables that the walk reads. Reading is silent: what has a wrong shape was
//! reported by `shape` before and reads as absent here. Knows no plan.

use std::time::Duration;

use toml::de::{DeTable, DeValue};

use super::keys::Kind;
use super::units;
use crate::facts::Num;
use crate::ids::FileId;
use crate::place::Place;

/// A value and where it stands.
#[derive(Clone, Copy)]
pub(super) struct Node<'t> {
    /// The value.
    pub(super) value: &'t DeValue<'static>,
    /// Its bytes; for `[a.b]` tables only the header.
    pub(super) place: Place,
}

impl<'t> Node<'t> {
    pub(super) fn text(self) -> Option<&'t str> {
        self.value.as_str()
    }

    pub(super) fn int(self) -> Option<i64> {
        let number = self.value.as_integer()?;
        i64::from_str_radix(number.as_str(), number.radix()).ok()
    }

    pub(super) fn count(self) -> Option<u32> {
        self.int().and_then(|number| u32::try_from(number).ok())
    }

    /// An exact number, from an integer or a float.
    pub(super) fn number(self) -> Option<Num> {
        match self.value {
            DeValue::Float(float) => Num::decimal(float.as_str()),
            _ => self.int().map(|number| Num::int(i128::from(number))),
        }
    }

    /// A share of 0 to 1 in thousandths.
    pub(super) fn permille(self) -> Option<u32> {
        let scaled = self.number()?.times(Num::int(1000))?;
        u32::try_from(scaled.num / scaled.den).ok().filter(|weight| *weight <= 1000)
    }

    pub(super) fn bool(self) -> Option<bool> {
        self.value.as_bool()
    }

    pub(super) fn duration(self) -> Option<Duration> {
        units::duration(self.text()?).ok()
    }

    /// A string, number or boolean as text, numbers as written.
    pub(super) fn scalar(self) -> Option<String> {
        match self.value {
            DeValue::String(text) => Some(text.to_string()),
            DeValue::Integer(number) => Some(self.int().map_or_else(|| number.to_string(), |int| int.to_string())),
            DeValue::Float(float) => Some(float.as_str().to_owned()),
            DeValue::Boolean(on) => Some(on.to_string()),
            _ => None,
        }
    }

    /// The elements of a list; nothing for anything else.
    pub(super) fn items(self) -> impl Iterator<Item = Node<'t>> + use<'t> {
        let file = self.place.file;
        let array = self.value.as_array();
        array.into_iter().flat_map(|array| array.iter()).map(move |item| Node {
            value: item.get_ref(),
            place: Place::new(file, item.span()),
        })
    }

    /// The elements of a list, or the value itself if it is a string.
    pub(super) fn one_or_many(self) -> Vec<Node<'t>> {
        if self.value.is_str() { vec![self] } else { self.items().collect() }
    }

    pub(super) fn table(self, kind: &'static Kind) -> Option<Table<'t>> {
        Some(Table { map: self.value.as_table()?, place: self.place, kind: Some(kind) })
    }

    /// A table of free names.
    pub(super) fn map(self) -> Option<Table<'t>> {
        Some(Table { map: self.value.as_table()?, place: self.place, kind: None })
    }

    /// With an article, for messages.
    pub(super) fn type_name(self) -> &'static str {
        match self.value {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) => "an integer",
            DeValue::Float(_) => "a float",
            DeValue::Boolean(_) => "a boolean",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
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
    map: &'t DeTable<'static>,
    pub(super) place: Place,
    kind: Option<&'static Kind>,
}

impl<'t> Table<'t> {
    /// The root of a file.
    pub(super) fn root(map: &'t DeTable<'static>, file: FileId, kind: &'static Kind) -> Self {
        Self { map, place: Place::new(file, 0..0), kind: Some(kind) }
    }

    /// The value of a key that the table's kind has.
    pub(super) fn get(self, name: &str) -> Option<Node<'t>> {
        if let Some(kind) = self.kind {
            #[cfg(test)]
            seen::note(kind.name, name);
            debug_assert!(kind.key(name).is_some(), "`{name}` is not in the key table of {}", kind.name);
        }
        let value = self.map.get(name)?;
        Some(Node { value: value.get_ref(), place: Place::new(self.place.file, value.span()) })
    }

    pub(super) fn has(self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Where a key stands; the table if it has no such key.
    pub(super) fn key_place(self, name: &str) -> Place {
        let found = self.map.get_key_value(name);
        found.map_or(self.place, |(key, _)| Place::new(self.place.file, key.span()))
    }

    /// In the order written.
    pub(super) fn entries(self) -> impl Iterator<Item = Entry<'t>> + use<'t> {
        let file = self.place.file;
        self.map.iter().map(move |(key, value)| Entry {
            key: key.get_ref().as_ref(),
            key_place: Place::new(file, key.span()),
            node: Node { value: value.get_ref(), place: Place::new(file, value.span()) },
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
