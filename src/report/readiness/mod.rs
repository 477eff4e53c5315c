//! The readiness report: what a run proved, criterion by criterion, and what people said about it. Pure renderings of
//! one value; knows no file.

pub mod canary;
pub mod html;
pub mod json;
pub mod junit;
pub mod markdown;
pub mod parts;

use crate::event::{PlanHead, Settings, StepHead};
use crate::facts::Facts;
use crate::outcome::{Cause, CriterionResult, Decision, State, StepResult, Tier, Verdict};
use crate::policy::{SignoffStanding, SignoffState};

use super::escape;
use super::style::{Line, Look, Role, page};

/// Everything that the report tells.
#[derive(Debug)]
pub struct Readiness<'a> {
    /// The plan.
    pub plan: &'a PlanHead,
    /// How it ran.
    pub settings: &'a Settings,
    /// Every step, in plan rank.
    pub rows: Vec<Row<'a>>,
    /// The decision as it is now.
    pub decision: &'a Decision,
    /// How every role stands now.
    pub standings: &'a [SignoffStanding],
    /// When the run began (RFC 3339).
    pub started: String,
    /// How long it took.
    pub took_ns: u64,
    /// When the report was made (RFC 3339).
    pub at: String,
    /// The day that waivers are held against.
    pub day: String,
    /// Id of the record.
    pub record: String,
    /// SHA-256 of the journal.
    pub journal: String,
    /// Way to the folder of the run.
    pub folder: String,
}

/// One step.
#[derive(Debug)]
pub struct Row<'a> {
    /// Its announcement.
    pub head: &'a StepHead,
    /// What it came to; none if it never ran.
    pub result: Option<&'a StepResult>,
    /// How it ended, as if serial.
    pub state: State,
    /// Why.
    pub cause: Option<Cause>,
    /// What the attempt that decided saw last.
    pub facts: Option<&'a Facts>,
    /// It stood by a waiver that has ended since.
    pub lapsed: bool,
    /// Evidence that was kept.
    pub links: Vec<Link>,
}

/// Evidence that was kept.
#[derive(Debug)]
pub struct Link {
    /// Its name.
    pub name: String,
    /// Where it lies, from where the report lies.
    pub target: String,
    /// Digest of its bytes, where it is archived by content.
    pub sha256: Option<String>,
}

impl Row<'_> {
    /// The state, with the `waived` overlay.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match (&self.cause, self.lapsed) {
            (Some(Cause::Waived), true) => "fail",
            (Some(Cause::Waived), false) => "waived",
            _ => self.state.word(),
        }
    }

    /// Criteria of the attempt that decided.
    #[must_use]
    pub fn criteria(&self) -> &[CriterionResult] {
        self.result.map_or(&[], StepResult::criteria)
    }

    /// Time of all attempts.
    #[must_use]
    pub fn took_ns(&self) -> u64 {
        self.result.map_or(0, |result| result.attempts.iter().map(|attempt| attempt.duration_ns).sum())
    }

    /// Why it is no pass.
    #[must_use]
    pub fn why(&self) -> Option<String> {
        let detail = self.result.and_then(|result| result.detail.clone());
        detail.or_else(|| self.cause.as_ref().map(ToString::to_string))
    }
}

/// Whether a criterion is as it should be: a `reject` one must not hold.
#[must_use]
pub fn is_good(criterion: &CriterionResult) -> bool {
    if criterion.tier == Tier::Reject { criterion.state == State::Fail } else { criterion.state == State::Pass }
}

/// The end of `runplan decide` on a terminal: the decision, what speaks against it, how every role stands.
#[must_use]
pub fn closing(
    decision: &Decision,
    standings: &[SignoffStanding],
    lapsed: &[String],
    record: &str,
    look: Look,
) -> String {
    let role = match decision.verdict {
        Verdict::Go => Role::Good,
        Verdict::Hold => Role::Warn,
        Verdict::NoGo => Role::Bad,
    };
    let bounds = format!("  risk {} (go <= {}, no-go >= {})", decision.risk, decision.go, decision.no_go);
    let mut lines = vec![Line::of(role, decision.verdict.word()).plain(&bounds)];
    for (word, role, list) in [("veto", Role::Bad, &decision.vetoes), ("hold", Role::Warn, &decision.holds)] {
        for veto in list {
            let id = if veto.id.is_empty() { String::new() } else { format!("{}: ", veto.id) };
            let rows = escape::wrap(&escape::line(&format!("{id}{}", veto.reason)), look.width.saturating_sub(10));
            lines.extend(rows.iter().enumerate().map(|(at, row)| {
                let line = Line::new().plain("  ");
                if at == 0 { line.with(role, word).plain("  ") } else { line.pad(8) }.plain(row)
            }));
        }
    }
    for step in lapsed {
        lines.push(
            Line::new().plain("  ").with(Role::Bad, "waiver").plain(&format!("  of {step} has ended since the run")),
        );
    }
    for standing in standings {
        let role = match standing.state {
            SignoffState::Approved => Role::Good,
            SignoffState::Missing => Role::Dim,
            SignoffState::Refused => Role::Warn,
            SignoffState::Rejected => Role::Bad,
        };
        let line = Line::new().plain("  ").with(role, standing.state.word()).pad(12).with(Role::Strong, &standing.role);
        let who = [&standing.who, &standing.at].into_iter().flatten();
        lines.push(who.fold(line, |line, text| line.plain("  ").plain(text)));
    }
    lines.push(Line::new().plain("  record sha256:").plain(record));
    page(&lines, look)
}

#[cfg(test)]
mod tests {
    use super::super::sample::{Stream, attempt, below, criterion, exit_one, golden, no_go};
    use super::*;
    use crate::event::EventKind;
    use crate::facts::{Num, Unit, Value};
    use crate::outcome::{AttemptResult, Compared, WaiverMark};

    /// A run with a pass, a failure, a waiver, a skip and kept evidence.
    fn stream() -> Stream {
        let mut stream = Stream::open(&["unit|lib", "fmt", "coverage", "canary", "package"]);
        let good =
            criterion(Tier::Pass, "stdout contains \"a|b`c\"", State::Pass, "contains \"a|b`c\"", "x\n<b>\u{1b}[1m");
        stream.start("unit|lib", 1);
        stream.end("unit|lib", &[], AttemptResult { criteria: vec![good], ..attempt(State::Pass, None, 2_310) });
        stream.start("fmt", 1).end("fmt", &[], exit_one(420));
        let mut waived = below(State::Warn, 34_100);
        waived.cause = Some(Cause::Waived);
        waived.detail = Some("`percent(lines) >= 55`: was 31.4 %; waived by ana until 2026-12-01: legacy".into());
        for failing in waived.criteria.iter_mut().filter(|c| c.state == State::Fail) {
            failing.waiver = Some(WaiverMark {
                owner: "ana".into(),
                reason: "legacy".into(),
                expires: "2026-12-01".into(),
                expired: false,
            });
        }
        stream.start("coverage", 1).end("coverage", &[], waived);
        let mut slow = criterion(
            Tier::Pass,
            "p95(latency) <= baseline + 10%",
            State::Fail,
            "<= baseline + 10 % (bootstrap, alpha 0.05)",
            "1.3× (1.2× to 1.4×, 300 against 300 samples)",
        );
        slow.compared = Some(Box::new(Compared {
            subject: "p95(latency)".into(),
            candidate: "65 ms".into(),
            baseline: "50 ms".into(),
            estimate: Some("1.3×".into()),
            interval: Some(["1.2×".into(), "1.4×".into()]),
            limit: "<= 1.1×".into(),
            n: [300, 300],
            method: "bootstrap, alpha 0.05".into(),
        }));
        let slow = AttemptResult { criteria: vec![slow], ..attempt(State::Fail, Some(Cause::Criteria), 2_000) };
        stream.start("canary", 1).end("canary", &[], slow);
        stream.unrun("package", State::Skipped, Cause::NeedFailed("fmt".into()));
        stream
    }

    fn standings() -> Vec<SignoffStanding> {
        let approved = SignoffStanding {
            state: SignoffState::Approved,
            who: Some("ana".into()),
            at: Some("2026-11-24T07:00:00Z".into()),
            key: Some("SHA256:abc".into()),
            comment: Some("looks | good".into()),
            ..SignoffStanding::missing("Dev Backend")
        };
        let refused = SignoffStanding {
            state: SignoffState::Refused,
            who: Some("eve".into()),
            reason: Some("the signature does not verify: incorrect signature".into()),
            ..SignoffStanding::missing("Ops/SRE")
        };
        vec![approved, refused, SignoffStanding::missing("Producto")]
    }

    fn with(test: impl FnOnce(&Readiness<'_>)) {
        let (stream, standings, decision) = (stream(), standings(), no_go());
        let EventKind::Open { plan, settings, steps } = &stream.events[0].kind else { panic!("no open") };
        let mut steps = steps.clone();
        steps.iter_mut().filter(|head| head.name == "canary").for_each(|head| head.kind = "promql".into());
        let asked = |side: &str, value: Value, series: i64| {
            let (side, query) = (Value::text(side), Value::text(format!("sum(a{{side=\"{side}\"}} or b)")));
            let parts = [
                ("side", side),
                ("what", Value::text("value")),
                ("query", query),
                ("series", Value::int(series)),
                ("value", value),
            ];
            Value::Map(parts.map(|(name, value)| (name.to_owned(), value)).into())
        };
        let mut facts = Facts::about(1, "series");
        facts.set("time", Value::text("2026-11-24T06:15:09.5Z"));
        facts.set(
            "asked",
            Value::List(vec![
                asked("candidate", Value::Num(Num::decimal("0.065").unwrap(), Unit::One), 1),
                asked("baseline", Value::Null, 0),
            ]),
        );
        let rows = steps.iter().map(|head| {
            let result = stream.events.iter().find_map(|event| match &event.kind {
                EventKind::Commit { step, result } if *step == head.step => Some(result.as_ref()),
                _ => None,
            });
            let result = result.unwrap();
            let link = Link {
                name: "htmlcov/index.html".into(),
                target: ".runplan/objects/sha256/ab/cd e".into(),
                sha256: Some("ab".repeat(32)),
            };
            Row {
                head,
                result: (!result.attempts.is_empty()).then_some(result),
                state: result.state,
                cause: result.cause.clone(),
                facts: (head.name == "canary").then_some(&facts),
                lapsed: false,
                links: if head.name == "coverage" { vec![link] } else { Vec::new() },
            }
        });
        test(&Readiness {
            plan,
            settings,
            rows: rows.collect(),
            decision: &decision,
            standings: &standings,
            started: "2026-11-24T06:15:00Z".into(),
            took_ns: 72_000_000_000,
            at: "2026-11-24T07:10:00Z".into(),
            day: "2026-11-24".into(),
            record: "5f".repeat(32),
            journal: "6a".repeat(32),
            folder: ".runplan/runs/x".into(),
        });
    }

    #[test]
    fn the_documents_are_as_they_were() {
        with(|readiness| {
            golden("readiness.md", &markdown::render(readiness));
            golden("readiness.json", &format!("{:#}\n", json::render(readiness)));
            golden("readiness.xml", &junit::render(readiness));
            golden("readiness.html", &html::render(readiness));
        });
    }

    /// A row of another kind, with what it saw.
    fn row<'a>(readiness: &Readiness<'a>, head: &'a StepHead, facts: &'a Facts) -> Row<'a> {
        Row { head, facts: Some(facts), cause: None, links: Vec::new(), ..readiness.rows[0] }
    }

    #[test]
    fn gates_and_plans_within_the_plan_are_told() {
        let map =
            |parts: &[(&str, Value)]| Value::Map(parts.iter().map(|(n, v)| ((*n).to_owned(), v.clone())).collect());
        let mut gate = Facts::about(2, "role");
        let ana = map(&[("decision", Value::text("approved")), ("by", Value::text("ana"))]);
        let ops = map(&[("decision", Value::text("refused")), ("reason", Value::text("expired | yesterday"))]);
        gate.set("role", map(&[("Dev", ana), ("Ops", ops)]));
        let mut child = Facts::about(2, "step of the plan");
        child.set("decision", Value::text("HOLD"));
        child.set("risk", Value::int(15));
        child.set("record", Value::text("sha256:5f"));
        child.set("vetoes", Value::List(Vec::new()));
        child.set("holds", Value::List(vec![Value::text("soft: not *yet*")]));
        child.set(
            "step",
            map(&[("a", map(&[("state", Value::text("pass"))])), ("b", map(&[("state", Value::text("not_run"))]))]),
        );
        with(|readiness| {
            let head = |kind: &str| StepHead { kind: kind.into(), ..readiness.rows[0].head.clone() };
            let (approve, nested) = (head("signoff"), head("plan"));
            let more = Readiness {
                rows: vec![row(readiness, &approve, &gate), row(readiness, &nested, &child)],
                started: String::new(),
                at: String::new(),
                day: String::new(),
                record: String::new(),
                journal: String::new(),
                folder: String::new(),
                ..*readiness
            };
            let text = markdown::render(&more);
            assert!(
                text.contains("| Dev | approved | ana |  |\n| Ops | **refused** |  | expired \\| yesterday |\n"),
                "{text}"
            );
            let told = "Its plan is **HOLD** with risk 15, record `sha256:5f`\n\n- soft: not \\*yet\\*\n";
            assert!(text.contains(told) && text.contains("| `a` | pass |\n| `b` | **not run** |\n"), "{text}");
            let json = json::render(&more);
            assert_eq!(json["steps"][0]["signers"][1]["reason"], "expired | yesterday");
            assert_eq!(
                (&json["steps"][1]["plan"]["risk"], &json["steps"][1]["plan"]["steps"][1][1]),
                (&"15".into(), &"not_run".into())
            );
            assert!(json["steps"][1].get("signers").is_none() && json["steps"][0].get("plan").is_none());
        });
    }

    #[test]
    fn nothing_observed_becomes_markup_of_the_page() {
        let hostile = "</code></title><script>alert(1)</script><img src=x onerror=y> [a](javascript:b) `|`<i>";
        with(|readiness| {
            let mut plan = readiness.plan.clone();
            plan.title = Some(hostile.into());
            let head = StepHead { name: hostile.into(), title: Some(hostile.into()), ..readiness.rows[0].head.clone() };
            let link = |target: &str| Link { name: hostile.into(), target: target.into(), sha256: None };
            let mut result = readiness.rows[0].result.cloned().unwrap();
            result.detail = Some(hostile.into());
            result.allowed_empty = Some(hostile.into());
            for criterion in &mut result.attempts[0].criteria {
                criterion.actual = hostile.into();
                criterion.note = Some(hostile.into());
            }
            let row = Row {
                head: &head,
                result: Some(&result),
                state: State::Fail,
                cause: None,
                links: vec![link("javascript:alert(1)"), link("data:text/html,x"), link("../a b.txt")],
                ..readiness.rows[0]
            };
            let page = html::render(&Readiness {
                plan: &plan,
                rows: vec![row],
                started: String::new(),
                at: String::new(),
                day: String::new(),
                record: String::new(),
                journal: String::new(),
                folder: "x".into(),
                ..*readiness
            });
            for markup in ["<script", "<img", "<i>", "href=\"javascript", "href=\"data", "onerror=y>"] {
                assert!(!page.contains(markup), "{markup}: {page}");
            }
            assert_eq!(page.matches("</title>").count(), 1);
            assert!(page.contains("<a href=\"../a%20b.txt\">"), "{page}");
            assert!(page.contains("default-src 'none'; style-src 'unsafe-inline'"));
            assert!(junit::render(readiness).starts_with("<?xml"));
        });
    }

    #[test]
    fn a_waiver_that_has_ended_is_a_failure() {
        with(|readiness| {
            let mut row = Row { links: Vec::new(), cause: readiness.rows[2].cause.clone(), ..readiness.rows[2] };
            assert_eq!(row.word(), "waived");
            row.lapsed = true;
            assert_eq!(row.word(), "fail");
        });
    }

    #[test]
    fn decide_tells_every_role() {
        let look = Look { width: 80, colour: false };
        let text = closing(&no_go(), &standings(), &["coverage".into()], &"5f".repeat(32), look);
        assert!(
            text.starts_with("NO-GO  risk 84 (go <= 40, no-go >= 70)\n  veto  fmt: required and failed\n"),
            "{text}"
        );
        assert!(text.contains("  approved  Dev Backend  ana  2026-11-24T07:00:00Z\n"), "{text}");
        assert!(text.contains("  missing   Producto\n"), "{text}");
        assert!(text.contains("  waiver  of coverage has ended since the run\n"), "{text}");
    }
}
