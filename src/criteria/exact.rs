//! Exact numbers without bounds, for comparing and aggregating. Knows no criteria and no units.

use std::cmp::Ordering;

use num_bigint::{BigInt, Sign};

use crate::facts::Num;

/// A rational of any size, not reduced. The denominator is above zero.
#[derive(Clone, Debug)]
pub(super) struct Ratio {
    num: BigInt,
    den: BigInt,
}

impl Ratio {
    pub(super) fn int(n: impl Into<BigInt>) -> Self {
        Self { num: n.into(), den: BigInt::from(1) }
    }

    /// `num/den`; `None` unless `den` is above zero.
    #[cfg(test)]
    pub(super) fn new(num: impl Into<BigInt>, den: impl Into<BigInt>) -> Option<Self> {
        let den = den.into();
        (den.sign() == Sign::Plus).then(|| Self { num: num.into(), den })
    }

    /// The exact value of a JSON number's text (at most three exponent digits are believed).
    pub(super) fn decimal(text: &str) -> Option<Self> {
        let (mantissa, exponent) = match text.find(['e', 'E']) {
            Some(at) => (&text[..at], text[at + 1..].parse::<i32>().ok()?),
            None => (text, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let num: BigInt = format!("{whole}{fraction}").parse().ok()?;
        let scale = exponent.checked_sub(i32::try_from(fraction.len()).ok()?)?;
        let factor = BigInt::from(10).pow(scale.unsigned_abs().min(2000));
        Some(if scale < 0 { Self { num, den: factor } } else { Self::int(num * factor) })
    }

    /// As a fact; `None` when it does not fit in lowest terms.
    pub(super) fn to_num(&self) -> Option<Num> {
        let (mut a, mut b) = (BigInt::from(self.num.magnitude().clone()), self.den.clone());
        while b.sign() != Sign::NoSign {
            (a, b) = (b.clone(), a % b);
        }
        Num::ratio(i128::try_from(&self.num / &a).ok()?, i128::try_from(&self.den / &a).ok()?)
    }

    /// It as a whole number, if it is a small one as it stands.
    pub(super) fn whole(&self) -> Option<i64> {
        (i64::try_from(&self.den) == Ok(1)).then(|| i64::try_from(&self.num).ok()).flatten()
    }

    pub(super) fn is_zero(&self) -> bool {
        self.num.sign() == Sign::NoSign
    }

    pub(super) fn is_negative(&self) -> bool {
        self.num.sign() == Sign::Minus
    }

    pub(super) fn plus(&self, other: &Self) -> Self {
        if self.den == other.den {
            return Self { num: &self.num + &other.num, den: self.den.clone() };
        }
        Self { num: &self.num * &other.den + &other.num * &self.den, den: &self.den * &other.den }
    }

    pub(super) fn minus(&self, other: &Self) -> Self {
        self.plus(&Self { num: -&other.num, den: other.den.clone() })
    }

    pub(super) fn times(&self, other: &Self) -> Self {
        Self { num: &self.num * &other.num, den: &self.den * &other.den }
    }

    /// Divided by a count above zero.
    pub(super) fn over(&self, count: u64) -> Self {
        Self { num: self.num.clone(), den: &self.den * BigInt::from(count.max(1)) }
    }

    pub(super) fn abs(&self) -> Self {
        Self { num: BigInt::from(self.num.magnitude().clone()), den: self.den.clone() }
    }

    /// Largest whole number that is not above it.
    pub(super) fn floor(&self) -> BigInt {
        let whole = &self.num / &self.den;
        if self.is_negative() && &whole * &self.den != self.num { whole - 1 } else { whole }
    }

    /// Rounded to `digits` decimals, half away from zero.
    pub(super) fn rounded(&self, digits: u32) -> Self {
        let scale = BigInt::from(10).pow(digits);
        let twice: BigInt = self.abs().num * &scale * 2u8 + &self.den;
        let scaled: BigInt = twice / (&self.den * 2u8);
        Self { num: if self.is_negative() { -scaled } else { scaled }, den: scale }
    }

    /// Decimal text of the value rounded to `digits` decimals, without trailing zeros.
    pub(super) fn text(&self, digits: u32) -> String {
        let rounded = self.rounded(digits);
        let width = digits as usize;
        let all = format!("{:0>1$}", rounded.num.magnitude().to_string(), width + 1);
        let (whole, fraction) = all.split_at(all.len() - width);
        let fraction = fraction.trim_end_matches('0');
        let sign = if rounded.is_negative() { "-" } else { "" };
        if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
    }

    /// Octal digits of a whole number.
    pub(super) fn octal(&self) -> Option<String> {
        let whole = &self.num / &self.den;
        (&whole * &self.den == self.num).then(|| whole.to_str_radix(8))
    }

    /// The nearest float, good enough for irrational figures.
    pub(super) fn to_f64(&self) -> f64 {
        self.text(25).parse().unwrap_or(f64::NAN)
    }
}

impl From<Num> for Ratio {
    fn from(n: Num) -> Self {
        Self { num: n.num.into(), den: n.den.into() }
    }
}

impl Ord for Ratio {
    fn cmp(&self, other: &Self) -> Ordering {
        (&self.num * &other.den).cmp(&(&other.num * &self.den))
    }
}

impl PartialOrd for Ratio {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Ratio {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Ratio {}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, proptest};

    use super::*;

    #[test]
    fn rounding_and_text() {
        let third = Ratio::new(-2, 3).unwrap();
        assert_eq!(third.text(2), "-0.67");
        assert_eq!(third.floor(), BigInt::from(-1));
        assert_eq!(Ratio::decimal("1.50e2").unwrap().text(3), "150");
        assert_eq!(Ratio::decimal("-0.05").unwrap().text(1), "-0.1");
        assert_eq!(Ratio::new(157, 500).unwrap().to_num(), Num::ratio(157, 500));
        assert_eq!(Ratio::int(384).octal().as_deref(), Some("600"));
    }

    proptest! {
        #[test]
        fn agrees_with_num_where_num_is_exact(a in any::<i32>(), b in 1..i32::MAX, c in any::<i32>(), d in 1..i32::MAX) {
            let (x, y) = (Num::ratio(a.into(), b.into()).unwrap(), Num::ratio(c.into(), d.into()).unwrap());
            let (p, q) = (Ratio::from(x), Ratio::from(y));
            assert_eq!(p.cmp(&q), x.cmp(&y));
            assert_eq!(p.plus(&q).to_num(), x.plus(y).map(Num::reduced));
            assert_eq!(p.minus(&q).to_num(), x.minus(y).map(Num::reduced));
            assert_eq!(p.times(&q).to_num(), x.times(y).map(Num::reduced));
        }
    }
}
