//! `plan`: another plan as one step.

use crate::support::Space;

const PARENT: &str = "[steps.child]\nplan = { path = 'child.toml', vars = { n = '{{ vars.n }}' } }\n\
    [steps.next]\nneeds = ['child']\nrun = 'true'\n[vars]\nn = 0\n";
const CHILD: &str = "format = 1\n[vars]\nn = 0\n[steps.a]\nrun = 'exit $N'\nenv = { N = '{{ vars.n }}' }\n\
    [steps.b]\nrun = 'true'\nwhen = 'vars.n == 9'\n[steps.soft]\nrun = 'false'\nrequired = false\n";

fn space(parent: &str, child: &str) -> Space {
    let space = Space::plan(parent);
    space.write("child.toml", child);
    space
}

#[test]
fn its_decision_decides() {
    let space = space(PARENT, CHILD);
    let first = space.go(&[]).code(0).record_id();
    assert_eq!(space.go(&["-j1"]).code(0).record_id(), first);
    let facts = space.journal();
    let seen =
        facts.iter().find(|line| line["t"] == "attempt" && line["result"]["facts"]["values"].get("decision").is_some());
    let values = &seen.expect("facts of the plan")["result"]["facts"]["values"];
    assert_eq!(values["risk"]["num"][0], "15");
    assert_eq!(values["step"]["map"]["b"]["map"]["state"]["text"], "skipped");
    let child = space.path().join(".runplan/plans/child/.runplan/latest/record.jsonl");
    assert!(child.is_file(), "the child's own record is kept");

    let _ = space.go(&["--var", "n=3"]).code(1).says("decision == \"GO\"").says("NO-GO");
    assert_eq!(space.state("next").1, "need_failed");
}

#[test]
fn criteria_look_into_it() {
    let strict = PARENT.replace(
        "[steps.next]",
        "pass = ['risk == 0', 'step.\"soft\".state == \"pass\"', 'counts.pass >= 1']\n[steps.next]",
    );
    let _ = space(&strict, CHILD).go(&[]).code(1).says("risk == 0").says("got 15");
}

#[test]
fn a_plan_that_is_wrong_is_refused_before_anything_runs() {
    let broken = space(
        &format!("{PARENT}[steps.first]\nrun = 'echo x > ran.txt'\n"),
        "format = 1\n[vars]\nn = 0\n[steps.a]\nrn = 'true'\n",
    );
    let _ = broken.go(&[]).code(2).says("child.toml").says("rn");
    let _ = broken.run(&["check", "blueprint.toml"]).code(2);
    assert!(!broken.has("ran.txt"));
    let gone = Space::plan(PARENT);
    let _ = gone.go(&[]).code(2).says("child.toml");
    let _ = space(&PARENT.replace("vars = { n", "vars = { m"), CHILD).go(&[]).code(2).says("`m`");
}

#[test]
fn a_circle_of_plans_is_refused() {
    let circle = space(PARENT, "format = 1\n[vars]\nn = 0\n[steps.back]\nplan = 'blueprint.toml'\n");
    let _ = circle.go(&[]).code(2).says("runs itself");
}

#[test]
fn ctrl_c_ends_what_the_child_runs() {
    use std::io::Read as _;
    let parent = "[steps.child]\nplan = 'child.toml'\n";
    let space = space(parent, "format = 1\n[steps.long]\nrun = 'echo $$ > pid; exec sleep 600'\n");
    let mut child = space.command(&["blueprint.toml"]).spawn().unwrap();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    let pid: String = loop {
        assert!(std::time::Instant::now() < deadline, "the child's step never started");
        match std::fs::read_to_string(space.path().join("pid")) {
            Ok(text) if text.ends_with('\n') => break text.trim().to_owned(),
            _ => std::thread::sleep(std::time::Duration::from_millis(10)),
        }
    };
    let killed = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    let status = child.wait().unwrap();
    let mut text = String::new();
    if let Some(mut err) = child.stderr.take() {
        let _ = err.read_to_string(&mut text);
    }
    assert_eq!(status.code(), Some(130), "{text}");
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists(), "the step of the child is still running");
}
