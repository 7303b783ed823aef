//! What is printed: tables and JSON here, words for people in `custos_people`.

pub(crate) mod json;
pub(crate) mod report;
pub(crate) mod table;

pub(crate) use custos_people::paint;
