# What commands say besides entries and reports.

hint-evidence = this is evidence: keep the file, and ask whoever gave it to you for another
receipt-verified = verified
receipt-not-verified-yet = not verified yet: custos verify
receipt-written = { $count } bytes
trail-head-by = accesses by
trail-head-participant = participant
trail-head-entries = entries
trail-head-trail = trail
trail-own = (own trail)
trail-your-own = your own trail
trail-of-grantee = accesses by { $name }
trail-of = { $kind } trail of { $owner }
trail-place = item { $item }, block { $height }
trail-empty = Nothing is recorded here.
trail-complete = complete
trail-extent = { $count ->
    [one] { $trail }: its one entry up to block { $height } ({ $time })
   *[other] { $trail }: all { $count } entries up to block { $height } ({ $time })
}
trail-as-of = As of block { $height } ({ $time }).
ground-own = Verified from your anchor.
ground-node = Verified from the node's own genesis only: with --anchor you need not believe the node.
ground-old-block = the last block that this node shows is of { $time }: it is behind, or hides what came later; ask another node, or say --not-older-than
label-kind = kind
label-says = says
label-expires = expires
label-ends = ends
label-evidence = evidence
label-state = state
rule-state-recorded = recorded in block { $height }, not ended by this custodian
rule-state-ended = recorded in block { $height }, ended since
rule-state-prepared = sealed; not known to be recorded
rule-state-dropped = refused by the ledger
