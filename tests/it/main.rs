//! All integration tests in one binary.

#![expect(unreachable_pub, reason = "helpers of one test binary")]

mod documents;
mod invalid;
mod layers;
mod quickstart;
mod running;
mod staging;
mod support;
