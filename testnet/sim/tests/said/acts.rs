//! Acts of a random history.

use custos_proof::cbor::{Ascii, Set};
use custos_proof::hash::{Digest, ItemHash};
use custos_proof::ids::{FAR, Height, Random16, TimeMs};
use custos_proof::keys::KeyPurpose;
use custos_proof::kinds::access::Retention;
use custos_proof::kinds::participant::Reason;
use custos_proof::kinds::rule::{Collected, Put};
use custos_proof::kinds::{
    Fields, dispute, finding, hold, key as keys, mandate, notarise, permit, policy, proposal, roster, trail,
    validator,
};
use custos_proof::registry::Role;
use custos_proof::trail::TrailName;

use super::{AGENT, BODY, DAY, NAMES, Trail, USER, World};
use crate::common::*;

impl World {
    /// An act, and who would write it.
    pub(super) fn act(&mut self, author: &'static str) -> (&'static str, Fields) {
        let new = self.fresh();
        match self.dice.below(32) {
            0..=3 => self.open(),
            4 => {
                let trail = self.trail();
                match self.dice.once_in(3) {
                    true => (trail.custodian, close(trail.local_id)),
                    false => self.open(),
                }
            }
            5..=8 => self.rule(),
            9 | 10 => self.agent(),
            11 => {
                let name = self.new_key(author);
                let purpose = if self.dice.once_in(4) { KeyPurpose::Note } else { KeyPurpose::Sign };
                (author, self.chain.add_key(author, &key(&name), purpose))
            }
            12 => {
                let (owner, old) = self.dice.known(&self.keys, (author, format!("{author} consensus")));
                let (owner, old) = (if self.dice.once_in(10) { author } else { owner }, key(&old));
                if self.dice.once_in(2) {
                    let since = self.dice.once_in(2).then(|| TimeMs(self.chain.next_time().0 - DAY));
                    return (owner, revoke(&old, since));
                }
                let name = self.new_key(owner);
                let overlap = self.dice.of(&[0, 60_000, 60_000, 31 * DAY]);
                (owner, self.chain.rotate_key(owner, &old, &key(&name), overlap))
            }
            13..=15 => self.permit(),
            16 => {
                let trail = self.trail();
                let custodian = trail.custodian;
                let local_id = self.dice.once_in(2).then_some(trail.local_id);
                let hold = self.dice.known(&self.holds, (custodian, new, local_id));
                if self.dice.once_in(2) {
                    let lift = hold::Lift { custodian: id(hold.0), hold: hold.1, local_id: hold.2 };
                    return (hold.0, Fields::HoldLift(lift));
                }
                self.holds.push((custodian, new, local_id));
                let set = hold::Set { hold: new, custodian: id(custodian), local_id, seal: NO_SEAL };
                (self.dice.of(&[custodian, AUDITOR]), Fields::HoldSet(set))
            }
            17 => {
                let trail = self.trail();
                let court = self.dice.once_in(2);
                let from = self.dice.below(2) as u64;
                let erase = hold::Erase {
                    local_id: trail.local_id,
                    from,
                    to: from + self.dice.below(4) as u64,
                    retention: self.dice.of(Retention::ALL),
                    before: if court { FAR } else { self.dice.of(&[QUARTER, TimeMs(QUARTER.0 - 1), FAR]) },
                    authority: if court { hold::Authority::Court } else { hold::Authority::RetentionEnded },
                    seal: NO_SEAL,
                };
                (trail.custodian, Fields::PayloadErase(erase))
            }
            18 => self.propose(author),
            19..=21 => {
                let vote = if self.dice.once_in(4) { proposal::Choice::No } else { proposal::Choice::Yes };
                let vote = proposal::Vote { proposal: self.dice.known(&self.proposals, new), vote };
                (self.dice.of(&HOSPITALS), Fields::ProposalVote(vote))
            }
            22 => {
                let now = self.chain.next_time();
                let commit = roster::Commit {
                    from: now,
                    until: now.plus(self.dice.of(&[DAY, 400 * DAY, 401 * DAY, 0])),
                    root: Digest([4; 32]),
                    count: roster::Count::Ten,
                };
                (author, Fields::RosterCommit(commit))
            }
            23 => {
                let custodian = self.custodian();
                if self.dice.once_in(3) {
                    let end = mandate::End { auditor: id(AUDITOR), custodian: id(custodian) };
                    return (self.dice.of(&[AUDITOR, AUDITOR, "hospital-a"]), Fields::MandateEnd(end));
                }
                let issue = mandate::Issue {
                    mandate: new,
                    auditor: id(if self.dice.once_in(10) { CLINIC } else { AUDITOR }),
                    custodian: id(custodian),
                    from_year: 2031,
                    to_year: self.dice.of(&[2031, 2060, 2061]),
                    seal: NO_SEAL,
                };
                (if custodian == "nobody" { "hospital-a" } else { custodian }, Fields::MandateIssue(issue))
            }
            24 => {
                let parent =
                    self.dice.once_in(2).then(|| self.dice.known(&self.notarised, ItemHash([9; 32])));
                let notarise = notarise::Notarise {
                    schema: Ascii::new(self.dice.of(&["report", "fund-allocation", "poem"])).unwrap(),
                    digest: Digest([5; 32]),
                    parent,
                    amount: self.dice.of(&[None, Some(0), Some(10), Some(100)]),
                    holder: self.dice.once_in(4).then(|| id(self.dice.of(&NAMES))),
                };
                (author, Fields::Notarise(notarise))
            }
            _ => self.contest(new),
        }
    }

    fn open(&mut self) -> (&'static str, Fields) {
        let custodian = self.custodian();
        let grantee = self.dice.once_in(2).then(|| self.name());
        let open = self.chain.open(custodian, &format!("patient {}", self.dice.below(6)), grantee);
        self.trails.push(Trail { custodian, local_id: local_id_of(&open), grantee });
        (if custodian == "nobody" { "hospital-a" } else { custodian }, open)
    }

    fn rule(&mut self) -> (&'static str, Fields) {
        let trail = self.trail();
        let rules: Vec<_> =
            self.rules.iter().filter(|(at, _)| *at == trail.local_id).map(|(_, id)| *id).collect();
        let put = self.chain.rule(trail.custodian, trail.local_id);
        let ends: Vec<_> = match self.dice.once_in(3) {
            true => vec![self.dice.known(&rules, put.prior)],
            false => vec![],
        };
        let put = Put {
            rule: if self.dice.once_in(15) { self.dice.known(&rules, put.rule) } else { put.rule },
            expiry: self.dice.of(&[FAR, FAR, QUARTER, TimeMs(QUARTER.0 + 1)]),
            ends: Set::new(ends).unwrap(),
            collected: self.dice.of(&[
                Collected::Paper,
                Collected::Paper,
                Collected::Custodian,
                Collected::Signed,
            ]),
            ..put
        };
        self.rules.push((trail.local_id, put.rule));
        (self.dice.of(&[trail.custodian, trail.custodian, AGENT]), Fields::RulePut(put))
    }

    fn agent(&mut self) -> (&'static str, Fields) {
        let trail = self.trail();
        let name = TrailName::subject(&id(trail.custodian), trail.local_id).key();
        let change = if self.dice.once_in(3) { trail::Change::Remove } else { trail::Change::Add };
        let by_key = self.dice.once_in(2);
        let key = key(&format!("subject of {name}"));
        let preimage = trail::possession_preimage(&self.chain.id, &name, &key.public());
        let with_possession = (by_key && change == trail::Change::Add) != self.dice.once_in(15);
        let agent = trail::Agent {
            custodian: id(trail.custodian),
            local_id: trail.local_id,
            change,
            key: by_key.then(|| key.public()),
            possession: with_possession.then(|| key.sign_bytes(&preimage)),
            agent: (!by_key).then(|| id(if self.dice.once_in(5) { CLINIC } else { AGENT })),
            collected: self.dice.of(&[
                Collected::Portal,
                Collected::Portal,
                Collected::Custodian,
                Collected::Signed,
            ]),
            seal: NO_SEAL,
        };
        (trail.custodian, Fields::TrailAgent(agent))
    }

    fn permit(&mut self) -> (&'static str, Fields) {
        let new = self.fresh();
        let now = self.chain.next_time();
        let terms = permit::Terms {
            user: id(if self.dice.once_in(12) { CLINIC } else { USER }),
            purposes: Set::new(vec![permit::Purpose::Research]).unwrap(),
            categories: Set::new(vec![permit::Category::Genomic]).unwrap(),
            holders: Set::new(vec![id(self.dice.of(&HOSPITALS)), id("hospital-a")]).unwrap(),
            environment: self.dice.once_in(4).then(|| id("hospital-b")),
            begins: if self.dice.once_in(6) { now.plus(DAY) } else { now },
            ends: match self.dice.below(4) {
                0 => FAR,
                1 => now.plus(2000),
                _ => now.plus(3 * DAY),
            },
            form: permit::Form::Anonymised,
            over_opt_out: permit::Override::None,
            decision: None,
        };
        let permit = self.dice.known(&self.permits, new);
        let fields = match self.dice.below(4) {
            0 => Fields::PermitAmend(permit::Amend { permit, terms }),
            1 => Fields::PermitRevoke(permit::Revoke { permit, reason: permit::Reason::Served }),
            _ => {
                self.permits.push(new);
                Fields::PermitIssue(permit::Issue { permit: new, terms })
            }
        };
        (BODY, fields)
    }

    fn propose(&mut self, author: &'static str) -> (&'static str, Fields) {
        let hospital = self.dice.of(&HOSPITALS);
        let member = self.name();
        let height = Height(self.chain.height().0 + self.dice.below(4) as u64);
        let newcomer = format!("member-{}", self.dice.below(4));
        let act = match self.dice.below(11) {
            0 => Fields::ParticipantRegister(registration(&newcomer, &[Role::Custodian, Role::Validator])),
            1 => {
                Fields::ParticipantUpdate(update(member, &[Role::Custodian, Role::Recipient, Role::Auditor]))
            }
            2 => suspend(self.dice.of(&[CLINIC, AUDITOR, "member-1"])),
            3 => self.put(&newcomer),
            4 => self.put(hospital),
            5 if self.dice.once_in(3) => {
                Fields::ValidatorRemove(validator::Remove { participant: id(hospital) })
            }
            6 => {
                let mut next = self.chain.genesis.policy.clone();
                next.version = 1 + self.dice.below(4) as u64;
                next.lag_ms = self.dice.of(&[0, 3_600_000, 31 * DAY]);
                next.transfer_ms = self.dice.of(&[DAY, u64::MAX]);
                Fields::PolicySet(policy::Set { policy: next, effective: height })
            }
            7 => Fields::ProtocolUpgrade(policy::Upgrade { version: 1, height: height.next() }),
            8 => {
                let name = self.new_key(member);
                self.chain.add_key(member, &key(&name), KeyPurpose::Sign)
            }
            9 => Fields::KeyRevoke(keys::Revoke {
                key: key(&format!("{member} sign")).id(),
                reason: Reason::Breach,
                compromised_from: Some(TimeMs(self.chain.next_time().0 - 90 * DAY)),
            }),
            _ => Fields::MandateEnd(mandate::End { auditor: id(AUDITOR), custodian: id(hospital) }),
        };
        let second = suspend(CLINIC);
        let acts = if self.dice.once_in(5) { vec![act, second] } else { vec![act] };
        let mut open = self.chain.proposal_of(acts);
        if self.dice.once_in(6) {
            open.deadline = self.dice.of(&[TimeMs(0), self.chain.next_time().plus(91 * DAY)]);
        }
        self.proposals.push(open.proposal);
        (if author == REGISTRY { author } else { hospital }, Fields::ProposalOpen(open))
    }

    fn put(&mut self, name: &str) -> Fields {
        let purpose = KeyPurpose::Consensus;
        let key = key(&format!("{name} consensus{}", if self.dice.once_in(3) { " new" } else { "" }));
        Fields::ValidatorPut(validator::Put {
            participant: id(name),
            key: key.public(),
            possession: key.possession(&self.chain.id, name, purpose),
            power: self.dice.of(&[1, 1, 1, 5, 0]),
        })
    }

    fn contest(&mut self, new: Random16) -> (&'static str, Fields) {
        let institution = self.custodian();
        let known = self.dice.known(&self.disputes, (new, institution));
        let opener = |by: &'static str| if by == "nobody" { AUDITOR } else { by };
        match self.dice.below(4) {
            0 => {
                let record = finding::Record {
                    finding: new,
                    institution: id(institution),
                    rule: Ascii::new("unrelated").unwrap(),
                    version: Digest([4; 32]),
                    evidence: Set::default(),
                    seal: NO_SEAL,
                };
                (AUDITOR, Fields::FindingRecord(record))
            }
            1 => {
                self.disputes.push((new, institution));
                let behalf = self.dice.of(&[dispute::Behalf::Subject, dispute::Behalf::Author]);
                let open =
                    dispute::Open { dispute: new, institution: id(institution), behalf, seal: NO_SEAL };
                (opener(self.dice.of(&[institution, institution, AUDITOR])), Fields::DisputeOpen(open))
            }
            2 => {
                let answer = dispute::Answer { dispute: known.0, seal: NO_SEAL };
                (opener(known.1), Fields::DisputeAnswer(answer))
            }
            _ => {
                let resolve = dispute::Resolve {
                    dispute: known.0,
                    institution: id(known.1),
                    resolution: self.dice.of(&[dispute::Resolution::Withdrawn, dispute::Resolution::Upheld]),
                    seal: NO_SEAL,
                };
                (opener(self.dice.of(&[known.1, known.1, AUDITOR])), Fields::DisputeResolve(resolve))
            }
        }
    }
}
