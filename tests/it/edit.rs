//! Plans made and changed from the shell: `import` of checklists, Makefiles and compose files, `add`, `init`, `fmt`.

use std::process::{Command, Stdio};

use crate::support::{Ended, RUNPLAN, Space, copy, files_of, finish, repository, skip};

/// A checklist as people write it.
const LIST: &str = include_str!("fixtures/edit/checklist.es.md");

fn feed(space: &Space, args: &[&str], text: &str) -> Ended {
    let mut command = space.command(args);
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().expect(RUNPLAN);
    let mut stdin = child.stdin.take().expect("a pipe");
    let text = text.to_owned();
    let writer = std::thread::spawn(move || drop(std::io::Write::write_all(&mut stdin, text.as_bytes())));
    let ended = finish(child);
    writer.join().expect("it is read");
    ended
}

/// The steps of a plan, as `list` tells them.
fn steps(space: &Space, plan: &str) -> Vec<serde_json::Value> {
    let ended = space.run(&["list", plan, "--format", "json"]).code(0);
    serde_json::from_str(&ended.stdout).expect("JSON")
}

fn boxes(text: &str) -> usize {
    text.lines().filter(|line| ["- [ ]", "- [x]"].iter().any(|mark| line.trim_start().starts_with(mark))).count()
}

/// Compares with a committed text; `RUNPLAN_BLESS=1` writes it.
fn golden(name: &str, text: &str) {
    let path = repository().join("tests/golden/edit").join(name);
    if std::env::var_os("RUNPLAN_BLESS").is_some() {
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("it can be written");
        std::fs::write(&path, text).expect("it can be written");
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, committed, "run the tests with RUNPLAN_BLESS=1 and look at {}", path.display());
}

#[test]
fn a_checklist_becomes_a_plan_that_holds() {
    let space = Space::new();
    space.write("list.md", LIST);
    let ended = space.run(&["import", "list.md", "-o", "p.toml"]).code(0).says("p.toml: 19 steps\n");
    let ended = ended.says("  5 commands, 2 requests, 12 sign-offs, 2 roles of its items");
    let _ = ended.says("the whole run signed by Tech lead, Producto, Dev Backend, Ops/SRE");
    let text = space.read("p.toml");
    golden("checklist.toml", &text);
    let _ = space.run(&["check", "p.toml", "--strict"]).code(0);
    let _ = space.run(&["fmt", "--check", "p.toml"]).code(0);
    // Every box is a step, but for two that are roles.
    let steps = steps(&space, "p.toml");
    assert_eq!(steps.len(), boxes(LIST) - 2);
    let of = |id: &str| {
        steps.iter().find(|step| step["name"] == id).unwrap_or_else(|| panic!("no `{id}` in\n{text}")).clone()
    };
    assert_eq!(of("validar-health-ready-3-veces-200")["kind"], "http");
    assert_eq!(of("validar-health-ready-3-veces-200")["tags"], serde_json::json!(["staging-deploy"]));
    assert_eq!(of("generar-env-staging-desde-plantilla")["kind"], "signoff");
    assert_eq!(of("aislar-spacy-en-imports-fallback-ya")["required"], false);
    // Nothing that reaches further than the checkout is a command that runs.
    assert!(
        text.contains("# or: run = [\"git\", \"push\", \"--tags\"] (it may change more than this checkout)"),
        "{text}"
    );
    assert!(text.contains("signoff = [\"Ops/SRE\"]"), "{text}");
    // The same bytes again, also by stdin and to stdout.
    let again = space.run(&["import", "list.md"]).code(0);
    assert_eq!(again.stdout, text);
    let fed = feed(&space, &["import", "-", "--as", "checklist"], LIST).code(0);
    let body = |text: &str| text.split_once("format = 1").expect("a head").1.replace("\"list\"", "\"checklist\"");
    assert_eq!(body(&fed.stdout), body(&text));
}

#[test]
fn nothing_is_overwritten_unasked_and_no_rubbish_is_taken() {
    let space = Space::new();
    space
        .write("list.md", "- [ ] a\n")
        .write("none.md", "# no box\n")
        .write("p.toml", "mine\n")
        .write("bin.md", b"- [ ] \xff\n");
    space.write("Makefile", "X = 1\n").write("c.yml", "a: 1\n").write("d.yml", "a: [\n").write("any.txt", "- [ ] a\n");
    let _ = space.run(&["import", "list.md", "-o", "p.toml"]).code(2).says("`p.toml` is there already").says("--force");
    assert_eq!(space.read("p.toml"), "mine\n");
    let _ = space.run(&["import", "list.md", "-o", "p.toml", "--force"]).code(0);
    assert!(space.read("p.toml").contains("[steps.a]"));
    for (file, why) in [
        ("none.md", "no box in it"),
        ("bin.md", "not UTF-8"),
        ("Makefile", "no target in it has a recipe"),
        ("c.yml", "it has no `services`"),
        ("d.yml", "is not YAML"),
        ("nowhere.md", "No such file"),
        ("any.txt", "say what it is, `--as checklist`"),
    ] {
        let _ = space.run(&["import", file, "-o", "q.toml"]).code(2).says(why);
        assert!(!space.has("q.toml"), "{file}");
    }
    let _ = space.run(&["import", "any.txt"]).code(4).says("is not taken").says("by `--as`");
    let _ =
        space.run(&["import", "any.txt", "--as", "checklist", "-o", "new/q.toml"]).code(74).says("can't be written");
    let mut names: Vec<_> = files_of(space.path()).iter().map(|path| path.file_name().unwrap().to_owned()).collect();
    names.retain(|name| name.to_string_lossy().starts_with(".tmp"));
    assert!(names.is_empty(), "{names:?}");
}

#[test]
fn hostile_texts_stay_texts() {
    let space = Space::new();
    let list = "# {{ vars.x }}\n\n## {% raw %} \u{202e}x\n- [ ] {{ secrets.s }} \"quoted\" \\ {{{ }}} {%\n- [ ] a\u{7}b\u{1b}[2J ''' \"\"\"\n\
                - [ ] `make {{ x }}`\n- [ ]\n- [ ] `curl http://e.org/{{x}}`\n- [ ] <b>x</b> <!-- -->\n- [ ] 漢字\n- [ ] 漢字\n\
                - [ ] open http://127.0.0.1:1/a{{b}}\n- [ ] `make a\n[steps.evil]\nrun = 'x'`\n";
    space.write("l.md", list);
    let _ = space.run(&["import", "l.md", "-o", "p.toml"]).code(0);
    let _ = space.run(&["check", "p.toml"]).code(0);
    let text = space.read("p.toml");
    assert!(!text.contains("[steps.evil]\n") && !text.contains('\u{1b}'), "{text}");
    let titles: Vec<String> =
        steps(&space, "p.toml").iter().map(|step| step["title"].as_str().unwrap_or("").to_owned()).collect();
    assert_eq!(titles[0], "{{ secrets.s }} \"quoted\" \\ {{{ }}} {%");
}

#[test]
fn a_makefile_becomes_a_plan_that_runs() {
    if Command::new("make").arg("--version").output().is_err() {
        return skip("make");
    }
    let space = Space::new();
    let text = ".PHONY: all test lint venv clean\nall: test lint\ntest: venv ## Run the tests\n\techo test >> log\nlint: venv\n\techo lint >> log\n\
                venv:\n\techo venv >> log\nclean:\n\trm log\n%.o: %.c\n\tcc $<\n";
    space.write("sub/Makefile", text);
    let _ = space.run(&["import", "sub/Makefile", "-o", "p.toml"]).code(0).says("3 steps");
    assert!(space.read("p.toml").contains("workspace = \"sub\""));
    let _ = space.run(&["check", "p.toml", "--strict"]).code(0);
    let _ = space.run(&["fmt", "--check", "p.toml"]).code(0);
    let _ = space.run(&["p.toml"]).code(0).says("3 passed");
    let mut log: Vec<String> = space.read("sub/log").lines().map(str::to_owned).collect();
    log.sort();
    assert_eq!(log, ["lint", "test", "venv"], "each target once, and nothing was removed");
    // In the same folder there is no way to go.
    let _ = space.run(&["import", "sub/Makefile", "-o", "sub/p.toml"]).code(0);
    assert!(!space.read("sub/p.toml").contains("workspace"));
}

#[test]
fn a_compose_file_becomes_a_plan_that_holds() {
    let space = Space::new();
    space.write(
        "compose.yml",
        "x-base: &base\n  restart: always\n  ports: ['9000:9000']\nservices:\n  web:\n    image: x\n    ports: [\"8080:80\"]\n    healthcheck:\n      \
         test: [\"CMD\", \"curl\", \"-f\", \"http://localhost:80/health\"]\n  db:\n    <<: *base\n  cache: {}\n  debug:\n    profiles: [dev]\n",
    );
    let ended = space.run(&["import", "compose.yml"]).code(0);
    golden("compose.toml", &ended.stdout);
    space.write("p.toml", &ended.stdout);
    let _ = space.run(&["check", "p.toml", "--strict"]).code(0);
    let _ = space.run(&["fmt", "--check", "p.toml"]).code(0);
}

#[test]
fn a_step_is_added_and_nothing_else_changes() {
    let space = Space::new();
    let plan = "# head\nformat = 1 # one\n\n[steps.up]   # up\nrun   = 'true'\n\n# ── later ──\n[steps.b]\nrun = 'true' # b\n\n# the end\n[decision]\nrisk = { go = 10 }\n";
    space.write("blueprint.toml", plan);
    let args = [
        "add",
        "health",
        "--http",
        "http://127.0.0.1:1/h",
        "--pass",
        "status == 200",
        "--pass",
        "latency < 500ms",
        "--needs",
        "up",
        "--tag",
        "S4",
        "--title",
        "It answers",
    ];
    let _ = space.run(&args).code(0).says("blueprint.toml:11: added `health`");
    let block = "[steps.health]\ntitle = \"It answers\"\ntags  = [\"S4\"]\nneeds = [\"up\"]\nhttp  = \"http://127.0.0.1:1/h\"\npass  = [\"status == 200\", \"latency < 500ms\"]\n";
    assert_eq!(space.read("blueprint.toml"), plan.replace("\n# the end", &format!("\n{block}\n# the end")));
    let _ = space.run(&["add", "c", "--after-step", "up", "--argv", "sh", "-c", "exit 0"]).code(0);
    let after = space.read("blueprint.toml");
    assert!(
        after.contains("run   = 'true'\n\n[steps.c]\nrun = [\"sh\", \"-c\", \"exit 0\"]\n\n# ── later ──\n"),
        "{after}"
    );
    let _ = space.run(&["blueprint.toml", "c"]).code(0).says("1 passed");
    // Only lines that are new.
    for line in plan.lines() {
        assert!(after.contains(line), "{line}");
    }
}

#[test]
fn a_step_that_does_not_hold_is_not_written() {
    let space = Space::new();
    let plan = "format = 1\n[steps.up]\nrun = 'true'\n[steps.down]\nneeds = ['up']\nrun = 'true'\n";
    space.write("blueprint.toml", plan);
    let refused = |args: &[&str], says: &[&str]| {
        let mut ended = space.run(args).code(2);
        for text in says {
            ended = ended.says(text);
        }
        assert_eq!(space.read("blueprint.toml"), plan, "{args:?}");
    };
    refused(&["add", "up", "--run", "x"], &["has a step `up` already", "blueprint.toml:2", "`up-2` is free"]);
    refused(
        &["add", "h", "--http", "http://e.org", "--pass", "latencey < 1s", "--needs", "dwn"],
        &["no fact `latencey`", "did you mean `latency`?", "`dwn`", "did you mean", "nothing was written"],
    );
    refused(&["add", "Big Name", "--run", "x"], &["nothing was written"]);
    refused(&["add", "x", "--run", "x", "--after-step", "dwon"], &["has no step `dwon`; did you mean `down`?"]);
    refused(&["add", "x"], &["required"]);
    refused(&["add", "x", "--run", "a", "--http", "http://e.org"], &["cannot be used with"]);
    refused(&["add", "x", "--run", "a", "--severity", "hgh"], &["high", "nothing was written"]);
    let _ = space
        .run(&["add", "x", "--run", "a", "--plan", "nowhere.toml"])
        .code(2)
        .says("No such file")
        .says("runplan init");
    let _ = space.run(&["add", "x", "--run", "true", "-n"]).code(0).says("[steps.x]");
    assert_eq!(space.read("blueprint.toml"), plan);
    space.write("blueprint.toml", "format = 1\n[steps.a\n");
    let _ = space.run(&["add", "x", "--run", "a"]).code(2).says("blueprint.toml:2").says("nothing was written");
}

#[test]
fn git_sees_only_added_lines_and_rights_stay() {
    use std::os::unix::fs::PermissionsExt as _;
    if Command::new("git").arg("--version").output().is_err() {
        return skip("git");
    }
    let space = Space::new();
    copy(&repository().join("plans"), &space.path().join("plans"));
    copy(&repository().join("examples/hotel-agent"), &space.path().join("examples/hotel-agent"));
    let git = |args: &[&str]| {
        let done = Command::new("git").args(args).current_dir(space.path()).output().expect("git");
        assert!(done.status.success(), "{args:?}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8_lossy(&done.stdout).into_owned()
    };
    git(&["init", "-q"]);
    git(&["add", "."]);
    let plan = space.path().join("plans/staging/blueprint.toml");
    std::fs::set_permissions(&plan, std::fs::Permissions::from_mode(0o640)).expect("rights");
    let url = "http://127.0.0.1:{{ ports.app }}/health/live";
    let args = [
        "add",
        "live",
        "--plan",
        "plans/staging/blueprint.toml",
        "--http",
        url,
        "--needs",
        "up-local",
        "--after-step",
        "ready",
    ];
    let _ = space.run(&args).code(0);
    let stat = git(&["diff", "--numstat"]);
    assert_eq!(stat.split_whitespace().take(2).collect::<Vec<_>>(), ["4", "0"], "{}", git(&["diff"]));
    assert_eq!(std::fs::metadata(&plan).expect("it is there").permissions().mode() & 0o777, 0o640);
    // Into a file that the plan includes, with what only the plan declares.
    let into = "plans/staging/quality.toml";
    let args = [
        "add",
        "goal",
        "--plan",
        "plans/staging/blueprint.toml",
        "--into",
        into,
        "--file",
        "pytest.ini",
        "--pass",
        "size < {{ vars.coverage_goal }}KiB",
    ];
    let _ = space.run(&args).code(0).says("plans/staging/quality.toml:");
    assert_eq!(git(&["diff", "--numstat", into]).split_whitespace().take(2).collect::<Vec<_>>(), ["4", "0"]);
    let _ = space.run(&["check", "plans/staging/blueprint.toml"]).code(0);
    space.write("other.toml", "format = 1\n");
    let _ = space
        .run(&["add", "y", "--plan", "plans/staging/blueprint.toml", "--into", "other.toml", "--run", "x"])
        .code(2)
        .says("is no file of the plan");
}

#[test]
fn init_proposes_what_lies_there() {
    let space = Space::new();
    space
        .write("Cargo.toml", "[package]\n")
        .write("Makefile", "test:\n\ttrue\nclean:\n\trm -rf /\n")
        .write(".git/HEAD", "ref: x\n");
    space.write("pytest.ini", "").write("package.json", r#"{"scripts": {"lint": "eslint ."}}"#);
    space.write("compose.yml", "services: {}\n");
    let _ = space
        .run(&["init"])
        .code(0)
        .says("blueprint.toml: 5 steps")
        .says("Makefile, Cargo.toml, compose, git")
        .says("runplan -n blueprint.toml");
    let text = space.read("blueprint.toml");
    assert!(!text.contains("clean\"]") && text.contains("[\"make\", \"test\"]"), "{text}");
    let _ = space.run(&["check", "blueprint.toml", "--strict"]).code(0);
    let _ = space.run(&["fmt", "--check"]).code(0);
    let _ = space.run(&["init"]).code(2).says("is there already");
    assert_eq!(space.read("blueprint.toml"), text);
    // Nothing known: still a plan, and it runs.
    let bare = Space::new();
    let _ = bare.run(&["init"]).code(0);
    let _ = bare.run(&["blueprint.toml"]).code(0).says("GO");
    let _ = bare.run(&["add", "more", "--run", "true"]).code(0);
}

/// All plans of the repository.
fn plans() -> Vec<std::path::PathBuf> {
    let all = ["plans", "examples", "tests/it/invalid"].iter().flat_map(|folder| files_of(&repository().join(folder)));
    let kept = all.filter(|path| path.extension().is_some_and(|end| end == "toml"));
    let kept = kept
        .filter(|path| !path.components().any(|part| part.as_os_str() == ".runplan" || part.as_os_str() == ".venv"));
    let kept: Vec<_> = kept.collect();
    assert!(kept.len() > 10, "{kept:?}");
    kept
}

#[test]
fn every_plan_says_the_same_when_it_is_laid_out() {
    for path in plans() {
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        let Some(laid) = runplan::edit::layout::formatted(&text) else {
            assert!(toml_is_broken(&text), "{}", path.display());
            continue;
        };
        assert_eq!(runplan::edit::layout::formatted(&laid).as_deref(), Some(laid.as_str()), "{}", path.display());
        assert_eq!(text.matches('#').count(), laid.matches('#').count(), "{}", path.display());
        let norm = |text: &str| {
            let options = runplan::plan::LoadOptions {
                vars: Vec::new(),
                var_files: Vec::new(),
                env: &|_| None,
                today: "2026-01-01",
                strict: false,
            };
            let name = camino::Utf8Path::from_path(&path).expect("UTF-8");
            runplan::plan::norm(&runplan::plan::load_text(name, text, &options).plan)
        };
        assert_eq!(norm(&text), norm(&laid), "{}", path.display());
    }
}

fn toml_is_broken(text: &str) -> bool {
    let space = Space::new();
    space.write("p.toml", text);
    space.run(&["check", "p.toml"]).code == 2
}

#[test]
fn the_plans_of_the_repository_are_laid_out() {
    let space = Space::new();
    let laid = |path: &&std::path::PathBuf| {
        ["plans/staging", "examples/quickstart"].iter().any(|name| path.starts_with(repository().join(name)))
    };
    let plans = plans();
    assert!(plans.iter().filter(laid).count() > 5);
    for path in plans.iter().filter(laid) {
        let _ = space.run(&["fmt", "--check", &path.display().to_string()]).code(0);
    }
}

#[test]
fn fmt_writes_what_check_asks_for() {
    let space = Space::new();
    space.write("a.toml", "format=1\n[steps.a]\npass=['exit == 0']\nrun='true' # x\n").write("b.toml", "x = \n");
    let _ = space.run(&["fmt", "--check", "a.toml"]).code(1).says("a.toml:1: laid out otherwise");
    let _ = space.run(&["fmt", "a.toml"]).code(0).says("a.toml: laid out");
    let laid = "format = 1\n\n[steps.a]\nrun  = 'true' # x\npass = ['exit == 0']\n";
    assert_eq!(space.read("a.toml"), laid);
    let _ = space.run(&["fmt", "--check", "a.toml"]).code(0);
    let _ = space.run(&["fmt", "b.toml", "a.toml"]).code(2).says("b.toml:1").says("stays as it is");
    assert_eq!(space.read("b.toml"), "x = \n");
    assert_eq!(feed(&space, &["fmt", "-"], "format=1\n").code(0).stdout, "format = 1\n");
}

/// A plan to be completed.
fn typed() -> Space {
    let space = Space::plan(
        "[steps.build]\nrun = 'true'\ntags = ['fast']\n[steps.bundle]\nrun = 'true'\n[steps.m]\nmatrix = { x = [1, 2] }\nrun = 'true'\n",
    );
    space.write("broken.toml", "format = 1\n[steps.up]\nrun = 'true'\n[steps.down]\nneeds = ['nope']\nrun = 'true'\n");
    space.write("list.md", "- [ ] x\n");
    space
}

/// A shell with the program on its path.
fn shell(space: &Space, name: &str, script: &str) -> Option<String> {
    let folder = std::path::Path::new(RUNPLAN).parent().expect("a folder");
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap_or_default());
    let mut command = Command::new(name);
    command
        .args(["-c", script])
        .current_dir(space.path())
        .env("PATH", path)
        .env("HOME", space.path())
        .stdin(Stdio::null());
    match command.output() {
        Ok(done) => {
            assert!(done.status.success(), "{name}: {}", String::from_utf8_lossy(&done.stderr));
            Some(String::from_utf8_lossy(&done.stdout).into_owned())
        }
        Err(_) => {
            skip(name);
            None
        }
    }
}

#[test]
fn names_of_steps_are_completed() {
    let space = typed();
    let at = |words: &[&str]| {
        let mut args = vec!["complete", "--"];
        args.extend(words);
        let ended = space.run(&args).code(0);
        assert_eq!(ended.stderr, "");
        ended.stdout
    };
    assert_eq!(at(&["blueprint.toml", "bu"]), "build\nbundle\n");
    assert_eq!(at(&["explain", "m"]), "m\n:files\n");
    assert_eq!(at(&["add", "x", "--needs", "bun"]), "bundle\n");
    assert_eq!(at(&["blueprint.toml", "--tag", ""]), "fast\n");
    assert_eq!(at(&["broken.toml", ""]), "up\ndown\n", "a plan that somebody is writing");
    assert_eq!(at(&["nowhere.toml", ""]), "");
    let _ = space.go(&["build"]).code(0);
    assert!(at(&["show", ""]).starts_with("latest\n2"));
    assert_eq!(at(&["-"]).lines().filter(|line| *line == "--jobs").count(), 1);
    assert_eq!(space.read("blueprint.toml").lines().count(), 9, "nothing was written");
}

#[test]
fn shells_complete_by_asking() {
    let space = typed();
    let bash = "source <(runplan completions bash); complete -p runplan; COMP_WORDS=(runplan blueprint.toml bu); COMP_CWORD=2; _runplan; echo ${COMPREPLY[@]}";
    if let Some(out) = shell(&space, "bash", bash) {
        assert_eq!(out, "complete -F _runplan runplan\nbuild bundle\n");
    }
    if let Some(out) = shell(
        &space,
        "fish",
        "runplan completions fish | source; complete -C 'runplan blueprint.toml bu'; complete -C 'runplan import li'",
    ) {
        assert_eq!(out, "build\nbundle\nlist.md\n");
    }
    let zsh = "compdef() { print -- compdef $@ }; compadd() { print -l -- $@ }; _files() { print FILES }\n\
               source <(runplan completions zsh); words=(runplan blueprint.toml bu); CURRENT=3; _runplan; words=(runplan import li); _runplan";
    if let Some(out) = shell(&space, "zsh", zsh) {
        assert_eq!(out, "compdef _runplan runplan\n-a\nlines\nFILES\n");
    }
}

#[test]
fn manual_pages_are_set_without_a_complaint() {
    let space = Space::new();
    let _ = space.run(&["man", "nope"]).code(2).says("there is no command `nope`");
    for args in [&["man"][..], &["man", "add"], &["man", "import"]] {
        let page = space.run(args).code(0).stdout;
        space.write("page.1", &page);
        match Command::new("groff").args(["-man", "-Tutf8", "-ww", "page.1"]).current_dir(space.path()).output() {
            Err(_) => return skip("groff"),
            Ok(done) => {
                assert_eq!(String::from_utf8_lossy(&done.stderr), "", "{args:?}");
                assert!(String::from_utf8_lossy(&done.stdout).contains("runplan"));
            }
        }
    }
}
