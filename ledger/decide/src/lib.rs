//! Whether an access is permitted: one pure function of the policy, the subject's rules and the request.
//!
//! [`decide`] is used by a custodian's gateway before an access, and by an auditor or the subject years
//! later, from the same openings to the same answer. It reads no clock (t is the time of the header
//! at height h), draws nothing, does no I/O, is total, and gives the same bytes in whatever order the
//! rules are listed. The procedure stands rule by rule in `docs/spec/decide.md`:
//!
//! ```text
//!   R1 eligible?  R2 prohibited?                       eligibility
//!   R3 subject or representative                       subject
//!   R4 secondary use: permit, opt-out at its issue     secondary
//!   R5 opt-out of primary use                          optout
//!   R6 candidates  R9 one consent                      consent
//!   R7 matching    R8 labels                           matching, terminology
//!   R10 several consents                               combine
//!   R11 emergency                                      emergency
//!   R12 what is unknown never permits                  consent::unknowns, here
//!   R13 unscoped requests                              residual
//!   R14 the answer                                     answer
//! ```
//!
//! The order is R1 > R2 > R3 > R4 > R5 > (R6..R10) > R11. Everything here depends on `custos-proof` alone.
//!
//! Deliberately absent: gathering facts over a network, JSON, and consensus: validators never say
//! "permitted", because they see no openings.

#![cfg_attr(test, allow(clippy::unwrap_used))]

use custos_proof::policy::{Assurance, Combining};
use custos_proof::sealed_values::{Answer as Outcome, Effect};

pub mod answer;
pub mod combine;
pub mod consent;
pub mod eligibility;
pub mod emergency;
pub mod facts;
pub mod gather;
pub mod intake;
pub mod listing;

pub mod matching;
pub mod optout;
pub mod replay;

pub mod request;
pub mod residual;
mod secondary;
mod stated;
mod subject;
pub mod terminology;
pub mod visible;

use answer::{Alternative, Answer, Ground, ItemAnswer, Obligation, RuleReference, Step};
use consent::{Heard, Unknown, Voice};
use custos_proof::ids::{LogIndex, TimeMs};
use facts::{Facts, Permit, Representative};
use matching::{Graded, Ruler};
use optout::{OptOut, OptOutKind};
use request::{Item, Request, Scope, Standing};
use residual::{Condition, Residual};

/// The answer to a request, as of `facts.height`.
///
/// Items are answered each by itself; an unscoped request gets a list that answers each item later.
#[must_use]
pub fn decide(facts: &Facts<'_>, request: &Request) -> Answer {
    let case = Case::new(facts, request);
    let (outcome, items, residual) = match &request.scope {
        Scope::Items(items) => {
            let answers: Vec<ItemAnswer> = items.iter().map(|item| case.answer(item)).collect();
            (together(&answers), answers, None)
        }
        Scope::Unscoped => match case.way {
            Err(ground) => (Outcome::Deny, vec![case.denied(ground, Vec::new())], None),
            Ok(_) => {
                let residual = case.residual();
                let outcome = residual.outcome();
                (outcome, vec![case.plain(outcome, Ground::PerItem)], Some(residual))
            }
        },
    };
    Answer {
        outcome,
        obligations: case.obligations(outcome),
        items,
        residual,
        combining: facts.policy.combining,
        policy_version: facts.policy_version,
        terminology: facts.policy.terminology,
        height: facts.height,
        time: facts.time,
    }
}

/// Permit when anything may be served; else what is left: unknown, or denied.
fn together(items: &[ItemAnswer]) -> Outcome {
    let has = |outcome| items.iter().any(|item| item.outcome == outcome);
    match (has(Outcome::Permit), has(Outcome::Indeterminate)) {
        (true, _) => Outcome::Permit,
        (false, true) => Outcome::Indeterminate,
        (false, false) => Outcome::Deny,
    }
}

/// Which rule of the procedure decides the request, once R1 and R2 let it through.
enum Way<'a> {
    /// R3: the subject.
    Subject,
    /// R3: somebody with these delegations.
    Representative(Vec<&'a Representative>),
    /// R4: a permit, and the place in the log where it came to name the custodian, the purpose and the time.
    Permit(&'a Permit, LogIndex),
    /// R5 to R11: the subject's rules and the implicit policy.
    Rules,
}

/// A request before the facts: everything that does not depend on an item, worked out once.
struct Case<'a> {
    facts: &'a Facts<'a>,
    request: &'a Request,
    ruler: Ruler<'a>,
    way: Result<Way<'a>, Ground>,
    vouched: Option<Obligation>,
    is_emergency: bool,
    unknowns: Vec<Unknown>,
    opt_outs: Vec<OptOut>,
    heard: Vec<Heard<'a>>,
    suspensions: Vec<Heard<'a>>,
}

/// What the procedure says of an item before R12 and R11.
struct Base {
    effect: Effect,
    ground: Ground,
    basis: Vec<RuleReference>,
}

impl Base {
    fn of(effect: Effect, ground: Ground) -> Self {
        Self { effect, ground, basis: Vec::new() }
    }
}

impl<'a> Case<'a> {
    fn new(facts: &'a Facts<'a>, request: &'a Request) -> Self {
        let ruler = Ruler { terminology: facts.terminology, policy: facts.policy, base: &facts.base };
        let time_ms = i64::try_from(facts.time.0).unwrap_or(i64::MAX);
        let is_emergency = emergency::is_active(facts, request)
            && matches!(request.actor.standing, Standing::Clinician | Standing::Staff);
        let eligible = eligibility::eligible(facts, request, is_emergency);
        let vouched = eligible.ok().flatten();
        let way = eligible.and_then(|_| way(facts, request, &ruler));
        let demanded = demanded_assurance(facts, request);
        let mut heard: Vec<Heard<'a>> = consent::candidates(facts)
            .into_iter()
            .filter_map(|(listed, judged)| consent::hear(listed, judged, &ruler, request, time_ms, demanded))
            .collect();
        let mut suspensions = Vec::new();
        if matches!(way, Ok(Way::Subject | Way::Representative(_))) {
            suspensions = subject::suspensions(facts, &ruler, request, time_ms);
            heard = subject::naming(heard);
        }
        Self {
            facts,
            request,
            ruler,
            way,
            vouched,
            is_emergency,
            unknowns: consent::unknowns(facts),
            opt_outs: optout::in_force(facts),
            heard,
            suspensions,
        }
    }

    /// The answer for one item: the base answer, then R12, then R11.
    fn answer(&self, item: &Item) -> ItemAnswer {
        let way = match &self.way {
            Err(ground) => return self.denied(*ground, Vec::new()),
            Ok(way) => way,
        };
        let data = self.ruler.grade(item);
        let voices: Vec<(&Heard<'_>, Voice)> =
            self.heard.iter().map(|heard| (heard, heard.voice(&self.ruler, &data))).collect();
        let base = self.base(way, &data, &voices);
        let unknown = base.effect == Effect::Permit && !self.unknowns.is_empty();
        let (outcome, ground) = match (base.effect, unknown) {
            (Effect::Permit, false) => (Outcome::Permit, base.ground),
            (Effect::Permit, true) => (Outcome::Indeterminate, Ground::Unknown),
            (Effect::Deny, _) => (Outcome::Deny, base.ground),
        };
        if outcome != Outcome::Permit && self.is_opened(way, ground, &data) {
            return ItemAnswer {
                is_override: true,
                basis: base.basis,
                ..self.plain(Outcome::Permit, Ground::Emergency)
            };
        }
        let permitting = outcome == Outcome::Permit && ground == Ground::RulePermits;
        ItemAnswer {
            assurance: permitting.then(|| self.least_assurance(&base.basis)).flatten(),
            permit: match way {
                Way::Permit(permit, _) => Some(permit.id),
                _ => None,
            },
            changes: self.changes(way, outcome, &base, &voices, &data),
            basis: base.basis,
            ..self.plain(outcome, ground)
        }
    }

    /// R3 to R10 for one item.
    fn base(&self, way: &Way<'_>, data: &Graded<'_>, voices: &[(&Heard<'_>, Voice)]) -> Base {
        let suspended = || subject::suspended(&self.suspensions, &self.ruler, data);
        match way {
            Way::Subject => match suspended() {
                Some(rule) => Base { basis: vec![rule], ..Base::of(Effect::Deny, Ground::ViewSuspended) },
                None => Base::of(Effect::Permit, Ground::Subject),
            },
            Way::Representative(delegations) => {
                if let Some(rule) = suspended() {
                    return Base { basis: vec![rule], ..Base::of(Effect::Deny, Ground::ViewSuspended) };
                }
                let covering = subject::covering(delegations, self.facts, data);
                if covering.is_empty() {
                    return Base::of(Effect::Deny, Ground::OutsideDelegation);
                }
                // Denials win here whatever the policy's algorithm is: these rules are heard first.
                let combined = combine::combine(Combining::DenyOverrides, voices, Effect::Permit);
                match combined.effect {
                    Effect::Deny => Base { basis: combined.basis, ..Base::of(Effect::Deny, combined.ground) },
                    Effect::Permit => {
                        let mut basis: Vec<RuleReference> =
                            covering.iter().filter_map(|who| who.granted).collect();
                        basis.extend(combined.basis);
                        Base { basis, ..Base::of(Effect::Permit, Ground::Representative) }
                    }
                }
            }
            Way::Permit(permit, holder) => {
                let Some(issued) = secondary::issued(self.facts, permit, *holder, data) else {
                    return Base::of(Effect::Deny, Ground::OutsidePermit);
                };
                match optout::binding(&self.opt_outs, issued) {
                    Some(opt_out) if !permit.overrides_opt_out => {
                        return Base {
                            basis: vec![opt_out.reference],
                            ..Base::of(Effect::Deny, Ground::SecondaryOptOut)
                        };
                    }
                    _ => {}
                }
                let besides = secondary::besides(self.facts);
                if secondary::any_reaches(self.facts, &besides, &data.item.categories) {
                    return self.combined(data, voices, false);
                }
                Base::of(Effect::Permit, Ground::Permit)
            }
            Way::Rules => match optout::primary(&self.opt_outs) {
                Some(opt_out) if data.item.origin.as_ref() != Some(&self.request.actor.participant) => {
                    Base { basis: vec![opt_out.reference], ..Base::of(Effect::Deny, Ground::PrimaryOptOut) }
                }
                _ => self.combined(data, voices, true),
            },
        }
    }

    /// R10 for one item; without the implicit policy where consent is demanded besides a permit.
    fn combined(&self, data: &Graded<'_>, voices: &[(&Heard<'_>, Voice)], with_implicit: bool) -> Base {
        let implicit = match with_implicit && self.implicit_permits(data) {
            true => Effect::Permit,
            false => Effect::Deny,
        };
        let combined = combine::combine(self.facts.policy.combining, voices, implicit);
        Base { effect: combined.effect, ground: combined.ground, basis: combined.basis }
    }

    fn implicit_permits(&self, data: &Graded<'_>) -> bool {
        let policy = self.facts.policy.implicit;
        let standing = self.request.actor.standing;
        combine::implicit_grade(policy, standing, &self.request.purpose, self.facts.terminology)
            .is_some_and(|grade| data.grade <= grade)
    }

    /// R11: whether an emergency opens what was denied or is unknown.
    fn is_opened(&self, way: &Way<'_>, ground: Ground, data: &Graded<'_>) -> bool {
        self.is_emergency
            && matches!(way, Way::Rules)
            && emergency::is_overridable(ground)
            && !(ground == Ground::PrimaryOptOut && self.has_absolute_opt_out())
            && emergency::opens(self.facts, data)
    }

    fn has_absolute_opt_out(&self) -> bool {
        self.opt_outs.iter().any(|opt_out| opt_out.kind == OptOutKind::PrimaryAbsolute)
    }

    /// R13: the list for an unscoped request.
    fn residual(&self) -> Residual {
        let facts = self.facts;
        let Ok(way) = &self.way else { return Residual::default() };
        let known = |residual: Residual| match self.unknowns.is_empty() {
            true => residual,
            false => residual.with_unknowns(),
        };
        match way {
            Way::Subject => {
                known(residual::suspended_first(&self.suspensions, Residual::always(Outcome::Permit)))
            }
            Way::Representative(delegations) => {
                let by_rules = residual::of_delegation(&self.heard);
                let all = delegations.iter().any(|who| who.categories.is_empty());
                let within = match all {
                    true => by_rules,
                    false => residual::deny_unless(
                        Condition::WithinCodings(
                            delegations.iter().flat_map(|who| who.categories.clone()).collect(),
                        ),
                        by_rules,
                    ),
                };
                known(residual::suspended_first(&self.suspensions, within))
            }
            Way::Permit(permit, holder) => {
                let consents = residual::of_rules(facts, self.request, &self.heard, false);
                let opted_out = |issued| optout::binding(&self.opt_outs, issued).is_some();
                known(residual::of_permit(facts, permit, *holder, opted_out, consents))
            }
            Way::Rules => {
                let rules = known(residual::of_rules(facts, self.request, &self.heard, true));
                let closed = |residual| match optout::primary(&self.opt_outs) {
                    Some(_) => residual::deny_first(
                        Condition::NotFrom(self.request.actor.participant.clone()),
                        residual,
                    ),
                    None => residual,
                };
                let categories = &facts.policy.emergency.categories;
                match (self.is_emergency, self.has_absolute_opt_out()) {
                    (false, _) => closed(rules),
                    (true, false) => closed(rules).overridden(categories),
                    (true, true) => closed(rules.overridden(categories)),
                }
            }
        }
    }

    /// What comes with the answer; duties of a declaration come whatever the outcome is.
    fn obligations(&self, outcome: Outcome) -> Vec<Obligation> {
        let mut obligations = emergency::duties(self.facts, self.request);
        obligations.extend(self.vouched);
        let related = self
            .request
            .relationship
            .is_some_and(|kind| kind != custos_proof::sealed_values::RelationshipKind::None);
        let unrelated = outcome == Outcome::Permit
            && self.facts.policy.treat_requires_relationship
            && matches!(self.way, Ok(Way::Rules))
            && self.request.emergency.is_none()
            && !related
            && self.facts.terminology.code_reaches("TREAT", &self.request.purpose);
        obligations.extend(unrelated.then_some(Obligation::Unrelated));
        obligations
    }

    fn plain(&self, outcome: Outcome, ground: Ground) -> ItemAnswer {
        ItemAnswer {
            outcome,
            ground,
            basis: Vec::new(),
            permit: None,
            assurance: None,
            is_override: false,
            changes: Vec::new(),
        }
    }

    /// A denial that no item changes.
    fn denied(&self, ground: Ground, basis: Vec<RuleReference>) -> ItemAnswer {
        let steps = match ground {
            Ground::ProhibitedPurpose => vec![Step::ChangePolicy],
            Ground::NotRepresentative | Ground::OutsideDelegation => vec![Step::Delegate],
            Ground::UnsafeRepresentative => vec![Step::ClearFlag],
            Ground::NoPermit | Ground::PermitNotInForce | Ground::PermitOfOther => vec![Step::IssuePermit],
            _ => vec![Step::BecomeEligible],
        };
        ItemAnswer { basis, changes: vec![steps], ..self.plain(Outcome::Deny, ground) }
    }

    fn least_assurance(&self, basis: &[RuleReference]) -> Option<Assurance> {
        let of = |reference: &RuleReference| {
            self.heard
                .iter()
                .find(|heard| heard.listed.item == reference.item)
                .map(|heard| heard.listed.assurance)
        };
        basis.iter().filter_map(of).min()
    }

    /// R14: what would change an item's answer; each alternative is enough by itself.
    fn changes(
        &self,
        way: &Way<'_>,
        outcome: Outcome,
        base: &Base,
        voices: &[(&Heard<'_>, Voice)],
        data: &Graded<'_>,
    ) -> Vec<Alternative> {
        let ends =
            |basis: &[RuleReference]| basis.iter().map(|rule| Step::EndRule(*rule)).collect::<Vec<_>>();
        let mut changes: Vec<Alternative> = Vec::new();
        match (outcome, base.ground) {
            (Outcome::Indeterminate, _) => {
                changes.push(self.unknowns.iter().map(|unknown| unknown.step()).collect())
            }
            (Outcome::Permit, Ground::Subject) => {}
            (Outcome::Permit, Ground::Representative) => {
                changes.push(vec![Step::EndDelegation]);
                changes.push(vec![Step::AddRestriction]);
            }
            (Outcome::Permit, Ground::Permit) => changes.extend(match way {
                Way::Permit(permit, _) => Some(vec![Step::RevokePermit(permit.id)]),
                _ => None,
            }),
            // Whatever the rules become, the emergency permits.
            (Outcome::Permit, _) if self.is_opened(way, Ground::RuleDenies, data) => {}
            (Outcome::Permit, ground) => {
                let denial_counts = match self.facts.policy.combining {
                    Combining::DenyOverrides | Combining::MostRecent | Combining::PermitUnlessDeny => true,
                    Combining::PermitOverrides => ground == Ground::ImplicitPermit,
                    Combining::DenyUnlessPermit => false,
                };
                changes.extend(denial_counts.then(|| vec![Step::AddRestriction]));
                if !base.basis.is_empty() && self.without(&base.basis, voices, data) == Effect::Deny {
                    changes.push(ends(&base.basis));
                }
                changes.extend(self.first_end(&base.basis).map(|time| vec![Step::Pass(time)]));
            }
            (Outcome::Deny, Ground::ViewSuspended) => {
                changes.push(base.basis.iter().map(|rule| Step::LiftSuspension(*rule)).collect());
            }
            (Outcome::Deny, Ground::OutsideDelegation) => changes.push(vec![Step::Delegate]),
            (Outcome::Deny, Ground::OutsidePermit) => changes.push(vec![Step::IssuePermit]),
            (Outcome::Deny, Ground::SecondaryOptOut) => {
                changes.push(vec![Step::IssuePermit]);
                changes.push(ends(&base.basis));
            }
            (Outcome::Deny, ground) => {
                changes.extend(self.towards_permission(way, ground, base, voices, data));
                let unsure = self.heard.iter().filter(|heard| heard.lacks_assurance);
                if let Some(demanded) = demanded_assurance(self.facts, self.request) {
                    changes
                        .extend(unsure.map(|h| {
                            vec![Step::RaiseAssurance(RuleReference::of(h.listed, None), demanded)]
                        }));
                }
                // What is unknown would still stand in the way of each of these.
                for alternative in &mut changes {
                    alternative.extend(self.unknowns.iter().map(|unknown| unknown.step()));
                }
                let can_declare = matches!(way, Way::Rules)
                    && self.facts.policy.emergency.allowed
                    && !self.is_emergency
                    && !(ground == Ground::PrimaryOptOut && self.has_absolute_opt_out())
                    && emergency::opens(self.facts, data);
                changes.extend(can_declare.then_some(vec![Step::DeclareEmergency]));
            }
        }
        changes
    }

    /// What the subject could change so that the rules permit: end what denies, or permit.
    fn towards_permission(
        &self,
        way: &Way<'_>,
        ground: Ground,
        base: &Base,
        voices: &[(&Heard<'_>, Voice)],
        data: &Graded<'_>,
    ) -> Vec<Alternative> {
        let mut ending: Alternative = base.basis.iter().map(|rule| Step::EndRule(*rule)).collect();
        if matches!(way, Way::Representative(_)) {
            return vec![ending];
        }
        let after_end = match ground {
            Ground::PrimaryOptOut => self.combined(data, voices, true).effect,
            _ => self.without(&base.basis, voices, data),
        };
        let permission_wins = match self.facts.policy.combining {
            _ if ground == Ground::PrimaryOptOut => false,
            Combining::PermitOverrides | Combining::MostRecent | Combining::DenyUnlessPermit => true,
            Combining::DenyOverrides | Combining::PermitUnlessDeny => ground != Ground::RuleDenies,
        };
        let mut alternatives = Vec::new();
        if after_end == Effect::Permit {
            alternatives.push(ending);
        } else if !permission_wins {
            ending.push(Step::AddPermission);
            alternatives.push(ending);
        }
        alternatives.extend(permission_wins.then(|| vec![Step::AddPermission]));
        alternatives
    }

    /// What the rules would say without some of them.
    fn without(&self, gone: &[RuleReference], voices: &[(&Heard<'_>, Voice)], data: &Graded<'_>) -> Effect {
        let left: Vec<(&Heard<'_>, Voice)> = voices
            .iter()
            .filter(|(heard, _)| !gone.iter().any(|rule| rule.item == heard.listed.item))
            .copied()
            .collect();
        self.combined(data, &left, matches!(self.way, Ok(Way::Rules))).effect
    }

    /// The first moment at which one of the rules has ended by itself.
    fn first_end(&self, basis: &[RuleReference]) -> Option<TimeMs> {
        let end = |reference: &RuleReference| {
            let heard = self.heard.iter().find(|heard| heard.listed.item == reference.item)?;
            let period =
                heard.root.and_then(|(_, root)| root.period.as_ref()).and_then(|period| period.end.as_ref());
            let period = period.and_then(|end| u64::try_from(end.last_ms()).ok()).map(TimeMs);
            let expiry = (heard.listed.expiry != custos_proof::ids::FAR)
                .then(|| TimeMs(heard.listed.expiry.0.saturating_sub(1)));
            [period, expiry].into_iter().flatten().min()
        };
        basis.iter().filter_map(end).min()
    }
}

/// R2 to R4, as far as they do not depend on items.
fn way<'a>(facts: &'a Facts<'_>, request: &Request, ruler: &Ruler<'_>) -> Result<Way<'a>, Ground> {
    if eligibility::is_prohibited(facts, &request.purpose) {
        return Err(Ground::ProhibitedPurpose);
    }
    match request.actor.standing {
        Standing::Subject => Ok(Way::Subject),
        Standing::Representative => subject::delegation(facts, ruler, request).map(Way::Representative),
        Standing::Clinician | Standing::Staff | Standing::DataUser
            if secondary::is_secondary(facts, request) =>
        {
            secondary::permit(facts, request).map(|(permit, holder)| Way::Permit(permit, holder))
        }
        Standing::Clinician | Standing::Staff | Standing::DataUser => Ok(Way::Rules),
    }
}

/// R6: the assurance that the policy demands of a permission for this purpose; the highest of those that apply.
fn demanded_assurance(facts: &Facts<'_>, request: &Request) -> Option<Assurance> {
    let applies = |code: &str| facts.terminology.code_reaches(code, &request.purpose);
    facts.policy.assurance.iter().filter(|entry| applies(&entry.purpose)).map(|entry| entry.assurance).max()
}
