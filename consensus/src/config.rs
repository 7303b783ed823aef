//! What a node must know before it can take part: keys, addresses, limits and times.
//!
//! Nothing here is read from files; the node's own configuration does that and fills this in.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use custos_proof::ids::{ParticipantId, TimeMs};
use custos_proof::keys::{PublicKey, Signer};

/// Everything [`crate::start`] needs besides the ledger.
#[derive(Clone)]
pub struct ConsensusConfig {
    /// A name for logs and for the engine's metrics; unique among the nodes of one process.
    pub name: String,
    /// A directory of consensus' own: the engine's write-ahead log and bodies not yet decided.
    ///
    /// # Correctness
    /// It belongs to the consensus key. A validator that finds it gone beside a ledger that is not new
    /// stands aside for the open height; one that begins without either can sign twice in one round.
    pub data_dir: PathBuf,
    /// The multiaddr to listen on, for example `/ip4/0.0.0.0/tcp/7701`.
    pub listen: String,
    /// The 32-byte Ed25519 seed of the transport key. Distinct from the consensus key.
    pub transport_seed: [u8; 32],
    /// Signs votes and proposals. `None`: a follower, which verifies and never votes.
    pub signer: Option<Arc<dyn Signer>>,
    /// Where other nodes are.
    pub peers: Vec<PeerConfig>,
    /// How long the engine waits in each step.
    pub timeouts: Timeouts,
    /// The longest time without a block while nobody has anything to say. Together with
    /// `clock_bound_ms` it bounds how old an absence proof can be.
    pub heartbeat_ms: u64,
    /// The most bytes in a block that this node builds or accepts.
    pub max_block_bytes: usize,
    /// How far a block's time may be from this node's clock.
    pub clock_bound_ms: u64,
    /// This node's clock.
    pub clock: fn() -> TimeMs,
}

impl std::fmt::Debug for ConsensusConfig {
    /// Everything but the secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ConsensusConfig")
            .field("name", &self.name)
            .field("data_dir", &self.data_dir)
            .field("listen", &self.listen)
            .field("validator", &self.signer.as_ref().map(|signer| signer.public_key()))
            .field("peers", &self.peers)
            .finish_non_exhaustive()
    }
}

/// Another node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerConfig {
    /// Whose it is.
    pub participant: ParticipantId,
    /// Where it listens, for example `/ip4/10.0.0.2/tcp/7701` or `/dns4/node.example/tcp/7701`.
    pub address: String,
    /// The transport key it must prove; a node at this address with another key is not spoken to.
    pub transport: PublicKey,
    /// Whether it may connect even when the registry does not list it. Set this for the nodes from
    /// which an empty or long-stopped node catches up, and for nobody else: a bootstrap peer stays
    /// connected when the registry removes it.
    pub bootstrap: bool,
}

/// How long the engine waits. Every round adds `delta` to each of the first three.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// For the proposal. Must cover building, streaming, storing and checking the largest block.
    pub propose: Duration,
    /// For more prevotes, once two thirds are in.
    pub prevote: Duration,
    /// For more precommits, once two thirds are in.
    pub precommit: Duration,
    /// What each further round adds.
    pub delta: Duration,
    /// Before votes are sent again in a round that does not end.
    pub rebroadcast: Duration,
}

impl Default for Timeouts {
    /// For validators in one region. With these, one dead validator of four costs every fourth
    /// height about a second; the engine's own defaults cost it five.
    fn default() -> Self {
        Self {
            propose: Duration::from_millis(600),
            prevote: Duration::from_millis(200),
            precommit: Duration::from_millis(200),
            delta: Duration::from_millis(200),
            rebroadcast: Duration::from_millis(1000),
        }
    }
}
