//! With which word an act is refused: the tables of docs/spec/items.md, one for each kind, in their order.

use custos_proof::ids::{ParticipantId, Random16};
use custos_proof::keys::PublicKey;
use custos_proof::kinds::access::Retention;
use custos_proof::kinds::dispute::{Behalf, Resolution};
use custos_proof::kinds::hold::Authority;
use custos_proof::kinds::participant::Register;
use custos_proof::kinds::permit::Terms;
use custos_proof::kinds::rule::Collected;
use custos_proof::kinds::trail::{Agent, Change};
use custos_proof::kinds::{Fields, notarise};
use custos_proof::registry::Role;
use custos_proof::submission::Author;

use super::bounds::{DAY_MS, has_signed, is_out_of_bounds, is_possessed, make_a_set};
use super::calendar::{FAR, begins_quarter, year};
use super::curve;
use super::history::{Deed, History, institution_trail, key_id, subject_trail};
use super::spell;
use super::tree::Hash;
use super::votes;

/// An act that is to be judged.
pub(super) struct Act<'a> {
    pub(super) author: &'a Author,
    /// The validators agreed on it.
    pub(super) voted: bool,
    pub(super) item: Hash,
    pub(super) fields: &'a Fields,
}

/// A table: a word, and when it is what the act is refused with. The first line that holds counts.
macro_rules! first {
    ($( $word:literal if $holds:expr; )*) => {{
        $( if $holds { return Some($word); } )*
        None
    }};
}

/// The word with which an act is refused, if it is.
pub(super) fn refusal(h: &History, act: &Act<'_>) -> Option<&'static str> {
    match act.author {
        Author::Participant(me) => by_participant(h, act, me),
        Author::Subject(_) => match act.fields {
            Fields::RulePut(_) | Fields::TrailAgent(_) => into_trail(h, act),
            _ => Some("not-allowed"),
        },
    }
}

fn by_participant(h: &History, act: &Act<'_>, me: &ParticipantId) -> Option<&'static str> {
    let index = h.next_index();
    let is_new = |id: &ParticipantId| !h.is_registered(id);
    let lacks = |roles: &[Role]| !roles.iter().any(|role| h.has_role(me, *role));
    match act.fields {
        Fields::ParticipantRegister(f) => first! {
            "by-vote-only" if !act.voted;
            "exists" if h.is_registered(&f.id);
            "not-allowed" if is_named_in_clear(h, f, "participant.register/name");
            "malformed-item" if f.name.is_some() == f.sealed_name.is_some();
        },
        Fields::ParticipantUpdate(f) => first! {
            "by-vote-only" if !act.voted;
            "not-found" if is_new(&f.id);
            "not-allowed" if h.will_decide(&f.id) && !f.roles.has(Role::Validator);
            "not-allowed" if is_named_in_clear(h, f, "participant.update/name");
            "malformed-item" if f.name.is_some() == f.sealed_name.is_some();
        },
        Fields::ParticipantSuspend(f) => first! {
            "by-vote-only" if !act.voted;
            "not-found" if is_new(&f.id);
            "not-allowed" if h.will_decide(&f.id);
            "exists" if h.suspended(&f.id).is_some();
        },
        Fields::KeyAdd(f) => first! {
            "not-allowed" if !act.voted && f.owner != *me;
            "not-found" if is_new(&f.owner);
            "bad-key" if !curve::is_registrable(&f.key.0);
            "no-possession" if !is_possessed(h, &f.owner, f.purpose.number(), &f.key, &f.possession);
            "exists" if h.key(&key_id(&f.key)).is_some();
        },
        Fields::KeyRotate(f) => {
            let old = h.key(&f.old.0);
            let Some((key, owner)) = old.as_ref().and_then(|key| Some((key, key.owner.as_participant()?)))
            else {
                return Some("not-found");
            };
            first! {
                "not-allowed" if !act.voted && owner != me;
                "by-vote-only" if h.next_seats().iter().any(|seat| seat.1 == key.key);
                "revoked-key" if !key.speaks(index, h.time);
                "out-of-range" if f.overlap_ms > 30 * DAY_MS;
                "bad-key" if !curve::is_registrable(&f.key.0);
                "no-possession" if !is_possessed(h, owner, key.purpose, &f.key, &f.possession);
                "exists" if h.key(&key_id(&f.key)).is_some();
            }
        }
        Fields::KeyRevoke(f) => {
            let known = h.key(&f.key.0);
            let Some((key, owner)) = known.as_ref().and_then(|key| Some((key, key.owner.as_participant()?)))
            else {
                return Some("not-found");
            };
            let since = f.compromised_from.map(|from| from.0);
            first! {
                "not-allowed" if !act.voted && owner != me;
                "by-vote-only" if h.next_seats().iter().any(|seat| seat.1 == key.key);
                "revoked-key" if !key.speaks(index, h.time);
                "out-of-range" if since.is_some_and(|since| since > h.time);
                "too-far-back" if !act.voted && since.is_some_and(|since| h.time - since > 72 * 3_600_000);
            }
        }
        Fields::TrailOpen(f) => first! {
            "not-allowed" if lacks(&[Role::Custodian]);
            "wrong-epoch" if u64::from(f.epoch) != year(h.time);
            "not-allowed" if f.grantee.as_ref() == Some(me);
            "not-found" if f.grantee.as_ref().is_some_and(is_new);
            "exists" if h.opening(&subject_trail(me, &f.local_id.0)).is_some();
        },
        Fields::TrailClose(f) => {
            let trail = subject_trail(me, &f.local_id.0);
            first! {
                "not-found" if h.opening(&trail).is_none();
                "trail-closed" if h.closed(&trail).is_some();
            }
        }
        Fields::RulePut(_) | Fields::TrailAgent(_) => into_trail(h, act),
        Fields::PermitIssue(f) => first! {
            "not-allowed" if lacks(&[Role::AccessBody]);
            "exists" if h.issue(&f.permit).is_some();
            "malformed-item" if says_too_little(&f.terms);
            "out-of-range" if is_no_period(h, &f.terms);
            "not-found" if names_a_stranger(h, &f.terms);
            "not-allowed" if names_wrong_roles(h, &f.terms);
        },
        Fields::PermitAmend(f) => first! {
            "not-found" if h.issue(&f.permit).is_none();
            "not-allowed" if h.body(&f.permit) != Some(me);
            "ended" if has_ended(h, &f.permit);
            "malformed-item" if says_too_little(&f.terms);
            "out-of-range" if is_no_period(h, &f.terms);
            "not-found" if names_a_stranger(h, &f.terms);
            "not-allowed" if names_wrong_roles(h, &f.terms);
            "not-allowed" if h.terms(&f.permit).is_some_and(|terms| terms.user != f.terms.user);
            "quota-exceeded" if h.versions(&f.permit).len() > 255;
        },
        Fields::PermitRevoke(f) => first! {
            "not-found" if h.issue(&f.permit).is_none();
            "not-allowed" if h.body(&f.permit) != Some(me);
            "ended" if has_ended(h, &f.permit);
        },
        Fields::HoldSet(f) => {
            let trail = f.local_id.map(|id| subject_trail(&f.custodian, &id.0));
            first! {
                "not-allowed" if *me != f.custodian && lacks(&[Role::Auditor]);
                "not-found" if is_new(&f.custodian);
                "not-found" if trail.is_some_and(|trail| h.opening(&trail).is_none());
                "exists" if h.hold(&f.custodian, &f.hold).is_some();
            }
        }
        Fields::HoldLift(f) => {
            let set = h.hold(&f.custodian, &f.hold);
            let is_on_it = set.is_some_and(|deed| match &deed.fields {
                Fields::HoldSet(set) => set.local_id == f.local_id,
                _ => false,
            });
            first! {
                "not-found" if !is_on_it;
                "not-allowed" if set.is_some_and(|deed| deed.author != *act.author);
                "ended" if h.lifted(&f.custodian, &f.hold).is_some();
            }
        }
        Fields::PayloadErase(f) => {
            let trail = subject_trail(me, &f.local_id.0);
            let days = match f.retention {
                Retention::Short => h.policy().retention_days.first(),
                Retention::Standard => h.policy().retention_days.get(1),
                Retention::Long => h.policy().retention_days.get(2),
            };
            let period = days.map_or(u64::MAX, |days| u64::from(*days) * DAY_MS);
            let by_age = f.authority == Authority::RetentionEnded;
            first! {
                "not-found" if h.opening(&trail).is_none();
                "out-of-range" if f.from >= f.to || f.to - f.from > 4096 || f.to > h.trail_size(&trail);
                "on-hold" if h.holds(&trail) > 0 || h.holds(&institution_trail(me)) > 0;
                "out-of-range" if by_age && !begins_quarter(f.before.0);
                "too-early" if by_age && f.before.0.saturating_add(period) > h.time;
                "out-of-range" if !by_age && f.before.0 != FAR;
            }
        }
        Fields::ProposalOpen(f) => votes::open_refused(h, act, me, f),
        Fields::ProposalVote(f) => votes::vote_refused(h, me, f),
        Fields::PolicySet(f) => first! {
            "by-vote-only" if !act.voted;
            "out-of-range" if Some(f.policy.version) != h.policy().version.checked_add(1);
            "out-of-range" if is_out_of_bounds(&f.policy);
        },
        Fields::ProtocolUpgrade(f) => first! {
            "by-vote-only" if !act.voted;
            "out-of-range" if f.version < h.protocol().0;
            "out-of-range" if f.height.0 <= h.height;
        },
        Fields::ValidatorPut(f) => {
            let known = h.key(&key_id(&f.key));
            let is_own = known.as_ref().is_none_or(|key| {
                key.owner == Author::Participant(f.participant.clone())
                    && key.purpose == 2
                    && key.speaks(index, h.time)
            });
            let mut seats = h.next_seats();
            seats.retain(|seat| seat.0 != f.participant);
            seats.push((f.participant.clone(), f.key, f.power));
            let can_vote =
                h.suspended(&f.participant).is_none() && h.has_role(&f.participant, Role::Validator);
            first! {
                "by-vote-only" if !act.voted;
                "not-found" if is_new(&f.participant);
                "not-allowed" if !can_vote;
                "bad-key" if !curve::is_registrable(&f.key.0);
                "no-possession" if !is_possessed(h, &f.participant, 2, &f.key, &f.possession);
                "exists" if !is_own;
                "out-of-range" if !make_a_set(&seats);
            }
        }
        Fields::ValidatorRemove(f) => first! {
            "by-vote-only" if !act.voted;
            "not-found" if !h.will_decide(&f.participant);
            "out-of-range" if h.next_seats().len() == 1;
        },
        Fields::RosterCommit(f) => first! {
            "not-allowed" if lacks(&[Role::Custodian, Role::Recipient, Role::DataUser, Role::AccessBody]);
            "out-of-range" if f.until <= f.from || f.until.0 - f.from.0 > 400 * DAY_MS;
            "out-of-range" if f.until.0 <= h.time;
        },
        Fields::MandateIssue(f) => {
            let is_auditor = h.has_role(&f.auditor, Role::Auditor) && h.suspended(&f.auditor).is_none();
            first! {
                "not-allowed" if !act.voted && f.custodian != *me;
                "not-found" if is_new(&f.auditor) || is_new(&f.custodian);
                "not-allowed" if !is_auditor || !h.has_role(&f.custodian, Role::Custodian);
                "out-of-range" if f.to_year < f.from_year || f.to_year - f.from_year > 29;
                "exists" if is_mandated(h, &f.auditor, &f.custodian);
            }
        }
        Fields::MandateEnd(f) => first! {
            "not-allowed" if !act.voted && f.auditor != *me && f.custodian != *me;
            "not-found" if !is_mandated(h, &f.auditor, &f.custodian);
        },
        Fields::Notarise(f) => notarise(h, act, me, f),
        Fields::FindingRecord(f) => first! {
            "not-allowed" if lacks(&[Role::Auditor]);
            "no-mandate" if !is_mandated(h, me, &f.institution);
            "exists" if h.deeds.iter().any(|deed| match &deed.fields {
                Fields::FindingRecord(other) => other.institution == f.institution && other.finding == f.finding,
                _ => false,
            });
        },
        Fields::DisputeOpen(f) => {
            let is_other = *me != f.institution;
            first! {
                "not-allowed" if !is_other && f.behalf != Behalf::Subject;
                "not-allowed" if is_other && lacks(&[Role::Auditor]);
                "no-mandate" if is_other && !is_mandated(h, me, &f.institution);
                "exists" if dispute(h, &f.institution, &f.dispute).is_some();
            }
        }
        Fields::DisputeAnswer(f) => first! {
            "not-found" if dispute(h, me, &f.dispute).is_none();
            "exists" if dispute(h, me, &f.dispute).is_some_and(|found| found.answered.or(found.resolved).is_some());
        },
        Fields::DisputeResolve(f) => {
            let Some(found) = dispute(h, &f.institution, &f.dispute) else { return Some("not-found") };
            first! {
                "not-allowed" if found.opened.author != *act.author;
                "not-allowed" if found.answered.is_none() && found.resolved.is_none()
                    && f.resolution != Resolution::Withdrawn;
                "exists" if found.resolved.is_some();
            }
        }
        // Testimony is no act.
        _ => Some("mixed-classes"),
    }
}

/// `rule.put` and `trail.agent`: who speaks, and in which trail.
fn into_trail(h: &History, act: &Act<'_>) -> Option<&'static str> {
    let (custodian, local_id, collected) = match act.fields {
        Fields::RulePut(f) => (&f.custodian, &f.local_id, f.collected),
        Fields::TrailAgent(f) => (&f.custodian, &f.local_id, f.collected),
        _ => return Some("not-allowed"),
    };
    let trail = subject_trail(custodian, &local_id.0);
    let (is_custodian, speaks) = match act.author {
        Author::Participant(me) if me == custodian => (true, true),
        Author::Participant(me) => (false, h.agent(&trail, me).is_some_and(|(_, until)| until.is_none())),
        Author::Subject(own) => (false, own.0 == trail),
    };
    if !speaks {
        return Some("not-allowed");
    }
    let Some((grantee, epoch)) = h.opened(&trail) else { return Some("not-found") };
    let now = year(h.time);
    match act.fields {
        Fields::RulePut(f) => first! {
            "trail-closed" if h.closed(&trail).is_some();
            "not-allowed" if is_custodian == (collected == Collected::Signed);
            "not-allowed" if collected == Collected::Custodian && grantee.is_some();
            "wrong-epoch" if epoch != now && (f.ends.is_empty() || epoch + 1 != now);
            "bad-expiry" if f.expiry.0 != FAR && !begins_quarter(f.expiry.0);
            "bad-expiry" if f.expiry.0 <= h.time;
            "exists" if h.rule(&trail, &f.rule).is_some();
            "not-found" if f.ends.iter().any(|rule| h.rule(&trail, rule).is_none());
            "exists" if f.ends.iter().any(|rule| h.rule_ended(&trail, rule).is_some());
        },
        Fields::TrailAgent(f) => {
            if let Some(word) = first_of_agent(h, &trail, is_custodian, epoch == now, f) {
                return Some(word);
            }
            match (&f.key, &f.agent) {
                (Some(key), _) => subject_key(h, &trail, f, key),
                (_, Some(agent)) => first! {
                    "not-found" if f.change == Change::Add && !h.is_registered(agent);
                    "not-allowed" if f.change == Change::Add
                        && (!h.has_role(agent, Role::Agent) || agent == custodian || grantee == Some(agent));
                    "exists" if f.change == Change::Add && is_agent(h, &trail, agent);
                    "not-found" if f.change == Change::Remove && !is_agent(h, &trail, agent);
                },
                _ => Some("malformed-item"),
            }
        }
        _ => None,
    }
}

fn first_of_agent(
    h: &History,
    trail: &Hash,
    is_custodian: bool,
    is_this_year: bool,
    f: &Agent,
) -> Option<&'static str> {
    let begins_with_key = f.key.is_some() && f.change == Change::Add;
    first! {
        "trail-closed" if h.closed(trail).is_some();
        "not-allowed" if is_custodian == (f.collected == Collected::Signed);
        "not-allowed" if f.collected == Collected::Custodian;
        "wrong-epoch" if !is_this_year;
        "malformed-item" if f.key.is_some() == f.agent.is_some();
        "malformed-item" if f.possession.is_some() != begins_with_key;
    }
}

fn subject_key(h: &History, trail: &Hash, f: &Agent, key: &PublicKey) -> Option<&'static str> {
    let known = h.key(&key_id(key));
    if f.change == Change::Add {
        let preimage = spell::array(&[
            spell::bytes(&h.chain),
            spell::bytes(trail),
            spell::uint(1),
            spell::bytes(&key.0),
        ]);
        let is_possessed = f.possession.is_some_and(|possession| has_signed(key, &preimage, &possession));
        return first! {
            "bad-key" if !curve::is_registrable(&key.0);
            "no-possession" if !is_possessed;
            "exists" if known.is_some();
        };
    }
    let own = known.filter(|known| match &known.owner {
        Author::Subject(of) => of.0 == *trail,
        Author::Participant(_) => false,
    });
    first! {
        "not-found" if own.is_none();
        "ended" if own.is_some_and(|key| key.revoked.is_some());
    }
}

fn is_agent(h: &History, trail: &Hash, agent: &ParticipantId) -> bool {
    h.agent(trail, agent).is_some_and(|(_, until)| until.is_none())
}

fn is_named_in_clear(h: &History, f: &Register, field: &str) -> bool {
    f.name.is_some() && h.policy().must_seal.iter().any(|sealed| **sealed == *field)
}

fn says_too_little(terms: &Terms) -> bool {
    terms.purposes.is_empty() || terms.categories.is_empty() || terms.holders.is_empty()
}

fn is_no_period(h: &History, terms: &Terms) -> bool {
    terms.ends <= terms.begins || terms.ends.0 <= h.time
}

fn names_a_stranger(h: &History, terms: &Terms) -> bool {
    let named = [&terms.user].into_iter().chain(terms.holders.iter()).chain(&terms.environment);
    named.into_iter().any(|id| !h.is_registered(id))
}

fn names_wrong_roles(h: &History, terms: &Terms) -> bool {
    !h.has_role(&terms.user, Role::DataUser)
        || terms.holders.iter().any(|holder| !h.has_role(holder, Role::Custodian))
}

fn has_ended(h: &History, permit: &Random16) -> bool {
    h.permit_revoked(permit).is_some() || h.terms(permit).is_some_and(|terms| terms.ends.0 <= h.time)
}

/// Whether the last mandate between the two has not ended.
fn is_mandated(h: &History, auditor: &ParticipantId, custodian: &ParticipantId) -> bool {
    mandate(h, auditor, custodian).is_some_and(|(_, ended)| ended.is_none())
}

/// The last mandate between two, and the block that ended it.
pub(super) fn mandate<'h>(
    h: &'h History,
    auditor: &ParticipantId,
    custodian: &ParticipantId,
) -> Option<(&'h Deed, Option<u64>)> {
    let mut found: Option<(&Deed, Option<u64>)> = None;
    for deed in &h.deeds {
        match (&deed.fields, &mut found) {
            (Fields::MandateIssue(f), _) if f.auditor == *auditor && f.custodian == *custodian => {
                found = Some((deed, None));
            }
            (Fields::MandateEnd(f), Some((_, ended)))
                if f.auditor == *auditor && f.custodian == *custodian =>
            {
                *ended = Some(deed.height);
            }
            _ => {}
        }
    }
    found
}

/// A dispute, as far as it has come.
pub(super) struct Dispute<'h> {
    pub(super) opened: &'h Deed,
    pub(super) answered: Option<u64>,
    pub(super) resolved: Option<u64>,
}

pub(super) fn dispute<'h>(h: &'h History, institution: &ParticipantId, id: &Random16) -> Option<Dispute<'h>> {
    let mut found: Option<Dispute<'h>> = None;
    for deed in &h.deeds {
        match (&deed.fields, &mut found) {
            (Fields::DisputeOpen(f), None) if f.institution == *institution && f.dispute == *id => {
                found = Some(Dispute { opened: deed, answered: None, resolved: None });
            }
            (Fields::DisputeAnswer(f), Some(found))
                if f.dispute == *id && deed.author.as_participant() == Some(institution) =>
            {
                found.answered = Some(deed.height);
            }
            (Fields::DisputeResolve(f), Some(found)) if f.dispute == *id && f.institution == *institution => {
                found.resolved = Some(deed.height);
            }
            _ => {}
        }
    }
    found
}

/// The act that notarised an item.
pub(super) fn notarised<'h>(h: &'h History, item: &Hash) -> Option<&'h Deed> {
    h.deeds.iter().find(|deed| matches!(deed.fields, Fields::Notarise(_)) && deed.item == *item)
}

/// How much of a notarised item's amount its parts have taken.
pub(super) fn taken(h: &History, item: &Hash) -> u64 {
    let parts = h.deeds.iter().filter_map(|deed| match &deed.fields {
        Fields::Notarise(f) if f.parent.is_some_and(|parent| parent.0 == *item) => f.amount,
        _ => None,
    });
    parts.sum()
}

fn notarise(h: &History, act: &Act<'_>, me: &ParticipantId, f: &notarise::Notarise) -> Option<&'static str> {
    let parent = f.parent.map(|parent| (parent, notarised(h, &parent.0)));
    let above = parent.and_then(|(hash, deed)| match &deed?.fields {
        Fields::Notarise(above) => {
            let holder = above.holder.as_ref().or(deed?.author.as_participant())?;
            Some((holder, above.amount.unwrap_or(0).saturating_sub(taken(h, &hash.0))))
        }
        _ => None,
    });
    first! {
        "not-allowed" if !h.policy().schemas.contains(&f.schema);
        "exists" if notarised(h, &act.item).is_some();
        "not-found" if f.holder.as_ref().is_some_and(|holder| !h.is_registered(holder));
        "not-found" if parent.is_some() && above.is_none();
        "not-allowed" if above.is_some_and(|(holder, _)| holder != me);
        "exceeds-parent" if above.is_some_and(|(_, left)| f.amount.is_some_and(|amount| amount > left));
    }
}
