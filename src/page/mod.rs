//! A plan or a run as one page for a browser, whole in itself. Pure: plain data in, text out; reads no file and knows no
//! journal. What the page says enters as data, and its script puts it in place as text, never as markup.
//!
//! `page.html` is the frame, `page.css` the styles; the script is put together from the files named in `SCRIPT`. Styles
//! and script are allowed by their digests, everything else is forbidden: nothing is loaded, nothing is sent.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value as Json;

use crate::digest::sha256_base64;

const FRAME: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const RUNS_FRAME: &str = include_str!("runs.html");
const RUNS_SCRIPT: &str = concat!(include_str!("tools.js"), include_str!("runs.js"));
const SCRIPT: &str = concat!(
    include_str!("tools.js"),
    include_str!("graph.js"),
    include_str!("time.js"),
    include_str!("panel.js"),
    include_str!("page.js")
);

/// Everything the page knows.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Page {
    /// Version of this data.
    pub schema: &'static str,
    /// Title of the plan, or its name.
    pub title: String,
    /// Name of the plan.
    pub plan: String,
    /// Its file.
    pub path: String,
    /// `30 steps, 6 waves, …`.
    pub summary: String,
    /// The run; none for a dry run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<Run>,
    /// The decision, as in the record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decision: Option<Json>,
    /// Beginnings of command lines that a step's name ends.
    pub commands: Vec<String>,
    /// In plan rank, those of `[finally]` last.
    pub steps: Vec<Step>,
    /// Warnings and signals.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub moments: Vec<Moment>,
    /// Runs of the same plan, oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub trend: Vec<Past>,
    /// What of the outputs is left out, in a sentence.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub left_out: String,
}

/// A run.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Run {
    /// Its id.
    pub id: String,
    /// When it began (RFC 3339).
    pub started: String,
    /// Nanoseconds until its last event.
    pub took_ns: u64,
    /// `GO`, `HOLD`, `NO-GO`, `interrupted`, `unfinished`, `running`.
    pub end: String,
    /// What speaks against it, in a line.
    pub why: String,
    /// Worker slots.
    pub jobs: u32,
    /// Version of the engine.
    pub engine: String,
    /// SHA-256 of the record; none while there is no record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record: Option<String>,
    /// SHA-256 of the plan's files.
    pub plan_sha256: String,
}

/// A step.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Step {
    /// Its name.
    pub name: String,
    /// Human title.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Longer text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub docs: Option<String>,
    /// The action's word.
    pub kind: String,
    /// The word of its mark (see `draw::Mark`).
    pub state: String,
    /// Why.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub why: String,
    /// Accepted by a waiver, taken over, flaky: words beside the state.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// What it does, in as many lines as that takes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub action: Vec<String>,
    /// What it needs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<String>,
    /// What it only follows.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<String>,
    /// A failure blocks GO.
    pub required: bool,
    /// How bad a failure would be.
    pub severity: String,
    /// In `[finally]`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub finally: bool,
    /// On the critical path.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub critical: bool,
    /// Distance from the start, from 1.
    pub wave: usize,
    /// Tags.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Nanoseconds that it took, or is expected to take.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_ns: Option<u64>,
    /// `path:line:col` in the plan.
    pub place: String,
    /// The plan's lines there.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub source: Vec<String>,
    /// Criteria in force, judged where there is something to judge.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub criteria: Vec<Criterion>,
    /// Policy as key and text.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub policy: Vec<(String, String)>,
    /// Every attempt.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub attempts: Vec<Attempt>,
    /// What can be plotted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub plots: Vec<Plot>,
    /// Ends of outputs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub logs: Vec<Log>,
    /// Files it made: path, digest, archived.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<(String, String, bool)>,
    /// Named outputs.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub values: BTreeMap<String, String>,
    /// How it ended in each run of the trend, a letter a run: `p w f e i h s -`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub past: String,
}

/// A criterion.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Criterion {
    /// Its list.
    pub tier: String,
    /// As written.
    pub text: String,
    /// Where, or what implies it.
    pub origin: String,
    /// How it came out; empty before it was judged.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub state: String,
    /// What had to be.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub expected: String,
    /// What was.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub actual: String,
    /// How far off or how much to spare.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub margin: String,
    /// Why it is undecided, what waives it, what it was compared with.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// One execution.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Attempt {
    /// From 1.
    pub number: u32,
    /// Nanoseconds since the run began.
    pub start: u64,
    /// The same; of one that is going on, the last that is known.
    pub end: u64,
    /// How it ended; empty if it did not.
    pub state: String,
    /// Exit code or signal.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub exit: String,
    /// Why.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// How often it looked.
    pub samples: u32,
    /// Things worth saying.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// Numbers in order.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Plot {
    /// What they are.
    pub label: String,
    /// `ns`, `B`, `%` or empty.
    pub unit: &'static str,
    /// In order, thinned out: the greatest of neighbours stays.
    pub values: Vec<Option<f64>>,
    /// How many there were.
    pub count: usize,
    /// A letter a look, where each was judged.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub states: String,
}

/// The end of an output.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Log {
    /// `stdout`, `stderr`.
    pub name: String,
    /// With the escapes that it has; the script shows colours and drops the rest.
    pub text: String,
    /// Bytes before it that are left out.
    pub left_out: u64,
    /// The file with all of it.
    pub path: String,
}

/// Something worth saying at a moment.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Moment {
    /// Nanoseconds since the run began.
    pub at: u64,
    /// The step it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// Its code.
    pub name: String,
    /// A sentence.
    pub text: String,
}

/// A run of the trend.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Past {
    /// Its id.
    pub run: String,
    /// When it began (RFC 3339).
    pub at: String,
    /// How it ended.
    pub end: String,
    /// Its risk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub risk: Option<u32>,
    /// Nanoseconds.
    pub took_ns: u64,
}

/// Where the page is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// A file: it asks nobody for anything.
    File,
    /// Served: it listens for news of the run from where it came from.
    Served,
}

/// What the page may do: its own styles and script, and nothing else.
#[must_use]
pub fn policy(mode: Mode) -> String {
    allowed(mode, SCRIPT)
}

fn allowed(mode: Mode, script: &str) -> String {
    let (style, script) = (sha256_base64(STYLE.as_bytes()), sha256_base64(script.as_bytes()));
    let connect = if mode == Mode::Served { "; connect-src 'self'" } else { "" };
    format!(
        "default-src 'none'; style-src 'sha256-{style}'; script-src 'sha256-{script}'{connect}; base-uri 'none'; \
         form-action 'none'"
    )
}

/// The page; `drawing` is an SVG element, `data` a [`Page`] as JSON.
#[must_use]
pub fn html(data: &Json, drawing: &str, mode: Mode) -> String {
    let title = |name: &str| data.get(name).and_then(Json::as_str).unwrap_or("");
    let id = data.get("run").and_then(|run| run.get("id")).and_then(Json::as_str);
    let about = id.map_or_else(|| "dry run".to_owned(), |id| format!("run {id}"));
    let data = embedded(data);
    let served = if mode == Mode::Served { "served" } else { "file" };
    let fill = |name: &str| match name {
        "policy" => policy(mode),
        "title" => escaped(&format!("{} · {about}", title("title"))),
        "heading" => escaped(title("title")),
        "style" => STYLE.to_owned(),
        "script" => SCRIPT.to_owned(),
        "drawing" => drawing.to_owned(),
        "data" => data.clone(),
        "mode" => served.to_owned(),
        _ => String::new(),
    };
    filled(FRAME, fill)
}

/// What the list of runs may do.
#[must_use]
pub fn runs_policy() -> String {
    allowed(Mode::Served, RUNS_SCRIPT)
}

/// The list of runs, as it is served.
#[must_use]
pub fn runs(data: &Json) -> String {
    filled(RUNS_FRAME, |name| match name {
        "policy" => runs_policy(),
        "style" => STYLE.to_owned(),
        "script" => RUNS_SCRIPT.to_owned(),
        "data" => embedded(data),
        _ => String::new(),
    })
}

/// Cut once, so that nothing that was put in is taken for a place to fill.
fn filled(frame: &str, fill: impl Fn(&str) -> String) -> String {
    let part = |(number, part): (usize, &str)| if number % 2 == 0 { part.to_owned() } else { fill(part) };
    frame.split("@@").enumerate().map(part).collect()
}

/// JSON that can stand in a `script` element: nothing in it ends the element.
#[must_use]
pub fn embedded(data: &Json) -> String {
    let text = data.to_string();
    text.replace('<', "\\u003c").replace('\u{2028}', "\\u2028").replace('\u{2029}', "\\u2029")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nothing_in_the_data_ends_its_element_or_fills_a_place() {
        let data = json!({ "title": "</script><b>@@script@@\u{2028}&\"", "steps": ["<!--<script>"] });
        let page = html(&data, "<svg id=\"graph\"></svg>", Mode::File);
        assert_eq!(page, html(&data, "<svg id=\"graph\"></svg>", Mode::File));
        assert_eq!((page.matches("<script").count(), page.matches("</script>").count()), (2, 2), "its own two");
        assert!(page.contains("<title>&lt;/script&gt;&lt;b&gt;@@script@@"), "names are text");
        let begin = "<script type=\"application/json\" id=\"data\">";
        let from = page.find(begin).unwrap() + begin.len();
        let inside = &page[from..from + page[from..].find("</script>").unwrap()];
        assert_eq!(serde_json::from_str::<Json>(inside).unwrap(), data);
        assert!(!inside.contains(['<', '\u{2028}']));
    }

    #[test]
    fn the_policy_names_what_is_there_and_forbids_the_rest() {
        let file = policy(Mode::File);
        assert!(file.starts_with("default-src 'none'; style-src 'sha256-"), "{file}");
        assert!(!file.contains("connect-src") && !file.contains("unsafe"), "{file}");
        assert!(policy(Mode::Served).contains("; connect-src 'self';"));
        for (name, text) in [("style", STYLE), ("script", SCRIPT), ("script", RUNS_SCRIPT)] {
            assert!((file.clone() + &runs_policy()).contains(&sha256_base64(text.as_bytes())), "{name}");
            // What the element holds is these bytes only as long as nothing in them ends it.
            assert!(!text.contains("</") && !text.contains("@@"), "{name}");
        }
        let calls = [
            "innerHTML",
            "outerHTML",
            "insertAdjacent",
            "document.write",
            "eval(",
            "Function(",
            "setAttribute(\"style",
        ];
        calls.iter().for_each(|call| assert!(!SCRIPT.contains(call), "{call}"));
        assert!(!FRAME.contains("style=") && !FRAME.contains("onclick"), "an inline style or handler would not count");
    }
}
