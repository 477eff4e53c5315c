//! CTRF (Common Test Report Format), version 0.0.0: a test a step, and one for the decision. What the format has no
//! status for stands in `rawStatus`.

use serde_json::{Map, Value as Json, json};

use super::{Came, Run, Step, document, line, timestamp, uuid};
use crate::outcome::{AttemptResult, State, Verdict};

/// The version of the specification that is kept to.
const SPEC: &str = "0.0.0";

/// The document.
#[must_use]
pub fn render(run: &Run) -> Vec<u8> {
    let mut tests: Vec<Json> = run.steps.iter().map(|step| test(run, step)).collect();
    tests.push(decision(run));
    let count = |status: &str| tests.iter().filter(|test| test["status"] == status).count();
    let (start, stop) = (run.wall_ms(0), run.wall_ms(run.took_ns));
    let flaky = run.steps.iter().filter(|step| step.is_flaky()).count();
    let summary = json!({
        "tests": tests.len(), "passed": count("passed"), "failed": count("failed"), "skipped": count("skipped"),
        "pending": count("pending"), "other": count("other"), "flaky": flaky, "suites": 1,
        "start": start, "stop": stop, "duration": millis(run.took_ns),
    });
    let record = run.about.record.as_ref().map(|(id, _)| id.as_str());
    document(&json!({
        "reportFormat": "CTRF",
        "specVersion": SPEC,
        "reportId": uuid(&["ctrf", &run.about.run, record.unwrap_or("none")]),
        "runId": run.about.run,
        // When the run ended: an export made twice is the same twice.
        "timestamp": timestamp(stop),
        "generatedBy": "runplan",
        "results": {
            "tool": { "name": "runplan", "version": run.settings.engine },
            "summary": summary,
            "tests": tests,
            "extra": {
                "decision": run.word(), "why": line(&run.why()), "complete": run.decision.is_some(),
                "plan": run.plan.sha256, "record": record,
            },
        },
    }))
}

fn test(run: &Run, step: &Step) -> Json {
    let status = match step.came {
        Came::Pass | Came::Warn | Came::Waived => "passed",
        Came::Fail | Came::Inconclusive | Came::Error => "failed",
        Came::Pending => "pending",
        Came::Skipped | Came::Blocked | Came::NotReached => "skipped",
        Came::Unfinished => "other",
    };
    let mut test = base(run, &step.head.name, status, step.came.word(), step.took_ns());
    test.insert("type".into(), line(&step.head.kind).into());
    if let Some((from, to)) = step.span.filter(|_| step.result.is_some()) {
        test.insert("start".into(), run.wall_ms(from).into());
        test.insert("stop".into(), run.wall_ms(to).into());
    }
    if step.came != Came::Pass {
        test.insert("message".into(), line(&step.why()).into());
    }
    let mut place = step.head.place.rsplitn(3, ':').skip(1);
    if let (Some(Ok(row)), Some(path)) = (place.next().map(str::parse::<u32>), place.next()) {
        test.insert("filePath".into(), line(path).into());
        test.insert("line".into(), row.into());
    }
    let attempts = step.result.as_ref().map_or(&[][..], |result| &result.attempts);
    if let Some((_, earlier)) = attempts.split_last().filter(|(_, earlier)| !earlier.is_empty()) {
        test.insert("retries".into(), earlier.len().into());
        test.insert("flaky".into(), step.is_flaky().into());
        let earlier: Vec<Json> = earlier.iter().zip(1_u32..).map(|(result, number)| attempt(result, number)).collect();
        test.insert("retryAttempts".into(), earlier.into());
    }
    for (name, stream) in [("stdout", &step.written.stdout), ("stderr", &step.written.stderr)] {
        let text = stream.text();
        if !text.is_empty() {
            test.insert(name.into(), text.lines().collect::<Vec<_>>().into());
        }
    }
    let criteria: Vec<Json> = step.criteria().iter().map(criterion).collect();
    let mut extra =
        json!({ "required": step.head.required, "severity": step.head.severity.word(), "criteria": criteria });
    if let Some(from) = &step.reused {
        extra["reused_from"] = line(from).into();
    }
    test.insert("extra".into(), extra);
    test.into()
}

fn base(run: &Run, name: &str, status: &str, raw: &str, took_ns: u64) -> Map<String, Json> {
    let suite = line(&run.plan.name);
    let mut test = Map::new();
    // A name is never empty here, and the schema wants none that is.
    test.insert("testId".into(), uuid(&["ctrf-test", &run.plan.name, name]).into());
    test.insert("name".into(), line(name).into());
    test.insert("status".into(), status.into());
    test.insert("duration".into(), millis(took_ns).into());
    test.insert("suite".into(), json!([suite]));
    test.insert("rawStatus".into(), raw.into());
    test
}

fn attempt(result: &AttemptResult, number: u32) -> Json {
    let status = match result.state {
        State::Pass | State::Warn => "passed",
        State::Pending => "pending",
        State::Skipped | State::NotRun => "skipped",
        State::Fail | State::Inconclusive | State::Error => "failed",
    };
    let mut told = json!({ "attempt": number, "status": status, "duration": millis(result.duration_ns) });
    if let Some(detail) = &result.detail {
        told["message"] = line(detail).into();
    }
    told
}

fn criterion(criterion: &crate::outcome::CriterionResult) -> Json {
    json!({
        "tier": criterion.tier.word(), "text": line(&criterion.text), "state": criterion.state.word(),
        "expected": line(&criterion.expected), "actual": line(&criterion.actual),
    })
}

fn decision(run: &Run) -> Json {
    let status = match run.verdict() {
        Some(Verdict::Go) => "passed",
        Some(Verdict::Hold | Verdict::NoGo) => "failed",
        None => "other",
    };
    let mut test = base(run, "decision", status, run.word(), 0);
    test.insert("suite".into(), json!(["runplan"]));
    test.insert("testId".into(), uuid(&["ctrf-decision", &run.plan.name]).into());
    test.insert("message".into(), line(&format!("{}: {}", run.word(), run.why())).into());
    test.into()
}

fn millis(ns: u64) -> u64 {
    ns / 1_000_000
}

#[cfg(test)]
mod tests {
    use super::super::run::tests::{broken_off, eventful};
    use super::*;

    #[test]
    fn statuses_add_up_and_the_decision_is_a_test() {
        let report: Json = serde_json::from_slice(&render(&eventful())).unwrap();
        let summary = &report["results"]["summary"];
        let count = |name: &str| summary[name].as_u64().unwrap();
        assert_eq!(count("tests"), count("passed") + count("failed") + count("skipped") + count("pending"));
        assert_eq!((count("failed"), count("flaky"), count("pending")), (2, 1, 1));
        let tests = report["results"]["tests"].as_array().unwrap();
        assert_eq!(tests[1]["retryAttempts"][0]["status"], "failed");
        assert_eq!((&tests[2]["line"], &tests[2]["filePath"]), (&1.into(), &"seen-from/plan.toml".into()));
        assert_eq!(tests.last().unwrap()["rawStatus"], "NO-GO");
        let report: Json = serde_json::from_slice(&render(&broken_off())).unwrap();
        assert_eq!(report["results"]["summary"]["other"], 3);
    }
}
