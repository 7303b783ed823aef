# Statutory accountings. They name the law they follow; keep its terms.

column-part = part
column-remark = remark
part-entry = entry
column-date = date
column-time = date and time
column-recipient = recipient
column-address = address
column-description = description
column-purpose = purpose
column-number = number
column-last = last
column-finding = validators found
column-item = item
column-organisation = organisation
column-persons = persons
column-categories = data
column-origin = origin
column-action = action
column-ground = ground
section-left-out = Left out of the table, and counted
section-withheld = Withheld or no longer kept
section-sources = Made from these verified proofs
section-limits = What this does not cover
report-left-out = { $reason }: { $count }
report-no-rows = There is nothing to list in this time.
report-custodian = Accounts for: { $custodian }
report-period = From { $from } to { $to }
report-not-stated = not stated
source-chain = chain { $chain }
source = { $name }: trail { $key }, { $extent }, as of block { $height } of { $time } (block id { $block }), verified from an anchor at block { $anchor }
source-absent = proven to have no entries
source-complete = { $count ->
    [one] complete, with its one entry
   *[other] complete, with all { $count } entries
}
source-part = { $count } of { $size } entries
limit-custodian = Only what { $custodian } holds. Other custodians account for themselves.
limit-recorded = Accesses that were never recorded. Completeness is proven of the trails, not of the world.
limit-later = What was recorded after { $time }.
limit-stated = Whether what is stated is true. Each line says what the custodian or recipient states.
limit-part = Entries of a trail outside the part that was shown.
limit-sealed = { $count ->
    [one] The content of { $count } entry that is sealed and could not be opened. It is listed, because it could not be told whether it belongs here.
   *[other] The content of { $count } entries that are sealed and could not be opened. They are listed, because it could not be told whether they belong here.
}
left-out-refused = nothing was accessed: refused or failed
left-out-before = before the period
hipaa-title = Accounting of disclosures of protected health information
hipaa-law = 45 CFR 164.528
hipaa-treatment = to carry out treatment (164.528(a)(1)(i))
hipaa-payment = for payment (164.528(a)(1)(i))
hipaa-operations = for health care operations, or for several exempt purposes together (164.528(a)(1)(i))
hipaa-individual = to the individual (164.528(a)(1)(ii))
hipaa-use = uses within the custodian, which are no disclosures
hipaa-country = not known (country: { $country })
hipaa-no-address = not known
hipaa-limit-authorization = Disclosures under a consent are listed: whether the consent is an authorization under 164.508, which would exempt them, is not known here.
hipaa-limit-other-exemptions = The exemptions of 164.528(a)(1)(iii) and (v) to (ix), and suspensions for agencies under (a)(2) other than withheld entries, are not applied: such disclosures are listed.
hipaa-limit-address = Addresses are given where the source states one; the registry knows a participant's country only.
ehds-title = Information on accesses to electronic health data
ehds-law = Regulation (EU) 2025/327 (European Health Data Space), Article 9 and Annex II, 3.2
ehds-free = This information is free of charge.
ehds-emergency = emergency ({ $ground })
ehds-limit-restriction = What is withheld under a restriction of Article 9(3) is counted and named above; its content is not here.
worklist-title = Worklist of the privacy officer
worklist-of = Institution: { $name }
worklist-count = { $count ->
    [one] { $count } thing to look at
   *[other] { $count } things to look at
}
worklist-imported = accesses imported from earlier systems, whose missing grounds and relationships are not listed
worklist-key-ending = the key { $id } (use: { $purpose }) ends on { $time }: replace it before, with an overlap
worklist-key-compromised = others may have had the key { $id } (use: { $purpose }) since { $time }
worklist-limit-sealed = { $count ->
    [one] { $count } access whose content is sealed: nothing can be told of its relationship, completeness or outcome.
   *[other] { $count } accesses whose content is sealed: nothing can be told of their relationships, completeness or outcomes.
}
worklist-limit-recorded = Accesses that were never recorded.
worklist-limit-keys = Ends of keys are the word of the node that was asked, not proven.
column-why = why
column-recorded = recorded
column-patient = patient
column-entry = entry
why-contradicted = contradicted by what is on the ledger
why-unreviewed = declared emergency without a review
why-unmatched = the other half of a transfer is missing
why-emergency = emergency access to review
why-overdue = a deadline passed
why-unrelated = treatment without a stated relationship
why-no-ground = no ground
why-gap = numbers missing in a stream
why-out-of-order = number out of order
why-late = recorded late
why-incomplete = incomplete source
why-key-compromised = key known to others
why-key-ending = key about to end
