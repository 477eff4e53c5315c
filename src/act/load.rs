//! `load`: a bounded burst of requests from inside the engine, all on its one thread. Knows no criteria and no statistics.
//!
//! `concurrency` requests are under way at a time over kept connections; each starts as soon as another ends, or when
//! `rate` says so. `warmup` requests go first and are not counted. With `baseline`, every request goes to both addresses,
//! interleaved (`ABBA`), so that both see the same weather. Redirects are answers and not followed.
//!
//! Facts, of the candidate (`url`): `count`, `errors` (no complete answer within `timeout`, or a status from 400 on),
//! `rate(errors)` (errors of count), `latency` (List of Time, from sending to the last byte, of every answer that is no
//! error, in the order they ended), `samples` (how many those are), `throughput` (answers that are no errors, a second),
//! `duration`, `answers` (Map from status to how many). `counts` holds `bad` and `total` of `rate(errors)`; `compare`, if there is a
//! baseline, both sides of `latency` and of `rate(errors)`. Inspected: requests.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use futures_util::future::join_all;
use reqwest::{Client, Request as Call, Url};
use tokio::time::{Instant, sleep_until, timeout};

use super::blocking::{ended, misrouted};
use super::http;
use super::process::spoken;
use super::{Act, ActError, Lent, Look, Observation, Request};
use crate::action::{Action, HttpSpec, LoadSpec, Text};
use crate::facts::{Facts, Num, Unit, Value};
use crate::outcome::{Cause, Note};

/// The `load` action.
#[derive(Clone, Copy, Debug, Default)]
pub struct Load;

impl Act for Load {
    fn look<'a>(&'a self, request: &'a Request, lent: &'a Lent) -> Look<'a> {
        Box::pin(async move {
            let Action::Load(spec) = &request.action else { return Err(misrouted(request, "load")) };
            tokio::select! {
                biased;
                error = ended(lent, request.deadline) => Err(error),
                seen = burst(spec) => seen.map_err(|detail| ActError::new(Cause::ActionError, detail)),
            }
        })
    }
}

/// One address and what came of its requests.
struct Side {
    url: Url,
    call: Call,
    tally: RefCell<Tally>,
}

#[derive(Default)]
struct Tally {
    /// Nanoseconds, of answers that are no errors.
    latencies: Vec<u64>,
    answers: BTreeMap<u16, u64>,
    errors: u64,
    /// Answers that say the thing is somewhere else.
    moved: u64,
    /// Requests without a complete answer, and why the first was.
    unanswered: u64,
    first: Option<String>,
}

impl Tally {
    fn count(&self) -> u64 {
        self.latencies.len() as u64 + self.errors
    }

    fn add(&mut self, outcome: Result<(u16, Duration), String>) {
        match outcome {
            Ok((status, took)) => {
                *self.answers.entry(status).or_default() += 1;
                self.moved += u64::from((300..400).contains(&status) && status != 304);
                if status < 400 {
                    self.latencies.push(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
                } else {
                    self.errors += 1;
                }
            }
            Err(why) => {
                self.errors += 1;
                self.unanswered += 1;
                self.first.get_or_insert(why);
            }
        }
    }

    fn latency(&self) -> Value {
        let one = |nanos: &u64| Value::Num(Num::int(i128::from(*nanos)), Unit::Time);
        Value::List(self.latencies.iter().map(one).collect())
    }

    fn counts(&self) -> Value {
        map([("bad", Value::int(self.errors)), ("total", Value::int(self.count()))])
    }

    fn notes(&self, url: &Url) -> Vec<Note> {
        let mut notes = Vec::new();
        let of = |n: u64| format!("{n} of {} requests to `{url}`", self.count());
        if let Some(first) = &self.first {
            let text = format!("{} got no answer; the first: {first}", of(self.unanswered));
            notes.push(Note { code: "unanswered".into(), text });
        }
        if self.moved > 0 {
            let text = format!("{} were redirected; a burst does not follow", of(self.moved));
            notes.push(Note { code: "redirected".into(), text });
        }
        notes
    }
}

fn map<const N: usize>(pairs: [(&str, Value); N]) -> Value {
    Value::Map(pairs.map(|(name, value)| (name.to_owned(), value)).into())
}

async fn burst(spec: &LoadSpec) -> Result<Observation, String> {
    let client = http::client(true, spec.concurrency as usize)?;
    let mut sides = vec![side(&client, spec, spec.http.urls.first().unwrap_or(&Text::default()))?];
    if let Some(baseline) = &spec.baseline {
        sides.push(side(&client, spec, baseline)?);
    }
    let many = sides.len() as u64;
    if spec.warmup > 0 {
        fire(&client, spec, &sides, u64::from(spec.warmup) * many, None).await;
        for side in &sides {
            let Tally { unanswered, first, .. } = side.tally.take();
            if let Some(first) = first.filter(|_| unanswered == u64::from(spec.warmup)) {
                return Err(format!("no request to `{}` was answered: {first}", side.url));
            }
        }
    }
    let begin = Instant::now();
    fire(&client, spec, &sides, spec.total * many, spec.rate).await;
    let duration = begin.elapsed();
    Ok(observation(&sides, duration))
}

fn observation(sides: &[Side], duration: Duration) -> Observation {
    let tally = sides[0].tally.borrow();
    let mut facts = Facts::about(tally.count(), "request");
    let good = tally.latencies.len();
    facts.set("count", Value::int(tally.count()));
    facts.set("errors", Value::int(tally.errors));
    let ratio = |bad: u64, of: u64| Num::ratio(i128::from(bad), i128::from(of));
    facts.set("rate(errors)", ratio(tally.errors, tally.count()).map_or(Value::Null, |n| Value::Num(n, Unit::One)));
    facts.set("latency", tally.latency());
    facts.set("samples", Value::int(good as u64));
    let nanos = i128::try_from(duration.as_nanos()).unwrap_or(i128::MAX).max(1);
    let throughput = Num::ratio(good as i128 * 1_000_000_000, nanos);
    facts.set("throughput", throughput.map_or(Value::Null, |n| Value::Num(n, Unit::One)));
    facts.set("duration", Value::time(duration));
    let answers = tally.answers.iter().map(|(status, n)| (status.to_string(), Value::int(*n)));
    facts.set("answers", Value::Map(answers.collect()));
    facts.set("counts", map([("rate(errors)", tally.counts())]));
    if let Some(other) = sides.get(1) {
        let other = other.tally.borrow();
        let both = |candidate: Value, baseline: Value| map([("candidate", candidate), ("baseline", baseline)]);
        let latency = both(tally.latency(), other.latency());
        facts.set("compare", map([("latency", latency), ("rate(errors)", both(tally.counts(), other.counts()))]));
    }
    let notes = sides.iter().flat_map(|side| side.tally.borrow().notes(&side.url)).collect();
    Observation { facts, notes, ..Observation::default() }
}

/// One address, with the request to send there.
fn side(client: &Client, spec: &LoadSpec, url: &Text) -> Result<Side, String> {
    let http = HttpSpec { urls: vec![url.clone()], ..spec.http.clone() };
    let (url, call) = http::call(client, &http)?;
    if !spec.allow_remote && !here(&url) {
        return Err(format!(
            "`{url}` is not on this machine, and a burst is load on somebody's server: say `allow_remote = true` if it may be"
        ));
    }
    Ok(Side { url, call, tally: RefCell::default() })
}

/// Whether an address is certainly on this machine.
fn here(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare.parse::<IpAddr>().map_or(host == "localhost", |address| address.to_canonical().is_loopback())
}

/// Sends `total` requests, in turn to every side, and tallies them.
async fn fire(client: &Client, spec: &LoadSpec, sides: &[Side], total: u64, rate: Option<u32>) {
    let next = Cell::new(0_u64);
    let begin = Instant::now();
    let worker = || async {
        loop {
            let at = next.get();
            if at >= total {
                break;
            }
            next.set(at + 1);
            if let Some(rate) = rate {
                let due = begin + Duration::from_secs(1).mul_f64(at as f64 / f64::from(rate));
                if due > Instant::now() {
                    sleep_until(due).await;
                }
            }
            // A, B, B, A: whatever drifts meets both alike.
            let side = &sides[if sides.len() == 2 && matches!(at % 4, 1 | 2) { 1 } else { 0 }];
            let outcome = one(client, spec, side).await;
            side.tally.borrow_mut().add(outcome);
        }
    };
    let workers = u64::from(spec.concurrency).min(total);
    join_all((0..workers).map(|_| worker())).await;
}

/// Sends one request and reads its whole answer: its status and how long that took.
async fn one(client: &Client, spec: &LoadSpec, side: &Side) -> Result<(u16, Duration), String> {
    let Some(call) = side.call.try_clone() else { return Err("the request cannot be sent twice".to_owned()) };
    let begin = Instant::now();
    let exchange = async {
        let mut response = client.execute(call).await.map_err(|error| http::explain(&error, &side.url))?;
        let mut size = 0;
        while let Some(chunk) = response.chunk().await.map_err(|error| http::explain(&error, &side.url))? {
            size += chunk.len() as u64;
            if size > spec.http.max_body {
                return Err("the body is larger than `max_body`".to_owned());
            }
        }
        Ok(response.status().as_u16())
    };
    match timeout(spec.http.timeout, exchange).await {
        Ok(status) => Ok((status?, begin.elapsed())),
        Err(_) => Err(format!("no answer within {}", spoken(spec.http.timeout))),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::super::fixture;
    use super::*;

    /// Answers each request on a kept connection with what `answer` says for its number; `None` closes the connection.
    async fn serve(answer: impl Fn(u64) -> Option<(u16, Duration)> + Clone + 'static) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let number = std::rc::Rc::new(Cell::new(0));
        tokio::task::spawn_local(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (answer, number) = (answer.clone(), std::rc::Rc::clone(&number));
                tokio::task::spawn_local(async move {
                    let mut buffer = Vec::new();
                    while stream.read_buf(&mut buffer).await.is_ok_and(|n| n > 0) {
                        if !buffer.ends_with(b"\r\n\r\n") {
                            continue;
                        }
                        buffer.clear();
                        number.set(number.get() + 1);
                        let Some((status, pause)) = answer(number.get() - 1) else { return };
                        tokio::time::sleep(pause).await;
                        let text = format!("HTTP/1.1 {status} X\r\nContent-Length: 2\r\n\r\nok");
                        stream.write_all(text.as_bytes()).await.unwrap();
                    }
                });
            }
        });
        format!("http://{address}/")
    }

    fn spec(url: &str, total: u64, concurrency: u32) -> LoadSpec {
        let http = HttpSpec {
            urls: vec![Text::fixed(url)],
            method: "GET".into(),
            headers: Vec::new(),
            body: None,
            timeout: Duration::from_secs(20),
            redirects: 0,
            max_body: 1000,
            ca: None,
        };
        LoadSpec { http, total, concurrency, warmup: 0, rate: None, baseline: None, allow_remote: false }
    }

    async fn seen(spec: LoadSpec) -> Result<Observation, String> {
        let request = fixture::request(Action::Load(Box::new(spec)), Path::new("/"));
        let (lent, _stop) = fixture::lent();
        Load.look(&request, &lent).await.map_err(|error| error.detail)
    }

    fn local<T>(work: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        tokio::task::LocalSet::new().block_on(&runtime, work)
    }

    fn list(value: &Value) -> &[Value] {
        if let Value::List(items) = value { items } else { panic!("{value:?}") }
    }

    fn part<'v>(value: &'v Value, path: &[&str]) -> &'v Value {
        path.iter()
            .fold(value, |value, name| if let Value::Map(map) = value { &map[*name] } else { panic!("{path:?}") })
    }

    #[test]
    fn every_request_is_counted_once() {
        local(async {
            let url = serve(|at| Some((if at % 10 == 9 { 503 } else { 200 }, Duration::ZERO))).await;
            let seen = seen(spec(&url, 200, 7)).await.unwrap();
            let facts = &seen.facts.values;
            assert_eq!(
                (&facts["count"], &facts["errors"], &facts["samples"]),
                (&Value::int(200), &Value::int(20), &Value::int(180))
            );
            assert_eq!(facts["rate(errors)"], Value::Num(Num::ratio(20, 200).unwrap(), Unit::One));
            assert_eq!(list(&facts["latency"]).len(), 180);
            assert_eq!(part(&facts["answers"], &["503"]), &Value::int(20));
            assert_eq!(part(&facts["counts"], &["rate(errors)", "total"]), &Value::int(200));
            assert_eq!((seen.facts.inspected.count, seen.notes.len()), (200, 0));
            assert!(matches!(facts["throughput"], Value::Num(n, Unit::One) if n > Num::int(1)));
            assert!(!facts.contains_key("compare"));
        });
    }

    #[test]
    fn warm_up_is_not_counted_and_finds_a_server_that_is_down() {
        local(async {
            let url = serve(|at| Some((if at < 5 { 500 } else { 200 }, Duration::ZERO))).await;
            let seen_ = seen(LoadSpec { warmup: 5, ..spec(&url, 20, 1) }).await.unwrap();
            assert_eq!(seen_.facts.values["errors"], Value::int(0));
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let url = format!("http://{}/", listener.local_addr().unwrap());
            drop(listener);
            let error = seen(LoadSpec { warmup: 2, ..spec(&url, 20, 4) }).await.err().unwrap();
            assert!(error.starts_with(&format!("no request to `{url}` was answered: connection refused")), "{error}");
        });
    }

    #[test]
    fn lost_answers_are_errors_with_a_reason() {
        local(async {
            let url = serve(|at| (at != 3).then_some((200, Duration::ZERO))).await;
            let seen_ = seen(spec(&url, 10, 1)).await.unwrap();
            assert_eq!(seen_.facts.values["errors"], Value::int(1));
            assert!(seen_.notes[0].text.starts_with("1 of 10 requests to"), "{}", seen_.notes[0].text);
            let slow = serve(|_| Some((200, Duration::from_secs(100)))).await;
            let mut slow = spec(&slow, 2, 2);
            slow.http.timeout = Duration::from_millis(30);
            let seen_ = seen(slow).await.unwrap();
            assert_eq!(seen_.facts.values["errors"], Value::int(2));
            assert_eq!(list(&seen_.facts.values["latency"]).len(), 0);
            assert!(seen_.notes[0].text.ends_with("no answer within 30 ms"), "{}", seen_.notes[0].text);
        });
    }

    /// Answers every connection with these bytes, `pause` between them, again and again if they are never enough.
    async fn raw(head: &'static str, body: &'static [u8], pause: Duration, repeat: usize) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::task::spawn_local(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::task::spawn_local(async move {
                    let mut buffer = Vec::new();
                    while !buffer.ends_with(b"\r\n\r\n") && stream.read_buf(&mut buffer).await.is_ok_and(|n| n > 0) {}
                    let _ = stream.write_all(head.as_bytes()).await;
                    for _ in 0..repeat {
                        if stream.write_all(body).await.is_err() {
                            break;
                        }
                        tokio::time::sleep(pause).await;
                    }
                });
            }
        });
        format!("http://{address}/")
    }

    async fn odd(url: &str, timeout: Duration) -> (Observation, String) {
        let mut spec = spec(url, 2, 1);
        spec.http.timeout = timeout;
        let seen = seen(spec).await.unwrap();
        let note = seen.notes.first().map(|note| note.text.clone()).unwrap_or_default();
        (seen, note)
    }

    #[test]
    fn odd_answers_are_bounded_and_typed() {
        const LONG: Duration = Duration::from_secs(20);
        local(async {
            let errors = |seen: &Observation| seen.facts.values["errors"].clone();
            // A slow loris: a byte now and then, so that no single read takes long.
            let loris =
                raw("HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n", b"x", Duration::from_millis(5), 9999).await;
            let (seen, note) = odd(&loris, Duration::from_millis(100)).await;
            assert_eq!(errors(&seen), Value::int(2));
            assert!(note.ends_with("no answer within 100 ms"), "{note}");
            let endless = raw("HTTP/1.1 200 OK\r\n\r\n", &[b'x'; 4096], Duration::ZERO, 1_000_000).await;
            let (seen, note) = odd(&endless, LONG).await;
            assert_eq!(errors(&seen), Value::int(2));
            assert!(note.ends_with("the body is larger than `max_body`"), "{note}");
            // Nothing is unpacked: what counts is what was sent.
            let bomb = "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 900\r\nConnection: close\r\n\r\n";
            let (seen, _) = odd(&raw(bomb, &[0x1f; 900], Duration::ZERO, 1).await, LONG).await;
            assert_eq!(errors(&seen), Value::int(0));
            let moved =
                "HTTP/1.1 302 Found\r\nLocation: http://192.0.2.1/\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            let (seen, note) = odd(&raw(moved, b"", Duration::ZERO, 0).await, LONG).await;
            assert_eq!((errors(&seen), part(&seen.facts.values["answers"], &["302"])), (Value::int(0), &Value::int(2)));
            assert!(note.ends_with("were redirected; a burst does not follow"), "{note}");
            let (seen, _) = odd(&raw("SSH-2.0-x\r\n", b"", Duration::ZERO, 0).await, LONG).await;
            assert_eq!(errors(&seen), Value::int(2));
            let cut = raw("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n", b"x", Duration::ZERO, 1).await;
            assert_eq!(errors(&odd(&cut, LONG).await.0), Value::int(2));
        });
    }

    #[test]
    fn both_sides_get_as_many_requests_in_turn() {
        local(async {
            let good = serve(|_| Some((200, Duration::ZERO))).await;
            let slow = serve(|_| Some((200, Duration::from_millis(20)))).await;
            let seen = seen(LoadSpec { baseline: Some(Text::fixed(good)), ..spec(&slow, 30, 4) }).await.unwrap();
            let compare = &seen.facts.values["compare"];
            for side in ["candidate", "baseline"] {
                assert_eq!(list(part(compare, &["latency", side])).len(), 30, "{side}");
                assert_eq!(part(compare, &["rate(errors)", side, "total"]), &Value::int(30));
            }
            let least = |side| {
                list(part(compare, &["latency", side]))
                    .iter()
                    .map(|v| match v {
                        Value::Num(n, Unit::Time) => *n,
                        _ => panic!(),
                    })
                    .min()
                    .unwrap()
            };
            assert!(least("candidate") >= Num::int(20_000_000) && least("baseline") < Num::int(20_000_000));
            assert_eq!(&seen.facts.values["latency"], part(compare, &["latency", "candidate"]));
        });
    }

    #[test]
    fn a_rate_is_kept() {
        local(async {
            let url = serve(|_| Some((200, Duration::ZERO))).await;
            let seen = seen(LoadSpec { rate: Some(100), ..spec(&url, 21, 4) }).await.unwrap();
            assert!(matches!(seen.facts.values["duration"], Value::Num(n, _) if n >= Num::int(200_000_000)));
        });
    }

    #[test]
    fn other_machines_are_left_alone() {
        local(async {
            for url in ["http://example.org/", "http://192.0.2.1/", "http://localhost.example.org/"] {
                let error = seen(spec(url, 1, 1)).await.err().unwrap();
                assert!(error.contains("is not on this machine"), "{error}");
            }
        });
        for (url, local) in [("http://[::1]:1/", true), ("http://127.8.0.1/", true), ("http://localhost:9/", true)] {
            assert_eq!(here(&Url::parse(url).unwrap()), local, "{url}");
        }
    }
}
