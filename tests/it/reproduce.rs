//! `runplan verify --rerun`: the plan of a run again in a clean copy, and everything that comes out otherwise.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{Space, finish, skip};

/// Copies go to a folder of the test's own, so that it can tell whether one was left behind.
fn space(plan: &str) -> (Space, tempfile::TempDir) {
    let copies = tempfile::tempdir().expect("a temporary folder");
    let space = Space::plan(plan).env("TMPDIR", copies.path().to_str().expect("UTF-8"));
    (space, copies)
}

fn is_empty(folder: &Path) -> bool {
    fs::read_dir(folder).expect("a folder").next().is_none()
}

#[track_caller]
fn until(what: &str, holds: impl Fn() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(30), "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

const SAME: &str = r#"
[steps.make]
run = "printf x > out; ln -sf out link"
inputs = ["in"]
outputs = ["out"]
artifacts = ["out"]
[steps.tool]
needs = ["make"]
run = "./tool.sh"
[steps.grows]
run = "echo line >> log; wc -l < log"
outputs = ["log"]
pass = ["exit == 0", 'stdout contains "1"']
[steps.cover]
run = "echo 7"
ratchet = { floor = 3 }
pass = ["exit == 0", "count(lines(stdout)) >= 1"]
[finally.tidy]
run = "true"
"#;

#[test]
fn what_is_reproducible_gives_the_same_record_and_nothing_is_left() {
    let (space, copies) = space(&SAME.replace("ratchet = { floor = 3 }\n", ""));
    space.write("in", "1").write("tool.sh", "#!/bin/sh\ntest -L link\n");
    fs::set_permissions(space.path().join("tool.sh"), fs::Permissions::from_mode(0o755)).unwrap();
    let _ = space.go(&[]).code(0);
    let latest = space.latest();
    let ended =
        space.run(&["verify", "--rerun"]).code(0).says("REPRODUCED").says("without 2 files that the run had made");
    assert!(ended.stdout.starts_with("run "), "what goes on is told on stderr: {}", ended.stdout);
    assert!(is_empty(copies.path()), "the copy is gone");
    assert_eq!((space.latest(), space.read("log").lines().count()), (latest, 1), "the workspace is as it was");
    let said = json(&space.run(&["verify", "last", "--rerun", "--format", "json", "-j1"]).code(0).stdout);
    assert_eq!((said["same"].as_bool(), &said["record"]), (Some(true), &said["again"]));
    let ended = space.run(&["verify", "--rerun", "--keep"]).code(0).says("the copy is kept in");
    let kept = ended.stderr.split("kept in `").nth(1).and_then(|rest| rest.split('`').next()).expect("a path");
    assert!(Path::new(kept).join(".runplan/latest/record.jsonl").is_file());
    let _ = space.run(&["verify", "--keep"]).code(2);
}

#[test]
fn a_clock_in_an_output_is_named_with_its_step_and_the_fix() {
    let (space, copies) = space(
        "[steps.stamp]\nrun = 'date +%s%N > out.txt; date +%N > undeclared'\noutputs = ['out.txt']\n\
         [steps.use]\nneeds = ['stamp']\ninputs = ['out.txt']\noutputs = ['sum']\nrun = 'cat out.txt out.txt > sum'\n\
         [steps.other]\nrun = 'true'\n",
    );
    let _ = space.go(&[]).code(0);
    let ended = space.run(&["verify", "--rerun", "latest"]).code(1);
    let ended =
        ended.says("step stamp  comes out otherwise").says("out.txt  output with other bytes").says("first in line 1");
    let ended = ended
        .says("SOURCE_DATE_EPOCH")
        .says("(`class = \"normalized\"` with `normalize`)")
        .says("step use  only because of stamp");
    let ended = ended
        .says("`undeclared` is not the same either, written by")
        .says("NOT REPRODUCED  1 step comes out otherwise, 1");
    assert!(!ended.stdout.contains("step other"), "{}", ended.stdout);
    assert!(is_empty(copies.path()));
    let said = json(&space.run(&["verify", "--rerun", "--format", "json"]).code(1).stdout);
    let first = &said["divergences"][0];
    assert_eq!((&first["step"], &first["files"][0]["path"]), (&json("\"stamp\""), &json("\"out.txt\"")));
    assert_eq!(first["files"][0]["then"].as_str(), Some(space.read("out.txt").trim()));
}

#[test]
fn all_divergences_are_told_and_a_step_that_is_flaky_by_its_criterion() {
    let (space, copies) = space(
        "[env]\npass = ['PATH', 'MOOD']\n[steps.mood]\nrun = 'test \"$MOOD\" = good'\n[steps.after]\nneeds = ['mood']\nrun = 'true'\n\
         [steps.place]\nrun = 'pwd > where'\noutputs = ['where']\n[steps.names]\nrun = 'echo v=$MOOD > \"$RUNPLAN_OUTPUT\"'\noutputs = { values = ['v'] }\n",
    );
    let mut space = space;
    space = space.env("MOOD", "good");
    let _ = space.go(&[]).code(0);
    let space = space.env("MOOD", "bad");
    let ended = space.run(&["verify", "--rerun"]).code(1).says("step mood").says("`exit == 0` was 0, then 1");
    let ended = ended.says("step after  only because of mood").says("holds the path of the workspace");
    let _ = ended.says("3 steps come out otherwise, 1 only").says("GO is now NO-GO");
    assert!(is_empty(copies.path()));
}

fn git(folder: &Path, args: &[&str]) -> bool {
    let mut command = Command::new("git");
    command.args(["-c", "user.name=a", "-c", "user.email=a@b", "-c", "init.defaultBranch=main"]).args(args);
    let done = command.current_dir(folder).stdin(Stdio::null()).output();
    done.is_ok_and(|done| done.status.success())
}

const IN_GIT: &str = "format = 1\n[steps.sees]\nrun = 'git rev-parse HEAD > /dev/null && test -e tracked && test -e new && test ! -e gone'\n\
     [steps.leans]\nrun = 'test -e ignored || test ! -e used'\n[steps.index]\nrun = 'git add -N new'\n";

#[test]
fn in_a_git_work_tree_the_copy_has_what_a_clone_would_have_and_what_is_new() {
    let (space, copies) = space("");
    if !git(space.path(), &["init", "-q", "repo"]) {
        return skip("git");
    }
    let repo = space.path().join("repo");
    fs::create_dir_all(repo.join("sub")).unwrap();
    for (name, text) in
        [("sub/blueprint.toml", IN_GIT), ("sub/tracked", ""), ("sub/gone", ""), (".gitignore", "ignored\n.runplan\n")]
    {
        fs::write(repo.join(name), text).unwrap();
    }
    assert!(git(&repo, &["add", "."]) && git(&repo, &["commit", "-qm", "one"]));
    // Several work trees share one repository; the copy has one of its own.
    assert!(git(&repo, &["worktree", "add", "-q", "../tree"]));
    for home in [repo.clone(), space.path().join("tree")] {
        fs::remove_file(home.join("sub/gone")).unwrap();
        fs::write(home.join("sub/new"), "").unwrap();
        let run = |args: &[&str]| {
            let mut command = space.command(args);
            finish(command.current_dir(home.join("sub")).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
        };
        let _ = run(&["blueprint.toml"]).code(0);
        assert!(git(&home, &["reset", "-q"]));
        let _ = run(&["verify", "--rerun"]).code(0).says("what git tracks or does not ignore").says("REPRODUCED");
        let staged = Command::new("git").args(["ls-files", "sub/new"]).current_dir(&home).output().unwrap();
        assert!(staged.stdout.is_empty(), "the index of the workspace is not touched");
        fs::write(home.join("sub/ignored"), "").unwrap();
        fs::write(home.join("sub/used"), "").unwrap();
        let _ = run(&["blueprint.toml"]).code(0);
        let _ = run(&["verify", "--rerun"]).code(1).says("step leans").says("`exit == 0` was 0, then 1");
        fs::remove_file(home.join("sub/ignored")).unwrap();
        fs::remove_file(home.join("sub/used")).unwrap();
    }
    assert!(is_empty(copies.path()));
}

#[test]
fn what_changed_since_in_the_workspace_is_told_as_that() {
    let (space, _copies) = space("[steps.a]\ninputs = ['in']\nrun = 'cat in'\n");
    space.write("in", "1");
    let _ = space.go(&[]).code(0);
    space.write("in", "2").write("blueprint.toml", "format = 1\n");
    let ended = space.run(&["verify", "--rerun"]).code(1).says("`in` is not what the run read");
    let _ = ended.says("1 step comes out otherwise");
}

/// The ratchet rises with what was reached, a baseline is another run, and people have signed in the workspace's store.
#[test]
fn ratchets_and_baselines_are_what_they_were() {
    let (space, _copies) = space(
        "[steps.cover]\nrun = 'cat n'\nparse = 'json'\nratchet = { floor = 1 }\npass = ['exit == 0', 'json.\"$.n\" >= ratchet']\n\
         [steps.same]\nrun = 'cat n'\nparse = 'json'\nallow_no_baseline = 'first'\npass = ['exit == 0', 'json.\"$.n\" <= baseline + 10%']\n",
    );
    for n in ["7", "7.5"] {
        space.write("n", format!("{{\"n\": {n}}}"));
        let _ = space.go(&[]).code(0);
        assert!(space.read("blueprint.ratchet.toml").contains("best"));
        let _ = space.run(&["verify", "--rerun"]).code(0).says("REPRODUCED");
    }
}

#[test]
fn secrets_have_to_be_there_again_and_a_log_elsewhere_has_no_workspace() {
    let (space, copies) =
        space("[secrets]\ntoken = { env = 'TOKEN' }\n[steps.a]\nsecrets = ['token']\nrun = 'test -n \"$TOKEN\"'\n");
    let mut with = space.command(&["blueprint.toml"]);
    let ended =
        finish(with.env("TOKEN", "not-a-real-one").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap());
    let _ = ended.code(0);
    let _ = space.run(&["verify", "--rerun"]).code(2).says("TOKEN");
    let space = space.env("TOKEN", "another-one");
    let _ = space.run(&["verify", "--rerun"]).code(0);
    let away = Space::new();
    let copy = away.path().join("copy");
    fs::create_dir(&copy).unwrap();
    for name in ["journal.jsonl", "record.jsonl", "plan.toml", "plan.files.jsonl"] {
        fs::copy(space.latest().join(name), copy.join(name)).unwrap();
    }
    let _ = away.run(&["verify", "--rerun", "./copy"]).code(2).says("lies in no workspace");
    assert!(is_empty(copies.path()));
}

#[test]
fn an_interrupted_rerun_leaves_nothing_behind() {
    let (space, copies) =
        space("[env]\npass = ['PATH', 'FAST']\n[steps.a]\nrun = 'test -n \"$FAST\" || { : > here; sleep 60; }'\n");
    let mut fast = space.command(&["blueprint.toml"]);
    let _ = finish(fast.env("FAST", "1").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()).code(0);
    let child = space.command(&["verify", "--rerun"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let began = || {
        let copy = fs::read_dir(copies.path()).unwrap().next();
        copy.and_then(|copy| fs::read_dir(copy.ok()?.path()).ok()?.next()?.ok())
            .is_some_and(|home| home.path().join("here").exists())
    };
    until("the step began", began);
    let told = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(told.is_ok_and(|told| told.success()));
    assert_eq!(finish(child).code, 130);
    assert!(is_empty(copies.path()));
}

/// The same but for times, process ids and the place of the workspace.
const NORMALIZED: &str = r#"
[steps.log]
run = "{ date; echo \"pid $$ in $PWD\"; echo b; echo a; date +%FT%T.%N; } > run.log"
artifacts = [{ path = "run.log", normalize = ["timestamps", "workspace", { replace = "pid ([0-9]+)", with = "pid N" }, "sort-lines"] }]
[steps.reads]
needs = ["log"]
inputs = ["run.log"]
outputs = ["lines"]
run = "wc -l < run.log > lines"
[steps.stdin]
needs = ["log"]
stdin = { file = "run.log" }
run = "grep -c a"
"#;

#[test]
fn what_filters_take_out_is_no_part_of_the_record() {
    let (space, _copies) = space(NORMALIZED);
    let _ = space.go(&["--strict"]).code(0);
    let first = (space.record(), space.read("run.log"));
    let _ = space.run(&["verify", "--rerun"]).code(0).says("REPRODUCED");
    let _ = space.go(&["--no-reuse"]).code(0);
    assert_eq!(space.record(), first.0);
    assert_ne!(space.read("run.log"), first.1, "the file itself is as it was written");
    let _ = space.run(&["verify"]).code(0).says("1 by what filters leave too");
    let record = space.record();
    let output = &record.iter().find(|line| line["id"] == "log").unwrap()["outputs"][0];
    assert_eq!(output["class"], "normalized");
    let text = "<time>\n<time>\na\nb\npid N in $WORKSPACE\n";
    assert_eq!(output["size"], text.len(), "{output}");
    let input = &record.iter().find(|line| line["id"] == "reads").unwrap()["inputs"][0];
    assert_eq!(input["sha256"], output["sha256"], "who reads it counts the same");
    // The step that reads is reused although the bytes are others.
    let _ = space.go(&[]).code(0);
    let reused: Vec<Value> = space.journal().into_iter().filter(|event| event["t"] == "reused").collect();
    assert_eq!(reused.len(), 1, "{reused:?}");
}

#[test]
fn what_filters_leave_counts() {
    let (space, _copies) = space(
        "[steps.log]\nrun = 'date +%N > n; echo now $(date +%T) >> n'\noutputs = [{ path = 'n', normalize = ['timestamps'] }]\n\
         [steps.long]\nrequired = false\nrun = 'head -c 2000000 /dev/zero > long'\noutputs = [{ path = 'long', normalize = ['crlf'] }]\n",
    );
    let _ = space.go(&[]).code(0).says("can't normalize `long`: line 1 is longer than 1024 KiB");
    let ended = space.run(&["verify", "--rerun"]).code(1).says("step log").says("first in line 1");
    let _ = ended.says("1 step comes out otherwise");
}
