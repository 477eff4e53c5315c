//! The canonical layout of a plan: keys of a table in the order of the language, `=` aligned, one blank line between
//! tables. Comments, the order of tables, values that stand over several lines and the meaning stay as they are.

use toml_edit::{DocumentMut, Item, RawString, Table, TableLike, Value};

use crate::plan::order;

/// Longest key that others are aligned with: one long name does not push all values away.
const WIDEST: usize = 24;

/// The text laid out; `None` if it is no TOML.
#[must_use]
pub fn formatted(text: &str) -> Option<String> {
    let body = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut tree: DocumentMut = body.parse().ok()?;
    let before = tree.as_table().clone();
    let trailing = tree.trailing().as_str().unwrap_or_default().to_owned();
    table(tree.as_table_mut(), &mut Vec::new());
    // The first table or key begins the file, without a blank line before it.
    let trailing = comments(&trailing, true);
    tree.set_trailing(trailing.trim_end_matches('\n'));
    let mut out = tree.to_string();
    out.truncate(out.trim_end().len());
    let start = out.len() - out.trim_start_matches(['\n', ' ', '\t']).len();
    out.drain(..start);
    if !out.is_empty() {
        out.push('\n');
    }
    // A layout that changes what a plan says is worse than none.
    let after: DocumentMut = out.parse().ok()?;
    same_table(&before, after.as_table()).then_some(out)
}

/// Lays a table out, with those inside of it.
fn table(table_of: &mut Table, path: &mut Vec<String>) {
    let names: Vec<&str> = path.iter().map(String::as_str).collect();
    // The comment at the head of a file stands before its first key, whichever that is.
    if let Some(order) = order::keys(&names).filter(|_| !path.is_empty()) {
        let rank = |name: &str| order.iter().position(|key| *key == name).unwrap_or(order.len());
        table_of.sort_values_by(|a, _, b, _| rank(a.get()).cmp(&rank(b.get())));
    }
    if !table_of.is_dotted() {
        align(table_of);
    }
    for (key, item) in table_of.iter_mut() {
        path.push(key.get().to_owned());
        match item {
            Item::Table(inner) => {
                if !inner.is_dotted() && !inner.is_implicit() {
                    header(inner);
                }
                table(inner, path);
            }
            Item::ArrayOfTables(tables) => {
                for inner in tables.iter_mut() {
                    header(inner);
                    table(inner, path);
                }
            }
            Item::Value(_) | Item::None => {}
        }
        path.pop();
    }
}

/// One blank line before a header, comments between.
fn header(table: &mut Table) {
    let decor = table.decor_mut();
    let before = comments(raw(decor.prefix()), false);
    let behind = raw(decor.suffix()).trim_end().to_owned();
    // A comment right behind a table is about that one, if a blank line parts it from the next.
    let is_about_last = !before.starts_with('\n') && before.contains("\n\n");
    let blank = if is_about_last { "" } else { "\n" };
    decor.set_prefix(format!("{blank}{}", before.trim_start_matches('\n')));
    decor.set_suffix(trailing(&behind));
}

/// Comments and blank lines before something: nothing behind them, one blank line instead of several.
fn comments(text: &str, last: bool) -> String {
    let mut out = String::new();
    // What stands before the key on its own line is indentation.
    let whole = if last || text.ends_with('\n') { text } else { text.rsplit_once('\n').map_or("", |(lines, _)| lines) };
    for line in whole.lines().map(str::trim) {
        // A blank line may begin it, so `\n` alone stands for one.
        if !line.is_empty() || !(out == "\n" || out.ends_with("\n\n")) {
            out.push_str(line);
            out.push('\n');
        }
    }
    out
}

/// A comment behind something, as far away as it was; nothing if there is none.
fn trailing(text: &str) -> String {
    let text = text.trim_end();
    if text.is_empty() || text.starts_with([' ', '\t']) { text.to_owned() } else { format!(" {text}") }
}

fn raw(text: Option<&RawString>) -> &str {
    text.and_then(RawString::as_str).unwrap_or_default()
}

/// A key of a table's own lines: its path of dotted names.
type Path = Vec<String>;

/// Aligns the `=` of lines that stand together.
fn align(table: &mut Table) {
    let mut paths: Vec<Path> = Vec::new();
    own_lines(table, &mut Vec::new(), &mut paths);
    // Width of each, and whether it is parted from the one before.
    let mut lines: Vec<(Path, usize, bool)> = Vec::new();
    let mut long = false;
    for (at, path) in paths.into_iter().enumerate() {
        let mut width = path.len() - 1;
        let mut parted = false;
        reach(table, &path, &mut |table, name| {
            if let Some(key) = table.key(name) {
                width += key.display_repr().chars().count();
            }
        });
        at_leaf(table, &path, &mut |mut key, value| {
            let decor = key.leaf_decor_mut();
            let mut before = comments(raw(decor.prefix()), false);
            if at == 0 {
                before = before.trim_start_matches('\n').to_owned();
            }
            parted = long || before.starts_with('\n') || before.contains("\n\n");
            decor.set_prefix(before);
            tidy(value);
            let behind = trailing(raw(value.decor().suffix()));
            value.decor_mut().set_prefix(" ");
            value.decor_mut().set_suffix("");
            // What stands over several lines parts those before it from those behind it.
            long = value.to_string().contains('\n');
            value.decor_mut().set_suffix(behind);
        });
        lines.push((path, width, parted));
    }
    let mut start = 0;
    while start < lines.len() {
        let more = lines[start + 1..].iter().take_while(|(_, _, parted)| !parted).count();
        let group = &lines[start..=start + more];
        let widest =
            group.iter().map(|(_, width, _)| *width).filter(|width| *width <= WIDEST).max().unwrap_or_default();
        for (path, width, _) in group {
            let room = widest.saturating_sub(*width) + 1;
            at_leaf(table, path, &mut |mut key, _| key.leaf_decor_mut().set_suffix(" ".repeat(room)));
        }
        start += more + 1;
    }
}

/// Paths of the lines of a table in the order written, dotted ones too; not those of tables with a header.
fn own_lines(table: &Table, path: &mut Path, found: &mut Vec<Path>) {
    for (name, item) in table {
        path.push(name.to_owned());
        match item {
            Item::Value(_) => found.push(path.clone()),
            Item::Table(inner) if inner.is_dotted() => own_lines(inner, path, found),
            _ => {}
        }
        path.pop();
    }
}

/// Every table on a path, with the name in it.
fn reach(table: &Table, path: &[String], each: &mut dyn FnMut(&Table, &str)) {
    let mut table = table;
    for name in path {
        each(table, name);
        match table.get(name) {
            Some(Item::Table(inner)) => table = inner,
            _ => return,
        }
    }
}

fn at_leaf(table: &mut Table, path: &[String], change: &mut dyn FnMut(toml_edit::KeyMut<'_>, &mut Value)) {
    let Some((name, rest)) = path.split_first() else { return };
    match table.get_key_value_mut(name) {
        Some((key, Item::Value(value))) if rest.is_empty() => change(key, value),
        Some((_, Item::Table(inner))) => at_leaf(inner, rest, change),
        _ => {}
    }
}

/// `{a=1}` as `{ a = 1 }`, `[1,2]` as `[1, 2]`; what stands over several lines or has comments stays.
fn tidy(value: &mut Value) {
    let mut bare = value.clone();
    bare.decor_mut().clear();
    let text = bare.to_string();
    if text.contains('\n') {
        return;
    }
    match value {
        Value::Array(array) => {
            array.iter_mut().for_each(tidy);
            array.fmt();
            array.set_trailing_comma(false);
            array.set_trailing("");
        }
        Value::InlineTable(table) => {
            table.iter_mut().for_each(|(_, value)| tidy(value));
            // Spaces around dotted names inside are left as they are.
            table.fmt();
        }
        _ => {}
    }
}

/// Whether two tables say the same, in the same order where names are free.
fn same_table(a: &Table, b: &Table) -> bool {
    a.len() == b.len() && a.iter().all(|(key, item)| b.get(key).is_some_and(|other| same(item, other)))
}

fn same(a: &Item, b: &Item) -> bool {
    match (a, b) {
        (Item::Value(a), Item::Value(b)) => same_value(a, b),
        (Item::ArrayOfTables(a), Item::ArrayOfTables(b)) => {
            a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| same_table(a, b))
        }
        (Item::Table(a), Item::Table(b)) => same_table(a, b),
        _ => false,
    }
}

fn same_value(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::String(a), Value::String(b)) => a.value() == b.value(),
        (Value::Integer(a), Value::Integer(b)) => a.value() == b.value(),
        (Value::Float(a), Value::Float(b)) => a.value().to_bits() == b.value().to_bits(),
        (Value::Boolean(a), Value::Boolean(b)) => a.value() == b.value(),
        (Value::Datetime(a), Value::Datetime(b)) => a.value() == b.value(),
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| same_value(a, b))
        }
        (Value::InlineTable(a), Value::InlineTable(b)) => {
            a.len() == b.len()
                && a.iter()
                    .all(|(key, a)| TableLike::get(b, key).and_then(Item::as_value).is_some_and(|b| same_value(a, b)))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fmt(text: &str) -> String {
        let once = formatted(text).unwrap_or_else(|| panic!("no TOML: {text}"));
        assert_eq!(formatted(&once).as_deref(), Some(once.as_str()), "not idempotent:\n{once}");
        once
    }

    #[test]
    fn keys_have_their_order_and_comments_stay_with_them() {
        let text = "\n\n#:schema x\n# head\n\n\nformat=1   \n[steps.b]   # b\n  # why\n  pass = ['exit == 0']\n  run={x=1}#r\ntitle = \"T\"\n# end of b\n\n# about a\n[steps.a]\nseverity=\"low\"\nfile='x'\n\nx-mine = [ 1,2 ,]\n# last\n\n\n";
        let wanted = "#:schema x\n# head\n\nformat = 1\n\n[steps.b]   # b\ntitle = \"T\"\nrun   = { x = 1 } #r\n# why\npass  = ['exit == 0']\n# end of b\n\n# about a\n[steps.a]\nfile     = 'x'\nseverity = \"low\"\n\nx-mine = [1, 2]\n# last\n";
        assert_eq!(fmt(text), wanted);
    }

    #[test]
    fn what_stands_over_several_lines_stays() {
        let text = "format = 1\n\n[steps.a]\npass = [\n    \"a\",   # one\n    'b',\n]\nrun  = '''\nx  \n  y\n'''\n";
        let out = fmt(text);
        assert!(out.contains("run = '''\nx  \n  y\n'''\npass = [\n    \"a\",   # one\n    'b',\n]\n"), "{out}");
    }

    #[test]
    fn free_names_keep_their_order() {
        let text = "[vars]\nz = 1\na = 2\n\nlonger = 3\n\n[steps.x.matrix]\nos = [\"b\", \"a\"]\narch = [\"x\"]\n";
        assert_eq!(
            fmt(text),
            "[vars]\nz = 1\na = 2\n\nlonger = 3\n\n[steps.x.matrix]\nos   = [\"b\", \"a\"]\narch = [\"x\"]\n"
        );
    }

    #[test]
    fn dotted_keys_and_lists_of_tables() {
        let text = "[steps.x]\nretry.limit=2\nhttp.url = 'u'\n[[risk]]\nweight=0.2\nid='a'\n[[risk]]\nid='b'\n";
        assert_eq!(
            fmt(text),
            "[steps.x]\nhttp.url    = 'u'\nretry.limit = 2\n\n[[risk]]\nid     = 'a'\nweight = 0.2\n\n[[risk]]\nid = 'b'\n"
        );
        assert_eq!(formatted("a = \n"), None);
        assert_eq!(fmt(""), "");
        assert_eq!(fmt("# only\n\n\n# this\n"), "# only\n\n# this\n");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]
        #[test]
        fn anything_that_is_toml_is_laid_out_once_and_says_the_same(
            text in "((format|title|run|pass|needs|z|\"q r\"|a\\.b|env) ?= ?(1|'x'|\\[1, ?2\\]|\\{ ?k ?= ?1 ?\\}|\\[\n 1, # c\n 2\n\\])( *#[ a-z]*)?\n|\n|  # c[ a-z]*\n|\\[(steps\\.[a-d]|vars|x\\.y|env)\\]( # t)?\n|\\[\\[risk\\]\\]\n){0,14}"
        ) {
            if let Ok(before) = text.parse::<DocumentMut>() {
                let once = formatted(&text);
                prop_assert!(once.is_some(), "{}", text);
                let once = once.unwrap_or_default();
                let after: DocumentMut = once.parse().map_err(|error| TestCaseError::fail(format!("{error}\n{once}")))?;
                prop_assert!(same_table(before.as_table(), after.as_table()));
                prop_assert_eq!(formatted(&once), Some(once.clone()), "{}", once);
                for comment in text.split('#').skip(1).map(|part| part.split('\n').next().unwrap_or_default().trim()) {
                    prop_assert!(once.contains(comment), "{} is lost", comment);
                }
                prop_assert_eq!(once.matches('#').count(), text.matches('#').count());
            }
        }
    }
}
