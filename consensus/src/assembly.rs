//! Puts blocks together from the parts that peers send, and takes them apart to send them.
//!
//! Parts carry no signature. What makes that safe is that a body counts only if it hashes to the id
//! it was announced under, that each peer assembles on its own (nobody can spoil another's stream),
//! and that everything here is bounded: streams per peer, bytes per stream, heights.
//!
//! Whether a block is any good is not asked here.

use std::collections::BTreeMap;

use bytes::Bytes;
use custos_engine::{PART_BYTES, Part, part_count};
use custos_network::PeerKey;
use custos_proof::hash::BlockId;
use custos_proof::ids::{Height, Round};

/// Blocks that one peer may be sending at a time; beginning another gives up the oldest.
pub(crate) const MAX_STREAMS_PER_PEER: usize = 3;

/// Blocks in the making.
#[derive(Debug, Default)]
pub(crate) struct Assembly {
    streams: BTreeMap<(PeerKey, BlockId), Stream>,
    begun: u64,
}

#[derive(Debug)]
struct Stream {
    height: Height,
    total_bytes: u32,
    pieces: Vec<Option<Bytes>>,
    missing: usize,
    begun: u64,
}

/// A part that contradicts what the same peer sent for the same block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Inconsistent;

impl Assembly {
    /// Takes a part; returns the whole block's bytes once all parts are there.
    pub(crate) fn add(&mut self, from: PeerKey, part: &Part) -> Result<Option<Vec<u8>>, Inconsistent> {
        let key = (from, part.block_id);
        if !self.streams.contains_key(&key) {
            self.begin(key, part);
        }
        let Some(stream) = self.streams.get_mut(&key) else { return Ok(None) };
        let place = usize::try_from(part.index).ok().and_then(|index| stream.pieces.get_mut(index));
        let (true, Some(place)) =
            (stream.total_bytes == part.total_bytes && stream.height == part.height, place)
        else {
            self.streams.remove(&key);
            return Err(Inconsistent);
        };
        if place.is_none() {
            *place = Some(part.bytes.clone());
            stream.missing = stream.missing.saturating_sub(1);
        }
        if stream.missing > 0 {
            return Ok(None);
        }
        let whole =
            self.streams.remove(&key).map(|stream| stream.pieces.into_iter().flatten().collect::<Vec<_>>());
        Ok(whole.map(|pieces| pieces.concat()))
    }

    /// Gives up what belongs to this height or an earlier one.
    pub(crate) fn forget(&mut self, up_to: Height) {
        self.streams.retain(|_, stream| stream.height > up_to);
    }

    fn begin(&mut self, key: (PeerKey, BlockId), part: &Part) {
        let (from, _) = key;
        let mut of_peer: Vec<_> = self
            .streams
            .iter()
            .filter(|((peer, _), _)| *peer == from)
            .map(|(key, s)| (s.begun, *key))
            .collect();
        of_peer.sort_unstable();
        let surplus = (of_peer.len() + 1).saturating_sub(MAX_STREAMS_PER_PEER);
        for (_, oldest) in of_peer.into_iter().take(surplus) {
            self.streams.remove(&oldest);
        }
        let count = usize::try_from(part_count(part.total_bytes)).unwrap_or(usize::MAX);
        self.begun += 1;
        let stream = Stream {
            height: part.height,
            total_bytes: part.total_bytes,
            pieces: vec![None; count],
            missing: count,
            begun: self.begun,
        };
        self.streams.insert(key, stream);
    }
}

/// The parts of a block, to be sent in `round`.
pub(crate) fn parts(height: Height, round: Round, block_id: BlockId, block: &Bytes) -> Vec<Part> {
    let total_bytes = u32::try_from(block.len()).unwrap_or(u32::MAX);
    (0..part_count(total_bytes))
        .zip(0usize..)
        .map(|(index, position)| {
            let begins = position * PART_BYTES;
            let ends = (begins + PART_BYTES).min(block.len());
            Part { height, round, block_id, total_bytes, index, bytes: block.slice(begins..ends) }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: PeerKey = PeerKey([1; 32]);
    const B: PeerKey = PeerKey([2; 32]);

    fn block(bytes: usize) -> Bytes {
        (0..bytes).map(|i| (i % 251) as u8).collect::<Vec<_>>().into()
    }

    fn sent(id: u8, bytes: usize) -> Vec<Part> {
        parts(Height(5), Round(0), BlockId([id; 32]), &block(bytes))
    }

    #[test]
    fn a_block_comes_together_in_any_order_and_parts_may_repeat() {
        let bytes = 2 * PART_BYTES + 17;
        let mut parts = sent(1, bytes);
        assert_eq!(parts.len(), 3);
        parts.reverse();
        let mut assembly = Assembly::default();
        assert_eq!(assembly.add(A, &parts[0]), Ok(None));
        assert_eq!(assembly.add(A, &parts[0]), Ok(None));
        assert_eq!(assembly.add(A, &parts[1]), Ok(None));
        assert_eq!(assembly.add(A, &parts[2]), Ok(Some(block(bytes).to_vec())));
        assert!(assembly.streams.is_empty());
    }

    #[test]
    fn one_peer_cannot_spoil_what_another_sends() {
        let bytes = PART_BYTES + 1;
        let parts = sent(1, bytes);
        let mut forged = parts[0].clone();
        forged.bytes = vec![0; PART_BYTES].into();
        let mut assembly = Assembly::default();
        assert_eq!(assembly.add(B, &forged), Ok(None));
        assert_eq!(assembly.add(A, &parts[0]), Ok(None));
        assert_eq!(assembly.add(A, &parts[1]), Ok(Some(block(bytes).to_vec())));
    }

    #[test]
    fn a_part_that_contradicts_its_stream_ends_it() {
        let mut assembly = Assembly::default();
        let parts = sent(1, 3 * PART_BYTES);
        assert_eq!(assembly.add(A, &parts[0]), Ok(None));
        let mut other = parts[1].clone();
        other.total_bytes += 1;
        assert_eq!(assembly.add(A, &other), Err(Inconsistent));
        assert!(assembly.streams.is_empty());
    }

    #[test]
    fn a_peer_that_begins_many_blocks_loses_its_oldest() {
        let mut assembly = Assembly::default();
        for id in 0..20 {
            assert_eq!(assembly.add(A, &sent(id, 2 * PART_BYTES)[0]), Ok(None));
        }
        assert_eq!(assembly.add(B, &sent(0, 2 * PART_BYTES)[0]), Ok(None));
        assert_eq!(assembly.streams.len(), MAX_STREAMS_PER_PEER + 1);
        assembly.forget(Height(5));
        assert!(assembly.streams.is_empty());
    }
}
