//! What the commands cost as a plan grows: CPU time and memory at 1,000, 10,000 and 100,000 steps, as a table and as a
//! drawing. `cargo bench --bench curves -- --sizes 1000,10000,100000 --svg benches/curves.svg`.
//!
//! Steps are layered and run `true`. A run is resumed that was interrupted when half of its journal was written; the
//! graph is written as DOT, without a layout.

mod shared;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use shared::{Used, layered, measure, median, plan};

const RUNPLAN: &str = env!("CARGO_BIN_EXE_runplan");
/// What is measured, and the words for it.
const ASKED: [(&str, &str); 6] = [
    ("check", "check blueprint.toml"),
    ("dry run", "-n blueprint.toml"),
    ("graph", "graph blueprint.toml --group-by none --format dot -o out.dot"),
    ("run", "blueprint.toml -j 2"),
    ("verify", "verify latest"),
    ("resume", "resume latest"),
];

fn asked(line: &str) -> Command {
    let mut command = Command::new(RUNPLAN);
    command.args(line.split(' '));
    command
}

fn forget(folder: &Path) -> io::Result<()> {
    match std::fs::remove_dir_all(folder.join(".runplan")) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The journal of the one run there is.
fn journal(folder: &Path) -> Option<u64> {
    let run = std::fs::read_dir(folder.join(".runplan/runs")).ok()?.next()?.ok()?;
    Some(std::fs::metadata(run.path().join("journal.jsonl")).ok()?.len())
}

/// A run that was interrupted when its journal had `half` bytes.
fn interrupted(folder: &Path, half: u64) -> io::Result<()> {
    forget(folder)?;
    let mut command = asked("blueprint.toml -j 2");
    command.current_dir(folder).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn()?;
    let began = Instant::now();
    while journal(folder).is_none_or(|bytes| bytes < half) {
        if child.try_wait()?.is_some() || began.elapsed() > Duration::from_secs(3600) {
            return Err(io::Error::other("the run could not be interrupted"));
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::INT)?;
    child.wait().map(drop)
}

/// What a command takes, by medians.
struct Cost {
    /// Seconds.
    cpu: f64,
    /// MiB.
    peak: f64,
    /// Seconds.
    wall: f64,
}

/// What each command takes for a plan of so many steps.
fn of_size(steps: usize, rounds: usize) -> io::Result<BTreeMap<&'static str, Cost>> {
    let scratch = tempfile::tempdir()?;
    let folder = scratch.path();
    std::fs::write(folder.join("blueprint.toml"), plan(&layered(steps), "true"))?;
    let mut used: BTreeMap<&str, Vec<Used>> = BTreeMap::new();
    for _ in 0..rounds {
        for (name, line) in ASKED {
            let took = match name {
                "run" => measure(&mut asked(line), folder, Some(&|| forget(folder)))?,
                "resume" => {
                    interrupted(folder, journal(folder).unwrap_or(0) / 2)?;
                    measure(&mut asked(line), folder, None)?
                }
                _ => measure(&mut asked(line), folder, Some(&|| Ok(())))?,
            };
            used.entry(name).or_default().push(took);
        }
    }
    let of = |all: &[Used], what: fn(&Used) -> f64| median(&all.iter().map(what).collect::<Vec<_>>());
    let middle = |all: &Vec<Used>| Cost {
        cpu: of(all, |used| used.cpu),
        peak: of(all, |used| used.peak as f64 / 1024.0),
        wall: of(all, |used| used.wall),
    };
    Ok(used.iter().map(|(name, all)| (*name, middle(all))).collect())
}

type Measured = Vec<(usize, BTreeMap<&'static str, Cost>)>;

/// How fast it grows between the last two sizes: 1 is linear.
fn growth(measured: &Measured, of: impl Fn(usize) -> f64) -> String {
    let [.., (a, _), (b, _)] = measured.as_slice() else { return "–".to_owned() };
    let last = measured.len() - 1;
    format!("{:.2}", (of(last) / of(last - 1)).ln() / (*b as f64 / *a as f64).ln())
}

#[expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]
fn table(measured: &Measured) {
    let sizes = |unit: &str| measured.iter().map(|(size, _)| format!(" {unit}, {size} |")).collect::<String>();
    let largest = measured.last().map_or(0, |(size, _)| *size);
    println!("| command |{} grows by |{} grows by | wall s, {largest} |", sizes("CPU s"), sizes("peak MiB"));
    println!("|---|{}", "---|".repeat(2 * measured.len() + 3));
    for (name, _) in ASKED {
        let cpu = measured.iter().map(|(_, all)| format!(" {:.3} |", all[name].cpu)).collect::<String>();
        let peak = measured.iter().map(|(_, all)| format!(" {:.1} |", all[name].peak)).collect::<String>();
        let by_cpu = growth(measured, |at| measured[at].1[name].cpu);
        let by_peak = growth(measured, |at| measured[at].1[name].peak);
        let wall = measured.last().map_or(f64::NAN, |(_, all)| all[name].wall);
        println!("| {name} |{cpu} n^{by_cpu} |{peak} n^{by_peak} | {wall:.2} |");
    }
}

/// Inside of a drawing, in pixels.
const WIDTH: f64 = 230.0;
const HEIGHT: f64 = 210.0;
const TOP: f64 = 36.0;
/// The least distance of two names.
const APART: f64 = 13.0;

const STYLE: &str = "<style>\
    .bg{fill:#fff}.t{fill:#1f2328}.d{fill:#59636e}.g{stroke:#d1d9e0}.n{stroke:#818b98}\
    .l0{stroke:#0072b2}.l1{stroke:#b35900}.l2{stroke:#00795c}.l3{stroke:#a8327f}.l4{stroke:#7a6a00}.l5{stroke:#5b4fc4}\
    @media(prefers-color-scheme:dark){.bg{fill:#0d1117}.t{fill:#f0f6fc}.d{fill:#9198a1}.g{stroke:#3d444d}.n{stroke:#9198a1}\
    .l0{stroke:#56b4e9}.l1{stroke:#f0a33a}.l2{stroke:#2fc79b}.l3{stroke:#e58fc6}.l4{stroke:#e3d04a}.l5{stroke:#a79cf5}}\
    text{font:11px system-ui,sans-serif}.h{font-weight:600}polyline,line{fill:none}polyline{stroke-width:1.8}</style>";

/// A scale of powers of ten.
struct Scale {
    low: f64,
    high: f64,
}

impl Scale {
    fn of(values: impl Iterator<Item = f64>) -> Self {
        let (low, high) = values.fold((f64::MAX, f64::MIN), |(low, high), value| (low.min(value), high.max(value)));
        Self { low: low.max(1e-4).log10().floor(), high: high.max(1e-3).log10().ceil() }
    }

    /// From 0 to 1.
    fn at(&self, value: f64) -> f64 {
        (value.max(1e-4).log10() - self.low) / (self.high - self.low).max(1.0)
    }

    fn powers(&self) -> impl Iterator<Item = f64> {
        let (low, count) = (self.low, (self.high - self.low).max(1.0));
        (0..=16).map(f64::from).filter(move |step| *step <= count).map(move |step| 10_f64.powf(low + step))
    }
}

fn number(value: f64) -> String {
    match value {
        v if v >= 1_000_000.0 => format!("{}M", v / 1e6),
        v if v >= 1_000.0 => format!("{}k", v / 1e3),
        v => format!("{v}"),
    }
}

/// One drawing: sizes to the right, values up, both by powers of ten; dotted what grows as the plan does.
fn panel(out: &mut String, left: f64, title: &str, measured: &Measured, of: impl Fn(&Cost) -> f64) {
    let sizes = Scale::of(measured.iter().map(|(size, _)| *size as f64));
    let values = Scale::of(measured.iter().flat_map(|(_, all)| all.values()).map(&of));
    let base = TOP + HEIGHT;
    let (x, y) = (|size: f64| left + WIDTH * sizes.at(size), |value: f64| base - HEIGHT * values.at(value));
    let _ = write!(out, "<text class='t h' x='{left}' y='{}'>{title}</text>", TOP - 14.0);
    for power in sizes.powers() {
        let at = x(power);
        let _ = write!(out, "<line class='g' x1='{at:.1}' y1='{TOP}' x2='{at:.1}' y2='{base}'/>");
        let _ = write!(
            out,
            "<text class='d' text-anchor='middle' x='{at:.1}' y='{}'>{}</text>",
            base + 15.0,
            number(power)
        );
    }
    for power in values.powers() {
        let (at, right) = (y(power), left + WIDTH);
        let _ = write!(out, "<line class='g' x1='{left}' y1='{at:.1}' x2='{right}' y2='{at:.1}'/>");
        let _ = write!(
            out,
            "<text class='d' text-anchor='end' x='{}' y='{:.1}'>{}</text>",
            left - 5.0,
            at + 4.0,
            number(power)
        );
    }
    let (first, last) = (10_f64.powf(sizes.low), 10_f64.powf(sizes.high));
    let middle = values.low + ((values.high - values.low) - (sizes.high - sizes.low)).max(0.0) / 2.0;
    let steep = (10_f64.powf(middle), 10_f64.powf((middle + sizes.high - sizes.low).min(values.high)));
    let cut = first * steep.1 / steep.0;
    let _ = write!(
        out,
        "<line class='n' stroke-dasharray='2 4' x1='{:.1}' y1='{:.1}' x2='{:.1}' y2='{:.1}'/>",
        x(first),
        y(steep.0),
        x(cut.min(last)),
        y(steep.1)
    );
    let mut names: Vec<(f64, usize)> = Vec::new();
    for (class, (name, _)) in ASKED.iter().enumerate() {
        let points = measured.iter().map(|(size, all)| (x(*size as f64), y(of(&all[name]))));
        let points: Vec<String> = points.map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let _ = write!(out, "<polyline class='l{class}' points='{}'/>", points.join(" "));
        names.extend(measured.last().map(|(_, all)| (y(of(&all[name])), class)));
    }
    names.sort_by(|a, b| a.0.total_cmp(&b.0));
    let end = measured.last().map_or(left, |(size, _)| x(*size as f64));
    let mut free = f64::MIN;
    for (at, class) in names {
        let stands = at.max(free);
        free = stands + APART;
        let _ = write!(
            out,
            "<line class='l{class}' x1='{:.1}' y1='{at:.1}' x2='{:.1}' y2='{stands:.1}'/>\
             <text class='t' x='{:.1}' y='{:.1}'>{}</text>",
            end + 2.0,
            end + 11.0,
            end + 14.0,
            stands + 4.0,
            ASKED[class].0
        );
    }
}

fn drawing(measured: &Measured) -> String {
    let sizes: Vec<String> = measured.iter().map(|(size, _)| number(*size as f64)).collect();
    let mut out = format!(
        "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 680 282' role='img' aria-labelledby='t'>\
         <title id='t'>CPU time and memory of the commands for plans of {} steps, both by powers of ten</title>{STYLE}\
         <rect class='bg' width='680' height='282'/>",
        sizes.join(", ")
    );
    panel(&mut out, 42.0, "CPU seconds by steps", measured, |cost| cost.cpu);
    panel(&mut out, 382.0, "peak MiB by steps", measured, |cost| cost.peak);
    out + "<text class='d' x='42' y='277'>dotted: linear</text></svg>\n"
}

fn all(sizes: &[usize], rounds: usize, svg: Option<&str>) -> io::Result<()> {
    let measured: Measured =
        sizes.iter().map(|size| Ok((*size, of_size(*size, rounds)?))).collect::<io::Result<_>>()?;
    table(&measured);
    svg.map_or(Ok(()), |path| std::fs::write(path, drawing(&measured)))
}

#[expect(clippy::print_stderr, reason = "a benchmark says what went wrong")]
fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().collect();
    let after =
        |name: &str| args.iter().position(|arg| arg == name).and_then(|at| args.get(at + 1)).map(String::as_str);
    let sizes: Vec<usize> =
        after("--sizes").unwrap_or("1000,10000").split(',').filter_map(|size| size.parse().ok()).collect();
    let rounds = after("--rounds").and_then(|word| word.parse().ok()).unwrap_or(3_usize).max(1);
    match all(&sizes, rounds, after("--svg")) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
