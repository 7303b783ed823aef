//! Sentences for permits, emergencies, transfers, records, holds and who speaks for a subject.
//!
//! Clear fields only, in plain English; what is sealed is listed below the sentence as for every entry.

use custos_proof::hash::short;
use custos_proof::kinds::trail::Change;
use custos_proof::kinds::{Fields, hold, permit};

use super::event::Names;
use crate::time;

/// What an item says; nothing if it is of none of these kinds.
pub(crate) fn sentence(fields: &Fields, author: &str, names: &Names) -> Option<String> {
    Some(match fields {
        Fields::EmergencyDeclare(f) => format!(
            "{author} declared an emergency ({}): {} acts on data of {}",
            f.declaration,
            names.of(&f.acting),
            names.of(&f.custodian)
        ),
        Fields::EmergencyReview(f) => {
            format!(
                "{author} reviewed the emergency {} that {} declared",
                f.declaration,
                names.of(&f.declarer)
            )
        }
        Fields::PermitIssue(f) => format!("{author} issued permit {}: {}", f.permit, terms(&f.terms, names)),
        Fields::PermitAmend(f) => format!("{author} amended permit {}: {}", f.permit, terms(&f.terms, names)),
        Fields::PermitRevoke(f) => format!("{author} revoked permit {} (reason: {})", f.permit, f.reason),
        Fields::AccessCorrect(f) => {
            format!("{author} takes back what it stated as event {} (what was wrong: {})", f.prior, f.reason)
        }
        Fields::DisclosureExport(f) => format!(
            "{author} states that it gave data to {} (transfer {})",
            f.recipient.as_ref().map_or_else(|| "somebody outside this network".into(), |id| names.of(id)),
            f.transfer
        ),
        Fields::DisclosureImport(f) => {
            format!(
                "{author} states that it received data from {} (transfer {})",
                names.of(&f.source),
                f.transfer
            )
        }
        Fields::JobRecord(f) => {
            format!("{author} states a step under permit {}: {} of job {}", f.permit, f.step, f.job)
        }
        Fields::RecordEvent(f) => format!("{author} states what became of record {}: {}", f.record, f.step),
        Fields::AuditRead(f) => {
            format!("{author} read {} entries of {}'s audit trails", f.count, names.of(&f.custodian))
        }
        Fields::HoldSet(f) => {
            let what = if f.local_id.is_some() { "this trail" } else { "everything" };
            format!("{author} set hold {}: {what} of {} has to be kept", f.hold, names.of(&f.custodian))
        }
        Fields::HoldLift(f) => format!("{author} lifted hold {}", f.hold),
        Fields::PayloadErase(f) => erasure(f, author),
        Fields::TrailAgent(f) => {
            let who = match (&f.key, &f.agent) {
                (_, Some(agent)) => names.of(agent),
                (Some(key), None) => format!("the subject's key {}", short(&key.0)),
                (None, None) => "nobody".into(),
            };
            match f.change {
                Change::Add => format!("{author} named who may speak for the subject in this trail: {who}"),
                Change::Remove => format!("{author} removed who spoke for the subject in this trail: {who}"),
            }
        }
        _ => return None,
    })
}

fn erasure(f: &hold::Erase, author: &str) -> String {
    let why = match f.authority {
        hold::Authority::RetentionEnded => "their time is over",
        hold::Authority::Court => "a court ordered it",
        hold::Authority::Supervisor => "a supervisory authority ordered it",
    };
    format!("{author} erased entries {} to {} of this trail: {why}", f.from, f.to.saturating_sub(1))
}

fn terms(terms: &permit::Terms, names: &Names) -> String {
    let holders: Vec<String> = terms.holders.iter().map(|id| names.of(id)).collect();
    let purposes: Vec<&str> = terms.purposes.iter().map(|purpose| purpose.word()).collect();
    let categories: Vec<&str> = terms.categories.iter().map(|category| category.word()).collect();
    format!(
        "{} may use {} data of {} (categories {}) for {}, from {} until {}",
        names.of(&terms.user),
        terms.form,
        holders.join(", "),
        categories.join(", "),
        purposes.join(", "),
        time::words(terms.begins),
        time::words(terms.ends)
    )
}
