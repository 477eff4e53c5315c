//! Secrets out of every byte before it is stored or shown. Pure: bytes in, bytes out; knows no files, steps or plans.
//!
//! What it finds: a secret as it is, each longer line of it, and the encodings in which programs usually print one. What no mask can
//! find stands in `plans/LANGUAGE.md`: a secret that was compressed, encrypted, reversed, encoded twice, printed in pieces.

mod variants;

use std::io::{self, Read};
use std::sync::Arc;

use aho_corasick::{AhoCorasick, AhoCorasickKind};

/// Bytes looked at at once when a whole file is searched.
const CHUNK: usize = 64 * 1024;

/// What stands where somebody has cut a text short.
const CUT: &str = "…";

/// Shortest beginning of a secret that is taken for one before [`CUT`], in bytes.
const SHORTEST_CUT: usize = 4;

/// Finds declared secrets, raw and in their usual encodings. Cheap to clone.
#[derive(Clone)]
pub struct Mask {
    inner: Arc<Inner>,
}

struct Inner {
    automaton: AhoCorasick,
    /// Every variant, sorted and without duplicates; the index is the automaton's pattern number.
    variants: Vec<Vec<u8>>,
    /// For each variant: which secret.
    owners: Vec<usize>,
    /// For each secret: its name, and what stands in its place.
    names: Vec<(String, Vec<u8>)>,
    longest: usize,
    /// Which bytes a variant can begin with.
    first: [bool; 256],
}

impl Mask {
    /// A mask for secrets given as name and value. Empty values are left out.
    ///
    /// # Panics
    /// When the secrets together are so long (gigabytes) that no automaton can be built for them.
    #[must_use]
    pub fn new(secrets: &[(String, Vec<u8>)]) -> Self {
        let mut all: Vec<(Vec<u8>, usize)> = Vec::new();
        for (owner, (_, value)) in secrets.iter().enumerate() {
            all.extend(variants::of(value).into_iter().map(|variant| (variant, owner)));
        }
        all.sort();
        all.dedup_by(|later, earlier| later.0 == earlier.0);
        let (variants, owners): (Vec<Vec<u8>>, Vec<usize>) = all.into_iter().unzip();
        // Its memory is linear in the length of the secrets, unlike a table's.
        let automaton = AhoCorasick::builder()
            .kind(Some(AhoCorasickKind::ContiguousNFA))
            .build(&variants)
            .expect("the loader bounds the length of secrets");
        let names = secrets.iter().map(|(name, _)| (name.clone(), stand_in(name, &automaton))).collect();
        let longest = variants.iter().map(Vec::len).max().unwrap_or(0);
        let mut first = [false; 256];
        for variant in &variants {
            first[usize::from(variant[0])] = true;
        }
        Self { inner: Arc::new(Inner { automaton, variants, owners, names, longest, first }) }
    }

    /// A filter for one stream of bytes.
    #[must_use]
    pub fn stream(&self) -> MaskStream {
        MaskStream { inner: Arc::clone(&self.inner), held: Vec::new(), covered: 0 }
    }

    /// A text without secrets, and without the beginning of one that was cut off with a `…`.
    #[must_use]
    pub fn text(&self, text: &str) -> String {
        let masked = String::from_utf8_lossy(&self.bytes(text.as_bytes())).into_owned();
        if !masked.contains(CUT) {
            return masked;
        }
        let mut out = Vec::with_capacity(masked.len());
        for (number, piece) in masked.split(CUT).enumerate() {
            if number > 0 {
                out.extend_from_slice(CUT.as_bytes());
            }
            // The last piece has no cut behind it.
            let is_last = number == masked.matches(CUT).count();
            match self.inner.begun(piece.as_bytes()).filter(|(at, _)| !is_last && piece.len() - at >= SHORTEST_CUT) {
                Some((at, variant)) => {
                    out.extend_from_slice(&piece.as_bytes()[..at]);
                    out.extend_from_slice(&self.inner.name(variant).1);
                }
                None => out.extend_from_slice(piece.as_bytes()),
            }
        }
        String::from_utf8_lossy(&out).into_owned()
    }

    /// Bytes without secrets.
    #[must_use]
    pub fn bytes(&self, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(bytes.len());
        let mut stream = self.stream();
        stream.push(bytes, &mut out);
        stream.finish(&mut out);
        out
    }

    /// The name of a secret that occurs in what is read, if one does. Needs constant memory.
    ///
    /// # Errors
    /// When reading fails.
    pub fn finds(&self, mut bytes: impl Read) -> io::Result<Option<String>> {
        let keep = self.inner.longest.saturating_sub(1);
        let mut buffer = vec![0; keep + CHUNK];
        let mut filled = 0;
        loop {
            let length = match bytes.read(&mut buffer[filled..]) {
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            filled += length;
            if let Some(found) = self.inner.automaton.find(&buffer[..filled]) {
                return Ok(Some(self.inner.name(found.pattern().as_usize()).0.clone()));
            }
            if length == 0 {
                return Ok(None);
            }
            let kept = keep.min(filled);
            buffer.copy_within(filled - kept..filled, 0);
            filled = kept;
        }
    }
}

/// What stands in a secret's place: never something that contains a secret itself.
fn stand_in(name: &str, automaton: &AhoCorasick) -> Vec<u8> {
    let text = format!("[secret {name}]");
    if automaton.is_match(&text) { b"***".to_vec() } else { text.into_bytes() }
}

impl Inner {
    fn name(&self, variant: usize) -> &(String, Vec<u8>) {
        &self.names[self.owners[variant]]
    }

    /// Where the longest unfinished variant at the end of `bytes` begins (their length if there is none).
    fn unfinished(&self, bytes: &[u8]) -> usize {
        self.begun(bytes).map_or(bytes.len(), |(at, _)| at)
    }

    /// Where the longest unfinished variant at the end of `bytes` begins, and which one it may become.
    fn begun(&self, bytes: &[u8]) -> Option<(usize, usize)> {
        let from = bytes.len().saturating_sub(self.longest.saturating_sub(1));
        (from..bytes.len()).find_map(|at| {
            let tail = &bytes[at..];
            if !self.first[usize::from(tail[0])] {
                return None;
            }
            // The first variant above `tail` begins with it if any longer one does.
            let next = self.variants.partition_point(|variant| variant.as_slice() <= tail);
            self.variants.get(next).filter(|variant| variant.starts_with(tail)).map(|_| (at, next))
        })
    }
}

/// Masks a stream that arrives in pieces. The result doesn't depend on where the pieces were cut.
pub struct MaskStream {
    inner: Arc<Inner>,
    /// Bytes that may turn out to be the beginning of a secret; fewer than the longest variant has.
    held: Vec<u8>,
    /// How many of them are part of a secret whose stand-in was already written.
    covered: usize,
}

impl MaskStream {
    /// Takes bytes and appends to `out` what is certain by now.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        self.held.extend_from_slice(bytes);
        let certain = self.inner.unfinished(&self.held);
        self.emit(certain, out);
    }

    /// Appends what was held back: the stream has ended.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        self.emit(self.held.len(), out);
    }

    /// Writes the first `certain` bytes. No variant begins before `certain` and ends behind what is held.
    fn emit(&mut self, certain: usize, out: &mut Vec<u8>) {
        let mut found: Vec<(usize, usize, usize)> = self
            .inner
            .automaton
            .find_overlapping_iter(&self.held)
            .map(|found| (found.start(), found.end(), found.pattern().as_usize()))
            .filter(|&(start, ..)| start < certain)
            .collect();
        // By start, the longest first: it gives an overlapping cluster its name.
        found.sort_unstable_by_key(|&(start, end, _)| (start, std::cmp::Reverse(end)));
        // Everything before this is written, or a stand-in for it is.
        let mut done = self.covered;
        for (start, end, variant) in found {
            if start >= done {
                out.extend_from_slice(&self.held[done..start]);
                out.extend_from_slice(&self.inner.name(variant).1);
            }
            done = done.max(end);
        }
        if done < certain {
            out.extend_from_slice(&self.held[done..certain]);
        }
        self.covered = done.saturating_sub(certain);
        self.held.drain(..certain);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn mask(secrets: &[(&str, &str)]) -> Mask {
        Mask::new(&secrets.iter().map(|(name, value)| ((*name).into(), value.as_bytes().to_vec())).collect::<Vec<_>>())
    }

    fn in_pieces(mask: &Mask, bytes: &[u8], cuts: &[usize]) -> Vec<u8> {
        let (mut stream, mut out, mut from) = (mask.stream(), Vec::new(), 0);
        for &cut in cuts {
            stream.push(&bytes[from..cut], &mut out);
            from = cut;
        }
        stream.push(&bytes[from..], &mut out);
        stream.finish(&mut out);
        out
    }

    #[test]
    fn a_secret_is_replaced_by_its_name() {
        let mask = mask(&[("token", "hunter2-hunter2")]);
        assert_eq!(mask.text("a hunter2-hunter2 b"), "a [secret token] b");
        assert_eq!(mask.text("hunter2-hunter2hunter2-hunter2"), "[secret token][secret token]");
        assert_eq!(mask.text("hunter2-hunter"), "hunter2-hunter");
        assert_eq!(Mask::new(&[]).text("x"), "x");
    }

    #[test]
    fn harmless_text_that_cannot_become_a_secret_is_not_held_back() {
        let mask = mask(&[("token", "hunter2-hunter2")]);
        let (mut stream, mut out) = (mask.stream(), Vec::new());
        stream.push(b"ready\n", &mut out);
        assert_eq!(out, b"ready\n");
        stream.push(b"say hunter2-", &mut out);
        assert_eq!(out, b"ready\nsay ");
        stream.push(b"x", &mut out);
        assert_eq!(out, b"ready\nsay hunter2-x");
    }

    #[test]
    fn overlapping_secrets_leave_nothing_of_either() {
        let mask = mask(&[("a", "abcdefgh12"), ("b", "gh12345678"), ("c", "cdefgh1234567")]);
        assert_eq!(mask.text("<abcdefgh12345678>"), "<[secret a]>");
        assert_eq!(mask.text("<xxcdefgh12345678>"), "<xx[secret c]>");
    }

    #[test]
    fn an_endless_repetition_is_masked_in_constant_memory() {
        let mask = mask(&[("x", "xxxxxxxx")]);
        let (mut stream, mut out) = (mask.stream(), Vec::new());
        for _ in 0..1000 {
            stream.push(&[b'x'; 1000], &mut out);
            assert!(stream.held.len() < 8 * 6);
        }
        stream.finish(&mut out);
        assert_eq!(out, b"[secret x]");
    }

    #[test]
    fn lines_of_a_secret_are_secrets() {
        let mask = mask(&[("key", "-----BEGIN-----\nMIIEowIBAAKCAQEA\nshort\n-----END-----\n")]);
        assert_eq!(mask.text("MIIEowIBAAKCAQEA\r\nshort"), "[secret key]\r\nshort");
        assert_eq!(mask.text("MIIEowIBAAKCAQEA\nshort\n-----END-----"), "[secret key]\nshort\n[secret key]");
    }

    #[test]
    fn a_stand_in_never_contains_a_secret() {
        assert_eq!(mask(&[("password", "password")]).text("password"), "***");
    }

    #[test]
    fn searching_a_file_finds_a_secret_across_chunks() {
        let mask = mask(&[("token", "hunter2-hunter2")]);
        let mut bytes = vec![b'h'; CHUNK - 3];
        bytes.extend_from_slice(b"hunter2-hunter2");
        assert_eq!(mask.finds(bytes.as_slice()).unwrap().as_deref(), Some("token"));
        assert_eq!(mask.finds(&bytes[..bytes.len() - 1]).unwrap(), None);
        assert_eq!(Mask::new(&[]).finds(bytes.as_slice()).unwrap(), None);
    }

    #[test]
    fn base64_is_found_wherever_the_secret_stands() {
        use base64::Engine as _;
        use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
        let mask = mask(&[("token", "s3cr3t/+value?>")]);
        for before in ["", "u", "us", "use", "user:"] {
            for after in ["", "\n", "!!", "abc"] {
                let plain = format!("{before}s3cr3t/+value?>{after}");
                for encoded in [STANDARD.encode(&plain), URL_SAFE_NO_PAD.encode(&plain)] {
                    let masked = mask.text(&encoded);
                    assert!(masked.contains("[secret token]"), "{encoded} -> {masked}");
                    // At most the characters that also hold bits of the neighbours are left.
                    assert!(masked.replace("[secret token]", "").len() <= (before.len() + after.len()) * 4 / 3 + 6);
                }
            }
        }
    }

    /// What programs print of a secret, written anew here: by other means than those that the mask was made with.
    fn printed(secret: &str) -> Vec<(&'static str, String)> {
        use base64::Engine as _;
        use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
        let bytes = || secret.bytes().map(u32::from);
        let each = |of: &dyn Fn(u32) -> String| bytes().map(of).collect::<String>();
        let plain = |b: u32| char::from_u32(b).filter(char::is_ascii_alphanumeric);
        let percent = |safe: &'static str, upper: bool| {
            move |b: u32| match plain(b).or(char::from_u32(b).filter(|c| safe.contains(*c))) {
                Some(c) => c.to_string(),
                None if upper => format!("%{b:02X}"),
                None => format!("%{b:02x}"),
            }
        };
        let units = |upper: bool| {
            let unit = move |u: u16| match (
                char::from_u32(u.into()).filter(|c| c.is_ascii_graphic() && !"\"\\".contains(*c)),
                upper,
            ) {
                (Some(c), _) => c.to_string(),
                (None, true) => format!("\\u{u:04X}"),
                (None, false) => format!("\\u{u:04x}"),
            };
            secret
                .encode_utf16()
                .map(unit)
                .collect::<String>()
                .replace("\\u0020", " ")
                .replace("\\u0022", "\\\"")
                .replace(if upper { "\\u005C" } else { "\\u005c" }, "\\\\")
                .replace("\\u000a", "\\n")
                .replace("\\u000A", "\\n")
                .replace("\\u0009", "\\t")
        };
        let json = serde_json::to_string(secret).unwrap();
        let json = json[1..json.len() - 1].to_owned();
        let mut all = vec![
            ("raw", secret.to_owned()),
            ("json with slashes", json.replace('/', "\\/")),
            ("json", json),
            ("json ascii", units(false)),
            ("json ascii, upper", units(true)),
            ("percent", each(&percent("-._~", true))),
            ("percent, lower", each(&percent("-._~", false))),
            ("percent of a path", each(&percent("-._~/", true))),
            ("percent of a form", each(&percent("*-._ ", true)).replace(' ', "+")),
            ("percent of all", each(&|b| format!("%{b:02X}"))),
            ("hex", each(&|b| format!("{b:02x}"))),
            ("hex, upper", each(&|b| format!("{b:02X}"))),
            ("hex with colons", each(&|b| format!("{b:02x}:")).trim_end_matches(':').to_owned()),
            ("hex with blanks", each(&|b| format!("{b:02x} ")).trim_end().to_owned()),
            ("shell", secret.replace('\'', "'\\''")),
            (
                "shell, double",
                secret.replace('\\', "\\\\").replace('"', "\\\"").replace('$', "\\$").replace('`', "\\`"),
            ),
            ("xml", secret.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")),
            (
                "xml attribute",
                secret
                    .replace('&', "&amp;")
                    .replace('<', "&lt;")
                    .replace('>', "&gt;")
                    .replace('"', "&quot;")
                    .replace('\'', "&#39;"),
            ),
        ];
        for before in ["", "u", "u:"] {
            let text = format!("{before}{secret}");
            all.push(("base64", STANDARD.encode(&text)));
            all.push(("base64 without padding", STANDARD_NO_PAD.encode(&text)));
            all.push(("base64 for URLs", URL_SAFE.encode(&text)));
            all.push(("base64 for URLs without padding", URL_SAFE_NO_PAD.encode(&text)));
        }
        all
    }

    /// Longest run of characters that stands in both, if it is longer than `most`.
    fn shared(masked: &[u8], secret: &str, most: usize) -> Option<String> {
        let windows: std::collections::HashSet<&[u8]> = secret.as_bytes().windows(most + 1).collect();
        masked
            .windows(most + 1)
            .find(|window| windows.contains(window))
            .map(|w| String::from_utf8_lossy(w).into_owned())
    }

    const SECRETS: [&str; 6] = [
        "hunter2-hunter2",
        "pa55/w+rd \"q\" <\u{e9}>&x=1'$`\\",
        "0123456789abcdef0123456789ABCDEF",
        "line one of it\n\tand line+two/of it\nend",
        "\u{1f600}\u{1f601} smile!? \u{7f}x",
        "aaaaaaaaab",
    ];

    /// Every encoding in every two pieces, and of the short ones in every three.
    #[test]
    fn nothing_is_left_however_it_is_encoded_and_cut() {
        let mut cells = 0;
        for secret in SECRETS {
            let mask = mask(&[("it", secret)]);
            for (how, text) in printed(secret) {
                let bytes = format!("<<{text}>>").into_bytes();
                let masked = mask.bytes(&bytes);
                // Of base64 the characters that also hold bits of what stands beside it.
                let around = if how.starts_with("base64") { 12 } else { 4 };
                let left = String::from_utf8_lossy(&masked).replace("[secret it]", "");
                assert!(left.len() <= around, "{secret:?} as {how}: {left:?}");
                for cut in 0..=bytes.len() {
                    assert_eq!(in_pieces(&mask, &bytes, &[cut]), masked, "{secret:?} as {how}, cut at {cut}");
                    cells += 1;
                    let all = if bytes.len() <= 40 { cut..bytes.len() } else { 0..0 };
                    for second in all {
                        assert_eq!(
                            in_pieces(&mask, &bytes, &[cut, second]),
                            masked,
                            "{how}, cut at {cut} and {second}"
                        );
                        cells += 1;
                    }
                }
            }
        }
        assert!(cells > 20_000, "{cells}");
    }

    /// stdout and stderr are two streams: pieces that alternate between them change nothing on either.
    #[test]
    fn two_streams_in_turns_are_masked_each_on_its_own() {
        let mask = mask(&[("it", SECRETS[1])]);
        let (one, other) = (format!("a{}b", SECRETS[1]).into_bytes(), printed(SECRETS[1])[5].1.clone().into_bytes());
        for size in 1..one.len() {
            let (mut out, mut err) = (Vec::new(), Vec::new());
            let (mut first, mut second) = (mask.stream(), mask.stream());
            let mut pieces = (one.chunks(size), other.chunks(size));
            loop {
                let (piece, also) = (pieces.0.next(), pieces.1.next());
                first.push(piece.unwrap_or_default(), &mut out);
                second.push(also.unwrap_or_default(), &mut err);
                if piece.is_none() && also.is_none() {
                    break;
                }
            }
            first.finish(&mut out);
            second.finish(&mut err);
            assert_eq!((out, err), (b"a[secret it]b".to_vec(), b"[secret it]".to_vec()), "in pieces of {size}");
        }
    }

    #[test]
    fn base64_is_found_where_it_is_broken_over_lines() {
        use base64::Engine as _;
        use base64::engine::general_purpose::STANDARD;
        let broken = |text: &str, width: usize| -> String {
            let pieces: Vec<&str> =
                text.as_bytes().chunks(width).map(|piece| std::str::from_utf8(piece).unwrap()).collect();
            pieces.join("\n") + "\n"
        };
        for length in [16, 40, 57, 58, 100, 300, 700] {
            let secret: String =
                (0..length).map(|n: u32| char::from(b'!' + u8::try_from(n * 37 % 90).unwrap())).collect();
            let mask = mask(&[("it", &secret)]);
            let pure = STANDARD.encode(&secret);
            for before in 0..90 {
                let text = STANDARD.encode(format!("{}{secret} and more of it", "x".repeat(before)));
                for width in WIDTHS_TESTED {
                    let masked = mask.text(&broken(&text, width));
                    assert!(masked.contains("[secret it]"), "{length} {before} {width}: {masked}");
                    if before % 3 == 0 {
                        let found = shared(masked.as_bytes(), &pure[4..pure.len() - 4], 7);
                        assert_eq!(found, None, "{length} {before} {width}: {masked}");
                    }
                }
            }
        }
    }

    const WIDTHS_TESTED: [usize; 2] = [64, 76];

    #[test]
    fn a_secret_within_another_and_one_like_a_stand_in() {
        let both = mask(&[("short", "abcdefgh"), ("long", "abcdefghijkl")]);
        assert_eq!(both.text("abcdefgh abcdefghijkl abcdefghij"), "[secret short] [secret long] [secret short]ij");
        for cut in 0..12 {
            assert_eq!(in_pieces(&both, b"abcdefghijkl", &[cut]), b"[secret long]");
        }
        let like = mask(&[("a", "[secret b]"), ("b", "something")]);
        assert_eq!(like.text("x [secret b] something"), "x [secret a] ***");
        assert_eq!(mask(&[("a", "[secret a]")]).text("[secret a]"), "***");
        let inner = mask(&[("a", "12345678"), ("b", "zz12345678zz")]);
        assert_eq!(inner.text("zz12345678zz 12345678"), "[secret b] [secret a]");
    }

    #[test]
    fn what_was_cut_off_is_masked_too() {
        let mask = mask(&[("token", "hunter2-hunter2")]);
        assert_eq!(mask.text("said \"x hunter2-hun…\" (9 characters)"), "said \"x [secret token]…\" (9 characters)");
        assert_eq!(mask.text("hunter2-hunter2… hunt… hun…"), "[secret token]… [secret token]… hun…");
        assert_eq!(mask.text("hunter2-hun and more…"), "hunter2-hun and more…");
        assert_eq!(mask.text("hunter2-hun"), "hunter2-hun");
    }

    fn secret() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            proptest::collection::vec(any::<u8>(), 8..24),
            // Few letters: many overlaps with itself.
            proptest::collection::vec(prop_oneof![Just(b'a'), Just(b'b')], 8..16),
            "[ -~\n\"'&<>%+/é]{8,24}".prop_map(String::into_bytes),
        ]
    }

    proptest! {
        #[test]
        fn no_variant_survives_and_nothing_else_changes(
            secrets in proptest::collection::vec(secret(), 1..3),
            picks in proptest::collection::vec((any::<prop::sample::Index>(), 0..4usize, proptest::collection::vec(any::<u8>(), 0..12)), 0..6),
        ) {
            let named: Vec<(String, Vec<u8>)> =
                secrets.iter().enumerate().map(|(at, secret)| (format!("S{at}"), secret.clone())).collect();
            let mask = Mask::new(&named);
            let mut bytes = Vec::new();
            for (pick, cut, noise) in &picks {
                let variant = pick.get(&mask.inner.variants);
                // Sometimes only the beginning of one.
                bytes.extend_from_slice(&variant[..variant.len() - cut.saturating_sub(1)]);
                bytes.extend_from_slice(noise);
            }
            let masked = mask.bytes(&bytes);
            prop_assert_eq!(&masked, &reference(&mask, &bytes));
            for cut in 0..=bytes.len() {
                prop_assert_eq!(&in_pieces(&mask, &bytes, &[cut]), &masked, "cut at {}", cut);
            }
            let every: Vec<usize> = (0..=bytes.len()).collect();
            prop_assert_eq!(&in_pieces(&mask, &bytes, &every), &masked);
            prop_assert_eq!(mask.finds(bytes.as_slice()).unwrap().is_some(), masked != bytes);
        }
    }

    /// The same by brute force: mark every byte of every occurrence, then write each marked cluster as its stand-in.
    fn reference(mask: &Mask, bytes: &[u8]) -> Vec<u8> {
        let mut spans: Vec<(usize, usize, usize)> = Vec::new();
        for (index, variant) in mask.inner.variants.iter().enumerate() {
            for start in 0..bytes.len() {
                if bytes[start..].starts_with(variant) {
                    spans.push((start, start + variant.len(), index));
                }
            }
        }
        spans.sort_by_key(|&(start, end, _)| (start, std::cmp::Reverse(end)));
        let (mut out, mut at) = (Vec::new(), 0);
        let mut spans = spans.into_iter().peekable();
        while let Some((start, mut end, index)) = spans.next() {
            while let Some((_, further, _)) = spans.next_if(|&(next, ..)| next < end) {
                end = end.max(further);
            }
            out.extend_from_slice(&bytes[at..start]);
            out.extend_from_slice(&mask.inner.name(index).1);
            at = end;
        }
        out.extend_from_slice(&bytes[at..]);
        out
    }
}
