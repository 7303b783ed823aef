//! `custos node rotate|replace`: a node's keys change while the network runs.
//!
//! Whoever votes is the validators' business, so a consensus key is replaced by their vote
//! (`validator.put`); what else a participant signs with, it replaces itself (`key.rotate`). New secrets
//! are made here, on the machine that will use them; only their public halves and the proofs of
//! possession leave it.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use custos_api::answers::{KeyAnswer, ParticipantAnswer, ProposalAnswer, RegistryAnswer, ValidatorAnswer};
use custos_proof::ids::ParticipantId;
use custos_proof::keys::{KeyPurpose, PublicKey, Signature, Signer as _, key_id};
use custos_proof::kinds::key::{Add, Revoke, Rotate as Rotation, possession_preimage};
use custos_proof::kinds::participant::Reason;
use custos_proof::kinds::validator::Put;
use custos_proof::kinds::{Class, Fields};
use serde_json::json;

use crate::commands::proposal;
use crate::exit::{Exit, Failed, Outcome, While as _};
use crate::hand_in::Hand;
use crate::keyfile;
use crate::network::refused;
use crate::screen::Screen;
use crate::{files, time};

/// Replace one of a running node's keys
///
/// A consensus key: makes the new one and puts it to the vote. Name it as `consensus_next` under `[keys]`
/// and restart the node before the others vote; it changes over in the block that the vote decides, in the
/// same process, and signs nothing with the old key afterwards. Any other key: makes the new one and records
/// `key.rotate`; both are good until the overlap ends. Then name the new file and restart the node.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    custos node rotate consensus -o consensus-2.key --node http://127.0.0.1:7700 --key sign.key\n  \
    custos node rotate transport -o transport-2.key --overlap-hours 24 --node http://127.0.0.1:7700 --key sign.key")]
pub(crate) struct Rotate {
    /// Which key
    #[arg(value_enum)]
    what: What,
    /// Where to write the new key; must not exist
    #[arg(short, long, value_name = "FILE")]
    out: PathBuf,
    /// How long the old key stays good beside the new one; not for a consensus key
    #[arg(long, value_name = "HOURS", default_value_t = 24, value_parser = clap::value_parser!(u64).range(0..=720))]
    overlap_hours: u64,
    /// For how long it can be decided, in hours; for a consensus key
    #[arg(long, value_name = "HOURS", default_value_t = 168)]
    hours: u64,
    /// The node to hand in to, such as http://127.0.0.1:7700
    #[arg(long = "node", value_name = "URL")]
    url: String,
    /// The participant's signing key
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
}

/// Which of a node's keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    /// Signs votes and proposals
    Consensus,
    /// Authenticates the node to its peers
    Transport,
    /// Signs submissions
    Sign,
    /// Signs checkpoints
    Note,
}

/// Give a validator whose machine is lost new keys, and put them to the vote
///
/// Run it on the new machine. Makes consensus, transport and note keys, and proposes in one vote that the new
/// ones take the place of the old: whoever finds the old machine can vote and connect no more. The participant's
/// signing key stays; if it lay on that machine too, add a new one and revoke it by `key.add` and `key.revoke`. Then
/// restore a snapshot, write the new files into the configuration, and start the node; it follows, and votes from the
/// block on that the vote decides.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  \
    custos node replace hospital-4.example --keys /etc/custos/keys \\\n    \
    --node http://127.0.0.1:7700 --key sign.key")]
pub(crate) struct Replace {
    /// The validator
    #[arg(value_name = "PARTICIPANT")]
    participant: ParticipantId,
    /// A folder for the new keys: consensus.key, transport.key, note.key; none of them may exist
    #[arg(long, value_name = "DIR")]
    keys: PathBuf,
    /// For how long it can be decided, in hours; at most 2160
    #[arg(long, value_name = "HOURS", default_value_t = 168)]
    hours: u64,
    /// A node that runs, such as http://127.0.0.1:7700
    #[arg(long = "node", value_name = "URL")]
    url: String,
    /// The signing key of any validator, or of the registrar
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
}

impl Rotate {
    /// Runs the command.
    pub(crate) fn run(&self, screen: &Screen) -> Outcome {
        let hand = Hand::new(&self.url, &self.key)?;
        let registry = hand.client.registry().map_err(refused)?;
        let owner = hand.participant.clone();
        let purpose = self.what.purpose();
        if purpose == KeyPurpose::Consensus {
            let now = validator(&registry, &owner)?;
            let power = now.power;
            let (key, possession) = make(&self.out, purpose, &hand, &owner)?;
            let put = Put { participant: owner, key, possession, power };
            let answer = proposal::open(&hand, proposal::acts(vec![Fields::ValidatorPut(put)])?, self.hours)?;
            self.tell(key, Some(&answer), screen);
            return Ok(Exit::Done);
        }
        // The one that lasts longest: another may be ending already, from an earlier rotation.
        let live = live(participant(&registry, &owner)?, purpose);
        let old = live.max_by_key(|key| key.not_after_ms).cloned().ok_or_else(|| {
            Failed::unable(format!("{owner} has no live {purpose} key to replace"))
                .hint("add one with `custos item template key.add`")
        })?;
        let (key, possession) = make(&self.out, purpose, &hand, &owner)?;
        let overlap_ms = self.overlap_hours * 3_600_000;
        let rotation = Rotation { old: old.id, key, overlap_ms, possession };
        hand.record(Class::Act, vec![Fields::KeyRotate(rotation)])?;
        self.tell(key, None, screen);
        Ok(Exit::Done)
    }

    fn tell(&self, key: PublicKey, vote: Option<&ProposalAnswer>, screen: &Screen) {
        let purpose = self.what.purpose();
        screen.result(
            |_| match vote {
                Some(vote) => format!(
                    "the new consensus key is put to the vote\n{}\nnow, before the others vote:\n  \
                     1. under [keys] write: consensus_next = {:?}\n  2. restart the node\n",
                    proposal::words(vote),
                    self.out.display().to_string(),
                ),
                None => format!(
                    "the new {purpose} key is registered; the old one ends in {} h\nwithin that time:\n  \
                     1. write {:?} into the configuration\n  2. restart the node\n",
                    self.overlap_hours,
                    self.out.display().to_string(),
                ),
            },
            || {
                json!({
                    "purpose": purpose.word(),
                    "file": self.out,
                    "public_key": key.to_string(),
                    "key_id": key_id(&key).to_string(),
                    "proposal": vote,
                })
            },
        );
    }
}

impl Replace {
    /// Runs the command.
    pub(crate) fn run(&self, screen: &Screen) -> Outcome {
        let hand = Hand::new(&self.url, &self.key)?;
        let registry = hand.client.registry().map_err(refused)?;
        let owner = &self.participant;
        let power = validator(&registry, owner)?.power;
        let lost = participant(&registry, owner)?;
        files::folder(&self.keys)?;
        let path = |purpose: KeyPurpose| self.keys.join(format!("{purpose}.key"));
        const MADE: [KeyPurpose; 3] = [KeyPurpose::Consensus, KeyPurpose::Transport, KeyPurpose::Note];
        for purpose in MADE {
            if path(purpose).exists() {
                return Err(Failed::unable(format!("{} exists already", path(purpose).display()))
                    .hint("choose a new folder"));
            }
        }
        let mut acts = Vec::new();
        for purpose in MADE {
            let (key, possession) = make(&path(purpose), purpose, &hand, owner)?;
            acts.push(match purpose {
                KeyPurpose::Consensus => {
                    Fields::ValidatorPut(Put { participant: owner.clone(), key, possession, power })
                }
                _ => Fields::KeyAdd(Add { owner: owner.clone(), key, purpose, possession }),
            });
        }
        let revoked = [KeyPurpose::Transport, KeyPurpose::Note].into_iter().flat_map(|p| live(lost, p));
        acts.extend(revoked.map(|key| {
            Fields::KeyRevoke(Revoke { key: key.id, reason: Reason::Superseded, compromised_from: None })
        }));
        let answer = proposal::open(&hand, proposal::acts(acts)?, self.hours)?;
        let id = answer.proposal.to_string();
        screen.result(
            |_| {
                format!(
                    "new keys for {owner} are in {} and put to the vote\n{}\nnow:\n  \
                     1. the other validators: custos proposal vote {id} yes\n  \
                     2. restore a snapshot into an empty data directory: custos snapshot restore\n  \
                     3. write the new key files into node.toml: custos node run\n  \
                     4. the other operators: write the new transport key into their node.toml\n",
                    self.keys.display(),
                    proposal::words(&answer),
                )
            },
            || {
                json!({
                    "participant": owner.to_string(),
                    "keys": MADE.map(path),
                    "proposal": answer,
                })
            },
        );
        Ok(Exit::Done)
    }
}

impl What {
    const fn purpose(self) -> KeyPurpose {
        match self {
            What::Consensus => KeyPurpose::Consensus,
            What::Transport => KeyPurpose::Transport,
            What::Sign => KeyPurpose::Sign,
            What::Note => KeyPurpose::Note,
        }
    }
}

/// A new key in a file, with the proof that its maker holds it.
fn make(
    path: &std::path::Path,
    purpose: KeyPurpose,
    hand: &Hand,
    owner: &ParticipantId,
) -> Outcome<(PublicKey, Signature)> {
    let key = keyfile::create(path, purpose)?;
    let public = key.public_key();
    let possession = key
        .sign(&possession_preimage(&hand.chain, owner, purpose, &public))
        .could_not(|| "prove possession of the new key")?;
    Ok((public, possession))
}

fn validator<'a>(registry: &'a RegistryAnswer, id: &ParticipantId) -> Outcome<&'a ValidatorAnswer> {
    registry
        .validators
        .iter()
        .find(|validator| validator.participant == *id)
        .ok_or_else(|| Failed::unable(format!("{id} is no validator")).hint("see `custos participant list`"))
}

fn participant<'a>(registry: &'a RegistryAnswer, id: &ParticipantId) -> Outcome<&'a ParticipantAnswer> {
    registry.participants.iter().find(|participant| participant.id == *id).ok_or_else(|| {
        Failed::unable(format!("{id} is not registered")).hint("see `custos participant list`")
    })
}

/// The keys of a purpose that have not ended.
fn live(participant: &ParticipantAnswer, purpose: KeyPurpose) -> impl Iterator<Item = &KeyAnswer> {
    let now = time::now().0;
    participant
        .keys
        .iter()
        .filter(move |key| key.purpose == purpose.word() && key.revoked.is_none() && key.not_after_ms > now)
}
