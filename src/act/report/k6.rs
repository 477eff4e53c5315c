//! k6's end-of-test summary, as `--summary-export` writes it and as `handleSummary` gets it. Thresholds are worked out from
//! the figures where they are there: what the file says of them differs between the two.
//!
//! Facts: `bench` (see there) of the trends that are times, with those of `http_req_duration` at the top level; `metric`
//! (Map, name → Map) of all other figures as plain numbers: `rate`, `count`, `value`, `passes`, `fails`, and `avg`, `min`,
//! `med`, `max`, `p90`, `p95`, `p99` of trends that are no times; `checks` (Map: `total`, `passed`, `failed`, and
//! `names(failed)`) counts how often each was looked at, `thresholds` (the same) each once. Inspected: requests, or
//! iterations where there were none.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

use serde::Deserialize;
use serde_json::{Map, Value as Json};

use super::super::file::texts;
use super::bench::{self, Bench};
use super::{Fault, json};
use crate::facts::{Facts, Num, Unit, Value};

#[derive(Deserialize)]
struct Summary {
    metrics: Map<String, Json>,
    root_group: Option<Group>,
}

/// A list, or a table by name.
#[derive(Deserialize)]
#[serde(untagged)]
enum Many<T> {
    List(Vec<T>),
    Map(BTreeMap<String, T>),
}

impl<T> Many<T> {
    fn all(&self) -> Vec<&T> {
        match self {
            Self::List(items) => items.iter().collect(),
            Self::Map(items) => items.values().collect(),
        }
    }
}

#[derive(Deserialize)]
struct Group {
    groups: Option<Many<Group>>,
    checks: Option<Many<Check>>,
}

#[derive(Deserialize)]
struct Check {
    name: String,
    path: Option<String>,
    passes: u64,
    fails: u64,
}

/// One metric, in either shape.
struct Metric<'a> {
    name: &'a str,
    figures: BTreeMap<&'a str, f64>,
    /// Whether its figures are milliseconds.
    is_time: bool,
    /// Expression, and whether the file says that it holds.
    thresholds: Vec<(&'a str, bool)>,
}

/// Reads a summary.
pub(super) fn read(input: impl Read) -> Result<Facts, Fault> {
    let summary: Summary = json::read(input, "a k6 summary")?;
    let metrics = summary.metrics.iter().map(|(name, json)| metric(name, json)).collect::<Result<Vec<_>, _>>();
    let metrics = metrics.map_err(Fault::All)?;
    let count = |name: &str| metrics.iter().find(|m| m.name == name)?.figures.get("count").copied();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count, held in bounds by the cast")]
    let (count, what) = match (count("http_reqs"), count("iterations")) {
        (Some(requests), _) => (requests as u64, "request"),
        (None, iterations) => (iterations.unwrap_or(0.0) as u64, "iteration"),
    };
    let mut facts = Facts::about(count, what);
    let mut benches = BTreeMap::new();
    let mut plain = BTreeMap::new();
    for metric in &metrics {
        if metric.is_time {
            let named = metric.figures.iter().filter_map(|(key, value)| Some((of_time(key)?, *value)));
            let bench = Bench::of_figures(named).map_err(|why| Fault::All(format!("`{}`: {why}", metric.name)))?;
            benches.insert(metric.name.to_owned(), bench);
        } else {
            plain.insert(metric.name.to_owned(), Value::Map(metric.numbers()));
        }
    }
    bench::facts(&mut facts, benches, Some("http_req_duration"));
    facts.set("metric", Value::Map(plain));
    let (mut counts, mut failed) = ((0, 0), BTreeSet::new());
    if let Some(root) = &summary.root_group {
        root.checks(&mut counts, &mut failed);
    }
    facts.set("checks", tally(counts.0, counts.1, failed));
    let thresholds = metrics.iter().flat_map(|metric| {
        metric
            .thresholds
            .iter()
            .map(|(text, said)| (format!("{}: {text}", metric.name), metric.holds(text).unwrap_or(*said)))
    });
    let thresholds: Vec<(String, bool)> = thresholds.collect();
    let failed: BTreeSet<String> =
        thresholds.iter().filter(|(_, holds)| !holds).map(|(text, _)| text.clone()).collect();
    facts.set("thresholds", tally((thresholds.len() - failed.len()) as u64, failed.len() as u64, failed));
    Ok(facts)
}

fn tally(passed: u64, failed: u64, names: BTreeSet<String>) -> Value {
    let counts = [("total", passed.saturating_add(failed)), ("passed", passed), ("failed", failed)];
    let mut map: BTreeMap<String, Value> = counts.map(|(name, n)| (name.to_owned(), Value::int(n))).into();
    map.insert("names(failed)".to_owned(), texts(names.into_iter().collect()));
    Value::Map(map)
}

impl Group {
    /// How many looks passed and failed, and the checks of which any failed.
    fn checks(&self, (passed, missed): &mut (u64, u64), failed: &mut BTreeSet<String>) {
        for check in self.checks.iter().flat_map(Many::all) {
            *passed = passed.saturating_add(check.passes);
            *missed = missed.saturating_add(check.fails);
            if check.fails > 0 {
                failed.insert(check.path.as_deref().unwrap_or(&check.name).trim_start_matches("::").to_owned());
            }
        }
        let mut counts = (*passed, *missed);
        self.groups.iter().flat_map(Many::all).for_each(|group| group.checks(&mut counts, failed));
        (*passed, *missed) = counts;
    }
}

fn metric<'a>(name: &'a str, json: &'a Json) -> Result<Metric<'a>, String> {
    let table = json.as_object().ok_or_else(|| format!("metric `{name}` is no table"))?;
    // With `values` it is what `handleSummary` gets; else the figures stand beside the thresholds.
    let (figures, is_time) = match table.get("values") {
        Some(values) => {
            let values = values.as_object().ok_or_else(|| format!("`values` of metric `{name}` is no table"))?;
            let is_trend = table.get("type").and_then(Json::as_str) == Some("trend");
            (values, is_trend && table.get("contains").and_then(Json::as_str) == Some("time"))
        }
        None => {
            let base = name.split('{').next().unwrap_or(name);
            let known = ["http_req_", "ws_", "grpc_req_", "browser_"].iter().any(|prefix| base.starts_with(prefix));
            (table, table.contains_key("med") && (known || base.ends_with("_duration")))
        }
    };
    let mut metric = Metric { name, figures: BTreeMap::new(), is_time, thresholds: Vec::new() };
    for (key, value) in figures.iter().filter(|(key, _)| *key != "thresholds") {
        let number = value.as_f64().filter(|number| number.is_finite());
        metric.figures.insert(key, number.ok_or_else(|| format!("`{key}` of metric `{name}` is no number"))?);
    }
    for (text, said) in table.get("thresholds").and_then(Json::as_object).into_iter().flatten() {
        let holds = match said {
            // The export says `true` of a threshold that was crossed.
            Json::Bool(crossed) => !crossed,
            said => said
                .get("ok")
                .and_then(Json::as_bool)
                .ok_or_else(|| format!("threshold `{text}` of metric `{name}` says nothing"))?,
        };
        metric.thresholds.push((text, holds));
    }
    Ok(metric)
}

/// The fact that a figure of a trend of times is.
fn of_time(key: &str) -> Option<&'static str> {
    Some(match key {
        "avg" => "mean",
        "min" => "min",
        "med" | "p(50)" => "median",
        "max" => "max",
        "p(90)" => "p90",
        "p(95)" => "p95",
        "p(99)" => "p99",
        _ => return None,
    })
}

impl Metric<'_> {
    fn numbers(&self) -> BTreeMap<String, Value> {
        let number = |value: f64| Num::float(value).map_or(Value::Null, |num| Value::Num(num, Unit::One));
        let key = |key: &str| key.replace(['(', ')'], "");
        let mut numbers: BTreeMap<String, Value> =
            self.figures.iter().map(|(name, value)| (key(name), number(*value))).collect();
        // A rate is counted, and what it rounds to is called `rate` in one shape and `value` in the other.
        if let (Some(passes), Some(fails)) = (self.figures.get("passes"), self.figures.get("fails")) {
            let ratio =
                Num::float(*passes).zip(Num::float(passes + fails)).filter(|(_, all)| all.num > 0 && all.den == 1);
            let rate = ratio.and_then(|(passes, all)| Num::ratio(passes.num, all.num));
            numbers.insert("rate".to_owned(), rate.map_or(Value::Null, |rate| Value::Num(rate, Unit::One)));
            numbers.remove("value");
        }
        numbers
    }

    /// Whether a threshold (`p(95)<500`) holds, where the figure that it is about is there.
    fn holds(&self, text: &str) -> Option<bool> {
        let at = text.find(['<', '>', '=', '!'])?;
        let (name, rest) = (text[..at].trim(), &text[at..]);
        let op = ["===", "<=", ">=", "==", "!=", "<", ">"].into_iter().find(|op| rest.starts_with(op))?;
        let bound: f64 = rest[op.len()..].trim().parse().ok()?;
        let value = match (self.figures.get(name), name) {
            (Some(value), _) => *value,
            (None, "rate") => *self.figures.get("value")?,
            (None, _) => return None,
        };
        Some(match op {
            "<" => value < bound,
            "<=" => value <= bound,
            ">" => value > bound,
            ">=" => value >= bound,
            "!=" => (value - bound).abs() > f64::EPSILON,
            _ => (value - bound).abs() <= f64::EPSILON,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXPORT: &str = r#"{"root_group": {"name": "", "path": "", "groups": {"g": {"name": "g", "path": "::g", "groups": {}, "checks":
        {"is fast": {"name": "is fast", "path": "::g::is fast", "id": "2", "passes": 7, "fails": 1}}}},
        "checks": {"status is 200": {"name": "status is 200", "path": "::status is 200", "id": "1", "passes": 8, "fails": 0}}},
      "metrics": {"http_req_duration": {"avg": 12.5, "min": 1, "med": 11, "max": 40.25, "p(90)": 30, "p(95)": 35.5,
          "thresholds": {"p(95)<500": false, "p(95)<30": true, "p(99)<10": true}},
        "http_req_failed": {"passes": 1, "fails": 7, "value": 0.125, "thresholds": {"rate<0.1": false}},
        "http_reqs": {"count": 8, "rate": 4.5}, "vus": {"value": 1, "min": 1, "max": 1},
        "payload_size": {"avg": 3, "min": 1, "med": 3, "max": 5, "p(90)": 4, "p(95)": 4.5}}}"#;

    const HANDLED: &str = r#"{"root_group": {"name": "", "groups": [{"name": "g", "path": "::g", "groups": [], "checks":
        [{"name": "is fast", "path": "::g::is fast", "passes": 7, "fails": 1}]}],
        "checks": [{"name": "status is 200", "path": "::status is 200", "passes": 8, "fails": 0}]}, "state": {}, "options": {},
      "metrics": {"http_req_duration": {"type": "trend", "contains": "time", "values": {"avg": 12.5, "min": 1, "med": 11, "max": 40.25,
          "p(90)": 30, "p(95)": 35.5}, "thresholds": {"p(95)<500": {"ok": true}, "p(95)<30": {"ok": false}, "p(99)<10": {"ok": false}}},
        "http_req_failed": {"type": "rate", "contains": "default", "values": {"rate": 0.125, "passes": 1, "fails": 7},
          "thresholds": {"rate<0.1": {"ok": true}}},
        "http_reqs": {"type": "counter", "contains": "default", "values": {"count": 8, "rate": 4.5}},
        "vus": {"type": "gauge", "contains": "default", "values": {"value": 1, "min": 1, "max": 1}},
        "payload_size": {"type": "trend", "contains": "default", "values": {"avg": 3, "min": 1, "med": 3, "max": 5, "p(90)": 4, "p(95)": 4.5}}}}"#;

    fn map<'a>(value: &'a Value, key: &str) -> &'a Value {
        match value {
            Value::Map(map) => &map[key],
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn both_shapes_say_the_same() {
        let (export, handled) = (read(EXPORT.as_bytes()).ok().unwrap(), read(HANDLED.as_bytes()).ok().unwrap());
        assert_eq!(export, handled);
        assert_eq!((export.inspected.count, export.inspected.what.as_str()), (8, "request"));
        let p95 = Value::Num(Num::ratio(35_500_000, 1).unwrap(), Unit::Time);
        assert_eq!(export.values["p95"], p95);
        assert_eq!(map(map(&export.values["bench"], "http_req_duration"), "p95"), &p95);
        let failed = map(&export.values["metric"], "http_req_failed");
        assert_eq!(map(failed, "rate"), &Value::Num(Num::ratio(1, 8).unwrap(), Unit::One));
        assert_eq!(
            map(map(&export.values["metric"], "payload_size"), "p95"),
            &Value::Num(Num::ratio(9, 2).unwrap(), Unit::One)
        );
        let checks = &export.values["checks"];
        assert_eq!((map(checks, "passed"), map(checks, "failed")), (&Value::int(15), &Value::int(1)));
        assert_eq!(map(checks, "names(failed)"), &texts(vec!["g::is fast".into()]));
    }

    #[test]
    fn thresholds_are_worked_out() {
        let facts = read(EXPORT.as_bytes()).ok().unwrap();
        let failed = ["http_req_duration: p(95)<30", "http_req_duration: p(99)<10", "http_req_failed: rate<0.1"];
        // The file says of the last one that it held; of the one before it has no figure.
        assert_eq!(map(&facts.values["thresholds"], "names(failed)"), &texts(failed.map(str::to_owned).into()));
        assert_eq!(map(&facts.values["thresholds"], "passed"), &Value::int(1));
    }

    #[test]
    fn nothing_and_nonsense() {
        assert_eq!(read(&br#"{"metrics": {}}"#[..]).ok().unwrap().inspected.count, 0);
        let fault = |text: &str| match read(text.as_bytes()).expect_err("a fault") {
            Fault::At(_, why) | Fault::All(why) | Fault::Line(_, _, why) => why,
        };
        assert_eq!(fault(r#"{"metrics": {"a": {"avg": "NaN"}}}"#), "`avg` of metric `a` is no number");
        assert_eq!(fault(r#"{"metrics": {"a": 1}}"#), "metric `a` is no table");
        assert!(fault(r#"{"root_group": {}}"#).contains("missing field `metrics`"));
    }
}
