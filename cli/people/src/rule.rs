//! The rules of a person's trails by number and date: "your consent of 3 Jan (rule 2)".
//!
//! Rules have random ids, which nobody remembers. In a view that begins with a trail's first entry they
//! are counted in the order in which they were recorded, entries by which a custodian lists
//! other trails left out. In a view of a part of a trail the count is not known, and the id stays.

use std::collections::BTreeMap;

use custos_proof::cbor::Wire as _;
use custos_proof::disclosure::Shown;
use custos_proof::hash::short;
use custos_proof::ids::{Random16, TimeMs};
use custos_proof::item::Item;
use custos_proof::kinds::Fields;
use custos_proof::kinds::rule::Collected;
use custos_proof::record::Record;
use custos_proof::sealed_values::RuleBody;

use crate::catalogue::Speaker;
use crate::say;

/// What is known of one rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Known {
    number: u64,
    /// When the subject agreed, if that is stated and opened, else when it was recorded.
    date: TimeMs,
}

/// The rules of one view.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules(BTreeMap<Random16, Known>);

impl Rules {
    /// Counts the next entry of the view, if it puts a rule. Entries MUST come in the order of the log, from the first.
    pub fn count(&mut self, record: &Record, item: &Item, shown: &[Shown]) {
        let Fields::RulePut(put) = &item.fields else { return };
        if put.collected == Collected::Custodian {
            return;
        }
        let known = Known { number: self.0.len() as u64 + 1, date: agreed(shown).unwrap_or(record.time) };
        self.0.entry(put.rule).or_insert(known);
    }

    /// "rule 2", or by id.
    #[must_use]
    pub fn name(&self, rule: &Random16, speaker: &Speaker) -> String {
        match self.0.get(rule) {
            Some(known) => say!(speaker, "rule-number", number = known.number),
            None => say!(speaker, "rule-id", id = short_rule(rule)),
        }
    }

    /// When the rule is from, if it is known in this view.
    #[must_use]
    pub fn date(&self, rule: &Random16) -> Option<TimeMs> {
        self.0.get(rule).map(|known| known.date)
    }
}

/// The first eight digits of a rule's id.
#[must_use]
pub fn short_rule(rule: &Random16) -> String {
    short(&rule.0)
}

fn agreed(shown: &[Shown]) -> Option<TimeMs> {
    let body = shown.iter().find(|field| field.field == 2)?.value.as_deref()?;
    let RuleBody::Rule(rule) = RuleBody::from_bytes(body).ok()? else { return None };
    u64::try_from(rule.agreed?.first_ms()).ok().map(TimeMs)
}
