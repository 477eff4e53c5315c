//! How steps compare: which criterion by which method, and what can never be decided.

use super::*;

#[test]
fn a_comparison_that_can_never_be_decided_is_refused() {
    let load = |keys: &str, compare: &str, pass: &str| {
        format!(
            "[steps.a]\nload = {{ url = 'http://127.0.0.1:1/'{keys} }}\ncompare = {{ {compare} }}\npass = ['{pass}']\n"
        )
    };
    let two = ", baseline = 'http://127.0.0.1:2/'";
    let p95 = "p95(latency) <= baseline + 10%";
    says(
        &load(&format!(", total = 50{two}"), "method = 'bootstrap'", p95),
        &[
            "5:26 criterion: 50 samples a side can never reach alpha 0.05 | it takes at least 72 samples a side, or a larger `alpha`",
        ],
    );
    says(
        &load(&format!(", total = 10{two}"), "method = 'bootstrap'", "avg(latency) <= baseline"),
        &["5:26 criterion: the step takes at most 10 samples, and `min_n` is 20 | let it take more, or lower `min_n`"],
    );
    says(&load(&format!(", total = 72{two}"), "method = 'bootstrap'", p95), &[]);
    says(
        &load(", total = 100", "method = 'bootstrap'", p95),
        &[
            "5:26 criterion: this `load` looks at one side only | name the step to compare with: `compare = { …, baseline = \"STEP\" }`",
        ],
    );
    let range = |last: &str| {
        format!(
            "[steps.a]\npromql = {{ server = 'http://127.0.0.1:1', query = 'a', baseline = 'b', range = {{ last = '{last}', step = '1s' }} }}\ncompare = {{ method = 'mann-whitney' }}\npass = ['med(samples) <= baseline']\n"
        )
    };
    says(&range("20s"), &[]);
    says(
        &range("10s"),
        &["5:26 criterion: the step takes at most 11 samples, and `min_n` is 20 | let it take more, or lower `min_n`"],
    );
}

#[test]
fn a_criterion_takes_the_first_comparison_that_fits_it() {
    let ask = |compare: &str, pass: &str| {
        format!(
            "[steps.a]\nload = {{ url = 'http://127.0.0.1:1/', total = 99, baseline = 'http://127.0.0.1:2/' }}\ncompare = [{compare}]\npass = [{pass}]\n"
        )
    };
    let both = "{ method = 'bootstrap' }, { method = 'fisher', alpha = 0.01 }";
    let plan = loaded(&format!(
        "format = 1\n{}",
        ask(both, "'p95(latency) <= baseline + 10%', 'rate(errors) <= baseline + 50%'")
    ));
    assert_eq!(said(&plan), Vec::<String>::new());
    assert_eq!(plan.plan.steps[0].compare.len(), 2);
    says(
        &ask(both, "'max(latency) <= baseline'"),
        &[
            "5:10 criterion: `bootstrap` and `fisher` do not compare this | shares take `fisher`, percentiles and means `bootstrap`, medians `mann-whitney`, figures `point`",
        ],
    );
    says(
        &ask("{ method = 'fisher' }, { method = 'fisher', alpha = 0.01 }", "'rate(errors) <= baseline'"),
        &[
            "4:35 compare: `compare` names `fisher` twice | a criterion takes the first that fits it: the second would never be asked",
        ],
    );
}

#[test]
fn pairs_of_queries_go_together() {
    let ask = |keys: &str| format!("[steps.a]\npromql = {{ server = 'http://127.0.0.1:1', {keys} }}\n");
    says(
        &ask("query = { bad = 'a', total = 'b' }, range = { last = '1m', step = '1s' }"),
        &[
            "3:79 unused-key: `range` does not go with a pair of queries | count over the range in the query: `sum(increase(errors_total[30m]))`",
        ],
    );
    says(
        &ask("query = { bad = 'a', total = 'b' }, baseline = 'c'"),
        &[
            "3:79 two-kinds: `baseline` and `query` are of two kinds | both are one query, or both are `{ bad = …, total = … }`",
        ],
    );
    says(
        &ask("query = 'a', range = { last = '12h', step = '1s' }"),
        &["3:64 out-of-range: a range has at most 11,000 samples | make `step` longer"],
    );
}
