//! What is said of criteria that do not check.

use super::*;

/// Text, action and how the first fault begins.
fn faults_begin(cases: &[(&str, ActionKind, &str)]) {
    for (text, kind, wanted) in cases {
        let said = fault(text, shape(*kind));
        assert!(said.starts_with(wanted), "{text}\n  said   {said}\n  wanted {wanted}");
    }
}

#[test]
fn faults_of_units_and_operators_read_well() {
    faults_begin(&[
        (
            "percent(lines) >= 55",
            Run,
            "`run` has no fact `percent(lines)` [percent(lines)] that is a fact of `report`; its own facts: `exit`,",
        ),
        ("statsu == 200", Http, "`http` has no fact `statsu` [statsu] did you mean `status`?"),
        ("exit == 0", Http, "`http` has no fact `exit` [exit] that is a fact of `run`; its own facts: "),
        (
            "latency < 500",
            Http,
            "`latency` is a time, this is a plain number [500] write a time, for example `500ms` or `1m30s`",
        ),
        ("status < 5s", Http, "`status` is a plain number, this is a time [5s] a plain number, without a unit"),
        ("size < 5s", Http, "`size` is a size, this is a time [5s] write a size, for example `10KiB`"),
        ("percent(lines) >= 5ms", ActionKind::Report, "`percent(lines)` is a percentage, this is a time"),
        (
            "status contains 2",
            Http,
            "`contains` needs text or a list, `status` is a plain number [contains] compare numbers with",
        ),
        ("status matches \"2..\"", Http, "`matches` needs text, `status` is a plain number [matches]"),
        ("status == \"200\"", Http, "`status` is a plain number, this is text [\"200\"] without the quotes: `200`"),
        ("url == 3", Http, "`url` is text, this is a plain number [3] text goes in quotes"),
        ("url < \"b\"", Http, "`<` needs a number, `url` is text [<] only numbers have an order"),
        ("ready == ok", ActionKind::Service, "`ok` is neither a literal nor a fact [ok] text goes in quotes: `\"ok\"`"),
        (
            "url == lattency",
            Http,
            "`lattency` is neither a literal nor a fact [lattency] text goes in quotes: `\"lattency\"`; or did you mean `latency`?",
        ),
        ("status in 200", Http, "`in` needs a list [200] for example `in [200, 204]`"),
        ("url in \"abc\"", Http, "`in` needs a list [\"abc\"] `in [\"abc\"]`"),
        ("status in []", Http, "nothing is in an empty list [[]] for example `in [200, 204]`"),
        ("status == [200]", Http, "`status` is a plain number, not a list [[200]] did you mean `in`?"),
        ("keys == \"A\"", File, "`keys` is a list of texts [keys] say which: `every(keys)`, `some(keys)`"),
        ("keys starts_with \"A\"", File, "`keys` is a list of texts [keys] say which"),
        (
            "mode == 600",
            File,
            "`mode` is a file mode, this is a plain number [600] write a mode in octal, for example `0o600`",
        ),
        (
            "exists == 1",
            File,
            "`exists` is true or false, this is a plain number [1] compare it with `true` or `false`",
        ),
        (
            "exit superset_of [1]",
            Run,
            "`superset_of` needs a list, `exit` is a plain number [superset_of] for one value write `in",
        ),
        (
            "every(status) == 200",
            Http,
            "`every(…)` needs several values, `status` is a plain number [status] compare `status` itself",
        ),
        ("sum(keys) == 2", File, "`sum(…)` needs numbers, `keys` gives texts [keys]"),
        ("rate(files) == 2", ActionKind::Report, "`rate(…)` needs values that are true or false, `files` gives texts"),
    ]);
}

#[test]
fn faults_of_names_and_patterns_read_well() {
    faults_begin(&[
        (
            "average(latency) < 1s",
            Http,
            "`http` has no fact `average(latency)` [average(latency)] did you mean `avg(latency)`?",
        ),
        ("p101(json) < 1", Http, "a percentile lies between `p0` and `p100` [p101(json)]"),
        ("text matches \"(\"", Http, "`(` is no regular expression: unclosed group [\"(\"]"),
        ("text matches vars.host", Http, "`matches` needs a quoted regular expression [vars.host]"),
        ("text semver \"banana\"", Http, "`banana` is no version requirement: "),
        ("json.\"a.b\" == 1", Http, "`a.b` is no JSONPath: "),
        ("json.a == 1", Http, "`http` has no fact `json.a` [json.a] it is written `json.\"PATH\"`, in quotes"),
        ("vars.flor == 1", Http, "there is no variable `flor` [flor] did you mean `floor`?"),
        (
            "latency < vars.host",
            Http,
            "`latency` is a time, `vars.host` is text [vars.host] put the variable's text into the criterion: `{{ vars.host }}`",
        ),
        ("steps.biuld.exit == 0", Http, "there is no step `biuld` [biuld] did you mean `build`?"),
        ("steps.late.exit == 0", Http, "`late` does not come before this step [late] add it to `needs` or `after`"),
        (
            "steps.build.status == 0",
            Http,
            "step `build` has no fact `status` [status] that is a fact of `http`; its own facts: `exit`,",
        ),
        ("steps.build == 0", Http, "`steps.build` names no fact of a step [steps.build] write `steps.NAME.FACT`"),
        (
            "steps.build.outputs.vresion exists",
            Http,
            "`build` has no named output `vresion` [vresion] did you mean `version`?",
        ),
        (
            "latency <= baseline + 3MiB",
            Http,
            "`latency` is a time, this distance is a size [baseline + 3MiB] write a time",
        ),
        ("percent(lines) >= baseline - 1", ActionKind::Report, "a distance from a percentage needs `pp` or `%`"),
        ("url == baseline + 1%", Http, "`url` is text: nothing can be added to it"),
        ("url contains ratchet", Http, "`contains` does not go with `ratchet` [contains]"),
        ("status is string", Http, "`status` can't be a string: it is always a plain number [status]"),
        ("count(keys) exists", File, "`count(keys)` is a figure, not something that exists"),
        ("file.\"a*\".percent(lines) > 1", ActionKind::Report, "`file.\"a*\".percent(lines)` is a list of percentages"),
        ("json.\"$.a[*]\" > 1", Http, "`json.\"$.a[*]\"` is a list [json.\"$.a[*]\"] say which"),
    ]);
    let no_json = Shape { json: false, ..shape(Run) };
    assert!(fault("json.\"$.a\" == 1", no_json).ends_with("`parse = \"json\"`"));
}
