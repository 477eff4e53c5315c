//! The schema against three programs that read it: a validator, Tombi and Taplo. They accept every plan that `check`
//! accepts, and refuse every broken one of the corpus in which a schema can see the fault. The rest stands in
//! `tests/it/invalid/schema.md`, with the reason; `RUNPLAN_BLESS=1` writes it anew.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::seeded::Plan;
use crate::support::{self, Space, repository};
use crate::{documents, invalid};

/// A plan text, and whether `check` refuses it.
struct Text {
    name: String,
    bytes: Vec<u8>,
    broken: bool,
}

fn good() -> Vec<Text> {
    let mut all = Vec::new();
    let mut add = |name: String, bytes: Vec<u8>| all.push(Text { name, bytes, broken: false });
    for path in invalid::plans() {
        add(path.strip_prefix(repository()).expect("inside").display().to_string(), fs::read(&path).expect("a plan"));
    }
    for document in ["README.md", "plans/LANGUAGE.md"] {
        for block in documents::blocks(document).into_iter().filter(|block| block.kind == "toml") {
            add(block.place.clone(), documents::whole(&block.text).into_bytes());
        }
    }
    for seed in 0..12 {
        add(format!("random {seed}"), Plan::random(seed, "mixed").into_bytes());
    }
    for folder in ["tests/golden/edit", "tests/it/accepted"] {
        for path in support::files_of(&repository().join(folder)) {
            if path.extension().is_some_and(|end| end == "toml") {
                add(path.display().to_string(), fs::read(&path).expect("a plan"));
            }
        }
    }
    all
}

/// The broken corpus without what is too large for an editor, with the codes that `check` says.
fn broken() -> (Vec<Text>, Vec<String>) {
    let (mut texts, mut codes) = (Vec::new(), Vec::new());
    for case in invalid::corpus() {
        if case.name.starts_with("large-") || case.name.starts_with("deep-") || case.name == "cycle-far-apart" {
            continue;
        }
        let bytes = fs::read(case.space.path().join(&case.plan)).expect("the plan");
        let said = case.run(&["check", "--format", "json", &case.plan]).code(2).stdout;
        let mut found: BTreeSet<String> = BTreeSet::new();
        let faults: Vec<serde_json::Value> = serde_json::from_str(&said).expect("a JSON list");
        for fault in faults {
            if fault["severity"] != "warning" {
                found.extend(fault["code"].as_str().map(str::to_owned));
            }
        }
        codes.push(found.into_iter().collect::<Vec<_>>().join(" "));
        texts.push(Text { name: case.name, bytes, broken: true });
    }
    (texts, codes)
}

/// The texts as files `0000.toml` and on, beside the schema.
fn laid(texts: &[Text]) -> Space {
    let space = Space::new();
    space.write("s.json", fs::read(repository().join("schemas/blueprint.schema.json")).expect("the schema"));
    space.write(
        "tombi.toml",
        "[files]\ninclude = [\"[0-9]*.toml\"]\n[[schemas]]\npath = \"s.json\"\ninclude = [\"[0-9]*.toml\"]\n",
    );
    for (at, text) in texts.iter().enumerate() {
        // A line that names a schema by a path of its own would be followed.
        let bytes = String::from_utf8(text.bytes.clone()).map_or_else(std::string::FromUtf8Error::into_bytes, |text| {
            text.replace("#:schema ", "# schema ").into_bytes()
        });
        space.write(&file(at), bytes);
    }
    space
}

fn file(at: usize) -> String {
    format!("{at:04}.toml")
}

/// What one program says: the files that it refuses.
type Refused = BTreeSet<String>;

/// A validator that knows nothing but the standard. `None` if it is not there.
fn standard(space: &Space, count: usize) -> Option<Refused> {
    const PROGRAM: &str = r#"
import json, sys, tomllib
from jsonschema import Draft7Validator
schema = json.load(open("s.json"))
Draft7Validator.check_schema(schema)
validator = Draft7Validator(schema)
for path in sys.argv[1:]:
    try:
        plan = tomllib.load(open(path, "rb"))
    except (ValueError, RecursionError):
        print(path)
    else:
        if not validator.is_valid(plan):
            print(path)
"#;
    let can = Command::new("python3").args(["-c", "import jsonschema, tomllib"]).stderr(Stdio::null()).status();
    if !can.is_ok_and(|status| status.success()) {
        support::skip("python3 (3.11 or later) with jsonschema");
        return None;
    }
    let mut command = Command::new("python3");
    command.args(["-c", PROGRAM]).args((0..count).map(file)).current_dir(space.path());
    let output = command.output().expect("python3 runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).expect("paths").lines().map(str::to_owned).collect())
}

/// A program of `tests/validators.sh`.
fn validator(name: &str) -> Option<PathBuf> {
    let path = repository().join("target/validators/bin").join(name);
    if !path.is_file() {
        support::skip(&format!("{name} (tests/validators.sh)"));
        return None;
    }
    Some(path)
}

fn tombi(space: &Space) -> Option<Refused> {
    let output = Command::new(validator("tombi")?)
        .args(["lint", "--offline", "--diagnostics-format", "json", "--diagnostics-file", "said.json"])
        .current_dir(space.path())
        .output()
        .expect("tombi runs");
    assert!(space.has("said.json"), "{}", String::from_utf8_lossy(&output.stderr));
    let said: serde_json::Value = serde_json::from_str(&space.read("said.json")).expect("JSON");
    let errors = said.as_array().expect("a list").iter().filter(|fault| fault["level"] == "error");
    Some(errors.map(|fault| fault["path"].as_str().expect("a path").to_owned()).collect())
}

fn taplo(space: &Space, count: usize) -> Option<Refused> {
    let schema = format!("file://{}/s.json", space.path().display());
    let output = Command::new(validator("taplo")?)
        .args(["lint", "--colors", "never", "--no-auto-config", "--schema", &schema])
        .args((0..count).map(file))
        .current_dir(space.path())
        .output()
        .expect("taplo runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let name = |line: &str| {
        let (_, path) = line.split_once("invalid file")?.1.split_once("path=\"")?;
        Some(Path::new(path.trim_end_matches('"')).file_name()?.to_string_lossy().into_owned())
    };
    let refused: Refused = said.lines().filter_map(name).collect();
    assert_eq!(refused.is_empty(), output.status.success(), "{said}");
    Some(refused)
}

/// Why no schema can see it, by the code of the fault; a code that is not here is one that a schema has to see.
fn reason(code: &str) -> Option<&'static str> {
    Some(match code {
        "missing-format" | "no-steps" | "empty-file" => "an included file may be without",
        "criterion" => "what a criterion says: its grammar, names and types",
        "cycle" | "self-need" => "steps that wait for each other",
        "unknown-step" | "unknown-var" => "a name that is nowhere declared",
        "template" | "template-in-shell" | "late-name" => "what stands within `{{ }}`",
        "duplicate-step" | "duplicate-name" | "needs-finally" => "names against each other",
        "foreach-empty" => "the value of a variable",
        "risk-bounds" | "sample-impossible" | "matrix-too-large" => "numbers against each other",
        "secret-exposed" | "secret-in-plan" => "where a secret goes",
        "secret-missing" | "secret-short" | "bad-workspace" | "unreadable-file" => "what is on this machine",
        "bad-include" | "include-cycle" | "include-twice" | "misplaced-key" => "other files",
        "var-out-of-range" => "values given from outside",
        "nul" => "a character that JSON text may have",
        _ => return None,
    })
}

/// A row for every broken plan that somebody lets pass.
fn table(texts: &[Text], codes: &[String], by: &[&Refused; 3]) -> String {
    let mut rows = String::new();
    let (mut seen, mut differ) = (0, String::new());
    for (at, (text, codes)) in texts.iter().zip(codes).enumerate() {
        let file = file(at);
        let refused = by.map(|by| by.contains(&file));
        if refused == [true; 3] {
            seen += 1;
        } else if refused == [false; 3] {
            let mut why: Vec<&str> =
                codes.split(' ').map(|code| reason(code).unwrap_or("**nobody says why**")).collect();
            why.dedup();
            let _ = writeln!(rows, "| `{}` | {codes} | {} |", text.name, why.join("; "));
        } else {
            let word = |refused: bool| if refused { "refused" } else { "accepted" };
            let [a, b, c] = refused.map(word);
            let _ = writeln!(differ, "| `{}` | {codes} | {a} | {b} | {c} |", text.name);
        }
    }
    let mut page = format!(
        "# What a schema cannot see\n\nWritten by `tests/it/schema.rs`. Of {} broken plans, {seen} are refused by a validator of \
         draft-07, by Tombi and by Taplo alike.\n\nAccepted by all three; `runplan check` refuses them (codes):\n\n\
         | plan | codes | why |\n|---|---|---|\n{rows}",
        texts.len()
    );
    if !differ.is_empty() {
        let _ = write!(
            page,
            "\nSeen differently, each by the parser of the program, not by the schema:\n\n\
             | plan | codes | validator | Tombi | Taplo |\n|---|---|---|---|---|\n{differ}"
        );
    }
    page
}

#[test]
fn the_schema_accepts_good_plans_and_refuses_what_it_can_see() {
    let mut texts = good();
    let count = texts.len();
    let (bad, codes) = broken();
    texts.extend(bad);
    let space = laid(&texts);
    let (Some(standard), Some(tombi), Some(taplo)) =
        (standard(&space, texts.len()), tombi(&space), taplo(&space, texts.len()))
    else {
        return;
    };
    for (at, text) in texts.iter().enumerate().filter(|(_, text)| !text.broken) {
        for (who, refused) in [("the validator", &standard), ("Tombi", &tombi), ("Taplo", &taplo)] {
            assert!(!refused.contains(&file(at)), "{who} refuses {}", text.name);
        }
    }
    // From here on by the place in the corpus.
    let of = |refused: &Refused| -> Refused {
        (count..texts.len()).filter(|at| refused.contains(&file(*at))).map(|at| file(at - count)).collect()
    };
    let page = table(&texts[count..], &codes, &[&of(&standard), &of(&tombi), &of(&taplo)]);
    let path = repository().join("tests/it/invalid/schema.md");
    if std::env::var_os("RUNPLAN_BLESS").is_some() {
        fs::write(&path, &page).expect("a written file");
    }
    assert_eq!(fs::read_to_string(&path).unwrap_or_default(), page, "RUNPLAN_BLESS=1 rewrites {}", path.display());
    assert!(!page.contains("nobody says why"), "{page}");
    support::say(&format!("{count} good plans and {} broken ones held against three validators", codes.len()));
}

/// A person without a network: the schema written beside the plan, named by the plan's first line.
#[test]
fn a_schema_beside_the_plan_is_found_without_a_network() {
    let space = Space::new();
    let _ = space.run(&["schema", "-o", "editor/blueprint.schema.json"]).code(2).says("can't be written");
    let _ = space.run(&["schema", "-o", "blueprint.schema.json"]).code(0).says("#:schema ./blueprint.schema.json");
    assert_eq!(space.read("blueprint.schema.json"), space.run(&["schema"]).code(0).stdout);
    let plan = |step: &str| format!("#:schema ./blueprint.schema.json\nformat = 1\n\n[steps.a]\n{step}\n");
    space.write("good.toml", plan("run = [\"true\"]")).write("bad.toml", plan("run = [\"true\"]\nseverity = \"hihg\""));
    space.write("new.toml", plan("run = [\"true\"]\nretry = {\n  limit = 1,\n}"));
    let _ = space.run(&["check", "new.toml"]).code(0);
    let mut asked = 0;
    for (name, words) in [("tombi", &["lint", "--offline"][..]), ("taplo", &["lint", "--colors", "never"])] {
        let Some(program) = validator(name) else { continue };
        for (file, good) in [("good.toml", true), ("bad.toml", false)] {
            let output =
                Command::new(&program).args(words).arg(file).current_dir(space.path()).output().expect("it runs");
            let said =
                format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
            assert_eq!(output.status.success(), good, "{name} {file}: {said}");
            assert!(good || said.contains("hihg") && said.contains("critical"), "{name}: {said}");
            asked += 1;
        }
        // TOML 1.1 is read by the program and, as the schema says so, by Tombi; Taplo stopped at 1.0.
        let output = Command::new(&program).args(words).arg("new.toml").current_dir(space.path()).output();
        assert_eq!(output.expect("it runs").status.success(), name == "tombi", "{name} on TOML 1.1");
    }
    support::say(&format!("{asked} answers of editors' validators"));
}
