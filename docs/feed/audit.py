"""Makes an ASGI FHIR server send an IHE BALP AuditEvent for each read of a patient's record.

A server that has no audit trail of its own, here fhirsnake, is wrapped and not changed:

    FEED=http://127.0.0.1:7780/fhir BASE=https://fhir.hospital.example/fhir \
        uvicorn --app-dir docs/feed audit:app --port 8080

The event is sent before the record is, and the record only if the feed has the event on disk: what was
not recorded was not read. A server in care may want it the other way round, with a queue of its own.
Who reads is taken from the header X-User, which a login in front of the server sets.
"""

import json
import os
import sys
import urllib.request
from datetime import datetime, timezone

FEED = os.environ.get("FEED", "http://127.0.0.1:7780/fhir")
BASE = os.environ.get("BASE", "https://fhir.hospital.example/fhir")
DICOM = "http://dicom.nema.org/resources/ontology/DCM"
CODES = "http://terminology.hl7.org/CodeSystem/"


def audit_event(user, resource_type, resource_id):
    """BALP's PatientRead: a source, a destination who asked, the data, and the patient."""
    reference = f"{resource_type}/{resource_id}"
    entities = [{"what": {"reference": reference}, "type": {"system": CODES + "audit-entity-type", "code": "2"},
                 "role": {"system": CODES + "object-role", "code": "4"}}]
    if resource_type == "Patient":
        entities.append({"what": {"reference": reference},
                         "type": {"system": CODES + "audit-entity-type", "code": "1"},
                         "role": {"system": CODES + "object-role", "code": "1"}})
    return {
        "resourceType": "AuditEvent",
        "meta": {"profile": ["https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit.PatientRead"]},
        "type": {"system": CODES + "audit-event-type", "code": "rest"},
        "subtype": [{"system": "http://hl7.org/fhir/restful-interaction", "code": "read"}],
        "action": "R",
        "recorded": datetime.now(timezone.utc).isoformat(timespec="milliseconds"),
        "outcome": "0",
        "agent": [
            {"type": {"coding": [{"system": DICOM, "code": "110153"}]}, "requestor": False,
             "who": {"display": "fhirsnake"}},
            {"type": {"coding": [{"system": DICOM, "code": "110152"}]}, "requestor": True,
             "who": {"identifier": {"value": user}}, "name": user},
        ],
        "source": {"observer": {"display": "fhirsnake"}},
        "entity": entities,
    }


def send(event):
    """Returns when the feed has it on disk; raises otherwise."""
    request = urllib.request.Request(FEED + "/AuditEvent", json.dumps(event).encode(),
                                     {"Content-Type": "application/fhir+json"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.status in (200, 201), answer.status


def audited(app):
    async def wrapped(scope, receive, send_answer):
        parts = scope.get("path", "").strip("/").split("/")
        if scope["type"] == "http" and scope["method"] == "GET" and len(parts) == 2:
            headers = dict(scope["headers"])
            user = headers.get(b"x-user", b"unknown").decode("ascii", "replace")
            try:
                send(audit_event(user, *parts))
            except OSError as error:
                print(f"the feed did not take the event: {error}", file=sys.stderr)
                await send_answer({"type": "http.response.start", "status": 503, "headers": []})
                await send_answer({"type": "http.response.body", "body": b""})
                return
        await app(scope, receive, send_answer)
    return wrapped


def fhirsnake():
    import fhirsnake as package
    sys.path.insert(0, os.path.dirname(package.__file__))
    from main import app as server
    return server


app = audited(fhirsnake())
