//! What a network is and has, fetched from a node and verified before anything is made of it: its last block, its
//! genesis, who was ever registered, and entries of its state map.
//!
//! A node answers with a certified header, the entries' values and their proofs; the header is judged from the caller's
//! anchor, the keys are computed here, and each proof is checked against the header's state root.

use std::collections::BTreeSet;

use custos_api::blocking::Client;
use custos_api::client::Part;
use custos_api::permits::{StateAnswer, StateEntry};
use custos_decide::gather::{Commitment, Committed, PermitHistory, Version};
use custos_people::catalogue::Speaker;
use custos_proof::cbor::Wire;
use custos_proof::certificate::Certificate;
use custos_proof::genesis::Genesis;
use custos_proof::hash::StateKey;
use custos_proof::header::Header;
use custos_proof::ids::{Height, LogIndex, ParticipantId, Random16, TimeMs};
use custos_proof::kinds::Fields;
use custos_proof::receipt::Receipt;
use custos_proof::registry::{self, Participant, Permit, PermitTerms, Policy, Roster};
use custos_proof::state_map;
use custos_proof::trail::TrailName;
use custos_proof::verify::{self, ProvenTrail};

use crate::commands::verify::NotVerified;
use crate::exit::{Failed, Outcome, While as _};
use crate::network::refused;
use crate::trails::{self, Ground};

/// How many entries of the registry's trail are fetched at a time.
const REGISTRY_PART: u64 = 4096;

/// The header of a block.
pub(crate) fn header(client: &Client, height: Height, ground: &Ground, s: &Speaker) -> Outcome<Header> {
    let header = client.header(height).map_err(refused)?;
    let certificate = client.certificate(height).map_err(refused)?;
    ground
        .believe(&header, &certificate)
        .map_err(|failure| NotVerified::from(failure).about("the node's header".as_ref(), s))?;
    match header.height == height {
        true => Ok(header),
        false => Err(Failed::against("the node gave the header of another block")),
    }
}

/// The header of the node's last block. That there is none after it cannot be proven; its time says how old it is.
pub(crate) fn head(client: &Client, ground: &Ground, s: &Speaker) -> Outcome<Header> {
    let height = client.status().map_err(refused)?.height;
    if height == 0 {
        return Err(Failed::unable("the network has recorded nothing yet: there is no block to prove it by"));
    }
    header(client, Height(height), ground, s)
}

/// The genesis, whose hash is the chain's name.
pub(crate) fn genesis(client: &Client, ground: &Ground) -> Outcome<Genesis> {
    let genesis = client.genesis().map_err(refused)?;
    match genesis.chain() == ground.anchor.chain {
        true => Ok(genesis),
        false => Err(Failed::against("the node's genesis is not that of the anchor's chain")),
    }
}

/// Everybody who can be registered: the participants of the genesis, and all that were ever proposed in the
/// registry's trail, as of `since` or later. A node that left one out would be found out.
pub(crate) fn participants(
    client: &Client,
    since: Height,
    ground: &Ground,
    s: &Speaker,
) -> Outcome<BTreeSet<ParticipantId>> {
    let genesis = genesis(client, ground)?;
    let mut all: BTreeSet<_> = genesis.participants.iter().map(|one| one.id.clone()).collect();
    let name = TrailName::registry(&genesis.registrar);
    let mut from = 0;
    loop {
        let part = Part::Positions(from, from + REGISTRY_PART);
        let page = trails::by_name(client, &name, None, part, ground, s)?;
        trails::not_before(&page, since)?;
        let page = page.proven;
        let end = page.begin + page.entries.len() as u64;
        if page.size > 0 && (page.begin > from || end <= from) {
            return Err(Failed::unable(
                "the node proves another part of the registry than the one asked for",
            ));
        }
        register(&page, &mut all)?;
        if end == page.size {
            return Ok(all);
        }
        from = end;
    }
}

/// Adds those whom a part of the registry's trail would register.
fn register(page: &ProvenTrail, all: &mut BTreeSet<ParticipantId>) -> Outcome<()> {
    for entry in &page.entries {
        let Some(item) = trails::item_of(entry) else {
            return Err(Failed::unable(format!(
                "entry {} of the registry is not shown by this node, so it cannot be told who is registered",
                entry.position
            ))
            .hint("ask another node"));
        };
        if let Fields::ProposalOpen(open) = &item.item.fields {
            all.extend(open.acts.iter().filter_map(|act| match &act.item().fields {
                Fields::ParticipantRegister(f) => Some(f.id.clone()),
                _ => None,
            }));
        }
    }
    Ok(())
}

/// Verified entries under one header.
struct Proven<'a> {
    header: Header,
    entries: &'a [StateEntry],
}

impl<'a> Proven<'a> {
    fn of(answer: &'a StateAnswer, ground: &Ground, s: &Speaker) -> Outcome<Self> {
        let header = Header::from_bytes(&answer.header).could_not(|| "read the node's header")?;
        let certificate =
            Certificate::from_bytes(&answer.certificate).could_not(|| "read the node's certificate")?;
        ground
            .believe(&header, &certificate)
            .map_err(|failure| NotVerified::from(failure).about("the node's state proof".as_ref(), s))?;
        Ok(Self { header, entries: &answer.entries })
    }

    /// The value of an entry, or that there is none.
    fn value<T: Wire>(&self, name: &str, key: &StateKey) -> Outcome<Option<T>> {
        let entry = self.entries.iter().find(|entry| entry.name == name);
        let entry = entry.ok_or_else(|| Failed::unable(format!("the node does not answer for {name}")))?;
        let proof =
            state_map::Proof::from_bytes(&entry.proof).could_not(|| format!("read the proof of {name}"))?;
        let value = entry.bytes();
        if entry.value.is_some() != value.is_some()
            || !state_map::verify(&self.header.state_root, key, value.as_deref(), &proof)
        {
            return Err(Failed::against(format!(
                "the node's proof of {name} does not fit the state of block {}",
                self.header.height
            )));
        }
        value.map(|bytes| T::from_bytes(&bytes)).transpose().could_not(|| format!("read {name}"))
    }
}

/// The policy in force at the node's head.
pub(crate) fn policy(client: &Client, ground: &Ground, s: &Speaker) -> Outcome<Policy> {
    let answer = client.policy_state().map_err(refused)?;
    let policy = Proven::of(&answer, ground, s)?.value("policy", &registry::policy_key())?;
    policy.ok_or_else(|| Failed::against("the state of the network has no policy"))
}

/// What the state says of a participant.
pub(crate) struct Standing {
    /// Its entry, if it is registered.
    pub(crate) entry: Option<Participant>,
    roster: Option<Roster>,
    head: Height,
}

/// What the node's head says of a participant.
pub(crate) fn participant(
    client: &Client,
    id: &ParticipantId,
    ground: &Ground,
    s: &Speaker,
) -> Outcome<Standing> {
    let answer = client.participant_state(id).map_err(refused)?;
    let proven = Proven::of(&answer, ground, s)?;
    Ok(Standing {
        entry: proven.value("participant", &registry::participant_key(id))?,
        roster: proven.value("roster", &registry::roster_key(id))?,
        head: proven.header.height,
    })
}

impl Standing {
    /// Whether it was active when the log had this size. A suspension that was lifted since does not show.
    pub(crate) fn is_active(&self, log_size: u64) -> bool {
        self.entry.as_ref().is_some_and(|entry| entry.suspended.is_none_or(|since| since.0 >= log_size))
    }

    /// The roster that counted at a height and its time. The state knows the last one only: where that
    /// does not settle it, it is unknown.
    pub(crate) fn roster(&self, height: Height, time: TimeMs) -> Committed {
        match &self.roster {
            _ if height > self.head => Committed::Unknown,
            None => Committed::Nothing,
            Some(last) if last.committed <= height && last.from <= time && time < last.until => {
                Committed::To(Commitment {
                    position: LogIndex(0),
                    committed: last.committed,
                    from: last.from,
                    until: last.until,
                    root: last.root,
                })
            }
            Some(_) => Committed::Unknown,
        }
    }
}

/// Everything that was ever said of a permit, or that there is none: the entries of the state, and the receipts of
/// the items that state its terms, for their places in the log.
pub(crate) fn permit(
    client: &Client,
    id: &Random16,
    ground: &Ground,
    s: &Speaker,
) -> Outcome<Option<PermitHistory>> {
    let answer = client.permit_state(id).map_err(refused)?;
    let proven = Proven::of(&answer, ground, s)?;
    let Some(permit) = proven.value::<Permit>("permit", &registry::permit_key(id))? else { return Ok(None) };
    let version = |number: u32| -> Outcome<Version> {
        let terms: PermitTerms = proven
            .value(&format!("terms-{number}"), &registry::permit_terms_key(id, number))?
            .ok_or_else(|| Failed::against(format!("the state has no terms {number} of permit {id}")))?;
        let bytes = client.receipt(&terms.item, None).map_err(refused)?;
        let receipt = Receipt::from_bytes(&bytes).could_not(|| "read the node's receipt")?;
        let receipt = verify::receipt(&receipt, &ground.basis())
            .map_err(|failure| NotVerified::from(failure).about("the node's receipt".as_ref(), s))?;
        if receipt.item.hash != terms.item || receipt.item.record.height != terms.since {
            return Err(Failed::against(format!(
                "the node's receipt is not of terms {number} of permit {id}"
            )));
        }
        let position = receipt.item.record.index;
        Ok(Version { item: terms.item, position, since: terms.since, terms: terms.terms })
    };
    Ok(Some(PermitHistory {
        id: *id,
        body: permit.body.clone(),
        versions: (1..=permit.version).map(version).collect::<Outcome<_>>()?,
        revoked: permit.revoked,
        known: proven.header.height,
    }))
}
