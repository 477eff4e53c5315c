//! Provenance in the shape of SLSA v1: what was asked for, what it was made from, who ran it. The engine attests to its
//! own run, so this is level 1 at most. Only of a run that has a record.

use std::collections::BTreeSet;

use serde_json::{Value as Json, json};

use super::intoto::{STATEMENT, file, subjects};
use super::{Run, document, line, timestamp};
use crate::record::store::RECORD_FILE;

const PROVENANCE: &str = "https://slsa.dev/provenance/v1";
/// What `externalParameters` mean: those of the run line of a record.
const BUILD_TYPE: &str = "urn:runplan:build:plan:1";
/// Who ran it, where nobody says.
pub const BUILDER: &str = "urn:runplan:builder:unspecified";

/// The statement; `builder` is the URI of whoever is answerable for the machine.
#[must_use]
pub fn render(run: &Run, builder: &str) -> Vec<u8> {
    let plan = &run.plan;
    let params: serde_json::Map<String, Json> =
        plan.vars.iter().map(|(name, value)| (name.clone(), line(value).into())).collect();
    let select: BTreeSet<String> = plan.select.iter().map(|text| line(text)).collect();
    let mut external = json!({
        "plan": line(&plan.path), "params": params, "select": select, "on_failure": plan.on_failure,
    });
    if let Some(date) = &plan.date {
        external["date"] = line(date).into();
    }
    let inputs: BTreeSet<(&str, &str)> = run
        .steps
        .iter()
        .filter_map(|step| step.result.as_ref())
        .flat_map(|result| &result.inputs)
        .map(|input| (input.path.as_str(), input.sha256.as_str()))
        .collect();
    let plans = run.about.files.iter().map(|(path, digest)| file(path, digest));
    let dependencies: Vec<Json> = plans.chain(inputs.iter().map(|(path, digest)| file(path, digest))).collect();
    let mut byproducts = vec![file(crate::record::journal::FILE_NAME, &run.about.journal)];
    byproducts.extend(run.about.record.iter().map(|(id, _)| file(RECORD_FILE, id)));
    document(&json!({
        "_type": STATEMENT,
        "subject": subjects(run),
        "predicateType": PROVENANCE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": external,
                "internalParameters": { "jobs": run.settings.jobs, "containment": line(&run.settings.containment) },
                "resolvedDependencies": dependencies,
            },
            "runDetails": {
                "builder": { "id": line(builder), "version": { "runplan": line(&run.settings.engine) } },
                "metadata": {
                    "invocationId": line(&run.about.run),
                    "startedOn": timestamp(run.wall_ms(0)),
                    "finishedOn": timestamp(run.wall_ms(run.took_ns)),
                },
                "byproducts": byproducts,
            },
        },
    }))
}

#[cfg(test)]
mod tests {
    use super::super::run::tests::eventful;
    use super::*;

    #[test]
    fn parameters_inputs_and_builder_are_told() {
        let mut run = eventful();
        run.plan.vars.insert("n".into(), "3".into());
        let input =
            crate::outcome::FileDigest { path: "src/a".into(), sha256: "7".repeat(64), size: 1, executable: false };
        let result = run.steps[0].result.as_mut().unwrap();
        result.inputs = vec![input.clone(), input];
        let statement: Json = serde_json::from_slice(&render(&run, "https://ci.example/builder")).unwrap();
        let definition = &statement["predicate"]["buildDefinition"];
        assert_eq!(definition["externalParameters"]["params"]["n"], "3");
        assert_eq!(definition["resolvedDependencies"].as_array().unwrap().len(), 2, "each file once");
        assert_eq!(statement["predicate"]["runDetails"]["builder"]["id"], "https://ci.example/builder");
    }
}
