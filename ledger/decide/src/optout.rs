//! R5, and what R4 needs: opt-outs from primary and from secondary use.
//!
//! An opt-out is a `rule.put` of inner kind `opt-out` whose body's categories carry one code of the
//! system `urn:custos:opt-out`: `primary` (EHDS Art. 10), `primary-absolute` (no emergency opens it), or
//! `secondary` (EHDS Art. 71). It is in force until a rule of the same trail ends it.

use custos_proof::hash::ItemHash;
use custos_proof::ids::LogIndex;
use custos_proof::sealed_values::{InnerKind, Rule};

use crate::answer::RuleReference;
use crate::facts::{Content, Facts};

/// The system of the kinds of opt-outs.
pub const OPT_OUT: &str = "urn:custos:opt-out";

/// What somebody opts out of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum OptOutKind {
    /// Primary use by others than the originating custodian.
    Primary,
    /// As `Primary`, emergencies included.
    PrimaryAbsolute,
    /// Secondary use under permits issued later.
    Secondary,
}

impl OptOutKind {
    /// The code that says so.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            OptOutKind::Primary => "primary",
            OptOutKind::PrimaryAbsolute => "primary-absolute",
            OptOutKind::Secondary => "secondary",
        }
    }

    /// What a rule's categories say; `None` when they say nothing, or several things.
    #[must_use]
    pub fn of(rule: &Rule) -> Option<Self> {
        let kinds = [OptOutKind::Primary, OptOutKind::PrimaryAbsolute, OptOutKind::Secondary];
        let mut said =
            kinds.into_iter().filter(|kind| rule.categories.iter().any(|c| c.has(OPT_OUT, kind.code())));
        match (said.next(), said.next()) {
            (Some(kind), None) => Some(kind),
            _ => None,
        }
    }
}

/// An opt-out in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OptOut {
    pub(crate) kind: OptOutKind,
    pub(crate) put: LogIndex,
    pub(crate) item: ItemHash,
    pub(crate) reference: RuleReference,
}

/// Every opt-out in force at h, in the order of the log.
pub(crate) fn in_force(facts: &Facts<'_>) -> Vec<OptOut> {
    let mut found: Vec<OptOut> = facts
        .rules
        .iter()
        .filter(|listed| listed.is_in_force(facts.height, facts.time) && listed.author_was_valid)
        .filter_map(|listed| match &listed.content {
            Content::Rule(judged) if judged.inner == InnerKind::OptOut && judged.intake.is_ok() => {
                Some(OptOut {
                    kind: OptOutKind::of(&judged.rule)?,
                    put: listed.position,
                    item: listed.item,
                    reference: RuleReference::of(listed, None),
                })
            }
            _ => None,
        })
        .collect();
    found.sort_by_key(|opt_out| (opt_out.put, opt_out.item));
    found
}

/// R5: the primary opt-out that closes the data of others than its originating custodian; the absolute one first.
pub(crate) fn primary(opt_outs: &[OptOut]) -> Option<&OptOut> {
    let of = |kind| opt_outs.iter().find(|opt_out| opt_out.kind == kind);
    of(OptOutKind::PrimaryAbsolute).or_else(|| of(OptOutKind::Primary))
}

/// R4: the secondary opt-out that binds something issued at a place in the log: recorded before it, and in force now.
pub(crate) fn binding(opt_outs: &[OptOut], issued: LogIndex) -> Option<&OptOut> {
    opt_outs.iter().find(|opt_out| opt_out.kind == OptOutKind::Secondary && opt_out.put < issued)
}
