//! `http`: requests one after the other, each whole answer as facts. Knows no sampling and no criteria; the only home of
//! reqwest.
//!
//! Facts: `status` (number), `header` (Map, lower-case names, repeated ones joined by `, `), `headers` (List of these
//! names), `latency` (Time from sending
//! to the last byte of the body, redirects included), `redirects` (number followed), `size` (Size of the body), `url`
//! (Text, where the answer came from); over https `cert` (Map, see `cert`); if wanted `text` (Text) and `json` (absent with a note if the body is none).
//! Of several URLs each of these is a List in the order written (`Null` where one has none), `headers` the names of all
//! answers one after the other, and `paths` (List) says what was asked for.
//! Inspected: `response`s. An answer of any status is an observation; no answer is an error.
//!
//! Each look is a new connection, no proxy, no retry, no decompression, no cookies. Redirects are followed only as far as
//! the plan says, never from https to http, and to another origin without the plan's headers and body.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fmt::Write as _;
use std::io;
use std::path::Path;
use std::time::Duration;

use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION};
use reqwest::{Certificate, Client, ClientBuilder, Method, Response, StatusCode, Url};
use rustls::CertificateError;
use tokio::time::{Instant, timeout};

use super::blocking::{ended, misrouted};
use super::{Act, ActError, Lent, Look, Observation, Request, data};
use crate::action::{Action, HttpSpec, Text};
use crate::facts::{Facts, Value};
use crate::files::{self, human_size, plain};
use crate::outcome::{Cause, Note};

/// The `http` action; keeps its clients, never a connection.
#[derive(Debug, Default)]
pub struct Http {
    /// For http, which needs no certificates of the system.
    plain: OnceCell<Client>,
    /// For https.
    tls: OnceCell<Client>,
}

impl Act for Http {
    fn look<'a>(&'a self, request: &'a Request, lent: &'a Lent) -> Look<'a> {
        Box::pin(async move {
            let Action::Http(spec) = &request.action else { return Err(misrouted(request, "http")) };
            match spec.urls.as_slice() {
                [_] => self.once(spec, request, lent).await,
                _ => self.each(spec, request, lent).await,
            }
        })
    }
}

impl Http {
    /// Each URL in the order written. The first without an answer ends it.
    async fn each(&self, spec: &HttpSpec, request: &Request, lent: &Lent) -> Result<Observation, ActError> {
        let paths = paths(&spec.urls);
        let mut all = Observation::default();
        let mut answers: Vec<Facts> = Vec::new();
        for (url, path) in spec.urls.iter().zip(&paths) {
            let begin = |text: &str| format!("{path}: {text}");
            let said = |notes: Vec<Note>| notes.into_iter().map(|note| Note { text: begin(&note.text), ..note });
            match self.ask(spec, url, request, lent).await {
                Ok(seen) => {
                    all.notes.extend(said(seen.notes));
                    answers.push(seen.facts);
                }
                Err(error) => {
                    all.notes.extend(said(error.notes));
                    let detail = begin(&error.detail);
                    return Err(ActError { detail, notes: all.notes, facts: Facts::default(), ..error });
                }
            }
        }
        all.facts = joined(&answers);
        all.facts.set("paths", Value::List(paths.into_iter().map(Value::Text).collect()));
        Ok(all)
    }

    /// One request, to the only URL of `spec`. Takes the wants, the deadline, the workspace and nothing else from
    /// `request`, so that other actions can use it.
    ///
    /// # Errors
    /// As [`Act::look`].
    pub async fn once(&self, spec: &HttpSpec, request: &Request, lent: &Lent) -> Result<Observation, ActError> {
        let Some(url) = spec.urls.first() else { return Err(misrouted(request, "http")) };
        let mut seen = self.ask(spec, url, request, lent).await?;
        let path = paths(&spec.urls).into_iter().map(Value::Text).collect();
        seen.facts.set("paths", Value::List(path));
        Ok(seen)
    }

    /// One request.
    ///
    /// # Errors
    /// No complete answer ([`Cause::ActionError`], with the facts seen so far), the end of the step's time
    /// ([`Cause::Timeout`]) or a stop ([`Cause::Interrupted`]).
    async fn ask(&self, spec: &HttpSpec, url: &Text, request: &Request, lent: &Lent) -> Result<Observation, ActError> {
        let mut seen = Observation { facts: Facts::about(1, "response"), ..Observation::default() };
        let result = tokio::select! {
            biased;
            error = ended(lent, request.deadline) => Err(error),
            done = timeout(spec.timeout, self.exchange(spec, url, request, (lent.now)(), &mut seen)) => match done {
                Ok(done) => done.map_err(|detail| ActError::new(Cause::ActionError, detail)),
                Err(_) => {
                    let detail = format!("`{}` timed out after {}", peer_of(url.as_str()), human_time(spec.timeout));
                    Err(ActError::new(Cause::ActionError, detail))
                }
            },
        };
        match result {
            Ok(()) => Ok(seen),
            Err(error) => Err(ActError { facts: seen.facts, notes: seen.notes, ..error }),
        }
    }

    /// Sends the request, follows redirects and reads the body.
    async fn exchange(
        &self,
        spec: &HttpSpec,
        url: &Text,
        request: &Request,
        now: i64,
        seen: &mut Observation,
    ) -> Result<(), String> {
        let mut hop = Hop::first(spec, url)?;
        let own = spec.ca.as_ref().map(|ca| trusting(ca.as_str(), &request.workspace)).transpose()?;
        let begin = Instant::now();
        let mut followed = 0;
        let response = loop {
            note_plain_http(&hop.url, &mut seen.notes);
            let response = self.send(&hop, own.as_ref()).await?;
            let Some(next) = location(&response, &hop.url)? else { break response };
            if spec.redirects == 0 {
                break response;
            }
            if followed == spec.redirects {
                return Err(format!("gave up after {followed} redirects, the next one to `{next}`"));
            }
            hop = hop.follow(response.status(), next)?;
            followed += 1;
        };
        let facts = &mut seen.facts;
        facts.set("status", Value::int(response.status().as_u16()));
        facts.set("header", headers(response.headers()));
        let names: BTreeSet<&str> = response.headers().keys().map(HeaderName::as_str).collect();
        facts.set("headers", Value::List(names.into_iter().map(Value::text).collect()));
        facts.set("redirects", Value::int(followed));
        facts.set("url", Value::text(hop.url.as_str()));
        let tls = response.extensions().get::<reqwest::tls::TlsInfo>();
        if let Some(der) = tls.and_then(reqwest::tls::TlsInfo::peer_certificate) {
            match super::cert::facts(der, now) {
                Ok(cert) => facts.set("cert", Value::Map(cert)),
                Err(text) => seen.notes.push(Note { code: "odd_certificate".into(), text }),
            }
        }
        let typed_json = is_json(response.headers());
        let body = read_body(response, spec.max_body, &hop.url).await?;
        facts.set("latency", Value::time(begin.elapsed()));
        facts.set("size", Value::size(body.len() as u64));
        if request.wants.contains("text") {
            facts.set("text", Value::Text(String::from_utf8_lossy(&body).into_owned()));
        }
        if request.wants.contains("json") {
            match json(&body) {
                Ok(tree) => facts.set("json", Value::Json(tree)),
                Err(why) => {
                    let claims = if typed_json { ", although its content type says so" } else { "" };
                    seen.notes
                        .push(Note { code: "not_json".into(), text: format!("the body is not JSON{claims}: {why}") });
                }
            }
        }
        Ok(())
    }

    /// `own` is a client that trusts other authorities than the system.
    async fn send(&self, hop: &Hop, own: Option<&Client>) -> Result<Response, String> {
        let client = match own {
            Some(own) => own,
            None => self.client(&hop.url)?,
        };
        let mut builder = client.request(hop.method.clone(), hop.url.clone());
        builder = builder.headers(hop.headers.clone());
        if let Some(body) = &hop.body {
            builder = builder.body(body.clone());
        }
        builder.send().await.map_err(|error| explain(&error, &hop.url))
    }

    /// The client for a URL's scheme, made on first use.
    fn client(&self, url: &Url) -> Result<&Client, String> {
        let https = url.scheme() == "https";
        let cell = if https { &self.tls } else { &self.plain };
        if let Some(client) = cell.get() {
            return Ok(client);
        }
        let client = client(https, 0)?;
        Ok(cell.get_or_init(|| client))
    }
}

/// A client without proxies, retries, redirects and cookies; `idle` connections are kept.
pub(super) fn client(https: bool, idle: usize) -> Result<Client, String> {
    let builder = builder(idle);
    let builder = if https { builder } else { builder.tls_certs_only([]) };
    builder.build().map_err(|error| format!("no https on this machine: {}", deepest(&error)))
}

fn builder(idle: usize) -> ClientBuilder {
    // The result only says whether a provider was installed before.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .user_agent("runplan")
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .tls_info(true)
        .pool_max_idle_per_host(idle)
}

/// A client that trusts only the authorities of a PEM file.
fn trusting(ca: &str, workspace: &Path) -> Result<Client, String> {
    let path = files::anywhere(workspace, ca).map_err(|error| error.to_string())?;
    let bytes = files::read(&path, ca, 4 << 20, &files::Quit::default()).map_err(|error| error.to_string())?;
    let roots =
        Certificate::from_pem_bundle(&bytes).map_err(|error| format!("`{ca}` is not PEM: {}", deepest(&error)))?;
    if roots.is_empty() {
        return Err(format!("`{ca}` has no certificate in it: it is to be a PEM file"));
    }
    let client = builder(0).tls_certs_only(roots).build();
    client.map_err(|error| format!("`{ca}` cannot be used: {}", deepest(&error)))
}

/// What is asked for: path and query where all URLs are of one server, else all of each.
fn paths(urls: &[Text]) -> Vec<String> {
    let parsed: Vec<Option<Url>> = urls.iter().map(|url| Url::parse(url.as_str()).ok()).collect();
    let one =
        parsed.iter().all(|url| url.is_some() && url.as_ref().map(Url::origin) == parsed[0].as_ref().map(Url::origin));
    let shown = |(text, url): (&Text, &Option<Url>)| match url {
        Some(url) if one => {
            url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()))
        }
        _ => text.src.clone(),
    };
    urls.iter().zip(&parsed).map(shown).collect()
}

/// Facts of several answers, each as a list.
fn joined(answers: &[Facts]) -> Facts {
    let mut all = Facts::about(answers.len() as u64, "response");
    let names: BTreeSet<String> = answers.iter().flat_map(|facts| facts.values.keys().cloned()).collect();
    for name in names {
        let each = answers.iter().map(|facts| facts.values.get(&name).cloned().unwrap_or(Value::Null));
        let list = if name == "headers" {
            each.flat_map(|value| if let Value::List(names) = value { names } else { Vec::new() }).collect()
        } else {
            each.collect()
        };
        all.set(name, Value::List(list));
    }
    all
}

/// The request of a spec with one URL, to be sent any number of times, and that URL.
pub(super) fn call(client: &Client, spec: &HttpSpec) -> Result<(Url, reqwest::Request), String> {
    let hop = Hop::first(spec, spec.urls.first().unwrap_or(&Text::default()))?;
    let mut builder = client.request(hop.method, hop.url.clone()).headers(hop.headers);
    if let Some(body) = hop.body {
        builder = builder.body(body);
    }
    let call = builder.build().map_err(|error| explain(&error, &hop.url))?;
    Ok((hop.url, call))
}

/// One request on the way to the answer.
struct Hop {
    url: Url,
    method: Method,
    headers: HeaderMap,
    body: Option<String>,
}

impl Hop {
    fn first(spec: &HttpSpec, url: &Text) -> Result<Self, String> {
        let url = absolute(url.as_str())?;
        let method =
            Method::from_bytes(spec.method.as_bytes()).map_err(|_| format!("`{}` is no HTTP method", spec.method))?;
        let mut headers = HeaderMap::new();
        for (name, value) in &spec.headers {
            let bad = |what| format!("header `{name}`: its {what} has a character that is not allowed there");
            let parsed = HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad("name"))?;
            // The value may be a secret: it is never shown.
            headers.append(parsed, HeaderValue::from_str(value.as_str()).map_err(|_| bad("value"))?);
        }
        let body = spec.body.as_ref().map(|body| body.src.clone());
        Ok(Self { url, method, headers, body })
    }

    /// The request after a redirect.
    fn follow(mut self, status: StatusCode, next: Url) -> Result<Self, String> {
        if self.url.scheme() == "https" && next.scheme() == "http" {
            return Err(format!("refused to follow a redirect from https to `{next}`"));
        }
        let becomes_get = match status {
            StatusCode::SEE_OTHER => self.method != Method::HEAD,
            StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND => self.method == Method::POST,
            _ => false,
        };
        if becomes_get {
            self.method = Method::GET;
            self.body = None;
            self.headers.remove(CONTENT_TYPE);
            self.headers.remove(CONTENT_LENGTH);
        }
        if self.url.origin() != next.origin() {
            if self.body.is_some() {
                return Err(format!("refused to send the body on to another origin, `{}`", peer(&next)));
            }
            // Any of them may carry a credential: a list of names would never be complete.
            self.headers.clear();
        }
        self.url = next;
        Ok(self)
    }
}

fn absolute(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("`{text}` is not a URL: {error}"))?;
    match url.scheme() {
        "http" | "https" => Ok(url),
        other => Err(format!("`{text}` has the scheme `{other}`: write http or https")),
    }
}

/// Where a redirect leads; `None` if the answer is none.
fn location(response: &Response, url: &Url) -> Result<Option<Url>, String> {
    if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let Some(value) = response.headers().get(LOCATION) else { return Ok(None) };
    let text = String::from_utf8_lossy(value.as_bytes());
    let next = url.join(&text).map_err(|error| format!("redirected to `{text}`, which is not a URL: {error}"))?;
    absolute(next.as_str()).map(Some)
}

/// A plain connection beyond this machine can be read and changed on the way.
fn note_plain_http(url: &Url, notes: &mut Vec<Note>) {
    let host = url.host_str().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let loopback = bare.parse::<std::net::IpAddr>().map_or_else(
        |_| host == "localhost" || host.ends_with(".localhost"),
        |address| address.to_canonical().is_loopback(),
    );
    if url.scheme() == "http" && !loopback {
        let text = format!("plain http to `{}`: the answer could have been changed on the way", peer(url));
        notes.push(Note { code: "insecure_http".into(), text });
    }
}

fn headers(map: &HeaderMap) -> Value {
    let mut joined: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in map {
        let value = String::from_utf8_lossy(value.as_bytes());
        joined
            .entry(name.as_str().to_owned())
            .and_modify(|old| {
                let _ = write!(old, ", {value}");
            })
            .or_insert_with(|| value.into_owned());
    }
    Value::Map(joined.into_iter().map(|(name, value)| (name, Value::Text(value))).collect())
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).map(|value| String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase());
    kind.is_some_and(|kind| {
        let kind = kind.split(';').next().unwrap_or_default().trim();
        kind == "application/json" || kind.ends_with("+json")
    })
}

fn json(body: &[u8]) -> Result<serde_json::Value, String> {
    let text = std::str::from_utf8(body).map_err(|error| format!("not UTF-8 (byte {})", error.valid_up_to()))?;
    data::json(text).map_err(|(line, col, why)| format!("{why} (line {line}, column {col})"))
}

async fn read_body(mut response: Response, max: u64, url: &Url) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| explain(&error, url))? {
        if (body.len() + chunk.len()) as u64 > max {
            return Err(format!("the body is larger than {} (`max_body`)", human_size(max)));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// `host:port` of a URL.
fn peer(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port_or_known_default().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

fn peer_of(text: &str) -> String {
    Url::parse(text).map_or_else(|_| text.to_owned(), |url| peer(&url))
}

/// What went wrong, for a person: the first cause that can be named.
pub(super) fn explain(error: &reqwest::Error, url: &Url) -> String {
    let who = peer(url);
    for inner in causes(error) {
        if let Some(tls) = inner.downcast_ref::<rustls::Error>() {
            return tls_sentence(tls, &who);
        }
        if let Some(error) = inner.downcast_ref::<io::Error>() {
            match error.kind() {
                io::ErrorKind::ConnectionRefused => {
                    return format!("connection refused by `{who}` (is the service up?)");
                }
                io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
                    return format!("`{who}` closed the connection before it had answered");
                }
                io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
                    return format!("no route to `{who}`");
                }
                io::ErrorKind::TimedOut => return format!("`{who}` did not answer the connection"),
                _ => {}
            }
        }
    }
    if error.is_dns() {
        return format!("host `{}` not found", url.host_str().unwrap_or_default());
    }
    format!("no valid answer from `{who}`: {}", deepest(error))
}

/// An error and everything it wraps, outermost first; also what an I/O error wraps, which its `source` skips.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    let inner = |error: &'a (dyn Error + 'static)| match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref)
    {
        Some(inner) => Some(inner as &(dyn Error + 'static)),
        None => error.source(),
    };
    std::iter::successors(Some(error), move |error| inner(*error))
}

fn tls_sentence(error: &rustls::Error, who: &str) -> String {
    match error {
        rustls::Error::InvalidCertificate(why) => {
            format!("the certificate of `{who}` is not trusted: {}", why_invalid(why))
        }
        rustls::Error::InvalidMessage(_) => format!("`{who}` does not speak TLS (is it plain http?)"),
        other => format!("no TLS connection to `{who}`: {other}"),
    }
}

/// Why a certificate is not trusted.
pub(super) fn why_untrusted(error: &rustls::Error) -> String {
    if let rustls::Error::InvalidCertificate(why) = error { why_invalid(why) } else { error.to_string() }
}

fn why_invalid(why: &CertificateError) -> String {
    match why {
        CertificateError::UnknownIssuer => "this machine does not know who issued it".to_owned(),
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "it has expired".to_owned(),
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "it was issued for another name".to_owned()
        }
        other => other.to_string(),
    }
}

/// The innermost cause: the outer ones only say that a request failed.
fn deepest(error: &reqwest::Error) -> String {
    let last = causes(error).last();
    last.map_or_else(String::new, |last| last.downcast_ref::<io::Error>().map_or_else(|| last.to_string(), plain))
}

/// `5 s`, `1500 ms`.
fn human_time(time: Duration) -> String {
    if time.subsec_nanos() == 0 { format!("{} s", time.as_secs()) } else { format!("{} ms", time.as_millis()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::act::{Stop, fixture};
    use crate::facts::{Num, Unit};
    use std::rc::Rc;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::sync::mpsc;

    const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nhi";

    /// What a connection does after its request was read.
    enum Answer {
        /// Says this and closes.
        Say(String),
        /// Says this and then nothing more.
        Hang(String),
        /// Says the first, then the second for ever.
        Endless(String, String),
    }

    fn say(text: &str) -> Answer {
        Answer::Say(text.to_owned())
    }

    /// A server that gives one answer a connection, in order, and reports the requests it saw.
    async fn serve(answers: Vec<Answer>) -> (String, mpsc::UnboundedReceiver<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (sender, requests) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            let mut open = Vec::new();
            for answer in answers {
                let (mut stream, _) = listener.accept().await.unwrap();
                // A test that does not look at the requests has dropped the receiver.
                let _ = sender.send(read_request(&mut stream).await);
                match answer {
                    Answer::Say(text) => stream.write_all(text.as_bytes()).await.unwrap(),
                    Answer::Hang(text) => {
                        stream.write_all(text.as_bytes()).await.unwrap();
                        open.push(stream);
                    }
                    Answer::Endless(head, chunk) => {
                        stream.write_all(head.as_bytes()).await.unwrap();
                        while stream.write_all(chunk.as_bytes()).await.is_ok() {}
                    }
                }
            }
            std::future::pending::<()>().await;
        });
        (address, requests)
    }

    async fn read_request(stream: &mut TcpStream) -> String {
        let mut text = String::new();
        let mut buffer = [0; 4096];
        loop {
            let n = stream.read(&mut buffer).await.unwrap();
            text.push_str(std::str::from_utf8(&buffer[..n]).unwrap());
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let length = head.to_lowercase().lines().find_map(|l| l.strip_prefix("content-length: ")?.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                return text;
            }
        }
    }

    fn get(url: impl Into<String>) -> HttpSpec {
        HttpSpec {
            urls: vec![Text::fixed(url)],
            method: "GET".into(),
            headers: Vec::new(),
            body: None,
            timeout: Duration::from_secs(20),
            redirects: 0,
            max_body: 1000,
            ca: None,
        }
    }

    async fn look(spec: HttpSpec, wants: &[&str]) -> Result<Observation, ActError> {
        let mut request = fixture::request(Action::Http(Box::new(spec)), "/".as_ref());
        request.wants = wants.iter().map(|&name| name.to_owned()).collect();
        let (lent, _stop) = fixture::lent();
        Http::default().look(&request, &lent).await
    }

    async fn detail(spec: HttpSpec) -> String {
        let error = look(spec, &[]).await.err().expect("an error");
        assert_eq!(error.cause, Cause::ActionError, "{}", error.detail);
        error.detail
    }

    #[tokio::test(flavor = "current_thread")]
    async fn each_look_is_a_new_request_with_its_own_answer() {
        let bad = "HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n";
        let (address, mut requests) = serve(vec![say(OK), say(bad), say(OK)]).await;
        let (http, (lent, _stop)) = (Http::default(), fixture::lent());
        let request =
            fixture::request(Action::Http(Box::new(get(format!("http://{address}/health?a=b")))), "/".as_ref());
        for status in [200, 503, 200] {
            let seen = http.look(&request, &lent).await.map_err(|e| e.detail).unwrap();
            assert_eq!(seen.facts.values["status"], Value::int(status));
            assert_eq!(seen.facts.inspected.count, 1);
            assert!(seen.notes.is_empty());
        }
        let first = requests.recv().await.unwrap().to_lowercase();
        assert!(first.starts_with("get /health?a=b http/1.1\r\n"), "{first}");
        assert!(!first.contains("accept-encoding"), "{first}");
    }

    #[tokio::test(flavor = "current_thread")]
    async fn facts_of_an_answer() {
        let body = r#"{"status":"ok","n":[1,2]}"#;
        let head =
            "HTTP/1.1 200 OK\r\nX-A: 1\r\nx-a: 2\r\nContent-Encoding: gzip\r\nContent-Type: application/json\r\n";
        let (address, _) = serve(vec![say(&format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()))]).await;
        let seen =
            look(get(format!("http://{address}/")), &["json", "text"]).await.map_err(|e| e.detail).unwrap().facts;
        let Value::Map(header) = &seen.values["header"] else { panic!() };
        assert_eq!(header["x-a"], Value::text("1, 2"));
        assert_eq!(seen.values["text"], Value::text(body));
        assert_eq!(seen.values["json"], Value::Json(serde_json::json!({"status":"ok","n":[1,2]})));
        assert_eq!(seen.values["size"], Value::size(body.len() as u64));
        assert_eq!(seen.values["redirects"], Value::int(0));
        assert!(matches!(seen.values["latency"], Value::Num(n, Unit::Time) if n > Num::int(0)));
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_body_that_is_not_json_is_a_note() {
        let (address, _) = serve(vec![say(OK)]).await;
        let seen = look(get(format!("http://{address}/")), &["json"]).await.map_err(|e| e.detail).unwrap();
        assert!(!seen.facts.values.contains_key("json") && !seen.facts.values.contains_key("text"));
        assert_eq!(seen.notes[0].code, "not_json");
    }

    #[tokio::test(flavor = "current_thread")]
    async fn sends_method_headers_and_body() {
        let (address, mut requests) = serve(vec![say(OK)]).await;
        let mut spec = get(format!("http://{address}/"));
        spec.method = "POST".into();
        spec.headers = vec![("x-token".into(), Text::fixed("t"))];
        spec.body = Some(Text::fixed("payload"));
        look(spec, &[]).await.map_err(|e| e.detail).unwrap();
        let seen = requests.recv().await.unwrap();
        assert!(seen.starts_with("POST / ") && seen.contains("x-token: t\r\n") && seen.ends_with("\r\n\r\npayload"));
    }

    #[tokio::test(flavor = "current_thread")]
    async fn nobody_there() {
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let detail_of = detail(get(format!("http://{free}/"))).await;
        assert_eq!(detail_of, format!("connection refused by `{free}` (is the service up?)"));
        assert_eq!(detail(get("http://no-such-host.invalid/")).await, "host `no-such-host.invalid` not found");
        assert_eq!(detail(get("/x")).await, "`/x` is not a URL: relative URL without a base");
        assert!(detail(get("ftp://x/")).await.contains("has the scheme `ftp`"));
        let mut spec = get("http://127.0.0.1/");
        spec.headers = vec![("authorization".into(), Text::fixed("secret\n"))];
        let message = detail(spec).await;
        assert!(message.starts_with("header `authorization`: its value") && !message.contains("secret"), "{message}");
    }

    #[tokio::test(flavor = "current_thread")]
    async fn slow_and_endless_bodies_are_bounded() {
        let head = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi";
        let endless = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        let answers =
            vec![Answer::Hang(head.into()), Answer::Endless(endless.into(), "4\r\nabcd\r\n".into()), say(head)];
        let (address, _) = serve(answers).await;
        let mut spec = get(format!("http://{address}/"));
        spec.timeout = Duration::from_millis(1500);
        let error = look(spec, &[]).await.err().unwrap();
        assert_eq!(error.detail, format!("`{address}` timed out after 1500 ms"));
        assert_eq!(error.facts.values["status"], Value::int(200));
        assert_eq!(detail(get(format!("http://{address}/"))).await, "the body is larger than 1000 B (`max_body`)");
        let cut = detail(get(format!("http://{address}/"))).await;
        assert!(cut.starts_with(&format!("no valid answer from `{address}`: ")), "{cut}");
    }

    /// A server that says one byte after the other for ever: each keeps the connection alive, none ends the answer.
    #[tokio::test(flavor = "current_thread")]
    async fn a_trickle_does_not_outlast_the_timeout() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            read_request(&mut stream).await;
            stream.write_all(b"HTTP/1.1 200 OK\r\nX-A: ").await.unwrap();
            while stream.write_all(b"a").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        let spec = HttpSpec { timeout: Duration::from_millis(400), ..get(format!("http://{address}/")) };
        assert_eq!(detail(spec).await, format!("`{address}` timed out after 400 ms"));
    }

    #[tokio::test(flavor = "current_thread")]
    async fn compressed_bodies_are_never_expanded() {
        let bomb = "\u{1f}\u{8}not really";
        let head = "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Type: application/json\r\n";
        let (address, _) = serve(vec![say(&format!("{head}Content-Length: {}\r\n\r\n{bomb}", bomb.len()))]).await;
        let seen = look(get(format!("http://{address}/")), &["json", "text"]).await.map_err(|e| e.detail).unwrap();
        assert_eq!(seen.facts.values["text"], Value::text(bomb));
        assert_eq!(seen.facts.values["size"], Value::size(bomb.len() as u64));
        assert_eq!(seen.notes[0].code, "not_json");
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_redirect_loop_ends() {
        let again = || say("HTTP/1.1 302 Found\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n");
        let (address, _) = serve((0..30).map(|_| again()).collect()).await;
        let message = detail(HttpSpec { redirects: 20, ..get(format!("http://{address}/")) }).await;
        assert_eq!(message, format!("gave up after 20 redirects, the next one to `http://{address}/again`"));
    }

    #[tokio::test(flavor = "current_thread")]
    async fn answers_that_are_not_http() {
        let long = format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(200));
        let (address, _) =
            serve(vec![say("SSH-2.0-x\r\n"), say("HTTP/1.1 200 OK\r\nbad header\r\n\r\n"), say(""), say(&long)]).await;
        for _ in 0..4 {
            let message = detail(get(format!("http://{address}/"))).await;
            assert!(message.contains(&address), "{message}");
        }
        let (address, _) = serve(vec![]).await;
        let mut spec = get(format!("http://{address}/"));
        spec.timeout = Duration::from_millis(200);
        assert!(detail(spec).await.contains("timed out"));
    }

    #[tokio::test(flavor = "current_thread")]
    async fn redirects_are_facts_unless_followed() {
        let to = |place: &str| say(&format!("HTTP/1.1 302 Found\r\nLocation: {place}\r\nContent-Length: 0\r\n\r\n"));
        let (other, mut other_requests) = serve(vec![say(OK)]).await;
        let (address, mut requests) =
            serve(vec![to("/b"), to("/b"), to(&format!("http://{other}/c")), to("/loop"), to("/loop"), to("::")]).await;
        let url = format!("http://{address}/a");
        let seen = look(get(&*url), &[]).await.map_err(|e| e.detail).unwrap().facts;
        assert_eq!(seen.values["status"], Value::int(302));
        let mut spec = HttpSpec { redirects: 2, ..get(&*url) };
        spec.headers = vec![("x-token".into(), Text::fixed("t"))];
        let seen = look(spec, &[]).await.map_err(|e| e.detail).unwrap().facts;
        assert_eq!((&seen.values["status"], &seen.values["redirects"]), (&Value::int(200), &Value::int(2)));
        assert_eq!(seen.values["url"], Value::text(format!("http://{other}/c")));
        let mut tokens = Vec::new();
        for _ in 0..3 {
            tokens.push(requests.recv().await.unwrap().contains("x-token"));
        }
        assert_eq!(tokens, [false, true, true]);
        assert!(!other_requests.recv().await.unwrap().contains("x-token"));
        let message = detail(HttpSpec { redirects: 1, ..get(&*url) }).await;
        assert_eq!(message, format!("gave up after 1 redirects, the next one to `http://{address}/loop`"));
    }

    #[test]
    fn redirects_never_leak() {
        let spec = HttpSpec { method: "POST".into(), body: Some(Text::fixed("b")), ..get("https://a/") };
        let next = |text| Url::parse(text).unwrap();
        let follow = |code, url| {
            Hop::first(&spec, &spec.urls[0]).unwrap().follow(StatusCode::from_u16(code).unwrap(), next(url))
        };
        assert!(follow(302, "http://a/").err().unwrap().contains("from https to"));
        assert!(follow(307, "https://b/").err().unwrap().contains("another origin, `b:443`"));
        assert_eq!(follow(302, "https://b/").ok().unwrap().method, Method::GET);
        assert_eq!(follow(308, "https://a/x").ok().unwrap().body.as_deref(), Some("b"));
    }

    #[tokio::test(flavor = "current_thread")]
    async fn https_to_a_plain_server_says_so() {
        let (address, _) = serve_tls_probe().await;
        let message = detail(get(format!("https://{address}/"))).await;
        assert!(message.contains("does not speak TLS") || message.contains("no https on this machine"), "{message}");
    }

    /// Answers a TLS hello in plain text.
    async fn serve_tls_probe() -> (String, Rc<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 1024]).await;
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
            std::future::pending::<()>().await;
        });
        (address, Rc::new(()))
    }

    #[tokio::test(flavor = "current_thread")]
    async fn stop_and_deadline_end_a_request() {
        let (address, mut requests) = serve(vec![Answer::Hang(String::new()), Answer::Hang(String::new())]).await;
        let (http, (lent, stop)) = (Http::default(), fixture::lent());
        let mut request = fixture::request(Action::Http(Box::new(get(format!("http://{address}/")))), "/".as_ref());
        let (result, ()) = tokio::join!(http.look(&request, &lent), async {
            requests.recv().await.unwrap();
            stop.send(Stop::Term).unwrap();
        });
        assert_eq!(result.err().unwrap().cause, Cause::Interrupted);
        stop.send(Stop::Run).unwrap();
        request.deadline = Some(Instant::now() + Duration::from_millis(100));
        assert_eq!(http.look(&request, &lent).await.err().unwrap().cause, Cause::Timeout);
    }

    #[test]
    fn plain_http_beyond_this_machine_is_noted() {
        for (url, noted) in [
            ("http://127.0.0.1:1/", false),
            ("http://[::1]/", false),
            ("http://a.localhost/", false),
            ("https://example.org/", false),
            ("http://example.org/", true),
            ("http://10.0.0.1/", true),
        ] {
            let mut notes = Vec::new();
            note_plain_http(&Url::parse(url).unwrap(), &mut notes);
            assert_eq!(!notes.is_empty(), noted, "{url}");
        }
    }

    #[tokio::test(flavor = "current_thread")]
    async fn several_addresses_are_asked_in_their_order() {
        let missing = "HTTP/1.1 404 No\r\nX-B: 1\r\nContent-Length: 0\r\n\r\n";
        let found = "HTTP/1.1 200 OK\r\nX-A: 1\r\nContent-Length: 7\r\n\r\n{\"a\":1}";
        let (address, mut requests) = serve(vec![say(found), say(missing)]).await;
        let urls = ["/a?q", "/b"].map(|path| Text::fixed(format!("http://{address}{path}")));
        let spec = HttpSpec { urls: urls.into(), ..get("") };
        let seen = look(spec.clone(), &["json"]).await.map_err(|e| e.detail).unwrap();
        let texts = |all: &[&str]| Value::List(all.iter().map(|text| Value::text(*text)).collect());
        let facts = &seen.facts.values;
        assert_eq!(facts["status"], Value::List(vec![Value::int(200), Value::int(404)]));
        assert_eq!(facts["paths"], texts(&["/a?q", "/b"]));
        assert_eq!(facts["headers"], texts(&["content-length", "x-a", "content-length", "x-b"]));
        let Value::List(header) = &facts["header"] else { panic!() };
        assert!(matches!(&header[1], Value::Map(names) if names["x-b"] == Value::text("1")));
        assert_eq!(facts["json"], Value::List(vec![Value::Json(serde_json::json!({"a": 1})), Value::Null]));
        assert_eq!(seen.facts.inspected.count, 2);
        assert!(seen.notes[0].text.starts_with("/b: the body is not JSON"), "{}", seen.notes[0].text);
        for path in ["GET /a?q ", "GET /b "] {
            assert!(requests.recv().await.unwrap().starts_with(path));
        }
        let (address, _) = serve(vec![say(found), say("SSH")]).await;
        let urls = ["/", "/gone"].map(|path| Text::fixed(format!("http://{address}{path}")));
        let message = detail(HttpSpec { urls: urls.into(), ..spec }).await;
        assert!(message.starts_with(&format!("/gone: no valid answer from `{address}`")), "{message}");
        let two = ["http://a.test/x", "http://b.test/x"].map(Text::fixed);
        assert_eq!(paths(&two), ["http://a.test/x", "http://b.test/x"]);
    }

    #[tokio::test(flavor = "current_thread")]
    async fn own_authorities_are_trusted_and_no_others() {
        use tokio_rustls::TlsAcceptor;
        let _ = rustls::crypto::ring::default_provider().install_default();
        let made = |name: &str| rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
        let (own, other) = (made("localhost"), made("localhost"));
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("ca.pem"), own.cert.pem()).unwrap();
        std::fs::write(dir.path().join("other.pem"), other.cert.pem()).unwrap();
        std::fs::write(dir.path().join("none.pem"), "hello").unwrap();
        let key = rustls::pki_types::PrivateKeyDer::Pkcs8(own.signing_key.serialize_der().into());
        let config =
            rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(vec![own.cert.der().clone()], key);
        let acceptor = TlsAcceptor::from(std::sync::Arc::new(config.unwrap()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                let _ = stream.read(&mut [0; 4096]).await;
                stream.write_all(OK.as_bytes()).await.unwrap();
                let _ = stream.shutdown().await;
            }
        });
        let asked = |ca: Option<&str>| {
            let spec = HttpSpec { ca: ca.map(Text::fixed), ..get(format!("https://localhost:{port}/")) };
            let request = fixture::request(Action::Http(Box::new(spec)), dir.path());
            async move {
                let (lent, _stop) = fixture::lent();
                Http::default().look(&request, &lent).await.map(|seen| seen.facts).map_err(|error| error.detail)
            }
        };
        let facts = asked(Some("ca.pem")).await.unwrap();
        assert_eq!(facts.values["status"], Value::int(200));
        assert!(matches!(&facts.values["cert"], Value::Map(cert) if cert.contains_key("expires_in")));
        let untrusted = asked(Some("other.pem")).await.unwrap_err();
        assert!(untrusted.starts_with(&format!("the certificate of `localhost:{port}` is not trusted")), "{untrusted}");
        assert_eq!(
            asked(Some("none.pem")).await.unwrap_err(),
            "`none.pem` has no certificate in it: it is to be a PEM file"
        );
        assert!(asked(Some("gone.pem")).await.unwrap_err().contains("`gone.pem`"));
    }

    #[test]
    fn untrusted_certificates_are_named() {
        let error = rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer);
        let sentence = "the certificate of `a:443` is not trusted: this machine does not know who issued it";
        assert_eq!(tls_sentence(&error, "a:443"), sentence);
    }
}
