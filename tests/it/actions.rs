//! Each kind of check on the real thing, with its negative twin: git, checklists, sockets, bursts, Prometheus, headers,
//! result files.

use std::process::Command;

use crate::support::Space;

/// A program in the space, to its end.
#[track_caller]
pub(super) fn sh(space: &Space, text: &str) -> String {
    let who = [("GIT_AUTHOR_NAME", "A"), ("GIT_COMMITTER_NAME", "A"), ("EMAIL", "a@example.org")];
    let output = Command::new("sh").args(["-ec", text]).current_dir(space.path()).envs(who).output().expect("a shell");
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

const TAG: &str = r#"
[vars]
date = "20260824"

[env]
set = { GIT_COMMITTER_NAME = "A", GIT_COMMITTER_EMAIL = "a@example.org" }

[steps.tag]
git = { tag = "vSTAGING-{{ vars.date }}", make = true, annotate = "staging {{ vars.date }}", push = "origin" }
pass = ["tag.annotated == true"]

[steps.see]
needs = ["tag"]
git = { tag = "vSTAGING-{{ vars.date }}" }
pass = ["tag.commit == head", "remote.origin.has_tag == true", "branch == \"main\"", "clean == true"]
"#;

#[test]
fn a_tag_is_made_and_pushed_once_and_never_moved() {
    let space = Space::plan(TAG);
    sh(
        &space,
        "git init -q -b main . && git init -q --bare origin.git && git remote add origin ./origin.git
         printf 'origin.git\n' > .gitignore && git add . && git commit -q -m first",
    );
    let _ = space.go(&[]).code(0);
    let tags = sh(&space, "git -C origin.git for-each-ref");
    assert!(tags.contains(" tag\trefs/tags/vSTAGING-20260824\n"), "{tags}");
    let first = space.latest();
    let _ = space.go(&[]).code(0);
    assert_eq!(
        std::fs::read(first.join("record.jsonl")).unwrap(),
        std::fs::read(space.latest().join("record.jsonl")).unwrap()
    );
    sh(&space, "git commit -q --allow-empty -m second");
    let _ = space.go(&[]).code(1).says("tag.commit == tag.target");
    assert_eq!(space.state("tag"), ("fail".into(), "criteria".into()));
    assert_eq!(sh(&space, "git -C origin.git for-each-ref"), tags, "not moved");
}

#[test]
fn keys_of_git_belong_together() {
    let check = |keys: &str, says: &str| {
        let _ = Space::plan(&format!("[steps.a]\ngit = {{ {keys} }}\n"))
            .run(&["check", "blueprint.toml"])
            .code(2)
            .says(says);
    };
    check("push = 'origin', tag = 'v1'", "`push` means nothing without `make = true`");
    check("make = true", "`make` means nothing without `tag`");
    check("tag = 'v1', make = true, sign = true", "`sign` means nothing without `annotate");
}

const LIST: &str = "# Staging\n- [ ] not ours <!-- step:good -->\n\n## Post-deploy\n\n- [ ] Ready <!-- step:good -->\n\
                    - [ ] Smoke\n- [ ] Signed by hand\n\n## Later\n- [ ] later <!-- step:good -->\n";

#[test]
fn boxes_are_ticked_by_the_steps_that_earned_them() {
    let space = Space::plan(
        r#"
[steps.good]
run = "true"
[steps.bad]
run = "false"
required = false
[steps.list]
after = ["good", "bad"]
checklist = { path = "STAGING.md#Post-deploy", tick = { "Smoke" = "bad" } }
pass = ["total == 3", "links same_set [\"pass\", \"fail\"]", "open == [\"Smoke\", \"Signed by hand\"]"]
[steps.all]
after = ["list"]
checklist = "STAGING.md#post-deploy"
[steps.empty]
after = ["list"]
checklist = "STAGING.md#Empty"
"#,
    );
    space.write("STAGING.md", format!("{LIST}# Empty\n"));
    let _ = space.go(&[]).code(1).says("unchecked == 0").says("not one box");
    assert_eq!(space.state("list").0, "pass");
    assert_eq!(space.state("all"), ("fail".into(), "criteria".into()));
    assert_eq!(space.state("empty"), ("error".into(), "no_data".into()));
    assert_eq!(space.read("STAGING.md"), format!("{LIST}# Empty\n").replace("[ ] Ready", "[x] Ready"));
}

#[test]
fn a_box_can_only_be_earned_by_an_earlier_step() {
    let check = |tick: &str, says: &str| {
        let text =
            format!("[steps.a]\nrun = 'true'\n[steps.list]\nchecklist = {{ path = 'x.md', tick = {{ {tick} }} }}\n");
        let _ = Space::plan(&text).run(&["check", "blueprint.toml"]).code(2).says(says);
    };
    check("x = 'a'", "`a` does not come before this step");
    check("x = 'b'", "there is no step `b`");
}

#[test]
fn ports_and_names_are_looked_at() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let open = listener.local_addr().expect("a port").port();
    let closed = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("a port").port();
    let space = Space::plan(&format!(
        "[steps.open]\nnet = '127.0.0.1:{open}'\npass = ['latency < 20s', 'addrs == [\"127.0.0.1\"]']\n\
         [steps.shut]\nnet = {{ tcp = '127.0.0.1:{closed}' }}\n\
         [steps.known-shut]\nnet = {{ tcp = '127.0.0.1:{closed}' }}\npass = ['open == false', 'reason exists']\n\
         [steps.name]\nnet = {{ dns = 'localhost' }}\n\
         [steps.tls]\nnet = {{ tls = '127.0.0.1:{closed}' }}\npass = ['tls.expires_in > 14d']\n"
    ));
    let _ = space.go(&[]).code(1).says("open == true");
    let states = ["open", "shut", "known-shut", "name", "tls"].map(|step| space.state(step).0);
    assert_eq!(states, ["pass", "fail", "pass", "pass", "fail"]);
}
