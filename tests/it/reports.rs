//! Result files from plan to decision: nothing inspected is no pass, what is malformed is told, two sides are compared, and
//! lines that were added are found by git.

use std::fmt::Write as _;

use crate::actions::sh;
use crate::support::{Space, repository};

/// File, its content, keys of the step, what was not there.
const EMPTY: [(&str, &str, &str, &str); 8] = [
    ("junit.xml", "<testsuites/>", "report = 'junit.xml'\npass = ['tests.failed == 0']", "test"),
    ("c.lcov", "TN:\n", "report = { path = 'c.lcov', format = 'lcov' }\npass = ['percent(lines) >= 1']", "file"),
    ("c.xml", "<coverage/>", "report = 'c.xml'\npass = ['percent(lines) >= 1']", "file"),
    ("j.xml", "<report name='x'/>", "report = 'j.xml'\npass = ['percent(lines) >= 1']", "file"),
    ("s.sarif", r#"{"version": "2.1.0", "runs": []}"#, "report = 's.sarif'\npass = ['open(total) == 0']", "run"),
    ("h.json", r#"{"results": []}"#, "report = 'h.json'\npass = ['p95 < 1s']", "time"),
    ("k.json", r#"{"metrics": {}}"#, "report = 'k.json'\npass = ['p95 < 1s', 'checks.failed == 0']", "iteration"),
    ("a.txt", "", "file = 'none/*.txt'\npass = ['every(size) > 0B']", "file"),
];

#[test]
fn nothing_inspected_is_no_pass_unless_it_is_allowed() {
    for (file, content, keys, what) in EMPTY {
        let content = if file == "c.lcov" { "SF:a\nend_of_record\n" } else { content };
        let space = Space::plan(&format!("[steps.look]\n{keys}\n"));
        space.write(file, content);
        let _ = space.go(&[]).code(1).says("nothing was inspected").says(&format!("not one {what} "));
        assert_eq!(space.state("look"), ("error".into(), "no_data".into()), "{file}");

        let allowed = format!("format = 1\n[steps.look]\n{keys}\nallow_empty = 'nobody has written one yet'\n");
        let _ = space.write("blueprint.toml", allowed).go(&[]).code(0);
        assert_eq!(space.state("look").0, "pass", "{file}");
        let run = space.journal();
        let told =
            run.iter().any(|line| line["t"] == "commit" && line.to_string().contains("nobody has written one yet"));
        assert!(told, "{file}: {run:?}");
        let _ = space.run(&["explain", "blueprint.toml", "look"]).code(0).says("nobody has written one yet");
    }
}

#[test]
fn a_scan_that_found_nothing_has_looked() {
    let scan = r#"{"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "scan"}}, "results": []}]}"#;
    let space = Space::plan("[steps.look]\nreport = 's.sarif'\npass = ['open(total) == 0', 'new(total) == 0']\n");
    let _ = space.write("s.sarif", scan).go(&[]).code(0);
    let broken = scan.replace("\"results\"", "\"invocations\": [{\"executionSuccessful\": false}], \"results\"");
    let _ = space.write("s.sarif", broken).go(&[]).code(1).says("`scan` says that its run went wrong");
    assert_eq!(space.state("look"), ("error".into(), "action_error".into()));
}

#[test]
fn what_is_malformed_is_told_with_its_place() {
    let fixture = |name: &str| {
        std::fs::read_to_string(repository().join("tests/it/fixtures/reports").join(name)).expect("a fixture")
    };
    let cut = |name: &str| fixture(name)[..fixture(name).len() / 2].to_owned();
    let bomb = "<!DOCTYPE x [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;&a;'>]>\n<testsuites name='&b;'/>";
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let all = [
        ("cut.xml", cut("jacoco.xml"), "`cut.xml`: it "),
        ("cut.sarif", cut("bandit.sarif"), "it is not a SARIF report: EOF while parsing"),
        ("cut.json", cut("hyperfine.json"), "it is not a hyperfine export: EOF while parsing"),
        ("shape.sarif", r#"{"version": "2.1.0", "runs": {}}"#.to_owned(), "expected a sequence (line 1, column 30)"),
        ("other.json", r#"{"answer": 42}"#.to_owned(), "it is JSON of no known report; known are"),
        ("deep.json", format!("{{\"metrics\": {{\"a\": {deep}}}}}"), "recursion limit exceeded"),
        ("bomb.xml", bomb.to_owned(), "it declares entities, which are never expanded: refused (line 1, column 1)"),
        ("nan.json", r#"{"results": [{"command": "a", "times": ["NaN"]}]}"#.to_owned(), "invalid type: string"),
        (
            "nan.xml",
            "<coverage><class filename='a'><line number='NaN' hits='1'/></class></coverage>".to_owned(),
            "is not a whole number",
        ),
    ];
    let plan = all.iter().fold(String::new(), |mut plan, (file, _, _)| {
        let _ = writeln!(plan, "[steps.'{file}']\nreport = '{file}'");
        plan
    });
    let plan = plan.replace(".xml']", "_xml']").replace(".json']", "_json']").replace(".sarif']", "_sarif']");
    let space = Space::plan(&plan);
    for (file, content, _) in &all {
        space.write(file, content);
    }
    let mut ended = space.go(&[]).code(1);
    for (file, _, says) in &all {
        ended = ended.says(says);
        assert_eq!(space.state(&file.replace('.', "_")), ("error".into(), "action_error".into()), "{file}");
    }
}

/// An export of hyperfine with times around `mean` seconds.
fn export(mean: f64, count: usize) -> String {
    let times: Vec<String> = (0..count).map(|at| format!("{:.6}", mean * (1.0 + 0.004 * (at % 11) as f64))).collect();
    format!(r#"{{"results": [{{"command": "serve", "times": [{}]}}]}}"#, times.join(", "))
}

const COMPARED: &str = r#"
[steps.main]
report = "main.json"
pass = ["count(times) > 0"]

[steps.canary]
needs = ["main"]
report = "canary.json"
pass = ["p95(times) <= baseline + 10%", "med(times) <= baseline + 10%"]
compare = { method = "bootstrap", baseline = "main", seed = 7 }
"#;

#[test]
fn benchmarks_are_compared_by_their_times() {
    let space = Space::plan(COMPARED);
    space.write("main.json", export(0.1, 80));
    let _ = space.write("canary.json", export(0.102, 80)).go(&[]).code(0);
    let _ = space.write("canary.json", export(0.13, 80)).go(&[]).code(1).says("p95(times) <= baseline + 10%");
    assert_eq!(space.state("canary"), ("fail".into(), "criteria".into()));
    let _ = space.write("canary.json", export(0.102, 50)).go(&[]).code(3).says("inconclusive");
    assert_eq!(space.state("canary").0, "inconclusive");
    let ranks = COMPARED
        .replace("bootstrap", "mann-whitney")
        .replace("\"p95(times) <= baseline + 10%\", ", "")
        .replace(", seed = 7", "");
    space.write("blueprint.toml", format!("format = 1\n{ranks}"));
    let _ = space.write("canary.json", export(0.13, 80)).go(&[]).code(1).says("med(times) <= baseline + 10%");
    let _ = space.write("canary.json", export(0.1, 80)).go(&[]).code(0);
}

const CHANGED: &str = r#"
[steps.changed]
report = { path = "cov.lcov", diff = "main" }
pass = ["diff.percent(lines) >= 80", "diff.uncovered(lines) <= 1"]
"#;

#[test]
fn only_lines_added_since_the_base_count() {
    let space = Space::plan(CHANGED);
    space.write("app/a.py", "one\ntwo\nthree\n").write(".gitignore", ".runplan/\ncov.lcov\nblueprint.toml\n");
    sh(&space, "git init -q -b main . && git add . && git commit -q -m first && git checkout -q -b work");
    let lcov = |hits: &[(u32, u32)]| {
        let lines: String = hits.iter().map(|(line, hits)| format!("DA:{line},{hits}\n")).collect();
        format!("SF:app/a.py\n{lines}end_of_record\n")
    };
    space.write("cov.lcov", lcov(&[(1, 0), (2, 0), (3, 0)]));
    let _ = space.go(&[]).code(1).says("nothing was inspected: not one added line that the report measures");
    assert_eq!(space.state("changed"), ("error".into(), "no_data".into()));

    // Five lines more, one of them a comment; what was there before is not covered, and does not count.
    space.write("app/a.py", "one\ntwo\nthree\nfour\n# five\nsix\nseven\neight\n");
    space.write("cov.lcov", lcov(&[(1, 0), (2, 0), (3, 0), (4, 1), (6, 1), (7, 1), (8, 1)]));
    let _ = space.go(&[]).code(0);
    sh(&space, "git commit -q -a -m second");
    let _ = space.go(&[]).code(0);

    space.write("cov.lcov", lcov(&[(1, 1), (2, 1), (3, 1), (4, 1), (6, 0), (7, 0), (8, 1)]));
    let _ = space
        .go(&[])
        .code(1)
        .says("diff.percent(lines) >= 80")
        .says("50 % (2/4)")
        .says("added, and not run: app/a.py:6, app/a.py:7");
    assert_eq!(space.state("changed"), ("fail".into(), "criteria".into()));

    space.write("blueprint.toml", format!("format = 1\n{}", CHANGED.replace("\"main\"", "\"origin/main\"")));
    let _ = space.go(&[]).code(1).says("git finds no commit that `origin/main` and `HEAD` share").says("is it fetched");
    assert_eq!(space.state("changed"), ("error".into(), "action_error".into()));
}
