//! `signoff` in the middle of a plan: what waits for people, what they sign, and what voids it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::support::{Ended, Space};

const PLAN: &str = "[steps.build]\nrun = 'echo $WHAT > out.txt'\nenv = { WHAT = '{{ vars.what }}' }\noutputs = ['out.txt']\n\
    [steps.approve]\nneeds = ['build']\nsignoff = ['Ops', 'Dev']\n\
    [steps.deploy]\nneeds = ['approve']\nrun = 'echo deployed >> deployed.txt'\n[vars]\nwhat = 'one'\n";

/// A workspace with keys of `ana` and `eva`.
pub fn space(plan: &str) -> Option<(Space, PathBuf)> {
    if Command::new("ssh-keygen").arg("-?").stderr(Stdio::null()).status().is_err() {
        crate::support::skip("openssh-client");
        return None;
    }
    let space = Space::plan(plan);
    let keys = space.path().join("keys");
    std::fs::create_dir(&keys).unwrap();
    let mut allowed = String::new();
    for who in ["ana", "eva"] {
        let key = keys.join(who);
        let mut make = Command::new("ssh-keygen");
        make.args(["-q", "-t", "ed25519", "-N", "", "-C", who, "-f"]).arg(&key);
        assert!(make.status().unwrap().success());
        let public = std::fs::read_to_string(key.with_extension("pub")).unwrap();
        allowed += &format!("{who} namespaces=\"runplan\" {public}");
    }
    space.write("allowed_signers", allowed);
    Some((space, keys))
}

pub fn sign(space: &Space, keys: &Path, role: &str, who: &str, more: &[&str]) -> Ended {
    let key = keys.join(who);
    let key = key.to_str().unwrap();
    let mut args = vec!["sign", "latest", "--gate", "approve", "--role", role, "--as", who, "--key", key];
    args.extend(more);
    space.run(&args)
}

#[test]
fn nothing_after_a_gate_starts_before_people_have_signed() {
    let Some((space, keys)) = space(PLAN) else { return };
    let ask = "waits for `Ops`, `Dev`: `runplan sign latest --gate 'approve' --role 'Ops' --as WHO`, then run it again";
    let held = space.go(&[]).code(3).says("HOLD").says(ask);
    assert_eq!(space.state("approve"), ("pending".into(), "unsigned".into()));
    assert!(!space.has("deployed.txt"));
    assert_eq!(held.record_id(), space.go(&["-j1"]).code(3).record_id());

    let _ = sign(&space, &keys, "Ops", "ana", &[]).code(0).says("approved the gate `approve` for `Ops` as ana");
    let _ = sign(&space, &keys, "Dev", "ana", &[]).code(2).says("roles need different people");
    let _ = space.go(&[]).code(3).says("waits for `Dev`");
    let _ = sign(&space, &keys, "Dev", "eva", &[]).code(0);
    let gone = space.go(&[]).code(0);
    assert_eq!(space.read("deployed.txt"), "deployed\n");
    assert_eq!(gone.record_id(), space.go(&["-j1"]).code(0).record_id());

    // Other evidence before the gate: the signatures were about something else.
    let _ = space.go(&["--var", "what=two"]).code(3).says("waits for `Ops`, `Dev`");
    let _ = space.go(&[]).code(0);
}

#[test]
fn what_was_held_goes_on_by_rerun_once_people_have_signed() {
    let plan = PLAN.replace("run = 'echo $WHAT", "run = 'echo x >> built; echo $WHAT");
    let Some((space, keys)) = space(&plan) else { return };
    let _ = space.go(&["--var", "what=two"]).code(3);
    let _ = space.run(&["resume"]).code(2).says("is complete (HOLD)").says("rerun");
    let _ = sign(&space, &keys, "Ops", "ana", &[]).code(0);
    let _ = sign(&space, &keys, "Dev", "eva", &[]).code(0);
    let gone = space.run(&["rerun", "--failed"]).code(0).says("takes over 1 of 3 steps").says("1 reused");
    assert_eq!((space.read("built"), space.read("deployed.txt")), ("x\n".into(), "deployed\n".into()));
    assert_eq!(gone.record_id(), space.go(&["--var", "what=two", "--force"]).code(0).record_id());
}

#[test]
fn a_no_at_a_gate_is_a_failure() {
    let Some((space, keys)) = space(PLAN) else { return };
    let _ = space.go(&[]).code(3);
    let _ = sign(&space, &keys, "Ops", "ana", &["--reject"]).code(0).says("rejected the gate");
    let _ = space.go(&[]).code(1).says("NO-GO").says("rejected == 0");
    assert_eq!(space.state("approve").0, "fail");
}

#[test]
fn a_signature_of_another_gate_or_run_does_not_count() {
    let Some((space, keys)) = space(&format!("{PLAN}[signoffs]\nroles = ['Ops', 'Dev']\n")) else { return };
    let _ = space.go(&[]).code(3);
    let key = keys.join("ana");
    let whole = ["sign", "latest", "--role", "Ops", "--as", "ana", "--key", key.to_str().unwrap()];
    let _ = space.run(&whole).code(0);
    let gates = space.path().join(".runplan/gates/approve");
    let _ = sign(&space, &keys, "Dev", "eva", &[]).code(0);
    let evidence = std::fs::read_dir(&gates).unwrap().next().unwrap().unwrap().path();
    for name in ["Ops.json", "Ops.json.sig"] {
        std::fs::copy(space.latest().join("signoffs").join(name), evidence.join("signoffs").join(name)).unwrap();
    }
    let _ = space.go(&[]).code(3).says("waits for `Ops`");
    let told = space.journal().iter().any(|line| line.to_string().contains("it was given for a whole run"));
    assert!(told, "the reason is in the journal");
    // And a step that is no gate is none.
    let wrong = ["sign", "latest", "--gate", "aprove", "--role", "Ops", "--as", "ana", "--key", key.to_str().unwrap()];
    let _ = space.run(&wrong).code(2).says("reached no `signoff` step `aprove`: it has approve");
}

#[test]
fn two_of_three_are_enough_where_the_plan_says_so() {
    let plan = PLAN.replace(
        "signoff = ['Ops', 'Dev']",
        "signoff = ['Ops', 'Dev', 'QA']\npass = ['approved >= 2', 'rejected == 0']",
    );
    let Some((space, keys)) = space(&plan) else { return };
    let _ = space.go(&[]).code(3);
    let _ = sign(&space, &keys, "QA", "ana", &[]).code(0);
    let _ = space.go(&[]).code(3);
    let _ = sign(&space, &keys, "Dev", "eva", &[]).code(0);
    let _ = space.go(&[]).code(0);
}
