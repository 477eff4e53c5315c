//! Untrusted text for the screen: whatever a child, a plan or a server wrote, nothing of it can steer a terminal.
//! Knows no layout and no colour.

use std::fmt::Write as _;

use unicode_width::UnicodeWidthChar;

/// Columns between two tab stops.
const TAB: usize = 4;

/// The text as one line: control characters, line ends included, are shown instead of sent.
///
/// Applying it twice changes nothing, so it may guard every door.
#[must_use]
pub fn line(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    push_all(&mut out, text, false);
    out
}

/// Whether every byte is a character of one column that shows itself, as nearly all text is.
fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}

/// Adds text to a line, as [`line()`] shows it alone.
pub fn push(out: &mut String, text: &str) {
    push_all(out, text, false);
}

/// Like [`line()`], but line feeds stay (a carriage return before one is dropped).
#[must_use]
pub fn text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for (index, part) in text.split('\n').enumerate() {
        if index > 0 {
            out.push('\n');
        }
        push_all(&mut out, part.strip_suffix('\r').unwrap_or(part), false);
    }
    out
}

/// Raw bytes as one line; bytes that are not UTF-8 come out as `\xff`.
#[must_use]
pub fn bytes(raw: &[u8]) -> String {
    let mut out = String::with_capacity(raw.len());
    for chunk in raw.utf8_chunks() {
        push_all(&mut out, chunk.valid(), true);
        for byte in chunk.invalid() {
            let _ = write!(out, "\\x{byte:02x}");
        }
    }
    out
}

/// `keep_column`: tab stops count from the start of `out`, else from the start of `text`.
fn push_all(out: &mut String, text: &str, keep_column: bool) {
    if is_plain(text) {
        out.push_str(text);
        return;
    }
    let tabs = text.contains('\t');
    let mut column = if keep_column { width(out) } else { 0 };
    for c in text.chars() {
        let from = out.len();
        match c {
            '\t' => out.extend(std::iter::repeat_n(' ', TAB - column % TAB)),
            '\u{7f}' => out.push('␡'),
            c if c < ' ' => out.push(char::from_u32(0x2400 + c as u32).unwrap_or('\u{fffd}')),
            c if is_hidden(c) => {
                let _ = write!(out, "\\u{{{:x}}}", c as u32);
            }
            c => out.push(c),
        }
        if tabs {
            column += out.get(from..).map_or(0, width);
        }
    }
}

/// Characters that are not seen but change what is seen: C1 controls, bidirectional controls, line and paragraph
/// separators, invisible operators, tags. (Joiners stay: scripts and emoji need them.)
fn is_hidden(c: char) -> bool {
    matches!(c,
        '\u{80}'..='\u{9f}'
        | '\u{61c}'
        | '\u{200b}'
        | '\u{200e}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e007f}')
}

/// Columns that escaped text takes. Never too few: an emoji sequence counts as the sum of its parts.
#[must_use]
pub fn width(text: &str) -> usize {
    if is_plain(text) { text.len() } else { text.chars().map(char_width).sum() }
}

/// Columns that text takes as [`line()`] shows it.
#[must_use]
pub fn columns(text: &str) -> usize {
    if is_plain(text) { text.len() } else { width(&line(text)) }
}

fn char_width(c: char) -> usize {
    // The selector asks for the emoji form of a narrow character, which is wide.
    if c == '\u{fe0f}' { 1 } else { c.width().unwrap_or(0) }
}

/// The first `columns` columns of escaped text; if it had more, the last one is `…`.
#[must_use]
pub fn cut(text: &str, columns: usize) -> String {
    // Marks without width could go on for ever: bound the characters too.
    if width(text) <= columns && (text.len() <= columns || text.chars().nth(most_chars(columns)).is_none()) {
        return text.to_owned();
    }
    let mut out = prefix(text, columns.saturating_sub(1)).to_owned();
    if columns > 0 {
        out.push('…');
    }
    out
}

/// The last `columns` columns of escaped text; if it had more, the first one is `…`.
#[must_use]
pub fn cut_front(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let mut used = 0;
    let mut start = text.len();
    for (at, c) in text.char_indices().rev() {
        used += char_width(c);
        if used >= columns {
            break;
        }
        start = at;
    }
    if columns == 0 { String::new() } else { format!("…{}", text.get(start..).unwrap_or("")) }
}

/// The start and the end of escaped text in `columns`; if it had more, `…` stands between them: names that differ only at
/// their ends are told apart.
#[must_use]
pub fn cut_middle(text: &str, columns: usize) -> String {
    // Marks without width could go on for ever.
    if width(text) <= columns || columns < 8 {
        return cut(text, columns);
    }
    let start = prefix(text, (columns - 1) / 2);
    let end = cut_front(text, columns - width(start));
    if end.chars().nth(most_chars(columns)).is_some() { cut(text, columns) } else { format!("{start}{end}") }
}

/// The longest start of escaped text that fits into `columns`.
#[must_use]
pub fn prefix(text: &str, columns: usize) -> &str {
    // No character takes more columns than bytes.
    if text.len() <= columns {
        return text;
    }
    if is_plain(text) {
        return text.get(..columns).unwrap_or(text);
    }
    let mut used = 0;
    for (count, (at, c)) in text.char_indices().enumerate() {
        used += char_width(c);
        if used > columns || count >= most_chars(columns) {
            return text.get(..at).unwrap_or("");
        }
    }
    text
}

fn most_chars(columns: usize) -> usize {
    columns.saturating_mul(4).saturating_add(16)
}

/// Escaped text in lines of at most `columns`, broken anywhere: for output whose spaces mean something.
#[must_use]
pub fn fold(text: &str, columns: usize) -> Vec<String> {
    let mut rows = Vec::new();
    let mut rest = text;
    while width(rest) > columns.max(1) {
        let head = head(rest, columns.max(1));
        rows.push(head.to_owned());
        rest = rest.get(head.len()..).unwrap_or("");
    }
    if !rest.is_empty() || rows.is_empty() {
        rows.push(rest.to_owned());
    }
    rows
}

/// Like [`prefix`], but never empty: one character that is wider than the line gets a line all the same.
fn head(text: &str, columns: usize) -> &str {
    match prefix(text, columns) {
        "" => text.chars().next().and_then(|c| text.get(..c.len_utf8())).unwrap_or(text),
        head => head,
    }
}

/// Escaped text in lines of at most `columns`, broken at spaces, inside a word only where one is too long.
/// Line feeds in it are kept as breaks, spaces at the start of a paragraph too. At least one line.
#[must_use]
pub fn wrap(text: &str, columns: usize) -> Vec<String> {
    text.split('\n').flat_map(|paragraph| wrap_paragraph(paragraph, columns.max(1))).collect()
}

fn wrap_paragraph(paragraph: &str, columns: usize) -> Vec<String> {
    let indent = paragraph.len() - paragraph.trim_start_matches(' ').len();
    let mut lines = Vec::new();
    let mut current = String::new();
    let mut from = 0;
    // The first word keeps the indent, so look for the space after it.
    while from <= paragraph.len() {
        let search = from.max(indent);
        let rest = paragraph.get(search..).unwrap_or("");
        let to = rest.find(' ').map_or(paragraph.len(), |at| search + at);
        let word = paragraph.get(from..to).unwrap_or("");
        from = to + 1;
        if !current.is_empty() && width(&current) + 1 + width(word) <= columns {
            current.push(' ');
            current.push_str(word);
            continue;
        }
        if !current.is_empty() {
            lines.push(std::mem::take(&mut current));
        }
        let mut pieces = fold(word, columns);
        current = pieces.pop().unwrap_or_default();
        lines.extend(pieces);
    }
    if !current.is_empty() || lines.is_empty() {
        lines.push(current);
    }
    lines
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_steers_a_terminal_is_shown() {
        assert_eq!(line("\u{1b}[31mred\u{1b}]0;title\u{7}"), "␛[31mred␛]0;title␇");
        assert_eq!(line("a\u{202e}b\u{9b}c\u{7f}\u{feff}"), "a\\u{202e}b\\u{9b}c␡\\u{feff}");
        assert_eq!(line("a\tb\n"), "a   b␊");
        assert_eq!(text("a\r\nb\rc"), "a\nb␍c");
        assert_eq!(bytes(b"ok\xff\xc3\xa9\xe2\x82\tz"), "ok\\xffé\\xe2\\x82 z");
    }

    #[test]
    fn cutting_counts_columns() {
        assert_eq!(cut("hello", 5), "hello");
        assert_eq!(cut("hello!", 5), "hell…");
        assert_eq!(cut("漢字漢字", 5), "漢字…");
        assert_eq!(cut("漢字漢字", 4), "漢…");
        assert_eq!(cut("x", 0), "");
        assert_eq!(cut_front("hello!", 5), "…llo!");
        assert_eq!(cut_middle("hello", 5), "hello");
        assert_eq!(cut_middle("unit[py=3.11]", 9), "unit….11]");
        assert_eq!(cut_middle("漢字漢字漢字", 9), "漢字…漢字");
        assert!(cut_middle(&format!("abcdefghij{}", "\u{301}".repeat(10_000)), 9).len() < 500);
        assert!(cut(&format!("a{}", "\u{301}".repeat(10_000)), 10).len() < 500);
    }

    #[test]
    fn wrapping_breaks_at_spaces_and_only_then_in_words() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("abcdefgh ij", 3), ["abc", "def", "gh", "ij"]);
        assert_eq!(wrap("漢", 1), ["漢"]);
        assert_eq!(wrap("", 5), [""]);
        assert_eq!(wrap("  if x:\n\n    y z", 7), ["  if x:", "", "    y z"]);
        assert_eq!(fold("a b  c", 2), ["a ", "b ", " c"]);
    }

    fn is_clean(text: &str, line_feeds: bool) -> bool {
        text.chars().all(|c| (!c.is_control() || (line_feeds && c == '\n')) && !is_hidden(c))
    }

    proptest! {
        #[test]
        fn no_control_ever_gets_out(raw in proptest::collection::vec(any::<u8>(), 0..200), any in "\\PC*|[\\x00-\\xa0\\u{2000}-\\u{2070}]*") {
            prop_assert!(is_clean(&bytes(&raw), false));
            prop_assert!(is_clean(&line(&any), false));
            prop_assert!(is_clean(&text(&any), true));
            prop_assert_eq!(line(&line(&any)), line(&any));
        }

        // The widest character takes three columns.
        #[test]
        fn cut_and_wrap_stay_within_their_columns(any in "\\PC{0,60}", columns in 3usize..40) {
            let safe = line(&any);
            prop_assert!(width(&cut(&safe, columns)) <= columns);
            prop_assert!(width(&cut_front(&safe, columns)) <= columns);
            prop_assert!(width(&cut_middle(&safe, columns)) <= columns);
            prop_assert!(wrap(&safe, columns).iter().all(|l| width(l) <= columns));
            prop_assert!(fold(&safe, columns).iter().all(|l| width(l) <= columns));
            prop_assert_eq!(fold(&safe, columns).concat(), safe);
        }
    }
}
