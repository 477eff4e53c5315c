//! The composition root: the only room that knows every other. argv in, exit code out.

mod again;
mod archive;
mod complete;
mod diff;
mod draw;
mod edit;
mod export;
mod gc;
mod github;
mod history;
mod import;
mod judgement;
mod load;
mod lock;
mod log;
mod lsp;
mod page;
mod past;
mod readiness;
mod reads;
mod rejudge;
mod reproduce;
mod reuse;
mod run;
mod schema;
#[cfg(feature = "serve")]
mod serve;
mod show;
mod sign;
mod verify;
mod view;
mod waited;
mod watch;
mod world;

use std::ffi::OsString;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use crate::act::contain;
use crate::cli::{self, Command};
use crate::exit::Exit;
use crate::report::style::ColourChoice;
use crate::report::terminal::{Stream, Terminal};

/// Runs the command line: `args` as the system gave them, the program's name first.
#[must_use]
pub fn main(args: Vec<OsString>) -> ExitCode {
    let command = match cli::parse(args) {
        Ok(command) => command,
        Err(answer) => return said(&answer).into(),
    };
    let terminal = terminal(&command);
    let outcome = catch_unwind(AssertUnwindSafe(|| dispatch(&command, &terminal)));
    let exit = outcome.unwrap_or_else(|_| {
        end_children();
        terminal.write(Stream::Err, "runplan: this is a bug in runplan, and the result of the run is unknown\n");
        Exit::Bug
    });
    delivered(exit, &terminal).into()
}

/// Whoever waits for the output must not take a lost one (a full disk, say) for success.
fn delivered(exit: Exit, terminal: &Terminal) -> Exit {
    let Some(kind) = terminal.lost_output() else { return exit };
    let recorded = match exit {
        Exit::Run(_) => "; the run log is complete, see `.runplan/latest`",
        _ => "",
    };
    terminal.write(Stream::Err, &format!("runplan: stdout could not be written: {kind}{recorded}\n"));
    terminal.settle(None);
    if exit.code() == 0 { Exit::Unrecorded } else { exit }
}

/// After a panic: no process of a step may stay behind.
fn end_children() {
    if let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() {
        drop(runtime.block_on(contain::sweep_all("")));
    }
}

fn dispatch(command: &Command, terminal: &Terminal) -> Exit {
    match command {
        Command::Run(run) if run.dry_run => view::dry_run(run, terminal),
        Command::Run(run) => run::run(run, terminal),
        Command::Watch(run) => watch::watch(run, terminal),
        Command::Check { plan, format } => view::check(plan, *format, terminal),
        Command::List { plan, format } => view::list(plan, *format, terminal),
        Command::Explain { plan, step, log_dir, run } => {
            view::explain(plan, step, (log_dir.as_deref(), run.as_deref()), terminal)
        }
        Command::Resume(resume) => again::resume(resume, terminal),
        Command::Rerun(rerun) => again::rerun(rerun, terminal),
        Command::Sign(sign) => sign::sign(sign, terminal),
        Command::SignRecord { run, key } => sign::sign_record(run, key.as_deref(), terminal),
        Command::Decide { run, date } => sign::decide(run, date.as_deref(), terminal),
        Command::Report { run, format, output } => readiness::report(run, *format, output.as_deref(), terminal),
        Command::Verify(ask) => verify::verify(ask, terminal),
        Command::Judge(ask) => rejudge::judge(ask, terminal),
        Command::Show(ask) => show::show(ask, terminal),
        Command::Replay(ask) => show::replay(ask, terminal),
        Command::Diff(ask) => diff::diff(ask, terminal),
        Command::History(ask) => history::history(ask, terminal),
        Command::Gc(ask) => gc::gc(ask, terminal),
        Command::Graph(ask) => draw::graph(ask, terminal),
        #[cfg(feature = "serve")]
        Command::Serve(ask) => serve::serve(ask, terminal),
        Command::Export(ask) => export::export(ask, terminal),
        Command::Import(ask) => import::import(ask, terminal),
        Command::Add(ask) => edit::add(ask, terminal),
        Command::Init(ask) => edit::init(ask, terminal),
        Command::Fmt(ask) => edit::fmt(ask, terminal),
        Command::Lsp(ask) => lsp::lsp(ask),
        Command::Completions(shell) => {
            terminal.write(Stream::Out, shell.script());
            Exit::Done
        }
        Command::Complete(candidates) => complete::complete(candidates, terminal),
        Command::Man(page) => {
            terminal.write(Stream::Out, page);
            Exit::Done
        }
        Command::Schema(output) => schema::schema(output.as_deref(), terminal),
    }
}

/// Help and version go to stdout and are no failure; everything else clap says is.
fn said(answer: &clap::Error) -> Exit {
    let terminal = Terminal::real(ColourChoice::Auto, &variable);
    let (stream, exit) = if answer.use_stderr() { (Stream::Err, Exit::Usage) } else { (Stream::Out, Exit::Done) };
    let text = answer.render();
    let shown = if terminal.look(stream).colour { text.ansi().to_string() } else { text.to_string() };
    terminal.write(stream, &shown);
    delivered(exit, &terminal)
}

fn terminal(command: &Command) -> Terminal {
    let colour = match command {
        Command::Run(run) | Command::Watch(run) => run.plan.color,
        Command::Check { plan, .. } | Command::List { plan, .. } | Command::Explain { plan, .. } => plan.color,
        Command::Add(add) => add.plan.color,
        Command::Resume(resume) => resume.again.color,
        Command::Rerun(rerun) => rerun.again.color,
        _ => cli::Colour::Auto,
    };
    let choice = match colour {
        cli::Colour::Auto => ColourChoice::Auto,
        cli::Colour::Always => ColourChoice::Always,
        cli::Colour::Never => ColourChoice::Never,
    };
    Terminal::real(choice, &variable)
}

/// A variable of the engine's own environment, if it is UTF-8.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
