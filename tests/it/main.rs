//! All integration tests in one binary.

#![expect(unreachable_pub, reason = "helpers of one test binary")]

mod actions;
mod layers;
mod running;
mod support;
