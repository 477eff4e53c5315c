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
const MAX_AGE: &str = r#"matches "(?i)^(?:[^,]*;)?\s*max-age\s*=\s*\"?0*(?:[1-9]\d{8,}|[7-9]\d{7}|6[4-9]\d{6}|63[1-9]\d{5}|630[89]\d{4}|6307[3-9]\d{3}|63072\d{3})\"?\s*(?:;|$)""#;

static OWASP_HEADERS: [(&str, Rule); 28] = [
    ("strict-transport-security", Secure(MAX_AGE)),
    ("strict-transport-security", Secure(r#"matches "(?i)^(?:[^,]*;)?\s*includeSubDomains\s*(?:;|$)""#)),
    ("x-frame-options", Is(r#"matches "(?i)^deny$""#)),
    ("x-content-type-options", Is(r#"matches "(?i)^nosniff$""#)),
    ("content-security-policy", Is(r#"matches "(?i)(?:^|;)\s*default-src\s+'(?:self|none)'\s*(?:;|$)""#)),
    ("content-security-policy", Is(r#"matches "(?i)(?:^|;)\s*form-action\s+'(?:self|none)'\s*(?:;|$)""#)),
    ("content-security-policy", Is(r#"matches "(?i)(?:^|;)\s*base-uri\s+'(?:self|none)'\s*(?:;|$)""#)),
    ("content-security-policy", Is(r#"matches "(?i)(?:^|;)\s*object-src\s+'none'\s*(?:;|$)""#)),
    ("content-security-policy", Is(r#"matches "(?i)(?:^|;)\s*frame-ancestors\s+'none'\s*(?:;|$)""#)),
    ("content-security-policy", Is(r#"matches "(?i)(?:^|;)\s*upgrade-insecure-requests\s*(?:;|$)""#)),
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
