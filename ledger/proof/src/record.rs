//! A record: the leaf of the log.
//!
//! A record says that an item was recorded, where, when, by whom, in which trails and what the
//! validators found; the item's bytes and the envelope are kept beside the log by hash. It is never
//! longer than [`MAX_RECORD_BYTES`]. Three kinds: the `block` record that opens every block and
//! commits to all earlier headers, the `item` record, and the `due` record of a fact that the chain
//! itself established.

use crate::cbor::{DecodeError, List, Reader, Set, View, Wire, Writer, wire_enum, wire_struct};
use crate::hash::{BlockId, Digest, ItemHash, SubmissionId, TrailKey};
use crate::ids::{Height, LogIndex, TimeMs};
use crate::merkle;
use crate::submission::Author;

/// The longest record, in bytes.
pub const MAX_RECORD_BYTES: usize = 1024;

/// The most trails that one record stands in.
pub const MAX_TRAILS: usize = 8;

/// The most codes in one verdict.
pub const MAX_CODES: usize = 16;

/// The type constant of a record's leaf.
const RECORD_LEAF: u64 = 2;
/// The version of the record format.
const VERSION: u64 = 1;

/// A leaf of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its position in the log.
    pub index: LogIndex,
    /// The block that recorded it.
    pub height: Height,
    /// That block's time.
    pub time: TimeMs,
    /// What it records.
    pub entry: Entry,
}

/// What a record records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// The start of a block; commits to the parent and so to every earlier header.
    Block {
        /// The parent's block id.
        parent: BlockId,
    },
    /// An item.
    Item(ItemEntry),
    /// A fact that the chain established by itself.
    Due(DueEntry),
}

wire_struct! {
    /// The record of an item.
    pub struct ItemEntry {
        /// The submission that carried it.
        pub submission: SubmissionId,
        /// Who spoke.
        pub author: Author,
        /// Its position in the submission.
        pub position: u32,
        /// The item.
        pub item: ItemHash,
        /// What the validators found.
        pub verdict: Verdict,
        /// Where it is listed.
        pub trails: Set<Listing, MAX_TRAILS>,
    }
}

wire_struct! {
    /// The record of a chain-made fact.
    pub struct DueEntry {
        /// The item from which it follows.
        pub cause: ItemHash,
        /// The rule by which it follows.
        pub rule: u32,
        /// The deadline that passed.
        pub deadline: TimeMs,
        /// Where it is listed.
        pub trails: Set<Listing, MAX_TRAILS>,
    }
}

wire_enum! {
    /// By which rule a chain-made fact follows; a number of [`DueEntry::rule`].
    pub enum DueRule {
        /// A declared emergency was not reviewed within the policy's period.
        ReviewMissing = 1, "an emergency was declared, and no review was recorded in time";
        /// An export was recorded, and the recipient's half was not.
        ImportMissing = 2, "an export was recorded, and no import of the transfer in time";
        /// An import was recorded, and the source's half was not.
        ExportMissing = 3, "an import was recorded, and no export of the transfer in time";
        /// A permit's period is over.
        PermitExpired = 4, "a data permit has expired";
    }
}

impl DueRule {
    /// The rule with this number, if this protocol version knows it.
    #[must_use]
    pub fn from_number(number: u32) -> Option<Self> {
        Self::ALL.iter().copied().find(|rule| rule.number() == u64::from(number))
    }
}

/// A place in a trail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listing {
    /// Which trail.
    pub trail: TrailKey,
    /// The position in it, from 0.
    pub position: u64,
}

impl Wire for Listing {
    fn write(&self, w: &mut Writer) {
        w.array(2);
        self.trail.write(w);
        self.position.write(w);
    }
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        r.array(2)?;
        Ok(Self { trail: Wire::read(r)?, position: Wire::read(r)? })
    }
    fn view(&self) -> View {
        View::Fields(alloc::vec![("trail", self.trail.view()), ("position", self.position.view())])
    }
}

wire_enum! {
    /// What the clear facts say about a statement. Never "permitted": whether sealed rules permitted is for `decide`.
    pub enum Finding {
        /// Every check that could be made agrees.
        Consistent = 0, "consistent";
        /// At least one check contradicts it.
        Contradicted = 1, "contradicted";
        /// Nothing could be checked.
        NotEvaluated = 2, "not evaluated";
    }
}

wire_enum! {
    /// A check that validators make of clear facts.
    pub enum Check {
        /// The author is active, with a role that may state this.
        Author = 0, "the author is an active participant in a role that may state this";
        /// The trail exists and belongs to the stated custodian, and the acting organisation is its grantee.
        Trail = 1, "the trail is the stated custodian's, for the stated organisation";
        /// The cited rule stands in this trail and was in force at the stated height.
        Rule = 2, "the cited rule stands in this trail and was in force when the access was decided";
        /// The cited permit names holder and user, and was in force. Its purpose is sealed with the event's.
        Permit = 3, "the cited permit names holder and user, and was in force";
        /// The cited emergency was declared.
        Emergency = 4, "the cited emergency was declared";
        /// The stated height lies within policy's lag.
        Lag = 5, "the access was decided within the policy's time before it was recorded";
        /// The event id is new.
        Event = 6, "the event was not recorded before";
        /// The stream's number follows the one before.
        Sequence = 7, "the author's numbering has no gap here";
        /// What the statement refers to was recorded before.
        Reference = 8, "what it refers to was recorded before";
        /// The step follows from the ones before.
        Step = 9, "the step follows from those before it";
        /// The transfer's other half.
        Half = 10, "this half of the transfer was not recorded before";
        /// Two votes are by a registered consensus key, and conflict.
        Evidence = 16, "the two votes are signed by this consensus key, and conflict";
    }
}

wire_enum! {
    /// What a check found.
    pub enum Code {
        /// The author was suspended.
        AuthorSuspended = 1, "the author was suspended";
        /// The author has no role that may state this.
        AuthorRole = 2, "the author has no role that may state this";
        /// The author is neither custodian nor acting organisation.
        AuthorNotParty = 3, "the author is neither the custodian nor the acting organisation";
        /// The stated custodian is not in the registry.
        UnknownCustodian = 4, "the stated custodian is not in the registry";
        /// The acting organisation is not in the registry.
        UnknownActing = 5, "the acting organisation is not in the registry";
        /// The trail was never opened.
        TrailNotOpen = 6, "the trail was never opened by the stated custodian";
        /// The trail was closed.
        TrailClosed = 7, "the trail was closed";
        /// The acting organisation is not the trail's grantee.
        ActingNotGrantee = 8, "the acting organisation is not the one this trail is for";
        /// The trail is of another calendar year.
        OtherEpoch = 9, "the trail is of another calendar year";
        /// A ground that needs a citation has none.
        NothingCited = 10, "the stated ground cites nothing";
        /// The cited rule does not stand in this trail.
        UnknownRule = 11, "the cited rule does not stand in this trail";
        /// The cited rule was put after the access was decided.
        RuleNotYet = 12, "the cited rule was recorded only after the access was decided";
        /// The cited rule had been ended.
        RuleEnded = 13, "the cited rule had been ended when the access was decided";
        /// The cited rule had expired.
        RuleExpired = 14, "the cited rule had expired when the access was decided";
        /// The cited permit does not exist.
        UnknownPermit = 15, "the cited permit is not on this ledger";
        /// The cited declaration does not exist.
        UnknownEmergency = 16, "the cited emergency was not declared on this ledger";
        /// Decided longer ago than policy allows.
        Late = 17, "recorded later than the policy allows";
        /// The stated height lies in the future.
        FutureHeight = 18, "the stated height had not been reached";
        /// Another event was recorded under this id.
        EventReused = 19, "another event of this author was recorded under this event id";
        /// Numbers of the stream are missing before this one.
        Gap = 20, "numbers are missing before this one in the author's stream";
        /// The stream's number had been used or passed.
        OutOfOrder = 21, "the number does not follow the last one in the author's stream";
        /// A citation where the ground needs none.
        CitedInVain = 22, "something is cited although the stated ground needs no citation";
        /// Imported from an earlier system.
        Imported = 23, "imported from an earlier system, decided without this ledger";
        /// A deadline had passed.
        Overdue = 24, "recorded after its deadline";
        /// The same was stated before.
        Again = 25, "the same was stated before, under another id";
        /// The permit was issued, or begins, after the decision.
        PermitNotYet = 26, "the cited permit was not in force yet when the access was decided";
        /// The permit had ended or been revoked.
        PermitEnded = 27, "the cited permit had ended when the access was decided";
        /// The permit does not name the custodian as a holder.
        NotHolder = 28, "the cited permit does not name the custodian as a holder of the data";
        /// The permit does not name the acting organisation.
        NotUser = 29, "the cited permit names another data user";
        /// The declaration is for another custodian or acting organisation.
        OtherEmergency = 30, "the cited emergency was declared for others";
        /// The declaration no longer covered it.
        EmergencyOver = 31, "the cited emergency was over when the access was decided";
        /// The declaration was cited in another trail.
        CitedElsewhere = 32, "the cited emergency was cited for somebody else before";
        /// What is referred to is not there.
        UnknownPrior = 33, "what it refers to was not recorded by this author";
        /// A step that cannot follow.
        OtherStep = 34, "the step does not follow from those before it";
        /// Not the subject's own trail.
        NotOwnTrail = 35, "the trail is not the subject's own";
        /// The other institution is not in the registry.
        UnknownParty = 36, "the other institution is not in the registry";
        /// The key of reported votes is no consensus key.
        NoConsensusKey = 40, "the reported key is not a consensus key of the registry";
        /// A reported vote is not signed by the key.
        VoteNotSigned = 41, "a reported vote is not signed by this key";
        /// The reported votes agree, or are not in order.
        VotesAgree = 42, "the reported votes do not conflict, or are not in their order";
        /// The same was reported before.
        ReportedBefore = 43, "this misbehaviour was reported before";
        /// The reported height lies ahead.
        HeightAhead = 44, "the reported height has not been reached";
    }
}

wire_struct! {
    /// What the validators found when they recorded an item.
    pub struct Verdict {
        /// The checks that were made.
        pub checks: Set<Check, MAX_CODES>,
        /// What they say together.
        pub finding: Finding,
        /// What they found in particular.
        pub codes: Set<Code, MAX_CODES>,
    }
}

impl Record {
    /// The number of the record kind on the wire.
    const fn kind(&self) -> u64 {
        match self.entry {
            Entry::Block { .. } => 0,
            Entry::Item(_) => 1,
            Entry::Due(_) => 2,
        }
    }

    /// The record's leaf hash in the log and in its trails.
    #[must_use]
    pub fn leaf_hash(&self) -> Digest {
        merkle::leaf_hash(&self.to_bytes())
    }

    /// Where the record is listed.
    #[must_use]
    pub fn listings(&self) -> &[Listing] {
        match &self.entry {
            Entry::Block { .. } => &[],
            Entry::Item(item) => &item.trails,
            Entry::Due(due) => &due.trails,
        }
    }

    /// The item record, if it is one.
    #[must_use]
    pub fn as_item(&self) -> Option<&ItemEntry> {
        match &self.entry {
            Entry::Item(item) => Some(item),
            Entry::Block { .. } | Entry::Due(_) => None,
        }
    }
}

impl Wire for Record {
    fn write(&self, w: &mut Writer) {
        w.array(7);
        w.u64(RECORD_LEAF);
        w.u64(VERSION);
        self.index.write(w);
        self.height.write(w);
        self.time.write(w);
        w.u64(self.kind());
        match &self.entry {
            Entry::Block { parent } => parent.write(w),
            Entry::Item(item) => item.write(w),
            Entry::Due(due) => due.write(w),
        }
    }
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let start = r.position();
        r.array(7)?;
        if r.u64()? != RECORD_LEAF || r.u64()? != VERSION {
            return Err(DecodeError::Unexpected { at: start, expected: "a record of version 1" });
        }
        let (index, height, time) = (Wire::read(r)?, Wire::read(r)?, Wire::read(r)?);
        let at = r.position();
        let entry = match r.u64()? {
            0 => Entry::Block { parent: Wire::read(r)? },
            1 => Entry::Item(Wire::read(r)?),
            2 => Entry::Due(Wire::read(r)?),
            _ => return Err(DecodeError::OutOfBounds { at, what: "record kind" }),
        };
        if r.position() - start > MAX_RECORD_BYTES {
            return Err(DecodeError::OutOfBounds { at: start, what: "record length" });
        }
        Ok(Self { index, height, time, entry })
    }
    fn view(&self) -> View {
        let entry = match &self.entry {
            Entry::Block { parent } => ("block", View::Fields(alloc::vec![("parent", parent.view())])),
            Entry::Item(item) => ("item", item.view()),
            Entry::Due(due) => ("due", due.view()),
        };
        View::Fields(alloc::vec![
            ("index", self.index.view()),
            ("height", self.height.view()),
            ("time", self.time.view()),
            entry,
        ])
    }
}

/// The codes of a verdict as a bounded set.
#[must_use]
pub fn verdict(checks: &[Check], codes: &[Code], finding: Finding) -> Verdict {
    Verdict {
        checks: Set::new(checks.to_vec()).unwrap_or_default(),
        finding,
        codes: Set::new(codes.to_vec()).unwrap_or_default(),
    }
}

/// A bounded list of path hashes: enough for any tree.
pub type Path = List<Digest, 64>;
