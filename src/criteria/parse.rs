//! The grammar: text in, a form out. Knows names of operators and units, but no facts and no types of facts.

use std::ops::Range;

use super::Fault;
use super::ast::{
    Adjust, Agg, Compare, Compiled, Form, Lit, LitUnit, Op, Operand, Path, Quant, Seg, Subject, Test, Type,
};
use super::literal;
use super::suggest::{listed, nearest};

/// Parses a whole criterion.
pub(super) fn criterion(text: &str) -> Result<Form, Fault> {
    let mut parser = Parser { text, at: 0 };
    let negated = parser.negation()?;
    let start = parser.at;
    let subject = parser.subject()?;
    let subject_at = start..parser.at;
    let test = parser.test(&subject_at)?;
    parser.end()?;
    Ok(Form { negated, subject, subject_at, unit: None, test })
}

/// Parses a subject alone.
pub(super) fn subject(text: &str) -> Result<Subject, Fault> {
    let mut parser = Parser { text, at: 0 };
    parser.space();
    let subject = parser.subject()?;
    parser.end()?;
    Ok(subject)
}

struct Parser<'t> {
    text: &'t str,
    at: usize,
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '-'
}

impl<'t> Parser<'t> {
    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn space(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    fn take(&mut self, token: &str) -> bool {
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    /// The word here, without consuming it.
    fn word(&self) -> &'t str {
        let rest = self.rest();
        &rest[..rest.len() - rest.trim_start_matches(is_word).len()]
    }

    /// The range of what stands here, up to white space (at least one character), for messages.
    fn here(&self) -> Range<usize> {
        let len = self.rest().find(char::is_whitespace).unwrap_or(self.rest().len());
        self.at..self.at + len
    }

    fn negation(&mut self) -> Result<bool, Fault> {
        self.space();
        if self.rest().is_empty() {
            return Err(Fault::new("an empty criterion", 0..self.text.len()).help("for example `exit == 0`"));
        }
        let mut negated = false;
        while self.word() == "not" || self.peek() == Some('!') {
            let start = self.at;
            if !self.take("not") {
                return Err(Fault::new("`!` is no negation here", start..start + 1).help("write `not`"));
            }
            if negated {
                return Err(Fault::new("`not` stands here twice", start..self.at).help("leave both out"));
            }
            negated = true;
            self.space();
        }
        Ok(negated)
    }

    fn subject(&mut self) -> Result<Subject, Fault> {
        let start = self.at;
        let name = self.function();
        if let Some(inner) = name.and_then(|name| self.rest()[name.len()..].trim_start().strip_prefix('(')) {
            let name = name.unwrap_or_default();
            let (agg, quant) = (Agg::named(name), Quant::named(name));
            if agg.is_some() || quant.is_some() {
                self.at = self.text.len() - inner.len();
                self.space();
                if self.peek() == Some(')') {
                    return Err(Fault::new(format!("`{name}(…)` of what?"), start..self.at + 1)
                        .help(format!("for example `{name}(latency)`")));
                }
                let path = self.path()?;
                self.space();
                if !self.take(")") {
                    return Err(Fault::new(format!("`{name}(` is not closed"), start..self.at).help("add `)`"));
                }
                if self.peek() == Some('.') {
                    return Err(Fault::new(format!("nothing can follow `{name}(…)`"), self.here())
                        .help("put the whole path into the brackets"));
                }
                return Ok(match (agg, quant) {
                    (_, Some(quant)) => Subject::Quant { quant, path, samples: false },
                    (Some(agg), None) => Subject::Agg { agg, path, samples: false },
                    (None, None) => Subject::Path(path),
                });
            }
        }
        self.path().map(Subject::Path)
    }

    /// A word that may be a function's name: `p99.9` is one.
    fn function(&self) -> Option<&'t str> {
        let (rest, word) = (self.rest(), self.word());
        let fraction = rest[word.len()..]
            .strip_prefix('.')
            .filter(|_| word.strip_prefix('p').is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit())));
        if let Some(fraction) = fraction {
            let digits = fraction.len() - fraction.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            if digits > 0 && fraction[digits..].trim_start().starts_with('(') {
                return Some(&rest[..word.len() + 1 + digits]);
            }
        }
        (!word.is_empty()).then_some(word)
    }

    fn path(&mut self) -> Result<Path, Fault> {
        let start = self.at;
        let mut segs = Vec::new();
        loop {
            segs.push(self.seg()?);
            if !self.take(".") {
                break;
            }
        }
        Ok(Path { segs, at: start..self.at, optional: false, each: false, json: None, glob: None })
    }

    fn seg(&mut self) -> Result<Seg, Fault> {
        let start = self.at;
        if matches!(self.peek(), Some('"' | '\'')) {
            let (name, len) = literal::quoted(self.rest(), start, false)?;
            self.at += len;
            return Ok(Seg { name, quoted: true, param: None, at: start..self.at });
        }
        let word = self.word();
        if word.is_empty() {
            return Err(match self.peek() {
                None => Fault::new("a name is missing here", start..start),
                Some(c) => Fault::new(format!("a name is expected here, not `{}`", c.escape_debug()), self.here())
                    .help("a criterion reads `subject operator value`, for example `exit == 0`"),
            });
        }
        self.at += word.len();
        let name = word.to_owned();
        if !self.take("(") {
            return Ok(Seg { name, quoted: false, param: None, at: start..self.at });
        }
        self.space();
        let param = self.word();
        self.at += param.len();
        self.space();
        if param.is_empty() || !self.take(")") {
            let end = self.text[start..].find(')').map_or(self.text.len(), |at| start + at + 1);
            return Err(Fault::new(format!("`{name}(…)` takes one plain word"), start..end)
                .help("for example `percent(lines)`; aggregates stand at the very front and do not nest"));
        }
        Ok(Seg { name, quoted: false, param: Some(param.to_owned()), at: start..self.at })
    }

    fn test(&mut self, subject: &Range<usize>) -> Result<Test, Fault> {
        self.space();
        let subject_text = &self.text[subject.clone()];
        if self.rest().is_empty() {
            return Err(Fault::new(format!("nothing is asked of `{subject_text}`"), subject.clone())
                .help(format!("for example `{subject_text} == true` or `{subject_text} exists`")));
        }
        let start = self.at;
        let word = self.word();
        match word {
            "exists" => {
                self.at += word.len();
                return Ok(Test::Exists);
            }
            "is" => {
                self.at += word.len();
                return self.type_name().map(Test::Is);
            }
            _ => {}
        }
        let op = self.operator(word)?;
        let op_at = start..self.at;
        self.space();
        let start = self.at;
        if self.rest().is_empty() {
            return Err(Fault::new(format!("`{}` needs a value behind it", op.word()), op_at).help(format!(
                "for example `{} 0` or `{} \"text\"`",
                op.word(),
                op.word()
            )));
        }
        let operand = self.operand(op)?;
        Ok(Test::Compare(Box::new(Compare { op, op_at, operand, operand_at: start..self.at, compiled: Compiled::No })))
    }

    fn type_name(&mut self) -> Result<Type, Fault> {
        self.space();
        let word = self.word();
        if let Some((_, ty)) = Type::WORDS.iter().find(|(name, _)| *name == word) {
            self.at += word.len();
            return Ok(*ty);
        }
        let names: Vec<&str> = Type::WORDS.iter().map(|(name, _)| *name).collect();
        if word == "not" {
            return Err(Fault::new("`not` stands at the front of a criterion", self.here())
                .help("such as `not signal is string`"));
        }
        let meant = match word {
            "text" | "str" => Some("string"),
            "int" | "integer" | "float" => Some("number"),
            "boolean" => Some("bool"),
            "array" => Some("list"),
            "map" | "table" | "dict" => Some("object"),
            "none" | "nil" => Some("null"),
            "time" => Some("duration"),
            _ => nearest(word, names.iter().copied()),
        };
        let help = meant.map_or_else(String::new, |meant| format!("did you mean `{meant}`? "));
        Err(Fault::new(format!("`{}` is no type", &self.text[self.here()]), self.here())
            .help(format!("{help}types: {}", listed(&names, 9))))
    }

    fn operator(&mut self, word: &str) -> Result<Op, Fault> {
        if word.is_empty() {
            let symbols: String = self.rest().chars().take_while(|c| "=!<>~&|≤≥≠+*/".contains(*c)).collect();
            let at = self.at..self.at + symbols.len();
            if let Some(op) = Op::ALL.iter().find(|op| op.word() == symbols) {
                self.at = at.end;
                return Ok(*op);
            }
            let help = match symbols.as_str() {
                "=" | "===" => "equality is `==`",
                "<>" | "!==" | "≠" => "inequality is `!=`",
                "=<" | "≤" => "write `<=`",
                "=>" | "≥" => "write `>=`",
                "=~" | "~" | "~=" => "write `matches \"regular expression\"`",
                "!~" => "write `not … matches \"regular expression\"`",
                _ => {
                    "operators: == != < <= > >= in contains matches starts_with ends_with superset_of subset_of same_set semver, exists, is"
                }
            };
            if symbols.is_empty() {
                return Err(Fault::new("an operator is expected here", self.here()).help(help));
            }
            return Err(Fault::new(format!("there is no operator `{symbols}`"), at).help(help));
        }
        let at = self.at..self.at + word.len();
        if let Some(op) = Op::ALL.iter().find(|op| op.word() == word) {
            self.at = at.end;
            return Ok(*op);
        }
        let meant = match word {
            "equals" | "eq" | "equal" => Some("=="),
            "lt" => Some("<"),
            "gt" => Some(">"),
            "includes" | "has" | "include" => Some("contains"),
            "like" | "match" | "regex" => Some("matches"),
            "not" => {
                return Err(
                    Fault::new("`not` stands at the front of a criterion", at).help("`not subject operator value`")
                );
            }
            "and" | "or" => {
                return Err(Fault::new(format!("`{word}` does not join criteria"), at).help(JOIN));
            }
            _ => nearest(word, Op::ALL.iter().map(|op| op.word()).chain(["exists"])),
        };
        let help = meant.map_or_else(
            || "operators: == != < <= > >= in contains matches starts_with ends_with superset_of subset_of same_set semver, exists, is".to_owned(),
            |meant| format!("did you mean `{meant}`?"),
        );
        Err(Fault::new(format!("there is no operator `{word}`"), at).help(help))
    }

    fn operand(&mut self, op: Op) -> Result<Operand, Fault> {
        if self.peek() == Some('[') {
            return self.list().map(Operand::List);
        }
        if let Some(lit) = self.literal(op == Op::Matches)? {
            return Ok(Operand::Lit(lit));
        }
        let (start, word) = (self.at, self.word());
        match word {
            "ratchet" => {
                self.at += word.len();
                Ok(Operand::Ratchet)
            }
            "null" | "none" | "nil" => {
                Err(Fault::new(format!("`{word}` is no value"), start..start + word.len()).help("write `is null`"))
            }
            // `baseline-10%` is one word to the eye of `word`.
            _ if word == "baseline" || word.starts_with("baseline-") => {
                self.at += "baseline".len();
                self.baseline()
            }
            "not" => Err(Fault::new("`not` stands at the front of a criterion", start..start + 3)),
            _ => {
                let path = self.path()?;
                if let Some(seg) = path.segs.first()
                    && path.segs.len() == 1
                    && seg.param.is_some()
                    && (Agg::named(&seg.name).is_some_and(|agg| agg != Agg::Percent)
                        || Quant::named(&seg.name).is_some())
                {
                    return Err(Fault::new(format!("`{}(…)` can only stand on the left", seg.name), seg.at.clone())
                        .help("turn the comparison round"));
                }
                Ok(Operand::Path(path))
            }
        }
    }

    /// A literal, if one starts here.
    fn literal(&mut self, regex: bool) -> Result<Option<Lit>, Fault> {
        let start = self.at;
        let next = self.rest().chars().nth(1).unwrap_or(' ');
        match self.peek() {
            Some('"' | '\'') => {
                let (text, len) = literal::quoted(self.rest(), start, regex)?;
                self.at += len;
                Ok(Some(Lit::Text(text)))
            }
            Some(c) if c.is_ascii_digit() || (matches!(c, '-' | '+') && next.is_ascii_digit()) => {
                let (value, unit, len) = literal::number(self.rest(), start)?;
                self.at += len;
                Ok(Some(Lit::Num(value, unit)))
            }
            _ => match self.word() {
                word @ ("true" | "false") if !self.rest()[word.len()..].starts_with(['.', '(']) => {
                    self.at += word.len();
                    Ok(Some(Lit::Bool(word == "true")))
                }
                _ => Ok(None),
            },
        }
    }

    fn list(&mut self) -> Result<Vec<Lit>, Fault> {
        let start = self.at;
        self.take("[");
        let mut items = Vec::new();
        loop {
            self.space();
            if self.take("]") {
                return Ok(items);
            }
            if self.rest().is_empty() {
                return Err(Fault::new("this list is not closed", start..self.text.len()).help("add `]`"));
            }
            let Some(item) = self.literal(false)? else {
                let word = self.word();
                let at = if word.is_empty() { self.here() } else { self.at..self.at + word.len() };
                let help = if word.is_empty() {
                    "text goes in quotes".to_owned()
                } else {
                    format!("text goes in quotes: `\"{word}\"`")
                };
                return Err(Fault::new("a list holds numbers, texts, `true` and `false`", at).help(help));
            };
            items.push(item);
            self.space();
            if !self.take(",") && self.peek() != Some(']') && !self.rest().is_empty() {
                return Err(Fault::new("a comma is missing here", self.here()));
            }
        }
    }

    /// What follows the word `baseline`.
    fn baseline(&mut self) -> Result<Operand, Fault> {
        self.space();
        let Some(sign @ ('+' | '-')) = self.peek() else { return Ok(Operand::Baseline(None)) };
        self.at += 1;
        self.space();
        let start = self.at;
        if !self.rest().starts_with(|c: char| c.is_ascii_digit()) {
            return Err(Fault::new("a number is missing here", self.here()).help("for example `baseline + 10%`"));
        }
        let digits = self.rest().trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
        let len = self.rest().len() - digits.len();
        let relative = digits.starts_with('%');
        let (value, unit, used) = if relative {
            let (value, unit, used) = literal::number(&self.rest()[..len], start)?;
            if used != len {
                return Err(Fault::new("this is no number", start..start + len));
            }
            (value, unit, used + 1)
        } else {
            literal::number(self.rest(), start)?
        };
        self.at += used;
        let value = if sign == '-' { crate::facts::Num { num: -value.num, den: value.den } } else { value };
        match (relative, unit) {
            (true, _) => Ok(Operand::Baseline(Some(Adjust::Relative(value)))),
            (false, LitUnit::Octal) => Err(Fault::new("an octal number is no distance", start..self.at)),
            (false, unit) => Ok(Operand::Baseline(Some(Adjust::Absolute(value, unit)))),
        }
    }

    fn end(&mut self) -> Result<(), Fault> {
        self.space();
        if self.rest().is_empty() {
            return Ok(());
        }
        let word = self.word();
        let joins = matches!(word, "and" | "or") || self.rest().starts_with("&&") || self.rest().starts_with("||");
        let help = if joins { JOIN } else { "one criterion a string: `subject operator value`; text goes in quotes" };
        Err(Fault::new("the criterion should end here", self.at..self.text.trim_end().len()).help(help))
    }
}

const JOIN: &str = "write each criterion as its own string: all of `pass` must hold, one of `any` is enough";

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, proptest};

    use super::*;

    fn op_of(text: &str) -> Op {
        match criterion(text).unwrap().test {
            Test::Compare(compare) => compare.op,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_operator_is_read_with_and_without_spaces() {
        for op in Op::ALL {
            assert_eq!(op_of(&format!("a {} \"x\"", op.word())), op);
        }
        assert_eq!(op_of("exit==-1"), Op::Eq);
        assert_eq!(op_of("latency<500ms"), Op::Lt);
        assert!(matches!(criterion("not a exists").unwrap(), Form { negated: true, test: Test::Exists, .. }));
        for (word, ty) in Type::WORDS {
            assert!(matches!(criterion(&format!("a is {word}")).unwrap().test, Test::Is(t) if t == ty));
        }
    }

    #[test]
    fn subjects() {
        let agg = |text: &str| match subject(text).unwrap() {
            Subject::Agg { agg, path, .. } => (agg, path.to_string()),
            other => panic!("{other:?}"),
        };
        for (word, wanted) in Agg::WORDS {
            assert_eq!(agg(&format!("{word}(a.b)")), (wanted, "a.b".to_owned()));
        }
        assert_eq!(agg("p99.9( latency )").0, Agg::Percentile(crate::facts::Num::decimal("99.9").unwrap()));
        assert_eq!(agg("count(lines(stdout))").1, "lines(stdout)");
        for (word, wanted) in Quant::WORDS {
            assert!(matches!(subject(&format!("{word}(a)")).unwrap(), Subject::Quant { quant, .. } if quant == wanted));
        }
        for path in [
            "header.\"x-y\"",
            "steps.env-file.outputs.v",
            "json.'$.a'",
            "data.items.0.name",
            "file.\"a/b\".percent(lines)",
        ] {
            assert!(matches!(subject(path).unwrap(), Subject::Path(_)), "{path}");
        }
    }

    #[test]
    fn operands() {
        let operand = |text: &str| match criterion(&format!("a == {text}")).unwrap().test {
            Test::Compare(compare) => format!("{:?}", compare.operand),
            other => panic!("{other:?}"),
        };
        assert!(operand("[200, 'x', true,]").starts_with("List([Num"));
        assert_eq!(operand("ratchet"), "Ratchet");
        assert_eq!(operand("baseline"), "Baseline(None)");
        assert!(operand("baseline + 10%").contains("Relative(Num { num: 10"));
        assert!(operand("baseline-10%").contains("Relative(Num { num: -10"));
        assert!(operand("baseline - 50ms").contains("Absolute(Num { num: -50000000"));
        assert!(operand("vars.floor").starts_with("Path"));
    }

    #[test]
    fn mistakes_get_a_place_and_advice() {
        let said = |text: &str| {
            let fault = criterion(text).unwrap_err();
            assert!(text.get(fault.at.clone()).is_some(), "{text}: {:?}", fault.at);
            format!("{} [{}] {}", fault.message, &text[fault.at.clone()], fault.help.unwrap_or_default())
        };
        assert_eq!(said("exit = 0"), "there is no operator `=` [=] equality is `==`");
        assert_eq!(said("a contians \"x\""), "there is no operator `contians` [contians] did you mean `contains`?");
        assert!(said("exit == 0 and b == 1").starts_with("the criterion should end here [and b == 1] write each"));
        assert!(said("not not a exists").starts_with("`not` stands here twice [not]"));
        assert!(said("ready").starts_with("nothing is asked of `ready` [ready] for example `ready == true`"));
        assert!(said("a <").starts_with("`<` needs a value"));
        assert!(said("a == \"x").contains("no closing"));
        assert!(said("a in [x]").contains("text goes in quotes: `\"x\"`"));
        assert!(said("a in [1 2]").contains("comma"));
        assert!(said("a < avg(b)").contains("only stand on the left"));
        assert!(said("a == null").contains("is null"));
        assert!(said("a is text").contains("did you mean `string`?"));
        assert!(said("every()").contains("of what?"));
        assert!(said("every(p95(a) + 1) == 2").contains("not closed"));
        assert!(said("a == ok then").contains("should end here [then]"));
        assert!(said("").contains("empty"));
        assert!(said("a is not null").contains("front"));
    }

    proptest! {
        #[test]
        fn never_panics(text in any::<String>()) {
            let _ = criterion(&text);
        }

        #[test]
        fn never_panics_on_near_misses(text in "(not )?[a-z(\".)']{0,8} ?(==|<|in|is|matches|≤)? ?[\\[\\]0-9a-z\"'.%+\\\\{}µé-]{0,12}") {
            if let Err(fault) = criterion(&text) {
                assert!(text.get(fault.at.clone()).is_some(), "{text:?} {:?}", fault.at);
            }
        }
    }
}
