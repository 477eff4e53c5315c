//! `run`: a process from start to end, and what it said. Knows no criteria: whether an exit code is good is not decided here.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Signal;
use tokio::time::Instant;

use super::process::{Ended, Fault, Process, spoken};
use super::slots::STREAMS;
use super::{Act, ActError, Lent, Look, Observation, Request, Stop};
use crate::action::{Action, Parse, RunSpec};
use crate::facts::{Facts, Value};
use crate::outcome::{Cause, Exit, Note};

/// The most output that is taken as a fact.
const JUDGED: u64 = 16 * 1024 * 1024;

/// Runs a process.
#[derive(Clone, Copy, Debug, Default)]
pub struct Run;

impl Act for Run {
    fn look<'a>(&'a self, request: &'a Request, lent: &'a Lent) -> Look<'a> {
        Box::pin(async move {
            match &request.action {
                Action::Run(spec) => look(request, spec, lent).await,
                _ => Err(ActError::new(Cause::ActionError, "not a `run`")),
            }
        })
    }
}

/// Why a process was ended by us.
enum Ending {
    Deadline(Duration),
    Asked(Stop),
}

async fn look(request: &Request, spec: &RunSpec, lent: &Lent) -> Result<Observation, ActError> {
    let began = Instant::now();
    let mut process = Process::start(request, &spec.command, lent).await?;
    let ending = watch(&mut process, request.deadline, began).await;
    let (ended, detail) = match ending {
        None => {
            let duration = began.elapsed();
            let ended = process.finish().await;
            let mut facts = basic(&ended.exit, duration);
            return match observe(request, spec, &ended, &mut facts) {
                Ok(()) => Ok(observation(facts, ended)),
                Err(detail) => Err(error((Cause::ActionError, detail), facts, ended)),
            };
        }
        Some(Ending::Deadline(limit)) => {
            let (ended, signal) = process.end(Signal::TERM, request.grace).await;
            let limit = request.timeout.unwrap_or(limit);
            (ended, (Cause::Timeout, format!("ran longer than {}; ended by {signal}", spoken(limit))))
        }
        Some(Ending::Asked(stop)) => {
            let signal = if stop == Stop::Kill { Signal::KILL } else { Signal::TERM };
            let (ended, signal) = process.end(signal, request.grace).await;
            let how = match &ended.exit {
                Exit::Code(code) => format!("ended with exit code {code} after {signal}"),
                Exit::Signal(_) => format!("ended by {signal}"),
            };
            (ended, (Cause::Interrupted, format!("interrupted; {how}")))
        }
    };
    let facts = basic(&ended.exit, began.elapsed());
    Err(error(detail, facts, ended))
}

/// Waits for the leader to end; `Some` if we have to end it instead.
async fn watch(process: &mut Process, deadline: Option<Instant>, began: Instant) -> Option<Ending> {
    let limit = async {
        match deadline {
            Some(deadline) => tokio::time::sleep_until(deadline).await,
            None => std::future::pending().await,
        }
    };
    let stop = process.stop_asked();
    tokio::select! {
        biased;
        () = process.exited() => None,
        stop = stop => Some(Ending::Asked(stop)),
        () = limit => Some(Ending::Deadline(deadline.map_or(Duration::ZERO, |at| at.saturating_duration_since(began)))),
    }
}

fn error((cause, detail): Fault, facts: Facts, ended: Ended) -> ActError {
    let output_bytes = ended.output_bytes();
    ActError { cause, detail, exit: Some(ended.exit), facts, output_bytes, notes: ended.notes }
}

/// The facts that every process has.
fn basic(exit: &Exit, duration: Duration) -> Facts {
    let (code, signal) = match exit {
        Exit::Code(code) => (Value::int(*code), Value::Null),
        Exit::Signal(name) => (Value::Null, Value::text(name)),
    };
    let mut facts = Facts::about(1, "process");
    facts.set("exit", code);
    facts.set("signal", signal);
    facts.set("duration", Value::time(duration));
    facts
}

fn observation(facts: Facts, ended: Ended) -> Observation {
    let output_bytes = ended.output_bytes();
    let Ended { exit, notes, .. } = ended;
    Observation { facts, exit: Some(exit), output_bytes, notes, held: None }
}

/// Adds the facts that come from the output.
fn observe(request: &Request, spec: &RunSpec, ended: &Ended, facts: &mut Facts) -> Result<(), String> {
    if let Some(unstored) = &ended.unstored {
        return Err(unstored.clone());
    }
    if request.wants.contains("leaked") {
        let survived = |note: &Note| matches!(note.code.as_str(), "leaked_handles" | "left_running");
        facts.set("leaked", Value::Bool(ended.notes.iter().any(survived)));
    }
    said(request, spec, (&ended.files, &ended.sizes), facts, ended.exit == Exit::Code(0)).map_err(|detail| match &ended
        .exit
    {
        // What went wrong first is usually what matters.
        Exit::Code(0) => detail,
        Exit::Code(code) => format!("{detail}; the process ended with exit code {code}"),
        Exit::Signal(name) => format!("{detail}; the process was ended by {name}"),
    })
}

/// Adds what was said, as far as it is wanted. Of a process that failed no JSON is expected: its exit code is the story.
fn said(
    request: &Request,
    spec: &RunSpec,
    (files, sizes): (&[PathBuf; 2], &[u64; 2]),
    facts: &mut Facts,
    well: bool,
) -> Result<(), String> {
    let wants = |name: &str| request.wants.contains(name);
    let parse = spec.parse.or(wants("json").then_some(Parse::Json));
    for ((stream, file), size) in STREAMS.iter().zip(files).zip(sizes) {
        let lines = format!("lines({stream})");
        let json = parse.filter(|_| *stream == "stdout");
        if !wants(stream) && !wants(&lines) && json.is_none() {
            continue;
        }
        // What is empty may have no file.
        let bytes = if *size == 0 { Vec::new() } else { read(file, stream)? };
        if let Some(parse) = json {
            match parsed(&bytes, parse) {
                Ok(json) => facts.set("json", Value::Json(json)),
                Err(_) if !well => {}
                Err(detail) => return Err(detail),
            }
        }
        let text = String::from_utf8_lossy(&bytes);
        if wants(&lines) {
            facts.set(lines, Value::List(text.lines().map(Value::text).collect()));
        }
        if wants(stream) {
            facts.set(*stream, Value::Text(text.into_owned()));
        }
    }
    Ok(())
}

fn read(path: &Path, stream: &str) -> Result<Vec<u8>, String> {
    let open = || -> io::Result<(File, u64)> {
        let file = File::open(path)?;
        let size = file.metadata()?.len();
        Ok((file, size))
    };
    let failed = |error: io::Error| format!("{stream} could not be read back: {error}");
    let (file, size) = open().map_err(failed)?;
    if size > JUDGED {
        return Err(format!("{stream} is {}; at most 16 MiB can be judged", sized(size)));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
    file.take(JUDGED).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

/// `1.0 GiB`, cut, not rounded.
fn sized(bytes: u64) -> String {
    let (unit, shift) = if bytes >= 1 << 30 { ("GiB", 30) } else { ("MiB", 20) };
    let tenths = (u128::from(bytes) * 10) >> shift;
    format!("{}.{} {unit}", tenths / 10, tenths % 10)
}

fn parsed(bytes: &[u8], parse: Parse) -> Result<serde_json::Value, String> {
    match parse {
        Parse::Json => serde_json::from_slice(bytes).map_err(|error| malformed(&error, 0)),
        Parse::Jsonl => bytes
            .split(|&byte| byte == b'\n')
            .enumerate()
            .filter(|(_, line)| !line.trim_ascii().is_empty())
            .map(|(above, line)| serde_json::from_slice(line).map_err(|error| malformed(&error, above)))
            .collect::<Result<Vec<_>, _>>()
            .map(serde_json::Value::Array),
    }
}

fn malformed(error: &serde_json::Error, above: usize) -> String {
    let text = error.to_string();
    let what = text.split(" at line ").next().unwrap_or(&text);
    format!("stdout is not JSON: {what}, line {} column {}", above + error.line(), error.column())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::sync::Arc;

    use super::super::testing::{Bench, block_on, until};
    use super::super::{Input, contain};
    use super::*;
    use crate::mask::Mask;

    fn run(bench: &Bench, request: &Request) -> Result<Observation, Box<ActError>> {
        block_on(Run.look(request, &bench.lent())).map_err(Box::new)
    }

    fn ran(bench: &Bench, request: &Request) -> Observation {
        run(bench, request).unwrap_or_else(|error| panic!("{}", error.detail))
    }

    fn failed(bench: &Bench, request: &Request) -> Box<ActError> {
        run(bench, request).map(|_| ()).expect_err("it should have failed")
    }

    fn codes(notes: &[Note]) -> Vec<&str> {
        notes.iter().map(|note| note.code.as_str()).collect()
    }

    fn script(bench: &Bench, text: &str, mode: u32) {
        let file = bench.dir.path().join("script");
        std::fs::write(&file, text).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn exit_codes_and_signals_are_different_things() {
        let bench = Bench::new();
        for (text, exit, code, signal) in [
            ("exit 0", Exit::Code(0), Value::int(0), Value::Null),
            ("exit 137", Exit::Code(137), Value::int(137), Value::Null),
            ("kill -KILL $$", Exit::Signal("SIGKILL".into()), Value::Null, Value::text("SIGKILL")),
            ("kill -SEGV $$", Exit::Signal("SIGSEGV".into()), Value::Null, Value::text("SIGSEGV")),
        ] {
            let seen = ran(&bench, &bench.shell(text));
            assert_eq!((seen.exit, &seen.facts.values["exit"]), (Some(exit), &code), "{text}");
            assert_eq!(seen.facts.values["signal"], signal, "{text}");
            assert_eq!((seen.facts.inspected.count, seen.notes.len()), (1, 0), "{text}");
            assert!(matches!(seen.facts.values["duration"], Value::Num(n, crate::facts::Unit::Time) if n.num > 0));
        }
        assert_eq!(bench.spawned.lock().unwrap().len(), 4);
    }

    #[test]
    fn output_is_kept_per_stream_and_made_a_fact_only_if_wanted() {
        let bench = Bench::new();
        let mut request = bench.shell("printf 'a\\nb\\377\\n'; echo err >&2");
        let seen = ran(&bench, &request);
        assert!(!seen.facts.values.contains_key("stdout"));
        assert_eq!(seen.output_bytes, 9);
        assert_eq!(std::fs::read(bench.spool("stdout")).unwrap(), b"a\nb\xff\n");
        assert_eq!(bench.read("stderr"), "err\n");
        assert_eq!(std::fs::metadata(bench.spool("stdout")).unwrap().permissions().mode() & 0o777, 0o600);
        request.wants = ["stdout", "stderr", "lines(stdout)"].map(String::from).into();
        request.attempt = 2;
        let seen = ran(&bench, &request);
        assert_eq!(seen.facts.values["stdout"], Value::text("a\nb\u{fffd}\n"));
        assert_eq!(seen.facts.values["stderr"], Value::text("err\n"));
        let lines = Value::List(vec![Value::text("a"), Value::text("b\u{fffd}")]);
        assert_eq!(seen.facts.values["lines(stdout)"], lines);
        assert_eq!(bench.read("2.stderr"), "err\n");
    }

    #[test]
    fn a_child_gets_exactly_its_environment_folder_and_input() {
        let bench = Bench::new();
        let mut request = bench.argv(&["env"]);
        request.env.push(("GREETING".into(), "hello world".into()));
        ran(&bench, &request);
        let path = std::env::var("PATH").unwrap();
        let mut lines: Vec<String> = bench.read("stdout").lines().map(String::from).collect();
        lines.sort();
        let mark = format!("{}={}", contain::MARK, request.mark);
        assert_eq!(lines, ["GREETING=hello world".to_owned(), format!("PATH={path}"), mark]);

        ran(&bench, &bench.argv(&["pwd", "-P"]));
        let folder = bench.dir.path().canonicalize().unwrap();
        assert_eq!(bench.read("stdout").trim_end(), folder.to_str().unwrap());

        let mut request = bench.argv(&["cat"]);
        ran(&bench, &request);
        assert_eq!(bench.read("stdout"), "");
        let long = "x".repeat(1 << 20);
        request.stdin = Input::Bytes(long.clone().into_bytes());
        ran(&bench, &request);
        assert_eq!(bench.read("stdout"), long);
        assert!(!bench.spool("stdin").exists(), "input may be secret and is never stored");
        script(&bench, "from a file", 0o600);
        request.stdin = Input::File(bench.dir.path().join("script"));
        ran(&bench, &request);
        assert_eq!(bench.read("stdout"), "from a file");
        request.stdin = Input::File(bench.dir.path().join("missing"));
        assert!(failed(&bench, &request).detail.contains("missing`: No such file"));
    }

    #[test]
    fn arguments_reach_the_program_as_they_are() {
        let bench = Bench::new();
        ran(&bench, &bench.argv(&["printf", "%s|", "a b", "$HOME", "*", ""]));
        assert_eq!(bench.read("stdout"), "a b|$HOME|*||");
        let error = failed(&bench, &bench.argv(&["echo", "a\0b"]));
        assert!(error.detail.contains("NUL byte"), "{}", error.detail);
    }

    #[test]
    fn a_child_starts_with_default_signals_in_its_own_group() {
        let bench = Bench::new();
        ran(&bench, &bench.argv(&["grep", "^SigIgn", "/proc/self/status"]));
        let ignored = u64::from_str_radix(bench.read("stdout").split_whitespace().last().unwrap(), 16).unwrap();
        let pipe_and_xfsz = (1 << 12) | (1 << 24);
        assert_eq!(ignored & pipe_and_xfsz, 0);
        ran(&bench, &bench.argv(&["cut", "-d ", "-f1,5", "/proc/self/stat"]));
        let ids = bench.read("stdout");
        let (pid, group) = ids.trim_end().split_once(' ').unwrap();
        assert_eq!(pid, group);
    }

    #[test]
    fn programs_that_cannot_be_started_are_explained() {
        let bench = Bench::new();
        let mut missing = bench.argv(&["dokcer", "ps"]);
        missing.env = vec![("PATH".into(), "/usr/bin:/bin".into())];
        let error = failed(&bench, &missing);
        assert_eq!(error.cause, Cause::SpawnFailed);
        assert_eq!(error.detail, "`dokcer` was not found in PATH (/usr/bin:/bin); is it installed?");
        std::fs::create_dir(bench.dir.path().join("folder")).unwrap();
        for (text, mode, argv, part) in [
            ("#!/bin/sh\n", 0o644, "./script", "`./script` is not executable; `chmod +x"),
            ("#!/bin/sh\r\n", 0o755, "./script", "`./script` has Windows line ends"),
            (
                "#!/no/such/python\n",
                0o755,
                "./script",
                "the interpreter of `./script`, `/no/such/python`, was not found",
            ),
            ("echo no interpreter\n", 0o755, "./script", "a script needs a `#!` line"),
            ("", 0o755, "./missing", "`./missing` does not exist"),
            ("", 0o755, "./folder", "`./folder` is a folder, not a program"),
        ] {
            script(&bench, text, mode);
            let error = failed(&bench, &bench.argv(&[argv]));
            assert_eq!(error.cause, Cause::SpawnFailed, "{argv}");
            assert!(error.detail.contains(part), "{} lacks {part}", error.detail);
        }
        let mut request = bench.shell("true");
        request.cwd.push("nowhere");
        let error = failed(&bench, &request);
        assert!(error.detail.contains("nowhere` does not exist"), "{}", error.detail);
        assert!(bench.spawned.lock().unwrap().is_empty());
    }

    #[test]
    fn a_program_that_is_still_being_written_is_tried_again() {
        let bench = Bench::new();
        let file = bench.dir.path().join("program");
        std::fs::copy("/bin/true", &file).unwrap();
        let writer = std::fs::OpenOptions::new().append(true).open(&file).unwrap();
        let request = bench.argv(&["./program"]);
        let lent = bench.lent();
        block_on(async {
            // The first try happens before the writer is closed.
            let (seen, ()) = tokio::join!(Run.look(&request, &lent), async { drop(writer) });
            assert_eq!(seen.map(|seen| seen.exit).unwrap_or_default(), Some(Exit::Code(0)));
        });
    }

    #[test]
    fn a_step_that_runs_too_long_is_ended() {
        let bench = Bench::new();
        let mut request = bench.argv(&["sleep", "1000"]);
        block_on(async {
            request.deadline = Some(Instant::now() + Duration::from_millis(100));
            let error = Run.look(&request, &bench.lent()).await.map(|_| ()).expect_err("it sleeps");
            assert_eq!(error.cause, Cause::Timeout);
            assert_eq!(error.detail, "ran longer than 100 ms; ended by SIGTERM");
            assert_eq!(error.exit, Some(Exit::Signal("SIGTERM".into())));
            assert_eq!(error.facts.values["signal"], Value::text("SIGTERM"));
            assert!(error.notes.is_empty());
        });
    }

    #[test]
    fn a_stopped_child_is_ended_too() {
        let bench = Bench::new();
        let request = bench.shell("trap 'exit 3' TERM; echo ready; kill -STOP $$; echo woke");
        block_on(async {
            let lent = bench.lent();
            let stop = async {
                until(|| {
                    bench.alive().first().is_some_and(|pid| {
                        std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| stat.contains(") T "))
                    })
                })
                .await;
                bench.stop.send_replace(Stop::Term);
            };
            let (seen, ()) = tokio::join!(Run.look(&request, &lent), stop);
            let error = seen.map(|_| ()).expect_err("it was stopped");
            assert_eq!(error.exit, Some(Exit::Code(3)));
            assert_eq!(error.detail, "interrupted; ended with exit code 3 after SIGTERM");
        });
    }

    /// Runs until `ready` stands in stdout, then asks for an end.
    fn interrupted(bench: &Bench, request: &Request, stop: Stop) -> ActError {
        block_on(async {
            let lent = bench.lent();
            let ask = async {
                bench.says("stdout", "ready").await;
                bench.stop.send_replace(stop);
            };
            let (seen, ()) = tokio::join!(Run.look(request, &lent), ask);
            seen.map(|_| ()).expect_err("it was interrupted")
        })
    }

    #[test]
    fn a_child_that_ignores_term_is_killed_after_the_grace() {
        let bench = Bench::new();
        let mut request = bench.shell("trap '' TERM; echo ready; sleep 1000; sleep 1000");
        request.grace = Duration::from_millis(50);
        let error = interrupted(&bench, &request, Stop::Term);
        assert_eq!(error.cause, Cause::Interrupted);
        assert_eq!(error.detail, "interrupted; ended by SIGKILL");
        assert_eq!(error.exit, Some(Exit::Signal("SIGKILL".into())));
    }

    #[test]
    fn an_urgent_stop_does_not_wait_for_the_grace() {
        let bench = Bench::new();
        let request = bench.shell("trap '' TERM; echo ready; sleep 1000");
        assert_eq!(interrupted(&bench, &request, Stop::Kill).detail, "interrupted; ended by SIGKILL");
        drop(bench);
        let bench = Bench::new();
        let request = bench.shell("trap 'echo termed' TERM; echo ready; while :; do sleep 1000 & wait; done");
        block_on(async {
            let lent = bench.lent();
            let ask = async {
                bench.says("stdout", "ready").await;
                bench.stop.send_replace(Stop::Term);
                bench.says("stdout", "termed").await;
                bench.stop.send_replace(Stop::Kill);
            };
            let (seen, ()) = tokio::join!(Run.look(&request, &lent), ask);
            assert_eq!(seen.map(|_| ()).expect_err("it was killed").detail, "interrupted; ended by SIGKILL");
        });
    }

    #[test]
    fn members_that_outlive_a_leader_ended_by_us_are_killed() {
        let bench = Bench::new();
        let mut request = bench.shell("(trap '' TERM; echo ready; exec sleep 1000) & wait");
        request.grace = Duration::from_millis(100);
        let error = interrupted(&bench, &request, Stop::Term);
        assert_eq!(error.exit, Some(Exit::Signal("SIGTERM".into())));
        assert!(bench.alive().is_empty());
    }

    #[test]
    fn what_is_left_running_is_ended_and_named() {
        for (text, code) in [
            ("sleep 1000 & exit 0", "leaked_handles"),
            ("sleep 1000 >/dev/null 2>&1 & exit 0", "left_running"),
            ("setsid sh -c 'sleep 1000; :' & exit 0", "leaked_handles"),
            ("setsid sh -c 'setsid sleep 1000 & exit 0' >/dev/null 2>&1; exit 0", "left_running"),
            ("(trap '' TERM; exec sleep 1000) & exit 0", "leaked_handles"),
        ] {
            for masked in [false, true] {
                let mut bench = Bench::new();
                if masked {
                    bench.mask = Some(Arc::new(Mask::new(&[("token".into(), b"hunter2-hunter2".to_vec())])));
                }
                let mut request = bench.shell(text);
                request.wants.insert("leaked".into());
                let seen = ran(&bench, &request);
                assert_eq!(seen.facts.values["leaked"], Value::Bool(true), "{text}");
                assert_eq!(seen.exit, Some(Exit::Code(0)), "{text}");
                assert_eq!(codes(&seen.notes), [code], "{text} {:?}", seen.notes);
                assert!(bench.alive().is_empty(), "{text}");
            }
        }
    }

    #[test]
    fn a_straggler_may_finish_its_sentence() {
        let bench = Bench::new();
        let seen = ran(&bench, &bench.shell("(i=0; while [ $i -lt 2000 ]; do i=$((i+1)); done; echo late) & exit 0"));
        assert_eq!((bench.read("stdout").as_str(), seen.notes.len()), ("late\n", 0));
    }

    #[test]
    fn a_stray_that_wiped_its_environment_is_found_when_nothing_else_runs() {
        let bench = Bench::alone();
        let seen = ran(
            &bench,
            &bench.shell("env -i setsid sh -c 'echo $$ > pid; exec sleep 1000' & until test -s pid; do :; done"),
        );
        assert_eq!(codes(&seen.notes), ["leaked_handles"]);
        let pid = std::fs::read_to_string(bench.dir.path().join("pid")).unwrap();
        assert!(!Path::new(&format!("/proc/{}", pid.trim_end())).exists());
    }

    #[test]
    fn the_final_sweep_finds_what_a_mark_names() {
        let bench = Bench::alone();
        let child = std::process::Command::new("sh")
            .args(["-c", "setsid sleep 1000 >/dev/null 2>&1 & echo $!"])
            .env(contain::MARK, &bench.shell("").mark)
            .output()
            .unwrap();
        let pid: i32 = String::from_utf8_lossy(&child.stdout).trim().parse().unwrap();
        block_on(until(|| bench.alive() == [pid]));
        let notes = block_on(contain::sweep_all("no such run"));
        assert_eq!((notes.len(), bench.alive()), (0, vec![pid]));
        let notes = block_on(contain::sweep_all(&bench.shell("").mark));
        assert_eq!((codes(&notes), bench.alive()), (vec!["left_running"], vec![]));
    }

    #[test]
    fn dropping_a_look_ends_its_processes() {
        let bench = Bench::new();
        let request = bench.shell("trap '' TERM; setsid sleep 1000 & echo ready; sleep 1000");
        block_on(async {
            let lent = bench.lent();
            tokio::select! {
                _ = Run.look(&request, &lent) => panic!("it sleeps"),
                () = bench.says("stdout", "ready") => {}
            }
        });
        assert!(bench.alive().is_empty());
    }

    #[test]
    fn many_children_run_at_once() {
        let bench = Bench::new();
        block_on(async {
            let lent = bench.lent();
            let requests: Vec<Request> = (0..40)
                .map(|at| Request { attempt: at + 1, ..bench.shell(&format!("echo {at}; exit {at}")) })
                .collect();
            let looks = futures_util::future::join_all(requests.iter().map(|request| Run.look(request, &lent))).await;
            for (at, look) in (0..).zip(looks) {
                assert_eq!(look.map(|seen| seen.exit).unwrap_or_default(), Some(Exit::Code(at)));
            }
        });
    }

    #[test]
    fn secrets_never_reach_the_spool() {
        let mut bench = Bench::new();
        bench.mask = Some(Arc::new(Mask::new(&[("token".into(), b"hunter2-hunter2".to_vec())])));
        let mut request = bench.shell(
            "printf 'a hunter2-'; sleep 0.01; printf 'hunter2 b'; printf %s \"$TOKEN\" | base64 >&2; printf hunter2-",
        );
        request.env.push(("TOKEN".into(), "hunter2-hunter2".into()));
        request.wants = ["stdout".to_owned()].into();
        let seen = ran(&bench, &request);
        assert_eq!(bench.read("stdout"), "a [secret token] bhunter2-");
        assert_eq!(bench.read("stderr"), "[secret token]\n");
        assert_eq!(seen.facts.values["stdout"], Value::text("a [secret token] bhunter2-"));
        assert_eq!(seen.output_bytes, 26 + 15);
    }

    #[test]
    fn neither_stream_is_blocked_and_memory_stays_flat() {
        let status = |key: &str| -> u64 {
            let text = std::fs::read_to_string("/proc/self/status").unwrap();
            let line = text.lines().find(|line| line.starts_with(key)).unwrap();
            line.split_whitespace().nth(1).unwrap().parse().unwrap()
        };
        let text = "head -c 32M /dev/zero | tr '\\0' x; head -c 32M /dev/zero | tr '\\0' y >&2";
        for masked in [false, true] {
            let mut bench = Bench::alone();
            if masked {
                bench.mask = Some(Arc::new(Mask::new(&[("x".into(), b"hunter2-hunter2".to_vec())])));
            }
            std::fs::write("/proc/self/clear_refs", "5").unwrap();
            let before = status("VmRSS");
            let seen = ran(&bench, &bench.shell(text));
            let grown = status("VmHWM").saturating_sub(before);
            assert_eq!(seen.output_bytes, 64 << 20);
            assert!(grown < 16 * 1024, "{grown} KiB");
        }
    }

    #[test]
    fn json_on_stdout_is_a_fact() {
        let bench = Bench::new();
        let json = |text: &str, parse: Parse| {
            let command = crate::action::Command::Shell(text.into());
            run(&bench, &bench.request(Action::Run(RunSpec { command, parse: Some(parse) })))
        };
        let value = |text: &str, parse| json(text, parse).map(|seen| seen.facts.values["json"].clone()).ok();
        assert_eq!(value("echo '{\"a\": [1, 2]}'", Parse::Json), Some(Value::Json(serde_json::json!({"a": [1, 2]}))));
        assert_eq!(value("printf '1\\n\\n{}\\n'", Parse::Jsonl), Some(Value::Json(serde_json::json!([1, {}]))));
        let error = json("printf '{\\n\\n  1'", Parse::Json).map(|_| ()).expect_err("malformed");
        assert_eq!(error.cause, Cause::ActionError);
        assert_eq!(error.detail, "stdout is not JSON: key must be a string, line 3 column 3");
        assert_eq!(error.exit, Some(Exit::Code(0)));
        let error = json("printf '1\\n[}\\n'", Parse::Jsonl).map(|_| ()).expect_err("malformed");
        assert_eq!(error.detail, "stdout is not JSON: expected value, line 2 column 2");
        let seen = json("echo oops; exit 4", Parse::Json).ok().expect("its exit code is the story");
        assert_eq!((seen.facts.values["exit"].clone(), seen.facts.values.get("json")), (Value::int(4), None));
    }

    #[test]
    fn too_much_output_to_judge_is_said() {
        let bench = Bench::new();
        let mut request = bench.shell("head -c 17M /dev/zero");
        request.wants = ["lines(stdout)".to_owned()].into();
        let error = failed(&bench, &request);
        assert_eq!(error.detail, "stdout is 17.0 MiB; at most 16 MiB can be judged");
        assert_eq!(error.facts.values["exit"], Value::int(0));
        assert_eq!(sized((1 << 30) + 1), "1.0 GiB");
    }
}
