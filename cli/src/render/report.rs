//! What a verification showed, as JSON. The same in words is `custos_people::verified`.

use custos_people::rule::Rules;
use custos_people::verified::{self, Ground};
use custos_proof::anchor::Trust;
use custos_proof::disclosure::Shown;
use custos_proof::kinds::Kind;
use custos_proof::sealed_values;
use custos_proof::verify::{Content, ProvenHeader, ProvenItem, ProvenReceipt, ProvenTrail};
use serde_json::{Value, json};

use crate::render::json as render;

/// A verified receipt.
pub(crate) fn receipt(proven: &ProvenReceipt, shown: &[Shown], ground: &Ground<'_>) -> Value {
    json!({
        "outcome": "verified",
        "file": "receipt",
        "proven": header(&proven.header, ground),
        "item": item(&proven.item, shown, &Rules::default(), ground),
    })
}

/// A verified trail proof; `shown` has the sealed fields of each entry.
pub(crate) fn trail(proven: &ProvenTrail, shown: &[Vec<Shown>], ground: &Ground<'_>) -> Value {
    let (withheld, pruned) = proven.not_shown();
    let rules = verified::rules(proven, shown);
    let entries: Vec<Value> = proven
        .entries
        .iter()
        .zip(shown)
        .map(|(entry, shown)| match &entry.content {
            Content::Item(proven) => json!({
                "position": entry.position, "content": "full", "item": item(proven, shown, &rules, ground),
            }),
            Content::Withheld(warrant) => json!({
                "position": entry.position, "content": "withheld", "warrant": warrant.to_string(), "record": render::of(&entry.record),
            }),
            Content::Pruned => json!({ "position": entry.position, "content": "pruned", "record": render::of(&entry.record) }),
        })
        .collect();
    json!({
        "outcome": "verified",
        "file": "trail",
        "proven": header(&proven.header, ground),
        "trail": { "name": render::of(&proven.name), "key": proven.key.to_string(), "size": proven.size },
        "absent": proven.size == 0,
        "complete": proven.is_complete(),
        "begin": proven.begin,
        "withheld": withheld,
        "pruned": pruned,
        "entries": entries,
    })
}

fn header(header: &ProvenHeader, ground: &Ground<'_>) -> Value {
    let (signers, of) = ground.signers(header);
    json!({
        "header": render::of(&header.header),
        "block_id": header.header.block_id().to_string(),
        "signers": signers.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "validators": of,
        "anchor_height": ground.anchor.height.0,
        "trust": match header.trust {
            Trust::TrustPeriod => json!("trust-period"),
            Trust::Witnesses(count) => json!({ "witnesses": count }),
        },
    })
}

fn item(item: &ProvenItem, shown: &[Shown], rules: &Rules, ground: &Ground<'_>) -> Value {
    json!({
        "reference": item.hash.to_string(),
        "author": item.entry.author.to_string(),
        "key_id": custos_proof::keys::key_id(&item.key.key).to_string(),
        "strict_signature": item.is_strict(),
        "record": render::of(&item.record),
        "finding": item.entry.verdict.finding.word(),
        "codes": item.entry.verdict.codes.iter().map(|code| code.word()).collect::<Vec<_>>(),
        "stated": render::of(&item.item),
        "sealed": shown.iter().map(|field| sealed(item.item.kind(), field)).collect::<Vec<_>>(),
        "words": verified::told(item, shown, ground.manner(rules)),
    })
}

fn sealed(kind: Kind, field: &Shown) -> Value {
    let value = field.value.as_ref().map(|value| match sealed_values::view(kind, field.field, value) {
        Ok(view) => render::tree(&view),
        Err(_) => json!({ "unreadable": hex::encode(value) }),
    });
    json!({ "field": field.field, "name": field.name, "shown": field.value.is_some(), "value": value })
}
