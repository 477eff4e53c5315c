//! Sign-offs: what people sign, and how each role stands. Decides nothing and runs no step.
//!
//! A [`Statement`] binds a role, a person and a yes or no to the plan and to the evidence: the record and the journal of
//! one run. It lies in the folder of the run as `signoffs/ROLE.json`, one canonical JSON line, with its signature beside
//! it in `ROLE.json.sig`. A stranger can check it without this program:
//!
//! ```text
//! ssh-keygen -Y verify -f allowed_signers -I WHO -n runplan -s ROLE.json.sig < ROLE.json
//! ```
//!
//! Nothing in the record changes by signing: a signature is about the record.
//!
//! Apart from that, a record can be signed as it is ([`RECORD_SIGNATURE`]): whose key vouches for the bytes, and nothing
//! about what they say. A stranger checks it with
//!
//! ```text
//! ssh-keygen -Y verify -f allowed_signers -I WHO -n runplan-record -s record.sig < record.jsonl
//! ```

pub mod keygen;

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::policy::{SignoffPolicy, SignoffStanding, SignoffState};
use crate::record::canonical;

use keygen::Keygen;

/// Version of the statement.
pub const SCHEMA: &str = "runplan.signoff/1";
/// Folder of the sign-offs in the folder of a run.
pub const FOLDER: &str = "signoffs";
/// Signature over the bytes of the record, in the folder of a run.
pub const RECORD_SIGNATURE: &str = "record.sig";
/// Most bytes of a statement or a signature.
const MOST_BYTES: u64 = 64 * 1024;
/// How far a signer's clock may be ahead of ours.
const SKEW_S: i64 = 300;

/// Yes or no.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Choice {
    /// Yes.
    Approve,
    /// No: alone it makes the run NO-GO.
    Reject,
}

/// What is signed about: digests of one plan and of what one run of it left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// SHA-256 of the plan, as the record says it.
    pub plan: String,
    /// The record's id.
    pub evidence: String,
    /// SHA-256 of the journal; none at a gate, where the run is not over.
    pub journal: Option<String>,
    /// The step that is a gate; none for a whole run.
    pub gate: Option<String>,
}

/// What a person signs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statement {
    /// [`SCHEMA`].
    pub schema: String,
    /// See [`Subject`].
    pub plan: String,
    /// See [`Subject`].
    pub evidence: String,
    /// See [`Subject`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub journal: Option<String>,
    /// See [`Subject`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<String>,
    /// The role.
    pub role: String,
    /// The person, as the allowed-signers file names them.
    pub who: String,
    /// Yes or no.
    pub decision: Choice,
    /// What they add.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// When (RFC 3339, UTC, seconds).
    pub at: String,
}

impl Statement {
    /// The bytes that are signed: one canonical line.
    ///
    /// # Errors
    /// When they can't be written, which no text makes happen.
    pub fn bytes(&self) -> io::Result<Vec<u8>> {
        canonical::to_line(self).map_err(io::Error::other)
    }

    /// Reads the bytes that were signed; only the one spelling of a statement is one.
    ///
    /// # Errors
    /// One sentence.
    pub fn read(bytes: &[u8]) -> Result<Self, String> {
        let value = canonical::check_line(bytes).map_err(|error| error.to_string())?;
        let statement: Self = serde_json::from_value(value).map_err(|error| error.to_string())?;
        if statement.schema == SCHEMA {
            Ok(statement)
        } else {
            Err(format!("it is `{}`, and this runplan reads `{SCHEMA}`", statement.schema))
        }
    }
}

/// A time as a statement says it: RFC 3339 in UTC, whole seconds.
#[must_use]
pub fn timestamp(ms: i64) -> String {
    let time = jiff::Timestamp::from_second(ms.div_euclid(1000)).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    time.to_string()
}

/// Where the statement of a role lies, and its signature. Every role has a name of its own: what is no plain letter,
/// digit, `-` or `_` stands as `%` and its bytes in hex.
#[must_use]
pub fn files(run: &Path, role: &str) -> (PathBuf, PathBuf) {
    let name = plain_name(role);
    let folder = run.join(FOLDER);
    (folder.join(format!("{name}.json")), folder.join(format!("{name}.json.sig")))
}

/// Every text has a name of its own.
fn plain_name(text: &str) -> String {
    let mut name = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_') {
            name.push(char::from(byte));
        } else {
            name.push_str(&format!("%{byte:02X}"));
        }
    }
    name
}

/// Where sign-offs of a gate lie in the store: a folder as that of a run.
#[must_use]
pub fn gate_folder(store: &Path, gate: &str, evidence: &str) -> PathBuf {
    store.join("gates").join(plain_name(gate)).join(evidence)
}

/// Keeps a statement and its signature, the signature first: a statement without one counts for nothing.
///
/// # Errors
/// When a file can't be written.
pub fn keep(run: &Path, role: &str, statement: &[u8], signature: &[u8]) -> io::Result<PathBuf> {
    let (path, sig) = files(run, role);
    let folder = run.join(FOLDER);
    let mut builder = std::fs::DirBuilder::new();
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700).recursive(true).create(&folder)?;
    for (target, bytes) in [(&sig, signature), (&path, statement)] {
        let mut file = tempfile::NamedTempFile::new_in(&folder)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(target).map_err(|error| error.error)?;
    }
    Ok(path)
}

/// What signatures are checked with.
pub struct Check<'a> {
    /// The program.
    pub keygen: &'a Keygen,
    /// The allowed-signers file.
    pub signers: &'a Path,
    /// What has to have been signed.
    pub subject: &'a Subject,
    /// Milliseconds since 1970.
    pub now: i64,
}

/// The signature over the record of a run; none if there is none.
///
/// # Errors
/// When it can't be read.
pub fn record_signature(run: &Path) -> io::Result<Option<Vec<u8>>> {
    match bounded(&run.join(RECORD_SIGNATURE)) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// How every role stands, in the plan's order.
#[must_use]
pub fn standings(policy: &SignoffPolicy, run: &Path, check: &Check<'_>) -> Vec<SignoffStanding> {
    let mut list: Vec<SignoffStanding> = policy.roles.iter().map(|role| standing(policy, run, role, check)).collect();
    if policy.distinct {
        keep_distinct(&mut list);
    }
    list
}

/// How one role stands by itself.
#[must_use]
pub fn standing(policy: &SignoffPolicy, run: &Path, role: &str, check: &Check<'_>) -> SignoffStanding {
    let missing = SignoffStanding::missing(role);
    let (path, sig) = files(run, role);
    let refused = |reason: String, from: &SignoffStanding| SignoffStanding {
        state: SignoffState::Refused,
        reason: Some(reason),
        ..from.clone()
    };
    let bytes = match bounded(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return missing,
        Err(error) => return refused(format!("its file can't be read: {error}"), &missing),
    };
    let statement = match Statement::read(&bytes) {
        Ok(statement) => statement,
        Err(reason) => return refused(format!("its file is no statement: {reason}"), &missing),
    };
    let known = SignoffStanding {
        who: Some(statement.who.clone()),
        at: Some(statement.at.clone()),
        comment: statement.comment.clone(),
        ..missing
    };
    let signature = match bounded(&sig) {
        Ok(signature) => signature,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return refused("it has no signature".to_owned(), &known);
        }
        Err(error) => return refused(format!("its signature can't be read: {error}"), &known),
    };
    let key = match check.keygen.verify(&bytes, &signature, &statement.who, check.signers) {
        Ok(key) => key,
        Err(error) => return refused(error.to_string(), &known),
    };
    let known = SignoffStanding { key: Some(key), ..known };
    match counts(policy, role, &statement, check) {
        Err(reason) => refused(reason, &known),
        Ok(()) => SignoffStanding {
            state: match statement.decision {
                Choice::Approve => SignoffState::Approved,
                Choice::Reject => SignoffState::Rejected,
            },
            ..known
        },
    }
}

/// What somebody said for a role and whether it is about this run, without looking at the signature: starts no process.
/// `None` where nobody signed; `Err` says why it does not count.
#[must_use]
pub fn unsigned_statement(
    policy: &SignoffPolicy,
    run: &Path,
    role: &str,
    check: &Check<'_>,
) -> Option<Result<Statement, String>> {
    let bytes = match bounded(&files(run, role).0) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        Err(error) => return Some(Err(format!("its file can't be read: {error}"))),
    };
    let read = Statement::read(&bytes).map_err(|reason| format!("its file is no statement: {reason}"));
    Some(read.and_then(|statement| counts(policy, role, &statement, check).map(|()| statement)))
}

/// Whether a statement with a good signature counts for this role of this run.
fn counts(policy: &SignoffPolicy, role: &str, statement: &Statement, check: &Check<'_>) -> Result<(), String> {
    if statement.role != role {
        return Err(format!("it was signed for the role `{}`", statement.role));
    }
    if statement.gate != check.subject.gate {
        let what = statement.gate.as_ref().map_or("a whole run".to_owned(), |gate| format!("the gate `{gate}`"));
        return Err(format!("it was given for {what}"));
    }
    may_sign(policy, role, &statement.who)?;
    let short = |digest: &str| digest.chars().take(12).collect::<String>();
    let same = |what: &str, signed: &str, here: &str| {
        if signed == here {
            return Ok(());
        }
        Err(format!("it was given for another {what} ({}…, here {}…): sign again", short(signed), short(here)))
    };
    same("plan", &statement.plan, &check.subject.plan)?;
    let evidence = if statement.gate.is_some() { "evidence" } else { "record" };
    same(evidence, &statement.evidence, &check.subject.evidence)?;
    let journal = |digest: &Option<String>| digest.clone().unwrap_or_default();
    same("journal", &journal(&statement.journal), &journal(&check.subject.journal))?;
    let at = statement.at.parse::<jiff::Timestamp>().map_err(|_| format!("`{}` is no time", statement.at))?;
    let age = check.now.div_euclid(1000) - at.as_second();
    if age < -SKEW_S {
        return Err(format!("it is from the future ({})", statement.at));
    }
    // A no does not lapse: only the person who said it can take it back.
    if statement.decision == Choice::Approve && age > i64::try_from(policy.valid_s).unwrap_or(i64::MAX) {
        return Err(format!("it expired: signed at {}, valid for {}", statement.at, span(policy.valid_s)));
    }
    Ok(())
}

/// Whether the plan lets this person sign for the role.
///
/// # Errors
/// One sentence, if not.
pub fn may_sign(policy: &SignoffPolicy, role: &str, who: &str) -> Result<(), String> {
    match policy.people.get(role) {
        Some(people) if !people.iter().any(|person| person == who) => {
            Err(format!("`{who}` may not sign for `{role}`: the plan names {}", people.join(", ")))
        }
        _ => Ok(()),
    }
}

/// Of several approvals by one person or one key only the first counts.
fn keep_distinct(list: &mut [SignoffStanding]) {
    let mut order: Vec<usize> =
        (0..list.len()).filter(|at| list.get(*at).is_some_and(|s| s.state == SignoffState::Approved)).collect();
    order.sort_by_key(|at| list.get(*at).and_then(|standing| standing.at.clone()));
    let mut seen: BTreeMap<String, String> = BTreeMap::new();
    for at in order {
        let Some(standing) = list.get_mut(at) else { continue };
        let names = [standing.who.clone(), standing.key.clone()];
        let before = names.iter().flatten().find_map(|name| Some((name.clone(), seen.get(name)?.clone())));
        if let Some((name, role)) = before {
            standing.state = SignoffState::Refused;
            standing.reason = Some(format!("`{name}` signed as `{role}` already, and roles need different people"));
        } else {
            seen.extend(names.into_iter().flatten().map(|name| (name, standing.role.clone())));
        }
    }
}

fn bounded(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(MOST_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(io::Error::other(format!("larger than {MOST_BYTES} bytes")));
    }
    Ok(bytes)
}

/// `24h`, `90m`, `45s`.
fn span(seconds: u64) -> String {
    match seconds {
        s if s > 0 && s % 3600 == 0 => format!("{}h", s / 3600),
        s if s > 0 && s % 60 == 0 => format!("{}m", s / 60),
        s => format!("{s}s"),
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Approve => "approve",
            Self::Reject => "reject",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statement() -> Statement {
        Statement {
            schema: SCHEMA.into(),
            plan: "a".repeat(64),
            evidence: "b".repeat(64),
            journal: Some("c".repeat(64)),
            gate: None,
            role: "Ops/SRE".into(),
            who: "ana".into(),
            decision: Choice::Approve,
            comment: None,
            at: "2026-11-24T07:00:00Z".into(),
        }
    }

    fn policy() -> SignoffPolicy {
        SignoffPolicy { roles: vec!["Ops/SRE".into(), "Dev".into()], valid_s: 3600, ..SignoffPolicy::default() }
    }

    fn judged(change: impl Fn(&mut Statement), now: &str) -> Result<(), String> {
        let mut given = statement();
        change(&mut given);
        let keygen = Keygen::default();
        let first = statement();
        let subject = Subject { plan: first.plan, evidence: first.evidence, journal: first.journal, gate: None };
        let now = now.parse::<jiff::Timestamp>().unwrap().as_millisecond();
        let check = Check { keygen: &keygen, signers: Path::new("none"), subject: &subject, now };
        counts(&policy(), "Ops/SRE", &given, &check)
    }

    #[test]
    fn a_statement_is_one_canonical_line() {
        let bytes = statement().bytes().unwrap();
        assert_eq!(Statement::read(&bytes), Ok(statement()));
        let text = String::from_utf8(bytes).unwrap();
        assert!(text.ends_with("}\n") && text.starts_with("{\"at\":"), "{text}");
        assert!(Statement::read(text.replace("\":\"", "\": \"").as_bytes()).is_err());
        assert!(Statement::read(text.replace("signoff/1", "signoff/2").as_bytes()).is_err());
    }

    #[test]
    fn only_what_was_signed_for_this_run_counts() {
        let now = "2026-11-24T07:30:00Z";
        assert_eq!(judged(|_| {}, now), Ok(()));
        type Change = fn(&mut Statement);
        let refused: [(Change, &str); 7] = [
            (|s| s.role = "Dev".into(), "it was signed for the role `Dev`"),
            (|s| s.plan = "d".repeat(64), "it was given for another plan (dddddddddddd…, here aaaaaaaaaaaa…)"),
            (|s| s.evidence = "d".repeat(64), "it was given for another record (dddddddddddd…"),
            (|s| s.journal = Some("d".repeat(64)), "it was given for another journal (dddddddddddd…"),
            (|s| s.gate = Some("g".into()), "it was given for the gate `g`"),
            (|s| s.at = "2026-11-24T09:00:00Z".into(), "it is from the future"),
            (|s| s.at = "yesterday".into(), "`yesterday` is no time"),
        ];
        for (change, reason) in refused {
            let found = judged(change, now).unwrap_err();
            assert!(found.starts_with(reason), "{found}");
        }
        let late = "2026-11-24T08:00:01Z";
        assert!(judged(|_| {}, late).unwrap_err().ends_with("valid for 1h"));
        assert_eq!(judged(|s| s.decision = Choice::Reject, late), Ok(()), "a no does not lapse");
    }

    #[test]
    fn the_plan_may_name_who_signs() {
        let mut policy = policy();
        policy.people.insert("Ops/SRE".into(), vec!["ana".into()]);
        assert_eq!(may_sign(&policy, "Ops/SRE", "ana"), Ok(()));
        assert_eq!(may_sign(&policy, "Dev", "eve"), Ok(()));
        assert!(may_sign(&policy, "Ops/SRE", "eve").is_err());
    }

    #[test]
    fn one_person_and_one_key_count_once() {
        let approved = |role: &str, who: &str, key: &str, at: &str| SignoffStanding {
            state: SignoffState::Approved,
            who: Some(who.into()),
            key: Some(key.into()),
            at: Some(at.into()),
            ..SignoffStanding::missing(role)
        };
        let mut list =
            [approved("a", "ana", "k1", "3"), approved("b", "ana", "k2", "1"), approved("c", "eva", "k2", "2")];
        keep_distinct(&mut list);
        let states: Vec<_> = list.iter().map(|s| s.state).collect();
        assert_eq!(states, [SignoffState::Refused, SignoffState::Approved, SignoffState::Refused]);
        assert!(list[2].reason.as_ref().unwrap().starts_with("`k2` signed as `b` already"));
    }

    #[test]
    fn every_role_has_a_file_of_its_own() {
        let name = |role: &str| files(Path::new("r"), role).0.display().to_string();
        assert_eq!(name("Ops/SRE"), "r/signoffs/Ops%2FSRE.json");
        assert_eq!(name("../x"), "r/signoffs/%2E%2E%2Fx.json");
        assert_ne!(name("a b"), name("a-b"));
    }
}
