//! `runplan judge`: the criteria of a plan on what a run recorded, without running anything.

use std::fs;
use std::process::Stdio;

use serde_json::Value;

use crate::purity::{is_pure, strace};
use crate::seeded::Plan;
use crate::support::{Space, finish};

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// Everything that may make a verdict: retries, sampling, a service, conditions, blocked and advisory steps, outputs that
/// are missing, waivers, `finally`.
const ALL: &str = r#"
waivers = "waivers.toml"
[vars]
n = 3
[steps.shape]
run = ["sh", "-c", "printf '{\"n\": %s}' \"$1\"", "sh", "{{ vars.n }}"]
parse = "json"
pass = ["exit == 0", 'json."$.n" >= 3']
[steps.tries]
run = "n=$(cat tries 2>/dev/null || echo 0); echo $((n+1)) > tries; test $n -ge 2"
retry = { limit = 3, backoff = "1ms" }
[steps.never]
run = "exit 3"
retry = { limit = 1, backoff = "1ms" }
required = false
severity = "low"
[steps.blocked]
needs = ["never"]
run = "true"
required = false
severity = "low"
[steps.looks]
run = "n=$(cat looks 2>/dev/null || echo 0); echo $((n+1)) > looks; cat looks"
sample = { every = "1ms", max = 9, consecutive = 2 }
pass = ["exit == 0", 'stdout matches "[3-9]"']
[steps.late]
run = "exit 1"
sample = { every = "100ms", within = "150ms" }
required = false
severity = "low"
[steps.slow]
run = "sleep 60"
timeout = "50ms"
required = false
severity = "low"
[steps.killed]
run = "kill -9 $$"
required = false
severity = "low"
[steps.hollow]
run = "true"
outputs = ["nowhere"]
required = false
severity = "low"
[steps.lost]
file = "no-such-file"
pass = ["size > 0B"]
required = false
severity = "low"
[steps.other]
when = "vars.n == 4"
run = "true"
[steps.accepted]
run = "exit 7"
[steps.serves]
service = { run = "echo up; sleep 60", ready = { log = "up" } }
[steps.asks]
needs = ["serves"]
run = "true"
[steps.sums]
after = ["never", "shape"]
value = { code = "steps.shape.exit" }
pass = ["code == 0", 'steps.never.state == "fail"']
[finally.tidy]
run = "true"
"#;

const WAIVER: &str = r#"
[[waivers]]
step = "accepted"
criterion = "exit == 0"
owner = "ann"
reason = "known"
expires = "2999-12-31"
"#;

#[test]
fn its_own_plan_gives_the_same_record() {
    for mode in ["independent", "stop", "continue"] {
        let space = Space::plan(ALL);
        space.write("waivers.toml", WAIVER);
        let ended = space.go(&["--on-failure", mode, "-j4"]);
        assert!([0, 1, 3].contains(&ended.code), "{}", ended.stderr);
        let _ = space.run(&["judge"]).code(ended.code).says("the same record, byte for byte");
        let said = json(&space.run(&["judge", "--format", "json"]).stdout);
        assert_eq!((said["same_record"].as_bool(), said["changes"].as_array().map(Vec::len)), (Some(true), Some(0)));
    }
}

#[test]
fn a_selection_and_an_early_stop_are_judged_as_they_were() {
    let space = Space::plan(
        "[plan]\non_failure = 'stop'\n[steps.a]\nrun = 'exit 1'\n[steps.b]\nrun = 'true'\n[steps.c]\nrun = 'true'\n",
    );
    let _ = space.go(&["-j3"]).code(1);
    let _ = space.run(&["judge"]).code(1).says("the same record");
    let _ = space.go(&["c"]).code(0);
    let _ = space.run(&["judge", "last"]).code(0).says("the same record");
}

#[test]
fn a_stricter_plan_gives_new_verdicts_from_old_facts() {
    let space = Space::plan(ALL);
    space.write("waivers.toml", WAIVER);
    let _ = space.go(&[]).code(0);
    let plan = space.read("blueprint.toml");
    space.write("stricter.toml", plan.replace(">= 3']", ">= 4']"));
    let ended = space.run(&["judge", "last", "--plan", "stricter.toml"]).code(1);
    let ended = ended.says("step shape  pass → fail").says("was 3, short by 1").says("- pass json.\"$.n\" >= 3: pass");
    let _ = ended.says("the run was GO");
    assert!(!space.has("nowhere"), "nothing was run");
    assert_eq!(space.read("tries").trim(), "3");
    // Variables are those of the run, unless they are given.
    space.write("vars.toml", plan.replace(">= 3']", ">= 3', 'vars.n == 3']"));
    let _ = space.run(&["judge", "--plan", "vars.toml"]).code(0);
    let ended = space.run(&["judge", "--plan", "vars.toml", "--var", "n=5"]).code(1);
    let _ = ended.says("vars.n == 3: fail, was 5").says("another action");
    // A waiver that is in force on the day of the run stands; one that was over then does not.
    space.write("expired.toml", plan.replace("waivers.toml", "over.toml"));
    space.write("over.toml", WAIVER.replace("2999", "2001"));
    let _ = space.run(&["judge", "--plan", "expired.toml"]).code(1).says("step accepted  warn → fail");
}

#[test]
fn what_was_not_recorded_is_unknown_and_never_passes() {
    let space = Space::plan(
        "[steps.a]\nrun = 'echo a'\n[steps.b]\nrun = 'exit 1'\n[steps.c]\nneeds = ['b']\nrun = 'true'\n[steps.old]\nrun = 'true'\n",
    );
    let _ = space.go(&[]).code(1);
    let plan = space.read("blueprint.toml").replace("[steps.old]", "[steps.new]");
    let milder = plan
        .replace("'exit 1'", "'exit 1'\npass = ['exit == 1']")
        .replace("echo a'", "echo a'\npass = ['env.HOME exists']");
    space.write("milder.toml", milder);
    let said = space.run(&["judge", "--plan", "milder.toml", "--format", "json"]).code(3).stdout;
    let said = json(&said);
    let now = |step: &str| {
        let found = said["changes"].as_array().unwrap().iter().find(|change| change["step"] == step);
        found.unwrap_or_else(|| panic!("no `{step}` in {said:#}"))["now"]["state"].as_str().unwrap().to_owned()
    };
    assert_eq!([now("a"), now("b"), now("c")], ["inconclusive", "pass", "unknown"]);
    assert_eq!((&said["only_in_plan"][0], &said["only_in_run"][0]), (&json("\"new\""), &json("\"old\"")));
    assert_eq!((&said["before"]["verdict"], &said["now"]["verdict"]), (&json("\"NO-GO\""), &json("\"HOLD\"")));
    let ended = space.run(&["judge", "--plan", "milder.toml"]).code(3);
    let _ = ended.says("`env.HOME` was not recorded").says("it was not run (needs `b`, which did not succeed)");
}

/// Secrets were hidden before anything was judged, and nobody asks for them again; a text that the journal shortened
/// stands by the verdict of then.
#[test]
fn secrets_and_long_texts_are_judged_as_they_were() {
    let space = Space::plan(
        "[secrets]\ntoken = { env = 'TOKEN' }\n[steps.tells]\nsecrets = ['token']\nrun = 'echo \"<$TOKEN>\"'\n\
         pass = ['exit == 0', 'stdout contains \"<\"']\n[steps.long]\nrun = 'yes | head -c 200000; echo end'\n\
         pass = ['exit == 0', 'stdout ends_with \"end\\n\"']\n",
    );
    let mut command = space.command(&["blueprint.toml"]);
    let child = command.env("TOKEN", "not-a-real-one").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let _ = finish(child.expect("it starts")).code(0);
    let _ = space.run(&["judge"]).code(0).says("the same record, byte for byte").hides("not-a-real-one");
    let plan = space.read("blueprint.toml").replace("contains \"<\"", "contains \"<[secret token]>\"");
    space.write("other.toml", plan.replace("ends_with \"end\\n\"", "starts_with \"y\""));
    let ended = space.run(&["judge", "--plan", "other.toml"]).code(3);
    let ended = ended.says("+ pass stdout contains \"<[secret token]>\": pass");
    let _ = ended.says("`stdout` is not recorded whole").says("step long  pass → inconclusive");
}

#[test]
fn retries_and_looks_end_where_the_record_does() {
    let space = Space::plan(ALL);
    space.write("waivers.toml", WAIVER);
    let _ = space.go(&[]).code(0);
    let plan = space.read("blueprint.toml");
    // The first attempt would do.
    let milder = plan.replace("test $n -ge 2\"", "test $n -ge 2\"\npass = ['exit in [0, 1]']");
    space.write("milder.toml", milder);
    let said = json(&space.run(&["judge", "--plan", "milder.toml", "--format", "json"]).code(0).stdout);
    let tries = said["changes"].as_array().unwrap().iter().find(|change| change["step"] == "tries").unwrap();
    assert_eq!((&tries["now"]["state"], &tries["notes"]), (&json("\"pass\""), &json("[]")));
    // None of them would do, and there would have been another one.
    space.write("stricter.toml", plan.replace("test $n -ge 2\"", "test $n -ge 2\"\npass = ['exit == 9']"));
    let ended = space.run(&["judge", "--plan", "stricter.toml"]).code(1);
    let _ = ended.says("would have been tried again after attempt 3, the last one that was recorded");
    space.write("longer.toml", plan.replace("consecutive = 2", "consecutive = 4"));
    let ended = space.run(&["judge", "--plan", "longer.toml"]).code(3);
    let _ = ended.says("`sample` would have gone on after look 4");
}

#[test]
fn results_that_were_taken_over_are_judged_on_what_they_saw() {
    let space = Space::plan(
        "[steps.a]\nrun = 'cat in'\ninputs = ['in']\noutputs = ['in']\npass = ['exit == 0', 'stdout contains \"x\"']\n\
         [steps.b]\nrun = 'echo y'\nsample = { every = '1ms', consecutive = 3 }\npass = ['exit == 0', 'stdout contains \"y\"']\n\
         [steps.c]\nneeds = ['b']\nrun = 'test -e there'\n",
    );
    space.write("in", "x\n");
    let _ = space.go(&[]).code(1);
    space.write("there", "");
    let first = space.latest();
    let _ = space.run(&["rerun", "--failed"]).code(0);
    let _ = space.run(&["judge"]).code(0).says("the same record, byte for byte");
    let plan = space.read("blueprint.toml");
    space.write("other.toml", plan.replace("contains \"y\"", "contains \"z\""));
    let _ = space.run(&["judge", "--plan", "other.toml"]).code(3).says("gone on after look 3").says("was \"y");
    fs::remove_dir_all(first).unwrap();
    let _ = space.run(&["judge"]).code(0).says("the same record, byte for byte");
    let _ = space.run(&["judge", "--plan", "other.toml"]).code(3).says("which can't be read");
}

#[test]
fn a_run_that_is_damaged_or_has_no_record_is_not_judged() {
    let space = Space::plan("[steps.a]\nrun = 'true'\n");
    let _ = space.go(&[]).code(0);
    let _ = space.run(&["judge", "--plan", "nowhere.toml"]).code(2).says("nowhere.toml");
    let _ = space.run(&["judge", "nope"]).code(2).says("no run `nope`");
    let record = space.latest().join("record.jsonl");
    let text = fs::read_to_string(&record).unwrap();
    fs::write(&record, text.replace("\"pass\"", "\"warn\"")).unwrap();
    let _ = space.run(&["judge"]).code(4);
    fs::remove_file(&record).unwrap();
    let _ = space.run(&["judge"]).code(2).says("has no record");
}

/// The kernel is the witness: no process, no connection, no file opened for writing.
#[test]
fn judging_starts_connects_and_writes_nothing() {
    if !strace() {
        return;
    }
    let space = Space::plan(ALL);
    space.write("waivers.toml", WAIVER);
    let _ = space.go(&[]).code(0);
    is_pure(space.path(), &["judge"]);
    let plan = space.read("blueprint.toml");
    space.write("milder.toml", plan.replace(">= 3']", ">= 2']"));
    is_pure(space.path(), &["judge", "last", "--plan", "milder.toml"]);
}

/// Random plans of 200 steps under every fail mode, run in parallel: judged again one by one, and run again in a copy.
#[test]
fn random_plans_are_judged_to_the_same_record() {
    for (number, mode) in ["independent", "stop", "continue", "mixed"].into_iter().enumerate() {
        let space = Space::new().env("DELAY", "3");
        space.write("blueprint.toml", Plan::random(50 + number as u64, mode));
        let ended = space.go(&["-j8", "--progress", "none"]);
        assert!([0, 1, 3].contains(&ended.code), "{mode}: {}", ended.stderr);
        let _ = space.run(&["judge"]).code(ended.code).says("the same record, byte for byte");
        if mode == "mixed" {
            let _ = space.run(&["verify", "--rerun"]).code(0).says("REPRODUCED");
        }
    }
}
