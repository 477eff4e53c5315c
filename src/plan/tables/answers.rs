//! Keys of `http` and `report`. Data only.

use super::super::keys::{Kind, Shape};
use super::{METHODS, TEMPLATES, TEXT_OR_TEXTS, key, with};
use Shape::{Duration, Int, Map, Size, Template, Word};

pub(in super::super) static HTTP: Kind = Kind {
    name: "http",
    what: "`http`",
    open: None,
    keys: &[
        with("url", Template, "Absolute URL, http or https.", "", "\"http://127.0.0.1:8080/health\""),
        key("urls", TEMPLATES, "Several of them: each fact is a list, in this order."),
        with(
            "paths",
            TEMPLATES,
            "Several paths of `url`, which is then only an origin.",
            "",
            "[\"/\", \"/no-such-page\"]",
        ),
        with("method", METHODS, "Method.", "GET", ""),
        with("headers", Map(&Template), "Request headers.", "{}", "{ accept = \"application/json\" }"),
        key("body", Template, "Request body."),
        with("timeout", Duration, "Longest time of one request.", "10s", ""),
        with("redirects", Int(0, 20), "How many redirects are followed.", "0", ""),
        with("max_body", Size, "Most bytes of body read.", "4MiB", ""),
        key("ca", Template, "PEM file with the only authorities that are trusted, instead of the system's."),
    ],
};

pub(in super::super) static REPORT: Kind = Kind {
    name: "report",
    what: "`report`",
    open: None,
    keys: &[
        key("path", Template, "The result file, relative to the workspace."),
        with(
            "format",
            Word(&["cobertura", "coverage.py", "lcov", "jacoco", "junit", "sarif", "hyperfine", "k6"]),
            "Its format.",
            "by its content",
            "",
        ),
        with("files", TEXT_OR_TEXTS, "Only these source files (globs).", "all", "[\"app/core/*.py\"]"),
        with("baseline", Template, "An earlier SARIF report: what it has is not new.", "", "\"security.sarif\""),
        with("diff", Template, "A git revision: what is covered of the lines added since.", "", "\"origin/main\""),
    ],
};
