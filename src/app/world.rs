//! The real world as values: environment, clock, ports, secrets, actions, storage over a run's folder.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::act::{self, Act};
use crate::action::ActionKind;
use crate::digest::sha256_hex;
use crate::engine::{KeepError, Keeper, World};
use crate::identity::{ActionForm, GateForm};
use crate::mask::Mask;
use crate::plan::{Plan, SecretSource};
use crate::record::canonical;
use crate::record::preimage;
use crate::record::store::{RunDir, Store, StoreError, plan_digest};
use crate::signoff::keygen::Keygen;
use crate::signoff::{self, Check, Subject};

/// Milliseconds since 1970.
pub(super) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// The day it is, in UTC: `2026-11-24`.
pub(super) fn today() -> String {
    let time = jiff::Timestamp::from_millisecond(now()).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    time.strftime("%Y-%m-%d").to_string()
}

/// Random bytes from the system.
pub(super) fn random<const N: usize>() -> io::Result<[u8; N]> {
    use std::io::Read as _;
    let mut bytes = [0; N];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// The world of one run.
///
/// # Errors
/// When no port is free, a secret can't be read or an action can't be set up.
pub(super) fn world(plan: &Plan, store: &Path, today: &str) -> io::Result<World> {
    let env = inherited_env();
    let secrets = secrets(plan)?;
    let mask = (!secrets.is_empty()).then(|| {
        let bytes: Vec<(String, Vec<u8>)> =
            secrets.iter().map(|(name, value)| (name.clone(), value.clone().into_bytes())).collect();
        Arc::new(Mask::new(&bytes))
    });
    Ok(World {
        env,
        now: Arc::new(now),
        start: Instant::now(),
        secrets,
        mask,
        ports: free_ports(&plan.ports)?,
        acts: acts(plan, store, today)?,
    })
}

fn acts(plan: &Plan, store: &Path, today: &str) -> io::Result<BTreeMap<ActionKind, Box<dyn Act>>> {
    let mut acts: BTreeMap<ActionKind, Box<dyn Act>> = BTreeMap::new();
    acts.insert(ActionKind::Run, Box::new(act::run::Run));
    acts.insert(ActionKind::Service, Box::new(act::service::Service::new(Box::new(act::http::Http::default()))));
    acts.insert(ActionKind::Http, Box::new(act::http::Http::default()));
    acts.insert(ActionKind::Render, Box::new(act::render::Render));
    acts.insert(ActionKind::File, Box::new(act::file::File));
    acts.insert(ActionKind::Value, Box::new(act::value::Value));
    acts.insert(ActionKind::Report, Box::new(act::report::Report));
    acts.insert(ActionKind::Git, Box::new(act::git::Git));
    acts.insert(ActionKind::Promql, Box::new(act::promql::Promql::default()));
    acts.insert(ActionKind::Load, Box::new(act::load::Load));
    acts.insert(ActionKind::Net, Box::new(act::net::Net));
    let ask = Box::new(act::http::Http::default());
    acts.insert(ActionKind::Alert, Box::new(act::alert::Alert::new(ask, Arc::new(random))));
    acts.insert(ActionKind::Checklist, Box::new(act::checklist::Checklist));
    acts.insert(ActionKind::Signoff, Box::new(act::signoff::Signoff::new(standings(plan, store))));
    let nested = std::env::var(act::plan::NESTED).unwrap_or_default();
    let mut nested: Vec<String> = nested.lines().map(str::to_owned).collect();
    let own = plan.sources.files.first().and_then(|file| Path::new(&file.path).canonicalize().ok());
    let own = own.map(|path| path.display().to_string()).filter(|path| nested.last() != Some(path));
    nested.extend(own);
    let program = std::env::current_exe()?;
    acts.insert(ActionKind::Plan, Box::new(act::plan::Plan { program, date: today.to_owned(), nested }));
    Ok(acts)
}

/// The world as somebody sees it who runs nothing: no port is picked, no secret is read, no action can be done.
pub(super) fn onlooker(plan: &Plan) -> World {
    World {
        env: inherited_env(),
        now: Arc::new(now),
        start: Instant::now(),
        secrets: plan.secrets.iter().map(|secret| (secret.name.clone(), String::new())).collect(),
        mask: None,
        ports: plan.ports.iter().map(|name| (name.clone(), 0)).collect(),
        acts: BTreeMap::new(),
    }
}

fn inherited_env() -> BTreeMap<String, OsString> {
    std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value))).collect()
}

/// Tells identities and keeps nothing.
pub(super) struct Onlooker;

impl Keeper for Onlooker {
    fn spool(&self, _: u32, _: &str) -> io::Result<PathBuf> {
        Err(io::Error::other("nothing is run"))
    }

    fn place(&self, _: u32, _: &str) -> PathBuf {
        PathBuf::new()
    }

    fn slots(&self) -> PathBuf {
        PathBuf::new()
    }

    fn archive(&self, _: &Path, _: &str) -> Result<(), KeepError> {
        Err(KeepError::File("nothing is kept".to_owned()))
    }

    fn identify(&self, form: ActionForm<'_>) -> io::Result<(String, String)> {
        preimage::action_digest(form).map_err(io::Error::other)
    }

    fn gate(&self, _: &[GateForm]) -> io::Result<String> {
        Err(io::Error::other("nobody is asked"))
    }
}

/// How people stand to a gate of this plan.
fn standings(plan: &Plan, store: &Path) -> act::signoff::Standings {
    let (workspace, store) = (plan.workspace.clone().into_std_path_buf(), store.to_owned());
    let digest = plan_digest(&plan.sources);
    Arc::new(move |policy, gate, evidence| {
        let folder = signoff::gate_folder(&store, gate, evidence);
        let keygen = Keygen::new(false);
        let subject =
            Subject { plan: digest.clone(), evidence: evidence.to_owned(), journal: None, gate: Some(gate.to_owned()) };
        let signers = workspace.join(&policy.signers);
        signoff::standings(
            policy,
            &folder,
            &Check { keygen: &keygen, signers: &signers, subject: &subject, now: now() },
        )
    })
}

/// Values of the declared secrets that are there; the loader has refused those that are needed and are not.
fn secrets(plan: &Plan) -> io::Result<BTreeMap<String, String>> {
    let mut values = secrets_here(plan);
    for secret in &plan.secrets {
        if let SecretSource::Env { random: true, .. } = &secret.source
            && !values.contains_key(&secret.name)
        {
            values.insert(secret.name.clone(), random_text()?);
        }
    }
    Ok(values)
}

/// Values of the declared secrets that are there without making any.
pub(super) fn secrets_here(plan: &Plan) -> BTreeMap<String, String> {
    let mut values = BTreeMap::new();
    for secret in &plan.secrets {
        let value = match &secret.source {
            SecretSource::Env { name, .. } => std::env::var(name).ok(),
            SecretSource::File(path) => {
                let text = std::fs::read_to_string(plan.workspace.join(path));
                text.ok().map(|text| text.trim_end_matches(['\n', '\r']).to_owned())
            }
        };
        if let Some(value) = value {
            values.insert(secret.name.clone(), value);
        }
    }
    values
}

/// 256 random bits in hex.
fn random_text() -> io::Result<String> {
    use std::fmt::Write as _;
    let bytes: [u8; 32] = random()?;
    Ok(bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    }))
}

/// Most ports that are looked through.
const PORTS: u16 = 16_384;

/// A free loopback port for each name. All are bound at once, so that they differ, and then given back: a service of
/// the plan binds its own. Somebody else may take one in between; then that service says so. The system itself does not:
/// they are none of those that it gives to outgoing connections, of which the steps of a plan make many.
fn free_ports(names: &[String]) -> io::Result<BTreeMap<String, u16>> {
    if names.is_empty() {
        return Ok(BTreeMap::new());
    }
    let (first, last) = listening(&std::fs::read_to_string(OUTGOING).unwrap_or_default());
    let many = u32::from(last - first) + 1;
    let start = u32::from(u16::from_le_bytes(random()?));
    let candidates = (0..many).filter_map(|at| u16::try_from(u32::from(first) + (start + at) % many).ok());
    let mut listeners = candidates.filter_map(|port| TcpListener::bind(("127.0.0.1", port)).ok());
    let mut bound = Vec::new();
    for name in names {
        let listener = listeners.next().map_or_else(|| TcpListener::bind(("127.0.0.1", 0)), Ok)?;
        bound.push((name.clone(), listener));
    }
    bound.into_iter().map(|(name, listener)| Ok((name, listener.local_addr()?.port()))).collect()
}

/// The first and the last port that Linux gives to outgoing connections.
const OUTGOING: &str = "/proc/sys/net/ipv4/ip_local_port_range";

/// The first and the last port among which a free one is looked for, by the text of [`OUTGOING`]: those below it or above it,
/// where there are more; any where there are none.
fn listening(outgoing: &str) -> (u16, u16) {
    let mut bounds = outgoing.split_whitespace().filter_map(|text| text.parse::<u16>().ok());
    let (low, high) = bounds.next().zip(bounds.next()).unwrap_or((32_768, 60_999));
    let below = low.saturating_sub(1024).min(PORTS);
    let above = u16::MAX - high;
    match (below, above) {
        (0, 0) => (1024, u16::MAX),
        _ if below >= above => (low - below, low - 1),
        _ => (high + 1, u16::MAX),
    }
}

/// Storage over a run's folder and the store.
pub(super) struct Kept {
    pub(super) store: Rc<Store>,
    pub(super) run: Rc<RunDir>,
}

impl Keeper for Kept {
    fn spool(&self, rank: u32, name: &str) -> io::Result<PathBuf> {
        self.run.step_dir(rank, name).map_err(io::Error::other)
    }

    fn place(&self, rank: u32, name: &str) -> PathBuf {
        self.run.step_path(rank, name)
    }

    fn slots(&self) -> PathBuf {
        self.run.steps()
    }

    fn archive(&self, file: &Path, sha256: &str) -> Result<(), KeepError> {
        match self.store.archive(file, Some(sha256)) {
            Ok(_) => Ok(()),
            // To read the file is the step's part.
            Err(error @ StoreError::Io { doing: "create" | "write", .. }) => {
                Err(KeepError::Store(io::Error::other(error)))
            }
            Err(error) => Err(KeepError::File(error.to_string())),
        }
    }

    fn identify(&self, form: ActionForm<'_>) -> io::Result<(String, String)> {
        preimage::action_digest(form).map_err(io::Error::other)
    }

    fn gate(&self, form: &[GateForm]) -> io::Result<String> {
        let bytes = canonical::to_bytes(&form).map_err(io::Error::other)?;
        Ok(sha256_hex(&bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_ports_are_none_of_those_for_outgoing_connections() {
        assert_eq!(listening("32768\t60999\n"), (16_384, 32_767));
        assert_eq!(listening(""), (16_384, 32_767));
        assert_eq!(listening("1024 60999"), (61_000, 65_535));
        assert_eq!(listening("10000 65535"), (1024, 9_999));
        assert_eq!(listening("1024 65535"), (1024, 65_535));
        let names: Vec<String> = (0..40).map(|at| format!("p{at}")).collect();
        let ports = free_ports(&names).unwrap();
        let outgoing = std::fs::read_to_string(OUTGOING).unwrap_or_default();
        let (first, last) = listening(&outgoing);
        assert!(ports.values().all(|port| (first..=last).contains(port)), "{ports:?}");
        assert_eq!(ports.values().collect::<std::collections::BTreeSet<_>>().len(), 40, "all differ");
        assert!(free_ports(&[]).unwrap().is_empty());
    }
}
