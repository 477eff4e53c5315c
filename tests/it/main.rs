//! All integration tests in one binary.

#![expect(unreachable_pub, reason = "helpers of one test binary")]

mod faults;
mod flow;
mod layers;
mod reproducible;
mod running;
mod secrets;
mod seeded;
mod serial;
mod support;
