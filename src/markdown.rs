//! Markdown: what headings and boxes a text has, and the same text as HTML that can do no harm. Knows no file and no step.

use std::ops::Range;

use pulldown_cmark::{CodeBlockKind, CowStr, Event, HeadingLevel, Options, Parser, Tag, TagEnd, html};

/// One box of a task list.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Item {
    /// Offset of its `[` in bytes.
    pub at: usize,
    /// Whether it is ticked.
    pub checked: bool,
    /// What stands beside it, in one line without markup.
    pub text: String,
    /// Steps it is linked to by comments, `<!-- step:NAME -->`.
    pub steps: Vec<String>,
}

/// A heading.
#[derive(Debug)]
pub struct Heading {
    /// 1 to 6; 1 is the highest.
    pub level: HeadingLevel,
    /// Its text, in one line without markup.
    pub text: String,
    /// Where it stands, in bytes.
    pub range: Range<usize>,
}

/// Headings and boxes of a document, in order.
#[must_use]
pub fn outline(text: &str) -> (Vec<Heading>, Vec<Item>) {
    let (mut headings, mut items) = (Vec::<Heading>::new(), Vec::<Item>::new());
    // Boxes of the list items that are open, outermost first; `None` for an item without a box.
    let mut open: Vec<Option<usize>> = Vec::new();
    let mut in_heading = false;
    let body = text.strip_prefix('\u{feff}').unwrap_or(text);
    let shift = text.len() - body.len();
    for (event, range) in
        Parser::new_ext(body, Options::ENABLE_TASKLISTS | Options::ENABLE_STRIKETHROUGH).into_offset_iter()
    {
        let range = range.start + shift..range.end + shift;
        match event {
            Event::Start(Tag::Heading { level, .. }) => {
                headings.push(Heading { level, text: String::new(), range });
                in_heading = true;
            }
            Event::End(TagEnd::Heading(_)) => in_heading = false,
            Event::Start(Tag::Item) => open.push(None),
            Event::End(TagEnd::Item) => drop(open.pop()),
            Event::TaskListMarker(checked) => {
                if let Some(last) = open.last_mut() {
                    *last = Some(items.len());
                    items.push(Item { at: range.start, checked, ..Item::default() });
                }
            }
            Event::Text(piece) | Event::Code(piece) => {
                if in_heading && let Some(heading) = headings.last_mut() {
                    heading.text.push_str(&piece);
                } else if let Some(item) = open.last().copied().flatten() {
                    items[item].text.push_str(&piece);
                }
            }
            Event::SoftBreak | Event::HardBreak | Event::Start(Tag::Paragraph) => {
                if let Some(item) = open.last().copied().flatten() {
                    items[item].text.push(' ');
                }
            }
            Event::InlineHtml(html) | Event::Html(html) => {
                if let Some(item) = open.last().copied().flatten() {
                    items[item].steps.extend(steps(&html));
                }
            }
            _ => {}
        }
    }
    for text in headings.iter_mut().map(|h| &mut h.text).chain(items.iter_mut().map(|i| &mut i.text)) {
        *text = line(text);
    }
    (headings, items)
}

/// A heading, a list item or a paragraph, as somebody who reads a checklist sees it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// Level of a heading, 1 to 6; 0 for anything else.
    pub heading: usize,
    /// How many lists it stands in; 0 outside of them.
    pub depth: usize,
    /// Its box, if it has one: whether it is ticked.
    pub ticked: Option<bool>,
    /// What it says.
    pub parts: Vec<Part>,
}

/// A piece of a line.
#[derive(Debug, PartialEq, Eq)]
pub enum Part {
    /// Plain text; a line break is `\n`.
    Text(String),
    /// What stood in backticks.
    Code(String),
    /// Where a link leads.
    Link(String),
    /// A fenced block, and the word behind its fence.
    Fence(String, String),
}

impl Line {
    /// In one line without markup; nothing of fenced blocks.
    #[must_use]
    pub fn text(&self) -> String {
        let shown = self.parts.iter().map(|part| match part {
            Part::Text(text) | Part::Code(text) => text.as_str(),
            Part::Link(_) | Part::Fence(..) => "",
        });
        line(&shown.collect::<String>())
    }
}

/// Headings, list items and paragraphs of a document, in order.
#[must_use]
pub fn lines(text: &str) -> Vec<Line> {
    let mut lines = Vec::<Line>::new();
    // Lines of the list items that are open, outermost first.
    let mut open: Vec<usize> = Vec::new();
    let (mut alone, mut fence) = (false, None::<(String, String)>);
    let body = text.strip_prefix('\u{feff}').unwrap_or(text);
    for event in Parser::new_ext(body, Options::ENABLE_TASKLISTS | Options::ENABLE_STRIKETHROUGH) {
        let at = if alone { lines.len().checked_sub(1) } else { open.last().copied() };
        match event {
            Event::Start(Tag::Heading { level, .. }) => {
                lines.push(Line { heading: level as usize, depth: open.len(), ..Line::default() });
                alone = true;
            }
            Event::Start(Tag::Paragraph) if open.is_empty() => {
                lines.push(Line::default());
                alone = true;
            }
            Event::End(TagEnd::Heading(_) | TagEnd::Paragraph) => alone = false,
            Event::Start(Tag::Item) => {
                lines.push(Line { depth: open.len() + 1, ..Line::default() });
                open.push(lines.len() - 1);
            }
            Event::End(TagEnd::Item) => drop(open.pop()),
            Event::Start(Tag::CodeBlock(kind)) => {
                let word = match kind {
                    CodeBlockKind::Fenced(info) => info.split_whitespace().next().unwrap_or_default().to_owned(),
                    CodeBlockKind::Indented => String::new(),
                };
                fence = Some((word, String::new()));
            }
            Event::End(TagEnd::CodeBlock) => {
                if let (Some((word, code)), Some(at)) = (fence.take(), at) {
                    lines[at].parts.push(Part::Fence(word, code));
                }
            }
            Event::Text(piece) => match (&mut fence, at) {
                (Some((_, code)), _) => code.push_str(&piece),
                (None, Some(at)) => lines[at].parts.push(Part::Text(piece.into_string())),
                (None, None) => {}
            },
            event => {
                let Some(at) = at else { continue };
                match event {
                    Event::TaskListMarker(checked) => lines[at].ticked = Some(checked),
                    Event::Code(code) => lines[at].parts.push(Part::Code(code.into_string())),
                    Event::Start(Tag::Link { dest_url, .. }) => {
                        lines[at].parts.push(Part::Link(dest_url.into_string()));
                    }
                    Event::SoftBreak | Event::HardBreak | Event::Start(Tag::Paragraph) => {
                        lines[at].parts.push(Part::Text("\n".to_owned()));
                    }
                    _ => {}
                }
            }
        }
    }
    lines
}

/// In one line.
#[must_use]
pub fn line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The steps that comments name: `<!-- step:NAME -->`.
fn steps(html: &str) -> Vec<String> {
    let comments = html.split("<!--").skip(1).filter_map(|rest| rest.split("-->").next());
    let names = comments.filter_map(|comment| comment.trim().strip_prefix("step:"));
    names.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect()
}

/// A text as HTML, without a page around it. Markup of the text's own comes out as text, images as what they say, and a
/// link stays one only if it leads to a file or by `http`, `https` or `mailto`.
#[must_use]
pub fn to_html(text: &str) -> String {
    let options = Options::ENABLE_TABLES | Options::ENABLE_TASKLISTS | Options::ENABLE_STRIKETHROUGH;
    // Links don't nest, so one flag is enough.
    let mut dropped = false;
    let events = Parser::new_ext(text, options).flat_map(move |event| {
        let kept = match event {
            Event::Html(raw) | Event::InlineHtml(raw) => Some(Event::Text(raw)),
            Event::Start(Tag::HtmlBlock) => Some(Event::Start(Tag::Paragraph)),
            Event::End(TagEnd::HtmlBlock) => Some(Event::End(TagEnd::Paragraph)),
            Event::Start(Tag::Image { .. }) | Event::End(TagEnd::Image) => None,
            Event::Start(Tag::Link { ref dest_url, .. }) if !is_harmless(dest_url) => {
                dropped = true;
                None
            }
            Event::End(TagEnd::Link) if std::mem::take(&mut dropped) => None,
            other => Some(other),
        };
        // A wide table scrolls, the page does not.
        let own = |text: &'static str| Some(Event::Html(CowStr::Borrowed(text)));
        let (before, after) = match kept {
            Some(Event::Start(Tag::Table(_))) => (own("<div class=\"wide\">"), None),
            Some(Event::End(TagEnd::Table)) => (None, own("</div>\n")),
            _ => (None, None),
        };
        [before, kept, after].into_iter().flatten()
    });
    let mut out = String::new();
    html::push_html(&mut out, events);
    out
}

/// Whether a link leads to a file, or by a scheme that runs nothing.
fn is_harmless(target: &str) -> bool {
    let head = target.split(['/', '?', '#']).next().unwrap_or_default();
    match head.split_once(':') {
        None => !target.starts_with("//") && !target.starts_with("/\\") && !target.contains('\\'),
        Some((scheme, _)) => ["http", "https", "mailto"].iter().any(|known| scheme.eq_ignore_ascii_case(known)),
    }
}

/// A text as it stands in HTML, also in an attribute.
#[must_use]
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn markup_of_the_text_comes_out_as_text() {
        let html = to_html(
            "a <script>alert(1)</script> <b onclick=x>b</b>\n\n<div>\n<img src=x onerror=y>\n</div>\n\n<!-- c -->\n",
        );
        assert!(
            !html.contains("<script") && !html.contains("<img") && !html.contains("<div") && !html.contains("<b "),
            "{html}"
        );
        assert!(html.contains("&lt;script&gt;alert(1)&lt;/script&gt;") && html.contains("&lt;!-- c --&gt;"), "{html}");
        let html = to_html("`<i>` [<i>](x.md \"\\\"><i>\") **<i>**\n");
        assert!(!html.contains("<i>"), "{html}");
    }

    #[test]
    fn only_harmless_links_stay() {
        let kept =
            ["a.md", "../x/y%20z", "#part", "a/b:c", "https://e.org/?a=b:c", "HTTP://e.org", "mailto:a@e.org", "?a:b"];
        for target in kept {
            assert!(to_html(&format!("[x]({target})")).contains("<a href="), "{target}");
        }
        let dropped = [
            "javascript:alert(1)",
            "JavaScript:alert(1)",
            "java&Tab;script:alert(1)",
            "&#1;javascript:x",
            "data:text/html,x",
            "vbscript:x",
            "file:///etc/passwd",
            "//e.org/x",
            "<\\\\\\\\e.org>",
            "a:b",
            "<java script:x>",
        ];
        for target in dropped {
            let html = to_html(&format!("[**x**]({target}) and [y](z.md)"));
            assert!(html.contains("<p><strong>x</strong> and <a href=\"z.md\">y</a></p>"), "{target}: {html}");
        }
        let html =
            to_html("<javascript:alert(1)> ![alt](https://e.org/pixel.png) ![a](javascript:x)\n\n[r]\n\n[r]: data:x\n");
        assert!(!html.contains("href") && !html.contains("<img") && html.contains("alt"), "{html}");
    }

    #[test]
    fn tables_and_boxes_are_there() {
        let html = to_html("| a | b |\n|---|---|\n| 1 | `x\\|y` |\n\n- [x] done\n- [ ] open\n");
        assert!(html.contains("<div class=\"wide\"><table>") && html.contains("</table>\n</div>"), "{html}");
        assert!(html.contains("<td><code>x|y</code></td>") && html.matches("type=\"checkbox\"").count() == 2, "{html}");
    }

    #[test]
    fn lines_are_what_a_reader_sees() {
        let text = "# T `c`\n\npara\nmore\n\n- [ ] outer `make x` [l](http://e.org/)\n  - [x] inner\n\n  ```sh\n  ls -l\n  ```\n- plain\n";
        let all = lines(text);
        let told: Vec<_> = all.iter().map(|line| (line.heading, line.depth, line.ticked, line.text())).collect();
        let of = |heading, depth, ticked, text: &str| (heading, depth, ticked, text.to_owned());
        assert_eq!(
            told,
            [
                of(1, 0, None, "T c"),
                of(0, 0, None, "para more"),
                of(0, 1, Some(false), "outer make x l"),
                of(0, 2, Some(true), "inner"),
                of(0, 1, None, "plain"),
            ]
        );
        assert!(all[2].parts.contains(&Part::Code("make x".into())));
        assert!(all[2].parts.contains(&Part::Link("http://e.org/".into())));
        assert!(all[2].parts.contains(&Part::Fence("sh".into(), "ls -l\n".into())), "{all:?}");
    }

    proptest! {
        #[test]
        fn no_tag_but_ours_comes_out(text in "([-*`<>&\"'\\[\\]()!:|/a#\n ]|<script>|<img src=x|javascript:|]\\(|\\|--\\|\n){0,40}") {
            let html = to_html(&text);
            let ours = [
                "a", "p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "li", "em", "strong", "del", "code", "pre", "br", "hr", "div",
                "table", "thead", "tbody", "tr", "th", "td", "blockquote", "input",
            ];
            for part in html.split('<').skip(1) {
                let name: String = part.trim_start_matches('/').chars().take_while(char::is_ascii_alphanumeric).collect();
                prop_assert!(ours.contains(&name.as_str()), "`{}` in {}", name, html);
            }
            for target in html.split("href=\"").skip(1) {
                prop_assert!(!target.starts_with("javascript"), "{}", html);
            }
        }
    }
}
