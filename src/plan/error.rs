//! What is wrong with a plan: place, reason, suggestion. Data first; miette draws it. Knows no plan and reads no file.

use std::fmt;
use std::fmt::Write as _;
use std::ops::Range;
use std::sync::Arc;

use miette::{GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteError, MietteSpanContents};
use miette::{SourceCode, SourceSpan, SpanContents, ThemeCharacters, ThemeStyles};
use serde_json::json;

use crate::place::{Place, Sources};

/// Most diagnostics drawn for a person; JSON has them all.
const MOST_DRAWN: usize = 100;
/// Most places drawn for one diagnostic.
const MOST_LABELS: usize = 8;
/// Columns that miette puts before a line: line number and frame.
const GUTTER: usize = 8;
/// Lines that one snippet may have before two places get snippets of their own.
const MOST_LINES: usize = 12;

/// Stands for `-` while lines are broken, which miette would do behind it: codes and names of steps stay whole.
const JOINED: &str = "\u{f8ff}";

/// How bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Nothing runs.
    Error,
    /// Shown, runs all the same (an error under `--strict`).
    Warning,
}

impl Level {
    /// The word on screen and in JSON.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// One thing to say about a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Stable code (`unknown-key`).
    pub code: &'static str,
    /// How bad.
    pub severity: Level,
    /// Lower-case fragment, the thing in backticks.
    pub message: String,
    /// Where; `None` only for faults of the file as a whole (missing, not UTF-8) or of the command line.
    pub place: Option<Place>,
    /// Text under the underlined place.
    pub label: String,
    /// Other places that matter (edges of a cycle, the first declaration).
    pub related: Vec<(Place, String)>,
    /// What to do about it.
    pub help: Option<String>,
}

impl Diagnostic {
    /// An error at a place.
    #[must_use]
    pub fn error(code: &'static str, place: Place, message: impl Into<String>) -> Self {
        Self { place: Some(place), ..Self::global(code, message) }
    }

    /// An error of a file as a whole, or of the command line.
    #[must_use]
    pub fn global(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            severity: Level::Error,
            message: message.into(),
            place: None,
            label: String::new(),
            related: Vec::new(),
            help: None,
        }
    }

    /// A warning at a place.
    #[must_use]
    pub fn warning(code: &'static str, place: Place, message: impl Into<String>) -> Self {
        Self { severity: Level::Warning, ..Self::error(code, place, message) }
    }

    /// With text under the underlined place.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// With a suggestion.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// With a suggestion, if there is one.
    #[must_use]
    pub fn hint(mut self, help: Option<String>) -> Self {
        self.help = help.or(self.help);
        self
    }

    /// With another place that matters.
    #[must_use]
    pub fn related(mut self, place: Place, text: impl Into<String>) -> Self {
        self.related.push((place, text.into()));
        self
    }
}

/// All diagnostics for a person, ending in one line that counts them. Empty if there are none.
#[must_use]
pub fn render_human(diagnostics: &[Diagnostic], sources: &Sources, color: bool, width: usize) -> String {
    let mut out = String::new();
    if diagnostics.is_empty() {
        return out;
    }
    let styles = if color { ThemeStyles::ansi() } else { ThemeStyles::none() };
    let mut characters = ThemeCharacters::unicode();
    characters.error = "error:".into();
    characters.warning = "warning:".into();
    let handler = GraphicalReportHandler::new_themed(GraphicalTheme { characters, styles })
        .with_width(width.max(40))
        .with_links(false)
        .without_syntax_highlighting()
        .with_context_lines(1);
    let whole = View::new(sources, width.max(40));
    for diagnostic in diagnostics.iter().take(MOST_DRAWN) {
        let drawn = Drawn { diagnostic, view: &whole.around(diagnostic) };
        if handler.render_report(&mut out, &drawn).is_err() {
            let _ = writeln!(out, "{}: {}", diagnostic.severity.word(), clean(&diagnostic.message));
        }
        out.push('\n');
    }
    if diagnostics.len() > MOST_DRAWN {
        let _ = writeln!(out, "… and {} more; `--format json` lists them all\n", diagnostics.len() - MOST_DRAWN);
    }
    out = out.replace(JOINED, "-");
    out.push_str(&summary(diagnostics, sources));
    out.push('\n');
    out
}

/// `2 errors, 1 warning in blueprint.toml; nothing was run`.
#[must_use]
pub fn summary(diagnostics: &[Diagnostic], sources: &Sources) -> String {
    let errors = diagnostics.iter().filter(|d| d.severity == Level::Error).count();
    let warnings = diagnostics.len() - errors;
    let count = |n: usize, word: &str| format!("{n} {word}{}", if n == 1 { "" } else { "s" });
    let mut text = match (errors, warnings) {
        (0, _) => count(warnings, "warning"),
        (_, 0) => count(errors, "error"),
        _ => format!("{}, {}", count(errors, "error"), count(warnings, "warning")),
    };
    if let Some(main) = sources.files.first() {
        let _ = write!(text, " in {}", clean(&main.path));
        let others = diagnostics.iter().filter_map(|d| d.place).filter(|place| place.file.0 != 0);
        let others = others.map(|place| place.file).collect::<std::collections::BTreeSet<_>>().len();
        if others > 0 {
            let _ = write!(text, " and {}", count(others, "included file"));
        }
    }
    if errors > 0 {
        text.push_str("; nothing was run");
    }
    text
}

/// All diagnostics as JSON: code, severity, message, file, line, column, end, label, help, related.
#[must_use]
pub fn render_json(diagnostics: &[Diagnostic], sources: &Sources) -> serde_json::Value {
    let at = |place: Place| {
        let source = sources.file(place)?;
        let (line, column) = source.line_col(place.start as usize);
        let (end_line, end_column) = source.line_col(place.range().end);
        Some((source.path.clone(), line, column, json!({ "line": end_line, "column": end_column })))
    };
    let one = |diagnostic: &Diagnostic| {
        let (file, line, column, end) = diagnostic.place.and_then(at).map_or_else(
            || (sources.files.first().map(|source| source.path.clone()), None, None, serde_json::Value::Null),
            |(file, line, column, end)| (Some(file), Some(line), Some(column), end),
        );
        let related = diagnostic.related.iter().filter_map(|(place, text)| {
            let (file, line, column, end) = at(*place)?;
            Some(json!({ "file": file, "line": line, "column": column, "end": end, "message": text }))
        });
        json!({
            "code": diagnostic.code,
            "severity": diagnostic.severity.word(),
            "message": diagnostic.message,
            "file": file,
            "line": line,
            "column": column,
            "end": end,
            "label": diagnostic.label,
            "help": diagnostic.help,
            "related": related.collect::<Vec<_>>(),
        })
    };
    serde_json::Value::Array(diagnostics.iter().map(one).collect())
}

/// Control and text-direction characters replaced, each by as many bytes, so that offsets still fit.
#[must_use]
pub fn clean(text: &str) -> String {
    let harmful = |c: char| {
        (c.is_control() && c != '\n' && c != '\t') || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if !text.contains(harmful) {
        return text.to_owned();
    }
    text.chars()
        .map(|c| match (harmful(c), c.len_utf8()) {
            (false, _) => c,
            (true, 1) => '?',
            (true, 2) => '\u{bf}',
            (true, _) => '\u{fffd}',
        })
        .collect()
}

/// All files of a plan behind one another, as miette sees them: a place in file `n` is moved by what stands before it.
struct View<'a> {
    sources: &'a Sources,
    /// Texts with harmful characters replaced.
    texts: Vec<Arc<str>>,
    /// Where each file begins; a gap of one keeps the end of a file apart from the begin of the next.
    bases: Vec<usize>,
    /// Longest line that is shown whole, in bytes.
    room: usize,
}

impl<'a> View<'a> {
    fn new(sources: &'a Sources, width: usize) -> Self {
        let texts: Vec<Arc<str>> =
            sources.files.iter().map(|source| clean(&source.text.replace("\r\n", " \n")).into()).collect();
        let mut bases = Vec::with_capacity(texts.len());
        let mut next = 0;
        for text in &texts {
            bases.push(next);
            next += text.len() + 1;
        }
        Self { sources, texts, bases, room: width - GUTTER }
    }

    /// The view for one diagnostic: long lines that it points into have `…` where they are cut.
    fn around(&self, diagnostic: &Diagnostic) -> View<'a> {
        let mut view = View { texts: self.texts.clone(), bases: self.bases.clone(), ..*self };
        let mut ranges: Vec<(usize, Range<usize>)> =
            places(diagnostic).filter_map(|place| Some((usize::from(place.file.0), self.range(place)?))).collect();
        ranges.sort_by_key(|(file, range)| (*file, range.start));
        let mut at = 0;
        while let Some((file, range)) = ranges.get(at).cloned() {
            at += 1;
            let line = self.line(file, range.start);
            if line.len() <= self.room {
                continue;
            }
            // As `read` is asked: places that fit into one window are drawn in one.
            let mut all = range;
            while let Some((_, next)) = ranges.get(at).filter(|(other, next)| *other == file && next.start < line.end)
                && self.fits(all.start..next.end.max(all.end))
            {
                all.end = next.end.max(all.end);
                at += 1;
            }
            let shown = self.window(file, &line, all);
            if let Some(text) = view.texts.get_mut(file) {
                *text = elided(text, &line, &shown).into();
            }
        }
        view
    }

    fn fits(&self, place: Range<usize>) -> bool {
        place.len() <= self.room * 3 / 4
    }

    /// The line that holds a byte, without its end.
    fn line(&self, file: usize, at: usize) -> Range<usize> {
        let (text, source) = (&self.texts[file], &self.sources.files[file]);
        let (line, _) = source.line_col(at);
        let (start, end) = (source.line_start(line), source.line_start(line + 1));
        start..start + text[start..end.min(text.len())].trim_end_matches('\n').len()
    }

    /// The bytes of a place within its file, cut to its first line and to what can be shown of it.
    fn range(&self, place: Place) -> Option<Range<usize>> {
        let text = self.texts.get(usize::from(place.file.0))?;
        let start = (place.start as usize).min(text.len());
        let mut end = place.range().end.clamp(start, text.len()).min(start + self.room / 2);
        while !text.is_char_boundary(end) {
            end += 1;
        }
        let cut = text.get(start..end)?.find('\n').map_or(end, |line| start + line);
        Some(start..cut)
    }

    /// The span of a place.
    fn span(&self, place: Place) -> Option<SourceSpan> {
        let range = self.range(place)?;
        let base = self.bases.get(usize::from(place.file.0))?;
        Some(SourceSpan::from((base + range.start, range.len())))
    }

    fn read(&self, span: &SourceSpan, around: usize) -> Option<MietteSpanContents<'_>> {
        let file = self.bases.partition_point(|&base| base <= span.offset()).checked_sub(1)?;
        let (text, base, source) = (self.texts.get(file)?, self.bases[file], self.sources.files.get(file)?);
        let start = span.offset() - base;
        let end = start + span.len();
        if end > text.len() {
            return None;
        }
        let (first, column) = source.line_col(start);
        let (last, _) = source.line_col(end);
        if last - first > MOST_LINES {
            return None;
        }
        let short = |line: usize| self.line(file, source.line_start(line)).len() <= self.room;
        let (mut from, mut to) = (first, last);
        let shown = if (first..=last).all(short) {
            while from > 1 && first - from < around && short(from - 1) {
                from -= 1;
            }
            while to < source.lines() && to - last < around && short(to + 1) {
                to += 1;
            }
            source.line_start(from)..source.line_start(to + 1)
        } else if first == last && self.fits(start..end) {
            self.window(file, &self.line(file, start), start..end)
        } else {
            return None;
        };
        let data = text.get(shown.clone())?.as_bytes();
        let column = if around == 0 { column - 1 } else { 0 };
        let line = if around == 0 { first } else { from };
        let span = SourceSpan::from((base + shown.start, shown.len()));
        let name = clean(&source.path);
        Some(MietteSpanContents::new_named(name, data, span, line - 1, column, to - from + 1))
    }

    /// The part of a long line that is shown around a place, on character bounds.
    fn window(&self, file: usize, line: &Range<usize>, place: Range<usize>) -> Range<usize> {
        let text = &self.texts[file];
        let before = (self.room - place.len().min(self.room)) / 2;
        let low = place.start.saturating_sub(before).max(line.start).min(line.end.saturating_sub(self.room));
        let (mut low, mut high) = (low.max(line.start), (low + self.room).max(place.end).min(line.end));
        while !text.is_char_boundary(low) {
            low += 1;
        }
        while !text.is_char_boundary(high) {
            high -= 1;
        }
        // With the line's end, so that it can be pointed at.
        low..if high == line.end { (high + 1).min(text.len()) } else { high }
    }
}

/// Every place of a diagnostic that is drawn.
fn places(diagnostic: &Diagnostic) -> impl Iterator<Item = Place> + '_ {
    let related = diagnostic.related.iter().take(MOST_LABELS).map(|(place, _)| *place);
    diagnostic.place.into_iter().chain(related)
}

/// Stands where a line is cut.
const MARK: &str = "…";

/// A text with `…` at the ends of what is shown of a line. With spaces it takes as many bytes as what it replaces, so
/// that every place still fits.
fn elided(text: &str, line: &Range<usize>, shown: &Range<usize>) -> String {
    let mut out = text.to_owned();
    let part = &text[shown.start..shown.end.min(line.end)];
    let enough = |len: &usize| *len >= MARK.len();
    let first = part.char_indices().map(|(at, c)| at + c.len_utf8()).find(enough);
    let last = part.char_indices().rev().map(|(at, _)| part.len() - at).find(enough);
    if let Some(len) = first.filter(|_| shown.start > line.start) {
        out.replace_range(shown.start..shown.start + len, &format!("{MARK:<0$}", len - 2));
    }
    if let Some(len) = last.filter(|_| shown.end < line.end) {
        out.replace_range(shown.end - len..shown.end, &format!("{MARK:>0$}", len - 2));
    }
    out
}

impl SourceCode for View<'_> {
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        before: usize,
        after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        self.read(span, before.max(after)).map_or(Err(MietteError::OutOfBounds), |contents| Ok(Box::new(contents)))
    }
}

/// A diagnostic as miette asks for it.
struct Drawn<'a> {
    diagnostic: &'a Diagnostic,
    view: &'a View<'a>,
}

impl fmt::Debug for Drawn<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.diagnostic, f)
    }
}

impl fmt::Display for Drawn<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{} [{}]", clean(&self.diagnostic.message), self.diagnostic.code);
        f.write_str(&text.replace('-', JOINED))
    }
}

impl std::error::Error for Drawn<'_> {}

impl miette::Diagnostic for Drawn<'_> {
    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.diagnostic.severity {
            Level::Error => miette::Severity::Error,
            Level::Warning => miette::Severity::Warning,
        })
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        let mut help = self.diagnostic.help.as_deref().map(clean).unwrap_or_default();
        let hidden = self.diagnostic.related.len().saturating_sub(MOST_LABELS);
        if hidden > 0 {
            help = format!("{help}\n{hidden} more places are not shown").trim_start().to_owned();
        }
        (!help.is_empty()).then(|| Box::new(help.replace('-', JOINED)) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(self.view)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let Diagnostic { place, label, related, .. } = self.diagnostic;
        let label = clean(label);
        let label = (!label.is_empty()).then_some(label);
        let first = place.and_then(|place| self.view.span(place));
        let first = first.map(|span| LabeledSpan::new_primary_with_span(label, span));
        let rest = related.iter().take(MOST_LABELS).filter_map(|(place, text)| {
            self.view.span(*place).map(|span| LabeledSpan::new_with_span(Some(clean(text)), span))
        });
        Some(Box::new(first.into_iter().chain(rest)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::FileId;
    use crate::place::Source;

    fn sources(texts: &[(&str, &str)]) -> Sources {
        let file = |(name, text): &(&str, &str)| Source::new((*name).to_owned(), (*text).to_owned());
        Sources { files: texts.iter().map(file).map(Arc::new).collect() }
    }

    fn place(sources: &Sources, file: u16, needle: &str) -> Place {
        let start = sources.files[usize::from(file)].text.find(needle).unwrap();
        Place::new(FileId(file), start..start + needle.len())
    }

    #[test]
    fn a_diagnostic_names_place_reason_and_suggestion_in_words() {
        let sources = sources(&[("p.toml", "format = 1\n[steps.a]\ntimout = \"3s\"\nrun = \"true\"\n")]);
        let fault = Diagnostic::error("unknown-key", place(&sources, 0, "timout"), "unknown key `timout`")
            .label("not a key of a step")
            .help("did you mean `timeout`?");
        let text = render_human(&[fault], &sources, false, 80);
        assert_eq!(
            text,
            "  error: unknown key `timout` [unknown-key]\n   ╭─[p.toml:3:1]\n 2 │ [steps.a]\n 3 │ timout = \"3s\"\n   \
             · ───┬──\n   ·    ╰── not a key of a step\n 4 │ run = \"true\"\n   ╰────\n  help: did you mean `timeout`?\n\n\
             1 error in p.toml; nothing was run\n"
        );
    }

    #[test]
    fn far_places_do_not_print_the_lines_between() {
        let far = format!("first\n{}second\n{}third\n", "\n".repeat(400_000), "\n".repeat(400_000));
        let sources = sources(&[("p.toml", &far)]);
        let fault = Diagnostic::error("cycle", place(&sources, 0, "first"), "a cycle")
            .label("one")
            .related(place(&sources, 0, "second"), "two")
            .related(place(&sources, 0, "third"), "three");
        let text = render_human(&[fault], &sources, false, 80);
        assert!(text.lines().count() < 40, "{text}");
        for word in ["one", "two", "three", "p.toml:400002:1"] {
            assert!(text.contains(word), "{word}: {text}");
        }
    }

    #[test]
    fn places_in_two_files_are_drawn_apart() {
        let sources = sources(&[("a.toml", "x\ny\nhere\n"), ("b.toml", "there\n")]);
        let fault =
            Diagnostic::error("c", place(&sources, 0, "here"), "m").related(place(&sources, 1, "there"), "first");
        let text = render_human(&[fault], &sources, false, 80);
        assert!(text.contains("[a.toml:3:1]") && text.contains("[b.toml:1:1]"), "{text}");
    }

    #[test]
    fn control_characters_never_reach_the_terminal() {
        let sources = sources(&[("p\u{1b}.toml", "a = \"\u{1b}[31m\u{9b}\u{202e}\" # x\r\nb = 1\r\n")]);
        let fault = Diagnostic::error("c", place(&sources, 0, "\u{202e}"), "m \u{1b}").label("l\u{7}");
        let text = render_human(&[fault], &sources, false, 80);
        assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{text:?}");
        assert!(!text.contains('\u{202e}'));
        assert_eq!(clean("a\u{9b}\u{202e}").len(), "a\u{9b}\u{202e}".len());
    }

    #[test]
    fn a_very_long_line_is_shown_in_part() {
        let long = format!("a = \"{}NEEDLE{}\"\n", "é".repeat(100_000), "é".repeat(100_000));
        let sources = sources(&[("p.toml", &long)]);
        let fault = Diagnostic::error("c", place(&sources, 0, "NEEDLE"), "m").label("here");
        let text = render_human(&[fault], &sources, false, 80);
        assert!(text.len() < 2000 && text.contains("NEEDLE"), "{}", text.len());
    }

    #[test]
    fn many_places_and_many_diagnostics_are_bounded_for_people_only() {
        let sources = sources(&[("p.toml", "x\n")]);
        let at = place(&sources, 0, "x");
        let mut one = Diagnostic::error("c", at, "m");
        one.related = vec![(at, "again".into()); 50];
        assert!(render_human(&[one.clone()], &sources, false, 80).contains("42 more places"));
        let many = vec![one; 300];
        assert!(render_human(&many, &sources, false, 80).contains("… and 200 more"));
        assert_eq!(render_json(&many, &sources).as_array().map(Vec::len), Some(300));
    }

    #[test]
    fn json_has_every_field() {
        let sources = sources(&[("p.toml", "ab\ncd\n")]);
        let fault = Diagnostic::warning("w", place(&sources, 0, "cd"), "m").related(place(&sources, 0, "ab"), "first");
        assert_eq!(
            render_json(&[fault], &sources),
            json!([{ "code": "w", "severity": "warning", "message": "m", "file": "p.toml", "line": 2, "column": 1,
                "end": { "line": 2, "column": 3 }, "label": "", "help": null,
                "related": [{ "file": "p.toml", "line": 1, "column": 1, "end": { "line": 1, "column": 3 }, "message": "first" }] }])
        );
    }
}
