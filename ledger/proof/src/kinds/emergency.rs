//! `emergency.declare` and `.review`: an emergency is declared, and somebody looks at it afterwards.
//!
//! Testimony, in institutions' trails only. Declaring brings a review, whatever the outcome of the
//! accesses would have been without it: a duty that arose only where something was restricted would
//! tell providers who restricts. Whom it concerned, who declared and why is sealed; the subject's
//! trail knows the declaration by the events that cite it, and one declaration is cited in one
//! trail only.

use crate::cbor::wire_struct;
use crate::ids::{ParticipantId, Random16};
use crate::seal::Seal;

/// Sealed fields of `emergency.declare`.
pub const DECLARE_SEALED: &[&str] = &["when", "agents", "subject", "justification", "categories"];

/// Sealed fields of `emergency.review`.
pub const REVIEW_SEALED: &[&str] = &["verdict", "independence", "reviewer", "when", "findings"];

wire_struct! {
    /// An emergency begins: accesses may cite it for as long as policy says, and a review falls due.
    pub struct Declare {
        /// The declaration's own id: what events cite. Recorded once, however often it is sent.
        pub declaration: Random16,
        /// Who holds the data.
        pub custodian: ParticipantId,
        /// The organisation that acts in the emergency.
        pub acting: ParticipantId,
        /// The seal over [`DECLARE_SEALED`].
        pub seal: Seal,
    }
}

wire_struct! {
    /// A declared emergency was reviewed.
    pub struct Review {
        /// The review's own id.
        pub review: Random16,
        /// Who declared.
        pub declarer: ParticipantId,
        /// Which declaration of theirs.
        pub declaration: Random16,
        /// The seal over [`REVIEW_SEALED`].
        pub seal: Seal,
    }
}
