//! A plan that is being written for somebody, and its text: sections, steps, comments that say what was guessed. The
//! same draft gives the same bytes. Knows no source it is made from.

use std::fmt::Write as _;

/// Columns of a comment.
const WIDTH: usize = 110;

/// A plan to be written.
#[derive(Clone, Debug, Default)]
pub struct Draft {
    /// Paragraphs of the comment at its head.
    pub head: Vec<String>,
    /// Short name.
    pub name: String,
    /// Title; none if empty.
    pub title: String,
    /// The workspace, relative to the plan's folder; that folder if empty.
    pub workspace: String,
    /// Variables that children inherit; what is usual if empty.
    pub pass: Vec<String>,
    /// Variables: name, TOML value, comment.
    pub vars: Vec<(String, String, String)>,
    /// Roles of `[signoffs]`.
    pub roles: Vec<String>,
    /// What follows, in order.
    pub blocks: Vec<Block>,
}

/// A part of a draft.
#[derive(Clone, Debug)]
pub enum Block {
    /// A heading.
    Section(String),
    /// A paragraph of comment.
    Note(String),
    /// A step.
    Step(Step),
}

/// A step.
#[derive(Clone, Debug, Default)]
pub struct Step {
    /// Its id.
    pub id: String,
    /// It stands below `[finally]`.
    pub finally: bool,
    /// It is written as a comment, to be taken in by hand.
    pub off: bool,
    /// Paragraphs of comment before it.
    pub notes: Vec<String>,
    /// Keys and TOML values.
    pub keys: Vec<(&'static str, String)>,
    /// Lines of comment after its keys.
    pub hints: Vec<String>,
}

impl Step {
    /// A step without keys.
    #[must_use]
    pub fn new(id: impl Into<String>) -> Self {
        Self { id: id.into(), ..Self::default() }
    }

    /// With a key.
    #[must_use]
    pub fn key(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.keys.push((name, value.into()));
        self
    }

    /// Its text, a line feed at the end.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = String::new();
        self.notes.iter().for_each(|note| comment(&mut out, note));
        let mark = if self.off { "# " } else { "" };
        let table = if self.finally { "finally" } else { "steps" };
        let _ = writeln!(out, "{mark}[{table}.{}]", self.id);
        let widest = self.keys.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
        for (name, value) in &self.keys {
            let _ = writeln!(out, "{mark}{name:widest$} = {value}");
        }
        for hint in &self.hints {
            let _ = writeln!(out, "# {}", one_line(hint));
        }
        out
    }
}

impl Draft {
    /// The steps that are no comments.
    pub fn steps(&self) -> impl Iterator<Item = &Step> {
        self.blocks.iter().filter_map(|block| match block {
            Block::Step(step) if !step.off => Some(step),
            _ => None,
        })
    }

    /// The plan.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = String::new();
        for (at, paragraph) in self.head.iter().enumerate() {
            if at > 0 {
                out.push_str("#\n");
            }
            comment(&mut out, paragraph);
        }
        out.push_str("format = 1\n\n[plan]\n");
        let about = [("name", &self.name), ("title", &self.title), ("workspace", &self.workspace)];
        let about = about.iter().filter(|(_, text)| !text.is_empty());
        let widest = about.clone().map(|(name, _)| name.len()).max().unwrap_or_default();
        for (name, text) in about {
            let _ = writeln!(out, "{name:widest$} = {}", string(text));
        }
        if !self.pass.is_empty() {
            let _ =
                writeln!(out, "\n[env]\npass = {}   # what commands inherit, and nothing else", strings(&self.pass));
        }
        if !self.vars.is_empty() {
            out.push_str("\n[vars]\n");
            let widest = self.vars.iter().map(|(name, ..)| name.len()).max().unwrap_or_default();
            for (name, value, what) in &self.vars {
                let what = if what.is_empty() { String::new() } else { format!("   # {what}") };
                let _ = writeln!(out, "{name:widest$} = {value}{what}");
            }
        }
        if !self.roles.is_empty() {
            out.push_str(
                "\n# The run ends in HOLD until each of them has signed: `runplan sign latest --role … --as …`.\n",
            );
            let _ = writeln!(out, "[signoffs]\nroles = {}", strings(&self.roles));
        }
        let mut under_section = false;
        for block in &self.blocks {
            if !under_section {
                out.push('\n');
            }
            under_section = matches!(block, Block::Section(_));
            match block {
                Block::Section(title) => {
                    let title = one_line(title);
                    let rule = "─".repeat(WIDTH.saturating_sub(title.chars().count() + 6).max(3));
                    let _ = writeln!(out, "# ── {title} {rule}");
                }
                Block::Note(text) => comment(&mut out, text),
                Block::Step(step) => out.push_str(&step.text()),
            }
        }
        out
    }
}

/// A paragraph as lines of comment; what stands in backticks stays in one line.
fn comment(out: &mut String, paragraph: &str) {
    let (mut line, mut piece) = (String::new(), String::new());
    let text = one_line(paragraph);
    let mut words = text.split(' ').peekable();
    while let Some(word) = words.next() {
        if !piece.is_empty() {
            piece.push(' ');
        }
        piece.push_str(word);
        if piece.matches('`').count() % 2 == 1 && words.peek().is_some() {
            continue;
        }
        if !line.is_empty() && line.chars().count() + piece.chars().count() >= WIDTH {
            let _ = writeln!(out, "# {line}");
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(&piece);
        piece.clear();
    }
    let _ = writeln!(out, "# {line}");
}

/// White space folded, and nothing that a comment may not hold.
fn one_line(text: &str) -> String {
    let words = text.split_whitespace().map(|word| word.chars().filter(|c| !c.is_control()).collect::<String>());
    words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// A TOML string.
#[must_use]
pub fn string(text: &str) -> String {
    toml_edit::Value::from(text).to_string()
}

/// A TOML list of strings.
#[must_use]
pub fn strings<S: AsRef<str>>(texts: &[S]) -> String {
    let texts: Vec<String> = texts.iter().map(|text| string(text.as_ref())).collect();
    format!("[{}]", texts.join(", "))
}

/// A text for a place that may hold templates: as it is, whatever it holds.
#[must_use]
pub fn literal(text: &str) -> String {
    // Between two braces that follow each other: also `{{{` and `{%` come out as they were.
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c == '{' && matches!(chars.peek(), Some('{' | '%')) { out.push_str("{{ '{' }}") } else { out.push(c) }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draft_is_the_text_of_a_plan() {
        let step = Step { notes: vec!["why".into()], hints: vec!["file = \"x\"".into()], ..Step::new("a") };
        let step = step.key("title", string("A \"quoted\"\nline")).key("run", strings(&["true"]));
        let draft = Draft {
            head: vec!["one".into(), format!("{} end", "word ".repeat(40))],
            name: "n".into(),
            title: "T".into(),
            vars: vec![("x".into(), "1".into(), "what".into())],
            roles: vec!["PO".into()],
            workspace: "..".into(),
            pass: vec!["PATH".into()],
            blocks: vec![
                Block::Section("S \u{7}\n x".into()),
                Block::Step(step),
                Block::Step(Step { off: true, finally: true, ..Step::new("b") }),
            ],
        };
        let text = draft.text();
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH + 2), "{text}");
        let tree: toml_edit::DocumentMut = text.parse().unwrap();
        assert_eq!(tree["steps"]["a"]["title"].as_str(), Some("A \"quoted\"\nline"));
        assert!(text.contains("# ── S x ──") && text.contains("─\n# why\n[steps.a]\n"), "{text}");
        assert!(text.contains("# file = \"x\"\n\n# [finally.b]\n"), "{text}");
        assert_eq!(draft.steps().count(), 1);
    }
}
