//! Drawings of real plans and of random ones: other programs read them, and no line goes through a box.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::page;
use crate::seeded::{Plan, Seed};
use crate::support::{self, Space};

/// Every plan of the repository.
fn plans() -> Vec<PathBuf> {
    let whole = |path: &PathBuf| std::fs::read_to_string(path).is_ok_and(|text| text.contains("\nformat "));
    let head = |path: &PathBuf| std::fs::read_to_string(path).is_ok_and(|text| text.starts_with("format "));
    let found: Vec<PathBuf> = crate::invalid::plans().into_iter().filter(|path| whole(path) || head(path)).collect();
    assert!(found.len() >= 2, "{found:?}");
    found
}

fn drawn(space: &Space, plan: &Path, words: &[&str]) -> String {
    let mut all = vec!["graph", plan.to_str().expect("a path")];
    all.extend(words);
    space.run(&all).code(0).stdout
}

/// Numbers of an attribute list or a path.
fn numbers(text: &str) -> Vec<f64> {
    let parts = text.split(|c: char| !(c.is_ascii_digit() || c == '-' || c == '.'));
    parts.filter_map(|part| part.parse().ok()).collect()
}

fn attribute<'a>(element: &'a str, name: &str) -> &'a str {
    let at = element.find(&format!(" {name}=\"")).unwrap_or_else(|| panic!("no {name} in {element}"));
    let rest = &element[at + name.len() + 3..];
    &rest[..rest.find('"').expect("a quote")]
}

/// Left, top, right, bottom of every box.
fn boxes(svg: &str) -> Vec<[f64; 4]> {
    svg.split("<rect")
        .skip(1)
        .map(|rect| {
            let [x, y, w, h] = ["x", "y", "width", "height"].map(|name| numbers(attribute(rect, name))[0]);
            [x, y, x + w, y + h]
        })
        .collect()
}

/// Points along every line: `M x y H x C x y x y x y H …`.
fn points(svg: &str) -> Vec<Vec<(f64, f64)>> {
    let path = |element: &str| {
        let mut points = Vec::new();
        let mut at = (0.0, 0.0);
        let d = attribute(element, "d");
        for part in d
            .split_inclusive(|c: char| c.is_ascii_digit() || " .-".contains(c))
            .collect::<String>()
            .split(['M', 'H', 'C'])
            .skip(1)
            .zip(d.matches(['M', 'H', 'C']))
        {
            let n = numbers(part.0);
            match part.1 {
                "M" => at = (n[0], n[1]),
                "H" => {
                    (0..=20).for_each(|t| points.push((at.0 + (n[0] - at.0) * f64::from(t) / 20.0, at.1)));
                    at.0 = n[0];
                }
                _ => {
                    for t in 0..=20 {
                        let t = f64::from(t) / 20.0;
                        let u = 1.0 - t;
                        let mix = |a: f64, b: f64, c: f64, d: f64| {
                            u * u * u * a + 3.0 * u * u * t * b + 3.0 * u * t * t * c + t * t * t * d
                        };
                        points.push((mix(at.0, n[0], n[2], n[4]), mix(at.1, n[1], n[3], n[5])));
                    }
                    at = (n[4], n[5]);
                }
            }
        }
        points
    };
    svg.split("<path class=\"e").skip(1).map(path).collect()
}

#[track_caller]
fn no_line_through_a_box(svg: &str) {
    let boxes = boxes(svg);
    let lines = points(svg);
    for line in &lines {
        for &(x, y) in line {
            let hit = boxes.iter().find(|b| b[0] + 0.5 < x && x < b[2] - 0.5 && b[1] < y && y < b[3]);
            assert!(hit.is_none(), "a line goes through {hit:?} at {x} {y}");
        }
    }
    let mut sorted = boxes.clone();
    sorted.sort_by(|a, b| a[0].total_cmp(&b[0]).then(a[1].total_cmp(&b[1])));
    for pair in sorted.windows(2) {
        let apart = pair[0][0] < pair[1][0] || pair[0][3] <= pair[1][1];
        assert!(apart, "boxes overlap: {pair:?}");
    }
}

/// The words that a hostile author would put in a name.
const HOSTILE: [&str; 16] = [
    "\"quoted\"",
    "end",
    "#35;",
    "größe—日本",
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "`md` **b**",
    "a;b",
    "%% c",
    "]]>",
    "x -->|y| z",
    "\\N\\l",
    "&amp;",
    "'s",
    "click n0 href",
    "style n0 fill:#f00",
];

/// A plan of few steps whose names and values other languages could take for words of their own.
pub fn small(seed: u64) -> String {
    const NAMES: [&str; 12] =
        ["end", "graph", "subgraph", "default", "click", "style", "o", "x", "class", "node", "digraph", "n0"];
    let mut random = Seed::new(seed);
    let quoted = |text: &str| serde_json::to_string(text).expect("text");
    let mut text = format!("format = 1\n[plan]\nname = \"small\"\ntitle = {}\n", quoted(random.pick(&HOSTILE)));
    let mut names: Vec<String> = Vec::new();
    for at in 0..5 + random.below(40) {
        let odd = NAMES.get(at).filter(|_| random.chance(50));
        let name = odd.map_or_else(|| format!("s-{at}"), |name| (*name).to_owned());
        let _ = writeln!(text, "[steps.{name}]\nrun = \"true\"\ntitle = {}", quoted(random.pick(&HOSTILE)));
        for (key, percent) in [("needs", 80), ("after", 15)] {
            let recent = names.len().saturating_sub(12);
            let mut before: BTreeSet<&String> = BTreeSet::new();
            for _ in 0..random.below(4) {
                if random.chance(percent) && !names.is_empty() {
                    before.insert(&names[recent + random.below(names.len() - recent)]);
                }
            }
            let before: Vec<&String> = before.into_iter().collect();
            let _ = writeln!(text, "{key} = {before:?}");
        }
        if random.chance(12) {
            let values: BTreeSet<&str> = (0..2 + random.below(3)).map(|_| random.pick(&HOSTILE)).collect();
            let values: Vec<String> =
                values.into_iter().filter(|value| !value.contains(['[', ']', ',', '='])).map(quoted).collect();
            let _ = writeln!(text, "matrix = {{ v = [\"plain\", {}] }}", values.join(", "));
        }
        if random.chance(20) {
            text.push_str("tags = [\"end\", \"t\"]\n");
        }
        if random.chance(10) {
            text.push_str("required = false\n");
        }
        names.push(name);
    }
    if random.chance(60) {
        text.push_str("[finally.last]\nrun = \"true\"\n");
    }
    text
}

/// Reads many pictures in one process; prints how many boxes each has.
const XML: &str = "import sys, xml.dom.minidom as m\nfor path in sys.argv[1:]:\n  \
                   print(len(m.parse(path).getElementsByTagName('rect')))";

/// One process of another program over many files; it has to be content.
#[track_caller]
fn accepted(program: &str, args: &[&str], files: &[String], folder: &Path, package: &str) -> Option<String> {
    let mut command = Command::new(program);
    command.args(args).args(files).current_dir(folder).stdin(Stdio::null());
    let Ok(child) = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn() else {
        support::skip(package);
        return None;
    };
    let ended = support::finish(child).code(0);
    assert!(ended.stderr.is_empty(), "{}", ended.stderr);
    Some(ended.stdout)
}

/// What is drawn of many plans, in a folder: `NNN.svg`, `NNN.dot`, `NNN.mmd`, and how many boxes and lines each has.
fn gallery(space: &Space) -> Vec<(usize, usize)> {
    let mut plans = plans();
    let large = if std::env::var_os("RUNPLAN_TEST_SEEDS").is_some() { 200 } else { 6 };
    for seed in 0..large {
        let name = format!("random-{seed}.toml");
        space.write(&name, Plan::random(seed, if seed % 2 == 0 { "independent" } else { "mixed" }));
        plans.push(space.path().join(name));
    }
    for seed in 0..200 {
        let name = format!("small-{seed}.toml");
        space.write(&name, small(seed));
        plans.push(space.path().join(name));
    }
    let mut counts = Vec::new();
    for (at, plan) in plans.iter().enumerate() {
        let svg = drawn(space, plan, &["--format", "svg", "--group-by", "none"]);
        no_line_through_a_box(&svg);
        let steps = boxes(&svg).len();
        if at % 10 == 0 {
            let json: serde_json::Value =
                serde_json::from_str(&drawn(space, plan, &["--format", "json"])).expect("JSON");
            let list = json["steps"].as_array().expect("steps");
            assert_eq!(steps, list.len(), "{}", plan.display());
            assert_eq!(svg, drawn(space, plan, &["--format", "svg", "--group-by", "none"]), "the same bytes each time");
            let tree = drawn(space, plan, &["--format", "tree"]);
            let text = drawn(space, plan, &["--format", "text", "--group-by", "none"]);
            let mut names = list.iter().filter_map(|step| step["name"].as_str());
            assert!(names.all(|name| tree.contains(name)), "{}", plan.display());
            assert!(text.contains(&format!("{steps} steps, ")), "{text}");
        }
        counts.push((steps, svg.matches("<path class=\"e").count()));
        space.write(&format!("all/{at:03}.svg"), svg);
        for (form, end) in [("dot", "dot"), ("mermaid", "mmd")] {
            let picture = drawn(space, plan, &["--format", form, "--group-by", "none"]);
            space.write(&format!("all/{at:03}.{end}"), picture);
        }
    }
    counts
}

#[test]
fn what_is_drawn_can_be_read_by_others_and_no_line_crosses_a_box() {
    let space = Space::new();
    let counts = gallery(&space);
    let folder = space.path().join("all");
    let files = |end: &str| -> Vec<String> { (0..counts.len()).map(|at| format!("{at:03}.{end}")).collect() };
    if let Some(read) = accepted("python3", &["-c", XML], &files("svg"), &folder, "python3") {
        let read: Vec<usize> = read.lines().map(|line| line.parse().expect("a number")).collect();
        assert_eq!(read, counts.iter().map(|count| count.0).collect::<Vec<_>>());
    }
    if accepted("dot", &["-Tsvg", "-O"], &files("dot"), &folder, "graphviz").is_some() {
        for (at, count) in counts.iter().enumerate() {
            let svg = space.read(&format!("all/{at:03}.dot.svg"));
            let found = (svg.matches("class=\"node\"").count(), svg.matches("class=\"edge\"").count());
            assert_eq!(found, *count, "{at:03}.dot");
        }
    }
    let words = [folder.to_str().expect("a path")];
    if let Some(told) = page::driven("mermaid.mjs", "about:blank", &words) {
        let mut rendered = 0;
        for (at, (boxes, lines)) in counts.iter().enumerate() {
            let found = &told["drawn"][format!("{at:03}.mmd")];
            assert_eq!(found["type"], "flowchart-v2", "{at:03}.mmd: {found}");
            if let Some(texts) = found["texts"].as_array() {
                assert_eq!(
                    (texts.len() as u64, found["edges"].as_u64()),
                    (*boxes as u64, Some(*lines as u64)),
                    "{at:03}.mmd"
                );
                rendered += 1;
            }
        }
        assert!(rendered >= 200, "{rendered} drawn by Mermaid");
        support::say(&format!("{rendered} plans drawn by Mermaid, {} read", counts.len()));
    }
    support::say(&format!("{} plans drawn and read", counts.len()));
}

/// Pictures as they were: `RUNPLAN_BLESS=1` draws them anew.
#[test]
fn pictures_are_as_they_were() {
    let space = Space::new().env("COLUMNS", "100");
    for folder in ["plans/staging", "examples/quickstart", "examples/hotel-agent"] {
        support::copy(&support::repository().join(folder), &space.path().join(folder));
    }
    space.write("thirty.toml", small(55)).write("hostile.toml", small(13));
    let mut compared = 0;
    for (plan, path, more) in [
        ("quickstart", "examples/quickstart/blueprint.toml", ""),
        ("staging", "plans/staging/blueprint.toml", ""),
        ("thirty", "thirty.toml", ""),
        ("hostile", "hostile.toml", ""),
    ] {
        for (form, end) in
            [("text", "txt"), ("tree", "tree"), ("dot", "dot"), ("mermaid", "mmd"), ("svg", "svg"), ("json", "json")]
        {
            // The day is in names of the staging plan.
            let mut words = vec!["graph", path, "--date", "2026-11-24", "--format", form];
            words.extend((!more.is_empty()).then_some(["--group-by", more]).into_iter().flatten());
            let picture = space.run(&words).code(0).stdout;
            let golden = support::repository().join(format!("tests/golden/graph/{plan}.{end}"));
            if std::env::var_os("RUNPLAN_BLESS").is_some() {
                std::fs::create_dir_all(golden.parent().expect("a folder")).expect("a folder");
                std::fs::write(&golden, &picture).expect("a written file");
            }
            let known = std::fs::read_to_string(&golden).unwrap_or_default();
            assert!(known == picture, "{plan}.{end} differs; RUNPLAN_BLESS=1 rewrites it\n{picture}");
            compared += 1;
        }
    }
    support::say(&format!("{compared} pictures compared"));
}

#[test]
fn the_focus_the_depth_and_groups() {
    let space = Space::plan(
        "[steps.a]\nrun = 'true'\ntags = ['x']\n[steps.b]\nneeds = ['a']\nmatrix = { n = [1, 2, 3] }\nrun = 'true'\n\
         [steps.c]\nneeds = ['b']\nrun = 'true'\n[steps.d]\nafter = ['c']\nrun = 'true'\ntags = ['x']\n",
    );
    let plan = space.path().join("blueprint.toml");
    let near = drawn(&space, &plan, &["--focus", "c", "--depth", "1", "--format", "json"]);
    let names = |text: &str| -> Vec<String> {
        let json: serde_json::Value = serde_json::from_str(text).expect("JSON");
        json["steps"]
            .as_array()
            .expect("steps")
            .iter()
            .map(|s| s["name"].as_str().expect("a name").to_owned())
            .collect()
    };
    assert_eq!(names(&near), ["b[n=1]", "b[n=2]", "b[n=3]", "c", "d"]);
    assert_eq!(names(&drawn(&space, &plan, &["--group-by", "matrix", "--format", "json"])), ["a", "b", "c", "d"]);
    // `a` and `d` would wait for each other through what is between them.
    assert_eq!(names(&drawn(&space, &plan, &["--group-by", "tag", "--format", "json"])).len(), 6);
    let tree = drawn(&space, &plan, &["--format", "tree", "--focus", "d", "--depth", "2"]);
    assert!(tree.starts_with("● d  run\n└─ ● c (after)"), "{tree}");
    let _ = space.run(&["graph", "--focus", "lost"]).code(2).says("no step `lost`").says("b[n=1]");
    let _ = space.run(&["graph", "--format", "svg", "-o", "no/such/x.svg"]).code(2).says("can't be written");
    let _ = space.run(&["graph", "--format", "svg", "-o", "x.svg"]).code(0);
    assert!(space.read("x.svg").starts_with("<svg"));
}

#[test]
fn a_run_is_drawn_with_its_states_its_times_and_its_blast_radius() {
    let space = Space::plan(
        "[steps.ok]\nrun = 'true'\n[steps.bad]\nneeds = ['ok']\nrun = 'exit 1'\n[steps.behind]\nneeds = ['bad']\nrun = 'true'\n\
         [steps.further]\nneeds = ['behind']\nrun = 'true'\n[finally.tidy]\nrun = 'true'\n",
    );
    let _ = space.go(&[]).code(1);
    let json = space.run(&["graph", "--run", "latest", "--format", "json"]).code(0).stdout;
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    let step = |name: &str| json["steps"].as_array().unwrap().iter().find(|s| s["name"] == name).unwrap().clone();
    assert_eq!((step("ok")["mark"].as_str(), step("bad")["mark"].as_str()), (Some("pass"), Some("fail")));
    assert_eq!(step("further")["mark"], "blocked");
    assert_eq!(step("bad")["blast"], serde_json::json!(["behind", "further"]));
    assert_eq!(step("ok")["blast"], serde_json::json!([]));
    assert_eq!(step("further")["reason"], "needs `bad`, which did not succeed");
    assert!(step("bad")["time_ns"].as_u64().is_some_and(|ns| ns > 0) && step("bad")["critical"] == true);
    let svg = space.run(&["graph", "--run", "latest", "--format", "svg"]).code(0).stdout;
    assert_eq!(svg.matches("class=\"n blocked").count(), 2);
    // From what failed to what it kept from running, and on from there.
    assert_eq!(svg.matches("class=\"e cut").count(), 2);
    assert!(svg.contains("blocks 2: behind, further") && svg.contains("nothing went on from here"), "{svg}");
    let run = |form: &str| space.run(&["graph", "--run", "latest", "--format", form]).code(0).stdout;
    assert_eq!(run("mermaid").matches(" --x ").count(), 2);
    assert_eq!(run("dot").matches("style=dashed, color").count(), 2);
    assert!(run("text").contains("blocks 2: behind, further\n"), "{}", run("text"));
    no_line_through_a_box(&svg);
    let _ = space.run(&["graph", "--run", "nope"]).code(2).says("no run `nope`");
    let _ = space.run(&["graph", "--run", "latest", "--format", "text"]).code(0).says("✗ bad").says("took");
}
