//! The three ways in: FHIR over HTTP, audit messages over syslog, files of NDJSON.

pub mod frames;
pub mod http;
pub mod syslog;
pub mod tail;
