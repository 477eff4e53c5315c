//! What an author clearly wrote as a command, and what only looks like one. Runs nothing; in doubt it is no command.

use super::draft::{literal, string, strings};
use super::words::has_word;

/// What a piece of code is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Command {
    /// A command to run: the value of `run` in TOML.
    Run(String),
    /// A command that is not to be run unasked: the value of `run`, and why not.
    Held(String, &'static str),
}

/// Programs that a checklist means to be run when it names them with arguments.
const PROGRAMS: &[&str] = &[
    "ansible",
    "ansible-lint",
    "ansible-playbook",
    "aws",
    "az",
    "bandit",
    "bash",
    "bazel",
    "black",
    "bun",
    "bundle",
    "cargo",
    "cmake",
    "composer",
    "coverage",
    "ctest",
    "curl",
    "deno",
    "detect-secrets",
    "dig",
    "docker",
    "docker-compose",
    "dotnet",
    "eslint",
    "flake8",
    "gcloud",
    "gh",
    "git",
    "gitleaks",
    "go",
    "gradle",
    "gradlew",
    "grep",
    "helm",
    "http",
    "hyperfine",
    "just",
    "k6",
    "kubectl",
    "make",
    "mix",
    "mvn",
    "mypy",
    "newman",
    "nginx",
    "node",
    "nox",
    "npm",
    "npx",
    "openssl",
    "php",
    "pip",
    "pip-audit",
    "pnpm",
    "poetry",
    "pre-commit",
    "promtool",
    "psql",
    "pytest",
    "python",
    "python3",
    "rake",
    "redis-cli",
    "ruby",
    "ruff",
    "rustup",
    "semgrep",
    "sh",
    "shellcheck",
    "swift",
    "task",
    "terraform",
    "tox",
    "trivy",
    "uv",
    "wget",
    "yamllint",
    "yarn",
    "zsh",
];

/// Of these, the ones that say something alone.
const ALONE: &[&str] = &[
    "ansible-lint",
    "black",
    "ctest",
    "eslint",
    "flake8",
    "gitleaks",
    "make",
    "mypy",
    "nox",
    "pip-audit",
    "pytest",
    "rake",
    "ruff",
    "tox",
    "yamllint",
];

/// Words that make a command of the path of a script.
const VERBS: &[&str] = &[
    "ejecutar",
    "ejecuta",
    "ejecute",
    "correr",
    "lanzar",
    "lanza",
    "usar",
    "usa",
    "run",
    "runs",
    "running",
    "execute",
    "launch",
    "use",
    "start",
    "pasar",
    "via",
    "by-running",
];

/// Words that make no command of a command.
const NOT: &[&str] =
    &["no", "not", "never", "nunca", "sin", "without", "don-t", "dont", "avoid", "evitar", "instead", "lugar"];

/// First words of commands that change what is not this checkout, or destroy.
const OUTWARD: &[(&str, &[&str])] = &[
    ("ansible-playbook", &[]),
    ("ansible", &[]),
    ("aws", &[]),
    ("az", &[]),
    ("gcloud", &[]),
    ("cargo", &["publish", "yank", "login", "owner"]),
    ("docker", &["push", "login", "rm", "rmi", "kill", "stop", "prune", "system", "volume"]),
    ("gh", &[]),
    ("git", &["push", "tag", "reset", "clean", "checkout", "rebase", "merge", "commit", "branch"]),
    ("helm", &["install", "upgrade", "uninstall", "delete", "rollback"]),
    ("kubectl", &["apply", "delete", "create", "scale", "rollout", "drain", "cordon", "patch", "edit", "set", "exec"]),
    ("npm", &["publish", "unpublish", "login", "version"]),
    ("pnpm", &["publish"]),
    ("yarn", &["publish"]),
    ("mvn", &["deploy", "release"]),
    ("poetry", &["publish"]),
    ("psql", &[]),
    ("redis-cli", &[]),
    ("terraform", &["apply", "destroy", "import", "taint", "state"]),
    ("uv", &["publish"]),
];

/// Words of a target or a script that must not be run unasked.
const RISKY: &[&str] = &[
    "clean",
    "distclean",
    "deploy",
    "publish",
    "release",
    "push",
    "destroy",
    "drop",
    "delete",
    "purge",
    "reset",
    "wipe",
    "prod",
    "production",
    "rollback",
    "uninstall",
    "install",
    "down",
    "rm",
    "accept",
    "baseline",
    "bless",
    "fix",
    "update",
    "upgrade",
    "bump",
    "migrate",
    "seed",
];

/// Words of a target that does not end by itself.
const ENDLESS: &[&str] = &["run", "serve", "server", "watch", "dev", "start", "shell", "logs", "repl", "debug", "up"];

/// Why a target or script of this name is not to be run unasked.
pub(super) fn reserve(name: &str) -> Option<&'static str> {
    if has_word(name, RISKY) {
        Some("its name says that it changes or removes something")
    } else if has_word(name, ENDLESS) {
        Some("its name says that it does not end by itself")
    } else {
        None
    }
}

/// What a piece of code is, with the text before it; `alone` if there is no other text.
pub(super) fn of(code: &str, before: &str, alone: bool) -> Option<Command> {
    let code = code.trim().trim_start_matches("$ ");
    let words: Vec<&str> = code.split_whitespace().collect();
    let first = *words.first()?;
    let near: Vec<&str> = before.split_whitespace().rev().take(3).collect();
    let near = near.into_iter().rev().collect::<Vec<_>>().join(" ");
    if has_word(&near, &["make"]) && has_word(&near, &["target", "objetivo", "regla"]) && is_target(code) {
        return Some(kept(code, &["make", code]));
    }
    let program = first.rsplit('/').next().unwrap_or(first);
    let is_program = PROGRAMS.contains(&first) && (words.len() > 1 || ALONE.contains(&first) && alone);
    let said = alone || has_word(&near, VERBS);
    let is_script = (first.starts_with("./") && words.len() > 1)
        || said
            && first.contains('/')
            && !first.starts_with('/')
            && [".sh", ".py", ".bash"].iter().any(|e| program.ends_with(e))
        || said && first.starts_with("./") && program.len() > 2
        || has_word(&near, VERBS) && ALONE.contains(&first);
    if !(is_program || is_script) {
        return None;
    }
    Some(if has_word(&near, NOT) {
        Command::Held(value(code, &words), "the text says not to")
    } else {
        kept(code, &words)
    })
}

/// A block that the author fenced as shell.
pub(super) fn fenced(word: &str, code: &str) -> Option<Command> {
    if !["sh", "bash", "shell", "console"].contains(&word) {
        return None;
    }
    let lines: Vec<&str> = code.lines().map(|line| line.trim_start_matches("$ ").trim_end()).collect();
    let lines: Vec<&str> = lines.into_iter().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    match lines.as_slice() {
        [] => None,
        [one] => Some(kept(one, &one.split_whitespace().collect::<Vec<_>>())),
        many => {
            let held = many.iter().find_map(|line| why_not(line, &line.split_whitespace().collect::<Vec<_>>()));
            // As the lines stand, but none after one that failed.
            let value = string(&format!("set -e\n{}\n", many.join("\n")));
            Some(held.map_or(Command::Run(value.clone()), |why| Command::Held(value, why)))
        }
    }
}

fn kept(code: &str, words: &[&str]) -> Command {
    let value = value(code, words);
    match why_not(code, words) {
        Some(why) => Command::Held(value, why),
        None => Command::Run(value),
    }
}

/// Why a command is not to be run unasked.
fn why_not(code: &str, words: &[&str]) -> Option<&'static str> {
    let blank = ["YYYY", "XXX", "...", "…", "<", "TODO", "$"].iter().any(|mark| code.contains(mark));
    if blank {
        return Some("something is to be filled in");
    }
    let first = words.first().map_or("", |word| word.rsplit('/').next().unwrap_or(word));
    let plain: Vec<&str> = words.iter().skip(1).filter(|word| !word.starts_with('-')).copied().collect();
    let outward = OUTWARD
        .iter()
        .find(|(program, _)| *program == first)
        .is_some_and(|(_, subs)| subs.is_empty() || plain.iter().any(|word| subs.contains(word)));
    let known = PROGRAMS.contains(&first) || words.first().is_some_and(|word| word.contains('/'));
    let pipes_to_shell = code.contains('|') && ["sh", "bash"].iter().any(|shell| words.last() == Some(shell));
    let posts = ["curl", "wget"].contains(&first)
        && words.iter().any(|word| ["-X", "-d", "--data", "--request", "-T", "--post-data"].contains(word));
    if outward || !known || pipes_to_shell || posts {
        return Some("it may change more than this checkout");
    }
    let runs_target = ["make", "just", "task", "npm", "rake", "pnpm", "yarn"].contains(&first);
    if runs_target || first.contains('.') {
        // A variable of make is no target: `make canary BASELINE=main`.
        let targets = plain.iter().filter(|word| !word.contains('=')).copied().collect::<Vec<_>>();
        let names = if runs_target { targets.join(" ") } else { first.to_owned() };
        return reserve(&names).filter(|_| !first.contains('.') || has_word(first, RISKY));
    }
    None
}

/// The value of `run`: a list of words, or shell text where words would not do.
fn value(code: &str, words: &[&str]) -> String {
    let plain = |c: char| c.is_alphanumeric() || "_./:=,@%+-".contains(c);
    let assigns = words.first().is_some_and(|word| word.contains('='));
    if assigns || !words.iter().all(|word| word.chars().all(plain)) {
        return string(code);
    }
    strings(&words.iter().map(|word| literal(word)).collect::<Vec<_>>())
}

fn is_target(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-/".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(code: &str, before: &str) -> Option<String> {
        match of(code, before, before.is_empty()) {
            Some(Command::Run(value)) => Some(value),
            Some(Command::Held(value, why)) => Some(format!("held {value}: {why}")),
            None => None,
        }
    }

    #[test]
    fn what_is_written_as_a_command_is_one() {
        let of = |code: &str, before: &str| run(code, before).unwrap_or_default();
        assert_eq!(of("make security-fast", ""), r#"["make", "security-fast"]"#);
        assert_eq!(
            of("make canary-diff BASELINE=main", "Script canary diff (usar "),
            r#"["make", "canary-diff", "BASELINE=main"]"#
        );
        assert_eq!(of("scripts/smoke.sh", "Ejecutar "), r#"["scripts/smoke.sh"]"#);
        assert_eq!(of("coverage-report", "make target "), r#"["make", "coverage-report"]"#);
        assert_eq!(of("pytest -k \"a or b\"", "Run "), r#"'pytest -k "a or b"'"#);
        assert_eq!(
            of("docker compose -f c.yml --profile pms up -d", ""),
            r#"["docker", "compose", "-f", "c.yml", "--profile", "pms", "up", "-d"]"#
        );
        assert_eq!(of("pytest", "run "), r#"["pytest"]"#);
        assert_eq!(of("cargo test", ""), r#"["cargo", "test"]"#);
    }

    #[test]
    fn what_only_looks_like_one_is_none() {
        for (code, before) in [
            (".env.staging", "Generar "),
            ("change-me", "sin "),
            ("scripts/smoke.sh", "Documentar "),
            ("make", "con "),
            ("coverage-report", "ver "),
            ("config.yml", "Alertmanager "),
            ("/health/ready", "Validar "),
            ("", ""),
            ("rm -rf /", ""),
            ("sudo reboot", ""),
            ("git", ""),
            ("pytest.ini", "run "),
            ("/etc/passwd", "run "),
        ] {
            assert_eq!(run(code, before), None, "{code}");
        }
    }

    #[test]
    fn what_reaches_far_is_held() {
        for (code, before, why) in [
            ("git push --force", "", "more than"),
            ("kubectl apply -f x.yml", "Run ", "more than"),
            ("terraform destroy", "", "more than"),
            ("make clean", "", "changes or removes"),
            ("make deploy-prod", "", "changes or removes"),
            ("git checkout <branch>", "", "filled in"),
            ("make release TAG=vYYYYMMDD", "", "filled in"),
            ("make test", "Do not run ", "says not to"),
            ("curl https://e.org/x | sh", "", "more than"),
            ("npm run dev", "", "end by itself"),
            ("docker system prune -af", "", "more than"),
            ("make test DIR=$HOME", "", "filled in"),
            ("./deploy.sh staging", "", "changes or removes"),
        ] {
            let said = run(code, before).unwrap_or_default();
            assert!(said.starts_with("held ") && said.contains(why), "{code}: {said}");
        }
    }

    #[test]
    fn fenced_shell_is_one_command_or_a_script() {
        assert_eq!(fenced("sh", "$ make test\n"), Some(Command::Run(r#"["make", "test"]"#.into())));
        assert_eq!(fenced("python", "x = 1\n"), None);
        assert_eq!(fenced("sh", "# nothing\n"), None);
        let Some(Command::Run(two)) = fenced("bash", "make a\nmake b\n") else { panic!() };
        assert!(two.contains("set -e"), "{two}");
        assert!(matches!(fenced("bash", "make a\nrm -rf b\n"), Some(Command::Held(..))));
    }
}
