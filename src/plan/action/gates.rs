//! `signoff` and `plan`, read from their tables. Knows what they need, not how they are done.

use super::super::declare::required;
use super::super::people;
use super::super::tables;
use super::super::text::{Sink, Texts};
use super::super::tree::{Node, Table};
use super::path;
use crate::action::{PlanSpec, SignoffSpec};

pub(super) fn signoff(node: Node<'_>, texts: &mut Texts<'_>) -> Option<SignoffSpec> {
    let policy = match node.table(&tables::SIGNOFF) {
        Some(table) => people::policy(table, "`signoff`", texts.diags),
        None => people::of_roles(node, texts.diags),
    };
    Some(SignoffSpec { policy })
}

pub(super) fn plan(node: Node<'_>, texts: &mut Texts<'_>) -> Option<PlanSpec> {
    let Some(table) = node.table(&tables::SUBPLAN) else {
        return Some(PlanSpec { path: path(node, "`plan`", texts), vars: Vec::new(), steps: Vec::new() });
    };
    let file = required(table, "path", "`plan`", texts.diags)?;
    let vars = table.get("vars").and_then(Node::map).into_iter().flat_map(Table::entries);
    let vars = vars.map(|entry| (entry.key.to_owned(), texts.text(entry.node, Sink::Seen("a variable of a plan"))));
    let vars = vars.collect();
    let steps = table.list("steps").into_iter().filter_map(Node::text).map(str::to_owned).collect();
    Some(PlanSpec { path: path(file, "`plan`", texts), vars, steps })
}
