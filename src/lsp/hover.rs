//! What stands at the cursor, in words: a key by the key tables, a step by the plan and its last result, a variable's
//! value, a fact. Never a secret.

use std::ops::Range;

use serde_json::{Value as Json, json};

use super::complete::about;
use super::criterion;
use super::lens;
use super::marks::{self, Mark, Thing};
use super::project::{Good, marks_of};
use super::scan::Scan;
use super::session::{Answer, Asked};
use crate::ids::StepId;
use crate::plan::guide::{Guide, Names, Takes};
use crate::plan::{self, Need};

/// Most names in one line.
const MOST: usize = 12;

pub(super) fn hover(asked: &Asked<'_>) -> Answer {
    if asked.project.is_none() {
        return Ok(Json::Null);
    }
    let found = match asked.page.sheet().mark_at(asked.at) {
        Some(mark) => named(asked, mark).map(|text| (mark.at.clone(), text)),
        None => {
            let scan = Scan::of(&asked.page.text);
            key(&scan, asked.at).or_else(|| value(asked, &scan))
        }
    };
    Ok(found.map_or(Json::Null, |(range, text)| {
        let range = asked.page.range(&range, asked.client.unit);
        json!({ "contents": { "kind": "markdown", "value": text }, "range": range })
    }))
}

/// A key, by the tables.
fn key(scan: &Scan<'_>, at: usize) -> Option<(Range<usize>, String)> {
    let holds = |range: &Range<usize>| range.start <= at && at <= range.end;
    if let Some(head) = scan.tables.iter().find(|head| holds(&head.at)) {
        let found = head.keys.iter().position(|key| holds(&key.at))?;
        let above = head.keys[..found].iter().try_fold(marks::root(scan), |guide, key| guide.under(&key.name))?;
        let about_key = above.about(&head.keys[found].name)?;
        return Some((head.keys[found].at.clone(), about(&about_key)));
    }
    for value in &scan.values {
        let Some(found) = value.keys.iter().position(|key| holds(&key.at)) else { continue };
        let start = match value.parent {
            Some(parent) => marks::guide_of(scan, parent)?,
            None => marks::table_guide(scan, value.table)?,
        };
        let above = value.keys[..found].iter().try_fold(start, |guide, key| guide.under(&key.name))?;
        let about_key = above.about(&value.keys[found].name)?;
        return Some((value.keys[found].at.clone(), about(&about_key)));
    }
    None
}

/// A fact in a criterion.
fn value(asked: &Asked<'_>, scan: &Scan<'_>) -> Option<(Range<usize>, String)> {
    let found = scan.value_at(asked.at)?;
    let guide = marks::guide_of(scan, found).map(Guide::element)?;
    if guide.names() != Some(Names::Subject) && !guide.takes().contains(&Takes::Criterion) {
        return None;
    }
    let value = &scan.values[found];
    let read = scan.read(value)?;
    let path: Vec<String> = scan.path(value).into_iter().map(str::to_owned).collect();
    let text = criterion::fact(asked, scan, &path, &read.text, read.before(asked.at))?;
    Some((value.at.clone(), text))
}

fn named(asked: &Asked<'_>, mark: &Mark) -> Option<String> {
    let good = asked.project.and_then(|project| project.good.as_ref());
    match mark.thing {
        Thing::Step => step(asked, good?, &mark.name),
        Thing::Var => {
            let var = good?.plan.vars.get(&mark.name)?;
            let help = var.help.as_ref().map(|help| format!("\n\n{help}")).unwrap_or_default();
            Some(format!("**vars.{}** = `{}`\n\nfrom: {}{help}", mark.name, plan::shown(&var.value), var.origin))
        }
        Thing::Pool => {
            let pool = good?.plan.pools.iter().find(|pool| pool.name == mark.name)?;
            Some(format!("pool **{}**: {} at once, {}", pool.name, pool.capacity, uses(asked, mark)))
        }
        Thing::Secret => Some(format!("secret **{}**, {}", mark.name, uses(asked, mark))),
        Thing::Port => Some(format!("port **{}**: a free one, another in each run; {}", mark.name, uses(asked, mark))),
    }
}

fn uses(asked: &Asked<'_>, mark: &Mark) -> String {
    let pages = asked.pages();
    let count = marks_of(&pages, mark.thing, &mark.name).filter(|(_, mark)| !mark.declares).count();
    format!("named in {count} place{}", if count == 1 { "" } else { "s" })
}

fn step(asked: &Asked<'_>, good: &Good, base: &str) -> Option<String> {
    let plan = &good.plan;
    let ids: Vec<StepId> = plan.ids().filter(|id| plan.step(*id).base() == base).collect();
    let (first, id) = (plan.step(*ids.first()?), *ids.first()?);
    let mut text = format!("**{base}**");
    if let Some(title) = &first.title {
        text.push_str(&format!(": {}", title.replace('\n', " ")));
    }
    text.push_str(&format!("\n\n```text\n{}\n```\n", (asked.world.does)(first)));
    if ids.len() > 1 {
        let names: Vec<&str> = ids.iter().map(|id| plan.step(*id).name.as_str()).collect();
        text.push_str(&format!("\n{} steps: {}\n", ids.len(), some(&names)));
    }
    let named = |needs: &[Need]| -> Vec<&str> { needs.iter().map(|need| plan.step(need.step).name.as_str()).collect() };
    for (word, needs) in [("needs", &first.needs), ("after", &first.after)] {
        if !needs.is_empty() {
            text.push_str(&format!("\n{word}: {}\n", some(&named(needs))));
        }
    }
    if let Some(graph) = &good.graph {
        let mut later: Vec<&str> = graph.next(id).map(|(next, _)| plan.step(next).name.as_str()).collect();
        later.sort_unstable();
        later.dedup();
        if !later.is_empty() {
            text.push_str(&format!("\nneeded by: {}\n", some(&later)));
        }
        let waves = graph.waves(plan);
        if let Some(wave) = waves.iter().position(|wave| wave.contains(&id)) {
            text.push_str(&format!("\nwave {} of {}", wave + 1, waves.len()));
        }
    }
    if let Some(last) = lens::of_step(&(asked.world.last)(plan), base) {
        text.push_str(&format!("\n\n{}", lens::told(last)));
    }
    Some(text)
}

fn some(names: &[&str]) -> String {
    let shown: Vec<String> = names.iter().take(MOST).map(|name| format!("`{name}`")).collect();
    let more = names.len().saturating_sub(MOST);
    if more > 0 { format!("{} and {more} more", shown.join(", ")) } else { shown.join(", ") }
}
