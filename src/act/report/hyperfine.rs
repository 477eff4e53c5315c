//! hyperfine's JSON export. Takes the single times of each command; its sums are ignored.
//!
//! Facts: see `bench`; the top level is that of the only command, if it is the only one. Inspected: times.

use std::collections::BTreeMap;
use std::io::Read;

use serde::Deserialize;

use super::bench::{self, Bench};
use super::{Fault, json};
use crate::facts::Facts;

#[derive(Deserialize)]
struct Export {
    results: Vec<Measured>,
}

#[derive(Deserialize)]
struct Measured {
    command: String,
    times: Option<Vec<f64>>,
    exit_codes: Option<Vec<Option<i32>>>,
    parameters: Option<BTreeMap<String, String>>,
}

/// Reads an export.
pub(super) fn read(input: impl Read) -> Result<Facts, Fault> {
    let export: Export = json::read(input, "a hyperfine export")?;
    let mut all: BTreeMap<String, Bench> = BTreeMap::new();
    let mut count = 0;
    for measured in &export.results {
        let mut name = measured.command.clone();
        if all.contains_key(&name) && measured.parameters.as_ref().is_some_and(|all| !all.is_empty()) {
            let parameters = measured.parameters.iter().flatten().map(|(name, value)| format!("{name}={value}"));
            name = format!("{name} ({})", parameters.collect::<Vec<_>>().join(", "));
        }
        if all.contains_key(&name) {
            return Err(Fault::All(format!("two commands are called `{name}`: name them by `--command-name`")));
        }
        let times = measured.times.as_deref().unwrap_or_default();
        count += times.len() as u64;
        let failed = measured.exit_codes.iter().flatten().filter(|code| **code != Some(0)).count();
        let bench = Bench::of_times(times, failed as u64).map_err(|why| Fault::All(format!("`{name}`: {why}")))?;
        all.insert(name, bench);
    }
    let main = if let [only] = export.results.as_slice() { Some(only.command.as_str()) } else { None };
    let mut facts = Facts::about(count, "time");
    bench::facts(&mut facts, all, main);
    Ok(facts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Value;

    fn fault(text: &str) -> String {
        match read(text.as_bytes()).expect_err("a fault") {
            Fault::At(_, why) | Fault::All(why) | Fault::Line(_, _, why) => why,
        }
    }

    #[test]
    fn one_command_stands_alone_and_several_by_name() {
        let one = |name: &str| format!(r#"{{"command": "{name}", "times": [0.1, 0.3], "exit_codes": [0, 1]}}"#);
        let facts = read(format!(r#"{{"results": [{}]}}"#, one("a")).as_bytes()).ok().unwrap();
        assert_eq!((facts.inspected.count, &facts.values["failed"]), (2, &Value::int(1)));
        assert!(facts.values.contains_key("mean"));
        let facts = read(format!(r#"{{"results": [{}, {}]}}"#, one("a"), one("b")).as_bytes()).ok().unwrap();
        assert_eq!(facts.inspected.count, 4);
        assert!(!facts.values.contains_key("mean"));
        let Value::Map(bench) = &facts.values["bench"] else { panic!() };
        assert_eq!(bench.keys().collect::<Vec<_>>(), ["a", "b"]);
        assert!(fault(&format!(r#"{{"results": [{0}, {0}]}}"#, one("a"))).contains("two commands are called `a`"));
    }

    #[test]
    fn nothing_measured_is_nothing() {
        assert_eq!(read(&b"{\"results\": []}"[..]).ok().unwrap().inspected.count, 0);
        assert_eq!(read(&br#"{"results": [{"command": "a"}]}"#[..]).ok().unwrap().inspected.count, 0);
        assert!(fault(r#"{"results": [{"command": "a", "times": ["NaN"]}]}"#).contains("invalid type: string \"NaN\""));
        assert!(fault(r#"{"results": [{"command": "a", "times": [NaN]}]}"#).contains("it is not a hyperfine export"));
        assert!(fault(r#"{"results": {}}"#).contains("expected a sequence"));
    }
}
