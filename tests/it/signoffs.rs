//! Sign-offs: who signed what for which run, and what does not count.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::support::Space;

const PLAN: &str = "[steps.a]\nrun = 'echo hi > out.txt'\nartifacts = ['out.txt']\n\
    [signoffs]\nroles = ['Dev Backend', 'Ops/SRE']\n";

/// A workspace with keys of `ana` and `eva`, who are allowed, and of `eve`, who is not.
pub fn space(plan: &str) -> Option<(Space, PathBuf)> {
    if Command::new("ssh-keygen").arg("-?").stderr(Stdio::null()).status().is_err() {
        assert!(std::env::var_os("CI").is_none(), "ssh-keygen is missing: install openssh-client");
        return None;
    }
    let space = Space::plan(plan);
    let keys = space.path().join("keys");
    std::fs::create_dir(&keys).unwrap();
    let mut allowed = String::new();
    for who in ["ana", "eva", "eve"] {
        let key = keys.join(who);
        let mut make = Command::new("ssh-keygen");
        make.args(["-q", "-t", "ed25519", "-N", "", "-C", who, "-f"]).arg(&key);
        assert!(make.status().unwrap().success());
        let public = std::fs::read_to_string(key.with_extension("pub")).unwrap();
        if who != "eve" {
            allowed += &format!("{who} namespaces=\"runplan\" {public}");
        }
    }
    space.write("allowed_signers", allowed);
    Some((space, keys))
}

/// `runplan sign latest`.
pub fn sign(space: &Space, keys: &Path, role: &str, who: &str, key: &str, more: &[&str]) -> crate::support::Ended {
    let key = keys.join(key);
    let mut args = vec!["sign", "latest", "--role", role, "--as", who, "--key", key.to_str().unwrap()];
    args.extend(more);
    space.run(&args)
}

fn file(space: &Space, role: &str) -> PathBuf {
    space.latest().join("signoffs").join(format!("{role}.json"))
}

#[test]
fn a_run_on_hold_becomes_go_by_two_people_and_runs_nothing() {
    let Some((space, keys)) = space(PLAN) else { return };
    let held = space.go(&[]).code(3).says("HOLD").says("the sign-off of `Ops/SRE` is missing");
    let (record, journal) = (space.latest().join("record.jsonl"), space.latest().join("journal.jsonl"));
    let before = (std::fs::read(&record).unwrap(), std::fs::read(&journal).unwrap());
    let end = space.record().pop().unwrap();
    assert_eq!(end["verdict"], "HOLD");
    assert_eq!(end["holds"].as_array().unwrap().len(), 2);
    std::fs::remove_file(space.path().join("out.txt")).unwrap();

    let _ = space.run(&["decide", "latest"]).code(3).says("missing   Dev Backend");
    let _ = sign(&space, &keys, "Dev Backend", "ana", "ana", &[]).code(0).says("open: `Ops/SRE` (missing)");
    let _ = space.run(&["decide"]).code(3).says("approved  Dev Backend  ana").says("missing   Ops/SRE");
    let _ = sign(&space, &keys, "Ops/SRE", "eva", "eva", &["--comment", "go on"]).code(0).says("every role");
    let gone = space.run(&["decide"]).code(0).says("GO  risk 0");

    assert!(!space.has("out.txt"), "nothing ran again");
    assert_eq!(before, (std::fs::read(&record).unwrap(), std::fs::read(&journal).unwrap()));
    assert_eq!(held.record_id(), gone.record_id());
    let decision: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(space.latest().join("decision.json")).unwrap()).unwrap();
    assert_eq!(decision["decision"]["verdict"], "GO");
    assert_eq!(decision["signoffs"][1]["comment"], "go on");
    // A stranger needs only ssh-keygen.
    let statement = std::fs::File::open(file(&space, "Dev%20Backend")).unwrap();
    let mut check = Command::new("ssh-keygen");
    check.args(["-Y", "verify", "-n", "runplan", "-I", "ana", "-f"]).arg(space.path().join("allowed_signers"));
    check.arg("-s").arg(file(&space, "Dev%20Backend").with_extension("json.sig")).stdin(statement);
    assert!(check.stdout(Stdio::null()).status().unwrap().success());
}

#[test]
fn a_no_is_no_go_and_only_its_signer_takes_it_back() {
    let Some((space, keys)) = space(PLAN) else { return };
    let _ = space.go(&[]).code(3);
    let _ = sign(&space, &keys, "Ops/SRE", "eva", "eva", &["--reject", "--comment", "no rollback"]).code(0);
    let _ = space.run(&["decide"]).code(1).says("NO-GO").says("`Ops/SRE` (eva) rejects it: no rollback");
    let _ = sign(&space, &keys, "Ops/SRE", "ana", "ana", &[]).code(2).says("was rejected by eva, and only they");
    let _ = sign(&space, &keys, "Ops/SRE", "eva", "eva", &[]).code(0);
    let _ = space.run(&["decide"]).code(3).hides("NO-GO");
}

#[test]
fn who_may_not_sign_does_not() {
    let plan = format!("{PLAN}people = {{ 'Ops/SRE' = ['eva'] }}\n");
    let Some((space, keys)) = space(&plan) else { return };
    let _ = space.go(&[]).code(3);
    let _ = sign(&space, &keys, "Ops", "ana", "ana", &[]).code(2).says("no role `Ops`; the plan has `Dev Backend`");
    let _ = sign(&space, &keys, "Ops/SRE", "ana", "ana", &[]).code(2).says("`ana` may not sign for `Ops/SRE`");
    let _ = sign(&space, &keys, "Dev Backend", "eve", "eve", &[]).code(2).says("does not allow this key for `eve`");
    let _ = sign(&space, &keys, "Dev Backend", "ana", "eve", &[]).code(2).says("does not allow this key for `ana`");
    let _ = sign(&space, &keys, "Dev Backend", "ana", "none", &[]).code(2).says("the key does not sign");
    assert!(!space.latest().join("signoffs").exists(), "nothing was kept");
    let _ = sign(&space, &keys, "Dev Backend", "eva", "eva", &[]).code(0);
    let _ = sign(&space, &keys, "Ops/SRE", "eva", "eva", &[]).code(2).says("signed as `Dev Backend` already");
}

#[test]
fn forged_moved_and_replayed_signatures_are_refused_with_the_reason() {
    let Some((space, keys)) = space(PLAN) else { return };
    let _ = space.go(&[]).code(3);
    let _ = sign(&space, &keys, "Dev Backend", "ana", "ana", &[]).code(0);
    let (path, sig) = (file(&space, "Dev%20Backend"), file(&space, "Dev%20Backend").with_extension("json.sig"));
    let (statement, signature) = (std::fs::read_to_string(&path).unwrap(), std::fs::read(&sig).unwrap());

    std::fs::write(&path, statement.replace("approve", "reject")).unwrap();
    let _ = space.run(&["decide"]).code(3).says("the signature does not verify").says("refused   Dev Backend");
    std::fs::write(&path, &statement).unwrap();
    std::fs::remove_file(&sig).unwrap();
    let _ = space.run(&["decide"]).code(3).says("it has no signature");

    // For another role.
    std::fs::write(&sig, &signature).unwrap();
    let other = file(&space, "Ops%2FSRE");
    std::fs::copy(&path, &other).unwrap();
    std::fs::copy(&sig, other.with_extension("json.sig")).unwrap();
    let _ = space.run(&["decide"]).code(3).says("it was signed for the role `Dev Backend`");

    // For another run of the same plan.
    let first = space.latest();
    let _ = space.go(&[]).code(3);
    assert_ne!(first, space.latest());
    std::fs::create_dir(space.latest().join("signoffs")).unwrap();
    std::fs::copy(&path, file(&space, "Dev%20Backend")).unwrap();
    std::fs::copy(&sig, file(&space, "Dev%20Backend").with_extension("json.sig")).unwrap();
    let _ = space.run(&["decide"]).code(3).says("it was given for another journal").says("sign again");
}

#[test]
fn an_approval_expires() {
    let plan = PLAN.replace("[signoffs]", "[signoffs]\nvalid = '1ms'\ndistinct = false");
    let Some((space, keys)) = space(&plan) else { return };
    let _ = space.go(&[]).code(3);
    let _ = sign(&space, &keys, "Dev Backend", "ana", "ana", &[]).code(0);
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    loop {
        let ended = space.run(&["decide"]).code(3);
        if ended.stdout.contains("it expired: signed at") {
            break;
        }
        assert!(std::time::Instant::now() < deadline, "{}", ended.stdout);
    }
}

#[test]
fn one_byte_of_evidence_voids_everything() {
    let Some((space, keys)) = space(PLAN) else { return };
    let _ = space.go(&[]).code(3);
    let _ = sign(&space, &keys, "Dev Backend", "ana", "ana", &[]).code(0);
    let _ = sign(&space, &keys, "Ops/SRE", "eva", "eva", &[]).code(0);
    let _ = space.run(&["decide"]).code(0);
    let object = runplan::digest::sha256_hex(b"hi\n");
    let archived = format!(".runplan/objects/sha256/{}/{}", &object[..2], &object[2..]);
    let folder = space.latest();
    let files = [
        folder.join("record.jsonl"),
        folder.join("journal.jsonl"),
        folder.join("plan.toml"),
        space.path().join(archived),
    ];
    for path in files {
        let bytes = std::fs::read(&path).unwrap();
        let mut changed = bytes.clone();
        let at = changed.len() / 2;
        changed[at] ^= 1;
        std::fs::write(&path, changed).unwrap();
        let ended = space.run(&["decide"]);
        assert_eq!(ended.code, 4, "{}: {}{}", path.display(), ended.stdout, ended.stderr);
        std::fs::write(&path, bytes).unwrap();
    }
    let _ = space.run(&["decide"]).code(0);
}

#[test]
fn runs_without_sign_offs_and_without_records_say_so() {
    let space = Space::plan("[steps.a]\nrun = 'true'\n");
    let _ = space.run(&["decide"]).code(2).says("no `.runplan` here or above");
    let _ = space.go(&[]).code(0);
    let _ = space.run(&["decide"]).code(0).says("GO");
    let _ = space.run(&["decide", "nonesuch"]).code(2).says("no run `nonesuch`");
    let _ = space.run(&["sign", "--role", "x", "--as", "y"]).code(2).says("asks for no sign-offs");
    std::fs::remove_file(space.latest().join("record.jsonl")).unwrap();
    let _ = space.run(&["decide"]).code(2).says("has no record");
}

#[test]
fn a_run_that_people_made_go_is_a_baseline() {
    let plan = "[vars]\nsize = 100\n[steps.size]\nrun = 'echo $SIZE'\nenv = { SIZE = '{{ vars.size }}' }\nparse = 'json'\n\
        pass = ['json.\"$\" <= baseline']\nallow_no_baseline = 'first'\n[signoffs]\nroles = ['Ops']\n";
    let Some((space, keys)) = space(plan) else { return };
    let _ = space.go(&[]).code(3);
    let _ = space.go(&["--var", "size=130"]).code(3);
    assert_eq!(space.state("size").0, "pass", "nobody has signed a run yet");
    let _ = sign(&space, &keys, "Ops", "ana", "ana", &[]).code(0);
    let _ = space.run(&["decide"]).code(0);
    let _ = space.go(&["--var", "size=131"]).code(1).says("baseline").says("130");
}

#[test]
fn verify_tells_signatures_only_when_asked_and_a_bad_one_is_no_fault_of_the_log() {
    let Some((space, keys)) = space(PLAN) else { return };
    let _ = space.go(&[]).code(3);
    let _ = sign(&space, &keys, "Dev Backend", "ana", "ana", &[]).code(0);
    let said =
        space.run(&["verify"]).code(0).says("a statement by ana about this run").says("`Ops/SRE`: nobody signed");
    let _ = said.hides("approved");
    let _ = space.run(&["verify", "--signatures"]).code(0).says("`Dev Backend`: approved by ana");
    let (path, sig) = (file(&space, "Dev%20Backend"), file(&space, "Dev%20Backend").with_extension("json.sig"));
    std::fs::write(&sig, "no signature").unwrap();
    let _ = space.run(&["verify"]).code(0).says("a statement by ana about this run");
    let _ = space.run(&["verify", "--signatures"]).code(0).says("`Dev Backend`: refused by ana");
    std::fs::write(&path, "{}\n").unwrap();
    let _ = space.run(&["verify"]).code(0).says("does not count: its file is no statement");
}
