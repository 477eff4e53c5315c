//! S3 in containers, on a real Docker Engine: a private one in namespaces of its own (processes, mounts, network), so
//! that an engine of this machine is not disturbed and nothing outlives the test, whatever ends it. The plan runs in the
//! same network, where it has loopback and nothing else. No registry is asked: the base image is made by the plan's own
//! script, once, and kept under `target/`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::{PLAN, Staging, alerting, canary, missing, security};
use crate::support::{self, Ended, Space};

const COMPOSE: &str = "plans/staging/compose.toml";
const CANARY: &str = "plans/staging/canary.toml";
const FILE: &str = "docker-compose.staging.yml";
const STACK: [&str; 2] = ["--var", "stack=compose"];

/// The steps of the row, in containers.
const STEPS: [&str; 6] = ["compose-tools", "engine", "compose-base", "compose-build", "up-compose", "healthy"];

/// Starts the engine where it sees no file of another one; `$1` is its folder.
const START: &str = r#"
set -eu
mount -t tmpfs tmpfs /run
mkdir "$1/over"
mount -t tmpfs tmpfs "$1/over"
mkdir "$1/over/up" "$1/over/work"
mount -t overlay overlay -o "lowerdir=/etc,upperdir=$1/over/up,workdir=$1/over/work" /etc
PATH=$PATH:/usr/sbin:/sbin
ip link set lo up
exec dockerd --config-file "$1/daemon.json" --data-root "$1/data" -H "unix://$1/sock"
"#;

/// A private Docker Engine; gone with its namespaces when this is dropped.
struct Engine {
    space: Space,
    outer: Child,
}

impl Engine {
    /// None where it can't run.
    fn start() -> Option<Self> {
        let space = Space::new();
        space.write("daemon.json", "{}");
        let log = fs::File::create(space.path().join("log")).expect("a file");
        // It dies with its parent, and all of its process namespace with it.
        let outer = Command::new("setpriv")
            .args([
                "--pdeathsig",
                "KILL",
                "unshare",
                "--mount",
                "--pid",
                "--net",
                "--fork",
                "--kill-child",
                "--mount-proc",
            ])
            .args(["sh", "-c", START, "engine"])
            .arg(space.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file"))
            .stderr(log)
            .spawn();
        let Ok(outer) = outer else { return missing("setpriv, unshare (Debian: apt-get install util-linux)") };
        let mut engine = Self { space, outer };
        let answers = |engine: &Self| engine.docker(&["version"]).status.success();
        let late = Instant::now() + Duration::from_secs(60);
        while !answers(&engine) {
            let ended = engine.outer.try_wait().expect("a child").is_some();
            if ended || Instant::now() > late {
                return missing(&format!("a machine on which a Docker Engine can run:\n{}", engine.space.read("log")));
            }
            sleep(Duration::from_millis(100));
        }
        Some(engine)
    }

    fn host(&self) -> String {
        format!("unix://{}", self.space.path().join("sock").display())
    }

    fn docker(&self, args: &[&str]) -> std::process::Output {
        Command::new("docker").args(args).env("DOCKER_HOST", self.host()).output().expect("docker")
    }

    /// What `docker` says, which must succeed.
    #[track_caller]
    fn said(&self, args: &[&str]) -> String {
        let output = self.docker(args);
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// The plan, to be run in the engine's network.
    fn command(&self, staging: &Staging, args: &[&str]) -> Command {
        let inner = staging.space.command(&[&[PLAN], &STACK[..], args].concat());
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/proc/{}/ns/net", self.outer.id())).arg(inner.get_program()).args(inner.get_args());
        command.current_dir(inner.get_current_dir().expect("the workspace")).stdin(Stdio::null());
        for (name, value) in inner.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn go(&self, staging: &Staging, args: &[&str]) -> Ended {
        support::finish(self.command(staging, args).spawn().expect("it starts"))
    }

    /// Starts the plan, sends a signal when `docker ps` with this option tells so many containers, and waits for the end.
    fn interrupt(&self, staging: &Staging, signal: &str, seen: &str, count: usize) -> Ended {
        let child = self.command(staging, &["smoke"]).spawn().expect("it starts");
        let late = Instant::now() + Duration::from_secs(60);
        while self.said(&["ps", seen]).lines().count() < count {
            assert!(Instant::now() < late, "no container came");
            sleep(Duration::from_millis(20));
        }
        let sent = Command::new("kill").args([signal, &child.id().to_string()]).status();
        assert!(sent.expect("kill").success());
        support::finish(child)
    }

    /// Asserts that no container and no network of the stack is there.
    #[track_caller]
    fn is_empty(&self) {
        assert_eq!(self.said(&["ps", "-aq"]), "", "containers");
        assert_eq!(self.said(&["network", "ls", "-q", "--filter", "type=custom"]), "", "networks");
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // Gently first: a container that is removed takes its control groups along.
        let left = self.docker(&["ps", "-aq"]).stdout;
        let left = String::from_utf8_lossy(&left).into_owned();
        if !left.trim().is_empty() {
            self.docker(&[&["rm", "--force"][..], &left.split_whitespace().collect::<Vec<_>>()].concat());
        }
        // The first process of the namespace, which `unshare` waits for; `unshare` itself if that can't be told.
        let id = self.outer.id();
        let first = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
        let killed = Command::new("kill").arg("-KILL").args(first.split_whitespace()).stderr(Stdio::null()).status();
        if !killed.is_ok_and(|status| status.success()) {
            let _ = self.outer.kill();
        }
        let _ = self.outer.wait();
        // The kernel ends the rest of the namespace in its own time; then the folder can go.
        let late = Instant::now() + Duration::from_secs(10);
        while fs::remove_dir_all(self.space.path().join("data"))
            .is_err_and(|e| e.kind() != std::io::ErrorKind::NotFound)
            && Instant::now() < late
        {
            sleep(Duration::from_millis(50));
        }
    }
}

fn programs() -> Option<()> {
    for (program, package) in [
        ("docker", "docker.io"),
        ("dockerd", "docker.io"),
        ("docker-compose", "docker-compose"),
        ("debootstrap", "debootstrap"),
        ("iptables", "iptables"),
        ("ip", "iproute2"),
        ("nsenter", "util-linux"),
    ] {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut places = std::env::split_paths(&path).chain(["/usr/sbin", "/sbin"].map(PathBuf::from));
        if !places.any(|place| place.join(program).exists()) {
            return missing(&format!("{program} (Debian: apt-get install {package})"));
        }
    }
    Some(())
}

/// Looks at the health of the containers as often as a test wants to wait for it.
fn quick(staging: &Staging) -> &Staging {
    staging.restore_app(FILE).edit_app(FILE, "interval: 2s", "interval: 500ms")
}

/// Engine and plan, the base image made.
fn prepare() -> Option<(Engine, Staging)> {
    programs()?;
    let id = Command::new("id").arg("-u").output().expect("id");
    if id.stdout != b"0\n" {
        return missing("root, which a private Docker Engine needs");
    }
    let staging = Staging::new()?;
    let engine = Engine::start()?;
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("compose-base.tar");
    let staging = staging.env("DOCKER_HOST", &engine.host()).env("HOTEL_BASE_ROOT", &root.display().to_string());
    // In the network of this machine: the package mirror is asked the first time, by one of the tests.
    let lock = fs::File::create(root.with_extension("lock")).expect("a file");
    lock.lock().expect("a lock");
    let _ = staging.go(&[&STACK[..], &["compose-base"]].concat()).code(0);
    drop(lock);
    // And no command of the page asks a package index.
    let section = "## Optional NLP install\n\n```sh\nexport HOTEL_SPACY_MODEL=xx\nsh --version\n```\n";
    fs::write(staging.app("docs/NLP.md"), section).expect("a written file");
    let _ = quick(&staging);
    Some((engine, staging))
}

#[test]
fn s3_the_whole_plan_in_containers() {
    if canary::tools().is_none() || alerting::staging().is_none() || security::with_proxy().is_none() {
        return;
    }
    let Some((engine, staging)) = prepare() else { return };
    // As it is in the repository, but for the canary: other tests keep this machine busy, and it has twins of its own.
    staging.restore_app(FILE).edit(CANARY, "<= baseline + 10%", "<= baseline + 100%");
    let _ = engine.go(&staging, &[]).code(3).says("HOLD  3 holds, risk 0").says("the sign-off of `Ops/SRE` is missing");
    staging.blames(&[]);
    for step in STEPS.iter().chain(&["env-file", "ready", "smoke", "metrics", "security-headers", "compose-down"]) {
        assert_eq!(staging.committed(step)["state"], "pass", "{step}");
    }
    assert_eq!(staging.committed("up-local")["state"], "skipped");
    engine.is_empty();
}

#[test]
fn s3_what_is_broken_in_containers_is_named_and_nothing_is_left() {
    let Some((engine, staging)) = prepare() else { return };
    let first = engine.go(&staging, &["smoke"]).code(0);
    engine.is_empty();
    // Killed with all its containers up: the next run takes over what is left, and ends as if nothing had been.
    let _ = engine.interrupt(&staging, "-KILL", "-q", 2).code(137);
    assert_ne!(engine.said(&["ps", "-aq"]), "", "that run took nothing down");
    let again = engine.go(&staging, &["smoke"]).code(0);
    assert_eq!(first.record_id(), again.record_id(), "ports, versions and identifiers are no part of the record");
    engine.is_empty();
    // Ctrl-C while they are started.
    let _ = engine.interrupt(&staging, "-INT", "-aq", 1).code(130);
    engine.is_empty();

    // The service is up and never ready, as it asks a PMS that is not there.
    staging.edit_app(FILE, "http://pms:8090", "http://pms:8099");
    staging.edit_app(FILE, "retries: 15", "retries: 2");
    staging.edit(COMPOSE, "within = \"60s\"", "within = \"4s\"");
    let _ = engine
        .go(&staging, &["smoke"])
        .code(1)
        .says("1 of 2 not: \"app unhealthy\"")
        .says("app is unhealthy; its health check said last: 503 {")
        .says("blocked   ready, smoke");
    quick(&staging).blames(&[("healthy", "fail", "criteria")]).restore(COMPOSE);
    engine.is_empty();

    // The port is somebody else's by the time it is published.
    staging.edit_app(FILE, "profiles: [pms]", "profiles: [pms]\n    ports: [\"127.0.0.1:${HOTEL_PORT:-8080}:8090\"]");
    let _ =
        engine.go(&staging, &["smoke"]).code(1).says(" of this machine is taken; HOTEL_PORT").says("blocked   healthy");
    quick(&staging).blames(&[("up-compose", "fail", "criteria")]);
    engine.is_empty();

    // A service that does not start.
    staging.append_app("app/server.py", "\nraise RuntimeError('no room in the lobby')\n");
    staging.edit(COMPOSE, "within = \"60s\"", "within = \"3s\"");
    let _ = engine.go(&staging, &["smoke"]).code(1).says("RuntimeError: no room in the lobby");
    staging.blames(&[("healthy", "fail", "criteria")]).restore_app("app/server.py").restore(COMPOSE);
    engine.is_empty();

    // A stack of that name which is not ours stays as it is.
    let project = "com.docker.compose.project";
    let (name, home) = (format!("{project}=hotel-staging"), format!("{project}.working_dir=/srv/other"));
    let theirs = engine.said(&["create", "--label", &name, "--label", &home, "hotel-agent:staging"]);
    let _ = engine
        .go(&staging, &["smoke"])
        .code(1)
        .says("there is a Compose project hotel-staging already, started from /srv/other")
        .says("--var compose_project=NAME");
    staging.blames(&[("engine", "fail", "criteria")]);
    let _ = engine.go(&staging, &["up-compose", "--var", "compose_project=mine"]).code(0);
    assert_eq!(engine.said(&["ps", "-aq", "--no-trunc"]), theirs);
}

#[test]
fn s3_an_engine_that_does_not_run_is_named() {
    let Some(()) = programs() else { return };
    let Some(staging) = Staging::bare() else { return };
    let staging = staging.env("DOCKER_HOST", "unix:///nowhere/docker.sock");
    let _ = staging
        .go(&[&STACK[..], &["smoke"]].concat())
        .code(1)
        .says("the Docker Engine does not answer")
        .says("unix:///nowhere/docker.sock")
        .says("sudo systemctl start docker")
        .says("blocked   compose-base");
    staging.blames(&[("engine", "fail", "criteria")]);
}
