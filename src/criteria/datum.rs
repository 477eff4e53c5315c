//! Values as criteria compare them: exact numbers of any size, borrowed text. Knows no paths.

use std::borrow::Cow;

use super::exact::Ratio;
use crate::facts::{Num, Unit, Value};

#[derive(Clone, Debug)]
pub(super) enum Datum<'a> {
    Null,
    Bool(bool),
    Num(Number),
    Text(Cow<'a, str>),
    List(Vec<Datum<'a>>),
    /// Names of an object; nothing else is compared on one.
    Object(Vec<&'a str>),
}

#[derive(Clone, Debug)]
pub(super) struct Number {
    pub(super) value: Ratio,
    pub(super) unit: Unit,
    /// As it was counted (`157/500`), for display.
    pub(super) counted: Option<Num>,
    /// Written with `pp`: the fraction itself, also beside a plain number.
    pub(super) points: bool,
}

impl Number {
    pub(super) fn new(value: Ratio, unit: Unit) -> Self {
        Self { value, unit, counted: None, points: false }
    }

    /// Both numbers on one scale, if they can be compared at all. A plain number beside a percentage counts as percent.
    pub(super) fn align(&self, other: &Self) -> Option<(Ratio, Ratio, Unit)> {
        let (left, right) = (self.value.clone(), other.value.clone());
        match (self.unit, other.unit) {
            (a, b) if a == b => Some((left, right, a)),
            (Unit::Percent, Unit::One) => Some((left, right.over(100), Unit::Percent)),
            (Unit::One, Unit::Percent) if other.points => Some((left, right, Unit::One)),
            (Unit::One, Unit::Percent) => Some((left.over(100), right, Unit::Percent)),
            (Unit::Octal, Unit::One) => Some((left, right, Unit::Octal)),
            (Unit::One, Unit::Octal) => Some((left, right, Unit::One)),
            (unit, Unit::One) if right.is_zero() => Some((left, right, unit)),
            (Unit::One, unit) if left.is_zero() => Some((left, right, unit)),
            _ => None,
        }
    }
}

impl<'a> Datum<'a> {
    pub(super) fn of(value: &'a Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(b) => Self::Bool(*b),
            Value::Num(num, unit) => {
                let counted = (num.den != 1).then_some(*num);
                Self::Num(Number { value: Ratio::from(*num), unit: *unit, counted, points: false })
            }
            Value::Text(text) => Self::Text(Cow::Borrowed(text)),
            Value::List(items) => Self::List(items.iter().map(Self::of).collect()),
            Value::Map(map) => Self::Object(map.keys().map(String::as_str).collect()),
            Value::Json(json) => Self::json(json),
        }
    }

    pub(super) fn json(json: &'a serde_json::Value) -> Self {
        match json {
            serde_json::Value::Null => Self::Null,
            serde_json::Value::Bool(b) => Self::Bool(*b),
            serde_json::Value::Number(n) => {
                let value = Ratio::decimal(&n.to_string());
                value.map_or(Self::Null, |value| Self::Num(Number::new(value, Unit::One)))
            }
            serde_json::Value::String(text) => Self::Text(Cow::Borrowed(text)),
            serde_json::Value::Array(items) => Self::List(items.iter().map(Self::json).collect()),
            serde_json::Value::Object(map) => Self::Object(map.keys().map(String::as_str).collect()),
        }
    }

    /// What it is, for messages.
    pub(super) fn noun(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "true or false",
            Self::Num(number) => match number.unit {
                Unit::One => "a number",
                Unit::Time => "a time",
                Unit::Size => "a size",
                Unit::Percent => "a percentage",
                Unit::Octal => "a file mode",
            },
            Self::Text(_) => "text",
            Self::List(_) => "a list",
            Self::Object(_) => "an object",
        }
    }

    /// Back to a plain value.
    pub(super) fn to_value(&self) -> Result<Value, String> {
        Ok(match self {
            Self::Null => Value::Null,
            Self::Bool(b) => Value::Bool(*b),
            Self::Num(number) => {
                let exact = number.counted.or_else(|| number.value.to_num());
                Value::Num(exact.ok_or("the number leaves the exact range")?, number.unit)
            }
            Self::Text(text) => Value::Text(text.clone().into_owned()),
            Self::List(items) => Value::List(items.iter().map(Self::to_value).collect::<Result<_, _>>()?),
            Self::Object(_) => return Err("an object is no single value".to_owned()),
        })
    }

    /// Equality; `None` where the kinds don't compare.
    pub(super) fn equals(&self, other: &Self) -> Option<bool> {
        match (self, other) {
            (Self::Bool(a), Self::Bool(b)) => Some(a == b),
            (Self::Text(a), Self::Text(b)) => Some(a == b),
            (Self::Num(a), Self::Num(b)) => a.align(b).map(|(a, b, _)| a == b),
            (Self::List(a), Self::List(b)) if a.len() != b.len() => Some(false),
            (Self::List(a), Self::List(b)) => {
                let mut all = Some(true);
                for (x, y) in a.iter().zip(b) {
                    match x.equals(y) {
                        Some(false) => return Some(false),
                        Some(true) => {}
                        None => all = None,
                    }
                }
                all
            }
            (Self::Null, Self::Null) => Some(true),
            (Self::Null, _) | (_, Self::Null) => Some(false),
            _ => None,
        }
    }
}
