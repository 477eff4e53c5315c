//! The JSON schema of the plan language (draft-07), made from the key tables, for editors. Knows no plan.
//!
//! Whatever a key takes stands at the key itself: types side by side, each keyword of the schema counts for its own type.
//! A choice between subschemas would make of each fault within one of them "none of these", and a reference would lose
//! what the key says of itself. Only the step, which is large, stands in one place.

mod rules;
pub(super) mod words;

use serde_json::{Map, Value as Json, json};

use self::rules::{FORMS, Form, RULES, Rule, TOGETHER};
use super::keys::{Key, Kind, Shape};
use super::tables;

/// A name, not an address: the schema is part of the program, and `runplan schema` writes it.
const ID: &str = "urn:runplan:blueprint:1";

/// The schema of a plan file, committed as `schemas/blueprint.schema.json`.
#[must_use]
pub fn blueprint() -> Json {
    let mut schema = json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$id": ID,
        "title": "runplan blueprint",
        "description": "A plan: steps, dependencies and pass criteria.",
        "x-tombi-toml-version": "v1.1.0",
    });
    merge(&mut schema, table(&tables::DOCUMENT));
    let mut step = json!({ "description": "A step: one action, what it waits for, what it has to prove." });
    merge(&mut step, table(&tables::STEP));
    schema["definitions"] = json!({ tables::STEP.name: step });
    schema
}

/// Puts the members of one object into another; what is there stays.
fn merge(into: &mut Json, from: Json) {
    if let (Json::Object(into), Json::Object(from)) = (into, from) {
        for (key, value) in from {
            into.entry(key).or_insert(value);
        }
    }
}

fn table(kind: &'static Kind) -> Json {
    let properties: Map<String, Json> =
        kind.keys.iter().map(|key| (key.name.to_owned(), property(kind, key))).collect();
    let mut schema = json!({ "type": "object", "properties": properties, "patternProperties": { "^x-": {} } });
    schema["additionalProperties"] = kind.open.map_or(Json::Bool(false), |open| {
        let mut value = shape(&open, "");
        forms(&mut value, kind.name, "*");
        value
    });
    // The axes of a matrix have an order of the author's.
    if kind.open.is_none() {
        schema["x-tombi-table-keys-order"] = json!("schema");
    }
    forms(&mut schema, kind.name, "");
    let known = RULES.iter().filter(|(name, _)| *name == kind.name);
    known.flat_map(|(_, rules)| *rules).for_each(|rule| ruled(&mut schema, rule));
    let first: Vec<&str> = known_first(kind);
    if !first.is_empty() {
        schema["x-taplo"] = json!({ "initKeys": first });
    }
    schema
}

/// Keys that an editor begins a table with: those that it cannot do without.
fn known_first(kind: &Kind) -> Vec<&'static str> {
    let rules = RULES.iter().filter(|(name, _)| *name == kind.name).flat_map(|(_, rules)| *rules);
    rules.filter_map(|rule| if let Rule::Needs(key) = rule { Some(*key) } else { None }).collect()
}

fn push(schema: &mut Json, list: &str, value: Json) {
    match schema.get_mut(list) {
        Some(Json::Array(items)) => items.push(value),
        _ => schema[list] = json!([value]),
    }
}

fn ruled(schema: &mut Json, rule: &Rule) {
    match *rule {
        Rule::Needs(key) => push(schema, "required", json!(key)),
        Rule::One(keys) => {
            ruled(schema, &Rule::Any(keys));
            for (at, key) in keys.iter().enumerate() {
                let later = keys[at + 1..].iter().filter(|other| (*key, **other) != TOGETHER);
                later.for_each(|other| apart(schema, key, other));
            }
        }
        Rule::Any(keys) => schema["anyOf"] = keys.iter().map(|key| json!({ "required": [key] })).collect(),
        Rule::Apart(key, other) => apart(schema, key, other),
        Rule::Empty(key, other) => schema["dependencies"][key]["properties"][other] = json!({ "maxItems": 0 }),
        Rule::Behind(key, [one]) => schema["dependencies"][key] = json!([one]),
        Rule::Behind(key, many) => {
            let any: Vec<Json> = many.iter().map(|one| json!({ "required": [one] })).collect();
            schema["dependencies"][key] = json!({ "anyOf": any });
        }
        Rule::Only(key, other, word) => schema["dependencies"][key]["properties"][other] = json!({ "const": word }),
    }
}

fn apart(schema: &mut Json, key: &str, other: &str) {
    schema["dependencies"][key]["properties"][other] = Json::Bool(false);
}

/// What is said of the values of a key.
fn forms(schema: &mut Json, kind: &str, key: &str) {
    for form in FORMS.iter().filter(|known| (known.0, known.1) == (kind, key)).flat_map(|known| known.2) {
        match *form {
            Form::Text(pattern) => schema["pattern"] = json!(pattern),
            Form::Each(pattern) => schema["items"]["pattern"] = json!(pattern),
            Form::Names(pattern) => schema["propertyNames"] = json!({ "pattern": pattern }),
            Form::Unique => schema["uniqueItems"] = json!(true),
            Form::Filled => {
                for (of, least) in [("array", "minItems"), ("object", "minProperties")] {
                    if types(schema).iter().any(|known| known == of) {
                        schema[least] = json!(1);
                    }
                }
            }
            Form::Within(low, high) => (schema["minimum"], schema["maximum"]) = (json!(low), json!(high)),
            Form::EachFrom(low) => schema["items"]["minimum"] = json!(low),
            Form::Exactly(number) => {
                schema["enum"] = json!([number]);
                ["minimum", "maximum"]
                    .iter()
                    .for_each(|bound| drop(schema.as_object_mut().map(|all| all.remove(*bound))));
            }
        }
    }
}

/// The types that a schema allows.
fn types(schema: &Json) -> Vec<String> {
    match schema.get("type") {
        Some(Json::String(one)) => vec![one.clone()],
        Some(Json::Array(many)) => many.iter().filter_map(|one| one.as_str().map(str::to_owned)).collect(),
        _ => Vec::new(),
    }
}

fn property(kind: &'static Kind, key: &Key) -> Json {
    let mut schema = shape(&key.shape, key.name);
    forms(&mut schema, kind.name, key.name);
    let mut described = json!({ "description": described(key) });
    let examples = examples(key);
    if !examples.is_empty() {
        described["examples"] = Json::Array(examples);
    }
    if let Some(default) = (!key.default.is_empty()).then(|| value(key.default)).flatten() {
        described["default"] = default;
    }
    merge(&mut described, schema);
    described
}

/// Hover text: what it means, how it is written, what its words mean, what holds without it, an example.
fn described(key: &Key) -> String {
    let mut text = key.doc.to_owned();
    let within = unit(&key.shape);
    if !within.is_empty() {
        text.push_str(&format!(" {within}"));
    }
    if !key.default.is_empty() {
        text.push_str(&format!(" Default: {}.", key.default));
    }
    if !key.example.is_empty() {
        text.push_str(&format!(" Example: `{} = {}`", key.name, key.example));
    }
    for word in listed(&key.shape) {
        let meaning = words::meaning(key.name, word).unwrap_or_default();
        text.push_str(&format!("\n- `{word}`: {meaning}"));
    }
    text
}

/// How a value with a unit is written.
fn unit(shape: &Shape) -> &'static str {
    match shape {
        Shape::Duration => "A duration: a number with `ms`, `s`, `m`, `h` or `d`, such as `\"30s\"` or `\"1m30s\"`.",
        Shape::Size => "A size: a number with `B`, `KiB`, `MiB` or `GiB`, such as `\"64KiB\"`.",
        Shape::Mode => "A file mode in octal, such as `\"0600\"`.",
        Shape::Criterion | Shape::OneOf([Shape::Criterion, ..]) => "A criterion is a text such as `\"exit == 0\"`.",
        _ => "",
    }
}

/// The words among what a key takes.
fn listed(shape: &Shape) -> Vec<&'static str> {
    match *shape {
        Shape::Word(words) => words.to_vec(),
        Shape::List(of) => listed(of),
        Shape::OneOf(shapes) => shapes.iter().flat_map(listed).collect(),
        _ => Vec::new(),
    }
}

fn examples(key: &Key) -> Vec<Json> {
    match (value(key.example), &key.shape) {
        (Some(example), _) => vec![example],
        (None, Shape::Duration) => vec![json!("30s"), json!("1m30s")],
        (None, Shape::Size) => vec![json!("64KiB"), json!("4MiB")],
        (None, Shape::Mode) => vec![json!("0600")],
        (None, Shape::Criterion | Shape::OneOf([Shape::Criterion, ..])) => vec![json!(["exit == 0"])],
        _ => Vec::new(),
    }
}

/// What TOML reads; words for people are none.
fn value(text: &str) -> Option<Json> {
    if text.is_empty() {
        return None;
    }
    let line = format!("value = {text}");
    let parsed = toml::de::DeTable::parse(&line).ok()?;
    json_of(parsed.get_ref().iter().next()?.1.get_ref())
}

fn json_of(value: &toml::de::DeValue<'_>) -> Option<Json> {
    use toml::de::DeValue;
    Some(match value {
        DeValue::String(text) => json!(text),
        DeValue::Boolean(on) => json!(on),
        DeValue::Integer(number) => json!(i64::from_str_radix(number.as_str(), number.radix()).ok()?),
        DeValue::Float(number) => json!(number.as_str().parse::<f64>().ok()?),
        DeValue::Array(items) => Json::Array(items.iter().map(|item| json_of(item.get_ref())).collect::<Option<_>>()?),
        DeValue::Table(table) => {
            let member = |(key, value): (&toml::Spanned<toml::de::DeString<'_>>, &toml::Spanned<DeValue<'_>>)| {
                Some((key.get_ref().to_string(), json_of(value.get_ref())?))
            };
            Json::Object(table.iter().map(member).collect::<Option<_>>()?)
        }
        DeValue::Datetime(_) => return None,
    })
}

/// What a value of that shape is; `key` is whose words are explained.
fn shape(shape_of: &Shape, key: &str) -> Json {
    match *shape_of {
        Shape::Text | Shape::Template | Shape::Criterion => json!({ "type": "string" }),
        Shape::Word(words) => {
            let meanings: Vec<&str> = words.iter().filter_map(|word| words::meaning(key, word)).collect();
            json!({ "type": "string", "enum": words, "x-taplo": { "docs": { "enumValues": meanings } } })
        }
        Shape::Int(low, high) => bounded(low, high),
        Shape::Number => json!({ "type": "number" }),
        Shape::Bool => json!({ "type": "boolean" }),
        Shape::Duration => timed("ms|s|m|h|d"),
        Shape::Size => timed("B|KiB|MiB|GiB"),
        Shape::Mode => json!({ "type": "string", "pattern": "^(0o)?[0-7]{1,4}$" }),
        Shape::Date => json!({ "type": "string", "format": "date" }),
        Shape::Scalar => json!({ "type": ["string", "number", "boolean"] }),
        Shape::List(of) => json!({ "type": "array", "items": shape(of, key) }),
        Shape::OneOf(shapes) => one_of(shapes, key),
        // The step holds itself in no way, so there is an end to it.
        Shape::Table(kind) if kind.name == tables::STEP.name => {
            json!({ "$ref": format!("#/definitions/{}", kind.name) })
        }
        Shape::Table(kind) => table(kind),
        // Free names stay in the order of the author.
        Shape::Map(of) => json!({ "type": "object", "additionalProperties": shape(of, key) }),
        Shape::Any => json!({}),
    }
}

fn timed(units: &str) -> Json {
    let number = "([0-9]+\\.?[0-9]*|\\.[0-9]+)";
    json!({ "type": "string", "pattern": format!("^\\s*({number}({units})\\s*)+$") })
}

/// One schema for all: the types side by side. Words would bind the other types too, so they are a choice.
fn one_of(shapes: &'static [Shape], key: &str) -> Json {
    let all: Vec<Json> = shapes.iter().map(|one| shape(one, key)).collect();
    if shapes.iter().any(|one| matches!(one, Shape::Word(_))) {
        return json!({ "anyOf": all });
    }
    let mut kinds: Vec<String> = Vec::new();
    for kind in all.iter().flat_map(types) {
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    // A whole number is a number.
    if kinds.iter().any(|kind| kind == "number") {
        kinds.retain(|kind| kind != "integer");
    }
    let mut whole = json!({ "type": kinds });
    all.into_iter().for_each(|one| merge(&mut whole, one));
    whole
}

fn bounded(low: i64, high: i64) -> Json {
    let mut schema = json!({ "type": "integer" });
    if low != i64::MIN {
        schema["minimum"] = json!(low);
    }
    if high != i64::MAX {
        schema["maximum"] = json!(high);
    }
    schema
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_schema_is_the_generated_one() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas/blueprint.schema.json");
        let text = format!("{}\n", serde_json::to_string_pretty(&blueprint()).unwrap());
        if std::env::var_os("UPDATE_SCHEMA").is_some() {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, &text).unwrap();
        }
        let committed = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(committed == text, "run the tests with UPDATE_SCHEMA=1 and commit {}", path.display());
    }

    /// Every key of every table, with its kind.
    fn keys() -> Vec<(&'static Kind, &'static Key)> {
        let found = crate::plan::reference::kinds();
        found.into_iter().flat_map(|kind| kind.keys.iter().map(move |key| (kind, key))).collect()
    }

    #[test]
    fn every_word_is_explained() {
        let mut seen = 0;
        for (kind, key) in keys() {
            for word in listed(&key.shape) {
                let meaning = words::meaning(key.name, word);
                assert!(meaning.is_some_and(|text| text.ends_with('.')), "{}.{}: {word}", kind.name, key.name);
                seen += 1;
            }
        }
        assert!(seen > 50, "{seen}");
    }

    #[test]
    fn every_rule_and_form_is_of_a_key_that_there_is() {
        let all = keys();
        let there = |kind: &str, key: &str| all.iter().any(|(k, known)| k.name == kind && known.name == key);
        for (kind, rules) in RULES {
            for rule in rules {
                let named: Vec<&str> = match *rule {
                    Rule::Needs(key) => vec![key],
                    Rule::One(keys) | Rule::Any(keys) => keys.to_vec(),
                    Rule::Apart(a, b) | Rule::Empty(a, b) | Rule::Only(a, b, _) => vec![a, b],
                    Rule::Behind(key, others) => [&[key], others].concat(),
                };
                named.iter().for_each(|key| assert!(there(kind, key), "{kind}.{key}"));
            }
        }
        for (kind, key, _) in FORMS {
            assert!(["", "*"].contains(&key) || there(kind, key), "{kind}.{key}");
        }
    }

    #[test]
    fn every_example_of_the_tables_is_toml() {
        for (kind, key) in keys().into_iter().filter(|(_, key)| !key.example.is_empty()) {
            assert!(value(key.example).is_some(), "{}.{}: {}", kind.name, key.name, key.example);
        }
    }

    #[test]
    fn every_reference_has_a_definition() {
        let schema = blueprint();
        let text = schema.to_string();
        for part in text.split("#/definitions/").skip(1) {
            let name = part.split('"').next().unwrap();
            assert!(schema["definitions"][name].is_object(), "{name}");
        }
    }
}
