//! `runplan serve`: the pages of past runs and of the one that goes on, for a browser on this machine. Reads the run log,
//! starts no step and writes nothing.

use std::net::{Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Map, Value as Json, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::cli::Serve;
use crate::exit::Exit;
use crate::listen::door::{Door, Entry, guarded};
use crate::listen::{self, Answer, Asked, Body, Limits};
use crate::page::{self, Mode};
use crate::record::journal;
use crate::record::store::{self, Store};
use crate::report::format;
use crate::report::terminal::{Stream, Terminal};

use super::past::{self, Fault, wrong};
use super::{history, log, page as pages, world};

const LIMITS: Limits = Limits { connections: 64, connection: None, silence: Duration::from_secs(10) };
/// How often the journal of a run that goes on is looked at.
const LOOK: Duration = Duration::from_millis(150);
/// So many looks without news, and the browser is told that there is somebody: who is gone is noticed by that.
const QUIET: u32 = 60;
/// A browser that takes nothing for so long is given up.
const PATIENCE: Duration = Duration::from_secs(30);
/// Runs of the list.
const RUNS: usize = 200;

/// What is served.
struct Site {
    door: Door,
    /// The folder with `.runplan`.
    home: PathBuf,
}

pub(super) fn serve(ask: &Serve, terminal: &Terminal) -> Exit {
    let home = match &ask.log_dir {
        Some(folder) => std::path::absolute(folder).map_err(|error| wrong(format!("`{folder}`: {error}"))),
        None => past::workspace().map_err(|_| {
            wrong(
                "no `.runplan` here or above; run a plan first, or name the folder that gets it: `--log-dir .`"
                    .to_owned(),
            )
        }),
    };
    match home.and_then(|home| going(&home, ask.port, terminal)) {
        Ok(()) => Exit::Done,
        Err(fault) => log::refused(terminal, &fault),
    }
}

fn going(home: &Path, port: u16, terminal: &Terminal) -> Result<(), Fault> {
    if !home.is_dir() {
        return Err(wrong(format!("`{}` is no folder", home.display())));
    }
    // Of a folder that has no log yet the first run is waited for.
    let has_log = std::fs::symlink_metadata(home.join(store::FOLDER).join("runs")).is_ok();
    let runs = Store::reader(home).and_then(|store| store.runs());
    let runs = if has_log { runs.map_err(|error| wrong(error.to_string()))?.len() } else { 0 };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(4).build();
    let runtime = runtime.map_err(|error| wrong(format!("no runtime: {error}")))?;
    let token = world::random::<32>().map_err(|error| wrong(format!("no random bytes: {error}")))?;
    let token = token.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
    let served = runtime.block_on(async {
        let listeners = bound(port).await?;
        let port = listeners[0].local_addr().map_err(|error| wrong(error.to_string()))?.port();
        let site = Arc::new(Site { door: Door::new(port, token), home: home.to_owned() });
        let mut tasks = JoinSet::new();
        for listener in listeners {
            let site = Arc::clone(&site);
            tasks.spawn(listen::accept(listener, LIMITS, move |stream| {
                let site = Arc::clone(&site);
                listen::http(stream, LIMITS, move |asked| {
                    let site = Arc::clone(&site);
                    async move { site.answer(&asked).await }
                })
            }));
        }
        // From here on nobody who was told the address is turned away.
        let mut ends = Ends::new().map_err(|error| wrong(format!("signals: {error}")))?;
        terminal.write(Stream::Out, &format!("{}\n", site.door.address()));
        let many = format::count(runs, "run");
        let text = format!("runplan: {many} of `{}`, for this machine only; Ctrl-C ends it\n", home.display());
        terminal.write(Stream::Err, &text);
        ends.next().await;
        Ok(())
    });
    // A page that is just being gathered need not be waited for.
    runtime.shutdown_timeout(Duration::from_millis(200));
    served
}

/// The loopback addresses, and never another one: that of IPv4, and where there is one that of IPv6.
async fn bound(port: u16) -> Result<Vec<TcpListener>, Fault> {
    let mut first = listen::anywhere();
    first.set_port(port);
    let told = |error: std::io::Error| wrong(format!("port {port} can't be had: {error}"));
    let listener = TcpListener::bind(first).await.map_err(told)?;
    let port = listener.local_addr().map_err(told)?.port();
    let mut listeners = vec![listener];
    listeners.extend(TcpListener::bind(SocketAddr::from((Ipv6Addr::LOCALHOST, port))).await.ok());
    Ok(listeners)
}

/// What ends it.
struct Ends {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    hangup: tokio::signal::unix::Signal,
}

impl Ends {
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hangup.recv() => {}
        }
    }
}

impl Site {
    async fn answer(self: &Arc<Self>, asked: &Asked) -> Answer {
        if let Entry::Answered(answer) = self.door.entry(asked) {
            return answer;
        }
        let parts: Vec<&str> = asked.path.trim_start_matches('/').split('/').collect();
        match parts.as_slice() {
            [""] => self.page(Site::runs_page).await,
            ["events"] => self.events(asked, Site::runs_news),
            ["run", "latest"] => match self.newest() {
                Some(id) => {
                    let headers = vec![("location", format!("/run/{id}"))];
                    guarded(Answer { status: 303, headers, body: Body::Whole(Vec::new()) }, "")
                }
                None => nothing("no run yet\n"),
            },
            ["run", id] => match self.run(id) {
                Some(id) => self.page(move |site| site.run_page(&id)).await,
                None => nothing("no such run\n"),
            },
            ["run", id, "events"] => match self.run(id) {
                Some(id) => self.events(asked, move |site, sender| site.run_news(id, sender)),
                None => nothing("no such run\n"),
            },
            _ => nothing("nothing here\n"),
        }
    }

    fn store(&self) -> Option<Store> {
        Store::reader(&self.home).ok()
    }

    /// A run by its id: what a browser says is only looked up, never taken for a path.
    fn run(&self, asked: &str) -> Option<String> {
        self.store()?.runs().ok()?.into_iter().find(|id| id == asked)
    }

    fn newest(&self) -> Option<String> {
        self.store()?.runs().ok()?.pop()
    }

    /// A page is gathered beside the loop, which goes on for everybody else.
    async fn page(
        self: &Arc<Self>,
        made: impl FnOnce(&Site) -> Result<(String, String), Fault> + Send + 'static,
    ) -> Answer {
        let site = Arc::clone(self);
        match tokio::task::spawn_blocking(move || made(&site)).await {
            Ok(Ok((html, policy))) => {
                let headers = vec![("content-type", "text/html; charset=utf-8".to_owned())];
                guarded(Answer { status: 200, headers, body: Body::Whole(html.into_bytes()) }, &policy)
            }
            Ok(Err(fault)) => guarded(Answer::text(500, &format!("{}\n", fault.text)), ""),
            Err(_) => guarded(Answer::text(500, "it could not be made\n"), ""),
        }
    }

    fn run_page(&self, id: &str) -> Result<(String, String), Fault> {
        let gathered = self.gathered(id)?;
        Ok((gathered.html(&gathered.picture, Mode::Served), page::policy(Mode::Served)))
    }

    fn gathered(&self, id: &str) -> Result<pages::Gathered, Fault> {
        let dir = self.store().ok_or_else(|| wrong("no run log".to_owned()))?.run_path(id);
        pages::of_run(&log::open(&dir.display().to_string())?)
    }

    #[expect(clippy::unnecessary_wraps, reason = "as the other pages")]
    fn runs_page(&self) -> Result<(String, String), Fault> {
        Ok((page::runs(&self.runs()), page::runs_policy()))
    }

    /// The list, newest first.
    fn runs(&self) -> Json {
        let Some(store) = self.store() else { return json!({ "runs": [] }) };
        let mut ids = store.runs().unwrap_or_default();
        let all = ids.len();
        let ids = ids.split_off(all.saturating_sub(RUNS));
        let known = history::known(&store, &ids);
        let run = |id: &String| match known.index.get(id) {
            Some(line) => Some(history::finished(&store, line)),
            None => history::unfinished(&store, id).map(|(_, run)| run),
        };
        let line = |run: crate::report::history::Run| json!({ "run": run.id, "at": run.at, "plan": run.plan, "end": run.end, "risk": run.risk, "took_ns": run.took_ns });
        let runs: Vec<Json> = ids.iter().rev().filter_map(run).map(line).collect();
        json!({ "schema": "runplan.runs/1", "folder": self.home.display().to_string(), "all": all, "runs": runs })
    }

    fn events<F>(self: &Arc<Self>, asked: &Asked, news: impl FnOnce(Arc<Self>, mpsc::Sender<Vec<u8>>) -> F) -> Answer
    where
        F: Future<Output = ()> + Send + 'static,
    {
        // One piece of news waits at most: who is slow gets the next one later, and then what changed since.
        let (sender, receiver) = mpsc::channel(1);
        if asked.method == "GET" {
            tokio::spawn(news(Arc::clone(self), sender));
        }
        let headers = vec![("content-type", "text/event-stream".to_owned())];
        guarded(Answer { status: 200, headers, body: Body::Stream(receiver) }, "")
    }

    /// The list whenever it changes.
    async fn runs_news(self: Arc<Self>, sender: mpsc::Sender<Vec<u8>>) {
        let mut told = Json::Null;
        let mut quiet = 0;
        loop {
            let began = Instant::now();
            let site = Arc::clone(&self);
            let Ok(runs) = tokio::task::spawn_blocking(move || site.runs()).await else { return };
            let news = (runs != told).then(|| event("runs", &runs));
            told = runs;
            if !passed_on(&sender, news, &mut quiet).await {
                return;
            }
            tokio::time::sleep(pause(began.elapsed()).max(2 * LOOK)).await;
        }
    }

    /// What changes on the page of a run, until it ends.
    async fn run_news(self: Arc<Self>, id: String, sender: mpsc::Sender<Vec<u8>>) {
        let mut told = Json::Null;
        let mut seen = Seen::default();
        let mut quiet = 0;
        loop {
            let began = Instant::now();
            let (site, of) = (Arc::clone(&self), id.clone());
            let looked = tokio::task::spawn_blocking(move || site.look(&of, seen)).await;
            let Ok((now, found)) = looked else { return };
            seen = now;
            let (mut news, mut over) = (None, false);
            if let Some(data) = found {
                news = changes(&told, &data).map(|changes| event("page", &changes));
                over = data["run"]["end"] != "running";
                told = data;
            }
            if !passed_on(&sender, news, &mut quiet).await {
                return;
            }
            if over {
                let _ = passed_on(&sender, Some(event("end", &json!({}))), &mut quiet).await;
                return;
            }
            tokio::time::sleep(pause(began.elapsed())).await;
        }
    }

    /// What of a run was seen, and the data of the page if there is more to see or the engine is gone.
    fn look(&self, id: &str, seen: Seen) -> (Seen, Option<Json>) {
        let Some(store) = self.store() else { return (seen, None) };
        let live = store.is_live(id).unwrap_or(false);
        let journal = store.run_path(id).join(journal::FILE_NAME);
        let now =
            seen.watch.iter().chain([&journal]).map(|file| std::fs::metadata(file).map_or(0, |there| there.len()));
        let size = Some(now.sum());
        if live && seen.size == size {
            return (seen, None);
        }
        match self.gathered(id) {
            Ok(gathered) => (Seen { size, watch: gathered.watch }, Some(gathered.data)),
            // A log that can't be read at this moment is read at the next.
            Err(_) => (seen, None),
        }
    }
}

/// How much of a run was seen.
#[derive(Default)]
struct Seen {
    /// Bytes of the journal and of what is watched.
    size: Option<u64>,
    /// What the steps that are going on write to.
    watch: Vec<PathBuf>,
}

/// Whoever costs much is asked less often.
fn pause(cost: Duration) -> Duration {
    LOOK.max(3 * cost)
}

fn nothing(text: &str) -> Answer {
    guarded(Answer::text(404, text), "")
}

fn event(name: &str, data: &Json) -> Vec<u8> {
    format!("event: {name}\ndata: {data}\n\n").into_bytes()
}

/// Hands news on, or now and then a sign that there are none; `false` if nobody takes them any more.
async fn passed_on(sender: &mpsc::Sender<Vec<u8>>, news: Option<Vec<u8>>, quiet: &mut u32) -> bool {
    *quiet += 1;
    let bytes = match news {
        Some(news) => news,
        None if *quiet < QUIET => return !sender.is_closed(),
        None => b": nothing new\n\n".to_vec(),
    };
    *quiet = 0;
    matches!(tokio::time::timeout(PATIENCE, sender.send(bytes)).await, Ok(Ok(())))
}

/// What of a page is otherwise now: whole members, of `steps` only those that changed, each with its place; none if
/// nothing is.
fn changes(before: &Json, now: &Json) -> Option<Json> {
    let mut changes = Map::new();
    for (name, value) in now.as_object()? {
        if before.get(name) == Some(value) {
            continue;
        }
        let Some(steps) = value.as_array().filter(|_| name == "steps") else {
            changes.insert(name.clone(), value.clone());
            continue;
        };
        let old = before.get(name).and_then(Json::as_array);
        let changed = steps.iter().enumerate().filter(|(at, step)| old.and_then(|old| old.get(*at)) != Some(step));
        changes.insert(name.clone(), changed.map(|(at, step)| json!([at, step])).collect());
    }
    (!changes.is_empty()).then_some(Json::Object(changes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_changed_is_told() {
        let before = json!({ "run": { "took_ns": 1 }, "title": "t", "steps": [{ "a": 1 }, { "b": 1 }] });
        let now = json!({ "run": { "took_ns": 2 }, "title": "t", "steps": [{ "a": 1 }, { "b": 2 }] });
        assert_eq!(changes(&before, &before), None);
        assert_eq!(changes(&before, &now), Some(json!({ "run": { "took_ns": 2 }, "steps": [[1, { "b": 2 }]] })));
        let all = changes(&Json::Null, &now).unwrap();
        assert_eq!((all["title"].clone(), all["steps"][0][0].clone()), (json!("t"), json!(0)));
        assert_eq!(event("end", &json!({})), b"event: end\ndata: {}\n\n");
    }
}
