//! `runplan watch`: what changes is run again, what does not is left alone, and Ctrl-C ends it cleanly.

use std::fs;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use rustix::process::{Pid, Signal, kill_process};

use crate::pty::{left_behind, wait_for};
use crate::support::{Space, say};

/// A watcher whose words are collected.
struct Watcher<'s> {
    space: &'s Space,
    child: Child,
    said: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
}

impl<'s> Watcher<'s> {
    fn start(space: &'s Space) -> Self {
        use std::io::BufRead as _;
        let mut command = space.command(&["watch", "blueprint.toml", "--progress", "plain"]);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it starts");
        let said = Arc::new(Mutex::new(String::new()));
        let (err, kept) = (child.stderr.take().expect("a pipe"), Arc::clone(&said));
        let reader = std::thread::spawn(move || {
            for line in std::io::BufReader::new(err).lines().map_while(Result::ok) {
                let mut kept = kept.lock().expect("no panic");
                kept.push_str(&line);
                kept.push('\n');
            }
        });
        Self { space, child, said, reader: Some(reader) }
    }

    fn said(&self) -> String {
        self.said.lock().expect("no panic").clone()
    }

    /// Waits until it waits for the `n`th time, and gives what it said since the time before.
    #[track_caller]
    fn idle(&self, n: usize) -> String {
        wait_for(&format!("rest number {n}"), || self.said().matches("runplan: watching").count() >= n);
        let said = self.said();
        assert_eq!(said.matches("runplan: watching").count(), n, "{said}");
        said.split("runplan: watching").nth(n - 1).unwrap_or("").to_owned()
    }

    fn runs(&self) -> usize {
        fs::read_dir(self.space.path().join(".runplan/runs")).map_or(0, Iterator::count)
    }

    #[track_caller]
    fn end(mut self, signal: Signal) -> (Option<i32>, String) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).expect("a pid")).expect("a pid");
        kill_process(pid, signal).expect("it lives");
        let code = self.child.wait().expect("it ends").code();
        self.reader.take().expect("once").join().expect("the reader ends");
        (code, self.said())
    }
}

impl Drop for Watcher<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const PLAN: &str = r#"
[steps.lint]
run = "cat src/*.txt > lint.out"
inputs = ["src/*.txt"]
outputs = ["lint.out"]
[steps.docs]
run = "cat docs/index > docs.out"
inputs = ["docs/index"]
outputs = ["docs.out"]
[steps.pack]
needs = ["lint", "docs"]
run = "cat lint.out docs.out > pack.out"
inputs = ["lint.out", "docs.out"]
outputs = ["pack.out"]
"#;

fn space() -> Space {
    let space = Space::plan(PLAN);
    space.write("src/a.txt", "a\n").write("docs/index", "d\n");
    space
}

#[test]
fn only_what_a_change_touches_is_executed() {
    let space = space();
    let watcher = Watcher::start(&space);
    assert!(watcher.idle(1).contains("(3/3) pack"));
    // A file that changed.
    space.write("src/a.txt", "b\n");
    let said = watcher.idle(2);
    assert!(said.contains("runplan: src/a.txt changed → lint\n"), "{said}");
    assert!(
        said.contains("docs  reused") && !said.contains("lint  reused") && !said.contains("pack  reused"),
        "{said}"
    );
    assert_eq!(space.read("pack.out"), "b\nd\n");
    // As editors save: a new file takes the old one's place.
    space.write("docs/.index.swp", "e\n");
    fs::rename(space.path().join("docs/.index.swp"), space.path().join("docs/index")).expect("renamed");
    let said = watcher.idle(3);
    assert!(said.contains("docs/index changed → docs\n") && said.contains("lint  reused"), "{said}");
    // A new file that the glob matches, and one that goes.
    space.write("src/b.txt", "c\n");
    assert!(watcher.idle(4).contains("src/b.txt changed → lint\n"));
    assert_eq!(space.read("pack.out"), "b\nc\ne\n");
    fs::remove_file(space.path().join("src/b.txt")).expect("removed");
    assert!(watcher.idle(5).contains("src/b.txt changed → lint\n"));
    assert_eq!((space.read("pack.out").as_str(), watcher.runs()), ("b\ne\n", 5));
    // What nobody reads, and what was only touched, starts nothing: the next change is the next run.
    space.write("src/other.md", "x").write("src/a.txt", "b\n").write("lint.out", "b\n");
    space.write("docs/index", "f\n");
    assert!(watcher.idle(6).contains("docs/index changed → docs\n"));
    assert_eq!(watcher.runs(), 6);
    let (code, said) = watcher.end(Signal::INT);
    assert_eq!(code, Some(130), "{said}");
    assert_eq!(left_behind(&space, ""), Vec::<String>::new());
    say("six runs of a watched plan");
}

#[test]
fn a_plan_with_a_fault_is_watched_until_it_is_mended() {
    let space = space();
    let watcher = Watcher::start(&space);
    watcher.idle(1);
    let text = space.read("blueprint.toml");
    space.write("blueprint.toml", text.replace("needs = [\"lint\", ", "needs = [\"lin\", "));
    let said = watcher.idle(2);
    assert!(said.contains("blueprint.toml changed → the plan\n") && said.contains("lin"), "{said}");
    assert_eq!(watcher.runs(), 1, "nothing was run");
    // What the last good plan reads is still watched.
    space.write("src/a.txt", "changed\n");
    assert!(watcher.idle(3).contains("src/a.txt changed → lint\n"));
    space.write("blueprint.toml", text + "[steps.more]\nfile = 'more.txt'\n");
    let said = watcher.idle(4);
    assert!(said.contains("blueprint.toml changed → the plan\n") && said.contains("FAIL"), "{said}");
    // A file that a new step looks at and that was not there.
    space.write("more.txt", "");
    assert!(watcher.idle(5).contains("more.txt changed → more\n"));
    assert_eq!(watcher.end(Signal::TERM).0, Some(143));
}

#[test]
fn a_change_during_a_run_is_followed_by_another_run_and_ctrl_c_ends_a_run_too() {
    let space = Space::plan(
        "[steps.slow]\nrun = 'cat in > out; touch up; until test -e go; do sleep 0.01; done'\ninputs = ['in']\noutputs = ['out']\n",
    );
    space.write("in", "1");
    let watcher = Watcher::start(&space);
    wait_for("the step", || space.has("up"));
    space.write("in", "2");
    space.write("go", "");
    let said = watcher.idle(1);
    assert!(said.contains("runplan: in changed → slow\n"), "{said}");
    assert_eq!((watcher.runs(), space.read("out").as_str()), (2, "2"));
    fs::remove_file(space.path().join("go")).expect("removed");
    fs::remove_file(space.path().join("up")).expect("removed");
    space.write("in", "3");
    wait_for("the step", || space.has("up"));
    let (code, said) = watcher.end(Signal::INT);
    assert_eq!(code, Some(130), "{said}");
    assert_eq!(left_behind(&space, ""), Vec::<String>::new());
}

#[test]
fn a_step_that_changes_what_it_reads_makes_no_circle() {
    let space = Space::plan("[steps.round]\nrun = 'echo x >> in'\ninputs = ['in']\n");
    space.write("in", "");
    let watcher = Watcher::start(&space);
    let said = watcher.idle(1);
    assert!(said.contains("in changed in every run: that starts none"), "{said}");
    assert_eq!(watcher.runs(), 4);
    assert_eq!(watcher.end(Signal::INT).0, Some(130));
}
