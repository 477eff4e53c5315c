//! `runplan list` as text: one line for each step, as wide as the screen. Pure: from plain data that the app fills in.

use super::escape;
use super::style::{Line, Look, Role, page};

/// One step of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Item {
    /// Name.
    pub name: String,
    /// Tags, in the order written.
    pub tags: Vec<String>,
    /// Names of needed steps.
    pub needs: Vec<String>,
    /// Title, or what it does.
    pub description: String,
}

/// Steps in declaration order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// The steps.
    pub items: Vec<Item>,
}

/// The whole text; the heading is there even without steps.
#[must_use]
pub fn render(listing: &Listing, look: Look) -> String {
    let cells =
        |item: &Item| [item.name.clone(), item.tags.join(","), item.needs.join(", ")].map(|cell| escape::line(&cell));
    let rows: Vec<[String; 3]> = listing.items.iter().map(cells).collect();
    // Shares of the screen, so that the description keeps a quarter and names are the last to be cut.
    let most = [look.width * 40 / 100, look.width * 12 / 100, look.width * 18 / 100];
    let mut columns = ["ID".len(), "TAGS".len(), "NEEDS".len()];
    for row in &rows {
        for (column, cell) in columns.iter_mut().zip(row) {
            *column = (*column).max(escape::width(cell));
        }
    }
    for (column, most) in columns.iter_mut().zip(most) {
        *column = (*column).min(most.max(5));
    }
    let line = |roles: [Role; 4], cells: [&str; 3], description: &str| {
        let mut line = Line::new();
        let mut end = 0;
        for ((role, cell), column) in roles.iter().zip(cells).zip(columns) {
            end += column + 2;
            line = line.with(*role, &escape::cut(cell, column)).pad(end);
        }
        line.with(roles[3], description)
    };
    let mut lines = vec![line([Role::Dim; 4], ["ID", "TAGS", "NEEDS"], "DESCRIPTION")];
    for (item, [name, tags, needs]) in listing.items.iter().zip(&rows) {
        let roles = [Role::Strong, Role::Note, Role::Plain, Role::Plain];
        lines.push(line(roles, [name, tags, needs], &item.description));
    }
    page(&lines, look)
}

#[cfg(test)]
mod tests {
    use super::super::sample::golden;
    use super::*;

    #[test]
    fn columns_share_the_screen() {
        let item = |name: &str, tags: &[&str], needs: &[&str], description: &str| Item {
            name: name.into(),
            tags: tags.iter().map(|&tag| tag.to_owned()).collect(),
            needs: needs.iter().map(|&need| need.to_owned()).collect(),
            description: description.into(),
        };
        let listing = Listing {
            items: vec![
                item("fmt", &["quick"], &[], "cargo fmt --check"),
                item(
                    "integration-tests[database=postgres,python=3.12]",
                    &["slow", "db", "nightly"],
                    &["fmt", "build-cli", "it-db-up"],
                    "Integration tests against a real database, with every migration applied twice",
                ),
                item("esc\u{1b}[2J", &[], &["fmt"], "漢字 title\twith tab"),
            ],
        };
        golden("list-80.txt", &render(&listing, Look { width: 80, colour: false }));
        golden("list-120.txt", &render(&listing, Look { width: 120, colour: false }));
        golden("list-80-colour.txt", &render(&listing, Look { width: 80, colour: true }));
    }
}
