//! Makes an attempt ready: completes late texts, gathers the child's environment, digests inputs, takes the action's
//! identity. Starts nothing.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde_json::{Value as Json, json};

use crate::act::Input;
use crate::action::{Action, Text};
use crate::criteria::{self, Criterion, Root};
use crate::facts::Value;
use crate::files::{self, Quit, Role};
use crate::identity::{ActionForm, NeedForm, StdinForm};
use crate::ids::StepId;
use crate::mask::Mask;
use crate::normalize;
use crate::outcome::{Cause, FileDigest};
use crate::plan::{Stdin, Step, template};

use super::shared::Shared;

/// An attempt that can start.
pub(super) struct Ready {
    pub(super) action: Action,
    pub(super) report: Option<crate::action::ReportSpec>,
    pub(super) cwd: PathBuf,
    pub(super) env: Vec<(OsString, OsString)>,
    pub(super) stdin: Input,
    pub(super) input_patterns: Vec<String>,
    pub(super) inputs: Vec<FileDigest>,
    pub(super) identity: String,
    pub(super) preimage: String,
    pub(super) values: BTreeMap<String, Value>,
    /// For the text of a template file; empty for other actions.
    pub(super) context: Json,
}

/// Why it can't.
pub(super) struct Fault {
    pub(super) cause: Cause,
    pub(super) detail: String,
}

impl Fault {
    fn new(cause: Cause, detail: impl Into<String>) -> Self {
        Self { cause, detail: detail.into() }
    }
}

/// Children always see these; a plan may set others over them.
const BASE_ENV: [(&str, &str); 3] = [("TZ", "UTC"), ("LC_ALL", "C.UTF-8"), ("LANG", "C.UTF-8")];

pub(super) fn prepare(shared: &Shared<'_>, id: StepId) -> Result<Ready, Fault> {
    let step = shared.plan.step(id);
    let (open, secret) = (Context::new(shared, false), Context::new(shared, true));
    let complete =
        |text: &Text, context: &Context<'_>| render(text, context).map_err(|e| Fault::new(Cause::ActionError, e));
    let mut action = step.action.clone();
    for text in action.texts_mut() {
        *text = Text::fixed(complete(text, &secret)?);
    }
    let mut report = step.report.clone();
    if let Some(report) = &mut report {
        report.path = Text::fixed(complete(&report.path, &open)?);
    }
    let cwd = working_folder(shared, &complete(&step.cwd, &open)?)?;
    let env = environment(shared, step, &secret)?;
    let stdin = match &step.stdin {
        Stdin::Null => Input::Null,
        Stdin::Text(text) => Input::Bytes(complete(text, &secret)?.into_bytes()),
        Stdin::File(path) => {
            let path = complete(path, &open)?;
            let file = files::anywhere(workspace(shared), &path);
            Input::File(file.map_err(|e| Fault::new(Cause::ActionError, e.to_string()))?)
        }
    };
    let input_patterns = step.inputs.iter().map(|t| complete(t, &open)).collect::<Result<Vec<_>, _>>()?;
    let inputs = digest_inputs(shared, id, &input_patterns)?;
    let (identity, preimage) = identify(shared, id, &inputs, &stdin)?;
    let values = match &step.action {
        Action::Value(spec) => shared.values_of(id, &spec.values).map_err(|e| Fault::new(Cause::ActionError, e))?,
        Action::Checklist(_) => shared.states_before(id),
        Action::Signoff(_) => {
            let evidence = shared.keeper.gate(&shared.gate_form(id));
            let evidence = evidence.map_err(|error| Fault::new(Cause::ActionError, error.to_string()))?;
            BTreeMap::from([("evidence".to_owned(), Value::text(evidence))])
        }
        _ => BTreeMap::new(),
    };
    let context = match &step.action {
        Action::Render(_) => secret.get().clone(),
        _ => Json::Null,
    };
    Ok(Ready { action, report, cwd, env, stdin, input_patterns, inputs, identity, preimage, values, context })
}

fn workspace<'a>(shared: &'a Shared<'_>) -> &'a Path {
    shared.plan.workspace.as_std_path()
}

/// The values that late texts may name. Secrets are in it only where the plan language allows them; the loader has
/// refused them elsewhere. Made only if a text asks: most steps have none that does.
struct Context<'s> {
    shared: &'s Shared<'s>,
    secrets: bool,
    made: OnceCell<Json>,
}

impl<'s> Context<'s> {
    fn new(shared: &'s Shared<'_>, secrets: bool) -> Self {
        Self { shared, secrets, made: OnceCell::new() }
    }

    fn get(&self) -> &Json {
        self.made.get_or_init(|| {
            let shared = self.shared;
            let mut steps = serde_json::Map::new();
            for (name, values) in shared.published() {
                steps.insert(name, json!({ "outputs": values }));
            }
            let mut root = crate::plan::context(shared.plan);
            root["steps"] = Json::Object(steps);
            root["ports"] = json!(shared.world.ports);
            root["run"] = json!({ "id": shared.options.run, "decision": shared.decision_word() });
            if self.secrets {
                root["secrets"] = json!(shared.world.secrets);
            }
            root
        })
    }
}

fn render(text: &Text, context: &Context<'_>) -> Result<String, String> {
    if !text.late {
        return Ok(text.src.clone());
    }
    template::render(&text.src, context.get()).map_err(|error| format!("`{}`: {}", text.src, error.message))
}

fn working_folder(shared: &Shared<'_>, relative: &str) -> Result<PathBuf, Fault> {
    let cwd = files::inside(workspace(shared), relative).map_err(|e| Fault::new(Cause::ActionError, e.to_string()))?;
    // Whether the workspace itself is there is said by whoever starts something in it.
    if relative == "." || cwd.is_dir() {
        return Ok(cwd);
    }
    let reason = if cwd.exists() { "is not a folder" } else { "does not exist" };
    Err(Fault::new(Cause::SpawnFailed, format!("the step's `cwd` `{relative}` {reason}")))
}

/// The complete environment of a child: base, inherited by name, plan, step, secrets; later ones win.
fn environment(shared: &Shared<'_>, step: &Step, context: &Context<'_>) -> Result<Vec<(OsString, OsString)>, Fault> {
    let mut env: BTreeMap<OsString, OsString> =
        BASE_ENV.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    env.insert("PATH".into(), "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".into());
    for name in &shared.plan.env.pass {
        if let Some(value) = shared.world.env.get(name) {
            env.insert(name.into(), value.clone());
        }
    }
    for (name, text) in shared.plan.env.set.iter().chain(&step.env) {
        let value = render(text, context).map_err(|error| Fault::new(Cause::ActionError, error))?;
        env.insert(name.into(), value.into());
    }
    for name in &step.secrets {
        if let Some(value) = shared.world.secrets.get(name) {
            env.insert(name.to_uppercase().into(), value.into());
        }
    }
    env.insert("RUNPLAN_STEP".into(), step.name.clone().into());
    if let Some(word) = shared.decision_word() {
        env.insert("RUNPLAN_DECISION".into(), word.into());
    }
    Ok(env.into_iter().collect())
}

/// Digests of what the input patterns stand for now. A file that an earlier step made as a normalized output counts by
/// what its filters leave of it now.
pub(super) fn digest_inputs(shared: &Shared<'_>, id: StepId, patterns: &[String]) -> Result<Vec<FileDigest>, Fault> {
    let found = files::digest_all(workspace(shared), patterns, Role::Input, &Quit::default())
        .map_err(|error| Fault::new(Cause::ActionError, format!("input {error}")))?;
    match found.missing.first() {
        Some(pattern) => Err(Fault::new(Cause::NoData, format!("the input `{pattern}` matches no file"))),
        None => {
            if let Some(mask) = &shared.world.mask {
                for file in &found.files {
                    without_secret(mask, &file.path, "input", Cause::ActionError)?;
                }
            }
            as_read(shared, id, found.files)
        }
    }
}

/// Files that earlier steps made as normalized outputs, by what their filters leave.
fn as_read(shared: &Shared<'_>, id: StepId, mut files: Vec<FileDigest>) -> Result<Vec<FileDigest>, Fault> {
    let filters = shared.normalized_before(id);
    for file in &mut files {
        let Some(list) = filters.get(&file.path) else { continue };
        let left = normalize::file(workspace(shared), &file.path, list.clone());
        let left = left.map_err(|fault| {
            Fault::new(Cause::ActionError, format!("can't normalize the input `{}`: {fault}", file.path))
        })?;
        *file = left.of(file);
    }
    Ok(files)
}

/// Paths are recorded as they are, so none may hold a secret.
pub(super) fn without_secret(mask: &Mask, path: &str, what: &str, cause: Cause) -> Result<(), Fault> {
    let shown = mask.text(path);
    if shown == path {
        Ok(())
    } else {
        Err(Fault::new(cause, format!("the path of the {what} `{shown}` contains a secret")))
    }
}

fn identify(shared: &Shared<'_>, id: StepId, inputs: &[FileDigest], stdin: &Input) -> Result<(String, String), Fault> {
    let step = shared.plan.step(id);
    let published: Vec<_> =
        step.needs.iter().filter_map(|need| Some((need.step, shared.finished(need.step)?))).collect();
    let needs = published
        .iter()
        .map(|(need, done)| (shared.plan.step(*need).name.as_str(), NeedForm::of(&done.outputs, &done.values)))
        .collect();
    let stdin_digest = match stdin {
        Input::File(path) => {
            let digest = files::digest(workspace(shared), path, Role::Input, &Quit::default());
            let digest = digest.map_err(|e| Fault::new(Cause::ActionError, e.to_string()))?;
            as_read(shared, id, vec![digest])?.pop().map_or_else(String::new, |file| file.sha256)
        }
        _ => String::new(),
    };
    let env = shared.plan.env.pass.iter().map(|name| (name.as_str(), None));
    let set = shared.plan.env.set.iter().chain(&step.env).map(|(name, text)| (name.as_str(), Some(text.as_str())));
    let form = ActionForm {
        action: &step.action,
        report: step.report.as_ref(),
        cwd: step.cwd.as_str(),
        env: env.chain(set).collect(),
        secrets: step.secrets.iter().map(String::as_str).collect(),
        stdin: match &step.stdin {
            Stdin::Null => None,
            Stdin::Text(text) => Some(StdinForm::Text(text.as_str())),
            Stdin::File(text) => Some(StdinForm::File(text.as_str(), stdin_digest)),
        },
        inputs: inputs.to_vec(),
        needs,
        criteria: step.criteria.iter().map(|c| (c.tier, c.text.as_str())).collect(),
        policy: policy(shared, step),
        outputs: &step.outputs,
        values: &step.values,
        workspace: shared.plan.workspace.as_str(),
    };
    shared.keeper.identify(form).map_err(|error| Fault::new(Cause::ActionError, error.to_string()))
}

/// Retry, sampling, timeout and the like, as `key = text`.
fn policy(shared: &Shared<'_>, step: &Step) -> BTreeMap<String, String> {
    let mut policy = BTreeMap::new();
    let mut put = |key: &str, value: String| drop(policy.insert(key.to_owned(), value));
    let nanos = |duration: std::time::Duration| format!("{}ns", duration.as_nanos());
    if let Some(timeout) = step.timeout {
        put("timeout", nanos(timeout));
    }
    if step.retry.limit > 0 {
        put("retry.limit", step.retry.limit.to_string());
        let codes: Vec<String> = step.retry.exit.iter().map(i32::to_string).collect();
        put("retry.exit", codes.join(","));
    }
    if let Some(sample) = &step.sample {
        put("sample.delay", nanos(sample.delay));
        put("sample.every", nanos(sample.every));
        put("sample.within", sample.within.map_or_else(String::new, nanos));
        put("sample.consecutive", sample.consecutive.to_string());
        put("sample.errors", sample.errors.to_string());
        let limits = [("max", sample.max), ("failures", sample.failures), ("inconclusive", sample.inconclusive)];
        for (key, limit) in limits {
            put(&format!("sample.{key}"), limit.map_or_else(String::new, |limit| limit.to_string()));
        }
    }
    for (at, compare) in step.compare.iter().enumerate() {
        // The first stands as if it were alone.
        let at = if at == 0 { String::new() } else { format!(".{at}") };
        let mut put = |key: &str, value: String| put(&format!("compare{at}.{key}"), value);
        put("method", compare.method.word().to_owned());
        put("alpha", compare.alpha.reduced().to_string());
        put("min_n", compare.min_n.to_string());
        put("seed", compare.seed.to_string());
        put("baseline", compare.baseline.clone().unwrap_or_default());
    }
    let mut roots: Vec<Root> = step.criteria.iter().filter(|c| !c.is_own()).flat_map(Criterion::roots).collect();
    if let Action::Value(spec) = &step.action {
        roots.extend(spec.values.iter().flat_map(|(_, subject)| criteria::roots_of(subject)));
    }
    for root in roots {
        if let Root::Var(name) = root
            && let Some(var) = shared.plan.vars.get(&name)
        {
            put(&format!("vars.{name}"), crate::plan::shown(&var.value));
        }
    }
    if let Some(reason) = &step.allow_empty {
        put("allow_empty", reason.clone());
    }
    if let Some(reason) = &step.allow_no_baseline {
        put("allow_no_baseline", reason.clone());
    }
    if let Some(Value::Num(num, _)) = shared.options.ratchets.get(&step.name) {
        put("ratchet", num.to_string());
    }
    policy
}
