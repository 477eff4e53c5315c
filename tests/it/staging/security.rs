//! S17 to S19: headers through the real proxy, the security scan, the secrets review. Each twin breaks one thing.

use std::fs;
use std::path::Path;

use super::{APP, Staging, missing};

const PROXY: &str = "nginx/nginx.conf";
const HEADERS: &str = "nginx/security-headers.conf";
const HEADERS_FAIL: (&str, &str, &str) = ("security-headers", "fail", "criteria");

/// A copy where the proxy can be started; none where nginx or openssl is missing.
pub(super) fn with_proxy() -> Option<Staging> {
    let found = |names: &[&str]| names.iter().any(|name| Path::new(name).exists());
    if !found(&["/usr/sbin/nginx", "/usr/bin/nginx"]) || !found(&["/usr/bin/openssl"]) {
        return missing("nginx, openssl (Debian: apt-get install nginx openssl)");
    }
    Staging::bare()
}

#[test]
fn s17_the_proxy_sends_every_header_everywhere() {
    let Some(staging) = with_proxy() else { return };
    let first = staging.go(&["security-headers"]).code(0);
    staging.blames(&[]);
    let second = staging.go(&["security-headers"]).code(0);
    assert_eq!(first.record_id(), second.record_id(), "certificate and ports are no part of the record");
    assert!(!staging.app("out").exists(), "key and certificate go with the run");
    let criteria = staging.committed("security-headers");
    assert!(criteria.to_string().contains("plans/staging/security.toml:"), "each criterion has a place");
}

#[test]
fn s17_a_header_that_only_the_error_page_lacks_is_named() {
    let Some(staging) = with_proxy() else { return };
    staging.edit_app(PROXY, "            include security-headers.conf;\n", "");
    let _ = staging
        .go(&["security-headers"])
        .code(1)
        .says("every(header.\"strict-transport-security\") matches")
        .says("every(header.\"x-content-type-options\") matches")
        .says("1 of 4 not: /no-such-page: absent");
    staging.blames(&[HEADERS_FAIL]).restore_app(PROXY);

    // Without `always` nginx leaves it out of an error page.
    staging.edit_app(HEADERS, "\"nosniff\" always;", "\"nosniff\";");
    let _ = staging
        .go(&["security-headers"])
        .code(1)
        .says("every(header.\"x-content-type-options\") matches")
        .says("1 of 4 not: /no-such-page: absent");
    staging.blames(&[HEADERS_FAIL]);
}

#[test]
fn s17_a_location_that_inherits_nothing_is_named() {
    let Some(staging) = with_proxy() else { return };
    let own = "location /metrics {\n            add_header X-Robots-Tag \"noindex\" always;";
    staging.edit_app(PROXY, "location /metrics {", own);
    let _ = staging
        .go(&["security-headers"])
        .code(1)
        .says("every(header.\"content-security-policy\") matches")
        .says("1 of 4 not: /metrics: absent");
    staging.blames(&[HEADERS_FAIL]);
}

#[test]
fn s17_weak_values_and_disclosure_are_named() {
    let Some(staging) = with_proxy() else { return };
    staging.edit_app(HEADERS, "max-age=63072000", "max-age=31536000");
    let _ = staging
        .go(&["security-headers"])
        .code(1)
        .says("every(header.\"strict-transport-security\") matches")
        .says("4 of 4 not: /health/ready: \"max-age=31536000; includeSubDomains\"");
    staging.blames(&[HEADERS_FAIL]).restore_app(HEADERS);

    staging.edit_app(PROXY, "server_tokens off;", "server_tokens on;");
    let _ = staging.go(&["security-headers"]).code(1).says("none(header.\"server\") matches").says("nginx/");
    staging.blames(&[HEADERS_FAIL]);
}

#[test]
fn s18_a_planted_finding_is_named() {
    let Some(staging) = Staging::new() else { return };
    let _ = staging.go(&["security-scan"]).code(0);
    staging.blames(&[]);
    let planted = "\n\ndef dump(name):\n    import subprocess\n    return subprocess.call('cat ' + name, shell=True)\n";
    staging.append_app("app/metrics.py", planted);
    let _ = staging
        .go(&["security-scan"])
        .code(1)
        .says("open(error) == 0")
        .says("new: error B602 app/metrics.py:")
        .says("shell=True");
    staging.blames(&[("security-scan", "fail", "criteria")]).restore_app("app/metrics.py");

    // No error, but nobody has accepted it.
    let address = "\n\ndef everywhere():\n    return '0.0.0.0'\n";
    staging.append_app("app/metrics.py", address);
    let _ = staging.go(&["security-scan"]).code(1).says("new(total) == 0").says("new: warning B104 app/metrics.py:");
    staging.blames(&[("security-scan", "fail", "criteria")]).restore_app("app/metrics.py");

    fs::remove_file(staging.app("security-baseline.sarif")).expect("a removed file");
    let _ = staging.go(&["security-scan"]).code(1).says("the input `security-baseline.sarif` matches no file");
    assert_eq!(staging.committed("security-scan")["state"], "error");
}

#[test]
fn s19_a_planted_secret_is_named_and_its_value_is_not() {
    let Some(staging) = Staging::new() else { return };
    let key = ["AKIA", "Q3EGRCMQWPXHNVT2"].concat();
    staging.append_app("app/config.py", &format!("\nBUCKET_KEY = \"{key}\"\n"));
    let _ = staging
        .go(&["secrets-scan"])
        .code(1)
        .says("json.\"$.unreviewed\" == []")
        .says("app/config.py:235: AWS Access Key")
        .hides(&key);
    staging.blames(&[("secrets-scan", "fail", "criteria")]);
}

#[test]
fn s19_an_entry_that_is_missing_incomplete_or_too_old_is_named() {
    let Some(staging) = Staging::new() else { return };
    let go = |args: &[&str]| staging.go(&[&["secrets-register"], args].concat());
    let fails = |said: &[&str], args: &[&str]| {
        let ended = go(args).code(1);
        let _ = said.iter().fold(ended, |ended, text| ended.says(text));
        staging.blames(&[("secrets-register", "fail", "criteria")]).restore_app("secrets.toml");
    };
    let _ = go(&[]).code(0);
    fails(
        &["json.\"$.overdue\" == []", "PMS_API_KEY: rotated 2026-10-05, 366 days ago, 365 allowed"],
        &["--var", "date=20271006"],
    );
    let _ = go(&["--var", "date=20270920"]).code(0);
    staging.edit_app("secrets.toml", "owner        = \"backend-team\"\n", "");
    fails(&["json.\"$.incomplete\" == []", "SESSION_SECRET: no owner"], &[]);
    staging.edit_app("secrets.toml", "[SLACK_WEBHOOK_URL]", "[SLACK_WEBHOOK]");
    fails(&["json.\"$.missing\" == []", "SLACK_WEBHOOK_URL"], &[]);
    staging.edit_app("secrets.toml", "rotated      = 2026-10-05", "rotated      = 2027-10-05");
    fails(&["`rotated` 2027-10-05 is after 2026-11-24"], &[]);
    let _ = go(&["--var", "date=tomorrow"]).code(2).says("date");
    assert!(staging.path(APP).exists());
}
