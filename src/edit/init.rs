//! A first plan for a folder, by what lies in it. Takes names and texts; looks at no folder itself.

use serde_json::Value as Json;

use super::draft::{Block, Draft, Step, string, strings};
use super::words::{Ids, slug};
use super::{command, makefile};

/// What lies in a folder, as far as it is of use.
#[derive(Debug, Default)]
pub struct Found {
    /// The folder's name.
    pub folder: String,
    /// It is in a git repository.
    pub git: bool,
    /// Text of the Makefile.
    pub makefile: Option<String>,
    /// Text of `package.json`.
    pub package: Option<String>,
    /// The program that runs its scripts.
    pub package_program: &'static str,
    /// There is a `Cargo.toml`.
    pub cargo: bool,
    /// There is a `go.mod`.
    pub go: bool,
    /// There are tests for pytest.
    pub pytest: bool,
    /// Name of the compose file.
    pub compose: Option<String>,
}

/// Words of targets and scripts that are checks.
const CHECKS: &[&str] =
    &["fmt-check", "format-check", "lint", "check", "typecheck", "type-check", "build", "test", "coverage", "security"];

/// The plan, and what it was made by.
#[must_use]
pub fn propose(found: &Found) -> (Draft, Vec<&'static str>) {
    let mut made = Proposal::default();
    if let Some(text) = &found.makefile {
        let names = makefile::targets(text);
        for word in CHECKS.iter().filter(|word| names.iter().any(|name| name == *word)) {
            made.run("Makefile", word, &["make", word], &format!("make {word}"));
        }
    }
    if found.cargo {
        made.run("Cargo.toml", "fmt-check", &["cargo", "fmt", "--check"], "The code is formatted");
        made.run(
            "Cargo.toml",
            "lint",
            &["cargo", "clippy", "--all-targets", "--", "-D", "warnings"],
            "Clippy has nothing to say",
        );
        made.run("Cargo.toml", "test", &["cargo", "test"], "The tests pass");
    }
    if found.go {
        made.run("go.mod", "vet", &["go", "vet", "./..."], "Vet has nothing to say");
        made.run("go.mod", "test", &["go", "test", "./..."], "The tests pass");
    }
    if let Some(scripts) = found.package.as_deref().and_then(scripts) {
        for word in CHECKS.iter().filter(|word| scripts.iter().any(|(name, _)| name == *word)) {
            let title = format!("{} run {word}", found.package_program);
            made.run("package.json", word, &[found.package_program, "run", word], &title);
        }
    }
    if found.pytest {
        made.run("pytest", "test", &["python3", "-m", "pytest"], "The tests pass");
    }
    if let Some(file) = &found.compose {
        made.run(
            "compose",
            "compose-config",
            &["docker", "compose", "-f", file, "config", "--quiet"],
            "The compose file is valid",
        );
    }
    if found.git {
        let step = Step::new(made.ids.of("committed", "committed"))
            .key("title", string("Everything is committed"))
            .key("git", "{}")
            .key("pass", "[\"clean == true\"]")
            .key("required", "false");
        made.step("git", Step { notes: vec!["Advisory: shown and counted as risk, never blocks.".to_owned()], ..step });
    }
    if made.steps.is_empty() {
        let step = Step::new("hello").key("run", "\"echo hello\"").key("pass", "['stdout contains \"hello\"']");
        made.step(
            "nothing known",
            Step { notes: vec!["An example: put a command of yours in its place.".to_owned()], ..step },
        );
    }
    let name = Some(slug(&found.folder)).filter(|name| !name.is_empty()).unwrap_or_else(|| "checks".to_owned());
    let mut pass: Vec<String> = Vec::new();
    if found.cargo || found.go || found.package.is_some() || found.pytest || found.compose.is_some() {
        let more = ["CARGO_HOME", "RUSTUP_HOME", "GOPATH", "VIRTUAL_ENV", "DOCKER_HOST"];
        let used = [found.cargo, found.cargo, found.go, found.pytest, found.compose.is_some()];
        pass.extend(["PATH", "HOME"].map(str::to_owned));
        pass.extend(more.iter().zip(used).filter(|(_, used)| *used).map(|(name, _)| (*name).to_owned()));
    }
    let draft = Draft {
        head: vec![
            format!("What has to hold before {name} is ready. Each step says what it does or looks at, and under `pass` what must hold."),
            "`runplan -n blueprint.toml` shows what would run, `runplan blueprint.toml` runs it. One more check is one more \
             table, or a line in the shell: `runplan add health --http http://127.0.0.1:8080/health --pass 'latency < 500ms'`."
                .to_owned(),
        ],
        name,
        pass,
        blocks: made.steps.into_iter().map(Block::Step).collect(),
        ..Draft::default()
    };
    (draft, made.by)
}

#[derive(Default)]
struct Proposal {
    ids: Ids,
    steps: Vec<Step>,
    by: Vec<&'static str>,
    words: Vec<String>,
}

impl Proposal {
    fn step(&mut self, by: &'static str, step: Step) {
        if !self.by.contains(&by) {
            self.by.push(by);
        }
        self.steps.push(step);
    }

    /// A command, unless another tool proposed one of the same name: a Makefile's `test` is how this project tests.
    fn run(&mut self, by: &'static str, word: &str, argv: &[&str], title: &str) {
        if self.words.iter().any(|known| known == word) || command::reserve(word).is_some() {
            return;
        }
        self.words.push(word.to_owned());
        let step = Step::new(self.ids.of(word, "step")).key("title", string(title)).key("run", strings(argv));
        self.step(by, step);
    }
}

/// Scripts of a `package.json` that do something.
fn scripts(text: &str) -> Option<Vec<(String, String)>> {
    let tree: Json = serde_json::from_str(text).ok()?;
    let scripts = tree.get("scripts")?.as_object()?;
    let all = scripts.iter().filter_map(|(name, text)| Some((name.clone(), text.as_str()?.to_owned())));
    Some(all.filter(|(_, text)| !text.contains("no test specified")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_there_is_proposed_once() {
        let found = Found {
            folder: "Mi Módulo".into(),
            git: true,
            makefile: Some("test: x\n\tcargo test\nclean:\n\trm x\nbuild: ;\n".into()),
            package: Some(r#"{"scripts": {"lint": "eslint .", "test": "jest", "dev": "vite"}}"#.into()),
            package_program: "npm",
            cargo: true,
            ..Found::default()
        };
        let (draft, by) = propose(&found);
        let ids: Vec<&str> = draft.steps().map(|step| step.id.as_str()).collect();
        assert_eq!(ids, ["test", "fmt-check", "lint", "committed"]);
        assert_eq!(by, ["Makefile", "Cargo.toml", "git"]);
        let text = draft.text();
        assert!(text.contains("name = \"mi-modulo\"") && text.contains("\"CARGO_HOME\""), "{text}");
        let (draft, _) = propose(&Found::default());
        assert_eq!(draft.steps().count(), 1);
        let none = Found {
            package: Some(r#"{"scripts": {"test": "echo \"Error: no test specified\""}}"#.into()),
            ..Found::default()
        };
        assert_eq!(propose(&none).1, ["nothing known"]);
    }
}
