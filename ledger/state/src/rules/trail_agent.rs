//! Who may speak for the subject of a trail: the custodian with evidence, an agent that the trail
//! names, the subject's own key for that trail. Never the grantee.

use std::sync::Arc;

use custos_proof::hash::TrailKey;
use custos_proof::ids::{FAR, LogIndex, ParticipantId};
use custos_proof::keys::{KeyPurpose, PublicKey, Signature, is_registrable, key_id, verify_zip215};
use custos_proof::kinds::rule::Collected;
use custos_proof::kinds::trail::{Agent, Change, possession_preimage};
use custos_proof::registry::{AgentEntry, KeyEntry, Role, SubjectTrail};
use custos_proof::submission::Author;
use custos_proof::trail::TrailName;

use super::{About, Saying, refuse};
use crate::error::{AdmitError, RefusalCode};
use crate::overlay::Overlay;

/// In whose name somebody writes into a subject's trail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// The trail's custodian, with evidence of the subject's will.
    Custodian,
    /// An agent that the trail names, or the subject itself: the signature is the evidence.
    Signed,
}

impl Standing {
    /// Whether a custodian states how it knows, and a signer states nothing but that it signed.
    pub(super) fn check(self, collected: Collected) -> Result<(), AdmitError> {
        match (self, collected) {
            (Standing::Custodian, Collected::Signed) => {
                refuse(RefusalCode::NotAllowed, "a custodian states how it knows the subject's will")
            }
            (Standing::Signed, Collected::Signed) | (Standing::Custodian, _) => Ok(()),
            (Standing::Signed, _) => {
                refuse(RefusalCode::NotAllowed, "who signs for the subject collects nothing: state `signed`")
            }
        }
    }
}

/// The standing of an author in a custodian's trail.
pub(super) fn standing(
    overlay: &Overlay<'_>,
    author: &Author,
    custodian: &ParticipantId,
    trail: &TrailKey,
) -> Result<Standing, AdmitError> {
    match author {
        Author::Participant(id) if id == custodian => Ok(Standing::Custodian),
        Author::Participant(id) => match overlay.agent(trail, id)? {
            Some(AgentEntry { until: None, .. }) => Ok(Standing::Signed),
            _ => refuse(
                RefusalCode::NotAllowed,
                format!("only {custodian}, the subject and agents that the trail names may write this"),
            ),
        },
        Author::Subject(own) if own == trail => Ok(Standing::Signed),
        Author::Subject(_) => {
            refuse(RefusalCode::NotAllowed, "a subject's key speaks in the trail that it was named in, only")
        }
    }
}

/// The trail, which must be open.
pub(super) fn open(overlay: &Overlay<'_>, trail: &TrailKey) -> Result<SubjectTrail, AdmitError> {
    match overlay.subject(trail)? {
        None => refuse(RefusalCode::NotFound, "this trail was never opened by its custodian"),
        Some(trail) if trail.closed.is_some() => refuse(RefusalCode::TrailClosed, "this trail is closed"),
        Some(trail) => Ok(trail),
    }
}

pub(super) const AGENT: About = About {
    says: "A key of the subject's, or an agent, begins or ceases to speak for the subject in one trail.",
    author: "the trail's custodian, an agent of the trail, or a subject's key for it",
    listed: "the subject's trail",
    refuses: &[
        (
            RefusalCode::NotAllowed,
            "the author is not `custodian`, nor an agent that the trail names, nor a subject's key for this trail",
        ),
        (RefusalCode::NotFound, "the trail was not opened"),
        (RefusalCode::TrailClosed, "the trail is closed"),
        (
            RefusalCode::NotAllowed,
            "`collected` is signed and the author the custodian, or neither; or it is custodian",
        ),
        (RefusalCode::WrongEpoch, "the trail's epoch is not the year of t"),
        (
            RefusalCode::MalformedItem,
            "not exactly one of `key` and `agent` is present, or `possession` without a key that begins, or the reverse",
        ),
        (RefusalCode::BadKey, "the key is not registrable ([hashing.md](hashing.md#signatures))"),
        (
            RefusalCode::NoPossession,
            "no valid signature of the key over the tag `custos/1/possession` and subject-possession-preimage",
        ),
        (RefusalCode::Exists, "the key was ever registered, in this trail or anywhere"),
        (RefusalCode::NotFound, "the key that ceases never spoke in this trail"),
        (RefusalCode::Ended, "the key that ceases has ceased"),
        (RefusalCode::NotFound, "the agent is not registered"),
        (
            RefusalCode::NotAllowed,
            "the agent has not the role agent, or is the custodian or the trail's grantee",
        ),
        (RefusalCode::Exists, "the agent that begins is one"),
        (RefusalCode::NotFound, "the agent that ceases is none"),
    ],
    notes: "A key speaks from the block after on, until the record after the one that removes it. Its entry stands \
        where participants' keys stand, with the trail as owner, so that receipts of what it signed verify as any \
        others; no list of keys shows it.",
};

pub(super) fn agent(
    overlay: &mut Overlay<'_>,
    saying: &Saying<'_>,
    f: &Agent,
) -> Result<Vec<TrailName>, AdmitError> {
    agent_by(overlay, saying.author, saying.index, f)
}

/// The same, by a participant or by a subject.
pub(super) fn agent_by(
    overlay: &mut Overlay<'_>,
    author: &Author,
    index: LogIndex,
    f: &Agent,
) -> Result<Vec<TrailName>, AdmitError> {
    let name = TrailName::subject(&f.custodian, f.local_id);
    let key = name.key();
    let standing = standing(overlay, author, &f.custodian, &key)?;
    let trail = open(overlay, &key)?;
    standing.check(f.collected)?;
    if f.collected == Collected::Custodian {
        return refuse(
            RefusalCode::NotAllowed,
            "who speaks for a subject is the subject's will: say how it is known",
        );
    }
    let year = overlay.time().year();
    if u64::from(trail.epoch) != year {
        return refuse(RefusalCode::WrongEpoch, format!("the trail is of {}, it is {year}", trail.epoch));
    }
    match (f.change, &f.key, &f.possession, &f.agent) {
        (Change::Add, Some(new), Some(possession), None) => add_key(overlay, &key, index, new, possession)?,
        (Change::Remove, Some(old), None, None) => remove_key(overlay, &key, index, old)?,
        (Change::Add, None, None, Some(agent)) => add_agent(overlay, &key, &f.custodian, &trail, agent)?,
        (Change::Remove, None, None, Some(agent)) => remove_agent(overlay, &key, agent)?,
        _ => {
            return refuse(
                RefusalCode::MalformedItem,
                "it is about a key or about an agent; a key that begins proves possession",
            );
        }
    }
    Ok(vec![name])
}

fn add_key(
    overlay: &mut Overlay<'_>,
    trail: &TrailKey,
    index: LogIndex,
    key: &PublicKey,
    possession: &Signature,
) -> Result<(), AdmitError> {
    let id = key_id(key);
    if let Err(defect) = is_registrable(key) {
        return refuse(RefusalCode::BadKey, format!("key {id} cannot be registered: {defect}"));
    }
    if !verify_zip215(key, &possession_preimage(&overlay.head().chain, trail, key), possession) {
        return refuse(RefusalCode::NoPossession, format!("key {id} did not sign for this trail"));
    }
    // Also when it is another trail's: one key in two trails would tell that they are one person's.
    if overlay.key(&id)?.is_some() {
        return refuse(RefusalCode::Exists, format!("key {id} was used before: derive one for this trail"));
    }
    let entry = KeyEntry {
        owner: Author::Subject(*trail),
        key: *key,
        purpose: KeyPurpose::Sign,
        valid_from: LogIndex(index.0 + 1),
        revoked: None,
        not_after: FAR,
        compromised_from: None,
    };
    overlay.put_key(&id, &entry);
    Ok(())
}

fn remove_key(
    overlay: &mut Overlay<'_>,
    trail: &TrailKey,
    index: LogIndex,
    key: &PublicKey,
) -> Result<(), AdmitError> {
    let id = key_id(key);
    let entry = overlay.key(&id)?.filter(|entry| entry.owner == Author::Subject(*trail));
    match entry {
        None => refuse(RefusalCode::NotFound, format!("key {id} does not speak in this trail")),
        Some(entry) if entry.revoked.is_some() => {
            refuse(RefusalCode::Ended, format!("key {id} was removed before"))
        }
        Some(entry) => {
            // The removal itself may be signed with it.
            overlay.put_key(
                &id,
                &KeyEntry { revoked: Some(LogIndex(index.0 + 1)), ..Arc::unwrap_or_clone(entry) },
            );
            Ok(())
        }
    }
}

fn add_agent(
    overlay: &mut Overlay<'_>,
    trail: &TrailKey,
    custodian: &ParticipantId,
    subject: &SubjectTrail,
    agent: &ParticipantId,
) -> Result<(), AdmitError> {
    let Some(member) = overlay.participant(agent)? else {
        return refuse(RefusalCode::NotFound, format!("participant {agent} is not registered"));
    };
    if !member.roles.has(Role::Agent) {
        return refuse(RefusalCode::NotAllowed, format!("{agent} has not the role agent"));
    }
    if agent == custodian || subject.grantee.as_ref() == Some(agent) {
        return refuse(RefusalCode::NotAllowed, "neither custodian nor grantee speaks for the subject");
    }
    match overlay.agent(trail, agent)? {
        Some(AgentEntry { until: None, .. }) => {
            refuse(RefusalCode::Exists, format!("{agent} is an agent of this trail"))
        }
        _ => {
            let entry = AgentEntry { since: overlay.height(), until: None };
            overlay.put_agent(trail, agent, &entry);
            Ok(())
        }
    }
}

fn remove_agent(
    overlay: &mut Overlay<'_>,
    trail: &TrailKey,
    agent: &ParticipantId,
) -> Result<(), AdmitError> {
    match overlay.agent(trail, agent)? {
        Some(entry) if entry.until.is_none() => {
            let entry = AgentEntry { until: Some(overlay.height()), ..entry };
            overlay.put_agent(trail, agent, &entry);
            Ok(())
        }
        _ => refuse(RefusalCode::NotFound, format!("{agent} is no agent of this trail")),
    }
}
