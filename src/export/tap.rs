//! TAP version 14: a test point a step with a YAML diagnostic, and a last one for the decision. A run without a decision
//! ends in `Bail out!`.

use super::{Came, Run, Step, line};
use crate::outcome::{AttemptResult, CriterionResult, Verdict};

/// The document.
#[must_use]
pub fn render(run: &Run) -> Vec<u8> {
    let mut out = String::from("TAP version 14\n");
    let (plan, id) = (line(&run.plan.name), line(&run.about.run));
    out.push_str(&format!("# plan {plan}, run {id}\n1..{}\n", run.steps.len() + 1));
    for (step, number) in run.steps.iter().zip(1..) {
        point(&mut out, step, number);
    }
    let number = run.steps.len() + 1;
    let word = if run.verdict() == Some(Verdict::Go) { "ok" } else { "not ok" };
    out.push_str(&format!("{word} {number} - decision: {}\n", run.word()));
    let mut yaml = Yaml::begin(&mut out);
    yaml.text("message", &run.why());
    if let Some((record, _)) = &run.about.record {
        yaml.text("record", record);
    }
    yaml.end();
    if run.decision.is_none() {
        out.push_str(&format!("Bail out! {}\n", description(&run.why())));
    }
    out.into_bytes()
}

fn point(out: &mut String, step: &Step, number: usize) {
    let name = description(&step.head.name);
    let (word, directive) = match step.came {
        Came::Pass | Came::Warn | Came::Waived => ("ok", None),
        // What only advises fails no run.
        came if came.is_failure() && !step.head.required => ("not ok", Some("TODO")),
        Came::Fail | Came::Inconclusive | Came::Error | Came::Unfinished => ("not ok", None),
        // A point that is to be done does not fail the run; the decision, which is not GO, does.
        Came::Pending => ("not ok", Some("TODO")),
        Came::Skipped | Came::Blocked | Came::NotReached => ("ok", Some("SKIP")),
    };
    let directive = directive.map_or_else(String::new, |directive| {
        format!(" # {directive} {}", description(&format!("{}: {}", step.came.word(), step.why())))
    });
    out.push_str(&format!("{word} {number} - {name}{directive}\n"));
    let mut yaml = Yaml::begin(out);
    yaml.text("state", step.came.word());
    if step.came != Came::Pass {
        yaml.text("message", &step.why());
    }
    yaml.text("kind", &step.head.kind);
    yaml.text("at", &step.head.place);
    if let Some(run) = &step.reused {
        yaml.text("reused_from", run);
    }
    if let Some(result) = &step.result {
        yaml.plain("duration_ms", &(step.took_ns() / 1_000_000).to_string());
        yaml.list("attempts", &result.attempts, attempt);
        yaml.list("criteria", result.criteria(), criterion);
    }
    yaml.end();
}

fn attempt(attempt: &AttemptResult) -> Vec<(&'static str, String)> {
    let detail = attempt.detail.iter().map(|detail| ("message", detail.clone()));
    [("state", attempt.state.word().to_owned())].into_iter().chain(detail).collect()
}

fn criterion(criterion: &CriterionResult) -> Vec<(&'static str, String)> {
    vec![
        ("tier", criterion.tier.word().to_owned()),
        ("text", criterion.text.clone()),
        ("state", criterion.state.word().to_owned()),
        ("expected", criterion.expected.clone()),
        ("actual", criterion.actual.clone()),
    ]
}

/// One line in which nothing begins a directive.
fn description(text: &str) -> String {
    line(text).replace('\\', "\\\\").replace('#', "\\#")
}

/// A YAML diagnostic: keys with texts in double quotes, which every dialect reads the same.
struct Yaml<'o> {
    out: &'o mut String,
}

impl<'o> Yaml<'o> {
    fn begin(out: &'o mut String) -> Self {
        out.push_str("  ---\n");
        Self { out }
    }

    fn plain(&mut self, key: &str, value: &str) {
        self.out.push_str(&format!("  {key}: {value}\n"));
    }

    fn text(&mut self, key: &str, value: &str) {
        self.plain(key, &quoted(value));
    }

    fn list<T>(&mut self, key: &str, items: &[T], members: impl Fn(&T) -> Vec<(&'static str, String)>) {
        if items.is_empty() {
            return;
        }
        self.out.push_str(&format!("  {key}:\n"));
        for item in items {
            for (index, (key, value)) in members(item).iter().enumerate() {
                let mark = if index == 0 { "-" } else { " " };
                self.out.push_str(&format!("    {mark} {key}: {}\n", quoted(value)));
            }
        }
    }

    fn end(self) {
        self.out.push_str("  ...\n");
    }
}

/// After [`line`] only two characters need an escape.
fn quoted(text: &str) -> String {
    format!("\"{}\"", line(text).replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::super::run::tests::{broken_off, eventful};
    use super::*;

    #[test]
    fn names_cannot_make_directives_and_the_decision_is_last() {
        let text = String::from_utf8(render(&eventful())).unwrap();
        assert!(text.starts_with("TAP version 14\n# plan p, run 20260101T000000Z-aaaaaa\n1..7\nok 1 - a\n"), "{text}");
        assert!(text.contains("\nok 2 - b\\#1 \\\\ x\n") && text.contains("\nnot ok 3 - c\n"), "{text}");
        assert!(text.contains("\nok 4 - d # SKIP blocked: needs `c`"), "{text}");
        assert!(text.contains("\nnot ok 6 - f # TODO pending: "), "{text}");
        assert!(text.contains("\nnot ok 7 - decision: NO-GO\n") && !text.contains("Bail out!"), "{text}");
        assert!(text.contains(r##"  message: "]]> ␛[2J␀ & <b> \\u{202e}# \\ \"q\" "##), "{text}");
        assert!(String::from_utf8(render(&broken_off())).unwrap().contains("\nBail out! the journal breaks off"));
    }
}
