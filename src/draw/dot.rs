//! The graph in the DOT language of Graphviz.

use std::fmt::Write as _;

use super::{Node, Picture};

/// Writes. Valid for `dot`, whatever the texts hold.
#[must_use]
pub fn dot(picture: &Picture) -> String {
    let mut text = format!(
        "digraph {} {{\n  rankdir=LR;\n  label={};\n  labelloc=t;\n  node [shape=box, style=\"rounded,filled\", \
         fontname=\"monospace\", fontsize=11];\n  edge [color=\"#8a8a92\", arrowsize=0.7];\n",
        quoted(&picture.title),
        quoted(&format!("{}\n{}", picture.title, picture.summary)),
    );
    let tail = picture.tail();
    for (number, node) in picture.nodes.iter().enumerate().take(tail) {
        let _ = writeln!(text, "  {}", drawn(number, node));
    }
    if tail < picture.nodes.len() {
        text.push_str("  subgraph cluster_finally {\n    label=\"finally\";\n    style=dashed;\n");
        for (number, node) in picture.nodes.iter().enumerate().skip(tail) {
            let _ = writeln!(text, "    {}", drawn(number, node));
        }
        text.push_str("  }\n");
    }
    for line in &picture.lines {
        let (critical, cut) = (picture.critical(line), picture.cut(line));
        let mut style = Vec::new();
        style.extend(line.soft.then_some("style=dotted"));
        style.extend(cut.then_some("style=dashed, color=\"#b3261e\""));
        style.extend((critical && !cut).then_some("penwidth=2.4, color=\"#1c1c22\""));
        let style = if style.is_empty() { String::new() } else { format!(" [{}]", style.join(", ")) };
        let _ = writeln!(text, "  n{} -> n{}{style};", line.from, line.to);
    }
    text.push_str("}\n");
    text
}

fn drawn(number: usize, node: &Node) -> String {
    let (fill, stroke) = node.mark.colours();
    let label = if node.note.is_empty() { node.label.clone() } else { format!("{}\n{}", node.label, node.note) };
    let mut style = String::new();
    if !node.required {
        style.push_str(", style=\"rounded,filled,dashed\"");
    }
    if node.critical {
        style.push_str(", penwidth=2.4");
    }
    format!(
        "n{number} [label={}, tooltip={}, fillcolor=\"{fill}\", color=\"{stroke}\"{style}];",
        quoted(&format!("{} {label}", node.mark.sign())),
        quoted(&format!("{}: {} {} {}", node.name, node.mark.word(), node.reason, node.blocked(12))),
    )
}

/// A quoted string: backslashes are doubled, since DOT reads `\n`, `\N`, `\l` in labels.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            // Graphviz reads `&name;` as in HTML.
            '&' => out.push_str("&amp;"),
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
