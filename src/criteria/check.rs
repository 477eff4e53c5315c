//! The type check at load: names, units, operators, patterns. Knows kinds of facts, no facts.

use std::ops::Range;

use regex::Regex;
use semver::VersionReq;

use super::ast::{Adjust, Agg, Compare, Compiled, Lit, LitUnit, Op, Operand, Path, Quant, Seg, Subject, Test, Type};
use super::compared::{self, Places};
use super::scope::{self, Item, Kind, Scope};
use super::{Criterion, Fault, parse};
use crate::facts::{Num, Unit};

/// Type-checks a criterion and completes it (patterns are compiled, `percent(lines)` is told from an aggregate).
/// Returns everything that is wrong; a criterion with faults must not be evaluated.
pub fn check(criterion: &mut Criterion, scope: &Scope<'_>) -> Vec<Fault> {
    let mut faults = Vec::new();
    let subject_at = criterion.form.subject_at.clone();
    let text = criterion.text.get(subject_at.clone()).unwrap_or("").to_owned();
    let kind = subject_kind(&mut criterion.form.subject, scope, &subject_at).map_err(|fault| faults.push(fault)).ok();
    criterion.form.unit = kind.and_then(|kind| if let Item::Number(unit) = kind.item() { Some(unit) } else { None });
    let left = Left { kind, text: &text, at: &subject_at };
    let is_agg = matches!(criterion.form.subject, Subject::Agg { .. });
    match &mut criterion.form.test {
        Test::Exists if is_agg => faults.push(
            Fault::new(format!("`{text}` is a figure, not something that exists"), subject_at.clone())
                .help("compare it, or ask whether its list `exists`"),
        ),
        Test::Exists => {}
        Test::Is(ty) => faults.extend(left.is_type(*ty)),
        Test::Compare(compare) => {
            let Compare { op, op_at, operand, operand_at, compiled, compared } = compare.as_mut();
            let right = right_kind(operand, scope, operand_at, &left, &mut faults);
            if matches!(operand, Operand::Baseline(_)) && scope.baseline && scope.compare.is_none() {
                faults.extend(no_baseline(&criterion.form.subject, operand_at));
            }
            if let (Some(kind), Some(right)) = (kind, right) {
                faults.extend(left.compare(kind, *op, op_at, &right, operand_at));
            }
            match compile(*op, operand, operand_at) {
                Ok(done) => *compiled = done,
                Err(fault) if faults.is_empty() => faults.push(fault),
                Err(_) => {}
            }
            if let (Operand::Baseline(adjust), Some(comparing), true) = (&*operand, scope.compare, faults.is_empty()) {
                let places = Places { subject: &subject_at, op: op_at, operand: operand_at };
                match compared::check(&criterion.form.subject, *op, *adjust, comparing, scope, &places) {
                    Ok(found) => *compared = Some(Box::new(found)),
                    Err(fault) => faults.push(fault),
                }
            }
        }
    }
    faults
}

/// The kind of a subject alone (for `value` and `ratchet`).
///
/// # Errors
/// What is wrong with it.
pub fn kind_of(subject_text: &str, scope: &Scope<'_>) -> Result<Kind, Fault> {
    let mut subject = parse::subject(subject_text)?;
    if let Subject::Quant { .. } = subject {
        return Err(Fault::new(format!("`{subject_text}` is no value"), 0..subject_text.len())
            .help("`every`, `some` and `none` only stand in a comparison"));
    }
    subject_kind(&mut subject, scope, &(0..subject_text.len()))
}

fn subject_kind(subject: &mut Subject, scope: &Scope<'_>, at: &Range<usize>) -> Result<Kind, Fault> {
    if let Subject::Agg { agg, path, .. } = subject
        && let [only] = path.segs.as_slice()
        && !only.quoted
        && only.param.is_none()
        && let Some(name) = word_of(*agg)
    {
        let family = Seg { name: name.to_owned(), quoted: false, param: Some(only.name.clone()), at: at.clone() };
        if scope.is_fact(&family) || (scope::is_of_report(&family) && !scope.is_fact(only)) {
            let path =
                Path { segs: vec![family], at: at.clone(), optional: false, each: false, json: None, glob: None };
            *subject = Subject::Path(path);
        }
    }
    match subject {
        Subject::Path(path) => scope.resolve(path),
        Subject::Agg { agg, path, samples } => {
            let kind = scope.resolve(path)?;
            let agg = *agg;
            if agg == Agg::Percent
                && let [only] = path.segs.as_slice()
                && matches!(only.name.as_str(), "lines" | "branches")
            {
                let message = format!("`percent({})` is a fact of `report`, and there is none", only.name);
                return Err(Fault::new(message, at.clone()).help("read a coverage report: `report = \"coverage.xml\"`"));
            }
            percentile_range(agg, at)?;
            if agg == Agg::Age {
                return match kind {
                    Kind::One(Item::Text | Item::Any) => Ok(Kind::TIME),
                    other => {
                        Err(Fault::new(format!("`age(…)` takes a date as text, `{path}` is {other}"), path.at.clone()))
                    }
                };
            }
            let item = ranged(&word_or_p(agg), kind, path, scope, samples)?;
            aggregate(agg, item, path)
        }
        Subject::Quant { quant, path, samples } => {
            let kind = scope.resolve(path)?;
            let name = Quant::WORDS.iter().find(|(_, q)| q == quant).map_or("every", |(word, _)| word);
            ranged(name, kind, path, scope, samples).map(Kind::One)
        }
    }
}

fn word_of(agg: Agg) -> Option<&'static str> {
    Agg::WORDS.iter().find(|(_, known)| *known == agg).map(|(word, _)| *word)
}

fn word_or_p(agg: Agg) -> String {
    word_of(agg).map_or_else(|| "p…".to_owned(), str::to_owned)
}

fn percentile_range(agg: Agg, at: &Range<usize>) -> Result<(), Fault> {
    match agg {
        Agg::Percentile(p) if p > Num::int(100) => {
            Err(Fault::new("a percentile lies between `p0` and `p100`", at.clone()).help("for example `p95(latency)`"))
        }
        _ => Ok(()),
    }
}

/// Kind of what `name(path)` ranges over; notes whether that is the looks of a sampled step.
fn ranged(name: &str, kind: Kind, path: &Path, scope: &Scope<'_>, samples: &mut bool) -> Result<Item, Fault> {
    let foreign = matches!(path.head(), "vars" | "env" | "steps");
    *samples = scope.shape.sampled && !foreign && matches!(kind, Kind::One(_));
    match kind {
        Kind::List(item) => Ok(item),
        Kind::One(item) if *samples || item == Item::Any => Ok(item),
        Kind::One(_) if foreign => {
            Err(Fault::new(format!("`{name}(…)` needs a list, `{path}` is {kind}"), path.at.clone()))
        }
        Kind::One(_) => {
            Err(Fault::new(format!("`{name}(…)` needs several values, `{path}` is {kind}"), path.at.clone())
                .help(format!("compare `{path}` itself, or let the step look more than once: `sample = {{ … }}`")))
        }
    }
}

fn aggregate(agg: Agg, item: Item, path: &Path) -> Result<Kind, Fault> {
    let number = match item {
        Item::Number(unit) => Some(unit),
        Item::Any => Some(Unit::One),
        Item::Bool | Item::Text => None,
    };
    let wrong = |what: &str| {
        let of = match item {
            Item::Number(_) => "numbers".to_owned(),
            Item::Text => "texts".to_owned(),
            other => other.to_string(),
        };
        let name = word_or_p(agg);
        Fault::new(format!("`{name}(…)` needs {what}, `{path}` gives {of}"), path.at.clone())
    };
    match agg {
        Agg::Count => Ok(Kind::NUMBER),
        Agg::Last => Ok(Kind::One(item)),
        Agg::Rate | Agg::Percent if !matches!(item, Item::Bool | Item::Any) => {
            Err(wrong("values that are true or false"))
        }
        Agg::Rate => Ok(Kind::NUMBER),
        Agg::Percent => Ok(Kind::PERCENT),
        _ => number.map(|unit| Kind::One(Item::Number(unit))).ok_or_else(|| wrong("numbers")),
    }
}

/// What stands on the right, as far as the check needs it.
enum Right {
    Lits(Vec<Lit>),
    Lit(Lit),
    Kind(Kind, String),
    /// `ratchet`, or a baseline: of the subject's own kind.
    Same(&'static str),
}

fn right_kind(
    operand: &mut Operand,
    scope: &Scope<'_>,
    at: &Range<usize>,
    left: &Left<'_>,
    faults: &mut Vec<Fault>,
) -> Option<Right> {
    match operand {
        Operand::Lit(lit) => Some(Right::Lit(lit.clone())),
        Operand::List(lits) => Some(Right::Lits(lits.clone())),
        Operand::Path(path) => match scope.resolve(path) {
            Ok(kind) => Some(Right::Kind(kind, path.to_string())),
            Err(fault) => {
                let bare = path.segs.len() == 1 && path.segs[0].param.is_none();
                faults.push(if bare { bare_word(path, fault) } else { fault });
                None
            }
        },
        Operand::Ratchet if !scope.ratchet => {
            faults.push(
                Fault::new("the step has no `ratchet`", at.clone()).help("add `ratchet = { floor = …, goal = … }`"),
            );
            None
        }
        Operand::Ratchet => Some(Right::Same("ratchet")),
        Operand::Baseline(_) if !scope.baseline => {
            faults.push(
                Fault::new("there is no `baseline` here", at.clone()).help("only the criteria of a step have one"),
            );
            None
        }
        Operand::Baseline(adjust) => {
            faults.extend(left.adjust(*adjust, at));
            Some(Right::Same("baseline"))
        }
    }
}

/// Why a subject has no value in an earlier run.
fn no_baseline(subject: &Subject, at: &Range<usize>) -> Option<Fault> {
    if matches!(subject, Subject::Quant { .. }) {
        let fault = Fault::new("one of many values has no `baseline` of its own", at.clone());
        return Some(fault.help("compare one value: `min(…) >= baseline`, `avg(…) <= baseline + 10%`"));
    }
    let path = subject.path();
    matches!(path.head(), "steps" | "vars" | "env").then(|| {
        Fault::new(format!("`{path}` has no `baseline`: it is no fact of this step"), at.clone())
            .help("compare it in its own step, or give it a name here: `value = { NAME = \"steps.X.FACT\" }`")
    })
}

/// A bare word that is no fact is most often text without quotes.
fn bare_word(path: &Path, fault: Fault) -> Fault {
    let word = &path.segs[0].name;
    let help = match fault.help {
        Some(help) if help.starts_with("did you mean") => format!("text goes in quotes: `\"{word}\"`; or {help}"),
        _ => format!("text goes in quotes: `\"{word}\"`"),
    };
    Fault::new(format!("`{word}` is neither a literal nor a fact"), path.at.clone()).help(help)
}

struct Left<'a> {
    kind: Option<Kind>,
    text: &'a str,
    at: &'a Range<usize>,
}

impl Left<'_> {
    fn is_type(&self, ty: Type) -> Option<Fault> {
        let possible = match self.kind? {
            Kind::One(Item::Any) => true,
            Kind::List(_) => ty == Type::List,
            Kind::One(Item::Bool) => ty == Type::Bool,
            Kind::One(Item::Text) => matches!(ty, Type::String | Type::Date | Type::Duration | Type::Size),
            Kind::One(Item::Number(Unit::Time)) => matches!(ty, Type::Number | Type::Duration),
            Kind::One(Item::Number(Unit::Size)) => matches!(ty, Type::Number | Type::Size),
            Kind::One(Item::Number(_)) => ty == Type::Number,
        };
        (!possible).then(|| {
            let kind = self.kind.unwrap_or(Kind::ANY);
            Fault::new(format!("`{}` can't be a {}: it is always {kind}", self.text, ty.word()), self.at.clone())
        })
    }

    fn adjust(&self, adjust: Option<Adjust>, at: &Range<usize>) -> Option<Fault> {
        let item = self.kind?.item();
        let number = match item {
            Item::Any => Unit::One,
            Item::Number(unit) => unit,
            Item::Bool | Item::Text => {
                return adjust
                    .map(|_| Fault::new(format!("`{}` is {item}: nothing can be added to it", self.text), at.clone()));
            }
        };
        let Some(Adjust::Absolute(_, unit)) = adjust else { return None };
        if number == Unit::Percent && unit == LitUnit::Plain {
            return Some(
                Fault::new("a distance from a percentage needs `pp` or `%`", at.clone())
                    .help("`1pp` is one percentage point, `1%` one hundredth of the baseline"),
            );
        }
        let fits = unit.unit() == number || (number == Unit::One && unit == LitUnit::Points);
        (!fits).then(|| {
            Fault::new(format!("`{}` is {item}, this distance is {}", self.text, Item::Number(unit.unit())), at.clone())
                .help(unit_help(number))
        })
    }

    fn compare(&self, kind: Kind, op: Op, op_at: &Range<usize>, right: &Right, at: &Range<usize>) -> Option<Fault> {
        if let Some(fault) = self.operator(kind, op, op_at) {
            return Some(fault);
        }
        let item = kind.item();
        match (op, right) {
            (Op::Semver | Op::Matches, _) => None,
            (_, Right::Same(word)) => {
                let fits = !op.is_text() && op != Op::In && op != Op::Contains;
                (!fits).then(|| {
                    Fault::new(format!("`{}` does not go with `{word}`", op.word()), op_at.clone())
                        .help("compare with `==`, `!=`, `<`, `<=`, `>` or `>=`")
                })
            }
            (Op::In, Right::Lits(lits)) if lits.is_empty() => {
                Some(Fault::new("nothing is in an empty list", at.clone()).help("for example `in [200, 204]`"))
            }
            (Op::In, Right::Kind(Kind::List(of), name)) => self.same(item, *of, name, at),
            (Op::In, Right::Kind(Kind::One(Item::Any), _)) => None,
            (Op::In | Op::SupersetOf | Op::SubsetOf | Op::SameSet, Right::Lits(lits)) => {
                lits.iter().find_map(|lit| self.literal(item, lit, at))
            }
            (Op::In, Right::Lit(Lit::Text(text))) if item == Item::Text => Some(
                Fault::new("`in` needs a list", at.clone())
                    .help(format!("`in [\"{text}\"]`, or turn it round: `contains`")),
            ),
            (Op::In, _) => Some(Fault::new("`in` needs a list", at.clone()).help("for example `in [200, 204]`")),
            (op, Right::Kind(Kind::List(of), name)) if op.is_set() => self.same(item, *of, name, at),
            (op, Right::Kind(Kind::One(Item::Any), _)) if op.is_set() => None,
            (op, _) if op.is_set() => Some(
                Fault::new(format!("`{}` needs a list", op.word()), at.clone())
                    .help("for example `[\"a\", \"b\"]` or `template.keys`"),
            ),
            (Op::Eq | Op::Ne, Right::Lits(lits)) => match kind {
                Kind::One(Item::Any) => None,
                Kind::List(_) => lits.iter().find_map(|lit| self.literal(item, lit, at)),
                Kind::One(_) => Some(
                    Fault::new(format!("`{}` is {kind}, not a list", self.text), at.clone()).help("did you mean `in`?"),
                ),
            },
            (Op::Eq | Op::Ne, _) if matches!(kind, Kind::List(_)) => match right {
                Right::Kind(Kind::List(of), name) => self.same(item, *of, name, at),
                Right::Kind(Kind::One(Item::Any), _) => None,
                _ => Some(self.list_subject(kind)),
            },
            (_, Right::Lits(_)) => Some(Fault::new(format!("`{}` does not take a list", op.word()), at.clone())),
            (_, Right::Lit(lit)) => self.literal(item, lit, at),
            (_, Right::Kind(right @ Kind::List(_), name)) => {
                let help =
                    if matches!(op, Op::Eq | Op::Ne) { "did you mean `in`?" } else { "a single value is needed" };
                Some(Fault::new(format!("`{name}` is {right}"), at.clone()).help(help))
            }
            (_, Right::Kind(Kind::One(of), name)) => self.same(item, *of, name, at),
        }
    }

    /// Whether the operator goes with the subject's kind at all.
    fn operator(&self, kind: Kind, op: Op, at: &Range<usize>) -> Option<Fault> {
        let wrong =
            |needs: &str| Fault::new(format!("`{}` needs {needs}, `{}` is {kind}", op.word(), self.text), at.clone());
        match (op, kind) {
            (_, Kind::One(Item::Any)) | (Op::Eq | Op::Ne, _) => None,
            (Op::Contains, Kind::List(_) | Kind::One(Item::Text)) => None,
            (op, Kind::List(_)) if op.is_set() => None,
            (op, Kind::List(_)) if op != Op::Contains => Some(self.list_subject(kind)),
            (Op::In, Kind::One(_)) => None,
            (op, Kind::One(Item::Number(_))) if op.is_order() => None,
            (op, Kind::One(Item::Text)) if op.is_text() => None,
            (op, _) if op.is_order() => {
                Some(wrong("a number").help("only numbers have an order; try `==` or `matches`"))
            }
            (op, _) if op.is_set() => Some(wrong("a list").help("for one value write `in [ … ]`")),
            (Op::Contains, _) => Some(wrong("text or a list").help("compare numbers with `==`, `<` or `in [ … ]`")),
            _ => Some(wrong("text").help("compare numbers with `==`, `<` or `in [ … ]`")),
        }
    }

    fn list_subject(&self, kind: Kind) -> Fault {
        let text = self.text;
        let help = match kind.item() {
            Item::Number(_) => {
                format!("say which: `every({text})`, `some({text})`, `min({text})`, `max({text})`, `count({text})`")
            }
            _ => format!("say which: `every({text})`, `some({text})`, `none({text})` or `count({text})`"),
        };
        Fault::new(format!("`{text}` is {kind}"), self.at.clone()).help(help)
    }

    fn literal(&self, item: Item, lit: &Lit, at: &Range<usize>) -> Option<Fault> {
        let fits = match (item, lit) {
            (Item::Any, _) | (Item::Bool, Lit::Bool(_)) | (Item::Text, Lit::Text(_)) => true,
            (Item::Number(_), Lit::Num(n, LitUnit::Plain)) if n.num == 0 => true,
            (Item::Number(unit), Lit::Num(_, written)) => match unit {
                Unit::Percent => matches!(written, LitUnit::Plain | LitUnit::Points),
                Unit::One => matches!(written, LitUnit::Plain | LitUnit::Points | LitUnit::Octal),
                Unit::Time | Unit::Size | Unit::Octal => written.unit() == unit,
            },
            _ => false,
        };
        (!fits).then(|| {
            let fault = Fault::new(format!("`{}` is {item}, this is {}", self.text, lit.noun()), at.clone());
            match (item, lit) {
                (Item::Number(unit), Lit::Num(..)) => fault.help(unit_help(unit)),
                (Item::Number(_), Lit::Text(text)) if Num::decimal(text).is_some() => {
                    fault.help(format!("without the quotes: `{text}`"))
                }
                (Item::Text, Lit::Num(..) | Lit::Bool(_)) => fault.help("text goes in quotes"),
                (Item::Bool, _) => fault.help("compare it with `true` or `false`"),
                _ => fault,
            }
        })
    }

    fn same(&self, item: Item, of: Item, name: &str, at: &Range<usize>) -> Option<Fault> {
        let fits = match (item, of) {
            (Item::Any, _) | (_, Item::Any) => true,
            (Item::Number(a), Item::Number(b)) => {
                a == b
                    || matches!(
                        (a, b),
                        (Unit::Percent | Unit::Octal, Unit::One) | (Unit::One, Unit::Percent | Unit::Octal)
                    )
            }
            (a, b) => a == b,
        };
        (!fits).then(|| {
            let fault = Fault::new(format!("`{}` is {item}, `{name}` is {of}", self.text), at.clone());
            match (item, of) {
                (Item::Number(_), Item::Text) if name.starts_with("vars.") => {
                    fault.help(format!("put the variable's text into the criterion: `{{{{ {name} }}}}`"))
                }
                _ => fault,
            }
        })
    }
}

fn unit_help(unit: Unit) -> &'static str {
    match unit {
        Unit::One => "a plain number, without a unit",
        Unit::Time => "write a time, for example `500ms` or `1m30s`",
        Unit::Size => "write a size, for example `10KiB`",
        Unit::Percent => "write the percentage as a plain number: `55`",
        Unit::Octal => "write a mode in octal, for example `0o600`",
    }
}

/// Compiles what `matches` and `semver` need.
fn compile(op: Op, operand: &Operand, at: &Range<usize>) -> Result<Compiled, Fault> {
    let Operand::Lit(Lit::Text(text)) = operand else {
        return match op {
            Op::Matches => Err(Fault::new("`matches` needs a quoted regular expression", at.clone())
                .help("for example `matches \"^ok\"`")),
            Op::Semver => Err(Fault::new("`semver` needs a quoted version requirement", at.clone())
                .help("for example `semver \">=1.2, <2\"`")),
            _ => Ok(Compiled::No),
        };
    };
    match op {
        Op::Matches => Regex::new(text).map(Compiled::Regex).map_err(|error| {
            let why = error.to_string();
            let why = why.lines().last().unwrap_or("").trim().trim_start_matches("error: ").to_owned();
            Fault::new(format!("`{text}` is no regular expression: {why}"), at.clone())
                .help("a character that means itself takes a `\\` before it")
        }),
        Op::Semver => VersionReq::parse(text).map(Compiled::Semver).map_err(|error| {
            Fault::new(format!("`{text}` is no version requirement: {error}"), at.clone())
                .help("for example `semver \">=1.2, <2\"`")
        }),
        _ => Ok(Compiled::No),
    }
}
