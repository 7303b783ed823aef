#!/usr/bin/env python3
"""A second verifier of Custos files, written from the pages beside it and not from the first one.

    python3 verify.py FILE --anchor ANCHOR [--links F] [--openings F] [--not-older-than MS]
    python3 verify.py --vectors vectors

Exit code 0: verified; 1: evidence against the file; 2: could not tell. Standard library only; the
signatures are checked in plain Python, slowly. Its purpose is to disagree: where it and the first
verifier answer differently, one of them or the specification is wrong. Python 3.8 or later.

Deliberately absent: the rules of admission, networks, anything fast, anything that needs a secret.
"""

import argparse
import base64
import datetime
import hashlib
import hmac
import json
import pathlib
import re
import sys
import unicodedata

# -------------------------------------------------------------------------------------------------
# cbor.md


class Refused(Exception):
    """Bytes outside the profile or the shape; the word is informative."""

    def __init__(self, word, detail=""):
        super().__init__(detail or word)
        self.word = word


MAX_DEPTH = 16
FAR = 253402300799999


class Reader:
    """Reads heads from the left, each in its shortest form only."""

    def __init__(self, data):
        self.data = data
        self.at = 0

    def take(self, count):
        if count > len(self.data) - self.at:
            raise Refused("truncated")
        part = self.data[self.at:self.at + count]
        self.at += count
        return part

    def head(self):
        first = self.take(1)[0]
        major, low = first >> 5, first & 0x1F
        if low < 24:
            argument, least = low, 0
        elif low < 28:
            size = 1 << (low - 24)
            argument = int.from_bytes(self.take(size), "big")
            least = 24 if size == 1 else 1 << (4 * size)
        else:
            raise Refused("not-shortest")
        if major == 7 and low >= 24:
            raise Refused("unexpected")
        if argument < least:
            raise Refused("not-shortest")
        return major, argument

    def expect(self, wanted):
        major, argument = self.head()
        if major != wanted:
            raise Refused("unexpected")
        return argument

    def finish(self):
        if self.at != len(self.data):
            raise Refused("trailing")

    def skip(self, level=1):
        """Passes over any one value of the profile."""
        if level > MAX_DEPTH:
            raise Refused("out-of-bounds", "nesting")
        major, argument = self.head()
        if major == 0 or (major == 1 and argument < 1 << 63):
            return
        if major == 2:
            self.take(argument)
        elif major == 3:
            utf8(self.take(argument))
        elif major == 4:
            for _ in range(argument):
                self.skip(level + 1)
        elif major == 5:
            before = None
            for _ in range(argument):
                start = self.at
                self.skip(level + 1)
                key = self.data[start:self.at]
                if before is not None and key <= before:
                    raise Refused("not-sorted")
                before = key
                self.skip(level + 1)
        elif major == 7 and argument in (20, 21):
            return
        else:
            raise Refused("unexpected")


def utf8(data):
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise Refused("out-of-bounds", "not UTF-8") from None


def whole(shape, data):
    """The value of a shape that fills the bytes completely."""
    reader = Reader(data)
    value = shape(reader)
    reader.finish()
    return value


# Encoding: only what has to be hashed or signed and is not copied from a file.


def head(major, argument):
    if argument < 24:
        return bytes([major << 5 | argument])
    for low, size in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if argument < 1 << (8 * size):
            return bytes([major << 5 | low]) + argument.to_bytes(size, "big")
    raise ValueError("too large")


def encode(value):
    if isinstance(value, Struct):
        return value.raw
    if isinstance(value, bool):
        return b"\xf5" if value else b"\xf4"
    if isinstance(value, int):
        return head(0, value) if value >= 0 else head(1, -1 - value)
    if isinstance(value, bytes):
        return head(2, len(value)) + value
    if isinstance(value, str):
        data = value.encode("utf-8")
        return head(3, len(data)) + data
    return head(4, len(value)) + b"".join(encode(each) for each in value)


# -------------------------------------------------------------------------------------------------
# custos.cddl: a shape is a function that reads one value.


class Struct:
    """A fixed structure, with the bytes it was read from."""

    def __init__(self, raw, fields):
        self.raw = raw
        self.__dict__.update(fields)


def uint(most=(1 << 64) - 1, least=0):
    def read(reader):
        value = reader.expect(0)
        if not least <= value <= most:
            raise Refused("out-of-bounds")
        return value
    return read


def one_of(*numbers):
    def read(reader):
        value = reader.expect(0)
        if value not in numbers:
            raise Refused("out-of-bounds")
        return value
    return read


def data(most, least=0):
    def read(reader):
        length = reader.expect(2)
        if not least <= length <= most:
            raise Refused("out-of-bounds")
        return reader.take(length)
    return read


def fixed(length):
    return data(length, length)


def text_of(most, allowed, least=0):
    def read(reader):
        length = reader.expect(3)
        if length > most:
            raise Refused("out-of-bounds")
        value = utf8(reader.take(length))
        if length < least or not allowed(value):
            raise Refused("out-of-bounds")
        return value
    return read


def ascii_text(most):
    return text_of(most, lambda value: all(0x20 <= ord(c) <= 0x7E for c in value))


def is_plain(value):
    return not any(unicodedata.category(c) == "Cc" for c in value)


def plain_text(most):
    return text_of(most, is_plain)


def literal(expected):
    def read(reader):
        shape = ascii_text(64) if isinstance(expected, str) else uint()
        if shape(reader) != expected:
            raise Refused("unexpected")
        return expected
    return read


def boolean(reader):
    if reader.head() not in ((7, 20), (7, 21)):
        raise Refused("unexpected")
    return reader.data[reader.at - 1] == 0xF5


def option(shape):
    def read(reader):
        length = reader.expect(4)
        if length > 1:
            raise Refused("out-of-bounds")
        return shape(reader) if length else None
    return read


def many(shape, most, least=0):
    def read(reader):
        length = reader.expect(4)
        if not least <= length <= most:
            raise Refused("out-of-bounds")
        return [shape(reader) for _ in range(length)]
    return read


def ascending(shape, most, key=lambda value: value):
    def read(reader):
        values = many(shape, most)(reader)
        if any(key(a) >= key(b) for a, b in zip(values, values[1:])):
            raise Refused("not-sorted")
        return values
    return read


def coded_set(length, most):
    """Texts, ascending as Rust's strings are: by bytes."""
    return ascending(ascii_text(length), most)


def struct(*fields):
    """An array of exactly these fields; names of constants begin with an underscore."""
    def read(reader):
        start = reader.at
        if reader.expect(4) != len(fields):
            raise Refused("out-of-bounds")
        values = {name: shape(reader) for name, shape in fields}
        return Struct(reader.data[start:reader.at], values)
    return read


def choice(*alternatives):
    """Structures told apart by their length and a first number."""
    def read(reader):
        start = reader.at
        length = reader.expect(4)
        number = uint()(reader)
        for wanted, fields in alternatives:
            if number == wanted and length == len(fields) + 1:
                values = {name: shape(reader) for name, shape in fields}
                return Struct(reader.data[start:reader.at], dict(values, tag=number))
        raise Refused("out-of-bounds")
    return read


def int_map(**parts):
    """Small integer keys, ascending, each optional: k1=shape, k2=shape, ..."""
    shapes = {int(name[1:]): shape for name, shape in parts.items()}

    def read(reader):
        length = reader.expect(5)
        if length > len(shapes):
            raise Refused("out-of-bounds")
        out, before = {}, -1
        for _ in range(length):
            key = uint()(reader)
            if key <= before:
                raise Refused("not-sorted")
            before = key
            if key not in shapes:
                raise Refused("out-of-bounds")
            out[key] = shapes[key](reader)
        return out
    return read


def participant_id(reader):
    value = ascii_text(63)(reader)
    if not re.fullmatch(r"[a-z0-9][a-z0-9.\-]{0,62}", value):
        raise Refused("out-of-bounds")
    return value


def author(reader):
    """A participant (text), or the subject of a trail (bytes)."""
    if reader.at < len(reader.data) and reader.data[reader.at] >> 5 == 2:
        return digest(reader)
    return participant_id(reader)


digest, public_key, signature, random16 = fixed(32), fixed(32), fixed(64), fixed(16)
u8, u16, u32, u64, time_ms = uint(255), uint(65535), uint((1 << 32) - 1), uint(), uint(FAR)
path = many(digest, 64)

MAX_ITEM, MAX_ENVELOPE, MAX_RECORD = 4096, 512, 1024

PAYLOAD = struct(
    ("version", u64), ("chain", digest), ("author", author), ("klass", one_of(1, 2)), ("nonce", random16),
    ("not_after", time_ms), ("items_root", digest), ("items_count", u32))

SEAL = struct(("_algorithm", one_of(1)), ("root", digest), ("ciphertext", option(digest)))
DISPLAY_NAME = struct(("language", ascii_text(16)), ("name", plain_text(128)))
REASON, PURPOSE = one_of(*range(6)), one_of(*range(1, 6))
NAMES = (("roles", uint(511)), ("jurisdiction", ascii_text(8)), ("name", option(plain_text(128))),
         ("seal", option(SEAL)), ("endpoint", ascii_text(255)), ("display_names", many(DISPLAY_NAME, 8)))
REGISTRATION = struct(("id", participant_id), *NAMES)

TERMS = struct(
    ("user", participant_id), ("purposes", ascending(one_of(*range(1, 7)), 6)),
    ("categories", ascending(one_of(*range(1, 18)), 17)), ("holders", ascending(participant_id, 32)),
    ("environment", option(participant_id)), ("begins", time_ms), ("ends", time_ms), ("form", one_of(1, 2)),
    ("over_opt_out", one_of(0, 1, 2)), ("decision", option(digest)))
GRADE_OF = struct(("code", ascii_text(24)), ("grade", one_of(*range(1, 7))))
POLICY = struct(
    ("version", u64), ("lag_ms", u64), ("max_lifetime_ms", u64), ("max_nonces", u64), ("trust_period_ms", u64),
    ("heartbeat_ms", u64), ("retention_days", many(u32, 3)),
    ("decision", struct(
        ("implicit", one_of(*range(1, 5))), ("combining", one_of(*range(1, 6))),
        ("emergency", struct(
            ("allowed", boolean), ("etreat", boolean), ("window_ms", u64), ("categories", coded_set(24, 32)),
            ("justification_hours", u16), ("review_hours", u16))),
        ("prohibited", coded_set(24, 32)), ("floor", one_of(*range(1, 7))), ("label_floors", many(GRADE_OF, 32)),
        ("category_grades", many(GRADE_OF, 32)),
        ("assurance", many(struct(("purpose", ascii_text(24)), ("assurance", one_of(1, 2, 3))), 16)),
        ("treat_requires_relationship", boolean),
        ("consent_besides", many(struct(("jurisdiction", ascii_text(8)), ("category", ascii_text(24))), 32)),
        ("terminology", digest))),
    ("thresholds", many(struct(("kind", ascii_text(32)), ("numerator", u8), ("denominator", u8)), 32)),
    ("max_open_proposals", u16), ("must_seal", coded_set(48, 16)), ("schemas", coded_set(48, 64)),
    ("transfer_ms", u64), ("max_subject_nonces", u64))
SIGNED_VOTE = struct(("block", option(digest)), ("signature", signature))


def voted_act(reader):
    """An item that is an act, and not one of proposals: they do not nest."""
    ahead = Reader(reader.data[reader.at:])
    if ahead.expect(4) != 4:
        raise Refused("out-of-bounds")
    literal(1)(ahead)
    kind = ascii_text(64)(ahead)
    if kind not in KINDS or KINDS[kind][0] != ACT or kind in ("proposal.open", "proposal.vote"):
        raise Refused("out-of-bounds")
    return item(reader)


ACT, TESTIMONY = 1, 2
KINDS = {
    "participant.register": (ACT, 1, REGISTRATION),
    "participant.update": (ACT, 1, REGISTRATION),
    "participant.suspend": (ACT, 0, struct(("id", participant_id), ("reason", REASON))),
    "key.add": (ACT, 0, struct(
        ("owner", participant_id), ("key", public_key), ("purpose", PURPOSE), ("possession", signature))),
    "key.rotate": (ACT, 0, struct(
        ("old", digest), ("key", public_key), ("overlap_ms", u64), ("possession", signature))),
    "key.revoke": (ACT, 0, struct(("key", digest), ("reason", REASON), ("compromised_from", option(time_ms)))),
    "trail.open": (ACT, 1, struct(
        ("local_id", digest), ("grantee", option(participant_id)), ("epoch", u16), ("reader", digest), ("seal", SEAL))),
    "trail.close": (ACT, 0, struct(("local_id", digest))),
    "rule.put": (ACT, 3, struct(
        ("custodian", participant_id), ("local_id", digest), ("rule", random16), ("prior", random16),
        ("expiry", time_ms), ("ends", ascending(random16, 16)), ("collected", one_of(*range(1, 7))), ("seal", SEAL))),
    "access.event": (TESTIMONY, 16, struct(
        ("event", random16), ("custodian", participant_id), ("local_id", option(digest)), ("acting", participant_id),
        ("basis", one_of(*range(6))), ("cited", option(random16)), ("at_height", u64), ("late", one_of(0, 1, 2)),
        ("retention", one_of(1, 2, 3)), ("stream", u32), ("sequence", u64), ("seal", SEAL))),
    "access.correct": (TESTIMONY, 2, struct(
        ("correction", random16), ("prior", random16), ("custodian", participant_id), ("local_id", option(digest)),
        ("acting", participant_id), ("reason", one_of(1, 2, 3, 4)), ("seal", SEAL))),
    "disclosure.export": (TESTIMONY, 7, struct(
        ("event", random16), ("transfer", random16), ("recipient", option(participant_id)), ("agreement", option(digest)),
        ("recognition", option(digest)), ("from_country", ascii_text(2)), ("to_country", ascii_text(2)), ("seal", SEAL))),
    "disclosure.import": (TESTIMONY, 4, struct(
        ("event", random16), ("transfer", random16), ("source", participant_id), ("from_country", ascii_text(2)),
        ("to_country", ascii_text(2)), ("seal", SEAL))),
    "emergency.declare": (TESTIMONY, 5, struct(
        ("declaration", random16), ("custodian", participant_id), ("acting", participant_id), ("seal", SEAL))),
    "emergency.review": (TESTIMONY, 5, struct(
        ("review", random16), ("declarer", participant_id), ("declaration", random16), ("seal", SEAL))),
    "permit.issue": (ACT, 0, struct(("permit", random16), ("terms", TERMS))),
    "permit.amend": (ACT, 0, struct(("permit", random16), ("terms", TERMS))),
    "permit.revoke": (ACT, 0, struct(("permit", random16), ("reason", REASON))),
    "job.record": (TESTIMONY, 3, struct(
        ("event", random16), ("permit", random16), ("job", random16), ("step", one_of(*range(1, 9))),
        ("code", option(digest)), ("parameters", option(digest)), ("nodes", ascending(participant_id, 16)),
        ("cohort", one_of(*range(6))), ("opt_outs_removed", one_of(0, 1, 2, 3)),
        ("disclosure_checked", one_of(0, 1, 2, 3)), ("seal", SEAL))),
    "record.event": (TESTIMONY, 5, struct(
        ("event", random16), ("local_id", digest), ("record", random16), ("step", one_of(*range(1, 8))),
        ("retention", one_of(1, 2, 3)), ("seal", SEAL))),
    "audit.read": (TESTIMONY, 3, struct(
        ("event", random16), ("custodian", participant_id), ("mandate", option(random16)), ("count", u32), ("seal", SEAL))),
    "hold.set": (ACT, 3, struct(
        ("hold", random16), ("custodian", participant_id), ("local_id", option(digest)), ("seal", SEAL))),
    "hold.lift": (ACT, 0, struct(
        ("custodian", participant_id), ("hold", random16), ("local_id", option(digest)))),
    "payload.erase": (ACT, 2, struct(
        ("local_id", digest), ("from", u64), ("to", u64), ("retention", one_of(1, 2, 3)), ("before", time_ms),
        ("authority", one_of(1, 2, 3)), ("seal", SEAL))),
    "trail.agent": (ACT, 1, struct(
        ("custodian", participant_id), ("local_id", digest), ("change", one_of(1, 2)), ("key", option(public_key)),
        ("possession", option(signature)), ("agent", option(participant_id)), ("collected", one_of(*range(1, 7))),
        ("seal", SEAL))),
    "proposal.open": (ACT, 0, struct(
        ("proposal", random16), ("acts", many(voted_act, 8)), ("deadline", time_ms))),
    "proposal.vote": (ACT, 0, struct(("proposal", random16), ("vote", one_of(1, 2)))),
    "policy.set": (ACT, 0, struct(("policy", POLICY), ("effective", u64))),
    "protocol.upgrade": (ACT, 0, struct(("version", u64), ("height", u64))),
    "validator.put": (ACT, 0, struct(
        ("participant", participant_id), ("key", public_key), ("possession", signature), ("power", u64))),
    "validator.remove": (ACT, 0, struct(("participant", participant_id))),
    "misbehaviour.report": (TESTIMONY, 0, struct(
        ("key", public_key), ("height", u64), ("round", u32), ("vote", one_of(1, 2)), ("first", SIGNED_VOTE),
        ("second", SIGNED_VOTE), ("seen", one_of(1, 2)))),
    "roster.commit": (ACT, 0, struct(
        ("from", time_ms), ("until", time_ms), ("root", digest), ("count", one_of(*range(1, 6))))),
    "mandate.issue": (ACT, 1, struct(
        ("mandate", random16), ("auditor", participant_id), ("custodian", participant_id), ("from_year", u16),
        ("to_year", u16), ("seal", SEAL))),
    "mandate.end": (ACT, 0, struct(("auditor", participant_id), ("custodian", participant_id))),
    "notarise": (ACT, 0, struct(
        ("schema", ascii_text(48)), ("digest", digest), ("parent", option(digest)), ("amount", option(u64)),
        ("holder", option(participant_id)))),
    "finding.record": (ACT, 2, struct(
        ("finding", random16), ("institution", participant_id), ("rule", ascii_text(48)), ("version", digest),
        ("evidence", ascending(digest, 16)), ("seal", SEAL))),
    "dispute.open": (ACT, 2, struct(
        ("dispute", random16), ("institution", participant_id), ("behalf", one_of(1, 2)), ("seal", SEAL))),
    "dispute.answer": (ACT, 1, struct(("dispute", random16), ("seal", SEAL))),
    "dispute.resolve": (ACT, 1, struct(
        ("dispute", random16), ("institution", participant_id), ("resolution", one_of(1, 2, 3, 4)), ("seal", SEAL))),
}
SEALED = {
    "participant.register": ["name"], "participant.update": ["name"], "trail.open": ["back pointer"],
    "rule.put": ["inner kind", "body", "evidence"],
    "access.event": ["action", "outcome", "when", "purpose", "legal basis", "categories", "origins", "agents",
                     "relationship", "resources", "labels", "justification", "decision", "correlation", "group", "source"],
    "access.correct": ["replacement", "note"],
    "disclosure.export": ["when", "recipient", "subject", "purpose", "categories", "accounting", "description"],
    "disclosure.import": ["when", "subject", "categories", "description"],
    "emergency.declare": ["when", "agents", "subject", "justification", "categories"],
    "emergency.review": ["verdict", "independence", "reviewer", "when", "findings"],
    "job.record": ["when", "agents", "description"],
    "record.event": ["categories", "origin", "content", "when", "agents"],
    "audit.read": ["what", "agents", "when"],
    "hold.set": ["authority", "range", "note"],
    "payload.erase": ["order", "note"],
    "trail.agent": ["evidence"],
    "mandate.issue": ["wrapped keys"], "finding.record": ["pointer", "words"], "dispute.open": ["pointer", "words"],
    "dispute.answer": ["words"], "dispute.resolve": ["words"],
}


def item(reader):
    start = reader.at
    if reader.expect(4) != 4:
        raise Refused("out-of-bounds")
    literal(1)(reader)
    kind = ascii_text(64)(reader)
    if kind not in KINDS:
        raise Refused("out-of-bounds")
    values = {"kind": kind, "item_id": random16(reader), "fields": KINDS[kind][2](reader)}
    if reader.at - start > MAX_ITEM:
        raise Refused("out-of-bounds")
    return Struct(reader.data[start:reader.at], values)


LISTING = struct(("trail", digest), ("position", u64))
LISTINGS = ascending(LISTING, 8, key=lambda listing: (listing.trail, listing.position))
VERDICT = struct(
    ("checks", ascending(one_of(*range(11), 16), 16)), ("finding", one_of(0, 1, 2)),
    ("codes", ascending(one_of(*range(1, 37), *range(40, 45)), 16)))
ITEM_ENTRY = struct(
    ("submission", digest), ("author", author), ("position", u32), ("item", digest), ("verdict", VERDICT),
    ("trails", LISTINGS))
DUE_ENTRY = struct(("cause", digest), ("rule", u32), ("deadline", time_ms), ("trails", LISTINGS))


def record(reader):
    start = reader.at
    if reader.expect(4) != 7:
        raise Refused("out-of-bounds")
    literal(2)(reader), literal(1)(reader)
    values = {"index": u64(reader), "height": u64(reader), "time": time_ms(reader), "kind": one_of(0, 1, 2)(reader)}
    values["entry"] = (digest, ITEM_ENTRY, DUE_ENTRY)[values["kind"]](reader)
    if reader.at - start > MAX_RECORD:
        raise Refused("out-of-bounds")
    return Struct(reader.data[start:reader.at], values)


HEADER = struct(
    ("version", u64), ("chain", digest), ("height", u64), ("round", u32), ("time", time_ms), ("parent", digest),
    ("body_root", digest), ("log_size", u64), ("log_root", digest), ("state_root", digest), ("validators_hash", digest),
    ("next_validators_hash", digest), ("proposer", participant_id))
VALIDATOR = struct(("participant", participant_id), ("key", public_key), ("power", u64))


def is_validator_set(members):
    names, powers = [v.participant for v in members], [v.power for v in members]
    return (1 <= len(members) <= 128 and all(a.key < b.key for a, b in zip(members, members[1:]))
            and len(set(names)) == len(names) and min(powers) > 0 and sum(powers) < 1 << 63)


def validator_set(reader):
    start = reader.at
    members = many(VALIDATOR, 128)(reader)
    if not is_validator_set(members):
        raise Refused("out-of-bounds", "not a validator set")
    return Struct(reader.data[start:reader.at], {"members": members})


CERTIFICATE = struct(
    ("height", u64), ("round", u32), ("block_id", digest),
    ("signatures", many(struct(("signer", u16), ("signature", signature)), 128)))

TRAIL_HEAD = struct(("size", u64), ("root", digest))
SUBJECT_TRAIL = struct(
    ("custodian", participant_id), ("grantee", option(participant_id)), ("epoch", u16), ("reader", digest),
    ("opened", u64), ("closed", option(u64)))
PARTICIPANT = struct(*NAMES, ("suspended", option(u64)))
KEY_ENTRY = struct(
    ("owner", author), ("key", public_key), ("purpose", PURPOSE), ("valid_from", u64), ("revoked", option(u64)),
    ("not_after", time_ms), ("compromised_from", option(time_ms)))
TERMINAL = choice((0, ()), (1, ()), (2, (("key", digest), ("value_hash", digest))))
STATE_PROOF = struct(("siblings", many(digest, 256)), ("terminal", TERMINAL))


def trail_name(reader):
    start = reader.at
    if reader.expect(4) != 3:
        raise Refused("out-of-bounds")
    values = {"kind": one_of(1, 2, 3, 4)(reader), "owner": participant_id(reader), "local_id": option(digest)(reader)}
    if (values["local_id"] is not None) != (values["kind"] in (1, 3)):
        raise Refused("out-of-bounds", "a name that no record can be listed under")
    return Struct(reader.data[start:reader.at], values)


OPENING = struct(("item_id", random16), ("field", u8), ("salt", digest), ("value", data(65536)), ("path", many(digest, 5)))
COSIGNATURE = struct(("key", public_key), ("time", u64), ("signature", signature))
WITNESSED = struct(
    ("size", u64), ("root", digest), ("next", data(MAX_RECORD)), ("path", path), ("cosignatures", many(COSIGNATURE, 16)))
LINK = struct(("header", HEADER), ("certificate", CERTIFICATE), ("next", validator_set))
PROVEN_KEY = struct(("entry", KEY_ENTRY), ("proof", STATE_PROOF))
RECEIPT = struct(
    ("_type", literal("custos.receipt.v1")), ("item", data(MAX_ITEM)), ("envelope", data(MAX_ENVELOPE)),
    ("item_path", path), ("record", data(MAX_RECORD)), ("record_path", path), ("header", HEADER),
    ("certificate", CERTIFICATE), ("author_key", PROVEN_KEY), ("witnessed", option(WITNESSED)))
TRAIL_ENTRY = choice(
    (0, (("record", data(MAX_RECORD)), ("item", data(MAX_ITEM)), ("envelope", u32), ("item_path", path))),
    (1, (("record", data(MAX_RECORD)), ("warrant", digest))),
    (2, (("record", data(MAX_RECORD)),)))

FILES = {
    "custos.genesis.v1": struct(
        ("_type", literal("custos.genesis.v1")), ("name", ascii_text(64)), ("time", time_ms), ("protocol", u64),
        ("registrar", participant_id), ("participants", many(REGISTRATION, 256)),
        ("keys", many(struct(("owner", participant_id), ("key", public_key), ("purpose", PURPOSE),
                             ("possession", signature)), 1024)),
        ("validators", many(struct(("participant", participant_id), ("power", u64)), 128)), ("policy", POLICY)),
    "custos.anchor.v1": struct(
        ("_type", literal("custos.anchor.v1")), ("chain", digest), ("height", u64), ("block_id", digest),
        ("validators", validator_set), ("time", time_ms), ("witnesses", ascending(public_key, 16)), ("threshold", u8)),
    "custos.links.v1": struct(("_type", literal("custos.links.v1")), ("links", many(LINK, 4096))),
    "custos.advance.v1": struct(
        ("_type", literal("custos.advance.v1")), ("links", many(LINK, 4096)), ("header", HEADER),
        ("certificate", CERTIFICATE), ("next", validator_set), ("witnessed", option(WITNESSED))),
    "custos.receipt.v1": RECEIPT,
    "custos.receipts.v1": struct(("_type", literal("custos.receipts.v1")), ("receipts", many(RECEIPT, 1000))),
    "custos.trail.v1": struct(
        ("_type", literal("custos.trail.v1")), ("name", trail_name), ("header", HEADER), ("certificate", CERTIFICATE),
        ("head", option(TRAIL_HEAD)), ("head_proof", STATE_PROOF), ("begin", u64), ("entries", many(TRAIL_ENTRY, 65536)),
        ("range_path", many(digest, 128)), ("envelopes", many(data(MAX_ENVELOPE), 65536)),
        ("keys", many(PROVEN_KEY, 1024)), ("witnessed", option(WITNESSED))),
    "custos.disclosure.v1": struct(
        ("_type", literal("custos.disclosure.v1")), ("proof", data(64 << 20)), ("openings", many(OPENING, 1 << 20))),
    "custos.openings.v1": struct(("_type", literal("custos.openings.v1")), ("openings", many(OPENING, 1 << 20))),
}

# -------------------------------------------------------------------------------------------------
# Ed25519 by ZIP-215 (hashing.md), in extended coordinates.

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
ROOT_OF_MINUS_ONE = pow(2, (P - 1) // 4, P)
NEUTRAL = (0, 1, 1, 0)


def add(a, b):
    (x1, y1, z1, t1), (x2, y2, z2, t2) = a, b
    m, n = (y1 - x1) * (y2 - x2) % P, (y1 + x1) * (y2 + x2) % P
    c, d = 2 * t1 * t2 * D % P, 2 * z1 * z2 % P
    e, f, g, h = n - m, d - c, d + c, n + m
    return (e * f % P, g * h % P, f * g % P, e * h % P)


def negative(a):
    return (-a[0] % P, a[1], a[2], -a[3] % P)


def times(scalar, a):
    return sum_of((scalar, a), (0, NEUTRAL))


def sum_of(first, second):
    """s*A + t*B, both at once."""
    (s, a), (t, b) = first, second
    table = (NEUTRAL, a, b, add(a, b))
    out = NEUTRAL
    for i in reversed(range(max(s.bit_length(), t.bit_length()))):
        out = add(out, out)
        which = (s >> i & 1) | (t >> i & 1) << 1
        if which:
            out = add(out, table[which])
    return out


def same(a, b):
    return (a[0] * b[2] - b[0] * a[2]) % P == 0 and (a[1] * b[2] - b[1] * a[2]) % P == 0


def decompress(encoded):
    """A point, also from encodings that are not canonical; None if there is none."""
    number = int.from_bytes(encoded, "little")
    sign, y = number >> 255, (number & (1 << 255) - 1) % P
    u, v = (y * y - 1) % P, (D * y * y + 1) % P
    x = u * pow(v, 3, P) * pow(u * pow(v, 7, P), (P - 5) // 8, P) % P
    if v * x * x % P == -u % P:
        x = x * ROOT_OF_MINUS_ONE % P
    if v * x * x % P != u:
        return None
    if x & 1 != sign:
        x = -x % P
    return (x, y, 1, x * y % P)


def compress(a):
    inverse = pow(a[2], -1, P)
    x, y = a[0] * inverse % P, a[1] * inverse % P
    return (y | (x & 1) << 255).to_bytes(32, "little")


BASE = decompress((4 * pow(5, -1, P) % P).to_bytes(32, "little"))
CHECKED = {}


def check_signature(key, message, sig):
    """(valid by ZIP-215, strict as well)."""
    at = (key, message, sig)
    if at not in CHECKED:
        CHECKED[at] = check_now(key, message, sig)
    return CHECKED[at]


def check_now(key, message, sig):
    a, r, s = decompress(key), decompress(sig[:32]), int.from_bytes(sig[32:], "little")
    if a is None or r is None or s >= L:
        return False, False
    k = int.from_bytes(hashlib.sha512(sig[:32] + key + message).digest(), "little") % L
    expected = sum_of((s, BASE), (k, negative(a)))
    valid = same(times(8, add(expected, negative(r))), NEUTRAL)
    small = same(times(8, a), NEUTRAL) or same(times(8, r), NEUTRAL)
    return valid, valid and not small and compress(expected) == sig[:32]


def is_registrable(key):
    a = decompress(key)
    return (a is not None and compress(a) == key and not same(times(8, a), NEUTRAL)
            and same(times(L, a), NEUTRAL))


# -------------------------------------------------------------------------------------------------
# hashing.md


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def tagged(tag, *parts):
    return sha256(b"custos/1/" + tag.encode() + b"\0", *parts)


def leaf_hash(leaf):
    return sha256(b"\0", leaf)


def node_hash(left, right):
    return sha256(b"\1", left, right)


def split(size):
    """The largest power of two smaller than size."""
    return 1 << ((size - 1).bit_length() - 1)


def tree_root(leaves):
    if not leaves:
        return sha256()
    if len(leaves) == 1:
        return leaves[0]
    k = split(len(leaves))
    return node_hash(tree_root(leaves[:k]), tree_root(leaves[k:]))


def included(leaf, index, size, way, root):
    if index >= size:
        return False
    node, last, found = index, size - 1, leaf
    for sibling in way:
        if last == 0:
            return False
        if node & 1 or node == last:
            found = node_hash(sibling, found)
            while node & 1 == 0 and node:
                node, last = node >> 1, last >> 1
        else:
            found = node_hash(found, sibling)
        node, last = node >> 1, last >> 1
    return last == 0 and found == root


def consistent(old, old_root, new, new_root, way):
    if old > new:
        return False
    if old == new:
        return not way and old_root == new_root and (old > 0 or old_root == sha256())
    if old == 0:
        return not way and old_root == sha256()
    way = list(way)
    if old & (old - 1) == 0:
        way.insert(0, old_root)
    if not way:
        return False
    node, last = old - 1, new - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    first = second = way[0]
    for sibling in way[1:]:
        if last == 0:
            return False
        if node & 1 or node == last:
            first, second = node_hash(sibling, first), node_hash(sibling, second)
            while node & 1 == 0 and node:
                node, last = node >> 1, last >> 1
        else:
            second = node_hash(second, sibling)
        node, last = node >> 1, last >> 1
    return last == 0 and first == old_root and second == new_root


def in_range(begin, leaves, size, way, root):
    end = begin + len(leaves)
    if not leaves:
        return begin == 0 and size == 0 and not way and root == sha256()
    if end > size:
        return False
    rest = list(reversed(way))

    def subtree(low, high):
        if high <= begin or end <= low:
            return rest.pop()
        if begin <= low and high <= end:
            return tree_root(leaves[low - begin:high - begin])
        middle = low + split(high - low)
        left = subtree(low, middle)
        return node_hash(left, subtree(middle, high))

    try:
        return subtree(0, size) == root and not rest
    except IndexError:
        return False


def bit(key, i):
    return key[i // 8] >> (7 - i % 8) & 1


def entry_hash(key, value_hash):
    return sha256(b"\2", key, value_hash)


def map_root(entries, depth=0):
    """Of (key, value) pairs."""
    if not entries:
        return bytes(32)
    if len(entries) == 1:
        return entry_hash(entries[0][0], sha256(entries[0][1]))
    halves = [[entry for entry in entries if bit(entry[0], depth) == side] for side in (0, 1)]
    return sha256(b"\3", map_root(halves[0], depth + 1), map_root(halves[1], depth + 1))


def in_map(root, key, value, proof):
    """That the key has the value; or, for None, that it is absent."""
    end, depth = proof.terminal, len(proof.siblings)
    if value is not None and end.tag == 0:
        found = entry_hash(key, sha256(value))
    elif value is None and end.tag == 1:
        found = bytes(32)
    elif value is None and end.tag == 2:
        if end.key == key or any(bit(key, i) != bit(end.key, i) for i in range(depth)):
            return False
        found = entry_hash(end.key, end.value_hash)
    else:
        return False
    for i in reversed(range(depth)):
        sibling = proof.siblings[i]
        found = sha256(b"\3", sibling, found) if bit(key, i) else sha256(b"\3", found, sibling)
    return found == root


def state_key(*name):
    return tagged("state-key", encode(list(name)))


def key_id(key):
    return tagged("key", bytes.fromhex("a301012006215820"), key)


def block_id(header):
    return tagged("block", header.raw)


def vote_preimage(chain, height, round_, kind, block, key):
    return b"custos/1/vote\0" + encode([chain, height, round_, kind, [block], key])


def possession_preimage(chain, owner, purpose, key):
    return b"custos/1/possession\0" + encode([chain, owner, purpose, key])


def seal_leaf(chain, kind, field, item_id, salt, value):
    return leaf_hash(encode([4, chain, kind, field, item_id, salt, value]))


def opens(chain, kind, item_id, seal_root, opening):
    count = len(SEALED.get(kind, []))
    if opening.item_id != item_id or not 1 <= opening.field <= count:
        return False
    leaf = seal_leaf(chain, kind, opening.field, item_id, opening.salt, opening.value)
    return included(leaf, opening.field - 1, count, opening.path, seal_root)


def checkpoint(chain, size, root):
    return f"custos/{chain.hex()}\n{size}\n{base64.b64encode(root).decode()}\n"


def cosignature_preimage(text, time):
    return f"cosignature/v1\ntime {time}\n{text}".encode()


# Submissions.


class Envelope:
    """A COSE_Sign1, taken apart."""

    def __init__(self, raw):
        if len(raw) > MAX_ENVELOPE:
            raise Refused("too-large")
        reader = Reader(raw)
        if reader.head() != (6, 18):
            raise Refused("unexpected")
        if reader.expect(4) != 4:
            raise Refused("out-of-bounds")
        protected = data(MAX_ENVELOPE)(reader)
        self.key_id = self.protected_header(protected)
        if reader.expect(5) != 0:
            raise Refused("not-canonical", "the unprotected header is not empty")
        payload = data(MAX_ENVELOPE)(reader)
        self.payload = whole(PAYLOAD, payload)
        self.signature = signature(reader)
        reader.finish()
        if self.payload.version != 1:
            raise Refused("unsupported-version")
        if not 1 <= self.payload.items_count <= 1000:
            raise Refused("malformed")
        self.protected_bytes, self.payload_bytes = protected, payload
        self.sig_structure = encode(["Signature1", protected, b"", payload])
        self.submission_id = tagged("submission", self.sig_structure)

    @staticmethod
    def protected_header(raw):
        reader = Reader(raw)
        if reader.expect(5) != 2 or uint()(reader) != 1:
            raise Refused("malformed")
        major, argument = reader.head()
        if major not in (0, 1):
            raise Refused("malformed")
        if (major, argument) != (1, 18):
            raise Refused("unsupported-algorithm")
        if uint()(reader) != 4:
            raise Refused("malformed")
        key = digest(reader)
        reader.finish()
        return key

    def signed_by(self, key):
        """(valid, strict)."""
        if key_id(key) != self.key_id:
            return False, False
        return check_signature(key, self.sig_structure, self.signature)


def read_submission(raw):
    """The envelope and the items' bytes."""
    if len(raw) > 1 << 20:
        raise Refused("too-large")
    reader = Reader(raw)
    if reader.expect(4) != 2:
        raise Refused("out-of-bounds")
    envelope = Envelope(data(1 << 20)(reader))
    items = many(data(MAX_ITEM), 1000)(reader)
    reader.finish()
    if len(items) != envelope.payload.items_count or tree_root([leaf_hash(i) for i in items]) != envelope.payload.items_root:
        raise Refused("malformed")
    return envelope, items


def refusal_word(refused):
    """From the word of cbor.md to that of items.md."""
    return {"truncated": "truncated", "trailing": "truncated", "not-shortest": "not-canonical", "not-sorted": "not-canonical",
            "unexpected": "malformed", "out-of-bounds": "malformed"}.get(refused.word, refused.word)


# -------------------------------------------------------------------------------------------------
# pseudonyms.md


def mac(key, message):
    return hmac.new(key, message, hashlib.sha256).digest()


def epoch_secret(k, epoch):
    # HKDF: extract with a salt of zeros, expand to a single block.
    return mac(mac(bytes(32), k), encode(["custos/1/epoch", epoch]) + b"\1")


def subject_key_seed(s, trail):
    return mac(mac(bytes(32), s), encode(["custos/1/subject-key", trail]) + b"\1")


def local_id(k_e, chain, custodian, grantee):
    return mac(k_e, encode(["custos/1/local-id", chain, custodian, [] if grantee is None else [grantee]]))


def trail_key(kind, owner, local):
    return tagged("trail", encode([kind, owner, [] if local is None else [local]]))


SYMBOLS = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"


def polymod(symbols):
    generator = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
    total = 1
    for symbol in symbols:
        top, total = total >> 25, (total & 0x1FFFFFF) << 5 ^ symbol
        for i, constant in enumerate(generator):
            if top >> i & 1:
                total ^= constant
    return total


def read_patient_code(text):
    """k, or None."""
    dashes = "-" + "".join(map(chr, range(0x2010, 0x2016)))
    text = "".join(c for c in text.lower() if not c.isspace() and c not in dashes)
    if not text.startswith("custos1") or any(c not in SYMBOLS for c in text[7:]):
        return None
    symbols = [SYMBOLS.index(c) for c in text[7:]]
    expanded = [ord(c) >> 5 for c in "custos"] + [0] + [ord(c) & 31 for c in "custos"]
    if len(symbols) != 59 or polymod(expanded + symbols) != 0x2BC830A3 or symbols[0] != 0:
        return None
    number = 0
    for symbol in symbols[1:53]:
        number = number << 5 | symbol
    return None if number & 15 else (number >> 4).to_bytes(32, "big")


# -------------------------------------------------------------------------------------------------
# sealed-values.md

CODE_SYSTEMS = 27
token = text_of(512, is_plain, least=1)


def prose(most):
    def read(reader):
        value = data(most, 1)(reader)
        utf8(value)
        return value
    return read


def moment(reader):
    value = ascii_text(40)(reader)
    match = re.fullmatch(
        r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d):(\d\d):(\d\d)(?:\.\d{1,9})?(?:Z|[+-](\d\d):(\d\d)))?)?)?", value, re.ASCII)
    if not match:
        raise Refused("out-of-bounds", "not a date or time")
    year, month, day, hour, minute, second, off_h, off_m = (int(part) if part else None for part in match.groups())
    try:
        datetime.date(year, month or 1, day or 1)
        zone_ok = off_h is None or (off_h < 14 and off_m < 60) or (off_h == 14 and off_m == 0)
        if not ((hour or 0) < 24 and (minute or 0) < 60 and (second or 0) <= 60 and zone_ok) or month == 0 or day == 0:
            raise ValueError
    except ValueError:
        raise Refused("out-of-bounds", "not a date or time") from None
    return value


SYSTEM_NAMES = []


def coding(reader):
    length = reader.expect(4)
    if length not in (2, 3):
        raise Refused("out-of-bounds")
    if reader.at < len(reader.data) and reader.data[reader.at] >> 5 == 0:
        uint(CODE_SYSTEMS)(reader)
    elif token(reader) in SYSTEM_NAMES:
        raise Refused("not-shortest", "a system that has a number")
    token(reader)
    if length == 3:
        prose(512)(reader)


def load_code_systems():
    """The table of sealed-values.md, beside this file."""
    page = pathlib.Path(__file__).with_name("sealed-values.md").read_text(encoding="utf-8")
    SYSTEM_NAMES.extend(re.findall(r"^\| \d+ \| `(http[^`]+)` \|$", page, re.MULTILINE))


def some(shape, most):
    return many(shape, most, 1)


def stated(shape):
    return lambda reader: choice((0, (("reason", one_of(1, 2, 3, 4)),)), (1, (("value", shape),)))(reader)


CONCEPT = int_map(k1=some(coding, 16), k2=prose(4096))
IDENTIFIER = int_map(k1=token, k2=prose(512), k3=CONCEPT, k4=token)
PARTY = int_map(k1=token, k2=token, k3=IDENTIFIER, k4=prose(4096))
SPAN = struct(("start", option(moment)), ("end", option(moment)))
ROSTER_ENTRY = struct(
    ("_type", literal("roster-entry")), ("salt", digest), ("person", PARTY), ("roles", many(CONCEPT, 16)),
    ("purposes", many(coding, 32)), ("groups", many(PARTY, 16)))
AGENT = int_map(
    k1=one_of(1, 2, 3, 4), k2=CONCEPT, k3=some(CONCEPT, 16), k4=boolean, k5=PARTY, k6=prose(512), k7=prose(512), k8=PARTY,
    k9=some(IDENTIFIER, 16), k10=CONCEPT, k11=some(token, 16), k12=PARTY, k13=prose(512), k14=token, k15=coding,
    k16=some(digest, 64), k17=struct(("index", u32), ("size", u32), ("entry", ROSTER_ENTRY)))
DETAIL = struct(("name", prose(512)), ("binary", boolean), ("value", data(4096)))
RESOURCE = int_map(
    k1=PARTY, k2=coding, k3=coding, k4=coding, k5=some(coding, 16), k6=prose(4096), k7=prose(4096), k8=data(16384),
    k9=some(DETAIL, 32))
SOURCE = int_map(
    k1=one_of(1, 2, 3), k2=token, k3=some(token, 16), k4=some(token, 32), k5=some(token, 64), k6=some(coding, 16), k7=PARTY,
    k8=prose(4096), k9=some(coding, 16))
ACTOR = int_map(k1=CONCEPT, k2=PARTY)
DATA_REFERENCE = struct(("meaning", one_of(1, 2, 3, 4)), ("what", PARTY))
PROVISION = int_map(
    k1=one_of(1, 2), k2=SPAN, k3=some(ACTOR, 32), k4=some(CONCEPT, 32), k5=some(coding, 32), k6=some(coding, 32),
    k7=some(coding, 32), k8=some(CONCEPT, 32), k9=SPAN, k10=some(DATA_REFERENCE, 64))
RULE = int_map(
    k1=PROVISION, k2=some(PROVISION, 64), k3=CONCEPT, k4=some(CONCEPT, 16),
    k5=some(struct(("authority", option(token)), ("uri", option(token))), 16), k6=CONCEPT, k7=PARTY, k8=some(PARTY, 16),
    k9=some(PARTY, 16), k10=moment)
VERIFICATION = struct(("verified", boolean), ("with_", option(PARTY)), ("date", option(moment)))
EVIDENCE = int_map(
    k1=digest, k2=PARTY, k3=prose(4096), k4=token, k5=token, k6=some(VERIFICATION, 16), k7=SOURCE, k8=token, k9=token,
    k10=some(IDENTIFIER, 16))
DECISION = int_map(
    k1=one_of(1, 2, 3), k2=some(struct(("item", digest), ("nested", option(u8))), 32), k3=u64, k4=some(CONCEPT, 16))
WHEN = int_map(k1=moment, k2=moment, k3=moment)
PURPOSES, CONCEPTS, PARTIES, AGENTS = (
    some(int_map(k1=CONCEPT, k2=u8), 64), some(CONCEPT, 32), some(PARTY, 32), some(AGENT, 64))
JUSTIFICATION = int_map(k1=some(CONCEPT, 8), k2=prose(4096))
OWN_TRAIL = struct(("epoch", u16), ("local_id", digest))
DELEGATION = int_map(
    k1=PARTY, k2=one_of(1, 2, 3, 4), k3=some(one_of(1, 2, 3), 16), k4=SPAN, k5=moment, k6=digest, k7=prose(4096),
    k8=boolean)
REKEY = struct(("generation", u32), ("reason", one_of(1, 2, 3, 4)))
LINKED = struct(("custodian", participant_id), ("epoch", u16), ("local_id", digest), ("reason", one_of(1, 2, 3)))
POINTER = int_map(k1=digest, k2=some(digest, 32))
SEALED_VALUES = {
    "access.event": [stated(shape) for shape in (
        int_map(k1=one_of(*range(1, 11)), k2=coding, k3=some(coding, 16), k4=token),
        int_map(k1=one_of(1, 2, 3, 4), k2=token, k3=prose(4096)),
        WHEN,
        PURPOSES,
        int_map(k1=some(CONCEPT, 16), k2=some(PARTY, 16)),
        CONCEPTS, PARTIES, AGENTS,
        int_map(k1=one_of(*range(7)), k2=digest),
        some(RESOURCE, 256), some(coding, 64),
        JUSTIFICATION,
        DECISION, some(IDENTIFIER, 16),
        int_map(k1=u64, k2=moment, k3=moment),
        SOURCE)],
    "rule.put": [
        one_of(*range(1, 19)),
        choice((0, ()), (1, (("rule", RULE),)),
               (2, (("trail", struct(("grantee", option(participant_id)), ("epoch", u16), ("local_id", digest))),)),
               (3, (("delegation", DELEGATION),)), (4, (("rekey", REKEY),)), (5, (("linked", LINKED),))),
        EVIDENCE],
    "trail.open": [option(OWN_TRAIL)],
    "trail.agent": [EVIDENCE],
    "access.correct": [
        stated(struct(("custodian", participant_id), ("event", random16))), stated(prose(4096))],
    "disclosure.export": [stated(shape) for shape in (
        WHEN, PARTIES, OWN_TRAIL, PURPOSES, CONCEPTS, one_of(1, 2, 3), prose(4096))],
    "disclosure.import": [stated(shape) for shape in (WHEN, OWN_TRAIL, CONCEPTS, prose(4096))],
    "emergency.declare": [stated(shape) for shape in (WHEN, AGENTS, OWN_TRAIL, JUSTIFICATION, CONCEPTS)],
    "emergency.review": [stated(shape) for shape in (
        one_of(1, 2, 3, 4), one_of(1, 2, 3), AGENTS, WHEN, prose(4096))],
    "job.record": [stated(shape) for shape in (WHEN, AGENTS, prose(4096))],
    "record.event": [stated(shape) for shape in (CONCEPTS, PARTIES, digest, WHEN, AGENTS)],
    "audit.read": [stated(shape) for shape in (some(RESOURCE, 256), AGENTS, WHEN)],
    "hold.set": [stated(shape) for shape in (PARTIES, SPAN, prose(4096))],
    "payload.erase": [stated(shape) for shape in (PARTIES, prose(4096))],
    "participant.register": [prose(4096)],
    "participant.update": [prose(4096)],
    "mandate.issue": [some(struct(("year", u16), ("recipient", digest), ("ciphertext", data(256))), 16)],
    "finding.record": [POINTER, prose(4096)],
    "dispute.open": [POINTER, prose(4096)],
    "dispute.answer": [prose(4096)],
    "dispute.resolve": [prose(4096)],
}


def is_sealed_value(kind, field, value):
    shapes = SEALED_VALUES.get(kind, [])
    if not 1 <= field <= len(shapes):
        return False
    try:
        whole(shapes[field - 1], value)
        return True
    except Refused:
        return False


# -------------------------------------------------------------------------------------------------
# verification.md


class Failure(Exception):
    """Not verified; 1 is evidence, 2 is too little known."""

    def __init__(self, word, code=1):
        super().__init__(word)
        self.word = word
        self.code = code


def check(holds, word, code=1):
    if not holds:
        raise Failure(word, code)


def read_file(raw):
    """The type and value of a file."""
    try:
        reader = Reader(raw)
        if reader.expect(4) > 64:
            raise Refused("out-of-bounds")
        name = ascii_text(64)(reader)
    except Refused:
        raise Failure("unknown-file", 2) from None
    check(name in FILES, "unknown-file", 2)
    try:
        return name, whole(FILES[name], raw)
    except Refused:
        raise Failure("malformed-file") from None


class Anchor:
    """What is believed."""

    def __init__(self, chain, height, block, validators, time, witnesses, threshold):
        self.chain, self.height, self.block_id, self.validators = chain, height, block, validators
        self.time, self.witnesses, self.threshold = time, witnesses, threshold

    def encoded(self):
        return encode(["custos.anchor.v1", self.chain, self.height, self.block_id, self.validators, self.time,
                       self.witnesses, self.threshold])


def read_anchor(raw):
    name, file = read_file(raw)
    if name == "custos.anchor.v1":
        return Anchor(file.chain, file.height, file.block_id, file.validators, file.time, file.witnesses, file.threshold)
    check(name == "custos.genesis.v1", "not-an-anchor", 2)
    return genesis_anchor(file)


def genesis_anchor(file):
    def must(holds):
        check(holds, "bad-genesis", 2)

    roles = {p.id: p.roles for p in file.participants}
    must(file.protocol == 1)
    must(len(roles) == len(file.participants))
    must(roles.get(file.registrar, 0) >> 7 & 1)
    must(len({k.key for k in file.keys}) == len(file.keys))
    for key in file.keys:
        must(key.owner in roles and is_registrable(key.key))
        preimage = possession_preimage(bytes(32), key.owner, key.purpose, key.key)
        must(check_signature(key.key, preimage, key.possession)[0])
    members = []
    for validator in file.validators:
        must(roles.get(validator.participant, 0) >> 6 & 1)
        keys = [k.key for k in file.keys if k.owner == validator.participant and k.purpose == 2]
        must(len(keys) == 1)
        members.append([validator.participant, keys[0], validator.power])
    members.sort(key=lambda member: member[1])
    try:
        validators = whole(validator_set, encode(members))
    except Refused:
        raise Failure("bad-genesis", 2) from None
    chain = tagged("genesis", file.raw)
    return Anchor(chain, 0, chain, validators, file.time, [], 0)


def check_certificate(certificate, chain, validators):
    members, signatures = validators.members, certificate.signatures
    check(all(a.signer < b.signer for a, b in zip(signatures, signatures[1:])), "signers-not-ascending")
    power = 0
    for commit in signatures:
        check(commit.signer < len(members), "unknown-signer")
        member = members[commit.signer]
        preimage = vote_preimage(chain, certificate.height, certificate.round, 2, certificate.block_id, member.key)
        check(check_signature(member.key, preimage, commit.signature)[0], "bad-precommit")
        power += member.power
    check(3 * power > 2 * sum(member.power for member in members), "no-quorum")


def walk(anchor, links, header):
    validators, height, time = anchor.validators, anchor.height, anchor.time
    for link in links:
        if not anchor.height < link.header.height < header.height:
            continue
        check(link.header.version == 1, "unknown-protocol", 2)
        check(link.header.chain == anchor.chain and link.header.height > height and link.header.time > time, "bad-link")
        check(link.header.validators_hash == tagged("validators", validators.raw), "unlinked", 2)
        check(link.certificate.height == link.header.height and link.certificate.block_id == block_id(link.header)
              and tagged("validators", link.next.raw) == link.header.next_validators_hash, "bad-link")
        check_certificate(link.certificate, anchor.chain, validators)
        validators, height, time = link.next, link.header.height, link.header.time

    def compare(a, b):
        return (a > b) - (a < b)

    check(compare(header.height, height) == compare(header.time, time), "header-time")
    return validators


def count_witnesses(witnessed, header, names):
    try:
        after = whole(record, witnessed.next)
    except Refused:
        raise Failure("witnesses") from None
    check(after.kind == 0 and after.index == header.log_size and after.height == header.height + 1
          and after.entry == block_id(header), "witnesses")
    check(included(leaf_hash(witnessed.next), header.log_size, witnessed.size, witnessed.path, witnessed.root), "witnesses")
    keys = [c.key for c in witnessed.cosignatures]
    check(all(a < b for a, b in zip(keys, keys[1:])), "witnesses")
    text = checkpoint(header.chain, witnessed.size, witnessed.root)
    for c in witnessed.cosignatures:
        check(check_signature(c.key, cosignature_preimage(text, c.time), c.signature)[0], "witnesses")
    return sum(key in names for key in keys)


TRUST_PERIOD = 7776000000


class Basis:
    """What a file is judged by."""

    def __init__(self, anchor, links=(), not_older_than=None, trust_period=TRUST_PERIOD):
        self.anchor, self.links, self.not_older_than, self.trust_period = anchor, links, not_older_than, trust_period


def check_header(basis, header, certificate, witnessed, links=None):
    """How the header came to be believed."""
    anchor = basis.anchor
    check(header.chain == anchor.chain, "other-chain", 2)
    check(header.version == 1, "unknown-protocol", 2)
    check(header.height != anchor.height or block_id(header) == anchor.block_id, "fork")
    validators = walk(anchor, basis.links if links is None else links, header)
    check(header.validators_hash == tagged("validators", validators.raw), "unlinked", 2)
    check(certificate.height == header.height and certificate.block_id == block_id(header), "certificate-of-another")
    check_certificate(certificate, anchor.chain, validators)
    check(basis.not_older_than is None or header.time >= basis.not_older_than, "too-old", 2)
    count = 0 if witnessed is None else count_witnesses(witnessed, header, anchor.witnesses)
    if header.time <= anchor.time + basis.trust_period:
        return "trust-period"
    check(anchor.threshold > 0 and count >= anchor.threshold, "retired-keys", 2)
    return f"witnesses {count}"


def check_record(raw, header):
    try:
        found = whole(record, raw)
    except Refused:
        raise Failure("malformed-record") from None
    same_block = found.height == header.height and found.time == header.time
    earlier = found.height < header.height and found.time < header.time
    check(found.index < header.log_size and (same_block or earlier), "record-time")
    return found


def check_key(proven, header):
    key = state_key("key", key_id(proven.entry.key))
    check(in_map(header.state_root, key, proven.entry.raw, proven.proof), "key-proof")


def read_envelope(raw):
    try:
        return Envelope(raw)
    except Refused:
        raise Failure("malformed-envelope") from None


def check_author(envelope, entry, header):
    """Whether the signature is strict as well."""
    check(envelope.payload.chain == header.chain, "author-signature")
    check(entry.purpose == 1 and envelope.payload.author == entry.owner, "key-not-valid")
    valid, strict = envelope.signed_by(entry.key)
    check(valid, "author-signature")
    return strict


def check_item(raw, way, found, envelope, entry, strict):
    check(found.kind == 1 and found.entry.item == leaf_hash(raw), "other-item")
    payload = envelope.payload
    check(found.entry.submission == envelope.submission_id and found.entry.author == payload.author, "other-submission")
    check(included(leaf_hash(raw), found.entry.position, payload.items_count, way, payload.items_root), "not-signed")
    try:
        said = whole(item, raw)
    except Refused:
        raise Failure("malformed-item") from None
    check(KINDS[said.kind][0] == payload.klass, "other-class")
    check(found.time <= payload.not_after and entry.valid_from <= found.index
          and (entry.revoked is None or found.index < entry.revoked) and found.time <= entry.not_after, "key-not-valid")
    return {"item": said, "record": found, "not_after": payload.not_after, "strict": strict, "key": entry, "shown": {}}


def show(chain, items, openings):
    """Enters what the openings show into the items."""
    for opening in openings:
        named = [i for i in items if i["item"].item_id == opening.item_id and seal_of(i["item"]) is not None]
        if not named:
            continue
        fitting = [i for i in named
                   if opens(chain, i["item"].kind, opening.item_id, seal_of(i["item"]).root, opening)]
        check(fitting, "opening")
        fitting[0]["shown"][opening.field] = opening.value


def seal_of(said):
    return getattr(said.fields, "seal", None)


def verify_receipt(file, basis, openings):
    header = file.header
    trust = check_header(basis, header, file.certificate, file.witnessed)
    found = check_record(file.record, header)
    check(included(leaf_hash(file.record), found.index, header.log_size, file.record_path, header.log_root), "not-in-log")
    envelope = read_envelope(file.envelope)
    check_key(file.author_key, header)
    strict = check_author(envelope, file.author_key.entry, header)
    proven = check_item(file.item, file.item_path, found, envelope, file.author_key.entry, strict)
    show(basis.anchor.chain, [proven], openings)
    return {"type": "receipt", **header_view(file, trust), "item": item_view(proven)}


def verify_trail(file, basis, openings):
    header, name = file.header, file.name
    trust = check_header(basis, header, file.certificate, file.witnessed)
    key = tagged("trail", name.raw)
    value = None if file.head is None else file.head.raw
    check(in_map(header.state_root, state_key("trail", key), value, file.head_proof), "trail-head")
    leaves = [leaf_hash(entry.record) for entry in file.entries]
    if file.head is None:
        check(file.begin == 0 and not leaves and not file.range_path, "contradiction")
    else:
        check(in_range(file.begin, leaves, file.head.size, file.range_path, file.head.root), "trail-root")
    for proven in file.keys:
        check_key(proven, header)
    envelopes = []
    for raw in file.envelopes:
        envelope = read_envelope(raw)
        entry = next((p.entry for p in file.keys if key_id(p.entry.key) == envelope.key_id), None)
        check(entry is not None, "key-missing")
        envelopes.append((envelope, entry, check_author(envelope, entry, header)))
    entries, before = [], None
    for position, entry in enumerate(file.entries, file.begin):
        found = check_record(entry.record, header)
        listed = found.kind != 0 and any(
            listing.trail == key and listing.position == position for listing in found.entry.trails)
        check(listed and (before is None or found.index > before), "not-listed")
        before = found.index
        content = None
        if entry.tag == 0:
            check(entry.envelope < len(envelopes), "contradiction")
            content = check_item(entry.item, entry.item_path, found, *envelopes[entry.envelope])
        entries.append((position, found, entry, content))
    show(basis.anchor.chain, [content for _, _, _, content in entries if content], openings)
    return {"type": "trail", **header_view(file, trust), **trail_view(file, key, entries)}


def verify_file(raw, basis, openings=(), within=False):
    name, file = read_file(raw)
    if name == "custos.receipt.v1":
        return verify_receipt(file, basis, openings)
    if name == "custos.receipts.v1":
        return {"type": "receipts", "receipts": [verify_receipt(each, basis, openings) for each in file.receipts]}
    if name == "custos.trail.v1":
        return verify_trail(file, basis, openings)
    check(name == "custos.disclosure.v1" and not within, "nothing-to-verify", 2)
    return verify_file(file.proof, basis, list(file.openings) + list(openings), within=True)


def advance(anchor, raw, trust_period=TRUST_PERIOD):
    """The anchor moved forward."""
    name, file = read_file(raw)
    check(name == "custos.advance.v1", "nothing-to-verify", 2)
    header = file.header
    check(header.height >= anchor.height, "too-old", 2)
    check_header(Basis(anchor, trust_period=trust_period), header, file.certificate, file.witnessed, links=file.links)
    check(tagged("validators", file.next.raw) == header.next_validators_hash, "bad-link")
    return Anchor(anchor.chain, header.height, block_id(header), file.next, header.time, anchor.witnesses, anchor.threshold)


# What is shown, as vectors/verify.json has it.


def header_view(file, trust):
    header = file.header
    return {"height": header.height, "time": header.time, "block_id": block_id(header).hex(),
            "signers": [commit.signer for commit in file.certificate.signatures], "trust": trust}


def item_view(proven):
    said, found = proven["item"], proven["record"]
    verdict, who = found.entry.verdict, found.entry.author
    names = SEALED.get(said.kind, []) if seal_of(said) is not None else []
    sealed = []
    for number, name in enumerate(names, 1):
        field = {"field": number, "name": name}
        if number in proven["shown"]:
            field["value"] = proven["shown"][number].hex()
        sealed.append(field)
    return {"hash": leaf_hash(said.raw).hex(), "kind": said.kind, "author": who if isinstance(who, str) else who.hex(),
            "index": found.index, "height": found.height, "recorded": found.time, "checks": verdict.checks,
            "finding": verdict.finding, "codes": verdict.codes, "not_after": proven["not_after"],
            "strict": proven["strict"], "key_compromised": is_compromised(proven), "sealed": sealed}


def is_compromised(proven):
    since = proven["key"].compromised_from
    return since is not None and since <= proven["record"].time


def trail_view(file, key, entries):
    views = []
    for position, found, entry, content in entries:
        view = {"position": position, "index": found.index, "recorded": found.time}
        if entry.tag == 0:
            view["item"] = item_view(content)
        elif entry.tag == 1:
            view["withheld"] = entry.warrant.hex()
        else:
            view["pruned"] = True
        views.append(view)
    size, times = file.head.size if file.head else 0, [found.time for _, found, _, _ in entries]
    covers = [[a, b] for a in times for b in times if a <= b and covered(file, size, times, a, b)]
    return {"trail": key.hex(), "size": size, "begin": file.begin,
            "complete": file.begin == 0 and len(entries) == size,
            "withheld": sum(entry.tag == 1 for _, _, entry, _ in entries),
            "pruned": sum(entry.tag == 2 for _, _, entry, _ in entries), "covers": covers, "entries": views}


def covered(file, size, times, since, until):
    back = file.begin == 0 or (times and times[0] < since)
    on = file.begin + len(times) == size or (times and times[-1] > until)
    return bool(back and on and until <= file.header.time)


# -------------------------------------------------------------------------------------------------
# For people.

FINDINGS = ("nothing checkable contradicts it", "contradicted by clear facts", "not evaluated")


def when(ms):
    moment_ = datetime.datetime(1970, 1, 1) + datetime.timedelta(milliseconds=ms)
    return moment_.isoformat(timespec="milliseconds") + "Z"


def say(shown):
    if shown["type"] == "receipts":
        for each in shown["receipts"]:
            say(each)
        return
    print(f"block {shown['height']} of {when(shown['time'])}, precommitted by validators {shown['signers']} "
          f"(believed by {shown['trust']})")
    if shown["type"] == "receipt":
        say_item(shown["item"])
        return
    extent = "complete" if shown["complete"] else f"from {shown['begin']}"
    print(f"trail {shown['trail']}: {shown['size']} entries, {len(shown['entries'])} here ({extent}), "
          f"{shown['withheld']} withheld, {shown['pruned']} pruned")
    for entry in shown["entries"]:
        print(f"{entry['position']:4}  ", end="")
        if "item" in entry:
            say_item(entry["item"])
        elif "withheld" in entry:
            print(f"recorded {when(entry['recorded'])}: withheld, on the order of {entry['withheld']} (not proven)")
        else:
            print(f"recorded {when(entry['recorded'])}: the item was pruned")


def say_item(view):
    print(f"{view['author']} states {view['kind']} {view['hash']}, recorded {when(view['recorded'])} at {view['index']}; "
          f"{FINDINGS[view['finding']]}{' (codes ' + str(view['codes']) + ')' if view['codes'] else ''}")
    if view["key_compromised"]:
        print("        the author's key may have been known to others by then")
    for field in view["sealed"]:
        if "value" not in field:
            print(f"        {field['name']}: sealed, not shown")
            continue
        known = is_sealed_value(view["kind"], field["field"], bytes.fromhex(field["value"]))
        print(f"        {field['name']}: {field['value']}{'' if known else ' (not understood)'}")


# -------------------------------------------------------------------------------------------------
# The vectors.


class Tally:
    """Counts what agrees, and says what does not."""

    def __init__(self):
        self.good = self.bad = 0

    def same(self, found, expected, *where):
        if found == expected:
            self.good += 1
        else:
            self.bad += 1
            print("DIFFERS:", *where, f"\n  here     {str(found)[:400]}\n  expected {str(expected)[:400]}")


def unhex(value):
    if isinstance(value, list):
        return [unhex(each) for each in value]
    return bytes.fromhex(value)


def vectors(directory):
    def load(name):
        return json.loads((directory / name).read_text(encoding="utf-8"))

    tally = Tally()
    cbor_vectors(tally, load("cbor.json"))
    hashing_vectors(tally, load("hashing.json"))
    map_vectors(tally, load("state-map.json"))
    for case in load("ed25519.json")["signatures"]:
        key, message, sig = unhex(case["key"]), unhex(case["message"]), unhex(case["signature"])
        found = (*check_signature(key, message, sig), is_registrable(key))
        tally.same(found, (case["valid"], case["strict"], case["registrable"]), "ed25519", case["name"])
    seal_vectors(tally, load("seals.json"))
    value_vectors(tally, load("sealed-values.json"))
    item_vectors(tally, load("items.json"))
    pseudonym_vectors(tally, load("pseudonyms.json"))
    submission_vectors(tally, load("submissions.json"))
    chain_vectors(tally, load("chain.json"), load("state-map.json"))
    verify_vectors(tally, load("verify.json"))
    return tally


def cbor_vectors(tally, file):
    for case in file["values"]:
        reader, word = Reader(unhex(case["bytes"])), None
        try:
            reader.skip()
            reader.finish()
        except Refused as refused:
            word = refused.word
        tally.same(word, case.get("refused"), "cbor", case["name"])
    for case in file["participant_ids"]:
        try:
            whole(participant_id, encode(case["text"]))
            valid = True
        except Refused:
            valid = False
        tally.same(valid, case["valid"], "participant id", case["text"])


def hashing_vectors(tally, file):
    for case in file["tags"]:
        tally.same(case["tag"].encode() + b"\0", unhex(case["bytes"]), "tag", case["tag"])
        tally.same(tagged(case["tag"][len("custos/1/"):], b"abc"), unhex(case["of_abc"]), "tag", case["tag"])
    leaves = [leaf_hash(bytes([i])) for i in range(len(file["leaf_hashes"]))]
    tally.same(leaves, unhex(file["leaf_hashes"]), "leaf hashes")
    for case in file["roots"]:
        tally.same(tree_root(leaves[:case["size"]]), unhex(case["root"]), "root of", case["size"])
    for case in file["inclusion"]:
        found = included(unhex(case["leaf"]), case["index"], case["size"], unhex(case["path"]), unhex(case["root"]))
        tally.same(found, case["valid"], "inclusion", case["why"])
    for case in file["consistency"]:
        found = consistent(case["old_size"], unhex(case["old_root"]), case["new_size"], unhex(case["new_root"]),
                           unhex(case["path"]))
        tally.same(found, case["valid"], "consistency", case["why"])
    for case in file["ranges"]:
        found = in_range(case["begin"], unhex(case["leaves"]), case["size"], unhex(case["path"]), unhex(case["root"]))
        tally.same(found, case["valid"], "range", case["why"])
    running = bytes(32)
    for case in file["running"]:
        running = tagged("bucket", running, unhex(case["member"]))
        tally.same(running, unhex(case["hash"]), "running hash", case["count"])
    case = file["checkpoint"]
    text = checkpoint(unhex(case["chain"]), case["size"], unhex(case["root"]))
    tally.same(text, case["text"], "checkpoint")
    tally.same(cosignature_preimage(text, case["time"]).decode(), case["cosignature_preimage"], "cosignature")


def map_vectors(tally, file):
    entries = [(unhex(case["key"]), unhex(case["value"])) for case in file["example"]]
    for case in file["example_roots"]:
        tally.same(map_root(entries[:case["entries"]]), unhex(case["root"]), "map of", case["entries"])
    entries = [(unhex(case["key"]), unhex(case["value"])) for case in file["chain_entries"]]
    tally.same(map_root(entries), unhex(file["chain_root"]), "the chain's map")
    for case in file["proofs"]:
        value = unhex(case["value"]) if "value" in case else None
        found = in_map(unhex(case["root"]), unhex(case["key"]), value, whole(STATE_PROOF, unhex(case["proof"])))
        tally.same(found, case["valid"], "map proof", case["name"])


def seal_vectors(tally, file):
    for seal in file["seals"]:
        chain, kind, item_id, seed = unhex(seal["chain"]), seal["kind"], unhex(seal["item_id"]), unhex(seal["seed"])
        leaves = []
        for field in seal["fields"]:
            salt = mac(seed, encode(["custos/1/salt", field["field"]]))
            tally.same(salt, unhex(field["salt"]), "salt", seal["name"], field["field"])
            leaves.append(seal_leaf(chain, kind, field["field"], item_id, salt, unhex(field["value"])))
            tally.same(leaves[-1], unhex(field["leaf_hash"]), "seal leaf", seal["name"], field["field"])
            tally.same(SEALED[kind][field["field"] - 1], field["name"], "sealed field", kind)
            tally.same(is_sealed_value(kind, field["field"], unhex(field["value"])), True, "sealed value", seal["name"])
        tally.same(tree_root(leaves), unhex(seal["root"]), "seal", seal["name"])
        for case in seal["openings"]:
            found = opens(chain, kind, item_id, unhex(seal["root"]), whole(OPENING, unhex(case["opening"])))
            tally.same(found, case["valid"], "opening", seal["name"], case["why"])


def value_vectors(tally, file):
    for case in file["values"]:
        found = is_sealed_value(case["kind"], case["field"], unhex(case["value"]))
        tally.same(found, case["valid"], "sealed value", case["kind"], case["field"], case["value"])


def item_vectors(tally, file):
    tally.same(sorted(case["kind"] for case in file["items"]), sorted(KINDS), "items", "the kinds")
    for case in file["items"]:
        read, (klass, count, _) = whole(item, unhex(case["bytes"])), KINDS[case["kind"]]
        tally.same((read.kind, klass, count), (case["kind"], case["class"], len(case["sealed"])), "items", case["kind"])
        for sealed in case["sealed"]:
            known = is_sealed_value(case["kind"], sealed["field"], unhex(sealed["value"]))
            tally.same(known, True, "items", f"{case['kind']} field {sealed['field']}")


def pseudonym_vectors(tally, file):
    k, chain, custodian = unhex(file["k"]), unhex(file["chain"]), file["custodian"]
    tally.same(read_patient_code(file["patient_code"]), k, "patient code")
    for code in file["patient_codes_refused"]:
        tally.same(read_patient_code(code), None, "patient code", code)
    for year in file["years"]:
        secret = epoch_secret(k, year["epoch"])
        tally.same(secret, unhex(year["k_e"]), "epoch", year["epoch"])
        for trail in year["trails"]:
            local = local_id(secret, chain, custodian, trail.get("grantee"))
            preimage = mac(secret, b"read" + local)
            found = [local, preimage, sha256(preimage), trail_key(1, custodian, local)]
            expected = [unhex(trail[name]) for name in ("local_id", "reader_preimage", "reader", "trail_key")]
            tally.same(found, expected, "trail of", year["epoch"], trail.get("grantee"))
    for case in file["other_trails"]:
        name = whole(trail_name, unhex(case["name"]))
        tally.same(trail_key(name.kind, name.owner, name.local_id), unhex(case["key"]), "trail", case["name"])
    for case in file["subject_keys"]:
        trail = unhex(case["trail_key"])
        secret = subject_key_seed(unhex(file["s"]), trail)
        scalar = int.from_bytes(hashlib.sha512(secret).digest()[:32], "little") & ((1 << 254) - 8) | 1 << 254
        public = compress(times(scalar, BASE))
        found = [secret, public, possession_preimage(chain, trail, 1, public)]
        expected = [unhex(case[name]) for name in ("seed", "public_key", "possession_preimage")]
        tally.same(found, expected, "subject's key of", case["trail_key"])


def submission_vectors(tally, file):
    for case in file["good"]:
        envelope, items = read_submission(unhex(case["bytes"]))
        found = [envelope.protected_bytes, envelope.payload_bytes, envelope.sig_structure, envelope.submission_id,
                 envelope.key_id, envelope.signature, tree_root([leaf_hash(i) for i in items])]
        names = ("protected", "payload", "sig_structure", "submission_id", "key_id", "signature", "items_root")
        tally.same(found, [unhex(case[name]) for name in names], "submission", case["submission_id"])
        tally.same(len(items), len(case["items"]), "items of", case["submission_id"])
        for raw, expected in zip(items, case["items"]):
            tally.same([raw, leaf_hash(raw)], [unhex(expected["bytes"]), unhex(expected["hash"])], "item")
            tally.same(whole(item, raw).raw, raw, "item", expected["hash"])
    for case in file["malformed"]:
        try:
            envelope, _ = read_submission(unhex(case["bytes"]))
            word = None
            if "key" in case and not envelope.signed_by(unhex(case["key"]))[0]:
                word = "bad-signature"
        except Refused as refused:
            word = refusal_word(refused)
        tally.same(word, case["code"], "malformed submission", case["name"])
    for case in file["refused"]:
        # Well formed; that the rules refuse them takes the state to see.
        envelope, items = read_submission(unhex(case["bytes"]))
        tally.same(len(items), envelope.payload.items_count, "refused submission", case["name"])


BLOCK = struct(("header", HEADER), ("body", many(data(1 << 20), 8192)))


def chain_vectors(tally, file, state):
    genesis = whole(FILES["custos.genesis.v1"], unhex(file["genesis"]))
    anchor = genesis_anchor(genesis)
    tally.same(anchor.chain, unhex(file["chain"]), "chain id")
    tally.same(anchor.validators.raw, unhex(file["validators"]), "validators")
    tally.same(tagged("validators", anchor.validators.raw), unhex(file["validators_hash"]), "validators hash")
    for seed in file["seeds"]:
        tally.same(sha256(f"custos vectors: {seed['name']}".encode()), unhex(seed["seed"]), "seed", seed["name"])
    secret = next(unhex(seed["seed"]) for seed in file["seeds"] if seed["name"] == "hospital-a sign")
    scalar = int.from_bytes(hashlib.sha512(secret).digest()[:32], "little") & ((1 << 254) - 8) | 1 << 254
    tally.same(compress(times(scalar, BASE)), unhex(file["a_public_key"]), "public key")
    for case in file["items"]:
        said = whole(item, unhex(case["bytes"]))
        tally.same([said.kind, leaf_hash(said.raw)], [case["kind"], unhex(case["hash"])], "item", case["name"])
    log, parent, trails, nonces = [], anchor.chain, {}, {}
    for case in file["blocks"]:
        height = case["height"]
        block = whole(BLOCK, unhex(case["block"]))
        header = block.header
        tally.same([header.raw, block_id(header)], [unhex(case["header"]), unhex(case["block_id"])], "block", height)
        tally.same([header.height, header.parent], [height, parent], "parent of", height)
        parent = block_id(header)
        submissions = [read_submission(raw) for raw in block.body]
        ids = [envelope.submission_id for envelope, _ in submissions]
        tally.same(ids, unhex(case["submission_ids"]), "submission ids of", height)
        root = tree_root([leaf_hash(encode([3, each])) for each in ids])
        tally.same([root, root], [header.body_root, unhex(case["body_root"])], "body of", height)
        for position, each in enumerate(case["records"]):
            found = whole(record, unhex(each["bytes"]))
            log.append(leaf_hash(found.raw))
            tally.same(log[-1], unhex(each["leaf_hash"]), "record", found.index)
            tally.same([found.index, found.height, found.time], [len(log) - 1, height, header.time], "record", found.index)
            tally.same(found.kind == 0, position == 0, "the first record of block", height)
            if found.kind == 0:
                tally.same(found.entry, header.parent, "block record", height)
                continue
            for listing in found.entry.trails:
                leaves = trails.setdefault(listing.trail, [])
                tally.same(listing.position, len(leaves), "listing of", found.index)
                leaves.append(log[-1])
        found = [len(log), tree_root(log), len(log), tree_root(log)]
        tally.same(found, [header.log_size, header.log_root, case["log_size"], unhex(case["log_root"])], "log at", height)
        for envelope, _ in submissions:
            at = (envelope.payload.author, envelope.payload.not_after // 600000)
            count, running = nonces.get(at, (0, bytes(32)))
            nonces[at] = (count + 1, tagged("bucket", running, envelope.payload.nonce))
        certificate = whole(CERTIFICATE, unhex(case["certificate"]))
        tally.same(len(certificate.signatures), len(case["votes"]), "votes", height)
        for vote, commit in zip(case["votes"], certificate.signatures):
            key = anchor.validators.members[commit.signer].key
            preimage = vote_preimage(anchor.chain, height, certificate.round, 2, parent, key)
            tally.same([preimage, commit.signature], [unhex(vote["preimage"]), unhex(vote["signature"])], "vote", height)
        try:
            check_certificate(certificate, anchor.chain, anchor.validators)
            tally.same(True, True)
        except Failure as failure:
            tally.same(failure.word, None, "certificate", height)
    tally.same(header.state_root, unhex(state["chain_root"]), "state root")
    entries = {unhex(each["key"]): unhex(each["value"]) for each in state["chain_entries"]}
    for trail, leaves in trails.items():
        tally.same(entries.get(state_key("trail", trail)), encode([len(leaves), tree_root(leaves)]), "trail head", trail.hex())
    for (who, bucket), (count, running) in nonces.items():
        tally.same(entries.get(state_key("nonce", who, bucket)), encode([count, running]), "nonces of", who, bucket)


def verify_vectors(tally, file):
    anchors = {name: unhex(raw) for name, raw in file["anchors"].items()}
    for case in file["cases"]:
        links = read_file(unhex(case["links"]))[1].links if "links" in case else ()
        openings = read_file(unhex(case["openings"]))[1].openings if "openings" in case else ()
        basis = Basis(read_anchor(anchors[case["anchor"]]), links, case.get("not_older_than"))
        try:
            shown = verify_file(unhex(case["file"]), basis, openings)
            found = {"exit": 0, "answer": "verified", "shows": shown}
        except Failure as failure:
            found = {"exit": failure.code, "answer": failure.word}
        expected = {name: case[name] for name in ("exit", "answer", "shows") if name in case}
        tally.same(found, expected, "file", case["name"])
    for case in file["advances"]:
        try:
            moved = advance(read_anchor(anchors[case["anchor"]]), unhex(case["advance"])).encoded()
            found = {"exit": 0, "answer": "advanced", "becomes": moved.hex()}
        except Failure as failure:
            found = {"exit": failure.code, "answer": failure.word}
        expected = {name: case[name] for name in ("exit", "answer", "becomes") if name in case}
        tally.same(found, expected, "advance", case["name"])


# -------------------------------------------------------------------------------------------------


def main():
    parser = argparse.ArgumentParser(description="Verifies Custos files. Exit code 0: verified, 1: evidence, 2: could not tell.")
    parser.add_argument("file", nargs="?", type=pathlib.Path, help="a receipt, trail proof or disclosure")
    parser.add_argument("--anchor", type=pathlib.Path, help="an anchor, or the genesis")
    parser.add_argument("--links", type=pathlib.Path)
    parser.add_argument("--openings", type=pathlib.Path)
    parser.add_argument("--not-older-than", type=int, metavar="MS")
    parser.add_argument("--vectors", type=pathlib.Path, metavar="DIR", help="check all vectors instead")
    parser.add_argument("--files", type=pathlib.Path, metavar="JSON", help="check the answers in a file like verify.json instead")
    options = parser.parse_args()
    load_code_systems()
    if options.vectors or options.files:
        tally = Tally()
        if options.vectors:
            tally = vectors(options.vectors)
        if options.files:
            file = json.loads(options.files.read_text(encoding="utf-8"))
            verify_vectors(tally, file)
            value_vectors(tally, file)
        print(f"{tally.good} passed, {tally.bad} failed")
        return 1 if tally.bad else 0
    if not options.file or not options.anchor:
        parser.error("give a file and --anchor, or --vectors")
    try:
        anchor = read_anchor(options.anchor.read_bytes())
        links = read_beside(options.links, ("custos.links.v1", "custos.advance.v1"), "links")
        openings = read_beside(options.openings, ("custos.openings.v1", "custos.disclosure.v1"), "openings")
        say(verify_file(options.file.read_bytes(), Basis(anchor, links, options.not_older_than), openings))
        print("verified")
        return 0
    except OSError as error:
        print(f"could not tell: {error}", file=sys.stderr)
        return 2
    except Failure as failure:
        print(f"{'NOT VERIFIED' if failure.code == 1 else 'could not tell'}: {failure.word}", file=sys.stderr)
        return failure.code


def read_beside(where, types, name):
    if where is None:
        return ()
    kind, file = read_file(where.read_bytes())
    check(kind in types, f"not-a-file-of-{name}", 2)
    return getattr(file, name)


if __name__ == "__main__":
    sys.exit(main())
