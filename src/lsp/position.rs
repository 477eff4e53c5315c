//! Where a byte is, as editors count: lines end in `\n`, `\r\n` or `\r`, columns are UTF-16 units or bytes. Knows no
//! document's meaning.

use std::ops::Range;

use serde_json::{Value as Json, json};

/// What a column counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Unit {
    /// UTF-16 code units: what every client can.
    #[default]
    Utf16,
    /// Bytes.
    Utf8,
}

/// Line and column, both from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Position {
    pub(super) line: u32,
    pub(super) column: u32,
}

impl Position {
    /// From the protocol; `None` if it is none.
    pub(super) fn read(json: &Json) -> Option<Self> {
        let number = |name: &str| Some(u32::try_from(json.get(name)?.as_u64()?).unwrap_or(u32::MAX));
        Some(Self { line: number("line")?, column: number("character")? })
    }

    pub(super) fn json(self) -> Json {
        json!({ "line": self.line, "character": self.column })
    }
}

/// The lines of a text.
#[derive(Clone, Debug)]
pub(super) struct Lines {
    /// Where each begins.
    starts: Vec<usize>,
}

impl Lines {
    pub(super) fn of(text: &str) -> Self {
        let bytes = text.as_bytes();
        let mut starts = vec![0];
        for (at, byte) in bytes.iter().enumerate() {
            if *byte == b'\n' || (*byte == b'\r' && bytes.get(at + 1) != Some(&b'\n')) {
                starts.push(at + 1);
            }
        }
        Self { starts }
    }

    /// The byte of a position; one behind the end of its line is the line's end, one behind the last line the text's.
    pub(super) fn offset(&self, text: &str, position: Position, unit: Unit) -> usize {
        let line = position.line as usize;
        let Some(start) = self.starts.get(line).copied() else { return text.len() };
        let end = self.starts.get(line + 1).copied().unwrap_or(text.len());
        let whole = text.get(start..end).unwrap_or("").trim_end_matches(['\r', '\n']);
        let wanted = position.column as usize;
        let mut column = 0;
        for (at, c) in whole.char_indices() {
            column += width(c, unit);
            if column > wanted {
                return start + at;
            }
        }
        start + whole.len()
    }

    /// The position of a byte; within a character it is the character's begin.
    pub(super) fn position(&self, text: &str, offset: usize, unit: Unit) -> Position {
        let mut offset = offset.min(text.len());
        while !text.is_char_boundary(offset) {
            offset -= 1;
        }
        let line = self.starts.partition_point(|start| *start <= offset).saturating_sub(1);
        let start = self.starts.get(line).copied().unwrap_or(0);
        let before = text.get(start..offset).unwrap_or("");
        // Between `\r` and `\n` there is no position.
        let before = before.trim_end_matches('\r');
        let column = match unit {
            Unit::Utf8 => before.len(),
            Unit::Utf16 if before.is_ascii() => before.len(),
            Unit::Utf16 => before.chars().map(|c| width(c, unit)).sum(),
        };
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Position { line: number(line), column: number(column) }
    }

    /// A byte range for the protocol.
    pub(super) fn range(&self, text: &str, range: &Range<usize>, unit: Unit) -> Json {
        let end = range.end.max(range.start);
        json!({ "start": self.position(text, range.start, unit).json(), "end": self.position(text, end, unit).json() })
    }
}

fn width(c: char, unit: Unit) -> usize {
    match unit {
        Unit::Utf16 => c.len_utf16(),
        Unit::Utf8 => c.len_utf8(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(line: u32, column: u32) -> Position {
        Position { line, column }
    }

    #[test]
    fn columns_count_utf16_units_or_bytes() {
        let text = "a\u{e9}\u{1f600}b\r\nx\ry\n";
        let lines = Lines::of(text);
        assert_eq!(lines.position(text, 7, Unit::Utf16), at(0, 4));
        assert_eq!(lines.position(text, 7, Unit::Utf8), at(0, 7));
        assert_eq!(lines.offset(text, at(0, 4), Unit::Utf16), 7);
        // Within a surrogate pair, and within a character: its begin.
        assert_eq!(lines.offset(text, at(0, 3), Unit::Utf16), 3);
        assert_eq!(lines.position(text, 5, Unit::Utf16), at(0, 2));
        // Behind the end of a line, and of the text.
        assert_eq!(lines.offset(text, at(0, 99), Unit::Utf16), 8);
        assert_eq!(lines.offset(text, at(99, 0), Unit::Utf16), text.len());
        // A lone `\r` ends a line too.
        assert_eq!(lines.position(text, text.find('y').unwrap(), Unit::Utf16), at(2, 0));
        assert_eq!(lines.position(text, text.len(), Unit::Utf16), at(3, 0));
    }

    #[test]
    fn every_place_leads_back() {
        let text = "[steps.\u{1f41f}]\r\n\u{e9} = \"\u{4e2d}\"\n\n";
        let lines = Lines::of(text);
        for unit in [Unit::Utf16, Unit::Utf8] {
            for (offset, _) in text.char_indices().filter(|(at, _)| !text[..*at].ends_with('\r')) {
                let position = lines.position(text, offset, unit);
                assert_eq!(lines.offset(text, position, unit), offset);
            }
        }
    }
}
