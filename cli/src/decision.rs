//! What commands about decisions share: requests and policies from JSON, rules from files, answers in words.
//!
//! The request's JSON form is `docs/spec/decision-request.md`. A policy file names what differs from
//! the first policy of a network. Codes of the pinned terminology may be written by themselves (`"TREAT"`);
//! every other code is written with its system.
//!
//! Deliberately absent: deciding (`custos-decide`), reading FHIR (`custos-custodian`), and what comes from the
//! ledger ([`crate::evidence`], [`crate::gathered`]).

use std::path::{Path, PathBuf};

use clap::Args;
use custos_api::written;
use custos_custodian::fhir::{self, Options, Outcome as Read};
use custos_decide::answer::{Answer, ItemAnswer};
use custos_decide::facts::{Content, Eligibility, Facts, ListedRule, Roster};
use custos_decide::request::{ActorSet, Emergency, Item, MAX_ITEMS, Request, Scope, Standing};
use custos_decide::terminology::Terminology;
use custos_proof::cbor::Wire as _;
use custos_proof::given::{Given, GivenError};
use custos_proof::hash::ItemHash;
use custos_proof::ids::{FAR, Height, LogIndex, ParticipantId, Random16, TimeMs};
use custos_proof::kinds::rule::Collected;
use custos_proof::policy::{Assurance, DecisionPolicy};
use custos_proof::sealed_values::{ActionKind, Coding, Moment, Party, RelationshipKind, RuleBody, Token};

use crate::exit::{Failed, Outcome, While as _};
use crate::files;

/// The largest request or policy, in bytes.
const MAX_DOCUMENT: usize = 4 * 1024 * 1024;
/// Where the form of these documents is written down.
const FORM: &str = "docs/spec/decision-request.md has the form, with examples";

/// Which policy decides.
#[derive(Debug, Clone, Args)]
pub(crate) struct PolicyArgs {
    /// The policy as JSON: what differs from the first policy of a network; without it, that one
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// The policy's version, to stand in the answer
    #[arg(long, value_name = "NUMBER")]
    policy_version: Option<u64>,
    /// Where the custodian is (ISO 3166-1 alpha-2); by default EU
    #[arg(long, value_name = "COUNTRY")]
    jurisdiction: Option<String>,
    /// The address that relative references belong to; by default https://CUSTODIAN/fhir
    #[arg(long, value_name = "URL")]
    base: Option<String>,
}

impl PolicyArgs {
    /// Whether anything is said that the ledger says, too.
    pub(crate) fn is_given(&self) -> bool {
        self.policy.is_some() || self.policy_version.is_some() || self.jurisdiction.is_some()
    }

    /// The policy.
    pub(crate) fn read(&self) -> Outcome<DecisionPolicy> {
        match &self.policy {
            None => Ok(DecisionPolicy::initial()),
            Some(path) => policy(&document(path)?).map_err(|error| in_file(path, &error)),
        }
    }

    /// The facts without any rule.
    pub(crate) fn facts<'a>(
        &self,
        policy: &'a DecisionPolicy,
        custodian: &ParticipantId,
        height: Height,
        time: TimeMs,
    ) -> Facts<'a> {
        Facts {
            height,
            time,
            policy_version: self.policy_version.unwrap_or(1),
            policy,
            terminology: Terminology::shipped(),
            jurisdiction: self.jurisdiction.clone().unwrap_or_else(|| "EU".into()),
            base: self.base(custodian),
            eligibility: Eligibility {
                key_is_valid: true,
                participant_is_active: true,
                roster: Roster::NoneCommitted,
            },
            rules: Vec::new(),
            missing_trails: 0,
            representatives: Vec::new(),
            permits: Vec::new(),
        }
    }

    /// The address that relative references belong to.
    pub(crate) fn base(&self, custodian: &ParticipantId) -> String {
        self.base.clone().unwrap_or_else(|| format!("https://{custodian}/fhir"))
    }

    /// The rules of FHIR Consent files, in the order in which they are named.
    ///
    /// # Errors
    /// A file that gives no rule, with the element because of which.
    pub(crate) fn consents(&self, paths: &[PathBuf], custodian: &ParticipantId) -> Outcome<Vec<ListedRule>> {
        // Periods are judged by the decision's own time, so none is over at intake.
        let options = Options { base: self.base(custodian), now: TimeMs(0), collected: Collected::Paper };
        let mut rules = Vec::new();
        for reading in fhir::read_paths(paths, &options) {
            let draft = match reading.outcome {
                Read::Rule(draft) => draft,
                Read::NotApplicable(_) => continue,
                Read::Event(_) => {
                    return Err(Failed::unable(format!("{}: an event is no rule", reading.location)));
                }
                Read::Refused(refusal) => {
                    return Err(Failed::unable(format!("{}: {refusal}", reading.location))
                        .hint("what is ambiguous is refused, not guessed: correct the consent"));
                }
            };
            let content = match &draft.body {
                RuleBody::Rule(rule) => Content::rule(draft.inner, rule.clone(), Terminology::shipped()),
                RuleBody::Nothing
                | RuleBody::ListsTrail(_)
                | RuleBody::Delegation(_)
                | RuleBody::Rekey(_)
                | RuleBody::Link(_) => {
                    return Err(Failed::unable(format!(
                        "{}: this consent has ended and says nothing that could be decided",
                        reading.location
                    )));
                }
            };
            let digest = draft.origin.digest;
            let id: [u8; 16] = digest.0[..16].try_into().could_not(|| "name a rule")?;
            rules.push(ListedRule {
                rule: Random16(id),
                version: 1,
                item: ItemHash(digest.0),
                position: LogIndex(rules.len() as u64 + 1),
                put: Height(0),
                expiry: FAR,
                ended: None,
                assurance: Assurance::CustodianAttested,
                author_was_valid: true,
                content,
            });
        }
        Ok(rules)
    }
}

/// A JSON document in a file.
pub(crate) fn document(path: &Path) -> Outcome<Given> {
    let bytes = files::read_up_to(path, MAX_DOCUMENT as u64)?;
    given_in(&bytes).map_err(|error| Failed::unable(format!("{}: {error}", path.display())).hint(FORM))
}

/// What a JSON document of bounded size says.
pub(crate) fn given_in(bytes: &[u8]) -> Result<Given, String> {
    if bytes.len() > MAX_DOCUMENT {
        return Err(format!("longer than {} MiB", MAX_DOCUMENT >> 20));
    }
    written::read(bytes).map_err(|error| format!("not read as JSON: {error}"))
}

/// An error in a document that somebody wrote.
pub(crate) fn in_file(path: &Path, error: &GivenError) -> Failed {
    Failed::unable(format!("{}: {error}", path.display())).hint(FORM)
}

/// The first policy with what a document says otherwise.
pub(crate) fn policy(said: &Given) -> Result<DecisionPolicy, GivenError> {
    let first = Given::from(&DecisionPolicy::initial().view());
    DecisionPolicy::from_given(&over(first, said))
}

/// Named values over others of the same names; names that are new stay, to be refused by the reader.
fn over(first: Given, said: &Given) -> Given {
    match (first, said) {
        (Given::Fields(mut first), Given::Fields(said)) => {
            for (name, value) in said {
                match first.iter_mut().find(|(known, _)| known == name) {
                    Some((_, known)) => *known = over(known.clone(), value),
                    None => first.push((name.clone(), value.clone())),
                }
            }
            Given::Fields(first)
        }
        (_, said) => said.clone(),
    }
}

/// A request as `docs/spec/decision-request.md` writes it.
pub(crate) fn request(said: &Given) -> Result<Request, GivenError> {
    let named = said.fields(&[
        "custodian",
        "actor",
        "purpose",
        "action",
        "emergency",
        "relationship",
        "permit",
        "items",
    ])?;
    Ok(Request {
        custodian: named.field("custodian", participant)?,
        actor: named.field("actor", actor)?,
        purpose: named.field("purpose", code)?,
        action: named.field("action", |said| said.parse("an action, such as read", ActionKind::from_word))?,
        emergency: named.field("emergency", |said| optional(said, emergency))?,
        relationship: named.field("relationship", |said| {
            optional(said, |said| {
                said.parse("a care relationship, such as encounter", RelationshipKind::from_word)
            })
        })?,
        permit: named.field("permit", |said| optional(said, Random16::from_given))?,
        scope: match named.has("items") {
            false => Scope::Unscoped,
            true => Scope::Items(named.field("items", |said| each(said, MAX_ITEMS, item))?),
        },
    })
}

fn actor(said: &Given) -> Result<ActorSet, GivenError> {
    let named = said.fields(&["standing", "participant", "members", "roles"])?;
    let roles: Vec<Coding> = named.field("roles", |said| many(said, code))?;
    Ok(ActorSet {
        standing: named.field("standing", |said| {
            said.parse("clinician, staff, subject, representative or data-user", Standing::from_word)
        })?,
        participant: named.field("participant", participant)?,
        members: named.field("members", |said| many(said, party))?,
        roles: roles
            .into_iter()
            .filter_map(|role| {
                let codings = custos_proof::cbor::List::new(vec![role])?;
                Some(custos_proof::sealed_values::Concept { codings, text: None })
            })
            .collect(),
    })
}

fn emergency(said: &Given) -> Result<Emergency, GivenError> {
    let named = said.fields(&["declared", "justified", "attested"])?;
    let flag = |said: &Given| Ok(optional(said, bool::from_given)?.unwrap_or(false));
    Ok(Emergency {
        declared_ms: named.field("declared", Given::time)?.0,
        is_justified: named.field("justified", flag)?,
        is_attested: named.field("attested", flag)?,
    })
}

pub(crate) fn item(said: &Given) -> Result<Item, GivenError> {
    let named = said.fields(&[
        "id",
        "categories",
        "codes",
        "labels",
        "authors",
        "date",
        "related",
        "depends_on",
        "origin",
    ])?;
    Ok(Item {
        id: named.field("id", |said| {
            Ok(optional(said, |said| said.text("an address").map(str::to_owned))?.unwrap_or_default())
        })?,
        categories: named.field("categories", |said| many(said, code))?,
        codes: named.field("codes", |said| many(said, code))?,
        labels: named.field("labels", |said| many(said, code))?,
        authors: match named.has("authors") {
            false => None,
            true => Some(named.field("authors", |said| many(said, party))?),
        },
        date: named.field("date", |said| {
            optional(said, |said| said.parse("a date such as 2022-06 or 2022-06-13T10:00:00Z", Moment::new))
        })?,
        related: named.field("related", |said| many(said, party))?,
        depends_on: named.field("depends_on", |said| many(said, party))?,
        origin: named.field("origin", |said| optional(said, participant))?,
    })
}

/// The most members of any list of an item or actor.
const MAX_MEMBERS: usize = 64;

fn each<T>(
    said: &Given,
    max: usize,
    read: impl Fn(&Given) -> Result<T, GivenError>,
) -> Result<Vec<T>, GivenError> {
    let read = |(place, said): (usize, &Given)| read(said).map_err(|error| error.within(&place.to_string()));
    said.list(max)?.iter().enumerate().map(read).collect()
}

pub(crate) fn many<T>(
    said: &Given,
    read: impl Fn(&Given) -> Result<T, GivenError>,
) -> Result<Vec<T>, GivenError> {
    Ok(optional(said, |said| each(said, MAX_MEMBERS, read))?.unwrap_or_default())
}

pub(crate) fn optional<T>(
    said: &Given,
    read: impl FnOnce(&Given) -> Result<T, GivenError>,
) -> Result<Option<T>, GivenError> {
    match said {
        Given::Nothing => Ok(None),
        said => read(said).map(Some),
    }
}

fn participant(said: &Given) -> Result<ParticipantId, GivenError> {
    said.parse("a participant id, such as hospital-a.example", |text| text.parse().ok())
}

/// A code by itself, when the terminology has it; else with its system.
pub(crate) fn code(said: &Given) -> Result<Coding, GivenError> {
    match said {
        Given::Text(text) => known(text).ok_or_else(|| {
            GivenError::expected("a code of the terminology, or {\"system\": ..., \"code\": ...}", said)
        }),
        said => Coding::from_given(said),
    }
}

/// A code of the pinned terminology, by itself.
pub(crate) fn known(text: &str) -> Option<Coding> {
    let system = Terminology::shipped().system_of(text)?;
    Some(Coding { system: Token::new(system), code: Token::new(text)?, display: None })
}

/// An address by itself, or a party with an identifier.
pub(crate) fn party(said: &Given) -> Result<Party, GivenError> {
    match said {
        Given::Text(text) => Token::new(text)
            .map(|reference| Party { reference: Some(reference), ..Party::default() })
            .ok_or_else(|| GivenError::expected("an address such as Practitioner/17", said)),
        said => Party::from_given(said),
    }
}

/// An item's answer in words: the outcome, why, and what would change it.
pub(crate) fn words_of_item(answer: &ItemAnswer) -> String {
    let overridden = if answer.is_override { " (overriding)" } else { "" };
    let mut text = format!("{}{overridden}: {}\n", answer.outcome, answer.ground.word());
    for rule in &answer.basis {
        let path = rule.nested.map_or_else(|| "root".to_owned(), |nested| format!("nested rule {nested}"));
        text.push_str(&format!("  by rule {}@{}, {path}\n", rule.rule, rule.version));
    }
    if let Some(assurance) = answer.assurance {
        text.push_str(&format!("  assurance: {assurance}\n"));
    }
    for alternative in &answer.changes {
        let steps: Vec<String> = alternative.iter().map(|step| step.words()).collect();
        text.push_str(&format!("  would change if {}\n", steps.join(", and ")));
    }
    text
}

/// An answer in words.
pub(crate) fn words(answer: &Answer, request: &Request) -> String {
    let mut text = String::new();
    match &request.scope {
        Scope::Items(items) => {
            for (item, answer) in items.iter().zip(&answer.items) {
                let name = if item.id.is_empty() { "the data" } else { &item.id };
                text.push_str(&format!("{name}  {}", words_of_item(answer)));
            }
        }
        Scope::Unscoped => answer.items.iter().for_each(|answer| text.push_str(&words_of_item(answer))),
    }
    if let Some(residual) = &answer.residual {
        text.push_str(&format!(
            "  each item is asked a list of {} clauses, from the top; --json shows it\n",
            residual.clauses.len()
        ));
    }
    for obligation in &answer.obligations {
        text.push_str(&format!("with  {}\n", obligation.words()));
    }
    text.push_str(&format!(
        "under policy {} ({}), as of block {}, {}\n",
        answer.policy_version,
        answer.combining,
        answer.height,
        crate::time::words(answer.time)
    ));
    text
}
