//! `compare` of a step, read from its table. Whether its criteria fit it is `judged`'s.

use super::declare::required;
use super::error::Diagnostic;
use super::tables;
use super::text::Texts;
use super::tree::{Node, Table};
use crate::action::{CompareMethod, CompareSpec, Sampling};
use crate::facts::Num;

/// Fewest samples a side where the plan does not say.
const MIN_N: u64 = 20;

/// One way to compare, or several: a criterion takes the first that fits it.
pub(super) fn read(table: Table<'_>, sample: Option<&Sampling>, texts: &mut Texts<'_>) -> Vec<CompareSpec> {
    let mut specs: Vec<CompareSpec> = Vec::new();
    let given = table.get("compare");
    let single = given.filter(|node| node.map().is_some());
    for node in single.into_iter().chain(given.into_iter().flat_map(Node::items)) {
        let Some(spec) = one(node, sample, texts) else { continue };
        if specs.iter().any(|known| known.method == spec.method) {
            let message = format!("`compare` names `{}` twice", spec.method.word());
            let fault = Diagnostic::error("compare", node.place, message);
            texts.diags.push(fault.help("a criterion takes the first that fits it: the second would never be asked"));
        }
        specs.push(spec);
    }
    specs
}

fn one(node: Node<'_>, sample: Option<&Sampling>, texts: &mut Texts<'_>) -> Option<CompareSpec> {
    let table = node.table(&tables::COMPARE)?;
    let baseline = table.get("baseline").filter(|node| node.value.is_text()).map(|node| texts.plain(node));
    let bounds = (Num::ratio(1, 1000)?, Num::ratio(1, 2)?);
    let mut alpha = Num::ratio(1, 20)?;
    if let Some(given) = table.get("alpha") {
        match given.number() {
            Some(number) if (bounds.0..=bounds.1).contains(&number) => alpha = number,
            Some(_) => {
                let fault = Diagnostic::error("out-of-range", given.place, "`alpha` is from 0.001 to 0.5".to_owned());
                texts.diags.push(fault.help("0.05 means: one wrong answer in 20"));
            }
            None => {}
        }
    }
    if sample.is_some_and(|sample| sample.consecutive > 0) {
        let message = "`compare` is judged once, on all looks".to_owned();
        texts.diags.push(
            Diagnostic::error("compare", node.place, message)
                .help("who stops as soon as it holds is wrong more often than `alpha` says: give `sample` a `max` and no `consecutive`"),
        );
    }
    let method = required(table, "method", "`compare`", texts.diags)?;
    let method = method.text().and_then(CompareMethod::named)?;
    if method != CompareMethod::Bootstrap
        && let Some(seed) = table.get("seed")
    {
        let message = format!("`{}` draws nothing at random", method.word());
        texts.diags.push(Diagnostic::error("unused-key", seed.place, message).help("only `bootstrap` has a `seed`"));
    }
    let min_n = table.count("min_n").map_or(if method == CompareMethod::Point { 1 } else { MIN_N }, u64::from);
    let seed = table.get("seed").and_then(Node::int).and_then(|seed| u64::try_from(seed).ok()).unwrap_or(0);
    Some(CompareSpec { method, alpha, min_n, seed, baseline })
}
