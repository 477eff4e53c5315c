//! Keys of `git`, `checklist`, `net`, `alert`, `load` and `promql`. Data only.

use super::super::keys::{Kind, Shape};
use super::{MANY, METHODS, key, with};
use Shape::{Bool, Duration, Int, List, Map, OneOf, Size, Table, Template, Text};

pub(in super::super) static GIT: Kind = Kind {
    name: "git",
    what: "`git`",
    open: None,
    keys: &[
        with("tag", Template, "A tag, without `refs/tags/`.", "", "\"vSTAGING-{{ vars.date }}\""),
        with("make", Bool, "Makes the tag if it is missing; an existing one is never moved.", "false", "true"),
        with("at", Template, "The commit it is made on.", "HEAD", ""),
        key("annotate", Template, "Message of an annotated tag; without it the tag is lightweight."),
        with("sign", Bool, "Signs it with the user's key; needs `annotate`.", "false", ""),
        with("push", Text, "Remote that it is pushed to, never by force.", "", "\"origin\""),
    ],
};

pub(in super::super) static CHECKLIST: Kind = Kind {
    name: "checklist",
    what: "`checklist`",
    open: None,
    keys: &[
        with("path", Template, "Markdown file; `FILE#HEADING` for one section.", "", "\"STAGING.md#Post-deploy\""),
        with(
            "tick",
            OneOf(&[Bool, Map(&Text)]),
            "Tick boxes whose step passed: `<!-- step:NAME -->` in the item, or here by its text.",
            "false",
            "{ \"Smoke test is green\" = \"smoke\" }",
        ),
    ],
};

pub(in super::super) static NET: Kind = Kind {
    name: "net",
    what: "`net`",
    open: None,
    keys: &[
        with("tcp", Template, "`host:port` accepts a connection.", "", "\"127.0.0.1:5432\""),
        with("dns", Template, "A name resolves.", "", "\"db.example.org\""),
        with("tls", Template, "`host:port` speaks TLS.", "", "\"example.org:443\""),
        key("name", Template, "Name that the certificate of `tls` is to be valid for, instead of the host."),
        key("ca", Template, "PEM file with the only authorities that `tls` trusts, instead of the system's."),
        with("timeout", Duration, "Longest time of connecting, and of shaking hands.", "10s", ""),
    ],
};

pub(in super::super) static LOAD: Kind = Kind {
    name: "load",
    what: "`load`",
    open: None,
    keys: &[
        with("url", Template, "Absolute URL, http or https.", "", "\"http://127.0.0.1:8080/quote\""),
        with("total", Int(1, MANY), "How many requests are counted.", "", "2000"),
        with("concurrency", Int(1, 1000), "How many are under way at a time.", "8", ""),
        with("warmup", Int(0, MANY), "How many go first and are not counted.", "as `concurrency`", ""),
        with("rate", Int(1, MANY), "Most requests that start in a second.", "as fast as answers come", ""),
        key("baseline", Template, "Another URL that gets as many of the same requests, in turn, to compare with."),
        with("allow_remote", Bool, "Addresses may be on other machines.", "false", ""),
        with("method", METHODS, "Method.", "GET", ""),
        with("headers", Map(&Template), "Request headers.", "{}", ""),
        key("body", Template, "Request body."),
        with("timeout", Duration, "Longest time of one request.", "10s", ""),
        with("max_body", Size, "Most bytes of one answer's body.", "4MiB", ""),
    ],
};

pub(in super::super) static PROMQL: Kind = Kind {
    name: "promql",
    what: "`promql`",
    open: None,
    keys: &[
        with("server", Template, "Address of the server.", "", "\"http://127.0.0.1:9090\""),
        with(
            "query",
            OneOf(&[Template, Table(&PAIR)]),
            "What is asked, or a pair that counts events.",
            "",
            "\"sum(rate(http_requests_total[5m]))\"",
        ),
        with("time", Template, "Instant asked for: RFC 3339, or seconds since 1970.", "the time of the look", ""),
        key("range", Table(&RANGE), "Ask over a range that ends at `time`."),
        key("baseline", OneOf(&[Template, Table(&PAIR)]), "The same question about the other side, to compare with."),
        with("headers", Map(&Template), "Request headers.", "{}", ""),
        with("timeout", Duration, "Longest time of one question.", "30s", ""),
        with("allow_warnings", Bool, "Answers with warnings count, although they may be partial.", "false", ""),
    ],
};

pub(in super::super) static PAIR: Kind = Kind {
    name: "pair",
    what: "a pair of queries",
    open: None,
    keys: &[key("bad", Template, "Counts the bad events."), key("total", Template, "Counts all events.")],
};

pub(in super::super) static RANGE: Kind = Kind {
    name: "range",
    what: "`range`",
    open: None,
    keys: &[
        with("last", Duration, "How far it goes back.", "", "\"30m\""),
        with("step", Duration, "From one sample to the next; not shorter than the rate's window.", "", "\"1m\""),
    ],
};

pub(in super::super) static ALERT: Kind = Kind {
    name: "alert",
    what: "`alert`",
    open: None,
    keys: &[
        with(
            "config",
            Template,
            "Alertmanager configuration; a private Alertmanager runs with it, other endpoints put in.",
            "",
            "\"alertmanager/config.yml\"",
        ),
        with(
            "receivers",
            List(&Text),
            "Receivers that have to be told, firing and resolved. Required.",
            "",
            "[\"slack\", \"email\"]",
        ),
        with(
            "labels",
            Map(&Template),
            "Labels of the alert; a random `runplan_drill` is added.",
            "{ alertname = \"RunplanDrill\" }",
            "{ alertname = \"Drill\", severity = \"low\" }",
        ),
        with("annotations", Map(&Template), "Annotations of the alert.", "{}", "{ summary = \"A drill.\" }"),
        with(
            "within",
            Duration,
            "Longest time until each reception, on top of the configuration's `group_wait` and `group_interval`.",
            "30s",
            "",
        ),
        with(
            "timers",
            Duration,
            "Shortens longer `group_wait` and `group_interval` of the configuration to this.",
            "as they are",
            "\"1s\"",
        ),
        with(
            "server",
            Template,
            "An Alertmanager that runs already, instead of `config`; needs `capture`.",
            "",
            "\"http://127.0.0.1:9093\"",
        ),
        with(
            "capture",
            Map(&Template),
            "Where the receivers of `server` lead to: a loopback address each, listened on during the step.",
            "",
            "{ slack = \"http://127.0.0.1:9095/slack\", email = \"smtp://127.0.0.1:2525\" }",
        ),
    ],
};
