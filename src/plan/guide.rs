//! The key tables for whoever helps a person to write a plan: which keys a place takes, what a value there may be, what it
//! names, and what the tables say of it. Looks at tables only; knows no plan.

use super::keys::{Key, Kind, Shape};
use super::schema::words;
use super::tables;

/// A place in the tables: what may stand there.
#[derive(Clone, Copy)]
pub struct Guide {
    shape: Shape,
    names: Option<Names>,
    /// The key whose value it is.
    key: &'static str,
}

/// What a text names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Names {
    /// A step, or all cells of one.
    Steps,
    /// A pool.
    Pools,
    /// A secret.
    Secrets,
    /// A tag.
    Tags,
    /// It declares a port.
    Ports,
    /// The subject of a criterion, or a whole criterion that stands elsewhere.
    Subject,
}

/// What the tables say of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    /// As written.
    pub name: &'static str,
    /// One line.
    pub doc: &'static str,
    /// What holds without it; empty if nothing does.
    pub default: &'static str,
    /// A value as one would write it; empty if the shape says enough.
    pub example: &'static str,
    /// What it takes, in words (`a duration such as "30s"`).
    pub takes: String,
    /// How a value begins: with that what is to be filled in is `$0`.
    pub opening: &'static str,
    /// Its value is a table.
    pub is_table: bool,
}

/// What a value may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// A text; `true` where `{{ }}` may stand in it.
    Text(bool),
    /// A criterion.
    Criterion,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A number.
    Number,
    /// `true` or `false`.
    Bool,
    /// A text with a unit, such as this.
    Sketch(&'static str),
    /// A list.
    List,
    /// A table.
    Table,
}

impl Guide {
    /// A plan file.
    #[must_use]
    pub fn document() -> Self {
        Self { shape: Shape::Table(&tables::DOCUMENT), names: None, key: "" }
    }

    /// A waiver file.
    #[must_use]
    pub fn waivers() -> Self {
        Self { shape: Shape::Table(&tables::WAIVERS), names: None, key: "" }
    }

    /// What stands under a key; through a list of tables as if it were one.
    #[must_use]
    pub fn under(self, key: &str) -> Option<Self> {
        match self.table()? {
            Shape::Map(of) => Some(Self { shape: *of, ..self }),
            Shape::Table(kind) => {
                let known = kind.key(key);
                let shape = known.map(|known| known.shape).or(kind.open)?;
                Some(Self { shape, names: names(kind, key), key: known.map_or("", |known| known.name) })
            }
            _ => None,
        }
    }

    /// One of a list's elements; itself where one value stands for a list.
    #[must_use]
    pub fn element(self) -> Self {
        fn of(shape: Shape) -> Option<Shape> {
            match shape {
                Shape::List(of) => Some(*of),
                Shape::OneOf(shapes) => shapes.iter().find_map(|shape| of(*shape)),
                _ => None,
            }
        }
        Self { shape: of(self.shape).unwrap_or(self.shape), ..self }
    }

    /// What one of the words that may stand here means, where that needs saying.
    #[must_use]
    pub fn meaning(self, word: &str) -> &'static str {
        words::meaning(self.key, word).unwrap_or("")
    }

    /// What a text here names.
    #[must_use]
    pub fn names(self) -> Option<Names> {
        self.names
    }

    /// The keys that the table takes; empty where names are free, or where no table can stand.
    #[must_use]
    pub fn keys(self) -> Vec<About> {
        match self.table() {
            Some(Shape::Table(kind)) => kind.keys.iter().map(about).collect(),
            _ => Vec::new(),
        }
    }

    /// What the tables say of a key of this table.
    #[must_use]
    pub fn about(self, key: &str) -> Option<About> {
        match self.table() {
            Some(Shape::Table(kind)) => kind.key(key).map(about),
            _ => None,
        }
    }

    /// Whether it is a step's table.
    #[must_use]
    pub fn is_step(self) -> bool {
        matches!(self.table(), Some(Shape::Table(kind)) if kind.name == tables::STEP.name)
    }

    /// Everything that a value here may be, one kind after the other.
    #[must_use]
    pub fn takes(self) -> Vec<Takes> {
        let mut found = Vec::new();
        takes(self.shape, &mut found);
        found
    }

    fn table(self) -> Option<Shape> {
        table(self.shape)
    }
}

/// Keys of which a step has one: what it does.
#[must_use]
pub fn actions() -> &'static [&'static str] {
    &tables::ACTIONS
}

/// Whether a name can be a step's.
#[must_use]
pub fn is_step_name(name: &str) -> bool {
    super::names::is_name(name)
}

/// Whether a name can stand behind a root in a template (`vars.NAME`).
#[must_use]
pub fn is_identifier(name: &str) -> bool {
    super::names::is_identifier(name)
}

/// The name of that form that is most like a text.
#[must_use]
pub fn as_step_name(text: &str) -> Option<String> {
    super::names::as_name(text)
}

/// The table that a shape allows.
fn table(shape: Shape) -> Option<Shape> {
    match shape {
        Shape::Table(_) | Shape::Map(_) => Some(shape),
        Shape::List(of) => table(*of),
        Shape::OneOf(shapes) => shapes.iter().find_map(|shape| table(*shape)),
        _ => None,
    }
}

fn names(kind: &Kind, key: &str) -> Option<Names> {
    Some(match (kind.name, key) {
        ("step", "needs" | "after") | ("compare", "baseline") | ("waiver", "step") | ("checklist", "tick") => {
            Names::Steps
        }
        ("step" | "defaults", "pool" | "pools") => Names::Pools,
        ("step", "secrets") => Names::Secrets,
        ("step" | "defaults", "tags") => Names::Tags,
        ("ports", "names") => Names::Ports,
        ("step", "value") | ("waiver", "criterion") => Names::Subject,
        _ => return None,
    })
}

fn about(key: &Key) -> About {
    About {
        name: key.name,
        doc: key.doc,
        default: key.default,
        example: key.example,
        takes: key.shape.want(),
        opening: opening(key.shape),
        is_table: matches!(key.shape, Shape::Table(_) | Shape::Map(_)),
    }
}

fn opening(shape: Shape) -> &'static str {
    match shape {
        Shape::Int(..) | Shape::Number | Shape::Bool | Shape::Any | Shape::Scalar => "$0",
        Shape::List(Shape::Table(_) | Shape::Map(_)) => "[{ $0 }]",
        Shape::List(Shape::Int(..) | Shape::Scalar) => "[$0]",
        Shape::List(_) | Shape::OneOf([Shape::Criterion, ..]) => "[\"$0\"]",
        Shape::OneOf(shapes) => shapes.first().map_or("$0", |shape| opening(*shape)),
        Shape::Table(_) | Shape::Map(_) => "{ $0 }",
        _ => "\"$0\"",
    }
}

fn takes(shape: Shape, found: &mut Vec<Takes>) {
    found.push(match shape {
        Shape::Text => Takes::Text(false),
        Shape::Template | Shape::Scalar => Takes::Text(true),
        Shape::Criterion => Takes::Criterion,
        Shape::Word(words) => Takes::Word(words),
        Shape::Int(..) | Shape::Number => Takes::Number,
        Shape::Bool => Takes::Bool,
        Shape::Duration => Takes::Sketch("30s"),
        Shape::Size => Takes::Sketch("64KiB"),
        Shape::Mode => Takes::Sketch("0600"),
        Shape::Date => Takes::Sketch("2026-12-01"),
        Shape::List(_) => Takes::List,
        Shape::OneOf(shapes) => return shapes.iter().for_each(|shape| takes(*shape, found)),
        Shape::Table(_) | Shape::Map(_) => Takes::Table,
        Shape::Any => return,
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(path: &[&str]) -> Option<Guide> {
        path.iter().try_fold(Guide::document(), |guide, key| guide.under(key))
    }

    #[test]
    fn the_way_through_the_tables() {
        let first = |path: &[&str]| at(path).and_then(|guide| guide.keys().first().map(|key| key.name));
        assert_eq!(first(&[]), Some("format"));
        assert_eq!(first(&["steps", "x"]), Some("title"));
        assert_eq!(first(&["risk"]), Some("id"));
        assert_eq!(first(&["steps", "x", "service", "ready", "http"]), Some("url"));
        assert_eq!(first(&["steps"]), None);
        assert!(at(&["steps", "x", "nope"]).is_none() && at(&["steps", "x"]).unwrap().is_step());
    }

    #[test]
    fn texts_that_name_something() {
        let of = |path: &[&str]| at(path).and_then(|guide| guide.element().names());
        assert_eq!(of(&["steps", "x", "needs"]), Some(Names::Steps));
        assert_eq!(of(&["finally", "x", "compare", "baseline"]), Some(Names::Steps));
        assert_eq!(of(&["steps", "x", "checklist", "tick", "A box"]), Some(Names::Steps));
        assert_eq!(of(&["steps", "x", "value", "p95"]), Some(Names::Subject));
        assert_eq!(of(&["defaults", "pool"]), Some(Names::Pools));
        assert_eq!(of(&["steps", "x", "title"]), None);
        let waiver = Guide::waivers().under("waivers").unwrap();
        assert_eq!(waiver.under("step").and_then(Guide::names), Some(Names::Steps));
    }

    #[test]
    fn values_and_how_they_begin() {
        let of = |path: &[&str]| at(path).unwrap().element().takes();
        assert_eq!(of(&["steps", "x", "pass"]), [Takes::Criterion]);
        assert_eq!(of(&["steps", "x", "required"]), [Takes::Bool]);
        assert!(matches!(of(&["steps", "x", "severity"])[..], [Takes::Word([_, _, _, "critical"])]));
        let opening = |key: &str| at(&["steps", "x"]).unwrap().about(key).unwrap().opening;
        assert_eq!(opening("needs"), "[\"$0\"]");
        assert_eq!(opening("pass"), "[\"$0\"]");
        assert_eq!(opening("timeout"), "\"$0\"");
        assert_eq!(opening("required"), "$0");
        assert_eq!(opening("matrix"), "{ $0 }");
    }
}
