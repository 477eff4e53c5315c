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
    // Shares of the screen, so that the description keeps at least its third.
    let most = [look.width * 30 / 100, look.width * 15 / 100, look.width * 22 / 100];
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
