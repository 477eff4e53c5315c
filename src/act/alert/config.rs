//! An Alertmanager configuration: what its receivers are, and the same with other endpoints. Contacts nothing.
//!
//! Only what leads somewhere is replaced or left out: addresses, credentials, TLS and proxy settings. Routes, grouping,
//! timers, inhibition, time intervals, templates and all texts stay.

use std::path::Path;
use std::time::Duration;

use super::yaml::{self, Node};

/// Timers that a route has unless it says otherwise.
const GROUP_WAIT: Duration = Duration::from_secs(30);
const GROUP_INTERVAL: Duration = Duration::from_secs(300);

/// Shortest `group_interval`: Alertmanager refuses none at all.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(100);

/// Sections that lead nowhere. What else there is, such as `tracing`, is left out.
const SECTIONS: [&str; 6] =
    ["route", "inhibit_rules", "mute_time_intervals", "time_intervals", "templates", "receivers"];

/// How notifications of an integration can be captured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Channel {
    Slack,
    Webhook,
    Email,
}

impl Channel {
    pub(super) const ALL: [Self; 3] = [Self::Slack, Self::Webhook, Self::Email];

    /// The key in a receiver.
    pub(super) fn key(self) -> &'static str {
        match self {
            Self::Slack => "slack_configs",
            Self::Webhook => "webhook_configs",
            Self::Email => "email_configs",
        }
    }

    /// What an integration has instead of its own address.
    fn address(self) -> (&'static [&'static str], &'static [&'static str]) {
        match self {
            Self::Slack => (
                &["api_url", "api_url_file", "app_token", "app_token_file"],
                &["slack_api_url", "slack_api_url_file", "slack_app_token", "slack_app_token_file"],
            ),
            Self::Webhook => (&["url", "url_file"], &[]),
            Self::Email => (&["smarthost"], &["smtp_smarthost"]),
        }
    }

    /// Keys of an integration that lead somewhere or prove who one is.
    fn leads(self) -> &'static [&'static str] {
        match self {
            Self::Slack => &["api_url", "api_url_file", "http_config", "app_token", "app_token_file", "app_url"],
            Self::Webhook => &["url", "url_file", "http_config"],
            Self::Email => &[
                "smarthost",
                "hello",
                "require_tls",
                "tls_config",
                "force_implicit_tls",
                "auth_username",
                "auth_password",
                "auth_password_file",
                "auth_secret",
                "auth_secret_file",
                "auth_identity",
            ],
        }
    }
}

/// One way in which a receiver is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Integration {
    /// Index of the receiver among the wanted ones.
    pub(super) receiver: usize,
    pub(super) channel: Channel,
    /// Index under its key.
    pub(super) index: usize,
    /// It is told when the alert is over.
    pub(super) resolves: bool,
}

impl Integration {
    /// `slack_configs[0]`.
    pub(super) fn name(&self) -> String {
        format!("{}[{}]", self.channel.key(), self.index)
    }
}

/// Where notifications of an integration go instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Endpoint {
    /// A URL.
    Http(String),
    /// `host:port`, and the name by which the sender introduces itself.
    Smtp(String, String),
}

/// Longest timers of any route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Timers {
    pub(super) wait: Duration,
    pub(super) interval: Duration,
}

/// A configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Config {
    tree: Node,
}

impl Config {
    /// # Errors
    /// One fragment.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let tree = yaml::read(text).map_err(|why| format!("is no YAML that can be used: {why}"))?;
        if tree.get("route").is_none() || tree.get("receivers").is_none() {
            return Err("has no `route` or no `receivers`; is it an Alertmanager configuration?".to_owned());
        }
        Ok(Self { tree })
    }

    fn receivers(&self) -> impl Iterator<Item = (&str, &Node)> {
        let all = self.tree.get("receivers").map_or(&[] as &[Node], Node::items);
        all.iter().filter_map(|receiver| Some((receiver.get("name")?.as_text()?, receiver)))
    }

    /// How the wanted receivers are told, in their order.
    ///
    /// # Errors
    /// One sentence: a receiver is not there, can't be told, or in a way that can't be captured.
    pub(super) fn integrations(&self, wanted: &[String]) -> Result<Vec<Integration>, String> {
        let mut all = Vec::new();
        for (at, name) in wanted.iter().enumerate() {
            let Some((_, receiver)) = self.receivers().find(|(known, _)| known == name) else {
                let known: Vec<String> = self.receivers().map(|(name, _)| format!("`{name}`")).collect();
                return Err(format!("has no receiver `{name}`; it has {}", known.join(", ")));
            };
            let before = all.len();
            self.of_receiver(at, receiver, &mut all).map_err(|why| format!("receiver `{name}`: {why}"))?;
            if all.len() == before {
                return Err(format!("receiver `{name}` tells nobody: it has no integration such as `slack_configs`"));
            }
        }
        Ok(all)
    }

    fn of_receiver(&self, at: usize, receiver: &Node, all: &mut Vec<Integration>) -> Result<(), String> {
        let Node::Map(entries) = receiver else { return Err("it is no mapping".to_owned()) };
        let known = |key: &str| Channel::ALL.into_iter().find(|channel| channel.key() == key);
        for (key, value) in entries.iter().filter(|(key, _)| key != "name") {
            if value.as_text().is_none() && value.items().is_empty() {
                continue;
            }
            let Some(channel) = known(key) else {
                return Err(format!(
                    "notifications of `{key}` can't be captured, only those of `slack_configs`, `webhook_configs` and \
                     `email_configs`; leave this receiver out of `receivers`"
                ));
            };
            for (index, item) in value.items().iter().enumerate() {
                let (own, general) = channel.address();
                let global = self.tree.get("global");
                let has = |node: Option<&Node>, keys: &[&str]| {
                    keys.iter().any(|key| node.and_then(|node| node.get(key)).is_some_and(|n| n.as_text().is_some()))
                };
                if !has(Some(item), own) && !has(global, general) {
                    let or = general.first().map_or_else(String::new, |key| format!(", nor `{key}` under `global`"));
                    return Err(format!("`{key}[{index}]` has no `{}`{or}: it could tell nobody", own[0]));
                }
                all.push(Integration { receiver: at, channel, index, resolves: is_told(item, channel) });
            }
        }
        Ok(())
    }

    /// Whether a receiver is told by this channel when the alert is over. HTTP may be either kind of it.
    pub(super) fn resolves(&self, name: &str, channel: Channel) -> bool {
        let keys: &[Channel] =
            if channel == Channel::Email { &[Channel::Email] } else { &[Channel::Webhook, Channel::Slack] };
        let receiver = self.receivers().find(|(known, _)| *known == name).map(|(_, receiver)| receiver);
        let items = |channel: &Channel| receiver.and_then(|r| r.get(channel.key())).map_or(&[] as &[Node], Node::items);
        keys.iter().any(|channel| items(channel).iter().any(|item| is_told(item, *channel)))
    }

    /// The longest timers of any route, after `most` has shortened them.
    pub(super) fn timers(&self, most: Option<Duration>) -> Timers {
        let mut timers = Timers { wait: Duration::ZERO, interval: Duration::ZERO };
        if let Some(root) = self.tree.get("route") {
            longest(root, true, &mut timers);
        }
        if let Some(most) = most {
            timers.wait = timers.wait.min(most);
            timers.interval = timers.interval.min(most.max(SHORTEST_INTERVAL));
        }
        timers
    }

    /// The same configuration with these endpoints and nothing else that leads anywhere, as text. `folder` is what
    /// relative names of templates start from.
    pub(super) fn rewritten(
        &self,
        wanted: &[String],
        endpoints: &[(Integration, Endpoint)],
        folder: &Path,
        most: Option<Duration>,
    ) -> String {
        let mut tree = Node::Map(vec![("global".to_owned(), self.global())]);
        for section in SECTIONS {
            let Some(node) = self.tree.get(section) else { continue };
            let node = match section {
                "route" => most.map_or_else(|| node.clone(), |most| shortened(node, true, most)),
                "templates" => Node::List(node.items().iter().map(|name| anchored(name, folder)).collect()),
                "receivers" => {
                    let all = node.items().iter();
                    Node::List(all.map(|receiver| redirected(receiver, wanted, endpoints)).collect())
                }
                _ => node.clone(),
            };
            tree.set(section, node);
        }
        tree.write()
    }

    fn global(&self) -> Node {
        let mut global = Node::Map(vec![("smtp_require_tls".to_owned(), Node::word("false"))]);
        for key in ["resolve_timeout", "smtp_from"] {
            if let Some(node) = self.tree.get("global").and_then(|global| global.get(key)) {
                global.set(key, node.clone());
            }
        }
        global
    }
}

/// Whether an integration tells when the alert is over.
fn is_told(item: &Node, channel: Channel) -> bool {
    let said = item.get("send_resolved").and_then(Node::as_text).map(str::to_ascii_lowercase);
    match said.as_deref() {
        Some(word) => matches!(word, "true" | "yes" | "on" | "y"),
        None => channel == Channel::Webhook,
    }
}

fn redirected(receiver: &Node, wanted: &[String], endpoints: &[(Integration, Endpoint)]) -> Node {
    let name = receiver.get("name").cloned().unwrap_or_else(|| Node::word(""));
    let at = name.as_text().and_then(|name| wanted.iter().position(|known| known == name));
    let mut made = Node::Map(vec![("name".to_owned(), name)]);
    for channel in Channel::ALL {
        let items = receiver.get(channel.key()).map_or(&[] as &[Node], Node::items);
        let mine = |(integration, _): &&(Integration, Endpoint)| {
            Some(integration.receiver) == at && integration.channel == channel
        };
        let new: Vec<Node> = endpoints
            .iter()
            .filter(mine)
            .filter_map(|(integration, endpoint)| Some(moved(items.get(integration.index)?, channel, endpoint)))
            .collect();
        if !new.is_empty() {
            made.set(channel.key(), Node::List(new));
        }
    }
    made
}

fn moved(item: &Node, channel: Channel, endpoint: &Endpoint) -> Node {
    let Node::Map(entries) = item else { return item.clone() };
    let stays = |(key, _): &&(String, Node)| !channel.leads().contains(&key.as_str());
    let mut item = Node::Map(entries.iter().filter(stays).cloned().collect());
    match endpoint {
        Endpoint::Http(url) if channel == Channel::Slack => item.set("api_url", Node::text(url)),
        Endpoint::Http(url) => item.set("url", Node::text(url)),
        Endpoint::Smtp(address, hello) => {
            item.set("smarthost", Node::text(address));
            item.set("hello", Node::text(hello));
            item.set("require_tls", Node::word("false"));
        }
    }
    item
}

/// A file name pattern that no longer depends on where the configuration lies.
fn anchored(name: &Node, folder: &Path) -> Node {
    let Some(text) = name.as_text().filter(|text| !text.starts_with('/')) else { return name.clone() };
    let mut whole = String::new();
    for c in folder.to_string_lossy().chars() {
        if "*?[\\".contains(c) {
            whole.push('\\');
        }
        whole.push(c);
    }
    Node::text(format!("{whole}/{text}"))
}

fn longest(route: &Node, root: bool, timers: &mut Timers) {
    let of = |key: &str| route.get(key).and_then(Node::as_text).and_then(duration);
    let default = |time: Duration| root.then_some(time);
    timers.wait = of("group_wait").or(default(GROUP_WAIT)).map_or(timers.wait, |time| time.max(timers.wait));
    let interval = of("group_interval").or(default(GROUP_INTERVAL));
    timers.interval = interval.map_or(timers.interval, |time| time.max(timers.interval));
    for child in route.get("routes").map_or(&[] as &[Node], Node::items) {
        longest(child, false, timers);
    }
}

/// A route whose timers are at most `most`.
fn shortened(route: &Node, root: bool, most: Duration) -> Node {
    let mut made = route.clone();
    for (key, default, most) in
        [("group_wait", GROUP_WAIT, most), ("group_interval", GROUP_INTERVAL, most.max(SHORTEST_INTERVAL))]
    {
        let own = route.get(key).and_then(Node::as_text);
        let time = match own {
            // What is no duration is Alertmanager's to refuse.
            Some(text) => duration(text),
            None => root.then_some(default),
        };
        if time.is_some_and(|time| time > most) {
            made.set(key, Node::word(format!("{}ms", most.as_millis())));
        }
    }
    if let Some(Node::List(children)) = route.get("routes") {
        made.set("routes", Node::List(children.iter().map(|child| shortened(child, false, most)).collect()));
    }
    made
}

/// A duration as Prometheus writes it: `1h30m`, `250ms`, `0`.
fn duration(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let mut rest = text;
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: u64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let unit = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let millis = match &rest[..unit] {
            "ms" => 1,
            "s" => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            "w" => 7 * 86_400_000,
            "y" => 365 * 86_400_000,
            _ => return None,
        };
        total = total.checked_add(Duration::from_millis(number.checked_mul(millis)?))?;
        rest = &rest[unit..];
    }
    (!text.is_empty()).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROUTE: &str = "route: {receiver: x}\n";

    fn config(text: &str) -> Config {
        Config::read(text).unwrap()
    }

    fn wanted(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    /// The configuration with endpoints `http://cap/N` and `cap:N`.
    fn rewritten(text: &str, names: &[&str], most: Option<Duration>) -> Node {
        let (config, wanted) = (config(text), wanted(names));
        let integrations = config.integrations(&wanted).unwrap();
        let endpoint = |at: usize, channel: Channel| match channel {
            Channel::Email => Endpoint::Smtp(format!("cap:{at}"), "me".to_owned()),
            _ => Endpoint::Http(format!("http://cap/{at}")),
        };
        let pairs: Vec<_> =
            integrations.into_iter().enumerate().map(|(at, one)| (one.clone(), endpoint(at, one.channel))).collect();
        yaml::read(&config.rewritten(&wanted, &pairs, Path::new("/etc/am"), most)).unwrap()
    }

    /// `path` is keys and indices.
    fn at(node: &Node, path: &str) -> Option<String> {
        let mut node = node;
        for part in path.split('.') {
            node = match part.parse::<usize>() {
                Ok(index) => node.items().get(index)?,
                Err(_) => node.get(part)?,
            };
        }
        match node {
            Node::Scalar(text, _) => Some(text.clone()),
            other => Some(other.write().trim().to_owned()),
        }
    }

    /// One configuration: who is wanted, what is where afterwards (`-` for nothing), and what stands nowhere.
    struct Case {
        name: &'static str,
        text: &'static str,
        wanted: &'static [&'static str],
        at: &'static [(&'static str, &'static str)],
        gone: &'static [&'static str],
    }

    const CASES: [Case; 7] = [
        Case {
            name: "global addresses and credentials",
            text: "global:
  resolve_timeout: 5m
  smtp_smarthost: mail.example.org:587
  smtp_from: am@example.org
  smtp_auth_username: am
  smtp_auth_password: hunter2
  slack_api_url_file: /run/secrets/slack
  pagerduty_url: https://pd.example.org
  http_config: {proxy_url: 'http://proxy.example.org:3128'}
tracing: {endpoint: 'trace.example.org:4317'}
route: {receiver: team, group_by: [alertname]}
receivers:
- name: team
  slack_configs:
  - channel: '#a'
    http_config: {bearer_token: hunter2}
    title: '{{ .Status }}'
  email_configs:
  - to: a@example.org
    headers: {Subject: 'mail.txt'}
",
            wanted: &["team"],
            at: &[
                ("global.resolve_timeout", "5m"),
                ("global.smtp_from", "am@example.org"),
                ("global.smtp_require_tls", "false"),
                ("global.smtp_smarthost", "-"),
                ("receivers.0.slack_configs.0.api_url", "http://cap/0"),
                ("receivers.0.slack_configs.0.title", "{{ .Status }}"),
                ("receivers.0.email_configs.0.smarthost", "cap:1"),
                ("receivers.0.email_configs.0.hello", "me"),
                ("receivers.0.email_configs.0.headers.Subject", "mail.txt"),
                ("route.group_by.0", "alertname"),
                ("tracing", "-"),
            ],
            gone: &["hunter2", "mail.example.org", "secrets", "pd.example", "proxy", "trace"],
        },
        Case {
            name: "its own smarthost, with TLS and a password",
            text: "route: {receiver: m}
receivers:
- name: m
  email_configs:
  - {to: a@b, from: c@d, smarthost: 'smtp.example.org:465', auth_password_file: /p, auth_identity: i,
     tls_config: {insecure_skip_verify: yes}, require_tls: true, send_resolved: yes, html: '{{ .X }}'}
",
            wanted: &["m"],
            at: &[
                ("receivers.0.email_configs.0.smarthost", "cap:0"),
                ("receivers.0.email_configs.0.require_tls", "false"),
                ("receivers.0.email_configs.0.send_resolved", "yes"),
                ("receivers.0.email_configs.0.html", "{{ .X }}"),
                ("receivers.0.email_configs.0.tls_config", "-"),
            ],
            gone: &["smtp.example.org", "/p", "insecure"],
        },
        Case {
            name: "several webhooks, others blanked",
            text: "route: {receiver: hooks}
receivers:
- name: hooks
  webhook_configs:
  - {url: 'http://a.example.org/x', max_alerts: 5}
  - {url_file: /run/b, send_resolved: false}
- name: other
  slack_configs: [{api_url: 'https://hooks.example.org/y', channel: c}]
- name: pager
  pagerduty_configs: [{routing_key: k3y}]
- name: ops
  opsgenie_configs: [{api_key: k3y}]
- name: 'null'
",
            wanted: &["hooks"],
            at: &[
                ("receivers.0.webhook_configs.0.url", "http://cap/0"),
                ("receivers.0.webhook_configs.0.max_alerts", "5"),
                ("receivers.0.webhook_configs.1.url", "http://cap/1"),
                ("receivers.0.webhook_configs.1.send_resolved", "false"),
                ("receivers.1", r#"{"name": other}"#),
                ("receivers.2", r#"{"name": pager}"#),
                ("receivers.3", r#"{"name": ops}"#),
                ("receivers.4.name", "null"),
            ],
            gone: &["example.org", "k3y", "/run/b"],
        },
        Case {
            name: "nested routes, matchers and intervals stay",
            text: "route:
  receiver: a
  group_by: ['...']
  routes:
  - matchers: ['severity=~\"P1|P2\"', team!=x]
    mute_time_intervals: [nights]
    continue: true
    routes:
    - {receiver: b, match: {version: 1.10, ok: yes}, group_wait: 1h30m}
receivers: [{name: a, webhook_configs: [{url: 'http://h'}]}, {name: b, webhook_configs: [{url: 'http://h'}]}]
mute_time_intervals:
- name: nights
  time_intervals: [{times: [{start_time: 22:00, end_time: '23:59'}], weekdays: ['monday:friday'], days_of_month: [-3:-1]}]
inhibit_rules:
- {source_matchers: [severity=\"P0\"], target_matchers: [severity=\"P1\"], equal: [service]}
",
            wanted: &["a", "b"],
            at: &[
                ("route.group_by.0", "..."),
                ("route.routes.0.matchers.0", "severity=~\"P1|P2\""),
                ("route.routes.0.matchers.1", "team!=x"),
                ("route.routes.0.routes.0.match.version", "1.10"),
                ("route.routes.0.routes.0.group_wait", "1h30m"),
                ("mute_time_intervals.0.time_intervals.0.times.0.start_time", "22:00"),
                ("mute_time_intervals.0.time_intervals.0.days_of_month.0", "-3:-1"),
                ("inhibit_rules.0.source_matchers.0", "severity=\"P0\""),
                ("receivers.1.webhook_configs.0.url", "http://cap/1"),
            ],
            gone: &["http://h"],
        },
        Case {
            name: "templates lie beside the configuration",
            text: "templates: ['templates/*.tmpl', /usr/share/am/x.tmpl, one.tmpl]
route: {receiver: a}
receivers: [{name: a, webhook_configs: [{url: 'http://h'}]}]
",
            wanted: &["a"],
            at: &[
                ("templates.0", "/etc/am/templates/*.tmpl"),
                ("templates.1", "/usr/share/am/x.tmpl"),
                ("templates.2", "/etc/am/one.tmpl"),
            ],
            gone: &[],
        },
        Case {
            name: "anchors and merge keys",
            text: "x-slack: &slack {api_url: 'https://hooks.example.org/z', send_resolved: true, channel: '#all'}
route: {receiver: a}
receivers:
- name: a
  slack_configs:
  - <<: *slack
    channel: '#a'
  - *slack
",
            wanted: &["a"],
            at: &[
                ("receivers.0.slack_configs.0.api_url", "http://cap/0"),
                ("receivers.0.slack_configs.0.channel", "#a"),
                ("receivers.0.slack_configs.0.send_resolved", "true"),
                ("receivers.0.slack_configs.1.channel", "#all"),
                ("x-slack", "-"),
            ],
            gone: &["hooks.example.org", "<<"],
        },
        Case {
            name: "JSON",
            text: r##"{"route": {"receiver": "a"}, "receivers": [{"name": "a", "slack_configs": [{"api_url": "https://s/", "channel": "#\u00e4"}]}]}"##,
            wanted: &["a"],
            at: &[
                ("receivers.0.slack_configs.0.api_url", "http://cap/0"),
                ("receivers.0.slack_configs.0.channel", "#ä"),
            ],
            gone: &["https://s/"],
        },
    ];

    #[test]
    fn only_what_leads_somewhere_is_replaced() {
        for case in CASES {
            let node = rewritten(case.text, case.wanted, None);
            for (path, value) in case.at {
                assert_eq!(at(&node, path).as_deref().unwrap_or("-"), *value, "{}: {path}", case.name);
            }
            for part in case.gone {
                assert!(!node.write().contains(part), "{}: `{part}` stands in {}", case.name, node.write());
            }
        }
    }

    #[test]
    fn who_cannot_be_captured_is_refused() {
        let of = |receiver: &str, names: &[&str]| {
            let text = format!("{ROUTE}receivers:\n- name: y\n- {receiver}\n");
            config(&text).integrations(&wanted(names)).unwrap_err()
        };
        for (receiver, names, says) in [
            ("name: x", &["z"][..], "has no receiver `z`; it has `y`, `x`"),
            ("name: x", &["x"], "receiver `x` tells nobody"),
            ("{name: x, slack_configs: []}", &["x"], "tells nobody"),
            (
                "{name: x, slack_configs: [{api_url: 'http://a'}], pagerduty_configs: [{routing_key: a}]}",
                &["x"],
                "receiver `x`: notifications of `pagerduty_configs` can't be captured, only those of",
            ),
            ("{name: x, opsgenie_configs: [{api_key: a}]}", &["x"], "`opsgenie_configs` can't be captured"),
            ("{name: x, slack_config: [{}]}", &["x"], "`slack_config` can't be captured"),
            (
                "{name: x, slack_configs: [{channel: a}]}",
                &["x"],
                "`slack_configs[0]` has no `api_url`, nor `slack_api_url` under `global`: it could tell nobody",
            ),
            ("{name: x, webhook_configs: [{}]}", &["x"], "`webhook_configs[0]` has no `url`: it could"),
            ("{name: x, email_configs: [{to: a@b}]}", &["x"], "no `smarthost`, nor `smtp_smarthost` under `global`"),
        ] {
            let why = of(receiver, names);
            assert!(why.contains(says), "{receiver}: {why}");
        }
        for text in ["", "a: b", "- a", "route: {}\n"] {
            assert!(Config::read(text).unwrap_err().contains("has no `route` or no `receivers`"), "{text}");
        }
        assert!(Config::read("route: [\n").unwrap_err().starts_with("is no YAML that can be used: "));
    }

    #[test]
    fn who_is_told_that_it_is_over() {
        let text = "route: {receiver: x}
receivers:
- name: x
  slack_configs: [{api_url: 'http://a'}, {api_url: 'http://a', send_resolved: on}]
  webhook_configs: [{url: 'http://a'}, {url: 'http://a', send_resolved: no}]
  email_configs: [{to: a, smarthost: 'b:25'}]
";
        let all = config(text).integrations(&wanted(&["x"])).unwrap();
        let told: Vec<(String, bool)> = all.iter().map(|one| (one.name(), one.resolves)).collect();
        let expected = [
            ("slack_configs[0]", false),
            ("slack_configs[1]", true),
            ("webhook_configs[0]", true),
            ("webhook_configs[1]", false),
            ("email_configs[0]", false),
        ];
        assert_eq!(told, expected.map(|(name, told)| (name.to_owned(), told)));
        assert!(config(text).resolves("x", Channel::Webhook) && !config(text).resolves("x", Channel::Email));
    }

    #[test]
    fn timers_are_honoured_or_shortened() {
        let text = "route:
  receiver: x
  group_interval: 10s
  routes:
  - {receiver: x, group_wait: 2m, routes: [{receiver: x, group_wait: 100ms, group_interval: 1h}]}
receivers: [{name: x, webhook_configs: [{url: 'http://h'}]}]
";
        let seconds = Duration::from_secs;
        assert_eq!(config(text).timers(None), Timers { wait: seconds(120), interval: seconds(3600) });
        assert_eq!(config(text).timers(Some(seconds(1))), Timers { wait: seconds(1), interval: seconds(1) });
        let plain = format!("{ROUTE}receivers: []\n");
        assert_eq!(config(&plain).timers(None), Timers { wait: GROUP_WAIT, interval: GROUP_INTERVAL });
        let node = rewritten(text, &["x"], Some(seconds(1)));
        for (path, value) in [
            ("route.group_wait", "1000ms"),
            ("route.group_interval", "1000ms"),
            ("route.routes.0.group_wait", "1000ms"),
            ("route.routes.0.group_interval", "-"),
            ("route.routes.0.routes.0.group_wait", "100ms"),
            ("route.routes.0.routes.0.group_interval", "1000ms"),
        ] {
            assert_eq!(at(&node, path).as_deref().unwrap_or("-"), value, "{path}");
        }
        let node = rewritten(text, &["x"], Some(Duration::ZERO));
        assert_eq!(at(&node, "route.group_wait").as_deref(), Some("0ms"));
        assert_eq!(at(&node, "route.group_interval").as_deref(), Some("100ms"));
        for (text, millis) in
            [("1h30m", Some(5_400_000)), ("250ms", Some(250)), ("0", Some(0)), ("1d", Some(86_400_000))]
        {
            assert_eq!(duration(text), millis.map(Duration::from_millis), "{text}");
        }
        for bad in ["", "5", "s", "1x", "-1s", "99999999999999999999s", "18446744073709551615w"] {
            assert_eq!(duration(bad), None, "{bad}");
        }
    }
}
