//! All integration tests in one binary.

#![expect(unreachable_pub, reason = "helpers of one test binary")]

mod flow;
mod layers;
mod reproducible;
mod running;
mod seeded;
mod serial;
mod support;
