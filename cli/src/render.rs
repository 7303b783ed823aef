//! Words for people: pure functions from what was proven to what is printed.
//!
//! One rule above all: never "B read", always "A states that B read".

pub(crate) mod event;
pub(crate) mod json;
pub(crate) mod life;
pub(crate) mod paint;
pub(crate) mod report;
pub(crate) mod table;
