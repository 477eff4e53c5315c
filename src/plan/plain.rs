//! Plain TOML in one pass: tables under bare names, `key = value` with a bare key, values of every kind. Generated plans
//! are written like that, and it is most of what loading them costs. Whatever is not plain, and every fault, is left to
//! the `toml` crate, which reads the whole text again; so are single values that do not read as they are written. Knows
//! no plan.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use toml::de::DeValue;

use super::tree::{Is, ROOT, Tree};
use crate::ids::FileId;
use crate::place::Source;
use foldhash::fast::RandomState;

/// Deepest value.
const DEEPEST: u32 = 16;
/// Most parts of a header.
const MOST_PARTS: usize = 4;
/// Tables of more members are searched by name.
const WIDE: u8 = 16;

/// The tree of a plain text; `None` if it is not plain.
pub(super) fn read(source: &Arc<Source>, file: FileId) -> Option<Tree> {
    let tree = Tree::new(source.clone(), file);
    let text = source.text.as_str();
    let mut reader = Reader { text, at: 0, tree, table: ROOT, names: HashMap::default(), parent: ("", ROOT) };
    reader.document()?;
    Some(reader.tree)
}

struct Reader<'s> {
    text: &'s str,
    at: usize,
    tree: Tree,
    /// Where `key = value` belongs now.
    table: u32,
    /// Members of wide tables.
    names: HashMap<(u32, &'s str), u32, RandomState>,
    /// The table above that of the last header: mostly the next one's too.
    parent: (&'s str, u32),
}

impl<'s> Reader<'s> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn eat(&mut self, byte: u8) -> Option<()> {
        (self.peek() == Some(byte)).then(|| self.at += 1)
    }

    fn blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t')) {
            self.at += 1;
        }
    }

    /// Over the end of a line and a comment before it; at the end of the text there is nothing to go over.
    fn line_end(&mut self) -> Option<()> {
        self.blanks();
        if self.peek() == Some(b'#') {
            while !matches!(self.peek(), None | Some(b'\n' | b'\r')) {
                visible(self.peek()?).then(|| self.at += 1)?;
            }
        }
        match self.peek() {
            None => Some(()),
            Some(b'\n') => self.eat(b'\n'),
            Some(b'\r') => self.eat(b'\r').and_then(|()| self.eat(b'\n')),
            Some(_) => None,
        }
    }

    /// Over blanks, comments and line ends.
    fn gap(&mut self) -> Option<()> {
        self.blanks();
        while matches!(self.peek(), Some(b'#' | b'\n' | b'\r')) {
            self.line_end()?;
            self.blanks();
        }
        Some(())
    }

    fn document(&mut self) -> Option<()> {
        loop {
            self.gap()?;
            match self.peek() {
                None => return Some(()),
                Some(b'[') => self.header()?,
                Some(_) => {
                    self.pair(self.table, 0)?;
                }
            }
            self.line_end()?;
        }
    }

    /// A bare key.
    fn key(&mut self) -> Option<Range<usize>> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-') {
            self.at += 1;
        }
        (self.at > start).then_some(start..self.at)
    }

    /// `key = value`, where the table has no such key yet.
    fn pair(&mut self, table: u32, depth: u32) -> Option<()> {
        let key = self.key()?;
        self.blanks();
        self.eat(b'=')?;
        self.blanks();
        if self.find(table, &self.text[key.clone()]).is_some() {
            return None;
        }
        let value = self.value(depth)?;
        self.append(table, value, key);
        Some(())
    }

    fn find(&self, table: u32, name: &str) -> Option<u32> {
        if self.tree.count(table) > WIDE {
            return self.names.get(&(table, name)).copied();
        }
        self.tree.inside(table).get(name)
    }

    fn append(&mut self, table: u32, at: u32, key: Range<usize>) {
        let name = &self.text[key.clone()];
        self.tree.append(table, at, key);
        match self.tree.count(table) {
            ..=WIDE => {}
            count if count == WIDE + 1 => {
                for member in self.tree.inside(table) {
                    let key = self.tree.key_place(member).range();
                    self.names.insert((table, &self.text[key]), member);
                }
            }
            _ => drop(self.names.insert((table, name), at)),
        }
    }

    /// `[a.b]` or `[[a.b]]`.
    fn header(&mut self) -> Option<()> {
        let start = self.at;
        self.eat(b'[')?;
        let many = self.eat(b'[').is_some();
        let from = self.at;
        let mut key = self.key()?;
        let mut parts = 1;
        let mut parent = ROOT;
        while self.eat(b'.').is_some() {
            parts += 1;
            let before = &self.text[from..key.end];
            parent = if before == self.parent.0 { self.parent.1 } else { self.below(parent, key)? };
            self.parent = (before, parent);
            key = self.key()?;
        }
        self.eat(b']')?;
        if many {
            self.eat(b']')?;
        }
        if parts > MOST_PARTS {
            return None;
        }
        let span = start..self.at;
        let known = self.find(parent, &self.text[key.clone()]);
        self.table = self.tree.add(Is::Table, span.clone());
        self.tree.open(self.table);
        match (known, many) {
            (None, false) => self.append(parent, self.table, key),
            (None, true) => {
                let list = self.tree.add(Is::List, span);
                self.tree.open(list);
                self.append(parent, list, key);
                self.tree.append(list, self.table, 0..0);
            }
            (Some(list), true) if self.tree.is(list) == Is::List && self.tree.is_open(list) => {
                self.tree.append(list, self.table, 0..0);
            }
            _ => return None,
        }
        Some(())
    }

    /// The table of that name, made if there is none.
    fn below(&mut self, parent: u32, key: Range<usize>) -> Option<u32> {
        match self.find(parent, &self.text[key.clone()]) {
            Some(table) => (self.tree.is(table) == Is::Table && self.tree.is_open(table)).then_some(table),
            None => {
                let table = self.tree.add(Is::Table, key.clone());
                self.tree.open(table);
                self.append(parent, table, key);
                Some(table)
            }
        }
    }

    fn value(&mut self, depth: u32) -> Option<u32> {
        if depth > DEEPEST {
            return None;
        }
        match self.peek()? {
            quote @ (b'"' | b'\'') => self.string(quote),
            b'[' => self.list(depth),
            b'{' => self.inline(depth),
            _ => self.word(),
        }
    }

    fn string(&mut self, quote: u8) -> Option<u32> {
        let bytes = self.text.as_bytes();
        let start = self.at;
        let long = bytes[start..].starts_with(&[quote; 3]);
        let mut at = start + if long { 3 } else { 1 };
        let mut as_written = !long;
        loop {
            match *bytes.get(at)? {
                b'\\' if quote == b'"' => {
                    as_written = false;
                    at += 1;
                }
                byte if byte == quote && (!long || bytes[at..].starts_with(&[quote; 3])) => break,
                b'\n' | b'\r' if long => {}
                byte if !visible(byte) => return None,
                _ => {}
            }
            at += 1;
        }
        at += if long { 3 } else { 1 };
        // Up to two quotes may stand right before the three that close it.
        let more = if long { bytes[at..].iter().take(2).take_while(|byte| **byte == quote).count() } else { 0 };
        self.at = at + more;
        if as_written {
            return Some(self.tree.add(Is::Text, start..self.at));
        }
        match DeValue::parse(self.text.get(start..self.at)?).ok()?.get_ref() {
            DeValue::String(text) => Some(self.tree.add_text(Is::Text, start..self.at, text)),
            _ => None,
        }
    }

    fn list(&mut self, depth: u32) -> Option<u32> {
        let list = self.tree.add(Is::List, self.at..self.at);
        self.eat(b'[')?;
        self.gap()?;
        while self.eat(b']').is_none() {
            let item = self.value(depth + 1)?;
            self.tree.append(list, item, 0..0);
            self.gap()?;
            match self.peek()? {
                b',' => self.eat(b',').and_then(|()| self.gap())?,
                b']' => {}
                _ => return None,
            }
        }
        self.tree.stretch(list, self.at);
        Some(list)
    }

    /// A table in braces, on one line.
    fn inline(&mut self, depth: u32) -> Option<u32> {
        let table = self.tree.add(Is::Table, self.at..self.at);
        self.eat(b'{')?;
        self.blanks();
        if self.eat(b'}').is_none() {
            loop {
                self.pair(table, depth + 1)?;
                self.blanks();
                if self.eat(b'}').is_some() {
                    break;
                }
                self.eat(b',')?;
                self.blanks();
            }
        }
        self.tree.stretch(table, self.at);
        Some(table)
    }

    /// A number, a date, `true` or `false`.
    fn word(&mut self) -> Option<u32> {
        let start = self.at;
        let part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'+' | b'-' | b'.' | b':');
        while self.peek().is_some_and(part) {
            self.at += 1;
        }
        let (text, span) = (&self.text[start..self.at], start..self.at);
        match DeValue::parse(text).ok()?.get_ref() {
            DeValue::Integer(number) => Some(self.tree.add_text(Is::Integer, span, &number.to_string())),
            DeValue::Float(float) => Some(self.tree.add_text(Is::Float, span, float.as_str())),
            DeValue::Boolean(on) => Some(self.tree.add_bool(span, *on)),
            // The time of day may follow a blank.
            DeValue::Datetime(date) if self.peek() != Some(b' ') => {
                Some(self.tree.add_text(Is::Date, span, &date.to_string()))
            }
            _ => None,
        }
    }
}

/// Whether a byte may stand in a comment or a text.
fn visible(byte: u8) -> bool {
    byte >= b' ' && byte != 0x7f || byte == b'\t'
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use toml::de::DeTable;

    use super::super::tables;
    use super::super::tree::{Node, Table, Value};
    use super::*;

    fn told(node: Node<'_>) -> String {
        let inner = match node.value {
            Value::List(_) => node.items().map(told).collect::<Vec<_>>().join(","),
            Value::Table(_) => node.map().map(members).unwrap_or_default(),
            value => format!("{value:?}"),
        };
        format!("{}:{:?}({inner})", node.type_name(), node.place.range())
    }

    fn members(table: Table<'_>) -> String {
        let member = |entry: super::super::tree::Entry<'_>| {
            format!("{}@{:?}={}", entry.key, entry.key_place.range(), told(entry.node))
        };
        table.entries().map(member).collect::<Vec<_>>().join("\n")
    }

    fn tree_of(tree: &Tree) -> String {
        members(Table::root(tree, &tables::DOCUMENT))
    }

    /// Whether a text is plain; one that is has to be right, and to read the same both ways.
    fn same(text: &str) -> bool {
        let source = Arc::new(Source::new("p.toml".into(), text.to_owned()));
        let Some(plain) = read(&source, FileId(0)) else { return false };
        let whole = DeTable::parse(text).unwrap_or_else(|error| panic!("not TOML, and read as plain: {text}\n{error}"));
        assert_eq!(tree_of(&plain), tree_of(&Tree::of(source, FileId(0), whole.into_inner())), "{text}");
        true
    }

    #[test]
    fn plain_text_reads_as_the_parser_reads_it() {
        let wide: String = (0..40).map(|n| format!("k{n} = {n}\n")).collect();
        let steps: String = (0..40).map(|n| format!("[steps.s{n}]\nneeds = [\"a\", 's{n}'] # why\r\n")).collect();
        for text in [
            "",
            "# only\n",
            "a = 1",
            "a=true\r\n\r\nb = false # x\n",
            "a = [1, 2,\n # c\n 3,\n]\nb = []\n",
            "t = { a = 1, b = 'x', c = { d = [] } }\ne = {}\n",
            "s = \"a\\n\\u00e9\"\nl = '\\n'\nu = \"é\"\n",
            "m = \"\"\"\na\\\n  b\"\"\"\nn = '''\nx''y'''\nq = \"\"\"a\"\"\"\"\"\n",
            "f = 1.5\nh = 0x1F\nn = 1_000\np = +7\ni = inf\n",
            "d = 2026-11-24\nt = 07:32:00\nz = 2026-11-24T00:00:00Z\n",
            "[a]\nx = 1\n[a.b]\ny = 2\n[c.d.e]\n[c.f]\n",
            "[[r]]\nid = 1\n[[r]]\nid = 2\n[x]\n[[y.z]]\n",
            "  [ok]  \n\tkey\t=\t'v'\t\n",
            &wide,
            &steps,
        ] {
            assert!(same(text), "{text}");
        }
        let files = ["tests", "plans"].into_iter().flat_map(walkdir::WalkDir::new).filter_map(Result::ok);
        let files = files.filter(|file| file.path().extension().is_some_and(|name| name == "toml"));
        let texts: Vec<String> = files.filter_map(|file| std::fs::read_to_string(file.path()).ok()).collect();
        let plain = texts.iter().filter(|text| same(text)).count();
        assert!(plain > 20 && texts.len() > plain, "{plain} of {}", texts.len());
    }

    #[test]
    fn what_is_not_plain_is_left_to_the_parser() {
        for text in [
            "a",
            "a =",
            "a = 1 b = 2",
            "a = 1\na = 2",
            "[a]\n[a]",
            "a = 1\n[a.b]",
            "a = {}\n[a.b]",
            "a = []\n[[a]]",
            "[[a]]\n[a]",
            "[[a]]\n[a.b]",
            "[a.b]\n[a]",
            "a.b = 1",
            "\"a\" = 1",
            "a = \"x",
            "a = \"\\q\"",
            "a = \"\u{1}\"",
            "# \u{7f}",
            "a = 1 # \u{1}",
            "a = 01",
            "a = [1 2]",
            "a = [,]",
            "a = { b = 1, }",
            "a = { b = 1 c = 2 }",
            "a = {\nb = 1 }",
            "a = 1979-05-27 07:32:00",
            "a = truely",
            "[ a ]",
            "[a",
            "[[a]",
            "\u{feff}a = 1",
            "a = 1\rb = 2",
            "[a.]",
            "[.a]",
            "a = '''x",
            "a = nope",
            "= 1",
            "[]",
            "a = {b=1,b=2}",
            "a = \"\"\"x\ry\"\"\"",
        ] {
            assert!(!same(text), "{text}");
        }
    }

    proptest! {
        #[test]
        fn never_otherwise_than_the_parser(parts in proptest::collection::vec(prop_oneof![
            Just("[a]\n"), Just("[a.b]\n"), Just("[[c]]\n"), Just("[a.d]"), Just("k = "), Just("l = "), Just("\n"), Just("\r\n"),
            Just("1"), Just("-2_0"), Just("\"x\""), Just("'y'"), Just("\"\"\""), Just("'''"), Just("\\"), Just("\""), Just("["),
            Just("]"), Just("{"), Just("}"), Just(", "), Just(" = "), Just("m"), Just("# c"), Just("."), Just("true"),
            Just("2026-11-24"), Just(" 07:32:00"), Just("é"), Just("\t"), Just("1e5"), Just("\u{7f}"),
        ], 0..14)) {
            same(&parts.concat());
        }

        #[test]
        fn nor_where_a_plan_was_changed_somewhere(at in 0_usize..120, byte in 0_u8..128, cut in 0_usize..3) {
            let plan = "format = 1\n[plan]\nname = \"x\"\n[steps.a]\nrun = [\"b\", 'c']\n\n[steps.d]\nneeds = [\"a\"]\nt = { e = 1.5, f = true }\n";
            let mut bytes = plan.as_bytes().to_vec();
            let at = at.min(bytes.len());
            bytes.splice(at..(at + cut).min(bytes.len()), [byte]);
            same(std::str::from_utf8(&bytes).unwrap_or_default());
        }
    }
}
