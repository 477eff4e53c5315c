//! coverage.py's JSON report. Takes the counts of each file; percentages and totals are ignored.

use std::collections::BTreeMap;
use std::io::Read;

use serde::Deserialize;

use super::Fault;
use super::coverage::{Counts, Files, Measured};
use super::json;

#[derive(Deserialize)]
struct Report {
    meta: Meta,
    files: BTreeMap<String, File>,
}

#[derive(Deserialize)]
struct Meta {
    format: u64,
}

#[derive(Deserialize)]
struct File {
    summary: Summary,
    #[serde(default)]
    executed_lines: Vec<u64>,
    #[serde(default)]
    missing_lines: Vec<u64>,
}

#[derive(Deserialize)]
struct Summary {
    covered_lines: u64,
    num_statements: u64,
    covered_branches: Option<u64>,
    num_branches: Option<u64>,
}

/// Reads a report of format 2 or 3.
pub(super) fn read(input: impl Read) -> Result<Files, Fault> {
    let report: Report = json::read(input, "a coverage.py report")?;
    if !matches!(report.meta.format, 2 | 3) {
        return Err(Fault::All(format!("coverage.py format {} is unknown: known are 2 and 3", report.meta.format)));
    }
    let measured = |(path, file): (String, File)| {
        let counts = counts(&path, &file.summary)?;
        let missing = file.missing_lines.into_iter().map(|line| (line, false));
        let hits = missing.chain(file.executed_lines.into_iter().map(|line| (line, true))).collect();
        Ok((path, Measured { counts, hits }))
    };
    report.files.into_iter().map(measured).collect()
}

fn counts(path: &str, summary: &Summary) -> Result<Counts, Fault> {
    let lines = (summary.covered_lines, summary.num_statements);
    let branches = summary.covered_branches.zip(summary.num_branches);
    if lines.0 > lines.1 || branches.is_some_and(|(covered, all)| covered > all) {
        return Err(Fault::All(format!("`{path}` has more covered than there is")));
    }
    Ok(Counts { lines, branches })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str) -> String {
        match read(text.as_bytes()).expect_err("a fault") {
            Fault::At(_, why) | Fault::All(why) | Fault::Line(_, _, why) => why,
        }
    }

    #[test]
    fn unknown_formats_and_impossible_counts_are_refused() {
        assert!(fault(r#"{"meta":{"format":9},"files":{}}"#).contains("format 9 is unknown"));
        let file = |covered| {
            format!(
                r#"{{"meta":{{"format":3}},"files":{{"a":{{"summary":{{"covered_lines":{covered},"num_statements":2}}}}}}}}"#
            )
        };
        assert!(fault(&file(3)).contains("more covered than there is"));
        assert!(fault(&file(-1)).contains("invalid value"));
        assert_eq!(read(file(2).as_bytes()).ok().unwrap()["a"].counts.lines, (2, 2));
    }
}
