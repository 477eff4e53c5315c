//! The end of an output, from the last bytes of it. Pure: somebody else reads the file.

/// The last `most` lines of an output of which `chunk` is the end, without their line ends.
///
/// `whole`: the chunk is everything; otherwise its first line is taken as broken and left out, unless it is the only one.
/// Of a line that was overwritten with carriage returns, the last version is given. Empty lines at the very end don't count.
#[must_use]
pub fn last_lines(chunk: &[u8], whole: bool, most: usize) -> Vec<Vec<u8>> {
    let mut lines: Vec<&[u8]> = chunk.split(|&b| b == b'\n').collect();
    // Before a line feed at the very end there may be one endless line only: better its end than nothing.
    if !whole && lines.iter().skip(1).any(|line| !line.iter().all(u8::is_ascii_whitespace)) {
        lines.remove(0);
    }
    let mut lines: Vec<Vec<u8>> = lines.into_iter().map(|line| final_version(line).to_vec()).collect();
    while lines.last().is_some_and(|line| line.iter().all(u8::is_ascii_whitespace)) {
        lines.pop();
    }
    let surplus = lines.len().saturating_sub(most);
    lines.split_off(surplus)
}

/// The last line of an output of which `chunk` is the end; `None` if there is nothing to see in it.
#[must_use]
pub fn last_line(chunk: &[u8]) -> Option<Vec<u8>> {
    last_lines(chunk, true, 1).pop()
}

/// Lines in a whole output; a last one without line feed counts.
#[must_use]
pub fn count_lines(whole: &[u8]) -> u64 {
    let feeds = whole.iter().filter(|&&b| b == b'\n').count() + usize::from(whole.last().is_some_and(|&b| b != b'\n'));
    u64::try_from(feeds).unwrap_or(u64::MAX)
}

/// What stays of a line that was overwritten with carriage returns.
pub(super) fn final_version(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    line.rsplit(|&b| b == b'\r').next().unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_an_output() {
        assert_eq!(last_lines(b"a\nb\r\nc\n\n", true, 2), [b"b", b"c"]);
        assert_eq!(last_lines(b"oken\nb\nc", false, 9), [b"b", b"c"]);
        assert_eq!(last_lines(b"no end", false, 9), [b"no end"]);
        assert_eq!(last_line(b"10 %\r20 %\r30 %"), Some(b"30 %".to_vec()));
        assert_eq!(last_line(b"\n \n"), None);
        assert_eq!([count_lines(b""), count_lines(b"a"), count_lines(b"a\nb\n")], [0, 1, 2]);
    }
}
