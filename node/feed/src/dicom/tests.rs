//! Audit messages that senders send, and those that attackers send.

use super::*;
use crate::document::Reader as Documents;

/// A message as PS3.15 has it: a physician's workstation shows a study.
pub(crate) const ACCESSED: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<AuditMessage>
  <EventIdentification EventActionCode="R" EventDateTime="2026-11-22T10:14:03.250+01:00" EventOutcomeIndicator="0">
    <EventID csd-code="110103" codeSystemName="DCM" originalText="DICOM Instances Accessed"/>
    <EventTypeCode csd-code="ITI-20" codeSystemName="IHE Transactions" originalText="Record Audit Event"/>
    <PurposeOfUse csd-code="TREAT" codeSystemName="2.16.840.1.113883.5.8" originalText="treatment"/>
  </EventIdentification>
  <ActiveParticipant UserID="dr.adams" AlternativeUserID="4711" UserName="Adams &amp; Eve" UserIsRequestor="true"
      NetworkAccessPointID="10.1.2.3" NetworkAccessPointTypeCode="2">
    <RoleIDCode csd-code="110152" codeSystemName="DCM" originalText="Destination Role ID"/>
    <RoleIDCode csd-code="physician" codeSystemName="Hospital Roles" originalText="Physician"/>
  </ActiveParticipant>
  <ActiveParticipant UserID="pacs-1" UserIsRequestor="false">
    <RoleIDCode csd-code="110153" codeSystemName="DCM" originalText="Source Role ID"/>
  </ActiveParticipant>
  <AuditSourceIdentification AuditEnterpriseSiteID="Radiology" AuditSourceID="pacs-1">
    <AuditSourceTypeCode csd-code="4"/>
  </AuditSourceIdentification>
  <ParticipantObjectIdentification ParticipantObjectID="1.2.840.99.1" ParticipantObjectTypeCode="2"
      ParticipantObjectTypeCodeRole="3" ParticipantObjectDataLifeCycle="6">
    <ParticipantObjectIDTypeCode csd-code="110180" codeSystemName="DCM" originalText="Study Instance UID"/>
    <ParticipantObjectName>CT chest</ParticipantObjectName>
    <ParticipantObjectDetail type="NumberOfInstances" value="MTI="/>
  </ParticipantObjectIdentification>
  <ParticipantObjectIdentification ParticipantObjectID="MRN-17^^^&amp;1.2.3.4&amp;ISO" ParticipantObjectTypeCode="1"
      ParticipantObjectTypeCodeRole="1">
    <ParticipantObjectIDTypeCode csd-code="2" codeSystemName="RFC-3881" originalText="Patient Number"/>
    <ParticipantObjectName>Doe^Jane</ParticipantObjectName>
  </ParticipantObjectIdentification>
</AuditMessage>"#;

#[test]
fn every_element_has_its_place() {
    let event = audit_event(ACCESSED).unwrap();
    let expected = json!({
        "resourceType": "AuditEvent",
        "type": { "system": DICOM, "code": "110103", "display": "DICOM Instances Accessed" },
        "subtype": [{ "system": IHE, "code": "ITI-20", "display": "Record Audit Event" }],
        "action": "R",
        "recorded": "2026-11-22T10:14:03.250+01:00",
        "outcome": "0",
        "purposeOfEvent": [{ "coding": [{ "system": "urn:oid:2.16.840.1.113883.5.8", "code": "TREAT", "display": "treatment" }] }],
        "agent": [
            {
                "type": { "coding": [{ "system": DICOM, "code": "110152", "display": "Destination Role ID" }] },
                "role": [{ "coding": [{ "system": "urn:custos:dicom-code-system:Hospital-Roles", "code": "physician", "display": "Physician" }] }],
                "who": { "identifier": { "value": "dr.adams" } },
                "altId": "4711",
                "name": "Adams & Eve",
                "requestor": true,
                "network": { "address": "10.1.2.3", "type": "2" },
            },
            {
                "type": { "coding": [{ "system": DICOM, "code": "110153", "display": "Source Role ID" }] },
                "who": { "identifier": { "value": "pacs-1" } },
                "requestor": false,
            },
        ],
        "source": {
            "site": "Radiology",
            "observer": { "identifier": { "value": "pacs-1" } },
            "type": [{ "system": SOURCE_TYPE, "code": "4" }],
        },
        "entity": [
            {
                "what": { "identifier": {
                    "type": { "coding": [{ "system": DICOM, "code": "110180", "display": "Study Instance UID" }] },
                    "value": "1.2.840.99.1",
                } },
                "type": { "system": ENTITY_TYPE, "code": "2" },
                "role": { "system": OBJECT_ROLE, "code": "3" },
                "lifecycle": { "system": LIFE_CYCLE, "code": "6" },
                "name": "CT chest",
                "detail": [{ "type": "NumberOfInstances", "valueBase64Binary": "MTI=" }],
            },
            {
                "what": { "identifier": {
                    "type": { "coding": [{ "system": "urn:custos:dicom-code-system:RFC-3881", "code": "2", "display": "Patient Number" }] },
                    "system": "urn:oid:1.2.3.4",
                    "value": "MRN-17",
                } },
                "type": { "system": ENTITY_TYPE, "code": "1" },
                "role": { "system": OBJECT_ROLE, "code": "1" },
                "name": "Doe^Jane",
            },
        ],
    });
    assert_eq!(event, expected);
}

#[test]
fn the_patient_is_the_same_as_in_fhir_and_nothing_is_left_over() {
    let reader = Documents::new("https://fhir.example");
    let document = reader.dicom(b"frame", ACCESSED);
    let drafts = document.result.unwrap();
    assert_eq!(drafts.len(), 1);
    let fhir = custos_custodian::draft::SubjectKey::identifier("urn:oid:1.2.3.4", "MRN-17");
    assert_eq!(drafts[0].subject, [fhir]);
    let source = drafts[0].values.source.value().unwrap();
    assert!(source.not_carried.is_empty(), "{:?}", source.not_carried);
    assert!(source.is_complete(), "{:?}", source.missing);
    assert_eq!(drafts[0].values.resources.value().unwrap().len(), 2);
    // The header's time tells two like messages apart; the same frame is the same event.
    assert_ne!(reader.dicom(b"another frame", ACCESSED).key, document.key);
    assert_eq!(reader.dicom(b"frame", ACCESSED).key, document.key);
}

#[test]
fn names_with_a_prefix_old_attributes_and_missing_zones_are_read() {
    let message = r#"<a:AuditMessage xmlns:a="x"><a:EventIdentification EventDateTime="2026-11-22T10:14:03" EventOutcomeIndicator="4">
        <a:EventID code="110112" codeSystemName="DCM" displayName="Query"/>
        <a:EventOutcomeDescription><![CDATA[too <many>]]> results&#33;</a:EventOutcomeDescription></a:EventIdentification>
        <a:ActiveParticipant UserID="x"/></a:AuditMessage>"#;
    let event = audit_event(message).unwrap();
    assert_eq!(event["type"], json!({ "system": DICOM, "code": "110112", "display": "Query" }));
    assert_eq!(event["recorded"], "2026-11-22T10:14:03Z");
    assert_eq!(event["outcomeDesc"], "too <many> results!");
    assert_eq!(event["agent"][0]["requestor"], true);
}

#[test]
fn bombs_are_refused_by_name_and_at_once() {
    let laughs = r#"<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY lol "lol"><!ENTITY lol2 "&lol;&lol;&lol;&lol;">]><AuditMessage>&lol2;</AuditMessage>"#;
    assert_eq!(audit_event(laughs), Err(DicomError::DocumentType));
    let external = r#"<!DOCTYPE a SYSTEM "file:///etc/passwd"><AuditMessage/>"#;
    assert_eq!(audit_event(external), Err(DicomError::DocumentType));
    assert_eq!(audit_event("<AuditMessage>&lol9;</AuditMessage>"), Err(DicomError::Entity("lol9".into())));
    assert!(matches!(audit_event("<AuditMessage a=\"&lol9;\"/>"), Err(DicomError::Xml(_))));
    let deep = "<a>".repeat(100_000);
    assert_eq!(audit_event(&deep), Err(DicomError::TooLarge { what: "levels", max: MAX_DEPTH }));
    let wide = format!("<AuditMessage>{}</AuditMessage>", "<a/>".repeat(100_000));
    assert_eq!(audit_event(&wide), Err(DicomError::TooLarge { what: "elements", max: MAX_ELEMENTS }));
    let attributes: String = (0..10_000).map(|n| format!(" a{n}=\"\"")).collect();
    let many = format!("<AuditMessage{attributes}/>");
    assert_eq!(
        audit_event(&many),
        Err(DicomError::TooLarge { what: "attributes in an element", max: MAX_ATTRIBUTES })
    );
}

#[test]
fn what_is_no_audit_message_is_refused_with_a_reason() {
    for (text, expected) in [
        ("", "it has no root element"),
        ("hello", "text outside"),
        ("<AuditMessage>", "it ends early"),
        ("<AuditMessage></Other>", "not well-formed"),
        ("<Other/>", "the root element is \"Other\""),
        ("<AuditMessage/><AuditMessage/>", "follows the root"),
        ("<AuditMessage/>", "it has no EventIdentification"),
        ("<AuditMessage a=\"1\" a=\"2\"/>", "not well-formed"),
    ] {
        let error = audit_event(text).unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
    // Well-formed, and no event: the reader of AuditEvents names the element.
    let document = Documents::new("urn:x").dicom(b"", "<AuditMessage><EventIdentification/></AuditMessage>");
    assert_eq!(document.result.unwrap_err().element, "AuditEvent.recorded");
}

proptest::proptest! {
    #[test]
    fn no_text_panics(text in "[<>/a=\"'&;!\\[\\]? \n]{0,200}", junk: String) {
        let _ = audit_event(&text);
        let _ = audit_event(&junk);
        let _ = audit_event(&format!("<AuditMessage><EventIdentification EventDateTime=\"{junk}\"/></AuditMessage>"));
    }
}
