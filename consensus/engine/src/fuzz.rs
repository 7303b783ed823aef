//! An entrance for fuzzing: every message of the engine, from bytes as a peer or a damaged log could give them.
//!
//! The codec is private to this crate, and stays so; `testnet/fuzz` asks here what becomes of bytes.
//! Deliberately absent: what the engine does with a message that was read.

use arc_malachitebft_app_channel::app::consensus::{LivenessMsg, ProposedValue, SignedConsensusMsg};
use arc_malachitebft_app_channel::app::types::codec::HasEncodedLen as _;
use arc_malachitebft_app_channel::app::types::core::{
    ExtendedCommitCertificate, ExtendedCommitSignature, NilOrVal, PolkaCertificate, PolkaSignature, Round,
    RoundCertificate, RoundCertificateType, RoundSignature, SignedMessage, Validity, VoteType,
};
use arc_malachitebft_app_channel::app::types::sync::{RawDecidedValue, Request, Response, Status};
use arc_malachitebft_sync::{ValueRequest, ValueResponse};
use bytes::Bytes;
use custos_network::PeerKey;
use custos_proof::hash::BlockId;
use custos_proof::ids;
use custos_proof::keys::{PublicKey, Signature};

use crate::codec::{Message, Wire, peer_id, with_block_id};
use crate::context::{Address, Custos, Height, Part, Proposal, Value, Vote};

/// The kinds of message, by the first byte of what [`message`] takes.
pub const KINDS: u8 = 8;

/// Reads the first byte as the kind of a message and the rest as its bytes.
///
/// # Errors
/// What is wrong with them.
///
/// # Panics
/// When a message that was read has another spelling than the one it came in, or another length than it says.
pub fn message(bytes: &[u8]) -> Result<(), String> {
    let Some((kind, rest)) = bytes.split_first() else { return Err("no kind".into()) };
    let rest = Bytes::copy_from_slice(rest);
    match kind % KINDS {
        0 => again::<SignedConsensusMsg<Custos>>(&rest),
        1 => again::<LivenessMsg<Custos>>(&rest),
        2 => again::<ProposedValue<Custos>>(&rest),
        3 => again::<PolkaCertificate<Custos>>(&rest),
        4 => again::<Part>(&rest),
        5 => again::<Status<Custos>>(&rest),
        6 => again::<Request<Custos>>(&rest),
        _ => {
            let response = Response::<Custos>::from_bytes(&rest).map_err(|error| error.to_string())?;
            assert_eq!(Wire.encoded_len(&response), Ok(rest.len()), "a response says another length");
            again::<Response<Custos>>(&rest)
        }
    }
}

fn again<M: Message>(bytes: &Bytes) -> Result<(), String> {
    let message = M::from_bytes(bytes).map_err(|error| error.to_string())?;
    assert_eq!(message.to_bytes(), *bytes, "a message has another spelling");
    Ok(())
}

/// One message of every kind and shape, for [`message`].
#[must_use]
pub fn messages() -> Vec<Vec<u8>> {
    let (height, round) = (Height(7), Round::new(2));
    let value = Value(BlockId([9; 32]));
    let address = Address(PublicKey([3; 32]));
    let signature = Signature([5; 64]);
    let vote = |value, kind| SignedMessage::new(Vote { height, round, value, kind, address }, signature);
    let proposal =
        |pol_round| SignedMessage::new(Proposal { height, round, value, pol_round, address }, signature);
    let polka = PolkaCertificate::<Custos> {
        height,
        round,
        value_id: value,
        polka_signatures: vec![PolkaSignature::new(address, signature); 3],
    };
    let skip = RoundCertificate::<Custos> {
        height,
        round,
        cert_type: RoundCertificateType::Skip,
        round_signatures: vec![
            RoundSignature::new(VoteType::Precommit, NilOrVal::Nil, address, signature),
            RoundSignature::new(VoteType::Prevote, NilOrVal::Val(value), address, signature),
        ],
    };
    let proposed = ProposedValue::<Custos> {
        height,
        round,
        valid_round: Round::Nil,
        proposer: address,
        value,
        validity: Validity::Valid,
    };
    let part = Part {
        height: ids::Height(7),
        round: ids::Round(2),
        block_id: BlockId([9; 32]),
        total_bytes: 100,
        index: 0,
        bytes: vec![1; 100].into(),
    };
    let status = Status::<Custos> {
        peer_id: peer_id(PeerKey([4; 32])),
        tip_height: height,
        history_min_height: Height(1),
    };
    let decided = |block: &[u8]| {
        let certificate = ExtendedCommitCertificate::<Custos> {
            height,
            round,
            value_id: value,
            commit_signatures: vec![ExtendedCommitSignature::new(address, signature, None); 3],
        };
        RawDecidedValue::new(with_block_id(value.0, block), certificate)
    };
    let request = Request::<Custos>::ValueRequest(ValueRequest::new(Height(1)..=height));
    let response = |values| Response::<Custos>::ValueResponse(ValueResponse::new(height, values));
    let of = |kind: u8, bytes: Vec<u8>| [&[kind], &bytes[..]].concat();
    let consensus = |message: SignedConsensusMsg<Custos>| of(0, message.to_bytes());
    let liveness = |message: LivenessMsg<Custos>| of(1, message.to_bytes());
    vec![
        consensus(SignedConsensusMsg::Vote(vote(NilOrVal::Val(value), VoteType::Prevote))),
        consensus(SignedConsensusMsg::Vote(vote(NilOrVal::Nil, VoteType::Precommit))),
        consensus(SignedConsensusMsg::Proposal(proposal(Round::Nil))),
        consensus(SignedConsensusMsg::Proposal(proposal(Round::new(1)))),
        liveness(LivenessMsg::Vote(vote(NilOrVal::Nil, VoteType::Prevote))),
        liveness(LivenessMsg::PolkaCertificate(polka.clone())),
        liveness(LivenessMsg::SkipRoundCertificate(skip)),
        of(2, proposed.to_bytes()),
        of(3, polka.to_bytes()),
        of(4, part.to_bytes()),
        of(5, status.to_bytes()),
        of(6, request.to_bytes()),
        of(7, response(vec![decided(b"a block"), decided(b"")]).to_bytes()),
        of(7, response(Vec::new()).to_bytes()),
    ]
}
