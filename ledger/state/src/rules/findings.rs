//! What validators find about a statement, collected check by check.
//!
//! Testimony is recorded whatever it says. What is contradicted changes nothing that others rely on:
//! the rules ask [`Findings::is_contradicted`] before they write to the state.

use std::collections::BTreeSet;

use custos_proof::ids::{ParticipantId, Random16};
use custos_proof::record::{Check, Code, Finding, verdict};
use custos_proof::registry::Role;
use custos_proof::trail::TrailName;

use super::{Outcome, Saying};
use crate::overlay::Overlay;
use crate::view::ViewError;

/// Codes that mark a statement without contradicting it.
const MARKS: [Code; 7] =
    [Code::Late, Code::Gap, Code::OutOfOrder, Code::CitedInVain, Code::Imported, Code::Overdue, Code::Again];

/// Roles that may state accesses.
pub(super) const STATING: [Role; 3] = [Role::Custodian, Role::Recipient, Role::DataUser];

/// The checks that were made and what they found.
#[derive(Default)]
pub(super) struct Findings {
    checks: BTreeSet<Check>,
    codes: BTreeSet<Code>,
}

impl Findings {
    /// A check was made.
    pub(super) fn check(&mut self, check: Check, codes: impl IntoIterator<Item = Code>) {
        self.checks.insert(check);
        self.codes.extend(codes);
    }

    /// Something was found that belongs to no check.
    pub(super) fn mark(&mut self, code: Code) {
        self.codes.insert(code);
    }

    /// Begins with the statement's id: nothing when the same statement was recorded before, which then answers for it.
    pub(super) fn begin(
        overlay: &mut Overlay<'_>,
        saying: &Saying<'_>,
        event: &Random16,
    ) -> Result<Result<Self, Outcome>, ViewError> {
        let mut found = Findings::default();
        match overlay.event(saying.author, event)? {
            Some((index, item)) if item == saying.item => return Ok(Err(Outcome::Before(index))),
            Some(_) => found.check(Check::Event, [Code::EventReused]),
            None => {
                found.check(Check::Event, []);
                overlay.use_event(saying.author, event, saying.index, saying.item)?;
            }
        }
        Ok(Ok(found))
    }

    /// The author is not suspended, whatever its roles.
    pub(super) fn is_active(&mut self, saying: &Saying<'_>) {
        self.check(Check::Author, saying.participant.suspended.map(|_| Code::AuthorSuspended));
    }

    /// The author is not suspended and has one of these roles.
    pub(super) fn author(&mut self, saying: &Saying<'_>, roles: &[Role]) {
        self.is_active(saying);
        self.check(Check::Author, (!saying.participant.roles.has_any(roles)).then_some(Code::AuthorRole));
    }

    /// Whether somebody is registered; `code` if not.
    pub(super) fn known(
        &mut self,
        overlay: &Overlay<'_>,
        id: &ParticipantId,
        code: Code,
    ) -> Result<bool, ViewError> {
        let known = overlay.participant(id)?.is_some();
        self.check(Check::Author, (!known).then_some(code));
        Ok(known)
    }

    pub(super) fn is_contradicted(&self) -> bool {
        self.codes.iter().any(|code| !MARKS.contains(code))
    }

    fn finding(&self) -> Finding {
        let unjudged = self.codes.contains(&Code::Late) || self.codes.contains(&Code::Imported);
        match (self.is_contradicted(), unjudged) {
            (true, _) => Finding::Contradicted,
            (false, true) => Finding::NotEvaluated,
            (false, false) => Finding::Consistent,
        }
    }

    /// The statement is recorded.
    pub(super) fn recorded(self, trails: Vec<TrailName>) -> Outcome {
        let checks: Vec<_> = self.checks.iter().copied().collect();
        let codes: Vec<_> = self.codes.iter().copied().collect();
        Outcome::Recorded { verdict: verdict(&checks, &codes, self.finding()), trails }
    }
}
