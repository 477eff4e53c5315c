//! An in-toto Statement v1 with the test-result predicate: what the run says about its record and its stable artifacts.
//! Only of a run that has a record.

use serde_json::{Value as Json, json};

use super::{Came, Run, document, line};
use crate::outcome::Verdict;
use crate::record::store::RECORD_FILE;

/// Type of every statement.
pub(super) const STATEMENT: &str = "https://in-toto.io/Statement/v1";
/// Type of the predicate.
const TEST_RESULT: &str = "https://in-toto.io/attestation/test-result/v0.1";

/// The statement.
#[must_use]
pub fn render(run: &Run) -> Vec<u8> {
    let names = |wanted: &[Came]| -> Vec<String> {
        run.steps.iter().filter(|step| wanted.contains(&step.came)).map(|step| line(&step.head.name)).collect()
    };
    let warned = names(&[Came::Warn, Came::Waived]);
    let failed = names(&[Came::Fail, Came::Inconclusive, Came::Error]);
    let result = match run.verdict() {
        Some(Verdict::Go) if warned.is_empty() && failed.is_empty() => "PASSED",
        Some(Verdict::Go) => "WARNED",
        // Whoever waits for people is not there yet: a policy must not take it for a pass.
        _ => "FAILED",
    };
    let configuration: Vec<Json> = run.about.files.iter().map(|(path, digest)| file(path, digest)).collect();
    document(&json!({
        "_type": STATEMENT,
        "subject": subjects(run),
        "predicateType": TEST_RESULT,
        "predicate": {
            "result": result,
            "configuration": configuration,
            "passedTests": names(&[Came::Pass]),
            "warnedTests": warned,
            "failedTests": failed,
        },
    }))
}

/// The record and every stable artifact.
pub(super) fn subjects(run: &Run) -> Vec<Json> {
    let record = run.about.record.iter().map(|(id, _)| file(RECORD_FILE, id));
    record.chain(run.stable_artifacts().iter().map(|artifact| file(&artifact.path, &artifact.sha256))).collect()
}

/// A file by its digest.
pub(super) fn file(name: &str, sha256: &str) -> Json {
    json!({ "name": line(name), "digest": { "sha256": sha256 } })
}

#[cfg(test)]
mod tests {
    use super::super::run::tests::eventful;
    use super::*;

    #[test]
    fn only_a_go_without_blemish_is_passed() {
        let mut run = eventful();
        let told = |run: &Run| {
            let statement: Json = serde_json::from_slice(&render(run)).unwrap();
            (statement["predicate"]["result"].as_str().unwrap().to_owned(), statement)
        };
        let (word, statement) = told(&run);
        assert_eq!((word.as_str(), &statement["predicate"]["failedTests"]), ("FAILED", &json!(["c"])));
        assert_eq!(statement["subject"][0]["digest"]["sha256"], "5".repeat(64));
        assert_eq!(statement["subject"][1]["name"], "out", "an artifact of step `f`");
        run.decision.as_mut().unwrap().verdict = Verdict::Hold;
        assert_eq!(told(&run).0, "FAILED");
        run.decision.as_mut().unwrap().verdict = Verdict::Go;
        assert_eq!(told(&run).0, "WARNED");
        run.steps.retain(|step| step.came == Came::Pass);
        assert_eq!(told(&run).0, "PASSED");
    }
}
