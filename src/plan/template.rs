//! Templates: minijinja stops here. Strict: an undefined name is an error with its place in the text.
//!
//! Two kinds of text. A *plan text* holds only `{{ expression }}`; what is known at load is filled in at once, what
//! names run-time values stays (`late`). A *template file* (the `render` action) may also have `{% for %}` and
//! `{% if %}`. Neither knows includes, macros or loaders. Knows no plan and no step.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, LazyLock};

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior};
use serde_json::Value as Json;

use crate::action::Text;

/// Roots of names that get their values when a step starts.
const LATE: [&str; 4] = ["steps", "ports", "secrets", "run"];
/// Words of the expression language, not names.
const WORDS: [&str; 13] =
    ["and", "or", "not", "in", "is", "if", "else", "true", "false", "none", "True", "False", "None"];

/// What is wrong with a template, with the place in its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateError {
    /// Lower-case fragment, the thing in backticks.
    pub message: String,
    /// Bytes of the text it is about.
    pub range: Range<usize>,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// What to do about it.
    pub help: Option<String>,
}

impl TemplateError {
    fn new(text: &str, range: Range<usize>, message: impl Into<String>) -> Self {
        let before = text.get(..range.start).unwrap_or(text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
        Self { message: message.into(), range, line, column, help: None }
    }

    fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: {}", self.line, self.column, self.message)
    }
}

impl std::error::Error for TemplateError {}

/// A dotted name in an expression (`steps.build.outputs.version`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// Its parts.
    pub parts: Vec<String>,
    /// Bytes of the text.
    pub range: Range<usize>,
}

impl Name {
    /// As written, with dots.
    #[must_use]
    pub fn dotted(&self) -> String {
        self.parts.join(".")
    }

    /// Whether it gets its value when a step starts.
    #[must_use]
    pub fn is_late(&self) -> bool {
        let root = self.parts.first().map_or("", String::as_str);
        LATE.contains(&root) || (root == "plan" && self.parts.get(1).is_some_and(|part| part == "workspace"))
    }
}

/// Values known at load, by root (`vars`, `plan`, `matrix`, `item`).
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// Root to value: an object, or a plain value for `item`. Shared, because every step has its own `Known`.
    roots: BTreeMap<&'static str, (Arc<Json>, minijinja::Value)>,
}

impl Known {
    /// With the values under one more root.
    #[must_use]
    pub fn with(mut self, root: &'static str, value: Json) -> Self {
        let filled = minijinja::Value::from(Serde(&value));
        self.roots.insert(root, (Arc::new(value), filled));
        self
    }

    /// Checks that an early name leads to a value; the error says which names there are.
    fn check(&self, text: &str, name: &Name) -> Result<(), TemplateError> {
        let root = name.parts.first().map_or("", String::as_str);
        let Some(mut value) = self.roots.get(root).map(|(value, _)| value.as_ref()) else {
            let all: Vec<&str> = self.roots.keys().copied().chain(LATE).collect();
            let error = TemplateError::new(text, name.range.clone(), format!("unknown name `{}`", name.dotted()));
            return Err(match (root, nearest(root, all.iter().copied())) {
                ("env", _) => error.help("environment variables reach a process through `env`, not through templates"),
                ("item" | "matrix", _) => {
                    error.help(format!("`{root}` exists only in a step with its own list of values"))
                }
                (_, Some(near)) => {
                    let whole = [&[near.to_owned()], &name.parts[1..]].concat().join(".");
                    error.help(format!("did you mean `{whole}`?"))
                }
                _ => error.help(format!("names begin with {}", words(&all))),
            });
        };
        for (at, part) in name.parts.iter().enumerate().skip(1) {
            // A method of a text or list (`vars.x.y`) ends here: only objects have members.
            let Json::Object(members) = value else {
                let of = name.parts[..at].join(".");
                let message = format!("`{of}` is a single value and has no `{part}`");
                return Err(TemplateError::new(text, name.range.clone(), message));
            };
            let Some(member) = members.get(part) else {
                let message = format!("unknown name `{}`", name.dotted());
                let error = TemplateError::new(text, name.range.clone(), message);
                let of = name.parts[..at].join(".");
                return Err(match nearest(part, members.keys().map(String::as_str)) {
                    Some(near) => error.help(format!("did you mean `{of}.{near}`?")),
                    None if members.is_empty() => error.help(format!("no `{of}` are declared")),
                    None => error
                        .help(format!("`{of}` has {}", words(&members.keys().map(String::as_str).collect::<Vec<_>>()))),
                });
            };
            value = member;
        }
        Ok(())
    }

    fn context(&self) -> minijinja::Value {
        minijinja::Value::from_pairs(self.roots.iter().map(|(root, (_, value))| (*root, value.clone())))
    }
}

/// A text filled with what is known at load.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filled {
    /// The text; `late` if it names run-time values.
    pub text: Text,
    /// The run-time names in it.
    pub late: Vec<Name>,
}

/// The name that is most like `wanted`, if any is near.
#[must_use]
pub fn nearest<'a>(wanted: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let far = (wanted.chars().count() / 3).clamp(1, 3);
    let score = |name: &'a str| (strsim::damerau_levenshtein(&wanted.to_lowercase(), &name.to_lowercase()), name);
    let near = |name: &&'a str| name.len().abs_diff(wanted.len()) <= far && *name != wanted;
    let best = names.filter(near).map(score).min_by_key(|(distance, _)| *distance)?;
    (best.0 <= far).then_some(best.1)
}

/// `` `a`, `b` and `c` ``, cut after a dozen.
#[must_use]
pub fn words(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().take(24).map(|name| format!("`{name}`")).collect();
    match quoted.as_slice() {
        [] => "none".to_owned(),
        [one] => one.clone(),
        _ if names.len() > 24 => format!("{} and {} more", quoted.join(", "), names.len() - 24),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}

/// Whether a text has anything to fill in.
#[must_use]
pub fn is_template(text: &str) -> bool {
    text.contains("{{")
}

/// A piece of a plan text.
enum Piece<'t> {
    Plain(&'t str),
    /// The whole `{{ … }}`, and the range of the expression in it.
    Expr(&'t str, Range<usize>),
}

/// Cuts a plan text into plain parts and `{{ }}`.
fn pieces(text: &str) -> Result<Vec<Piece<'_>>, TemplateError> {
    let mut list = Vec::new();
    let mut at = 0;
    while let Some(open) = text[at..].find("{{").map(|found| at + found) {
        if open > at {
            list.push(Piece::Plain(&text[at..open]));
        }
        let close = end_of_expression(text, open + 2)
            .ok_or_else(|| TemplateError::new(text, open..open + 2, "`{{` is not closed").help("write `{{ name }}`"))?;
        list.push(Piece::Expr(&text[open..close + 2], open + 2..close));
        at = close + 2;
    }
    if at < text.len() {
        list.push(Piece::Plain(&text[at..]));
    }
    for piece in &list {
        if let Piece::Plain(plain) = piece
            && let Some(found) = plain.find("{%")
        {
            let start = plain.as_ptr() as usize - text.as_ptr() as usize + found;
            let error = TemplateError::new(text, start..start + 2, "`{% %}` has no place in a plan");
            return Err(error.help("only template files of `render` may have blocks; for a literal write {{ '{%' }}"));
        }
    }
    Ok(list)
}

/// Where the `}}` of an expression stands, quotes respected.
fn end_of_expression(text: &str, from: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    let (mut at, mut quote) = (from, None);
    while at < bytes.len() {
        match (quote, bytes[at]) {
            (Some(_), b'\\') => at += 1,
            (Some(open), byte) if byte == open => quote = None,
            (Some(_), _) => {}
            (None, byte @ (b'"' | b'\'')) => quote = Some(byte),
            (None, b'}') if bytes.get(at + 1) == Some(&b'}') => return Some(at),
            (None, _) => {}
        }
        at += 1;
    }
    None
}

/// Dotted names in an expression. Step names after `steps.` may have `-` and a `[matrix part]`.
fn names_in(text: &str, expr: Range<usize>) -> Vec<Name> {
    let bytes = text.as_bytes();
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || !byte.is_ascii();
    let mut found = Vec::new();
    let (mut at, mut before) = (expr.start, b' ');
    let mut last_word = "";
    while at < expr.end {
        let byte = bytes[at];
        if byte == b'"' || byte == b'\'' {
            at = skip_quoted(bytes, at, expr.end);
            before = b'"';
            continue;
        }
        if !word(byte) {
            before = if byte.is_ascii_whitespace() { before } else { byte };
            at += 1;
            continue;
        }
        let name = name_at(text, at, expr.end);
        let next = bytes[name.range.end..expr.end].iter().copied().find(|b| !b.is_ascii_whitespace());
        let root = &text[at..at + name.parts[0].len()];
        let plain = byte.is_ascii_digit() || WORDS.contains(&root);
        let called = next == Some(b'(') && name.parts.len() == 1;
        let test = last_word == "is" || (last_word == "not" && before == b's');
        let named_argument =
            next == Some(b'=') && before != b'=' && !text[name.range.end..expr.end].trim_start().starts_with("==");
        at = name.range.end;
        if !(plain || called || test || named_argument || before == b'|' || before == b'.') {
            found.push(name);
        }
        (before, last_word) = (b'w', root);
    }
    found
}

fn skip_quoted(bytes: &[u8], open: usize, end: usize) -> usize {
    let mut at = open + 1;
    while at < end && bytes[at] != bytes[open] {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(end)
}

/// The dotted name that begins at `start`.
fn name_at(text: &str, start: usize, end: usize) -> Name {
    let bytes = text.as_bytes();
    let take = |from: usize, dashes: bool| {
        let fits = |b: &u8| b.is_ascii_alphanumeric() || *b == b'_' || !b.is_ascii() || (dashes && *b == b'-');
        from + bytes[from..end].iter().take_while(|b| fits(b)).count()
    };
    let mut at = take(start, false);
    let mut parts = vec![text[start..at].to_owned()];
    loop {
        let dashes = parts.len() == 1 && parts[0] == "steps";
        if bytes.get(at) == Some(&b'.') && at + 1 < end && take(at + 1, dashes) > at + 1 {
            let mut stop = take(at + 1, dashes);
            if dashes && bytes.get(stop) == Some(&b'[') {
                stop = text[stop..end].find(']').map_or(stop, |close| stop + close + 1);
            }
            parts.push(text[at + 1..stop].to_owned());
            at = stop;
        } else if let Some((key, stop)) = quoted_key(text, at, end) {
            parts.push(key);
            at = stop;
        } else {
            return Name { parts, range: start..at };
        }
    }
}

/// `["key"]` after a name.
fn quoted_key(text: &str, at: usize, end: usize) -> Option<(String, usize)> {
    let rest = text.get(at..end)?.strip_prefix('[')?;
    let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let close = rest[1..].find(quote)?;
    rest[close + 2..].starts_with(']').then(|| (rest[1..=close].to_owned(), at + close + 4))
}

/// An expression with step names in brackets, as minijinja reads it: `steps["env-file"].outputs.x`.
fn for_minijinja(text: &str, expr: Range<usize>) -> String {
    let mut out = String::with_capacity(expr.len());
    let mut at = expr.start;
    for name in names_in(text, expr.clone()) {
        if name.parts[0] == "steps" && name.parts.len() > 1 {
            out.push_str(&text[at..name.range.start]);
            out.push_str("steps");
            for part in &name.parts[1..] {
                out.push_str(&format!("[{}]", Json::String(part.clone())));
            }
            at = name.range.end;
        }
    }
    out.push_str(&text[at..expr.end]);
    out
}

/// Names in a plan text.
///
/// # Errors
/// When a `{{` is not closed or the text has blocks.
pub fn names(text: &str) -> Result<Vec<Name>, TemplateError> {
    let exprs = pieces(text)?.into_iter().filter_map(|piece| match piece {
        Piece::Expr(_, range) => Some(range),
        Piece::Plain(_) => None,
    });
    Ok(exprs.flat_map(|range| names_in(text, range)).collect())
}

/// Fills what is known at load into a plan text; run-time names stay for [`render`].
///
/// # Errors
/// All of them: syntax, unknown names, values that are no text.
pub fn fill(text: &str, known: &Known) -> Result<Filled, Vec<TemplateError>> {
    if !text.bytes().any(|byte| byte == b'{') || (!text.contains("{{") && !text.contains("{%")) {
        return Ok(Filled { text: Text::fixed(text), late: Vec::new() });
    }
    let pieces = pieces(text).map_err(|error| vec![error])?;
    let (mut out, mut errors, mut late) = (Vec::new(), Vec::new(), Vec::new());
    for piece in &pieces {
        match piece {
            Piece::Plain(plain) => out.push((*plain).to_owned()),
            Piece::Expr(whole, range) => match fill_expression(text, whole, range.clone(), known, &mut late) {
                Ok(part) => out.push(part),
                Err(found) => errors.extend(found),
            },
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    let is_late = !late.is_empty();
    for (part, piece) in out.iter_mut().zip(&pieces) {
        // Values are never read as templates: what looks like one in them is quoted.
        let value = matches!(piece, Piece::Expr(whole, _) if part != whole);
        if is_late && value && (part.contains("{{") || part.contains("{%")) {
            *part = part.replace('{', "{{ '{' }}");
        }
    }
    Ok(Filled { text: Text { src: out.concat(), late: is_late }, late })
}

fn fill_expression(
    text: &str,
    whole: &str,
    range: Range<usize>,
    known: &Known,
    late: &mut Vec<Name>,
) -> Result<String, Vec<TemplateError>> {
    let names = names_in(text, range.clone());
    let (later, early): (Vec<Name>, Vec<Name>) = names.into_iter().partition(Name::is_late);
    let mut errors: Vec<TemplateError> = early.iter().filter_map(|name| known.check(text, name).err()).collect();
    if let Some(own) = early.iter().find(|name| matches!(name.parts[0].as_str(), "matrix" | "item"))
        && let Some(other) = later.first()
    {
        let message = format!("`{}` and `{}` cannot stand in one `{{{{ }}}}`", own.dotted(), other.dotted());
        errors.push(TemplateError::new(text, own.range.clone(), message).help("write two, one for each name"));
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    let source = for_minijinja(text, range.clone());
    let compiled =
        ENV.compile_expression_owned(source).map_err(|error| vec![of_minijinja(text, range.clone(), &error)])?;
    if !later.is_empty() {
        late.extend(later);
        return Ok(whole.to_owned());
    }
    let value = compiled.eval(known.context()).map_err(|error| vec![of_minijinja(text, range.clone(), &error)])?;
    shown(text, range, &value).map_err(|error| vec![error])
}

/// Completes a late plan text. `context` is an object with the roots (`vars`, `plan`, `steps`, `ports`, `secrets`).
///
/// # Errors
/// When a name has no value, or a value is no text.
pub fn render(text: &str, context: &Json) -> Result<String, TemplateError> {
    if !is_template(text) {
        return Ok(text.to_owned());
    }
    let root = minijinja::Value::from(Serde(context));
    let mut out = String::with_capacity(text.len());
    for piece in pieces(text)? {
        match piece {
            Piece::Plain(plain) => out.push_str(plain),
            Piece::Expr(_, range) => {
                let source = for_minijinja(text, range.clone());
                let value = ENV.compile_expression_owned(source).and_then(|compiled| compiled.eval(&root));
                let value = value.map_err(|error| of_minijinja(text, range.clone(), &error))?;
                out.push_str(&shown(text, range, &value)?);
            }
        }
    }
    Ok(out)
}

/// Evaluates a text that is one `{{ expression }}` and nothing else; `None` for any other text.
///
/// # Errors
/// As [`fill`]; run-time names are errors.
pub fn evaluate(text: &str, known: &Known) -> Option<Result<Json, Vec<TemplateError>>> {
    let parts = pieces(text).ok()?;
    let [Piece::Expr(_, range)] = parts.as_slice() else {
        return None;
    };
    let check = |name: &Name| known.check(text, name).err();
    let errors: Vec<TemplateError> = names_in(text, range.clone()).iter().filter_map(check).collect();
    if !errors.is_empty() {
        return Some(Err(errors));
    }
    let value = ENV
        .compile_expression_owned(text[range.clone()].to_owned())
        .and_then(|compiled| compiled.eval(known.context()));
    Some(match value {
        Ok(value) => Ok(serde_json::to_value(value).unwrap_or(Json::Null)),
        Err(error) => Err(vec![of_minijinja(text, range.clone(), &error)]),
    })
}

/// Renders a template file. Trailing newlines stay; `{#` is plain text; a comment is `{%# … #%}`.
///
/// # Errors
/// When a name has no value or the template is malformed; the message has line and column.
pub fn render_file(text: &str, context: &Json) -> Result<String, TemplateError> {
    let mut source = String::with_capacity(text.len());
    let mut at = 0;
    while let Some(open) = text[at..].find("{{").map(|found| at + found) {
        let Some(close) = end_of_expression(text, open + 2) else {
            return Err(TemplateError::new(text, open..open + 2, "`{{` is not closed"));
        };
        source.push_str(&text[at..open + 2]);
        source.push_str(&for_minijinja(text, open + 2..close));
        at = close;
    }
    source.push_str(&text[at..]);
    ENV.render_str(&source, minijinja::Value::from(Serde(context))).map_err(|error| {
        let line = error.line().unwrap_or(1);
        let start = text.split_inclusive('\n').take(line - 1).map(str::len).sum::<usize>();
        let row = text[start..].lines().next().unwrap_or("");
        let missing = undefined_in(text, start..start + row.len(), context);
        let range = missing.clone().map_or(start..start + row.len(), |name| name.range);
        let message = missing.map_or_else(|| reason(&error), |name| format!("`{}` has no value", name.dotted()));
        TemplateError::new(text, range, message)
    })
}

/// The first name on a line of a template file that leads to no value. Names of loops are not known here.
fn undefined_in(text: &str, line: Range<usize>, context: &Json) -> Option<Name> {
    let mut at = line.start;
    while let Some(open) = text.get(at..line.end)?.find("{{").map(|found| at + found) {
        let close = end_of_expression(text, open + 2)?.min(line.end);
        for name in names_in(text, open + 2..close) {
            let known = context.get(&name.parts[0]).is_some();
            let mut value = Some(context);
            for part in &name.parts {
                value = value.and_then(|value| value.get(part));
            }
            if known && value.is_none() {
                return Some(name);
            }
        }
        at = close;
    }
    None
}

/// A value as text in a plan: only single values.
fn shown(text: &str, range: Range<usize>, value: &minijinja::Value) -> Result<String, TemplateError> {
    use minijinja::value::ValueKind;
    let name = text[range.clone()].trim().to_owned();
    let refuse = |what: &str| TemplateError::new(text, range.clone(), format!("`{name}` is {what}, not text"));
    match value.kind() {
        ValueKind::Bool => Ok(if value.is_true() { "true" } else { "false" }.to_owned()),
        ValueKind::String | ValueKind::Number => Ok(value.to_string()),
        ValueKind::Undefined => Err(TemplateError::new(text, range.clone(), format!("`{name}` has no value"))),
        ValueKind::None => Err(refuse("none")),
        ValueKind::Seq | ValueKind::Iterable => {
            Err(refuse("a list").help("join it: `{{ name | join(\",\") }}`, or repeat the step with `foreach`"))
        }
        ValueKind::Map => Err(refuse("a table").help("name one of its members")),
        _ => Err(refuse("no value")),
    }
}

fn of_minijinja(text: &str, range: Range<usize>, error: &minijinja::Error) -> TemplateError {
    let written = text.get(range.clone()).unwrap_or("");
    let shown = TemplateError::new(text, range, reason(error));
    if error.kind() != minijinja::ErrorKind::UnknownFilter {
        return shown;
    }
    let used = |name: &&str| shown.message.contains(&format!("`{name}`"));
    let wrong = written.split(|c: char| !(c.is_alphanumeric() || c == '_')).find(used).unwrap_or("");
    match nearest(wrong, FILTERS.iter().copied()) {
        Some(near) => shown.help(format!("did you mean `{near}`?")),
        None => shown.help(format!("such as {}", words(&FILTERS))),
    }
}

/// Filters worth naming.
const FILTERS: [&str; 10] =
    ["upper", "lower", "trim", "replace", "join", "default", "first", "last", "length", "unique"];

/// minijinja's reason as one lower-case sentence.
fn reason(error: &minijinja::Error) -> String {
    let detail = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
    match error.kind() {
        minijinja::ErrorKind::SyntaxError => format!("the template is malformed: {detail}"),
        minijinja::ErrorKind::UndefinedError => "a name has no value".to_owned(),
        minijinja::ErrorKind::UnknownFilter => {
            let name = detail.strip_prefix("filter ").and_then(|rest| rest.strip_suffix(" is unknown"));
            name.map_or_else(|| detail.clone(), |name| format!("there is no filter `{name}`"))
        }
        _ => detail,
    }
}

/// One environment for all: it holds no template and no value.
static ENV: LazyLock<Environment<'static>> = LazyLock::new(environment);

fn environment() -> Environment<'static> {
    let mut env = Environment::new();
    env.set_undefined_behavior(UndefinedBehavior::Strict);
    env.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    let syntax = SyntaxConfig::builder().comment_delimiters("{%#", "#%}").keep_trailing_newline(true).build();
    if let Ok(syntax) = syntax {
        env.set_syntax(syntax);
    }
    env
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn known() -> Known {
        let roots = [
            ("vars", json!({ "base_url": "http://x", "floor": 32, "ratio": 0.1, "on": true, "hosts": ["a", "b"] })),
            ("plan", json!({ "name": "p" })),
            ("matrix", json!({ "os": "linux" })),
        ];
        roots.into_iter().fold(Known::default(), |known, (root, value)| known.with(root, value))
    }

    fn filled(text: &str) -> String {
        fill(text, &known()).unwrap().text.src
    }

    fn fault(text: &str) -> (String, Range<usize>, Option<String>) {
        let error = fill(text, &known()).unwrap_err().remove(0);
        (error.message, error.range, error.help)
    }

    #[test]
    fn known_names_are_filled_and_late_ones_stay() {
        assert_eq!(filled("{{ vars.base_url }}/x"), "http://x/x");
        assert_eq!(filled("{{vars.floor}} {{ vars.ratio }} {{ vars.on }}"), "32 0.1 true");
        assert_eq!(filled("${#var} {# not a comment #}\n"), "${#var} {# not a comment #}\n");
        assert_eq!(filled("{{ '}}' }}{{ vars.floor + 1 }}"), "}}33");
        let late = fill("{{ matrix.os }}-{{ steps.env-file.outputs.v }}-{{ ports.app }}", &known()).unwrap();
        assert!(late.text.late);
        assert_eq!(late.text.src, "linux-{{ steps.env-file.outputs.v }}-{{ ports.app }}");
        assert_eq!(late.late[0].parts, ["steps", "env-file", "outputs", "v"]);
        let context = json!({ "steps": { "env-file": { "outputs": { "v": "1" } } }, "ports": { "app": 80 } });
        assert_eq!(render(&late.text.src, &context).unwrap(), "linux-1-80");
    }

    #[test]
    fn a_value_is_never_read_as_a_template() {
        let known = known().with("item", json!("{{ secrets.x }} {% x"));
        let text = fill("{{ item }} {{ ports.a }}", &known).unwrap().text;
        assert_eq!(render(&text.src, &json!({ "ports": { "a": 1 } })).unwrap(), "{{ secrets.x }} {% x 1");
        assert_eq!(fill("{{ item }}", &known).unwrap().text, Text::fixed("{{ secrets.x }} {% x"));
    }

    #[test]
    fn faults_have_their_exact_place_and_a_suggestion() {
        let text = "a {{ vars.bas_url }}";
        let (message, range, help) = fault(text);
        assert_eq!(message, "unknown name `vars.bas_url`");
        assert_eq!(&text[range], "vars.bas_url");
        assert_eq!(help.as_deref(), Some("did you mean `vars.base_url`?"));
        assert_eq!(fault("{{ var.floor }}").2.as_deref(), Some("did you mean `vars.floor`?"));
        assert_eq!(fault("{{ vars.hosts }}").0, "`vars.hosts` is a list, not text");
        assert_eq!(fault("{{ vars.floor.x }}").0, "`vars.floor` is a single value and has no `x`");
        assert_eq!(fault("x {{ vars.floor").0, "`{{` is not closed");
        assert_eq!(fault("{% if x %}").0, "`{% %}` has no place in a plan");
        assert!(fault("{{ vars.floor + }}").0.starts_with("the template is malformed"));
        assert!(fault("{{ vars.floor | nope }}").0.contains("nope"));
        assert_eq!(fill("{{ vars.a }}{{ vars.b }}", &known()).unwrap_err().len(), 2);
    }

    #[test]
    fn filters_tests_and_arguments_are_no_names() {
        assert_eq!(filled("{{ vars.hosts | join(',') | upper }}"), "A,B");
        assert_eq!(filled("{{ 'y' if vars.on is defined and not vars.on is string else 'n' }}"), "y");
        assert_eq!(filled("{{ vars.hosts | join(d='-') }}"), "a-b");
    }

    #[test]
    fn template_files_have_blocks_and_say_where_they_are_wrong() {
        let context = json!({ "vars": { "hosts": ["a", "b"] }, "steps": { "x-y": { "outputs": { "v": "1" } } } });
        let text = "{% for h in vars.hosts %}{{ h }};{% endfor %}${#x} {{ steps.x-y.outputs.v }}\n\n";
        assert_eq!(render_file(text, &context).unwrap(), "a;b;${#x} 1\n\n");
        let error = render_file("ok\n  {{ vars.host }}\n", &context).unwrap_err();
        assert_eq!(error.to_string(), "line 2, column 6: `vars.host` has no value");
        assert!(render_file("{% include 'x' %}", &context).is_err());
        assert!(render_file("{% macro m() %}{% endmacro %}", &context).is_err());
    }

    #[test]
    fn a_single_expression_keeps_its_type() {
        assert_eq!(evaluate("{{ vars.hosts }}", &known()).unwrap().unwrap(), json!(["a", "b"]));
        assert!(evaluate("x{{ vars.hosts }}", &known()).is_none());
        assert!(evaluate("{{ vars.host }}", &known()).unwrap().is_err());
    }
}
