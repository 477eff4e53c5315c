//! Whole plans through the loader: what comes out, and what is said about what is wrong, with its exact place.

mod comparisons;
mod robust;

use std::collections::BTreeSet;
use std::sync::Arc;

use camino::{Utf8Path, Utf8PathBuf};

use super::keys::{Kind, Shape};
use super::{LoadOptions, Loaded, error, load, load_text, norm, tables, tree};
use crate::action::{Action, Command, Text};
use crate::facts::{Num, Unit, Value};
use crate::outcome::Tier;

fn options<'a>(vars: &[(&str, &str)], env: &'a dyn Fn(&str) -> Option<String>) -> LoadOptions<'a> {
    let vars = vars.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    LoadOptions { today: "2026-11-24", vars, var_files: Vec::new(), env, strict: false }
}

fn loaded(text: &str) -> Loaded {
    load_text(Utf8Path::new("p.toml"), text, &options(&[], &|_| None))
}

/// `line:col code: message | help`, one a line.
fn said(loaded: &Loaded) -> Vec<String> {
    let sources = &loaded.plan.sources;
    loaded
        .diagnostics
        .iter()
        .map(|fault| {
            let at = fault.place.and_then(|place| Some(sources.file(place)?.line_col(place.start as usize)));
            let at = at.map_or_else(|| "-".to_owned(), |(line, col)| format!("{line}:{col}"));
            let help = fault.help.as_ref().map_or_else(String::new, |help| format!(" | {help}"));
            format!("{at} {}: {}{help}", fault.code, fault.message)
        })
        .collect()
}

/// Asserts exactly what is said of a plan that begins with `format = 1` on line 1.
#[track_caller]
pub(super) fn says(body: &str, expected: &[&str]) {
    assert_eq!(said(&loaded(&format!("format = 1\n{body}"))), expected, "{body}");
}

#[track_caller]
pub(super) fn good(body: &str) -> super::Plan {
    let loaded = loaded(&format!("format = 1\n{body}"));
    assert_eq!(said(&loaded), Vec::<String>::new());
    Arc::unwrap_or_clone(loaded.plan)
}

const FULL: &str = r#"format = 1
include = []
x-note = "free"
[plan]
name = "full"
title = "All keys"
docs = "d"
workspace = "."
on_failure = "stop"
timeout_finally = "2m"
[vars]
url = "http://127.0.0.1:1"
hosts = ["a", "b"]
stack = { default = "local", type = "string", enum = ["local", "compose"], pattern = "[a-z]+", required = false, help = "h" }
floor = { default = 32, min = 0, max = 100 }
[env]
pass = ["PATH"]
set = { LANG = "C", URL = "{{ vars.url }}", N = 3 }
[secrets]
hook = { env = "HOOK" }
key = { file = "key.txt" }
[pools]
docker = 1
[ports]
names = ["app"]
[defaults]
timeout = "1m"
retry = 1
severity = "high"
required = true
run_when = "success"
env = { A = "1" }
cwd = "."
pool = "docker"
tags = ["t"]
on_failure = "independent"
[decision]
risk = { go = 30, no_go = 60 }
[signoffs]
roles = ['Dev']
distinct = false
valid = '8h'
signers = 'ops/signers'
people = { Dev = 'ana' }
[[risk]]
id = "freeze"
title = "t"
weight = 0.2
severity = "low"
when = "vars.stack == 'local'"
[steps.build]
title = "Build {{ vars.stack }}"
docs = "x"
run = ["make", "{{ vars.stack }}"]
parse = "json"
outputs = { files = ["dist/", { path = "x.log", class = "volatile" }, { path = "y.log", normalize = ["crlf", { replace = "a", with = "b" }] }], values = ["version"] }
artifacts = ["htmlcov/"]
inputs = ["src/**"]
retry = { limit = 2, backoff = "2s", factor = 2, cap = "10s", exit = [75] }
pass = ["exit == 0"]
env = { B = "{{ secrets.hook }}" }
stdin = { file = "in.txt" }
secrets = ["hook"]
when = ["vars.floor >= 10"]
report = { path = "coverage.xml", format = "cobertura", files = ["app/*.py"] }
[steps.test]
needs = ["build"]
matrix = { os = ["linux", "mac"], py = [3.11, "3.12"], exclude = [{ os = "mac", py = "3.11" }], include = [{ py = "3.13", os = "win" }] }
run = ["t", "{{ matrix.os }}", "{{ steps.build.outputs.version }}"]
[steps.each]
foreach = "{{ vars.hosts }}"
http = { url = "http://{{ item }}/x", method = "GET", headers = { X = "y" }, body = "b", timeout = "1s", redirects = 1, max_body = "1KiB" }
sample = { delay = "1s", every = "1s", max = 9, within = "60s", consecutive = 3, failures = 1, inconclusive = 1, errors = 1 }
[steps.srv]
service = { run = ["srv", "{{ ports.app }}"], ready = { tcp = "127.0.0.1:{{ ports.app }}", every = "1s", within = "9s", consecutive = 2 }, stop = { signal = "SIGINT", grace = "1s" } }
[steps.look]
after = ["srv", "test[os=linux]"]
file = { path = "a.json", paths = [], parse = "json", template = "t" }
allow_empty = "why"
weight = 0.5
[steps.rend]
render = { template = "a", to = "b", mode = "0600" }
pools = ["docker"]
[steps.cov]
report = "c.xml"
pass = ["percent(lines) >= ratchet"]
ratchet = { floor = 55, goal = "85pp", slack = 1 }
[steps.canary]
needs = ["cov"]
report = "d.xml"
pass = ["avg(files.percent(lines)) >= baseline - 1%"]
compare = { method = "bootstrap", alpha = 0.01, min_n = 50, seed = 7, baseline = "cov" }
[finally.end]
value = { v = "steps.build.exit" }
any = ["v == 0"]
warn = ["v == 1"]
reject = ["v == 2"]
"#;

/// Every key of the actions that look at one thing.
const LOOKS: &str = r#"format = 1
[steps.tag]
git = { tag = "v1", make = true, at = "HEAD", annotate = "x", sign = true, push = "origin" }
[steps.list]
after = ["tag"]
checklist = { path = "x.md#A", tick = { "tagged" = "tag" } }
[steps.tcp]
net = { tcp = "127.0.0.1:1", timeout = "1s" }
[steps.dns]
net = { dns = "localhost" }
[steps.tls]
net = { tls = "127.0.0.1:1", name = "localhost", ca = "ca.pem" }
[steps.pages]
http = { url = "https://127.0.0.1:1", paths = ["/", "/x"], ca = "ca.pem" }
preset = "owasp-headers@2026-07"
[steps.pair]
http = { urls = ["http://127.0.0.1:1/a", "http://127.0.0.1:2/a"] }
[steps.found]
report = { path = "scan.sarif", baseline = "known.sarif", diff = "main" }
[steps.burst]
load = { url = "http://127.0.0.1:1/", total = 50, concurrency = 2, warmup = 3, rate = 9, baseline = "http://[::1]:2/", allow_remote = true, method = "POST", headers = { a = "b" }, body = "x", timeout = "1s", max_body = "1KiB" }
compare = { method = "bootstrap", min_n = 50 }
pass = ["avg(latency) <= baseline + 10%"]
[steps.range]
promql = { server = "http://127.0.0.1:1", query = "a", time = "1", range = { last = "1m", step = "1s" }, baseline = "b", headers = { a = "b" }, timeout = "1s", allow_warnings = true }
compare = { method = "mann-whitney" }
pass = ["med(samples) <= baseline"]
[steps.ratio]
promql = { server = "http://127.0.0.1:1", query = { bad = "a", total = "b" } }
[vars]
day = { today = "%Y%m%d", pattern = "20261124" }
[steps.gate]
signoff = { roles = ["Ops"], distinct = false, valid = "8h", signers = "ops", people = { Ops = ["ana"] } }
[steps.child]
plan = { path = "child.toml", vars = { size = 3 }, steps = ["a"] }
[steps.drill]
alert = { config = "a.yml", receivers = ["x"], labels = { a = "b" }, annotations = { c = "d" }, within = "1s", timers = "1s" }
[steps.given]
alert = { server = "http://127.0.0.1:1", receivers = ["x"], capture = { x = "smtp://127.0.0.1:2" } }
"#;

#[test]
fn a_full_plan_loads_and_means_what_it_says() {
    let env = |name: &str| (name == "HOOK").then(|| "long enough".to_owned());
    let loaded = load_text(Utf8Path::new("p.toml"), FULL, &options(&[], &env));
    assert_eq!(said(&loaded), Vec::<String>::new());
    let plan = loaded.plan;
    let names: Vec<&str> = plan.steps.iter().map(|step| step.name.as_str()).collect();
    let cells = ["test[os=linux,py=3.11]", "test[os=linux,py=3.12]", "test[os=mac,py=3.12]", "test[os=win,py=3.13]"];
    assert_eq!(
        names,
        [&["build"][..], &cells, &["each[a]", "each[b]", "srv", "look", "rend", "cov", "canary", "end"]].concat()
    );
    let step = |name: &str| plan.step(plan.find(name).unwrap());
    assert_eq!(step("build").title.as_deref(), Some("Build local"));
    let Action::Run(run) = &step("test[os=linux,py=3.12]").action else { panic!() };
    let version = Text { src: "{{ steps.build.outputs.version }}".into(), late: true };
    assert_eq!(run.command, Command::Argv(vec![Text::fixed("t"), Text::fixed("linux"), version]));
    assert_eq!(step("look").after.len(), 3);
    assert!(step("build").criteria.iter().any(|criterion| criterion.tier == Tier::Pass));
    assert_eq!(step("each[b]").sample.as_ref().unwrap().consecutive, 3);
    assert_eq!(
        step("build").env,
        [("A".to_owned(), Text::fixed("1")), ("B".to_owned(), Text { src: "{{ secrets.hook }}".into(), late: true })]
    );
    assert_eq!(step("cov").ratchet.as_ref().unwrap().subject, "percent(lines)");
    assert!(step("end").finally);
    assert_eq!(plan.vars["floor"].value, Value::int(32));
    assert_eq!(plan.decision.no_go, 60);
    let signoffs = plan.signoffs.clone().unwrap();
    assert_eq!((signoffs.roles, signoffs.valid_s, signoffs.distinct), (vec!["Dev".to_owned()], 28_800, false));
    assert_eq!(signoffs.people["Dev"], ["ana"]);
    assert_eq!(plan.sources.locate(step("build").place), "p.toml:51:1");
}

/// Every key table there is.
fn kinds() -> Vec<&'static Kind> {
    fn of(shape: &Shape, all: &mut Vec<&'static Kind>) {
        match shape {
            Shape::Table(kind) if all.iter().all(|known| known.name != kind.name) => {
                all.push(kind);
                kind.keys.iter().for_each(|key| of(&key.shape, all));
            }
            Shape::List(inner) | Shape::Map(inner) => of(inner, all),
            Shape::OneOf(shapes) => shapes.iter().for_each(|shape| of(shape, all)),
            _ => {}
        }
    }
    let mut all = vec![&tables::DOCUMENT];
    tables::DOCUMENT.keys.iter().for_each(|key| of(&key.shape, &mut all));
    all
}

#[test]
fn the_walk_reads_every_key_of_the_tables_and_no_other() {
    tree::seen::take();
    // That it reads no other is a debug assertion in `Table::get`.
    let _ = load_text(Utf8Path::new("p.toml"), FULL, &options(&[], &|_| None));
    let _ = loaded(
        "format = 1\n[steps.a]\nrun = 'x'\n[steps.b]\nservice = { run = 'x', ready = { http = { url = 'http://x' } } }\n",
    );
    assert_eq!(said(&loaded(LOOKS)), Vec::<String>::new());
    let seen = tree::seen::take();
    let listed: BTreeSet<(String, String)> = kinds()
        .into_iter()
        .flat_map(|kind| kind.keys.iter().map(|key| (kind.name.to_owned(), key.name.to_owned())))
        .collect();
    let unread: Vec<_> = listed.difference(&seen).collect();
    assert!(unread.is_empty(), "in the tables, but never read: {unread:?}");
}

#[test]
fn keys_types_words_and_units() {
    says(
        "[steps.a]\nrun = 'x'\ntimout = '3s'\n",
        &["4:1 unknown-key: unknown key `timout` in a step | did you mean `timeout`?"],
    );
    says(
        "[steps.a]\nrun = 'x'\ntimeout = 30\n",
        &["4:11 wrong-type: `timeout` needs a duration such as \"30s\", got an integer | write `timeout = \"30s\"`"],
    );
    says(
        "[steps.a]\nrun = 'x'\ntimeout = '30x'\n",
        &["4:11 wrong-unit: `timeout` cannot be `30x` | units are `ms`, `s`, `m`, `h`, `d`"],
    );
    says(
        "[steps.a]\nrun = 'x'\nneeds = 'b'\n[steps.b]\nrun='x'\n",
        &["4:9 wrong-type: `needs` needs a list of strings, got a string | write `needs = [\"b\"]`"],
    );
    says(
        "[steps.a]\nrun = 'x'\nseverity = 'hihg'\n",
        &["4:12 unknown-word: `severity` cannot be `hihg` | did you mean `high`?"],
    );
    says(
        "[steps.a]\nrun = ['x', 1]\n",
        &["3:13 wrong-type: each element of `run` needs to be a string, got an integer | write it in quotes: \"1\""],
    );
    says(
        "[steps.a]\nrun = 'x'\nretry = 1001\n",
        &["4:9 out-of-range: `retry` needs a whole number from 0 to 1000, got 1001"],
    );
    says(
        "[pools]\np = 0\n[steps.a]\nrun = 'x'\n",
        &["3:5 out-of-range: `p` needs a whole number from 1 to 1000000, got 0"],
    );
    says(
        "[decision]\nzzzzzzzz = 1\n[steps.a]\nrun = 'x'\n",
        &["3:1 unknown-key: unknown key `zzzzzzzz` in `[decision]` | `[decision]` takes `risk`"],
    );
    says(
        "[steps.a.b]\nrun = 'x'\n[steps.c]\nrun='x'\n",
        &[
            "2:10 step-name-dots: `b` is a table inside a step, not a step | step names have no dots: write `[steps.a-b]` instead of `[steps.a.b]`",
        ],
    );
}

#[test]
fn the_head_of_a_plan() {
    assert_eq!(
        said(&loaded("[steps.a]\nrun='x'\n")),
        ["1:1 missing-format: the plan does not say its language version | begin it with `format = 1`"]
    );
    assert_eq!(
        said(&loaded("format = 2\n[steps.a]\nrun='x'\n")),
        [
            "1:10 unknown-format: this plan is written in language version 2; this runplan reads version 1 | use a newer runplan, or write `format = 1`"
        ]
    );
    says("", &["1:1 no-steps: the plan has no steps | add one: `[steps.hello]` with `run = [\"echo\", \"hello\"]`"]);
    says(
        "[signoffs]\nroles = []\n[steps.a]\nrun='x'\n",
        &["3:9 no-roles: no role is named: nobody has to sign | name the roles, or remove this"],
    );
    says(
        "[signoffs]\nroles = ['Dev', 'Dev', ' x']\npeople = { Dve = ['ana'] }\n[steps.a]\nrun='x'\n",
        &[
            "3:17 duplicate-name: role `Dev` is declared twice | remove or rename one of the two",
            "3:24 bad-name: ` x` cannot be a role | a role is one line of text without spaces around it",
            "4:12 unknown-role: no role `Dve` | did you mean `Dev`?",
        ],
    );
    says(
        "[decision]\nrisk = { go = 80, no_go = 70 }\n[steps.a]\nrun='x'\n",
        &[
            "3:10 risk-bounds: `go` (80) is above `no_go` (70) | GO is for the lower risks: `risk = { go = 40, no_go = 70 }`",
        ],
    );
}

#[test]
fn names_of_steps() {
    says(
        "[steps.a]\nrun='x'\nneeds=['bild']\n[steps.build]\nrun='x'\n",
        &["4:8 unknown-step: `needs` names `bild`, and there is no such step | did you mean `build`?"],
    );
    says("[steps.a]\nrun='x'\nneeds=['a']\n", &["4:8 self-need: step `a` needs itself | remove it from `needs`"]);
    says(
        "[steps.a]\nrun='x'\n[steps.b]\nrun='x'\nneeds=['a', 'a']\n",
        &["6:13 duplicate-need: `a` stands twice in `needs` | remove one of the two"],
    );
    says("[steps.Build]\nrun='x'\n", &["2:8 bad-step-name: `Build` is not a step name | write `build`"]);
    says(
        "[steps.a]\nrun='x'\nmatrix = { os = ['l', 'l'] }\n",
        &["4:23 duplicate-step: `l` stands twice on axis `os`: two steps would have one name | remove one of the two"],
    );
    says(
        "[steps.a]\nrun='x'\nmatrix = { os = ['l'] }\n[steps.b]\nrun='x'\nneeds=['a[os=m]']\n",
        &["7:8 unknown-step: `needs` names `a[os=m]`, and there is no such step | `a` has `a[os=l]`"],
    );
    says(
        "[steps.a]\nrun='x'\nneeds=['z']\n[finally.z]\nrun='x'\n",
        &[
            "4:8 needs-finally: `z` is a `finally` step: it runs after everything else | only other `finally` steps can come after it",
        ],
    );
    says("[steps.a]\nrun='x'\nneeds=['b']\n[steps.b]\nrun='x'\nneeds=['a']\n", &[]);
}

#[test]
fn actions() {
    says(
        "[steps.a]\nrun='x'\nhttp='http://x'\n",
        &[
            "4:1 two-actions: step `a` has two actions, `run` and `http` | make it two steps, one after the other by `needs`",
        ],
    );
    says(
        "[steps.a]\nfile='x'\nreport='r'\n",
        &[
            "4:1 two-actions: `report` cannot follow `file` | `report` stands alone or follows a `run`; make it a step of its own",
        ],
    );
    says(
        "[steps.a]\nhttp='x/y'\n",
        &["3:6 bad-url: `x/y` is not an http or https URL | write `http://host:port/path` or `https://…`"],
    );
    says(
        "[steps.a]\nhttp={ method = 'GET' }\n",
        &[
            "3:6 missing-key: `http` needs `url` | add `url = \"http://127.0.0.1:8080/health\"`: absolute URL, http or https",
        ],
    );
    says(
        "[steps.a]\nrun=[]\n",
        &["3:5 empty-command: `run` names no program | the first element is the program: `[\"make\", \"test\"]`"],
    );
    says(
        "[steps.a]\nrun='x'\noutputs=['../x', '/y', 'a/../../b']\n",
        &[
            "4:10 path-outside: output `../x` leaves the workspace | paths are relative to the workspace and stay inside it",
            "4:18 path-outside: output `/y` is absolute | paths are relative to the workspace and stay inside it",
            "4:24 path-outside: output `a/../../b` leaves the workspace | paths are relative to the workspace and stay inside it",
        ],
    );
    says(
        "[steps.a]\nrun='x'\nsample={ max = 2, consecutive = 3 }\n",
        &[
            "4:19 sample-impossible: 3 looks in a row can never pass out of at most 2 | raise `max` or lower `consecutive`",
        ],
    );
    says(
        "[steps.a]\nrun='x'\nsample={ max = 2, failures = 2 }\n",
        &["4:19 sample-impossible: all 2 looks may fail, so this proves nothing | `failures` must be below `max`"],
    );
    says(
        "[steps.a]\nrun='x'\npool='dokcer'\n[pools]\ndocker=1\n",
        &["4:6 unknown-pool: there is no pool `dokcer` | did you mean `docker`?"],
    );
}

#[test]
fn templates() {
    says(
        "[vars]\nbase_url='x'\n[steps.a]\nrun=['x', 'a {{ vars.bas_url }}']\n",
        &["5:17 template: unknown name `vars.bas_url` | did you mean `vars.base_url`?"],
    );
    says(
        "[steps.a]\nrun='x'\ntitle = \"\"\"\n\nok {{ vars.x }}\"\"\"\n",
        &["6:7 template: unknown name `vars.x` | no `vars` are declared"],
    );
    says(
        "[vars]\nv='x'\n[steps.a]\nrun='echo {{ vars.v }} {{.Names}}'\n",
        &[
            "5:14 template-in-shell: `vars.v` in shell text | no quoting would be safe: pass it as a variable, `env = { V = \"{{ vars.v }}\" }`, and write `\"$V\"`; or give `run` as a list",
        ],
    );
    assert_eq!(good("[steps.a]\nrun=\"docker ps --format '{{.Names}}' ${#x}\"\n").steps.len(), 1);
    let two = "[steps.a]\nrun=['x']\noutputs={values=['ver']}\n[steps.b]\nneeds=['a']\n";
    good(&format!("{two}run=['x','{{{{ steps.a.outputs.ver }}}}']\n"));
    says(
        &format!("{two}run=['x','{{{{ steps.a.outputs.vr }}}}']\n"),
        &["7:14 template: step `a` declares no output `vr` | did you mean `ver`?"],
    );
    says(
        &format!("{two}run=['x','{{{{ steps.c.outputs.ver }}}}']\n"),
        &["7:14 template: there is no step `c` | did you mean `a`?"],
    );
    says(
        "[steps.a]\nrun=['x']\noutputs={values=['ver']}\n[steps.b]\nrun=['x','{{ steps.a.outputs.ver }}']\n",
        &["6:14 template: `a` does not come before this step | add `needs = [\"a\"]`"],
    );
    says(
        "[ports]\nnames=['app']\n[steps.a]\nrun=['x','{{ ports.ap }}']\n",
        &["5:14 template: unknown port `ports.ap` | did you mean `ports.app`?"],
    );
    says(
        "[steps.a]\nrun='x'\ntitle='{{ steps.a.outputs.x }}'\n",
        &[
            "4:11 late-name: `steps.a.outputs.x` is known only while the plan runs | this text has to be known before anything runs",
        ],
    );
}

#[test]
fn secrets() {
    let plan = "format = 1\n[secrets]\nhook={env='HOOK'}\n[steps.a]\nrun=['x']\nenv={H='{{ secrets.hook }}'}\n";
    let with = |value: Option<&str>| {
        let env = |name: &str| value.filter(|_| name == "HOOK").map(str::to_owned);
        said(&load_text(Utf8Path::new("p.toml"), plan, &options(&[], &env)))
    };
    assert_eq!(with(Some("12345678")), Vec::<String>::new());
    assert_eq!(
        with(None),
        ["3:1 secret-missing: secret `hook` has no value: `HOOK` is not set | set it before the run: `export HOOK=…`"]
    );
    assert!(with(Some("1234567"))[0].starts_with("3:1 secret-short: secret `hook` is shorter than 8 bytes"));
    says("[secrets]\nhook={env='HOOK'}\n[steps.a]\nrun='x'\n", &[]);
    let exposed = loaded("format = 1\n[secrets]\nhook={env='HOOK'}\n[steps.a]\nrun=['x','{{ secrets.hook }}']\n");
    assert!(
        said(&exposed)[1].starts_with("5:14 secret-exposed: `secrets.hook` would be visible in an argument"),
        "{:?}",
        said(&exposed)
    );
}

#[test]
fn variables() {
    let plan = "format = 1\n[vars]\nfloor={default=32,min=0,max=100}\nstack={default='local',enum=['local','compose']}\non=true\nneed={type='integer',required=true}\n[steps.a]\nrun='x'\n";
    let with = |vars: &[(&str, &str)]| {
        load_text(
            Utf8Path::new("p.toml"),
            plan,
            &options(vars, &|name| (name == "RUNPLAN_VAR_NEED").then(|| "7".to_owned())),
        )
    };
    let ok = with(&[("floor", "40"), ("on", "false")]);
    assert_eq!(said(&ok), Vec::<String>::new());
    assert_eq!(ok.plan.vars["floor"].value, Value::int(40));
    assert_eq!(
        (&ok.plan.vars["need"].value, ok.plan.vars["need"].origin.as_str()),
        (&Value::int(7), "RUNPLAN_VAR_NEED")
    );
    assert_eq!(
        said(&with(&[("floor", "200")])),
        ["3:1 var-out-of-range: `200` for `floor` (from --var) is over the maximum 100"]
    );
    assert_eq!(
        said(&with(&[("floor", "x")])),
        ["3:1 var-out-of-range: `x` for `floor` (from --var) is not a whole number"]
    );
    assert_eq!(
        said(&with(&[("stack", "swarm")])),
        ["4:1 var-out-of-range: `swarm` for `stack` (from --var) is none of `local` and `compose`"]
    );
    assert_eq!(
        said(&with(&[("flor", "1")])),
        ["- unknown-var: --var names `flor`, which the plan does not declare | did you mean `floor`?"]
    );
    assert_eq!(
        said(&loaded(plan)),
        ["6:1 var-missing: variable `need` has no value | give one: `--var need=…` or `RUNPLAN_VAR_NEED=…`"]
    );
}

#[test]
fn criteria_are_checked_in_their_place() {
    says(
        "[steps.a]\nrun='x'\npass=['exti == 0']\n",
        &["4:8 criterion: `run` has no fact `exti` | did you mean `exit`?"],
    );
    let plan = good(
        "[vars]\nn=3\n[steps.a]\nrun='x'\npass=['exit == {{ vars.n }}']\n[steps.b]\nneeds=['a']\nvalue={ e = 'steps.a.exit' }\npass=['e == 3']\nwhen=\"steps.a.state == 'pass'\"\n",
    );
    assert_eq!(plan.steps[0].criteria[0].text, "exit == 3");
    let late = loaded("format = 1\n[steps.a]\nrun='x'\n[steps.b]\nrun='x'\npass=['steps.a.exit == 0']\n");
    assert!(said(&late)[0].starts_with("6:"), "{:?}", said(&late));
    let plan =
        good("[steps.a]\nreport='c.xml'\nratchet={floor=5, goal='9%', slack=1}\npass=['percent(lines) >= ratchet']\n");
    let ratchet = plan.steps[0].ratchet.as_ref().unwrap();
    let share = |percent| Value::Num(Num::ratio(percent, 100).unwrap(), Unit::Percent);
    assert_eq!((&ratchet.floor, &ratchet.goal, &ratchet.slack), (&share(5), &Some(share(9)), &Some(share(1))));
    says(
        "[steps.a]\nrun='x'\nratchet={floor=5}\n",
        &[
            "2:1 ratchet: no criterion of `a` compares with `ratchet` | write such as `pass = [\"percent(lines) >= ratchet\"]`",
        ],
    );
}

#[test]
fn warnings_are_errors_when_strict() {
    let plan = "format = 1\n[steps.a]\nrun='x'\nrequired=false\n[steps.b]\nrun='x'\nneeds=['a']\n[steps.s]\nservice={run='x'}\n[steps.v]\nrun='x'\noutputs=[{path='log/', class='volatile'}]\n[steps.w]\nrun='x'\nneeds=['v']\ninputs=['log/a.txt']\n";
    let codes = |strict| {
        let loaded = load_text(Utf8Path::new("p.toml"), plan, &LoadOptions { strict, ..options(&[], &|_| None) });
        let codes: Vec<&str> = loaded.diagnostics.iter().map(|fault| fault.code).collect();
        (codes.join(" "), loaded.has_errors(), loaded.plan.steps.iter().filter(|step| step.volatile).count())
    };
    let expected = "needs-advisory unused-service reads-volatile".to_owned();
    assert_eq!(codes(false), (expected.clone(), false, 1));
    assert_eq!(codes(true), (expected, true, 1));
}

#[test]
fn all_errors_at_once_in_source_order_and_once_each() {
    let found = said(&loaded(
        "format = 1\n[steps.a]\nrun=['{{ vars.q }}']\nmatrix={n=[1,2,3]}\nneeds=['zz']\n[steps.b]\ntimeout=1\n",
    ));
    let codes: Vec<&str> = found.iter().filter_map(|line| line.split([' ', ':']).nth(2)).collect();
    assert_eq!(codes, ["template", "unknown-step", "no-action", "wrong-type"], "{found:#?}");
}
