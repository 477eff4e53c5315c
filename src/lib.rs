//! runplan.
pub mod act;
pub mod action;
pub mod app;
pub mod criteria;
pub mod digest;
pub mod event;
pub mod facts;
pub mod identity;
pub mod ids;
pub mod mask;
pub mod outcome;
pub mod place;
pub mod plan;
pub mod record;
