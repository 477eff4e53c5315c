//! All integration tests in one binary.

#![expect(unreachable_pub, reason = "helpers of one test binary")]

mod actions;
mod alert;
mod baselines;
mod children;
mod compare;
mod documents;
mod edit;
mod exports;
mod faults;
mod flow;
mod gates;
mod gc;
mod graph;
mod invalid;
mod judging;
mod layers;
mod lsp;
mod nested;
mod page;
mod past_runs;
mod pty;
mod purity;
mod quickstart;
mod readiness;
mod reports;
mod reproduce;
mod reproducible;
mod resume;
mod reuse;
mod running;
mod scale;
mod schema;
mod secrets;
mod seeded;
mod serial;
mod serve;
mod signoffs;
mod staging;
mod statistics;
mod support;
mod terminal;
mod tmux;
mod torture;
mod waivers;
