//! `custos delegation`: who speaks for a patient, and that they no longer do.
//!
//! On the ledger a delegation looks like any rule in the patient's own trail: who represents whom,
//! since when and until when is sealed.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use custos_custodian::draft::{Intent, RuleDraft, expiry_after};
use custos_custodian::import::Organisations;
use custos_proof::cbor::List;
use custos_proof::hash::sha256;
use custos_proof::ids::{FAR, Random16};
use custos_proof::kinds::rule::Collected;
use custos_proof::sealed_values::{
    Delegation as Delegated, DelegationKind, Evidence, Identifier, InnerKind, Moment, Party, Prose, RuleBody,
    Scope, Span, Token,
};

use crate::commands::import::collected;
use crate::commands::rule::{end, entered_here, moment, new_origin, record, report};
use crate::desk::{DeskArgs, PatientArgs};
use crate::exit::{Failed, Outcome};
use crate::files;
use crate::screen::Screen;

/// Record who speaks for a patient, and that they no longer do
#[derive(Debug, Subcommand)]
#[command(after_help = "Example:\n  custos delegation grant --help")]
pub(crate) enum Delegation {
    Grant(Box<Grant>),
    Revoke(Revoke),
}

impl Delegation {
    /// Runs the command.
    pub(crate) fn run(&self, screen: &Screen) -> Outcome {
        match self {
            Delegation::Grant(command) => command.run(screen),
            Delegation::Revoke(command) => command.run(screen),
        }
    }
}

/// Record that somebody speaks for a patient
///
/// The ledger sees a rule in the patient's own trail, and nothing of what it says.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  \
    custos delegation grant --node http://127.0.0.1:7700 --key hospital-sign.key --vault vault \\\n    \
    --patient https://fhir.hospital.example/Patient/17 --delegate \"Maria Musterfrau\" --kind guardian \\\n    \
    --may see --may decide --ends-at 2031-05-04 --evidence court-order.pdf")]
pub(crate) struct Grant {
    #[command(flatten)]
    desk: DeskArgs,
    #[command(flatten)]
    patient: PatientArgs,
    /// Who speaks for the patient
    #[arg(long, value_name = "NAME")]
    delegate: String,
    /// Their address (RelatedPerson/3) or identifier (system|value), by which requests and events name them: without it
    /// a decision cannot recognise them
    #[arg(long = "delegate-id", value_name = "ADDRESS", value_parser = named)]
    delegate_id: Option<Party>,
    /// Access by this person is unsafe for the patient: whatever else says that they speak for the patient, they see nothing
    #[arg(long = "unsafe")]
    is_unsafe: bool,
    /// By what right: guardian, proxy, "power of attorney", "head of family"
    #[arg(long, value_parser = kind)]
    kind: DelegationKind,
    /// What they may do: see, "decide who may see", correct; by default everything; may be repeated
    #[arg(long = "may", value_name = "WHAT", value_parser = scope)]
    scope: Vec<Scope>,
    /// From when
    #[arg(long, value_name = "DATE", value_parser = moment)]
    from: Option<Moment>,
    /// Until when
    #[arg(long, value_name = "DATE", value_parser = moment)]
    until: Option<Moment>,
    /// When it ends by law, such as the day on which the patient comes of age
    #[arg(long, value_name = "DATE", value_parser = moment)]
    ends_at: Option<Moment>,
    /// A court's or notary's reference
    #[arg(long, value_name = "WORDS")]
    reference: Option<String>,
    /// The document it rests on; its hash is sealed
    #[arg(long, value_name = "FILE")]
    evidence: Option<PathBuf>,
    /// How the custodian came to know: paper, in-person, portal, e-signature
    #[arg(long, value_name = "HOW", default_value = "paper", value_parser = collected)]
    collected: Collected,
}

/// Record that somebody no longer speaks for a patient
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  custos delegation revoke 5a0e...c1 --node http://127.0.0.1:7700 --key hospital-sign.key --vault vault"
)]
pub(crate) struct Revoke {
    /// The delegation: its rule's id
    #[arg(value_name = "RULE")]
    rule: Random16,
    #[command(flatten)]
    desk: DeskArgs,
    /// How the custodian came to know: paper, in-person, portal, e-signature
    #[arg(long, value_name = "HOW", default_value = "paper", value_parser = collected)]
    collected: Collected,
}

impl Grant {
    fn run(&self, screen: &Screen) -> Outcome {
        let mut desk = self.desk.open(screen)?;
        let source_hash =
            self.evidence.as_ref().map(|path| files::read(path).map(|bytes| sha256(&bytes))).transpose()?;
        let span = (self.from.is_some() || self.until.is_some())
            .then(|| Span { start: self.from.clone(), end: self.until.clone() });
        let delegation = Delegated {
            delegate: Some(Party {
                display: Prose::new(&self.delegate),
                ..self.delegate_id.clone().unwrap_or_default()
            }),
            kind: Some(self.kind),
            scope: List::new(self.scope.clone())
                .ok_or_else(|| Failed::unable("too many values for --may; leave it out for everything"))?,
            period: span,
            ends_at: self.ends_at.clone(),
            evidence: source_hash,
            reference: self.reference.as_deref().and_then(Prose::new),
            is_unsafe: self.is_unsafe.then_some(true),
        };
        // The ledger's own end is coarse, and not before the last of the two.
        let last = [&self.until, &self.ends_at].into_iter().flatten().max_by_key(|moment| moment.last_ms());
        let draft = RuleDraft {
            origin: new_origin()?,
            subject: self.patient.names(&desk.vault)?,
            intent: Intent::Put,
            inner: InnerKind::DelegationGrant,
            body: RuleBody::Delegation(delegation),
            evidence: Evidence { source_hash, record: entered_here(), ..Evidence::default() },
            collected: self.collected,
            expiry: last.map_or(FAR, |moment| expiry_after(Some(moment))),
            recipients: Vec::new(),
            organisations: Vec::new(),
        };
        let (items, sent) = record(&mut desk, draft, Organisations::default(), screen)?;
        report(&desk.vault, &items, &sent, screen)
    }
}

impl Revoke {
    fn run(&self, screen: &Screen) -> Outcome {
        let mut desk = self.desk.open(screen)?;
        end(&mut desk, &self.rule, InnerKind::DelegationRevoke, self.collected, screen)
    }
}

/// Somebody by address or identifier.
pub(crate) fn named(text: &str) -> Result<Party, String> {
    let refused = || format!("{text:?} is no address and no system|value");
    match text.split_once('|') {
        Some((system, value)) => Ok(Party {
            identifier: Some(Identifier {
                system: Some(Token::new(system).ok_or_else(refused)?),
                value: Some(Prose::new(value).ok_or_else(refused)?),
                ..Identifier::default()
            }),
            ..Party::default()
        }),
        None => Ok(Party { reference: Some(Token::new(text).ok_or_else(refused)?), ..Party::default() }),
    }
}

fn kind(text: &str) -> Result<DelegationKind, String> {
    let words: Vec<_> = DelegationKind::ALL.iter().map(|kind| kind.word()).collect();
    DelegationKind::from_word(text).ok_or_else(|| format!("it is one of {}", words.join(", ")))
}

fn scope(text: &str) -> Result<Scope, String> {
    let words: Vec<_> = Scope::ALL.iter().map(|scope| scope.word()).collect();
    let short = Scope::ALL.iter().copied().find(|scope| scope.word().split(' ').next() == Some(text));
    Scope::from_word(text).or(short).ok_or_else(|| format!("it is one of {}", words.join(", ")))
}
