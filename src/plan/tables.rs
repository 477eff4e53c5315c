//! Every key of the plan language, one line each: the only list there is. Messages, suggestions, the walk and the JSON
//! schema all read it. Data only.

mod answers;
mod gates;
mod looks;
mod repeat;

pub(super) use answers::{HTTP, REPORT};
pub(super) use gates::{SIGNOFF, SIGNOFFS, SUBPLAN, WAIVER, WAIVERS};
pub(super) use looks::{ALERT, CHECKLIST, GIT, LOAD, NET, PAIR, PROMQL, RANGE};
pub(super) use repeat::{RETRY, SAMPLE};

use super::keys::{Key, Kind, Shape};
use super::preset;
use crate::action::CompareMethod;
use Shape::{Any, Bool, Criterion, Duration, Int, List, Map, Mode, Number, OneOf, Scalar, Table, Template, Text, Word};

const fn key(name: &'static str, shape: Shape, doc: &'static str) -> Key {
    Key { name, shape, doc, default: "", example: "" }
}

const fn with(
    name: &'static str,
    shape: Shape,
    doc: &'static str,
    default: &'static str,
    example: &'static str,
) -> Key {
    Key { name, shape, doc, default, example }
}

const TEXTS: Shape = List(&Text);
const TEMPLATES: Shape = List(&Template);
const TEXT_OR_TEXTS: Shape = OneOf(&[Text, List(&Text)]);
const TEMPLATE_OR_TEMPLATES: Shape = OneOf(&[Template, List(&Template)]);
const CRITERIA: Shape = OneOf(&[Criterion, List(&Criterion)]);
const ENV_VALUES: Shape = Map(&Scalar);
const SEVERITIES: Shape = Word(&["low", "medium", "high", "critical"]);
const FAILURES: Shape = Word(&["independent", "stop", "continue"]);
const OUTCOMES: Shape = Word(&["success", "failure", "completed", "always"]);
const METHODS: Shape = Word(&["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]);
const MANY: i64 = 1_000_000;

/// The document.
pub(super) static DOCUMENT: Kind = Kind {
    name: "blueprint",
    what: "a plan",
    open: None,
    keys: &[
        with("format", Int(0, i64::MAX), "Version of the plan language. Required in the main file.", "", "1"),
        with(
            "include",
            TEXTS,
            "Other plan files whose steps belong to this plan; relative to this file.",
            "",
            "[\"checks.toml\"]",
        ),
        key("plan", Table(&PLAN), "What the plan is called and how it behaves as a whole."),
        key(
            "vars",
            Map(&OneOf(&[Scalar, List(&Scalar), Table(&VAR)])),
            "Typed parameters: a default value, or a table.",
        ),
        key("env", Table(&ENV), "What child processes inherit and get; nothing else reaches them."),
        key("secrets", Map(&Table(&SECRET)), "Secrets by name; values never stand in a plan."),
        with("pools", Map(&Int(1, MANY)), "Named capacities; a pool of 1 is a lock.", "", "{ docker = 1 }"),
        key("ports", Table(&PORTS), "Free loopback ports that each run picks for itself."),
        key("defaults", Table(&DEFAULTS), "Values for every step that does not say otherwise."),
        key("steps", Map(&Table(&STEP)), "The steps, by name."),
        key("finally", Map(&Table(&STEP)), "Steps that run last, whatever came out."),
        key("decision", Table(&DECISION), "Bounds between GO, HOLD and NO-GO."),
        key("risk", List(&Table(&RISK)), "Declared risk factors."),
        key("signoffs", Table(&SIGNOFFS), "Who has to sign before it is GO."),
        with(
            "waivers",
            Text,
            "A file of `[[waivers]]`: criteria whose failure somebody accepts until a date; relative to this file.",
            "",
            "\"waivers.toml\"",
        ),
    ],
};

/// Keys that an included file may have.
pub(super) const INCLUDED: [&str; 10] =
    ["format", "include", "vars", "env", "secrets", "pools", "ports", "steps", "finally", "risk"];

pub(super) static PLAN: Kind = Kind {
    name: "plan",
    what: "`[plan]`",
    open: None,
    keys: &[
        with("name", Text, "Short name of the plan.", "the file's name without `.toml`", "\"staging-readiness\""),
        key("title", Text, "Title for people."),
        key("docs", Text, "Longer text or a link."),
        with(
            "workspace",
            Text,
            "Folder that every path is relative to; itself relative to the plan file's folder.",
            ".",
            "\"../..\"",
        ),
        with("on_failure", FAILURES, "What a failure of a required step does to the rest.", "independent", ""),
        with(
            "reports",
            List(&Template),
            "Readiness reports to write after each decision: `.md`, `.json`, `.html` or `.xml` (JUnit), relative to the workspace.",
            "[]",
            "[\"out/readiness.md\", \"out/readiness.html\"]",
        ),
        with("timeout_finally", Duration, "Time budget of all `finally` steps together.", "", "\"2m\""),
    ],
};

pub(super) static VAR: Kind = Kind {
    name: "var",
    what: "a variable",
    open: None,
    keys: &[
        key("default", OneOf(&[Scalar, List(&Scalar)]), "Its value unless another is given."),
        with("type", Word(&["string", "integer", "number", "boolean", "list"]), "Its type.", "that of the default", ""),
        with("enum", List(&Scalar), "The only values allowed.", "", "[\"local\", \"compose\"]"),
        key("min", OneOf(&[Int(i64::MIN, i64::MAX), Number]), "Smallest number allowed."),
        key("max", OneOf(&[Int(i64::MIN, i64::MAX), Number]), "Largest number allowed."),
        with("pattern", Text, "Regular expression that the whole text must match.", "", "\"v[0-9]+\""),
        with(
            "today",
            Text,
            "It is the day of the run (`--date`), in this form, unless given otherwise.",
            "",
            "\"%Y%m%d\"",
        ),
        with("required", Bool, "A value must be given from outside.", "false", ""),
        key("help", Text, "What it is for."),
    ],
};

pub(super) static ENV: Kind = Kind {
    name: "env",
    what: "`[env]`",
    open: None,
    keys: &[
        with(
            "pass",
            TEXTS,
            "Names that children inherit from the engine's environment.",
            "[\"HOME\", \"PATH\"]",
            "[\"PATH\", \"CARGO_HOME\"]",
        ),
        with("set", ENV_VALUES, "Variables set for every child.", "{}", "{ LANG = \"C\" }"),
    ],
};

pub(super) static SECRET: Kind = Kind {
    name: "secret",
    what: "a secret",
    open: None,
    keys: &[
        with("env", Text, "Environment variable of the engine that holds it.", "", "\"SLACK_WEBHOOK_URL\""),
        key("file", Text, "File that holds it, relative to the workspace."),
        with("random", Bool, "Where `env` is not set, each run makes a random value of its own.", "false", "true"),
    ],
};

pub(super) static PORTS: Kind = Kind {
    name: "ports",
    what: "`[ports]`",
    open: None,
    keys: &[with("names", TEXTS, "Names; `{{ ports.NAME }}` is the number.", "[]", "[\"app\"]")],
};

pub(super) static DEFAULTS: Kind = Kind {
    name: "defaults",
    what: "`[defaults]`",
    open: None,
    keys: &[
        key("timeout", Duration, "Longest time of one attempt."),
        key("retry", OneOf(&[Int(0, 1000), Table(&RETRY)]), "Extra attempts."),
        with("severity", SEVERITIES, "Weight in the risk.", "medium", ""),
        with("required", Bool, "Whether a failure blocks GO.", "true", ""),
        with("run_when", OUTCOMES, "On which outcome of its needs a step runs.", "success", ""),
        key("env", ENV_VALUES, "Variables of every step."),
        with("cwd", Template, "Folder that steps run in.", ".", ""),
        key("pool", Text, "Pool that every step holds."),
        key("pools", TEXTS, "Pools that every step holds."),
        key("tags", TEXTS, "Tags that every step has too."),
        with("on_failure", FAILURES, "What a failure of a step does to the rest.", "as in `[plan]`", ""),
    ],
};

pub(super) static STEP: Kind = Kind {
    name: "step",
    what: "a step",
    open: None,
    keys: &[
        key("title", Template, "Title for people."),
        key("docs", Template, "Longer text or a link."),
        key("tags", TEXTS, "For selection and grouping."),
        with("needs", TEMPLATES, "Steps that must have succeeded.", "[]", "[\"build\"]"),
        with("after", TEMPLATES, "Steps that must have ended, whatever came out.", "[]", "[\"lint\"]"),
        with(
            "when",
            CRITERIA,
            "Runs only if all of these hold; else it is skipped and says why.",
            "",
            "\"vars.stack == 'local'\"",
        ),
        with("run_when", OUTCOMES, "On which outcome of its needs it runs.", "success", ""),
        with("matrix", Table(&MATRIX), "One step for each combination of values.", "", "{ os = [\"linux\", \"mac\"] }"),
        key(
            "foreach",
            OneOf(&[Template, List(&OneOf(&[Template, Map(&Any)]))]),
            "One step for each item: `{{ item }}`, `{{ item.x }}`.",
        ),
        key("pool", Text, "Pool it holds while it runs."),
        key("pools", TEXTS, "Pools it holds while it runs."),
        with("cwd", Template, "Folder it runs in, relative to the workspace.", ".", ""),
        key("env", ENV_VALUES, "Variables of this step."),
        with("secrets", TEXTS, "Secrets it gets as environment variables of the same, upper-case name.", "[]", ""),
        key("stdin", OneOf(&[Template, Table(&STDIN)]), "Standard input: a text, or a file."),
        with(
            "run",
            OneOf(&[Text, List(&Template)]),
            "A command: a list of arguments, or shell text.",
            "",
            "[\"make\", \"test\"]",
        ),
        with(
            "http",
            OneOf(&[Template, TEMPLATES, Table(&HTTP)]),
            "An HTTP request, or several.",
            "",
            "{ url = \"http://127.0.0.1:8080/health\" }",
        ),
        key("render", Table(&RENDER), "Render a template file to a file."),
        with("file", OneOf(&[Template, TEMPLATES, Table(&FILE)]), "Look at files.", "", "\"dist/app.tar.gz\""),
        key("service", Table(&SERVICE), "A process that lives until its last dependant has ended."),
        with("value", Map(&Text), "Facts of earlier steps, by name.", "", "{ p95 = \"steps.load.duration\" }"),
        with(
            "report",
            OneOf(&[Template, Table(&REPORT)]),
            "Read a result file: coverage, tests, findings or benchmarks.",
            "",
            "\"coverage.xml\"",
        ),
        with("git", Table(&GIT), "Look at a git repository, or make and push a tag.", "", "{ tag = \"v1.2\" }"),
        with(
            "checklist",
            OneOf(&[Template, Table(&CHECKLIST)]),
            "Look at a Markdown task list, and tick what evidence earned.",
            "",
            "\"STAGING.md#Post-deploy\"",
        ),
        with(
            "net",
            OneOf(&[Template, Table(&NET)]),
            "Look at a port (`host:port`), a name or a TLS server.",
            "",
            "{ tls = \"example.org:443\" }",
        ),
        with(
            "load",
            Table(&LOAD),
            "A bounded burst of requests.",
            "",
            "{ url = \"http://127.0.0.1:8080/\", total = 2000 }",
        ),
        with(
            "promql",
            Table(&PROMQL),
            "A question to a Prometheus server.",
            "",
            "{ server = \"http://127.0.0.1:9090\", query = \"sum(up)\" }",
        ),
        with(
            "signoff",
            OneOf(&[TEXTS, Table(&SIGNOFF)]),
            "People who must approve before anything after this step starts.",
            "",
            "[\"Ops/SRE\"]",
        ),
        with(
            "plan",
            OneOf(&[Template, Table(&SUBPLAN)]),
            "Another plan file as one step.",
            "",
            "{ path = \"plans/database.toml\", vars = { size = 3 } }",
        ),
        with(
            "alert",
            Table(&ALERT),
            "Drill: fire an alert on a real Alertmanager and see that each receiver gets it.",
            "",
            "{ config = \"alertmanager.yml\", receivers = [\"slack\"] }",
        ),
        with(
            "inputs",
            TEMPLATES,
            "Files it reads: paths or globs; an empty list says that it reads none.",
            "[]",
            "[\"src/**\"]",
        ),
        with(
            "outputs",
            OneOf(&[List(&OneOf(&[Template, Table(&OUTPUT)])), Table(&OUTPUTS)]),
            "Files and named values it makes.",
            "[]",
            "[\"dist/\"]",
        ),
        with("parse", Word(&["json", "jsonl"]), "Read stdout as data.", "", ""),
        key("sample", Table(&SAMPLE), "Look several times."),
        with(
            "compare",
            OneOf(&[Table(&COMPARE), List(&Table(&COMPARE))]),
            "How criteria that say `baseline` are judged: by statistics on two samples.",
            "",
            "{ method = \"bootstrap\", baseline = \"load-main\" }",
        ),
        with("preset", Word(&preset::NAMES), "Criteria from a published list, as if written under `pass`.", "", ""),
        with("pass", CRITERIA, "All must hold.", "", "[\"exit == 0\"]"),
        key("any", CRITERIA, "At least one must hold."),
        key("warn", CRITERIA, "All hold when `pass` does not: a warning instead of a failure."),
        key("reject", CRITERIA, "Any holds: fails at once, without more attempts."),
        with("ratchet", Table(&RATCHET), "A threshold that rises with what was reached.", "", "{ floor = \"55\" }"),
        with("allow_empty", Text, "Lets a look at nothing pass, with this reason.", "", "\"no migrations yet\""),
        with(
            "allow_no_baseline",
            Text,
            "Lets criteria that say `baseline` hold while no run has passed yet, with this reason.",
            "",
            "\"the first run is the baseline\"",
        ),
        with(
            "artifacts",
            List(&OneOf(&[Template, Table(&OUTPUT)])),
            "Files it makes that are archived.",
            "[]",
            "[\"htmlcov/\"]",
        ),
        with("reuse", Bool, "Whether its earlier result may stand for a new one.", "true", "false"),
        with("timeout", Duration, "Longest time of one attempt.", "", "\"3m\""),
        with(
            "retry",
            OneOf(&[Int(0, 1000), Table(&RETRY)]),
            "Extra attempts when it fails.",
            "0",
            "{ limit = 2, backoff = \"2s\" }",
        ),
        with("required", Bool, "Whether a failure blocks GO.", "true", ""),
        with("severity", SEVERITIES, "Weight in the risk.", "medium", ""),
        with("weight", Number, "Weight in the risk, 0 to 1, instead of the severity's.", "", "0.2"),
        with("on_failure", FAILURES, "What its failure does to the rest.", "as in `[plan]`", ""),
    ],
};

/// Keys of a step of which exactly one is its main action (`report` may also follow a `run`).
pub(super) const ACTIONS: [&str; 15] = [
    "run",
    "http",
    "render",
    "file",
    "service",
    "value",
    "report",
    "git",
    "checklist",
    "net",
    "load",
    "promql",
    "signoff",
    "plan",
    "alert",
];

pub(super) static MATRIX: Kind = Kind {
    name: "matrix",
    what: "`matrix`",
    open: Some(List(&Scalar)),
    keys: &[
        key("exclude", List(&Map(&Scalar)), "Combinations left out; a part of the axes is enough."),
        key("include", List(&Map(&Scalar)), "Combinations added; each names every axis."),
    ],
};

pub(super) static OUTPUTS: Kind = Kind {
    name: "outputs",
    what: "`outputs`",
    open: None,
    keys: &[
        key("files", List(&OneOf(&[Template, Table(&OUTPUT)])), "Files it makes."),
        with("values", TEXTS, "Names it must write to the file named by `$RUNPLAN_OUTPUT`.", "[]", "[\"version\"]"),
    ],
};

pub(super) static OUTPUT: Kind = Kind {
    name: "output",
    what: "an output",
    open: None,
    keys: &[
        key("path", Template, "The file or folder, relative to the workspace."),
        with(
            "class",
            Word(&["stable", "normalized", "volatile"]),
            "Whether its bytes are the same in every run.",
            "stable",
            "",
        ),
        with(
            "normalize",
            List(&OneOf(&[Word(&["timestamps", "hex-addresses", "workspace", "sort-lines", "crlf"]), Table(&FILTER)])),
            "What is done to its lines before its digest is taken, in order.",
            "",
            "[\"timestamps\", { replace = \"pid [0-9]+\", with = \"pid N\" }]",
        ),
    ],
};

pub(super) static FILTER: Kind = Kind {
    name: "filter",
    what: "a filter",
    open: None,
    keys: &[
        key("replace", Text, "A regular expression, looked for in each line."),
        key("with", Text, "What each match becomes; `$1` is the first group, `$$` a `$`."),
    ],
};

pub(super) static STDIN: Kind = Kind {
    name: "stdin",
    what: "`stdin`",
    open: None,
    keys: &[key("file", Template, "A file, relative to the workspace.")],
};

pub(super) static RATCHET: Kind = Kind {
    name: "ratchet",
    what: "`ratchet`",
    open: None,
    keys: &[
        key("floor", OneOf(&[Int(i64::MIN, i64::MAX), Number, Text]), "Lowest value ever asked for."),
        key("goal", OneOf(&[Int(i64::MIN, i64::MAX), Number, Text]), "The threshold does not rise above this."),
        with("slack", OneOf(&[Int(i64::MIN, i64::MAX), Number, Text]), "How far below the best a run may be.", "0", ""),
    ],
};

pub(super) static COMPARE: Kind = Kind {
    name: "compare",
    what: "`compare`",
    open: None,
    keys: &[
        with(
            "method",
            Word(&CompareMethod::WORDS),
            "How the two sides are compared. Required.",
            "",
            "\"mann-whitney\"",
        ),
        with("alpha", Number, "Chance of a wrong answer, 0.001 to 0.5.", "0.05", "0.01"),
        with(
            "min_n",
            Int(1, MANY),
            "Fewest samples a side; with less the answer is inconclusive.",
            "20; 1 for `point`",
            "",
        ),
        with("seed", Int(0, i64::MAX), "Seed of `bootstrap`.", "0", ""),
        with(
            "baseline",
            Template,
            "The step whose facts are the other side.",
            "the action's own second side",
            "\"load-main\"",
        ),
    ],
};

pub(super) static RENDER: Kind = Kind {
    name: "render",
    what: "`render`",
    open: None,
    keys: &[
        key("template", Template, "Template file, relative to the workspace."),
        key("to", Template, "Target file, relative to the workspace; replaced atomically."),
        with("mode", Mode, "Permissions of the target.", "0644; 0600 where secrets are named", "\"0600\""),
    ],
};

pub(super) static FILE: Kind = Kind {
    name: "file",
    what: "`file`",
    open: None,
    keys: &[
        key("path", Template, "A path or glob."),
        key("paths", TEMPLATE_OR_TEMPLATES, "Paths or globs."),
        with(
            "parse",
            Word(&["dotenv", "json", "toml", "yaml", "ini"]),
            "How it is read as data.",
            "by its extension",
            "",
        ),
        key("template", Template, "A template to compare keys with."),
    ],
};

pub(super) static SERVICE: Kind = Kind {
    name: "service",
    what: "`service`",
    open: None,
    keys: &[
        key("run", OneOf(&[Text, List(&Template)]), "The command."),
        key("ready", Table(&READY), "When it counts as ready."),
        key("stop", Table(&STOP), "How it is ended."),
    ],
};

pub(super) static READY: Kind = Kind {
    name: "ready",
    what: "`ready`",
    open: None,
    keys: &[
        key("http", OneOf(&[Template, Table(&HTTP)]), "A request is answered by 2xx."),
        key("run", OneOf(&[Text, List(&Template)]), "A command exits with 0."),
        with("log", Text, "A line of its output matches this regular expression.", "", "\"listening on\""),
        with("tcp", Template, "`host:port` accepts a connection.", "", "\"127.0.0.1:5432\""),
        with(
            "every",
            Duration,
            "Pause between two looks; a log and a port are looked at sooner at first.",
            "200ms",
            "",
        ),
        with("within", Duration, "Longest time until it must be ready.", "30s", ""),
        with("consecutive", Int(1, MANY), "Looks in a row that must succeed.", "1", ""),
    ],
};

pub(super) static STOP: Kind = Kind {
    name: "stop",
    what: "`stop`",
    open: None,
    keys: &[
        with(
            "signal",
            Word(&["SIGTERM", "SIGINT", "SIGQUIT", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGKILL"]),
            "Signal sent first.",
            "SIGTERM",
            "",
        ),
        with("grace", Duration, "Time until it is killed.", "5s", ""),
    ],
};

pub(super) static DECISION: Kind = Kind {
    name: "decision",
    what: "`[decision]`",
    open: None,
    keys: &[with("risk", Table(&BOUNDS), "Bounds of the risk.", "{ go = 40, no_go = 70 }", "")],
};

pub(super) static BOUNDS: Kind = Kind {
    name: "bounds",
    what: "`risk`",
    open: None,
    keys: &[
        with("go", Int(0, 100), "Up to this risk: GO.", "40", ""),
        with("no_go", Int(0, 100), "From this risk on: NO-GO.", "70", ""),
    ],
};

pub(super) static RISK: Kind = Kind {
    name: "risk",
    what: "a risk factor",
    open: None,
    keys: &[
        key("id", Text, "Its name."),
        key("title", Text, "What the risk is."),
        with("weight", Number, "Weight, 0 to 1.", "", "0.2"),
        with("severity", SEVERITIES, "Weight by severity.", "medium", ""),
        key("when", CRITERIA, "Applies only if all of these hold."),
    ],
};
