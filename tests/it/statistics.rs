//! Comparisons against SciPy on some hundred random cases: p-values, intervals, estimates, answers.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use runplan::compare::{
    Answer, Comparison, Counts, Lack, Limit, Rules, Scale, Side, Statistic, bootstrap, fisher, mann_whitney,
};
use serde_json::{Value, json};

use crate::support::{repository, say};

/// A Python that imports SciPy.
fn python() -> Option<PathBuf> {
    let venv = repository().join("target/scipy/bin/python");
    let imports = |python: &PathBuf| {
        let ended = Command::new(python).args(["-c", "import scipy"]).stderr(Stdio::null()).status();
        ended.is_ok_and(|status| status.success())
    };
    let found = [venv.clone(), PathBuf::from("python3")].into_iter().find(imports);
    if found.is_some() || std::env::var_os("CI").is_none() {
        return found;
    }
    let made = Command::new(repository().join("tests/scipy.sh")).status().expect("tests/scipy.sh starts");
    assert!(made.success(), "tests/scipy.sh could not install scipy");
    Some(venv)
}

/// Random numbers of the cases: a linear congruential generator.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    /// Between 0 and 1, more or less bell-shaped.
    fn bell(&mut self) -> f64 {
        (0..4).map(|_| self.below(1 << 20) as f64).sum::<f64>() / f64::from(4 << 20)
    }

    fn alpha(&mut self) -> f64 {
        [0.01, 0.05, 0.1, 0.2][self.below(4) as usize]
    }

    /// A sample: smooth, of few values with ties, or mostly zeros.
    fn sample(&mut self, most: u64, least: u64, kind: u64, factor: f64) -> Vec<f64> {
        let n = least + self.below(most - least + 1);
        let one = |dice: &mut Self| match kind {
            0 => factor * (50.0 + 100.0 * dice.bell()),
            1 => (factor * (3 + dice.below(6)) as f64).floor(),
            2 => (factor * dice.below(4) as f64).floor(),
            _ if dice.below(5) < 3 => 0.0,
            _ => factor * (5.0 + 10.0 * dice.bell()),
        };
        (0..n).map(|_| one(self)).collect()
    }

    fn limit(&mut self, scale: Scale) -> Limit {
        let bound = [1.0, 1.1, 1.5][self.below(3) as usize];
        let bound = if scale == Scale::Ratio { bound } else { (bound - 1.0) * 40.0 };
        Limit { side: Side::AtMost, scale, bound, strict: false }
    }
}

fn told(kind: &str, compared: &Comparison, limit: &Limit, alpha: f64) -> Value {
    let answer = match compared.answer {
        Answer::Holds => "holds",
        Answer::Fails => "fails",
        Answer::Unknown(Lack::Wide) => "unknown",
        Answer::Unknown(_) => "too few",
    };
    let scale = if limit.scale == Scale::Ratio { "ratio" } else { "shift" };
    // As text, because JSON has no infinities.
    let text = |value: f64| value.to_string();
    json!({
        "kind": kind, "answer": answer, "scale": scale, "method": compared.method, "alpha": text(alpha),
        "low": text(compared.low), "high": text(compared.high), "estimate": text(compared.estimate),
        "bound": text(limit.bound), "p": compared.p.map(text),
    })
}

fn with(mut case: Value, candidate: Value, baseline: Value) -> String {
    case["candidate"] = candidate;
    case["baseline"] = baseline;
    case.to_string()
}

fn cases() -> Vec<String> {
    let mut dice = Dice(20_260_701);
    let mut cases = Vec::new();
    for round in 0..300 {
        let scale = if round % 2 == 0 { Scale::Ratio } else { Scale::Shift };
        let (alpha, limit, kind) = (dice.alpha(), dice.limit(scale), dice.below(4));
        let most = [8, 50, 90][dice.below(3) as usize];
        let factor = 1.0 + dice.below(80) as f64 / 100.0;
        let (c, b) = (dice.sample(most, 2, kind, factor), dice.sample(most, 2, kind, 1.0));
        let compared = mann_whitney(&c, &b, &limit, &Rules { alpha, min_n: 1 }).expect("fit to compare");
        cases.push(with(told("mann-whitney", &compared, &limit, alpha), json!(c), json!(b)));
    }
    for round in 0..40 {
        let scale = if round % 2 == 0 { Scale::Ratio } else { Scale::Shift };
        let (alpha, limit) = (0.05, dice.limit(scale));
        let factor = 1.0 + dice.below(40) as f64 / 100.0;
        let (c, b) = (dice.sample(120, 72, 0, factor), dice.sample(120, 72, 0, 1.0));
        let quantile = [-1.0, 0.5, 0.9, 0.95][dice.below(4) as usize];
        let statistic = if quantile < 0.0 { Statistic::Mean } else { Statistic::Quantile(quantile) };
        let rules = Rules { alpha, min_n: 1 };
        let compared = bootstrap(&c, &b, statistic, round, &limit, &rules).expect("fit to compare");
        let mut case = told("bootstrap", &compared, &limit, alpha);
        case["quantile"] = json!(quantile.to_string());
        cases.push(with(case, json!(c), json!(b)));
    }
    for _ in 0..300 {
        let (alpha, limit) = (dice.alpha(), dice.limit(Scale::Ratio));
        let size = [20, 1000, 100_000][dice.below(3) as usize];
        let mut one = |rate: u64| {
            let total = size / 2 + dice.below(size);
            Counts { bad: dice.below(total * rate / 100 + 2).min(total), total }
        };
        let (c, b) = (one(8), one(5));
        let compared = fisher(c, b, &limit, &Rules { alpha, min_n: 1 }).expect("fit to compare");
        cases.push(with(told("fisher", &compared, &limit, alpha), json!([c.bad, c.total]), json!([b.bad, b.total])));
    }
    cases
}

#[test]
fn scipy_gives_the_same_figures() {
    let Some(python) = python() else {
        say("skipped: no python3 with scipy; run tests/scipy.sh");
        return;
    };
    let cases = cases();
    let script = repository().join("tests/it/fixtures/statistics.py");
    let mut child = Command::new(python)
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("python starts");
    let mut input = child.stdin.take().expect("a pipe");
    let text = cases.join("\n");
    let writer = std::thread::spawn(move || drop(input.write_all(text.as_bytes())));
    let ended = child.wait_with_output().expect("python ends");
    writer.join().expect("the writer ends");
    let (out, err) = (String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
    assert!(ended.status.success(), "{out}\n{}", err.chars().take(6000).collect::<String>());
    assert_eq!(out.trim(), format!("{} cases, 0 differ", cases.len()));
}
