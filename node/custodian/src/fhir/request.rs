//! What a FHIR client posts: one resource, or a transaction or batch of them.
//!
//! Stricter than the reading of files: over HTTP a client says what it wants done, so that an
//! interaction that is not offered (a deletion, a conditional create) is refused, never passed over.
//! Every refusal inside a bundle names its entry: `Bundle.entry[3].resource.provision.type`.
//!
//! Deliberately absent: HTTP, the vault, and what a transaction's entries mean to each other beyond
//! their references.

use std::path::Path;

use super::element::{Carried, Element};
use super::json::Json;
use super::{
    Context, Index, MAX_FILE, Options, Outcome, Refusal, RefusalCode, Release, is_type_name, read_resource,
    resource_name,
};

/// The most bytes of a request.
pub const MAX_REQUEST: u64 = MAX_FILE;
/// The most entries of a bundle that is posted: it is planned and sealed as a whole.
pub const MAX_REQUEST_ENTRIES: usize = 2_000;

/// The resource types that are recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ResourceType {
    /// Testimony.
    AuditEvent,
    /// An act.
    Consent,
}

impl ResourceType {
    /// Both.
    pub const ALL: [ResourceType; 2] = [ResourceType::AuditEvent, ResourceType::Consent];

    /// FHIR's name.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            ResourceType::AuditEvent => "AuditEvent",
            ResourceType::Consent => "Consent",
        }
    }

    /// The type of this name.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.word() == word)
    }
}

/// A bundle, entry by entry.
#[derive(Debug, Clone)]
pub struct Bundle {
    /// Whether one refused entry refuses all.
    pub is_transaction: bool,
    /// In order.
    pub entries: Vec<Entry>,
}

/// What an entry asks for, read.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The resource of which this is the next version (PUT), by its id on this server; none for a POST.
    pub replaces: Option<(ResourceType, String)>,
    /// What it came to. One resource may give several drafts, or one refusal.
    pub outcomes: Vec<Outcome>,
}

impl Entry {
    /// The refusal, if the entry is refused.
    #[must_use]
    pub fn refusal(&self) -> Option<&Refusal> {
        self.outcomes.iter().find_map(|outcome| match outcome {
            Outcome::Refused(refusal) => Some(refusal),
            _ => None,
        })
    }
}

/// Reads one resource of a given type; `release` is what the media type states.
///
/// # Errors
/// The refusal, naming the element.
pub fn read_one(
    bytes: &[u8],
    wanted: ResourceType,
    release: Option<Release>,
    options: &Options,
) -> Result<Vec<Outcome>, Refusal> {
    let json = super::parse(bytes).map_err(in_body)?;
    match json.member("resourceType").and_then(Json::text) {
        Some(found) if found == wanted.word() => {}
        Some(found) if is_type_name(found) => {
            return Err(Refusal {
                code: RefusalCode::WrongResource,
                element: found.into(),
                message: format!("this address takes {}", wanted.word()),
            });
        }
        _ => return Err(not_fhir()),
    }
    let file = Path::new("request");
    let mut index = Index::default();
    index.add_file(&json, file, options);
    let outcomes = read_resource(&json, &Context { index: &index, options, file, release });
    match outcomes.iter().find_map(refused) {
        Some(refusal) => Err(refusal.clone()),
        None => Ok(outcomes),
    }
}

/// Reads a transaction or batch. What is wrong with one entry stands in that entry.
///
/// # Errors
/// What is wrong with the bundle itself.
pub fn read_bundle(bytes: &[u8], release: Option<Release>, options: &Options) -> Result<Bundle, Refusal> {
    let json = super::parse(bytes).map_err(in_body)?;
    let carried = Carried::default();
    match json.member("resourceType").and_then(Json::text) {
        Some("Bundle") => {}
        Some(found) if is_type_name(found) => {
            return Err(Refusal {
                code: RefusalCode::WrongResource,
                element: found.into(),
                message: "this address takes a Bundle; post a resource to the address of its type".into(),
            });
        }
        _ => return Err(not_fhir()),
    }
    let bundle = Element::resource(&json, "Bundle", &carried);
    let kind = bundle.required("type")?;
    let is_transaction = match kind.peek()? {
        "transaction" => true,
        "batch" => false,
        _ => {
            return Err(
                kind.refuse(RefusalCode::Unsupported, "a bundle to act on is a transaction or a batch")
            );
        }
    };
    let entries = bundle.list("entry", MAX_REQUEST_ENTRIES)?;
    let file = Path::new("request");
    let mut index = Index::default();
    index.add_file(&json, file, options);
    let context = Context { index: &index, options, file, release };
    let entries = entries
        .iter()
        .map(|element| {
            entry(element, &context)
                .unwrap_or_else(|refusal| Entry { replaces: None, outcomes: vec![Outcome::Refused(refusal)] })
        })
        .collect();
    Ok(Bundle { is_transaction, entries })
}

fn entry(element: &Element<'_>, context: &Context<'_>) -> Result<Entry, Refusal> {
    let element = element.clone().object()?;
    let request = element.required("request")?.object()?;
    for name in ["ifNoneExist", "ifNoneMatch", "ifModifiedSince", "ifMatch"] {
        if let Some(condition) = request.child(name) {
            return Err(
                condition.refuse(RefusalCode::Unsupported, "conditions are not looked at inside a bundle")
            );
        }
    }
    let method = request.required("method")?;
    let url = request.required("url")?;
    let address = url.peek()?;
    let resource = element.required("resource");
    let (resource, replaces) = match method.peek()? {
        "POST" => (resource?, None),
        "PUT" => {
            let target = address
                .split_once('/')
                .and_then(|(kind, id)| ResourceType::from_word(kind).map(|kind| (kind, id.to_owned())))
                .filter(|(kind, id)| *kind == ResourceType::Consent && super::is_id(id));
            let target = target.ok_or_else(|| {
                url.refuse(
                    RefusalCode::Unsupported,
                    "only a Consent of this server can be updated: Consent/ID",
                )
            })?;
            (resource?, Some(target))
        }
        "DELETE" => {
            return Err(method.refuse(
                RefusalCode::NotARecord,
                "nothing is deleted; end a consent by its status inactive or entered-in-error",
            ));
        }
        _ => {
            return Err(
                method.refuse(RefusalCode::Unsupported, "a bundle may hold POST, and PUT of a Consent")
            );
        }
    };
    let json = resource.json();
    let found = json.member("resourceType").and_then(Json::text).unwrap_or_default();
    let addressed = address.split('/').next().unwrap_or_default();
    if found != addressed {
        return Err(
            url.refuse(RefusalCode::WrongResource, "the address is of another type than the resource")
        );
    }
    let same_id = |id: &String| resource_name(json).is_some_and(|name| name.ends_with(&format!("/{id}")));
    if replaces.as_ref().is_some_and(|(_, id)| !same_id(id)) {
        return Err(resource.refuse_child("id", RefusalCode::Unsupported, "the id is that of the address"));
    }
    let prefix = resource.name().to_owned();
    let outcomes =
        read_resource(json, context).into_iter().map(|outcome| within(outcome, found, &prefix)).collect();
    Ok(Entry { replaces, outcomes })
}

/// A refusal's element, named from the bundle: `Consent.provision` is `Bundle.entry[2].resource.provision`.
fn within(outcome: Outcome, resource_type: &str, prefix: &str) -> Outcome {
    match outcome {
        Outcome::Refused(refusal) => {
            let rest = refusal.element.strip_prefix(resource_type).filter(|_| !resource_type.is_empty());
            let element = rest.map_or_else(|| prefix.to_owned(), |rest| format!("{prefix}{rest}"));
            Outcome::Refused(Refusal { element, ..refusal })
        }
        other => other,
    }
}

fn refused(outcome: &Outcome) -> Option<&Refusal> {
    match outcome {
        Outcome::Refused(refusal) => Some(refusal),
        _ => None,
    }
}

fn in_body(refusal: Refusal) -> Refusal {
    Refusal { element: "body".into(), ..refusal }
}

fn not_fhir() -> Refusal {
    Refusal {
        code: RefusalCode::NotFhir,
        element: "body".into(),
        message: "not a FHIR resource: it has no resourceType".into(),
    }
}
