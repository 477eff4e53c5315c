//! What a plan declares besides steps and variables: `[plan]`, `[env]`, `[secrets]`, `[pools]`, `[ports]`, `[decision]`,
//! `[[risk]]`. Several files add up; a name stands once.

use std::collections::HashMap;
use std::hash::Hash;

use camino::{Utf8Path, Utf8PathBuf};

use super::diags::Diags;
use super::error::Diagnostic;
use super::names::is_identifier;
use super::tables;
use super::text::{Texts, env_name};
use super::tree::{Entry, Node, Table};
use super::{DecisionPolicy, EnvPolicy, LoadOptions, OnFailure, Plan, Pool, Risk, RunWhen, Secret, SecretSource, Var};
use crate::outcome::Severity;
use crate::place::Place;

/// Shortest secret in bytes: shorter ones would be masked in innocent text.
const SHORTEST_SECRET: usize = 8;

/// Names that may stand only once, over all files.
pub(super) struct Once<K> {
    what: &'static str,
    seen: HashMap<K, Place>,
}

impl<K: Hash + Eq + std::fmt::Display> Once<K> {
    pub(super) fn new(what: &'static str) -> Self {
        Self { what, seen: HashMap::new() }
    }

    /// Whether this is the first of that name; says so if not.
    pub(super) fn first(&mut self, name: K, place: Place, diags: &mut Diags) -> bool {
        if let Some(first) = self.seen.get(&name) {
            let fault = Diagnostic::error("duplicate-name", place, format!("{} `{name}` is declared twice", self.what));
            diags.push(fault.related(*first, "first declared here").help("remove or rename one of the two"));
            return false;
        }
        self.seen.insert(name, place);
        true
    }
}

/// Says that a table lacks a key it cannot do without.
pub(super) fn required<'t>(table: Table<'t>, key: &str, what: &str, diags: &mut Diags) -> Option<Node<'t>> {
    let node = table.get(key);
    if node.is_none() && !table.misspelt(key) {
        let fault = Diagnostic::error("missing-key", table.place, format!("{what} needs `{key}`"));
        let help = table.about(key).map(|known| {
            let doc = known.doc.trim_end_matches('.');
            let first = doc.chars().next().map(|c| c.to_lowercase().to_string()).unwrap_or_default();
            let doc = if doc.starts_with("URL") { doc.to_owned() } else { first + doc.get(1..).unwrap_or("") };
            let example = if known.example.is_empty() { known.shape.sketch() } else { known.example };
            format!("add `{key} = {example}`: {doc}")
        });
        diags.push(fault.hint(help));
    }
    node
}

/// All entries of one table over all files.
pub(super) fn entries<'t>(roots: &[Table<'t>], key: &str) -> impl Iterator<Item = Entry<'t>> {
    roots.iter().filter_map(move |root| root.get(key)?.map()).flat_map(Table::entries)
}

/// `on_failure`.
pub(super) fn on_failure(node: Option<Node<'_>>) -> Option<OnFailure> {
    Some(match node?.text()? {
        "independent" => OnFailure::Independent,
        "stop" => OnFailure::Stop,
        "continue" => OnFailure::Continue,
        _ => return None,
    })
}

/// `run_when`.
pub(super) fn run_when(node: Option<Node<'_>>) -> Option<RunWhen> {
    Some(match node?.text()? {
        "success" => RunWhen::Success,
        "failure" => RunWhen::Failure,
        "completed" => RunWhen::Completed,
        "always" => RunWhen::Always,
        _ => return None,
    })
}

/// `severity`.
pub(super) fn severity(node: Option<Node<'_>>) -> Option<Severity> {
    Some(match node?.text()? {
        "low" => Severity::Low,
        "medium" => Severity::Medium,
        "high" => Severity::High,
        "critical" => Severity::Critical,
        _ => return None,
    })
}

/// A weight of 0 to 1 in thousandths.
pub(super) fn weight(node: Option<Node<'_>>, diags: &mut Diags) -> Option<u32> {
    let node = node?;
    node.number()?;
    let weight = node.permille();
    if weight.is_none() {
        let message = format!("`weight` needs a number from 0 to 1, got {}", node.scalar().unwrap_or_default());
        diags.push(Diagnostic::error("out-of-range", node.place, message).label("out of range"));
    }
    weight
}

/// `[env]`.
pub(super) fn env(roots: &[Table<'_>], texts: &mut Texts<'_>) -> EnvPolicy {
    let mut policy = EnvPolicy::default();
    if !roots.iter().any(|root| root.get("env").and_then(Node::map).is_some_and(|table| table.has("pass"))) {
        policy.pass = INHERITED.map(str::to_owned).to_vec();
    }
    let mut once = Once::new("environment variable");
    for table in roots.iter().filter_map(|root| root.get("env")?.table(&tables::ENV)) {
        for node in table.list("pass") {
            let name = node.text().unwrap_or_default().to_owned();
            if env_name(&name, node.place, texts.diags) && !policy.pass.contains(&name) {
                policy.pass.push(name);
            }
        }
        if let Some(set) = table.get("set").and_then(Node::map) {
            for entry in set.entries() {
                once.first(entry.key.to_owned(), entry.key_place, texts.diags);
            }
            policy.set.extend(texts.env(set));
        }
    }
    policy
}

/// What children inherit if the plan has no `[env] pass`: enough to find programs and their settings.
const INHERITED: [&str; 2] = ["HOME", "PATH"];

/// `[secrets]`.
pub(super) fn secrets(roots: &[Table<'_>], diags: &mut Diags) -> Vec<Secret> {
    let mut once = Once::new("secret");
    let mut list = Vec::new();
    for entry in entries(roots, "secrets") {
        if !once.first(entry.key.to_owned(), entry.key_place, diags) || !identifier("secret", entry, diags) {
            continue;
        }
        let Some(table) = entry.node.table(&tables::SECRET) else { continue };
        let random = table.get("random").and_then(Node::bool).unwrap_or(false);
        // Still declared: who uses it is not wrong too.
        let unknown = || SecretSource::Env { name: entry.key.to_owned(), random: true };
        let source = match (table.text("env"), table.text("file")) {
            (Some(env), None) => SecretSource::Env { name: env.to_owned(), random },
            (None, Some(file)) => SecretSource::File(file.to_owned()),
            (None, None) if ["env", "file"].iter().any(|key| table.has(key) || table.misspelt(key)) => unknown(),
            _ => {
                let fault = Diagnostic::error(
                    "secret-source",
                    entry.key_place,
                    format!("secret `{}` needs one source", entry.key),
                );
                diags.push(fault.help("write `{ env = \"NAME\" }` or `{ file = \"path\" }`"));
                unknown()
            }
        };
        list.push(Secret { name: entry.key.to_owned(), source, place: entry.key_place });
    }
    list
}

fn identifier(what: &str, entry: Entry<'_>, diags: &mut Diags) -> bool {
    let good = is_identifier(entry.key);
    if !good {
        let fault =
            Diagnostic::error("bad-name", entry.key_place, format!("`{}` cannot be the name of a {what}", entry.key));
        diags.push(fault.help("names are letters, digits and `_`"));
    }
    good
}

/// Checks a secret's value: there if a step (`user`) needs it, long enough to be masked, and nowhere in the plan itself,
/// whose texts are recorded as they stand. The value is never shown.
pub(super) fn check_secret(
    secret: &Secret,
    user: Option<Place>,
    plan: &Plan,
    options: &LoadOptions<'_>,
    diags: &mut Diags,
) {
    let (whence, value) = match &secret.source {
        SecretSource::Env { name, random } => match (options.env)(name) {
            None if *random => return,
            value => (name, value.ok_or_else(|| (format!("`{name}` is not set"), format!("`export {name}=…`")))),
        },
        SecretSource::File(path) => {
            let text = std::fs::read_to_string(plan.workspace.join(path));
            let why = |error| (format!("can't read `{path}`: {error}"), format!("make `{path}`"));
            (path, text.map(|text| text.trim_end_matches(['\n', '\r']).to_owned()).map_err(why))
        }
    };
    let value = match (value, user) {
        (Ok(value), _) => value,
        (Err(_), None) => return,
        (Err((why, make)), Some(user)) => {
            let message = format!("secret `{}` has no value: {why}", secret.name);
            let fault = Diagnostic::error("secret-missing", secret.place, message).related(user, "used here");
            return diags.push(fault.help(format!("set it before the run: {make}")));
        }
    };
    if value.len() < SHORTEST_SECRET {
        let message = format!("secret `{}` is shorter than {SHORTEST_SECRET} bytes", secret.name);
        let fault = Diagnostic::error("secret-short", secret.place, message).label(format!("from `{whence}`"));
        diags.push(fault.help("so short a value cannot be masked without damage to other text; use a longer one"));
    } else if let Some(at) = stands_in(&value, plan) {
        let message = format!("the value of secret `{}` stands in the plan: {at}", secret.name);
        let fault = Diagnostic::error("secret-in-plan", secret.place, message).label(format!("from `{whence}`"));
        diags.push(
            fault.help("plans and their variables are recorded as they stand; take it out, or use another value"),
        );
    }
}

/// Where the plan itself says this: a line of a file, or a variable.
fn stands_in(value: &str, plan: &Plan) -> Option<String> {
    let lines = plan.sources.files.iter().find_map(|file| {
        let at = file.text.find(value)?;
        let line = file.text[..at].bytes().filter(|byte| *byte == b'\n').count() + 1;
        Some(format!("line {line} of `{}`", file.path))
    });
    lines.or_else(|| {
        let holds = |(_, var): &(&String, &Var)| super::shown(&var.value).contains(value);
        plan.vars.iter().find(holds).map(|(name, _)| format!("the variable `{name}`"))
    })
}

/// `[pools]`.
pub(super) fn pools(roots: &[Table<'_>], diags: &mut Diags) -> Vec<Pool> {
    let mut once = Once::new("pool");
    let mut list = Vec::new();
    for entry in entries(roots, "pools") {
        if once.first(entry.key.to_owned(), entry.key_place, diags) {
            list.push(Pool { name: entry.key.to_owned(), capacity: entry.node.count().unwrap_or(1).max(1) });
        }
    }
    list
}

/// `[ports]`.
pub(super) fn ports(roots: &[Table<'_>], diags: &mut Diags) -> Vec<String> {
    let mut once = Once::new("port");
    let mut list = Vec::new();
    for table in roots.iter().filter_map(|root| root.get("ports")?.table(&tables::PORTS)) {
        for node in table.list("names") {
            let Some(name) = node.text() else { continue };
            let entry = Entry { key: name, key_place: node.place, node };
            if identifier("port", entry, diags) && once.first(name.to_owned(), node.place, diags) {
                list.push(name.to_owned());
            }
        }
    }
    list
}

/// `[decision]`.
pub(super) fn decision(root: Table<'_>, diags: &mut Diags) -> DecisionPolicy {
    let mut policy = DecisionPolicy::default();
    let table = root.get("decision").and_then(|node| node.table(&tables::DECISION));
    let Some(bounds) = table.and_then(|table| table.get("risk")).and_then(|node| node.table(&tables::BOUNDS)) else {
        return policy;
    };
    policy.go = bounds.count("go").unwrap_or(policy.go);
    policy.no_go = bounds.count("no_go").unwrap_or(policy.no_go);
    if policy.go > policy.no_go {
        let message = format!("`go` ({}) is above `no_go` ({})", policy.go, policy.no_go);
        let place = if bounds.has("go") { bounds.key_place("go") } else { bounds.key_place("no_go") };
        diags.push(
            Diagnostic::error("risk-bounds", place, message)
                .help("GO is for the lower risks: `risk = { go = 40, no_go = 70 }`"),
        );
    }
    policy
}

/// `[[risk]]`; `when` is read by the caller's function.
pub(super) fn risks<'t>(
    roots: &[Table<'t>],
    texts: &mut Texts<'_>,
    when: &mut dyn FnMut(Table<'t>, &mut Texts<'_>) -> Vec<crate::criteria::Criterion>,
) -> Vec<Risk> {
    let mut once = Once::new("risk");
    let mut list = Vec::new();
    for node in roots.iter().flat_map(|root| root.list("risk")) {
        let Some(table) = node.table(&tables::RISK) else { continue };
        table.get("title");
        let Some(id) = required(table, "id", "a risk factor", texts.diags) else { continue };
        let name = id.text().unwrap_or_default().to_owned();
        let weight = weight(table.get("weight"), texts.diags);
        let severity = severity(table.get("severity")).unwrap_or_default();
        if once.first(name.clone(), id.place, texts.diags) {
            let when = when(table, texts);
            list.push(Risk {
                id: name,
                weight_permille: weight.unwrap_or_else(|| severity.permille()),
                when,
                place: id.place,
            });
        }
    }
    list
}

/// `[plan] workspace`: absolute, relative to the main file's folder.
pub(super) fn workspace(plan: Option<Table<'_>>, main: &Utf8Path, diags: &mut Diags) -> Utf8PathBuf {
    let folder = main.parent().filter(|folder| !folder.as_str().is_empty()).unwrap_or(Utf8Path::new("."));
    let folder = folder.canonicalize_utf8().unwrap_or_else(|_| folder.to_owned());
    let Some(node) = plan.and_then(|plan| plan.get("workspace")) else { return folder };
    let wanted = folder.join(node.text().unwrap_or("."));
    match wanted.canonicalize_utf8() {
        Ok(path) if path.is_dir() => path,
        _ => {
            let fault = Diagnostic::error(
                "bad-workspace",
                node.place,
                format!("no such folder: `{}`", node.text().unwrap_or("")),
            );
            diags.push(fault.help("`workspace` is relative to the plan file's folder"));
            folder
        }
    }
}
