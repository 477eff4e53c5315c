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
