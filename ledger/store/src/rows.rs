//! The rows of our own making, and their way from and to the types of the ledger.
//!
//! Numbers and hashes come out of a row unchecked; what they refer to is checked by whoever reads on.

use bincode::{Decode, Encode};
use custos_proof::cbor::Wire;
use custos_proof::certificate::ValidatorSet;
use custos_proof::hash::{BlockId, ChainId, Digest};
use custos_proof::ids::{Height, LogIndex, LogSize, TimeMs};
use custos_state::changes::Placed;
use custos_state::view::Head;

/// `meta`, `head`.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct HeadRow {
    /// First and of fixed length: see [`head_height`].
    height: [u8; 8],
    chain: [u8; 32],
    registrar: String,
    block_id: [u8; 32],
    time: u64,
    log_size: u64,
    log_frontier: Vec<[u8; 32]>,
    state_root: [u8; 32],
    validators_hash: [u8; 32],
    /// CBOR of the validator set.
    next_validators: Vec<u8>,
}

impl HeadRow {
    pub(crate) fn of(head: &Head) -> Self {
        Self {
            height: head.height.0.to_be_bytes(),
            chain: head.chain.0,
            registrar: head.registrar.as_str().to_owned(),
            block_id: head.block_id.0,
            time: head.time.0,
            log_size: head.log_size.0,
            log_frontier: head.log_frontier.iter().map(|hash| hash.0).collect(),
            state_root: head.state_root.0,
            validators_hash: head.validators_hash.0,
            next_validators: head.next_validators.to_bytes(),
        }
    }

    pub(crate) fn head(self) -> Result<Head, String> {
        Ok(Head {
            chain: ChainId(self.chain),
            registrar: self.registrar.parse().map_err(|e| format!("{e}"))?,
            height: Height(u64::from_be_bytes(self.height)),
            block_id: BlockId(self.block_id),
            time: TimeMs(self.time),
            log_size: LogSize(self.log_size),
            log_frontier: self.log_frontier.into_iter().map(Digest).collect(),
            state_root: Digest(self.state_root),
            validators_hash: Digest(self.validators_hash),
            next_validators: ValidatorSet::from_bytes(&self.next_validators).map_err(|e| e.to_string())?,
        })
    }
}

/// The height that a head's row begins with: enough to see whether it is known already.
pub(crate) fn head_height(row: &[u8]) -> Option<u64> {
    row.first_chunk().map(|height| u64::from_be_bytes(*height))
}

/// `blocks`.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct BlockRow {
    /// The log index of the block's first record.
    pub(crate) first: u64,
    /// How many submissions its body has.
    pub(crate) submissions: u32,
    /// CBOR of the header.
    pub(crate) header: Vec<u8>,
}

/// `submissions`.
///
/// The records of one submission stand one behind the other in the log, so that the first one's
/// index says where all of them are.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct SubmissionRow {
    pub(crate) height: u64,
    pub(crate) position: u32,
    /// The log index of the first item that is recorded here; 0 when none is.
    first: u64,
    /// How many items the submission has.
    items: u32,
    /// Items that were recorded earlier: position in the submission, log index.
    before: Vec<(u32, u64)>,
}

impl SubmissionRow {
    /// The row; `None` if the records do not stand one behind the other.
    pub(crate) fn of(height: Height, position: u32, placed: &[Placed]) -> Option<Self> {
        let mut row = Self {
            height: height.0,
            position,
            first: 0,
            items: u32::try_from(placed.len()).ok()?,
            before: vec![],
        };
        let mut next: Option<u64> = None;
        for (position, placed) in (0u32..).zip(placed) {
            match placed {
                Placed::Before(index) => row.before.push((position, index.0)),
                Placed::Here(index) => match next {
                    None => (row.first, next) = (index.0, index.0.checked_add(1)),
                    Some(expected) if expected == index.0 => next = expected.checked_add(1),
                    Some(_) => return None,
                },
            }
        }
        Some(row)
    }

    /// First log index, number of items, and those recorded earlier.
    pub(crate) fn parts(&self) -> (u64, u32, &[(u32, u64)]) {
        (self.first, self.items, &self.before)
    }

    /// The row of these parts, unchecked.
    pub(crate) fn from_parts(
        height: Height,
        position: u32,
        first: u64,
        items: u32,
        before: Vec<(u32, u64)>,
    ) -> Self {
        Self { height: height.0, position, first, items, before }
    }

    /// Where the items are recorded; `None` if the row contradicts itself.
    pub(crate) fn placed(&self) -> Option<Vec<Placed>> {
        if self.items as usize > custos_proof::submission::MAX_ITEMS {
            return None;
        }
        let mut before = self.before.iter().peekable();
        let mut next = self.first;
        let mut placed = Vec::new();
        for position in 0..self.items {
            match before.next_if(|(at, _)| *at == position) {
                Some((_, index)) => placed.push(Placed::Before(LogIndex(*index))),
                None => {
                    placed.push(Placed::Here(LogIndex(next)));
                    next = next.checked_add(1)?;
                }
            }
        }
        before.next().is_none().then_some(placed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placings_come_back() {
        let placed = [
            Placed::Before(LogIndex(3)),
            Placed::Here(LogIndex(10)),
            Placed::Before(LogIndex(4)),
            Placed::Here(LogIndex(11)),
        ];
        let row = SubmissionRow::of(Height(2), 1, &placed).unwrap();
        assert_eq!(row.placed().unwrap(), placed);
        assert_eq!(
            SubmissionRow::of(Height(2), 1, &[Placed::Here(LogIndex(1)), Placed::Here(LogIndex(3))]),
            None
        );
        let mut bent = row;
        bent.before.reverse();
        assert_eq!(bent.placed(), None);
    }
}
