//! Durations, sizes and file modes as plans write them. Pure; knows no plan.

use std::time::Duration;

/// Units of time, smallest first.
const TIMES: [(&str, u64); 5] = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];
/// Units of size, smallest first.
const SIZES: [(&str, u64); 4] = [("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];
/// Spellings that people try.
const MEANT: [(&str, &str); 18] = [
    ("min", "m"),
    ("mins", "m"),
    ("minute", "m"),
    ("minutes", "m"),
    ("sec", "s"),
    ("secs", "s"),
    ("second", "s"),
    ("seconds", "s"),
    ("hour", "h"),
    ("hours", "h"),
    ("day", "d"),
    ("days", "d"),
    ("KB", "KiB"),
    ("kB", "KiB"),
    ("MB", "MiB"),
    ("M", "MiB"),
    ("GB", "GiB"),
    ("G", "GiB"),
];

/// `1m30s`, `500ms`, `1.5h`.
///
/// # Errors
/// One sentence: what is wrong and which units there are.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let millis = sum(text, &TIMES, "a duration such as \"30s\" or \"1m30s\"")?;
    Ok(Duration::from_millis(millis))
}

/// `64KiB`, `1.5MiB`, `10B`.
///
/// # Errors
/// One sentence: what is wrong and which units there are.
pub(super) fn size(text: &str) -> Result<u64, String> {
    sum(text, &SIZES, "a size such as \"64KiB\"")
}

/// `0600`, `600`, `0o755`.
///
/// # Errors
/// One sentence.
pub(super) fn mode(text: &str) -> Result<u32, String> {
    let digits = text.strip_prefix("0o").unwrap_or(text);
    let octal = !digits.is_empty() && digits.len() <= 4 && digits.bytes().all(|byte| (b'0'..=b'7').contains(&byte));
    let value = u32::from_str_radix(digits, 8).ok().filter(|_| octal);
    value.ok_or_else(|| "modes are octal, such as \"0600\" or \"0755\"".to_owned())
}

/// How a whole number of seconds would be written.
pub(super) fn seconds(count: &str) -> String {
    format!("{count}s")
}

fn sum(text: &str, units: &[(&str, u64)], want: &str) -> Result<u64, String> {
    let names = || units.iter().map(|(name, _)| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(format!("write {want}"));
    }
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b'.').count();
        let (number, tail) = rest.split_at(digits);
        if number.is_empty() {
            return Err(format!("write {want}"));
        }
        let letters = tail.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, next) = tail.split_at(letters);
        let Some((_, factor)) = units.iter().find(|(name, _)| *name == unit) else {
            return Err(if unit.is_empty() && next.is_empty() {
                format!("the unit is missing; write {want}; units are {}", names())
            } else if unit.is_empty() {
                format!("write {want}")
            } else {
                let meant = MEANT.iter().find(|(word, of)| *word == unit && units.iter().any(|(name, _)| name == of));
                let meant = meant.map_or_else(String::new, |(_, unit)| format!("did you mean `{unit}`? "));
                format!("unknown unit `{unit}`; {meant}units are {}", names())
            });
        };
        let part = scaled(number, *factor).ok_or_else(|| format!("`{number}{unit}` is out of range"))?;
        total = total.checked_add(part).filter(|total| *total <= u64::MAX / 1_000_000).ok_or("out of range")?;
        rest = next.trim_start();
    }
    Ok(total)
}

/// A decimal times a factor, exact down to the smallest unit.
fn scaled(number: &str, factor: u64) -> Option<u64> {
    let value = crate::facts::Num::decimal(number)?.times(crate::facts::Num::int(i128::from(factor)))?.reduced();
    (value.den == 1).then(|| u64::try_from(value.num).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_add_up_exactly() {
        assert_eq!(duration("1m30s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("1.5h"), Ok(Duration::from_secs(5400)));
        assert_eq!(size("64KiB"), Ok(65536));
        assert_eq!(size("10B"), Ok(10));
        assert_eq!(mode("0600"), Ok(0o600));
        assert_eq!(mode("0o755"), Ok(0o755));
    }

    #[test]
    fn wrong_units_say_which_there_are() {
        let fault = |text| duration(text).unwrap_err();
        assert_eq!(fault("30x"), "unknown unit `x`; units are `ms`, `s`, `m`, `h`, `d`");
        assert!(fault("30").starts_with("the unit is missing"));
        for bad in ["", "s", "-3s", "1.2.3s", "99999999999999999999d", "3s4", "0.0001ms", "½s"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
        for bad in ["", "999999", "8", "rw-"] {
            assert!(mode(bad).is_err(), "{bad}");
        }
        assert!(size("1KB").unwrap_err().contains("`KiB`"));
    }
}
