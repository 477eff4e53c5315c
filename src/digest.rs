//! SHA-256, the one hash of identity. Knows bytes, not what they mean.

use std::io::{self, Read};

use sha2::{Digest, Sha256};

/// Lower-case hex of SHA-256 over `bytes`.
#[must_use]
pub fn sha256_hex(bytes: &[u8]) -> String {
    let mut stream = Sha256Stream::new();
    stream.update(bytes);
    stream.finish_hex()
}

/// Base64 of SHA-256 over `bytes`: what a content security policy names a script by.
#[must_use]
pub fn sha256_base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(Sha256::digest(bytes))
}

/// SHA-256 over bytes that come piece by piece.
#[derive(Clone, Debug, Default)]
pub struct Sha256Stream {
    state: Sha256,
}

impl Sha256Stream {
    /// Nothing hashed yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.state.update(bytes);
    }

    /// Lower-case hex of the digest, 64 characters.
    #[must_use]
    pub fn finish_hex(self) -> String {
        std::str::from_utf8(&self.finish_digits()).unwrap_or_default().to_owned()
    }

    /// The lower-case hex digits of the digest.
    #[must_use]
    pub fn finish_digits(self) -> [u8; 64] {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let mut text = [0; 64];
        for (pair, byte) in text.chunks_exact_mut(2).zip(self.state.finalize()) {
            pair.copy_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
        }
        text
    }
}

/// SHA-256 (lower-case hex) and number of bytes of everything a reader gives, in constant memory.
///
/// # Errors
/// Whatever the reader fails with.
pub fn sha256_reader(mut reader: impl Read) -> io::Result<(String, u64)> {
    let mut stream = Sha256Stream::new();
    // Most files are small; to clear a large buffer takes longer than to read them.
    let (mut small, mut large) = ([0; 4096], Vec::new());
    let mut size = 0;
    loop {
        if size > 0 && large.is_empty() {
            large = vec![0; 64 * 1024];
        }
        let buffer = if large.is_empty() { &mut small[..] } else { &mut large[..] };
        let n = match reader.read(buffer) {
            Ok(0) => return Ok((stream.finish_hex(), size)),
            Ok(n) => n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        stream.update(&buffer[..n]);
        size += n as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_vectors_and_pieces_agree() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(sha256_hex(b""), empty);
        assert_eq!(sha256_hex(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        let mut stream = Sha256Stream::new();
        stream.update(b"a");
        stream.update(b"bc");
        assert_eq!(stream.finish_hex(), sha256_hex(b"abc"));
    }
    #[test]
    fn readers_are_hashed_in_pieces() {
        let big = vec![7; 200_000];
        assert_eq!(sha256_reader(big.as_slice()).unwrap(), (sha256_hex(&big), 200_000));
    }
}
