//! What an action saw: exact values under names. Plain data; nothing here judges.

use std::collections::BTreeMap;
use std::fmt;
use std::hash::{Hash, Hasher};

use serde::{Deserialize, Serialize};

/// What a number measures. Two numbers compare only within one dimension.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// A plain number.
    One,
    /// Time, in nanoseconds.
    Time,
    /// Size, in bytes.
    Size,
    /// A share of a whole: the number is the fraction (`157/500`), shown in percent.
    Percent,
    /// A file mode: a plain number, shown in octal.
    Octal,
}

/// An exact rational. Not reduced, so that `157/500` can still be shown as it was counted.
#[derive(Clone, Copy, Debug)]
pub struct Num {
    /// Numerator.
    pub num: i128,
    /// Denominator, always above zero.
    pub den: i128,
}

/// Equal numbers hash alike: `1/2` as `2/4`.
impl Hash for Num {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let lowest = self.reduced();
        (lowest.num, lowest.den).hash(state);
    }
}

impl Num {
    /// A whole number.
    #[must_use]
    pub const fn int(num: i128) -> Self {
        Self { num, den: 1 }
    }

    /// `num/den`, or `None` for a denominator that is not above zero.
    #[must_use]
    pub const fn ratio(num: i128, den: i128) -> Option<Self> {
        if den > 0 { Some(Self { num, den }) } else { None }
    }

    /// The exact value of a decimal text such as `-12.50` or `1e-3`; `None` if it is none or leaves the exact range.
    #[must_use]
    pub fn decimal(text: &str) -> Option<Self> {
        let (mantissa, exponent) = match text.find(['e', 'E']) {
            Some(at) => (&text[..at], text[at + 1..].parse::<i32>().ok()?),
            None => (text, 0),
        };
        let (negative, digits) = match mantissa.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, mantissa.strip_prefix('+').unwrap_or(mantissa)),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let all_digits = |t: &str| t.bytes().all(|b| b.is_ascii_digit());
        if (whole.is_empty() && fraction.is_empty()) || !all_digits(whole) || !all_digits(fraction) {
            return None;
        }
        let mut num: i128 = 0;
        for byte in whole.bytes().chain(fraction.bytes()) {
            num = num.checked_mul(10)?.checked_add(i128::from(byte - b'0'))?;
        }
        let scale = i32::try_from(fraction.len()).ok()?.checked_sub(exponent)?;
        let mut den: i128 = 1;
        for _ in 0..scale.unsigned_abs().min(40) {
            if scale > 0 {
                den = den.checked_mul(10)?;
            } else {
                num = num.checked_mul(10)?;
            }
        }
        if scale.unsigned_abs() > 40 && num != 0 {
            return None;
        }
        Some(Self { num: if negative { -num } else { num }, den })
    }

    /// The exact value of the shortest decimal that reads back as this float; `None` for NaN and infinities.
    #[must_use]
    pub fn float(value: f64) -> Option<Self> {
        value.is_finite().then(|| Self::decimal(&format!("{value:e}"))).flatten()
    }

    /// The nearest float, for display and for figures that are irrational anyway.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "display only")]
    pub fn to_f64(self) -> f64 {
        self.num as f64 / self.den as f64
    }

    /// In lowest terms.
    #[must_use]
    pub fn reduced(self) -> Self {
        let (mut a, mut b) = (self.num.unsigned_abs(), self.den.unsigned_abs());
        while b != 0 {
            (a, b) = (b, a % b);
        }
        let divisor = i128::try_from(a.max(1)).unwrap_or(1);
        Self { num: self.num / divisor, den: self.den / divisor }
    }

    /// Sum, exact; `None` on overflow.
    #[must_use]
    pub fn plus(self, other: Self) -> Option<Self> {
        let (a, b) = (self.reduced(), other.reduced());
        let num = a.num.checked_mul(b.den)?.checked_add(b.num.checked_mul(a.den)?)?;
        Self::ratio(num, a.den.checked_mul(b.den)?)
    }

    /// Difference, exact; `None` on overflow.
    #[must_use]
    pub fn minus(self, other: Self) -> Option<Self> {
        self.plus(Self { num: other.num.checked_neg()?, den: other.den })
    }

    /// Product, exact; `None` on overflow.
    #[must_use]
    pub fn times(self, other: Self) -> Option<Self> {
        let (a, b) = (self.reduced(), other.reduced());
        Self::ratio(a.num.checked_mul(b.num)?, a.den.checked_mul(b.den)?)
    }
}

impl Ord for Num {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        let (a, b) = (self.reduced(), other.reduced());
        match (a.num.checked_mul(b.den), b.num.checked_mul(a.den)) {
            (Some(left), Some(right)) => left.cmp(&right),
            // Out of exact range: compare whole parts, then what is left, by Euclid's steps.
            _ => match a.num.div_euclid(a.den).cmp(&b.num.div_euclid(b.den)) {
                std::cmp::Ordering::Equal => {
                    let (x, y) = (a.num.rem_euclid(a.den), b.num.rem_euclid(b.den));
                    match (x == 0, y == 0) {
                        (true, true) => std::cmp::Ordering::Equal,
                        (true, false) => std::cmp::Ordering::Less,
                        (false, true) => std::cmp::Ordering::Greater,
                        (false, false) => Self { num: b.den, den: y }.cmp(&Self { num: a.den, den: x }),
                    }
                }
                unequal => unequal,
            },
        }
    }
}

impl PartialOrd for Num {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Num {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Num {}

/// `num` or `num/den`: the form in which numbers are stored.
impl fmt::Display for Num {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.den == 1 { write!(f, "{}", self.num) } else { write!(f, "{}/{}", self.num, self.den) }
    }
}

impl std::str::FromStr for Num {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const BAD: &str = "not a number of the form `num` or `num/den`";
        let (num, den) = text.split_once('/').unwrap_or((text, "1"));
        let (num, den) = (num.parse().map_err(|_| BAD)?, den.parse().map_err(|_| BAD)?);
        Self::ratio(num, den).ok_or(BAD)
    }
}

impl Serialize for Num {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Num {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// One observed value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Value {
    /// JSON `null`, or a fact that is known to be absent.
    Null,
    /// True or false.
    Bool(bool),
    /// An exact number with its dimension.
    Num(Num, Unit),
    /// Text. Bytes that were not UTF-8 come with U+FFFD in their place; the raw bytes stay in the spool.
    Text(String),
    /// Several values in a fixed order.
    List(Vec<Value>),
    /// Values under names (`header`, `file`, `test`).
    Map(BTreeMap<String, Value>),
    /// A JSON document, looked into by RFC 9535 paths (`json."$.a"`).
    /// Stored as a string that holds its text, because its numbers need not be whole.
    Json(#[serde(with = "json_text")] serde_json::Value),
}

/// A JSON document as a string.
mod json_text {
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(value: &serde_json::Value, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<serde_json::Value, D::Error> {
        let text = String::deserialize(deserializer)?;
        serde_json::from_str(&text).map_err(serde::de::Error::custom)
    }
}

impl Value {
    /// A plain whole number.
    #[must_use]
    pub fn int(n: impl Into<i128>) -> Self {
        Self::Num(Num::int(n.into()), Unit::One)
    }

    /// A size in bytes.
    #[must_use]
    pub fn size(bytes: u64) -> Self {
        Self::Num(Num::int(i128::from(bytes)), Unit::Size)
    }

    /// A time.
    #[must_use]
    pub fn time(duration: std::time::Duration) -> Self {
        Self::Num(Num::int(i128::try_from(duration.as_nanos()).unwrap_or(i128::MAX)), Unit::Time)
    }

    /// `part` of `whole` as a percentage; [`Value::Null`] for an empty whole.
    #[must_use]
    pub fn percent(part: u64, whole: u64) -> Self {
        Num::ratio(i128::from(part), i128::from(whole)).map_or(Self::Null, |n| Self::Num(n, Unit::Percent))
    }

    /// Text.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }
}

/// How much an action looked at. Zero is an error unless the step says `allow_empty`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inspected {
    /// How many.
    pub count: u64,
    /// Of what, singular (`file`, `test`, `line`).
    pub what: String,
}

/// Everything one look of an action gave.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    /// How much was looked at.
    pub inspected: Inspected,
    /// By name; a name with a parameter is one key: `percent(lines)`.
    pub values: BTreeMap<String, Value>,
}

impl Facts {
    /// Facts about `count` things called `what`.
    #[must_use]
    pub fn about(count: u64, what: &str) -> Self {
        Self { values: BTreeMap::new(), inspected: Inspected { count, what: what.to_owned() } }
    }

    /// Adds a fact.
    pub fn set(&mut self, name: impl Into<String>, value: Value) {
        self.values.insert(name.into(), value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_exact() {
        assert_eq!(Num::decimal("0.1"), Num::ratio(1, 10));
        assert_eq!(Num::decimal("-1.50"), Num::ratio(-3, 2));
        assert_eq!(Num::decimal("1e-3"), Num::ratio(1, 1000));
        assert_eq!(Num::decimal("2E2"), Some(Num::int(200)));
        for bad in ["", ".", "-", "1.2.3", "0x1", "1e", "1e99", "NaN"] {
            assert_eq!(Num::decimal(bad), None, "{bad}");
        }
        assert_eq!(Num::float(0.1), Num::ratio(1, 10));
        assert_eq!(Num::float(f64::NAN), None);
    }

    #[test]
    fn comparison_survives_overflow() {
        let huge = Num::ratio(i128::MAX, i128::MAX - 1).unwrap();
        let huger = Num::ratio(i128::MAX - 2, i128::MAX - 4).unwrap();
        assert!(huge < huger);
        assert!(Num::ratio(-1, i128::MAX).unwrap() < Num::ratio(1, i128::MAX).unwrap());
        assert_eq!("157/500".parse(), Ok(Num::ratio(157, 500).unwrap()));
    }
}
