//! Filters over the lines of a file, and the digest of what they leave: what a file says once times, addresses and the
//! like are taken out. Line by line and in bounded memory; knows no plan, and changes no file.

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use regex::bytes::{NoExpand, Regex, RegexBuilder};

use crate::digest::Sha256Stream;
use crate::outcome::{Filter, Normalized};

/// Longest line, before and after each filter, in bytes.
pub const MOST_LINE: usize = 1 << 20;
/// Most bytes that `sort-lines` sorts.
pub const MOST_SORTED: usize = 64 << 20;
/// Largest compiled regular expression, in bytes.
const MOST_PATTERN: usize = 1 << 20;

/// A date with a time of day (RFC 3339, syslog, RFC 2822, `date`), or a time of day.
const TIME: &str = r"(?x)
    \d{4}-\d{2}-\d{2} [T\x20] \d{2}:\d{2} (?: :\d{2} (?: [.,]\d+ )? )? (?: \x20? (?: Z\b | UTC\b | [+-]\d{2}:?\d{2} ) )?
  | \b (?: (?:Mon|Tue|Wed|Thu|Fri|Sat|Sun),?\x20+ )?
       (?: \d{1,2}\x20(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)\x20\d{4}
         | (?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)\x20+\d{1,2} )
       \x20+ \d{2}:\d{2}:\d{2} (?: \x20 (?: [A-Z]{3,4}\b | [+-]\d{4} ) )? (?: \x20\d{4}\b )?
  | \b \d{2}:\d{2}:\d{2} (?: [.,]\d+ )? \b";
const ADDRESS: &str = r"\b0x[0-9a-fA-F]{4,16}\b";

/// Why a file can't be normalized.
#[derive(Debug)]
pub enum Fault {
    /// A line is longer than [`MOST_LINE`]; its number, from 1.
    LongLine(u64),
    /// There is more to sort than [`MOST_SORTED`].
    TooMuch,
    /// A filter that can't be used.
    Pattern(String),
    /// The file can't be read.
    Io(io::Error),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LongLine(number) => write!(f, "line {number} is longer than {} KiB", MOST_LINE >> 10),
            Self::TooMuch => write!(f, "`sort-lines` sorts at most {} MiB", MOST_SORTED >> 20),
            Self::Pattern(why) => f.write_str(why),
            Self::Io(error) => error.fmt(f),
        }
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// A regular expression of a filter.
///
/// # Errors
/// What is wrong with it, in one line.
pub fn pattern(text: &str) -> Result<Regex, String> {
    RegexBuilder::new(text).size_limit(MOST_PATTERN).build().map_err(|error| {
        let text = error.to_string();
        text.lines().last().unwrap_or("").trim().trim_start_matches("error: ").to_owned()
    })
}

/// What filters leave of a file; `path` is relative to the workspace. Of a symbolic link its target's text counts, as it
/// stands: it has no lines.
///
/// # Errors
/// See [`Fault`].
pub fn file(workspace: &Path, path: &str, filters: Vec<Filter>) -> Result<Normalized, Fault> {
    let whole = workspace.join(path);
    if std::fs::symlink_metadata(&whole)?.is_symlink() {
        let target = std::fs::read_link(&whole)?;
        return reader(
            std::os::unix::ffi::OsStrExt::as_bytes(target.as_os_str()),
            filters,
            &workspace.to_string_lossy(),
        );
    }
    reader(File::open(whole)?, filters, &workspace.to_string_lossy())
}

/// What filters leave of some bytes.
///
/// # Errors
/// See [`Fault`].
pub fn reader(from: impl Read, filters: Vec<Filter>, workspace: &str) -> Result<Normalized, Fault> {
    let (mut digest, mut size) = (Sha256Stream::new(), 0_u64);
    each(from, &filters, workspace, &mut |bytes| {
        digest.update(bytes);
        size += bytes.len() as u64;
    })?;
    Ok(Normalized { sha256: digest.finish_hex(), size, filters })
}

/// The text that filters leave of some bytes.
///
/// # Errors
/// See [`Fault`].
pub fn text(from: impl Read, filters: &[Filter], workspace: &str) -> Result<Vec<u8>, Fault> {
    let mut left = Vec::new();
    each(from, filters, workspace, &mut |bytes| left.extend_from_slice(bytes))?;
    Ok(left)
}

enum Step {
    Replace(Regex, Vec<u8>),
    Mark(Regex, &'static [u8]),
    Literal(Vec<u8>, &'static [u8]),
    Sort,
    Crlf,
}

impl Step {
    fn of(filter: &Filter, workspace: &str) -> Result<Self, Fault> {
        let regex = |text: &str| pattern(text).map_err(Fault::Pattern);
        Ok(match filter {
            Filter::Replace { pattern, with } => Self::Replace(regex(pattern)?, with.clone().into_bytes()),
            Filter::Timestamps => Self::Mark(regex(TIME)?, b"<time>"),
            Filter::HexAddresses => Self::Mark(regex(ADDRESS)?, b"<address>"),
            Filter::Workspace => Self::Literal(workspace.as_bytes().to_vec(), b"$WORKSPACE"),
            Filter::SortLines => Self::Sort,
            Filter::Crlf => Self::Crlf,
        })
    }

    /// One line, without its end.
    fn apply(&self, line: &mut Vec<u8>) {
        match self {
            Self::Replace(regex, with) => {
                if regex.is_match(line) {
                    *line = regex.replace_all(line, with.as_slice()).into_owned();
                }
            }
            Self::Mark(regex, mark) => {
                if regex.is_match(line) {
                    *line = regex.replace_all(line, NoExpand(mark)).into_owned();
                }
            }
            Self::Literal(text, mark) => *line = literal(line, text, mark),
            Self::Crlf => {
                if line.last() == Some(&b'\r') {
                    line.pop();
                }
            }
            Self::Sort => {}
        }
    }
}

/// Replaces a path where it ends as a path does: `/w/one` does not stand in `/w/one-more`.
fn literal(line: &[u8], path: &[u8], mark: &[u8]) -> Vec<u8> {
    let mut left = Vec::with_capacity(line.len());
    let mut at = 0;
    while at < line.len() {
        let rest = &line[at..];
        let next = rest.get(path.len());
        let ends = next.is_none_or(|byte| !byte.is_ascii_alphanumeric() && !b"_-.".contains(byte));
        if !path.is_empty() && rest.starts_with(path) && ends {
            left.extend_from_slice(mark);
            at += path.len();
        } else {
            left.push(rest[0]);
            at += 1;
        }
    }
    left
}

fn each(from: impl Read, filters: &[Filter], workspace: &str, sink: &mut dyn FnMut(&[u8])) -> Result<(), Fault> {
    let steps = filters.iter().map(|filter| Step::of(filter, workspace)).collect::<Result<Vec<_>, _>>()?;
    let mut parts = steps.split(|step| matches!(step, Step::Sort));
    let first = parts.next().unwrap_or_default();
    let sorts = steps.iter().any(|step| matches!(step, Step::Sort));
    let (mut held, mut size, mut number) = (Vec::new(), 0, 0);
    let mut from = BufReader::new(from);
    loop {
        let mut line = Vec::new();
        let most = u64::try_from(MOST_LINE + 1).unwrap_or(u64::MAX);
        if from.by_ref().take(most).read_until(b'\n', &mut line)? == 0 {
            break;
        }
        number += 1;
        let ended = line.last() == Some(&b'\n');
        if ended {
            line.pop();
        }
        if line.len() > MOST_LINE {
            return Err(Fault::LongLine(number));
        }
        apply(first, &mut line, number)?;
        if sorts {
            size += line.len() + 1;
            if size > MOST_SORTED {
                return Err(Fault::TooMuch);
            }
            held.push(line);
        } else {
            sink(&line);
            if ended {
                sink(b"\n");
            }
        }
    }
    for part in parts {
        held.sort_unstable();
        for (number, line) in (1..).zip(&mut held) {
            apply(part, line, number)?;
        }
    }
    for line in &held {
        sink(line);
        sink(b"\n");
    }
    Ok(())
}

fn apply(steps: &[Step], line: &mut Vec<u8>, number: u64) -> Result<(), Fault> {
    for step in steps {
        step.apply(line);
        if line.len() > MOST_LINE {
            return Err(Fault::LongLine(number));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(text: &str, filters: &[Filter]) -> String {
        String::from_utf8(super::text(text.as_bytes(), filters, "/w/one").unwrap()).unwrap()
    }

    fn replace(pattern: &str, with: &str) -> Filter {
        Filter::Replace { pattern: pattern.into(), with: with.into() }
    }

    #[test]
    fn times_in_the_usual_forms_are_taken_out_and_nothing_else() {
        for text in [
            "2026-11-24T06:15:03Z",
            "2026-11-24 06:15:03,123",
            "2026-11-24T06:15:03.123456+01:00",
            "2026-11-24 06:15",
            "2026-11-24 06:15:03 +0100",
            "Tue, 24 Nov 2026 06:15:03 GMT",
            "Tue Nov 24 06:15:03 UTC 2026",
            "Nov 24 06:15:03",
            "06:15:03",
            "06:15:03.5",
        ] {
            assert_eq!(left(&format!("a {text} b\n"), &[Filter::Timestamps]), "a <time> b\n", "{text}");
        }
        for text in ["2026-11-24", "1.2.3", "12:34", "ratio 10:20:3", "sha 0123:4567:89ab"] {
            assert_eq!(left(text, &[Filter::Timestamps]), text);
        }
    }

    #[test]
    fn filters_apply_in_order_line_by_line() {
        let filters = [replace("b+", "<$0>"), replace("<", "("), Filter::Crlf];
        assert_eq!(left("abb\r\nb", &filters), "a(bb>\n(b>");
        assert_eq!(left("x 0x7ffd12ab 0x12 0xzz\n", &[Filter::HexAddresses]), "x <address> 0x12 0xzz\n");
        let path = "at /w/one/a, /w/one-more and /w/one.\"/w/one\"";
        assert_eq!(left(path, &[Filter::Workspace]), "at $WORKSPACE/a, /w/one-more and /w/one.\"$WORKSPACE\"");
        assert_eq!(left("c\na\nb", &[Filter::SortLines]), "a\nb\nc\n");
        assert_eq!(left("2\n1\n", &[Filter::SortLines, replace("1", "9"), Filter::SortLines]), "2\n9\n");
        assert_eq!((left("", &[Filter::SortLines]), left("\n\n", &[Filter::Crlf])), (String::new(), "\n\n".to_owned()));
    }

    #[test]
    fn what_is_left_is_digested_and_bytes_that_are_no_text_are_bytes() {
        let left = reader(b"a\xff 1\n".as_slice(), vec![replace("[0-9]", "N")], "/w").unwrap();
        assert_eq!((left.sha256, left.size), (crate::digest::sha256_hex(b"a\xff N\n"), 5));
    }

    #[test]
    fn memory_is_bounded() {
        let long = vec![b'x'; MOST_LINE + 1];
        assert!(matches!(text(long.as_slice(), &[Filter::Crlf], ""), Err(Fault::LongLine(1))));
        let grows = [replace("x", &"y".repeat(1000))];
        assert!(matches!(text(vec![b'x'; 10_000].as_slice(), &grows, ""), Err(Fault::LongLine(1))));
        assert!(pattern("(").is_err() && pattern("\\w{1000}{1000}").is_err());
        let much = "y\n".repeat(MOST_SORTED / 2 + 1);
        assert!(matches!(text(much.as_bytes(), &[Filter::SortLines], ""), Err(Fault::TooMuch)));
    }
}
