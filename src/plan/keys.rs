//! The shapes of the plan language: what a key is called, what it takes and what it means. Data only; the tables
//! themselves are in `tables`, checking in `shape`, the JSON schema in `schema`.

/// A kind of table: `[plan]`, a step, `retry`.
pub(super) struct Kind {
    /// Its name in the schema.
    pub(super) name: &'static str,
    /// How messages call it (`a step`).
    pub(super) what: &'static str,
    /// Its keys, in the order of the documentation.
    pub(super) keys: &'static [Key],
    /// Other keys are names, with values of this shape.
    pub(super) open: Option<Shape>,
}

impl Kind {
    /// The key of that name.
    pub(super) fn key(&self, name: &str) -> Option<&'static Key> {
        let first = name.as_bytes().first();
        self.keys.iter().find(|key| key.name.as_bytes().first() == first && key.name == name)
    }
}

/// One key.
pub(super) struct Key {
    /// As written.
    pub(super) name: &'static str,
    /// What it takes.
    pub(super) shape: Shape,
    /// One line for people and editors.
    pub(super) doc: &'static str,
    /// What holds without it; empty if nothing does.
    pub(super) default: &'static str,
    /// A value as one would write it; empty if the shape says enough.
    pub(super) example: &'static str,
}

/// What a value looks like.
#[derive(Clone, Copy)]
pub(super) enum Shape {
    /// A string taken as it is.
    Text,
    /// A string that may hold `{{ names }}`.
    Template,
    /// A string with a criterion.
    Criterion,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A whole number within bounds.
    Int(i64, i64),
    /// A number that is not negative.
    Number,
    /// `true` or `false`.
    Bool,
    /// `"30s"`.
    Duration,
    /// `"64KiB"`.
    Size,
    /// `"0600"`.
    Mode,
    /// `2026-12-01`, with or without quotes.
    Date,
    /// A string, number or boolean.
    Scalar,
    /// A list of one shape.
    List(&'static Shape),
    /// The first of these that has the value's TOML type.
    OneOf(&'static [Shape]),
    /// A table of that kind.
    Table(&'static Kind),
    /// A table of free names, all values of one shape.
    Map(&'static Shape),
    /// Anything.
    Any,
}

impl Shape {
    /// How its value is written, where the tables have no example.
    pub(super) fn sketch(&self) -> &'static str {
        match self {
            Self::Int(..) | Self::Number => "1",
            Self::List(_) => "[\"…\"]",
            Self::OneOf(shapes) => shapes.first().map_or("…", Self::sketch),
            Self::Table(_) | Self::Map(_) => "{ … }",
            _ => "\"…\"",
        }
    }

    /// How messages ask for it.
    pub(super) fn want(&self) -> String {
        match self {
            Self::Text | Self::Template => "a string".to_owned(),
            Self::Criterion => "a criterion such as \"exit == 0\"".to_owned(),
            Self::Word(words) => {
                let words: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
                words.split_last().map_or_else(String::new, |(last, most)| {
                    if most.is_empty() { last.clone() } else { format!("{} or {last}", most.join(", ")) }
                })
            }
            Self::Int(0, i64::MAX) => "a whole number".to_owned(),
            Self::Int(low, i64::MAX) => format!("a whole number from {low}"),
            Self::Int(low, high) => format!("a whole number from {low} to {high}"),
            Self::Number => "a number".to_owned(),
            Self::Bool => "true or false".to_owned(),
            Self::Duration => "a duration such as \"30s\"".to_owned(),
            Self::Size => "a size such as \"64KiB\"".to_owned(),
            Self::Mode => "a file mode such as \"0600\"".to_owned(),
            Self::Date => "a date such as \"2026-12-01\"".to_owned(),
            Self::Scalar => "a string, a number or a boolean".to_owned(),
            Self::List(of) => match of {
                Self::Text | Self::Template => "a list of strings".to_owned(),
                Self::Criterion => "a list of criteria".to_owned(),
                Self::Int(..) => "a list of whole numbers".to_owned(),
                Self::Table(kind) => format!("a list of tables, {} each", kind.what),
                _ => "a list".to_owned(),
            },
            Self::OneOf(shapes) => {
                let wants: Vec<String> = shapes.iter().map(Self::want).collect();
                wants.join(" or ")
            }
            Self::Table(kind) if kind.open.is_some() => "a table { name = [value, …], … }".to_owned(),
            Self::Table(kind) => {
                let keys: Vec<&str> = kind.keys.iter().take(4).map(|key| key.name).collect();
                let more = if kind.keys.len() > 4 { ", …" } else { "" };
                format!("a table {{ {}{more} }}", keys.join(", "))
            }
            Self::Map(_) => "a table { name = value, … }".to_owned(),
            Self::Any => "a value".to_owned(),
        }
    }
}
