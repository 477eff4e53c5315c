//! A hash for the many names of a plan: a multiplication a word, from a start that nobody can know beforehand. Knows no
//! plan.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};

/// Makes hashers that agree.
#[derive(Clone, Copy)]
pub(super) struct Quick {
    start: u64,
}

impl Default for Quick {
    fn default() -> Self {
        Self { start: RandomState::new().hash_one(0_u8) }
    }
}

impl BuildHasher for Quick {
    type Hasher = Words;

    fn build_hasher(&self) -> Words {
        Words(self.start)
    }
}

/// The state of one hash.
pub(super) struct Words(u64);

impl Words {
    fn word(&mut self, word: u64) {
        // Odd, and without a pattern: the fraction of the golden ratio.
        let product = u128::from(self.0 ^ word) * 0x9e37_79b9_7f4a_7c15;
        self.0 = product as u64 ^ (product >> 64) as u64;
    }
}

impl Hasher for Words {
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.word(u64::from_le_bytes(*word));
        }
        if !rest.is_empty() {
            let mut last = [0; 8];
            last[..rest.len()].copy_from_slice(rest);
            self.word(u64::from_le_bytes(last) ^ bytes.len() as u64);
        }
    }

    fn write_u8(&mut self, byte: u8) {
        self.word(u64::from(byte));
    }

    fn write_u32(&mut self, number: u32) {
        self.word(u64::from(number));
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
