//! `custos hold`: nothing is erased while somebody needs it.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use custos_custodian::vault::Vault;
use custos_proof::cbor::Wire as _;
use custos_proof::hash::Digest;
use custos_proof::ids::{ParticipantId, Random16};
use custos_proof::item::Item;
use custos_proof::kinds::hold::{Lift as Lifted, Set as Held};
use custos_proof::kinds::{Class, Fields, Kind};
use custos_proof::record::Record;
use custos_proof::sealed_values::{Parties, Party, Prose, Span};

use crate::commands::emergency::stated;
use crate::commands::item::{NO_SEAL, record_by_hand, report};
use crate::desk::{Desk, DeskArgs, OptionalPatient, PatientArgs, VaultArgs};
use crate::exit::{Failed, Outcome, While as _};
use crate::hand_in::{Hand, random};
use crate::screen::Screen;

/// Order that nothing is erased, and end that
#[derive(Debug, Subcommand)]
#[command(after_help = "Example:\n  custos hold set --help")]
pub(crate) enum Hold {
    Set(Box<Set>),
    Lift(Box<Lift>),
}

impl Hold {
    /// Runs the command.
    pub(crate) fn run(&self, screen: &Screen) -> Outcome {
        match self {
            Hold::Set(command) => command.run(screen),
            Hold::Lift(command) => command.run(screen),
        }
    }
}

/// Order that nothing is erased: of everything at the custodian, or in one patient's own trail of a year
///
/// A hold on a patient's trail is read there by the patient; one that the patient must not learn of is set on
/// everything. Who ordered it is sealed.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  \
    custos hold set --order \"Landgericht 3 O 17/26\" \\\n    \
    --node http://127.0.0.1:7700 --key hospital-sign.key --vault vault")]
pub(crate) struct Set {
    #[command(flatten)]
    desk: DeskArgs,
    #[command(flatten)]
    patient: OptionalPatient,
    /// The calendar year (UTC) of the patient's trail; by default this year
    #[arg(long, value_name = "YEAR")]
    year: Option<u16>,
    /// Who has to keep; by default the author
    #[arg(long, value_name = "PARTICIPANT")]
    custodian: Option<ParticipantId>,
    /// Who ordered it, and under which reference, in words
    #[arg(long, value_name = "WORDS")]
    order: Option<String>,
}

/// End a hold that was set from here
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  \
    custos hold lift 5a0e...c1 --node http://127.0.0.1:7700 --key hospital-sign.key --vault vault")]
pub(crate) struct Lift {
    /// The hold's id, as `custos hold set` printed it
    #[arg(value_name = "HOLD")]
    hold: Random16,
    /// The node to hand in to, such as http://127.0.0.1:7700
    #[arg(long = "node", value_name = "URL")]
    url: String,
    /// The signing key of whoever set it
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    #[command(flatten)]
    vault: VaultArgs,
}

impl Set {
    fn run(&self, screen: &Screen) -> Outcome {
        let mut desk = self.desk.open(screen)?;
        let custodian = self.custodian.clone().unwrap_or_else(|| desk.participant.clone());
        let local_id = match &self.patient.named() {
            Some(patient) => Some(self.own_trail(&desk, patient)?),
            None => None,
        };
        let order =
            self.order.as_deref().map(|order| Party { display: Prose::new(order), ..Party::default() });
        let values = vec![
            stated(order.and_then(|party| Parties::new(vec![party]))),
            stated::<Span>(None),
            stated::<Prose<4096>>(None),
        ];
        let hold = Random16(random()?);
        let fields = Fields::HoldSet(Held { hold, custodian, local_id, seal: NO_SEAL });
        let record = record_by_hand(&mut desk, Class::Act, fields, Some(values), screen)?;
        told(&record, hold, screen)
    }

    fn own_trail(&self, desk: &Desk, patient: &PatientArgs) -> Outcome<Digest> {
        let year = self.year.unwrap_or(desk.epoch);
        let subject = patient.subject(&desk.vault)?;
        let trails = desk.vault.trails(&subject).could_not(|| "read the vault")?;
        let own = trails.iter().find(|trail| trail.epoch == year && trail.grantee.is_none());
        own.map(|trail| trail.local_id).ok_or_else(|| {
            Failed::unable(format!("this patient has no trail of {year}")).hint("name a --year")
        })
    }
}

impl Lift {
    fn run(&self, screen: &Screen) -> Outcome {
        let held = self.held(&self.vault.open()?)?;
        let fields =
            Fields::HoldLift(Lifted { custodian: held.custodian, hold: self.hold, local_id: held.local_id });
        let records = Hand::new(&self.url, &self.key)?.record(Class::Act, vec![fields])?;
        let record = records.first().ok_or_else(|| Failed::unable("the node gave no receipt"))?;
        told(record, self.hold, screen)
    }

    /// The hold as it was set, from the vault: what it is on is said again.
    fn held(&self, vault: &Vault) -> Outcome<Held> {
        for subject in vault.all() {
            let items = vault.items(&subject).could_not(|| "read the vault")?;
            for entry in items.iter().filter(|entry| entry.kind == Kind::HoldSet) {
                let stored = vault.item(&entry.hash).could_not(|| "read the vault")?;
                if let Ok(Item { fields: Fields::HoldSet(held), .. }) = Item::from_bytes(&stored.bytes)
                    && held.hold == self.hold
                {
                    return Ok(held);
                }
            }
        }
        Err(Failed::unable(format!("the vault knows no hold {}", self.hold)))
    }
}

fn told(record: &Record, hold: Random16, screen: &Screen) -> Outcome {
    report(record, &[("hold", hold.to_string())], screen)
}
