//! Processes that do not want to end, that run away, that flood, that say what no terminal should see.

use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use crate::pty::{Pty, left_behind};
use crate::support::{Ended, Space};

/// Codes of the notes about a step in the journal.
fn notes(space: &Space, step: &str) -> Vec<String> {
    let journal = space.journal();
    let heads = journal[0]["steps"].as_array().expect("announced").clone();
    let id = heads.iter().position(|head| head["name"] == step).expect("announced");
    let warned = journal.iter().filter(|line| line["t"] == "warn" && line["step"] == id);
    warned.map(|line| line["code"].as_str().unwrap_or("").to_owned()).collect()
}

/// What a step wrote to stdout in its first attempt.
fn stdout(space: &Space, step: &str) -> Vec<u8> {
    let folders = std::fs::read_dir(space.latest().join("steps")).expect("steps").flatten();
    let suffix = format!("-{step}");
    let folder = folders.map(|f| f.path()).find(|path| path.to_string_lossy().ends_with(&suffix)).expect("the step");
    std::fs::read(folder.join("stdout")).expect("its stdout")
}

/// Runs a plan and says how long that took; `token` in a command line tells its processes from all others.
#[track_caller]
fn run(space: &Space, token: &str) -> (Ended, Duration) {
    let began = Instant::now();
    let ended = space.go(&["-j", "8"]);
    let took = began.elapsed();
    assert_eq!(left_behind(space, token), Vec::<String>::new(), "{}{}", ended.stdout, ended.stderr);
    (ended, took)
}

#[test]
fn a_step_that_ignores_term_is_killed() {
    let space = Space::plan("[steps.deaf]\nrun = \"trap '' TERM; sleep 300.1; sleep 300.1\"\ntimeout = '200ms'\n");
    let (ended, took) = run(&space, "sleep 300.1");
    let _ = ended.code(1).says("ran longer than 200 ms; ended by SIGKILL");
    assert_eq!(space.state("deaf"), ("error".into(), "timeout".into()));
    assert!(took > Duration::from_secs(5) && took < Duration::from_secs(20), "{took:?}");
}

#[test]
fn a_background_child_that_holds_stdout_ends_with_its_step() {
    let space = Space::plan("[steps.leak]\nrun = 'sleep 300.2 & exit 0'\n");
    let (ended, took) = run(&space, "sleep 300.2");
    let _ = ended.code(0).says("NOTE leak: `sleep` still held the output when the step had ended, and was ended");
    assert!(took < Duration::from_secs(2), "{took:?}");
    assert_eq!(notes(&space, "leak"), ["leaked_handles"]);
    // With a secret the output goes through a pipe, whose end never comes.
    let plan = "[secrets]\ntoken = { env = 'TOKEN' }\n[steps.leak]\nrun = 'sleep 300.2 & exit 0'\n";
    let space = Space::plan(plan).env("TOKEN", "a-token-of-this-test");
    let (ended, took) = run(&space, "sleep 300.2");
    let _ = ended.code(0);
    assert!(took < Duration::from_secs(2), "{took:?}");
    assert_eq!(notes(&space, "leak"), ["leaked_handles"]);
}

#[test]
fn daemons_are_found_wherever_they_went() {
    let space = Space::plan(
        r#"
[steps.session]
run = "setsid sh -c 'setsid sleep 300.3 & sleep 300.3' >/dev/null 2>&1 & exit 0"
[steps.stubborn]
run = "setsid sh -c \"trap '' TERM; sleep 300.3; sleep 300.3\" >/dev/null 2>&1 & exit 0"
[steps.nameless]
run = "env -i setsid /bin/sleep 300.3 >/dev/null 2>&1 & exit 0"
[steps.late]
run = "setsid sh -c 'sleep 300.3 & exec sleep 300.3' >/dev/null 2>&1 & sleep 600"
timeout = "300ms"
"#,
    );
    let (ended, took) = run(&space, "sleep 300.3");
    let _ = ended.code(1);
    assert!(took < Duration::from_secs(15), "{took:?}");
    for step in ["session", "stubborn", "nameless"] {
        assert_eq!(space.state(step).0, "pass", "{step}");
    }
    assert_eq!(notes(&space, "session"), ["left_running"]);
    assert_eq!(notes(&space, "stubborn"), ["left_running"]);
    assert_eq!(space.state("late"), ("error".into(), "timeout".into()));
}

/// 10^9 bytes in one line; the last step tells the engine's greatest memory so far.
const FLOOD: &str = r#"
[steps.flood]
run = "head -c 1000000000 /dev/zero | tr '\\0' x"
timeout = "5m"
[finally.memory]
run = "grep VmHWM: /proc/$PPID/status"
run_when = "always"
"#;

#[track_caller]
fn flooded(space: &Space) {
    let (ended, took) = run(space, "");
    let _ = ended.code(0);
    let text = String::from_utf8(stdout(space, "memory")).expect("text");
    let peak: u64 = text.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("VmHWM: N kB");
    assert!(peak < 60 * 1024, "{text}");
    assert!(took < Duration::from_secs(180), "{took:?}");
    let journal = space.journal();
    let bytes = journal.iter().filter(|line| line["t"] == "attempt").map(|line| &line["result"]["output_bytes"]);
    assert!(bytes.clone().any(|bytes| *bytes == 1_000_000_000), "{:?}", bytes.collect::<Vec<_>>());
}

#[test]
fn a_gigabyte_without_a_line_end_costs_no_memory() {
    flooded(&Space::plan(FLOOD));
}

#[test]
fn a_gigabyte_through_the_mask_costs_no_memory() {
    let plan = format!("[secrets]\ntoken = {{ env = 'TOKEN' }}\n{FLOOD}");
    flooded(&Space::plan(&plan).env("TOKEN", "a-token-of-this-test"));
}

#[test]
fn more_output_than_can_be_judged_is_an_error_and_says_so() {
    let plan = "[steps.flood]\nrun = \"head -c 20000000 /dev/zero | tr '\\\\0' x\"\npass = ['stdout contains \"y\"']\n";
    let space = Space::plan(plan);
    let _ = run(&space, "").0.code(1).says("stdout is 19.0 MiB; at most 16 MiB can be judged");
    assert_eq!(space.state("flood"), ("error".into(), "action_error".into()));
}

/// Says everything that harms a screen, on both streams and at every place of a line, then fails.
const HOSTILE: &str = r#"
[steps.hostile]
run = '''
for stream in 1 2; do
  printf 'red \033[31mtext\033[0m, cleared \033[2J\033[H, title \033]0;owned\007, link \033]8;;http://x\033\\here\n' >&$stream
  printf 'bad utf-8 \377\376 \303( \360\237\222, C1 \302\233 31m, bidi \342\200\256 abc, zero \342\200\213 width\n' >&$stream
  printf 'bell \007 back \010\010\010 return \rover tab\t vertical \013 form \014 del \177 nul \000 end\n' >&$stream
  printf 'no line end \033[?25l\033[?1049h\033[31' >&$stream
done
touch up
while test -n "$WAIT" && ! test -e go; do sleep 0.02; done
exit 9
'''
"#;

#[test]
fn hostile_output_is_stored_as_it_is_and_shown_as_text() {
    let space = Space::plan(HOSTILE);
    let (ended, _) = run(&space, "");
    let ended = ended.code(1).says("exit == 0").says("got 9");
    for text in [&ended.stdout, &ended.stderr] {
        let bad = text.chars().find(|c| (c.is_control() && *c != '\n') || "\u{200b}\u{202e}".contains(*c));
        assert_eq!(bad, None, "{text:?}");
    }
    let _ = ended.says("\\xff\\xfe").says("␛[?25l").says("\\u{202e}");
    let raw = stdout(&space, "hostile");
    assert!(raw.windows(2).any(|pair| pair == b"\xff\xfe") && raw.contains(&0x1b), "bytes are kept raw");
    // The same on a terminal: `Screen` takes nothing but the few sequences that the live view needs.
    let space = Space::plan(&HOSTILE.replace("$WAIT", "wait"));
    let pty = Pty::runplan(&space, &["blueprint.toml"], 100, 30);
    crate::pty::wait_for("the step", || space.has("up"));
    pty.shows("no line end ␛[?25l");
    space.write("go", "");
    let left = pty.end();
    assert_eq!(left.code, 1);
    assert!(left.screen.cursor && left.screen.wrapped.is_empty(), "{}", left.screen.text());
}

#[test]
fn crashes_and_programs_that_cannot_start_are_explained() {
    let space = Space::plan(
        r#"
[steps.crash]
run = "kill -SEGV $$"
[steps.missing]
run = ["dokcer", "ps"]
[steps.plain-file]
run = ["./not-executable"]
[steps.windows]
run = ["./windows"]
[steps.interpreter]
run = ["./interpreter"]
[steps.folder]
run = ["./bin"]
[steps.shell]
run = "dokcer ps"
"#,
    );
    let script = |name: &str, text: &str, mode: u32| {
        space.write(name, text);
        let mode = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(space.path().join(name), mode).expect("a mode");
    };
    script("not-executable", "#!/bin/sh\n", 0o644);
    script("windows", "#!/bin/sh\r\necho hi\r\n", 0o755);
    script("interpreter", "#!/no/such/python\n", 0o755);
    std::fs::create_dir(space.path().join("bin")).expect("a folder");
    let (ended, _) = run(&space, "");
    let ended = ended.code(1).says("SIGSEGV").says("`dokcer` was not found in PATH").says("is it installed?");
    let ended = ended.says("`./not-executable` is not executable").says("`./windows` has Windows line ends");
    let ended = ended.says("`/no/such/python`, was not found").says("`./bin` is a folder, not a program");
    let _ = ended.says("exit == 0, got 127").hides("absent");
    assert_eq!(space.state("crash").0, "fail");
    for step in ["missing", "plain-file", "windows", "interpreter", "folder"] {
        assert_eq!(space.state(step), ("error".into(), "spawn_failed".into()), "{step}");
    }
    assert_eq!(space.state("shell"), ("fail".into(), "criteria".into()));
}
