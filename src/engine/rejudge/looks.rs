//! One recorded attempt judged again: every look by the rules of the step as it is now.

use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::action::{Action, Sampling};
use crate::facts::Facts;
use crate::ids::StepId;
use crate::judge::{self, Judged, Next, Sampler};
use crate::outcome::{Cause, Exit, State};
use crate::plan::Step;

use super::{Court, Look, Recorded, Tried};

impl Court<'_> {
    pub(super) fn attempt(&mut self, id: StepId, recorded: &Recorded, tried: &Tried) -> Judged {
        let step = self.step(id);
        let result = &tried.result;
        let mut judged = match tried.looks.as_slice() {
            // It never came to a look.
            [] => {
                let (cause, detail) = told(result.cause.as_ref(), result.detail.as_deref());
                return self.judged_error(step, &cause, &detail);
            }
            looks => self.looks(id, step, recorded, tried, looks),
        };
        if let Some(waivers) = self.shared.options.waivers.get(&step.name)
            && !matches!(result.exit, Some(Exit::Signal(_)))
        {
            judge::waive(&mut judged, waivers);
        }
        match unfit(tried) {
            Some((cause, detail)) if judged.state.is_success() => Judged {
                state: State::Fail,
                cause: Some(cause),
                detail: Some(detail),
                criteria: judged.criteria,
                may_recover: false,
            },
            _ => judged,
        }
    }

    fn looks(&mut self, id: StepId, step: &Step, recorded: &Recorded, tried: &Tried, looks: &[Look]) -> Judged {
        let steps = self.shared.named_by(step.criteria.iter());
        let mut sampler = step.sample.clone().map(Sampler::new);
        let mut seen: Vec<Facts> = Vec::new();
        let mut last = None;
        for (at, look) in looks.iter().enumerate() {
            let is_last = at + 1 == looks.len();
            if sampler.is_none() {
                // Once is enough now: the last look of the attempt is what it came to.
                seen.clear();
            }
            seen.push(look.facts.clone());
            self.clock.store(look.at, Ordering::Relaxed);
            let evidence = self.shared.evidence(&look.facts, &seen, &steps, Some(step));
            let lost = tried.looks_lost.as_deref();
            let results =
                step.criteria.iter().map(|c| self.one(step, recorded, c, look, &evidence, lost)).collect::<Vec<_>>();
            let fault = fault(look, tried, is_last);
            let fault = fault.as_ref().map(|(cause, detail)| (cause, detail.as_str()));
            let empty = step.allow_empty.as_deref();
            let mut judged = judge::settled(&step.criteria, results, &look.facts.inspected, empty, fault);
            if matches!(step.action, Action::Signoff(_)) {
                judge::wait_for_people(&mut judged, &look.facts);
            }
            let Some(sampler) = &mut sampler else {
                last = Some(judged);
                continue;
            };
            if tried.looks_lost.is_some() {
                return self.unsampled(id, recorded, tried, judged);
            }
            if matches!(judged.cause, Some(Cause::Interrupted | Cause::Timeout | Cause::Rejected)) {
                return judged;
            }
            let before = sampler.clone();
            let mut next = sampler.take(&judged, elapsed(look, step, recorded, is_last));
            if is_last && ended_by_time(&next, look, &judged, recorded, tried) {
                *sampler = before;
                next = sampler.take(&judged, Duration::MAX);
            }
            match next {
                Next::Done(state, cause, reason) => {
                    judged.cause = if state == State::Error { cause.or(judged.cause) } else { cause };
                    judged.state = state;
                    judged.detail = (state != State::Pass).then_some(reason);
                    return judged;
                }
                Next::Wait(_) if is_last => return self.no_more_looks(id, step, tried, judged),
                Next::Wait(_) => last = Some(judged),
            }
        }
        last.unwrap_or_else(|| self.judged_error(step, &Cause::Undecided, "no look was recorded"))
    }

    /// The rules ask for more looks than there are.
    fn no_more_looks(&mut self, id: StepId, step: &Step, tried: &Tried, judged: Judged) -> Judged {
        let result = &tried.result;
        if let Some(cause @ (Cause::Timeout | Cause::Interrupted)) = &result.cause {
            let detail = result.detail.clone().unwrap_or_default();
            return self.judged_error(step, cause, &detail);
        }
        let looks = tried.looks.len();
        let note = format!("`sample` would have gone on after look {looks}, the last one that was recorded");
        self.files.entry(id).or_default().notes.push(note.clone());
        Judged { state: State::Inconclusive, cause: Some(Cause::Undecided), detail: Some(note), ..judged }
    }

    /// The looks are gone. If all that is asked stood there then too, the answer does; else nobody knows.
    fn unsampled(&mut self, id: StepId, recorded: &Recorded, tried: &Tried, judged: Judged) -> Judged {
        let result = &tried.result;
        let same = recorded.same_rules
            && judged.criteria.len() == result.criteria.len()
            && judged
                .criteria
                .iter()
                .zip(&result.criteria)
                .all(|(now, then)| now.tier == then.tier && now.text == then.text);
        if same {
            let (state, cause, detail) = (result.state, result.cause.clone(), result.detail.clone());
            return Judged { state, cause, detail, ..judged };
        }
        let why = tried.looks_lost.clone().unwrap_or_default();
        self.files.entry(id).or_default().notes.push(why.clone());
        Judged { state: State::Inconclusive, cause: Some(Cause::Undecided), detail: Some(why), ..judged }
    }
}

/// What was wrong with what the attempt made, told after its criteria held.
fn unfit(tried: &Tried) -> Option<(Cause, String)> {
    let result = &tried.result;
    let after = match result.cause.as_ref()? {
        Cause::OutputInvalid | Cause::SecretInOutput => true,
        Cause::InputChanged | Cause::ActionError => result.state == State::Fail,
        _ => false,
    };
    after.then(|| told(result.cause.as_ref(), result.detail.as_deref()))
}

/// Why the action could not look, if it could not: how the look ended does not follow from its criteria.
fn fault(look: &Look, tried: &Tried, is_last: bool) -> Option<(Cause, String)> {
    let then = look.state?;
    let cause = tried.result.cause.as_ref().filter(|_| is_last);
    if unfit(tried).is_some() || matches!(cause, Some(Cause::Waived | Cause::Unsigned)) {
        return None;
    }
    let detail = look.detail.as_deref();
    let nothing = judge::nothing_inspected(&look.facts.inspected);
    if look.facts.inspected.count == 0 && detail == Some(nothing.as_str()) {
        return None;
    }
    let (state, _, sentence) = judge::follows(&look.criteria);
    // A waiver that is over adds to the sentence; a signal takes its place.
    let by_signal = matches!(tried.result.exit, Some(Exit::Signal(_))) && state == State::Fail;
    let same = match (&sentence, detail) {
        (Some(sentence), Some(detail)) => detail.starts_with(sentence.as_str()),
        (sentence, detail) => sentence.is_none() == detail.is_none(),
    };
    if state == then && (same || by_signal) {
        return None;
    }
    let fits = |cause: &&Cause| match then {
        State::Error => !matches!(cause, Cause::Criteria | Cause::Rejected | Cause::Signal(_)),
        State::Inconclusive => **cause == Cause::Undecided,
        State::NotRun => **cause == Cause::Interrupted,
        _ => matches!(cause, Cause::Signal(_)),
    };
    let by_state = match then {
        State::Inconclusive => Cause::Undecided,
        State::NotRun => Cause::Interrupted,
        _ => Cause::ActionError,
    };
    Some((cause.filter(fits).cloned().unwrap_or(by_state), detail.unwrap_or_default().to_owned()))
}

fn told(cause: Option<&Cause>, detail: Option<&str>) -> (Cause, String) {
    (cause.cloned().unwrap_or(Cause::ActionError), detail.unwrap_or_default().to_owned())
}

/// When the look was over, as the sampler was told then. The journal's times are a little later than those: under the
/// rules of the run, that it looked again proves that there was time for it.
fn elapsed(look: &Look, step: &Step, recorded: &Recorded, is_last: bool) -> Duration {
    match &step.sample {
        Some(Sampling { within: Some(within), every, consecutive, .. }) if recorded.same_rules && !is_last => {
            look.elapsed.min(within.saturating_sub(every.saturating_mul((*consecutive).max(1))))
        }
        _ => look.elapsed,
    }
}

/// The last look came out as it did then, by the rules of then, and no other one followed: there was no time for it.
fn ended_by_time(next: &Next, look: &Look, judged: &Judged, recorded: &Recorded, tried: &Tried) -> bool {
    matches!(next, Next::Wait(_))
        && recorded.same_rules
        && look.state == Some(judged.state)
        && look.detail == judged.detail
        && !matches!(tried.result.cause, Some(Cause::Timeout | Cause::Interrupted))
}
