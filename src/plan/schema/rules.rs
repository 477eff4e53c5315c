//! What a schema can say of a table beyond the type of each key: keys it cannot do without, keys that exclude each
//! other, forms of texts and lists. Data only; the reader of each table says the same with better words, and the corpus
//! of broken plans holds the two together.

/// A rule for the keys of one kind of table.
#[derive(Clone, Copy)]
pub(super) enum Rule {
    /// It cannot do without this key.
    Needs(&'static str),
    /// Exactly one of these keys.
    One(&'static [&'static str]),
    /// At least one of these keys.
    Any(&'static [&'static str]),
    /// With the first key, the second is an empty list.
    Empty(&'static str, &'static str),
    /// With the first key, the second has no place.
    Apart(&'static str, &'static str),
    /// The first key means nothing without one of the others.
    Behind(&'static str, &'static [&'static str]),
    /// With the first key, the second cannot be another word.
    Only(&'static str, &'static str, &'static str),
}

/// A rule for the value of one key.
#[derive(Clone, Copy)]
pub(super) enum Form {
    /// A text of this form.
    Text(&'static str),
    /// In a list: texts of this form.
    Each(&'static str),
    /// In a table of free names: names of this form.
    Names(&'static str),
    /// A list or table with something in it.
    Filled,
    /// A list in which nothing stands twice.
    Unique,
    /// A number within bounds.
    Within(f64, f64),
    /// In a list: whole numbers from this one.
    EachFrom(i64),
    /// This number and no other.
    Exactly(i64),
}

use Form::{Each, EachFrom, Exactly, Filled, Names, Text, Unique, Within};
use Rule::{Any, Apart, Behind, Empty, Needs, One, Only};

/// A name that can stand in a template, and that of an environment variable.
const IDENTIFIER: &str = "^[A-Za-z_][A-Za-z0-9_]*$";
/// The same, or a key of the reader's own.
const AXIS: &str = "^(x-.*|[A-Za-z_][A-Za-z0-9_]*)$";
/// The name of a step.
const STEP: &str = "^[a-z0-9][a-z0-9_-]*$";
/// A step, all of its cells, some of them, or a template that says so.
const STEPS: &str = "^[a-z0-9][a-z0-9_-]*(\\[.*\\])?$|\\{\\{";
/// An address, or a template that may be one.
const URL: &str = "^https?://[^/]|\\{\\{";
/// A host and a port, or a template that may be both.
const PORT: &str = ".:[0-9]+$|\\{\\{";
/// A path that does not begin outside the workspace.
const INSIDE: &str = "^([^/.~]|~[^/]|\\.$|\\.[^.]|\\.\\.[^/])";
/// The same with the ending of a form of report, or of a template.
const REPORT: &str = "^([^/.~]|~[^/]|\\.[^.]|\\.\\.[^/]).*(\\.(md|json|html|xml)|\\}\\})$";
/// Not only spaces.
const SAID: &str = "\\S";
/// One line without spaces around it.
const ROLE: &str = "^\\S(.*\\S)?$";
/// The name of a header.
const HEADER: &str = "^[A-Za-z0-9!#$%&'*+.^_`|~-]+$";

/// Rules by the name of the kind.
pub(super) const RULES: [(&str, &[Rule]); 29] = [
    // Only the main file has these, and it says its version.
    (
        "blueprint",
        &[
            Behind("plan", &["format"]),
            Behind("defaults", &["format"]),
            Behind("decision", &["format"]),
            Behind("signoffs", &["format"]),
            Behind("waivers", &["format"]),
        ],
    ),
    ("var", &[Apart("today", "default")]),
    ("secret", &[One(&["env", "file"])]),
    (
        "step",
        &[
            One(&super::super::tables::ACTIONS),
            Apart("matrix", "foreach"),
            Behind("parse", &["run"]),
            Behind("preset", &["http"]),
            Behind("stdin", &["run", "service"]),
        ],
    ),
    ("http", &[One(&["url", "urls"]), Apart("urls", "paths"), Behind("paths", &["url"])]),
    ("render", &[Needs("template"), Needs("to")]),
    ("file", &[Any(&["path", "paths"]), Empty("path", "paths")]),
    ("service", &[Needs("run")]),
    ("ready", &[One(&["http", "run", "log", "tcp"])]),
    ("report", &[Needs("path")]),
    (
        "git",
        &[
            Behind("make", &["tag"]),
            Behind("at", &["make"]),
            Behind("annotate", &["make"]),
            Behind("sign", &["make"]),
            Behind("push", &["make"]),
        ],
    ),
    ("checklist", &[Needs("path")]),
    ("net", &[One(&["tcp", "dns", "tls"]), Behind("name", &["tls"]), Behind("ca", &["tls"])]),
    ("load", &[Needs("url"), Needs("total")]),
    ("promql", &[Needs("server"), Needs("query")]),
    ("pair", &[Needs("bad"), Needs("total")]),
    ("range", &[Needs("last"), Needs("step")]),
    ("signoffs", &[Needs("roles")]),
    ("signoff", &[Needs("roles")]),
    ("subplan", &[Needs("path")]),
    (
        "alert",
        &[
            Needs("receivers"),
            One(&["config", "server"]),
            Behind("timers", &["config"]),
            Behind("capture", &["server"]),
            Behind("server", &["capture"]),
        ],
    ),
    ("output", &[Needs("path"), Only("normalize", "class", "normalized")]),
    ("filter", &[Needs("replace"), Needs("with")]),
    ("stdin", &[Needs("file")]),
    ("ratchet", &[Needs("floor")]),
    ("compare", &[Needs("method")]),
    ("retry", &[Needs("limit")]),
    ("risk", &[Needs("id")]),
    ("waiver", &[Needs("step"), Needs("criterion"), Needs("owner"), Needs("reason"), Needs("expires")]),
];

/// Two actions that one step can have: a report of what the command made.
pub(super) const TOGETHER: (&str, &str) = ("run", "report");

/// Forms by the name of the kind and the key; `*` are the free keys of a table that has others too.
pub(super) const FORMS: [(&str, &str, &[Form]); 62] = [
    ("blueprint", "format", &[Exactly(1)]),
    ("blueprint", "vars", &[Names(IDENTIFIER)]),
    ("blueprint", "secrets", &[Names(IDENTIFIER)]),
    ("blueprint", "steps", &[Names(STEP)]),
    ("blueprint", "finally", &[Names(STEP)]),
    ("plan", "reports", &[Each(REPORT)]),
    ("env", "pass", &[Each(IDENTIFIER)]),
    ("env", "set", &[Names(IDENTIFIER)]),
    ("ports", "names", &[Each(IDENTIFIER), Unique]),
    ("defaults", "env", &[Names(IDENTIFIER)]),
    ("defaults", "pools", &[Unique]),
    ("step", "needs", &[Each(STEPS), Unique]),
    ("step", "after", &[Each(STEPS), Unique]),
    ("step", "foreach", &[Text("\\{\\{"), Filled, Unique]),
    ("step", "matrix", &[Filled]),
    ("matrix", "", &[Names(AXIS)]),
    ("matrix", "*", &[Filled, Unique]),
    ("step", "pools", &[Unique]),
    ("step", "env", &[Names(IDENTIFIER)]),
    ("step", "run", &[Text(SAID), Filled]),
    ("step", "http", &[Text(URL), Each(URL), Filled]),
    ("step", "file", &[Filled]),
    ("step", "value", &[Filled]),
    ("step", "net", &[Text(PORT)]),
    ("step", "signoff", &[Filled, Unique, Each(ROLE)]),
    ("step", "outputs", &[Each(INSIDE), Unique]),
    ("step", "artifacts", &[Each(INSIDE), Unique]),
    ("step", "weight", &[Within(0.0, 1.0)]),
    ("step", "allow_empty", &[Text(SAID)]),
    ("step", "allow_no_baseline", &[Text(SAID)]),
    ("outputs", "files", &[Each(INSIDE), Unique]),
    ("outputs", "values", &[Each(IDENTIFIER), Unique]),
    ("output", "path", &[Text(INSIDE)]),
    ("output", "normalize", &[Filled]),
    ("stdin", "file", &[Text(INSIDE)]),
    ("compare", "alpha", &[Within(0.001, 0.5)]),
    ("render", "to", &[Text(INSIDE)]),
    ("service", "run", &[Text(SAID), Filled]),
    ("ready", "http", &[Text(URL)]),
    ("ready", "run", &[Text(SAID), Filled]),
    ("ready", "tcp", &[Text(PORT)]),
    ("http", "url", &[Text(URL)]),
    ("http", "urls", &[Each(URL), Filled]),
    ("http", "paths", &[Each("^/|\\{\\{"), Filled]),
    ("http", "headers", &[Names(HEADER)]),
    ("retry", "factor", &[Within(1.0, 100.0)]),
    ("retry", "exit", &[EachFrom(1)]),
    ("risk", "weight", &[Within(0.0, 1.0)]),
    ("net", "tcp", &[Text(PORT)]),
    ("net", "tls", &[Text(PORT)]),
    ("load", "url", &[Text(URL)]),
    ("load", "baseline", &[Text(URL)]),
    ("load", "headers", &[Names(HEADER)]),
    ("promql", "server", &[Text(URL)]),
    ("promql", "headers", &[Names(HEADER)]),
    ("alert", "receivers", &[Each("^[^\"\\r\\n]+$"), Filled, Unique]),
    ("alert", "labels", &[Names(IDENTIFIER)]),
    ("signoffs", "roles", &[Filled, Unique, Each(ROLE)]),
    ("signoff", "roles", &[Filled, Unique, Each(ROLE)]),
    ("waiver", "owner", &[Text(SAID)]),
    ("waiver", "reason", &[Text(SAID)]),
    ("var", "today", &[Text("%")]),
];
