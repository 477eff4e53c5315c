//! lcov tracefiles. Counts `DA` and `BRDA` lines; the sums (`LF`, `LH`, `BRF`, `BRH`) are ignored.

use std::collections::BTreeMap;
use std::io::BufRead;

use super::Fault;
use super::coverage::{Files, Lines};

/// One source file: its lines, and its branches by line, block and name.
#[derive(Default)]
struct Record {
    lines: Lines,
    branches: BTreeMap<(u64, String), bool>,
}

/// Reads a tracefile. Records of the same file (one for each test) are merged.
pub(super) fn read(mut input: impl BufRead) -> Result<Files, Fault> {
    let mut records: BTreeMap<String, Record> = BTreeMap::new();
    let mut open: Option<String> = None;
    let mut bytes = Vec::new();
    let mut number = 0;
    loop {
        bytes.clear();
        if input.read_until(b'\n', &mut bytes)? == 0 {
            break;
        }
        number += 1;
        let line = String::from_utf8_lossy(&bytes);
        let line = line.trim_start_matches('\u{feff}').trim();
        let at = |why: String| Fault::Line(number, 1, why);
        match (line.split_once(':'), open.as_ref()) {
            (Some(("SF", path)), None) => {
                records.entry(path.to_owned()).or_default();
                open = Some(path.to_owned());
            }
            (Some(("SF", _)), Some(path)) => return Err(at(format!("`SF:` inside the record of `{path}`"))),
            (Some(("DA", text)), Some(path)) => {
                let (line, hit) = da(text).ok_or_else(|| at(format!("`DA:{text}` is not like `DA:12,1`")))?;
                records.entry(path.clone()).or_default().lines.line(line, hit);
            }
            (Some(("BRDA", text)), Some(path)) => {
                let (line, name, taken) =
                    brda(text).ok_or_else(|| at(format!("`BRDA:{text}` is not like `BRDA:12,0,1,-`")))?;
                *records.entry(path.clone()).or_default().branches.entry((line, name)).or_default() |= taken;
            }
            (Some((key @ ("DA" | "BRDA"), _)), None) => return Err(at(format!("`{key}:` before any `SF:`"))),
            _ if line == "end_of_record" => open = None,
            _ => {}
        }
    }
    if let Some(path) = open {
        return Err(Fault::Line(number, 1, format!("it ends inside the record of `{path}`: it was cut off")));
    }
    Ok(records.into_iter().map(|(path, record)| (path, record.measured())).collect())
}

impl Record {
    fn measured(self) -> super::coverage::Measured {
        let mut measured = self.lines.measured();
        if !self.branches.is_empty() {
            let taken = self.branches.values().filter(|taken| **taken).count();
            measured.counts.branches = Some((taken as u64, self.branches.len() as u64));
        }
        measured
    }
}

/// `line,hits[,checksum]`. Some tools write negative or fractional hits.
fn da(text: &str) -> Option<(u64, bool)> {
    let mut parts = text.split(',');
    let line = parts.next()?.trim().parse().ok()?;
    let hits: f64 = parts.next()?.trim().parse().ok()?;
    Some((line, hits > 0.0))
}

/// `line,block,branch,taken`: the branch may be a text with commas; `-` is never reached.
fn brda(text: &str) -> Option<(u64, String, bool)> {
    let (line, rest) = text.split_once(',')?;
    let (name, taken) = rest.rsplit_once(',')?;
    let taken = match taken.trim() {
        "-" => false,
        number => number.parse::<f64>().ok()? > 0.0,
    };
    name.contains(',').then_some(())?;
    Some((line.trim().parse().ok()?, name.to_owned(), taken))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(text: &str) -> Files {
        read(text.as_bytes()).ok().expect("a tracefile")
    }

    fn fault(text: &str) -> (usize, String) {
        match read(text.as_bytes()).expect_err("a fault") {
            Fault::Line(line, _, why) => (line, why),
            Fault::At(_, why) | Fault::All(why) => (0, why),
        }
    }

    #[test]
    fn records_of_one_file_are_merged() {
        let text = "TN:a\nSF:x\nDA:1,0\nDA:2,1,abc\nBRDA:1,0,0,-\nBRDA:1,0,1,2\nLF:99\nend_of_record\n\
                    TN:b\r\nSF:x\r\nDA:1,3\r\nDA:3,-1\r\nBRDA:1,0,0,1\r\nend_of_record\r\n";
        let files = counts(text);
        assert_eq!((files["x"].counts.lines, files["x"].counts.branches), ((2, 3), Some((2, 2))));
        assert_eq!(counts("SF:y\nDA:1,1\nend_of_record")["y"].counts.branches, None);
        assert_eq!(counts("SF:y\nBRDA:1,e0,return from f(a,b),0\nend_of_record")["y"].counts.branches, Some((0, 1)));
    }

    #[test]
    fn broken_tracefiles_have_a_line() {
        assert_eq!(fault("SF:x\nDA:1,1\n"), (2, "it ends inside the record of `x`: it was cut off".into()));
        assert_eq!(fault("SF:x\nDA:one,1\n").0, 2);
        assert_eq!(fault("SF:x\nBRDA:1,2\n").0, 2);
        assert_eq!(fault("DA:1,1\n"), (1, "`DA:` before any `SF:`".into()));
        assert_eq!(fault("SF:x\nSF:y\n").0, 2);
    }
}
