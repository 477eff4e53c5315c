//! Secrets out of every byte before it is stored or shown. Pure: bytes in, bytes out; knows no files, steps or plans.
//!
//! What it finds: a secret as it is, each longer line of it, and the encodings in which programs usually print one. What no mask can
//! find: a secret that was compressed, encrypted, reversed, or printed character by character.

mod variants;

use std::io::{self, Read};
use std::sync::Arc;

use aho_corasick::{AhoCorasick, AhoCorasickKind};

/// Bytes looked at at once when a whole file is searched.
const CHUNK: usize = 64 * 1024;

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

    /// A text without secrets.
    #[must_use]
    pub fn text(&self, text: &str) -> String {
        String::from_utf8_lossy(&self.bytes(text.as_bytes())).into_owned()
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
        let from = bytes.len().saturating_sub(self.longest.saturating_sub(1));
        (from..bytes.len())
            .find(|&at| {
                let tail = &bytes[at..];
                self.first[usize::from(tail[0])] && {
                    // The first variant above `tail` begins with it if any longer one does.
                    let next = self.variants.partition_point(|variant| variant.as_slice() <= tail);
                    self.variants.get(next).is_some_and(|variant| variant.starts_with(tail))
                }
            })
            .unwrap_or(bytes.len())
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
