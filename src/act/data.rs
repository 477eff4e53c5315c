//! Text as data: dotenv, JSON, TOML, YAML and INI, each to one tree, with its keys and values. Pure; opens nothing.

use std::fmt;

use saphyr::{LoadableYamlNode as _, Scalar, Yaml};
use serde_json::{Map, Value as Json};
use toml::de::{DeArray, DeTable, DeValue};

use crate::action::Format;
use crate::place::Source;

/// Deepest nesting of data that becomes a fact: what is recorded must be readable again.
pub(super) const MAX_DEPTH: usize = 100;

/// Data read from text.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Data {
    /// The whole; an object for dotenv and INI. Numbers, booleans and `null` as the format has them.
    pub(super) tree: Json,
    /// Dotted paths of the leaves, each once, in file order. Items of an array share the array's path.
    pub(super) keys: Vec<String>,
    /// The leaves as text, in file order; `null` and an empty value are an empty text.
    pub(super) values: Vec<String>,
}

/// Why text is not data of a format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Malformed {
    /// `JSON`, as shown to people.
    pub(super) format: &'static str,
    /// From 1.
    pub(super) line: usize,
    /// From 1, in characters.
    pub(super) col: usize,
    /// What is wrong.
    pub(super) message: String,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { format, line, col, message } = self;
        write!(f, "is not {format}: {message} (line {line}, column {col})")
    }
}

/// The name of a format for people.
fn name(format: Format) -> &'static str {
    match format {
        Format::Dotenv => "a dotenv file",
        Format::Json => "JSON",
        Format::Toml => "TOML",
        Format::Yaml => "YAML",
        Format::Ini => "INI",
    }
}

/// The format that a file's name speaks of.
pub(super) fn format_of(path: &str) -> Option<Format> {
    let file = path.rsplit('/').next().unwrap_or(path);
    if file == ".env" || file.starts_with(".env.") {
        return Some(Format::Dotenv);
    }
    match file.rsplit_once('.')?.1 {
        "env" => Some(Format::Dotenv),
        "json" => Some(Format::Json),
        "toml" => Some(Format::Toml),
        "yaml" | "yml" => Some(Format::Yaml),
        "ini" | "cfg" => Some(Format::Ini),
        _ => None,
    }
}

/// Reads text as data.
pub(super) fn parse(text: &str, format: Format) -> Result<Data, Malformed> {
    let fail = |(line, col, message): Spot| Malformed { format: name(format), line, col, message };
    match format {
        Format::Dotenv => dotenv(text).map_err(fail),
        Format::Ini => ini(text).map_err(fail),
        Format::Json => json(text).map(Data::of).map_err(fail),
        Format::Toml => toml(text).map(Data::of).map_err(fail),
        Format::Yaml => yaml(text).map(Data::of).map_err(fail),
    }
}

/// Keys of a template: what it would have as data with every `{{ … }}` filled in and every block left out.
pub(super) fn template_keys(text: &str, format: Format) -> Result<Vec<String>, Malformed> {
    parse(&without_markup(text), format).map(|data| data.keys)
}

/// Line, column, what is wrong.
type Spot = (usize, usize, String);

fn spot(text: &str, offset: usize, message: impl Into<String>) -> Spot {
    let (line, col) = Source::new(String::new(), text.to_owned()).line_col(offset);
    (line, col, message.into())
}

impl Data {
    fn of(tree: Json) -> Self {
        let mut data = Self { tree: Json::Null, keys: Vec::new(), values: Vec::new() };
        let mut seen = std::collections::HashSet::new();
        data.leaves("", &tree, &mut seen);
        data.tree = tree;
        data
    }

    fn leaves(&mut self, path: &str, node: &Json, seen: &mut std::collections::HashSet<String>) {
        match node {
            Json::Object(map) if !map.is_empty() => {
                for (key, child) in map {
                    let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                    self.leaves(&path, child, seen);
                }
            }
            Json::Array(items) if !items.is_empty() => {
                for item in items {
                    self.leaves(path, item, seen);
                }
            }
            leaf => {
                if !path.is_empty() && seen.insert(path.to_owned()) {
                    self.keys.push(path.to_owned());
                }
                match leaf {
                    Json::Null => self.values.push(String::new()),
                    Json::String(text) => self.values.push(text.clone()),
                    Json::Bool(_) | Json::Number(_) => self.values.push(leaf.to_string()),
                    Json::Object(_) | Json::Array(_) => {}
                }
            }
        }
    }

    /// Adds a text under a section (`""`: none). The last of several equal keys is in the tree, all values are kept.
    fn add(&mut self, section: &str, key: &str, value: String) {
        self.values.push(value.clone());
        let Json::Object(root) = &mut self.tree else { return };
        let (map, dotted) = if section.is_empty() {
            (root, key.to_owned())
        } else {
            match root.entry(section).or_insert_with(|| Json::Object(Map::new())) {
                Json::Object(map) => (map, format!("{section}.{key}")),
                // A top-level key has the section's name: the keys and values still tell.
                _ => return self.keys.push(format!("{section}.{key}")),
            }
        };
        if map.insert(key.to_owned(), Json::String(value)).is_none() {
            self.keys.push(dotted);
        }
    }

    fn sections() -> Self {
        Self { tree: Json::Object(Map::new()), ..Self::default() }
    }
}

/// Whether a tree is nested deeper than [`MAX_DEPTH`].
pub(super) fn too_deep(node: &Json, room: usize) -> bool {
    match node {
        Json::Array(items) => room == 0 || items.iter().any(|item| too_deep(item, room - 1)),
        Json::Object(map) => room == 0 || map.values().any(|item| too_deep(item, room - 1)),
        _ => false,
    }
}

fn deep() -> String {
    format!("it is nested deeper than {MAX_DEPTH}")
}

/// Reads JSON; also used for bodies of HTTP answers.
pub(super) fn json(text: &str) -> Result<Json, Spot> {
    let tree: Json = serde_json::from_str(text).map_err(|error| {
        let message = error.to_string();
        let message = message.split(" at line ").next().unwrap_or(&message).to_owned();
        (error.line(), error.column(), message)
    })?;
    if too_deep(&tree, MAX_DEPTH) { Err((1, 1, deep())) } else { Ok(tree) }
}

fn toml(text: &str) -> Result<Json, Spot> {
    let table =
        DeTable::parse(text).map_err(|error| spot(text, error.span().map_or(0, |span| span.start), error.message()))?;
    let tree = toml_table(table.get_ref());
    if too_deep(&tree, MAX_DEPTH) { Err((1, 1, deep())) } else { Ok(tree) }
}

fn toml_table(table: &DeTable<'_>) -> Json {
    Json::Object(table.iter().map(|(key, value)| (key.get_ref().to_string(), toml_value(value.get_ref()))).collect())
}

fn toml_array(array: &DeArray<'_>) -> Json {
    Json::Array(array.iter().map(|value| toml_value(value.get_ref())).collect())
}

fn toml_value(value: &DeValue<'_>) -> Json {
    match value {
        DeValue::String(text) => Json::String(text.to_string()),
        DeValue::Integer(n) => match i64::from_str_radix(n.as_str(), n.radix()) {
            Ok(n) => Json::from(n),
            Err(_) => Json::String(n.as_str().to_owned()),
        },
        DeValue::Float(n) => match n.as_str().parse::<f64>() {
            Ok(n) if n.is_finite() => Json::from(n),
            _ => Json::String(n.as_str().to_owned()),
        },
        DeValue::Boolean(b) => Json::Bool(*b),
        DeValue::Datetime(at) => Json::String(at.to_string()),
        DeValue::Array(array) => toml_array(array),
        DeValue::Table(table) => toml_table(table),
    }
}

fn yaml(text: &str) -> Result<Json, Spot> {
    // Block nesting is unbounded in the parser, and dropping what it builds recurses: bound it by each line's lead.
    for (number, line) in text.lines().enumerate() {
        let indent = line.len() - line.trim_start_matches(' ').len();
        let marks = line.split_whitespace().take_while(|word| is_block_mark(word)).count();
        if indent + marks > 1000 {
            return Err((number + 1, 1, deep()));
        }
    }
    let documents = Yaml::load_from_str(text).map_err(|error| {
        let at = error.marker();
        (at.line(), at.col() + 1, error.info().to_owned())
    })?;
    documents.first().map_or(Ok(Json::Null), |first| yaml_node(first, MAX_DEPTH))
}

fn is_block_mark(word: &str) -> bool {
    matches!(word, "-" | "?" | ":") || word.starts_with(['&', '!'])
}

fn yaml_node(node: &Yaml<'_>, room: usize) -> Result<Json, Spot> {
    let inner = || room.checked_sub(1).ok_or_else(|| (1, 1, deep()));
    Ok(match node {
        Yaml::Value(scalar) => yaml_scalar(scalar),
        Yaml::Representation(text, ..) => Json::String(text.to_string()),
        Yaml::Sequence(items) => {
            let room = inner()?;
            Json::Array(items.iter().map(|item| yaml_node(item, room)).collect::<Result<_, _>>()?)
        }
        Yaml::Mapping(map) => {
            let room = inner()?;
            let mut object = Map::new();
            for (key, value) in map {
                let key = match yaml_node(key, room)? {
                    Json::String(text) => text,
                    other => other.to_string(),
                };
                object.insert(key, yaml_node(value, room)?);
            }
            Json::Object(object)
        }
        Yaml::Tagged(_, node) => yaml_node(node, room)?,
        Yaml::Alias(_) | Yaml::BadValue => Json::Null,
    })
}

fn yaml_scalar(scalar: &Scalar<'_>) -> Json {
    match scalar {
        Scalar::Null => Json::Null,
        Scalar::Boolean(b) => Json::Bool(*b),
        Scalar::Integer(n) => Json::from(*n),
        Scalar::FloatingPoint(n) if n.is_finite() => Json::from(n.into_inner()),
        Scalar::FloatingPoint(n) => Json::String(n.to_string()),
        Scalar::String(text) => Json::String(text.to_string()),
    }
}

fn ini(text: &str) -> Result<Data, Spot> {
    let option = ini::ParseOption {
        enabled_quote: true,
        enabled_escape: false,
        enabled_indented_mutiline_value: true,
        enabled_preserve_key_leading_whitespace: false,
    };
    let file = ini::Ini::load_from_str_opt(text, option)
        .map_err(|error| (error.line + 1, error.col + 1, error.msg.into_owned()))?;
    let mut data = Data::sections();
    for (section, properties) in &file {
        for (key, value) in properties.iter() {
            data.add(section.unwrap_or(""), key, value.to_owned());
        }
    }
    Ok(data)
}

/// `KEY=value` lines: `export` before the key, `#` comments, single quotes (literal), double quotes (with `\n`, `\t`,
/// `\r`, `\"`, `\\`, `\$`), both over several lines. Nothing is expanded.
fn dotenv(text: &str) -> Result<Data, Spot> {
    let mut data = Data::sections();
    let mut at = 0;
    while at < text.len() {
        let line_end = text[at..].find('\n').map_or(text.len(), |n| at + n);
        let line = text[at..line_end].trim();
        if line.is_empty() || line.starts_with('#') {
            at = line_end + 1;
            continue;
        }
        let start = at + (text[at..line_end].len() - text[at..line_end].trim_start().len());
        let Some(equals) = text[start..line_end].find('=').map(|n| start + n) else {
            return Err(spot(text, start, "expected `KEY=value`"));
        };
        let key = text[start..equals].trim_end();
        let key = key.strip_prefix("export ").map_or(key, str::trim_start);
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
        if key.is_empty() || key.starts_with(|c: char| c.is_ascii_digit()) || !key.chars().all(plain) {
            return Err(spot(text, start, format!("`{key}` is not a name")));
        }
        let (value, end) = dotenv_value(text, equals + 1, line_end)?;
        data.add("", key, value);
        at = end;
    }
    Ok(data)
}

/// The value from `at` on, and where the next line begins.
fn dotenv_value(text: &str, at: usize, line_end: usize) -> Result<(String, usize), Spot> {
    let raw = &text[at..line_end];
    let lead = raw.len() - raw.trim_start().len();
    let Some(quote) = raw.trim_start().chars().next().filter(|c| matches!(c, '\'' | '"')) else {
        let comment = raw.match_indices('#').find(|(n, _)| *n == 0 || raw[..*n].ends_with([' ', '\t']));
        let value = comment.map_or(raw, |(n, _)| &raw[..n]);
        return Ok((value.trim().to_owned(), line_end + 1));
    };
    let open = at + lead;
    let mut value = String::new();
    let mut chars = text[open + 1..].char_indices();
    while let Some((n, c)) = chars.next() {
        if c == quote {
            let rest_at = open + 1 + n + 1;
            let rest_end = text[rest_at..].find('\n').map_or(text.len(), |n| rest_at + n);
            let rest = text[rest_at..rest_end].trim();
            if !rest.is_empty() && !rest.starts_with('#') {
                return Err(spot(text, rest_at, "text after the closing quote"));
            }
            return Ok((value, rest_end + 1));
        }
        if c != '\\' || quote == '\'' {
            value.push(c);
            continue;
        }
        match chars.next().map(|(_, escaped)| escaped) {
            Some('n') => value.push('\n'),
            Some('t') => value.push('\t'),
            Some('r') => value.push('\r'),
            Some(same @ ('"' | '\\' | '$')) => value.push(same),
            Some(other) => value.extend(['\\', other]),
            None => break,
        }
    }
    Err(spot(text, open, format!("the {quote} is never closed")))
}

/// A template with `0` for each `{{ … }}`, and without `{% … %}` and `{# … #}`.
fn without_markup(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(open) = rest.find('{') {
        let close = match rest.as_bytes().get(open + 1) {
            Some(b'{') => "}}",
            Some(b'%') => "%}",
            Some(b'#') => "#}",
            _ => {
                out.push_str(&rest[..=open]);
                rest = &rest[open + 1..];
                continue;
            }
        };
        out.push_str(&rest[..open]);
        let Some(end) = rest[open + 2..].find(close) else { return out + &rest[open..] };
        if close == "}}" {
            out.push('0');
        }
        rest = &rest[open + 2 + end + 2..];
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn ok(text: &str, format: Format) -> Data {
        parse(text, format).unwrap()
    }

    fn err(text: &str, format: Format) -> String {
        parse(text, format).unwrap_err().to_string()
    }

    #[test]
    fn dotenv_in_all_its_forms() {
        let text = "# c\nA=1\n export B = two words # note\nC='a # b'\nD=\"x\\n\\\"y\\\" \\z\"\nE=\nF=a#b\nG='1\n2' # ok\n\r\nH=#c\r\n";
        let data = ok(text, Format::Dotenv);
        assert_eq!(data.keys, ["A", "B", "C", "D", "E", "F", "G", "H"]);
        assert_eq!(data.values, ["1", "two words", "a # b", "x\n\"y\" \\z", "", "a#b", "1\n2", ""]);
        assert_eq!(data.tree["B"], json!("two words"));
    }

    #[test]
    fn dotenv_keeps_every_value_of_a_repeated_key() {
        let data = ok("A=change-me\nA=good", Format::Dotenv);
        assert_eq!((data.keys.len(), data.values.len()), (1, 2));
        assert_eq!(data.tree, json!({"A": "good"}));
    }

    #[test]
    fn dotenv_errors_have_a_place() {
        assert_eq!(
            err("A=1\nnonsense\n", Format::Dotenv),
            "is not a dotenv file: expected `KEY=value` (line 2, column 1)"
        );
        assert!(err("A='x\n\n", Format::Dotenv).contains("the ' is never closed (line 1, column 3)"));
        assert!(err("A='x' y", Format::Dotenv).contains("after the closing quote (line 1, column 6)"));
        assert!(err("1A=x", Format::Dotenv).contains("`1A` is not a name"));
        assert!(err("A=\"\\", Format::Dotenv).contains("never closed"));
    }

    #[test]
    fn trees_have_dotted_leaves() {
        let data = ok(r#"{"a":{"b":1,"c":[true,null]},"d":[{"e":"x"},{"e":"y"}],"f":{},"g":1.50}"#, Format::Json);
        assert_eq!(data.keys, ["a.b", "a.c", "d.e", "f", "g"]);
        assert_eq!(data.values, ["1", "true", "", "x", "y", "1.5"]);
        assert_eq!(err("{\"a\":\n 1,}", Format::Json), "is not JSON: trailing comma (line 2, column 4)");
    }

    #[test]
    fn toml_and_yaml_and_ini() {
        let data = ok("v = \"1\"\n[a.b]\nn = 0x10\nf = 1e3\nd = 2026-01-02\nl = [1, 2]\n", Format::Toml);
        assert_eq!(data.tree, json!({"v":"1","a":{"b":{"n":16,"f":1000.0,"d":"2026-01-02","l":[1,2]}}}));
        assert!(err("a = 1\nb = ", Format::Toml).contains("line 2"));
        let data = ok("a: &x {b: 1, c: [yes, ~, 1.5]}\nd: *x\n2: z\n---\nother: 1", Format::Yaml);
        assert_eq!(data.tree, json!({"a":{"b":1,"c":["yes",null,1.5]},"d":{"b":1,"c":["yes",null,1.5]},"2":"z"}));
        assert!(err("a: [1\nb: 2", Format::Yaml).starts_with("is not YAML: "));
        assert_eq!(ok("", Format::Yaml).tree, Json::Null);
        let data = ok("top = 1\n[pytest]\naddopts = -q\n  --cov-fail-under=32\n[x:y]\np = C:\\a\n", Format::Ini);
        assert_eq!(data.keys, ["top", "pytest.addopts", "x:y.p"]);
        assert!(data.values[1].contains("--cov-fail-under=32") && data.values[2] == "C:\\a");
        assert!(err("[a\nb=1", Format::Ini).starts_with("is not INI: "));
    }

    #[test]
    fn deep_nesting_is_refused_and_never_overflows() {
        for (text, format) in [
            ("[".repeat(101) + &"]".repeat(101), Format::Json),
            ("[".repeat(500_000), Format::Json),
            ("[".repeat(200) + &"]".repeat(200), Format::Yaml),
            ("- ".repeat(300_000), Format::Yaml),
            ("- ".repeat(900), Format::Yaml),
            ("a = ".to_owned() + &"[".repeat(300_000), Format::Toml),
            (["a"; 20_000].join(".") + " = 1", Format::Toml),
        ] {
            assert!(parse(&text, format).is_err(), "{format:?} {}", &text[..20]);
        }
        assert!(parse(&("[".repeat(100) + &"]".repeat(100)), Format::Json).is_ok());
        let bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n".to_owned()
            + &('b'..'l')
                .map(|c| format!("{c}: &{c} [{}]\n", vec![format!("*{}", (c as u8 - 1) as char); 9].join(",")))
                .collect::<String>();
        assert!(parse(&bomb, Format::Yaml).is_err());
    }

    #[test]
    fn templates_give_their_keys() {
        let text = "{# note #}\nA={{ vars.a }}\n{% if x %}\nB=\"{{ b }}-{{ c }}\"\n{% endif %}\nC={x}\n";
        assert_eq!(template_keys(text, Format::Dotenv).unwrap(), ["A", "B", "C"]);
        assert_eq!(template_keys("{\"p\": {{ port }}, \"h\": \"{{ h }}\"}", Format::Json).unwrap(), ["p", "h"]);
        assert_eq!(without_markup("a {{ open"), "a {{ open");
    }

    proptest! {
        #[test]
        fn no_text_panics_and_no_value_is_lost(text in r#"[AB1='"\\#\n \[\]{}:,.%&!*~|>-]{0,60}"#) {
            for format in [Format::Dotenv, Format::Json, Format::Toml, Format::Yaml, Format::Ini] {
                if let Ok(data) = parse(&text, format) {
                    let distinct: std::collections::HashSet<_> = data.keys.iter().collect();
                    prop_assert_eq!(distinct.len(), data.keys.len());
                }
                // Only has to come back.
                let _ = template_keys(&text, format);
            }
        }

        #[test]
        fn dotenv_reads_back_what_was_quoted(value in "[^\\x00]{0,20}") {
            let quoted = value.replace('\\', "\\\\").replace('"', "\\\"");
            prop_assert_eq!(ok(&format!("A=\"{quoted}\"\nB=1"), Format::Dotenv).values, [value, "1".to_owned()]);
        }
    }

    #[test]
    fn formats_by_name() {
        for (path, format) in [
            (".env.staging", Some(Format::Dotenv)),
            ("a/.env.staging.template", Some(Format::Dotenv)),
            ("x/prod.env", Some(Format::Dotenv)),
            ("a.yml", Some(Format::Yaml)),
            ("setup.cfg", Some(Format::Ini)),
            ("a.d/README", None),
        ] {
            assert_eq!(format_of(path), format, "{path}");
        }
    }
}
