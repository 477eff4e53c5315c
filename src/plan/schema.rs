//! The JSON schema of the plan language (draft-07), made from the key tables, for editors. Knows no plan.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json, json};

use super::keys::{Key, Kind, Shape};
use super::tables;

/// The schema of a plan file, committed as `schemas/blueprint.schema.json`.
#[must_use]
pub fn blueprint() -> Json {
    let mut definitions = BTreeMap::new();
    let mut root = table(&tables::DOCUMENT, &mut definitions);
    if let Json::Object(members) = &mut root {
        let mut head = Map::new();
        head.insert("$schema".into(), json!("http://json-schema.org/draft-07/schema#"));
        head.insert("title".into(), json!("runplan blueprint"));
        head.insert("description".into(), json!("A plan: steps, dependencies and pass criteria."));
        head.append(members);
        head.insert("definitions".into(), definitions.into_iter().collect());
        return Json::Object(head);
    }
    root
}

fn table(kind: &'static Kind, definitions: &mut BTreeMap<String, Json>) -> Json {
    let properties: Map<String, Json> =
        kind.keys.iter().map(|key| (key.name.to_owned(), property(key, definitions))).collect();
    let additional = kind.open.map_or(Json::Bool(false), |open| shape(&open, definitions));
    let order: Vec<&str> = kind.keys.iter().map(|key| key.name).collect();
    json!({
        "type": "object",
        "properties": properties,
        "patternProperties": { "^x-": {} },
        "additionalProperties": additional,
        "x-tombi-table-keys-order": if order.is_empty() { "version-sort" } else { "schema" },
    })
}

fn property(key: &Key, definitions: &mut BTreeMap<String, Json>) -> Json {
    let mut schema = shape(&key.shape, definitions);
    let mut text = key.doc.to_owned();
    if !key.default.is_empty() {
        text.push_str(&format!(" Default: {}.", key.default));
    }
    if !key.example.is_empty() {
        text.push_str(&format!(" Example: `{} = {}`", key.name, key.example));
    }
    // In draft-07 nothing beside a `$ref` counts.
    if schema.get("$ref").is_some() {
        schema = json!({ "allOf": [schema] });
    }
    if let Json::Object(members) = &mut schema {
        let mut described = Map::new();
        described.insert("description".into(), Json::String(text));
        described.append(members);
        return Json::Object(described);
    }
    schema
}

fn shape(shape_of: &Shape, definitions: &mut BTreeMap<String, Json>) -> Json {
    match *shape_of {
        Shape::Text | Shape::Template | Shape::Criterion => json!({ "type": "string" }),
        Shape::Word(words) => json!({ "enum": words }),
        Shape::Int(low, high) => bounded("integer", low, high),
        Shape::Number => json!({ "type": "number" }),
        Shape::Bool => json!({ "type": "boolean" }),
        Shape::Duration => json!({ "type": "string", "pattern": "^([0-9]+(\\.[0-9]+)?(ms|s|m|h|d)\\s*)+$" }),
        Shape::Size => json!({ "type": "string", "pattern": "^([0-9]+(\\.[0-9]+)?(B|KiB|MiB|GiB)\\s*)+$" }),
        Shape::Mode => json!({ "type": "string", "pattern": "^(0o)?[0-7]{1,4}$" }),
        Shape::Date => json!({ "type": "string", "format": "date" }),
        Shape::Scalar => json!({ "type": ["string", "number", "boolean"] }),
        Shape::List(of) => json!({ "type": "array", "items": shape(of, definitions) }),
        Shape::OneOf(shapes) => {
            json!({ "anyOf": shapes.iter().map(|one| shape(one, definitions)).collect::<Vec<_>>() })
        }
        Shape::Table(kind) => {
            if !definitions.contains_key(kind.name) {
                // First the name, then the body: a kind that holds itself would never end otherwise.
                definitions.insert(kind.name.to_owned(), Json::Null);
                let body = table(kind, definitions);
                definitions.insert(kind.name.to_owned(), body);
            }
            json!({ "$ref": format!("#/definitions/{}", kind.name) })
        }
        Shape::Map(of) => json!({ "type": "object", "additionalProperties": shape(of, definitions) }),
        Shape::Any => json!({}),
    }
}

fn bounded(kind: &str, low: i64, high: i64) -> Json {
    let mut schema = json!({ "type": kind });
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
