//! Listeners that notifications are captured by: HTTP and mail, on loopback, alive while they are held. Knows no
//! Alertmanager and no configuration.
//!
//! Each takes what comes to its own secret only (a path; for mail the name by which the sender introduces itself), with
//! caps on size, time and number, and answers everything else with a refusal.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::HOST;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

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

/// Most bytes of the head of an HTTP request.
const HEAD: usize = 16 * 1024;

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
        let limits = self.limits;
        self.tasks.spawn(accept(listener, limits, move |stream| serve_http(stream, Arc::clone(&site), limits)));
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
        self.tasks.spawn(accept(listener, limits, move |stream| {
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

/// Any free port of the loopback address.
pub(super) fn anywhere() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
}

/// Serves connections until it is dropped, and them with it.
async fn accept<F, S>(listener: TcpListener, limits: Limits, serve: F)
where
    F: Fn(TcpStream) -> S,
    S: Future<Output = ()> + Send + 'static,
{
    let room = Arc::new(Semaphore::new(limits.connections));
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let Ok((stream, _)) = listener.accept().await else {
            // No descriptors are left, or the peer is gone already.
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        let Ok(permit) = Arc::clone(&room).try_acquire_owned() else { continue };
        let serve = serve(stream);
        connections.spawn(async move {
            let _ = timeout(limits.connection, serve).await;
            drop(permit);
        });
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

async fn serve_http(stream: TcpStream, site: Arc<Site>, limits: Limits) {
    let answer = service_fn(move |request| {
        let site = Arc::clone(&site);
        async move {
            let (status, text) = site.take(request).await;
            let mut response = Response::new(Full::new(Bytes::from_static(text.as_bytes())));
            *response.status_mut() = status;
            Ok::<_, Infallible>(response)
        }
    });
    let mut server = hyper::server::conn::http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(limits.silence).max_buf_size(HEAD).keep_alive(false);
    // A broken connection is its sender's affair: it will try again.
    let _ = server.serve_connection(TokioIo::new(stream), answer).await;
}

impl Site {
    async fn take(&self, request: Request<Incoming>) -> (StatusCode, &'static str) {
        let host = request.headers().get(HOST).and_then(|host| host.to_str().ok());
        if !host.is_some_and(|host| self.hosts.iter().any(|known| known == host)) {
            return (StatusCode::MISDIRECTED_REQUEST, "not this host\n");
        }
        let Some((_, endpoint)) = self.paths.iter().find(|(path, _)| path == request.uri().path()) else {
            return (StatusCode::NOT_FOUND, "nothing here\n");
        };
        if request.method() != Method::POST {
            return (StatusCode::METHOD_NOT_ALLOWED, "notifications are posted\n");
        }
        let body = Limited::new(request.into_body(), self.body).collect();
        let bytes = match timeout(self.silence, body).await {
            Err(_) => return (StatusCode::REQUEST_TIMEOUT, "too slow\n"),
            Ok(Err(error)) if error.is::<LengthLimitError>() => {
                return (StatusCode::PAYLOAD_TOO_LARGE, "too large\n");
            }
            Ok(Err(_)) => return (StatusCode::BAD_REQUEST, "the body broke off\n"),
            Ok(Ok(body)) => body.to_bytes().to_vec(),
        };
        if serde_json::from_slice::<serde::de::IgnoredAny>(&bytes).is_err() {
            return (StatusCode::BAD_REQUEST, "the body is not JSON\n");
        }
        match self.sender.try_send(Hit { at: Instant::now(), endpoint: *endpoint, bytes }) {
            Ok(()) => (StatusCode::OK, "ok"),
            Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "too many at once\n"),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    const LIMITS: Limits = Limits {
        body: 1000,
        connection: Duration::from_millis(600),
        silence: Duration::from_millis(150),
        connections: 2,
    };

    async fn listening() -> (Capture, SocketAddr) {
        let mut capture = Capture::new(LIMITS);
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
        let (mut capture, at) = listening().await;
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
            (format!("POST /secret/0 HTTP/1.1\r\nHost: {host}\r\nX: {}\r\n\r\n", "x".repeat(2 * HEAD)), "431"),
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
        let (mut capture, at) = listening().await;
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
        let (mut capture, at) = listening().await;
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
