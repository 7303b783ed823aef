//! `roster.commit`: an organisation binds itself to the list of its staff.
//!
//! An act, in the institution's trail. The list itself never stands on the ledger: only the root
//! over its salted entries (person, roles, purposes, groups such as break-glass), so that an event's
//! opening can show that a person was on it.

use crate::cbor::{wire_enum, wire_struct};
use crate::hash::Digest;
use crate::ids::TimeMs;

wire_struct! {
    /// The roster of a period.
    pub struct Commit {
        /// The first instant of the period.
        pub from: TimeMs,
        /// The instant at which it ends; after `from`, at most 400 days later.
        pub until: TimeMs,
        /// The RFC 6962 root over the salted entries.
        pub root: Digest,
        /// How many entries, roughly.
        pub count: Count,
    }
}

wire_enum! {
    /// How many entries a roster has, told no more exactly than this.
    pub enum Count {
        /// At most 10.
        Ten = 1, "up to 10";
        /// At most 100.
        Hundred = 2, "up to 100";
        /// At most 1000.
        Thousand = 3, "up to 1000";
        /// At most 10000.
        TenThousand = 4, "up to 10000";
        /// More than 10000.
        More = 5, "more than 10000";
    }
}
