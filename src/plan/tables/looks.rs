//! Keys of `git`, `checklist`, `net`, `load` and `promql`. Data only.

use super::super::keys::{Kind, Shape};
use super::{key, with};
use Shape::{Bool, Map, OneOf, Template, Text};

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
