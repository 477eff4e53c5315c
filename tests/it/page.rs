//! The page of a plan and of a run: the same bytes every time, whole in itself, and driven in a headless Chromium.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value as Json;

use crate::support::{self, Space};

/// The first of these programs that is there.
fn program(names: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let mut all = std::env::split_paths(&path).flat_map(|dir| names.iter().map(move |name| dir.join(name)));
    all.find(|file| file.is_file())
}

/// Drives a page by a script of `fixtures/browser`; what it told. `None` where something is missing.
#[track_caller]
pub fn driven(script: &str, url: &str, words: &[&str]) -> Option<Json> {
    let modules = support::repository().join("target/validators/node_modules");
    let (Some(node), Some(chromium)) = (program(&["node"]), program(&["chromium", "chromium-browser"])) else {
        support::skip("node or chromium (Debian: apt-get install nodejs chromium)");
        return None;
    };
    if !modules.join("puppeteer-core").is_dir() || !modules.join("axe-core").is_dir() {
        support::skip("puppeteer-core or axe-core (tests/validators.sh)");
        return None;
    }
    let script = support::repository().join("tests/it/fixtures/browser").join(script);
    let mut command = Command::new(node);
    command.arg(script).arg(modules).arg(chromium).arg(url).args(words);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let ended = support::finish(command.spawn().expect("node starts")).code(0);
    let told: Json = serde_json::from_str(ended.stdout.trim()).unwrap_or_else(|error| panic!("{error}: {ended:?}"));
    let faults: Vec<&str> = told["faults"].as_array().expect("a list").iter().filter_map(Json::as_str).collect();
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
    Some(told)
}

fn address(file: &Path) -> String {
    format!("file://{}", file.display())
}

/// Of a file that is to ask nobody for anything, itself alone was asked for.
#[track_caller]
fn asked_nobody(told: &Json, url: &str) {
    let requests = told["requests"].as_array().expect("a list");
    let other = requests.iter().find(|request| request.as_str() != Some(url));
    assert!(other.is_none() && !requests.is_empty(), "{other:?} was asked for");
}

fn data(page: &str) -> Json {
    let begin = "<script type=\"application/json\" id=\"data\">";
    let from = page.find(begin).expect("data") + begin.len();
    let text = &page[from..];
    serde_json::from_str(&text[..text.find("</script>").expect("its end")]).expect("JSON")
}

const PLAN: &str = r#"
[plan]
name = "demo"
title = "A demonstration"
[vars]
deep = false
[steps.fetch]
title = "Fetch it"
run = "printf 'one\\ntwo\\n'"
pass = ["exit == 0", 'stdout contains "two"']
[steps.again]
run = 'test "$RUNPLAN_ATTEMPT" -ge 2'
needs = ["fetch"]
retry = { limit = 2, backoff = "10ms" }
[steps.look]
file = "counter"
needs = ["fetch"]
sample = { every = "10ms", consecutive = 4, within = "20s" }
pass = ["size >= 1B"]
[steps.broken]
title = "This one is broken"
run = "printf '\\033[31mred\\033[0m plain'; exit 3"
needs = ["fetch"]
required = false
[steps.behind]
run = "true"
needs = ["broken"]
required = false
[steps.last]
run = "true"
needs = ["again", "look"]
tags = ["quick"]
[steps.never]
run = """
echo one
echo two"""
when = "vars.deep == true"
"#;

/// A workspace with two runs of the demonstration.
fn space() -> Space {
    let space = Space::plan(PLAN);
    space.write("counter", "x");
    for _ in 0..2 {
        let _ = space.go(&["--no-reuse"]);
    }
    space
}

#[test]
fn the_same_run_gives_the_same_page_and_a_later_run_does_not_change_it() {
    let space = space();
    let id = space.latest().file_name().expect("an id").to_string_lossy().into_owned();
    let page = space.run(&["graph", "--run", &id, "--format", "html"]).code(0).stdout;
    let _ = space.run(&["graph", "--run", &id, "-o", "again.html"]).code(0);
    assert_eq!(page, space.read("again.html"), "twice the same, and the name of the file says what it is");
    let _ = space.go(&["--no-reuse"]);
    assert_eq!(page, space.run(&["graph", "--run", &id, "--format", "html"]).code(0).stdout, "whatever comes later");

    let data = data(&page);
    assert_eq!((&data["schema"], &data["run"]["id"]), (&"runplan.page/1".into(), &id.as_str().into()));
    let steps = data["steps"].as_array().expect("steps");
    let of = |name: &str| steps.iter().find(|step| step["name"] == name).unwrap_or_else(|| panic!("no `{name}`"));
    let states: Vec<&str> = steps.iter().filter_map(|step| step["state"].as_str()).collect();
    assert_eq!(states, ["pass", "pass", "pass", "fail", "blocked", "pass", "skip"]);
    assert_eq!(of("again")["attempts"].as_array().map(Vec::len), Some(2), "retries are told");
    assert_eq!(of("fetch")["criteria"][1]["text"], "stdout contains \"two\"");
    assert_eq!(of("broken")["logs"][0]["text"], "\u{1b}[31mred\u{1b}[0m plain");
    assert_eq!(of("behind")["notes"][0], "in the blast radius of broken");
    assert_eq!(of("never")["action"][0], "$ echo one\necho two");
    assert_eq!(of("look")["plots"][0]["states"], "pppp");
    assert!(of("last")["source"][0].as_str().is_some_and(|line| line == "[steps.last]"), "{}", of("last"));
    assert_eq!((data["trend"].as_array().map(Vec::len), of("broken")["past"].as_str()), (Some(2), Some("ff")));
    assert_eq!(data["run"]["record"].as_str().map(str::len), Some(64));
    assert_eq!(data["decision"]["verdict"], "GO");

    let dry = space.run(&["graph", "-o", "plan.html"]).code(0);
    assert!(dry.stdout.is_empty());
    let dry = space.read("plan.html");
    assert!(!dry.contains("src=\"http") && !dry.contains("url("), "it loads nothing");
    assert_eq!(self::data(&dry)["run"], Json::Null);
    for (file, begins) in [("x.svg", "<svg"), ("x.dot", "digraph"), ("x.mmd", "%% A demonstration"), ("x.json", "{")] {
        let _ = space.run(&["graph", "-o", file]).code(0);
        assert!(space.read(file).trim_start().starts_with(begins), "{file}: {}", &space.read(file)[..40]);
    }
}

#[test]
fn a_browser_drives_the_page_of_a_run_and_of_a_dry_run() {
    let space = space();
    let mut checks = 0;
    for (words, file, kind) in [(&["--run", "latest"][..], "run.html", "run"), (&[], "plan.html", "plan")] {
        let mut all = vec!["graph", "-o", file];
        all.extend(words);
        let _ = space.run(&all).code(0);
        let url = address(&space.path().join(file));
        let Some(told) = driven("page.mjs", &url, &[kind, "again", "look", "1"]) else { return };
        asked_nobody(&without_steps(&told), &url);
        checks += told["checks"].as_u64().unwrap_or(0);
    }
    assert!(checks > 200, "{checks}");
    support::say(&format!("page: {checks} checks of two pages in a browser, axe's among them"));
}

/// Addresses without what stands after `#`.
fn without_steps(told: &Json) -> Json {
    let requests = told["requests"].as_array().expect("a list");
    let short: Vec<&str> = requests.iter().filter_map(|url| url.as_str()?.split('#').next()).collect();
    serde_json::json!({ "requests": short })
}

#[test]
fn hostile_texts_stay_texts() {
    let attack = "</script><script>window.hit=1</script><img src=x onerror=window.hit=1>";
    let space = Space::plan(&format!(
        r#"
[plan]
name = "hostile"
title = "{attack}"
[steps.title]
title = "<b class=x>{attack}\u202e&amp;"
docs = "https://example.invalid/<script>window.hit=1</script>"
run = "cat output"
pass = ['stdout contains "{attack}"']
artifacts = ["out/<img src=x onerror=hit=1>.txt", "out/</script>.txt"]
[steps.broken]
title = "javascript:window.hit=1"
run = "cat output >&2; echo '{attack}' >&2; exit 1"
needs = ["title"]
required = false
"#
    ));
    let colours = "\x1b[31mred\x1b[0m \x1b]8;;http://x.invalid\x07link\x1b]8;;\x07 \x1b[2J\x1b[1;1H";
    space.write("output", format!("{attack}\n{colours}\u{202e}\u{0}\u{7}\u{2028}\n10 %\r20 %\r\n<!-- <script> -->\n"));
    space.write("out/<img src=x onerror=hit=1>.txt", "x").write("out/</script>.txt", "x");
    let _ = space.go(&[]);
    let _ = space.run(&["graph", "--run", "latest", "-o", "<b>.html"]).code(0);
    let page = space.read("<b>.html");
    assert_eq!((page.matches("<script").count(), page.matches("</script").count()), (2, 2));
    assert!(!page.contains("<img"), "no element of theirs");
    let url = address(&space.path().join("%3Cb%3E.html"));
    let shown =
        [attack, "<b class=x>", "<img src=x onerror=hit=1>.txt", "\\u{202e}", "20 %", "<!-- <script> -->", "link"];
    let mut words = vec!["2"];
    words.extend(shown);
    let Some(told) = driven("hostile.mjs", &url, &words) else { return };
    asked_nobody(&without_steps(&told), &url);
    assert_eq!(told["figures"]["coloured"], serde_json::json!(["red"]), "colours stay");
    support::say(&format!("page: {} checks of a hostile page", told["checks"]));
}

#[test]
fn a_thousand_steps_stay_fluid_and_small() {
    let mut text = String::from("[plan]\nname = \"large\"\n");
    for n in 0..1000 {
        let needs = match n {
            0..100 => String::new(),
            _ => format!("needs = [\"s{}\", \"s{}\"]\n", n - 100, n - 50 - n % 7 * 5),
        };
        let _ = writeln!(text, "[steps.s{n}]\nfile = \"blueprint.toml\"\ntitle = \"Step number {n}\"\n{needs}");
    }
    let space = Space::plan(&text);
    let _ = space.go(&["--progress", "none"]).code(0);
    let _ = space.run(&["graph", "--run", "latest", "-o", "run.html"]).code(0);
    let page = space.read("run.html");
    let drawing = page.find("<svg").zip(page.find("</svg>")).map_or(0, |(from, to)| to - from);
    assert!(page.len() - drawing < 1_100_000, "{} bytes besides the graph", page.len() - drawing);
    let url = address(&space.path().join("run.html"));
    let Some(told) = driven("large.mjs", &url, &["1000", "s99", "11"]) else { return };
    asked_nobody(&without_steps(&told), &url);
    support::say(&format!(
        "page: 1000 steps, {} KiB besides the graph, {}",
        (page.len() - drawing) / 1024,
        told["figures"]
    ));
}

/// Outputs beyond the limit are left out, and that is said; what failed comes first.
#[test]
fn long_outputs_are_cut() {
    let mut text = String::from("[plan]\nname = \"long\"\n");
    for n in 0..60 {
        let _ = writeln!(text, "[steps.s{n}]\nrun = \"head -c 20000 /dev/zero | tr '\\\\0' x\"\n");
    }
    text.push_str("[steps.z]\nrun = \"head -c 20000 /dev/zero | tr '\\\\0' y; exit 1\"\n");
    let space = Space::plan(&text);
    let _ = space.go(&["--progress", "none"]);
    let page = space.run(&["graph", "--run", "latest", "--format", "html"]).code(0).stdout;
    let data = data(&page);
    let steps = data["steps"].as_array().expect("steps");
    let kept: usize = steps.iter().filter_map(|step| step["logs"][0]["text"].as_str()).map(str::len).sum();
    assert!((300_000..=500_000).contains(&kept), "{kept}");
    let last = &steps.last().expect("a step")["logs"][0];
    assert_eq!((last["text"].as_str().map(str::len), last["left_out"].as_u64()), (Some(12_288), Some(7712)));
    assert!(data["left_out"].as_str().is_some_and(|text| text.contains("failures first")), "{}", data["left_out"]);
}

/// What the log keeps was masked with the secrets that there were; the page with those that there are as well.
#[test]
fn secrets_stay_out_of_the_page() {
    let (then, now) = ("hunter2-of-the-run", "hunter3-of-today");
    let plan = format!(
        "[plan]\nname = \"secret\"\n[secrets]\ntoken = {{ env = \"PAGE_TOKEN\" }}\n[steps.a]\ntitle = \"mind {now}\"\n\
         run = \"echo $TOKEN {now}; exit 1\"\nsecrets = [\"token\"]\npass = ['stdout contains \"{now}\"']\n"
    );
    let space = Space::plan(&plan).env("PAGE_TOKEN", then);
    let _ = space.go(&[]);
    let page = space.run(&["graph", "--run", "latest", "--format", "html"]).code(0).stdout;
    assert!(!page.contains(then) && page.contains(now));
    let space = space.env("PAGE_TOKEN", now);
    let page = space.run(&["graph", "--run", "latest", "--format", "html"]).code(0).stdout;
    assert!(!page.contains(then) && !page.contains(now), "{}", &page[page.find(now).unwrap_or(0)..][..200]);
    assert!(page.contains("mind [secret token]"), "it says that there was one");
}
