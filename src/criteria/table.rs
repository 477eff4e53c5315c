//! The fact table: what each action offers to criteria. Docs, suggestions, `explain` and the type check read it.

mod gates;
mod looks;

use super::ast::{Path, Seg};
use super::scope::{Item, Kind};
use crate::action::ActionKind;

/// One fact, or one family of facts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FactSpec {
    /// Its path. `"X"` stands for any quoted text, `DOTTED` for one or more segments, `NAME` for one, `(a|b)` for one
    /// of these words.
    pub path: &'static str,
    /// What it is, for one look at one thing.
    pub kind: Kind,
    /// What it says, in a few words.
    pub doc: &'static str,
    /// May be absent, which fails a comparison instead of being an error.
    pub optional: bool,
}

const fn fact(path: &'static str, kind: Kind, doc: &'static str) -> FactSpec {
    FactSpec { path, kind, doc, optional: false }
}

const fn maybe(path: &'static str, kind: Kind, doc: &'static str) -> FactSpec {
    FactSpec { path, kind, doc, optional: true }
}

static RUN: [FactSpec; 12] = [
    maybe("exit", Kind::NUMBER, "exit code; absent if a signal ended it"),
    maybe("signal", Kind::TEXT, "name of the signal that ended it (`SIGSEGV`)"),
    fact("stdout", Kind::TEXT, "standard output"),
    fact("stderr", Kind::TEXT, "standard error"),
    fact("lines(stdout|stderr)", Kind::List(Item::Text), "lines of an output, without line ends"),
    fact("duration", Kind::TIME, "wall time of the process"),
    fact("json", Kind::ANY, "standard output as JSON (`parse = \"json\"` or `\"jsonl\"`)"),
    maybe("json.\"PATH\"", Kind::ANY, "what an RFC 9535 path finds in it (`json.\"$.a\"`)"),
    fact("artifact.\"PATH\".exists", Kind::BOOL, "a declared artifact or output is there"),
    maybe("artifact.\"PATH\".size", Kind::SIZE, "its size"),
    maybe("artifact.\"PATH\".sha256", Kind::TEXT, "SHA-256 of its bytes, lower-case hex"),
    fact("leaked", Kind::BOOL, "a process outlived it or kept its output open"),
];

static HTTP: [FactSpec; 14] = [
    fact("status", Kind::NUMBER, "status code"),
    maybe("header.\"NAME\"", Kind::TEXT, "a response header, name in any case"),
    fact("headers", Kind::List(Item::Text), "names of the response headers, lower-case"),
    fact("json", Kind::ANY, "body as JSON"),
    maybe("json.\"PATH\"", Kind::ANY, "what an RFC 9535 path finds in the body (`json.\"$.a\"`)"),
    fact("text", Kind::TEXT, "body as text"),
    fact("latency", Kind::TIME, "time from sending to the last byte"),
    fact("redirects", Kind::NUMBER, "how many redirects were followed"),
    fact("size", Kind::SIZE, "size of the body"),
    fact("url", Kind::TEXT, "address that answered, after redirects"),
    fact("paths", Kind::List(Item::Text), "what was asked for; without the origin where it is the same for all"),
    maybe("cert.expires_in", Kind::TIME, "time until the server's certificate expires; absent over plain http"),
    maybe("cert.names", Kind::List(Item::Text), "names it is valid for"),
    maybe("cert.issuer", Kind::TEXT, "who issued it"),
];

static FILE: [FactSpec; 13] = [
    fact("exists", Kind::BOOL, "it is there"),
    maybe("size", Kind::SIZE, "its size"),
    maybe("mode", Kind::MODE, "permission bits"),
    maybe("sha256", Kind::TEXT, "SHA-256 of its bytes, lower-case hex"),
    maybe("age", Kind::TIME, "time since it was changed"),
    maybe("text", Kind::TEXT, "its text"),
    fact("lines", Kind::List(Item::Text), "its lines, without line ends"),
    fact("keys", Kind::List(Item::Text), "names in it (dotenv, json, toml, yaml, ini)"),
    fact("values", Kind::List(Item::Text), "values in it, in the order of `keys`"),
    maybe("data.DOTTED", Kind::ANY, "one value in it (`data.server.port`)"),
    fact("paths", Kind::List(Item::Text), "files looked at"),
    fact("count", Kind::NUMBER, "how many files were found"),
    fact("template.keys", Kind::List(Item::Text), "names in the template file"),
];

static SERVICE: [FactSpec; 3] = [
    fact("ready", Kind::BOOL, "it became ready"),
    fact("attempts", Kind::NUMBER, "how often readiness was looked at"),
    fact("startup", Kind::TIME, "time from start to ready"),
];

static REPORT: [FactSpec; 35] = [
    fact("percent(lines|branches)", Kind::PERCENT, "covered share"),
    fact("covered(lines|branches)", Kind::NUMBER, "how many are covered"),
    fact("total(lines|branches)", Kind::NUMBER, "how many there are"),
    fact("uncovered(lines|branches)", Kind::NUMBER, "how many are not covered"),
    fact(
        "files.percent(lines|branches)",
        Kind::List(Item::Number(crate::facts::Unit::Percent)),
        "covered share per file",
    ),
    fact("files", Kind::List(Item::Text), "files in the report"),
    fact("file.\"PATH\".percent(lines|branches)", Kind::PERCENT, "covered share of a file; a list for a glob"),
    fact("file.\"PATH\".covered(lines|branches)", Kind::NUMBER, "how many are covered in a file"),
    fact("file.\"PATH\".total(lines|branches)", Kind::NUMBER, "how many there are in a file"),
    fact("file.\"PATH\".uncovered(lines|branches)", Kind::NUMBER, "how many are not covered in a file"),
    fact("diff.percent(lines)", Kind::PERCENT, "covered share of the lines added since `diff`"),
    fact("diff.covered(lines)", Kind::NUMBER, "how many of them are covered"),
    fact("diff.uncovered(lines)", Kind::NUMBER, "how many are not"),
    fact("diff.total(lines)", Kind::NUMBER, "how many the report measures"),
    fact("tests.total", Kind::NUMBER, "test cases"),
    fact(
        "tests.(passed|failed|skipped|errors|flaky)",
        Kind::NUMBER,
        "test cases that ended so; `flaky` passed, but not at once",
    ),
    fact("tests.names(passed|failed|skipped|errors|flaky)", Kind::List(Item::Text), "their names"),
    maybe(
        "test.\"NAME\".state",
        Kind::TEXT,
        "how one test ended (`passed`, `failed`, `skipped`, `error`); a list for a glob",
    ),
    fact("open(error|warning|note|none|total)", Kind::NUMBER, "findings that are not suppressed"),
    fact("new(error|warning|note|none|total)", Kind::NUMBER, "open findings that the baseline does not know"),
    fact("suppressed(error|warning|note|none|total)", Kind::NUMBER, "findings that are suppressed"),
    fact("findings(open|new|suppressed)", Kind::List(Item::Text), "level, rule, place and text of each, worst first"),
    fact("(mean|median|min|max|p90|p95|p99)", Kind::TIME, "of the only benchmark; of `http_req_duration` (k6)"),
    maybe("stddev", Kind::TIME, "standard deviation of its times; absent for a single one"),
    fact("times", Kind::List(Item::Number(crate::facts::Unit::Time)), "its times (hyperfine)"),
    fact("failed", Kind::NUMBER, "how many of its runs ended badly (hyperfine)"),
    fact("bench.\"NAME\".(mean|median|min|max|p90|p95|p99)", Kind::TIME, "of one of several benchmarks"),
    maybe("bench.\"NAME\".stddev", Kind::TIME, "standard deviation of its times"),
    fact("bench.\"NAME\".times", Kind::List(Item::Number(crate::facts::Unit::Time)), "its times (hyperfine)"),
    fact("bench.\"NAME\".(count|failed)", Kind::NUMBER, "how many times it has, and how many runs ended badly"),
    fact(
        "metric.\"NAME\".(rate|count|value|passes|fails|avg|min|med|max|p90|p95|p99)",
        Kind::NUMBER,
        "of a k6 metric that is no time",
    ),
    fact("checks.(total|passed|failed)", Kind::NUMBER, "how often a k6 check was looked at"),
    fact("checks.names(failed)", Kind::List(Item::Text), "checks that failed at least once"),
    fact("thresholds.(total|passed|failed)", Kind::NUMBER, "k6 thresholds"),
    fact("thresholds.names(failed)", Kind::List(Item::Text), "thresholds that were crossed"),
];

/// What every finished step offers under `steps.X.`, beside the facts of its action.
pub(super) static STEP: [FactSpec; 2] = [
    fact("state", Kind::TEXT, "how it ended (`pass`, `warn`, `fail` …)"),
    maybe("outputs.NAME", Kind::TEXT, "a named output"),
];

/// The facts of an action. `value` has none of its own: the plan names them.
#[must_use]
pub fn facts_of(kind: ActionKind) -> &'static [FactSpec] {
    match kind {
        ActionKind::Run => &RUN,
        ActionKind::Http => &HTTP,
        ActionKind::Render | ActionKind::File => &FILE,
        ActionKind::Service => &SERVICE,
        ActionKind::Value => &[],
        ActionKind::Report => &REPORT,
        ActionKind::Git => &looks::GIT,
        ActionKind::Checklist => &looks::CHECKLIST,
        ActionKind::Net => &looks::NET,
        ActionKind::Load => &looks::LOAD,
        ActionKind::Promql => &looks::PROMQL,
        ActionKind::Signoff => &gates::SIGNOFF,
        ActionKind::Plan => &gates::PLAN,
        ActionKind::Alert => &looks::ALERT,
    }
}

/// Whether a path is of this family.
pub(super) fn fits(spec: &str, path: &[Seg]) -> bool {
    let mut segs = path.iter();
    for pattern in spec.split('.') {
        if pattern == "DOTTED" {
            return segs.next().is_some() && segs.all(|seg| seg.param.is_none());
        }
        let Some(seg) = segs.next() else { return false };
        if !fits_seg(pattern, seg) {
            return false;
        }
    }
    segs.next().is_none()
}

fn fits_seg(pattern: &str, seg: &Seg) -> bool {
    if pattern.starts_with('"') {
        return seg.quoted;
    }
    if pattern.chars().all(|c| c.is_ascii_uppercase()) {
        return seg.param.is_none();
    }
    let Some((name, words)) = pattern.strip_suffix(')').and_then(|p| p.split_once('(')) else {
        return !seg.quoted && seg.param.is_none() && seg.name == pattern;
    };
    let one_of = |word: &str| words.split('|').any(|w| w == word);
    match &seg.param {
        _ if seg.quoted => false,
        Some(param) => seg.name == name && one_of(param),
        None => name.is_empty() && one_of(&seg.name),
    }
}

/// Whether the path has characters of a glob in the segment that may be one.
pub(super) fn glob_of(path: &Path) -> Option<&str> {
    let (family, name) = (path.segs.iter().rev().nth(2)?, path.segs.iter().rev().nth(1)?);
    let magic: &[char] = match family.name.as_str() {
        "file" => &['*', '?', '[', '{'],
        "test" => &['*', '?'],
        _ => return None,
    };
    (name.quoted && name.name.contains(magic)).then_some(name.name.as_str())
}

/// Every concrete spelling of a spec, for suggestions and documentation.
pub(super) fn spelled(spec: &str) -> Vec<String> {
    let Some((head, rest)) = spec.split_once('(') else { return vec![spec.to_owned()] };
    let Some((words, tail)) = rest.split_once(')') else { return vec![spec.to_owned()] };
    let choice = head.is_empty() || head.ends_with('.');
    words.split('|').map(|w| if choice { format!("{head}{w}{tail}") } else { format!("{head}({w}){tail}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings() {
        assert_eq!(spelled("tests.(passed|failed)"), ["tests.passed", "tests.failed"]);
        assert_eq!(spelled("percent(lines|branches)"), ["percent(lines)", "percent(branches)"]);
    }
}
