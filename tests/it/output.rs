//! What steps write, on the screen (`--output`): blocks, prefixed lines, nothing; masked, safe, and held up by nobody.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::process::Stdio;

use crate::pty::{Pty, wait_for};
use crate::support::{Space, say};

/// Eight steps that write at the same time, one line after another as the others do: each waits for the next round.
fn choir() -> Space {
    let mut plan = String::new();
    for n in 0..8 {
        plan += &format!(
            "[steps.s{n}]\nrun = '''\nfor i in $(seq 100); do echo \"s{n} line $i\"; test $i = 50 && touch half.{n} && until test -e go; do sleep 0.01; done; done\nprintf \"s{n} no end\"'''\n"
        );
    }
    plan += "[steps.gate]\nrun = 'for n in 0 1 2 3 4 5 6 7; do until test -e half.$n; do sleep 0.01; done; done; touch go'\n";
    Space::plan(&plan)
}

/// Lines of every step's own output, in order, by the name that stands before the mark.
fn prefixed(text: &str) -> BTreeMap<String, Vec<String>> {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in text.lines() {
        if let Some((name, said)) = line.split_once(" │ ").filter(|(name, _)| !name.is_empty() && !name.contains(' '))
        {
            found.entry(name.to_owned()).or_default().push(said.to_owned());
        }
    }
    found
}

fn wanted(n: usize) -> Vec<String> {
    (1..=100).map(|i| format!("s{n} line {i}")).chain([format!("s{n} no end")]).collect()
}

#[test]
fn all_gives_each_step_one_block_and_live_each_line_its_name() {
    let ended = choir().go(&["-j9", "--output", "all"]).code(0);
    let lines: Vec<&str> = ended.stderr.lines().collect();
    for n in 0..8 {
        let at = lines.iter().position(|line| *line == format!("  ┌ stdout of s{n}")).expect("a block");
        let block: Vec<String> =
            lines[at + 1..=at + 101].iter().map(|line| line.trim_start_matches("  │ ").to_owned()).collect();
        assert_eq!(block, wanted(n));
        assert!(lines[at - 1].contains("PASS") && lines[at - 1].ends_with(&format!(") s{n}")), "{}", lines[at - 1]);
    }
    let ended = choir().go(&["-j9", "--output", "live"]).code(0);
    let said = prefixed(&ended.stderr);
    assert_eq!(said.len(), 8, "{:?}", said.keys());
    for n in 0..8 {
        assert_eq!(said[&format!("s{n}")], wanted(n));
        let (end, pass) = (ended.stderr.find(&format!("s{n} no end")), ended.stderr.find(&format!(") s{n}\n")));
        assert!(end < pass, "the rest of a line stands before the result");
    }
    for args in [&["-j9", "--output", "none"][..], &["-j9"]] {
        let space = choir().env("RUNPLAN_OUTPUT_MODE", if args.len() == 1 { "none" } else { "all" });
        let _ = space.go(args).code(0).hides("no end");
    }
    say("808 lines of eight steps, in blocks and live");
}

#[test]
fn quiet_and_json_show_output_beside_the_result() {
    let space = Space::plan("[steps.a]\nrun = 'echo hel\"\"lo; echo oo\"\"ps >&2; exit 1'\n");
    let ended = space.go(&["--progress", "none", "--output", "all"]).code(1);
    assert!(ended.stderr.starts_with("  ┌ stdout of a\n  │ hello\n  ┌ stderr of a\n  │ oops\n"), "{}", ended.stderr);
    let ended = space.go(&["--progress", "json", "--output", "live"]).code(1);
    assert_eq!(ended.stderr, "a │ hello\na │ oops\n");
    assert!(ended.stdout.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()));
    let ended = space.go(&["--output", "none"]).code(1).hides("hello").hides("oops");
    assert!(ended.stderr.contains("{stderr,stdout}"), "where it is stored is still told: {}", ended.stderr);
    let _ = space.run(&["replay", "--output", "all"]).code(1).says("  │ hello\n");
}

#[test]
fn a_secret_cut_between_two_reads_does_not_leak_and_no_byte_steers_the_terminal() {
    let plan = "[secrets]\ntoken = { env = 'TOKEN' }\n[steps.a]\nsecrets = ['token']\n\
                run = 'printf \"before hun\"; touch half; until test -e go; do sleep 0.01; done; printf \"ter2-secret after\\n\\033[31mred \\377 \\033]0;t\\007\\n10%%\\r100%%\"'\n";
    for mode in ["live", "all"] {
        let space = Space::plan(plan).env("TOKEN", "hunter2-secret");
        let mut child = space
            .command(&["blueprint.toml", "--output", mode])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        wait_for("the first half", || space.has("half"));
        // What is stored of it by now was read by the screen, too: it is looked at ten times a second.
        let stored = || std::fs::read_dir(space.path().join(".runplan/runs")).is_ok_and(|runs| runs.count() > 0);
        wait_for("a run", stored);
        space.write("go", "");
        let mut text = String::new();
        child.stderr.take().expect("a pipe").read_to_string(&mut text).expect("text");
        assert!(child.wait().expect("it ends").success());
        assert!(text.contains("before [secret token] after\n"), "{text}");
        assert!(!text.contains("hunter2") && !text.contains("ter2-secret"), "{text}");
        assert!(text.contains("│ ␛[31mred \\xff ␛]0;t␇\n") && text.contains("│ 100%\n"), "{text}");
        assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
    }
}

#[test]
fn a_reader_that_stands_still_holds_up_no_step_and_loses_nothing() {
    // More than pipes and queues hold; nobody reads until the last step is over.
    let plan = "[steps.loud]\nrun = '''yes 'a line that is long enough to fill a pipe' | head -n 400000'''\n\
                [steps.next]\nneeds = ['loud']\nrun = 'touch done; until test -e go; do sleep 0.01; done'\n";
    let space = Space::plan(plan);
    let child = space
        .command(&["blueprint.toml", "--output", "live"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    wait_for("the step behind the loud one", || space.has("done"));
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).expect("it lives");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    let peak: u64 = peak.trim().trim_end_matches(" kB").parse().expect("a number");
    assert!(peak < 64 * 1024, "{peak} KiB for 18 MB of output that nobody read");
    space.write("go", "");
    let ended = crate::support::finish(child).code(0);
    assert_eq!(prefixed(&ended.stderr)["loud"].len(), 400_000);
    say(&format!("400,000 lines late, {peak} KiB at most"));
}

#[test]
fn output_scrolls_by_above_the_frame() {
    let space = choir();
    let left = Pty::runplan(&space, &["-j9", "--output", "live", "blueprint.toml"], 80, 24).end();
    let shown = left.screen.text();
    assert_eq!(left.code, 0, "{shown}");
    let said = prefixed(&shown);
    for n in 0..8 {
        assert_eq!(said[&format!("s{n}")], wanted(n));
    }
    assert!(!shown.contains('∑') && left.screen.cursor, "{shown}");
}
