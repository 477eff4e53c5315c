//! What may stand at a place of the command line, one a line: what the words say, and the names that lie in plans and in
//! the run log. Says nothing else, whatever is wrong with a plan: somebody is typing.

use std::collections::BTreeSet;

use crate::cli::{Candidates, PlanArgs};
use crate::exit::Exit;
use crate::report::terminal::{Stream, Terminal};

use super::{load, past};

pub(super) fn complete(ask: &Candidates, terminal: &Terminal) -> Exit {
    let mut words: Vec<String> = ask.words.clone();
    if let Some(path) = ask.steps_of.as_ref().or(ask.tags_of.as_ref()) {
        let args = PlanArgs { path: path.clone(), ..PlanArgs::default() };
        let plan = load::load(&args).0.plan;
        if ask.steps_of.is_some() {
            let mut known = BTreeSet::new();
            words
                .extend(plan.steps.iter().map(|step| step.base().to_owned()).filter(|name| known.insert(name.clone())));
        } else {
            let tags: BTreeSet<&String> = plan.steps.iter().flat_map(|step| &step.tags).collect();
            words.extend(tags.into_iter().cloned());
        }
    }
    if ask.runs {
        words.push("latest".to_owned());
        let runs = past::workspace().ok().and_then(|folder| std::fs::read_dir(folder.join(".runplan/runs")).ok());
        let names = runs.into_iter().flatten().filter_map(Result::ok).map(|entry| entry.file_name());
        let names: BTreeSet<String> = names.filter_map(|name| name.into_string().ok()).collect();
        words.extend(names.into_iter().rev());
    }
    // A line must stay a line.
    words.retain(|word| word.starts_with(&ask.current) && !word.contains(char::is_control));
    if ask.files {
        words.push(":files".to_owned());
    }
    let lines: String = words.iter().map(|word| format!("{word}\n")).collect();
    terminal.write(Stream::Out, &lines);
    Exit::Done
}
