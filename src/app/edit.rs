//! `import` of what is no run, `add`, `init`, `fmt`: reads the texts, checks what comes out with the loader, and only then
//! writes it, whole. Runs nothing.

use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Component, Path, PathBuf};

use crate::act;
use crate::cli::{Add, Fmt, Form, Import, Init, PlanArgs};
use crate::edit::draft::{Step, string, strings};
use crate::edit::{Draft, add as adding, checklist, compose, init as folder, layout, makefile};
use crate::exit::Exit;
use crate::plan::error::{self, Level};
use crate::plan::{self, Plan};
use crate::report::escape;
use crate::report::format;
use crate::report::terminal::{Stream, Terminal};

use super::past::{Fault, wrong};
use super::{load, log, sign};

/// Most bytes of a text that a plan is made of.
const MOST_BYTES: u64 = 8 << 20;
/// What a file of a run begins with, and where.
const USTAR: (usize, &[u8]) = (257, b"ustar");

/// What is to be made a plan of; `None` for a run, or where nothing tells.
pub(super) fn form(ask: &Import) -> Option<Form> {
    if let Some(form) = ask.form {
        return Some(form).filter(|form| *form != Form::Archive);
    }
    if is_archive(&ask.file) {
        return None;
    }
    let name = Path::new(&ask.file).file_name()?.to_string_lossy().to_lowercase();
    let ends = |ends: &[&str]| ends.iter().any(|end| name.ends_with(end));
    if ends(&[".md", ".markdown"]) {
        Some(Form::Checklist)
    } else if name == "makefile" || name == "gnumakefile" || ends(&[".mk"]) {
        Some(Form::Makefile)
    } else if ends(&[".yml", ".yaml"]) {
        Some(Form::Compose)
    } else {
        None
    }
}

/// Whether a file begins as archives do, or is read from stdin.
pub(super) fn is_archive(name: &str) -> bool {
    let mut head = Vec::new();
    // What can't be read is said by whoever reads it.
    let read = |file: std::fs::File| file.take(512).read_to_end(&mut head).is_ok();
    name == "-"
        || std::fs::File::open(name).is_ok_and(read)
            && head.get(USTAR.0..).is_some_and(|rest| rest.starts_with(USTAR.1))
}

/// Makes a plan of a checklist, a Makefile or a compose file.
pub(super) fn converted(ask: &Import, form: Form, terminal: &Terminal) -> Exit {
    match convert(ask, form, terminal) {
        Ok(exit) => exit,
        Err(fault) => log::refused(terminal, &fault),
    }
}

fn convert(ask: &Import, form: Form, terminal: &Terminal) -> Result<Exit, Fault> {
    let text = read(&ask.file)?;
    let at = |what: &str| wrong(format!("`{}`: {what}", ask.file));
    let (mut draft, said) = match form {
        Form::Makefile => {
            let draft = makefile::read(&text, &ask.file).ok_or_else(|| at("no target in it has a recipe"))?;
            (draft, String::new())
        }
        Form::Compose => {
            let tree = act::yaml(&text).map_err(|why| at(&why))?;
            (compose::read(&tree, &ask.file).map_err(|why| at(&format!("no compose file: {why}")))?, String::new())
        }
        Form::Checklist | Form::Archive => {
            let made = checklist::read(&text, &ask.file).ok_or_else(|| at("no box in it: `- [ ] text`"))?;
            let [runs, asks, signs, roles] = made.counts;
            let mut parts =
                vec![format::count(runs, "command"), format::count(asks, "request"), format::count(signs, "sign-off")];
            if roles > 0 {
                parts.push(format!("{} of its items", format::count(roles, "role")));
            }
            if !made.draft.roles.is_empty() {
                parts.push(format!("the whole run signed by {}", made.draft.roles.join(", ")));
            }
            (made.draft, format!("  {}\n", parts.join(", ")))
        }
    };
    let target = ask.output.as_deref().filter(|name| *name != "-");
    if form != Form::Checklist && ask.file != "-" {
        draft.workspace = way(target.unwrap_or("plan.toml"), &ask.file);
    }
    settle(&draft, target, ask.force, &said, terminal)
}

/// Checks a draft and writes it: to a file, and what to do next to stdout; or to stdout, and the rest to stderr.
fn settle(draft: &Draft, target: Option<&str>, force: bool, said: &str, terminal: &Terminal) -> Result<Exit, Fault> {
    let text = draft.text();
    let name = target.unwrap_or("plan.toml");
    if let Some(target) = target.filter(|_| !force)
        && std::fs::symlink_metadata(target).is_ok()
    {
        return Err(wrong(format!("`{target}` is there already: take another name, or `--force` to replace it")));
    }
    let args = PlanArgs { path: name.to_owned(), ..PlanArgs::default() };
    let (loaded, _) = load::load_text(&args, &text);
    if loaded.has_errors() {
        tell(&loaded, terminal);
        return Err(wrong(
            "the plan that was made does not hold: this is a bug in runplan; nothing was written".to_owned(),
        ));
    }
    let steps = format::count(draft.steps().count(), "step");
    let Some(target) = target else {
        terminal.write(Stream::Out, &text);
        terminal.write(Stream::Err, &escape::text(&format!("{steps}\n{said}")));
        return Ok(Exit::Done);
    };
    put(target, &text, force)?;
    let next = format!("  `runplan -n {target}` shows what would run, `runplan {target}` runs it\n");
    terminal.write(Stream::Out, &escape::text(&format!("{target}: {steps}\n{said}{next}")));
    Ok(Exit::Done)
}

fn tell(loaded: &plan::Loaded, terminal: &Terminal) {
    let look = terminal.look(Stream::Err);
    let text = error::render_human(&loaded.diagnostics, &loaded.plan.sources, look.colour, look.width);
    terminal.write(Stream::Err, &text);
}

/// The text of a file, or of stdin.
fn read(name: &str) -> Result<String, Fault> {
    let told = |error: io::Error| wrong(format!("`{name}`: {error}"));
    let mut bytes = Vec::new();
    let whole = MOST_BYTES + 1;
    let count = if name == "-" {
        io::stdin().lock().take(whole).read_to_end(&mut bytes)
    } else {
        std::fs::File::open(name).and_then(|file| file.take(whole).read_to_end(&mut bytes))
    };
    if count.map_err(told)? as u64 > MOST_BYTES {
        return Err(wrong(format!("`{name}` is larger than {} MiB", MOST_BYTES >> 20)));
    }
    String::from_utf8(bytes).map_err(|_| wrong(format!("`{name}` is no text: it is not UTF-8")))
}

/// Writes a file as a whole; a new one takes the place of nothing.
fn put(name: &str, text: &str, replaces: bool) -> Result<(), Fault> {
    let told = |error: io::Error| Fault { text: format!("`{name}` can't be written: {error}"), exit: Exit::Unrecorded };
    if !replaces {
        let folder = Path::new(name).parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mode = std::fs::Permissions::from_mode(0o666);
        let mut file = tempfile::Builder::new().permissions(mode).tempfile_in(folder).map_err(told)?;
        io::Write::write_all(&mut file, text.as_bytes()).map_err(told)?;
        file.persist_noclobber(name).map_err(|error| told(error.error))?;
        return Ok(());
    }
    // Behind a link lies the file that is meant.
    let path = std::fs::canonicalize(name).unwrap_or_else(|_| name.into());
    let mode = std::fs::metadata(&path).map_or(0o666, |meta| meta.permissions().mode() & 0o777);
    sign::replace(&path, text.as_bytes(), mode).map_err(told)?;
    Ok(())
}

/// The way from the folder of one file to the folder of another; empty if it is the same.
fn way(from: &str, to: &str) -> String {
    let folder = |name: &str| -> PathBuf {
        let whole = std::path::absolute(name).unwrap_or_else(|_| name.into());
        let folder = whole.parent().map(Path::to_owned).unwrap_or_default();
        folder.canonicalize().unwrap_or(folder)
    };
    let (from, to) = (folder(from), folder(to));
    let same = from.components().zip(to.components()).take_while(|(a, b)| a == b).count();
    let up = from.components().skip(same).map(|_| Component::ParentDir);
    let way: PathBuf = up.chain(to.components().skip(same)).collect();
    way.to_string_lossy().into_owned()
}

/// Adds a step to a plan.
pub(super) fn add(ask: &Add, terminal: &Terminal) -> Exit {
    match added(ask, terminal) {
        Ok(exit) => exit,
        Err(fault) => log::refused(terminal, &fault),
    }
}

fn added(ask: &Add, terminal: &Terminal) -> Result<Exit, Fault> {
    let target = ask.into.as_deref().unwrap_or(&ask.path);
    let text = read(target).map_err(|mut fault| {
        if ask.into.is_none() && !Path::new(target).exists() {
            fault.text.push_str("; `runplan init` writes a first plan");
        }
        fault
    })?;
    let args = PlanArgs { path: ask.path.clone(), ..ask.plan.clone() };
    let (before, _) = load::load(&args);
    let whole = |name: &str| std::fs::canonicalize(name).ok();
    let file = before.plan.sources.files.iter().map(|file| &file.path).find(|path| whole(path) == whole(target));
    let Some(file) = file else {
        tell(&before, terminal);
        return Err(wrong(format!("`{target}` is no file of the plan `{}`", ask.path)));
    };
    if let Some(there) = before.plan.steps.iter().find(|step| step.base() == ask.step) {
        let free = (2..).map(|n| format!("{}-{n}", ask.step));
        let free =
            free.take(1000).find(|name| before.plan.steps.iter().all(|step| step.base() != *name)).unwrap_or_default();
        let at = before.plan.sources.locate(there.place);
        return Err(wrong(format!("the plan has a step `{}` already ({at}): `{free}` is free", ask.step)));
    }
    let (whole, new) = adding::insert(&text, &step(ask), ask.after_step.as_deref()).map_err(|refused| {
        let behind = ask.after_step.as_deref().unwrap_or_default();
        match refused {
            adding::Refused::Unreadable => {
                tell(&before, terminal);
                wrong("nothing was written".to_owned())
            }
            adding::Refused::NoSuchStep => {
                let near = crate::graph::nearest(behind, before.plan.steps.iter().map(plan::Step::base));
                wrong(format!("`{target}` has no step `{behind}`{near}"))
            }
            adding::Refused::NoPlace(why) => wrong(format!("the step can't be added to `{target}`: {why}")),
        }
    })?;
    let (after, graph) = load::load_changed(&args, &before, file, &whole);
    if !after.diagnostics.is_empty() {
        tell(&after, terminal);
    }
    if graph.is_none() {
        return Err(wrong("nothing was written".to_owned()));
    }
    if !before.has_errors() && !is_same_without(&before.plan, &after.plan, &ask.step) {
        let text = "the step would change other steps: add it by hand; nothing was written";
        return Err(wrong(text.to_owned()));
    }
    if ask.dry_run {
        terminal.write(Stream::Out, &escape::text(&format!("{new}\n")));
        return Ok(Exit::Done);
    }
    put(target, &whole, true)?;
    let line = whole.find(&new).map_or(1, |at| whole[..at].lines().count() + 1);
    let next = format!("`runplan {} {}` runs it and what it needs", ask.path, ask.step);
    terminal.write(Stream::Out, &escape::text(&format!("{target}:{line}: added `{}`\n  {next}\n", ask.step)));
    Ok(Exit::Done)
}

/// Whether two plans say the same but for the steps of one name.
fn is_same_without(before: &Plan, after: &Plan, name: &str) -> bool {
    let without = |plan: &Plan| {
        let mut norm = plan::norm(plan);
        if let Some(steps) = norm["steps"].as_array_mut() {
            let mut kept = plan.steps.iter().map(|step| step.base() != name);
            steps.retain(|_| kept.next().unwrap_or(true));
        }
        norm
    };
    without(before) == without(after)
}

/// The step that was asked for.
fn step(ask: &Add) -> Step {
    let mut step = Step::new(adding::header_name(&ask.step));
    let mut key = |name: &'static str, value: Option<String>| step.keys.extend(value.map(|value| (name, value)));
    let one = |text: &Option<String>| text.as_deref().map(string);
    let many = |texts: &[String]| (!texts.is_empty()).then(|| strings(texts));
    key("title", one(&ask.title));
    key("tags", many(&ask.tag));
    key("needs", many(&ask.needs));
    key("after", many(&ask.after));
    key("run", one(&ask.run).or_else(|| many(&ask.argv)));
    key("http", one(&ask.http));
    key("file", one(&ask.file));
    key("report", one(&ask.report));
    key("checklist", one(&ask.checklist));
    key("net", one(&ask.net));
    key("signoff", many(&ask.signoff));
    key("pass", many(&ask.pass));
    key("warn", many(&ask.warn));
    key("timeout", one(&ask.timeout));
    key("required", ask.advisory.then(|| "false".to_owned()));
    key("severity", one(&ask.severity));
    step
}

/// Writes a first plan for the folder that it lies in.
pub(super) fn init(ask: &Init, terminal: &Terminal) -> Exit {
    let found = found(&ask.output);
    let (draft, by) = folder::propose(&found);
    let said = format!("  by what lies here: {}\n", by.join(", "));
    match settle(&draft, Some(&ask.output), ask.force, &said, terminal) {
        Ok(exit) => exit,
        Err(fault) => log::refused(terminal, &fault),
    }
}

/// What lies in the folder of a file.
fn found(name: &str) -> folder::Found {
    let whole = std::path::absolute(name).unwrap_or_else(|_| name.into());
    let dir = whole.parent().map(Path::to_owned).unwrap_or_default();
    let has = |name: &str| dir.join(name).exists();
    let text = |name: &str| read(&dir.join(name).to_string_lossy()).ok();
    let first = |names: &[&'static str]| names.iter().copied().find(|name| has(name));
    let pytest = has("pytest.ini")
        || has("conftest.py")
        || has("tests/conftest.py")
        || text("pyproject.toml").is_some_and(|text| text.contains("[tool.pytest"));
    folder::Found {
        folder: dir.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
        git: dir.ancestors().any(|dir| dir.join(".git").exists()),
        makefile: first(&["GNUmakefile", "makefile", "Makefile"]).and_then(text),
        package: text("package.json"),
        package_program: match first(&["pnpm-lock.yaml", "yarn.lock", "bun.lock", "bun.lockb"]) {
            Some("pnpm-lock.yaml") => "pnpm",
            Some("yarn.lock") => "yarn",
            Some(_) => "bun",
            None => "npm",
        },
        cargo: has("Cargo.toml"),
        go: has("go.mod"),
        pytest,
        compose: first(&["compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml"])
            .map(str::to_owned),
    }
}

/// Lays plan files out.
pub(super) fn fmt(ask: &Fmt, terminal: &Terminal) -> Exit {
    let mut exit = Exit::Done;
    for name in &ask.files {
        match laid_out(name, ask.check, terminal) {
            Ok(true) => {}
            Ok(false) => {
                if exit == Exit::Done {
                    exit = Exit::Differs;
                }
            }
            Err(fault) => exit = log::refused(terminal, &fault),
        }
    }
    exit
}

/// Lays one file out; whether it is as it should be now.
fn laid_out(name: &str, check: bool, terminal: &Terminal) -> Result<bool, Fault> {
    let text = read(name)?;
    let Some(laid) = layout::formatted(&text) else {
        let args = PlanArgs { path: name.to_owned(), ..PlanArgs::default() };
        let (mut loaded, _) = load::load_text(&args, &text);
        loaded.diagnostics.retain(|diagnostic| diagnostic.severity == Level::Error);
        tell(&loaded, terminal);
        return Err(wrong(format!("`{name}` stays as it is")));
    };
    if name == "-" && !check {
        terminal.write(Stream::Out, &laid);
        return Ok(true);
    }
    if laid == text {
        return Ok(true);
    }
    if check {
        let line = text.lines().zip(laid.lines()).take_while(|(a, b)| a == b).count() + 1;
        let help = format!("`runplan fmt {name}` lays it out");
        terminal.write(Stream::Out, &escape::text(&format!("{name}:{line}: laid out otherwise; {help}\n")));
        return Ok(false);
    }
    put(name, &laid, true)?;
    terminal.write(Stream::Out, &escape::text(&format!("{name}: laid out\n")));
    Ok(true)
}
