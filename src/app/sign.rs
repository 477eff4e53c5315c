//! `runplan sign` and `runplan decide`: people's yes or no about a run, and the decision that follows. Runs no step and
//! leaves record and journal as they are.

use std::collections::BTreeMap;
use std::fs::Permissions;
use std::io::{self, IsTerminal as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::cli::Sign;
use crate::exit::Exit;
use crate::facts::{Facts, Value};
use crate::outcome::{Decision, RunStatus};
use crate::policy::{SignoffPolicy, SignoffStanding, SignoffState};
use crate::record::canonical;
use crate::record::gc;
use crate::record::store::{DECISION_FILE, RECORD_FILE};
use crate::report::readiness;
use crate::report::terminal::{Stream, Terminal};
use crate::signoff::keygen::Keygen;
use crate::signoff::{self, Check, Choice, SCHEMA, Statement, Subject};

use super::past::{self, Past};
use super::{judgement, verify, world};

/// Says what is wrong and how that ends.
pub(super) fn failed(terminal: &Terminal, text: &str, exit: Exit) -> Exit {
    terminal.write(Stream::Err, &format!("runplan: {}\n", crate::report::escape::text(text)));
    exit
}

pub(super) fn sign(command: &Sign, terminal: &Terminal) -> Exit {
    let past = match past::read(&command.run) {
        Ok(past) => past,
        Err(fault) => return failed(terminal, &fault.text, fault.exit),
    };
    match signed(command, &past) {
        Ok(path) => {
            let word = if command.reject { "rejected" } else { "approved" };
            let shown = path.strip_prefix(&past.workspace).unwrap_or(&path).display().to_string();
            let (role, who) = (&command.role, &command.who);
            let text = match &command.gate {
                Some(gate) => format!(
                    "{word} the gate `{gate}` for `{role}` as {who}\n  {shown}\n  the next run that finds the same goes on there\n"
                ),
                None => {
                    let rest = open_roles(&past);
                    let id = &past.id;
                    format!(
                        "{word} run {id} for `{role}` as {who}\n  {shown}\n  {rest}; `runplan decide {id}` says what that means\n"
                    )
                }
            };
            terminal.write(Stream::Out, &crate::report::escape::text(&text));
            Exit::Done
        }
        Err(text) => failed(terminal, &text, Exit::Usage),
    }
}

/// Which roles have not approved a run.
fn open_roles(past: &Past) -> String {
    let standings = past.standings();
    let open = standings.iter().filter(|standing| standing.state != SignoffState::Approved);
    let open: Vec<String> = open.map(|standing| format!("`{}` ({})", standing.role, standing.state.word())).collect();
    if open.is_empty() { "every role has approved".into() } else { format!("open: {}", open.join(", ")) }
}

fn signed(command: &Sign, past: &Past) -> Result<PathBuf, String> {
    // Until the signature lies in its folder, that stays where it is.
    let _held = gc::hold_run(&past.dir).map_err(|error| error.to_string())?;
    let about = About::of(command, past)?;
    let policy = &about.policy;
    if !policy.roles.contains(&command.role) {
        let roles: Vec<String> = policy.roles.iter().map(|role| format!("`{role}`")).collect();
        return Err(format!("no role `{}`; the plan has {}", command.role, roles.join(", ")));
    }
    signoff::may_sign(policy, &command.role, &command.who)?;
    let keygen = Keygen::new(io::stdin().is_terminal());
    let signers = past.workspace.join(&policy.signers);
    let now = world::now();
    let check = Check { keygen: &keygen, signers: &signers, subject: &about.subject, now };
    taken(policy, command, &about.folder, &check)?;
    let Subject { plan, evidence, journal, gate } = about.subject.clone();
    let statement = Statement {
        schema: SCHEMA.to_owned(),
        plan,
        evidence,
        journal,
        gate,
        role: command.role.clone(),
        who: command.who.clone(),
        decision: if command.reject { Choice::Reject } else { Choice::Approve },
        comment: command.comment.clone(),
        at: signoff::timestamp(now),
    };
    let bytes = statement.bytes().map_err(|error| error.to_string())?;
    let key = key(command.key.as_deref())?;
    let signature = keygen.sign(&bytes, &key).map_err(|error| format!("`{}`: {error}", key.display()))?;
    keygen.verify(&bytes, &signature, &command.who, &signers).map_err(|error| format!("not signed: {error}"))?;
    signoff::keep(&about.folder, &command.role, &bytes, &signature)
        .map_err(|error| format!("can't keep the sign-off: {error}"))
}

/// What is signed: a whole run, or what was found before a gate of it.
struct About {
    policy: SignoffPolicy,
    subject: Subject,
    /// The sign-offs about it lie below.
    folder: PathBuf,
}

impl About {
    fn of(command: &Sign, past: &Past) -> Result<Self, String> {
        let Some(gate) = &command.gate else {
            let Some(policy) = past.record.run.policy.signoffs.clone() else {
                let gates = gates(past);
                let help = match gates.first() {
                    Some(gate) => format!("name its gate: `--gate '{gate}'`"),
                    None => "add `[signoffs]` and run it again".to_owned(),
                };
                return Err(format!("the plan of this run asks for no sign-offs at its end; {help}"));
            };
            return Ok(Self { policy, subject: past.subject.clone(), folder: past.dir.clone() });
        };
        let Some(facts) = past.last_facts(gate) else {
            let gates = gates(past);
            let known =
                if gates.is_empty() { "it has none".to_owned() } else { format!("it has {}", gates.join(", ")) };
            return Err(format!("this run reached no `signoff` step `{gate}`: {known}"));
        };
        let text = |name: &str| match facts.values.get(name) {
            Some(Value::Text(text)) => text.clone(),
            _ => String::new(),
        };
        let Some(Value::Map(roles)) = facts.values.get("role") else {
            return Err(format!("step `{gate}` is no `signoff`"));
        };
        let policy = SignoffPolicy {
            roles: roles.keys().cloned().collect(),
            distinct: facts.values.get("distinct") == Some(&Value::Bool(true)),
            signers: text("signers"),
            people: people_of(facts),
            ..SignoffPolicy::default()
        };
        let evidence = text("evidence");
        let store = past.dir.parent().and_then(Path::parent).unwrap_or(&past.dir);
        let folder = signoff::gate_folder(store, gate, &evidence);
        let subject = Subject { plan: past.subject.plan.clone(), evidence, journal: None, gate: Some(gate.clone()) };
        Ok(Self { policy, subject, folder })
    }
}

/// Who may sign for which role, as the gate says it.
fn people_of(facts: &Facts) -> BTreeMap<String, Vec<String>> {
    let Some(Value::Map(people)) = facts.values.get("people") else { return BTreeMap::new() };
    let text = |value: &Value| if let Value::Text(text) = value { Some(text.clone()) } else { None };
    let names = |value: &Value| match value {
        Value::List(names) => names.iter().filter_map(text).collect(),
        _ => Vec::new(),
    };
    people.iter().map(|(role, value)| (role.clone(), names(value))).collect()
}

/// Names of the gates of a run.
fn gates(past: &Past) -> Vec<String> {
    past.record.steps.iter().filter(|line| line.kind == "signoff").map(|line| line.id.clone()).collect()
}

/// A no can only be taken back by the person who said it; one person signs once where people must differ.
fn taken(policy: &SignoffPolicy, command: &Sign, folder: &Path, check: &Check<'_>) -> Result<(), String> {
    let standings = signoff::standings(policy, folder, check);
    let by = |standing: &SignoffStanding| standing.who.clone().unwrap_or_default();
    for standing in &standings {
        let same = standing.role == command.role;
        match standing.state {
            SignoffState::Rejected if same && by(standing) != command.who => {
                return Err(format!(
                    "`{}` was rejected by {}, and only they can change that",
                    command.role,
                    by(standing)
                ));
            }
            SignoffState::Approved if policy.distinct && !same && !command.reject && by(standing) == command.who => {
                let role = &standing.role;
                return Err(format!("`{}` signed as `{role}` already, and roles need different people", command.who));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Signs the record of a run: whose key vouches for its bytes.
pub(super) fn sign_record(run: &str, key_file: Option<&str>, terminal: &Terminal) -> Exit {
    let past = match past::read(run) {
        Ok(past) => past,
        Err(fault) => return failed(terminal, &fault.text, fault.exit),
    };
    let signed = || -> Result<PathBuf, String> {
        let _held = gc::hold_run(&past.dir).map_err(|error| error.to_string())?;
        let record = std::fs::read(past.dir.join(RECORD_FILE)).map_err(|error| error.to_string())?;
        let key = key(key_file)?;
        let keygen = Keygen::of_records(io::stdin().is_terminal());
        let signature = keygen.sign(&record, &key).map_err(|error| format!("`{}`: {error}", key.display()))?;
        let path = past.dir.join(signoff::RECORD_SIGNATURE);
        write(&path, &signature).map_err(|error| format!("can't keep the signature: {error}"))?;
        Ok(path)
    };
    match signed() {
        Ok(path) => {
            let shown = path.strip_prefix(&past.workspace).unwrap_or(&path).display().to_string();
            let text = format!(
                "signed the record of run {}\n  {shown}\n  `runplan verify {} --signers FILE` checks it\n",
                past.id, past.id
            );
            terminal.write(Stream::Out, &crate::report::escape::text(&text));
            Exit::Done
        }
        Err(text) => failed(terminal, &text, Exit::Usage),
    }
}

fn key(named: Option<&str>) -> Result<PathBuf, String> {
    if let Some(key) = named {
        return Ok(key.into());
    }
    let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    let usual = home.join(".ssh/id_ed25519");
    if usual.is_file() { Ok(usual) } else { Err("no key: name one with `--key FILE`".to_owned()) }
}

pub(super) fn decide(named: &str, day: Option<&str>, terminal: &Terminal) -> Exit {
    let past = match past::read(named) {
        Ok(past) => past,
        Err(fault) => return failed(terminal, &fault.text, fault.exit),
    };
    let judged = Judged::now(&past, day);
    if let Err(error) = keep(&past, &judged) {
        return failed(terminal, &format!("the decision could not be written: {error}"), Exit::Unrecorded);
    }
    super::readiness::publish(&past, &judged, terminal);
    let look = terminal.look(Stream::Out);
    let text = readiness::closing(&judged.decision, &judged.standings, &judged.lapsed, &past.record.id, look);
    terminal.write(Stream::Out, &text);
    Exit::Run(RunStatus::Decided(judged.decision.verdict))
}

/// A run with what holds about it now.
pub(super) struct Judged {
    /// The day that waivers were held against.
    pub(super) day: String,
    /// How every role stands.
    pub(super) standings: Vec<SignoffStanding>,
    /// Steps whose waiver has ended since.
    pub(super) lapsed: Vec<String>,
    /// What follows.
    pub(super) decision: Decision,
    /// When (RFC 3339).
    pub(super) at: String,
}

impl Judged {
    /// The decision as of now, with waivers as of a day (today).
    pub(super) fn now(past: &Past, day: Option<&str>) -> Self {
        let day = day.map_or_else(world::today, str::to_owned);
        let standings = past.standings();
        let decision = judgement::decision(&past.record.run, &past.record.steps, Some(&day), &standings);
        let lapsed = past.lapsed(&day);
        Self { day, standings, lapsed, decision, at: signoff::timestamp(world::now()) }
    }
}

impl Judged {
    /// What somebody last decided about the run, else what it came to at its end.
    pub(super) fn then(past: &Past) -> Result<Self, String> {
        if let Some(kept) = verify::decided(&past.dir, &past.record, &past.subject)? {
            let lapsed = past.lapsed(&kept.date);
            let verify::Kept { at, date: day, decision, signoffs: standings, .. } = kept;
            return Ok(Self { day, standings, lapsed, decision, at });
        }
        let run = &past.record.run;
        let standings = crate::engine::unsigned(run.policy.signoffs.as_ref());
        let decision = judgement::decision(run, &past.record.steps, None, &standings);
        let at = signoff::timestamp(past.events.last().map_or(0, |event| event.at));
        let day = run.date.clone().unwrap_or_else(|| at.chars().take(10).collect());
        Ok(Self { day, standings, lapsed: Vec::new(), decision, at })
    }
}

fn keep(past: &Past, judged: &Judged) -> io::Result<()> {
    let _held = gc::hold_run(&past.dir).map_err(io::Error::other)?;
    let value = json!({
        "schema": "runplan.decision/1",
        "run": past.id,
        "plan": past.subject.plan,
        "record": past.subject.evidence,
        "journal": past.subject.journal,
        "at": judged.at,
        "date": judged.day,
        "decision": judged.decision,
        "signoffs": judged.standings,
        "lapsed": judged.lapsed,
    });
    let bytes = canonical::to_line(&value).map_err(io::Error::other)?;
    write(&past.dir.join(DECISION_FILE), &bytes)
}

/// Replaces a file as a whole; nobody else may read it.
pub(super) fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    replace(path, bytes, 0o600)
}

/// Replaces a file as a whole. The umask takes its part of the mode.
pub(super) fn replace(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new().permissions(Permissions::from_mode(mode)).tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}
