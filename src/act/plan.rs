//! `plan`: another plan as one step, run by this same program in a process of its own. Knows only the record it leaves.
//!
//! The child sees the step's environment, its variables from the plan, and nothing else of the parent: no `RUNPLAN_VAR_*`,
//! no pools. Its runs are kept apart, in `.runplan/plans/STEP/.runplan`, so that both may share a workspace.
//!
//! Facts: `decision` (`GO`, `HOLD`, `NO-GO`), `risk`, `record` (id of its record), `vetoes` and `holds` (List of Text),
//! `count` (its steps), `counts` (Map from state to how many), `step` (Map from name to Map {`state`}). Inspected: steps
//! that it judged. That the child's plan is broken, or its log could not be written, is an error.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value as Json;

use super::blocking::{blocking, misrouted};
use super::run::Run;
use super::{Act, ActError, Lent, Look, Observation, Request};
use crate::action::{Action, Command, PlanSpec, RunSpec, Text};
use crate::facts::{Facts, Value};
use crate::outcome::{Cause, Exit};

/// Most plans inside one another.
const DEEPEST: usize = 8;
/// Names the plans that a process runs in, outermost first, separated by line ends.
pub const NESTED: &str = "RUNPLAN_NESTED";
/// The record of a million steps is well below this.
const MOST_BYTES: u64 = 1 << 30;

/// The `plan` action.
#[derive(Clone, Debug)]
pub struct Plan {
    /// This program.
    pub program: PathBuf,
    /// The day that waivers are held against.
    pub date: String,
    /// Plans that this run is a part of, outermost first.
    pub nested: Vec<String>,
}

impl Act for Plan {
    fn look<'a>(&'a self, request: &'a Request, lent: &'a Lent) -> Look<'a> {
        Box::pin(async move {
            let Action::Plan(spec) = &request.action else { return Err(misrouted(request, "plan")) };
            let failed = |detail: String| ActError::new(Cause::ActionError, detail);
            let path = request.workspace.join(spec.path.as_str());
            let whole = path.canonicalize().map_err(|error| failed(format!("`{}`: {error}", spec.path.as_str())))?;
            let whole = whole.display().to_string();
            if self.nested.contains(&whole) {
                return Err(failed(format!(
                    "`{}` is running already: it would run itself for ever",
                    spec.path.as_str()
                )));
            }
            if self.nested.len() >= DEEPEST {
                return Err(failed(format!("more than {DEEPEST} plans inside one another")));
            }
            let logs = logs(&request.workspace, &request.step);
            let mut child = request.clone();
            child.action = Action::Run(RunSpec { command: self.command(spec, &whole, &logs), parse: None });
            child.cwd.clone_from(&request.workspace);
            child.wants = ["stderr".to_owned()].into();
            let nested = self.nested.iter().map(String::as_str).chain([whole.as_str()]).collect::<Vec<_>>().join("\n");
            child.env.push((NESTED.into(), nested.into()));
            let ran = Run.look(&child, lent).await?;
            let said = match ran.facts.values.get("stderr") {
                Some(Value::Text(text)) => last_lines(text),
                _ => String::new(),
            };
            if !matches!(ran.exit, Some(Exit::Code(0 | 1 | 3))) {
                let how = match &ran.exit {
                    Some(Exit::Code(2)) => "can't run".to_owned(),
                    Some(Exit::Code(code)) => format!("gave no decision (exit code {code})"),
                    Some(Exit::Signal(name)) => format!("was ended by {name}"),
                    None => "gave no decision".to_owned(),
                };
                let error = failed(format!("the plan `{}` {how}: {said}", spec.path.as_str()));
                return Err(ActError { exit: ran.exit, ..error });
            }
            let record = logs.join(".runplan/latest/record.jsonl");
            let facts = blocking(request, lent, move |_| read(&record)).await?;
            Ok(Observation { facts, ..ran })
        })
    }
}

/// Where the child of a step keeps its runs.
#[must_use]
pub fn logs(workspace: &Path, step: &str) -> PathBuf {
    let mut name = String::new();
    for byte in step.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_') {
            name.push(char::from(byte));
        } else {
            name.push_str(&format!("%{byte:02X}"));
        }
    }
    workspace.join(".runplan/plans").join(name)
}

impl Plan {
    fn command(&self, spec: &PlanSpec, path: &str, logs: &Path) -> Command {
        let mut argv = vec![self.program.display().to_string(), path.to_owned()];
        argv.extend(spec.steps.iter().cloned());
        argv.extend(["--progress", "plain", "--date", &self.date, "--log-dir"].map(str::to_owned));
        argv.push(logs.display().to_string());
        for (name, text) in &spec.vars {
            argv.extend(["--var".to_owned(), format!("{name}={}", text.as_str())]);
        }
        Command::Argv(argv.into_iter().map(Text::fixed).collect())
    }
}

/// The end of what it said, on one line.
fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines[lines.len().saturating_sub(6)..].join(" · ")
}

fn read(path: &Path) -> Result<Facts, String> {
    let size = std::fs::metadata(path).map_err(|error| format!("the plan left no record: {error}"))?.len();
    if size > MOST_BYTES {
        return Err(format!("the plan's record is larger than {MOST_BYTES} bytes"));
    }
    let text = std::fs::read_to_string(path).map_err(|error| format!("the plan's record can't be read: {error}"))?;
    let mut facts = facts(&text).ok_or("the plan's record is not one")?;
    facts.set("record", Value::text(format!("sha256:{}", crate::digest::sha256_hex(text.as_bytes()))));
    Ok(facts)
}

/// The facts of a record's lines.
fn facts(text: &str) -> Option<Facts> {
    let lines: Vec<Json> = text.lines().map(serde_json::from_str).collect::<Result<_, _>>().ok()?;
    let end = lines.last().filter(|line| line["t"] == "end")?;
    let steps = lines.iter().filter(|line| line["t"] == "step");
    let steps: Vec<(String, String)> = steps
        .map(|line| Some((line["id"].as_str()?.to_owned(), line["state"].as_str()?.to_owned())))
        .collect::<Option<_>>()?;
    let judged = steps.iter().filter(|(_, state)| !matches!(state.as_str(), "skipped" | "not_run")).count();
    let mut facts = Facts::about(judged as u64, "step of the plan");
    facts.set("decision", Value::text(end["verdict"].as_str()?));
    facts.set("risk", Value::int(end["risk"].as_u64()?));
    facts.set("count", Value::int(steps.len() as u64));
    for name in ["vetoes", "holds"] {
        let items = end[name].as_array()?.iter().map(|item| Value::text(sentence(item)));
        facts.set(name, Value::List(items.collect()));
    }
    let counts = end["counts"].as_object()?.iter();
    let counts: BTreeMap<_, _> = counts.filter_map(|(k, n)| Some((k.clone(), Value::int(n.as_u64()?)))).collect();
    facts.set("counts", Value::Map(counts));
    let state = |state: String| Value::Map(BTreeMap::from([("state".to_owned(), Value::text(state))]));
    facts.set("step", Value::Map(steps.into_iter().map(|(name, word)| (name, state(word))).collect()));
    Some(facts)
}

/// A reason as the record says it: `step: why`.
fn sentence(item: &Json) -> String {
    let texts = ["id", "reason"].iter().filter_map(|key| item[key].as_str());
    let joined = texts.collect::<Vec<_>>().join(": ");
    if joined.is_empty() { item.as_str().map_or_else(|| item.to_string(), str::to_owned) } else { joined }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_becomes_facts() {
        let text = "{\"t\":\"run\"}\n{\"id\":\"a\",\"state\":\"pass\",\"t\":\"step\"}\n\
            {\"id\":\"b\",\"state\":\"skipped\",\"t\":\"step\"}\n\
            {\"counts\":{\"pass\":1},\"holds\":[],\"risk\":7,\"t\":\"end\",\"verdict\":\"GO\",\"vetoes\":[\"x\"]}\n";
        let facts = facts(text).unwrap();
        assert_eq!(facts.inspected.count, 1);
        assert_eq!((&facts.values["decision"], &facts.values["risk"]), (&Value::text("GO"), &Value::int(7)));
        assert_eq!(facts.values["vetoes"], Value::List(vec![Value::text("x")]));
        assert!(super::facts("{}\n").is_none() && super::facts("").is_none() && super::facts("[").is_none());
    }

    #[test]
    fn every_step_has_a_folder_inside() {
        assert_eq!(
            logs(Path::new("/w"), "a[x=1,y=../z]"),
            Path::new("/w/.runplan/plans/a%5Bx%3D1%2Cy%3D%2E%2E%2Fz%5D")
        );
    }
}
