//! Facts of `signoff` and `plan`. Data only.

use super::super::scope::{Item, Kind};
use super::{FactSpec, fact, maybe};

pub(super) static SIGNOFF: [FactSpec; 7] = [
    fact("missing", Kind::NUMBER, "roles without an approval that counts"),
    fact("rejected", Kind::NUMBER, "roles that said no"),
    fact("approved", Kind::NUMBER, "roles that said yes"),
    fact("role.\"ROLE\".decision", Kind::TEXT, "`approved`, `rejected`, `refused` (it does not count) or `missing`"),
    maybe("role.\"ROLE\".by", Kind::TEXT, "who signed"),
    maybe("role.\"ROLE\".age", Kind::TIME, "how long ago"),
    maybe("role.\"ROLE\".reason", Kind::TEXT, "why it does not count"),
];

pub(super) static PLAN: [FactSpec; 8] = [
    fact("decision", Kind::TEXT, "`GO`, `HOLD` or `NO-GO`"),
    fact("risk", Kind::NUMBER, "its risk"),
    fact("count", Kind::NUMBER, "its steps"),
    fact("counts.(pass|warn|fail|inconclusive|error|pending|skipped|not_run)", Kind::NUMBER, "its steps that ended so"),
    fact("vetoes", Kind::List(Item::Text), "what makes it NO-GO"),
    fact("holds", Kind::List(Item::Text), "what makes it HOLD"),
    fact("record", Kind::TEXT, "id of its record"),
    maybe("step.\"NAME\".state", Kind::TEXT, "how one of its steps ended"),
];
