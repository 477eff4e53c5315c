//! `report`: reads a result file that some tool wrote: coverage, tests, findings or benchmarks. Counts by itself, believes no
//! summary; knows no step.
//!
//! The format is found by content: XML with root `coverage` is Cobertura, with root `report` JaCoCo, with root `testsuites`
//! or `testsuite` JUnit; JSON is told by its outermost keys (see `json`); text with `SF:` lines is lcov. The facts are
//! described in `coverage`, `diff`, `junit`, `sarif`, `bench` and `k6`.

mod bench;
mod cobertura;
mod coverage;
mod coverage_py;
mod diff;
mod hyperfine;
mod jacoco;
mod json;
mod junit;
mod k6;
mod lcov;
mod sarif;
mod xml;

use std::collections::BTreeSet;
use std::io::{self, BufRead as _, BufReader, Read};
use std::path::{Path, PathBuf};

use super::blocking::{blocking, misrouted};
use super::{Act, Lent, Look, Observation, Request};
use crate::action::{Action, ReportFormat, ReportSpec};
use crate::facts::Facts;
use crate::files::{self, Quit, Reading};
use crate::outcome::Note;

/// Most bytes of a result file.
const MAX_REPORT: u64 = 200 << 20;

/// The `report` action.
#[derive(Clone, Copy, Debug, Default)]
pub struct Report;

impl Act for Report {
    fn look<'a>(&'a self, request: &'a Request, lent: &'a Lent) -> Look<'a> {
        Box::pin(async move {
            let Action::Report(spec) = &request.action else { return Err(misrouted(request, "report")) };
            let added = match &spec.diff {
                Some(base) => Some(diff::added(base.as_str(), request, lent).await?),
                None => None,
            };
            let desk = Desk {
                workspace: request.workspace.clone(),
                spec: spec.as_ref().clone(),
                wants: request.wants.clone(),
                added,
            };
            let (facts, notes) = blocking(request, lent, move |quit| desk.read(quit)).await?;
            Ok(Observation { facts, notes, ..Observation::default() })
        })
    }
}

/// One reading of a result file, complete in itself so that it can move to another thread.
struct Desk {
    workspace: PathBuf,
    spec: ReportSpec,
    wants: BTreeSet<String>,
    /// Lines that were added since `diff`.
    added: Option<diff::Added>,
}

/// What is wrong with a result file.
enum Fault {
    /// At a byte of the file.
    At(u64, String),
    /// At a line (from 1) and column (from 1).
    Line(usize, usize, String),
    /// The whole of it.
    All(String),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::All(format!("it cannot be read: {}", files::plain(&error)))
    }
}

impl Desk {
    fn read(&self, quit: &Quit) -> Result<(Facts, Vec<Note>), String> {
        let shown = self.spec.path.as_str();
        let path = files::anywhere(&self.workspace, shown).map_err(|error| error.to_string())?;
        let open = || {
            files::open(&path, shown, quit).map_err(|error| match error.is_missing() {
                true => format!("`{shown}` does not exist: did the tool that writes it run?"),
                false => error.to_string(),
            })
        };
        let say = |fault| self.say(fault, &path, quit);
        if path.metadata().is_ok_and(|meta| meta.len() > MAX_REPORT) {
            return Err(format!("`{shown}` is larger than {}", files::human_size(MAX_REPORT)));
        }
        let found = sniff(open()?).map_err(say)?;
        let format = self.spec.format.unwrap_or(found);
        if format != found {
            return Err(format!("`{shown}` is {}, not {}", word(found), word(format)));
        }
        let is_coverage = is_coverage(format);
        let asked = [
            ("files", !is_coverage && !self.spec.files.is_empty(), "selects source files of a coverage report"),
            ("diff", !is_coverage && self.spec.diff.is_some(), "asks for lines of a coverage report"),
            (
                "baseline",
                format != ReportFormat::Sarif && self.spec.baseline.is_some(),
                "tells new findings of a SARIF report from known ones",
            ),
        ];
        if let Some((key, _, does)) = asked.iter().find(|(_, misplaced, _)| *misplaced) {
            return Err(format!("`{key}` {does}, but `{shown}` is {}", word(format)));
        }
        let input = BufReader::with_capacity(64 * 1024, open()?.take(MAX_REPORT));
        let files = match format {
            ReportFormat::Junit => {
                return junit::read(input).map(|tests| (tests.facts(&self.wants), Vec::new())).map_err(say);
            }
            ReportFormat::Sarif => {
                let found = sarif::read(input, &self.workspace).map_err(say)?;
                let baseline =
                    self.spec.baseline.as_ref().map(|path| self.baseline(path.as_str(), quit)).transpose()?;
                return Ok(found.facts(baseline.as_ref(), &self.wants));
            }
            ReportFormat::Hyperfine => return hyperfine::read(input).map(|facts| (facts, Vec::new())).map_err(say),
            ReportFormat::K6 => return k6::read(input).map(|facts| (facts, Vec::new())).map_err(say),
            ReportFormat::Jacoco => jacoco::read(input).map_err(say)?,
            ReportFormat::Cobertura => cobertura::read(input, &self.workspace).map_err(say)?,
            ReportFormat::CoveragePy => coverage_py::read(input).map_err(say)?,
            ReportFormat::Lcov => lcov::read(input).map_err(say)?,
        };
        let files = coverage::rooted(files, &self.workspace);
        let (mut facts, mut notes) = coverage::facts(&files, &self.spec.files, &self.wants, shown)?;
        if let Some(added) = &self.added {
            let selected = |path: &str| coverage::is_selected(path, &self.spec.files);
            notes.extend(diff::facts(&mut facts, &files, added, selected));
        }
        Ok((facts, notes))
    }

    /// The earlier report that tells new findings from known ones.
    fn baseline(&self, shown: &str, quit: &Quit) -> Result<sarif::Findings, String> {
        let path = files::anywhere(&self.workspace, shown).map_err(|error| error.to_string())?;
        let reading = files::open(&path, shown, quit).map_err(|error| match error.is_missing() {
            true => format!("the baseline `{shown}` does not exist: a copy of a report whose findings are accepted"),
            false => error.to_string(),
        })?;
        if path.metadata().is_ok_and(|meta| meta.len() > MAX_REPORT) {
            return Err(format!("`{shown}` is larger than {}", files::human_size(MAX_REPORT)));
        }
        let input = BufReader::with_capacity(64 * 1024, reading.take(MAX_REPORT));
        sarif::read(input, &self.workspace).map_err(|fault| told(fault, shown, &path, quit))
    }

    /// A fault as a sentence with its place.
    fn say(&self, fault: Fault, path: &Path, quit: &Quit) -> String {
        told(fault, self.spec.path.as_str(), path, quit)
    }
}

fn told(fault: Fault, shown: &str, path: &Path, quit: &Quit) -> String {
    match fault {
        Fault::All(why) => format!("`{shown}`: {why}"),
        Fault::Line(line, col, why) => format!("`{shown}`: {why} (line {line}, column {col})"),
        Fault::At(offset, why) => match line_col(path, offset, quit) {
            Some((line, col)) => format!("`{shown}`: {why} (line {line}, column {col})"),
            None => format!("`{shown}`: {why} (byte {offset})"),
        },
    }
}

/// Line and column (from 1, the column in bytes) of an offset, by reading up to it once more.
fn line_col(path: &Path, offset: u64, quit: &Quit) -> Option<(usize, usize)> {
    let mut input = BufReader::new(files::open(path, "", quit).ok()?.take(offset));
    let (mut line, mut col) = (1, 1);
    let mut piece = Vec::new();
    while input.read_until(b'\n', &mut piece).ok()? > 0 {
        if piece.ends_with(b"\n") {
            line += 1;
            col = 1;
        } else {
            col += piece.len();
        }
        piece.clear();
    }
    Some((line, col))
}

fn word(format: ReportFormat) -> &'static str {
    match format {
        ReportFormat::Cobertura => "Cobertura XML",
        ReportFormat::CoveragePy => "coverage.py JSON",
        ReportFormat::Lcov => "an lcov tracefile",
        ReportFormat::Jacoco => "JaCoCo XML",
        ReportFormat::Junit => "JUnit XML",
        ReportFormat::Sarif => "SARIF",
        ReportFormat::Hyperfine => "a hyperfine export",
        ReportFormat::K6 => "a k6 summary",
    }
}

fn is_coverage(format: ReportFormat) -> bool {
    match format {
        ReportFormat::Cobertura | ReportFormat::CoveragePy | ReportFormat::Lcov | ReportFormat::Jacoco => true,
        ReportFormat::Junit | ReportFormat::Sarif | ReportFormat::Hyperfine | ReportFormat::K6 => false,
    }
}

/// Finds the format by content.
fn sniff(mut reading: Reading) -> Result<ReportFormat, Fault> {
    const KNOWN: &str =
        "known are Cobertura, JaCoCo and JUnit XML, JSON of coverage.py, SARIF, hyperfine and k6, and lcov tracefiles";
    let mut head = Vec::new();
    reading.by_ref().take(64 * 1024).read_to_end(&mut head)?;
    let text = String::from_utf8_lossy(head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&head));
    match text.trim_start().chars().next() {
        None => Err(Fault::All("it is empty: did the tool that writes it finish?".into())),
        Some('<') => match xml::root(BufReader::new(head.as_slice().chain(reading)))?.as_str() {
            "coverage" => Ok(ReportFormat::Cobertura),
            "report" => Ok(ReportFormat::Jacoco),
            "testsuites" | "testsuite" => Ok(ReportFormat::Junit),
            other => Err(Fault::All(format!("the XML root `{other}` is no known report; {KNOWN}"))),
        },
        Some('{') => {
            let rest = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&head);
            let found = json::sniff(BufReader::new(rest.chain(reading)))?;
            found.ok_or_else(|| Fault::All(format!("it is JSON of no known report; {KNOWN}")))
        }
        Some(_) if text.lines().any(|line| line.starts_with("SF:")) => Ok(ReportFormat::Lcov),
        Some(_) => Err(Fault::All(format!("its format is unknown; {KNOWN}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::act::fixture;
    use crate::action::Text;
    use crate::facts::{Inspected, Num, Unit, Value};
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn fixtures() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/fixtures/reports")
    }

    async fn read_in(dir: &Path, spec: ReportSpec, wants: &[&str]) -> Result<Observation, String> {
        let mut request = fixture::request(Action::Report(Box::new(spec)), dir);
        request.wants = wants.iter().map(|&name| name.to_owned()).collect();
        let (lent, _stop) = fixture::lent();
        Report.look(&request, &lent).await.map_err(|error| error.detail)
    }

    fn spec(path: &str, files: &[&str]) -> ReportSpec {
        let files = files.iter().map(|&glob| glob.to_owned()).collect();
        ReportSpec { path: Text::fixed(path), format: None, files, baseline: None, diff: None }
    }

    async fn fixture_facts(path: &str, files: &[&str]) -> Facts {
        read_in(&fixtures(), spec(path, files), &["file", "files", "test", "tests"]).await.unwrap().facts
    }

    async fn error_of(content: &str) -> String {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("r"), content).unwrap();
        read_in(dir.path(), spec("r", &[]), &[]).await.err().expect("an error")
    }

    fn percent(part: i128, whole: i128) -> Value {
        Value::Num(Num::ratio(part, whole).unwrap(), Unit::Percent)
    }

    /// The totals that coverage.py itself printed: 21 statements, 4 missed, 10 branches, 7 covered.
    #[tokio::test(flavor = "current_thread")]
    async fn every_coverage_format_gives_the_tools_own_totals() {
        for path in ["branch.xml", "branch.json", "branch.lcov"] {
            let facts = fixture_facts(path, &[]).await;
            assert_eq!(facts.values["percent(lines)"], percent(17, 21), "{path}");
            assert_eq!(facts.values["percent(lines)"], Value::percent(17, 21), "{path}");
            assert_eq!(facts.values["uncovered(lines)"], Value::int(4), "{path}");
            assert_eq!(facts.values["percent(branches)"], percent(7, 10), "{path}");
            assert_eq!(facts.values["total(branches)"], Value::int(10), "{path}");
            assert_eq!(facts.inspected, Inspected { count: 2, what: "file".into() }, "{path}");
        }
        for path in ["lines.xml", "lines.json", "lines.lcov"] {
            let facts = fixture_facts(path, &[]).await;
            assert_eq!(facts.values["percent(lines)"], percent(17, 21), "{path}");
            assert!(!facts.values.contains_key("percent(branches)"), "{path}");
        }
    }

    #[tokio::test(flavor = "current_thread")]
    async fn single_files_are_judged_by_their_path() {
        for (path, name) in [
            ("branch.xml", "services/lock.py"),
            ("branch.json", "app/services/lock.py"),
            ("branch.lcov", "app/services/lock.py"),
        ] {
            let facts = fixture_facts(path, &["lock.py"]).await;
            assert_eq!(facts.values["percent(lines)"], percent(10, 13), "{path}");
            assert_eq!(facts.values["percent(branches)"], percent(2, 4), "{path}");
            let Value::Map(file) = &facts.values["file"] else { panic!() };
            assert_eq!(file.keys().collect::<Vec<_>>(), [name]);
            let Value::Map(files) = &facts.values["files"] else { panic!() };
            assert_eq!(files["percent(lines)"], Value::List(vec![percent(10, 13)]));
        }
        let none = read_in(&fixtures(), spec("branch.json", &["services/locks.py", "lock.py"]), &[]).await.unwrap();
        assert_eq!(none.facts.inspected.count, 0);
        assert!(
            none.notes[0].text.contains("no file in `branch.json` matches `services/locks.py`"),
            "{}",
            none.notes[0].text
        );
        assert!(none.notes[0].text.contains("`app/services/lock.py`"), "{}", none.notes[0].text);
        let empty = fixture_facts("branch.json", &["app/__init__.py"]).await;
        assert_eq!((empty.inspected.count, &empty.values["percent(lines)"]), (0, &Value::Null));
    }

    /// pytest's own words: 1 failed, 4 passed, 1 skipped, 1 xfailed, 1 error.
    #[tokio::test(flavor = "current_thread")]
    async fn junit_of_pytest() {
        let facts = fixture_facts("pytest.xml", &[]).await;
        let Value::Map(tests) = &facts.values["tests"] else { panic!() };
        let count = |name: &str| tests[name].clone();
        let counts = [("total", 8), ("passed", 4), ("failed", 1), ("errors", 1), ("skipped", 2), ("flaky", 0)];
        for (name, n) in counts {
            assert_eq!(count(name), Value::int(n), "{name}");
        }
        assert_eq!(count("names(failed)"), Value::List(vec![Value::text("tests.test_app::test_fails")]));
        let Value::Map(test) = &facts.values["test"] else { panic!() };
        let state = |name: &str| test[name].clone();
        let is = |word: &str| Value::Map(BTreeMap::from([("state".to_owned(), Value::text(word))]));
        assert_eq!(state("tests.test_app::test_route[a<b & \"c\"]"), is("passed"));
        assert_eq!(state("tests.test_app.TestLock::test_ttl"), is("skipped"));
        assert_eq!(state("tests.test_app::test_errors"), is("error"));
        assert_eq!(facts.inspected, Inspected { count: 8, what: "test".into() });
        let error = read_in(&fixtures(), spec("pytest.xml", &["x.py"]), &[]).await.err().unwrap();
        assert!(error.starts_with("`files` selects source files"), "{error}");
    }

    /// nextest's own words: 3 tests run: 2 passed (1 flaky), 1 failed.
    #[tokio::test(flavor = "current_thread")]
    async fn junit_of_nextest() {
        let facts = fixture_facts("nextest.xml", &[]).await;
        let Value::Map(tests) = &facts.values["tests"] else { panic!() };
        for (name, n) in [("total", 3), ("passed", 2), ("failed", 1), ("flaky", 1)] {
            assert_eq!(tests[name], Value::int(n), "{name}");
        }
        assert_eq!(tests["names(failed)"], Value::List(vec![Value::text("toy::tests::fails")]));
    }

    /// Of lcov's and JaCoCo's own words, and of pytest-cov's: see the fixtures' README.
    #[tokio::test(flavor = "current_thread")]
    async fn coverage_of_other_tools_has_their_totals() {
        let totals = [
            ("gcov.lcov", (7, 11), Some((3, 6))),
            ("jacoco.xml", (9, 15), Some((6, 12))),
            ("pytest-cov.json", (8, 10), Some((0, 0))),
            ("pytest-cov.xml", (8, 10), None),
            ("pytest-cov.lcov", (8, 10), None),
        ];
        for (path, lines, branches) in totals {
            let facts = fixture_facts(path, &[]).await;
            assert_eq!(facts.values["percent(lines)"], Value::percent(lines.0, lines.1), "{path}");
            assert_eq!(facts.values["total(lines)"], Value::int(lines.1), "{path}");
            let covered = facts.values.get("covered(branches)").zip(facts.values.get("total(branches)"));
            let wanted = branches.map(|(covered, total)| (Value::int(covered), Value::int(total)));
            assert_eq!(covered, wanted.as_ref().map(|(covered, total)| (covered, total)), "{path}");
        }
        let facts = fixture_facts("jacoco.xml", &["lock/Lock.java"]).await;
        assert_eq!(facts.values["percent(lines)"], percent(5, 9));
    }

    /// bandit's own words: 2 issues of low severity, 1 of medium, 1 of high.
    #[tokio::test(flavor = "current_thread")]
    async fn sarif_of_bandit() {
        let observation = read_in(&fixtures(), spec("bandit.sarif", &[]), &["findings"]).await.unwrap();
        let counts = [("error", 1), ("warning", 1), ("note", 2), ("none", 0), ("total", 4)];
        for (level, n) in counts {
            assert_eq!(observation.facts.values[&format!("open({level})")], Value::int(n), "{level}");
        }
        assert_eq!(observation.facts.values["suppressed(total)"], Value::int(0));
        let Value::List(open) = &observation.facts.values["findings(open)"] else { panic!() };
        let worst = "error B602 app/dump.py:5: subprocess call with shell=True identified, security issue.";
        assert_eq!(open[0], Value::text(worst));
        assert_eq!((observation.notes.len(), observation.notes[0].text.as_str()), (1, worst));
        let known = ReportSpec { baseline: Some(Text::fixed("bandit.sarif")), ..spec("bandit.sarif", &[]) };
        assert_eq!(read_in(&fixtures(), known, &[]).await.unwrap().facts.values["new(total)"], Value::int(0));
    }

    /// The figures that hyperfine worked out stand in the file, and are not read.
    #[tokio::test(flavor = "current_thread")]
    async fn benchmarks_of_hyperfine() {
        for (path, all) in [("hyperfine.json", vec!["build", "test"]), ("hyperfine-one.json", vec!["false"])] {
            let facts = fixture_facts(path, &[]).await;
            let text = std::fs::read_to_string(fixtures().join(path)).unwrap();
            let export: serde_json::Value = serde_json::from_str(&text).unwrap();
            let Value::Map(bench) = &facts.values["bench"] else { panic!() };
            assert_eq!(bench.keys().collect::<Vec<_>>(), all);
            for result in export["results"].as_array().unwrap() {
                let Value::Map(figures) = &bench[result["command"].as_str().unwrap()] else { panic!() };
                for name in ["mean", "median", "min", "max", "stddev"] {
                    let Value::Num(num, Unit::Time) = &figures[name] else { panic!("{name}") };
                    let (ours, theirs) = (num.to_f64() / 1e9, result[name].as_f64().unwrap());
                    assert!((ours - theirs).abs() < 1e-12, "{path} {name}: {ours} {theirs}");
                }
                assert_eq!(figures["count"], Value::int(result["times"].as_array().unwrap().len() as u64));
            }
            assert_eq!(facts.values.contains_key("mean"), all.len() == 1);
        }
        assert_eq!(fixture_facts("hyperfine-one.json", &[]).await.values["failed"], Value::int(5));
    }

    #[tokio::test(flavor = "current_thread")]
    async fn keys_that_a_format_has_no_use_for_are_refused() {
        let with = |path: &str, baseline: bool, diff: bool| ReportSpec {
            baseline: baseline.then(|| Text::fixed("b")),
            diff: diff.then(|| Text::fixed("HEAD")),
            ..spec(path, &[])
        };
        let error = read_in(&fixtures(), with("pytest.xml", true, false), &[]).await.err().unwrap();
        assert!(error.contains("`baseline` tells new findings") && error.ends_with("is JUnit XML"), "{error}");
        let error = read_in(&fixtures(), with("bandit.sarif", true, false), &[]).await.err().unwrap();
        assert!(error.starts_with("the baseline `b` does not exist"), "{error}");
    }

    #[tokio::test(flavor = "current_thread")]
    async fn what_is_too_large_is_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let file = std::fs::File::create(dir.path().join("r")).unwrap();
        file.set_len(MAX_REPORT + 1).unwrap();
        let error = read_in(dir.path(), spec("r", &[]), &[]).await.err().unwrap();
        assert_eq!(error, "`r` is larger than 200 MiB");
    }

    #[tokio::test(flavor = "current_thread")]
    async fn maps_are_only_made_if_wanted() {
        let facts = read_in(&fixtures(), spec("branch.xml", &[]), &["percent"]).await.unwrap().facts;
        assert!(!facts.values.contains_key("file") && !facts.values.contains_key("files"));
    }

    #[tokio::test(flavor = "current_thread")]
    async fn what_is_no_report_is_refused_with_its_place() {
        let dir = tempfile::tempdir().unwrap();
        let missing = read_in(dir.path(), spec("coverage.xml", &[]), &[]).await.err().unwrap();
        assert_eq!(missing, "`coverage.xml` does not exist: did the tool that writes it run?");
        assert!(error_of("  \n").await.contains("it is empty"));
        assert!(error_of("hello").await.contains("its format is unknown; known are"));
        assert!(error_of("<html/>").await.contains("the XML root `html` is no known report"));
        assert!(error_of("{\"a\": 1}").await.contains("it is JSON of no known report; known are"));
        assert!(error_of("{\"meta\": {").await.contains("(line 1, column 10)"));
        let whole = std::fs::read_to_string(fixtures().join("branch.xml")).unwrap();
        for at in [whole.len() / 3, whole.len() / 2, whole.len() - 12] {
            let error = error_of(&whole[..at]).await;
            assert!(error.contains("(line "), "{at}: {error}");
        }
        let inside = error_of("<coverage>\n<packages>\n").await;
        assert_eq!(inside, "`r`: it ends inside `<packages>`: it was cut off (line 3, column 1)");
        let mut wrong = spec("branch.xml", &[]);
        wrong.format = Some(ReportFormat::Junit);
        let error = read_in(&fixtures(), wrong, &[]).await.err().unwrap();
        assert_eq!(error, "`branch.xml` is Cobertura XML, not JUnit XML");
    }

    proptest! {
        #[test]
        fn damaged_reports_never_panic(which in 0..9_usize, at in 0..4000_usize, byte in any::<u8>(), cut in any::<bool>()) {
            let names = [
                "branch.xml", "branch.json", "branch.lcov", "pytest.xml", "nextest.xml", "jacoco.xml", "bandit.sarif",
                "hyperfine.json", "gcov.lcov",
            ];
            let mut bytes = std::fs::read(fixtures().join(names[which])).unwrap();
            let at = at % bytes.len();
            bytes[at] = byte;
            if cut {
                bytes.truncate(at);
            }
            let dir = tempfile::tempdir().unwrap();
            std::fs::write(dir.path().join("r"), &bytes).unwrap();
            let wants = BTreeSet::from(["file".to_owned(), "tests".to_owned()]);
            let desk = Desk { workspace: dir.path().to_owned(), spec: spec("r", &[]), wants, added: None };
            if let Ok((facts, _)) = desk.read(&Quit::default()) {
                prop_assert!(!cut || [2, 8].contains(&which) || facts.inspected.count == 0 || at + 20 > bytes.len());
            }
        }
    }

    #[tokio::test(flavor = "current_thread")]
    async fn entities_are_refused_and_never_expanded() {
        let bomb = "<?xml version=\"1.0\"?>\n<!DOCTYPE lolz [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;\">]>\n<testsuites name=\"&b;\"/>";
        assert!(error_of(bomb).await.contains("declares entities"), "{}", error_of(bomb).await);
        assert!(error_of("<testsuites><testcase name=\"&x;\"/></testsuites>").await.contains("(line 1"));
        let dir = tempfile::tempdir().unwrap();
        let plain = "<!DOCTYPE coverage SYSTEM \"http://x.invalid/coverage-04.dtd\"><coverage><class filename=\"a\"><lines><line number=\"1\" hits=\"1\"/></lines></class></coverage>";
        std::fs::write(dir.path().join("r"), plain).unwrap();
        assert!(read_in(dir.path(), spec("r", &[]), &[]).await.is_ok());
    }
}
