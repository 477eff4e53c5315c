//! A result is reused only where it would come out again: same action, same inputs, same outputs on the disk.

use crate::faults::recomputed;
use crate::support::Space;

const PLAN: &str = r#"
[env]
pass = ["PATH", "TONE"]
[steps.make]
inputs = ["in.txt"]
outputs = ["out.txt"]
run = 'echo x >> ran-make; tr a-z A-Z < in.txt | head -c 3 > out.txt'
[steps.use]
needs = ["make"]
inputs = ["out.txt"]
artifacts = ["use.txt"]
run = 'echo x >> ran-use; cp out.txt use.txt'
[steps.look]
needs = ["make"]
run = 'echo x >> ran-look'
"#;

fn space(plan: &str) -> Space {
    let space = Space::plan(plan);
    space.write("in.txt", "abc");
    space
}

/// How often `make`, `use` and `look` ran.
fn ran(space: &Space) -> [usize; 3] {
    ["make", "use", "look"].map(|step| space.read(&format!("ran-{step}")).len() / 2)
}

#[test]
fn what_declares_its_files_and_changed_nothing_is_reused() {
    let space = space(PLAN);
    let first = space.go(&[]).code(0).hides("reused");
    let again = space.go(&["-j1", "--progress", "plain"]).code(0).says("3 passed; 2 reused").says("make  reused");
    assert_eq!(again.record_id(), first.record_id());
    assert_eq!(ran(&space), [1, 1, 2]);
    recomputed(&space.latest());
    // A third run names the run that executed it.
    let journal = space.journal();
    let reused = journal.iter().find(|line| line["t"] == "reused").expect("an event");
    let origin = reused["run"].as_str().expect("a run").to_owned();
    let _ = space.go(&[]).code(0);
    assert!(space.journal().iter().any(|line| line["t"] == "reused" && line["run"] == origin.as_str()));
    let _ = space.go(&["-n"]).code(0).says("reuse").says(&format!("as run {origin} left it")).says("2 reused");
    let _ = space.run(&["explain", "make"]).code(0).says("reuse: as run");
    assert_eq!(ran(&space), [1, 1, 3], "looking runs nothing");
}

#[test]
fn each_change_is_executed_and_the_first_one_is_said() {
    let space = space(PLAN);
    let _ = space.go(&[]).code(0);
    space.write("in.txt", "abd");
    let _ = space.go(&["-n"]).code(0).says("its input `in.txt` changed").says("deferred: reused if `make` gives");
    let _ = space.go(&[]).code(0).hides("reused");
    assert_eq!(ran(&space), [2, 2, 2]);
    // The same output: what needs it is not done again.
    space.write("in.txt", "abdz");
    let _ = space.go(&[]).code(0).says("1 reused");
    assert_eq!(ran(&space), [3, 2, 3]);
    space.write("use.txt", "else");
    let _ = space.go(&["-n"]).says("its output `use.txt` changed");
    let _ = space.go(&[]).code(0).says("1 reused");
    std::fs::remove_file(space.path().join("use.txt")).expect("it is there");
    let _ = space.go(&["-n"]).says("its output `use.txt` is gone");
    let _ = space.go(&[]).code(0).says("1 reused");
    assert_eq!(ran(&space), [3, 4, 5]);
    let edited = format!("format = 1\n# Moved.\n{}", PLAN.replace("cp out.txt", "cp -p out.txt"));
    space.write("blueprint.toml", edited);
    let _ = space.go(&["-n"]).says("what it does changed");
    let moved = space.go(&[]).code(0).says("1 reused");
    let clean = space.go(&["--force"]).code(0).hides("reused");
    assert_eq!(moved.record_id(), clean.record_id(), "places are those of the plan of the run");
    let space = space.env("TONE", "loud");
    let _ = space.go(&["-n"]).says("a variable that it inherits has another value");
    let _ = space.go(&[]).code(0).hides("reused");
}

#[test]
fn whoever_wants_to_executes_everything() {
    let space = space(PLAN);
    let _ = space.go(&["--no-reuse"]).code(0);
    assert!(!space.has(".runplan/reuse.jsonl"), "it leaves nothing");
    let _ = space.go(&[]).code(0).hides("reused");
    let _ = space.go(&["--no-reuse"]).code(0).hides("reused");
    let _ = space.go(&["--force"]).code(0).hides("reused");
    assert_eq!(ran(&space), [4, 4, 4]);
    let _ = space.go(&[]).code(0).says("2 reused");
    // A cache: without it, or with rubbish in it, everything is executed.
    space.write(".runplan/reuse.jsonl", "rubbish\n");
    let _ = space.go(&[]).code(0).hides("reused");
    let own = space.read("blueprint.toml").replace("[steps.use]", "[steps.use]\nreuse = false");
    space.write("blueprint.toml", own);
    let _ = space.go(&[]).code(0).says("1 reused");
    let _ = space.run(&["explain", "use"]).code(0).says("executed in every run");
}

#[test]
fn an_empty_list_says_that_nothing_is_read_and_no_list_says_nothing() {
    let space = Space::plan(
        "[steps.says]\ninputs = []\noutputs = ['a']\nrun = 'echo x >> ran-says; echo a > a'\n\
         [steps.silent]\noutputs = ['b']\nrun = 'echo x >> ran-silent; echo b > b'\n",
    );
    let first = space.go(&[]).code(0).record_id();
    let _ = space.go(&["-n"]).code(0).says("1 reused");
    assert_eq!(space.go(&[]).code(0).says("says  reused").record_id(), first);
    assert_eq!((space.read("ran-says").as_str(), space.read("ran-silent").as_str()), ("x\n", "x\nx\n"));
    // What it made counts as ever.
    space.write("a", "other");
    assert_eq!(space.go(&[]).code(0).hides("reused").record_id(), first);
    assert_eq!((space.read("a").as_str(), space.read("ran-says").as_str()), ("a\n", "x\nx\n"));
}

#[test]
fn a_failure_is_never_reused_and_takes_the_earlier_result_with_it() {
    let space = space(
        "[steps.make]\ninputs = ['in.txt']\noutputs = ['out.txt']\nrun = 'echo x >> ran-make; cp in.txt out.txt; test ! -e bad'\n",
    );
    let _ = space.go(&[]).code(0);
    space.write("bad", "").write("out.txt", "else");
    let _ = space.go(&[]).code(1);
    std::fs::remove_file(space.path().join("bad")).expect("it is there");
    let _ = space.go(&[]).code(0).hides("reused");
    let _ = space.go(&[]).code(0).says("1 reused");
    // A variable that only a criterion names is part of what the step is.
    let space = Space::plan(
        "[vars]\nmost = 3\n[steps.make]\ninputs = ['in.txt']\noutputs = ['out.txt']\nrun = 'cp in.txt out.txt; exit 2'\npass = ['exit <= vars.most']\n",
    );
    space.write("in.txt", "");
    let _ = space.go(&[]).code(0);
    let _ = space.go(&[]).code(0).says("1 reused");
    let _ = space.go(&["--var", "most=1"]).code(1).hides("reused");
}
