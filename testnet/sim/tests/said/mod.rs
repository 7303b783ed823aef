//! What is said in a random history: every kind, by anybody, about anything that is there.

use custos_proof::cbor::{Ascii, List, Set};
use custos_proof::certificate::{VoteType, vote_preimage};
use custos_proof::hash::{BlockId, Digest, ItemHash};
use custos_proof::ids::{FAR, Height, Random16, Round, TimeMs};
use custos_proof::item::item_hash;
use custos_proof::keys::KeyPurpose;
use custos_proof::kinds::access::{Basis, Event, Late, Retention};
use custos_proof::kinds::participant::Reason;
use custos_proof::kinds::rule::{Collected, Put};
use custos_proof::kinds::{
    Class, Fields, audit, correct, disclosure, dispute, emergency, finding, hold, job, key as keys, mandate,
    misbehaviour, notarise, permit, policy, proposal, record, roster, trail, validator,
};
use custos_proof::registry::Role;
use custos_proof::submission::{Author, Verified};
use custos_proof::trail::TrailName;

use super::common::*;

const BODY: &str = "access-body";
const USER: &str = "institute";
const AGENT: &str = "agent";
/// Everybody, and somebody who is not there.
const NAMES: [&str; 11] = [
    "hospital-a", "hospital-b", "hospital-c", "hospital-d", CLINIC, AUDITOR, REGISTRY, BODY, USER, AGENT, "nobody",
];
const DAY: u64 = 86_400_000;

/// Numbers that follow from a seed (splitmix64).
pub(crate) struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }
    fn below(&mut self, n: usize) -> usize {
        (self.roll() % n.max(1) as u64) as usize
    }
    /// Once in `n` times.
    fn once_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
    fn of<T: Clone>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())].clone()
    }
    /// One of these, mostly a recent one; seldom something else.
    fn known<T: Clone>(&mut self, all: &[T], else_: T) -> T {
        if all.is_empty() || self.once_in(12) {
            return else_;
        }
        let recent = all.len() - all.len().min(6);
        if self.once_in(4) { self.of(all) } else { self.of(&all[recent..]) }
    }
}

/// A trail that somebody opened, or wanted to.
#[derive(Clone)]
struct Trail {
    custodian: &'static str,
    local_id: Digest,
    grantee: Option<&'static str>,
}

/// What was said so far, whatever became of it.
pub(crate) struct World {
    pub(crate) chain: Chain,
    dice: Dice,
    trails: Vec<Trail>,
    rules: Vec<(Digest, Random16)>,
    events: Vec<Random16>,
    declarations: Vec<(Random16, &'static str, &'static str)>,
    transfers: Vec<(Random16, &'static str, &'static str)>,
    permits: Vec<Random16>,
    jobs: Vec<Random16>,
    records: Vec<Random16>,
    proposals: Vec<Random16>,
    holds: Vec<(&'static str, Random16, Option<Digest>)>,
    disputes: Vec<(Random16, &'static str)>,
    notarised: Vec<ItemHash>,
    /// Items that were sent, and by whom.
    sent: Vec<(&'static str, Class, Vec<u8>)>,
    submissions: Vec<Verified>,
    keys: Vec<String>,
}

impl World {
    pub(crate) fn new() -> Self {
        let others: [(&str, &[Role]); 3] =
            [(BODY, &[Role::AccessBody]), (USER, &[Role::DataUser]), (AGENT, &[Role::Agent])];
        let mut genesis = genesis_with("random histories", BEGIN, &others);
        genesis.policy.retention_days = List::new(vec![20, 3_650, 10_950]).unwrap();
        genesis.policy.transfer_ms = 3 * DAY;
        genesis.policy.max_nonces = 40;
        Self {
            chain: Chain::from_genesis(genesis),
            dice: Dice(0),
            trails: vec![],
            rules: vec![],
            events: vec![],
            declarations: vec![],
            transfers: vec![],
            permits: vec![],
            jobs: vec![],
            records: vec![],
            proposals: vec![],
            holds: vec![],
            disputes: vec![],
            notarised: vec![],
            sent: vec![],
            submissions: vec![],
            keys: vec![],
        }
    }

    /// What is said in the next block.
    pub(crate) fn block(&mut self, roll: u64) -> Vec<Verified> {
        self.dice = Dice(roll);
        self.chain.pace_ms = match self.dice.below(60) {
            0 => 200 * DAY,
            1..=2 => 9 * DAY,
            3..=6 => 2 * DAY,
            7..=14 => 20 * 60_000,
            _ => 1000,
        };
        (0..2 + self.dice.below(8)).map(|_| self.submission()).collect()
    }

    fn submission(&mut self) -> Verified {
        if !self.submissions.is_empty() && self.dice.once_in(40) {
            return self.dice.of(&self.submissions);
        }
        let mut author = self.dice.of(&NAMES[..10]);
        let class = if self.dice.once_in(2) { Class::Act } else { Class::Testimony };
        let mut items = Vec::new();
        if !self.sent.is_empty() && self.dice.once_in(12) {
            // Sent again: by the same author, or by another one.
            let (by, class, bytes) = self.dice.of(&self.sent);
            author = if self.dice.once_in(2) { by } else { author };
            let again = self.chain.draft(author, class, vec![bytes]).sign();
            return self.keep(again);
        }
        // Acts are admitted together or not at all: several of them seldom are.
        let count = 1 + if class == Class::Testimony || self.dice.once_in(6) { self.dice.below(3) } else { 0 };
        for _ in 0..count {
            let (suggested, fields) = match class {
                Class::Act => self.act(author),
                Class::Testimony => self.statement(author),
            };
            // Mostly somebody who may say it.
            author = if items.is_empty() && !self.dice.once_in(10) { suggested } else { author };
            let bytes = self.chain.item(fields);
            self.sent.push((author, class, bytes.clone()));
            if class == Class::Act {
                self.notarised.push(item_hash(&bytes));
            }
            items.push(bytes);
        }
        let mut letter = self.chain.draft(author, class, items);
        match self.dice.below(60) {
            0 => letter.not_after = TimeMs(self.chain.next_time().0 - 1),
            1 => letter.not_after = self.chain.next_time().plus(3_600_001),
            2 => letter.not_after = self.chain.next_time(),
            3 => letter.class = if class == Class::Act { Class::Testimony } else { Class::Act },
            4 => letter.chain.0[0] ^= 1,
            5 => letter.key = key("a key of nobody"),
            6 => letter.key = key(&format!("{author} consensus")),
            7 => letter.author = Author::Participant(id("nobody")),
            8..=12 if !self.keys.is_empty() => letter.key = key(&self.dice.of(&self.keys)),
            13..=16 if !self.trails.is_empty() => {
                let trail = self.dice.of(&self.trails);
                let name = TrailName::subject(&id(trail.custodian), trail.local_id).key();
                letter.author = Author::Subject(name);
                letter.key = key(&format!("subject of {name}"));
            }
            _ => {}
        }
        let signed = letter.sign();
        self.keep(signed)
    }

    fn keep(&mut self, submission: Verified) -> Verified {
        self.submissions.push(submission.clone());
        submission
    }

    fn name(&mut self) -> &'static str {
        if self.dice.once_in(25) { "nobody" } else { self.dice.of(&NAMES[..10]) }
    }

    fn custodian(&mut self) -> &'static str {
        if self.dice.once_in(10) { self.name() } else { self.dice.of(&HOSPITALS[..3]) }
    }

    fn fresh(&mut self) -> Random16 {
        self.chain.random16()
    }

    fn trail(&mut self) -> Trail {
        let other = Trail { custodian: "hospital-a", local_id: Digest([3; 32]), grantee: None };
        self.dice.known(&self.trails, other)
    }

    fn event_id(&mut self) -> Random16 {
        let new = self.fresh();
        let event = if self.dice.once_in(15) { self.dice.known(&self.events, new) } else { new };
        self.events.push(event);
        event
    }

    /// A statement, and who would say it.
    fn statement(&mut self, author: &'static str) -> (&'static str, Fields) {
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
                let step = if self.dice.once_in(3) {
                    record::Step::Ingest
                } else {
                    self.dice.of(record::Step::ALL)
                };
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
                let read = audit::Read {
                    event,
                    custodian: id(custodian),
                    mandate: None,
                    count: 3,
                    seal: NO_SEAL,
                };
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
        let rules: Vec<_> = self.rules.iter().filter(|(at, _)| *at == trail.local_id).map(|(_, id)| *id).collect();
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
        let signer = key(&format!("{} {}", self.dice.of(&HOSPITALS), self.dice.of(&["consensus", "consensus", "sign"])));
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

    /// An act, and who would write it.
    fn act(&mut self, author: &'static str) -> (&'static str, Fields) {
        let new = self.fresh();
        match self.dice.below(26) {
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
                let name = format!("key {}", self.keys.len());
                self.keys.push(name.clone());
                let purpose = if self.dice.once_in(4) { KeyPurpose::Note } else { KeyPurpose::Sign };
                (author, self.chain.add_key(author, &key(&name), purpose))
            }
            12 => {
                let old = key(&self.dice.known(&self.keys, format!("{author} sign")));
                if self.dice.once_in(2) {
                    let since = self.dice.once_in(2).then(|| TimeMs(self.chain.next_time().0 - DAY));
                    return (author, revoke(&old, since));
                }
                let name = format!("key {}", self.keys.len());
                self.keys.push(name.clone());
                (author, self.chain.rotate_key(author, &old, &key(&name), self.dice.of(&[0, 60_000, 31 * DAY])))
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
                    return (self.dice.of(&[AUDITOR, "hospital-a"]), Fields::MandateEnd(end));
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
                let parent = self.dice.once_in(2).then(|| self.dice.known(&self.notarised, ItemHash([9; 32])));
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
        let rules: Vec<_> = self.rules.iter().filter(|(at, _)| *at == trail.local_id).map(|(_, id)| *id).collect();
        let put = self.chain.rule(trail.custodian, trail.local_id);
        let ends: Vec<_> = match self.dice.once_in(3) {
            true => vec![self.dice.known(&rules, put.prior)],
            false => vec![],
        };
        let put = Put {
            rule: if self.dice.once_in(15) { self.dice.known(&rules, put.rule) } else { put.rule },
            expiry: self.dice.of(&[FAR, FAR, QUARTER, TimeMs(QUARTER.0 + 1)]),
            ends: Set::new(ends).unwrap(),
            collected: self.dice.of(&[Collected::Paper, Collected::Paper, Collected::Custodian, Collected::Signed]),
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
            collected: self.dice.of(&[Collected::Portal, Collected::Portal, Collected::Custodian, Collected::Signed]),
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
            1 => Fields::ParticipantUpdate(update(member, &[Role::Custodian, Role::Recipient, Role::Auditor])),
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
                let name = format!("key {}", self.keys.len());
                self.keys.push(name.clone());
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
                let open = dispute::Open { dispute: new, institution: id(institution), behalf, seal: NO_SEAL };
                let by = self.dice.of(&[institution, AUDITOR]);
                (if by == "nobody" { AUDITOR } else { by }, Fields::DisputeOpen(open))
            }
            2 => {
                let answer = dispute::Answer { dispute: known.0, seal: NO_SEAL };
                (if known.1 == "nobody" { AUDITOR } else { known.1 }, Fields::DisputeAnswer(answer))
            }
            _ => {
                let resolve = dispute::Resolve {
                    dispute: known.0,
                    institution: id(known.1),
                    resolution: self.dice.of(dispute::Resolution::ALL),
                    seal: NO_SEAL,
                };
                let by = self.dice.of(&[known.1, AUDITOR]);
                (if by == "nobody" { AUDITOR } else { by }, Fields::DisputeResolve(resolve))
            }
        }
    }
}
