//! All integration tests in one binary.

#![expect(unreachable_pub, reason = "helpers of one test binary")]

mod layers;
mod running;
mod signoffs;
mod support;
mod waivers;
