//! Files on a disk, very large plans, damaged ones: what is said, and that the loader ends.

use super::*;

struct Dir(tempfile::TempDir);

impl Dir {
    fn new(files: &[(&str, &[u8])]) -> Self {
        let dir = Self(tempfile::tempdir().unwrap());
        files.iter().for_each(|(name, bytes)| std::fs::write(dir.path(name), bytes).unwrap());
        dir
    }

    fn path(&self, name: &str) -> Utf8PathBuf {
        Utf8PathBuf::from_path_buf(self.0.path().join(name)).unwrap()
    }

    fn said(&self, name: &str) -> Vec<String> {
        let root = format!("{}/", self.path(""));
        let root = root.replace("//", "/");
        said(&load(&self.path(name), &options(&[], &|_| None))).iter().map(|line| line.replace(&root, "")).collect()
    }
}

#[test]
fn files_that_are_no_plans() {
    let long = vec![b'#'; 10_000_000];
    let deep = format!("format = 1\na = {}{}\n", "[".repeat(20_000), "]".repeat(20_000));
    let dir = Dir::new(&[
        ("empty.toml", b"\n \n"),
        ("nul.toml", b"format = 1\na = \0\n"),
        ("latin.toml", b"format = 1\n# caf\xe9\n"),
        ("long.toml", &long),
        ("deep.toml", deep.as_bytes()),
        ("bom.toml", "\u{feff}format = 1\n[steps.a]\nrun='x'\n".as_bytes()),
        ("bad.toml", b"format = 1\n[steps.a\nrun = 'x'\n"),
    ]);
    std::fs::create_dir(dir.path("folder")).unwrap();
    assert_eq!(
        dir.said("none.toml"),
        ["- unreadable-file: no such file: `none.toml` | check the path; it is relative to where you stand"]
    );
    assert_eq!(
        dir.said("folder"),
        ["- unreadable-file: `folder` is a directory | name the plan file: `folder/blueprint.toml`"]
    );
    assert_eq!(
        dir.said("empty.toml"),
        ["- empty-file: `empty.toml` is empty | a plan begins with `format = 1` and has at least one `[steps.NAME]`"]
    );
    assert_eq!(
        dir.said("nul.toml"),
        ["- nul: `nul.toml` has a NUL byte at line 2, column 5 | a plan is text: remove it, if this is a plan at all"]
    );
    assert_eq!(
        dir.said("latin.toml"),
        ["- not-utf8: `latin.toml` is not UTF-8: byte 0xe9 at line 2, column 6 | save it as UTF-8"]
    );
    assert!(dir.said("long.toml")[0].starts_with("- file-too-large: `long.toml` is larger than 8 MiB"));
    assert_eq!(
        dir.said("deep.toml"),
        ["2:85 syntax: values are nested too deeply | a plan needs no more than a few levels"]
    );
    assert_eq!(dir.said("bom.toml"), Vec::<String>::new());
    assert_eq!(dir.said("bad.toml").len(), 1, "{:?}", dir.said("bad.toml"));
}

#[test]
fn includes() {
    let main = b"format = 1\ninclude = ['a.toml', 'a.toml', 'none.toml', 'loop.toml']\n[steps.m]\nrun='x'\nneeds=['in-a', 'maybe-in-none']\n[vars]\nv=1\n";
    let dir = Dir::new(&[
        ("main.toml", main),
        ("a.toml", b"[steps.in-a]\nrun='x'\n[plan]\nname='n'\n[vars]\nv=2\n"),
        ("loop.toml", b"include = ['main.toml']\n[steps.m]\nrun='x'\n"),
    ]);
    let found = dir.said("main.toml");
    assert_eq!(found, [
        "2:22 include-twice: `a.toml` is included twice | remove one of the two",
        "2:32 bad-include: no such file: `none.toml` | `include` paths are relative to the including file's folder (`.`)",
        "3:1 duplicate-step: step `m` is declared twice | rename one of the two",
        "7:1 duplicate-name: variable `v` is declared twice | remove or rename one of the two",
        "3:2 misplaced-key: `plan` has no place in an included file | move it to the main plan file",
        "1:12 include-cycle: `main.toml` includes itself: main.toml → loop.toml → main.toml | remove one of these includes",
    ].map(|line| line.replace("folder (`.`)", &format!("folder (`{}`)", dir.path("").as_str().trim_end_matches('/')))));
}

#[test]
fn the_normalised_plan_knows_no_layout_and_no_place() {
    let one = good("[steps.a]\nrun=['x']\ntimeout='60s'\n[steps.b]\nrun='y'\nneeds=['a']\n");
    let two = good("# c\n[steps]\na={ timeout = \"1m\", run = [ \"x\" ] }\nb={ needs = [ \"a\" ], run = \"y\" }\n");
    assert_eq!(norm(&one), norm(&two));
    let other = good("[steps.a]\nrun=['x']\ntimeout='61s'\n[steps.b]\nrun='y'\nneeds=['a']\n");
    assert_ne!(norm(&one), norm(&other));
    // What is written about a run is no part of what it means.
    let told = good(
        "[plan]\nreports=['{{ plan.name }}/./r.md']\n[steps.a]\nrun=['x']\ntimeout='60s'\n[steps.b]\nrun='y'\nneeds=['a']\n",
    );
    assert_eq!((norm(&told), told.reports), (norm(&one), vec!["p/r.md".to_owned()]));
    assert!(!norm(&one).to_string().contains(one.workspace.as_str()));
}

#[test]
fn ten_thousand_steps_and_as_many_unknown_names_are_quick() {
    use std::fmt::Write as _;
    let mut text = String::from("format = 1\n");
    for at in 0..10_000 {
        let _ = write!(text, "[steps.s{at}]\nrun=['true','{at}']\nneeds=['s{}']\n", (at + 1) % 10_000);
    }
    let start = std::time::Instant::now();
    let plan = loaded(&text);
    assert_eq!(plan.plan.steps.len(), 10_000);
    assert!(said(&plan).is_empty());
    let bad = loaded(&text.replace("needs=['s", "needs=['t"));
    assert_eq!(bad.diagnostics.len(), 10_000);
    // Unoptimised and on a busy machine; what is quadratic takes minutes.
    assert!(start.elapsed().as_secs() < 60, "{:?}", start.elapsed());
}

#[test]
fn the_picture_of_a_fault_in_a_plan() {
    let loaded = loaded("format = 1\n[steps.a]\nrun = [\"x\", \"{{ vars.q }}\"]\n");
    let text = error::render_human(&loaded.diagnostics, &loaded.plan.sources, false, 80);
    assert!(text.contains("error: unknown name `vars.q` [template]") && text.contains("p.toml:3:17"), "{text}");
    assert!(text.ends_with("1 error in p.toml; nothing was run\n"));
}

#[test]
fn a_byte_order_mark_moves_no_place() {
    let loaded = loaded("\u{feff}formatt = 1\n[steps.a]\nrum = 'x'\n");
    let sources = &loaded.plan.sources;
    let texts: Vec<&str> = loaded.diagnostics.iter().filter_map(|fault| Some(sources.text(fault.place?))).collect();
    assert!(texts.contains(&"formatt") && texts.contains(&"rum"), "{texts:?}");
}

/// A plan damaged at one place: cut out, doubled, or overwritten.
fn damaged() -> impl proptest::strategy::Strategy<Value = String> {
    use proptest::prelude::{Strategy as _, any, prop};
    let junk = prop::sample::select(vec![
        "",
        "{{",
        "}}",
        "{{ steps.",
        "[",
        "]",
        "\"",
        "'''",
        "=",
        "\n",
        "é",
        "\u{1b}",
        "-1",
        "1e400",
        "true",
        "{}",
        "[]",
        "99999999999999999999",
        "'x'",
        "{{ vars.url }}",
        "{{ matrix.os }}",
        "{{ 'a' * 3 }}",
        "[steps.build]\n",
        "needs = ['test', 'end', 'each']\n",
        "\u{202e}",
    ]);
    (0..FULL.len(), 0..40_usize, junk, any::<bool>()).prop_map(|(from, len, junk, double)| {
        let to = (from + len).min(FULL.len());
        let kept = if double { &FULL[from..to] } else { "" };
        [&FULL[..from], kept, junk, kept, &FULL[to..]].concat()
    })
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { cases: 300, ..Default::default() })]

    #[test]
    fn no_damage_makes_the_loader_panic(text in damaged()) {
        let loaded = loaded(&text);
        for fault in &loaded.diagnostics {
            for place in fault.place.iter().chain(fault.related.iter().map(|(place, _)| place)) {
                proptest::prop_assert!(loaded.plan.sources.files[0].text.get(place.range()).is_some(), "{fault:?}");
            }
        }
        let human = error::render_human(&loaded.diagnostics, &loaded.plan.sources, false, 80);
        proptest::prop_assert!(human.chars().all(|c| c == '\n' || !c.is_control()), "{human:?}");
        proptest::prop_assert!(!human.contains("Failed to read"), "{human}");
        let _ = (error::render_json(&loaded.diagnostics, &loaded.plan.sources), norm(&loaded.plan));
    }
}

#[test]
fn the_example_of_the_documentation_loads() {
    let plan = good(
        r#"[plan]
name  = "staging-readiness"
[vars]
base_url = "http://127.0.0.1:8080"
stack    = { default = "local", enum = ["local", "compose"], help = "how the app is started" }
floor    = { default = 32, min = 0, max = 100 }
[env]
pass = ["PATH", "HOME"]
set  = { BASE_URL = "{{ vars.base_url }}" }
[secrets]
slack_webhook = { env = "SLACK_WEBHOOK_URL" }
[pools]
docker = 1
[steps.env-file]
render = { template = ".env.staging.template", to = ".env.staging", mode = "0600" }
pass   = ['keys superset_of template.keys', 'none(values) matches "change-me"']
[steps.up]
needs = ["env-file"]
run   = ["docker", "compose", "up", "-d"]
pool  = "docker"
timeout = "3m"
retry = { limit = 2, backoff = "2s" }
[steps.ready]
title  = "/health/ready answers 200 three times in a row"
needs  = ["up"]
http   = { url = "{{ vars.base_url }}/health/ready" }
sample = { every = "1s", consecutive = 3, within = "60s" }
pass   = ["status == 200", "latency < 500ms"]
severity = "critical"
[steps.coverage]
run    = "make coverage-report"
report = { path = "coverage.xml" }
pass   = ["percent(lines) >= 55"]
warn   = ["percent(lines) >= {{ vars.floor }}"]
artifacts = ["htmlcov/", "coverage.xml"]
[steps.nlp]
run = ["python", "-c", "import app.nlp"]
required = false
[decision]
risk = { go = 40, no_go = 70 }
"#,
    );
    let coverage = plan.step(plan.find("coverage").unwrap());
    let texts: Vec<_> =
        coverage.criteria.iter().map(|criterion| (criterion.text.as_str(), criterion.implied)).collect();
    assert_eq!(texts, [("exit == 0", true), ("percent(lines) >= 55", false), ("percent(lines) >= 32", false)]);
}

#[test]
fn expansion_is_bounded() {
    let axis = |name: &str| format!("{name}=[{}]", (0..101).map(|at| at.to_string()).collect::<Vec<_>>().join(","));
    says(
        &format!("[steps.a]\nrun='x'\nmatrix={{ {}, {} }}\n[steps.b]\nrun='x'\nneeds=['a']\n", axis("a"), axis("b")),
        &[
            "4:8 matrix-too-large: the matrix of `a` has more than 10000 cells | split the step, or let one step go through the list itself",
        ],
    );
    let many: String = (0..11)
        .map(|at| {
            format!(
                "[steps.s{at}]\nrun='x'\nmatrix={{ {}, b=[{}] }}\n",
                axis("a"),
                "0,1,2,3,4,5,6,7,8,9".to_owned() + &(10..99).map(|n| format!(",{n}")).collect::<String>()
            )
        })
        .collect();
    let loaded = loaded(&format!("format = 1\n{many}"));
    assert_eq!(loaded.plan.steps.len(), 100_000);
    assert!(said(&loaded)[0].contains("too-many-steps: more than 100000 steps after expansion"), "{:?}", said(&loaded));
}

#[test]
fn a_reference_on_a_cycle_ends() {
    let steps = "[steps.a]\nrun='x'\nneeds=['b']\noutputs={values=['v']}\n[steps.b]\nrun='x'\nneeds=['a']\n[steps.c]\nneeds=['b']\n";
    good(&format!("{steps}run=['x','{{{{ steps.a.outputs.v }}}}']\n"));
    says(
        &format!("{steps}run=['x']\n[steps.d]\nrun=['x','{{{{ steps.a.outputs.v }}}}']\n"),
        &["13:14 template: `a` does not come before this step | add `needs = [\"a\"]`"],
    );
}
