//! Trust anchors: what an offline verifier starts from, and how it gets from there to a header.
//!
//! An anchor is a header that the verifier believes, with the validators that decide what follows.
//! The way from it to a later header is the list of [`Link`]s: every header whose validator set
//! changes, each certified by the set before. Keys that were retired since can sign any history, so
//! a header is believed only within the trust period after the anchor, or with enough witnesses.

use alloc::vec::Vec;

use crate::cbor::{List, Set, wire_struct};
use crate::certificate::{Certificate, ValidatorSet};
use crate::genesis::{Genesis, GenesisError};
use crate::hash::{BlockId, ChainId};
use crate::header::Header;
use crate::ids::{Height, TimeMs};
use crate::keys::PublicKey;
use crate::verify::Failure;
use crate::witness::{MAX_WITNESSES, Witnessed};

/// For how long after its anchor a header is believed without witnesses: 90 days.
pub const TRUST_PERIOD_MS: u64 = 90 * 86_400_000;

/// The most links in one chain of links.
pub const MAX_LINKS: usize = 4096;

wire_struct! {
    /// A header that the verifier believes.
    pub struct TrustAnchor = "custos.anchor.v1" {
        /// The chain.
        pub chain: ChainId,
        /// The header's height; 0 for the genesis.
        pub height: Height,
        /// The header's block id.
        pub block_id: BlockId,
        /// The validators that decide the next block.
        pub validators: ValidatorSet,
        /// The header's time.
        pub time: TimeMs,
        /// Witnesses that the verifier believes.
        pub witnesses: Set<PublicKey, MAX_WITNESSES>,
        /// How many of them are enough; 0 when witnesses are not used.
        pub threshold: u8,
    }
}

wire_struct! {
    /// A header whose validator set changes.
    pub struct Link {
        /// The header.
        pub header: Header,
        /// Its certificate, by the validators before.
        pub certificate: Certificate,
        /// The validators after.
        pub next: ValidatorSet,
    }
}

wire_struct! {
    /// The way from an anchor to a later header: heights ascending.
    pub struct Links = "custos.links.v1" {
        /// Each header whose validator set changes.
        pub links: List<Link, MAX_LINKS>,
    }
}

wire_struct! {
    /// What `custos anchor update` fetches: links, and the header that becomes the new anchor.
    pub struct Advance = "custos.advance.v1" {
        /// The way.
        pub links: List<Link, MAX_LINKS>,
        /// The new header.
        pub header: Header,
        /// Its certificate.
        pub certificate: Certificate,
        /// The validators after it.
        pub next: ValidatorSet,
        /// Witnesses' signatures, when the trust period is over.
        pub witnessed: Option<Witnessed>,
    }
}

/// How strictly time is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recency {
    /// For how long after the anchor a header is believed without witnesses, in milliseconds.
    pub trust_period_ms: u64,
    /// The oldest header time that is acceptable.
    pub not_older_than: Option<TimeMs>,
}

impl Default for Recency {
    fn default() -> Self {
        Self { trust_period_ms: TRUST_PERIOD_MS, not_older_than: None }
    }
}

/// How a header came to be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// Its time lies within the anchor's trust period.
    TrustPeriod,
    /// This many of the anchor's witnesses cosigned a log that commits to it.
    Witnesses(usize),
}

impl TrustAnchor {
    /// The anchor at the beginning of a chain.
    ///
    /// # Errors
    /// A genesis that cannot begin a chain.
    pub fn from_genesis(genesis: &Genesis) -> Result<Self, GenesisError> {
        genesis.check()?;
        Ok(Self {
            chain: genesis.chain(),
            height: Height(0),
            block_id: genesis.block_id(),
            validators: genesis.validator_set()?,
            time: genesis.time,
            witnesses: Set::default(),
            threshold: 0,
        })
    }

    /// Checks that `header` was decided by validators that follow from this anchor, and is recent enough.
    ///
    /// # Errors
    /// [`Failure`]: evidence against it, or why it cannot be told.
    pub fn believe(
        &self,
        links: &[Link],
        header: &Header,
        certificate: &Certificate,
        witnessed: Option<&Witnessed>,
        recency: &Recency,
    ) -> Result<Trust, Failure> {
        if header.chain != self.chain {
            return Err(Failure::OtherChain { anchor: self.chain, found: header.chain });
        }
        if header.version != crate::header::PROTOCOL_VERSION {
            return Err(Failure::Protocol { version: header.version });
        }
        let block_id = header.block_id();
        if header.height == self.height && block_id != self.block_id {
            return Err(Failure::Fork { height: header.height });
        }
        let validators = self.walk(links, header)?;
        if certificate.height != header.height || certificate.block_id != block_id {
            return Err(Failure::CertificateOfAnother);
        }
        certificate.verify(&self.chain, &validators).map_err(Failure::Certificate)?;
        if recency.not_older_than.is_some_and(|oldest| header.time < oldest) {
            return Err(Failure::TooOld { time: header.time });
        }
        let count = match witnessed {
            Some(witnessed) => witnessed.verify(header, &self.witnesses).ok_or(Failure::Witnesses)?,
            None => 0,
        };
        if header.time <= self.time.plus(recency.trust_period_ms) {
            Ok(Trust::TrustPeriod)
        } else if self.threshold > 0 && count >= usize::from(self.threshold) {
            Ok(Trust::Witnesses(count))
        } else {
            Err(Failure::RetiredKeys { anchor: self.time, target: header.time })
        }
    }

    /// The validators of `target`, along the links that lie before it.
    ///
    /// # Correctness
    /// Times MUST rise with heights. Otherwise validators of a set that came to power after the trust period
    /// could date a header back into it.
    fn walk(&self, links: &[Link], target: &Header) -> Result<ValidatorSet, Failure> {
        let (mut validators, mut height, mut time) = (self.validators.clone(), self.height, self.time);
        for link in
            links.iter().filter(|link| self.height < link.header.height && link.header.height < target.height)
        {
            if link.header.version != crate::header::PROTOCOL_VERSION {
                return Err(Failure::Protocol { version: link.header.version });
            }
            if link.header.chain != self.chain || link.header.height <= height || link.header.time <= time {
                return Err(Failure::BadLink { height: link.header.height });
            }
            if link.header.validators_hash != validators.hash() {
                return Err(Failure::Unlinked { height: link.header.height });
            }
            if link.certificate.height != link.header.height
                || link.certificate.block_id != link.header.block_id()
                || link.next.hash() != link.header.next_validators_hash
            {
                return Err(Failure::BadLink { height: link.header.height });
            }
            link.certificate.verify(&self.chain, &validators).map_err(Failure::Certificate)?;
            validators = link.next.clone();
            (height, time) = (link.header.height, link.header.time);
        }
        if target.height.cmp(&height) != target.time.cmp(&time) {
            return Err(Failure::HeaderTime { height: target.height });
        }
        if target.validators_hash == validators.hash() {
            Ok(validators)
        } else {
            Err(Failure::Unlinked { height: target.height })
        }
    }

    /// The anchor moved forward to `advance`'s header.
    ///
    /// # Errors
    /// As [`TrustAnchor::believe`]; also when the header lies before this anchor.
    pub fn advance(&self, advance: &Advance, recency: &Recency) -> Result<TrustAnchor, Failure> {
        let header = &advance.header;
        if header.height < self.height {
            return Err(Failure::TooOld { time: header.time });
        }
        self.believe(&advance.links, header, &advance.certificate, advance.witnessed.as_ref(), recency)?;
        if advance.next.hash() != header.next_validators_hash {
            return Err(Failure::BadLink { height: header.height });
        }
        Ok(TrustAnchor {
            chain: self.chain,
            height: header.height,
            block_id: header.block_id(),
            validators: advance.next.clone(),
            time: header.time,
            witnesses: self.witnesses.clone(),
            threshold: self.threshold,
        })
    }
}

/// The links that `headers` make, keeping those whose validator set changes.
#[must_use]
pub fn changing(links: Vec<Link>) -> Vec<Link> {
    links.into_iter().filter(|l| l.header.validators_hash != l.header.next_validators_hash).collect()
}
