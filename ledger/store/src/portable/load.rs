//! Loading a snapshot's chunks into an empty database, which no store opens before it was checked.
//!
//! The database is marked as being rebuilt with its first write, and has no head until its last: a
//! crash leaves something that is refused, not something that looks like a chain. What is loaded is
//! only put in its place here; [`super::restore`] has everything recomputed afterwards.

use std::collections::BTreeSet;
use std::path::Path;

use custos_proof::cbor::Wire;
use custos_proof::certificate::ValidatorSet;
use custos_proof::genesis::Genesis;
use custos_proof::header::Header;
use custos_proof::ids::{Height, LogIndex, LogSize};
use custos_proof::merkle::{Frontier, leaf_hash};
use custos_proof::record::Record;
use custos_proof::submission::Envelope;
use custos_state::apply;
use custos_state::view::Head;
use rocksdb::DB;

use super::container::Reading;
use super::create::event_row;
use super::format::{Chunk, PortableBlock, PortableEnvelope};
use super::{Progressed, SnapshotError};
use crate::batch::Batch;
use crate::codec;
use crate::database::Database;
use crate::options::Limits;
use crate::rows::{BlockRow, SubmissionRow};
use crate::store::read;
use crate::tables::{self, FORMAT, Table, meta};

/// Fills a new database in `dir` with what a snapshot holds.
pub(super) fn load(
    reading: &mut Reading,
    dir: &Path,
    limits: &Limits,
    progress: &mut dyn FnMut(Progressed),
) -> Result<(), SnapshotError> {
    let db = Database::create(dir, limits)?;
    let mut mark = Batch::new(&db);
    mark.put(Table::Meta, meta::REBUILDING, codec::encode(&true));
    mark.write()?;
    let mut loading = Loading { db: &db, base: None, log: Frontier::new(), last: None, lacking: Height(0) };
    reading.each(progress, |chunk| loading.chunk(chunk))?;
    loading.finish(reading)
}

struct Loading<'db> {
    db: &'db DB,
    base: Option<(Vec<u8>, Genesis, Vec<ValidatorSet>)>,
    log: Frontier,
    last: Option<Header>,
    /// The highest block that lacks something.
    lacking: Height,
}

impl Loading<'_> {
    fn chunk(&mut self, chunk: Chunk) -> Result<(), SnapshotError> {
        let mut batch = Batch::new(self.db);
        match (chunk, self.base.is_some()) {
            (Chunk::Base { genesis, validators }, false) => {
                let parsed = Genesis::from_bytes(&genesis).map_err(content("the genesis"))?;
                parsed.check().map_err(content("the genesis"))?;
                let sets = validators
                    .iter()
                    .map(|bytes| ValidatorSet::from_bytes(bytes).map_err(content("a validator set")))
                    .collect::<Result<Vec<_>, _>>()?;
                for (set, bytes) in sets.iter().zip(&validators) {
                    batch.put(Table::Validators, set.hash(), bytes);
                }
                self.base = Some((genesis, parsed, sets));
            }
            (Chunk::Base { .. }, true) => return Err(content("the beginning")("it comes twice")),
            (_, false) => return Err(content("the beginning")("it does not come first")),
            (Chunk::Blocks(blocks), true) => {
                let mut taken = BTreeSet::new();
                for block in blocks {
                    self.block(block, &mut taken, &mut batch)?;
                }
            }
            (Chunk::State(entries), true) => {
                for (key, value) in entries {
                    batch.put(Table::State, key.0, value);
                }
            }
            (Chunk::Events(events), true) => {
                for (key, index) in events {
                    batch.put(Table::Events, key, event_row(index));
                }
            }
        }
        Ok(batch.write_unsynced()?)
    }

    /// `taken`: the short keys of submissions that are in the batch already.
    fn block(
        &mut self,
        block: PortableBlock,
        taken: &mut BTreeSet<Vec<u8>>,
        batch: &mut Batch<'_>,
    ) -> Result<(), SnapshotError> {
        let header = Header::from_bytes(&block.header).map_err(content("a header"))?;
        let expected = self.last.as_ref().map_or(Height(0), |last| last.height).next();
        if header.height != expected {
            return Err(content("a header")(format!(
                "it is of height {} where {expected} follows",
                header.height
            )));
        }
        let key = tables::height_key(header.height);
        let row = BlockRow {
            first: self.log.size(),
            submissions: u32::try_from(block.submissions.len()).map_err(content("a block"))?,
            header: block.header,
        };
        batch.put(Table::Blocks, key, codec::encode(&row));
        batch.put(Table::Certificates, key, block.certificate);
        for (position, submission) in (0u32..).zip(block.submissions) {
            let (id, stored) = match submission.envelope {
                PortableEnvelope::Pruned(id) => {
                    self.lacking = header.height;
                    (id, id.0.to_vec())
                }
                PortableEnvelope::Kept(bytes) => {
                    let envelope = Envelope::decode(&bytes).map_err(content("an envelope"))?;
                    (envelope.submission_id(), bytes)
                }
            };
            if submission.before.len() == submission.items as usize && submission.first != 0 {
                return Err(content("a submission")("it records nothing, and says where"));
            }
            let row = SubmissionRow::from_parts(
                header.height,
                position,
                submission.first,
                submission.items,
                submission.before,
            );
            // As when the block was committed: the key is short unless another submission has it.
            let prefix = tables::submission_prefix(&id);
            let is_free =
                taken.insert(prefix.to_vec()) && read(self.db, Table::Submissions, prefix)?.is_none();
            batch.put(Table::Submissions, if is_free { prefix } else { &id.0[..] }, codec::encode(&row));
            batch.put(Table::Envelopes, tables::envelope_key(header.height, position), stored);
        }
        for (record, item) in block.records {
            let key = tables::index_key(LogIndex(self.log.size()));
            self.log.append(leaf_hash(&record));
            match item {
                Some(item) => batch.put(Table::Items, key, item),
                None => {
                    let decoded = Record::from_bytes(&record).map_err(content("a record"))?;
                    if decoded.as_item().is_some() {
                        self.lacking = header.height;
                    }
                }
            }
            batch.put(Table::Records, key, record);
        }
        self.last = Some(header);
        Ok(())
    }

    /// Writes what makes a database of it, the mark still on it.
    fn finish(self, reading: &Reading) -> Result<(), SnapshotError> {
        let Some((genesis_bytes, genesis, sets)) = self.base else {
            return Err(content("the beginning")("it is missing"));
        };
        let head = match &self.last {
            None => apply::start(&genesis).map_err(content("the genesis"))?.head,
            Some(last) => Head {
                chain: genesis.chain(),
                registrar: genesis.registrar.clone(),
                height: last.height,
                block_id: last.block_id(),
                time: last.time,
                log_size: LogSize(self.log.size()),
                log_frontier: self.log.hashes().to_vec(),
                // What the block commits to; the entries are compared with it later.
                state_root: last.state_root,
                validators_hash: last.validators_hash,
                next_validators: sets
                    .iter()
                    .find(|set| set.hash() == last.next_validators_hash)
                    .cloned()
                    .ok_or_else(|| content("the validators")("those after the head are missing"))?,
            },
        };
        let manifest = reading.manifest();
        let same = (head.chain, head.height, head.block_id, head.log_size, head.state_root)
            == (manifest.chain, manifest.height, manifest.block_id, manifest.log_size, manifest.state_root);
        if !same {
            return Err(content("the manifest")("it names another head than the blocks have"));
        }
        let mut batch = Batch::new(self.db);
        batch.put(Table::Meta, meta::FORMAT, codec::encode(&FORMAT));
        batch.put(Table::Meta, meta::GENESIS, genesis_bytes);
        batch.head(&head);
        if self.lacking > Height(0) {
            batch.whole_from(self.lacking.next());
        }
        Ok(batch.write()?)
    }
}

fn content<E: std::fmt::Display>(what: &str) -> impl Fn(E) -> SnapshotError {
    move |error| SnapshotError::Content(format!("{what}: {error}"))
}
