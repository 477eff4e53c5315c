//! Whole runs of small plans: states, flow, outputs, exit codes.

use crate::support::Space;

#[test]
fn a_plan_without_failures_is_go() {
    let space = Space::plan(
        "[steps.a]\nrun = 'true'\n[steps.b]\nneeds = ['a']\nrun = ['echo', 'hi']\npass = ['stdout == \"hi\\n\"']\n",
    );
    let ended = space.go(&[]).code(0).says("GO  risk 0");
    let bytes = std::fs::read(space.latest().join("record.jsonl")).unwrap();
    assert_eq!(ended.record_id(), runplan::digest::sha256_hex(&bytes), "sha256sum checks the record");
}

#[test]
fn a_required_failure_is_no_go_and_blocks_what_needs_it() {
    let space =
        Space::plan("[steps.a]\nrun = 'exit 3'\n[steps.b]\nneeds = ['a']\nrun = 'true'\n[steps.c]\nrun = 'true'\n");
    let _ = space.go(&[]).code(1).says("exit == 0").says("blocked   b");
    assert_eq!(space.state("a"), ("fail".into(), "criteria".into()));
    assert_eq!(space.state("b"), ("skipped".into(), "need_failed".into()));
    assert_eq!(space.state("c"), ("pass".into(), String::new()));
}

#[test]
fn a_dry_run_uses_what_it_knows() {
    let space = Space::plan(
        "[vars]\nmode = 'a'\n[steps.off]\nwhen = \"vars.mode == 'b'\"\nrun = 'true'\n[steps.behind]\nneeds = ['off']\nrun = 'true'\n",
    );
    let _ = space.go(&["-n"]).code(0).says("`when` does not hold: vars.mode == 'b'").says("needs off").says("0 to run");
    let _ = space.go(&["-n", "--var", "mode=b"]).code(0).says("2 to run");
}

#[test]
fn a_part_of_a_plan_is_no_verdict_on_the_whole() {
    let space = Space::plan("[steps.a]\nrun = 'true'\n[steps.b]\nrun = 'exit 1'\n[finally.c]\nrun = 'true'\n");
    let _ = space.go(&["a"]).code(0).says("partial: 1 of 3 steps not selected");
    let _ = space.go(&["--skip", "a", "--skip", "b"]).code(3).says("no step ran: nothing was judged");
}

#[test]
fn one_worker_runs_in_plan_rank_whatever_was_slow_before() {
    let space = Space::plan(
        "[steps.first]\nrun = 'test ! -e made'\n[steps.second]\nrun = 'touch made; sleep 0.2'\n[finally.rm]\nrun = 'rm -f made'\n",
    );
    for _ in 0..3 {
        let _ = space.go(&["-j1"]).code(0);
    }
}
