//! What each word that a key takes means, in a line: hover text of editors. Data only.

/// The meaning of a word of a key; `None` if there is no such word.
pub(in super::super) fn meaning(key: &str, word: &str) -> Option<&'static str> {
    let (_, words) = WORDS.iter().find(|(name, _)| *name == key)?;
    words.iter().find(|(name, _)| *name == word).map(|(_, meaning)| *meaning)
}

type Words = &'static [(&'static str, &'static str)];

/// Keys of one name take words of one meaning.
const WORDS: [(&str, Words); 11] = [
    (
        "on_failure",
        &[
            ("independent", "Only what needs the failed step is skipped."),
            ("stop", "Nothing of a later rank is reached."),
            ("continue", "What needs the failed step runs all the same."),
        ],
    ),
    (
        "severity",
        &[
            ("low", "Weight 0.05 in the risk."),
            ("medium", "Weight 0.15 in the risk."),
            ("high", "Weight 0.35 in the risk."),
            ("critical", "Weight 1 in the risk."),
        ],
    ),
    (
        "run_when",
        &[
            ("success", "All that it needs passed or warned."),
            ("failure", "One of those that it needs failed."),
            ("completed", "All that it needs ran, whatever came out."),
            ("always", "In any case."),
        ],
    ),
    (
        "method",
        &[
            ("GET", "Reads."),
            ("HEAD", "Reads the headers only."),
            ("POST", "Sends something new."),
            ("PUT", "Replaces."),
            ("PATCH", "Changes a part."),
            ("DELETE", "Removes."),
            ("OPTIONS", "Asks what is allowed."),
            ("point", "Any figure as it is: no interval, never undecided."),
            ("mann-whitney", "For `med(…)`: ranks, the Hodges-Lehmann shift."),
            ("bootstrap", "For `p95(…)`, `med(…)`, `avg(…)`: percentiles of resamples, from a fixed seed."),
            ("fisher", "For `rate(…)`, `percent(…)`: exact bounds on the ratio of two shares."),
        ],
    ),
    (
        "type",
        &[
            ("string", "Text."),
            ("integer", "A whole number."),
            ("number", "A number."),
            ("boolean", "true or false."),
            ("list", "A list."),
        ],
    ),
    (
        "parse",
        &[
            ("json", "One JSON document."),
            ("jsonl", "A JSON document a line."),
            ("dotenv", "NAME=value lines."),
            ("toml", "TOML."),
            ("yaml", "YAML."),
            ("ini", "Sections of name = value lines."),
        ],
    ),
    (
        "class",
        &[
            ("stable", "The same bytes in every run: its digest is in the record."),
            ("normalized", "The same after the filters of `normalize`: the digest of that is in the record."),
            ("volatile", "Differs from run to run: only that it is there is in the record."),
        ],
    ),
    (
        "normalize",
        &[
            ("timestamps", "Dates and times become one word."),
            ("hex-addresses", "Addresses such as 0x7ffd1c2a become one word."),
            ("workspace", "The path of the workspace becomes one word."),
            ("sort-lines", "Lines are sorted."),
            ("crlf", "Line ends become those of Unix."),
        ],
    ),
    (
        "format",
        &[
            ("cobertura", "Coverage, Cobertura XML."),
            ("coverage.py", "Coverage, JSON of coverage.py."),
            ("lcov", "Coverage, LCOV tracefile."),
            ("jacoco", "Coverage, JaCoCo XML."),
            ("junit", "Tests, JUnit XML."),
            ("sarif", "Findings, SARIF 2.1.0."),
            ("hyperfine", "Benchmarks, JSON of hyperfine."),
            ("k6", "Load test, summary of k6."),
        ],
    ),
    (
        "signal",
        &[
            ("SIGTERM", "Asks to end."),
            ("SIGINT", "As Ctrl-C."),
            ("SIGQUIT", "Ends with a core dump, if allowed."),
            ("SIGHUP", "As a closed terminal."),
            ("SIGUSR1", "Of the program's own meaning."),
            ("SIGUSR2", "Of the program's own meaning."),
            ("SIGKILL", "Ends at once; cannot be caught."),
        ],
    ),
    ("preset", &[("owasp-headers@2026-07", "Security headers of the OWASP Secure Headers Project, July 2026.")]),
];
