//! A criterion that is being written: which names stand in it, and what may come next. Forgives whatever is not finished;
//! looks at words and the fact table, at no facts.

use std::ops::Range;

use super::ast::{Agg, Op, Quant, Type};
use super::check::kind_of;
use super::literal;
use super::scope::{Item, Kind, Scope};
use super::table::{STEP, spelled};
use crate::facts::Unit;

/// A part of a dotted name in a criterion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The name, without quotes.
    pub name: String,
    /// Its bytes in the text, without quotes.
    pub at: Range<usize>,
}

/// Every dotted name in a text, as far as it can be read: `steps.build.exit`, also within an aggregate. Texts in quotes
/// that are no part of a name are left out.
#[must_use]
pub fn dotted(text: &str) -> Vec<Vec<Part>> {
    let (mut found, mut at) = (Vec::new(), 0);
    while let Some(c) = text[at..].chars().next() {
        if matches!(c, '"' | '\'') {
            at = end_of_quoted(text, at);
        } else if is_word(c) {
            let (parts, end) = name_at(text, at);
            found.push(parts);
            at = end;
        } else {
            at += c.len_utf8();
        }
    }
    found
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '-'
}

/// Behind the quote that closes; the end of the text if none does.
fn end_of_quoted(text: &str, open: usize) -> usize {
    literal::quoted(&text[open..], open, true).map_or(text.len(), |(_, len)| open + len)
}

/// The dotted name that begins here, and where it ends.
fn name_at(text: &str, start: usize) -> (Vec<Part>, usize) {
    let (mut parts, mut at) = (Vec::new(), start);
    loop {
        let rest = &text[at..];
        if rest.starts_with(['"', '\'']) {
            let end = end_of_quoted(text, at);
            let closed = end > at + 1 && text[..end].ends_with(&rest[..1]);
            let inner = at + 1..if closed { end - 1 } else { end };
            parts.push(Part { name: text[inner.clone()].to_owned(), at: inner });
            at = end;
        } else {
            let len = rest.len() - rest.trim_start_matches(is_word).len();
            parts.push(Part { name: rest[..len].to_owned(), at: at..at + len });
            at += len;
        }
        if !text[at..].starts_with('.') {
            return (parts, at);
        }
        at += 1;
    }
}

/// What may be written next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// What is written; `"X"` in it stands for a text in quotes.
    pub text: String,
    /// What it is: `a time`, `operator`.
    pub detail: String,
    /// What it says.
    pub doc: &'static str,
    /// More is to follow: the name of a step, of an aggregate.
    pub open: bool,
}

impl Offer {
    fn new(text: impl Into<String>, detail: impl Into<String>, doc: &'static str) -> Self {
        Self { text: text.into(), detail: detail.into(), doc, open: false }
    }

    fn opening(text: impl Into<String>, detail: &str, doc: &'static str) -> Self {
        Self { open: true, ..Self::new(text, detail, doc) }
    }
}

/// What may stand at the end of `before`, and from where on it takes the place of what is there.
#[must_use]
pub fn offers(before: &str, scope: &Scope<'_>) -> (usize, Vec<Offer>) {
    let start = before.len() - before.trim_start().len();
    let start = match before[start..].strip_prefix("not") {
        Some(rest) if rest.starts_with(char::is_whitespace) => before.len() - rest.trim_start().len(),
        _ => start,
    };
    let subject = &before[start..];
    let Some(end) = end_of_subject(subject) else {
        let (inner, in_aggregate) = match subject.find('(') {
            Some(open) if is_aggregate(&subject[..open]) => (start + open + 1, true),
            _ => (start, false),
        };
        let from = before.len() - before[inner..].trim_start().len();
        return (from, names(&before[from..], scope, !in_aggregate));
    };
    let (subject, rest) = (subject[..end].trim_end(), &subject[end..]);
    let kind = kind_of(inside(subject), scope).ok();
    let spoken = rest.trim_start();
    let from = before.len() - spoken.len();
    let Some((op, value)) = operator(spoken) else {
        return (from, operators(kind));
    };
    let from = before.len() - value.len();
    match op {
        "is" => (from, Type::WORDS.iter().map(|(word, _)| Offer::new(*word, "type", "")).collect()),
        "exists" => (from, Vec::new()),
        _ => operand(value, from, kind, scope),
    }
}

/// Where the subject is complete: there is white space behind it.
fn end_of_subject(text: &str) -> Option<usize> {
    let (mut depth, mut at) = (0, 0);
    while let Some(c) = text[at..].chars().next() {
        match c {
            '"' | '\'' => {
                at = end_of_quoted(text, at);
                continue;
            }
            '(' => depth += 1,
            ')' => depth -= 1,
            c if depth <= 0 && (c.is_whitespace() || "=!<>".contains(c)) => return Some(at),
            _ => {}
        }
        at += c.len_utf8();
    }
    None
}

fn is_aggregate(word: &str) -> bool {
    Agg::named(word).is_some() || Quant::named(word).is_some()
}

/// What a quantifier ranges over: that is what it compares.
fn inside(subject: &str) -> &str {
    match subject.split_once('(') {
        Some((word, rest)) if Quant::named(word).is_some() => rest.trim_end_matches(')').trim(),
        _ => subject,
    }
}

/// The operator that is complete, and what stands behind it.
fn operator(text: &str) -> Option<(&str, &str)> {
    let symbols = text.len() - text.trim_start_matches(['=', '!', '<', '>']).len();
    let len = if symbols > 0 { symbols } else { text.find(char::is_whitespace)? };
    let (word, rest) = text.split_at(len);
    let known = word == "is" || word == "exists" || Op::ALL.iter().any(|op| op.word() == word);
    // `<` may become `<=`.
    (known && rest.starts_with(char::is_whitespace)).then(|| (word, rest.trim_start()))
}

/// Names that begin as `typed` does: whole paths, so that what is chosen is a fact.
fn names(typed: &str, scope: &Scope<'_>, aggregates: bool) -> Vec<Offer> {
    let (parts, _) = name_at(typed, 0);
    match (parts.first().map(|part| part.name.as_str()), parts.len()) {
        (Some("vars"), 2..) => {
            let offer = |(name, kind): (&String, &Kind)| Offer::new(format!("vars.{name}"), kind.to_string(), "");
            return scope.vars.iter().map(offer).collect();
        }
        (Some("steps"), 2) => return steps(scope),
        (Some("steps"), 3..) => return facts_of_step(&parts[1].name, scope),
        _ => {}
    }
    let mut list = if scope.only_globals { Vec::new() } else { own(scope) };
    if aggregates && !scope.only_globals {
        let word = |word: &str, doc| Offer::opening(format!("{word}("), "aggregate", doc);
        list.extend(Agg::WORDS.iter().map(|(name, _)| word(name, "over all looks, or the items of a list")));
        list.extend(["p50", "p95", "p99"].map(|name| word(name, "percentile over all looks, or the items of a list")));
        list.extend(Quant::WORDS.iter().map(|(name, _)| word(name, "whether it holds for so many of the items")));
    }
    if !scope.vars.is_empty() {
        list.push(Offer::opening("vars.", "variables", "variables of the plan"));
    }
    list.push(Offer::opening("steps.", "steps", "facts of an earlier step"));
    if scope.only_globals {
        list.push(Offer::opening("env.", "environment", "a variable of the environment"));
    }
    list
}

fn own(scope: &Scope<'_>) -> Vec<Offer> {
    facts(&scope.shape, "")
}

fn facts(shape: &super::Shape, before: &str) -> Vec<Offer> {
    let named = shape.values.iter().map(|(name, kind)| Offer::new(format!("{before}{name}"), kind.to_string(), ""));
    let spec = |spec: &'static super::FactSpec| {
        let detail = if spec.optional { format!("{}, may be absent", spec.kind) } else { spec.kind.to_string() };
        spelled(spec.path).into_iter().map(move |path| Offer::new(format!("{before}{path}"), detail.clone(), spec.doc))
    };
    named.chain(shape.specs().flat_map(spec)).collect()
}

/// A name as it stands between dots.
fn segment(name: &str) -> String {
    if name.chars().all(is_word) { name.to_owned() } else { format!("\"{name}\"") }
}

fn steps(scope: &Scope<'_>) -> Vec<Offer> {
    let before = |name: &String| (scope.step)(name).is_some_and(|step| step.upstream);
    let names = (scope.known_steps)().into_iter().filter(before);
    names.map(|name| Offer::opening(format!("steps.{}", segment(&name)), "step", "")).collect()
}

fn facts_of_step(name: &str, scope: &Scope<'_>) -> Vec<Offer> {
    let Some(step) = (scope.step)(name) else { return Vec::new() };
    let before = format!("steps.{}.", segment(name));
    let state = STEP.iter().filter(|spec| spec.path == "state");
    let state = state.map(|spec| Offer::new(format!("{before}{}", spec.path), spec.kind.to_string(), spec.doc));
    let outputs = step.outputs.iter().map(|output| {
        Offer::new(format!("{before}outputs.{}", segment(output)), Kind::TEXT.to_string(), "a named output")
    });
    state.chain(outputs).chain(facts(&step.shape, &before)).collect()
}

/// Operators that a value of that kind has.
fn operators(kind: Option<Kind>) -> Vec<Offer> {
    const ORDER: [&str; 7] = ["==", "!=", "<", "<=", ">", ">=", "in"];
    const TEXT: [&str; 9] = ["==", "!=", "contains", "matches", "starts_with", "ends_with", "in", "semver", "exists"];
    const LIST: [&str; 6] = ["contains", "superset_of", "subset_of", "same_set", "==", "exists"];
    let words: Vec<&str> = match kind {
        Some(Kind::One(Item::Number(_))) => ORDER.into_iter().chain(["exists"]).collect(),
        Some(Kind::One(Item::Bool)) => vec!["==", "!="],
        Some(Kind::One(Item::Text)) => TEXT.to_vec(),
        Some(Kind::List(_)) => LIST.to_vec(),
        Some(Kind::One(Item::Any)) | None => Op::ALL.iter().map(|op| op.word()).chain(["exists", "is"]).collect(),
    };
    words.into_iter().map(|word| Offer::new(word, "operator", meaning(word))).collect()
}

fn meaning(word: &str) -> &'static str {
    match word {
        "in" => "one of a list: `status in [200, 204]`",
        "matches" => "a regular expression finds something in it",
        "semver" => "a version requirement: `version semver \">=1.2\"`",
        "superset_of" => "has all of these",
        "subset_of" => "has nothing but these",
        "same_set" => "has exactly these, in any order",
        "exists" => "is there at all",
        "is" => "has this type",
        _ => "",
    }
}

/// What may be compared with.
fn operand(value: &str, from: usize, kind: Option<Kind>, scope: &Scope<'_>) -> (usize, Vec<Offer>) {
    let item = kind.map(Kind::item);
    let digits = value.len() - value.trim_start_matches(|c: char| c.is_ascii_digit() || "+-.".contains(c)).len();
    if digits > 0 && !value[digits..].contains(char::is_whitespace) {
        let units: &[(&str, &'static str)] = match item {
            Some(Item::Number(Unit::Time)) => &[
                ("ms", "milliseconds"),
                ("s", "seconds"),
                ("m", "minutes"),
                ("h", "hours"),
                ("d", "days"),
                ("us", "microseconds"),
                ("ns", "nanoseconds"),
            ],
            Some(Item::Number(Unit::Size)) => {
                &[("B", "bytes"), ("KiB", "1024 bytes"), ("MiB", "1024 KiB"), ("GiB", "1024 MiB")]
            }
            _ => &[],
        };
        let number = &value[..digits];
        return (from, units.iter().map(|(unit, doc)| Offer::new(format!("{number}{unit}"), "unit", doc)).collect());
    }
    if value.starts_with("baseline") && value.contains(char::is_whitespace) {
        let points = matches!(item, Some(Item::Number(Unit::Percent))).then_some("- 1pp");
        let adjusted = ["+ 10%", "- 10%"].into_iter().chain(points);
        return (from, adjusted.map(|word| Offer::new(format!("baseline {word}"), "distance", "")).collect());
    }
    let head = value.split('.').next().unwrap_or("");
    if value.contains('.') && (head == "vars" || head == "steps") {
        return (from, names(value, scope, false));
    }
    let mut list = match item {
        Some(Item::Bool) => vec![Offer::new("true", "", ""), Offer::new("false", "", "")],
        Some(Item::Text) => vec![Offer::new("\"X\"", "text", "a text in quotes")],
        _ => Vec::new(),
    };
    if scope.ratchet {
        list.push(Offer::new("ratchet", "threshold", "what was reached before"));
    }
    if scope.baseline && matches!(item, Some(Item::Number(_))) {
        list.push(Offer::new("baseline", "threshold", "what the last run that passed had, or the other side"));
    }
    if !scope.vars.is_empty() {
        list.push(Offer::opening("vars.", "variables", "variables of the plan"));
    }
    list.push(Offer::opening("steps.", "steps", "facts of an earlier step"));
    (from, list)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::action::ActionKind;
    use crate::criteria::{Shape, StepScope};

    fn shape(kind: ActionKind) -> Shape {
        let json = kind == ActionKind::Http;
        let (probe, values) = (None, BTreeMap::new());
        Shape { kind, report: false, json, many: false, sampled: false, probe, two_sided: false, values }
    }

    fn at(kind: ActionKind, before: &str) -> (String, Vec<String>) {
        let vars = BTreeMap::from([("port".to_owned(), Kind::NUMBER)]);
        let step = |name: &str| {
            (name == "build" || name == "t[os=a]").then(|| StepScope {
                shape: shape(ActionKind::Run),
                outputs: vec!["version".to_owned()],
                upstream: true,
            })
        };
        let scope = Scope {
            shape: shape(kind),
            vars: &vars,
            ratchet: false,
            baseline: true,
            compare: None,
            only_globals: false,
            step: &step,
            known_steps: &|| ["build", "t[os=a]", "later"].map(str::to_owned).to_vec(),
        };
        let (from, list) = offers(before, &scope);
        let typed = before[from..].to_owned();
        let texts = list.into_iter().map(|offer| offer.text);
        let fitting = texts.filter(|text| text.starts_with(&typed)).collect();
        (typed, fitting)
    }

    fn http(before: &str) -> Vec<String> {
        at(ActionKind::Http, before).1
    }

    #[test]
    fn a_criterion_is_offered_piece_by_piece() {
        assert_eq!(http("la"), ["latency", "last("]);
        assert_eq!(http("not la"), ["latency", "last("]);
        assert_eq!(http("p95(la"), ["latency"]);
        assert_eq!(http("latency "), ["==", "!=", "<", "<=", ">", ">=", "in", "exists"]);
        assert_eq!(http("latency <"), ["<", "<="]);
        assert!(http("text ").contains(&"contains".to_owned()) && !http("text ").contains(&"<".to_owned()));
        assert_eq!(http("latency < 5"), ["5ms", "5s", "5m", "5h", "5d", "5us", "5ns"]);
        assert_eq!(http("size <= 64K"), ["64KiB"]);
        assert_eq!(http("size <= 64"), ["64B", "64KiB", "64MiB", "64GiB"]);
        assert_eq!(http("status == 200"), Vec::<String>::new());
        assert_eq!(http("latency <= base"), ["baseline"]);
        assert_eq!(http("every(headers) "), http("headers "));
        assert_eq!(http("json is n"), ["number", "null"]);
        assert!(http("he").contains(&"header.\"NAME\"".to_owned()));
    }

    #[test]
    fn names_of_others_are_offered() {
        assert_eq!(http("steps."), ["steps.build", "steps.\"t[os=a]\""]);
        assert!(http("steps.build.").contains(&"steps.build.exit".to_owned()));
        assert!(http("steps.build.o") == ["steps.build.outputs.version"]);
        assert_eq!(http("status == vars."), ["vars.port"]);
        assert_eq!(at(ActionKind::Report, "percent(l").0, "l");
    }

    #[test]
    fn dotted_names_with_their_places() {
        let text = "p95(steps.load.latency) < vars.most and \"steps.x\" == steps.\"t[os=a]\".exit";
        let found = dotted(text);
        let shown: Vec<String> = found
            .iter()
            .map(|parts| parts.iter().map(|part| part.name.as_str()).collect::<Vec<_>>().join("|"))
            .collect();
        assert_eq!(shown, ["p95", "steps|load|latency", "vars|most", "and", "steps|t[os=a]|exit"]);
        assert_eq!(&text[found[4][1].at.clone()], "t[os=a]");
        for broken in ["", "steps.", "steps.\"", "steps.\"a", ".", "é.ü", "'", "a.'", "not", "p95(", "a b c d"] {
            assert!(dotted(broken).len() <= broken.len() && http(broken).len() < 1000);
        }
    }
}
