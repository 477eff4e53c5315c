//! Twins of S7, S8 and S9: the configuration, the drill, the playbook. Each break is caught by its own step.

use std::fs;
use std::process::{Command, Stdio};

use super::{Blame, Staging, missing};

pub(super) const ROWS: [(&str, &[&str]); 3] = [
    ("S7", &["alert-tools", "alert-config", "alert-routes[severity=P0]", "alert-routes[severity=low]"]),
    ("S8", &["alert-drill"]),
    ("S9", &["playbook"]),
];

const CONFIG: &str = "alertmanager/config.yml";
const PLAYBOOK: &str = "docs/PLAYBOOK.md";

/// A copy, where Alertmanager is there or can be installed.
pub(super) fn staging() -> Option<Staging> {
    let staging = Staging::bare()?;
    let mut amtool = Command::new("amtool");
    let there = amtool.arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if there.is_ok_and(|status| status.success()) {
        return Some(staging);
    }
    let ended = staging.go(&["alert-tools"]);
    if ended.code == 0 { Some(staging) } else { missing(&format!("prometheus-alertmanager\n{}", ended.stderr)) }
}

/// What of a step's folder is called so.
fn kept(staging: &Staging, step: &str, name: &str) -> String {
    let steps = fs::read_dir(staging.latest().join("steps")).expect("steps");
    let folder = steps.map(|entry| entry.expect("an entry").path());
    let folder = { folder }.find(|path| path.to_string_lossy().ends_with(step)).expect("the step's folder");
    fs::read_to_string(folder.join(name)).expect("a file")
}

const DRILL: [Blame; 1] = [("alert-drill", "fail", "criteria")];

#[test]
fn s7_a_configuration_that_is_not_valid_is_caught_before_any_drill() {
    let Some(staging) = staging() else { return };
    let steps = ["alert-drill", "playbook"];
    staging.edit_app(CONFIG, "send_resolved: true\n        title", "send_resolve: true\n        title");
    let _ = staging
        .go(&steps)
        .code(1)
        .says("field send_resolve not found")
        .says("blocked   alert-routes[severity=P0]")
        .says("alert-drill");
    staging.blames(&[("alert-config", "fail", "criteria")]).restore_app(CONFIG);

    staging.edit_app(CONFIG, "  - name: email\n", "  - name: mail\n");
    let _ = staging.go(&steps).code(1).says("undefined receiver \"email\" used in route");
    staging.blames(&[("alert-config", "fail", "criteria")]);
}

#[test]
fn s7_a_severity_that_does_not_reach_both_receivers_is_named() {
    let Some(staging) = staging() else { return };
    staging.edit_app(
        CONFIG,
        "    - receiver: slack\n      continue: true\n",
        "    - receiver: slack\n      matchers: ['severity!=\"P2\"']\n      continue: true\n",
    );
    let _ = staging
        .go(&["alert-routes", "playbook"])
        .code(1)
        .says("alert-routes[severity=P2]")
        .says("(^|,)slack(,|")
        .says("actual    \"email\\n\"");
    staging.blames(&[("alert-routes[severity=P2]", "fail", "criteria")]).restore_app(CONFIG);

    // Without `continue` the first route takes it all.
    staging.edit_app(CONFIG, "      continue: true\n", "");
    let _ = staging.go(&["alert-routes[severity=low]"]).code(1).says("(^|,)email(,|").says("actual    \"slack\\n\"");
    staging.blames(&[("alert-routes[severity=low]", "fail", "criteria")]);
}

#[test]
fn s8_mail_that_cannot_be_sent_fails_while_slack_is_fine() {
    let Some(staging) = staging() else { return };
    // amtool finds nothing wrong with an address without a domain, or with a text that only fails when it is made.
    staging.edit_app(CONFIG, "to: oncall@hotel.invalid", "to: oncall at hotel.invalid");
    let _ = staging
        .go(&["alert-drill", "playbook"])
        .code(1)
        .says("receiver.\"email\".firing == true")
        .hides("receiver.\"slack\".")
        .says("receiver `email`: the firing notification was not received within 16 s; Alertmanager said:")
        .says("parse 'to' addresses");
    staging.blames(&DRILL);
    let told = kept(&staging, "alert-drill", "stdout");
    assert!(told.contains("slack: firing (slack_configs[0]") && told.contains("slack: resolved"), "{told}");
    assert!(!told.contains("email: "), "{told}");
}

#[test]
fn s8_nobody_told_that_it_is_over_fails() {
    let Some(staging) = staging() else { return };
    staging.edit_app(CONFIG, "send_resolved: true\n        title", "send_resolved: false\n        title");
    let _ = staging
        .go(&["alert-drill", "playbook"])
        .code(1)
        .says("receiver.\"slack\".resolved == true")
        .hides("receiver.\"slack\".firing == true")
        .hides("receiver.\"email\".")
        .says(
            "receiver `slack`: it is not told that the alert is over: set `send_resolved: true` in `slack_configs[0]`",
        );
    staging.blames(&DRILL);
}

#[test]
fn s8_a_receiver_of_another_kind_and_a_text_that_says_nothing_are_caught() {
    let Some(staging) = staging() else { return };
    let email = "  - name: email\n    email_configs:";
    staging.edit_app(CONFIG, email, "  - name: email\n    pagerduty_configs: [{routing_key: x}]\n    email_configs:");
    let _ = staging
        .go(&["alert-drill"])
        .code(1)
        .says("receiver `email`: notifications of `pagerduty_configs` can't be captured");
    staging.blames(&[("alert-drill", "error", "action_error")]).restore_app(CONFIG);

    staging.edit_app(CONFIG, "{{ .CommonLabels.severity }} {{ .CommonLabels.alertname }}", "alert");
    staging.edit_app(CONFIG, "{{ range .Labels.SortedPairs }}{{ .Name }}={{ .Value }} {{ end }}", "");
    // The default `fallback` still names it; nobody reads that.
    staging.edit_app(CONFIG, "        channel: '#hotel", "        fallback: alert\n        channel: '#hotel");
    let _ = staging.go(&["alert-drill"]).code(1).says("receiver.\"slack\".payload contains \"StagingDrill\"");
    staging.blames(&DRILL);
}

#[test]
fn s9_a_section_that_is_missing_empty_or_without_owner_is_named() {
    let Some(staging) = staging() else { return };
    let text = fs::read_to_string(staging.app(PLAYBOOK)).expect("the playbook");
    let (before, p1) = text.split_once("## P1\n").expect("a section");
    let (_, p2) = p1.split_once("## P2\n").expect("a section");
    for (broken, says) in [
        (text.replace("## P1\n", "## Something else\n"), "section P1 is missing"),
        (format!("{before}## P1\n\n## P2\n{p2}"), "section P1 is empty"),
        (
            text.replace("**Owner:** Dev Backend on call\n", ""),
            "section P1 has no owner: write a line `**Owner:** ...`",
        ),
        (
            text.replace("**Owner:** Dev Backend on call", "**Owner:** TBD"),
            "section P1 has nobody and nothing under **Owner:**",
        ),
        (text.replace("**First action:** Open a ticket", "Open a ticket"), "section P2 has no first action"),
        (
            text.replace("/health/live", "/health/alive"),
            "section P0 mentions the address `/health/alive`, which the service",
        ),
        (text.replace("hotel_sessions_active", "hotel_session_count"), "mentions the metric `hotel_session_count`"),
        (text.replace("## P2\n", "## P0\n"), "section P0 stands there 2 times"),
    ] {
        assert_ne!(broken, text, "{says}");
        fs::write(staging.app(PLAYBOOK), broken).expect("a written file");
        let _ = staging.go(&["playbook", "alert-routes"]).code(1).says("exit == 0");
        let told = kept(&staging, "playbook", "stderr");
        assert!(told.contains(says), "{says}\n{told}");
        staging.blames(&[("playbook", "fail", "criteria")]);
    }
    fs::remove_file(staging.app(PLAYBOOK)).expect("it is there");
    let _ = staging.go(&["playbook"]).code(1).says("docs/PLAYBOOK.md");
}

#[test]
fn the_setup_step_names_the_package() {
    let Some(staging) = Staging::bare() else { return };
    // A machine with python3 and a shell, and an ordinary user.
    let bin = staging.path("bin");
    fs::create_dir_all(&bin).expect("a folder");
    fs::write(bin.join("id"), "#!/bin/sh\necho 1000\n").expect("a written file");
    fs::set_permissions(bin.join("id"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("its mode");
    staging.edit(
        "plans/staging/alerting.toml",
        "packages.sh amtool:prometheus-alertmanager",
        "packages.sh no-such-amtool:prometheus-alertmanager",
    );
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").expect("a PATH"));
    let staging = staging.env("PATH", &path);
    let _ = staging
        .go(&["alert-drill"])
        .code(1)
        .says("this machine lacks prometheus-alertmanager")
        .says("sudo apt-get install -y prometheus-alertmanager")
        .says("blocked   alert-config");
    staging.blames(&[("alert-tools", "fail", "criteria")]);
}
