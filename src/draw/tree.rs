//! What a step waits for, as an indented tree in text. A step that came before is marked `(↑)` and not unfolded again.

use std::collections::BTreeSet;

use super::Picture;

/// Writes the boxes of `roots` with what they wait for, `depth` levels deep; without roots those that nothing waits for.
#[must_use]
pub fn tree(picture: &Picture, roots: &[usize], depth: usize) -> String {
    let mut before: Vec<Vec<(usize, bool)>> = vec![Vec::new(); picture.nodes.len()];
    let mut is_end = vec![true; picture.nodes.len()];
    for line in &picture.lines {
        before[line.to].push((line.from, line.soft));
        is_end[line.from] = false;
    }
    let ends: Vec<usize> = (0..picture.nodes.len()).filter(|&node| is_end[node]).collect();
    let roots = if roots.is_empty() { &ends } else { roots };
    let mut text = String::new();
    let mut seen = BTreeSet::new();
    for &root in roots {
        // Node, how it is drawn before it, whether it is the last of its siblings, level, order only.
        let mut stack = vec![(root, String::new(), String::new(), 0, false)];
        while let Some((node, lead, below, level, soft)) = stack.pop() {
            let again = !seen.insert(node) && !before[node].is_empty();
            let drawn = &picture.nodes[node];
            let note = if drawn.note.is_empty() { String::new() } else { format!("  {}", drawn.note) };
            let (soft, again_word) = (if soft { " (after)" } else { "" }, if again { " (↑)" } else { "" });
            let deeper = level >= depth && !before[node].is_empty();
            let more = if deeper && !again { " …" } else { "" };
            text.push_str(&format!("{lead}{} {}{soft}{again_word}{more}{note}\n", drawn.mark.sign(), drawn.name));
            if again || deeper {
                continue;
            }
            for (place, &(earlier, soft)) in before[node].iter().enumerate().rev() {
                let last = place + 1 == before[node].len();
                let (branch, trunk) = if last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
                stack.push((earlier, format!("{below}{branch}"), format!("{below}{trunk}"), level + 1, soft));
            }
        }
    }
    text
}
