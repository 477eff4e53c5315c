//! `[vars]`: types, bounds and where a value comes from: `--var`, then `--var-file`, then `RUNPLAN_VAR_X`, then the default.
//! Knows no step.

use std::collections::{BTreeMap, HashMap};

use regex::Regex;
use serde_json::Value as Json;

use super::diags::Diags;
use super::error::Diagnostic;
use super::names::is_identifier;
use super::tables;
use super::template::{nearest, words};
use super::tree::{Entry, Node, Table};
use super::{LoadOptions, Var, source};
use crate::facts::{Num, Unit, Value};
use crate::place::Place;

/// What a variable holds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Type {
    Text,
    Integer,
    Number,
    Bool,
    List,
}

impl Type {
    fn of(word: &str) -> Option<Self> {
        Some(match word {
            "string" => Self::Text,
            "integer" => Self::Integer,
            "number" => Self::Number,
            "boolean" => Self::Bool,
            "list" => Self::List,
            _ => return None,
        })
    }

    fn of_value(value: &Value) -> Self {
        match value {
            Value::Num(num, _) if num.den == 1 => Self::Integer,
            Value::Num(..) => Self::Number,
            Value::Bool(_) => Self::Bool,
            Value::List(_) => Self::List,
            _ => Self::Text,
        }
    }

    fn want(self) -> &'static str {
        match self {
            Self::Text => "a string",
            Self::Integer => "a whole number",
            Self::Number => "a number",
            Self::Bool => "true or false",
            Self::List => "a list",
        }
    }

    fn holds(self, value: &Value) -> bool {
        let own = Self::of_value(value);
        own == self || (self == Self::Number && own == Self::Integer)
    }

    /// A value from the command line or the environment.
    fn read(self, text: &str) -> Option<Value> {
        Some(match self {
            Self::Text => Value::text(text),
            Self::Integer => Value::int(text.trim().parse::<i64>().ok()?),
            Self::Number => Value::Num(Num::decimal(text.trim())?, Unit::One),
            Self::Bool => Value::Bool(text.trim().parse().ok()?),
            Self::List if text.trim().is_empty() => Value::List(Vec::new()),
            Self::List => Value::List(text.split(',').map(|item| Value::text(item.trim())).collect()),
        })
    }
}

/// A value given from outside.
enum Given {
    /// Still to be read by the variable's type.
    Text(String),
    /// From a TOML file.
    Value(Value),
}

/// The value of a node.
pub(super) fn value_of(node: Node<'_>) -> Option<Value> {
    if node.value.is_list() {
        return Some(Value::List(node.items().filter_map(value_of).collect()));
    }
    match (node.text(), node.bool(), node.number()) {
        (Some(text), ..) => Some(Value::text(text)),
        (_, Some(on), _) => Some(Value::Bool(on)),
        (.., Some(num)) => Some(Value::Num(num, Unit::One)),
        _ => None,
    }
}

/// A value as templates and JSON see it.
pub(super) fn json_of(value: &Value) -> Json {
    match value {
        Value::Bool(on) => Json::Bool(*on),
        Value::Text(text) => Json::String(text.clone()),
        Value::List(items) => Json::Array(items.iter().map(json_of).collect()),
        Value::Num(num, _) => match i64::try_from(num.num) {
            Ok(int) if num.den == 1 => Json::from(int),
            _ => serde_json::Number::from_f64(num.to_f64()).map_or(Json::Null, Json::Number),
        },
        _ => Json::Null,
    }
}

/// Canonical text of a value, as it stands in records.
pub(super) fn shown(value: &Value) -> String {
    match json_of(value) {
        Json::String(text) => text,
        json => json.to_string(),
    }
}

/// Resolves all declared variables.
pub(super) fn resolve(tables: &[Table<'_>], options: &LoadOptions<'_>, diags: &mut Diags) -> BTreeMap<String, Var> {
    let mut declared: HashMap<&str, Place> = HashMap::new();
    let mut vars = BTreeMap::new();
    let mut given = outside(options, diags);
    for entry in tables.iter().flat_map(|table| table.entries()) {
        if let Some(first) = declared.get(entry.key) {
            let fault = Diagnostic::error(
                "duplicate-name",
                entry.key_place,
                format!("variable `{}` is declared twice", entry.key),
            );
            diags.push(fault.related(*first, "first declared here").help("remove or rename one of the two"));
            continue;
        }
        declared.insert(entry.key, entry.key_place);
        if !is_identifier(entry.key) {
            let fault =
                Diagnostic::error("bad-name", entry.key_place, format!("`{}` is not a variable name", entry.key));
            diags.push(fault.help("names are letters, digits and `_`, so that `{{ vars.NAME }}` can say them"));
            continue;
        }
        let from_outside = given.remove(entry.key);
        let var = one(entry, from_outside, options, diags);
        vars.insert(entry.key.to_owned(), var);
    }
    let mut unknown: Vec<_> = given.into_iter().collect();
    unknown.sort_by(|a, b| a.0.cmp(&b.0));
    for (name, (_, origin)) in unknown {
        let fault =
            Diagnostic::global("unknown-var", format!("{origin} names `{name}`, which the plan does not declare"));
        let names: Vec<&str> = vars.keys().map(String::as_str).collect();
        diags.push(match nearest(&name, names.iter().copied()) {
            Some(near) => fault.help(format!("did you mean `{near}`?")),
            None if names.is_empty() => fault.help("the plan has no `[vars]`"),
            None => fault.help(format!("the plan has {}", words(&names))),
        });
    }
    vars
}

/// Values from `--var` and `--var-file`, with where each comes from. The later one of a kind wins.
fn outside(options: &LoadOptions<'_>, diags: &mut Diags) -> HashMap<String, (Given, String)> {
    let mut given = HashMap::new();
    for path in &options.var_files {
        match source::values_of(path) {
            Ok(values) => {
                let root = Table::root(&values, &tables::DOCUMENT);
                for entry in root.entries() {
                    match value_of(entry.node) {
                        Some(value) => {
                            given.insert(entry.key.to_owned(), (Given::Value(value), format!("--var-file {path}")));
                        }
                        None => diags.push(
                            Diagnostic::global(
                                "wrong-type",
                                format!("`{}` in `{path}` is {}", entry.key, entry.node.type_name()),
                            )
                            .help("values are strings, numbers, booleans or lists of them"),
                        ),
                    }
                }
            }
            Err(fault) => diags.push(*fault),
        }
    }
    for (name, value) in &options.vars {
        given.insert(name.clone(), (Given::Text(value.clone()), "--var".to_owned()));
    }
    given
}

fn one(entry: Entry<'_>, given: Option<(Given, String)>, options: &LoadOptions<'_>, diags: &mut Diags) -> Var {
    let table = entry.node.table(&tables::VAR);
    let get = |key: &str| table.and_then(|table| table.get(key));
    let default_node = if table.is_some() { get("default") } else { Some(entry.node) };
    let today = get("today").and_then(|node| today(node, default_node.is_some(), options, diags));
    let (default_node, default) = match today {
        Some(day) => (get("today"), Some(day)),
        None => (default_node, default_node.and_then(value_of)),
    };
    let help = get("help").and_then(Node::text).map(str::to_owned);
    let required = get("required").and_then(Node::bool).unwrap_or(false);
    let kind = get("type").and_then(Node::text).and_then(Type::of);
    let first_word = get("enum").and_then(|node| node.items().find_map(value_of));
    let kind = kind.or_else(|| default.as_ref().or(first_word.as_ref()).map(Type::of_value));
    // A bound alone says that it is a number.
    let kind = kind.unwrap_or(if get("min").or_else(|| get("max")).is_some() { Type::Number } else { Type::Text });
    let rules = Rules::read(entry.key, table, diags);
    let name = entry.key;
    if let (Some(node), Some(value)) = (default_node, &default) {
        if kind.holds(value) {
            if let Err(reason) = rules.check(value) {
                let fault = Diagnostic::error("var-out-of-range", node.place, format!("default of `{name}` {reason}"));
                diags.push(fault.help("change the default, or what the variable allows"));
            }
        } else {
            let message =
                format!("default of `{name}` is {}, its type is {}", Type::of_value(value).want(), kind.want());
            diags.push(Diagnostic::error("wrong-type", node.place, message).help("change the default, or `type`"));
        }
    }
    let variable = format!("RUNPLAN_VAR_{}", name.to_uppercase());
    let given = given.or_else(|| (options.env)(&variable).map(|text| (Given::Text(text), variable.clone())));
    let (value, origin) = match given {
        None => (default, if get("today").is_some() { "the day of the run" } else { "default" }.to_owned()),
        Some((given, origin)) => {
            let (value, wrote) = match given {
                Given::Text(text) => (kind.read(&text), text),
                Given::Value(value) => (Some(value.clone()).filter(|value| kind.holds(value)), shown(&value)),
            };
            let reason = match &value {
                None => Some(format!("is not {}", kind.want())),
                Some(value) => rules.check(value).err(),
            };
            if let Some(reason) = reason {
                let message = format!("`{wrote}` for `{name}` (from {origin}) {reason}");
                diags.push(Diagnostic::error("var-out-of-range", entry.key_place, message).label("declared here"));
            }
            (value, origin)
        }
    };
    let value = value.unwrap_or_else(|| {
        let misspelt = table.is_some_and(|table| table.misspelt("default"));
        if (required || default_node.is_none()) && !misspelt {
            let missing = Diagnostic::error("var-missing", entry.key_place, format!("variable `{name}` has no value"));
            let default = if required { "" } else { "; or declare a `default`" };
            diags.push(missing.help(format!("give one: `--var {name}=…` or `{variable}=…`{default}")));
        }
        Value::text("")
    });
    Var { value, place: entry.key_place, help, origin }
}

/// The day of the run in a form of the plan's own (`%Y%m%d`).
fn today(node: Node<'_>, has_default: bool, options: &LoadOptions<'_>, diags: &mut Diags) -> Option<Value> {
    let format = node.text()?;
    if has_default {
        let fault = Diagnostic::error("two-keys", node.place, "the variable has a `default` and is the day of the run");
        diags.push(fault.help("remove one of the two; `--var` gives another value in either case"));
        return None;
    }
    let day: jiff::civil::Date = options.today.parse().ok()?;
    match jiff::fmt::strtime::format(format, day) {
        Ok(text) if text != format => Some(Value::text(text)),
        _ => {
            let fault = Diagnostic::error("bad-format", node.place, "`today` is no form of a day".to_owned());
            diags.push(fault.help("such as `%Y-%m-%d` or `%Y%m%d`, as `date` of the shell takes it; no time of day"));
            None
        }
    }
}

/// What a value must keep to.
#[derive(Default)]
struct Rules {
    allowed: Vec<Value>,
    min: Option<Num>,
    max: Option<Num>,
    pattern: Option<Regex>,
}

impl Rules {
    fn read(name: &str, table: Option<Table<'_>>, diags: &mut Diags) -> Self {
        let Some(table) = table else { return Self::default() };
        let allowed = table.get("enum").map(|node| node.items().filter_map(value_of).collect()).unwrap_or_default();
        let (min, max) = (table.get("min").and_then(Node::number), table.get("max").and_then(Node::number));
        if let (Some(low), Some(high)) = (min, max)
            && low > high
        {
            let message = format!("`min` of `{name}` is above its `max`");
            diags.push(Diagnostic::error("out-of-range", table.key_place("min"), message).help("swap the two"));
        }
        let pattern = table.get("pattern").and_then(|node| {
            let compiled = Regex::new(&format!("^(?:{})$", node.text()?));
            compiled.map_err(|error| diags.push(bad_regex("pattern", node.place, &error))).ok()
        });
        Self { allowed, min, max, pattern }
    }

    fn check(&self, value: &Value) -> Result<(), String> {
        if !self.allowed.is_empty() && !self.allowed.contains(value) {
            let allowed: Vec<String> = self.allowed.iter().map(shown).collect();
            let allowed: Vec<&str> = allowed.iter().map(String::as_str).collect();
            return Err(format!("is none of {}", words(&allowed)));
        }
        if let Value::Num(num, _) = value {
            let show = |bound: &Num| shown(&Value::Num(*bound, Unit::One));
            if let Some(min) = self.min.as_ref().filter(|min| num < min) {
                return Err(format!("is below the minimum {}", show(min)));
            }
            if let Some(max) = self.max.as_ref().filter(|max| num > max) {
                return Err(format!("is over the maximum {}", show(max)));
            }
        }
        match (&self.pattern, value) {
            (Some(pattern), Value::Text(text)) if !pattern.is_match(text) => {
                let pattern = pattern.as_str().trim_start_matches("^(?:").trim_end_matches(")$");
                Err(format!("does not match `{pattern}`"))
            }
            _ => Ok(()),
        }
    }
}

/// A regular expression that does not compile.
pub(super) fn bad_regex(key: &str, place: Place, error: &regex::Error) -> Diagnostic {
    let why = error.to_string();
    let why = why.lines().last().unwrap_or("").trim().trim_start_matches("error: ").to_owned();
    Diagnostic::error("bad-regex", place, format!("`{key}` is not a regular expression"))
        .label(why)
        .help("a character that means itself takes a `\\` before it; look-around and back-references do not exist")
}
