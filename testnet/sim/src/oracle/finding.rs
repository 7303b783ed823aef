//! What does not fit, where: the answer of the oracle when it disagrees.

use std::fmt;

use custos_proof::hash::{ItemHash, SubmissionId, TrailKey};
use custos_proof::ids::{Height, Round, TimeMs};
use thiserror::Error;

use super::tree::Hash;

/// The first thing that does not fit.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("height {height}{}: {what}", ItemOf(.item))]
pub struct Finding {
    /// The block.
    pub height: Height,
    /// The item that it is about, if it is about one.
    pub item: Option<ItemHash>,
    /// What.
    pub what: What,
}

struct ItemOf<'a>(&'a Option<ItemHash>);

impl fmt::Display for ItemOf<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |item| write!(f, ", item {item}"))
    }
}

/// What does not fit.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum What {
    /// The genesis cannot begin a chain.
    #[error("the genesis: {0}")]
    Genesis(String),
    /// A field of the header, a root among them.
    #[error("the header's {field} is {stated}, computed {computed}")]
    Header {
        /// Its name in docs/spec/custos.cddl.
        field: &'static str,
        /// What the header says.
        stated: String,
        /// What follows from the history.
        computed: String,
    },
    /// A certificate that does not show that a block was decided.
    #[error("the certificate of round {round} does not hold: {word}")]
    Certificate {
        /// The round in which it says that the block was decided.
        round: Round,
        /// The word of docs/spec/verification.md.
        word: &'static str,
    },
    /// Bytes of the body that are no submission.
    #[error("submission {place} of the body is none: {why}")]
    NotASubmission {
        /// Its place in the body.
        place: usize,
        /// What is wrong.
        why: String,
    },
    /// Something was admitted that had to be refused.
    #[error("submission {submission} had to be refused{}: {word}", Position(.position))]
    Inadmissible {
        /// Which.
        submission: SubmissionId,
        /// Which of its items, if it is about one.
        position: Option<usize>,
        /// The word of docs/spec/items.md.
        word: &'static str,
    },
    /// The item was recorded before, or is recorded twice.
    #[error("the item is recorded twice: at {first} and at {again}")]
    ItemTwice {
        /// The first record.
        first: u64,
        /// The second one.
        again: u64,
    },
    /// An item of the block has no record.
    #[error("item {position} of submission {submission} has no record")]
    NotRecorded {
        /// Which submission.
        submission: SubmissionId,
        /// Which of its items.
        position: u32,
    },
    /// A record that follows from nothing.
    #[error("record {0} follows from nothing in the block")]
    Unfounded(u64),
    /// Bytes that are no record.
    #[error("record {0} of the block cannot be read")]
    Unreadable(usize),
    /// The verdict.
    #[error("the verdict of record {index} is {recorded}, found {found}")]
    Verdict {
        /// Which record.
        index: u64,
        /// What was recorded.
        recorded: String,
        /// What the clear facts say.
        found: String,
    },
    /// A record is not listed in a trail where it belongs.
    #[error("record {index} is not listed in trail {trail}")]
    TrailOmitted {
        /// Which record.
        index: u64,
        /// Which trail.
        trail: TrailKey,
    },
    /// A record is listed where it does not belong.
    #[error("record {index} is listed in trail {trail}, where it does not belong")]
    TrailAdded {
        /// Which record.
        index: u64,
        /// Which trail.
        trail: TrailKey,
    },
    /// A fact that fell due is missing.
    #[error("the fact of rule {rule} that fell due at {deadline} is not recorded")]
    DueDropped {
        /// By which rule.
        rule: u32,
        /// When it fell due.
        deadline: TimeMs,
    },
    /// A fact that is not due.
    #[error("a fact of rule {rule} is recorded that is not due at {deadline}")]
    DueInvented {
        /// By which rule.
        rule: u32,
        /// When it is said to have fallen due.
        deadline: TimeMs,
    },
    /// Anything else about a record.
    #[error("record {index} is {recorded}, computed {computed}")]
    Record {
        /// Which.
        index: u64,
        /// In diagnostic notation.
        recorded: String,
        /// In diagnostic notation.
        computed: String,
    },
    /// An entry of the state map.
    #[error("the state of {name} is {stated}, computed {computed}")]
    Value {
        /// The entry's name, in diagnostic notation.
        name: String,
        /// What the node holds.
        stated: String,
        /// What follows from the history.
        computed: String,
    },
    /// Something that was acknowledged is nowhere.
    #[error("what was acknowledged is not recorded")]
    Lost,
    /// A trail that is shown as complete lacks an entry or has one too many.
    #[error("trail {trail} is shown with other entries than the log lists, from position {position} on")]
    Incomplete {
        /// Which trail.
        trail: TrailKey,
        /// The first position that differs.
        position: u64,
    },
    /// A clear value occurs in two subject trails.
    #[error("{value} stands in clear in trail {first} and in trail {second}")]
    Linked {
        /// The value.
        value: String,
        /// The one trail.
        first: TrailKey,
        /// The other one.
        second: TrailKey,
    },
}

struct Position<'a>(&'a Option<usize>);

impl fmt::Display for Position<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |position| write!(f, " for its item {position}"))
    }
}

/// Compares a field of the header.
pub(super) fn same(field: &'static str, stated: &Hash, computed: &Hash) -> Result<(), What> {
    use super::spell::hex;
    match stated == computed {
        true => Ok(()),
        false => Err(What::Header { field, stated: hex(stated), computed: hex(computed) }),
    }
}
