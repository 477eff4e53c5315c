//! What may be written at the cursor: keys, ids of steps that would close no circle, words, pools, tags, names in
//! templates; criteria are `criterion`'s.

use std::collections::{BTreeSet, HashSet};
use std::ops::Range;

use serde_json::{Value as Json, json};

use super::criterion;
use super::marks::{self, Thing};
use super::scan::{Form, Scan};
use super::session::{Answer, Asked};
use super::spot::{Spot, spot};
use crate::graph;
use crate::ids::StepId;
use crate::plan::guide::{About, Guide, Names, Takes};

/// Kinds of completion for editors.
pub(super) const FUNCTION: u32 = 3;
pub(super) const FIELD: u32 = 5;
const VARIABLE: u32 = 6;
const MODULE: u32 = 9;
const PROPERTY: u32 = 10;
pub(super) const UNIT: u32 = 11;
pub(super) const ENUM: u32 = 20;
const REFERENCE: u32 = 18;
pub(super) const OPERATOR: u32 = 24;

/// Most that are offered at once.
const MOST: usize = 200;

/// Something that may be written.
#[derive(Clone, Debug, Default)]
pub(super) struct Item {
    pub(super) label: String,
    /// What is inserted, with `$0` and `${1:…}` as places to fill in; the label if it is empty.
    pub(super) insert: String,
    pub(super) kind: u32,
    pub(super) detail: String,
    pub(super) doc: String,
}

impl Item {
    pub(super) fn new(label: impl Into<String>, kind: u32, detail: impl Into<String>) -> Self {
        Self { label: label.into(), kind, detail: detail.into(), ..Self::default() }
    }

    pub(super) fn insert(mut self, insert: impl Into<String>) -> Self {
        self.insert = insert.into();
        self
    }

    pub(super) fn doc(mut self, doc: impl Into<String>) -> Self {
        self.doc = doc.into();
        self
    }
}

/// Items, and what they take the place of.
pub(super) struct Found {
    pub(super) range: Range<usize>,
    pub(super) items: Vec<Item>,
    /// They depend on what is typed next.
    pub(super) partial: bool,
}

impl Found {
    fn whole(range: Range<usize>, items: Vec<Item>) -> Self {
        Self { range, items, partial: false }
    }
}

pub(super) fn completion(asked: &Asked<'_>) -> Answer {
    let sheet = asked.page.sheet();
    if asked.project.is_none() && !sheet.is_blank {
        return Ok(Json::Null);
    }
    let scan = Scan::of(&asked.page.text);
    let by_space = asked.params.pointer("/context/triggerCharacter").and_then(Json::as_str) == Some(" ");
    let found = match spot(&scan, asked.at) {
        Spot::Header { before, typed } => Some(Found::whole(typed, headers(asked, &before))),
        Spot::Key { .. } | Spot::Nowhere if by_space => None,
        Spot::Key { guide, typed, taken, path, at_top } => {
            let named = asked.page.text[typed.end..].trim_start_matches([' ', '\t']).starts_with('=');
            let keys = keys(asked, guide, &taken, &path, at_top, named);
            Some(Found::whole(typed, keys))
        }
        Spot::Text(value) => text(asked, &scan, value),
        Spot::Bare { guide, typed, path, in_list } => {
            Some(Found::whole(typed, values(asked, &scan, guide, &path, in_list)))
        }
        Spot::Nowhere => None,
    };
    let Some(Found { range, mut items, mut partial }) = found else { return Ok(Json::Null) };
    if items.len() > MOST {
        fewer(&mut items, asked.page.text.get(range.start..asked.at).unwrap_or(""));
        partial = true;
    }
    let range = asked.page.range(&range, asked.client.unit);
    let list: Vec<Json> = items.into_iter().enumerate().map(|(at, item)| shown(asked, item, &range, at)).collect();
    Ok(json!({ "isIncomplete": partial, "items": list }))
}

/// Of very many, those that what is typed may stand for, what begins with it first; the client asks again with more.
fn fewer(items: &mut Vec<Item>, typed: &str) {
    let typed = typed.trim_start_matches(['"', '\'']).to_lowercase();
    let may_stand = |item: &Item| {
        let mut wanted = typed.chars();
        let mut next = wanted.next();
        for c in item.label.chars().flat_map(char::to_lowercase) {
            if next == Some(c) {
                next = wanted.next();
            }
        }
        next.is_none()
    };
    items.retain(may_stand);
    items.sort_by_key(|item| !item.label.to_lowercase().trim_start_matches(['"', '[']).starts_with(&typed));
    items.truncate(MOST);
}

fn shown(asked: &Asked<'_>, item: Item, range: &Json, at: usize) -> Json {
    let snippet = item.insert.contains('$');
    let new = if item.insert.is_empty() { escape(&item.label, false) } else { item.insert };
    let new = if snippet && !asked.client.snippets { plain(&new) } else { new };
    let mut json = json!({
        "label": item.label,
        "kind": item.kind,
        "textEdit": { "range": range, "newText": new },
        "sortText": format!("{at:05}"),
    });
    if snippet && asked.client.snippets {
        json["insertTextFormat"] = json!(2);
    }
    if !item.detail.is_empty() {
        json["detail"] = json!(item.detail);
    }
    if !item.doc.is_empty() {
        json["documentation"] = json!({ "kind": "markdown", "value": item.doc });
    }
    json
}

/// A text as it stands in a snippet.
pub(super) fn escape(text: &str, snippet: bool) -> String {
    if !snippet {
        return text.to_owned();
    }
    text.replace('\\', "\\\\").replace('$', "\\$").replace('}', "\\}")
}

/// A snippet for a client that has none: places to fill in hold what stands in them.
fn plain(snippet: &str) -> String {
    let mut out = String::new();
    let mut rest = snippet;
    while let Some(at) = rest.find(['$', '\\']) {
        out.push_str(&rest[..at]);
        let marked = &rest[at + 1..];
        rest = if rest[at..].starts_with('\\') {
            out.extend(marked.chars().next());
            marked.get(marked.chars().next().map_or(0, char::len_utf8)..).unwrap_or("")
        } else if let Some((inner, behind)) = marked.strip_prefix('{').and_then(|inner| inner.split_once('}')) {
            out.push_str(inner.split_once(':').map_or("", |(_, words)| words));
            behind
        } else {
            marked.trim_start_matches(|c: char| c.is_ascii_digit())
        };
    }
    out.push_str(rest);
    out
}

/// What the tables say of a key, for a person.
pub(super) fn about(key: &About) -> String {
    let mut doc = format!("{}\n\nTakes {}.", key.doc, key.takes);
    if !key.default.is_empty() {
        doc.push_str(&format!(" Default: {}.", key.default));
    }
    if !key.example.is_empty() {
        doc.push_str(&format!("\n\n```toml\n{} = {}\n```", key.name, key.example));
    }
    doc
}

/// Names of tables in `[ … ]`.
fn headers(asked: &Asked<'_>, before: &[String]) -> Vec<Item> {
    let guide = before.iter().try_fold(Guide::document(), |guide, name| guide.under(name));
    let Some(guide) = guide else { return Vec::new() };
    if let [only] = before
        && (only == "steps" || only == "finally")
    {
        let blocks = asked.page.sheet().blocks.iter().map(|block| block.name.as_str());
        let known: BTreeSet<&str> = blocks.collect();
        return known.into_iter().map(|name| Item::new(name, REFERENCE, "step")).collect();
    }
    let tables = guide.keys().into_iter().filter(|key| key.is_table || key.takes.contains("a table"));
    tables.map(|key| Item::new(key.name, MODULE, key.takes.clone()).doc(about(&key))).collect()
}

fn keys(
    asked: &Asked<'_>,
    guide: Option<Guide>,
    taken: &[String],
    path: &[String],
    at_top: bool,
    named: bool,
) -> Vec<Item> {
    let Some(guide) = guide else { return Vec::new() };
    let is_step = guide.is_step();
    let has_action = is_step && taken.iter().any(|key| crate::plan::guide::actions().contains(&key.as_str()));
    let fits = |key: &About| {
        // One thing a step does; a `report` may follow a `run`.
        let second = has_action && crate::plan::guide::actions().contains(&key.name) && key.name != "report";
        !taken.iter().any(|taken| taken == key.name) && !second
    };
    let one = |key: About| {
        let insert = match (named, at_top && key.is_table) {
            (true, _) => key.name.to_owned(),
            (false, true) if ["steps", "finally"].contains(&key.name) => format!("[{}.${{1:name}}]\n$0", key.name),
            (false, true) => format!("[{}]\n$0", key.name),
            (false, false) => format!("{} = {}", key.name, key.opening),
        };
        Item::new(key.name, PROPERTY, key.takes.clone()).insert(insert).doc(about(&key))
    };
    let mut items: Vec<Item> = guide.keys().into_iter().filter(fits).map(one).collect();
    if path.len() == 3 && path[2] == "env" {
        items.extend(secrets(asked).into_iter().map(|name| Item::new(name, VARIABLE, "secret")));
    }
    items
}

/// What may stand where no quote is yet.
fn values(asked: &Asked<'_>, scan: &Scan<'_>, guide: Option<Guide>, path: &[String], in_list: bool) -> Vec<Item> {
    let Some(guide) = guide else { return Vec::new() };
    let wrap = |name: &str| if in_list || !takes_list(guide) { format!("\"{name}\"") } else { format!("[\"{name}\"]") };
    let mut items = Vec::new();
    let element = guide.element();
    if let Some(names) = element.names() {
        for item in named(asked, scan, names, path, None) {
            let label = wrap(&item.label);
            items.push(Item { label: label.clone(), insert: label, ..item });
        }
    }
    for takes in guide.takes().into_iter().chain(element.takes()) {
        let mut add = |item: Item| {
            if !items.iter().any(|known: &Item| known.label == item.label) {
                items.push(item);
            }
        };
        match takes {
            Takes::Bool => ["true", "false"].into_iter().for_each(|word| add(Item::new(word, ENUM, "boolean"))),
            Takes::Word(words) => {
                words.iter().for_each(|word| add(Item::new(wrap(word), ENUM, "").doc(guide.meaning(word))));
            }
            Takes::Sketch(text) => add(Item::new(format!("\"{text}\""), UNIT, "").insert(format!("\"${{1:{text}}}\""))),
            Takes::Text(_) | Takes::Criterion => {
                let quotes = wrap("");
                add(Item::new(quotes.clone(), FIELD, "text").insert(quotes.replace("\"\"", "\"$0\"")));
            }
            Takes::Table => add(Item::new("{ }", MODULE, "table").insert("{ $0 }")),
            Takes::List | Takes::Number => {}
        }
    }
    items
}

fn takes_list(guide: Guide) -> bool {
    let takes = guide.takes();
    takes.contains(&Takes::List) && !takes.iter().any(|takes| matches!(takes, Takes::Text(_) | Takes::Criterion))
}

fn text(asked: &Asked<'_>, scan: &Scan<'_>, value: usize) -> Option<Found> {
    let value_of = &scan.values[value];
    let guide = marks::guide_of(scan, value).map(Guide::element);
    let read = scan.read(value_of)?;
    let typed = read.before(asked.at);
    let before = &read.text[..typed];
    let path: Vec<String> = scan.path(value_of).into_iter().map(str::to_owned).collect();
    let open = before.rfind("{{").filter(|open| before[*open..].rfind("}}").is_none());
    if let Some(open) = open {
        let (from, items) = template(asked, scan, &before[open + 2..], &path);
        let start = read.place(&(open + 2 + from..typed)).start;
        return Some(Found::whole(start..asked.at, items));
    }
    let inner = read.place(&(0..read.text.len()));
    let names = guide.and_then(Guide::names);
    let takes = guide.map(Guide::takes).unwrap_or_default();
    if names == Some(Names::Subject) || takes.contains(&Takes::Criterion) {
        return criterion::complete(asked, scan, value, &path, before);
    }
    // One line: what is not closed ends at the cursor.
    let range = if value_of.closed { inner } else { inner.start..asked.at.max(inner.start) };
    if let Some(names) = names {
        let siblings = value_of.parent.filter(|parent| scan.values[*parent].form == Form::List);
        let taken: HashSet<String> = siblings
            .map(|list| {
                let others = scan.values.iter().enumerate().filter(|(at, v)| v.parent == Some(list) && *at != value);
                others.filter_map(|(_, other)| Some(scan.read(other)?.text.into_owned())).collect()
            })
            .unwrap_or_default();
        let items = named(asked, scan, names, &path, Some(&taken));
        return Some(Found::whole(range, items));
    }
    let words = takes.iter().flat_map(|takes| match takes {
        Takes::Word(words) => {
            let meaning = |word: &str| guide.map_or("", |guide| guide.meaning(word));
            words.iter().map(|word| Item::new(*word, ENUM, "").doc(meaning(word))).collect()
        }
        Takes::Sketch(text) => vec![Item::new(*text, UNIT, "")],
        _ => Vec::new(),
    });
    Some(Found::whole(range, words.collect()))
}

/// Names of that kind in the plan.
fn named(
    asked: &Asked<'_>,
    scan: &Scan<'_>,
    names: Names,
    path: &[String],
    taken: Option<&HashSet<String>>,
) -> Vec<Item> {
    let free = |name: &String| taken.is_none_or(|taken| !taken.contains(name));
    match names {
        Names::Steps => steps(asked, path).into_iter().filter(|item| free(&item.label)).collect(),
        Names::Pools => {
            declared(asked, Thing::Pool).into_iter().filter(free).map(|n| Item::new(n, VARIABLE, "pool")).collect()
        }
        Names::Secrets => secrets(asked).into_iter().filter(free).map(|n| Item::new(n, VARIABLE, "secret")).collect(),
        Names::Tags => {
            let mut tags: BTreeSet<String> = asked.pages().iter().flat_map(|page| page.sheet().tags.clone()).collect();
            // What is being typed is no tag yet.
            if let Some(value) = scan.value_at(asked.at)
                && let Some(read) = scan.read(&scan.values[value])
            {
                tags.remove(&*read.text);
            }
            tags.into_iter().filter(free).map(|tag| Item::new(tag, ENUM, "tag")).collect()
        }
        Names::Ports | Names::Subject => Vec::new(),
    }
}

/// Names of that kind that the files declare now.
fn declared(asked: &Asked<'_>, thing: Thing) -> BTreeSet<String> {
    let pages = asked.pages();
    let marks = pages.iter().flat_map(|page| page.sheet().marks.iter());
    marks.filter(|mark| mark.thing == thing && mark.declares).map(|mark| mark.name.clone()).collect()
}

fn secrets(asked: &Asked<'_>) -> BTreeSet<String> {
    declared(asked, Thing::Secret)
}

/// The step at the cursor, by its path.
pub(super) fn step_of(path: &[String]) -> Option<&str> {
    match path {
        [table, name, ..] if table == "steps" || table == "finally" => Some(name),
        _ => None,
    }
}

/// Steps that may be named here: not the step itself, none that waits for it, none of `[finally]` from outside of it.
fn steps(asked: &Asked<'_>, path: &[String]) -> Vec<Item> {
    let own = step_of(path);
    let in_finally = path.first().is_some_and(|table| table == "finally");
    let waits = own.map(|own| waiting(asked, own)).unwrap_or_default();
    let good = asked.project.and_then(|project| project.good.as_ref());
    let titles: std::collections::HashMap<&str, &crate::plan::Step> =
        good.map(|good| good.plan.steps.iter().rev().map(|step| (step.base(), step)).collect()).unwrap_or_default();
    let mut seen = HashSet::new();
    let pages = asked.pages();
    let blocks = pages.iter().flat_map(|page| page.sheet().blocks.iter().filter(|block| in_finally || !block.finally));
    let fitting = blocks.filter(|block| Some(block.name.as_str()) != own && !waits.contains(block.name.as_str()));
    let item = |block: &marks::Block| {
        seen.insert(block.name.clone()).then(|| {
            let title = titles.get(block.name.as_str()).and_then(|step| step.title.clone()).unwrap_or_default();
            Item::new(block.name.clone(), REFERENCE, title)
        })
    };
    fitting.filter_map(item).collect()
}

/// Base names of the steps that come after this one: to need them would close a circle.
fn waiting<'a>(asked: &'a Asked<'_>, own: &str) -> HashSet<&'a str> {
    let Some(project) = asked.project else { return HashSet::new() };
    let Some(good) = &project.good else { return HashSet::new() };
    let plan = &good.plan;
    let mut behind: Vec<Vec<StepId>> = vec![Vec::new(); plan.steps.len()];
    for (at, step) in plan.steps.iter().enumerate() {
        for need in step.needs.iter().chain(&step.after) {
            behind[need.step.index()].push(StepId::at(at));
        }
    }
    let mut open = project.steps(own);
    let mut seen: HashSet<StepId> = open.iter().copied().collect();
    while let Some(id) = open.pop() {
        open.extend(behind[id.index()].iter().copied().filter(|next| seen.insert(*next)));
    }
    seen.into_iter().map(|id| plan.step(id).base()).collect()
}

/// What may stand in `{{ }}` behind `before`, and from where on it takes its place.
fn template(asked: &Asked<'_>, scan: &Scan<'_>, before: &str, path: &[String]) -> (usize, Vec<Item>) {
    let word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '[' | ']' | '=' | ',');
    let from = before.trim_end_matches(word).len();
    let typed = &before[from..];
    let parts: Vec<&str> = typed.split('.').collect();
    let under = |root: &str, names: BTreeSet<String>, detail: &str| -> Vec<Item> {
        names.into_iter().map(|name| Item::new(format!("{root}.{name}"), VARIABLE, detail)).collect()
    };
    let good = asked.project.and_then(|project| project.good.as_ref());
    let items = match parts.as_slice() {
        ["vars", _] => {
            let value =
                |name: &str| good.and_then(|good| good.plan.vars.get(name)).map(|var| crate::plan::shown(&var.value));
            let item = |name: String| Item::new(format!("vars.{name}"), VARIABLE, value(&name).unwrap_or_default());
            declared(asked, Thing::Var).into_iter().map(item).collect()
        }
        ["ports", _] => under("ports", declared(asked, Thing::Port), "port"),
        ["secrets", _] => under("secrets", secrets(asked), "secret"),
        ["plan", _] => under("plan", ["name", "title", "workspace"].map(str::to_owned).into(), ""),
        ["matrix", _] => under("matrix", axes(scan, path), "axis"),
        ["steps", _] => good.map(|good| publishing(good, step_of(path))).unwrap_or_default(),
        ["steps", name, _] => vec![Item::new(format!("steps.{name}.outputs"), FIELD, "named outputs")],
        ["steps", name, "outputs", _] => {
            let step = good.and_then(|good| good.plan.steps.iter().find(|step| step.name == *name));
            let values = step.map(|step| step.values.clone()).unwrap_or_default();
            let item = |value: String| Item::new(format!("steps.{name}.outputs.{value}"), FIELD, "named output");
            values.into_iter().map(item).collect()
        }
        [_] => roots(asked, scan, path),
        _ => Vec::new(),
    };
    (from, items)
}

/// Steps before this one that publish named outputs.
fn publishing(good: &super::project::Good, own: Option<&str>) -> Vec<Item> {
    let own = own.map(|own| good.plan.ids().filter(|id| good.plan.step(*id).base() == own).collect::<Vec<_>>());
    let before = match (&good.graph, own.as_deref()) {
        (Some(graph), Some(ids @ [_, ..])) => Some(graph::Graph::ancestors(graph, ids)),
        _ => None,
    };
    let fits = |id: &StepId| before.as_ref().is_none_or(|before| before.get(id.index()).copied().unwrap_or(false));
    let steps = good.plan.ids().filter(|id| !good.plan.step(*id).values.is_empty()).filter(fits);
    steps
        .map(|id| {
            let step = good.plan.step(id);
            Item::new(format!("steps.{}", step.name), REFERENCE, step.title.clone().unwrap_or_default())
        })
        .collect()
}

/// The axes of a step's matrix, as written.
fn axes(scan: &Scan<'_>, path: &[String]) -> BTreeSet<String> {
    let Some(own) = step_of(path) else { return BTreeSet::new() };
    let axis = |value: &super::scan::Value<'_>| match scan.path(value).as_slice() {
        [_, name, "matrix", axis] if *name == own && !["exclude", "include"].contains(axis) => Some((*axis).to_owned()),
        _ => None,
    };
    scan.values.iter().filter_map(axis).collect()
}

fn roots(asked: &Asked<'_>, scan: &Scan<'_>, path: &[String]) -> Vec<Item> {
    let foreach = step_of(path).is_some_and(|own| {
        scan.values.iter().any(|value| matches!(scan.path(value).as_slice(), [_, name, "foreach"] if *name == own))
    });
    let root = |name: &str, doc: &str| Item::new(name, VARIABLE, doc).insert(format!("{name}."));
    let mut items = vec![root("vars", "variables of the plan")];
    if good_outputs(asked) {
        items.push(root("steps", "named outputs of earlier steps"));
    }
    if !axes(scan, path).is_empty() {
        items.push(root("matrix", "the values of this cell"));
    }
    if foreach {
        items.push(Item::new("item", VARIABLE, "the item of `foreach`"));
    }
    if !declared(asked, Thing::Port).is_empty() {
        items.push(root("ports", "free ports of this run"));
    }
    if !secrets(asked).is_empty() {
        items.push(root("secrets", "secrets of the plan"));
    }
    items.push(root("plan", "name, title and workspace"));
    items
}

fn good_outputs(asked: &Asked<'_>) -> bool {
    let good = asked.project.and_then(|project| project.good.as_ref());
    good.is_some_and(|good| good.plan.steps.iter().any(|step| !step.values.is_empty()))
}
