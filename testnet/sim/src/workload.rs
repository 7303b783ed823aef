//! What the simulated network has to say: submissions of many kinds, drawn from a seed.
//!
//! Most are what an honest system would send; some cite what does not exist, come late, or say the
//! same again, because refusals and contradicted verdicts are rules too. The generator remembers
//! what it said, not what became of it: an act may rest on one that was refused.

use custos_proof::cbor::{Ascii, List, Set, Wire as _};
use custos_proof::hash::{ChainId, Digest, ItemHash, sha256};
use custos_proof::ids::{FAR, Height, ItemId, ParticipantId, Random16, TimeMs};
use custos_proof::item::{Item, item_hash};
use custos_proof::kinds::access::{Basis, Event, Late, Retention};
use custos_proof::kinds::rule::{Collected, Put};
use custos_proof::kinds::trail::{Close, Open};
use custos_proof::kinds::{
    Class, Fields, audit, correct, disclosure, dispute, emergency, finding, hold, job, mandate, notarise,
    permit, record, roster,
};
use custos_proof::seal::{Place, Seal};
use custos_proof::subject::{epoch_secret, local_id, reader};
use custos_proof::submission::{Author, Draft, Submission};

use crate::rng::Rng;
use crate::world::{AUDITOR, BODY, CLINIC, SimKey, USER, World, participant};

/// A seal that is still to be made.
const NO_SEAL: Seal = Seal { root: Digest::ZERO, ciphertext: None };

/// How much of what was said is remembered, of each sort.
const MEMORY: usize = 24;

/// Who says something: a name, and the key it signs with.
pub(crate) type Voice = (ParticipantId, SimKey);

/// What a client knows of the chain.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sight {
    pub(crate) time: TimeMs,
    pub(crate) height: Height,
}

/// The generator.
pub(crate) struct Workload {
    rng: Rng,
    chain: ChainId,
    custodians: Vec<ParticipantId>,
    voices: Vec<Voice>,
    said: Said,
}

/// What was said.
#[derive(Default)]
struct Said {
    trails: Vec<(ParticipantId, Digest)>,
    rules: Vec<(ParticipantId, Digest, Random16)>,
    events: Vec<(ParticipantId, Event)>,
    items: Vec<(ParticipantId, Class, Vec<u8>)>,
    emergencies: Vec<(ParticipantId, Random16)>,
    /// In which trail a declaration is cited: never in another, or the two could be linked.
    cited: Vec<(Random16, Option<(ParticipantId, Digest)>)>,
    transfers: Vec<(ParticipantId, Random16)>,
    permits: Vec<(Random16, permit::Terms)>,
    records: Vec<(ParticipantId, Digest, Random16)>,
    holds: Vec<hold::Set>,
    disputes: Vec<(ParticipantId, Random16)>,
    mandates: Vec<(ParticipantId, Random16)>,
    notes: Vec<(ParticipantId, ItemHash)>,
}

/// Remembers, and forgets the oldest.
fn remember<T>(list: &mut Vec<T>, value: T) {
    if list.len() >= MEMORY {
        list.remove(0);
    }
    list.push(value);
}

impl Workload {
    pub(crate) fn new(world: &World, validators: usize, rng: Rng) -> Self {
        let custodians: Vec<ParticipantId> =
            world.hospitals[..validators].iter().map(|hospital| hospital.id.clone()).collect();
        let voices = world.signers.iter().map(|(id, key)| (id.clone(), key.clone())).collect();
        Self { rng, chain: world.chain, custodians, voices, said: Said::default() }
    }

    /// The next thing that somebody says.
    pub(crate) fn next(&mut self, sight: Sight) -> Submission {
        let count = if self.rng.chance(100) { self.rng.within(2, 6) } else { 1 };
        if self.rng.chance(450) { self.acts(sight) } else { self.testimony(sight, count) }
    }

    /// A submission in which `author` opens, rules and states in others' names: what a squatter tries.
    pub(crate) fn squat(&mut self, sight: Sight, voice: &Voice) -> Submission {
        let victim = self.custodian();
        let trails: Vec<Digest> =
            self.said.trails.iter().filter(|(of, _)| *of != voice.0).map(|(_, id)| *id).collect();
        let taken = self.rng.pick(&trails).copied().unwrap_or(Digest(self.rng.bytes()));
        let fields = match self.rng.below(4) {
            0 => Fields::TrailOpen(Open {
                local_id: taken,
                grantee: None,
                epoch: u16::try_from(sight.time.year()).unwrap_or_default(),
                reader: Digest(self.rng.bytes()),
                seal: NO_SEAL,
            }),
            1 => Fields::RulePut(self.rule(&victim, taken)),
            2 => Fields::TrailClose(Close { local_id: taken }),
            _ => {
                let custodian = victim.clone();
                let event = Event { local_id: Some(taken), ..self.event(sight, custodian, victim) };
                let item = self.item(Fields::AccessEvent(event));
                return self.sign(sight, voice, Class::Testimony, vec![item]);
            }
        };
        let item = self.item(fields);
        self.sign(sight, voice, Class::Act, vec![item])
    }

    /// Acts of one author, that somebody else decided on: votes, for instance.
    pub(crate) fn say(&mut self, sight: Sight, voice: &Voice, class: Class, said: Vec<Fields>) -> Submission {
        let items = said.into_iter().map(|fields| self.item(fields)).collect();
        self.sign(sight, voice, class, items)
    }

    /// An item with a fresh id, sealed.
    pub(crate) fn item_of(&mut self, mut fields: Fields) -> Item {
        let item_id = ItemId(self.rng.bytes());
        let kind = fields.kind();
        if fields.seal().is_some_and(|seal| seal.root == Digest::ZERO) {
            let values = vec![vec![0]; kind.sealed_fields().len()];
            let place = Place { chain: &self.chain, kind, item_id: &item_id };
            let sealed = place.seal(&self.rng.bytes(), &values);
            fields.set_seal(sealed.expect("because there is a value for each field"));
        }
        Item { item_id, fields }
    }

    pub(crate) fn random16(&mut self) -> Random16 {
        Random16(self.rng.bytes())
    }

    fn item(&mut self, fields: Fields) -> Vec<u8> {
        self.item_of(fields).to_bytes()
    }

    fn sign(&mut self, sight: Sight, voice: &Voice, class: Class, items: Vec<Vec<u8>>) -> Submission {
        // Some live for seconds, so that some expire, and that buckets of nonces are dropped.
        let lifetime =
            if self.rng.chance(100) { self.rng.within(500, 4_000) } else { self.rng.within(20_000, 900_000) };
        let draft = Draft {
            chain: &self.chain,
            author: Author::Participant(voice.0.clone()),
            class,
            nonce: Random16(self.rng.bytes()),
            not_after: sight.time.plus(lifetime),
        };
        Submission::sign(&draft, items, &voice.1).expect("because items here are few and small")
    }

    fn voice(&self, id: &ParticipantId) -> Voice {
        let found = self.voices.iter().find(|(name, _)| name == id).cloned();
        found.unwrap_or_else(|| (id.clone(), SimKey::named(&format!("{id} sign"))))
    }

    fn custodian(&mut self) -> ParticipantId {
        self.rng.pick(&self.custodians).cloned().unwrap_or_else(|| participant(CLINIC))
    }

    fn anybody(&mut self) -> ParticipantId {
        match self.rng.below(8) {
            0 => participant(CLINIC),
            1 => participant(USER),
            2 => participant(AUDITOR),
            3 if self.rng.chance(200) => participant(&format!("nobody-{}", self.rng.below(1 << 40))),
            _ => self.custodian(),
        }
    }

    // ---- acts ---------------------------------------------------------------------------------

    fn acts(&mut self, sight: Sight) -> Submission {
        let custodian = self.custodian();
        let (author, acts) = match self.rng.below(20) {
            0..=4 => (custodian.clone(), self.open(sight, &custodian)),
            5..=8 => self.put_rule(),
            9 => {
                let open = self.rng.pick(&self.said.trails).cloned();
                let (of, local_id) = open.unwrap_or_else(|| (custodian.clone(), Digest(self.rng.bytes())));
                (of, vec![Fields::TrailClose(Close { local_id })])
            }
            10 => (participant(BODY), self.permit(sight)),
            11 => (participant(BODY), self.end_permit()),
            12 => (custodian, vec![self.roster(sight)]),
            13 => self.mandate(sight),
            14 => self.note(),
            15 => (participant(AUDITOR), vec![self.finding()]),
            16 | 17 => self.dispute(),
            _ => self.hold(),
        };
        let voice = self.voice(&author);
        self.say(sight, &voice, Class::Act, acts)
    }

    fn open(&mut self, sight: Sight, custodian: &ParticipantId) -> Vec<Fields> {
        let subject = self.rng.below(12);
        let grantee = self.rng.chance(600).then(|| self.anybody());
        let year = sight.time.year();
        let k = sha256(format!("k of {subject} at {custodian}").as_bytes()).0;
        let secret = epoch_secret(&k, u16::try_from(year).unwrap_or_default());
        let local_id = local_id(&secret, &self.chain, custodian, grantee.as_ref());
        remember(&mut self.said.trails, (custodian.clone(), local_id));
        let epoch = u16::try_from(year).unwrap_or_default();
        let open = Open { local_id, grantee, epoch, reader: reader(&secret, &local_id), seal: NO_SEAL };
        let mut acts = vec![Fields::TrailOpen(open)];
        if self.rng.chance(500) {
            let put = self.rule(custodian, local_id);
            acts.push(Fields::RulePut(put));
        }
        acts
    }

    fn rule(&mut self, custodian: &ParticipantId, local_id: Digest) -> Put {
        let ends: Vec<Random16> = self
            .said
            .rules
            .iter()
            .filter(|(of, id, _)| of == custodian && *id == local_id)
            .map(|(_, _, rule)| *rule)
            .collect();
        let ends = if self.rng.chance(300) { self.rng.pick(&ends).copied() } else { None };
        let rule = Random16(self.rng.bytes());
        remember(&mut self.said.rules, (custodian.clone(), local_id, rule));
        Put {
            custodian: custodian.clone(),
            local_id,
            rule,
            prior: Random16(self.rng.bytes()),
            expiry: FAR,
            ends: Set::new(ends.into_iter().collect()).unwrap_or_default(),
            collected: if self.rng.chance(500) { Collected::Paper } else { Collected::Portal },
            seal: NO_SEAL,
        }
    }

    fn put_rule(&mut self) -> (ParticipantId, Vec<Fields>) {
        let trail = self.rng.pick(&self.said.trails).cloned();
        let (custodian, local_id) = trail.unwrap_or_else(|| (self.custodian(), Digest(self.rng.bytes())));
        let put = self.rule(&custodian, local_id);
        (custodian, vec![Fields::RulePut(put)])
    }

    fn permit(&mut self, sight: Sight) -> Vec<Fields> {
        let holders = [self.custodian(), self.custodian()];
        let holders: std::collections::BTreeSet<_> = holders.into_iter().collect();
        let terms = permit::Terms {
            user: participant(USER),
            purposes: Set::new(vec![permit::Purpose::Research]).unwrap_or_default(),
            categories: Set::new(vec![permit::Category::HealthRecords]).unwrap_or_default(),
            holders: Set::new(holders.into_iter().collect()).unwrap_or_default(),
            environment: None,
            begins: TimeMs(sight.time.0.saturating_sub(1000)),
            ends: sight.time.plus(self.rng.within(1_000, 60_000)),
            form: permit::Form::Pseudonymised,
            over_opt_out: permit::Override::None,
            decision: Some(Digest(self.rng.bytes())),
        };
        let known = self.rng.pick(&self.said.permits).cloned();
        match known.filter(|_| self.rng.chance(300)) {
            Some((permit, _)) => vec![Fields::PermitAmend(permit::Amend { permit, terms })],
            None => {
                let permit = Random16(self.rng.bytes());
                vec![Fields::PermitIssue(permit::Issue { permit, terms })]
            }
        }
    }

    fn end_permit(&mut self) -> Vec<Fields> {
        let permit = self.some_permit();
        vec![Fields::PermitRevoke(permit::Revoke { permit, reason: permit::Reason::Served })]
    }

    /// A permit that was issued, or none that anybody knows.
    fn some_permit(&mut self) -> Random16 {
        let known = self.rng.pick(&self.said.permits).map(|(permit, _)| *permit);
        known.unwrap_or(Random16(self.rng.bytes()))
    }

    fn roster(&mut self, sight: Sight) -> Fields {
        Fields::RosterCommit(roster::Commit {
            from: sight.time,
            until: sight.time.plus(86_400_000),
            root: Digest(self.rng.bytes()),
            count: roster::Count::Hundred,
        })
    }

    fn mandate(&mut self, sight: Sight) -> (ParticipantId, Vec<Fields>) {
        let custodian = self.custodian();
        if self.rng.chance(300) {
            let end = mandate::End { auditor: participant(AUDITOR), custodian: custodian.clone() };
            return (custodian, vec![Fields::MandateEnd(end)]);
        }
        let mandate = Random16(self.rng.bytes());
        remember(&mut self.said.mandates, (custodian.clone(), mandate));
        let year = u16::try_from(sight.time.year()).unwrap_or_default();
        let issue = mandate::Issue {
            mandate,
            auditor: participant(AUDITOR),
            custodian: custodian.clone(),
            from_year: year.saturating_sub(1),
            to_year: year,
            seal: NO_SEAL,
        };
        (custodian, vec![Fields::MandateIssue(issue)])
    }

    fn note(&mut self) -> (ParticipantId, Vec<Fields>) {
        let author = self.custodian();
        let parent = self.rng.pick(&self.said.notes).cloned().filter(|_| self.rng.chance(600));
        let note = notarise::Notarise {
            schema: Ascii::new("fund-allocation").unwrap_or_default(),
            digest: Digest(self.rng.bytes()),
            parent: parent.as_ref().map(|(_, parent)| *parent),
            amount: Some(self.rng.below(500)),
            holder: Some(self.custodian()),
        };
        (parent.map_or(author, |(holder, _)| holder), vec![Fields::Notarise(note)])
    }

    fn finding(&mut self) -> Fields {
        Fields::FindingRecord(finding::Record {
            finding: Random16(self.rng.bytes()),
            institution: self.custodian(),
            rule: Ascii::new("unrelated-treatment").unwrap_or_default(),
            version: Digest([7; 32]),
            evidence: Set::default(),
            seal: NO_SEAL,
        })
    }

    fn dispute(&mut self) -> (ParticipantId, Vec<Fields>) {
        let auditor = participant(AUDITOR);
        match (self.rng.below(3), self.rng.pick(&self.said.disputes).cloned()) {
            (1, Some((institution, dispute))) => {
                (institution, vec![Fields::DisputeAnswer(dispute::Answer { dispute, seal: NO_SEAL })])
            }
            (2, Some((institution, dispute))) => {
                let resolution = dispute::Resolution::Dismissed;
                let resolve = dispute::Resolve { dispute, institution, resolution, seal: NO_SEAL };
                (auditor, vec![Fields::DisputeResolve(resolve)])
            }
            _ => {
                let (institution, dispute) = (self.custodian(), Random16(self.rng.bytes()));
                remember(&mut self.said.disputes, (institution.clone(), dispute));
                let behalf = dispute::Behalf::Author;
                (
                    auditor,
                    vec![Fields::DisputeOpen(dispute::Open { dispute, institution, behalf, seal: NO_SEAL })],
                )
            }
        }
    }

    fn hold(&mut self) -> (ParticipantId, Vec<Fields>) {
        let auditor = participant(AUDITOR);
        if let Some(set) = self.rng.pick(&self.said.holds).cloned().filter(|_| self.rng.chance(400)) {
            let lift = hold::Lift { custodian: set.custodian, hold: set.hold, local_id: set.local_id };
            return (auditor, vec![Fields::HoldLift(lift)]);
        }
        let trail = self.rng.pick(&self.said.trails).cloned();
        let (custodian, local_id) =
            trail.map_or_else(|| (self.custodian(), None), |(custodian, id)| (custodian, Some(id)));
        let set = hold::Set { hold: Random16(self.rng.bytes()), custodian, local_id, seal: NO_SEAL };
        remember(&mut self.said.holds, set.clone());
        (auditor, vec![Fields::HoldSet(set)])
    }

    // ---- testimony ----------------------------------------------------------------------------

    fn testimony(&mut self, sight: Sight, count: u64) -> Submission {
        // The same statement once more, under another envelope.
        if let Some((author, Class::Testimony, item)) =
            self.rng.pick(&self.said.items).cloned().filter(|_| self.rng.chance(60))
        {
            let voice = self.voice(&author);
            return self.sign(sight, &voice, Class::Testimony, vec![item]);
        }
        let (author, first) = self.statement(sight);
        let mut said = vec![first];
        for _ in 1..count * 3 {
            // Not what only another may say: that would put the other's ids into this one's trails.
            let (whose, more) = self.statement(sight);
            said.extend((whose == author).then_some(more));
        }
        let items: Vec<Vec<u8>> = said.into_iter().map(|fields| self.item(fields)).collect();
        if let Some(item) = items.first() {
            remember(&mut self.said.items, (author.clone(), Class::Testimony, item.clone()));
        }
        let voice = self.voice(&author);
        self.sign(sight, &voice, Class::Testimony, items)
    }

    fn statement(&mut self, sight: Sight) -> (ParticipantId, Fields) {
        let (custodian, acting) = (self.custodian(), self.anybody());
        match self.rng.below(16) {
            0..=7 => self.access(sight, custodian, acting),
            8 => self.correction(custodian, acting),
            9 | 10 => self.emergency(custodian, acting),
            11 | 12 => self.transfer(custodian),
            13 => self.job(),
            14 => self.life(custodian),
            _ => {
                let known = self.rng.pick(&self.said.mandates).cloned();
                let (custodian, mandate) =
                    known.map_or((custodian, None), |(custodian, mandate)| (custodian, Some(mandate)));
                let count = u32::try_from(self.rng.below(50)).unwrap_or_default();
                let event = Random16(self.rng.bytes());
                let read = audit::Read { event, custodian, mandate, count, seal: NO_SEAL };
                (participant(AUDITOR), Fields::AuditRead(read))
            }
        }
    }

    fn event(&mut self, sight: Sight, custodian: ParticipantId, acting: ParticipantId) -> Event {
        let behind = self.rng.below(4);
        Event {
            event: Random16(self.rng.bytes()),
            custodian,
            local_id: None,
            acting,
            basis: Basis::Law,
            cited: None,
            at_height: Height(sight.height.0.saturating_sub(behind)),
            late: Late::None,
            retention: Retention::Standard,
            stream: 0,
            sequence: 0,
            seal: NO_SEAL,
        }
    }

    fn access(
        &mut self,
        sight: Sight,
        custodian: ParticipantId,
        acting: ParticipantId,
    ) -> (ParticipantId, Fields) {
        let mut event = self.event(sight, custodian, acting);
        if let Some((custodian, local_id)) = self.rng.pick(&self.said.trails).cloned() {
            (event.custodian, event.local_id) = (custodian, Some(local_id));
        }
        match self.rng.below(10) {
            0..=3 => {
                if let Some((custodian, local_id, rule)) = self.rng.pick(&self.said.rules).cloned() {
                    (event.custodian, event.local_id) = (custodian, Some(local_id));
                    (event.basis, event.cited) = (Basis::Consent, Some(rule));
                }
            }
            4 => {
                let permit = self.rng.pick(&self.said.permits).map(|(permit, _)| *permit);
                (event.basis, event.cited) = (Basis::Permit, permit);
                event.acting = participant(USER);
            }
            5 => {
                let declared = self.rng.pick(&self.said.emergencies).cloned();
                event.basis = Basis::Emergency;
                if let Some((_, id)) = declared {
                    let here = event.local_id.map(|local_id| (event.custodian.clone(), local_id));
                    let at = match self.said.cited.iter().find(|(cited, _)| *cited == id) {
                        Some((_, at)) => at.clone(),
                        None => {
                            self.said.cited.push((id, here.clone()));
                            here
                        }
                    };
                    event.cited = Some(id);
                    event.local_id = at.as_ref().map(|(_, local_id)| *local_id);
                    event.custodian = at.map_or(event.custodian, |(custodian, _)| custodian);
                }
            }
            6 => event.basis = Basis::Unknown,
            7 => (event.stream, event.sequence) = (1, self.rng.within(1, 30)),
            8 => (event.at_height, event.late) = (Height(0), Late::ImportedHistory),
            _ => event.at_height = Height(sight.height.0 + self.rng.below(3)),
        }
        let author = if self.rng.chance(700) { event.custodian.clone() } else { event.acting.clone() };
        let author = if self.voices.iter().any(|(id, _)| *id == author) { author } else { self.custodian() };
        remember(&mut self.said.events, (author.clone(), event.clone()));
        (author, Fields::AccessEvent(event))
    }

    fn correction(&mut self, custodian: ParticipantId, acting: ParticipantId) -> (ParticipantId, Fields) {
        let known = self.rng.pick(&self.said.events).cloned();
        let (author, prior, custodian, local_id, acting) = match known {
            Some((author, event)) => (author, event.event, event.custodian, event.local_id, event.acting),
            None => (custodian.clone(), Random16(self.rng.bytes()), custodian, None, acting),
        };
        let correct = correct::Correct {
            correction: Random16(self.rng.bytes()),
            prior,
            custodian,
            local_id,
            acting,
            reason: correct::Reason::Content,
            seal: NO_SEAL,
        };
        (author, Fields::AccessCorrect(correct))
    }

    fn emergency(&mut self, custodian: ParticipantId, acting: ParticipantId) -> (ParticipantId, Fields) {
        let known = self.rng.pick(&self.said.emergencies).cloned();
        if let Some((declarer, declaration)) = known.filter(|_| self.rng.chance(400)) {
            let review = Random16(self.rng.bytes());
            let review = emergency::Review { review, declarer, declaration, seal: NO_SEAL };
            return (participant(AUDITOR), Fields::EmergencyReview(review));
        }
        let declaration = Random16(self.rng.bytes());
        remember(&mut self.said.emergencies, (custodian.clone(), declaration));
        let declare = emergency::Declare { declaration, custodian: custodian.clone(), acting, seal: NO_SEAL };
        (custodian, Fields::EmergencyDeclare(declare))
    }

    fn transfer(&mut self, custodian: ParticipantId) -> (ParticipantId, Fields) {
        let country = |code| Ascii::new(code).unwrap_or_default();
        let known = self.rng.pick(&self.said.transfers).cloned();
        if let Some((source, transfer)) = known.filter(|_| self.rng.chance(500)) {
            let import = disclosure::Import {
                event: Random16(self.rng.bytes()),
                transfer,
                source,
                from_country: country("DE"),
                to_country: country("FR"),
                seal: NO_SEAL,
            };
            return (custodian, Fields::DisclosureImport(import));
        }
        let transfer = Random16(self.rng.bytes());
        remember(&mut self.said.transfers, (custodian.clone(), transfer));
        let recipient = Some(self.custodian());
        let export = disclosure::Export {
            event: Random16(self.rng.bytes()),
            transfer,
            recipient,
            agreement: None,
            recognition: None,
            from_country: country("DE"),
            to_country: country(""),
            seal: NO_SEAL,
        };
        (custodian, Fields::DisclosureExport(export))
    }

    fn job(&mut self) -> (ParticipantId, Fields) {
        let permit = self.some_permit();
        let job = job::Record {
            event: Random16(self.rng.bytes()),
            permit,
            job: Random16(self.rng.bytes()),
            step: job::Step::Register,
            code: Some(Digest(self.rng.bytes())),
            parameters: None,
            nodes: Set::new(vec![self.custodian()]).unwrap_or_default(),
            cohort: job::Cohort::Below1000,
            opt_outs_removed: job::Precaution::Done,
            disclosure_checked: job::Precaution::Unknown,
            seal: NO_SEAL,
        };
        (participant(USER), Fields::JobRecord(job))
    }

    fn life(&mut self, custodian: ParticipantId) -> (ParticipantId, Fields) {
        let known = self.rng.pick(&self.said.records).cloned().filter(|_| self.rng.chance(500));
        let trail = self.rng.pick(&self.said.trails).cloned();
        let (custodian, local_id, record, step) = match (known, trail) {
            (Some((custodian, local_id, record)), _) => {
                let later = [record::Step::Amend, record::Step::Archive, record::Step::Destroy];
                let step = self.rng.pick(&later).copied().unwrap_or(record::Step::Amend);
                (custodian, local_id, record, step)
            }
            (None, Some((custodian, local_id))) => {
                (custodian, local_id, Random16(self.rng.bytes()), record::Step::Ingest)
            }
            (None, None) => {
                let nowhere = Digest(self.rng.bytes());
                (custodian, nowhere, Random16(self.rng.bytes()), record::Step::Ingest)
            }
        };
        remember(&mut self.said.records, (custodian.clone(), local_id, record));
        let event = record::Event {
            event: Random16(self.rng.bytes()),
            local_id,
            record,
            step,
            retention: Retention::Standard,
            seal: NO_SEAL,
        };
        (custodian, Fields::RecordEvent(event))
    }

    /// Remembers what was recorded, for others to rest on.
    pub(crate) fn recorded(&mut self, submission: &Submission) {
        for bytes in submission.items() {
            match Item::from_bytes(bytes).map(|item| item.fields) {
                Ok(Fields::Notarise(note)) => {
                    if let Some(holder) = note.holder {
                        remember(&mut self.said.notes, (holder, item_hash(bytes)));
                    }
                }
                // Not sooner: an id that is no permit's must not stand in two subjects' trails.
                Ok(Fields::PermitIssue(issue)) => {
                    remember(&mut self.said.permits, (issue.permit, issue.terms));
                }
                _ => {}
            }
        }
    }
}

/// The acts of a list, for a proposal.
pub(crate) fn voted(acts: Vec<Item>) -> List<custos_proof::kinds::proposal::VotedAct, 8> {
    let acts = acts.into_iter().filter_map(custos_proof::kinds::proposal::VotedAct::new).collect();
    List::new(acts).unwrap_or_default()
}
