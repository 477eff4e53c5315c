//! One record whatever happens: every setting of the machine, the engine killed at every event, at every system call that
//! writes, at random; no room, no disk; a journal cut at every byte, a run with any byte flipped.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use runplan::digest::sha256_hex;
use runplan::event::EventKind;
use runplan::record::read;

use crate::faults::{alive, recomputed, until};
use crate::seeded::Seed;
use crate::support::{self, RUNPLAN, Space};

/// A step of every kind, each with a pause of its own that `$DELAY` moves; passes, and fails where it may.
const PLAN: &str = r#"
format = 1
[plan]
name = "all"
[vars]
list = ["a", "b"]
word = "two words"
[env]
pass = ["DELAY"]
[pools]
one = 1
[steps.make]
run = 'sleep 0.00$((DELAY * 7 % 10)); mkdir -p out; echo "$WORD" > out/a; echo v=7 > $RUNPLAN_OUTPUT'
env = { WORD = "{{ vars.word }}" }
outputs = { files = ["out/a"], values = ["v"] }
artifacts = [{ path = "out/a" }]
[steps.svc]
needs = ["make"]
service = { run = 'echo up; while kill -0 $PPID 2>/dev/null; do sleep 0.02; done', ready = { log = "up", every = "5ms" } }
[steps.cell]
needs = ["make"]
pools = ["one"]
matrix = { n = [1, 2] }
env = { V = "{{ steps.make.outputs.v }}", N = "{{ matrix.n }}" }
run = 'sleep 0.00$((DELAY * 31 * N % 10)); test "$V" = 7'
[steps.asks]
needs = ["svc"]
run = 'sleep 0.00$((DELAY * 13 % 10))'
[steps.flaky]
retry = { limit = 2, backoff = "1ms" }
run = 'sleep 0.00$((DELAY * 17 % 10)); test $RUNPLAN_ATTEMPT -ge 2'
[steps.soft]
required = false
run = 'sleep 0.00$((DELAY * 3 % 10)); exit 3'
[steps.told]
needs = ["flaky"]
value = { code = "steps.flaky.exit" }
pass = ["code == 0"]
[steps.last]
needs = ["asks", "told"]
after = ["soft"]
run = 'cat out/a'
[finally.tidy]
run = 'true'
"#;

/// What the machine may be set to. The last two need rights.
const SETTINGS: [&str; 8] =
    ["as it is", "time zone", "locale", "umask", "long path", "junk", "other uid", "other host"];

/// Where two numbers of workers, seeds, builds meet.
#[derive(Clone, Copy, Debug)]
struct Cell<'a> {
    jobs: &'static str,
    /// 0 for the order of the engine.
    shuffle: u32,
    delay: u32,
    setting: usize,
    build: &'a Path,
}

/// The program as it was built for the tests and, where `RUNPLAN_RELEASE` names it, for release; copies that everybody can
/// read.
fn builds(folder: &Path) -> Vec<PathBuf> {
    let release = std::env::var_os("RUNPLAN_RELEASE").map(PathBuf::from);
    assert!(release.is_some() || std::env::var_os("CI").is_none(), "`RUNPLAN_RELEASE` does not name the release build");
    let mut builds = vec![PathBuf::from(RUNPLAN)];
    builds.extend(release);
    let place = |(number, from): (usize, &PathBuf)| {
        let to = folder.join(format!("runplan-{number}"));
        fs::copy(from, &to).expect("a copy of the program");
        fs::set_permissions(&to, PermissionsExt::from_mode(0o755)).expect("its mode");
        to
    };
    builds.iter().enumerate().map(place).collect()
}

impl Cell<'_> {
    /// A workspace for it: `None` where this machine does not allow the setting.
    fn workspace(&self, root: &Path, number: usize) -> Option<PathBuf> {
        let mut folder = root.join(format!("cell-{number}"));
        if SETTINGS[self.setting] == "long path" {
            folder.extend((0..12).map(|n| format!("{n}{}", "-a-long-folder-name".repeat(5))));
        }
        fs::create_dir_all(&folder).expect("folders");
        fs::write(folder.join("blueprint.toml"), PLAN).expect("a plan");
        if SETTINGS[self.setting] == "other uid" {
            for path in [folder.clone(), folder.join("blueprint.toml")] {
                std::os::unix::fs::chown(path, Some(OTHER), Some(OTHER)).ok()?;
            }
        }
        Some(folder)
    }

    /// The program in that workspace, which has the pid of the child.
    fn command(&self, folder: &Path, words: &[&str]) -> Command {
        let before = match SETTINGS[self.setting] {
            "time zone" => "export TZ=Asia/Kathmandu",
            "locale" => "export LC_ALL=tr_TR.UTF-8 LANG=tr_TR.UTF-8 LANGUAGE=tr",
            "umask" => "umask 077",
            "junk" => {
                "i=0; while [ $i -lt 500 ]; do export JUNK_$i=\"junk $i\"; i=$((i+1)); done; export HOME=/nowhere USER=x"
            }
            _ => "true",
        };
        let wrapped: &[&str] = match SETTINGS[self.setting] {
            "other uid" => &["setpriv", "--reuid=54321", "--regid=54321", "--clear-groups"],
            "other host" => &["unshare", "--uts", "sh", "-c", "hostname other-host && exec \"$@\"", "sh"],
            _ => &[],
        };
        let mut command = Command::new("sh");
        command.args(["-c", &format!("{before}\nexec \"$@\""), "sh"]).args(wrapped).arg(self.build).args(words);
        command.args(["-j", self.jobs, "--progress", "json"]);
        if self.shuffle > 0 {
            command.arg(format!("--shuffle={}", self.shuffle));
        }
        command.current_dir(folder).env("DELAY", self.delay.to_string());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn start(&self, folder: &Path, words: &[&str]) -> Child {
        self.command(folder, words).spawn().expect("it starts")
    }
}

/// A user that is nobody here.
const OTHER: u32 = 54321;

/// The SHA-256 of the only record in a workspace.
fn only_record(folder: &Path) -> String {
    let run = only_run(folder).expect("a run");
    recomputed(&run);
    sha256_hex(&fs::read(run.join("record.jsonl")).expect("a record"))
}

fn only_run(folder: &Path) -> Option<PathBuf> {
    let mut runs = fs::read_dir(folder.join(".runplan/runs")).ok()?;
    let run = runs.next()?.expect("a folder").path();
    assert!(runs.next().is_none(), "more than one run in {}", folder.display());
    Some(run)
}

fn is_closed(run: &Path) -> bool {
    read::recover_file(run).is_ok_and(|found| read::is_closed(&found.events))
}

/// Which settings this machine allows.
fn settings() -> Vec<usize> {
    let works = |words: &[&str]| Command::new(words[0]).args(&words[1..]).output().is_ok_and(|o| o.status.success());
    let may = |setting: &str| match setting {
        "other uid" => works(&["setpriv", "--reuid=54321", "--regid=54321", "--clear-groups", "true"]),
        "other host" => works(&["unshare", "--uts", "sh", "-c", "hostname other-host"]),
        _ => true,
    };
    let allowed: Vec<usize> = (0..SETTINGS.len()).filter(|at| may(SETTINGS[*at])).collect();
    assert!(allowed.len() == SETTINGS.len() || std::env::var_os("CI").is_none(), "CI has to allow every setting");
    allowed
}

/// Runs the jobs on as many threads as there are processors.
fn on_all_processors(count: usize, job: impl Fn(usize) + Sync) {
    let next = AtomicUsize::new(0);
    let threads = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count {
                        break;
                    }
                    job(number);
                }
            });
        }
    });
}

#[test]
fn one_sha256_for_every_cell() {
    let root = tempfile::tempdir().expect("a folder");
    fs::set_permissions(root.path(), PermissionsExt::from_mode(0o755)).expect("a mode");
    let builds = builds(root.path());
    let settings = settings();
    let mut cells = Vec::new();
    for build in &builds {
        for setting in &settings {
            for jobs in ["1", "2", "16"] {
                for (shuffle, delay) in [(0, 0), (7, 5), (99, 9), (1234, 3)] {
                    cells.push(Cell { jobs, shuffle, delay, setting: *setting, build });
                }
            }
        }
    }
    let straight = |number: usize| {
        let cell = cells[number];
        let folder = cell.workspace(root.path(), number).expect("a workspace");
        let _ = support::finish(cell.start(&folder, &["blueprint.toml"])).code(0);
        let id = only_record(&folder);
        fs::remove_dir_all(root.path().join(format!("cell-{number}"))).expect("removed");
        id
    };
    let right = straight(0);
    on_all_processors(cells.len(), |number| assert_eq!(straight(number), right, "{:?}", cells[number]));
    // Killed after each event of the journal at each number of workers and resumed in another cell, on each build.
    let (cut, taken) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let jobs = ["1", "2", "16"];
    let most = 70;
    on_all_processors(most * builds.len() * jobs.len(), |number| {
        let (events, rest) = (1 + number / (builds.len() * jobs.len()), number % (builds.len() * jobs.len()));
        let (build, jobs) = (&builds[rest / jobs.len()], jobs[rest % jobs.len()]);
        // Strides that share no divisor with the number of cells: every setting meets every kind of place.
        let first = Cell { build, jobs, ..cells[(number * 29 + 5) % cells.len()] };
        let then = Cell { build: &builds[(number / 2) % builds.len()], ..cells[(number * 41 + 17) % cells.len()] };
        // Who runs it stays who it is; everything else may change in between.
        let then = if SETTINGS[first.setting] == "other uid" || SETTINGS[then.setting] == "other uid" {
            Cell { setting: first.setting, ..then }
        } else {
            then
        };
        let name = 10_000 + number;
        let folder = first.workspace(root.path(), name).expect("a workspace");
        kill_after(first.start(&folder, &["blueprint.toml"]), events);
        let run = only_run(&folder).expect("it began");
        if is_closed(&run) {
            assert!(events > 30, "it ends after {events} events");
        } else {
            let _ = support::finish(then.start(&folder, &["resume"])).code(0);
            cut.fetch_add(1, Ordering::Relaxed);
            let journal = read::recover_file(&run).expect("sound").events;
            let reused = journal.iter().filter(|event| matches!(event.kind, EventKind::Reused { .. })).count();
            taken.fetch_add(reused, Ordering::Relaxed);
        }
        assert_eq!(only_record(&folder), right, "killed after {events} events in {first:?}, resumed in {then:?}");
        fs::remove_dir_all(root.path().join(format!("cell-{name}"))).expect("removed");
    });
    let (cut, taken) = (cut.into_inner(), taken.into_inner());
    assert!(cut >= 90 * builds.len() && taken > cut, "{cut} cuts, {taken} results taken over");
    support::say(&format!(
        "{} cells: {} straight ({} builds, {} settings, 3 numbers of workers, 4 orders and delays), {cut} killed at an \
         event and resumed ({taken} results taken over); one SHA-256: {right}",
        cells.len() + cut,
        cells.len(),
        builds.len(),
        settings.len(),
    ));
}

/// Kills a run with `--progress json` once it has told so many events.
fn kill_after(mut child: Child, events: usize) {
    let mut lines = BufReader::new(child.stdout.take().expect("stdout")).lines();
    let _ = lines.by_ref().take(events).filter_map(Result::ok).count();
    child.kill().expect("a process of ours");
    child.wait().expect("it ends");
}

/// Writes to the store in every way that there is. `long` and what it starts go on until somebody ends them or `out`
/// is there; every process tells its pid.
const SMALL: &str = "[steps.long]\nrun = 'echo $$ >> pids; until test -e out; do sleep 0.01; done'\n\
     [steps.a]\nrun = 'echo $$ >> pids; echo one; echo v=1 > $RUNPLAN_OUTPUT; echo x > out'\n\
     outputs = { files = ['out'], values = ['v'] }\nartifacts = ['out']\n\
     [steps.b]\nneeds = ['a', 'long']\nrun = 'echo $$ >> pids; cat out >&2'\n";

/// The system calls of the engine that change something, and that a run of [`SMALL`] makes.
const CALLS: [&str; 10] =
    ["write", "fdatasync", "fsync", "mkdir", "unlink", "ftruncate", "rename", "renameat", "renameat2", "symlink"];

/// What came of a run under `strace` that injects a fault into the engine, not into what it starts.
struct Injected {
    ended: support::Ended,
    /// The call that was hit, as `strace -y` tells it.
    hit: Option<String>,
}

fn inject(space: &Space, words: &[&str], call: &str, fault: &str, at: usize) -> Injected {
    let mut command = Command::new("strace");
    let rule = format!("inject={call}:{fault}:when={at}");
    command.args(["-qq", "-y", "-o", "trace", "-e", &format!("trace={call}"), "-e", &rule, "-e", "signal=none"]);
    command.arg(RUNPLAN).args(words).current_dir(space.path()).stdin(Stdio::null());
    let ended = support::finish(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts"));
    let trace = String::from_utf8_lossy(&fs::read(space.path().join("trace")).unwrap_or_default()).into_owned();
    let killed = fault.contains("KILL") && ended.code == 137;
    let hit = trace.lines().find(|line| line.contains("INJECTED")).or(trace.lines().last().filter(|_| killed));
    Injected { ended, hit: hit.map(str::to_owned) }
}

fn may_trace() -> bool {
    let works = Command::new("strace").args(["-o", "/dev/null", "true"]).output().is_ok_and(|o| o.status.success());
    if !works {
        support::skip("strace (and permission to trace)");
    }
    works
}

/// No process of any step is left.
#[track_caller]
fn all_gone(space: &Space, what: &str) {
    let pids = fs::read_to_string(space.path().join("pids")).unwrap_or_default();
    for pid in pids.lines() {
        assert!(!alive(pid), "{what}: process {pid} is left");
    }
}

/// How many results a run has told, and has in its journal.
fn told_and_kept(told: &str, run: Option<&Path>) -> (usize, usize) {
    let is_commit =
        |line: &&str| serde_json::from_str::<serde_json::Value>(line).is_ok_and(|event| event["t"] == "commit");
    let kept = run.map_or(0, |run| {
        let events = read::recover_file(run).map(|found| found.events).unwrap_or_default();
        events.iter().filter(|event| matches!(event.kind, EventKind::Commit { .. })).count()
    });
    (told.lines().filter(is_commit).count(), kept)
}

#[test]
fn killed_at_every_call_that_writes_it_loses_nothing() {
    if !may_trace() {
        return;
    }
    let space = Space::plan(SMALL);
    let right = space.go(&[]).code(0).record_id();
    let (points, resumed, anew) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
    on_all_processors(CALLS.len(), |call| {
        let call = CALLS[call];
        for at in 1.. {
            let space = Space::plan(SMALL);
            let words = ["blueprint.toml", "--progress", "json", "-j2"];
            let injected = inject(&space, &words, call, "signal=KILL", at);
            let what = format!("{call} {at}: {:?}", injected.hit);
            if injected.hit.is_none() {
                let _ = injected.ended.code(0);
                assert!(at > 1, "a run makes no call of `{call}`");
                break;
            }
            points.fetch_add(1, Ordering::Relaxed);
            let run = only_run(space.path());
            let (told, kept) = told_and_kept(&injected.ended.stdout, run.as_deref());
            assert!(told <= kept, "{what}: {told} results were told, the journal has {kept}");
            let again = match &run {
                Some(run) if is_closed(run) => None,
                Some(_) => Some(space.run(&["resume"])).filter(|ended| !(ended.code == 2 && kept == 0)),
                None => None,
            };
            match (again, run) {
                (Some(again), _) => {
                    assert_eq!(again.code(0).record_id(), right, "{what}");
                    resumed.fetch_add(1, Ordering::Relaxed);
                }
                (None, Some(run)) if is_closed(&run) => {
                    assert_eq!(only_record(space.path()), right, "{what}");
                }
                (None, _) => {
                    // Nothing had begun: the next run starts, with nothing in its way.
                    assert_eq!(space.go(&[]).code(0).record_id(), right, "{what}");
                    anew.fetch_add(1, Ordering::Relaxed);
                }
            }
            let runs = fs::read_dir(space.path().join(".runplan/runs")).expect("runs");
            let complete = runs.map(|run| run.expect("a run").path()).filter(|run| is_closed(run));
            for run in complete {
                let id = run.file_name().and_then(|name| name.to_str()).expect("an id").to_owned();
                let _ = space.run(&["verify", &id]).code(0);
            }
            all_gone(&space, &what);
        }
    });
    let (points, resumed) = (points.into_inner(), resumed.into_inner());
    assert!(points > 50 && resumed > 30, "{points} kills, {resumed} resumed");
    support::say(&format!("{points} kills at a call that writes: {resumed} resumed, {} began anew", anew.into_inner()));
}

/// A fault at every call: never green unless everything was written; the children gone, the journal readable.
fn faults_at_every_call(error: &str) {
    if !may_trace() {
        return;
    }
    let space = Space::plan(SMALL);
    let right = space.go(&[]).code(0).record_id();
    let (points, refused) = (AtomicUsize::new(0), AtomicUsize::new(0));
    on_all_processors(CALLS.len(), |call| {
        let call = CALLS[call];
        for at in 1.. {
            let space = Space::plan(SMALL);
            let words = ["blueprint.toml", "--progress", "json", "-j2"];
            let injected = inject(&space, &words, call, &format!("error={error}"), at);
            let Some(hit) = injected.hit else {
                let _ = injected.ended.code(0);
                break;
            };
            points.fetch_add(1, Ordering::Relaxed);
            let ended = injected.ended;
            let what = format!("{call} {at} {error}: {hit}\n{}\n{}", ended.code, ended.stderr);
            all_gone(&space, &what);
            let run = only_run(space.path());
            if let Some(run) = run.as_deref().filter(|run| run.join("journal.jsonl").exists()) {
                let found = read::recover_file(run).unwrap_or_else(|error| panic!("{what}: {error}"));
                assert!(ended.code != 0 || read::is_closed(&found.events), "{what}: green, but not closed");
            }
            if ended.code == 0 {
                assert_eq!(only_record(space.path()), right, "{what}: green");
                // What may be missing can be made again from the runs: never the log itself.
                let harmless = ["index.jsonl", "history.jsonl", "latest", "lock", "steps/", "eventfd", "reuse.jsonl"];
                assert!(harmless.iter().any(|name| hit.contains(name)), "{what}: green");
            } else {
                refused.fetch_add(1, Ordering::Relaxed);
                // What the reader of stdout does, or a kernel that breaks its own wake-up calls, is no recording.
                let outside = hit.contains("write(1<") || hit.contains("eventfd");
                assert!(ended.code == 74 || outside, "{what}");
                assert!(!ended.stdout.contains("\"status\":{\"decided\":\"go\"}"), "{what}");
            }
        }
    });
    let (points, refused) = (points.into_inner(), refused.into_inner());
    assert!(points > 50 && refused > 40, "{points} faults, {refused} refused");
    support::say(&format!("{points} times {error}: {refused} ended without a result, the others lost only a cache"));
}

#[test]
fn no_room_at_any_call_that_writes_is_never_green() {
    faults_at_every_call("ENOSPC");
}

#[test]
fn a_broken_disk_at_any_call_that_writes_is_never_green() {
    faults_at_every_call("EIO");
}

#[test]
fn a_write_that_is_cut_short_is_never_green() {
    // The kernel itself cuts a write at the limit for the size of a file, as it does where a disk is full.
    let space = Space::plan(SMALL);
    let right = space.go(&[]).code(0).record_id();
    let size = fs::metadata(space.latest().join("journal.jsonl")).expect("a journal").len();
    let blocks = usize::try_from(size.div_ceil(512)).expect("small") + 1;
    let refused = AtomicUsize::new(0);
    on_all_processors(blocks, |block| {
        let space = Space::plan(SMALL);
        let script = format!("trap '' XFSZ; ulimit -f {}; exec \"$0\" blueprint.toml --progress none", block + 1);
        let mut command = Command::new("sh");
        command.args(["-c", &script, RUNPLAN]).current_dir(space.path()).stdin(Stdio::null());
        let ended = support::finish(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts"));
        let what = format!("{} blocks: {}\n{}", block + 1, ended.code, ended.stderr);
        all_gone(&space, &what);
        let run = only_run(space.path()).expect("it began");
        let found = run.join("journal.jsonl").exists().then(|| read::recover_file(&run).expect("it can be read"));
        if ended.code == 0 {
            assert_eq!(only_record(space.path()), right);
        } else {
            refused.fetch_add(1, Ordering::Relaxed);
            assert_eq!(ended.code, 74, "{what}");
            assert!(!ended.stdout.contains("GO"), "{what}");
            let kept = found.map_or(0, |found| found.events.len());
            if kept > 0 {
                assert_eq!(space.run(&["resume"]).code(0).record_id(), right, "{what}");
            }
        }
    });
    let refused = refused.into_inner();
    assert!(refused >= blocks - 2, "{refused} of {blocks}");
    support::say(&format!("{refused} limits cut a write short; none was green"));
}

#[test]
fn a_journal_cut_at_every_byte_is_resumed_to_the_clean_record() {
    let plan = "[steps.a]\nrun = ['true']\n";
    let root = tempfile::tempdir().expect("a folder");
    let build = builds(root.path()).pop().expect("a build");
    // On a file system in memory: the disk is not what is asked about.
    let memory = Path::new("/dev/shm");
    let place = || if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    let run_it = |folder: &Path, words: &[&str]| {
        let mut command = Command::new(&build);
        command.args(words).args(["--progress", "none"]).current_dir(folder).stdin(Stdio::null());
        support::finish(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts"))
    };
    let workers = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    let (cuts, resumed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    // Each has a run of its own: whoever goes on with a run ends what is left of it, wherever that is.
    on_all_processors(workers, |worker| {
        let folder = place().expect("a folder");
        fs::write(folder.path().join("blueprint.toml"), format!("format = 1\n{plan}")).expect("written");
        let _ = run_it(folder.path(), &["blueprint.toml"]).code(0);
        let (log, kept) = (folder.path().join(".runplan"), folder.path().join("kept"));
        support::copy_all(&log, &kept);
        let run = only_run(folder.path()).expect("a run");
        let journal = fs::read(run.join("journal.jsonl")).expect("a journal");
        let record = fs::read(run.join("record.jsonl")).expect("a record");
        let whole = read::recover(&journal).expect("sound").events;
        let head = journal.iter().position(|byte| *byte == b'\n').expect("a line") + 1;
        for cut in (0..journal.len()).filter(|cut| cut % workers == worker) {
            let found = read::recover(&journal[..cut]).expect("a prefix recovers");
            assert_eq!(found.events, whole[..found.events.len()], "cut at byte {cut}");
            fs::remove_dir_all(&log).expect("removed");
            support::copy_all(&kept, &log);
            fs::write(run.join("journal.jsonl"), &journal[..cut]).expect("written");
            // Its engine may have died before or after the record was there.
            if (cut / workers).is_multiple_of(2) {
                fs::remove_file(run.join("record.jsonl")).expect("removed");
            }
            let ended = run_it(folder.path(), &["resume"]);
            cuts.fetch_add(1, Ordering::Relaxed);
            if cut < head {
                // Nothing is known of it but the plan, which the next run reads.
                let _ = ended.code(2).says("run the plan anew");
                continue;
            }
            let _ = ended.code(0);
            assert_eq!(fs::read(run.join("record.jsonl")).expect("a record"), record, "cut at byte {cut}");
            recomputed(&run);
            resumed.fetch_add(1, Ordering::Relaxed);
        }
    });
    let (cuts, resumed) = (cuts.into_inner(), resumed.into_inner());
    assert!(resumed > 1000, "{resumed} of {cuts}");
    support::say(&format!("{cuts} prefixes, {resumed} of them resumed to the clean record"));
}

/// Every byte of every file of a run, but for the cache of what it inherited, which no result rests on.
#[test]
fn every_flipped_byte_of_a_run_is_refused() {
    let space = Space::plan(
        "[steps.a]\nrun = 'echo said; echo warned >&2; echo x > out'\noutputs = ['out']\nartifacts = ['out']\n",
    );
    let root = tempfile::tempdir().expect("a folder");
    let build = builds(root.path()).pop().expect("a build");
    let _ = space.go(&[]).code(0);
    let from = only_run(space.path()).expect("a run");
    let mut files: Vec<PathBuf> = support::files_of(&space.path().join(".runplan"));
    files.retain(|path| path.starts_with(&from) || path.to_string_lossy().contains("objects/sha256"));
    files.retain(|path| !path.ends_with("inherited") && !path.ends_with("lock"));
    let names: BTreeSet<_> =
        files.iter().filter_map(|path| path.file_name()).map(std::ffi::OsStr::to_os_string).collect();
    for wanted in ["journal.jsonl", "record.jsonl", "plan.toml", "plan.files.jsonl"] {
        assert!(names.contains(std::ffi::OsStr::new(wanted)), "{names:?}");
    }
    let bytes: Vec<(PathBuf, usize)> = files
        .iter()
        .flat_map(|path| (0..fs::metadata(path).expect("a file").len()).map(|at| (path.clone(), at as usize)))
        .collect();
    let workers = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    let id = from.file_name().expect("an id");
    on_all_processors(workers, |worker| {
        let folder = tempfile::tempdir().expect("a folder");
        support::copy_all(space.path(), folder.path());
        let verify = || {
            let mut command = Command::new(&build);
            command.arg("verify").arg(id).args(["--format", "json"]).current_dir(folder.path()).stdin(Stdio::null());
            command.output().expect("it starts").status.code()
        };
        assert_eq!(verify(), Some(0));
        for (path, at) in bytes.iter().skip(worker).step_by(workers) {
            let path = folder.path().join(path.strip_prefix(space.path()).expect("inside"));
            let whole = fs::read(&path).expect("a file");
            let mut damaged = whole.clone();
            damaged[*at] ^= if at % 2 == 0 { 0x01 } else { 0x80 };
            fs::write(&path, damaged).expect("written");
            assert_eq!(verify(), Some(4), "byte {at} of {}", path.display());
            fs::write(&path, whole).expect("written");
        }
        assert_eq!(verify(), Some(0));
    });
    support::say(&format!("{} bytes of {} files, each flipped and refused", bytes.len(), files.len()));
}

#[test]
fn five_hundred_kills_at_eight_workers_lose_nothing() {
    let mut plan = "[plan]\nname = \"wide\"\n".to_owned();
    for n in 0..40 {
        plan += &format!("[steps.s{n}]\nrun = 'sleep 0.0{}; echo {n} > f{n}'\noutputs = [\"f{n}\"]\n", n % 9);
        if n > 8 {
            plan += &format!("needs = [\"s{}\", \"s{}\"]\n", n - 9, n - 5);
        }
    }
    let right = Space::plan(&plan).go(&["-j", "8"]).code(0).record_id();
    let mut seed = Seed::new(99);
    let (mut kills, mut rounds) = (0, 0);
    while kills < 500 {
        rounds += 1;
        let space = Space::plan(&plan);
        let mut committed = 0;
        let mut words = vec!["blueprint.toml"];
        loop {
            words.extend(["-j", "8", "--progress", "none"]);
            let mut command = space.command(&words);
            let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it starts");
            let last = seed.chance(4);
            if !last {
                // Any moment will do.
                std::thread::sleep(Duration::from_millis(seed.below(120) as u64));
                kills += usize::from(child.try_wait().expect("a process of ours").is_none());
                child.kill().expect("a process of ours");
            }
            let ended = support::finish(child);
            assert!([0, 137].contains(&ended.code) || words[0] == "resume", "{}: {}", ended.code, ended.stderr);
            let run = only_run(space.path());
            let events = run.as_deref().map(|run| read::recover_file(run).map(|found| found.events));
            let Some(Ok(events)) = events.filter(|found| found.as_ref().is_ok_and(|events| !events.is_empty())) else {
                // It had not begun: the next one starts with nothing in its way.
                assert_eq!(committed, 0, "round {rounds}: what was committed is gone");
                let _ = run.map(fs::remove_dir_all);
                words = vec!["blueprint.toml"];
                continue;
            };
            let commits = events.iter().filter(|event| matches!(event.kind, EventKind::Commit { .. })).count();
            assert!(commits >= committed, "round {rounds}: nothing that was committed is lost");
            committed = commits;
            if read::is_closed(&events) {
                break;
            }
            assert!(ended.code == 137, "round {rounds}: {}: {}", ended.code, ended.stderr);
            words = vec!["resume"];
        }
        assert_eq!(only_record(space.path()), right, "round {rounds}");
        until("the end of all of it", || space.run(&["verify"]).code == 0);
    }
    support::say(&format!("{kills} kills in {rounds} runs at -j8; one record"));
}
