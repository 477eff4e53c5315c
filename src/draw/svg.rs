//! The graph as an SVG picture that stands alone: columns from left to right, lines that cross no box. Its bytes depend on
//! the picture only.

use std::fmt::Write as _;

use super::layout::{Layout, Net, layout};
use super::{Node, Picture};

/// Height of a box, pixels.
const HEIGHT: i64 = 40;
/// Room between boxes of a column.
const GAP: i64 = 14;
/// Room between columns, where lines bend.
const LANE: i64 = 64;
/// Width of a column of text in the label's font, tenths of a pixel.
const LETTER: i64 = 75;
/// The same of the small line.
const SMALL: i64 = 63;
/// Room around everything.
const EDGE: i64 = 24;
/// Room for the title above.
const HEAD: i64 = 64;
/// Room for the legend below.
const FOOT: i64 = 44;

const STYLE: &str = "\
svg{background:#fff;color-scheme:light dark;font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,'Liberation Mono',monospace}\
.t{font-size:16px;font-weight:600;fill:#1c1c22}.u{font-size:12px;fill:#55555e}\
.n text{font-size:12.5px}.n text:not(.s){fill:#1c1c22}.n text.m{font-size:10.5px;fill:#55555e}.n rect{stroke-width:1.2}\
.n.opt rect{stroke-dasharray:5 3}.n.crit rect{stroke-width:2.6}\
.e{fill:none;stroke:#9a9aa6;stroke-width:1.3}.e.soft{stroke-dasharray:2 4}.e.cut{stroke:#b3261e;stroke-dasharray:9 4}.e.crit{stroke:#1c1c22;stroke-width:2.4}\
.a{fill:#9a9aa6}.a.cut{fill:#b3261e}.a.crit{fill:#1c1c22}.f{stroke:#c4c4cc;stroke-dasharray:2 5}\
@media(prefers-color-scheme:dark){svg{background:#16161a}.t,.n text:not(.s){fill:#ececf1}.u,.n text.m{fill:#a6a6b2}\
.e{stroke:#6d6d7a}.e.crit{stroke:#ececf1}.a{fill:#6d6d7a}.e.cut{stroke:#f0857d}.a.cut{fill:#f0857d}.a.crit{fill:#ececf1}.f{stroke:#44444e}.n rect{fill-opacity:.16}.n text.s,.u tspan{filter:brightness(1.7)}}";

/// Draws.
#[must_use]
pub fn svg(picture: &Picture) -> String {
    let laid = layout(&net(picture));
    let sheet = Sheet::new(picture, &laid, false);
    let mut text = sheet.open();
    sheet.lines(&mut text);
    sheet.boxes(&mut text);
    sheet.legend(&mut text);
    text.push_str("</svg>\n");
    text
}

/// The same drawing as a part of a page: no title, no legend, no colour and no style of its own. Every box is a
/// `g.n` with its mark as class and its name in `data-step`, for the page's styles and script.
#[must_use]
pub fn svg_part(picture: &Picture) -> String {
    let laid = layout(&net(picture));
    let sheet = Sheet::new(picture, &laid, true);
    let (w, h) = (sheet.width, sheet.height);
    let mut text = format!(
        "<svg id=\"graph\" xmlns=\"http://www.w3.org/2000/svg\" width=\"{w}\" height=\"{h}\" viewBox=\"0 0 {w} {h}\" \
         role=\"group\" aria-label=\"Graph of the steps\">\n"
    );
    sheet.lines(&mut text);
    sheet.boxes(&mut text);
    text.push_str("</svg>");
    text
}

fn net(picture: &Picture) -> Net {
    Net {
        sizes: vec![HEIGHT; picture.nodes.len()],
        lines: picture.lines.iter().map(|line| (line.from, line.to)).collect(),
        tail: picture.tail(),
        gap: GAP,
    }
}

struct Sheet<'a> {
    picture: &'a Picture,
    laid: &'a Layout,
    /// Left side and width of each column.
    columns: Vec<(i64, i64)>,
    width: i64,
    height: i64,
    /// Room above and below the boxes.
    head: i64,
    foot: i64,
    /// Within a page, which has styles of its own.
    part: bool,
}

fn width(node: &Node) -> i64 {
    let columns = |count: usize| i64::try_from(count).unwrap_or(i64::MAX / 1000);
    34 + (columns(node.columns) * LETTER).max(columns(node.note_columns) * SMALL) / 10
}

impl<'a> Sheet<'a> {
    fn new(picture: &'a Picture, laid: &'a Layout, part: bool) -> Self {
        let mut widths = vec![0; laid.layers];
        for (node, &layer) in picture.nodes.iter().zip(&laid.layer) {
            widths[layer] = width(node).max(widths[layer]);
        }
        let mut left = EDGE;
        let columns: Vec<(i64, i64)> = widths
            .iter()
            .map(|&width| {
                left += width + LANE;
                (left - width - LANE, width)
            })
            .collect();
        let right = columns.last().map_or(EDGE, |(left, width)| left + width) + EDGE;
        let letters = picture.title.chars().count().max(picture.summary.chars().count() * 3 / 4);
        let whole = right.max(i64::try_from(letters).unwrap_or(0) * 10 + 2 * EDGE).max(480);
        let (width, head, foot) = if part { (right, EDGE, EDGE) } else { (whole, HEAD, FOOT) };
        Self { picture, laid, columns, width, height: head + laid.extent + foot, head, foot, part }
    }

    fn open(&self) -> String {
        let (w, h) = (self.width, self.height);
        let title = escaped(&self.picture.title);
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{w}\" height=\"{h}\" viewBox=\"0 0 {w} {h}\" role=\"img\" \
             aria-label=\"{title}\">\n<style>{STYLE}</style>\n<text class=\"t\" x=\"{EDGE}\" y=\"28\">{title}</text>\n\
             <text class=\"u\" x=\"{EDGE}\" y=\"47\">{}</text>\n",
            escaped(&self.picture.summary)
        )
    }

    fn top(&self, node: usize) -> i64 {
        self.head + self.laid.at[node] - HEIGHT / 2
    }

    /// Straight through the columns, bent between them.
    fn lines(&self, text: &mut String) {
        let picture = self.picture;
        if picture.tail() > 0 && picture.tail() < picture.nodes.len() {
            let first = (picture.tail()..picture.nodes.len()).map(|node| self.laid.layer[node]).min().unwrap_or(0);
            let x = self.columns[first].0 - LANE / 2;
            let _ = writeln!(text, "<path class=\"f\" d=\"M{x} {}V{}\"/>", self.head, self.height - self.foot);
            let _ = writeln!(text, "<text class=\"u\" x=\"{}\" y=\"{}\">finally</text>", x + 6, self.head - 4);
        }
        for (line, bends) in picture.lines.iter().zip(&self.laid.bends) {
            let (from, to) = (self.laid.layer[line.from], self.laid.layer[line.to]);
            let mut y = self.head + self.laid.at[line.from];
            let mut path = format!("M{} {y}", self.columns[from].0 + width(&picture.nodes[line.from]));
            let ends = bends.iter().map(|bend| self.head + bend).chain([self.head + self.laid.at[line.to]]);
            for (layer, next) in (from..to).zip(ends) {
                let (right, left) = (self.columns[layer].0 + self.columns[layer].1, self.columns[layer + 1].0);
                let last = layer + 1 == to;
                let left = if last { left - 6 } else { left };
                let middle = right.midpoint(left);
                let _ = write!(path, "H{right}C{middle} {y} {middle} {next} {left} {next}");
                y = next;
            }
            let cut = picture.cut(line);
            let critical = picture.critical(line) && !cut;
            let class = if line.soft {
                " soft"
            } else if cut {
                " cut"
            } else if critical {
                " crit"
            } else {
                ""
            };
            let (a, b) = (escaped(&picture.nodes[line.from].name), escaped(&picture.nodes[line.to].name));
            let _ = writeln!(
                text,
                "<path class=\"e{class}\" data-from=\"{a}\" data-to=\"{b}\" d=\"{path}\"><title>{a} → {b}</title></path>"
            );
            let x = self.columns[to].0;
            let head = if line.soft { "" } else { class };
            let _ = writeln!(text, "<path class=\"a{head}\" d=\"M{x} {y}l-7 -4v8z\"/>");
        }
    }

    fn boxes(&self, text: &mut String) {
        for (number, node) in self.picture.nodes.iter().enumerate() {
            let (x, y, w) = (self.columns[self.laid.layer[number]].0, self.top(number), width(node));
            let (fill, stroke) = node.mark.colours();
            let class = [(!node.required, " opt"), (node.critical, " crit")];
            let class: String = class.iter().filter(|(set, _)| *set).map(|(_, word)| *word).collect();
            let mut about = vec![node.name.clone()];
            about.extend(node.title.clone());
            about.extend([node.action.clone(), node.reason.clone()].into_iter().filter(|line| !line.is_empty()));
            about
                .extend((!node.blast.is_empty()).then(|| format!("blocks {}: {}", node.blast.len(), node.blocked(40))));
            let name = escaped(&node.name);
            let (role, paint, ink) = if self.part {
                (" role=\"button\" tabindex=\"-1\"", String::new(), String::new())
            } else {
                ("", format!(" fill=\"{fill}\" stroke=\"{stroke}\""), format!(" fill=\"{stroke}\""))
            };
            let _ = writeln!(
                text,
                "<g class=\"n {}{class}\" data-step=\"{name}\"{role}><title>{}</title>\
                 <rect x=\"{x}\" y=\"{y}\" width=\"{w}\" height=\"{HEIGHT}\" rx=\"6\"{paint}/>\
                 <text class=\"s\" x=\"{}\" y=\"{}\"{ink}>{}</text>{}{}</g>",
                node.mark.word(),
                escaped(&about.join("\n")),
                x + 8,
                y + 17,
                node.mark.sign(),
                words("", x + 24, y + 17, &node.label, node.columns, LETTER),
                words(" class=\"m\"", x + 24, y + 32, &node.note, node.note_columns, SMALL),
            );
        }
    }

    fn legend(&self, text: &mut String) {
        let mut x = EDGE;
        let y = self.height - 18;
        let mut item = |text: &mut String, sign: &str, word: &str, colour: &str| {
            let _ = writeln!(
                text,
                "<text class=\"u\" x=\"{x}\" y=\"{y}\"><tspan style=\"fill:{colour}\">{sign}</tspan> {word}</text>"
            );
            x += i64::try_from(word.chars().count()).unwrap_or(0) * 8 + 34;
        };
        for mark in self.picture.marks() {
            item(text, mark.sign(), mark.word(), mark.colours().1);
        }
        if self.picture.nodes.iter().any(|node| node.critical) {
            item(text, "▬", "critical path", "currentColor");
        }
        if self.picture.lines.iter().any(|line| line.soft) {
            item(text, "┄", "order only", "currentColor");
        }
        if self.picture.lines.iter().any(|line| self.picture.cut(line)) {
            item(text, "╌", "nothing went on from here", "#b3261e");
        }
        if self.picture.nodes.iter().any(|node| !node.required) {
            item(text, "▭", "dashed: advisory", "currentColor");
        }
    }
}

/// A text of so many columns, fitted: fonts differ.
fn words(class: &str, x: i64, y: i64, text: &str, columns: usize, letter: i64) -> String {
    if text.is_empty() {
        return String::new();
    }
    let length = i64::try_from(columns).unwrap_or(0) * letter / 10;
    format!(
        "<text{class} x=\"{x}\" y=\"{y}\" textLength=\"{length}\" lengthAdjust=\"spacingAndGlyphs\">{}</text>",
        escaped(text)
    )
}

/// Text for XML: what its first version forbids is replaced.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\t' => out.push(c),
            c if c.is_control() || ['\u{fffe}', '\u{ffff}'].contains(&c) => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}
