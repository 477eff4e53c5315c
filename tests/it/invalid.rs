//! A corpus of broken plans and exactly what is said of each: place, reason, suggestion, all faults at once, nothing run.
//!
//! `tests/it/invalid/NAME.toml` (or a folder `NAME` around a `blueprint.toml`) has its words in `NAME.err`, as they stand
//! on 80 columns. Plans whose bytes are better not committed are made here. Comments at the head of a plan say how it is
//! checked: `# args: …`, `# env: NAME=value …`.
//! `RUNPLAN_BLESS=1` rewrites what is there.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::support::{Ended, Space, copy, repository};

/// Least number of plans.
const LEAST: usize = 60;

/// One broken plan in a workspace of its own.
pub struct Case {
    pub name: String,
    /// The plan as it is named on the command line.
    pub plan: String,
    pub space: Space,
    args: Vec<String>,
}

fn folder() -> PathBuf {
    repository().join("tests/it/invalid")
}

fn blessing() -> bool {
    std::env::var_os("RUNPLAN_BLESS").is_some()
}

/// The committed plans, by name.
fn committed() -> BTreeMap<String, Case> {
    let mut cases = BTreeMap::new();
    for entry in fs::read_dir(folder()).expect("the corpus") {
        let path = entry.expect("the corpus").path();
        let file = path.file_name().expect("a name").to_string_lossy().into_owned();
        let (name, plan) = match file.strip_suffix(".toml") {
            Some(name) => (name.to_owned(), file.clone()),
            None if path.is_dir() => (file.clone(), format!("{file}/blueprint.toml")),
            None => continue,
        };
        let space = Space::new();
        if path.is_dir() {
            copy(&path, &space.path().join(&file));
        } else {
            fs::copy(&path, space.path().join(&file)).expect("a copy");
        }
        cases.insert(name.clone(), case(name, plan, space));
    }
    cases
}

/// The committed plans and the made ones.
pub fn corpus() -> Vec<Case> {
    let mut cases = committed();
    for (name, bytes) in made() {
        let plan = format!("{name}.toml");
        let space = Space::new();
        space.write(&plan, bytes);
        let before = cases.insert(name.to_owned(), case(name.to_owned(), plan, space));
        assert!(before.is_none(), "`{name}` is committed and made");
    }
    cases.into_values().collect()
}

fn case(name: String, plan: String, mut space: Space) -> Case {
    let bytes = fs::read(space.path().join(&plan)).expect("the plan");
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(4096)]).into_owned();
    let head =
        |key: &str| text.lines().take_while(|line| line.starts_with('#')).find_map(|line| line.strip_prefix(key));
    for pair in head("# env: ").unwrap_or("").split_whitespace() {
        let (name, value) = pair.split_once('=').expect("NAME=value");
        space = space.env(name, value);
    }
    let space = space.env("COLUMNS", "80");
    let args = head("# args: ").unwrap_or("").split_whitespace().map(str::to_owned).collect();
    Case { name, plan, space, args }
}

/// Plans that are long, or whose bytes no editor should see.
fn made() -> Vec<(&'static str, Vec<u8>)> {
    let step = "format = 1\n\n[steps.build]\nrun = \"touch RAN\"\n";
    let ring = |n: usize| {
        let step = |at: usize| format!("\n[steps.s{at}]\nrun   = \"touch RAN\"\nneeds = [\"s{}\"]\n", (at + 1) % n);
        format!("format = 1\n{}", (0..n).map(step).collect::<String>())
    };
    let apart = {
        let mut text = "format = 1\n\n[steps.first]\nrun   = \"touch RAN\"\nneeds = [\"last\"]\n".to_owned();
        text.push_str(&"# filler\n".repeat(800_000));
        text.push_str("[steps.last]\nrun   = \"touch RAN\"\nneeds = [\"first\"]\n");
        text
    };
    let deep = |open: &str, close: &str| format!("{step}x-deep = {}1{}\n", open.repeat(20_000), close.repeat(20_000));
    let nested = |subject: &str| format!("{step}parse = \"json\"\npass  = ['{subject}']\n");
    let many = (0..150).fold(step.to_owned(), |mut text, at| {
        let _ = write!(text, "\n[steps.s{at}]\nrun   = \"touch RAN\"\nneeds = [\"none-{at}\"]\n");
        text
    });
    vec![
        ("bytes-nothing", Vec::new()),
        ("bytes-blank", b" \n\t\n\n".to_vec()),
        ("bytes-mark-alone", b"\xef\xbb\xbf".to_vec()),
        ("bytes-mark-and-typo", [b"\xef\xbb\xbf", step.as_bytes(), b"timout = \"1m\"\n"].concat()),
        (
            "bytes-utf16",
            step.encode_utf16().flat_map(u16::to_le_bytes).fold(vec![0xff, 0xfe], |mut all, byte| {
                all.push(byte);
                all
            }),
        ),
        ("bytes-latin1", [step.as_bytes(), b"title = \"Gr\xf6\xdfe\"\n"].concat()),
        ("bytes-nul", [step.as_bytes(), b"title = \"a\0b\"\n"].concat()),
        ("bytes-nul-escaped", format!("{step}title = \"a\\u0000b\"\n").into_bytes()),
        ("bytes-control", [step.as_bytes(), b"title = \"\x1b[31mred\"\ntimout = 1\n"].concat()),
        ("bytes-crlf", format!("{step}timout = \"1m\"\n").replace('\n', "\r\n").into_bytes()),
        ("bytes-of-a-program", b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec()),
        ("large-10-mb", b"all work and no play\n".repeat(500_000)),
        ("large-7-mb-of-words", b"all work and no play\n".repeat(350_000)),
        ("large-7-mb-line", [step.as_bytes(), b"title = \"", "é".repeat(3_500_000).as_bytes(), b"\nx\n"].concat()),
        ("deep-lists", deep("[", "]").into_bytes()),
        ("deep-tables", deep("{ a = ", " }").into_bytes()),
        ("deep-key", format!("{step}x-deep{} = 1\n", ".a".repeat(20_000)).into_bytes()),
        ("deep-header", format!("{step}\n[x-deep{}]\nb = 1\n", ".a".repeat(20_000)).into_bytes()),
        ("deep-aggregate", nested(&format!("{}exit{} == 0", "min(".repeat(20_000), ")".repeat(20_000))).into_bytes()),
        ("deep-query", nested(&format!("json.\"$.a{}\" == 0", "[?(@".repeat(5_000))).into_bytes()),
        ("deep-regex", nested(&format!("stdout matches \"{}\"", "(".repeat(20_000))).into_bytes()),
        (
            "deep-template",
            format!("format = 1\n\n[steps.build]\nrun = [\"touch\", \"RAN\", \"{{{{ {}1 }}}}\"]\n", "(".repeat(20_000))
                .into_bytes(),
        ),
        ("cycle-50", ring(50).into_bytes()),
        ("cycle-far-apart", apart.into_bytes()),
        ("faults-150", many.into_bytes()),
    ]
}

impl Case {
    pub fn run(&self, words: &[&str]) -> Ended {
        let args = self.args.iter().map(String::as_str);
        self.space.run(&words.iter().copied().chain(args).collect::<Vec<_>>())
    }

    /// Nothing ran, nothing was written.
    fn is_untouched(&self) {
        for left in ["RAN", ".runplan"] {
            let at = Path::new(&self.plan).parent().unwrap_or(Path::new("")).join(left);
            assert!(!self.space.has(left) && !self.space.path().join(at).exists(), "{}: `{left}` is there", self.name);
        }
    }
}

/// Compares with what is committed, or commits it; says what differs.
fn differs(file: &str, text: &str) -> Option<String> {
    let path = folder().join(file);
    if blessing() {
        fs::write(&path, text).expect("a written file");
        return None;
    }
    let known = fs::read_to_string(&path).unwrap_or_default();
    (known != text).then(|| format!("── {file}, expected:\n{known}\n── got:\n{text}"))
}

/// Asks every command about one plan; what its words should have been, if they are others.
fn told(case: &Case) -> Option<String> {
    let started = Instant::now();
    let told = case.run(&["check", &case.plan]).code(2);
    assert!(started.elapsed() < Duration::from_secs(20), "{} took {:?}", case.name, started.elapsed());
    assert_eq!(told.stderr, "", "{}", case.name);
    assert!(told.stdout.len() < 40_000, "{}: {} bytes", case.name, told.stdout.len());
    if case.name == "cycle-far-apart" {
        assert!(told.stdout.lines().count() < 40, "{}", told.stdout);
    }
    assert!(!told.stdout.contains(&*case.space.path().to_string_lossy()), "{}: an absolute path", case.name);
    assert!(told.stdout.ends_with("; nothing was run\n"), "{}: {}", case.name, told.stdout);
    let plan = case.plan.as_str();
    for words in [&["run", plan][..], &["-n", plan], &["list", plan], &["explain", plan, "build"]] {
        let other = case.run(words).code(2);
        assert_eq!((&other.stderr, &other.stdout), (&told.stdout, &String::new()), "{}: {words:?}", case.name);
    }
    case.is_untouched();
    differs(&format!("{}.err", case.name), &told.stdout)
}

#[test]
fn every_broken_plan_is_told_its_faults_and_nothing_runs() {
    let cases = corpus();
    assert!(cases.len() >= LEAST, "only {} plans", cases.len());
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let mut wrong: Vec<String> = std::thread::scope(|scope| {
        let parts = cases.chunks(cases.len().div_ceil(workers));
        let parts: Vec<_> =
            parts.map(|part| scope.spawn(move || part.iter().filter_map(told).collect::<Vec<_>>())).collect();
        parts
            .into_iter()
            .flat_map(|part| part.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    });
    let names: BTreeSet<&str> = cases.iter().map(|case| case.name.as_str()).collect();
    for entry in fs::read_dir(folder()).expect("the corpus") {
        let path = entry.expect("the corpus").path();
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        if path.extension().is_some_and(|end| end == "err") && !names.contains(name.as_str()) {
            wrong.push(format!("{name}.err has no plan"));
        }
    }
    assert!(wrong.is_empty(), "{}\nRUNPLAN_BLESS=1 rewrites", wrong.join("\n"));
}

#[test]
fn faults_as_data() {
    let mut wrong = Vec::new();
    for name in ["several-at-once", "include-faults-in-both"] {
        let case = committed().remove(name).expect("it is in the corpus");
        let told = case.run(&["check", "--format", "json", &case.plan]).code(2);
        wrong.extend(differs(&format!("{name}.json"), &told.stdout));
        let faults: serde_json::Value = serde_json::from_str(&told.stdout).expect("JSON");
        let human = case.run(&["check", &case.plan]).stdout;
        for fault in faults.as_array().expect("a list") {
            let place = format!("[{}:{}:{}]", fault["file"].as_str().expect("a file"), fault["line"], fault["column"]);
            assert!(human.contains(&place), "{place}");
        }
    }
    assert!(wrong.is_empty(), "{}\nRUNPLAN_BLESS=1 rewrites", wrong.join("\n"));
}

/// Every plan of the repository, the examples first.
pub fn plans() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![repository().join("examples"), repository().join("plans")];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("a folder").path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() && !name.starts_with('.') && name != "out" {
                open.push(path);
            } else if name.ends_with(".toml") && !name.ends_with(".ratchet.toml") && is_plan(&path) {
                found.push(path);
            }
        }
    }
    found.sort();
    assert!(found.len() >= 2, "{found:?}");
    found
}

/// Other tools have TOML files too.
fn is_plan(path: &Path) -> bool {
    let text = fs::read_to_string(path).expect("a readable file");
    text.lines().any(|line| line.starts_with("[steps.") || line.starts_with("[finally."))
}

#[test]
fn every_plan_of_the_repository_passes_the_check() {
    for path in plans() {
        let text = fs::read_to_string(&path).expect("a readable file");
        // An included file is checked with the plan that includes it.
        if !text.lines().any(|line| line.replace(' ', "").starts_with("format=1")) {
            continue;
        }
        let space = Space::new();
        let told = space.run(&["check", "--strict", &path.to_string_lossy()]).code(0);
        assert!(told.stdout.contains("no errors"), "{}", told.stdout);
        assert!(!space.has(".runplan"));
    }
}

#[test]
fn strict_makes_warnings_errors() {
    let space = Space::plan(
        "[steps.lint]\nrun = \"touch RAN\"\nrequired = false\n\n[steps.build]\nrun = \"touch RAN\"\nneeds = [\"lint\"]\n",
    );
    let told = space.run(&["check"]).code(0).says("warning: required step `build` needs the advisory step `lint`");
    assert!(told.stdout.contains("1 warning in blueprint.toml\n"), "{}", told.stdout);
    let strict = ["--strict"];
    for words in
        [&["check"][..], &["run", "blueprint.toml"], &["-n", "blueprint.toml"], &["list"], &["explain", "build"]]
    {
        let words: Vec<&str> = words.iter().chain(&strict).copied().collect();
        let _ = space
            .run(&words)
            .code(2)
            .hides("warning")
            .says("error: required step `build` needs")
            .says("1 error in blueprint.toml; nothing was run");
    }
    assert!(!space.has("RAN") && !space.has(".runplan"));
}
