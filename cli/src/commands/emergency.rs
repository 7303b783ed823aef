//! `custos emergency`: declare one, and look at it afterwards.

use clap::{Args, Subcommand};
use custos_proof::cbor::Wire;
use custos_proof::ids::{ParticipantId, Random16};
use custos_proof::kinds::emergency::{Declare as Declared, Review as Reviewed};
use custos_proof::kinds::{Class, Fields};
use custos_proof::sealed_values::{
    Agent, AgentKind, Agents, Concept, Concepts, Independence, Justification, Moment, OwnTrail, Prose,
    Reason, ReviewVerdict, Stated, When,
};

use crate::commands::item::{NO_SEAL, record_by_hand, report};
use crate::commands::rule::moment;
use crate::desk::{DeskArgs, OptionalPatient};
use crate::exit::Outcome;
use crate::hand_in::random;
use crate::screen::Screen;
use crate::{time, words};

/// Declare an emergency, or record its review
#[derive(Debug, Subcommand)]
#[command(after_help = "Example:\n  custos emergency declare --help")]
pub(crate) enum Emergency {
    Declare(Box<Declare>),
    Review(Box<Review>),
}

impl Emergency {
    /// Runs the command.
    pub(crate) fn run(&self, screen: &Screen) -> Outcome {
        match self {
            Emergency::Declare(command) => command.run(screen),
            Emergency::Review(command) => command.run(screen),
        }
    }
}

/// Declare an emergency: accesses may cite it, and a review falls due
///
/// The ledger sees who declares for whom, never which patient it is about. A justification may follow;
/// nobody fills in forms before a resuscitation. Use one declaration for one patient.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  \
    custos emergency declare --node http://127.0.0.1:7700 --key hospital-sign.key --vault vault \\\n    \
    --patient https://fhir.hospital.example/Patient/17 --who \"Dr. Adams\" --justification \"unconscious\"")]
pub(crate) struct Declare {
    #[command(flatten)]
    desk: DeskArgs,
    #[command(flatten)]
    patient: OptionalPatient,
    /// Who holds the data; by default the author
    #[arg(long, value_name = "PARTICIPANT")]
    custodian: Option<ParticipantId>,
    /// The organisation that acts; by default the author
    #[arg(long, value_name = "PARTICIPANT")]
    acting: Option<ParticipantId>,
    /// When; by default now
    #[arg(long, value_name = "TIME", value_parser = moment)]
    when: Option<Moment>,
    /// Who declares
    #[arg(long, value_name = "NAME")]
    who: Option<String>,
    /// Why, in words
    #[arg(long, value_name = "WORDS")]
    justification: Option<String>,
    /// Which category of data; may be repeated
    #[arg(long = "category", value_name = "CODE OR WORDS", value_parser = words::concept)]
    categories: Vec<Concept>,
}

/// Record that a declared emergency was reviewed
///
/// The reviewer is neither the one who acted nor reports to them; what was found is sealed.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  \
    custos emergency review 5a0e...c1 --node http://127.0.0.1:7700 --key hospital-sign.key --vault vault \\\n    \
    --verdict justified --who \"Dr. Baker\"")]
pub(crate) struct Review {
    /// The declaration's id
    #[arg(value_name = "DECLARATION")]
    declaration: Random16,
    #[command(flatten)]
    desk: DeskArgs,
    /// Who declared; by default the author
    #[arg(long, value_name = "PARTICIPANT")]
    declarer: Option<ParticipantId>,
    /// What was found: justified, "not justified", "justified, by a practitioner not on the roster", open
    #[arg(long, value_parser = verdict)]
    verdict: ReviewVerdict,
    /// How the reviewer stands to the one who acted
    #[arg(long, default_value = "neither the actor nor reporting to them", value_parser = independence)]
    independence: Independence,
    /// Who reviews
    #[arg(long, value_name = "NAME")]
    who: Option<String>,
    /// What else was found, in words
    #[arg(long, value_name = "WORDS")]
    findings: Option<String>,
}

impl Declare {
    fn run(&self, screen: &Screen) -> Outcome {
        let mut desk = self.desk.open(screen)?;
        let own = desk.vault.scope().custodian.clone();
        let own_trail = match &self.patient.named() {
            Some(patient) => desk.own_trail(&patient.names(&desk.vault)?)?,
            None => None,
        };
        let justification = self
            .justification
            .as_deref()
            .map(|text| Justification { words: Prose::new(text), ..Justification::default() });
        let values = vec![
            Stated::Value(now(self.when.clone())).to_bytes(),
            people(self.who.as_deref()),
            stated::<OwnTrail>(own_trail),
            stated(justification),
            stated(Concepts::new(self.categories.clone())),
        ];
        let declaration = Random16(random()?);
        let fields = Fields::EmergencyDeclare(Declared {
            declaration,
            custodian: self.custodian.clone().unwrap_or_else(|| own.clone()),
            acting: self.acting.clone().unwrap_or(own),
            seal: NO_SEAL,
        });
        let record = record_by_hand(&mut desk, Class::Testimony, fields, Some(values), screen)?;
        report(&record, &[("declaration", declaration.to_string())], screen)
    }
}

impl Review {
    fn run(&self, screen: &Screen) -> Outcome {
        let mut desk = self.desk.open(screen)?;
        let declarer = self.declarer.clone().unwrap_or_else(|| desk.vault.scope().custodian.clone());
        let values = vec![
            Stated::Value(self.verdict).to_bytes(),
            Stated::Value(self.independence).to_bytes(),
            people(self.who.as_deref()),
            Stated::Value(now(None)).to_bytes(),
            stated(self.findings.as_deref().and_then(Prose::<4096>::new)),
        ];
        let review = Random16(random()?);
        let fields = Fields::EmergencyReview(Reviewed {
            review,
            declarer,
            declaration: self.declaration,
            seal: NO_SEAL,
        });
        let record = record_by_hand(&mut desk, Class::Testimony, fields, Some(values), screen)?;
        report(&record, &[("review", review.to_string())], screen)
    }
}

/// A value, or "not stated".
pub(crate) fn stated<T: Wire>(value: Option<T>) -> Vec<u8> {
    value.map_or(Stated::Unknown(Reason::NotStated), Stated::Value).to_bytes()
}

/// The time that was given, or the present.
pub(crate) fn now(when: Option<Moment>) -> When {
    let recorded = when.or_else(|| Moment::new(&time::now().to_string()));
    When { recorded, ..When::default() }
}

/// One person by name.
pub(crate) fn people(name: Option<&str>) -> Vec<u8> {
    let agent = |name: &str| Agent {
        kind: Some(AgentKind::Person),
        requestor: Some(true),
        name: Prose::new(name),
        ..Agent::default()
    };
    stated(name.and_then(|name| Agents::new(vec![agent(name)])))
}

fn verdict(text: &str) -> Result<ReviewVerdict, String> {
    let words: Vec<_> = ReviewVerdict::ALL.iter().map(|verdict| verdict.word()).collect();
    ReviewVerdict::from_word(text).ok_or_else(|| format!("it is one of: {}", words.join("; ")))
}

fn independence(text: &str) -> Result<Independence, String> {
    let words: Vec<_> = Independence::ALL.iter().map(|independence| independence.word()).collect();
    Independence::from_word(text).ok_or_else(|| format!("it is one of: {}", words.join("; ")))
}
