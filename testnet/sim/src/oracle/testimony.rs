//! What validators find about a statement: the tables of docs/spec/items.md, one for each kind.
//!
//! A table has a line for each check: its number, whether it is made, and the codes with what gives them.

use custos_proof::hash::ItemHash;
use custos_proof::ids::{ParticipantId, Random16};
use custos_proof::kinds::access::{Basis, Event, Late};
use custos_proof::kinds::{Fields, misbehaviour};
use custos_proof::registry::Role;
use custos_proof::submission::Author;

use super::calendar::year;
use super::certificate;
use super::curve;
use super::history::{History, institution_trail, key_id, permit_trail, subject_trail};
use super::spell;
use super::tree::Hash;

/// What the clear facts say, in the numbers of docs/spec/custos.cddl.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) checks: Vec<u64>,
    pub(super) finding: u64,
    pub(super) codes: Vec<u64>,
}

/// Codes that do not contradict.
const MARKS: [u64; 8] = [17, 20, 21, 22, 23, 24, 25, 43];

impl Verdict {
    /// Of an act that was admitted.
    pub(super) fn of_an_act() -> Self {
        Self { checks: vec![0], finding: 0, codes: vec![] }
    }

    pub(super) fn is_contradicted(&self) -> bool {
        self.finding == 1
    }

    pub(super) fn spelt(&self) -> Vec<u8> {
        let numbers = |numbers: &[u64]| {
            spell::array(&numbers.iter().map(|number| spell::uint(*number)).collect::<Vec<_>>())
        };
        spell::array(&[numbers(&self.checks), spell::uint(self.finding), numbers(&self.codes)])
    }
}

/// A line of a table: check, whether it is made, what it can find.
type Line = (u64, bool, Vec<(u64, bool)>);

/// The verdict of a table, with marks that belong to no check.
fn judged(lines: Vec<Line>, marks: &[(u64, bool)]) -> Verdict {
    let mut checks: Vec<u64> = lines.iter().filter(|line| line.1).map(|line| line.0).collect();
    let found = lines.iter().filter(|line| line.1).flat_map(|line| &line.2).chain(marks);
    let mut codes: Vec<u64> = found.filter(|(_, holds)| *holds).map(|(code, _)| *code).collect();
    for list in [&mut checks, &mut codes] {
        list.sort_unstable();
        list.dedup();
    }
    let finding = if codes.iter().any(|code| !MARKS.contains(code)) {
        1
    } else if codes.contains(&17) || codes.contains(&23) {
        2
    } else {
        0
    };
    Verdict { checks, finding, codes }
}

/// A statement that is to be judged.
pub(super) struct Statement<'a> {
    pub(super) author: &'a ParticipantId,
    pub(super) item: Hash,
    pub(super) fields: &'a Fields,
}

/// The author's id of a statement: its first field, but for reports of misbehaviour.
pub(super) fn statement_id(fields: &Fields) -> Option<Random16> {
    Some(match fields {
        Fields::AccessEvent(f) => f.event,
        Fields::AccessCorrect(f) => f.correction,
        Fields::DisclosureExport(f) => f.event,
        Fields::DisclosureImport(f) => f.event,
        Fields::EmergencyDeclare(f) => f.declaration,
        Fields::EmergencyReview(f) => f.review,
        Fields::JobRecord(f) => f.event,
        Fields::RecordEvent(f) => f.event,
        Fields::AuditRead(f) => f.event,
        _ => return None,
    })
}

/// Verdict and trails of a statement; nothing of an item that is none.
pub(super) fn judge(h: &History, said: &Statement<'_>) -> Option<(Verdict, Vec<Hash>)> {
    let me = said.author;
    let stated = [Role::Custodian, Role::Recipient, Role::DataUser];
    let lacks = |roles: &[Role]| !h.roles(me).is_some_and(|mine| roles.iter().any(|role| mine.has(*role)));
    let unknown = |id: &ParticipantId| !h.is_registered(id);
    let suspended = h.suspended(me).is_some();
    // Check 6 is the same everywhere: another statement of this author has this id.
    let author = Author::Participant(me.clone());
    let reused = statement_id(said.fields)
        .is_some_and(|id| h.statement(&author, &id).is_some_and(|first| first.item != said.item));
    let event_line: Line = (6, true, vec![(19, reused)]);
    // Institutions that are not registered have no trail.
    let with_trails = |others: &[&ParticipantId]| {
        let known = others.iter().filter(|id| !unknown(id)).map(|id| institution_trail(id));
        known.chain([institution_trail(me)]).collect::<Vec<_>>()
    };
    Some(match said.fields {
        Fields::AccessEvent(f) => {
            let verdict = access(h, me, f, event_line);
            let mut trails =
                access_trails(h, me, (&f.custodian, f.local_id.map(|id| id.0), &f.acting), &verdict);
            if let (Basis::Permit, Some(cited)) = (f.basis, &f.cited)
                && let Some(body) = h.body(cited).filter(|_| h.permit_names(cited, me))
            {
                trails.push(permit_trail(body, cited));
            }
            (verdict, trails)
        }
        Fields::AccessCorrect(f) => {
            let prior = h.statement(&author, &f.prior).is_some();
            let lines = vec![
                (0, true, vec![(1, suspended), (2, lacks(&stated))]),
                event_line,
                (8, true, vec![(33, !prior)]),
            ];
            let verdict = judged(lines, &[]);
            let trails = access_trails(h, me, (&f.custodian, f.local_id.map(|id| id.0), &f.acting), &verdict);
            (verdict, trails)
        }
        Fields::DisclosureExport(f) => {
            let other = f.recipient.as_ref();
            let stranger = other.is_some_and(unknown);
            let author_line = (0, true, vec![(1, suspended), (2, lacks(&stated)), (36, stranger)]);
            let verdict = match other {
                Some(recipient) => half(h, vec![author_line, event_line], true, (me, recipient, &f.transfer)),
                None => judged(vec![author_line, event_line], &[]),
            };
            (verdict, with_trails(&other.into_iter().collect::<Vec<_>>()))
        }
        Fields::DisclosureImport(f) => {
            let author_line = (0, true, vec![(1, suspended), (2, lacks(&stated)), (36, unknown(&f.source))]);
            let verdict = half(h, vec![author_line, event_line], false, (&f.source, me, &f.transfer));
            (verdict, with_trails(&[&f.source]))
        }
        Fields::EmergencyDeclare(f) => {
            let author_line = (
                0,
                true,
                vec![
                    (1, suspended),
                    (2, lacks(&stated)),
                    (3, *me != f.custodian && *me != f.acting),
                    (4, unknown(&f.custodian)),
                    (5, unknown(&f.acting)),
                ],
            );
            (judged(vec![author_line, event_line], &[]), with_trails(&[&f.custodian, &f.acting]))
        }
        Fields::EmergencyReview(f) => {
            let reviewing = [Role::Custodian, Role::Recipient, Role::DataUser, Role::Auditor];
            let declaration = h.declaration(&f.declarer, &f.declaration);
            let parties = declaration.and_then(|deed| match &deed.fields {
                Fields::EmergencyDeclare(declared) => Some((&declared.custodian, &declared.acting)),
                _ => None,
            });
            let outside = parties.is_some_and(|(custodian, acting)| {
                ![&f.declarer, custodian, acting].contains(&me) && !h.has_role(me, Role::Auditor)
            });
            let lines = vec![
                (
                    0,
                    true,
                    vec![(1, suspended), (2, lacks(&reviewing)), (3, outside), (36, unknown(&f.declarer))],
                ),
                event_line,
                (8, true, vec![(16, declaration.is_none())]),
            ];
            let overdue = declaration.is_some_and(|deed| h.review_by(deed) <= h.time);
            let again = declaration.is_some() && h.review(&f.declarer, &f.declaration).is_some();
            let custodian = parties.map(|(custodian, _)| custodian);
            let concerned: Vec<_> = [Some(&f.declarer), custodian].into_iter().flatten().collect();
            (judged(lines, &[(24, overdue), (25, again)]), with_trails(&concerned))
        }
        Fields::JobRecord(f) => {
            let terms = h.terms(&f.permit);
            let named = h.permit_names(&f.permit, me);
            let over =
                h.permit_revoked(&f.permit).is_some() || terms.is_some_and(|terms| terms.ends.0 <= h.time);
            let early = terms.is_some_and(|terms| h.time < terms.begins.0);
            let last = h.job_step(&f.permit, &f.job);
            let step_follows = match f.step.number() {
                1 | 6 => last.is_none(),
                2..=5 => matches!(last, Some(1..=3)),
                _ => matches!(last, Some(6 | 7)),
            };
            let lines = vec![
                (
                    0,
                    true,
                    vec![
                        (1, suspended),
                        (2, lacks(&stated)),
                        (3, terms.is_some() && !named),
                        (36, f.nodes.iter().any(unknown)),
                    ],
                ),
                (3, true, vec![(15, terms.is_none()), (26, early), (27, over)]),
                event_line,
                (9, terms.is_some(), vec![(34, !step_follows)]),
            ];
            let mut trails = with_trails(&[]);
            trails.extend(h.body(&f.permit).filter(|_| named).map(|body| permit_trail(body, &f.permit)));
            (judged(lines, &[]), trails)
        }
        Fields::RecordEvent(f) => {
            let trail = subject_trail(me, &f.local_id.0);
            let opened = h.opened(&trail);
            let years = [year(h.time), year(h.time.saturating_sub(h.policy().lag_ms))];
            let last = h.record_step(&trail, &f.record);
            // 1 ingest, 2 amend, 3 rectify, 4 distribute, 5 archive, 6 destroy, 7 resume.
            let step_follows = match (last, f.step.number()) {
                (None, step) => matches!(step, 1 | 7),
                (Some(6), _) | (_, 1 | 7) => false,
                (Some(5), step) => matches!(step, 3 | 4 | 6),
                _ => true,
            };
            let lines = vec![
                (0, true, vec![(1, suspended), (2, lacks(&[Role::Custodian]))]),
                (
                    1,
                    true,
                    vec![
                        (6, opened.is_none()),
                        (7, opened.is_some() && h.closed(&trail).is_some()),
                        (35, opened.is_some_and(|(grantee, _)| grantee.is_some())),
                        (9, opened.is_some_and(|(_, epoch)| !years.contains(&epoch))),
                    ],
                ),
                event_line,
                (9, true, vec![(34, !step_follows)]),
            ];
            (judged(lines, &[]), vec![trail])
        }
        Fields::AuditRead(f) => {
            let outside = *me != f.custodian && lacks(&[Role::Auditor]);
            let author_line = (0, true, vec![(1, suspended), (2, outside), (4, unknown(&f.custodian))]);
            (judged(vec![author_line, event_line], &[]), with_trails(&[&f.custodian]))
        }
        Fields::MisbehaviourReport(f) => {
            let verdict = report(h, me, suspended, f);
            let is_first = verdict.codes.is_empty();
            (verdict, vec![if is_first { h.registry_trail() } else { institution_trail(me) }])
        }
        _ => return None,
    })
}

/// The second table of `access.event`.
fn access(h: &History, me: &ParticipantId, f: &Event, event_line: Line) -> Verdict {
    let history = f.late == Late::ImportedHistory;
    let at = f.at_height.0;
    let time_at = h.time_at(at);
    let is_late = time_at.is_some_and(|time| time.saturating_add(h.policy().lag_ms) < h.time);
    // The time of the block that the decider saw, if facts can be judged there.
    let decided = time_at.filter(|_| !history && !is_late);
    let role = [Role::Custodian, Role::Recipient, Role::DataUser].iter().any(|role| h.has_role(me, *role));
    let author_line = (
        0,
        true,
        vec![
            (1, h.suspended(me).is_some()),
            (2, !role),
            (3, *me != f.custodian && *me != f.acting),
            (4, !h.is_registered(&f.custodian)),
            (5, !h.is_registered(&f.acting)),
        ],
    );
    let trail = f.local_id.map(|id| subject_trail(&f.custodian, &id.0));
    let opened = trail.and_then(|trail| h.opened(&trail));
    let closed = trail.filter(|_| opened.is_some()).and_then(|trail| h.closed(&trail));
    let trail_line = (
        1,
        trail.is_some(),
        vec![
            (6, opened.is_none()),
            (8, opened.is_some_and(|(grantee, _)| f.acting != *grantee.unwrap_or(&f.custodian))),
            (7, decided.is_some() && closed.is_some_and(|closed| closed <= at)),
            (
                9,
                opened
                    .zip(decided)
                    .is_some_and(|((_, epoch), then)| epoch != year(then) && epoch != year(h.time)),
            ),
        ],
    );
    let lag_line = (5, !history, vec![(18, time_at.is_none()), (17, is_late)]);
    let last = h.stream(&Author::Participant(me.clone()), f.stream);
    let sequence_line =
        (7, f.stream != 0, vec![(21, f.sequence <= last), (20, f.sequence > last.saturating_add(1))]);
    let ground_line = match f.basis {
        Basis::Consent => rule_line(h, f, trail, decided),
        Basis::Permit => permit_line(h, f, decided),
        Basis::Emergency => emergency_line(h, me, f, trail, decided),
        Basis::Unknown | Basis::Law | Basis::Subject => (0, false, vec![]),
    };
    let in_vain = matches!(f.basis, Basis::Unknown | Basis::Law | Basis::Subject) && f.cited.is_some();
    let lines = vec![author_line, trail_line, ground_line, lag_line, event_line, sequence_line];
    judged(lines, &[(22, in_vain), (23, history)])
}

fn rule_line(h: &History, f: &Event, trail: Option<Hash>, decided: Option<u64>) -> Line {
    let Some(cited) = &f.cited else { return (2, true, vec![(10, true)]) };
    let Some((trail, put)) = trail.and_then(|trail| Some((trail, h.rule(&trail, cited)?))) else {
        return (2, true, vec![(11, true)]);
    };
    let Fields::RulePut(rule) = &put.fields else { return (2, false, vec![]) };
    let at = f.at_height.0;
    let not_yet = put.height > at;
    let ended = h.rule_ended(&trail, cited).is_some_and(|ended| ended <= at);
    let expired = decided.is_some_and(|then| rule.expiry.0 <= then);
    let codes = vec![(12, not_yet), (13, !not_yet && ended), (14, !not_yet && !ended && expired)];
    (2, decided.is_some(), codes)
}

fn permit_line(h: &History, f: &Event, decided: Option<u64>) -> Line {
    let Some(cited) = &f.cited else { return (3, true, vec![(10, true)]) };
    if h.issue(cited).is_none() {
        return (3, true, vec![(15, true)]);
    }
    let at = f.at_height.0;
    let versions = h.versions(cited);
    let then = versions.iter().rev().find(|(deed, _)| deed.height <= at);
    let (Some(time), Some((_, terms))) = (decided, then) else {
        return (3, decided.is_some(), vec![(26, true)]);
    };
    let revoked = h.permit_revoked(cited).is_some_and(|revoked| revoked <= at);
    let codes = vec![
        (27, revoked || terms.ends.0 <= time),
        (26, time < terms.begins.0),
        (28, !terms.holders.contains(&f.custodian)),
        (29, f.acting != terms.user && terms.environment.as_ref() != Some(&f.acting)),
    ];
    (3, true, codes)
}

fn emergency_line(
    h: &History,
    me: &ParticipantId,
    f: &Event,
    trail: Option<Hash>,
    decided: Option<u64>,
) -> Line {
    if f.cited.is_none() {
        return (4, true, vec![(10, true)]);
    }
    let Some(declaration) = h.emergency(f) else { return (4, true, vec![(16, true)]) };
    let Fields::EmergencyDeclare(declared) = &declaration.fields else { return (4, false, vec![]) };
    let over = declaration.time.saturating_add(h.policy().decision.emergency.window_ms);
    let listed = trail.filter(|trail| {
        *me == f.custodian || h.opened(trail).is_some_and(|(grantee, _)| grantee == Some(me))
    });
    let elsewhere = h.cited_in(declaration).zip(listed).is_some_and(|(first, here)| first != here);
    let codes = vec![
        (30, declared.custodian != f.custodian || declared.acting != f.acting),
        (31, decided.is_some_and(|then| over <= then)),
        (32, elsewhere),
    ];
    (4, true, codes)
}

/// Where an access is listed, the permit's trail apart.
fn access_trails(
    h: &History,
    me: &ParticipantId,
    (custodian, local_id, acting): (&ParticipantId, Option<Hash>, &ParticipantId),
    verdict: &Verdict,
) -> Vec<Hash> {
    let trail = local_id.map(|id| subject_trail(custodian, &id));
    let grantee = trail.and_then(|trail| h.opened(&trail)).and_then(|(grantee, _)| grantee);
    let [by_custodian, by_grantee] = [me == custodian, grantee == Some(me)];
    let shared = by_custodian && grantee == Some(acting) && !verdict.is_contradicted();
    let lines = [
        (true, Some(institution_trail(me))),
        (by_custodian || by_grantee, trail),
        (by_grantee, Some(institution_trail(custodian))),
        (shared, Some(institution_trail(acting))),
    ];
    lines.into_iter().filter_map(|(holds, trail)| trail.filter(|_| holds)).collect()
}

/// A half of a transfer, beside what was found so far.
fn half(
    h: &History,
    mut lines: Vec<Line>,
    is_export: bool,
    (source, recipient, transfer): (&ParticipantId, &ParticipantId, &Random16),
) -> Verdict {
    let again = h.half(is_export, source, recipient, transfer).is_some();
    let other = h.half(!is_export, source, recipient, transfer);
    lines.push((10, true, vec![(25, again)]));
    let so_far = judged(lines.clone(), &[]);
    // Only the half that settles can come too late.
    let overdue = other.is_some_and(|first| h.other_half_by(first) <= h.time);
    judged(lines, &[(24, overdue && !again && !so_far.is_contradicted())])
}

fn report(h: &History, me: &ParticipantId, suspended: bool, f: &misbehaviour::Report) -> Verdict {
    let no_validator = !h.decides(me);
    let is_consensus_key = h.key(&key_id(&f.key)).is_some_and(|key| key.purpose == 2);
    let block = |vote: &misbehaviour::SignedVote| vote.block.map(|block| block.0);
    let is_signed = |vote: &misbehaviour::SignedVote| {
        let (place, kind) = ((f.height, f.round), f.vote.number());
        let message = certificate::vote(h, place, kind, block(vote).as_ref(), &f.key);
        curve::is_signed(&f.key.0, &message, &vote.signature.0)
    };
    let mut codes = Vec::new();
    if !is_consensus_key {
        codes.push((40, true));
    } else if f.height.0 > h.height {
        codes.push((44, true));
    } else if block(&f.first) >= block(&f.second) {
        codes.push((42, true));
    } else if !suspended && !no_validator {
        // Signatures are looked at only if there is nothing else.
        codes.push((41, ![&f.first, &f.second].into_iter().all(is_signed)));
    }
    let is_good = codes.iter().all(|(_, holds)| !holds) && !suspended && !no_validator;
    codes.push((43, is_good && first_report(h, f).is_some()));
    judged(vec![(0, true, vec![(1, suspended), (2, no_validator)]), (16, true, codes)], &[])
}

/// The first report of the same key, height, round and type that proved itself.
pub(super) fn first_report(h: &History, f: &misbehaviour::Report) -> Option<ItemHash> {
    h.deeds.iter().find_map(|deed| match &deed.fields {
        Fields::MisbehaviourReport(other)
            if (other.key, other.height, other.round, other.vote) == (f.key, f.height, f.round, f.vote)
                && deed.verdict.codes.is_empty() =>
        {
            Some(ItemHash(deed.item))
        }
        _ => None,
    })
}
