//! Signs items and hands them in: one submission, in the name of whom the registry says the key speaks for.
//!
//! For items without sealed fields. What is sealed goes through the [`crate::desk`], which keeps it in
//! the vault before it is sent.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use custos_api::blocking::Client;
use custos_api::client::Submitted;
use custos_proof::cbor::Wire as _;
use custos_proof::hash::{ChainId, ItemHash};
use custos_proof::ids::{ItemId, ParticipantId, Random16};
use custos_proof::item::Item;
use custos_proof::keys::{KeyPurpose, Signer as _, key_id};
use custos_proof::kinds::{Class, Fields};
use custos_proof::receipt::Receipt;
use custos_proof::record::Record;
use custos_proof::submission::{Author, Draft, Submission};

use crate::exit::{Failed, Outcome, While as _};
use crate::keyfile::{self, KeyFile};
use crate::network::{self, refused};
use crate::time;

/// How long a node is asked to wait for a commit.
const PATIENCE: Duration = Duration::from_secs(60);
/// For how long a submission can be recorded, in milliseconds.
const LIFETIME_MS: u64 = 5 * 60 * 1000;

/// A participant with its key and a node.
pub(crate) struct Hand {
    /// The node.
    pub(crate) client: Client,
    /// The chain that the node speaks for.
    pub(crate) chain: ChainId,
    /// Whom the key speaks for.
    pub(crate) participant: ParticipantId,
    key: KeyFile,
    path: PathBuf,
}

impl Hand {
    /// Asks the node's registry whom the key speaks for.
    pub(crate) fn new(url: &str, path: &Path) -> Outcome<Self> {
        let key = keyfile::read(path, KeyPurpose::Sign)?;
        let client = network::member(url, path)?;
        let chain = client.status().map_err(refused)?.chain;
        let id = key_id(&key.public_key());
        let registry = client.registry().map_err(refused)?;
        let owner = registry
            .participants
            .into_iter()
            .find(|participant| participant.keys.iter().any(|key| key.id == id))
            .ok_or_else(|| {
                Failed::unable(format!("{} is not a key of the registry", path.display()))
                    .hint("is it the key, and the network, that you mean?")
            })?;
        Ok(Self { client, chain, participant: owner.id, key, path: path.into() })
    }

    /// The key's file.
    pub(crate) fn key_path(&self) -> &Path {
        &self.path
    }

    /// Items of these fields, signed as one submission; waits for the block that records them.
    pub(crate) fn record(&self, class: Class, fields: Vec<Fields>) -> Outcome<Vec<Record>> {
        let item = |fields| Ok(Item { item_id: ItemId(random()?), fields });
        self.record_items(class, fields.into_iter().map(item).collect::<Outcome<Vec<_>>>()?)
    }

    /// The same for items that have their ids.
    pub(crate) fn record_items(&self, class: Class, items: Vec<Item>) -> Outcome<Vec<Record>> {
        let draft = Draft {
            chain: &self.chain,
            author: Author::Participant(self.participant.clone()),
            class,
            nonce: Random16(random()?),
            not_after: time::now().plus(LIFETIME_MS),
        };
        let items = items.iter().map(Item::to_bytes).collect();
        let submission = Submission::sign(&draft, items, &self.key).could_not(|| "sign the submission")?;
        // Recorded between the node's patience and its answer: asking again gives the receipts.
        for _ in 0..2 {
            if let Submitted::Committed { receipts, .. } =
                self.client.submit_and_wait(submission.bytes(), PATIENCE).map_err(refused)?
            {
                return records(&receipts.receipts, submission.item_hashes());
            }
        }
        Err(Failed::unable(format!("not recorded yet; the submission is {}", submission.id())))
    }
}

/// The records of receipts, which have to be of exactly these items.
pub(crate) fn records(receipts: &[Receipt], items: &[ItemHash]) -> Outcome<Vec<Record>> {
    let record = |receipt: &Receipt| Record::from_bytes(&receipt.record).could_not(|| "read a receipt");
    let records = receipts.iter().map(record).collect::<Outcome<Vec<_>>>()?;
    let stated: BTreeSet<_> = records.iter().filter_map(|one| Some(one.as_item()?.item)).collect();
    match stated == items.iter().copied().collect() {
        true => Ok(records),
        false => Err(Failed::against("the node's receipts are of other items than those it was asked about")
            .hint("nothing was noted as recorded; ask another node")),
    }
}

/// 16 random bytes: ids and nonces.
pub(crate) fn random() -> Outcome<[u8; 16]> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).could_not(|| "draw random bytes")?;
    Ok(bytes)
}
