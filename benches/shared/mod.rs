//! What `peers` and `curves` share: graphs of steps, the plan of one, and a child that is measured. No part of the program.

use std::fmt::Write as _;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Layers of about √n steps; each step waits for one to three of the three layers before.
pub(crate) fn layered(steps: usize) -> Vec<Vec<usize>> {
    let mut state: u64 = 11;
    let mut below = |bound: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap_or(0) % bound.max(1)
    };
    let width = steps.isqrt().max(2);
    let needs = (0..steps).map(|at| {
        let (from, to) = ((at / width).saturating_sub(3) * width, at / width * width);
        let mut needs: Vec<usize> =
            if to == 0 { Vec::new() } else { (0..=below(3)).map(|_| from + below(to - from)).collect() };
        needs.sort_unstable();
        needs.dedup();
        needs
    });
    needs.collect()
}

/// `s1 s2 …` by `each`, with `between` in between.
pub(crate) fn joined(steps: &[usize], between: &str, each: impl Fn(usize) -> String) -> String {
    steps.iter().map(|at| each(*at)).collect::<Vec<_>>().join(between)
}

/// The plan of a graph whose steps all run one program.
pub(crate) fn plan(needs: &[Vec<usize>], program: &str) -> String {
    let mut text = String::from("format = 1\n[plan]\nname = 'bench'\n");
    for (at, needs) in needs.iter().enumerate() {
        let needs = joined(needs, ", ", |need| format!("'s{need}'"));
        let _ = write!(text, "[steps.s{at}]\nrun = ['{program}']\nneeds = [{needs}]\n");
    }
    text
}

/// What a child took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Used {
    /// Seconds.
    pub(crate) wall: f64,
    /// Seconds of user and system time, with all its children.
    pub(crate) cpu: f64,
    /// The most memory that the program itself had at once, in KiB; seen from outside every other millisecond.
    pub(crate) peak: u64,
}

/// User and system time of all children that have ended.
fn children_time() -> Duration {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after = text.rsplit(')').next().unwrap_or_default();
    let ticks: u64 = after.split_whitespace().skip(13).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}

/// The most memory a process has had so far, in KiB.
fn peak_of(process: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|kib| kib.parse().ok()).unwrap_or(0)
}

/// What has to be done before a command is repeated.
pub(crate) type Reset<'a> = &'a dyn Fn() -> io::Result<()>;

/// Runs a command as often as it takes to see its CPU time, which the system tells in hundredths of a second; once where
/// it can't be repeated.
pub(crate) fn measure(command: &mut Command, folder: &Path, reset: Option<Reset<'_>>) -> io::Result<Used> {
    const ENOUGH: Duration = Duration::from_millis(500);
    let (mut times, mut wall, mut most) = (0_u32, 0.0, 0);
    let (before, began) = (children_time(), Instant::now());
    while times == 0 || (reset.is_some() && began.elapsed() < ENOUGH && times < 50) {
        reset.map_or(Ok(()), |reset| reset())?;
        let start = Instant::now();
        let mut child =
            command.current_dir(folder).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let (over, process) = (AtomicBool::new(false), child.id());
        let (ended, seen) = std::thread::scope(|scope| {
            let look = scope.spawn(|| {
                let mut most = 0;
                while !over.load(Ordering::Relaxed) {
                    most = peak_of(process).max(most);
                    std::thread::sleep(Duration::from_millis(2));
                }
                most
            });
            let ended = child.wait();
            let took = start.elapsed().as_secs_f64();
            over.store(true, Ordering::Relaxed);
            ((ended, took), look.join().unwrap_or(0))
        });
        let (ended, took) = ended;
        wall += took;
        most = most.max(seen);
        times += 1;
        let ended = ended?;
        if !ended.success() {
            return Err(io::Error::other(format!("{command:?}: {ended}")));
        }
    }
    let cpu = children_time().saturating_sub(before).as_secs_f64();
    Ok(Used { wall: wall / f64::from(times), cpu: cpu / f64::from(times), peak: most })
}

/// The one in the middle.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
