//! What a verification showed, in plain words and as JSON.
//!
//! Every report keeps apart what is *proven* (recorded, when, signed by whom, agreed by whom), what
//! is only *stated* by an author, what the validators *checked*, and what is *sealed* or held back.

use custos_proof::anchor::{Link, Trust, TrustAnchor};
use custos_proof::certificate::ValidatorSet;
use custos_proof::disclosure::Shown;
use custos_proof::hash::short;
use custos_proof::ids::ParticipantId;
use custos_proof::item::Item;
use custos_proof::keys::key_id;
use custos_proof::kinds::Kind;
use custos_proof::record::{Entry, Finding, Record};
use custos_proof::sealed_values;
use custos_proof::verify::{Content, ProvenEntry, ProvenHeader, ProvenItem, ProvenReceipt, ProvenTrail};
use serde_json::{Value, json};

use crate::render::event::{Listener, Names, Telling, finding};
use crate::render::json as render;
use crate::render::paint::Paint;
use crate::time;

/// What a report is told with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ground<'a> {
    /// What was believed from the start.
    pub(crate) anchor: &'a TrustAnchor,
    /// How later validators followed from it.
    pub(crate) links: &'a [Link],
    /// For how long the anchor is trusted.
    pub(crate) trust_period_ms: u64,
    /// What participants call themselves.
    pub(crate) names: &'a Names,
}

impl Ground<'_> {
    fn validators(&self, header: &ProvenHeader) -> Option<&ValidatorSet> {
        let hash = header.header.validators_hash;
        std::iter::once(&self.anchor.validators)
            .chain(self.links.iter().map(|link| &link.next))
            .find(|set| set.hash() == hash)
    }

    /// Who signed, and how many could have.
    fn signers(&self, header: &ProvenHeader) -> (Vec<ParticipantId>, usize) {
        let Some(set) = self.validators(header) else { return (Vec::new(), 0) };
        let of = |signer: &u16| {
            set.as_slice().get(usize::from(*signer)).map(|validator| validator.participant.clone())
        };
        (header.signers.iter().filter_map(of).collect(), set.as_slice().len())
    }

    fn trust(&self, header: &ProvenHeader) -> String {
        let anchor = format!("the anchor (block {}, {})", self.anchor.height, time::words(self.anchor.time));
        match header.trust {
            Trust::TrustPeriod => format!(
                "follows from {anchor}, within its trust period of {}",
                time::span(self.trust_period_ms)
            ),
            Trust::Witnesses(count) => {
                format!("follows from {anchor}, and {count} of its witnesses cosigned a log that contains it")
            }
        }
    }

    fn header_lines(&self, header: &ProvenHeader, lines: &mut Lines) {
        let (signers, of) = self.signers(header);
        let names: Vec<String> = signers.iter().map(ToString::to_string).collect();
        lines.pair("agreed by", format!("{} of {of} validators: {}", signers.len(), names.join(", ")));
        lines.pair("trust", self.trust(header));
        lines.pair("chain", header.header.chain.to_string());
    }

    fn header_json(&self, header: &ProvenHeader) -> Value {
        let (signers, of) = self.signers(header);
        json!({
            "header": render::of(&header.header),
            "block_id": header.header.block_id().to_string(),
            "signers": signers.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "validators": of,
            "anchor_height": self.anchor.height.0,
            "trust": match header.trust {
                Trust::TrustPeriod => json!("trust-period"),
                Trust::Witnesses(count) => json!({ "witnesses": count }),
            },
        })
    }
}

/// A verified receipt in words.
pub(crate) fn receipt(proven: &ProvenReceipt, shown: &[Shown], ground: &Ground<'_>, paint: Paint) -> String {
    let item = &proven.item;
    let mut lines = Lines::new(paint);
    lines.text(format!("{} a receipt of one {}", paint.good("VERIFIED"), item.item.kind().name()));
    lines.heading("Proven");
    lines.pair("recorded", place(&item.record));
    lines.pair("signed by", signature(item));
    ground.header_lines(&proven.header, &mut lines);
    lines.pair("item", item.hash.to_string());
    lines.heading(&format!("Stated by {}, and not proven by this", item.entry.author));
    lines.text(format!("  {}", told(item, shown, ground)));
    lines.heading("Checked by the validators when they recorded it");
    checks(item, &mut lines);
    sealed(item.item.kind(), shown, &mut lines);
    lines.finish()
}

/// A verified receipt as JSON.
pub(crate) fn receipt_json(proven: &ProvenReceipt, shown: &[Shown], ground: &Ground<'_>) -> Value {
    json!({
        "outcome": "verified",
        "file": "receipt",
        "proven": ground.header_json(&proven.header),
        "item": item_json(&proven.item, shown, ground),
    })
}

/// A verified trail proof in words; `shown` has the sealed fields of each entry.
pub(crate) fn trail(proven: &ProvenTrail, shown: &[Vec<Shown>], ground: &Ground<'_>, paint: Paint) -> String {
    let header = &proven.header.header;
    let mut lines = Lines::new(paint);
    lines.text(format!("{} {}", paint.good("VERIFIED"), trail_title(proven)));
    lines.heading("Proven");
    lines.pair("trail", format!("{} trail of {}, key {}", proven.name.kind, proven.name.owner, proven.key));
    lines.pair("as of", format!("block {}, block time {}", header.height, time::words(header.time)));
    lines.pair("entries", trail_entries(proven));
    ground.header_lines(&proven.header, &mut lines);
    if !proven.entries.is_empty() {
        lines
            .heading("Entries: each is proven to be recorded and signed; what it says is stated, not proven");
    }
    for (entry, shown) in proven.entries.iter().zip(shown) {
        trail_entry(entry, shown, ground, &mut lines);
    }
    let (withheld, pruned) = proven.not_shown();
    if withheld + pruned > 0 {
        lines.heading("Not shown");
        lines.text(format!("  {withheld} withheld on an order, {pruned} pruned or without an item: counted above, their content is not here"));
    }
    lines.heading("Not proven");
    lines.text("  that everything that happened was recorded, or that what is stated is true");
    lines.finish()
}

/// A verified trail proof as JSON.
pub(crate) fn trail_json(proven: &ProvenTrail, shown: &[Vec<Shown>], ground: &Ground<'_>) -> Value {
    let (withheld, pruned) = proven.not_shown();
    let entries: Vec<Value> = proven
        .entries
        .iter()
        .zip(shown)
        .map(|(entry, shown)| match &entry.content {
            Content::Item(item) => json!({ "position": entry.position, "content": "full", "item": item_json(item, shown, ground) }),
            Content::Withheld(warrant) => json!({
                "position": entry.position, "content": "withheld", "warrant": warrant.to_string(), "record": render::of(&entry.record),
            }),
            Content::Pruned => json!({ "position": entry.position, "content": "pruned", "record": render::of(&entry.record) }),
        })
        .collect();
    json!({
        "outcome": "verified",
        "file": "trail",
        "proven": ground.header_json(&proven.header),
        "trail": { "name": render::of(&proven.name), "key": proven.key.to_string(), "size": proven.size },
        "absent": proven.size == 0,
        "complete": proven.is_complete(),
        "begin": proven.begin,
        "withheld": withheld,
        "pruned": pruned,
        "entries": entries,
    })
}

fn trail_title(proven: &ProvenTrail) -> String {
    match (proven.size, proven.is_complete()) {
        (0, _) => "an absence: nothing has ever been recorded on this trail".into(),
        (1, true) => "a complete trail: its one entry".into(),
        (size, true) => format!("a complete trail: all {size} entries"),
        (size, false) => format!(
            "a part of a trail: {} of {size} entries, without a gap between them",
            proven.entries.len()
        ),
    }
}

fn trail_entries(proven: &ProvenTrail) -> String {
    match (proven.size, proven.is_complete()) {
        (0, _) => "none, up to that block; later ones are not covered".into(),
        (size, true) => format!(
            "these {size} are all that were recorded on it up to that block; later ones are not covered"
        ),
        (size, false) => {
            let end = proven.begin + proven.entries.len() as u64;
            format!("numbers {} to {end} of {size}, up to that block", proven.begin + 1)
        }
    }
}

fn trail_entry(entry: &ProvenEntry, shown: &[Shown], ground: &Ground<'_>, lines: &mut Lines) {
    let number = entry.position + 1;
    match &entry.content {
        Content::Item(item) => {
            lines.text(format!("{number:>4}. {}", told(item, shown, ground)));
            lines.text(format!("      {}", lines.paint.dim(format!("recorded {}", place(&entry.record)))));
            lines.text(format!("      {}", lines.paint.dim(format!("signed by {}", signature(item)))));
            lines.finding(item, "      the validators found it ");
            let total = shown.len();
            let open = shown.iter().filter(|field| field.value.is_some()).count();
            match (open, total) {
                (_, 0) => {}
                (0, _) => lines
                    .text(format!("      {}", lines.paint.dim(format!("{total} sealed fields, not shown")))),
                _ => lines.text(format!(
                    "      {}",
                    lines.paint.dim(format!("{open} of {total} sealed fields opened; each fits its seal"))
                )),
            }
        }
        Content::Withheld(warrant) => {
            lines.text(format!(
                "{number:>4}. {}",
                lines.paint.warn(format!("withheld, on the order of item {}", short(&warrant.0)))
            ));
            lines.text(format!("      {}", lines.paint.dim(format!("recorded {}", place(&entry.record)))));
        }
        Content::Pruned => {
            let what = match &entry.record.entry {
                Entry::Due(due) => format!(
                    "a fact that the chain established: the deadline of {} passed",
                    time::words(due.deadline)
                ),
                Entry::Item(item) => {
                    format!("pruned: an item of {}, whose content is no longer kept", item.author)
                }
                Entry::Block { .. } => "the start of a block".into(),
            };
            lines.text(format!("{number:>4}. {}", lines.paint.warn(what)));
            lines.text(format!("      {}", lines.paint.dim(format!("recorded {}", place(&entry.record)))));
        }
    }
}

fn told(item: &ProvenItem, shown: &[Shown], ground: &Ground<'_>) -> String {
    let telling = Telling {
        author: &item.entry.author,
        recorded: item.record.time,
        item: &item.item,
        shown,
        names: ground.names,
        listener: Listener::Other,
    };
    telling.sentence()
}

fn place(record: &Record) -> String {
    format!(
        "in block {}, block time {}, as number {} of the log",
        record.height,
        time::words(record.time),
        record.index
    )
}

fn signature(item: &ProvenItem) -> String {
    let strict = if item.is_strict() {
        ""
    } else {
        " (valid by ZIP-215, the ledger's rule; a stricter verifier would refuse it)"
    };
    let marked = match item.key.compromised_from {
        Some(from) => {
            format!("; its owner says that others may have had this key since {}", time::words(from))
        }
        None => String::new(),
    };
    format!(
        "{}, with key {}, which was valid then{strict}{marked}",
        item.entry.author,
        short(&key_id(&item.key.key).0)
    )
}

fn checks(item: &ProvenItem, lines: &mut Lines) {
    lines.finding(item, "  ");
    for check in item.entry.verdict.checks.iter() {
        lines.text(format!("  {}", lines.paint.dim(format!("looked at: {check}"))));
    }
}

fn sealed(kind: Kind, shown: &[Shown], lines: &mut Lines) {
    if shown.is_empty() {
        return;
    }
    lines.heading("Sealed fields");
    for field in shown {
        let words = match &field.value {
            None => lines.paint.dim("sealed, not shown"),
            Some(value) => sealed_values::describe(kind, field.field, value)
                .unwrap_or_else(|error| format!("fits its seal, but cannot be read: {error}")),
        };
        lines.pair(field.name, words);
    }
}

fn item_json(item: &ProvenItem, shown: &[Shown], ground: &Ground<'_>) -> Value {
    json!({
        "reference": item.hash.to_string(),
        "author": item.entry.author.to_string(),
        "key_id": key_id(&item.key.key).to_string(),
        "strict_signature": item.is_strict(),
        "record": render::of(&item.record),
        "finding": item.entry.verdict.finding.word(),
        "codes": item.entry.verdict.codes.iter().map(|code| code.word()).collect::<Vec<_>>(),
        "stated": item_view(&item.item),
        "sealed": shown.iter().map(|field| sealed_json(item.item.kind(), field)).collect::<Vec<_>>(),
        "words": told(item, shown, ground),
    })
}

fn item_view(item: &Item) -> Value {
    render::of(item)
}

fn sealed_json(kind: Kind, field: &Shown) -> Value {
    let value = field.value.as_ref().map(|value| match sealed_values::view(kind, field.field, value) {
        Ok(view) => render::tree(&view),
        Err(_) => json!({ "unreadable": hex::encode(value) }),
    });
    json!({ "field": field.field, "name": field.name, "shown": field.value.is_some(), "value": value })
}

/// Lines of a report.
struct Lines {
    paint: Paint,
    text: String,
}

impl Lines {
    fn new(paint: Paint) -> Self {
        Self { paint, text: String::new() }
    }

    fn text(&mut self, line: impl AsRef<str>) {
        self.text.push_str(line.as_ref());
        self.text.push('\n');
    }

    fn heading(&mut self, words: &str) {
        self.text.push('\n');
        self.text(self.paint.head(words));
    }

    fn pair(&mut self, name: &str, value: impl AsRef<str>) {
        self.text(format!("  {name:<13} {}", value.as_ref()));
    }

    fn finding(&mut self, item: &ProvenItem, before: &str) {
        let words = finding(&item.entry.verdict);
        let painted = match item.entry.verdict.finding {
            Finding::Contradicted => self.paint.bad(words),
            Finding::Consistent => self.paint.good(words),
            Finding::NotEvaluated => self.paint.dim(words),
        };
        self.text(format!("{before}{painted}"));
    }

    fn finish(self) -> String {
        self.text
    }
}
