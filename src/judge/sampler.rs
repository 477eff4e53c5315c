//! When to look again and when the looks decide. Pure: told of each look and the time, it answers with data.
//!
//! A *poll* (`consecutive` above 0) ends well with that many passing looks in a row; failed, undecided and wrong looks
//! start the row again. A *count* (`consecutive` 0) takes `max` looks (or as many as fit into `within`) and passes if
//! no limit was exceeded. Limits are "more than": `failures = 2` ends with the third failed look. A proven failure is
//! final; a later error never covers it. Each look is judged on all looks so far, so a criterion such as
//! `p95(latency) < 500ms` may fail early and recover: in a count such looks only decide at the end.

use std::time::Duration;

use super::Judged;
use crate::action::Sampling;
use crate::outcome::{Cause, State};

/// What to do after a look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// The looks decide: how, why (`None`: it passed, or the cause of the last look), and one sentence.
    Done(State, Option<Cause>, String),
    /// Look again after this pause.
    Wait(Duration),
}

/// Counts looks.
#[derive(Clone, Debug)]
pub struct Sampler {
    rules: Sampling,
    looks: u32,
    passed: u32,
    failed: u32,
    undecided: u32,
    wrong_in_row: u32,
    row: u32,
    /// A warning among the passing looks: in the row of a poll, anywhere in a count.
    warned: bool,
    last_words: Option<String>,
}

impl Sampler {
    /// A sampler that has not looked yet.
    #[must_use]
    pub fn new(rules: Sampling) -> Self {
        Self {
            rules,
            looks: 0,
            passed: 0,
            failed: 0,
            undecided: 0,
            wrong_in_row: 0,
            row: 0,
            warned: false,
            last_words: None,
        }
    }

    /// How many looks there were.
    #[must_use]
    pub fn looks(&self) -> u32 {
        self.looks
    }

    /// Takes a judged look, `elapsed` after the first one began. A rejected look ends it at once.
    pub fn take(&mut self, look: &Judged, elapsed: Duration) -> Next {
        self.last_words.clone_from(&look.detail);
        if look.cause == Some(Cause::Rejected) {
            self.looks += 1;
            return Next::Done(State::Fail, Some(Cause::Rejected), look.detail.clone().unwrap_or_default());
        }
        self.add(look.state, look.may_recover, elapsed)
    }

    /// As [`Sampler::take`], of a look of which only the state is known.
    pub fn push(&mut self, state: State, elapsed: Duration) -> Next {
        self.add(state, false, elapsed)
    }

    fn add(&mut self, state: State, may_recover: bool, elapsed: Duration) -> Next {
        self.looks = self.looks.saturating_add(1);
        let polls = self.rules.consecutive > 0;
        let last = self.is_last(elapsed);
        if state != State::Error {
            self.wrong_in_row = 0;
        }
        match state {
            State::Pass | State::Warn => {
                self.passed += 1;
                self.warned = (self.warned && (self.row > 0 || !polls)) || state == State::Warn;
                self.row += 1;
                if polls && self.row >= self.rules.consecutive {
                    return self.success(self.warned);
                }
            }
            State::Fail if may_recover && !last && !polls => {}
            State::Fail => {
                self.row = 0;
                self.failed += 1;
                // At the end of a count, a figure over all looks is the verdict and no single failed look.
                if may_recover && !polls {
                    return Next::Done(State::Fail, Some(Cause::Criteria), self.because("over all looks"));
                }
                if self.rules.failures.is_some_and(|most| self.failed > most) {
                    return Next::Done(State::Fail, Some(Cause::Criteria), self.because(&tally(self.failed, "failed")));
                }
            }
            State::Error => {
                self.row = 0;
                self.wrong_in_row += 1;
                if self.wrong_in_row > self.rules.errors {
                    let reason = self.because(&format!("{} in a row", tally(self.wrong_in_row, "went wrong")));
                    return Next::Done(State::Error, None, reason);
                }
            }
            State::NotRun | State::Skipped => return Next::Done(state, None, self.because("not finished")),
            State::Inconclusive if may_recover && !last && !polls => {}
            State::Inconclusive | State::Pending => {
                self.row = 0;
                self.undecided += 1;
                if self.rules.inconclusive.is_some_and(|most| self.undecided > most) {
                    let reason = self.because(&tally(self.undecided, "did not decide"));
                    return Next::Done(State::Inconclusive, Some(Cause::Undecided), reason);
                }
            }
        }
        if last || self.is_hopeless(elapsed) { self.spent(state) } else { Next::Wait(self.rules.every) }
    }

    fn success(&self, warned: bool) -> Next {
        if warned {
            let reason = self.because("only the `warn` tier held");
            return Next::Done(State::Warn, Some(Cause::Criteria), reason);
        }
        let reason = match (self.rules.consecutive, self.looks) {
            (0, looks) => format!("{} of {looks} looks passed", self.passed),
            (1, 1) => "held at the first look".to_owned(),
            (1, looks) => format!("held at look {looks}"),
            (row, looks) => format!("held {row} times in a row, at look {looks}"),
        };
        Next::Done(State::Pass, None, reason)
    }

    /// No further look is allowed, or none would begin in time.
    fn is_last(&self, elapsed: Duration) -> bool {
        self.rules.max.is_some_and(|max| self.looks >= max)
            || self.rules.within.is_some_and(|within| elapsed.saturating_add(self.rules.every) > within)
            || (self.rules.max.is_none() && self.rules.within.is_none() && self.rules.consecutive == 0)
    }

    /// Even if every look that is left passed, the row would be too short.
    fn is_hopeless(&self, elapsed: Duration) -> bool {
        let needed = self.rules.consecutive.saturating_sub(self.row);
        if needed == 0 {
            return false;
        }
        let too_few = self.rules.max.is_some_and(|max| max.saturating_sub(self.looks) < needed);
        let shortest = self.rules.every.saturating_mul(needed);
        too_few || self.rules.within.is_some_and(|within| elapsed.saturating_add(shortest) > within)
    }

    /// Looks or time are used up.
    fn spent(&self, last: State) -> Next {
        let bound = match (self.rules.within, self.rules.max) {
            (Some(within), Some(max)) => format!("within {} and {max} looks", seconds(within)),
            (Some(within), None) => format!("within {}", seconds(within)),
            (None, max) => format!("within {} looks", max.unwrap_or(self.looks)),
        };
        if self.rules.consecutive == 0 {
            return match last {
                _ if self.passed > 0 => self.success(self.warned),
                State::Error if self.failed == 0 => Next::Done(State::Error, None, self.because("no look succeeded")),
                _ if self.failed > 0 => Next::Done(State::Fail, Some(Cause::Criteria), self.because("no look passed")),
                _ => Next::Done(State::Inconclusive, Some(Cause::Undecided), self.because("no look decided")),
            };
        }
        let reason = match (last.is_success(), self.rules.consecutive) {
            (_, 1) => format!("did not hold {bound}"),
            (true, wanted) => format!("held {} times in a row, not {wanted}, {bound}", self.row),
            (false, wanted) => format!("did not hold {wanted} times in a row {bound}"),
        };
        let reason = self.because(&reason);
        let undecided = Next::Done(State::Inconclusive, Some(Cause::Undecided), reason.clone());
        let failed = Next::Done(State::Fail, Some(Cause::Criteria), reason.clone());
        match last {
            // With a limit on failures that was kept, and no row: neither is proven.
            _ if self.rules.failures.is_some() && self.passed > 0 => undecided,
            State::Error if self.failed == 0 && self.passed == 0 => Next::Done(State::Error, None, reason),
            State::Inconclusive | State::Pending if self.failed == 0 => undecided,
            _ => failed,
        }
    }

    fn because(&self, reason: &str) -> String {
        match &self.last_words {
            Some(words) => format!("{reason}: last {words}"),
            None => reason.to_owned(),
        }
    }
}

fn tally(count: u32, what: &str) -> String {
    if count == 1 { format!("1 look {what}") } else { format!("{count} looks {what}") }
}

fn seconds(duration: Duration) -> String {
    format!("{} s", duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use State::{Error as E, Fail as F, Inconclusive as I, Pass as P, Warn as W};
    use proptest::prelude::{Just, prop, prop_oneof, proptest};

    use super::*;
    use crate::action::SampleKeys;

    /// Pushes states a second apart until it is done.
    fn run(keys: SampleKeys, states: &[State]) -> Option<(State, u32, String)> {
        let mut sampler = Sampler::new(keys.filled());
        for (i, state) in (0..).zip(states) {
            if let Next::Done(state, _, reason) = sampler.push(*state, Duration::from_secs(i)) {
                return Some((state, sampler.looks(), reason));
            }
        }
        None
    }

    fn short(keys: SampleKeys, states: &[State]) -> Option<(State, u32)> {
        run(keys, states).map(|(state, looks, _)| (state, looks))
    }

    fn keys(f: impl FnOnce(&mut SampleKeys)) -> SampleKeys {
        let mut keys = SampleKeys::default();
        f(&mut keys);
        keys
    }

    #[test]
    fn once_is_the_default() {
        for (state, wanted) in [(P, P), (W, W), (F, F), (I, I), (E, E)] {
            let mut sampler = Sampler::new(Sampling::default());
            assert!(matches!(sampler.push(state, Duration::ZERO), Next::Done(s, ..) if s == wanted), "{state}");
        }
    }

    #[test]
    fn a_flap_restarts_the_row() {
        let three = keys(|k| (k.consecutive, k.within) = (Some(3), Some(Duration::from_secs(60))));
        assert_eq!(short(three, &[P, P, F, P, P, P]), Some((P, 6)));
        assert_eq!(short(three, &[P, P, E, P, P, I, P, P, P]), Some((P, 9)));
        assert_eq!(short(three, &[W, P, F, P, P, P]), Some((P, 6)));
        assert_eq!(short(three, &[F, P, W, P]), Some((W, 4)));
        assert_eq!(short(three, &[P, P, F, P]), None);
    }

    #[test]
    fn polling_ends_at_the_deadline() {
        let poll = keys(|k| k.within = Some(Duration::from_secs(3)));
        assert_eq!(short(poll, &[F, E, F, P]), Some((P, 4)));
        let (state, looks, reason) = run(poll, &[F; 9]).unwrap();
        assert_eq!((state, looks, reason.as_str()), (F, 4, "did not hold within 3 s"));
        assert_eq!(short(poll, &[F, E, E, E]), Some((F, 4)), "a proven failure survives");
        assert_eq!(short(poll, &[E; 9]), Some((E, 4)));
        assert_eq!(short(poll, &[I; 9]), Some((I, 4)));
    }

    #[test]
    fn decided_as_soon_as_the_answer_cannot_change() {
        let hopeless = keys(|k| (k.consecutive, k.max) = (Some(3), Some(5)));
        assert_eq!(short(hopeless, &[P, P, F, P, P]), Some((F, 3)));
        let count = keys(|k| k.max = Some(5));
        assert_eq!(short(count, &[P, F]), Some((F, 2)));
        assert_eq!(short(count, &[P, I]), Some((I, 2)));
        assert_eq!(short(count, &[E, E, E, E, P]), Some((P, 5)));
        assert_eq!(short(count, &[P, P, W, P, P]), Some((W, 5)));
    }

    #[test]
    fn limits_are_more_than() {
        let two = keys(|k| (k.max, k.failures) = (Some(6), Some(2)));
        assert_eq!(short(two, &[F, F, P, P, P, P]), Some((P, 6)));
        assert_eq!(short(two, &[F, F, P, F]), Some((F, 4)));
        let both = keys(|k| (k.max, k.failures, k.consecutive) = (Some(4), Some(2), Some(3)));
        assert_eq!(short(both, &[P, F, P, F]), Some((I, 2)), "neither proven");
        let errors = keys(|k| (k.consecutive, k.max, k.errors) = (Some(1), Some(9), Some(1)));
        assert_eq!(short(errors, &[E, F, E, F, E, E]), Some((E, 6)));
    }

    #[test]
    fn the_last_words_are_kept_and_rejects_are_final() {
        let judged = |state, cause, may_recover| Judged {
            state,
            cause,
            detail: Some("`status == 200`: was 503".to_owned()),
            criteria: Vec::new(),
            may_recover,
        };
        let mut poll = Sampler::new(keys(|k| k.within = Some(Duration::from_secs(60))).filled());
        assert_eq!(poll.take(&judged(F, None, false), Duration::ZERO), Next::Wait(Duration::from_secs(1)));
        let Next::Done(F, _, reason) = poll.take(&judged(F, None, false), Duration::from_secs(60)) else { panic!() };
        assert_eq!(reason, "did not hold within 60 s: last `status == 200`: was 503");
        let mut poll = Sampler::new(keys(|k| k.within = Some(Duration::from_secs(60))).filled());
        let rejected = poll.take(&judged(F, Some(Cause::Rejected), false), Duration::ZERO);
        assert!(matches!(rejected, Next::Done(F, Some(Cause::Rejected), _)));
        // A comparison over all looks is undecided until there are enough.
        let mut count = Sampler::new(keys(|k| k.max = Some(2)).filled());
        assert_eq!(count.take(&judged(I, None, true), Duration::ZERO), Next::Wait(Duration::from_secs(1)));
        assert!(matches!(count.take(&judged(P, None, false), Duration::ZERO), Next::Done(P, None, _)));
        let mut count = Sampler::new(keys(|k| k.max = Some(1)).filled());
        assert!(matches!(count.take(&judged(I, None, true), Duration::ZERO), Next::Done(I, ..)));
        // p95 over three looks: the first ones don't decide, the last one does.
        let mut count = Sampler::new(keys(|k| k.max = Some(2)).filled());
        assert!(matches!(count.take(&judged(F, None, true), Duration::ZERO), Next::Wait(_)));
        assert!(matches!(count.take(&judged(F, None, true), Duration::from_secs(1)), Next::Done(F, ..)));
    }

    proptest! {
        #[test]
        fn always_ends_in_bounds(
            states in prop::collection::vec(prop_oneof![Just(P), Just(W), Just(F), Just(I), Just(E)], 20),
            max in 1u32..10, consecutive in prop::option::of(1u32..4), failures in prop::option::of(0u32..3),
        ) {
            let keys = SampleKeys { max: Some(max), consecutive, failures, ..SampleKeys::default() };
            let (state, looks, _) = run(keys, &states).unwrap();
            assert!(looks <= max);
            let seen = &states[..looks as usize];
            if state == P {
                let row = consecutive.unwrap_or(1) as usize;
                assert!(seen.iter().filter(|s| s.is_success()).count() >= row);
                if consecutive.is_some() {
                    assert!(seen.iter().rev().take(row).all(|s| *s == P));
                }
            }
            if state == F {
                assert!(seen.iter().any(|s| *s == F || *s == P || *s == W));
            }
            if failures.is_none() && consecutive.is_none() && seen.contains(&F) {
                assert_eq!(state, F);
            }
        }
    }
}
