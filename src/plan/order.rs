//! In which order the keys of a table stand, for whoever lays plans out: that of the key tables.

use super::keys::{Kind, Shape};
use super::tables;

/// Keys of the table at a path of keys (`["steps", "up", "retry"]`), in their order; `None` where names are free.
#[must_use]
pub fn keys(path: &[&str]) -> Option<Vec<&'static str>> {
    let mut shape = Shape::Table(&tables::DOCUMENT);
    for key in path {
        let inner = inner(shape)?;
        shape = match inner {
            Shape::Table(kind) => kind.key(key).map(|key| key.shape).or(kind.open)?,
            Shape::Map(of) => *of,
            _ => return None,
        };
    }
    match inner(shape)? {
        Shape::Table(Kind { open: None, keys, .. }) => Some(keys.iter().map(|key| key.name).collect()),
        _ => None,
    }
}

/// The table that a shape allows.
fn inner(shape: Shape) -> Option<Shape> {
    match shape {
        Shape::Table(_) | Shape::Map(_) => Some(shape),
        Shape::List(of) => inner(*of),
        Shape::OneOf(shapes) => shapes.iter().find_map(|shape| inner(*shape)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_have_an_order_and_free_names_have_none() {
        let first = |path: &[&str]| keys(path).map(|keys| keys[0]);
        assert_eq!(first(&[]), Some("format"));
        assert_eq!(first(&["steps", "x"]), Some("title"));
        assert_eq!(first(&["finally", "x", "http"]), Some("url"));
        assert_eq!(first(&["steps", "x", "service", "ready", "http"]), Some("url"));
        assert_eq!(first(&["risk"]), Some("id"));
        for free in [
            &["steps"][..],
            &["vars"],
            &["steps", "x", "matrix"],
            &["steps", "x", "env"],
            &["x-mine"],
            &["steps", "x", "nope"],
        ] {
            assert_eq!(keys(free), None, "{free:?}");
        }
        // Somebody who reads a step reads first what it does, then what must hold.
        let step = keys(&["steps", "x"]).unwrap();
        let at = |name: &str| step.iter().position(|key| *key == name).unwrap();
        assert!(at("needs") < at("run") && at("run") < at("pass") && at("pass") < at("severity"));
    }
}
