"""Holds every vector to custos.cddl: make cddl

Needs the package cddl-verifier from PyPI (cddl-requirements.txt), which make installs. Good values must fit their
rule, deterministically encoded. Refused ones are not looked at: CDDL says less than the pages do.
"""

import json
import pathlib
import sys

from cddl_verifier import Validator

HERE = pathlib.Path(__file__).parent
TEXT = (HERE / "custos.cddl").read_text()
VALIDATOR = Validator(TEXT)


def load(name):
    return json.loads((HERE / "vectors" / name).read_text())


def values():
    """Every good value with the name of its rule."""
    chain, submissions = load("chain.json"), load("submissions.json")
    yield "genesis", chain["genesis"]
    yield "validator-set", chain["validators"]
    for item in load("items.json")["items"]:
        yield "item", item["bytes"]
        yield item["kind"].replace(".", "-"), item["bytes"]
        for sealed in item["sealed"]:
            yield f"field-{item['kind'].replace('.', '-')}-{sealed['field']}", sealed["value"]
    for item in chain["items"]:
        yield "item", item["bytes"]
        yield item["kind"].replace(".", "-"), item["bytes"]
    for block in chain["blocks"]:
        yield "block", block["block"]
        yield "header", block["header"]
        yield "certificate", block["certificate"]
        for vote in block["votes"]:
            tag = b"custos/1/vote\0".hex()
            assert vote["preimage"].startswith(tag)
            yield "vote-preimage", vote["preimage"][len(tag):]
        for record in block["records"]:
            yield "record", record["bytes"]
    for good in submissions["good"]:
        yield "submission", good["bytes"]
        yield "envelope", good["envelope"]
        yield "protected-header", good["protected"]
        yield "payload", good["payload"]
        yield "sig-structure", good["sig_structure"]
    for entry in load("state-map.json")["chain_entries"]:
        yield "state-value", entry["value"]
    for proof in load("state-map.json")["proofs"]:
        yield "state-proof", proof["proof"]
    for sealed in load("seals.json")["seals"]:
        for opening in sealed["openings"]:
            yield "opening", opening["opening"]
        for field in sealed["fields"]:
            yield f"field-{sealed['kind'].replace('.', '-')}-{field['field']}", field["value"]
    for value in load("sealed-values.json")["values"]:
        if value["valid"]:
            yield f"field-{value['kind'].replace('.', '-')}-{value['field']}", value["value"]
    verify = load("verify.json")
    for anchor in verify["anchors"].values():
        yield "file", anchor
    for case in verify["cases"]:
        if case["exit"] == 0:
            yield "file", case["file"]
        for part in ("links", "openings"):
            if part in case:
                yield part, case[part]
    for advance in verify["advances"]:
        yield "advance", advance["advance"]


def main():
    checked, refused = 0, 0
    for rule, text in values():
        result = VALIDATOR.validate(bytes.fromhex(text), root_type=rule, require_deterministic=True)
        checked += 1
        if not result.valid:
            refused += 1
            print(f"{rule} {text[:80]}...: {'; '.join(str(d) for d in result.diagnostics[:3])}")
    print(f"{checked - refused} passed, {refused} failed")
    return 1 if refused else 0


if __name__ == "__main__":
    sys.exit(main())
