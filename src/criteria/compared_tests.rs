//! Criteria that compare, on facts stored as the room's documentation says.

use std::collections::BTreeMap;

use super::super::{Criterion, Kind, Root, Scope, Shape, StepScope, check, evaluate, parse};
use super::*;
use crate::action::ActionKind;
use crate::facts::Facts;
use crate::outcome::{CriterionResult, Tier};
use crate::place::Place;

fn spec(method: CompareMethod, baseline: Option<&str>) -> CompareSpec {
    let alpha = Num::ratio(1, 20).unwrap();
    CompareSpec { method, alpha, min_n: 4, seed: 0, baseline: baseline.map(str::to_owned) }
}

fn shape(two_sided: bool) -> Shape {
    let values = BTreeMap::from([
        ("latency".to_owned(), Kind::List(Item::Number(Unit::Time))),
        ("rate(errors)".to_owned(), Kind::NUMBER),
        ("errors".to_owned(), Kind::List(Item::Bool)),
        ("total".to_owned(), Kind::NUMBER),
    ]);
    Shape {
        kind: ActionKind::Value,
        report: false,
        json: false,
        many: false,
        sampled: false,
        probe: None,
        two_sided,
        values,
    }
}

fn checked(text: &str, spec: &CompareSpec, most: Option<u64>) -> Result<Criterion, String> {
    let vars = BTreeMap::new();
    let step = |name: &str| {
        let upstream = name != "late";
        (name != "gone").then(|| StepScope { shape: shape(false), outputs: Vec::new(), upstream })
    };
    let scope = Scope {
        shape: shape(spec.baseline.is_none()),
        vars: &vars,
        ratchet: false,
        baseline: true,
        compare: Some(Comparing { spec, most, looks: None }),
        only_globals: false,
        step: &step,
        known_steps: &|| vec!["main".to_owned()],
    };
    let mut criterion = parse(text, Tier::Pass, Place::default()).map_err(|fault| fault.message)?;
    match check(&mut criterion, &scope).first() {
        None => Ok(criterion),
        Some(fault) => {
            Err(format!("{} [{}] {}", fault.message, &text[fault.at.clone()], fault.help.as_deref().unwrap_or("-")))
        }
    }
}

fn judge(criterion: &Criterion, own: &Facts, main: Option<Facts>) -> CriterionResult {
    let (vars, env) = (BTreeMap::new(), BTreeMap::new());
    let steps = main.into_iter().map(|facts| ("main".to_owned(), facts)).collect();
    let evidence = Evidence {
        facts: own,
        samples: std::slice::from_ref(own),
        steps: &steps,
        vars: &vars,
        env: &env,
        ratchet: None,
        baseline: None,
        allow_no_baseline: None,
        now: 0,
    };
    evaluate(criterion, &evidence, String::new())
}

/// `n` times from 90 ms to 110 ms, times `factor` percent.
fn times(n: i128, factor: i128) -> Value {
    let one = |i: i128| Value::Num(Num::int((90_000 + (i * 7919) % 20_000) * factor * 10), Unit::Time);
    Value::List((0..n).map(one).collect())
}

fn map<const N: usize>(pairs: [(&str, Value); N]) -> Value {
    Value::Map(pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

fn counted(bad: i128, total: i128) -> Value {
    map([("bad", Value::int(bad)), ("total", Value::int(total))])
}

fn facts<const N: usize>(pairs: [(&str, Value); N]) -> Facts {
    let mut facts = Facts::about(1, "request");
    pairs.into_iter().for_each(|(name, value)| facts.set(name, value));
    facts
}

#[test]
fn a_step_against_another() {
    let p95 = checked("p95(latency) <= baseline + 10%", &spec(CompareMethod::Bootstrap, Some("main")), None).unwrap();
    let med = checked("med(latency) <= baseline + 10%", &spec(CompareMethod::MannWhitney, Some("main")), None).unwrap();
    for criterion in [&p95, &med] {
        let run = |n, factor| {
            judge(criterion, &facts([("latency", times(n, factor))]), Some(facts([("latency", times(n, 100))])))
        };
        let slow = run(300, 130);
        assert_eq!(slow.state, State::Fail, "{slow:?}");
        assert!(slow.actual.starts_with("1.3×") && slow.actual.ends_with("300 against 300 samples)"), "{slow:?}");
        assert_eq!(run(300, 101).state, State::Pass);
        let few = run(3, 130);
        assert_eq!(few.state, State::Inconclusive);
        let note = few.note.unwrap();
        assert_eq!(note, "not enough data to tell: 3 samples on a side, `min_n` is 4");
        // What never changes from run to run is expected, what was seen is not.
        assert!(slow.expected.starts_with("<= baseline + 10 % (") && slow.expected.ends_with(", alpha 0.05)"));
    }
    let roots = p95.roots();
    assert!(roots.contains(&Root::Step { name: "main".into(), fact: "latency".into() }), "{roots:?}");
    let absolute = checked("med(latency) <= baseline + 20ms", &spec(CompareMethod::MannWhitney, Some("main")), None);
    let absolute = absolute.unwrap();
    let run = |factor| {
        judge(&absolute, &facts([("latency", times(200, factor))]), Some(facts([("latency", times(200, 100))])))
    };
    let slow = run(130);
    assert!(slow.state == State::Fail && slow.actual.starts_with("+30 ms (+2"), "{slow:?}");
    assert_eq!(run(110).state, State::Pass);
    let not =
        checked("not med(latency) > baseline + 20ms", &spec(CompareMethod::MannWhitney, Some("main")), None).unwrap();
    let own = facts([("latency", times(200, 100))]);
    assert_eq!(judge(&not, &own, Some(own.clone())).state, State::Pass);
}

#[test]
fn shares_by_their_counts() {
    let spec = spec(CompareMethod::Fisher, Some("main"));
    let rate = checked("rate(errors) <= baseline + 50%", &spec, None).unwrap();
    assert!(rate.roots().contains(&Root::Step { name: "main".into(), fact: "counts".into() }));
    let beside = |bad, total| {
        let rate = Value::Num(Num::ratio(bad, total).unwrap(), Unit::One);
        facts([("rate(errors)", rate), ("counts", map([("rate(errors)", counted(bad, total))]))])
    };
    let run = |a, n, b, m| judge(&rate, &beside(a, n), Some(beside(b, m)));
    let few = run(6, 1000, 3, 1000);
    assert_eq!(few.state, State::Inconclusive);
    assert_eq!(
        few.note.as_deref(),
        Some("not enough data to tell: the limit lies within the interval; more samples would tell")
    );
    assert_eq!(run(600, 100_000, 300, 100_000).state, State::Fail);
    assert_eq!(run(300, 100_000, 300, 100_000).state, State::Pass);
    assert_eq!(run(0, 1000, 0, 1000).state, State::Pass);
    // A rate that nobody counted can't be compared by counts.
    let bare = facts([("rate(errors)", Value::Num(Num::ratio(3, 1000).unwrap(), Unit::One))]);
    let uncounted = judge(&rate, &bare, Some(beside(3, 1000)));
    assert_eq!(uncounted.state, State::Error);
    assert!(uncounted.note.unwrap().contains("not counted"));
}

#[test]
fn an_action_with_two_sides() {
    let criterion = |text, method| checked(text, &spec(method, None), None).unwrap();
    let med = criterion("med(latency) <= baseline", CompareMethod::MannWhitney);
    assert!(med.roots().contains(&Root::Fact("compare".into())));
    let both = |candidate: Value, baseline: Value| {
        let pair = map([("candidate", candidate.clone()), ("baseline", baseline)]);
        facts([("latency", candidate), ("compare", map([("latency", pair)]))])
    };
    let run = |candidate, baseline| judge(&med, &both(candidate, baseline), None);
    assert_eq!(run(times(50, 90), times(50, 100)).state, State::Pass);
    assert_eq!(run(times(50, 120), times(50, 100)).state, State::Fail);
    assert_eq!(run(times(50, 100), times(50, 100)).state, State::Inconclusive);
    assert_eq!(run(times(50, 100), Value::Null).state, State::Inconclusive, "no baseline");
    assert_eq!(run(times(50, 100), Value::List(vec![])).state, State::Inconclusive, "an empty one");
    assert_eq!(run(Value::List(vec![]), times(50, 100)).state, State::Error);
    assert_eq!(run(Value::Null, times(50, 100)).state, State::Error);
    let gap = Value::List(vec![Value::Null; 50]);
    assert_eq!(run(times(50, 90), gap).state, State::Inconclusive, "samples that could not be taken");
    let sizes = Value::List(vec![Value::size(1); 50]);
    assert!(run(times(50, 90), sizes).note.unwrap().contains("different units"));
    assert_eq!(judge(&med, &facts([("latency", times(50, 90))]), None).state, State::Error, "one side only");
    let total = criterion("total <= baseline + 10%", CompareMethod::Point);
    let figures = |c: i32, b: i32| {
        let pair = map([("candidate", Value::int(c)), ("baseline", Value::int(b))]);
        let spec = CompareSpec { min_n: 1, ..spec(CompareMethod::Point, None) };
        let total = checked(&total.text, &spec, None).unwrap();
        judge(&total, &facts([("total", Value::int(c)), ("compare", map([("total", pair)]))]), None)
    };
    assert_eq!(figures(110, 100).state, State::Pass, "exactly at the bound");
    assert_eq!(figures(111, 100).state, State::Fail);
    assert_eq!(figures(0, 0).state, State::Pass);
    assert_eq!(figures(1, 0).state, State::Fail);
    assert_eq!(figures(-1, 1).state, State::Error);
    let errors = criterion("percent(errors) <= baseline + 50%", CompareMethod::Fisher);
    let list = |bad: usize| Value::List((0..400).map(|i| Value::Bool(i < bad)).collect());
    let pair = map([("candidate", list(80)), ("baseline", counted(20, 400))]);
    let result = judge(&errors, &facts([("errors", list(80)), ("compare", map([("errors", pair)]))]), None);
    assert_eq!(result.state, State::Fail, "{result:?}");
}

#[test]
fn what_is_refused_at_load() {
    use CompareMethod::{Bootstrap, Fisher, MannWhitney, Point};
    let refused = |text: &str, method, step, most| checked(text, &spec(method, step), most).expect_err(text);
    let main = Some("main");
    for (text, method, step, wanted) in [
        ("med(latency) == baseline", MannWhitney, main, "`compare` does not answer `==` [==]"),
        ("p95(latency) <= baseline", MannWhitney, main, "`mann-whitney` does not compare this [p95(latency)]"),
        ("max(latency) <= baseline", Bootstrap, main, "`bootstrap` does not compare this"),
        ("every(latency) <= baseline", Point, main, "`point` does not compare this"),
        ("med(latency) <= baseline", Fisher, main, "`fisher` does not compare this"),
        ("rate(errors) <= baseline + 1pp", Fisher, main, "`fisher` compares the ratio of two shares [baseline + 1pp]"),
        ("med(latency) <= baseline", MannWhitney, Some("gone"), "there is no step `gone` [baseline]"),
        ("med(latency) <= baseline", MannWhitney, Some("late"), "`late` does not come before this step [baseline]"),
        ("med(steps.main.latency) <= baseline", MannWhitney, main, "`steps.main.latency` is no fact of this step"),
    ] {
        let said = refused(text, method, step, None);
        assert!(said.starts_with(wanted), "{text}: {said}");
    }
    let few = refused("med(latency) <= baseline", MannWhitney, main, Some(3));
    assert!(few.contains("at most 3 samples, and `min_n` is 4"), "{few}");
    let mut small = spec(MannWhitney, main);
    (small.alpha, small.min_n) = (Num::ratio(1, 50).unwrap(), 1);
    let said = checked("med(latency) <= baseline", &small, Some(4)).unwrap_err();
    assert!(said.starts_with("4 samples a side can never reach alpha 0.02 [baseline] it takes at least 5"), "{said}");
    assert!(checked("med(latency) <= baseline", &small, Some(5)).is_ok());
    let tail = refused("p99(latency) <= baseline", Bootstrap, main, Some(300));
    assert!(tail.contains("it takes at least 368 samples"), "{tail}");
    assert!(checked("med(latency) < 5ms", &small, Some(1)).is_ok(), "without `baseline` nothing is compared");
}
