//! The custodian's FHIR endpoint on a real validator: what is posted is sealed, recorded and read again.
//!
//! With `CUSTOS_FHIR_OUT` set, every answer is written there for a validator that we did not write.

#![allow(clippy::unwrap_used)]

mod world;

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use custos_api::signature;
use custos_node::chain::clock;
use custos_node::config::{Config, Peer};
use custos_node::custodian::config::CustodianSection;
use custos_node::node::Node;
use custos_proof::keys::{KeyPurpose, Signer as _};
use serde_json::{Value, json};
use world::{World, configure, genesis, key, random16, run};

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// An answer, as it came over the wire.
#[derive(Debug)]
struct Raw {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Raw {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// The refusal's own code and the element, if it names one.
    fn refusal(&self) -> (u16, String, String) {
        let outcome = self.json();
        assert_eq!(outcome["resourceType"], "OperationOutcome", "{self:?}");
        let issue = &outcome["issue"][0];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        (self.status, text(&issue["details"]["coding"][0]["code"]), text(&issue["expression"][0]))
    }
}

fn send(address: SocketAddr, method: &str, target: &str, headers: &str, body: &[u8]) -> Raw {
    let mut request = format!(
        "{method} {target} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n",
        body.len()
    )
    .into_bytes();
    request.extend_from_slice(body);
    raw(address, &request)
}

/// Sends bytes and reads until the node closes the connection.
fn raw(address: SocketAddr, request: &[u8]) -> Raw {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(90))).unwrap();
    // A node that refuses early may close while we still write.
    let _ = stream.write_all(request);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let split = answer.windows(4).position(|w| w == b"\r\n\r\n").unwrap_or(answer.len());
    let head = String::from_utf8_lossy(&answer[..split]).into_owned();
    let status = head.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or(0);
    let answer = Raw { status, head, body: answer.get(split + 4..).unwrap_or_default().to_vec() };
    hand_over(&answer);
    answer
}

/// Hands an answer to the foreign validator, if there is one.
fn hand_over(answer: &Raw) {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let Some(folder) = std::env::var_os("CUSTOS_FHIR_OUT") else { return };
    if answer.header("content-type").is_some_and(|kind| kind.starts_with("application/fhir+json")) {
        let name = format!("r4-answer-{}.json", NUMBER.fetch_add(1, Ordering::Relaxed));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(PathBuf::from(folder).join(name), &answer.body).unwrap();
    }
}

fn with_token(headers: &str) -> String {
    format!("Authorization: Bearer {TOKEN}\r\n{headers}")
}

fn post(address: SocketAddr, target: &str, resource: &Value) -> Raw {
    let headers = with_token("Content-Type: application/fhir+json\r\n");
    send(address, "POST", target, &headers, resource.to_string().as_bytes())
}

fn fetch(address: SocketAddr, target: &str) -> Raw {
    send(address, "GET", target, &with_token(""), b"")
}

/// The path of an address that an answer gave.
fn path(address: &str) -> &str {
    address.find("/fhir").map(|at| &address[at..]).unwrap()
}

fn add_custodian(config: &mut Config) {
    let dir = config.keys.transport.parent().unwrap().to_owned();
    key(config.participant.as_deref().unwrap(), KeyPurpose::Sign).write(&dir.join("custodian.key")).unwrap();
    let token = dir.join("token");
    std::fs::write(&token, format!("{TOKEN}\n")).unwrap();
    std::fs::set_permissions(&token, std::fs::Permissions::from_mode(0o600)).unwrap();
    config.custodian = Some(CustodianSection {
        listen: "127.0.0.1:0".into(),
        token_file: Some(token),
        source: Some("https://fhir.hospital.example".into()),
        ..CustodianSection::new("vault".into(), "vault.key".into(), "custodian.key".into())
    });
}

async fn world() -> (World, SocketAddr) {
    let world = World::start_with(add_custodian).await;
    let address = world.node.as_ref().unwrap().fhir_address().unwrap();
    (world, address)
}

fn samples(folder: &str) -> Vec<Value> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../testnet/data/ihe").join(folder);
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()).collect()
}

fn bundle(kind: &str, resources: &[Value]) -> Value {
    let entry = |resource: &Value| json!({ "resource": resource, "request": { "method": "POST", "url": resource["resourceType"] } });
    json!({ "resourceType": "Bundle", "type": kind, "entry": resources.iter().map(entry).collect::<Vec<_>>() })
}

fn audit_event(id: &str, patient: &str, recorded: &str) -> Value {
    json!({
        "resourceType": "AuditEvent", "id": id,
        "type": {"system": "http://terminology.hl7.org/CodeSystem/audit-event-type", "code": "rest"},
        "subtype": [{"system": "http://hl7.org/fhir/restful-interaction", "code": "read"}],
        "action": "R", "recorded": recorded, "outcome": "0",
        "purposeOfEvent": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": "TREAT"}]}],
        "agent": [{"requestor": true, "who": {"reference": "Practitioner/9", "identifier": {"system": "urn:staff", "value": "x9"}}}],
        "source": {"observer": {"display": "server"}},
        "entity": [
            {"what": {"reference": format!("Patient/{patient}")}, "role": {"system": "http://terminology.hl7.org/CodeSystem/object-role", "code": "1"}},
            {"what": {"reference": format!("Observation/of-{patient}")}}
        ]
    })
}

fn consent(id: &str, patient: &str) -> Value {
    json!({
        "resourceType": "Consent", "id": id, "status": "active",
        "scope": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]},
        "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
        "patient": {"reference": format!("Patient/{patient}")}, "dateTime": "2026-01-02",
        "policy": [{"uri": "https://policy.example"}],
        "provision": {"type": "permit", "purpose": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": "TREAT"}]}
    })
}

/// Every leaf with its path, bookkeeping left out.
fn leaves(json: &Value, at: String, out: &mut BTreeSet<(String, String)>) {
    match json {
        Value::Array(values) => {
            values.iter().enumerate().for_each(|(n, value)| leaves(value, format!("{at}[{n}]"), out));
        }
        Value::Object(members) => {
            members.iter().for_each(|(name, value)| leaves(value, format!("{at}.{name}"), out));
        }
        leaf => {
            let is_bookkeeping =
                [".id", ".meta.versionId", ".meta.lastUpdated", ".meta.tag", ".extension[0]"]
                    .iter()
                    .any(|ours| at.starts_with(ours));
            if !is_bookkeeping {
                out.insert((at, leaf.to_string()));
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ihe_samples_go_in_as_bundles_and_come_out_as_they_were() {
    let (mut world, address) = world().await;
    let expired = |consent: &&Value| consent["id"] != "ex-consent-expired-treat";
    let consents: Vec<Value> = samples("pcf").iter().filter(expired).cloned().collect();
    let events = samples("balp");
    for (resources, kind) in [(&consents, "transaction"), (&events, "batch")] {
        let answer = post(address, "/fhir", &bundle(kind, resources));
        assert_eq!(answer.status, 200, "{answer:?}");
        let answer = answer.json();
        assert_eq!(answer["type"], format!("{kind}-response"));
        for (resource, entry) in resources.iter().zip(answer["entry"].as_array().unwrap()) {
            assert_eq!(entry["response"]["status"], "201", "{}: {entry}", resource["id"]);
            let found = fetch(address, path(entry["response"]["location"].as_str().unwrap()));
            assert_eq!(found.status, 200);
            let found = found.json();
            assert_eq!(found["meta"]["tag"][0]["code"], "recorded");
            assert_eq!(found["extension"][0]["valueString"], resource["id"]);
            let (mut before, mut after) = (BTreeSet::new(), BTreeSet::new());
            leaves(resource, String::new(), &mut before);
            leaves(&found, String::new(), &mut after);
            before.retain(|(path, _)| path != ".sourceAttachment.data");
            assert_eq!(before, after, "{}", resource["id"]);
        }
    }
    // The same again is the same: nothing is recorded twice.
    let items = || {
        let node = world.node.as_ref().unwrap();
        node.chain().store().head().log_size
    };
    let before = items();
    let again = post(address, "/fhir", &bundle("batch", &events)).json();
    assert!(again["entry"].as_array().unwrap().iter().all(|entry| entry["response"]["status"] == "200"));
    let added = items().0 - before.0;
    assert!(added < 10, "empty blocks at most, not {added} records");

    // Searches by what the guide's own examples hold.
    let total = |query: &str| {
        let answer = fetch(address, &format!("/fhir/{query}"));
        assert_eq!(answer.status, 200, "{query}: {answer:?}");
        answer.json()["total"].as_u64().unwrap_or_else(|| panic!("{query}: no total"))
    };
    assert_eq!(total("AuditEvent?_count=0"), 46);
    assert_eq!(total("AuditEvent?_count=100"), 46);
    assert_eq!(total("AuditEvent?action=C&_count=100"), 10);
    assert_eq!(total("AuditEvent?patient=Patient/ex-patient&_count=100"), 36);
    assert_eq!(total("AuditEvent?outcome=8&_count=100"), 1);
    assert_eq!(total("Consent?_count=100"), 22);
    assert_eq!(total("Consent?status=active&_count=100"), 22);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_event_is_created_read_found_and_never_changed() {
    let (mut world, mut address) = world().await;
    let recorded = clock().to_string();
    let event = audit_event("e1", "1", &recorded);
    let created = post(address, "/fhir/AuditEvent", &event);
    assert_eq!(created.status, 201, "{created:?}");
    assert_eq!(created.header("etag"), Some("W/\"1\""));
    assert!(created.header("last-modified").unwrap().ends_with("GMT"));
    let version = path(created.header("location").unwrap()).to_owned();
    let (resource, _) = version.split_once("/_history/").unwrap();
    let id = resource.rsplit('/').next().unwrap();
    assert_eq!(created.json()["id"], id);
    // The id is the item's hash: the ledger knows it by that.
    let item = world.member("hospital").item(&id.parse().unwrap(), None).await.unwrap();
    // A fresh event was decided with this ledger in view.
    assert_eq!(item.content.unwrap()["fields"]["late"], "none");

    let again = post(address, "/fhir/AuditEvent", &event);
    assert_eq!((again.status, again.header("location")), (200, created.header("location")));
    let minimal = with_token("Content-Type: application/json\r\nPrefer: return=minimal\r\n");
    let second = audit_event("e2", "2", "2020-02-03T04:05:06+01:00").to_string();
    let minimal = send(address, "POST", "/fhir/AuditEvent", &minimal, second.as_bytes());
    assert_eq!((minimal.status, minimal.body.len()), (201, 0));

    world.restart().await;
    address = world.node.as_ref().unwrap().fhir_address().unwrap();
    for target in [resource.to_owned(), version.clone()] {
        let found = fetch(address, &target);
        assert_eq!((found.status, &found.json()["recorded"]), (200, &json!(recorded)));
    }
    assert_eq!(fetch(address, &format!("{resource}/_history")).json()["total"], 1);
    assert_eq!(fetch(address, &format!("{resource}/_history/2")).status, 404);
    assert_eq!(fetch(address, "/fhir/AuditEvent/nothing").status, 404);

    let found = |query: &str| -> Vec<String> {
        let answer = fetch(address, &format!("/fhir/AuditEvent?{query}"));
        assert_eq!(answer.status, 200, "{query}: {answer:?}");
        let entries = answer.json()["entry"].as_array().cloned().unwrap_or_default();
        entries
            .iter()
            .filter(|entry| entry["search"]["mode"] == "match")
            .map(|entry| entry["resource"]["extension"][0]["valueString"].as_str().unwrap().to_owned())
            .collect()
    };
    for (query, expected) in [
        ("", &["e1", "e2"][..]),
        ("patient=Patient/1", &["e1"]),
        ("patient=1", &["e1"]),
        ("patient=https://fhir.hospital.example/Patient/2", &["e2"]),
        ("patient=1,2", &["e1", "e2"]),
        ("patient=3", &[]),
        ("date=2020-02-03", &["e2"]),
        ("date=ge2021", &["e1"]),
        ("date=lt2021&date=gt2019", &["e2"]),
        ("agent=Practitioner/9", &["e1", "e2"]),
        ("agent=Practitioner/8", &[]),
        ("agent:identifier=urn:staff%7Cx9", &["e1", "e2"]),
        ("entity=Observation/of-1", &["e1"]),
        ("action=R", &["e1", "e2"]),
        ("action=C,U", &[]),
        ("outcome=0", &["e1", "e2"]),
        ("outcome=http://terminology.hl7.org/CodeSystem/audit-event-outcome%7C8", &[]),
        ("purpose=TREAT", &["e1", "e2"]),
        ("purpose=http://terminology.hl7.org/CodeSystem/v3-ActReason%7CTREAT", &["e1", "e2"]),
        ("purpose=urn:x%7CTREAT", &[]),
        (&format!("_id={id}"), &["e1"]),
    ] {
        assert_eq!(found(query), expected, "{query}");
    }
    // In the body, so that no identifier stands in an address.
    let form = with_token("Content-Type: application/x-www-form-urlencoded\r\n");
    let posted = send(address, "POST", "/fhir/AuditEvent/_search", &form, b"patient=Patient%2F2");
    assert_eq!(posted.json()["total"], 1);

    // An identifier that a later event tells joins what was recorded under the address.
    let mut third = audit_event("e3", "1", &recorded);
    third["entity"][0]["what"]["identifier"] = json!({"system": "urn:mrn", "value": "17"});
    assert_eq!(post(address, "/fhir/AuditEvent", &third).status, 201);
    assert_eq!(found("patient.identifier=urn:mrn%7C17").len(), 2);
    assert_eq!(found("patient:identifier=17").len(), 2);
    assert_eq!(found("patient.identifier=urn:other%7C17").len(), 0);

    // Unknown parameters: looked over and said, or refused, as the client prefers.
    let lenient = fetch(address, "/fhir/AuditEvent?altid=7&patient=Patient/2").json();
    let entries = lenient["entry"].as_array().unwrap();
    assert_eq!((entries.len(), &entries[1]["search"]["mode"]), (2, &json!("outcome")));
    assert!(!lenient["link"][0]["url"].as_str().unwrap().contains("altid"));
    let strict = with_token("Prefer: handling=strict\r\n");
    let strict = send(address, "GET", "/fhir/AuditEvent?altid=7", &strict, b"");
    assert_eq!(strict.refusal().1, "unknown-parameter");

    for (method, target) in [
        ("DELETE", resource),
        ("PATCH", resource),
        ("PUT", resource),
        ("DELETE", "/fhir/AuditEvent"),
        ("PUT", "/fhir/metadata"),
        ("GET", "/fhir"),
    ] {
        let refused = send(address, method, target, &with_token(""), b"");
        assert_eq!(refused.status, 405, "{method} {target}: {refused:?}");
        assert!(refused.header("allow").is_some());
        assert_eq!(refused.refusal().1, "method-not-allowed");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_show_everything_once_while_more_arrives() {
    let (mut world, address) = world().await;
    let event = |n: usize| {
        audit_event(&format!("e{n}"), &(n % 3).to_string(), &format!("2020-01-{:02}T00:00:00Z", n % 28 + 1))
    };
    let events: Vec<Value> = (0..40).map(event).collect();
    assert_eq!(post(address, "/fhir", &bundle("transaction", &events)).status, 200);
    for (query, expected) in [("AuditEvent?_count=7", 40), ("AuditEvent?patient=0&_count=5", 14)] {
        let mut target = format!("/fhir/{query}");
        let (mut seen, mut pages) = (Vec::new(), 0);
        loop {
            let page = fetch(address, &target).json();
            for entry in page["entry"].as_array().unwrap() {
                seen.push(entry["resource"]["extension"][0]["valueString"].as_str().unwrap().to_owned());
            }
            pages += 1;
            // What arrives meanwhile moves nothing: newer than all, so it would stand on the first page.
            let late = audit_event(&format!("late-{pages}-{expected}"), "0", "2026-01-01T00:00:00Z");
            assert_eq!(post(address, "/fhir/AuditEvent", &late).status, 201);
            let links = page["link"].as_array().unwrap();
            let Some(next) = links.iter().find(|link| link["relation"] == "next") else { break };
            target = path(next["url"].as_str().unwrap()).to_owned();
        }
        let of_before = |name: &&String| name.starts_with('e');
        let old: Vec<&String> = seen.iter().filter(of_before).collect();
        assert_eq!(old.len(), expected, "{query}");
        assert_eq!(old.iter().collect::<BTreeSet<_>>().len(), expected);
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consent_has_versions_and_ends_by_its_status() {
    let (mut world, address) = world().await;
    let created = post(address, "/fhir/Consent", &consent("c1", "1"));
    assert_eq!(created.status, 201, "{created:?}");
    let (resource, _) = path(created.header("location").unwrap()).split_once("/_history/").unwrap();
    let resource = resource.to_owned();
    // A client that only knows what it read here ends it.
    let mut ended = fetch(address, &resource).json();
    ended["status"] = json!("inactive");
    let put = |headers: &str, body: &Value| {
        let headers = with_token(&format!("Content-Type: application/fhir+json\r\n{headers}"));
        send(address, "PUT", &resource, &headers, body.to_string().as_bytes())
    };
    assert_eq!(put("If-Match: W/\"7\"\r\n", &ended).refusal().1, "version-mismatch");
    let updated = put("If-Match: W/\"1\"\r\n", &ended);
    assert_eq!((updated.status, updated.header("etag")), (200, Some("W/\"2\"")), "{updated:?}");
    assert_eq!(updated.json()["status"], "inactive");
    // What ended is still said.
    assert_eq!(updated.json()["provision"]["type"], "permit");
    let history = fetch(address, &format!("{resource}/_history")).json();
    let states: Vec<&Value> =
        history["entry"].as_array().unwrap().iter().map(|entry| &entry["resource"]["status"]).collect();
    assert_eq!(states, [&json!("inactive"), &json!("active")]);
    assert_eq!(fetch(address, &format!("{resource}/_history/1")).json()["status"], "active");
    assert_eq!(fetch(address, "/fhir/Consent?status=active").json()["total"], 0);
    assert_eq!(fetch(address, "/fhir/Consent?status=inactive&purpose=TREAT&patient=1").json()["total"], 1);
    // Ended once, it cannot end again with another content.
    ended["dateTime"] = json!("2026-02-02");
    assert_eq!(put("", &ended).refusal().1, "nothing-to-end");
    // The source system's own way: the same document again.
    let mut changed = consent("c2", "1");
    assert_eq!(post(address, "/fhir/Consent", &changed).status, 201);
    changed["provision"]["purpose"][0]["code"] = json!("HPAYMT");
    let second = post(address, "/fhir/Consent", &changed);
    assert_eq!((second.status, second.header("etag")), (201, Some("W/\"2\"")));
    let mut wrong = changed.clone();
    wrong["id"] = json!("other");
    assert_eq!(put("", &wrong).refusal().1, "wrong-id");
    let unknown = send(
        address,
        "PUT",
        "/fhir/Consent/nothing",
        &with_token("Content-Type: application/fhir+json\r\n"),
        changed.to_string().as_bytes(),
    );
    assert_eq!(unknown.status, 404);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_custodians_own_systems_are_answered() {
    let (mut world, address) = world().await;
    let created = post(address, "/fhir/AuditEvent", &audit_event("e1", "1", "2026-01-01T00:00:00Z"));
    let resource = path(created.header("location").unwrap()).to_owned();
    let body = audit_event("e2", "1", "2026-01-01T00:00:00Z").to_string();
    let json = "Content-Type: application/fhir+json\r\n";
    for headers in [
        "".to_owned(),
        "Authorization: Bearer wrong\r\n".into(),
        format!("Authorization: Basic {TOKEN}\r\n"),
        format!("Authorization: Bearer {TOKEN}x\r\n"),
        "Signature: sig=:AA==:\r\nSignature-Input: x\r\n".into(),
        "Signature: sig=:AA==:\r\n".into(),
    ] {
        for (method, target) in [
            ("GET", resource.as_str()),
            ("GET", "/fhir/AuditEvent"),
            ("POST", "/fhir/AuditEvent"),
            ("POST", "/fhir"),
            ("PUT", "/fhir/Consent/x"),
            ("POST", "/fhir/AuditEvent/_search"),
        ] {
            let refused = send(address, method, target, &format!("{headers}{json}"), body.as_bytes());
            let is_form = target.ends_with("_search") && refused.status == 415;
            assert!(refused.status == 401 || is_form, "{method} {target} {headers}: {refused:?}");
        }
    }
    // The statement of what this is holds nothing of anybody.
    let statement = send(address, "GET", "/fhir/metadata", "", b"").json();
    assert_eq!(statement["fhirVersion"], "4.0.1");
    assert_eq!(statement["rest"][0]["resource"][0]["supportedProfile"].as_array().unwrap().len(), 19);

    // A signature by the custodian's key is as good as the token; another member's is not.
    let signed = |name: &str, method: &str, target: &str, body: Option<&[u8]>| {
        let authority = address.to_string();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let request = signature::Request { method, authority: &authority, path, query, body };
        let made =
            signature::sign(&request, &key(name, KeyPurpose::Sign), clock().0 / 1000, &random16().0).unwrap();
        let digest =
            made.content_digest.map(|digest| format!("Content-Digest: {digest}\r\n")).unwrap_or_default();
        let headers = format!(
            "Signature-Input: {}\r\nSignature: {}\r\n{digest}{json}",
            made.signature_input, made.signature
        );
        send(address, method, target, &headers, body.unwrap_or_default())
    };
    assert_eq!(signed("hospital", "GET", &resource, None).status, 200);
    assert_eq!(signed("hospital", "GET", "/fhir/AuditEvent?patient=1", None).status, 200);
    assert_eq!(signed("practice", "GET", &resource, None).status, 403);
    assert_eq!(signed("hospital", "POST", "/fhir/AuditEvent", Some(body.as_bytes())).status, 201);
    assert_eq!(signed("practice", "POST", "/fhir/AuditEvent", Some(body.as_bytes())).status, 403);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_gets_an_outcome_that_names_the_element_and_nothing_is_kept() {
    let (mut world, address) = world().await;
    let json = |text: &str| with_token(&format!("Content-Type: {text}\r\n"));
    let fhir_json = json("application/fhir+json");
    let post_bytes = |target: &str, bytes: &[u8]| send(address, "POST", target, &fhir_json, bytes);
    let begun = Instant::now();
    let log = world.node.as_ref().unwrap().chain().store().head().log_size;

    let with = |mut resource: Value, pointer: &str, value: Value| {
        *resource.pointer_mut(pointer).unwrap() = value;
        resource
    };
    let good = audit_event("e1", "1", "2026-01-01T00:00:00Z");
    let rule = consent("c1", "1");
    let mut without_type = rule.clone();
    without_type["provision"].as_object_mut().unwrap().remove("type");
    let mut mixed = rule.clone();
    mixed["decision"] = json!("permit");
    let mut deep = rule.clone();
    deep["provision"]["provision"] = json!([{"type": "deny", "provision": [{"type": "permit"}]}]);
    let mut cyclic = rule.clone();
    cyclic["contained"] =
        json!([{"resourceType": "Consent", "id": "me", "sourceReference": {"reference": "#me"}}]);
    cyclic["provision"]["provision"] = json!([{"type": "deny", "provision": [{"reference": "#me"}]}]);
    let cases: Vec<(&str, Value, u16, &str, &str)> = vec![
        (
            "/fhir/AuditEvent",
            with(good.clone(), "/recorded", json!("99999-01-01T00:00:00Z")),
            422,
            "malformed-date",
            "AuditEvent.recorded",
        ),
        ("/fhir/AuditEvent", with(good.clone(), "/agent", json!({})), 422, "wrong-type", "AuditEvent.agent"),
        ("/fhir/AuditEvent", rule.clone(), 400, "wrong-resource", "Consent"),
        ("/fhir/AuditEvent", json!({"a": 1}), 400, "not-fhir", ""),
        ("/fhir/Consent", without_type, 422, "no-base-effect", "Consent.provision.type"),
        ("/fhir/Consent", mixed, 422, "mixed-releases", "Consent.decision"),
        ("/fhir/Consent", deep, 422, "nested-too-deep", "Consent.provision.provision[0].provision"),
        ("/fhir/Consent", cyclic, 422, "nested-too-deep", "Consent.provision.provision[0].provision"),
        (
            "/fhir/Consent",
            with(rule.clone(), "/status", json!("inactive")),
            422,
            "nothing-to-end",
            "Consent.status",
        ),
        (
            "/fhir/Consent",
            with(rule.clone(), "/patient", json!({"display": "Mr A"})),
            422,
            "missing-patient",
            "Consent.patient",
        ),
        ("/fhir", good.clone(), 400, "wrong-resource", "AuditEvent"),
        ("/fhir", bundle("collection", std::slice::from_ref(&good)), 422, "unsupported", "Bundle.type"),
        ("/fhir", json!({"resourceType": "Bundle"}), 422, "missing-element", "Bundle.type"),
        (
            "/fhir",
            json!({"resourceType": "Bundle", "type": "batch", "entry": {}}),
            422,
            "wrong-type",
            "Bundle.entry",
        ),
    ];
    for (target, resource, status, code, element) in cases {
        assert_eq!(
            post(address, target, &resource).refusal(),
            (status, code.to_owned(), element.to_owned()),
            "{target} {resource}"
        );
    }

    // One bad member: a transaction keeps nothing, and says which member and why.
    let mut bad = consent("c2", "2");
    bad["provision"]["provision"] = json!([{"type": "deny", "expression": {"language": "text/cql"}}]);
    let members = [consent("c3", "3"), bad, good.clone()];
    let refused = post(address, "/fhir", &bundle("transaction", &members));
    let element = "Bundle.entry[1].resource.provision.provision[0].expression";
    assert_eq!(refused.refusal(), (422, "expression-unsupported".into(), element.into()));
    // What only the vault can refuse counts as well.
    let mut nothing = consent("c9", "9");
    nothing["status"] = json!("inactive");
    let refused = post(address, "/fhir", &bundle("transaction", &[consent("c3", "3"), nothing.clone()]));
    assert_eq!(refused.refusal(), (422, "nothing-to-end".into(), "Bundle.entry[1].resource.status".into()));
    let mut entry = bundle("transaction", &[consent("c3", "3")]);
    entry["entry"][0]["request"] = json!({"method": "DELETE", "url": "Consent/c3"});
    assert_eq!(post(address, "/fhir", &entry).refusal().2, "Bundle.entry[0].request.method");
    entry["entry"][0]["request"] = json!({"method": "POST", "url": "Consent", "ifNoneExist": "x"});
    assert_eq!(post(address, "/fhir", &entry).refusal().2, "Bundle.entry[0].request.ifNoneExist");

    // Bombs, and bodies that are too large, before they are held.
    for bomb in [
        "[".repeat(1 << 20),
        format!("{{\"resourceType\":\"AuditEvent\",\"x\":{}", "{\"x\":".repeat(1 << 18)),
        format!("[{}1]", "1,".repeat(3_000_000)),
        format!("{{\"resourceType\":\"AuditEvent\",\"n\":{}}}", "9".repeat(1_000_000)),
        "{\"resourceType\":\"Consent\",\"resourceType\":\"AuditEvent\"}".to_owned(),
        "{\"resourceType\":\"AuditEvent\"".to_owned(),
        "\u{0}".to_owned(),
    ] {
        let (status, code, _) = post_bytes("/fhir/AuditEvent", bomb.as_bytes()).refusal();
        assert!(
            status == 400 && code == "not-json" || status == 422 && code == "missing-element",
            "{status} {code}"
        );
    }
    let huge = format!(
        "POST /fhir HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n{fhir_json}\r\n{}",
        100 * 1024 * 1024,
        " ".repeat(1 << 16)
    );
    assert_eq!(raw(address, huge.as_bytes()).refusal().1, "too-large");
    let mut chunked = format!(
        "POST /fhir HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n{fhir_json}\r\n"
    )
    .into_bytes();
    for _ in 0..150 {
        chunked.extend_from_slice(b"10000\r\n");
        chunked.extend_from_slice(&vec![b' '; 0x10000]);
        chunked.extend_from_slice(b"\r\n");
    }
    chunked.extend_from_slice(b"0\r\n\r\n");
    // The node may close while we still send: then there is no answer to read, and nothing kept.
    let answer = raw(address, &chunked);
    assert!(answer.status == 0 || answer.refusal().1 == "too-large", "{answer:?}");

    for (headers, status) in [
        (json("application/fhir+xml"), 415),
        (json("application/fhir+json; fhirVersion=3.0"), 415),
        (format!("{fhir_json}Accept: application/fhir+xml\r\n"), 406),
        (format!("{fhir_json}If-None-Exist: identifier=1\r\n"), 412),
    ] {
        let refused = send(address, "POST", "/fhir/AuditEvent", &headers, good.to_string().as_bytes());
        assert_eq!(refused.status, status, "{headers}");
    }
    let as_r5 = json("application/fhir+json; fhirVersion=5.0");
    let refused = send(address, "POST", "/fhir/AuditEvent", &as_r5, good.to_string().as_bytes());
    assert_eq!(refused.refusal().1, "mixed-releases");
    for query in ["date=soon", "_count=x", "agent:missing=true", "_cursor=%00"] {
        let status = fetch(address, &format!("/fhir/AuditEvent?{query}")).status;
        assert!(status == 400 || query.starts_with("_cursor") && status == 200, "{query}: {status}");
    }

    // Nothing of all that is kept, neither in the vault nor on the ledger.
    assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
    assert_eq!(fetch(address, "/fhir/AuditEvent").json()["total"], 0);
    assert_eq!(fetch(address, "/fhir/Consent").json()["total"], 0);
    let subjects = std::fs::read_dir(world.path().join("vault/subjects")).unwrap().count();
    assert_eq!(subjects, 0, "not even a name");
    let grown = world.node.as_ref().unwrap().chain().store().head().log_size.0 - log.0;
    assert!(grown < 60, "only empty blocks, not {grown} records");

    // A batch takes what is good.
    let members = [consent("c3", "3"), nothing, good, json!({"resourceType": "Patient", "id": "7"})];
    let answer = post(address, "/fhir", &bundle("batch", &members)).json();
    let states: Vec<&str> = answer["entry"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["response"]["status"].as_str().unwrap())
        .collect();
    assert_eq!(states, ["201", "422", "201", "200"]);
    assert_eq!(
        answer["entry"][1]["response"]["outcome"]["issue"][0]["expression"][0],
        "Bundle.entry[1].resource.status"
    );
    assert_eq!(answer["entry"][3]["response"]["outcome"]["issue"][0]["code"], "not-supported");

    // Two names of two patients on one event: a conflict, not a guess.
    let named = |id: &str, patient: &str, value: &str| {
        let mut event = audit_event(id, patient, "2026-01-01T00:00:00Z");
        event["entity"][0]["what"]["identifier"] = json!({"system": "urn:mrn", "value": value});
        event
    };
    assert_eq!(post(address, "/fhir/AuditEvent", &named("n1", "21", "A")).status, 201);
    assert_eq!(post(address, "/fhir/AuditEvent", &named("n2", "22", "B")).status, 201);
    let refused = post(address, "/fhir/AuditEvent", &named("n3", "21", "B"));
    assert_eq!(refused.refusal(), (409, "conflicting-identity".into(), "AuditEvent.entity".into()));
    world.stop().await;
}

/// A ledger without a quorum: what is posted is kept, said to wait, and recorded once the other half is back.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_ledger_cannot_take_waits_in_the_vault() {
    const NAMES: [&str; 2] = ["hospital", "clinic"];
    let genesis = genesis(&NAMES);
    let ports = [custos_ports::free().unwrap(), custos_ports::free().unwrap()];
    let listen = |port: u16| format!("/ip4/127.0.0.1/tcp/{port}");
    let mut places = Vec::new();
    for (index, name) in NAMES.iter().enumerate() {
        let dir = tempfile::tempdir().unwrap();
        let mut config = configure(dir.path(), name, &genesis);
        config.p2p.listen = listen(ports[index]);
        let other = 1 - index;
        config.p2p.peers = vec![Peer {
            participant: NAMES[other].into(),
            address: listen(ports[other]),
            transport_key: key(NAMES[other], KeyPurpose::Transport).public_key().to_string(),
            bootstrap: false,
        }];
        places.push((dir, config));
    }
    add_custodian(&mut places[0].1);
    if let Some(section) = &mut places[0].1.custodian {
        section.patience_ms = 500;
    }
    let start = async |index: usize| -> Node { run(places[index].0.path(), &places[index].1).await };
    let hospital = start(0).await;
    let address = hospital.fhir_address().unwrap();
    let event = audit_event("e1", "1", "2026-01-01T00:00:00Z");
    let kept = post(address, "/fhir/AuditEvent", &event);
    assert_eq!(kept.status, 202, "{kept:?}");
    assert_eq!(kept.json()["meta"]["tag"][0]["code"], "waiting");
    let version = path(kept.header("location").unwrap()).to_owned();
    // A second one, while the first one's submission is still open.
    assert_eq!(post(address, "/fhir/Consent", &consent("c1", "1")).status, 202);
    hospital.stop().await;

    // The process ends and comes back; so does the quorum.
    let hospital = start(0).await;
    let clinic = start(1).await;
    let address = hospital.fhir_address().unwrap();
    let begun = Instant::now();
    loop {
        let found = fetch(address, &version).json();
        let consents = fetch(address, "/fhir/Consent").json();
        let states =
            [&found["meta"]["tag"][0]["code"], &consents["entry"][0]["resource"]["meta"]["tag"][0]["code"]];
        if states == [&json!("recorded"), &json!("recorded")] {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(90), "{states:?}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    // Known by its content, not recorded twice.
    assert_eq!(post(address, "/fhir/AuditEvent", &event).status, 200);
    hospital.stop().await;
    clinic.stop().await;
}
