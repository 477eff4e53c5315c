//! A plan from a Makefile: every target with a recipe a step, prerequisites that are targets its needs. What changes or
//! removes something, or never ends, is written as a comment. Knows of Makefiles what a reader sees, and expands nothing.

use std::collections::{BTreeMap, BTreeSet};

use super::command;
use super::draft::{Block, Draft, Step, literal, string, strings};
use super::words::Ids;

/// A target.
#[derive(Debug, Default)]
struct Target {
    prerequisites: Vec<String>,
    recipe: bool,
    /// What stands behind `##`.
    doc: String,
}

/// What stands in a Makefile.
#[derive(Debug, Default)]
struct Rules {
    /// In the order of their first rule.
    order: Vec<String>,
    targets: BTreeMap<String, Target>,
    /// Rules that are no targets of this file, and why.
    left: Vec<(String, &'static str)>,
}

/// Makes a plan of a Makefile; `name` is its file's name. `None` if no target has a recipe.
#[must_use]
pub fn read(text: &str, name: &str) -> Option<Draft> {
    let rules = rules(text);
    let named: Vec<&String> = rules.order.iter().filter(|target| rules.targets[*target].recipe).collect();
    if named.is_empty() {
        return None;
    }
    let reserve = |target: &str| {
        let prints = ["help", "print", "list"].contains(&target).then_some("it only prints");
        prints.or_else(|| command::reserve(target))
    };
    // What a step needs `make` runs in any case: so it is a step too, and runs once.
    let mut wanted: BTreeSet<&str> = BTreeSet::new();
    let mut open: Vec<&str> =
        named.iter().map(|target| target.as_str()).filter(|name| reserve(name).is_none()).collect();
    while let Some(target) = open.pop() {
        if wanted.insert(target) {
            open.extend(
                rules.targets[target]
                    .prerequisites
                    .iter()
                    .map(String::as_str)
                    .filter(|p| rules.targets.contains_key(*p)),
            );
        }
    }
    let mut ids = Ids::default();
    let ids: BTreeMap<&str, String> = named.iter().map(|target| (target.as_str(), ids.of(target, "target"))).collect();
    let file = name.rsplit('/').next().unwrap_or(name);
    let usual = ["Makefile", "makefile", "GNUmakefile"].contains(&file);
    let mut draft = Draft {
        head: vec![
            format!("Made from {file} by `runplan import`: every target with a recipe is a step."),
            "`-o TARGET` tells make that this prerequisite is done: it was a step of its own. What changes or removes \
             something, or does not end, is a comment: take it in by hand, or leave it out."
                .to_owned(),
        ],
        name: "make".to_owned(),
        ..Draft::default()
    };
    for target in named {
        let rule = &rules.targets[target];
        let needs = steps_behind(target, &rules, &wanted);
        let mut argv = vec!["make".to_owned()];
        if !usual {
            argv.extend(["-f".to_owned(), literal(file)]);
        }
        let done = rule.prerequisites.iter().filter(|p| {
            needs.contains(&p.as_str())
                || rules.targets.get(*p).is_some_and(|rule| !rule.recipe) && is_done(p, &rules, &needs)
        });
        argv.extend(done.flat_map(|p| ["-o".to_owned(), literal(p)]));
        argv.push(literal(target));
        let mut step = Step::new(ids[target.as_str()].clone());
        if !rule.doc.is_empty() {
            step = step.key("title", string(&literal(&rule.doc)));
        }
        if !needs.is_empty() {
            step = step.key("needs", strings(&needs.iter().map(|need| &ids[need]).collect::<Vec<_>>()));
        }
        let mut step = step.key("run", strings(&argv));
        if !wanted.contains(target.as_str()) {
            step.off = true;
            step.notes.extend(reserve(target).map(|why| format!("Left out: {why}.")));
        }
        draft.blocks.push(Block::Step(step));
    }
    for (rule, why) in &rules.left {
        draft.blocks.push(Block::Note(format!("Left out: `{rule}`: {why}.")));
    }
    Some(draft)
}

/// Names of the targets that have a recipe.
pub(super) fn targets(text: &str) -> Vec<String> {
    let rules = rules(text);
    rules.order.into_iter().filter(|target| rules.targets[target].recipe).collect()
}

/// Steps that a target needs: its prerequisites with a recipe, and those behind ones that have none.
fn steps_behind<'r>(target: &str, rules: &'r Rules, wanted: &BTreeSet<&str>) -> Vec<&'r str> {
    let (mut found, mut seen) = (Vec::new(), BTreeSet::new());
    let mut open: Vec<&str> = rules.targets[target].prerequisites.iter().rev().map(String::as_str).collect();
    while let Some(name) = open.pop() {
        let Some(rule) = rules.targets.get(name) else { continue };
        if !seen.insert(name) || name == target {
            continue;
        }
        if !rule.recipe {
            open.extend(rule.prerequisites.iter().rev().map(String::as_str));
        } else if wanted.contains(name) && !reaches(name, target, rules) {
            found.push(name);
        }
    }
    found
}

/// Whether all that a target without a recipe stands for are steps that ran before.
fn is_done(alias: &str, rules: &Rules, needs: &[&str]) -> bool {
    let Some(rule) = rules.targets.get(alias) else { return false };
    !rule.prerequisites.is_empty() && rule.prerequisites.iter().all(|name| needs.contains(&name.as_str()))
}

/// Whether `from` needs `to`; make leaves such a circle out where it meets it.
fn reaches(from: &str, to: &str, rules: &Rules) -> bool {
    let (mut open, mut seen) = (vec![from], BTreeSet::new());
    while let Some(name) = open.pop() {
        if name == to {
            return true;
        }
        if seen.insert(name)
            && let Some(rule) = rules.targets.get(name)
        {
            open.extend(rule.prerequisites.iter().map(String::as_str));
        }
    }
    false
}

fn rules(text: &str) -> Rules {
    let mut rules = Rules::default();
    // Targets that a recipe line belongs to.
    let mut current: Vec<String> = Vec::new();
    let (mut defining, mut lines) = (false, text.lines());
    while let Some(line) = lines.next() {
        let mut whole = line.to_owned();
        while let Some(before) = whole.strip_suffix('\\') {
            let Some(next) = lines.next() else { break };
            whole = format!("{before} {}", next.trim_start());
        }
        let word = whole.split_whitespace().next().unwrap_or_default().to_owned();
        if defining {
            defining = word != "endef";
        } else if whole.starts_with('\t') {
            for target in &current {
                rules.targets.entry(target.clone()).or_default().recipe |= !word.is_empty();
            }
        } else if word == "define" {
            defining = true;
        } else if ["include", "-include", "sinclude"].contains(&word.as_str()) {
            rules.left.push((whole.trim().to_owned(), "targets of other files are not read"));
        } else if let Some((heads, rest)) = rule(&whole) {
            current = heads.split_whitespace().filter(|head| rules.takes(head)).map(str::to_owned).collect();
            for target in current.clone() {
                rules.add(&target, rest);
            }
        } else if !word.is_empty() && !word.starts_with('#') {
            let conditional = ["ifeq", "ifneq", "ifdef", "ifndef", "else", "endif"].contains(&word.as_str());
            if !conditional {
                current.clear();
            }
        }
    }
    rules
}

/// Targets and the rest of a rule; `None` for an assignment and anything else.
fn rule(line: &str) -> Option<(&str, &str)> {
    if line.trim_start().starts_with('#') {
        return None;
    }
    let at = line.find(':')?;
    let (heads, rest) = (&line[..at], line[at + 1..].trim_start_matches(':'));
    (!heads.contains('=') && !rest.starts_with('=') && !heads.trim().is_empty()).then_some((heads, rest))
}

impl Rules {
    /// Whether it is a target that can be asked for by name; says why not, except for what is no target at all.
    fn takes(&mut self, head: &str) -> bool {
        let why = if head.starts_with('.') && !head.contains('/') {
            return false;
        } else if head.contains('%') {
            "a pattern, and no target by itself"
        } else if head.contains(['$', '(', ')', '*', '?']) {
            "its name is known to make only"
        } else {
            return true;
        };
        self.left.push((head.to_owned(), why));
        false
    }

    fn add(&mut self, target: &str, rest: &str) {
        if !self.targets.contains_key(target) {
            self.order.push(target.to_owned());
        }
        let entry = self.targets.entry(target.to_owned()).or_default();
        let (rest, doc) = match rest.split_once("##") {
            Some((rest, doc)) => (rest, doc.trim()),
            None => (rest.split('#').next().unwrap_or_default(), ""),
        };
        if !doc.is_empty() && entry.doc.is_empty() {
            doc.clone_into(&mut entry.doc);
        }
        let (names, recipe) = match rest.split_once(';') {
            Some((names, recipe)) => (names, !recipe.trim().is_empty()),
            None => (rest, false),
        };
        entry.recipe |= recipe;
        // `target: NAME = value` sets a variable; `a: %.o: %.c` names patterns.
        if names.contains(['=', ':']) {
            return;
        }
        let names = names.split_whitespace().filter(|name| *name != "|" && !name.contains(['$', '%', '(', ')']));
        for name in names {
            if !entry.prerequisites.iter().any(|known| known == name) {
                entry.prerequisites.push(name.to_owned());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
VERSION := 1
include common.mk
.PHONY: test lint all venv clean help
all: test lint
test: venv src/x.py | out ## Run the tests
\tpytest \\
  -q
lint: venv
\truff check .
\t
venv: requirements.txt
\tpython3 -m venv .venv
out:
\tmkdir -p out
both: all; echo both
%.o: %.c
\tcc $<
$(BIN): main.c
\tcc -o $@
clean:
\trm -rf out
install: lint
\ttrue
run: install
\t./app
test: EXTRA = 1
define X
y: z
endef
loop-a: loop-b
\ttrue
loop-b: loop-a
\ttrue
";

    #[test]
    fn targets_become_steps() {
        let draft = read(TEXT, "sub/Makefile").unwrap();
        let text = draft.text();
        let steps: Vec<&str> = draft.steps().map(|step| step.id.as_str()).collect();
        assert_eq!(steps, ["test", "lint", "venv", "out", "both", "loop-a", "loop-b"]);
        assert!(text.contains("[steps.test]\ntitle = \"Run the tests\"\nneeds = [\"venv\", \"out\"]\nrun   = [\"make\", \"-o\", \"venv\", \"-o\", \"out\", \"test\"]\n"), "{text}");
        assert!(text.contains("needs = [\"test\", \"lint\"]\nrun   = [\"make\", \"-o\", \"all\", \"both\"]"), "{text}");
        assert!(
            text.contains("# Left out: its name says that it changes or removes something.\n# [steps.clean]\n# run = "),
            "{text}"
        );
        assert!(
            text.contains("# Left out: `%.o`: a pattern")
                && text.contains("`$(BIN)`")
                && text.contains("`include common.mk`"),
            "{text}"
        );
        assert!(!text.contains("needs = [\"loop-"), "{text}");
        assert!(!text.contains("[steps.y]") && !text.contains("[steps.all]"), "{text}");
    }

    #[test]
    fn another_name_is_told_to_make() {
        let text = read("a:\n\ttrue\n", "ci.mk").unwrap().text();
        assert!(text.contains(r#"run = ["make", "-f", "ci.mk", "a"]"#), "{text}");
        assert!(read("a: b\nX = 1\n", "Makefile").is_none());
    }
}
