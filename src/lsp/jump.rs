//! From a name to where it is declared and to everything that names it, in all files of the plan; the steps of a file as
//! an outline.

use serde_json::{Value as Json, json};

use super::marks::{Mark, Thing};
use super::project::marks_of;
use super::scan::Scan;
use super::session::{Answer, Asked};

/// Name of a document symbol's kind for editors.
const FUNCTION: u32 = 12;
const VARIABLE: u32 = 13;

pub(super) fn definition(asked: &Asked<'_>) -> Answer {
    if let Some(location) = included_file(asked) {
        return Ok(location);
    }
    let Some(mark) = asked.page.sheet().mark_at(asked.at) else { return Ok(Json::Null) };
    let pages = asked.pages();
    let declared = marks_of(&pages, mark.thing, &mark.name).filter(|(_, mark)| mark.declares);
    Ok(Json::Array(declared.map(|(page, mark)| page.location(&mark.at, asked.client.unit)).collect()))
}

/// The file that `include` or `waivers` names at the cursor.
fn included_file(asked: &Asked<'_>) -> Option<Json> {
    let scan = Scan::of(&asked.page.text);
    let value = scan.values.get(scan.value_at(asked.at)?)?;
    let read = scan.read(value)?;
    if !matches!(scan.path(value).as_slice(), ["include" | "waivers"]) {
        return None;
    }
    let path = super::documents::whole(&asked.page.path.parent()?.join(&*read.text));
    let page = asked.documents.read(&path)?;
    Some(json!([page.location(&(0..0), asked.client.unit)]))
}

pub(super) fn references(asked: &Asked<'_>) -> Answer {
    let Some(mark) = asked.page.sheet().mark_at(asked.at) else { return Ok(Json::Null) };
    let with_declaration = asked.params.pointer("/context/includeDeclaration").and_then(Json::as_bool).unwrap_or(true);
    let pages = asked.pages();
    let found = marks_of(&pages, mark.thing, &mark.name).filter(|(_, mark)| with_declaration || !mark.declares);
    Ok(Json::Array(found.map(|(page, mark)| page.location(&mark.at, asked.client.unit)).collect()))
}

pub(super) fn highlight(asked: &Asked<'_>) -> Answer {
    let Some(wanted) = asked.page.sheet().mark_at(asked.at) else { return Ok(Json::Null) };
    let same = |mark: &&Mark| mark.thing == wanted.thing && mark.name == wanted.name;
    let one = |mark: &Mark| {
        let kind = if mark.declares { 3 } else { 2 };
        json!({ "range": asked.page.range(&mark.at, asked.client.unit), "kind": kind })
    };
    Ok(Json::Array(asked.page.sheet().marks.iter().filter(same).map(one).collect()))
}

/// The outline: steps, then variables, pools, secrets and ports.
pub(super) fn symbols(asked: &Asked<'_>) -> Answer {
    let (page, unit) = (&asked.page, asked.client.unit);
    let sheet = page.sheet();
    let title = |name: &str| {
        let step = asked.project.and_then(|project| {
            let good = project.good.as_ref()?;
            good.plan.steps.iter().find(|step| step.base() == name)
        });
        step.and_then(|step| step.title.clone()).unwrap_or_default()
    };
    // Titles of many steps, each looked for among all, are not worth it.
    let many = sheet.blocks.len() > 300;
    let steps = sheet.blocks.iter().map(|block| {
        let detail = match (many, block.finally) {
            (_, true) => "finally".to_owned(),
            (true, _) => String::new(),
            (false, _) => title(&block.name),
        };
        (block.name.as_str(), detail, FUNCTION, &block.whole, &block.name_at)
    });
    let others = sheet.marks.iter().filter(|mark| mark.declares && mark.thing != Thing::Step);
    let others = others.map(|mark| (mark.name.as_str(), mark.thing.word().to_owned(), VARIABLE, &mark.at, &mark.at));
    let list = steps.chain(others).map(|(name, detail, kind, whole, own)| {
        if asked.client.nested_symbols {
            let (range, selection) = (page.range(whole, unit), page.range(own, unit));
            json!({ "name": name, "detail": detail, "kind": kind, "range": range, "selectionRange": selection })
        } else {
            json!({ "name": name, "kind": kind, "location": page.location(whole, unit) })
        }
    });
    Ok(Json::Array(list.collect()))
}
