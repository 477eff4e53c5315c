//! S2, S6 and S24: the tag, the checklist ticked by evidence, the people who sign.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use super::{Staging, git, missing};
use crate::support::Ended;

const RELEASE: &str = "plans/staging/release.toml";
const LIST: &str = "STAGING-PREDEPLOY-CHECKLIST.md";

/// Its steps, in the rows of the checklist.
pub(super) const ROWS: [(&str, &[&str]); 2] =
    [("S2", &["release-repo", "tag"]), ("S6", &["metrics", "checklist-copy", "checklist-before", "checklist-after"])];

/// What git says in a folder of the service.
fn ask(staging: &Staging, folder: &str, args: &[&str]) -> String {
    let output = Command::new("git").args(args).current_dir(staging.app(folder)).output().expect("git");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn tag(staging: &Staging) -> Ended {
    staging.go(&["tag", "--date", "2026-11-24"])
}

#[test]
fn s2_the_tag_is_made_and_pushed_once() {
    let Some(staging) = Staging::bare() else { return };
    let first = tag(&staging).code(0);
    staging.blames(&[]);
    let made = ask(&staging, ".release/work", &["rev-parse", "vSTAGING-20261124"]);
    let there = ask(&staging, ".release/origin.git", &["rev-parse", "vSTAGING-20261124"]);
    assert!(made.len() == 40 && made == there, "{made} is not {there}");
    assert_eq!(ask(&staging, ".", &["tag", "--list"]), "", "a rehearsal leaves the service's own repository alone");

    // The same day again: nothing is made, and it is as right as before. Another day: another tag.
    assert_eq!(tag(&staging).code(0).record_id(), first.record_id());
    assert_eq!(ask(&staging, ".release/work", &["rev-parse", "vSTAGING-20261124"]), made);
    let _ = staging.go(&["tag", "--date", "2026-11-25"]).code(0);
    assert_eq!(ask(&staging, ".release/origin.git", &["tag", "--list"]), "vSTAGING-20261124\nvSTAGING-20261125");
}

#[test]
fn s2_a_tag_elsewhere_and_a_remote_without_it_are_named() {
    let Some(staging) = Staging::bare() else { return };
    let _ = tag(&staging).code(0);
    staging.append_app("app/nlp.py", "\n# one more line\n");
    git(&staging, &["commit", "--quiet", "--all", "--message", "more"]);
    let _ = tag(&staging).code(1).says("the tag `vSTAGING-20261124` is taken").says("tags are never moved");
    staging.blames(&[("tag", "fail", "criteria")]);

    fs::rename(staging.app(".release/origin.git"), staging.app(".release/gone.git")).expect("a rename");
    staging.edit(RELEASE, "release-repo]\n", "release-repo]\nwhen = 'vars.date == \"x\"'\n");
    staging.edit(RELEASE, "needs    = [\"release-repo\"]\n", "");
    let _ = staging.go(&["tag", "--date", "2026-12-01"]).code(1).says("origin");
    staging.blames(&[("tag", "error", "action_error")]);
}

#[test]
fn s2_the_real_repository_is_tagged_where_one_is_named() {
    let Some(staging) = Staging::bare() else { return };
    git(&staging, &["init", "--quiet", "--bare", "origin.git"]);
    git(&staging, &["remote", "add", "origin", staging.path("origin.git").to_str().expect("UTF-8")]);
    git(&staging, &["config", "user.name", "A"]);
    git(&staging, &["config", "user.email", "a@example.org"]);
    let real = ["tag", "--date", "2026-11-24", "--var", "release_repo=."];
    let _ = staging.go(&real).code(0);
    let head = ask(&staging, ".", &["rev-parse", "HEAD"]);
    let there = ask(&staging, "../../origin.git", &["rev-parse", "vSTAGING-20261124^{commit}"]);
    assert_eq!(there, head, "origin has the tag on that commit");
}

#[test]
fn s6_only_boxes_that_were_earned_are_ticked() {
    let Some(staging) = Staging::bare() else { return };
    // The steps that the boxes name are the subject of other tests: here they are quick ones of the same name.
    let mut plan = "format = 1\n[plan]\nname = \"list\"\nworkspace = \"../../examples/hotel-agent\"\n".to_owned();
    let release = fs::read_to_string(staging.path(RELEASE)).expect("the plan");
    for part in ["[vars]", "[steps.checklist-copy]", "[steps.checklist-before]", "[steps.checklist-after]"] {
        let from = release.find(part).expect("a part of the plan");
        let end = release[from..].find("\n\n").map_or(release.len(), |end| from + end);
        plan += &format!("{}\n", &release[from..end]);
    }
    let names = ["env-file", "coverage", "critical-tests", "security-scan", "alert-config", "tag", "ready", "smoke"];
    let more = ["metrics", "alert-drill", "canary", "canary-p95", "canary-errors", "security-headers"];
    for name in names.iter().chain(&more) {
        let warns = if *name == "coverage" { "pass = ['exit == 1']\nwarn = ['exit == 0']\n" } else { "" };
        plan += &format!("[steps.{name}]\nrun = 'true'\n{warns}");
    }
    fs::write(staging.path("plans/staging/list.toml"), &plan).expect("a written plan");
    let go = || staging.space.run(&["plans/staging/list.toml", "--date", "2026-11-24"]);
    let _ = go().code(0);
    let copy = staging.app("deploys/20261124/checklist.md");
    let before = fs::read_to_string(staging.app(LIST)).expect("the list");
    let after = fs::read_to_string(&copy).expect("the copy");
    assert_eq!(before, fs::read_to_string(crate::support::repository().join(super::APP).join(LIST)).expect("a list"));
    assert_eq!(after.replace("- [x]", "- [ ]"), before, "nothing but boxes changes");
    assert_eq!(after.matches("- [x]").count(), 11, "all but the step that warned and the two for people:\n{after}");
    for open in ["Tests pass and coverage", "Somebody is on call", "Front desk informed"] {
        assert!(after.contains(&format!("- [ ] {open}")), "{open}");
    }
    let _ = go().code(0);
    assert_eq!(fs::read_to_string(&copy).expect("the copy"), after, "the second run finds it done");

    // A box ticked by hand although its step did not earn it.
    fs::write(&copy, after.replace("- [ ] Tests pass", "- [x] Tests pass")).expect("a written list");
    let _ = go().code(1).says("unearned == 0");
    staging.blames(&[("checklist-before", "fail", "criteria"), ("coverage", "warn", "criteria")]);
    // A box that lost its step, and a section that is gone.
    fs::write(&copy, after.replace(" <!-- step:smoke -->", "")).expect("a written list");
    let _ = go().code(1).says("count(links) == 6");
    staging.blames(&[("checklist-after", "fail", "criteria"), ("coverage", "warn", "criteria")]);
    fs::write(&copy, after.replace("## Post-deploy", "## After")).expect("a written list");
    let _ = go().code(1).says("Post-deploy");
    staging.blames(&[("checklist-after", "error", "action_error"), ("coverage", "warn", "criteria")]);
}

#[test]
fn s6_a_circuit_breaker_that_is_open_is_seen_in_the_metrics() {
    let Some(staging) = Staging::bare() else { return };
    staging.edit_app("app/server.py", "int(state == current)", "int(state in (current, OPEN))");
    let _ = staging.go(&["metrics"]).code(1).says("hotel_circuit_breaker_state");
    staging.blames(&[("metrics", "fail", "criteria")]);
}

/// Keys of three people, who may sign, and of one who may not.
pub(super) fn people(staging: &Staging) -> Option<PathBuf> {
    if Command::new("ssh-keygen").arg("-?").stderr(std::process::Stdio::null()).status().is_err() {
        return missing("ssh-keygen (Debian: apt-get install openssh-client)");
    }
    let keys = staging.path("keys");
    fs::create_dir(&keys).expect("a folder");
    let mut allowed = String::new();
    for who in ["ana", "eva", "leo", "mal"] {
        let key = keys.join(who);
        let made =
            Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-C", who, "-f"]).arg(&key).status();
        assert!(made.expect("ssh-keygen").success());
        let public = fs::read_to_string(key.with_extension("pub")).expect("a public key");
        if who != "mal" {
            allowed += &format!("{who} namespaces=\"runplan\" {public}");
        }
    }
    fs::write(staging.app("allowed_signers"), allowed).expect("a written file");
    Some(keys)
}

/// The end of the whole plan (S24): held until three people have signed, GO by that alone, void once evidence changes.
pub(super) fn three_people_make_it_go(staging: &Staging, held: &Ended) {
    let Some(keys) = people(staging) else { return };
    let run = staging.latest();
    let run = run.to_str().expect("UTF-8");
    let sign = |role: &str, who: &str, key: &str| {
        let key = keys.join(key);
        staging.space.run(&["sign", run, "--role", role, "--as", who, "--key", key.to_str().expect("UTF-8")])
    };
    let _ = staging.space.run(&["decide", run]).code(3).says("missing   Dev Backend").says("missing   Producto");
    let _ = sign("Dev Backend", "mal", "mal").code(2).says("not signed");
    let _ = sign("Dev Backend", "ana", "ana").code(0).says("open: `Ops/SRE` (missing), `Producto` (missing)");
    let _ = sign("Producto", "ana", "ana").code(2).says("roles need different people");
    let _ = sign("Ops/SRE", "eva", "eva").code(0);
    let _ = staging.space.run(&["decide", run]).code(3).says("missing   Producto");
    let _ = sign("Producto", "leo", "leo").code(0).says("every role has approved");
    let gone = staging.space.run(&["decide", run]).code(0).says("GO  risk 0");
    assert_eq!(gone.record_id(), held.record_id(), "nothing ran again");
    let report = fs::read_to_string(staging.app("deploys/20261124/readiness.md")).expect("the report");
    assert!(report.contains("\n**GO** with risk 0 ") && report.contains("\n| Producto | approved | leo |"), "{report}");

    let journal = staging.latest().join("journal.jsonl");
    let bytes = fs::read(&journal).expect("the journal");
    let mut changed = bytes.clone();
    let at = changed.len() / 2;
    changed[at] ^= 1;
    fs::write(&journal, &changed).expect("a written journal");
    let ended = staging.space.run(&["decide", run]);
    assert!(ended.code != 0, "evidence that changed voids the approvals: {}{}", ended.stdout, ended.stderr);
    fs::write(&journal, bytes).expect("a written journal");
    let _ = staging.space.run(&["decide", run]).code(0);
}

/// Targets of the Markdown links in a report.
fn targets(report: &str) -> Vec<&str> {
    report.split("](").skip(1).filter_map(|rest| Some(rest.split_once(')')?.0)).collect()
}

#[test]
fn s23_the_report_shows_every_row_with_evidence() {
    let _alone = super::turn::Turn::alone();
    let Some(staging) = super::canary::tools().and_then(|()| Staging::new()) else { return };
    let held = staging.go(&[]).code(3).says("HOLD  3 holds, risk 0");
    let folder = staging.app("deploys/20261124");
    let report = fs::read_to_string(folder.join("readiness.md")).expect("the report");
    assert!(report.starts_with("# Readiness: Staging deploy readiness\n\n**HOLD** with risk 0 "), "{report}");
    assert!(report.contains(&format!("record | SHA-256 `{}`", held.record_id())), "{report}");

    let rows = super::ROWS.iter().copied().chain(super::alerting::ROWS).chain(super::canary::ROWS).chain(ROWS);
    for (row, steps) in rows {
        for step in steps {
            let (_, section) = report.split_once(&format!("\n### `{step}`")).unwrap_or_else(|| panic!("{row}: {step}"));
            let section = section.split("\n### ").next().unwrap_or_default();
            assert!(section.contains("\n\npass · `"), "{row}: {section}");
            let shown = ["\n| ✓ | ", "\nEvidence:\n", "\nSeen: "].iter().any(|kind| section.contains(kind));
            assert!(shown && !section.contains("| ✗ |"), "{row}: {section}");
        }
    }
    let part = |title: &str| {
        let (_, part) = report.split_once(&format!("\n## {title}\n")).unwrap_or_else(|| panic!("{title}\n{report}"));
        part.split("\n## ").next().unwrap_or_default()
    };
    for role in ["Dev Backend", "Ops/SRE", "Producto"] {
        assert!(part("Sign-offs").contains(&format!("\n| {role} | **missing** |")), "{role}\n{report}");
        assert!(part("Holds").contains(role), "{role}\n{report}");
    }
    let canary = part("Candidate against baseline");
    assert!(canary.contains("`p95(latency)`") && canary.contains("| holds |"), "{canary}");
    let asked = part("PromQL");
    assert!(
        asked.contains("histogram_quantile(0.95") && asked.contains("| candidate") && asked.contains("| baseline"),
        "{asked}"
    );
    assert!(asked.contains("Z | ") && !asked.contains("{{"), "times and names are filled in: {asked}");

    let targets = targets(&report);
    assert!(targets.len() > 20, "{targets:?}");
    for target in targets {
        assert!(folder.join(target).exists(), "{target} leads nowhere from {}", folder.display());
    }
    let page = fs::read_to_string(folder.join("readiness.html")).expect("the page");
    assert!(page.contains("<main class=\"hold\">") && !page.contains("<script"), "{page}");
    for form in ["json", "xml"] {
        assert!(folder.join(format!("readiness.{form}")).is_file(), "{form}");
    }
}
