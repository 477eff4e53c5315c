//! SARIF 2.1.0: what a scanner found. Counts results by itself; knows no scanner.
//!
//! A result is *suppressed* if it has suppressions and each of them is accepted (one that is rejected or under review
//! suppresses nothing); else it is *open*. Its level is its own, else that of its rule, else `warning`; a result of
//! another `kind` than `fail` has the level `none`. Results that the scanner calls `absent` are not counted.
//!
//! *New* are open results that a baseline (an earlier report) does not know, or, without one, those that the scanner
//! itself calls `new`; if it calls none anything, the facts are not there. A result is known if one of its
//! `fingerprints` is, else one of its `partialFingerprints` of the same rule, else its rule, path, text and snippet. Each
//! result of the baseline knows one: of two equal ones where there was one, one is new. Lines don't count: code moves.
//!
//! Facts: `open(LEVEL)`, `new(LEVEL)`, `suppressed(LEVEL)` for `error`, `warning`, `note`, `none` and `total`; if wanted
//! `findings(open)`, `findings(new)`, `findings(suppressed)` (List of texts, worst first). Inspected: runs that have
//! results, if only an empty list of them: a run without the list says that it did not look.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::Path;

use serde::Deserialize;

use super::super::file::texts;
use super::{Fault, json};
use crate::facts::{Facts, Value};
use crate::outcome::Note;

#[derive(Deserialize)]
struct Log {
    version: String,
    runs: Vec<Run>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Run {
    tool: Tool,
    results: Option<Vec<Found>>,
    invocations: Option<Vec<Invocation>>,
    artifacts: Option<Vec<Artifact>>,
}

#[derive(Deserialize)]
struct Tool {
    driver: Component,
    extensions: Option<Vec<Component>>,
}

#[derive(Deserialize)]
struct Component {
    name: String,
    rules: Option<Vec<Rule>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    id: Option<String>,
    default_configuration: Option<Configuration>,
}

#[derive(Deserialize)]
struct Configuration {
    level: Option<Level>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Invocation {
    execution_successful: Option<bool>,
    tool_execution_notifications: Option<Vec<Notification>>,
}

#[derive(Deserialize)]
struct Notification {
    message: Option<Message>,
}

#[derive(Deserialize)]
struct Message {
    text: Option<String>,
    id: Option<String>,
}

#[derive(Deserialize)]
struct Artifact {
    location: Option<ArtifactLocation>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Found {
    rule_id: Option<String>,
    rule_index: Option<i64>,
    rule: Option<Reference>,
    level: Option<Level>,
    kind: Option<String>,
    message: Message,
    locations: Option<Vec<Location>>,
    suppressions: Option<Vec<Suppression>>,
    fingerprints: Option<BTreeMap<String, String>>,
    partial_fingerprints: Option<BTreeMap<String, String>>,
    baseline_state: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Reference {
    id: Option<String>,
    index: Option<i64>,
    tool_component: Option<ComponentReference>,
}

#[derive(Deserialize)]
struct ComponentReference {
    index: Option<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Location {
    physical_location: Option<PhysicalLocation>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PhysicalLocation {
    artifact_location: Option<ArtifactLocation>,
    region: Option<Region>,
}

#[derive(Deserialize)]
struct ArtifactLocation {
    uri: Option<String>,
    index: Option<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Region {
    start_line: Option<u64>,
    snippet: Option<Message>,
}

#[derive(Deserialize)]
struct Suppression {
    status: Option<String>,
}

/// How bad a finding is, worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Level {
    Error,
    Warning,
    Note,
    None,
}

impl Level {
    const ALL: [Self; 4] = [Self::Error, Self::Warning, Self::Note, Self::None];

    fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
            Self::None => "none",
        }
    }
}

/// One result, as far as it is judged.
struct Finding {
    level: Level,
    suppressed: bool,
    /// What the scanner itself says of it, if anything.
    called_new: Option<bool>,
    path: String,
    line: Option<u64>,
    rule: String,
    text: String,
    keys: Keys,
}

/// By what a result is known again, the surest first.
struct Keys {
    fingerprints: BTreeSet<String>,
    partial: BTreeSet<String>,
    content: String,
}

/// The results of all runs.
pub(super) struct Findings {
    runs: u64,
    found: Vec<Finding>,
}

/// Reads a report. A run that says that it went wrong is a fault.
pub(super) fn read(input: impl Read, workspace: &Path) -> Result<Findings, Fault> {
    let log: Log = json::read(input, "a SARIF report")?;
    if !log.version.starts_with("2.1.") {
        return Err(Fault::All(format!("SARIF version {} is unknown: known is 2.1.0", log.version.escape_debug())));
    }
    let mut findings = Findings { runs: 0, found: Vec::new() };
    for run in &log.runs {
        let broken = run.invocations.iter().flatten().find(|invocation| invocation.execution_successful == Some(false));
        if let Some(broken) = broken {
            let said =
                broken.tool_execution_notifications.iter().flatten().find_map(|n| n.message.as_ref()?.text.as_ref());
            let said = said.map(|text| format!(": {}", one_line(text))).unwrap_or_default();
            return Err(Fault::All(format!("`{}` says that its run went wrong{said}", run.tool.driver.name)));
        }
        let Some(results) = &run.results else { continue };
        findings.runs += 1;
        let counted = results.iter().filter(|result| result.baseline_state.as_deref() != Some("absent"));
        findings.found.extend(counted.map(|result| finding(result, run, workspace)));
    }
    Ok(findings)
}

fn finding(result: &Found, run: &Run, workspace: &Path) -> Finding {
    let (rule, default) = rule(result, run);
    let level = match result.kind.as_deref() {
        None | Some("fail") => result.level.or(default).unwrap_or(Level::Warning),
        Some(_) => Level::None,
    };
    let place = result.locations.iter().flatten().find_map(|location| location.physical_location.as_ref());
    let region = place.and_then(|place| place.region.as_ref());
    let path = place.and_then(|place| uri(place.artifact_location.as_ref()?, run)).unwrap_or_default();
    let path = relative(path, workspace);
    let text = one_line(result.message.text.as_deref().or(result.message.id.as_deref()).unwrap_or_default());
    let snippet = region.and_then(|region| region.snippet.as_ref()?.text.as_deref()).map(one_line).unwrap_or_default();
    let pairs = |map: &Option<BTreeMap<String, String>>, rule: &str| {
        map.iter().flatten().map(|(name, value)| format!("{rule}\0{name}\0{value}")).collect()
    };
    let keys = Keys {
        fingerprints: pairs(&result.fingerprints, ""),
        partial: pairs(&result.partial_fingerprints, &rule),
        content: [rule.as_str(), &path, &text, &snippet].join("\0"),
    };
    let suppressions = result.suppressions.as_deref().unwrap_or_default();
    let accepted = |one: &Suppression| matches!(one.status.as_deref(), None | Some("accepted"));
    Finding {
        level,
        suppressed: !suppressions.is_empty() && suppressions.iter().all(accepted),
        called_new: result.baseline_state.as_deref().map(|state| state == "new"),
        line: region.and_then(|region| region.start_line),
        path,
        rule,
        text,
        keys,
    }
}

/// Id and default level of a result's rule.
fn rule(result: &Found, run: &Run) -> (String, Option<Level>) {
    let reference = result.rule.as_ref();
    let component = reference
        .and_then(|rule| usize::try_from(rule.tool_component.as_ref()?.index?).ok())
        .and_then(|index| run.tool.extensions.as_ref()?.get(index))
        .unwrap_or(&run.tool.driver);
    let rules = component.rules.as_deref().unwrap_or_default();
    let index =
        reference.and_then(|rule| rule.index).or(result.rule_index).and_then(|index| usize::try_from(index).ok());
    let id = result.rule_id.as_deref().or_else(|| reference?.id.as_deref());
    let of = |id: &str| rules.iter().find(|rule| rule.id.as_deref() == Some(id));
    // `CA1000/1` is a case of the rule `CA1000`.
    let named = id.and_then(|id| of(id).or_else(|| of(id.rsplit_once('/')?.0)));
    let rule = index.and_then(|index| rules.get(index)).or(named);
    let id = id.or_else(|| rule?.id.as_deref()).unwrap_or("(no rule)").to_owned();
    (id, rule.and_then(|rule| rule.default_configuration.as_ref()?.level))
}

fn uri<'a>(location: &'a ArtifactLocation, run: &'a Run) -> Option<&'a str> {
    location.uri.as_deref().or_else(|| {
        let index = usize::try_from(location.index?).ok()?;
        run.artifacts.as_ref()?.get(index)?.location.as_ref()?.uri.as_deref()
    })
}

/// Relative to the workspace where it is inside it.
fn relative(uri: &str, workspace: &Path) -> String {
    let path = decoded(uri.strip_prefix("file://").unwrap_or(uri)).replace('\\', "/");
    let path = path.strip_prefix("./").unwrap_or(&path);
    Path::new(path).strip_prefix(workspace).ok().and_then(Path::to_str).unwrap_or(path).to_owned()
}

/// `a%20b` as `a b`; what is no such escape stays as it is.
fn decoded(uri: &str) -> String {
    let mut bytes = Vec::with_capacity(uri.len());
    let mut rest = uri.as_bytes();
    while let [first, tail @ ..] = rest {
        let hex = tail.get(..2).and_then(|two| u8::from_str_radix(std::str::from_utf8(two).ok()?, 16).ok());
        match hex {
            Some(byte) if *first == b'%' && tail[0] != b'+' => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| uri.to_owned())
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

impl Finding {
    /// `error B602 app/x.py:12: subprocess call with shell=True …`.
    fn shown(&self) -> String {
        const LONGEST: usize = 160;
        let place = match (self.path.as_str(), self.line) {
            ("", _) => String::new(),
            (path, Some(line)) => format!(" {path}:{line}"),
            (path, None) => format!(" {path}"),
        };
        let mut text: String = self.text.chars().take(LONGEST).collect();
        if text.len() < self.text.len() {
            text.push('…');
        }
        format!("{} {}{place}: {text}", self.level.word(), self.rule)
    }
}

/// Which open findings are new, in their order; `None` if nothing tells.
fn new(found: &[&Finding], baseline: Option<&Findings>) -> Option<Vec<bool>> {
    let Some(baseline) = baseline else {
        let told = found.iter().any(|finding| finding.called_new.is_some());
        return (told || found.is_empty()).then(|| found.iter().map(|f| f.called_new.unwrap_or(true)).collect());
    };
    let mut by: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (at, finding) in baseline.found.iter().enumerate() {
        let keys = &finding.keys;
        let all = keys.fingerprints.iter().chain(&keys.partial).chain(std::iter::once(&keys.content));
        all.for_each(|key| by.entry(key.as_str()).or_default().push(at));
    }
    let mut taken = vec![false; baseline.found.len()];
    let mut take = |key: &String| {
        let free = by.get(key.as_str()).and_then(|all| all.iter().copied().find(|at| !taken[*at]));
        free.inspect(|at| taken[*at] = true).is_some()
    };
    // A result that has fingerprints is known by them or not at all, if the baseline has any of that kind.
    let has =
        |pick: fn(&Keys) -> &BTreeSet<String>| baseline.found.iter().any(|finding| !pick(&finding.keys).is_empty());
    let (full, partial) = (has(|keys| &keys.fingerprints), has(|keys| &keys.partial));
    let known = found.iter().map(|finding| {
        let keys = &finding.keys;
        match (full && !keys.fingerprints.is_empty(), partial && !keys.partial.is_empty()) {
            (true, _) => keys.fingerprints.iter().any(&mut take),
            (false, true) => keys.partial.iter().any(&mut take),
            (false, false) => take(&keys.content),
        }
    });
    Some(known.map(|known| !known).collect())
}

impl Findings {
    /// The facts, and what to say of the worst findings.
    pub(super) fn facts(mut self, baseline: Option<&Self>, wants: &BTreeSet<String>) -> (Facts, Vec<Note>) {
        self.found.sort_by(|a, b| (a.level, &a.path, a.line, &a.rule).cmp(&(b.level, &b.path, b.line, &b.rule)));
        let (suppressed, open): (Vec<&Finding>, Vec<&Finding>) = self.found.iter().partition(|found| found.suppressed);
        let is_new = new(&open, baseline);
        let new = is_new.as_ref().map(|is_new| {
            open.iter().zip(is_new).filter(|(_, new)| **new).map(|(found, _)| *found).collect::<Vec<_>>()
        });
        let mut facts = Facts::about(self.runs, "run");
        let groups = [("open", Some(&open)), ("new", new.as_ref()), ("suppressed", Some(&suppressed))];
        for (group, found) in groups.into_iter().filter_map(|(group, found)| Some((group, found?))) {
            for level in Level::ALL {
                let count = found.iter().filter(|finding| finding.level == level).count();
                facts.set(format!("{group}({})", level.word()), Value::int(count as u64));
            }
            facts.set(format!("{group}(total)"), Value::int(found.len() as u64));
            if wants.contains("findings") {
                let shown = found.iter().map(|finding| finding.shown()).collect();
                facts.set(format!("findings({group})"), texts(shown));
            }
        }
        let new_at = |at: usize| is_new.as_ref().is_some_and(|is_new| is_new[at]);
        let mut notes = Vec::new();
        if new.is_none() && wants.contains("new") {
            let text = "nothing tells which findings are new: name an earlier report as `baseline`".to_owned();
            notes.push(Note { code: "no_baseline".into(), text });
        }
        let telling = open.iter().enumerate().filter(|(at, finding)| new_at(*at) || finding.level == Level::Error);
        notes.extend(naming(telling.map(|(at, finding)| (baseline.is_some() && new_at(at), *finding))));
        (facts, notes)
    }
}

/// Names the worst findings, so that a failure tells where to look.
fn naming<'a>(telling: impl Iterator<Item = (bool, &'a Finding)>) -> Vec<Note> {
    const MOST: usize = 5;
    let all: Vec<_> = telling.collect();
    let one = |(new, finding): &(bool, &Finding)| Note {
        code: "finding".into(),
        text: format!("{}{}", if *new { "new: " } else { "" }, finding.shown()),
    };
    let mut notes: Vec<Note> = all.iter().take(MOST).map(one).collect();
    if all.len() > MOST {
        notes.push(Note { code: "finding".into(), text: format!("and {} more findings", all.len() - MOST) });
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn log(runs: &serde_json::Value) -> Findings {
        let text = json!({ "version": "2.1.0", "runs": runs }).to_string();
        read(text.as_bytes(), Path::new("/ws")).ok().expect("a report")
    }

    fn run(results: &serde_json::Value) -> serde_json::Value {
        let rules = json!([{ "id": "E", "defaultConfiguration": { "level": "error" } }, { "id": "W" }]);
        json!([{ "tool": { "driver": { "name": "scan", "rules": rules } }, "results": results }])
    }

    fn result(rule: &str, path: &str, text: &str) -> serde_json::Value {
        let place =
            json!([{ "physicalLocation": { "artifactLocation": { "uri": path }, "region": { "startLine": 3 } } }]);
        json!({ "ruleId": rule, "message": { "text": text }, "locations": place })
    }

    fn with(mut result: serde_json::Value, key: &str, value: &serde_json::Value) -> serde_json::Value {
        result[key] = value.clone();
        result
    }

    fn count(facts: &Facts, name: &str) -> Option<Value> {
        facts.values.get(name).cloned()
    }

    fn counts(facts: &Facts, group: &str) -> [Option<Value>; 5] {
        ["error", "warning", "note", "none", "total"].map(|level| count(facts, &format!("{group}({level})")))
    }

    fn ints(numbers: [u64; 5]) -> [Option<Value>; 5] {
        numbers.map(|n| Some(Value::int(n)))
    }

    #[test]
    fn levels_come_from_the_result_its_rule_or_the_standard() {
        let results = json!([
            result("E", "a", "x"),
            result("E/1", "a", "x"),
            result("W", "a", "x"),
            with(result("E", "a", "x"), "level", &json!("note")),
            with(result("E", "a", "x"), "kind", &json!("pass")),
            { "ruleIndex": 0, "message": { "text": "x" } },
            { "rule": { "index": 0 }, "message": { "id": "m" } },
            { "message": {} },
        ]);
        let (facts, notes) = log(&run(&results)).facts(None, &BTreeSet::from(["findings".to_owned()]));
        assert_eq!(counts(&facts, "open"), ints([4, 2, 1, 1, 8]));
        assert_eq!(facts.inspected.count, 1);
        assert_eq!(notes.len(), 4);
        assert_eq!(notes[0].text, "error E: x");
        assert_eq!(notes[2].text, "error E a:3: x");
        let Some(Value::List(open)) = count(&facts, "findings(open)") else { panic!() };
        assert_eq!(open.len(), 8);
    }

    #[test]
    fn only_accepted_suppressions_suppress() {
        let states = |states: &[Option<&str>]| {
            let list: Vec<_> = states.iter().map(|s| s.map_or(json!({}), |s| json!({ "status": s }))).collect();
            with(result("E", "a", "x"), "suppressions", &json!(list))
        };
        let results = json!([
            states(&[]),
            states(&[None]),
            states(&[Some("accepted")]),
            states(&[Some("rejected")]),
            states(&[None, Some("underReview")]),
        ]);
        let (facts, _) = log(&run(&results)).facts(None, &BTreeSet::new());
        assert_eq!(counts(&facts, "open"), ints([3, 0, 0, 0, 3]));
        assert_eq!(counts(&facts, "suppressed"), ints([2, 0, 0, 0, 2]));
    }

    fn new_of(now: &serde_json::Value, before: &serde_json::Value) -> Option<Value> {
        let before = log(&run(before));
        count(&log(&run(now)).facts(Some(&before), &BTreeSet::new()).0, "new(total)")
    }

    #[test]
    fn new_is_what_the_baseline_does_not_know() {
        let (a, b) = (result("W", "a", "x"), result("W", "b", "x"));
        let moved = with(
            a.clone(),
            "locations",
            &json!([{ "physicalLocation": { "artifactLocation": { "uri": "file:///ws/a" }, "region": { "startLine": 99 } } }]),
        );
        assert_eq!(new_of(&json!([a]), &json!([])), Some(Value::int(1)));
        assert_eq!(new_of(&json!([moved]), &json!([a, b])), Some(Value::int(0)));
        assert_eq!(new_of(&json!([a, a, b]), &json!([a])), Some(Value::int(2)), "one of two equal ones is new");
        let print =
            |result: &serde_json::Value, kind: &str, value: &str| with(result.clone(), kind, &json!({ "h/v1": value }));
        for kind in ["fingerprints", "partialFingerprints"] {
            assert_eq!(new_of(&json!([print(&b, kind, "1")]), &json!([print(&a, kind, "1")])), Some(Value::int(0)));
            assert_eq!(new_of(&json!([print(&a, kind, "2")]), &json!([print(&a, kind, "1")])), Some(Value::int(1)));
            assert_eq!(new_of(&json!([print(&a, kind, "2")]), &json!([a])), Some(Value::int(0)), "no prints to go by");
        }
        let other_rule = print(&result("E", "a", "x"), "partialFingerprints", "1");
        assert_eq!(new_of(&json!([other_rule]), &json!([print(&a, "partialFingerprints", "1")])), Some(Value::int(1)));
    }

    #[test]
    fn without_a_baseline_the_scanner_may_know() {
        let state = |state: &str| with(result("E", "a", state), "baselineState", &json!(state));
        let results = json!([state("new"), state("unchanged"), state("absent")]);
        let (facts, _) = log(&run(&results)).facts(None, &BTreeSet::new());
        assert_eq!(
            (count(&facts, "open(total)"), count(&facts, "new(total)")),
            (Some(Value::int(2)), Some(Value::int(1)))
        );
        let (facts, notes) =
            log(&run(&json!([result("E", "a", "x")]))).facts(None, &BTreeSet::from(["new".to_owned()]));
        assert_eq!((count(&facts, "new(total)"), notes[0].code.as_str()), (None, "no_baseline"));
    }

    #[test]
    fn a_run_that_looked_and_found_nothing_is_something() {
        let looked = log(&run(&json!([]))).facts(None, &BTreeSet::new()).0;
        assert_eq!((looked.inspected.count, counts(&looked, "open")), (1, ints([0; 5])));
        assert_eq!(log(&json!([])).facts(None, &BTreeSet::new()).0.inspected.count, 0);
        let did_not = log(&json!([{ "tool": { "driver": { "name": "scan" } } }])).facts(None, &BTreeSet::new()).0;
        assert_eq!(did_not.inspected.count, 0);
    }

    #[test]
    fn addresses_become_paths() {
        let path = |uri: &str| relative(uri, Path::new("/my ws"));
        assert_eq!(path("file:///my%20ws/a%2Bb.py"), "a+b.py");
        assert_eq!(path("./src/100%.py"), "src/100%.py");
        assert_eq!(path("src\\a%+1.py"), "src/a%+1.py");
    }

    fn fault(text: &str) -> String {
        match read(text.as_bytes(), Path::new("/")).err().expect("a fault") {
            Fault::At(_, why) | Fault::All(why) | Fault::Line(_, _, why) => why,
        }
    }

    #[test]
    fn what_went_wrong_is_no_result() {
        let text = r#"{"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "scan"}}, "results": [],
            "invocations": [{"executionSuccessful": false, "toolExecutionNotifications": [{"message": {"text": "no\n memory"}}]}]}]}"#;
        assert_eq!(fault(text), "`scan` says that its run went wrong: no memory");
        assert!(fault(r#"{"version": "1.0.0", "runs": []}"#).contains("version 1.0.0 is unknown"));
        assert!(fault(r#"{"version": "2.1.0"}"#).contains("missing field `runs`"));
        assert!(fault(r#"{"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "s"}}, "results": [{"message": {}, "level": "NaN"}]}]}"#).contains("unknown variant `NaN`"));
    }
}
