//! A sink for mail: as much of RFC 5321 as a sender needs, and the text of a message made readable. Sends nothing on and
//! knows no receivers.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Most bytes of a command.
const LINE: u64 = 2048;

/// Most commands of one connection.
const COMMANDS: usize = 100;

/// How far a message has come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    New,
    Greeted,
    From,
    To,
}

/// One connection to its end. `keep` takes each message and says whether there was room for it.
///
/// # Errors
/// When the connection breaks, or its peer is silent for too long.
pub(super) async fn talk(
    stream: TcpStream,
    hello: Option<&str>,
    most: usize,
    silence: Duration,
    keep: impl Fn(Vec<u8>) -> bool,
) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut stage = Stage::New;
    say(&mut stream, "220 runplan ESMTP").await?;
    for _ in 0..COMMANDS {
        let line = timeout(silence, line(&mut stream, LINE)).await??;
        let Some(line) = line.strip_suffix(b"\n") else {
            // The end, or a line that is too long to be a command.
            return if line.is_empty() { Ok(()) } else { say(&mut stream, "500 too long").await };
        };
        let text = String::from_utf8_lossy(line);
        let text = text.trim();
        let (verb, rest) = text.split_once(' ').unwrap_or((text, ""));
        let verb = verb.to_ascii_uppercase();
        let known = |what: &str| rest.get(..what.len()).is_some_and(|start| start.eq_ignore_ascii_case(what));
        let answer = match (verb.as_str(), stage) {
            ("EHLO" | "HELO", _) if hello.is_some_and(|hello| hello != rest.trim()) => {
                return say(&mut stream, "554 this is for somebody else").await;
            }
            ("EHLO", _) => {
                stage = Stage::Greeted;
                say(&mut stream, "250-runplan").await?;
                say(&mut stream, &format!("250 SIZE {most}")).await?;
                continue;
            }
            ("HELO", _) => {
                stage = Stage::Greeted;
                "250 runplan"
            }
            ("NOOP", _) => "250 ok",
            ("RSET", _) => {
                stage = if stage == Stage::New { Stage::New } else { Stage::Greeted };
                "250 ok"
            }
            ("QUIT", _) => return say(&mut stream, "221 bye").await,
            ("MAIL", Stage::Greeted) if known("FROM:") => {
                stage = Stage::From;
                "250 ok"
            }
            ("RCPT", Stage::From | Stage::To) if known("TO:") => {
                stage = Stage::To;
                "250 ok"
            }
            ("DATA", Stage::To) => {
                say(&mut stream, "354 end with a dot").await?;
                let Some(message) = timeout(silence, message(&mut stream, most)).await?? else {
                    return say(&mut stream, "552 too large").await;
                };
                stage = Stage::Greeted;
                if keep(message) { "250 kept" } else { "452 too many at once" }
            }
            ("MAIL" | "RCPT" | "DATA", _) => "503 not now",
            _ => "502 not here",
        };
        say(&mut stream, answer).await?;
    }
    say(&mut stream, "421 enough").await
}

async fn say(stream: &mut BufReader<TcpStream>, text: &str) -> io::Result<()> {
    stream.get_mut().write_all(format!("{text}\r\n").as_bytes()).await
}

/// A line with its end; without it at the end of the stream, or after `most` bytes.
async fn line(stream: &mut BufReader<TcpStream>, most: u64) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    stream.take(most).read_until(b'\n', &mut line).await?;
    Ok(line)
}

/// A message up to its dot; `None` if it is larger than `most`.
async fn message(stream: &mut BufReader<TcpStream>, most: usize) -> io::Result<Option<Vec<u8>>> {
    let mut message = Vec::new();
    loop {
        let room = most.saturating_sub(message.len()) + 3;
        let line = line(stream, room as u64).await?;
        if line == b".\r\n" || line == b".\n" {
            return Ok(Some(message));
        }
        if line.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        message.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
        if message.len() > most || !line.ends_with(b"\n") {
            return Ok(None);
        }
    }
}

/// A message as a person reads it: line ends as here, quoted-printable parts decoded. Nothing is left out.
pub(super) fn readable(message: &[u8]) -> String {
    let mut out = Vec::with_capacity(message.len());
    let mut quoted = false;
    // At the start, and after the boundary of a part.
    let mut head = true;
    for line in message.split_inclusive(|byte| *byte == b'\n') {
        let bare = line.strip_suffix(b"\n").unwrap_or(line);
        let bare = bare.strip_suffix(b"\r").unwrap_or(bare);
        if head {
            let text = String::from_utf8_lossy(bare).to_ascii_lowercase();
            if text.starts_with("content-transfer-encoding:") {
                quoted = text.contains("quoted-printable");
            }
            head = !bare.is_empty();
        } else if bare.starts_with(b"--") && bare.len() > 20 {
            (head, quoted) = (true, false);
        } else if quoted {
            decode(bare, &mut out);
            continue;
        }
        out.extend_from_slice(bare);
        out.push(b'\n');
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Whether a message has an end: one of several parts that broke off lacks its last boundary.
pub(super) fn is_whole(message: &str) -> bool {
    let head = message.split("\n\n").next().unwrap_or_default();
    let Some((_, rest)) = head.split_once("boundary=") else { return true };
    let boundary = rest.trim_start_matches('"').split(['"', ';', '\n']).next().unwrap_or_default().trim();
    message[head.len()..].contains(&format!("--{boundary}--"))
}

/// A line of quoted-printable text; one that ends in `=` goes on.
fn decode(line: &[u8], out: &mut Vec<u8>) {
    let mut rest = line;
    while let Some((&byte, after)) = rest.split_first() {
        let hex = after.get(..2).and_then(|pair| std::str::from_utf8(pair).ok());
        match hex.and_then(|pair| u8::from_str_radix(pair, 16).ok()).filter(|_| byte == b'=') {
            Some(decoded) => {
                out.push(decoded);
                rest = &after[2..];
            }
            None if byte == b'=' && after.iter().all(u8::is_ascii_whitespace) => return,
            None => {
                out.push(byte);
                rest = after;
            }
        }
    }
    out.push(b'\n');
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use tokio::io::AsyncReadExt as _;

    use super::super::capture::{Capture, Limits, anywhere};
    use super::*;

    async fn sink() -> (Capture, SocketAddr) {
        let limits = Limits {
            body: 200,
            silence: Duration::from_millis(150),
            connection: Duration::from_secs(5),
            connections: 4,
        };
        let mut capture = Capture::new(limits);
        let at = capture.smtp(anywhere(), 3, Some("drill.localhost".into())).await.unwrap();
        (capture, at)
    }

    /// Codes of everything that is answered.
    async fn codes(at: SocketAddr, text: &str) -> Vec<String> {
        let mut stream = TcpStream::connect(at).await.unwrap();
        let _ = stream.write_all(text.as_bytes()).await;
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer).await;
        answer.lines().map(|line| line.chars().take(3).collect()).collect()
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_message_is_kept() {
        let (mut capture, at) = sink().await;
        let talk = "EHLO drill.localhost\r\nNOOP\r\nRSET\r\nmail from:<a@b> SIZE=3\r\nRCPT TO:<c@d>\r\nDATA\r\nSubject: x\r\n\
                    \r\n..dot\r\n.\r\nQUIT\r\n";
        let answered = codes(at, talk).await;
        assert_eq!(answered, ["220", "250", "250", "250", "250", "250", "250", "354", "250", "221"]);
        let hit = capture.next().await;
        assert_eq!((hit.endpoint, hit.bytes.as_slice()), (3, b"Subject: x\r\n\r\n.dot\r\n".as_slice()));
    }

    #[tokio::test(flavor = "current_thread")]
    async fn strangers_large_messages_and_nonsense_are_refused() {
        let (_capture, at) = sink().await;
        assert_eq!(codes(at, "EHLO localhost\r\nMAIL FROM:<a>\r\n").await, ["220", "554"]);
        assert_eq!(
            codes(at, "DATA\r\nMAIL FROM:<a>\r\nSTARTTLS\r\nQUIT\r\n").await,
            ["220", "503", "503", "502", "221"]
        );
        assert_eq!(codes(at, &"x".repeat(5000)).await.last().map(String::as_str), Some("500"));
        let start = "HELO drill.localhost\r\nMAIL FROM:<a>\r\nRCPT TO:<b>\r\nDATA\r\n";
        for body in ["x".repeat(300), "line\r\n".repeat(60)] {
            let answered = codes(at, &format!("{start}{body}\r\n.\r\n")).await;
            assert_eq!(answered.last().map(String::as_str), Some("552"), "{answered:?}");
        }
        // Who says nothing more is let go.
        assert_eq!(codes(at, start).await, ["220", "250", "250", "250", "354"]);
        assert_eq!(codes(at, "HELO drill.localhost\r\n").await, ["220", "250"]);
    }

    #[test]
    fn a_message_that_broke_off_is_not_whole() {
        let head = "Subject: x\nContent-Type: multipart/alternative;  boundary=abc\nMIME-Version: 1.0\n";
        assert!(is_whole("Subject: x\n\nhello\n") && is_whole(&format!("{head}\n--abc\n\nx\n--abc--\n")));
        assert!(!is_whole(head) && !is_whole(&format!("{head}\n--abc\n\nx\n")));
    }

    #[test]
    fn quoted_parts_are_readable() {
        let boundary = "-".repeat(30);
        let message = format!(
            "Subject: x=3D\r\nContent-Type: multipart/alternative; boundary=x\r\n\r\n{boundary}\r\n\
             Content-Transfer-Encoding: quoted-printable\r\n\r\nrunplan_drill=3D=\r\nabc =C3=A4=\n=zz\r\n{boundary}\r\n\r\na=3Db\r\n"
        );
        let text = readable(message.as_bytes());
        assert!(text.starts_with("Subject: x=3D\n"), "{text}");
        assert!(text.contains("\nrunplan_drill=abc ä=zz\n"), "{text}");
        assert!(text.ends_with("\na=3Db\n"), "{text}");
    }
}
