//! Past runs: verify, show, replay, diff, history; each over what real runs left.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;

use crate::support::{self, Space, finish, skip};

const PLAN: &str = r#"
[vars]
n = 3
[steps.build]
run = ["sh", "-c", "printf 'x%s' \"$1\" > out.txt; echo built", "sh", "{{ vars.n }}"]
outputs = ["out.txt"]
artifacts = ["out.txt"]
[steps.count]
needs = ["build"]
run = ["sh", "-c", "printf '{\"n\": %s}' \"$1\"", "sh", "{{ vars.n }}"]
parse = "json"
pass = ["exit == 0", 'json."$.n" >= 3']
"#;

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// Every file below a folder with its bytes and its time.
pub fn tree(folder: &Path) -> BTreeMap<PathBuf, (Vec<u8>, SystemTime)> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            let about = fs::symlink_metadata(&path).unwrap();
            if about.is_dir() {
                folders.push(path);
            } else if about.is_file() {
                found.insert(path.clone(), (fs::read(&path).unwrap(), about.modified().unwrap()));
            }
        }
    }
    found
}

fn faults(said: &str) -> Vec<String> {
    let checks = json(said)["checks"].as_array().unwrap().clone();
    let told = |check: &Value| format!("{}: {}", check["check"].as_str().unwrap(), check["found"].as_str().unwrap());
    checks.iter().filter(|check| check["state"] == "fault").map(told).collect()
}

#[test]
fn a_whole_run_is_verified_and_nothing_is_written() {
    let space = Space::plan(PLAN);
    let _ = space.go(&[]).code(0);
    let before = tree(space.path());
    for name in ["latest", "last", space.latest().file_name().unwrap().to_str().unwrap()] {
        let _ = space.run(&["verify", name]).code(0).says("VERIFIED").says("recomputed from the journal");
    }
    for args in [&["show"][..], &["show", "--step", "count"], &["replay"], &["history"], &["diff", "last", "last"]] {
        let _ = space.run(args).code(0);
    }
    assert_eq!(tree(space.path()), before);
    let said = space.run(&["verify", "--format", "json"]).code(0).stdout;
    assert_eq!((json(&said)["verified"].as_bool(), faults(&said)), (Some(true), Vec::new()));
    let _ = space.run(&["verify", "nope"]).code(2).says("no run `nope`");
    let _ = space.run(&["verify", "./nowhere"]).code(2).says("no folder of a run");
}

/// The kernel is the witness: one program runs, and no file is opened for writing.
#[test]
fn verify_starts_no_process() {
    let space = Space::plan(PLAN);
    let _ = space.go(&[]).code(0);
    let trace = space.path().join("trace");
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-e", "trace=execve,connect,openat", "-o"]).arg(&trace).arg(support::RUNPLAN);
    let ended = command.arg("verify").current_dir(space.path()).stdin(Stdio::null()).output();
    if !ended.as_ref().is_ok_and(|ended| ended.status.success()) {
        return skip("strace");
    }
    let trace = space.read("trace");
    assert_eq!(trace.matches("execve(").count(), 1, "{trace}");
    let effects: Vec<&str> = trace
        .lines()
        .filter(|line| ["connect(", "O_WRONLY", "O_RDWR", "O_CREAT"].iter().any(|call| line.contains(call)))
        .collect();
    assert!(effects.is_empty() && trace.contains("record.jsonl"), "{effects:?}");
}

/// The exhaustive flips are in the library's tests, which need no process for each; these go through the program.
#[test]
fn flipped_bytes_of_every_file_are_refused() {
    let space = Space::plan(PLAN);
    let _ = space.go(&[]).code(0);
    let run = space.latest();
    let object = tree(&space.path().join(".runplan/objects")).into_keys().next().expect("an archived file");
    for path in [run.join("journal.jsonl"), run.join("record.jsonl"), run.join("plan.toml"), object] {
        let whole = fs::read(&path).unwrap();
        let step = (whole.len() / 9).max(1);
        for at in (0..whole.len()).step_by(step).chain([whole.len() - 1]) {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            fs::write(&path, damaged).unwrap();
            let ended = space.run(&["verify", "--format", "json"]);
            assert_eq!(ended.code, 4, "byte {at} of {}: {}", path.display(), ended.stdout);
            assert!(!faults(&ended.stdout).is_empty());
        }
        fs::write(&path, &whole).unwrap();
        fs::rename(&path, path.with_extension("gone")).unwrap();
        let wanted = if path.ends_with("journal.jsonl") { 2 } else { 4 };
        let _ = space.run(&["verify"]).code(wanted);
        fs::rename(path.with_extension("gone"), &path).unwrap();
    }
    let _ = space.run(&["verify"]).code(0);
}

/// What steps wrote is checked too; a copy without it is not at fault, and nor is what a leftover process adds later.
#[test]
fn flipped_output_is_refused() {
    let space = Space::plan(
        "[steps.a]\nrun = 'echo out; echo err >&2; test -e again || { touch again; exit 1; }'\nretry = { limit = 1, backoff = '1ms' }\n\
         [steps.big]\nrun = 'yes | head -c 3000000'\n[steps.serves]\nservice = { run = 'echo up; sleep 60', ready = { log = 'up' } }\n\
         [steps.asks]\nneeds = ['serves']\nrun = 'true'\n",
    );
    let _ = space.go(&[]).code(0);
    let _ = space.run(&["verify"]).code(0).says("6 files of what steps wrote");
    let steps = space.latest().join("steps");
    let spools: Vec<PathBuf> = tree(&steps).into_keys().filter(|path| fs::metadata(path).unwrap().len() > 0).collect();
    assert_eq!(spools.len(), 6, "{spools:?}");
    for path in &spools {
        let whole = fs::read(path).unwrap();
        let mut damaged = whole.clone();
        damaged[whole.len() / 2] ^= 1;
        for wrong in [damaged, whole[1..].to_vec()] {
            fs::write(path, wrong).unwrap();
            assert_eq!(faults(&space.run(&["verify", "--format", "json"]).code(4).stdout).len(), 1);
        }
        fs::write(path, [whole.as_slice(), b"more"].concat()).unwrap();
        let _ = space.run(&["verify"]).code(0).says("1 file grew after the step had ended");
        fs::write(path, whole).unwrap();
    }
    fs::rename(&steps, steps.with_extension("gone")).unwrap();
    let _ = space.run(&["verify"]).code(0).says("not checked: 6 files");
}

#[test]
fn all_faults_are_told_not_the_first() {
    let space = Space::plan(PLAN);
    let _ = space.go(&[]).code(0);
    let run = space.latest();
    let object = tree(&space.path().join(".runplan/objects")).into_keys().next().expect("an archived file");
    let record = fs::read_to_string(run.join("record.jsonl")).unwrap();
    fs::write(run.join("record.jsonl"), record.replace("\"state\":\"pass\"", "\"state\":\"warn\"")).unwrap();
    fs::write(run.join("plan.toml"), "format = 1\n").unwrap();
    fs::remove_file(object).unwrap();
    fs::write(run.join("decision.json"), "{}\n").unwrap();
    let said = space.run(&["verify", "--format", "json"]).code(4).stdout;
    let found = faults(&said);
    for check in ["record: line 2 ", "record: line 3 ", "record: its id", "plan: ", "archive: `out.txt`", "decision: "]
    {
        assert!(found.iter().any(|fault| fault.starts_with(check)), "{check} is not in {found:#?}");
    }
    let journal = fs::read_to_string(run.join("journal.jsonl")).unwrap().replace("\"mono\":", "\"momo\":");
    fs::write(run.join("journal.jsonl"), journal).unwrap();
    let found = faults(&space.run(&["verify", "--format", "json"]).code(4).stdout);
    assert!(found.iter().filter(|fault| fault.starts_with("journal: ")).count() > 5, "{found:#?}");
    for args in [&["show"][..], &["replay"], &["diff", "latest", "latest"]] {
        let _ = space.run(args).code(4);
    }
}

#[test]
fn a_copy_elsewhere_is_verified_and_shown() {
    let space = Space::plan(PLAN);
    let _ = space.go(&[]).code(0);
    let other = Space::new();
    support::copy_all(&space.latest(), &other.path().join("copy"));
    let _ = other.run(&["verify", "copy"]).code(0).says("VERIFIED").says("the folder lies in no store");
    let _ = other.run(&["show", "./copy"]).code(0).says("GO").says("copy/record.jsonl");
    let original = space.latest();
    let _ = other.run(&["diff", "copy", original.to_str().unwrap()]).code(0).says("equal");
    fs::write(other.path().join("copy/plan.toml"), "").unwrap();
    let _ = other.run(&["verify", "copy"]).code(4).says("NOT VERIFIED");
}

#[test]
fn signoffs_are_told_and_their_decision_is_held_against_them() {
    let space = Space::plan("[steps.a]\nrun = 'true'\n[signoffs]\nroles = ['Dev', 'Ops']\n");
    let _ = space.go(&[]).code(3);
    let _ = space.run(&["decide"]).code(3);
    let _ = space.run(&["verify"]).code(0).says("`Dev`: nobody signed").says("HOLD on ");
    let path = space.latest().join("decision.json");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("\"verdict\":\"HOLD\"", "\"verdict\":\"GO\"")).unwrap();
    let _ = space.run(&["verify"]).code(4).says("it does not follow from the record");
    let other = text.replace(&format!("\"record\":\"{}", &record_id(&space)[..8]), "\"record\":\"00000000");
    fs::write(&path, other).unwrap();
    let _ = space.run(&["verify"]).code(4).says("it is about another run");
}

fn record_id(space: &Space) -> String {
    let said = space.run(&["verify", "--format", "json"]).stdout;
    let checks = json(&said)["checks"].to_string();
    let at = checks.find(", id ").unwrap_or_else(|| panic!("{checks}"));
    checks[at + 5..at + 69].to_owned()
}

/// Waits until a condition holds.
#[track_caller]
pub fn until(what: &str, holds: impl Fn() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(30), "{what}");
        std::thread::yield_now();
    }
}

#[test]
fn a_live_an_interrupted_and_a_killed_run_say_so() {
    let plan = "[steps.first]\nrun = 'echo one'\n[steps.long]\nneeds = ['first']\nrun = 'touch here; exec sleep 300'\n";
    for (signal, end, code) in [("INT", "interrupted", 130), ("KILL", "broke off", 74)] {
        let space = Space::plan(plan);
        let mut command = space.command(&["blueprint.toml"]);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        until("the long step runs", || space.has("here"));
        let run = fs::read_dir(space.path().join(".runplan/runs")).unwrap().next().unwrap().unwrap().path();
        let id = run.file_name().unwrap().to_str().unwrap();
        let _ = space.run(&["verify", id]).code(4).says("the run is going on");
        let _ = space.run(&["history"]).code(0).says("running");
        let _ = space.run(&["show", id]).code(0).says("did not end").says("is going on");
        let pid = child.id().to_string();
        assert!(Command::new("kill").args([&format!("-{signal}"), &pid]).status().unwrap().success());
        let _ = finish(child);
        // The step of a killed engine outlives it.
        let journal = fs::read_to_string(run.join("journal.jsonl")).unwrap();
        let spawned = journal.lines().map(json).rfind(|line| line["t"] == "spawned").unwrap();
        if signal == "KILL" {
            let group = format!("-{}", spawned["pid"]);
            let _ = Command::new("kill").args(["-KILL", "--", &group]).status();
        }
        let verified = space.run(&["verify", id]).code(4).says("NOT VERIFIED");
        let _ = if signal == "INT" { verified.says("interrupted by SIGINT") } else { verified.says("not closed") };
        let _ = space.run(&["history"]).code(0).says(end);
        let _ = space.run(&["show", id]).code(0).says("first");
        let replayed = space.run(&["replay", id]).code(code).says("PASS");
        let _ = if signal == "INT" { replayed.says("INTERRUPTED") } else { replayed.says("RESULT UNKNOWN") };
        let _ = space.run(&["diff", id, id]).code(2).says("has no record");
    }
}

#[test]
fn a_replay_says_what_the_run_said_and_ends_as_it_did() {
    let plan = "[steps.a]\nrun = 'echo fine'\n[steps.b]\nneeds = ['a']\nrun = \"printf 'bad \\\\033[2J out\\\\n' >&2; exit 3\"\n";
    let space = Space::plan(plan);
    let live = space.go(&["--progress", "plain"]).code(1);
    let again = space.run(&["replay"]).code(1);
    assert_eq!(again.stderr, live.stderr);
    let tail = |text: &str| text.replace(".runplan/latest", "");
    assert_eq!(tail(&again.stdout), tail(&live.stdout));
    let _ = space.run(&["show"]).code(0).says("NO-GO").says("exit == 0").hides("\u{1b}");
    let _ = space.run(&["show", "--step", "b"]).code(0).says("exit 3").says("stderr  (").hides("\u{1b}");
    let _ = space.run(&["show", "--step", "c"]).code(2).says("it has a, b");
    let events = space.run(&["replay", "--progress", "json"]).code(1).stdout;
    let types: Vec<String> = events.lines().map(|line| json(line)["t"].as_str().unwrap().to_owned()).collect();
    let journal: Vec<String> = space.journal().iter().map(|line| line["t"].as_str().unwrap().to_owned()).collect();
    assert_eq!(types, journal);
}

#[test]
fn diff_says_what_changed_and_why() {
    let space = Space::plan(PLAN);
    let _ = space.go(&[]).code(0);
    let first = space.latest();
    let first = first.file_name().unwrap().to_str().unwrap();
    let _ = space.go(&[]).code(0);
    let _ = space.run(&["diff", first, "last"]).code(0).says("equal");
    let _ = space.go(&["--var", "n=4"]).code(0);
    let said = space.run(&["diff", first, "last"]).code(1).says("params n  3 → 4").says("run argv").stdout;
    assert!(said.contains("output out.txt of `build`: sha256"), "{said}");
    let changed =
        PLAN.replace("run = [\"sh\", \"-c\", \"printf '{", "env = { A = \"1\" }\nrun = [\"sh\", \"-c\", \"printf '{");
    space.write("blueprint.toml", format!("format = 1\n{changed}[steps.new]\nrun = 'true'\n"));
    let _ = space.go(&[]).code(0);
    let said = json(&space.run(&["diff", first, "last", "--format", "json"]).code(1).stdout);
    let part = |name: &str| {
        said["differences"].as_array().unwrap().iter().find(|part| part["part"] == name).cloned().unwrap_or_default()
    };
    assert_eq!(part("step count")["action_changed_by"][0]["field"], "env A", "{said:#}");
    assert_eq!(
        (part("step new")["note"].as_str(), part("step build").is_null()),
        (Some("only in B"), true),
        "{said:#}"
    );
}

#[test]
fn history_lists_runs_flaky_steps_and_trends() {
    let plan = r#"
[vars]
n = 3
[steps.moody]
run = "test -e ok"
[steps.patient]
run = "test -e tried || { touch tried; exit 1; }"
retry = { limit = 1, backoff = "1ms" }
[steps.count]
run = ["sh", "-c", "printf '{\"n\": %s, \"word\": \"w%s\"}' \"$1\" \"$1\"", "sh", "{{ vars.n }}"]
parse = "json"
pass = ["exit == 0", 'json."$.n" >= 3', 'json."$.word" != "x"']
"#;
    let space = Space::plan(plan);
    let _ = space.go(&[]).code(1);
    space.write("ok", "");
    for n in ["7", "5"] {
        let _ = space.go(&["--var", &format!("n={n}")]).code(0);
    }
    let said = space.run(&["history", "--criterion", "json."]).code(0).stdout;
    for wanted in ["NO-GO", "flaky steps", "moody  came out otherwise 1 time", "patient  passed 1 time only by", "▁█▅"]
    {
        assert!(said.contains(wanted), "`{wanted}` is not in\n{said}");
    }
    assert!(
        said.contains("FPP") && said.contains("first 3, last 5, lowest 3, highest 7") && said.contains("\"w7\" × 1"),
        "{said}"
    );
    let said = json(&space.run(&["history", "--step", "moody", "--last", "2", "--format", "json"]).code(0).stdout);
    assert_eq!(
        (said["runs"].as_array().unwrap().len(), &said["all"], &said["runs"][0]["step"]),
        (2, &3.into(), &"pass".into())
    );
    assert_eq!(said["flaky"].as_array().unwrap().len(), 0, "two passes are not flaky: {said:#}");
    let _ = space.run(&["history", "--plan", "other"]).code(0).says("no run");
    // Both caches can be lost.
    let before = space.run(&["history", "--criterion", "json."]).code(0).stdout;
    for name in ["index.jsonl", "history.jsonl"] {
        fs::remove_file(space.path().join(".runplan").join(name)).unwrap();
        assert_eq!(space.run(&["history", "--criterion", "json."]).code(0).stdout, before, "without {name}");
        assert!(space.has(&format!(".runplan/{name}")), "{name} is made again");
    }
}

/// Not how long it takes, which a busy machine decides, but what it reads: no journal of a run that is remembered.
#[test]
fn history_of_a_thousand_runs_reads_no_journal() {
    let space = Space::plan(PLAN);
    let _ = space.go(&[]).code(0);
    let run = space.latest();
    let id = run.file_name().unwrap().to_str().unwrap().to_owned();
    let store = space.path().join(".runplan");
    let (mut read, mut left) = (0, 0);
    for (name, runs) in [("index.jsonl", 1_000), ("history.jsonl", 1_000)] {
        let line = fs::read_to_string(store.join(name)).unwrap();
        let all: String = (0..runs).map(|n| line.replace(&id, &format!("20260101T000000Z-{n:06}"))).collect();
        read += all.len();
        fs::write(store.join(name), all).unwrap();
    }
    let bytes = fs::read(run.join("journal.jsonl")).unwrap().len();
    for n in 0..1_000 {
        let folder = store.join(format!("runs/20260101T000000Z-{n:06}"));
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("journal.jsonl"), "rubbish\n").unwrap();
        fs::write(folder.join("record.jsonl"), "rubbish\n").unwrap();
        left += bytes;
    }
    fs::remove_dir_all(&run).unwrap();
    let said = json(
        &space.run(&["history", "--last", "1000", "--criterion", "json.\"$.n\"", "--format", "json"]).code(0).stdout,
    );
    assert_eq!((&said["all"], said["trends"][0]["points"].as_array().unwrap().len()), (&1000.into(), 1000));
    assert!(said["runs"].as_array().unwrap().iter().all(|run| run["end"] == "GO"), "from the caches alone");
    assert!(read * 4 < left, "the caches have {read} bytes, the journals {left}");
}

#[test]
fn the_line_that_does_a_run_again_has_what_came_from_outside() {
    let space = Space::plan("[vars]\nn = 3\nm = 1\n[steps.a]\nrun = ['sh', '-c', 'exit $0', '{{ vars.n }}']\n")
        .env("RUNPLAN_VAR_N", "4");
    let ended = space.go(&["--var", "m=2", "--log-dir", "logs"]).code(1);
    let _ = ended.says("runplan blueprint.toml --var m=2 --var n=4 --log-dir logs a");
    let _ = space
        .run(&["show", &space.path().join("logs/.runplan/latest").display().to_string()])
        .code(0)
        .says("--var n=4");
}

#[test]
fn explain_looks_for_earlier_results_where_they_are() {
    let space = Space::plan("[steps.a]\ninputs = ['blueprint.toml']\noutputs = ['out']\nrun = 'echo > out'\n");
    let _ = space.go(&["--log-dir", "logs"]).code(0);
    let _ = space.run(&["explain", "a", "--log-dir", "logs"]).code(0).says("left it");
    let _ = space.run(&["explain", "a"]).code(0).hides("left it");
}
