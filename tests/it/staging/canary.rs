//! S14 to S16: baseline and candidate from two revisions under the same load, seen from the client and from Prometheus.
//! Both sides, the load and Prometheus are real; what is broken is a commit of the copy, or the plan's own words.

use super::turn::Turn;
use super::{Staging, git, missing};
use crate::support::Ended;

const CANARY: &str = "plans/staging/canary.toml";
const CONFIG: &str = "monitoring/prometheus.yml.template";

/// Its steps, in the rows of the checklist.
pub(super) const ROWS: [(&str, &[&str]); 3] = [
    ("S14", &["canary-trees", "canary-pms", "canary-baseline", "canary-candidate"]),
    ("S15", &["canary", "canary-tools", "canary-scrape-config", "canary-scrape-check", "canary-prometheus"]),
    ("S15, S16", &["canary-scraped", "canary-targets", "canary-p95", "canary-errors"]),
];

/// Everything about the canary, and nothing else of the plan.
const STEPS: [&str; 4] = ["canary", "canary-targets", "canary-p95", "canary-errors"];

/// Whether Prometheus is installed.
pub(super) fn tools() -> Option<()> {
    let found = std::process::Command::new("prometheus").arg("--version").output();
    if found.is_ok_and(|output| output.status.success()) {
        Some(())
    } else {
        missing("prometheus (Debian: apt-get install prometheus)")
    }
}

fn canary() -> Option<Staging> {
    tools().and_then(|()| Staging::bare())
}

fn go(staging: &Staging, args: &[&str]) -> Ended {
    staging.go(&[&STEPS[..], args].concat())
}

/// What a criterion of a step came to (`1.3× (1.2× to 1.4×, …)`).
fn actual(staging: &Staging, step: &str, criterion: &str) -> String {
    let criteria = staging.committed(step)["attempts"][0]["criteria"].clone();
    let all = criteria.as_array().expect("criteria");
    let one = all.iter().find(|one| one["text"] == criterion).expect("the criterion");
    one["actual"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn s15_a_candidate_that_is_30_percent_slower_is_seen_by_the_client_and_by_the_server() {
    let _alone = Turn::alone();
    let Some(staging) = canary() else { return };
    let sleep = "if application.errors.should_fail():";
    staging.edit_app("app/server.py", sleep, &format!("time.sleep(0.06)\n        {sleep}"));
    git(&staging, &["checkout", "--quiet", "-b", "slower"]);
    git(&staging, &["commit", "--quiet", "--all", "--message", "a slower answer"]);
    let ended = go(&staging, &[])
        .code(1)
        .says("p95(latency) <= baseline + 10%")
        .says("800 against 800 samples")
        .says("value <= baseline + 10%");
    staging.blames(&[("canary", "fail", "criteria"), ("canary-p95", "fail", "criteria")]);
    let trees = staging.path(".git/worktrees");
    assert!(!trees.exists() && !staging.app(".canary").exists(), "nothing is left behind");
    let seen = actual(&staging, "canary", "p95(latency) <= baseline + 10%");
    assert!(seen.starts_with("1.2") || seen.starts_with("1.3"), "{seen}\n{}", ended.stderr);

    // S16: the report tells what was asked, when, and what came of it.
    let run = format!("{}/.runplan/latest", super::APP);
    let text = staging.space.run(&["report", &run]).code(0).stdout;
    assert!(text.contains("| `canary` | `p95(latency)` |"), "{text}");
    assert!(text.contains("| `<= 1.1×` | **does not hold** | 800 against 800; bootstrap, alpha 0.05 |"), "{text}");
    assert!(text.contains("| `<= 1.5×` | holds | 820 against 820; fisher, alpha 0.05 |"), "{text}");
    let json: serde_json::Value =
        serde_json::from_str(&staging.space.run(&["report", &run, "--format", "json"]).code(0).stdout).expect("JSON");
    let asked = json["promql"].as_array().expect("questions");
    let p95 = asked.iter().find(|one| one["step"] == "canary-p95" && one["side"] == "candidate").expect("a question");
    let query = p95["query"].as_str().expect("a query");
    assert!(query.starts_with("histogram_quantile(0.95, ") && p95["time"].as_str().is_some_and(|t| t.ends_with('Z')));
    let seconds: f64 = p95["answer"].as_str().and_then(|text| text.parse().ok()).expect("a number");
    assert!((0.12..0.5).contains(&seconds), "{p95}");
    let up = asked.iter().find(|one| one["step"] == "canary-targets").expect("a question");
    assert!(up["start"].is_string() && up["step_ns"] == "500000000" && up["answer"] == "1", "{up}");
}

#[test]
fn s15_few_errors_do_not_tell_and_many_do() {
    let _alone = Turn::alone();
    let Some(staging) = canary() else { return };
    let rates = |baseline: &str, candidate: &str| {
        [format!("baseline_errors={baseline}"), format!("candidate_errors={candidate}")]
    };
    let [baseline, candidate] = rates("3/1000", "6/1000");
    let _ = go(&staging, &["--var", &baseline, "--var", &candidate])
        .code(3)
        .says("rate(errors) <= baseline + 50%")
        .says("not enough data to tell");
    staging.blames(&[("canary", "inconclusive", "undecided"), ("canary-errors", "inconclusive", "undecided")]);

    let [baseline, candidate] = rates("1/100", "1/20");
    let _ = go(&staging, &["--var", &baseline, "--var", &candidate]).code(1).says("rate <= baseline + 50%");
    staging.blames(&[("canary", "fail", "criteria"), ("canary-errors", "fail", "criteria")]);
    assert!(actual(&staging, "canary", "rate(errors) <= baseline + 50%").starts_with("5×"));
    assert!(actual(&staging, "canary-errors", "rate <= baseline + 50%").starts_with("5.1"), "41 of 820 against 8");
}

#[test]
fn s14_a_revision_that_is_not_there_or_does_not_start_is_named() {
    let _alone = Turn::alone();
    let Some(staging) = canary() else { return };
    let _ = go(&staging, &["--var", "baseline=nowhere"])
        .code(1)
        .says("there is no revision `nowhere` in this repository; branches: main")
        .says("say another with --var baseline=REVISION");
    staging.blames(&[("canary-trees", "fail", "criteria")]);

    git(&staging, &["checkout", "--quiet", "--orphan", "empty"]);
    git(&staging, &["rm", "--quiet", "--cached", "-r", "."]);
    git(&staging, &["commit", "--quiet", "--allow-empty", "--message", "nothing"]);
    let _ = go(&staging, &[]).code(1).says("has no service in `examples/hotel-agent/`");
    staging.blames(&[("canary-trees", "fail", "criteria")]);

    git(&staging, &["symbolic-ref", "HEAD", "refs/heads/main"]);
    git(&staging, &["reset", "--quiet"]);
    staging.append_app("app/server.py", "\nraise RuntimeError('no room in the lobby')\n");
    git(&staging, &["checkout", "--quiet", "-b", "broken"]);
    git(&staging, &["commit", "--quiet", "--all", "--message", "broken"]);
    let _ = go(&staging, &[]).code(1).says("ended with exit code 1 before it was ready").says("no room in the lobby");
    staging.blames(&[("canary-candidate", "fail", "service_died")]);

    std::fs::remove_dir_all(staging.path(".git")).expect("it is there");
    let _ = go(&staging, &[]).code(1).says("a copy without .git does not do");
    staging.blames(&[("canary-trees", "fail", "criteria")]);
    assert!(!staging.app(".canary").exists(), "nothing is left behind");
}

#[test]
fn s15_a_prometheus_that_cannot_tell_is_no_pass() {
    let _alone = Turn::alone();
    let Some(staging) = canary() else { return };
    // Without the load: what is asked for here does not need it.
    staging.edit(CANARY, "after  = [\"canary\"]", "#");
    let server = &STEPS[1..];
    staging.edit_app(CONFIG, "scrape_interval: 500ms", "scrape_interval: soon");
    let _ = staging.go(server).code(1).says("not a valid duration string: \"soon\"");
    staging.blames(&[("canary-scrape-check", "fail", "criteria")]).restore_app(CONFIG);

    // One target is nobody's port: the other side alone is no comparison.
    staging.edit_app(CONFIG, "{{ ports.canary_baseline }}", "1");
    staging.edit(
        CANARY,
        "within = \"30s\" }\npass   = [\"series == 2\", \"every(values) == 820\"]",
        "within = \"8s\" }\npass   = [\"series == 2\"]",
    );
    staging.edit(
        CANARY,
        "sum by (side) (hotel_http_requests_total{job=\"hotel\", route=\"/v1/messages\"})",
        "up{job=\"hotel\"} == 1",
    );
    let _ = staging.go(server).code(1).says("series == 2").says("actual    1");
    staging.blames(&[("canary-scraped", "fail", "criteria")]).restore_app(CONFIG);

    // No such series, a query that is none, and a server that is down or is no Prometheus.
    staging.edit(
        CANARY,
        "(hotel_http_request_duration_seconds_bucket{side=\"candidate\", route=\"/v1/messages\"})",
        "(no_such_series)",
    );
    staging.edit(CANARY, "min(up{job=\"hotel\"})", "min(up{job=\"hotel\"}");
    staging.edit(
        CANARY,
        "[steps.canary-errors.promql]\nserver   = \"http://127.0.0.1:{{ ports.prometheus }}\"",
        "[steps.canary-errors.promql]\nserver   = \"http://127.0.0.1:1\"",
    );
    let _ = staging
        .go(server)
        .code(1)
        .says("nothing was inspected: not one series")
        .says("Prometheus refuses the query `min(up{job=\"hotel\"}`")
        .says("connection refused by `127.0.0.1:1`");
    staging.blames(&[
        ("canary-p95", "error", "no_data"),
        ("canary-targets", "error", "action_error"),
        ("canary-errors", "error", "action_error"),
    ]);
}
