//! The alert drill on a real Alertmanager: what is received, and what is said of what is not.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::pty::{Pty, left_behind, wait_for};
use crate::support::{Space, finish, skip};

/// Three receivers, quick timers.
const CONFIG: &str = "global:
  smtp_smarthost: smtp.invalid:25
  smtp_from: am@hotel.invalid
  smtp_auth_username: am
  smtp_auth_password: hunter2
templates: ['texts/*.tmpl']
route:
  receiver: mail
  group_wait: 100ms
  group_interval: 300ms
  routes:
  - {receiver: slack, continue: true}
  - {receiver: hook, matchers: [severity=\"low\"], continue: true}
  - {receiver: mail}
receivers:
- name: slack
  slack_configs:
  - {api_url: 'http://slack.invalid/x', channel: '#a', send_resolved: true, title: '{{ template \"hotel\" . }}'}
- name: hook
  webhook_configs: [{url: 'http://hook.invalid/'}]
- name: mail
  email_configs: [{to: ops@hotel.invalid, send_resolved: true}]
- name: pager
  pagerduty_configs: [{routing_key: hunter2}]
";

const DRILL: &str = "[steps.drill]\nalert = { config = 'am/config.yml', receivers = ['slack', 'hook', 'mail'], \
                     labels = { severity = 'low' }, annotations = { summary = 'Only a drill' }, within = '5s' }\n";

/// A workspace with a plan and the configuration; none where there is no Alertmanager.
fn space(plan: &str, config: &str) -> Option<Space> {
    let mut known = Command::new("prometheus-alertmanager");
    let known = known.arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !known.is_ok_and(|status| status.success()) {
        skip("prometheus-alertmanager");
        return None;
    }
    let space = Space::plan(plan);
    space.write("am/config.yml", config);
    space.write(
        "am/texts/hotel.tmpl",
        "{{ define \"hotel\" }}Hotel {{ .Status }} {{ .CommonAnnotations.summary }}{{ end }}",
    );
    Some(space)
}

/// Everything that the step's folder holds, by name.
fn evidence(space: &Space) -> Vec<(String, String)> {
    let steps =
        std::fs::read_dir(space.latest().join("steps")).expect("steps").next().expect("a step").expect("a step");
    let files = std::fs::read_dir(steps.path()).expect("its files");
    let read = |path: PathBuf| {
        (path.file_name().unwrap().to_string_lossy().into_owned(), std::fs::read_to_string(path).unwrap())
    };
    let mut files: Vec<_> = files.map(|file| read(file.expect("a file").path())).collect();
    files.sort();
    files
}

/// The folder of the run that goes on.
fn running(space: &Space) -> Option<PathBuf> {
    Some(std::fs::read_dir(space.path().join(".runplan/runs")).ok()?.next()?.ok()?.path())
}

/// Alertmanager's log while the drill goes on.
fn running_log(space: &Space) -> Option<String> {
    let step = std::fs::read_dir(running(space)?.join("steps")).ok()?.next()?.ok()?;
    std::fs::read_to_string(step.path().join("stderr")).ok()
}

#[test]
fn every_receiver_gets_it_firing_and_resolved() {
    let criteria = r#"pass = [
    'receiver."slack".payload contains "Hotel firing Only a drill"', 'receiver."mail".payload contains "Only a drill"',
    'receiver."hook".latency < 5s', 'receiver."hook".count == 2', 'routed same_set receivers', "count(problems) == 0",
    "shortened == false", 'version matches "^0[.]"', 'nonce matches "^[0-9a-f]{16}$"']
"#;
    let Some(space) = space(&format!("{DRILL}{criteria}"), CONFIG) else { return };
    let first = space.go(&[]).code(0);
    let kept = evidence(&space);
    let names: Vec<&str> = kept.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names.len(), 8, "{names:?}");
    let stdout = &kept.iter().find(|(name, _)| name == "stdout").expect("its story").1;
    for line in ["hook: firing (webhook_configs[0]", "mail: resolved (email_configs[0]", "slack: resolved"] {
        assert!(stdout.contains(line), "{stdout}");
    }
    assert!(kept.iter().all(|(_, text)| !text.contains("hunter2")), "credentials stand nowhere");
    assert!(kept.iter().any(|(name, text)| name.ends_with(".eml") && text.contains("To: ops@hotel.invalid")));
    let second = space.go(&["-j4"]).code(0);
    assert_eq!(first.record_id(), second.record_id(), "nothing of it differs from run to run");
    assert_eq!(left_behind(&space, ""), Vec::<String>::new());
    assert_eq!(space.read("am/config.yml"), CONFIG);
}

#[test]
fn a_receiver_that_cannot_be_told_fails_alone_with_the_reason() {
    let broken = CONFIG.replace("to: ops@hotel.invalid", "to: ops@hotel.invalid, html: '{{ .Nonsense }}'");
    let Some(space) = space(DRILL, &broken) else { return };
    let _ = space
        .go(&[])
        .code(1)
        .says("receiver.\"mail\".firing == true")
        .hides("receiver.\"slack\"")
        .says("receiver `mail`: the firing notification was not received within 5.1 s; Alertmanager said:")
        .says("Nonsense");
    assert_eq!(space.state("drill"), ("fail".into(), "criteria".into()));

    space.write("am/config.yml", CONFIG.replace("to: ops@hotel.invalid, send_resolved: true", "to: ops@hotel.invalid"));
    let _ = space
        .go(&[])
        .code(1)
        .says("receiver.\"mail\".resolved == true")
        .hides("receiver.\"mail\".firing == true")
        .says("receiver `mail`: it is not told that the alert is over: set `send_resolved: true`");
    space.write("blueprint.toml", format!("format = 1\n{DRILL}pass = 'receiver.\"mail\".resolved == false'\n"));
    let _ = space.go(&[]).code(0);

    space.write("blueprint.toml", format!("format = 1\n{}", DRILL.replace("'low'", "'high'")));
    space.write("am/config.yml", CONFIG);
    let began = Instant::now();
    let _ = space
        .go(&[])
        .code(1)
        .says("receiver.\"hook\".firing == true")
        .says("receiver `hook`: no route leads there; the alert is routed to `slack`, `mail`");
    assert!(began.elapsed() < Duration::from_secs(60), "nobody waits for it");
}

#[test]
fn an_interval_that_mutes_it_and_text_that_only_repeats_itself_are_told() {
    let config = CONFIG.replace("  - {receiver: mail}\n", "  - {receiver: mail, mute_time_intervals: [always]}\n")
        + "mute_time_intervals:\n- name: always\n  time_intervals: [{weekdays: ['sunday:saturday']}]\n";
    let fixed = "title: 'An alert', fallback: x, color: red, text: 'Look.'";
    let config = config.replace("title: '{{ template \"hotel\" . }}'", fixed);
    let Some(space) = space(DRILL, &config) else { return };
    let _ = space
        .go(&[])
        .code(1)
        .says("receiver `mail`: the firing notification was not received within 5.1 s; a time interval of the")
        .says("receiver `slack`: after the end it was told word for word what it was told before: use `{{ .Status }}`")
        .says("said nothing new");
}

#[test]
fn what_cannot_be_drilled_is_refused_before_anything_starts() {
    let Some(space) = space(DRILL, CONFIG) else { return };
    let with = |receivers: &str| format!("format = 1\n{}", DRILL.replace("'slack', 'hook', 'mail'", receivers));
    for (receivers, config, says) in [
        (
            "'pager'",
            CONFIG.to_owned(),
            "`am/config.yml` receiver `pager`: notifications of `pagerduty_configs` can't be captured",
        ),
        ("'sms'", CONFIG.to_owned(), "`am/config.yml` has no receiver `sms`; it has `slack`, `hook`, `mail`, `pager`"),
        ("'slack'", CONFIG.replace("receivers:", "receivers: ["), "`am/config.yml` is no YAML that can be used"),
        (
            "'slack'",
            CONFIG.replace("{receiver: mail}", "{receiver: nobody}"),
            "Alertmanager does not start with `am/config.yml`: undefined receiver",
        ),
        ("'slack'", CONFIG.replace("{{ template", "{{ temp late"), "slack"),
    ] {
        space.write("blueprint.toml", with(receivers));
        space.write("am/config.yml", config);
        let ended = space.go(&[]).code(1).says(says);
        assert_eq!(space.state("drill").0, if says == "slack" { "fail" } else { "error" }, "{}", ended.stdout);
    }
    space.write("am/config.yml", CONFIG);
    space.write("blueprint.toml", format!("format = 1\n[env]\nset = {{ PATH = '/nowhere' }}\n{DRILL}"));
    let _ = space
        .go(&[])
        .code(1)
        .says(
            "there is no `prometheus-alertmanager` (or `alertmanager`) in PATH; on Debian or Ubuntu: `apt-get install",
        )
        .says("prometheus-alertmanager`");
    assert_eq!(space.state("drill"), ("error".into(), "spawn_failed".into()));
}

#[test]
fn long_timers_can_be_shortened_and_that_is_said() {
    let config =
        CONFIG.replace("group_wait: 100ms", "group_wait: 10m").replace("group_interval: 300ms", "group_interval: 1h");
    let plan = DRILL.replace("within = '5s'", "within = '5s', timers = '200ms'") + "pass = 'shortened == true'\n";
    let Some(space) = space(&plan, &config) else { return };
    let _ = space.go(&[]).code(0);
    let kept = evidence(&space);
    assert!(kept.iter().any(|(_, text)| text.contains("timers of the configuration were shortened to 200 ms at most")));

    space.write("blueprint.toml", format!("format = 1\n{DRILL}timeout = '1s'\n"));
    let _ = space
        .go(&[])
        .code(1)
        .says("the step's time was over after")
        .says("receiver `slack` had not got the firing")
        .says("(`group_wait`:");
    assert_eq!(space.state("drill"), ("error".into(), "timeout".into()));
    assert_eq!(left_behind(&space, ""), Vec::<String>::new());
}

#[test]
fn ctrl_c_leaves_no_alertmanager_and_no_listener() {
    let config = CONFIG.replace("group_wait: 100ms", "group_wait: 10m");
    let Some(space) = space(DRILL, &config) else { return };
    let mut pty = Pty::runplan(&space, &["blueprint.toml"], 80, 24);
    let log = || running_log(&space);
    wait_for("the alert", || log().is_some_and(|log| log.contains("Received alert")));
    let address = log().and_then(|log| Some(log.split("\"Listening on\" address=").nth(1)?.lines().next()?.to_owned()));
    let address = address.expect("it listens");
    assert!(std::net::TcpStream::connect(&address).is_ok());
    pty.type_in("\u{3}");
    let left = pty.end();
    assert_eq!(left.code, 130, "{}", left.screen.text());
    assert_eq!(left_behind(&space, ""), Vec::<String>::new());
    assert!(std::net::TcpStream::connect(&address).is_err(), "nobody listens any more");
}

#[test]
fn an_alertmanager_that_runs_already_is_drilled_through_its_own_receivers() {
    let plan = r#"
[ports]
names = ["am", "web", "mail"]

[steps.config]
render = { template = "am.tmpl", to = "am.yml" }

[steps.am]
needs = ["config"]
service = { run = ["prometheus-alertmanager", "--config.file=am.yml", "--storage.path=data", "--cluster.listen-address=", "--web.listen-address=127.0.0.1:{{ ports.am }}"], ready = { http = "http://127.0.0.1:{{ ports.am }}/-/ready", every = "50ms", within = "30s" } }

[steps.drill]
needs = ["am"]
alert = { server = "http://127.0.0.1:{{ ports.am }}", receivers = ["hook", "mail"], within = "5s", capture = { hook = "http://localhost:{{ ports.web }}/in", mail = "smtp://127.0.0.1:{{ ports.mail }}" } }
pass = ['receiver."mail".payload contains "runplan_drill"']
"#;
    let config = "global: {smtp_smarthost: '127.0.0.1:{{ ports.mail }}', smtp_from: a@b.invalid, smtp_require_tls: false}
route: {receiver: hook, group_wait: 100ms, group_interval: 300ms, routes: [{receiver: hook, continue: true}, {receiver: mail}]}
receivers:
- {name: hook, webhook_configs: [{url: 'http://127.0.0.1:{{ ports.web }}/in'}]}
- {name: mail, email_configs: [{to: c@d.invalid, send_resolved: true}]}
";
    let Some(space) = space(plan, CONFIG) else { return };
    space.write("am.tmpl", config);
    let _ = space.go(&[]).code(0);
    assert_eq!(left_behind(&space, ""), Vec::<String>::new());
    // Its mail goes elsewhere.
    space.write(
        "am.tmpl",
        config.replace("smtp_smarthost: '127.0.0.1:{{ ports.mail }}'", "smtp_smarthost: '127.0.0.1:1'"),
    );
    let _ = space.go(&[]).code(1).says("receiver `mail`: the firing notification was not received within 5.1 s");
    assert_eq!(space.state("drill"), ("fail".into(), "criteria".into()));
}

#[test]
fn a_drill_that_is_cut_short_leaves_nothing_firing_on_a_given_alertmanager() {
    let plan = r#"
[ports]
names = ["am", "web"]

[steps.config]
render = { template = "am.tmpl", to = "am.yml" }

[steps.am]
needs = ["config"]
service = { run = ["prometheus-alertmanager", "--config.file=am.yml", "--storage.path=data", "--cluster.listen-address=", "--web.listen-address=127.0.0.1:{{ ports.am }}"], ready = { http = "http://127.0.0.1:{{ ports.am }}/-/ready", every = "50ms", within = "30s" } }

[steps.drill]
needs = ["am"]
timeout = "2s"
alert = { server = "http://127.0.0.1:{{ ports.am }}", receivers = ["hook"], capture = { hook = "http://127.0.0.1:{{ ports.web }}/in" } }

[steps.quiet]
needs = ["am", "drill"]
run_when = "completed"
http = "http://127.0.0.1:{{ ports.am }}/api/v2/alerts"
pass = ['text == "[]\n"']
"#;
    let Some(space) = space(plan, CONFIG) else { return };
    space.write(
        "am.tmpl",
        "route: {receiver: hook, group_wait: 10m}\nreceivers: [{name: hook, webhook_configs: [{url: 'http://127.0.0.1:{{ ports.web }}/in'}]}]\n",
    );
    let _ = space.go(&[]).code(1).says("the step's time was over after 2 s, and receiver `hook` had not got");
    assert_eq!(space.state("drill"), ("error".into(), "timeout".into()));
    assert_eq!(space.state("quiet"), ("pass".into(), String::new()));
}

#[test]
fn an_alertmanager_that_dies_and_notifications_without_end_are_told() {
    let config = CONFIG.replace("group_wait: 100ms", "group_wait: 10m");
    let Some(space) = space(DRILL, &config) else { return };
    let child =
        space.command(&["blueprint.toml"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    wait_for("the alert", || running_log(&space).is_some_and(|log| log.contains("Received alert")));
    let run = running(&space).expect("a run");
    let spawned = || {
        let journal = std::fs::read_to_string(run.join("journal.jsonl")).expect("its journal");
        let lines = journal.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        { lines }.find_map(|line| line["pid"].as_i64())
    };
    wait_for("the number of a process", || spawned().is_some());
    let pid = spawned().expect("a process was started");
    let pid = Pid::from_raw(i32::try_from(pid).expect("a pid")).expect("a pid");
    kill_process(pid, Signal::KILL).expect("it lives");
    let _ = finish(child).code(1).says("Alertmanager ended in the middle of the drill");
    assert_eq!(space.state("drill"), ("error".into(), "action_error".into()));

    // More than a megabyte of text, which the sink does not take.
    let endless = "to: ops@hotel.invalid, html: '{{ printf \"%2000000d\" 1 }}'";
    space.write("blueprint.toml", format!("format = 1\n{}", DRILL.replace("'5s'", "'15s'")));
    space.write("am/config.yml", CONFIG.replace("to: ops@hotel.invalid", endless));
    let _ = space
        .go(&[])
        .code(1)
        .hides("receiver.\"slack\"")
        .says("receiver `mail`: the firing notification was not received within 15.1 s");
    assert_eq!(left_behind(&space, ""), Vec::<String>::new());
}

#[test]
fn keys_of_alert_belong_together() {
    let check = |keys: &str, says: &str| {
        let _ = Space::plan(&format!("[steps.a]\nalert = {{ {keys} }}\n"))
            .run(&["check", "blueprint.toml"])
            .code(2)
            .says(says);
    };
    check("config = 'a.yml'", "`alert` names no receiver");
    check("receivers = ['x']", "`alert` has no Alertmanager");
    check("config = 'a.yml', server = 'http://127.0.0.1:1', receivers = ['x']", "`alert` has `config` and `server`");
    check("server = 'http://127.0.0.1:1', receivers = ['x']", "`capture` does not say where receiver `x` leads to");
    check(
        "config = 'a.yml', receivers = ['x'], capture = { x = 'smtp://127.0.0.1:1' }",
        "`capture` means nothing without",
    );
    check("config = 'a.yml', receivers = ['x', 'y', 'x']", "receiver `x` is named twice");
    check("config = 'a.yml', receivers = ['a\"b']", "is no name that a criterion could say");
    check("config = 'a.yml', receivers = ['']", "is no name that a criterion could say");
    check("config = 'a.yml', receivers = ['x'], labels = { 'a-b' = 'c' }", "`a-b` cannot be a label of the alert");
}
