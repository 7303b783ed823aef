//! `job.record`: what is computed under a data permit.
//!
//! Testimony, by the permit's data user or a holder, in the permit's trail: the steps of a federated
//! analysis, or of a session in a secure environment. Code and parameters are hashes, the cohort is a
//! size class, and whether opt-outs were removed and the result checked is stated in clear, because
//! that is what an access body looks for.

use crate::cbor::{Set, wire_enum, wire_struct};
use crate::hash::Digest;
use crate::ids::{ParticipantId, Random16};
use crate::seal::Seal;

/// Sealed fields of `job.record`.
pub const SEALED: &[&str] = &["when", "agents", "description"];

wire_enum! {
    /// A step of a job.
    pub enum Step {
        /// An analysis is registered.
        Register = 1, "register";
        /// A round begins.
        Round = 2, "round";
        /// A node gives its input.
        Input = 3, "input";
        /// The result is taken out.
        Result = 4, "result";
        /// The analysis fails.
        Fail = 5, "fail";
        /// A session is opened.
        Open = 6, "open";
        /// Something is asked in it.
        Query = 7, "query";
        /// The session is closed.
        Close = 8, "close";
    }
}

impl Step {
    /// Whether this step may follow `last`, the one before; `None` is the beginning.
    #[must_use]
    pub const fn follows(self, last: Option<Step>) -> bool {
        match self {
            Step::Register | Step::Open => last.is_none(),
            Step::Round | Step::Input | Step::Result | Step::Fail => {
                matches!(last, Some(Step::Register | Step::Round | Step::Input))
            }
            Step::Query | Step::Close => matches!(last, Some(Step::Open | Step::Query)),
        }
    }
}

wire_enum! {
    /// How many people are in the cohort.
    pub enum Cohort {
        /// Not stated.
        Unknown = 0, "unknown";
        /// Fewer than 10.
        Below10 = 1, "below-10";
        /// 10 to 99.
        Below100 = 2, "below-100";
        /// 100 to 999.
        Below1000 = 3, "below-1000";
        /// 1,000 to 9,999.
        Below10000 = 4, "below-10000";
        /// 10,000 or more.
        Above10000 = 5, "from-10000";
    }
}

wire_enum! {
    /// An answer about a precaution.
    pub enum Precaution {
        /// Not stated.
        Unknown = 0, "unknown";
        /// Taken.
        Done = 1, "done";
        /// Not taken.
        NotDone = 2, "not-done";
        /// Nothing to be done here.
        NotApplicable = 3, "not-applicable";
    }
}

wire_struct! {
    /// A step of a job under a permit.
    pub struct Record {
        /// The event's own id.
        pub event: Random16,
        /// Under which permit.
        pub permit: Random16,
        /// The job: the same random bytes in all its steps.
        pub job: Random16,
        /// The step.
        pub step: Step,
        /// SHA-256 of the program.
        pub code: Option<Digest>,
        /// SHA-256 of its parameters, or of the query.
        pub parameters: Option<Digest>,
        /// Who computes.
        pub nodes: Set<ParticipantId, 16>,
        /// The cohort's size.
        pub cohort: Cohort,
        /// Whether those who opted out were removed.
        pub opt_outs_removed: Precaution,
        /// Whether the result was checked for what it discloses about single people.
        pub disclosure_checked: Precaution,
        /// The seal over [`SEALED`].
        pub seal: Seal,
    }
}
