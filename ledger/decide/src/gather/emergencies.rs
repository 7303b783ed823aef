//! R11: whether an emergency was declared, and when.
//!
//! Validators check a cited declaration when they record the event that cites it: that it was declared, for these two,
//! that its window had not passed at the height that the decider saw, and that it was cited for nobody
//! else. Their verdict is part of the record, so it is proven with it; the declaration itself, where its receipt
//! or an institution's trail is at hand, adds the time.

use custos_proof::hash::ItemHash;
use custos_proof::ids::{Height, ParticipantId, Random16, TimeMs};
use custos_proof::kinds::Fields;
use custos_proof::kinds::access::Event;
use custos_proof::record::{Check, Code, Finding, Verdict};
use custos_proof::submission::Author;
use custos_proof::verify::ProvenItem;

/// A declared emergency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declared {
    /// Who declared it.
    pub declarer: ParticipantId,
    /// Its id.
    pub declaration: Random16,
    /// Who holds the data.
    pub custodian: ParticipantId,
    /// Who acts.
    pub acting: ParticipantId,
    /// The item.
    pub item: ItemHash,
    /// The height of its record.
    pub height: Height,
    /// That block's time.
    pub time: TimeMs,
}

impl Declared {
    /// Whether an event cites this declaration, and is of the two for whom it was made.
    #[must_use]
    pub fn is_cited_by(&self, event: &Event) -> bool {
        event.cited == Some(self.declaration)
            && (&self.custodian, &self.acting) == (&event.custodian, &event.acting)
    }
}

/// The declaration that a proven item is, unless validators contradicted it.
#[must_use]
pub fn declared(item: &ProvenItem) -> Option<Declared> {
    let Fields::EmergencyDeclare(declare) = &item.item.fields else { return None };
    let Author::Participant(declarer) = &item.entry.author else { return None };
    (item.entry.verdict.finding != Finding::Contradicted).then(|| Declared {
        declarer: declarer.clone(),
        declaration: declare.declaration,
        custodian: declare.custodian.clone(),
        acting: declare.acting.clone(),
        item: item.hash,
        height: item.record.height,
        time: item.record.time,
    })
}

/// Whether validators found that the emergency which an event cites was declared and covered the access.
#[must_use]
pub fn is_declared(verdict: &Verdict) -> bool {
    let against = [
        Code::NothingCited,
        Code::UnknownEmergency,
        Code::OtherEmergency,
        Code::EmergencyOver,
        Code::CitedElsewhere,
    ];
    verdict.checks.contains(&Check::Emergency) && !verdict.codes.iter().any(|code| against.contains(code))
}
