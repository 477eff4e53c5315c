//! JSON reports: which one it is, told by the keys of its outermost object, and reading one into a shape. Knows no facts.

use std::cell::Cell;
use std::fmt;
use std::io::Read;

use serde::de::{DeserializeOwned, DeserializeSeed as _, Error as _, IgnoredAny, MapAccess, Visitor};

use super::Fault;
use crate::action::ReportFormat;

/// Keys that only one kind of report has.
const TELLING: [(&str, ReportFormat); 7] = [
    ("meta", ReportFormat::CoveragePy),
    ("files", ReportFormat::CoveragePy),
    ("totals", ReportFormat::CoveragePy),
    ("runs", ReportFormat::Sarif),
    ("root_group", ReportFormat::K6),
    ("metrics", ReportFormat::K6),
    ("results", ReportFormat::Hyperfine),
];

/// The format, if a key tells it. Reads no further than to that key.
pub(super) fn sniff(input: impl Read) -> Result<Option<ReportFormat>, Fault> {
    let found = Cell::new(None);
    let mut deserializer = serde_json::Deserializer::from_reader(input);
    match (Keys { found: &found }).deserialize(&mut deserializer) {
        Err(error) if found.get().is_none() => Err(fault(&error, "JSON")),
        _ => Ok(found.get()),
    }
}

struct Keys<'a> {
    found: &'a Cell<Option<ReportFormat>>,
}

impl<'de> serde::de::DeserializeSeed<'de> for Keys<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Keys<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            if let Some((_, format)) = TELLING.iter().find(|(name, _)| *name == key) {
                self.found.set(Some(*format));
                // Seen enough: the rest is read by whoever knows the format.
                return Err(A::Error::custom(""));
            }
            map.next_value::<IgnoredAny>()?;
        }
        Ok(())
    }
}

/// Reads the whole document.
pub(super) fn read<T: DeserializeOwned>(input: impl Read, what: &str) -> Result<T, Fault> {
    let mut deserializer = serde_json::Deserializer::from_reader(input);
    let read = T::deserialize(&mut deserializer).and_then(|value| deserializer.end().map(|()| value));
    read.map_err(|error| fault(&error, what))
}

fn fault(error: &serde_json::Error, what: &str) -> Fault {
    let text = error.to_string();
    let why = text.split(" at line ").next().unwrap_or(&text);
    Fault::Line(error.line(), error.column(), format!("it is not {what}: {why}"))
}
