//! One attempt of a step: looks, samples, judges, takes in what it made. Decides nothing about other steps.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::act::slots::Slot;
use crate::act::{self, ActError, Held, Lent, Observation, Request, Stop};
use crate::action::Action;
use crate::criteria::Criterion;
use crate::event::EventKind;
use crate::facts::{Facts, Value};
use crate::ids::StepId;
use crate::judge::{self, Judged, Next, Sampler};
use crate::outcome::{AttemptResult, Cause, CriterionResult, Exit, FileDigest, Note, OutputDigest, State};
use crate::plan::{Step, template};

use super::made;
use super::prepare::{self, Ready};
use super::reuse::{self, Choice};
use super::shared::Shared;
use super::world::Known;

/// What an attempt took in and made.
#[derive(Clone, Debug, Default)]
pub(super) struct Given {
    pub(super) identity: Option<(String, String)>,
    pub(super) inputs: Vec<FileDigest>,
    pub(super) outputs: Vec<OutputDigest>,
    pub(super) values: BTreeMap<String, String>,
}

/// How an attempt came out.
pub(super) struct Attempted {
    pub(super) step: StepId,
    pub(super) attempt: u32,
    /// Its `when` does not hold: skipped, nothing was done.
    pub(super) skip: Option<Cause>,
    pub(super) result: AttemptResult,
    pub(super) given: Given,
    pub(super) held: Option<Box<dyn Held>>,
    pub(super) allowed_empty: bool,
    /// Nothing was done: this earlier result stands for a new one.
    pub(super) reused: Option<Box<Known>>,
}

/// Everything that accumulates while an attempt goes on.
struct Course {
    started: Instant,
    facts: Facts,
    exit: Option<Exit>,
    samples: u32,
    output_bytes: u64,
    notes: Vec<Note>,
    spools: Vec<FileDigest>,
    held: Option<Box<dyn Held>>,
}

/// What becomes of an attempt, found out without starting anything.
pub(super) enum Begun {
    /// This earlier result stands for a new one.
    Reuse(Box<Known>),
    /// It is executed.
    Execute(Box<Ready>),
    /// Its `when` does not hold.
    Skip(Cause),
    /// It can't be executed.
    Fault(Cause, String),
}

/// Finds out what becomes of an attempt.
pub(super) fn begin(shared: &Shared<'_>, id: StepId, attempt: u32) -> Begun {
    match conditions(shared, shared.plan.step(id)) {
        Ok(None) => {}
        Ok(Some(cause)) => return Begun::Skip(cause),
        Err(detail) => return Begun::Fault(Cause::ActionError, detail),
    }
    match prepare::prepare(shared, id) {
        Ok(ready) => match reuse::choose(shared, id, attempt, &ready) {
            Choice::Reuse(known) => Begun::Reuse(known),
            Choice::Execute => Begun::Execute(Box::new(ready)),
            Choice::TooLate(detail) => Begun::Fault(Cause::InputChanged, detail),
        },
        Err(fault) => Begun::Fault(fault.cause, fault.detail),
    }
}

/// One attempt; `begun` is what was found out already and when that began.
pub(super) async fn run(
    shared: Rc<Shared<'_>>,
    id: StepId,
    attempt: u32,
    stop: watch::Receiver<Stop>,
    begun: Option<(Instant, Begun)>,
) -> Attempted {
    let step = shared.plan.step(id);
    let (started, begun) = begun.unwrap_or_else(|| (Instant::now(), begin(&shared, id, attempt)));
    let mut course = Course {
        started,
        facts: Facts::default(),
        exit: None,
        samples: 0,
        output_bytes: 0,
        notes: Vec::new(),
        spools: Vec::new(),
        held: None,
    };
    let mut given = Given::default();
    let mut skip = None;
    let mut reused = None;
    let mut judged = match begun {
        Begun::Reuse(known) => {
            let state = known.result.state;
            reused = Some(known);
            unlooked(state, None)
        }
        Begun::Execute(ready) => attend(&shared, id, attempt, *ready, &mut course, &mut given, stop).await,
        Begun::Skip(cause) => {
            skip = Some(cause);
            unlooked(State::Skipped, skip.clone())
        }
        Begun::Fault(cause, detail) => judge_error(&shared, step, &cause, &detail, &course),
    };
    if judged.state.is_failure() && judged.cause.is_none() {
        judged.cause = Some(Cause::Criteria);
    }
    if let (Some(Cause::Criteria), Some(Exit::Signal(name))) = (&judged.cause, &course.exit) {
        judged.detail = Some(format!("ended by {name}"));
        judged.cause = Some(Cause::Signal(name.clone()));
    }
    let empty = course.facts.inspected.count == 0;
    let result = AttemptResult {
        state: judged.state,
        cause: judged.cause,
        detail: judged.detail,
        exit: course.exit,
        criteria: judged.criteria,
        facts: course.facts,
        samples: course.samples,
        duration_ns: u64::try_from(course.started.elapsed().as_nanos()).unwrap_or(u64::MAX),
        output_bytes: course.output_bytes,
        notes: course.notes,
        spools: course.spools,
    };
    let allowed_empty = empty && step.allow_empty.is_some() && result.state.is_success();
    Attempted { step: id, attempt, skip, result, given, held: course.held, allowed_empty, reused }
}

fn unlooked(state: State, cause: Option<Cause>) -> Judged {
    Judged { state, cause, detail: None, criteria: Vec::new(), may_recover: false }
}

/// Whether the step's `when` holds: `Some` cause if not, an error if it can't be told.
pub(super) fn conditions(shared: &Shared<'_>, step: &Step) -> Result<Option<Cause>, String> {
    let steps = shared.named_by(step.when.iter());
    let nothing = Facts::default();
    for criterion in &step.when {
        let evidence = shared.evidence(&nothing, &[], &steps, None);
        let result = crate::criteria::evaluate(criterion, &evidence, shared.locate(criterion));
        match result.state {
            State::Pass => {}
            State::Fail => return Ok(Some(Cause::When(criterion.text.clone()))),
            _ => {
                let note = result.note.unwrap_or_else(|| "it can't be decided".to_owned());
                return Err(format!("`when = {}`: {note}", criterion.text));
            }
        }
    }
    Ok(None)
}

fn judge_error(shared: &Shared<'_>, step: &Step, cause: &Cause, detail: &str, course: &Course) -> Judged {
    let steps = shared.named_by(step.criteria.iter());
    let evidence = shared.evidence(&course.facts, &[], &steps, Some(step));
    judge::look(&step.criteria, &evidence, &|c| shared.locate(c), step.allow_empty.as_deref(), Some((cause, detail)))
}

/// Looks until the answer is there, then takes in what was made.
async fn attend(
    shared: &Rc<Shared<'_>>,
    id: StepId,
    attempt: u32,
    mut ready: Ready,
    course: &mut Course,
    given: &mut Given,
    stop: watch::Receiver<Stop>,
) -> Judged {
    let step = shared.plan.step(id);
    given.identity = Some((std::mem::take(&mut ready.identity), std::mem::take(&mut ready.preimage)));
    given.inputs.clone_from(&ready.inputs);
    if *stop.borrow() != Stop::Run {
        return judge_error(shared, step, &Cause::Interrupted, "interrupted before it began", course);
    }
    let prepared = slot(shared, id, attempt, &ready)
        .and_then(|slot| Ok((request(shared, id, attempt, &mut ready, course.started, slot.as_deref())?, slot)));
    let (request, slot) = match prepared {
        Ok(prepared) => prepared,
        Err(error) => return judge_error(shared, step, &Cause::ActionError, &error, course),
    };
    let lent = Lent { slot, ..lend(shared, id, stop, &ready) };
    let mut judged = look_until_decided(shared, id, &request, &ready, &lent, course).await;
    if course.held.is_none() && (lent.slot.is_none() || course.output_bytes > 0) {
        course.spools = made::spools(&request.spool, attempt).await;
    }
    if let Some(waivers) = shared.options.waivers.get(&step.name)
        && !matches!(course.exit, Some(Exit::Signal(_)))
    {
        judge::waive(&mut judged, waivers);
    }
    let named = match &lent.slot {
        Some(slot) => slot.named_size(),
        None => std::fs::metadata(&request.named).map_or(0, |meta| meta.len()),
    };
    let judged = match judged.state.is_success() {
        true => take_in(shared, id, (&request, named), &ready, judged, given).await,
        false => judged,
    };
    let tidied = made::tidy_named(&request, named, shared.world.mask.as_deref());
    let tidied = tidied.map_err(|error| format!("can't clear the output file: {error}")).and_then(|is_empty| {
        let kept = if is_empty { Ok(()) } else { made::keep_named(&request) };
        kept.map_err(|error| format!("can't keep the output file: {}", shared.lose(&error)))
    });
    match tidied {
        Ok(()) => judged,
        Err(detail) => judge_error(shared, step, &Cause::ActionError, &detail, course),
    }
}

async fn take_in(
    shared: &Shared<'_>,
    id: StepId,
    request: (&Request, u64),
    ready: &Ready,
    judged: Judged,
    given: &mut Given,
) -> Judged {
    match made::take_in(shared, id, request, ready).await {
        Ok(made) => {
            given.outputs = made.outputs;
            given.values = made.values;
            judged
        }
        Err(fault) => {
            Judged { detail: Some(fault.detail), criteria: judged.criteria, ..unlooked(State::Fail, Some(fault.cause)) }
        }
    }
}

/// Files for what the process of a `run` writes, which most write nothing to. A step that looks several times makes its own,
/// fresh for each look.
fn slot(shared: &Shared<'_>, id: StepId, attempt: u32, ready: &Ready) -> Result<Option<Rc<Slot>>, String> {
    let step = shared.plan.step(id);
    if !matches!(ready.action, Action::Run(_)) || step.sample.is_some() {
        return Ok(None);
    }
    let folder = shared.keeper.place(shared.graph.rank(id), &step.name);
    let paths = ["stdout", "stderr"].map(|stream| folder.join(act::spool_name(stream, attempt)));
    let taken = shared.slots().and_then(|slots| slots.take(paths));
    taken.map(|slot| Some(Rc::new(slot))).map_err(|error| shared.lose(&error))
}

fn request(
    shared: &Shared<'_>,
    id: StepId,
    attempt: u32,
    ready: &mut Ready,
    started: Instant,
    slot: Option<&Slot>,
) -> Result<Request, String> {
    let step = shared.plan.step(id);
    let rank = shared.graph.rank(id);
    // Only a process writes anything there.
    let writes = matches!(
        ready.action,
        Action::Run(_) | Action::Service(_) | Action::Git(_) | Action::Promql(_) | Action::Alert(_)
    );
    let spool = match slot {
        Some(slot) => Ok(slot.place()),
        None if writes => shared.keeper.spool(rank, &step.name),
        None => Ok(PathBuf::new()),
    };
    let spool = spool.map_err(|e| format!("can't make the step's folder: {}", shared.lose(&e)))?;
    let mark = format!("{}/{rank}/{attempt}", shared.options.run);
    let mut request = Request {
        step: step.name.clone(),
        action: ready.action.clone(),
        workspace: shared.plan.workspace.clone().into_std_path_buf(),
        cwd: std::mem::take(&mut ready.cwd),
        env: std::mem::take(&mut ready.env),
        stdin: std::mem::take(&mut ready.stdin),
        spool,
        named: PathBuf::new(),
        attempt,
        deadline: step.timeout.map(|timeout| started + timeout),
        timeout: step.timeout,
        grace: shared.options.grace,
        wants: shared.wants(id),
        values: std::mem::take(&mut ready.values),
        mark,
    };
    if writes {
        request.named = match slot {
            Some(slot) => slot.named(),
            None => {
                let named = request.spool_file("outputs");
                let told = |e: io::Error| format!("can't make `{}`: {}", named.display(), shared.lose(&e));
                std::fs::write(&named, b"").map_err(told)?;
                named
            }
        };
        request.env.reserve(2);
        request.env.push(("RUNPLAN_OUTPUT".into(), request.named.clone().into()));
        request.env.push(("RUNPLAN_ATTEMPT".into(), attempt.to_string().into()));
    }
    Ok(request)
}

fn lend(shared: &Rc<Shared<'_>>, id: StepId, stop: watch::Receiver<Stop>, ready: &Ready) -> Lent {
    let events = shared.events.clone();
    let context = ready.context.clone();
    Lent {
        stop,
        spawned: Arc::new(move |pid| drop(events.send(EventKind::Spawned { step: id, pid }))),
        mask: shared.world.mask.clone(),
        lost: shared.lost.clone(),
        render: Arc::new(move |text| template::render_file(text, &context).map_err(|error| error.to_string())),
        slot: None,
        now: shared.world.now.clone(),
    }
}

async fn look_until_decided(
    shared: &Rc<Shared<'_>>,
    id: StepId,
    request: &Request,
    ready: &Ready,
    lent: &Lent,
    course: &mut Course,
) -> Judged {
    let step = shared.plan.step(id);
    let steps = shared.named_by(step.criteria.iter());
    let mut sampler = step.sample.clone().map(Sampler::new);
    if let Some(sample) = &step.sample
        && !pause(sample.delay, request, lent).await
    {
        return stopped(shared, step, request, course);
    }
    let first = Instant::now();
    let (mut seen, mut seen_hiding): (Vec<Facts>, Vec<Facts>) = Default::default();
    loop {
        let looked = look_once(shared, request, ready, lent, course).await;
        let error = looked.as_ref().err().map(|e| (e.cause.clone(), e.detail.clone()));
        let all = if sampler.is_none() {
            seen_hiding.clear();
            std::slice::from_ref(&course.facts)
        } else {
            seen.push(course.facts.clone());
            &seen
        };
        let evidence = shared.evidence(&course.facts, all, &steps, Some(step));
        let (locate, allow_empty) = (|c: &Criterion| shared.locate(c), step.allow_empty.as_deref());
        let error = error.as_ref().map(|(cause, detail)| (cause, detail.as_str()));
        let mut judged = match hiding(shared, &course.facts, &mut seen_hiding) {
            None => judge::look(&step.criteria, &evidence, &locate, allow_empty, error),
            Some(hidden) => {
                let told = shared.evidence(&hidden, &seen_hiding, &steps, Some(step));
                let hide =
                    |text: &str| shared.world.mask.as_ref().map_or_else(|| text.to_owned(), |mask| mask.text(text));
                let both = (&evidence, &told);
                let judged = judge::look_hiding(&step.criteria, both, &hide, &locate, allow_empty, error);
                // From here on they are recorded, shown and named by other steps.
                course.facts = hidden;
                judged
            }
        };
        if matches!(request.action, Action::Signoff(_)) {
            judge::wait_for_people(&mut judged, &course.facts);
        }
        course.samples += 1;
        let Some(sampler) = &mut sampler else { return judged };
        shared.tell(EventKind::Sample {
            step: id,
            attempt: request.attempt,
            sample: course.samples,
            state: judged.state,
            criteria: judged.criteria.clone(),
            facts: course.facts.clone(),
            detail: judged.detail.clone(),
        });
        if matches!(judged.cause, Some(Cause::Interrupted | Cause::Timeout | Cause::Rejected)) {
            return judged;
        }
        match sampler.take(&judged, first.elapsed()) {
            Next::Done(state, cause, reason) => {
                judged.cause = if state == State::Error { cause.or(judged.cause) } else { cause };
                judged.state = state;
                judged.detail = (state != State::Pass).then_some(reason);
                return judged;
            }
            Next::Wait(every) => {
                if !pause(every, request, lent).await {
                    return stopped(shared, step, request, course);
                }
            }
        }
    }
}

/// What was seen without its secrets, where the plan has some; kept for criteria over all looks.
fn hiding(shared: &Shared<'_>, facts: &Facts, seen: &mut Vec<Facts>) -> Option<Facts> {
    let mask = shared.world.mask.as_ref()?;
    let mut hidden = facts.clone();
    hidden.values.values_mut().for_each(|value| masked_value(value, mask));
    seen.push(hidden.clone());
    Some(hidden)
}

/// Waits; `false` if the attempt has to end meanwhile.
async fn pause(time: Duration, request: &Request, lent: &Lent) -> bool {
    if time.is_zero() {
        return *lent.stop.borrow() == Stop::Run;
    }
    let mut stop = lent.stop.clone();
    let until = Instant::now() + time;
    let wake = request.deadline.map_or(until, |deadline| deadline.min(until));
    tokio::select! {
        asked = stop.wait_for(|stop| *stop != Stop::Run) => asked.is_err(),
        () = tokio::time::sleep_until(wake) => request.deadline.is_none_or(|deadline| until < deadline),
    }
}

/// The attempt was ended between two looks.
fn stopped(shared: &Shared<'_>, step: &Step, request: &Request, course: &Course) -> Judged {
    if request.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
        let time = step.timeout.unwrap_or_default();
        let detail = format!("not decided within {time:?} after {} looks", course.samples);
        return judge_error(shared, step, &Cause::Timeout, &detail, course);
    }
    judge_error(shared, step, &Cause::Interrupted, "interrupted between two looks", course)
}

/// One look of the action and, after a `run`, of its report.
async fn look_once(
    shared: &Shared<'_>,
    request: &Request,
    ready: &Ready,
    lent: &Lent,
    course: &mut Course,
) -> Result<(), ActError> {
    let before = ready.report.as_ref().map(|spec| made::stamp(&request.workspace.join(spec.path.as_str())));
    match look(shared, request, lent).await {
        Ok(observation) => take(course, observation),
        Err(error) => {
            course.facts = error.facts.clone();
            course.exit = error.exit.clone().or(course.exit.take());
            course.output_bytes = course.output_bytes.max(error.output_bytes);
            course.notes.extend(error.notes.iter().cloned());
            return Err(error);
        }
    }
    made::add_artifact_facts(shared, request, &mut course.facts);
    let (Some(spec), Some(before)) = (&ready.report, before) else { return Ok(()) };
    let path = request.workspace.join(spec.path.as_str());
    let failed = !matches!(course.exit, None | Some(Exit::Code(0)));
    let told = if before.is_some() && made::stamp(&path) == before {
        let text = format!("`{}` is from before: the command did not write it", spec.path.as_str());
        Err(ActError::new(Cause::ActionError, text))
    } else {
        let report = Request { action: Action::Report(Box::new(spec.clone())), ..request.clone() };
        look(shared, &report, lent).await
    };
    match told {
        Ok(mut report) => {
            report.facts.values.extend(std::mem::take(&mut course.facts.values));
            course.facts = report.facts;
            course.notes.extend(report.notes);
            Ok(())
        }
        // The command itself failed: its exit code is the story, not the report that it did not write.
        Err(_) if failed => Ok(()),
        Err(error) => Err(error),
    }
}

async fn look(shared: &Shared<'_>, request: &Request, lent: &Lent) -> Result<Observation, ActError> {
    let kind = request.action.kind();
    match shared.world.acts.get(&kind) {
        Some(act) => act.look(request, lent).await,
        None => Err(ActError::new(Cause::ActionError, format!("this build has no `{}` action", kind.word()))),
    }
}

fn take(course: &mut Course, observation: Observation) {
    course.facts = observation.facts;
    course.exit = observation.exit;
    course.output_bytes = course.output_bytes.max(observation.output_bytes);
    course.notes.extend(observation.notes);
    course.held = observation.held;
}

/// Replaces secrets in everything an attempt shows.
pub(super) fn masked(result: &mut AttemptResult, mask: &crate::mask::Mask) {
    let hide = |text: &mut String| *text = mask.text(text);
    result.detail.iter_mut().for_each(hide);
    masked_criteria(&mut result.criteria, mask);
    result.notes.iter_mut().for_each(|note| hide(&mut note.text));
    result.facts.values.values_mut().for_each(|value| masked_value(value, mask));
}

pub(super) fn masked_criteria(criteria: &mut [CriterionResult], mask: &crate::mask::Mask) {
    let hide = |text: &mut String| *text = mask.text(text);
    for criterion in criteria {
        hide(&mut criterion.actual);
        hide(&mut criterion.expected);
        let observed = [&mut criterion.against, &mut criterion.margin, &mut criterion.note];
        observed.into_iter().flatten().for_each(hide);
    }
}

pub(super) fn masked_value(value: &mut Value, mask: &crate::mask::Mask) {
    match value {
        Value::Text(text) => *text = mask.text(text),
        Value::List(items) => items.iter_mut().for_each(|item| masked_value(item, mask)),
        Value::Map(map) => {
            map.values_mut().for_each(|item| masked_value(item, mask));
            if map.keys().any(|name| mask.text(name) != *name) {
                let mut all = BTreeMap::new();
                for (name, item) in std::mem::take(map) {
                    let mut name = mask.text(&name);
                    // Names that differed in their secret only.
                    while all.contains_key(&name) {
                        name.push('\'');
                    }
                    all.insert(name, item);
                }
                *map = all;
            }
        }
        Value::Json(json) => {
            let text = mask.text(&json.to_string());
            *json = serde_json::from_str(&text).unwrap_or(serde_json::Value::String(text));
        }
        Value::Null | Value::Bool(_) | Value::Num(..) => {}
    }
}
