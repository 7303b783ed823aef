//! `custos import`: documents of other systems become sealed items, or refusals that say why.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use custos_custodian::fhir::{self, Options, Reading, Refusal};
use custos_custodian::import::{self, Disposition, Draft, Input, Organisations, Planning, Settings, Timing};
use custos_proof::hash::ItemHash;
use custos_proof::ids::ParticipantId;
use custos_proof::kinds::rule::Collected;
use serde_json::{Value, json};

use crate::desk::{Desk, DeskArgs, Sent};
use crate::exit::{Exit, Failed, Outcome, While as _};
use crate::render::paint::Paint;
use crate::render::table::table;
use crate::screen::Screen;
use crate::{files, time};

/// Record what other systems documented
#[derive(Debug, Subcommand)]
#[command(
    after_help = "Example:\n  custos import fhir export/ --node http://127.0.0.1:7700 --key hospital-sign.key --vault vault"
)]
pub(crate) enum Import {
    Fhir(Fhir),
}

impl Import {
    /// Runs the command.
    pub(crate) fn run(&self, screen: &Screen) -> Outcome {
        match self {
            Import::Fhir(command) => command.run(screen),
        }
    }
}

/// Record FHIR Consents and AuditEvents, R4 or R5
///
/// Takes JSON files, bundles and folders. Each Consent becomes rules and each AuditEvent an access
/// event, or is refused with a reason that names the element; nothing is left out in silence.
/// Everything personal is sealed before it leaves this process, and what opens it is kept in the
/// vault before anything is sent. A run that was cut short is finished by running it again: nothing
/// is recorded twice.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 every Consent and AuditEvent was recorded or refused with a reason; 2 it could not be finished.\n\n\
    Example:\n  \
    custos import fhir export/ --node http://127.0.0.1:7700 --key hospital-sign.key --vault vault \\\n    \
    --base https://fhir.hospital.example --organisation Organization/17=lab.example --codes codes.txt"
)]
pub(crate) struct Fhir {
    /// Files and folders
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    desk: DeskArgs,
    /// The address of the server that the documents come from: what relative references belong to
    #[arg(long, value_name = "URL")]
    base: Option<String>,
    /// Which participant an organisation of the documents is; may be repeated
    #[arg(long = "organisation", value_name = "NAME=PARTICIPANT", value_parser = organisation)]
    organisations: Vec<(String, ParticipantId)>,
    /// How consents were collected when their documents do not say
    #[arg(long, value_name = "HOW", default_value = "paper", value_parser = collected)]
    collected: Collected,
    /// The accesses were decided with this ledger in view, now; by default they are history
    #[arg(long)]
    live: bool,
    /// Print the patients' codes; whoever has one can read that patient's trails
    #[arg(long)]
    show_codes: bool,
    /// Write the patients' codes to a new file of mode 0600
    #[arg(long, value_name = "FILE")]
    codes: Option<PathBuf>,
}

/// What became of one document.
struct Row {
    location: String,
    resource: String,
    fate: Fate,
}

enum Fate {
    Recorded(Vec<ItemHash>),
    Before(Vec<ItemHash>),
    Refused(Refusal),
    RefusedByLedger(String),
    NotApplicable(String),
}

impl Fate {
    const fn word(&self) -> &'static str {
        match self {
            Fate::Recorded(_) => "recorded",
            Fate::Before(_) => "recorded before",
            Fate::Refused(_) => "refused",
            Fate::RefusedByLedger(_) => "refused by the ledger",
            Fate::NotApplicable(_) => "not applicable",
        }
    }
}

impl Fhir {
    fn run(&self, screen: &Screen) -> Outcome {
        if let Some(path) = self.codes.as_ref().filter(|path| path.exists()) {
            return Err(Failed::unable(format!("{} exists already and is not overwritten", path.display())));
        }
        let mut desk = self.desk.open(screen)?;
        let options = Options {
            base: self.base.clone().unwrap_or_else(|| format!("https://{}/fhir", desk.participant)),
            now: time::now(),
            collected: self.collected,
        };
        let spinner = screen.spinner("reading");
        let readings = fhir::read_paths(&self.paths, &options);
        spinner.finish_and_clear();
        let mut organisations = Organisations::default();
        self.organisations
            .iter()
            .for_each(|(name, participant)| organisations.add(name, participant.clone()));
        let timing =
            if self.live { Timing::Live { at_height: desk.height } } else { Timing::ImportedHistory };
        let settings = Settings { organisations, timing, ..Settings::history(desk.epoch) };
        let (rows, inputs) = sort(readings);
        let mut plan = import::plan(&mut desk.vault, inputs, &settings).could_not(|| "seal what was read")?;
        let dispositions = std::mem::take(&mut plan.dispositions);
        let sent = desk.carry_out(plan, &settings, screen)?;
        let rows = settle(rows, dispositions, &sent);
        let codes = self.codes_of(&desk, &rows)?;
        if let Some(path) = &self.codes {
            let text: String = codes.iter().map(|(names, code)| format!("{code}\t{names}\n")).collect();
            files::create(path, text.as_bytes(), true)?;
            screen.talk(format!(
                "Patient codes written to {1}: {0}. Hand each to its patient, like a key.",
                codes.len(),
                path.display()
            ));
        }
        let shown = if self.show_codes { &codes[..] } else { &[] };
        screen.result(|paint| words(&rows, &sent, shown, paint), || document(&rows, &sent, shown));
        Ok(Exit::Done)
    }

    /// Names and codes of the patients that this run was about.
    fn codes_of(&self, desk: &Desk, rows: &[Row]) -> Outcome<Vec<(String, String)>> {
        if !self.show_codes && self.codes.is_none() {
            return Ok(Vec::new());
        }
        let mut subjects = BTreeMap::new();
        for row in rows {
            let (Fate::Recorded(items) | Fate::Before(items)) = &row.fate else { continue };
            for subject in items.iter().filter_map(|item| desk.vault.subject_of(item)) {
                // The institution's own items belong to no patient.
                let Ok(code) = desk.vault.code(&subject) else { continue };
                let names = desk.vault.names(&subject).could_not(|| "read the vault")?;
                let names: Vec<&str> = names.iter().map(|name| name.as_str()).collect();
                subjects.insert(subject, (names.join(", "), code.to_string()));
            }
        }
        Ok(subjects.into_values().collect())
    }
}

/// What is settled by reading alone, and what has to be planned; the rows of the latter wait in order.
fn sort(readings: Vec<Reading>) -> (Vec<Row>, Vec<Input>) {
    let mut rows = Vec::with_capacity(readings.len());
    let mut inputs = Vec::new();
    for Reading { location, resource, outcome } in readings {
        let fate = match outcome {
            fhir::Outcome::Event(draft) => {
                inputs.push(Input { location: location.clone(), draft: Draft::Event(draft) });
                Fate::Recorded(Vec::new())
            }
            fhir::Outcome::Rule(draft) => {
                inputs.push(Input { location: location.clone(), draft: Draft::Rule(draft) });
                Fate::Recorded(Vec::new())
            }
            fhir::Outcome::NotApplicable(why) => Fate::NotApplicable(why),
            fhir::Outcome::Refused(refusal) => Fate::Refused(refusal),
        };
        rows.push(Row { location, resource: resource.unwrap_or_else(|| "file".into()), fate });
    }
    (rows, inputs)
}

/// Fills in what planning and the ledger said, in the order in which the rows were read.
fn settle(mut rows: Vec<Row>, dispositions: Vec<Disposition>, sent: &Sent) -> Vec<Row> {
    let waiting = rows.iter_mut().filter(|row| matches!(row.fate, Fate::Recorded(_)));
    for (row, disposition) in waiting.zip(dispositions) {
        row.fate = match disposition.result {
            Planning::Planned(items) => match items.iter().find_map(|item| sent.refused.get(item)) {
                Some(why) => Fate::RefusedByLedger(why.clone()),
                None => Fate::Recorded(items),
            },
            Planning::Recorded(items) => Fate::Before(items),
            Planning::Refused(refusal) => Fate::Refused(refusal),
        };
    }
    rows
}

fn counts(rows: &[Row]) -> BTreeMap<(&str, &'static str), usize> {
    let mut counts = BTreeMap::new();
    for row in rows {
        let kind = row.resource.split('/').next().unwrap_or_default();
        *counts.entry((kind, row.fate.word())).or_insert(0) += 1;
    }
    counts
}

fn words(rows: &[Row], sent: &Sent, codes: &[(String, String)], paint: Paint) -> String {
    let mut text = String::new();
    for row in rows {
        match &row.fate {
            Fate::Refused(refusal) => {
                text.push_str(&format!("{} {}: {refusal}\n", paint.warn("refused"), row.location))
            }
            Fate::RefusedByLedger(why) => {
                text.push_str(&format!("{} {}: {why}\n", paint.bad("refused by the ledger"), row.location))
            }
            Fate::Recorded(_) | Fate::Before(_) | Fate::NotApplicable(_) => {}
        }
    }
    if !text.is_empty() {
        text.push('\n');
    }
    let cells: Vec<_> = counts(rows)
        .into_iter()
        .map(|((kind, word), count)| vec![kind.to_owned(), word.to_owned(), count.to_string()])
        .collect();
    text.push_str(&table(&["resource", "became", "count"], &cells));
    text.push_str(&format!(
        "\n\n{} items recorded in {} submissions\n",
        sent.recorded.len(),
        sent.submissions
    ));
    for (names, code) in codes {
        text.push_str(&format!("{code}  {names}\n"));
    }
    text
}

fn document(rows: &[Row], sent: &Sent, codes: &[(String, String)]) -> Value {
    let row = |row: &Row| {
        let hashes = |items: &[ItemHash]| items.iter().map(ToString::to_string).collect::<Vec<_>>();
        let detail = match &row.fate {
            Fate::Recorded(items) | Fate::Before(items) => json!({ "items": hashes(items) }),
            Fate::Refused(refusal) => {
                json!({ "code": refusal.code.word(), "element": refusal.element, "message": refusal.message })
            }
            Fate::RefusedByLedger(why) | Fate::NotApplicable(why) => json!({ "message": why }),
        };
        json!({ "location": row.location, "resource": row.resource, "became": row.fate.word(), "detail": detail })
    };
    let summary: Vec<_> = counts(rows)
        .into_iter()
        .map(|((kind, word), count)| json!({ "resource": kind, "became": word, "count": count }))
        .collect();
    json!({
        "summary": summary,
        "items_recorded": sent.recorded.len(),
        "submissions": sent.submissions,
        "documents": rows.iter().map(row).collect::<Vec<_>>(),
        "codes": codes.iter().map(|(names, code)| json!({ "names": names, "code": code })).collect::<Vec<_>>(),
    })
}

fn organisation(text: &str) -> Result<(String, ParticipantId), String> {
    let (name, participant) =
        text.rsplit_once('=').ok_or("write NAME=PARTICIPANT, such as Organization/17=lab.example")?;
    Ok((name.to_owned(), participant.parse().map_err(|error| format!("{error}"))?))
}

/// How a subject's will was collected, as a word.
pub(crate) fn collected(text: &str) -> Result<Collected, String> {
    let known: Vec<_> =
        Collected::ALL.iter().filter(|how| **how != Collected::Custodian).map(|how| how.word()).collect();
    Collected::from_word(text)
        .filter(|how| *how != Collected::Custodian)
        .ok_or_else(|| format!("it is one of {}", known.join(", ")))
}
