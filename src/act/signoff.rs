//! `signoff`: how people stand to what was found so far. Knows neither keys nor where signatures lie: what checks them is
//! given to it.
//!
//! Facts: `missing` (roles without an approval that counts), `rejected`, `approved` (how many), `role` (Map from role to
//! Map {`decision`: `approved`, `rejected`, `refused` or `missing`; `by`, `age` and `reason`, where there are any}),
//! `evidence` (digest of what is signed), `signers`, `people` and `distinct` (for who wants to sign), `ask` (what to type).
//! Inspected: roles.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::blocking::{blocking, misrouted};
use super::{Act, Lent, Look, Observation, Request};
use crate::action::{Action, SignoffSpec};
use crate::facts::{Facts, Num, Unit, Value};
use crate::outcome::Note;
use crate::policy::{SignoffPolicy, SignoffStanding, SignoffState};

/// How every role stands to the evidence (its digest) at a gate (the step's name), in the plan's order.
pub type Standings = Arc<dyn Fn(&SignoffPolicy, &str, &str) -> Vec<SignoffStanding> + Send + Sync>;

/// The `signoff` action.
pub struct Signoff {
    standings: Standings,
}

impl Signoff {
    /// With what reads and checks signatures.
    #[must_use]
    pub fn new(standings: Standings) -> Self {
        Self { standings }
    }
}

impl Act for Signoff {
    fn look<'a>(&'a self, request: &'a Request, lent: &'a Lent) -> Look<'a> {
        Box::pin(async move {
            let Action::Signoff(spec) = &request.action else { return Err(misrouted(request, "signoff")) };
            let evidence = match request.values.get("evidence") {
                Some(Value::Text(evidence)) => evidence.clone(),
                _ => String::new(),
            };
            let (check, policy) = (Arc::clone(&self.standings), spec.policy.clone());
            let (gate, about) = (request.step.clone(), evidence.clone());
            let list = blocking(request, lent, move |_| Ok(check(&policy, &gate, &about))).await?;
            Ok(observation(spec, request, &evidence, &list, (lent.now)()))
        })
    }
}

fn observation(
    spec: &SignoffSpec,
    request: &Request,
    evidence: &str,
    list: &[SignoffStanding],
    now: i64,
) -> Observation {
    let mut facts = Facts::about(list.len() as u64, "role");
    let count = |wanted: fn(SignoffState) -> bool| {
        Value::int(list.iter().filter(|standing| wanted(standing.state)).count() as u64)
    };
    facts.set("missing", count(|state| matches!(state, SignoffState::Missing | SignoffState::Refused)));
    facts.set("rejected", count(|state| state == SignoffState::Rejected));
    facts.set("approved", count(|state| state == SignoffState::Approved));
    let role = |standing: &SignoffStanding| (standing.role.clone(), Value::Map(role(standing, now)));
    facts.set("role", Value::Map(list.iter().map(role).collect()));
    facts.set("evidence", Value::text(evidence));
    facts.set("distinct", Value::Bool(spec.policy.distinct));
    facts.set("signers", Value::text(&spec.policy.signers));
    let names = |names: &Vec<String>| Value::List(names.iter().map(Value::text).collect());
    let people = spec.policy.people.iter().map(|(role, who)| (role.clone(), names(who)));
    facts.set("people", Value::Map(people.collect()));
    facts.set("ask", Value::text(ask(&request.step, list)));
    let refused = |standing: &SignoffStanding| {
        let reason = standing.reason.as_ref().filter(|_| standing.state == SignoffState::Refused)?;
        Some(Note {
            code: "refused".into(),
            text: format!("the sign-off of `{}` does not count: {reason}", standing.role),
        })
    };
    Observation { facts, notes: list.iter().filter_map(refused).collect(), ..Observation::default() }
}

fn role(standing: &SignoffStanding, now: i64) -> BTreeMap<String, Value> {
    let mut role = BTreeMap::from([("decision".to_owned(), Value::text(standing.state.word()))]);
    let texts = [("by", &standing.who), ("reason", &standing.reason)];
    role.extend(texts.into_iter().filter_map(|(name, text)| Some((name.to_owned(), Value::text(text.as_ref()?)))));
    let at = standing.at.as_ref().and_then(|at| at.parse::<jiff::Timestamp>().ok());
    if let Some(at) = at {
        let nanos = i128::from(now.saturating_sub(at.as_millisecond())) * 1_000_000;
        role.insert("age".to_owned(), Value::Num(Num::int(nanos), Unit::Time));
    }
    role
}

/// One sentence with the command that goes on.
fn ask(gate: &str, list: &[SignoffStanding]) -> String {
    let open: Vec<&str> = list
        .iter()
        .filter(|standing| matches!(standing.state, SignoffState::Missing | SignoffState::Refused))
        .map(|standing| standing.role.as_str())
        .collect();
    let Some(first) = open.first() else { return String::new() };
    let roles: Vec<String> = open.iter().map(|role| format!("`{role}`")).collect();
    format!(
        "waits for {}: `runplan sign latest --gate '{gate}' --role '{first}' --as WHO`, then run it again",
        roles.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;

    #[tokio::test(flavor = "current_thread")]
    async fn roles_become_facts() {
        let standings: Standings = Arc::new(|policy, gate, evidence| {
            assert_eq!((gate, evidence), ("step", "e1"));
            let mut list: Vec<_> = policy.roles.iter().map(|role| SignoffStanding::missing(role)).collect();
            list[0].state = SignoffState::Approved;
            list[0].who = Some("ana".into());
            list[0].at = Some("1970-01-01T00:00:00Z".into());
            list[1].state = SignoffState::Refused;
            list[1].reason = Some("it expired".into());
            list
        });
        let policy = SignoffPolicy { roles: ["a", "b", "c"].map(str::to_owned).into(), ..SignoffPolicy::default() };
        let mut request = fixture::request(Action::Signoff(Box::new(SignoffSpec { policy })), "/".as_ref());
        request.step = "step".into();
        request.values.insert("evidence".into(), Value::text("e1"));
        let (lent, _stop) = fixture::lent();
        let seen = Signoff::new(standings).look(&request, &lent).await.map_err(|e| e.detail).unwrap();
        let values = &seen.facts.values;
        assert_eq!((&values["missing"], &values["approved"]), (&Value::int(2), &Value::int(1)));
        let Value::Map(roles) = &values["role"] else { panic!("{values:?}") };
        let Value::Map(first) = &roles["a"] else { panic!("{values:?}") };
        assert_eq!(first["by"], Value::text("ana"));
        assert!(matches!(first["age"], Value::Num(age, Unit::Time) if age > Num::int(0)));
        assert_eq!(seen.notes[0].text, "the sign-off of `b` does not count: it expired");
        let Value::Text(ask) = &values["ask"] else { panic!("{values:?}") };
        assert!(
            ask.starts_with("waits for `b`, `c`: `runplan sign latest --gate 'step' --role 'b' --as WHO`"),
            "{ask}"
        );
        assert_eq!(seen.facts.inspected.count, 3);
    }
}
