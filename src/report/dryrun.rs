//! `runplan -n` as text: waves, the reason for each step, what it needs. Pure: from plain data that the app fills in.

use std::borrow::Cow;
use std::time::Duration;

use super::style::{Line, Look, Role, page};
use super::{escape, format};

/// Columns at most of a name before it is cut.
const NAME: usize = 40;
/// From this width on, what each step does is shown too.
const WIDE: usize = 100;

/// What would happen to a step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Marker {
    /// It would run.
    #[default]
    Run,
    /// Its outputs would be reused.
    Cached,
    /// It would be skipped by choice.
    Skip,
    /// It could not run.
    Blocked,
}

impl Marker {
    const ALL: [Self; 4] = [Self::Run, Self::Cached, Self::Skip, Self::Blocked];

    fn sign(self) -> &'static str {
        match self {
            Self::Run => "●",
            Self::Cached => "≡",
            Self::Skip => "○",
            Self::Blocked => "⊘",
        }
    }

    /// The word beside the sign.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Cached => "reuse",
            Self::Skip => "skip",
            Self::Blocked => "blocked",
        }
    }

    fn role(self) -> Role {
        match self {
            Self::Run => Role::Good,
            Self::Cached => Role::Note,
            Self::Skip => Role::Dim,
            Self::Blocked => Role::Warn,
        }
    }

    fn tell(self, n: usize) -> String {
        match self {
            Self::Run => format!("{n} to run"),
            Self::Cached => format!("{n} reused"),
            Self::Skip => format!("{n} skipped"),
            Self::Blocked => format!("{n} blocked"),
        }
    }
}

/// One step of a dry run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DryStep<'a> {
    /// Its name.
    pub name: &'a str,
    /// Human title, or what it does in a line: `cargo build`, `GET http://…`.
    pub what: Cow<'a, str>,
    /// What would happen.
    pub marker: Marker,
    /// Why; empty if there is nothing to say.
    pub reason: &'a str,
    /// Names of needed steps.
    pub needs: Vec<&'a str>,
    /// How long it took last.
    pub estimate: Option<Duration>,
}

/// A dry run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DryRun<'a> {
    /// Title or name of the plan.
    pub title: String,
    /// The plan file.
    pub path: String,
    /// Steps by distance from the start.
    pub waves: Vec<Vec<DryStep<'a>>>,
    /// Steps of `[finally]`, in order.
    pub finally: Vec<DryStep<'a>>,
    /// Names on the critical path, from its start.
    pub critical: Vec<&'a str>,
    /// Length of the critical path, where durations are known.
    pub estimate: Option<Duration>,
}

impl DryRun<'_> {
    fn steps(&self) -> impl Iterator<Item = &DryStep<'_>> {
        self.waves.iter().flatten().chain(&self.finally)
    }

    fn count(&self, marker: Marker) -> usize {
        self.steps().filter(|step| step.marker == marker).count()
    }
}

/// The whole text.
#[must_use]
pub fn render(run: &DryRun<'_>, look: Look) -> String {
    let mut text = page(&heading(run, look), look);
    let names = run.steps().map(|step| escape::columns(step.name));
    let column = names.max().unwrap_or(0).min(NAME).min(look.width / 2);
    for (index, wave) in run.waves.iter().enumerate() {
        group(&mut text, &format!("wave {}", index + 1), wave, column, look);
    }
    group(&mut text, "finally", &run.finally, column, look);
    text + &page(&legend(run, look.width), look)
}

fn heading(run: &DryRun<'_>, look: Look) -> Vec<Line> {
    let widest = run.waves.iter().map(Vec::len).max().unwrap_or(0);
    let shape = format!(
        "{}, {}, widest {widest}",
        format::count(run.steps().count(), "step"),
        format::count(run.waves.len(), "wave")
    );
    let title = Line::of(Role::Strong, &run.title).plain("  ").with(Role::Note, &run.path).plain(": ").plain(&shape);
    let mut lines = vec![title];
    if !run.critical.is_empty() {
        let estimate = run.estimate.map_or_else(String::new, |time| format!(" (about {})", format::duration(time)));
        let path = format!("critical path {}{estimate}", run.critical.join(" → "));
        // A path through hundreds of steps says nothing: its start is enough.
        let rows = escape::wrap(&escape::line(&path), look.width);
        lines.extend(rows.iter().take(3).map(|row| Line::of(Role::Dim, row)));
        if rows.len() > 3 {
            lines.push(Line::of(
                Role::Dim,
                &format!("… {} in all{estimate}", format::count(run.critical.len(), "step")),
            ));
        }
    }
    lines
}

fn group(text: &mut String, label: &str, steps: &[DryStep<'_>], column: usize, look: Look) {
    for (index, step) in steps.iter().enumerate() {
        let label = if index == 0 { label } else { "" };
        for line in entry(label, step, column, look) {
            line.write(look, text);
        }
    }
}

/// Where names begin: after the label and the sign.
const INDENT: usize = 11;

fn entry(label: &str, step: &DryStep<'_>, column: usize, look: Look) -> Vec<Line> {
    let after_name = INDENT + column + 2;
    let name = escape::cut(&escape::line(step.name), column);
    let mut line = Line::of(Role::Dim, label).pad(INDENT - 2).with(step.marker.role(), step.marker.sign()).plain(" ");
    line =
        line.with(Role::Strong, &name).pad(after_name).with(step.marker.role(), step.marker.word()).pad(after_name + 9);
    let estimate = step.estimate.map(|time| format!("about {}", format::duration(time)));
    let facts: Vec<&str> =
        [step.reason, estimate.as_deref().unwrap_or("")].into_iter().filter(|t| !t.is_empty()).collect();
    let mut line = line.plain(&facts.join(", "));
    if look.width >= WIDE {
        line = if facts.is_empty() { line } else { line.plain("  ") }.with(Role::Dim, &step.what);
    }
    if step.needs.is_empty() {
        return vec![line];
    }
    let needs = format::names(&step.needs, 12);
    let beside = line.width() + 2 + "← ".chars().count() + escape::columns(&needs);
    let needs = format!("← {needs}");
    if beside <= look.width {
        let gap = if facts.is_empty() && look.width < WIDE { "" } else { "  " };
        return vec![line.plain(gap).with(Role::Note, &needs)];
    }
    let rows = escape::wrap(&escape::line(&needs), look.width.saturating_sub(INDENT + 2));
    let below =
        |(index, row): (usize, &String)| Line::new().pad(INDENT + if index == 0 { 0 } else { 2 }).with(Role::Note, row);
    std::iter::once(line).chain(rows.iter().enumerate().map(below)).collect()
}

fn legend(run: &DryRun<'_>, width: usize) -> Vec<Line> {
    let mut line = Line::of(Role::Dim, "legend  ");
    for marker in Marker::ALL {
        line = line.with(marker.role(), marker.sign()).plain(&format!(" {}  ", marker.word()));
    }
    let counts = Marker::ALL
        .into_iter()
        .map(|marker| (marker, run.count(marker)))
        .filter(|(marker, n)| *n > 0 || *marker == Marker::Run);
    let told: Vec<String> = counts.map(|(marker, n)| marker.tell(n)).collect();
    let told = told.join(", ");
    if line.width() + 2 + told.len() <= width {
        vec![line.plain("  ").with(Role::Strong, &told)]
    } else {
        vec![line, Line::new().pad(8).with(Role::Strong, &told)]
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::golden;
    use super::*;

    fn step<'a>(name: &'a str, marker: Marker, reason: &'a str, needs: &[&'a str]) -> DryStep<'a> {
        DryStep {
            name,
            what: format!("make {name}").into(),
            marker,
            reason,
            needs: needs.to_vec(),
            ..DryStep::default()
        }
    }

    #[test]
    fn waves_with_reasons_and_needs() {
        let many: Vec<String> = (0..30).map(|n| format!("test[py=3.{n}]")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let run = DryRun {
            title: "Staging deploy readiness".into(),
            path: "blueprint.toml".into(),
            waves: vec![
                vec![
                    DryStep { estimate: Some(Duration::from_millis(2_310)), ..step("fetch", Marker::Run, "", &[]) },
                    DryStep {
                        what: "Pin the toolchain".into(),
                        ..step("toolchain", Marker::Cached, "inputs unchanged", &[])
                    },
                ],
                vec![
                    step("build-lib", Marker::Run, "", &["fetch", "toolchain"]),
                    step(
                        "fmt\u{1b}[2J",
                        Marker::Skip,
                        "`when` does not hold: vars.stack == \"compose\"",
                        &["toolchain"],
                    ),
                    step("e2e", Marker::Blocked, "needs `fmt`, which is skipped", &["fmt"]),
                    step("all", Marker::Run, "", &many),
                ],
            ],
            finally: vec![step("clean-up", Marker::Run, "always", &[])],
            critical: vec!["fetch", "build-lib", "all"],
            estimate: Some(Duration::from_secs(65)),
        };
        golden("dryrun-80.txt", &render(&run, Look { width: 80, colour: false }));
        golden("dryrun-120.txt", &render(&run, Look { width: 120, colour: false }));
        golden("dryrun-80-colour.txt", &render(&run, Look { width: 80, colour: true }));
    }

    #[test]
    fn a_very_long_critical_path_is_folded() {
        let critical: Vec<String> = (0..10_000).map(|n| format!("step-{n}")).collect();
        let critical = critical.iter().map(String::as_str).collect();
        let text = render(&DryRun { critical, ..DryRun::default() }, Look { width: 80, colour: false });
        assert!(text.lines().count() <= 6, "{text}");
        assert!(text.contains("… 10000 steps in all"));
    }
}
