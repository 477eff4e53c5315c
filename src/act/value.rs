//! `value`: facts of earlier steps under new names, as the engine computed them. Looks at nothing itself.

use super::blocking::misrouted;
use super::{Act, Lent, Look, Observation, Request};
use crate::action::Action;
use crate::facts::Facts;

/// The `value` action. Facts: the request's values under their names; inspected: how many there are (`value`).
#[derive(Clone, Copy, Debug, Default)]
pub struct Value;

impl Act for Value {
    fn look<'a>(&'a self, request: &'a Request, _lent: &'a Lent) -> Look<'a> {
        Box::pin(async move {
            if !matches!(request.action, Action::Value(_)) {
                return Err(misrouted(request, "value"));
            }
            let mut facts = Facts::about(request.values.len() as u64, "value");
            facts.values.clone_from(&request.values);
            Ok(Observation { facts, ..Observation::default() })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::act::fixture;
    use crate::action::ValueSpec;
    use crate::facts;

    #[tokio::test(flavor = "current_thread")]
    async fn copies_what_it_is_given() {
        let mut request = fixture::request(Action::Value(ValueSpec { values: Vec::new() }), "/".as_ref());
        request.values.insert("a".into(), facts::Value::int(3));
        let (lent, _stop) = fixture::lent();
        let seen = Value.look(&request, &lent).await.map_err(|e| e.detail).unwrap();
        assert_eq!(seen.facts.values["a"], facts::Value::int(3));
        assert_eq!(seen.facts.inspected, facts::Inspected { count: 1, what: "value".into() });
    }
}
