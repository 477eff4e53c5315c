//! Keys of `retry` and `sample`. Data only.

use super::super::keys::{Kind, Shape};
use super::{MANY, key, with};
use Shape::{Duration, Int, List, Number};

pub(in super::super) static RETRY: Kind = Kind {
    name: "retry",
    what: "`retry`",
    open: None,
    keys: &[
        key("limit", Int(0, 1000), "How many extra attempts."),
        with("backoff", Duration, "Pause before the first extra attempt.", "0s", "\"2s\""),
        with("factor", Number, "Each pause is this many times the one before.", "1", "2"),
        with("cap", Duration, "Longest pause.", "5m", ""),
        with("exit", List(&Int(0, 255)), "Only for these exit codes.", "any failure or error", "[75]"),
    ],
};

pub(in super::super) static SAMPLE: Kind = Kind {
    name: "sample",
    what: "`sample`",
    open: None,
    keys: &[
        with("delay", Duration, "Pause before the first look.", "0s", ""),
        with("every", Duration, "Pause between two looks.", "1s", ""),
        with("max", Int(1, MANY), "Most looks.", "", "10"),
        with("within", Duration, "Longest time from the first look.", "60s if the step polls without `max`", "\"60s\""),
        with("consecutive", Int(1, MANY), "Looks in a row that must pass: the step polls until then.", "", "3"),
        with("failures", Int(0, MANY), "Failed looks tolerated.", "any number while it polls, else 0", ""),
        with("inconclusive", Int(0, MANY), "Undecided looks tolerated.", "as `failures`", ""),
        with(
            "errors",
            Int(0, MANY),
            "Looks in a row that may go wrong.",
            "any number while it polls with a deadline, else 4",
            "",
        ),
    ],
};
