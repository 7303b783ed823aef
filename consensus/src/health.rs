//! What an operator may believe about this node's part in consensus.
//!
//! One plain value, published whenever it changes. It is made from what happened, not from what was
//! configured: a node whose engine refuses to sign says so here even though its process runs.

use custos_proof::ids::{Height, Round};

/// The state of consensus on this node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// What it is doing.
    pub state: State,
    /// The last committed height.
    pub height: Height,
    /// The round of the height being decided; 0 while idle.
    pub round: Round,
    /// Peers with which traffic flows in both directions.
    pub connected_peers: usize,
    /// The highest height that validators with more than a third of the power say they have.
    pub network_height: Height,
    /// Events that were lost between the engine and us, or frames that a peer's full queue refused.
    /// Rising numbers mean that this node, or a peer, does not keep up.
    pub dropped: u64,
    /// Connections refused because the peer is not on the allow list.
    pub refused_connections: u64,
    /// Frames, bodies or requests by which an admitted peer broke the protocol.
    pub violations: u64,
    /// Pairs of conflicting signed messages by one validator, seen since start.
    pub evidence_seen: u64,
}

/// What consensus is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// The engine is being started.
    Starting,
    /// Too few validators are connected to decide anything.
    WaitingForPeers,
    /// A height is being decided.
    Running,
    /// Nothing waits to be recorded; the next block comes with work or with the heartbeat.
    Idle,
    /// Others are ahead; blocks are being fetched.
    Lagging,
    /// The engine refused to go on because doing so could make it sign twice (a failed or corrupt
    /// write-ahead log). It signs nothing until an operator has looked. Do not restart blindly.
    SafetyHang(String),
    /// Consensus stopped, and why.
    Halted(String),
}

impl State {
    /// Whether the node takes part, or will by itself.
    #[must_use]
    pub fn is_live(&self) -> bool {
        !matches!(self, State::SafetyHang(_) | State::Halted(_))
    }
}

impl Health {
    /// Before anything happened.
    #[must_use]
    pub(crate) fn starting(height: Height) -> Self {
        Self {
            state: State::Starting,
            height,
            round: Round(0),
            connected_peers: 0,
            network_height: height,
            dropped: 0,
            refused_connections: 0,
            violations: 0,
            evidence_seen: 0,
        }
    }
}
