//! Listeners that notifications are captured by: HTTP and mail, on loopback, alive while they are held. Knows no
//! Alertmanager and no configuration.
//!
//! Each takes what comes to its own secret only (a path; for mail the name by which the sender introduces itself), with
//! caps on size, time and number, and answers everything else with a refusal.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::listen::{self, Answer, Asked};

pub(super) use crate::listen::anywhere;

use super::smtp;

/// What is allowed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Most bytes of one notification.
    pub(super) body: usize,
    /// Longest time of a connection, and of each part of it that a peer could draw out.
    pub(super) connection: Duration,
    pub(super) silence: Duration,
    /// Most connections at a time; more are closed at once.
    pub(super) connections: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { body: 1 << 20, connection: Duration::from_secs(20), silence: Duration::from_secs(5), connections: 32 }
    }
}

impl Limits {
    fn of_listener(self) -> listen::Limits {
        let Self { connections, connection, silence, .. } = self;
        listen::Limits { connections, connection: Some(connection), silence }
    }
}

/// Most notifications that wait to be looked at.
const WAITING: usize = 64;

/// A notification that came in.
#[derive(Debug)]
pub(super) struct Hit {
    pub(super) at: Instant,
    /// What the caller named the endpoint.
    pub(super) endpoint: usize,
    pub(super) bytes: Vec<u8>,
}

/// The listeners. Dropping it closes every socket.
pub(super) struct Capture {
    limits: Limits,
    tasks: JoinSet<()>,
    sender: mpsc::Sender<Hit>,
    hits: mpsc::Receiver<Hit>,
}

impl Capture {
    pub(super) fn new(limits: Limits) -> Self {
        let (sender, hits) = mpsc::channel(WAITING);
        Self { limits, tasks: JoinSet::new(), sender, hits }
    }

    /// The next notification.
    pub(super) async fn next(&mut self) -> Hit {
        match self.hits.recv().await {
            Some(hit) => hit,
            // We hold a sender ourselves.
            None => std::future::pending().await,
        }
    }

    /// Listens for HTTP; each path leads to an endpoint.
    ///
    /// # Errors
    /// When the address can't be had.
    pub(super) async fn http(&mut self, at: SocketAddr, paths: Vec<(String, usize)>) -> io::Result<SocketAddr> {
        let listener = TcpListener::bind(at).await?;
        let at = listener.local_addr()?;
        let site = Arc::new(Site {
            hosts: [at.to_string(), format!("localhost:{}", at.port())],
            paths,
            body: self.limits.body,
            silence: self.limits.silence,
            sender: self.sender.clone(),
        });
        let limits = self.limits.of_listener();
        self.tasks.spawn(listen::accept(listener, limits, move |stream| {
            let site = Arc::clone(&site);
            let answer = move |asked| {
                let site = Arc::clone(&site);
                async move {
                    let (status, text) = site.take(asked).await;
                    Answer::text(status, text)
                }
            };
            listen::http(stream, limits, answer)
        }));
        Ok(at)
    }

    /// Listens for mail of one endpoint; `hello` is the name that its sender must give, if it has to be a certain one.
    ///
    /// # Errors
    /// When the address can't be had.
    pub(super) async fn smtp(
        &mut self,
        at: SocketAddr,
        endpoint: usize,
        hello: Option<String>,
    ) -> io::Result<SocketAddr> {
        let listener = TcpListener::bind(at).await?;
        let at = listener.local_addr()?;
        let (limits, sender) = (self.limits, self.sender.clone());
        let hello = hello.map(Arc::new);
        self.tasks.spawn(listen::accept(listener, limits.of_listener(), move |stream| {
            let (sender, hello) = (sender.clone(), hello.clone());
            async move {
                let keep = |bytes: Vec<u8>| sender.try_send(Hit { at: Instant::now(), endpoint, bytes }).is_ok();
                let hello = hello.as_deref().map(String::as_str);
                // A broken connection is its sender's affair: it will try again.
                let _ = smtp::talk(stream, hello, limits.body, limits.silence, keep).await;
            }
        }));
        Ok(at)
    }
}

/// What one HTTP listener answers to.
struct Site {
    /// `Host` must be one of them: a page that a browser was lured to with another name is refused.
    hosts: [String; 2],
    paths: Vec<(String, usize)>,
    body: usize,
    silence: Duration,
    sender: mpsc::Sender<Hit>,
}

impl Site {
    async fn take(&self, asked: Asked) -> (u16, &'static str) {
        if !asked.host.as_ref().is_some_and(|host| self.hosts.contains(host)) {
            return (421, "not this host\n");
        }
        let Some((_, endpoint)) = self.paths.iter().find(|(path, _)| *path == asked.path) else {
            return (404, "nothing here\n");
        };
        if asked.method != "POST" {
            return (405, "notifications are posted\n");
        }
        let bytes = match asked.body(self.body, self.silence).await {
            Ok(bytes) => bytes,
            Err(refusal) => return refusal,
        };
        if serde_json::from_slice::<serde::de::IgnoredAny>(&bytes).is_err() {
            return (400, "the body is not JSON\n");
        }
        match self.sender.try_send(Hit { at: Instant::now(), endpoint: *endpoint, bytes }) {
            Ok(()) => (200, "ok"),
            Err(_) => (503, "too many at once\n"),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;

    use super::*;

    const PATIENT: Limits =
        Limits { body: 1000, connection: Duration::from_secs(60), silence: Duration::from_secs(30), connections: 2 };

    const SHORT: Limits =
        Limits { connection: Duration::from_millis(600), silence: Duration::from_millis(150), ..PATIENT };

    async fn listening(limits: Limits) -> (Capture, SocketAddr) {
        let mut capture = Capture::new(limits);
        let at = capture.http(anywhere(), vec![("/secret/0".into(), 7)]).await.unwrap();
        (capture, at)
    }

    /// Everything that is answered to these bytes.
    async fn say(at: SocketAddr, text: &str) -> String {
        let mut stream = TcpStream::connect(at).await.unwrap();
        // The peer may have refused it before it had it all.
        let _ = stream.write_all(text.as_bytes()).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    }

    fn post(host: &str, path: &str, body: &str) -> String {
        format!("POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {}\r\n\r\n{body}", body.len())
    }

    #[tokio::test(flavor = "current_thread")]
    async fn only_its_host_its_path_and_json_in_bounds() {
        let (mut capture, at) = listening(PATIENT).await;
        let host = at.to_string();
        let status = |answer: &str| answer.get(9..12).unwrap_or("none").to_owned();
        let long = format!("\"{}\"", "x".repeat(1000));
        for (text, wanted) in [
            (post("evil.example", "/secret/0", "{}"), "421"),
            (post("127.0.0.1", "/secret/0", "{}"), "421"),
            ("POST /secret/0 HTTP/1.0\r\nContent-Length: 2\r\n\r\n{}".to_owned(), "421"),
            (post(&host, "/", "{}"), "404"),
            (post(&host, "/secret/01", "{}"), "404"),
            (format!("GET /secret/0 HTTP/1.1\r\nHost: {host}\r\n\r\n"), "405"),
            (post(&host, "/secret/0", "nothing"), "400"),
            (post(&host, "/secret/0", &long), "413"),
            (
                format!(
                    "POST /secret/0 HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n\r\n3ea\r\n{}\r\n0\r\n\r\n",
                    "1".repeat(0x3ea)
                ),
                "413",
            ),
            (format!("POST /secret/0 HTTP/1.1\r\nHost: {host}\r\nX: {}\r\n\r\n", "x".repeat(2 * listen::HEAD)), "431"),
            (post(&host, "/secret/0", "{\"a\": 1}"), "200"),
            (post(&format!("localhost:{}", at.port()), "/secret/0?x=1", "[]"), "200"),
        ] {
            let answer = say(at, &text).await;
            assert_eq!(status(&answer), wanted, "{}\n{answer}", &text[..text.len().min(200)]);
        }
        let first = capture.next().await;
        assert_eq!((first.endpoint, first.bytes.as_slice()), (7, b"{\"a\": 1}".as_slice()));
        assert_eq!(capture.next().await.bytes, b"[]");
    }

    #[tokio::test(flavor = "current_thread")]
    async fn who_dawdles_is_cut_off_and_keeps_nobody_out_for_long() {
        let (mut capture, at) = listening(SHORT).await;
        let began = Instant::now();
        let head = say(at, "POST /secret/0 HT").await;
        assert!(head.is_empty() || head.contains("408"), "{head}");
        let body = format!("POST /secret/0 HTTP/1.1\r\nHost: {at}\r\nContent-Length: 10\r\n\r\n{{");
        assert!(say(at, &body).await.starts_with("HTTP/1.1 408"));
        assert!(began.elapsed() < Duration::from_secs(10));
        // Silent ones take all the room there is, and then lose it.
        let idle = [TcpStream::connect(at).await.unwrap(), TcpStream::connect(at).await.unwrap()];
        loop {
            if say(at, &post(&at.to_string(), "/secret/0", "{}")).await.contains("200") {
                break;
            }
            assert!(began.elapsed() < Duration::from_secs(10), "no room");
        }
        assert_eq!(capture.next().await.bytes, b"{}");
        drop(idle);
    }

    #[tokio::test(flavor = "current_thread")]
    async fn nothing_listens_once_it_is_dropped() {
        let (mut capture, at) = listening(PATIENT).await;
        let mail = capture.smtp(anywhere(), 0, None).await.unwrap();
        let open = TcpStream::connect(at).await.unwrap();
        assert!(at.ip().is_loopback() && mail.ip().is_loopback());
        drop(capture);
        for at in [at, mail] {
            let began = Instant::now();
            while TcpStream::connect(at).await.is_ok() {
                assert!(began.elapsed() < Duration::from_secs(10), "still there");
                tokio::task::yield_now().await;
            }
        }
        drop(open);
    }
}
