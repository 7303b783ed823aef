//! `proposal.open` and `proposal.vote`: what the validators decide together.
//!
//! Acts, in the registry's trail. A proposal carries up to eight acts, whole, as the items they are;
//! they are carried out together, in order, in the block in which more than the threshold of voting
//! power has said yes, or not at all. An act says nothing by being proposed: its author's right is the
//! vote.

use alloc::vec::Vec;

use crate::cbor::{DecodeError, List, Reader, View, Wire, Writer, wire_enum, wire_struct};
use crate::given::{Form, Given, GivenError};
use crate::ids::{Random16, TimeMs};
use crate::item::{Item, kind_name};
use crate::kinds::{Class, Kind};

/// The most acts of one proposal.
pub const MAX_ACTS: usize = 8;

wire_struct! {
    /// Acts are put to the vote.
    pub struct Open {
        /// The proposal's id, new.
        pub proposal: Random16,
        /// What is to be done: one to eight acts of kinds that take a vote, carried out together.
        pub acts: List<VotedAct, MAX_ACTS>,
        /// The last block time at which it can still be decided; at most 90 days ahead.
        pub deadline: TimeMs,
    }
}

wire_struct! {
    /// A validator votes. A later vote of the same validator replaces its earlier one.
    pub struct Vote {
        /// On which proposal.
        pub proposal: Random16,
        /// What it says.
        pub vote: Choice,
    }
}

wire_enum! {
    /// What a validator says.
    pub enum Choice {
        /// It shall be done.
        Yes = 1, "yes";
        /// It shall not be done.
        No = 2, "no";
    }
}

/// An act within a proposal: an item of any kind but those of proposals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VotedAct(Item);

impl VotedAct {
    /// The act, unless it is itself a proposal or a vote, or testimony.
    #[must_use]
    pub fn new(item: Item) -> Option<Self> {
        can_be_voted(item.kind()).then_some(Self(item))
    }

    /// The act.
    #[must_use]
    pub const fn item(&self) -> &Item {
        &self.0
    }
}

/// Proposals do not nest: what reads one needs no stack.
const fn can_be_voted(kind: Kind) -> bool {
    matches!(kind.class(), Class::Act) && !matches!(kind, Kind::ProposalOpen | Kind::ProposalVote)
}

/// As the item.
impl Wire for VotedAct {
    fn write(&self, w: &mut Writer) {
        self.0.write(w);
    }
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let at = r.position();
        let refused = DecodeError::OutOfBounds { at, what: "kind of a voted act" };
        let kind = Kind::from_name(kind_name(r.rest())?).ok_or(refused)?;
        match can_be_voted(kind) {
            true => Item::read(r).map(Self),
            false => Err(refused),
        }
    }
    fn view(&self) -> View {
        self.0.view()
    }
    fn from_given(given: &Given) -> Result<Self, GivenError> {
        let named = given.fields(&["kind", "item_id", "fields"])?;
        let allowed = |name: &str| Kind::from_name(name).filter(|kind| can_be_voted(*kind));
        named.field("kind", |kind| kind.parse("a kind of act that takes a vote", allowed))?;
        Item::from_given(given).map(Self)
    }
    fn form() -> Form {
        Form::of(
            "an act: {\"kind\": ..., \"item_id\": \"(random)\", \"fields\": {...}}",
            View::Fields(Vec::new()),
        )
    }
}
