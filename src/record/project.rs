//! Projects the commits of a journal to the record: a pure function, as if the steps had run one by one in plan rank.
//!
//! Under `on_failure = "stop"` the first failure is the one of lowest rank; every later step counts as not run, even
//! where a parallel run had already finished it. Knows no file, no time and no decision rule.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use super::canonical::{self, CanonicalError};
use super::format::{RECORD, SEMANTICS};
use super::portable;
use super::read::{RecordFile, current};
pub use super::recorded::{
    AttemptLine, CriterionLine, EndLine, EnvLine, OutputLine, PlanLine, PolicyLine, RiskLine, RunLine, StepLine,
};
use crate::event::{Event, EventKind, PlanHead, Settings, StepHead};
use crate::ids::StepId;
use crate::outcome::{
    AttemptResult, Cause, CriterionResult, Decision, Exit, OutputDigest, RunStatus, Severity, State, StepResult,
};

/// Why a journal gives no record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProjectError {
    /// It was interrupted: there is a journal and no record.
    Interrupted,
    /// It has no `open` event.
    NotOpened,
    /// Steps without a final result, by name.
    Incomplete(Vec<String>),
    /// Two steps of one rank, or two final results for one step, or one for a step that was not announced.
    Contradiction(String),
    /// A step was stopped although nothing of a lower rank stops the run.
    NotSerial(String),
}

impl fmt::Display for ProjectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Interrupted => f.write_str("the run was interrupted, so it has no record"),
            Self::NotOpened => f.write_str("the journal announces no steps"),
            Self::Incomplete(names) => {
                let shown = names.iter().take(5).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
                let more = names.len().saturating_sub(5);
                write!(f, "no final result of {shown}")?;
                if more > 0 { write!(f, " and {more} more") } else { Ok(()) }
            }
            Self::Contradiction(what) => write!(f, "the journal contradicts itself: {what}"),
            Self::NotSerial(name) => {
                write!(f, "`{name}` was stopped, but no failed step of a lower rank stops the run")
            }
        }
    }
}

impl std::error::Error for ProjectError {}

/// A record without its decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// First line.
    pub run: RunLine,
    /// In plan rank.
    pub steps: Vec<StepLine>,
    /// Ids of `steps`, in the same order.
    ids: Vec<StepId>,
    /// Absolute; must not stand in the bytes.
    workspace: String,
}

/// What the decision rests on, for one step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepView<'a> {
    /// Dense id.
    pub step: StepId,
    /// Name.
    pub name: &'a str,
    /// A failure blocks GO.
    pub required: bool,
    /// In `[finally]`.
    pub finally: bool,
    /// How it ended, as if serial.
    pub state: State,
    /// Why.
    pub cause: Option<&'a Cause>,
    /// For the risk.
    pub severity: Severity,
    /// Weight in thousandths.
    pub weight_permille: u32,
}

/// The record of a journal's events. Only `open` and `commit` count; commits may stand in any order.
///
/// # Errors
/// When the run was interrupted or is not complete, or the journal cannot be that of a correct engine.
pub fn project(events: &[Event]) -> Result<Record, ProjectError> {
    let serial = Serial::of(events)?;
    let steps = (0..serial.ranked.len()).map(|rank| serial.line(rank)).collect();
    let ids = serial.ranked.iter().map(|(head, _)| head.step).collect();
    Ok(Record { run: serial.run, steps, ids, workspace: serial.workspace.to_owned() })
}

/// Whether these are the bytes of the record that a journal's events give; `file` is what was read from them, and `decide`
/// what its lines lead to. Makes the record line by line and holds none of it.
///
/// # Errors
/// As [`project`].
pub fn gives(
    events: &[Event],
    bytes: &[u8],
    file: &RecordFile,
    decide: &dyn Fn(&RunLine, &[StepLine]) -> Decision,
) -> Result<bool, ProjectError> {
    let serial = Serial::of(events)?;
    let mut lines = bytes.split_inclusive(|byte| *byte == b'\n');
    let mut is_next =
        |line: Result<Vec<u8>, CanonicalError>| line.is_ok_and(|line| lines.next() == Some(line.as_slice()));
    if !is_next(tagged("run", &serial.run, serial.workspace)) {
        return Ok(false);
    }
    for rank in 0..serial.ranked.len() {
        if !is_next(tagged("step", &serial.line(rank), serial.workspace)) {
            return Ok(false);
        }
    }
    // Up to here the lines are those of the file, so what follows from them is right to follow.
    let end = Record::end_of(&file.steps, &decide(&file.run, &file.steps));
    Ok(is_next(tagged("end", &end, serial.workspace)) && lines.next().is_none())
}

/// What steps came to, as if they had run one by one in plan rank.
struct Serial<'e> {
    run: RunLine,
    workspace: &'e str,
    ranked: Vec<(&'e StepHead, &'e StepResult)>,
    /// The step that keeps later ranks from being reached.
    stopper: Option<&'e StepHead>,
}

impl<'e> Serial<'e> {
    fn of(events: &'e [Event]) -> Result<Self, ProjectError> {
        let (plan, settings, heads) = opening(events)?;
        let results = commits(current(events), heads)?;
        let mut ranked: Vec<(&StepHead, &StepResult)> = heads.iter().zip(results).collect();
        ranked.sort_by_key(|(head, _)| head.rank);
        if let Some(pair) = ranked.windows(2).find(|pair| pair[0].0.rank == pair[1].0.rank) {
            let text = format!("`{}` and `{}` have one rank", pair[0].0.name, pair[1].0.name);
            return Err(ProjectError::Contradiction(text));
        }
        let stopper = ranked.iter().find(|(head, result)| stops(head, result.state)).map(|(head, _)| *head);
        let serial = Self { run: run_line(plan), workspace: &settings.workspace, ranked, stopper };
        let is_early = |(head, result): &&(&StepHead, &StepResult)| {
            serial.stopped_by(head, result).is_none()
                && !head.finally
                && matches!(result.cause, Some(Cause::Stopped(_)))
        };
        match serial.ranked.iter().find(is_early) {
            Some((head, _)) => Err(ProjectError::NotSerial(head.name.clone())),
            None => Ok(serial),
        }
    }

    fn stopped_by(&self, head: &StepHead, result: &StepResult) -> Option<&'e StepHead> {
        let stopper = self.stopper.filter(|stopper| head.rank > stopper.rank)?;
        is_stopped(head.finally, result.cause.as_ref()).then_some(stopper)
    }

    fn line(&self, rank: usize) -> StepLine {
        let (head, result) = self.ranked[rank];
        match self.stopped_by(head, result) {
            Some(stopper) => unrun_line(head, State::NotRun, Some(Cause::Stopped(stopper.name.clone()))),
            None => step_line(head, result),
        }
    }
}

/// Whether this step's end keeps later ranks from being reached.
pub(super) fn stops(head: &StepHead, state: State) -> bool {
    state.is_failure() && head.required && !head.finally && head.on_failure == "stop"
}

/// Whether a serial run would not have reached a step behind the one that stopped it. What was not selected was not going
/// to be reached anyway.
pub(super) fn is_stopped(finally: bool, cause: Option<&Cause>) -> bool {
    !finally && cause != Some(&Cause::Filtered)
}

pub(super) fn unannounced(step: StepId) -> ProjectError {
    ProjectError::Contradiction(format!("a result of step {}, which was not announced", step.0))
}

pub(super) fn twice(step: StepId) -> ProjectError {
    ProjectError::Contradiction(format!("two results of step {}", step.0))
}

fn opening(events: &[Event]) -> Result<(&PlanHead, &Settings, &[StepHead]), ProjectError> {
    match events.first().map(|event| &event.kind) {
        Some(EventKind::Open { plan, settings, steps }) => Ok((plan, settings, steps)),
        _ => Err(ProjectError::NotOpened),
    }
}

/// The one final result of each step, in the order of `heads`.
fn commits<'a>(events: &'a [Event], heads: &[StepHead]) -> Result<Vec<&'a StepResult>, ProjectError> {
    let mut by_step: BTreeMap<StepId, Option<&StepResult>> = heads.iter().map(|head| (head.step, None)).collect();
    let mut interrupted = false;
    for event in events {
        match &event.kind {
            EventKind::Commit { step, result } => {
                let slot = by_step.get_mut(step).ok_or_else(|| unannounced(*step))?;
                if slot.replace(result).is_some() {
                    return Err(twice(*step));
                }
                interrupted |= result.cause == Some(Cause::Interrupted);
            }
            EventKind::Close { status: RunStatus::Interrupted(_), .. } => interrupted = true,
            _ => {}
        }
    }
    if interrupted {
        return Err(ProjectError::Interrupted);
    }
    let found: Vec<Option<&StepResult>> = heads.iter().map(|head| by_step.get(&head.step).copied().flatten()).collect();
    let missing = |(head, result): (&StepHead, &Option<&StepResult>)| result.is_none().then(|| head.name.clone());
    let missing: Vec<String> = heads.iter().zip(&found).filter_map(missing).collect();
    if missing.is_empty() { Ok(found.into_iter().flatten().collect()) } else { Err(ProjectError::Incomplete(missing)) }
}

impl Record {
    /// What the decision rests on, in plan rank.
    #[must_use]
    pub fn views(&self) -> Vec<StepView<'_>> {
        let pairs = self.steps.iter().zip(&self.ids);
        pairs
            .map(|(line, step)| StepView {
                step: *step,
                name: &line.id,
                required: line.required,
                finally: line.finally,
                state: line.state,
                cause: line.cause.as_ref(),
                severity: line.severity,
                weight_permille: line.weight_permille,
            })
            .collect()
    }

    /// The last line.
    #[must_use]
    pub fn end(&self, decision: &Decision) -> EndLine {
        Self::end_of(&self.steps, decision)
    }

    fn end_of(steps: &[StepLine], decision: &Decision) -> EndLine {
        let first_failure = steps.iter().find(|step| step.state.is_failure()).map(|step| step.id.clone());
        end_line(decision, steps.iter().map(|step| step.state), first_failure)
    }

    /// The bytes of `record.jsonl`; the record's id is their SHA-256. The texts of the decision must not hold
    /// observed values.
    ///
    /// # Errors
    /// When a number in it is beyond 2^53 - 1 (a file of 9 PB).
    pub fn finish(&self, decision: &Decision) -> Result<Vec<u8>, CanonicalError> {
        let mut bytes = self.line("run", &self.run)?;
        for step in &self.steps {
            bytes.append(&mut self.line("step", step)?);
        }
        bytes.append(&mut self.line("end", &self.end(decision))?);
        Ok(bytes)
    }

    fn line(&self, t: &str, line: &impl Serialize) -> Result<Vec<u8>, CanonicalError> {
        tagged(t, line, &self.workspace)
    }
}

/// The bytes of a line.
pub(super) fn tagged(t: &str, line: &impl Serialize, workspace: &str) -> Result<Vec<u8>, CanonicalError> {
    #[derive(Serialize)]
    struct Tagged<'a, L> {
        t: &'a str,
        #[serde(flatten)]
        line: &'a L,
    }
    let mut bytes = canonical::with_word(line, "t", t)?;
    if portable::may_name(&bytes, workspace) {
        bytes = portable::to_bytes(&Tagged { t, line }, workspace)?;
    }
    bytes.push(b'\n');
    Ok(bytes)
}

/// The last line of steps that ended in these states.
pub(super) fn end_line(
    decision: &Decision,
    states: impl Iterator<Item = State>,
    first_failure: Option<String>,
) -> EndLine {
    let all = [
        State::Pass,
        State::Warn,
        State::Fail,
        State::Inconclusive,
        State::Error,
        State::Pending,
        State::Skipped,
        State::NotRun,
    ];
    let mut counts = BTreeMap::from(all.map(|state| (state, 0)));
    states.for_each(|state| *counts.entry(state).or_default() += 1);
    let decision = decision.clone();
    EndLine {
        verdict: decision.verdict,
        risk: decision.risk,
        go: decision.go,
        no_go: decision.no_go,
        terms: decision.terms,
        vetoes: decision.vetoes,
        holds: decision.holds,
        counts,
        first_failure,
        complete: true,
    }
}

pub(super) fn run_line(plan: &PlanHead) -> RunLine {
    let outside = plan.path.starts_with('/') || plan.path.split('/').any(|part| part == "..");
    let path = if outside { plan.path.rsplit('/').next().unwrap_or_default() } else { plan.path.as_str() };
    let risk = |(id, weight): &(String, u32)| RiskLine { id: id.clone(), weight_permille: *weight };
    RunLine {
        schema: RECORD.to_string(),
        record_semantics: SEMANTICS.0,
        plan: PlanLine {
            name: plan.name.clone(),
            path: path.to_owned(),
            sha256: plan.sha256.clone(),
            norm_sha256: plan.norm_sha256.clone(),
        },
        params: plan.vars.clone(),
        select: sorted_set(&plan.select),
        policy: PolicyLine {
            on_failure: plan.on_failure.clone(),
            go: plan.go,
            no_go: plan.no_go,
            signoffs: plan.signoffs.clone(),
        },
        env: EnvLine { pass: sorted_set(&plan.env_pass), set: plan.env_set.clone() },
        secrets: sorted_set(&plan.secrets),
        risks: plan.risks.iter().map(risk).collect(),
        date: plan.date.clone(),
    }
}

fn sorted_set(items: &[String]) -> Vec<String> {
    let mut items = items.to_vec();
    items.sort_unstable();
    items.dedup();
    items
}

pub(super) fn unrun_line(head: &StepHead, state: State, cause: Option<Cause>) -> StepLine {
    StepLine {
        rank: head.rank,
        id: head.name.clone(),
        kind: head.kind.clone(),
        deps: sorted_set(&head.needs),
        after: sorted_set(&head.after),
        required: head.required,
        severity: head.severity,
        weight_permille: head.weight_permille,
        finally: head.finally,
        on_failure: head.on_failure.clone(),
        volatile: head.volatile,
        time_sensitive: false,
        state,
        cause,
        exit: None,
        criteria: Vec::new(),
        inputs: Vec::new(),
        outputs: Vec::new(),
        values: BTreeMap::new(),
        attempts: Vec::new(),
        action: None,
        allowed_empty: None,
    }
}

pub(super) fn step_line(head: &StepHead, result: &StepResult) -> StepLine {
    let line = unrun_line(head, result.state, result.cause.clone());
    let Some(last) = result.attempts.last() else { return line };
    let mut inputs = result.inputs.clone();
    inputs.sort_unstable();
    let mut outputs: Vec<OutputLine> = result.outputs.iter().map(output_line).collect();
    outputs.sort_unstable();
    StepLine {
        time_sensitive: result.attempts.iter().any(|attempt| attempt.cause == Some(Cause::Timeout)),
        exit: exit(head, last),
        criteria: last.criteria.iter().map(criterion_line).collect(),
        inputs,
        outputs,
        values: result.values.clone(),
        attempts: result
            .attempts
            .iter()
            .map(|attempt| AttemptLine { state: attempt.state, cause: attempt.cause.clone() })
            .collect(),
        action: result.action.clone(),
        allowed_empty: result.allowed_empty.clone(),
        ..line
    }
}

/// How a process ended that we ended ourselves depends on how fast it obeys, so it is not part of the record.
fn exit(head: &StepHead, attempt: &AttemptResult) -> Option<Exit> {
    let ours = attempt.cause == Some(Cause::Timeout) || (head.kind == "service" && attempt.cause.is_none());
    if ours { None } else { attempt.exit.clone() }
}

fn criterion_line(criterion: &CriterionResult) -> CriterionLine {
    // The path stands as a person wrote it from where they stood; line and column do not depend on that.
    let mut parts = criterion.place.rsplitn(3, ':');
    let place = match (parts.next(), parts.next(), parts.next()) {
        (Some(col), Some(line), Some(_)) => Some(format!("{line}:{col}")),
        _ => None,
    };
    CriterionLine {
        tier: criterion.tier,
        text: criterion.text.clone(),
        implied: criterion.implied,
        place,
        state: criterion.state,
        expected: criterion.expected.clone(),
        waiver: criterion.waiver.clone(),
    }
}

fn output_line(output: &OutputDigest) -> OutputLine {
    let identity = output.identity();
    OutputLine {
        path: output.file.path.clone(),
        class: output.class,
        artifact: output.artifact,
        size: identity.as_ref().map(|file| file.size),
        x: identity.as_ref().map(|file| file.executable),
        sha256: identity.map(|file| file.sha256),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::sample::{attempt, commit, decision, event, head, open, passed, ran};
    use super::*;
    use crate::digest::sha256_hex;
    use crate::outcome::{Class, FileDigest, Verdict};
    use serde_json::Value as Json;

    fn bytes(events: &[Event]) -> Vec<u8> {
        project(events).unwrap().finish(&decision()).unwrap()
    }

    fn stop_head(id: u32, name: &str) -> StepHead {
        StepHead { on_failure: "stop".into(), ..head(id, name) }
    }

    fn states(events: &[Event]) -> Vec<(String, State, Option<Cause>)> {
        let record = project(events).unwrap();
        record.views().iter().map(|v| (v.name.to_owned(), v.state, v.cause.cloned())).collect()
    }

    #[test]
    fn under_stop_later_ranks_are_not_reached_even_where_they_ran() {
        let mut last = stop_head(3, "tidy");
        last.finally = true;
        let mut chosen = stop_head(4, "unwanted");
        chosen.rank = 2;
        let mut c = stop_head(2, "c");
        c.rank = 4;
        last.rank = 5;
        let heads = vec![stop_head(0, "a"), stop_head(1, "b"), c, last, chosen];
        let events = vec![
            open(heads),
            commit(2, passed()),
            commit(1, ran(State::Fail, Some(Cause::Criteria))),
            commit(0, passed()),
            commit(4, StepResult::unrun(State::Skipped, Cause::Filtered)),
            commit(3, passed()),
        ];
        assert_eq!(
            states(&events),
            [
                ("a".into(), State::Pass, None),
                ("b".into(), State::Fail, Some(Cause::Criteria)),
                ("unwanted".into(), State::Skipped, Some(Cause::Filtered)),
                ("c".into(), State::NotRun, Some(Cause::Stopped("b".into()))),
                ("tidy".into(), State::Pass, None),
            ]
        );
        let record = project(&events).unwrap();
        assert!(record.steps[3].attempts.is_empty() && record.steps[3].action.is_none());
        let end = record.end(&decision());
        assert_eq!(end.first_failure.as_deref(), Some("b"));
        assert_eq!((end.counts[&State::Pass], end.counts[&State::NotRun], end.counts[&State::Error]), (2, 1, 0));
    }

    #[test]
    fn advisory_and_independent_failures_stop_nothing() {
        let advisory = StepHead { required: false, ..stop_head(0, "a") };
        let events = vec![
            open(vec![advisory, head(1, "b"), head(2, "c")]),
            commit(0, ran(State::Error, Some(Cause::NoData))),
            commit(1, ran(State::Fail, Some(Cause::Criteria))),
            commit(2, passed()),
        ];
        let found: Vec<State> = states(&events).into_iter().map(|(_, state, _)| state).collect();
        assert_eq!(found, [State::Error, State::Fail, State::Pass]);
    }

    #[test]
    fn a_resumed_run_is_made_of_its_last_part() {
        let interrupted = commit(1, StepResult::unrun(State::NotRun, Cause::Interrupted));
        let mut events = vec![open(vec![head(0, "a"), head(1, "b")]), commit(0, passed()), interrupted];
        events.push(event(EventKind::Close { status: RunStatus::Interrupted(2), record: None }));
        assert_eq!(project(&events), Err(ProjectError::Interrupted));
        events.push(event(EventKind::Resume { settings: Box::default() }));
        assert!(matches!(project(&events), Err(ProjectError::Incomplete(_))), "each step is committed anew");
        let clean = vec![events[0].clone(), commit(0, passed()), commit(1, passed())];
        events.extend(clean[1..].iter().cloned());
        assert_eq!(bytes(&events), bytes(&clean));
    }

    #[test]
    fn incomplete_and_impossible_journals_give_no_record() {
        let heads = || open(vec![head(0, "a"), head(1, "b")]);
        assert_eq!(project(&[]), Err(ProjectError::NotOpened));
        assert_eq!(project(&[heads(), commit(1, passed())]), Err(ProjectError::Incomplete(vec!["a".into()])));
        let twice = [heads(), commit(1, passed()), commit(1, passed())];
        assert!(matches!(project(&twice), Err(ProjectError::Contradiction(_))));
        assert!(matches!(project(&[heads(), commit(7, passed())]), Err(ProjectError::Contradiction(_))));
        let interrupted = [heads(), commit(0, StepResult::unrun(State::NotRun, Cause::Interrupted))];
        assert_eq!(project(&interrupted), Err(ProjectError::Interrupted));
        let close = event(EventKind::Close { status: RunStatus::Interrupted(2), record: None });
        assert_eq!(project(&[heads(), close]), Err(ProjectError::Interrupted));
        let stopped = StepResult::unrun(State::NotRun, Cause::Stopped("b".into()));
        let early = [open(vec![stop_head(0, "a"), stop_head(1, "b")]), commit(0, stopped), commit(1, passed())];
        assert_eq!(project(&early), Err(ProjectError::NotSerial("a".into())));
        let equal = StepHead { rank: 0, ..head(1, "b") };
        let equal = [open(vec![head(0, "a"), equal]), commit(0, passed()), commit(1, passed())];
        assert!(matches!(project(&equal), Err(ProjectError::Contradiction(_))));
    }

    #[test]
    fn nothing_observed_is_in_the_bytes() {
        let mut service = head(1, "web");
        service.kind = "service".into();
        let mut result = passed();
        result.attempts.push(attempt(State::Fail, Some(Cause::Timeout)));
        result.attempts.push(attempt(State::Pass, None));
        result.outputs.push(OutputDigest {
            file: FileDigest { path: "log".into(), sha256: "5".repeat(64), size: 4_242, executable: false },
            class: Class::Volatile,
            artifact: true,
            normalized: None,
        });
        let text =
            String::from_utf8(bytes(&[open(vec![head(0, "a"), service]), commit(0, result), commit(1, passed())]));
        let text = text.unwrap();
        // Texts and numbers that sample.rs puts only into observed places, and into the settings.
        for observed in ["seen-", "987654321", "4242", "5555", "/home/somebody", "observed-host", "0.0.1-engine", "0.1"]
        {
            assert!(!text.contains(observed), "{observed}");
        }
        assert!(text.contains(r#""set":{"ROOT":"{{ plan.workspace }}/bin"}"#), "{text}");
        assert!(
            text.contains(r#"{"artifact":true,"class":"volatile","path":"log","sha256":null,"size":null,"x":null}"#)
        );
        let lines: Vec<Json> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines[1]["time_sensitive"], true);
        assert_eq!(lines[1]["exit"], serde_json::json!({"code": 0}));
        assert_eq!(lines[1]["criteria"][0]["place"], "12:9");
        assert_eq!(lines[1]["criteria"][0]["expected"], "== 0");
        assert_eq!(lines[2]["exit"], Json::Null);
    }

    #[test]
    fn the_record_is_read_back_and_only_whole() {
        let events = [open(vec![head(0, "a")]), commit(0, passed())];
        let record = project(&events).unwrap();
        let bytes = record.finish(&decision()).unwrap();
        let file = super::super::read::read_record(&bytes).unwrap();
        assert_eq!((file.id.as_str(), &file.steps), (sha256_hex(&bytes).as_str(), &record.steps));
        assert_eq!((file.end.verdict, file.end.complete), (Verdict::Go, true));
        for cut in 0..bytes.len() {
            assert!(super::super::read::read_record(&bytes[..cut]).is_err(), "prefix of {cut} bytes");
        }
        let twice = [bytes.as_slice(), bytes.as_slice()].concat();
        assert!(super::super::read::read_record(&twice).is_err());
        let newer = String::from_utf8(bytes).unwrap().replace("runplan.record/1", "runplan.record/2");
        let error = super::super::read::read_record(newer.as_bytes()).unwrap_err();
        assert!(error.to_string().contains("newer"), "{error}");
    }

    /// One step of a random run: what it would come to if it ran.
    #[derive(Clone, Debug)]
    struct Fate {
        state: State,
        required: bool,
        stop: bool,
        finally: bool,
        filtered: bool,
    }

    fn fate() -> impl Strategy<Value = Fate> {
        let state =
            prop::sample::select(vec![State::Pass, State::Warn, State::Fail, State::Error, State::Inconclusive]);
        (state, any::<bool>(), any::<bool>(), prop::bool::weighted(0.1), prop::bool::weighted(0.1))
            .prop_map(|(state, required, stop, finally, filtered)| Fate { state, required, stop, finally, filtered })
    }

    /// The serial run, written the way a person would do it by hand.
    fn serial(fates: &[Fate]) -> Vec<(State, Option<Cause>)> {
        let mut stopped_by = None;
        let mut out = Vec::new();
        for (rank, fate) in fates.iter().enumerate() {
            if fate.filtered {
                out.push((State::Skipped, Some(Cause::Filtered)));
                continue;
            }
            if let Some(name) = stopped_by.clone().filter(|_| !fate.finally) {
                out.push((State::NotRun, Some(Cause::Stopped(name))));
                continue;
            }
            let good = matches!(fate.state, State::Pass | State::Warn);
            out.push((fate.state, (!good).then_some(Cause::Criteria)));
            if !good && fate.required && fate.stop && !fate.finally {
                stopped_by = Some(format!("s{rank}"));
            }
        }
        out
    }

    /// What a correct parallel engine may commit: steps end in the order of `keys`; once a stopper has ended, a step of
    /// a higher rank may be cancelled or may have been running already.
    fn parallel(fates: &[Fate], keys: &[(u32, bool)]) -> Vec<Event> {
        let mut order: Vec<usize> = (0..fates.len()).collect();
        order.sort_by_key(|&rank| keys[rank]);
        let mut ended_stoppers: Vec<usize> = Vec::new();
        let mut events = Vec::new();
        for rank in order {
            let fate = &fates[rank];
            let good = matches!(fate.state, State::Pass | State::Warn);
            let by = ended_stoppers
                .iter()
                .copied()
                .find(|&stopper| stopper < rank)
                .filter(|_| !fate.finally && keys[rank].1);
            let result = if fate.filtered {
                StepResult::unrun(State::Skipped, Cause::Filtered)
            } else if let Some(by) = by {
                StepResult::unrun(State::NotRun, Cause::Stopped(format!("s{by}")))
            } else {
                if !good && fate.required && fate.stop && !fate.finally {
                    ended_stoppers.push(rank);
                }
                ran(fate.state, (!good).then_some(Cause::Criteria))
            };
            events.push(commit(u32::try_from(rank).unwrap(), result));
        }
        events
    }

    proptest! {
        #[test]
        fn every_parallel_run_gives_the_serial_record(
            fates in prop::collection::vec(fate(), 1..12),
            keys in prop::collection::vec((0_u32..1000, any::<bool>()), 12),
            others in prop::collection::vec((0_u32..1000, any::<bool>()), 12),
        ) {
            let heads: Vec<StepHead> = fates.iter().enumerate().map(|(rank, fate)| {
                let id = u32::try_from(rank).unwrap();
                let mode = if fate.stop { "stop" } else { "independent" };
                let known = head(id, &format!("s{rank}"));
                StepHead { required: fate.required, finally: fate.finally, on_failure: mode.into(), ..known }
            }).collect();
            let run = |keys: &[(u32, bool)], seed: i64| {
                let mut events = vec![open(heads.clone())];
                events.extend(parallel(&fates, keys));
                for (event, tick) in events.iter_mut().zip(0..) {
                    event.at += seed * tick;
                    event.mono += u64::try_from(seed).unwrap();
                }
                events
            };
            let first = run(&keys, 1);
            let found: Vec<_> = states(&first).into_iter().map(|(_, state, cause)| (state, cause)).collect();
            prop_assert_eq!(found, serial(&fates));
            prop_assert_eq!(bytes(&first), bytes(&run(&others, 77)));
        }
    }
}
