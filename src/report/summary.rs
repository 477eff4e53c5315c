//! What is known of a run so far: a pure fold of its events. Knows no screen and no clock but the events' own.

use std::collections::BTreeMap;

use crate::event::{Event, EventKind, PlanHead, Settings, StepHead};
use crate::facts::Facts;
use crate::ids::StepId;
use crate::outcome::{AttemptResult, Cause, CriterionResult, Decision, RunStatus, Severity, State, StepResult, Tier};

/// Where a step stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// Something it depends on is not done.
    #[default]
    Waiting,
    /// May start.
    Ready,
    /// An attempt runs.
    Running,
    /// Between two attempts, until this moment (nanoseconds since the run began).
    Pausing {
        /// When the next attempt starts.
        until: u64,
    },
    /// A service that is ready.
    Serving,
    /// A service that is being ended.
    Stopping,
    /// Committed.
    Done,
}

/// The result of a step, as much of it as a screen needs.
#[derive(Clone, Debug, PartialEq)]
pub struct Brief {
    /// How it ended.
    pub state: State,
    /// Why, unless it passed.
    pub cause: Option<Cause>,
    /// One sentence, unless it passed.
    pub detail: Option<String>,
    /// How many attempts it took.
    pub attempts: u32,
    /// Nanoseconds of all attempts together.
    pub total_ns: u64,
    /// The attempt that decided, without its facts; absent on a clean pass and if it never ran.
    pub last: Option<Box<AttemptResult>>,
}

impl Brief {
    fn new(result: &StepResult) -> Self {
        let keep = result.state != State::Pass;
        Self {
            state: result.state,
            cause: result.cause.clone(),
            detail: result.detail.clone(),
            attempts: u32::try_from(result.attempts.len()).unwrap_or(u32::MAX),
            total_ns: result.attempts.iter().fold(0, |sum, attempt| sum.saturating_add(attempt.duration_ns)),
            last: result.attempts.last().filter(|_| keep).map(|attempt| Box::new(without_facts(attempt))),
        }
    }

    /// The criteria that made it what it is. Where the action itself went wrong, what criteria then lacked is no story:
    /// only one that the sentence is about counts.
    #[must_use]
    pub fn culprits(&self) -> Vec<&CriterionResult> {
        let all = self.last.as_ref().map_or_else(Vec::new, |last| culprits(&last.criteria));
        match &self.cause {
            None | Some(Cause::Criteria | Cause::Rejected | Cause::Undecided) => all,
            Some(Cause::ActionError) => {
                let told = |c: &&CriterionResult| self.detail.as_ref().is_some_and(|detail| detail.contains(&c.text));
                all.into_iter().filter(told).collect()
            }
            Some(_) => Vec::new(),
        }
    }

    /// Skipped or not run because of what happened to another step, not by choice.
    #[must_use]
    pub fn is_blocked(&self) -> bool {
        self.state == State::Skipped && matches!(self.cause, Some(Cause::NeedFailed(_) | Cause::NeedSkipped(_)))
    }

    /// In a few words, for the end of a line: the first culprit, or the sentence.
    #[must_use]
    pub fn reason(&self) -> Option<String> {
        if self.state == State::Pass {
            return None;
        }
        let criteria = self.last.as_ref().map_or(&[][..], |last| &last.criteria);
        reason(self.cause.as_ref(), self.detail.as_deref(), criteria)
    }
}

fn reason(cause: Option<&Cause>, detail: Option<&str>, criteria: &[CriterionResult]) -> Option<String> {
    let by_criteria = matches!(cause, None | Some(Cause::Criteria | Cause::Rejected | Cause::Undecided));
    let culprit = culprits(criteria).into_iter().next().filter(|_| by_criteria).map(got);
    culprit.or_else(|| detail.map(str::to_owned)).or_else(|| cause.map(Cause::to_string))
}

/// Facts can be megabytes of JSON that no screen shows.
fn without_facts(attempt: &AttemptResult) -> AttemptResult {
    AttemptResult {
        state: attempt.state,
        cause: attempt.cause.clone(),
        detail: attempt.detail.clone(),
        exit: attempt.exit.clone(),
        criteria: attempt.criteria.clone(),
        facts: Facts::default(),
        samples: attempt.samples,
        duration_ns: attempt.duration_ns,
        output_bytes: attempt.output_bytes,
        notes: attempt.notes.clone(),
        spools: attempt.spools.clone(),
    }
}

/// `percent(lines) >= 55, got 31.4 % (157/500)`.
#[must_use]
pub fn got(criterion: &CriterionResult) -> String {
    let text =
        if criterion.tier == Tier::Reject { format!("reject {}", criterion.text) } else { criterion.text.clone() };
    match (&criterion.note, criterion.actual.is_empty()) {
        (Some(note), true) => format!("{text}: {note}"),
        (_, false) => format!("{text}, got {}", criterion.actual),
        (None, true) => text,
    }
}

/// Criteria that made a step anything but a pass: `pass` and `warn` ones that do not hold, `any` ones if none holds,
/// `reject` ones that hold. In plan order.
#[must_use]
pub fn culprits(criteria: &[CriterionResult]) -> Vec<&CriterionResult> {
    let any_holds = criteria.iter().any(|c| c.tier == Tier::Any && c.state == State::Pass);
    let is_culprit = |c: &&CriterionResult| match c.tier {
        Tier::Pass | Tier::Warn => c.state != State::Pass,
        Tier::Any => !any_holds,
        Tier::Reject => c.state != State::Fail,
        Tier::When => false,
    };
    criteria.iter().filter(is_culprit).collect()
}

/// A step as announced, as much of it as a screen needs: there is one of each step of the plan the whole run.
#[derive(Clone, Debug)]
pub struct Head {
    /// Name, with the matrix part.
    pub name: String,
    /// Human title.
    pub title: Option<Box<str>>,
    /// `path:line:col` of its header in the plan.
    pub place: Box<str>,
    /// Plan rank.
    pub rank: u32,
    /// Weight in thousandths.
    pub weight_permille: u32,
    /// For the risk.
    pub severity: Severity,
    /// A failure blocks GO.
    pub required: bool,
    /// In `[finally]`.
    pub finally: bool,
}

impl Head {
    fn of(head: &StepHead) -> Self {
        Self {
            name: head.name.clone(),
            title: head.title.as_deref().map(Into::into),
            place: head.place.as_str().into(),
            rank: head.rank,
            weight_permille: head.weight_permille,
            severity: head.severity,
            required: head.required,
            finally: head.finally,
        }
    }
}

/// One step.
#[derive(Clone, Debug)]
pub struct Row {
    /// As announced.
    pub head: Head,
    /// Where it stands.
    pub phase: Phase,
    /// The attempt that runs or ran last; 0 before the first.
    pub attempt: u32,
    /// When its first attempt started, in nanoseconds since the run began.
    pub started: u64,
    /// When the attempt that runs started.
    pub tried: u64,
    /// What the last look saw, for steps that look more than once.
    pub glance: Option<Box<str>>,
    /// How long the last attempt took and why it did not pass.
    pub last_try: Option<Box<(u64, String)>>,
    /// Its earlier result stands for a new one.
    pub reused: bool,
    /// How it ended.
    pub result: Option<Brief>,
}

/// What a finished step counts as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bucket {
    /// Passed.
    Passed,
    /// Passed with a warning.
    Warned,
    /// Failed and required.
    Failed,
    /// Failed, but only advisory.
    FailedAdvisory,
    /// Could not look, required.
    Errored,
    /// Could not look, advisory.
    ErroredAdvisory,
    /// Undecided.
    Inconclusive,
    /// Waits for a person.
    Pending,
    /// Could not run because another step did not succeed.
    Blocked,
    /// Skipped by choice.
    Skipped,
    /// Never reached.
    NotRun,
    /// Not selected: not counted as part of the run.
    Filtered,
}

impl Bucket {
    /// All but `Filtered`, in the order in which they are told.
    pub const TOLD: [Self; 11] = [
        Self::Passed,
        Self::Warned,
        Self::Failed,
        Self::FailedAdvisory,
        Self::Errored,
        Self::ErroredAdvisory,
        Self::Inconclusive,
        Self::Pending,
        Self::Blocked,
        Self::Skipped,
        Self::NotRun,
    ];

    /// Where a result belongs.
    #[must_use]
    pub fn of(result: &Brief, required: bool) -> Self {
        match result.state {
            State::Pass => Self::Passed,
            State::Warn => Self::Warned,
            State::Fail if required => Self::Failed,
            State::Fail => Self::FailedAdvisory,
            State::Error if required => Self::Errored,
            State::Error => Self::ErroredAdvisory,
            State::Inconclusive => Self::Inconclusive,
            State::Pending => Self::Pending,
            State::Skipped if result.is_blocked() => Self::Blocked,
            State::Skipped if result.cause == Some(Cause::Filtered) => Self::Filtered,
            State::Skipped => Self::Skipped,
            State::NotRun => Self::NotRun,
        }
    }

    /// `27 passed`.
    #[must_use]
    pub fn tell(self, n: usize) -> String {
        let word = match self {
            Self::Passed => "passed",
            Self::Warned => "warned",
            Self::Failed => "failed",
            Self::FailedAdvisory => "failed (advisory)",
            Self::Errored if n == 1 => "error",
            Self::Errored => "errors",
            Self::ErroredAdvisory if n == 1 => "error (advisory)",
            Self::ErroredAdvisory => "errors (advisory)",
            Self::Inconclusive => "inconclusive",
            Self::Pending => "pending",
            Self::Blocked => "blocked",
            Self::Skipped => "skipped",
            Self::NotRun => "not run",
            Self::Filtered => "not selected",
        };
        format!("{n} {word}")
    }
}

/// Everything known so far.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// The plan.
    pub plan: PlanHead,
    /// The settings.
    pub settings: Settings,
    /// In declaration order.
    pub rows: Vec<Row>,
    /// Steps with a process or a pause between attempts, in the order they started; services only until they are
    /// ready and while they are being ended.
    pub running: Vec<StepId>,
    /// How many services are ready.
    pub serving: usize,
    /// Finished steps.
    pub counts: BTreeMap<Bucket, usize>,
    /// Signals that reached the engine: the last name and how many.
    pub signal: Option<(String, u32)>,
    /// The last decision, and whether it is final.
    pub decision: Option<(Decision, bool)>,
    /// How the run ended.
    pub status: Option<RunStatus>,
    /// SHA-256 of the record.
    pub record: Option<String>,
    /// Nanoseconds since the run began, of the last event.
    pub mono: u64,
    /// Steps whose earlier result stands for a new one.
    pub reused: usize,
    /// Rows in the order of their names.
    by_name: Vec<StepId>,
    committed: usize,
}

impl Summary {
    /// Takes one event. Events about steps that were never announced change nothing.
    pub fn apply(&mut self, event: &Event) {
        self.mono = self.mono.max(event.mono);
        match &event.kind {
            EventKind::Open { plan, settings, steps } => self.open(plan, settings, steps.iter().map(Head::of)),
            EventKind::Ready { step } => self.phase(*step, Phase::Ready),
            EventKind::Start { step, attempt } => self.start(*step, *attempt, event.mono),
            EventKind::Sample { step, sample, criteria, detail, .. } => {
                self.sample(*step, *sample, criteria, detail.as_deref());
            }
            EventKind::Retry { step, after_ns, .. } => {
                self.phase(*step, Phase::Pausing { until: event.mono.saturating_add(*after_ns) });
            }
            EventKind::Serving { step } => {
                self.leave(*step);
                self.phase(*step, Phase::Serving);
                self.serving += usize::from(self.row(*step).is_some());
            }
            EventKind::Stopping { step } => {
                self.leave(*step);
                self.phase(*step, Phase::Stopping);
                self.running.extend(self.row(*step).is_some().then_some(*step));
            }
            EventKind::Commit { step, result } => self.commit(*step, result),
            EventKind::Signal { name, count } => self.signal = Some((name.clone(), *count)),
            EventKind::Decision { decision, last } => self.decision = Some((Decision::clone(decision), *last)),
            EventKind::Close { status, record } => {
                self.status = Some(*status);
                self.record.clone_from(record);
            }
            EventKind::Attempt { step, result, .. } => self.attempt(*step, result),
            EventKind::Reused { step, .. } => {
                if let Some(row) = self.rows.get_mut(step.index())
                    && !std::mem::replace(&mut row.reused, true)
                {
                    self.reused += 1;
                }
            }
            EventKind::Resume { settings } => self.resume(settings),
            EventKind::Spawned { .. } | EventKind::Warn { .. } | EventKind::Stale { .. } => {}
        }
    }

    fn open(&mut self, plan: &PlanHead, settings: &Settings, steps: impl ExactSizeIterator<Item = Head>) {
        self.plan = plan.clone();
        self.settings = settings.clone();
        let row = |head: Head| Row {
            head,
            phase: Phase::default(),
            attempt: 0,
            started: 0,
            tried: 0,
            glance: None,
            last_try: None,
            reused: false,
            result: None,
        };
        self.rows = steps.map(row).collect();
        self.by_name = (0..self.rows.len()).map(StepId::at).collect();
        self.by_name.sort_unstable_by_key(|step| self.rows[step.index()].head.name.as_str());
    }

    /// Every step is told anew.
    fn resume(&mut self, settings: &Settings) {
        let (plan, mono) = (std::mem::take(&mut self.plan), self.mono);
        let rows = std::mem::take(&mut self.rows);
        *self = Self { mono, ..Self::default() };
        self.open(&plan, settings, rows.into_iter().map(|row| row.head));
    }

    fn phase(&mut self, step: StepId, phase: Phase) {
        if let Some(row) = self.rows.get_mut(step.index()) {
            row.phase = phase;
        }
    }

    fn start(&mut self, step: StepId, attempt: u32, at: u64) {
        let Some(row) = self.rows.get_mut(step.index()) else {
            return;
        };
        if row.attempt == 0 {
            row.started = at;
        }
        row.attempt = attempt;
        row.tried = at;
        row.phase = Phase::Running;
        row.glance = None;
        if !self.running.contains(&step) {
            self.running.push(step);
        }
    }

    fn sample(&mut self, step: StepId, sample: u32, criteria: &[CriterionResult], detail: Option<&str>) {
        let Some(row) = self.rows.get_mut(step.index()) else {
            return;
        };
        let seen = culprits(criteria).first().map(|c| got(c)).or_else(|| detail.map(str::to_owned));
        row.glance = Some(format!("look {sample}: {}", seen.as_deref().unwrap_or("holds")).into());
    }

    fn attempt(&mut self, step: StepId, result: &AttemptResult) {
        let Some(row) = self.rows.get_mut(step.index()) else {
            return;
        };
        row.glance = None;
        row.last_try = (result.state != State::Pass).then(|| {
            let why = reason(result.cause.as_ref(), result.detail.as_deref(), &result.criteria);
            Box::new((result.duration_ns, why.unwrap_or_else(|| result.state.word().to_owned())))
        });
    }

    fn commit(&mut self, step: StepId, result: &StepResult) {
        self.leave(step);
        let Some(row) = self.rows.get_mut(step.index()) else {
            return;
        };
        let brief = Brief::new(result);
        let first = row.result.is_none();
        row.phase = Phase::Done;
        row.glance = None;
        if first {
            self.committed += 1;
            *self.counts.entry(Bucket::of(&brief, row.head.required)).or_default() += 1;
        }
        row.result = Some(brief);
    }

    /// Takes a step off the running ones or the services.
    fn leave(&mut self, step: StepId) {
        if self.rows.get(step.index()).is_some_and(|row| row.phase == Phase::Serving) {
            self.serving = self.serving.saturating_sub(1);
        }
        self.running.retain(|running| *running != step);
    }

    /// The row of a step.
    #[must_use]
    pub fn row(&self, step: StepId) -> Option<&Row> {
        self.rows.get(step.index())
    }

    /// The step of that name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<StepId> {
        let name_of = |step: &StepId| self.rows[step.index()].head.name.as_str();
        self.by_name.binary_search_by_key(&name, name_of).ok().map(|at| self.by_name[at])
    }

    /// How many steps came out like that.
    #[must_use]
    pub fn count(&self, bucket: Bucket) -> usize {
        self.counts.get(&bucket).copied().unwrap_or(0)
    }

    /// Steps that are part of the run.
    #[must_use]
    pub fn total(&self) -> usize {
        self.rows.len().saturating_sub(self.count(Bucket::Filtered))
    }

    /// Those of them that are finished.
    #[must_use]
    pub fn done(&self) -> usize {
        self.committed.saturating_sub(self.count(Bucket::Filtered))
    }

    /// For each step that could not run because of another one: where the chain of causes begins (a step that failed,
    /// or one that was skipped by choice). Linear in the number of steps.
    #[must_use]
    pub fn roots(&self) -> Vec<Option<StepId>> {
        let blamed = |index: usize| -> Option<usize> {
            match self.rows.get(index)?.result.as_ref()?.cause.as_ref()? {
                Cause::NeedFailed(name) | Cause::NeedSkipped(name) | Cause::Stopped(name) => {
                    self.find(name).map(StepId::index)
                }
                _ => None,
            }
        };
        let mut roots: Vec<Option<StepId>> = vec![None; self.rows.len()];
        for start in 0..self.rows.len() {
            let mut chain = Vec::new();
            let mut at = start;
            // A chain is never longer than the plan; a damaged journal could close one into a ring.
            let root = loop {
                match (roots.get(at).copied().flatten(), blamed(at)) {
                    (Some(known), _) => break Some(known),
                    (None, Some(next)) if chain.len() <= self.rows.len() => {
                        chain.push(at);
                        at = next;
                    }
                    (None, Some(_)) => break None,
                    (None, None) => break (!chain.is_empty()).then(|| StepId::at(at)),
                }
            };
            for member in chain {
                if let Some(slot) = roots.get_mut(member) {
                    *slot = root;
                }
            }
        }
        roots
    }

    /// Ids of the steps whose result satisfies a condition, in plan rank.
    #[must_use]
    pub fn ranked(&self, wanted: impl Fn(&Row, &Brief) -> bool) -> Vec<StepId> {
        let mut found: Vec<(u32, usize)> = self
            .rows
            .iter()
            .enumerate()
            .filter(|(_, row)| row.result.as_ref().is_some_and(|result| wanted(row, result)))
            .map(|(index, row)| (row.head.rank, index))
            .collect();
        found.sort_unstable();
        found.into_iter().map(|(_, index)| StepId::at(index)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::{Stream, attempt, counts, eventful, exit_one};
    use super::*;

    #[test]
    fn steps_are_counted_once_and_by_what_they_mean() {
        let summary = eventful().summary();
        let counts = counts(&summary);
        let of = |name: &str| counts.get(name).copied().unwrap_or(0);
        assert_eq!([of("Passed"), of("Warned"), of("Failed"), of("ErroredAdvisory")], [3, 1, 1, 1]);
        assert_eq!([of("Blocked"), of("Skipped"), of("Filtered")], [2, 1, 1]);
        assert_eq!((summary.total(), summary.done()), (9, 9));
        assert_eq!((summary.running.len(), summary.serving), (0, 0));
    }

    #[test]
    fn a_service_counts_as_serving_only_while_it_serves() {
        let mut sample = Stream::open(&["app"]);
        let app = sample.id("app");
        sample.start("app", 1).push(EventKind::Serving { step: app });
        assert_eq!((sample.summary().running.len(), sample.summary().serving), (0, 1));
        sample.push(EventKind::Stopping { step: app });
        assert_eq!((sample.summary().running.len(), sample.summary().serving), (1, 0));
        sample.end("app", &[], attempt(State::Pass, None, 1));
        assert_eq!((sample.summary().running.len(), sample.summary().serving), (0, 0));
    }

    #[test]
    fn blame_goes_to_the_root_also_in_a_long_chain_and_never_hangs_in_a_ring() {
        let names: Vec<String> = (0..5_000).map(|n| format!("s{n}")).collect();
        let refs: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut sample = Stream::open(&refs);
        sample.start("s4999", 1).end("s4999", &[], exit_one(1));
        for n in (0..4_999).rev() {
            sample.unrun(&names[n], State::Skipped, Cause::NeedSkipped(names[n + 1].clone()));
        }
        let roots = sample.summary().roots();
        assert_eq!(roots[4_999], None);
        assert!(roots[..4_999].iter().all(|root| *root == Some(StepId(4_999))));

        let mut ring = Stream::open(&["a", "b"]);
        ring.unrun("a", State::Skipped, Cause::NeedFailed("b".into()));
        ring.unrun("b", State::Skipped, Cause::NeedFailed("a".into()));
        assert_eq!(ring.summary().roots(), [None, None]);
    }

    #[test]
    fn events_about_unknown_steps_change_nothing() {
        let mut sample = Stream::open(&["a"]);
        let before = sample.summary();
        let step = StepId(9);
        sample.push(EventKind::Retry { step, attempt: 2, after_ns: 0 });
        sample.push(EventKind::Commit { step, result: Box::new(StepResult::unrun(State::NotRun, Cause::Interrupted)) });
        sample.push(EventKind::Serving { step });
        let after = sample.summary();
        assert_eq!((before.done(), before.total(), before.serving), (after.done(), after.total(), after.serving));
    }
}
