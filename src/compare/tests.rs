//! What comparisons answer, with values worked out by hand or taken from the papers' tables; the breadth is held against
//! SciPy in the integration tests.

use proptest::prelude::{Just, Strategy, prop, prop_oneof, proptest};

use super::*;

const RULES: Rules = Rules { alpha: 0.05, min_n: 1 };

fn at_most(bound: f64) -> Limit {
    Limit { side: Side::AtMost, scale: Scale::Ratio, bound, strict: false }
}

fn shift(bound: f64) -> Limit {
    Limit { scale: Scale::Shift, ..at_most(bound) }
}

fn mw(candidate: &[f64], baseline: &[f64], limit: Limit) -> Comparison {
    mann_whitney(candidate, baseline, &limit, &RULES).unwrap()
}

fn boot(candidate: &[f64], baseline: &[f64], q: f64, limit: Limit) -> Comparison {
    bootstrap(candidate, baseline, Statistic::Quantile(q), 7, &limit, &RULES).unwrap()
}

fn counts(bad: u64, total: u64) -> Counts {
    Counts { bad, total }
}

/// 100 ms with a spread of about 10 %, in an order of its own.
fn latencies(n: u32, factor: f64) -> Vec<f64> {
    (0..n).map(|i| factor * (90.0 + f64::from(i.wrapping_mul(2_654_435_761) % 1000) / 50.0)).collect()
}

#[test]
fn thirty_percent_slower_is_proven_with_enough_samples() {
    let (slow, same, base) = (latencies(400, 1.3), latencies(390, 1.0), latencies(400, 1.0));
    for compared in [mw(&slow, &base, at_most(1.1)), boot(&slow, &base, 0.95, at_most(1.1))] {
        assert_eq!(compared.answer, Answer::Fails, "{compared:?}");
        assert!((compared.estimate - 1.3).abs() < 0.01 && compared.low > 1.25 && compared.high < 1.35);
    }
    for compared in [mw(&same, &base, at_most(1.1)), boot(&same, &base, 0.95, at_most(1.1))] {
        assert_eq!(compared.answer, Answer::Holds, "{compared:?}");
    }
    // 20 samples don't show a 95th percentile, whatever they are.
    let few = boot(&latencies(20, 1.3), &latencies(20, 1.0), 0.95, at_most(1.1));
    assert_eq!(few.answer, Answer::Unknown(Lack::Unreachable { have: 20, need: 72 }));
}

#[test]
fn rare_errors_need_many_requests() {
    let limit = at_most(1.5);
    let few = fisher(counts(6, 1000), counts(3, 1000), &limit, &RULES).unwrap();
    assert_eq!(few.answer, Answer::Unknown(Lack::Wide));
    assert!((few.estimate - 2.0).abs() < 1e-12 && few.low < 1.0 && few.high > 10.0, "{few:?}");
    let many = fisher(counts(600, 100_000), counts(300, 100_000), &limit, &RULES).unwrap();
    assert_eq!(many.answer, Answer::Fails);
    let fine = fisher(counts(300, 100_000), counts(300, 100_000), &limit, &RULES).unwrap();
    assert_eq!(fine.answer, Answer::Holds);
    // Fisher's own tea: 3 of 4 against 1 of 4.
    let tea = fisher(counts(3, 4), counts(1, 4), &limit, &RULES).unwrap();
    assert!((tea.p.unwrap() - 34.0 / 70.0).abs() < 1e-12);
}

#[test]
fn ranks_by_hand() {
    // All differences of {4, 6, 8, 10} and {1, 2, 3, 5}: U = 15 of 16, two-sided p = 2 · 2/70.
    let compared = mw(&[4.0, 6.0, 8.0, 10.0], &[1.0, 2.0, 3.0, 5.0], shift(0.0));
    assert_eq!(compared.method, "mann-whitney, exact");
    assert!((compared.p.unwrap() - 4.0 / 70.0).abs() < 1e-12);
    // 2/70 may lie outside, 4/70 may not: the interval is from the smallest to the largest but none.
    assert_eq!((compared.low, compared.high, compared.estimate), (-1.0 + 0.0, 9.0, 4.0 + 0.5));
}

#[test]
fn what_samples_can_reach() {
    // 2/C(2n, n): 0.1, 0.029, 0.008 for 3, 4, 5.
    let mw = Method::MannWhitney;
    assert!(!reachable(0.05, 3, mw) && reachable(0.05, 4, mw) && reachable(0.1, 3, mw));
    assert!(!reachable(0.02, 4, mw) && reachable(0.02, 5, mw));
    assert_eq!((needed(0.05, mw), needed(0.02, mw), needed(0.001, Method::Fisher)), (4, 5, 7));
    assert_eq!(needed(0.05, Method::Bootstrap(Statistic::Quantile(0.95))), 72);
    assert_eq!(needed(0.05, Method::Bootstrap(Statistic::Quantile(0.99))), 368);
    assert_eq!(needed(0.05, Method::Bootstrap(Statistic::MEDIAN)), 6);
    assert_eq!(needed(0.05, Method::Point), 1);
    assert!(!reachable(0.05, 0, Method::Point) && !reachable(0.05, 0, mw));
    let three = mann_whitney(&[9.0; 3], &[1.0; 3], &at_most(1.1), &RULES).unwrap();
    assert_eq!(three.answer, Answer::Unknown(Lack::Unreachable { have: 3, need: 4 }));
    let rules = Rules { min_n: 20, ..RULES };
    let few = mann_whitney(&latencies(19, 2.0), &latencies(100, 1.0), &at_most(1.1), &rules).unwrap();
    assert_eq!(few.answer, Answer::Unknown(Lack::TooFew { have: 19, need: 20 }));
    assert!(few.low > 1.5, "the bounds are told all the same");
}

#[test]
fn constant_samples_are_evidence() {
    for answer in [
        |c: f64, b: f64, limit| mw(&[c; 20], &[b; 20], limit),
        |c: f64, b: f64, limit| boot(&[c; 20], &[b; 20], 0.5, limit),
    ] {
        assert_eq!(answer(110.0, 100.0, at_most(1.1)).answer, Answer::Holds, "exactly at the bound");
        assert_eq!(answer(111.0, 100.0, at_most(1.1)).answer, Answer::Fails);
        assert_eq!(answer(111.0, 100.0, shift(11.0)).answer, Answer::Holds);
        assert_eq!(answer(111.5, 100.0, shift(11.0)).answer, Answer::Fails);
        assert_eq!(answer(100.0, 100.0, Limit { strict: true, ..at_most(1.0) }).answer, Answer::Fails);
        let throughput = Limit { side: Side::AtLeast, ..at_most(0.9) };
        assert_eq!(answer(90.0, 100.0, throughput).answer, Answer::Holds);
        assert_eq!(answer(80.0, 100.0, throughput).answer, Answer::Fails);
    }
}

#[test]
fn zeros() {
    let (zero, some) = ([0.0; 20], [3.0; 20]);
    for answer in [|c: &[f64], b: &[f64]| mw(c, b, at_most(1.1)), |c: &[f64], b: &[f64]| boot(c, b, 0.5, at_most(1.1))]
    {
        let same = answer(&zero, &zero);
        assert_eq!((same.answer, same.low, same.high, same.estimate), (Answer::Holds, 1.0, 1.0, 1.0));
        let worse = answer(&some, &zero);
        assert_eq!((worse.answer, worse.low), (Answer::Fails, f64::INFINITY));
        let better = answer(&zero, &some);
        assert_eq!((better.answer, better.high), (Answer::Holds, 0.0));
        assert_eq!(answer(&[-0.0; 20], &zero), same);
    }
    // 0,1,2,1,0,0 against zeros is no proof of anything.
    let sparse = mw(&[0.0, 1.0, 2.0, 1.0, 0.0, 0.0], &[0.0; 6], at_most(1.1));
    assert_eq!((sparse.answer, sparse.low, sparse.high), (Answer::Unknown(Lack::Wide), 0.0, f64::INFINITY));
    assert_eq!(mw(&[0.0, 0.0, 5.0, 5.0], &[0.0, 0.0, 5.0, 5.0], at_most(1.1)).estimate, 1.0);
    let none = fisher(counts(0, 500), counts(0, 500), &at_most(1.5), &RULES).unwrap();
    assert_eq!((none.answer, none.p), (Answer::Holds, Some(1.0)));
    let first = fisher(counts(40, 500), counts(0, 500), &at_most(1.5), &RULES).unwrap();
    assert_eq!((first.answer, first.high), (Answer::Fails, f64::INFINITY));
    let gone = fisher(counts(0, 500), counts(40, 500), &at_most(1.5), &RULES).unwrap();
    assert_eq!((gone.answer, gone.low), (Answer::Holds, 0.0));
    let one = fisher(counts(0, 500), counts(1, 500), &at_most(1.5), &RULES).unwrap();
    assert_eq!(one.answer, Answer::Unknown(Lack::Wide));
    let figures = |c, b| point(c, b, (1, 1), &at_most(1.1), 1).unwrap();
    assert_eq!(figures(0.0, 0.0).answer, Answer::Holds);
    assert_eq!(figures(0.1, 0.0).answer, Answer::Fails);
}

#[test]
fn nothing_and_nonsense() {
    let some = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
    for answer in [
        |c: &[f64], b: &[f64]| mann_whitney(c, b, &at_most(1.1), &RULES),
        |c: &[f64], b: &[f64]| bootstrap(c, b, Statistic::Mean, 0, &at_most(1.1), &RULES),
    ] {
        let lack = |c: &[f64], b: &[f64]| answer(c, b).unwrap().answer;
        assert_eq!(lack(&some, &[]), Answer::Unknown(Lack::Empty(Which::Baseline)));
        assert_eq!(lack(&[], &[]), Answer::Unknown(Lack::Empty(Which::Candidate)));
        assert_eq!(lack(&some, &[f64::NAN, 1.0]), Answer::Unknown(Lack::NotFinite(Which::Baseline, 1)));
        assert_eq!(lack(&[f64::INFINITY; 2], &some), Answer::Unknown(Lack::NotFinite(Which::Candidate, 2)));
        assert_eq!(answer(&some, &[-1.0, 1.0]), Err(Misfit::Negative(Which::Baseline)));
    }
    assert!(mann_whitney(&[-5.0, -4.0], &[1.0], &shift(0.0), &RULES).is_ok(), "differences may be of any sign");
    let share = |c, b, limit| fisher(c, b, &limit, &RULES);
    assert_eq!(share(counts(2, 1), counts(0, 1), at_most(1.0)), Err(Misfit::Counts(Which::Candidate)));
    assert_eq!(share(counts(0, 1), counts(0, 1), shift(0.1)), Err(Misfit::Shift));
    let empty = share(counts(0, 9), counts(0, 0), at_most(1.0)).unwrap();
    assert_eq!(empty.answer, Answer::Unknown(Lack::Empty(Which::Baseline)));
    let figure = |c, b, n| point(c, b, n, &at_most(1.1), 3).unwrap().answer;
    assert_eq!(figure(1.0, f64::NAN, (9, 9)), Answer::Unknown(Lack::NotFinite(Which::Baseline, 1)));
    assert_eq!(figure(1.0, 1.0, (9, 0)), Answer::Unknown(Lack::Empty(Which::Baseline)));
    assert_eq!(figure(1.0, 1.0, (9, 2)), Answer::Unknown(Lack::TooFew { have: 2, need: 3 }));
    assert_eq!(figure(1.0, 1.0, (3, 3)), Answer::Holds);
    assert_eq!(point(-1.0, 1.0, (3, 3), &at_most(1.1), 3), Err(Misfit::Negative(Which::Candidate)));
}

#[test]
fn a_bootstrap_is_the_same_every_time() {
    let (c, b) = (latencies(150, 1.05), latencies(120, 1.0));
    let run = |c: &[f64], seed| bootstrap(c, &b, Statistic::Quantile(0.95), seed, &at_most(1.1), &RULES).unwrap();
    let first = run(&c, 1);
    assert_eq!(first, run(&c, 1));
    let reversed: Vec<f64> = c.iter().rev().copied().collect();
    assert_eq!(first, run(&reversed, 1), "the order of the samples does not matter");
    assert_ne!((first.low, first.high), (run(&c, 2).low, run(&c, 2).high));
    // Bit by bit, on every platform and in every version.
    let bits = (first.low.to_bits(), first.high.to_bits());
    assert_eq!(bits, BITS, "{first:?}");
}

const BITS: (u64, u64) = (0x3ff0_9621_04d8_fe29, 0x3ff0_f7c8_0a73_7507);

#[test]
fn many_samples_need_no_memory_for_their_pairs() {
    let (c, b) = (latencies(20_000, 1.3), latencies(20_000, 1.0));
    let compared = mw(&c, &b, at_most(1.1));
    assert_eq!((compared.answer, compared.n), (Answer::Fails, (20_000, 20_000)));
}

/// Few distinct values, zeros among them.
fn tied() -> impl Strategy<Value = Vec<f64>> {
    let value = prop_oneof![Just(0.0), (1_u32..6).prop_map(f64::from), (1_u32..1000).prop_map(|v| f64::from(v) / 7.0)];
    prop::collection::vec(value, 1..30)
}

proptest! {
    #[test]
    fn order_statistics_of_pairs_are_those_of_the_sorted_list(c in tied(), b in tied(), alpha in 0.001..0.5) {
        let rules = Rules { alpha, min_n: 1 };
        for scale in [Scale::Ratio, Scale::Shift] {
            let limit = Limit { scale, ..at_most(1.0) };
            let compared = mann_whitney(&c, &b, &limit, &rules).unwrap();
            let mut all: Vec<f64> = c
                .iter()
                .flat_map(|c| b.iter().map(move |b| if scale == Scale::Ratio { c / b } else { c - b }))
                .filter(|pair| !pair.is_nan())
                .collect();
            all.sort_by(f64::total_cmp);
            let unbounded = compared.low == if scale == Scale::Ratio { 0.0 } else { f64::NEG_INFINITY };
            assert!(unbounded || all.is_empty() || all.contains(&compared.low));
            if let [.., last] = all[..] {
                let middle = (all[(all.len() - 1) / 2], all[all.len() / 2]);
                assert!(middle.0 <= compared.estimate && compared.estimate <= middle.1);
                assert!(compared.low <= middle.0 && middle.1 <= compared.high && (compared.high <= last || compared.high.is_infinite()));
            }
        }
    }

    #[test]
    fn swapping_the_sides_turns_the_interval_round(c in tied(), b in tied()) {
        let (there, back) = (mw(&c, &b, shift(0.0)), mw(&b, &c, shift(0.0)));
        assert_eq!((there.low, there.high, there.p), (-back.high + 0.0, -back.low + 0.0, back.p));
    }

    #[test]
    fn a_wider_margin_never_makes_it_worse(c in tied(), b in tied(), a in 0.5..2.0, more in 0.0..2.0) {
        let rank = |limit| match mw(&c, &b, limit).answer {
            Answer::Fails => 0,
            Answer::Unknown(_) => 1,
            Answer::Holds => 2,
        };
        assert!(rank(at_most(a)) <= rank(at_most(a + more)));
    }

    #[test]
    fn bounds_of_shares_hold_the_share(a in 0_u64..50, b in 0_u64..50, n in 50_u64..500, m in 50_u64..500) {
        let compared = fisher(counts(a, n), counts(b, m), &at_most(1.0), &RULES).unwrap();
        assert!(compared.low <= compared.estimate && compared.estimate <= compared.high, "{compared:?}");
        let p = compared.p.unwrap();
        assert!((0.0..=1.0).contains(&p));
    }
}
