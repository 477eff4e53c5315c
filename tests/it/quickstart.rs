//! The quickstart: what a newcomer runs first shows the whole of it in one screen, and leaves nothing behind.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use serde_json::Value as Json;

use crate::support::{self, Ended, Space};

const PLAN: &str = "examples/quickstart/blueprint.toml";

/// A repository with the example in it; a run from its root.
fn quickstart() -> Space {
    let space = Space::new().env("COLUMNS", "80");
    let example = "examples/quickstart";
    support::copy(&support::repository().join(example), &space.path().join(example));
    for args in [&["init", "-q"][..], &["add", "-A"], &["commit", "-qm", "start"]] {
        git(&space, args);
    }
    space
}

fn git(space: &Space, args: &[&str]) -> String {
    let who = ["-c", "user.name=t", "-c", "user.email=t@example.invalid", "-c", "init.defaultBranch=main"];
    let out = Command::new("git").args(who).args(args).current_dir(space.path()).output();
    let out = out.expect("git is installed (Debian: apt-get install git)");
    assert!(out.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).expect("text")
}

fn go(space: &Space, args: &[&str]) -> Ended {
    let mut all = vec![PLAN];
    all.extend(args);
    space.run(&all).code(0).says("GO  risk")
}

fn log(space: &Space, name: &str) -> Vec<Json> {
    let latest = fs::canonicalize(space.path().join("examples/quickstart/.runplan/latest")).expect("there was a run");
    let text = fs::read_to_string(latest.join(name)).expect("a log");
    text.lines().map(|line| serde_json::from_str(line).expect("a JSON line")).collect()
}

/// The most steps that were under way at one moment, services left out.
fn most_at_once(journal: &[Json]) -> usize {
    let services: BTreeSet<String> =
        journal.iter().filter(|line| line["t"] == "serving").map(|line| line["step"].to_string()).collect();
    let (mut now, mut most) = (BTreeSet::new(), 0);
    for line in journal {
        let step = line["step"].to_string();
        match line["t"].as_str() {
            Some("start") if !services.contains(&step) => drop(now.insert(step)),
            Some("attempt") => drop(now.remove(&step)),
            _ => {}
        }
        most = most.max(now.len());
    }
    most
}

#[test]
fn it_shows_everything_and_is_go() {
    let space = quickstart();
    let _ = go(&space, &["-j4"]);
    let record = log(&space, "record.jsonl");
    let steps: Vec<&Json> = record.iter().filter(|line| line["t"] == "step").collect();
    let step = |name: &str| *steps.iter().find(|step| step["id"] == name).unwrap_or_else(|| panic!("no `{name}`"));
    let states = |state: &str| steps.iter().filter(|step| step["state"] == state).count();
    assert!(steps.len() >= 10, "{} steps", steps.len());
    assert_eq!((states("warn"), states("fail")), (1, 1), "one warning, one advisory failure");
    assert_eq!(states("pass"), steps.len() - 2);
    assert!(steps.iter().filter(|step| step["state"] == "fail").all(|step| step["required"] == false));
    assert_eq!(step("weight")["state"], "warn");
    assert_eq!(step("release-notes")["state"], "fail");
    let attempts = step("flaky")["attempts"].as_array().expect("attempts");
    assert_eq!(attempts.iter().map(|attempt| &attempt["state"]).collect::<Vec<_>>(), ["fail", "pass"]);
    assert!(steps.iter().filter(|step| step["id"].as_str().is_some_and(|id| id.starts_with("spelling["))).count() >= 2);
    assert!(steps.iter().any(|step| step["kind"] == "service"));
    assert_eq!(step("tidy")["finally"], true);

    let journal = log(&space, "journal.jsonl");
    assert!(most_at_once(&journal) >= 2, "steps run in parallel");
    let answers =
        &journal[0]["steps"].as_array().expect("steps").iter().find(|s| s["name"] == "answers").unwrap()["step"];
    let samples = journal.iter().filter(|line| line["t"] == "sample" && line["step"] == *answers).count();
    assert!(samples >= 3, "{samples} looks");

    let bundle = &step("bundle")["outputs"][0];
    let sha256 = bundle["sha256"].as_str().expect("a stable artifact has a digest");
    let objects = space.path().join("examples/quickstart/.runplan/objects/sha256").join(&sha256[..2]);
    let object = [objects.join(&sha256[2..]), objects.join(sha256)].into_iter().find(|path| path.exists());
    let bytes = fs::read(object.expect("the artifact is in the store")).expect("readable");
    assert_eq!(runplan::digest::sha256_hex(&bytes), sha256);
}

#[test]
fn it_fits_on_one_screen() {
    let space = quickstart();
    let ended = go(&space, &[]);
    let all = format!("{}{}", ended.stderr, ended.stdout);
    let rows: usize = all.lines().map(|line| line.chars().count().div_ceil(80).max(1)).sum();
    assert!(rows <= 40, "{rows} rows:\n{all}");
    for wanted in ["WARN", "weight", "(advisory)", "release-notes", "GO  risk", "sha256:"] {
        assert!(all.contains(wanted), "`{wanted}` is not shown:\n{all}");
    }
}

#[test]
fn its_record_does_not_depend_on_jobs_or_on_the_day_before_and_nothing_is_left() {
    let space = quickstart();
    let ids: BTreeSet<String> =
        ["-j1", "-j2", "-j16", "-j1"].iter().map(|jobs| go(&space, &[jobs]).record_id()).collect();
    assert_eq!(ids.len(), 1, "{ids:?}");
    assert_eq!(git(&space, &["status", "--porcelain", "--untracked-files=all"]), "");
    let ignored = git(&space, &["status", "--porcelain", "--ignored"]);
    assert_eq!(ignored, "!! examples/quickstart/.runplan/\n", "nothing but the log");
}
