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
    "30755f2f991ebe751b6b6138a6ba5bc4fe9c122354de68443a0903e681e02473",
    "d3fb92518056638bdce23c537210b95cba8ca1a86632b34b66bbd4f71d2b0dc9 \
     261fb290827d8e9a2d86858ffb12f590964fba10b03644695f895ef26224d700 \
     7fc2793438915ea15a63ddc22a290235bae69f5e546b312cc592d2801642db60",
    "d753930520e1c8b134990e64160f309889497e36bbd823fcbe7164992e62250c \
     48de2cc56f7bea50f98518fcdbab4ede60cd803141a3b1b0f4e7d0685f613b60 \
     5423ae11b2192a60eeaeb0420250c0e12b15c6a0dc417d46e0d2c3864d748424",
    "50a6e08c97d2af228ae9467764356fe5479f0d0f4b05172cc11e89a54380fc89 \
     1b42ad051527fadc16047ec2ceae4902942d7a0c3cd34e40251891c4ecbeacb6 \
     c845c22a99d008fd1dcf232ad27c60ee218e045fd7062cbd5b91c376f43c6f0e",
    "db19ff63a80cba207bd82b9477c1914b9d6e502fa224e66532afdd6fc3a27b2c \
     063760701437604e4f9167beeec8e56751e66e47475df36296eca525f40b551b \
     09cf78fcb1dea447e4511ba241e48e983a160e58b2d88cb545877e87737aa1bc",
    "6c3440ec8653e381a2d91dc5c6e659be658b12350f1b028ad5ee13fa92e7c20f \
     a3465ce068ce43db3dcda88403738deb4f2a27860bcfcf6620f825cc101a0fff \
     123369e521d75699bc29367c383dfb988e1a2255bc0e0d2e533b48cd7d7ab869",
    "34f797fbc56ff019c59db11361b77ab388b147092e36b9d3b7db539381d43c36 \
     dd847c490f4f720ef29c3808fb6d2023e991b8063dc9af8f19655c3a813ac3ed \
     f0b7118124509051af482a46b2908c6aeefb7bd164eacfaf7048ac0af8424f7c",
    "70a87834ba532f2292a1d11d3d794fc9d817c57ad82ab6f762d82a42c1ee6cd0 \
     052de2c9a182768244c6f51f9803d9f3a696717a7c1f3fbec3acfe35282d8809 \
     4f9b71b21cba53c7dc98cbb21cecffdd7e79046606a2b0b08e367ad04574dcd8",
    "fc72e25f9b9629abc55be24965b69443600d8553ce50de8424ae6033b935c2d8 \
     3ef933e658d51a44078d5069f8680ed0a5dce09960c24fcf8dd7036d0a67101f \
     1a801eb482a0769e87e0c3d93f11b40ccc8f3ee4647ce46a2d0a79447f456336",
    "c7b76c531cd7dd6f9ebaa6e5fff03780df9fe463764949c98c1c341a68a59957 \
     1662a27d55382c4394e44a651736edb4de7b7547eaa5b8af930a1063e74f836f \
     20fa77081aa31e5a27b130de1cba3cafc71b39082c0de7d6544398da1e58a65b",
    "b78926b2dc51ffefab943c4772df24824910303f0db6356e9a1f9c67bcda68a8 \
     6dc6f45aa050fe42c2de0d66ce55d779ef469d534b85355ce6e6b54f14f77026 \
     3a3c9a26919ded9061a2518bbcc40f270df87fbdbf2641d69fa302141b6d864f",
    "4280cfcefb093fc9dc96c90d2640c4b1edb0539b847f5ce6d3db11efaa27e054 \
     cb3b2dbb9b2209e0aaa35e823ca85787cc36b780d75c2c88a0aaf9aff8e12142 \
     ca9368a3e8075272ab299c034e076eaec62ec2375228d2be721b7c59ab62972d",
    "acee61957555ecbddb3f85c27042ad1753469d28bb87931e99480cabd2faba5a \
     7448424acc7f6e7f2c22fb01587215f84e4f57337f0a5d789c66672b349843b4 \
     ae74865c02ff11c4760b8de3034304e2f885a1102557b59f4e882fa5211d4e1c",
    "9cb939c14cc37b2cf6a5f3ad10185823256222ff225760c17dd4fb2b7bb17bed \
     8e2a54069651f9b726b545e0f649672fb540be93559902c64fa37b10aa2eccab \
     04390e76d40ad0a37c141b9a89dd637bb570e271f1158e594d414fc444f414ef",
    "74522b0ca94ad66dded4e19fed967506f2300cc2868c5d8492ac244f8950a171 \
     28b3b031f14261d7f48d39d5218a42c5aa07f643237c51748dc7edbdf5f36b89 \
     892b80a707f96e2c54cdad18fb54f90c336ad90b9323021d5c9ff8a7271bb748",
    "f9a955a91d89c4673940b19df8ed8096250bd05bdc5c168dcc5b5088319a5fb9 \
     62fd320232434be352bf2cc60914d2f7942aa39b233f9131a9b9bc8fd213c549 \
     1b21b19467ebc0e7426792923ea17bde852494ea67d12cea2066569102fd6dd7",
    "47376fdb01e88be44fe0a52a15f588889002880912f8fc2665d988899d918e1b \
     b7cfdd74ac432af2678a0352ecf65c5908c6cba8e977daa429cfef3da86b9c1b \
     a76eaa3398d101b559b232d5e7cfde9f86eb68622d831891e86d9aee50bc4202",
    "418cf438961ce04d16ba092250d6611dbf2064a622d7f6b00b8d22bc8c5d2f95 \
     5d489d7490e5734d9f39ff1c8a47f1c785be49d02d036d0e8d8703d5fc41ad0c \
     7f43ed4652f86ea20660c9bbfd8ab8dc39d4f6c64e29e230efa435cecb8480c8",
    "19f684524e00635ad1f17eddc8a44504257f7abf1f7ce1e83ca71b6ce70408a5 \
     8f3e99aefecbce6b27fa6a9c679a381a51be823e86ab78206e829079777bd28e \
     9189b7bd62256233343165665eb25f3315e0280d18b5977d3ad138194221c21f",
    "6989ea4feb27e2a43a668a5e0afba0aa41af129eb16d96b59d1a2d95714f3dfa \
     f404845fbec7b4f28e70706a62a8316656741fdd28e4445e63570cece96023ff \
     1a4f7cd29cca00d8db580306fff116557a7d29426071e36b4f2f8acaa2591255",
    "66cb92d522cb0b081110e56a4d7090230d8fcf4ae9ac5db09d98b33fea024c26 \
     8e566969fb5b0eda5b5e155887ba27dbd00a081d4b127ee4c88b2daaa3bf7702 \
     63e48305e33883b19191790cf0fb5be1c5a1f155b6caeceae410c603b6a422a3",
    "ed3519320894d04b8d0a91bb52dde10c619356964f1910c34c9aee4c2150f8db \
     817d6b4154e0ebe0ef2265ffddc4ec6dfd522a1275c68e3cc462c37cfb0d4870 \
     fb8f73a190f3f060dbea3d0b6a6c363b2e7ea15ffbba79bebf8eca45586613ce",
    "09db852224ec1e1a8ed4f4096e1e384abc669fa422a4074fdee51bc719dcd593 \
     65cb4ebe3659c029f4c2aae2459ba67f37285780ddc497e5c7e499523c9dd9cb \
     eee5b0d8f1a2b84734e39e64c3b76cbd3c70c43d59963a07b7a8c43103c896c1",
    "c3f5646e7aa37766735ee055e903732a4f33501fa99dbd2103caa85318c004d7 \
     8f7f100101a16db89fc41672a006b5dabbf97dce0448eaa8f7e09a3dcf33e8f5 \
     1db9cb471fdf2ef49b41afbaf21d90dd71a1ba8224bb56c60c2212d82e5db401",
    "a3e60ab835f599f585dd35efddf8523de7fea7be56b5a3c301d8d41fd89dc907 \
     517c7fb11544b783097cd2393cddd0b4e4decb03174ab43c96de1c61fd4d3eb8 \
     6e6cfc37b4f807eca8b7308b4cd63f19ff0fc2b38c4b091d8549e3fa1dcd8e5b",
    "07a90d7cd83ccc2503456f5c052a7afba8f2b8298e71d4615bfadf067ca23f86 \
     79359bf4ccf2a0aec75ac7eb2b1ac8746d6a9846c11d8d9814b2dadfe5574f91 \
     34f023a5bc5cb96d49375ebc6aaae2124bba4099a6c70d2e37f3c117c10277d8",
    "4456d27330c3a420c2e902fe3b4813c6b3c54ea04422553168e594262510b9ec \
     795daa0dbd6c17db4d1afa5c69dd77f203095fcb8ff801312a5cdd5ddef8b80d \
     a7e482072f58e96fec261b07876f1ddd2c413aaadca276b9f9544c62edecad85",
    "3ce90151a920886c517aced81ad994bd5d23d8851ed414fc1dd854a4e0ebb5cf \
     41acf9bef9cc1090d06afa8fe7b46c514632662975150a8488db21f62da4e0c1 \
     1287ea3df32f1a36daf4699c9ac598b6166722b2cacad7046183c7108db256c9",
    "0464d982bccff3cd272b9b08037ce47af44c309ac05be5671a2bca0f1ab224d4 \
     bb974675cbe40df6ff60248a525941dc9cb84bc04603188c35a42338c405d128 \
     6925841f485e61370fcf37978db941f1e49a886954b360cd51b1a49fdb66e6cb",
    "f859785f0aca596ef370e16909a71c81afc90e7344accfd1ddc8e13c6d04bd93 \
     c8c4e1cace528d2f939e3b6ab71600be9bd1c9fbb33a97e8a9275785485960a6 \
     8155ad49aa28066a81c9da194246d9aee188b15e600dec450a732910036eab3b",
    "6d9c935c26e4cd12f397d20777786244995f4c638e7f0cea4a56efb431f82485 \
     2b7f42c15554b7c9147c40883f428dd3b879550eaf348ea474ef889524b6f193 \
     7e78ad2743ae25e973e86e76c2450afe76a2c34e52c3c40bf632d8cdb4a47ca0",
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
    let policy = Policy { version: 2, lag_ms: 7_200_000, ..chain.genesis.policy.clone() };
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
