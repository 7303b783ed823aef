//! What a verification showed, in plain words.
//!
//! Every report keeps apart what is *proven* (recorded, when, signed by whom, agreed by whom), what
//! is only *stated* by an author, what the validators *checked*, and what is *sealed* or held back.

use custos_proof::anchor::{Link, Trust, TrustAnchor};
use custos_proof::certificate::ValidatorSet;
use custos_proof::disclosure::Shown;
use custos_proof::hash::short;
use custos_proof::ids::{ParticipantId, TimeMs};
use custos_proof::keys::key_id;
use custos_proof::kinds::Kind;
use custos_proof::record::{Finding, Record};
use custos_proof::verify::{Content, ProvenEntry, ProvenHeader, ProvenItem, ProvenReceipt, ProvenTrail};

use crate::catalogue::Speaker;
use crate::event::{self, Listener, Manner, finding};
use crate::names::Names;
use crate::paint::Paint;
use crate::rule::Rules;
use crate::{say, value};

/// What a report is told with.
#[derive(Debug, Clone, Copy)]
pub struct Ground<'a> {
    /// What was believed from the start.
    pub anchor: &'a TrustAnchor,
    /// How later validators followed from it.
    pub links: &'a [Link],
    /// For how long the anchor is trusted, in milliseconds.
    pub trust_period_ms: u64,
    /// What participants call themselves.
    pub names: &'a Names,
    /// The language.
    pub speaker: &'a Speaker,
}

impl<'a> Ground<'a> {
    /// Who signed a header, and how many could have.
    #[must_use]
    pub fn signers(&self, header: &ProvenHeader) -> (Vec<ParticipantId>, usize) {
        let Some(set) = self.validators(header) else { return (Vec::new(), 0) };
        let of = |signer: &u16| {
            set.as_slice().get(usize::from(*signer)).map(|validator| validator.participant.clone())
        };
        (header.signers.iter().filter_map(of).collect(), set.as_slice().len())
    }

    /// How entries are told: to anybody, with the rules counted if they can be.
    #[must_use]
    pub fn manner<'b>(&'b self, rules: &'b Rules) -> Manner<'b> {
        Manner { speaker: self.speaker, names: self.names, rules, listener: Listener::Other }
    }

    fn validators(&self, header: &ProvenHeader) -> Option<&'a ValidatorSet> {
        let hash = header.header.validators_hash;
        std::iter::once(&self.anchor.validators)
            .chain(self.links.iter().map(|link| &link.next))
            .find(|set| set.hash() == hash)
    }

    fn trust(&self, header: &ProvenHeader) -> String {
        let s = self.speaker;
        let (height, time) = (self.anchor.height.to_string(), s.minute(self.anchor.time));
        match header.trust {
            Trust::TrustPeriod => {
                let span = s.span(self.trust_period_ms);
                say!(s, "verified-trust-period", height = height, time = time, span = span)
            }
            Trust::Witnesses(count) => {
                say!(s, "verified-trust-witnesses", height = height, time = time, count = count)
            }
        }
    }

    fn header_lines(&self, header: &ProvenHeader, lines: &mut Lines) {
        let s = self.speaker;
        let (signers, of) = self.signers(header);
        let names: Vec<String> = signers.iter().map(ToString::to_string).collect();
        let agreed = say!(s, "verified-agreed", count = signers.len(), of = of, names = names.join(", "));
        lines.pair(&say!(s, "label-agreed"), agreed);
        lines.pair(&say!(s, "label-trust"), self.trust(header));
        lines.pair(&say!(s, "label-chain"), header.header.chain.to_string());
    }
}

/// Says that the anchor is older than its trust period by the reader's clock, when it is.
///
/// The verifier has no clock, so this is for the program that has one (docs/spec/verification.md: SHOULD).
#[must_use]
pub fn old_anchor(anchor: &TrustAnchor, trust_period_ms: u64, now: TimeMs, s: &Speaker) -> Option<String> {
    let age = now.0.saturating_sub(anchor.time.0);
    (age > trust_period_ms).then(|| {
        let (time, age, span) = (s.minute(anchor.time), s.span(age), s.span(trust_period_ms));
        say!(s, "verified-anchor-old", time = time, age = age, span = span)
    })
}

/// The rules of a proven trail by number; none when it does not begin with the first entry.
#[must_use]
pub fn rules(proven: &ProvenTrail, shown: &[Vec<Shown>]) -> Rules {
    let mut rules = Rules::default();
    if proven.begin == 0 {
        for (entry, shown) in proven.entries.iter().zip(shown) {
            if let Content::Item(item) = &entry.content {
                rules.count(&entry.record, &item.item, shown);
            }
        }
    }
    rules
}

/// The longest period that [`ProvenTrail::covers`]: block times, both included, between which a proof shows every
/// entry *recorded*. From 0 where the entries begin with the first; none where not one instant is covered.
#[must_use]
pub fn covered(proven: &ProvenTrail) -> Option<(TimeMs, TimeMs)> {
    let from = match proven.begin {
        0 => TimeMs(0),
        _ => proven.entries.first()?.record.time.plus(1),
    };
    let to = match proven.begin.saturating_add(proven.entries.len() as u64) == proven.size {
        true => proven.header.header.time,
        false => TimeMs(proven.entries.last()?.record.time.0.checked_sub(1)?),
    };
    (from <= to && proven.covers(from, to)).then_some((from, to))
}

/// A verified receipt in words.
#[must_use]
pub fn receipt(proven: &ProvenReceipt, shown: &[Shown], ground: &Ground<'_>, paint: Paint) -> String {
    let s = ground.speaker;
    let item = &proven.item;
    let rules = Rules::default();
    let mut lines = Lines::new(paint);
    let title = say!(s, "verified-receipt", kind = s.word(item.item.kind()));
    lines.text(format!("{} {title}", paint.good(say!(s, "verified"))));
    lines.heading(&say!(s, "heading-proven"));
    lines.pair(&say!(s, "label-recorded"), place(&item.record, s));
    lines.pair(&say!(s, "label-signed"), signature(item, s));
    ground.header_lines(&proven.header, &mut lines);
    lines.pair(&say!(s, "label-item"), item.hash.to_string());
    let author = ground.names.author(&item.entry.author, Listener::Other, s);
    lines.heading(&say!(s, "heading-stated", author = author));
    lines.text(format!("  {}", told(item, shown, ground.manner(&rules))));
    lines.heading(&say!(s, "heading-checked"));
    lines.finding(item, "  ", s);
    for check in item.entry.verdict.checks.iter() {
        let looked = say!(s, "verified-looked-at", check = s.word(*check));
        lines.text(format!("  {}", lines.paint.dim(looked)));
    }
    sealed(item.item.kind(), shown, ground, &mut lines);
    lines.finish()
}

/// A verified trail proof in words; `shown` has the sealed fields of each entry.
#[must_use]
pub fn trail(proven: &ProvenTrail, shown: &[Vec<Shown>], ground: &Ground<'_>, paint: Paint) -> String {
    let s = ground.speaker;
    let header = &proven.header.header;
    let mut lines = Lines::new(paint);
    lines.text(format!("{} {}", paint.good(say!(s, "verified")), title(proven, s)));
    lines.heading(&say!(s, "heading-proven"));
    let (kind, owner) = (s.word(proven.name.kind), ground.names.of(&proven.name.owner, s));
    let which = say!(s, "verified-trail-name", kind = kind, owner = owner, key = proven.key.to_string());
    lines.pair(&say!(s, "label-trail"), which);
    let as_of = say!(s, "verified-as-of", height = header.height.to_string(), time = s.second(header.time));
    lines.pair(&say!(s, "label-as-of"), as_of);
    lines.pair(&say!(s, "label-entries"), extent(proven, s));
    if !proven.is_complete() {
        lines.pair(&say!(s, "label-covers"), period(proven, s));
    }
    ground.header_lines(&proven.header, &mut lines);
    if !proven.entries.is_empty() {
        lines.heading(&say!(s, "heading-entries"));
    }
    let rules = rules(proven, shown);
    for (entry, shown) in proven.entries.iter().zip(shown) {
        trail_entry(entry, shown, ground.manner(&rules), &mut lines);
    }
    let (withheld, pruned) = proven.not_shown();
    if withheld + pruned > 0 {
        lines.heading(&say!(s, "heading-not-shown"));
        lines.text(format!("  {}", say!(s, "verified-not-shown", withheld = withheld, pruned = pruned)));
    }
    lines.heading(&say!(s, "heading-not-proven"));
    lines.text(format!("  {}", say!(s, "verified-not-proven")));
    lines.finish()
}

/// An item in one sentence.
#[must_use]
pub fn told(item: &ProvenItem, shown: &[Shown], manner: Manner<'_>) -> String {
    let telling = event::Telling {
        author: &item.entry.author,
        recorded: item.record.time,
        item: &item.item,
        shown,
        manner,
    };
    telling.sentence()
}

fn title(proven: &ProvenTrail, s: &Speaker) -> String {
    match (proven.size, proven.is_complete()) {
        (0, _) => say!(s, "verified-absence"),
        (size, true) => say!(s, "verified-complete", count = size),
        (size, false) => say!(s, "verified-part", count = proven.entries.len(), size = size),
    }
}

fn extent(proven: &ProvenTrail, s: &Speaker) -> String {
    match (proven.size, proven.is_complete()) {
        (0, _) => say!(s, "extent-none"),
        (size, true) => say!(s, "extent-all", count = size),
        (size, false) => {
            let end = proven.begin + proven.entries.len() as u64;
            say!(s, "extent-part", from = proven.begin + 1, to = end, size = size)
        }
    }
}

/// The period that is shown whole, in whole seconds that lie within it.
fn period(proven: &ProvenTrail, s: &Speaker) -> String {
    let whole = covered(proven).map(|(from, to)| (from.0.div_ceil(1_000), to.0 / 1_000));
    let time = |seconds: u64| s.second(TimeMs(seconds.saturating_mul(1_000)));
    match whole {
        Some((0, to)) => say!(s, "covers-from-beginning", to = time(to)),
        Some((from, to)) if from <= to => say!(s, "covers-between", from = time(from), to = time(to)),
        _ => say!(s, "covers-nothing"),
    }
}

fn trail_entry(entry: &ProvenEntry, shown: &[Shown], manner: Manner<'_>, lines: &mut Lines) {
    let s = manner.speaker;
    let number = entry.position + 1;
    let sentence = event::entry(entry, shown, manner);
    let recorded = say!(s, "verified-recorded", place = place(&entry.record, s));
    match &entry.content {
        Content::Item(item) => {
            lines.text(format!("{number:>4}. {sentence}"));
            lines.dim(recorded);
            lines.dim(say!(s, "verified-signed", signature = signature(item, s)));
            lines.finding(item, "      ", s);
            let open = shown.iter().filter(|field| field.value.is_some()).count();
            match (open, shown.len()) {
                (_, 0) => {}
                (0, count) => lines.dim(say!(s, "verified-sealed", count = count)),
                (open, count) => lines.dim(say!(s, "verified-opened", open = open, count = count)),
            }
        }
        Content::Withheld(_) | Content::Pruned => {
            lines.text(format!("{number:>4}. {}", lines.paint.warn(sentence)));
            lines.dim(recorded);
        }
    }
}

fn place(record: &Record, s: &Speaker) -> String {
    let (height, index) = (record.height.to_string(), record.index.0.to_string());
    say!(s, "verified-place", height = height, time = s.second(record.time), index = index)
}

fn signature(item: &ProvenItem, s: &Speaker) -> String {
    let (author, key) = (item.entry.author.to_string(), short(&key_id(&item.key.key).0));
    let mut words = say!(s, "signature", author = author, key = key);
    if !item.is_strict() {
        words = say!(s, "signature-not-strict", words = words);
    }
    match item.key.compromised_from {
        Some(from) => say!(s, "signature-compromised", words = words, time = s.minute(from)),
        None => words,
    }
}

fn sealed(kind: Kind, shown: &[Shown], ground: &Ground<'_>, lines: &mut Lines) {
    let s = ground.speaker;
    if shown.is_empty() {
        return;
    }
    lines.heading(&say!(s, "heading-sealed"));
    for field in shown {
        let words = match &field.value {
            None => lines.paint.dim(say!(s, "sealed-not-shown")),
            Some(value) => value::field(kind, field.field, value, s, ground.names),
        };
        lines.pair(&s.field(field.name), words);
    }
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

    fn dim(&mut self, line: impl AsRef<str>) {
        self.text(format!("      {}", self.paint.dim(line.as_ref())));
    }

    fn heading(&mut self, words: &str) {
        self.text.push('\n');
        self.text(self.paint.head(words));
    }

    fn pair(&mut self, name: &str, value: impl AsRef<str>) {
        self.text(format!("  {name:<15} {}", value.as_ref()));
    }

    fn finding(&mut self, item: &ProvenItem, before: &str, s: &Speaker) {
        let words = finding(&item.entry.verdict, s);
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
