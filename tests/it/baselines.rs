//! `baseline` without `compare`: what the step saw in the last run that passed.

use crate::support::Space;

const PLAN: &str = "[plan]\nname = 'p'\n[vars]\nsize = 100\nbroken = 0\n[steps.size]\nrun = 'echo $SIZE'\n\
    env = { SIZE = '{{ vars.size }}' }\nparse = 'json'\npass = ['json.\"$\" <= baseline + 10%']\n\
    allow_no_baseline = 'the first run sets it'\n\
    [steps.other]\nrun = 'exit $BROKEN'\nenv = { BROKEN = '{{ vars.broken }}' }\n";

#[test]
fn a_step_is_held_against_the_last_run_that_passed() {
    let space = Space::plan(PLAN);
    let _ = space.go(&[]).code(0);
    let criteria = space.record()[1]["criteria"].clone();
    let first = criteria.as_array().unwrap().iter().find(|one| one["text"] == "json.\"$\" <= baseline + 10%").unwrap();
    assert_eq!(first["expected"], "<= baseline + 10 % (there is none yet, allowed: the first run sets it)");
    let at_first = space.latest().file_name().unwrap().to_string_lossy().into_owned();
    assert!(space.journal()[0]["settings"].get("baselines").is_none());

    // Up to 110 is fine; what failed, or passed in a run that did not, moves nothing.
    let _ = space.go(&["--var", "size=111"]).code(1).says("(110, baseline 100)");
    assert_eq!(space.journal()[0]["settings"]["baselines"]["size"], at_first.as_str());
    let _ = space.go(&["--var", "size=109", "--var", "broken=1"]).code(1);
    assert_eq!(space.state("size").0, "pass");
    let _ = space.go(&["--var", "size=111"]).code(1);
    let _ = space.go(&["--var", "size=110"]).code(0);
    let _ = space.go(&["--var", "size=121"]).code(0);
    let _ = space.go(&["--var", "size=134"]).code(1).says("(133.1, baseline 121)");
}

#[test]
fn without_an_earlier_run_it_can_not_be_told() {
    let space = Space::plan(&PLAN.replace("allow_no_baseline = 'the first run sets it'\n", ""));
    let _ = space.go(&[]).code(3).says("HOLD").says("there is no baseline yet: no earlier run passed with this step");
    assert_eq!(space.state("size").0, "inconclusive");
}

#[test]
fn what_can_have_no_baseline_is_refused() {
    let reasonless = Space::plan(&PLAN.replace("the first run sets it", " "));
    let _ = reasonless.go(&[]).code(2).says("`allow_no_baseline` needs a reason");
    let every = PLAN.replace("json.\"$\" <= baseline + 10%", "every(json.\"$\") <= baseline");
    let _ = Space::plan(&every).go(&[]).code(2).says("one of many values has no `baseline` of its own");
    let others = PLAN.replace(
        "run = 'exit $BROKEN'",
        "run = 'exit $BROKEN'\nneeds = ['size']\npass = ['steps.size.exit <= baseline']",
    );
    let _ = Space::plan(&others).go(&[]).code(2).says("`steps.size.exit` has no `baseline`");
}
