//! A step added to the text of a plan: every other byte stays. Knows TOML and where steps stand, not what they mean.

use toml_edit::{Document, Item, Key, Table};

use super::draft::Step;

/// Why a step can't be added to a text.
#[derive(Debug, PartialEq, Eq)]
pub enum Refused {
    /// It is no TOML: the loader says where.
    Unreadable,
    /// The step that it was to stand behind is not in this file.
    NoSuchStep,
    /// There is no place for a table behind that step: why, and what helps.
    NoPlace(&'static str),
}

/// The text with the step, behind `behind` or the last step, and what was added.
///
/// # Errors
/// Where there is no such place.
pub fn insert(text: &str, step: &Step, behind: Option<&str>) -> Result<(String, String), Refused> {
    let tree = Document::parse(text).map_err(|_| Refused::Unreadable)?;
    let steps = tree.get("steps");
    let at = match (steps, behind) {
        (_, Some(name)) => end_of_step(text, steps.and_then(|steps| steps.get(name)))?,
        (Some(Item::Table(steps)), None) if steps.is_dotted() => text.len(),
        (Some(Item::Table(steps)), None) => end_of(steps).map_or(text.len(), |end| line_end(text, end)),
        (None, None) => text.len(),
        (Some(_), None) => {
            return Err(Refused::NoPlace("`steps` is written as one inline table; make it `[steps.NAME]` tables"));
        }
    };
    let ending = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let (before, after) = text.split_at(at);
    let mut added = String::new();
    if !before.is_empty() {
        if !before.ends_with('\n') {
            added.push('\n');
        }
        let blank = before.ends_with("\n\n") || before.ends_with("\n\r\n");
        if !blank {
            added.push('\n');
        }
    }
    added.push_str(&step.text());
    let next = after.lines().next();
    if next.is_some_and(|line| !line.trim().is_empty()) {
        added.push('\n');
    }
    let added = added.replace('\n', ending);
    Ok((format!("{before}{added}{after}"), added.trim().to_owned()))
}

/// The name as it stands in a header.
#[must_use]
pub fn header_name(name: &str) -> String {
    Key::new(name).display_repr().into_owned()
}

fn end_of_step(text: &str, item: Option<&Item>) -> Result<usize, Refused> {
    match item {
        None => Err(Refused::NoSuchStep),
        Some(Item::Table(table)) if !table.is_dotted() && !table.is_implicit() => {
            Ok(end_of(table).map_or(text.len(), |end| line_end(text, end)))
        }
        Some(_) => Err(Refused::NoPlace("it has no `[steps.NAME]` header of its own; leave `--after-step` out")),
    }
}

/// Where the last of a table's own lines ends, with those of its sub-tables.
fn end_of(table: &Table) -> Option<usize> {
    let own = table.span().map(|span| span.end);
    let inner = table.iter().filter_map(|(_, item)| match item {
        Item::Table(table) => end_of(table),
        Item::ArrayOfTables(tables) => tables.iter().filter_map(end_of).max(),
        item => item.span().map(|span| span.end),
    });
    inner.chain(own).max()
}

/// The beginning of the line after this place.
fn line_end(text: &str, at: usize) -> usize {
    text[at..].find('\n').map_or(text.len(), |more| at + more + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn added(text: &str, behind: Option<&str>) -> Result<String, Refused> {
        let step = Step::new("new").key("run", "'x'");
        insert(text, &step, behind).map(|(text, _)| text)
    }

    #[test]
    fn it_stands_behind_the_last_step_and_nothing_else_changes() {
        let text = "format = 1 # one\n\n[steps.a]\nrun = \"a\"   # why\n\n# about b\n[steps.b]\nhttp = { url = 'u' }\n[steps.b.env]\nX = '''\n1\n''' # x\n\n# the end\n[decision]\nrisk = { go = 1 }\n";
        let new = "\n[steps.new]\nrun = 'x'\n";
        let whole = added(text, None).unwrap();
        assert_eq!(whole, text.replace("''' # x\n", &format!("''' # x\n{new}")));
        let whole = added(text, Some("a")).unwrap();
        assert_eq!(whole, text.replace("# why\n", &format!("# why\n{new}")));
        assert_eq!(added(text, Some("c")), Err(Refused::NoSuchStep));
    }

    #[test]
    fn odd_files_have_a_place_too() {
        let new = "[steps.new]\nrun = 'x'\n";
        assert_eq!(added("", None).unwrap(), new);
        assert_eq!(added("format = 1", None).unwrap(), format!("format = 1\n\n{new}"));
        assert_eq!(
            added("[steps.a]\nrun='a'\n[env]\n", None).unwrap(),
            format!("[steps.a]\nrun='a'\n\n{new}\n[env]\n")
        );
        assert_eq!(
            added("[steps.a]\r\nrun='a'\r\n", None).unwrap(),
            "[steps.a]\r\nrun='a'\r\n\r\n[steps.new]\r\nrun = 'x'\r\n"
        );
        assert_eq!(
            added("[steps]\na = { run = 'a' }\n", None).unwrap(),
            format!("[steps]\na = {{ run = 'a' }}\n\n{new}")
        );
        assert!(matches!(added("[steps]\na = { run = 'a' }\n", Some("a")), Err(Refused::NoPlace(_))));
        assert!(matches!(added("steps = {}\n", None), Err(Refused::NoPlace(_))));
        assert_eq!(added("a = \n", None), Err(Refused::Unreadable));
        let empty = added("[steps.a]\n# nothing yet\n", None).unwrap();
        assert!(empty.starts_with("[steps.a]\n"), "{empty}");
        assert_eq!(header_name("a b"), "\"a b\"");
    }
}
