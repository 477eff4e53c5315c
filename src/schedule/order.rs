//! In which order ready steps start, from how long each may take. Pure arithmetic; knows no clock and starts nothing.
//!
//! First by the longest tail (HLFET: Adam, Chandy and Dickson, CACM 17(12), 1974), then by the most steps directly behind
//! (CP/MISF: Kasahara and Narita, IEEE Trans. Computers C-33(11), 1984), then by plan rank. Where durations differ, the
//! run is then played through backwards and forwards a few times with the workers and pools at hand (forward-backward
//! improvement: Li and Willis, EJOR 56(3), 1992), and the order of the shortest play counts.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

use super::words::Job;
use crate::graph::Graph;
use crate::ids::{PoolId, StepId};

/// How often the run is played backwards and forwards.
const ROUNDS: usize = 3;
/// No better order is looked for within this part of what no order can beat.
const CLOSE_ENOUGH: u64 = 200;

/// The turn of each step: of those that are ready the lowest starts. `took` has how long each may take; what is not
/// selected takes no time. A play that is shorter than that by the longest tail alone is preferred, never a longer one.
#[must_use]
pub fn turns(graph: &Graph, jobs: &[Job], took: &[Duration], workers: u32, capacities: &[u32]) -> Vec<u64> {
    let net = Net::new(graph, jobs, took, workers, capacities);
    let (_, turns) = net.best();
    turns.into_iter().map(u64::from).collect()
}

/// Edges in one direction: those of step `i` are `to[from[i]..from[i + 1]]`.
struct Edges {
    from: Vec<u32>,
    to: Vec<u32>,
}

impl Edges {
    fn of(&self, at: usize) -> &[u32] {
        &self.to[self.from[at] as usize..self.from[at + 1] as usize]
    }

    fn collect<I: Iterator<Item = StepId>>(steps: usize, ends: impl Fn(StepId) -> I, main: &[bool]) -> Self {
        let (mut from, mut to) = (vec![0], Vec::new());
        for at in 0..steps {
            if main[at] {
                to.extend(ends(StepId::at(at)).filter(|end| main[end.index()]).map(|end| end.0));
            }
            from.push(u32::try_from(to.len()).unwrap_or(u32::MAX));
        }
        Self { from, to }
    }
}

/// How a play came out.
struct Play {
    length: u64,
    /// When each step ended.
    ends: Vec<u64>,
}

/// The main steps as numbers.
struct Net<'a> {
    graph: &'a Graph,
    next: Edges,
    before: Edges,
    /// Nanoseconds.
    weight: Vec<u64>,
    /// Runs in the main part of the run.
    main: Vec<bool>,
    /// Takes no worker: it is not selected.
    instant: Vec<bool>,
    /// Which set of pools each wants: an index into `sets`.
    set: Vec<u32>,
    sets: Vec<&'a [PoolId]>,
    /// From the start of each step to the end, if nothing ever waited.
    tails: Vec<u64>,
    workers: u32,
    capacities: &'a [u32],
}

impl<'a> Net<'a> {
    fn new(graph: &'a Graph, jobs: &'a [Job], took: &[Duration], workers: u32, capacities: &'a [u32]) -> Self {
        let nanos = |time: &Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let weight: Vec<u64> =
            jobs.iter().zip(took).map(|(job, time)| if job.filtered { 0 } else { nanos(time) }).collect();
        let main: Vec<bool> = jobs.iter().map(|job| !job.finally).collect();
        let mut known: BTreeMap<&[PoolId], u32> = BTreeMap::new();
        let mut sets: Vec<&[PoolId]> = Vec::new();
        let set = jobs.iter().map(|job| {
            *known.entry(&job.pools).or_insert_with(|| {
                sets.push(&job.pools);
                u32::try_from(sets.len() - 1).unwrap_or(u32::MAX)
            })
        });
        let set = set.collect();
        let mut tails = vec![0_u64; jobs.len()];
        for &id in graph.order().iter().rev() {
            // `finally` steps begin when the last main step is over, whichever it was.
            let counts = |next: &StepId| jobs[next.index()].finally == jobs[id.index()].finally;
            let behind = graph.next(id).map(|(next, _)| next).filter(counts).map(|next| tails[next.index()]).max();
            tails[id.index()] = weight[id.index()].saturating_add(behind.unwrap_or_default());
        }
        Self {
            graph,
            next: Edges::collect(jobs.len(), |id| graph.next(id).map(|(next, _)| next), &main),
            before: Edges::collect(jobs.len(), |id| graph.before(id).map(|(before, _)| before), &main),
            weight,
            main,
            instant: jobs.iter().map(|job| job.filtered).collect(),
            set,
            sets,
            tails,
            workers: workers.max(1),
            capacities,
        }
    }

    /// The turns of the shortest play, and its length.
    fn best(&self) -> (Option<u64>, Vec<u32>) {
        let mut best = self.by_tail();
        let mut weights = (0..self.weight.len()).filter(|at| self.main[*at] && !self.instant[*at]);
        let first = weights.next().map(|at| self.weight[at]);
        if weights.all(|at| Some(self.weight[at]) == first) {
            // Nothing is known: there is nothing to play with.
            return (None, best);
        }
        let bound = self.bound();
        let mut play = self.play(&self.next, &self.before, &best);
        let mut shortest = play.length;
        for _ in 0..ROUNDS {
            if shortest <= bound.saturating_add(bound / CLOSE_ENOUGH) {
                break;
            }
            let last_first = self.turns(|at| (Reverse(play.ends[at]), 0));
            let back = self.play(&self.before, &self.next, &last_first);
            let turns = self.turns(|at| (back.length.saturating_sub(back.ends[at]), u64::MAX - self.tails[at]));
            play = self.play(&self.next, &self.before, &turns);
            if play.length < shortest {
                (shortest, best) = (play.length, turns);
            }
        }
        (Some(shortest), best)
    }

    fn by_tail(&self) -> Vec<u32> {
        self.turns(|at| (Reverse(self.tails[at]), Reverse(self.next.of(at).len())))
    }

    /// Steps in the order of a key, ties by plan rank: the place of each.
    fn turns<K: Ord>(&self, key: impl Fn(usize) -> K) -> Vec<u32> {
        let mut steps: Vec<(K, u32, usize)> =
            self.graph.order().iter().map(|id| (key(id.index()), self.graph.rank(*id), id.index())).collect();
        steps.sort_unstable();
        let mut turns = vec![0; steps.len()];
        for (place, (_, _, at)) in (0_u32..).zip(&steps) {
            turns[*at] = place;
        }
        turns
    }

    /// What no order can beat: the longest chain, and the work shared out evenly among the workers or the places of a pool.
    fn bound(&self) -> u64 {
        let main = || (0..self.weight.len()).filter(|at| self.main[*at]);
        let chain = main().map(|at| self.tails[at]).max().unwrap_or_default();
        let sum = |total: u64, at: usize| total.saturating_add(self.weight[at]);
        let shared = main().fold(0, sum).div_ceil(self.workers.into());
        let pools = (0_u32..).zip(self.capacities).map(|(pool, places)| {
            let held = main().filter(|at| self.sets[self.set[*at] as usize].contains(&PoolId(pool)));
            held.fold(0, sum).div_ceil(u64::from(*places).max(1))
        });
        chain.max(shared).max(pools.max().unwrap_or_default())
    }

    /// Plays the run as the schedule would have it: whenever a worker is free, the ready step with the lowest turn whose
    /// pools are free starts.
    fn play(&self, next: &Edges, before: &Edges, turns: &[u32]) -> Play {
        let steps = self.weight.len();
        let mut waits: Vec<usize> = (0..steps).map(|at| before.of(at).len()).collect();
        let mut ready: Vec<BinaryHeap<Reverse<(u32, u32)>>> = self.sets.iter().map(|_| BinaryHeap::new()).collect();
        let mut running: BinaryHeap<Reverse<(u64, u32)>> = BinaryHeap::new();
        let (mut free, mut idle, mut now) = (self.capacities.to_vec(), self.workers, 0_u64);
        let mut ends = vec![0; steps];
        let mut came: Vec<u32> =
            (0_u32..).take(steps).filter(|at| self.main[*at as usize] && waits[*at as usize] == 0).collect();
        loop {
            while let Some(at) = came.pop() {
                if !self.instant[at as usize] {
                    ready[self.set[at as usize] as usize].push(Reverse((turns[at as usize], at)));
                    continue;
                }
                ends[at as usize] = now;
                came.extend(freed(next.of(at as usize), &mut waits));
            }
            while idle > 0 {
                let fits =
                    |(set, _): &(usize, &BinaryHeap<_>)| self.sets[*set].iter().all(|pool| free[pool.0 as usize] > 0);
                let heads = ready.iter().enumerate().filter(fits);
                let best = heads.filter_map(|(set, queue)| queue.peek().map(|Reverse(head)| (*head, set))).min();
                let Some(((_, at), set)) = best else { break };
                ready[set].pop();
                idle -= 1;
                self.sets[set].iter().for_each(|pool| free[pool.0 as usize] -= 1);
                ends[at as usize] = now.saturating_add(self.weight[at as usize]);
                running.push(Reverse((ends[at as usize], at)));
            }
            // One after the other, also of those that end at one moment: so does the schedule.
            let Some(Reverse((end, at))) = running.pop() else { break };
            now = end;
            idle += 1;
            self.sets[self.set[at as usize] as usize].iter().for_each(|pool| free[pool.0 as usize] += 1);
            came.extend(freed(next.of(at as usize), &mut waits));
        }
        Play { length: now, ends }
    }
}

/// Those that waited for nothing else.
fn freed<'n>(next: &'n [u32], waits: &'n mut [usize]) -> impl Iterator<Item = u32> + 'n {
    next.iter().copied().filter(|next| {
        waits[*next as usize] -= 1;
        waits[*next as usize] == 0
    })
}

#[cfg(test)]
mod tests;
