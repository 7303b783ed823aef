//! The name of a peer: the public key that it proved possession of when it connected.
//!
//! libp2p calls this a peer id and wraps it in a multihash; an Ed25519 key is short enough to stand
//! there in full, so the two are one and the same and only this file knows the wrapping.

use std::fmt;

use libp2p::PeerId;

/// A peer's transport key: 32 bytes of Ed25519.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerKey(pub [u8; 32]);

/// The identity multihash of a protobuf-encoded Ed25519 public key, up to the key itself.
const PREFIX: [u8; 6] = [0x00, 0x24, 0x08, 0x01, 0x12, 0x20];

impl PeerKey {
    /// The key in a libp2p peer id; nothing if the peer does not use Ed25519.
    pub(crate) fn of(peer: &PeerId) -> Option<Self> {
        peer.to_bytes().strip_prefix(&PREFIX)?.try_into().ok().map(Self)
    }

    /// The bytes of the libp2p peer id.
    #[must_use]
    pub fn peer_id_bytes(&self) -> Vec<u8> {
        [PREFIX.as_slice(), &self.0].concat()
    }

    /// The libp2p peer id.
    pub(crate) fn peer_id(&self) -> PeerId {
        PeerId::from_bytes(&self.peer_id_bytes())
            .expect("because the prefix and 32 bytes are an identity multihash")
    }
}

impl fmt::Display for PeerKey {
    /// The first eight hexadecimal digits: enough to tell peers apart in a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().take(4).try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for PeerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PeerKey({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_id_is_its_key() {
        let pair = libp2p::identity::Keypair::ed25519_from_bytes([7; 32]).unwrap();
        let key = PeerKey(pair.public().try_into_ed25519().unwrap().to_bytes());
        assert_eq!(PeerKey::of(&pair.public().to_peer_id()), Some(key));
        assert_eq!(key.peer_id(), pair.public().to_peer_id());
    }
}
