//! A run as exports tell it: its events folded once, with states as the record has them. Knows no format.

use std::collections::BTreeMap;

use crate::event::{Event, EventKind, PlanHead, Settings, StepHead};
use crate::ids::StepId;
use crate::outcome::{
    AttemptResult, Cause, CriterionResult, Decision, FileDigest, RunStatus, State, StepResult, Verdict,
};
use crate::record::project;

/// What a step came to: its state with what the cause adds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Came {
    /// Everything asked for holds.
    Pass,
    /// The goal does not hold, the `warn` tier does.
    Warn,
    /// What does not hold is waived.
    Waived,
    /// Does not hold.
    Fail,
    /// The evidence does not decide.
    Inconclusive,
    /// It could not look.
    Error,
    /// Waits for people.
    Pending,
    /// Left out: not selected, or `when` or `run_when` said so.
    Skipped,
    /// Something it needs did not succeed or was skipped.
    Blocked,
    /// Never reached.
    NotReached,
    /// The run ended before it did.
    Unfinished,
}

impl Came {
    /// The word in every format that takes one.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Warn => "warn",
            Self::Waived => "waived",
            Self::Fail => "fail",
            Self::Inconclusive => "inconclusive",
            Self::Error => "error",
            Self::Pending => "pending",
            Self::Skipped => "skipped",
            Self::Blocked => "blocked",
            Self::NotReached => "not_reached",
            Self::Unfinished => "unfinished",
        }
    }

    fn of(state: State, cause: Option<&Cause>) -> Self {
        match (state, cause) {
            (_, Some(Cause::Waived)) => Self::Waived,
            (State::NotRun, Some(Cause::Interrupted)) => Self::Unfinished,
            (State::Skipped, Some(Cause::NeedFailed(_) | Cause::NeedSkipped(_))) => Self::Blocked,
            (State::Pass, _) => Self::Pass,
            (State::Warn, _) => Self::Warn,
            (State::Fail, _) => Self::Fail,
            (State::Inconclusive, _) => Self::Inconclusive,
            (State::Error, _) => Self::Error,
            (State::Pending, _) => Self::Pending,
            (State::Skipped, _) => Self::Skipped,
            (State::NotRun, _) => Self::NotReached,
        }
    }

    /// Ran and did not succeed.
    #[must_use]
    pub fn is_failure(self) -> bool {
        matches!(self, Self::Fail | Self::Inconclusive | Self::Error)
    }
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// With a decision.
    Decided(Verdict),
    /// By this signal.
    Interrupted(i32),
    /// Its journal breaks off.
    Unfinished,
}

/// One execution of a step.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// From 1.
    pub number: u32,
    /// When it began, in nanoseconds since the run did.
    pub start: u64,
    /// When it ended, or the last that is known.
    pub end: u64,
    /// How it ended; none if it did not.
    pub result: Option<AttemptResult>,
}

/// The end of what an attempt wrote to one stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stream {
    /// Raw bytes, secrets replaced.
    pub bytes: Vec<u8>,
    /// How many bytes before them are left out.
    pub left_out: u64,
}

impl Stream {
    /// As text, with a line about what is left out.
    #[must_use]
    pub fn text(&self) -> String {
        let text = super::lines(&String::from_utf8_lossy(&self.bytes));
        match self.left_out {
            0 => text,
            n => format!("[the first {n} bytes are left out]\n{text}"),
        }
    }
}

/// What the deciding attempt of a step wrote.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// On stdout.
    pub stdout: Stream,
    /// On stderr.
    pub stderr: Stream,
}

/// One step.
#[derive(Clone, Debug)]
pub struct Step {
    /// Its announcement.
    pub head: StepHead,
    /// What it came to, as if the steps had run one by one.
    pub came: Came,
    /// Why.
    pub cause: Option<Cause>,
    /// Its result; none if it has none, or if a serial run would not have reached it.
    pub result: Option<StepResult>,
    /// Every attempt that the journal knows of, also of a step that a serial run would not have reached.
    pub attempts: Vec<Attempt>,
    /// From its first attempt to its result, in nanoseconds since the run began; none if nothing of it ran.
    pub span: Option<(u64, u64)>,
    /// The run that its result was taken over from.
    pub reused: Option<String>,
    /// What it wrote, as far as it is repeated.
    pub written: Written,
}

impl Step {
    /// Why it is no pass, in a sentence.
    #[must_use]
    pub fn why(&self) -> String {
        let detail = self.result.as_ref().and_then(|result| result.detail.clone());
        let told = detail.filter(|text| !text.is_empty()).or_else(|| self.cause.as_ref().map(ToString::to_string));
        told.unwrap_or_else(|| match self.came {
            Came::Unfinished => "the run ended before this step did".to_owned(),
            other => other.word().to_owned(),
        })
    }

    /// Criteria of the attempt that decided.
    #[must_use]
    pub fn criteria(&self) -> &[CriterionResult] {
        self.result.as_ref().map_or(&[], StepResult::criteria)
    }

    /// Time of all its attempts in nanoseconds.
    #[must_use]
    pub fn took_ns(&self) -> u64 {
        let attempts = self.result.iter().flat_map(|result| &result.attempts);
        attempts.fold(0, |sum: u64, attempt| sum.saturating_add(attempt.duration_ns))
    }

    /// Passed, but not at once.
    #[must_use]
    pub fn is_flaky(&self) -> bool {
        let tries = self.result.as_ref().map_or(0, |result| result.attempts.len());
        tries > 1 && matches!(self.came, Came::Pass | Came::Warn | Came::Waived)
    }

    /// A class of error with few members: the cause, else the state.
    #[must_use]
    pub fn error_type(&self) -> &'static str {
        self.cause.as_ref().map_or(self.came.word(), Cause::code)
    }
}

/// Something worth saying at a moment: a warning, a signal.
#[derive(Clone, Debug)]
pub struct Mark {
    /// Nanoseconds since the run began.
    pub at: u64,
    /// The step it is about.
    pub step: Option<StepId>,
    /// `warning` or `signal`.
    pub kind: &'static str,
    /// Its code or the signal's name.
    pub name: String,
    /// A sentence.
    pub text: String,
}

/// What an export is made of, beside the events.
#[derive(Clone, Debug, Default)]
pub struct Gathered {
    /// Run id.
    pub run: String,
    /// SHA-256 and size of `record.jsonl`.
    pub record: Option<(String, u64)>,
    /// SHA-256 of `journal.jsonl`.
    pub journal: String,
    /// Files of the plan with their digests, the plan itself first.
    pub files: Vec<(String, String)>,
    /// The decision that sign-offs led to since.
    pub later: Option<Decision>,
    /// What deciding attempts wrote, by step.
    pub written: BTreeMap<StepId, Written>,
}

/// A run.
#[derive(Clone, Debug)]
pub struct Run {
    /// See [`Gathered`].
    pub about: Gathered,
    /// The plan.
    pub plan: PlanHead,
    /// How it ran.
    pub settings: Settings,
    /// Wall clock of its beginning, in nanoseconds since 1970: add `mono` to it.
    pub base_ns: i128,
    /// Nanoseconds until its last event.
    pub took_ns: u64,
    /// How it ended.
    pub end: End,
    /// The decision in force.
    pub decision: Option<Decision>,
    /// In plan rank.
    pub steps: Vec<Step>,
    /// In order.
    pub marks: Vec<Mark>,
}

impl Run {
    /// The run of these events: the opening, and what came after it in the last part.
    #[must_use]
    pub fn of(events: &[Event], about: Gathered) -> Option<Self> {
        let EventKind::Open { plan, settings, steps: heads } = &events.first()?.kind else { return None };
        let mut settings = Settings::clone(settings);
        // A run that was resumed waited in between: its clock goes on where it stopped.
        let first = events.get(1).or(events.first())?;
        let base_ns = i128::from(first.at) * 1_000_000 - i128::from(first.mono);
        let took_ns = events.iter().map(|event| event.mono).max().unwrap_or(0);
        let mut folded = Folded::default();
        events.iter().for_each(|event| folded.take(event));
        let serial: BTreeMap<String, (State, Option<Cause>)> = match (&about.record, project::project(events)) {
            (Some(_), Ok(record)) => record.steps.into_iter().map(|line| (line.id, (line.state, line.cause))).collect(),
            _ => BTreeMap::new(),
        };
        let mut about = about;
        let mut steps: Vec<Step> = heads
            .iter()
            .map(|head| {
                let written = about.written.remove(&head.step).unwrap_or_default();
                folded.step(head, serial.get(&head.name), written, took_ns)
            })
            .collect();
        steps.sort_by_key(|step| step.head.rank);
        if settings.run.is_empty() {
            settings.run.clone_from(&about.run);
        }
        let end = match events.last().map(|event| &event.kind) {
            Some(EventKind::Close { status: RunStatus::Decided(verdict), .. }) => End::Decided(*verdict),
            Some(EventKind::Close { status: RunStatus::Interrupted(signal), .. }) => End::Interrupted(*signal),
            _ => End::Unfinished,
        };
        let decision = about.later.clone().or(folded.decision).filter(|_| matches!(end, End::Decided(_)));
        let marks = folded.marks;
        Some(Self { about, plan: PlanHead::clone(plan), settings, base_ns, took_ns, end, decision, steps, marks })
    }

    /// The verdict in force.
    #[must_use]
    pub fn verdict(&self) -> Option<Verdict> {
        self.decision.as_ref().map(|decision| decision.verdict)
    }

    /// How the run ended, as a word: `GO`, `HOLD`, `NO-GO`, `interrupted`, `unfinished`.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match (self.verdict(), self.end) {
            (Some(verdict), _) => verdict.word(),
            (None, End::Interrupted(_)) => "interrupted",
            (None, _) => "unfinished",
        }
    }

    /// What speaks against it, or why there is no decision, in a line.
    #[must_use]
    pub fn why(&self) -> String {
        let Some(decision) = &self.decision else {
            return match self.end {
                End::Interrupted(signal) => {
                    format!("the run was interrupted by signal {signal} and has no record; nothing is decided")
                }
                _ => "the journal breaks off and there is no record; nothing is decided".to_owned(),
            };
        };
        let reasons = decision.vetoes.iter().chain(&decision.holds).map(|veto| match veto.id.as_str() {
            "" => veto.reason.clone(),
            id => format!("{id}: {}", veto.reason),
        });
        let reasons = reasons.collect::<Vec<_>>().join("; ");
        let risk = format!("risk {} (go <= {}, no-go >= {})", decision.risk, decision.go, decision.no_go);
        if reasons.is_empty() { risk } else { format!("{risk}: {reasons}") }
    }

    /// Wall clock at a moment, in nanoseconds since 1970.
    #[must_use]
    pub fn wall_ns(&self, mono: u64) -> u64 {
        u64::try_from(self.base_ns + i128::from(mono)).unwrap_or(0)
    }

    /// Wall clock at a moment, in milliseconds since 1970.
    #[must_use]
    pub fn wall_ms(&self, mono: u64) -> i64 {
        i64::try_from(self.wall_ns(mono) / 1_000_000).unwrap_or(i64::MAX)
    }

    /// Archived files whose bytes are part of the record's identity, sorted by path.
    #[must_use]
    pub fn stable_artifacts(&self) -> Vec<&FileDigest> {
        let outputs = self.steps.iter().filter_map(|step| step.result.as_ref()).flat_map(|result| &result.outputs);
        let stable = outputs.filter(|output| output.artifact && output.class == crate::outcome::Class::Stable);
        let mut files: Vec<&FileDigest> = stable.map(|output| &output.file).collect();
        files.sort();
        files.dedup();
        files
    }
}

/// What the events said of each step.
#[derive(Default)]
struct Folded {
    attempts: BTreeMap<StepId, Vec<Attempt>>,
    results: BTreeMap<StepId, (u64, StepResult)>,
    reused: BTreeMap<StepId, String>,
    decision: Option<Decision>,
    marks: Vec<Mark>,
}

impl Folded {
    fn take(&mut self, event: &Event) {
        let at = event.mono;
        match &event.kind {
            EventKind::Start { step, attempt } => {
                let attempt = Attempt { number: *attempt, start: at, end: at, result: None };
                self.attempts.entry(*step).or_default().push(attempt);
            }
            EventKind::Attempt { step, attempt, result } => {
                let list = self.attempts.entry(*step).or_default();
                let result = Some(result.as_ref().clone());
                match list.iter_mut().find(|known| known.number == *attempt && known.result.is_none()) {
                    Some(known) => (known.end, known.result) = (at, result),
                    // Of a result that was taken over: nothing started.
                    None => list.push(Attempt { number: *attempt, start: at, end: at, result }),
                }
            }
            EventKind::Reused { step, run } => drop(self.reused.insert(*step, run.clone())),
            EventKind::Commit { step, result } => {
                self.results.insert(*step, (at, result.as_ref().clone()));
            }
            EventKind::Decision { decision, last: true } => self.decision = Some(decision.as_ref().clone()),
            EventKind::Warn { step, code, text } => {
                let (name, text) = (code.clone(), text.clone());
                self.marks.push(Mark { at, step: *step, kind: "warning", name, text });
            }
            EventKind::Signal { name, count } => {
                let text = format!("signal {count} to the engine");
                self.marks.push(Mark { at, step: None, kind: "signal", name: name.clone(), text });
            }
            _ => {}
        }
    }

    fn step(&mut self, head: &StepHead, serial: Option<&(State, Option<Cause>)>, written: Written, last: u64) -> Step {
        let mut attempts = self.attempts.remove(&head.step).unwrap_or_default();
        let committed = self.results.remove(&head.step);
        // A step is taken up to look at its `when`; where that does not hold, nothing was attempted.
        if committed.as_ref().is_some_and(|(_, result)| result.state == State::Skipped) {
            attempts.retain(|attempt| attempt.result.is_some());
        }
        let over = committed.as_ref().map_or(last, |(at, _)| *at);
        for attempt in attempts.iter_mut().filter(|attempt| attempt.result.is_none()) {
            attempt.end = over;
        }
        let result = committed.map(|(_, result)| result);
        let (state, cause) = match (serial, &result) {
            (Some((state, cause)), _) => (Some(*state), cause.clone()),
            (None, Some(result)) => (Some(result.state), result.cause.clone()),
            (None, None) => (None, None),
        };
        let came = state.map_or(Came::Unfinished, |state| Came::of(state, cause.as_ref()));
        let result = result.filter(|result| Some(result.state) == state && result.cause == cause);
        let span = attempts.first().map(|first| (first.start, over.max(first.start)));
        let reused = self.reused.remove(&head.step);
        let written = if result.is_some() { written } else { Written::default() };
        Step { head: head.clone(), came, cause, result, attempts, span, reused, written }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::record::sample;

    /// A run with a pass, a flaky pass, a failure with hostile texts, a blocked step, a skipped one and a pending one.
    pub(crate) fn eventful() -> Run {
        let mut failed = sample::ran(State::Fail, Some(Cause::Criteria));
        failed.detail = Some("]]> \u{1b}[2J\0 & <b> \u{202e}# \\ \"q\" \u{ffff}\nnext line".into());
        let mut flaky = sample::passed();
        flaky.attempts.insert(0, sample::attempt(State::Fail, Some(Cause::Criteria)));
        let start = |step, attempt, mono| {
            let mut event = sample::event(EventKind::Start { step: StepId(step), attempt });
            event.mono = mono;
            event
        };
        let end = |step, attempt, mono, result: &StepResult| {
            let result = Box::new(result.attempts[attempt as usize - 1].clone());
            let mut event = sample::event(EventKind::Attempt { step: StepId(step), attempt, result });
            event.mono = mono;
            event
        };
        let commit = |step, mono, result: StepResult| Event { mono, ..sample::commit(step, result) };
        let unrun = StepResult::unrun;
        let mut waits = sample::ran(State::Pending, Some(Cause::Unsigned));
        waits.outputs[0].artifact = true;
        let mut verdict = sample::decision();
        verdict.verdict = Verdict::NoGo;
        verdict.vetoes.push(crate::outcome::Veto { id: "c".into(), reason: "it failed".into() });
        let heads = ["a", "b#1 \\ x", "c", "d", "e", "f"];
        let heads = heads.iter().zip(0..).map(|(name, id)| sample::head(id, name)).collect();
        let events = [
            sample::open(heads),
            start(0, 1, 1_000_000),
            start(1, 1, 1_500_000),
            end(0, 1, 3_000_000, &sample::passed()),
            commit(0, 3_100_000, sample::passed()),
            end(1, 1, 4_000_000, &flaky),
            start(1, 2, 5_000_000),
            end(1, 2, 6_000_000, &flaky),
            commit(1, 6_100_000, flaky),
            start(2, 1, 6_200_000),
            end(2, 1, 7_000_000, &failed),
            commit(2, 7_100_000, failed),
            commit(3, 7_200_000, unrun(State::Skipped, Cause::NeedFailed("c".into()))),
            start(4, 1, 7_250_000),
            commit(4, 7_300_000, unrun(State::Skipped, Cause::When("vars.n > 5".into()))),
            commit(5, 7_400_000, waits),
            sample::event(EventKind::Decision { decision: Box::new(verdict), last: true }),
            sample::event(EventKind::Close { status: RunStatus::Decided(Verdict::NoGo), record: Some("5".repeat(64)) }),
        ];
        let hostile = Stream { bytes: b"\xff\x1b[31mred\x1b[0m ]]>\n\0<x>&amp;\n".to_vec(), left_out: 7 };
        let about = Gathered {
            run: "20260101T000000Z-aaaaaa".into(),
            record: Some(("5".repeat(64), 99)),
            journal: "6".repeat(64),
            files: vec![("plan.toml".into(), "1".repeat(64))],
            written: BTreeMap::from([(StepId(2), Written { stdout: hostile.clone(), stderr: hostile })]),
            ..Gathered::default()
        };
        Run::of(&events, about).unwrap()
    }

    /// The same, broken off while step `c` ran.
    pub(crate) fn broken_off() -> Run {
        let mut events = vec![sample::open(vec![sample::head(0, "a"), sample::head(1, "c"), sample::head(2, "d")])];
        events.push(sample::event(EventKind::Start { step: StepId(0), attempt: 1 }));
        events.push(sample::commit(0, sample::passed()));
        events.push(sample::event(EventKind::Start { step: StepId(1), attempt: 1 }));
        Run::of(&events, Gathered { run: "20260101T000000Z-aaaaaa".into(), ..Gathered::default() }).unwrap()
    }

    #[test]
    fn states_carry_what_their_cause_adds() {
        let run = eventful();
        let came: Vec<Came> = run.steps.iter().map(|step| step.came).collect();
        assert_eq!(came, [Came::Pass, Came::Pass, Came::Fail, Came::Blocked, Came::Skipped, Came::Pending]);
        assert!(run.steps[1].is_flaky() && !run.steps[0].is_flaky());
        assert_eq!(run.steps[1].span, Some((1_500_000, 6_100_000)));
        assert_eq!((run.word(), run.steps[3].span, run.steps[4].span), ("NO-GO", None, None));
        let run = broken_off();
        let came: Vec<Came> = run.steps.iter().map(|step| step.came).collect();
        assert_eq!(came, [Came::Pass, Came::Unfinished, Came::Unfinished]);
        assert_eq!((run.word(), run.decision.is_none()), ("unfinished", true));
    }

    /// Under `stop` a parallel run may finish what a serial one would not have reached.
    #[test]
    fn what_a_serial_run_would_not_reach_is_not_reached() {
        let mut heads = vec![sample::head(0, "a"), sample::head(1, "b")];
        heads[0].on_failure = "stop".into();
        let events = [
            sample::open(heads),
            sample::event(EventKind::Start { step: StepId(1), attempt: 1 }),
            sample::commit(1, sample::passed()),
            sample::commit(0, sample::ran(State::Fail, Some(Cause::Criteria))),
        ];
        let about = Gathered { record: Some((String::new(), 0)), ..Gathered::default() };
        let run = Run::of(&events, about).unwrap();
        assert_eq!(run.steps[1].came, Came::NotReached);
        assert!(run.steps[1].result.is_none() && run.steps[1].span.is_some());
    }
}
