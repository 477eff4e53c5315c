//! Looking at a plan does nothing else: no process, no connection, nothing written. The kernel is the witness.

use std::path::Path;
use std::process::Command;

use crate::support::{RUNPLAN, copy, repository};

/// Calls that would be an effect, or could be one. `?` lets an architecture have no such call.
const CALLS: &str = "execve,?execveat,connect,bind,?fork,?vfork,?open,openat,?openat2,?creat,?mkdir,mkdirat,?mknod,mknodat,\
                     ?rename,?renameat,renameat2,?unlink,unlinkat,?link,linkat,?symlink,symlinkat,?chmod,fchmod,fchmodat,\
                     truncate,ftruncate,kill,?tgkill";

/// Whether `strace` can be used; in CI it must be.
pub fn strace() -> bool {
    let works =
        Command::new("strace").args(["-f", "-o", "/dev/null", "true"]).output().is_ok_and(|o| o.status.success());
    assert!(works || std::env::var_os("CI").is_none(), "CI needs the package `strace` and permission to trace");
    if !works {
        // A test has no other way to say that it was left out.
        crate::support::say("left out: install the package `strace` (and allow tracing)");
    }
    works
}

/// What is wrong with a line of the trace.
fn effect(line: &str) -> bool {
    let call = line.trim_start_matches(|c: char| c.is_ascii_digit() || c == ' ');
    let name = call.split('(').next().unwrap_or("");
    match name {
        "openat" | "open" | "openat2" => {
            ["O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC", "O_APPEND"].iter().any(|flag| call.contains(flag))
        }
        _ => !call.starts_with("+++") && !call.starts_with("---") && !call.starts_with("strace:"),
    }
}

#[track_caller]
pub fn is_pure(folder: &Path, args: &[&str]) {
    let trace = tempfile::NamedTempFile::new().expect("a file");
    let output = Command::new("strace")
        .args(["-f", "-qq", "-e", &format!("trace={CALLS}"), "-o"])
        .arg(trace.path())
        .arg(RUNPLAN)
        .args(args)
        .current_dir(folder)
        .env_remove("RUNPLAN_JOBS")
        .output()
        .expect("strace starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args:?}: {said}");
    assert!(!output.stdout.is_empty(), "{args:?} says something");
    let text = std::fs::read_to_string(trace.path()).expect("a trace");
    let mut lines = text.lines();
    let first = lines.next().expect("a trace has lines");
    assert!(first.contains("execve("), "{first}");
    let effects: Vec<&str> = lines.filter(|line| effect(line)).collect();
    assert!(effects.is_empty(), "{args:?} is not pure:\n{}", effects.join("\n"));
    assert!(text.contains("O_RDONLY"), "the trace saw the plan being read");
}

#[test]
fn looking_at_a_plan_starts_connects_and_writes_nothing() {
    if !strace() {
        return;
    }
    for (plan, step) in
        [("plans/staging/blueprint.toml", None), ("examples/quickstart/blueprint.toml", Some("answers"))]
    {
        is_pure(repository(), &["-n", plan]);
        is_pure(repository(), &["check", plan]);
        is_pure(repository(), &["check", "--format", "json", plan]);
        is_pure(repository(), &["list", plan]);
        let listed = Command::new(RUNPLAN).args(["list", "--format", "json", plan]).current_dir(repository()).output();
        let listed = String::from_utf8(listed.expect("it starts").stdout).expect("JSON");
        let listed: serde_json::Value = serde_json::from_str(&listed).expect("JSON");
        let first = listed[0]["name"].as_str();
        let step = step.or(first).expect("a plan has steps");
        is_pure(repository(), &["explain", plan, step]);
    }
}

#[test]
fn the_witness_sees_a_run() {
    if !strace() {
        return;
    }
    let space = tempfile::tempdir().expect("a folder");
    copy(&repository().join("examples/quickstart"), space.path());
    let trace = space.path().join("trace");
    let status = Command::new("strace")
        .args(["-f", "-qq", "-e", &format!("trace={CALLS}"), "-o"])
        .arg(&trace)
        .args([RUNPLAN, "blueprint.toml", "pages"])
        .current_dir(space.path())
        .output();
    assert!(status.expect("strace starts").status.success());
    let text = std::fs::read_to_string(trace).expect("a trace");
    let effects: Vec<&str> = text.lines().skip(1).filter(|line| effect(line)).collect();
    for wanted in ["execve(", "mkdir", "O_CREAT"] {
        assert!(effects.iter().any(|line| line.contains(wanted)), "{wanted} was not seen");
    }
}

#[test]
fn foreseeing_what_is_reused_does_nothing_else() {
    if !strace() {
        return;
    }
    let space = crate::support::Space::plan(
        "[steps.make]\ninputs = ['blueprint.toml']\noutputs = ['out']\nrun = 'echo > out'\n",
    );
    let _ = space.go(&[]).code(0);
    let _ = space.go(&["-n"]).code(0).says("1 reused");
    is_pure(space.path(), &["-n"]);
    is_pure(space.path(), &["explain", "make"]);
}
