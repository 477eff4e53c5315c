//! A workspace in a temporary folder, the program run in it, and exact assertions on what came out.

use std::ffi::OsString;
use std::fs;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// The program under test.
pub const RUNPLAN: &str = env!("CARGO_BIN_EXE_runplan");

/// The repository.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A temporary workspace; removed at the end.
pub struct Space {
    dir: tempfile::TempDir,
    env: Vec<(OsString, OsString)>,
}

/// What a run of the program gave.
#[derive(Debug)]
#[must_use]
pub struct Ended {
    /// Exit code; 128 + n for a signal, as a shell tells it.
    pub code: i32,
    /// Everything on stdout.
    pub stdout: String,
    /// Everything on stderr.
    pub stderr: String,
}

impl Space {
    /// An empty workspace.
    pub fn new() -> Self {
        Self { dir: tempfile::tempdir().expect("a temporary folder"), env: Vec::new() }
    }

    /// A workspace with this text as `blueprint.toml` (with `format = 1` before it).
    pub fn plan(text: &str) -> Self {
        let space = Self::new();
        space.write("blueprint.toml", format!("format = 1\n{text}"));
        space
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Sets a variable for later runs.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Writes a file, with its folders.
    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> &Self {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().expect("inside the workspace")).expect("folders");
        fs::write(path, bytes).expect("a written file");
        self
    }

    /// Reads a file as text.
    #[track_caller]
    pub fn read(&self, name: &str) -> String {
        let path = self.path().join(name);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// Whether a file is there.
    pub fn has(&self, name: &str) -> bool {
        self.path().join(name).exists()
    }

    /// The program with these arguments, in the workspace, with nothing of this process's settings for it.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(RUNPLAN);
        command.args(args).current_dir(self.path()).stdin(Stdio::null());
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("RUNPLAN")
                || text.starts_with("GITHUB_")
                || text.starts_with("CLICOLOR")
                || ["NO_COLOR", "COLUMNS"].contains(&&*text)
            {
                command.env_remove(&name);
            }
        }
        command.envs(self.env.iter().map(|(n, v)| (n, v)));
        command
    }

    /// Runs it to its end.
    pub fn run(&self, args: &[&str]) -> Ended {
        finish(self.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts"))
    }

    /// Runs `blueprint.toml` with these further arguments, quietly.
    pub fn go(&self, args: &[&str]) -> Ended {
        let mut all = vec!["blueprint.toml"];
        all.extend(args);
        self.run(&all)
    }

    /// The folder of the latest run.
    #[track_caller]
    pub fn latest(&self) -> PathBuf {
        fs::canonicalize(self.path().join(".runplan/latest")).expect("there was a run")
    }

    /// The latest record, a JSON value a line.
    #[track_caller]
    pub fn record(&self) -> Vec<serde_json::Value> {
        lines(&self.latest().join("record.jsonl"))
    }

    /// The latest journal, a JSON value a line.
    #[track_caller]
    pub fn journal(&self) -> Vec<serde_json::Value> {
        lines(&self.latest().join("journal.jsonl"))
    }

    /// State and cause code of a step in the latest record.
    #[track_caller]
    pub fn state(&self, step: &str) -> (String, String) {
        let record = self.record();
        let line = record.iter().find(|line| line["id"] == step).unwrap_or_else(|| panic!("no step `{step}`"));
        let text = |value: &serde_json::Value| value.as_str().unwrap_or("").to_owned();
        (text(&line["state"]), text(&line["cause"]["code"]))
    }
}

#[track_caller]
fn lines(path: &Path) -> Vec<serde_json::Value> {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.lines().map(|line| serde_json::from_str(line).expect("a JSON line")).collect()
}

/// Waits for a started program and takes what it wrote.
pub fn finish(mut child: Child) -> Ended {
    let mut err = child.stderr.take();
    let reader = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(err) = &mut err {
            err.read_to_end(&mut bytes).expect("stderr can be read");
        }
        bytes
    });
    let mut out = Vec::new();
    if let Some(stdout) = &mut child.stdout {
        stdout.read_to_end(&mut out).expect("stdout can be read");
    }
    let status = child.wait().expect("it ends");
    let signal = std::os::unix::process::ExitStatusExt::signal(&status);
    Ended {
        code: status.code().unwrap_or_else(|| 128 + signal.unwrap_or(0)),
        stdout: String::from_utf8_lossy(&out).into_owned(),
        stderr: String::from_utf8_lossy(&reader.join().expect("the reader ends")).into_owned(),
    }
}

impl Ended {
    /// Asserts the exit code; shows everything if it is another.
    #[track_caller]
    pub fn code(self, wanted: i32) -> Self {
        assert_eq!(self.code, wanted, "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    /// Asserts that stdout or stderr contains a text.
    #[track_caller]
    pub fn says(self, wanted: &str) -> Self {
        let there = self.stdout.contains(wanted) || self.stderr.contains(wanted);
        assert!(there, "`{wanted}` is not in\nstdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    /// Asserts that neither stream contains a text.
    #[track_caller]
    pub fn hides(self, unwanted: &str) -> Self {
        let there = self.stdout.contains(unwanted) || self.stderr.contains(unwanted);
        assert!(!there, "`{unwanted}` is in\nstdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    /// The record id that the closing block tells.
    #[track_caller]
    pub fn record_id(&self) -> String {
        let at = self.stdout.find("sha256:").unwrap_or_else(|| panic!("no record id:\n{}{}", self.stdout, self.stderr));
        self.stdout[at + 7..at + 71].to_owned()
    }
}

/// Tells what a test covered, or why it was left out: past the test runner, which shows only what failed.
pub fn say(text: &str) {
    let _ = std::io::stderr().lock().write_all(format!("{text}\n").as_bytes());
}

/// Copies a folder of the repository without what runs left in it.
pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a readable folder") {
        let entry = entry.expect("a readable folder");
        let name = entry.file_name();
        let folders = [".runplan", ".canary", ".release", "deploys", "out", "htmlcov", "__pycache__", ".pytest_cache"];
        let files = [".coverage", ".env.staging", "bandit.sarif", "allowed_signers"];
        if folders.iter().chain(&files).any(|l| name == *l)
            || name.to_string_lossy().starts_with("coverage.") && name != "coverage.rs"
        {
            continue;
        }
        let kind = entry.file_type().expect("a file type");
        if kind.is_dir() && name == ".venv" {
            continue;
        } else if kind.is_dir() {
            copy(&entry.path(), &to.join(&name));
        } else if kind.is_file() {
            fs::copy(entry.path(), to.join(&name)).expect("a copied file");
        }
    }
}

/// Says that a test was left out, and which package it lacks; in continuous integration that is a failure.
#[track_caller]
pub fn skip(package: &str) {
    assert!(std::env::var_os("CI").is_none(), "{package} is missing");
    say(&format!("left out: {package} is missing"));
}

/// Copies a folder with all that is in it; a link stays one.
pub fn copy_all(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("it can be copied");
    for entry in fs::read_dir(from).expect("it can be copied") {
        let path = entry.expect("it can be copied").path();
        let target = to.join(path.file_name().expect("it can be copied"));
        if path.is_symlink() {
            let to = fs::read_link(&path).expect("a link");
            std::os::unix::fs::symlink(to, &target).expect("a link can be made");
        } else if path.is_dir() {
            copy_all(&path, &target);
        } else {
            fs::copy(&path, &target).expect("it can be copied");
        }
    }
}

/// Every file below a folder; follows no link.
pub fn files_of(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("a readable folder") {
        let entry = entry.expect("a readable folder");
        let kind = entry.file_type().expect("a file type");
        if kind.is_dir() {
            files.extend(files_of(&entry.path()));
        } else if kind.is_file() {
            files.push(entry.path());
        }
    }
    files.sort();
    files
}
