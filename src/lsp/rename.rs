//! A new name for a step (or a variable, a pool, a secret, a port) wherever it is named in the files of a plan.

use std::collections::BTreeMap;

use lsp_server::ErrorCode;
use serde_json::{Value as Json, json};

use super::marks::{Mark, Thing};
use super::project::marks_of;
use super::session::{Answer, Asked, Refused};
use crate::plan::guide;

fn refused(message: impl Into<String>) -> Refused {
    Refused::new(ErrorCode::RequestFailed, message)
}

/// What is renamed at the cursor: a name that the plan declares.
fn at_cursor<'a>(asked: &'a Asked<'_>) -> Result<&'a Mark, Refused> {
    let nothing = || refused("there is no name of a step, variable, pool, secret or port here");
    let mark = asked.page.sheet().mark_at(asked.at).ok_or_else(nothing)?;
    let pages = asked.pages();
    if marks_of(&pages, mark.thing, &mark.name).any(|(_, mark)| mark.declares) {
        return Ok(mark);
    }
    Err(refused(format!("the plan declares no {} `{}`", mark.thing.word(), mark.name)))
}

pub(super) fn prepare(asked: &Asked<'_>) -> Answer {
    let mark = at_cursor(asked)?;
    Ok(json!({ "range": asked.page.range(&mark.at, asked.client.unit), "placeholder": mark.name }))
}

pub(super) fn rename(asked: &Asked<'_>) -> Answer {
    let mark = at_cursor(asked)?;
    let new = asked.params.get("newName").and_then(Json::as_str).unwrap_or("");
    check_form(mark.thing, new)?;
    let pages = asked.pages();
    if new != mark.name
        && let Some((page, _)) = marks_of(&pages, mark.thing, new).find(|(_, other)| other.declares)
    {
        let file = page.path.file_name().unwrap_or_default();
        return Err(refused(format!("there is a {} `{new}` in `{file}` already", mark.thing.word())));
    }
    let mut edits: BTreeMap<&str, (Json, Vec<Json>)> = BTreeMap::new();
    for (page, mark) in marks_of(&pages, mark.thing, &mark.name) {
        let edit = json!({ "range": page.range(&mark.at, asked.client.unit), "newText": new });
        edits.entry(&page.uri).or_insert((Json::Null, Vec::new())).1.push(edit);
    }
    if asked.client.document_changes {
        let list = edits.into_iter().map(
            |(uri, (version, edits))| json!({ "textDocument": { "uri": uri, "version": version }, "edits": edits }),
        );
        return Ok(json!({ "documentChanges": list.collect::<Vec<_>>() }));
    }
    let changes: serde_json::Map<String, Json> =
        edits.into_iter().map(|(uri, (_, edits))| (uri.to_owned(), Json::Array(edits))).collect();
    Ok(json!({ "changes": changes }))
}

fn check_form(thing: Thing, new: &str) -> Result<(), Refused> {
    match thing {
        Thing::Step if !guide::is_step_name(new) => {
            let near = guide::as_step_name(new).map(|near| format!(": `{near}` would be one")).unwrap_or_default();
            Err(refused(format!("`{new}` is not a step name{near}; names are lower-case letters, digits, `-` and `_`")))
        }
        Thing::Var | Thing::Port | Thing::Secret if !guide::is_identifier(new) => {
            Err(refused(format!("`{new}` is not a name of a {}: letters, digits and `_`", thing.word())))
        }
        Thing::Pool if new.is_empty() || !new.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_') => {
            Err(refused(format!("`{new}` is not a name of a pool: letters, digits, `-` and `_`")))
        }
        _ => Ok(()),
    }
}
