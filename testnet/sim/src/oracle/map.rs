//! The state map as it follows from the history: every entry made anew, by its shape in docs/spec/custos.cddl.

use std::collections::{BTreeMap, BTreeSet};

use custos_proof::ids::{ParticipantId, Random16};
use custos_proof::kinds::Fields;

use super::acts::{dispute, mandate, notarised, taken};
use super::admission::BUCKET_MS;
use super::calendar::year;
use super::history::{Deed, History, key_id};
use super::spell::{array, author, bytes, elements, option, text, uint};
use super::testimony::first_report;
use super::tree::{Hash, map_root, root, tagged};

/// An entry: its name and its value, as CBOR.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) name: Vec<u8>,
    pub(super) value: Vec<u8>,
}

/// Entries by the hash of their names.
#[derive(Debug, Clone, Default)]
pub(super) struct Map(pub(super) BTreeMap<Hash, Entry>);

impl Map {
    fn put(&mut self, namespace: &str, name: &[Vec<u8>], value: Vec<u8>) {
        let name = array(&[&[text(namespace)], name].concat());
        self.0.insert(tagged("custos/1/state-key", &[&name]), Entry { name, value });
    }

    pub(super) fn root(&self) -> Hash {
        map_root(self.0.iter().map(|(key, entry)| (key, &entry.value[..])))
    }
}

/// Everything that the state map holds after the last deed.
pub(super) fn of(h: &History) -> Map {
    let mut map = Map::default();
    trails(h, &mut map);
    registry(h, &mut map);
    governance(h, &mut map);
    buckets(h, &mut map);
    subjects(h, &mut map);
    permits(h, &mut map);
    lives(h, &mut map);
    institutions(h, &mut map);
    map
}

fn height(height: Option<u64>) -> Vec<u8> {
    option(height.map(uint))
}

fn id(id: &ParticipantId) -> Vec<u8> {
    text(id.as_str())
}

fn r16(random: &Random16) -> Vec<u8> {
    bytes(&random.0)
}

/// The fields of an item, each as it is spelt there.
fn fields(item: &[u8]) -> Vec<Vec<u8>> {
    let fields = elements(item).and_then(|item| elements(item.get(3)?));
    fields.unwrap_or_default().into_iter().map(<[u8]>::to_vec).collect()
}

/// One of them.
fn field(deed: &Deed, number: usize) -> Vec<u8> {
    fields(&deed.bytes).get(number).cloned().unwrap_or_default()
}

fn trails(h: &History, map: &mut Map) {
    let mut lists: BTreeMap<Hash, Vec<Hash>> = BTreeMap::new();
    for (trail, index) in &h.listings {
        lists.entry(*trail).or_default().push(h.leaves[*index as usize]);
    }
    for (trail, leaves) in lists {
        map.put("trail", &[bytes(&trail)], array(&[uint(leaves.len() as u64), bytes(&root(&leaves))]));
    }
}

fn registry(h: &History, map: &mut Map) {
    // Registrations, each in the words of the item or the genesis that states it last.
    let mut registrations: BTreeMap<&ParticipantId, Vec<Vec<u8>>> = BTreeMap::new();
    let listed = elements(&h.parts[5]).unwrap_or_default();
    for (participant, spelt) in h.genesis.participants.iter().zip(listed) {
        let spelt = elements(spelt).unwrap_or_default();
        registrations.insert(&participant.id, spelt.into_iter().map(<[u8]>::to_vec).collect());
    }
    for deed in &h.deeds {
        if let Fields::ParticipantRegister(f) | Fields::ParticipantUpdate(f) = &deed.fields {
            registrations.insert(&f.id, fields(&deed.bytes));
        }
    }
    for (name, mut entry) in registrations {
        entry.remove(0);
        entry.push(option(h.suspended(name).map(uint)));
        map.put("participant", &[id(name)], array(&entry));
    }
    let first = h.genesis.keys.iter().map(|entry| key_id(&entry.key));
    for key in first.chain(h.deeds.iter().filter_map(|deed| deed.begins)) {
        if let Some(known) = h.key(&key) {
            let entry = [
                author(&known.owner),
                bytes(&known.key.0),
                uint(known.purpose),
                uint(known.valid_from),
                option(known.revoked.map(uint)),
                uint(known.not_after),
                option(known.compromised_from.map(uint)),
            ];
            map.put("key", &[bytes(&key)], array(&entry));
        }
    }
}

fn governance(h: &History, map: &mut Map) {
    let policy = h.policy_deed(h.height).map_or_else(|| h.parts[8].clone(), |(deed, _)| field(deed, 0));
    map.put("policy", &[], policy);
    if let Some(deed) = h.next_policy() {
        map.put("next-policy", &[], array(&fields(&deed.bytes)));
    }
    let seats = h.next_seats();
    let seats = seats.iter().map(|seat| array(&[id(&seat.0), bytes(&seat.1.0), uint(seat.2)]));
    map.put("validators", &[], array(&seats.collect::<Vec<_>>()));
    let (version, to_come) = h.protocol();
    let upgrade = option(to_come.map(|(version, begins)| array(&[uint(version), uint(begins)])));
    map.put("protocol", &[], array(&[uint(version), upgrade]));
    for deed in &h.deeds {
        match &deed.fields {
            Fields::ProposalOpen(f) => {
                let closing = h.closing(&f.proposal);
                let (yes, no) = h.said(&f.proposal);
                let names = |names: &[ParticipantId]| array(&names.iter().map(id).collect::<Vec<_>>());
                let entry = [
                    bytes(&deed.item),
                    author(&deed.author),
                    if closing.is_some() { array(&[]) } else { field(deed, 1) },
                    uint(deed.height),
                    uint(f.deadline.0),
                    names(&yes),
                    names(&no),
                    uint(closing.map_or(0, |closing| closing.state)),
                    height(closing.map(|closing| closing.height)),
                    option(closing.and_then(|closing| closing.reason).map(text)),
                ];
                map.put("proposal", &[r16(&f.proposal)], array(&entry));
            }
            Fields::MisbehaviourReport(f) => {
                if let Some(item) = first_report(h, f) {
                    let name = [
                        bytes(&key_id(&f.key)),
                        uint(f.height.0),
                        uint(u64::from(f.round.0)),
                        uint(f.vote.number()),
                    ];
                    map.put("misbehaviour", &name, bytes(&item.0));
                }
            }
            _ => {}
        }
    }
    let open = h.open_proposals();
    if !open.is_empty() {
        let listed =
            open.iter().map(|(deed, f)| array(&[r16(&f.proposal), author(&deed.author), uint(f.deadline.0)]));
        map.put("open-proposals", &[], array(&listed.collect::<Vec<_>>()));
    }
}

/// `hash' = SHA-256(tag || hash || member)`, from 32 zero bytes.
fn running(members: &[Vec<u8>]) -> Vec<u8> {
    let hash = members.iter().fold([0; 32], |hash, member| tagged("custos/1/bucket", &[&hash, member]));
    array(&[uint(members.len() as u64), bytes(&hash)])
}

fn buckets(h: &History, map: &mut Map) {
    let mut nonces: BTreeMap<_, Vec<Vec<u8>>> = BTreeMap::new();
    for used in h.nonces.iter().filter(|used| used.bucket >= h.time / BUCKET_MS) {
        nonces.entry((&used.author, used.bucket)).or_default().push(used.nonce.0.to_vec());
    }
    for ((who, bucket), members) in nonces {
        map.put("nonce", &[author(who), uint(bucket)], running(&members));
    }
    // An id counts once for its author, in the year in which it was used first.
    let (mut used, mut events) = (BTreeSet::new(), BTreeMap::<_, Vec<Vec<u8>>>::new());
    let mut streams: BTreeMap<_, u64> = BTreeMap::new();
    for deed in &h.deeds {
        if let Some(event) = deed.id.filter(|event| used.insert((&deed.author, *event))) {
            let member = [&event.0[..], &deed.item].concat();
            events.entry((&deed.author, year(deed.time))).or_default().push(member);
        }
        if let Fields::AccessEvent(f) = &deed.fields
            && f.stream != 0
            && f.sequence != 0
        {
            let last = streams.entry((&deed.author, f.stream)).or_default();
            *last = f.sequence.max(*last);
        }
    }
    for ((who, year), members) in events {
        map.put("event", &[author(who), uint(year)], running(&members));
    }
    for ((who, stream), last) in streams {
        map.put("stream", &[author(who), uint(u64::from(stream))], uint(last));
    }
}

fn subjects(h: &History, map: &mut Map) {
    for deed in &h.deeds {
        let Some(trail) = deed.about else { continue };
        match &deed.fields {
            Fields::TrailOpen(f) => {
                let entry = [
                    author(&deed.author),
                    option(f.grantee.as_ref().map(id)),
                    uint(u64::from(f.epoch)),
                    bytes(&f.reader.0),
                    uint(deed.height),
                    height(h.closed(&trail)),
                ];
                map.put("subject", &[bytes(&trail)], array(&entry));
            }
            Fields::RulePut(f) => {
                let entry = [
                    bytes(&deed.item),
                    uint(deed.height),
                    uint(f.expiry.0),
                    height(h.rule_ended(&trail, &f.rule)),
                ];
                map.put("rule", &[bytes(&trail), r16(&f.rule)], array(&entry));
            }
            Fields::TrailAgent(f) => {
                if let Some(agent) = &f.agent
                    && let Some((since, until)) = h.agent(&trail, agent)
                {
                    map.put("agent", &[bytes(&trail), id(agent)], array(&[uint(since), height(until)]));
                }
            }
            Fields::RecordEvent(f) => {
                if let Some(step) = h.record_step(&trail, &f.record) {
                    map.put("record", &[bytes(&trail), r16(&f.record)], uint(step));
                }
            }
            _ => {}
        }
    }
}

fn permits(h: &History, map: &mut Map) {
    for deed in &h.deeds {
        match &deed.fields {
            Fields::PermitIssue(f) => {
                let versions = h.versions(&f.permit);
                let revoked = height(h.permit_revoked(&f.permit));
                let entry = [author(&deed.author), uint(versions.len() as u64), revoked];
                map.put("permit", &[r16(&f.permit)], array(&entry));
                for (version, (stated, _)) in (1..).zip(&versions) {
                    let entry = [bytes(&stated.item), uint(stated.height), field(stated, 1)];
                    map.put("permit-terms", &[r16(&f.permit), uint(version)], array(&entry));
                }
            }
            Fields::JobRecord(f) => {
                if let Some(step) = h.job_step(&f.permit, &f.job) {
                    map.put("job", &[r16(&f.permit), r16(&f.job)], uint(step));
                }
            }
            _ => {}
        }
    }
}

fn lives(h: &History, map: &mut Map) {
    for deed in h.deeds.iter().filter(|deed| !deed.verdict.is_contradicted()) {
        let Some(me) = deed.author.as_participant() else { continue };
        match &deed.fields {
            Fields::EmergencyDeclare(f) => {
                let entry = [
                    bytes(&deed.item),
                    uint(deed.height),
                    uint(deed.time),
                    uint(h.review_by(deed)),
                    id(&f.custodian),
                    id(&f.acting),
                    option(h.cited_in(deed).map(|trail| bytes(&trail))),
                    height(h.review(me, &f.declaration).map(|review| review.height)),
                ];
                map.put("emergency", &[id(me), r16(&f.declaration)], array(&entry));
            }
            Fields::DisclosureExport(f) => {
                if let Some(recipient) = &f.recipient {
                    transfer(h, map, me, recipient, &f.transfer);
                }
            }
            Fields::DisclosureImport(f) => transfer(h, map, &f.source, me, &f.transfer),
            _ => {}
        }
    }
    for owed in h.owed() {
        let (deadline, cause, rule) = owed.place;
        let place = [uint(deadline), bytes(&cause), uint(u64::from(rule))];
        let trails: Vec<_> = owed.trails.iter().map(|trail| bytes(trail)).collect();
        map.put("due", &place, array(&[text("due"), array(&place), array(&trails)]));
    }
}

fn transfer(
    h: &History,
    map: &mut Map,
    source: &ParticipantId,
    recipient: &ParticipantId,
    transfer: &Random16,
) {
    let halves = [true, false].map(|is_export| h.half(is_export, source, recipient, transfer));
    let Some(first) = halves.iter().flatten().min_by_key(|deed| deed.index) else { return };
    let [exported, imported] = halves.map(|half| option(half.map(|deed| bytes(&deed.item))));
    let entry = [uint(first.height), uint(h.other_half_by(first)), exported, imported];
    map.put("transfer", &[id(source), id(recipient), r16(transfer)], array(&entry));
}

fn institutions(h: &History, map: &mut Map) {
    for deed in &h.deeds {
        let Some(me) = deed.author.as_participant() else { continue };
        match &deed.fields {
            Fields::HoldSet(f) => {
                let trail = History::held_trail(&f.custodian, f.local_id.as_ref().map(|id| &id.0));
                let whole = vec![if f.local_id.is_none() { 0xf5 } else { 0xf4 }];
                let lifted = height(h.lifted(&f.custodian, &f.hold));
                let entry = [id(me), bytes(&trail), whole, lifted];
                map.put("hold", &[id(&f.custodian), r16(&f.hold)], array(&entry));
                let holds = h.holds(&trail);
                if holds > 0 {
                    map.put("held", &[bytes(&trail)], uint(holds));
                }
            }
            Fields::RosterCommit(f) => {
                let entry =
                    [bytes(&deed.item), bytes(&f.root.0), uint(f.from.0), uint(f.until.0), uint(deed.height)];
                map.put("roster", &[id(me)], array(&entry));
            }
            Fields::MandateIssue(f) => {
                let Some((issued, ended)) = mandate(h, &f.auditor, &f.custodian) else { continue };
                let Fields::MandateIssue(last) = &issued.fields else { continue };
                let entry = [
                    r16(&last.mandate),
                    uint(u64::from(last.from_year)),
                    uint(u64::from(last.to_year)),
                    uint(issued.height),
                    height(ended),
                ];
                map.put("mandate", &[id(&f.auditor), id(&f.custodian)], array(&entry));
            }
            Fields::Notarise(f) => {
                let holder = f.holder.as_ref().unwrap_or(me);
                let entry = [id(holder), option(f.amount.map(uint)), uint(taken(h, &deed.item))];
                if notarised(h, &deed.item).is_some_and(|first| first.index == deed.index) {
                    map.put("notarised", &[bytes(&deed.item)], array(&entry));
                }
            }
            Fields::FindingRecord(f) => {
                map.put("finding", &[id(&f.institution), r16(&f.finding)], bytes(&deed.item));
            }
            Fields::DisputeOpen(f) => {
                if let Some(found) = dispute(h, &f.institution, &f.dispute) {
                    let entry =
                        [author(&found.opened.author), height(found.answered), height(found.resolved)];
                    map.put("dispute", &[id(&f.institution), r16(&f.dispute)], array(&entry));
                }
            }
            _ => {}
        }
    }
}
