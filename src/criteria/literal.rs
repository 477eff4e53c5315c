//! Literals of criteria: numbers with units, quoted text. Knows no facts.

use std::ops::Range;

use super::Fault;
use super::ast::{Lit, LitUnit};
use super::suggest::nearest;
use crate::facts::Num;

/// Unit, what it measures, how many of the base unit it is; longest spelling first where one begins another.
const UNITS: [(&str, LitUnit, i128); 12] = [
    ("ns", LitUnit::Time, 1),
    ("us", LitUnit::Time, 1_000),
    ("ms", LitUnit::Time, 1_000_000),
    ("s", LitUnit::Time, 1_000_000_000),
    ("m", LitUnit::Time, 60_000_000_000),
    ("h", LitUnit::Time, 3_600_000_000_000),
    ("d", LitUnit::Time, 86_400_000_000_000),
    ("B", LitUnit::Size, 1),
    ("KiB", LitUnit::Size, 1 << 10),
    ("MiB", LitUnit::Size, 1 << 20),
    ("GiB", LitUnit::Size, 1 << 30),
    ("pp", LitUnit::Points, 1),
];

const UNIT_LIST: &str = "units: ns us ms s m h d, B KiB MiB GiB, pp";

/// The number at the start of `text` (which starts with a sign or a digit) and how many bytes it takes.
/// `base` is where it stands in the criterion.
pub(super) fn number(text: &str, base: usize) -> Result<(Num, LitUnit, usize), Fault> {
    if let Some(octal) = text.strip_prefix("0o") {
        let digits = octal.len() - octal.trim_start_matches(|c: char| c.is_ascii_alphanumeric()).len();
        let end = 2 + digits;
        let value = i128::from_str_radix(&octal[..digits], 8).map_err(|_| {
            Fault::new(format!("`{}` is no octal number", &text[..end]), base..base + end).help("for example `0o600`")
        })?;
        return Ok((Num::int(value), LitUnit::Octal, end));
    }
    let mut total: Option<(Num, LitUnit)> = None;
    let mut last_factor = i128::MAX;
    let mut at = 0;
    loop {
        let (value, digits) = decimal(&text[at..], base + at)?;
        let (unit, factor, len) = unit(&text[at + digits..], base + at..base + at + digits)?;
        let part = base + at..base + at + digits + len;
        let scaled = match unit {
            LitUnit::Points => value.times(Num { num: 1, den: 100 }),
            _ => value.times(Num::int(factor)),
        };
        let scaled = scaled.ok_or_else(|| Fault::new("this number is too large", part.clone()))?;
        at += digits + len;
        total = match total {
            None => Some((scaled, unit)),
            Some((sum, LitUnit::Time)) if unit == LitUnit::Time && factor < last_factor => {
                let sum = if text.starts_with('-') { sum.minus(scaled) } else { sum.plus(scaled) };
                Some((sum.ok_or_else(|| Fault::new("this number is too large", part))?, unit))
            }
            Some(_) => {
                let message = format!("`{}` is no duration", &text[..at]);
                return Err(Fault::new(message, base..base + at).help("largest unit first, each once: `1m30s`"));
            }
        };
        last_factor = factor;
        let more = text[at..].starts_with(|c: char| c.is_ascii_digit());
        if let (Some((value, unit)), false) = (total, more && unit == LitUnit::Time) {
            return Ok((value, unit, at));
        }
    }
}

/// A plain decimal number and its length.
fn decimal(text: &str, base: usize) -> Result<(Num, usize), Fault> {
    let bytes = text.as_bytes();
    let digits = |mut at: usize| {
        while bytes.get(at).is_some_and(u8::is_ascii_digit) {
            at += 1;
        }
        at
    };
    let start = usize::from(matches!(bytes.first(), Some(b'-' | b'+')));
    let mut end = digits(start);
    if end > start && bytes.get(end) == Some(&b'.') && digits(end + 1) > end + 1 {
        end = digits(end + 1);
    }
    if end > start && matches!(bytes.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(end + 1), Some(b'-' | b'+')));
        if digits(end + 1 + sign) > end + 1 + sign {
            end = digits(end + 1 + sign);
        }
    }
    if bytes.get(end) == Some(&b'_') {
        return Err(
            Fault::new("digits are not grouped in criteria", base..base + end + 1).help("write `1000`, not `1_000`")
        );
    }
    match Num::decimal(&text[..end]) {
        Some(value) => Ok((value, end)),
        None if end > start => Err(Fault::new("this number is too large", base..base + end)),
        None => Err(Fault::new("a number is expected here", base..base + end.max(1))),
    }
}

/// The unit right behind a number (which stands at `number`), its factor and length.
fn unit(text: &str, number: Range<usize>) -> Result<(LitUnit, i128, usize), Fault> {
    let len = text.len() - text.trim_start_matches(|c: char| c.is_alphabetic() || c == '_').len();
    let word = &text[..len];
    let at = number.end..number.end + len;
    if let Some((_, unit, factor)) = UNITS.iter().find(|(name, ..)| *name == word) {
        return Ok((*unit, *factor, len));
    }
    if text.starts_with('%') {
        return Err(Fault::new("`%` only stands after `baseline`", at.start..at.start + 1)
            .help("a percentage is compared with the bare number (`>= 55`), a distance is written in points (`1pp`)"));
    }
    if word.is_empty() {
        let spaced = text.trim_start();
        let next = spaced.split(|c: char| !c.is_alphabetic()).next().unwrap_or("");
        if UNITS.iter().any(|(name, ..)| *name == next) {
            let end = number.end + (text.len() - spaced.len()) + next.len();
            return Err(Fault::new("a unit stands right behind its number", number.start..end)
                .help(format!("without the space: `…{next}`")));
        }
        return Ok((LitUnit::Plain, 1, 0));
    }
    let meant = match word {
        "min" | "mins" | "minute" | "minutes" => Some("m"),
        "sec" | "secs" | "second" | "seconds" => Some("s"),
        "hour" | "hours" | "hr" => Some("h"),
        "day" | "days" => Some("d"),
        "µs" | "μs" => Some("us"),
        "k" | "K" | "kB" | "KB" | "kb" => Some("KiB"),
        "M" | "MB" | "mb" => Some("MiB"),
        "G" | "GB" | "gb" => Some("GiB"),
        "b" | "byte" | "bytes" => Some("B"),
        _ => nearest(word, UNITS.iter().map(|(name, ..)| *name)),
    };
    let help = meant.map_or_else(|| UNIT_LIST.to_owned(), |unit| format!("did you mean `{unit}`? {UNIT_LIST}"));
    Err(Fault::new(format!("there is no unit `{word}`"), at).help(help))
}

/// The quoted text at the start of `text` and how many bytes it takes. In a `regex`, escapes that are not ours stay.
pub(super) fn quoted(text: &str, base: usize, regex: bool) -> Result<(String, usize), Fault> {
    let mut chars = text.char_indices();
    let quote = chars.next().map_or('"', |(_, c)| c);
    let mut out = String::new();
    while let Some((at, c)) = chars.next() {
        if c == quote {
            return Ok((out, at + c.len_utf8()));
        }
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some((_, c @ ('"' | '\'' | '\\'))) => out.push(c),
            Some((_, 'n')) => out.push('\n'),
            Some((_, 't')) => out.push('\t'),
            Some((_, 'r')) => out.push('\r'),
            Some((from, 'u')) if text[from + 1..].starts_with('{') => {
                let close = text[from..].find('}').map(|len| from + len);
                let code = close.and_then(|close| u32::from_str_radix(&text[from + 2..close], 16).ok());
                let (Some(close), Some(c)) = (close, code.and_then(char::from_u32)) else {
                    let end = close.map_or(from + 2, |close| close + 1);
                    return Err(Fault::new("this is no character", base + at..base + end).help("for example `\\u{e9}`"));
                };
                out.push(c);
                while chars.next().is_some_and(|(at, _)| at < close) {}
            }
            Some((_, c)) if regex => out.extend(['\\', c]),
            Some((end, c)) => {
                return Err(Fault::new(format!("unknown escape `\\{c}`"), base + at..base + end + c.len_utf8())
                    .help("a backslash is written `\\\\`; known: `\\\"` `\\'` `\\n` `\\t` `\\r` `\\u{…}`"));
            }
            None => break,
        }
    }
    Err(Fault::new(format!("the text that starts here has no closing `{quote}`"), base..base + text.len())
        .help(format!("end it with `{quote}`")))
}

/// A duration as text (`1m30s`), in nanoseconds.
pub(super) fn is_duration(text: &str) -> bool {
    measures(text, LitUnit::Time)
}

/// A size as text (`1.5KiB`).
pub(super) fn is_size(text: &str) -> bool {
    measures(text, LitUnit::Size)
}

fn measures(text: &str, wanted: LitUnit) -> bool {
    matches!(number(text, 0), Ok((_, unit, len)) if unit == wanted && len == text.len())
}

impl Lit {
    /// What kind of literal it is, for messages.
    pub(super) fn noun(&self) -> &'static str {
        match self {
            Self::Bool(_) => "true or false",
            Self::Text(_) => "text",
            Self::Num(_, LitUnit::Plain) => "a plain number",
            Self::Num(_, LitUnit::Octal) => "an octal number",
            Self::Num(_, LitUnit::Time) => "a time",
            Self::Num(_, LitUnit::Size) => "a size",
            Self::Num(_, LitUnit::Points) => "in percentage points",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn num(text: &str) -> (Num, LitUnit) {
        let (value, unit, len) = number(text, 0).unwrap();
        assert_eq!(len, text.len(), "{text}");
        (value, unit)
    }

    #[test]
    fn every_unit() {
        let time = |ns: i128| (Num::int(ns), LitUnit::Time);
        assert_eq!(num("7ns"), time(7));
        assert_eq!(num("7us"), time(7_000));
        assert_eq!(num("500ms"), time(500_000_000));
        assert_eq!(num("0.5s"), time(500_000_000));
        assert_eq!(num("2m"), time(120_000_000_000));
        assert_eq!(num("24h"), num("1d"));
        assert_eq!(num("1m30s"), time(90_000_000_000));
        assert_eq!(num("-1m30s"), time(-90_000_000_000));
        assert_eq!(num("3B"), (Num::int(3), LitUnit::Size));
        assert_eq!(num("1.5KiB"), (Num::int(1536), LitUnit::Size));
        assert_eq!(num("1MiB"), (Num::int(1 << 20), LitUnit::Size));
        assert_eq!(num("2GiB"), (Num::int(2 << 30), LitUnit::Size));
        assert_eq!(num("0.5pp"), (Num::ratio(1, 200).unwrap(), LitUnit::Points));
        assert_eq!(num("0o600"), (Num::int(0o600), LitUnit::Octal));
        assert_eq!(num("-2.5e-1"), (Num::ratio(-1, 4).unwrap(), LitUnit::Plain));
    }

    #[test]
    fn wrong_numbers_say_what_was_meant() {
        let said = |text: &str| {
            let fault = number(text, 0).unwrap_err();
            format!("{} | {}", fault.message, fault.help.unwrap_or_default())
        };
        assert!(said("5min").contains("no unit `min` | did you mean `m`?"), "{}", said("5min"));
        assert!(said("5KB").contains("`KiB`"));
        assert!(said("55%").contains("only stands after `baseline`"));
        assert!(said("500 ms").contains("right behind"));
        assert!(said("1_000").contains("not grouped"));
        assert!(said("30s1m").contains("largest unit first"));
        assert!(said("0o9").contains("no octal number"));
        assert!(said("99999999999999999999999999999999999999999").contains("too large"));
    }

    #[test]
    fn quoted_text() {
        assert_eq!(quoted(r#""a\"\n\u{e9}" rest"#, 0, false).unwrap(), ("a\"\né".to_owned(), 13));
        assert_eq!(quoted(r"'it\'s'", 0, false).unwrap().0, "it's");
        assert_eq!(quoted(r#""\d\\.""#, 0, true).unwrap().0, r"\d\.");
        for bad in ["\"abc", r#""\d""#, r#""\u{zz}""#, r#""\u{110000}""#, "'\\"] {
            assert!(quoted(bad, 0, false).is_err(), "{bad}");
        }
        assert!(is_duration("1m30s") && !is_duration("90") && is_size("2KiB") && !is_size("2 KiB"));
    }
}
