//! The scheduler against an independent serial oracle, on random plans, outcomes, orders and worker counts.

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::*;

use super::{Effect, Ended, Input, Job, Phase, Schedule, pause};
use crate::graph::{self, Edge, Graph};
use crate::ids::{PoolId, StepId};
use crate::outcome::{Cause, State};
use crate::plan::Plan;
use crate::policy::{OnFailure, Retry, RunWhen};

/// One random step: edges to lower indices, its policies, and how each attempt comes out.
#[derive(Clone, Debug)]
struct Case {
    needs: Vec<u32>,
    after: Vec<u32>,
    job: Job,
    outcomes: Vec<State>,
}

pub(super) fn job(name: &str) -> Job {
    Job {
        name: name.into(),
        finally: false,
        filtered: false,
        service: false,
        required: true,
        run_when: RunWhen::Success,
        on_failure: OnFailure::Independent,
        retry: Retry::default(),
        pools: Vec::new(),
        turn: 0,
    }
}

fn graph_of(cases: &[Case]) -> Graph {
    let steps = cases.iter().map(|c| graph::tests::step(&c.job.name, &c.needs, &c.after, c.job.finally)).collect();
    graph::build(&Plan { steps, ..Plan::default() }).unwrap()
}

fn ended(state: State) -> Ended {
    Ended { state, cause: state.is_failure().then_some(Cause::Criteria), exit: None }
}

/// Runs a schedule to its end; `pick` chooses what happens next among running attempts.
fn simulate(cases: &[Case], graph: &Graph, workers: u32, seed: u64) -> Vec<(State, Option<Cause>)> {
    let mut schedule = Schedule::new(graph, cases.iter().map(|c| c.job.clone()).collect(), workers, vec![1, 2]);
    let mut random = seed | 1;
    let mut running: Vec<(StepId, u32)> = Vec::new();
    let mut serving: BTreeSet<StepId> = BTreeSet::new();
    let mut dying: Vec<StepId> = Vec::new();
    let mut cancelled: BTreeSet<StepId> = BTreeSet::new();
    let mut inputs = vec![Input::Begin];
    let mut came_up = vec![State::Pass; cases.len()];
    loop {
        let input = if let Some(input) = inputs.pop() {
            input
        } else if let Some(id) = dying.pop() {
            serving.remove(&id);
            Input::Ended(id, ended(came_up[id.index()]))
        } else {
            assert!(!running.is_empty(), "nothing runs and nothing is finished: deadlock");
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let at = usize::try_from(random >> 33).unwrap() % running.len();
            let (id, attempt) = running.swap_remove(at);
            let case = &cases[id.index()];
            let state = case.outcomes[(attempt as usize - 1).min(case.outcomes.len() - 1)];
            if cancelled.contains(&id) {
                Input::Ended(id, Ended { state: State::NotRun, cause: Some(Cause::Interrupted), exit: None })
            } else if case.job.service && state.is_success() {
                serving.insert(id);
                came_up[id.index()] = state;
                Input::Serving(id)
            } else {
                Input::Ended(id, ended(state))
            }
        };
        let mut finished = false;
        for effect in schedule.on(input) {
            match effect {
                Effect::Launch(id, attempt) => running.push((id, attempt)),
                Effect::Sleep(id, ..) => inputs.push(Input::Woke(id)),
                Effect::Cancel(id, _) => drop(cancelled.insert(id)),
                Effect::StopService(id, _) if serving.contains(&id) && !dying.contains(&id) => dying.push(id),
                Effect::MainDone => inputs.push(Input::Finally),
                Effect::Finished => finished = true,
                _ => {}
            }
            assert!(running.len() <= workers as usize, "more attempts than workers");
        }
        if finished {
            break;
        }
    }
    assert_eq!(schedule.phase, Phase::Finished);
    assert!(running.is_empty() && serving.is_empty());
    (0..cases.len()).map(|index| schedule.counted(StepId::at(index)).expect("every step is over")).collect()
}

/// The oracle: one step after another in plan rank, written from the documentation and not from the scheduler.
fn serial(cases: &[Case], graph: &Graph) -> Vec<(State, Option<Cause>)> {
    let mut results: Vec<Option<(State, Option<Cause>)>> = vec![None; cases.len()];
    let mut stopper: Option<String> = None;
    for &id in graph.order() {
        let case = &cases[id.index()];
        let mut needs: Vec<StepId> = graph.before(id).filter(|(_, e)| *e == Edge::Needs).map(|(n, _)| n).collect();
        needs.sort_by_key(|n| graph.rank(*n));
        let of = |n: StepId| results[n.index()].clone().expect("ranks are topological");
        let is_bad = |s: State, c: &Option<Cause>| match (s, c) {
            (State::Pass | State::Warn, _) => None,
            (State::Skipped, Some(Cause::NeedFailed(root))) => Some(root.clone()),
            (State::Skipped, _) => None,
            _ => Some(String::new()),
        };
        let root = |n: StepId| {
            let (state, cause) = of(n);
            match (state, cause) {
                (State::Skipped, Some(Cause::NeedFailed(root))) => Cause::NeedFailed(root),
                (State::Skipped, Some(Cause::NeedSkipped(root))) => Cause::NeedSkipped(root),
                (State::Skipped, _) => Cause::NeedSkipped(cases[n.index()].job.name.clone()),
                _ => Cause::NeedFailed(cases[n.index()].job.name.clone()),
            }
        };
        let skip = if case.job.filtered {
            Some((State::Skipped, Cause::Filtered))
        } else if let (Some(name), false) = (&stopper, case.job.finally) {
            Some((State::NotRun, Cause::Stopped(name.clone())))
        } else {
            let unfiltered = needs.iter().copied().filter(|n| of(*n).1 != Some(Cause::Filtered));
            match case.job.run_when {
                RunWhen::Always => None,
                RunWhen::Failure if needs.iter().any(|n| is_bad(of(*n).0, &of(*n).1).is_some()) => None,
                RunWhen::Failure => {
                    Some(Cause::RunWhen("`run_when = \"failure\"`, and nothing it needs failed".into()))
                }
                RunWhen::Completed => {
                    unfiltered.filter(|n| matches!(of(*n).0, State::Skipped | State::NotRun)).map(root).next()
                }
                RunWhen::Success => unfiltered
                    .filter(|n| {
                        let state = of(*n).0;
                        let tolerated = cases[n.index()].job.on_failure == OnFailure::Continue && state.is_failure();
                        !state.is_success() && !tolerated
                    })
                    .map(root)
                    .next(),
            }
            .map(|cause| (State::Skipped, cause))
        };
        let result = skip.map_or_else(
            || {
                let tries = case.outcomes.iter().chain(std::iter::repeat(case.outcomes.last().unwrap()));
                let state = *tries
                    .take(case.job.retry.limit as usize + 1)
                    .fold(&State::Fail, |so_far, next| if so_far.is_success() { so_far } else { next });
                (state, state.is_failure().then_some(Cause::Criteria))
            },
            |(state, cause)| (state, Some(cause)),
        );
        let stops = case.job.on_failure == OnFailure::Stop && case.job.required && !case.job.finally;
        if stops && result.0.is_failure() && stopper.is_none() {
            stopper = Some(case.job.name.clone());
        }
        results[id.index()] = Some(result);
    }
    results.into_iter().map(Option::unwrap).collect()
}

fn case_strategy(index: u32) -> impl Strategy<Value = Case> {
    let edges = proptest::collection::btree_set(0..index.max(1), 0..4.min(index as usize + 1));
    let state =
        prop_oneof![4 => Just(State::Pass), 1 => Just(State::Warn), 2 => Just(State::Fail), 1 => Just(State::Error)];
    let run_when = prop_oneof![
        6 => Just(RunWhen::Success), 1 => Just(RunWhen::Failure), 1 => Just(RunWhen::Completed), 1 => Just(RunWhen::Always)
    ];
    let mode =
        prop_oneof![4 => Just(OnFailure::Independent), 1 => Just(OnFailure::Stop), 1 => Just(OnFailure::Continue)];
    let flags = (proptest::bool::weighted(0.1), proptest::bool::weighted(0.15), any::<bool>());
    let pools = proptest::collection::btree_set(0..2_u32, 0..2);
    (edges.clone(), edges, run_when, mode, flags, pools, proptest::collection::vec(state, 1..4), 0..3_u32, 0..50_u64)
        .prop_map(move |(needs, after, run_when, on_failure, flags, pools, outcomes, limit, turn)| {
            let (filtered, service, required) = flags;
            let needs: Vec<u32> = needs.into_iter().filter(|n| *n < index).collect();
            let after = after.into_iter().filter(|n| *n < index && !needs.contains(n)).collect();
            let job = Job {
                filtered,
                service,
                required,
                run_when,
                on_failure,
                retry: Retry { limit, ..Retry::default() },
                pools: pools.into_iter().map(PoolId).collect(),
                turn,
                ..job(&format!("s{index}"))
            };
            Case { needs, after, job, outcomes }
        })
}

fn cases_strategy() -> impl Strategy<Value = Vec<Case>> {
    (1..40_u32, 0..4_usize).prop_flat_map(|(n, finals)| {
        (0..n).map(case_strategy).collect::<Vec<_>>().prop_map(move |mut cases| {
            let from = cases.len().saturating_sub(finals);
            for case in &mut cases[from..] {
                case.job.finally = true;
            }
            cases
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn any_order_gives_the_serial_result(cases in cases_strategy(), workers in 1..17_u32, seed in any::<u64>()) {
        let graph = graph_of(&cases);
        prop_assert_eq!(simulate(&cases, &graph, workers, seed), serial(&cases, &graph));
    }

    #[test]
    fn an_interrupt_at_any_moment_ends_everything(cases in cases_strategy(), after in 0..60_usize, twice in any::<bool>()) {
        let graph = graph_of(&cases);
        let mut schedule = Schedule::new(&graph, cases.iter().map(|c| c.job.clone()).collect(), 3, vec![1, 2]);
        let mut queue = std::collections::VecDeque::from([Input::Begin]);
        let mut finished = false;
        let mut count = 0;
        while let Some(input) = queue.pop_front() {
            let effects = schedule.on(input);
            count += 1;
            for effect in effects {
                match effect {
                    Effect::Launch(id, _) if cases[id.index()].job.service => queue.push_back(Input::Serving(id)),
                    Effect::Launch(id, _) => queue.push_back(Input::Ended(id, ended(State::Pass))),
                    Effect::StopService(id, _) => queue.push_back(Input::Ended(id, ended(State::Pass))),
                    Effect::Sleep(id, ..) => queue.push_back(Input::Woke(id)),
                    Effect::MainDone => queue.push_back(Input::Finally),
                    Effect::Finished => finished = true,
                    _ => {}
                }
            }
            if count == after {
                queue.push_back(Input::Interrupt);
                if twice {
                    queue.push_back(Input::Kill);
                }
            }
        }
        prop_assert!(finished);
        prop_assert_eq!(schedule.busy, 0);
        prop_assert_eq!(schedule.open_main + schedule.open_finally, 0);
    }
}

fn plain(name: &str, needs: &[u32], outcomes: &[State]) -> Case {
    Case { needs: needs.to_vec(), after: Vec::new(), job: job(name), outcomes: outcomes.to_vec() }
}

#[test]
fn the_lowest_turn_goes_first_and_pools_are_honoured() {
    let mut cases =
        vec![plain("a", &[], &[State::Pass]), plain("b", &[], &[State::Pass]), plain("c", &[], &[State::Pass])];
    cases[0].job.turn = 5;
    cases[2].job.turn = 5;
    cases[0].job.pools = vec![PoolId(0)];
    cases[2].job.pools = vec![PoolId(0)];
    let graph = graph_of(&cases);
    let mut schedule = Schedule::new(&graph, cases.iter().map(|c| c.job.clone()).collect(), 8, vec![1]);
    let launches = |effects: Vec<Effect>| -> Vec<u32> {
        effects.into_iter().filter_map(|e| if let Effect::Launch(id, _) = e { Some(id.0) } else { None }).collect()
    };
    assert_eq!(launches(schedule.on(Input::Begin)), [1, 0]);
    assert_eq!(launches(schedule.on(Input::Ended(StepId(0), ended(State::Pass)))), [2]);
}

#[test]
fn a_dead_service_blocks_those_that_did_not_start() {
    let mut cases =
        vec![plain("svc", &[], &[State::Pass]), plain("x", &[0], &[State::Pass]), plain("y", &[0, 1], &[State::Pass])];
    cases[0].job.service = true;
    let graph = graph_of(&cases);
    let mut schedule = Schedule::new(&graph, cases.iter().map(|c| c.job.clone()).collect(), 8, vec![]);
    schedule.on(Input::Begin);
    schedule.on(Input::Serving(StepId(0)));
    let died = Ended { state: State::Fail, cause: Some(Cause::ServiceDied), exit: Some(1) };
    schedule.on(Input::Ended(StepId(0), died));
    schedule.on(Input::Ended(StepId(1), ended(State::Pass)));
    assert_eq!(schedule.result(StepId(2)), Some((State::Skipped, Some(&Cause::NeedFailed("svc".into())))));
}

#[test]
fn pauses_grow_and_are_capped() {
    let retry = Retry {
        limit: 9,
        backoff: Duration::from_secs(2),
        factor_percent: 200,
        cap: Duration::from_secs(10),
        exit: Vec::new(),
    };
    let pauses: Vec<u64> = (1..6).map(|made| pause(&retry, made).as_secs()).collect();
    assert_eq!(pauses, [2, 4, 8, 10, 10]);
}

#[test]
fn a_skip_runs_down_a_long_chain_without_recursion() {
    let n = 50_000;
    let cases: Vec<Case> = (0..n)
        .map(|i: u32| {
            let before: Vec<u32> = i.checked_sub(1).into_iter().collect();
            plain(&format!("s{i}"), &before, &[if i == 0 { State::Fail } else { State::Pass }])
        })
        .collect();
    let graph = graph_of(&cases);
    let results = simulate(&cases, &graph, 4, 7);
    assert_eq!(results[n as usize - 1], (State::Skipped, Some(Cause::NeedFailed("s0".into()))));
}
