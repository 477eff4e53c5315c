//! What people answer for: `[signoffs]` and the waivers in the file that `waivers` names. Knows no key and no signature.

use std::collections::{BTreeMap, HashMap};

use super::declare::{Once, required};
use super::diags::Diags;
use super::error::Diagnostic;
use super::source::Doc;
use super::template::{nearest, words};
use super::tree::{Node, Table};
use super::{Plan, SignoffPolicy, Waiver, shape, tables};
use crate::ids::StepId;
use crate::outcome::Tier;
use crate::place::Place;

/// How long an approval counts if the plan does not say.
const VALID_S: u64 = 24 * 3600;
/// The allowed-signers file if the plan does not say.
const SIGNERS: &str = "allowed_signers";

/// `[signoffs]`.
pub(super) fn signoffs(main: Table<'_>, diags: &mut Diags) -> Option<SignoffPolicy> {
    Some(policy(main.get("signoffs")?.table(&tables::SIGNOFFS)?, "`[signoffs]`", diags))
}

/// Who signs, where only roles are named.
pub(super) fn of_roles(node: Node<'_>, diags: &mut Diags) -> SignoffPolicy {
    let roles = roles(node, diags);
    SignoffPolicy { roles, distinct: true, valid_s: VALID_S, signers: SIGNERS.to_owned(), people: BTreeMap::new() }
}

fn roles(listed: Node<'_>, diags: &mut Diags) -> Vec<String> {
    let mut once = Once::new("role");
    let mut roles = Vec::new();
    for node in listed.items() {
        let Some(role) = node.text() else { continue };
        if role.trim() != role || role.is_empty() || role.chars().any(char::is_control) {
            let message = format!("`{}` cannot be a role", super::error::clean(role));
            let fault = Diagnostic::error("bad-name", node.place, message);
            diags.push(fault.help("a role is one line of text without spaces around it"));
        } else if once.first(role.to_owned(), node.place, diags) {
            roles.push(role.to_owned());
        }
    }
    if roles.is_empty() && !diags.has_errors() {
        let fault = Diagnostic::error("no-roles", listed.place, "no role is named: nobody has to sign");
        diags.push(fault.help("name the roles, or remove this"));
    }
    roles
}

/// Who signs, as a table says it.
pub(super) fn policy(table: Table<'_>, what: &str, diags: &mut Diags) -> SignoffPolicy {
    let roles = required(table, "roles", what, diags).map(|node| roles(node, diags)).unwrap_or_default();
    let mut people = BTreeMap::new();
    for entry in table.get("people").and_then(Node::map).into_iter().flat_map(Table::entries) {
        if !roles.iter().any(|role| role == entry.key) {
            let fault = Diagnostic::error("unknown-role", entry.key_place, format!("no role `{}`", entry.key));
            let near = nearest(entry.key, roles.iter().map(String::as_str));
            let help = near.map_or_else(
                || format!("`roles` has {}", words(&roles.iter().map(String::as_str).collect::<Vec<_>>())),
                |near| format!("did you mean `{near}`?"),
            );
            diags.push(fault.help(help));
        }
        let mut names: Vec<String> =
            entry.node.one_or_many().into_iter().filter_map(|node| node.text().map(str::to_owned)).collect();
        names.sort();
        names.dedup();
        people.insert(entry.key.to_owned(), names);
    }
    SignoffPolicy {
        roles,
        distinct: table.get("distinct").and_then(Node::bool).unwrap_or(true),
        valid_s: table.duration("valid").map_or(VALID_S, |valid| valid.as_secs()),
        signers: table.text("signers").unwrap_or(SIGNERS).to_owned(),
        people,
    }
}

/// The waivers of a plan whose steps are known.
pub(super) fn waivers(doc: Option<&Doc>, plan: &Plan, diags: &mut Diags) -> Vec<Waiver> {
    let Some(doc) = doc.filter(|doc| !doc.broken) else { return Vec::new() };
    let root = doc.root_as(&tables::WAIVERS);
    shape::check(root, &tables::WAIVERS, diags);
    let mut seen: HashMap<(StepId, String), Place> = HashMap::new();
    let mut list = Vec::new();
    for node in root.list("waivers") {
        let Some(waiver) = node.table(&tables::WAIVER).and_then(|table| one(table, plan, diags)) else { continue };
        let twice = waiver.steps.iter().find_map(|step| seen.get(&(*step, waiver.criterion.clone())).copied());
        if let Some(first) = twice {
            let message = format!("`{}` is waived twice", waiver.criterion);
            diags.push(
                Diagnostic::error("duplicate-waiver", waiver.place, message)
                    .related(first, "first waived here")
                    .help("remove one of the two"),
            );
            continue;
        }
        seen.extend(waiver.steps.iter().map(|step| ((*step, waiver.criterion.clone()), waiver.place)));
        list.push(waiver);
    }
    list
}

fn one(table: Table<'_>, plan: &Plan, diags: &mut Diags) -> Option<Waiver> {
    let mut need = |key: &str| required(table, key, "a waiver", diags);
    let (step, criterion) = (need("step"), need("criterion"));
    let (owner, reason, expires) = (need("owner"), need("reason"), need("expires"));
    let (step, criterion) = (step?, criterion?);
    let mut said = |node: Option<Node<'_>>| {
        let node = node?;
        let text = node.text()?.trim();
        if text.is_empty() {
            diags.push(Diagnostic::error("empty-waiver", node.place, "a waiver says who answers for it and why"));
        }
        Some(text.to_owned())
    };
    let (owner, reason) = (said(owner)?, said(reason)?);
    let expires = expires?.date()?;
    let name = step.text()?;
    let steps: Vec<StepId> =
        plan.ids().filter(|id| plan.step(*id).name == name || plan.step(*id).base() == name).collect();
    if steps.is_empty() {
        let near = nearest(name, plan.steps.iter().map(super::Step::base));
        let fault = Diagnostic::error("unknown-step", step.place, format!("no step `{name}`"));
        diags.push(fault.hint(near.map(|near| format!("did you mean `{near}`?"))));
        return None;
    }
    let wanted = squeezed(criterion.text()?);
    let texts = || {
        let all = steps.iter().flat_map(|id| &plan.step(*id).criteria);
        all.filter(|known| known.tier != Tier::When).map(|known| known.text.as_str())
    };
    let Some(found) = texts().find(|text| squeezed(text) == wanted) else {
        let message = format!("step `{name}` has no criterion `{wanted}`");
        let near = nearest(&wanted, texts());
        let fault = Diagnostic::error("unknown-criterion", criterion.place, message);
        diags.push(fault.help(near.map_or_else(
            || format!("`runplan explain {name}` shows its criteria"),
            |near| format!("did you mean `{near}`?"),
        )));
        return None;
    };
    Some(Waiver { criterion: found.to_owned(), steps, owner, reason, expires, place: step.place })
}

/// With one space where there are several: layout is not meaning.
fn squeezed(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
