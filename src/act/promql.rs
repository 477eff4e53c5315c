//! `promql`: asks a Prometheus server at one instant or over a range. Knows no criteria and no statistics.
//!
//! Facts: `time` (Text, RFC 3339: the instant that was asked for), `series` (how many came), `labels` (List of Text, one a
//! series, sorted), `values` (List, in that order); with exactly one series `value`. Over a range, of one series, `samples`
//! (List, oldest first). Of a pair `bad` and `total`: `bad`, `total`, `rate` (bad of total; an empty `bad` is 0 if `total` is
//! above 0). NaN and infinities are no numbers: they are Null, with a note. With a `baseline`, `compare` holds both sides of
//! `value`, `samples` or `rate`; `counts` those of `rate`, rounded to whole events. `start` and `step` of a range. `asked` (List
//! of Map, one a question: `side` (empty if there is one only), `what`, `query`, `series`, `value`, Null unless one series came) is for reports. Inspected: series (of a pair: those of `total`, if above 0).
//!
//! An answer with warnings may be partial: it is inconclusive unless the plan says `allow_warnings`. What the server
//! said stands in the step's `stdout`, one JSON line a question.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::time::Duration;

use reqwest::Url;
use serde_json::{Value as Json, json};

use super::blocking::misrouted;
use super::http::Http;
use super::{Act, ActError, Lent, Look, Observation, Request};
use crate::action::{Action, HttpSpec, PromqlRange, PromqlSpec, Query, Text};
use crate::facts::{Facts, Num, Unit, Value};
use crate::outcome::{Cause, Note};

/// Most bytes of an answer.
const MAX_BODY: u64 = 64 << 20;

/// The `promql` action.
#[derive(Debug, Default)]
pub struct Promql {
    http: Http,
}

impl Act for Promql {
    fn look<'a>(&'a self, request: &'a Request, lent: &'a Lent) -> Look<'a> {
        Box::pin(async move {
            let Action::Promql(spec) = &request.action else { return Err(misrouted(request, "promql")) };
            let time = instant(spec, lent).map_err(failed)?;
            let mut asked = Asked {
                http: &self.http,
                spec,
                request,
                lent,
                time,
                warnings: Vec::new(),
                notes: Vec::new(),
                bytes: 0,
                asked: Vec::new(),
                side: if spec.baseline.is_some() { "candidate" } else { "" },
            };
            match asked.look().await {
                Ok(facts) if asked.warnings.is_empty() || spec.allow_warnings => {
                    Ok(Observation { facts, notes: asked.notes, output_bytes: asked.bytes, ..Observation::default() })
                }
                Ok(facts) => {
                    let detail = format!("the answer may be partial, the server warns: {}", asked.warnings.join("; "));
                    let error = ActError::new(Cause::Undecided, detail);
                    Err(ActError { facts, notes: asked.notes, output_bytes: asked.bytes, ..error })
                }
                Err(error) => Err(ActError { notes: asked.notes, output_bytes: asked.bytes, ..error }),
            }
        })
    }
}

fn failed(detail: impl Into<String>) -> ActError {
    ActError::new(Cause::ActionError, detail)
}

/// The instant that is asked for.
fn instant(spec: &PromqlSpec, lent: &Lent) -> Result<jiff::Timestamp, String> {
    let Some(text) = &spec.time else {
        return jiff::Timestamp::from_millisecond((lent.now)()).map_err(|error| error.to_string());
    };
    let text = text.as_str().trim();
    let seconds = text.parse::<i64>().ok().and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    seconds
        .or_else(|| text.parse().ok())
        .ok_or_else(|| format!("`{text}` is no time: write such as `2026-08-24T12:00:00Z`, or seconds since 1970"))
}

/// The questions of one look.
struct Asked<'a> {
    http: &'a Http,
    spec: &'a PromqlSpec,
    request: &'a Request,
    lent: &'a Lent,
    time: jiff::Timestamp,
    warnings: Vec<String>,
    notes: Vec<Note>,
    bytes: u64,
    /// What was asked for, for reports.
    asked: Vec<Value>,
    side: &'static str,
}

/// One series of an answer: its labels, and its values, oldest first; `None` for what is no number.
struct Series {
    labels: String,
    values: Vec<Option<Num>>,
}

/// What one side came to: a fact's name and value, counts if it is a rate.
struct Side {
    name: &'static str,
    value: Value,
    counts: Option<Value>,
}

impl Asked<'_> {
    async fn look(&mut self) -> Result<Facts, ActError> {
        let mut facts = Facts::about(0, "series");
        let seen = self.both(&mut facts).await;
        facts.set("time", Value::text(self.time.to_string()));
        if let Some(range) = &self.spec.range {
            facts.set("start", Value::text(self.start(range.last).to_string()));
            facts.set("step", Value::time(range.step));
        }
        facts.set("asked", Value::List(std::mem::take(&mut self.asked)));
        match seen {
            Ok(()) => Ok(facts),
            Err(error) => Err(ActError { facts, ..error }),
        }
    }

    /// Asks both sides.
    async fn both(&mut self, facts: &mut Facts) -> Result<(), ActError> {
        let candidate = self.side(&self.spec.query, Some(facts)).await?;
        if let (Some(baseline), Some(candidate)) = (&self.spec.baseline, &candidate) {
            self.side = "baseline";
            let other = self.side(baseline, None).await?;
            let pick = |side: &Side| side.counts.clone().unwrap_or_else(|| side.value.clone());
            let other = other.as_ref().filter(|other| other.name == candidate.name).map_or(Value::Null, pick);
            let both = [("candidate".to_owned(), pick(candidate)), ("baseline".to_owned(), other)];
            let both = BTreeMap::from([(candidate.name.to_owned(), Value::Map(both.into()))]);
            facts.set("compare", Value::Map(both));
        }
        if let Some(Side { name, counts: Some(counts), .. }) = candidate {
            facts.set("counts", Value::Map(BTreeMap::from([(name.to_owned(), counts)])));
        }
        Ok(())
    }

    /// Asks one side; its facts go to `facts`. Nothing if there is no single figure.
    async fn side(&mut self, query: &Query, facts: Option<&mut Facts>) -> Result<Option<Side>, ActError> {
        let mut unseen = Facts::default();
        let facts = facts.unwrap_or(&mut unseen);
        match query {
            Query::Pair { bad, total } => self.pair(bad, total, facts).await,
            Query::One(query) => {
                let series = self.ask(query, "value").await?;
                facts.inspected.count = series.len() as u64;
                facts.set("series", Value::int(series.len() as u64));
                facts.set("labels", Value::List(series.iter().map(|one| Value::text(&one.labels)).collect()));
                let last = |one: &Series| number(one.values.last().copied().flatten());
                facts.set("values", Value::List(series.iter().map(last).collect()));
                let [only] = series.as_slice() else {
                    let asked = ["value", "samples"].iter().any(|name| self.request.wants.contains(*name));
                    if asked && !series.is_empty() {
                        let text = format!(
                            "the query gave {} series, so there is no single `value`: write `max(values)`, `every(values)`, or `sum(…)` in the query",
                            series.len()
                        );
                        self.notes.push(Note { code: "several_series".into(), text });
                    }
                    return Ok(None);
                };
                let value = last(only);
                facts.set("value", value.clone());
                if self.spec.range.is_none() && only.values.len() == 1 {
                    return Ok(Some(Side { name: "value", value, counts: None }));
                }
                let samples = Value::List(only.values.iter().copied().map(number).collect());
                facts.set("samples", samples.clone());
                Ok(Some(Side { name: "samples", value: samples, counts: None }))
            }
        }
    }

    async fn pair(&mut self, bad: &Text, total: &Text, facts: &mut Facts) -> Result<Option<Side>, ActError> {
        let total = self.scalar(total, "total").await?;
        let bad = self.scalar(bad, "bad").await?;
        let Some(total) = total.filter(|total| *total > Num::int(0)) else {
            let text = "`total` is nothing: without events there is no rate".to_owned();
            self.notes.push(Note { code: "no_events".into(), text });
            return Ok(None);
        };
        let bad = bad.unwrap_or(Num::int(0));
        facts.inspected.count = 1;
        for (name, value) in [("bad", bad), ("total", total)] {
            facts.set(name, Value::Num(value, Unit::One));
        }
        let inverse = Num::ratio(total.den, total.num);
        let Some(rate) = inverse.and_then(|inverse| bad.times(inverse)) else { return Ok(None) };
        let value = Value::Num(rate, Unit::One);
        facts.set("rate", value.clone());
        let whole = |n: Num| Value::int((2 * n.num + n.den).div_euclid(2 * n.den));
        let counts = [("bad".to_owned(), whole(bad)), ("total".to_owned(), whole(total))];
        Ok(Some(Side { name: "rate", value, counts: Some(Value::Map(counts.into())) }))
    }

    /// The one number of a query; `None` for an empty answer.
    async fn scalar(&mut self, query: &Text, name: &'static str) -> Result<Option<Num>, ActError> {
        let series = self.ask(query, name).await?;
        match series.as_slice() {
            [] => Ok(None),
            [one] => match one.values.last().copied().flatten() {
                Some(value) if value < Num::int(0) => {
                    Err(failed(format!("`{name}` is below zero: it is to count events")))
                }
                value => Ok(value),
            },
            many => Err(failed(format!("`{name}` gave {} series: sum them up in the query", many.len()))),
        }
    }

    /// Asks one question and remembers it.
    async fn ask(&mut self, query: &Text, what: &'static str) -> Result<Vec<Series>, ActError> {
        let answer = self.put(query).await;
        let series = answer.as_ref().map_or(&[][..], Vec::as_slice);
        let value = if let [only] = series { number(only.values.last().copied().flatten()) } else { Value::Null };
        let asked = [
            ("side", Value::text(self.side)),
            ("what", Value::text(what)),
            ("query", Value::text(query.as_str())),
            ("series", Value::int(series.len() as u64)),
            ("value", value),
        ];
        self.asked.push(Value::Map(asked.map(|(name, value)| (name.to_owned(), value)).into()));
        answer
    }

    async fn put(&mut self, query: &Text) -> Result<Vec<Series>, ActError> {
        let server = self.spec.server.as_str().trim_end_matches('/');
        let (path, pairs) = self.question(query.as_str());
        let mut headers = vec![("content-type".to_owned(), Text::fixed("application/x-www-form-urlencoded"))];
        headers.extend(self.spec.headers.iter().cloned());
        let call = HttpSpec {
            urls: vec![Text::fixed(format!("{server}{path}"))],
            method: "POST".to_owned(),
            headers,
            body: Some(Text::fixed(form(&pairs))),
            timeout: self.spec.timeout,
            redirects: 0,
            max_body: MAX_BODY,
            ca: None,
        };
        let request = Request { wants: ["text".to_owned()].into(), ..self.request.clone() };
        let seen = self.http.once(&call, &request, self.lent).await;
        let seen = seen.map_err(|error| ActError { facts: Facts::default(), ..error })?;
        let text = match seen.facts.values.get("text") {
            Some(Value::Text(text)) => text.clone(),
            _ => String::new(),
        };
        let answer = super::data::json(&text).ok().filter(Json::is_object);
        let Some(answer) = answer else {
            let status = seen.facts.values.get("status");
            let status = if let Some(Value::Num(status, _)) = status { status.num } else { 0 };
            return Err(failed(format!(
                "`{server}` does not answer like Prometheus (status {status}): is the address right?"
            )));
        };
        self.keep(&pairs, &answer).map_err(failed)?;
        if answer["status"] != "success" {
            let why = answer["error"].as_str().unwrap_or("it does not say why");
            return Err(failed(format!("Prometheus refuses the query `{}`: {why}", query.as_str())));
        }
        let said = |key: &str| {
            answer[key].as_array().into_iter().flatten().filter_map(Json::as_str).map(str::to_owned).collect::<Vec<_>>()
        };
        self.warnings.extend(said("warnings"));
        self.notes.extend(said("infos").into_iter().map(|text| Note { code: "prometheus_info".into(), text }));
        let series = series(&answer["data"]).map_err(|why| failed(format!("the query `{}` {why}", query.as_str())))?;
        let odd = series.iter().flat_map(|one| &one.values).filter(|value| value.is_none()).count();
        if odd > 0 {
            let text =
                format!("{odd} of the values of `{}` are NaN or infinite: they count as missing", query.as_str());
            self.notes.push(Note { code: "not_a_number".into(), text });
        }
        Ok(series)
    }

    /// Where a range of that length begins.
    fn start(&self, last: Duration) -> jiff::Timestamp {
        let back = i64::try_from(last.as_millis()).unwrap_or(i64::MAX);
        jiff::Timestamp::from_millisecond(self.time.as_millisecond().saturating_sub(back)).unwrap_or(self.time)
    }

    /// Path and parameters of a question.
    fn question(&self, query: &str) -> (&'static str, Vec<(&'static str, String)>) {
        let seconds = |time: jiff::Timestamp| {
            let millis = time.as_millisecond();
            format!("{}.{:03}", millis.div_euclid(1000), millis.rem_euclid(1000))
        };
        let mut pairs = vec![("query", query.to_owned())];
        match self.spec.range {
            None => {
                pairs.push(("time", seconds(self.time)));
                ("/api/v1/query", pairs)
            }
            Some(PromqlRange { last, step }) => {
                let step = format!("{}.{:03}", step.as_secs(), step.subsec_millis());
                pairs.extend([("start", seconds(self.start(last))), ("end", seconds(self.time)), ("step", step)]);
                ("/api/v1/query_range", pairs)
            }
        }
    }

    /// Stores what was asked and answered.
    fn keep(&mut self, pairs: &[(&str, String)], answer: &Json) -> Result<(), String> {
        let asked: serde_json::Map<String, Json> = pairs.iter().map(|(k, v)| ((*k).to_owned(), json!(v))).collect();
        let mut line = json!({ "asked": asked, "answer": answer }).to_string();
        line.push('\n');
        if let Some(mask) = &self.lent.mask {
            line = mask.text(&line);
        }
        let path = self.request.spool_file("stdout");
        let write = || OpenOptions::new().create(true).append(true).mode(0o600).open(&path)?.write_all(line.as_bytes());
        write().map_err(|error| format!("the answer could not be stored: {error}"))?;
        self.bytes = path.metadata().map_or(0, |meta| meta.len());
        Ok(())
    }
}

/// A form's body.
fn form(pairs: &[(&str, String)]) -> String {
    let Ok(mut url) = Url::parse("http://form/") else { return String::new() };
    url.query_pairs_mut().extend_pairs(pairs.iter().map(|(name, value)| (*name, value)));
    url.query().unwrap_or_default().to_owned()
}

/// A figure as a fact.
fn number(value: Option<Num>) -> Value {
    value.map_or(Value::Null, |value| Value::Num(value, Unit::One))
}

/// The series of an answer's `data`, sorted by their labels.
fn series(data: &Json) -> Result<Vec<Series>, String> {
    let result = &data["result"];
    let items = result.as_array().ok_or("is answered in an unknown form")?;
    match data["resultType"].as_str() {
        Some("scalar") => Ok(vec![Series { labels: String::new(), values: vec![sample(result)?] }]),
        Some("vector" | "matrix") => {
            let mut all = items.iter().map(one).collect::<Result<Vec<_>, _>>()?;
            all.sort_by(|a, b| a.labels.cmp(&b.labels));
            Ok(all)
        }
        Some("string") => Err("gives a text, not a number".to_owned()),
        _ => Err("is answered in an unknown form".to_owned()),
    }
}

fn one(item: &Json) -> Result<Series, String> {
    let labels: BTreeMap<&String, &Json> = item["metric"].as_object().into_iter().flatten().collect();
    let labels: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let values = match (item.get("value"), item["values"].as_array()) {
        (Some(value), _) => vec![sample(value)?],
        (None, Some(values)) => values.iter().map(sample).collect::<Result<_, _>>()?,
        (None, None) => {
            return Err("gives native histograms: ask for `histogram_quantile(…)` or `histogram_count(…)`".to_owned());
        }
    };
    Ok(Series { labels: format!("{{{}}}", labels.join(",")), values })
}

/// The value of `[time, "value"]`; `None` if it is no number.
fn sample(pair: &Json) -> Result<Option<Num>, String> {
    let text = pair[1].as_str().ok_or("is answered in an unknown form")?;
    match text {
        "NaN" | "+Inf" | "-Inf" | "Inf" => Ok(None),
        text => match Num::decimal(text) {
            Some(value) => Ok(Some(value)),
            None => Ok(text.parse().ok().and_then(Num::float)),
        },
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::super::fixture;
    use super::*;

    /// Answers each question in turn.
    async fn serve(answers: Vec<String>) -> (String, tokio::sync::mpsc::UnboundedReceiver<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, asked) = tokio::sync::mpsc::unbounded_channel();
        tokio::spawn(async move {
            for answer in answers {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut text = String::new();
                let mut buffer = [0; 4096];
                loop {
                    let n = stream.read(&mut buffer).await.unwrap();
                    text.push_str(std::str::from_utf8(&buffer[..n]).unwrap());
                    let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
                    let length =
                        head.to_lowercase().lines().find_map(|l| l.strip_prefix("content-length: ")?.parse().ok());
                    if body.len() >= length.unwrap_or(0) {
                        break;
                    }
                }
                sender.send(text).unwrap();
                let head = format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", answer.len());
                stream.write_all(format!("{head}{answer}").as_bytes()).await.unwrap();
            }
        });
        (format!("http://{address}/"), asked)
    }

    fn vector(values: &[(&str, &str)]) -> String {
        let items: Vec<Json> =
            values.iter().map(|(job, value)| json!({"metric": {"job": job}, "value": [1.5, value]})).collect();
        json!({"status": "success", "data": {"resultType": "vector", "result": items}}).to_string()
    }

    fn spec(server: &str, query: Query) -> PromqlSpec {
        PromqlSpec {
            server: Text::fixed(server),
            query,
            time: Some(Text::fixed("2026-08-24T12:00:00Z")),
            range: None,
            baseline: None,
            headers: Vec::new(),
            timeout: Duration::from_secs(20),
            allow_warnings: false,
        }
    }

    fn query(text: &str) -> Query {
        Query::One(Text::fixed(text))
    }

    fn rate() -> Query {
        Query::Pair { bad: Text::fixed("bad"), total: Text::fixed("total") }
    }

    async fn seen(spec: PromqlSpec) -> Result<Observation, ActError> {
        let dir = tempfile::tempdir().unwrap();
        let request = fixture::request(Action::Promql(Box::new(spec)), dir.path());
        let (lent, _stop) = fixture::lent();
        Promql::default().look(&request, &lent).await
    }

    async fn facts(answers: &[String], query: Query) -> Facts {
        let (server, _asked) = serve(answers.to_vec()).await;
        seen(spec(&server, query)).await.map_err(|error| error.detail).unwrap().facts
    }

    async fn detail(answer: &str) -> String {
        let (server, _asked) = serve(vec![answer.to_owned()]).await;
        seen(spec(&server, query("up"))).await.err().expect("an error").detail
    }

    fn num(text: &str) -> Value {
        Value::Num(Num::decimal(text).unwrap(), Unit::One)
    }

    #[tokio::test(flavor = "current_thread")]
    async fn one_series_is_a_value_and_the_question_is_kept() {
        let (server, mut asked) = serve(vec![vector(&[("a", "0.25")])]).await;
        let dir = tempfile::tempdir().unwrap();
        let request =
            fixture::request(Action::Promql(Box::new(spec(&server, query("sum(x{a=\"b & c\"})")))), dir.path());
        let (lent, _stop) = fixture::lent();
        let seen = Promql::default().look(&request, &lent).await.map_err(|error| error.detail).unwrap();
        assert_eq!((&seen.facts.values["value"], &seen.facts.values["series"]), (&num("0.25"), &Value::int(1)));
        assert_eq!(seen.facts.values["time"], Value::text("2026-08-24T12:00:00Z"));
        assert_eq!(seen.facts.values["labels"], Value::List(vec![Value::text("{job=\"a\"}")]));
        assert_eq!(seen.facts.inspected.count, 1);
        let asked = asked.recv().await.unwrap();
        assert!(asked.starts_with("POST /api/v1/query HTTP/1.1\r\n"), "{asked}");
        assert!(asked.ends_with("query=sum%28x%7Ba%3D%22b+%26+c%22%7D%29&time=1787572800.000"), "{asked}");
        let kept = std::fs::read_to_string(dir.path().join("stdout")).unwrap();
        assert!(kept.starts_with("{\"asked\":{\"query\":\"sum(x{a") && kept.contains("\"0.25\""), "{kept}");
    }

    #[tokio::test(flavor = "current_thread")]
    async fn none_several_and_odd_values() {
        let none = facts(&[vector(&[])], query("up")).await;
        assert_eq!((none.inspected.count, &none.values["series"]), (0, &Value::int(0)));
        let several = facts(&[vector(&[("b", "2"), ("a", "1e3")])], query("up")).await;
        assert_eq!(several.values["values"], Value::List(vec![num("1000"), num("2")]));
        assert!(!several.values.contains_key("value"));
        for odd in ["NaN", "+Inf", "-Inf"] {
            assert_eq!(facts(&[vector(&[("a", odd)])], query("up")).await.values["value"], Value::Null, "{odd}");
        }
    }

    #[tokio::test(flavor = "current_thread")]
    async fn rates_are_counted_and_an_empty_numerator_is_zero() {
        let of = |total: &[(&str, &str)], bad: &[(&str, &str)]| [vector(total), vector(bad)];
        let some = facts(&of(&[("a", "999.6")], &[("a", "3")]), rate()).await;
        assert_eq!(some.values["rate"], Value::Num(Num::ratio(30, 9996).unwrap(), Unit::One));
        let Value::Map(counts) = &some.values["counts"] else { panic!() };
        let Value::Map(counts) = &counts["rate"] else { panic!() };
        assert_eq!((&counts["bad"], &counts["total"]), (&Value::int(3), &Value::int(1000)));
        let healthy = facts(&of(&[("a", "10")], &[]), rate()).await;
        assert_eq!((&healthy.values["rate"], healthy.inspected.count), (&num("0"), 1));
        for idle in [facts(&of(&[("a", "0")], &[]), rate()).await, facts(&of(&[], &[("a", "1")]), rate()).await] {
            assert!(!idle.values.contains_key("rate"));
            assert_eq!(idle.inspected.count, 0);
        }
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_range_gives_samples_and_both_sides_are_kept() {
        let matrix = |values: Json| {
            json!({"status": "success", "data": {"resultType": "matrix", "result": [{"metric": {}, "values": values}]}})
                .to_string()
        };
        let (server, mut asked) = serve(vec![matrix(json!([[1, "1"], [2, "2"]])), matrix(json!([[1, "3"]]))]).await;
        let range = Some(PromqlRange { last: Duration::from_secs(60), step: Duration::from_millis(1500) });
        let seen = seen(PromqlSpec { range, baseline: Some(query("b")), ..spec(&server, query("a")) }).await;
        let facts = seen.map_err(|error| error.detail).unwrap().facts;
        assert_eq!(facts.values["samples"], Value::List(vec![num("1"), num("2")]));
        let asked = asked.recv().await.unwrap();
        assert!(asked.ends_with("start=1787572740.000&end=1787572800.000&step=1.500"), "{asked}");
        let Value::Map(compare) = &facts.values["compare"] else { panic!() };
        let Value::Map(both) = &compare["samples"] else { panic!() };
        assert_eq!((&both["candidate"], &both["baseline"]), (&facts.values["samples"], &Value::List(vec![num("3")])));
    }

    #[tokio::test(flavor = "current_thread")]
    async fn warnings_are_undecided_unless_allowed() {
        let mut answer: Json = serde_json::from_str(&vector(&[("a", "1")])).unwrap();
        answer["warnings"] = json!(["a store did not answer"]);
        let (server, _asked) = serve(vec![answer.to_string(), answer.to_string()]).await;
        let error = seen(spec(&server, query("up"))).await.err().unwrap();
        assert_eq!(error.cause, Cause::Undecided);
        assert!(error.detail.ends_with("the server warns: a store did not answer"), "{}", error.detail);
        assert_eq!(error.facts.values["value"], num("1"));
        assert!(seen(PromqlSpec { allow_warnings: true, ..spec(&server, query("up")) }).await.is_ok());
    }

    #[tokio::test(flavor = "current_thread")]
    async fn what_is_no_answer_is_said() {
        let refused = detail(r#"{"status":"error","errorType":"bad_data","error":"parse error: oops"}"#).await;
        assert_eq!(refused, "Prometheus refuses the query `up`: parse error: oops");
        assert!(detail("<html>").await.contains("does not answer like Prometheus (status 200)"));
        let text = r#"{"status":"success","data":{"resultType":"string","result":[1,"x"]}}"#;
        assert!(detail(text).await.contains("gives a text, not a number"));
        for odd in [
            r#"{"status":"success"}"#,
            r#"{"status":"success","data":{"resultType":"vector","result":[{}]}}"#,
            r#"{"status":"success","data":{"resultType":"scalar","result":[]}}"#,
        ] {
            assert!(detail(odd).await.starts_with("the query `up` "), "{odd}");
        }
        let late = PromqlSpec { time: Some(Text::fixed("yesterday")), ..spec("http://127.0.0.1:1", query("up")) };
        assert!(seen(late).await.err().unwrap().detail.contains("`yesterday` is no time"));
    }
}
