//! A saved dry run: stable, without secrets, accepted unchanged or refused with every difference.

use crate::support::{Space, say};

const PLAN: &str = r#"
[vars]
mode = "a"
[secrets]
token = { env = "TOKEN" }
# a comment
[steps.build]
run = "cat src/*.txt > built.txt; touch ran"
inputs = ["src/*.txt"]
outputs = ["built.txt"]
[steps.check]
needs = ["build"]
run = ["grep", "-q", "{{ vars.mode }}", "built.txt"]
inputs = ["built.txt", "rules.txt"]
secrets = ["token"]
timeout = "30s"
"#;

fn space() -> Space {
    let space = Space::plan(PLAN).env("TOKEN", "hunter2-secret");
    space.write("src/one.txt", "a\n").write("rules.txt", "hunter2-secret is not told\n");
    space
}

fn saved(space: &Space) -> String {
    let _ = space.go(&["-n", "--out", "plan.lock"]).code(0).says("legend");
    space.read("plan.lock")
}

#[test]
fn a_dry_run_is_saved_the_same_each_time_and_runs_what_it_says() {
    let space = space();
    let lock = saved(&space);
    assert!(!lock.contains("hunter2"), "{lock}");
    assert!(lock.contains("\"src/one.txt\": \"sha256:") && lock.contains("\"mode\": \"a\""), "{lock}");
    assert!(lock.lines().all(|line| line.len() < 200), "a fact a line");
    assert!(!space.has("ran") && !space.has(".runplan"), "nothing was run");
    let _ = space.run(&["run", "--locked", "plan.lock", "blueprint.toml"]).code(0).says("GO  risk 0");
    let record = std::fs::read(space.latest().join("record.jsonl")).expect("a record");
    // What a run makes is no difference, and a lock leaves no trace in the record.
    assert_eq!(saved(&space), lock);
    let _ = space.go(&["--locked", "plan.lock", "--force"]).code(0);
    let _ = space.go(&["--force"]).code(0);
    assert_eq!(std::fs::read(space.latest().join("record.jsonl")).expect("a record"), record);
    // Comments and layout only.
    space.write("blueprint.toml", format!("format = 1\n{}", PLAN.replace("# a comment", "# another\n")));
    let _ = space.go(&["--locked", "plan.lock"]).code(0).says("in comments or layout only");
}

#[test]
fn every_difference_is_said_and_nothing_runs() {
    let space = space();
    saved(&space);
    space.write("src/one.txt", "b\n").write("src/two.txt", "a\n");
    std::fs::remove_file(space.path().join("rules.txt")).expect("it was there");
    let plan = PLAN.replace("timeout = \"30s\"", "timeout = \"40s\"").replace("\"-q\", ", "");
    space.write("blueprint.toml", format!("format = 1\n{plan}[steps.more]\nrun = 'true'\n"));
    let ended = space.go(&["--locked", "plan.lock", "--var", "mode=b"]).code(2);
    let said = [
        "(7 differences); nothing was run",
        "plan.vars.mode: was \"a\", is \"b\"",
        "step `build`: input `src/one.txt` changed",
        "step `build`: input `src/two.txt` is new",
        "step `check`: input `rules.txt` is gone",
        "step `check`: action.run: was [\"grep\",\"-q\",\"a\",\"built.txt\"], is [\"grep\",\"b\",\"built.txt\"]",
        "step `check`: timeout: was 30000, is 40000",
        "step `more` is new",
    ];
    let missing: Vec<&str> = said.into_iter().filter(|text| !ended.stderr.contains(text)).collect();
    assert!(missing.is_empty(), "{missing:?} not in\n{}", ended.stderr);
    let _ = space.go(&["--locked", "plan.lock", "--var", "mode=a", "build"]).code(2).says("selection: is new");
    assert!(!space.has("ran") && !space.has(".runplan"), "nothing was run, nothing written");
    say(&format!("{} lines of differences", ended.stderr.lines().count()));
}

#[test]
fn a_lock_that_is_none_is_one_clear_error() {
    let space = space();
    let lock = saved(&space);
    for (text, wanted) in [
        ("", "`bad.lock` is no saved dry run: EOF"),
        ("{}", "`bad.lock` is no saved dry run; make it with"),
        ("[1]", "`bad.lock` is no saved dry run; make it with"),
        (&lock.replace("\"lock\": 1", "\"lock\": 2"), "`bad.lock` has format 2, this version knows 1; make it with"),
        (&lock.replace("\"meaning\": \"", "\"meaning\": \"0"), "changed by hand"),
    ] {
        space.write("bad.lock", text);
        let ended = space.go(&["--locked", "bad.lock"]).code(2).says(wanted);
        assert!(ended.stderr.lines().count() <= 3, "{}", ended.stderr);
    }
    let _ = space.go(&["--locked", "none.lock"]).code(2).says("`none.lock` can't be read");
    let _ = space.go(&["--out", "x.lock"]).code(2).says("--dry-run");
    let _ = space.go(&["-n", "--out", "no/such/folder"]).code(74).says("can't be written");
    assert!(!space.has(".runplan"));
}
