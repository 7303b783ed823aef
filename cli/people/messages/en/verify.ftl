# The report of a verification, and why it failed.
#
# Keep apart what is proven, what is stated and what was checked. "could not exclude a forgery" MUST be said as
# plainly as here.

verified = VERIFIED
not-verified = NOT VERIFIED: { $file }: { $why }
could-not-tell = could not tell: { $file }: { $why }
verified-receipt = a receipt of one entry: { $kind }
verified-absence = an absence: nothing has ever been recorded on this trail
verified-complete = { $count ->
    [one] a complete trail: its one entry
   *[other] a complete trail: all { $count } entries
}
verified-part = a part of a trail: { $count } of { $size } entries, without a gap between them
heading-proven = Proven
heading-stated = Stated by { $author }, and not proven by this
heading-checked = Checked by the validators when they recorded it
heading-sealed = Sealed fields
heading-entries = Entries: each is proven to be recorded and signed; what it says is stated, not proven
heading-not-shown = Not shown
heading-not-proven = Not proven
label-recorded = recorded
label-signed = signed by
label-agreed = agreed by
label-trust = trust
label-chain = chain
label-item = item
label-trail = trail
label-as-of = as of
label-entries = entries
label-covers = covers
verified-place = in block { $height }, block time { $time }, as number { $index } of the log
verified-recorded = recorded { $place }
verified-signed = signed by { $signature }
verified-as-of = block { $height }, block time { $time }
verified-agreed = { $count } of { $of } validators: { $names }
verified-trail-name = { $kind } trail of { $owner }, key { $key }
verified-trust-period = follows from the anchor (block { $height }, { $time }), within its trust period of { $span }
verified-trust-witnesses = follows from the anchor (block { $height }, { $time }), and { $count } of its witnesses cosigned a log that contains it
verified-anchor-old = the anchor is of { $time }, { $age } ago, which is longer than the trust period of { $span }: a forgery with keys that validators have retired since, dated back into that period, cannot be excluded. An anchor has to be moved forward, with `custos anchor update`, before it is that old. In the place of this one, get a new one from somebody you trust, such as the custodian or an auditor, and compare it with a second one
verified-looked-at = looked at: { $check }
verified-sealed = { $count } sealed fields, not shown
verified-opened = { $open } of { $count } sealed fields opened; each fits its seal
verified-not-shown = { $withheld } withheld on an order, { $pruned } pruned or without an item: counted above, their content is not here
verified-not-proven = that everything that happened was recorded, or that what is stated is true
sealed-not-shown = sealed, not shown
extent-none = none, up to that block; later ones are not covered
extent-all = { $count ->
    [one] this one is all that was recorded on it up to that block; later ones are not covered
   *[other] these { $count } are all that were recorded on it up to that block; later ones are not covered
}
extent-part = numbers { $from } to { $to } of { $size }, up to that block
covers-between = everything recorded from { $from } to { $to }
covers-from-beginning = everything recorded from the beginning to { $to }
covers-nothing = no second whole; proven is only that these follow one another without a gap
signature = { $author }, with key { $key }, which was valid then
signature-not-strict = { $words } (valid by ZIP-215, the ledger's rule; a stricter verifier would refuse it)
signature-compromised = { $words }; its owner says that others may have had this key since { $time }

failure-form = the { $what } is not well formed: { $detail }
failure-envelope = the envelope is not well formed: { $detail }
failure-other-chain = the file is of chain { $found }, the anchor of chain { $anchor }; use the anchor of that network
failure-protocol = the header is of protocol version { $version }, which this program does not know; use a newer one
failure-fork = another block than the anchor's stands at height { $height }: the file is forged, or the validators signed two histories
failure-certificate-of-another = the certificate is for another block than the header
failure-certificate = the header is not certified: { $detail }
failure-bad-link = the link at height { $height } does not hold
failure-header-time = the time of the header at height { $height } does not follow from those of the anchor and the links before it
failure-unlinked = the validators at height { $height } do not follow from the anchor; fetch the links with `custos anchor links` and name them with --links, or, for a block before the anchor, take the older anchor
failure-too-old = the header is of { $time }, older than asked for; fetch a newer proof
failure-witnesses = the cosignatures of the witnesses do not hold for this header
failure-retired-keys = signed by validators that follow from the anchor of { $anchor }, but at { $target } that is too long ago: could not exclude a forgery by keys retired since. An anchor has to be moved forward, with `custos anchor update`, before it is 90 days old; in the place of this one, get a new one from somebody you trust, and compare it with a second one
failure-not-in-log = the record is not in the log that the header commits to
failure-record-time = the record's height or time does not fit the header
failure-other-item = the record is of another item
failure-other-submission = the record is of another submission
failure-not-signed = the item is not among those that the author signed
failure-other-class = the item is not of the class that the author signed for
failure-key-proof = the author's key is not in the state that the header commits to
failure-key-not-valid = the key was not a valid signing key of the author when the item was recorded
failure-key-missing = the proof lacks the key of an author
failure-author-signature = the author's signature does not verify
failure-trail-head = the trail's size and root are not in the state that the header commits to
failure-trail-root = the entries do not hash to the trail's root: something is missing, added or changed
failure-not-listed = the record of entry { $position } is not listed there
failure-contradiction = the proof contradicts itself
failure-opening = the opening of field { $field } of item { $item } does not fit its seal
