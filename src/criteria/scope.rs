//! What a criterion may name, and the kind of each name. Knows the fact table, no facts.

use std::collections::BTreeMap;
use std::fmt;

use globset::GlobBuilder;
use serde_json_path::JsonPath;

use super::Fault;
use super::ast::{Agg, Path, Quant, Seg};
use super::compared::Comparing;
use super::suggest::{listed, nearest};
use super::table::{FactSpec, STEP, facts_of, fits, glob_of, spelled};
use crate::action::{Action, ActionKind, Probe};
use crate::facts::{Unit, Value};

/// Kind of a single value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Item {
    /// Known at run time only (JSON).
    Any,
    /// True or false.
    Bool,
    /// Text.
    Text,
    /// A number.
    Number(Unit),
}

/// Kind of a fact or variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A single value; of `Any`, it may turn out to be a list.
    One(Item),
    /// A list.
    List(Item),
}

impl Kind {
    /// Known at run time only.
    pub const ANY: Self = Self::One(Item::Any);
    /// True or false.
    pub const BOOL: Self = Self::One(Item::Bool);
    /// Text.
    pub const TEXT: Self = Self::One(Item::Text);
    /// A plain number.
    pub const NUMBER: Self = Self::One(Item::Number(Unit::One));
    /// A time.
    pub const TIME: Self = Self::One(Item::Number(Unit::Time));
    /// A size.
    pub const SIZE: Self = Self::One(Item::Number(Unit::Size));
    /// A percentage.
    pub const PERCENT: Self = Self::One(Item::Number(Unit::Percent));
    /// A file mode.
    pub const MODE: Self = Self::One(Item::Number(Unit::Octal));

    /// The kind of a known value.
    #[must_use]
    pub fn of(value: &Value) -> Self {
        match value {
            Value::Bool(_) => Self::BOOL,
            Value::Num(_, unit) => Self::One(Item::Number(*unit)),
            Value::Text(_) => Self::TEXT,
            Value::List(items) => {
                let mut kinds = items.iter().map(|item| Self::of(item).item());
                let first = kinds.next().unwrap_or(Item::Any);
                Self::List(if kinds.all(|kind| kind == first) { first } else { Item::Any })
            }
            Value::Null | Value::Map(_) | Value::Json(_) => Self::ANY,
        }
    }

    /// Of one item.
    #[must_use]
    pub fn item(self) -> Item {
        match self {
            Self::One(item) | Self::List(item) => item,
        }
    }
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Any => "any value",
            Self::Bool => "true or false",
            Self::Text => "text",
            Self::Number(Unit::One) => "a plain number",
            Self::Number(Unit::Time) => "a time",
            Self::Number(Unit::Size) => "a size",
            Self::Number(Unit::Percent) => "a percentage",
            Self::Number(Unit::Octal) => "a file mode",
        })
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(item) => item.fmt(f),
            Self::List(Item::Any) => f.write_str("a list"),
            Self::List(Item::Bool) => f.write_str("a list of true or false"),
            Self::List(Item::Text) => f.write_str("a list of texts"),
            Self::List(Item::Number(Unit::Percent)) => f.write_str("a list of percentages"),
            Self::List(Item::Number(Unit::Time)) => f.write_str("a list of times"),
            Self::List(Item::Number(Unit::Size)) => f.write_str("a list of sizes"),
            Self::List(Item::Number(Unit::Octal)) => f.write_str("a list of file modes"),
            Self::List(Item::Number(Unit::One)) => f.write_str("a list of numbers"),
        }
    }
}

/// What one step's action offers.
#[derive(Clone, Debug, PartialEq)]
pub struct Shape {
    /// Its action.
    pub kind: ActionKind,
    /// A `report` is read after it, so that its facts are there too.
    pub report: bool,
    /// Standard output is read as JSON.
    pub json: bool,
    /// Looks at several files or addresses: facts of one are lists.
    pub many: bool,
    /// Looks more than once: a single fact has one value a look.
    pub sampled: bool,
    /// Readiness of a service looks by this action.
    pub probe: Option<ActionKind>,
    /// Every look has a second side, stored as `compare`.
    pub two_sided: bool,
    /// Names given by `value = { … }`.
    pub values: BTreeMap<String, Kind>,
}

impl Shape {
    /// The shape of an action alone; the caller adds `report`, `sampled` and `values`.
    #[must_use]
    pub fn of(action: &Action) -> Self {
        let (mut json, mut many, mut probe) = (false, false, None);
        match action {
            Action::Run(run) => json = run.parse.is_some(),
            Action::Http(http) => (json, many) = (true, !http.is_single()),
            Action::File(file) => many = !file.is_single(),
            Action::Service(service) => match &service.ready.probe {
                Probe::Http(_) => (probe, json) = (Some(ActionKind::Http), true),
                Probe::Run(_) => probe = Some(ActionKind::Run),
                Probe::Log(_) | Probe::Tcp(_) | Probe::Started => {}
            },
            Action::Render(_)
            | Action::Value(_)
            | Action::Report(_)
            | Action::Git(_)
            | Action::Checklist(_)
            | Action::Net(_)
            | Action::Load(_)
            | Action::Promql(_)
            | Action::Signoff(_)
            | Action::Plan(_)
            | Action::Alert(_) => {}
        }
        let two_sided = action.is_two_sided();
        Self {
            kind: action.kind(),
            report: false,
            json,
            many,
            sampled: false,
            probe,
            two_sided,
            values: BTreeMap::new(),
        }
    }

    pub(super) fn specs(&self) -> impl Iterator<Item = &'static FactSpec> + '_ {
        let report = if self.report { facts_of(ActionKind::Report) } else { &[] };
        let probe = self.probe.map_or(&[] as &[FactSpec], facts_of);
        let read = |spec: &&FactSpec| self.json || spec.path.split('.').next() != Some("json");
        facts_of(self.kind).iter().chain(probe).chain(report).filter(read)
    }

    /// Kind of a path and whether it may be absent.
    fn find(&self, segs: &[Seg]) -> Option<Found> {
        if let [only] = segs
            && let Some(kind) = self.values.get(&only.key())
        {
            return Some(Found::sure(*kind));
        }
        let spec = self.specs().find(|spec| fits(spec.path, segs))?;
        let one_each = self.many && spec.path != "count" && facts_of(self.kind).contains(spec);
        Some(match spec.kind {
            Kind::List(item) if one_each && spec.path.starts_with("cert.") => {
                Found { each: true, ..Found::sure(Kind::List(item)) }
            }
            Kind::One(item) if one_each => Found { each: segs.len() > 1, ..Found::sure(Kind::List(item)) },
            kind => Found { kind, optional: spec.optional, each: false },
        })
    }

    /// Every path it offers, spelled out.
    fn names(&self) -> Vec<String> {
        let own = self.values.keys().cloned();
        own.chain(self.specs().flat_map(|spec| spelled(spec.path))).collect()
    }
}

/// What a path came to.
struct Found {
    kind: Kind,
    /// May be absent.
    optional: bool,
    /// One value a file, below a top-level fact.
    each: bool,
}

impl Found {
    fn sure(kind: Kind) -> Self {
        Self { kind, optional: false, each: false }
    }

    fn maybe(kind: Kind) -> Self {
        Self { kind, optional: true, each: false }
    }
}

/// Another step, as seen from the criterion's step.
#[derive(Clone, Debug, PartialEq)]
pub struct StepScope {
    /// What its action offers.
    pub shape: Shape,
    /// Names of its `outputs` values.
    pub outputs: Vec<String>,
    /// It is needed or followed, directly or through others.
    pub upstream: bool,
}

/// What a step offers to its criteria.
pub struct Scope<'a> {
    /// Facts of the step itself.
    pub shape: Shape,
    /// Kinds of `vars.*`.
    pub vars: &'a BTreeMap<String, Kind>,
    /// The step has a `ratchet`.
    pub ratchet: bool,
    /// A `baseline` can be had.
    pub baseline: bool,
    /// How it is compared with, if the step says so.
    pub compare: Option<Comparing<'a>>,
    /// No facts of the step itself (`when`, `[[risk]]`).
    pub only_globals: bool,
    /// Another step by name; `None` if there is none.
    pub step: &'a dyn Fn(&str) -> Option<StepScope>,
    /// Names of all steps, for suggestions.
    pub known_steps: &'a dyn Fn() -> Vec<String>,
}

impl Scope<'_> {
    /// Kind of a path; fills in what the path needs at run time.
    pub(super) fn resolve(&self, path: &mut Path) -> Result<Kind, Fault> {
        let Found { kind, optional, each } = match path.head() {
            "vars" => self.var(path)?,
            "env" => env(path)?,
            "steps" => self.other(path)?,
            _ => self.own(path)?,
        };
        (path.optional, path.each) = (optional, each);
        compile(path, kind)
    }

    fn var(&self, path: &Path) -> Result<Found, Fault> {
        let [_, name] = path.segs.as_slice() else {
            return Err(Fault::new(format!("`{path}` names no variable"), path.at.clone()).help("write `vars.NAME`"));
        };
        self.vars.get(&name.key()).map(|kind| Found::sure(*kind)).ok_or_else(|| {
            let names: Vec<&str> = self.vars.keys().map(String::as_str).collect();
            unknown(&format!("there is no variable `{}`", name.name), name, &names, "variables")
        })
    }

    fn other(&self, path: &Path) -> Result<Found, Fault> {
        let (Some(name), Some(_)) = (path.segs.get(1), path.segs.get(2)) else {
            return Err(Fault::new(format!("`{path}` names no fact of a step"), path.at.clone())
                .help("write `steps.NAME.FACT`, for example `steps.build.exit` or `steps.build.state`"));
        };
        let Some(step) = (self.step)(&name.key()) else {
            let names = (self.known_steps)();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let base = format!("{}[", name.key());
            if let Some(cell) = names.iter().find(|known| known.starts_with(&base)) {
                let message = format!("`{}` stands for several steps", name.key());
                let rest = path.segs[2..].iter().map(|seg| seg.name.as_str()).collect::<Vec<_>>().join(".");
                let help = format!("name one of them, in quotes: `steps.\"{cell}\".{rest}`");
                return Err(Fault::new(message, name.at.clone()).help(help));
            }
            return Err(unknown(&format!("there is no step `{}`", name.key()), name, &names, "steps"));
        };
        if !step.upstream {
            return Err(Fault::new(format!("`{}` does not come before this step", name.key()), name.at.clone())
                .help("add it to `needs` or `after`"));
        }
        let segs = &path.segs[2..];
        if let [outputs, output] = segs
            && outputs.key() == "outputs"
        {
            if !step.outputs.contains(&output.key()) {
                let names: Vec<&str> = step.outputs.iter().map(String::as_str).collect();
                let message = format!("`{}` has no named output `{}`", name.key(), output.key());
                return Err(unknown(&message, output, &names, "its outputs"));
            }
            return Ok(Found::maybe(Kind::TEXT));
        }
        let found = STEP.iter().find(|spec| fits(spec.path, segs)).map(|spec| Found {
            kind: spec.kind,
            optional: spec.optional,
            each: false,
        });
        found.or_else(|| step.shape.find(segs)).ok_or_else(|| {
            let names = step.shape.names();
            let names: Vec<&str> = names.iter().map(String::as_str).chain(STEP.iter().map(|spec| spec.path)).collect();
            no_fact(segs, &step.shape, &names, &format!("step `{}`", name.key()))
        })
    }

    fn own(&self, path: &Path) -> Result<Found, Fault> {
        let found = self.shape.find(&path.segs);
        if self.only_globals {
            let message = match found {
                Some(_) => format!("`{path}` is not known before the step has run"),
                None => format!("`{path}` is no value that can be asked for here"),
            };
            return Err(Fault::new(message, path.at.clone())
                .help("only `vars.NAME`, `env.NAME` and `steps.NAME.FACT` are; text goes in quotes"));
        }
        found.ok_or_else(|| {
            let names = self.shape.names();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            no_fact(&path.segs, &self.shape, &names, &format!("`{}`", self.shape.kind.word()))
        })
    }

    /// Whether this names a fact of the step itself (decides `percent(lines)`).
    pub(super) fn is_fact(&self, seg: &Seg) -> bool {
        self.shape.find(std::slice::from_ref(seg)).is_some()
    }
}

/// Whether a `report` would offer this.
pub(super) fn is_of_report(seg: &Seg) -> bool {
    facts_of(ActionKind::Report).iter().any(|spec| fits(spec.path, std::slice::from_ref(seg)))
}

fn env(path: &Path) -> Result<Found, Fault> {
    match path.segs.as_slice() {
        [_, name] if name.param.is_none() => Ok(Found::maybe(Kind::TEXT)),
        _ => {
            Err(Fault::new(format!("`{path}` names no environment variable"), path.at.clone()).help("write `env.NAME`"))
        }
    }
}

fn unknown(message: &str, seg: &Seg, names: &[&str], what: &str) -> Fault {
    let fault = Fault::new(message, seg.at.clone());
    match nearest(&seg.name, names.iter().copied()) {
        Some(name) => fault.help(format!("did you mean `{name}`?")),
        None if names.is_empty() => fault.help(format!("{what}: none are declared")),
        None => fault.help(format!("{what}: {}", listed(names, 8))),
    }
}

/// The fault for a path that the action does not offer.
fn no_fact(segs: &[Seg], shape: &Shape, names: &[&str], owner: &str) -> Fault {
    let written =
        Path { segs: segs.to_vec(), at: 0..0, optional: false, each: false, json: None, glob: None }.to_string();
    let at = segs.first().map_or(0, |seg| seg.at.start)..segs.last().map_or(0, |seg| seg.at.end);
    let fault = Fault::new(format!("{owner} has no fact `{written}`"), at);
    let head = segs.first().map_or("", |seg| seg.name.as_str());
    if head == "json" && shape.kind == ActionKind::Run && !shape.json && segs.len() <= 2 {
        return fault.help("say how stdout is read: `parse = \"json\"`");
    }
    if let Some(spec) = names.iter().find(|name| name.split('.').next() == Some(head) && name.contains('"')) {
        return fault.help(format!("it is written `{spec}`, in quotes"));
    }
    let foreign = ActionKind::ALL.into_iter().find(|kind| facts_of(*kind).iter().any(|spec| fits(spec.path, segs)));
    if let Some(kind) = foreign {
        return fault.help(format!("that is a fact of `{}`; its own facts: {}", kind.word(), listed(names, 14)));
    }
    if let Some(param) = segs.first().and_then(|seg| seg.param.as_ref())
        && nearest(&written, names.iter().copied()).is_none()
        && let Some(function) = meant_function(head)
    {
        return fault.help(format!("did you mean `{function}({param})`?"));
    }
    let meant = MEANT.iter().find(|(word, fact)| *word == head && segs.len() == 1 && names.contains(fact));
    if let Some(name) = meant.map(|(_, fact)| *fact).or_else(|| nearest(&written, names.iter().copied())) {
        return fault.help(format!("did you mean `{name}`?"));
    }
    let heads = names.iter().filter(|name| name.contains('.')).filter_map(|name| name.split('.').next());
    if segs.len() > 1
        && let Some(near) = nearest(head, heads)
        && let Some(name) = names.iter().find(|name| name.split('.').next() == Some(near) && name.contains('.'))
    {
        return fault.help(format!("did you mean `{name}`?"));
    }
    fault.help(format!("its facts: {}", listed(names, 14)))
}

/// What people call a fact.
const MEANT: [(&str, &str); 12] = [
    ("code", "status"),
    ("code", "exit"),
    ("status_code", "status"),
    ("exit_code", "exit"),
    ("exitcode", "exit"),
    ("status", "exit"),
    ("body", "text"),
    ("content", "text"),
    ("output", "stdout"),
    ("duration", "latency"),
    ("time", "latency"),
    ("time", "duration"),
];

/// Deepest nesting of a JSONPath: what reads it goes down once a level.
const DEEPEST_QUERY: usize = 32;

/// The aggregate or quantifier that somebody probably meant.
fn meant_function(word: &str) -> Option<&'static str> {
    match word {
        "average" | "mean" => Some("avg"),
        "median" => Some("med"),
        "maximum" => Some("max"),
        "minimum" => Some("min"),
        "all" => Some("every"),
        "any" => Some("some"),
        "len" | "length" => Some("count"),
        _ => nearest(word, Agg::WORDS.iter().map(|(name, _)| *name).chain(Quant::WORDS.iter().map(|(name, _)| *name))),
    }
}

/// Compiles the JSONPath or glob of a path; returns its final kind.
fn compile(path: &mut Path, kind: Kind) -> Result<Kind, Fault> {
    if let Some((seg, query)) = json_query(path) {
        let mut deep = 0_usize;
        for c in query.chars() {
            match c {
                '[' | '(' => deep += 1,
                ']' | ')' => deep = deep.saturating_sub(1),
                _ => {}
            }
            if deep > DEEPEST_QUERY {
                return Err(Fault::new("this JSONPath is nested too deeply", seg)
                    .help(format!("at most {DEEPEST_QUERY} levels of `[` and `(`")));
            }
        }
        let parsed = JsonPath::parse(&query).map_err(|error| {
            let begin = if query.starts_with('$') { "" } else { "it begins with `$`, " };
            Fault::new(format!("`{query}` is no JSONPath: {error}"), seg)
                .help(format!("{begin}for example `json.\"$.items[0].name\"`"))
        })?;
        path.json = Some(parsed);
        return Ok(if is_plural(&query) { Kind::List(Item::Any) } else { kind });
    }
    let Some(glob) = glob_of(path) else { return Ok(kind) };
    path.glob = Some(
        matcher(path, glob).map_err(|error| Fault::new(format!("`{glob}` is no glob: {error}"), path.at.clone()))?,
    );
    Ok(Kind::List(kind.item()))
}

pub(super) fn json_query(path: &Path) -> Option<(std::ops::Range<usize>, String)> {
    let [.., json, query] = path.segs.as_slice() else { return None };
    let at_front = path.segs.len() == 2 || (path.head() == "steps" && path.segs.len() == 4);
    (at_front && query.quoted && !json.quoted && json.key() == "json").then(|| (query.at.clone(), query.name.clone()))
}

pub(super) fn matcher(path: &Path, glob: &str) -> Result<globset::GlobMatcher, String> {
    let is_test = path.segs.iter().rev().nth(2).is_some_and(|seg| seg.name == "test");
    let mut pattern = String::new();
    for c in glob.chars() {
        match c {
            '[' | ']' | '{' | '}' if is_test => pattern.extend(['[', c, ']']),
            c => pattern.push(c),
        }
    }
    let glob = GlobBuilder::new(&pattern).literal_separator(!is_test).backslash_escape(!is_test).build();
    glob.map(|glob| glob.compile_matcher()).map_err(|error| error.kind().to_string())
}

/// Whether a JSONPath may find more than one node.
pub(super) fn is_plural(query: &str) -> bool {
    let mut quote = None;
    let mut bare = String::new();
    let mut chars = query.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(_), '\\') => drop(chars.next()),
            (Some(open), c) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(c),
            (None, c) => bare.push(c),
        }
    }
    bare.contains(['*', '?', ',', ':']) || bare.contains("..")
}
