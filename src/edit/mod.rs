//! Plan texts that are made or changed for a person: drafts from a checklist, a Makefile, a compose file or what lies in
//! a folder, a step added to a plan, the canonical layout. Text in, text out: reads no file, writes none, runs nothing.

pub mod add;
pub mod checklist;
mod command;
pub mod compose;
pub mod draft;
pub mod init;
pub mod layout;
pub mod makefile;
mod words;

pub use draft::Draft;
