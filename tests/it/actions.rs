//! Each kind of check on the real thing, with its negative twin: git, checklists, sockets, bursts, Prometheus, headers,
//! result files.

use std::process::Command;

use crate::support::{self, Space};

/// A program in the space, to its end.
#[track_caller]
pub(super) fn sh(space: &Space, text: &str) -> String {
    let who = [("GIT_AUTHOR_NAME", "A"), ("GIT_COMMITTER_NAME", "A"), ("EMAIL", "a@example.org")];
    let output = Command::new("sh").args(["-ec", text]).current_dir(space.path()).envs(who).output().expect("a shell");
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

const TAG: &str = r#"
[vars]
date = "20260824"

[env]
set = { GIT_COMMITTER_NAME = "A", GIT_COMMITTER_EMAIL = "a@example.org" }

[steps.tag]
git = { tag = "vSTAGING-{{ vars.date }}", make = true, annotate = "staging {{ vars.date }}", push = "origin" }
pass = ["tag.annotated == true"]

[steps.see]
needs = ["tag"]
git = { tag = "vSTAGING-{{ vars.date }}" }
pass = ["tag.commit == head", "remote.origin.has_tag == true", "branch == \"main\"", "clean == true"]
"#;

#[test]
fn a_tag_is_made_and_pushed_once_and_never_moved() {
    let space = Space::plan(TAG);
    sh(
        &space,
        "git init -q -b main . && git init -q --bare origin.git && git remote add origin ./origin.git
         printf 'origin.git\n' > .gitignore && git add . && git commit -q -m first",
    );
    let _ = space.go(&[]).code(0);
    let tags = sh(&space, "git -C origin.git for-each-ref");
    assert!(tags.contains(" tag\trefs/tags/vSTAGING-20260824\n"), "{tags}");
    let first = space.latest();
    let _ = space.go(&[]).code(0);
    assert_eq!(
        std::fs::read(first.join("record.jsonl")).unwrap(),
        std::fs::read(space.latest().join("record.jsonl")).unwrap()
    );
    sh(&space, "git commit -q --allow-empty -m second");
    let _ = space.go(&[]).code(1).says("tag.commit == tag.target");
    assert_eq!(space.state("tag"), ("fail".into(), "criteria".into()));
    assert_eq!(sh(&space, "git -C origin.git for-each-ref"), tags, "not moved");
}

#[test]
fn keys_of_git_belong_together() {
    let check = |keys: &str, says: &str| {
        let _ = Space::plan(&format!("[steps.a]\ngit = {{ {keys} }}\n"))
            .run(&["check", "blueprint.toml"])
            .code(2)
            .says(says);
    };
    check("push = 'origin', tag = 'v1'", "`push` means nothing without `make = true`");
    check("make = true", "`make` means nothing without `tag`");
    check("tag = 'v1', make = true, sign = true", "`sign` means nothing without `annotate");
}

const LIST: &str = "# Staging\n- [ ] not ours <!-- step:good -->\n\n## Post-deploy\n\n- [ ] Ready <!-- step:good -->\n\
                    - [ ] Smoke\n- [ ] Signed by hand\n\n## Later\n- [ ] later <!-- step:good -->\n";

#[test]
fn boxes_are_ticked_by_the_steps_that_earned_them() {
    let space = Space::plan(
        r#"
[steps.good]
run = "true"
[steps.bad]
run = "false"
required = false
[steps.list]
after = ["good", "bad"]
checklist = { path = "STAGING.md#Post-deploy", tick = { "Smoke" = "bad" } }
pass = ["total == 3", "links same_set [\"pass\", \"fail\"]", "open == [\"Smoke\", \"Signed by hand\"]"]
[steps.all]
after = ["list"]
checklist = "STAGING.md#post-deploy"
[steps.empty]
after = ["list"]
checklist = "STAGING.md#Empty"
"#,
    );
    space.write("STAGING.md", format!("{LIST}# Empty\n"));
    let _ = space.go(&[]).code(1).says("unchecked == 0").says("not one box");
    assert_eq!(space.state("list").0, "pass");
    assert_eq!(space.state("all"), ("fail".into(), "criteria".into()));
    assert_eq!(space.state("empty"), ("error".into(), "no_data".into()));
    assert_eq!(space.read("STAGING.md"), format!("{LIST}# Empty\n").replace("[ ] Ready", "[x] Ready"));
}

#[test]
fn a_box_can_only_be_earned_by_an_earlier_step() {
    let check = |tick: &str, says: &str| {
        let text =
            format!("[steps.a]\nrun = 'true'\n[steps.list]\nchecklist = {{ path = 'x.md', tick = {{ {tick} }} }}\n");
        let _ = Space::plan(&text).run(&["check", "blueprint.toml"]).code(2).says(says);
    };
    check("x = 'a'", "`a` does not come before this step");
    check("x = 'b'", "there is no step `b`");
}

#[test]
fn ports_and_names_are_looked_at() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let open = listener.local_addr().expect("a port").port();
    let closed = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("a port").port();
    let space = Space::plan(&format!(
        "[steps.open]\nnet = '127.0.0.1:{open}'\npass = ['latency < 20s', 'addrs == [\"127.0.0.1\"]']\n\
         [steps.shut]\nnet = {{ tcp = '127.0.0.1:{closed}' }}\n\
         [steps.known-shut]\nnet = {{ tcp = '127.0.0.1:{closed}' }}\npass = ['open == false', 'reason exists']\n\
         [steps.name]\nnet = {{ dns = 'localhost' }}\n\
         [steps.tls]\nnet = {{ tls = '127.0.0.1:{closed}' }}\npass = ['tls.expires_in > 14d']\n"
    ));
    let _ = space.go(&[]).code(1).says("open == true");
    let states = ["open", "shut", "known-shut", "name", "tls"].map(|step| space.state(step).0);
    assert_eq!(states, ["pass", "fail", "pass", "pass", "fail"]);
}

/// A small server: `/good` answers 200, `/bad` every tenth time 503.
const SERVER: &str = r#"
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    seen = 0
    def do_GET(self):
        status = 200
        if self.path == "/bad":
            Handler.seen += 1
            status = 503 if Handler.seen % 10 == 0 else 200
        self.send_response(status)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")
    def log_message(self, *args):
        pass
ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"#;

#[test]
fn bursts_are_counted_and_stay_on_this_machine() {
    if !has("python3", "python3") {
        return;
    }
    let space = Space::plan(
        r#"
[ports]
names = ["web"]
[steps.web]
service = { run = ["python3", "server.py", "{{ ports.web }}"], ready = { http = "http://127.0.0.1:{{ ports.web }}/" } }
[steps.good]
needs = ["web"]
load  = { url = "http://127.0.0.1:{{ ports.web }}/good", total = 300, concurrency = 4 }
pass  = ["count == 300", "samples == 300", "p99(latency) < 20s", "rate(errors) == 0", "throughput > 1", "duration > 0s", 'answers."200" == 300']
[steps.bad]
needs = ["good"]
load  = { url = "http://127.0.0.1:{{ ports.web }}/bad", total = 100, concurrency = 1, warmup = 0 }
pass  = ["rate(errors) <= 0.05"]
[steps.implied]
needs = ["good"]
after = ["bad"]
load  = { url = "http://127.0.0.1:{{ ports.web }}/bad", total = 10, concurrency = 1, warmup = 0 }
[steps.far]
load  = { url = "http://192.0.2.1/", total = 10 }
"#,
    );
    space.write("server.py", SERVER);
    let _ = space.go(&[]).code(1).says("rate(errors) <= 0.05").says("`http://192.0.2.1/` is not on this machine");
    let states = ["good", "bad", "implied", "far"].map(|step| space.state(step).0);
    assert_eq!(states, ["pass", "fail", "fail", "error"]);
}

/// Whether the program is there; where it is not, the test is left out.
fn has(program: &str, package: &str) -> bool {
    let found = Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success());
    if !found {
        support::skip(package);
    }
    found
}

#[test]
fn a_real_prometheus_is_asked() {
    if !has("prometheus", "prometheus") {
        return;
    }
    let space = Space::plan(
        r#"
[ports]
names = ["prom"]
[steps.config]
render = { template = "prom.template", to = "prom.yml" }
[steps.prometheus]
needs   = ["config"]
service = { run = ["prometheus", "--config.file=prom.yml", "--storage.tsdb.path=data", "--web.listen-address=127.0.0.1:{{ ports.prom }}"], ready = { http = "http://127.0.0.1:{{ ports.prom }}/-/ready" } }
[steps.scraped]
needs  = ["prometheus"]
promql = { server = "http://127.0.0.1:{{ ports.prom }}", query = "count_over_time(up[1h])" }
sample = { every = "200ms", within = "60s" }
pass   = ["value >= 3", "series == 1", "every(labels) contains \"job=\"", "every(values) >= 3"]
[steps.range]
needs  = ["scraped"]
promql = { server = "http://127.0.0.1:{{ ports.prom }}", query = "up", range = { last = "10s", step = "1s" } }
pass   = ["every(samples) == 1", "count(samples) >= 1", "time exists"]
[steps.rate]
needs  = ["scraped"]
promql = { server = "http://127.0.0.1:{{ ports.prom }}", query = { bad = 'sum(up == 7)', total = 'sum(prometheus_http_requests_total)' } }
pass   = ["rate == 0", "bad == 0", "total > 0"]
[steps.none]
needs  = ["scraped"]
promql = { server = "http://127.0.0.1:{{ ports.prom }}", query = "no_such_series" }
pass   = ["value == 1"]
[steps.nan]
needs  = ["scraped"]
promql = { server = "http://127.0.0.1:{{ ports.prom }}", query = "sum(up) * 0 / 0" }
pass   = ["value == 1"]
[steps.several]
needs  = ["scraped"]
promql = { server = "http://127.0.0.1:{{ ports.prom }}", query = "{__name__=~'prometheus_tsdb_head_(series|chunks)'}" }
pass   = ["value > 0"]
[steps.wrong]
needs  = ["scraped"]
promql = { server = "http://127.0.0.1:{{ ports.prom }}", query = "sum(" }
"#,
    );
    space.write(
        "prom.template",
        "global:\n  scrape_interval: 200ms\n  scrape_timeout: 200ms\nscrape_configs:\n- job_name: self\n  static_configs:\n  - targets: [\"127.0.0.1:{{ ports.prom }}\"]\n    labels: {instance: self}\n",
    );
    let ended =
        space.go(&[]).code(1).says("gave 2 series, so there is no single").says("NaN or infinite").says("parse error");
    let error = ("error", "action_error");
    for (step, wanted) in [
        ("scraped", ("pass", "")),
        ("range", ("pass", "")),
        ("rate", ("pass", "")),
        ("none", ("error", "no_data")),
        ("nan", error),
        ("several", error),
        ("wrong", error),
    ] {
        let (state, cause) = space.state(step);
        assert_eq!((state.as_str(), cause.as_str()), wanted, "{step}\n{}{}", ended.stdout, ended.stderr);
    }
}

/// Counts that never move: of `small` traffic 6 errors in 1000 against 3, of `large` the same shares of 100,000.
const COUNTS: &str = r#"
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
counts = [("small", 1000, 6, 3), ("large", 100000, 600, 300)]
text = "".join(
    f'requests_total{{size="{size}",side="{side}"}} {total}\nerrors_total{{size="{size}",side="{side}"}} {errors}\n'
    for size, total, candidate, baseline in counts
    for side, errors in (("candidate", candidate), ("baseline", baseline))
).encode()
class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)
    def log_message(self, *args):
        pass
HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"#;

#[test]
fn two_sides_of_a_real_prometheus_are_compared() {
    if !has("prometheus", "prometheus") || !has("python3", "python3") {
        return;
    }
    let pair = |side: &str, size: &str| {
        let of = |name: &str| format!("sum({name}_total{{size=\"{size}\",side=\"{side}\"}})");
        format!("{{ bad = '{}', total = '{}' }}", of("errors"), of("requests"))
    };
    let step = |name: &str, query: &str, baseline: &str, compare: &str, pass: &str| {
        format!(
            "[steps.{name}]\nneeds = ['scraped']\npromql = {{ server = 'http://127.0.0.1:{{{{ ports.prom }}}}', query = {query}, baseline = {baseline} }}\n\
             compare = {{ method = '{compare}' }}\npass = ['{pass}']\n"
        )
    };
    let rate =
        |size: &str| step(size, &pair("candidate", size), &pair("baseline", size), "fisher", "rate <= baseline + 50%");
    let point = |name: &str, query: &str, baseline: &str| {
        step(name, &format!("'{query}'"), &format!("'{baseline}'"), "point", "value <= baseline + 50%")
    };
    let plan = [
        "[ports]\nnames = ['prom', 'app']\n\
         [steps.app]\nservice = { run = ['python3', 'counts.py', '{{ ports.app }}'], ready = { http = 'http://127.0.0.1:{{ ports.app }}/metrics' } }\n\
         [steps.config]\nrender = { template = 'prom.template', to = 'prom.yml' }\n\
         [steps.prometheus]\nneeds = ['config']\nservice = { run = ['prometheus', '--config.file=prom.yml', '--storage.tsdb.path=data', '--web.listen-address=127.0.0.1:{{ ports.prom }}'], ready = { http = 'http://127.0.0.1:{{ ports.prom }}/-/ready' } }\n\
         [steps.scraped]\nneeds = ['app', 'prometheus']\npromql = { server = 'http://127.0.0.1:{{ ports.prom }}', query = 'errors_total' }\n\
         sample = { every = '200ms', within = '60s' }\npass = ['series == 4']\n"
            .to_owned(),
        rate("small"),
        rate("large"),
        point("same", "sum(errors_total)", "sum(errors_total)"),
        point("nothing", "vector(0)", "vector(0)"),
        point("from-nothing", "vector(1)", "vector(0)"),
        point("no-baseline", "vector(1)", "no_such_series"),
        point("nan-baseline", "vector(1)", "vector(1) * NaN"),
        point("many-baselines", "vector(1)", "errors_total"),
        point("no-candidate", "no_such_series", "vector(1)"),
        point("nan-candidate", "vector(1) * NaN", "vector(1)"),
    ];
    let space = Space::plan(&plan.concat());
    space.write("counts.py", COUNTS);
    space.write(
        "prom.template",
        "global:\n  scrape_interval: 200ms\n  scrape_timeout: 200ms\nscrape_configs:\n- job_name: app\n  static_configs:\n  - targets: [\"127.0.0.1:{{ ports.app }}\"]\n",
    );
    let ended =
        space.go(&[]).code(1).says("1000 against 1000 samples").says("2× (1.7").says("100000 against 100000 samples");
    let open = ("inconclusive", "undecided");
    let wanted = [
        ("scraped", ("pass", "")),
        ("small", open),
        ("large", ("fail", "criteria")),
        ("same", ("pass", "")),
        ("nothing", ("pass", "")),
        ("from-nothing", ("fail", "criteria")),
        ("no-baseline", open),
        ("nan-baseline", open),
        ("many-baselines", open),
        ("no-candidate", ("error", "no_data")),
        ("nan-candidate", ("error", "action_error")),
    ];
    for (step, wanted) in wanted {
        let (state, cause) = space.state(step);
        assert_eq!((state.as_str(), cause.as_str()), wanted, "{step}\n{}{}", ended.stdout, ended.stderr);
    }
}
