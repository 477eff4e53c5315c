//! `git`: looks at the repository that the step's folder lies in, and at a tag; makes and pushes that tag if asked to.
//! Never moves a tag, never pushes by force.
//!
//! Facts: `head` (Text, full commit id; absent in a repository without commits), `branch` (Text; absent if none is checked
//! out), `clean` (Bool, if wanted); with a tag, `tag` (Map): `name`, `exists`, `made`, and where they apply `commit`,
//! `annotated`, `signed`, `target`; if wanted or pushed to, `remote` (Map) from the name of a remote to `has_tag` and
//! `commit`. A remote that cannot be asked is left out with a note. Inspected: 1 `repository`.
//!
//! Making is idempotent: a tag that is already on the commit, here or on the remote, is kept (one that only the remote has
//! is fetched). A tag on another commit stays where it is, and nothing is pushed: then `tag.commit` and `tag.target`
//! differ. The `git` program runs without hooks, prompts, editors and background work of its own.

use std::collections::BTreeMap;

use super::blocking::misrouted;
use super::tool::{Said, Tool};
use super::{Act, ActError, Lent, Look, Observation, Request};
use crate::action::{Action, GitSpec, MakeTag};
use crate::facts::{Facts, Value};
use crate::outcome::{Cause, Note};

/// Set for every command.
const SET: [(&str, &str); 5] = [
    ("LC_ALL", "C"),
    ("GIT_TERMINAL_PROMPT", "0"),
    ("GIT_OPTIONAL_LOCKS", "0"),
    ("GIT_PAGER", "cat"),
    ("GIT_EDITOR", "false"),
];

/// They would lead to another repository than the one that the step's folder lies in.
const UNSET: [&str; 7] = [
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_PREFIX",
    "GIT_NAMESPACE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_COMMON_DIR",
];

/// Settings of every command: nothing of the user's runs beside it. In the environment, so that messages stay short.
const SETTINGS: [(&str, &str); 11] = [
    ("GIT_CONFIG_COUNT", "5"),
    ("GIT_CONFIG_KEY_0", "core.hooksPath"),
    ("GIT_CONFIG_VALUE_0", "/dev/null"),
    ("GIT_CONFIG_KEY_1", "core.fsmonitor"),
    ("GIT_CONFIG_VALUE_1", "false"),
    ("GIT_CONFIG_KEY_2", "gc.auto"),
    ("GIT_CONFIG_VALUE_2", "0"),
    ("GIT_CONFIG_KEY_3", "maintenance.auto"),
    ("GIT_CONFIG_VALUE_3", "false"),
    ("GIT_CONFIG_KEY_4", "color.ui"),
    ("GIT_CONFIG_VALUE_4", "false"),
];

/// The `git` action.
#[derive(Clone, Copy, Debug, Default)]
pub struct Git;

impl Act for Git {
    fn look<'a>(&'a self, request: &'a Request, lent: &'a Lent) -> Look<'a> {
        Box::pin(async move {
            let Action::Git(spec) = &request.action else { return Err(misrouted(request, "git")) };
            let mut set = [SET.as_slice(), &SETTINGS].concat();
            if !request.env.iter().any(|(name, _)| name == "GIT_SSH_COMMAND" || name == "GIT_SSH") {
                set.push(("GIT_SSH_COMMAND", "ssh -oBatchMode=yes"));
            }
            let repository = Repository { tool: Tool::new(request, lent, &set, &UNSET)? };
            let seen = repository.look(spec, request).await;
            let output_bytes = repository.tool.keep()?;
            match seen {
                Ok(seen) => Ok(Observation { output_bytes, ..seen }),
                Err(error) => Err(ActError { output_bytes, exit: None, ..error }),
            }
        })
    }
}

/// A tag, here or on a remote.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Tag {
    /// What it leads to, if that is a commit.
    commit: Option<String>,
    annotated: bool,
    signed: bool,
}

/// What became of a tag that was to be made.
#[derive(Default)]
struct Made {
    target: Option<String>,
    made: bool,
}

struct Repository<'a> {
    tool: Tool<'a>,
}

fn failed(detail: impl Into<String>) -> ActError {
    ActError::new(Cause::ActionError, detail)
}

impl Repository<'_> {
    async fn git(&self, args: &[&str]) -> Result<Said, ActError> {
        let argv = std::iter::once("git").chain(args.iter().copied());
        self.tool.run(argv.map(str::to_owned).collect()).await
    }

    /// What a command says that only looks; `None` if it has nothing to say.
    async fn ask(&self, args: &[&str]) -> Result<Option<String>, ActError> {
        let said = self.git(args).await?;
        Ok(said.ok().then(|| said.stdout.trim().to_owned()).filter(|text| !text.is_empty()))
    }

    async fn look(&self, spec: &GitSpec, request: &Request) -> Result<Observation, ActError> {
        let found = self.git(&["rev-parse", "--git-dir"]).await?;
        if !found.ok() {
            return Err(failed(format!("no git repository to look at: {}", found.why())));
        }
        let mut notes = Vec::new();
        let mut facts = Facts::about(1, "repository");
        let head = self.commit("HEAD").await?;
        let branch = self.ask(&["symbolic-ref", "--quiet", "--short", "HEAD"]).await?;
        for (name, value) in [("head", head), ("branch", branch)] {
            facts.set(name, value.map_or(Value::Null, Value::Text));
        }
        if request.wants.contains("clean") {
            let status = self.git(&["status", "--porcelain=v1", "--untracked-files=normal"]).await?;
            if !status.ok() {
                return Err(failed(format!("cannot tell whether anything is changed: {}", status.why())));
            }
            facts.set("clean", Value::Bool(status.stdout.is_empty()));
        }
        let Some(name) = spec.tag.as_ref().map(crate::action::Text::as_str) else {
            return Ok(Observation { facts, notes, ..Observation::default() });
        };
        let sound = !name.starts_with('-') && self.git(&["check-ref-format", &reference(name)]).await?.ok();
        if !sound {
            return Err(failed(format!("`{name}` is not a name that git allows for a tag")));
        }
        let made = match &spec.make {
            Some(make) => self.make(name, make, &mut notes).await?,
            None => Made::default(),
        };
        facts.set("tag", tag_facts(name, self.tag(name).await?.as_ref(), &made));
        let pushed = spec.make.as_ref().and_then(|make| make.push.as_deref());
        if pushed.is_some() || request.wants.contains("remote") {
            facts.set("remote", self.remotes(name, pushed, request, &mut notes).await?);
        }
        Ok(Observation { facts, notes, ..Observation::default() })
    }

    /// The commit that a name leads to.
    async fn commit(&self, name: &str) -> Result<Option<String>, ActError> {
        let name = format!("{name}^{{commit}}");
        self.ask(&["rev-parse", "--verify", "--quiet", "--end-of-options", &name]).await
    }

    /// The tag of this repository.
    async fn tag(&self, name: &str) -> Result<Option<Tag>, ActError> {
        let reference = reference(name);
        if !self.git(&["show-ref", "--verify", "--quiet", &reference]).await?.ok() {
            return Ok(None);
        }
        let annotated = self.ask(&["cat-file", "-t", &reference]).await?.as_deref() == Some("tag");
        let body = if annotated { self.ask(&["cat-file", "tag", &reference]).await? } else { None };
        let signature = |line: &str| line.starts_with("-----BEGIN ") && line.contains(" SIGN");
        let signed = body.is_some_and(|body| body.lines().any(signature));
        Ok(Some(Tag { commit: self.commit(&reference).await?, annotated, signed }))
    }

    /// The tag of a remote; the error is why it cannot be asked.
    async fn tag_on(&self, remote: &str, name: &str) -> Result<Result<Option<Tag>, String>, ActError> {
        let reference = reference(name);
        let peeled = format!("{reference}^{{}}");
        let said = self.git(&["ls-remote", "--quiet", "--", remote, &reference, &peeled]).await?;
        if !said.ok() {
            return Ok(Err(format!("the remote `{remote}` cannot be asked: {}", said.why())));
        }
        let mut tag: Option<Tag> = None;
        for (object, line) in said.stdout.lines().filter_map(|line| line.split_once('\t')) {
            let commit = Some(object.to_owned());
            if line == reference && tag.is_none() {
                tag = Some(Tag { commit, ..Tag::default() });
            } else if line == peeled {
                tag = Some(Tag { commit, annotated: true, signed: false });
            }
        }
        Ok(Ok(tag))
    }

    /// Makes the tag and pushes it, as far as that is still to be done.
    async fn make(&self, name: &str, make: &MakeTag, notes: &mut Vec<Note>) -> Result<Made, ActError> {
        let at = make.at.as_str();
        let Some(target) = self.commit(at).await? else {
            return Err(failed(format!("there is no commit `{at}` to put the tag `{name}` on")));
        };
        let mut there = None;
        if let Some(remote) = &make.push {
            self.known_remote(remote).await?;
            there = self.tag_on(remote, name).await?.map_err(failed)?;
        }
        let mut here = self.tag(name).await?;
        if let (None, Some(_), Some(remote)) = (&here, &there, &make.push) {
            let refspec = format!("{0}:{0}", reference(name));
            let said = self.git(&["fetch", "--quiet", "--no-tags", "--", remote, &refspec]).await?;
            here = self.tag(name).await?;
            if here.is_none() {
                return Err(failed(format!("the tag `{name}` of `{remote}` could not be fetched: {}", said.why())));
            }
        }
        let mut made = false;
        if here.is_none() {
            let said = self.git(&creation(name, &target, make)).await?;
            here = self.tag(name).await?;
            made = said.ok();
            if here.is_none() {
                return Err(failed(format!("the tag `{name}` could not be made: {}{}", said.why(), hint(&said))));
            }
        }
        let commit = here.and_then(|tag| tag.commit);
        if commit.as_ref() != Some(&target) {
            notes.push(elsewhere(name, "it", commit.as_deref(), &target));
        } else if let Some(remote) = &make.push {
            match there {
                None => self.push(remote, name, &target).await?,
                Some(tag) if tag.commit.as_ref() == Some(&target) => {}
                Some(tag) => notes.push(elsewhere(name, &format!("on `{remote}` it"), tag.commit.as_deref(), &target)),
            }
        }
        Ok(Made { target: Some(target), made })
    }

    async fn push(&self, remote: &str, name: &str, target: &str) -> Result<(), ActError> {
        let refspec = format!("{0}:{0}", reference(name));
        let said =
            self.git(&["push", "--no-verify", "--no-follow-tags", "--no-signed", "--", remote, &refspec]).await?;
        if said.ok() {
            return Ok(());
        }
        // Somebody may have pushed the same in the meantime.
        match self.tag_on(remote, name).await? {
            Ok(Some(tag)) if tag.commit.as_deref() == Some(target) => Ok(()),
            _ => Err(failed(format!("the tag `{name}` could not be pushed to `{remote}`: {}", said.why()))),
        }
    }

    async fn remote_names(&self) -> Result<Vec<String>, ActError> {
        Ok(self.ask(&["remote"]).await?.unwrap_or_default().lines().map(str::to_owned).collect())
    }

    async fn known_remote(&self, wanted: &str) -> Result<(), ActError> {
        let names = self.remote_names().await?;
        if names.iter().any(|name| name == wanted) {
            return Ok(());
        }
        let there = if names.is_empty() { "none is".to_owned() } else { format!("`{}`", names.join("`, `")) };
        Err(failed(format!("no remote `{wanted}` is configured; {there} (`git remote add {wanted} URL`)")))
    }

    /// What the remotes have: all of them if criteria ask, else the one that was pushed to.
    async fn remotes(
        &self,
        name: &str,
        pushed: Option<&str>,
        request: &Request,
        notes: &mut Vec<Note>,
    ) -> Result<Value, ActError> {
        let names = match pushed {
            Some(remote) if !request.wants.contains("remote") => vec![remote.to_owned()],
            _ => self.remote_names().await?,
        };
        let mut remotes = BTreeMap::new();
        for remote in names {
            match self.tag_on(&remote, name).await? {
                Ok(tag) => {
                    let mut facts = BTreeMap::from([("has_tag".to_owned(), Value::Bool(tag.is_some()))]);
                    facts.extend(
                        tag.and_then(|tag| tag.commit).map(|commit| ("commit".to_owned(), Value::Text(commit))),
                    );
                    remotes.insert(remote, Value::Map(facts));
                }
                Err(why) if pushed == Some(&remote) => return Err(failed(why)),
                Err(why) => notes.push(Note { code: "remote_unreachable".into(), text: why }),
            }
        }
        Ok(Value::Map(remotes))
    }
}

fn reference(name: &str) -> String {
    format!("refs/tags/{name}")
}

/// Arguments that make a tag.
fn creation<'a>(name: &'a str, target: &'a str, make: &'a MakeTag) -> Vec<&'a str> {
    let mut args = vec!["tag"];
    match &make.annotate {
        Some(message) if make.sign => args.extend(["--sign", "--cleanup=verbatim", "-m", message.as_str()]),
        Some(message) => args.extend(["--no-sign", "--annotate", "--cleanup=verbatim", "-m", message.as_str()]),
        None => args.push("--no-sign"),
    }
    args.extend(["--", name, target]);
    args
}

fn hint(said: &Said) -> &'static str {
    if said.stderr.contains("tell me who you are") || said.stderr.contains("empty ident") {
        " (an annotated tag has an author: set `GIT_COMMITTER_NAME` and `GIT_COMMITTER_EMAIL` in the step's `env`, or `git config user.name`)"
    } else {
        ""
    }
}

fn elsewhere(name: &str, where_: &str, commit: Option<&str>, target: &str) -> Note {
    let short = |id: &str| id.get(..12).unwrap_or(id).to_owned();
    let leads = commit.map_or("to no commit".to_owned(), |commit| format!("to {}", short(commit)));
    let text = format!(
        "the tag `{name}` is taken: {where_} leads {leads}, not to {}; tags are never moved: choose another name, or delete it by hand",
        short(target)
    );
    Note { code: "tag_elsewhere".into(), text }
}

fn tag_facts(name: &str, tag: Option<&Tag>, made: &Made) -> Value {
    let mut facts = BTreeMap::from([
        ("name".to_owned(), Value::text(name)),
        ("exists".to_owned(), Value::Bool(tag.is_some())),
        ("made".to_owned(), Value::Bool(made.made)),
    ]);
    let mut put = |name: &str, value: Value| drop(facts.insert(name.to_owned(), value));
    if let Some(tag) = tag {
        put("annotated", Value::Bool(tag.annotated));
        put("signed", Value::Bool(tag.signed));
        if let Some(commit) = &tag.commit {
            put("commit", Value::text(commit));
        }
    }
    if let Some(target) = &made.target {
        put("target", Value::text(target));
    }
    Value::Map(facts)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::super::testing::{Bench, block_on};
    use super::*;
    use crate::action::Text;

    const WHO: [(&str, &str); 4] = [
        ("GIT_AUTHOR_NAME", "A"),
        ("GIT_AUTHOR_EMAIL", "a@example.org"),
        ("GIT_COMMITTER_NAME", "A"),
        ("GIT_COMMITTER_EMAIL", "a@example.org"),
    ];

    fn git(bench: &Bench, args: &[&str]) -> String {
        let output = Command::new("git")
            .current_dir(bench.dir.path())
            .envs(WHO)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .args(args)
            .output()
            .unwrap();
        assert!(output.status.success(), "{args:?} {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// A repository with one commit and a bare one as `origin`.
    fn bench() -> Bench {
        let bench = Bench::new();
        git(&bench, &["init", "--quiet", "--initial-branch=main", "."]);
        git(&bench, &["init", "--quiet", "--bare", "origin.git"]);
        git(&bench, &["remote", "add", "origin", "./origin.git"]);
        std::fs::write(bench.dir.path().join(".gitignore"), "spool\norigin.git\n").unwrap();
        git(&bench, &["add", ".gitignore"]);
        git(&bench, &["commit", "--quiet", "-m", "first"]);
        bench
    }

    fn look(bench: &Bench, spec: GitSpec, wants: &[&str]) -> Result<Observation, String> {
        let mut request = bench.request(Action::Git(Box::new(spec)));
        request.env.extend(WHO.map(|(name, value)| (name.into(), value.into())));
        request.env.push(("GIT_CONFIG_GLOBAL".into(), "/dev/null".into()));
        request.env.push(("GIT_DIR".into(), "/nowhere".into()));
        request.wants = wants.iter().map(|&name| name.to_owned()).collect();
        block_on(Git.look(&request, &bench.lent())).map_err(|error| error.detail)
    }

    fn tag(name: &str, make: Option<MakeTag>) -> GitSpec {
        GitSpec { tag: Some(Text::fixed(name)), make }
    }

    fn making(push: bool) -> Option<MakeTag> {
        let annotate = Some(Text::fixed("to staging\n"));
        Some(MakeTag { at: Text::fixed("HEAD"), annotate, sign: false, push: push.then(|| "origin".to_owned()) })
    }

    fn of(seen: &Observation, path: &[&str]) -> Value {
        let mut value = seen.facts.values[path[0]].clone();
        for name in &path[1..] {
            let Value::Map(map) = value else { panic!("{path:?}") };
            value = map.get(*name).cloned().unwrap_or(Value::Null);
        }
        value
    }

    #[test]
    fn a_repository_is_looked_at() {
        let bench = bench();
        let head = git(&bench, &["rev-parse", "HEAD"]);
        let seen = look(&bench, GitSpec::default(), &["clean"]).unwrap();
        assert_eq!(seen.facts.values["head"], Value::text(&head));
        assert_eq!(seen.facts.values["branch"], Value::text("main"));
        assert_eq!(seen.facts.values["clean"], Value::Bool(true));
        assert_eq!(seen.facts.inspected.count, 1);
        assert!(!seen.facts.values.contains_key("tag"));
        std::fs::write(bench.dir.path().join("new"), "").unwrap();
        git(&bench, &["checkout", "--quiet", "--detach"]);
        let seen = look(&bench, tag("v1", None), &["clean", "remote"]).unwrap();
        assert_eq!((&seen.facts.values["clean"], &seen.facts.values["branch"]), (&Value::Bool(false), &Value::Null));
        assert_eq!(of(&seen, &["tag", "exists"]), Value::Bool(false));
        assert_eq!(of(&seen, &["tag", "commit"]), Value::Null);
        assert_eq!(of(&seen, &["remote", "origin", "has_tag"]), Value::Bool(false));
        assert!(bench.read("stdout").contains(" rev-parse --git-dir\n.git\n"), "{}", bench.read("stdout"));
    }

    #[test]
    fn a_tag_is_made_and_pushed_once() {
        let bench = bench();
        let head = git(&bench, &["rev-parse", "HEAD"]);
        for made in [true, false] {
            let seen = look(&bench, tag("v1", making(true)), &[]).unwrap();
            assert_eq!(of(&seen, &["tag", "made"]), Value::Bool(made));
            for path in [["tag", "commit"], ["tag", "target"]] {
                assert_eq!(of(&seen, &path), Value::text(&head));
            }
            assert_eq!(of(&seen, &["tag", "annotated"]), Value::Bool(true));
            assert_eq!(of(&seen, &["tag", "signed"]), Value::Bool(false));
            assert_eq!(of(&seen, &["remote", "origin", "commit"]), Value::text(&head));
            assert_eq!(seen.notes.len(), 0);
        }
        let pushed = bench.read("stdout").matches(" push ").count();
        assert_eq!((pushed, bench.read("stdout").matches(" --annotate ").count()), (1, 1));
        assert_eq!(git(&bench, &["tag", "-n9", "v1"]), "v1              to staging");
    }

    #[test]
    fn a_tag_that_only_the_remote_has_is_fetched_and_none_is_moved() {
        let bench = bench();
        git(&bench, &["tag", "v1"]);
        git(&bench, &["push", "--quiet", "origin", "v1"]);
        git(&bench, &["tag", "-d", "v1"]);
        let seen = look(&bench, tag("v1", making(true)), &[]).unwrap();
        assert_eq!(
            (of(&seen, &["tag", "made"]), of(&seen, &["tag", "annotated"])),
            (Value::Bool(false), Value::Bool(false))
        );
        let first = git(&bench, &["rev-parse", "HEAD"]);
        git(&bench, &["commit", "--quiet", "--allow-empty", "-m", "second"]);
        let second = git(&bench, &["rev-parse", "HEAD"]);
        for local in [true, false] {
            let seen = look(&bench, tag("v1", making(true)), &[]).unwrap();
            assert_eq!(of(&seen, &["tag", "commit"]), Value::text(&first));
            assert_eq!(of(&seen, &["tag", "target"]), Value::text(&second));
            assert!(seen.notes[0].text.contains("is taken: it leads to"), "{}", seen.notes[0].text);
            if local {
                git(&bench, &["tag", "-d", "v1"]);
            }
        }
        // Here it is right, there it is not.
        git(&bench, &["tag", "-f", "v1"]);
        let seen = look(&bench, tag("v1", making(true)), &[]).unwrap();
        assert_eq!(of(&seen, &["tag", "commit"]), Value::text(&second));
        assert_eq!(of(&seen, &["remote", "origin", "commit"]), Value::text(&first));
        assert!(seen.notes[0].text.contains("on `origin` it leads to"), "{}", seen.notes[0].text);
    }

    #[test]
    fn hooks_of_the_user_do_not_run() {
        use std::os::unix::fs::PermissionsExt as _;
        let bench = bench();
        for hook in ["pre-push", "reference-transaction", "post-index-change"] {
            let file = bench.dir.path().join(".git/hooks").join(hook);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(&file, "#!/bin/sh\necho ran > hooked\nexit 1\n").unwrap();
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        assert!(look(&bench, tag("v1", making(true)), &["clean"]).is_ok());
        assert!(!bench.dir.path().join("hooked").exists());
    }

    #[test]
    fn what_cannot_be_done_is_said() {
        let bench = Bench::new();
        let error = look(&bench, GitSpec::default(), &[]).err().unwrap();
        assert!(error.starts_with("no git repository to look at: fatal: not a git repository"), "{error}");
        let bench = self::bench();
        for name in ["-d", "a b", "a..b", "x.lock", ""] {
            let error = look(&bench, tag(name, making(false)), &[]).err().unwrap();
            assert_eq!(error, format!("`{name}` is not a name that git allows for a tag"));
        }
        let nowhere = MakeTag { at: Text::fixed("--all"), ..making(false).unwrap() };
        let error = look(&bench, tag("v1", Some(nowhere)), &[]).err().unwrap();
        assert_eq!(error, "there is no commit `--all` to put the tag `v1` on");
        let stranger = MakeTag { push: Some("upstream".into()), ..making(false).unwrap() };
        let error = look(&bench, tag("v1", Some(stranger)), &[]).err().unwrap();
        assert!(error.starts_with("no remote `upstream` is configured; `origin`"), "{error}");
        std::fs::remove_dir_all(bench.dir.path().join("origin.git")).unwrap();
        let error = look(&bench, tag("v1", making(true)), &[]).err().unwrap();
        assert!(error.starts_with("the remote `origin` cannot be asked: "), "{error}");
        assert_eq!(git(&bench, &["tag"]), "", "nothing is made that cannot be pushed");
        let seen = look(&bench, tag("v1", None), &["remote"]).unwrap();
        assert_eq!(seen.notes[0].code, "remote_unreachable");
    }
}
