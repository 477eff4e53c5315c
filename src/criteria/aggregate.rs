//! Aggregates: many values in, one out. Exact, except `stddev`. Knows no paths.

use jiff::fmt::{rfc2822, temporal::DateTimeParser};

use super::ast::Agg;
use super::datum::{Datum, Number};
use super::exact::Ratio;
use super::show;
use crate::facts::{Num, Unit};

/// The aggregate of items.
///
/// `pN` interpolates between the two neighbouring values (rank `N/100·(n-1)`), so `p50` is `med`; `stddev` is that of
/// a sample (divided by `n-1`) and needs two values; `rate` and `percent` are the share of `true`.
pub(super) fn aggregate<'a>(agg: Agg, items: &[Datum<'a>]) -> Result<Datum<'a>, String> {
    let count = items.len() as u64;
    if agg == Agg::Count {
        return Ok(Datum::Num(Number::new(Ratio::int(count), Unit::One)));
    }
    let last = items.last().ok_or("there is nothing to aggregate")?;
    let unit = match last {
        Datum::Num(number) if number.unit != Unit::Octal => number.unit,
        _ => Unit::One,
    };
    let number = |value: Ratio| Ok(Datum::Num(Number::new(value, unit)));
    match agg {
        Agg::Last => Ok(last.clone()),
        Agg::Rate => share(items, Unit::One),
        Agg::Percent => share(items, Unit::Percent),
        Agg::Min => extreme(items, std::cmp::Ordering::Less),
        Agg::Max => extreme(items, std::cmp::Ordering::Greater),
        Agg::Sum => number(sum(&numbers(items)?)),
        Agg::Avg => number(sum(&numbers(items)?).over(count)),
        Agg::Med => number(percentile(numbers(items)?, Num::int(50))?),
        Agg::Percentile(p) => number(percentile(numbers(items)?, p)?),
        Agg::Stddev => number(stddev(&numbers(items)?)?),
        Agg::Count | Agg::Age => Err("not an aggregate over items".to_owned()),
    }
}

fn numbers(items: &[Datum<'_>]) -> Result<Vec<Ratio>, String> {
    let unit = items.iter().find_map(|item| if let Datum::Num(n) = item { Some(n.unit) } else { None });
    let one = |item: &Datum<'_>| match item {
        Datum::Num(number) if Some(number.unit) == unit => Ok(number.value.clone()),
        other => Err(format!("{} is {}, not a number", show::datum(other, None), other.noun())),
    };
    items.iter().map(one).collect()
}

fn extreme<'a>(items: &[Datum<'a>], wanted: std::cmp::Ordering) -> Result<Datum<'a>, String> {
    let values = numbers(items)?;
    let mut best = 0;
    for (i, value) in values.iter().enumerate() {
        if value.cmp(&values[best]) == wanted {
            best = i;
        }
    }
    items.get(best).cloned().ok_or_else(|| "there is nothing to aggregate".to_owned())
}

fn sum(values: &[Ratio]) -> Ratio {
    values.iter().fold(Ratio::int(0), |sum, value| sum.plus(value))
}

fn percentile(mut values: Vec<Ratio>, p: Num) -> Result<Ratio, String> {
    values.sort();
    let last = values.len().saturating_sub(1);
    let rank = Ratio::from(p).over(100).times(&Ratio::int(last));
    let below = usize::try_from(rank.floor()).unwrap_or(0).min(last);
    let low = values.get(below).ok_or("there is nothing to aggregate")?;
    let high = &values[(below + 1).min(last)];
    let part = rank.minus(&Ratio::int(below));
    Ok(if part.is_zero() { low.clone() } else { low.plus(&high.minus(low).times(&part)) })
}

fn stddev(values: &[Ratio]) -> Result<Ratio, String> {
    let count = values.len() as u64;
    if count < 2 {
        return Err("`stddev` needs at least two values".to_owned());
    }
    let mean = sum(values).over(count);
    let squares: Vec<Ratio> = values.iter().map(|v| v.minus(&mean)).map(|d| d.times(&d)).collect();
    let root = sum(&squares).over(count - 1).to_f64().sqrt();
    Ratio::decimal(&format!("{root:e}")).ok_or_else(|| "`stddev` is out of range".to_owned())
}

fn share<'a>(items: &[Datum<'_>], unit: Unit) -> Result<Datum<'a>, String> {
    let mut hits = 0;
    for item in items {
        match item {
            Datum::Bool(hit) => hits += u64::from(*hit),
            other => return Err(format!("{} is {}, not true or false", show::datum(other, None), other.noun())),
        }
    }
    let counted = Num::ratio(i128::from(hits), items.len() as i128).ok_or("there is nothing to aggregate")?;
    Ok(Datum::Num(Number { value: Ratio::from(counted), unit, counted: Some(counted), points: false }))
}

/// Time from a date to `now` (milliseconds since 1970).
pub(super) fn age<'a>(date: &Datum<'_>, now: i64) -> Result<Datum<'a>, String> {
    let Datum::Text(text) = date else {
        return Err(format!("{} is {}, not a date", show::datum(date, None), date.noun()));
    };
    let then = instant(text).ok_or_else(|| format!("{} is no date", show::text(text)))?;
    let age = Ratio::int(i128::from(now) * 1_000_000 - then);
    Ok(Datum::Num(Number::new(age, Unit::Time)))
}

/// Nanoseconds since 1970 of an RFC 3339 date (with or without a time; UTC unless it says otherwise) or an RFC 2822 one.
pub(super) fn instant(text: &str) -> Option<i128> {
    let text = text.trim();
    if let Ok(timestamp) = text.parse::<jiff::Timestamp>() {
        return Some(timestamp.as_nanosecond());
    }
    if let Ok(zoned) = rfc2822::parse(text) {
        return Some(zoned.timestamp().as_nanosecond());
    }
    let local = DateTimeParser::new().parse_datetime(text).ok()?;
    jiff::tz::Offset::UTC.to_timestamp(local).ok().map(jiff::Timestamp::as_nanosecond)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{Strategy as _, any, prop, proptest};

    use super::*;
    use crate::facts::Value;

    fn ints(values: &[i64]) -> Vec<Value> {
        values.iter().map(|v| Value::int(*v)).collect()
    }

    fn run(agg: Agg, values: &[Value]) -> Result<Value, String> {
        let items: Vec<Datum> = values.iter().map(Datum::of).collect();
        aggregate(agg, &items)?.to_value()
    }

    fn ratio(num: i128, den: i128) -> Value {
        Value::Num(Num::ratio(num, den).unwrap(), Unit::One)
    }

    #[test]
    fn every_aggregate() {
        let v = ints(&[4, 1, 3, 10]);
        assert_eq!(run(Agg::Min, &v), Ok(Value::int(1)));
        assert_eq!(run(Agg::Max, &v), Ok(Value::int(10)));
        assert_eq!(run(Agg::Sum, &v), Ok(Value::int(18)));
        assert_eq!(run(Agg::Avg, &v), Ok(ratio(9, 2)));
        assert_eq!(run(Agg::Med, &v), Ok(ratio(7, 2)));
        assert_eq!(run(Agg::Percentile(Num::int(0)), &v), Ok(Value::int(1)));
        assert_eq!(run(Agg::Percentile(Num::int(100)), &v), Ok(Value::int(10)));
        // rank 0.95 * 3 = 2.85: 4 + 0.85 * 6
        assert_eq!(run(Agg::Percentile(Num::int(95)), &v), Ok(ratio(91, 10)));
        assert_eq!(run(Agg::Count, &v), Ok(Value::int(4)));
        assert_eq!(run(Agg::Last, &v), Ok(Value::int(10)));
        let Ok(Value::Num(sd, _)) = run(Agg::Stddev, &ints(&[2, 4])) else { panic!() };
        assert!((sd.to_f64() - 2f64.sqrt()).abs() < 1e-12);
        let bools = [Value::Bool(true), Value::Bool(false), Value::Bool(true)];
        assert_eq!(run(Agg::Rate, &bools), Ok(ratio(2, 3)));
        assert_eq!(run(Agg::Percent, &bools), Ok(Value::percent(2, 3)));
    }

    #[test]
    fn nothing_is_an_error_except_to_count() {
        for (word, agg) in Agg::WORDS {
            assert_eq!(run(agg, &[]).is_ok(), agg == Agg::Count, "{word}");
        }
        assert!(run(Agg::Stddev, &ints(&[1])).is_err());
        assert!(run(Agg::Sum, &[Value::int(1), Value::text("2")]).unwrap_err().contains("not a number"));
    }

    #[test]
    fn dates() {
        assert_eq!(instant("1970-01-01T00:00:01Z"), Some(1_000_000_000));
        assert_eq!(instant("1970-01-02"), Some(86_400_000_000_000));
        assert_eq!(instant("Thu, 01 Jan 1970 00:00:02 GMT"), Some(2_000_000_000));
        assert_eq!(instant("yesterday"), None);
        let age = age(&Datum::Text("1970-01-01T00:00:00Z".into()), 1500).unwrap().to_value().unwrap();
        assert_eq!(age, Value::time(std::time::Duration::from_millis(1500)));
    }

    proptest! {
        #[test]
        fn order_does_not_matter_and_bounds_hold(mut values in prop::collection::vec(any::<i32>().prop_map(i64::from), 1..40), p in 0u8..=100) {
            let agg = Agg::Percentile(Num::int(p.into()));
            let number = |v: Value| if let Value::Num(n, _) = v { n } else { panic!() };
            let a = number(run(agg, &ints(&values)).unwrap());
            values.reverse();
            assert_eq!(a, number(run(agg, &ints(&values)).unwrap()));
            let (min, max) = (number(run(Agg::Min, &ints(&values)).unwrap()), number(run(Agg::Max, &ints(&values)).unwrap()));
            assert!(min <= a && a <= max);
        }
    }
}
