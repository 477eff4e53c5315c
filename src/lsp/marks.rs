//! Names in a plan text: where steps, variables, pools, secrets and ports are declared and where they are named, as far as
//! the text can be read. Knows the key tables, no plan.

use std::collections::HashSet;
use std::ops::Range;

use super::scan::{Form, Key, Scan, Value};
use crate::criteria;
use crate::plan::guide::{Guide, Names, Takes};
use crate::plan::template;

/// What a name is a name of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Thing {
    Step,
    Var,
    Pool,
    Secret,
    Port,
}

impl Thing {
    /// For messages.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Step => "step",
            Self::Var => "variable",
            Self::Pool => "pool",
            Self::Secret => "secret",
            Self::Port => "port",
        }
    }

    /// What stands under this key of the document.
    fn declared_in(table: &str) -> Option<Self> {
        Some(match table {
            "steps" | "finally" => Self::Step,
            "vars" => Self::Var,
            "pools" => Self::Pool,
            "secrets" => Self::Secret,
            _ => return None,
        })
    }

    /// What a dotted name with this root names.
    fn named_by(root: &str) -> Option<Self> {
        Some(match root {
            "steps" => Self::Step,
            "vars" => Self::Var,
            "secrets" => Self::Secret,
            "ports" => Self::Port,
            _ => return None,
        })
    }
}

/// A name at a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) thing: Thing,
    /// Without the part in brackets.
    pub(super) name: String,
    /// Its bytes: what a new name takes the place of.
    pub(super) at: Range<usize>,
    /// It is declared here.
    pub(super) declares: bool,
}

/// A step as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) name: String,
    pub(super) name_at: Range<usize>,
    /// From the header (or key) to its last line.
    pub(super) whole: Range<usize>,
    pub(super) finally: bool,
}

/// What is known of a text by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Sheet {
    /// In the order of the text.
    pub(super) marks: Vec<Mark>,
    pub(super) blocks: Vec<Block>,
    /// Tags, each once.
    pub(super) tags: Vec<String>,
    /// Files that `include` and `waivers` name.
    pub(super) named_files: Vec<String>,
    /// It has what only plan files have.
    pub(super) is_plan: bool,
    /// Nothing stands in it.
    pub(super) is_blank: bool,
}

impl Sheet {
    pub(super) fn of(scan: &Scan<'_>) -> Self {
        let mut maker = Maker { scan, sheet: Self::default(), seen: HashSet::new(), declared: HashSet::new() };
        maker.tables();
        maker.values();
        let mut sheet = maker.sheet;
        sheet.marks.sort_by_key(|mark| mark.at.start);
        sheet.is_blank = scan.tables.len() == 1 && scan.values.is_empty();
        sheet.is_plan = is_plan(scan);
        sheet
    }

    /// The name at a place, its end included.
    pub(super) fn mark_at(&self, at: usize) -> Option<&Mark> {
        self.marks.iter().find(|mark| mark.at.start <= at && at <= mark.at.end)
    }

    /// The step whose lines hold a place.
    pub(super) fn block_at(&self, at: usize) -> Option<&Block> {
        self.blocks.iter().rev().find(|block| block.whole.start <= at && at <= block.whole.end)
    }
}

/// The table that a file's keys are held against.
pub(super) fn root(scan: &Scan<'_>) -> Guide {
    let waivers = |head: &super::scan::Head<'_>| head.keys.first().is_some_and(|key| key.name == "waivers");
    if scan.tables.iter().any(waivers) { Guide::waivers() } else { Guide::document() }
}

/// What the key tables say of each value's place.
fn guides(scan: &Scan<'_>) -> Vec<Option<Guide>> {
    let tables: Vec<Option<Guide>> = table_guides(scan);
    let mut all: Vec<Option<Guide>> = Vec::with_capacity(scan.values.len());
    for value in &scan.values {
        let start = match value.parent {
            None => tables[value.table],
            Some(parent) if scan.values[parent].form == Form::List => all[parent].map(Guide::element),
            Some(parent) => all[parent],
        };
        all.push(value.keys.iter().try_fold(start, |guide, key| Some(guide?.under(&key.name))).flatten());
    }
    all
}

/// What the key tables say of one value's place.
pub(super) fn guide_of(scan: &Scan<'_>, value: usize) -> Option<Guide> {
    let mut way = vec![value];
    while let Some(parent) = way.last().and_then(|last| scan.values[*last].parent) {
        way.push(parent);
    }
    let mut guide = table_guide(scan, scan.values[value].table)?;
    let mut in_list = false;
    for value in way.iter().rev().map(|at| &scan.values[*at]) {
        let start = if in_list { guide.element() } else { guide };
        guide = value.keys.iter().try_fold(start, |guide, key| guide.under(&key.name))?;
        in_list = value.form == Form::List;
    }
    Some(guide)
}

/// What the key tables say of one table.
pub(super) fn table_guide(scan: &Scan<'_>, table: usize) -> Option<Guide> {
    scan.tables[table].keys.iter().try_fold(root(scan), |guide, key| guide.under(&key.name))
}

/// What the key tables say of each table.
fn table_guides(scan: &Scan<'_>) -> Vec<Option<Guide>> {
    let root = root(scan);
    let of = |head: &super::scan::Head<'_>| head.keys.iter().try_fold(root, |guide, key| guide.under(&key.name));
    scan.tables.iter().map(of).collect()
}

fn is_plan(scan: &Scan<'_>) -> bool {
    let tables = ["steps", "finally", "signoffs", "waivers"];
    scan.tables.iter().any(|head| head.keys.first().is_some_and(|key| tables.contains(&&*key.name)))
        || scan.values.iter().take_while(|value| value.table == 0).any(|value| {
            let first = value.keys.first().map_or("", |key| &*key.name);
            value.parent.is_none() && (first == "steps" || (first == "format" && value.form == Form::Bare))
        })
        || scan.comments.iter().take(3).any(|comment| scan.text[comment.clone()].contains("blueprint.schema"))
}

struct Maker<'s, 't> {
    scan: &'s Scan<'t>,
    sheet: Sheet,
    /// Beginnings of what is marked already.
    seen: HashSet<usize>,
    declared: HashSet<(Thing, String)>,
}

impl<'t> Maker<'_, 't> {
    fn mark(&mut self, thing: Thing, name: &str, at: Range<usize>, may_declare: bool) {
        let base = name.split('[').next().unwrap_or(name);
        let at = at.start..at.end.min(at.start + base.len());
        // What is written with escapes is nobody's name.
        if base.is_empty() || self.scan.text.get(at.clone()) != Some(base) || !self.seen.insert(at.start) {
            return;
        }
        let declares = may_declare && self.declared.insert((thing, base.to_owned()));
        self.sheet.marks.push(Mark { thing, name: base.to_owned(), at, declares });
    }

    fn declare(&mut self, first: &Key<'_>, second: &Key<'_>) {
        let Some(thing) = Thing::declared_in(&first.name) else { return };
        if first.quoted && thing != Thing::Step {
            return;
        }
        self.mark(thing, &second.name, second.at.clone(), true);
    }

    /// Headers, and the blocks of steps under them.
    fn tables(&mut self) {
        for head in &self.scan.tables {
            if let [first, second, ..] = head.keys.as_slice() {
                self.declare(first, second);
                let is_step = Thing::declared_in(&first.name) == Some(Thing::Step);
                if !is_step {
                    continue;
                }
                let end = head.at.start + self.scan.text[head.at.start..head.end].trim_end().len();
                let same = self.sheet.blocks.last_mut().filter(|block| block.name == second.name);
                if let (Some(block), 3..) = (same, head.keys.len()) {
                    block.whole.end = end;
                } else {
                    self.sheet.blocks.push(Block {
                        name: second.name.to_string(),
                        name_at: second.at.clone(),
                        whole: head.at.start..end,
                        finally: first.name == "finally",
                    });
                }
            }
        }
    }

    fn values(&mut self) {
        let guides = guides(self.scan);
        for (value, guide) in self.scan.values.iter().zip(&guides) {
            self.keys(value);
            if value.table == 0 {
                self.named_file(value);
            }
            if matches!(value.form, Form::Text { .. }) {
                self.text(value, *guide);
            }
        }
        self.sheet.blocks.sort_by_key(|block| block.whole.start);
    }

    /// Keys that declare: `[vars] x = …`, `steps = { a = … }`, `steps.a.run = …`.
    fn keys(&mut self, value: &Value<'t>) {
        let head = &self.scan.tables[value.table].keys;
        let parent_keys = value.parent.map_or(&[][..], |parent| {
            let parent = &self.scan.values[parent];
            if parent.parent.is_none() { parent.keys.as_slice() } else { &[] }
        });
        if value.keys.is_empty() || (value.parent.is_some() && parent_keys.is_empty()) {
            return;
        }
        let path: Vec<&Key<'_>> = head.iter().chain(parent_keys).chain(&value.keys).collect();
        let [first, second, ..] = path.as_slice() else { return };
        self.declare(first, second);
        let finally = first.name == "finally";
        let own = value.keys.iter().any(|key| key.at == second.at);
        if Thing::declared_in(&first.name) == Some(Thing::Step) && own && head.len() < 2 {
            let start = value.keys.first().map_or(value.at.start, |key| key.at.start);
            match self.sheet.blocks.last_mut().filter(|block| block.name == second.name) {
                Some(block) => block.whole.end = block.whole.end.max(value.at.end),
                None => self.sheet.blocks.push(Block {
                    name: second.name.to_string(),
                    name_at: second.at.clone(),
                    whole: start..value.at.end,
                    finally,
                }),
            }
        }
    }

    fn named_file(&mut self, value: &Value<'t>) {
        let path = self.scan.path(value);
        if let (["include"] | ["waivers"], Some(read)) = (path.as_slice(), self.scan.read(value)) {
            self.sheet.named_files.push(read.text.into_owned());
        }
    }

    fn text(&mut self, value: &Value<'t>, guide: Option<Guide>) {
        let Some(read) = self.scan.read(value) else { return };
        let guide = guide.map(Guide::element);
        let whole = read.place(&(0..read.text.len()));
        match guide.and_then(Guide::names) {
            Some(Names::Steps) if !template::is_template(read.text.split('[').next().unwrap_or("")) => {
                self.mark(Thing::Step, &read.text, whole, false);
            }
            Some(Names::Pools) => self.mark(Thing::Pool, &read.text, whole, false),
            Some(Names::Secrets) => self.mark(Thing::Secret, &read.text, whole, false),
            Some(Names::Ports) => self.mark(Thing::Port, &read.text, whole, true),
            Some(Names::Tags) if !self.sheet.tags.iter().any(|tag| *tag == read.text) => {
                self.sheet.tags.push(read.text.to_string());
            }
            _ => {}
        }
        for name in template::names(&read.text).unwrap_or_default() {
            let (Some(thing), Some(second)) = (Thing::named_by(&name.parts[0]), name.parts.get(1)) else { continue };
            let rest = &read.text[name.range.start + name.parts[0].len()..];
            let skip = if rest.starts_with('[') { 2 } else { 1 };
            let start = name.range.start + name.parts[0].len() + skip;
            if read.text[start..].starts_with(second.as_str()) {
                self.mark(thing, second, read.place(&(start..start + second.len())), false);
            }
        }
        let is_criterion = guide
            .is_some_and(|guide| guide.names() == Some(Names::Subject) || guide.takes().contains(&Takes::Criterion));
        if is_criterion {
            for parts in criteria::dotted(&read.text) {
                let [root, second, ..] = parts.as_slice() else { continue };
                if let Some(thing @ (Thing::Step | Thing::Var)) = Thing::named_by(&root.name) {
                    self.mark(thing, &second.name, read.place(&second.at), false);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marks(text: &str) -> Vec<String> {
        let sheet = Sheet::of(&Scan::of(text));
        sheet
            .marks
            .iter()
            .map(|mark| {
                assert!(text[mark.at.clone()].starts_with(mark.name.as_str()), "{mark:?}");
                format!("{}{} {}", if mark.declares { "+" } else { "" }, mark.thing.word(), mark.name)
            })
            .collect()
    }

    #[test]
    fn every_way_to_name_a_step_is_found() {
        let text = r#"format = 1
include = ["b.toml"]
steps.dotted.run = "x"
[vars]
port = 1
[steps.a]
run = ["x", "{{ steps.b.outputs.v }}", "{{ steps[\"b\"].outputs.v ~ vars.port }}"]
needs = ["b", "m[os=linux]", 'c']
after = ["{{ item }}"]
pass = ["steps.b.exit == 0", "steps.\"m[os=mac]\".exit == vars.port"]
value = { p = "steps.b.duration" }
compare = { baseline = "b" }
[steps.a.env]
X = "{{ steps.b.outputs.v }} {{ ports.web }} {{ secrets.key }}"
[finally."b"]
run = "x"
pool = "db"
checklist = { tick = { "A box" = "a" } }
[pools]
db = 1
"#;
        let found = marks(text);
        assert_eq!(
            found,
            [
                "+step dotted",
                "+variable port",
                "+step a",
                "step b",
                "step b",
                "variable port",
                "step b",
                "step m",
                "step c",
                "step b",
                "step m",
                "variable port",
                "step b",
                "step b",
                "step a",
                "step b",
                "port web",
                "secret key",
                "+step b",
                "pool db",
                "step a",
                "+pool db",
            ]
        );
        let scan = Scan::of(text);
        for (at, guide) in guides(&scan).into_iter().enumerate() {
            assert_eq!(
                guide.map(Guide::takes),
                guide_of(&scan, at).map(Guide::takes),
                "{:?}",
                scan.path(&scan.values[at])
            );
        }
        let sheet = Sheet::of(&scan);
        assert_eq!(sheet.named_files, ["b.toml"]);
        let blocks: Vec<(&str, bool)> = sheet.blocks.iter().map(|b| (b.name.as_str(), b.finally)).collect();
        assert_eq!(blocks, [("dotted", false), ("a", false), ("b", true)]);
        assert!(text[sheet.blocks[1].whole.clone()].ends_with("{{ secrets.key }}\""));
    }

    #[test]
    fn inline_steps_and_waivers() {
        assert_eq!(
            marks("[steps]\na = { run = 'x', needs = ['b'] }\nb.run = 'x'\nb.cwd = 'y'\n"),
            ["+step a", "step b", "+step b", "step b"]
        );
        assert_eq!(marks("steps = { a = { run = 'x' } }\n"), ["+step a"]);
        assert_eq!(marks("[[waivers]]\nstep = 'a'\ncriterion = 'steps.b.exit == 0'\n"), ["step a", "step b"]);
        let sheet = Sheet::of(&Scan::of("[steps]\na = { run = 'x' }\nb.run = 'x'\nb.cwd = 'y'\n"));
        assert_eq!(sheet.blocks.len(), 2);
        assert!(!Sheet::of(&Scan::of("[package]\nname = 'x'\n")).is_plan);
        assert!(Sheet::of(&Scan::of("format = 1\n")).is_plan);
    }
}
