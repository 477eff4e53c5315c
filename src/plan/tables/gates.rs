//! Keys of what people answer for (`[signoffs]`, `signoff`, waivers) and of `plan`. Data only.

use super::super::keys::{Key, Kind, Shape};
use super::{ENV_VALUES, TEXT_OR_TEXTS, TEXTS, key, with};
use Shape::{Bool, Date, Duration, List, Map, Table, Template, Text};

const SIGNOFF_KEYS: [Key; 5] = [
    with("roles", TEXTS, "Roles that must sign, each once.", "", "[\"Dev Backend\", \"Ops/SRE\"]"),
    with("distinct", Bool, "No person and no key may sign for two roles.", "true", ""),
    with("valid", Duration, "How long an approval counts.", "24h", "\"8h\""),
    with(
        "signers",
        Text,
        "Allowed-signers file of `ssh-keygen`, relative to the workspace.",
        "allowed_signers",
        "\"ops/allowed_signers\"",
    ),
    with(
        "people",
        Map(&TEXT_OR_TEXTS),
        "Who may sign for a role, by the names of the allowed-signers file.",
        "every allowed signer",
        "{ \"Ops/SRE\" = [\"ana@example.org\"] }",
    ),
];

pub(in super::super) static SIGNOFFS: Kind =
    Kind { name: "signoffs", what: "`[signoffs]`", open: None, keys: &SIGNOFF_KEYS };

pub(in super::super) static SIGNOFF: Kind =
    Kind { name: "signoff", what: "`signoff`", open: None, keys: &SIGNOFF_KEYS };

pub(in super::super) static SUBPLAN: Kind = Kind {
    name: "subplan",
    what: "`plan`",
    open: None,
    keys: &[
        with("path", Template, "The plan file, relative to the workspace.", "", "\"plans/database.toml\""),
        with("vars", ENV_VALUES, "Its variables.", "{}", "{ size = 3 }"),
        with("steps", TEXTS, "Only these of its steps, and what they need.", "all", ""),
    ],
};

/// The document that `waivers` names.
pub(in super::super) static WAIVERS: Kind = Kind {
    name: "waivers",
    what: "a waiver file",
    open: None,
    keys: &[key("waivers", List(&Table(&WAIVER)), "The waivers.")],
};

pub(in super::super) static WAIVER: Kind = Kind {
    name: "waiver",
    what: "a waiver",
    open: None,
    keys: &[
        key("step", Text, "The step; the name without its matrix part means every cell."),
        with("criterion", Text, "The criterion, as `runplan explain` shows it.", "", "\"percent(lines) >= 55\""),
        key("owner", Text, "Who answers for it."),
        key("reason", Text, "Why the failure is acceptable."),
        with("expires", Date, "Last day it is in force.", "", "\"2026-12-01\""),
    ],
};
