//! Colour as data: who decides it, and lines made of pieces that carry a role. Prints nothing.

use super::escape;

/// How a screen looks to a renderer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// Columns; nothing is wider.
    pub width: usize,
    /// Roles become colours. Never the only signal.
    pub colour: bool,
}

/// What the user asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ColourChoice {
    /// By environment and terminal.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Whether a stream gets colours. Order: the choice, `NO_COLOR`, `CLICOLOR_FORCE`, `CLICOLOR=0`, the terminal and
/// `TERM=dumb`; an empty variable counts as unset.
#[must_use]
pub fn colour(choice: ColourChoice, tty: bool, env: &dyn Fn(&str) -> Option<String>) -> bool {
    let set = |name: &str| env(name).filter(|value| !value.is_empty());
    match choice {
        ColourChoice::Always => true,
        ColourChoice::Never => false,
        ColourChoice::Auto if set("NO_COLOR").is_some() => false,
        ColourChoice::Auto if set("CLICOLOR_FORCE").is_some_and(|value| value != "0") => true,
        ColourChoice::Auto if set("CLICOLOR").is_some_and(|value| value == "0") => false,
        ColourChoice::Auto => tty && set("TERM").is_none_or(|term| term != "dumb"),
    }
}

/// SGR parameters of tints; neither red nor dim, which mean something.
const TINTS: [&str; 6] = ["36", "35", "34", "33", "32", "96"];

/// What a piece of text is, as far as its looks go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// As it comes.
    #[default]
    Plain,
    /// Names and headlines.
    Strong,
    /// Less important.
    Dim,
    /// Passed.
    Good,
    /// Warned, held, retried.
    Warn,
    /// Failed.
    Bad,
    /// Places and commands.
    Note,
    /// One of several colours, to tell names apart.
    Tint(u8),
}

impl Role {
    /// The SGR parameters.
    fn sgr(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Strong => "1",
            Self::Dim => "2",
            Self::Good => "32",
            Self::Warn => "33",
            Self::Bad => "1;31",
            Self::Note => "36",
            Self::Tint(n) => TINTS.get(usize::from(n)).copied().unwrap_or("36"),
        }
    }
}

const BLANKS: &str = "                                                                ";

/// One line for the screen. Everything pushed is escaped, so a line is safe by construction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    text: String,
    /// Roles, and where the text of each ends.
    spans: Vec<(Role, usize)>,
    width: usize,
}

impl Line {
    /// An empty line.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A line of one piece.
    #[must_use]
    pub fn of(role: Role, text: &str) -> Self {
        Self::new().with(role, text)
    }

    /// With another piece.
    #[must_use]
    pub fn with(mut self, role: Role, text: &str) -> Self {
        self.push(role, text);
        self
    }

    /// With another piece without a role.
    #[must_use]
    pub fn plain(self, text: &str) -> Self {
        self.with(Role::Plain, text)
    }

    /// Adds a piece.
    pub fn push(&mut self, role: Role, text: &str) {
        if !text.is_empty() {
            if self.spans.is_empty() {
                // Most lines fit: growing piece by piece costs more than what is pushed.
                self.text.reserve(96);
                self.spans.reserve(8);
            }
            let from = self.text.len();
            escape::push(&mut self.text, text);
            self.width += escape::width(&self.text[from..]);
            self.spans.push((role, self.text.len()));
        }
    }

    /// With spaces up to a column (none if it is already past it).
    #[must_use]
    pub fn pad(mut self, column: usize) -> Self {
        let missing = column.saturating_sub(self.width);
        if missing > 0 {
            let mut left = missing;
            while left > 0 {
                let blanks = BLANKS.get(..left).unwrap_or(BLANKS);
                self.text.push_str(blanks);
                left -= blanks.len();
            }
            self.width += missing;
            self.spans.push((Role::Plain, self.text.len()));
        }
        self
    }

    /// Columns it takes.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// The line, cut to the look's width, without trailing spaces and line end.
    #[must_use]
    pub fn render(&self, look: Look) -> String {
        let mut out = String::with_capacity(self.text.len());
        self.add(look, &mut out);
        out
    }

    /// Adds the line to a text, with its line end.
    pub fn write(&self, look: Look, out: &mut String) {
        self.add(look, out);
        out.push('\n');
    }

    fn add(&self, look: Look, out: &mut String) {
        let whole = self.width <= look.width;
        let mut left = if whole { look.width } else { look.width.saturating_sub(1) };
        let mut pieces: Vec<(Role, &str)> = Vec::with_capacity(self.spans.len() + 1);
        let mut from = 0;
        for (role, end) in &self.spans {
            let text = &self.text[from..*end];
            from = *end;
            let piece = escape::prefix(text, left);
            left -= escape::width(piece);
            pieces.push((*role, piece));
            if piece.len() < text.len() {
                break;
            }
        }
        if !whole && look.width > 0 {
            pieces.push((Role::Dim, "…"));
        }
        while let Some((_, last)) = pieces.last_mut() {
            *last = last.trim_end_matches(' ');
            if !last.is_empty() {
                break;
            }
            pieces.pop();
        }
        for (role, piece) in pieces {
            if look.colour && role != Role::Plain && !piece.is_empty() {
                out.push_str("\u{1b}[");
                out.push_str(role.sgr());
                out.push('m');
                out.push_str(piece);
                out.push_str("\u{1b}[0m");
            } else {
                out.push_str(piece);
            }
        }
    }
}

/// Lines as a text, each with its line end.
#[must_use]
pub fn page(lines: &[Line], look: Look) -> String {
    let mut out = String::new();
    lines.iter().for_each(|line| line.write(look, &mut out));
    out
}

/// A rule with a headline: `──── left ──────── right`, as wide as the look (at most 100 columns).
#[must_use]
pub fn rule(left: (Role, &str), right: &str, look: Look) -> Line {
    let columns = look.width.min(100);
    let right = escape::cut(&escape::line(right), columns / 2);
    let left_most = columns.saturating_sub(escape::width(&right) + 10);
    let mut line = Line::of(Role::Dim, "──── ").with(left.0, &escape::cut(&escape::line(left.1), left_most)).plain(" ");
    let fill = columns.saturating_sub(line.width() + escape::width(&right) + 1).max(2);
    line.push(Role::Dim, &"─".repeat(fill));
    if right.is_empty() { line } else { line.plain(" ").plain(&right) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decide(tty: bool, vars: &[(&str, &str)]) -> bool {
        colour(ColourChoice::Auto, tty, &|name| vars.iter().find(|v| v.0 == name).map(|v| v.1.to_owned()))
    }

    #[test]
    fn colour_follows_the_conventions() {
        assert!(decide(true, &[]));
        assert!(!decide(false, &[]));
        assert!(!decide(true, &[("NO_COLOR", "1")]));
        assert!(decide(true, &[("NO_COLOR", "")]));
        assert!(decide(false, &[("CLICOLOR_FORCE", "1")]));
        assert!(!decide(false, &[("CLICOLOR_FORCE", "0")]));
        assert!(!decide(true, &[("CLICOLOR", "0")]));
        assert!(!decide(true, &[("TERM", "dumb")]));
        assert!(!decide(true, &[("NO_COLOR", "1"), ("CLICOLOR_FORCE", "1")]));
        assert!(colour(ColourChoice::Always, false, &|_| Some("dumb".into())));
    }

    #[test]
    fn a_line_is_cut_before_it_is_coloured() {
        let line = Line::of(Role::Bad, "FAIL").plain(" a\u{1b}[0mb   ");
        assert_eq!(line.render(Look { width: 80, colour: false }), "FAIL a␛[0mb");
        assert_eq!(line.render(Look { width: 7, colour: true }), "\u{1b}[1;31mFAIL\u{1b}[0m a\u{1b}[2m…\u{1b}[0m");
        assert_eq!(line.render(Look { width: 0, colour: false }), "");
    }

    #[test]
    fn a_rule_is_as_wide_as_asked() {
        for width in [40, 80] {
            let look = Look { width, colour: false };
            let long = "x".repeat(200);
            assert_eq!(rule((Role::Bad, "fmt"), "exit 1", look).width(), width);
            assert_eq!(rule((Role::Bad, &long), &long, look).width(), width);
        }
    }
}
