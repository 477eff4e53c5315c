//! A reader of TOML that is being written: finds tables, keys and values with their places in any text, whatever is not
//! closed yet. Says nothing about what is wrong: that is the loader's. Knows no plan.

use std::borrow::Cow;
use std::ops::Range;

/// Deepest nesting that is looked into.
const DEEPEST: usize = 32;

/// A key as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key<'t> {
    pub(super) name: Cow<'t, str>,
    /// Its bytes, without quotes.
    pub(super) at: Range<usize>,
    pub(super) quoted: bool,
}

/// A table by its header. The first one is the document, without a header.
#[derive(Clone, Debug)]
pub(super) struct Head<'t> {
    pub(super) keys: Vec<Key<'t>>,
    /// The header, brackets included.
    pub(super) at: Range<usize>,
    /// Up to the next header.
    pub(super) end: usize,
}

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// In quotes.
    Text {
        /// Length of the opening quotes (and of the line end behind `"""`).
        open: usize,
        /// Length of the closing quotes; 0 if they are missing.
        close: usize,
        /// `'`: nothing in it is an escape.
        literal: bool,
    },
    /// Without quotes: a number, a word, or nothing yet.
    Bare,
    /// `[ … ]`.
    List,
    /// `{ … }`.
    Table,
}

/// A value anywhere: behind a key, in a list, in an inline table.
#[derive(Clone, Debug)]
pub(super) struct Value<'t> {
    /// The table that it is in.
    pub(super) table: usize,
    /// The value that it is in.
    pub(super) parent: Option<usize>,
    /// Keys from its parent (or table) to here; none for an element of a list.
    pub(super) keys: Vec<Key<'t>>,
    pub(super) at: Range<usize>,
    pub(super) form: Form,
    /// Ends in its own bracket or quote.
    pub(super) closed: bool,
}

/// A text, read.
#[derive(Clone, Debug, Default)]
pub(super) struct Scan<'t> {
    pub(super) text: &'t str,
    pub(super) tables: Vec<Head<'t>>,
    pub(super) values: Vec<Value<'t>>,
    /// Keys without `=`: with the table, and the inline table.
    pub(super) strays: Vec<(usize, Option<usize>, Vec<Key<'t>>)>,
    pub(super) comments: Vec<Range<usize>>,
}

impl<'t> Scan<'t> {
    pub(super) fn of(text: &'t str) -> Self {
        let mut reader = Reader { at: 0, scan: Self { text, ..Self::default() } };
        let root = Head { keys: Vec::new(), at: 0..0, end: text.len() };
        reader.scan.tables.push(root);
        reader.document();
        reader.scan
    }

    /// The names from the document to a value.
    pub(super) fn path<'s>(&'s self, value: &'s Value<'t>) -> Vec<&'s str> {
        let mut names: Vec<&str> = Vec::new();
        let mut next = Some(value);
        while let Some(value) = next {
            names.extend(value.keys.iter().rev().map(|key| key.name.as_ref()));
            next = value.parent.map(|parent| &self.values[parent]);
        }
        names.extend(self.tables[value.table].keys.iter().rev().map(|key| key.name.as_ref()));
        names.reverse();
        names
    }

    /// The innermost value that holds a place, its end included.
    pub(super) fn value_at(&self, at: usize) -> Option<usize> {
        let holds = |value: &Value<'_>| {
            let inside = match value.form {
                Form::Bare => value.at.start <= at && at <= value.at.end,
                _ => value.at.start < at && (at < value.at.end || (!value.closed && at == value.at.end)),
            };
            inside || (matches!(value.form, Form::Text { .. }) && at == value.at.end && !value.closed)
        };
        // Values stand in the order of their beginnings: the last one that holds it is the innermost.
        let last = self.values.partition_point(|value| value.at.start <= at);
        let mut found = self.values[..last].iter().enumerate().rev();
        let table = self.table_at(at);
        found.by_ref().take_while(|(_, value)| value.table == table).find(|(_, value)| holds(value)).map(|(at, _)| at)
    }

    /// The table whose lines hold a place.
    pub(super) fn table_at(&self, at: usize) -> usize {
        self.tables.partition_point(|head| head.at.start <= at).saturating_sub(1)
    }

    /// A text's value, escapes resolved; with the place of each of its bytes in the file, where that is not simply
    /// `inner.start + offset`.
    pub(super) fn read(&self, value: &Value<'t>) -> Option<Read<'t>> {
        let Form::Text { open, close, literal } = value.form else { return None };
        let start = (value.at.start + open).min(value.at.end);
        let inner = start..value.at.end.saturating_sub(close).max(start);
        let raw = self.text.get(inner.clone())?;
        if literal || !raw.contains('\\') {
            return Some(Read { text: Cow::Borrowed(raw), start, places: None });
        }
        let (text, places) = unescaped(raw);
        Some(Read { text: Cow::Owned(text), start, places: Some(places) })
    }
}

/// A text's value and where its bytes stand.
pub(super) struct Read<'t> {
    pub(super) text: Cow<'t, str>,
    pub(super) start: usize,
    places: Option<Vec<usize>>,
}

impl Read<'_> {
    /// Where a part of the value stands in the file.
    pub(super) fn place(&self, part: &Range<usize>) -> Range<usize> {
        self.offset(part.start)..self.offset(part.end)
    }

    fn offset(&self, at: usize) -> usize {
        match &self.places {
            None => self.start + at,
            Some(places) => self.start + places.get(at).or(places.last()).copied().unwrap_or(0),
        }
    }

    /// How many bytes of the value stand before a place in the file.
    pub(super) fn before(&self, at: usize) -> usize {
        let wanted = at.saturating_sub(self.start);
        let mut found = match &self.places {
            None => wanted.min(self.text.len()),
            Some(places) => places.iter().take(self.text.len()).filter(|place| **place < wanted).count(),
        };
        while !self.text.is_char_boundary(found) {
            found -= 1;
        }
        found
    }
}

/// Escapes resolved; for each byte of the value, and its end, where it stands in the raw text.
fn unescaped(raw: &str) -> (String, Vec<usize>) {
    let (mut out, mut places) = (String::with_capacity(raw.len()), Vec::with_capacity(raw.len() + 1));
    let mut chars = raw.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let read = match c {
            '\\' => match chars.next() {
                Some((_, 'n')) => Some('\n'),
                Some((_, 't')) => Some('\t'),
                Some((_, 'r')) => Some('\r'),
                Some((_, 'b')) => Some('\u{8}'),
                Some((_, 'f')) => Some('\u{c}'),
                Some((_, 'e')) => Some('\u{1b}'),
                Some((digits, kind @ ('x' | 'u' | 'U'))) => {
                    let len =
                        [('x', 2), ('u', 4), ('U', 8)].iter().find(|(k, _)| *k == kind).map_or(0, |(_, len)| *len);
                    let hex = raw.get(digits + 1..digits + 1 + len).unwrap_or("");
                    let code = u32::from_str_radix(hex, 16).ok().and_then(char::from_u32);
                    if !hex.is_empty() {
                        chars.nth(hex.chars().count() - 1);
                    }
                    code.or(Some('\u{fffd}'))
                }
                Some((_, c)) if c.is_whitespace() => {
                    while chars.next_if(|(_, c)| c.is_whitespace()).is_some() {}
                    None
                }
                Some((_, c)) => Some(c),
                None => None,
            },
            c => Some(c),
        };
        if let Some(c) = read {
            out.push(c);
            places.extend(std::iter::repeat_n(at, c.len_utf8()));
        }
    }
    places.push(raw.len());
    (out, places)
}

struct Reader<'t> {
    at: usize,
    scan: Scan<'t>,
}

impl<'t> Reader<'t> {
    fn rest(&self) -> &'t str {
        &self.scan.text[self.at..]
    }

    fn peek(&self) -> Option<u8> {
        self.scan.text.as_bytes().get(self.at).copied()
    }

    fn bump(&mut self) {
        self.at += self.rest().chars().next().map_or(0, char::len_utf8);
    }

    fn blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t')) {
            self.at += 1;
        }
    }

    /// White space, line ends and comments.
    fn space(&mut self) {
        loop {
            match self.peek() {
                Some(b' ' | b'\t' | b'\n' | b'\r') => self.at += 1,
                Some(b'#') => self.comment(),
                _ => return,
            }
        }
    }

    fn comment(&mut self) {
        let start = self.at;
        self.line_end();
        self.scan.comments.push(start..self.at);
    }

    /// To the end of the line.
    fn line_end(&mut self) {
        self.at += self.rest().find(['\n', '\r']).unwrap_or(self.rest().len());
    }

    fn document(&mut self) {
        if self.rest().starts_with('\u{feff}') {
            self.bump();
        }
        loop {
            self.space();
            let before = self.at;
            match self.peek() {
                None => return,
                Some(b'[') => self.header(),
                Some(_) => self.pair(None),
            }
            // What stands behind on the line belongs to nothing.
            self.blanks();
            match self.peek() {
                Some(b'#') => self.comment(),
                Some(b'\n' | b'\r') | None => {}
                Some(_) if self.at > before => self.line_end(),
                Some(_) => self.bump(),
            }
        }
    }

    fn header(&mut self) {
        let start = self.at;
        self.at += if self.rest().starts_with("[[") { 2 } else { 1 };
        let keys = self.keys();
        self.blanks();
        while self.peek() == Some(b']') {
            self.at += 1;
        }
        if let Some(last) = self.scan.tables.last_mut() {
            last.end = start;
        }
        self.scan.tables.push(Head { keys, at: start..self.at, end: self.scan.text.len() });
    }

    /// Dotted keys.
    fn keys(&mut self) -> Vec<Key<'t>> {
        let mut keys = Vec::new();
        loop {
            self.blanks();
            match self.peek() {
                Some(quote @ (b'"' | b'\'')) => {
                    let start = self.at + 1;
                    self.at = end_of_line_text(self.scan.text, self.at, quote);
                    let closed = self.at > start && self.scan.text.as_bytes()[self.at - 1] == quote;
                    let inner = start..if closed { self.at - 1 } else { self.at };
                    let raw = &self.scan.text[inner.clone()];
                    let escaped = quote == b'"' && raw.contains('\\');
                    let name = if escaped { Cow::Owned(unescaped(raw).0) } else { Cow::Borrowed(raw) };
                    keys.push(Key { name, at: inner, quoted: true });
                }
                _ => {
                    let start = self.at;
                    let word = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
                    self.at += self.rest().len() - self.rest().trim_start_matches(word).len();
                    // A dot at the end: a name is still to come.
                    if self.at > start || !keys.is_empty() {
                        let name = Cow::Borrowed(&self.scan.text[start..self.at]);
                        keys.push(Key { name, at: start..self.at, quoted: false });
                    }
                }
            }
            let behind = self.at;
            self.blanks();
            if self.peek() != Some(b'.') {
                self.at = behind;
                return keys;
            }
            self.at += 1;
        }
    }

    /// `keys = value`, in a table or an inline table.
    fn pair(&mut self, parent: Option<usize>) {
        let table = self.scan.tables.len() - 1;
        let keys = self.keys();
        self.blanks();
        if self.peek() != Some(b'=') {
            if !keys.is_empty() {
                self.scan.strays.push((table, parent, keys));
            }
            return;
        }
        self.at += 1;
        self.blanks();
        self.value(keys, parent, 0);
    }

    fn value(&mut self, keys: Vec<Key<'t>>, parent: Option<usize>, depth: usize) {
        let (start, id) = (self.at, self.scan.values.len());
        let table = self.scan.tables.len() - 1;
        let value = Value { table, parent, keys, at: start..start, form: Form::Bare, closed: true };
        self.scan.values.push(value);
        let (form, closed) = match self.peek() {
            Some(quote @ (b'"' | b'\'')) => self.quoted(quote),
            Some(b'[') if depth < DEEPEST => (Form::List, self.list(id, depth)),
            Some(b'{') if depth < DEEPEST => (Form::Table, self.inline(id)),
            _ => {
                let stop = |c: char| matches!(c, ',' | ']' | '}' | '#' | '\n' | '\r');
                let len = self.rest().find(stop).unwrap_or(self.rest().len());
                self.at += self.rest()[..len].trim_end().len();
                (Form::Bare, true)
            }
        };
        let end = self.at;
        if let Some(value) = self.scan.values.get_mut(id) {
            (value.at.end, value.form, value.closed) = (end, form, closed);
        }
    }

    fn quoted(&mut self, quote: u8) -> (Form, bool) {
        let three = [quote; 3];
        let literal = quote == b'\'';
        let bytes = self.scan.text.as_bytes();
        if bytes[self.at..].starts_with(&three) {
            let inner = self.at + 3;
            if let Some(end) = end_of_long_text(bytes, inner, quote) {
                let first = &bytes[inner..];
                let line = if first.starts_with(b"\r\n") { 2 } else { usize::from(first.starts_with(b"\n")) };
                self.at = end;
                return (Form::Text { open: 3 + line, close: 3, literal }, true);
            }
            self.line_end();
            return (Form::Text { open: 3, close: 0, literal }, false);
        }
        let start = self.at;
        self.at = end_of_line_text(self.scan.text, self.at, quote);
        let closed = self.at > start + 1 && bytes[self.at - 1] == quote;
        (Form::Text { open: 1, close: usize::from(closed), literal }, closed)
    }

    /// Whether a line begins here that belongs to no list: the bracket before was not closed.
    fn broken_off(&self, in_list: bool) -> bool {
        let text = self.scan.text;
        let line_start = text[..self.at].rfind(['\n', '\r']).map_or(0, |at| at + 1);
        if !text[line_start..self.at].trim().is_empty() {
            return false;
        }
        let line = self.rest();
        let line = line[..line.find(['\n', '\r']).unwrap_or(line.len())].split('#').next().unwrap_or("").trim_end();
        let is_header = line.starts_with('[')
            && line.ends_with(']')
            && line.trim_start_matches('[').starts_with(|c: char| c.is_ascii_alphabetic());
        let word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
        let name = line.len() - line.trim_start_matches(word).len();
        is_header || (in_list && name > 0 && line[name..].trim_start().starts_with('='))
    }

    fn list(&mut self, id: usize, depth: usize) -> bool {
        self.at += 1;
        loop {
            self.space();
            match self.peek() {
                None => return false,
                Some(b']') => {
                    self.at += 1;
                    return true;
                }
                Some(b',') => self.at += 1,
                Some(_) if self.broken_off(true) => return self.back(),
                Some(b'}') => return false,
                Some(_) => {
                    let before = self.at;
                    self.value(Vec::new(), Some(id), depth + 1);
                    if self.at == before {
                        self.bump();
                    }
                }
            }
        }
    }

    fn inline(&mut self, id: usize) -> bool {
        self.at += 1;
        loop {
            self.space();
            match self.peek() {
                None => return false,
                Some(b'}') => {
                    self.at += 1;
                    return true;
                }
                Some(b',') => self.at += 1,
                Some(_) if self.broken_off(false) => return self.back(),
                Some(_) => {
                    let before = self.at;
                    self.inner_pair(id);
                    if self.at == before {
                        self.bump();
                    }
                }
            }
        }
    }

    fn inner_pair(&mut self, id: usize) {
        let mut depth = 0;
        let mut next = Some(id);
        while let Some(at) = next {
            depth += 1;
            next = self.scan.values[at].parent;
        }
        if depth > DEEPEST {
            return self.line_end();
        }
        self.pair(Some(id));
    }

    /// What was not closed ends with the line before.
    fn back(&mut self) -> bool {
        let before = &self.scan.text[..self.at];
        self.at = before.trim_end().len();
        // Comments on the way are read again.
        self.scan.comments.retain(|comment| comment.start < self.at);
        false
    }
}

/// Behind the closing quote of a text on one line; the line's end if there is none.
fn end_of_line_text(text: &str, open: usize, quote: u8) -> usize {
    let bytes = text.as_bytes();
    let mut at = open + 1;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\n' | b'\r' => return at,
            b'\\' if quote == b'"' && bytes.get(at + 1).is_some_and(|next| !matches!(next, b'\n' | b'\r')) => at += 2,
            byte if *byte == quote => return at + 1,
            _ => at += 1,
        }
    }
    // An escape may have led into a character.
    let mut end = at.min(bytes.len());
    while !text.is_char_boundary(end) {
        end += 1;
    }
    end
}

/// Behind the closing quotes of a text over several lines.
fn end_of_long_text(bytes: &[u8], from: usize, quote: u8) -> Option<usize> {
    let mut at = from;
    while at < bytes.len() {
        if bytes[at] == b'\\' && quote == b'"' {
            at += 2;
        } else if bytes[at..].starts_with(&[quote; 3]) {
            // Up to two quotes more belong to the text.
            let more = bytes[at + 3..].iter().take(2).take_while(|byte| **byte == quote).count();
            return Some(at + 3 + more);
        } else {
            at += 1;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn paths(text: &str) -> Vec<String> {
        let scan = Scan::of(text);
        scan.values.iter().map(|value| format!("{}={}", scan.path(value).join("|"), &text[value.at.clone()])).collect()
    }

    #[test]
    fn whole_texts_are_read() {
        let text = "a.b = 1 # c\n[steps.\"x y\"]\nrun = ['a', \"b\\\"c\"]\nhttp = { url = \"u\", headers.x = 'y' }\n[[risk]]\nid = \"\"\"\nlong\"\"\"\"\n";
        assert_eq!(
            paths(text),
            [
                "a|b=1",
                "steps|x y|run=['a', \"b\\\"c\"]",
                "steps|x y|run='a'",
                "steps|x y|run=\"b\\\"c\"",
                "steps|x y|http={ url = \"u\", headers.x = 'y' }",
                "steps|x y|http|url=\"u\"",
                "steps|x y|http|headers|x='y'",
                "risk|id=\"\"\"\nlong\"\"\"\"",
            ]
        );
        let scan = Scan::of(text);
        assert_eq!(scan.read(&scan.values[7]).unwrap().text, "long\"");
        let read = scan.read(&scan.values[3]).unwrap();
        assert_eq!(read.text, "b\"c");
        assert_eq!(&text[read.place(&(2..3))], "c");
        assert_eq!(scan.comments.len(), 1);
    }

    #[test]
    fn what_is_not_closed_ends_where_the_next_begins() {
        let text = "[steps.a]\nneeds = [\"b\n\n[steps.b]\nrun = \"x\npass = ['y'\nwarn = 'z'\n[steps.c]\nhttp = { url = 'u'\n[steps.d]\nne\n";
        let scan = Scan::of(text);
        let names: Vec<&str> = scan.tables.iter().filter_map(|head| head.keys.get(1)).map(|key| &*key.name).collect();
        assert_eq!(names, ["a", "b", "c", "d"]);
        let shown = paths(text);
        assert!(shown.contains(&"steps|b|warn='z'".to_owned()), "{shown:?}");
        assert!(shown.contains(&"steps|c|http|url='u'".to_owned()), "{shown:?}");
        assert_eq!(scan.strays.len(), 1);
    }

    #[test]
    fn the_innermost_value_at_a_place() {
        let text = "[steps.a]\nneeds = [\"b\", ]\nhttp = { url =  }\n";
        let scan = Scan::of(text);
        let at = |needle: &str, more: usize| {
            scan.value_at(text.find(needle).unwrap() + more).map(|at| text[scan.values[at].at.clone()].to_owned())
        };
        assert_eq!(at("\"b\"", 1).as_deref(), Some("\"b\""));
        assert_eq!(at(", ]", 2).as_deref(), Some("[\"b\", ]"));
        assert_eq!(at("url", 1).as_deref(), Some("{ url =  }"));
        assert_eq!(at("needs", 2), None);
    }

    proptest! {
        #[test]
        fn any_text_can_be_read(text in "([\\[\\]{}\"'=.,#\\\\\r\n a-c\u{e9}]|\"\"\"|'''|\\[steps\\.|run = )*") {
            let scan = Scan::of(&text);
            for value in &scan.values {
                prop_assert!(text.get(value.at.clone()).is_some());
                if let Some(read) = scan.read(value) {
                    let whole = read.place(&(0..read.text.len()));
                    prop_assert!(text.get(whole).is_some());
                }
            }
            for at in (0..=text.len()).filter(|at| text.is_char_boundary(*at)) {
                scan.value_at(at);
                scan.table_at(at);
            }
        }
    }
}
