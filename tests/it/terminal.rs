//! Signals and screens, with the real program on a real pseudo-terminal, and without one.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::pty::{Left, Pty, left_behind, wait_for};
use crate::support::{Space, finish};

const CTRL_C: &str = "\u{3}";
const CTRL_Z: &str = "\u{1a}";

/// A step that says `up`, notes a TERM and goes, one behind it, and a last one.
const POLITE: &str = r#"
[steps.server]
run = "trap 'echo term > term.txt; exit 3' TERM; echo > up; while :; do sleep 0.02; done"
[steps.after]
needs = ["server"]
run = "echo > after.txt"
[finally.tidy]
run = "echo > tidy.txt"
run_when = "always"
"#;

fn signal(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(pid).expect("a pid")).expect("a pid");
    kill_process(pid, signal).expect("it lives");
}

/// What every interrupted run owes: the code, a closed journal without a record, a clean screen, nobody left.
#[track_caller]
fn interrupted(space: &Space, left: &Left, code: i32) {
    let shown = left.screen.text();
    assert_eq!(left.code, code, "{shown}");
    let journal = space.journal();
    let close = journal.last().expect("a journal has lines");
    assert_eq!(
        (close["t"].as_str(), close["status"]["interrupted"].as_i64()),
        (Some("close"), Some(i64::from(code) - 128))
    );
    assert!(!space.latest().join("record.jsonl").exists(), "an interrupted run has no record");
    assert!(left.screen.cursor, "the cursor can be seen again");
    assert!(!shown.contains('∑') && !shown.contains('⏵'), "the frame is gone:\n{shown}");
    assert!(left.screen.wrapped.is_empty(), "{:?}", left.screen.wrapped);
    assert_eq!(left_behind(space, ""), Vec::<String>::new());
}

/// State and cause of a step in the journal.
fn committed(space: &Space, step: &str) -> (String, String) {
    let journal = space.journal();
    let heads = journal[0]["steps"].as_array().expect("announced").clone();
    let id = heads.iter().position(|head| head["name"] == step).expect("announced");
    let line = journal.iter().find(|line| line["t"] == "commit" && line["step"] == id);
    let result = &line.unwrap_or_else(|| panic!("`{step}` was not committed"))["result"];
    let text = |value: &serde_json::Value| value.as_str().unwrap_or("").to_owned();
    (text(&result["state"]), text(&result["cause"]["code"]))
}

fn not_run() -> (String, String) {
    ("not_run".into(), "interrupted".into())
}

#[test]
fn ctrl_c_once_ends_what_runs_and_tidies_up() {
    let space = Space::plan(POLITE);
    let mut pty = Pty::runplan(&space, &["blueprint.toml"], 80, 24);
    wait_for("the step", || space.has("up"));
    pty.type_in(CTRL_C);
    let left = pty.end();
    interrupted(&space, &left, 130);
    assert!(left.screen.text().contains("SIGINT: starting nothing more, ending 1 step, then the `finally` steps"));
    assert_eq!(space.read("term.txt"), "term\n", "it had TERM, not KILL");
    assert!(space.has("tidy.txt") && !space.has("after.txt"));
    assert_eq!([committed(&space, "server"), committed(&space, "after")], [not_run(), not_run()]);
    assert_eq!(committed(&space, "tidy"), ("pass".into(), String::new()));
}

#[test]
fn ctrl_c_twice_ends_everything_at_once() {
    let space = Space::plan(&POLITE.replace("echo term > term.txt; exit 3", "echo term > term.txt"));
    let mut pty = Pty::runplan(&space, &["blueprint.toml"], 80, 24);
    wait_for("the step", || space.has("up"));
    pty.type_in(CTRL_C);
    wait_for("TERM", || space.has("term.txt"));
    let again = Instant::now();
    pty.type_in(CTRL_C);
    let left = pty.end();
    assert!(again.elapsed() < Duration::from_millis(4500), "the grace of 5 s is not waited for: {:?}", again.elapsed());
    interrupted(&space, &left, 130);
    assert!(left.screen.text().contains("SIGINT: ending 1 step at once"), "{}", left.screen.text());
    assert!(!space.has("tidy.txt"), "the second one leaves out the `finally` steps too");
    assert_eq!(committed(&space, "tidy"), not_run());
}

#[test]
fn a_step_that_ignores_term_is_killed_after_its_grace() {
    let space = Space::plan("[steps.deaf]\nrun = \"trap '' TERM; echo > up; while :; do sleep 0.1; done\"\n");
    let mut pty = Pty::runplan(&space, &["blueprint.toml"], 80, 24);
    wait_for("the step", || space.has("up"));
    let asked = Instant::now();
    pty.type_in(CTRL_C);
    let left = pty.end();
    assert!(asked.elapsed() >= Duration::from_secs(5), "{:?}", asked.elapsed());
    interrupted(&space, &left, 130);
    let journal = space.journal();
    let attempt = journal.iter().find(|line| line["t"] == "attempt").expect("it was tried");
    assert_eq!(attempt["result"]["exit"]["signal"], "SIGKILL");
}

#[test]
fn sigterm_and_sighup_end_a_run_as_well() {
    for (kind, code) in [(Signal::TERM, 143), (Signal::HUP, 129)] {
        let space = Space::plan(POLITE);
        let pty = Pty::runplan(&space, &["blueprint.toml"], 80, 24);
        wait_for("the step", || space.has("up"));
        signal(pty.pid(), kind);
        interrupted(&space, &pty.end(), code);
        assert!(space.has("term.txt") && space.has("tidy.txt"));
    }
}

#[test]
fn ctrl_c_while_a_service_serves_a_step_pauses_and_one_samples() {
    let space = Space::plan(
        r#"
[steps.service]
service = { run = "trap 'echo > stopped.txt; exit 0' TERM; echo hello; while :; do sleep 0.02; done", ready = { log = "hello" } }
[steps.user]
needs = ["service"]
run = "echo > user; sleep 600"
[steps.pausing]
run = "echo > tried; exit 1"
retry = { limit = 3, backoff = "10m" }
[steps.sampling]
file = "never"
pass = ["exists == true"]
sample = { every = "10m", within = "1h" }
"#,
    );
    let mut pty = Pty::runplan(&space, &["-j", "8", "blueprint.toml"], 100, 24);
    wait_for("the user", || space.has("user") && space.has("tried"));
    pty.shows("look 1");
    pty.shows("try 2 in");
    pty.type_in(CTRL_C);
    let left = pty.end();
    interrupted(&space, &left, 130);
    assert!(space.has("stopped.txt"), "the service had TERM");
    for step in ["user", "pausing", "sampling"] {
        assert_eq!(committed(&space, step), not_run(), "{step}");
    }
}

#[test]
fn ctrl_z_stops_engine_and_steps_and_fg_goes_on() {
    // It waits without starting anything: a shell that is stopped while a child of it has yet to exec shows as `D`.
    let space = Space::plan("[steps.slow]\nrun = 'mkfifo go; echo $$ > pid; read line < go'\n");
    let plan = [crate::support::RUNPLAN, "blueprint.toml"].join(" ");
    let shell: Vec<OsString> = ["sh", "-i"].map(Into::into).to_vec();
    let mut pty = Pty::start(&space, &shell, 80, 24);
    pty.type_in("stty -echo; PS1='ready> '\n");
    pty.shows("ready>");
    pty.type_in(&format!("{plan}\n"));
    wait_for("the step", || space.has("pid") && !space.read("pid").is_empty());
    pty.shows("∑");
    let step = space.read("pid");
    let state = || {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", step.trim())).expect("it lives");
        stat.rsplit_once(')').expect("a name").1.trim_start().chars().next()
    };
    pty.type_in(CTRL_Z);
    wait_for("the step to stop", || state() == Some('T'));
    pty.type_in("echo back in the shell\n");
    pty.shows("back in the shell");
    let shown = pty.screen().text();
    assert!(!shown.contains('∑') && !shown.contains('⏵'), "the frame is off the screen:\n{shown}");
    pty.type_in("fg\n");
    wait_for("the step to go on", || state() != Some('T'));
    pty.shows("∑");
    space.write("go", "on\n");
    pty.shows("GO  risk 0");
    pty.type_in("stty echo; exit\n");
    let left = pty.end();
    let shown = left.screen.text();
    assert!(shown.contains("back in the shell") && shown.contains("PASS") && !shown.contains('∑'), "{shown}");
    assert_eq!(left_behind(&space, ""), Vec::<String>::new());
}

/// Fifty steps that all run at once, say something long and end one after another.
fn crowd() -> Space {
    let mut plan = String::from("[pools]\nlock = 1\n[steps.gate]\nrun = 'while ! test -e go; do sleep 0.02; done'\n");
    for n in 0..50 {
        plan += &format!(
            "[steps.worker-number-{n:02}]\nrun = '''printf '%0300d\\n' {n}; echo > up.{n}; while ! test -e go; do sleep 0.05; done; exit {}'''\n",
            u8::from(n % 17 == 3),
        );
    }
    Space::plan(&plan)
}

#[test]
fn the_live_view_fits_small_and_large_screens() {
    for (columns, rows) in [(80, 24), (200, 50)] {
        let space = crowd();
        let pty = Pty::runplan(&space, &["-j", "51", "blueprint.toml"], columns, rows);
        wait_for("everybody", || (0..50).all(|n| space.has(&format!("up.{n}"))));
        // A higher screen gives a third of itself.
        let most = usize::from(rows / 3).max(8);
        pty.shows(&format!("+{} more running", 51 - most));
        pty.shows("000000");
        let shown = pty.screen().text();
        assert_eq!(shown.matches("  ⏵ ").count(), most, "{shown}");
        assert_eq!(shown.matches('∑').count(), 1, "{shown}");
        space.write("go", "");
        let left = pty.end();
        let shown = left.screen.text();
        assert_eq!(left.code, 1, "{shown}");
        assert!(left.screen.wrapped.is_empty(), "too wide for {columns}: {:?}", left.screen.wrapped);
        assert!(left.screen.cursor && !shown.contains('∑') && !shown.contains('⏵'), "{shown}");
        for n in 0..50 {
            let name = format!(") worker-number-{n:02}");
            assert_eq!(shown.matches(&name).count(), 1, "{name}:\n{shown}");
        }
        assert!(shown.contains("NO-GO"), "{shown}");
    }
}

#[test]
fn a_resized_window_stays_whole() {
    let space = crowd();
    let mut pty = Pty::runplan(&space, &["-j", "51", "blueprint.toml"], 120, 30);
    wait_for("everybody", || (0..50).all(|n| space.has(&format!("up.{n}"))));
    pty.shows("+41 more running");
    pty.resize(140, 40);
    let before = pty.bytes().len();
    wait_for("another drawing", || String::from_utf8_lossy(&pty.bytes()[before..]).matches('∑').count() >= 2);
    space.write("go", "");
    let left = pty.end();
    let shown = left.screen.text();
    assert!(!shown.contains('∑') && !shown.contains('⏵'), "{shown}");
    assert_eq!(shown.matches(") gate").count(), 1, "{shown}");
}

/// Something of everything, with long words.
const WORDY: &str = r#"
[steps.good]
title = "A title that goes on and on, far beyond what any terminal of eighty columns can show in one row"
run = "echo fine"
[steps.a-step-with-a-name-that-is-longer-than-half-of-a-line-of-eighty-columns-is-wide]
run = "head -c 5000 /dev/zero | tr '\\0' x; exit 7"
[steps.stopped]
needs = ["a-step-with-a-name-that-is-longer-than-half-of-a-line-of-eighty-columns-is-wide"]
run = "true"
[steps.look]
file = "blueprint.toml"
pass = ['text contains "a sentence that is not in the file although the file has so very many of them"']
warn = ["size > 1KiB"]
[steps.nice]
required = false
run = ["no-such-program-anywhere", "--with", "many", "arguments", "that", "make", "the", "line", "quite", "long"]
"#;

/// Whether every line fits and no byte moves the cursor.
#[track_caller]
fn is_plain(text: &str, columns: usize) {
    for line in text.lines() {
        assert!(line.chars().count() <= columns, "{} columns: {line}", line.chars().count());
    }
    let control = text.chars().find(|c| c.is_control() && *c != '\n');
    assert_eq!(control, None, "{text:?}");
}

#[test]
fn without_a_terminal_there_are_plain_lines() {
    let space = Space::plan(WORDY).env("COLUMNS", "80");
    let ended = space.go(&[]).code(1).says("NO-GO").says("exit 7");
    is_plain(&ended.stdout, 80);
    is_plain(&ended.stderr, 80);
    for args in [&["-n", "blueprint.toml"][..], &["list"], &["check"], &["explain", "look"], &["--help"]] {
        let ended = space.run(args).code(0);
        is_plain(&ended.stdout, 100);
        is_plain(&ended.stderr, 100);
    }
}

#[test]
fn colours_come_only_where_they_are_wanted() {
    let coloured = |space: &Space| space.go(&[]).code(1).stderr.contains("\u{1b}[");
    assert!(!coloured(&Space::plan(WORDY)));
    assert!(coloured(&Space::plan(WORDY).env("CLICOLOR_FORCE", "1")));
    assert!(!coloured(&Space::plan(WORDY).env("CLICOLOR_FORCE", "1").env("NO_COLOR", "1")));
    let on = |name: &str, value: &str| {
        let space = Space::plan(WORDY).env(name, value);
        let left = Pty::runplan(&space, &["blueprint.toml"], 80, 24).end();
        assert_eq!(left.code, 1);
        String::from_utf8_lossy(&left.bytes).into_owned()
    };
    let sequences = |text: &str| -> Vec<char> {
        let ends = text.split("\u{1b}[").skip(1).filter_map(|rest| rest.chars().find(char::is_ascii_alphabetic));
        ends.collect()
    };
    assert!(sequences(&on("CLICOLOR", "1")).contains(&'m'), "a terminal gets colours");
    let without = sequences(&on("NO_COLOR", "1"));
    assert!(!without.is_empty() && !without.contains(&'m'), "NO_COLOR takes the colours, not the frame");
    let dumb = on("TERM", "dumb");
    assert!(!dumb.contains('\u{1b}'), "a dumb terminal gets neither colours nor a frame: {dumb:?}");
}

#[test]
fn a_reader_that_goes_away_changes_no_verdict() {
    let space = Space::plan(WORDY);
    // Both streams are pipes whose other end is closed before the program starts.
    let closed = || {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        Stdio::from(writer)
    };
    let child = space.command(&["blueprint.toml"]).stdout(closed()).stderr(closed()).spawn().expect("it starts");
    assert_eq!(finish(child).code, 1);
    assert!(space.latest().join("record.jsonl").exists());
    let text = format!("{} blueprint.toml >&- 2>&-", crate::support::RUNPLAN);
    let status = std::process::Command::new("sh").args(["-c", &text]).current_dir(space.path()).status();
    assert_eq!(status.expect("a shell").code(), Some(1));
}

#[test]
fn a_full_disk_behind_stdout_is_not_success() {
    let space = Space::plan("[steps.a]\nrun = 'true'\n");
    for args in [&["blueprint.toml"][..], &["-n", "blueprint.toml"], &["list"], &["schema"], &["--help"]] {
        let full = OpenOptions::new().write(true).open("/dev/full").expect("/dev/full");
        let child = space.command(args).stdout(full).stderr(Stdio::piped()).spawn().expect("it starts");
        let ended = finish(child).code(74).says("stdout could not be written");
        assert_eq!(ended.stderr.contains("the run log is complete"), args.len() == 1 && args[0] == "blueprint.toml");
    }
    assert!(space.latest().join("record.jsonl").exists());
}
