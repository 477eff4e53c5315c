//! Names cycles edge by edge, so that the one wrong `needs` can be found.

use std::collections::VecDeque;

use petgraph::algo;
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::EdgeRef;

use super::Edge;
use crate::ids::StepId;
use crate::plan::Plan;
use crate::plan::error::Diagnostic;

/// Most cycles that are named; the rest are counted.
const MOST_CYCLES: usize = 10;
/// Most edges of one cycle that are shown in the source.
const MOST_EDGES: usize = 6;

/// One diagnostic for a shortest cycle of each strongly connected component.
pub(super) fn name_all(plan: &Plan, dag: &DiGraph<StepId, Edge>) -> Vec<Diagnostic> {
    let mut rings: Vec<Vec<NodeIndex>> = algo::kosaraju_scc(dag)
        .into_iter()
        .filter(|component| component.len() > 1)
        .filter_map(|component| shortest(dag, &component))
        .collect();
    rings.sort();
    let hidden = rings.len().saturating_sub(MOST_CYCLES);
    let mut faults: Vec<_> = rings.iter().take(MOST_CYCLES).map(|ring| name(plan, dag, ring)).collect();
    if let (Some(last), true) = (faults.last_mut(), hidden > 0) {
        last.help = last.help.take().map(|help| format!("{help}\n{hidden} more cycles are not shown"));
    }
    faults
}

/// A shortest cycle through the first declared step of a component, by breadth-first search.
fn shortest(dag: &DiGraph<StepId, Edge>, component: &[NodeIndex]) -> Option<Vec<NodeIndex>> {
    let start = *component.iter().min()?;
    let inside: std::collections::HashSet<_> = component.iter().copied().collect();
    let mut from = std::collections::HashMap::new();
    let mut queue = VecDeque::from([start]);
    while let Some(node) = queue.pop_front() {
        let mut nexts: Vec<_> = dag.neighbors(node).filter(|n| inside.contains(n)).collect();
        nexts.sort();
        for next in nexts {
            if next == start {
                let mut ring = vec![node];
                let mut at = node;
                while at != start {
                    at = *from.get(&at)?;
                    ring.push(at);
                }
                ring.reverse();
                return Some(ring);
            }
            if let std::collections::hash_map::Entry::Vacant(entry) = from.entry(next) {
                entry.insert(node);
                queue.push_back(next);
            }
        }
    }
    None
}

fn name(plan: &Plan, dag: &DiGraph<StepId, Edge>, ring: &[NodeIndex]) -> Diagnostic {
    // As people read it: from a step to the one that it waits for.
    let mut ring = ring.to_vec();
    ring.reverse();
    ring.rotate_right(1);
    let names: Vec<&str> = ring.iter().map(|n| plan.steps[n.index()].name.as_str()).collect();
    let arrows = if names.len() <= MOST_EDGES + 2 {
        format!("{} → {}", names.join(" → "), names[0])
    } else {
        let skipped = names.len() - MOST_EDGES;
        let last = names[names.len() - 1];
        format!("{} → … {skipped} more … → {last} → {}", names[..MOST_EDGES - 1].join(" → "), names[0])
    };
    let mut places = Vec::new();
    for (at, &later) in ring.iter().enumerate() {
        let earlier = ring[(at + 1) % ring.len()];
        let step = &plan.steps[later.index()];
        let wanted = StepId::at(earlier.index());
        let Some(edge) = dag.edges_connecting(earlier, later).next() else {
            continue;
        };
        let (list, verb) = match edge.weight() {
            Edge::Needs => (&step.needs, "needs"),
            Edge::After => (&step.after, "comes after"),
        };
        debug_assert_eq!(edge.source(), earlier);
        if let Some(need) = list.iter().find(|need| need.step == wanted) {
            places.push((need.place, format!("`{}` {verb} `{}`", step.name, plan.step(wanted).name)));
        }
    }
    let mut places = places.into_iter();
    let (place, label) = places.next().unwrap_or_default();
    let mut fault = Diagnostic::error("cycle", place, format!("steps wait for each other in a circle: {arrows}"))
        .label(label)
        .help("remove one of them: a step cannot wait for itself, not even through others");
    let mut rest: Vec<_> = places.collect();
    if rest.len() >= MOST_EDGES {
        // The one that closes a long circle is the likeliest to be wrong.
        rest.drain(MOST_EDGES - 2..rest.len() - 1);
    }
    fault.related = rest;
    fault
}
