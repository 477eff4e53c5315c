//! Cobertura XML (coverage.py, gcovr, cargo-llvm-cov, coverlet …). Counts its `<line>` elements; rates are ignored.

use std::collections::BTreeMap;
use std::io::BufRead;
use std::path::{Component, Path, PathBuf};

use super::Fault;
use super::coverage::{Files, Lines};
use super::xml::{self, Element, Step};

#[derive(Default)]
struct Seen {
    sources: Vec<String>,
    /// Text of the `<source>` being read.
    source: Option<String>,
    files: BTreeMap<String, Lines>,
    /// Of the class being read.
    filename: Option<String>,
}

/// Reads a report. Lines of the same file in several classes or methods are merged by number.
pub(super) fn read(input: impl BufRead, workspace: &Path) -> Result<Files, Fault> {
    let mut seen = Seen::default();
    xml::walk(input, |step| {
        match step {
            Step::Open(element) => return seen.open(element),
            Step::Text(text) => {
                if let Some(source) = &mut seen.source {
                    source.push_str(text);
                }
            }
            Step::Close("source") => seen.sources.extend(seen.source.take().map(|text| text.trim().to_owned())),
            Step::Close("class") => seen.filename = None,
            Step::Close(_) => {}
        }
        Ok(())
    })?;
    let roots: Vec<PathBuf> = seen.sources.iter().filter_map(|source| root(source, workspace)).collect();
    let mut merged: BTreeMap<String, Lines> = BTreeMap::new();
    for (name, lines) in seen.files {
        merged.entry(place(&name, &roots, workspace)).or_default().merge(lines);
    }
    Ok(merged.into_iter().map(|(path, lines)| (path, lines.measured())).collect())
}

impl Seen {
    fn open(&mut self, element: &Element<'_>) -> Result<(), String> {
        match element.name {
            "source" => self.source = Some(String::new()),
            "class" => {
                let name = element.attr("filename")?.ok_or("a `<class>` has no `filename`")?;
                self.files.entry(name.clone()).or_default();
                self.filename = Some(name);
            }
            "line" => {
                // Lines outside a class (package summaries of some tools) would count twice.
                let Some(lines) = self.filename.as_ref().and_then(|name| self.files.get_mut(name)) else {
                    return Ok(());
                };
                let number = element.number("number")?.ok_or("a `<line>` has no `number`")?;
                let hits = element.number("hits")?.ok_or("a `<line>` has no `hits`")?;
                lines.line(number, hits > 0);
                if let Some(text) = element.attr("condition-coverage")? {
                    let (covered, total) = conditions(&text)
                        .ok_or_else(|| format!("`condition-coverage=\"{text}\"` is not like `50% (1/2)`"))?;
                    lines.branches(number, covered, total);
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// `50% (1/2)` → 1 of 2.
fn conditions(text: &str) -> Option<(u64, u64)> {
    let (_, rest) = text.split_once('(')?;
    let (covered, total) = rest.split_once(')')?.0.split_once('/')?;
    let (covered, total): (u64, u64) = (covered.trim().parse().ok()?, total.trim().parse().ok()?);
    (covered <= total).then_some((covered, total))
}

/// A source folder relative to the workspace, if it is inside.
fn root(source: &str, workspace: &Path) -> Option<PathBuf> {
    let path = Path::new(source);
    let inside = if path.is_absolute() { path.strip_prefix(workspace).ok()? } else { path };
    inside
        .components()
        .all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
        .then(|| inside.components().filter(|part| matches!(part, Component::Normal(_))).collect())
}

/// The path of a file: below the source folder where it is; below the only one if it is nowhere; else as it is written
/// (some tools write the folder into the file name as well).
fn place(name: &str, roots: &[PathBuf], workspace: &Path) -> String {
    if Path::new(name).is_absolute() {
        return name.to_owned();
    }
    let join = |root: &PathBuf| root.join(name).to_str().map(str::to_owned);
    let found = roots.iter().find(|root| workspace.join(root).join(name).is_file());
    match (found, roots) {
        (Some(root), _) => join(root),
        (None, [only]) if !workspace.join(name).is_file() => join(only),
        _ => None,
    }
    .unwrap_or_else(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(text: &str, workspace: &Path) -> Files {
        read(text.as_bytes(), workspace).ok().expect("a report")
    }

    fn fault(text: &str) -> String {
        match read(text.as_bytes(), Path::new("/")).expect_err("a fault") {
            Fault::At(_, why) | Fault::All(why) | Fault::Line(_, _, why) => why,
        }
    }

    const CLASS: &str = r#"<class filename="app/m.py"><methods><method><lines><line number="1" hits="0"/></lines></method></methods>
        <lines><line number="1" hits="3"/><line number="2" hits="0" branch="true" condition-coverage="50% (1/2)"/></lines></class>"#;

    #[test]
    fn the_same_line_counts_once() {
        let twice = format!("<coverage line-rate=\"1\"><packages>{CLASS}{CLASS}</packages></coverage>");
        let files = counts(&twice, Path::new("/ws"));
        assert_eq!((files["app/m.py"].counts.lines, files["app/m.py"].counts.branches), ((1, 2), Some((1, 2))));
    }

    #[test]
    fn sources_inside_the_workspace_are_part_of_the_path() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("src/app")).unwrap();
        let report = |sources: &[&str]| {
            let list: String = sources.iter().map(|source| format!("<source>{source}</source>")).collect();
            format!("<coverage><sources>{list}</sources>{CLASS}</coverage>")
        };
        let path = |sources: &[&str]| counts(&report(sources), dir.path()).into_keys().next().unwrap();
        let ws = dir.path().to_str().unwrap();
        assert_eq!(path(&["/elsewhere"]), "app/m.py");
        assert_eq!(path(&[&format!("{ws}/src")]), "src/app/m.py");
        assert_eq!(path(&["./src"]), "src/app/m.py");
        assert_eq!(path(&[ws]), "app/m.py");
        let (lib, src) = (format!("{ws}/lib"), format!("{ws}/src"));
        assert_eq!(path(&[&lib, &src]), "app/m.py");
        std::fs::write(dir.path().join("src/app/m.py"), "").unwrap();
        assert_eq!(path(&[&lib, &src]), "src/app/m.py");
        // The folder stands in the file name already.
        std::fs::create_dir_all(dir.path().join("app")).unwrap();
        std::fs::write(dir.path().join("app/m.py"), "").unwrap();
        assert_eq!(path(&[&format!("{ws}/app")]), "app/m.py");
    }

    #[test]
    fn wrong_shapes_are_named() {
        assert_eq!(fault("<coverage><class/></coverage>"), "a `<class>` has no `filename`");
        let line = |attributes: &str| format!("<coverage><class filename='a'><line {attributes}/></class></coverage>");
        assert!(fault(&line("number='x' hits='1'")).contains("`number=\"x\"` is not a whole number"));
        assert!(fault(&line("number='1'")).contains("no `hits`"));
        assert!(fault(&line("number='1' hits='1' condition-coverage='3'")).contains("is not like `50% (1/2)`"));
        assert!(fault(&line("number='1' hits='1' condition-coverage='200% (2/1)'")).contains("is not like"));
        assert!(fault("<coverage><a></b></coverage>").contains("it is not XML"));
    }
}
