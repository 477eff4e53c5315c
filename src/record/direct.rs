//! Canonical JSON straight from plain data, without a tree in between: what the journal and the record are written by.
//! Gives the same bytes as the tree's writer in `canonical`, or the same refusal; a test holds one against the other.

use std::cell::Cell;
use std::cmp::Ordering;

use serde::ser::{self, Error as _, Serialize};

use super::canonical::{CanonicalError, MAX_EXACT, order, plain};

/// Most memory that is kept for the next text.
const MOST_KEPT: usize = 64 * 1024;

/// Bytes so far.
pub(super) struct Writer {
    out: Vec<u8>,
    depth: usize,
    /// A member that is to be put into the outermost object.
    wanted: Option<&'static str>,
    /// Where it has to stand; `None` behind all others.
    place: Option<usize>,
    /// Members of all open objects, those of the innermost last: one list, so that an object costs no memory of its own.
    members: Vec<Member>,
    /// Where members are put in order.
    scratch: Vec<u8>,
}

/// Where a member stands in the text.
struct Member {
    start: usize,
    /// Behind its name in quotes.
    colon: usize,
    end: usize,
    /// The name is ASCII without escapes: its bytes are in the order of its letters.
    is_plain: bool,
}

impl Member {
    fn name<'o>(&self, out: &'o [u8]) -> &'o [u8] {
        &out[self.start + 1..self.colon - 1]
    }

    fn letters(&self, out: &[u8]) -> String {
        serde_json::from_slice(&out[self.start..self.colon]).unwrap_or_default()
    }

    fn order(&self, other: &Self, out: &[u8]) -> Ordering {
        if self.is_plain && other.is_plain {
            self.name(out).cmp(other.name(out))
        } else {
            order(&self.letters(out), &other.letters(out))
        }
    }

    /// Whether it has to stand behind a member of that name, which is plain.
    fn is_behind(&self, name: &str, out: &[u8]) -> bool {
        if self.is_plain { name.as_bytes() < self.name(out) } else { order(name, &self.letters(out)).is_lt() }
    }
}

/// The canonical text of an item, and where a member of this name would have to stand in it.
pub(super) fn write(
    item: &impl Serialize,
    wanted: Option<&'static str>,
) -> Result<(Vec<u8>, Option<usize>), CanonicalError> {
    thread_local! {
        /// Its memory serves one text after the other.
        static WRITER: Cell<Option<Writer>> = const { Cell::new(None) };
    }
    let mut writer = WRITER.take().unwrap_or_else(Writer::new);
    let written = writer.write(item, wanted).map(|place| (writer.out.clone(), place));
    if writer.out.capacity() <= MOST_KEPT {
        WRITER.set(Some(writer));
    }
    written
}

impl ser::Error for CanonicalError {
    fn custom<T: std::fmt::Display>(why: T) -> Self {
        Self::Serialize(why.to_string())
    }
}

/// An object or an array that is being written.
pub(super) struct Group<'w> {
    writer: &'w mut Writer,
    start: usize,
    close: &'static [u8],
    /// From here on the writer's members are those of this object, in the order in which they came.
    first: usize,
    is_first: bool,
    /// So far the members came in their order: nothing has to be moved.
    is_sorted: bool,
    /// The last name, if it was that of a field.
    last: Option<&'static str>,
}

impl Writer {
    /// A writer that may write one item after the other.
    pub(super) fn new() -> Self {
        let (out, members) = (Vec::with_capacity(1024), Vec::with_capacity(64));
        Self { out, depth: 0, wanted: None, place: None, members, scratch: Vec::new() }
    }

    /// What the last item came to.
    pub(super) fn text_mut(&mut self) -> &mut Vec<u8> {
        &mut self.out
    }

    /// The canonical text of an item in place of what was written before, and where a member of this name would have to
    /// stand in it.
    pub(super) fn write(
        &mut self,
        item: &impl Serialize,
        wanted: Option<&'static str>,
    ) -> Result<Option<usize>, CanonicalError> {
        self.out.clear();
        self.members.clear();
        (self.depth, self.wanted, self.place) = (0, wanted, None);
        item.serialize(&mut *self)?;
        Ok(self.place)
    }

    fn open(&mut self, bracket: u8, close: &'static [u8]) -> Group<'_> {
        let start = self.out.len();
        self.out.push(bracket);
        self.depth += 1;
        let first = self.members.len();
        Group { writer: self, start, close, first, is_first: true, is_sorted: true, last: None }
    }

    /// `{"Variant":`, which the group that comes next closes.
    fn variant(&mut self, name: &'static str) -> Result<(), CanonicalError> {
        self.out.push(b'{');
        self.text(name)?;
        self.out.push(b':');
        Ok(())
    }

    fn text(&mut self, text: &str) -> Result<(), CanonicalError> {
        if has_escapes(text.as_bytes()) {
            return plain(text, &mut self.out);
        }
        self.out.reserve(text.len() + 2);
        self.out.push(b'"');
        self.out.extend_from_slice(text.as_bytes());
        self.out.push(b'"');
        Ok(())
    }

    /// A whole number by its sign and size.
    fn number(&mut self, negative: bool, size: u64) -> Result<(), CanonicalError> {
        let sign = if negative { "-" } else { "" };
        if size > MAX_EXACT {
            return Err(CanonicalError::Range(format!("{sign}{size}")));
        }
        self.out.extend_from_slice(sign.as_bytes());
        let (mut digits, mut at, mut left) = ([0; 20], 20, size);
        loop {
            at -= 1;
            digits[at] = b'0' + u8::try_from(left % 10).unwrap_or(0);
            left /= 10;
            if left == 0 {
                break;
            }
        }
        self.out.extend_from_slice(&digits[at..]);
        Ok(())
    }
}

/// Whether a text can't stand between quotes as it is. Looks at eight bytes at once: a byte is below another one where
/// subtracting that borrows from its highest bit.
fn has_escapes(text: &[u8]) -> bool {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGH: u64 = ONES << 7;
    let below = |word: u64, bound: u8| word.wrapping_sub(ONES * u64::from(bound)) & !word & HIGH;
    let is = |word: u64, byte: u8| below(word ^ (ONES * u64::from(byte)), 1);
    let (words, rest) = text.as_chunks::<8>();
    let mut last = [b' '; 8];
    last[..rest.len()].copy_from_slice(rest);
    let words = words.iter().chain(std::iter::once(&last)).map(|bytes| u64::from_ne_bytes(*bytes));
    words.fold(0, |found, word| found | below(word, b' ') | is(word, b'"') | is(word, b'\\')) != 0
}

/// Whether a name stands before another one; mostly the first letter tells.
fn is_before(a: &str, b: &str) -> bool {
    match (a.as_bytes().first(), b.as_bytes().first()) {
        (Some(first), Some(other)) if first != other => first < other,
        _ => a < b,
    }
}

impl Group<'_> {
    fn comma(&mut self) {
        if !self.is_first {
            self.writer.out.push(b',');
        }
        self.is_first = false;
    }

    fn item<T: Serialize + ?Sized>(&mut self, item: &T) -> Result<(), CanonicalError> {
        self.comma();
        item.serialize(&mut *self.writer)
    }

    fn key<T: Serialize + ?Sized>(&mut self, name: &T) -> Result<(), CanonicalError> {
        self.comma();
        let start = self.writer.out.len();
        name.serialize(&mut *self.writer)?;
        let out = &self.writer.out;
        if out.get(start) != Some(&b'"') {
            return Err(CanonicalError::custom("the name of a member is no text"));
        }
        let is_plain = out[start..].iter().fold(true, |plain, byte| plain & byte.is_ascii() & (*byte != b'\\'));
        self.named(start, is_plain);
        Ok(())
    }

    /// The name of a field: a word of ours, which needs no escapes.
    fn field(&mut self, name: &'static str) {
        debug_assert!(name.is_ascii() && !has_escapes(name.as_bytes()), "{name}");
        let Writer { out, members, .. } = &mut *self.writer;
        out.reserve(name.len() + 4);
        out.extend_from_slice(if self.is_first { b"\"" } else { b",\"" });
        self.is_first = false;
        let start = out.len() - 1;
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"\":");
        let colon = out.len() - 1;
        let member = Member { start, colon, end: colon, is_plain: true };
        self.is_sorted = self.is_sorted
            && match self.last {
                Some(last) => is_before(last, name),
                None => members
                    .get(self.first..)
                    .and_then(<[Member]>::last)
                    .is_none_or(|last| last.order(&member, out).is_lt()),
            };
        self.last = Some(name);
        members.push(member);
    }

    /// Takes in that a name was written.
    fn named(&mut self, start: usize, is_plain: bool) {
        let Writer { out, members, .. } = &mut *self.writer;
        let colon = out.len();
        out.push(b':');
        let member = Member { start, colon, end: colon, is_plain };
        if let Some(before) = members.get(self.first..).and_then(<[Member]>::last) {
            self.is_sorted = self.is_sorted && before.order(&member, out).is_lt();
        }
        self.last = None;
        members.push(member);
    }

    fn value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), CanonicalError> {
        value.serialize(&mut *self.writer)?;
        let end = self.writer.out.len();
        // Those of what stands in the value are gone again.
        match self.writer.members.last_mut() {
            Some(own) => own.end = end,
            None => return Err(CanonicalError::custom("a value without a name")),
        }
        Ok(())
    }

    fn close(self) -> Result<(), CanonicalError> {
        let Self { writer, start, close, first, is_sorted, .. } = self;
        writer.depth -= 1;
        let wanted = writer.wanted.filter(|_| writer.depth == 0);
        let Writer { out, members, scratch, place, .. } = &mut *writer;
        let own = &mut members[first..];
        if is_sorted {
            if let Some(wanted) = wanted {
                *place = own.iter().find(|member| member.is_behind(wanted, out)).map(|member| member.start);
            }
        } else {
            own.sort_by(|a, b| a.order(b, out));
            scratch.clear();
            for at in 0..own.len() {
                let member = &own[at];
                // Of members of one name the last one counts, as in a tree.
                if own.get(at + 1).is_some_and(|next| next.name(out) == member.name(out)) {
                    continue;
                }
                if !scratch.is_empty() {
                    scratch.push(b',');
                }
                if place.is_none() && wanted.is_some_and(|wanted| member.is_behind(wanted, out)) {
                    *place = Some(start + 1 + scratch.len());
                }
                scratch.extend_from_slice(&out[member.start..member.end]);
            }
            out.truncate(start + 1);
            out.extend_from_slice(scratch);
        }
        out.extend_from_slice(close);
        writer.members.truncate(first);
        Ok(())
    }
}

type Done = Result<(), CanonicalError>;

macro_rules! signed {
    ($($method:ident $kind:ty),*) => {
        $(fn $method(self, number: $kind) -> Done {
            self.number(number < 0, number.unsigned_abs().into())
        })*
    };
}

macro_rules! unsigned {
    ($($method:ident $kind:ty),*) => {
        $(fn $method(self, number: $kind) -> Done {
            self.number(false, number.into())
        })*
    };
}

impl<'w> ser::Serializer for &'w mut Writer {
    type Ok = ();
    type Error = CanonicalError;
    type SerializeSeq = Group<'w>;
    type SerializeTuple = Group<'w>;
    type SerializeTupleStruct = Group<'w>;
    type SerializeTupleVariant = Group<'w>;
    type SerializeMap = Group<'w>;
    type SerializeStruct = Group<'w>;
    type SerializeStructVariant = Group<'w>;

    signed!(serialize_i8 i8, serialize_i16 i16, serialize_i32 i32, serialize_i64 i64);
    unsigned!(serialize_u8 u8, serialize_u16 u16, serialize_u32 u32, serialize_u64 u64);

    fn serialize_i128(self, number: i128) -> Done {
        match (i64::try_from(number), u64::try_from(number)) {
            (Ok(number), _) => self.serialize_i64(number),
            (_, Ok(number)) => self.serialize_u64(number),
            _ => Err(CanonicalError::custom("number out of range")),
        }
    }

    fn serialize_f32(self, number: f32) -> Done {
        self.serialize_f64(number.into())
    }

    fn serialize_f64(self, number: f64) -> Done {
        match serde_json::Number::from_f64(number) {
            Some(number) => Err(CanonicalError::Float(number.to_string())),
            None => self.serialize_unit(),
        }
    }

    fn serialize_bool(self, yes: bool) -> Done {
        self.out.extend_from_slice(if yes { b"true" } else { b"false" });
        Ok(())
    }

    fn serialize_char(self, letter: char) -> Done {
        plain(&letter, &mut self.out)
    }

    fn serialize_str(self, text: &str) -> Done {
        self.text(text)
    }

    fn serialize_bytes(self, bytes: &[u8]) -> Done {
        let mut group = self.open(b'[', b"]");
        bytes.iter().try_for_each(|byte| group.item(byte))?;
        group.close()
    }

    fn serialize_none(self) -> Done {
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, item: &T) -> Done {
        item.serialize(self)
    }

    fn serialize_unit(self) -> Done {
        self.out.extend_from_slice(b"null");
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Done {
        self.serialize_unit()
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, name: &'static str) -> Done {
        self.serialize_str(name)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, item: &T) -> Done {
        item.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
        item: &T,
    ) -> Done {
        let mut group = self.open(b'{', b"}");
        group.field(name);
        group.value(item)?;
        group.close()
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Group<'w>, CanonicalError> {
        Ok(self.open(b'[', b"]"))
    }

    fn serialize_tuple(self, _: usize) -> Result<Group<'w>, CanonicalError> {
        Ok(self.open(b'[', b"]"))
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Group<'w>, CanonicalError> {
        Ok(self.open(b'[', b"]"))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
        _: usize,
    ) -> Result<Group<'w>, CanonicalError> {
        self.variant(name)?;
        Ok(self.open(b'[', b"]}"))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Group<'w>, CanonicalError> {
        Ok(self.open(b'{', b"}"))
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Group<'w>, CanonicalError> {
        Ok(self.open(b'{', b"}"))
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
        _: usize,
    ) -> Result<Group<'w>, CanonicalError> {
        self.variant(name)?;
        Ok(self.open(b'{', b"}}"))
    }
}

macro_rules! items {
    ($($kind:ident $method:ident),*) => {
        $(impl ser::$kind for Group<'_> {
            type Ok = ();
            type Error = CanonicalError;

            fn $method<T: Serialize + ?Sized>(&mut self, item: &T) -> Done {
                self.item(item)
            }

            fn end(self) -> Done {
                self.close()
            }
        })*
    };
}

items!(SerializeSeq serialize_element, SerializeTuple serialize_element, SerializeTupleStruct serialize_field,
       SerializeTupleVariant serialize_field);

impl ser::SerializeMap for Group<'_> {
    type Ok = ();
    type Error = CanonicalError;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Done {
        self.key(key)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Done {
        self.value(value)
    }

    fn end(self) -> Done {
        self.close()
    }
}

macro_rules! fields {
    ($($kind:ident),*) => {
        $(impl ser::$kind for Group<'_> {
            type Ok = ();
            type Error = CanonicalError;

            fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Done {
                self.field(name);
                self.value(value)
            }

            fn end(self) -> Done {
                self.close()
            }
        })*
    };
}

fields!(SerializeStruct, SerializeStructVariant);

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Serialize)]
    enum Kind {
        Unit,
        One(u8),
        Two(i8, Option<char>),
        Named { z: i128, a: (), b: (u8, bool) },
    }

    #[test]
    fn whatever_needs_an_escape_is_found() {
        for byte in 0..=255_u8 {
            for len in 1..20 {
                for at in 0..len {
                    let mut text = vec![b'x'; len];
                    text[at] = byte;
                    assert_eq!(
                        has_escapes(&text),
                        byte < b' ' || byte == b'"' || byte == b'\\',
                        "{byte} at {at} of {len}"
                    );
                }
            }
        }
        assert!(!has_escapes("".as_bytes()) && !has_escapes("\u{fffd}\u{20ac}\u{100}\u{e9}\u{2022}".as_bytes()));
    }

    #[test]
    fn every_shape_is_written_as_by_way_of_a_tree() {
        let all = (
            [Kind::Unit, Kind::One(1), Kind::Two(-2, Some('\u{1f600}')), Kind::Two(3, None)],
            Kind::Named { z: 1 << 40, a: (), b: (0, true) },
            std::collections::BTreeMap::from([("\u{fb33}", 1), ("\u{1f600}", 2), ("\"", 3)]),
            f64::NAN,
        );
        let tree = serde_json::to_value(&all).unwrap();
        assert_eq!(write(&all, None).unwrap().0, super::super::canonical::value_bytes(&tree).unwrap());
        for refused in [1.5, 2.0] {
            let tree = serde_json::to_value(refused).unwrap();
            let right = super::super::canonical::value_bytes(&tree).unwrap_err();
            assert_eq!(write(&refused, None).unwrap_err(), right);
        }
        assert!(matches!(write(&u64::MAX, None), Err(CanonicalError::Range(_))));
        assert!(matches!(write(&i128::MAX, None), Err(CanonicalError::Serialize(_))));
        assert!(write(&std::collections::BTreeMap::from([(vec![1], 1)]), None).is_err());
    }
}
