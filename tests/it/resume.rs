//! A run that was interrupted goes on: wherever it was cut off, its record is that of a run without the interruption.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use crate::faults::{alive, recomputed};
use crate::seeded::Seed;
use crate::support::{self, Space};

/// One step of every kind that matters here. Each tells in a file of its own that it ran; the service ends with whoever
/// started it.
const ALL: &str = r#"
[plan]
name = "all"
[vars]
list = ["a", "b"]
word = "two words"
[steps.make]
run = 'echo x >> ran-make; mkdir -p out; echo "$WORD" > out/a; echo v=7 > $RUNPLAN_OUTPUT'
env = { WORD = "{{ vars.word }}" }
outputs = { files = ["out/a"], values = ["v"] }
artifacts = [{ path = "out/a" }]
[steps.svc]
needs = ["make"]
service = { run = 'echo x >> ran-svc; echo up; while kill -0 $PPID 2>/dev/null; do sleep 0.02; done', ready = { log = "up", every = "10ms" } }
[steps.cell]
needs = ["make"]
matrix = { n = [1, 2] }
env = { V = "{{ steps.make.outputs.v }}" }
run = 'echo x >> ran-cell; test "$V" = 7'
[steps.asks]
needs = ["svc"]
run = 'echo x >> ran-asks'
[steps.flaky]
retry = { limit = 2, backoff = "1ms" }
run = 'echo x >> ran-flaky; test $RUNPLAN_ATTEMPT -ge 2'
[steps.soft]
required = false
run = 'exit 3'
[steps.told]
needs = ["flaky"]
value = { code = "steps.flaky.exit" }
pass = ["code == 0"]
[steps.last]
needs = ["asks", "told"]
run = 'echo x >> ran-last'
[finally.tidy]
run = 'echo x >> ran-tidy'
"#;

fn only_run(space: &Space) -> PathBuf {
    let mut runs = std::fs::read_dir(space.path().join(".runplan/runs")).expect("runs");
    let run = runs.next().expect("a run").expect("a folder").path();
    assert!(runs.next().is_none(), "one run");
    run
}

#[test]
fn every_prefix_of_a_journal_is_resumed_to_the_clean_record() {
    let space = Space::plan(ALL);
    let right = space.go(&[]).code(0).record_id();
    let run = only_run(&space);
    let journal = std::fs::read(run.join("journal.jsonl")).expect("a journal");
    let record = std::fs::read(run.join("record.jsonl")).expect("a record");
    let ends: Vec<usize> = (1..=journal.len()).filter(|end| journal[end - 1] == b'\n').collect();
    let mut seed = Seed::new(4);
    let mut cuts: Vec<usize> = ends.clone();
    cuts.extend(ends.windows(2).map(|pair| pair[0] + 1 + seed.below(pair[1] - pair[0] - 1)));
    for cut in cuts.iter().filter(|cut| **cut < journal.len()) {
        std::fs::write(run.join("journal.jsonl"), &journal[..*cut]).expect("written");
        // Its engine may have died before or after the record was there.
        if seed.chance(50) {
            std::fs::write(run.join("record.jsonl"), &record).expect("written");
        } else {
            let _ = std::fs::remove_file(run.join("record.jsonl"));
        }
        let ended = space.run(&["resume"]).code(0);
        assert_eq!(ended.record_id(), right, "cut at byte {cut}");
        recomputed(&run);
        let torn = !ends.contains(cut);
        let good = ends.iter().rev().find(|end| *end <= cut).expect("the first line is whole");
        let beside = run.join(format!("journal.torn-{good}"));
        if torn {
            assert_eq!(std::fs::read(&beside).expect("kept beside"), &journal[*good..*cut]);
            std::fs::remove_file(beside).expect("removed");
        } else {
            assert!(!beside.exists());
        }
    }
    // Within the first line nothing is known of the run.
    std::fs::write(run.join("journal.jsonl"), &journal[..ends[0] / 2]).expect("written");
    let _ = std::fs::remove_file(run.join("record.jsonl"));
    let _ = space.run(&["resume"]).code(2).says("run the plan anew");
    let mut bad = journal.clone();
    bad[ends[3] + 9] ^= 1;
    std::fs::write(run.join("journal.jsonl"), &bad).expect("written");
    let _ = space.run(&["resume"]).code(4).says("corrupt");
}

#[test]
fn what_passed_is_not_executed_again_and_an_edited_plan_is_not_taken() {
    let plan = "[steps.a]\nrun = 'echo x >> ran-a'\n[steps.b]\nneeds = ['a']\nrun = 'echo x >> ran-b; test -e go || kill -INT $PPID; sleep 5'\n\
                [steps.c]\nneeds = ['b']\nrun = 'true'\n[finally.f]\nrun = 'echo x >> ran-f'\n";
    let plan = &plan.replace("|| kill -INT $PPID; sleep 5", "|| { kill -INT $PPID; sleep 5; }");
    let space = Space::plan(plan);
    let _ = space.go(&["-j1"]).code(130).says("INTERRUPTED");
    assert_eq!((space.read("ran-a").len(), space.read("ran-b").len(), space.read("ran-f").len()), (2, 2, 2));
    space.write("go", "");
    space.write("blueprint.toml", format!("format = 1\n{plan}\n[steps.more]\nrun = 'touch ran-more'\n"));
    let ended = space.run(&["resume"]).code(0).says("changed since; what runs is the plan as it was then");
    let ended = ended.says("4 passed; 1 reused");
    assert_eq!((space.read("ran-a").len(), space.read("ran-b").len(), space.read("ran-f").len()), (2, 4, 4));
    assert!(!space.has("ran-more"));
    recomputed(&space.latest());
    let _ = space.run(&["verify", "latest"]).code(0);
    let _ = space.run(&["show", "latest"]).code(0).says("4 passed; 1 reused").hides("INTERRUPTED");
    let _ = space.run(&["replay", "latest", "--progress", "plain"]).code(0).says("a  reused").hides("INTERRUPTED");
    let other = Space::plan(plan);
    other.write("go", "");
    assert_eq!(ended.record_id(), other.go(&[]).code(0).record_id());
}

#[test]
fn a_run_that_goes_on_is_not_resumed() {
    let space =
        Space::plan("[steps.a]\nrun = 'touch started; until test -e go; do sleep 0.01; done'\ntimeout = '60s'\n");
    let mut command = space.command(&["blueprint.toml", "--progress", "none"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let deadline = std::time::Instant::now() + Duration::from_secs(60);
    while !space.has("started") {
        assert!(std::time::Instant::now() < deadline, "the step never started");
        std::thread::sleep(Duration::from_millis(5));
    }
    let _ = space.run(&["resume"]).code(2).says("it is going on");
    space.write("go", "");
    let _ = support::finish(child).code(0);
    let _ = space.run(&["resume"]).code(2).says("is complete (GO)");
}

#[test]
fn rerun_takes_over_what_passed_and_starts_no_service_that_nobody_needs() {
    let plan = ALL.replace("[steps.last]", "[steps.bad]\nneeds = ['asks']\nrun = 'test -e fixed'\n[steps.last]");
    let space = Space::plan(&plan);
    let _ = space.go(&[]).code(1);
    let count = |what: &str| space.read(&format!("ran-{what}")).len() / 2;
    space.write("fixed", "");
    let ended = space.run(&["rerun", "--failed"]).code(0).says("takes over").says("reused");
    recomputed(&space.latest());
    // `bad` runs, and it comes after the service.
    assert_eq!((count("make"), count("cell"), count("asks"), count("svc"), count("last")), (1, 2, 1, 2, 1));
    let other = Space::plan(&plan);
    other.write("fixed", "");
    assert_eq!(ended.record_id(), other.go(&[]).code(0).record_id());
    let again = space.run(&["rerun", "--from", "soft"]).code(0);
    assert_eq!(again.record_id(), ended.record_id());
    assert_eq!((count("svc"), count("asks"), count("last"), count("tidy")), (2, 1, 1, 3), "nothing needs the service");
    recomputed(&space.latest());
    // What it made is gone: it is made again, and so is what comes after it.
    std::fs::remove_file(space.path().join("out/a")).expect("it is there");
    let again = space.run(&["rerun", "--from", "last"]).code(0);
    assert_eq!(again.record_id(), ended.record_id());
    assert_eq!((count("make"), count("cell"), count("svc"), count("asks")), (2, 4, 3, 2));
    let stale = space.journal().into_iter().find(|line| line["t"] == "stale" && line["step"] == 0).expect("told why");
    assert_eq!(stale["why"], "its output `out/a` is gone");
    let _ = space.run(&["rerun"]).code(2);
    let _ = space.run(&["rerun", "--from", "lost"]).code(2).says("lost");
}

#[test]
fn what_each_run_makes_for_itself_is_made_again() {
    let plan = "[ports]\nnames = ['web']\n[secrets]\nkey = { env = 'KEY_NOT_SET', random = true }\n\
        [steps.ported]\nenv = { P = '{{ ports.web }}' }\nrun = 'echo x >> ran-ported; echo $P > port'\n\
        [steps.secret]\nsecrets = ['key']\nrun = 'echo x >> ran-secret'\n\
        [steps.follows]\nneeds = ['ported']\nrun = 'echo x >> ran-follows'\n\
        [steps.plain]\nrun = 'echo x >> ran-plain'\n[steps.bad]\nrun = 'exit 1'\n";
    let space = Space::plan(plan);
    let first = space.go(&[]).code(1);
    let again = space.run(&["rerun", "--failed"]).code(1).says("1 reused");
    assert_eq!(again.record_id(), first.record_id());
    let count = |what: &str| space.read(&format!("ran-{what}")).len() / 2;
    assert_eq!((count("ported"), count("secret"), count("follows"), count("plain")), (2, 2, 2, 1));
    let why: Vec<String> = space.journal().iter().filter_map(|l| l["why"].as_str().map(str::to_owned)).collect();
    assert!(why.iter().any(|why| why == "a port has another value in every run"), "{why:?}");
    assert!(why.iter().any(|why| why == "the secret `key` has another value in every run"), "{why:?}");
    assert!(why.iter().any(|why| why == "`ported`, which it follows, was executed"), "{why:?}");
}

#[test]
fn what_a_killed_engine_left_running_is_ended_first() {
    let space =
        Space::plan("[steps.a]\nrun = 'test ! -e go || exit 0; echo $$ > pid; mv pid started; exec sleep 300'\n");
    let mut command = space.command(&["blueprint.toml", "--progress", "none"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
    let deadline = std::time::Instant::now() + Duration::from_secs(60);
    while !space.has("started") {
        assert!(std::time::Instant::now() < deadline, "the step never started");
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().expect("a process of ours");
    child.wait().expect("it ends");
    let left = space.read("started");
    assert!(alive(&left), "nobody has ended it yet");
    space.write("go", "");
    let _ = space.run(&["resume"]).code(0).says("ended 1 process that the run had left");
    assert!(!alive(&left));
}

#[test]
fn what_changes_behind_the_back_of_a_plan_is_never_taken_for_reused() {
    // `moves` writes what `asks` reads, and no edge says so: when the run begins, all that needs the service is reused.
    let plan = "[steps.moves]\nrun = 'test ! -e fixed || echo new > in.txt; test -e fixed'\n\
        [steps.svc]\nservice = { run = 'echo x >> ran-svc; echo up; while kill -0 $PPID 2>/dev/null; do sleep 0.02; done', ready = { log = 'up', every = '10ms' } }\n\
        [steps.asks]\nneeds = ['svc']\ninputs = ['in.txt']\nrun = 'echo x >> ran-asks'\n";
    let space = Space::plan(plan);
    space.write("in.txt", "old\n");
    let _ = space.go(&["-j1"]).code(1);
    space.write("fixed", "");
    let _ = space.run(&["rerun", "--failed", "-j1"]).code(1).says("now its input `in.txt`");
    assert_eq!(space.state("asks"), ("error".into(), "input_changed".into()));
    assert_eq!((space.read("ran-svc").len(), space.read("ran-asks").len()), (2, 2));
    let _ = space.run(&["rerun", "--failed", "-j1"]).code(0);
    assert_eq!((space.read("ran-svc").len(), space.read("ran-asks").len()), (4, 4));
}
