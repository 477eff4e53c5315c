//! The log of a GitHub Actions job, read as the runner reads it: every command is meant, none comes from a step.

use std::collections::BTreeMap;

use crate::support::{Ended, Space, say};

/// What a runner makes of a log.
#[derive(Debug, Default)]
struct Job {
    /// Titles of groups with the lines in them.
    groups: Vec<(String, Vec<String>)>,
    /// Kind, properties, message.
    annotations: Vec<(String, BTreeMap<String, String>, String)>,
    tokens: Vec<String>,
    /// Lines outside of groups.
    text: Vec<String>,
}

fn unescaped(text: &str) -> String {
    text.replace("%0D", "\r").replace("%0A", "\n").replace("%25", "%")
}

/// Reads strictly: a command that is not known or stands where it must not is a fault of the log.
fn job(log: &str) -> Job {
    let mut job = Job::default();
    let (mut stopped, mut group): (Option<String>, Option<(String, Vec<String>)>) = (None, None);
    for line in log.split('\n') {
        assert!(!line.contains('\r'), "{line:?}");
        let command = line.trim().strip_prefix("::").and_then(|rest| rest.split_once("::"));
        if let Some(token) = &stopped {
            match command {
                Some((word, "")) if word == token => stopped = None,
                // Nothing is a command here; but nothing looks like one either.
                Some(other) => panic!("`{other:?}` while commands are stopped"),
                None => group.as_mut().map_or(&mut job.text, |group| &mut group.1).push(line.to_owned()),
            }
            continue;
        }
        assert!(!line.contains("##["), "an old command: {line}");
        let Some((head, data)) = command else {
            group.as_mut().map_or(&mut job.text, |group| &mut group.1).push(line.to_owned());
            continue;
        };
        let (word, properties) = head.split_once(' ').unwrap_or((head, ""));
        match word {
            "stop-commands" => {
                assert!(data.len() > 32, "guessable: {data}");
                job.tokens.push(data.to_owned());
                stopped = Some(data.to_owned());
            }
            "group" => {
                assert!(group.is_none(), "a group within a group");
                group = Some((unescaped(data), Vec::new()));
            }
            "endgroup" => job.groups.push(group.take().expect("a group is open")),
            "error" | "warning" | "notice" => {
                let pair = |text: &str| {
                    let (name, value) = text.split_once('=').expect("name=value");
                    assert!(["file", "line", "col", "title"].contains(&name), "{name}");
                    (name.to_owned(), unescaped(&value.replace("%3A", ":").replace("%2C", ",")))
                };
                let properties = properties.split(',').filter(|text| !text.is_empty()).map(pair).collect();
                job.annotations.push((word.to_owned(), properties, unescaped(data)));
            }
            other => panic!("`{other}` is no command of ours"),
        }
    }
    assert!(stopped.is_none() && group.is_none(), "left open: {stopped:?} {group:?}");
    let mut tokens = job.tokens.clone();
    tokens.sort();
    tokens.dedup();
    assert_eq!(tokens.len(), job.tokens.len(), "each token once");
    job
}

/// A job's environment.
fn on_github(space: Space) -> Space {
    let root = space.path().to_str().expect("UTF-8").to_owned();
    let space = space.env("GITHUB_ACTIONS", "true").env("GITHUB_WORKSPACE", &root);
    space.env("GITHUB_STEP_SUMMARY", &format!("{root}/summary.md")).env("GITHUB_OUTPUT", &format!("{root}/outputs.txt"))
}

fn of_kind<'j>(job: &'j Job, kind: &str) -> Vec<&'j (String, BTreeMap<String, String>, String)> {
    job.annotations.iter().filter(|one| one.0 == kind).collect()
}

const HOSTILE: &str = r#"
[steps.good]
run = "echo fine"
[steps.hostile]
title = "a title\nwith ::error::a line,100%0A: and ##[error]more"
run = '''
echo '::error::pwn'; echo '::endgroup::'; echo '  ::group::x'; echo '##[error]pwn'; printf 'x\r::warning::pwn\r\n'
printf '::stop-commands::x\n::x::\n::add-mask::y\n'; printf '::set-output name=a::b'; exit 1
'''
[steps.got]
run = "echo '::error::as an actual value'; echo"
pass = ['stdout == "::warning::expected"']
[steps.advisory]
required = false
run = "exit 3"
[steps.warned]
file = "blueprint.toml"
pass = ["size < 1B"]
warn = ["size > 1B"]
"#;

#[test]
fn a_hostile_step_commands_nothing_and_problems_stand_at_their_place() {
    let space = on_github(Space::plan(HOSTILE));
    let ended = space.go(&[]).code(1);
    assert_eq!(ended.stderr, "", "one stream, one order");
    let job = job(&ended.stdout);
    let text = space.read("blueprint.toml");
    let line_of =
        |part: &str| (1 + text.lines().position(|line| line.contains(part)).expect("it is there")).to_string();
    let titles: Vec<&str> = job.groups.iter().map(|group| group.0.as_str()).collect();
    assert_eq!(titles.len(), 3, "{titles:?}");
    let hostile = job.groups.iter().find(|group| group.0.contains(") hostile")).expect("a group");
    for said in ["::error::pwn", "::endgroup::", "##[error]pwn", "::warning::pwn", "::x::", "::set-output name=a::b"] {
        assert!(hostile.1.iter().any(|line| line.ends_with(said)), "{said}: {hostile:?}");
    }
    assert!(hostile.1.iter().all(|line| line.starts_with("  ┌ ") || line.starts_with("  │ ")), "{hostile:?}");
    let (errors, warnings) = (of_kind(&job, "error"), of_kind(&job, "warning"));
    assert_eq!((errors.len(), warnings.len(), job.annotations.len()), (2, 2, 4), "{job:#?}");
    let got = errors.iter().find(|one| one.1["title"] == "FAIL got").expect("an error");
    assert_eq!(
        (got.1["file"].as_str(), got.1["line"].as_str()),
        ("blueprint.toml", line_of("::warning::expected").as_str()),
        "{got:?}"
    );
    assert!(errors.iter().any(|one| one.1["title"].starts_with("FAIL hostile: a title")), "{errors:?}");
    assert!(
        warnings.iter().any(|one| one.1["title"] == "WARN warned" && one.1["line"] == line_of("size < 1B")),
        "{warnings:?}"
    );
    assert!(job.text.iter().any(|line| line.starts_with("NO-GO  2 vetoes")), "{:?}", job.text);
    let outputs = space.read("outputs.txt");
    let outputs: BTreeMap<&str, &str> = outputs.lines().filter_map(|line| line.split_once('=')).collect();
    let id = space.latest().file_name().expect("a name").to_string_lossy().into_owned();
    let bytes = std::fs::read(space.latest().join("record.jsonl")).expect("a record");
    assert_eq!((outputs["decision"], outputs["run"], outputs.len()), ("NO-GO", id.as_str(), 4));
    assert_eq!(outputs["record"], runplan::digest::sha256_hex(&bytes));
    assert!(outputs["risk"].parse::<u32>().is_ok_and(|risk| risk > 0));
    assert!(space.read("summary.md").starts_with("# Readiness: "));
    say("a log with 3 groups and 4 annotations, read as a runner reads it");
}

#[test]
fn every_output_mode_gives_a_log_that_holds() {
    for (mode, groups, said) in [("failed", 2, true), ("none", 0, false), ("live", 0, true), ("all", 3, true)] {
        let space = on_github(Space::plan(HOSTILE));
        let ended = space.go(&["--output", mode]).code(1);
        let job = job(&ended.stdout);
        assert_eq!(job.groups.len(), groups, "{mode}");
        assert_eq!(ended.stdout.contains(" │ ::set-output name=a::b"), said, "{mode}");
        assert_eq!(job.annotations.len(), 4, "{mode}");
    }
    // Asked for by name, it works anywhere; and elsewhere nothing of it is seen.
    let space = Space::plan(HOSTILE);
    assert_eq!(job(&space.go(&["--progress", "github"]).code(1).stdout).groups.len(), 3);
    let _ = space.go(&[]).code(1).hides("::stop-commands::runplan-");
    let _ = on_github(Space::plan(HOSTILE)).go(&["--progress", "plain"]).code(1).hides("::stop-commands::runplan-");
}

#[test]
fn more_problems_than_github_takes_are_counted() {
    let mut plan = String::new();
    for n in 0..13 {
        let severity = if n == 12 { "severity = 'critical'\n" } else { "" };
        plan += &format!(
            "[steps.e{n:02}]\nfile = 'never-{n}'\n{severity}[steps.w{n:02}]\nfile = 'blueprint.toml'\npass = ['size < 1B']\nwarn = ['size > 1B']\n"
        );
    }
    let job = job(&on_github(Space::plan(&plan)).go(&[]).code(1).stdout);
    let (errors, warnings, notices) = (of_kind(&job, "error"), of_kind(&job, "warning"), of_kind(&job, "notice"));
    assert_eq!((errors.len(), warnings.len(), notices.len()), (10, 10, 1));
    assert_eq!(errors[0].1["title"], "FAIL e12", "the most severe first");
    assert!(notices[0].2.starts_with("3 errors and 3 warnings more"), "{notices:?}");
}

#[test]
fn a_summary_stays_below_its_limit_failures_first() {
    let long = "long ".repeat(58);
    let mut plan = String::new();
    for n in 0..450 {
        let criteria: Vec<String> = (0..5).map(|k| format!("'text contains \"{k} {long}\"'")).collect();
        plan += &format!("[steps.s{n:03}]\nfile = 'all.txt'\npass = [{}]\n", criteria.join(", "));
    }
    plan += "[steps.zz-last]\nfile = 'never'\n";
    let space = on_github(Space::plan(&plan));
    space.write("all.txt", (0..5).map(|k| format!("{k} {long}\n")).collect::<String>());
    space.write("summary.md", "of another step of the job\n");
    let _ = space.go(&[]).code(1);
    let summary = space.read("summary.md");
    assert!(summary.len() > 700 * 1024 && summary.len() <= 900 * 1024, "{}", summary.len());
    assert!(summary.starts_with("of another step of the job\n# Readiness: "));
    let (failed, passed) = (summary.find("### `zz-last`"), summary.find("### `s000`"));
    assert!(failed.is_some() && failed < passed, "{failed:?} {passed:?}");
    let end = summary.lines().rev().find(|line| !line.is_empty()).expect("an end");
    assert!(end.starts_with("Cut to fit: 0 of 451 steps in the table and the details of "), "{end}");
    assert!(end.contains("`runplan report 2"), "{end}");
    say(&format!("a summary of {} KiB", summary.len() / 1024));
}

#[test]
fn a_file_that_cannot_be_written_changes_no_decision() {
    let space = Space::plan("[steps.a]\nrun = 'true'\n").env("GITHUB_ACTIONS", "true");
    let space = space.env("GITHUB_STEP_SUMMARY", "/nowhere/summary.md").env("GITHUB_OUTPUT", "/nowhere/outputs");
    let ended: Ended = space.go(&[]).code(0);
    assert!(ended.stderr.contains("$GITHUB_STEP_SUMMARY `/nowhere/summary.md` can't be written"), "{}", ended.stderr);
    assert!(ended.stderr.contains("$GITHUB_OUTPUT") && ended.stdout.contains("GO  risk 0"), "{}", ended.stdout);
}
