//! Keys of `git`, `checklist`, `net`, `load` and `promql`. Data only.

use super::super::keys::{Kind, Shape};
use super::{key, with};
use Shape::{Bool, Template, Text};

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
