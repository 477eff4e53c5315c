//! All integration tests in one binary.

#![expect(unreachable_pub, reason = "helpers of one test binary")]

mod documents;
mod layers;
mod running;
mod support;
