//! Exports: each read by the models that its format is defined by; archives go to other machines and back.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::past_runs::until;
use crate::support::{Space, finish, repository, skip};

/// A step in every state that a finished run can have, with hostile texts.
const EVERY_STATE: &str = r##"
waivers = "waivers.toml"
[vars]
n = 3
note = "]]> <b> # \\ \u001b[2J \u202e"
[steps.build]
run = ["sh", "-c", "printf 'x%s' \"$1\" > out.txt; echo built", "sh", "{{ vars.n }}"]
inputs = ["blueprint.toml"]
outputs = ["out.txt"]
artifacts = ["out.txt"]
reuse = false
[steps.warns]
run = "echo 5"
pass = ["exit == 0", "stdout == '6'"]
warn = ["exit == 0"]
[steps.waived]
run = "exit 4"
[steps.hostile]
title = "a title with # and \\"
run = "printf '\\033[31mred\\033[0m ]]> \\000 \\377 <x>&amp; \\342\\200\\256\\n# ok 1 - fake\\nnot ok 2\\nBail out!\\n'; exit 3"
required = false
[steps.test]
matrix = { os = ["a", "b"] }
run = "sleep 0.05"
[steps.flaky]
run = "test -e tried || { touch tried; exit 1; }"
retry = { limit = 1, backoff = "1ms" }
[steps.undecided]
run = "echo 1"
pass = ["exit == 0", "stdout == '2'"]
reject = ["exit != 0"]
required = false
[steps.blocked]
needs = ["hostile"]
run = "true"
required = false
[steps.absent]
run = ["no-such-program-here"]
required = false
[steps.off]
when = "vars.n > 5"
run = "true"
[signoffs]
roles = ["Ops"]
"##;

/// For its step `waived`.
const WAIVERS: &str = "[[waivers]]\nstep = 'waived'\ncriterion = 'exit == 0'\nowner = 'ana'\nreason = '# known ]]>'\nexpires = 2099-01-01\n";

const GOOD: &str = "[steps.make]\nrun = 'echo made > out.txt'\noutputs = ['out.txt']\nartifacts = ['out.txt']\nreuse = false\n\
    [steps.look]\nneeds = ['make']\nrun = 'cat out.txt'\npass = [\"stdout contains 'made'\"]\n";

fn every_state() -> Space {
    let space = Space::plan(EVERY_STATE);
    space.write("waivers.toml", WAIVERS);
    space
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// What a validator found in an export; `None` if it is not installed.
fn validated(kind: &str, file: &Path) -> Option<Value> {
    let home = repository().join("target/validators");
    let fixtures = repository().join("tests/it/fixtures");
    let mut command = if matches!(kind, "ctrf" | "tap" | "chrome") {
        let mut command = Command::new("node");
        command.arg(fixtures.join("exports.js")).arg(&home);
        command
    } else {
        let mut command = Command::new(home.join("bin/python"));
        command.arg(fixtures.join("exports.py"));
        command
    };
    let ended = command.arg(kind).arg(file).stdin(Stdio::null()).output();
    let is_there = home.join("node_modules/@tracerbench/trace-model").is_dir() && home.join("bin/python").exists();
    let Some(ended) = ended.ok().filter(|_| is_there) else {
        skip("what tests/validators.sh installs");
        return None;
    };
    let (out, err) = (String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
    assert!(ended.status.success(), "{kind}: {out}{err}\n{}", fs::read_to_string(file).unwrap_or_default());
    Some(json(&out))
}

/// Exports the latest run to a file and gives its path.
fn exported(space: &Space, format: &str) -> PathBuf {
    let path = space.path().join(format!("export.{format}"));
    let _ = space.run(&["export", "--format", format, "-o", path.to_str().unwrap()]).code(0);
    path
}

fn texts(value: &Value) -> BTreeMap<&str, &str> {
    let members = value.as_object().unwrap_or_else(|| panic!("{value}"));
    members.iter().map(|(name, word)| (name.as_str(), word.as_str().unwrap_or(""))).collect()
}

#[test]
fn every_state_is_told_in_every_format_and_every_validator_takes_it() {
    let space = every_state();
    let _ = space.go(&["--date", "2026-11-24"]).code(3);
    let Some(junit) = validated("junit", &exported(&space, "junit")) else { return };
    let cases = texts(&junit["cases"]);
    for (step, wanted) in [
        ("build", "passed"),
        ("warns", "passed"),
        ("waived", "passed"),
        ("hostile", "failure"),
        ("test[os=a]", "passed"),
        ("flaky", "passed"),
        ("blocked", "skipped"),
        ("absent", "error"),
        ("off", "skipped"),
        ("decision", "failure"),
    ] {
        assert_eq!(cases.get(step), Some(&wanted), "{step}: {cases:?}");
    }
    let ctrf = validated("ctrf", &exported(&space, "ctrf")).unwrap();
    let cases = texts(&ctrf["cases"]);
    assert_eq!(
        (cases["waived"], cases["absent"], cases["off"], &ctrf["flaky"]),
        ("passed", "failed", "skipped", &1.into())
    );
    let tap = validated("tap", &exported(&space, "tap")).unwrap();
    assert_eq!((&tap["faults"], &tap["extra"], &tap["bailout"]), (&json("[]"), &0.into(), &false.into()), "{tap}");
    let cases = texts(&tap["cases"]);
    assert_eq!((cases["hostile"], cases["off"], cases["decision: HOLD"]), ("todo", "skip", "not ok"));
    assert_eq!(tap["planned"], tap["count"]);
    let statement = validated("in-toto", &exported(&space, "in-toto")).unwrap();
    assert_eq!((&statement["result"], &statement["warnedTests"]), (&"FAILED".into(), &json(r#"["warns", "waived"]"#)));
    assert_eq!(statement["subjects"], json(r#"["record.jsonl", "out.txt"]"#));
    let otlp = validated("otlp", &exported(&space, "otlp")).unwrap();
    let results = texts(&otlp["results"]);
    assert_eq!((results[""], results["absent"], results["off"]), ("failure", "error", "skip"));
    let slsa = space.path().join("slsa.json");
    let to = ["-o", slsa.to_str().unwrap(), "--builder-id", "https://ci.example/builder"];
    let _ = space.run(&[&["export", "--format", "slsa"], &to[..]].concat()).code(0);
    let slsa = validated("slsa", &slsa).unwrap();
    assert_eq!((&slsa["params"]["params"]["n"], &slsa["builder"]), (&"3".into(), &"https://ci.example/builder".into()));
    for builder in ["nobody", "", "a b:c", ":x"] {
        let _ = space.run(&["export", "--format", "slsa", "--builder-id", builder]).code(2);
    }
}

#[test]
fn a_go_is_passed_and_warned_where_something_was_waived() {
    let space = Space::plan(GOOD);
    let _ = space.go(&[]).code(0);
    let Some(statement) = validated("in-toto", &exported(&space, "in-toto")) else { return };
    assert_eq!(statement["result"], "PASSED");
    let tap = validated("tap", &exported(&space, "tap")).unwrap();
    assert_eq!((&tap["ok"], &tap["count"]), (&true.into(), &3.into()));
    let space = Space::plan("[steps.a]\nrun = 'exit 1'\npass = ['exit == 0']\nwarn = ['exit == 1']\n");
    let _ = space.go(&[]).code(0);
    assert_eq!(validated("in-toto", &exported(&space, "in-toto")).unwrap()["result"], "WARNED");
}

/// Under `stop` a parallel run may have finished what a serial one would not reach.
#[test]
fn what_is_not_reached_is_skipped() {
    let space =
        Space::plan("[steps.a]\nrun = 'exit 1'\n[steps.b]\nneeds = ['a']\nrun = 'true'\n[steps.c]\nrun = 'true'\n");
    let _ = space.go(&["--on-failure", "stop"]).code(1);
    let Some(junit) = validated("junit", &exported(&space, "junit")) else { return };
    assert_eq!(texts(&junit["cases"])["c"], "skipped");
    assert_eq!(texts(&validated("otlp", &exported(&space, "otlp")).unwrap()["results"])["c"], "skip");
}

#[test]
fn spans_of_the_chrome_trace_are_nested_or_apart() {
    let space = every_state();
    let _ = space.go(&["-j", "4", "--date", "2026-11-24"]).code(3);
    let trace = json(&fs::read_to_string(exported(&space, "chrome")).unwrap());
    let events = trace["traceEvents"].as_array().unwrap();
    let mut lanes: BTreeMap<u64, Vec<(u64, u64)>> = BTreeMap::new();
    for event in events {
        let phase = event["ph"].as_str().unwrap();
        assert!(event["name"].is_string() && event["pid"].is_u64() && event["tid"].is_u64(), "{event}");
        match phase {
            "M" => assert!(event["args"]["name"].is_string(), "{event}"),
            "X" => {
                let (from, length) = (event["ts"].as_u64().unwrap(), event["dur"].as_u64().unwrap());
                lanes.entry(event["tid"].as_u64().unwrap()).or_default().push((from, from + length));
            }
            "i" => assert!(event["ts"].is_u64() && ["g", "p", "t"].contains(&event["s"].as_str().unwrap()), "{event}"),
            other => panic!("phase `{other}`"),
        }
    }
    let pairs = |spans: &[(u64, u64)]| {
        for (at, a) in spans.iter().enumerate() {
            for b in &spans[at + 1..] {
                let within = |a: &(u64, u64), b: &(u64, u64)| a.0 <= b.0 && b.1 <= a.1;
                assert!(within(a, b) || within(b, a) || a.1 <= b.0 || b.1 <= a.0, "{a:?} {b:?}");
            }
        }
    };
    lanes.values().for_each(|spans| pairs(spans));
    assert!(lanes.len() > 1, "the run and its steps: {lanes:?}");
    let Some(model) = validated("chrome", &exported(&space, "chrome")) else { return };
    assert_eq!(model["lanes"].as_object().unwrap().len(), lanes.len(), "{model}");
    assert!(
        model["lanes"].to_string().contains("\"build\"") && !model["lanes"].to_string().contains("\"off\""),
        "{model}"
    );
}

#[test]
fn the_same_run_gives_the_same_bytes_wherever_it_is_exported() {
    let space = every_state();
    let _ = space.go(&["--date", "2026-11-24"]).code(3);
    let before = fs::read_dir(space.latest()).unwrap().count();
    for format in ["junit", "ctrf", "tap", "in-toto", "slsa", "otlp", "chrome", "archive"] {
        let first = fs::read(exported(&space, format)).unwrap();
        let script = "umask 077; export TZ=Asia/Kathmandu LC_ALL=tr_TR.UTF-8; exec \"$@\"";
        let mut other = space.command(&[]);
        let program = other.get_program().to_owned();
        other = Command::new("sh");
        other.args(["-c", script, "sh"]).arg(program).args(["export", "last", "--format", format, "-o", "-"]);
        let ended = other.current_dir(space.path()).stdin(Stdio::null()).output().unwrap();
        assert!(ended.status.success(), "{format}");
        assert_eq!(ended.stdout, first, "{format}");
    }
    assert_eq!(fs::read_dir(space.latest()).unwrap().count(), before, "nothing is left in the run's folder");
    for (format, wanted) in [("md", "# "), ("html", "<!doctype html>"), ("json", "{")] {
        let first = space.run(&["export", "--format", format]).code(0).stdout;
        assert!(first.to_lowercase().starts_with(wanted), "{first}");
        assert_eq!(space.run(&["export", "--format", format]).code(0).stdout, first, "{format}: no clock");
    }
}

/// Each of two steps waits for the other one, so they overlap.
#[test]
fn steps_that_ran_at_once_lie_in_two_lanes() {
    let wait = |own: &str, other: &str| {
        format!("touch {own}; for i in $(seq 3000); do test -e {other} && exit 0; sleep 0.01; done; exit 1")
    };
    let (x, y) = (wait("x", "y"), wait("y", "x"));
    let space = Space::plan(&format!("[steps.x]\nrun = '{x}'\n[steps.y]\nrun = '{y}'\n"));
    let _ = space.go(&["-j", "2"]).code(0);
    let trace = json(&fs::read_to_string(exported(&space, "chrome")).unwrap());
    let steps = trace["traceEvents"].as_array().unwrap().iter().filter(|event| event["cat"] == "step");
    let lanes: Vec<&Value> = steps.map(|event| &event["tid"]).collect();
    assert!(lanes.len() == 2 && lanes[0] != lanes[1], "{lanes:?}");
}

/// The kernel is the witness: one program runs, nothing is connected to, and only the export is written.
#[test]
fn an_export_starts_nothing_and_writes_only_itself() {
    let space = every_state();
    let _ = space.go(&["--date", "2026-11-24"]).code(3);
    for format in ["junit", "otlp", "html", "archive"] {
        let trace = space.path().join("trace");
        let mut command = Command::new("strace");
        command.args(["-f", "-qq", "-e", "trace=execve,connect,openat,rename,unlink", "-o"]).arg(&trace);
        command.arg(crate::support::RUNPLAN).args(["export", "--format", format, "-o", "to/x"]);
        fs::create_dir_all(space.path().join("to")).unwrap();
        let ended = command.current_dir(space.path()).stdin(Stdio::null()).output();
        if !ended.as_ref().is_ok_and(|ended| ended.status.success()) {
            return skip("strace");
        }
        let trace = space.read("trace");
        let calls = ["execve(", "connect(", "O_WRONLY", "O_RDWR", "O_CREAT", "rename(", "unlink("];
        let effects: Vec<&str> = trace.lines().filter(|line| calls.iter().any(|call| line.contains(call))).collect();
        let others = effects.iter().filter(|line| !line.contains("/to/")).count();
        assert_eq!(others, 1, "only the program itself: {effects:#?}");
    }
}

#[test]
fn output_is_repeated_up_to_a_bound_and_its_end_is_kept() {
    let space = Space::plan("[steps.loud]\nrun = 'yes 0123456789 | head -c 3000000; echo the end'\n");
    let _ = space.go(&[]).code(0);
    for format in ["junit", "ctrf"] {
        let text = fs::read_to_string(exported(&space, format)).unwrap();
        assert!(text.len() < 200_000, "{format}: {} bytes", text.len());
        assert!(text.contains("the end") && text.contains("bytes are left out]"), "{format}");
    }
}

#[test]
fn a_run_without_record_is_told_as_such_and_attested_by_nothing() {
    let space = Space::plan("[steps.a]\nrun = 'true'\n[steps.b]\nneeds = ['a']\nrun = 'touch here; exec sleep 300'\n");
    let mut command = space.command(&["blueprint.toml"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    until("the long step runs", || space.has("here"));
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let _ = finish(child);
    let run = fs::read_dir(space.path().join(".runplan/runs")).unwrap().next().unwrap().unwrap().file_name();
    let run = run.to_str().unwrap();
    for format in ["in-toto", "slsa", "archive", "html"] {
        let _ = space.run(&["export", run, "--format", format]).code(2).says("has no record");
    }
    let out = |format: &str| {
        let path = space.path().join(format);
        let _ = space.run(&["export", run, "--format", format, "-o", path.to_str().unwrap()]).code(0);
        path
    };
    let Some(tap) = validated("tap", &out("tap")) else { return };
    assert!(tap["bailout"].as_str().unwrap().contains("interrupted by signal 2"), "{tap}");
    let junit = validated("junit", &out("junit")).unwrap();
    assert_eq!((texts(&junit["cases"])["a"], texts(&junit["cases"])["decision"]), ("passed", "error"));
    let ctrf = validated("ctrf", &out("ctrf")).unwrap();
    assert_eq!(texts(&ctrf["cases"])["decision"], "other");
    assert_eq!(texts(&validated("otlp", &out("otlp")).unwrap()["results"])[""], "cancellation");
    assert!(fs::read_to_string(out("chrome")).unwrap().contains("interrupted"));
}

#[test]
fn a_secret_that_is_set_later_stays_inside() {
    let plan =
        "[secrets]\ntoken = { env = 'TOKEN' }\n[steps.a]\nsecrets = ['token']\nrun = 'echo hunter2hunter2; exit 1'\n";
    let space = Space::plan(plan).env("TOKEN", "another-one");
    let _ = space.go(&[]).code(1);
    assert!(fs::read_to_string(exported(&space, "junit")).unwrap().contains("hunter2hunter2"));
    let mut args = vec!["export", "--format", "junit"];
    let later = |space: &Space, args: &[&str]| {
        let mut command = space.command(args);
        command.env("TOKEN", "hunter2hunter2").stdout(Stdio::piped()).stderr(Stdio::piped());
        finish(command.spawn().unwrap())
    };
    let ended = later(&space, &args).code(0).says("the export does not").hides("hunter2");
    assert!(ended.stdout.contains("[secret token]"), "{}", ended.stdout);
    for format in ["ctrf", "tap", "in-toto", "slsa", "otlp", "chrome", "md", "html", "json"] {
        args[2] = format;
        let _ = later(&space, &args).code(0).hides("hunter2");
    }
    let _ = later(&space, &["export", "--format", "archive", "-o", "run.tar"]).code(2).says("holds the secret `token`");
    assert!(!space.has("run.tar"));
}

#[test]
fn what_was_masked_stays_masked_in_every_export() {
    let secret = "pa55 w+rd <é>&\"q\"";
    let plan = "[secrets]\ntoken = { env = 'TOKEN' }\n[steps.a]\nsecrets = ['token']\n\
        run = 'printf \"%s\\n\" \"$TOKEN\"; printf %s \"$TOKEN\" | base64; printf %s \"$TOKEN\" | od -An -tx1 | tr -d \" \\n\"; exit 1'\n";
    let space = Space::plan(plan).env("TOKEN", secret);
    let _ = space.go(&[]).code(1);
    let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
    let base64 = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, secret);
    let xml = secret.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;");
    let json = serde_json::to_string(secret).unwrap();
    for format in ["junit", "ctrf", "tap", "in-toto", "slsa", "otlp", "chrome", "archive", "md", "html", "json"] {
        let text = String::from_utf8_lossy(&fs::read(exported(&space, format)).unwrap()).into_owned();
        for form in [secret, &hex, &base64, &xml, json.trim_matches('"')] {
            assert!(!text.contains(form), "{format}: {form}");
        }
    }
}

#[test]
fn resumed_and_reused_runs_are_told_as_such() {
    let plan = "[steps.a]\nrun = 'echo a > a.txt'\ninputs = ['in.txt']\noutputs = ['a.txt']\n\
        [steps.b]\nneeds = ['a']\nrun = 'test -e go || { touch here; exec sleep 300; }'\n";
    let space = Space::plan(plan);
    space.write("in.txt", "1");
    let mut command = space.command(&["blueprint.toml"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    until("the long step runs", || space.has("here"));
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let _ = finish(child);
    space.write("go", "");
    let _ = space.run(&["resume"]).code(0);
    let Some(junit) = validated("junit", &exported(&space, "junit")) else { return };
    assert_eq!(texts(&junit["cases"]).values().collect::<Vec<_>>(), [&"passed"; 3]);
    let otlp = exported(&space, "otlp");
    assert_eq!(validated("otlp", &otlp).unwrap()["results"]["a"], "success");
    assert!(fs::read_to_string(otlp).unwrap().contains("runplan.reused_from"), "`a` had passed before");
    let archive = exported(&space, "archive");
    let other = Space::new();
    let _ = other.run(&["import", archive.to_str().unwrap()]).code(0);
    let _ = space.go(&[]).code(0);
    let run = id_of(&space.latest());
    for (format, told) in [
        ("junit", "reused: the result is that of run "),
        ("tap", "reused_from: "),
        ("ctrf", "\"reused_from\""),
        ("chrome", "\"reused_from\": \"2"),
    ] {
        let text = fs::read_to_string(exported(&space, format)).unwrap();
        assert!(text.contains(told), "{format} of {run}: {text}");
        assert!(
            ["tap", "ctrf", "chrome"]
                .iter()
                .all(|kind| format != *kind || validated(kind, &exported(&space, kind)).is_some())
        );
    }
}

/// A folder that is laid out otherwise: a long path, another umask, another time zone.
fn elsewhere() -> (Space, PathBuf) {
    let space = Space::new();
    let deep = space.path().join("a b").join("x".repeat(100)).join("ü");
    fs::create_dir_all(&deep).unwrap();
    (space, deep)
}

fn at(space: &Space, folder: &Path, args: &[&str]) -> crate::support::Ended {
    let mut command = space.command(args);
    let mut shell = Command::new("sh");
    shell
        .args(["-c", "umask 027; export TZ=America/St_Johns; exec \"$@\"", "sh"])
        .arg(command.get_program())
        .args(args);
    shell.current_dir(folder).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command = shell;
    finish(command.spawn().unwrap())
}

fn id_of(run: &Path) -> String {
    run.file_name().unwrap().to_str().unwrap().to_owned()
}

#[test]
fn a_run_goes_to_another_machine_and_back() {
    let space = every_state();
    let _ = space.go(&["--date", "2026-11-24"]).code(3);
    let _ = space.run(&["decide", "--date", "2026-11-24"]).code(3);
    let archive = exported(&space, "archive");
    let file = archive.to_str().unwrap();
    let id = id_of(&space.latest());
    let here = space.read(&format!(".runplan/runs/{id}/record.jsonl"));
    let _ = space.run(&["import", file]).code(0).says("already here");
    let (other, folder) = elsewhere();
    let _ = at(&other, &folder, &["import", file]).code(0).says(&format!("imported run {id}")).says("verified");
    fs::remove_dir_all(space.path()).unwrap();
    let _ = at(&other, &folder, &["verify", &id]).code(0).says("VERIFIED").says("each with its digest");
    let _ = at(&other, &folder, &["show", &id]).code(0).says("HOLD").says("hostile");
    let _ = at(&other, &folder, &["show", &id[..18], "--step", "build"]).code(0).says("out.txt");
    let _ = at(&other, &folder, &["replay", &id]).code(3).says("absent");
    let html = at(&other, &folder, &["export", &id, "--format", "html"]).code(0).stdout;
    assert!(html.contains("HOLD") && html.contains("known"), "{html}");
    let _ = at(&other, &folder, &["report", &id]).code(0).says("HOLD");
    let kept = folder.join(".runplan/imported/.runplan/runs").join(&id);
    assert_eq!(fs::read_to_string(kept.join("record.jsonl")).unwrap(), here);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&kept), mode(&kept.join("steps")), mode(&kept.join("journal.jsonl"))), (0o700, 0o700, 0o600));
    let again = folder.join("again.tar");
    let _ = at(&other, &folder, &["export", &id, "--format", "archive", "-o", again.to_str().unwrap()]).code(0);
    let again = fs::read(again).unwrap();
    let piped = at(&other, &folder, &["export", &id, "--format", "archive"]).code(0);
    assert_eq!(piped.stdout, String::from_utf8_lossy(&again));
    let (third, last) = elsewhere();
    fs::write(last.join("run.tar"), &again).unwrap();
    let _ = at(&third, &last, &["import", "run.tar"]).code(0);
    let _ = at(&third, &last, &["export", &id, "--format", "archive", "-o", "back.tar"]).code(0);
    assert_eq!(fs::read(last.join("back.tar")).unwrap(), again, "the same bytes after two machines");
}

#[test]
fn an_imported_run_is_no_ones_latest_history_or_baseline() {
    let space = Space::plan(GOOD);
    let _ = space.go(&[]).code(0);
    let archive = exported(&space, "archive");
    let id = id_of(&space.latest());
    let other = Space::plan(GOOD);
    let _ = other.run(&["import", archive.to_str().unwrap()]).code(0);
    let _ = other.run(&["history"]).code(0).says("no run").hides(&id);
    let _ = other.run(&["show", "latest"]).code(2);
    let _ = other.go(&[]).code(0);
    let own = id_of(&other.latest());
    assert_ne!(own, id);
    let _ = other.run(&["history"]).code(0).says(&own).hides(&id);
    let _ = other.run(&["diff", &id, "latest"]).code(0).says("equal");
    let _ = other.run(&["import", archive.to_str().unwrap()]).code(0).says("already here");
    assert_eq!(id_of(&other.latest()), own);
    for args in [&["resume", id.as_str()][..], &["rerun", &id, "--failed"]] {
        let _ = other.run(args).code(2).says("was imported: it ran on another machine");
    }
    assert!(!other.read(".runplan/index.jsonl").contains(&id), "no baseline");
}

#[test]
fn a_run_is_never_written_over_another_one() {
    let space = Space::plan(GOOD);
    let _ = space.go(&[]).code(0);
    let archive = exported(&space, "archive");
    let file = archive.to_str().unwrap();
    let other = Space::new();
    let _ = other.run(&["import", file]).code(0);
    let journal =
        other.path().join(".runplan/imported/.runplan/runs").join(id_of(&space.latest())).join("journal.jsonl");
    let whole = fs::read_to_string(&journal).unwrap();
    let changed = whole.replace("echo made", "echo mode");
    fs::write(&journal, &changed).unwrap();
    let _ = other.run(&["import", file]).code(2).says("nothing is overwritten");
    assert_eq!(fs::read_to_string(&journal).unwrap(), changed);
    fs::write(&journal, whole).unwrap();
    let _ = other.run(&["import", file]).code(0).says("already here");
    // A decision that was made later is another archive.
    let _ = space.run(&["decide"]).code(0);
    let later = exported(&space, "archive");
    let _ = other.run(&["import", later.to_str().unwrap()]).code(2).says("a later decision");
    let into = Space::new();
    let _ = other.run(&["import", later.to_str().unwrap(), "--log-dir", into.path().to_str().unwrap()]).code(0);
    assert!(into.has(".runplan/imported"));
}

/// Every byte is flipped in the library's tests, which need no process for each; these go through the program.
#[test]
fn archives_that_are_not_ours_are_refused_and_leave_nothing() {
    let space = Space::plan(GOOD);
    let _ = space.go(&[]).code(0);
    let whole = fs::read(exported(&space, "archive")).unwrap();
    let other = Space::new();
    let refused = |bytes: &[u8], why: &str| {
        other.write("x.tar", bytes);
        let ended = other.run(&["import", "x.tar"]).code(4).says("is not taken");
        assert!(ended.stderr.contains(why), "`{why}` is not in {}", ended.stderr);
        assert!(!other.has(".runplan") || !other.has(".runplan/imported/.runplan/runs/x"));
    };
    for at in (0..whole.len()).step_by(whole.len() / 60) {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x01;
        refused(&damaged, "");
    }
    refused(&whole[..whole.len() - 1], "its end");
    refused(&[whole.as_slice(), &[0; 512]].concat(), "its end");
    refused(&whole[..whole.len() - 1024], "ends too early");
    refused(b"", "ends too early");
    refused(&vec![b'x'; 2048], "");
    let text = |from: &str, to: &str| {
        let at = whole.windows(from.len()).position(|window| window == from.as_bytes()).unwrap();
        [&whole[..at], to.as_bytes(), &whole[at + from.len()..]].concat()
    };
    refused(&text("runplan.archive/1", "runplan.archive/9"), "take the version of runplan that wrote it");
    refused(&text("\"name\":\"run/plan.toml\"", "\"name\":\"run/../n.toml\""), "");
    let made = Command::new("python3").arg("-c").arg(FOREIGN).current_dir(other.path()).status();
    if !made.is_ok_and(|status| status.success()) {
        return skip("python3");
    }
    for (name, why) in [
        ("link", "a link"),
        ("hard", "a link"),
        ("device", "a device"),
        ("folder", "a folder"),
        ("up", "leads elsewhere"),
        ("root", "absolute"),
    ] {
        let bytes = fs::read(other.path().join(format!("{name}.tar"))).unwrap();
        refused(&bytes, why);
    }
    let _ = other.run(&["import", "none.tar"]).code(2);
}

/// Archives that another program might write.
const FOREIGN: &str = r#"
import tarfile
def make(file, **how):
    with tarfile.open(file + ".tar", "w", format=tarfile.USTAR_FORMAT) as tar:
        info = tarfile.TarInfo("MANIFEST.json")
        for key, value in how.items():
            setattr(info, key, value)
        tar.addfile(info)
make("link", type=tarfile.SYMTYPE, linkname="/etc/passwd")
make("hard", type=tarfile.LNKTYPE, linkname="/etc/passwd")
make("device", type=tarfile.CHRTYPE)
make("folder", type=tarfile.DIRTYPE)
make("up", name="run/../../../x")
make("root", name="/etc/x")
"#;

#[test]
fn other_programs_read_an_archive() {
    let space = Space::plan(GOOD);
    let _ = space.go(&[]).code(0);
    let archive = exported(&space, "archive");
    let ended = Command::new("tar").arg("-tvf").arg(&archive).output();
    let Some(ended) = ended.ok().filter(|ended| ended.status.success()) else { return skip("tar") };
    let list = String::from_utf8(ended.stdout).unwrap();
    let names: Vec<&str> = list.lines().filter_map(|line| line.split_whitespace().last()).collect();
    assert!(names.is_sorted() && names[0] == "MANIFEST.json" && names.contains(&"run/record.jsonl"), "{list}");
    assert!(list.lines().all(|line| line.starts_with("-rw-r--r-- 0/0 ") && line.contains(" 1970-01-01 ")), "{list}");
    assert!(!names.contains(&"run/lock") && !names.contains(&"run/inherited"), "{list}");
}

/// Gates have sign-offs outside of the run's folder; they go along.
#[test]
fn sign_offs_of_a_gate_and_the_signature_of_the_record_go_along() {
    if Command::new("ssh-keygen").arg("-?").stderr(Stdio::null()).status().is_err() {
        return skip("openssh-client");
    }
    let space = Space::plan(
        "[steps.a]\nrun = 'true'\n[steps.gate]\nneeds = ['a']\nsignoff = { roles = ['Ops'] }\n[steps.b]\nneeds = ['gate']\nrun = 'true'\n",
    );
    let key = space.path().join("key");
    let mut make = Command::new("ssh-keygen");
    make.args(["-q", "-t", "ed25519", "-N", "", "-C", "ana", "-f"]).arg(&key);
    assert!(make.status().unwrap().success());
    let public = fs::read_to_string(key.with_extension("pub")).unwrap();
    space.write("allowed_signers", format!("ana namespaces=\"runplan,runplan-record\" {public}"));
    let key = key.to_str().unwrap();
    let _ = space.go(&[]).code(3);
    let _ = space.run(&["sign", "--gate", "gate", "--role", "Ops", "--as", "ana", "--key", key]).code(0);
    let _ = space.go(&[]).code(0);
    let _ = space.run(&["verify", "--signers", "allowed_signers"]).code(4).says("nobody signed the record");
    let _ = space.run(&["sign", "--record", "--key", key]).code(0).says("signed the record");
    let _ = space.run(&["verify"]).code(0).says("`--signers FILE` checks by whom");
    let _ = space.run(&["verify", "--signers", "allowed_signers"]).code(0).says("the record is signed by ana");
    // A stranger needs only ssh-keygen.
    let stranger = |run: &Path| {
        let mut check = Command::new("ssh-keygen");
        check
            .args(["-Y", "verify", "-n", "runplan-record", "-I", "ana", "-f"])
            .arg(space.path().join("allowed_signers"));
        check.arg("-s").arg(run.join("record.sig")).stdin(fs::File::open(run.join("record.jsonl")).unwrap());
        check.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().success()
    };
    assert!(stranger(&space.latest()));
    let archive = exported(&space, "archive");
    let other = Space::new();
    let _ = other.run(&["import", archive.to_str().unwrap()]).code(0);
    let store = other.path().join(".runplan/imported/.runplan");
    let run = store.join("runs").join(id_of(&space.latest()));
    assert!(stranger(&run));
    fs::copy(space.path().join("allowed_signers"), other.path().join("allowed_signers")).unwrap();
    let _ = other.run(&["verify", &id_of(&run), "--signers", "allowed_signers"]).code(0).says("signed by ana");
    let gates = fs::read_dir(store.join("gates/gate")).unwrap().count();
    assert_eq!(gates, 1, "the sign-off of the gate is here");
    let signature = fs::read_to_string(run.join("record.sig")).unwrap();
    let id = id_of(&run);
    for damaged in [signature.replacen('A', "B", 3), String::new(), "x".to_owned()] {
        fs::write(run.join("record.sig"), damaged).unwrap();
        let _ = other.run(&["verify", &id, "--signers", "allowed_signers"]).code(4).says("NOT VERIFIED");
        assert!(!stranger(&run));
    }
    // Whoever may only sign off does not vouch for records.
    fs::write(run.join("record.sig"), &signature).unwrap();
    fs::write(other.path().join("allowed_signers"), format!("ana namespaces=\"runplan\" {public}")).unwrap();
    let _ = other.run(&["verify", &id, "--signers", "allowed_signers"]).code(4).says("signature");
    let _ = other.run(&["verify", &id, "--signers", "none"]).code(4).says("allowed-signers file can't be read");
    let _ = space.run(&["sign", "--record", "--role", "Ops", "--as", "ana"]).code(2).says("cannot be used with");
    let _ = space.run(&["sign", "--key", key]).code(2).says("--role");
}
