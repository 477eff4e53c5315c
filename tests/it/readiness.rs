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
