//! Durations, sizes, counts and lists of names as people read them. Pure; knows no events.

use std::time::Duration;

const SECOND: u64 = 1_000_000_000;

/// Nanoseconds in at most six characters: `2.31s`, `34.1s`, `1m12s`, `1h02m`, `2d03h`.
#[must_use]
pub fn short(ns: u64) -> String {
    // Round first, so that 9.996 s is 10.0s and not 10.00s.
    let hundredths = (ns + SECOND / 200) / (SECOND / 100);
    let tenths = (ns + SECOND / 20) / (SECOND / 10);
    let seconds = (ns + SECOND / 2) / SECOND;
    match seconds {
        _ if hundredths < 1_000 => format!("{}.{:02}s", hundredths / 100, hundredths % 100),
        _ if tenths < 600 => format!("{}.{}s", tenths / 10, tenths % 10),
        0..3_600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{}h{:02}m", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{}d{:02}h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

/// A duration like [`short`].
#[must_use]
pub fn duration(duration: Duration) -> String {
    short(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX / 2))
}

/// Nanoseconds as a clock, whole seconds rounded down: `0:41`, `1:02:03`.
#[must_use]
pub fn clock(ns: u64) -> String {
    let seconds = ns / SECOND;
    if seconds < 3_600 {
        format!("{}:{:02}", seconds / 60, seconds % 60)
    } else {
        format!("{}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60)
    }
}

/// Bytes: `17 B`, `1.2 MiB`.
#[must_use]
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut tenths = (u128::from(bytes) * 10 + 512) / 1024;
    let mut unit = 0;
    while tenths >= 10_240 && unit + 1 < UNITS.len() {
        tenths = (tenths + 512) / 1024;
        unit += 1;
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS.get(unit).copied().unwrap_or("EiB"))
}

/// Thousandths as a decimal without needless zeros: `0.35`, `0.5`, `1`.
#[must_use]
pub fn permille(thousandths: u32) -> String {
    let (whole, rest) = (thousandths / 1000, thousandths % 1000);
    if rest == 0 {
        return whole.to_string();
    }
    format!("{whole}.{}", format!("{rest:03}").trim_end_matches('0'))
}

/// `1 step`, `30 steps`.
#[must_use]
pub fn count(n: usize, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}

/// `a, b and 40 more`: at most `most` names.
#[must_use]
pub fn names<S: AsRef<str>>(names: &[S], most: usize) -> String {
    let shown: Vec<&str> = names.iter().take(most).map(AsRef::as_ref).collect();
    match names.len().saturating_sub(most) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// One word of a shell command, quoted only if it must be.
#[must_use]
pub fn shell_word(word: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_-./:=@%+,".contains(&b);
    if !word.is_empty() && word.bytes().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_keep_three_figures() {
        let ms = |n: u64| short(n * 1_000_000);
        assert_eq!([ms(0), ms(4), ms(2_310), ms(9_994), ms(9_996)], ["0.00s", "0.00s", "2.31s", "9.99s", "10.0s"]);
        assert_eq!([ms(34_140), ms(59_940), ms(59_960), ms(72_000)], ["34.1s", "59.9s", "1m00s", "1m12s"]);
        assert_eq!([ms(3_599_600), ms(3_720_000), ms(183_600_000)], ["1h00m", "1h02m", "2d03h"]);
        assert_eq!([clock(41 * SECOND), clock(3_723 * SECOND)], ["0:41", "1:02:03"]);
    }

    #[test]
    fn sizes_and_shares() {
        assert_eq!([size(17), size(1024), size(1_258_291), size(u64::MAX)], ["17 B", "1.0 KiB", "1.2 MiB", "16.0 EiB"]);
        assert_eq!([permille(350), permille(500), permille(1000), permille(5)], ["0.35", "0.5", "1", "0.005"]);
    }

    #[test]
    fn lists_fold_and_words_are_quoted() {
        assert_eq!(names(&["a", "b"], 2), "a, b");
        assert_eq!(names(&["a", "b", "c"], 1), "a and 2 more");
        assert_eq!(shell_word("test[os=linux]"), "'test[os=linux]'");
        assert_eq!(shell_word("unit-lib"), "unit-lib");
    }
}
