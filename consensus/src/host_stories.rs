//! What a validator does, told as stories. The network, the engine and the ledger are played by the
//! test: it hands the host inputs and reads the effects.

#![allow(clippy::unwrap_used)]

use ed25519_dalek::{Signer as _, SigningKey};

use super::*;
use crate::ledger::AllowedPeer;
use custos_engine::PART_BYTES;
use custos_proof::cbor::List;
use custos_proof::certificate::{CommitSignature, Validator, ValidatorSet, VoteType, vote_preimage};
use custos_proof::hash::{ChainId, Digest};
use custos_proof::header::{Header, PROTOCOL_VERSION};
use custos_proof::ids::LogSize;
use custos_proof::keys::Signature;

const CHAIN: ChainId = ChainId([9; 32]);
const BOUND_MS: u64 = 2_000;
const HEARTBEAT_MS: u64 = 60_000;
/// The head's height, and when its block was made.
const HEAD: Height = Height(10);
const HEAD_TIME: TimeMs = TimeMs(1_000_000_000);

/// Four validators with keys by seed, in the order of the set.
fn keys() -> Vec<SigningKey> {
    let mut keys: Vec<_> = (1..=4).map(|seed| SigningKey::from_bytes(&[seed; 32])).collect();
    keys.sort_by_key(|key| key.verifying_key().to_bytes());
    keys
}

fn name(index: usize) -> ParticipantId {
    format!("hospital-{index}").parse().unwrap()
}

fn peer(index: usize) -> PeerKey {
    PeerKey([100 + index as u8; 32])
}

fn validators() -> ValidatorSet {
    let validator = |(index, key): (usize, SigningKey)| Validator {
        participant: name(index),
        key: PublicKey(key.verifying_key().to_bytes()),
        power: 1,
    };
    ValidatorSet::new(keys().into_iter().enumerate().map(validator).collect()).unwrap()
}

fn head(height: Height, time: TimeMs, id: BlockId) -> Head {
    let listed = |index| AllowedPeer { participant: name(index), transport: PublicKey(peer(index).0) };
    Head {
        chain: CHAIN,
        height,
        block_id: id,
        time,
        next_due: None,
        validators: validators(),
        // Participant 5 is listed and no validator.
        peers: [0, 1, 2, 3, 5].map(listed).into(),
    }
}

/// Who has the turn at `HEAD + 1` in a round.
fn turn(round: u32) -> usize {
    let chosen = select_proposer(&validators(), HEAD.next(), Round(round)).participant.clone();
    (0..4).find(|index| name(*index) == chosen).unwrap()
}

fn block(height: Height, round: u32, proposer: usize, time: TimeMs) -> Block {
    let header = Header {
        version: PROTOCOL_VERSION,
        chain: CHAIN,
        height,
        round: Round(round),
        time,
        parent: BlockId([1; 32]),
        body_root: Digest([2; 32]),
        log_size: LogSize(3),
        log_root: Digest([4; 32]),
        state_root: Digest([5; 32]),
        validators_hash: validators().hash(),
        next_validators_hash: validators().hash(),
        proposer: name(proposer),
    };
    Block { header, body: vec![vec![7; 100]] }
}

fn certificate(block: &Block) -> Certificate {
    let id = block.header.block_id();
    let sign = |(index, key): (usize, SigningKey)| {
        let public = PublicKey(key.verifying_key().to_bytes());
        let preimage =
            vote_preimage(&CHAIN, block.header.height, Round(0), VoteType::Precommit, Some(id), &public);
        CommitSignature { signer: index as u16, signature: Signature(key.sign(&preimage).to_bytes()) }
    };
    let signatures = keys().into_iter().enumerate().take(3).map(sign).collect();
    Certificate {
        height: block.header.height,
        round: Round(0),
        block_id: id,
        signatures: List::new(signatures).unwrap(),
    }
}

/// A validator and its clock.
struct Play {
    host: Host,
    now: Now,
    tickets: u64,
}

impl Play {
    /// Validator 0, before the engine is ready. Its clock shows ten seconds after the head's block.
    fn new() -> Self {
        Self::after_restart(Vec::new())
    }

    fn after_restart(durable: Vec<StoredBody>) -> Self {
        let config = HostConfig {
            key: Some(PublicKey(keys()[0].verifying_key().to_bytes())),
            transport: peer(0),
            bootstrap: BTreeSet::from([peer(9)]),
            timeouts: crate::handle::engine_timeouts(crate::Timeouts::default()),
            heartbeat_ms: HEARTBEAT_MS,
            max_block_bytes: 1024 * 1024,
            clock_bound_ms: BOUND_MS,
            checked: custos_engine::Checked::default(),
        };
        let now = Now { wall: HEAD_TIME.plus(10_000), steady_ms: 0 };
        let host = Host::new(config, head(HEAD, HEAD_TIME, BlockId([1; 32])), durable, now);
        Self { host, now, tickets: 0 }
    }

    /// Deciding the height after the head, in round 0, with everybody connected.
    fn deciding() -> Self {
        let mut play = Self::new();
        play.on(Input::Peers(BTreeSet::from([peer(1), peer(2), peer(3)])));
        let ticket = play.ticket();
        let effects = play.on(Input::Ready(ticket));
        assert!(effects.contains(&Effect::Answer(ticket, Answer::Start(HEAD.next()))));
        play.round(0);
        play
    }

    /// The height after the head is decided and committed, and the engine waits for us to go on.
    fn holding() -> (Self, Ticket) {
        Self::holding_until(None)
    }

    /// The same, and something falls due so many milliseconds after the block.
    fn holding_until(due_ms: Option<u64>) -> (Self, Ticket) {
        let mut play = Self::deciding();
        let block = play.accept(0, play.now.wall);
        let (decided, finalized) = (play.ticket(), play.ticket());
        play.on(Input::Decided(decided, certificate(&block)));
        let next_due = due_ms.map(|ms| block.header.time.plus(ms));
        let committed = head(HEAD.next(), block.header.time, block.header.block_id());
        play.on(Input::Committed(Ok(Box::new(Head { next_due, ..committed }))));
        let effects = play.on(Input::Finalized(finalized, HEAD.next(), Vec::new()));
        assert!(effects.contains(&Effect::AskWork));
        assert!(play.on(Input::Work(false)).is_empty());
        assert_eq!(play.host.state(), State::Idle);
        (play, finalized)
    }

    fn ticket(&mut self) -> Ticket {
        self.tickets += 1;
        Ticket(self.tickets)
    }

    fn on(&mut self, input: Input) -> Vec<Effect> {
        self.host.on(self.now, input)
    }

    fn later(&mut self, ms: u64) {
        self.now = Now { wall: self.now.wall.plus(ms), steady_ms: self.now.steady_ms + ms };
    }

    /// The engine begins a round; returns what it is told, checks answered by "valid".
    fn round(&mut self, round: u32) -> Vec<Proposed> {
        let ticket = self.ticket();
        let mut effects = self.on(Input::StartedRound(ticket, HEAD.next(), Round(round)));
        loop {
            if let Some(Effect::Answer(_, Answer::Held(held))) = effects.last() {
                return held.clone();
            }
            let Some(Effect::Check(purpose, id, _)) = effects.pop() else { panic!("{effects:?}") };
            effects = self.on(Input::Checked(purpose, id, Ok(Verdict::Valid)));
        }
    }

    /// A peer sends a whole block under an id.
    fn sends(&mut self, from: usize, block: &Block, id: BlockId, round: u32) -> Vec<Effect> {
        let bytes = Bytes::from(block.to_bytes());
        assert!(bytes.len() < PART_BYTES);
        let part = parts(block.header.height, Round(round), id, &bytes).remove(0);
        let ticket = self.ticket();
        self.on(Input::Part(ticket, peer(from), part))
    }

    /// A peer offers a block; returns what the engine is told, the check answered by "valid".
    fn offers(&mut self, from: usize, block: &Block, round: u32) -> Option<Proposed> {
        let mut effects = self.sends(from, block, block.header.block_id(), round);
        if let Some(Effect::Check(purpose, id, _)) = effects.last().cloned() {
            effects = self.on(Input::Checked(purpose, id, Ok(Verdict::Valid)));
        }
        match effects.last() {
            Some(Effect::Answer(_, Answer::Part(told))) => *told,
            other => panic!("{other:?}"),
        }
    }

    /// A good proposal of a round's proposer.
    fn accept(&mut self, round: u32, time: TimeMs) -> Block {
        let proposer = turn(round);
        let block = block(HEAD.next(), round, proposer, time);
        assert!(self.offers(proposer, &block, round).unwrap().valid);
        block
    }
}

fn halts(effects: &[Effect]) -> bool {
    effects.iter().any(|effect| matches!(effect, Effect::Halt(_)))
}

#[test]
fn a_body_is_durable_before_the_engine_hears_of_it() {
    let mut play = Play::deciding();
    let block = block(HEAD.next(), 0, turn(0), play.now.wall);
    let id = block.header.block_id();
    let effects = play.sends(turn(0), &block, id, 0);
    let [Effect::Check(purpose, _, checked)] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!(**checked, block);
    let effects = play.on(Input::Checked(purpose.clone(), id, Ok(Verdict::Valid)));
    let [Effect::Store(stored), Effect::Answer(_, Answer::Part(Some(told)))] = effects.as_slice() else {
        panic!("{effects:?}")
    };
    assert_eq!(stored.block, block.to_bytes());
    assert_eq!((told.block_id, told.valid, told.round), (id, true, Round(0)));
}

#[test]
fn a_body_that_is_not_what_its_id_says_is_ignored_and_never_called_invalid() {
    let mut play = Play::deciding();
    let right = block(HEAD.next(), 0, turn(0), play.now.wall);
    let mut wrong = right.clone();
    wrong.header.log_root = Digest([66; 32]);
    let id = right.header.block_id();
    let effects = play.sends(1, &wrong, id, 0);
    assert!(
        matches!(effects.as_slice(), [Effect::Charge(from, _), Effect::Answer(_, Answer::Part(None))] if *from == peer(1))
    );
    // The right body, from another, still counts.
    assert!(play.offers(2, &right, 0).unwrap().valid);
}

#[test]
fn bytes_that_the_header_does_not_commit_to_do_not_spoil_the_id() {
    // Signatures of submissions are not under the block id: a peer can damage one and keep the header.
    let mut play = Play::deciding();
    let right = block(HEAD.next(), 0, turn(0), play.now.wall);
    let damaged = Block { body: vec![vec![8; 100]], ..right.clone() };
    let id = right.header.block_id();
    let effects = play.sends(1, &damaged, id, 0);
    let Some(Effect::Check(purpose, ..)) = effects.last() else { panic!("{effects:?}") };
    let effects = play.on(Input::Checked(purpose.clone(), id, Ok(Verdict::WrongBody("a signature".into()))));
    assert!(
        matches!(effects.as_slice(), [Effect::Charge(from, _), Effect::Answer(_, Answer::Part(None))] if *from == peer(1))
    );
    assert!(play.offers(2, &right, 0).unwrap().valid);
}

#[test]
fn wrong_bytes_that_come_first_do_not_displace_the_right_ones() {
    // A block of a later round cannot be checked yet; a liar sends damaged bytes under its id first.
    let mut play = Play::deciding();
    let right = block(HEAD.next(), 1, turn(1), play.now.wall);
    let damaged = Block { body: vec![vec![8; 100]], ..right.clone() };
    let id = right.header.block_id();
    play.sends(1, &damaged, id, 1);
    assert_eq!(play.offers(2, &right, 1), None);
    let ticket = play.ticket();
    let effects = play.on(Input::StartedRound(ticket, HEAD.next(), Round(1)));
    let [Effect::Check(purpose, _, first)] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!(**first, damaged);
    let effects = play.on(Input::Checked(purpose.clone(), id, Ok(Verdict::WrongBody("a signature".into()))));
    let [Effect::Charge(liar, _), Effect::Check(purpose, _, second)] = effects.as_slice() else {
        panic!("{effects:?}")
    };
    assert_eq!((*liar, &**second), (peer(1), &right));
    let effects = play.on(Input::Checked(purpose.clone(), id, Ok(Verdict::Valid)));
    let [Effect::Store(stored), Effect::Answer(_, Answer::Held(held))] = effects.as_slice() else {
        panic!("{effects:?}")
    };
    assert_eq!((stored.block.to_vec(), held.len()), (right.to_bytes(), 1));
}

#[test]
fn what_execution_refuses_is_invalid() {
    let mut play = Play::deciding();
    let bad = block(HEAD.next(), 0, turn(0), play.now.wall);
    let effects = play.sends(turn(0), &bad, bad.header.block_id(), 0);
    let Some(Effect::Check(purpose, id, _)) = effects.last() else { panic!("{effects:?}") };
    let effects = play.on(Input::Checked(purpose.clone(), *id, Ok(Verdict::Invalid("state root".into()))));
    assert!(matches!(effects.as_slice(), [Effect::Answer(_, Answer::Part(Some(told)))] if !told.valid));
    // And stays so, without executing it again.
    let effects = play.sends(turn(0), &bad, bad.header.block_id(), 0);
    assert!(matches!(effects.as_slice(), [Effect::Answer(_, Answer::Part(Some(told)))] if !told.valid));
}

#[test]
fn a_locked_block_is_proposed_again_by_another() {
    let mut play = Play::deciding();
    let built_in_round_0 = block(HEAD.next(), 0, turn(0), play.now.wall);
    play.round(1);
    play.round(2);
    // Neither the sender nor the current round's proposer built it; its own round's proposer did.
    let told = play.offers(turn(2), &built_in_round_0, 2).unwrap();
    assert_eq!((told.valid, told.round), (true, Round(0)));
}

#[test]
fn a_block_by_somebody_who_did_not_have_the_turn_is_invalid() {
    let mut play = Play::deciding();
    play.round(1);
    let usurped = block(HEAD.next(), 1, turn(0), play.now.wall);
    assert!(!play.offers(turn(0), &usurped, 1).unwrap().valid);
}

#[test]
fn a_block_of_a_later_round_waits_for_that_round() {
    let mut play = Play::deciding();
    let early = block(HEAD.next(), 1, turn(1), play.now.wall);
    assert_eq!(play.offers(turn(1), &early, 1), None);
    let held = play.round(1);
    assert_eq!(
        held.iter().map(|p| (p.block_id, p.valid)).collect::<Vec<_>>(),
        [(early.header.block_id(), true)]
    );
}

#[test]
fn a_block_from_the_future_is_invalid_until_it_no_longer_is() {
    let mut play = Play::deciding();
    let time = play.now.wall.plus(BOUND_MS + 500);
    let block = block(HEAD.next(), 0, turn(0), time);
    assert!(!play.offers(turn(0), &block, 0).unwrap().valid);
    play.later(500);
    // Sent again, judged again.
    assert!(play.offers(turn(0), &block, 0).unwrap().valid);
    // And once valid it stays so, whatever the clock does.
    play.now.wall = HEAD_TIME;
    assert!(play.offers(turn(0), &block, 0).unwrap().valid);
}

#[test]
fn a_block_from_the_past_is_invalid_until_rounds_have_widened_the_window() {
    let mut play = Play::deciding();
    let time = TimeMs(play.now.wall.0 - 3 * BOUND_MS);
    let old = block(HEAD.next(), 0, turn(0), time);
    assert!(!play.offers(turn(0), &old, 0).unwrap().valid);
    assert!(play.round(1).is_empty());
    // bound * 2^2 > 3 * bound.
    assert!(play.round(2)[0].valid);
}

#[test]
fn a_block_must_come_after_its_parent_in_every_round() {
    let mut play = Play::deciding();
    let same = block(HEAD.next(), 0, turn(0), HEAD_TIME);
    assert!(!play.offers(turn(0), &same, 0).unwrap().valid);
    assert!(play.round(20).is_empty());
}

#[test]
fn only_validators_may_send_parts() {
    let mut play = Play::deciding();
    let block = block(HEAD.next(), 0, turn(0), play.now.wall);
    for outsider in [5, 7] {
        let effects = play.sends(outsider, &block, block.header.block_id(), 0);
        assert!(matches!(effects.as_slice(), [Effect::Charge(..), Effect::Answer(_, Answer::Part(None))]));
    }
}

#[test]
fn asked_twice_for_a_block_it_gives_the_same_even_after_a_crash() {
    let mut play = Play::deciding();
    let round = (0..4).find(|round| turn(*round) == 0).unwrap();
    (1..=round).for_each(|round| drop(play.round(round)));
    let ticket = play.ticket();
    let effects = play.on(Input::BuildValue(ticket, HEAD.next(), Round(round)));
    let [Effect::Build(_, request)] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!((request.time, request.round), (play.now.wall, Round(round)));
    let built = block(HEAD.next(), round, 0, request.time);
    let effects = play.on(Input::Built(ticket, request.clone(), Ok(Box::new(built.clone()))));
    let [Effect::Store(stored), Effect::Publish(sent), Effect::Answer(_, Answer::Built(id))] =
        effects.as_slice()
    else {
        panic!("{effects:?}")
    };
    assert_eq!((*id, sent.len()), (built.header.block_id(), 1));
    let again = |effects: Vec<Effect>| matches!(effects.as_slice(), [Effect::Publish(_), Effect::Answer(_, Answer::Built(same))] if same == id);
    let ticket = play.ticket();
    assert!(again(play.on(Input::BuildValue(ticket, HEAD.next(), Round(round)))));

    let mut restarted = Play::after_restart(vec![stored.clone()]);
    let ticket = restarted.ticket();
    restarted.on(Input::Peers(BTreeSet::from([peer(1), peer(2)])));
    restarted.on(Input::Ready(ticket));
    assert_eq!(restarted.round(0).len(), 1, "the engine is told of the durable body");
    let ticket = restarted.ticket();
    assert!(again(restarted.on(Input::BuildValue(ticket, HEAD.next(), Round(round)))));
    // It can be committed without ever having been checked by this process.
    let ticket = restarted.ticket();
    let effects = restarted.on(Input::Decided(ticket, certificate(&built)));
    assert!(matches!(effects.as_slice(), [Effect::Commit(..)]));
}

#[test]
fn with_nothing_to_say_the_next_height_is_held_until_work_comes() {
    let (mut play, ticket) = Play::holding();
    assert_eq!(play.on(Input::Wake), [Effect::AskWork]);
    assert_eq!(play.on(Input::Work(true)), [Effect::Answer(ticket, Answer::Start(HEAD.next().next()))]);
}

#[test]
fn a_held_height_begins_when_a_validator_sends_its_block() {
    let (mut play, ticket) = Play::holding();
    let time = play.now.wall.plus(5);
    let next = block(HEAD.next().next(), 0, turn(1), time);
    let effects = play.sends(turn(1), &next, next.header.block_id(), 0);
    assert_eq!(effects.first(), Some(&Effect::Answer(ticket, Answer::Start(HEAD.next().next()))));
    assert!(matches!(effects.last(), Some(Effect::Check(..))), "and its block is judged in it: {effects:?}");
}

#[test]
fn a_held_height_begins_when_a_validator_votes_in_it() {
    let (mut play, ticket) = Play::holding();
    let effects = play.on(Input::Signs(Signs { voted: HEAD.next(), tips: BTreeMap::new() }));
    assert!(effects.is_empty(), "a late vote for the height that is over changes nothing");
    let effects = play.on(Input::Signs(Signs { voted: HEAD.next().next(), tips: BTreeMap::new() }));
    assert_eq!(effects, [Effect::Answer(ticket, Answer::Start(HEAD.next().next()))]);
}

#[test]
fn a_held_height_begins_when_more_than_a_third_are_ahead_and_one_liar_is_not_enough() {
    let (mut play, ticket) = Play::holding();
    let ahead = |peers: &[usize]| Signs {
        voted: Height(0),
        tips: peers.iter().map(|index| (peer(*index), Height(1_000))).collect(),
    };
    assert!(play.on(Input::Signs(ahead(&[1]))).is_empty());
    assert!(play.on(Input::Signs(ahead(&[1, 5, 9]))).is_empty(), "followers have no say");
    let effects = play.on(Input::Signs(ahead(&[1, 2])));
    assert_eq!(effects, [Effect::Answer(ticket, Answer::Start(HEAD.next().next()))]);
    assert_eq!(play.host.state(), State::Lagging);
}

#[test]
fn a_held_height_begins_when_something_falls_due() {
    let (mut play, ticket) = Play::holding_until(Some(5_000));
    let begun = play.now.steady_ms;
    let tick = |play: &mut Play, ms: u64| {
        play.now.steady_ms += ms;
        play.now.wall = play.now.wall.plus(ms);
        play.on(Input::Tick)
    };
    let early = tick(&mut play, 4_999);
    assert_eq!(early, [Effect::AskWork, Effect::WakeAt(begun + 5_000)], "not before the deadline");
    assert_eq!(tick(&mut play, 1), [Effect::Answer(ticket, Answer::Start(HEAD.next().next()))]);
}

#[test]
fn what_falls_due_after_the_heartbeat_waits_for_no_block_of_its_own() {
    let (mut play, _) = Play::holding_until(Some(2 * HEARTBEAT_MS));
    let effects = play.on(Input::Tick);
    assert!(
        matches!(effects[..], [Effect::AskWork, Effect::WakeAt(at)] if at <= play.now.steady_ms + HEARTBEAT_MS)
    );
}

#[test]
fn what_a_full_block_left_over_is_recorded_at_once() {
    let (mut play, ticket) = {
        let mut play = Play::deciding();
        let block = play.accept(0, play.now.wall);
        let (decided, finalized) = (play.ticket(), play.ticket());
        play.on(Input::Decided(decided, certificate(&block)));
        let committed = head(HEAD.next(), block.header.time, block.header.block_id());
        let next_due = Some(block.header.time);
        play.on(Input::Committed(Ok(Box::new(Head { next_due, ..committed }))));
        (play, finalized)
    };
    let effects = play.on(Input::Finalized(ticket, HEAD.next(), Vec::new()));
    assert_eq!(effects, [Effect::Answer(ticket, Answer::Start(HEAD.next().next()))]);
}

#[test]
fn a_held_height_begins_with_the_heartbeat() {
    let (mut play, ticket) = Play::holding();
    play.later(HEARTBEAT_MS - 1);
    assert!(matches!(play.on(Input::Tick).as_slice(), [Effect::AskWork, Effect::WakeAt(HEARTBEAT_MS)]));
    play.later(1);
    assert_eq!(play.on(Input::Tick), [Effect::Answer(ticket, Answer::Start(HEAD.next().next()))]);
}

#[test]
fn a_block_of_the_next_height_that_comes_early_is_judged_when_that_height_begins() {
    let mut play = Play::deciding();
    let current = play.accept(0, play.now.wall);
    let time = play.now.wall.plus(5);
    let next = block(HEAD.next().next(), 0, turn(1), time);
    assert_eq!(play.offers(turn(1), &next, 0), None);
    let (decided, finalized) = (play.ticket(), play.ticket());
    play.on(Input::Decided(decided, certificate(&current)));
    // The engine may close the height before the commit is through.
    assert!(play.on(Input::Finalized(finalized, HEAD.next(), Vec::new())).is_empty());
    let effects = play.on(Input::Committed(Ok(Box::new(head(
        HEAD.next(),
        current.header.time,
        current.header.block_id(),
    )))));
    assert_eq!(effects.first(), Some(&Effect::Answer(decided, Answer::Committed)));
    assert_eq!(effects.last(), Some(&Effect::Answer(finalized, Answer::Start(HEAD.next().next()))));
    let ticket = play.ticket();
    let effects = play.on(Input::StartedRound(ticket, HEAD.next().next(), Round(0)));
    assert!(matches!(effects.as_slice(), [Effect::Check(_, id, _)] if *id == next.header.block_id()));
}

#[test]
fn a_synced_block_with_a_good_certificate_and_another_recomputed_header_halts() {
    let mut play = Play::deciding();
    let decided = block(HEAD.next(), 0, turn(0), play.now.wall);
    let (ticket, id) = (play.ticket(), decided.header.block_id());
    let bytes = Bytes::from(decided.to_bytes());
    let effects = play.on(Input::Synced { ticket, height: HEAD.next(), block_id: id, bytes });
    let Some(Effect::Check(purpose, ..)) = effects.last() else { panic!("{effects:?}") };
    let effects = play.on(Input::Checked(purpose.clone(), id, Ok(Verdict::Invalid("state root".into()))));
    assert!(halts(&effects));
    assert!(!effects.iter().any(|e| matches!(e, Effect::Answer(_, Answer::Synced(SyncOutcome::PeerFault)))));
    assert!(matches!(play.host.state(), State::Halted(why) if why.contains("another header")));
    assert!(play.on(Input::Wake).is_empty(), "and nothing happens any more");
}

#[test]
fn a_peer_that_sends_other_bytes_than_the_certificate_names_is_at_fault_and_nobody_halts() {
    let mut play = Play::deciding();
    let decided = block(HEAD.next(), 0, turn(0), play.now.wall);
    let id = decided.header.block_id();
    let mut forged = decided.clone();
    forged.header.state_root = Digest([66; 32]);
    for bytes in [forged.to_bytes(), b"junk".to_vec(), Vec::new()] {
        let ticket = play.ticket();
        let effects =
            play.on(Input::Synced { ticket, height: HEAD.next(), block_id: id, bytes: bytes.into() });
        assert_eq!(effects, [Effect::Answer(ticket, Answer::Synced(SyncOutcome::PeerFault))]);
    }
}

#[test]
fn the_clock_has_no_say_over_what_a_quorum_decided() {
    let mut play = Play::deciding();
    let old = block(HEAD.next(), 0, turn(0), HEAD_TIME.plus(1));
    play.now.wall = HEAD_TIME.plus(10_000_000);
    play.host.started_at = play.now.wall;
    let (ticket, id) = (play.ticket(), old.header.block_id());
    let effects =
        play.on(Input::Synced { ticket, height: HEAD.next(), block_id: id, bytes: old.to_bytes().into() });
    let Some(Effect::Check(purpose, ..)) = effects.last() else { panic!("{effects:?}") };
    let effects = play.on(Input::Checked(purpose.clone(), id, Ok(Verdict::Valid)));
    assert!(matches!(
        effects.as_slice(),
        [Effect::Store(_), Effect::Answer(_, Answer::Synced(SyncOutcome::Good(told)))] if told.valid
    ));
}

#[test]
fn a_decided_block_whose_body_is_gone_is_noted_for_the_next_start_and_halts() {
    let mut play = Play::deciding();
    let missing = block(HEAD.next(), 0, turn(0), play.now.wall);
    let ticket = play.ticket();
    let effects = play.on(Input::Decided(ticket, certificate(&missing)));
    assert_eq!(effects.first(), Some(&Effect::NoteDecided(HEAD.next())));
    assert!(halts(&effects));
}

#[test]
fn a_certificate_that_does_not_verify_halts() {
    let mut play = Play::deciding();
    let block = play.accept(0, play.now.wall);
    let mut short = certificate(&block).signatures.into_inner();
    short.pop();
    let ticket = play.ticket();
    let certificate = Certificate { signatures: List::new(short).unwrap(), ..certificate(&block) };
    let effects = play.on(Input::Decided(ticket, certificate));
    assert!(halts(&effects));
    // Nobody knows that it was decided.
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::NoteDecided(_))));
}

#[test]
fn a_ledger_or_disk_that_fails_halts() {
    let mut play = Play::deciding();
    let block = play.accept(0, play.now.wall);
    let ticket = play.ticket();
    play.on(Input::Decided(ticket, certificate(&block)));
    assert!(halts(&play.on(Input::Committed(Err(LedgerFault("disk full".into()))))));
    assert!(halts(&Play::deciding().on(Input::Failed("disk full".into()))));
}

#[test]
fn who_the_registry_no_longer_lists_is_cut_at_the_commit_and_bootstrap_peers_stay() {
    let mut play = Play::deciding();
    let block = play.accept(0, play.now.wall);
    let ticket = play.ticket();
    play.on(Input::Decided(ticket, certificate(&block)));
    let mut next = head(HEAD.next(), block.header.time, block.header.block_id());
    next.peers.retain(|allowed| allowed.participant != name(5));
    let effects = play.on(Input::Committed(Ok(Box::new(next))));
    let allowed = BTreeSet::from([peer(1), peer(2), peer(3), peer(9)]);
    assert!(effects.contains(&Effect::Allow(allowed)), "{effects:?}");
}

#[test]
fn a_validator_whose_key_the_registry_forgot_is_not_cut_off() {
    let mut play = Play::deciding();
    let block = play.accept(0, play.now.wall);
    let ticket = play.ticket();
    play.on(Input::Decided(ticket, certificate(&block)));
    let mut next = head(HEAD.next(), block.header.time, block.header.block_id());
    next.peers.retain(|allowed| allowed.participant != name(2));
    let effects = play.on(Input::Committed(Ok(Box::new(next))));
    assert!(effects.contains(&Effect::Allow(BTreeSet::from([peer(1), peer(2), peer(3), peer(5), peer(9)]))));
}

#[test]
fn the_first_height_waits_for_validators_and_not_for_ever() {
    let mut play = Play::new();
    let ticket = play.ticket();
    play.on(Input::Peers(BTreeSet::from([peer(1), peer(5), peer(9)])));
    let effects = play.on(Input::Ready(ticket));
    assert!(matches!(effects.as_slice(), [Effect::Allow(_), Effect::WakeAt(PEERS_WAIT_MS)]), "{effects:?}");
    assert_eq!(play.host.state(), State::WaitingForPeers);
    let effects = play.on(Input::Peers(BTreeSet::from([peer(1), peer(2)])));
    assert_eq!(effects, [Effect::Answer(ticket, Answer::Start(HEAD.next()))]);

    let mut alone = Play::new();
    let ticket = alone.ticket();
    alone.on(Input::Ready(ticket));
    alone.later(PEERS_WAIT_MS);
    assert_eq!(alone.on(Input::Tick), [Effect::Answer(ticket, Answer::Start(HEAD.next()))]);
    assert_eq!(alone.host.state(), State::WaitingForPeers, "and it says that it cannot decide alone");
}

#[test]
fn a_resting_validator_without_a_quorum_says_that_it_can_decide_nothing() {
    let (mut play, _) = Play::holding();
    play.on(Input::Peers(BTreeSet::from([peer(1)])));
    assert_eq!(play.host.state(), State::WaitingForPeers);
    play.on(Input::Peers(BTreeSet::from([peer(1), peer(3)])));
    assert_eq!(play.host.state(), State::Idle);
}

#[test]
fn two_connections_of_one_validator_are_one_vote() {
    let mut play = Play::deciding();
    let block = play.accept(0, play.now.wall);
    let (decided, finalized) = (play.ticket(), play.ticket());
    play.on(Input::Decided(decided, certificate(&block)));
    // Validator 1 has a second transport key while it rotates.
    let mut next = head(HEAD.next(), block.header.time, block.header.block_id());
    next.peers.push(AllowedPeer { participant: name(1), transport: PublicKey(peer(6).0) });
    play.on(Input::Committed(Ok(Box::new(next))));
    play.on(Input::Finalized(finalized, HEAD.next(), Vec::new()));
    play.on(Input::Work(false));
    play.on(Input::Peers(BTreeSet::from([peer(1), peer(6)])));
    assert_eq!(play.host.state(), State::WaitingForPeers);
    let ahead = Height(HEAD.0 + 50);
    let claims = |peers: &[PeerKey]| {
        Input::Signs(Signs { tips: peers.iter().map(|peer| (*peer, ahead)).collect(), ..Signs::default() })
    };
    play.on(claims(&[peer(1), peer(6)]));
    assert!(play.host.network_height() < ahead, "one validator of four is not more than a third");
    play.on(Input::Peers(BTreeSet::from([peer(1), peer(6), peer(2)])));
    play.on(claims(&[peer(1), peer(6), peer(2)]));
    assert_eq!(play.host.network_height(), ahead);
}

#[test]
fn nobody_waits_long_for_a_proposer_that_is_not_connected() {
    let usual = crate::handle::engine_timeouts(crate::Timeouts::default());
    let mut play = Play::new();
    let all = BTreeSet::from([peer(1), peer(2), peer(3)]);
    play.on(Input::Peers(all.clone()));
    for height in 11..19 {
        assert_eq!(play.host.start_height(Height(height)).timeouts, usual);
    }
    let turns = |gone: usize| -> Vec<u64> {
        let is_gone = |height: &u64| {
            select_proposer(&validators(), Height(*height), Round(0)).participant == name(gone)
        };
        (11..19).filter(is_gone).collect()
    };
    for gone in 1..4 {
        play.on(Input::Peers(all.iter().copied().filter(|other| *other != peer(gone)).collect()));
        for height in 11..19 {
            let timeouts = play.host.start_height(Height(height)).timeouts;
            if turns(gone).contains(&height) {
                assert_eq!(timeouts.propose, ABSENT_PROPOSE);
                // Whoever proposes next has at least as long as a first proposer.
                assert!(timeouts.propose + timeouts.delta >= usual.propose);
            } else {
                assert_eq!(timeouts, usual);
            }
        }
        assert_eq!(turns(gone).len(), 2);
    }
    // We are never absent to ourselves.
    play.on(Input::Peers(BTreeSet::new()));
    for height in turns(0) {
        assert_eq!(play.host.start_height(Height(height)).timeouts, usual);
    }
}

#[test]
fn peers_may_ask_for_any_range_and_get_what_exists() {
    let mut play = Play::deciding();
    for (asked, served) in
        [((0, 3), (1, 3)), ((5, u64::MAX), (5, 10)), ((11, 20), (11, 10)), ((u64::MAX, 0), (u64::MAX, 0))]
    {
        let ticket = play.ticket();
        let effects = play.on(Input::DecidedRange(ticket, Height(asked.0)..=Height(asked.1)));
        assert_eq!(effects, [Effect::Serve(ticket, Height(served.0)..=Height(served.1))]);
    }
}

#[test]
fn bodies_are_bounded_and_the_least_recently_offered_goes() {
    let mut play = Play::deciding();
    let locked = play.accept(0, play.now.wall);
    for round in 1..=(2 * MAX_BODIES as u32) {
        play.round(round);
        let block = block(HEAD.next(), round, turn(round), play.now.wall);
        play.offers(turn(round), &block, round);
        // Whoever is locked offers it again when it is their turn.
        if round % 4 == 0 {
            play.on(Input::Restream(HEAD.next(), Round(round), locked.header.block_id()));
        }
    }
    assert_eq!(play.host.bodies.len(), MAX_BODIES);
    assert!(play.host.bodies.contains_key(&locked.header.block_id()));
}
