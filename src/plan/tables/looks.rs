//! Keys of `git`, `checklist`, `net`, `load` and `promql`. Data only.

use super::super::keys::{Kind, Shape};
use super::{key, with};
use Shape::{Bool, Duration, Map, OneOf, Template, Text};

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
