//! Published lists of criteria under versioned names. Data, and how it is spelled as criteria; knows no step.
//!
//! `owasp-headers@2026-07` is what the OWASP Secure Headers Project recommends (its `headers_add.json` and
//! `headers_remove.json`), for every kind of answer: `Cache-Control` is meant for what is not static and
//! `Clear-Site-Data` for a logout, so both are left to the plan. A name with another date is another list: a verdict
//! does not change because the project's does.

/// Every preset.
pub(super) const NAMES: [&str; 1] = ["owasp-headers@2026-07"];

/// What a header has to be.
enum Rule {
    /// It is there and this holds.
    Is(&'static str),
    /// This does not hold of it, also if it is not there.
    Not(&'static str),
    /// As `Is`, over https only: a browser ignores it on a plain connection.
    Secure(&'static str),
}

use Rule::{Is, Not, Secure};

/// Two years of seconds or more, as digits.
const MAX_AGE: &str = r#"matches "(?i)^(?:[^,]*;)?\s*max-age\s*=\s*\"?0*(?:[1-9]\d{8,}|[7-9]\d{7}|6[4-9]\d{6}|63[1-9]\d{5}|630[89]\d{4}|6307[3-9]\d{3}|63072\d{3})\"?\s*(?:[;,]|$)""#;

static OWASP_HEADERS: [(&str, Rule); 28] = [
    ("strict-transport-security", Secure(MAX_AGE)),
    ("strict-transport-security", Secure(r#"matches "(?i)^(?:[^,]*;)?\s*includeSubDomains\s*(?:[;,]|$)""#)),
    ("x-frame-options", Is(r#"matches "(?i)^deny$""#)),
    ("x-content-type-options", Is(r#"matches "(?i)^nosniff$""#)),
    ("content-security-policy", Is(r#"matches "(?i)(?:^|[;,])\s*default-src\s+'(?:self|none)'\s*(?:[;,]|$)""#)),
    ("content-security-policy", Is(r#"matches "(?i)(?:^|[;,])\s*form-action\s+'(?:self|none)'\s*(?:[;,]|$)""#)),
    ("content-security-policy", Is(r#"matches "(?i)(?:^|[;,])\s*base-uri\s+'(?:self|none)'\s*(?:[;,]|$)""#)),
    ("content-security-policy", Is(r#"matches "(?i)(?:^|[;,])\s*object-src\s+'none'\s*(?:[;,]|$)""#)),
    ("content-security-policy", Is(r#"matches "(?i)(?:^|[;,])\s*frame-ancestors\s+'none'\s*(?:[;,]|$)""#)),
    ("content-security-policy", Is(r#"matches "(?i)(?:^|[;,])\s*upgrade-insecure-requests\s*(?:[;,]|$)""#)),
    ("content-security-policy", Not(r#"matches "(?i)unsafe""#)),
    ("x-permitted-cross-domain-policies", Is(r#"matches "(?i)^none$""#)),
    ("referrer-policy", Is(r#"matches "(?i)^no-referrer$""#)),
    ("cross-origin-embedder-policy", Is(r#"matches "^require-corp\s*(?:;|$)""#)),
    ("cross-origin-opener-policy", Is(r#"matches "^same-origin\s*(?:;|$)""#)),
    ("cross-origin-resource-policy", Is(r#"matches "(?i)^same-origin$""#)),
    ("permissions-policy", Is(r#"matches "(?:^|,)\s*camera=\(\)\s*(?:,|$)""#)),
    ("permissions-policy", Is(r#"matches "(?:^|,)\s*geolocation=\(\)\s*(?:,|$)""#)),
    ("permissions-policy", Is(r#"matches "(?:^|,)\s*microphone=\(\)\s*(?:,|$)""#)),
    ("permissions-policy", Is(r#"matches "(?:^|,)\s*payment=\(\)\s*(?:,|$)""#)),
    ("permissions-policy", Is(r#"matches "(?:^|,)\s*usb=\(\)\s*(?:,|$)""#)),
    ("expect-ct", Not("exists")),
    ("feature-policy", Not("exists")),
    ("public-key-pins", Not("exists")),
    ("x-xss-protection", Not(r#"matches "[^0]""#)),
    ("x-dns-prefetch-control", Not(r#"matches "(?i)^on$""#)),
    ("server", Not(r#"matches "\d""#)),
    (
        "",
        Not(
            r#"matches "^(?:powered-by|x-(?:server-|cf-)?powered-by.*|x-powered-cms|x-asp(?:net|netmvc)-version|x-php-version|x-generator|x-generated-by|x-framework|x-cms|x-(?:joomla|umbraco|cocoon|owa)-version|x-(?:be|fe)server|x-redirect-by|x-content-encoded-by|x-diaginfo|x-(?:b3|envoy|kong|litespeed|nextjs|varnish|kubernetes|atmosphere)-.*|x-dt(?:agentid|healthcheck|injectedservlet)|x-(?:ruxit|oneagent)-js-.*|x-(?:mod-pagespeed|page-speed)|x-jitsi-release|x-turbo-charged-by|x-old-content-length|(?:x-)?sourcemap|x-sourcefiles|x-calculatedbetarget|liferay-portal|oraclecommercecloud-version|pega-host|product|host-header|k-proxy-request|\$wsep)$""#,
        ),
    ),
];

/// The criteria of a preset, in its order, each with the header it is about (empty: none in particular).
///
/// `many`: it is held against several answers. `https`: all of them come over https.
pub(super) fn criteria(many: bool, https: bool) -> impl Iterator<Item = (&'static str, String)> {
    OWASP_HEADERS.iter().filter_map(move |(header, rule)| {
        let path = if header.is_empty() { "headers".to_owned() } else { format!("header.\"{header}\"") };
        let text = match (rule, many || header.is_empty()) {
            (Secure(_), _) if !https => return None,
            (Is(test) | Secure(test), true) => format!("every({path}) {test}"),
            (Is(test) | Secure(test), false) => format!("{path} {test}"),
            (Not(test), true) => format!("none({path}) {test}"),
            (Not(test), false) => format!("not {path} {test}"),
        };
        Some((*header, text))
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::tests::{good, says};
    use super::NAMES;
    use crate::criteria::{Evidence, evaluate};
    use crate::facts::{Facts, Value};
    use crate::outcome::State;

    /// What the project recommends, as a server would send it.
    const GOOD: [(&str, &str); 12] = [
        ("strict-transport-security", "max-age=63072000; includeSubDomains"),
        ("x-frame-options", "deny"),
        ("x-content-type-options", "nosniff"),
        (
            "content-security-policy",
            "default-src 'self'; form-action 'self'; base-uri 'self'; object-src 'none'; frame-ancestors 'none'; upgrade-insecure-requests",
        ),
        ("x-permitted-cross-domain-policies", "none"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-embedder-policy", "require-corp"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        (
            "permissions-policy",
            "accelerometer=(), camera=(), geolocation=(), microphone=(), payment=(), usb=(), sync-xhr=(self)",
        ),
        ("server", "nginx"),
        ("cache-control", "no-store, max-age=0"),
    ];

    fn answer(changes: &[(&str, Option<&str>)]) -> BTreeMap<String, Value> {
        let mut map: BTreeMap<String, Value> =
            GOOD.iter().map(|(name, value)| ((*name).to_owned(), Value::text(*value))).collect();
        for (name, value) in changes {
            match value {
                Some(value) => drop(map.insert((*name).to_owned(), Value::text(*value))),
                None => drop(map.remove(*name)),
            }
        }
        map
    }

    /// Criteria that did not pass, of one answer or of several.
    fn missed(step: &str, answers: &[BTreeMap<String, Value>]) -> Vec<(String, String)> {
        let plan = good(&format!("[steps.a]\n{step}\npreset = '{}'\n", NAMES[0]));
        let mut facts = Facts::about(1, "response");
        let names = answers.iter().flat_map(|answer| answer.keys().map(Value::text));
        facts.set("headers", Value::List(names.collect()));
        match answers {
            [only] => {
                facts.set("status", Value::int(200));
                facts.set("header", Value::Map(only.clone()));
            }
            _ => {
                let each = |value: fn(usize) -> Value| Value::List((0..answers.len()).map(value).collect());
                facts.set("status", each(|_| Value::int(200)));
                facts.set("paths", each(|at| Value::Text(format!("/{at}"))));
                facts.set("header", Value::List(answers.iter().cloned().map(Value::Map).collect()));
            }
        }
        let (steps, vars, env) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let samples = [facts.clone()];
        let evidence = Evidence {
            facts: &facts,
            samples: &samples,
            steps: &steps,
            vars: &vars,
            env: &env,
            ratchet: None,
            baseline: None,
            allow_no_baseline: None,
            now: 0,
        };
        let results = plan.steps[0].criteria.iter().map(|criterion| evaluate(criterion, &evidence, String::new()));
        results.filter(|result| result.state != State::Pass).map(|result| (result.text, result.actual)).collect()
    }

    const ONE: &str = "http = 'https://a.test/'";
    const MANY: &str = "http = { url = 'https://a.test', paths = ['/', '/x'] }";

    #[test]
    fn the_recommended_values_pass() {
        assert_eq!(missed(ONE, &[answer(&[])]), []);
        assert_eq!(missed(MANY, &[answer(&[]), answer(&[])]), []);
        let stricter = [
            ("strict-transport-security", Some("max-age=\"99999999\" ; INCLUDESUBDOMAINS;preload")),
            ("x-frame-options", Some("DENY")),
            (
                "content-security-policy",
                Some(
                    "upgrade-insecure-requests;frame-ancestors 'none';object-src 'none';base-uri 'none';form-action 'none';default-src 'none'",
                ),
            ),
            ("x-xss-protection", Some("0")),
            ("server", None),
        ];
        assert_eq!(missed(ONE, &[answer(&stricter)]), []);
    }

    #[test]
    fn each_header_that_is_missing_or_weak_is_named() {
        for (name, _) in GOOD.iter().filter(|(name, _)| !["server", "cache-control"].contains(name)) {
            let one = missed(ONE, &[answer(&[(name, None)])]);
            assert!(!one.is_empty() && one.iter().all(|(text, _)| text.contains(name)), "{name}: {one:?}");
            let many = missed(MANY, &[answer(&[]), answer(&[(name, None)])]);
            assert_eq!(many.len(), one.len(), "{name}");
            assert!(
                many.iter().all(|(text, actual)| text.contains(name) && actual == "1 of 2 not: /1: absent"),
                "{many:?}"
            );
        }
        let weak = [
            ("strict-transport-security", "max-age=63071999; includeSubDomains"),
            ("strict-transport-security", "max-age=31536000; includeSubDomains"),
            ("strict-transport-security", "max-age=63072000"),
            ("strict-transport-security", "max-age=0; includeSubDomains, max-age=63072000; includeSubDomains"),
            ("x-frame-options", "sameorigin"),
            ("x-content-type-options", "nosniff, nosniff"),
            (
                "content-security-policy",
                "default-src *; form-action 'self'; base-uri 'self'; object-src 'none'; frame-ancestors 'none'; upgrade-insecure-requests",
            ),
            (
                "content-security-policy",
                "default-src 'self'; form-action 'self'; base-uri 'self'; object-src 'none'; frame-ancestors 'none'; upgrade-insecure-requests; script-src 'unsafe-inline'",
            ),
            ("permissions-policy", "camera=(), geolocation=(self), microphone=(), payment=(), usb=()"),
            ("x-xss-protection", "1; mode=block"),
            ("x-dns-prefetch-control", "on"),
            ("expect-ct", "max-age=1"),
            ("server", "nginx/1.22.1"),
        ];
        for (name, value) in weak {
            let found = missed(ONE, &[answer(&[(name, Some(value))])]);
            assert!(found.len() == 1 && found[0].0.contains(name), "{name}: {value}: {found:?}");
        }
        for name in ["x-powered-by", "x-aspnet-version", "x-b3-traceid", "x-envoy-upstream-service-time", "x-generator"]
        {
            let found = missed(MANY, &[answer(&[]), answer(&[(name, Some("x"))])]);
            assert!(
                found.len() == 1 && found[0].1.starts_with("1 of ") && found[0].1.contains(&format!("/1: \"{name}\"")),
                "{found:?}"
            );
        }
    }

    #[test]
    fn plain_http_is_not_asked_for_hsts() {
        assert_eq!(missed("http = 'http://a.test/'", &[answer(&[("strict-transport-security", None)])]), []);
        says(
            "[steps.a]\nhttp = { urls = ['http://a.test', 'https://a.test'] }\npreset = 'owasp-headers@2026-07'\n",
            &["4:10 preset: `preset` asks more over https than over http, and here are both | make them two steps"],
        );
    }

    #[test]
    fn what_the_step_says_itself_takes_its_place() {
        let own = format!(
            "{ONE}\npass = ['header.\"X-Frame-Options\" == \"SAMEORIGIN\"', 'header.\"cache-control\" exists']"
        );
        assert_eq!(missed(&own, &[answer(&[("x-frame-options", Some("SAMEORIGIN"))])]), []);
        let warned = format!("{ONE}\nwarn = ['header.\"x-frame-options\" exists']");
        assert_eq!(missed(&warned, &[answer(&[("x-frame-options", Some("SAMEORIGIN"))])]).len(), 1);
    }

    #[test]
    fn unknown_names_and_other_actions_are_refused() {
        says(
            "[steps.a]\nhttp = 'http://a.test/'\npreset = 'owasp-headers@2026-08'\n",
            &["4:10 unknown-word: `preset` cannot be `owasp-headers@2026-08` | did you mean `owasp-headers@2026-07`?"],
        );
        says(
            "[steps.a]\nrun = 'x'\npreset = 'owasp-headers@2026-07'\n",
            &[
                "4:10 unused-key: `preset` judges answers of an `http`, and this is a `run` | remove it, or make the step an `http`",
            ],
        );
    }

    #[test]
    fn addresses_are_one_or_many() {
        says(
            "[steps.a]\nhttp = { url = 'http://a.test/x', paths = ['/'] }\n",
            &[
                "3:16 bad-url: `http://a.test/x` is more than an origin | beside `paths`, `url` is only such as `http://127.0.0.1:8080`",
            ],
        );
        says(
            "[steps.a]\nhttp = { url = 'http://a.test', paths = ['x'] }\n",
            &["3:42 bad-url: path `x` does not begin with `/` | write `/x`"],
        );
        says(
            "[steps.a]\nhttp = { url = 'http://a.test', urls = ['http://b.test'] }\n",
            &[
                "3:10 two-keys: `http` has `urls` and `url` | put all addresses under `urls`, or write `url` and `paths`",
            ],
        );
        says(
            "[steps.a]\nhttp = []\n",
            &["3:8 missing-key: `http` names no URL | write such as `http = \"http://127.0.0.1:8080/health\"`"],
        );
        says(
            "[steps.a]\nhttp = { url = 'http://a.test', ca = 'x.pem' }\n",
            &["3:33 unused-key: `ca` means nothing over plain http | write `https://…`, or drop it"],
        );
        let plan = good(
            "[steps.a]\nhttp = ['http://a.test/', 'http://b.test/']\npass = ['max(latency) < 1s', 'status == [200, 404]']\n",
        );
        let texts: Vec<&str> = plan.steps[0].criteria.iter().map(|criterion| criterion.text.as_str()).collect();
        assert_eq!(texts, ["max(latency) < 1s", "status == [200, 404]"]);
        says(
            "[steps.a]\nservice = { run = 'x', ready = { http = { urls = ['http://a.test', 'http://b.test'] } } }\n[steps.b]\nneeds = ['a']\nrun = 'x'\n",
            &["3:41 two-keys: `ready` asks one address | ask the one that tells that it is up; make the others a step"],
        );
        let plan = good("[steps.a]\nhttp = ['http://a.test/', 'http://b.test/']\n");
        assert_eq!(plan.steps[0].criteria[0].text, "every(status) >= 200");
    }
}
