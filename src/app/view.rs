//! Views of a plan that start nothing: dry run, list, explain, check; and what the reporters ask about a run.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use crate::action::{Action, Command as Argv, GitSpec, HttpSpec, MakeTag, NetLook, Probe, Query, Text};
use crate::cli::{Format, PlanArgs, Run};
use crate::criteria::{self, Criterion, Evidence, Root};
use crate::engine::{Options, heads};
use crate::exit::Exit;
use crate::facts::Facts;
use crate::graph::{self, Graph};
use crate::ids::StepId;
use crate::outcome::State;
use crate::plan::{Need, Plan, RunWhen, Step};
use crate::record::store::{self, RunDir, Store};
use crate::report::dryrun::{DryRun, DryStep, Marker};
use crate::report::explain::{Explain, Rule};
use crate::report::listing::{Item, Listing};
use crate::report::summary::{Phase, Row, Summary};
use crate::report::terminal::{Stream, Terminal};
use crate::report::{self, About, Context, Excerpt, Left, Output, Pace, Tail, Which, format};

use super::load::{self, Ready};
use super::{lock, reuse, run, waited};

/// Bytes read from the end of an output file to show its last lines.
const TAIL_BYTES: u64 = 16 * 1024;
/// Lines shown of them.
const TAIL_LINES: usize = 10;

pub(super) fn check(plan: &PlanArgs, format: Format, terminal: &Terminal) -> Exit {
    if load::tell(plan, format, terminal) { Exit::Done } else { Exit::Usage }
}

pub(super) fn list(args: &PlanArgs, format: Format, terminal: &Terminal) -> Exit {
    let Some(Ready { loaded, .. }) = load::ready(args, terminal) else { return Exit::Usage };
    let plan = &loaded.plan;
    let items: Vec<Item> = plan
        .steps
        .iter()
        .map(|step| Item {
            name: step.name.clone(),
            tags: step.tags.clone(),
            needs: names(plan, &step.needs),
            description: step.title.clone().unwrap_or_else(|| action_line(step)),
        })
        .collect();
    let text = match format {
        Format::Human => report::listing::render(&Listing { items }, terminal.look(Stream::Out)),
        Format::Json => {
            let steps: Vec<_> = items
                .iter()
                .zip(&plan.steps)
                .map(|(item, step)| {
                    serde_json::json!({
                        "name": item.name, "title": step.title, "kind": step.action.kind().word(), "tags": item.tags,
                        "needs": item.needs, "after": names(plan, &step.after), "required": step.required,
                        "severity": step.severity.word(), "finally": step.finally,
                        "place": plan.sources.locate(step.place),
                    })
                })
                .collect();
            format!("{:#}\n", serde_json::Value::Array(steps))
        }
    };
    terminal.write(Stream::Out, &text);
    Exit::Done
}

pub(super) fn dry_run(command: &Run, terminal: &Terminal) -> Exit {
    let Some((Ready { loaded, graph }, selected)) = run::asked(command, terminal) else { return Exit::Usage };
    let plan = &loaded.plan;
    if let Some(file) = &command.out {
        let lock = lock::of(plan, &command.selection.words());
        let saved = lock.and_then(|lock| std::fs::write(file, lock::text(&lock)).map_err(|error| error.to_string()));
        if let Err(error) = saved {
            terminal.write(Stream::Err, &format!("runplan: `{file}` can't be written: {error}\n"));
            return Exit::Unrecorded;
        }
    }
    let remembered = remembered(plan);
    let known = heads::estimate(&remembered);
    let mut prospects = prospects(plan, &graph, &selected);
    if !command.force && !command.no_reuse {
        reuse::overlay(&mut prospects, plan, &reuse::foreseen(plan, &graph, &selected, command.log_dir.as_deref()));
    }
    let dry = |id: StepId| {
        let step = plan.step(id);
        let (marker, reason) = &prospects[id.index()];
        DryStep {
            name: &step.name,
            what: step.title.as_deref().map_or_else(|| action_line(step).into(), Cow::Borrowed),
            marker: *marker,
            reason,
            needs: step.needs.iter().chain(&step.after).map(|need| plan.step(need.step).name.as_str()).collect(),
            estimate: remembered.get(&step.name).copied(),
        }
    };
    let waves = graph.waves(plan);
    let main = |wave: &Vec<StepId>| -> Vec<DryStep<'_>> {
        wave.iter().copied().filter(|id| !plan.step(*id).finally).map(dry).collect()
    };
    let critical = graph.critical_path(&|id| known(&plan.step(id).name));
    let estimate = (!remembered.is_empty()).then(|| critical.iter().map(|id| known(&plan.step(*id).name)).sum());
    let text = report::dryrun::render(
        &DryRun {
            title: plan.title.clone().unwrap_or_else(|| plan.name.clone()),
            path: command.plan.path.clone(),
            waves: waves.iter().map(main).filter(|wave| !wave.is_empty()).collect(),
            finally: graph.order().iter().copied().filter(|id| plan.step(*id).finally).map(dry).collect(),
            critical: critical.iter().map(|id| plan.step(*id).name.as_str()).collect(),
            estimate,
        },
        terminal.look(Stream::Out),
    );
    terminal.write(Stream::Out, &text);
    load::leave((loaded, graph));
    Exit::Done
}

/// Durations remembered in the workspace; read only, and none if there is no store.
pub(super) fn remembered(plan: &Plan) -> BTreeMap<String, Duration> {
    Store::reader(plan.workspace.as_std_path()).map(|store| store.durations(&plan.name)).unwrap_or_default()
}

/// What would happen to each step, as far as it can be told without running anything: a `when` on variables is told,
/// and what stands behind a step that it skips is blocked.
pub(super) fn prospects(plan: &Plan, graph: &Graph, selected: &[bool]) -> Vec<(Marker, String)> {
    let mut all = vec![(Marker::Run, String::new()); plan.steps.len()];
    for &id in graph.order() {
        let step = plan.step(id);
        let blocker = step.needs.iter().map(|need| need.step).find(|need| {
            selected[need.index()] && all[need.index()].0 != Marker::Run && step.run_when == RunWhen::Success
        });
        all[id.index()] = match (skipped_by_vars(plan, step), blocker) {
            _ if !selected[id.index()] => (Marker::Skip, "not selected".to_owned()),
            (_, Some(need)) => (Marker::Blocked, format!("needs {}", plan.step(need).name)),
            (Some(text), None) => (Marker::Skip, format!("`when` does not hold: {text}")),
            (None, None) => outlook(step, true),
        };
    }
    all
}

/// The first condition of a step that its variables alone decide, if it does not hold.
fn skipped_by_vars(plan: &Plan, step: &Step) -> Option<String> {
    if step.when.is_empty() {
        return None;
    }
    let only_vars = |c: &&Criterion| c.roots().iter().all(|root| matches!(root, Root::Var(_)));
    let vars = plan.vars.iter().map(|(name, var)| (name.clone(), var.value.clone())).collect();
    let (facts, steps, env) = (Facts::default(), BTreeMap::new(), BTreeMap::new());
    let (ratchet, baseline) = (None, None);
    let evidence = Evidence {
        facts: &facts,
        samples: &[],
        steps: &steps,
        vars: &vars,
        env: &env,
        ratchet,
        baseline,
        allow_no_baseline: None,
        now: 0,
    };
    let fails = |c: &&Criterion| criteria::evaluate(c, &evidence, String::new()).state == State::Fail;
    step.when.iter().filter(only_vars).find(fails).map(|c| c.text.clone())
}

/// What would happen to a step, as far as it can be told without running anything.
fn outlook(step: &Step, selected: bool) -> (Marker, String) {
    if !selected {
        return (Marker::Skip, "not selected".to_owned());
    }
    let mut reasons = Vec::new();
    if !step.when.is_empty() {
        let texts: Vec<&str> = step.when.iter().map(|c| c.text.as_str()).collect();
        reasons.push(format!("if {}", texts.join(" and ")));
    }
    match step.run_when {
        RunWhen::Success => {}
        RunWhen::Failure => reasons.push("only if something it needs fails".to_owned()),
        RunWhen::Completed => reasons.push("once all it needs ran, whatever came out".to_owned()),
        RunWhen::Always => reasons.push("in any case".to_owned()),
    }
    if !step.required {
        reasons.push("advisory".to_owned());
    }
    (Marker::Run, reasons.join("; "))
}

/// `logs` has `.runplan` instead of the workspace; `run` is looked back at instead of the last one.
pub(super) fn explain(
    args: &PlanArgs,
    wanted: &str,
    (logs, run): (Option<&str>, Option<&str>),
    terminal: &Terminal,
) -> Exit {
    let Some(Ready { loaded, graph }) = load::ready(args, terminal) else { return Exit::Usage };
    let plan = &loaded.plan;
    let selection = graph::Selection { steps: vec![wanted.to_owned()], ..graph::Selection::default() };
    if let Err(faults) = graph::select(plan, &graph, &selection) {
        faults.iter().for_each(|fault| terminal.write(Stream::Err, &format!("runplan: {fault}\n")));
        return Exit::Usage;
    }
    let found = plan.ids().filter(|id| plan.step(*id).name == wanted || plan.step(*id).base() == wanted);
    let mut prospects: Vec<_> = plan.steps.iter().map(|step| outlook(step, true)).collect();
    let all = vec![true; plan.steps.len()];
    reuse::overlay(&mut prospects, plan, &reuse::foreseen(plan, &graph, &all, logs));
    let last = match waited::last(plan, logs, run) {
        Ok(last) => last,
        Err(fault) => return super::log::refused(terminal, &fault),
    };
    let text = |id: StepId| {
        let mut explained = explained(plan, &graph, id, prospects[id.index()].clone());
        if let Some(last) = &last {
            (explained.last, explained.waited) = last.of(plan, &explained.name);
        }
        report::explain::render(&explained, terminal.look(Stream::Out))
    };
    let texts: Vec<String> = found.map(text).collect();
    terminal.write(Stream::Out, &texts.join("\n"));
    Exit::Done
}

pub(super) fn explained(plan: &Plan, graph: &Graph, id: StepId, (marker, reason): (Marker, String)) -> Explain {
    let step = plan.step(id);
    let noted = |need: &Need| {
        let earlier = plan.step(need.step);
        if earlier.required { earlier.name.clone() } else { format!("{} (advisory)", earlier.name) }
    };
    let mut dependants: Vec<(u32, String)> =
        graph.next(id).map(|(next, _)| (graph.rank(next), plan.step(next).name.clone())).collect();
    dependants.sort();
    dependants.dedup();
    Explain {
        name: step.name.clone(),
        title: step.title.clone(),
        docs: step.docs.clone(),
        place: plan.sources.locate(step.place),
        kind: step.action.kind().word().to_owned(),
        action: action_lines(step),
        rules: step.criteria.iter().chain(&step.when).map(|c| rule(plan, step, c)).collect(),
        policy: policy(plan, step),
        needs: step.needs.iter().map(noted).collect(),
        after: names(plan, &step.after),
        dependants: dependants.into_iter().map(|(_, name)| name).collect(),
        pools: step
            .pools
            .iter()
            .map(|p| &plan.pools[p.0 as usize])
            .map(|p| format!("{} ({})", p.name, p.capacity))
            .collect(),
        tags: step.tags.clone(),
        inputs: step.inputs.iter().map(|text| text.src.clone()).collect(),
        outputs: outputs(step),
        marker,
        reason,
        ..Explain::default()
    }
}

fn rule(plan: &Plan, step: &Step, criterion: &Criterion) -> Rule {
    let origin = if criterion.implied {
        match step.action {
            Action::Run(_) => "a `run` must exit with 0 unless a criterion names `exit`",
            Action::Http(_) => "an `http` must answer 2xx unless a criterion names `status`",
            Action::File(_) => "a `file` must exist unless a criterion says otherwise",
            Action::Alert(_) => {
                "a drill must reach each receiver, firing and resolved, unless a criterion names the fact"
            }
            _ => "implied by the action",
        }
        .to_owned()
    } else {
        plan.sources.locate(criterion.place)
    };
    Rule { tier: criterion.tier.word().to_owned(), text: criterion.text.clone(), origin, implied: criterion.implied }
}

fn outputs(step: &Step) -> Vec<String> {
    let files = step.outputs.iter().map(|output| {
        let archived = if output.artifact { ", archived" } else { "" };
        format!("{} ({}{archived})", output.path.src, output.class.word())
    });
    files.chain(step.values.iter().map(|name| format!("{name} (value)"))).collect()
}

fn policy(plan: &Plan, step: &Step) -> Vec<(String, String)> {
    let mut policy = vec![(
        "severity".to_owned(),
        format!("{}, weight {}", step.severity.word(), format::permille(step.weight_permille())),
    )];
    let mut put = |key: &str, text: String| policy.push((key.to_owned(), text));
    put(
        "required",
        if step.required { "yes: a failure blocks GO" } else { "no: shown and counted as risk" }.to_owned(),
    );
    put("on_failure", step.on_failure.word().to_owned());
    put("run_when", step.run_when.word().to_owned());
    if let Some(timeout) = step.timeout {
        put("timeout", format::duration(timeout));
    }
    if step.retry.limit > 0 {
        let pause = format::duration(step.retry.backoff);
        put(
            "retry",
            format!("up to {} more, first after {pause}", format::count(step.retry.limit as usize, "attempt")),
        );
    }
    if let Some(sample) = &step.sample {
        let mut text = format!("every {}", format::duration(sample.every));
        if sample.consecutive > 1 {
            text += &format!(", {} in a row must pass", sample.consecutive);
        }
        if let Some(max) = sample.max {
            text += &format!(", at most {}", format::count(max as usize, "look"));
        }
        if let Some(within) = sample.within {
            text += &format!(", within {}", format::duration(within));
        }
        put("sample", text);
    }
    if !step.reuse {
        put("reuse", "no: it is executed in every run".to_owned());
    }
    if let Some(reason) = &step.allow_empty {
        put("allow_empty", reason.clone());
    }
    if let Some(reason) = &step.allow_no_baseline {
        put("allow_no_baseline", reason.clone());
    }
    if step.finally {
        let budget = plan.finally_timeout.map_or_else(|| "10m".to_owned(), format::duration);
        put("finally", format!("runs last, on Ctrl-C too; all `finally` steps together get {budget}"));
    }
    policy
}

fn names(plan: &Plan, needs: &[Need]) -> Vec<String> {
    needs.iter().map(|need| plan.step(need.step).name.clone()).collect()
}

/// What a step does, in one line, as a person would type it.
pub(super) fn action_line(step: &Step) -> String {
    match &step.action {
        Action::Run(spec) => command_line(&spec.command),
        Action::Http(spec) => request_line(spec),
        Action::Render(spec) => format!("{} → {}", spec.template.src, spec.to.src),
        Action::File(spec) => spec.paths.iter().map(|p| p.src.as_str()).collect::<Vec<_>>().join(" "),
        Action::Service(spec) => command_line(&spec.command),
        Action::Value(spec) => spec.values.iter().map(|(n, s)| format!("{n} = {s}")).collect::<Vec<_>>().join(", "),
        Action::Report(spec) => spec.path.src.clone(),
        Action::Git(spec) => git_line(spec),
        Action::Promql(spec) => match &spec.query {
            Query::One(query) => query.src.clone(),
            Query::Pair { bad, total } => format!("{} of {}", bad.src, total.src),
        },
        Action::Load(spec) => format!("{} × {}", spec.total, request_line(&spec.http)),
        Action::Alert(spec) => {
            let by = spec.server.as_ref().unwrap_or(&spec.config);
            format!("alert drill with {}: {}", by.src, spec.receivers.join(", "))
        }
        Action::Net(spec) => match &spec.look {
            NetLook::Tcp(address) => format!("connect to {}", address.src),
            NetLook::Dns(name) => format!("look up {}", name.src),
            NetLook::Tls { address, .. } => format!("connect by TLS to {}", address.src),
        },
        Action::Signoff(spec) => format!("approval by {}", spec.policy.roles.join(", ")),
        Action::Plan(spec) => format!("runplan {}", spec.path.src),
        Action::Checklist(spec) => format!("{}{}", spec.path.src, if spec.tick { ", ticked by evidence" } else { "" }),
    }
}

fn git_line(spec: &GitSpec) -> String {
    let tag = spec.tag.as_ref().map_or("", |tag| &tag.src);
    match &spec.make {
        None if tag.is_empty() => "git".to_owned(),
        None => format!("git tag {tag}"),
        Some(MakeTag { at, push: None, .. }) => format!("git tag {tag} on {}", at.src),
        Some(MakeTag { at, push: Some(remote), .. }) => format!("git tag {tag} on {}, pushed to {remote}", at.src),
    }
}

fn action_lines(step: &Step) -> Vec<String> {
    let prefix = if matches!(step.action, Action::Run(_) | Action::Service(_)) { "$ " } else { "" };
    let mut lines = vec![format!("{prefix}{}", action_line(step))];
    if let Action::Service(spec) = &step.action {
        let probe = match &spec.ready.probe {
            Probe::Http(http) => format!("{} answers 2xx", request_line(http)),
            Probe::Run(command) => format!("`{}` exits with 0", command_line(command)),
            Probe::Log(pattern) => format!("its output matches /{pattern}/"),
            Probe::Tcp(address) => format!("{} accepts a connection", address.src),
            Probe::Started => "it was started".to_owned(),
        };
        lines.push(format!("ready when {probe}, within {}", format::duration(spec.ready.within)));
    }
    if let Some(report) = &step.report {
        lines.push(format!("then reads {}", report.path.src));
    }
    if step.cwd.src != "." {
        lines.push(format!("cwd {}", step.cwd.src));
    }
    lines.extend(step.env.iter().map(|(name, text)| format!("env {name}={}", text.src)));
    lines.extend(step.secrets.iter().map(|name| format!("env {}=[secret]", name.to_uppercase())));
    lines
}

fn command_line(command: &Argv) -> String {
    match command {
        Argv::Shell(text) => text.trim().to_owned(),
        Argv::Argv(argv) => argv.iter().map(|word: &Text| format::shell_word(&word.src)).collect::<Vec<_>>().join(" "),
    }
}

fn request_line(spec: &HttpSpec) -> String {
    let urls: Vec<&str> = spec.urls.iter().map(Text::as_str).collect();
    format!("{} {}", spec.method, urls.join(" "))
}

/// What the reporters may ask about a run.
pub(super) fn context(command: String, ready: &Ready, run: &Rc<RunDir>, options: &Options, output: Output) -> Context {
    let plan = &ready.loaded.plan;
    let (for_excerpt, for_about) = (Arc::clone(plan), Arc::clone(plan));
    let (dir, glance_dir) = (run.path().to_owned(), run.path().to_owned());
    let stands = std::env::current_dir().unwrap_or_default();
    let shown = seen_from(&stands, &dir);
    let known = heads::estimate(&options.durations);
    // What was never measured says nothing about what is left.
    let estimated = !options.durations.is_empty();
    let tails = if estimated { ready.graph.tails(&|id| known(&plan.step(id).name)) } else { Vec::new() };
    let own: Vec<Duration> = plan.steps.iter().filter(|_| estimated).map(|step| known(&step.name)).collect();
    Context {
        repository: Box::new(|path| Some(path.to_owned())),
        token: Box::new(str::to_owned),
        excerpt: Box::new(move |place| excerpt(&for_excerpt, place)),
        tail: Box::new(move |which, stream| tail(&dir, &stands, which, stream)),
        glance: Box::new(move |which| glance(&glance_dir, which)),
        read: reads(run.path()),
        output,
        pace: paces(plan, &ready.graph, &options.durations),
        about: Box::new(move |name| about(&for_about, name)),
        remaining: Box::new(move |summary, now| if estimated { remaining(summary, now, &own, &tails) } else { None }),
        run_dir: shown,
        command,
    }
}

/// The command line that does it again, with the variables that came from outside.
pub(super) fn command_again(command: &Run, plan: &Plan) -> String {
    let mut words = vec!["runplan".to_owned(), format::shell_word(&command.plan.path)];
    for (name, value) in &command.plan.vars {
        words.push(format!("--var {}", format::shell_word(&format!("{name}={value}"))));
    }
    for file in &command.plan.var_files {
        words.push(format!("--var-file {}", format::shell_word(file)));
    }
    // Whoever pastes the line elsewhere does not have this environment.
    for (name, var) in plan.vars.iter().filter(|(_, var)| var.origin.starts_with("RUNPLAN_VAR_")) {
        let text = crate::plan::shown(&var.value);
        let text = serde_json::from_str::<Vec<String>>(&text).map_or(text, |list| list.join(","));
        words.push(format!("--var {}", format::shell_word(&format!("{name}={text}"))));
    }
    if let Some(folder) = &command.log_dir {
        words.push(format!("--log-dir {}", format::shell_word(folder)));
    }
    words.join(" ")
}

fn excerpt(plan: &Plan, place: &str) -> Option<Excerpt> {
    let criteria = plan.steps.iter().flat_map(|step| step.criteria.iter().chain(&step.when));
    let spot = criteria.filter(|c| !c.implied).map(|c| c.place).find(|p| plan.sources.locate(*p) == place);
    let spot = spot.or_else(|| plan.steps.iter().map(|s| s.place).find(|p| plan.sources.locate(*p) == place))?;
    let source = plan.sources.file(spot)?;
    let (line, col) = source.line_col(spot.start as usize);
    let len = plan.sources.text(spot).lines().next().unwrap_or("").chars().count();
    Some(Excerpt { path: source.path.clone(), line, col, text: source.line(line).to_owned(), len })
}

pub(super) fn spool_path(run: &Path, which: Which<'_>, stream: &str) -> PathBuf {
    let name = if which.attempt <= 1 { stream.to_owned() } else { format!("{}.{stream}", which.attempt) };
    run.join("steps").join(store::step_folder(which.rank, which.name)).join(name)
}

/// The end of a file, and whether that is all of it.
fn end_of(path: &Path, most: u64) -> Option<(Vec<u8>, bool)> {
    let mut file = std::fs::File::open(path).ok()?;
    let size = file.metadata().ok()?.len();
    if size == 0 {
        return None;
    }
    file.seek(SeekFrom::Start(size.saturating_sub(most))).ok()?;
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes).ok()?;
    Some((bytes, size <= most))
}

/// A path that works where the person stands.
pub(super) fn seen_from(stands: &Path, path: &Path) -> String {
    path.strip_prefix(stands).unwrap_or(path).display().to_string()
}

pub(super) fn tail(run: &Path, stands: &Path, which: Which<'_>, stream: &str) -> Option<Tail> {
    let path = spool_path(run, which, stream);
    let (bytes, whole) = end_of(&path, TAIL_BYTES)?;
    Some(Tail {
        total_lines: whole.then(|| report::tail::count_lines(&bytes)),
        lines: report::tail::last_lines(&bytes, whole, TAIL_LINES),
        path: seen_from(stands, &path),
    })
}

fn glance(run: &Path, which: Which<'_>) -> Option<Vec<u8>> {
    let newest = ["stdout", "stderr"].into_iter().map(|stream| spool_path(run, which, stream));
    let newest = newest.filter_map(|path| Some((std::fs::metadata(&path).ok()?.modified().ok()?, path))).max()?;
    report::tail::last_line(&end_of(&newest.1, 1024)?.0)
}

fn about(plan: &Plan, name: &str) -> Option<About> {
    let step = plan.step(plan.find(name)?);
    Some(About {
        action: action_lines(step).into_iter().next().unwrap_or_default().trim_start_matches("$ ").to_owned(),
        cwd: (step.cwd.src != ".").then(|| step.cwd.src.clone()),
        tries: step.retry.limit + 1,
    })
}

/// What the steps of a run wrote, from its folder.
pub(super) fn reads(run: &Path) -> report::Reads {
    const MOST: u64 = 32 * 1024;
    let run = run.to_owned();
    Box::new(move |which, stream, offset| {
        let mut file = std::fs::File::open(spool_path(&run, which, stream)).ok()?;
        file.seek(SeekFrom::Start(offset)).ok()?;
        let mut bytes = Vec::new();
        file.take(MOST).read_to_end(&mut bytes).ok()?;
        (!bytes.is_empty()).then_some(bytes)
    })
}

/// How long steps took, may take, and which of them hold up the run. What a service took is the time until it was ready.
fn paces(plan: &Arc<Plan>, graph: &Graph, durations: &BTreeMap<String, Duration>) -> report::Lookup<Pace> {
    let known = heads::estimate(durations);
    let critical =
        if durations.is_empty() { Vec::new() } else { graph.critical_path(&|id| known(&plan.step(id).name)) };
    let critical: BTreeSet<StepId> = critical.into_iter().collect();
    let usual: BTreeMap<StepId, Duration> =
        plan.ids().filter_map(|id| Some((id, *durations.get(&plan.step(id).name)?))).collect();
    let plan = Arc::clone(plan);
    let mut by_name: Vec<StepId> = plan.ids().collect();
    by_name.sort_unstable_by_key(|id| plan.step(*id).name.as_str());
    Box::new(move |name| {
        let at = by_name.binary_search_by_key(&name, |id| plan.step(*id).name.as_str()).ok()?;
        let id = by_name[at];
        let timeout = plan.step(id).timeout;
        Some(Pace { usual: usual.get(&id).copied(), timeout, critical: critical.contains(&id) })
    })
}

/// The longest way to the end from a step that is not over: of one that runs, what it has taken is taken off; where that
/// is more than it took before, it is late.
fn remaining(summary: &Summary, now: u64, own: &[Duration], tails: &[Duration]) -> Option<Left> {
    let left = |(id, row): (usize, &Row)| {
        let (own, tail) = (own[id], tails[id]);
        match row.phase {
            // A ready service stands until what needs it ends, which counts for itself.
            Phase::Serving | Phase::Stopping => Left::default(),
            Phase::Running | Phase::Pausing { .. } => {
                let gone = Duration::from_nanos(now.saturating_sub(row.started));
                let left = tail.saturating_sub(own) + own.saturating_sub(gone);
                Left { left, over: gone.saturating_sub(own) }
            }
            _ => Left { left: tail, over: Duration::ZERO },
        }
    };
    let open = summary.rows.iter().take(tails.len()).enumerate().filter(|(_, row)| row.result.is_none());
    open.map(left).max_by_key(|left| (left.left, left.over))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Event, EventKind, StepHead};
    use crate::outcome::Severity;

    const SECOND: u64 = 1_000_000_000;

    fn events(kinds: Vec<(u64, EventKind)>) -> Summary {
        let mut summary = Summary::default();
        for (seconds, kind) in kinds {
            summary.apply(&Event { at: 0, mono: seconds * SECOND, kind });
        }
        summary
    }

    #[test]
    fn the_critical_path_is_counted_down_and_never_below_nothing() {
        let head = |index: usize| StepHead {
            step: StepId::at(index),
            name: format!("s{index}"),
            title: None,
            rank: u32::try_from(index).unwrap(),
            kind: "run".into(),
            needs: Vec::new(),
            after: Vec::new(),
            required: true,
            severity: Severity::Medium,
            weight_permille: 150,
            finally: false,
            on_failure: "independent".into(),
            volatile: false,
            place: String::new(),
        };
        let open =
            EventKind::Open { plan: Box::default(), settings: Box::default(), steps: (0..4).map(head).collect() };
        let start = |index: usize| EventKind::Start { step: StepId::at(index), attempt: 1 };
        // s0 (10 s) is before s1 (20 s); s2 has 5 s; s3 is a service before s1 that is ready at once, s2 stands alone.
        let seconds = |list: [u64; 4]| list.map(Duration::from_secs).to_vec();
        let (own, tails) = (seconds([10, 20, 5, 0]), seconds([30, 20, 5, 20]));
        let told = |summary: &Summary, now: u64| {
            let left = remaining(summary, now * SECOND, &own, &tails).expect("something is open");
            (left.left.as_secs(), left.over.as_secs())
        };
        let kinds = vec![(0, open), (0, start(0)), (0, start(2)), (0, start(3))];
        let mut summary = events(kinds);
        assert_eq!(told(&summary, 15), (20, 15), "of two that are as long, the later one: s3 takes no time by itself");
        summary.apply(&Event { at: 0, mono: 0, kind: EventKind::Serving { step: StepId::at(3) } });
        assert_eq!([told(&summary, 0), told(&summary, 4), told(&summary, 10)], [(30, 0), (26, 0), (20, 0)]);
        assert_eq!(told(&summary, 17), (20, 7), "a service that serves holds up nothing");
        let done = |index: usize| EventKind::Commit {
            step: StepId::at(index),
            result: Box::new(crate::outcome::StepResult::unrun(State::Skipped, crate::outcome::Cause::Filtered)),
        };
        for kind in [done(0), done(2), start(1)] {
            summary.apply(&Event { at: 0, mono: 20 * SECOND, kind });
        }
        assert_eq!([told(&summary, 25), told(&summary, 41), told(&summary, 99)], [(15, 0), (0, 1), (0, 59)]);
    }
}
