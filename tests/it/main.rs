//! All integration tests in one binary.

#![expect(unreachable_pub, reason = "helpers of one test binary")]

mod actions;
mod children;
mod documents;
mod faults;
mod flow;
mod invalid;
mod layers;
mod pty;
mod purity;
mod quickstart;
mod reproducible;
mod running;
mod scale;
mod secrets;
mod seeded;
mod serial;
mod staging;
mod support;
mod terminal;
