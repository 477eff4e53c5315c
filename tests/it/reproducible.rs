//! One record for one plan: whatever the number of workers, the order in which steps end, the machine's settings.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::seeded::{Plan, STEPS};
use crate::support::{self, RUNPLAN, Space};

const MODES: [&str; 4] = ["independent", "stop", "continue", "mixed"];

/// What a run gave that may not differ.
struct Kept {
    code: i32,
    id: String,
    record: Vec<u8>,
}

/// The only record in a workspace.
fn kept(workspace: &Path, code: i32) -> Kept {
    let run = std::fs::canonicalize(workspace.join(".runplan/latest")).expect("there was a run");
    let record = std::fs::read(run.join("record.jsonl")).expect("it has a record");
    Kept { code, id: runplan::digest::sha256_hex(&record), record }
}

/// Runs the plan in a workspace of its own.
fn cell(plan: &str, jobs: &str, delay: u64) -> Kept {
    let space = Space::new().env("DELAY", &delay.to_string());
    space.write("blueprint.toml", plan);
    let ended = space.go(&["-j", jobs]);
    assert!([0, 1, 3].contains(&ended.code), "{}\n{}", ended.stdout, ended.stderr);
    let kept = kept(space.path(), ended.code);
    assert_eq!(ended.record_id(), kept.id);
    kept
}

/// Fails with the first line that differs.
#[track_caller]
fn same(what: &str, first: &Kept, other: &Kept) {
    if first.id != other.id {
        let lines = |kept: &Kept| String::from_utf8_lossy(&kept.record).lines().map(str::to_owned).collect::<Vec<_>>();
        let (a, b) = (lines(first), lines(other));
        let at = a.iter().zip(&b).position(|(a, b)| a != b).unwrap_or(a.len().min(b.len()));
        panic!("{what}: line {} differs\n{}\n{}", at + 1, a.get(at).map_or("", |l| l), b.get(at).map_or("", |l| l));
    }
    assert_eq!(first.code, other.code, "{what}");
}

/// Which states and causes a record holds.
fn words(kept: &Kept) -> BTreeSet<String> {
    let text = String::from_utf8_lossy(&kept.record);
    let lines = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON"));
    let steps = lines.filter(|line| line["t"] == "step");
    steps.flat_map(|line| [line["state"].clone(), line["cause"]["code"].clone()]).map(|word| word.to_string()).collect()
}

#[test]
fn one_digest_for_every_number_of_workers_and_every_delay() {
    let mut cells = 0;
    let mut seen = BTreeSet::new();
    for (number, mode) in MODES.iter().enumerate() {
        for seed in [7, 41] {
            let plan = Plan::random(seed + 100 * number as u64, mode);
            let serial = cell(&plan, "1", 0);
            let steps = String::from_utf8_lossy(&serial.record).lines().count() - 2;
            assert!(steps >= STEPS, "{steps}");
            seen.extend(words(&serial));
            for (jobs, delay) in [("2", 3), ("16", 5), ("16", 11)] {
                same(&format!("{mode}, seed {seed}, -j{jobs}"), &serial, &cell(&plan, jobs, delay));
            }
            cells += 4;
        }
    }
    support::say(&format!("{cells} cells of {STEPS} steps, one digest a plan"));
    for word in
        ["pass", "warn", "fail", "error", "inconclusive", "skipped", "not_run", "need_failed", "when", "stopped"]
    {
        assert!(seen.contains(&format!("\"{word}\"")), "no step came to `{word}`: the plans test too little: {seen:?}");
    }
}

/// A shell that changes its own settings, then becomes the program.
fn through_shell(before: &str, plan: &Path, from: &Path) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("{before}\nexec \"$@\""), "sh", RUNPLAN]);
    command.arg(plan).args(["-j", "3", "--progress", "none"]).current_dir(from).stdin(Stdio::null());
    command
}

fn workspace(folder: PathBuf, plan: &str) -> PathBuf {
    std::fs::create_dir_all(&folder).expect("folders");
    std::fs::write(folder.join("blueprint.toml"), plan).expect("a plan");
    folder
}

#[test]
fn one_digest_whatever_the_machine_is_set_to() {
    let plan = Plan::random(1001, "independent");
    let first = cell(&plan, "2", 1);
    let mut cells = 1;
    let deep = (0..12).map(|n| format!("{n}{}", "-a-long-folder-name".repeat(5))).collect::<PathBuf>();
    let deep = &deep;
    for (what, before) in [
        ("time zone", "export TZ=Asia/Kathmandu"),
        ("locale", "export LC_ALL=tr_TR.UTF-8 LANG=tr_TR.UTF-8 LANGUAGE=tr"),
        ("umask", "umask 077"),
        (
            "junk",
            "i=0; while [ $i -lt 500 ]; do export JUNK_$i=\"junk $i\"; i=$((i+1)); done; export HOME=/nowhere USER=x",
        ),
        ("limits", "ulimit -c 0; ulimit -n 512"),
    ] {
        let temp = tempfile::tempdir().expect("a folder");
        let folder = workspace(temp.path().join("ü space"), &plan);
        let mut command = through_shell(before, &folder.join("blueprint.toml"), Path::new("/"));
        command.env("DELAY", "8");
        let ended = support::finish(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts"));
        same(what, &first, &kept(&folder, ended.code));
        cells += 1;
    }
    let temp = tempfile::tempdir().expect("a folder");
    let folder = workspace(temp.path().join(deep), &plan);
    let mut command = through_shell("true", Path::new("blueprint.toml"), &folder);
    command.env("DELAY", "9");
    let ended = support::finish(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts"));
    same("a long path", &first, &kept(&folder, ended.code));
    cells += 1;
    if other_host() {
        let folder = workspace(temp.path().join("host"), &plan);
        let mut command = Command::new("unshare");
        command.args(["--uts", "sh", "-c", "hostname other-host && exec \"$@\"", "sh", RUNPLAN, "blueprint.toml"]);
        command.env("DELAY", "4").current_dir(&folder).stdin(Stdio::null());
        let ended = support::finish(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts"));
        same("another host name", &first, &kept(&folder, ended.code));
        cells += 1;
    }
    support::say(&format!("{cells} cells, one digest"));
}

/// Whether this machine lets us take another host name: that needs rights.
fn other_host() -> bool {
    let tried = Command::new("unshare").args(["--uts", "sh", "-c", "hostname other-host"]).output();
    tried.is_ok_and(|output| output.status.success())
}

#[test]
fn the_quickstart_has_one_record_and_nothing_of_this_machine_in_it() {
    let mut records = Vec::new();
    for jobs in ["1", "2", "8"] {
        let space = Space::new();
        support::copy(&support::repository().join("examples/quickstart"), space.path());
        let ended = space.go(&["-j", jobs]).code(0);
        let kept = kept(space.path(), ended.code);
        let text = String::from_utf8_lossy(&kept.record).into_owned();
        for volatile in [space.path().to_str().expect("a path"), "127.0.0.1", "\"at\"", "duration", "runs/"] {
            assert!(!text.contains(volatile), "`{volatile}` is in\n{text}");
        }
        records.push(kept);
    }
    same("-j2", &records[0], &records[1]);
    same("-j8", &records[0], &records[2]);
}
