//! From a source's bytes to offers: every document is understood, or refused with a reason, before it is accepted.
//!
//! One place for all inputs, so that an event means the same however it came. FHIR is read by
//! [`custos_custodian::fhir`]; a DICOM audit message becomes a FHIR AuditEvent first ([`crate::dicom`]).
//! What was sent twice is told by its content, and by its own id if it has one.
//!
//! Deliberately absent: anything but AuditEvents. A feed states what happened; consents are acts, and
//! are put with `custos import` by somebody who can answer for them.

use custos_custodian::draft::AccessEventDraft;
use custos_custodian::fhir::{self, Options, Outcome, Refusal, RefusalCode};
use custos_proof::ids::{Height, TimeMs};
use custos_proof::kinds::rule::Collected;
use sha2::{Digest as _, Sha256};

use crate::spool::frame::{Accepted, Frame, Key, MAX_DRAFTS, MAX_FRAME, Offer, fits};

/// A document: where it was found, and what it came to.
#[derive(Debug, Clone)]
pub struct Document {
    /// `AuditEvent`, or its place in a bundle.
    pub location: String,
    /// What tells it from others.
    pub key: Key,
    /// What it says, or why it is not taken.
    pub result: Result<Vec<AccessEventDraft>, Refusal>,
}

/// How documents are read.
#[derive(Debug, Clone)]
pub struct Reader {
    options: Options,
}

impl Reader {
    /// A reader of documents that belong to the server at `base`.
    #[must_use]
    pub fn new(base: &str) -> Self {
        let options = Options { base: base.into(), now: TimeMs(0), collected: Collected::Custodian };
        Self { options }
    }

    /// Reads a resource or a bundle; one document for each AuditEvent, and for each resource that is refused.
    #[must_use]
    pub fn fhir(&self, name: &str, bytes: &[u8]) -> Vec<Document> {
        let mut documents: Vec<Document> = Vec::new();
        for reading in fhir::read_bytes(name, bytes, &self.options) {
            let result = match reading.outcome {
                Outcome::Event(draft) => Ok(vec![*draft]),
                Outcome::Refused(refusal) => Err(refusal),
                Outcome::NotApplicable(why) if reading.resource.as_deref().is_some_and(is_companion) => {
                    tracing::trace!(why, "a resource that events may refer to");
                    continue;
                }
                Outcome::Rule(_) => {
                    Err(not_here("Consent", "a feed takes AuditEvents; put consents with custos import"))
                }
                Outcome::NotApplicable(why) => Err(not_here("resourceType", &why)),
            };
            // An event about several patients is one document of several drafts.
            if let (Some(last), Ok(drafts)) = (documents.last_mut(), &result)
                && last.location == reading.location
                && let Ok(earlier) = &mut last.result
            {
                earlier.extend(drafts.iter().cloned());
                continue;
            }
            documents.push(Document { location: reading.location, key: Key::default(), result });
        }
        for document in &mut documents {
            if let Ok(drafts) = &document.result {
                document.key = key(
                    b"fhir",
                    drafts.iter().flat_map(|draft| [draft.origin.name.as_bytes(), &draft.origin.digest.0]),
                );
                if let Err(refusal) = check_size(drafts) {
                    document.result = Err(refusal);
                }
            }
        }
        documents
    }

    /// Reads a syslog message's audit XML. `frame` is all of the message: its header's time tells two
    /// like messages apart.
    #[must_use]
    pub fn dicom(&self, frame: &[u8], xml: &str) -> Document {
        let key = key(b"syslog", [frame]);
        let event = crate::dicom::audit_event(xml).map_err(|error| Refusal {
            code: RefusalCode::NotUnderstood,
            element: "AuditMessage".into(),
            message: error.to_string(),
        });
        let result = event.and_then(|event| {
            let bytes = event.to_string();
            let mut documents = self.fhir("AuditMessage", bytes.as_bytes());
            match (documents.pop(), documents.is_empty()) {
                (Some(document), true) => document.result,
                _ => Err(not_here("AuditMessage", "it came to several documents")),
            }
        });
        let named = result.map(|mut drafts| {
            for (place, draft) in drafts.iter_mut().enumerate() {
                draft.origin.name = format!("urn:custos:feed:syslog:{}#{place}", hex::encode(key));
            }
            drafts
        });
        Document { location: "AuditMessage".into(), key, result: named }
    }
}

/// Resources that are in a bundle only to be referred to.
fn is_companion(resource: &str) -> bool {
    let name = resource.split('/').next().unwrap_or_default();
    ["Patient", "DocumentReference", "Practitioner", "Organization", "Device"].contains(&name)
}

fn not_here(element: &str, why: &str) -> Refusal {
    Refusal { code: RefusalCode::NotARecord, element: element.into(), message: why.into() }
}

/// What is accepted has to fit into a frame, and be read from it again.
fn check_size(drafts: &[AccessEventDraft]) -> Result<(), Refusal> {
    let refuse = |what: &str| {
        Err(Refusal { code: RefusalCode::TooLarge, element: "AuditEvent".into(), message: what.into() })
    };
    if drafts.len() > MAX_DRAFTS {
        return refuse("it is about more than 64 patients");
    }
    if !drafts.iter().all(fits) {
        return refuse("a name in it is longer than 8 KiB, or there are more than 1024");
    }
    let offer =
        Offer { head: Height(0), head_age_ms: 0, key: Key::default(), mark: None, drafts: drafts.to_vec() };
    let frame = Frame::Accepted(Accepted { position: u64::MAX, at: TimeMs(u64::MAX), offer });
    if frame.encode().len() > MAX_FRAME - 64 * 1024 { refuse("it exceeds 16 MiB") } else { Ok(()) }
}

fn key<'a>(kind: &[u8], parts: impl IntoIterator<Item = &'a [u8]>) -> Key {
    let mut hasher = Sha256::new();
    hasher.update(kind);
    for part in parts {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    let digest: [u8; 32] = hasher.finalize().into();
    let mut key = Key::default();
    key.copy_from_slice(&digest[..16]);
    key
}
