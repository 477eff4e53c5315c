//! JaCoCo XML. Counts its `<line>` elements; the `<counter>` sums are ignored.
//!
//! A line ran if one of its instructions did (`ci` above 0). A file's path is its package and its name; where several
//! groups (modules) have the same one, the group stands in front.

use std::collections::BTreeMap;
use std::io::BufRead;

use super::Fault;
use super::coverage::{Files, Lines};
use super::xml::{self, Element, Step};

#[derive(Default)]
struct Seen {
    groups: Vec<String>,
    package: Option<String>,
    /// Group and path of the file being read.
    file: Option<(String, String)>,
    /// By path, then by group.
    files: BTreeMap<String, BTreeMap<String, Lines>>,
}

/// Reads a report.
pub(super) fn read(input: impl BufRead) -> Result<Files, Fault> {
    let mut seen = Seen::default();
    xml::walk(input, |step| {
        match step {
            Step::Open(element) => return seen.open(element),
            Step::Close("group") => drop(seen.groups.pop()),
            Step::Close("package") => seen.package = None,
            Step::Close("sourcefile") => seen.file = None,
            Step::Close(_) | Step::Text(_) => {}
        }
        Ok(())
    })?;
    let mut files = Files::new();
    for (path, groups) in seen.files {
        let alone = groups.len() == 1;
        for (group, lines) in groups {
            let path = if alone { path.clone() } else { format!("{group}/{path}") };
            files.insert(path, lines.measured());
        }
    }
    Ok(files)
}

impl Seen {
    fn open(&mut self, element: &Element<'_>) -> Result<(), String> {
        let named = |what: &str| element.attr("name")?.ok_or_else(|| format!("a `<{what}>` has no `name`"));
        match element.name {
            "group" => self.groups.push(named("group")?),
            "package" => self.package = Some(named("package")?),
            "sourcefile" => {
                let name = named("sourcefile")?;
                let package = self.package.as_deref().ok_or("a `<sourcefile>` is in no `<package>`")?;
                let path = if package.is_empty() { name } else { format!("{package}/{name}") };
                let group = self.groups.join("/");
                self.files.entry(path.clone()).or_default().entry(group.clone()).or_default();
                self.file = Some((group, path));
            }
            "line" => {
                let Some((group, path)) = &self.file else { return Ok(()) };
                let number = element.number("nr")?.ok_or("a `<line>` has no `nr`")?;
                let count = |name: &str| Ok::<u64, String>(element.number(name)?.unwrap_or(0));
                let (covered, missed, taken) = (count("ci")?, count("mb")?, count("cb")?);
                let Some(lines) = self.files.get_mut(path).and_then(|groups| groups.get_mut(group)) else {
                    return Ok(());
                };
                lines.line(number, covered > 0);
                lines.branches(number, taken, taken.saturating_add(missed));
            }
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::act::report::coverage::Counts;

    const PACKAGE: &str = "<package name='a/b'><class name='a/b/C' sourcefilename='C.java'><method name='m' desc='()V' line='3'>\
        <counter type='LINE' missed='9' covered='9'/></method></class><sourcefile name='C.java'>\
        <line nr='3' mi='0' ci='2' mb='1' cb='1'/><line nr='4' mi='1' ci='0' mb='0' cb='0'/>\
        <counter type='LINE' missed='1' covered='1'/></sourcefile></package>";

    fn files(body: &str) -> Vec<(String, Counts)> {
        let doctype = "<?xml version='1.0'?><!DOCTYPE report PUBLIC '-//JACOCO//DTD Report 1.1//EN' 'report.dtd'>";
        let files = read(format!("{doctype}<report name='r'>{body}</report>").as_bytes()).ok().expect("a report");
        files.into_iter().map(|(path, measured)| (path, measured.counts)).collect()
    }

    #[test]
    fn lines_count_and_sums_do_not() {
        let counts = Counts { lines: (1, 2), branches: Some((1, 2)) };
        assert_eq!(files(PACKAGE), [("a/b/C.java".to_owned(), counts)]);
        let modules = format!("<group name='x'>{PACKAGE}</group><group name='y'>{PACKAGE}</group>");
        assert_eq!(files(&modules), ["x", "y"].map(|group| (format!("{group}/a/b/C.java"), counts)));
        assert_eq!(files(""), []);
    }

    #[test]
    fn wrong_shapes_are_named() {
        let fault = |text: &str| match read(text.as_bytes()).expect_err("a fault") {
            Fault::At(_, why) | Fault::All(why) | Fault::Line(_, _, why) => why,
        };
        assert_eq!(fault("<report><sourcefile name='a'/></report>"), "a `<sourcefile>` is in no `<package>`");
        assert_eq!(fault("<report><package/></report>"), "a `<package>` has no `name`");
        let line = |text: &str| {
            format!("<report><package name='p'><sourcefile name='a'>{text}</sourcefile></package></report>")
        };
        assert_eq!(fault(&line("<line/>")), "a `<line>` has no `nr`");
        assert!(fault(&line("<line nr='1' ci='NaN'/>")).contains("`ci=\"NaN\"` is not a whole number"));
    }
}
