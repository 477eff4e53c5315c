//! Past runs in the formats of others. Pure: a run that was read in, bytes out; knows no folder, no clock and no process.
//!
//! Every format takes the same [`Run`] and says of each step what it [`Came`] to; the table of what that is in which
//! format stands in `plans/LANGUAGE.md`. No format is greener than the run: each holds the decision as a test of its own.

pub mod archive;
pub mod chrome;
pub mod ctrf;
pub mod intoto;
pub mod junit;
pub mod otlp;
mod run;
pub mod slsa;
pub mod tap;
pub mod ustar;

use serde_json::Value as Json;

use crate::digest::sha256_hex;
use crate::report::escape;

pub use run::{Attempt, Came, End, Gathered, Mark, Run, Step, Stream, Written};

/// Most bytes of one stream that an export repeats: its end.
pub const STREAM_BYTES: u64 = 64 * 1024;
/// Most bytes of all streams together.
pub const ALL_BYTES: u64 = 8 * 1024 * 1024;

/// Text of several lines that every reader takes: nothing in it steers a terminal, and XML may hold all of it.
fn lines(text: &str) -> String {
    without_noncharacters(escape::text(text))
}

/// As [`lines`], as one line.
fn line(text: &str) -> String {
    without_noncharacters(escape::line(text))
}

fn without_noncharacters(text: String) -> String {
    if text.contains(['\u{fffe}', '\u{ffff}']) { text.replace(['\u{fffe}', '\u{ffff}'], "\u{fffd}") } else { text }
}

/// The first `digits` hex digits of a digest of these texts, each apart from the next.
fn id(digits: usize, parts: &[&str]) -> String {
    let mut text = String::new();
    for part in parts {
        text.push_str(&format!("{}:{part}\n", part.len()));
    }
    let mut digest = sha256_hex(text.as_bytes());
    digest.truncate(digits);
    digest
}

/// A UUID of version 8 (RFC 9562) made of a digest of these texts.
fn uuid(parts: &[&str]) -> String {
    let hex = id(32, parts);
    let variant = ["8", "9", "a", "b"][usize::from(hex.as_bytes()[16] & 3)];
    format!("{}-{}-8{}-{variant}{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..])
}

/// A document, with its line feed.
fn document(value: &Json) -> Vec<u8> {
    format!("{value:#}\n").into_bytes()
}

/// A time for people and machines (RFC 3339, UTC), from milliseconds since 1970.
fn timestamp(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms).unwrap_or(jiff::Timestamp::UNIX_EPOCH).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_depend_on_every_part_and_uuids_are_ones() {
        assert_ne!(id(16, &["ab", "c"]), id(16, &["a", "bc"]));
        let made = uuid(&["x"]);
        assert_eq!((made.len(), &made[14..15]), (36, "8"));
        assert!(["8", "9", "a", "b"].contains(&&made[19..20]), "{made}");
    }

    #[test]
    fn hostile_text_is_shown_and_not_sent() {
        assert_eq!(line("a\u{1b}[2J\0\u{202e}\u{ffff}\nb"), "a␛[2J␀\\u{202e}\u{fffd}␊b");
        assert_eq!(lines("a\r\n]]>"), "a\n]]>");
    }
}
