//! Questions about permits, emergencies, transfers, records and jobs, and what is owed: scans of the history.

use custos_proof::ids::{ParticipantId, Random16};
use custos_proof::kinds::Fields;
use custos_proof::kinds::access::{Basis, Event};
use custos_proof::kinds::permit::Terms;
use custos_proof::submission::Author;

use super::calendar::FAR;
use super::history::{Deed, History, Place, institution_trail, permit_trail};
use super::tree::Hash;

/// Something that falls due unless it is met.
#[derive(Debug, Clone)]
pub(super) struct Obligation {
    pub(super) place: Place,
    /// Where its fact is listed, ascending.
    pub(super) trails: Vec<Hash>,
}

/// Steps of a record (docs/spec/custos.cddl).
const ARCHIVE: u64 = 5;
const DESTROY: u64 = 6;

impl Deed {
    fn by(&self, id: &ParticipantId) -> bool {
        self.author.as_participant() == Some(id)
    }
}

impl History {
    // Permits.

    /// The act that issued a permit.
    pub(super) fn issue(&self, permit: &Random16) -> Option<&Deed> {
        self.deeds.iter().find(|deed| match &deed.fields {
            Fields::PermitIssue(f) => f.permit == *permit,
            _ => false,
        })
    }

    /// The access body that issued a permit.
    pub(super) fn body(&self, permit: &Random16) -> Option<&ParticipantId> {
        self.issue(permit)?.author.as_participant()
    }

    /// The versions of a permit's terms, from the first.
    pub(super) fn versions(&self, permit: &Random16) -> Vec<(&Deed, &Terms)> {
        let stated = self.deeds.iter().filter_map(|deed| match &deed.fields {
            Fields::PermitIssue(f) if f.permit == *permit => Some((deed, &f.terms)),
            Fields::PermitAmend(f) if f.permit == *permit => Some((deed, &f.terms)),
            _ => None,
        });
        stated.collect()
    }

    /// The terms as they stand.
    pub(super) fn terms(&self, permit: &Random16) -> Option<&Terms> {
        self.versions(permit).last().map(|(_, terms)| *terms)
    }

    /// The block that revoked a permit.
    pub(super) fn permit_revoked(&self, permit: &Random16) -> Option<u64> {
        let mut revoking = self.deeds.iter().filter(|deed| match &deed.fields {
            Fields::PermitRevoke(f) => f.permit == *permit,
            _ => false,
        });
        revoking.next().map(|deed| deed.height)
    }

    /// Whether a permit names somebody, as its terms stand.
    pub(super) fn permit_names(&self, permit: &Random16, who: &ParticipantId) -> bool {
        self.terms(permit).is_some_and(|terms| {
            terms.user == *who || terms.holders.contains(who) || terms.environment.as_ref() == Some(who)
        })
    }

    // Emergencies.

    /// A declaration that nothing contradicted, among the first `until` deeds.
    fn declared(&self, declarer: &ParticipantId, id: &Random16, until: usize) -> Option<&Deed> {
        self.deeds[..until].iter().find(|deed| match &deed.fields {
            Fields::EmergencyDeclare(f) => {
                f.declaration == *id && deed.by(declarer) && !deed.verdict.is_contradicted()
            }
            _ => false,
        })
    }

    pub(super) fn declaration(&self, declarer: &ParticipantId, id: &Random16) -> Option<&Deed> {
        self.declared(declarer, id, self.deeds.len())
    }

    /// The declaration that an event cites, by the deeds before it: the acting organisation is asked first.
    fn cited_by(&self, f: &Event, until: usize) -> Option<&Deed> {
        let id = f.cited.as_ref()?;
        self.declared(&f.acting, id, until).or_else(|| self.declared(&f.custodian, id, until))
    }

    /// The declaration that an event would cite if it were recorded now.
    pub(super) fn emergency(&self, f: &Event) -> Option<&Deed> {
        self.cited_by(f, self.deeds.len())
    }

    /// The subject's trail in which a declaration was cited first.
    pub(super) fn cited_in(&self, declaration: &Deed) -> Option<Hash> {
        self.deeds.iter().enumerate().find_map(|(i, deed)| {
            let Fields::AccessEvent(f) = &deed.fields else { return None };
            let trail = deed.about.filter(|trail| deed.listed.contains(trail))?;
            let agrees = !deed.verdict.codes.iter().any(|code| matches!(code, 30..=32));
            let cites = f.basis == Basis::Emergency && agrees && f.cited == declaration.id;
            let cited = if cites { self.cited_by(f, i) } else { None };
            (cited?.index == declaration.index).then_some(trail)
        })
    }

    /// The first review of a declaration that nothing contradicted.
    pub(super) fn review(&self, declarer: &ParticipantId, id: &Random16) -> Option<&Deed> {
        self.deeds.iter().find(|deed| match &deed.fields {
            Fields::EmergencyReview(f) => {
                f.declarer == *declarer && f.declaration == *id && !deed.verdict.is_contradicted()
            }
            _ => false,
        })
    }

    /// When the review of a declaration falls due.
    pub(super) fn review_by(&self, declaration: &Deed) -> u64 {
        declaration.due_at.unwrap_or(FAR)
    }

    // Transfers.

    /// The first half of a transfer, of one side, that nothing contradicted.
    pub(super) fn half(
        &self,
        is_export: bool,
        source: &ParticipantId,
        recipient: &ParticipantId,
        transfer: &Random16,
    ) -> Option<&Deed> {
        self.deeds.iter().filter(|deed| !deed.verdict.is_contradicted()).find(|deed| match &deed.fields {
            Fields::DisclosureExport(f) => {
                is_export
                    && f.transfer == *transfer
                    && f.recipient.as_ref() == Some(recipient)
                    && deed.by(source)
            }
            Fields::DisclosureImport(f) => {
                !is_export && f.transfer == *transfer && f.source == *source && deed.by(recipient)
            }
            _ => false,
        })
    }

    /// When the other half falls due, from the first one.
    pub(super) fn other_half_by(&self, first: &Deed) -> u64 {
        first.due_at.unwrap_or(FAR)
    }

    // Records and jobs.

    /// The step by which a record's next one is judged. What was archived stays so when it is put right or given out.
    pub(super) fn record_step(&self, trail: &Hash, record: &Random16) -> Option<u64> {
        let mut last = None;
        for deed in self.deeds.iter().filter(|deed| deed.about == Some(*trail)) {
            if let Fields::RecordEvent(f) = &deed.fields
                && f.record == *record
                && !deed.verdict.is_contradicted()
            {
                let step = f.step.number();
                last = Some(if last == Some(ARCHIVE) && step != DESTROY { ARCHIVE } else { step });
            }
        }
        last
    }

    /// The last step of a job under a permit.
    pub(super) fn job_step(&self, permit: &Random16, job: &Random16) -> Option<u64> {
        let mut steps = self.deeds.iter().filter_map(|deed| match &deed.fields {
            Fields::JobRecord(f)
                if f.permit == *permit && f.job == *job && !deed.verdict.is_contradicted() =>
            {
                Some(f.step.number())
            }
            _ => None,
        });
        steps.next_back()
    }

    // What is owed.

    /// When what a statement lets fall due does so, of one that is to be entered now. Of two obligations that would have
    /// one place (the same bytes by two authors, in one block) the later one falls due later.
    pub(super) fn falls_due(&self, deed: &Deed) -> Option<u64> {
        if deed.verdict.is_contradicted() {
            return None;
        }
        let me = deed.author.as_participant()?;
        let begins = |source, recipient, transfer| {
            [true, false].iter().all(|is_export| self.half(*is_export, source, recipient, transfer).is_none())
        };
        let transfer_ms = self.policy().transfer_ms;
        let (period, rule) = match &deed.fields {
            Fields::EmergencyDeclare(_) => {
                (u64::from(self.policy().decision.emergency.review_hours) * 3_600_000, 1)
            }
            Fields::DisclosureExport(f) if begins(me, f.recipient.as_ref()?, &f.transfer) => (transfer_ms, 2),
            Fields::DisclosureImport(f) if begins(&f.source, me, &f.transfer) => (transfer_ms, 3),
            _ => return None,
        };
        let owed = self.owed();
        let is_taken = |at: &u64| owed.iter().any(|owed| owed.place == (*at, deed.item, rule));
        (self.time + period..).find(|at| !is_taken(at))
    }

    /// Everything that is owed and neither met nor recorded as a fact.
    pub(super) fn owed(&self) -> Vec<Obligation> {
        let owed = self.deeds.iter().filter_map(|deed| self.owed_for(deed));
        owed.filter(|obligation| !self.facts.contains(&obligation.place)).collect()
    }

    /// What a deed lets fall due, unless it was met by now.
    fn owed_for(&self, deed: &Deed) -> Option<Obligation> {
        if deed.verdict.is_contradicted() {
            return None;
        }
        let author = match &deed.author {
            Author::Participant(id) => id,
            Author::Subject(_) => return None,
        };
        let between = |a: &ParticipantId, b: &ParticipantId| vec![institution_trail(a), institution_trail(b)];
        let (deadline, rule, mut trails) = match &deed.fields {
            Fields::EmergencyDeclare(f) => {
                let is_met = self.review(author, &f.declaration).is_some();
                (!is_met).then(|| (self.review_by(deed), 1, between(&f.custodian, &f.acting)))?
            }
            Fields::DisclosureExport(f) => {
                let recipient = f.recipient.as_ref()?;
                let halves = (author, recipient, &f.transfer);
                (self.owes_other(deed, true, halves))
                    .then(|| (self.other_half_by(deed), 2, between(author, recipient)))?
            }
            Fields::DisclosureImport(f) => {
                let halves = (&f.source, author, &f.transfer);
                (self.owes_other(deed, false, halves))
                    .then(|| (self.other_half_by(deed), 3, between(&f.source, author)))?
            }
            Fields::PermitIssue(f) => self.expiry(deed, &f.permit, &f.terms)?,
            Fields::PermitAmend(f) => self.expiry(deed, &f.permit, &f.terms)?,
            _ => return None,
        };
        trails.sort_unstable();
        trails.dedup();
        Some(Obligation { place: (deadline, deed.item, rule), trails })
    }

    /// Whether a half is the one that counts, and the other side's is not there.
    fn owes_other(
        &self,
        deed: &Deed,
        is_export: bool,
        (source, recipient, transfer): (&ParticipantId, &ParticipantId, &Random16),
    ) -> bool {
        let mine = self.half(is_export, source, recipient, transfer);
        mine.is_some_and(|mine| mine.index == deed.index)
            && self.half(!is_export, source, recipient, transfer).is_none()
    }

    fn expiry(&self, deed: &Deed, permit: &Random16, terms: &Terms) -> Option<(u64, u32, Vec<Hash>)> {
        let stands = self.versions(permit).last().is_some_and(|(last, _)| last.index == deed.index);
        if !stands || self.permit_revoked(permit).is_some() || terms.ends.0 == FAR {
            return None;
        }
        let body = self.body(permit)?;
        Some((terms.ends.0, 4, vec![permit_trail(body, permit), institution_trail(body)]))
    }
}
