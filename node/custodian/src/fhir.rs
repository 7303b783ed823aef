//! Reads FHIR JSON, R4 (4.0.1) and R5 (5.0.0), and writes R4: the library behind `import fhir`, the
//! node's `/fhir` and the feed.
//!
//! In: files, bundles, folders and requests become drafts, or refusals that name the element. A
//! caller that has one document in memory uses [`read_bytes`], or [`read_request`] when it came over
//! HTTP; what an AuditEvent means is the same on every way in.
//!
//! Nothing is dropped in silence. Every file and every resource found gives one [`Reading`] at
//! least: a draft, a refusal with a stable code and the FHIRPath name of the element, or
//! "not applicable" for resources that are only there to be referred to. What a draft could not
//! carry is listed inside it.
//!
//! Consents are acts: what is ambiguous is refused, not guessed. AuditEvents are testimony: they are
//! refused only when they cannot be read as one, and marked where they are incomplete.
//!
//! Out: [`export`] writes what a seal holds as R4; [`catalogue`] finds it again in a vault.
//!
//! Deliberately absent: XML, validation against profiles beyond what decides completeness, and
//! fetching anything from anywhere.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use custos_proof::hash::Digest;
use custos_proof::ids::TimeMs;
use custos_proof::kinds::rule::Collected;
use custos_proof::sealed_values::{Party, Prose, Token};
use sha2::{Digest as _, Sha256};

use crate::draft::{AccessEventDraft, Origin, RuleDraft, SubjectKey};
use crate::import::{event_subject, rule_subject};
use crate::vault::{MAX_NAME, MAX_NAMES};

mod audit_event;
pub mod balp;
pub mod catalogue;
mod consent;
mod datatypes;
mod element;
pub mod export;
mod json;
pub mod outcome;
pub mod query;
mod release;
pub mod request;
pub mod search;

use element::Element;
use json::Json;
pub use release::Release;

/// The largest file that is read.
pub const MAX_FILE: u64 = 16 * 1024 * 1024;
/// The most entries of one bundle.
pub const MAX_ENTRIES: usize = 100_000;
/// The most files of one import.
pub const MAX_FILES: usize = 1_000_000;
/// The deepest folder below a given path.
pub const MAX_FOLDER_DEPTH: usize = 16;

/// What the reader has to be told.
#[derive(Debug, Clone)]
pub struct Options {
    /// The address of the server that relative references belong to; part of every subject's name.
    pub base: String,
    /// The time by which a consent's period is over.
    pub now: TimeMs,
    /// How consents are collected when their source does not say.
    pub collected: Collected,
}

/// One resource, or one file that gave none.
#[derive(Debug, Clone)]
pub struct Reading {
    /// The file, and the place in it: `day1.json`, `bundle.json: Bundle.entry[3].resource`.
    pub location: String,
    /// `AuditEvent/17`, as far as it is known.
    pub resource: Option<String>,
    /// What it came to.
    pub outcome: Outcome,
}

/// What a resource came to.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// Testimony, ready to be sealed.
    Event(Box<AccessEventDraft>),
    /// A rule, ready to be sealed.
    Rule(Box<RuleDraft>),
    /// Nothing to record: why.
    NotApplicable(String),
    /// Not taken.
    Refused(Refusal),
}

/// Why a resource is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{element}: {message} ({code})")]
pub struct Refusal {
    /// For programs.
    pub code: RefusalCode,
    /// The element, as a FHIRPath: `Consent.provision.provision[0].type`.
    pub element: String,
    /// For people.
    pub message: String,
}

macro_rules! refusal_codes {
    ($( $(#[$meta:meta])* $variant:ident = $word:literal; )*) => {
        /// Stable names of the reasons.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum RefusalCode {
            $( $(#[$meta])* $variant, )*
        }

        impl RefusalCode {
            /// Every code.
            pub const ALL: &'static [RefusalCode] = &[$( RefusalCode::$variant, )*];

            /// The name that programs see.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self { $( RefusalCode::$variant => $word, )* }
            }
        }

        impl core::fmt::Display for RefusalCode {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str(self.word())
            }
        }
    };
}

refusal_codes! {
    /// The file could not be read.
    Unreadable = "unreadable";
    /// A bound is exceeded.
    TooLarge = "too-large";
    /// Not JSON, or JSON beyond the bounds.
    NotJson = "not-json";
    /// No `resourceType`.
    NotFhir = "not-fhir";
    /// Elements of R4 and of R5 in one resource.
    MixedReleases = "mixed-releases";
    /// A resource of another type than the request's address.
    WrongResource = "wrong-resource";
    /// An interaction that is not offered.
    Unsupported = "unsupported";
    /// An element that FHIR demands is absent.
    MissingElement = "missing-element";
    /// An element has another JSON type.
    WrongType = "wrong-type";
    /// Not a date of FHIR.
    MalformedDate = "malformed-date";
    /// A code outside a required value set.
    UnknownCode = "unknown-code";
    /// A bundle's entry asks for a deletion, or is from a history.
    NotARecord = "not-a-record";
    /// A consent names no subject.
    MissingPatient = "missing-patient";
    /// The source's state says that the consent is not in force.
    NotInForce = "not-in-force";
    /// The consent is not about access to data.
    ScopeNotCarried = "scope-not-carried";
    /// The root of the rules neither permits nor denies.
    NoBaseEffect = "no-base-effect";
    /// A rule below a nested rule.
    NestedTooDeep = "nested-too-deep";
    /// A nested rule leaves the root's actors, purposes or period.
    NestedWider = "nested-wider";
    /// A rule in the form of an expression.
    ExpressionUnsupported = "expression-unsupported";
    /// An element of a rule that would change its meaning and is not understood.
    NotUnderstood = "not-understood";
    /// A period ends before it begins.
    PeriodInverted = "period-inverted";
    /// The rule has expired.
    PeriodOver = "period-over";
    /// The document belongs to another custodian.
    OtherCustodian = "other-custodian";
    /// An ending for which there is no beginning.
    NothingToEnd = "nothing-to-end";
    /// The names of one subject belong to several.
    ConflictingIdentity = "conflicting-identity";
}

/// Reads files and folders.
#[must_use]
pub fn read_paths(paths: &[PathBuf], options: &Options) -> Vec<Reading> {
    let mut readings = Vec::new();
    for_each(paths, options, &mut |reading| readings.push(reading));
    readings
}

/// Reads files and folders and hands over each reading as it is made, in the order of the paths and,
/// within a folder, of the file names.
///
/// Every file is read twice: first for what others refer to, then for what it records; so that the
/// memory needed does not grow with the number of records.
pub fn for_each(paths: &[PathBuf], options: &Options, sink: &mut dyn FnMut(Reading)) {
    let (files, left_out) = find_files(paths);
    let mut index = Index::default();
    for file in &files {
        if let Ok(json) = load(file) {
            index.add_file(&json, file, options);
        }
    }
    for file in &files {
        match load(file) {
            Ok(json) => read_document(&json, file, &index, options, sink),
            Err(refusal) => {
                sink(Reading { location: display(file), resource: None, outcome: Outcome::Refused(refusal) })
            }
        }
    }
    left_out.into_iter().for_each(sink);
}

/// Reads one document from memory: a resource or a bundle.
#[must_use]
pub fn read_bytes(name: &str, bytes: &[u8], options: &Options) -> Vec<Reading> {
    let path = Path::new(name);
    let mut readings = Vec::new();
    match parse(bytes) {
        Ok(json) => {
            let mut index = Index::default();
            index.add_file(&json, path, options);
            read_document(&json, path, &index, options, &mut |reading| readings.push(reading));
        }
        Err(refusal) => readings.push(Reading {
            location: name.into(),
            resource: None,
            outcome: Outcome::Refused(refusal),
        }),
    }
    readings
}

/// The files to read, and a reading for everything else that was found.
fn find_files(paths: &[PathBuf]) -> (Vec<PathBuf>, Vec<Reading>) {
    let mut files = Vec::new();
    let mut left_out = Vec::new();
    let mut stack: Vec<(PathBuf, usize)> = paths.iter().rev().map(|path| (path.clone(), 0)).collect();
    let unreadable = |path: &Path, why: String| Reading {
        location: display(path),
        resource: None,
        outcome: Outcome::Refused(Refusal {
            code: RefusalCode::Unreadable,
            element: "file".into(),
            message: why,
        }),
    };
    while let Some((path, depth)) = stack.pop() {
        // A link inside a folder may lead anywhere, itself included; one that was named is meant.
        let metadata = if depth == 0 { path.metadata() } else { path.symlink_metadata() };
        match metadata {
            Err(error) => left_out.push(unreadable(&path, error.to_string())),
            Ok(_) if files.len() >= MAX_FILES => {
                left_out.push(unreadable(&path, format!("more than {MAX_FILES} files")))
            }
            Ok(found) if found.is_dir() && depth >= MAX_FOLDER_DEPTH => {
                left_out.push(unreadable(&path, format!("folders nested deeper than {MAX_FOLDER_DEPTH}")));
            }
            Ok(found) if found.is_dir() => {
                match std::fs::read_dir(&path).and_then(Iterator::collect::<Result<Vec<_>, _>>) {
                    Ok(mut entries) => {
                        entries.sort_by_key(std::fs::DirEntry::file_name);
                        stack.extend(entries.into_iter().rev().map(|entry| (entry.path(), depth + 1)));
                    }
                    Err(error) => left_out.push(unreadable(&path, error.to_string())),
                }
            }
            Ok(found) if found.is_file() && (depth == 0 || is_json(&path)) => files.push(path),
            Ok(_) => left_out.push(Reading {
                location: display(&path),
                resource: None,
                outcome: Outcome::NotApplicable("not a .json file".into()),
            }),
        }
    }
    (files, left_out)
}

fn is_json(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json"))
}

fn display(path: &Path) -> String {
    path.display().to_string()
}

fn load(file: &Path) -> Result<Json, Refusal> {
    let unreadable = |error: std::io::Error| Refusal {
        code: RefusalCode::Unreadable,
        element: "file".into(),
        message: error.to_string(),
    };
    let mut bytes = Vec::new();
    File::open(file).map_err(unreadable)?.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    parse(&bytes)
}

fn parse(bytes: &[u8]) -> Result<Json, Refusal> {
    if bytes.len() as u64 > MAX_FILE {
        let message = format!("larger than {} MiB; split the bundle", MAX_FILE >> 20);
        return Err(Refusal { code: RefusalCode::TooLarge, element: "file".into(), message });
    }
    Json::parse(bytes).map_err(|error| Refusal {
        code: RefusalCode::NotJson,
        element: "file".into(),
        message: error.to_string(),
    })
}

fn read_document(json: &Json, file: &Path, index: &Index, options: &Options, sink: &mut dyn FnMut(Reading)) {
    let context = Context { index, options, file, release: None };
    let one = |sink: &mut dyn FnMut(Reading), location: String, resource: &Json| {
        for outcome in read_resource(resource, &context) {
            sink(Reading { location: location.clone(), resource: resource_name(resource), outcome });
        }
    };
    if json.member("resourceType").and_then(Json::text) != Some("Bundle") {
        return one(sink, display(file), json);
    }
    let refuse = |element: String, code, message: &str| {
        Outcome::Refused(Refusal { code, element, message: message.into() })
    };
    let bundle = |outcome| Reading { location: display(file), resource: resource_name(json), outcome };
    match json.member("entry") {
        None => sink(bundle(Outcome::NotApplicable("a bundle without entries".into()))),
        Some(Json::Array(entries)) if entries.len() > MAX_ENTRIES => {
            sink(bundle(refuse(
                "Bundle.entry".into(),
                RefusalCode::TooLarge,
                &format!("more than {MAX_ENTRIES} entries"),
            )));
        }
        Some(Json::Array(entries)) => {
            for (n, entry) in entries.iter().enumerate() {
                let element = format!("Bundle.entry[{n}]");
                let location = format!("{}: {element}", display(file));
                let method =
                    entry.member("request").and_then(|request| request.member("method")).and_then(Json::text);
                match (entry.member("resource"), method) {
                    (_, Some("DELETE")) => sink(Reading {
                        location,
                        resource: None,
                        outcome: refuse(
                            format!("{element}.request.method"),
                            RefusalCode::NotARecord,
                            "a deletion is not a record; end the consent instead",
                        ),
                    }),
                    (Some(resource), _) => one(sink, format!("{location}.resource"), resource),
                    (None, _) => sink(Reading {
                        location,
                        resource: None,
                        outcome: refuse(
                            format!("{element}.resource"),
                            RefusalCode::MissingElement,
                            "the entry has no resource",
                        ),
                    }),
                }
            }
        }
        Some(_) => sink(bundle(refuse("Bundle.entry".into(), RefusalCode::WrongType, "expected an array"))),
    }
}

/// What the mapping of one resource may look at.
pub(crate) struct Context<'a> {
    index: &'a Index,
    options: &'a Options,
    file: &'a Path,
    release: Option<Release>,
}

fn read_resource(json: &Json, context: &Context<'_>) -> Vec<Outcome> {
    let refused = |refusal| vec![Outcome::Refused(refusal)];
    match json.member("resourceType").and_then(Json::text) {
        Some("AuditEvent") => match audit_event::read(json, context) {
            Ok(drafts) => drafts
                .into_iter()
                .map(|draft| match unkept(&draft.subject, event_subject(&draft)) {
                    Some(refusal) => Outcome::Refused(refusal),
                    None => Outcome::Event(Box::new(draft)),
                })
                .collect(),
            Err(refusal) => refused(refusal),
        },
        Some("Consent") => match consent::read(json, context) {
            Ok(draft) => match unkept(&draft.subject, rule_subject(&draft)) {
                Some(refusal) => refused(refusal),
                None => vec![Outcome::Rule(Box::new(draft))],
            },
            Err(refusal) => refused(refusal),
        },
        Some("Bundle") => refused(Refusal {
            code: RefusalCode::NestedTooDeep,
            element: "Bundle".into(),
            message: "a bundle inside a bundle".into(),
        }),
        Some(other) if is_type_name(other) => {
            vec![Outcome::NotApplicable(format!(
                "{other} is neither a Consent nor an AuditEvent; used only where those refer to it"
            ))]
        }
        _ => refused(Refusal {
            code: RefusalCode::NotFhir,
            element: "resourceType".into(),
            message: "not a FHIR resource".into(),
        }),
    }
}

/// Why the vault cannot keep a subject's names. They may come from a Patient resource, whose identifiers
/// have no bound of their own.
fn unkept(names: &[SubjectKey], element: &str) -> Option<Refusal> {
    let is_too_long = names.iter().any(|name| name.as_str().len() > MAX_NAME);
    (is_too_long || names.len() > MAX_NAMES).then(|| Refusal {
        code: RefusalCode::TooLarge,
        element: element.into(),
        message: format!("the patient has more than {MAX_NAMES} names, or one longer than {MAX_NAME} bytes"),
    })
}

fn is_type_name(text: &str) -> bool {
    text.len() <= 64
        && text.starts_with(|c: char| c.is_ascii_uppercase())
        && text.bytes().all(|c| c.is_ascii_alphanumeric())
}

fn is_id(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-' || c == b'.')
}

/// `AuditEvent/17`, if type and id are there.
fn resource_name(json: &Json) -> Option<String> {
    let resource_type = json.member("resourceType").and_then(Json::text).filter(|name| is_type_name(name))?;
    match json.member("id").and_then(Json::text).filter(|id| is_id(id)) {
        Some(id) => Some(format!("{resource_type}/{id}")),
        None => Some(resource_type.into()),
    }
}

impl Context<'_> {
    /// Where a resource comes from; its content names it when it has no id.
    fn origin(&self, json: &Json) -> Origin {
        // A server's bookkeeping (version, time of last update) and its narrative are no content.
        let mut hasher = Sha256::new();
        if let Json::Object(members) = json {
            let mut content: Vec<_> =
                members.iter().filter(|(name, _)| name != "meta" && name != "text").collect();
            content.sort_by_key(|(name, _)| name);
            for (name, value) in content {
                Json::Text(name.clone()).canonical(&mut |bytes| hasher.update(bytes));
                value.canonical(&mut |bytes| hasher.update(bytes));
            }
        }
        let digest = Digest(hasher.finalize().into());
        let name = match resource_name(json) {
            Some(name) if name.contains('/') => self.absolute(&name),
            Some(name) => format!("{}#{digest}", self.absolute(&name)),
            None => digest.to_string(),
        };
        Origin { name, digest }
    }

    /// A reference as an absolute address without its version.
    pub(crate) fn absolute(&self, reference: &str) -> String {
        absolute(reference, &self.options.base)
    }

    /// A reference whose address says to which server it belongs, for tables of organisations.
    pub(crate) fn located(&self, party: &Party) -> Party {
        let reference =
            party.reference.as_deref().and_then(|reference| Token::new(&self.absolute(reference)));
        Party { reference, ..party.clone() }
    }

    /// All names of the person that a reference means.
    pub(crate) fn subject(&self, party: &Party, resource: &Json) -> Vec<SubjectKey> {
        let mut keys = Vec::new();
        if let Some(identifier) = &party.identifier {
            let system = identifier.system.as_deref().unwrap_or(&self.options.base);
            keys.extend(identifier.value.as_ref().map(|value| SubjectKey::identifier(system, value)));
        }
        if let Some(reference) = party.reference.as_deref() {
            match reference.strip_prefix('#') {
                Some(id) => keys.extend(
                    contained(resource, id)
                        .into_iter()
                        .flat_map(|patient| patient_keys(patient, self.options)),
                ),
                None => {
                    let found = self.index.resolve(&self.absolute(reference), self.file);
                    let known = found.map_or(&[][..], |entry| &entry.patient);
                    // An address that only this bundle knows names nobody once there is a better name.
                    if known.is_empty() || !reference.starts_with("urn:") {
                        keys.push(SubjectKey::address(&self.absolute(reference)));
                    }
                    keys.extend_from_slice(known);
                }
            }
        }
        keys.sort();
        keys.dedup();
        keys
    }

    /// The document that a reference means, if it is among what was read.
    pub(crate) fn document(&self, party: &Party, resource: &Json) -> Option<Document> {
        let reference = party.reference.as_deref()?;
        match reference.strip_prefix('#') {
            Some(id) => contained(resource, id).and_then(document),
            None => self.index.resolve(&self.absolute(reference), self.file)?.document.clone(),
        }
    }

    pub(crate) fn now(&self) -> TimeMs {
        self.options.now
    }

    /// The release that the transport stated.
    pub(crate) fn release(&self) -> Option<Release> {
        self.release
    }

    pub(crate) fn collected(&self) -> Collected {
        self.options.collected
    }
}

fn absolute(reference: &str, base: &str) -> String {
    let reference = reference.split("/_history/").next().unwrap_or(reference);
    // RFC 3986: a scheme before the first colon makes it absolute.
    let is_absolute = reference.split_once(':').is_some_and(|(scheme, _)| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.bytes().all(|c| c.is_ascii_alphanumeric() || b"+-.".contains(&c))
    });
    if is_absolute { reference.into() } else { format!("{}/{reference}", base.trim_end_matches('/')) }
}

fn contained<'a>(resource: &'a Json, id: &str) -> Option<&'a Json> {
    match resource.member("contained")? {
        Json::Array(resources) => {
            resources.iter().find(|found| found.member("id").and_then(Json::text) == Some(id))
        }
        _ => None,
    }
}

/// What resources refer to, by absolute address.
#[derive(Debug, Default)]
struct Index(HashMap<String, Vec<Entry>>);

/// A resource that others may refer to.
#[derive(Debug)]
struct Entry {
    file: PathBuf,
    patient: Vec<SubjectKey>,
    document: Option<Document>,
}

/// What a DocumentReference or an attachment says about a source document.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Document {
    pub(crate) title: Option<Prose<4096>>,
    pub(crate) media_type: Option<Token>,
    pub(crate) url: Option<Token>,
    pub(crate) hash: Option<Digest>,
}

impl Index {
    fn add_file(&mut self, json: &Json, file: &Path, options: &Options) {
        match (json.member("resourceType").and_then(Json::text), json.member("entry")) {
            (Some("Bundle"), Some(Json::Array(entries))) => {
                for entry in entries.iter().take(MAX_ENTRIES) {
                    let full_url = entry.member("fullUrl").and_then(Json::text);
                    if let Some(resource) = entry.member("resource") {
                        self.add(resource, full_url, file, options);
                    }
                }
            }
            _ => self.add(json, None, file, options),
        }
    }

    fn add(&mut self, resource: &Json, full_url: Option<&str>, file: &Path, options: &Options) {
        let patient = patient_keys(resource, options);
        let document = document(resource);
        if patient.is_empty() && document.is_none() {
            return;
        }
        let own = resource_name(resource)
            .filter(|name| name.contains('/'))
            .map(|name| absolute(&name, &options.base));
        let mut addresses: Vec<String> =
            full_url.map(|url| absolute(url, &options.base)).into_iter().chain(own).collect();
        addresses.dedup();
        for address in addresses {
            let entry = Entry { file: file.into(), patient: patient.clone(), document: document.clone() };
            self.0.entry(address).or_default().push(entry);
        }
    }

    /// The resource of this address: in the same file, else in the same folder, else anywhere; and only
    /// if there is exactly one, because two resources of one name are two guesses.
    fn resolve(&self, address: &str, file: &Path) -> Option<&Entry> {
        let found = self.0.get(address)?;
        let nearness: [&dyn Fn(&Entry) -> bool; 3] =
            [&|entry| entry.file == file, &|entry| entry.file.parent() == file.parent(), &|_| true];
        let nearest = nearness
            .into_iter()
            .map(|near| found.iter().filter(|entry| near(entry)).collect::<Vec<_>>())
            .find(|near| !near.is_empty())?;
        match nearest[..] {
            [only] => Some(only),
            _ => None,
        }
    }
}

/// The identifiers of a Patient.
fn patient_keys(resource: &Json, options: &Options) -> Vec<SubjectKey> {
    let Some(Json::Array(identifiers)) = resource.member("identifier") else { return Vec::new() };
    if resource.member("resourceType").and_then(Json::text) != Some("Patient") {
        return Vec::new();
    }
    let key = |identifier: &Json| {
        let system = identifier.member("system").and_then(Json::text).unwrap_or(&options.base);
        identifier.member("value").and_then(Json::text).map(|value| SubjectKey::identifier(system, value))
    };
    identifiers.iter().take(64).filter_map(key).collect()
}

/// What a DocumentReference says about its first attachment.
fn document(resource: &Json) -> Option<Document> {
    if resource.member("resourceType").and_then(Json::text) != Some("DocumentReference") {
        return None;
    }
    match resource.member("content")? {
        Json::Array(contents) => contents.first()?.member("attachment").map(attachment),
        _ => None,
    }
}

/// `Attachment`.
pub(crate) fn attachment(json: &Json) -> Document {
    let text = |name| json.member(name).and_then(Json::text);
    let data = text("data").and_then(|data| datatypes::base64(data, MAX_FILE as usize));
    Document {
        title: text("title").and_then(Prose::new),
        media_type: text("contentType").and_then(Token::new),
        url: text("url").and_then(Token::new),
        hash: data.map(|data| Digest(Sha256::digest(&data).into())),
    }
}

/// The list of elements that were not carried, as it stands in an item: bounded, the last one counting the rest.
pub(crate) fn not_carried<const MAX: usize>(resource: &Element<'_>) -> custos_proof::cbor::List<Token, MAX> {
    let names = resource.left_over();
    let token = |name: &str| {
        let safe: String = name.chars().map(|c| if c.is_control() { '?' } else { c }).take(200).collect();
        Token::new(&safe)
    };
    let mut tokens: Vec<Token> = names.iter().take(MAX).filter_map(|name| token(name)).collect();
    if names.len() > MAX {
        tokens.pop();
        tokens.extend(token(&format!("and {} more", names.len() - MAX + 1)));
    }
    custos_proof::cbor::List::new(tokens).unwrap_or_default()
}
