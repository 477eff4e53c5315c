//! Secrets out of every byte before it is stored or shown. Pure: bytes in, bytes out.

/// Finds declared secrets, raw and in their usual encodings.
pub struct Mask;
