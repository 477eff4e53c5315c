//! Which step comes before which, as written: reachability over `needs` and `after`, safe on cycles. Finding and naming
//! cycles is the graph's.

use std::cell::RefCell;

use super::Step;
use crate::ids::StepId;

/// Edges of all steps.
pub(super) struct Links {
    /// What all steps come after, one step after the other.
    parents: Vec<StepId>,
    /// Where those of each step begin, and where the last ones end.
    from: Vec<usize>,
    finally: Vec<bool>,
    ratchets: Vec<bool>,
    /// Round in which each step was last seen; saves clearing a set for each question.
    seen: RefCell<(u32, Vec<u32>)>,
}

impl Links {
    /// Of steps that are yet to be added: each right after it was read, while it is at hand.
    pub(super) fn with_room(steps: usize) -> Self {
        let mut from = Vec::with_capacity(steps + 1);
        from.push(0);
        let (finally, ratchets) = (Vec::with_capacity(steps), Vec::with_capacity(steps));
        Self { parents: Vec::with_capacity(steps), from, finally, ratchets, seen: RefCell::default() }
    }

    pub(super) fn add(&mut self, step: &Step) {
        self.parents.extend(step.needs.iter().chain(&step.after).map(|need| need.step));
        self.from.push(self.parents.len());
        self.finally.push(step.finally);
        self.ratchets.push(step.ratchet.is_some());
    }

    pub(super) fn of(steps: &[Step]) -> Self {
        let mut links = Self::with_room(steps.len());
        steps.iter().for_each(|step| links.add(step));
        links
    }

    pub(super) fn has_ratchet(&self, id: StepId) -> bool {
        self.ratchets[id.index()]
    }

    /// Whether `to` always ends (or is skipped) before `from` starts.
    pub(super) fn reaches(&self, from: StepId, to: StepId) -> bool {
        if self.finally[from.index()] && !self.finally[to.index()] {
            return true;
        }
        let mut seen = self.seen.borrow_mut();
        seen.1.resize(self.finally.len(), 0);
        seen.0 += 1;
        let round = seen.0;
        let mut open = vec![from];
        while let Some(step) = open.pop() {
            for parent in &self.parents[self.from[step.index()]..self.from[step.index() + 1]] {
                if *parent == to {
                    return true;
                }
                if seen.1[parent.index()] != round {
                    seen.1[parent.index()] = round;
                    open.push(*parent);
                }
            }
        }
        false
    }
}
