//! Steps that compare with another step: three answers, the same one every time, and what is refused at load.

use crate::support::Space;

/// `n` latencies around 100 ms times `factor`, and whether each request went wrong: `bad` of them.
fn measured(n: u32, factor: f64, bad: u32) -> String {
    let latency: Vec<f64> = (0..n).map(|i| factor * (90.0 + f64::from(i * 7919 % 1000) / 50.0)).collect();
    let wrong: Vec<bool> = (0..n).map(|i| i < bad).collect();
    serde_json::json!({ "latency": latency, "wrong": wrong }).to_string()
}

/// A canary beside the main line.
fn canary(compare: &str, criterion: &str, main: &str, canary: &str) -> Space {
    let space = Space::plan(&format!(
        "[steps.main]\nrun = ['cat', 'main.json']\nparse = 'json'\n\
         [steps.canary]\nneeds = ['main']\nrun = ['cat', 'canary.json']\nparse = 'json'\n\
         compare = {{ {compare}, baseline = 'main' }}\npass = ['{criterion}']\n"
    ));
    space.write("main.json", main).write("canary.json", canary);
    space
}

#[test]
fn a_candidate_that_is_thirty_percent_slower_fails() {
    let p95 = r#"p95(json."$.latency[*]") <= baseline + 10%"#;
    let med = r#"med(json."$.latency[*]") <= baseline + 10%"#;
    for (compare, criterion) in [("method = 'bootstrap', seed = 7", p95), ("method = 'mann-whitney'", med)] {
        let slow = canary(compare, criterion, &measured(300, 1.0, 0), &measured(300, 1.3, 0));
        let _ = slow.go(&[]).code(1).says("1.3×").says("300 against 300 samples");
        assert_eq!(slow.state("canary"), ("fail".into(), "criteria".into()));
        let same = canary(compare, criterion, &measured(300, 1.0, 0), &measured(300, 1.02, 0));
        let first = same.go(&[]).code(0).record_id();
        assert_eq!(same.go(&[]).code(0).record_id(), first, "judged again, it is the same record");
    }
    let few = canary("method = 'bootstrap'", p95, &measured(30, 1.0, 0), &measured(30, 1.3, 0));
    let _ = few.go(&[]).code(3).says("not enough data to tell").says("it takes 72");
    assert_eq!(few.state("canary"), ("inconclusive".into(), "undecided".into()));
}

#[test]
fn rare_errors_are_inconclusive_until_there_are_enough_requests() {
    let run = |n: u32, bad: (u32, u32)| {
        let criterion = r#"rate(json."$.wrong[*]") <= baseline + 50%"#;
        let space = canary("method = 'fisher'", criterion, &measured(n, 1.0, bad.0), &measured(n, 1.0, bad.1));
        let ended = space.go(&[]);
        (ended.code, space.state("canary").0)
    };
    assert_eq!(run(1000, (3, 6)), (3, "inconclusive".into()));
    assert_eq!(run(100_000, (300, 600)), (1, "fail".into()));
    assert_eq!(run(1000, (0, 0)), (0, "pass".into()));
}

#[test]
fn what_can_never_be_answered_is_refused_before_anything_runs() {
    let refused = |step: &str| {
        let text = format!("[steps.main]\nrun = 'touch ran; echo 1'\nparse = 'json'\n[steps.canary]\n{step}");
        let space = Space::plan(&text);
        let ended = space.go(&[]).code(2);
        assert!(!space.has("ran"), "nothing ran");
        ended
    };
    let four = |method: &str| {
        format!(
            "needs = ['main']\nrun = 'echo 1'\nparse = 'json'\nsample = {{ max = 4, every = '1ms' }}\n\
             compare = {{ {method}, alpha = 0.02, min_n = 1, baseline = 'main' }}\npass = ['med(json) <= baseline + 10%']\n"
        )
    };
    let _ = refused(&four("method = 'mann-whitney'"))
        .says("4 samples a side can never reach alpha 0.02")
        .says("at least 5 samples a side");
    let _ = refused(&four("method = 'fisher'")).says("`fisher` does not compare this");
    let _ = refused(&four("method = 'bootstrap', seeds = 1")).says("did you mean `seed`?");
    let _ = refused(&four("method = 'mann-whitney', seed = 1")).says("draws nothing at random");
    let _ = refused("run = 'true'\ncompare = { method = 'point' }\npass = ['duration <= baseline']\n")
        .says("this `run` looks at one side only")
        .says("name the step to compare with");
    let _ = refused("run = 'true'\ncompare = { method = 'point', baseline = 'main' }\n")
        .says("no criterion of `canary` compares with `baseline`");
    let _ = refused(
        "run = 'true'\ncompare = { method = 'point', baseline = 'main' }\npass = ['duration <= baseline + 10%']\n",
    )
    .says("`main` does not come before this step");
    let _ = refused(
        "needs = ['main']\nrun = 'true'\ncompare = { method = 'point', alpha = 0.9, baseline = 'main' }\n\
         sample = { consecutive = 2 }\npass = ['max(duration) <= baseline']\n",
    )
    .says("`alpha` is from 0.001 to 0.5")
    .says("judged once, on all looks");
}

#[test]
fn figures_are_compared_as_they_are() {
    let space = Space::plan(
        "[steps.main]\nrun = 'echo 100'\nparse = 'json'\n[steps.canary]\nneeds = ['main']\nrun = 'echo $N'\n\
         parse = 'json'\nenv = { N = '{{ vars.n }}' }\ncompare = { method = 'point', baseline = 'main' }\n\
         pass = ['json <= baseline + 10%']\n[vars]\nn = 110\n",
    );
    let _ = space.go(&[]).code(0);
    let _ = space.go(&["--var", "n=111"]).code(1).says("1.11×");
}
