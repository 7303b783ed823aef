//! How large a block this node proposes: as large as the others manage to check in time.
//!
//! Followers execute a block before they vote on it. One that takes them longer than the round lasts
//! is never decided, however often it is proposed; the backlog behind it grows, and so would the next
//! proposal. So a proposal that was not decided halves the room for the next one, and each that was
//! decided gives an eighth back. Only this node's own proposals count: a round lost to a dead
//! validator says nothing about size. A single submission is proposed in any case, however little room
//! there is: it cannot be split.

use custos_proof::hash::BlockId;
use custos_proof::ids::Height;

/// Room for a thousand items or so, which every machine executes while a round lasts.
const LEAST: usize = 128 * 1024;

/// The room for submissions in the next block, in bytes.
#[derive(Debug)]
pub(crate) struct Room {
    bytes: usize,
    proposed: Option<(Height, BlockId)>,
}

impl Room {
    /// All the room there may ever be.
    pub(crate) fn new(most: usize) -> Self {
        Self { bytes: most.max(LEAST), proposed: None }
    }

    /// The room for a proposal at `height`, at most `most`.
    pub(crate) fn at(&mut self, height: Height, most: usize) -> usize {
        // Asked again at the same height: what was proposed in an earlier round was not decided.
        if self.proposed.take_if(|(at, _)| *at == height).is_some() {
            self.bytes = (self.bytes.min(most) / 2).max(LEAST);
        }
        self.bytes.min(most)
    }

    /// This node proposes a block.
    pub(crate) fn proposed(&mut self, height: Height, block: BlockId) {
        self.proposed = Some((height, block));
    }

    /// A height was decided.
    pub(crate) fn decided(&mut self, height: Height, block: BlockId, most: usize) {
        match self.proposed.take() {
            Some((at, own)) if at == height && own == block => {
                self.bytes = self.bytes.saturating_add(self.bytes / 8).min(most.max(LEAST));
            }
            Some((at, _)) if at == height => self.bytes = (self.bytes / 2).max(LEAST),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use custos_proof::hash::Digest;

    const MOST: usize = 4 << 20;

    fn block(n: u8) -> BlockId {
        BlockId::from(Digest([n; 32]))
    }

    #[test]
    fn what_is_not_decided_halves_the_room_and_what_is_gives_it_back() {
        let mut room = Room::new(MOST);
        assert_eq!(room.at(Height(1), MOST), MOST);
        room.proposed(Height(1), block(1));
        assert_eq!(room.at(Height(1), MOST), MOST / 2, "a second round at one height");
        room.proposed(Height(1), block(2));
        room.decided(Height(1), block(3), MOST);
        assert_eq!(room.at(Height(2), MOST), MOST / 4, "another's block was decided instead");
        for height in 2..40 {
            room.proposed(Height(height), block(4));
            room.decided(Height(height), block(4), MOST);
        }
        assert_eq!(room.at(Height(40), MOST), MOST);
    }

    #[test]
    fn rounds_lost_to_others_change_nothing() {
        let mut room = Room::new(MOST);
        for height in 1..20 {
            room.decided(Height(height), block(1), MOST);
            assert_eq!(room.at(Height(height + 1), MOST), MOST);
        }
    }

    #[test]
    fn some_room_is_left_however_often_nothing_is_decided() {
        let mut room = Room::new(MOST);
        for _ in 0..20 {
            room.proposed(Height(1), block(1));
            assert!(room.at(Height(1), MOST) >= LEAST);
        }
        assert_eq!(room.at(Height(1), MOST), LEAST);
    }
}
