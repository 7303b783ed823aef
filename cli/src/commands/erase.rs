//! `custos erase`: what need not be kept any longer goes, at the nodes first and then in the vault.
//!
//! ```text
//! trail, proven      what is of the class and old enough
//! payload.erase      an act: the validators judge period and holds; nodes drop the items with its block
//! trail, proven      the erasures that are recorded in it
//! vault              what opens the items that they cover is destroyed
//! ```
//!
//! # Correctness
//! The vault destroys what a recorded erasure covers, and nothing else: not what a node no longer shows. If we
//! die between the act and the vault, the next run finds the act in the trail and goes on from there; run without
//! anything left to erase, that is all it does.
//!
//! Deliberately absent: backups of the vault, and the systems that the statements came from.

use std::collections::BTreeSet;

use clap::Args;
use custos_api::client::Part;
use custos_custodian::vault::{Trail, Vault};
use custos_proof::cbor::Wire as _;
use custos_proof::hash::{ItemHash, TrailKey};
use custos_proof::ids::{FAR, ParticipantId, TimeMs};
use custos_proof::item::Item;
use custos_proof::kinds::access::Retention;
use custos_proof::kinds::hold::{Authority, Erase as Erased, MAX_ERASED};
use custos_proof::kinds::{Class, Fields};
use custos_proof::record::Record;
use custos_proof::sealed_values::{Parties, Party, Prose};
use custos_proof::trail::TrailName;
use custos_proof::verify::ProvenTrail;
use custos_state::changes::Erasure;
use custos_state::rules::hold::{MIN_AGE_MS, erasure};
use serde_json::{Value, json};

use crate::commands::emergency::stated;
use crate::commands::item::{NO_SEAL, record_by_hand};
use crate::desk::{Desk, DeskArgs, PatientArgs};
use crate::exit::{Exit, Failed, Outcome, While as _};
use crate::network::refused;
use crate::screen::Screen;
use crate::trails::{self, Ground};
use crate::{time, words};

/// A day, in milliseconds.
const DAY_MS: u64 = 86_400_000;

/// Erase what need not be kept any longer: at every node, and what opens it in the vault
///
/// The validators refuse what its class still asks to keep, and what is on hold. Records, roots and proofs stay:
/// a receipt that somebody has still verifies, and a trail is as complete as before; what was erased reads as
/// pruned. Run it again after an interruption: the vault destroys what the recorded erasures cover, whoever was
/// interrupted. Backups of the vault, and the systems that the statements came from, are yours to look after.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    custos erase --class standard --node http://127.0.0.1:7700 --key hospital-sign.key --vault vault \\\n    \
    --patient https://fhir.hospital.example/Patient/17 --anchor anchor.custos\n  \
    custos erase --class long --authority court --order \"Amtsgericht 5 C 12/31\" --year 2030 \\\n    \
    --node http://127.0.0.1:7700 --key hospital-sign.key --vault vault --code @code.txt")]
pub(crate) struct Erase {
    #[command(flatten)]
    desk: DeskArgs,
    #[command(flatten)]
    patient: PatientArgs,
    /// Which class of retention: short, standard, long; rules and all that is no access is long
    #[arg(long, value_parser = words::retention)]
    class: Retention,
    /// Only what was recorded before this first day of a quarter; by default the last one whose period has ended
    #[arg(long, value_name = "DATE", value_parser = time::parse)]
    before: Option<TimeMs>,
    /// By what right: retention-ended, court, supervisor
    #[arg(long, default_value = "retention-ended", value_parser = authority)]
    authority: Authority,
    /// Who ordered it, and under which reference, in words; sealed
    #[arg(long, value_name = "WORDS")]
    order: Option<String>,
    /// Only the trails of this calendar year (UTC); by default all
    #[arg(long, value_name = "YEAR")]
    year: Option<u16>,
}

/// What became of one trail.
struct Done {
    trail: Trail,
    acts: Vec<Record>,
    size: u64,
    pruned: usize,
    destroyed: usize,
}

impl Erase {
    /// Runs the command.
    pub(crate) fn run(&self, screen: &Screen) -> Outcome {
        let mut desk = self.desk.open(screen)?;
        let ground = Ground::of(&desk.client, self.desk.anchor.as_ref())?;
        ground.warn(screen);
        let before = self.before(&desk)?;
        let subject = self.patient.subject(&desk.vault)?;
        let trails = desk.vault.trails(&subject).could_not(|| "read the vault")?;
        let trails: Vec<Trail> =
            trails.iter().filter(|trail| self.year.is_none_or(|year| trail.epoch == year)).cloned().collect();
        let mut done = Vec::new();
        for trail in trails {
            done.push(self.erase(trail, before, &mut desk, &ground, screen)?);
        }
        let destroyed: usize = done.iter().map(|done| done.destroyed).sum();
        screen.result(
            |_| told(&done, destroyed, before),
            || {
                json!({
                    "before": before.to_string(),
                    "trails": done.iter().map(Done::json).collect::<Vec<_>>(),
                    "destroyed": destroyed,
                })
            },
        );
        Ok(Exit::Done)
    }

    fn erase(
        &self,
        trail: Trail,
        before: TimeMs,
        desk: &mut Desk,
        ground: &Ground,
        screen: &Screen,
    ) -> Outcome<Done> {
        let s = screen.speaker();
        let owner = desk.participant.clone();
        let key = TrailName::subject(&owner, trail.local_id).key();
        let fetch = |desk: &Desk| trails::fetch_by_key(&desk.client, &key, Part::Whole, ground, s);
        let mut proven = fetch(desk)?.proven;
        let mut acts = Vec::new();
        // What is asked for by name is for the validators to refuse.
        let limit = match self.before {
            Some(before) => before,
            None => before.min(TimeMs(proven.header.header.time.0.saturating_sub(MIN_AGE_MS))),
        };
        for (from, to) in stretches(&proven, self.class, limit) {
            let order =
                self.order.as_deref().map(|order| Party { display: Prose::new(order), ..Party::default() });
            let values =
                vec![stated(order.and_then(|party| Parties::new(vec![party]))), stated::<Prose<4096>>(None)];
            let fields = Fields::PayloadErase(Erased {
                local_id: trail.local_id,
                from,
                to,
                retention: self.class,
                before,
                authority: self.authority,
                seal: NO_SEAL,
            });
            acts.push(record_by_hand(desk, Class::Act, fields, Some(values), screen)?);
        }
        if !acts.is_empty() {
            proven = fetch(desk)?.proven;
        }
        let covered = covered(&proven, key, &owner, &desk.vault)?;
        let destroyed =
            desk.vault.erase_items(&covered).could_not(|| "destroy in the vault what opens them")?;
        Ok(Done { trail, acts, size: proven.size, pruned: proven.not_shown().1, destroyed })
    }

    /// Before when something was recorded that goes.
    fn before(&self, desk: &Desk) -> Outcome<TimeMs> {
        match (self.authority, self.before) {
            (Authority::RetentionEnded, Some(before)) if before.is_coarse() => Ok(before),
            (Authority::RetentionEnded, Some(before)) => {
                let words = time::words(before);
                Err(Failed::unable(format!("{words} is not the first day of a quarter"))
                    .hint("1 January, 1 April, 1 July or 1 October: a day would point to one record"))
            }
            (Authority::RetentionEnded, None) => last_quarter(desk, self.class),
            (Authority::Court | Authority::Supervisor, None) => Ok(FAR),
            (Authority::Court | Authority::Supervisor, Some(_)) => {
                Err(Failed::unable("an order is not about age: leave --before out"))
            }
        }
    }
}

/// The last first day of a quarter whose period has ended, by the policy and the time of the node's head.
fn last_quarter(desk: &Desk, class: Retention) -> Outcome<TimeMs> {
    let policy = desk.client.policy().map_err(refused)?.policy;
    let place = match class {
        Retention::Short => 0,
        Retention::Standard => 1,
        Retention::Long => 2,
    };
    let days = policy["retention_days"][place]
        .as_u64()
        .ok_or_else(|| Failed::unable("the node's policy does not say how long this class is kept"))?;
    let head = desk.client.status().map_err(refused)?.time_ms;
    let mut day = TimeMs(head.saturating_sub(days.saturating_mul(DAY_MS)) / DAY_MS * DAY_MS);
    while !day.is_coarse() && day.0 > 0 {
        day = TimeMs(day.0 - DAY_MS);
    }
    Ok(day)
}

/// From the first to behind the last entry that is of the class and old enough, in pieces that one act can name.
fn stretches(proven: &ProvenTrail, class: Retention, before: TimeMs) -> Vec<(u64, u64)> {
    let wanted = Erasure { trail: proven.key, from: 0, to: proven.size, retention: class, before };
    let is_wanted = |entry: &&custos_proof::verify::ProvenEntry| {
        trails::item_of(entry).is_some_and(|item| wanted.covers(entry.record.time, &item.item.fields))
    };
    let places: Vec<u64> = proven.entries.iter().filter(is_wanted).map(|entry| entry.position).collect();
    let (Some(first), Some(last)) = (places.first(), places.last()) else { return Vec::new() };
    let mut pieces = Vec::new();
    let mut from = *first;
    while from <= *last {
        let to = (from + MAX_ERASED).min(last + 1);
        pieces.push((from, to));
        from = to;
    }
    pieces
}

/// What the erasures that are recorded in the trail cover, of what the vault has.
fn covered(
    proven: &ProvenTrail,
    key: TrailKey,
    owner: &ParticipantId,
    vault: &Vault,
) -> Outcome<BTreeSet<ItemHash>> {
    let erasures: Vec<Erasure> = proven
        .entries
        .iter()
        .filter_map(|entry| match trails::item_of(entry).map(|item| &item.item.fields) {
            Some(Fields::PayloadErase(erase)) => Some(erasure(owner, erase, entry.record.time)),
            _ => None,
        })
        .filter(|erasure| erasure.trail == key)
        .collect();
    let mut covered = BTreeSet::new();
    for entry in &proven.entries {
        let Some(hash) = entry.record.as_item().map(|item| item.item) else { continue };
        if vault.entry(&hash).is_none() {
            continue;
        }
        let stored = vault.item(&hash).could_not(|| "read the vault")?;
        let item = Item::from_bytes(&stored.bytes).could_not(|| "read an item of the vault")?;
        let is_covered = |erasure: &Erasure| {
            (erasure.from..erasure.to).contains(&entry.position)
                && erasure.covers(entry.record.time, &item.fields)
        };
        if erasures.iter().any(is_covered) {
            covered.insert(hash);
        }
    }
    Ok(covered)
}

fn told(done: &[Done], destroyed: usize, before: TimeMs) -> String {
    let mut text = String::new();
    for Done { trail, acts, size, pruned, .. } in done {
        for act in acts {
            if let Some(entry) = act.as_item() {
                let time = time::words(act.time);
                text.push_str(&format!(
                    "item     {}\nstate    recorded in block {}, {time}\n",
                    entry.item, act.height
                ));
            }
        }
        let whose = trail.grantee.as_ref().map_or_else(|| "own trail".to_owned(), ToString::to_string);
        text.push_str(&format!("{:<8} {whose}: {pruned} of {size} entries read as pruned\n", trail.epoch));
    }
    if done.iter().all(|done| done.acts.is_empty()) {
        let age = match before {
            FAR => "more than 30 days old".to_owned(),
            before => format!("recorded before {}", time::words(before)),
        };
        text.push_str(&format!("nodes    nothing more to erase of this class, {age}\n"));
    }
    match destroyed {
        0 => text.push_str("vault    nothing to destroy\n"),
        1 => text.push_str("vault    1 entry: what opens it is destroyed\n"),
        count => text.push_str(&format!("vault    {count} entries: what opens them is destroyed\n")),
    }
    text
}

impl Done {
    fn json(&self) -> Value {
        json!({
            "year": self.trail.epoch,
            "grantee": self.trail.grantee.as_ref().map(ToString::to_string),
            "acts": self.acts.iter().filter_map(|act| act.as_item().map(|entry| entry.item.to_string())).collect::<Vec<_>>(),
            "entries": self.size,
            "pruned": self.pruned,
            "destroyed": self.destroyed,
        })
    }
}

fn authority(text: &str) -> Result<Authority, String> {
    let words: Vec<_> = Authority::ALL.iter().map(|authority| authority.word()).collect();
    Authority::from_word(text).ok_or_else(|| format!("it is one of {}", words.join(", ")))
}
