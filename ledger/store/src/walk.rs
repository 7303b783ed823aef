//! The walk over everything primary, from the genesis to the head, checking as it goes.
//!
//! ```text
//! for every piece    what is in it by itself                crate::piece, on every core
//! for every block    header -> parent, time, validators     here, in order
//!                    records -> log root
//! ```
//!
//! fsck and rebuild share it: both have to know that the primary tables hold before they say
//! anything about tables that follow from them. What follows is computed by whoever is told of each
//! envelope and record ([`Follow`]).
//!
//! The first thing that does not fit is the same one however many cores there are: of the blocks the lowest, and in
//! it what stands first, but that the signatures of envelopes come last. In memory are some pieces of about a
//! thousand records for each core.
//!
//! Deliberately absent: the derived tables. None is read here, except to say which one of a block's
//! records is wrong when together they do not hash to the log root.

use custos_proof::hash::{BlockId, Digest};
use custos_proof::header::Header;
use custos_proof::ids::{LogIndex, TimeMs};
use custos_proof::merkle::{Frontier, Node};
use custos_proof::record::Record;
use custos_proof::submission::Envelope;

use crate::ahead::{self, in_order};
use crate::error::StoreError;
use crate::fsck::Report;
use crate::meter::Meter;
use crate::piece::{Checked, CheckedBlock, Checker, Facts, Stage};
use crate::pieces::Pieces;
use crate::snapshot::Snapshot;
use crate::store::damaged;
use crate::tables::Table;
use crate::trees::LogTree;

/// Who computes what follows from the primary tables.
pub(crate) trait Follow {
    /// An envelope of a block of this time, in body order; `None` if it was pruned.
    fn envelope(&mut self, block: TimeMs, envelope: Option<&Envelope>) -> Result<(), StoreError>;

    /// A record, in log order; `completed` are the subtrees of the log that it completes. `item` is what its item says,
    /// if it is of one that was not pruned.
    fn record(
        &mut self,
        record: &Record,
        leaf: Digest,
        completed: &[Node],
        item: Option<Result<Facts, StoreError>>,
    ) -> Result<(), StoreError>;
}

/// Walks over all blocks of the snapshot.
///
/// # Errors
/// The first thing that does not fit.
pub(crate) fn walk(
    snapshot: &Snapshot<'_>,
    signatures: bool,
    meter: &mut Meter<'_>,
    follow: &mut dyn Follow,
) -> Result<Report, StoreError> {
    let genesis = snapshot.genesis();
    let validators = genesis
        .validator_set()
        .map_err(|error| damaged(Table::Meta, "genesis", "a genesis with validators", error.to_string()))?;
    let mut walk = Walk {
        snapshot,
        log: Frontier::new(),
        parent: (genesis.block_id(), genesis.time),
        validators: validators.hash(),
        submissions: 0,
        report: Report::default(),
    };
    let mut pieces = Pieces::new(snapshot)?;
    in_order(
        ahead::threads(),
        || pieces.give(),
        || Checker::new(snapshot, signatures),
        Checker::check,
        |piece: Checked| {
            piece.blocks.into_iter().try_for_each(|block| walk.block(block, meter, follow))?;
            piece.end
        },
    )?;
    let found = snapshot.count(Table::Submissions)?;
    if found != walk.submissions {
        let expected = format!("{} rows: one for each submission", walk.submissions);
        return Err(damaged(Table::Submissions, "(all)", expected, format!("{found} rows")));
    }
    Ok(walk.report)
}

struct Walk<'s> {
    snapshot: &'s Snapshot<'s>,
    log: Frontier,
    parent: (BlockId, TimeMs),
    /// Who decides the next block.
    validators: Digest,
    submissions: u64,
    report: Report,
}

impl Walk<'_> {
    fn block(
        &mut self,
        block: CheckedBlock,
        meter: &mut Meter<'_>,
        follow: &mut dyn Follow,
    ) -> Result<(), StoreError> {
        let CheckedBlock { header, id, first, envelopes, records, mut stopped, report } = block;
        let mut until = |stage: Stage| match stopped.take_if(|(at, _)| *at == stage) {
            Some((_, error)) => Err(error),
            None => Ok(()),
        };
        self.header(&header)?;
        if first != self.log.size() {
            let expected = format!("first log index {}", self.log.size());
            return Err(damaged(Table::Blocks, header.height.to_string(), expected, first.to_string()));
        }
        until(Stage::Certificate)?;
        for envelope in &envelopes {
            follow.envelope(header.time, envelope.as_ref())?;
        }
        until(Stage::Body)?;
        let mut leaves = Vec::with_capacity(records.len());
        for checked in records {
            let completed = self.log.append(checked.leaf);
            follow.record(&checked.record, checked.leaf, &completed, checked.item)?;
            leaves.push(checked.leaf);
            meter.tick();
        }
        until(Stage::Records)?;
        if self.log.root() != header.log_root || self.log.size() != header.log_size.0 {
            return Err(self.blame(&header, first, &leaves));
        }
        until(Stage::Submissions)?;
        (self.parent, self.validators) = ((id, header.time), header.next_validators_hash);
        self.submissions += envelopes.len() as u64;
        self.report.records += leaves.len() as u64;
        self.report.add(&report);
        Ok(())
    }

    fn header(&mut self, header: &Header) -> Result<(), StoreError> {
        let at = header.height.to_string();
        let not = |expected: String, found: String| Err(damaged(Table::Blocks, &at, expected, found));
        let chain = self.snapshot.head().chain;
        match () {
            () if header.chain != chain => {
                not(format!("a header of chain {chain}"), format!("chain {}", header.chain))
            }
            () if header.parent != self.parent.0 => not(
                format!("a header whose parent is {}", self.parent.0),
                format!("parent {}", header.parent),
            ),
            () if header.time <= self.parent.1 => {
                not(format!("a time after {}", self.parent.1), header.time.to_string())
            }
            () if header.validators_hash != self.validators => not(
                format!("validators {}", self.validators),
                format!("validators {}", header.validators_hash),
            ),
            () => Ok(()),
        }
    }

    /// Which of a block's records is not the one that was recorded: the tiles know its leaf hash.
    fn blame(&self, header: &Header, first: u64, leaves: &[Digest]) -> StoreError {
        for (index, leaf) in (first..).map(LogIndex).zip(leaves) {
            if let Ok(recorded) = LogTree::leaf(self.snapshot, index)
                && recorded != *leaf
            {
                return damaged(
                    Table::Records,
                    index.to_string(),
                    format!("the record with leaf hash {recorded}"),
                    leaf.to_string(),
                );
            }
        }
        let found = format!("log root {} of {} records", self.log.root(), self.log.size());
        let expected = format!("log root {} of {} records", header.log_root, header.log_size);
        damaged(Table::Records, format!("block {}", header.height), expected, found)
    }
}
