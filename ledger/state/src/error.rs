//! Why something is refused, kept apart from storage failing and from a block being invalid.

use custos_proof::hash::ItemHash;
use custos_proof::ids::{Height, LogIndex};
use custos_proof::submission::FormError;
use thiserror::Error;

use crate::view::ViewError;

/// A submission is not admitted. The code is stable: clients and the HTTP API match on it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{detail}")]
pub struct Refusal {
    /// A stable word for programs.
    pub code: RefusalCode,
    /// A sentence for people: what is wrong, and what to do.
    pub detail: String,
    /// Which item of the submission, from 0, when it is about one.
    pub item: Option<usize>,
}

macro_rules! codes {
    ($( $(#[$meta:meta])* $variant:ident = $word:literal; )*) => {
        /// The stable reasons for a refusal.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum RefusalCode {
            $( $(#[$meta])* $variant, )*
        }

        impl RefusalCode {
            /// All of them.
            pub const ALL: &'static [RefusalCode] = &[$( RefusalCode::$variant, )*];

            /// The stable word.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self { $( RefusalCode::$variant => $word, )* }
            }
        }
    };
}

codes! {
    /// The bytes are not a submission.
    Malformed = "malformed";
    /// Bytes are missing or left over.
    Truncated = "truncated";
    /// Another spelling than the deterministic one.
    NotCanonical = "not-canonical";
    /// Too many bytes.
    TooLarge = "too-large";
    /// A signature algorithm that is not accepted.
    UnsupportedAlgorithm = "unsupported-algorithm";
    /// Another version of the format.
    UnsupportedVersion = "unsupported-version";
    /// For another chain.
    WrongChain = "wrong-chain";
    /// The author is not in the registry.
    UnknownAuthor = "unknown-author";
    /// The author is suspended and may not write acts.
    SuspendedAuthor = "suspended-author";
    /// The key is not in the registry.
    UnknownKey = "unknown-key";
    /// The key is revoked or has ended.
    RevokedKey = "revoked-key";
    /// The key is not the author's, or not for signing.
    WrongKey = "wrong-key";
    /// The key to be registered is not acceptable.
    BadKey = "bad-key";
    /// No valid proof of possession.
    NoPossession = "no-possession";
    /// The signature is not valid.
    BadSignature = "bad-signature";
    /// `not_after` has passed.
    Expired = "expired";
    /// `not_after` lies too far ahead.
    TooFarAhead = "too-far-ahead";
    /// The nonce was used.
    Replayed = "replayed";
    /// Too many live nonces.
    QuotaExceeded = "quota-exceeded";
    /// The kind is not known to the protocol version.
    UnknownKind = "unknown-kind";
    /// Acts and testimony in one submission.
    MixedClasses = "mixed-classes";
    /// An item's bytes are not well formed.
    MalformedItem = "malformed-item";
    /// The author may not write this kind.
    NotAllowed = "not-allowed";
    /// What is to be created exists.
    Exists = "exists";
    /// What is referred to does not exist.
    NotFound = "not-found";
    /// The trail is closed.
    TrailClosed = "trail-closed";
    /// The epoch is not the block's calendar year.
    WrongEpoch = "wrong-epoch";
    /// An expiry that is over, or not a quarter's end.
    BadExpiry = "bad-expiry";
    /// It takes a vote.
    ByVoteOnly = "by-vote-only";
    /// A date further back than allowed.
    TooFarBack = "too-far-back";
    /// A duration or other number that is not allowed.
    OutOfRange = "out-of-range";
    /// What is to be changed has ended.
    Ended = "ended";
    /// It has to be kept: a hold is on it.
    OnHold = "on-hold";
    /// It has to be kept for longer.
    TooEarly = "too-early";
    /// The proposal can no longer be voted on.
    ProposalClosed = "proposal-closed";
    /// The author has no mandate for this institution.
    NoMandate = "no-mandate";
    /// The amount exceeds what is left of the parent's.
    ExceedsParent = "exceeds-parent";
}

impl Refusal {
    /// A refusal of the whole submission.
    #[must_use]
    pub fn new(code: RefusalCode, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), item: None }
    }

    /// The same, about item `index`.
    #[must_use]
    pub fn at(mut self, index: usize) -> Self {
        self.item = Some(index);
        self
    }
}

impl From<FormError> for Refusal {
    fn from(error: FormError) -> Self {
        use custos_proof::cbor::DecodeError;
        let code = match &error {
            FormError::Decode(DecodeError::Truncated { .. } | DecodeError::Trailing { .. }) => {
                RefusalCode::Truncated
            }
            FormError::Decode(DecodeError::NotShortest { .. } | DecodeError::NotSorted { .. })
            | FormError::UnprotectedHeader => RefusalCode::NotCanonical,
            FormError::Decode(_)
            | FormError::ProtectedHeader
            | FormError::ItemCount { .. }
            | FormError::ItemsRoot => RefusalCode::Malformed,
            FormError::TooLong { .. } => RefusalCode::TooLarge,
            FormError::Algorithm { .. } => RefusalCode::UnsupportedAlgorithm,
            FormError::Version { .. } => RefusalCode::UnsupportedVersion,
        };
        Refusal::new(code, error.to_string())
    }
}

/// Why a submission does not go on: refused, or storage failed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AdmitError {
    /// Refused, for a reason that is the sender's.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Not judged: storage failed.
    #[error(transparent)]
    View(#[from] ViewError),
}

/// Why a block does not apply.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ApplyError {
    /// The block breaks a rule: whoever built it is wrong.
    #[error("invalid block: {0}")]
    Invalid(String),
    /// The validators agreed on a protocol version that this program does not have.
    #[error(
        "protocol version {version} begins at height {height}, and this program knows version {known}; install a \
         program that has it: until then this node stops here, and nothing is lost"
    )]
    UnknownVersion {
        /// The version.
        version: u64,
        /// Where it begins.
        height: Height,
        /// What this program knows.
        known: u64,
    },
    /// Not judged: storage failed.
    #[error(transparent)]
    View(#[from] ViewError),
}

/// Where the first record of a re-sent event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Earlier {
    /// Its index in the log.
    pub index: LogIndex,
    /// The item.
    pub item: ItemHash,
}
