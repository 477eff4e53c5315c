//! Where something stands in a plan file: byte spans, and the texts they point into. No I/O.

use std::sync::{Arc, OnceLock};

use crate::ids::FileId;

/// A byte range in one plan file. `len == 0` means "at this point".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The file.
    pub file: FileId,
    /// Byte offset of the first byte.
    pub start: u32,
    /// Length in bytes.
    pub len: u32,
}

impl Place {
    /// A place from a byte range.
    #[must_use]
    pub fn new(file: FileId, range: std::ops::Range<usize>) -> Self {
        let clamp = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Self { file, start: clamp(range.start), len: clamp(range.len()) }
    }

    /// A part of this place: `offset` bytes in, `len` bytes long (cut to this place).
    #[must_use]
    pub fn part(self, offset: usize, len: usize) -> Self {
        let offset = u32::try_from(offset).unwrap_or(u32::MAX).min(self.len);
        let len = u32::try_from(len).unwrap_or(u32::MAX).min(self.len - offset);
        Self { file: self.file, start: self.start + offset, len }
    }

    /// The byte range within the file.
    #[must_use]
    pub fn range(self) -> std::ops::Range<usize> {
        self.start as usize..(self.start as usize + self.len as usize)
    }
}

/// One plan file as it was read.
#[derive(Clone, Debug, Default)]
pub struct Source {
    /// The path as a person wrote it (relative to where they stood, or to the including file's folder).
    pub path: String,
    /// The text, byte for byte.
    pub text: String,
    /// Offsets of the first byte of each line; only a message or an editor asks for lines.
    line_starts: OnceLock<Vec<u32>>,
}

impl Source {
    /// A source.
    #[must_use]
    pub fn new(path: String, text: String) -> Self {
        Self { path, text, line_starts: OnceLock::new() }
    }

    fn line_starts(&self) -> &[u32] {
        self.line_starts.get_or_init(|| {
            let ends = self.text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
            std::iter::once(0).chain(ends.map(|(at, _)| u32::try_from(at + 1).unwrap_or(u32::MAX))).collect()
        })
    }

    /// Line and column (both from 1, column in characters) of a byte offset.
    #[must_use]
    pub fn line_col(&self, offset: usize) -> (usize, usize) {
        let offset = offset.min(self.text.len());
        let line = self.line_starts().partition_point(|&start| start as usize <= offset).max(1);
        let start = self.line_starts().get(line - 1).map_or(0, |&s| s as usize);
        let col = self.text.get(start..offset).map_or(1, |t| t.chars().count() + 1);
        (line, col)
    }

    /// The text of a line (from 1) without its line end.
    #[must_use]
    pub fn line(&self, line: usize) -> &str {
        let start = self.line_starts().get(line.wrapping_sub(1)).map_or(self.text.len(), |&s| s as usize);
        let end = self.line_starts().get(line).map_or(self.text.len(), |&s| s as usize);
        self.text.get(start..end).unwrap_or("").trim_end_matches(['\n', '\r'])
    }

    /// Byte offset of the first byte of a line (from 1); the length of the text past the last line.
    #[must_use]
    pub fn line_start(&self, line: usize) -> usize {
        self.line_starts().get(line.saturating_sub(1)).map_or(self.text.len(), |&start| start as usize)
    }

    /// Number of lines.
    #[must_use]
    pub fn lines(&self) -> usize {
        self.line_starts().len()
    }
}

/// All files of a plan, the main one first.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// In the order they were read.
    pub files: Vec<Arc<Source>>,
}

impl Sources {
    /// The file of a place.
    #[must_use]
    pub fn file(&self, place: Place) -> Option<&Source> {
        self.files.get(usize::from(place.file.0)).map(Arc::as_ref)
    }

    /// `path:line:col`.
    #[must_use]
    pub fn locate(&self, place: Place) -> String {
        self.file(place).map_or_else(String::new, |source| {
            let (line, col) = source.line_col(place.start as usize);
            format!("{}:{line}:{col}", source.path)
        })
    }

    /// The text at a place.
    #[must_use]
    pub fn text(&self, place: Place) -> &str {
        self.file(place).and_then(|source| source.text.get(place.range())).unwrap_or("")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_columns_count_from_one_in_characters() {
        let source = Source::new("p".into(), "añb\nc\r\n".into());
        assert_eq!(source.line_col(0), (1, 1));
        assert_eq!(source.line_col(3), (1, 3));
        assert_eq!(source.line_col(5), (2, 1));
        assert_eq!(source.line(2), "c");
        assert_eq!(source.line_col(999), (3, 1));
    }
}
