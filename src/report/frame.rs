//! What stays at the bottom of a live screen: what runs now, how many more, totals and what is left. Pure; draws nothing.

use std::time::Duration;

use super::style::{Line, Role};
use super::summary::{Bucket, Phase, Row, Summary};
use super::terminal::Size;
use super::{Context, Left, Pace, Which, escape, format};

/// Running rows at most, on a screen of usual height; a higher one gives a third of itself.
const ROWS: usize = 8;
/// Columns at most of a name in a running row.
const NAME: usize = 32;
/// A step is slow when it takes half as long again as it usually does, and at least so much longer.
const SLOW: Duration = Duration::from_secs(3);
/// A timeout is told in the last fifth of it.
const LAST_PART: u32 = 5;

/// Running rows, how many more run, totals; never more lines than a screen without its last row has.
#[must_use]
pub fn frame(summary: &Summary, context: &Context, now: u64, size: Size) -> Vec<Line> {
    let height = usize::from(size.rows);
    let jobs = usize::try_from(summary.settings.jobs).unwrap_or(usize::MAX);
    let most = jobs.min(height.saturating_sub(4)).clamp(1, ROWS.max(height / 3));
    let rows: Vec<&Row> = summary.running.iter().filter_map(|step| summary.row(*step)).collect();
    let paces: Vec<Pace> = rows.iter().map(|row| (context.pace)(&row.head.name).unwrap_or_default()).collect();
    let shown = chosen(&rows, &paces, now, most);
    let names = shown.iter().map(|&at| escape::width(&escape::line(&rows[at].head.name)));
    let column = names.max().unwrap_or(0).min(NAME).min(usize::from(size.columns) / 3);
    let mut lines: Vec<Line> = shown.iter().map(|&at| running(rows[at], paces[at], context, now, column)).collect();
    if rows.len() > shown.len() {
        lines.push(Line::of(Role::Dim, &format!("  +{} more running", rows.len() - shown.len())));
    }
    lines.push(totals(summary, context, now));
    let surplus = lines.len().saturating_sub(height.saturating_sub(1).max(1));
    lines.split_off(surplus)
}

/// Who is shown where not all can be: what is late first, then what holds up the whole run, then what runs longest. They
/// stand in the order in which they started, so that a row stays where it is.
fn chosen(rows: &[&Row], paces: &[Pace], now: u64, most: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.sort_by_key(|&at| (lateness(rows[at], paces[at], now).is_none(), !paces[at].critical, at));
    order.truncate(most);
    order.sort_unstable();
    order
}

/// What is to be said about a step that takes long: that its time is nearly up, or how long it usually takes.
fn lateness(row: &Row, pace: Pace, now: u64) -> Option<String> {
    if row.phase != Phase::Running {
        return None;
    }
    let since = |then: u64| Duration::from_nanos(now.saturating_sub(then));
    let (tried, all) = (since(row.tried), since(row.started));
    if let Some(timeout) = pace.timeout
        && tried >= timeout - timeout / LAST_PART
    {
        return Some(match timeout.saturating_sub(tried) {
            Duration::ZERO => "its time is up".to_owned(),
            left => format!("times out in {}", format::duration(left)),
        });
    }
    let usual = pace.usual?;
    (all > usual.mul_f64(1.5) && all > usual + SLOW).then(|| format!("usually {}", format::duration(usual)))
}

/// `⏵ it-db   34.1s  (usually 12.0s)  INSERT 0 500`.
fn running(row: &Row, pace: Pace, context: &Context, now: u64, column: usize) -> Line {
    let name = escape::cut_middle(&escape::line(&row.head.name), column);
    let elapsed = format::short(now.saturating_sub(row.started));
    let line =
        Line::of(Role::Note, "  ⏵ ").with(Role::Strong, &name).pad(4 + column).plain(&format!(" {elapsed:>7}  "));
    let says = match row.phase {
        Phase::Pausing { until } => {
            let why = row.last_try.as_deref().map_or("", |(_, why)| why.as_str());
            let wait = format::short(until.saturating_sub(now));
            return line.with(Role::Warn, &format!("try {} in {wait}: ", row.attempt + 1)).with(Role::Dim, why);
        }
        Phase::Stopping => return line.with(Role::Dim, "is being ended"),
        _ => row.glance.as_deref().map(str::to_owned),
    };
    let which = Which { rank: row.head.rank, name: &row.head.name, attempt: row.attempt.max(1) };
    let says = says.or_else(|| (context.glance)(which).map(|raw| escape::bytes(&raw)));
    let line = match lateness(row, pace, now) {
        Some(text) => line.with(Role::Warn, &format!("({text})  ")),
        None => line,
    };
    let line = if row.attempt > 1 { line.with(Role::Warn, &format!("try {}  ", row.attempt)) } else { line };
    line.with(Role::Dim, says.as_deref().unwrap_or("").trim())
}

/// `∑ ⏵ 5 │ ✔ 12 │ ✘ 1 │ ⊘ 1 │ 12/30 │ 0:41, critical path ~1:05 left`.
fn totals(summary: &Summary, context: &Context, now: u64) -> Line {
    let sum = |buckets: &[Bucket]| buckets.iter().map(|bucket| summary.count(*bucket)).sum::<usize>();
    let good = sum(&[Bucket::Passed, Bucket::Warned]);
    let advisory = sum(&[Bucket::FailedAdvisory, Bucket::ErroredAdvisory]);
    let bad = sum(&[Bucket::Failed, Bucket::Errored, Bucket::Inconclusive]) + advisory;
    let blocked = sum(&[Bucket::Blocked, Bucket::NotRun]);
    let line = Line::new().plain("  ∑ ").with(Role::Note, &format!("⏵ {}", summary.running.len()));
    let line = line.plain(" │ ").with(Role::Good, &format!("✔ {good}"));
    let line = line.plain(" │ ").with(if bad > 0 { Role::Bad } else { Role::Dim }, &format!("✘ {bad}"));
    let line = line.plain(" │ ").with(if blocked > 0 { Role::Warn } else { Role::Dim }, &format!("⊘ {blocked}"));
    let line = line.plain(&format!(" │ {}/{} │ {}", summary.done(), summary.total(), format::clock(now)));
    match (&summary.signal, (context.remaining)(summary, now)) {
        (Some((name, _)), _) => line.with(Role::Warn, &format!(", {name}: ending")),
        (None, Some(left)) => remaining(line, left),
        (None, None) => line,
    }
}

/// What is left of the critical path, and by how much it is late: `critical path ~0:30 left, over by 0:12`.
fn remaining(line: Line, Left { left, over }: Left) -> Line {
    let clock = |time: Duration| format::clock(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
    // A second is nothing to speak of.
    let late = over > SLOW;
    let line = line.with(Role::Dim, ", critical path");
    let line = match left {
        Duration::ZERO if late => line,
        left => line.with(Role::Dim, &format!(" ~{} left", clock(left))),
    };
    let comma = if left.is_zero() { "" } else { "," };
    if late { line.with(Role::Warn, &format!("{comma} over by {}", clock(over))) } else { line }
}

#[cfg(test)]
mod tests {
    use super::super::sample::{MS, Stream as Sample, context, criterion, exit_one, golden};
    use super::super::style::{self, Look};
    use super::*;
    use crate::event::EventKind;
    use crate::facts::Facts;
    use crate::outcome::{State, Tier};

    fn busy(names: &[&str]) -> Sample {
        let mut sample = Sample::open(names);
        for name in names {
            sample.wait(1_000).start(name, 1);
        }
        sample
    }

    fn framed_by(sample: &Sample, context: &Context, seconds: u64, columns: u16, rows: u16) -> String {
        let lines = frame(&sample.summary(), context, seconds * 1000 * MS, Size { columns, rows });
        style::page(&lines, Look { width: usize::from(columns), colour: false })
    }

    fn framed(sample: &Sample, columns: u16, rows: u16) -> String {
        framed_by(sample, &context(), 41, columns, rows)
    }

    fn jobs(sample: &mut Sample, jobs: u32) {
        if let EventKind::Open { settings, .. } = &mut sample.events[0].kind {
            settings.jobs = jobs;
        }
    }

    #[test]
    fn running_rows_are_capped_and_told() {
        let long = "a-very-long-name-".repeat(8);
        let mut sample = busy(&["it-db", "bench", &long, "probe", "again", "f"]);
        let (probe, again) = (sample.id("probe"), sample.id("again"));
        let look = criterion(Tier::Pass, "status == 200", State::Fail, "200", "503");
        sample.push(EventKind::Sample {
            step: probe,
            attempt: 1,
            sample: 12,
            state: State::Fail,
            criteria: vec![look],
            facts: Facts::default(),
            detail: None,
        });
        sample.push(EventKind::Attempt { step: again, attempt: 1, result: Box::new(exit_one(5)) });
        sample.push(EventKind::Retry { step: again, attempt: 2, after_ns: 37_000 * MS });
        golden("live-80.txt", &framed(&sample, 80, 24));
        golden("live-120.txt", &framed(&sample, 120, 24));
        assert_eq!(framed(&sample, 80, 6).lines().count(), 4);
        jobs(&mut sample, 16);
        let text = framed(&sample, 80, 24);
        assert!(text.contains("f            35.0s") || text.contains("try 2 in 2.00s: exit == 0, got 1"), "{text}");
    }

    /// Knows for each step: usual seconds, seconds of its timeout, whether it is on the critical path.
    fn paced(paces: &'static [(&str, u64, u64, bool)]) -> Context {
        let seconds = |n: u64| (n > 0).then(|| Duration::from_secs(n));
        let pace = move |name: &str| {
            let &(_, usual, timeout, critical) = paces.iter().find(|known| known.0 == name)?;
            Some(Pace { usual: seconds(usual), timeout: seconds(timeout), critical })
        };
        Context { pace: Box::new(pace), glance: Box::new(|_| None), ..context() }
    }

    #[test]
    fn a_slow_step_says_so_and_one_near_its_timeout_too() {
        let sample = busy(&["slow", "fair", "near", "over", "new"]);
        let context =
            paced(&[("slow", 12, 0, false), ("fair", 35, 100, false), ("near", 1, 45, false), ("over", 0, 30, false)]);
        let text = framed_by(&sample, &context, 41, 80, 24);
        let line = |name: &str| text.lines().find(|line| line.contains(name)).unwrap_or("").trim().to_owned();
        assert_eq!(line("slow"), "⏵ slow   40.0s  (usually 12.0s)");
        assert_eq!(line("fair"), "⏵ fair   39.0s");
        assert_eq!(line("near"), "⏵ near   38.0s  (times out in 7.00s)");
        assert!(framed_by(&sample, &context, 60, 80, 24).contains("(its time is up)"));
        assert_eq!(line("new"), "");
        assert!(text.contains("  +1 more running\n"), "{text}");
    }

    #[test]
    fn late_steps_and_the_critical_path_are_shown_before_others_where_they_started() {
        let mut sample = busy(&["a", "b", "c", "d", "e", "f"]);
        jobs(&mut sample, 16);
        let context = paced(&[("d", 500, 0, true), ("f", 1, 0, false)]);
        let shown = |rows| {
            let text = framed_by(&sample, &context, 41, 80, rows);
            let names =
                text.lines().filter_map(|line| line.trim().strip_prefix("⏵ ")?.split(' ').next().map(str::to_owned));
            names.collect::<Vec<_>>().join(" ")
        };
        assert_eq!([shown(5), shown(6), shown(7), shown(24)], ["f", "d f", "a d f", "a b c d e f"]);
    }

    #[test]
    fn a_frame_fits_any_screen() {
        let names: Vec<String> = (0..50).map(|n| format!("worker-{n}-漢字[py=3.{n},database=postgres]")).collect();
        let refs: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut sample = busy(&refs);
        jobs(&mut sample, 64);
        for rows in 1..60 {
            for columns in [20, 33, 80, 200] {
                let text = framed(&sample, columns, rows);
                assert!(text.lines().count() <= usize::from(rows).saturating_sub(1).max(1), "{columns}×{rows}\n{text}");
                assert!(text.lines().all(|line| escape::width(line) <= usize::from(columns)), "{text}");
                assert!(text.lines().last().is_some_and(|line| line.starts_with("  ∑ ⏵ 50")), "{text}");
            }
        }
        assert_eq!(framed(&sample, 200, 50).matches("  ⏵ ").count(), 16);
        let text = framed(&sample, 80, 24);
        assert!(text.contains("+42 more running") && text.contains("worker-0-漢…base=postgres]"), "{text}");
    }

    #[test]
    fn the_countdown_never_goes_below_nothing() {
        let told = |left: u64, over: u64| {
            let left = Left { left: Duration::from_secs(left), over: Duration::from_secs(over) };
            remaining(Line::new(), left).render(Look { width: 80, colour: false })
        };
        assert_eq!(told(65, 0), ", critical path ~1:05 left");
        assert_eq!(told(30, 12), ", critical path ~0:30 left, over by 0:12");
        assert_eq!(told(0, 12), ", critical path over by 0:12");
        assert_eq!(told(0, 1), ", critical path ~0:00 left");
    }
}
