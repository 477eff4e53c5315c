//! Drawings of real plans and of random ones: other programs read them, and no line goes through a box.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::seeded::Plan;
use crate::support::{self, Space};

/// Every plan of the repository.
fn plans() -> Vec<PathBuf> {
    let repository = support::repository();
    ["plans/staging/blueprint.toml", "examples/quickstart/blueprint.toml"].map(|path| repository.join(path)).to_vec()
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

/// Feeds a program; it has to be content.
#[track_caller]
fn accepted(program: &str, args: &[&str], input: &str, package: &str) -> Option<String> {
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let Ok(mut child) = command.spawn() else {
        support::skip(package);
        return None;
    };
    let mut stdin = child.stdin.take().expect("stdin");
    let text = input.to_owned();
    let writer = std::thread::spawn(move || stdin.write_all(text.as_bytes()));
    let ended = support::finish(child).code(0);
    writer.join().expect("it ends").expect("it reads all");
    assert!(ended.stderr.is_empty(), "{}", ended.stderr);
    Some(ended.stdout)
}

const XML: &str =
    "import sys, xml.dom.minidom as m; d = m.parse(sys.stdin.buffer); print(len(d.getElementsByTagName('rect')))";

#[test]
fn what_is_drawn_can_be_read_by_others_and_no_line_crosses_a_box() {
    let space = Space::new();
    let mut plans = plans();
    let random = if std::env::var_os("RUNPLAN_TEST_SEEDS").is_some() { 200 } else { 24 };
    for seed in 0..random {
        let name = format!("random-{seed}.toml");
        space.write(&name, Plan::random(seed, if seed % 2 == 0 { "independent" } else { "mixed" }));
        plans.push(space.path().join(name));
    }
    for plan in &plans {
        let svg = drawn(&space, plan, &["--format", "svg", "--group-by", "none"]);
        no_line_through_a_box(&svg);
        let json: serde_json::Value = serde_json::from_str(&drawn(&space, plan, &["--format", "json"])).expect("JSON");
        let steps = json["steps"].as_array().expect("steps").len();
        assert_eq!(boxes(&svg).len(), steps, "{}", plan.display());
        assert_eq!(svg, drawn(&space, plan, &["--format", "svg", "--group-by", "none"]), "the same bytes each time");
        if let Some(count) = accepted("python3", &["-c", XML], &svg, "python3") {
            assert_eq!(count.trim(), steps.to_string());
        }
        let dot = drawn(&space, plan, &["--format", "dot", "--group-by", "none"]);
        if let Some(counted) = accepted("dot", &["-Tplain"], &dot, "graphviz") {
            assert_eq!(counted.lines().filter(|line| line.starts_with("node ")).count(), steps);
        }
        let tree = drawn(&space, plan, &["--format", "tree"]);
        let text = drawn(&space, plan, &["--format", "text", "--group-by", "none"]);
        let names = json["steps"].as_array().expect("steps").iter().filter_map(|step| step["name"].as_str());
        assert!(names.into_iter().all(|name| tree.contains(name)), "{}", plan.display());
        assert!(text.contains(&format!("{steps} steps, ")), "{text}");
    }
    support::say(&format!("{} plans drawn and read", plans.len()));
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
    assert_eq!(step("further")["reason"], "needs `bad`, which did not succeed");
    assert!(step("bad")["time_ns"].as_u64().is_some_and(|ns| ns > 0) && step("bad")["critical"] == true);
    let svg = space.run(&["graph", "--run", "latest", "--format", "svg"]).code(0).stdout;
    assert_eq!(svg.matches("class=\"n blocked").count(), 2);
    no_line_through_a_box(&svg);
    let _ = space.run(&["graph", "--run", "nope"]).code(2).says("no run `nope`");
    let _ = space.run(&["graph", "--run", "latest", "--format", "text"]).code(0).says("✗ bad").says("took");
}
