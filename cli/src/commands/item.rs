//! `custos item`: any item by hand, from a template to its record.
//!
//! The table of kinds says what there is to write and what it means; a template is a JSON document
//! with a value in every place, and with remarks. What is sealed is written in clear into `sealed`,
//! is sealed here, and stays in the vault.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use custos_api::written;
use custos_custodian::draft::Origin;
use custos_custodian::import::{Batch, Plan, Planned, Settings};
use custos_custodian::seal;
use custos_people::event::finding;
use custos_proof::cbor::Wire as _;
use custos_proof::given::{Form, Given, GivenError};
use custos_proof::hash::{Digest, sha256};
use custos_proof::ids::{ItemId, ParticipantId};
use custos_proof::item::{Item as Written, item_hash};
use custos_proof::kinds::{Class, Fields, Kind};
use custos_proof::record::Record;
use custos_proof::seal::Seal;
use custos_proof::sealed_values;
use custos_proof::submission::MAX_ITEMS;
use custos_state::rules;
use serde_json::{Map, Value, json};

use crate::desk::{Desk, OptionalVault};
use crate::exit::{Exit, Failed, Outcome, While as _};
use crate::hand_in::{Hand, random};
use crate::render::json::tree;
use crate::render::table::table;
use crate::screen::Screen;
use crate::{files, time};

/// The longest document that is read, in bytes: as long as a submission may be, in JSON's spelling.
const MAX_DOCUMENT: u64 = 8 * 1024 * 1024;
/// Stands where 16 random bytes are to be drawn.
const RANDOM: &str = "(random)";

/// Write any kind of item: its template, and handing it in
#[derive(Debug, Subcommand)]
#[command(after_help = "Example:\n  \
    custos item kinds\n  \
    custos item template notarise > notarise.json\n  \
    custos item submit -f notarise.json --node http://127.0.0.1:7700 --key hospital-sign.key")]
pub(crate) enum Item {
    Kinds(Kinds),
    Template(Template),
    Submit(Submit),
}

impl Item {
    /// Runs the command.
    pub(crate) fn run(&self, screen: &Screen) -> Outcome {
        match self {
            Item::Kinds(command) => command.run(screen),
            Item::Template(command) => command.run(screen),
            Item::Submit(command) => command.run(screen),
        }
    }
}

/// List the kinds of items, who may write them and where they are listed
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  custos item kinds")]
pub(crate) struct Kinds {}

/// Print a JSON document to fill in
///
/// Names that begin with // are remarks. What is marked "nothing, or" may be left out; "(random)" draws 16
/// random bytes.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  custos item template rule.put > rule.json")]
pub(crate) struct Template {
    /// The kind, such as rule.put
    #[arg(value_name = "KIND", value_parser = kind)]
    kind: Kind,
}

/// Seal, sign and hand in items from a file, and wait until they are recorded
///
/// The file holds one document as `custos item template` prints it, or a list of documents, which become
/// one submission.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  \
    custos item submit -f rule.json --node http://127.0.0.1:7700 --key hospital-sign.key --vault vault")]
pub(crate) struct Submit {
    /// The document
    #[arg(short = 'f', long = "file", value_name = "FILE")]
    file: PathBuf,
    /// The node to hand in to, such as http://127.0.0.1:7700
    #[arg(long = "node", value_name = "URL")]
    url: String,
    /// The author's signing key
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    #[command(flatten)]
    vault: OptionalVault,
    /// Which participant the key speaks for; by default whom the registry names
    #[arg(long, value_name = "PARTICIPANT")]
    participant: Option<ParticipantId>,
}

impl Kinds {
    fn run(&self, screen: &Screen) -> Outcome {
        screen.result(
            |_| {
                let row = |kind: &Kind| {
                    let about = rules::about(*kind);
                    let words = [kind.name(), kind.class().word(), about.author, about.listed, about.says];
                    words.map(str::to_owned).into()
                };
                let rows: Vec<Vec<String>> = Kind::ALL.iter().map(row).collect();
                format!("{}\n", table(&["kind", "class", "author", "listed in", "what it says"], &rows))
            },
            || Kind::ALL.iter().map(|kind| described(*kind)).collect(),
        );
        Ok(Exit::Done)
    }
}

fn described(kind: Kind) -> Value {
    let about = rules::about(kind);
    json!({
        "kind": kind.name(),
        "class": kind.class().word(),
        "says": about.says,
        "author": about.author,
        "listed": about.listed,
        "sealed": kind.sealed_fields(),
        "refuses": about.refuses.iter().map(|(code, when)| json!({ "code": code.word(), "when": when })).collect::<Vec<_>>(),
    })
}

impl Template {
    fn run(&self, screen: &Screen) -> Outcome {
        let document = template(self.kind);
        screen.result(|_| format!("{document:#}\n"), || document.clone());
        Ok(Exit::Done)
    }
}

/// The document to fill in.
fn template(kind: Kind) -> Value {
    let about = rules::about(kind);
    let mut document = Map::new();
    let remark = format!(
        "{} ({}). {} By: {}. Listed in: {}.",
        kind.name(),
        kind.class().word(),
        about.says,
        about.author,
        about.listed
    );
    document.insert("//".into(), remark.into());
    document.insert("kind".into(), kind.name().into());
    let mut fields = structure(&kind.form());
    if let Some(seal) = kind.seal_field() {
        fields.remove(seal);
        fields.remove(&format!("//{seal}"));
    }
    document.insert("fields".into(), Value::Object(fields));
    let mut sealed = Map::new();
    for (number, name) in (1u8..).zip(kind.sealed_fields()) {
        if let Ok(form) = sealed_values::form(kind, number) {
            sealed.insert(format!("//{name}"), with_parts(&form).into());
            sealed.insert((*name).to_owned(), sample(&form));
        }
    }
    if !sealed.is_empty() {
        if kind.seal_field() != Some("seal") {
            sealed.insert("//".into(), "Leave `sealed` out when nothing is to be sealed.".into());
        }
        document.insert("sealed".into(), Value::Object(sealed));
    }
    Value::Object(document)
}

fn structure(form: &Form) -> Map<String, Value> {
    let mut fields = Map::new();
    for part in &form.parts {
        let form = (part.form)();
        fields.insert(format!("//{}", part.name), format!("{} ({})", part.words(), with_parts(&form)).into());
        fields.insert(part.name.to_owned(), sample(&form));
    }
    fields
}

/// The words for a form, with the names of its parts.
fn with_parts(form: &Form) -> String {
    let names: Vec<_> = form
        .parts
        .iter()
        .map(|part| {
            let form = (part.form)();
            let kind = if form.parts.is_empty() { form.is } else { "named values".into() };
            format!("{}: {kind}", part.name)
        })
        .collect();
    if names.is_empty() { form.is.clone() } else { format!("{}; {}", form.is, names.join("; ")) }
}

fn sample(form: &Form) -> Value {
    match tree(&form.sample) {
        Value::String(text) if text.len() == 32 && text.bytes().all(|byte| byte == b'0') => RANDOM.into(),
        other => other,
    }
}

/// An item as it was written: ready to be signed, or with what is still to be sealed.
struct Document {
    item_id: ItemId,
    fields: Fields,
    values: Option<Vec<Vec<u8>>>,
}

impl Submit {
    fn run(&self, screen: &Screen) -> Outcome {
        let documents = read(&self.file)?;
        let class = documents[0].fields.kind().class();
        let records = if documents.iter().any(|document| document.values.is_some()) {
            let mut desk = self.vault.desk(&self.url, &self.key, self.participant.as_ref(), screen)?;
            record_sealed(&mut desk, class, documents, screen)?
        } else {
            let hand = Hand::new(&self.url, &self.key)?;
            if let Some(wanted) = self.participant.as_ref().filter(|wanted| **wanted != hand.participant) {
                return Err(Failed::unable(format!(
                    "{} is a key of {}, not of {wanted}",
                    hand.key_path().display(),
                    hand.participant
                )));
            }
            let item = |document: Document| Written { item_id: document.item_id, fields: document.fields };
            hand.record_items(class, documents.into_iter().map(item).collect())?
        };
        screen.result(
            |_| records.iter().map(|record| words(record, screen)).collect(),
            || records.iter().map(data).collect::<Vec<_>>().into(),
        );
        Ok(Exit::Done)
    }
}

/// Keeps what is sealed in the vault, then sends it.
fn record_sealed(
    desk: &mut Desk,
    class: Class,
    documents: Vec<Document>,
    screen: &Screen,
) -> Outcome<Vec<Record>> {
    let mut items = Vec::new();
    let mut kept = Vec::new();
    for Document { item_id, fields, values } in documents {
        let bytes = match values {
            None => Written { item_id, fields }.to_bytes(),
            Some(values) => {
                let origin = Origin { name: format!("item {item_id}"), digest: Digest::ZERO };
                let stored = seal::by_hand(desk.vault.scope(), item_id, fields, values, &origin)
                    .could_not(|| "seal the item")?;
                let origin_digest = sha256(&stored.bytes);
                let bytes = stored.bytes.clone();
                let subject =
                    match stored.local_id.and_then(|local_id| desk.vault.subject_of_trail(&local_id)) {
                        Some(subject) => subject,
                        None => desk.vault.institution().could_not(|| "write to the vault")?,
                    };
                kept.push((
                    subject,
                    custos_custodian::vault::StoredItem { source_digest: origin_digest, ..stored },
                ));
                bytes
            }
        };
        items.push(Planned { hash: item_hash(&bytes), bytes });
    }
    desk.vault.keep_items(kept).could_not(|| "keep the openings in the vault")?;
    let hashes: Vec<_> = items.iter().map(|item| item.hash).collect();
    let plan = Plan { batches: vec![Batch { wave: 0, class, items }], dispositions: Vec::new() };
    let settings = Settings::history(desk.epoch);
    let sent = desk.carry_out(plan, &settings, screen)?;
    if let Some(why) = hashes.iter().find_map(|hash| sent.refused.get(hash)) {
        return Err(Failed::unable(format!("the ledger refused it: {why}")));
    }
    let record = |hash| sent.recorded.get(hash).cloned();
    hashes
        .iter()
        .map(record)
        .collect::<Option<Vec<_>>>()
        .ok_or_else(|| Failed::unable("the node gave no receipt"))
}

/// A seal that is still to be made.
pub(crate) const NO_SEAL: Seal = Seal { root: Digest::ZERO, ciphertext: None };

/// One item of these fields: sealed, kept in the vault, and recorded.
pub(crate) fn record_by_hand(
    desk: &mut Desk,
    class: Class,
    fields: Fields,
    values: Option<Vec<Vec<u8>>>,
    screen: &Screen,
) -> Outcome<Record> {
    let item_id = ItemId(random()?);
    let records = record_sealed(desk, class, vec![Document { item_id, fields, values }], screen)?;
    records.into_iter().next().ok_or_else(|| Failed::unable("the node gave no receipt"))
}

/// Says what was recorded, with the ids that somebody will need again in front.
pub(crate) fn report(record: &Record, ids: &[(&'static str, String)], screen: &Screen) -> Outcome {
    screen.result(
        |_| {
            let ids: String = ids.iter().map(|(name, id)| format!("{name:<8} {id}\n")).collect();
            format!("{ids}{}", words(record, screen))
        },
        || {
            let mut all = data(record);
            ids.iter().for_each(|(name, id)| all[*name] = id.clone().into());
            all
        },
    );
    Ok(Exit::Done)
}

fn words(record: &Record, screen: &Screen) -> String {
    let Some(entry) = record.as_item() else { return String::new() };
    format!(
        "item     {}\nstate    recorded in block {}, {}\nfinding  {}\n",
        entry.item,
        record.height,
        time::words(record.time),
        finding(&entry.verdict, screen.speaker())
    )
}

fn data(record: &Record) -> Value {
    json!({
        "item": record.as_item().map(|entry| entry.item.to_string()),
        "index": record.index.0,
        "height": record.height.0,
        "time": record.time.to_string(),
        "finding": record.as_item().map(|entry| entry.verdict.finding.word()),
        "codes": record.as_item().map(|entry| entry.verdict.codes.iter().map(|code| code.word()).collect::<Vec<_>>()),
    })
}

/// The documents of a file: at least one, all of one class.
fn read(path: &Path) -> Outcome<Vec<Document>> {
    let bytes = files::read_up_to(path, MAX_DOCUMENT)?;
    let given = written::read(&bytes).could_not(|| format!("read {} as JSON", path.display()))?;
    let all = match given {
        Given::List(values) => values,
        one => vec![one],
    };
    let count = all.len();
    if count == 0 || count > MAX_ITEMS {
        return Err(Failed::unable(format!("a submission has 1 to {MAX_ITEMS} items")));
    }
    let documents = all
        .into_iter()
        .enumerate()
        .map(|(number, given)| {
            drawn(given).and_then(document).map_err(|error| match count {
                1 => hinted(&error),
                _ => hinted(&error.within(&number.to_string())),
            })
        })
        .collect::<Outcome<Vec<_>>>()?;
    let class = documents[0].fields.kind().class();
    match documents.iter().find(|document| document.fields.kind().class() != class) {
        Some(other) => Err(Failed::unable(format!(
            "{} is {}, the first document is {}: a submission holds one class",
            other.fields.kind().name(),
            other.fields.kind().class().word(),
            class.word()
        ))),
        None => Ok(documents),
    }
}

/// The acts of a file, for a proposal: nothing that is still to be sealed.
pub(crate) fn read_acts(path: &Path) -> Outcome<Vec<Written>> {
    read(path)?
        .into_iter()
        .map(|document| match document.values {
            None => Ok(Written { item_id: document.item_id, fields: document.fields }),
            Some(_) => Err(Failed::unable(format!(
                "{} has sealed fields: seal it first, and give the seal among its fields",
                document.fields.kind().name()
            ))),
        })
        .collect()
}

fn hinted(error: &GivenError) -> Failed {
    Failed::unable(error).hint("`custos item template KIND` shows what belongs where")
}

/// The same, with random bytes where they were asked for.
fn drawn(given: Given) -> Result<Given, GivenError> {
    Ok(match given {
        Given::Text(text) if text == RANDOM => match random() {
            Ok(bytes) => Given::Text(hex::encode(bytes)),
            Err(failed) => return Err(GivenError::expected(failed.message, &Given::Text(text))),
        },
        Given::List(values) => Given::List(values.into_iter().map(drawn).collect::<Result<_, _>>()?),
        Given::Fields(fields) => Given::Fields(
            fields
                .into_iter()
                .map(|(name, value)| Ok((name, drawn(value)?)))
                .collect::<Result<_, GivenError>>()?,
        ),
        other => other,
    })
}

fn document(given: Given) -> Result<Document, GivenError> {
    let named = given.fields(&["kind", "item_id", "fields", "sealed"])?;
    let kind = named.field("kind", |kind| {
        kind.parse("a kind of item, as `custos item kinds` lists them", Kind::from_name)
    })?;
    let item_id = match named.field("item_id", Option::<ItemId>::from_given)? {
        Some(item_id) => item_id,
        None => named.field("item_id", |_| ItemId::from_given(&drawn(Given::Text(RANDOM.into()))?))?,
    };
    let values = match (named.has("sealed"), kind.sealed_fields()) {
        (false, _) => None,
        (true, names) => Some(named.field("sealed", |sealed| {
            let sealed = sealed.fields(names)?;
            let value = |(number, name): (u8, &&str)| {
                sealed.field(name, |value| sealed_values::from_given(kind, number, value))
            };
            (1u8..).zip(names).map(value).collect::<Result<Vec<_>, _>>()
        })?),
    };
    let fields = named.field("fields", |fields| {
        let mut fields = fields.clone();
        // A place for the seal, which is made when the item's other parts are known.
        if let (Given::Fields(parts), Some(seal), true) = (&mut fields, kind.seal_field(), values.is_some()) {
            parts.retain(|(name, _)| name != seal);
            let empty = Seal { root: Digest::ZERO, ciphertext: None };
            parts.push((seal.to_owned(), Given::from(&empty.view())));
        }
        Fields::from_given(kind, &fields)
    })?;
    Ok(Document { item_id, fields, values })
}

fn kind(text: &str) -> Result<Kind, String> {
    Kind::from_name(text).ok_or_else(|| {
        let names: Vec<_> = Kind::ALL.iter().map(|kind| kind.name()).collect();
        format!("the kinds are {}", names.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_template_is_a_document() {
        for kind in Kind::ALL {
            let given = drawn(custos_api::view::given(&template(*kind)).unwrap()).unwrap();
            let document = document(given).unwrap_or_else(|error| panic!("{}: {error}", kind.name()));
            assert_eq!(document.fields.kind(), *kind);
            assert_eq!(document.values.is_some(), !kind.sealed_fields().is_empty());
        }
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        let said = |value: Value| match written::read(value.to_string().as_bytes()) {
            Ok(given) => match drawn(given).and_then(document) {
                Ok(_) => panic!("{value} is a document"),
                Err(error) => error.to_string(),
            },
            Err(error) => error.to_string(),
        };
        let close = |local_id: Value| json!({"kind": "trail.close", "fields": {"local_id": local_id}});
        assert!(said(json!([])).starts_with("expected named values: kind"));
        assert!(said(json!({"kind": "trail.clothe"})).starts_with("kind: expected a kind of item"));
        assert!(said(json!({"kind": "trail.close"})).starts_with("fields: expected named values: local_id"));
        assert!(said(close(json!(1.5))).starts_with("expected a whole number, found 1.5 at line 1 column"));
        assert!(
            said(close(json!("00")))
                .starts_with("fields.local_id: expected 64 lower-case hexadecimal digits")
        );
        assert!(
            said(json!({"kind": "trail.close", "fields": {}, "sealed": {"x": 1}})).starts_with("sealed:")
        );
    }
}
