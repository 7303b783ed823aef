//! The blocks of a store, cut into pieces, and the tables from the beginning of a piece on.
//!
//! Pieces are as long as signatures are checked at once, whole blocks at least. Every row of the tables is read by one
//! of them: behind its last block a piece looks for rows that nobody asks for, up to where the next one begins.

use custos_proof::header::Header;
use custos_proof::ids::{Height, LogIndex};

use crate::cursor::Cursor;
use crate::error::StoreError;
use crate::rows::BlockRow;
use crate::snapshot::{Snapshot, decode_row};
use crate::store::damaged;
use crate::tables::{self, Table};

/// A piece ends behind the block with which it has about this many records: nearly as many signatures as are checked at
/// once.
const RECORDS: u64 = 960;
/// The most blocks of a piece.
const BLOCKS: usize = 256;

/// Rows of blocks that follow each other.
pub(crate) struct Piece {
    pub(crate) blocks: Vec<(Height, BlockRow)>,
    /// Nothing was recorded before it.
    pub(crate) first: bool,
    /// What comes behind it: nothing, further blocks, or a row that cannot be read.
    pub(crate) behind: Behind,
}

pub(crate) enum Behind {
    Blocks,
    Nothing,
    Error(StoreError),
}

/// Cuts the blocks into pieces.
pub(crate) struct Pieces<'s> {
    rows: Option<Cursor<'s>>,
    next: Height,
    head: Height,
}

impl<'s> Pieces<'s> {
    pub(crate) fn new(snapshot: &'s Snapshot<'s>) -> Result<Self, StoreError> {
        let rows = Some(Cursor::new(snapshot, Table::Blocks, &[])?);
        Ok(Self { rows, next: Height(1), head: snapshot.head().height })
    }

    /// The next piece; an error comes in the last one.
    pub(crate) fn give(&mut self) -> Option<Piece> {
        let mut rows = self.rows.take()?;
        let mut piece = Piece { blocks: vec![], first: self.next == Height(1), behind: Behind::Nothing };
        while self.next <= self.head {
            let row = match Self::row(&mut rows, self.next) {
                Ok(row) => row,
                Err(error) => {
                    piece.behind = Behind::Error(error);
                    return Some(piece);
                }
            };
            let begin = piece.blocks.first().map_or(row.first, |(_, row)| row.first);
            let records = row.first.saturating_sub(begin).saturating_add(row.submissions.into());
            piece.blocks.push((self.next, row));
            let full = records >= RECORDS || piece.blocks.len() == BLOCKS;
            self.next.0 += 1;
            if full && self.next <= self.head {
                piece.behind = Behind::Blocks;
                self.rows = Some(rows);
                return Some(piece);
            }
        }
        if let Err(error) = rows.end() {
            piece.behind = Behind::Error(error);
        }
        Some(piece)
    }

    fn row(rows: &mut Cursor<'_>, height: Height) -> Result<BlockRow, StoreError> {
        let key = tables::height_key(height);
        let bytes = rows
            .take(&key)?
            .ok_or_else(|| damaged(Table::Blocks, height.to_string(), "a block", "nothing"))?;
        decode_row(Table::Blocks, &key, &bytes)
    }
}

/// The tables, from the beginning of a piece on.
pub(crate) struct Cursors<'s> {
    pub(crate) certificates: Cursor<'s>,
    pub(crate) envelopes: Cursor<'s>,
    pub(crate) records: Cursor<'s>,
    pub(crate) items: Cursor<'s>,
}

impl<'s> Cursors<'s> {
    /// Before everything of a block, or before all rows.
    pub(crate) fn at(
        snapshot: &'s Snapshot<'s>,
        block: Option<&(Height, BlockRow)>,
    ) -> Result<Self, StoreError> {
        let cursor =
            |table, key: &[u8]| Cursor::new(snapshot, table, if block.is_some() { key } else { &[] });
        let (height, first) = block.map_or((Height(0), 0), |(height, row)| (*height, row.first));
        let index = tables::index_key(LogIndex(first));
        Ok(Self {
            certificates: cursor(Table::Certificates, &tables::height_key(height))?,
            envelopes: cursor(Table::Envelopes, &tables::envelope_key(height, 0))?,
            records: cursor(Table::Records, &index)?,
            items: cursor(Table::Items, &index)?,
        })
    }

    /// Nothing may be left.
    pub(crate) fn end(self) -> Result<(), StoreError> {
        self.certificates.end()?;
        self.envelopes.end()?;
        self.records.end()?;
        self.items.end()
    }

    /// Nothing may be left before the block behind `last`.
    pub(crate) fn end_before(self, last: &Header) -> Result<(), StoreError> {
        let (next, index) = (Height(last.height.0 + 1), tables::index_key(LogIndex(last.log_size.0)));
        self.certificates.end_before(&tables::height_key(next))?;
        self.envelopes.end_before(&tables::envelope_key(next, 0))?;
        self.records.end_before(&index)?;
        self.items.end_before(&index)
    }
}

impl Behind {
    pub(crate) fn end(self) -> Result<(), StoreError> {
        match self {
            Behind::Error(error) => Err(error),
            Behind::Blocks | Behind::Nothing => Ok(()),
        }
    }
}
