//! Figures and texts as a person reads them. Knows no criteria; rounds only for the eye, never for a verdict.

use super::ast::Op;
use super::datum::{Datum, Number};
use super::exact::Ratio;
use crate::facts::Unit;

/// Longest text shown, in characters.
const MOST: usize = 200;

/// Steps of a unit: from this many base units on, the divisor, the suffix.
const TIMES: [(u64, u64, &str); 7] = [
    (172_800_000_000_000, 86_400_000_000_000, " d"),
    (7_200_000_000_000, 3_600_000_000_000, " h"),
    (120_000_000_000, 60_000_000_000, " min"),
    (1_000_000_000, 1_000_000_000, " s"),
    (1_000_000, 1_000_000, " ms"),
    (1_000, 1_000, " us"),
    (0, 1, " ns"),
];
const SIZES: [(u64, u64, &str); 4] =
    [(1 << 30, 1 << 30, " GiB"), (1 << 20, 1 << 20, " MiB"), (1 << 10, 1 << 10, " KiB"), (0, 1, " B")];

/// How a number is scaled for display: value in that scale, suffix, usual decimals.
fn scaled(value: &Ratio, unit: Unit) -> (Ratio, &'static str, u32) {
    let ladder: &[(u64, u64, &'static str)] = match unit {
        Unit::Percent => return (value.times(&Ratio::int(100)), " %", 1),
        Unit::One | Unit::Octal => return (value.clone(), "", 3),
        Unit::Time | Unit::Size if value.is_zero() => return (value.clone(), "", 0),
        Unit::Time => &TIMES,
        Unit::Size => &SIZES,
    };
    let size = value.abs();
    let step = ladder.iter().find(|(from, ..)| size >= Ratio::int(*from));
    let (_, divisor, suffix) = step.unwrap_or(&(0, 1, ""));
    let value = value.over(*divisor);
    let digits = [100, 10].iter().position(|bound| value.abs() >= Ratio::int(*bound)).unwrap_or(2);
    (value, suffix, u32::try_from(digits).unwrap_or(2))
}

/// A figure with as many decimals as it takes to stand on the right side of `bound`, and not to read as zero.
pub(super) fn figure(value: &Ratio, unit: Unit, bound: Option<&Ratio>) -> String {
    if let (Unit::One, Some(whole)) = (unit, value.whole()) {
        return whole.to_string();
    }
    if unit == Unit::Octal
        && let Some(octal) = value.octal()
    {
        return format!("0o{octal}");
    }
    let (shown, suffix, usual) = scaled(value, unit);
    let back = |rounded: Ratio| match (unit, suffix) {
        (Unit::Percent, _) => rounded.over(100),
        (_, suffix) => {
            let divisor = TIMES.iter().chain(&SIZES).find(|(.., s)| *s == suffix).map_or(1, |(_, divisor, _)| *divisor);
            rounded.times(&Ratio::int(divisor))
        }
    };
    let faithful = |digits: &u32| {
        let rounded = shown.rounded(*digits);
        let zero = rounded.is_zero() && !shown.is_zero();
        !zero && bound.is_none_or(|bound| back(rounded).cmp(bound) == value.cmp(bound))
    };
    let digits = (usual..usual + 16).find(faithful).unwrap_or(usual + 16);
    format!("{}{suffix}", shown.text(digits))
}

/// A number that somebody wrote: exact where it has a short decimal form.
pub(super) fn written(number: &Number) -> String {
    if let (Unit::One, Some(whole)) = (number.unit, number.value.whole()) {
        return whole.to_string();
    }
    let (shown, suffix, usual) = scaled(&number.value, number.unit);
    match (usual..=12).find(|digits| shown.rounded(*digits) == shown) {
        Some(digits) if number.unit != Unit::Octal => format!("{}{suffix}", shown.text(digits)),
        _ => figure(&number.value, number.unit, None),
    }
}

/// A distance between two figures.
fn distance(value: &Ratio, unit: Unit) -> String {
    let text = figure(&value.abs(), unit, None);
    if unit == Unit::Percent { text.replace(" %", " pp") } else { text }
}

/// How far `left` is from `right` under the comparison.
pub(super) fn margin(op: Op, left: &Ratio, right: &Ratio, unit: Unit) -> Option<String> {
    let (difference, equal) = (left.minus(right), left == right);
    let far = distance(&difference, unit);
    let plain = matches!(unit, Unit::One | Unit::Octal);
    match op {
        Op::Lt | Op::Le | Op::Gt | Op::Ge if equal => Some("exactly at the bound".to_owned()),
        Op::Lt | Op::Le if left < right => Some(format!("{far} to spare")),
        Op::Lt | Op::Le => Some(format!("over by {far}")),
        Op::Gt | Op::Ge if left > right => Some(format!("{far} to spare")),
        Op::Gt | Op::Ge => Some(format!("short by {far}")),
        Op::Eq | Op::Ne if plain => None,
        Op::Eq | Op::Ne if equal => Some("exact".to_owned()),
        Op::Eq | Op::Ne => Some(format!("off by {far}")),
        _ => None,
    }
}

/// Quoted text, cut, with everything escaped that could move a cursor or hide.
pub(super) fn text(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars().take(MOST) {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if c.is_control() || is_hidden(c) => out.extend(c.escape_default()),
            c => out.push(c),
        }
    }
    match text.chars().nth(MOST) {
        None => out.push('"'),
        Some(_) => out.push_str(&format!("…\" ({} characters)", text.chars().count())),
    }
    out
}

/// Marks that change the direction of text or have no width.
fn is_hidden(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// Any value.
pub(super) fn datum(datum: &Datum<'_>, bound: Option<&Ratio>) -> String {
    match datum {
        Datum::Null => "null".to_owned(),
        Datum::Bool(b) => b.to_string(),
        Datum::Num(number) => match number.counted {
            Some(num) if number.unit == Unit::Percent => {
                format!("{} ({}/{})", figure(&number.value, number.unit, bound), num.num, num.den)
            }
            _ => figure(&number.value, number.unit, bound),
        },
        Datum::Text(t) => text(t),
        Datum::List(items) => list(items, 10),
        Datum::Object(names) => format!("an object with {} names", names.len()),
    }
}

/// `[a, b, … 12 in all]`.
pub(super) fn list(items: &[Datum<'_>], most: usize) -> String {
    let mut shown: Vec<String> = items.iter().take(most).map(|item| datum(item, None)).collect();
    if items.len() > most {
        shown.push(format!("… {} in all", items.len()));
    }
    format!("[{}]", shown.join(", "))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::proptest;

    use super::*;

    fn fig(num: i64, den: i64, unit: Unit) -> String {
        figure(&Ratio::new(num, den).unwrap(), unit, None)
    }

    #[test]
    fn every_unit_reads_well() {
        assert_eq!(fig(157, 500, Unit::Percent), "31.4 %");
        assert_eq!(fig(173_412_345, 1, Unit::Time), "173 ms");
        assert_eq!(fig(1_234_000_000, 1, Unit::Time), "1.23 s");
        assert_eq!(fig(150_000_000_000, 1, Unit::Time), "2.5 min");
        assert_eq!(fig(1536, 1, Unit::Size), "1.5 KiB");
        assert_eq!(fig(12, 1, Unit::Size), "12 B");
        assert_eq!(fig(0o600, 1, Unit::Octal), "0o600");
        assert_eq!(fig(1, 3, Unit::One), "0.333");
        assert_eq!(fig(1, 1_000_000, Unit::One), "0.000001");
        assert_eq!(fig(0, 1, Unit::Time), "0");
    }

    #[test]
    fn texts_cannot_move_the_cursor() {
        assert_eq!(text("a\u{1b}[2J\"\u{202e}\n"), r#""a\u{1b}[2J\"\u{202e}\n""#);
        assert!(text(&"x".repeat(300)).ends_with("…\" (300 characters)"));
    }

    proptest! {
        #[test]
        fn rounding_never_crosses_the_bound(a in -2_000_000i64..2_000_000, b in -2_000i64..2_000, d in 1i64..5000) {
            for unit in [Unit::One, Unit::Percent, Unit::Time, Unit::Size] {
                let (value, bound) = (Ratio::new(a, d).unwrap(), Ratio::int(b));
                let (shown, suffix, _) = scaled(&value, unit);
                let text = figure(&value, unit, Some(&bound));
                let read = Ratio::decimal(text.trim_end_matches(suffix)).unwrap();
                // The same scale on both sides: compare what is printed with the bound in that scale.
                let factor = if value.is_zero() { Ratio::int(1) } else {
                    let (n, v) = (shown.to_num().unwrap(), value.to_num().unwrap());
                    Ratio::new(n.num * v.den, n.den * v.num).or_else(|| Ratio::new(-n.num * v.den, -(n.den * v.num))).unwrap()
                };
                assert_eq!(read.cmp(&bound.times(&factor)), value.cmp(&bound), "{text} against {b} {unit:?}");
            }
        }
    }
}
