//! runplan.
pub mod act;
pub mod action;
pub mod app;
pub mod criteria;
pub mod decide;
pub mod event;
pub mod facts;
pub mod ids;
pub mod judge;
pub mod mask;
pub mod outcome;
pub mod place;
pub mod plan;
