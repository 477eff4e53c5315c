//! `runplan serve`: only this machine, only with the token, only to be looked at; and a run as it goes on, in a browser.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::page::driven;
use crate::support::{self, Space};

/// It goes on until it is dropped or ended.
struct Served {
    child: Child,
    /// With the token.
    url: String,
    port: u16,
    token: String,
}

impl Served {
    #[track_caller]
    fn start(space: &Space, words: &[&str]) -> Self {
        let mut all = vec!["serve"];
        all.extend(words);
        let mut child = space.command(&all).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
        let mut url = String::new();
        BufReader::new(child.stdout.as_mut().expect("stdout")).read_line(&mut url).expect("a line");
        let url = url.trim().to_owned();
        let (place, token) = url.split_once("/?token=").unwrap_or_else(|| panic!("no address: {url:?}"));
        let port = place.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
        Self { child, port, token: token.to_owned(), url: url.clone() }
    }

    /// Everything that is answered to a request with these lines.
    fn say(&self, lines: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
        stream
            .write_all(format!("{lines}\r\n\r\n").replace('\n', "\r\n").replace("\r\r", "\r").as_bytes())
            .expect("sent");
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }

    fn cookie(&self) -> String {
        format!("Host: 127.0.0.1:{port}\nCookie: runplan-{port}={}", self.token, port = self.port)
    }

    fn get(&self, path: &str) -> String {
        self.say(&format!("GET {path} HTTP/1.1\n{}", self.cookie()))
    }

    /// Ends it by a signal; its exit code.
    fn end(mut self, signal: rustix::process::Signal) -> i32 {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).expect("it is there");
        self.child.wait().expect("it ends").code().unwrap_or(-1)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[track_caller]
fn status(answer: &str) -> &str {
    answer.get(9..12).unwrap_or_else(|| panic!("no answer: {answer:?}"))
}

const PLAN: &str = "[plan]\nname = \"demo\"\n[steps.a]\nrun = \"echo hello\"\n";

#[test]
fn only_with_its_host_its_token_and_only_to_be_looked_at() {
    let space = Space::plan(PLAN);
    let _ = space.go(&[]).code(0);
    let id = space.latest().file_name().expect("an id").to_string_lossy().into_owned();
    let served = Served::start(&space, &[]);
    let (port, cookie) = (served.port, served.cookie());
    let host = format!("Host: localhost:{port}");
    assert_eq!(served.token.len(), 64);
    for (lines, wanted) in [
        (format!("GET / HTTP/1.1\n{cookie}"), "200"),
        (format!("GET /run/{id} HTTP/1.1\n{cookie}"), "200"),
        (format!("GET /run/latest HTTP/1.1\n{cookie}"), "303"),
        (format!("GET / HTTP/1.1\n{host}"), "403"),
        (format!("GET /?token={} HTTP/1.1\n{host}", "0".repeat(64)), "403"),
        (format!("GET /?token={} HTTP/1.1\n{host}", &served.token[1..]), "403"),
        (format!("GET /?token={} HTTP/1.1\n{host}", served.token), "303"),
        (format!("GET /?token={} HTTP/1.1\nHost: evil.example:{port}", served.token), "421"),
        (format!("GET / HTTP/1.1\nHost: evil.example\nCookie: runplan-{port}={}", served.token), "421"),
        (format!("GET / HTTP/1.0\nCookie: runplan-{port}={}", served.token), "421"),
        (format!("POST / HTTP/1.1\n{cookie}\nContent-Length: 0"), "405"),
        (format!("OPTIONS /run/{id} HTTP/1.1\n{cookie}\nOrigin: http://evil.example"), "405"),
        (format!("GET /run/nothing HTTP/1.1\n{cookie}"), "404"),
        (format!("GET /run/../../blueprint.toml HTTP/1.1\n{cookie}"), "404"),
        (format!("GET /run/%2e%2e HTTP/1.1\n{cookie}"), "404"),
        (format!("GET /blueprint.toml HTTP/1.1\n{cookie}"), "404"),
        (format!("GET /run/{id}/journal.jsonl HTTP/1.1\n{cookie}"), "404"),
    ] {
        let answer = served.say(&lines);
        assert_eq!(status(&answer), wanted, "{lines}\n{answer}");
        let head = answer.split("\r\n\r\n").next().unwrap_or_default().to_lowercase();
        for header in ["content-security-policy: default-src 'none'", "frame-ancestors 'none'", "nosniff", "no-store"] {
            assert!(head.contains(header), "{lines}: no {header} in\n{head}");
        }
        assert!(!head.contains("access-control"), "{head}");
        assert!(wanted == "303" || !answer.contains(&served.token), "{lines}: the token is told again");
    }
    let (head, body) = (served.say(&format!("HEAD /run/{id} HTTP/1.1\n{cookie}")), served.get(&format!("/run/{id}")));
    let length = |answer: &str| {
        let line = answer.lines().find_map(|line| line.strip_prefix("content-length: ").map(str::to_owned));
        line.unwrap_or_else(|| panic!("no length: {answer}"))
    };
    assert_eq!((length(&head), head.split("\r\n\r\n").nth(1)), (length(&body), Some("")), "HEAD is GET without a body");
    assert!(body.contains("data-mode=\"served\"") && body.contains("connect-src 'self'"), "{}", &body[..900]);
    let ended = served.get(&format!("/run/{id}/events"));
    assert!(ended.contains("event: end"), "the news of a run that is over end:\n{ended}");
}

/// Addresses that something listens at with this port, as the system tells them.
fn listening(port: u16) -> Vec<String> {
    let mut found = Vec::new();
    for file in ["/proc/net/tcp", "/proc/net/tcp6"] {
        let text = fs::read_to_string(file).unwrap_or_default();
        for line in text.lines().skip(1) {
            let parts: Vec<&str> = line.split_whitespace().collect();
            if parts[3] == "0A" && parts[1].ends_with(&format!(":{port:04X}")) {
                found.push(parts[1].split(':').next().unwrap_or_default().to_owned());
            }
        }
    }
    found
}

#[test]
fn it_listens_on_loopback_alone_and_ends_by_ctrl_c() {
    use rustix::process::Signal;
    let space = Space::plan(PLAN);
    let _ = space.run(&["serve"]).code(2).says("no `.runplan` here or above");
    let _ = space.go(&[]).code(0);
    for signal in [Signal::INT, Signal::TERM] {
        let served = Served::start(&space, &[]);
        let port = served.port;
        let at = listening(port);
        let loopback = ["0100007F", "00000000000000000000000001000000"];
        assert!(!at.is_empty() && at.iter().all(|address| loopback.contains(&address.as_str())), "{at:?}");
        // A browser that is still there keeps nobody from ending it.
        let mut open = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
        open.write_all(format!("GET /events HTTP/1.1\r\n{}\r\n\r\n", served.cookie().replace('\n', "\r\n")).as_bytes())
            .expect("sent");
        let mut byte = [0];
        open.read_exact(&mut byte).expect("it answers");
        assert_eq!(served.end(signal), 0, "what was asked for is done");
        assert!(
            listening(port).is_empty() && TcpStream::connect(("127.0.0.1", port)).is_err(),
            "nothing listens any more"
        );
    }
    let served = Served::start(&space, &[]);
    let port = served.port.to_string();
    let _ = space.run(&["serve", "--port", &port]).code(2).says("can't be had");
}

#[test]
fn who_is_slow_keeps_nobody_waiting() {
    let space = Space::plan(PLAN);
    let _ = space.go(&[]).code(0);
    let served = Served::start(&space, &[]);
    // Some say half of a request, some ask for news and take none.
    let mut idle = Vec::new();
    for n in 0..20 {
        let mut stream = TcpStream::connect(("127.0.0.1", served.port)).expect("it listens");
        let end = if n % 2 == 0 { "" } else { "\r\n\r\n" };
        let text = format!("GET /events HTTP/1.1\r\n{}{end}", served.cookie().replace('\n', "\r\n"));
        stream.write_all(text.as_bytes()).expect("sent");
        idle.push(stream);
    }
    let began = Instant::now();
    assert_eq!(status(&served.get("/run/latest")), "303");
    assert_eq!(status(&served.get("/")), "200");
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    drop(idle);
}

/// The run waits for a file that the browser's script makes once it has seen what it had to see.
#[test]
fn a_browser_follows_a_run() {
    let space = Space::plan(
        "[plan]\nname = \"live\"\ntitle = \"A run that is watched\"\n[steps.first]\nrun = \"echo begun\"\n\
         [steps.waits]\nrun = \"echo waiting; until [ -e more ]; do sleep 0.05; done; echo seen more; until [ -e gate ]; do sleep 0.05; done\"\nneeds = [\"first\"]\ntimeout = \"120s\"\n\
         [steps.behind]\nrun = \"printf '\\\\033[32mdone\\\\033[0m'\"\nneeds = [\"waits\"]\n",
    );
    let served = Served::start(&space, &["--log-dir", "."]);
    let run =
        space.command(&["blueprint.toml"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let folder = space.path();
    let words = [folder.to_str().expect("a path"), "first", "waits", "behind", "GO"];
    let told = driven("live.mjs", &served.url, &words);
    space.write("more", "").write("gate", "");
    let _ = support::finish(run).code(0);
    let Some(told) = told else { return };
    let origin = told["figures"]["origin"].as_str().expect("an origin");
    let requests: Vec<&str> = told["requests"].as_array().expect("a list").iter().filter_map(|r| r.as_str()).collect();
    assert!(requests.iter().all(|request| request.starts_with(origin)), "{requests:?}");
    assert!(requests.iter().any(|request| request.ends_with("/events")), "{requests:?}");
    support::say(&format!("serve: {} checks in a browser during a run, axe's among them", told["checks"]));
    assert_eq!(Served::end(served, rustix::process::Signal::INT), 0);
}
