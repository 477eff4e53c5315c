//! Check and evaluation together, as a plan uses them.

mod faults;

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::proptest;
use serde_json::json;

use super::*;
use crate::action::ActionKind;
use crate::facts::{Facts, Num, Unit};
use crate::outcome::{CriterionResult, State};

fn shape(kind: ActionKind) -> Shape {
    Shape {
        kind,
        report: false,
        json: true,
        many: false,
        sampled: false,
        probe: None,
        two_sided: false,
        values: BTreeMap::new(),
    }
}

fn vars() -> BTreeMap<String, Value> {
    BTreeMap::from([
        ("floor".to_owned(), Value::int(32)),
        ("host".to_owned(), Value::text("local")),
        ("codes".to_owned(), Value::List(vec![Value::int(200), Value::int(204)])),
    ])
}

fn checked(text: &str, own: Shape) -> Result<Criterion, Vec<Fault>> {
    let kinds = vars().iter().map(|(name, value)| (name.clone(), Kind::of(value))).collect();
    let step = |name: &str| {
        let outputs = vec!["version".to_owned()];
        let other = |upstream| Some(StepScope { shape: shape(Run), outputs: outputs.clone(), upstream });
        match name {
            "build" => other(true),
            "late" => other(false),
            _ => None,
        }
    };
    let scope = Scope {
        shape: own,
        vars: &kinds,
        ratchet: true,
        baseline: true,
        compare: None,
        only_globals: false,
        step: &step,
        known_steps: &|| vec!["build".to_owned(), "late".to_owned()],
    };
    let mut criterion = parse(text, Tier::Pass, Place::default()).map_err(|fault| vec![fault])?;
    let faults = check(&mut criterion, &scope);
    if faults.is_empty() { Ok(criterion) } else { Err(faults) }
}

/// Message, the text underlined and help of the first fault.
fn fault(text: &str, shape: Shape) -> String {
    let faults = checked(text, shape).expect_err(text);
    let fault = &faults[0];
    format!("{} [{}] {}", fault.message, &text[fault.at.clone()], fault.help.as_deref().unwrap_or("-"))
}

/// Facts that serve every action at once.
fn facts() -> Facts {
    let mut facts = Facts::about(1, "thing");
    let texts = |list: &[&str]| Value::List(list.iter().map(|t| Value::text(*t)).collect());
    facts.set("exit", Value::int(0));
    facts.set("status", Value::int(200));
    facts.set("stdout", Value::text("ready 1.4.2\nbye"));
    facts.set("lines(stdout)", texts(&["ready 1.4.2", "bye"]));
    facts.set("latency", Value::time(Duration::from_micros(173_412)));
    facts.set("size", Value::size(1536));
    facts.set("mode", Value::Num(Num::int(0o600), Unit::Octal));
    facts.set("leaked", Value::Bool(false));
    facts.set("header", Value::Map(BTreeMap::from([("x-v".to_owned(), Value::text("v1.4.2"))])));
    let json = json!({"a": 5, "s": "5", "n": null, "list": [1, 2, 3], "o": {"k": 1}, "at": "1970-01-01T00:00:00Z", "none": []});
    facts.set("json", Value::Json(json));
    facts.set("keys", texts(&["A", "B", "C"]));
    facts.set("template", Value::Map(BTreeMap::from([("keys".to_owned(), texts(&["A", "B"]))])));
    facts.set("percent(lines)", Value::percent(157, 500));
    facts.set("percent(branches)", Value::percent(0, 0));
    let file = |p, w| Value::Map(BTreeMap::from([("percent(lines)".to_owned(), Value::percent(p, w))]));
    let files = [("app/a.py", file(9, 10)), ("app/b.py", file(1, 2)), ("lib/c.py", file(1, 1))];
    facts.set("file", Value::Map(files.into_iter().map(|(n, v)| (n.to_owned(), v)).collect()));
    let test = |state: &str| Value::Map(BTreeMap::from([("state".to_owned(), Value::text(state))]));
    let tests = [("t.x[a]", "passed"), ("t.y", "skipped")].map(|(name, state)| (name.to_owned(), test(state)));
    facts.set("test", Value::Map(BTreeMap::from(tests)));
    facts.set("tests", Value::Map(BTreeMap::from([("names(failed)".to_owned(), texts(&[]))])));
    facts
}

fn judge_in(text: &str, shape: Shape, samples: &[Facts], baseline: Option<&[Facts]>) -> CriterionResult {
    let criterion = checked(text, shape).unwrap_or_else(|faults| panic!("{text}: {faults:?}"));
    let mut build = Facts::about(1, "process");
    build.set("exit", Value::int(3));
    build.set("state", Value::text("fail"));
    build.set("outputs", Value::Map(BTreeMap::from([("version".to_owned(), Value::text("1.2"))])));
    let steps = BTreeMap::from([("build".to_owned(), build)]);
    let env = BTreeMap::from([("CI".to_owned(), "true".to_owned())]);
    let vars = vars();
    let ratchet = Value::int(30);
    let evidence = Evidence {
        facts: samples.last().unwrap(),
        samples,
        steps: &steps,
        vars: &vars,
        env: &env,
        ratchet: Some(&ratchet),
        baseline,
        allow_no_baseline: None,
        now: 90_000,
    };
    evaluate(&criterion, &evidence, "plan.toml:3:9".to_owned())
}

fn judge(text: &str, kind: ActionKind) -> CriterionResult {
    let shape = Shape { report: true, ..shape(kind) };
    judge_in(text, shape, &[facts()], None)
}

fn line(text: &str, kind: ActionKind) -> String {
    let CriterionResult { state, expected, against, actual, margin, .. } = judge(text, kind);
    let against = against.map(|text| format!(" ({text})")).unwrap_or_default();
    format!("{state}: {expected}{against} | {actual} | {}", margin.unwrap_or_default())
}

use ActionKind::{File, Http, Run};

#[test]
fn every_operator_holds_and_fails() {
    for (text, kind, state) in [
        ("exit == 0", Run, State::Pass),
        ("exit == 1", Run, State::Fail),
        ("exit != 1", Run, State::Pass),
        ("exit != 0", Run, State::Fail),
        ("status < 201", Http, State::Pass),
        ("status < 200", Http, State::Fail),
        ("status <= 200", Http, State::Pass),
        ("status <= 199", Http, State::Fail),
        ("status > 199", Http, State::Pass),
        ("status > 200", Http, State::Fail),
        ("status >= 200", Http, State::Pass),
        ("status >= 201", Http, State::Fail),
        ("status in [200, 204]", Http, State::Pass),
        ("status in vars.codes", Http, State::Pass),
        ("status in [201]", Http, State::Fail),
        ("stdout contains \"1.4\"", Run, State::Pass),
        ("stdout contains \"1.5\"", Run, State::Fail),
        ("lines(stdout) contains \"bye\"", Run, State::Pass),
        ("lines(stdout) contains \"by\"", Run, State::Fail),
        ("stdout matches \"^ready \\d\"", Run, State::Pass),
        ("stdout matches \"^bye\"", Run, State::Fail),
        ("stdout starts_with \"ready\"", Run, State::Pass),
        ("stdout starts_with \"bye\"", Run, State::Fail),
        ("stdout ends_with \"bye\"", Run, State::Pass),
        ("stdout ends_with \"ready\"", Run, State::Fail),
        ("keys superset_of template.keys", File, State::Pass),
        ("keys superset_of [\"A\", \"Z\"]", File, State::Fail),
        ("template.keys subset_of keys", File, State::Pass),
        ("keys subset_of template.keys", File, State::Fail),
        ("keys same_set [\"C\", \"B\", \"A\"]", File, State::Pass),
        ("keys same_set [\"C\", \"B\"]", File, State::Fail),
        ("keys == [\"A\", \"B\", \"C\"]", File, State::Pass),
        ("header.\"X-V\" semver \">=1.4, <2\"", Http, State::Pass),
        ("header.\"X-V\" semver \"^2\"", Http, State::Fail),
        ("header.\"X-V\" exists", Http, State::Pass),
        ("not header.\"x-powered-by\" exists", Http, State::Pass),
        ("header.\"x-powered-by\" exists", Http, State::Fail),
        ("not exit == 1", Run, State::Pass),
        ("leaked == false", Run, State::Pass),
        ("mode == 0o600", File, State::Pass),
        ("mode == 0o644", File, State::Fail),
        ("steps.build.exit == 3", Run, State::Pass),
        ("steps.build.state == \"fail\"", Run, State::Pass),
        ("steps.build.outputs.version == \"1.2\"", Run, State::Pass),
        ("vars.host == \"local\"", Run, State::Pass),
        ("env.CI == \"true\"", Run, State::Pass),
        ("env.NOPE == \"true\"", Run, State::Fail),
        ("not env.NOPE exists", Run, State::Pass),
    ] {
        assert_eq!(judge(text, kind).state, state, "{text}");
    }
}

#[test]
fn types_quantifiers_and_aggregates() {
    for (text, state) in [
        ("json.\"$.s\" is string", State::Pass),
        ("json.\"$.a\" is number", State::Pass),
        ("json.\"$.a\" is string", State::Fail),
        ("json.\"$.list\" is list", State::Pass),
        ("json.\"$.o\" is object", State::Pass),
        ("json.\"$.n\" is null", State::Pass),
        ("json.\"$.n\" exists", State::Pass),
        ("json.\"$.at\" is date", State::Pass),
        ("json.\"$.s\" is duration", State::Fail),
        ("latency is duration", State::Pass),
        ("size is size", State::Pass),
        ("age(json.\"$.at\") < 2m", State::Pass),
        ("age(json.\"$.at\") < 1m", State::Fail),
        ("every(json.\"$.list[*]\") > 0", State::Pass),
        ("every(json.\"$.list\") > 1", State::Fail),
        ("some(json.\"$.list\") > 2", State::Pass),
        ("some(json.\"$.list\") > 3", State::Fail),
        ("none(json.\"$.list\") > 3", State::Pass),
        ("none(json.\"$.list\") > 2", State::Fail),
        ("not every(json.\"$.list\") > 1", State::Pass),
        ("every(json.\"$.list\") is number", State::Pass),
        ("max(json.\"$.list\") == 3", State::Pass),
        ("count(json.\"$.list\") == 3", State::Pass),
        ("p50(json.\"$.list\") == 2", State::Pass),
        ("count(json.\"$.none\") == 0", State::Pass),
        ("every(json.\"$.none\") == 0", State::Error),
        ("none(json.\"$.none\") == 0", State::Error),
        ("sum(json.\"$.none\") == 0", State::Error),
        ("every(json.\"$.a\") == 5", State::Error),
        ("json.\"$.s\" == 5", State::Error),
        ("json.\"$.s\" < 6", State::Error),
        ("json.\"$.a\" < 5ms", State::Error),
        ("json.\"$.n\" == 5", State::Fail),
        ("json.\"$.zzz\" == 5", State::Fail),
        ("json.\"$.zzz\" != 5", State::Fail),
        ("not json.\"$.zzz\" == 5", State::Pass),
        ("json.\"$.zzz\" is number", State::Fail),
        ("every(json.\"$.zzz\") == 1", State::Error),
        ("not none(json.\"$.zzz\") == 1", State::Error),
        ("json.\"$.o\" contains \"k\"", State::Pass),
    ] {
        assert_eq!(judge(text, Http).state, state, "{text}");
    }
}

#[test]
fn reports_files_and_tests() {
    for (text, state) in [
        ("percent(lines) >= vars.floor", State::Fail),
        ("percent(lines) >= ratchet", State::Pass),
        ("percent(lines) >= 31.4", State::Pass),
        ("percent(lines) > 31.4", State::Fail),
        ("percent(lines) >= 31.4pp", State::Pass),
        ("percent(branches) >= 0", State::Error),
        ("file.\"app/a.py\".percent(lines) >= 85", State::Pass),
        ("every(file.\"app/*\".percent(lines)) >= 85", State::Fail),
        ("every(file.\"**/*.py\".percent(lines)) >= 50", State::Pass),
        ("count(file.\"app/*\".percent(lines)) == 2", State::Pass),
        ("every(file.\"src/*\".percent(lines)) >= 85", State::Error),
        ("file.\"app/z.py\".percent(lines) >= 85", State::Error),
        ("test.\"t.x[a]\".state == \"passed\"", State::Pass),
        ("every(test.\"t.x[*\".state) == \"passed\"", State::Pass),
        ("every(test.\"t.*\".state) == \"passed\"", State::Fail),
        ("test.\"t.gone\".state == \"passed\"", State::Fail),
        ("count(tests.names(failed)) == 0", State::Pass),
        ("tests.names(failed) == []", State::Pass),
        ("tests.total == 5", State::Error),
    ] {
        assert_eq!(judge(text, ActionKind::Report).state, state, "{text}: {:?}", judge(text, ActionKind::Report));
    }
}

#[test]
fn results_read_well() {
    assert_eq!(line("percent(lines) >= 55", Run), "fail: >= 55 % | 31.4 % (157/500) | short by 23.6 pp");
    assert_eq!(line("percent(lines) >= 7.8", Run), "pass: >= 7.8 % | 31.4 % (157/500) | 23.6 pp to spare");
    assert_eq!(line("latency < 500ms", Http), "pass: < 500 ms | 173 ms | 327 ms to spare");
    assert_eq!(line("latency < 173412us", Http), "fail: < 173.412 ms | 173.412 ms | exactly at the bound");
    assert_eq!(line("latency < 173ms", Http), "fail: < 173 ms | 173.4 ms | over by 412 us");
    assert_eq!(line("size <= 1KiB", Http), "fail: <= 1 KiB | 1.5 KiB | over by 512 B");
    assert_eq!(line("exit == 1", Run), "fail: == 1 | 0 | ");
    assert_eq!(line("mode == 0o644", File), "fail: == 0o644 | 0o600 | ");
    assert_eq!(line("status in [201, 204]", Http), "fail: in [201, 204] | 200 | ");
    assert_eq!(line("stdout matches \"^bye\"", Run), "fail: matches \"^bye\" | \"ready 1.4.2\\nbye\" | ");
    assert_eq!(line("not exit == 0", Run), "fail: not == 0 | 0 | ");
    assert_eq!(line("not latency > 1s", Http), "pass: not > 1 s | 173 ms | 827 ms to spare");
    assert_eq!(
        line("keys superset_of [\"A\", \"Z\"]", File),
        "fail: superset_of [\"A\", \"Z\"] | [\"A\", \"B\", \"C\"] | missing \"Z\""
    );
    assert_eq!(line("none(keys) matches \"A|B\"", File), "fail: none matches \"A|B\" | 2 of 3: \"A\", \"B\" | ");
    assert_eq!(line("none(keys) matches \"x\"", File), "pass: none matches \"x\" | none of 3 | ");
    assert_eq!(line("every(json.\"$.list\") >= 2", Http), "fail: every >= 2 | 1 of 3 not: 1 | short by 1");
    assert_eq!(line("some(json.\"$.list\") >= 2", Http), "pass: some >= 2 | 2 of 3: 2, 3 | 1 to spare");
    assert_eq!(
        line("percent(lines) >= vars.floor", Run),
        "fail: >= vars.floor (32 %) | 31.4 % (157/500) | short by 0.6 pp"
    );
    let absent = judge("header.\"x\" == \"1\"", Http);
    assert_eq!((absent.actual.as_str(), absent.note.as_deref()), ("absent", Some("`header.\"x\"` is absent")));
    assert_eq!(absent.place, "plan.toml:3:9");
}

#[test]
fn baselines() {
    let seen = |text: &str, value: Value| {
        let mut facts = Facts::default();
        facts.set(text.split(' ').next().unwrap(), value);
        vec![facts]
    };
    let judge = |text: &str, value: Option<Value>| {
        let before = value.map(|value| seen(text, value));
        let result = judge_in(text, shape(Http), &[facts()], before.as_deref());
        (result.state, result.expected, result.against)
    };
    let ms = |n| Some(Value::time(Duration::from_millis(n)));
    assert_eq!(
        judge("latency <= baseline + 10%", ms(160)),
        (State::Pass, "<= baseline + 10 %".to_owned(), Some("176 ms, baseline 160 ms".to_owned()))
    );
    assert_eq!(judge("latency <= baseline + 10%", ms(150)).0, State::Fail);
    assert_eq!(
        judge("latency <= baseline + 50ms", ms(150)),
        (State::Pass, "<= baseline + 50 ms".to_owned(), Some("200 ms, baseline 150 ms".to_owned()))
    );
    assert_eq!(judge("latency >= baseline - 1%", ms(173)).0, State::Pass);
    assert_eq!(judge("latency <= baseline", None), (State::Inconclusive, "<= baseline".to_owned(), None));
    assert_eq!(judge("latency <= baseline + 10%", None).1, "<= baseline + 10 %");
    assert_eq!(judge("latency <= baseline + 10%", ms(0)).0, State::Fail);
    assert_eq!(judge("redirects <= baseline + 10%", Some(Value::int(0))).0, State::Error);
    assert_eq!(judge("status <= baseline + 10%", Some(Value::int(0))).0, State::Fail);
    let text = "exit <= baseline + 10%";
    let exit = |value| judge_in(text, shape(Run), &[facts()], Some(&seen(text, Value::int(value)))).state;
    assert_eq!((exit(0), exit(-1)), (State::Pass, State::Fail));
}

#[test]
fn samples() {
    let look = |status: i32, ms: u64| {
        let mut facts = Facts::about(1, "response");
        facts.set("status", Value::int(status));
        facts.set("latency", Value::time(Duration::from_millis(ms)));
        facts
    };
    let looks = [look(503, 100), Facts::default(), look(200, 300), look(200, 200)];
    let sampled = Shape { sampled: true, ..shape(Http) };
    for (text, state) in [
        ("status == 200", State::Pass),
        ("every(status) == 200", State::Fail),
        ("some(status) == 503", State::Pass),
        ("none(status) == 500", State::Pass),
        ("count(status) == 3", State::Pass),
        ("last(status) == 200", State::Pass),
        ("med(latency) == 200ms", State::Pass),
        ("p95(latency) <= 290ms", State::Pass),
        ("p95(latency) < 290ms", State::Fail),
        ("max(latency) < 301ms", State::Pass),
        ("min(latency) == 100ms", State::Pass),
        ("avg(latency) == 200ms", State::Pass),
        ("sum(latency) == 600ms", State::Pass),
        ("stddev(latency) < 101ms", State::Pass),
    ] {
        assert_eq!(judge_in(text, sampled.clone(), &looks, None).state, state, "{text}");
    }
    let recovers = |text: &str| checked(text, sampled.clone()).unwrap().may_recover();
    assert!(recovers("p95(latency) < 1s") && recovers("some(status) == 200"));
    assert!(!recovers("every(status) == 200") && !recovers("status == 200"));
    assert!(fault("p95(latency) < 1s", shape(Http)).contains("let the step look more than once"));
}

#[test]
fn conditions_name_only_what_is_known_before() {
    let kinds = BTreeMap::new();
    let scope = Scope {
        shape: shape(Http),
        vars: &kinds,
        ratchet: false,
        baseline: false,
        compare: None,
        only_globals: true,
        step: &|_| None,
        known_steps: &Vec::new,
    };
    let faults = |text: &str| {
        let mut criterion = parse(text, Tier::When, Place::default()).unwrap();
        check(&mut criterion, &scope).iter().map(|f| f.message.clone()).collect::<Vec<_>>()
    };
    assert_eq!(faults("status == 200"), ["`status` is not known before the step has run"]);
    assert_eq!(faults("env.CI exists"), Vec::<String>::new());
    assert_eq!(faults("env.CI == ratchet"), ["the step has no `ratchet`"]);
    assert_eq!(faults("env.CI == baseline"), ["there is no `baseline` here"]);
}

#[test]
fn every_fact_of_the_table_parses_and_checks() {
    for kind in ActionKind::ALL {
        for spec in facts_of(kind) {
            assert!(!spec.doc.is_empty());
            for path in table::spelled(spec.path) {
                let path = path.replace("json.\"PATH\"", "json.\"$.a\"").replace("DOTTED", "a.b.c");
                let criterion = checked(&format!("{path} exists"), shape(kind));
                let criterion = criterion.unwrap_or_else(|faults| panic!("{path}: {faults:?}"));
                assert_eq!(criterion.subject_text(), path);
            }
        }
    }
}

#[test]
fn names_and_roots() {
    let roots = |text: &str| checked(text, Shape { report: true, ..shape(Run) }).unwrap().roots();
    assert_eq!(roots("percent(lines) >= vars.floor"), [Root::Fact("percent(lines)".into()), Root::Var("floor".into())]);
    assert_eq!(roots("count(lines(stdout)) > 1"), [Root::Fact("lines(stdout)".into())]);
    assert_eq!(roots("env.CI exists"), [Root::Env("CI".into())]);
    let step = Root::Step { name: "build".into(), fact: "exit".into() };
    assert_eq!(roots("steps.build.exit == 0"), [step]);
    let criterion = checked("percent(lines) >= ratchet", Shape { report: true, ..shape(Run) }).unwrap();
    assert!(criterion.uses_ratchet() && !criterion.uses_baseline());
    assert_eq!(criterion.subject_text(), "percent(lines)");
}

#[test]
fn several_files_are_lists() {
    let many = Shape { many: true, ..shape(File) };
    assert!(checked("every(size) < 1MiB", many.clone()).is_ok());
    assert!(checked("count >= 1", many.clone()).is_ok());
    assert!(fault("size < 1MiB", many.clone()).contains("`size` is a list of sizes"));
    let mut facts = Facts::about(2, "file");
    let files =
        [("a.json", json!({"v": {"n": 1}})), ("b.json", json!({}))].map(|(n, v)| (n.to_owned(), Value::Json(v)));
    facts.set("data", Value::Map(BTreeMap::from(files)));
    let judge = |text| judge_in(text, many.clone(), std::slice::from_ref(&facts), None).state;
    assert_eq!(judge("some(data.v.n) == 1"), State::Pass);
    assert_eq!(judge("every(data.v.n) == 1"), State::Fail);
}

#[test]
fn values_and_kinds_of_subjects() {
    let (facts, vars, env) = (facts(), vars(), BTreeMap::new());
    let steps = BTreeMap::from([("build".to_owned(), facts.clone())]);
    let evidence = Evidence {
        facts: &Facts::default(),
        samples: &[],
        steps: &steps,
        vars: &vars,
        env: &env,
        ratchet: None,
        baseline: None,
        allow_no_baseline: None,
        now: 0,
    };
    assert_eq!(value_of("steps.build.percent(lines)", &evidence), Ok(Value::percent(157, 500)));
    assert_eq!(value_of("max(steps.build.json.\"$.list\")", &evidence), Ok(Value::int(3)));
    assert_eq!(value_of("avg(steps.build.file.\"app/*\".percent(lines))", &evidence), Ok(Value::percent(7, 10)));
    assert!(value_of("steps.gone.exit", &evidence).unwrap_err().contains("`gone` gave no facts"));
    assert!(value_of("steps.build.header.\"x\"", &evidence).is_err());
    assert!(value_of("every(steps.build.keys)", &evidence).is_err());
}

proptest! {
    #[test]
    fn whatever_checks_can_be_judged(
        subject in "(every|max|p9|count|age|percent)?[(]?(exit|json[.]\"[$.a*\\[\\]]{0,6}\"|lines|keys|percent[(]lines[)]|header[.]\"x-v\")[)]?",
        op in "(==|!=|<|in|contains|matches|semver|superset_of|exists|is number)",
        operand in "(|1|0[.]5|5ms|3KiB|2pp|\"a[.]*\"|\\[1, 2\\]|\\[\"A\"\\]|true|baseline [+] 3%|ratchet|keys|vars.floor)",
    ) {
        for kind in ActionKind::ALL {
            let shape = Shape { report: true, sampled: true, ..shape(kind) };
            match checked(&format!("{subject} {op} {operand}"), shape.clone()) {
                Ok(criterion) => {
                    let result = judge_in(&criterion.text, shape, &[facts(), facts()], Some(&[facts()]));
                    assert!(!result.expected.is_empty() && !result.actual.is_empty());
                    assert!(result.state != State::Error || result.note.is_some(), "{result:?}");
                }
                Err(faults) => assert!(faults.iter().all(|fault| !fault.message.is_empty())),
            }
        }
    }

    #[test]
    fn ratios_compare_exactly(covered in 0u64..=u64::from(u32::MAX), extra in 0u64..=u64::from(u32::MAX), tenths in 0i128..=1000) {
        let total = covered + extra + 1;
        let mut facts = Facts::about(1, "line");
        facts.set("percent(lines)", Value::percent(covered, total));
        let text = format!("percent(lines) >= {}.{}", tenths / 10, tenths % 10);
        let result = judge_in(&text, shape(ActionKind::Report), &[facts], None);
        let wanted = i128::from(covered) * 1000 >= tenths * i128::from(total);
        assert_eq!(result.state == State::Pass, wanted, "{result:?}");
        // The printed figures show the inequality too.
        let figure = result.actual.split(' ').next().and_then(Num::decimal).unwrap();
        assert_eq!(figure >= Num::ratio(tenths, 10).unwrap(), wanted, "{result:?}");
    }

    #[test]
    fn denied_comparisons_are_complements(a in -50i64..50, b in -50i64..50) {
        let mut facts = Facts::about(1, "process");
        facts.set("exit", Value::int(a));
        for op in ["==", "!=", "<", "<=", ">", ">="] {
            let judge = |text: String| judge_in(&text, shape(Run), &[facts.clone()], None).state;
            let (plain, denied) = (judge(format!("exit {op} {b}")), judge(format!("not exit {op} {b}")));
            assert!(matches!((plain, denied), (State::Pass, State::Fail) | (State::Fail, State::Pass)));
            let wanted = match op { "==" => a == b, "!=" => a != b, "<" => a < b, "<=" => a <= b, ">" => a > b, _ => a >= b };
            assert_eq!(plain == State::Pass, wanted);
        }
    }
}
