//! What opening a store checks, and the partial tiles with which it goes on.
//!
//! Deliberately absent: everything below the head. That is `fsck`'s.

use custos_proof::hash::{Digest, TrailKey};
use custos_proof::ids::{Height, LogIndex, LogSize};
use custos_proof::merkle;
use custos_proof::state_map;

use super::{Snapshot, page_error};
use crate::error::StoreError;
use crate::store::{damaged, hex};
use crate::tables::{self, Table};
use crate::tiles::Edge;
use crate::trees::LogTree;

impl Snapshot<'_> {
    /// Compares the head with everything that says where the chain stands.
    pub(crate) fn check_head(&self) -> Result<(), StoreError> {
        let head = &*self.head;
        let not = |expected: String, found: String| Err(damaged(Table::Meta, "head", expected, found));
        let (_, log_root) = self.checkpoint()?;
        let state_root = state_map::root(self).map_err(page_error)?;
        if state_root != head.state_root {
            return Err(damaged(
                Table::StatePages,
                "/",
                format!("root {}", head.state_root),
                state_root.to_string(),
            ));
        }
        if head.height == Height(0) {
            return if head.block_id == self.store.genesis().block_id() && head.log_size == LogSize(0) {
                Ok(())
            } else {
                not("the genesis at height 0".into(), format!("block {}", head.block_id))
            };
        }
        let header = self
            .header(head.height)?
            .ok_or_else(|| damaged(Table::Blocks, head.height.to_string(), "the head's header", "nothing"))?;
        if header.block_id() != head.block_id {
            let found = header.block_id().to_string();
            return Err(damaged(
                Table::Blocks,
                head.height.to_string(),
                format!("block {}", head.block_id),
                found,
            ));
        }
        let same = header.height == head.height
            && header.time == head.time
            && header.log_size == head.log_size
            && header.log_root == log_root
            && header.state_root == head.state_root
            && header.validators_hash == head.validators_hash
            && header.next_validators_hash == head.next_validators.hash();
        if !same {
            return not("what the head's header says".into(), "something else".into());
        }
        let tiles_root = self.log_root(head.log_size)?;
        let last = LogIndex(head.log_size.0 - 1);
        let leaf = LogTree::leaf(self, last)?;
        if tiles_root != log_root {
            return Err(damaged(
                Table::Tiles,
                "the right edge",
                format!("root {log_root}"),
                tiles_root.to_string(),
            ));
        }
        let record = self
            .record(last)?
            .ok_or_else(|| damaged(Table::Records, last.to_string(), "the last record", "nothing"))?;
        if merkle::leaf_hash(&record) != leaf {
            let found = merkle::leaf_hash(&record).to_string();
            return Err(damaged(
                Table::Records,
                last.to_string(),
                format!("the record with leaf hash {leaf}"),
                found,
            ));
        }
        match self.certificate(head.height)? {
            Some(certificate)
                if certificate.block_id == head.block_id && certificate.height == head.height =>
            {
                Ok(())
            }
            Some(other) => {
                let found = format!("one for block {}", other.block_id);
                Err(damaged(Table::Certificates, head.height.to_string(), "the head's certificate", found))
            }
            None => Err(damaged(
                Table::Certificates,
                head.height.to_string(),
                "the head's certificate",
                "nothing",
            )),
        }
    }

    /// The log's partial tiles.
    pub(crate) fn log_edge(&self) -> Result<Edge, StoreError> {
        Edge::load(self.head.log_size.0, |level, tile, len| {
            self.partial(Table::Tiles, &tables::tile_key(level, tile), len)
        })
    }

    /// The partial tiles of a trail of `size` records, from level 1 up; level 0 is the trail itself.
    pub(crate) fn trail_edge(&self, trail: &TrailKey, size: u64) -> Result<Edge, StoreError> {
        Edge::load(size, |level, tile, len| match level {
            0 => Ok(vec![]),
            _ => self.partial(Table::TrailTiles, &tables::trail_tile_key(trail, level, tile), len),
        })
    }

    fn partial(&self, table: Table, key: &[u8], len: usize) -> Result<Vec<Digest>, StoreError> {
        let found = self.tile(table, key)?.map(|tile| tile.hashes().to_vec()).unwrap_or_default();
        if found.len() == len {
            Ok(found)
        } else {
            Err(damaged(
                table,
                hex(key),
                format!("a tile of {len} hashes"),
                format!("{} hashes", found.len()),
            ))
        }
    }
}
