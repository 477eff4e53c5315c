//! Canonical JSON (RFC 8785), one object a line. Knows no event and no record, only bytes and the numbers it refuses.

use std::cmp::Ordering;
use std::fmt;

use serde::Serialize;
use serde_json::{Map, Number, Value};

use super::direct;
use crate::digest::Sha256Stream;

/// Largest whole number that every JSON reader keeps exact: 2^53 - 1.
pub(super) const MAX_EXACT: u64 = (1 << 53) - 1;

/// Why a value or a line is not canonical.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CanonicalError {
    /// It could not be serialised.
    Serialize(String),
    /// A number with a fraction or an exponent; the value is its text.
    Float(String),
    /// A whole number beyond ±(2^53 - 1); it has to be a string.
    Range(String),
    /// The line does not end in exactly one line feed.
    NoLineEnd,
    /// Not JSON.
    Parse(String),
    /// JSON, but not in its one canonical form; differs from this byte (from 0) on.
    NotCanonical(usize),
}

impl fmt::Display for CanonicalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Serialize(why) => write!(f, "cannot be written as JSON: {why}"),
            Self::Float(number) => write!(f, "`{number}` is not a whole number; write it as a string"),
            Self::Range(number) => write!(f, "`{number}` is beyond 2^53 - 1; write it as a string"),
            Self::NoLineEnd => f.write_str("the line does not end in a line feed"),
            Self::Parse(why) => write!(f, "not JSON: {why}"),
            Self::NotCanonical(at) => write!(f, "not canonical JSON from byte {at} of the line on"),
        }
    }
}

impl std::error::Error for CanonicalError {}

/// The canonical text of a value, without a line end.
///
/// # Errors
/// When it holds a float or a whole number beyond ±(2^53 - 1).
pub fn to_bytes(item: &impl Serialize) -> Result<Vec<u8>, CanonicalError> {
    direct::write(item, None).map(|(text, _)| text)
}

/// SHA-256 (lower-case hex) of the canonical text of an object with one more member, a list whose items are made one by
/// one: nothing holds all of them, nor their text.
///
/// # Errors
/// As [`to_bytes`].
pub(crate) fn digest_with_list(
    head: &impl Serialize,
    name: &'static str,
    items: impl Iterator<Item = impl Serialize>,
) -> Result<String, CanonicalError> {
    let (text, at) = direct::write(head, Some(name))?;
    let (before, after) = text.split_at(at.unwrap_or(text.len() - 1));
    let mut digest = Sha256Stream::new();
    digest.update(before);
    if at.is_none() && text.len() > 2 {
        digest.update(b",");
    }
    digest.update(format!("\"{name}\":[").as_bytes());
    let mut writer = direct::Writer::new();
    for (number, item) in items.enumerate() {
        if number > 0 {
            digest.update(b",");
        }
        writer.write(&item, None)?;
        digest.update(writer.text_mut());
    }
    digest.update(if at.is_some() { b"]," } else { b"]" });
    digest.update(after);
    Ok(digest.finish_hex())
}

/// The canonical text of an object with one more member, whose value is a word without escapes.
///
/// # Errors
/// As [`to_bytes`].
pub(crate) fn with_word(item: &impl Serialize, name: &'static str, word: &str) -> Result<Vec<u8>, CanonicalError> {
    let (mut text, place) = direct::write(item, Some(name))?;
    let at = place.unwrap_or(text.len() - 1);
    let (before, after) = match place {
        Some(_) => ("", ","),
        None if text.len() == 2 => ("", ""),
        None => (",", ""),
    };
    let member = [before, "\"", name, "\":\"", word, "\"", after].concat();
    text.splice(at..at, member.into_bytes());
    Ok(text)
}

/// The canonical line of a value, line feed included.
///
/// # Errors
/// As [`to_bytes`].
pub fn to_line(item: &impl Serialize) -> Result<Vec<u8>, CanonicalError> {
    let mut line = to_bytes(item)?;
    line.push(b'\n');
    Ok(line)
}

/// [`to_bytes`] of a value that is a JSON tree already.
///
/// # Errors
/// As [`to_bytes`].
pub(crate) fn value_bytes(value: &Value) -> Result<Vec<u8>, CanonicalError> {
    let mut out = Vec::with_capacity(1024);
    write(value, &mut out)?;
    Ok(out)
}

/// Writes the canonical text of an object.
///
/// # Errors
/// As [`to_bytes`].
pub(crate) fn write_object(members: &Map<String, Value>, out: &mut Vec<u8>) -> Result<(), CanonicalError> {
    let mut sorted: Vec<(&String, &Value)> = members.iter().collect();
    sorted.sort_unstable_by(|a, b| order(a.0, b.0));
    out.push(b'{');
    for (number, (name, value)) in sorted.into_iter().enumerate() {
        if number > 0 {
            out.push(b',');
        }
        plain(name, out)?;
        out.push(b':');
        write(value, out)?;
    }
    out.push(b'}');
    Ok(())
}

fn write(value: &Value, out: &mut Vec<u8>) -> Result<(), CanonicalError> {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Number(number) => {
            check_number(number)?;
            plain(number, out)?;
        }
        Value::String(text) => plain(text, out)?,
        Value::Array(items) => {
            out.push(b'[');
            for (number, item) in items.iter().enumerate() {
                if number > 0 {
                    out.push(b',');
                }
                write(item, out)?;
            }
            out.push(b']');
        }
        Value::Object(members) => write_object(members, out)?,
    }
    Ok(())
}

/// Whole numbers and texts have one spelling already: that of the writer, which escapes no more than it has to.
pub(super) fn plain(item: &(impl Serialize + ?Sized), out: &mut Vec<u8>) -> Result<(), CanonicalError> {
    serde_json::to_writer(out, item).map_err(|e| CanonicalError::Serialize(e.to_string()))
}

/// By UTF-16 code units, as RFC 8785 has it.
pub(super) fn order(a: &str, b: &str) -> Ordering {
    if a.is_ascii() && b.is_ascii() { a.cmp(b) } else { a.encode_utf16().cmp(b.encode_utf16()) }
}

/// Reads one line (line feed included) and makes sure that it is the only way to write its value: no duplicate or
/// unsorted keys, no spaces, no BOM, no CR, no other spelling of a number or an escape.
///
/// # Errors
/// What is not canonical about it. Never panics.
pub fn check_line(bytes: &[u8]) -> Result<Value, CanonicalError> {
    let Some(text) = bytes.strip_suffix(b"\n") else { return Err(CanonicalError::NoLineEnd) };
    let value: Value = serde_json::from_slice(text).map_err(|e| CanonicalError::Parse(e.to_string()))?;
    let canonical = value_bytes(&value)?;
    if canonical == text {
        return Ok(value);
    }
    let same = canonical.iter().zip(text).take_while(|(a, b)| a == b).count();
    Err(CanonicalError::NotCanonical(same))
}

fn check_number(number: &Number) -> Result<(), CanonicalError> {
    let size = number.as_u64().or_else(|| number.as_i64().map(i64::unsigned_abs));
    match size {
        None => Err(CanonicalError::Float(number.to_string())),
        Some(size) if size > MAX_EXACT => Err(CanonicalError::Range(number.to_string())),
        Some(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_digest_with_a_list_is_that_of_the_whole() {
        let items = [serde_json::json!({ "b": 1, "a": [] }), serde_json::json!("x"), serde_json::json!(null)];
        for head in
            [serde_json::json!({}), serde_json::json!({ "a": 1 }), serde_json::json!({ "z": 1, "b": "y", "m": 0 })]
        {
            for count in 0..=items.len() {
                let mut whole = head.clone();
                whole["list"] = items[..count].to_vec().into();
                let right = crate::digest::sha256_hex(&to_bytes(&whole).unwrap());
                assert_eq!(digest_with_list(&head, "list", items[..count].iter()).unwrap(), right, "{whole}");
            }
        }
    }

    #[test]
    fn a_word_stands_where_it_belongs() {
        for members in [json!({}), json!({ "a": 1 }), json!({ "z": 1 }), json!({ "z": 1, "a": [null], "s": "x" })] {
            let mut right = members.clone();
            right["t"] = "word".into();
            assert_eq!(with_word(&members, "t", "word").unwrap(), value_bytes(&right).unwrap());
        }
    }

    fn line(text: &str) -> Result<Value, CanonicalError> {
        check_line(text.as_bytes())
    }

    #[test]
    fn keys_are_sorted_by_utf16_and_numbers_are_whole() {
        // U+1F600 sorts before U+FB33 in UTF-16 code units, after it in UTF-8.
        let value = json!({ "\u{fb33}": 1, "\u{1f600}": 2, "b": -5, "a": [true, null] });
        let bytes = to_line(&value).unwrap();
        assert_eq!(String::from_utf8(bytes).unwrap(), "{\"a\":[true,null],\"b\":-5,\"\u{1f600}\":2,\"\u{fb33}\":1}\n");
    }

    #[test]
    fn numbers_that_readers_disagree_on_are_refused() {
        assert_eq!(to_line(&json!({"a": 1.5})), Err(CanonicalError::Float("1.5".into())));
        assert_eq!(to_line(&json!([[2.0]])), Err(CanonicalError::Float("2.0".into())));
        assert!(to_line(&json!(9_007_199_254_740_991_u64)).is_ok());
        assert!(to_line(&json!(-9_007_199_254_740_991_i64)).is_ok());
        for beyond in [json!(9_007_199_254_740_992_u64), json!(-9_007_199_254_740_992_i64), json!(u64::MAX)] {
            assert!(matches!(to_line(&beyond), Err(CanonicalError::Range(_))), "{beyond}");
        }
        assert!(matches!(to_line(&i128::MAX), Err(CanonicalError::Serialize(_))));
    }

    #[test]
    fn only_the_one_spelling_is_read() {
        assert_eq!(line("{\"a\":1}\n"), Ok(json!({"a": 1})));
        assert_eq!(line("{\"a\":\"\\n\u{e9}\"}\n"), Ok(json!({"a": "\n\u{e9}"})));
        let wrong = [
            "{\"a\":1}",                  // no line end
            "{\"a\":1}\n\n",              // two
            "{\"a\":1}\r\n",              // CRLF
            "{\"a\": 1}\n",               // space
            " {\"a\":1}\n",               // leading space
            "\u{feff}{\"a\":1}\n",        // BOM
            "{\"a\":1,\"a\":1}\n",        // duplicate key
            "{\"a\":1,\"a\":2}\n",        // duplicate key, other value
            "{\"b\":1,\"a\":1}\n",        // order
            "{\"a\":1.0}\n",              // float
            "{\"a\":1e2}\n",              // exponent
            "{\"a\":-0}\n",               // minus zero
            "{\"a\":01}\n",               // leading zero
            "{\"a\":9007199254740993}\n", // inexact
            "{\"a\":\"\\u0061\"}\n",      // needless escape
            "{\"a\":\"\\/\"}\n",          // needless escape
            "{\"a\":\"\\u000A\"}\n",      // short escape exists
            "{\"a\":\"\\u00e9\"}\n",      // needless escape
            "{\"a\":\"\\ud800\"}\n",      // lone surrogate
            "{\"a\":NaN}\n",
            "{\"a\":1}{\"a\":1}\n",
            "\n",
            "",
        ];
        for text in wrong {
            assert!(line(text).is_err(), "{text:?}");
        }
        assert!(check_line(b"{\"a\":\"\xff\"}\n").is_err());
        let deep = format!("{}{}\n", "[".repeat(100_000), "]".repeat(100_000));
        assert!(line(&deep).is_err());
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let exact = i64::try_from(MAX_EXACT).unwrap();
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            (-exact..=exact).prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::vec((any::<String>(), inner), 0..6)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(value in any_json()) {
            let bytes = to_line(&value).unwrap();
            prop_assert_eq!(bytes.iter().filter(|&&b| b == b'\n').count(), 1);
            prop_assert_eq!(&bytes[..bytes.len() - 1], value_bytes(&value).unwrap());
            prop_assert_eq!(&bytes[..bytes.len() - 1], serde_json_canonicalizer::to_vec(&value).unwrap());
            prop_assert_eq!(check_line(&bytes).unwrap(), value);
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(value) = check_line(&bytes) {
                prop_assert_eq!(to_line(&value).unwrap(), bytes);
            }
        }
    }
}
