//! The normalised plan: what its digest is taken over. Expanded, defaults filled; no places, comments, layout or absolute
//! paths; secrets by name, late texts as written; nothing of the reports that are written about it.

use std::time::Duration;

use serde_json::{Value as Json, json};

use super::{Plan, Retry, Sampling, SecretSource, Stdin, Step, vars};
use crate::action::{Action, Command, CompareSpec, HttpSpec, Probe, ReportSpec, Text};
use crate::criteria::Criterion;
use crate::facts::Value;

/// The normalised plan as JSON. Two plans that mean the same give the same JSON.
#[must_use]
pub fn norm(plan: &Plan) -> Json {
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
        "steps": plan.steps.iter().map(|step| step_of(plan, step)).collect::<Vec<_>>(),
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

fn step_of(plan: &Plan, step: &Step) -> Json {
    let names = |needs: &[super::Need]| {
        let mut names: Vec<&str> = needs.iter().map(|need| plan.step(need.step).name.as_str()).collect();
        names.sort_unstable();
        json!(names)
    };
    let mut pools: Vec<_> =
        step.pools.iter().filter_map(|id| plan.pools.get(id.0 as usize)).map(|pool| &pool.name).collect();
    pools.sort();
    let outputs = step.outputs.iter().map(|output| {
        let mut norm = json!({ "path": text_of(&output.path), "class": output.class, "artifact": output.artifact });
        if !output.normalize.is_empty() {
            norm["normalize"] = json!(output.normalize);
        }
        norm
    });
    let ratchet = step.ratchet.as_ref().map(|ratchet| {
        let some = |value: &Option<Value>| value.as_ref().map(value_of);
        json!({
            "floor": value_of(&ratchet.floor),
            "goal": some(&ratchet.goal),
            "slack": some(&ratchet.slack),
            "subject": ratchet.subject,
        })
    });
    let sorted = |list: &[String]| {
        let mut list = list.to_vec();
        list.sort();
        json!(list)
    };
    let mut norm = json!({
        "name": step.name,
        "title": step.title,
        "docs": step.docs,
        "tags": sorted(&step.tags),
        "finally": step.finally,
        "action": action(&step.action),
        "report": step.report.as_ref().map(report),
        "criteria": criteria(&step.criteria),
        "allow_empty": step.allow_empty,
        "allow_no_baseline": step.allow_no_baseline,
        "sample": step.sample.as_ref().map(sample),
        "retry": retry(&step.retry),
        "timeout": duration(step.timeout),
        "required": step.required,
        "severity": step.severity.word(),
        "weight": step.weight_permille(),
        "on_failure": step.on_failure.word(),
        "needs": names(&step.needs),
        "after": names(&step.after),
        "when": criteria(&step.when),
        "run_when": step.run_when.word(),
        "pools": pools,
        "inputs": texts(&step.inputs),
        "outputs": outputs.collect::<Vec<_>>(),
        "values": sorted(&step.values),
        "cwd": text_of(&step.cwd),
        "env": env(&step.env),
        "secrets": sorted(&step.secrets),
        "stdin": match &step.stdin {
            Stdin::Null => Json::Null,
            Stdin::Text(text) => json!({ "text": text_of(text) }),
            Stdin::File(path) => json!({ "file": text_of(path) }),
        },
        "ratchet": ratchet,
        "compare": match step.compare.as_slice() {
            [] => Json::Null,
            [one] => compare(one),
            several => several.iter().map(compare).collect(),
        },
    });
    if !step.reuse {
        norm["reuse"] = json!(false);
    }
    norm
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

fn action(action: &Action) -> Json {
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

fn command(command: &Command) -> Json {
    match command {
        Command::Argv(argv) => texts(argv),
        Command::Shell(text) => json!({ "shell": text }),
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

/// A late text is marked: `{"late": "…"}` is not the same as the fixed text that reads alike.
fn text_of(text: &Text) -> Json {
    if text.late { json!({ "late": text.src }) } else { json!(text.src) }
}

fn texts(list: &[Text]) -> Json {
    Json::Array(list.iter().map(text_of).collect())
}

fn criteria(list: &[Criterion]) -> Json {
    let one = |criterion: &Criterion| json!({ "tier": criterion.tier.word(), "text": criterion.text, "implied": criterion.implied });
    Json::Array(list.iter().map(one).collect())
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

fn retry(retry: &Retry) -> Json {
    json!({
        "limit": retry.limit,
        "backoff": duration(Some(retry.backoff)),
        "factor": retry.factor_percent,
        "cap": duration(Some(retry.cap)),
        "exit": retry.exit,
    })
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
