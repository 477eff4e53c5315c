//! Which steps a command line asks for.

use super::Graph;
use crate::ids::StepId;
use crate::plan::Plan;

/// What was asked for on the command line. Empty = everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// These steps (or all cells of a matrix, by its base name) and everything they wait for.
    pub steps: Vec<String>,
    /// Only steps with one of these tags, and everything they wait for.
    pub tags: Vec<String>,
    /// These steps, whatever else asks for them, are left out.
    pub skip: Vec<String>,
    /// These steps and everything after them; what they wait for is taken as done.
    pub from: Vec<String>,
    /// Up to and including these steps.
    pub until: Vec<String>,
}

impl Selection {
    /// Whether everything is selected.
    #[must_use]
    pub fn is_all(&self) -> bool {
        *self == Self::default()
    }

    /// The selection that these canonical words stand for.
    #[must_use]
    pub fn of_words(words: &[String]) -> Self {
        let mut selection = Self::default();
        for word in words {
            let (list, name) = match word.split_once(' ') {
                Some(("--tag", name)) => (&mut selection.tags, name),
                Some(("--skip", name)) => (&mut selection.skip, name),
                Some(("--from", name)) => (&mut selection.from, name),
                Some(("--until", name)) => (&mut selection.until, name),
                _ => (&mut selection.steps, word.as_str()),
            };
            list.push(name.to_owned());
        }
        selection
    }

    /// The selection as canonical words, for the record.
    #[must_use]
    pub fn words(&self) -> Vec<String> {
        let lists = [
            ("", &self.steps),
            ("--tag ", &self.tags),
            ("--skip ", &self.skip),
            ("--from ", &self.from),
            ("--until ", &self.until),
        ];
        let mut words: Vec<String> =
            lists.iter().flat_map(|(flag, names)| names.iter().map(move |name| format!("{flag}{name}"))).collect();
        words.sort();
        words.dedup();
        words
    }
}

/// One flag a step: is it selected?
///
/// # Errors
/// One sentence for each name that no step and no tag has, with a suggestion.
pub fn select(plan: &Plan, graph: &Graph, selection: &Selection) -> Result<Vec<bool>, Vec<String>> {
    let mut faults = Vec::new();
    let steps = named(plan, &selection.steps, &mut faults);
    let skip = named(plan, &selection.skip, &mut faults);
    let from = named(plan, &selection.from, &mut faults);
    let until = named(plan, &selection.until, &mut faults);
    let tagged = tagged(plan, &selection.tags, &mut faults);
    if !faults.is_empty() {
        return Err(faults);
    }
    let mut chosen = vec![true; plan.steps.len()];
    let mut keep = |wanted: &dyn Fn(usize) -> bool| {
        for (index, flag) in chosen.iter_mut().enumerate() {
            *flag = *flag && (wanted(index) || plan.steps[index].finally);
        }
    };
    for goal in [&steps, &until, &tagged].into_iter().filter(|goal| !goal.is_empty()) {
        let before = graph.ancestors(goal);
        keep(&|index| before[index] || goal.contains(&StepId::at(index)));
    }
    if !from.is_empty() {
        let mut after = vec![false; plan.steps.len()];
        for id in &from {
            after[id.index()] = true;
            for (index, reached) in graph.descendants(*id).into_iter().enumerate() {
                after[index] |= reached;
            }
        }
        keep(&|index| after[index]);
    }
    for id in skip {
        chosen[id.index()] = false;
    }
    Ok(chosen)
}

fn named(plan: &Plan, names: &[String], faults: &mut Vec<String>) -> Vec<StepId> {
    let mut ids = Vec::new();
    for name in names {
        let before = ids.len();
        ids.extend(plan.ids().filter(|id| plan.step(*id).name == *name || plan.step(*id).base() == name));
        if ids.len() == before {
            let near = nearest(name, plan.steps.iter().map(|step| step.name.as_str()));
            faults.push(format!("the plan has no step `{name}`{near}"));
        }
    }
    ids
}

fn tagged(plan: &Plan, tags: &[String], faults: &mut Vec<String>) -> Vec<StepId> {
    for tag in tags {
        if !plan.steps.iter().any(|step| step.tags.contains(tag)) {
            let near = nearest(tag, plan.steps.iter().flat_map(|step| step.tags.iter().map(String::as_str)));
            faults.push(format!("no step has the tag `{tag}`{near}"));
        }
    }
    plan.ids().filter(|id| plan.step(*id).tags.iter().any(|tag| tags.contains(tag))).collect()
}

/// What somebody probably meant, as the end of a sentence; empty if nothing is near.
pub(crate) fn nearest<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> String {
    candidates
        .map(|candidate| (strsim::jaro_winkler(word, candidate), candidate))
        .filter(|(score, _)| *score > 0.7)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map_or_else(String::new, |(_, name)| format!("; did you mean `{name}`?"))
}
