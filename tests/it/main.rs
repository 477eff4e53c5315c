//! All integration tests in one binary.

#![expect(unreachable_pub, reason = "helpers of one test binary")]

mod children;
mod layers;
mod pty;
mod purity;
mod running;
mod scale;
mod support;
mod terminal;
