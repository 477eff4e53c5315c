//! `explain` says why a step waited in a run that is over.

use super::support::Space;

const PLAN: &str = "pools = { docker = 1 }\n\
    [steps.up]\npool = 'docker'\nrun = ['sleep', '0.5']\n\
    [steps.scan]\npool = 'docker'\nrun = ['true']\n\
    [steps.slow]\nrun = ['sleep', '0.3']\n\
    [steps.after]\nneeds = ['slow']\nrun = ['true']\n\
    [steps.never]\nneeds = ['after']\nwhen = ['env.RUNPLAN_TEST_NEVER == \"yes\"']\nrun = ['true']\n";

fn explained(space: &Space, args: &[&str]) -> String {
    let mut words = vec!["explain"];
    words.extend(args);
    let ended = space.run(&words).code(0);
    ended.stdout[ended.stdout.find("\n  last run").map_or(ended.stdout.len(), |at| at + 1)..].to_owned()
}

#[test]
fn a_full_pool_a_needed_step_and_a_busy_worker_are_told_apart() {
    let space = Space::plan(PLAN);
    assert_eq!(explained(&space, &["up"]), "", "before any run there is nothing to look back at");
    let _ = space.go(&["-j", "4"]).code(0);
    let scan = explained(&space, &["scan"]);
    assert!(scan.contains("  waited     ") && scan.contains("s for pool docker (1), held by up\n"), "{scan}");
    assert!(scan.contains(": pass\n"), "{scan}");
    let after = explained(&space, &["after"]);
    assert!(after.contains("  waited     ") && after.contains("s for slow\n"), "{after}");
    let up = explained(&space, &["up"]);
    assert!(up.contains("  waited     for nothing: it started "), "{up}");

    let first = std::fs::read_link(space.path().join(".runplan/latest")).expect("a run is the latest");
    let first = first.file_name().expect("it has a name").to_string_lossy().into_owned();
    let _ = space.go(&["-j", "1"]).code(0);
    let slow = explained(&space, &["slow"]);
    assert!(slow.contains("s for a free worker (-j 1), held by up"), "{slow}");
    // Any earlier run can be asked about too.
    let slow = explained(&space, &["slow", "--run", &first]);
    assert!(slow.contains(&first) && slow.contains("for nothing: it started "), "{slow}");
    let _ = space.run(&["explain", "slow", "--run", "nowhere"]).code(2).says("no run `nowhere`");
}

#[test]
fn a_plan_that_changed_and_a_step_that_is_new_are_said() {
    let space = Space::plan(PLAN);
    let _ = space.go(&["-j", "2"]).code(0);
    space.write("blueprint.toml", format!("format = 1\n{PLAN}[steps.new]\nrun = ['true']\n"));
    let new = explained(&space, &["new"]);
    assert!(new.contains("it had no such step") && !new.contains("waited"), "{new}");
    assert!(explained(&space, &["scan"]).contains("the plan was another one then"));
}
