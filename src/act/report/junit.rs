//! JUnit XML (pytest, nextest, Surefire, gtest …). Counts its `<testcase>` elements; the sums of suites are ignored.
//!
//! A test's name is `classname::name`: `tests.test_lock.TestLock::test_take[2]` (pytest),
//! `crate::it::module::test` (nextest, whose class is the test binary). Without a class it is the name alone. Of several
//! cases of one name the worst state holds, and they count as one test.
//!
//! Facts: `tests` (Map): `total`, `passed`, `failed`, `errors`, `skipped`, `flaky` (passed, but not at once); if wanted
//! (`tests`) also `names`, `names(passed)`, `names(failed)`, `names(errors)`, `names(skipped)`, `names(flaky)`, sorted;
//! if wanted `test`, a Map from name to `state` (`passed`, `failed`, `error`, `skipped`). Inspected: tests.

use std::collections::{BTreeMap, BTreeSet};
use std::io::BufRead;

use super::super::file::texts;
use super::Fault;
use super::xml::{self, Element, Step};
use crate::facts::{Facts, Value};

/// How a test ended, from best to worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum State {
    Passed,
    Skipped,
    Failed,
    Error,
}

impl State {
    fn word(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Skipped => "skipped",
            Self::Failed => "failed",
            Self::Error => "error",
        }
    }
}

/// All tests of a report.
#[derive(Debug, Default)]
pub(super) struct Tests {
    states: BTreeMap<String, State>,
    flaky: BTreeSet<String>,
}

/// The test case being read.
struct Case {
    name: String,
    state: State,
    flaky: bool,
}

/// Reads a report.
pub(super) fn read(input: impl BufRead) -> Result<Tests, Fault> {
    let mut tests = Tests::default();
    let mut case: Option<Case> = None;
    let mut suites: Vec<String> = Vec::new();
    let mut depth = 0_usize;
    xml::walk(input, |step| {
        match step {
            Step::Open(element) if element.name == "testcase" => {
                case = Some(begin(element)?);
                depth = 0;
            }
            Step::Open(element) => {
                if let Some(case) = &mut case {
                    // Only its own children speak of a test; what they quote may look alike.
                    if depth == 0 {
                        case.child(element.name);
                    }
                    depth += 1;
                } else {
                    match element.name {
                        "testsuite" => suites.push(element.attr("name")?.unwrap_or_default()),
                        "error" | "failure" => tests.add(Some(of_suite(&suites, element.name))),
                        _ => {}
                    }
                }
            }
            Step::Close("testcase") => tests.add(case.take()),
            Step::Close("testsuite") if case.is_none() => drop(suites.pop()),
            Step::Close(_) => depth = depth.saturating_sub(1),
            Step::Text(_) => {}
        }
        Ok(())
    })?;
    Ok(tests)
}

/// A suite that broke as a whole (it did not compile, its set-up failed) counts as a test that did not pass.
fn of_suite(suites: &[String], child: &str) -> Case {
    let mut case = Case { name: format!("{} (suite)", suites.join("::")), state: State::Passed, flaky: false };
    case.child(child);
    case
}

fn begin(element: &Element<'_>) -> Result<Case, String> {
    let class = element.attr("classname")?.unwrap_or_default();
    let name = element.attr("name")?.unwrap_or_default();
    let name = match (class.trim(), name.trim()) {
        ("", "") => return Err("a `<testcase>` has neither `name` nor `classname`".to_owned()),
        ("", name) => name.to_owned(),
        (class, "") => class.to_owned(),
        (class, name) => format!("{class}::{name}"),
    };
    // gtest says in attributes what others say in children.
    let not_run = matches!(element.attr("status")?.as_deref(), Some("notrun" | "disabled" | "skipped"))
        || matches!(element.attr("result")?.as_deref(), Some("suppressed" | "skipped"));
    Ok(Case { name, state: if not_run { State::Skipped } else { State::Passed }, flaky: false })
}

impl Case {
    fn child(&mut self, name: &str) {
        let state = match name {
            "error" => State::Error,
            "failure" => State::Failed,
            "skipped" => State::Skipped,
            // It passed in the end. A rerun of a test that failed in the end has its `failure` beside it.
            "flakyFailure" | "flakyError" => {
                self.flaky = true;
                return;
            }
            _ => return,
        };
        self.state = self.state.max(state);
    }
}

impl Tests {
    fn add(&mut self, case: Option<Case>) {
        let Some(Case { name, state, flaky }) = case else { return };
        if flaky {
            self.flaky.insert(name.clone());
        }
        self.states.entry(name).and_modify(|old| *old = state.max(*old)).or_insert(state);
    }

    fn names(&self, state: State) -> Vec<String> {
        self.states.iter().filter(|(_, seen)| **seen == state).map(|(name, _)| name.clone()).collect()
    }

    /// The facts.
    pub(super) fn facts(&self, wants: &BTreeSet<String>) -> Facts {
        let mut facts = Facts::about(self.states.len() as u64, "test");
        let mut tests = BTreeMap::from([("total".to_owned(), Value::int(self.states.len() as u64))]);
        let flaky = self.flaky.iter().filter(|name| self.states.get(*name) == Some(&State::Passed)).cloned().collect();
        let groups = [
            ("passed", self.names(State::Passed)),
            ("failed", self.names(State::Failed)),
            ("errors", self.names(State::Error)),
            ("skipped", self.names(State::Skipped)),
            ("flaky", flaky),
        ];
        for (group, names) in groups {
            tests.insert(group.to_owned(), Value::int(names.len() as u64));
            if wants.contains("tests") {
                tests.insert(format!("names({group})"), texts(names));
            }
        }
        if wants.contains("tests") {
            tests.insert("names".to_owned(), texts(self.states.keys().cloned().collect()));
        }
        facts.set("tests", Value::Map(tests));
        if wants.contains("test") {
            let state = |state: &State| Value::Map(BTreeMap::from([("state".to_owned(), Value::text(state.word()))]));
            facts.set("test", Value::Map(self.states.iter().map(|(name, seen)| (name.clone(), state(seen))).collect()));
        }
        facts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn states(text: &str) -> Vec<(String, &'static str)> {
        let tests = read(text.as_bytes()).ok().expect("a report");
        tests.states.iter().map(|(name, state)| (name.clone(), state.word())).collect()
    }

    #[test]
    fn nested_suites_and_missing_attributes() {
        let text = "<testsuite><testsuite tests='9'><testcase name='a' time='x'/></testsuite>\
                    <testcase classname='C'><failure/></testcase><testcase name='b' classname=''/></testsuite>";
        assert_eq!(states(text), [("C".into(), "failed"), ("a".into(), "passed"), ("b".into(), "passed")]);
        assert!(read(&b"<testsuites><testcase/></testsuites>"[..]).is_err());
        assert_eq!(states("<testsuites/>"), []);
    }

    #[test]
    fn the_worst_of_equal_names_holds() {
        let case = |inner: &str| format!("<testcase classname='c' name='n'>{inner}</testcase>");
        let all = [case(""), case("<error/>"), case("<failure/>"), case("<skipped/>")].concat();
        assert_eq!(states(&format!("<testsuites>{all}</testsuites>")), [("c::n".into(), "error")]);
    }

    #[test]
    fn a_suite_that_broke_is_no_pass() {
        let text = "<testsuites><testsuite name='a'><testsuite name='b'><error/></testsuite><testcase name='t'/>\
                    <failure/></testsuite></testsuites>";
        let expected = [("a (suite)", "failed"), ("a::b (suite)", "error"), ("t", "passed")];
        assert_eq!(states(text), expected.map(|(name, state)| (name.to_owned(), state)));
    }

    #[test]
    fn reruns_and_flaky_tests() {
        let text = "<testsuites><testcase name='f'><flakyFailure><stackTrace/></flakyFailure></testcase>\
                    <testcase name='r'><failure/><rerunFailure/></testcase>\
                    <testcase name='s' status='notrun'/>\
                    <testcase name='q'><system-out><failure/></system-out></testcase></testsuites>";
        let tests = read(text.as_bytes()).ok().unwrap();
        let facts = tests.facts(&BTreeSet::new());
        let Value::Map(map) = &facts.values["tests"] else { panic!() };
        let counts = [("total", 4), ("passed", 2), ("failed", 1), ("skipped", 1), ("flaky", 1)];
        assert!(counts.iter().all(|(name, n)| map[*name] == Value::int(*n)), "{map:?}");
        assert!(!map.contains_key("names") && !facts.values.contains_key("test"));
    }
}
