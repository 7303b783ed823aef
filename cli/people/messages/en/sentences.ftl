# Entries of a trail, sentence by sentence.
#
# $listener is "you" when the subject reads, else "other". Never write that somebody did something:
# the author of an entry *states* it, and that is all that is known.

## Lists and dates

list-more = { $list }, { $next }
list-and = { $list } and { $next }
list-or = { $list } or { $next }
list-also = { $list }; { $next }

month-1 = Jan
month-2 = Feb
month-3 = Mar
month-4 = Apr
month-5 = May
month-6 = Jun
month-7 = Jul
month-8 = Aug
month-9 = Sep
month-10 = Oct
month-11 = Nov
month-12 = Dec
date-second = { $day } { $month } { $year }, { $hour }:{ $minute }:{ $second } UTC
date-minute = { $day } { $month } { $year }, { $hour }:{ $minute } UTC
date-day = { $day } { $month } { $year }
date-day-short = { $day } { $month }
date-month = { $month } { $year }
date-never = without end
span-ms = { $count } ms
span-seconds = { $count ->
    [one] { $count } second
   *[other] { $count } seconds
}
span-minutes = { $count ->
    [one] { $count } minute
   *[other] { $count } minutes
}
span-hours = { $count ->
    [one] { $count } hour
   *[other] { $count } hours
}
span-days = { $count ->
    [one] { $count } day
   *[other] { $count } days
}
when-from = from { $time }
when-until = until { $time }
when-recorded = recorded by the source { $time }
span-from-to = from { $start } to { $end }
span-any = at any time

## An access

time-recorded = recorded { $time }
access = { $time }: { $author } states that { $actor } { $deed }
access-purpose = { $told }, for { $purposes }
access-ground = { $told }, { $ground }
access-note = { $told } ({ $note })
author-subject = { $listener ->
    [you] the subject (you)
   *[other] the subject
}
actor-at = { $who } at { $organisation }
actor-there = somebody there
what-sealed = data (details sealed)
what-search = records
what-data = data
what-record = { $listener ->
    [you] your record
   *[other] the subject's record
}

# What was done. The attribute "tried" is for what did not succeed.
deed-read = read { $what }
    .tried = tried to read { $what }
deed-query = searched { $what }
    .tried = tried to search { $what }
deed-create = wrote { $what }
    .tried = tried to write { $what }
deed-update = changed { $what }
    .tried = tried to change { $what }
deed-delete = deleted { $what }
    .tried = tried to delete { $what }
deed-export = gave out { $what }
    .tried = tried to give out { $what }
deed-import = took in { $what }
    .tried = tried to take in { $what }
deed-execute = ran an operation on { $what }
    .tried = tried to run an operation on { $what }
deed-start-break-glass = began emergency access to { $what }
    .tried = tried to begin emergency access to { $what }
deed-stop-break-glass = ended emergency access to { $what }
    .tried = tried to end emergency access to { $what }
deed-unnamed = accessed { $what }
    .tried = tried to access { $what }
deed-sealed = accessed data (details and outcome sealed)
ended-denied = { $tried } and was refused
ended-failed = { $tried }, which failed
ended-overridden = { $deed } against a refusal, as in an emergency
ended-not-stated = { $deed } (outcome not stated)
ended-sealed = { $deed } (outcome sealed)

ground-consent-of = { $listener ->
    [you] under your consent of { $date } ({ $rule })
   *[other] under the subject's consent of { $date } ({ $rule })
}
ground-consent-cited = { $listener ->
    [you] under your consent ({ $rule })
   *[other] under the subject's consent ({ $rule })
}
ground-consent = { $listener ->
    [you] under your consent
   *[other] under the subject's consent
}
ground-law = on the ground of a law
ground-permit = under a data permit
ground-permit-cited = under a data permit (permit { $id })
ground-emergency = in an emergency
ground-emergency-cited = in an emergency (declaration { $id })
ground-subject = { $listener ->
    [you] as you yourself
   *[other] as the subject
}
ground-unknown = on a ground that is not stated

## Other entries

entry = { $time }: { $what }
entry-withheld = { $time }: an entry of { $author } is withheld, on the order of item { $warrant }; that it exists is proven, what it says is not shown
entry-pruned = { $time }: an entry of { $author } whose content is no longer kept; that it was recorded is proven
entry-due = { $time }: a fact that the chain itself established: { $what }, by { $deadline }
entry-block = { $time }: the start of a block
rule-number = rule { $number }
rule-id = rule { $id }
did-rule = { $listener ->
    [you] { $author } recorded, as your will: { $kind } ({ $rule })
   *[other] { $author } recorded, as the subject's will: { $kind } ({ $rule })
}
did-rule-body = { $listener ->
    [you] { $author } recorded, as your will: { $kind }: { $body } ({ $rule })
   *[other] { $author } recorded, as the subject's will: { $kind }: { $body } ({ $rule })
}
did-rule-sealed = { $author } put { $rule }, whose content is sealed
did-rule-ends = { $told }; it ends { $rules }
did-rule-until = { $told }, until { $date } at the latest
did-list-trail = { $author } lists { $trail }
did-trail-open = { $listener ->
    [you] { $author } opened this trail, your own for { $year }
   *[other] { $author } opened this trail, the subject's own for { $year }
}
did-trail-open-for = { $author } opened this trail for accesses by { $name } in { $year }
did-trail-close = { $author } closed this trail: no rule is added any more
did-register = { $author } registered { $id } as { $roles }
did-update = { $author } changed the entry of { $id } (now { $roles })
did-suspend = { $author } suspended { $name } (reason: { $reason })
did-key-add = { $author } added a key for { $name } (use: { $purpose })
did-key-rotate = { $author } replaced key { $key }, both valid for { $span }
did-key-revoke = { $author } revoked key { $key } (reason: { $reason })
did-kind = { $author } recorded: { $kind }

## What validators found

found-consistent = consistent with what is on the ledger
found-consistent-noted = consistent with what is on the ledger; noted: { $codes }
found-contradicted = CONTRADICTED: { $codes }
found-not-evaluated = nothing in it could be checked
found-not-evaluated-noted = nothing in it could be checked; noted: { $codes }

## Values inside sealed fields

value-with-note = { $words } ({ $note })
value-quoted = "{ $words }"
value-unknown = unknown ({ $reason })
value-unnamed = not named
value-none = none
value-nothing-further = nothing further
value-somebody = somebody
value-unreadable = it fits its seal, but this program cannot read it
value-consent = consent { $name }
value-on-behalf = on behalf of { $name }
value-requestor = asked for it
value-search = a search
value-labelled = labelled { $labels }
value-decided = { $count ->
    [one] { $answer }, by { $count } rule
   *[other] { $answer }, by { $count } rules
}
value-group = { $count ->
    [one] a single event
   *[other] { $count } like events
}
value-group-between = { $count } like events between { $start } and { $end }
value-group-uncounted = an uncounted group
value-profile = profile { $name }
value-missing = incomplete: lacks { $elements }
value-not-carried = not carried: { $elements }
value-listed-trail = the trail of accesses by { $name } in { $year }
value-listed-own = the own trail of { $year }
value-own-trail = the subject's own trail of { $year }
rule-except = except { $rule }
rule-opposite = the opposite
rule-purposes = for { $what }
rule-actors = to { $what }
rule-actions = doing { $what }
rule-labels = data labelled { $what }
rule-classes = of class { $what }
rule-codes = with code { $what }
rule-data = data: { $what }
rule-data-period = data of { $span }
rule-period = valid { $span }
evidence-source = source { $name }
evidence-hash = content with SHA-256 { $hash }
evidence-verified = { $count ->
    [one] verified once with the subject or family
   *[other] verified { $count } times with the subject or family
}

## Governance

did-propose = { $author } proposed: { $acts } (proposal { $id })
did-vote = { $author } voted on proposal { $id }: { $choice }
did-report-misbehaviour = { $author } reported that the validator with key { $key } signed two votes ({ $vote }) at height { $height }
did-commit-roster = { $author } bound itself to a staff list of { $count } entries until { $until }
did-mandate = { $author } gave { $auditor } a mandate for the trails of { $custodian } from { $from } to { $to }
did-mandate-end = { $author } ended the mandate of { $auditor } for the trails of { $custodian }
did-notarise = { $author } notarised a document ({ $schema }) with digest { $digest }
did-finding = { $author } recorded a finding about { $name } by rule { $rule }
did-dispute = { $author } opened dispute { $id } with { $name }
did-dispute-answer = { $author } answered dispute { $id }
did-dispute-resolve = { $author } ended dispute { $id }: { $resolution }

## Permits, emergencies, transfers, life cycles

due-unknown = a deadline passed
did-declare = { $author } states an emergency ({ $id }): { $acting } acts on data held by { $custodian }
did-review = { $author } states that it reviewed the emergency { $id } declared by { $name }
did-permit = { $author } issued data permit { $id }: { $terms }
did-permit-amend = { $author } changed data permit { $id }: { $terms }
did-permit-revoke = { $author } revoked data permit { $id } (reason: { $reason })
permit-terms = { $user } may use { $form } data ({ $categories }) held by { $holders }, for { $purposes }, from { $begins } until { $ends }
did-correct = { $author } takes back what it stated as event { $id } (what was wrong: { $reason })
did-export = { $author } states that it gave data to { $name } (transfer { $id })
did-across = { $told }, from { $from } to { $to }
did-import = { $author } states that it received data from { $name } (transfer { $id })
did-job = { $author } states a step under data permit { $id }: { $step }
did-record = { $author } states what became of a record: { $step }
did-audit-read = { $author } states that it read { $count } entries at { $name }, as an auditor
did-hold-trail = { $author } ordered that this trail has to be kept (hold { $id })
did-hold-all = { $author } ordered that everything at { $name } has to be kept (hold { $id })
did-hold-lift = { $author } lifted hold { $id }
did-erase = { $author } erased entries { $from } to { $to } of this trail: { $reason }
did-agent-add = { $author } named who may speak for the subject in this trail: { $who }
did-agent-remove = { $author } ended the right of { $who } to speak for the subject in this trail
value-subject-key = the subject's key { $key }
value-outside = somebody outside this network
value-representative = representative
value-delegation = { $who } as { $kind }
value-unsafe = access by this person is unsafe for the patient
value-rekey = the code is now generation { $generation } ({ $reason })
value-linked = the trail at { $name } of { $year } ({ $reason })
