//! How long `runplan history` takes over 1,000 runs, and what else that is as long as. `cargo bench --bench history`.
//!
//! Times are medians; CPU time is user and system time of many starts in a row. They are held against the start of the
//! program itself (`--version`) and against reading the same files with `cat` and `sha256sum`.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

const RUNPLAN: &str = env!("CARGO_BIN_EXE_runplan");
const RUNS: usize = 1_000;
const STEPS: usize = 30;

fn plan() -> String {
    let mut text = String::from("format = 1\n[plan]\nname = 'bench'\n");
    for n in 0..STEPS {
        text.push_str(&format!(
            "[steps.step-{n:02}]\nrun = ['printf', '{{\"n\": {n}}}']\nparse = 'json'\n\
             pass = ['exit == 0', 'json.\"$.n\" <= 100', 'duration < 60s', 'stderr == \"\"']\n"
        ));
    }
    text
}

fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let path = entry?.path();
        let target = to.join(path.file_name().unwrap_or_default());
        if path.is_dir() {
            copy(&path, &target)?;
        } else {
            std::fs::copy(&path, &target)?;
        }
    }
    Ok(())
}

/// A workspace with one run, and 999 copies of it.
fn workspace() -> std::io::Result<tempfile::TempDir> {
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("blueprint.toml"), plan())?;
    let ran = Command::new(RUNPLAN).arg("blueprint.toml").current_dir(folder.path()).output()?;
    if !ran.status.success() {
        return Err(std::io::Error::other(String::from_utf8_lossy(&ran.stderr).into_owned()));
    }
    let store = folder.path().join(".runplan");
    let run = std::fs::canonicalize(store.join("latest"))?;
    for n in 1..RUNS {
        copy(&run, &store.join(format!("runs/20260101T{:02}{:02}{:02}Z-aaaaaa", n / 3600, n / 60 % 60, n % 60)))?;
    }
    Ok(folder)
}

fn children_time() -> Duration {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after = text.rsplit(')').next().unwrap_or_default();
    let ticks: u64 = after.split_whitespace().skip(13).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}

/// Median time and mean CPU time of a command, in milliseconds.
fn measured(folder: &Path, program: &str, args: &[String], times: usize) -> std::io::Result<(f64, f64)> {
    let (mut walls, before) = (Vec::new(), children_time());
    for _ in 0..times {
        let began = Instant::now();
        let status = Command::new(program).args(args).current_dir(folder).stdout(Stdio::null()).status()?;
        walls.push(began.elapsed().as_secs_f64() * 1000.0);
        if !status.success() {
            return Err(std::io::Error::other(format!("{program} {args:?} failed")));
        }
    }
    walls.sort_by(f64::total_cmp);
    let used = children_time().saturating_sub(before).as_secs_f64() * 1000.0 / times as f64;
    Ok((walls.get(times / 2).copied().unwrap_or(f64::NAN), used))
}

#[expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]
fn compare() -> std::io::Result<()> {
    let folder = workspace()?;
    let store = folder.path().join(".runplan");
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let cold = {
        for cache in ["index.jsonl", "history.jsonl"] {
            std::fs::remove_file(store.join(cache))?;
        }
        measured(folder.path(), RUNPLAN, &words("history"), 1)?
    };
    let (floor, _) = measured(folder.path(), RUNPLAN, &words("--version"), 50)?;
    let journals: Vec<String> = std::fs::read_dir(store.join("runs"))?
        .map(|run| Ok(run?.path().join("journal.jsonl").display().to_string()))
        .collect::<std::io::Result<_>>()?;
    let bytes =
        |paths: &[PathBuf]| paths.iter().filter_map(|path| std::fs::metadata(path).ok()).map(|m| m.len()).sum::<u64>();
    let all: Vec<PathBuf> = journals.iter().map(PathBuf::from).collect();
    let caches = [store.join("index.jsonl"), store.join("history.jsonl")];
    println!(
        "{RUNS} runs of {STEPS} steps; journals {} KiB, caches {} KiB\n",
        bytes(&all) / 1024,
        bytes(&caches) / 1024
    );
    println!("| command | ms | CPU ms | times the start of the program |\n|---|---|---|---|");
    let row = |name: &str, (wall, cpu): (f64, f64)| println!("| {name} | {wall:.1} | {cpu:.1} | {:.1} |", wall / floor);
    row("`runplan --version`", measured(folder.path(), RUNPLAN, &words("--version"), 50)?);
    for line in [
        "history",
        "history --last 1000",
        "history --last 1000 --format json",
        "history --last 1000 --step step-07",
        "history --last 1000 --step step-07 --criterion json.",
        "history --criterion json.",
    ] {
        row(&format!("`runplan {line}`"), measured(folder.path(), RUNPLAN, &words(line), 21)?);
    }
    row("`runplan history`, caches lost", cold);
    let paths: Vec<String> = caches.iter().map(|path| path.display().to_string()).collect();
    row("`cat` of both caches", measured(folder.path(), "cat", &paths, 21)?);
    row("`cat` of all journals", measured(folder.path(), "cat", &journals, 21)?);
    row("`sha256sum` of all journals", measured(folder.path(), "sha256sum", &journals, 5)?);
    Ok(())
}

#[expect(clippy::print_stderr, reason = "a benchmark says what went wrong")]
fn main() -> ExitCode {
    match compare() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
