//! Trails, fetched from a node, verified before anything is made of them, and opened from a vault.
//!
//! `trail`, `report` and `worklist` read the same way: a proof per trail, judged from the caller's anchor if
//! there is one, each opening checked against its seal.

use std::path::{Path, PathBuf};

use clap::Args;
use custos_api::blocking::Client;
use custos_api::client::Part;
use custos_custodian::vault::Vault;
use custos_people::catalogue::Speaker;
use custos_people::event::Listener;
use custos_people::event::Manner;
use custos_people::rule::Rules;
use custos_people::{say, verified};
use custos_proof::anchor::{Link, Recency, TRUST_PERIOD_MS, TrustAnchor};
use custos_proof::certificate::Certificate;
use custos_proof::disclosure::{self, Shown};
use custos_proof::hash::{ChainId, ItemHash, TrailKey};
use custos_proof::header::Header;
use custos_proof::ids::{Height, ParticipantId, TimeMs};
use custos_proof::record::Record;
use custos_proof::seal::Opening;
use custos_proof::trail::TrailName;
use custos_proof::trail_proof::TrailProof;
use custos_proof::verify::{self, Basis, Content, ProvenEntry, ProvenItem, ProvenTrail};

use crate::commands::verify::{NotVerified, read_anchor};
use crate::exit::{Failed, Outcome, While as _};
use crate::screen::Screen;
use crate::subject::{Readable, Subject};
use crate::{network, proven, time};

/// How old a node's last block may be by this machine's clock before the caller is told, in ms: the longest that a
/// policy lets validators go without a block.
const OLD_BLOCK_MS: u64 = 24 * 60 * 60 * 1000;

/// What proofs are to be judged by, as arguments.
#[derive(Debug, Clone, Args)]
pub(crate) struct Anchored {
    /// Verify from this anchor; without it the node's own genesis is believed
    #[arg(long, value_name = "FILE")]
    pub(crate) anchor: Option<PathBuf>,
    /// Refuse what a node shows of the ledger as it was before this: a time, or an age such as 1h
    #[arg(long, value_name = "TIME", value_parser = time::parse)]
    pub(crate) not_older_than: Option<TimeMs>,
}

impl Anchored {
    /// The ground of this command; warns when the anchor is old.
    pub(crate) fn ground(&self, client: &Client, screen: &Screen) -> Outcome<Ground> {
        let ground = Ground::of(client, self.anchor.as_ref())?.not_older_than(self.not_older_than);
        ground.warn(screen);
        Ok(ground)
    }
}

/// What proofs are judged by.
pub(crate) struct Ground {
    pub(crate) anchor: TrustAnchor,
    pub(crate) links: Vec<Link>,
    recency: Recency,
    /// Whether the anchor is the caller's own.
    pub(crate) is_own: bool,
}

impl Ground {
    /// The caller's anchor; or, said plainly, what the node itself says.
    pub(crate) fn of(client: &Client, anchor: Option<&PathBuf>) -> Outcome<Self> {
        let (anchor, recency, is_own) = match anchor {
            Some(path) => (read_anchor(path)?, Recency::default(), true),
            None => {
                let genesis = client.genesis().map_err(network::refused)?;
                let anchor = TrustAnchor::from_genesis(&genesis).could_not(|| "use the node's genesis")?;
                (anchor, Recency { trust_period_ms: u64::MAX, not_older_than: None }, false)
            }
        };
        let links = client.links(anchor.height).map_err(network::refused)?.links.into_inner();
        Ok(Self { anchor, links, recency, is_own })
    }

    /// The same, believing no state of the ledger from before that time.
    pub(crate) fn not_older_than(mut self, oldest: Option<TimeMs>) -> Self {
        self.recency.not_older_than = oldest;
        self
    }

    /// Warns when what was shown last is older than a network that is well lets its last block become: a node that
    /// is behind shows this, and so does one that hides what came later.
    pub(crate) fn warn_of_age(&self, header: &Header, screen: &Screen) {
        if time::now().0.saturating_sub(header.time.0) > OLD_BLOCK_MS {
            let s = screen.speaker();
            screen.warn(say!(s, "ground-old-block", time = time::words(header.time)));
        }
    }

    /// Whether a header follows from the anchor.
    pub(crate) fn believe(&self, header: &Header, certificate: &Certificate) -> Result<(), verify::Failure> {
        self.anchor.believe(&self.links, header, certificate, None, &self.recency).map(|_| ())
    }

    /// What a receipt is verified by.
    pub(crate) fn basis(&self) -> Basis<'_> {
        Basis { anchor: &self.anchor, links: &self.links, recency: self.recency }
    }

    /// From what it was verified, in words.
    pub(crate) fn words(&self, s: &Speaker) -> String {
        match self.is_own {
            true => say!(s, "ground-own"),
            false => say!(s, "ground-node"),
        }
    }

    /// Whether the caller's anchor is older than its trust period by this machine's clock.
    pub(crate) fn is_old(&self) -> bool {
        self.is_own && time::now().0.saturating_sub(self.anchor.time.0) > TRUST_PERIOD_MS
    }

    /// Warns when it is.
    pub(crate) fn warn(&self, screen: &Screen) {
        if !self.is_own {
            return;
        }
        if let Some(old) = verified::old_anchor(&self.anchor, TRUST_PERIOD_MS, time::now(), screen.speaker())
        {
            screen.warn(old);
        }
    }
}

/// A trail, fetched and verified.
pub(crate) struct Found {
    /// Whose accesses it lists; none for the subject's own, and where that is not known.
    pub(crate) grantee: Option<ParticipantId>,
    /// The proof's file.
    pub(crate) bytes: Vec<u8>,
    /// What it proves.
    pub(crate) proven: ProvenTrail,
}

impl Found {
    /// What the trail is called.
    pub(crate) fn name(&self, manner: Manner<'_>) -> String {
        let s = manner.speaker;
        match (&self.grantee, manner.listener) {
            (Some(grantee), _) => say!(s, "trail-of-grantee", name = manner.names.of(grantee, s)),
            (None, Listener::Subject) => say!(s, "trail-your-own"),
            (None, Listener::Other) => {
                let (kind, owner) = (s.word(self.proven.name.kind), &self.proven.name.owner);
                say!(s, "trail-of", kind = kind, owner = manner.names.of(owner, s))
            }
        }
    }
}

/// A subject's trail by name.
pub(crate) fn fetch(
    client: &Client,
    trail: &Readable,
    grantee: Option<ParticipantId>,
    part: Part,
    ground: &Ground,
    s: &Speaker,
) -> Outcome<Found> {
    let found = by_name(client, &trail.name, Some(&trail.reader), part, ground, s)?;
    Ok(Found { grantee, ..found })
}

/// A trail by name; everybody may read the registry's without a reader's preimage.
pub(crate) fn by_name(
    client: &Client,
    name: &TrailName,
    reader: Option<&[u8; 32]>,
    part: Part,
    ground: &Ground,
    s: &Speaker,
) -> Outcome<Found> {
    let (bytes, proof) = client.trail_proof(name, part, reader).map_err(network::refused)?;
    if proof.name != *name {
        return Err(another());
    }
    verified(bytes, &proof, part, ground, s)
}

/// A trail by its key, as a member reads it.
pub(crate) fn fetch_by_key(
    client: &Client,
    key: &TrailKey,
    part: Part,
    ground: &Ground,
    s: &Speaker,
) -> Outcome<Found> {
    let (bytes, proof) = client.trail_proof_by_key(key, part, None).map_err(network::refused)?;
    if proof.name.key() != *key {
        return Err(another());
    }
    verified(bytes, &proof, part, ground, s)
}

fn another() -> Failed {
    Failed::against("the node proved another trail than the one asked for")
}

/// Verifies a proof, and that it is of the part that was asked for: a shorter one would hide the rest.
fn verified(bytes: Vec<u8>, proof: &TrailProof, part: Part, ground: &Ground, s: &Speaker) -> Outcome<Found> {
    let proven = verify::trail(proof, &ground.basis())
        .map_err(|failure| NotVerified::from(failure).about(Path::new("the node's proof"), s))?;
    if !is_whole(&proven, part) {
        return Err(Failed::unable(format!(
            "the node proved {} of {} entries of the trail, and not all that were asked for",
            proven.entries.len(),
            proven.size
        ))
        .hint("ask another node"));
    }
    Ok(Found { grantee: None, bytes, proven })
}

/// Whether a proof leaves out nothing of the part that was asked for, as of its header.
fn is_whole(proven: &ProvenTrail, part: Part) -> bool {
    let end = proven.begin.saturating_add(proven.entries.len() as u64);
    match part {
        Part::Whole => proven.is_complete(),
        Part::Positions(from, to) => proven.begin <= from.min(proven.size) && end >= to.min(proven.size),
        // Nothing is known of what comes after the header.
        Part::Times(from, to) => proven.covers(from, to.min(proven.header.header.time)),
    }
}

/// The own trail and those of all participants that have one. That there is no other is proven: everybody who was
/// ever registered is looked up.
pub(crate) fn all_of(
    client: &Client,
    subject: &Subject,
    ground: &Ground,
    s: &Speaker,
) -> Outcome<Vec<Found>> {
    let chain = &ground.anchor.chain;
    let own = fetch(client, &subject.trail(chain, None), None, Part::Whole, ground, s)?;
    let since = own.proven.header.header.height;
    let mut found = vec![own];
    for participant in proven::participants(client, since, ground, s)? {
        if participant == subject.custodian {
            continue;
        }
        let trail = subject.trail(chain, Some(&participant));
        let trail = fetch(client, &trail, Some(participant), Part::Whole, ground, s)?;
        not_before(&trail, since)?;
        if trail.proven.size > 0 {
            found.push(trail);
        }
    }
    Ok(found)
}

/// Whether what was asked for later is of an earlier state of the ledger: that hides what was recorded in between.
pub(crate) fn not_before(found: &Found, since: Height) -> Outcome<()> {
    let height = found.proven.header.header.height;
    match height >= since {
        true => Ok(()),
        false => {
            Err(Failed::unable(format!("the node shows block {since}, and then what was so at {height}"))
                .hint("ask again, or another node"))
        }
    }
}

/// All openings of an item that the vault has; none when it does not know the item.
pub(crate) fn openings(vault: &Vault, item: &ItemHash) -> Outcome<Vec<Opening>> {
    match vault.entry(item) {
        Some(_) => vault.openings(item, None).could_not(|| "read openings from the vault"),
        None => Ok(Vec::new()),
    }
}

/// The item of an entry, if it is shown.
pub(crate) fn item_of(entry: &ProvenEntry) -> Option<&ProvenItem> {
    match &entry.content {
        Content::Item(item) => Some(item),
        Content::Withheld(_) | Content::Pruned => None,
    }
}

/// What is shown of each entry, in their order; nothing of those whose item is not there.
pub(crate) fn shown(
    chain: &ChainId,
    proven: &ProvenTrail,
    openings: &[Opening],
    s: &Speaker,
) -> Outcome<Vec<Vec<Shown>>> {
    crate::commands::verify::shown_entries(chain, proven, openings)
        .map_err(|failure| NotVerified::from(failure).about(Path::new("the openings"), s))
}

/// An entry, ready to be told.
pub(crate) struct Line<'a> {
    /// The entry.
    pub(crate) entry: &'a ProvenEntry,
    /// Its trail.
    pub(crate) trail: &'a Found,
    /// Its sealed fields.
    pub(crate) shown: Vec<Shown>,
}

impl<'a> Line<'a> {
    fn of(entry: &'a ProvenEntry, trail: &'a Found, vault: Option<&Vault>, ground: &Ground) -> Outcome<Self> {
        let shown = match item_of(entry) {
            Some(item) => {
                let openings =
                    vault.map(|vault| openings(vault, &item.hash)).transpose()?.unwrap_or_default();
                disclosure::show(&ground.anchor.chain, &item.item, &openings).map_err(Failed::against)?
            }
            None => Vec::new(),
        };
        Ok(Self { entry, trail, shown })
    }

    /// Its record.
    pub(crate) fn record(&self) -> &'a Record {
        &self.entry.record
    }

    /// Its item, if it is shown.
    pub(crate) fn item(&self) -> Option<&'a ProvenItem> {
        item_of(self.entry)
    }
}

/// The entries of all trails in the order of the log, opened from the vault.
pub(crate) fn lines<'a>(
    found: &'a [Found],
    vault: Option<&Vault>,
    ground: &Ground,
) -> Outcome<Vec<Line<'a>>> {
    let mut lines = Vec::new();
    for found in found {
        for entry in &found.proven.entries {
            lines.push(Line::of(entry, found, vault, ground)?);
        }
    }
    lines.sort_by_key(|line| line.record().index);
    Ok(lines)
}

/// The rules among the entries by number; none when a trail is shown in part.
pub(crate) fn rules(lines: &[Line<'_>]) -> Rules {
    let mut rules = Rules::default();
    if lines.iter().all(|line| line.trail.proven.begin == 0) {
        for line in lines {
            if let Some(item) = line.item() {
                rules.count(line.record(), &item.item, &line.shown);
            }
        }
    }
    rules
}
