//! The forms in which programs print a secret. Pure.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};

/// Shorter lines of a secret are too common to be masked.
const SHORTEST_LINE: usize = 8;

/// Beyond this a secret is a file: its lines are encoded, the whole of it isn't.
const LONGEST_ENCODED: usize = 64 * 1024;

/// Every form of a secret, without duplicates and never empty.
pub(super) fn of(secret: &[u8]) -> BTreeSet<Vec<u8>> {
    let mut all = BTreeSet::new();
    for form in forms(secret) {
        if form.len() <= LONGEST_ENCODED {
            encodings(&form, &mut all);
        }
        all.insert(form);
    }
    all.remove([].as_slice());
    all
}

/// As it is, without the line end a file adds, and line by line.
fn forms(secret: &[u8]) -> BTreeSet<Vec<u8>> {
    let trimmed = trim(secret);
    let lines = trimmed.split(|&byte| byte == b'\n').map(trim).filter(|line| line.len() >= SHORTEST_LINE);
    // Without the whole text: it would only match what its trimmed form matches already.
    let whole = if trimmed.is_empty() { secret } else { trimmed };
    std::iter::once(whole).chain(lines).map(<[u8]>::to_vec).collect()
}

fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [rest @ .., b'\n' | b'\r'] = bytes {
        bytes = rest;
    }
    bytes
}

fn encodings(form: &[u8], all: &mut BTreeSet<Vec<u8>>) {
    percent(form, all);
    hex(form, all);
    base64(form, all);
    shell(form, all);
    xml(form, all);
    json(form, all);
}

/// Percent-encoding as RFC 3986, `encodeURIComponent`, paths, forms and `quote_plus` do it, with both cases of hex digits.
fn percent(form: &[u8], all: &mut BTreeSet<Vec<u8>>) {
    for (unescaped, plus) in [("-._~", false), ("-._~/", false), ("-_.!~*'()", false), ("*-._", true), ("_.-~", true)] {
        for upper in [true, false] {
            let mut text = String::new();
            for &byte in form {
                let _ = match byte {
                    b' ' if plus => write!(text, "+"),
                    _ if byte.is_ascii_alphanumeric() || unescaped.as_bytes().contains(&byte) => {
                        write!(text, "{}", char::from(byte))
                    }
                    _ if upper => write!(text, "%{byte:02X}"),
                    _ => write!(text, "%{byte:02x}"),
                };
            }
            all.insert(text.into_bytes());
        }
    }
}

fn hex(form: &[u8], all: &mut BTreeSet<Vec<u8>>) {
    let (mut lower, mut upper) = (String::new(), String::new());
    for byte in form {
        let _ = write!(lower, "{byte:02x}");
        let _ = write!(upper, "{byte:02X}");
    }
    all.insert(lower.into_bytes());
    all.insert(upper.into_bytes());
}

/// Base64 of a text in which the secret stands after 0, 1 or 2 other bytes, cut down to the characters that hold nothing but the secret.
fn base64(form: &[u8], all: &mut BTreeSet<Vec<u8>>) {
    for before in 0..3 {
        let mut padded = vec![0; before];
        padded.extend_from_slice(form);
        let (from, to) = ((before * 8).div_ceil(6), padded.len() * 8 / 6);
        for engine in [&STANDARD, &URL_SAFE] {
            if let Some(certain) = engine.encode(&padded).as_bytes().get(from..to) {
                all.insert(certain.to_vec());
            }
        }
    }
}

fn replaced(form: &[u8], pairs: &[(u8, &str)]) -> Vec<u8> {
    let mut out = Vec::with_capacity(form.len());
    for &byte in form {
        match pairs.iter().find(|(from, _)| *from == byte) {
            Some((_, to)) => out.extend_from_slice(to.as_bytes()),
            None => out.push(byte),
        }
    }
    out
}

/// Within single quotes, within double quotes, and with backslashes.
fn shell(form: &[u8], all: &mut BTreeSet<Vec<u8>>) {
    all.insert(replaced(form, &[(b'\'', r"'\''")]));
    all.insert(replaced(form, &[(b'\'', r#"'"'"'"#)]));
    all.insert(replaced(form, &[(b'"', r#"\""#), (b'$', r"\$"), (b'`', r"\`"), (b'\\', r"\\")]));
    let mut backslashed = Vec::with_capacity(form.len());
    for &byte in form {
        if byte.is_ascii() && !byte.is_ascii_control() && !byte.is_ascii_alphanumeric() && !b"-_./:=@%+".contains(&byte)
        {
            backslashed.push(b'\\');
        }
        backslashed.push(byte);
    }
    all.insert(backslashed);
}

/// Text and attribute escapes, with the spellings of a quote that are in use.
fn xml(form: &[u8], all: &mut BTreeSet<Vec<u8>>) {
    let basic = [(b'&', "&amp;"), (b'<', "&lt;"), (b'>', "&gt;")];
    all.insert(replaced(form, &basic));
    for double in ["&quot;", "&#34;"] {
        for single in ["'", "&apos;", "&#39;", "&#x27;"] {
            let quotes = [(b'"', double), (b'\'', single)];
            all.insert(replaced(form, &[basic.as_slice(), &quotes].concat()));
        }
    }
}

/// Within a JSON string: plain, with `\/`, with all but ASCII as `\u`, and safe for HTML.
fn json(form: &[u8], all: &mut BTreeSet<Vec<u8>>) {
    let text = String::from_utf8_lossy(form);
    let Ok(quoted) = serde_json::to_string(&text) else { return };
    let plain = &quoted[1..quoted.len() - 1];
    let html = plain.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026");
    for base in [plain, &html] {
        for upper in [false, true] {
            let mut ascii = String::new();
            for unit in base.chars() {
                if unit.is_ascii() && unit != '\u{7f}' {
                    ascii.push(unit);
                } else {
                    for code in unit.encode_utf16(&mut [0; 2]) {
                        let _ = if upper { write!(ascii, "\\u{code:04X}") } else { write!(ascii, "\\u{code:04x}") };
                    }
                }
            }
            all.insert(ascii.replace('/', "\\/").into_bytes());
            all.insert(ascii.into_bytes());
        }
        all.insert(base.replace('/', "\\/").into_bytes());
        all.insert(base.as_bytes().to_vec());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn has(secret: &str, variant: &str) {
        assert!(of(secret.as_bytes()).contains(variant.as_bytes()), "{secret:?} lacks {variant:?}");
    }

    #[test]
    fn usual_encodings_are_known() {
        has("pass word&1", "pass%20word%261");
        has("pass word&1", "pass+word%261");
        has("a/b?c=d\u{e9}", "a/b%3fc%3dd%c3%a9");
        has("a/b?c=d\u{e9}", "a%2Fb%3Fc%3Dd%C3%A9");
        has("it's so-so", r"it'\''s so-so");
        has("it's \"so\"", "it&#x27;s &quot;so&quot;");
        has("it's \"so\"", r#"it's \"so\""#);
        has("k\u{e9}y/<tag>\n", "k\\u00e9y/<tag>");
        has("k\u{e9}y/<tag>\n", "k\u{e9}y/\\u003ctag\\u003e");
        has("two\nlines-of-it", "two\\nlines-of-it");
        has("abcdefgh", "6162636465666768");
        has("\u{1f600}-secret", "\\ud83d\\ude00-secret");
    }

    #[test]
    fn nothing_is_empty_or_short() {
        assert!(of(b"").is_empty());
        for secret in ["abcdefgh", "long enough\nab\n", "\u{0}\u{1}\u{2}\u{3}\u{4}\u{5}\u{6}\u{7}"] {
            assert!(of(secret.as_bytes()).iter().all(|variant| variant.len() >= 8));
        }
    }
}
