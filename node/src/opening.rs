//! What a node has in hand before anything of it runs: genesis, keys, the store, and which key is to vote.
//!
//! Two consensus keys may be configured, the one in use and the next. The one that the validator set names
//! is used; when a block changes that, the node starts anew. Nothing is begun here that would have to be
//! stopped again.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use custos_consensus::aside::Aside;
use custos_proof::cbor::Wire as _;
use custos_proof::genesis::Genesis;
use custos_proof::ids::ParticipantId;
use custos_proof::keys::{KeyPurpose, PublicKey, Signer, key_id};
use custos_proof::registry::{self, Policy};
use custos_state::apply;
use custos_state::view::{Head, View as _};
use custos_store::{Snapshot, Store, StoreError};
use tracing::warn;

use crate::chain::Chain;
use crate::config::Checked;
use crate::keys::FileSigner;
use crate::ledger::key_entry;
use crate::mempool::Limits;
use crate::node::NodeError;

/// The longest genesis file, in bytes.
const MAX_GENESIS_BYTES: u64 = 16 * 1024 * 1024;

/// What a node is made of.
pub(crate) struct Opened {
    pub(crate) chain: Arc<Chain>,
    pub(crate) keys: Keys,
    pub(crate) policy: Policy,
    pub(crate) signing: Signing,
}

/// What a node signs votes with, and what would change that.
#[derive(Clone)]
pub(crate) struct Signing {
    clock_bound_ms: u64,
    /// What it waits for before it votes, if it stands aside.
    pub(crate) aside: Option<Aside>,
    participant: Option<ParticipantId>,
    /// The key in use.
    key: Option<PublicKey>,
    /// The other key that is configured.
    other: Option<PublicKey>,
}

impl Signing {
    /// Why it is over with this key, once the chain has this head.
    pub(crate) fn otherwise(&self, head: &Head) -> Option<&'static str> {
        if let Some(aside) = &self.aside {
            return aside
                .ends_with(head.height, head.time, self.clock_bound_ms)
                .then_some("what this node may have voted on is decided: it starts again and votes");
        }
        let validators = head.next_validators.as_slice();
        let own = validators.iter().find(|v| Some(&v.participant) == self.participant.as_ref())?;
        (self.key != Some(own.key) && self.other == Some(own.key))
            .then_some("a block put the other consensus key into the validator set: the node starts again and votes with it")
    }
}

/// A node's secrets.
pub(crate) struct Keys {
    pub(crate) transport: FileSigner,
    pub(crate) consensus: Option<Arc<dyn Signer>>,
    pub(crate) note: Option<Arc<dyn Signer>>,
    pub(crate) sign: Option<Arc<dyn Signer>>,
}

/// Genesis, keys and store.
pub(crate) fn open(checked: &Checked) -> Result<Opened, NodeError> {
    let config = &checked.config;
    let genesis = read_genesis(&config.genesis)?;
    let signer = |path: &Option<PathBuf>, purpose| {
        path.as_deref()
            .map(|path| FileSigner::read(path, purpose).map(|key| Arc::new(key) as Arc<dyn Signer>))
            .transpose()
    };
    let mut keys = Keys {
        transport: FileSigner::read(&config.keys.transport, KeyPurpose::Transport)?,
        consensus: signer(&config.keys.consensus, KeyPurpose::Consensus)?,
        note: signer(&config.keys.note, KeyPurpose::Note)?,
        sign: signer(&config.keys.sign, KeyPurpose::Sign)?,
    };
    let mut other = signer(&config.keys.consensus_next, KeyPurpose::Consensus)?;
    let store = open_store(&config.data_dir.join("ledger"), &genesis, &config.genesis)?;
    let head = store.head();
    let in_set = |key: &Option<Arc<dyn Signer>>| {
        key.as_ref().is_some_and(|key| head.next_validators.by_key(&key.public_key()).is_some())
    };
    if in_set(&other) && !in_set(&keys.consensus) {
        std::mem::swap(&mut keys.consensus, &mut other);
    }
    let policy = {
        let snapshot = store.snapshot()?;
        check_keys(&snapshot, &keys, checked.participant.as_ref())?;
        let bytes =
            snapshot.entry(&registry::policy_key()).map_err(|error| StoreError::Io(error.to_string()))?;
        bytes.and_then(|bytes| Policy::from_bytes(&bytes).ok()).ok_or_else(|| {
            StoreError::Io("the policy is missing or not well formed; run `custos fsck`".into())
        })?
    };
    let signing = Signing {
        clock_bound_ms: config.consensus.clock_bound_ms,
        aside: None,
        participant: checked.participant.clone(),
        key: keys.consensus.as_ref().map(|key| key.public_key()),
        other: other.as_ref().map(|key| key.public_key()),
    };
    let limits = Limits {
        max_bytes: config.mempool.max_bytes,
        max_count: config.mempool.max_count,
        author_share: config.mempool.author_share,
        ..Limits::default()
    };
    Ok(Opened { chain: Arc::new(Chain::new(store, limits)), keys, policy, signing })
}

/// Whether the registry knows the keys.
fn check_keys(
    snapshot: &Snapshot<'_>,
    keys: &Keys,
    participant: Option<&ParticipantId>,
) -> Result<(), NodeError> {
    let known = |signer: &dyn Signer| key_entry(snapshot, &key_id(&signer.public_key()));
    let live = |signer: &dyn Signer, purpose, owner: &ParticipantId| {
        let entry = known(signer)?;
        Ok::<_, StoreError>(entry.is_some_and(|e| {
            e.purpose == purpose && e.owner.as_participant() == Some(owner) && e.revoked.is_none()
        }))
    };
    let (Some(key), Some(participant)) = (&keys.consensus, participant) else { return Ok(()) };
    if known(key.as_ref())?.is_none() {
        // A validator that is to join, or to replace a lost one, follows the chain before the others vote it in.
        warn!(
            key = %key_id(&key.public_key()),
            "the consensus key is not in the registry yet: this node follows, and votes once validator.put names the key"
        );
    } else if !live(key.as_ref(), KeyPurpose::Consensus, participant)? {
        return Err(NodeError::NotRegistered {
            key: key_id(&key.public_key()),
            participant: participant.clone(),
        });
    }
    if !live(&keys.transport, KeyPurpose::Transport, participant)? {
        warn!(
            "the transport key is not in the registry: only peers that list this node as a bootstrap peer will speak to it"
        );
    }
    Ok(())
}

fn read_genesis(path: &Path) -> Result<Genesis, NodeError> {
    let refuse = |cause: String| NodeError::Genesis { path: path.to_owned(), cause };
    let length = std::fs::metadata(path).map_err(|error| refuse(error.to_string()))?.len();
    if length > MAX_GENESIS_BYTES {
        return Err(refuse(format!("longer than {MAX_GENESIS_BYTES} bytes")));
    }
    let bytes = std::fs::read(path).map_err(|error| refuse(error.to_string()))?;
    let genesis = Genesis::from_bytes(&bytes).map_err(|error| refuse(error.to_string()))?;
    genesis.check().map_err(|error| refuse(error.to_string()))?;
    Ok(genesis)
}

fn open_store(dir: &Path, genesis: &Genesis, genesis_path: &Path) -> Result<Store, NodeError> {
    let store = match Store::open(dir) {
        Ok(store) => store,
        Err(StoreError::NotFound(_)) => {
            let start = apply::start(genesis).map_err(|error| NodeError::Genesis {
                path: genesis_path.to_owned(),
                cause: error.to_string(),
            })?;
            Store::create(dir, genesis, &start)?
        }
        Err(error) => return Err(error.into()),
    };
    let (found, expected) = (store.head().chain, genesis.chain());
    if found == expected {
        Ok(store)
    } else {
        Err(NodeError::OtherChain { dir: dir.to_owned(), found, expected })
    }
}
