//! What goes wrong around a run: two at once, no room, no rights, a killed engine. Never a green result, never a stale lock.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use runplan::event::EventKind;
use runplan::record::{project, read};

use crate::support::{self, RUNPLAN, Space};

/// Says that it runs, waits for the file `go`, ends.
const WAITS: &str = "[steps.a]\nrun = 'echo $$ > pid; mv pid started; until test -e go; do sleep 0.01; done'\ntimeout = '60s'\n\
                     [steps.b]\nneeds = ['a']\nrun = 'true'\n";

/// Waits for it; a minute at most.
pub fn until(what: &str, mut there: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !there() {
        assert!(Instant::now() < deadline, "{what} never came");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn start(space: &Space, args: &[&str]) -> Child {
    let mut command = space.command(args);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts")
}

fn runs(workspace: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(workspace.join(".runplan/runs")).expect("runs");
    let mut runs: Vec<PathBuf> = entries.map(|entry| entry.expect("a run").path()).collect();
    runs.sort();
    runs
}

/// Whether this process runs.
pub fn alive(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| !rest.trim_start().starts_with(['Z', 'X']) && !rest.is_empty())
}

/// The journal is sound, and the record is what it projects to, byte for byte.
pub fn recomputed(run: &Path) {
    let journal = read::recover_file(run).expect("a sound journal");
    assert!(!journal.torn && read::is_closed(&journal.events));
    let bytes = std::fs::read(run.join("record.jsonl")).expect("a record");
    let record = read::read_record(&bytes).expect("a canonical record");
    let decision = journal.events.iter().rev().find_map(|event| match &event.kind {
        EventKind::Decision { decision, last: true } => Some(decision.as_ref().clone()),
        _ => None,
    });
    let again = project::project(&journal.events).expect("complete").finish(&decision.expect("decided"));
    let again = again.expect("canonical");
    assert_eq!(String::from_utf8_lossy(&again), String::from_utf8_lossy(&bytes), "the journal gives another record");
    match &journal.events.last().expect("events").kind {
        EventKind::Close { record: closed, .. } => assert_eq!(closed.as_deref(), Some(record.id.as_str())),
        other => panic!("the journal ends in {other:?}"),
    }
}

#[test]
fn the_record_comes_once_and_last() {
    let space = Space::plan(WAITS);
    let child = start(&space, &["blueprint.toml"]);
    until("the step", || space.has("started"));
    let run = runs(space.path()).remove(0);
    assert!(run.join("journal.jsonl").exists() && !run.join("record.jsonl").exists());
    let early = read::recover_file(&run).expect("every line is whole");
    assert!(!read::is_closed(&early.events));
    space.write("go", "");
    let _ = support::finish(child).code(0);
    recomputed(&run);
    let later = read::recover_file(&run).expect("sound").events;
    assert_eq!(later[..early.events.len()], early.events, "a journal only grows");
    let left: Vec<_> =
        std::fs::read_dir(&run).expect("a run").map(|entry| entry.expect("a file").file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().starts_with(".tmp")), "{left:?}");
}

#[test]
fn a_second_run_is_refused_or_waits() {
    let space = Space::plan(WAITS);
    let first = start(&space, &["blueprint.toml"]);
    until("the step", || space.has("started"));
    let pid = first.id().to_string();
    let _ = space.go(&[]).code(2).says("another run is going on in this workspace").says(&pid).hides("GO");
    assert_eq!(runs(space.path()).len(), 1, "the refused run left nothing");
    let second = start(&space, &["blueprint.toml", "--wait"]);
    let waits = || std::fs::read_to_string(format!("/proc/{}/wchan", second.id())).is_ok_and(|at| at.contains("lock"));
    // Where the kernel does not say what a process waits for, the number of runs has to do.
    let deadline = Instant::now() + Duration::from_secs(2);
    until("the wait", || waits() || Instant::now() > deadline);
    assert_eq!(runs(space.path()).len(), 1, "the second waits");
    space.write("go", "");
    let _ = support::finish(first).code(0);
    let _ = support::finish(second).code(0);
    assert_eq!(runs(space.path()).len(), 2);
    runs(space.path()).iter().for_each(|run| recomputed(run));
}

#[test]
fn a_file_in_place_of_the_store_is_refused() {
    let space = Space::plan("[steps.a]\nrun = 'touch ran'\n");
    space.write(".runplan", "mine");
    let _ = space.go(&[]).code(2).says("no folder");
    assert!(!space.has("ran"));
    assert_eq!(space.read(".runplan"), "mine");
    std::fs::remove_file(space.path().join(".runplan")).expect("a file");
    std::os::unix::fs::symlink("/tmp", space.path().join(".runplan")).expect("a link");
    let _ = space.go(&[]).code(2).says("symlink");
    assert!(!space.has("ran"));
}

/// A shell with mounts of its own, in the workspace; `None` where this machine doesn't allow that.
fn with_mounts(space: &Space, script: &str) -> Option<Child> {
    let flags: &[&str] = if rustix::process::geteuid().is_root() { &["-m"] } else { &["-Urm"] };
    let probe = Command::new("unshare").args(flags).args(["mount", "-t", "tmpfs", "none", "/mnt"]).output();
    if !probe.is_ok_and(|output| output.status.success()) {
        support::say("skipped: `unshare` and `mount` (package util-linux) with the right to use them are needed");
        return None;
    }
    let mut command = Command::new("unshare");
    command.args(flags).args(["sh", "-ec", script, "sh", RUNPLAN]).current_dir(space.path());
    Some(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts"))
}

#[test]
fn a_workspace_that_cannot_be_written_gives_no_result() {
    let space = Space::plan("[steps.a]\nrun = 'true'\n");
    let script = "mount --bind . . && mount -o remount,ro,bind . . && cd \"$PWD\" && exec \"$1\" blueprint.toml";
    if let Some(child) = with_mounts(&space, script) {
        let _ = support::finish(child).code(74).says("no run log can be written").says(".runplan").hides("GO ");
    }
    if !rustix::process::geteuid().is_root() {
        std::fs::set_permissions(space.path(), PermissionsExt::from_mode(0o555)).expect("a mode");
        let ended = space.go(&[]);
        std::fs::set_permissions(space.path(), PermissionsExt::from_mode(0o755)).expect("a mode");
        let _ = ended.code(74).says("could not be written").hides("GO ");
    }
    assert!(!space.has(".runplan"));
}

#[test]
fn a_full_disk_ends_everything_and_is_never_green() {
    // `full` fills the store; the journal fails at the next event, while `long` and its child still run.
    let space = Space::plan(
        "[steps.long]\nrun = 'sleep 300 & echo $! > pid; mv pid long.pid; wait'\n\
         [steps.full]\nrun = 'until test -e long.pid; do sleep 0.01; done; cat /dev/zero > .runplan/filler; true'\n\
         [steps.after]\nneeds = ['full']\nrun = 'touch ran'\n[finally.f]\nrun = 'touch ran'\n",
    );
    let script = "mkdir -m 700 .runplan; mount -t tmpfs -o size=64k,mode=700 none .runplan; cd .\n\
                  code=0; \"$1\" blueprint.toml -j 4 || code=$?\nrm .runplan/filler; cp -r .runplan/runs saved; exit $code";
    let Some(child) = with_mounts(&space, script) else { return };
    let ended = support::finish(child).code(74).says("could not be written").says("unknown");
    assert!(!ended.stdout.contains("GO"), "{}", ended.stdout);
    assert!(!space.has("ran"), "nothing is started any more");
    assert!(!alive(&space.read("long.pid")), "its children are gone");
    let run = std::fs::read_dir(space.path().join("saved")).unwrap().next().unwrap().unwrap().path();
    assert!(!run.join("record.jsonl").exists());
    let journal = read::recover_file(&run).expect("what is there can be read");
    assert!(journal.events.len() > 3 && !read::is_closed(&journal.events));
}

#[test]
fn a_failed_sync_is_fatal_and_not_tried_again() {
    if Command::new("strace").arg("-V").output().is_err() {
        assert!(std::env::var_os("CI").is_none(), "`strace` is missing (package strace)");
        support::say("skipped: `strace` is missing (package strace)");
        return;
    }
    // Results that come soon after a sync share the next one, which comes while `b` waits.
    let space = Space::plan(
        "[steps.a]\nrun = 'true'\n[steps.b]\nneeds = ['a']\nrun = 'sleep 1000'\n\
         [steps.c]\nneeds = ['b']\nrun_when = 'always'\nrun = 'touch ran'\n",
    );
    let mut command = Command::new("strace");
    // Open, and then the first results.
    command.args(["-o", "trace", "-e", "trace=fdatasync", "-e", "inject=fdatasync:error=EIO:when=2"]);
    command.arg(RUNPLAN).arg("blueprint.toml").current_dir(space.path()).stdin(Stdio::null());
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let ended = support::finish(child);
    if ended.stderr.contains("ptrace") && ended.code == 1 {
        support::say(&format!("skipped: this machine does not let us trace: {}", ended.stderr));
        return;
    }
    let ended = ended.code(74).says("could not be written");
    assert!(!ended.stdout.contains("GO") && !space.has("ran"));
    assert_eq!(space.read("trace").matches("fdatasync").count(), 2, "{}", space.read("trace"));
}

#[test]
fn a_killed_engine_leaves_a_readable_journal_and_no_lock() {
    let space = Space::plan(WAITS);
    let mut child = start(&space, &["blueprint.toml"]);
    until("the step", || space.has("started"));
    child.kill().expect("a process of ours");
    child.wait().expect("it ends");
    let run = runs(space.path()).remove(0);
    let journal = read::recover_file(&run).expect("it recovers");
    assert!(!read::is_closed(&journal.events) && !run.join("record.jsonl").exists());
    assert!(journal.events.iter().any(|event| matches!(event.kind, EventKind::Start { .. })));
    let step = space.read("started");
    space.write("go", "");
    let _ = space.go(&[]).code(0);
    until("the end of the step that was left", || !alive(&step));
    assert_eq!(runs(space.path()).len(), 2);
    recomputed(&space.latest());
}

#[test]
fn a_torn_journal_is_a_prefix_and_a_damaged_one_is_refused() {
    let space = Space::plan("[steps.a]\nrun = 'true'\n[steps.b]\nneeds = ['a']\nrun = 'exit 1'\n");
    let _ = space.go(&[]).code(1);
    let bytes = std::fs::read(space.latest().join("journal.jsonl")).expect("a journal");
    let whole = read::recover(&bytes).expect("sound").events;
    for cut in (0..bytes.len()).step_by(97) {
        let found = read::recover(&bytes[..cut]).expect("a prefix recovers");
        assert_eq!(found.events, whole[..found.events.len()]);
    }
    let mut damaged = bytes.clone();
    let middle = bytes.len() / 2;
    damaged[middle] ^= 1;
    assert!(read::recover(&damaged).is_err());
}

#[test]
fn a_record_is_what_its_journal_projects_to() {
    let space = Space::plan(
        "[vars]\nsize = 2\n[secrets]\ntoken = { env = 'TOKEN', random = true }\n\
         [steps.svc]\nservice = { run = 'echo up; exec sleep 300', ready = { log = 'up', every = '10ms' } }\n\
         [steps.cell]\nneeds = ['svc']\nmatrix = { n = [1, 2, 3] }\nretry = 1\nrun = 'test $N -lt 3'\nenv = { N = '{{ matrix.n }}' }\n\
         [steps.soft]\nrequired = false\nrun = 'echo $TOKEN; exit 1'\nsecrets = ['token']\n\
         [steps.blocked]\nneeds = ['cell']\nrun = 'true'\n[steps.left]\nwhen = 'vars.size > 2'\nrun = 'true'\n\
         [steps.warned]\nrun = 'echo v=1 > $RUNPLAN_OUTPUT; echo x > x.txt; exit 2'\npass = ['exit == 0']\nwarn = ['exit == vars.size']\n\
         outputs = { values = ['v'] }\nartifacts = ['x.txt']\n[finally.f]\nrun = 'true'\n",
    );
    let _ = space.go(&[]).code(1);
    recomputed(&space.latest());
    let record = space.record();
    let warned = record.iter().find(|line| line["id"] == "warned").expect("the step");
    assert_eq!(warned["criteria"][1]["expected"], "== vars.size", "as the plan says it, not what it came to");
    let journal = std::fs::read_to_string(space.latest().join("journal.jsonl")).expect("a journal");
    assert!(journal.contains("\"against\":\"2\""));
}
