//! `checklist`: the task list of a Markdown file (GitHub's form), or of one section of it; ticks boxes that evidence earned.
//!
//! `FILE#HEADING` names the section from that heading to the next one of the same or a higher level, by its text or by its
//! anchor (`#post-deploy`). An item is linked to a step by a comment in it, `<!-- step:NAME -->`, or by its text in `tick`;
//! of several links all must hold. Ticking turns the blank of a `[ ]` into an `x`, only where every linked step passed
//! (a warning is no pass); every other byte stays as it is, and nothing is ever unticked.
//!
//! Facts: `total`, `checked`, `unchecked`, `ticked` (now), `unearned` (ticked boxes whose step did not pass); `items`,
//! `open` (List of Text), `links` (List of Text: per linked item `pass`, or the first other state of its steps; `unknown`
//! for a step that does not come before); `item` (Map from text to `checked`). Inspected: boxes.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::ops::Range;
use std::path::Path;

use super::blocking::{blocking, misrouted};
use super::file::{MAX_TEXT, texts};
use super::{Act, Lent, Look, Observation, Request};
use crate::action::{Action, ChecklistSpec};
use crate::facts::{Facts, Value};
use crate::files::{self, Quit};
use crate::markdown::{Heading, Item, line, outline};
use crate::outcome::Note;

/// The `checklist` action.
#[derive(Clone, Copy, Debug, Default)]
pub struct Checklist;

impl Act for Checklist {
    fn look<'a>(&'a self, request: &'a Request, lent: &'a Lent) -> Look<'a> {
        Box::pin(async move {
            let Action::Checklist(spec) = &request.action else { return Err(misrouted(request, "checklist")) };
            let (workspace, spec, states) = (request.workspace.clone(), spec.clone(), request.values.clone());
            let (facts, notes) = blocking(request, lent, move |quit| look(&workspace, &spec, &states, quit)).await?;
            Ok(Observation { facts, notes, ..Observation::default() })
        })
    }
}

fn look(
    workspace: &Path,
    spec: &ChecklistSpec,
    states: &BTreeMap<String, Value>,
    quit: &Quit,
) -> Result<(Facts, Vec<Note>), String> {
    let (name, section) = match spec.path.as_str().split_once('#') {
        Some((name, section)) => (name, Some(section.trim())),
        None => (spec.path.as_str(), None),
    };
    let path = if spec.tick { files::writable(workspace, name) } else { files::anywhere(workspace, name) };
    let path = path.map_err(|error| error.to_string())?;
    let mut text = read(&path, name, quit)?;
    let (headings, mut items) = outline(&text);
    let range = match section {
        Some(wanted) => section_of(&headings, wanted, text.len()).map_err(|why| format!("`{name}` {why}"))?,
        None => 0..text.len(),
    };
    items.retain(|item| range.contains(&item.at));
    for (wanted, step) in &spec.links {
        link(&mut items, wanted, step).map_err(|why| format!("`{}` {why}", spec.path.as_str()))?;
    }
    let mut notes = doubtful(&text, &range, name);
    let links: Vec<Option<String>> = items.iter().map(|item| standing(item, states, &mut notes)).collect();
    let mut ticked = 0_u64;
    if spec.tick {
        let earned = |(item, link): (&Item, &Option<String>)| !item.checked && link.as_deref() == Some("pass");
        let earned: Vec<usize> =
            items.iter().zip(&links).filter(|pair| earned(*pair)).map(|(item, _)| item.at).collect();
        ticked = earned.len() as u64;
        if ticked > 0 {
            let before = text.clone();
            earned.iter().for_each(|at| text.replace_range(at + 1..at + 2, "x"));
            write(&path, name, &before, &text, quit)?;
            items.iter_mut().filter(|item| earned.contains(&item.at)).for_each(|item| item.checked = true);
        }
    }
    Ok((facts(&items, &links, ticked), notes))
}

/// The whole text, with its byte order mark if it has one.
fn read(path: &Path, name: &str, quit: &Quit) -> Result<String, String> {
    let bytes = files::read(path, name, MAX_TEXT, quit).map_err(|error| error.to_string())?;
    String::from_utf8(bytes)
        .map_err(|error| format!("`{name}` is not UTF-8 text (byte {})", error.utf8_error().valid_up_to()))
}

/// A heading as an anchor: GitHub's form.
fn anchor(text: &str) -> String {
    let kept = |c: char| match c {
        ' ' | '-' => Some('-'),
        '_' => Some('_'),
        c => c.is_alphanumeric().then_some(c),
    };
    text.to_lowercase().chars().filter_map(kept).collect()
}

/// The bytes of the section under a heading.
fn section_of(headings: &[Heading], wanted: &str, end: usize) -> Result<Range<usize>, String> {
    let wanted = line(wanted);
    let by_text: Vec<usize> = (0..headings.len()).filter(|at| headings[*at].text == wanted).collect();
    let by_anchor = || (0..headings.len()).filter(|at| anchor(&headings[*at].text) == anchor(&wanted)).collect();
    let found: Vec<usize> = if by_text.is_empty() { by_anchor() } else { by_text };
    match found[..] {
        [at] => {
            let next = headings[at + 1..].iter().find(|next| next.level <= headings[at].level);
            Ok(headings[at].range.end..next.map_or(end, |next| next.range.start))
        }
        [] => {
            let names: Vec<String> = headings.iter().take(12).map(|heading| format!("`{}`", heading.text)).collect();
            let there =
                if names.is_empty() { "it has none".to_owned() } else { format!("there is {}", names.join(", ")) };
            Err(format!("has no heading `{wanted}`; {there}"))
        }
        _ => Err(format!("has {} headings `{wanted}`: rename all but one", found.len())),
    }
}

/// Links the one item of that text to a step.
fn link(items: &mut [Item], wanted: &str, step: &str) -> Result<(), String> {
    let wanted = line(wanted);
    let mut found = items.iter_mut().filter(|item| item.text == wanted);
    match (found.next(), found.next()) {
        (Some(item), None) => item.steps.push(step.to_owned()),
        (Some(_), Some(_)) => {
            return Err(format!("has several items `{wanted}`: link them by comments, `<!-- step:{step} -->`"));
        }
        (None, _) => {
            return Err(format!("has no item `{wanted}` to tick: write its text as it stands, without markup"));
        }
    }
    Ok(())
}

/// How the steps that an item is linked to came out: `pass`, or the first state that is another.
fn standing(item: &Item, states: &BTreeMap<String, Value>, notes: &mut Vec<Note>) -> Option<String> {
    let mut worst = None;
    for step in &item.steps {
        let state = match states.get(step) {
            Some(Value::Text(state)) => state.clone(),
            _ => {
                let text = format!(
                    "the box `{}` is linked to `{step}`, which is no step that comes before this one: add it to `after`",
                    item.text
                );
                notes.push(Note { code: "unknown_link".into(), text });
                "unknown".to_owned()
            }
        };
        if worst.as_deref().is_none_or(|worst| worst == "pass") {
            worst = Some(state);
        }
    }
    worst
}

/// Lines that were probably meant as boxes and are none.
fn doubtful(text: &str, range: &Range<usize>, name: &str) -> Vec<Note> {
    let mut at = 0;
    let mut notes = Vec::new();
    for (number, line) in text.split_inclusive('\n').enumerate() {
        let start = at;
        at += line.len();
        let rest = line.trim_start().strip_prefix(['-', '*', '+']).unwrap_or_default();
        let tight = ["[ ]", "[x]", "[X]"].iter().any(|form| rest.starts_with(form));
        if range.contains(&start) && (tight || rest.trim_start().starts_with("[]")) {
            let text = format!("`{name}` line {}: no box, because it is not written `- [ ] text`", number + 1);
            notes.push(Note { code: "no_box".into(), text });
        }
    }
    notes.truncate(20);
    notes
}

/// Replaces the file atomically, if it is still what was read.
fn write(path: &Path, name: &str, before: &str, after: &str, quit: &Quit) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("cannot write `{name}`: {}", files::plain(&error));
    let folder = path.parent().unwrap_or(path);
    let mut file = tempfile::Builder::new().prefix(".checklist-").tempfile_in(folder).map_err(failed)?;
    file.as_file().set_permissions(fs::metadata(path).map_err(failed)?.permissions()).map_err(failed)?;
    file.write_all(after.as_bytes()).map_err(failed)?;
    file.as_file().sync_all().map_err(failed)?;
    if read(path, name, quit)? != before {
        return Err(format!("`{name}` was changed while its boxes were being ticked: nothing was written"));
    }
    file.persist(path).map(drop).map_err(|error| failed(error.error))
}

fn facts(items: &[Item], links: &[Option<String>], ticked: u64) -> Facts {
    let mut facts = Facts::about(items.len() as u64, "box");
    let count = |n: usize| Value::int(n as u64);
    let checked = items.iter().filter(|item| item.checked).count();
    let unearned = |(item, link): &(&Item, &Option<String>)| item.checked && link.as_ref().is_some_and(|l| l != "pass");
    facts.set("total", count(items.len()));
    facts.set("checked", count(checked));
    facts.set("unchecked", count(items.len() - checked));
    facts.set("ticked", Value::int(ticked));
    facts.set("unearned", count(items.iter().zip(links).filter(unearned).count()));
    facts.set("items", texts(items.iter().map(|item| item.text.clone()).collect()));
    facts.set("open", texts(items.iter().filter(|item| !item.checked).map(|item| item.text.clone()).collect()));
    facts.set("links", texts(links.iter().flatten().cloned().collect()));
    // Of several items of one text all must be ticked.
    let mut by_text: BTreeMap<String, bool> = BTreeMap::new();
    for item in items {
        by_text.entry(item.text.clone()).and_modify(|all| *all &= item.checked).or_insert(item.checked);
    }
    let one = |checked: bool| Value::Map(BTreeMap::from([("checked".to_owned(), Value::Bool(checked))]));
    facts.set("item", Value::Map(by_text.into_iter().map(|(text, checked)| (text, one(checked))).collect()));
    facts
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::super::fixture;
    use super::*;
    use crate::action::Text;
    use proptest::prelude::*;

    const TEXT: &str = "# Plan\r\n\r\n- [ ] elsewhere <!-- step:ready -->\r\n\r\n## Post-deploy\r\n\r\n\
        - [ ] Ready **three** `times` <!-- step:ready -->\r\n  - [ ] nested <!-- step: smoke --> <!-- step:ready -->\r\n\
        1. [x] by hand\r\n* [ ] Smoke\r\n  green\r\n+ [ ] both <!-- step:gone -->\r\n\r\n```\r\n- [ ] code\r\n```\r\n\
        ### Deeper\r\n- [ ] é deep\r\n## Next\r\n- [ ] next <!-- step:ready -->\r\n";

    fn states() -> BTreeMap<String, Value> {
        let states = [("ready", "pass"), ("smoke", "warn"), ("late", "fail")];
        states.map(|(name, state)| (name.to_owned(), Value::text(state))).into()
    }

    fn spec(path: &str, tick: bool, links: &[(&str, &str)]) -> ChecklistSpec {
        let links = links.iter().map(|(item, step)| ((*item).to_owned(), (*step).to_owned())).collect();
        ChecklistSpec { path: Text::fixed(path), tick, links }
    }

    fn seen(text: &str, spec: &ChecklistSpec) -> (Result<(Facts, Vec<Note>), String>, String) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("list.md");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let result = look(dir.path(), spec, &states(), &Quit::default());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
        (result, fs::read_to_string(&path).unwrap())
    }

    fn list(facts: &Facts, name: &str) -> Vec<String> {
        let Value::List(items) = &facts.values[name] else { panic!() };
        items.iter().map(|item| if let Value::Text(text) = item { text.clone() } else { panic!() }).collect()
    }

    #[test]
    fn a_section_is_counted_and_nothing_written() {
        for path in ["list.md#Post-deploy", "list.md#post-deploy"] {
            let (result, after) = seen(TEXT, &spec(path, false, &[]));
            let (facts, notes) = result.unwrap();
            assert_eq!(after, TEXT);
            assert_eq!(
                list(&facts, "items"),
                ["Ready three times", "nested", "by hand", "Smoke green", "both", "é deep"]
            );
            assert_eq!(list(&facts, "links"), ["pass", "warn", "unknown"]);
            assert_eq!((&facts.values["checked"], &facts.values["unchecked"]), (&Value::int(1), &Value::int(5)));
            assert!(notes[0].text.contains("linked to `gone`"), "{notes:?}");
            assert_eq!(facts.inspected.count, 6);
        }
        let (result, _) = seen(TEXT, &spec("list.md", false, &[]));
        assert_eq!(result.unwrap().0.values["total"], Value::int(8));
    }

    #[test]
    fn only_earned_boxes_are_ticked_and_no_other_byte_changes() {
        let links = [("Smoke green", "ready"), ("é deep", "late")];
        let (result, after) = seen(TEXT, &spec("list.md#Post-deploy", true, &links));
        let (facts, _) = result.unwrap();
        assert_eq!(facts.values["ticked"], Value::int(2));
        assert_eq!(list(&facts, "open"), ["nested", "both", "é deep"]);
        let wanted = TEXT.replace("- [ ] Ready", "- [x] Ready").replace("* [ ] Smoke", "* [x] Smoke");
        assert_eq!(after, wanted);
        let (again, unchanged) = seen(&after, &spec("list.md#Post-deploy", true, &links));
        assert_eq!((again.unwrap().0.values["ticked"].clone(), unchanged), (Value::int(0), after));
    }

    #[test]
    fn a_byte_order_mark_stays() {
        let text = "\u{feff}# A\n- [ ] a <!-- step:ready -->\n";
        let (result, after) = seen(text, &spec("list.md#A", true, &[]));
        assert_eq!((result.unwrap().0.values["ticked"].clone(), after), (Value::int(1), text.replace("[ ]", "[x]")));
    }

    #[test]
    fn a_box_against_the_evidence_is_counted() {
        let (result, after) =
            seen("- [x] a <!-- step:late -->\n- [X] b <!-- step:ready -->\n", &spec("list.md", true, &[]));
        let (facts, _) = result.unwrap();
        assert_eq!((&facts.values["unearned"], &facts.values["unchecked"]), (&Value::int(1), &Value::int(0)));
        assert!(after.starts_with("- [x] a"), "never unticked");
    }

    #[test]
    fn faults_of_sections_and_items() {
        let error = |text: &str, spec: ChecklistSpec| seen(text, &spec).0.map(|_| ()).unwrap_err();
        assert_eq!(
            error(TEXT, spec("list.md#Nope", false, &[])),
            "`list.md` has no heading `Nope`; there is `Plan`, `Post-deploy`, `Deeper`, `Next`"
        );
        assert!(error("# A\n# A\n", spec("list.md#A", false, &[])).contains("has 2 headings `A`"));
        assert!(
            error(TEXT, spec("list.md", true, &[("next", "ready"), ("Next", "ready")])).contains("has no item `Next`")
        );
        assert!(error("- [ ] a\n- [ ] a\n", spec("list.md", true, &[("a", "ready")])).contains("several items `a`"));
        assert!(error(TEXT, spec("other.md", false, &[])).contains("`other.md`"));
        assert!(error(TEXT, spec("../list.md", true, &[])).contains("list.md"));
        let (result, _) = seen("none\n- [] typo\n-[ ] tight\n", &spec("list.md", false, &[]));
        let (facts, notes) = result.unwrap();
        assert_eq!((facts.inspected.count, notes.len()), (0, 2));
        assert!(notes[1].text.contains("line 3"), "{}", notes[1].text);
    }

    #[tokio::test(flavor = "current_thread")]
    async fn states_come_with_the_request() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("list.md"), "- [ ] a <!-- step:ready -->\n").unwrap();
        let mut request = fixture::request(Action::Checklist(Box::new(spec("list.md", true, &[]))), dir.path());
        request.values = states();
        let (lent, _stop) = fixture::lent();
        let seen = Checklist.look(&request, &lent).await.map_err(|error| error.detail).unwrap();
        assert_eq!(seen.facts.values["unchecked"], Value::int(0));
    }

    proptest! {
        #[test]
        fn ticking_changes_only_blanks_of_boxes(text in "([-*1.# \\[\\]xé\n`>a<!]|- \\[ \\] |<!-- step:ready -->|\n\n){0,60}") {
            let (result, after) = seen(&text, &spec("list.md", true, &[]));
            let ticked = match result.unwrap().0.values["ticked"] {
                Value::Num(n, _) => usize::try_from(n.num).unwrap(),
                _ => 0,
            };
            let changed: Vec<usize> = (0..text.len()).filter(|at| text.as_bytes()[*at] != after.as_bytes()[*at]).collect();
            prop_assert_eq!((after.len(), changed.len()), (text.len(), ticked));
            for at in changed {
                prop_assert!(text[at - 1..].starts_with("[ ]") && after[at - 1..].starts_with("[x]"));
            }
        }
    }
}
