//! One history, computed again: the same blocks give the same changes, and have given them before.
//!
//! The constants below are what protocol version 1 makes of a fixed history with every kind in it. A change
//! of any of them changes what validators agree on and what was signed: it needs a new protocol version, not
//! new constants.

#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeSet;

use common::*;
use custos_proof::batch::verify_batch;
use custos_proof::cbor::{Ascii, List, Set, Wire};
use custos_proof::certificate::{VoteType, vote_preimage};
use custos_proof::hash::{BlockId, Digest};
use custos_proof::header::Block;
use custos_proof::ids::{Height, Round, TimeMs};
use custos_proof::item::{Item, item_hash};
use custos_proof::keys::{KeyPurpose, Signer as _};
use custos_proof::kinds::access::{Basis, Event, Late, Retention};
use custos_proof::kinds::dispute::{Answer, Behalf, Open, Resolution, Resolve};
use custos_proof::kinds::finding::Record as RecordFinding;
use custos_proof::kinds::mandate::{End, Issue};
use custos_proof::kinds::misbehaviour::{Report, Seen, SignedVote};
use custos_proof::kinds::notarise::Notarise;
use custos_proof::kinds::policy::{Set as PolicySet, Upgrade};
use custos_proof::kinds::proposal::Choice;
use custos_proof::kinds::roster::{Commit, Count};
use custos_proof::kinds::rule::{Collected, Put};
use custos_proof::kinds::validator::{Put as ValidatorPut, Remove as ValidatorRemove};
use custos_proof::kinds::{
    Class, Fields, Kind, audit, correct, disclosure, emergency, hold, job, permit, record, trail,
};
use custos_proof::record::{Entry, Record};
use custos_proof::registry::{Policy, ProposalState, Role};
use custos_proof::submission::{Author, Submission};
use custos_state::apply;
use custos_state::changes::Changes;
use custos_state::memory::MemoryStore;
use custos_state::view::View;

const A: &str = "hospital-a";
const B: &str = "hospital-b";
const BODY: &str = "access-body";
const USER: &str = "institute";
const OMBUDSMAN: &str = "ombudsman";
const DAY: u64 = 86_400_000;

/// The chain, then each block's id, log root and state root.
const GOLDEN: &[&str] = &[
    "4516be18f4fdcededad0c887bac2419324787e24e5028e7f7d00aab2a50a4e8a",
    "448a8bcf7777df78683e6f0b16e1da332913ad4ec65ed2fb7e287fdaada6ce0e \
     34c41b11aed6417223bb46aa71d4541767a8167242af2988bff66547fabbe7a5 \
     d7ed366a3e06a952ac622999df90f2f4e8f4c27d03edc7c12145e1beea0ed728",
    "0d1f41c8e981607ef30ca60ad8d5d3ed7f52d7a403962e938c4734ac405119c4 \
     b02fef4210228e324fdb3468bd81288d1dd9aa8172fae7ae96f346e79228aeab \
     518f6da53ec3a702b1690da97502d4c45af433121e29b5340ef9bc011c81a0dd",
    "b5a6234fa18acb31760c40e400bbb5bc0b0de4de97fa97e9a7dc14f21dd92129 \
     dd9b3f4e0ad0d3cfaba2225fef85c09498f80194fcaa0a7a76a5ab44ca95821e \
     609c0bab9235dcc3cacddb31fa518da8d887f7e9096b3b427092557d9c22fe86",
    "0f07001afaeffa2893d34b092e4b6693d40d3b9731294f4880aac17f3ed5055e \
     b480d6cf4084fbd652d7c920c55c57d3469543b7bc86ad732daaf9e6407268d5 \
     73a22b572cc88e6fd31f7bb2d69ba6474804535e3dc93dcbbfb2f8038375b094",
    "1eef5c2672d53da85f733e210349eb7653bcbfae7495df359e800971e7bbfd8b \
     1666d60022d2e0728183d99b43aea31533b18b4e3a3ac7dc2d63e1cc39980aa9 \
     bed51355b95ebad887b537926a2813f9068f3e202635ddfb0f853d271a3824f2",
    "57c2d083d22263f759097ff5535b24bc2f9b8222b9e498ff9de9e88206cb894b \
     6769e0a89d502f9e11e93efe8ce697aafa1e59dbabb6e8a1aa0db0e7189e9582 \
     3f889969c60b3f7e62206880645b7d89bc4596e47d1640bc2986eb30f36b34ae",
    "782f2e3277ff226325f305268ca05e9dec7404a166617a7aa7256593b529cb3c \
     a7f21e840545e8c24b907bf70d676d84d0ba7d6bd8f675e7da87b150378d8286 \
     982b2a959167f71093ac7bf38363f1612a839f4ac03e930b5605aafebe38a5ba",
    "ea0e579aaf9f5f82ae7094017346d2eb350242f84a2159013cc9ba696f89638a \
     26451c25c6e0b5d74db4c3dd0a130821af4f44eb46a1cb8a264fc96391afdf5c \
     89e5a79ea1dae14e07e9bf862b671109978bbd4032adcdc41a6b8c9c66c6e199",
    "76c4fdd7427f8c56ed4069580e901d03b10b6c714795c03d092c217ccaf9937a \
     9f6b68a043ed6e8e1b165b9e649d2e26dbe85a36f136edd4c10bca06901027d5 \
     05974f973c06c6b7871caef32ef5d35231666789aaba7d7ceafe73e566958116",
    "ed12d8f06cadceedb28e168ac9470dc00db1d2030fdd398f2bd7c41be3ac72c8 \
     cbab51c74ca7b71e8469dd8fbe2813399afb83a3fa525c12462d1f2a283e5569 \
     6b783276a3d12d53bb238de454dc4d92cd9302cbafa687f406ccf5b042c18593",
    "ac3cf47647946e4a78647ebce11884d4d95daad13bc670818c193145401ef85b \
     53d1208b57d245f657b765e2c3e8b13c96690c86244f8ec4de0df9617afb5b6c \
     ede3d3d6f52bac2eeb4eed002e2ad9f5de8368e24eb0e29e3ab015e4d54a24c8",
    "04ef07fb379fd9c21c09e2940d959b409b1aff11782426ec8531e2536dad4153 \
     729d728045d541f9f5d46fa131dd335cda1b3d46ba405db9d9af65d967884ed8 \
     801ec80f253272cd4ec3dcf21a205f131789e35527e8bd360d9283ed34769402",
    "54339210027d5a1cf259acdb5c9e76d3d65ec5f900085f763bfd69462a949e50 \
     ecd7293144db22a9ddf476c5a1821701f9df67f72c270e9cfb3bc6873def6708 \
     08e6c5e0aa8fc7683e0159c5800912245904901c8e80ca69bc36d4e6859e7a49",
    "7038318caef4da6b5910f74fd64af1f1bb1c5db6cef4be988404157a196b612f \
     1aa225265b9bffeeda6d90c7fd71008d05118019e2a328cc69a734c7a9477c9b \
     f338fdc7b96b0acbebea32dcd6ab66eedf4971b8869fded5f723d3e12cf11fc6",
    "90a95a5c0691a2dc980602e66208d7f5f068a7c259d7e86043c2bd78a6e921c5 \
     658d9e7688fa0150ce08c20d0700a3781ecab69d0c0c2beb45921e1a8b4cb905 \
     bd00d95aa4afe7c52f0ba23e4fadac3190e1276c7999390810046cc78682521d",
    "a95bd2377b1ac21af1ae80fb0f83be8f217c93024631ec96488a4fb1aab0b216 \
     2c0b1ee4dbc4078f893c8d1c5e23b695d3e0cc970159282b5df63d57116c3577 \
     aa2ee8170ebf3627124734d1323a3fba5f506170ca0c546fe7ce35d7aa06fa3d",
    "607f8439ce78aea5344b3effa64e53279555879dbd666c5164bb42c0747766b7 \
     ff12f8c1f73c49a593a7deb37bee2ed72dd298d5a146638493beb0efae090015 \
     c1f9ec4f268a0a41de0369b06e5a386bcb6554678d9521a6d7d31b052bd0d0fa",
    "bd70986ca341ada0039d952660dc3d8e4444c2788b3e7b562d405e322eb7b8ba \
     424ab826195de35e4c5aa14eec0bf5735954b960ee448db3d28f641ba1228729 \
     04907efd035eca2a2863ee6f8e260733cc08aff071d18acebc4e981335e91b1b",
    "80dcfca12ab248db594d8637a3109b212b6c9914e8749e14364d77cd09791f63 \
     0ff4f1106cd057c3b8db06c3a0019f3f4d2b2712c8990867ce22129fad57991f \
     fe8e892764d2dd77efd44afa7266053600c23cd690efcfcae41adb7ff821b5ef",
    "6c2c7796a53ab9263f691aad9da3d4dda934c5eacc3548d78075fbcb31538f4a \
     f878b69beb96f111a8efacaf6bc395a04bdb298ffb22caaaf55e72950f9a09d1 \
     9934df38b45e6c8388b65bf5152985dc0597a15ba89ccbcfe67ff895a99b8754",
    "9bab1602139e7db5bd1a57819f3356dad67cf1a5bd397568b80cbc714af81b95 \
     5529df6dd44f685f00eae1dfba8b3c5cd6b7b74b42c053dbfdfccd1153e73872 \
     109354dee43b58a1fe6825443fe5ce68f2b79ff091e9a89fc33b578b7bd2b295",
];

/// A history in which every kind occurs, in several ways.
fn history() -> Chain {
    let others: [(&str, &[Role]); 3] =
        [(BODY, &[Role::AccessBody]), (USER, &[Role::DataUser]), (OMBUDSMAN, &[Role::Agent])];
    let mut genesis = genesis_with("golden history", BEGIN, &others);
    // So short that what was recorded in the first block is erased in the last.
    genesis.policy.retention_days = List::new(vec![20, 3_650, 10_950]).unwrap();
    let mut chain = Chain::from_genesis(genesis);
    let (own, for_b) = (chain.open(A, "p", None), chain.open(A, "p", Some(B)));
    let (own_id, b_id) = (local_id_of(&own), local_id_of(&for_b));
    let lab_key = chain.add_key("lab", &key("lab sign"), KeyPurpose::Sign);
    let lab = Fields::ParticipantRegister(registration("lab", &[Role::Custodian]));
    chain.act(A, vec![own]);
    chain.agreed(vec![lab, lab_key]);

    let put = Put { expiry: QUARTER, ..chain.rule(A, b_id) };
    chain.act(A, vec![for_b, Fields::RulePut(put.clone())]);

    let under = Event { basis: Basis::Consent, cited: Some(put.rule), ..chain.event(A, Some(b_id), B) };
    let again = chain.item(Fields::AccessEvent(under.clone()));
    let numbered = Event { stream: 1, sequence: 2, ..chain.event(A, Some(own_id), A) };
    let imported =
        Event { at_height: Height(0), late: Late::ImportedHistory, ..chain.event(A, None, CLINIC) };
    let by_b = chain.draft(B, custos_proof::kinds::Class::Testimony, vec![again.clone(), again]).sign();
    let by_a = chain.testimony(A, vec![numbered, imported]);
    chain.block(vec![by_b, by_a]);

    let rotate = chain.rotate_key(B, &key("hospital-b sign"), &key("hospital-b second"), 3_600_000);
    let ending = Put { ends: Set::new(vec![put.rule]).unwrap(), ..chain.rule(A, b_id) };
    let (rotate, ending) =
        (chain.acts(B, vec![rotate]), chain.acts(A, vec![Fields::RulePut(ending), close(own_id)]));
    chain.block(vec![rotate, ending]);

    let update = Fields::ParticipantUpdate(update(CLINIC, &[Role::Recipient, Role::DataUser]));
    chain.agreed(vec![update, suspend(CLINIC)]);

    let event = Event { basis: Basis::Consent, cited: Some(put.rule), ..chain.event(A, Some(b_id), B) };
    let marked = chain.event(A, Some(own_id), CLINIC);
    let (event, marked) = (chain.testimony(B, vec![event]), chain.testimony(CLINIC, vec![marked]));
    chain.block(vec![event, marked]);

    let now = chain.next_time();
    chain.agreed(vec![revoke(&key("lab sign"), Some(TimeMs(now.0 - 1000)))]);
    govern(&mut chain);
    oversee(&mut chain);
    chain.wait(2 * 3_600_000);
    chain.block(vec![]);
    permits(&mut chain);
    lives(&mut chain);
    chain
}

/// Permits, jobs, emergencies and transfers, with what nobody did in time.
fn permits(chain: &mut Chain) {
    let permit = chain.random16();
    let terms = permit::Terms {
        user: id(USER),
        purposes: Set::new(vec![permit::Purpose::Research, permit::Purpose::Statistics]).unwrap(),
        categories: Set::new(vec![permit::Category::HealthRecords]).unwrap(),
        holders: Set::new(vec![id(A)]).unwrap(),
        environment: None,
        begins: BEGIN,
        ends: chain.next_time().plus(20 * DAY),
        form: permit::Form::Pseudonymised,
        over_opt_out: permit::Override::None,
        decision: Some(custos_proof::hash::Digest([3; 32])),
    };
    let running = permit::Issue { permit: chain.random16(), terms: terms.clone() };
    let issue = permit::Issue { permit, terms: terms.clone() };
    chain.act(BODY, vec![Fields::PermitIssue(issue), Fields::PermitIssue(running.clone())]);
    let more = permit::Terms { holders: Set::new(vec![id(A), id(B)]).unwrap(), ..terms };
    let amend = Fields::PermitAmend(permit::Amend { permit, terms: more });
    let (for_user, declaration, transfer) =
        (chain.open(A, "p", Some(USER)), chain.random16(), chain.random16());
    let (amend, opened) = (chain.acts(BODY, vec![amend]), chain.acts(A, vec![for_user.clone()]));
    chain.block(vec![amend, opened]);
    let under = Event {
        basis: Basis::Permit,
        cited: Some(permit),
        ..chain.event(A, Some(local_id_of(&for_user)), USER)
    };
    let job = job::Record {
        event: chain.random16(),
        permit,
        job: chain.random16(),
        step: job::Step::Register,
        code: Some(custos_proof::hash::Digest([4; 32])),
        parameters: None,
        nodes: Set::new(vec![id(A), id(B)]).unwrap(),
        cohort: job::Cohort::Below1000,
        opt_outs_removed: job::Precaution::Done,
        disclosure_checked: job::Precaution::Unknown,
        seal: NO_SEAL,
    };
    let by_user = vec![Fields::AccessEvent(under.clone()), Fields::JobRecord(job)];
    let declare = emergency::Declare { declaration, custodian: id(A), acting: id(A), seal: NO_SEAL };
    let unreviewed = emergency::Declare { declaration: chain.random16(), ..declare.clone() };
    let export = disclosure::Export {
        event: chain.random16(),
        transfer,
        recipient: Some(id("hospital-c")),
        agreement: None,
        recognition: None,
        from_country: Ascii::new("DE").unwrap(),
        to_country: Ascii::new("").unwrap(),
        seal: NO_SEAL,
    };
    let alone = disclosure::Export {
        event: chain.random16(),
        transfer: chain.random16(),
        recipient: Some(id("hospital-d")),
        ..export.clone()
    };
    let by_a = vec![
        Fields::EmergencyDeclare(declare),
        Fields::EmergencyDeclare(unreviewed),
        Fields::DisclosureExport(export),
        Fields::DisclosureExport(alone),
    ];
    let by_user = chain.say(USER, custos_proof::kinds::Class::Testimony, by_user);
    let by_a = chain.say(A, custos_proof::kinds::Class::Testimony, by_a);
    chain.block(vec![by_user, by_a]);
    let revoke = Fields::PermitRevoke(permit::Revoke { permit, reason: permit::Reason::Served });
    let revoke = chain.acts(BODY, vec![revoke]);
    let review = Fields::EmergencyReview(emergency::Review {
        review: chain.random16(),
        declarer: id(A),
        declaration,
        seal: NO_SEAL,
    });
    let import = Fields::DisclosureImport(disclosure::Import {
        event: chain.random16(),
        transfer,
        source: id(A),
        from_country: Ascii::new("DE").unwrap(),
        to_country: Ascii::new("FR").unwrap(),
        seal: NO_SEAL,
    });
    let correct = Fields::AccessCorrect(correct::Correct {
        correction: chain.random16(),
        prior: under.event,
        custodian: id(A),
        local_id: under.local_id,
        acting: id(USER),
        reason: correct::Reason::Content,
        seal: NO_SEAL,
    });
    let read = Fields::AuditRead(audit::Read {
        event: chain.random16(),
        custodian: id(A),
        mandate: None,
        count: 3,
        seal: NO_SEAL,
    });
    let testimony = |chain: &mut Chain, author: &str, said: Fields| {
        chain.say(author, custos_proof::kinds::Class::Testimony, vec![said])
    };
    let all = [(AUDITOR, review), ("hospital-c", import), (USER, correct), (AUDITOR, read)];
    let all = all.map(|(author, said)| testimony(chain, author, said));
    chain.block(std::iter::once(revoke).chain(all).collect());
}

/// A record's life, who speaks for its subject, holds, facts that fall due, and an erasure.
fn lives(chain: &mut Chain) {
    let open = chain.open(A, "q", None);
    let local_id = local_id_of(&open);
    let trail = custos_proof::trail::TrailName::subject(&id(A), local_id).key();
    let subject = key("the subject of the golden history");
    let named = trail::Agent {
        custodian: id(A),
        local_id,
        change: trail::Change::Add,
        key: Some(subject.public()),
        possession: Some(subject.sign_bytes(&trail::possession_preimage(
            &chain.id,
            &trail,
            &subject.public(),
        ))),
        agent: None,
        collected: Collected::InPerson,
        seal: NO_SEAL,
    };
    chain.act(A, vec![open, Fields::TrailAgent(named.clone())]);
    let agent = Fields::TrailAgent(trail::Agent {
        key: None,
        possession: None,
        agent: Some(id(OMBUDSMAN)),
        collected: Collected::Signed,
        ..named
    });
    let rule = Put { collected: Collected::Signed, ..chain.rule(A, local_id) };
    let items = vec![chain.item(agent), chain.item(Fields::RulePut(rule.clone()))];
    let mut by_subject = chain.draft(A, custos_proof::kinds::Class::Act, items);
    (by_subject.author, by_subject.key) = (Author::Subject(trail), subject);
    let ingest = record::Event {
        event: chain.random16(),
        local_id,
        record: chain.random16(),
        step: record::Step::Ingest,
        retention: Retention::Short,
        seal: NO_SEAL,
    };
    let hold =
        hold::Set { hold: chain.random16(), custodian: id(A), local_id: Some(local_id), seal: NO_SEAL };
    let held = chain.acts(AUDITOR, vec![Fields::HoldSet(hold.clone())]);
    let ingested = chain.say(A, custos_proof::kinds::Class::Testimony, vec![Fields::RecordEvent(ingest)]);
    chain.block(vec![by_subject.sign(), ingested, held]);
    let ends = Put { ends: Set::new(vec![rule.rule]).unwrap(), ..chain.rule(A, local_id) };
    let lift = hold::Lift { custodian: id(A), hold: hold.hold, local_id: hold.local_id };
    let ends = Fields::RulePut(Put { collected: Collected::Signed, ..ends });
    let (ends, lift) = (chain.acts(OMBUDSMAN, vec![ends]), chain.acts(AUDITOR, vec![Fields::HoldLift(lift)]));
    chain.block(vec![ends, lift]);
    chain.wait(8 * DAY);
    chain.block(vec![]);
    chain.wait_until(QUARTER.plus(20 * DAY));
    let erase = hold::Erase {
        local_id,
        from: 0,
        to: 5,
        retention: Retention::Short,
        before: QUARTER,
        authority: hold::Authority::RetentionEnded,
        seal: NO_SEAL,
    };
    chain.act(A, vec![Fields::PayloadErase(erase)]);
}

/// What validators decide: a policy, a validator that joins and one that leaves, a version that is taken back, and
/// proposals of every end.
fn govern(chain: &mut Chain) {
    let policy = Policy { version: 2, lag_ms: 7_200_000, ..Policy::initial() };
    let policy = PolicySet { policy, effective: Height(chain.height().0 + 3) };
    let upgrade = |version| Fields::ProtocolUpgrade(Upgrade { version, height: Height(1_000_000) });
    chain.agreed(vec![Fields::PolicySet(policy), upgrade(2)]);
    chain.agreed(vec![upgrade(1)]);
    let consensus = key("newcomer consensus");
    let joins = Fields::ValidatorPut(ValidatorPut {
        participant: id("newcomer"),
        key: consensus.public(),
        possession: consensus.possession(&chain.id, "newcomer", KeyPurpose::Consensus),
        power: 1,
    });
    let newcomer = registration("newcomer", &[Role::Custodian, Role::Validator]);
    chain.agreed(vec![Fields::ParticipantRegister(newcomer), joins]);
    // Of five now four have to agree.
    let leaves = Fields::ValidatorRemove(ValidatorRemove { participant: id("newcomer") });
    let [out, twice, unwanted, late] = [
        vec![leaves.clone(), suspend("newcomer")],
        vec![leaves],
        vec![suspend(AUDITOR)],
        vec![suspend(AUDITOR)],
    ]
    .map(|acts| chain.proposal_of(acts));
    let ids = [out.proposal, twice.proposal, unwanted.proposal, late.proposal];
    chain.act(REGISTRY, [out, twice, unwanted, late].map(Fields::ProposalOpen).to_vec());
    let mut said = Vec::new();
    for hospital in HOSPITALS {
        said.push(chain.vote(hospital, ids[0], Choice::Yes));
        said.push(chain.vote(hospital, ids[1], Choice::Yes));
    }
    said.push(chain.vote(HOSPITALS[0], ids[2], Choice::No));
    chain.block(said);
    let no = chain.vote(HOSPITALS[1], ids[2], Choice::No);
    chain.block(vec![no]);
    let state = |at: usize| chain.proposal_entry(ids[at]).state;
    assert_eq!(
        [0, 1, 2, 3].map(state),
        [ProposalState::Executed, ProposalState::Failed, ProposalState::Rejected, ProposalState::Open,]
    );
}

/// What auditors and institutions record, and a report of two votes.
fn oversee(chain: &mut Chain) {
    let (mandate, dispute) = (chain.random16(), chain.random16());
    let now = chain.next_time();
    let roster =
        Commit { from: now, until: now.plus(86_400_000), root: Digest([5; 32]), count: Count::Thousand };
    let issue = Issue {
        mandate,
        auditor: id(AUDITOR),
        custodian: id(A),
        from_year: 2030,
        to_year: 2031,
        seal: NO_SEAL,
    };
    let fund = Notarise {
        schema: Ascii::new("fund-allocation").unwrap(),
        digest: Digest([6; 32]),
        parent: None,
        amount: Some(1000),
        holder: Some(id(B)),
    };
    let fund_item = chain.item(Fields::Notarise(fund.clone()));
    let part = Notarise { parent: Some(item_hash(&fund_item)), amount: Some(400), holder: None, ..fund };
    let fund = chain.draft(A, Class::Act, vec![fund_item]).sign();
    let acts = chain.acts(A, vec![Fields::RosterCommit(roster), Fields::MandateIssue(issue)]);
    chain.block(vec![fund, acts]);
    chain.act(B, vec![Fields::Notarise(part)]);
    let finding = RecordFinding {
        finding: chain.random16(),
        institution: id(A),
        rule: Ascii::new("unrelated-treatment").unwrap(),
        version: Digest([7; 32]),
        evidence: Set::default(),
        seal: NO_SEAL,
    };
    let open = Open { dispute, institution: id(A), behalf: Behalf::Author, seal: NO_SEAL };
    chain.act(AUDITOR, vec![Fields::FindingRecord(finding), Fields::DisputeOpen(open)]);
    chain.act(A, vec![Fields::DisputeAnswer(Answer { dispute, seal: NO_SEAL })]);
    let resolve = Resolve { dispute, institution: id(A), resolution: Resolution::Dismissed, seal: NO_SEAL };
    let end = End { auditor: id(AUDITOR), custodian: id(A) };
    chain.act(AUDITOR, vec![Fields::DisputeResolve(resolve), Fields::MandateEnd(end)]);
    let signer = key("hospital-d consensus");
    let signed = |block| {
        let (height, round, vote) = (Height(1), Round(0), VoteType::Prevote);
        let preimage = vote_preimage(&chain.id, height, round, vote, block, &signer.public());
        SignedVote { block, signature: signer.sign(&preimage).unwrap() }
    };
    let report = Report {
        key: signer.public(),
        height: Height(1),
        round: Round(0),
        vote: VoteType::Prevote,
        first: signed(None),
        second: signed(Some(BlockId([7; 32]))),
        seen: Seen::HandedOver,
    };
    let report = chain.say(B, Class::Testimony, vec![Fields::MisbehaviourReport(report)]);
    chain.block(vec![report]);
}

fn told(chain: &Chain) -> Vec<String> {
    let blocks = chain.blocks.iter().map(|block| {
        let header = &block.changes.header;
        format!("{} {} {}", block.changes.block_id, header.log_root, header.state_root)
    });
    std::iter::once(chain.id.to_string()).chain(blocks).collect()
}

#[test]
fn the_golden_history_has_not_changed() {
    let chain = history();
    // The blocks keep what the store erased.
    let submissions = chain.blocks.iter().flat_map(|block| &block.block.body);
    let kinds: BTreeSet<Kind> = submissions
        .flat_map(|bytes| Submission::decode(bytes).unwrap().items().to_vec())
        .flat_map(|item| match Item::from_bytes(&item).unwrap().fields {
            Fields::ProposalOpen(open) => {
                let acts: Vec<Kind> = open.acts.iter().map(|act| act.item().kind()).collect();
                [vec![Kind::ProposalOpen], acts].concat()
            }
            fields => vec![fields.kind()],
        })
        .collect();
    let facts: BTreeSet<u32> = chain
        .store
        .records()
        .iter()
        .filter_map(|new| match Record::from_bytes(&new.bytes).unwrap().entry {
            Entry::Due(due) => Some(due.rule),
            _ => None,
        })
        .collect();
    assert_eq!(facts, BTreeSet::from([1, 2, 4]), "facts of the chain have their place, too");
    let erased = chain
        .store
        .records()
        .iter()
        .filter(|new| new.item.is_none() && Record::from_bytes(&new.bytes).unwrap().as_item().is_some());
    assert_eq!(erased.count(), 1);
    assert_eq!(
        kinds.into_iter().collect::<Vec<_>>(),
        Kind::ALL,
        "every kind has its place in the golden history"
    );
    let told = told(&chain);
    assert_eq!(told, GOLDEN, "protocol version 1 has changed:\n{told:#?}");
}

#[test]
fn two_machines_compute_equal_changes_from_the_bytes_alone() {
    let chain = history();
    let start = apply::start(&chain.genesis).unwrap();
    let (mut one, mut two) = (MemoryStore::new(&start), MemoryStore::new(&start));
    for decided in &chain.blocks {
        let bytes = decided.block.to_bytes();
        let replay = |store: &mut MemoryStore| -> Changes {
            let block = Block::from_bytes(&bytes).unwrap();
            let submissions: Vec<_> = block
                .body
                .iter()
                .map(|bytes| {
                    let submission = Submission::decode(bytes).unwrap();
                    let entry = custos_proof::registry::key_key(&submission.envelope().key_id());
                    let entry = store.entry(&entry).unwrap().unwrap();
                    (submission, custos_proof::registry::KeyEntry::from_bytes(&entry).unwrap().key)
                })
                .collect();
            let verified: Vec<_> = custos_proof::submission::Verified::all(submissions, verify_batch)
                .into_iter()
                .collect::<Result<_, _>>()
                .unwrap();
            let changes = apply::check(store, &block, &verified).unwrap();
            store.commit(&changes).unwrap();
            changes
        };
        let changes = replay(&mut one);
        assert_eq!(changes, replay(&mut two));
        assert_eq!(changes, decided.changes);
    }
    assert!(one.entries().eq(two.entries()));
}

#[test]
fn applying_is_pure() {
    let mut chain = history();
    let before_height = chain.height();
    let event = chain.event(A, None, A);
    let event = chain.testimony(A, vec![event]);
    let before: Vec<_> = chain.store.entries().map(|(key, value)| (*key, value.to_vec())).collect();
    let one = chain.build(vec![event.clone()]).unwrap();
    let two = chain.build(vec![event.clone()]).unwrap();
    assert_eq!(one, two);
    assert_eq!(apply::check(&chain.store, &one.block, &[event]).unwrap(), one.changes);
    let after: Vec<_> = chain.store.entries().map(|(key, value)| (*key, value.to_vec())).collect();
    assert_eq!(before, after);
    assert_eq!(chain.store.head().unwrap().height, before_height);
}

#[test]
fn changes_are_committed_where_they_follow_and_nowhere_else() {
    let chain = history();
    let start = apply::start(&chain.genesis).unwrap();
    let mut store = MemoryStore::new(&start);
    assert!(store.commit(&chain.blocks[1].changes).is_err());
    store.commit(&chain.blocks[0].changes).unwrap();
    assert!(store.commit(&chain.blocks[0].changes).is_err());
    let mut other = chain.blocks[1].changes.clone();
    other.header.parent.0[0] ^= 1;
    assert!(store.commit(&other).is_err());
    assert_eq!(*store.head().unwrap(), chain.blocks[0].changes.head);
}
