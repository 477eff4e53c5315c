//! The forms in which programs print a secret. Pure.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};

/// Shorter lines of a secret are too common to be masked.
const SHORTEST_LINE: usize = 8;

/// Beyond this a secret is a file: its lines are encoded, the whole of it isn't.
const LONGEST_ENCODED: usize = 64 * 1024;

/// Longest base64 of a secret that is known also where it is broken over lines, in characters.
const LONGEST_WRAPPED: usize = 1100;

/// Characters of base64 before a line break from which on it is taken for a part of the secret: fewer would hold back the
/// end of innocent lines.
const FIRST_PIECE: usize = 8;

/// Where programs break base64: PEM, MIME and the `base64` command.
const WIDTHS: [usize; 2] = [64, 76];

/// Every form of a secret, without duplicates and never empty.
pub(super) fn of(secret: &[u8]) -> BTreeSet<Vec<u8>> {
    let mut all = BTreeSet::new();
    wrapped(trim(secret), &mut all);
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

/// Percent-encoding as RFC 3986, `encodeURIComponent`, `encodeURI`, paths, forms, `quote_plus` and the parts of a URL in
/// browsers do it, and of every byte; with both cases of hex digits.
fn percent(form: &[u8], all: &mut BTreeSet<Vec<u8>>) {
    const SETS: [(&str, bool); 9] = [
        ("-._~", false),
        ("-._~/", false),
        ("-_.!~*'()", false),
        ("-_.!~*'();,/?:@&=+$#", false),
        ("*-._", true),
        ("_.-~", true),
        // User information, path and query of a URL as browsers and their kin write them.
        ("!$%&'()*+,-._~", false),
        ("!$%&'()*+,-./:;=@[\\]_|~", false),
        ("!$%&()*+,-./:;=?@[\\]^_`{|}~", false),
    ];
    let mut every = String::new();
    for byte in form {
        let _ = write!(every, "%{byte:02X}");
    }
    all.insert(every.to_lowercase().into_bytes());
    all.insert(every.into_bytes());
    for (unescaped, plus) in SETS {
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

/// Plain, with colons, with blanks, and as `\x` escapes; both cases.
fn hex(form: &[u8], all: &mut BTreeSet<Vec<u8>>) {
    for (before, between) in [("", ""), ("", ":"), ("", " "), ("\\x", "")] {
        for upper in [false, true] {
            let byte = |byte: &u8| if upper { format!("{before}{byte:02X}") } else { format!("{before}{byte:02x}") };
            all.insert(form.iter().map(byte).collect::<Vec<_>>().join(between).into_bytes());
        }
    }
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

/// Base64 as [`base64`] has it, broken over lines. What stands before a first break is left if it is shorter than
/// [`FIRST_PIECE`]; what comes after it is found by itself.
fn wrapped(form: &[u8], all: &mut BTreeSet<Vec<u8>>) {
    let mut whole = BTreeSet::new();
    if form.len() <= LONGEST_WRAPPED {
        base64(form, &mut whole);
    }
    let fits = |text: &&Vec<u8>| (2 * FIRST_PIECE..=LONGEST_WRAPPED).contains(&text.len());
    for text in whole.iter().filter(fits) {
        all.extend((1..FIRST_PIECE).map(|from| text[from..].to_vec()));
        for width in WIDTHS {
            // How much of it stands on the first line.
            for first in FIRST_PIECE..width.min(text.len()) {
                let mut lines = text[..first].to_vec();
                for piece in text[first..].chunks(width) {
                    lines.push(b'\n');
                    lines.extend_from_slice(piece);
                }
                all.insert(lines);
            }
            // The rest of it after a first piece that is too short.
            for from in (0..FIRST_PIECE).filter(|from| text.len() - from > width) {
                all.insert(text[from..].chunks(width).collect::<Vec<_>>().join(b"\n".as_slice()));
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
    for plain in [b"-_./:=@%+".as_slice(), b"-_./:=@%+~#"] {
        let mut backslashed = Vec::with_capacity(form.len());
        let (mut before, mut first) = (0, true);
        for &byte in form {
            let special = byte.is_ascii() && !byte.is_ascii_control() && !byte.is_ascii_alphanumeric();
            // At a begin of a word they have a meaning.
            let leads = matches!(byte, b'~' | b'#') && (first || (byte == b'~' && matches!(before, b':' | b'=')));
            if special && (leads || !plain.contains(&byte)) {
                backslashed.push(b'\\');
            }
            backslashed.push(byte);
            (before, first) = (byte, false);
        }
        all.insert(backslashed);
    }
    // `$'…'`, and what programming languages print between single or double quotes.
    let (mut octal, mut hexed) = (Vec::new(), Vec::new());
    for &byte in form {
        let escape = match byte {
            7 => "\\a",
            8 => "\\b",
            9 => "\\t",
            10 => "\\n",
            11 => "\\v",
            12 => "\\f",
            13 => "\\r",
            27 => "\\E",
            b'\\' => "\\\\",
            b'\'' => "\\'",
            _ if byte.is_ascii() && !byte.is_ascii_control() => {
                octal.push(byte);
                hexed.push(byte);
                continue;
            }
            _ => {
                octal.extend_from_slice(format!("\\{byte:03o}").as_bytes());
                hexed.extend_from_slice(format!("\\x{byte:02x}").as_bytes());
                continue;
            }
        };
        octal.extend_from_slice(escape.as_bytes());
        hexed.extend_from_slice(escape.as_bytes());
    }
    all.insert(octal);
    all.insert(hexed);
    let lines = [(b'\\', r"\\"), (b'\n', r"\n"), (b'\r', r"\r"), (b'\t', r"\t")];
    all.insert(replaced(form, &lines));
    all.insert(replaced(form, &[lines.as_slice(), &[(b'\'', r"\'")]].concat()));
}

/// Text and attribute escapes, with the spellings of a quote that are in use, and with numbers for what is no ASCII and
/// for line ends.
fn xml(form: &[u8], all: &mut BTreeSet<Vec<u8>>) {
    let basic = [(b'&', "&amp;"), (b'<', "&lt;"), (b'>', "&gt;")];
    let mut some = BTreeSet::from([
        replaced(form, &basic),
        replaced(form, &basic[..2]),
        replaced(form, &[&basic[..2], &[(b'"', "&quot;")]].concat()),
    ]);
    for double in ["&quot;", "&#34;"] {
        for single in ["'", "&apos;", "&#39;", "&#x27;"] {
            let quotes = [(b'"', double), (b'\'', single)];
            some.insert(replaced(form, &[basic.as_slice(), &quotes].concat()));
        }
    }
    let decimal = |code: u32| format!("&#{code};");
    let (lower, upper) = (|code: u32| format!("&#x{code:x};"), |code: u32| format!("&#x{code:X};"));
    let numbers: [&dyn Fn(u32) -> String; 3] = [&decimal, &lower, &upper];
    for text in &some {
        let text = String::from_utf8_lossy(text);
        for number in numbers {
            for ascii in [false, true] {
                let escaped = |c: char| match c {
                    '\n' | '\r' | '\t' => number(u32::from(c)),
                    c if ascii && !c.is_ascii() => number(u32::from(c)),
                    c => c.to_string(),
                };
                all.insert(text.chars().map(escaped).collect::<String>().into_bytes());
            }
        }
    }
    all.append(&mut some);
}

/// Within a JSON string: plain, with `\/`, with all but ASCII as `\u`, and as encoders do it that are careful about HTML.
fn json(form: &[u8], all: &mut BTreeSet<Vec<u8>>) {
    /// What each encoder writes as `\u` besides control characters, and whether it knows `\b` and `\f`.
    const CAREFUL: [(&str, bool); 5] = [
        ("", true),
        ("<>&", true),
        // Go of old.
        ("<>&", false),
        ("<>&'=", true),
        ("<>&'\"+`", true),
    ];
    let text = String::from_utf8_lossy(form);
    for (careful, short) in CAREFUL {
        for upper in [false, true] {
            for ascii in [false, true] {
                let escaped = |c: char| escaped(c, careful, short, upper, ascii);
                let escaped: String = text.chars().map(escaped).collect();
                all.insert(escaped.replace('/', "\\/").into_bytes());
                all.insert(escaped.into_bytes());
            }
        }
    }
}

fn escaped(c: char, careful: &str, short: bool, upper: bool, ascii: bool) -> String {
    let by_number = match c {
        c if careful.contains(c) => true,
        '"' => return "\\\"".to_owned(),
        '\\' => return "\\\\".to_owned(),
        '\n' => return "\\n".to_owned(),
        '\r' => return "\\r".to_owned(),
        '\t' => return "\\t".to_owned(),
        '\u{8}' if short => return "\\b".to_owned(),
        '\u{c}' if short => return "\\f".to_owned(),
        '\u{7f}' => ascii,
        c => c.is_ascii_control() || (ascii && !c.is_ascii()),
    };
    if !by_number {
        return c.to_string();
    }
    let unit = |code: &u16| if upper { format!("\\u{code:04X}") } else { format!("\\u{code:04x}") };
    c.encode_utf16(&mut [0; 2]).iter().map(unit).collect()
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
        has("\u{1f600}-secret", "\\uD83D\\uDE00-secret");
        has("abcdefgh", "61:62:63:64:65:66:67:68");
        has("abcdefgh", "\\x61\\x62\\x63\\x64\\x65\\x66\\x67\\x68");
        has("abcdefgh", "%61%62%63%64%65%66%67%68");
        has("a+b<c>'d\"", "a\\u002Bb\\u003Cc\\u003E\\u0027d\\u0022");
        has("a=b<c>'d", "a\\u003db\\u003cc\\u003e\\u0027d");
        has("a<bcdefg\u{8}", "a\\u003cbcdefg\\u0008");
        has("two\nlines<", "two&#10;lines&lt;");
        has("two\nlines<", "two&#xA;lines&lt;");
        has("k\u{e9}y-secret", "k&#233;y-secret");
        has("k\u{e9}y-secret\u{1b}", "k\\303\\251y-secret\\E");
        has("it's C:\\so-so", "it\\'s C:\\\\so-so");
        has("#a~b c=~d#", "\\#a~b\\ c=\\~d#");
        has("a b?c=d\u{e9}/", "a%20b?c=d%C3%A9/");
    }

    #[test]
    fn nothing_is_empty_or_short() {
        assert!(of(b"").is_empty());
        for secret in ["abcdefgh", "long enough\nab\n", "\u{0}\u{1}\u{2}\u{3}\u{4}\u{5}\u{6}\u{7}"] {
            assert!(of(secret.as_bytes()).iter().all(|variant| variant.len() >= 8));
        }
    }
}
