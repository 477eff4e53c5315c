//! Canonical lines with a check sum among their members: one after the other, each told with its digest.

use serde::Serialize;

use super::canonical::{self, CanonicalError};
use super::direct::Writer;
use crate::digest::{Sha256Stream, sha256_hex};

/// The member that holds the check sum.
pub(super) const SUM: &str = "sum";

/// Hex digits of a check sum.
const DIGITS: usize = 16;

/// A digest in lower-case hex.
pub(super) type Digits = [u8; 64];

/// Writes lines.
pub(super) struct Summed {
    writer: Writer,
}

impl Summed {
    pub(super) fn new() -> Self {
        Self { writer: Writer::new() }
    }

    /// The canonical line of plain data that is an object, line feed included, with one more member: [`SUM`], made from the
    /// text of the rest. And SHA-256 of the line. What stands before the sum is digested once for both.
    ///
    /// # Errors
    /// As [`canonical::to_bytes`].
    pub(super) fn line(&mut self, item: &impl Serialize) -> Result<(&[u8], Digits), CanonicalError> {
        let place = self.writer.write(item, Some(SUM))?;
        let text = self.writer.text_mut();
        let is_empty = text.len() == 2;
        let at = place.unwrap_or(text.len() - 1);
        let mut whole = Sha256Stream::new();
        whole.update(&text[..at]);
        let mut rest = whole.clone();
        rest.update(&text[at..]);
        let sum = rest.finish_digits();
        let (before, after) = match place {
            Some(_) => ("", ","),
            None if is_empty => ("", ""),
            None => (",", ""),
        };
        let end = text.len();
        let (name, sum) = (SUM.as_bytes(), &sum[..DIGITS]);
        for piece in [before.as_bytes(), b"\"", name, b"\":\"", sum, b"\"", after.as_bytes()] {
            text.extend_from_slice(piece);
        }
        let added = text.len() - end;
        text[at..].rotate_right(added);
        text.push(b'\n');
        whole.update(&text[at..]);
        Ok((text, whole.finish_digits()))
    }

    /// The line that was written last, and the memory that it stands in.
    pub(super) fn take(&mut self) -> Vec<u8> {
        std::mem::take(self.writer.text_mut())
    }
}

/// The check sum of a line's members without [`SUM`].
pub(super) fn sum(members: &serde_json::Map<String, serde_json::Value>) -> Result<String, CanonicalError> {
    let mut text = Vec::new();
    canonical::write_object(members, &mut text)?;
    let mut sum = sha256_hex(&text);
    sum.truncate(DIGITS);
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Map, Value, json};

    use super::super::canonical::to_line;
    use super::*;

    fn right(members: &Map<String, Value>) -> Vec<u8> {
        let mut members = members.clone();
        members.insert(SUM.into(), sum(&members).unwrap().into());
        to_line(&members).unwrap()
    }

    #[test]
    fn the_sum_stands_where_it_belongs() {
        let mut lines = Summed::new();
        for members in [json!({ "z": 1, "a": [null], "t": "x" }), json!({}), json!({ "a": 1 }), json!({ "z": 1 })] {
            let Value::Object(members) = members else { panic!() };
            let (line, digest) = lines.line(&members).unwrap();
            assert_eq!(line, right(&members));
            assert_eq!(digest, *sha256_hex(line).as_bytes());
            assert_eq!(lines.take(), right(&members));
        }
        assert!(lines.line(&json!({ "a": 1.5 })).is_err());
        assert_eq!(lines.line(&json!({})).unwrap().0, right(&Map::new()), "what went wrong before leaves nothing");
    }

    proptest! {
        #[test]
        fn any_line_is_as_by_way_of_a_tree(names in prop::collection::btree_set(any::<String>(), 0..8)) {
            let members: Map<String, Value> = names.into_iter().filter(|name| name != SUM).map(|name| (name, Value::Null)).collect();
            let mut lines = Summed::new();
            prop_assert_eq!(lines.line(&members).unwrap().0, right(&members));
        }
    }
}
