//! A line of a plan with a criterion underlined. Pure: the line comes as data.

use super::style::{Line, Role};
use super::{Excerpt, escape};

/// Three lines: place, text, underline with a label. The window moves so that the underlined part is seen in a long line.
#[must_use]
pub fn draw(excerpt: &Excerpt, label: &str, width: usize) -> Vec<Line> {
    let number = excerpt.line.to_string();
    let gutter = number.len().max(2);
    let room = width.saturating_sub(gutter + 2);
    let (before, marked, after) = split(excerpt);
    let (before, marked, after) = (escape::line(&before), escape::line(&marked), escape::line(&after));
    let taken = escape::width(&marked).min(room * 3 / 4) + usize::from(!after.is_empty());
    let before_room = room.saturating_sub(taken);
    let before = escape::cut_front(&before, before_room);
    let from = escape::width(&before);
    let length = escape::width(&marked).max(1).min(room.saturating_sub(from)).max(1);
    let place = format!("{}:{}:{}", excerpt.path, excerpt.line, excerpt.col);
    let blank = " ".repeat(gutter);
    vec![
        Line::of(Role::Dim, &format!("{blank}╭▸ ")).with(Role::Note, &place),
        Line::of(Role::Dim, &format!("{number:>gutter$}│ ")).plain(&before).with(Role::Strong, &marked).plain(&after),
        Line::of(Role::Dim, &format!("{blank}│ "))
            .plain(&" ".repeat(from))
            .with(Role::Bad, &format!("{} {label}", "━".repeat(length))),
    ]
}

/// The line before, within and after the underlined part.
fn split(excerpt: &Excerpt) -> (String, String, String) {
    let mut chars = excerpt.text.chars();
    let before = chars.by_ref().take(excerpt.col.saturating_sub(1)).collect();
    let marked = chars.by_ref().take(excerpt.len).collect();
    (before, marked, chars.collect())
}

#[cfg(test)]
mod tests {
    use super::super::style::{Look, page};
    use super::*;

    fn drawn(text: &str, col: usize, len: usize, width: usize) -> String {
        let excerpt = Excerpt { path: "p.toml".into(), line: 7, col, text: text.into(), len };
        page(&draw(&excerpt, "", width), Look { width, colour: false })
    }

    #[test]
    fn what_is_meant_is_underlined() {
        assert_eq!(
            drawn("pass = [\"exit == 0\"]", 9, 11, 80),
            "  ╭▸ p.toml:7:9\n 7│ pass = [\"exit == 0\"]\n  │         ━━━━━━━━━━━\n"
        );
        assert_eq!(drawn("\t漢 = \u{1b}", 3, 9, 80), "  ╭▸ p.toml:7:3\n 7│     漢 = ␛\n  │       ━━━━\n");
        assert_eq!(drawn("x", 50, 3, 80), "  ╭▸ p.toml:7:50\n 7│ x\n  │  ━\n");
    }

    #[test]
    fn the_window_follows_the_underlined_part() {
        let long = format!("{}HERE{}", "a".repeat(100), "b".repeat(100));
        assert_eq!(drawn(&long, 101, 4, 24), "  ╭▸ p.toml:7:101\n 7│ …aaaaaaaaaaaaaaHERE…\n  │                ━━━━\n");
    }
}
