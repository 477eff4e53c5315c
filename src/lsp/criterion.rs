//! Criteria at the cursor: what may come next by the facts of the step's action, and what a fact says.

use std::collections::BTreeMap;

use super::complete::{ENUM, FIELD, FUNCTION, Found, Item, OPERATOR, UNIT, escape, step_of};
use super::scan::{Form, Scan};
use super::session::Asked;
use crate::action::ActionKind;
use crate::criteria::{self, Offer, Scope, Shape};
use crate::plan::{self, Plan};

/// What may be written at the end of `before`, the part of a criterion before the cursor.
pub(super) fn complete(
    asked: &Asked<'_>,
    scan: &Scan<'_>,
    value: usize,
    path: &[String],
    before: &str,
) -> Option<Found> {
    let (from, offers) = within(asked, scan, path, |scope| criteria::offers(before, scope));
    let read = scan.read(&scan.values[value])?;
    let start = read.place(&(from..before.len())).start;
    let Form::Text { literal, .. } = scan.values[value].form else { return None };
    let items = offers.into_iter().map(|offer| item(&offer, literal)).collect();
    Some(Found { range: start..asked.at, items, partial: true })
}

/// Runs something with what may be named in a criterion of the step at a path: by its keys as they are now, and by the
/// plan when it could last be read.
pub(super) fn within<T>(asked: &Asked<'_>, scan: &Scan<'_>, path: &[String], run: impl FnOnce(&Scope<'_>) -> T) -> T {
    let nothing = Plan::default();
    let plan = asked.project.and_then(|project| project.good.as_ref()).map_or(&nothing, |good| &good.plan);
    let id = step_of(path).and_then(|own| asked.project?.steps(own).first().copied());
    let only_globals = step_of(path).is_none() || matches!(path.get(2).map(String::as_str), Some("when" | "value"));
    plan::with_scope(plan, id, None, only_globals, |scope| {
        let own = shape(scan, path);
        match own.filter(|own| own.kind != scope.shape.kind || own.report != scope.shape.report || id.is_none()) {
            Some(own) => run(&Scope { shape: own, ..*scope }),
            None => run(&Scope { shape: scope.shape.clone(), ..*scope }),
        }
    })
}

/// What the step's keys say that it does.
fn shape(scan: &Scan<'_>, path: &[String]) -> Option<Shape> {
    let own = step_of(path)?;
    let mut keys: Vec<&str> = Vec::new();
    for value in &scan.values {
        if let [_, name, key, ..] = scan.path(value).as_slice()
            && *name == own
        {
            keys.push(key);
        }
    }
    for head in &scan.tables {
        if let [_, name, key, ..] = head.keys.as_slice()
            && name.name == own
        {
            keys.push(&key.name);
        }
    }
    let is = |kind: &ActionKind| keys.contains(&kind.word());
    let kinds: Vec<ActionKind> = ActionKind::ALL.into_iter().filter(is).collect();
    let kind = kinds.iter().find(|kind| **kind != ActionKind::Report).or(kinds.first())?;
    Some(Shape {
        kind: *kind,
        report: kinds.len() > 1 && kinds.contains(&ActionKind::Report),
        json: *kind == ActionKind::Http || keys.contains(&"parse"),
        many: false,
        sampled: keys.contains(&"sample"),
        probe: None,
        two_sided: false,
        values: BTreeMap::new(),
    })
}

/// Quotes in a criterion are the other kind than those around it.
fn item(offer: &Offer, literal: bool) -> Item {
    let quote = if literal { '"' } else { '\'' };
    let kind = match offer.detail.as_str() {
        "operator" => OPERATOR,
        "unit" | "distance" => UNIT,
        "aggregate" => FUNCTION,
        "type" | "threshold" => ENUM,
        _ => FIELD,
    };
    let label = offer.text.replace('"', &quote.to_string());
    let item = Item::new(label.clone(), kind, offer.detail.clone()).doc(offer.doc);
    // `header."NAME"`: the name is to be filled in.
    let mut pieces: Vec<&str> = label.split(quote).collect();
    let blank = pieces.iter().skip(1).step_by(2).any(|name| is_blank(name));
    if !blank || pieces.len() != 3 {
        return item;
    }
    let after = escape(pieces.pop().unwrap_or_default(), true);
    let filled = format!("{}{quote}${{1:{}}}{quote}{after}$0", escape(pieces[0], true), pieces[1]);
    item.insert(filled)
}

/// Whether a name in the fact table stands for any.
fn is_blank(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_uppercase())
}

/// What the fact table says of the fact at a place of a criterion.
pub(super) fn fact(asked: &Asked<'_>, scan: &Scan<'_>, path: &[String], text: &str, at: usize) -> Option<String> {
    let parts = criteria::dotted(text).into_iter().find(|parts| {
        parts.first().is_some_and(|part| part.at.start <= at) && parts.last().is_some_and(|part| at <= part.at.end)
    })?;
    let start = parts.first()?.at.start;
    let first = parts.first()?.name.as_str();
    within(asked, scan, path, |scope| {
        let (from, offers) = criteria::offers(&text[..start + first.len()], scope);
        let wanted = &text[from..];
        let best = offers.iter().filter(|offer| !offer.doc.is_empty() && !offer.open).find(|offer| {
            let head = offer.text.split(['"', '(']).next().unwrap_or("");
            wanted.starts_with(offer.text.as_str())
                && !wanted[offer.text.len()..].starts_with(|c: char| c.is_alphanumeric() || c == '_' || c == '.')
                || (head.len() < offer.text.len() && head.ends_with('.') && wanted.starts_with(head))
        })?;
        Some(format!("**{}**: {}\n\n{}", best.text, best.detail, best.doc))
    })
}
