//! The readiness report of a real run: every form, and links that lead to the evidence.

use crate::support::Space;

const PLAN: &str = "[plan]\nname = 'ready'\ntitle = 'Ready | set'\n\
    [steps.a]\ntitle = 'Says hi'\nrun = 'echo hi; echo hi > out.txt'\nartifacts = ['out.txt']\npass = ['stdout contains \"hi\"']\n\
    [steps.b]\nrun = 'exit 3'\nrequired = false\n\
    [signoffs]\nroles = ['Ops/SRE']\n";

#[test]
fn markdown_tells_the_decision_first_and_leads_to_the_evidence() {
    let space = Space::plan(PLAN);
    let _ = space.go(&[]).code(3);
    std::fs::create_dir(space.path().join("docs")).unwrap();
    let _ = space.run(&["report", "latest", "-o", "docs/readiness.md"]).code(0);
    let text = space.read("docs/readiness.md");
    assert!(text.starts_with("# Readiness: Ready \\| set\n\n**HOLD** with risk 15 "), "{text}");
    let order = ["## Vetoes", "## Holds", "## Risk", "## Sign-offs", "## Steps", "### `a`: Says hi", "### `b`"];
    let at: Vec<usize> = order.iter().map(|part| text.find(part).unwrap_or_else(|| panic!("{part}\n{text}"))).collect();
    assert!(at.is_sorted(), "{text}");
    assert!(text.contains("| Ops/SRE | **missing** |"), "{text}");
    assert!(text.contains("| ✗ | `exit == 0` (implied) | `== 0` | `3` |"), "{text}");
    let link = text.split("- [out.txt](").nth(1).and_then(|rest| rest.split(')').next()).expect("a link");
    assert_eq!(std::fs::read(space.path().join("docs").join(link)).unwrap(), b"hi\n");
    // The same bytes on stdout, but for where the links lead from and when it was made.
    let shown = space.run(&["report"]).code(0).stdout;
    assert!(shown.contains("](.runplan/objects/sha256/"), "{shown}");
}

#[test]
fn json_and_junit_say_the_same() {
    let space = Space::plan(PLAN);
    let id = space.go(&[]).code(3).record_id();
    let json: serde_json::Value =
        serde_json::from_str(&space.run(&["report", "--format", "json"]).code(0).stdout).unwrap();
    assert_eq!((&json["schema"], &json["record"]), (&"runplan.readiness/1".into(), &id.clone().into()));
    assert_eq!(json["decision"]["verdict"], "HOLD");
    assert_eq!(json["signoffs"][0]["state"], "missing");
    assert_eq!(json["steps"][0]["criteria"][0]["good"], true);
    assert_eq!(json["steps"][1]["state"], "fail");
    // Our own reader of JUnit is the judge of our own writer.
    let _ = space.run(&["report", "--format", "junit", "-o", "readiness.xml"]).code(0);
    space.write(
        "read.toml",
        "format = 1\n[steps.read]\nreport = 'readiness.xml'\n\
         pass = ['tests.total == 3', 'tests.passed == 1', 'tests.failed == 1', 'tests.skipped == 1']\n",
    );
    let _ = space.run(&["read.toml"]).code(0);
}

#[test]
fn a_report_that_cannot_be_written_says_so() {
    let space = Space::plan(PLAN);
    let _ = space.go(&[]).code(3);
    let _ = space.run(&["report", "-o", "nowhere/x.md"]).code(74).says("can't write");
    let _ = space.run(&["report", "--format", "pdf"]).code(2);
}

/// The plan with reports.
fn reporting(paths: &str) -> String {
    PLAN.replace("title = 'Ready | set'\n", &format!("title = 'Ready | set'\nreports = {paths}\n"))
}

/// Where the links of a page lead, by their text.
fn links(page: &str) -> Vec<(String, String)> {
    let link = |part: &str| {
        let (to, rest) = part.split_once("\">")?;
        Some((rest.split_once("</a>")?.0.to_owned(), to.to_owned()))
    };
    page.split("<a href=\"").skip(1).filter_map(link).collect()
}

#[test]
fn reports_of_the_plan_are_written_after_the_run_and_again_by_decide() {
    let plan = reporting("['deploys/{{ vars.day }}/r.md', 'r.json', './deploys/r.html', 'deploys/r.xml']")
        + "[vars]\nday = '20261124'\n";
    let space = Space::plan(&plan);
    let ended = space.go(&[]).code(3);
    assert!(!ended.stderr.contains("could not be written"), "{}", ended.stderr);
    let text = space.read("deploys/20261124/r.md");
    assert!(text.starts_with("# Readiness: Ready \\| set\n\n**HOLD** with risk 15 "), "{text}");
    assert!(text.contains("| Ops/SRE | **missing** |"), "{text}");
    let link = text.split("- [out.txt](").nth(1).and_then(|rest| rest.split(')').next()).expect("a link");
    assert_eq!(std::fs::read(space.path().join("deploys/20261124").join(link)).unwrap(), b"hi\n");
    let page = space.read("deploys/r.html");
    assert!(page.starts_with("<!DOCTYPE html>") && page.contains("<main class=\"hold\">"), "{page}");
    let links = links(&page);
    let (_, archived) = links.iter().find(|(name, _)| name == "out.txt").expect("the archived output");
    assert_eq!(std::fs::read(space.path().join("deploys").join(archived)).unwrap(), b"hi\n");
    for (name, to) in &links {
        assert!(space.path().join("deploys").join(to).exists(), "{name}: {to}");
    }
    let json: serde_json::Value = serde_json::from_str(&space.read("r.json")).unwrap();
    assert_eq!(json["record"], ended.record_id());
    assert!(space.read("deploys/r.xml").starts_with("<?xml"));

    // The record does not depend on them, but for the text of the plan; `decide` needs no plan to write them again.
    assert!(!space.record()[0].to_string().contains("r.html"));
    std::fs::remove_dir_all(space.path().join("deploys")).unwrap();
    std::fs::remove_file(space.path().join("blueprint.toml")).unwrap();
    let _ = space.run(&["decide", "latest"]).code(3);
    assert!(space.read("deploys/20261124/r.md").contains("**HOLD**") && space.has("deploys/r.html"));
    let left = std::fs::read_dir(space.path().join("deploys")).unwrap().count();
    assert_eq!(left, 3, "no scratch file stays");
}

#[test]
fn a_report_of_the_plan_that_cannot_be_written_changes_no_decision() {
    let space = Space::plan(&reporting("['taken/r.md', 'out/r.json', 'fine.html']"));
    space.write("taken", "a file");
    let away = Space::new();
    std::os::unix::fs::symlink(away.path(), space.path().join("out")).unwrap();
    let ended = space.go(&[]).code(3).says("HOLD");
    for name in ["taken/r.md", "out/r.json"] {
        assert!(
            ended.stderr.contains(&format!("a readiness report could not be written: `{name}`")),
            "{}",
            ended.stderr
        );
    }
    assert!(ended.stderr.contains("the decision stands"), "{}", ended.stderr);
    assert!(space.has("fine.html") && !away.has("r.json"));
    let again = space.run(&["decide"]).code(3);
    assert!(again.stderr.contains("`taken/r.md`"), "{}", again.stderr);
}

#[test]
fn the_form_is_that_of_the_file_unless_said() {
    let space = Space::plan(PLAN);
    let _ = space.go(&[]).code(3);
    let starts = [
        ("a.html", "<!DOCTYPE html>"),
        ("a.xml", "<?xml"),
        ("a.json", "{"),
        ("a.txt", "# Readiness"),
        ("a", "# Readiness"),
    ];
    for (name, start) in starts {
        let _ = space.run(&["report", "-o", name]).code(0);
        assert!(space.read(name).starts_with(start), "{name}");
    }
    let shown = space.run(&["report", "--format", "html"]).code(0).stdout;
    assert!(links(&shown).iter().any(|(name, to)| name == "out.txt" && space.path().join(to).is_file()), "{shown}");
}

#[test]
fn what_looked_at_nothing_what_waits_and_what_other_plans_found_is_told() {
    let space = Space::plan(
        "[plan]\nname = 'all'\nreports = ['docs/r.md', 'docs/r.xml']\n[steps.none]\nfile = 'docs/*.sql'\npass = ['every(size) > 0B']\nallow_empty = 'no migrations yet'\n\
         [steps.first]\nfile = 'blueprint.toml'\npass = ['size <= baseline']\nallow_no_baseline = 'the first run is the baseline'\n\
         [steps.child]\nplan = 'child.toml'\n[steps.approve]\nneeds = ['child']\nsignoff = ['Ops']\n\
         [steps.deploy]\nneeds = ['approve']\nrun = 'true'\n",
    );
    space.write(
        "child.toml",
        "format = 1\n[steps.inner]\nrun = 'true'\n[steps.soft]\nrun = 'false'\nrequired = false\n",
    );
    let _ = space.go(&[]).code(3);
    let text = space.read("docs/r.md");
    for part in [
        "Nothing was looked at, which is allowed: no migrations yet",
        "there is none yet, allowed: the first run is the baseline",
        "Its plan is **GO** with risk 15, record `sha256:",
        "| `soft` | **fail** |",
        "**pending** · `signoff` · needs `child`",
        "runplan sign latest --gate 'approve' --role 'Ops' --as WHO",
        "| Ops | **missing** |",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    let link = text.split("- [the run of its plan](").nth(1).and_then(|rest| rest.split(')').next()).expect("a link");
    assert!(space.path().join("docs").join(link).join("record.jsonl").is_file(), "{link}");
    assert!(space.read("docs/r.xml").contains("which is allowed: no migrations yet"));
    let _ = space.go(&["none"]).code(0);
    assert!(space.read("docs/r.md").contains("| selected | `none`, nothing else of the plan |"));
}
