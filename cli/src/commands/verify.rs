//! `custos verify`: what a file shows, offline, given a trust anchor and nothing else.
//!
//! Only `custos-proof` is used here: no network, no database, no configuration.

use std::path::{Path, PathBuf};

use clap::Args;
use custos_people::catalogue::Speaker;
use custos_people::names::Names;
use custos_people::verified::{self, Ground};
use custos_people::{failure, say};
use custos_proof::anchor::{Link, Links, Recency, TRUST_PERIOD_MS, TrustAnchor};
use custos_proof::cbor::{List, Wire as _};
use custos_proof::disclosure::{self, Shown};
use custos_proof::file::{self, File, FileError};
use custos_proof::hash::ChainId;
use custos_proof::ids::TimeMs;
use custos_proof::item::Item;
use custos_proof::receipt::Receipt;
use custos_proof::seal::Opening;
use custos_proof::verify::{self as proof, Basis, Content, Failure, ProvenReceipt, ProvenTrail};
use serde_json::{Value, json};

use crate::exit::{Exit, Failed, Outcome};
use crate::render::paint::Paint;
use crate::render::report;
use crate::screen::Screen;
use crate::{files, time};

/// Verify a receipt, a trail proof or a disclosure, offline
///
/// Says in plain words what is proven (recorded, when, signed by whom, agreed on by which
/// validators), what is only stated by an author, what the validators checked, and what is sealed or
/// withheld. It never says that somebody read something; it says who states that.
///
/// Nothing is asked of any server: the file, the anchor, and what you know to be your anchor decide.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 verified; 1 the file contradicts itself, was changed, or two histories exist; \
    2 it cannot be told with this anchor.\n\n\
    Examples:\n  \
    custos verify receipt.custos --anchor anchor.custos\n  \
    custos verify receipt.custos --anchor anchor.custos --links links.custos\n  \
    custos verify trail.custos --anchor anchor.custos --openings mine.custos --not-older-than 1d"
)]
pub(crate) struct Verify {
    /// The receipt, receipts, trail proof or disclosure
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// What you believe from the start: an anchor file, or the genesis of the network
    #[arg(long, value_name = "FILE")]
    anchor: PathBuf,
    /// Openings of sealed fields, if they are not in the file
    #[arg(long, value_name = "FILE")]
    openings: Option<PathBuf>,
    /// The way from the anchor to later validators, as `custos anchor links` fetches it
    #[arg(long, value_name = "FILE")]
    links: Option<PathBuf>,
    /// Refuse proofs whose block is older: a time, a date, or an age such as 30d
    #[arg(long, value_name = "TIME", value_parser = time::parse)]
    not_older_than: Option<TimeMs>,
}

impl Verify {
    /// Runs the command.
    pub(crate) fn run(&self, screen: &Screen) -> Outcome {
        let anchor = read_anchor(&self.anchor)?;
        let links = self.links.as_deref().map(read_links).transpose()?.unwrap_or_default();
        let openings = self.openings.as_deref().map(read_openings).transpose()?.unwrap_or_default();
        let recency = Recency { trust_period_ms: TRUST_PERIOD_MS, not_older_than: self.not_older_than };
        let basis = Basis { anchor: &anchor, links: &links, recency };
        let bytes = files::read(&self.file)?;
        let speaker = screen.speaker();
        let verified =
            verify(&bytes, &openings, &basis).map_err(|failure| failure.about(&self.file, speaker))?;
        let names = read_names(&self.anchor);
        let old = verified::old_anchor(&anchor, recency.trust_period_ms, time::now(), speaker);
        let ground = Ground {
            anchor: &anchor,
            links: &links,
            trust_period_ms: recency.trust_period_ms,
            names: &names,
            speaker,
        };
        screen.result(
            |paint| verified.words(&ground, paint),
            || {
                let mut report = verified.json(&ground);
                report["anchor_is_old"] = json!(old.is_some());
                report
            },
        );
        if let Some(warning) = &old {
            screen.warn(warning);
        }
        Ok(Exit::Done)
    }
}

/// What was verified, with the sealed fields of each item.
pub(crate) enum Verified {
    /// Receipts: one, or those of a submission.
    Receipts(Vec<(ProvenReceipt, Vec<Shown>)>),
    /// A trail, with the sealed fields of each entry.
    Trail(Box<ProvenTrail>, Vec<Vec<Shown>>),
}

/// Why it was not verified.
#[derive(Debug)]
pub(crate) enum NotVerified {
    /// The file is none that can be verified, or is damaged.
    File(FileError),
    /// It is a file of another type.
    OtherType(&'static str),
    /// The proof does not hold.
    Proof(Failure),
}

impl NotVerified {
    /// The failure of a command about this file.
    pub(crate) fn about(self, path: &Path, s: &Speaker) -> Failed {
        let path = path.display().to_string();
        match self {
            NotVerified::File(error @ FileError::Unknown) => Failed::unable(format!("{path}: {error}")),
            NotVerified::File(error) => {
                Failed::against(say!(s, "not-verified", file = path, why = error.to_string()))
            }
            NotVerified::OtherType(what) => {
                Failed::unable(format!("{path} is {what}: there is nothing in it to verify"))
            }
            NotVerified::Proof(failure) if failure.is_evidence() => {
                Failed::against(say!(s, "not-verified", file = path, why = failure::words(&failure, s)))
                    .hint(say!(s, "hint-evidence"))
            }
            NotVerified::Proof(failure) => {
                Failed::unable(say!(s, "could-not-tell", file = path, why = failure::words(&failure, s)))
            }
        }
    }
}

impl From<Failure> for NotVerified {
    fn from(failure: Failure) -> Self {
        NotVerified::Proof(failure)
    }
}

/// Verifies the bytes of a file, with openings from beside it.
pub(crate) fn verify(bytes: &[u8], openings: &[Opening], basis: &Basis<'_>) -> Result<Verified, NotVerified> {
    let chain = &basis.anchor.chain;
    match file::decode(bytes).map_err(NotVerified::File)? {
        File::Receipt(receipt) => verify_receipts(std::slice::from_ref(&receipt), openings, basis),
        File::Receipts(file) => verify_receipts(&file.receipts, openings, basis),
        File::Trail(trail) => {
            let proven = proof::trail(&trail, basis)?;
            let shown = shown_entries(chain, &proven, openings)?;
            Ok(Verified::Trail(Box::new(proven), shown))
        }
        File::Disclosure(disclosed) => {
            // A disclosure inside a disclosure would be a way to nest without bound.
            if file::type_name(&disclosed.proof).is_ok_and(|name| name == "custos.disclosure.v1") {
                return Err(NotVerified::OtherType("a disclosure of a disclosure"));
            }
            let all: Vec<Opening> = disclosed.openings.iter().chain(openings).cloned().collect();
            verify(&disclosed.proof, &all, basis)
        }
        File::Genesis(_) => Err(NotVerified::OtherType("a genesis (see `custos genesis inspect`)")),
        File::Anchor(_) => Err(NotVerified::OtherType("a trust anchor (see `custos anchor show`)")),
        File::Links(_) => Err(NotVerified::OtherType("a file of links, to go with a proof")),
        File::Advance(_) => {
            Err(NotVerified::OtherType("an advance of an anchor (see `custos anchor update`)"))
        }
        File::Openings(_) => Err(NotVerified::OtherType("a file of openings, to go with a proof")),
    }
}

/// Receipts of one file, with the openings judged over all of their items together.
fn verify_receipts(
    receipts: &[Receipt],
    openings: &[Opening],
    basis: &Basis<'_>,
) -> Result<Verified, NotVerified> {
    let proven =
        receipts.iter().map(|receipt| proof::receipt(receipt, basis)).collect::<Result<Vec<_>, _>>()?;
    let items: Vec<_> = proven.iter().map(|receipt| &receipt.item.item).collect();
    let shown = disclosure::show_all(&basis.anchor.chain, &items, openings)?;
    Ok(Verified::Receipts(proven.into_iter().zip(shown).collect()))
}

fn item_of(content: &Content) -> Option<&Item> {
    match content {
        Content::Item(item) => Some(&item.item),
        Content::Withheld(_) | Content::Pruned => None,
    }
}

/// What is shown of each entry, in their order; nothing of those whose item is not there.
pub(crate) fn shown_entries(
    chain: &ChainId,
    trail: &ProvenTrail,
    openings: &[Opening],
) -> Result<Vec<Vec<Shown>>, Failure> {
    let items: Vec<Option<&Item>> = trail.entries.iter().map(|entry| item_of(&entry.content)).collect();
    let there: Vec<&Item> = items.iter().copied().flatten().collect();
    let mut shown = disclosure::show_all(chain, &there, openings)?.into_iter();
    Ok(items.iter().map(|item| item.and_then(|_| shown.next()).unwrap_or_default()).collect())
}

impl Verified {
    /// The report.
    pub(crate) fn words(&self, ground: &Ground<'_>, paint: Paint) -> String {
        match self {
            Verified::Receipts(receipts) => {
                let reports: Vec<_> = receipts
                    .iter()
                    .map(|(proven, shown)| verified::receipt(proven, shown, ground, paint))
                    .collect();
                reports.join("\n")
            }
            Verified::Trail(proven, shown) => verified::trail(proven, shown, ground, paint),
        }
    }

    /// The report as JSON: an object, or with several receipts an object that lists them.
    pub(crate) fn json(&self, ground: &Ground<'_>) -> Value {
        match self {
            Verified::Receipts(receipts) => match &receipts[..] {
                [(proven, shown)] => report::receipt(proven, shown, ground),
                _ => json!({
                    "outcome": "verified",
                    "file": "receipts",
                    "receipts": receipts.iter().map(|(proven, shown)| report::receipt(proven, shown, ground)).collect::<Vec<_>>(),
                }),
            },
            Verified::Trail(proven, shown) => {
                let mut report = report::trail(proven, shown, ground);
                let covered = verified::covered(proven);
                // Where the entries begin with the first, from the beginning of time.
                report["covers_from"] = json!(covered.map(|(from, _)| from.to_string()));
                report["covers_to"] = json!(covered.map(|(_, to)| to.to_string()));
                report
            }
        }
    }
}

/// Reads an anchor; a genesis is an anchor too.
pub(crate) fn read_anchor(path: &Path) -> Outcome<TrustAnchor> {
    let unusable = |what: String| {
        Failed::unable(format!("{} is no usable anchor: {what}", path.display()))
            .hint("an anchor comes with the network's genesis, or from `custos anchor update`; get it from somebody you trust")
    };
    match file::decode(&files::read(path)?) {
        Ok(File::Anchor(anchor)) => Ok(anchor),
        Ok(File::Genesis(genesis)) => {
            TrustAnchor::from_genesis(&genesis).map_err(|error| unusable(error.to_string()))
        }
        Ok(_) => Err(unusable("it is a Custos file of another type".into())),
        Err(error) => Err(unusable(error.to_string())),
    }
}

/// What participants call themselves, where the anchor is a genesis and says so; an anchor file knows no names.
pub(crate) fn read_names(path: &Path) -> Names {
    match files::read(path).map(|bytes| file::decode(&bytes)) {
        Ok(Ok(File::Genesis(genesis))) => Names::of_genesis(&genesis),
        _ => Names::default(),
    }
}

/// Reads the way from an anchor to later validators.
pub(crate) fn read_links(path: &Path) -> Outcome<Vec<Link>> {
    match file::decode(&files::read(path)?) {
        Ok(File::Links(links)) => Ok(links.links.into_inner()),
        Ok(File::Advance(advance)) => Ok(advance.links.into_inner()),
        Ok(_) => Err(Failed::unable(format!("{} is a Custos file, but not one of links", path.display()))),
        Err(error) => Err(Failed::unable(format!("{}: {error}", path.display()))),
    }
}

/// Writes links, as [`read_links`] reads them.
pub(crate) fn write_links(path: &Path, links: Vec<Link>) -> Outcome<()> {
    let links = List::new(links).ok_or_else(|| Failed::unable("too many links for one file"))?;
    files::write(path, &Links { links }.to_bytes())
}

/// Reads openings of sealed fields.
pub(crate) fn read_openings(path: &Path) -> Outcome<Vec<Opening>> {
    match file::decode(&files::read(path)?) {
        Ok(File::Openings(openings)) => Ok(openings.openings.into_inner()),
        Ok(File::Disclosure(disclosed)) => Ok(disclosed.openings.into_inner()),
        Ok(_) => Err(Failed::unable(format!("{} is a Custos file, but not one of openings", path.display()))),
        Err(error) => Err(Failed::unable(format!("{}: {error}", path.display()))),
    }
}
