//! Orders, waves, paths and cycles of small graphs.

use std::sync::Arc;
use std::time::Duration;

use super::{Selection, build, select};
use crate::action::{Action, Command, RunSpec, Text};
use crate::ids::StepId;
use crate::outcome::Severity;
use crate::place::Place;
use crate::plan::{Need, OnFailure, Plan, Retry, RunWhen, Stdin, Step, Terms};

pub(crate) fn step(name: &str, needs: &[u32], after: &[u32], finally: bool) -> Step {
    let edges = |ids: &[u32]| ids.iter().map(|id| Need { step: StepId(*id), place: Place::default() }).collect();
    Step {
        name: name.into(),
        place: Place::default(),
        finally,
        on_failure: OnFailure::Independent,
        volatile: false,
        action: Action::Run(RunSpec { command: Command::Shell("true".into()), parse: None }),
        needs: edges(needs),
        after: edges(after),
        inputs: Vec::new(),
        reads_nothing: false,
        outputs: Vec::new(),
        terms: Arc::new(Terms {
            matrix: Vec::new(),
            title: None,
            docs: None,
            tags: vec![format!("t{}", name.len())],
            report: None,
            criteria: Vec::new(),
            allow_empty: None,
            allow_no_baseline: None,
            reuse: true,
            sample: None,
            retry: Retry::default(),
            timeout: None,
            required: true,
            severity: Severity::Medium,
            weight_permille: None,
            when: Vec::new(),
            run_when: RunWhen::Success,
            pools: Vec::new(),
            values: Vec::new(),
            cwd: Text::fixed("."),
            env: Vec::new(),
            secrets: Vec::new(),
            stdin: Stdin::Null,
            compare: Vec::new(),
            ratchet: None,
        }),
    }
}

fn plan(steps: Vec<Step>) -> Plan {
    Plan { steps, ..Plan::default() }
}

fn names(plan: &Plan, ids: &[StepId]) -> String {
    ids.iter().map(|id| plan.step(*id).name.clone()).collect::<Vec<_>>().join(" ")
}

#[test]
fn rank_is_topological_with_ties_by_declaration_and_finally_last() {
    let plan = plan(vec![
        step("c", &[2], &[], false),
        step("f", &[], &[], true),
        step("a", &[], &[], false),
        step("b", &[], &[0], false),
    ]);
    let graph = build(&plan).unwrap();
    assert_eq!(names(&plan, graph.order()), "a c b f");
    let waves: Vec<_> = graph.waves(&plan).iter().map(|w| names(&plan, w)).collect();
    assert_eq!(waves, ["a", "c", "b", "f"]);
}

#[test]
fn critical_path_follows_durations() {
    let plan = plan(vec![
        step("a", &[], &[], false),
        step("b", &[0], &[], false),
        step("c", &[0], &[], false),
        step("d", &[1, 2], &[], false),
    ]);
    let graph = build(&plan).unwrap();
    let slow_c = |id: StepId| Duration::from_secs(if id.0 == 2 { 9 } else { 1 });
    assert_eq!(names(&plan, &graph.critical_path(&slow_c)), "a c d");
    assert_eq!(graph.tails(&slow_c)[0], Duration::from_secs(11));
    let even = |_: StepId| Duration::from_secs(1);
    assert_eq!(names(&plan, &graph.critical_path(&even)), "a b d");
}

#[test]
fn cycles_are_named_edge_by_edge() {
    let plan = plan(vec![step("a", &[1], &[], false), step("b", &[], &[0], false), step("x", &[0], &[], false)]);
    let faults = build(&plan).unwrap_err();
    assert_eq!(faults.len(), 1);
    assert_eq!(faults[0].message, "steps wait for each other in a circle: a → b → a");
    assert_eq!(faults[0].label, "`a` needs `b`");
    assert_eq!(faults[0].related[0].1, "`b` comes after `a`");
}

#[test]
fn long_cycles_are_elided() {
    let ring = |n: u32| (0..n).map(|i| step(&format!("s{i}"), &[(i + n - 1) % n], &[], false)).collect();
    let faults = build(&plan(ring(50))).unwrap_err();
    assert_eq!(
        faults[0].message,
        "steps wait for each other in a circle: s0 → s49 → s48 → s47 → s46 → … 44 more … → s1 → s0"
    );
    assert_eq!(faults[0].related.len(), 5);
    assert_eq!(faults[0].related[4].1, "`s1` needs `s0`");
    assert!(build(&plan(ring(100_000))).is_err(), "no recursion");
}

#[test]
fn main_steps_cannot_wait_for_finally() {
    let plan = plan(vec![step("a", &[1], &[], false), step("f", &[], &[], true)]);
    assert_eq!(build(&plan).unwrap_err()[0].code, "needs-finally");
}

#[test]
fn selection_takes_ancestors_from_takes_descendants() {
    let plan = plan(vec![
        step("a", &[], &[], false),
        step("bb", &[0], &[], false),
        step("ccc", &[1], &[], false),
        step("f", &[], &[], true),
    ]);
    let graph = build(&plan).unwrap();
    let pick = |s: Selection| select(&plan, &graph, &s).unwrap();
    assert_eq!(pick(Selection { steps: vec!["bb".into()], ..Selection::default() }), [true, true, false, true]);
    assert_eq!(pick(Selection { from: vec!["bb".into()], ..Selection::default() }), [false, true, true, true]);
    assert_eq!(pick(Selection { tags: vec!["t2".into()], ..Selection::default() }), [true, true, false, true]);
    assert_eq!(pick(Selection { skip: vec!["f".into()], ..Selection::default() }), [true, true, true, false]);
    let wrong = Selection { steps: vec!["cc".into()], tags: vec!["t22".into()], ..Selection::default() };
    assert_eq!(
        select(&plan, &graph, &wrong).unwrap_err(),
        ["the plan has no step `cc`; did you mean `ccc`?", "no step has the tag `t22`; did you mean `t2`?"]
    );
}

#[test]
fn deep_and_wide_graphs_need_no_recursion() {
    let n: u32 = 100_000;
    let link = |i: u32| step("s", &i.checked_sub(1).map_or(vec![], |before| vec![before]), &[], false);
    let chain = plan((0..n).map(link).collect());
    let graph = build(&chain).unwrap();
    assert_eq!(graph.critical_path(&|_| Duration::from_millis(1)).len(), n as usize);
}
