//! `matrix` and `foreach`: one written step becomes many. Knows names and values, no action.

use std::collections::{BTreeMap, HashSet};

use serde_json::Value as Json;

use super::diags::Diags;
use super::error::Diagnostic;
use super::names::{bad_step_name, cell, is_identifier, is_name};
use super::tables;
use super::template::{self, Known};
use super::text::inner;
use super::tree::{Entry, Node, Table};
use super::vars;
use crate::place::{Place, Sources};

/// Most cells of one matrix.
const MOST_CELLS: usize = 10_000;

const SPLIT: &str = "split the step, or let one step go through the list itself";

/// A step to be read: its table and the values of its cell.
pub(super) struct Cell<'t> {
    pub(super) table: Table<'t>,
    pub(super) place: Place,
    pub(super) base: &'t str,
    pub(super) finally: bool,
    /// Of one step of many.
    of: Option<Box<One>>,
}

/// What tells one step from others that were written with it.
struct One {
    name: String,
    axes: Vec<(String, String)>,
    item: Option<Json>,
}

impl Cell<'_> {
    pub(super) fn name(&self) -> &str {
        self.of.as_ref().map_or(self.base, |of| &of.name)
    }

    pub(super) fn axes(&self) -> &[(String, String)] {
        self.of.as_ref().map_or(&[], |of| &of.axes)
    }

    /// Value of `item`.
    pub(super) fn item(&self) -> Option<&Json> {
        self.of.as_ref()?.item.as_ref()
    }
}

/// What expansion looks at.
pub(super) struct Expander<'a> {
    pub(super) known: &'a Known,
    pub(super) sources: &'a Sources,
}

impl Expander<'_> {
    /// The steps that one `[steps.NAME]` means.
    pub(super) fn expand<'t>(&self, entry: Entry<'t>, finally: bool, diags: &mut Diags, into: &mut Vec<Cell<'t>>) {
        let Some(table) = entry.node.table(&tables::STEP) else { return };
        if !is_name(entry.key) {
            diags.push(bad_step_name(entry.key, entry.key_place));
        }
        let header = self.sources.text(table.place).starts_with('[');
        let place = if header { table.place } else { entry.key_place };
        let one = |name: String, axes: Vec<(String, String)>, item: Option<Json>| Cell {
            table,
            place,
            base: entry.key,
            finally,
            of: Some(Box::new(One { name, axes, item })),
        };
        let matrix = table.get("matrix").and_then(|node| node.table(&tables::MATRIX));
        let foreach = table.get("foreach");
        if let (Some(_), Some(node)) = (&matrix, foreach) {
            let fault = Diagnostic::error(
                "matrix-and-foreach",
                node.place,
                format!("`{}` has `matrix` and `foreach`", entry.key),
            );
            diags.push(fault.help("make the list an axis of the matrix"));
        }
        if let Some(matrix) = matrix {
            let cells = self.matrix(entry.key, matrix, diags);
            into.extend(cells.into_iter().map(|axes| one(format!("{}[{}]", entry.key, cell(&axes)), axes, None)));
            return;
        }
        if let Some(node) = foreach {
            let items = self.items(entry.key, node, diags);
            let named = |(key, item): (String, Json)| {
                one(format!("{}[{key}]", entry.key), vec![("item".to_owned(), key)], Some(item))
            };
            into.extend(items.into_iter().map(named));
            return;
        }
        into.push(Cell { table, place, base: entry.key, finally, of: None });
    }

    /// All cells of a matrix, the last axis fastest.
    fn matrix(&self, step: &str, table: Table<'_>, diags: &mut Diags) -> Vec<Vec<(String, String)>> {
        let mut axes: Vec<(String, Vec<String>)> = Vec::new();
        let mut product: usize = 1;
        let before = diags.count();
        for entry in
            table.entries().filter(|entry| tables::MATRIX.key(entry.key).is_none() && !entry.key.starts_with("x-"))
        {
            if !is_identifier(entry.key) {
                let fault =
                    Diagnostic::error("bad-name", entry.key_place, format!("`{}` is not an axis name", entry.key));
                diags.push(fault.help("names are letters, digits and `_`, so that `{{ matrix.NAME }}` can say them"));
                continue;
            }
            let values = self.axis(entry, diags);
            product = product.saturating_mul(values.len());
            axes.push((entry.key.to_owned(), values));
        }
        if product > MOST_CELLS {
            let message = format!("the matrix of `{step}` has more than {MOST_CELLS} cells");
            diags.push(Diagnostic::error("matrix-too-large", table.place, message).help(SPLIT));
            return Vec::new();
        }
        let mut cells: Vec<Vec<(String, String)>> = if axes.is_empty() { Vec::new() } else { vec![Vec::new()] };
        for (axis, values) in &axes {
            let extend = |cell: &Vec<(String, String)>| {
                let cell = cell.clone();
                values
                    .iter()
                    .map(move |value| [&cell[..], &[(axis.clone(), value.clone())]].concat())
                    .collect::<Vec<_>>()
            };
            cells = cells.iter().flat_map(extend).collect();
        }
        let excluded = self.combinations(table, "exclude", &axes, diags);
        cells.retain(|cell| {
            !excluded.iter().any(|(part, _)| !part.is_empty() && part.iter().all(|pair| cell.contains(pair)))
        });
        for (mut part, place) in self.combinations(table, "include", &axes, diags) {
            if axes.is_empty() || part.len() == axes.len() {
                let order = |pair: &(String, String)| axes.iter().position(|(axis, _)| *axis == pair.0);
                part.sort_by_key(order);
                if cells.contains(&part) {
                    let message = format!("the matrix of `{step}` has `{}` already", cell(&part));
                    diags.push(Diagnostic::error("duplicate-step", place, message).help("remove this one"));
                } else {
                    cells.push(part);
                }
            }
        }
        if cells.is_empty() && diags.count() == before {
            let fault = Diagnostic::error("matrix-empty", table.place, format!("the matrix of `{step}` has no cell"));
            diags.push(if product > 0 && !axes.is_empty() {
                fault.help("`exclude` takes every combination out: leave one, or remove the step")
            } else {
                fault.help("give every axis a value: `matrix = { os = [\"linux\", \"mac\"] }`")
            });
        }
        cells
    }

    fn axis(&self, entry: Entry<'_>, diags: &mut Diags) -> Vec<String> {
        let mut seen = HashSet::new();
        let mut values = Vec::new();
        for node in entry.node.items() {
            let Some(value) = self.value(node, diags) else { continue };
            if seen.insert(value.clone()) {
                values.push(value);
            } else {
                let message = format!("`{value}` stands twice on axis `{}`: two steps would have one name", entry.key);
                diags.push(Diagnostic::error("duplicate-step", node.place, message).help("remove one of the two"));
            }
        }
        values
    }

    /// A cell value: a scalar, templates filled, fit to stand in a name.
    fn value(&self, node: Node<'_>, diags: &mut Diags) -> Option<String> {
        let text = match node.text() {
            Some(text) => fill(self.known, self.sources, text, node.place, diags)?,
            None => node.scalar()?,
        };
        fit(&text, node.place, diags).then_some(text)
    }

    /// `exclude` or `include`.
    fn combinations(
        &self,
        table: Table<'_>,
        key: &str,
        axes: &[(String, Vec<String>)],
        diags: &mut Diags,
    ) -> Vec<(Vec<(String, String)>, Place)> {
        let mut all = Vec::new();
        for map in table.list(key).into_iter().filter_map(Node::map) {
            let mut part = Vec::new();
            for entry in map.entries() {
                let known = axes.iter().any(|(axis, _)| axis == entry.key);
                if !known && !axes.is_empty() {
                    let names: Vec<&str> = axes.iter().map(|(axis, _)| axis.as_str()).collect();
                    let fault =
                        Diagnostic::error("unknown-axis", entry.key_place, format!("unknown axis `{}`", entry.key));
                    diags.push(fault.help(format!("the matrix has {}", template::words(&names))));
                }
                if let Some(value) = self.value(entry.node, diags) {
                    part.push((entry.key.to_owned(), value));
                }
            }
            if key == "include" && !axes.is_empty() && part.len() < axes.len() {
                let fault = Diagnostic::error(
                    "matrix-include",
                    map.place,
                    "a combination under `include` lacks an axis".to_owned(),
                );
                diags.push(fault.help("name a value for every axis"));
            }
            all.push((part, map.place));
        }
        all
    }

    /// Keys and values of a `foreach`.
    fn items(&self, step: &str, node: Node<'_>, diags: &mut Diags) -> Vec<(String, Json)> {
        let mut items = Vec::new();
        let values: Vec<(Json, Place)> = match node.text() {
            Some(text) => self.computed(text, node, diags).into_iter().map(|value| (value, node.place)).collect(),
            None => node.items().filter_map(|item| Some((self.item(item, diags)?, item.place))).collect(),
        };
        let mut seen = HashSet::new();
        for (value, place) in values {
            let key = match &value {
                Json::Object(members) => members.get("key").map(text_of),
                plain => Some(text_of(plain)),
            };
            let Some(key) = key else {
                let fault = Diagnostic::error("foreach-key", place, format!("an item of `{step}` has no `key`"));
                diags.push(fault.help("each table needs a `key`: it names the step, as in `name[key]`"));
                continue;
            };
            if !fit(&key, place, diags) {
                continue;
            }
            if seen.insert(key.clone()) {
                items.push((key, value));
            } else {
                let message = format!("`{key}` stands twice in `foreach`: two steps would be called `{step}[{key}]`");
                diags.push(Diagnostic::error("duplicate-step", place, message).help("remove one of the two"));
            }
        }
        if items.len() > MOST_CELLS {
            let message = format!("`foreach` of `{step}` has more than {MOST_CELLS} items");
            diags.push(Diagnostic::error("matrix-too-large", node.place, message).help(SPLIT));
            items.truncate(MOST_CELLS);
        }
        if items.is_empty() && !diags.has_errors() {
            let fault = Diagnostic::error("foreach-empty", node.place, format!("`foreach` of `{step}` has no item"));
            diags.push(fault.help("an empty list would silently drop the step"));
        }
        items
    }

    /// `foreach = "{{ vars.hosts }}"`.
    fn computed(&self, text: &str, node: Node<'_>, diags: &mut Diags) -> Vec<Json> {
        match template::evaluate(text, self.known) {
            Some(Ok(Json::Array(items))) => return items,
            Some(Err(errors)) => {
                errors.iter().for_each(|error| diags.push(template_fault(self.sources, text, node.place, error)));
            }
            Some(Ok(_)) => {
                let message = format!("`foreach` needs a list, and `{}` is none", text.trim());
                let fault = Diagnostic::error("wrong-type", node.place, message);
                diags.push(fault.help("declare the variable as a list, such as `hosts = [\"a\", \"b\"]`"));
            }
            None => {
                let message = "`foreach` needs a list, or one `{{ name }}` that is a list".to_owned();
                diags.push(
                    Diagnostic::error("wrong-type", node.place, message)
                        .help("such as `foreach = \"{{ vars.hosts }}\"`"),
                );
            }
        }
        Vec::new()
    }

    fn item(&self, node: Node<'_>, diags: &mut Diags) -> Option<Json> {
        if let Some(map) = node.map() {
            let members = map.entries().filter_map(|entry| Some((entry.key.to_owned(), self.item(entry.node, diags)?)));
            return Some(Json::Object(members.collect()));
        }
        match node.text() {
            Some(text) => fill(self.known, self.sources, text, node.place, diags).map(Json::String),
            None => vars::value_of(node).map(|value| vars::json_of(&value)),
        }
    }
}

fn text_of(value: &Json) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Fills a text that has to be known at load.
pub(super) fn fill(known: &Known, sources: &Sources, text: &str, place: Place, diags: &mut Diags) -> Option<String> {
    match template::fill(text, known) {
        Ok(filled) => match filled.late.first() {
            None => Some(filled.text.src),
            Some(name) => {
                let at = inner(sources, place, text, name.range.clone());
                let message = format!("`{}` is known only while the plan runs", name.dotted());
                diags.push(
                    Diagnostic::error("late-name", at, message).help("this text has to be known before anything runs"),
                );
                None
            }
        },
        Err(errors) => {
            errors.iter().for_each(|error| diags.push(template_fault(sources, text, place, error)));
            None
        }
    }
}

/// A template error at its place in the plan.
pub(super) fn template_fault(
    sources: &Sources,
    text: &str,
    place: Place,
    error: &template::TemplateError,
) -> Diagnostic {
    let at = inner(sources, place, text, error.range.clone());
    Diagnostic::error("template", at, error.message.clone()).hint(error.help.clone())
}

/// Whether a value can stand in a step's name.
fn fit(value: &str, place: Place, diags: &mut Diags) -> bool {
    let bad = value.is_empty()
        || value.len() > 200
        || value.contains(|c: char| matches!(c, '[' | ']' | ',' | '=') || c.is_control());
    if bad {
        let message = format!("`{value}` cannot be part of a step's name");
        let fault = Diagnostic::error("bad-cell", place, message);
        diags.push(
            fault.help(
                "values are 1 to 200 characters without `[`, `]`, `,` and `=`; for others use a table with a `key`",
            ),
        );
    }
    !bad
}

/// Axis values as the template root `matrix`.
pub(super) fn as_json(axes: &[(String, String)]) -> Json {
    let members: BTreeMap<&str, &str> = axes.iter().map(|(axis, value)| (axis.as_str(), value.as_str())).collect();
    serde_json::json!(members)
}
