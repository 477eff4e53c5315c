//! Ten thousand steps: wide, as a chain, as a diamond. No thread a step, no recursion, memory that a plan deserves.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use crate::support::{RUNPLAN, Space};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Shape {
    Wide,
    Chain,
    Diamond,
}

/// A plan of `n` steps with this action; a last one tells the engine's greatest memory and its threads.
fn plan(shape: Shape, n: usize, action: &str) -> String {
    let mut text = String::new();
    for i in 0..n {
        let _ = writeln!(text, "[steps.s{i}]\n{action}");
        let needs = match shape {
            Shape::Chain if i > 0 => format!("'s{}'", i - 1),
            Shape::Diamond if i == n - 1 => (1..i).map(|j| format!("'s{j}'")).collect::<Vec<_>>().join(","),
            Shape::Diamond if i > 0 => "'s0'".to_owned(),
            _ => continue,
        };
        let _ = writeln!(text, "needs = [{needs}]");
    }
    text + "[finally.look]\nrun = \"grep -E '^(VmHWM|Threads):' /proc/$PPID/status\"\n"
}

/// Runs it with a main stack of 256 KiB, on which recursion over ten thousand steps would not fit.
#[track_caller]
fn complete(shape: Shape, n: usize, action: &str) {
    let space = Space::plan(&plan(shape, n, action));
    space.write("file", "x");
    let began = Instant::now();
    let command = format!("ulimit -s 256 && exec {RUNPLAN} -j16 --progress none blueprint.toml");
    let mut shell = std::process::Command::new("sh");
    let output = shell.args(["-c", &command]).current_dir(space.path()).env_remove("RUNPLAN_JOBS").output();
    let output = output.expect("a shell");
    let (took, said) = (began.elapsed(), String::from_utf8_lossy(&output.stdout).into_owned());
    let err = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{shape:?}: {said}\n{err}");
    assert!(said.contains(&format!("{} passed", n + 1)), "{said}");
    let record = std::fs::read_to_string(space.latest().join("record.jsonl")).expect("a record");
    assert_eq!(record.lines().count(), n + 3, "one line a step, the run and the end");
    let steps = std::fs::read_dir(space.latest().join("steps")).expect("spools").flatten();
    let look = steps.map(|f| f.path()).find(|path| path.to_string_lossy().ends_with("-look")).expect("the last step");
    let text = std::fs::read_to_string(look.join("stdout")).expect("its output");
    let number = |name: &str| -> u64 {
        let line = text.lines().find(|line| line.starts_with(name)).expect("a line of /proc");
        line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).expect("a number")
    };
    assert!(number("Threads:") < 12, "{text}");
    assert!(number("VmHWM:") < 400 * 1024, "{text}");
    assert!(took < Duration::from_secs(300), "{shape:?} took {took:?}");
}

/// A cheap step, so that the engine itself is what is measured.
const LOOK: &str = "file = 'file'";

#[test]
fn ten_thousand_steps_side_by_side() {
    complete(Shape::Wide, 10_000, LOOK);
}

#[test]
fn ten_thousand_steps_in_a_chain() {
    complete(Shape::Chain, 10_000, LOOK);
}

#[test]
fn ten_thousand_steps_as_a_diamond() {
    complete(Shape::Diamond, 10_000, LOOK);
}

#[test]
fn a_thousand_processes_side_by_side() {
    complete(Shape::Wide, 1_000, "run = ['/bin/true']");
}

#[test]
fn a_failure_at_the_head_of_a_chain_skips_all_of_it() {
    let n = 10_000;
    let space = Space::plan(&plan(Shape::Chain, n, LOOK).replacen(LOOK, "file = 'missing'", 1));
    space.write("file", "x");
    let ended = space.go(&["--progress", "plain"]).code(1).says("9999 blocked");
    assert!(ended.stdout.lines().count() < 60, "the decision fits a screen:\n{}", ended.stdout);
    assert_eq!(space.state("s9999"), ("skipped".into(), "need_failed".into()));
}
