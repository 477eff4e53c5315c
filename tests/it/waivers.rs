//! Waivers: a failure that somebody accepts until a day.

use crate::support::Space;

const PLAN: &str = "waivers = 'waivers.toml'\n[steps.a]\nrun = 'echo 7'\npass = ['stdout  ==  \"8\\n\"', 'exit == 0']\n\
    [steps.b]\nneeds = ['a']\nrun = 'true'\n";

const WAIVER: &str = "[[waivers]]\nstep = 'a'\ncriterion = 'stdout == \"8\\n\"'\nowner = 'ana'\n\
    reason = 'seven will do'\nexpires = 2026-12-01\n";

fn space(waivers: &str) -> Space {
    let space = Space::plan(PLAN);
    space.write("waivers.toml", waivers.replace("'stdout", "'''stdout").replace("\\n\"'", "\\n\"'''"));
    space
}

#[test]
fn a_waived_failure_counts_half_and_lets_others_go_on() {
    let space = space(WAIVER);
    let _ = space.go(&["--date", "2026-12-01"]).code(0).says("risk 8").says("waived");
    assert_eq!(space.state("a"), ("warn".into(), "waived".into()));
    assert_eq!(space.state("b"), ("pass".into(), String::new()));
    let record = space.record();
    assert_eq!(record[0]["date"], "2026-12-01");
    let waiver = &record[1]["criteria"][0]["waiver"];
    assert_eq!((&waiver["owner"], &waiver["expired"]), (&"ana".into(), &false.into()));
    assert!(record[1]["criteria"][1].get("waiver").is_none());
    // Another day, another answer, and nothing runs for it.
    let _ = space.run(&["decide", "--date", "2026-12-01"]).code(0);
    let _ = space.run(&["decide", "--date", "2026-12-02"]).code(1).says("of a has ended since the run");
}

#[test]
fn an_expired_waiver_is_a_failure_and_says_so() {
    let space = space(WAIVER);
    let _ = space.go(&["--date", "2026-12-02"]).code(1).says("by ana expired on 2026-12-01");
    assert_eq!(space.state("a"), ("fail".into(), "criteria".into()));
    assert_eq!(space.record()[1]["criteria"][0]["waiver"]["expired"], true);
}

#[test]
fn the_record_depends_on_the_day_only_where_there_are_waivers() {
    let with = space(WAIVER);
    let first = with.go(&["--date", "2026-11-01"]).code(0).record_id();
    assert_eq!(with.go(&["--date", "2026-11-01"]).code(0).record_id(), first);
    assert_ne!(with.go(&["--date", "2026-11-02"]).code(0).record_id(), first);
    let without = Space::plan("[steps.a]\nrun = 'true'\n");
    let first = without.go(&["--date", "2026-11-01"]).code(0).record_id();
    assert_eq!(without.go(&["--date", "2026-11-02"]).code(0).record_id(), first);
}

#[test]
fn what_waives_nothing_is_refused() {
    for (from, to, message) in [
        ("step = 'a'", "step = 'c'", "no step `c`"),
        ("8\\n", "9\\n", "step `a` has no criterion"),
        ("owner = 'ana'\n", "", "a waiver needs `owner`"),
        ("'seven will do'", "' '", "says who answers for it and why"),
        ("2026-12-01", "'soon'", "`expires` cannot be `soon`"),
        ("2026-12-01", "2026-12-01T10:00:00Z", "`expires` cannot be"),
        ("owner", "ovner", "unknown key `ovner`"),
    ] {
        let _ = space(&WAIVER.replace(from, to)).go(&[]).code(2).says(message).hides("panicked");
    }
    let twice = format!("{WAIVER}{WAIVER}");
    let _ = space(&twice).go(&[]).code(2).says("is waived twice");
    let missing = Space::plan(PLAN);
    let _ = missing.go(&[]).code(2).says("no such file");
}

#[test]
fn a_crash_is_not_waived() {
    let space = Space::plan("waivers = 'w.toml'\n[steps.a]\nrun = 'kill -SEGV $$'\npass = ['exit == 0']\n");
    space
        .write("w.toml", "[[waivers]]\nstep='a'\ncriterion='exit == 0'\nowner='x'\nreason='y'\nexpires='2999-01-01'\n");
    let _ = space.go(&[]).code(1);
    assert_eq!(space.state("a").0, "fail");
}

#[test]
fn a_variable_can_be_the_day_of_the_run() {
    let plan = "[vars]\nday = { today = '%Y%m%d' }\n[steps.a]\nrun = ['echo', '{{ vars.day }}']\n";
    let space = Space::plan(plan);
    let first = space.go(&["--date", "2026-12-01"]).code(0).record_id();
    assert_eq!(space.record()[0]["params"]["day"], "20261201");
    assert_eq!(space.go(&["--date", "2026-12-01"]).code(0).record_id(), first);
    assert_eq!(space.go(&["--date", "2026-12-02", "--var", "day=20261201"]).code(0).record_id(), first);
    assert_ne!(space.go(&["--date", "2026-12-02"]).code(0).record_id(), first);
    for (form, said) in [("day", "`today` is no form of a day"), ("%H', default = 'x", "is the day of the run")] {
        let _ = Space::plan(&plan.replace("%Y%m%d", form)).go(&[]).code(2).says(said);
    }
}
