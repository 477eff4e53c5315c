//! What the documents say is true: their plans are checked, their commands run, their screens come out.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;

use regex::Regex;

use crate::support::{Ended, RUNPLAN, Space, copy, finish, repository};

/// A fenced block of a document.
pub struct Block {
    /// What stands behind the fence (`toml error`).
    pub kind: String,
    /// For messages.
    pub place: String,
    pub text: String,
}

pub fn blocks(document: &str) -> Vec<Block> {
    let path = repository().join(document);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{document}: {error}"));
    let (mut found, mut open): (Vec<Block>, Option<Block>) = (Vec::new(), None);
    for (at, line) in text.lines().enumerate() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(kind)) => {
                let place = format!("{document}:{}", at + 1);
                open = Some(Block { kind: kind.to_owned(), place, text: String::new() });
            }
            (Some(_), Some("")) => found.extend(open.take()),
            (Some(block), _) => block.text.push_str(&format!("{line}\n")),
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "{document}: a block is not closed");
    assert!(!found.is_empty(), "{document} has blocks");
    found
}

/// A plan as it stands in a document, made whole.
pub fn whole(text: &str) -> String {
    let mut plan = text.to_owned();
    if !plan.contains("format = 1") {
        plan.insert_str(0, "format = 1\n");
    }
    if !plan.contains("[steps.") {
        plan.push_str("\n[steps.anything]\nrun = 'true'\n");
    }
    plan
}

fn check(plan: &str) -> Ended {
    let space = Space::new();
    space.write("checks.toml", "[steps.included]\nrun = 'true'\n").write("blueprint.toml", plan);
    space.write("plans/database.toml", "format = 1\n[vars]\nsize = 1\n[steps.migrations]\nrun = 'true'\n");
    space.run(&["check", "blueprint.toml", "--strict"])
}

fn plans_hold(document: &str) {
    let all = blocks(document);
    let mut checked = 0;
    for (at, block) in all.iter().enumerate() {
        let ended = match block.kind.as_str() {
            "toml" => check(&whole(&block.text)),
            "toml error" => check(&block.text),
            _ => continue,
        };
        checked += 1;
        if block.kind == "toml" {
            assert_eq!(ended.code, 0, "{}:\n{}{}", block.place, ended.stdout, ended.stderr);
        } else {
            let wanted = all.get(at + 1).filter(|next| next.kind == "text").expect("an error has its message");
            if std::env::var_os("RUNPLAN_BLESS").is_some() {
                let path = repository().join(document);
                let text = std::fs::read_to_string(&path).unwrap();
                std::fs::write(&path, text.replace(&wanted.text, &ended.stdout)).unwrap();
                continue;
            }
            assert_eq!(ended.stdout, wanted.text, "{}\n{}", block.place, ended.stdout);
            assert_eq!(ended.code, 2, "{}", block.place);
        }
    }
    assert!(checked > 1, "{document} has plans");
}

#[test]
fn the_plans_of_the_readme_hold() {
    plans_hold("README.md");
}

#[test]
fn the_plans_of_the_language_page_hold() {
    plans_hold("plans/LANGUAGE.md");
}

/// A repository as far as the README's commands need it.
fn checkout() -> Space {
    let space = Space::new();
    copy(&repository().join("examples/quickstart"), &space.path().join("examples/quickstart"));
    space
}

/// The arguments of a command that runs the program; `None` for another command.
fn arguments(line: &str) -> Option<Vec<&str>> {
    let line = line.split('#').next().unwrap_or_default().trim();
    let rest = line.strip_prefix("cargo run --release -- ").or_else(|| line.strip_prefix("runplan "))?;
    Some(rest.split_whitespace().collect())
}

#[test]
fn the_commands_of_the_readme_run() {
    let space = checkout();
    let mut ran = 0;
    for block in blocks("README.md").iter().filter(|block| block.kind == "sh") {
        for line in block.text.lines().filter(|line| !line.trim().is_empty()) {
            let Some(args) = arguments(line) else {
                let meta =
                    std::fs::metadata(repository().join(line)).unwrap_or_else(|_| panic!("{line}: no such file"));
                assert!(meta.permissions().mode() & 0o111 != 0, "{line} is executable");
                continue;
            };
            let _ = space.run(&args).code(0);
            ran += 1;
        }
    }
    assert!(ran >= 5, "{ran} commands");
}

/// Lines without what differs from run to run, sorted: steps end in any order. The record's id stays: it may not differ.
/// (When the record has to change, `RUNPLAN_BLESS=1` writes the new id into the README.)
fn shape(screen: &str) -> Vec<String> {
    let volatile = [
        (r"\d+\.\d\ds", "TIME"),
        (r"\d{8}T\d{6}Z-[a-z0-9]+", "RUN"),
        (r"\(\s*\d+/(\d+)\)", "(N/$1)"),
        (r"\d+ jobs?", "JOBS"),
        (r"─+", "─"),
        (r"\s+", " "),
    ];
    let volatile = volatile.map(|(pattern, stands_for)| (Regex::new(pattern).unwrap(), stands_for));
    let plain = |line: &str| {
        volatile.iter().fold(line.to_owned(), |line, (regex, to)| regex.replace_all(&line, *to).trim().to_owned())
    };
    let mut lines: Vec<String> = screen.lines().map(plain).filter(|line| !line.is_empty()).collect();
    lines.sort();
    lines
}

#[test]
fn the_screen_of_the_readme_comes_out() {
    let all = blocks("README.md");
    let screen = all.iter().find(|block| block.text.starts_with("$ ")).expect("a screen");
    let (command, wanted) = screen.text[2..].split_once('\n').expect("a command and its output");
    let args = arguments(command).expect("a command that runs the program");
    let ended = checkout().run(&args).code(0);
    if std::env::var_os("RUNPLAN_BLESS").is_some() {
        let readme = repository().join("README.md");
        let text = std::fs::read_to_string(&readme).unwrap();
        let known = Regex::new("sha256:[0-9a-f]{64}").unwrap();
        std::fs::write(&readme, &*known.replace(&text, format!("sha256:{}", ended.record_id()))).unwrap();
        return;
    }
    assert_eq!(shape(&format!("{}{}", ended.stderr, ended.stdout)), shape(wanted), "{}", screen.place);
}

#[test]
fn a_run_leaves_what_the_readme_says() {
    let space = Space::plan(
        "[steps.make]\nrun = 'echo hi > out.txt; echo $SECRET'\nartifacts = ['out.txt']\nenv = { SECRET = '{{ secrets.s }}' }\n\
         [secrets]\ns = { env = 'THE_SECRET' }\n",
    )
    .env("THE_SECRET", "correct-horse-battery");
    let ended = space.go(&[]).code(0).hides("correct-horse");
    assert_eq!(space.journal()[0]["t"], "open");
    assert_eq!(space.read(".runplan/.gitignore"), "*\n");
    let mode = std::fs::metadata(space.path().join(".runplan")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    assert!(space.latest().starts_with(space.path().canonicalize().unwrap().join(".runplan/runs")));
    for file in ["record.jsonl", "journal.jsonl", "plan.toml", "steps/0000-make/stdout"] {
        assert!(space.latest().join(file).is_file(), "{file}");
    }
    assert!(!space.has(".runplan/latest/steps/0000-make/stderr"), "nothing was written there");
    assert!(space.read(".runplan/latest/steps/0000-make/stdout").contains("[secret s]"));
    let bytes = std::fs::read(space.latest().join("record.jsonl")).unwrap();
    assert_eq!(runplan::digest::sha256_hex(&bytes), ended.record_id());
    assert!(space.has(".runplan/objects/sha256"));
    let listed = blocks("README.md").into_iter().find(|block| block.text.starts_with(".runplan/")).expect("the layout");
    for name in ["latest", "runs/", "record.jsonl", "journal.jsonl", "plan.toml", "steps/", "objects/sha256"] {
        assert!(listed.text.contains(name), "{name}");
    }
}

#[test]
fn the_worked_risk_of_the_readme_is_30() {
    let space = Space::plan(
        "[steps.warned]\nrun = 'true'\npass = ['duration > 1h']\nwarn = ['duration < 1h']\nseverity = 'high'\n\
         [steps.failed]\nrun = 'false'\nrequired = false\n",
    );
    let _ = space.go(&[]).code(0).says("GO  risk 30").says("0.35 × 0.5").says("0.15 × 1");
    assert!(include_str!("../../README.md").contains("`risk 30`"));
}

#[test]
fn exit_codes_of_the_readme_are_those_of_the_program() {
    let table = |text: &str, prefix: &str| -> Vec<String> {
        let rows = text.lines().filter_map(|line| line.strip_prefix(prefix));
        rows.skip_while(|row| !row.starts_with("| 0 |"))
            .take_while(|row| row.starts_with('|'))
            .map(str::to_owned)
            .collect()
    };
    let readme = include_str!("../../README.md");
    let source = include_str!("../../src/exit.rs");
    let (said, meant) = (table(readme, ""), table(source, "//! "));
    assert_eq!(said.len(), 8);
    let plain = |rows: Vec<String>| {
        rows.into_iter().map(|row| row.replace(" (or the", ", or the").replace("asked) |", "asked |"))
    };
    assert_eq!(plain(said).collect::<Vec<_>>(), plain(meant).collect::<Vec<_>>());
}

#[test]
fn the_readme_is_read_in_two_minutes() {
    let lines = include_str!("../../README.md").lines().count();
    assert!(lines <= 150, "{lines} lines");
}

#[test]
fn links_lead_somewhere() {
    let link = Regex::new(r"\]\(([^)#\s]+)(#[^)]*)?\)").unwrap();
    for document in ["README.md", "CHANGELOG.md", "plans/LANGUAGE.md", "plans/EDITORS.md", "plans/SCHEDULING.md"] {
        let path = repository().join(document);
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{document}: {error}"));
        for found in link.captures_iter(&text).filter(|found| !found[1].starts_with("http")) {
            assert!(path.parent().unwrap().join(&found[1]).exists(), "{document}: {}", &found[1]);
        }
    }
}

/// The anchors within a page are its headings.
#[test]
fn anchors_are_headings() {
    let text = include_str!("../../plans/LANGUAGE.md");
    let anchor = |heading: &str| -> String {
        let kept = heading.trim().to_lowercase().replace(|c: char| !(c.is_alphanumeric() || c == ' ' || c == '-'), "");
        kept.replace(' ', "-")
    };
    let headings: Vec<String> =
        text.lines().filter(|l| l.starts_with('#')).map(|l| anchor(l.trim_matches('#'))).collect();
    for found in Regex::new(r"\]\(#([^)]+)\)").unwrap().captures_iter(text) {
        assert!(headings.iter().any(|heading| *heading == found[1]), "#{}", &found[1]);
    }
}

/// Help at a width, line ends trimmed.
fn help(args: &[&str], columns: &str) -> String {
    let space = Space::new().env("COLUMNS", columns);
    let mut command = space.command(args);
    let ended = finish(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect(RUNPLAN)).code(0);
    ended.stdout.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

#[test]
fn help_is_as_it_was_and_fits_80_columns() {
    for name in [
        "runplan",
        "run",
        "check",
        "list",
        "explain",
        "watch",
        "resume",
        "rerun",
        "sign",
        "decide",
        "report",
        "verify",
        "show",
        "replay",
        "diff",
        "history",
        "export",
        "import",
        "add",
        "init",
        "fmt",
        "completions",
        "man",
    ] {
        let words: Vec<&str> = [name, "--help"].into_iter().filter(|word| *word != "runplan").collect();
        let said = help(&words, "80");
        let path = repository().join(format!("tests/golden/help/{name}.txt"));
        if std::env::var_os("RUNPLAN_BLESS").is_some() {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, &said).unwrap();
        }
        let golden = std::fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(said, golden, "run the tests with RUNPLAN_BLESS=1 and commit {}", path.display());
        let wide = said.lines().find(|line| line.chars().count() > 80);
        assert_eq!(wide, None, "{name}");
    }
}

#[test]
fn help_and_readme_name_the_same_commands() {
    let readme = include_str!("../../README.md");
    let top = help(&["--help"], "80");
    for word in ["check", "list", "explain", "sign", "decide", "report", "verify", "show", "replay", "diff", "history"]
    {
        assert!(top.contains(&format!("  {word} ")) && readme.contains(&format!("runplan {word} ")), "{word}");
    }
    let run = help(&["run", "--help"], "80");
    assert!(run.contains("-n, --dry-run") && run.contains("-j, --jobs") && readme.contains("runplan -n "));
    for code in ["0 GO", "1 NO-GO", "3 HOLD", "74 the run log or stdout"] {
        assert!(top.contains(code) && run.contains(code), "{code}");
    }
}

/// Every fact that the fact table promises can be had, each from a step that is there to be looked at.
#[test]
fn every_fact_is_really_seen() {
    let space = Space::plan(
        r#"
[ports]
names = ["web"]
[steps.run]
run       = 'echo "{\"a\": 1}"; echo x >&2; echo y > out.txt'
parse     = "json"
artifacts = ["out.txt"]
pass = ["exit exists", "not signal exists", "stdout exists", "stderr exists", "lines(stdout) exists", "lines(stderr) exists",
  "duration exists", "json exists", 'json."$.a" == 1', 'artifact."out.txt".exists == true', 'artifact."out.txt".size == 2B',
  'artifact."out.txt".sha256 exists', "leaked == false"]
[steps.web]
service = { run = ["sh", "examples/quickstart/serve.sh", "{{ ports.web }}", "."], ready = { http = "http://127.0.0.1:{{ ports.web }}/page.html" } }
pass = ["ready == true", "attempts >= 1", "startup > 0s", "status == 200"]
[steps.http]
needs = ["web"]
http  = "http://127.0.0.1:{{ ports.web }}/page.html"
pass = ["status == 200", 'header."content-type" exists', "json exists", 'json."$.b" == 2', "text exists", "latency > 0s",
  "redirects == 0", "size == 9B", "url exists"]
[steps.file]
file = { path = ".env", template = ".env.template" }
pass = ["exists == true", "size == 4B", "mode exists", "sha256 exists", "age exists", "text exists", "lines exists", "keys exists",
  "values exists", 'data.A == "1"', "count(paths) == 1", "count == 1", "template.keys exists"]
[steps.coverage]
report = "branch.xml"
pass = ["percent(lines) exists", "covered(lines) exists", "total(lines) exists", "uncovered(lines) exists",
  "percent(branches) exists", "covered(branches) exists", "total(branches) exists", "uncovered(branches) exists",
  "files exists", "files.percent(lines) exists", "files.percent(branches) exists", 'file."*/*".percent(lines) exists',
  'file."*/*".covered(branches) exists', 'file."*/*".total(lines) exists', 'file."*/*".uncovered(lines) exists']
[steps.tests]
report = "pytest.xml"
pass = ["tests.total > 0", "tests.passed exists", "tests.failed exists", "tests.skipped exists", "tests.errors exists",
  "tests.flaky exists", "tests.names(passed) exists", "tests.names(failed) exists", "tests.names(skipped) exists",
  "tests.names(errors) exists", "tests.names(flaky) exists", 'test."*".state exists']
"#,
    );
    copy(&repository().join("examples/quickstart"), &space.path().join("examples/quickstart"));
    for report in ["branch.xml", "pytest.xml"] {
        copy_file(&format!("tests/it/fixtures/reports/{report}"), &space, report);
    }
    space.write("page.html", "{\"b\": 2}\n").write(".env", "A=1\n").write(".env.template", "A=change-me\n");
    let _ = space.go(&[]).code(0);
}

fn copy_file(from: &str, space: &Space, to: &str) {
    space.write(to, std::fs::read(repository().join(from)).expect(from));
}
