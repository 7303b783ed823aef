#!/usr/bin/env bash
# The demonstration: four validators on this machine, real IHE consents and access events, and
# everything that comes back verified offline. What is typed here is what a user would type.
#
# Each step checks what it claims; the first that fails ends the demo with its exit code. The network
# is always stopped. Usage: testnet/demo.sh [path of the custos command]; KEEP=1 keeps the files.
set -euo pipefail
# The steps check English words, whatever this machine speaks.
export LC_ALL=C
unset CUSTOS_MESSAGES CUSTOS_CLOCK_AHEAD

here=$(cd "$(dirname "$0")" && pwd)
program=${1:-$here/../bin/custos}
[ -x "$program" ] || { echo "demo: $program is not there; type: make build" >&2; exit 2; }
program=$(cd "$(dirname "$program")" && pwd)/$(basename "$program")
work=$(mktemp -d "${TMPDIR:-/tmp}/custos-demo.XXXXXX")
net=$work/net
started=$SECONDS
steps=0
finished=no

if [ -t 1 ] && [ -z "${NO_COLOR:-}" ] && [ "${TERM:-dumb}" != dumb ]; then
    bold=$'\033[1m' dim=$'\033[2m' green=$'\033[32m' red=$'\033[31m' plain=$'\033[0m'
else
    bold='' dim='' green='' red='' plain=''
fi

cleanup() {
    code=$?
    trap - EXIT INT TERM
    [ ! -f "$net/network.json" ] || "$program" testnet down --dir "$net" >/dev/null 2>&1 || true
    if [ "$finished" = yes ]; then
        [ -n "${KEEP:-}" ] || rm -rf "$work"
    else
        [ "$code" -ne 0 ] || code=2
        echo "${red}demo: step $steps failed (exit $code); files and logs are in $work${plain}" >&2
    fi
    exit "$code"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

step() {
    steps=$((steps + 1))
    printf '\n%s%d. %s%s\n' "$bold" "$steps" "$*" "$plain"
}
good() { printf '%s   ok: %s%s\n' "$green" "$*" "$plain"; }
fail() { printf '%s   FAILED: %s%s\n' "$red" "$*" "$plain" >&2; exit 1; }

# Shows the command as a user would type it, and runs it.
custos() {
    local line='' word
    for word in "$@"; do
        word=${word//$work\//} word=${word//$here\//testnet/}
        case $word in *' '*) word=\"$word\" ;; esac
        line+=" $word"
    done
    # A pattern that the shell has put many names for is shown as the pattern.
    line=$(sed -E 's#( testnet/data/ihe/refs/(balp|pcf)-[^ ]*)+# testnet/data/ihe/refs/\2-*#' <<<"$line")
    printf '%s   $ custos%s%s\n' "$dim" "$line" "$plain" >&2
    "$program" "$@"
}
# The same, expecting a certain exit code.
expect() {
    local wanted=$1 code=0
    shift
    custos "$@" || code=$?
    [ "$code" -eq "$wanted" ] || fail "exit $code instead of $wanted: custos $*"
}
# The value behind a word at the start of a line.
value() { awk -v word="$1" '$1 == word { print $2; exit }' "$2"; }
# The sum of a column of the import's table for one resource.
count() { awk -v kind="$1" -v what="$2" '$1 == kind && index($0, what) { n += $NF } END { print n + 0 }' "$3"; }
has() { grep -q -- "$1" "$2" || { sed 's/^/   | /' "$2" >&2; fail "\"$1\" was expected"; }; }
# A height, as the network's status shows it.
# Status ends with 2 while a node is down; the table is there all the same.
height() { { "$program" testnet status --dir "$net" 2>/dev/null || true; } | awk -v node="$1" '$1 == node { print $5 }'; }

# The year that the patients' trails are of, and the first day of the next quarter: retention ends by quarters.
year=$(date -u +%Y)
month=$(date -u +%m)
quarter=$(((10#$month - 1) / 3 * 3 + 4))
next_quarter=$(printf '%04d-%02d-01' $((year + quarter / 13)) $((quarter % 12)))

step "Four validators, each a process with its own keys and its own disk"
# For how many days records of class short, standard and long have to be kept on this network.
echo 'retention_days = [7, 3650, 10950]' >"$work/policy.toml"
custos testnet up --dir "$net" --validators 4 --detach --policy "$work/policy.toml" | tee "$work/up"
node=$(awk '$1 == 1 { print $3 }' "$work/up")
second=$(awk '$1 == 2 { print $3 }' "$work/up")
key=$net/keys/hospital-1-sign.key
anchor=$net/anchor.custos
custodian=hospital-1.example
desk=(--node "$node" --key "$key" --vault "$work/vault" --vault-key "$net/vault.key")
[ "$(custos testnet status --dir "$net" | tee "$work/status" | grep -c 127.0.0.1)" -eq 4 ] || fail "four nodes were expected"
good "four nodes agree"

# Every other operator says yes, until it is decided; any proposal that is open.
agree() {
    for other in 2 3; do
        for proposal in $(custos proposal list --node "$node" --json | sed -n 's/^ *"proposal": "\([0-9a-f]*\)",$/\1/p'); do
            custos proposal vote "$proposal" yes --node "$node" --key "$net/keys/hospital-$other-sign.key"
        done
    done
}

step "One validator proposes two more participants, and two others agree"
custos keygen -o "$work/research-sign.key" --owner research.example --chain "$(value chain "$work/up")" >"$work/research"
custos participant register research.example --name "Institute of Research" --role recipient --role data-user \
    --public-key "$(awk '$1 == "public" { print $3 }' "$work/research")" --possession "$(value possession "$work/research")" \
    --node "$node" --key "$key"
custos participant register lab.example --name "Example Laboratory" --role recipient --role custodian \
    --node "$node" --key "$key"
custos proposal list --node "$second" | tee "$work/proposals"
agree
has "^no proposal is open" <(custos proposal list --node "$second")
custos participant list --node "$second" | tee "$work/participants"
has research.example "$work/participants"
has lab.example "$work/participants"
good "another node knows them"

step "IHE's own examples: 46 AuditEvents (BALP) and 23 Consents (PCF) are recorded, or refused with a reason"
custos import fhir "$here"/data/ihe/balp "$here"/data/ihe/refs/balp-* "${desk[@]}" \
    --base https://balp.example --codes "$work/balp-codes" | tee "$work/balp"
custos import fhir "$here"/data/ihe/pcf "$here"/data/ihe/refs/pcf-* "${desk[@]}" --base https://pcf.example \
    --organisation Organization/ex-organization=$custodian --organisation Organization/ex-org-researcher=research.example \
    --codes "$work/pcf-codes" | tee "$work/pcf"
events=$(count AuditEvent "" "$work/balp")
consents=$(count Consent "" "$work/pcf")
[ "$events" -ge 46 ] || fail "$events of 46 AuditEvents are accounted for"
[ "$consents" -ge 23 ] || fail "$consents of 23 Consents are accounted for"
[ "$(count AuditEvent recorded "$work/balp")" -gt 0 ] || fail "no AuditEvent was recorded"
[ "$(count Consent recorded "$work/pcf")" -gt 0 ] || fail "no Consent was recorded"
good "$(count AuditEvent recorded "$work/balp") AuditEvents and $(count Consent recorded "$work/pcf") Consents recorded, the others refused by name"
custos import fhir "$here"/data/ihe/balp "$here"/data/ihe/refs/balp-* "${desk[@]}" --base https://balp.example >"$work/again"
has "^0 items recorded" "$work/again"
good "the same import again records nothing twice"

step "A patient consents, and a physician reads laboratory results under that consent"
head -n 1 "$work/pcf-codes" | cut -f 1 >"$work/code"
patient=(--code "@$work/code")
subject=(--code "@$work/code" --custodian "$custodian" --node "$node")
custos rule put "${desk[@]}" "${patient[@]}" --permit --purpose TREAT --collected in-person | tee "$work/rule"
rule=$(value rule "$work/rule")
custos access record "${desk[@]}" "${patient[@]}" --action read --category "laboratory results" --who "Dr. Adams" \
    --role physician --purpose TREAT --relationship encounter --cites "$rule" | tee "$work/access"
has consistent "$work/access"
item=$(value item "$work/access")
good "recorded, and consistent with what is on the ledger"

step "The patient's trail, as a person reads it: from the code and the custodian's vault"
custos trail list "${subject[@]}" --anchor "$anchor" | tee "$work/list"
has research.example "$work/list"
head -n 1 "$work/balp-codes" | cut -f 1 >"$work/balp-code"
custos trail show --code "@$work/balp-code" --custodian "$custodian" --node "$node" --anchor "$anchor" \
    --vault "$work/vault" --vault-key "$net/vault.key" >"$work/history"
echo "   (the patient of IHE's AuditEvents: the first of $(grep -c 'states that' "$work/history") accesses)"
grep -m 6 'states that' "$work/history"
grep -q 'read\|wrote\|searched' "$work/history" || fail "no access can be read"
custos trail show "${subject[@]}" --anchor "$anchor" --vault "$work/vault" --vault-key "$net/vault.key" >"$work/trail"
echo "   (the patient of IHE's Consents: the last entries)"
tail -n 19 "$work/trail"
has "Dr. Adams (physician) read laboratory results, for treatment, under your consent of" "$work/trail"
good "who is said to have read what, when, why, and on which ground"

step "A receipt, verified offline by a program that trusts nobody"
custos receipt get "$item" --node "$node" --key "$key" -o "$work/receipt.custos"
expect 0 verify "$work/receipt.custos" --anchor "$anchor" | tee "$work/verified"
has "^VERIFIED" "$work/verified"
has "hospital-1.example states that" "$work/verified"
has "sealed, not shown" "$work/verified"
good "recorded, signed and agreed on; what is sealed stays sealed"

step "The complete trail with its openings, verified offline"
custos trail prove "${subject[@]}" --anchor "$anchor" -o "$work/trail.custos" \
    --vault "$work/vault" --vault-key "$net/vault.key" --openings "$work/openings.custos"
expect 0 verify "$work/trail.custos" --anchor "$anchor" --openings "$work/openings.custos" --not-older-than 1h >"$work/verified"
head -n 9 "$work/verified"
has "a complete trail: all" "$work/verified"
has "Dr. Adams" "$work/verified"
good "these are all entries up to that block, and every opening fits its seal"

step "An absence: Lakeside Clinic was never given a trail of this patient"
custos trail prove "${subject[@]}" --grantee hospital-2.example --anchor "$anchor" -o "$work/absence.custos"
expect 0 verify "$work/absence.custos" --anchor "$anchor" >"$work/verified"
head -n 6 "$work/verified"
has "an absence: nothing has ever been recorded on this trail" "$work/verified"
good "that nothing is there is proven, not claimed"

step "The consent ends; one more access cites it, and the validators say what is wrong with that"
custos rule end "$rule" "${desk[@]}"
expect 0 access record "${desk[@]}" "${patient[@]}" --action read --category "laboratory results" --who "Dr. Adams" \
    --role physician --purpose TREAT --cites "$rule" | tee "$work/contradicted"
has "CONTRADICTED: the cited rule had been ended" "$work/contradicted"
custos receipt get "$(value item "$work/contradicted")" --node "$node" --key "$key" -o "$work/contradicted.custos"
expect 0 verify "$work/contradicted.custos" --anchor "$anchor" >"$work/verified"
has "CONTRADICTED: the cited rule had been ended" "$work/verified"
good "an audit ledger does not refuse bad news: the access is recorded, and so is the contradiction"

step "An emergency is declared, an access cites it, and somebody independent reviews it"
custos emergency declare "${desk[@]}" "${patient[@]}" --who "Dr. Clark" --justification "unconscious on arrival" \
    | tee "$work/emergency"
declaration=$(value declaration "$work/emergency")
expect 0 access record "${desk[@]}" "${patient[@]}" --action read --category "medication list" --who "Dr. Clark" \
    --role physician --purpose BTG --basis emergency --cites "$declaration" | tee "$work/cited"
has consistent "$work/cited"
custos emergency review "$declaration" "${desk[@]}" --verdict justified --who "Dr. Baker" | tee "$work/review"
has consistent "$work/review"
good "the review was recorded in time; without it the chain itself would have recorded that it is missing"

step "A guardian speaks for the patient until majority"
custos delegation grant "${desk[@]}" "${patient[@]}" --delegate "Erika Example" --kind guardian --ends-at 2034-05-01 \
    --collected paper | tee "$work/guardian"
good "who that is stays sealed: on the ledger it looks like any other rule"

step "Opting out of secondary use before a data permit binds the permit; opting out after it does not"
custos keygen -o "$work/body-sign.key" --owner body.example --chain "$(value chain "$work/up")" >"$work/body"
custos participant register body.example --name "Health Data Access Body" --role access-body \
    --public-key "$(awk '$1 == "public" { print $3 }' "$work/body")" --possession "$(value possession "$work/body")" \
    --node "$node" --key "$key"
agree >"$work/agreed"
custos rule put "${desk[@]}" --code "@$work/balp-code" --opt-out secondary | tee "$work/opted-before"
custos permit issue --node "$node" --key "$work/body-sign.key" --user research.example --purpose 53-1-e \
    --category 51-1-a --holder "$custodian" --begins 2020-01-01 --ends 2100-01-01 | tee "$work/permit"
permit=$(value permit "$work/permit")
custos rule put "${desk[@]}" "${patient[@]}" --opt-out secondary | tee "$work/opted-after"
custos permit list --node "$second"
expect 0 permit show "$permit" --node "$second" --anchor "$anchor" | tee "$work/shown"
has "These are all its terms" "$work/shown"
cat >"$work/study.json" <<END
{ "custodian": "$custodian", "actor": { "standing": "data-user", "participant": "research.example" },
  "purpose": "53-1-e", "action": "read", "permit": "$permit", "items": [{ "categories": ["14-1-e"] }] }
END
ask=(decide --custodian "$custodian" --node "$node" --anchor "$anchor" --vault "$work/vault" \
    --vault-key "$net/vault.key" --request "$work/study.json")
expect 1 "${ask[@]}" --code "@$work/balp-code" | tee "$work/before"
has "deny: secondary-opt-out" "$work/before"
expect 0 "${ask[@]}" "${patient[@]}" | tee "$work/after"
has "permit: permit" "$work/after"
custos access record "${desk[@]}" "${patient[@]}" --acting research.example --action read --category 14-1-e \
    --purpose 53-1-e --basis permit --cites "$permit" --decided permit --who "R. Researcher" | tee "$work/under-permit"
has consistent "$work/under-permit"
custos trail prove "${subject[@]}" --anchor "$anchor" -o "$work/own.custos"
custos trail prove "${subject[@]}" --grantee research.example --anchor "$anchor" -o "$work/research.custos"
custos trail prove "$(value trail "$work/shown")" --node "$node" --key "$work/body-sign.key" --anchor "$anchor" -o "$work/permit.custos"
# Other accesses of this patient are replayed, too; the exit code is about all of them.
custos replay "$work/own.custos" "$work/research.custos" "$work/permit.custos" --anchor "$anchor" \
    --vault "$work/vault" --vault-key "$net/vault.key" >"$work/replayed" || true
grep -A 2 "^access $(value item "$work/under-permit") " "$work/replayed" | tee "$work/replayed-one"
has "the sealed decision follows" "$work/replayed-one"
good "the first patient's data stay out; the access to the second's follows from the permit, and anybody with the files can check"

step "An access was recorded for the wrong patient: nothing is removed, and readers see that it was taken back"
custos access record "${desk[@]}" "${patient[@]}" --action read --category "radiology images" --who "Dr. Brown" \
    --role physician --purpose TREAT | tee "$work/wrong"
custos access correct "$(value item "$work/wrong")" "${desk[@]}" --reason subject | tee "$work/corrected"
has consistent "$work/corrected"
good "the statement and its correction both stay"

step "Data go to another institution across a border, which has not confirmed yet"
custos disclosure export "${desk[@]}" "${patient[@]}" --to hospital-2.example --purpose TREAT \
    --from-country DE --to-country FR | tee "$work/export"
has consistent "$work/export"
good "if the other half does not come in time, the chain records that it is missing"

step "One byte of the receipt is flipped"
cp "$work/receipt.custos" "$work/flipped.custos"
byte=$(od -An -tu1 -j 64 -N 1 "$work/receipt.custos" | tr -d ' ')
printf "\\$(printf '%03o' $((byte ^ 1)))" | dd of="$work/flipped.custos" bs=1 seek=64 conv=notrunc status=none
expect 1 verify "$work/flipped.custos" --anchor "$anchor" 2>&1 | tee "$work/refused"
has "NOT VERIFIED" "$work/refused"
good "refused, with exit code 1"

step "One validator is killed; the others go on; it comes back and catches up"
custos testnet kill --dir "$net" --index 4
before=$(height 1)
custos access record "${desk[@]}" "${patient[@]}" --action read --category "medication list" --who "Dr. Brown" --role pharmacist \
    --purpose TREAT | tee "$work/while-down"
[ "$(height 1)" -gt "$before" ] || fail "the three others did not go on"
good "recorded with one of four dead"
custos testnet start --dir "$net" --index 4
for _ in $(seq 100); do
    behind=$(height 4) ahead=$(height 1)
    [ "${behind:-0}" != "-" ] && [ "${behind:-0}" -ge "${ahead:-1}" ] && break
    sleep 0.2
done
[ "${behind:-0}" -ge "${ahead:-1}" ] || fail "node 4 is at height $behind, node 1 at $ahead"
custos testnet status --dir "$net"
good "node 4 is at height $behind, like the others"

# All clocks of the network, and this script's with them, are set ahead.
later() {
    custos testnet later --dir "$net" "$1"
    days_ahead=$((${days_ahead:-0} + ${1%d}))
    export CUSTOS_CLOCK_AHEAD=${days_ahead}d
}
# An anchor is good for 90 days; moving it forward verifies what lies between.
forward() { custos anchor update "$anchor" --node "$node" >"$work/moved"; }
worklist=(--node "$node" --key "$key" --anchor "$anchor" --vault "$work/vault" --vault-key "$net/vault.key" --from 30d)

step "Nobody reviews an emergency, nobody confirms the transfer: ten days later the chain itself has recorded both"
custos emergency declare "${desk[@]}" "${patient[@]}" --who "Dr. Young" --justification "no pulse" | tee "$work/forgotten"
forgotten=$(value declaration "$work/forgotten")
expect 0 access record "${desk[@]}" "${patient[@]}" --action read --category "allergies" --who "Dr. Young" \
    --role physician --purpose BTG --basis emergency --cites "$forgotten" --relationship encounter --retention short \
    | tee "$work/short"
short=$(value item "$work/short")
custos worklist "${worklist[@]}" >"$work/work"
has "declared emergency without a review" "$work/work"
has "the other half of a transfer is missing" "$work/work"
grep -q "a deadline passed" "$work/work" && fail "no deadline has passed yet"
later 10d
# What fell due while the network stood still is recorded in its next blocks.
for _ in $(seq 50); do
    "$program" worklist "${worklist[@]}" >"$work/work" 2>/dev/null || true
    [ "$(grep -c "the chain itself established" "$work/work")" -lt 2 ] || break
    sleep 0.2
done
forward
custos worklist "${worklist[@]}" >"$work/work"
grep "the chain itself established" "$work/work"
has "an emergency was declared, and no review was recorded in time" "$work/work"
has "data were stated to be given, and the recipient did not confirm in time" "$work/work"
good "no participant wrote these records: every validator made the same ones, at the deadline"

step "The review comes, late; the privacy officer's worklist says what is still open"
custos emergency review "$forgotten" "${desk[@]}" --verdict justified --who "Dr. Baker" | tee "$work/late"
has "recorded after its deadline" "$work/late"
custos worklist "${worklist[@]}" >"$work/work"
cat "$work/work"
has "recorded late" "$work/work"
has "the recipient did not confirm in time" "$work/work"
grep -q "declared emergency without a review\|no review was recorded in time" "$work/work" && fail "the review is there"
good "a late review is no missing one, and no timely one either"

step "An erasure: too early it is refused, and under a hold; then bodies and keys go, and every proof still verifies"
custos receipt get "$short" --node "$node" --key "$key" -o "$work/short.custos"
of_year=("${subject[@]}" --year "$year" --anchor "$anchor")
custos trail prove "${of_year[@]}" -o "$work/before.custos"
erase=("${desk[@]}" "${patient[@]}" --class short --anchor "$anchor")
expect 2 erase "${erase[@]}" --before "$next_quarter" 2>&1 | tee "$work/early"
has "has to be kept until" "$work/early"
later 89d
custos hold set "${desk[@]}" --order "Regional Court, 3 O 17" | tee "$work/hold"
forward
expect 2 erase "${erase[@]}" 2>&1 | tee "$work/held"
has "a hold is on this trail or on its custodian" "$work/held"
custos hold lift "$(value hold "$work/hold")" --node "$node" --key "$key" --vault "$work/vault" --vault-key "$net/vault.key"
custos erase "${erase[@]}" | tee "$work/erased"
has "1 entry: what opens it is destroyed" "$work/erased"
expect 2 receipt get "$short" --node "$node" --key "$key" -o "$work/gone.custos" 2>&1 | tee "$work/gone"
has "erased" "$work/gone"
custos trail show "${of_year[@]}" --own --vault "$work/vault" --vault-key "$net/vault.key" >"$work/after"
grep "no longer kept" "$work/after"
grep -q "allergies" "$work/after" && fail "the vault still opens what was erased"
expect 0 verify "$work/short.custos" --anchor "$anchor" >"$work/verified"
has "^VERIFIED" "$work/verified"
expect 0 verify "$work/before.custos" --anchor "$anchor" >"$work/verified"
has "a complete trail: all" "$work/verified"
custos trail prove "${of_year[@]}" -o "$work/pruned.custos"
expect 0 verify "$work/pruned.custos" --anchor "$anchor" >"$work/verified"
head -n 9 "$work/verified"
has "a complete trail: all" "$work/verified"
has "pruned" "$work/verified"
good "the receipt and the trail of before verify as they did; in the trail of now one entry reads as pruned"

step "Everything is stopped, and what is on disk is checked from the first record to the last"
custos testnet down --dir "$net"
for index in 1 4; do
    expect 0 fsck --data "$net/node-$index" | tee "$work/fsck"
    has "everything fits" "$work/fsck"
done
good "whole"

finished=yes
printf '\n%sdemo: %d steps, each did what it says, in %d s%s\n' "$green" "$steps" "$((SECONDS - started))" "$plain"
