//! `gc`: what goes, what stays and why, and that no moment at which it is killed leaves a broken store.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::past_runs::tree;
use crate::support::{RUNPLAN, Space, copy_all, finish, skip};
use crate::{gates, signoffs};

/// Every run archives a file of its own.
const PLAN: &str = "[plan]\nname = 'p'\n[vars]\nn = 0\nfail = 0\n[steps.a]\nrun = 'echo $N | tee out.txt'\n\
    env = { N = '{{ vars.n }}' }\nartifacts = ['out.txt']\nreuse = false\n\
    [steps.b]\nneeds = ['a']\nrun = 'exit $FAIL'\nenv = { FAIL = '{{ vars.fail }}' }\n";

fn plan() -> Space {
    Space::plan(PLAN)
}

/// Runs the plan and gives the run's id.
#[track_caller]
fn run(space: &Space, args: &[&str], code: i32) -> String {
    let _ = space.go(args).code(code);
    space.latest().file_name().unwrap().to_str().unwrap().to_owned()
}

/// `--var n=N`, and the id.
fn ran(space: &Space, n: u32) -> String {
    run(space, &["--var", &format!("n={n}")], 0)
}

fn ids(space: &Space) -> BTreeSet<String> {
    let entries = fs::read_dir(space.path().join(".runplan/runs")).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// What `gc --format json` says.
#[track_caller]
fn gc(space: &Space, args: &[&str]) -> Value {
    let mut all = vec!["gc", "--format", "json"];
    all.extend(args);
    serde_json::from_str(&space.run(&all).code(0).stdout).unwrap()
}

/// Codes of why each kept run stays.
fn why(said: &Value) -> BTreeMap<String, Vec<String>> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let codes = |run: &Value| run["why"].as_array().unwrap().iter().map(|why| text(&why["code"])).collect();
    said["kept"].as_array().unwrap().iter().map(|run| (text(&run["run"]), codes(run))).collect()
}

/// `gc --keep 1` keeps this run because of this, and would not keep `other`.
#[track_caller]
fn stays(space: &Space, id: &str, code: &str) -> Value {
    let said = gc(space, &["--keep", "1"]);
    let kept = why(&said);
    let own = kept.get(id).unwrap_or_else(|| panic!("{id} is gone: {said:#}"));
    assert_eq!(own, &[code], "{said:#}");
    assert!(ids(space).contains(id));
    said
}

/// Every run that is there is whole.
#[track_caller]
fn whole(space: &Space) {
    for id in ids(space) {
        let _ = space.run(&["verify", &id]).code(0);
    }
}

fn objects(space: &Space) -> usize {
    tree(&space.path().join(".runplan/objects/sha256")).len()
}

#[test]
fn old_runs_and_what_only_they_archived_go() {
    let space = plan();
    let runs: Vec<String> = (0..5).map(|n| ran(&space, n)).collect();
    // The same file as that of a run that stays.
    let last = ran(&space, 1);
    assert_eq!((ids(&space).len(), objects(&space)), (6, 5));
    let before = tree(&space.path().join(".runplan"));

    let told = space.run(&["gc", "-n", "--keep", "2"]).code(0).says("would remove 4 runs and 3 archived files");
    let _ = told.says("would keep 2 runs, 1 among the newest of their plan").says("`latest` points at it");
    assert_eq!(tree(&space.path().join(".runplan")), before, "a dry run writes nothing");
    let _ = space.run(&["gc"]).code(0).says("removed 0 runs, 0 B freed").says("kept 6 runs");
    assert_eq!(ids(&space).len(), 6, "50 by default");

    let said = gc(&space, &["--keep", "2"]);
    assert_eq!(
        said["removed"].as_array().unwrap().iter().map(|run| run["run"].as_str().unwrap()).collect::<Vec<_>>(),
        &runs[..4]
    );
    assert_eq!(said["archive"]["files"], 3, "the file of two runs stays for the one that does");
    assert_eq!(ids(&space), BTreeSet::from([runs[4].clone(), last]));
    let freed: usize = before.values().map(|(bytes, _)| bytes.len()).sum::<usize>()
        - tree(&space.path().join(".runplan")).values().map(|(bytes, _)| bytes.len()).sum::<usize>();
    let told = usize::try_from(said["bytes"].as_u64().unwrap()).unwrap();
    assert!(told > 0 && freed >= told, "{told} of {freed}; the caches are shorter too");
    whole(&space);
    let _ = space.run(&["history"]).code(0).says(&runs[4]).hides(&runs[3]);
    let _ = space.run(&["show"]).code(0);
    let index = space.read(".runplan/index.jsonl") + &space.read(".runplan/history.jsonl");
    assert!(!runs[..4].iter().any(|id| index.contains(id)), "the caches know no run that is gone");
    let _ = space.go(&[]).code(0);
}

#[test]
fn an_age_alone_and_an_age_with_a_number() {
    let space = plan();
    for n in 0..3 {
        ran(&space, n);
    }
    assert_eq!(gc(&space, &["--older-than", "1h"])["removed"].as_array().unwrap().len(), 0);
    assert_eq!(
        gc(&space, &["--older-than", "2999-01-01", "--keep", "2", "-n"])["removed"].as_array().unwrap().len(),
        1
    );
    assert_eq!(gc(&space, &["--older-than", "0s"])["removed"].as_array().unwrap().len(), 2);
    let _ = space.run(&["gc", "--older-than", "soon"]).code(2).says("an age such as 12h");
    let _ = space.run(&["gc", "--keep", "0"]).code(2);
    let _ = Space::new().run(&["gc"]).code(2).says("no `.runplan` here or above");
}

#[test]
fn the_newest_of_each_plan_stays() {
    let space = plan();
    let first = ran(&space, 0);
    space.write("other.toml", "format = 1\n[plan]\nname = 'other'\n[steps.x]\nrun = 'false'\n");
    let _ = space.run(&["other.toml"]).code(1);
    let _ = space.run(&["other.toml"]).code(1);
    let said = gc(&space, &["--keep", "1"]);
    assert_eq!(said["removed"].as_array().unwrap().len(), 1);
    assert_eq!(why(&said)[&first], ["newest", "baseline"]);
    assert_eq!(ids(&space).len(), 2);
}

#[test]
fn a_run_that_criteria_are_held_against_stays() {
    // Runs that do not pass come after it, and it is what the next one is compared with.
    let space = Space::plan(
        "[plan]\nname = 'p'\n[vars]\nsize = 100\n[steps.size]\nrun = 'echo $SIZE'\nenv = { SIZE = '{{ vars.size }}' }\nparse = 'json'\n\
         pass = ['json.\"$\" <= baseline + 10%']\nallow_no_baseline = 'first'\n[steps.opt]\nrequired = false\nrun = 'exit $CODE'\n\
         env = { CODE = '{{ vars.code }}' }\npass = ['exit <= baseline + 0']\nallow_no_baseline = 'first'\n",
    );
    let text = space.read("blueprint.toml").replace("size = 100\n", "size = 100\ncode = 0\n");
    space.write("blueprint.toml", text);
    let both = run(&space, &[], 0);
    // Passes as a whole, but not in `opt`: `opt` is held against the one before.
    let one = run(&space, &["--var", "size=105", "--var", "code=7"], 0);
    let gone = run(&space, &["--var", "size=200"], 1);
    let last = run(&space, &["--var", "size=300"], 1);
    let said = gc(&space, &["--keep", "1"]);
    assert_eq!(ids(&space), BTreeSet::from([both.clone(), one.clone(), last]), "all but {gone}: {said:#}");
    assert!(said.to_string().contains("`opt` is held against it"), "{said:#}");
    assert!(said.to_string().contains("the last run of its plan that passed"), "{said:#}");
    let _ = run(&space, &["--var", "size=200"], 1);
    let compared = &space.journal()[0]["settings"]["baselines"];
    assert_eq!((compared["size"].as_str(), compared["opt"].as_str()), (Some(&*one), Some(&*both)));
}

#[test]
fn what_a_kept_run_was_compared_with_stays() {
    let space = Space::plan(
        "[plan]\nname = 'p'\n[vars]\nsize = 100\n[steps.size]\nrun = 'echo $SIZE'\nenv = { SIZE = '{{ vars.size }}' }\nparse = 'json'\n\
         pass = ['json.\"$\" <= baseline + 10%']\nallow_no_baseline = 'first'\n",
    );
    let [first, second, third, fourth] = [100, 101, 102, 103].map(|n| run(&space, &["--var", &format!("size={n}")], 0));
    // The third is kept and was compared with the second; that one was compared with the first, which nobody asks for.
    let said = gc(&space, &["--keep", "2"]);
    assert_eq!(ids(&space), BTreeSet::from([second.clone(), third.clone(), fourth]), "{first}: {said:#}");
    assert_eq!(why(&said)[&second], ["baseline"]);
    assert!(said.to_string().contains(&format!("`size` of {third} was held against it")), "{said:#}");
}

#[test]
fn a_run_that_was_signed_stays() {
    let Some((space, keys)) = signoffs::space("[steps.a]\nrun = 'echo hi'\n[signoffs]\nroles = ['Ops', 'Dev']\n")
    else {
        return;
    };
    let signed = run(&space, &[], 3);
    let _ = signoffs::sign(&space, &keys, "Ops", "ana", "ana", &[]).code(0);
    let unsigned = run(&space, &[], 3);
    run(&space, &[], 3);
    let said = stays(&space, &signed, "signed");
    assert!(said.to_string().contains("signed for Ops"), "{said:#}");
    assert!(!ids(&space).contains(&unsigned));
    let _ = space.run(&["verify", &signed, "--signatures"]).code(0).says("`Ops`: approved by ana");
}

#[test]
fn a_run_whose_record_was_signed_stays() {
    let Some((space, keys)) = signoffs::space("[steps.a]\nrun = 'echo hi'\n") else { return };
    let signed = run(&space, &[], 0);
    let key = keys.join("ana");
    let _ = space.run(&["sign", "--record", "--key", key.to_str().unwrap()]).code(0);
    let _ = [0, 1].map(|_| run(&space, &[], 0));
    stays(&space, &signed, "signed");
}

#[test]
fn what_was_signed_at_a_gate_stays() {
    let Some((space, keys)) = gates::space(
        "[steps.build]\nrun = 'echo $WHAT > out.txt'\nenv = { WHAT = '{{ vars.what }}' }\noutputs = ['out.txt']\n\
         [steps.approve]\nneeds = ['build']\nsignoff = ['Ops', 'Dev']\n[vars]\nwhat = 'one'\n",
    ) else {
        return;
    };
    let signed = run(&space, &["--no-reuse"], 3);
    let _ = gates::sign(&space, &keys, "Ops", "ana", &[]).code(0);
    let [middle, again] = [0, 1].map(|_| run(&space, &["--no-reuse"], 3));
    run(&space, &["--no-reuse", "--var", "what=two"], 3);
    let other = run(&space, &["--no-reuse", "--var", "what=three"], 3);
    stays(&space, &signed, "gate");
    // The first that showed it and the last: all of them say the same.
    assert_eq!(ids(&space), BTreeSet::from([signed, again, other]), "{middle}");
    assert!(space.has(".runplan/gates/approve"), "nobody's signature goes");
}

#[test]
fn a_run_by_a_waiver_in_force_stays() {
    let waiver = |until: &str| {
        format!(
            "[[waivers]]\nstep = 'a'\ncriterion = 'exit == 0'\nowner = 'ana'\nreason = 'known'\nexpires = '{until}'\n"
        )
    };
    let space = Space::plan("waivers = 'w.toml'\n[steps.a]\nrun = 'exit 3'\npass = ['exit == 0']\n");
    space.write("w.toml", waiver("2001-01-01"));
    let lapsed = run(&space, &["--date", "2000-12-31"], 0);
    space.write("w.toml", waiver("2999-01-01"));
    let stands = run(&space, &[], 0);
    space.write("w.toml", waiver("2001-01-01"));
    let [old, new] = [0, 1].map(|_| run(&space, &[], 1));
    let said = gc(&space, &["--keep", "1"]);
    // It is also the last one that passed: another one that does, and only the waiver speaks for it.
    assert_eq!(why(&said)[&stands], ["waived", "baseline"], "{said:#}");
    assert_eq!(ids(&space), BTreeSet::from([stands, new]), "{lapsed} and {old} go");
}

#[test]
fn what_later_runs_reuse_stays() {
    let space = Space::plan("[steps.a]\nrun = 'echo x >> ran; cp in out'\ninputs = ['in']\noutputs = ['out']\n");
    space.write("in", "1");
    let first = run(&space, &[], 0);
    let runs: Vec<String> = (0..3).map(|_| run(&space, &[], 0)).collect();
    assert_eq!(space.read("ran"), "x\n");
    let said = gc(&space, &["--keep", "1"]);
    assert_eq!(why(&said)[&first], ["reuse", "reuse"], "the cache names it, and so does the last run: {said:#}");
    assert_eq!(ids(&space), BTreeSet::from([first.clone(), runs[2].clone()]));
    let _ = space.go(&[]).code(0).says("reused");
    assert_eq!(space.read("ran"), "x\n", "it is reused after that");
    // Either of the two is enough.
    fs::remove_file(space.path().join(".runplan/reuse.jsonl")).unwrap();
    assert_eq!(why(&gc(&space, &["--keep", "1"]))[&first], ["reuse"]);
    let _ = space.go(&["--force"]).code(0);
    gc(&space, &["--keep", "1"]);
    assert!(!ids(&space).contains(&first));
}

#[test]
fn a_cache_of_results_alone_keeps_their_run() {
    let space = Space::plan("[steps.a]\nrun = 'cp in out'\ninputs = ['in']\noutputs = ['out']\n");
    space.write("in", "1");
    let first = run(&space, &[], 0);
    let _ = run(&space, &["--no-reuse"], 0);
    stays(&space, &first, "reuse");
}

#[test]
fn interrupted_runs_stay_unless_asked_for() {
    let space = Space::plan("[steps.a]\nrun = 'touch here; until test -e go; do sleep 0.01; done'\ntimeout = '60s'\n");
    let child = space.command(&["blueprint.toml"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let start = Instant::now();
    while !space.has("here") {
        assert!(start.elapsed() < Duration::from_secs(60), "the step never started");
        std::thread::sleep(Duration::from_millis(5));
    }
    let interrupted = ids(&space).pop_first().unwrap();
    let _ = space.run(&["gc", "--keep", "1"]).code(2).says("another run is going on in this workspace");
    let said = gc(&space, &["-n", "--keep", "1"]);
    assert_eq!(why(&said)[&interrupted], ["live", "newest", "interrupted"]);
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    let _ = finish(child).code(130);
    space.write("go", "");
    let _ = run(&space, &[], 0);
    stays(&space, &interrupted, "interrupted");
    let _ = space.run(&["resume", &interrupted]).code(0);
    whole(&space);
    // The same once more, and now it may go.
    fs::remove_file(space.path().join(".runplan/runs").join(&interrupted).join("record.jsonl")).unwrap();
    let _ = run(&space, &[], 0);
    let _ = space.run(&["gc", "--keep", "1", "--interrupted"]).code(0);
    assert!(!ids(&space).contains(&interrupted));
}

#[test]
fn a_damaged_run_stays_with_what_it_archived() {
    let space = plan();
    let first = ran(&space, 1);
    let journal = space.latest().join("journal.jsonl");
    let _ = [2, 3].map(|n| ran(&space, n));
    let text = fs::read_to_string(&journal).unwrap();
    fs::write(&journal, text.replacen("\"mono\":", "\"momo\":", 1)).unwrap();
    let said = stays(&space, &first, "damaged");
    assert!(said.to_string().contains("`verify` it"), "{said:#}");
    assert_eq!((ids(&space).len(), objects(&space)), (2, 2), "nobody knows what it rests on, so its file stays");
    let _ = space.run(&["verify", &first]).code(4);
}

#[test]
fn runs_of_a_plan_within_a_plan_stay_with_its_run() {
    let space = Space::plan("[steps.child]\nplan = { path = 'child.toml', vars = { n = '0' } }\n[vars]\nn = 0\n");
    space.write("child.toml", "format = 1\n[vars]\nn = 0\n[steps.a]\nrun = 'exit $N'\nenv = { N = '{{ vars.n }}' }\n");
    let text = space.read("blueprint.toml").replace("n = '0'", "n = '{{ vars.n }}'");
    space.write("blueprint.toml", text);
    let _ = space.go(&["--var", "n=1"]).code(1);
    let logs = ".runplan/plans/child";
    for n in ["2", "3", "0"] {
        let _ = space.run(&["child.toml", "--log-dir", logs, "--var", &format!("n={n}")]).code(i32::from(n != "0"));
    }
    let below = space.path().join(logs).join(".runplan/runs");
    let parts = || -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(&below).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    let before = parts();
    let said = gc(&space, &["--keep", "1"]);
    let kept = why(&said);
    assert_eq!(kept.values().filter(|codes| codes[..] == ["part"]).count(), 1, "{said:#}");
    assert_eq!(parts().len(), 2, "of {before:?}: that of the run above and the newest");
    assert!(said["removed"].as_array().unwrap().iter().all(|run| run["store"] == "plans/child"), "{said:#}");
}

#[test]
fn what_killed_engines_left_goes() {
    let space = plan();
    ran(&space, 0);
    let root = space.path().join(".runplan");
    fs::create_dir_all(root.join("trash-20200101T000000Z-aaaaaa/steps")).unwrap();
    fs::write(root.join("trash-20200101T000000Z-aaaaaa/journal.jsonl"), "x").unwrap();
    fs::write(root.join("objects/tmp/.tmpAbCdEf"), "half a file").unwrap();
    fs::write(root.join(".tmpAbCdEf"), "half an index").unwrap();
    fs::write(root.join("mine"), "not ours").unwrap();
    // A run folder without a journal: its engine was killed before it wrote anything.
    fs::create_dir(root.join("runs/20200101T000000Z-bbbbbb")).unwrap();
    fs::create_dir(root.join("runs/20200101T000000Z-cccccc")).unwrap();
    let said = gc(&space, &["--keep", "1"]);
    assert_eq!(said["leftovers"]["files"], 3, "{said:#}");
    assert_eq!(said["removed"].as_array().unwrap().len(), 1, "the newest of its kind stays: {said:#}");
    assert!(space.has(".runplan/mine"));
    let left = picture(&root).into_keys().filter(|path| {
        let text = path.to_string_lossy();
        text.contains("tmp") || text.contains("trash")
    });
    assert_eq!(left.collect::<Vec<_>>(), Vec::<std::path::PathBuf>::new());
}

/// A store with runs that go, runs that stay and files of both.
fn ready() -> Space {
    let space = plan();
    let _ = space.go(&["--var", "n=7"]).code(0);
    for n in ["1", "2", "1"] {
        let _ = space.go(&["--var", &format!("n={n}"), "--var", "fail=1"]).code(1);
    }
    fs::create_dir_all(space.path().join(".runplan/trash-20200101T000000Z-aaaaaa/steps")).unwrap();
    fs::write(space.path().join(".runplan/trash-20200101T000000Z-aaaaaa/journal.jsonl"), "x").unwrap();
    space
}

/// Names and contents of all files and folders but the lock, whose text says who holds it.
fn picture(folder: &Path) -> BTreeMap<std::path::PathBuf, Vec<u8>> {
    let files =
        tree(folder).into_iter().map(|(path, (bytes, _))| (path.strip_prefix(folder).unwrap().to_owned(), bytes));
    files.filter(|(path, _)| path != Path::new("lock")).collect()
}

/// It is killed at every call that changes the store, one after the other, until none is left to be killed at.
#[test]
fn killed_at_any_moment_it_leaves_a_store_that_works() {
    let source = ready();
    let space = Space::new();
    let store = space.path().join(".runplan");
    let fresh = || {
        if store.exists() {
            fs::remove_dir_all(&store).unwrap();
        }
        copy_all(&source.path().join(".runplan"), &store);
        let latest = fs::read_link(source.path().join(".runplan/latest")).unwrap();
        // A copy follows the link.
        fs::remove_dir_all(store.join("latest")).unwrap();
        std::os::unix::fs::symlink(latest, store.join("latest")).unwrap();
    };
    fresh();
    let all = ids(&space);
    let _ = space
        .run(&["gc", "--keep", "1"])
        .code(0)
        .says("removed 2 runs, 1 archived file and 1 leftover of killed engines");
    let wanted = picture(&store);
    let kept = ids(&space);
    let calls = "rename,renameat,renameat2,unlink,unlinkat,rmdir,fsync,fdatasync,ftruncate,write";
    let mut moments = 0;
    for n in 1.. {
        fresh();
        let mut command = Command::new("strace");
        command.args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={calls}")]);
        command.args(["-e", &format!("inject={calls}:signal=KILL:when={n}")]).arg(RUNPLAN);
        let ended = command.args(["gc", "--keep", "1"]).current_dir(space.path()).stdin(Stdio::null()).output();
        let Ok(ended) = ended else { return skip("strace") };
        if ended.status.success() {
            break;
        }
        let killed = ended.status.signal() == Some(9) || ended.status.code() == Some(137);
        if !killed {
            return skip(&format!("strace that may trace: {}", String::from_utf8_lossy(&ended.stderr)));
        }
        moments = n;
        let there = ids(&space);
        assert!(kept.is_subset(&there) && there.is_subset(&all), "after {n}: {there:?}");
        whole(&space);
        let listed = space.run(&["history", "--last", "100"]).code(0).stdout;
        assert!(there.iter().all(|id| listed.contains(id.as_str())), "after {n}: {listed}");
        assert!(all.difference(&there).all(|id| !listed.contains(id.as_str())), "after {n}: {listed}");
        let _ = space.run(&["show"]).code(0);
        let _ = space.run(&["gc", "--keep", "1"]).code(0);
        assert_eq!(picture(&store), wanted, "after {n}: the next one ends where an undisturbed one does");
    }
    assert!(moments > 10, "killed {moments} times");
    crate::support::say(&format!("killed at {moments} moments"));
}
