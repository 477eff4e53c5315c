//! The readiness report as one page for a browser: the Markdown one, set in HTML. No script, nothing from elsewhere.

use super::{Readiness, markdown};
use crate::markdown::{escaped, to_html};
use crate::outcome::Verdict;
use crate::report::escape;

/// What the page may do: show its own style.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

const STYLE: &str = "\
:root { color-scheme: light dark; --ink: #1c2024; --soft: #60646c; --line: #d9d9e0; --back: #fff; --band: #f6f6f8; --link: #0b62c4; --good: #18794e; --warn: #945700; --bad: #c62a2f }
@media (prefers-color-scheme: dark) { :root { --ink: #edeef0; --soft: #a5a9b0; --line: #3a3d43; --back: #111113; --band: #1b1c1f; --link: #70b8ff; --good: #3dd68c; --warn: #ffc53d; --bad: #ff9592 } }
body { margin: 0; background: var(--back); color: var(--ink); font: 15px/1.5 system-ui, sans-serif }
main { max-width: 72rem; margin: 0 auto; padding: 2rem 1.25rem 4rem }
h1 { font-size: 1.7rem; line-height: 1.25; margin: 0 0 .5rem }
h2 { font-size: 1.2rem; margin: 2.2rem 0 .6rem; padding-bottom: .25rem; border-bottom: 1px solid var(--line) }
h3 { font-size: 1rem; margin: 1.6rem 0 .3rem }
h1 + p { font-size: 1.1rem } h1 + p strong { font-size: 1.5rem; padding-right: .3rem }
main.go h1 + p strong { color: var(--good) } main.hold h1 + p strong { color: var(--warn) } main.no-go h1 + p strong { color: var(--bad) }
strong { color: var(--warn) } a { color: var(--link); overflow-wrap: anywhere }
code { font: .87em ui-monospace, monospace; background: var(--band); padding: .08em .3em; border-radius: 3px; overflow-wrap: anywhere }
blockquote { margin: .5rem 0; padding: .1rem .9rem; border-left: 3px solid var(--warn); color: var(--soft) } blockquote p { margin: .3rem 0 }
.wide { overflow-x: auto } table { border-collapse: collapse; width: 100%; margin: .5rem 0 }
th, td { text-align: left; vertical-align: top; padding: .3rem .6rem; border-bottom: 1px solid var(--line) }
th { color: var(--soft); font-weight: 600 } th:empty { padding: 0 } ul { padding-left: 1.3rem }
@media print { :root { --ink: #000; --soft: #444; --line: #bbb; --back: #fff; --band: #fff; --link: #000; --good: #000; --warn: #000; --bad: #000 } main { max-width: none; padding: 0 } body { font-size: 10pt } .wide { overflow: visible } h2, h3 { break-after: avoid } tr, li, blockquote { break-inside: avoid } thead { display: table-header-group } }
";

/// The page.
#[must_use]
pub fn render(readiness: &Readiness<'_>) -> String {
    let title = readiness.plan.title.as_deref().unwrap_or(&readiness.plan.name);
    let (verdict, class) = match readiness.decision.verdict {
        Verdict::Go => ("GO", "go"),
        Verdict::Hold => ("HOLD", "hold"),
        Verdict::NoGo => ("NO-GO", "no-go"),
    };
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"referrer\" content=\"no-referrer\">\n<meta name=\"generator\" content=\"runplan\">\n\
         <title>{verdict}: {}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main class=\"{class}\">\n{}</main>\n</body>\n</html>\n",
        escaped(&escape::line(title)),
        to_html(&markdown::render(readiness)),
    )
}
