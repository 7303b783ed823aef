//! The feed: what an institution installs on day one, beside systems that it cannot change.
//!
//! Systems that keep an audit trail by IHE ATNA already send it somewhere: as FHIR AuditEvents (ITI-20
//! over HTTP), as DICOM audit messages over syslog, or into files. A feed takes all three, keeps what
//! it took before it answers, seals it and puts it on the ledger: each event once, in order, numbered
//! without gaps, whatever is killed or full or down in between.
//!
//! ```text
//!   input     who sent it, in which form; bounds                       input, dicom, document
//!   intake    understood or refused, before it is accepted             intake
//!   spool     on disk before the source is answered                    spool, spooler
//!   sealer    batches: ids and numbers fixed, sealed, recorded, ended  batch, sealer
//!   ledger    several nodes, one of which is enough; receipts verify   ledger
//!   status    age of the state, backlog, gaps, refusals                status
//! ```
//!
//! Deliberately absent: deciding about accesses. A feed states what others did and decided.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod batch;
pub mod clock;
pub mod config;
pub mod dicom;
pub mod document;
pub mod feed;
pub mod input;
pub mod intake;
pub mod ledger;
pub mod sealer;
pub mod serve;
pub mod spool;
pub mod spooler;
pub mod status;
pub mod tls;
