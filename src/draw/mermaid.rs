//! The graph as a Mermaid flowchart. Mermaid itself draws at most 500 lines and 50,000 characters unless it is told more.

use std::fmt::Write as _;

use super::Picture;

/// Lines that Mermaid draws by default (`maxEdges`).
pub const MOST_LINES: usize = 500;

/// Writes.
#[must_use]
pub fn mermaid(picture: &Picture) -> String {
    let mut text = format!("%% {}: {}\nflowchart LR\n", quoted(&picture.title), quoted(&picture.summary));
    let tail = picture.tail();
    let boxed = |number: usize| {
        let node = &picture.nodes[number];
        let note = if node.note.is_empty() { String::new() } else { format!("<br/>{}", quoted(&node.note)) };
        format!("n{number}[\"{} {}{note}\"]:::{}", node.mark.sign(), quoted(&node.label), node.mark.word())
    };
    for number in 0..tail {
        let _ = writeln!(text, "  {}", boxed(number));
    }
    if tail < picture.nodes.len() {
        text.push_str("  subgraph finally\n");
        for number in tail..picture.nodes.len() {
            let _ = writeln!(text, "    {}", boxed(number));
        }
        text.push_str("  end\n");
    }
    for line in &picture.lines {
        let arrow = if line.soft {
            "-.->"
        } else if picture.cut(line) {
            // A line that ends in a cross: nothing went along it.
            "--x"
        } else if picture.critical(line) {
            "==>"
        } else {
            "-->"
        };
        let _ = writeln!(text, "  n{} {arrow} n{}", line.from, line.to);
    }
    for mark in picture.marks() {
        let (fill, stroke) = mark.colours();
        let _ = writeln!(text, "  classDef {} fill:{fill},stroke:{stroke},color:#1c1c22", mark.word());
    }
    text
}

/// Text within a quoted label: everything that Mermaid or HTML would read is a character code.
fn quoted(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            c if c.is_control() => out.push('\u{fffd}'),
            c if c.is_alphanumeric() || " -_./:,=+×…–".contains(c) => out.push(c),
            c => {
                let _ = write!(out, "#{};", u32::from(c));
            }
        }
    }
    out
}
