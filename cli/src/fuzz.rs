//! An entrance for fuzzing: what people write into files for the command, and what becomes of such bytes.
//!
//! Each function reads as the command does, bounds of length included, and judges what was taken by a reader that knows nothing
//! of it: that of JSON or TOML in general. Deliberately absent: files and their permissions, nodes, and what is decided.

use std::collections::BTreeSet;
use std::path::Path;

use custos_node::keys::FileSigner;
use custos_proof::anchor::TrustAnchor;
use custos_proof::cbor::Wire as _;
use custos_proof::file::{self, File};
use custos_proof::genesis::NO_CHAIN;
use custos_proof::given::{Given, GivenError};
use custos_proof::hash::sha256;
use custos_proof::keys::{KeyPurpose, Signer as _};
use custos_proof::kinds::key::possession_preimage;
use custos_proof::policy::DecisionPolicy;
use custos_proof::sealed_values::RosterEntry;
use serde_json::Value;

use crate::commands::genesis::{Description, MAX_DESCRIPTION, in_toml};
use crate::decision;
use crate::exit::{Exit, Failed, Outcome};
use crate::keyfile::KeyFile;
use crate::roster::RosterFile;

/// Reads bytes as a decision request.
///
/// # Errors
/// When they are none.
pub fn decision_request(bytes: &[u8]) -> Result<(), String> {
    said(bytes, decision::request).map(drop)
}

/// Reads bytes as what differs from a decision policy.
///
/// # Errors
/// When they are no such thing.
///
/// # Panics
/// When a policy that was read is written otherwise.
pub fn decision_policy(bytes: &[u8]) -> Result<(), String> {
    let policy = said(bytes, decision::policy)?;
    assert!(
        DecisionPolicy::from_bytes(&policy.to_bytes()) == Ok(policy),
        "a policy was written that cannot be read"
    );
    Ok(())
}

fn said<T>(bytes: &[u8], of: fn(&Given) -> Result<T, GivenError>) -> Result<T, String> {
    of(&decision::given_in(bytes)?).map_err(|error| error.to_string())
}

/// Reads bytes as the description from which a genesis is made, and makes it. Its key files are `a.key` to `d.key`, the
/// second of them a consensus key and the others for signing.
///
/// # Errors
/// When they describe none.
///
/// # Panics
/// When the genesis says something else than the description, is written otherwise, or nobody can trust it.
pub fn description(bytes: &[u8]) -> Result<(), String> {
    if bytes.len() as u64 > MAX_DESCRIPTION {
        return Err("longer than a file that is read".into());
    }
    // The last line says what is wrong; those before it show where, and repeat the file.
    let description: Description =
        in_toml(bytes).map_err(|error| error.lines().last().unwrap_or_default().to_owned())?;
    let genesis = description.begin(&key).map_err(|failed| {
        assert!(failed.exit == Exit::Unable && !failed.message.is_empty(), "a refusal without words");
        // Names are whatever people like, and no sign of another line of the reader.
        let named = |word: &&str| {
            let word = word.trim_end_matches([':', ',']);
            word.len() > 16 || description.participants.iter().any(|one| one.id == word)
        };
        failed.message.split(' ').filter(|word| !named(word)).collect::<Vec<_>>().join(" ")
    })?;
    match file::decode(&genesis.to_bytes()) {
        Ok(File::Genesis(again)) => assert!(again == genesis, "a genesis changes when it is written"),
        other => panic!("a genesis that was written is none: {other:?}"),
    }
    TrustAnchor::from_genesis(&genesis).expect("a chain whose beginning nobody can trust");

    let text = std::str::from_utf8(bytes).expect("a description that is no text");
    let table: toml::Table = toml::from_str(text).expect("a description that is no TOML");
    let text_of =
        |table: &toml::Table, name: &str| table.get(name).and_then(|v| v.as_str()).map(str::to_owned);
    let list_of = |table: &toml::Table, name: &str| {
        table.get(name).and_then(toml::Value::as_array).cloned().unwrap_or_default()
    };
    assert!(
        text_of(&table, "name").as_deref() == Some(&*genesis.name)
            && text_of(&table, "registrar") == Some(genesis.registrar.to_string()),
        "a genesis has another name or registrar than its description"
    );
    let mut keys = 0;
    let mut powers = Vec::new();
    let described = list_of(&table, "participants");
    assert!(described.len() == genesis.participants.len(), "a genesis has other participants");
    for (described, participant) in described.iter().zip(genesis.participants.iter()) {
        let described = described.as_table().expect("a participant that is no table");
        assert!(
            text_of(described, "id") == Some(participant.id.to_string())
                && text_of(described, "name").as_deref() == participant.name.as_deref()
                && text_of(described, "jurisdiction").as_deref() == Some(&*participant.jurisdiction),
            "a participant of a genesis is described otherwise"
        );
        keys += list_of(described, "keys").len();
        powers.extend(described.get("power").and_then(toml::Value::as_integer));
    }
    assert!(keys == genesis.keys.len(), "a genesis has other keys");
    let made = genesis.validators.iter().map(|validator| i64::try_from(validator.power).unwrap_or(-1));
    assert!(powers == made.collect::<Vec<_>>(), "the validators of a genesis have other powers");
    Ok(())
}

/// A network of two, and one with everything that can be said.
#[must_use]
pub fn descriptions() -> Vec<Vec<u8>> {
    let elsewhere = || {
        let key = FileSigner::from_seed(KeyPurpose::Note, &[9; 32]);
        let owner = "hospital-a.example".parse().ok()?;
        let preimage = possession_preimage(&NO_CHAIN, &owner, key.purpose(), &key.public_key());
        let possession = key.sign(&preimage).ok()?;
        Some(format!(
            "{{ public = \"{}\", purpose = \"note\", possession = \"{possession}\" }}",
            key.public_key()
        ))
    };
    let small = r#"# Two participants, one of them a validator.
name = "Ward"
registrar = "registrar.example"

[[participants]]
id = "registrar.example"
roles = ["registrar"]
jurisdiction = "DE"
name = "Registrar"
keys = [{ file = "a.key" }]

[[participants]]
id = "hospital-a.example"
roles = ["custodian", "validator"]
jurisdiction = "DE"
name = "Hospital A"
power = 1
keys = [{ file = "b.key" }, { file = "c.key" }]
"#;
    let large = format!(
        r#"name = "Region"
registrar = "registrar.example"
time = "2026-11-22T10:00:00Z"

[policy]
lag_ms = 60000
max_lifetime_ms = 3600000
heartbeat_ms = 30000
trust_period_ms = 7776000000
retention_days = [1095, 3650, 10950]
transfer_ms = 86400000
review_hours = 72

[[participants]]
id = "registrar.example"
roles = ["registrar", "access-body"]
jurisdiction = "EU"
name = "Registrar"

[[participants]]
id = "hospital-a.example"
roles = ["custodian", "recipient", "validator"]
jurisdiction = "AT"
name = "Hospital A"
endpoint = "https://a.example"
display_names = {{ de = "Krankenhaus A", en = "Hospital A" }}
power = 3
keys = [{{ file = "b.key" }}, {{ file = "d.key" }}, {}]
"#,
        elsewhere().unwrap_or_default()
    );
    vec![small.into(), large.into()]
}

/// The key files that a description may name.
fn key(file: &Path) -> Outcome<KeyFile> {
    let seeds = [("a.key", KeyPurpose::Sign), ("b.key", KeyPurpose::Consensus)];
    let seeds = seeds.into_iter().chain([("c.key", KeyPurpose::Sign), ("d.key", KeyPurpose::Sign)]);
    let found = (1u8..).zip(seeds).find(|(_, (name, _))| file == Path::new(name));
    found
        .map(|(seed, (_, purpose))| FileSigner::from_seed(purpose, &[seed; 32]))
        .ok_or_else(|| Failed::unable(format!("could not read {}", file.display())))
}

/// Reads bytes as a roster, and draws the salts that are missing.
///
/// # Errors
/// When they are none.
///
/// # Panics
/// When a roster that was read has other entries than the file, is written otherwise, or does not show who is on it.
pub fn roster(bytes: &[u8]) -> Result<(), String> {
    let mut roster = RosterFile::parse(bytes)?;
    let entries: Vec<Value> = serde_json::from_slice(bytes).expect("a roster that is no list in JSON");
    assert!(entries.len() == roster.entries.len(), "a roster has more or fewer entries than its file");
    let unsalted: BTreeSet<usize> = roster.unsalted.iter().copied().collect();
    for (place, (said, entry)) in entries.iter().zip(&roster.entries).enumerate() {
        let salt = if unsalted.contains(&place) { None } else { Some(entry.salt.to_string()) };
        assert!(said["salt"].as_str() == salt.as_deref(), "an entry has another salt");
        let reference = said["person"].as_str().or(said["person"]["reference"].as_str());
        assert!(reference == entry.person.reference.as_deref(), "an entry is for somebody else");
        for (list, count) in
            [("roles", entry.roles.len()), ("purposes", entry.purposes.len()), ("groups", entry.groups.len())]
        {
            assert!(said[list].as_array().map_or(0, Vec::len) == count, "an entry has more or fewer {list}");
        }
        assert!(RosterEntry::from_bytes(&entry.to_bytes()).as_ref() == Ok(entry), "an entry that is no leaf");
    }
    for place in std::mem::take(&mut roster.unsalted) {
        roster.entries[place].salt = sha256(&place.to_be_bytes());
    }
    let written = roster.to_file().map_err(|failed| failed.message)?;
    let again = RosterFile::parse(&written).expect("a roster that was written and cannot be read");
    assert!(
        again.entries == roster.entries && again.unsalted.is_empty(),
        "a roster changes when it is written"
    );
    for entry in [roster.entries.first(), roster.entries.last()].into_iter().flatten() {
        let (place, path) = roster.place(&entry.person).expect("somebody who is listed and not found");
        assert!(place.is_under(&path, &roster.root()), "a place that is not under its roster's root");
    }
    Ok(())
}

/// A list as people write it, and the same as it is kept beside its commitment.
#[must_use]
pub fn rosters() -> Vec<Vec<u8>> {
    let list = r#"[
  {"person": "Practitioner/3"},
  {"// ward": "the night shift", "person": {"reference": "Practitioner/4", "display": "M. Muster"},
   "roles": [{"system": "http://terminology.hl7.org/CodeSystem/practitioner-role", "code": "nurse"}],
   "purposes": ["TREAT", "ETREAT"], "groups": ["Group/er"]},
  {"person": {"identifier": {"system": "urn:oid:1.2.3", "value": "4711"}}, "salt": null, "roles": [], "purposes": null}
]"#;
    let written =
        RosterFile::parse(list.as_bytes()).and_then(|roster| roster.to_file().map_err(|f| f.message));
    [list.as_bytes().to_vec()].into_iter().chain(written).collect()
}
