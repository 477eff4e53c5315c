//! The normalised plan: what its digest is taken over. Expanded, defaults filled; no places, comments, layout or absolute
//! paths; secrets by name, late texts as written; nothing of the reports that are written about it.

use std::time::Duration;

use serde::Serialize;
use serde_json::{Value as Json, json};

use super::{Plan, Retry, Sampling, SecretSource, Stdin, Step, vars};
use crate::action::{Action, Command, CompareSpec, HttpSpec, OutputSpec, Parse, Probe, ReportSpec, Text};
use crate::criteria::Criterion;
use crate::facts::Value;

/// The normalised plan as JSON. Two plans that mean the same give the same JSON.
#[must_use]
pub fn norm(plan: &Plan) -> Json {
    let mut norm = norm_head(plan);
    norm["steps"] = json!(norm_steps(plan).collect::<Vec<_>>());
    norm
}

/// The normalised plan without its list `steps`.
#[must_use]
pub fn norm_head(plan: &Plan) -> Json {
    let mut pass = plan.env.pass.clone();
    pass.sort();
    let mut secrets: Vec<Json> = plan.secrets.iter().map(|secret| secret_of(&secret.name, &secret.source)).collect();
    secrets.sort_by_key(Json::to_string);
    let pools: serde_json::Map<_, _> =
        plan.pools.iter().map(|pool| (pool.name.clone(), json!(pool.capacity))).collect();
    let vars: serde_json::Map<_, _> =
        plan.vars.iter().map(|(name, var)| (name.clone(), value_of(&var.value))).collect();
    let risks = plan
        .risks
        .iter()
        .map(|risk| json!({ "id": risk.id, "weight": risk.weight_permille, "when": criteria(&risk.when) }));
    let mut norm = json!({
        "format": 1,
        "name": plan.name,
        "title": plan.title,
        "docs": plan.docs,
        "vars": vars,
        "env": { "pass": pass, "set": env(&plan.env.set) },
        "secrets": secrets,
        "ports": plan.ports,
        "pools": pools,
        "decision": { "go": plan.decision.go, "no_go": plan.decision.no_go },
        "risk": risks.collect::<Vec<_>>(),
        "on_failure": plan.on_failure.word(),
        "timeout_finally": duration(plan.finally_timeout),
    });
    if let Some(signoffs) = &plan.signoffs {
        norm["signoffs"] = json!(signoffs);
    }
    if !plan.waivers.is_empty() {
        let mut waivers: Vec<Json> = plan.waivers.iter().map(|waiver| waiver_of(plan, waiver)).collect();
        waivers.sort_by_key(Json::to_string);
        norm["waivers"] = json!(waivers);
    }
    norm
}

fn waiver_of(plan: &Plan, waiver: &super::Waiver) -> Json {
    json!({
        "steps": waiver.steps.iter().map(|id| plan.step(*id).name.as_str()).collect::<Vec<_>>(),
        "criterion": waiver.criterion,
        "owner": waiver.owner,
        "reason": waiver.reason,
        "expires": waiver.expires,
    })
}

/// The items of the normalised plan's `steps`, one by one: nothing has to hold all of them.
pub fn norm_steps(plan: &Plan) -> impl Iterator<Item = impl Serialize> {
    plan.steps.iter().map(|step| step_of(plan, step))
}

/// In the order of the canonical text, so that nothing has to be sorted.
#[derive(Serialize)]
struct StepNorm<'a> {
    action: ActionNorm<'a>,
    after: Vec<&'a str>,
    allow_empty: Option<&'a str>,
    allow_no_baseline: Option<&'a str>,
    compare: Json,
    criteria: Vec<CriterionNorm<'a>>,
    cwd: TextNorm<'a>,
    docs: Option<&'a str>,
    env: Json,
    finally: bool,
    inputs: Vec<TextNorm<'a>>,
    name: &'a str,
    needs: Vec<&'a str>,
    on_failure: &'static str,
    outputs: Vec<Json>,
    pools: Vec<&'a str>,
    ratchet: Option<Json>,
    report: Option<Json>,
    required: bool,
    retry: RetryNorm<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reuse: Option<bool>,
    run_when: &'static str,
    sample: Option<Json>,
    secrets: Vec<&'a str>,
    severity: &'static str,
    stdin: Json,
    tags: Vec<&'a str>,
    timeout: Json,
    title: Option<&'a str>,
    values: Vec<&'a str>,
    weight: u32,
    when: Vec<CriterionNorm<'a>>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum ActionNorm<'a> {
    Run { parse: &'a Option<Parse>, run: CommandNorm<'a> },
    Other(Json),
}

#[derive(Serialize)]
#[serde(untagged)]
enum CommandNorm<'a> {
    Argv(Vec<TextNorm<'a>>),
    Shell { shell: &'a str },
}

/// A late text is marked: `{"late": "…"}` is not the same as the fixed text that reads alike.
#[derive(Serialize)]
#[serde(untagged)]
enum TextNorm<'a> {
    Fixed(&'a str),
    Late { late: &'a str },
}

#[derive(Serialize)]
struct CriterionNorm<'a> {
    implied: bool,
    text: &'a str,
    tier: &'static str,
}

#[derive(Serialize)]
struct RetryNorm<'a> {
    backoff: Json,
    cap: Json,
    exit: &'a [i32],
    factor: u32,
    limit: u32,
}

fn step_of<'a>(plan: &'a Plan, step: &'a Step) -> StepNorm<'a> {
    fn sorted<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
        let mut names: Vec<&str> = names.collect();
        names.sort_unstable();
        names
    }
    let names = |needs: &'a [super::Need]| sorted(needs.iter().map(|need| plan.step(need.step).name.as_str()));
    let pools = step.pools.iter().filter_map(|id| plan.pools.get(id.0 as usize));
    let texts = |list: &'a [String]| sorted(list.iter().map(String::as_str));
    StepNorm {
        action: action(&step.action),
        after: names(&step.after),
        allow_empty: step.allow_empty.as_deref(),
        allow_no_baseline: step.allow_no_baseline.as_deref(),
        compare: match step.compare.as_slice() {
            [] => Json::Null,
            [one] => compare(one),
            several => several.iter().map(compare).collect(),
        },
        criteria: criteria(&step.criteria),
        cwd: TextNorm::of(&step.cwd),
        docs: step.docs.as_deref(),
        env: env(&step.env),
        finally: step.finally,
        inputs: step.inputs.iter().map(TextNorm::of).collect(),
        name: &step.name,
        needs: names(&step.needs),
        on_failure: step.on_failure.word(),
        outputs: step.outputs.iter().map(output).collect(),
        pools: sorted(pools.map(|pool| pool.name.as_str())),
        ratchet: step.ratchet.as_ref().map(ratchet),
        report: step.report.as_ref().map(report),
        required: step.required,
        retry: retry(&step.retry),
        reuse: (!step.reuse).then_some(false),
        run_when: step.run_when.word(),
        sample: step.sample.as_ref().map(sample),
        secrets: texts(&step.secrets),
        severity: step.severity.word(),
        stdin: match &step.stdin {
            Stdin::Null => Json::Null,
            Stdin::Text(text) => json!({ "text": text_of(text) }),
            Stdin::File(path) => json!({ "file": text_of(path) }),
        },
        tags: texts(&step.tags),
        timeout: duration(step.timeout),
        title: step.title.as_deref(),
        values: texts(&step.values),
        weight: step.weight_permille(),
        when: criteria(&step.when),
    }
}

impl<'a> TextNorm<'a> {
    fn of(text: &'a Text) -> Self {
        if text.late { Self::Late { late: &text.src } } else { Self::Fixed(&text.src) }
    }
}

impl<'a> CriterionNorm<'a> {
    fn of(criterion: &'a Criterion) -> Self {
        Self { implied: criterion.implied, text: &criterion.text, tier: criterion.tier.word() }
    }
}

fn output(output: &OutputSpec) -> Json {
    let mut norm = json!({ "path": text_of(&output.path), "class": output.class, "artifact": output.artifact });
    if !output.normalize.is_empty() {
        norm["normalize"] = json!(output.normalize);
    }
    norm
}

fn ratchet(ratchet: &super::Ratchet) -> Json {
    let some = |value: &Option<Value>| value.as_ref().map(value_of);
    json!({
        "floor": value_of(&ratchet.floor),
        "goal": some(&ratchet.goal),
        "slack": some(&ratchet.slack),
        "subject": ratchet.subject,
    })
}

/// Variables by name.
fn env(pairs: &[(String, Text)]) -> Json {
    let mut pairs: Vec<_> = pairs.iter().map(|(name, text)| (name.clone(), text_of(text))).collect();
    pairs.sort_by(|a, b| a.0.cmp(&b.0));
    Json::Object(pairs.into_iter().collect())
}

fn secret_of(name: &str, source: &SecretSource) -> Json {
    match source {
        SecretSource::Env { name: env, random } => json!({ "name": name, "env": env, "random": random }),
        SecretSource::File(file) => json!({ "name": name, "file": file }),
    }
}

fn action(action: &Action) -> ActionNorm<'_> {
    match action {
        Action::Run(run) => ActionNorm::Run { parse: &run.parse, run: command(&run.command) },
        other => ActionNorm::Other(look(other)),
    }
}

fn look(action: &Action) -> Json {
    match action {
        Action::Run(run) => json!({ "run": command(&run.command), "parse": run.parse }),
        Action::Http(spec) => json!({ "http": http(spec) }),
        Action::Render(spec) => {
            json!({ "render": { "template": text_of(&spec.template), "to": text_of(&spec.to), "mode": spec.mode } })
        }
        Action::File(spec) => json!({ "file": {
            "paths": texts(&spec.paths),
            "parse": spec.parse,
            "template": spec.template.as_ref().map(text_of),
        } }),
        Action::Service(spec) => json!({ "service": {
            "run": command(&spec.command),
            "ready": {
                "probe": probe(&spec.ready.probe),
                "every": duration(Some(spec.ready.every)),
                "within": duration(Some(spec.ready.within)),
                "consecutive": spec.ready.consecutive,
            },
            "stop": { "signal": spec.stop_signal, "grace": duration(Some(spec.stop_grace)) },
        } }),
        Action::Value(spec) => json!({ "value": spec.values }),
        Action::Report(spec) => json!({ "report": report(spec) }),
        Action::Git(spec) => json!({ "git": spec }),
        Action::Checklist(spec) => json!({ "checklist": spec }),
        Action::Net(spec) => json!({ "net": spec }),
        Action::Load(spec) => json!({ "load": spec }),
        Action::Promql(spec) => json!({ "promql": spec }),
        Action::Signoff(spec) => json!({ "signoff": spec }),
        Action::Plan(spec) => json!({ "plan": spec }),
        Action::Alert(spec) => json!({ "alert": spec }),
    }
}

fn command(command: &Command) -> CommandNorm<'_> {
    match command {
        Command::Argv(argv) => CommandNorm::Argv(argv.iter().map(TextNorm::of).collect()),
        Command::Shell(shell) => CommandNorm::Shell { shell },
    }
}

fn http(spec: &HttpSpec) -> Json {
    let headers: Vec<Json> = spec.headers.iter().map(|(name, value)| json!([name, text_of(value)])).collect();
    json!({
        "urls": texts(&spec.urls),
        "method": spec.method,
        "headers": headers,
        "body": spec.body.as_ref().map(text_of),
        "timeout": duration(Some(spec.timeout)),
        "redirects": spec.redirects,
        "max_body": spec.max_body,
        "ca": spec.ca.as_ref().map(text_of),
    })
}

fn probe(probe: &Probe) -> Json {
    match probe {
        Probe::Http(spec) => json!({ "http": http(spec) }),
        Probe::Run(run) => json!({ "run": command(run) }),
        Probe::Log(pattern) => json!({ "log": pattern }),
        Probe::Tcp(address) => json!({ "tcp": text_of(address) }),
        Probe::Started => Json::Null,
    }
}

fn report(spec: &ReportSpec) -> Json {
    json!({ "path": text_of(&spec.path), "format": spec.format, "files": spec.files, "baseline": spec.baseline.as_ref().map(text_of), "diff": spec.diff.as_ref().map(text_of) })
}

fn text_of(text: &Text) -> Json {
    json!(TextNorm::of(text))
}

fn texts(list: &[Text]) -> Json {
    Json::Array(list.iter().map(text_of).collect())
}

fn criteria(list: &[Criterion]) -> Vec<CriterionNorm<'_>> {
    list.iter().map(CriterionNorm::of).collect()
}

/// Milliseconds: the finest unit a plan can write.
fn duration(duration: Option<Duration>) -> Json {
    duration.map_or(Json::Null, |duration| json!(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)))
}

fn sample(sample: &Sampling) -> Json {
    json!({
        "delay": duration(Some(sample.delay)),
        "every": duration(Some(sample.every)),
        "max": sample.max,
        "within": duration(sample.within),
        "consecutive": sample.consecutive,
        "failures": sample.failures,
        "inconclusive": sample.inconclusive,
        "errors": sample.errors,
    })
}

fn compare(spec: &CompareSpec) -> Json {
    json!({
        "method": spec.method.word(),
        "alpha": spec.alpha.reduced(),
        "min_n": spec.min_n,
        "seed": spec.seed,
        "baseline": spec.baseline,
    })
}

fn retry(retry: &Retry) -> RetryNorm<'_> {
    RetryNorm {
        backoff: duration(Some(retry.backoff)),
        cap: duration(Some(retry.cap)),
        exit: &retry.exit,
        factor: retry.factor_percent,
        limit: retry.limit,
    }
}

/// No floats: numbers that are not whole stand as text.
fn value_of(value: &Value) -> Json {
    match value {
        Value::Num(num, unit) => {
            let num = num.reduced();
            match i64::try_from(num.num).ok().filter(|int| num.den == 1 && int.unsigned_abs() < 1 << 53) {
                Some(int) if *unit == crate::facts::Unit::One => json!(int),
                _ => json!({ "num": num, "unit": unit }),
            }
        }
        Value::List(items) => Json::Array(items.iter().map(value_of).collect()),
        other => vars::json_of(other),
    }
}
