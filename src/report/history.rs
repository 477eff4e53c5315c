//! `runplan history` as text: past runs, flaky steps, the trend of a criterion. Pure: from plain data that the app
//! fills in.

use crate::outcome::State;

use super::style::{Line, Look, Role, page};
use super::{escape, format};

/// Values of a trend drawn at most, the latest ones.
const POINTS: usize = 60;
/// Different words of a trend told.
const WORDS: usize = 5;
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// A past run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Run {
    /// Run id.
    pub id: String,
    /// When it began (`2026-01-01T00:00:00Z`).
    pub at: String,
    /// Name of its plan.
    pub plan: String,
    /// `GO`, `HOLD → GO`, `interrupted`, `running`.
    pub end: String,
    /// Its risk, if it came to one.
    pub risk: Option<u32>,
    /// Nanoseconds it took.
    pub took_ns: u64,
    /// Record id, if it has a record.
    pub record: Option<String>,
    /// How the one step asked for ended.
    pub step: Option<String>,
}

/// A step that did not always come to the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flaky {
    /// Name of the plan.
    pub plan: String,
    /// The step.
    pub step: String,
    /// Runs in which it ran.
    pub runs: usize,
    /// Times it came out otherwise than before, by the same action.
    pub changes: usize,
    /// Times it passed only by a retry.
    pub retried: usize,
    /// How it ended, oldest first.
    pub states: Vec<State>,
}

/// What a criterion saw in one run.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// Run id.
    pub run: String,
    /// How it came out.
    pub state: State,
    /// What was, as it was told.
    pub actual: String,
    /// That as a number in the base unit, if it is one.
    pub value: Option<f64>,
}

/// A criterion over runs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trend {
    /// Name of the plan.
    pub plan: String,
    /// The step.
    pub step: String,
    /// The criterion, as written.
    pub criterion: String,
    /// Oldest first.
    pub points: Vec<Point>,
}

/// Everything.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    /// Newest first.
    pub runs: Vec<Run>,
    /// Runs that fit, also those left out.
    pub all: usize,
    /// The step that `step` of runs is about.
    pub step: Option<String>,
    /// The flakiest first.
    pub flaky: Vec<Flaky>,
    /// One for each step and criterion that fits.
    pub trends: Vec<Trend>,
}

/// Letters for states, oldest first.
fn trail(states: &[State]) -> String {
    let letter = |state: &State| match state {
        State::Pass => 'P',
        State::Warn => 'W',
        State::Fail => 'F',
        State::Inconclusive => '?',
        State::Error => 'E',
        State::Pending => 'H',
        State::Skipped | State::NotRun => '-',
    };
    states.iter().skip(states.len().saturating_sub(POINTS)).map(letter).collect()
}

/// A number and its unit as criteria tell them (`31.4 % (157/500)`, `3.4 ms`), in the base unit (nanoseconds, bytes);
/// the second value tells units apart that do not compare. `None` if it is no number.
#[must_use]
pub fn number(text: &str) -> Option<(f64, &'static str)> {
    let text = text.split(" (").next()?.trim();
    let (number, unit) = text.split_once(' ').unwrap_or((text, ""));
    let number: f64 = number.parse().ok().filter(|number: &f64| number.is_finite())?;
    let (scale, base) = match unit {
        "" => (1.0, ""),
        "%" => (1.0, "%"),
        "ns" => (1.0, "ns"),
        "us" => (1e3, "ns"),
        "ms" => (1e6, "ns"),
        "s" => (1e9, "ns"),
        "min" => (60e9, "ns"),
        "h" => (3600e9, "ns"),
        "d" => (86_400e9, "ns"),
        "B" => (1.0, "B"),
        "KiB" => (1024.0, "B"),
        "MiB" => (1_048_576.0, "B"),
        "GiB" => (1_073_741_824.0, "B"),
        _ => return None,
    };
    Some((number * scale, base))
}

/// A bar for each number, the lowest at the bottom; a run without a number is a gap.
#[must_use]
pub fn sparkline(values: &[Option<f64>]) -> String {
    let known: Vec<f64> = values.iter().copied().flatten().collect();
    let low = known.iter().copied().fold(f64::INFINITY, f64::min);
    let high = known.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let bar = |value: &Option<f64>| {
        let Some(value) = value else { return ' ' };
        let steps = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0];
        let place = if high > low { (value - low) / (high - low) * 7.0 } else { 3.0 };
        let at = steps.iter().filter(|step| place + 0.5 >= **step).count();
        BARS.get(at).copied().unwrap_or('█')
    };
    values.iter().map(bar).collect()
}

/// The whole text.
#[must_use]
pub fn render(history: &History, look: Look) -> String {
    let mut lines = runs(history);
    if !history.flaky.is_empty() {
        lines.push(Line::new());
        lines.push(
            Line::of(Role::Strong, "flaky steps")
                .with(Role::Dim, "  (another end by the same action, or only by a retry)"),
        );
        history.flaky.iter().for_each(|flaky| lines.extend(flaky_lines(flaky)));
    }
    for trend in &history.trends {
        lines.push(Line::new());
        lines.extend(trend_lines(trend, look));
    }
    page(&lines, look)
}

fn runs(history: &History) -> Vec<Line> {
    if history.runs.is_empty() {
        return vec![Line::of(Role::Dim, "no run")];
    }
    let many_plans = history.runs.iter().any(|run| run.plan != history.runs.first().map_or("", |first| &first.plan));
    let mut rows = vec![["TIME", "RUN", "DECISION", "RISK", "TOOK", "RECORD"].map(str::to_owned).to_vec()];
    rows.extend(history.runs.iter().map(|run| {
        vec![
            run.at.replace('T', " ").trim_end_matches('Z').to_owned(),
            run.id.clone(),
            run.end.clone(),
            run.risk.map_or_else(|| "-".to_owned(), |risk| risk.to_string()),
            format::short(run.took_ns),
            run.record.as_ref().map_or_else(|| "-".to_owned(), |id| id.chars().take(12).collect()),
        ]
    }));
    let extra = |head: &str, cells: &mut dyn Iterator<Item = String>| -> Vec<String> {
        std::iter::once(head.to_owned()).chain(cells).collect()
    };
    let mut columns: Vec<Vec<String>> = Vec::new();
    if let Some(step) = &history.step {
        let cell = |run: &Run| run.step.clone().unwrap_or_else(|| "-".to_owned());
        columns.push(extra(&format!("STEP {step}"), &mut history.runs.iter().map(cell)));
    }
    if many_plans {
        columns.push(extra("PLAN", &mut history.runs.iter().map(|run| run.plan.clone())));
    }
    for column in columns {
        rows.iter_mut().zip(column).for_each(|(row, cell)| row.push(cell));
    }
    let widths: Vec<usize> = (0..rows.first().map_or(0, Vec::len))
        .map(|at| {
            rows.iter().filter_map(|row| row.get(at)).map(|cell| escape::width(&escape::line(cell))).max().unwrap_or(0)
        })
        .collect();
    let mut lines: Vec<Line> =
        rows.iter().enumerate().map(|(number, row)| table_row(row, &widths, number == 0)).collect();
    if history.all > history.runs.len() {
        let more = format!("the latest {} of {} runs; `--last N` shows more", history.runs.len(), history.all);
        lines.push(Line::of(Role::Dim, &more));
    }
    lines
}

fn table_row(row: &[String], widths: &[usize], is_head: bool) -> Line {
    let (mut line, mut end) = (Line::new(), 0);
    for (at, (cell, width)) in row.iter().zip(widths).enumerate() {
        let role = match (is_head, at, cell.as_str()) {
            (true, ..) => Role::Dim,
            (_, 2, text) if text.ends_with("NO-GO") => Role::Bad,
            (_, 2, text) if text.ends_with("GO") => Role::Good,
            (_, 2, _) => Role::Warn,
            _ => Role::Plain,
        };
        end += width + 2;
        line = line.with(role, cell).pad(end);
    }
    line
}

fn flaky_lines(flaky: &Flaky) -> Vec<Line> {
    let mut told = Vec::new();
    if flaky.changes > 0 {
        told.push(format!("came out otherwise {} by the same action", format::count(flaky.changes, "time")));
    }
    if flaky.retried > 0 {
        told.push(format!("passed {} only by a retry", format::count(flaky.retried, "time")));
    }
    let line = Line::new().plain("  ").with(Role::Warn, &flaky.step);
    let text = format!("  {} in {}  {}", told.join(", "), format::count(flaky.runs, "run"), trail(&flaky.states));
    vec![line.plain(&text)]
}

fn trend_lines(trend: &Trend, look: Look) -> Vec<Line> {
    let head = Line::of(Role::Strong, &trend.step).plain("  ").with(Role::Note, &trend.criterion);
    let mut lines = vec![head.with(Role::Dim, &format!("  {}", format::count(trend.points.len(), "run")))];
    let room = POINTS.min(look.width.saturating_sub(4).max(1));
    let latest = trend.points.get(trend.points.len().saturating_sub(room)..).unwrap_or_default();
    let numbers: Vec<&Point> = trend.points.iter().filter(|point| point.value.is_some()).collect();
    let by = |a: &&&Point, b: &&&Point| a.value.unwrap_or(0.0).total_cmp(&b.value.unwrap_or(0.0));
    if let (Some(low), Some(high), true) =
        (numbers.iter().min_by(by), numbers.iter().max_by(by), numbers.len() * 2 > trend.points.len())
    {
        let values: Vec<Option<f64>> = latest.iter().map(|point| point.value).collect();
        lines.push(Line::new().plain("  ").with(Role::Good, &sparkline(&values)));
        let last = trend.points.last().map_or("", |point| point.actual.as_str());
        let first = trend.points.first().map_or("", |point| point.actual.as_str());
        lines.push(
            Line::new().plain(&format!("  first {first}, last {last}, lowest {}, highest {}", low.actual, high.actual)),
        );
    } else {
        let mut words: Vec<(&str, usize)> = Vec::new();
        for point in &trend.points {
            match words.iter_mut().find(|(word, _)| *word == point.actual) {
                Some((_, times)) => *times += 1,
                None => words.push((&point.actual, 1)),
            }
        }
        words.sort_by_key(|(_, times)| std::cmp::Reverse(*times));
        let told: Vec<String> = words.iter().take(WORDS).map(|(word, times)| format!("{word} × {times}")).collect();
        let more = words.len().saturating_sub(WORDS);
        let more = if more > 0 { format!(", and {more} more") } else { String::new() };
        let rows = escape::wrap(&escape::line(&format!("{}{more}", told.join(", "))), look.width.saturating_sub(2));
        lines.extend(rows.iter().map(|row| Line::new().plain("  ").plain(row)));
    }
    let states: Vec<State> = latest.iter().map(|point| point.state).collect();
    lines.push(Line::new().plain("  ").with(Role::Dim, &trail(&states)));
    lines
}

#[cfg(test)]
mod tests {
    use super::super::sample::golden;
    use super::*;

    #[test]
    fn numbers_are_read_with_their_units() {
        let near = |text: &str, value: f64, unit: &str| {
            let (found, base) = number(text).unwrap_or_else(|| panic!("{text}"));
            assert!((found - value).abs() < 1e-6 * value.abs().max(1.0) && base == unit, "{text}: {found} {base}");
        };
        near("31.4 % (157/500)", 31.4, "%");
        near("3.4 ms", 3.4e6, "ns");
        near("2 min", 120e9, "ns");
        near("1.5 MiB", 1_572_864.0, "B");
        near("-7", -7.0, "");
        for none in ["\"ok\"", "", "0o644", "inf", "NaN", "3 apples", "[1, 2]", "true"] {
            assert_eq!(number(none), None, "{none}");
        }
    }

    #[test]
    fn bars_go_from_the_lowest_to_the_highest() {
        let of = |values: &[f64]| sparkline(&values.iter().copied().map(Some).collect::<Vec<_>>());
        assert_eq!(of(&[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]), "▁▂▃▄▅▆▇█");
        assert_eq!((of(&[5.0, 5.0]), of(&[])), ("▄▄".to_owned(), String::new()));
        assert_eq!(sparkline(&[Some(1.0), None, Some(2.0)]), "▁ █");
    }

    #[test]
    fn runs_flaky_steps_and_trends() {
        let run = |id: &str, end: &str, record: Option<&str>| Run {
            id: format!("20260101T00000{id}Z-aaaaaa"),
            at: format!("2026-01-01T00:00:0{id}Z"),
            plan: "demo".into(),
            end: end.into(),
            risk: record.map(|_| 15),
            took_ns: 1_230_000_000,
            record: record.map(str::to_owned),
            step: None,
        };
        let point = |state: State, actual: &str| Point {
            run: "r".into(),
            state,
            actual: actual.into(),
            value: number(actual).map(|(value, _)| value),
        };
        let digest = "d".repeat(64);
        let history = History {
            runs: vec![
                run("3", "HOLD → GO", Some(&digest)),
                run("2", "NO-GO", Some(&digest)),
                run("1", "interrupted", None),
            ],
            all: 9,
            step: None,
            flaky: vec![Flaky {
                plan: "demo".into(),
                step: "test\u{1b}[2J".into(),
                runs: 4,
                changes: 2,
                retried: 1,
                states: vec![State::Pass, State::Fail, State::Pass, State::Warn],
            }],
            trends: vec![
                Trend {
                    plan: "demo".into(),
                    step: "coverage".into(),
                    criterion: "percent(lines) >= 55".into(),
                    points: vec![
                        point(State::Fail, "31.4 % (157/500)"),
                        point(State::Fail, "40 % (2/5)"),
                        point(State::Pass, "60 % (3/5)"),
                    ],
                },
                Trend {
                    plan: "demo".into(),
                    step: "greet".into(),
                    criterion: "stdout == \"hi\"".into(),
                    points: vec![
                        point(State::Pass, "\"hi\""),
                        point(State::Fail, "\"ho\""),
                        point(State::Pass, "\"hi\""),
                    ],
                },
            ],
        };
        golden("history-100.txt", &render(&history, Look { width: 100, colour: false }));
    }
}
