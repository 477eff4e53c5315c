//! The graph of steps: order, ranks, waves, critical path, selection. petgraph stops here.
//!
//! Knows what depends on what; knows nothing of processes, states or results.

mod cycles;
mod select;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use petgraph::Direction;
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::EdgeRef;

use crate::ids::StepId;
use crate::plan::Plan;
use crate::plan::error::Diagnostic;

pub(crate) use select::nearest;
pub use select::{Selection, select};

/// Why one step comes before another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Edge {
    /// Hard: its outcome matters.
    Needs,
    /// Order only.
    After,
}

/// An acyclic graph over a plan's steps, with the plan rank of each.
#[derive(Clone, Debug)]
pub struct Graph {
    dag: DiGraph<StepId, Edge>,
    /// Plan rank by step index.
    rank: Vec<u32>,
    /// Steps in plan rank.
    order: Vec<StepId>,
}

/// Builds the graph.
///
/// # Errors
/// Every cycle, named edge by edge, and every main step that waits for a `finally` step.
pub fn build(plan: &Plan) -> Result<Graph, Vec<Diagnostic>> {
    let edges = plan.steps.iter().map(|step| step.needs.len() + step.after.len()).sum();
    let mut dag = DiGraph::with_capacity(plan.steps.len(), edges);
    for id in plan.ids() {
        dag.add_node(id);
    }
    let mut faults = Vec::new();
    for (index, step) in plan.steps.iter().enumerate() {
        let edges = step.needs.iter().map(|n| (n, Edge::Needs)).chain(step.after.iter().map(|n| (n, Edge::After)));
        for (need, edge) in edges {
            let earlier = plan.step(need.step);
            if earlier.finally && !step.finally {
                faults.push(
                    Diagnostic::error(
                        "needs-finally",
                        need.place,
                        format!("`{}` can't wait for `{}`: `finally` steps always run last", step.name, earlier.name),
                    )
                    .help("move this step to `[finally]` too, or need a main step"),
                );
            } else if need.step.index() != index {
                dag.add_edge(NodeIndex::new(need.step.index()), NodeIndex::new(index), edge);
            }
        }
    }
    let order = plan_order(plan, &dag);
    // Steps of a circle, and what comes after them, never become ready.
    if order.len() < plan.steps.len() {
        faults.extend(cycles::name_all(plan, &dag));
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    let mut rank = vec![0; order.len()];
    for (position, id) in order.iter().enumerate() {
        rank[id.index()] = u32::try_from(position).unwrap_or(u32::MAX);
    }
    Ok(Graph { dag, rank, order })
}

/// Kahn's algorithm with the declaration index as tie-break; all main steps before all `finally` steps.
fn plan_order(plan: &Plan, dag: &DiGraph<StepId, Edge>) -> Vec<StepId> {
    let mut waits = vec![0_u32; dag.node_count()];
    for edge in dag.raw_edges() {
        waits[edge.target().index()] += 1;
    }
    let key = |node: NodeIndex| Reverse((plan.steps[node.index()].finally, node.index()));
    let mut ready: BinaryHeap<_> = dag.node_indices().filter(|n| waits[n.index()] == 0).map(key).collect();
    let mut order = Vec::with_capacity(waits.len());
    while let Some(Reverse((_, index))) = ready.pop() {
        order.push(StepId::at(index));
        for next in dag.neighbors(NodeIndex::new(index)) {
            waits[next.index()] -= 1;
            if waits[next.index()] == 0 {
                ready.push(key(next));
            }
        }
    }
    order
}

impl Graph {
    /// Plan rank of a step: its place in a serial run.
    #[must_use]
    pub fn rank(&self, id: StepId) -> u32 {
        self.rank[id.index()]
    }

    /// All steps in plan rank.
    #[must_use]
    pub fn order(&self) -> &[StepId] {
        &self.order
    }

    /// Direct predecessors with the kind of edge, in no particular order.
    pub fn before(&self, id: StepId) -> impl Iterator<Item = (StepId, Edge)> + '_ {
        self.dag
            .edges_directed(NodeIndex::new(id.index()), Direction::Incoming)
            .map(|e| (StepId::at(e.source().index()), *e.weight()))
    }

    /// Direct successors with the kind of edge, in no particular order.
    pub fn next(&self, id: StepId) -> impl Iterator<Item = (StepId, Edge)> + '_ {
        self.dag.edges(NodeIndex::new(id.index())).map(|e| (StepId::at(e.target().index()), *e.weight()))
    }

    /// Everything reachable from `from` in one direction, `from` not included: one flag a step.
    fn reach(&self, from: &[StepId], direction: Direction) -> Vec<bool> {
        let mut seen = vec![false; self.rank.len()];
        let mut stack: Vec<usize> = from.iter().map(|id| id.index()).collect();
        while let Some(index) = stack.pop() {
            for next in self.dag.neighbors_directed(NodeIndex::new(index), direction) {
                if !std::mem::replace(&mut seen[next.index()], true) {
                    stack.push(next.index());
                }
            }
        }
        seen
    }

    /// Which steps come, directly or not, after `id` (one flag a step).
    #[must_use]
    pub fn descendants(&self, id: StepId) -> Vec<bool> {
        self.reach(&[id], Direction::Outgoing)
    }

    /// Which steps come, directly or not, before any of `ids` (one flag a step).
    #[must_use]
    pub fn ancestors(&self, ids: &[StepId]) -> Vec<bool> {
        self.reach(ids, Direction::Incoming)
    }

    /// Steps by wave: a step stands one wave after the last step it waits for; `finally` steps after all others.
    #[must_use]
    pub fn waves(&self, plan: &Plan) -> Vec<Vec<StepId>> {
        let mut level = vec![0_usize; self.rank.len()];
        let mut deepest_main = 0;
        for &id in &self.order {
            let step_level = self.before(id).map(|(earlier, _)| level[earlier.index()] + 1).max().unwrap_or(0);
            let floor = if plan.step(id).finally { deepest_main + 1 } else { 0 };
            level[id.index()] = step_level.max(floor);
            if !plan.step(id).finally {
                deepest_main = deepest_main.max(step_level);
            }
        }
        let mut waves = vec![Vec::new(); level.iter().max().map_or(0, |max| max + 1)];
        for &id in &self.order {
            waves[level[id.index()]].push(id);
        }
        waves.retain(|wave: &Vec<StepId>| !wave.is_empty());
        waves
    }

    /// Time from the start of each step to the end of the run if nothing ever waited: its own duration plus the longest
    /// tail behind it. Launching by this number is Highest Level First with Estimated Times (Adam, Chandy and Dickson,
    /// CACM 17(12), 1974).
    #[must_use]
    pub fn tails(&self, duration: &dyn Fn(StepId) -> Duration) -> Vec<Duration> {
        let mut tails = vec![Duration::ZERO; self.rank.len()];
        for &id in self.order.iter().rev() {
            let behind = self.next(id).map(|(next, _)| tails[next.index()]).max().unwrap_or_default();
            tails[id.index()] = duration(id) + behind;
        }
        tails
    }

    /// The longest chain by `duration`, first step first; ties go to the lower rank.
    #[must_use]
    pub fn critical_path(&self, duration: &dyn Fn(StepId) -> Duration) -> Vec<StepId> {
        let tails = self.tails(duration);
        let best =
            |ids: &mut dyn Iterator<Item = StepId>| ids.max_by_key(|id| (tails[id.index()], Reverse(self.rank(*id))));
        let mut path = Vec::new();
        let mut at = best(&mut self.order.iter().copied().filter(|id| self.before(*id).next().is_none()));
        while let Some(id) = at {
            path.push(id);
            at = best(&mut self.next(id).map(|(next, _)| next));
        }
        path
    }
}

#[cfg(test)]
pub(crate) mod tests;
