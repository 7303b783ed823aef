//! SHA-256 with domain separation: one table of tags, and the newtypes that hashes travel in.
//!
//! Every hash outside a Merkle tree is `SHA-256(tag || parts)`. Tags are ASCII, end in a NUL byte
//! (so none is a prefix of another) and begin with `c` (so none can be mistaken for the bytes
//! 0x00..0x03 with which RFC 6962 and state-map nodes begin).
//!
//! Merkle-tree hashing is in [`crate::merkle`] and [`crate::state_map`].

use alloc::string::String;
use core::fmt;

use sha2::{Digest as _, Sha256};
use thiserror::Error;

/// The domain-separation tags of protocol version 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tag {
    /// The genesis: the chain's name is the hash of it.
    Genesis,
    /// A header: the block id.
    Block,
    /// A COSE `Sig_structure`: the submission id.
    Submission,
    /// A COSE_Key: the key id.
    Key,
    /// Proof of possession of a key that is being registered (signed, not hashed).
    Possession,
    /// A key of the state map.
    StateKey,
    /// A trail's owner, kind and local id: the trail key.
    Trail,
    /// A validator set.
    Validators,
    /// A vote (signed, not hashed).
    Vote,
    /// A proposal (signed, not hashed).
    Proposal,
    /// A validator's link between its consensus key and its network identity (signed, not hashed).
    Peer,
    /// A running hash over the members of a bucket (nonces, event ids, due facts).
    Bucket,
}

impl Tag {
    /// All tags, for the test that holds the rules of this table.
    pub const ALL: [Tag; 12] = [
        Tag::Genesis,
        Tag::Block,
        Tag::Submission,
        Tag::Key,
        Tag::Possession,
        Tag::StateKey,
        Tag::Trail,
        Tag::Validators,
        Tag::Vote,
        Tag::Proposal,
        Tag::Peer,
        Tag::Bucket,
    ];

    /// The bytes that go in front.
    #[must_use]
    pub const fn bytes(self) -> &'static [u8] {
        match self {
            Tag::Genesis => b"custos/1/genesis\0",
            Tag::Block => b"custos/1/block\0",
            Tag::Submission => b"custos/1/submission\0",
            Tag::Key => b"custos/1/key\0",
            Tag::Possession => b"custos/1/possession\0",
            Tag::StateKey => b"custos/1/state-key\0",
            Tag::Trail => b"custos/1/trail\0",
            Tag::Validators => b"custos/1/validators\0",
            Tag::Vote => b"custos/1/vote\0",
            Tag::Proposal => b"custos/1/proposal\0",
            Tag::Peer => b"custos/1/peer\0",
            Tag::Bucket => b"custos/1/bucket\0",
        }
    }
}

/// `SHA-256(tag || parts...)`.
#[must_use]
pub fn tagged(tag: Tag, parts: &[&[u8]]) -> Digest {
    let mut hasher = Sha256::new();
    hasher.update(tag.bytes());
    for part in parts {
        hasher.update(part);
    }
    Digest(hasher.finalize().into())
}

/// `SHA-256(bytes)` without a tag: only for content hashes of foreign documents and reader preimages.
#[must_use]
pub fn sha256(bytes: &[u8]) -> Digest {
    Digest(Sha256::digest(bytes).into())
}

/// A text that should have been a number of hexadecimal digits and is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("expected {expected} lower-case hexadecimal digits")]
pub struct NotHex {
    /// How many digits were expected.
    pub expected: usize,
}

/// Writes bytes as lower-case hexadecimal digits.
pub(crate) fn write_hex(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    bytes.iter().try_for_each(|b| write!(f, "{b:02x}"))
}

/// Reads exactly `N` bytes from `2 * N` lower-case hexadecimal digits.
pub(crate) fn read_hex<const N: usize>(text: &str) -> Result<[u8; N], NotHex> {
    let refused = NotHex { expected: 2 * N };
    let digits = text.as_bytes();
    if digits.len() != 2 * N {
        return Err(refused);
    }
    let nibble = |c: u8| match c {
        b'0'..=b'9' => Ok(c - b'0'),
        b'a'..=b'f' => Ok(c - b'a' + 10),
        _ => Err(refused),
    };
    let mut out = [0; N];
    for (byte, pair) in out.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
    }
    Ok(out)
}

/// The words for `len` bytes as text.
pub(crate) fn hex_words(len: usize) -> String {
    alloc::format!("{} lower-case hexadecimal digits", 2 * len)
}

/// Defines a fixed-size byte string with hexadecimal text form and a CBOR byte-string wire form.
macro_rules! fixed_bytes {
    ($($(#[$meta:meta])* $name:ident[$len:literal];)*) => {$(
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; $len]);

        impl core::fmt::Display for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                $crate::hash::write_hex(f, &self.0)
            }
        }

        impl core::fmt::Debug for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl core::str::FromStr for $name {
            type Err = $crate::hash::NotHex;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                $crate::hash::read_hex(text).map(Self)
            }
        }

        impl AsRef<[u8]> for $name {
            fn as_ref(&self) -> &[u8] {
                &self.0
            }
        }

        impl $crate::cbor::Wire for $name {
            fn write(&self, w: &mut $crate::cbor::Writer) {
                w.bytes(&self.0);
            }
            fn read(r: &mut $crate::cbor::Reader<'_>) -> Result<Self, $crate::cbor::DecodeError> {
                r.bytes_fixed().map(Self)
            }
            fn view(&self) -> $crate::cbor::View {
                $crate::cbor::View::Text(alloc::format!("{self}"))
            }
            fn from_given(given: &$crate::given::Given) -> Result<Self, $crate::given::GivenError> {
                given.parse(&$crate::hash::hex_words($len), |text| text.parse().ok())
            }
            fn form() -> $crate::given::Form {
                $crate::given::Form::of(
                    $crate::hash::hex_words($len),
                    $crate::cbor::View::Text("0".repeat(2 * $len)),
                )
            }
        }
    )*};
}
pub(crate) use fixed_bytes;

fixed_bytes! {
    /// A SHA-256 hash.
    Digest[32];
    /// The chain: the tagged hash of its genesis.
    ChainId[32];
    /// The tagged hash of a header. Block 0 is the genesis itself: its block id has the chain's bytes.
    BlockId[32];
    /// The tagged hash of a submission's `Sig_structure`.
    SubmissionId[32];
    /// The RFC 6962 leaf hash of an item: how an item is referred to from outside.
    ItemHash[32];
    /// The key of a trail, computed by validators from its kind, owner and local id.
    TrailKey[32];
    /// The tagged hash of a COSE_Key.
    KeyId[32];
    /// A key of the state map.
    StateKey[32];
}

impl Digest {
    /// 32 zero bytes: the root of an empty state map, and nothing else.
    pub const ZERO: Digest = Digest([0; 32]);
}

macro_rules! digest_newtypes {
    ($($name:ident),*) => {$(
        impl From<Digest> for $name {
            fn from(digest: Digest) -> Self {
                Self(digest.0)
            }
        }
        impl From<$name> for Digest {
            fn from(value: $name) -> Self {
                Self(value.0)
            }
        }
    )*};
}
digest_newtypes!(ChainId, BlockId, SubmissionId, ItemHash, TrailKey, KeyId, StateKey);

/// A short form for people: the first eight hexadecimal digits.
#[must_use]
pub fn short(bytes: &[u8]) -> String {
    bytes.iter().take(4).map(|b| alloc::format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_unique_prefix_free_and_never_begin_like_a_tree_node() {
        for (i, a) in Tag::ALL.iter().enumerate() {
            assert!(a.bytes()[0] > 0x03);
            for (j, b) in Tag::ALL.iter().enumerate() {
                assert!(i == j || !b.bytes().starts_with(a.bytes()), "{a:?} is a prefix of {b:?}");
            }
        }
    }

    #[test]
    fn hexadecimal_text_has_one_spelling() {
        let digest = sha256(b"abc");
        let text = alloc::format!("{digest}");
        assert_eq!(text.parse::<Digest>(), Ok(digest));
        assert!(text.to_uppercase().parse::<Digest>().is_err());
        assert!(text[1..].parse::<Digest>().is_err());
    }
}
