//! `custos rule`: what a patient wills, put into force, ended, and shown.

use std::path::PathBuf;

use clap::{ArgGroup, Args, Subcommand};
use custos_custodian::draft::{Intent, Origin, RuleDraft, expiry_after};
use custos_custodian::import::{self, Draft, Input, Organisations, Planning, Settings};
use custos_custodian::vault::{ItemEntry, ItemState, SubjectId, Vault};
use custos_decide::optout::{OPT_OUT, OptOutKind};
use custos_people::catalogue::Speaker;
use custos_people::event::finding;
use custos_people::names::Names;
use custos_people::rule::short_rule;
use custos_people::{say, value};
use custos_proof::cbor::{List, Wire as _};
use custos_proof::hash::{Digest, ItemHash, sha256};
use custos_proof::ids::{ParticipantId, Random16};
use custos_proof::item::Item;
use custos_proof::kinds::Fields;
use custos_proof::kinds::rule::Collected;
use custos_proof::sealed_values::{
    self, Actor, Concept, DataReference, Effect, Evidence, Format, Identifier, InnerKind, Moment, Party,
    Prose, Provision, Rule as Ruling, RuleBody, Source, Span, Token,
};
use serde_json::{Value, json};

use crate::commands::import::collected;
use crate::desk::{Desk, DeskArgs, OptionalPatient, PatientArgs, Sent, VaultArgs};
use crate::exit::{Exit, Failed, Outcome, While as _};
use crate::files;
use crate::render::json as render;
use crate::screen::Screen;
use crate::words;

/// Put a patient's rule into force, end it, or show it
#[derive(Debug, Subcommand)]
#[command(after_help = "Example:\n  custos rule show 5a0e...c1 --vault vault")]
pub(crate) enum Rule {
    Put(Box<Put>),
    End(End),
    Show(Show),
}

impl Rule {
    /// Runs the command.
    pub(crate) fn run(&self, screen: &Screen) -> Outcome {
        match self {
            Rule::Put(command) => command.run(screen),
            Rule::End(command) => command.run(screen),
            Rule::Show(command) => command.run(screen),
        }
    }
}

/// Record a rule of a patient
///
/// The rule is sealed: the ledger shows that this patient's custodian recorded some rule, not what it
/// says, nor whether it permits or restricts. A permission stands in the trail of each recipient
/// that is another participant, everything else in the patient's own trail.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("effect").required(true)))]
#[command(after_help = "Example:\n  \
    custos rule put --node http://127.0.0.1:7700 --key hospital-sign.key --vault vault \\\n    \
    --patient https://fhir.hospital.example/Patient/17 --permit --to lab.example --purpose TREAT --until 2027-06-30")]
pub(crate) struct Put {
    #[command(flatten)]
    desk: DeskArgs,
    #[command(flatten)]
    patient: PatientArgs,
    /// The patient permits it
    #[arg(long, group = "effect")]
    permit: bool,
    /// The patient restricts it
    #[arg(long, group = "effect")]
    deny: bool,
    /// The patient opts out: of primary use by others (primary; primary-absolute: emergencies included), or of secondary
    /// use under data permits that are issued later (secondary)
    #[arg(
        long, value_name = "KIND", group = "effect", value_parser = opt_out,
        conflicts_with_all = ["recipients", "purposes", "data", "documents", "until"]
    )]
    opt_out: Option<OptOutKind>,
    /// To whom; without it, to anybody the custodian serves; may be repeated
    #[arg(long = "to", value_name = "PARTICIPANT")]
    recipients: Vec<ParticipantId>,
    /// For which purpose, such as TREAT; may be repeated
    #[arg(long = "purpose", value_name = "CODE", value_parser = words::purpose_coding)]
    purposes: Vec<sealed_values::Coding>,
    /// For which codes of data, such as http://loinc.org|26436-6|laboratory results; may be repeated
    #[arg(long = "data", value_name = "CODE", value_parser = words::concept)]
    data: Vec<Concept>,
    /// For which documents, by address; may be repeated
    #[arg(long = "document", value_name = "ADDRESS", value_parser = document)]
    documents: Vec<Party>,
    /// Until when, as the patient said it: 2027-06-30
    #[arg(long, value_name = "DATE", value_parser = moment)]
    until: Option<Moment>,
    /// How the custodian came to know: paper, in-person, portal, e-signature
    #[arg(long, value_name = "HOW", default_value = "paper", value_parser = collected)]
    collected: Collected,
    /// The document that the patient signed; its hash is sealed with the rule
    #[arg(long, value_name = "FILE")]
    evidence: Option<PathBuf>,
}

/// End a rule, as the patient wills
///
/// The rule ends in every trail in which it was put from the same document.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  custos rule end 5a0e...c1 --node http://127.0.0.1:7700 --key hospital-sign.key --vault vault"
)]
pub(crate) struct End {
    /// The rule's id
    #[arg(value_name = "RULE")]
    rule: Random16,
    #[command(flatten)]
    desk: DeskArgs,
    /// How the custodian came to know: paper, in-person, portal, e-signature
    #[arg(long, value_name = "HOW", default_value = "paper", value_parser = collected)]
    collected: Collected,
}

/// Show what the vault knows about a rule, or all rules of a patient
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    custos rule show 5a0e...c1 --vault vault\n  \
    custos rule show --patient https://fhir.hospital.example/Patient/17 --vault vault")]
pub(crate) struct Show {
    /// The rule's id; without it, all rules of the patient
    #[arg(value_name = "RULE", required_unless_present_any = ["patient", "code"])]
    rule: Option<Random16>,
    #[command(flatten)]
    vault: VaultArgs,
    #[command(flatten)]
    patient: OptionalPatient,
}

impl Put {
    fn run(&self, screen: &Screen) -> Outcome {
        let mut desk = self.desk.open(screen)?;
        let draft = self.draft(&desk)?;
        let mut organisations = Organisations::default();
        self.recipients.iter().for_each(|id| organisations.add(id.as_str(), id.clone()));
        let (items, sent) = record(&mut desk, draft, organisations, screen)?;
        report(&desk.vault, &items, &sent, screen)
    }

    fn draft(&self, desk: &Desk) -> Outcome<RuleDraft> {
        let party = |id: &ParticipantId| Party {
            identifier: Some(Identifier { value: Prose::new(id.as_str()), ..Identifier::default() }),
            display: Prose::new(id.as_str()),
            ..Party::default()
        };
        let too_many = || Failed::unable("too many values for one rule; put several");
        let actor = |id: &ParticipantId| Actor { who: Some(party(id)), role: None };
        let reference =
            |what: &Party| DataReference { meaning: sealed_values::Meaning::Instance, what: what.clone() };
        let provision = Provision {
            effect: Some(if self.permit { Effect::Permit } else { Effect::Deny }),
            period: self.until.clone().map(|end| Span { start: None, end: Some(end) }),
            actors: List::new(self.recipients.iter().map(actor).collect()).ok_or_else(too_many)?,
            purposes: List::new(self.purposes.clone()).ok_or_else(too_many)?,
            codes: List::new(self.data.clone()).ok_or_else(too_many)?,
            data: List::new(self.documents.iter().map(reference).collect()).ok_or_else(too_many)?,
            ..Provision::default()
        };
        let source_hash =
            self.evidence.as_ref().map(|path| files::read(path).map(|bytes| sha256(&bytes))).transpose()?;
        Ok(RuleDraft {
            origin: new_origin()?,
            subject: self.patient.names(&desk.vault)?,
            intent: Intent::Put,
            inner: match self.opt_out {
                Some(_) => InnerKind::OptOut,
                None if self.permit => InnerKind::Grant,
                None => InnerKind::Restriction,
            },
            body: RuleBody::Rule(Ruling {
                root: Some(provision),
                categories: List::new(self.opt_out.into_iter().filter_map(opted_out).collect())
                    .ok_or_else(too_many)?,
                ..Ruling::default()
            }),
            evidence: Evidence { source_hash, record: entered_here(), ..Evidence::default() },
            collected: self.collected,
            expiry: expiry_after(self.until.as_ref()),
            // A restriction names nobody on the ledger, whomever it is about.
            recipients: if self.permit { self.recipients.iter().map(party).collect() } else { Vec::new() },
            organisations: Vec::new(),
        })
    }
}

impl End {
    fn run(&self, screen: &Screen) -> Outcome {
        let mut desk = self.desk.open(screen)?;
        let (_, entry) = find(&desk.vault, &self.rule)?;
        let stored = desk.vault.item(&entry.hash).could_not(|| "read the rule")?;
        let kind = stored.values.first().and_then(|bytes| InnerKind::from_bytes(bytes).ok());
        // A restriction or an opt-out is lifted, a permission revoked; clear is neither.
        let inner = match kind {
            Some(InnerKind::Restriction | InnerKind::OptOut) => InnerKind::Lift,
            _ => InnerKind::Revoke,
        };
        end(&mut desk, &self.rule, inner, self.collected, screen)
    }
}

/// Ends a rule in every trail in which it was put from the same document.
pub(crate) fn end(
    desk: &mut Desk,
    rule: &Random16,
    inner: InnerKind,
    collected: Collected,
    screen: &Screen,
) -> Outcome {
    let (subject, entry) = find(&desk.vault, rule)?;
    let stored = desk.vault.item(&entry.hash).could_not(|| "read the rule")?;
    let document = stored.source.rsplit_once('#').map_or(stored.source.as_str(), |(document, _)| document);
    let draft = RuleDraft {
        origin: Origin { name: document.to_owned(), digest: random_digest()? },
        subject: desk.vault.names(&subject).could_not(|| "read the vault")?.to_vec(),
        intent: Intent::End,
        inner,
        body: RuleBody::Nothing,
        evidence: Evidence { record: entered_here(), ..Evidence::default() },
        collected,
        expiry: custos_proof::ids::FAR,
        recipients: Vec::new(),
        organisations: Vec::new(),
    };
    let (items, sent) = record(desk, draft, Organisations::default(), screen)?;
    report(&desk.vault, &items, &sent, screen)
}

impl Show {
    fn run(&self, screen: &Screen) -> Outcome {
        let vault = self.vault.open()?;
        let entries: Vec<ItemEntry> = match (&self.rule, self.patient.named()) {
            (Some(rule), _) => vec![find(&vault, rule)?.1],
            (None, Some(patient)) => {
                let names = patient.names(&vault)?;
                let subject = vault.find(&names).could_not(|| "find the patient")?;
                let subject =
                    subject.ok_or_else(|| Failed::unable("the vault knows no patient of this name"))?;
                let items = vault.items(&subject).could_not(|| "read the vault")?;
                items.iter().filter(|item| item.rule.is_some()).cloned().collect()
            }
            (None, None) => return Err(Failed::unable("name a rule or a patient")),
        };
        let rules = entries
            .iter()
            .map(|entry| Shown::of(&vault, entry, screen.speaker()))
            .collect::<Outcome<Vec<_>>>()?;
        screen.result(
            |_| rules.iter().map(|rule| rule.words(screen.speaker())).collect::<Vec<_>>().join("\n"),
            || json!({ "rules": rules.iter().map(|rule| rule.json(screen.speaker())).collect::<Vec<_>>() }),
        );
        Ok(Exit::Done)
    }
}

/// A rule, as the vault knows it.
struct Shown {
    rule: Random16,
    item: ItemHash,
    state: ItemState,
    is_ended: bool,
    inner: String,
    body: String,
    evidence: String,
    clear: Value,
    ends: Vec<Random16>,
    expiry: String,
}

impl Shown {
    fn of(vault: &Vault, entry: &ItemEntry, s: &Speaker) -> Outcome<Self> {
        let stored = vault.item(&entry.hash).could_not(|| "read the rule")?;
        let item = Item::from_bytes(&stored.bytes).could_not(|| "read the rule's item")?;
        let Fields::RulePut(put) = &item.fields else {
            return Err(Failed::unable("this item is not a rule"));
        };
        let subject = vault.subject_of(&entry.hash);
        let ended = subject.map(|subject| import::ended_rules(vault, &subject)).unwrap_or_default();
        let names = Names::default();
        let field = |number: u8| {
            let value = stored.values.get(usize::from(number) - 1).map_or(&[][..], Vec::as_slice);
            value::field(item.kind(), number, value, s, &names)
        };
        Ok(Self {
            rule: put.rule,
            item: entry.hash,
            state: entry.state,
            is_ended: ended.contains(&put.rule),
            inner: field(1),
            body: field(2),
            evidence: field(3),
            ends: put.ends.to_vec(),
            expiry: s.minute(put.expiry),
            clear: render::of(&item),
        })
    }

    fn state(&self, s: &Speaker) -> String {
        match (self.state, self.is_ended) {
            (ItemState::Recorded(height), false) => {
                say!(s, "rule-state-recorded", height = height.to_string())
            }
            (ItemState::Recorded(height), true) => say!(s, "rule-state-ended", height = height.to_string()),
            (ItemState::Prepared, _) => say!(s, "rule-state-prepared"),
            (ItemState::Dropped, _) => say!(s, "rule-state-dropped"),
        }
    }

    fn words(&self, s: &Speaker) -> String {
        let mut lines = vec![
            (say!(s, "label-kind"), self.inner.clone()),
            (say!(s, "label-says"), self.body.clone()),
            (say!(s, "label-expires"), self.expiry.clone()),
        ];
        if !self.ends.is_empty() {
            let ends: Vec<String> = self.ends.iter().map(short_rule).collect();
            lines.push((say!(s, "label-ends"), s.all_of(&ends)));
        }
        lines.push((say!(s, "label-evidence"), self.evidence.clone()));
        lines.push((say!(s, "label-state"), self.state(s)));
        lines.push((say!(s, "label-item"), self.item.to_string()));
        let width = lines.iter().map(|(label, _)| label.chars().count()).max().unwrap_or(0);
        let lines = lines.iter().map(|(label, words)| format!("  {label:<width$}  {words}\n"));
        format!("{}\n{}", say!(s, "rule-id", id = self.rule.to_string()), lines.collect::<String>())
    }

    fn json(&self, s: &Speaker) -> Value {
        json!({
            "rule": self.rule.to_string(),
            "item": self.item.to_string(),
            "state": self.state(s),
            "ended": self.is_ended,
            "kind": self.inner,
            "says": self.body,
            "evidence": self.evidence,
            "stated": self.clear,
        })
    }
}

/// Seals one draft and records it.
pub(crate) fn record(
    desk: &mut Desk,
    draft: RuleDraft,
    organisations: Organisations,
    screen: &Screen,
) -> Outcome<(Vec<ItemHash>, Sent)> {
    let settings = Settings { organisations, ..Settings::history(desk.epoch) };
    let input = Input { location: "command line".into(), draft: Draft::Rule(Box::new(draft)) };
    let mut plan = import::plan(&mut desk.vault, vec![input], &settings).could_not(|| "seal the rule")?;
    let result = plan.dispositions.pop().map(|disposition| disposition.result);
    let items = match result {
        Some(Planning::Planned(items) | Planning::Recorded(items)) => items,
        Some(Planning::Refused(refusal)) => return Err(Failed::unable(refusal.message)),
        None => Vec::new(),
    };
    let sent = desk.carry_out(plan, &settings, screen)?;
    Ok((items, sent))
}

/// Says which rules were recorded.
pub(crate) fn report(vault: &Vault, items: &[ItemHash], sent: &Sent, screen: &Screen) -> Outcome {
    if let Some(why) = items.iter().find_map(|item| sent.refused.get(item)) {
        return Err(Failed::unable(format!("the ledger refused it: {why}")));
    }
    let rows: Vec<(ItemHash, Option<Random16>)> =
        items.iter().map(|item| (*item, vault.entry(item).and_then(|entry| entry.rule))).collect();
    let record = |item: &ItemHash| sent.recorded.get(item);
    let verdict = |item: &ItemHash| {
        record(item)
            .and_then(|r| r.as_item())
            .map_or_else(String::new, |entry| finding(&entry.verdict, screen.speaker()))
    };
    screen.result(
        |_| {
            let line = |(item, rule): &(ItemHash, Option<Random16>)| {
                let rule = rule.map_or_else(String::new, |rule| rule.to_string());
                let height = record(item).map_or_else(
                    || "recorded before".into(),
                    |record| format!("recorded in block {}", record.height),
                );
                format!("rule {rule}\n  item   {item}\n  state  {height}\n")
            };
            rows.iter().map(line).collect()
        },
        || {
            let row = |(item, rule): &(ItemHash, Option<Random16>)| {
                json!({
                    "rule": rule.map(|rule| rule.to_string()),
                    "item": item.to_string(),
                    "height": record(item).map(|record| record.height.0),
                    "finding": verdict(item),
                })
            };
            json!({ "rules": rows.iter().map(row).collect::<Vec<_>>() })
        },
    );
    Ok(Exit::Done)
}

/// A rule in the vault.
fn find(vault: &Vault, rule: &Random16) -> Outcome<(SubjectId, ItemEntry)> {
    let of = |subject: SubjectId| {
        let items = vault.items(&subject).unwrap_or_default();
        items.iter().find(|item| item.rule == Some(*rule)).map(|item| (subject, item.clone()))
    };
    vault.subjects().find_map(of).ok_or_else(|| Failed::unable(format!("the vault knows no rule {rule}")))
}

/// The name of something that was entered here and stands in no other system.
pub(crate) fn new_origin() -> Outcome<Origin> {
    let digest = random_digest()?;
    Ok(Origin { name: format!("urn:custos:entered:{digest}"), digest })
}

fn random_digest() -> Outcome<Digest> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).could_not(|| "draw random bytes")?;
    Ok(Digest(bytes))
}

/// Where a value comes from that was typed at a command line.
pub(crate) fn entered_here() -> Option<Source> {
    Some(Source { format: Some(Format::Direct), ..Source::default() })
}

fn opt_out(text: &str) -> Result<OptOutKind, String> {
    let kinds = [OptOutKind::Primary, OptOutKind::PrimaryAbsolute, OptOutKind::Secondary];
    kinds
        .into_iter()
        .find(|kind| kind.code() == text)
        .ok_or_else(|| "it is one of primary, primary-absolute, secondary".into())
}

/// The category of an opt-out's body that says what of.
fn opted_out(kind: OptOutKind) -> Option<Concept> {
    let coding =
        sealed_values::Coding { system: Token::new(OPT_OUT), code: Token::new(kind.code())?, display: None };
    Some(Concept { codings: List::new(vec![coding])?, text: None })
}

fn document(text: &str) -> Result<Party, String> {
    let reference = Token::new(text).ok_or_else(|| format!("{text:?} is no address"))?;
    Ok(Party { reference: Some(reference), ..Party::default() })
}

/// A moment as FHIR spells it.
pub(crate) fn moment(text: &str) -> Result<Moment, String> {
    Moment::new(text).ok_or_else(|| format!("{text:?} is no date; write 2027-06-30 or 2027-06-30T12:00:00Z"))
}
