//! Completion in the shell: a few lines for each shell, which ask the program itself, and what may stand at a place of the
//! command line. Looks at words only; names of steps and runs are told by whoever knows them.

use clap::{Arg, Command as Clap, ValueEnum};

/// Shells with completion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Shell {
    /// bash
    Bash,
    /// zsh
    Zsh,
    /// fish
    Fish,
}

/// What may stand at a place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Candidates {
    /// What is there of the word.
    pub current: String,
    /// Words that are known.
    pub words: Vec<String>,
    /// Steps of this plan too.
    pub steps_of: Option<String>,
    /// Tags of this plan too.
    pub tags_of: Option<String>,
    /// Runs too.
    pub runs: bool,
    /// Files too: the shell knows them better.
    pub files: bool,
}

const BASH: &str = r#"_runplan() {
  local IFS=$'\n' word=${COMP_WORDS[COMP_CWORD]} line
  COMPREPLY=()
  for line in $(runplan complete -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null); do
    if [ "$line" = ":files" ]; then compopt -o default; else COMPREPLY+=("$line"); fi
  done
}
complete -F _runplan runplan
"#;

const ZSH: &str = r#"#compdef runplan
_runplan() {
  local -a lines
  lines=("${(@f)$(runplan complete -- "${(@)words[2,CURRENT]}" 2>/dev/null)}")
  if (( ${lines[(Ie):files]} )); then _files; fi
  lines=(${lines:#:files})
  if (( $#lines )); then compadd -a lines; fi
}
if [ "$funcstack[1]" = "_runplan" ]; then _runplan "$@"; else compdef _runplan runplan; fi
"#;

const FISH: &str = r#"function __runplan
  set -l words (commandline -opc) (commandline -ct)
  for line in (runplan complete -- $words[2..-1] 2>/dev/null)
    if test "$line" = ":files"
      __fish_complete_path (commandline -ct)
    else
      echo $line
    end
  end
end
complete -c runplan -f -a '(__runplan)'
"#;

impl Shell {
    /// What the shell reads at its start.
    #[must_use]
    pub fn script(self) -> &'static str {
        match self {
            Self::Bash => BASH,
            Self::Zsh => ZSH,
            Self::Fish => FISH,
        }
    }
}

/// What may stand where the last of these words is, which is not whole yet.
pub(super) fn candidates(top: &Clap, words: &[String]) -> Candidates {
    let (current, before) = words.split_last().map_or(("", &[][..]), |(last, rest)| (last.as_str(), rest));
    let first = before.iter().position(|word| !word.starts_with('-'));
    let named = first.and_then(|at| top.find_subcommand(&before[at]).map(|sub| (at, sub)));
    let Some(sub) = named.map(|(_, sub)| sub).or_else(|| top.find_subcommand("run")) else {
        return Candidates::default();
    };
    let rest: Vec<&str> = before
        .iter()
        .enumerate()
        .filter(|(at, _)| named.is_none_or(|(of, _)| *at != of))
        .map(|(_, word)| word.as_str())
        .collect();
    let line = Line::read(sub, &rest);
    let mut found = if let Some(option) = line.open {
        values(option, sub.get_name(), &line.plan)
    } else if current.starts_with('-') {
        let long = sub.get_arguments().filter(|arg| !arg.is_hide_set()).filter_map(Arg::get_long);
        Candidates {
            words: long.map(|name| format!("--{name}")).chain(["--help".to_owned()]).collect(),
            ..Candidates::default()
        }
    } else {
        let mut found = positional(sub, line.positionals, &line.plan);
        if named.is_none() && line.positionals == 0 {
            let subs = top.get_subcommands().filter(|sub| !sub.is_hide_set());
            found.words.extend(subs.map(|sub| sub.get_name().to_owned()));
        }
        found
    };
    found.words.retain(|word| word.starts_with(current));
    current.clone_into(&mut found.current);
    found
}

/// A command line as far as it is written.
struct Line<'a> {
    /// The option that waits for its value.
    open: Option<&'a Arg>,
    /// How many words there are that belong to no option.
    positionals: usize,
    /// The plan that it is about.
    plan: String,
}

impl<'a> Line<'a> {
    fn read(sub: &'a Clap, words: &[&str]) -> Self {
        let mut line = Self { open: None, positionals: 0, plan: "blueprint.toml".to_owned() };
        let has_plan = ["run", "check", "list", "explain", "fmt", "graph"].contains(&sub.get_name());
        for word in words {
            if let Some(option) = line.open.take() {
                if option.get_id() == "path" {
                    (*word).clone_into(&mut line.plan);
                }
                continue;
            }
            let long = word.strip_prefix("--").filter(|name| !name.is_empty());
            let short = word.strip_prefix('-').filter(|_| long.is_none()).and_then(|name| name.chars().last());
            let option = sub.get_arguments().find(|arg| {
                long.is_some_and(|name| arg.get_long() == Some(name)) || short.is_some() && arg.get_short() == short
            });
            line.open = option.filter(|arg| takes_value(arg));
            if option.is_none() && !word.starts_with('-') {
                let is_path = word.contains(['.', '/']);
                if has_plan && line.positionals == 0 && (is_path || sub.get_name() != "explain") {
                    (*word).clone_into(&mut line.plan);
                }
                line.positionals += 1;
            }
        }
        line
    }
}

/// Whether the word behind an option is its value.
fn takes_value(arg: &Arg) -> bool {
    arg.get_action().takes_values() && !arg.is_require_equals_set()
}

fn values(option: &Arg, sub: &str, plan: &str) -> Candidates {
    let known: Vec<String> = option.get_possible_values().iter().map(|value| value.get_name().to_owned()).collect();
    if !known.is_empty() {
        return Candidates { words: known, ..Candidates::default() };
    }
    let steps = ["needs", "after", "after_step", "skip", "from", "until", "step", "gate", "focus"];
    match option.get_id().as_str() {
        "run" if sub == "graph" => Candidates { runs: true, files: true, ..Candidates::default() },
        "tag" => Candidates { tags_of: Some(plan.to_owned()), ..Candidates::default() },
        id if steps.contains(&id) && (sub != "add" || id != "step") => {
            Candidates { steps_of: Some(plan.to_owned()), ..Candidates::default() }
        }
        "vars" | "pass" | "warn" | "title" | "http" | "net" | "signoff" | "timeout" | "role" | "who" | "comment" => {
            Candidates::default()
        }
        _ => Candidates { files: true, ..Candidates::default() },
    }
}

fn positional(sub: &Clap, at: usize, plan: &str) -> Candidates {
    let steps = || Candidates { steps_of: Some(plan.to_owned()), ..Candidates::default() };
    let files = || Candidates { files: true, ..Candidates::default() };
    match (sub.get_name(), at) {
        ("run" | "graph", 0) | ("check" | "list" | "import" | "init", 0) | ("fmt", _) => files(),
        ("run", _) | ("explain", 1) => steps(),
        ("explain", 0) => Candidates { files: true, ..steps() },
        ("completions", 0) => {
            let shells = Shell::value_variants().iter().filter_map(ValueEnum::to_possible_value);
            Candidates { words: shells.map(|shell| shell.get_name().to_owned()).collect(), ..Candidates::default() }
        }
        (_, at) => {
            let names_run =
                sub.get_positionals().nth(at).is_some_and(|arg| ["run", "a", "b"].contains(&arg.get_id().as_str()));
            Candidates { runs: names_run, files: names_run, ..Candidates::default() }
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn at(line: &str) -> Candidates {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let mut top = super::super::Top::command();
        top.build();
        candidates(&top, &words)
    }

    #[test]
    fn every_place_has_its_words() {
        let steps = |line: &str| at(line).steps_of;
        let plan = |name: &str| Some(name.to_owned());
        assert_eq!(steps("p.toml "), plan("p.toml"));
        assert_eq!(steps("run p.toml a b"), plan("p.toml"));
        assert_eq!(steps("-n -j 4 d/p.toml --skip "), plan("d/p.toml"));
        assert_eq!(steps("explain "), plan("blueprint.toml"));
        assert_eq!(steps("explain p.toml u"), plan("p.toml"));
        assert_eq!(steps("add new --plan q.toml --needs "), plan("q.toml"));
        assert_eq!(steps("add new --after-step "), plan("blueprint.toml"));
        assert_eq!(steps("graph p.toml --focus "), plan("p.toml"));
        assert!(at("graph --run ").runs && at("graph --format m").words == ["mermaid"]);
        assert_eq!(at("p.toml --tag ").tags_of, plan("p.toml"));
        assert_eq!(at("p.toml --tag ").steps_of, None);
        assert!(
            at("exp").words.contains(&"explain".to_owned())
                && at("exp").files
                && !at("exp").words.contains(&"add".to_owned())
        );
        assert_eq!(at("fmt --ch").words, ["--check"]);
        assert_eq!(at("p.toml --progress p").words, ["plain"]);
        assert_eq!(at("completions ").words, ["bash", "zsh", "fish"]);
        assert!(at("show ").runs && at("diff x ").runs && !at("check ").runs && at("check ").files);
        assert!(at("import x.md -o ").files && !at("add new --title ").files);
        assert_eq!(at("add n --run "), Candidates { files: true, ..Candidates::default() });
        assert!(at("").words.contains(&"init".to_owned()) && !at("").words.contains(&"complete".to_owned()));
    }
}
