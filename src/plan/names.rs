//! Names of steps: their form, their lookup and what a person may have meant. Knows no action and no criterion.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

use super::diags::Diags;
use super::error::Diagnostic;
use super::template::{nearest, words};
use crate::ids::StepId;
use crate::place::Place;
use foldhash::fast::RandomState;

/// Up to so many steps are all named where none is near.
const MOST_NAMED: usize = 12;

/// Whether a text is a step name: `[a-z0-9][a-z0-9_-]*`.
pub(super) fn is_name(text: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    text.bytes().next().is_some_and(word) && text.bytes().all(|byte| word(byte) || byte == b'_' || byte == b'-')
}

/// Whether a text can stand after a root in a template (`vars.NAME`).
pub(super) fn is_identifier(text: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
    text.bytes().next().is_some_and(letter) && text.bytes().all(|byte| letter(byte) || byte.is_ascii_digit())
}

/// The step name that is most like a text.
pub(super) fn as_name(text: &str) -> Option<String> {
    let mut name = String::new();
    for c in text.trim().to_lowercase().chars() {
        let c = if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' };
        if c != '-' || !(name.is_empty() || name.ends_with('-')) {
            name.push(c);
        }
    }
    let name = name.trim_matches(['-', '_']).to_owned();
    is_name(&name).then_some(name)
}

/// The name of a step as the plan says it, without the part of its cell.
pub(super) fn base(name: &str) -> &str {
    name.split_once('[').map_or(name, |(base, _)| base)
}

/// Steps by name.
#[derive(Default)]
pub(super) struct Index<'n> {
    exact: HashMap<&'n str, StepId, RandomState>,
    /// All cells of a matrix or items of a `foreach`, by base name.
    cells: HashMap<&'n str, Vec<StepId>>,
    /// Axis values of each cell.
    axes: HashMap<StepId, &'n [(String, String)]>,
    /// Names as written, in declaration order, once somebody asks for suggestions.
    bases: OnceCell<Vec<String>>,
    finally: HashSet<StepId>,
}

impl<'n> Index<'n> {
    /// An index that will have so many steps.
    pub(super) fn with_room(steps: usize) -> Self {
        Self { exact: HashMap::with_capacity_and_hasher(steps, RandomState::default()), ..Self::default() }
    }

    /// Adds a step; gives the one that already has this name.
    pub(super) fn add(
        &mut self,
        id: StepId,
        name: &'n str,
        base: &'n str,
        axes: &'n [(String, String)],
        finally: bool,
    ) -> Option<StepId> {
        match self.exact.entry(name) {
            Entry::Occupied(first) => return Some(*first.get()),
            Entry::Vacant(free) => drop(free.insert(id)),
        }
        if !axes.is_empty() {
            self.cells.entry(base).or_default().push(id);
            self.axes.insert(id, axes);
        }
        if finally {
            self.finally.insert(id);
        }
        None
    }

    /// Names of all steps, in declaration order.
    pub(super) fn names(&self) -> Vec<String> {
        let mut all: Vec<(StepId, &str)> = self.exact.iter().map(|(name, id)| (*id, *name)).collect();
        all.sort_unstable();
        all.into_iter().map(|(_, name)| name.to_owned()).collect()
    }

    fn bases(&self) -> &[String] {
        self.bases.get_or_init(|| {
            let alone = self.exact.iter().filter(|(_, id)| !self.axes.contains_key(id)).map(|(name, id)| (*id, *name));
            let many = self.cells.iter().filter_map(|(base, ids)| Some((*ids.first()?, *base)));
            let mut all: Vec<(StepId, &str)> = alone.chain(many).collect();
            all.sort_unstable();
            all.into_iter().map(|(_, name)| name.to_owned()).collect()
        })
    }

    /// The steps that a text means: one step, all cells of a base name, or the cells that fit `base[axis=value]`.
    pub(super) fn find(&self, text: &str) -> Cow<'_, [StepId]> {
        if let Some(id) = self.exact.get(text) {
            return Cow::Borrowed(std::slice::from_ref(id));
        }
        if let Some(ids) = self.cells.get(text) {
            return Cow::Borrowed(ids);
        }
        let Some((base, part)) = text.strip_suffix(']').and_then(|text| text.split_once('[')) else {
            return Cow::default();
        };
        let wanted: Option<Vec<(&str, &str)>> = part.split(',').map(|pair| pair.split_once('=')).collect();
        let (Some(wanted), Some(cells)) = (wanted, self.cells.get(base)) else { return Cow::default() };
        let fits = |id: &StepId| {
            let axes = self.axes.get(id).copied().unwrap_or_default();
            wanted.iter().all(|(axis, value)| axes.iter().any(|(a, v)| a == axis.trim() && v == value.trim()))
        };
        Cow::Owned(cells.iter().copied().filter(fits).collect())
    }

    /// The step of exactly that name.
    pub(super) fn exact(&self, name: &str) -> Option<StepId> {
        self.exact.get(name).copied()
    }

    /// Whether a step is in `[finally]`.
    pub(super) fn is_finally(&self, id: StepId) -> bool {
        self.finally.contains(&id)
    }

    /// Whether a text is a base name with cells.
    pub(super) fn has_cells(&self, text: &str) -> bool {
        !self.exact.contains_key(text) && self.cells.contains_key(text)
    }

    /// Whether a text is a step or the base name of some.
    fn has(&self, text: &str) -> bool {
        self.exact.contains_key(text) || self.cells.contains_key(text)
    }

    /// What a person may have meant.
    pub(super) fn suggestion(&self, text: &str, diags: &mut Diags) -> Option<String> {
        if !diags.may_suggest() {
            return None;
        }
        let base = text.split('[').next().unwrap_or(text);
        let cells = self.cells.get(base).map(Vec::as_slice);
        if let Some(cells) = cells.or_else(|| self.exact(base).map(|_| &[][..])).filter(|_| text.contains('[')) {
            let shown: Vec<String> = cells
                .iter()
                .take(6)
                .filter_map(|id| self.axes.get(id))
                .map(|axes| format!("`{base}[{}]`", cell(axes)))
                .collect();
            return Some(match shown.as_slice() {
                [] => format!("`{base}` has no matrix: write `{base}`"),
                _ => format!("`{base}` has {}", shown.join(", ")),
            });
        }
        if let Some(near) = nearest(base, self.bases().iter().map(String::as_str)) {
            return Some(format!("did you mean `{near}`?"));
        }
        match as_name(base).filter(|name| self.has(name)) {
            Some(name) => Some(format!("did you mean `{name}`?")),
            None if self.bases().is_empty() || self.bases().len() > MOST_NAMED => None,
            None => {
                let bases: Vec<&str> = self.bases().iter().map(String::as_str).collect();
                Some(format!("the plan has {}", words(&bases)))
            }
        }
    }
}

/// `os=linux,py=3.12`.
pub(super) fn cell(axes: &[(String, String)]) -> String {
    match axes {
        [(axis, value)] if axis == "item" => value.clone(),
        _ => axes.iter().map(|(axis, value)| format!("{axis}={value}")).collect::<Vec<_>>().join(","),
    }
}

/// Says that a declared name has the wrong form.
pub(super) fn bad_step_name(name: &str, place: Place) -> Diagnostic {
    let fault = Diagnostic::error("bad-step-name", place, format!("`{name}` is not a step name"))
        .label("names are lower-case letters, digits, `-` and `_`");
    match as_name(name) {
        Some(near) => fault.help(format!("write `{near}`")),
        None => fault.help("write a name such as `build-lib`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_near_names() {
        assert!(
            is_name("a-1_b") && is_name("0x") && !is_name("") && !is_name("-a") && !is_name("A") && !is_name("a.b")
        );
        assert_eq!(as_name("Build Lib!").as_deref(), Some("build-lib"));
        assert_eq!(as_name("¿?"), None);
        assert!(is_identifier("base_url") && !is_identifier("base-url") && !is_identifier("1a"));
    }

    #[test]
    fn a_base_name_means_all_its_cells_and_a_part_those_that_fit() {
        let axes = [("linux", "3.11"), ("linux", "3.12"), ("mac", "3.12")]
            .map(|(os, py)| [("os".to_owned(), os.to_owned()), ("py".to_owned(), py.to_owned())]);
        let names = axes.each_ref().map(|axes| format!("test[{}]", cell(axes)));
        let mut index = Index::with_room(names.len());
        for (at, (name, axes)) in names.iter().zip(&axes).enumerate() {
            assert_eq!(index.add(StepId::at(at), name, "test", axes, false), None);
        }
        assert_eq!(index.find("test").len(), 3);
        assert_eq!(index.find("test[os=linux]").as_ref(), [StepId(0), StepId(1)]);
        assert_eq!(index.find("test[os=mac,py=3.12]").as_ref(), [StepId(2)]);
        assert!(
            index.find("test[os=win]").is_empty() && index.find("tset").is_empty() && index.find("test[").is_empty()
        );
        assert_eq!(index.suggestion("tset", &mut Diags::default()).as_deref(), Some("did you mean `test`?"));
    }
}
