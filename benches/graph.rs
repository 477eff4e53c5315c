//! How long `runplan graph` takes to lay out 300 and 2,000 steps, and what else that is as long as: the check of the same
//! plan, and Graphviz on the same graph. `cargo bench --bench graph`.
//!
//! Times are medians; CPU time is user and system time. What counts are the ratios.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

const RUNPLAN: &str = env!("CARGO_BIN_EXE_runplan");

/// Steps that each wait for up to two of the forty before, every tenth for one far back.
fn plan(steps: usize) -> String {
    let mut state: u64 = 7;
    let mut below = |bound: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap_or(0) % bound.max(1)
    };
    let mut text = String::from("format = 1\n");
    for at in 0..steps {
        let mut needs: Vec<usize> = Vec::new();
        for _ in 0..below(3) {
            needs.extend((at > 0).then(|| at - 1 - below(at.min(40))));
        }
        needs.extend((at % 10 == 9).then(|| below(at)));
        needs.sort_unstable();
        needs.dedup();
        let needs: Vec<String> = needs.iter().map(|need| format!("\"step-{need}\"")).collect();
        let _ = write!(text, "[steps.step-{at}]\nrun = ['true']\nneeds = [{}]\n", needs.join(", "));
    }
    text
}

fn children_time() -> Duration {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after = text.rsplit(')').next().unwrap_or_default();
    let ticks: u64 = after.split_whitespace().skip(13).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}

/// Median time and mean CPU time of a command, in milliseconds.
fn measured(folder: &Path, program: &str, line: &str, times: usize) -> std::io::Result<(f64, f64)> {
    let (mut walls, before) = (Vec::new(), children_time());
    for _ in 0..times {
        let began = Instant::now();
        let mut command = Command::new(program);
        command.args(line.split(' ')).current_dir(folder).stdout(Stdio::null()).stderr(Stdio::null());
        if !command.status()?.success() {
            return Err(std::io::Error::other(format!("{program} {line} failed")));
        }
        walls.push(began.elapsed().as_secs_f64() * 1000.0);
    }
    walls.sort_by(f64::total_cmp);
    let used = children_time().saturating_sub(before).as_secs_f64() * 1000.0 / times as f64;
    Ok((walls.get(times / 2).copied().unwrap_or(f64::NAN), used))
}

#[expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]
fn compare() -> std::io::Result<()> {
    let folder = tempfile::tempdir()?;
    println!("| steps | command | ms | CPU ms | times the check |\n|---|---|---|---|---|");
    for steps in [300, 2000] {
        std::fs::write(folder.path().join("plan.toml"), plan(steps))?;
        let (_, floor) = measured(folder.path(), RUNPLAN, "check plan.toml", 20)?;
        let row = |name: &str, (wall, cpu): (f64, f64)| {
            println!("| {steps} | {name} | {wall:.0} | {cpu:.0} | {:.1} |", cpu / floor.max(0.5));
        };
        row("`runplan check`", measured(folder.path(), RUNPLAN, "check plan.toml", 20)?);
        for form in ["svg", "dot", "text", "json"] {
            let line = format!("graph plan.toml --group-by none --format {form} -o out.{form}");
            row(&format!("`runplan graph --format {form}`"), measured(folder.path(), RUNPLAN, &line, 9)?);
        }
        match measured(folder.path(), "dot", "-Tsvg out.dot -o dot.svg", 1) {
            Ok(times) => row("`dot -Tsvg` of the same graph", times),
            Err(error) => println!("| {steps} | `dot -Tsvg`: {error} | | | |"),
        }
    }
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
