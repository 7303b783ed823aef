# The vocabulary of the formats: one message per value, named after it.

## Kinds of entries

kind-participant-register = a participant enters the registry
kind-participant-update = a participant's entry changes
kind-participant-suspend = a participant is suspended
kind-key-add = a key is added
kind-key-rotate = a key is replaced
kind-key-revoke = a key is revoked
kind-trail-open = a trail is opened
kind-trail-close = a trail is closed
kind-rule-put = a rule of the subject
kind-access-event = an access

## Sealed fields

field-name = name
field-back-pointer = back pointer
field-inner-kind = kind of rule
field-body = rule
field-evidence = evidence
field-action = action
field-outcome = outcome
field-when = when
field-purpose = purpose
field-legal-basis = legal basis
field-categories = categories
field-origins = origins
field-agents = who took part
field-relationship = relationship
field-resources = resources
field-labels = labels
field-justification = justification
field-decision = decision
field-correlation = correlation
field-group = group
field-source = source

## Participants and keys

registry-role-custodian = custodian
registry-role-recipient = recipient
registry-role-data-user = data user
registry-role-access-body = access body
registry-role-agent = agent of subjects
registry-role-auditor = auditor
registry-role-validator = validator
registry-role-registrar = registrar
registry-role-observer = observer
key-purpose-sign = signing
key-purpose-consensus = voting on blocks
key-purpose-transport = transport
key-purpose-note = signing checkpoints
key-purpose-vault = vault
reason-unspecified = none given
reason-compromised = others may know a secret
reason-superseded = replaced by another
reason-ceased = no longer in operation
reason-breach = an agreement was broken
reason-request = at the participant's own wish
trail-kind-subject = a subject's
trail-kind-institution = an institution's
trail-kind-permit = a permit's
trail-kind-registry = the registry's

## An access: clear facts

basis-unknown = not stated
basis-consent = consent
basis-law = law
basis-permit = data permit
basis-emergency = emergency
basis-subject = the subject
late-none = not late
late-spooled = recorded late: it had waited in a spool
late-imported-history = imported from an earlier system
retention-standard = the ordinary period
retention-short = the shorter period
retention-long = the longer period
collected-paper = a signed paper
collected-in-person = said in person
collected-portal = through a portal
collected-e-signature = electronic signature
collected-custodian = an entry of the custodian itself

## What validators found

finding-consistent = consistent
finding-contradicted = contradicted
finding-not-evaluated = not evaluated
check-author = the author is an active participant in a role that may state this
check-trail = the trail is the stated custodian's, for the stated organisation
check-rule = the cited rule stands in this trail and was in force when the access was decided
check-permit = the cited permit covers it
check-emergency = the cited emergency was declared
check-lag = the access was decided within the policy's time before it was recorded
check-event = the event was not recorded before
check-sequence = the author's numbering has no gap here
code-author-suspended = the author was suspended
code-author-role = the author has no role that may state this
code-author-not-party = the author is neither the custodian nor the acting organisation
code-unknown-custodian = the stated custodian is not in the registry
code-unknown-acting = the acting organisation is not in the registry
code-trail-not-open = the trail was never opened by the stated custodian
code-trail-closed = the trail was closed
code-acting-not-grantee = the acting organisation is not the one this trail is for
code-other-epoch = the trail is of another calendar year
code-nothing-cited = the stated ground cites nothing
code-unknown-rule = the cited rule does not stand in this trail
code-rule-not-yet = the cited rule was recorded only after the access was decided
code-rule-ended = the cited rule had been ended when the access was decided
code-rule-expired = the cited rule had expired when the access was decided
code-unknown-permit = the cited permit is not on this ledger
code-unknown-emergency = the cited emergency was not declared on this ledger
code-late = recorded later than the policy allows
code-future-height = the stated height had not been reached
code-event-reused = another event of this author was recorded under this event id
code-gap = numbers are missing before this one in the author's stream
code-out-of-order = the number does not follow the last one in the author's stream
code-cited-in-vain = something is cited although the stated ground needs no citation
code-imported = imported from an earlier system, decided without this ledger

## An access: sealed words

action-read = read
action-query = searched
action-create = written anew
action-update = changed
action-delete = deleted
action-export = given out
action-import = taken in
action-execute = an operation
action-start-break-glass = start of emergency access
action-stop-break-glass = end of emergency access
outcome-served = served
outcome-denied = refused
outcome-overridden = given against a refusal
outcome-failed = failed
agent-person = a person
agent-software = a program
agent-device = a device
agent-organisation = an organisation
relationship-none = none
relationship-encounter = a visit or stay
relationship-referral = a referral
relationship-appointment = an appointment
relationship-team = the treating team
relationship-patient-present = the patient was there
relationship-on-call = on-call duty
answer-permit = permit
answer-deny = deny
answer-indeterminate = could not be decided
unstated-not-stated = not stated by the source
unstated-not-applicable = not applicable
unstated-not-understood = stated by the source in a form that was not understood
unstated-withheld = withheld by the source
format-direct = entered directly
format-fhir-r4-audit-event = FHIR R4 AuditEvent
format-fhir-r4-consent = FHIR R4 Consent
format-fhir-r5-audit-event = FHIR R5 AuditEvent
format-fhir-r5-consent = FHIR R5 Consent

## Rules

effect-permit = permit
effect-deny = deny
inner-grant = a permission
inner-replace = a rule in the place of an earlier one
inner-renew = an earlier rule goes on
inner-narrow = an earlier rule is narrowed
inner-revoke = an earlier rule ends
inner-invalidate = an earlier rule was entered in error
inner-refuse = asked, and refused
inner-restriction = a restriction
inner-opt-out = an opt-out
inner-lift = a restriction or opt-out ends
inner-view-suspend = entries are held back from view
inner-acknowledge = the end of a rule is acknowledged
inner-lists-trail = another trail of yours is listed
meaning-instance = itself
meaning-related = and what relates to it
meaning-dependents = and what depends on it
meaning-authored-by = what this party wrote

## Governance

kind-proposal-open = a proposal
kind-proposal-vote = a vote on a proposal
kind-policy-set = the policy changes
kind-protocol-upgrade = the protocol changes
kind-validator-put = a validator is admitted or changed
kind-validator-remove = a validator is removed
kind-misbehaviour-report = a report of misbehaviour
kind-roster-commit = a commitment to a staff list
kind-mandate-issue = a mandate to audit
kind-mandate-end = the end of a mandate
kind-notarise = a notarised document
kind-finding-record = a finding
kind-dispute-open = a dispute
kind-dispute-answer = an answer in a dispute
kind-dispute-resolve = the end of a dispute
field-wrapped-keys = wrapped keys
field-pointer = pointer
field-words = in words
check-evidence = the two votes are signed by this consensus key, and conflict
code-no-consensus-key = the reported key is not a consensus key of the registry
code-vote-not-signed = a reported vote is not signed by this key
code-votes-agree = the reported votes do not conflict, or are not in their order
code-reported-before = this misbehaviour was reported before
code-height-ahead = the reported height has not been reached
choice-yes = yes
choice-no = no
vote-prevote = first vote
vote-precommit = second vote
resolution-dismissed = dismissed
resolution-corrected = corrected
resolution-upheld = upheld
resolution-withdrawn = withdrawn
