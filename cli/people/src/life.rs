//! Sentences for permits, emergencies, transfers, corrections, holds, erasures, and who speaks for a subject.
//!
//! Clear fields only; what is sealed is listed below the sentence, as for every entry.

use custos_proof::hash::short;
use custos_proof::kinds::Fields;
use custos_proof::kinds::permit::Terms;
use custos_proof::kinds::trail::Change;

use crate::catalogue::Speaker;
use crate::event::Manner;
use crate::say;

/// What an item says; nothing if it is of none of these kinds.
pub(crate) fn sentence(fields: &Fields, author: &str, manner: Manner<'_>) -> Option<String> {
    let s = manner.speaker;
    let name = |id| manner.names.of(id, s);
    Some(match fields {
        Fields::EmergencyDeclare(f) => {
            let (acting, custodian) = (name(&f.acting), name(&f.custodian));
            say!(
                s,
                "did-declare",
                author = author,
                acting = acting,
                custodian = custodian,
                id = short(&f.declaration.0)
            )
        }
        Fields::EmergencyReview(f) => {
            say!(s, "did-review", author = author, name = name(&f.declarer), id = short(&f.declaration.0))
        }
        Fields::PermitIssue(f) => {
            say!(s, "did-permit", author = author, id = short(&f.permit.0), terms = terms(&f.terms, manner))
        }
        Fields::PermitAmend(f) => {
            say!(
                s,
                "did-permit-amend",
                author = author,
                id = short(&f.permit.0),
                terms = terms(&f.terms, manner)
            )
        }
        Fields::PermitRevoke(f) => {
            say!(s, "did-permit-revoke", author = author, id = short(&f.permit.0), reason = s.word(f.reason))
        }
        Fields::AccessCorrect(f) => {
            say!(s, "did-correct", author = author, id = short(&f.prior.0), reason = s.word(f.reason))
        }
        Fields::DisclosureExport(f) => {
            let recipient = f.recipient.as_ref().map_or_else(|| say!(s, "value-outside"), name);
            let told = say!(s, "did-export", author = author, name = recipient, id = short(&f.transfer.0));
            across(told, &f.from_country, &f.to_country, s)
        }
        Fields::DisclosureImport(f) => {
            let told =
                say!(s, "did-import", author = author, name = name(&f.source), id = short(&f.transfer.0));
            across(told, &f.from_country, &f.to_country, s)
        }
        Fields::JobRecord(f) => {
            say!(s, "did-job", author = author, step = s.word(f.step), id = short(&f.permit.0))
        }
        Fields::RecordEvent(f) => say!(s, "did-record", author = author, step = s.word(f.step)),
        Fields::AuditRead(f) => {
            say!(s, "did-audit-read", author = author, count = f.count.to_string(), name = name(&f.custodian))
        }
        Fields::HoldSet(f) => match f.local_id {
            Some(_) => say!(s, "did-hold-trail", author = author, id = short(&f.hold.0)),
            None => {
                say!(s, "did-hold-all", author = author, name = name(&f.custodian), id = short(&f.hold.0))
            }
        },
        Fields::HoldLift(f) => say!(s, "did-hold-lift", author = author, id = short(&f.hold.0)),
        Fields::PayloadErase(f) => {
            let (from, to) = (f.from.to_string(), f.to.saturating_sub(1).to_string());
            say!(s, "did-erase", author = author, from = from, to = to, reason = s.word(f.authority))
        }
        Fields::TrailAgent(f) => {
            let who = match (&f.key, &f.agent) {
                (_, Some(agent)) => name(agent),
                (Some(key), None) => say!(s, "value-subject-key", key = short(&key.0)),
                (None, None) => say!(s, "value-somebody"),
            };
            match f.change {
                Change::Add => say!(s, "did-agent-add", author = author, who = who),
                Change::Remove => say!(s, "did-agent-remove", author = author, who = who),
            }
        }
        _ => return None,
    })
}

/// From which country to which, if that is stated.
fn across(told: String, from: &str, to: &str, s: &Speaker) -> String {
    let country = |code: &str| match code {
        "" => say!(s, "value-unnamed"),
        code => code.to_owned(),
    };
    match (from, to) {
        ("", "") => told,
        (from, to) => say!(s, "did-across", told = told, from = country(from), to = country(to)),
    }
}

fn terms(terms: &Terms, manner: Manner<'_>) -> String {
    let s = manner.speaker;
    let holders: Vec<String> = terms.holders.iter().map(|id| manner.names.of(id, s)).collect();
    let purposes: Vec<String> = terms.purposes.iter().map(|purpose| s.word(*purpose)).collect();
    let categories: Vec<String> = terms.categories.iter().map(|category| s.word(*category)).collect();
    say!(
        s,
        "permit-terms",
        user = manner.names.of(&terms.user, s),
        form = s.word(terms.form),
        categories = s.all_of(&categories),
        holders = s.all_of(&holders),
        purposes = s.all_of(&purposes),
        begins = s.minute(terms.begins),
        ends = s.minute(terms.ends)
    )
}
