//! One step, read from its table with the values of its cell. What it says about other steps is resolved by name here;
//! whether that makes sense together is `checks`'.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::collections::HashMap;
use std::sync::Arc;

use super::action;
use super::compare;
use super::declare::{on_failure, required, run_when, severity, weight};
use super::diags::Diags;
use super::error::Diagnostic;
use super::expand::{Cell, as_json};
use super::judged;
use super::names::Index;
use super::tables;
use super::template::{Known, nearest, words};
use super::text::{Declared, Ref, Sink, Texts};
use super::tree::{Node, Table};
use super::units;
use super::{Need, OnFailure, Pool, Ratchet, Retry, Sampling, Stdin, Step, Terms};
use crate::action::{Action, OutputSpec, SampleKeys, Text, ValueSpec};
use crate::facts::{Num, Unit, Value};
use crate::ids::{PoolId, StepId};
use crate::normalize;
use crate::outcome::{Class, Filter, Tier};
use crate::place::{Place, Sources};

/// What every step is read with.
pub(super) struct Reader<'a> {
    pub(super) sources: &'a Sources,
    pub(super) known: &'a Known,
    pub(super) declared: &'a Declared,
    pub(super) defaults: Option<Table<'a>>,
    pub(super) index: &'a Index<'a>,
    pub(super) pools: &'a [Pool],
    pub(super) on_failure: OnFailure,
    /// The terms of steps that say none.
    pub(super) common: OnceCell<Arc<Terms>>,
    /// A file is missing: unknown names may stand there.
    pub(super) partial: bool,
}

/// A step and what is still to be checked about it.
pub(super) struct ReadStep {
    pub(super) step: Step,
    /// Its action could not be read.
    pub(super) broken: bool,
    pub(super) refs: Vec<Ref>,
    /// Secrets it uses, by name, and where.
    pub(super) secrets: Vec<String>,
    /// Places of the subjects of `value`.
    pub(super) values: Vec<Place>,
}

/// What a step says beside what it runs and when.
struct Says {
    files: bool,
    terms: bool,
}

impl Says {
    fn of(table: Table<'_>) -> Self {
        let mut says = Self { files: false, terms: false };
        for member in table.members() {
            match member.key() {
                "run" | "needs" | "after" => {}
                "inputs" | "outputs" | "artifacts" => says.files = true,
                _ => says.terms = true,
            }
        }
        says
    }

    fn more(&self) -> bool {
        self.files || self.terms
    }
}

/// A table with the plan's defaults behind it.
#[derive(Clone, Copy)]
struct Both<'t> {
    step: Table<'t>,
    defaults: Option<Table<'t>>,
}

impl<'t> Both<'t> {
    fn get(self, key: &str) -> Option<Node<'t>> {
        self.step.get(key).or_else(|| self.defaults?.get(key))
    }
}

impl Reader<'_> {
    /// Reads one step.
    pub(super) fn read(&self, id: StepId, cell: &Cell<'_>, diags: &mut Diags) -> Option<ReadStep> {
        let (table, place) = (cell.table()?, cell.place(self.sources));
        let own = match (cell.item(), cell.axes()) {
            (Some(item), _) => Some(self.known.clone().with("item", item.clone())),
            (None, []) => None,
            (None, axes) => Some(self.known.clone().with("matrix", as_json(axes))),
        };
        let mut texts = Texts {
            diags,
            sources: self.sources,
            known: own.as_ref().unwrap_or(self.known),
            declared: self.declared,
            refs: Vec::new(),
            secrets: std::collections::HashSet::new(),
        };
        let texts = &mut texts;
        let says = Says::of(table);
        let shared = own.is_none()
            && !says.terms
            && self.defaults.is_none_or(|defaults| !defaults.has("env") && !defaults.has("cwd"));
        let read = match table.get("run").filter(|_| shared) {
            Some(node) => action::run(node, texts).map(|action| (action, None)),
            None => action::read(table, cell.base(), place, texts),
        };
        let broken = read.is_none();
        let (action, report) = read.unwrap_or_else(|| (Action::Value(ValueSpec { values: Vec::new() }), None));
        let needs = self.links(id, table, "needs", cell.finally, texts);
        let after = self.links(id, table, "after", cell.finally, texts);
        let (outputs, values) = if says.more() { outputs(table, texts) } else { Default::default() };
        if !values.is_empty() && !broken && !matches!(action, Action::Run(_) | Action::Service(_)) {
            let place = table.key_place("outputs");
            let message = format!("a `{}` step has no named outputs", action.kind().word());
            let fault = Diagnostic::error("values-without-process", place, message);
            texts.diags.push(fault.help("only a process can write them, to the file named by `$RUNPLAN_OUTPUT`; later steps can name facts: `steps.NAME.status`"));
        }
        let shared = shared && values.is_empty();
        let terms = match self.common.get().filter(|_| shared) {
            Some(common) => common.clone(),
            None => {
                let terms = Terms { report, values, ..self.terms(table, cell.axes(), &action, broken, texts) };
                let terms = Arc::new(terms);
                if shared {
                    drop(self.common.set(terms.clone()));
                }
                terms
            }
        };
        let both = Both { step: table, defaults: self.defaults };
        let step = Step {
            name: cell.name().to_owned(),
            place,
            finally: cell.finally,
            on_failure: on_failure(both.get("on_failure")).unwrap_or(self.on_failure),
            volatile: false,
            needs,
            after,
            inputs: if says.more() { inputs(table, texts) } else { Vec::new() },
            reads_nothing: says.more() && table.has("inputs") && table.list("inputs").is_empty(),
            outputs,
            terms,
            action,
        };
        let mut used: Vec<String> = texts.secrets.drain().chain(step.secrets.iter().cloned()).collect();
        used.sort();
        let refs = std::mem::take(&mut texts.refs);
        let subjects = table.get("value").filter(|_| says.terms).and_then(Node::map);
        let subjects = subjects.into_iter().flat_map(Table::entries);
        let values = subjects.filter(|entry| entry.node.value.is_text()).map(|entry| entry.node.place).collect();
        Some(ReadStep { step, broken, refs, secrets: used, values })
    }

    /// The terms of a step, without its report and its named outputs.
    fn terms(
        &self,
        table: Table<'_>,
        axes: &[(String, String)],
        action: &Action,
        broken: bool,
        texts: &mut Texts<'_>,
    ) -> Terms {
        let both = Both { step: table, defaults: self.defaults };
        let secrets = self.secrets(table, texts);
        let sample = sampling(table, texts.diags);
        let mut criteria = judged::read(table, &[Tier::Pass, Tier::Any, Tier::Warn, Tier::Reject], texts);
        judged::preset(table, action, broken, &mut criteria, texts);
        Terms {
            matrix: axes.to_vec(),
            title: table.get("title").map(|node| texts.plain(node)),
            docs: table.get("docs").map(|node| texts.plain(node)),
            tags: tags(both),
            report: None,
            criteria,
            allow_empty: reason(table, "allow_empty", "no migrations yet", texts),
            allow_no_baseline: reason(table, "allow_no_baseline", "first run on a new machine", texts),
            reuse: table.get("reuse").and_then(Node::bool).unwrap_or(true),
            compare: compare::read(table, sample.as_ref(), texts),
            sample,
            retry: retry(both, texts.diags),
            timeout: both.get("timeout").and_then(Node::duration),
            required: both.get("required").and_then(Node::bool).unwrap_or(true),
            severity: severity(both.get("severity")).unwrap_or_default(),
            weight_permille: weight(table.get("weight"), texts.diags),
            when: judged::read(table, &[Tier::When], texts),
            run_when: run_when(both.get("run_when")).unwrap_or_default(),
            pools: self.pools(both, texts.diags),
            values: Vec::new(),
            cwd: both.get("cwd").map_or_else(|| Text::fixed("."), |node| action::path(node, "`cwd`", texts)),
            env: env(both, texts),
            secrets,
            stdin: stdin(table, action, texts),
            ratchet: table.get("ratchet").and_then(|node| ratchet(node, texts.diags)),
        }
    }

    /// `needs` or `after`.
    fn links(&self, id: StepId, table: Table<'_>, key: &str, finally: bool, texts: &mut Texts<'_>) -> Vec<Need> {
        let Some(names) = table.get(key) else { return Vec::new() };
        let one = Some(names).filter(|node| node.value.is_text());
        let mut list: Vec<Need> = Vec::with_capacity(names.many());
        let mut many: HashMap<StepId, Place> = HashMap::new();
        for node in one.into_iter().chain(names.items()) {
            let Some(text) = node.text() else { continue };
            let name = if text.contains('{') { Cow::Owned(texts.plain(node)) } else { Cow::Borrowed(text) };
            let found = self.index.find(&name);
            if found.is_empty() && !self.partial {
                let fault = Diagnostic::error(
                    "unknown-step",
                    node.place,
                    format!("`{key}` names `{name}`, and there is no such step"),
                );
                let help = self.index.suggestion(&name, texts.diags);
                texts.diags.push(fault.label("no such step").hint(help));
            }
            for &step in found.iter() {
                if step == id {
                    let fault = Diagnostic::error("self-need", node.place, format!("step `{name}` needs itself"));
                    texts.diags.push(fault.help(format!("remove it from `{key}`")));
                } else if let Some(first) = named(&list, &mut many, step) {
                    let fault =
                        Diagnostic::error("duplicate-need", node.place, format!("`{name}` stands twice in `{key}`"));
                    texts.diags.push(fault.related(first, "the first").help("remove one of the two"));
                } else if !finally && self.index.is_finally(step) {
                    let fault = Diagnostic::error(
                        "needs-finally",
                        node.place,
                        format!("`{name}` is a `finally` step: it runs after everything else"),
                    );
                    texts.diags.push(fault.help("only other `finally` steps can come after it"));
                } else {
                    list.push(Need { step, place: node.place });
                }
            }
        }
        list
    }

    fn pools(&self, both: Both<'_>, diags: &mut Diags) -> Vec<PoolId> {
        let own = both.step.has("pool") || both.step.has("pools");
        let from = if own { Some(both.step) } else { both.defaults };
        let nodes = from.map(|table| [table.list("pool"), table.list("pools")].concat()).unwrap_or_default();
        let mut list = Vec::new();
        for node in nodes {
            let Some(name) = node.text() else { continue };
            let at = self.pools.iter().position(|pool| pool.name == name).and_then(|at| u32::try_from(at).ok());
            match at.map(PoolId) {
                Some(id) if list.contains(&id) => {
                    let fault =
                        Diagnostic::error("duplicate-pool", node.place, format!("pool `{name}` is named twice"));
                    diags.push(fault.help("a step holds one place in a pool: remove one of the two"));
                }
                Some(id) => list.push(id),
                None if self.partial => {}
                None => {
                    let names: Vec<&str> = self.pools.iter().map(|pool| pool.name.as_str()).collect();
                    let fault = Diagnostic::error("unknown-pool", node.place, format!("there is no pool `{name}`"));
                    diags.push(fault.help(match nearest(name, names.iter().copied()) {
                        Some(near) => format!("did you mean `{near}`?"),
                        None if names.is_empty() => format!("declare it: `[pools]` with `{name} = 1`"),
                        None => format!("`[pools]` has {}", words(&names)),
                    }));
                }
            }
        }
        list
    }

    fn secrets(&self, table: Table<'_>, texts: &mut Texts<'_>) -> Vec<String> {
        let mut list = Vec::new();
        for node in table.list("secrets") {
            let Some(name) = node.text() else { continue };
            let all: Vec<&str> = self.declared.secrets.iter().map(String::as_str).collect();
            if all.contains(&name) {
                if !list.iter().any(|known| known == name) {
                    list.push(name.to_owned());
                }
            } else if !self.partial {
                let fault = Diagnostic::error("unknown-secret", node.place, format!("there is no secret `{name}`"));
                texts.diags.push(fault.help(match nearest(name, all.iter().copied()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None if all.is_empty() => {
                        format!("declare it: `[secrets]` with `{name} = {{ env = \"{}\" }}`", name.to_uppercase())
                    }
                    None => format!("`[secrets]` has {}", words(&all)),
                }));
            }
        }
        list
    }
}

/// Where a step stands among those named so far. `many` holds them by step once they are too many to look through.
fn named(list: &[Need], many: &mut HashMap<StepId, Place>, step: StepId) -> Option<Place> {
    if list.len() <= 16 {
        return list.iter().find(|need| need.step == step).map(|need| need.place);
    }
    many.extend(list[many.len()..].iter().map(|need| (need.step, need.place)));
    many.get(&step).copied()
}

fn tags(both: Both<'_>) -> Vec<String> {
    let defaults = both.defaults.map(|table| table.list("tags")).unwrap_or_default();
    let mut tags: Vec<String> = Vec::new();
    for tag in defaults.into_iter().chain(both.step.list("tags")).filter_map(Node::text) {
        if !tags.iter().any(|known| known == tag) {
            tags.push(tag.to_owned());
        }
    }
    tags
}

/// Why a step lets through what others would stumble over.
fn reason(table: Table<'_>, key: &str, example: &str, texts: &mut Texts<'_>) -> Option<String> {
    let node = table.get(key)?;
    let reason = node.text()?;
    if reason.trim().is_empty() {
        let fault = Diagnostic::error("missing-reason", node.place, format!("`{key}` needs a reason"));
        texts.diags.push(fault.help(format!("say why that is fine: `{key} = \"{example}\"`")));
    }
    Some(reason.to_owned())
}

/// Variables of the step, over those of `[defaults]`.
fn env(both: Both<'_>, texts: &mut Texts<'_>) -> Vec<(String, Text)> {
    let mut pairs = both
        .defaults
        .and_then(|table| table.get("env"))
        .and_then(Node::map)
        .map(|table| texts.env(table))
        .unwrap_or_default();
    let own = both.step.get("env").and_then(Node::map).map(|table| texts.env(table)).unwrap_or_default();
    pairs.retain(|(name, _)| !own.iter().any(|(other, _)| other == name));
    pairs.extend(own);
    pairs
}

fn stdin(table: Table<'_>, action: &Action, texts: &mut Texts<'_>) -> Stdin {
    let Some(node) = table.get("stdin") else { return Stdin::Null };
    if !matches!(action, Action::Run(_) | Action::Service(_)) {
        let message = format!("`stdin` is read by a process, and `{}` starts none", action.kind().word());
        texts
            .diags
            .push(Diagnostic::error("unused-key", node.place, message).help("remove it, or make the step a `run`"));
    }
    match node.table(&tables::STDIN) {
        None => Stdin::Text(texts.text(node, Sink::Hidden)),
        Some(table) => match required(table, "file", "`stdin`", texts.diags) {
            Some(file) => Stdin::File(action::path(file, "`file` of `stdin`", texts)),
            None => Stdin::Null,
        },
    }
}

fn inputs(table: Table<'_>, texts: &mut Texts<'_>) -> Vec<Text> {
    table.list("inputs").into_iter().map(|node| action::path(node, "input", texts)).collect()
}

/// `outputs` and `artifacts`, and the names of `outputs.values`.
fn outputs(table: Table<'_>, texts: &mut Texts<'_>) -> (Vec<OutputSpec>, Vec<String>) {
    let mut list: Vec<OutputSpec> = Vec::new();
    let mut values = Vec::new();
    let mut files = Vec::new();
    if let Some(node) = table.get("outputs") {
        match node.table(&tables::OUTPUTS) {
            None => files = node.items().collect(),
            Some(table) => {
                files = table.list("files");
                values = value_names(&table.list("values"), texts.diags);
            }
        }
    }
    let artifacts = table.list("artifacts");
    let all = files.into_iter().map(|node| (node, false)).chain(artifacts.into_iter().map(|node| (node, true)));
    for (node, artifact) in all {
        let what = if artifact { "artifact" } else { "output" };
        let sub = node.table(&tables::OUTPUT);
        let (class, normalize) = sub.map_or((Class::Stable, Vec::new()), |sub| class(sub, what, texts.diags));
        let node = match sub {
            Some(sub) => match required(sub, "path", what, texts.diags) {
                Some(node) => node,
                None => continue,
            },
            None => node,
        };
        let path = action::path(node, what, texts);
        match list.iter_mut().find(|known| known.path == path) {
            Some(known) if known.artifact || !artifact => {
                let message = format!("{what} `{}` is declared twice", path.src);
                let fault = Diagnostic::error("duplicate-output", node.place, message);
                texts.diags.push(fault.help("remove one of the two"));
            }
            Some(known) => {
                known.artifact = true;
                known.class = known.class.max(class);
                known.normalize.extend(normalize);
                if known.class != Class::Normalized {
                    known.normalize.clear();
                }
            }
            None => list.push(OutputSpec { path, class, artifact, normalize }),
        }
    }
    (list, values)
}

/// The class of an output and its filters: each goes with the other.
fn class(table: Table<'_>, what: &str, diags: &mut Diags) -> (Class, Vec<Filter>) {
    let filters: Vec<Filter> = table.list("normalize").into_iter().filter_map(|node| filter(node, diags)).collect();
    let normalize = table.get("normalize");
    match (table.get("class"), table.text("class"), normalize) {
        (_, None | Some("normalized"), Some(node)) => {
            if node.items().next().is_none() {
                let fault = Diagnostic::error("no-filter", node.place, "`normalize` names no filter".to_owned());
                diags.push(fault.help("name one, or declare the class `stable`"));
            }
            (Class::Normalized, filters)
        }
        (Some(node), Some("normalized"), None) => {
            let fault = Diagnostic::error("no-filter", node.place, format!("a normalized {what} needs `normalize`"));
            diags.push(fault.help("say what is left out of its digest, such as `normalize = [\"timestamps\"]`"));
            (Class::Normalized, filters)
        }
        (_, Some(word), Some(node)) => {
            let message = format!("a {word} {what} takes no `normalize`");
            let fault = Diagnostic::error("class-and-normalize", node.place, message);
            diags.push(fault.help("declare it `class = \"normalized\"`, or remove the filters"));
            (Class::Stable, Vec::new())
        }
        (_, Some("volatile"), None) => (Class::Volatile, Vec::new()),
        _ => (Class::Stable, Vec::new()),
    }
}

fn filter(node: Node<'_>, diags: &mut Diags) -> Option<Filter> {
    let Some(table) = node.table(&tables::FILTER) else {
        return Some(match node.text()? {
            "timestamps" => Filter::Timestamps,
            "hex-addresses" => Filter::HexAddresses,
            "workspace" => Filter::Workspace,
            "sort-lines" => Filter::SortLines,
            "crlf" => Filter::Crlf,
            _ => return None,
        });
    };
    let pattern = required(table, "replace", "a filter", diags)?;
    let with = required(table, "with", "a filter", diags)?;
    let text = pattern.text()?;
    if let Err(why) = normalize::pattern(text) {
        let fault = Diagnostic::error("bad-regex", pattern.place, format!("`replace` is no regular expression: {why}"));
        diags.push(fault.help("a character that means itself takes a `\\` before it"));
    }
    Some(Filter::Replace { pattern: text.to_owned(), with: with.text()?.to_owned() })
}

fn value_names(nodes: &[Node<'_>], diags: &mut Diags) -> Vec<String> {
    let mut values: Vec<String> = Vec::new();
    for node in nodes {
        let Some(name) = node.text() else { continue };
        if !super::names::is_identifier(name) {
            let fault = Diagnostic::error("bad-name", node.place, format!("`{name}` cannot be the name of an output"));
            diags.push(fault.help("names are letters, digits and `_`"));
        } else if values.iter().any(|known| known == name) {
            let fault = Diagnostic::error("duplicate-name", node.place, format!("output `{name}` is declared twice"));
            diags.push(fault.help("remove one of the two"));
        } else {
            values.push(name.to_owned());
        }
    }
    values
}

fn retry(both: Both<'_>, diags: &mut Diags) -> Retry {
    let mut retry = Retry::default();
    let Some(node) = both.get("retry") else { return retry };
    let Some(table) = node.table(&tables::RETRY) else {
        retry.limit = node.count().unwrap_or(0);
        return retry;
    };
    retry.limit = required(table, "limit", "`retry`", diags).and_then(Node::count).unwrap_or(0);
    retry.backoff = table.duration("backoff").unwrap_or(retry.backoff);
    retry.cap = table.duration("cap").unwrap_or(retry.cap);
    if let Some(node) = table.get("factor")
        && let Some(factor) = node.number()
    {
        let percent = factor.times(Num::int(100)).map_or(0, |scaled| scaled.num / scaled.den);
        match u32::try_from(percent) {
            Ok(percent @ 100..=10_000) => retry.factor_percent = percent,
            _ => {
                let got = node.scalar().unwrap_or_default();
                let message = format!("`factor` needs a number from 1 to 100, got {got}");
                diags.push(Diagnostic::error("out-of-range", node.place, message).label("out of range"));
            }
        }
    }
    let codes = table.list("exit").into_iter().filter_map(Node::int);
    retry.exit = codes.filter_map(|code| i32::try_from(code).ok()).collect();
    if let Some(zero) = table.list("exit").into_iter().find(|node| node.int() == Some(0)) {
        let fault = Diagnostic::error("retry-exit", zero.place, "exit code 0 is no failure to retry".to_owned());
        diags.push(fault.help("name the codes of failures that may pass, such as 75"));
    }
    retry
}

fn sampling(step: Table<'_>, diags: &mut Diags) -> Option<Sampling> {
    let table = step.get("sample")?.table(&tables::SAMPLE)?;
    let sampling = SampleKeys {
        delay: table.duration("delay"),
        every: table.duration("every"),
        max: table.count("max"),
        within: table.duration("within"),
        consecutive: table.count("consecutive"),
        failures: table.count("failures"),
        inconclusive: table.count("inconclusive"),
        errors: table.count("errors"),
    }
    .filled();
    let mut impossible = |key: &str, message: String, help: &str| {
        diags.push(Diagnostic::error("sample-impossible", table.key_place(key), message).help(help.to_owned()));
    };
    let Sampling { max, within, every, consecutive, failures, .. } = sampling;
    if let Some(max) = max.filter(|max| *max > 0) {
        if consecutive > max {
            let message = format!("{consecutive} looks in a row can never pass out of at most {max}");
            impossible("consecutive", message, "raise `max` or lower `consecutive`");
        }
        if failures.is_some_and(|failures| failures >= max) {
            impossible(
                "failures",
                format!("all {max} looks may fail, so this proves nothing"),
                "`failures` must be below `max`",
            );
        }
    }
    if let Some(within) = within
        && every.checked_mul(consecutive.saturating_sub(1)).is_none_or(|needed| needed > within)
    {
        let message = format!("{consecutive} looks, {every:?} apart, do not fit into {within:?}");
        impossible("within", message, "raise `within`, or lower `every` or `consecutive`");
    }
    Some(sampling)
}

fn ratchet(node: Node<'_>, diags: &mut Diags) -> Option<Ratchet> {
    let table = node.table(&tables::RATCHET)?;
    let mut read = |key: &str| {
        let node = table.get(key)?;
        let value = amount(node);
        if value.is_none() {
            let message = format!("`{key}` needs a number, with a unit if the fact has one");
            diags.push(
                Diagnostic::error("wrong-unit", node.place, message).help("such as `55`, `\"500ms\"` or `\"2MiB\"`"),
            );
        }
        value
    };
    let (goal, slack, floor) = (read("goal"), read("slack"), read("floor"));
    required(table, "floor", "`ratchet`", diags);
    // `55` and `55%` are the same beside each other.
    let points = |value: &Value| match value {
        Value::Num(num, Unit::Percent) => num.times(Num::int(100)).map(|num| (num, Unit::One)),
        Value::Num(num, unit) => Some((*num, *unit)),
        _ => None,
    };
    if let (Some((low, unit)), Some((high, other))) = (floor.as_ref().and_then(points), goal.as_ref().and_then(points))
        && unit == other
        && high < low
    {
        let fault = Diagnostic::error("ratchet", table.key_place("goal"), "`goal` is below `floor`");
        diags.push(fault.help("the threshold rises from `floor` to `goal`: swap the two"));
    }
    // With a faulty floor there still is a ratchet: who compares with it is not wrong too.
    let floor = floor.or_else(|| goal.clone()).unwrap_or(Value::Null);
    Some(Ratchet { floor, goal, slack, subject: String::new() })
}

/// A number with or without a unit.
fn amount(node: Node<'_>) -> Option<Value> {
    let Some(text) = node.text() else { return node.number().map(|num| Value::Num(num, Unit::One)) };
    if let Some(percent) = text.strip_suffix("pp").or_else(|| text.strip_suffix('%')) {
        let share = Num::decimal(percent.trim())?.times(Num::ratio(1, 100)?)?;
        return Some(Value::Num(share, Unit::Percent));
    }
    let plain = Num::decimal(text).map(|num| Value::Num(num, Unit::One));
    plain.or_else(|| units::duration(text).ok().map(Value::time)).or_else(|| units::size(text).ok().map(Value::size))
}
