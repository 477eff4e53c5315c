//! The readiness report as Markdown: for a person, a wiki or a pull request. Everything observed stands in code spans.

use super::{Readiness, Row, canary, is_good, parts};
use crate::outcome::{Compared, CriterionResult, State, Tier, Veto};
use crate::policy::{SignoffStanding, SignoffState};
use crate::report::{escape, format};

/// Most characters of one observed value.
const LONGEST: usize = 300;
/// Most characters of a query, which nobody can check in part.
const LONGEST_QUERY: usize = 4_000;

/// The head of the table of all steps.
const STEPS: &str = "\n## Steps\n\n| step | state | required | time |\n|---|---|---|---|\n";

/// The document.
#[must_use]
pub fn render(readiness: &Readiness<'_>) -> String {
    let mut out = overview(readiness).concat();
    out += STEPS;
    readiness.rows.iter().for_each(|row| out += &in_table(row));
    readiness.rows.iter().for_each(|row| out += &step(row));
    out
}

/// The document in at most so many bytes (no fewer than a few hundred make sense): where it is longer, what is no pass
/// comes first, and the end says what is left out.
#[must_use]
pub fn render_within(readiness: &Readiness<'_>, most: usize) -> String {
    let whole = render(readiness);
    if whole.len() <= most {
        return whole;
    }
    let most = most.saturating_sub(NOTE);
    let mut out = String::new();
    let mut add = |text: &str, most: usize| {
        let fits = out.len() + text.len() <= most;
        if fits {
            out += text;
        }
        fits
    };
    let parts = overview(readiness).iter().filter(|part| !add(part, most / 2)).count();
    add(STEPS, most);
    let mut rows: Vec<&Row<'_>> = readiness.rows.iter().collect();
    rows.sort_by_key(|row| row.state == State::Pass);
    // A quarter of the room is for the table; in it, and behind it, nothing stands after a gap.
    let table = out_of(&rows, |row| add(&in_table(row), most * 3 / 4));
    let details = out_of(&rows, |row| add(&step(row), most));
    let parts = if parts > 0 { format!("{} of the overview, ", format::count(parts, "part")) } else { String::new() };
    let all = rows.len();
    out += &format!(
        "\n---\n\nCut to fit: {parts}{table} of {all} steps in the table and the details of {details} of {all} are left out, \
         passed ones last; `runplan report {}` has everything.\n",
        escape::line(&readiness.settings.run)
    );
    out
}

/// Room for the sentence about what is left out.
const NOTE: usize = 400;

/// How many are left over when they are added one by one until one does not fit.
fn out_of<'r>(rows: &[&'r Row<'r>], mut add: impl FnMut(&'r Row<'r>) -> bool) -> usize {
    rows.len() - rows.iter().take_while(|row| add(row)).count()
}

/// What stands before the steps, part by part.
fn overview(readiness: &Readiness<'_>) -> Vec<String> {
    vec![
        head(readiness),
        reasons("Vetoes", "Nothing alone forbids it.", &readiness.decision.vetoes),
        reasons("Holds", "Nothing is open.", &readiness.decision.holds),
        risk(readiness),
        signoffs(readiness.standings),
        waivers(readiness),
        comparisons(readiness),
        questions(readiness),
    ]
}

fn in_table(row: &Row<'_>) -> String {
    let required = if row.head.required { "yes" } else { "no" };
    let took = if row.result.is_some() { format::short(row.took_ns()) } else { "–".to_owned() };
    format!("| {} | {} | {required} | {took} |\n", code(&row.head.name), bold(row))
}

fn head(readiness: &Readiness<'_>) -> String {
    let Readiness { plan, settings, decision, .. } = readiness;
    let title = plan.title.as_deref().unwrap_or(&plan.name);
    let rows = [
        ("plan", format!("{} in {}, SHA-256 {}", code(&plan.name), code(&plan.path), code(&plan.sha256))),
        (
            "run",
            format!(
                "{}, started {}, took {}; [folder]({})",
                code(&settings.run),
                readiness.started,
                format::short(readiness.took_ns),
                url(&readiness.folder)
            ),
        ),
        ("record", format!("SHA-256 {}", code(&readiness.record))),
        ("journal", format!("SHA-256 {}", code(&readiness.journal))),
        ("as of", format!("{}; waivers on {}", readiness.at, readiness.day)),
    ];
    let only = plan.select.iter().map(|word| code(word)).collect::<Vec<_>>().join(" ");
    let only = (!only.is_empty()).then(|| ("selected", format!("{only}, nothing else of the plan")));
    let rows = rows.into_iter().chain(only);
    let table: String = rows.map(|(name, value)| format!("| {name} | {value} |\n")).collect();
    format!(
        "# Readiness: {}\n\n**{}** with risk {} (GO up to {}, NO-GO from {})\n\n| | |\n|---|---|\n{table}",
        plain(title),
        decision.verdict,
        decision.risk,
        decision.go,
        decision.no_go
    )
}

fn reasons(title: &str, nothing: &str, list: &[Veto]) -> String {
    let items: String = list
        .iter()
        .map(|veto| {
            let step = if veto.id.is_empty() { String::new() } else { format!("{}: ", span(&veto.id)) };
            format!("- {step}{}\n", plain(&veto.reason))
        })
        .collect();
    format!("\n## {title}\n\n{}", if items.is_empty() { format!("{nothing}\n") } else { items })
}

fn risk(readiness: &Readiness<'_>) -> String {
    let decision = readiness.decision;
    if decision.terms.is_empty() {
        return "\n## Risk\n\nNo step and no declared factor adds to it.\n".to_owned();
    }
    let rows: String = decision
        .terms
        .iter()
        .map(|term| {
            let (w, u) = (format::permille(term.weight_permille), format::permille(term.unknown_permille));
            format!("| {} | {} | {w} | {u} |\n", code(&term.id), term.state)
        })
        .collect();
    let product: Vec<String> = decision
        .terms
        .iter()
        .map(|t| format!("(1 - {} × {})", format::permille(t.weight_permille), format::permille(t.unknown_permille)))
        .collect();
    format!(
        "\n## Risk\n\nWeights are policy, not measured probabilities.\n\n| what | state | weight | open |\n|---|---|---|---|\n\
         {rows}\nceil(100 × (1 - {})) = {}\n",
        product.join(" × "),
        decision.risk
    )
}

fn signoffs(standings: &[SignoffStanding]) -> String {
    if standings.is_empty() {
        return String::new();
    }
    let rows: String = standings
        .iter()
        .map(|standing| {
            let some = |text: &Option<String>| text.as_deref().map(cell).unwrap_or_default();
            let said = standing.reason.as_ref().or(standing.comment.as_ref());
            let state = match standing.state {
                SignoffState::Approved => "approved".to_owned(),
                other => format!("**{}**", other.word()),
            };
            format!(
                "| {} | {state} | {} | {} | {} | {} |\n",
                cell(&standing.role),
                some(&standing.who),
                some(&standing.at),
                standing.key.as_deref().map(code).unwrap_or_default(),
                said.map(|text| cell(text)).unwrap_or_default()
            )
        })
        .collect();
    format!("\n## Sign-offs\n\n| role | state | who | when | key | said |\n|---|---|---|---|---|---|\n{rows}")
}

fn comparisons(readiness: &Readiness<'_>) -> String {
    let rows: String = canary::comparisons(readiness)
        .map(|one| {
            let Compared { subject, candidate, baseline, estimate, interval, limit, n, method } = one.compared;
            let estimate = estimate.as_deref().unwrap_or("unknown");
            let bounds = interval.as_ref().map(|[low, high]| format!(" ({low} to {high})")).unwrap_or_default();
            let verdict = one.verdict();
            let verdict =
                if one.criterion.state == State::Pass { verdict.to_owned() } else { format!("**{verdict}**") };
            format!(
                "| {} | {} | {} | {} | {} | {} | {verdict} | {} against {}; {} |\n",
                code(one.step),
                code(subject),
                cell(candidate),
                cell(baseline),
                cell(&format!("{estimate}{bounds}")),
                code(limit),
                n[0],
                n[1],
                cell(method)
            )
        })
        .collect();
    if rows.is_empty() {
        return String::new();
    }
    format!(
        "\n## Candidate against baseline\n\n\
         | step | figure | candidate | baseline | ratio or difference | limit | verdict | samples |\n\
         |---|---|---|---|---|---|---|---|\n{rows}"
    )
}

fn questions(readiness: &Readiness<'_>) -> String {
    let rows: String = canary::questions(readiness)
        .map(|one| {
            let what = [one.side, if one.what == "value" { "" } else { one.what }];
            let what: Vec<&str> = what.into_iter().filter(|word| !word.is_empty()).collect();
            let time = match one.range {
                None => one.time.to_owned(),
                Some((start, step)) => {
                    let step = format::short(u64::try_from(step).unwrap_or(u64::MAX));
                    format!("{start} to {}, every {step}", one.time)
                }
            };
            format!(
                "| {} | {} | {} | {} | {} | {} |\n",
                code(one.step),
                what.join(", "),
                span_of(&cut(one.query, LONGEST_QUERY)).replace('|', "\\|"),
                cell(&time),
                cell(&one.answer),
                one.state
            )
        })
        .collect();
    if rows.is_empty() {
        return String::new();
    }
    format!("\n## PromQL\n\n| step | side | query | at | answer | step came to |\n|---|---|---|---|---|---|\n{rows}")
}

fn waivers(readiness: &Readiness<'_>) -> String {
    let mut rows = String::new();
    for row in &readiness.rows {
        for criterion in row.criteria() {
            let Some(waiver) = &criterion.waiver else { continue };
            let over = waiver.expired || row.lapsed && waiver.expires < readiness.day;
            rows += &format!(
                "| {} | {} | {} | {} | {}{} |\n",
                code(&row.head.name),
                code(&criterion.text),
                cell(&waiver.owner),
                cell(&waiver.reason),
                waiver.expires,
                if over { " **(expired: counts as a failure)**" } else { "" }
            );
        }
    }
    if rows.is_empty() {
        return rows;
    }
    format!("\n## Waivers\n\n| step | criterion | owner | reason | until |\n|---|---|---|---|---|\n{rows}")
}

fn step(row: &Row<'_>) -> String {
    let head = row.head;
    let title = head.title.as_ref().map_or_else(String::new, |title| format!(": {}", plain(title)));
    let mut out = format!("\n### {}{title}\n\n{}", span(&head.name), bold(row));
    out += &format!(" · {}", span(&head.kind));
    if !head.needs.is_empty() {
        let needs: Vec<String> = head.needs.iter().map(|name| span(name)).collect();
        out += &format!(" · needs {}", needs.join(", "));
    }
    out += "\n";
    if let (Some(why), false) = (row.why(), row.state == State::Pass) {
        out += &format!("\n> {}\n", cell(&why));
    }
    if let Some(reason) = row.result.and_then(|result| result.allowed_empty.as_ref()) {
        out += &format!("\nNothing was looked at, which is allowed: {}\n", plain(reason));
    }
    let criteria = row.criteria();
    if !criteria.is_empty() {
        out += "\n| | criterion | expected | actual | |\n|---|---|---|---|---|\n";
        criteria.iter().for_each(|criterion| out += &line(criterion));
    }
    let seen: Vec<String> =
        parts::seen(row).iter().map(|(name, value)| format!("{} {}", span(name), span(value))).collect();
    if !seen.is_empty() {
        out += &format!("\nSeen: {}\n", seen.join(", "));
    }
    out += &gate(row);
    out += &inner(row);
    if !row.links.is_empty() {
        out += "\nEvidence:\n\n";
        for link in &row.links {
            let digest = link.sha256.as_ref().map_or_else(String::new, |sha256| format!(" SHA-256 {}", span(sha256)));
            out += &format!("- [{}]({}){digest}\n", plain(&link.name), url(&link.target));
        }
    }
    out
}

/// The people at a gate.
fn gate(row: &Row<'_>) -> String {
    let signer = |one: &parts::Signer<'_>| {
        let decision =
            if one.decision == "approved" { "approved".to_owned() } else { format!("**{}**", cell(one.decision)) };
        format!("| {} | {decision} | {} | {} |\n", cell(one.role), cell(one.by), cell(one.reason))
    };
    let rows: String = parts::signers(row).iter().map(signer).collect();
    if rows.is_empty() { rows } else { format!("\n| role | state | who | said |\n|---|---|---|---|\n{rows}") }
}

/// What a plan within the plan came to.
fn inner(row: &Row<'_>) -> String {
    let Some(inner) = parts::inner(row) else { return String::new() };
    let decision = plain(inner.decision);
    let mut out = format!("\nIts plan is **{decision}** with risk {}, record {}\n", inner.risk, span(inner.record));
    let reasons: String = inner.reasons.iter().map(|reason| format!("- {}\n", plain(reason))).collect();
    if !reasons.is_empty() {
        out += &format!("\n{reasons}");
    }
    let step = |(name, state): &(&str, &str)| {
        let state = cell(&state.replace('_', " "));
        let state = if state == "pass" { state } else { format!("**{state}**") };
        format!("| {} | {state} |\n", code(name))
    };
    let steps: String = inner.steps.iter().map(step).collect();
    if !steps.is_empty() {
        out += &format!("\n| step of its plan | state |\n|---|---|\n{steps}");
    }
    out
}

fn line(criterion: &CriterionResult) -> String {
    let mark = match (is_good(criterion), &criterion.waiver) {
        (true, _) => "✓",
        (false, Some(waiver)) if !waiver.expired => "waived",
        _ if criterion.state == State::Error => "error",
        _ if criterion.state == State::Inconclusive => "?",
        _ => "✗",
    };
    let tier = if criterion.tier == Tier::Pass { String::new() } else { format!("{}: ", criterion.tier.word()) };
    let implied = if criterion.implied { " (implied)" } else { "" };
    let said: Vec<&str> = [&criterion.margin, &criterion.note].into_iter().flatten().map(String::as_str).collect();
    format!(
        "| {mark} | {tier}{}{implied} | {} | {} | {} |\n",
        code(&criterion.text),
        code(&criterion.expected),
        code(&criterion.actual),
        cell(&said.join("; "))
    )
}

fn bold(row: &Row<'_>) -> String {
    let word = row.word().replace('_', " ");
    if word == "pass" { word } else { format!("**{word}**") }
}

/// One line, not longer than is useful.
fn short(text: &str) -> String {
    cut(text, LONGEST)
}

fn cut(text: &str, longest: usize) -> String {
    let text = escape::line(text);
    if text.chars().count() <= longest {
        return text;
    }
    text.chars().take(longest).chain(['…']).collect()
}

/// Text that is no markup, also in a cell.
fn plain(text: &str) -> String {
    let mut out = String::new();
    for c in short(text).chars() {
        if matches!(c, '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '|' | '#' | '~') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// As [`plain`]: a cell needs no more.
fn cell(text: &str) -> String {
    plain(text)
}

/// A code span in a cell of a table.
fn code(text: &str) -> String {
    span(text).replace('|', "\\|")
}

/// A code span that holds any text.
fn span(text: &str) -> String {
    span_of(&short(text))
}

fn span_of(text: &str) -> String {
    if text.is_empty() {
        return String::new();
    }
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    let space = if text.starts_with('`') || text.ends_with('`') { " " } else { "" };
    format!("{fence}{space}{text}{space}{fence}")
}

/// A link's target.
fn url(path: &str) -> String {
    let mut out = String::new();
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/:@+,=".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}
