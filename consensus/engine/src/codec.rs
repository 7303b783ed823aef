//! The bytes of engine messages: fixed layouts, big-endian, one version byte in front.
//!
//! Used on the wire between validators and in the engine's write-ahead log. No hash or signature
//! covers these bytes (signatures cover [`crate::signing`]'s preimages), so they may change with the
//! version byte. Every decoder is total: any input gives a message or [`CodecError`], every count
//! and length is checked against its bound before anything is allocated, rounds and heights are
//! bounded so that arithmetic on them cannot overflow, and trailing bytes are refused.

use std::ops::RangeInclusive;

use arc_malachitebft_app_channel::app::consensus::{LivenessMsg, ProposedValue, SignedConsensusMsg};
use arc_malachitebft_app_channel::app::types::codec::{Codec, HasEncodedLen};
use arc_malachitebft_app_channel::app::types::core::{
    ExtendedCommitCertificate, ExtendedCommitSignature, NilOrVal, PolkaCertificate, PolkaSignature, Round,
    RoundCertificate, RoundCertificateType, RoundSignature, SignedMessage, Validity, VoteType,
};
use arc_malachitebft_app_channel::app::types::sync::{RawDecidedValue, Request, Response, Status};
use arc_malachitebft_sync::{PeerId, ValueRequest, ValueResponse};
use bytes::Bytes;
use custos_network::PeerKey;
use custos_proof::certificate::MAX_VALIDATORS;
use custos_proof::hash::BlockId;
use custos_proof::header::MAX_BLOCK_BYTES;
use custos_proof::ids;
use custos_proof::keys::{PublicKey, Signature};
use thiserror::Error;

use crate::context::{Address, Custos, Height, Part, Proposal, Value, Vote};
use crate::{BLOCK_ID_BYTES, MAX_SYNC_BATCH, PART_BYTES};

const VERSION: u8 = 1;

/// Rounds and heights above these are not believed; the engine adds to them without asking.
const MAX_ROUND: u32 = u32::MAX / 2;
const MAX_HEIGHT: u64 = u64::MAX / 2;

/// Bytes of one vote signature in a certificate: who, and the signature.
const SIGNATURE_ENTRY_BYTES: usize = 32 + 64;

/// Why bytes are not a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum CodecError {
    #[error("the message ends early")]
    Truncated,
    #[error("{0} bytes follow the message")]
    Trailing(usize),
    #[error("unknown version {0}")]
    Version(u8),
    #[error("unknown {what} {byte}")]
    Unknown { what: &'static str, byte: u8 },
    #[error("{0} is out of bounds")]
    OutOfBounds(&'static str),
}

type Result<T> = std::result::Result<T, CodecError>;

/// The codec handed to the engine's log and sync, and used by our network actor.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wire;

/// What has a byte form.
pub(crate) trait Message: Sized {
    fn write(&self, out: &mut Vec<u8>);
    fn read(input: &mut Input<'_>) -> Result<Self>;

    fn to_bytes(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        self.write(&mut out);
        out
    }

    fn from_bytes(bytes: &Bytes) -> Result<Self> {
        let mut input = Input { whole: bytes, rest: bytes };
        match input.byte()? {
            VERSION => {}
            other => return Err(CodecError::Version(other)),
        }
        let message = Self::read(&mut input)?;
        match input.rest.len() {
            0 => Ok(message),
            trailing => Err(CodecError::Trailing(trailing)),
        }
    }
}

macro_rules! codec {
    ($($message:ty),* $(,)?) => {$(
        impl Codec<$message> for Wire {
            type Error = CodecError;
            fn decode(&self, bytes: Bytes) -> Result<$message> {
                Message::from_bytes(&bytes)
            }
            fn encode(&self, message: &$message) -> Result<Bytes> {
                Ok(message.to_bytes().into())
            }
        }
    )*};
}

codec!(
    SignedConsensusMsg<Custos>,
    ProposedValue<Custos>,
    PolkaCertificate<Custos>,
    Status<Custos>,
    Request<Custos>,
    Response<Custos>,
);

impl HasEncodedLen<Response<Custos>> for Wire {
    fn encoded_len(&self, Response::ValueResponse(response): &Response<Custos>) -> Result<usize> {
        let value = |value: &RawDecidedValue<Custos>| {
            4 + value.value_bytes.len().saturating_sub(BLOCK_ID_BYTES)
                + CERTIFICATE_BYTES
                + value.certificate.commit_signatures.len() * SIGNATURE_ENTRY_BYTES
        };
        Ok(1 + 8 + 1 + response.values.iter().map(value).sum::<usize>())
    }
}

/// Height, round, block id and the count of signatures.
const CERTIFICATE_BYTES: usize = 8 + 4 + 32 + 1;

/// The most bytes of a response with one block: what the largest block must leave room for.
pub(crate) const fn response_bytes(block_bytes: usize) -> usize {
    1 + 8 + 1 + 4 + block_bytes + CERTIFICATE_BYTES + MAX_VALIDATORS * SIGNATURE_ENTRY_BYTES
}

/// The most bytes of a certificate that is gossiped: a round certificate of the largest set.
pub(crate) const fn certificate_bytes() -> usize {
    1 + 1 + 8 + 4 + 1 + 1 + MAX_VALIDATORS * (1 + 1 + 32 + SIGNATURE_ENTRY_BYTES)
}

/// Bytes in front of a part's piece of block.
pub(crate) const PART_OVERHEAD_BYTES: usize = 1 + 8 + 4 + 32 + 4 + 4 + 4;

const VOTE: u8 = 1;
const PROPOSAL: u8 = 2;
const POLKA: u8 = 3;
const ROUND: u8 = 4;

impl Message for SignedConsensusMsg<Custos> {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            SignedConsensusMsg::Vote(vote) => {
                out.push(VOTE);
                vote.write(out);
            }
            SignedConsensusMsg::Proposal(proposal) => {
                out.push(PROPOSAL);
                proposal.write(out);
            }
        }
    }
    fn read(input: &mut Input<'_>) -> Result<Self> {
        Ok(match input.byte()? {
            VOTE => SignedConsensusMsg::Vote(Message::read(input)?),
            PROPOSAL => SignedConsensusMsg::Proposal(Message::read(input)?),
            byte => return Err(CodecError::Unknown { what: "consensus message", byte }),
        })
    }
}

impl Message for LivenessMsg<Custos> {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            LivenessMsg::Vote(vote) => {
                out.push(VOTE);
                vote.write(out);
            }
            LivenessMsg::PolkaCertificate(certificate) => {
                out.push(POLKA);
                certificate.write(out);
            }
            LivenessMsg::SkipRoundCertificate(certificate) => {
                out.push(ROUND);
                certificate.write(out);
            }
        }
    }
    fn read(input: &mut Input<'_>) -> Result<Self> {
        Ok(match input.byte()? {
            VOTE => LivenessMsg::Vote(Message::read(input)?),
            POLKA => LivenessMsg::PolkaCertificate(Message::read(input)?),
            ROUND => LivenessMsg::SkipRoundCertificate(Message::read(input)?),
            byte => return Err(CodecError::Unknown { what: "liveness message", byte }),
        })
    }
}

impl<T: Message> Message for SignedMessage<Custos, T> {
    fn write(&self, out: &mut Vec<u8>) {
        self.message.write(out);
        self.signature.write(out);
    }
    fn read(input: &mut Input<'_>) -> Result<Self> {
        Ok(SignedMessage::new(T::read(input)?, Message::read(input)?))
    }
}

impl Message for Vote {
    fn write(&self, out: &mut Vec<u8>) {
        self.height.write(out);
        write_round(self.round, out);
        self.value.write(out);
        self.kind.write(out);
        self.address.write(out);
    }
    fn read(input: &mut Input<'_>) -> Result<Self> {
        Ok(Self {
            height: Message::read(input)?,
            round: read_round(input)?,
            value: Message::read(input)?,
            kind: Message::read(input)?,
            address: Message::read(input)?,
        })
    }
}

impl Message for Proposal {
    fn write(&self, out: &mut Vec<u8>) {
        self.height.write(out);
        write_round(self.round, out);
        self.value.write(out);
        write_optional_round(self.pol_round, out);
        self.address.write(out);
    }
    fn read(input: &mut Input<'_>) -> Result<Self> {
        Ok(Self {
            height: Message::read(input)?,
            round: read_round(input)?,
            value: Message::read(input)?,
            pol_round: read_optional_round(input)?,
            address: Message::read(input)?,
        })
    }
}

impl Message for ProposedValue<Custos> {
    fn write(&self, out: &mut Vec<u8>) {
        self.height.write(out);
        write_round(self.round, out);
        write_optional_round(self.valid_round, out);
        self.proposer.write(out);
        self.value.write(out);
        out.push(u8::from(self.validity.is_valid()));
    }
    fn read(input: &mut Input<'_>) -> Result<Self> {
        Ok(Self {
            height: Message::read(input)?,
            round: read_round(input)?,
            valid_round: read_optional_round(input)?,
            proposer: Message::read(input)?,
            value: Message::read(input)?,
            validity: match input.byte()? {
                0 => Validity::Invalid,
                1 => Validity::Valid,
                byte => return Err(CodecError::Unknown { what: "validity", byte }),
            },
        })
    }
}

impl Message for PolkaCertificate<Custos> {
    fn write(&self, out: &mut Vec<u8>) {
        self.height.write(out);
        write_round(self.round, out);
        self.value_id.write(out);
        write_list(&self.polka_signatures, out, |entry, out| {
            entry.address.write(out);
            entry.signature.write(out);
        });
    }
    fn read(input: &mut Input<'_>) -> Result<Self> {
        Ok(Self {
            height: Message::read(input)?,
            round: read_round(input)?,
            value_id: Message::read(input)?,
            polka_signatures: read_list(input, |input| {
                Ok(PolkaSignature::new(Message::read(input)?, Message::read(input)?))
            })?,
        })
    }
}

impl Message for RoundCertificate<Custos> {
    fn write(&self, out: &mut Vec<u8>) {
        self.height.write(out);
        write_round(self.round, out);
        out.push(match self.cert_type {
            RoundCertificateType::Skip => 1,
            RoundCertificateType::Precommit => 2,
        });
        write_list(&self.round_signatures, out, |entry, out| {
            entry.vote_type.write(out);
            entry.value_id.write(out);
            entry.address.write(out);
            entry.signature.write(out);
        });
    }
    fn read(input: &mut Input<'_>) -> Result<Self> {
        Ok(Self {
            height: Message::read(input)?,
            round: read_round(input)?,
            cert_type: match input.byte()? {
                1 => RoundCertificateType::Skip,
                2 => RoundCertificateType::Precommit,
                byte => return Err(CodecError::Unknown { what: "round certificate", byte }),
            },
            round_signatures: read_list(input, |input| {
                Ok(RoundSignature::new(
                    Message::read(input)?,
                    Message::read(input)?,
                    Message::read(input)?,
                    Message::read(input)?,
                ))
            })?,
        })
    }
}

impl Message for Part {
    fn write(&self, out: &mut Vec<u8>) {
        Height(self.height.0).write(out);
        out.extend_from_slice(&self.round.0.to_be_bytes());
        out.extend_from_slice(&self.block_id.0);
        out.extend_from_slice(&self.total_bytes.to_be_bytes());
        out.extend_from_slice(&self.index.to_be_bytes());
        write_bytes(&self.bytes, out);
    }
    /// Only parts that can belong to a block: every length follows from the total and the index.
    fn read(input: &mut Input<'_>) -> Result<Self> {
        let height = ids::Height(Height::read(input)?.0);
        let round = input.round()?;
        let block_id = BlockId(input.array()?);
        let total_bytes = input.u32()?;
        let index = input.u32()?;
        let bytes = input.bytes(PART_BYTES, "part")?;
        let total = usize::try_from(total_bytes).unwrap_or(usize::MAX);
        if total == 0 || total > MAX_BLOCK_BYTES {
            return Err(CodecError::OutOfBounds("block length"));
        }
        let begins = usize::try_from(index).unwrap_or(usize::MAX).saturating_mul(PART_BYTES);
        if bytes.is_empty() || bytes.len() != total.saturating_sub(begins).min(PART_BYTES) {
            return Err(CodecError::OutOfBounds("part length"));
        }
        Ok(Self { height, round: ids::Round(round), block_id, total_bytes, index, bytes })
    }
}

impl Message for Status<Custos> {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&peer_key(&self.peer_id).unwrap_or_default());
        self.tip_height.write(out);
        self.history_min_height.write(out);
    }
    fn read(input: &mut Input<'_>) -> Result<Self> {
        Ok(Self {
            peer_id: peer_id(PeerKey(input.array()?)),
            tip_height: Message::read(input)?,
            history_min_height: Message::read(input)?,
        })
    }
}

impl Message for Request<Custos> {
    fn write(&self, out: &mut Vec<u8>) {
        let Request::ValueRequest(request) = self;
        request.range.start().write(out);
        request.range.end().write(out);
    }
    fn read(input: &mut Input<'_>) -> Result<Self> {
        let range: RangeInclusive<Height> = Message::read(input)?..=Message::read(input)?;
        Ok(Request::ValueRequest(ValueRequest::new(range)))
    }
}

impl Message for Response<Custos> {
    fn write(&self, out: &mut Vec<u8>) {
        let Response::ValueResponse(response) = self;
        response.start_height.write(out);
        let count = response.values.len().min(MAX_SYNC_BATCH);
        out.push(u8::try_from(count).unwrap_or(u8::MAX));
        for value in response.values.iter().take(count) {
            // The block id in front of the block is the certificate's; it is not sent twice.
            write_bytes(value.value_bytes.get(BLOCK_ID_BYTES..).unwrap_or_default(), out);
            value.certificate.write(out);
        }
    }
    fn read(input: &mut Input<'_>) -> Result<Self> {
        let start_height = Message::read(input)?;
        let count = usize::from(input.byte()?);
        if count > MAX_SYNC_BATCH {
            return Err(CodecError::OutOfBounds("blocks in a response"));
        }
        let mut values = Vec::with_capacity(count);
        for _ in 0..count {
            let block = input.bytes(MAX_BLOCK_BYTES, "block")?;
            let certificate = ExtendedCommitCertificate::read(input)?;
            values.push(RawDecidedValue::new(with_block_id(certificate.value_id.0, &block), certificate));
        }
        Ok(Response::ValueResponse(ValueResponse::new(start_height, values)))
    }
}

/// A synced block as it passes through the engine: the certified block id, then the block. The
/// engine verifies the certificate but does not tell the host what it certifies.
pub(crate) fn with_block_id(id: BlockId, block: &[u8]) -> Bytes {
    [id.0.as_slice(), block].concat().into()
}

impl Message for ExtendedCommitCertificate<Custos> {
    fn write(&self, out: &mut Vec<u8>) {
        self.height.write(out);
        write_round(self.round, out);
        self.value_id.write(out);
        write_list(&self.commit_signatures, out, |entry, out| {
            entry.address.write(out);
            entry.signature.write(out);
        });
    }
    fn read(input: &mut Input<'_>) -> Result<Self> {
        Ok(Self {
            height: Message::read(input)?,
            round: read_round(input)?,
            value_id: Message::read(input)?,
            commit_signatures: read_list(input, |input| {
                Ok(ExtendedCommitSignature::new(Message::read(input)?, Message::read(input)?, None))
            })?,
        })
    }
}

impl Message for Height {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0.to_be_bytes());
    }
    fn read(input: &mut Input<'_>) -> Result<Self> {
        match u64::from_be_bytes(input.array()?) {
            height @ 0..=MAX_HEIGHT => Ok(Height(height)),
            _ => Err(CodecError::OutOfBounds("height")),
        }
    }
}

impl Message for NilOrVal<Value> {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            NilOrVal::Nil => out.push(0),
            NilOrVal::Val(value) => {
                out.push(1);
                value.write(out);
            }
        }
    }
    fn read(input: &mut Input<'_>) -> Result<Self> {
        match input.byte()? {
            0 => Ok(NilOrVal::Nil),
            1 => Ok(NilOrVal::Val(Message::read(input)?)),
            byte => Err(CodecError::Unknown { what: "value", byte }),
        }
    }
}

impl Message for VoteType {
    fn write(&self, out: &mut Vec<u8>) {
        out.push(match self {
            VoteType::Prevote => 1,
            VoteType::Precommit => 2,
        });
    }
    fn read(input: &mut Input<'_>) -> Result<Self> {
        match input.byte()? {
            1 => Ok(VoteType::Prevote),
            2 => Ok(VoteType::Precommit),
            byte => Err(CodecError::Unknown { what: "vote type", byte }),
        }
    }
}

macro_rules! fixed {
    ($($name:ty, $value:ident => $bytes:expr, $read:expr;)*) => {$(
        impl Message for $name {
            fn write(&self, out: &mut Vec<u8>) {
                let $value = self;
                out.extend_from_slice(&$bytes);
            }
            fn read(input: &mut Input<'_>) -> Result<Self> {
                Ok($read(input.array()?))
            }
        }
    )*};
}

fixed! {
    Value, value => value.0.0, |bytes| Value(BlockId(bytes));
    Address, address => address.0.0, |bytes| Address(PublicKey(bytes));
    Signature, signature => signature.0, Signature;
}

/// Rounds of votes, proposals and certificates are always defined; the engine panics on others.
fn write_round(round: Round, out: &mut Vec<u8>) {
    out.extend_from_slice(&round.as_u32().unwrap_or_default().to_be_bytes());
}

fn read_round(input: &mut Input<'_>) -> Result<Round> {
    input.round().map(Round::new)
}

fn write_optional_round(round: Round, out: &mut Vec<u8>) {
    out.push(u8::from(round.is_defined()));
    write_round(round, out);
}

fn read_optional_round(input: &mut Input<'_>) -> Result<Round> {
    match (input.byte()?, input.round()?) {
        (0, 0) => Ok(Round::Nil),
        (1, round) => Ok(Round::new(round)),
        (byte, _) => Err(CodecError::Unknown { what: "round", byte }),
    }
}

fn write_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
    out.extend_from_slice(bytes);
}

/// A certificate never has more entries than a validator set has members.
fn write_list<T>(entries: &[T], out: &mut Vec<u8>, write: impl Fn(&T, &mut Vec<u8>)) {
    let count = entries.len().min(MAX_VALIDATORS);
    out.push(u8::try_from(count).unwrap_or(u8::MAX));
    entries.iter().take(count).for_each(|entry| write(entry, out));
}

fn read_list<T>(input: &mut Input<'_>, read: impl Fn(&mut Input<'_>) -> Result<T>) -> Result<Vec<T>> {
    let count = usize::from(input.byte()?);
    if count > MAX_VALIDATORS {
        return Err(CodecError::OutOfBounds("signatures in a certificate"));
    }
    (0..count).map(|_| read(input)).collect()
}

/// The rest of a message that is being read.
pub(crate) struct Input<'a> {
    whole: &'a Bytes,
    rest: &'a [u8],
}

impl Input<'_> {
    fn take(&mut self, count: usize) -> Result<&[u8]> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(CodecError::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        self.take(N)?.try_into().map_err(|_| CodecError::Truncated)
    }

    fn byte(&mut self) -> Result<u8> {
        let [byte] = self.array()?;
        Ok(byte)
    }

    fn u32(&mut self) -> Result<u32> {
        self.array().map(u32::from_be_bytes)
    }

    fn round(&mut self) -> Result<u32> {
        match self.u32()? {
            round @ 0..=MAX_ROUND => Ok(round),
            _ => Err(CodecError::OutOfBounds("round")),
        }
    }

    /// A length and that many bytes, shared with the message rather than copied.
    fn bytes(&mut self, max: usize, what: &'static str) -> Result<Bytes> {
        let length = usize::try_from(self.u32()?).unwrap_or(usize::MAX);
        if length > max {
            return Err(CodecError::OutOfBounds(what));
        }
        let begins = self.whole.len() - self.rest.len();
        let length = self.take(length)?.len();
        Ok(self.whole.slice(begins..begins + length))
    }
}

/// The engine's name for a peer.
pub(crate) fn peer_id(peer: PeerKey) -> PeerId {
    PeerId::from_bytes(&peer.peer_id_bytes()).expect("because a transport key is an identity multihash")
}

/// The transport key in the engine's name for a peer.
pub(crate) fn peer_key(peer: &PeerId) -> Option<[u8; 32]> {
    let bytes = peer.to_bytes();
    let key = bytes.get(bytes.len().checked_sub(32)?..)?.try_into().ok()?;
    (peer_id(PeerKey(key)) == *peer).then_some(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn height() -> impl Strategy<Value = Height> {
        (0..=MAX_HEIGHT).prop_map(Height)
    }
    fn round() -> impl Strategy<Value = Round> {
        (0..=MAX_ROUND).prop_map(Round::new)
    }
    fn optional_round() -> impl Strategy<Value = Round> {
        prop_oneof![Just(Round::Nil), round()]
    }
    fn value() -> impl Strategy<Value = Value> {
        any::<[u8; 32]>().prop_map(|b| Value(BlockId(b)))
    }
    fn nil_or_value() -> impl Strategy<Value = NilOrVal<Value>> {
        prop_oneof![Just(NilOrVal::Nil), value().prop_map(NilOrVal::Val)]
    }
    fn address() -> impl Strategy<Value = Address> {
        any::<[u8; 32]>().prop_map(|b| Address(PublicKey(b)))
    }
    fn signature() -> impl Strategy<Value = Signature> {
        any::<[[u8; 32]; 2]>().prop_map(|[r, s]| {
            let mut bytes = [0; 64];
            bytes[..32].copy_from_slice(&r);
            bytes[32..].copy_from_slice(&s);
            Signature(bytes)
        })
    }
    fn kind() -> impl Strategy<Value = VoteType> {
        prop_oneof![Just(VoteType::Prevote), Just(VoteType::Precommit)]
    }
    fn vote() -> impl Strategy<Value = SignedMessage<Custos, Vote>> {
        (height(), round(), nil_or_value(), kind(), address(), signature()).prop_map(
            |(height, round, value, kind, address, signature)| {
                SignedMessage::new(Vote { height, round, value, kind, address }, signature)
            },
        )
    }
    fn proposal() -> impl Strategy<Value = SignedMessage<Custos, Proposal>> {
        (height(), round(), value(), optional_round(), address(), signature()).prop_map(
            |(height, round, value, pol_round, address, signature)| {
                SignedMessage::new(Proposal { height, round, value, pol_round, address }, signature)
            },
        )
    }
    fn consensus() -> impl Strategy<Value = SignedConsensusMsg<Custos>> {
        prop_oneof![
            vote().prop_map(SignedConsensusMsg::Vote),
            proposal().prop_map(SignedConsensusMsg::Proposal)
        ]
    }
    fn polka() -> impl Strategy<Value = PolkaCertificate<Custos>> {
        (height(), round(), value(), prop::collection::vec((address(), signature()), 0..8)).prop_map(
            |(height, round, value_id, entries)| PolkaCertificate {
                height,
                round,
                value_id,
                polka_signatures: entries.into_iter().map(|(a, s)| PolkaSignature::new(a, s)).collect(),
            },
        )
    }
    fn round_certificate() -> impl Strategy<Value = RoundCertificate<Custos>> {
        let entry = (kind(), nil_or_value(), address(), signature());
        (height(), round(), any::<bool>(), prop::collection::vec(entry, 0..8)).prop_map(
            |(height, round, skip, entries)| RoundCertificate {
                height,
                round,
                cert_type: if skip { RoundCertificateType::Skip } else { RoundCertificateType::Precommit },
                round_signatures: entries
                    .into_iter()
                    .map(|(k, v, a, s)| RoundSignature::new(k, v, a, s))
                    .collect(),
            },
        )
    }
    fn liveness() -> impl Strategy<Value = LivenessMsg<Custos>> {
        prop_oneof![
            vote().prop_map(LivenessMsg::Vote),
            polka().prop_map(LivenessMsg::PolkaCertificate),
            round_certificate().prop_map(LivenessMsg::SkipRoundCertificate),
        ]
    }
    fn proposed() -> impl Strategy<Value = ProposedValue<Custos>> {
        (height(), round(), optional_round(), address(), value(), any::<bool>()).prop_map(
            |(height, round, valid_round, proposer, value, valid)| ProposedValue {
                height,
                round,
                valid_round,
                proposer,
                value,
                validity: Validity::from_bool(valid),
            },
        )
    }
    fn part() -> impl Strategy<Value = Part> {
        let piece = (1..=MAX_BLOCK_BYTES).prop_flat_map(|total| {
            let parts = total.div_ceil(PART_BYTES);
            (Just(total), 0..parts)
        });
        (0..=MAX_HEIGHT, 0..=MAX_ROUND, any::<[u8; 32]>(), piece).prop_map(
            |(height, round, id, (total, index))| Part {
                height: ids::Height(height),
                round: ids::Round(round),
                block_id: BlockId(id),
                total_bytes: total as u32,
                index: index as u32,
                bytes: vec![7; (total - index * PART_BYTES).min(PART_BYTES)].into(),
            },
        )
    }
    fn status() -> impl Strategy<Value = Status<Custos>> {
        (any::<[u8; 32]>(), height(), height()).prop_map(|(key, tip_height, history_min_height)| Status {
            peer_id: peer_id(PeerKey(key)),
            tip_height,
            history_min_height,
        })
    }
    fn request() -> impl Strategy<Value = Request<Custos>> {
        (height(), height()).prop_map(|(a, b)| Request::ValueRequest(ValueRequest::new(a..=b)))
    }
    fn response() -> impl Strategy<Value = Response<Custos>> {
        let decided = (prop::collection::vec(any::<u8>(), 0..300), polka()).prop_map(|(block, polka)| {
            let certificate = ExtendedCommitCertificate::<Custos> {
                height: polka.height,
                round: polka.round,
                value_id: polka.value_id,
                commit_signatures: polka
                    .polka_signatures
                    .into_iter()
                    .map(|s| ExtendedCommitSignature::new(s.address, s.signature, None))
                    .collect(),
            };
            RawDecidedValue::new(with_block_id(certificate.value_id.0, &block), certificate)
        });
        (height(), prop::collection::vec(decided, 0..=MAX_SYNC_BATCH))
            .prop_map(|(start, values)| Response::ValueResponse(ValueResponse::new(start, values)))
    }

    /// What every message owes: it comes back as it was, in one spelling, and no damage makes it panic.
    fn keeps_its_word<M: Message + PartialEq + std::fmt::Debug>(
        message: &M,
        cut: prop::sample::Index,
        flip: prop::sample::Index,
        mask: u8,
    ) -> std::result::Result<(), TestCaseError> {
        let bytes: Bytes = message.to_bytes().into();
        prop_assert_eq!(&M::from_bytes(&bytes).unwrap(), message);
        prop_assert!(M::from_bytes(&bytes.slice(..cut.index(bytes.len()))).is_err());
        let mut longer = bytes.to_vec();
        longer.push(0);
        prop_assert_eq!(M::from_bytes(&longer.into()).err(), Some(CodecError::Trailing(1)));
        let mut damaged = bytes.to_vec();
        let at = flip.index(damaged.len());
        damaged[at] ^= mask;
        if let Ok(other) = M::from_bytes(&damaged.clone().into()) {
            prop_assert_eq!(other.to_bytes(), damaged);
        }
        Ok(())
    }

    macro_rules! keep_their_word {
        ($($test:ident: $strategy:expr;)*) => {
            proptest! {
                #![proptest_config(ProptestConfig::with_cases(64))]
                $(
                    #[test]
                    fn $test(message in $strategy, cut: prop::sample::Index, flip: prop::sample::Index, mask in 1..=255u8) {
                        keeps_its_word(&message, cut, flip, mask)?;
                    }
                )*
            }
        };
    }

    keep_their_word! {
        consensus_messages_keep_their_word: consensus();
        liveness_messages_keep_their_word: liveness();
        proposed_values_keep_their_word: proposed();
        parts_keep_their_word: part();
        statuses_keep_their_word: status();
        requests_keep_their_word: request();
        responses_keep_their_word: response();
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn no_bytes_make_a_decoder_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            if let Some(first) = bytes.first_mut() {
                *first = VERSION;
            }
            let bytes: Bytes = bytes.into();
            let _ = SignedConsensusMsg::<Custos>::from_bytes(&bytes);
            let _ = LivenessMsg::<Custos>::from_bytes(&bytes);
            let _ = ProposedValue::<Custos>::from_bytes(&bytes);
            let _ = PolkaCertificate::<Custos>::from_bytes(&bytes);
            let _ = Part::from_bytes(&bytes);
            let _ = Status::<Custos>::from_bytes(&bytes);
            let _ = Request::<Custos>::from_bytes(&bytes);
            let _ = Response::<Custos>::from_bytes(&bytes);
        }

        #[test]
        fn a_response_is_as_long_as_it_says(response in response()) {
            prop_assert_eq!(Wire.encoded_len(&response), Ok(response.to_bytes().len()));
        }
    }

    #[test]
    fn the_largest_certificate_has_the_length_that_the_assertions_use() {
        let entry = RoundSignature::new(
            VoteType::Precommit,
            NilOrVal::Val(Value(BlockId([1; 32]))),
            Address(PublicKey([2; 32])),
            Signature([3; 64]),
        );
        let certificate = LivenessMsg::SkipRoundCertificate(RoundCertificate::<Custos> {
            height: Height(1),
            round: Round::new(0),
            cert_type: RoundCertificateType::Skip,
            round_signatures: vec![entry; MAX_VALIDATORS],
        });
        assert_eq!(certificate.to_bytes().len(), certificate_bytes());
    }

    #[test]
    fn a_vote_without_a_round_cannot_be_received() {
        let mut bytes = vec![VERSION, VOTE];
        bytes.extend(1u64.to_be_bytes());
        bytes.extend(u32::MAX.to_be_bytes());
        bytes.extend([0; 200]);
        assert_eq!(
            SignedConsensusMsg::<Custos>::from_bytes(&bytes.into()).err(),
            Some(CodecError::OutOfBounds("round"))
        );
    }
}
