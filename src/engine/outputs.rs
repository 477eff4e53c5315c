//! Named outputs of a step: the file a child writes, read strictly. Pure.
//!
//! `name=value` on one line, or a block `name<<MARK`, any lines, `MARK`. Nothing is ever read from stdout.

use std::collections::BTreeMap;

/// Most bytes of the whole file.
pub(super) const MOST_BYTES: u64 = 1024 * 1024;

/// Parses the output file and holds it against what the step declares.
///
/// # Errors
/// One sentence: a malformed line, a name that is undeclared, given twice or missing.
pub(super) fn parse(bytes: &[u8], declared: &[String]) -> Result<BTreeMap<String, String>, String> {
    let text =
        std::str::from_utf8(bytes).map_err(|e| format!("the output file is not UTF-8 at byte {}", e.valid_up_to()))?;
    let mut values = BTreeMap::new();
    let mut lines = text.lines().enumerate();
    while let Some((at, line)) = lines.next() {
        if line.trim().is_empty() {
            continue;
        }
        let (name, value) = match (line.split_once('='), line.split_once("<<")) {
            (Some((name, value)), block) if block.is_none_or(|(before, _)| before.len() > name.len()) => {
                (name, value.to_owned())
            }
            (_, Some((name, mark))) if !mark.is_empty() => (name, block(&mut lines, mark, at + 1)?),
            _ => return Err(format!("line {} of the output file is neither `name=value` nor `name<<MARK`", at + 1)),
        };
        if !declared.iter().any(|d| d == name) {
            return Err(undeclared(name, declared));
        }
        if values.insert(name.to_owned(), value).is_some() {
            return Err(format!("the named output `{name}` was given twice"));
        }
    }
    match declared.iter().find(|name| !values.contains_key(*name)) {
        Some(missing) => Err(format!(
            "the named output `{missing}` was not given: write `{missing}=…` to the file named by $RUNPLAN_OUTPUT"
        )),
        None => Ok(values),
    }
}

fn block<'a>(lines: &mut impl Iterator<Item = (usize, &'a str)>, mark: &str, opened: usize) -> Result<String, String> {
    let mut value = Vec::new();
    for (_, line) in lines {
        if line == mark {
            return Ok(value.join("\n"));
        }
        value.push(line);
    }
    Err(format!("the block opened in line {opened} of the output file has no closing `{mark}`"))
}

fn undeclared(name: &str, declared: &[String]) -> String {
    let shown: String = name.chars().take(60).flat_map(char::escape_default).collect();
    if declared.is_empty() {
        format!("the named output `{shown}` is not declared; add `outputs = {{ values = [\"{shown}\"] }}` to the step")
    } else {
        format!("the named output `{shown}` is not declared; the step declares {}", declared.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(text: &str, declared: &[&str]) -> Result<BTreeMap<String, String>, String> {
        parse(text.as_bytes(), &declared.iter().map(|d| (*d).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn lines_and_blocks() {
        let values = ask("a=1=2\n\nb<<E\nx\n y=<<\nE\n", &["a", "b"]).unwrap();
        assert_eq!(values["a"], "1=2");
        assert_eq!(values["b"], "x\n y=<<");
        assert_eq!(ask("a=x<<y\n", &["a"]).unwrap()["a"], "x<<y");
    }

    #[test]
    fn every_fault_is_named() {
        for (text, fault) in [
            ("a=1\na=2\n", "given twice"),
            ("b=1\n", "`b` is not declared"),
            ("", "`a` was not given"),
            ("what\n", "line 1"),
            ("a<<E\nx\n", "no closing `E`"),
        ] {
            assert!(ask(text, &["a"]).unwrap_err().contains(fault), "{text:?}");
        }
        assert!(parse(b"\xff", &[]).is_err());
    }
}
