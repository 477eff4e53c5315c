//! How good the order is, by the real schedule and a clock that only counts: against the optimum of small graphs, found by
//! trying everything, Graham's bound, the order of readiness, and the order by the longest tail alone.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use super::super::tests::job;
use super::super::{Effect, Ended, Input, Job, Schedule};
use super::{Net, turns};
use crate::graph::{self, Graph};
use crate::ids::{PoolId, StepId};
use crate::outcome::State;
use crate::plan::Plan;

/// The same numbers in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound.max(1)
    }
}

/// A graph, what each step needs, and how long each takes.
struct Case {
    graph: Graph,
    needs: Vec<Vec<u32>>,
    jobs: Vec<Job>,
    took: Vec<Duration>,
}

fn case(seed: u64, steps: u64, pools: bool) -> Case {
    let mut numbers = Numbers(seed);
    let density = 1 + numbers.below(3);
    let needs: Vec<Vec<u32>> = (0..steps)
        .map(|at| {
            let mut needs: Vec<u32> =
                (0..numbers.below(density + 1)).map(|_| u32::try_from(numbers.below(at)).unwrap()).collect();
            needs.sort_unstable();
            needs.dedup();
            needs.retain(|need| u64::from(*need) < at);
            needs
        })
        .collect();
    let took = (0..steps).map(|_| Duration::from_nanos(1 + numbers.below(9) * numbers.below(3))).collect();
    let jobs = (0..steps).map(|at| {
        let wanted =
            if pools && numbers.below(3) == 0 { vec![PoolId(u32::from(numbers.below(2) == 0))] } else { vec![] };
        Job { pools: wanted, ..job(&format!("s{at}")) }
    });
    let jobs: Vec<Job> = jobs.collect();
    let tasks = jobs.iter().zip(&needs).map(|(job, needs)| graph::tests::step(&job.name, needs, &[], false));
    let graph = graph::build(&Plan { steps: tasks.collect(), ..Plan::default() }).unwrap();
    Case { graph, needs, jobs, took }
}

const PLACES: [u32; 2] = [1, 2];

impl Case {
    fn nanos(&self, at: usize) -> u64 {
        u64::try_from(self.took[at].as_nanos()).unwrap()
    }

    /// Time the real schedule takes with these turns.
    fn length(&self, turns: &[u64], workers: u32) -> u64 {
        let jobs = self.jobs.iter().zip(turns).map(|(job, turn)| Job { turn: *turn, ..job.clone() }).collect();
        let mut schedule = Schedule::new(&self.graph, jobs, workers, PLACES.to_vec());
        let mut running = BinaryHeap::new();
        let (mut now, mut inputs) = (0, vec![Input::Begin]);
        loop {
            let Some(input) = inputs.pop() else {
                let Some(Reverse((end, at))) = running.pop() else { return now };
                now = end;
                inputs.push(Input::Ended(StepId::at(at), Ended { state: State::Pass, cause: None, exit: None }));
                continue;
            };
            for effect in schedule.on(input) {
                match effect {
                    Effect::Launch(id, _) => running.push(Reverse((now + self.nanos(id.index()), id.index()))),
                    Effect::MainDone => inputs.push(Input::Finally),
                    _ => {}
                }
            }
        }
    }
}

const TIMES: [u32; 2] = [2, 3];

/// The shortest of all schedules, those with idle workers too: every step in every order that the graph allows, each
/// begun no earlier than the one before it.
fn optimum(case: &Case, workers: u32) -> u64 {
    fn go(case: &Case, ends: &mut Vec<Option<u64>>, free: &[u64], from: u64, so_far: u64, best: &mut u64) {
        if so_far >= *best {
            return;
        }
        if ends.iter().all(Option::is_some) {
            *best = so_far;
            return;
        }
        for at in 0..ends.len() {
            let needed: Option<Vec<u64>> = case.needs[at].iter().map(|need| ends[*need as usize]).collect();
            let (None, Some(needed)) = (ends[at], needed) else { continue };
            let (worker, idle) = free.iter().enumerate().min_by_key(|(_, free)| **free).unwrap();
            let start = needed.into_iter().max().unwrap_or(0).max(*idle).max(from);
            let end = start + case.nanos(at);
            let mut later = free.to_vec();
            later[worker] = end;
            ends[at] = Some(end);
            go(case, ends, &later, start, so_far.max(end), best);
            ends[at] = None;
        }
    }
    let mut best = u64::MAX;
    go(case, &mut vec![None; case.jobs.len()], &vec![0; workers as usize], 0, 0, &mut best);
    best
}

#[test]
fn no_order_of_a_small_graph_is_far_from_its_optimum() {
    let (mut sum, mut exact, mut all) = (0.0, 0, 0);
    for seed in 0..150 {
        let case = case(seed, 7, false);
        for workers in TIMES {
            let best = optimum(&case, workers);
            let length = case.length(&turns(&case.graph, &case.jobs, &case.took, workers, &PLACES), workers);
            assert!(length >= best, "seed {seed}: {length} is less than the optimum {best}");
            let bound = best * u64::from(2 * workers - 1) / u64::from(workers);
            assert!(length <= bound, "seed {seed}, {workers} workers: {length} is above Graham's bound {bound}");
            sum += length as f64 / best as f64;
            exact += u32::from(length == best);
            all += 1;
        }
    }
    let mean = sum / f64::from(all);
    assert!(mean < 1.01, "mean {mean}");
    assert!(exact * 100 >= all * 95, "{exact} of {all} are optimal");
}

#[test]
fn the_play_is_what_the_schedule_does_and_never_longer_than_by_the_longest_tail() {
    let (mut shorter, mut all) = (0, 0);
    for seed in 0..300 {
        let case = case(seed, 40, true);
        for workers in [2, 3, 5] {
            let net = Net::new(&case.graph, &case.jobs, &case.took, workers, &PLACES);
            let (told, best) = net.best();
            let of = |turns: &[u32]| turns.iter().copied().map(u64::from).collect::<Vec<u64>>();
            let (length, by_tail) = (case.length(&of(&best), workers), case.length(&of(&net.by_tail()), workers));
            assert_eq!(told, Some(length), "seed {seed}, {workers} workers");
            assert!(length <= by_tail, "seed {seed}, {workers} workers: {length} instead of {by_tail}");
            assert!(length >= net.bound(), "seed {seed}: the bound can't be beaten");
            shorter += u32::from(length < by_tail);
            all += 1;
        }
    }
    assert!(shorter * 10 > all, "played through, only {shorter} of {all} became shorter");
}

/// Steps start as they become ready.
fn first_come(case: &Case, workers: u32) -> u64 {
    let mut waits: Vec<usize> = case.needs.iter().map(Vec::len).collect();
    let mut queue: std::collections::VecDeque<usize> = (0..waits.len()).filter(|at| waits[*at] == 0).collect();
    let (mut running, mut now) = (BinaryHeap::new(), 0);
    loop {
        while running.len() < workers as usize
            && let Some(at) = queue.pop_front()
        {
            running.push(Reverse((now + case.nanos(at), at)));
        }
        let Some(Reverse((end, over))) = running.pop() else { return now };
        now = end;
        for (at, left) in waits.iter_mut().enumerate() {
            if case.needs[at].contains(&u32::try_from(over).unwrap()) {
                *left -= 1;
                if *left == 0 {
                    queue.push_back(at);
                }
            }
        }
    }
}

#[test]
fn with_nothing_remembered_it_is_no_worse_than_the_order_of_readiness_and_with_durations_better() {
    let (mut cold, mut known, mut fifo, mut rank) = (0, 0, 0, 0);
    for seed in 0..200 {
        let case = case(seed, 50, false);
        for workers in [2, 4, 8] {
            let alike = vec![Duration::from_secs(1); case.jobs.len()];
            cold += case.length(&turns(&case.graph, &case.jobs, &alike, workers, &PLACES), workers);
            known += case.length(&turns(&case.graph, &case.jobs, &case.took, workers, &PLACES), workers);
            rank += case.length(&vec![0; case.jobs.len()], workers);
            fifo += first_come(&case, workers);
        }
    }
    assert!(known < cold && cold < fifo && cold < rank, "known {known}, cold {cold}, fifo {fifo}, rank {rank}");
}

fn turns_of(text: &[(&str, &[u32], u64, &[u32])], workers: u32, change: impl Fn(&mut Vec<Job>)) -> Vec<u64> {
    let steps = text.iter().map(|(name, needs, ..)| graph::tests::step(name, needs, &[], name.starts_with('f')));
    let graph = graph::build(&Plan { steps: steps.collect(), ..Plan::default() }).unwrap();
    let jobs = text.iter().map(|(name, .., pools)| Job {
        pools: pools.iter().copied().map(PoolId).collect(),
        finally: name.starts_with('f'),
        ..job(name)
    });
    let mut jobs: Vec<Job> = jobs.collect();
    change(&mut jobs);
    let took: Vec<Duration> = text.iter().map(|(_, _, took, _)| Duration::from_secs(*took)).collect();
    turns(&graph, &jobs, &took, workers, &PLACES)
}

#[test]
fn ties_go_to_the_step_that_more_wait_for_then_to_the_plan() {
    let alike: [(&str, &[u32], u64, &[u32]); 5] =
        [("a", &[], 1, &[]), ("b", &[], 1, &[]), ("c", &[], 1, &[]), ("x", &[0, 2], 1, &[]), ("y", &[2], 1, &[])];
    assert_eq!(turns_of(&alike, 2, |_| ()), [1, 2, 0, 3, 4]);
}

#[test]
fn a_full_pool_is_a_long_way_too() {
    // By the longest tail `long` and `half` start; then the three that share a place of a pool end at 9 instead of 6.
    let steps: [(&str, &[u32], u64, &[u32]); 5] =
        [("long", &[], 3, &[]), ("half", &[], 3, &[]), ("p", &[], 2, &[0]), ("q", &[], 2, &[0]), ("r", &[], 2, &[0])];
    let turns = turns_of(&steps, 2, |_| ());
    assert!(turns[2] < turns[0] || turns[2] < turns[1], "{turns:?}");
}

#[test]
fn what_is_not_selected_and_what_runs_last_weighs_nothing() {
    // `a` has a long step behind it, but nobody asked for that one; `b` has a long step behind it in `[finally]`.
    let steps: [(&str, &[u32], u64, &[u32]); 5] =
        [("a", &[], 1, &[]), ("b", &[], 1, &[]), ("c", &[], 2, &[]), ("long", &[0], 99, &[]), ("fin", &[1], 99, &[])];
    let turns = turns_of(&steps, 2, |jobs| jobs[3].filtered = true);
    assert!(turns[2] < turns[0] && turns[2] < turns[1], "{turns:?}");
}
