"""Holds what Custos exports against FHIR's base definitions, with a validator that Custos did not write.

Usage: fhir_validate.py DIR. Every r4-*.json is validated with the R4B models of `fhir.resources` (the
package has none for 4.0.1; AuditEvent, Consent, Bundle, OperationOutcome and CapabilityStatement are
the same in both, but for bindings), every r5-*.json, which are the tests' own inputs, with the R5 models.
Exit code 0 when all are valid, 1 when one is not, 2 when there is nothing to validate.
"""

import copy
import json
import pathlib
import sys

from fhir.resources import get_fhir_model_class as r5_class
from fhir.resources.R4B import get_fhir_model_class as r4_class


def problems(resource, model_class):
    """What is wrong with a resource, and with the resources inside it."""
    try:
        model_class(resource["resourceType"]).model_validate(resource)
    except Exception as error:  # The package raises several kinds; all mean "not valid".
        return [str(error)]
    found = []
    for entry in resource.get("entry", []):
        for inner in (entry.get("resource"), entry.get("response", {}).get("outcome")):
            if inner is not None:
                found += problems(inner, model_class)
    return found


def can_refuse(resource, model_class):
    """Whether the validator tells a spoiled resource from a good one."""
    without, strange = copy.deepcopy(resource), copy.deepcopy(resource)
    del without["agent"]
    strange["nonsense"] = True
    return all(problems(spoiled, model_class) for spoiled in (without, strange))


def main():
    files = sorted(pathlib.Path(sys.argv[1]).glob("r[45]-*.json"))
    counts, bad, judged = {}, 0, False
    for file in files:
        model_class = r4_class if file.name.startswith("r4-") else r5_class
        resource = json.loads(file.read_text())
        found = problems(resource, model_class)
        for problem in found:
            print(f"{file.name}: {problem}", file=sys.stderr)
        bad += bool(found)
        kind = f"{file.name[:2].upper()} {resource['resourceType']}"
        counts[kind] = counts.get(kind, 0) + 1
        if resource["resourceType"] == "AuditEvent" and not judged:
            judged = True
            if not can_refuse(resource, model_class):
                print("the validator takes what is spoiled: it proves nothing", file=sys.stderr)
                return 1
    if not files or not judged:
        print("nothing to validate", file=sys.stderr)
        return 2
    print(", ".join(f"{count} {kind}" for kind, count in sorted(counts.items())) + f": {bad} not valid")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
