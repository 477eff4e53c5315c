//! An OTLP trace as JSON (`ExportTraceServiceRequest`), by the CI/CD semantic conventions of the version that
//! `schemaUrl` pins: a span for the run, one a step, one an attempt. Ids are digests, so an export made twice is one trace.

use serde_json::{Value as Json, json};

use super::{Came, End, Run, Step, document, id, line};
use crate::outcome::{Cause, CriterionResult, State, Verdict};
use crate::record::store::{FOLDER, step_folder};

/// The conventions on CI/CD are in development: this is the version that is meant.
const SCHEMA: &str = "https://opentelemetry.io/schemas/1.37.0";
/// Kinds of a span.
const INTERNAL: u32 = 1;
const SERVER: u32 = 2;
/// Status of a span that failed.
const ERROR: u32 = 2;
/// Hex digits of the ids.
const TRACE_DIGITS: usize = 32;
const SPAN_DIGITS: usize = 16;

/// The document.
#[must_use]
pub fn render(run: &Run) -> Vec<u8> {
    let trace = Trace { run, id: id(TRACE_DIGITS, &["otlp", &run.about.run, &run.plan.sha256]) };
    let mut spans = vec![trace.root()];
    for step in &run.steps {
        trace.step(step, &mut spans);
    }
    let resource = [
        text("service.name", "runplan"),
        text("service.version", &run.settings.engine),
        text("host.name", &run.settings.host),
        text("cicd.pipeline.name", &run.plan.name),
        text("cicd.pipeline.run.id", &run.about.run),
    ];
    document(&json!({
        "resourceSpans": [{
            "resource": { "attributes": resource },
            "scopeSpans": [{
                "scope": { "name": "runplan", "version": run.settings.engine },
                "spans": spans,
                "schemaUrl": SCHEMA,
            }],
            "schemaUrl": SCHEMA,
        }],
    }))
}

struct Trace<'r> {
    run: &'r Run,
    id: String,
}

/// What a span is made of, beside its trace.
struct Span<'s> {
    id: String,
    parent: Option<String>,
    name: String,
    kind: u32,
    at: (u64, u64),
    attributes: Vec<Json>,
    events: Vec<Json>,
    /// The sentence of a failure.
    failed: Option<&'s str>,
}

impl Trace<'_> {
    fn span_id(&self, parts: &[&str]) -> String {
        let all: Vec<&str> = std::iter::once(self.id.as_str()).chain(parts.iter().copied()).collect();
        id(SPAN_DIGITS, &all)
    }

    fn span(&self, span: Span<'_>) -> Json {
        let mut value = json!({ "traceId": self.id, "spanId": span.id });
        if let Some(parent) = span.parent {
            value["parentSpanId"] = parent.into();
        }
        value["name"] = span.name.into();
        value["kind"] = span.kind.into();
        value["startTimeUnixNano"] = self.run.wall_ns(span.at.0).to_string().into();
        value["endTimeUnixNano"] = self.run.wall_ns(span.at.1.max(span.at.0)).to_string().into();
        value["attributes"] = span.attributes.into();
        value["events"] = span.events.into();
        value["status"] = match span.failed {
            Some(why) => json!({ "code": ERROR, "message": line(why) }),
            None => json!({}),
        };
        value
    }

    fn root(&self) -> Json {
        let run = self.run;
        let (result, error) = match (run.verdict(), run.end) {
            (Some(Verdict::Go), _) => ("success", None),
            (Some(verdict @ (Verdict::Hold | Verdict::NoGo)), _) => {
                ("failure", Some(if verdict == Verdict::Hold { "hold" } else { "no_go" }))
            }
            (None, End::Interrupted(_)) => ("cancellation", Some("interrupted")),
            (None, _) => ("error", Some("unfinished")),
        };
        let mut attributes = vec![
            text("cicd.pipeline.action.name", "RUN"),
            text("cicd.pipeline.name", &run.plan.name),
            text("cicd.pipeline.run.id", &run.about.run),
            text("cicd.pipeline.result", result),
            text("runplan.decision", run.word()),
            text("runplan.plan.sha256", &run.plan.sha256),
        ];
        attributes.extend(error.map(|error| text("error.type", error)));
        attributes.extend(run.about.record.iter().map(|(id, _)| text("runplan.record", id)));
        attributes.extend(run.decision.iter().map(|decision| number("runplan.risk", u64::from(decision.risk))));
        let marks = run.marks.iter().map(|mark| {
            let attributes = [text("runplan.code", &mark.name), text("runplan.text", &mark.text)];
            self.event(mark.kind, mark.at, &attributes)
        });
        let why = run.why();
        self.span(Span {
            id: self.span_id(&["run"]),
            parent: None,
            name: format!("RUN {}", line(&run.plan.name)),
            kind: SERVER,
            at: (0, run.took_ns),
            attributes,
            events: marks.collect(),
            failed: error.map(|_| why.as_str()),
        })
    }

    fn event(&self, name: &str, at: u64, attributes: &[Json]) -> Json {
        json!({ "timeUnixNano": self.run.wall_ns(at).to_string(), "name": line(name), "attributes": attributes })
    }

    fn step(&self, step: &Step, spans: &mut Vec<Json>) {
        let head = &step.head;
        let span_id = self.span_id(&["step", &head.name]);
        // What nothing ran of stands as a moment, at the end of the run.
        let at = step.span.unwrap_or((self.run.took_ns, self.run.took_ns));
        let result = result(step.came, step.cause.as_ref());
        let failed = matches!(result, "failure" | "error" | "timeout" | "cancellation");
        let mut attributes = vec![
            text("cicd.pipeline.task.name", &head.name),
            text("cicd.pipeline.task.run.id", &span_id),
            text("cicd.pipeline.task.run.result", result),
            text("cicd.pipeline.task.run.url.full", &self.url(step)),
            text("runplan.state", step.came.word()),
            text("runplan.kind", &head.kind),
            number("runplan.rank", u64::from(head.rank)),
        ];
        if failed {
            attributes.push(text("error.type", step.error_type()));
        }
        attributes.extend(step.reused.iter().map(|run| text("runplan.reused_from", run)));
        let criteria = step.criteria().iter();
        let why = step.why();
        spans.push(self.span(Span {
            id: span_id.clone(),
            parent: Some(self.span_id(&["run"])),
            name: line(&head.name),
            kind: INTERNAL,
            at,
            attributes,
            events: criteria.map(|criterion| self.event("criterion", at.1, &criterion_attributes(criterion))).collect(),
            failed: failed.then_some(why.as_str()),
        }));
        for attempt in &step.attempts {
            let number_text = attempt.number.to_string();
            let (state, cause, detail) = match &attempt.result {
                Some(result) => (result.state.word(), result.cause.as_ref(), result.detail.as_deref()),
                None => ("unfinished", None, Some("the run ended before this attempt did")),
            };
            let bad = attempt.result.as_ref().is_none_or(|result| result.state.is_failure());
            let mut attributes =
                vec![number("runplan.attempt", u64::from(attempt.number)), text("runplan.state", state)];
            if bad {
                attributes.push(text("error.type", cause.map_or(state, Cause::code)));
            }
            spans.push(self.span(Span {
                id: self.span_id(&["attempt", &head.name, &number_text]),
                parent: Some(span_id.clone()),
                name: format!("{} attempt {number_text}", line(&head.name)),
                kind: INTERNAL,
                at: (attempt.start, attempt.end),
                attributes,
                events: Vec::new(),
                failed: bad.then_some(detail.unwrap_or(state)),
            }));
        }
    }

    /// Where the output of a step lay on the machine that ran it.
    fn url(&self, step: &Step) -> String {
        let settings = &self.run.settings;
        let folder = step_folder(step.head.rank, &step.head.name);
        let path = format!("{}/{FOLDER}/runs/{}/steps/{folder}", settings.workspace, self.run.about.run);
        format!("file://{}{}", encoded(&settings.host), encoded(&path))
    }
}

/// A path or a host name as a URL may hold it.
fn encoded(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'/') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// A result that the conventions know.
fn result(came: Came, cause: Option<&Cause>) -> &'static str {
    match came {
        Came::Pass | Came::Warn | Came::Waived => "success",
        Came::Fail | Came::Inconclusive | Came::Error if cause == Some(&Cause::Timeout) => "timeout",
        Came::Fail | Came::Inconclusive => "failure",
        Came::Error => "error",
        Came::Unfinished => "cancellation",
        Came::Pending | Came::Skipped | Came::Blocked | Came::NotReached => "skip",
    }
}

fn criterion_attributes(criterion: &CriterionResult) -> Vec<Json> {
    let mut all = vec![
        text("runplan.criterion.tier", criterion.tier.word()),
        text("runplan.criterion.text", &criterion.text),
        text("runplan.criterion.state", criterion.state.word()),
    ];
    if criterion.state != State::Pass {
        all.push(text("runplan.criterion.expected", &criterion.expected));
        all.push(text("runplan.criterion.actual", &criterion.actual));
    }
    all
}

fn text(key: &str, value: &str) -> Json {
    json!({ "key": key, "value": { "stringValue": line(value) } })
}

/// 64-bit numbers are texts in this JSON.
fn number(key: &str, value: u64) -> Json {
    json!({ "key": key, "value": { "intValue": value.to_string() } })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::run::tests::{broken_off, eventful};
    use super::*;

    fn spans(run: &Run) -> Vec<Json> {
        let document: Json = serde_json::from_slice(&render(run)).unwrap();
        document["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().unwrap().clone()
    }

    #[test]
    fn every_span_has_an_id_of_its_own_and_a_parent_that_is_there() {
        for run in [eventful(), broken_off()] {
            let spans = spans(&run);
            let ids: BTreeSet<&str> = spans.iter().map(|span| span["spanId"].as_str().unwrap()).collect();
            assert_eq!(ids.len(), spans.len());
            assert!(ids.iter().all(|id| id.len() == 16 && *id != "0000000000000000"));
            let parents: Vec<&str> = spans.iter().filter_map(|span| span["parentSpanId"].as_str()).collect();
            assert_eq!(parents.len(), spans.len() - 1, "one root");
            assert!(parents.iter().all(|parent| ids.contains(parent)));
            assert_eq!(render(&run), render(&run.clone()));
        }
    }

    #[test]
    fn results_are_those_of_the_conventions() {
        let cause = Some(&Cause::Timeout);
        assert_eq!((result(Came::Fail, cause), result(Came::Error, None)), ("timeout", "error"));
        let of = |run: &Run, key: &str| -> Vec<String> {
            let all = spans(run);
            let value = |span: &Json| {
                let found = span["attributes"].as_array()?.iter().find(|attribute| attribute["key"] == key)?;
                Some(found["value"]["stringValue"].as_str()?.to_owned())
            };
            all.iter().filter_map(value).collect()
        };
        assert_eq!(of(&eventful(), "cicd.pipeline.result"), ["failure"]);
        let results = of(&eventful(), "cicd.pipeline.task.run.result");
        assert_eq!(results, ["success", "success", "failure", "skip", "skip", "skip"]);
        assert_eq!(of(&broken_off(), "cicd.pipeline.result"), ["error"]);
        assert_eq!(encoded("/a b/ü"), "/a%20b/%C3%BC");
    }
}
