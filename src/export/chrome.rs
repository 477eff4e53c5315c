//! A Chrome trace (JSON object format), which Perfetto and `chrome://tracing` open: as many lanes as steps overlapped (one
//! that waits for its next attempt still holds its lane); a step holds its attempts. Times are whole microseconds since
//! the run began.

use serde_json::{Value as Json, json};

use super::{Came, Run, Step, document, line};

/// The one process of a trace.
const PID: u32 = 1;
/// The lane of the run as a whole; those of steps follow. (Viewers take 0 for an idle processor.)
const WHOLE: usize = 1;

/// The document.
#[must_use]
pub fn render(run: &Run) -> Vec<u8> {
    let mut events = vec![named("process_name", WHOLE, &run.plan.name), named("thread_name", WHOLE, "run")];
    let placed = lanes(&run.steps);
    let count = placed.iter().map(|(lane, _)| *lane).max().unwrap_or(0);
    events.extend((1..=count).map(|lane| named("thread_name", WHOLE + lane, &format!("lane {lane}"))));
    let args = json!({ "decision": run.word(), "why": line(&run.why()), "run": line(&run.about.run) });
    events.push(span(WHOLE, &line(&run.plan.name), "run", (0, run.took_ns), None, &args));
    for (lane, step) in &placed {
        step_events(run, WHOLE + lane, step, &mut events);
    }
    for mark in &run.marks {
        let args = json!({ "text": line(&mark.text) });
        let (name, ts) = (line(&mark.name), mark.at / 1000);
        events.push(json!({
            "name": name, "cat": mark.kind, "ph": "i", "s": "g", "ts": ts, "pid": PID, "tid": WHOLE, "args": args,
        }));
    }
    document(&json!({
        "displayTimeUnit": "ms",
        "otherData": {
            "run": run.about.run, "plan": run.plan.sha256, "record": run.about.record.as_ref().map(|(id, _)| id),
            "decision": run.word(), "complete": run.decision.is_some(), "engine": run.settings.engine,
            "begun_at_ms": run.wall_ms(0).to_string(),
        },
        "traceEvents": events,
    }))
}

/// Gives the process or a lane its name.
fn named(what: &str, lane: usize, name: &str) -> Json {
    let args = json!({ "name": line(name) });
    json!({ "name": what, "cat": "__metadata", "ph": "M", "ts": 0, "pid": PID, "tid": lane, "args": args })
}

fn step_events(run: &Run, lane: usize, step: &Step, events: &mut Vec<Json>) {
    let Some(whole) = step.span else { return };
    let criteria: Vec<Json> = step
        .criteria()
        .iter()
        .map(|criterion| {
            json!({
                "tier": criterion.tier.word(), "text": line(&criterion.text), "state": criterion.state.word(),
                "actual": line(&criterion.actual),
            })
        })
        .collect();
    let args = json!({
        "state": step.came.word(), "kind": step.head.kind, "rank": step.head.rank,
        "why": if step.came == Came::Pass { Json::Null } else { line(&step.why()).into() },
        "place": line(&step.head.place), "reused_from": step.reused.as_deref().map(line), "criteria": criteria,
    });
    let colour = colour(step.came);
    events.push(span(lane, &line(&step.head.name), "step", whole, colour, &args));
    for attempt in &step.attempts {
        let state = attempt.result.as_ref().map_or("unfinished", |result| result.state.word());
        let detail = attempt.result.as_ref().and_then(|result| result.detail.as_deref()).map(line);
        let args = json!({ "state": state, "why": detail });
        let within = (attempt.start, attempt.end.min(whole.1));
        events.push(span(lane, &format!("attempt {}", attempt.number), "attempt", within, None, &args));
    }
    for mark in run.marks.iter().filter(|mark| mark.step == Some(step.head.step)) {
        let ts = mark.at.clamp(whole.0, whole.1) / 1000;
        let (name, args) = (line(&mark.name), json!({ "text": line(&mark.text) }));
        events.push(json!({
            "name": name, "cat": mark.kind, "ph": "i", "s": "t", "ts": ts, "pid": PID, "tid": lane, "args": args,
        }));
    }
}

/// Both ends are cut to whole microseconds, so that what lies within another span still does.
fn span(lane: usize, name: &str, cat: &str, (from, to): (u64, u64), colour: Option<&str>, args: &Json) -> Json {
    let (ts, end) = (from / 1000, to.max(from) / 1000);
    let mut event = json!({
        "name": name, "cat": cat, "ph": "X", "ts": ts, "dur": end - ts, "pid": PID, "tid": lane, "args": args,
    });
    if let Some(colour) = colour {
        event["cname"] = colour.into();
    }
    event
}

/// Names of the viewer's own palette.
fn colour(came: Came) -> Option<&'static str> {
    match came {
        Came::Pass => Some("good"),
        Came::Warn | Came::Waived | Came::Pending => Some("bad"),
        Came::Fail | Came::Inconclusive | Came::Error | Came::Unfinished => Some("terrible"),
        Came::Skipped | Came::Blocked | Came::NotReached => Some("grey"),
    }
}

/// Every step that ran with its lane, from 1: the first one that is free when it starts.
fn lanes(steps: &[Step]) -> Vec<(usize, &Step)> {
    let mut ran: Vec<((u64, u64), &Step)> = steps.iter().filter_map(|step| Some((step.span?, step))).collect();
    ran.sort_by_key(|((from, to), step)| (*from, *to, step.head.rank));
    let mut free_from: Vec<u64> = Vec::new();
    let mut placed = Vec::new();
    for ((from, to), step) in ran {
        let lane = match free_from.iter().position(|free| *free <= from) {
            Some(lane) => lane,
            None => {
                free_from.push(0);
                free_from.len() - 1
            }
        };
        free_from[lane] = to;
        placed.push((lane + 1, step));
    }
    placed
}

#[cfg(test)]
mod tests {
    use super::super::run::tests::{broken_off, eventful};
    use super::*;

    fn events(run: &Run) -> Vec<Json> {
        let document: Json = serde_json::from_slice(&render(run)).unwrap();
        document["traceEvents"].as_array().unwrap().clone()
    }

    #[test]
    fn steps_that_overlap_lie_in_lanes_of_their_own() {
        let run = eventful();
        let placed: Vec<(usize, &str)> =
            lanes(&run.steps).iter().map(|(lane, step)| (*lane, step.head.name.as_str())).collect();
        assert_eq!(placed, [(1, "a"), (2, "b#1 \\ x"), (1, "c")]);
    }

    #[test]
    fn spans_of_a_lane_are_nested_or_apart() {
        for run in [eventful(), broken_off()] {
            let spans: Vec<(u64, u64, u64)> = events(&run)
                .iter()
                .filter(|event| event["ph"] == "X")
                .map(|event| {
                    let number = |name: &str| event[name].as_u64().unwrap();
                    (number("tid"), number("ts"), number("ts") + number("dur"))
                })
                .collect();
            for (at, a) in spans.iter().enumerate() {
                for b in spans[at + 1..].iter().filter(|b| b.0 == a.0) {
                    let apart = a.2 <= b.1 || b.2 <= a.1;
                    let nested = (a.1 <= b.1 && b.2 <= a.2) || (b.1 <= a.1 && a.2 <= b.2);
                    assert!(apart || nested, "{a:?} {b:?}");
                }
            }
        }
    }
}
