//! What is planned is what the rules of the ledger admit, and shows no more than they allow.
//!
//! The oracle for admission is `custos-state` itself, driven block by block; the oracle for linkage
//! looks at the planned bytes alone.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use custos_custodian::draft::{AccessEventDraft, AccessValues, Intent, Origin, RuleDraft, SubjectKey};
use custos_custodian::fhir::{self, Options, Outcome, RefusalCode};
use custos_custodian::import::{
    self, Batch, Disposition, Draft as Drafted, Input, Plan, Planning, Settings, Timing,
};
use custos_custodian::vault::{ItemState, Scope, SubjectId, Vault, VaultKey};
use custos_proof::cbor::{Ascii, List, Text, View, Wire};
use custos_proof::genesis::{Genesis, GenesisKey, GenesisValidator, NO_CHAIN};
use custos_proof::hash::{Digest, ItemHash};
use custos_proof::ids::{Height, Random16, Round, TimeMs};
use custos_proof::item::{Item, item_hash};
use custos_proof::keys::{KeyPurpose, PublicKey, SignError, Signature, Signer};
use custos_proof::kinds::access::Basis;
use custos_proof::kinds::key::possession_preimage;
use custos_proof::kinds::participant::Register;
use custos_proof::kinds::rule::Collected;
use custos_proof::kinds::{Class, Fields, Kind};
use custos_proof::record::{Code, Finding, Verdict};
use custos_proof::registry::{Policy, Role, Roles};
use custos_proof::sealed_values::{InnerKind, Outcome as Ended, OutcomeKind, Party, RuleBody, Stated, Token};
use custos_proof::submission::{Author, Draft, Submission};
use custos_state::apply::{self, Limits, Proposal};
use custos_state::memory::MemoryStore;
use custos_state::view::View as _;
use ed25519_dalek::Signer as _;
use tempfile::TempDir;

/// 2026-03-12T10:00:00Z
const NOW: TimeMs = TimeMs(1_773_309_600_000);
const HOSPITAL: &str = "hospital";
const CLINIC: &str = "clinic";
const RESEARCH: &str = "research-house";

// A chain in memory.

struct Key(ed25519_dalek::SigningKey);

impl Signer for Key {
    fn public_key(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes())
    }
    fn sign(&self, message: &[u8]) -> Result<Signature, SignError> {
        Ok(Signature(self.0.sign(message).to_bytes()))
    }
}

struct Chain {
    genesis: Genesis,
    store: MemoryStore,
    key: Key,
    nonce: u8,
    /// Verdicts of testimony, by item.
    verdicts: BTreeMap<ItemHash, Verdict>,
}

impl Chain {
    fn new(time: TimeMs) -> Self {
        let register = |name: &str, roles: &[Role]| Register {
            id: name.parse().unwrap(),
            roles: Roles::new(roles),
            jurisdiction: Ascii::new("EU").unwrap(),
            name: Text::new(name),
            sealed_name: None,
            endpoint: Ascii::new("").unwrap(),
            display_names: List::default(),
        };
        let key = |name: &str, seed: u8, purpose| {
            let key = Key(ed25519_dalek::SigningKey::from_bytes(&[seed; 32]));
            let possession = key
                .sign(&possession_preimage(&NO_CHAIN, &name.parse().unwrap(), purpose, &key.public_key()))
                .unwrap();
            GenesisKey { owner: name.parse().unwrap(), key: key.public_key(), purpose, possession }
        };
        let genesis = Genesis {
            name: Ascii::new("plan test").unwrap(),
            time,
            protocol: 1,
            registrar: "registry".parse().unwrap(),
            participants: List::new(vec![
                register("registry", &[Role::Registrar]),
                register(HOSPITAL, &[Role::Custodian, Role::Validator]),
                register(CLINIC, &[Role::Recipient]),
                register(RESEARCH, &[Role::Recipient]),
            ])
            .unwrap(),
            keys: List::new(vec![
                key(HOSPITAL, 1, KeyPurpose::Sign),
                key(HOSPITAL, 2, KeyPurpose::Consensus),
                key("registry", 3, KeyPurpose::Sign),
            ])
            .unwrap(),
            validators: List::new(vec![GenesisValidator {
                participant: HOSPITAL.parse().unwrap(),
                power: 1,
            }])
            .unwrap(),
            policy: Policy::initial(),
        };
        let store = MemoryStore::new(&apply::start(&genesis).unwrap());
        Self {
            genesis,
            store,
            key: Key(ed25519_dalek::SigningKey::from_bytes(&[1; 32])),
            nonce: 0,
            verdicts: BTreeMap::new(),
        }
    }

    /// Records one batch in a block of its own.
    fn record(&mut self, batch: &Batch) -> Result<Height, String> {
        let head = self.store.head().unwrap();
        let time = head.time.plus(1000);
        self.nonce = self.nonce.wrapping_add(1);
        let chain = self.genesis.chain();
        let author = Author::Participant(HOSPITAL.parse().unwrap());
        let draft = Draft {
            chain: &chain,
            author,
            class: batch.class,
            nonce: Random16([self.nonce; 16]),
            not_after: time.plus(60_000),
        };
        let items = batch.items.iter().map(|item| item.bytes.clone()).collect();
        let submission = Submission::sign(&draft, items, &self.key).map_err(|error| error.to_string())?;
        let verified = submission.verify(&self.key.public_key()).map_err(|_| "bad signature".to_string())?;
        let proposal = Proposal {
            height: head.height.next(),
            round: Round(0),
            time,
            proposer: HOSPITAL.parse().unwrap(),
        };
        let built = apply::build(&self.store, &proposal, [verified], &Limits::default()).unwrap();
        if let Some((_, refusal)) = built.refused.first() {
            return Err(refusal.to_string());
        }
        self.store.commit(&built.changes).unwrap();
        for new in &built.changes.records {
            let record = custos_proof::record::Record::from_bytes(&new.bytes).unwrap();
            if let Some(entry) = record.as_item() {
                self.verdicts.insert(entry.item, entry.verdict.clone());
            }
        }
        Ok(proposal.height)
    }

    /// Records a plan as the command line does: wave by wave, and within a wave in any order.
    fn record_all(&mut self, vault: &mut Vault, plan: &Plan) {
        let mut batches: Vec<&Batch> = plan.batches.iter().collect();
        batches.reverse();
        batches.sort_by_key(|batch| batch.wave);
        for batch in batches {
            let height = self.record(batch).unwrap();
            let settled: Vec<_> =
                batch.items.iter().map(|item| (item.hash, ItemState::Recorded(height))).collect();
            vault.settle(&settled).unwrap();
        }
    }
}

fn vault(chain: &Chain) -> (TempDir, Vault) {
    let directory = tempfile::tempdir().unwrap();
    let vault = Vault::create(directory.path(), &key(), &scope(chain)).unwrap();
    (directory, vault)
}

fn scope(chain: &Chain) -> Scope {
    Scope { chain: chain.genesis.chain(), custodian: HOSPITAL.parse().unwrap() }
}

fn key() -> VaultKey {
    VaultKey::new([5; 32])
}

fn settings() -> Settings {
    let mut settings = Settings::history(2026);
    settings.organisations.add("https://balp.example/Organization/ex-organization", CLINIC.parse().unwrap());
    settings.organisations.add("https://pcf.example/Organization/ex-organization", HOSPITAL.parse().unwrap());
    settings.organisations.add("Organization/ex-org-researcher", RESEARCH.parse().unwrap());
    settings
}

// Inputs.

fn samples(folder: &str) -> Vec<Input> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../testnet/data/ihe").join(folder);
    let options =
        Options { base: format!("https://{folder}.example"), now: NOW, collected: Collected::Paper };
    let drafts = fhir::read_paths(&[path], &options).into_iter().filter_map(|reading| {
        let draft = match reading.outcome {
            Outcome::Event(draft) => Drafted::Event(draft),
            Outcome::Rule(draft) => Drafted::Rule(draft),
            _ => return None,
        };
        Some(Input { location: reading.location, draft })
    });
    drafts.collect()
}

fn origin(name: &str, content: u8) -> Origin {
    Origin { name: name.into(), digest: Digest([content; 32]) }
}

fn patient(number: usize) -> Vec<SubjectKey> {
    vec![SubjectKey::identifier("mrn", &number.to_string())]
}

fn organisation(name: &str) -> Party {
    Party { reference: Token::new(&format!("Organization/{name}")), ..Party::default() }
}

fn event(name: &str, subject: Vec<SubjectKey>, acting: Option<&str>, outcome: OutcomeKind) -> Input {
    let draft = AccessEventDraft {
        origin: origin(name, 1),
        subject,
        organisations: acting.map(organisation).into_iter().collect(),
        basis: Basis::Unknown,
        cited: None,
        cites: Vec::new(),
        values: AccessValues {
            outcome: Stated::Value(Ended { kind: Some(outcome), ..Ended::default() }),
            ..AccessValues::default()
        },
    };
    Input { location: name.into(), draft: Drafted::Event(Box::new(draft)) }
}

fn rule(name: &str, content: u8, subject: Vec<SubjectKey>, recipients: &[&str]) -> Input {
    let draft = RuleDraft {
        collected: Collected::Paper,
        recipients: recipients.iter().map(|name| organisation(name)).collect(),
        ..RuleDraft::entered(origin(name, content), subject)
    };
    Input { location: name.into(), draft: Drafted::Rule(Box::new(draft)) }
}

fn ending(name: &str, subject: Vec<SubjectKey>) -> Input {
    let draft = RuleDraft::ending(origin(name, 99), subject, InnerKind::Revoke, Collected::InPerson);
    Input { location: name.into(), draft: Drafted::Rule(Box::new(draft)) }
}

fn items_of(disposition: &Disposition) -> &[ItemHash] {
    match &disposition.result {
        Planning::Planned(items) | Planning::Recorded(items) => items,
        Planning::Refused(refusal) => panic!("{}: {refusal}", disposition.location),
    }
}

// The oracle for linkage: it reads the bytes that would be sent, and the vault only to know whose they are.

fn check_linkage(vault: &Vault, plan: &Plan, settings: &Settings) {
    let mut seen: BTreeMap<Vec<u8>, Digest> = BTreeMap::new();
    for batch in &plan.batches {
        let bound = if batch.class == Class::Act { settings.max_acts } else { settings.max_testimony };
        assert!(!batch.items.is_empty() && batch.items.len() <= bound);
        assert!(batch.items.iter().map(|item| item.bytes.len()).sum::<usize>() <= import::MAX_BATCH_BYTES);
        let mut trail_of: BTreeMap<SubjectId, Digest> = BTreeMap::new();
        for planned in &batch.items {
            assert_eq!(item_hash(&planned.bytes), planned.hash);
            let item = Item::from_bytes(&planned.bytes).unwrap();
            assert_eq!(item.kind().class(), batch.class);
            let Some(local_id) = clear_local_id(&item) else { continue };
            let subject = vault.subject_of(&planned.hash).unwrap();
            assert_eq!(
                *trail_of.entry(subject).or_insert(local_id),
                local_id,
                "two trails of one subject in one submission"
            );
            let mut values = Vec::new();
            clear_values(&item.view(), &mut values);
            for value in values {
                assert_eq!(
                    *seen.entry(value).or_insert(local_id),
                    local_id,
                    "a clear value occurs in two trails"
                );
            }
        }
    }
}

fn clear_local_id(item: &Item) -> Option<Digest> {
    match &item.fields {
        Fields::TrailOpen(open) => Some(open.local_id),
        Fields::RulePut(put) => Some(put.local_id),
        Fields::AccessEvent(event) => event.local_id,
        _ => None,
    }
}

/// Everything long enough to tell one trail from another: ids, hashes, roots. Participants are registry ids.
fn clear_values(view: &View, into: &mut Vec<Vec<u8>>) {
    match view {
        View::Text(text) if text.len() >= 32 && text.bytes().all(|c| c.is_ascii_hexdigit()) => {
            into.push(text.as_bytes().to_vec())
        }
        View::List(views) => views.iter().for_each(|view| clear_values(view, into)),
        View::Fields(fields) => fields.iter().for_each(|(_, view)| clear_values(view, into)),
        _ => {}
    }
}

#[test]
fn all_samples_are_recorded_and_can_be_opened() {
    let mut chain = Chain::new(NOW);
    let (_directory, mut vault) = vault(&chain);
    let inputs: Vec<Input> = samples("balp").into_iter().chain(samples("pcf")).collect();
    assert_eq!(inputs.len(), 46 + 22);
    let plan = import::plan(&mut vault, inputs.clone(), &settings()).unwrap();
    check_linkage(&vault, &plan, &settings());
    chain.record_all(&mut vault, &plan);
    assert_eq!(vault.prepared().count(), 0);

    // Two subjects, Patient/ex-patient of either guide; own trails, the clinic's and the research house's, each listed.
    let kinds = |kind: Kind| {
        plan.batches
            .iter()
            .flat_map(|batch| &batch.items)
            .filter(|item| Item::from_bytes(&item.bytes).unwrap().kind() == kind)
            .count()
    };
    assert_eq!(vault.subjects().count(), 2);
    assert_eq!((kinds(Kind::TrailOpen), kinds(Kind::RulePut), kinds(Kind::AccessEvent)), (4, 22 + 2, 46));

    // Imported history is not judged, and nothing of it is contradicted.
    assert!(chain.verdicts.values().filter(|verdict| !verdict_codes(verdict).is_empty()).count() >= 46);
    for verdict in chain.verdicts.values() {
        assert!(verdict_codes(verdict).iter().all(|code| *code == Code::Imported), "{verdict:?}");
        assert_ne!(verdict.finding, Finding::Contradicted);
    }

    // Every item opens, every opening fits, and the whole says what the draft said.
    for disposition in &plan.dispositions {
        for hash in items_of(disposition) {
            let stored = vault.item(hash).unwrap();
            let openings = vault.openings(hash, None).unwrap();
            assert_eq!(openings.len(), stored.kind.sealed_fields().len());
            for opening in &openings {
                custos_proof::sealed_values::describe(stored.kind, opening.field, &opening.value).unwrap();
            }
        }
    }
    for (input, disposition) in inputs.iter().zip(&plan.dispositions) {
        let stored = vault.item(&items_of(disposition)[0]).unwrap();
        match &input.draft {
            Drafted::Event(draft) => {
                assert_eq!(AccessValues::from_fields(&stored.values).unwrap(), draft.values)
            }
            Drafted::Rule(draft) => assert_eq!(RuleBody::from_bytes(&stored.values[1]).unwrap(), draft.body),
        }
    }

    // The same files again: nothing is sent twice.
    let again = import::plan(&mut vault, inputs, &settings()).unwrap();
    assert!(again.batches.is_empty());
    assert!(again.dispositions.iter().all(|disposition| matches!(disposition.result, Planning::Recorded(_))));
}

fn verdict_codes(verdict: &Verdict) -> Vec<Code> {
    verdict.codes.to_vec()
}

#[test]
fn a_refused_request_stands_in_the_own_trail_and_looks_like_the_staffs() {
    let mut chain = Chain::new(NOW);
    let (_directory, mut vault) = vault(&chain);
    let plan = import::plan(&mut vault, samples("balp"), &settings()).unwrap();
    chain.record_all(&mut vault, &plan);
    let clear = |name: &str| {
        let found = plan.dispositions.iter().find(|disposition| disposition.source.ends_with(name)).unwrap();
        match Item::from_bytes(&vault.item(&items_of(found)[0]).unwrap().bytes).unwrap().fields {
            Fields::AccessEvent(event) => event,
            other => panic!("{other:?}"),
        }
    };
    let subject = vault.subjects().next().unwrap();
    let trail = |grantee: Option<&str>| {
        let grantee = grantee.map(|name| name.parse().unwrap());
        vault.trails(&subject).unwrap().iter().find(|trail| trail.grantee == grantee).unwrap().local_id
    };
    let denied = clear("/ex-auditAuthZconsent-deny");
    assert_eq!((denied.acting.as_str(), denied.local_id), (HOSPITAL, Some(trail(None))));
    let served = clear("/ex-auditAuthZconsent");
    assert_eq!((served.acting.as_str(), served.local_id), (CLINIC, Some(trail(Some(CLINIC)))));
    let staff = clear("/ex-auditBasicReadClient");
    let unlike = |event: &custos_proof::kinds::access::Event| custos_proof::kinds::access::Event {
        event: Random16([0; 16]),
        seal: denied.seal,
        ..event.clone()
    };
    assert_eq!(unlike(&denied), unlike(&staff));
    let nobody = clear("/ex-auditBasicReadNoPatient");
    assert_eq!((nobody.acting.as_str(), nobody.local_id), (HOSPITAL, None));
    // The subject's own request is in clear, because it is no secret that people read their own data.
    assert_eq!(clear("/ex-auditPrivacyDisclosure-source").basis, Basis::Subject);
}

#[test]
fn what_a_crash_left_unsent_is_sent_with_the_same_bytes() {
    let mut chain = Chain::new(NOW);
    let (directory, mut vault) = vault(&chain);
    let inputs = samples("balp");
    let planned = import::plan(&mut vault, inputs.clone(), &settings()).unwrap();
    drop(vault);
    let mut vault = Vault::open(directory.path(), &key()).unwrap();
    let hashes = |plan: &Plan| {
        plan.batches
            .iter()
            .flat_map(|batch| batch.items.iter().cloned().map(|item| (item.hash, item.bytes)))
            .collect::<BTreeMap<_, _>>()
    };
    let resumed = import::resume(&vault, &settings()).unwrap();
    assert_eq!(hashes(&resumed), hashes(&planned));
    // Reading the same files again comes to the same.
    let again = import::plan(&mut vault, inputs, &settings()).unwrap();
    assert_eq!(hashes(&again), hashes(&planned));
    check_linkage(&vault, &again, &settings());
    chain.record_all(&mut vault, &again);
    assert!(import::resume(&vault, &settings()).unwrap().batches.is_empty());
}

#[test]
fn a_crash_between_waves_goes_on_where_it_stopped() {
    let mut chain = Chain::new(NOW);
    let (_directory, mut vault) = vault(&chain);
    let plan = import::plan(&mut vault, samples("balp"), &settings()).unwrap();
    let first = Plan {
        batches: plan.batches.iter().filter(|batch| batch.wave == 0).cloned().collect(),
        dispositions: Vec::new(),
    };
    assert!(first.batches.len() < plan.batches.len());
    chain.record_all(&mut vault, &first);
    let rest = import::resume(&vault, &settings()).unwrap();
    chain.record_all(&mut vault, &rest);
    assert_eq!(vault.prepared().count(), 0);
}

#[test]
fn a_consent_is_replaced_ended_and_cannot_be_ended_twice() {
    let mut chain = Chain::new(NOW);
    let (_directory, mut vault) = vault(&chain);
    let mut run = |vault: &mut Vault, input: Input, settings: &Settings| {
        let plan = import::plan(vault, vec![input], settings).unwrap();
        check_linkage(vault, &plan, settings);
        chain.record_all(vault, &plan);
        plan.dispositions[0].result.clone()
    };
    let mut settings = settings();
    settings.organisations.add("Organization/clinic", CLINIC.parse().unwrap());
    // Nothing to end yet.
    let nothing = run(&mut vault, ending("c1", patient(1)), &settings);
    assert!(
        matches!(nothing, Planning::Refused(refusal) if refusal.code == RefusalCode::NothingToEnd && refusal.element == "Consent.status")
    );
    let put = |vault: &Vault, planning: &Planning| {
        let Planning::Planned(items) = planning else { panic!("{planning:?}") };
        let put = |hash| match Item::from_bytes(&vault.item(hash).unwrap().bytes).unwrap().fields {
            Fields::RulePut(put) => put,
            other => panic!("{other:?}"),
        };
        items.iter().map(put).collect::<Vec<_>>()
    };
    let first = run(&mut vault, rule("c1", 1, patient(1), &["clinic"]), &settings);
    let first = put(&vault, &first);
    // Unchanged.
    assert!(matches!(
        run(&mut vault, rule("c1", 1, patient(1), &["clinic"]), &settings),
        Planning::Recorded(_)
    ));
    // Changed.
    let second = run(&mut vault, rule("c1", 2, patient(1), &["clinic"]), &settings);
    let Planning::Planned(hashes) = &second else { panic!() };
    assert_eq!(InnerKind::from_bytes(&vault.item(&hashes[0]).unwrap().values[0]), Ok(InnerKind::Replace));
    let second = put(&vault, &second);
    assert_eq!((second[0].prior, second[0].ends.to_vec()), (first[0].rule, vec![first[0].rule]));
    assert_eq!(second[0].local_id, first[0].local_id);
    // The next year's trail is another trail: the rule ends in the old one, and nothing clear is common.
    let end = run(&mut vault, ending("c1", patient(1)), &settings);
    assert_eq!(put(&vault, &end)[0].ends.to_vec(), vec![second[0].rule]);
    assert!(matches!(run(&mut vault, ending("c1", patient(1)), &settings), Planning::Recorded(_)));
    // After its end it may be put again, and follows nothing.
    let third = run(&mut vault, rule("c1", 3, patient(1), &["clinic"]), &settings);
    assert!(put(&vault, &third)[0].ends.is_empty());
}

#[test]
fn a_rule_of_last_year_is_replaced_without_a_clear_link() {
    // 2026-12-31T23:59:00Z
    let mut chain = Chain::new(TimeMs(1_798_761_540_000));
    let (_directory, mut vault) = vault(&chain);
    let settings_of = |year| Settings { epoch: year, ..settings() };
    let plan = import::plan(&mut vault, vec![rule("c1", 1, patient(1), &[])], &settings_of(2026)).unwrap();
    chain.record_all(&mut vault, &plan);
    let old = plan.dispositions[0].clone();
    // The year goes by.
    let head = chain.store.head().unwrap().time;
    for _ in 0..((1_798_761_600_000 - head.0) / 1000 + 1) {
        let filler = event(&format!("filler {}", chain.nonce), Vec::new(), None, OutcomeKind::Served);
        let filler = import::plan(&mut vault, vec![filler], &settings_of(2026)).unwrap();
        chain.record_all(&mut vault, &filler);
        if chain.store.head().unwrap().time.year() == 2027 {
            break;
        }
    }
    let plan = import::plan(&mut vault, vec![rule("c1", 2, patient(1), &[])], &settings_of(2027)).unwrap();
    check_linkage(&vault, &plan, &settings_of(2027));
    let [ends, puts] = items_of(&plan.dispositions[0]) else { panic!() };
    let (ends, puts) = (vault.item(ends).unwrap(), vault.item(puts).unwrap());
    let before = vault.item(&items_of(&old)[0]).unwrap();
    assert_eq!(ends.local_id, before.local_id);
    assert_ne!(puts.local_id, before.local_id);
    let mut old_values = Vec::new();
    clear_values(&Item::from_bytes(&before.bytes).unwrap().view(), &mut old_values);
    let mut new_values = Vec::new();
    clear_values(&Item::from_bytes(&puts.bytes).unwrap().view(), &mut new_values);
    assert!(new_values.iter().all(|value| !old_values.contains(value)));
    chain.record_all(&mut vault, &plan);
}

#[test]
fn a_live_event_cites_the_consent_that_it_names() {
    let mut chain = Chain::new(NOW);
    let (_directory, mut vault) = vault(&chain);
    let plan =
        import::plan(&mut vault, vec![rule("https://a.example/Consent/c1", 1, patient(1), &[])], &settings())
            .unwrap();
    chain.record_all(&mut vault, &plan);
    let put = vault.entry(&items_of(&plan.dispositions[0])[0]).unwrap().rule;
    let mut input = event("e1", patient(1), None, OutcomeKind::Served);
    if let Drafted::Event(draft) = &mut input.draft {
        draft.cites = vec!["https://a.example/Consent/c1".into()];
    }
    let live =
        Settings { timing: Timing::Live { at_height: chain.store.head().unwrap().height }, ..settings() };
    let plan = import::plan(&mut vault, vec![input], &live).unwrap();
    chain.record_all(&mut vault, &plan);
    let hash = items_of(&plan.dispositions[0])[0];
    match Item::from_bytes(&vault.item(&hash).unwrap().bytes).unwrap().fields {
        Fields::AccessEvent(event) => assert_eq!((event.basis, event.cited), (Basis::Consent, put)),
        other => panic!("{other:?}"),
    }
    assert_eq!(chain.verdicts[&hash].finding, Finding::Consistent);
}

#[test]
fn others_consents_and_conflicting_patients_are_refused_with_the_element() {
    let chain = Chain::new(NOW);
    let (_directory, mut vault) = vault(&chain);
    let mut foreign = rule("c1", 1, patient(1), &[]);
    if let Drafted::Rule(draft) = &mut foreign.draft {
        draft.organisations = vec![organisation("ex-org-researcher")];
        assert_eq!(draft.intent, Intent::Put);
    }
    vault.subject(&patient(2)).unwrap();
    vault.subject(&patient(3)).unwrap();
    let both = [patient(2), patient(3)].concat();
    let inputs =
        vec![foreign, rule("c2", 1, both.clone(), &[]), event("e1", both, None, OutcomeKind::Served)];
    let plan = import::plan(&mut vault, inputs, &settings()).unwrap();
    let refused: Vec<(RefusalCode, String)> = plan
        .dispositions
        .into_iter()
        .map(|disposition| match disposition.result {
            Planning::Refused(refusal) => (refusal.code, refusal.element),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(refused[0], (RefusalCode::OtherCustodian, "Consent.organization[0]".into()));
    assert_eq!(refused[1], (RefusalCode::ConflictingIdentity, "Consent.patient".into()));
    assert_eq!(refused[2], (RefusalCode::ConflictingIdentity, "AuditEvent.entity".into()));
    assert!(plan.batches.is_empty());
}

/// Thirty subjects, two grantees, rules and events of every sort, in small batches.
#[test]
fn a_generated_network_keeps_the_rules_of_linkage() {
    let mut chain = Chain::new(NOW);
    let (_directory, mut vault) = vault(&chain);
    let mut settings = settings();
    settings.organisations.add("Organization/clinic", CLINIC.parse().unwrap());
    settings.organisations.add("Organization/research", RESEARCH.parse().unwrap());
    (settings.max_acts, settings.max_testimony) = (7, 11);
    let mut inputs = Vec::new();
    let organisations = [None, Some("clinic"), Some("research"), Some("unknown")];
    let outcomes = [OutcomeKind::Served, OutcomeKind::Denied, OutcomeKind::Failed, OutcomeKind::Overridden];
    for number in 0..30usize {
        for event_number in 0..9 {
            let (acting, outcome) =
                (organisations[(number + event_number) % 4], outcomes[(number / 2 + event_number) % 4]);
            inputs.push(event(&format!("e{number}-{event_number}"), patient(number), acting, outcome));
        }
        let recipients: &[&str] =
            [&[][..], &["clinic"], &["clinic", "research"], &["clinic", "unknown"]][number % 4];
        inputs.push(rule(&format!("c{number}"), 1, patient(number), recipients));
        inputs.push(rule(&format!("d{number}"), 1, patient(number), &[]));
    }
    let plan = import::plan(&mut vault, inputs, &settings).unwrap();
    check_linkage(&vault, &plan, &settings);
    chain.record_all(&mut vault, &plan);

    // What the custodian opened is what the own trail lists, seen through the openings alone.
    for subject in vault.subjects() {
        let listed: BTreeSet<Digest> = vault
            .items(&subject)
            .unwrap()
            .iter()
            .filter(|item| item.kind == Kind::RulePut)
            .filter_map(|item| {
                match RuleBody::from_bytes(&vault.item(&item.hash).unwrap().values[1]).unwrap() {
                    RuleBody::ListsTrail(trail) => Some(trail.local_id),
                    _ => None,
                }
            })
            .collect();
        let opened: BTreeSet<Digest> = vault
            .items(&subject)
            .unwrap()
            .iter()
            .filter(|item| item.kind == Kind::TrailOpen)
            .filter_map(|item| item.local_id)
            .collect();
        let own =
            vault.trails(&subject).unwrap().iter().find(|trail| trail.grantee.is_none()).unwrap().local_id;
        assert_eq!(opened.difference(&listed).copied().collect::<Vec<_>>(), [own]);
        assert!(listed.is_subset(&opened));
        // And the patient finds them all from the code.
        let code =
            vault.code(&subject).unwrap().to_string().parse::<custos_custodian::code::PatientCode>().unwrap();
        let secret = custos_custodian::subject::epoch_secret(code.secret(), 2026);
        for trail in vault.trails(&subject).unwrap() {
            assert_eq!(
                custos_custodian::subject::local_id(
                    &secret,
                    &scope(&chain).chain,
                    &scope(&chain).custodian,
                    trail.grantee.as_ref()
                ),
                trail.local_id
            );
        }
    }
    // No verdict contradicts: what is in a trail belongs there.
    assert!(chain.verdicts.values().all(|verdict| verdict.finding != Finding::Contradicted));
}

#[test]
fn the_order_of_subjects_is_not_the_order_of_the_files() {
    let chain = Chain::new(NOW);
    let (_directory, mut vault) = vault(&chain);
    let inputs: Vec<Input> = (0..60)
        .map(|number| event(&format!("e{number}"), patient(number), None, OutcomeKind::Served))
        .collect();
    let plan = import::plan(&mut vault, inputs, &settings()).unwrap();
    let given: Vec<ItemHash> =
        plan.dispositions.iter().flat_map(|disposition| items_of(disposition).to_vec()).collect();
    let sent: Vec<ItemHash> = plan
        .batches
        .iter()
        .filter(|batch| batch.class == Class::Testimony)
        .flat_map(|batch| &batch.items)
        .map(|item| item.hash)
        .collect();
    assert_eq!(given.iter().collect::<BTreeSet<_>>(), sent.iter().collect::<BTreeSet<_>>());
    assert_ne!(given, sent);
    let mut sorted = sent.clone();
    sorted.sort();
    assert_ne!(sorted, sent);
}

/// Two trails of a subject at the same place in two submissions would be as good as a name.
#[test]
fn subjects_come_in_another_order_in_every_stage() {
    let chain = Chain::new(NOW);
    let (_directory, mut vault) = vault(&chain);
    let mut settings = settings();
    settings.organisations.add("Organization/clinic", CLINIC.parse().unwrap());
    let served = |number| event(&format!("e{number}"), patient(number), Some("clinic"), OutcomeKind::Served);
    let plan = import::plan(&mut vault, (0..60).map(served).collect(), &settings).unwrap();
    let orders: BTreeSet<Vec<SubjectId>> = (0..=2)
        .map(|wave| {
            let items = plan.batches.iter().filter(|batch| batch.wave == wave).flat_map(|batch| &batch.items);
            let mut order: Vec<SubjectId> = items.map(|item| vault.subject_of(&item.hash).unwrap()).collect();
            order.dedup();
            assert_eq!(order.len(), 60);
            order
        })
        .collect();
    assert_eq!(orders.len(), 3);
}
