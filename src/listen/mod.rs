//! HTTP/1.1 on loopback sockets: connections in, requests to whoever answers, with caps on what a peer could draw out.
//! hyper stops here. Knows no page and no notification.

pub mod door;

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream;
use http_body_util::{BodyExt as _, Either, Full, LengthLimitError, Limited, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::header::{COOKIE, HOST, HeaderName, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// Most bytes of the head of a request.
pub const HEAD: usize = 16 * 1024;

/// What is allowed.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Most connections at a time; more are closed at once.
    pub connections: usize,
    /// Longest time of a connection; none for one that may stay.
    pub connection: Option<Duration>,
    /// Longest time that a peer may take for a part of what it says.
    pub silence: Duration,
}

/// A request.
#[derive(Debug)]
pub struct Asked {
    /// `GET`, in capitals.
    pub method: String,
    /// As it came, escapes included.
    pub path: String,
    /// What stands after `?`; may be empty.
    pub query: String,
    /// The `Host` header.
    pub host: Option<String>,
    /// The `Cookie` headers, one after the other.
    pub cookies: String,
    body: Incoming,
}

/// What is answered.
#[derive(Debug)]
pub struct Answer {
    /// `200`.
    pub status: u16,
    /// By name, in small letters. One that HTTP does not allow is left out.
    pub headers: Vec<(&'static str, String)>,
    /// What follows.
    pub body: Body,
}

/// The body of an answer.
#[derive(Debug)]
pub enum Body {
    /// All of it.
    Whole(Vec<u8>),
    /// As it comes, until the sender is gone. A peer that takes nothing holds up its sender only.
    Stream(mpsc::Receiver<Vec<u8>>),
}

impl Answer {
    /// A short text.
    #[must_use]
    pub fn text(status: u16, text: &str) -> Self {
        let headers = vec![("content-type", "text/plain; charset=utf-8".to_owned())];
        Self { status, headers, body: Body::Whole(text.as_bytes().to_vec()) }
    }

    fn made(
        self,
    ) -> Response<impl hyper::body::Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>>> {
        let body = match self.body {
            Body::Whole(bytes) => Either::Left(Full::new(Bytes::from(bytes))),
            Body::Stream(receiver) => {
                let frames = stream::unfold(receiver, |mut receiver| async move {
                    let bytes = receiver.recv().await?;
                    Some((Ok::<_, Infallible>(Frame::data(Bytes::from(bytes))), receiver))
                });
                Either::Right(StreamBody::new(Box::pin(frames)))
            }
        };
        let mut response = Response::new(body);
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        for (name, value) in self.headers {
            if let Ok(value) = HeaderValue::from_str(&value) {
                response.headers_mut().append(HeaderName::from_static(name), value);
            }
        }
        response
    }
}

impl Asked {
    fn of(request: Request<Incoming>) -> Self {
        let (head, body) = request.into_parts();
        let header = |name| head.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let cookies = head.headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
        Self {
            method: head.method.to_string(),
            path: head.uri.path().to_owned(),
            query: head.uri.query().unwrap_or_default().to_owned(),
            host: header(HOST),
            cookies: cookies.collect::<Vec<_>>().join("; "),
            body,
        }
    }

    /// Everything that comes after the head, up to `most` bytes.
    ///
    /// # Errors
    /// Status and text of a refusal: it is too long, too slow, or broke off.
    pub async fn body(self, most: usize, silence: Duration) -> Result<Vec<u8>, (u16, &'static str)> {
        let body = Limited::new(self.body, most).collect();
        match timeout(silence, body).await {
            Err(_) => Err((408, "too slow\n")),
            Ok(Err(error)) if error.is::<LengthLimitError>() => Err((413, "too large\n")),
            Ok(Err(_)) => Err((400, "the body broke off\n")),
            Ok(Ok(body)) => Ok(body.to_bytes().to_vec()),
        }
    }
}

/// Any free port of the loopback address.
#[must_use]
pub fn anywhere() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
}

/// Serves connections until it is dropped, and them with it.
pub async fn accept<F, S>(listener: TcpListener, limits: Limits, serve: F)
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
            match limits.connection {
                Some(longest) => drop(timeout(longest, serve).await),
                None => serve.await,
            }
            drop(permit);
        });
    }
}

/// Answers the one request of a connection.
pub async fn http<H, F>(stream: TcpStream, limits: Limits, answer: H)
where
    H: Fn(Asked) -> F,
    F: Future<Output = Answer>,
{
    let answer = service_fn(|request| {
        let answer = answer(Asked::of(request));
        async { Ok::<_, Infallible>(answer.await.made()) }
    });
    let mut server = hyper::server::conn::http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(limits.silence).max_buf_size(HEAD).keep_alive(false);
    // A broken connection is its peer's affair: it will try again.
    let _ = server.serve_connection(TokioIo::new(stream), answer).await;
}
