//! Statements of a random history.

use custos_proof::cbor::{Ascii, Set};
use custos_proof::certificate::{VoteType, vote_preimage};
use custos_proof::hash::BlockId;
use custos_proof::ids::{Height, Random16, Round};
use custos_proof::kinds::access::{Basis, Event, Late, Retention};
use custos_proof::kinds::{Fields, audit, correct, disclosure, emergency, job, misbehaviour, record};

use super::{HOSPITALS, NAMES, USER, World};
use crate::common::*;

impl World {
    /// A statement, and who would say it.
    pub(super) fn statement(&mut self, author: &'static str) -> (&'static str, Fields) {
        let event = self.event_id();
        match self.dice.below(16) {
            0 => {
                let (custodian, acting) = (self.custodian(), self.dice.of(&NAMES[..5]));
                self.declarations.push((event, custodian, acting));
                let declared = emergency::Declare {
                    declaration: event,
                    custodian: id(custodian),
                    acting: id(acting),
                    seal: NO_SEAL,
                };
                (self.dice.of(&[custodian, acting]), Fields::EmergencyDeclare(declared))
            }
            1 => {
                let (declaration, custodian, acting) =
                    self.dice.known(&self.declarations, (event, "hospital-a", "hospital-b"));
                let declarer = self.dice.of(&[custodian, acting]);
                let review =
                    emergency::Review { review: event, declarer: id(declarer), declaration, seal: NO_SEAL };
                (self.dice.of(&[custodian, acting, AUDITOR]), Fields::EmergencyReview(review))
            }
            2 | 3 => {
                let new = (self.fresh(), self.custodian(), self.name());
                let half = if self.dice.once_in(2) { new } else { self.dice.known(&self.transfers, new) };
                self.transfers.push(half);
                let (transfer, source, recipient) = half;
                let country = |text: &str| Ascii::new(text).unwrap();
                if self.dice.once_in(2) {
                    let recipient = (!self.dice.once_in(8)).then(|| id(recipient));
                    let export = disclosure::Export {
                        event,
                        transfer,
                        recipient,
                        agreement: None,
                        recognition: None,
                        from_country: country("DE"),
                        to_country: country(""),
                        seal: NO_SEAL,
                    };
                    return (source, Fields::DisclosureExport(export));
                }
                let import = disclosure::Import {
                    event,
                    transfer,
                    source: id(source),
                    from_country: country(""),
                    to_country: country("FR"),
                    seal: NO_SEAL,
                };
                let by = if recipient == "nobody" { author } else { recipient };
                (by, Fields::DisclosureImport(import))
            }
            4 => {
                let (new, other) = (self.fresh(), self.fresh());
                let job = if self.dice.once_in(3) { new } else { self.dice.known(&self.jobs, new) };
                self.jobs.push(job);
                let nodes = vec![id(self.name())];
                let record = job::Record {
                    event,
                    permit: self.dice.known(&self.permits, other),
                    job,
                    step: self.dice.of(job::Step::ALL),
                    code: None,
                    parameters: None,
                    nodes: Set::new(nodes).unwrap(),
                    cohort: job::Cohort::Below100,
                    opt_outs_removed: job::Precaution::Done,
                    disclosure_checked: job::Precaution::Unknown,
                    seal: NO_SEAL,
                };
                (self.dice.of(&[USER, "hospital-a", "hospital-b"]), Fields::JobRecord(record))
            }
            5 | 6 => {
                let (new, trail) = (self.fresh(), self.trail());
                let record = if self.dice.once_in(3) { new } else { self.dice.known(&self.records, new) };
                self.records.push(record);
                let step =
                    if self.dice.once_in(3) { record::Step::Ingest } else { self.dice.of(record::Step::ALL) };
                let event = record::Event {
                    event,
                    local_id: trail.local_id,
                    record,
                    step,
                    retention: Retention::Short,
                    seal: NO_SEAL,
                };
                (trail.custodian, Fields::RecordEvent(event))
            }
            7 => {
                let custodian = self.name();
                let read =
                    audit::Read { event, custodian: id(custodian), mandate: None, count: 3, seal: NO_SEAL };
                let by = self.dice.of(&[AUDITOR, custodian]);
                (if by == "nobody" { AUDITOR } else { by }, Fields::AuditRead(read))
            }
            8 => (self.dice.of(&HOSPITALS), self.report()),
            9 => {
                let trail = self.trail();
                let acting = trail.grantee.unwrap_or(trail.custodian);
                let correct = correct::Correct {
                    correction: event,
                    prior: self.dice.known(&self.events, event),
                    custodian: id(trail.custodian),
                    local_id: (!self.dice.once_in(6)).then_some(trail.local_id),
                    acting: id(acting),
                    reason: correct::Reason::Duplicate,
                    seal: NO_SEAL,
                };
                (self.dice.of(&[trail.custodian, acting]), Fields::AccessCorrect(correct))
            }
            _ => self.access(event),
        }
    }

    fn access(&mut self, event: Random16) -> (&'static str, Fields) {
        let trail = self.trail();
        let mut acting = trail.grantee.unwrap_or(trail.custodian);
        if self.dice.once_in(8) {
            acting = self.name();
        }
        let head = self.chain.height().0;
        let basis = self.dice.of(Basis::ALL);
        let other = self.fresh();
        let rules: Vec<_> =
            self.rules.iter().filter(|(at, _)| *at == trail.local_id).map(|(_, id)| *id).collect();
        let cited = match basis {
            Basis::Consent => Some(self.dice.known(&rules, other)),
            Basis::Permit => Some(self.dice.known(&self.permits, other)),
            Basis::Emergency => {
                let declarations: Vec<_> = self.declarations.iter().map(|(id, ..)| *id).collect();
                Some(self.dice.known(&declarations, other))
            }
            _ => self.dice.once_in(8).then_some(other),
        };
        let at = match self.dice.below(10) {
            0 => head + 1,
            1..=4 => head.saturating_sub(self.dice.below(6) as u64),
            _ => head,
        };
        let stream = u32::from(self.dice.once_in(3));
        let f = Event {
            event,
            custodian: id(trail.custodian),
            local_id: (!self.dice.once_in(8)).then_some(trail.local_id),
            acting: id(acting),
            basis,
            cited: cited.filter(|_| !self.dice.once_in(15)),
            at_height: Height(at),
            late: self.dice.of(&[Late::None, Late::None, Late::None, Late::Spooled, Late::ImportedHistory]),
            retention: self.dice.of(Retention::ALL),
            stream,
            sequence: if stream == 0 { 0 } else { self.dice.below(5) as u64 },
            seal: NO_SEAL,
        };
        let by = self.dice.of(&[trail.custodian, trail.custodian, acting]);
        (if by == "nobody" { trail.custodian } else { by }, Fields::AccessEvent(f))
    }

    /// Two votes of a validator that conflict, or do not.
    fn report(&mut self) -> Fields {
        let signer = key(&format!(
            "{} {}",
            self.dice.of(&HOSPITALS),
            self.dice.of(&["consensus", "consensus", "sign"])
        ));
        let height = Height(1 + self.dice.below(self.chain.height().0 as usize + 3) as u64);
        let (round, vote) = (Round(self.dice.below(2) as u32), VoteType::Precommit);
        let blocks = if self.dice.once_in(6) {
            [Some(BlockId([2; 32])), None]
        } else {
            [self.dice.once_in(2).then_some(BlockId([1; 32])), Some(BlockId([2; 32]))]
        };
        let chain = self.chain.id;
        let [first, second] = blocks.map(|block| {
            let preimage = vote_preimage(&chain, height, round, vote, block, &signer.public());
            misbehaviour::SignedVote { block, signature: signer.sign_bytes(&preimage) }
        });
        let mut report = misbehaviour::Report {
            key: signer.public(),
            height,
            round,
            vote,
            first,
            second,
            seen: misbehaviour::Seen::Consensus,
        };
        if self.dice.once_in(8) {
            report.second.signature.0[3] ^= 1;
        }
        Fields::MisbehaviourReport(report)
    }
}
