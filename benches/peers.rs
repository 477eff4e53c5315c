//! The same graph of steps through runplan and every other runner found on the PATH, in turns, beside the least that
//! starting so many processes can cost. `cargo bench --bench peers`.
//!
//! Options: `--steps 1000`, `--jobs 2`, `--rounds 5`, `--shape layered|wide|chain`. The floor is a loop that starts the
//! same program as often, as many at a time, and does nothing else. What counts are the ratios to the floor of the same
//! round; CPU time first.

mod shared;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use shared::{Used, joined, layered, measure, median, plan};

/// A program that runs such graphs: its file, and how it is asked.
struct Runner {
    name: &'static str,
    file: &'static str,
    text: fn(&[Vec<usize>], &str) -> String,
    args: fn(&str) -> Vec<String>,
}

fn words(line: &str) -> Vec<String> {
    line.split(' ').map(str::to_owned).collect()
}

/// Steps that no other waits for.
fn last(needs: &[Vec<usize>]) -> Vec<usize> {
    let mut is_last = vec![true; needs.len()];
    needs.iter().flatten().for_each(|need| is_last[*need] = false);
    (0..needs.len()).filter(|at| is_last[*at]).collect()
}

fn target(at: usize) -> String {
    format!("s{at}")
}

fn makefile(needs: &[Vec<usize>], program: &str) -> String {
    let all: Vec<usize> = (0..needs.len()).collect();
    let ends = joined(&last(needs), " ", target);
    let mut text = format!(".SUFFIXES:\nall: {ends}\n.PHONY: all {}\n", joined(&all, " ", target));
    for (at, needs) in needs.iter().enumerate() {
        let _ = write!(text, "s{at}: {}\n\t@{program}\n", joined(needs, " ", target));
    }
    text
}

fn build_ninja(needs: &[Vec<usize>], program: &str) -> String {
    let mut text = format!("rule step\n  command = {program}\n");
    for (at, needs) in needs.iter().enumerate() {
        let _ = writeln!(text, "build s{at}: step {}", joined(needs, " ", target));
    }
    let _ = write!(text, "build all: phony {}\ndefault all\n", joined(&last(needs), " ", target));
    text
}

fn justfile(needs: &[Vec<usize>], program: &str) -> String {
    let mut text = format!("[parallel]\nall: {}\n", joined(&last(needs), " ", target));
    for (at, needs) in needs.iter().enumerate() {
        let _ = write!(text, "[parallel]\ns{at}: {}\n    @{program}\n", joined(needs, " ", target));
    }
    text
}

fn taskfile(needs: &[Vec<usize>], program: &str) -> String {
    let ends = joined(&last(needs), ", ", target);
    let mut text = format!("version: '3'\nsilent: true\nrun: once\ntasks:\n  all:\n    deps: [{ends}]\n");
    for (at, needs) in needs.iter().enumerate() {
        let _ = write!(text, "  s{at}:\n    deps: [{}]\n    cmds: ['{program}']\n", joined(needs, ", ", target));
    }
    text
}

const RUNNERS: [Runner; 5] = [
    Runner {
        name: "runplan",
        file: "blueprint.toml",
        text: plan,
        args: |jobs| words(&format!("blueprint.toml -j {jobs}")),
    },
    Runner { name: "make", file: "Makefile", text: makefile, args: |jobs| words(&format!("-r -s -j{jobs}")) },
    Runner { name: "ninja", file: "build.ninja", text: build_ninja, args: |jobs| words(&format!("-j {jobs}")) },
    Runner { name: "just", file: "justfile", text: justfile, args: |jobs| words(&format!("--jobs {jobs} all")) },
    Runner { name: "task", file: "Taskfile.yml", text: taskfile, args: |jobs| words(&format!("-C {jobs} all")) },
];

/// What a runner leaves behind that would make its next run another one.
const TRACES: [&str; 4] = [".runplan", ".ninja_log", ".ninja_deps", ".task"];

fn reset(folder: &Path) -> io::Result<()> {
    for trace in TRACES.map(|name| folder.join(name)) {
        match trace.is_dir() {
            true => std::fs::remove_dir_all(&trace)?,
            false if trace.exists() => std::fs::remove_file(&trace)?,
            false => {}
        }
    }
    Ok(())
}

fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}

fn program_of(name: &str) -> Option<PathBuf> {
    if name == "runplan" { Some(PathBuf::from(env!("CARGO_BIN_EXE_runplan"))) } else { on_path(name) }
}

/// The floor itself: starts a program `steps` times, `jobs` at a time.
fn floor(steps: usize, jobs: usize, program: &str) -> io::Result<()> {
    let wait = || rustix::process::wait(rustix::process::WaitOptions::empty()).map(drop);
    for started in 0..steps {
        if started >= jobs {
            wait()?;
        }
        // Whoever ends is waited for above, not each by its handle.
        drop(Command::new(program).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?);
    }
    for _ in 0..steps.min(jobs) {
        wait()?;
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]
fn compare(steps: usize, jobs: usize, rounds: usize, shape: &str) -> io::Result<()> {
    let program = on_path("true").ok_or_else(|| io::Error::other("no `true` on the PATH"))?.display().to_string();
    let needs = match shape {
        "layered" => layered(steps),
        "wide" => vec![Vec::new(); steps],
        "chain" => (0..steps).map(|at| at.checked_sub(1).into_iter().collect()).collect(),
        other => return Err(io::Error::other(format!("`{other}` is no shape: layered, wide, chain"))),
    };
    let scratch = tempfile::tempdir()?;
    let mut here = Vec::new();
    for runner in &RUNNERS {
        let Some(found) = program_of(runner.name) else { continue };
        let folder = scratch.path().join(runner.name);
        std::fs::create_dir(&folder)?;
        std::fs::write(folder.join(runner.file), (runner.text)(&needs, &program))?;
        here.push((runner, found, folder));
    }
    let mut ratios: BTreeMap<&str, Vec<[f64; 2]>> = BTreeMap::new();
    let mut used: BTreeMap<&str, Vec<Used>> = BTreeMap::new();
    // The first round only warms up.
    for round in 0..=rounds {
        let mut own = Command::new(std::env::current_exe()?);
        own.args(["floor", &steps.to_string(), &jobs.to_string(), &program]);
        let least = measure(&mut own, scratch.path(), Some(&|| Ok(())))?;
        if round > 0 {
            used.entry("floor").or_default().push(least);
        }
        for (runner, found, folder) in &here {
            let mut command = Command::new(found);
            command.args((runner.args)(&jobs.to_string()));
            let took = measure(&mut command, folder, Some(&|| reset(folder)))?;
            if round > 0 {
                ratios.entry(runner.name).or_default().push([took.cpu / least.cpu, took.wall / least.wall]);
                used.entry(runner.name).or_default().push(took);
            }
        }
    }
    println!("{steps} steps of `{program}`, {shape}, {jobs} at a time, {rounds} rounds\n");
    println!("| runner | CPU, times the floor | wall, times the floor | ms a step | peak MiB |\n|---|---|---|---|---|");
    for name in std::iter::once("floor").chain(here.iter().map(|(runner, ..)| runner.name)) {
        let of = |at: usize| {
            ratios.get(name).map_or(1.0, |all| median(&all.iter().map(|pair| pair[at]).collect::<Vec<_>>()))
        };
        let all = &used[name];
        let wall = median(&all.iter().map(|used| used.wall * 1e3 / steps as f64).collect::<Vec<_>>());
        let peak = median(&all.iter().map(|used| used.peak as f64 / 1024.0).collect::<Vec<_>>());
        println!("| {name} | {:.2} | {:.2} | {wall:.3} | {peak:.1} |", of(0), of(1));
    }
    Ok(())
}

#[expect(clippy::print_stderr, reason = "a benchmark says what went wrong")]
fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().collect();
    let after = |name: &str| args.iter().position(|arg| arg == name).and_then(|at| args.get(at + 1));
    let number = |name: &str, usual: usize| after(name).and_then(|word| word.parse().ok()).unwrap_or(usual);
    let done = match args.get(1..).unwrap_or_default() {
        [word, steps, jobs, program] if word == "floor" => {
            floor(steps.parse().unwrap_or(0), jobs.parse().unwrap_or(1), program)
        }
        _ => {
            let shape = after("--shape").map_or("layered", String::as_str);
            compare(number("--steps", 1_000), number("--jobs", 2).max(1), number("--rounds", 5), shape)
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
