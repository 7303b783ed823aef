//! `custos worklist`: what an institution's privacy officer has to look at, from the institution's own trail.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;
use custos_api::client::Part;
use custos_custodian::draft::SubjectKey;
use custos_custodian::vault::{SubjectId, Vault};
use custos_people::report::Report;
use custos_people::worklist::{self, EndingKey, Material};
use custos_people::{csv, html};
use custos_proof::cbor::Wire as _;
use custos_proof::hash::ItemHash;
use custos_proof::ids::{FAR, ParticipantId, TimeMs};
use custos_proof::keys::KeyPurpose;
use custos_proof::kinds::Kind;
use custos_proof::sealed_values::{OwnTrail, Stated};
use custos_proof::trail::TrailName;
use serde_json::{Value, json};

use crate::desk::{self, OptionalVault};
use crate::exit::{Exit, Failed, Outcome, While as _};
use crate::network::{self, member};
use crate::screen::Screen;
use crate::trails::{self, Anchored};
use crate::{files, keyfile, time};

/// List what a privacy officer has to look at
///
/// From the institution's own trail, which is proven to be complete for the time asked for: contradicted
/// statements, emergencies that nobody reviewed and accesses under them, transfers of which one half is missing,
/// deadlines that passed and what was missing is still missing, treatment without a stated relationship, accesses
/// without a ground, gaps and disorder in numbered streams, late and incomplete records; and keys about to end.
/// What is sealed is judged as far as the vault opens it.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    custos worklist --node http://127.0.0.1:7700 --key hospital-sign.key --anchor anchor.custos --vault vault\n  \
    custos worklist --node http://127.0.0.1:7700 --key hospital-sign.key --from 7d --csv work.csv --html work.html")]
pub(crate) struct Worklist {
    /// The node to ask, such as http://127.0.0.1:7700
    #[arg(long = "node", value_name = "URL")]
    url: String,
    /// The institution's signing key
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// Which participant the key speaks for; by default whom the registry names
    #[arg(long, value_name = "PARTICIPANT")]
    participant: Option<ParticipantId>,
    #[command(flatten)]
    vault: OptionalVault,
    #[command(flatten)]
    anchored: Anchored,
    /// Only what was recorded since: a time, a date, or an age such as 30d
    #[arg(long, value_name = "TIME", value_parser = time::parse, default_value = "90d")]
    from: TimeMs,
    /// Write the list to this new file, as CSV
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// Write a page to print to this new file, as HTML
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

impl Worklist {
    /// Runs the command.
    pub(crate) fn run(&self, screen: &Screen) -> Outcome {
        let s = screen.speaker();
        let client = member(&self.url, &self.key)?;
        let ground = self.anchored.ground(&client, screen)?;
        let vault = self.vault.open()?;
        let key = keyfile::read(&self.key, KeyPurpose::Sign)?;
        let owner = desk::owner(&client, &key, self.participant.as_ref(), &self.key)?;
        let trail = TrailName::institution(&owner).key();
        let found = trails::fetch_by_key(&client, &trail, Part::Times(self.from, FAR), &ground, s)?;
        ground.warn_of_age(&found.proven.header.header, screen);
        let mut openings = Vec::new();
        let mut patients = BTreeMap::new();
        if let Some(vault) = &vault {
            for item in found.proven.entries.iter().filter_map(trails::item_of) {
                openings.extend(trails::openings(vault, &item.hash)?);
                patients.extend(patient(vault, &item.hash)?.map(|name| (item.hash, name)));
            }
        }
        let shown = trails::shown(&ground.anchor.chain, &found.proven, &openings, s)?;
        let keys = ending_keys(&client, &owner)?;
        let report = worklist::report(&Material {
            trail: &found.proven,
            shown: &shown,
            patients: &patients,
            keys: &keys,
            names: &network::names(&client)?,
            speaker: s,
            anchor: ground.anchor.height.0,
            from: self.from,
        });
        // What is in them is personal data.
        if let Some(path) = &self.csv {
            files::create(path, csv::csv(&report, s).as_bytes(), true)?;
        }
        if let Some(path) = &self.html {
            files::create(path, html::page(&report, s).as_bytes(), true)?;
        }
        let height = found.proven.header.header.height.0;
        screen.result(|paint| report.text(s, paint), || document(&report, &owner, height));
        Ok(Exit::Done)
    }
}

/// What the vault calls the patient of an item.
fn patient(vault: &Vault, item: &ItemHash) -> Outcome<Option<String>> {
    let about = sealed_subject(vault, item)?;
    let Some(subject) = about.or_else(|| vault.subject_of(item)) else { return Ok(None) };
    // What belongs to no patient is kept under the institution, which has no names.
    let names = vault.names(&subject).could_not(|| "read the vault")?;
    // `address|https://...` or `identifier|system|value`: how it is known is no part of the name.
    let name =
        |name: &SubjectKey| name.as_str().split_once('|').map_or(name.as_str(), |(_, rest)| rest).to_owned();
    Ok(names.first().map(name))
}

/// The patient whom a statement in the institution's trail names under its seal.
fn sealed_subject(vault: &Vault, item: &ItemHash) -> Outcome<Option<SubjectId>> {
    let Some(entry) = vault.entry(item) else { return Ok(None) };
    let place = match entry.kind {
        Kind::EmergencyDeclare | Kind::DisclosureExport => 2,
        Kind::DisclosureImport => 1,
        _ => return Ok(None),
    };
    let stored = vault.item(item).could_not(|| "read the vault")?;
    let own = stored.values.get(place).and_then(|value| Stated::<OwnTrail>::from_bytes(value).ok());
    let local_id = own.and_then(|own| own.value().map(|own| own.local_id));
    Ok(local_id.and_then(|local_id| vault.subject_of_trail(&local_id)))
}

fn ending_keys(client: &custos_api::blocking::Client, owner: &ParticipantId) -> Outcome<Vec<EndingKey>> {
    let registry = client.registry().map_err(network::refused)?;
    let mine = registry.participants.into_iter().find(|participant| participant.id == *owner);
    let mine = mine.ok_or_else(|| Failed::unable(format!("the registry does not list {owner}")))?;
    let keys = mine.keys.into_iter().filter(|key| key.revoked.is_none()).map(|key| {
        let purpose = KeyPurpose::from_word(&key.purpose);
        (key.id.to_string(), purpose, TimeMs(key.not_after_ms), key.compromised_from_ms.map(TimeMs))
    });
    Ok(worklist::ending_keys(keys, time::now()))
}

fn document(report: &Report, owner: &ParticipantId, height: u64) -> Value {
    let row = |cells: &Vec<custos_people::report::Cell>| {
        let fields = report.columns.iter().zip(cells);
        Value::Object(
            fields.map(|(column, cell)| (column.key.to_owned(), Value::String(cell.plain()))).collect(),
        )
    };
    json!({
        "participant": owner.to_string(),
        "height": height,
        "work": report.rows.iter().map(row).collect::<Vec<_>>(),
        "left_out": report.left_out.iter().map(|out| json!({ "why": out.key, "count": out.count })).collect::<Vec<_>>(),
        "withheld": report.withheld,
        "sources": report.sources,
        "limits": report.limits,
    })
}
