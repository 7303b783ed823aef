//! `custos disclosure`: data was given to somebody, or received from somebody.

use clap::{ArgGroup, Args, Subcommand};
use custos_proof::cbor::{Ascii, Wire as _};
use custos_proof::ids::{ParticipantId, Random16};
use custos_proof::kinds::disclosure::{Export as Exported, Import as Imported};
use custos_proof::kinds::{Class, Fields};
use custos_proof::sealed_values::{
    Accounting, Concept, Concepts, Moment, OwnTrail, Parties, Party, Prose, Purpose, Purposes, Stated,
};

use crate::commands::emergency::{now, stated};
use crate::commands::item::{NO_SEAL, record_by_hand, report};
use crate::commands::rule::moment;
use crate::desk::{Desk, DeskArgs, OptionalPatient};
use crate::exit::Outcome;
use crate::hand_in::random;
use crate::screen::Screen;
use crate::words;

/// Record that data was given to somebody, or received
#[derive(Debug, Subcommand)]
#[command(after_help = "Example:\n  custos disclosure export --help")]
pub(crate) enum Disclosure {
    Export(Box<Export>),
    Import(Box<Import>),
}

impl Disclosure {
    /// Runs the command.
    pub(crate) fn run(&self, screen: &Screen) -> Outcome {
        match self {
            Disclosure::Export(command) => command.run(screen),
            Disclosure::Import(command) => command.run(screen),
        }
    }
}

/// Record that data was given to another participant, or to somebody outside
///
/// Prints the transfer's id: hand it over with the data, so that a participant can record the other
/// half. A half that stays alone becomes a fact of the chain.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("recipient").required(true)))]
#[command(after_help = "Example:\n  \
    custos disclosure export --node http://127.0.0.1:7700 --key hospital-sign.key --vault vault \\\n    \
    --patient https://fhir.hospital.example/Patient/17 --to clinic.example --purpose TREAT --to-country FR")]
pub(crate) struct Export {
    #[command(flatten)]
    desk: DeskArgs,
    #[command(flatten)]
    patient: OptionalPatient,
    /// The participant that receives it
    #[arg(long = "to", value_name = "PARTICIPANT", group = "recipient")]
    to: Option<ParticipantId>,
    /// Who receives it, when it is no participant: a court, a registry
    #[arg(long, value_name = "NAME", group = "recipient")]
    outside: Option<String>,
    /// The transfer's id, when it has one; by default a fresh one
    #[arg(long, value_name = "ID")]
    transfer: Option<Random16>,
    /// What for, such as TREAT; may be repeated
    #[arg(long = "purpose", value_name = "CODE", value_parser = words::purpose)]
    purposes: Vec<Concept>,
    /// Which category of data; may be repeated
    #[arg(long = "category", value_name = "CODE OR WORDS", value_parser = words::concept)]
    categories: Vec<Concept>,
    /// Whether it counts for the accounting of disclosures (45 CFR 164.528)
    #[arg(long, value_parser = accounting)]
    accounting: Option<Accounting>,
    /// What was given, or the request's reference, in words
    #[arg(long, value_name = "WORDS")]
    description: Option<String>,
    /// When; by default now
    #[arg(long, value_name = "TIME", value_parser = moment)]
    when: Option<Moment>,
    /// From which country: two letters
    #[arg(long, value_name = "COUNTRY", default_value = "", value_parser = country)]
    from_country: Ascii<2>,
    /// To which country: two letters
    #[arg(long, value_name = "COUNTRY", default_value = "", value_parser = country)]
    to_country: Ascii<2>,
}

/// Record that data was received from another participant
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  \
    custos disclosure import --node http://127.0.0.1:7700 --key clinic-sign.key --vault vault \\\n    \
    --from hospital.example --transfer 5a0e...c1")]
pub(crate) struct Import {
    #[command(flatten)]
    desk: DeskArgs,
    #[command(flatten)]
    patient: OptionalPatient,
    /// The participant that gave it
    #[arg(long, value_name = "PARTICIPANT")]
    from: ParticipantId,
    /// The transfer's id, as it came with the data
    #[arg(long, value_name = "ID")]
    transfer: Random16,
    /// Which category of data; may be repeated
    #[arg(long = "category", value_name = "CODE OR WORDS", value_parser = words::concept)]
    categories: Vec<Concept>,
    /// What was received, in words
    #[arg(long, value_name = "WORDS")]
    description: Option<String>,
    /// When; by default now
    #[arg(long, value_name = "TIME", value_parser = moment)]
    when: Option<Moment>,
    /// From which country: two letters
    #[arg(long, value_name = "COUNTRY", default_value = "", value_parser = country)]
    from_country: Ascii<2>,
    /// To which country: two letters
    #[arg(long, value_name = "COUNTRY", default_value = "", value_parser = country)]
    to_country: Ascii<2>,
}

impl Export {
    fn run(&self, screen: &Screen) -> Outcome {
        let mut desk = self.desk.open(screen)?;
        let own_trail = own_trail(&desk, &self.patient)?;
        let purpose = |concept: &Concept| Purpose { concept: Some(concept.clone()), agent: None };
        let outside =
            self.outside.as_deref().map(|name| Party { display: Prose::new(name), ..Party::default() });
        let transfer = match self.transfer {
            Some(transfer) => transfer,
            None => Random16(random()?),
        };
        let values = vec![
            Stated::Value(now(self.when.clone())).to_bytes(),
            stated(outside.and_then(|party| Parties::new(vec![party]))),
            stated::<OwnTrail>(own_trail),
            stated(Purposes::new(self.purposes.iter().map(purpose).collect())),
            stated(Concepts::new(self.categories.clone())),
            stated(self.accounting),
            stated(self.description.as_deref().and_then(Prose::<4096>::new)),
        ];
        let fields = Fields::DisclosureExport(Exported {
            event: Random16(random()?),
            transfer,
            recipient: self.to.clone(),
            agreement: None,
            recognition: None,
            from_country: self.from_country.clone(),
            to_country: self.to_country.clone(),
            seal: NO_SEAL,
        });
        let record = record_by_hand(&mut desk, Class::Testimony, fields, Some(values), screen)?;
        report(&record, &[("transfer", transfer.to_string())], screen)
    }
}

impl Import {
    fn run(&self, screen: &Screen) -> Outcome {
        let mut desk = self.desk.open(screen)?;
        let own_trail = own_trail(&desk, &self.patient)?;
        let values = vec![
            Stated::Value(now(self.when.clone())).to_bytes(),
            stated::<OwnTrail>(own_trail),
            stated(Concepts::new(self.categories.clone())),
            stated(self.description.as_deref().and_then(Prose::<4096>::new)),
        ];
        let fields = Fields::DisclosureImport(Imported {
            event: Random16(random()?),
            transfer: self.transfer,
            source: self.from.clone(),
            from_country: self.from_country.clone(),
            to_country: self.to_country.clone(),
            seal: NO_SEAL,
        });
        let record = record_by_hand(&mut desk, Class::Testimony, fields, Some(values), screen)?;
        report(&record, &[("transfer", self.transfer.to_string())], screen)
    }
}

fn own_trail(desk: &Desk, patient: &OptionalPatient) -> Outcome<Option<OwnTrail>> {
    match patient.named() {
        Some(patient) => desk.own_trail(&patient.names(&desk.vault)?),
        None => Ok(None),
    }
}

fn accounting(text: &str) -> Result<Accounting, String> {
    let words: Vec<_> = Accounting::ALL.iter().map(|value| value.word()).collect();
    Accounting::from_word(text).ok_or_else(|| format!("it is one of: {}", words.join("; ")))
}

fn country(text: &str) -> Result<Ascii<2>, String> {
    let letters = text.is_empty() || (text.len() == 2 && text.bytes().all(|b| b.is_ascii_uppercase()));
    letters
        .then(|| Ascii::new(text))
        .flatten()
        .ok_or_else(|| format!("{text:?} is no code of two capital letters"))
}
