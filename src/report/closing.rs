//! The last block on stdout: the decision with its vetoes and terms, the totals, the record. Pure; fits a screen.

use crate::outcome::{Decision, RiskTerm, RunStatus, Verdict, Veto};

use super::style::{Line, Look, Role, page};
use super::summary::{Bucket, Summary};
use super::{Context, escape, format};

/// Vetoes and holds shown, each.
const VETOES: usize = 4;
/// Keeps a number and its word on one row while the totals are wrapped.
const NO_BREAK: &str = "\u{a0}";
/// Risk terms shown.
const TERMS: usize = 8;

/// The closing block.
#[must_use]
pub fn report(summary: &Summary, context: &Context, look: Look) -> String {
    let mut lines = match summary.status {
        Some(RunStatus::Decided(verdict)) => decided(summary, verdict),
        Some(RunStatus::Interrupted(signal)) => {
            vec![
                Line::of(Role::Bad, "INTERRUPTED")
                    .plain(&format!("  by {}: no decision, no record", signal_name(signal))),
            ]
        }
        None => {
            vec![Line::of(Role::Bad, "RESULT UNKNOWN").plain("  the run ended without a result that could be stored")]
        }
    };
    lines.extend(partial(summary));
    lines.extend(totals(summary, look.width));
    lines.extend(stored(summary, context, look.width));
    page(&lines, look)
}

/// A part of a plan proves nothing about the whole.
fn partial(summary: &Summary) -> Option<Line> {
    let left_out = summary.count(Bucket::Filtered);
    let text = format!(
        "  partial: {left_out} of {} not selected; this is no verdict on the whole plan",
        format::count(summary.rows.len(), "step")
    );
    (left_out > 0).then(|| Line::of(Role::Warn, &text))
}

/// The name of a signal that ends a run.
#[must_use]
pub fn signal_name(signal: i32) -> String {
    match signal {
        1 => "SIGHUP".to_owned(),
        2 => "SIGINT".to_owned(),
        3 => "SIGQUIT".to_owned(),
        15 => "SIGTERM".to_owned(),
        other => format!("signal {other}"),
    }
}

fn decided(summary: &Summary, verdict: Verdict) -> Vec<Line> {
    let role = match verdict {
        Verdict::Go => Role::Good,
        Verdict::Hold => Role::Warn,
        Verdict::NoGo => Role::Bad,
    };
    let headline = Line::of(role, verdict.word());
    let Some((decision, _)) = &summary.decision else {
        return vec![headline];
    };
    let count = |vetoes: &[Veto], what: &str| match vetoes.len() {
        0 => String::new(),
        n => format!("{}, ", format::count(n, what)),
    };
    let headline = headline.plain("  ").plain(&count(&decision.vetoes, "veto").replace("vetos", "vetoes"));
    let headline = headline.plain(&count(&decision.holds, "hold"));
    let bounds = format!("risk {} (go <= {}, no-go >= {})", decision.risk, decision.go, decision.no_go);
    let mut lines = vec![headline.plain(&bounds)];
    lines.extend(reasons("veto", Role::Bad, &decision.vetoes));
    lines.extend(reasons("hold", Role::Warn, &decision.holds));
    lines.extend(terms(summary, decision));
    lines
}

fn reasons(word: &str, role: Role, vetoes: &[Veto]) -> Vec<Line> {
    let mut lines: Vec<Line> = vetoes
        .iter()
        .take(VETOES)
        .map(|veto| {
            let line = Line::new().plain("  ").with(role, word).plain("  ");
            if veto.id.is_empty() { line } else { line.with(Role::Strong, &veto.id).plain(": ") }.plain(&veto.reason)
        })
        .collect();
    lines.extend(folded(vetoes.len(), VETOES));
    lines
}

fn folded(all: usize, shown: usize) -> Option<Line> {
    (all > shown).then(|| Line::new().plain("        ").with(Role::Dim, &format!("and {} more", all - shown)))
}

/// `  risk  high warn coverage 0.35 × 0.5`, the weightiest ones in plan rank.
fn terms(summary: &Summary, decision: &Decision) -> Vec<Line> {
    let mut order: Vec<usize> = (0..decision.terms.len()).collect();
    let share = |term: &RiskTerm| u64::from(term.weight_permille) * u64::from(term.unknown_permille);
    order.sort_by_key(|&index| (std::cmp::Reverse(decision.terms.get(index).map(share)), index));
    order.truncate(TERMS);
    order.sort_unstable();
    let shown: Vec<&RiskTerm> = order.iter().filter_map(|&index| decision.terms.get(index)).collect();
    let weights: Vec<&str> = shown.iter().map(|term| weight_word(summary, term)).collect();
    let widest = |texts: &mut dyn Iterator<Item = usize>| texts.max().unwrap_or(0);
    let weight_column = widest(&mut weights.iter().map(|word| word.len()));
    let state_column = widest(&mut shown.iter().map(|term| escape::width(&escape::line(&term.state))));
    let id_column = widest(&mut shown.iter().map(|term| escape::width(&escape::line(&term.id)))).min(40);
    let mut lines = Vec::new();
    for (term, weight) in shown.iter().zip(weights) {
        let line = Line::new().plain("  risk  ").plain(weight).pad(8 + weight_column + 1).plain(&term.state);
        let line = line.pad(8 + weight_column + 1 + state_column + 1);
        let end = line.width() + id_column + 1;
        let line = line.with(Role::Strong, &escape::cut(&escape::line(&term.id), id_column)).pad(end);
        lines.push(line.plain(&format!(
            "{} × {}",
            format::permille(term.weight_permille),
            format::permille(term.unknown_permille)
        )));
    }
    lines.extend(folded(decision.terms.len(), TERMS));
    lines
}

/// The severity of the step, `weight` where the plan sets the weight itself, `declared` for a factor without a step.
fn weight_word(summary: &Summary, term: &RiskTerm) -> &'static str {
    match summary.find(&term.id).and_then(|step| summary.row(step)) {
        _ if term.kind == "declared" => "declared",
        Some(row) if row.head.severity.permille() == term.weight_permille => row.head.severity.word(),
        _ => "weight",
    }
}

/// `  30 steps in 1m12s: 27 passed, 1 warned, 1 failed (advisory), 1 skipped`.
fn totals(summary: &Summary, width: usize) -> Vec<Line> {
    let told: Vec<String> = Bucket::TOLD
        .into_iter()
        .filter_map(|bucket| Some((bucket, summary.count(bucket))).filter(|(_, n)| *n > 0))
        .map(|(bucket, n)| bucket.tell(n).replace(' ', NO_BREAK))
        .collect();
    let open = summary.total().saturating_sub(summary.done());
    let mut told = told.join(", ");
    if open > 0 {
        let sep = if told.is_empty() { "" } else { ", " };
        told = format!("{told}{sep}{open}{NO_BREAK}not{NO_BREAK}finished");
    }
    if summary.reused > 0 {
        told = format!("{told};{NO_BREAK}{}{NO_BREAK}reused", summary.reused);
    }
    let head = format!("  {} in {}", format::count(summary.total(), "step"), format::short(summary.mono));
    let rows =
        escape::wrap(&format!("{head}{}{told}", if told.is_empty() { "" } else { ": " }), width.saturating_sub(4));
    let indented = |(index, row): (usize, &String)| {
        Line::new().plain(if index == 0 { "" } else { "    " }).plain(&row.replace(NO_BREAK, " "))
    };
    rows.iter().enumerate().map(indented).collect()
}

/// The record's id whole, so that `sha256sum` can be compared with it; its path beside it or below.
fn stored(summary: &Summary, context: &Context, width: usize) -> Vec<Line> {
    let dir = context.run_dir.trim_end_matches('/');
    let Some(id) = &summary.record else {
        return vec![Line::new().plain("  journal ").with(Role::Note, &format!("{dir}/journal.jsonl"))];
    };
    let path = format!("{dir}/record.jsonl");
    let line = Line::new().plain("  record sha256:").plain(id.strip_prefix("sha256:").unwrap_or(id));
    if line.width() + 2 + escape::width(&escape::line(&path)) <= width {
        vec![line.plain("  ").with(Role::Note, &path)]
    } else {
        vec![line, Line::new().pad(9).with(Role::Note, &path)]
    }
}

#[cfg(test)]
mod tests {
    use crate::event::EventKind;

    use super::super::sample::{Stream, below, context, eventful, exit_one, golden, no_go};
    use super::*;
    use crate::outcome::State;

    const NARROW: Look = Look { width: 80, colour: false };

    #[test]
    fn a_no_go_shows_vetoes_first_and_every_term() {
        let mut sample = eventful();
        sample.close(no_go());
        let summary = sample.summary();
        golden("closing-no-go-80.txt", &report(&summary, &context(), NARROW));
        golden("closing-no-go-120.txt", &report(&summary, &context(), Look { width: 130, colour: false }));
        golden("closing-no-go-80-colour.txt", &report(&summary, &context(), Look { width: 80, colour: true }));
    }

    #[test]
    fn a_go_with_its_risk() {
        let mut sample = Stream::open(&["coverage", "nlp!", "build"]);
        sample.start("coverage", 1).end("coverage", &[], below(State::Warn, 900));
        sample.start("nlp", 1).end("nlp", &[], exit_one(70)).pass("build", 30);
        let mut decision = no_go();
        decision.verdict = Verdict::Go;
        decision.risk = 30;
        decision.vetoes.clear();
        decision.terms.retain(|term| term.id != "fmt" && term.kind == "step");
        sample.close(decision);
        golden("closing-go-80.txt", &report(&sample.summary(), &context(), NARROW));
    }

    #[test]
    fn many_vetoes_and_terms_fit_a_screen() {
        let mut sample = Stream::open(&["a"]);
        sample.pass("a", 1);
        let mut decision = no_go();
        decision.verdict = Verdict::Hold;
        decision.vetoes = vec![Veto { id: String::new(), reason: "the risk is at the bound".into() }; 40];
        decision.holds.clone_from(&decision.vetoes);
        decision.terms = (0..100u32)
            .map(|n| RiskTerm { id: format!("s{n}"), weight_permille: n, ..decision.terms[0].clone() })
            .collect();
        sample.close(decision);
        let text = report(&sample.summary(), &context(), NARROW);
        assert!(text.lines().count() <= 24, "{text}");
        assert!(text.starts_with("HOLD  40 vetoes, 40 holds, risk 84"), "{text}");
        assert!(text.contains("s99") && text.contains("s92") && !text.contains("s91"), "{text}");
    }

    #[test]
    fn what_is_reused_is_counted_and_a_resumed_run_is_counted_anew() {
        let mut sample = Stream::open(&["a", "b"]);
        let step = sample.id("a");
        sample.pass("b", 3);
        let settings = crate::event::Settings::default();
        sample.push(EventKind::Resume { settings: settings.into() });
        sample.push(EventKind::Reused { step, run: "r".into() });
        sample.pass("a", 1);
        let text = report(&sample.summary(), &context(), NARROW);
        assert!(text.contains("1 passed, 1 not finished; 1 reused\n"), "{text}");
    }

    #[test]
    fn without_a_close_the_result_is_unknown() {
        let mut sample = Stream::open(&["a", "b"]);
        sample.pass("a", 1);
        let text = report(&sample.summary(), &context(), NARROW);
        assert!(text.starts_with("RESULT UNKNOWN"), "{text}");
        assert!(text.contains("  2 steps in 0.00s: 1 passed, 1 not finished\n"), "{text}");
    }
}
