//! The run log: append-only journal, the record projected from it, and the store they live in. Judges and shows nothing.
//!
//! A live run: [`store::Store::open`] → [`store::Store::begin`] → [`journal::Journal::create`] takes every event, and
//! [`gather::Gathered`] every commit after it → the decision → [`gather::Gathered::write`] →
//! [`store::RunDir::write_record`]. The record is made from the events that the journal took, not from what the engine
//! remembers, so `verify` does the same later with what it reads back ([`project::project`]).

pub mod baseline;
pub mod canonical;
pub mod difference;
mod direct;
pub mod format;
pub mod gather;
pub mod gc;
pub mod history;
mod imported;
pub mod index;
pub mod journal;
mod line;
mod portable;
pub mod preimage;
pub mod project;
pub mod read;
mod recorded;
pub mod reuse;
pub mod store;
mod summed;

#[cfg(test)]
pub(crate) mod sample;
#[cfg(test)]
mod schemas;
