//! What commands about decisions read of the ledger from files: the trails of one subject at one custodian, and what stands
//! beside them: permits' trails, institutions' trails, receipts.
//!
//! Each proof is verified from the anchor, each opening checked against its seal, before anything is made of it.

use std::path::{Path, PathBuf};

use clap::Args;
use custos_custodian::vault::Vault;
use custos_decide::gather::Beside;
use custos_decide::listing::OpenTrail;
use custos_proof::anchor::{Recency, TRUST_PERIOD_MS, TrustAnchor};
use custos_proof::disclosure::Shown;
use custos_proof::seal::Opening;
use custos_proof::trail::TrailKind;
use custos_proof::verify::{Basis, Content as Entry, ProvenItem, ProvenTrail};

use crate::commands::verify::{NotVerified, Verified, read_anchor, read_links, read_openings, verify};
use crate::desk::OptionalVault;
use crate::exit::{Failed, Outcome, While as _};
use crate::files;
use crate::screen::Screen;

/// Trails with their openings, from files.
#[derive(Debug, Clone, Args)]
pub(crate) struct EvidenceArgs {
    /// Trail proofs or disclosures of one subject at one custodian: the own trail, and those that it lists; beside
    /// them the trails of permits and institutions, and receipts
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// What you believe from the start: an anchor file, or the genesis of the network
    #[arg(long, value_name = "FILE")]
    anchor: Option<PathBuf>,
    /// Openings of sealed fields, if they are not in the files; may be repeated
    #[arg(long, value_name = "FILE")]
    openings: Vec<PathBuf>,
    /// The way from the anchor to later validators
    #[arg(long, value_name = "FILE")]
    links: Option<PathBuf>,
    #[command(flatten)]
    vault: OptionalVault,
}

/// A verified trail with what its openings show.
pub(crate) struct Opened {
    pub(crate) trail: Box<ProvenTrail>,
    pub(crate) shown: Vec<Vec<Shown>>,
}

impl Opened {
    pub(crate) fn open(&self) -> OpenTrail<'_> {
        OpenTrail { trail: &self.trail, shown: &self.shown }
    }
}

/// What files show.
pub(crate) struct Evidence {
    /// The subject's trails, with what their openings show.
    pub(crate) opened: Vec<Opened>,
    /// What stands beside them.
    pub(crate) beside: Beside,
}

/// What one file shows.
enum Read {
    Subject(Opened),
    Other(Box<ProvenTrail>),
    Receipts(Vec<ProvenItem>),
}

impl EvidenceArgs {
    /// Whether any file is named.
    pub(crate) fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// What the files show, verified, each opening checked against its seal.
    pub(crate) fn read(&self, screen: &Screen) -> Outcome<Evidence> {
        let anchor = self.anchor.as_deref().ok_or_else(|| {
            Failed::unable("proofs are judged from an anchor").hint("--anchor anchor.custos")
        })?;
        let anchor: TrustAnchor = read_anchor(anchor)?;
        let links = self.links.as_deref().map(read_links).transpose()?.unwrap_or_default();
        let mut openings: Vec<Opening> = Vec::new();
        for path in &self.openings {
            openings.extend(read_openings(path)?);
        }
        let recency = Recency { trust_period_ms: TRUST_PERIOD_MS, not_older_than: None };
        let basis = Basis { anchor: &anchor, links: &links, recency };
        let vault = self.vault.open()?;
        let (mut opened, mut others, mut receipts) = (Vec::new(), Vec::new(), Vec::new());
        for path in &self.files {
            match read(path, &openings, &basis, vault.as_ref(), screen)? {
                Read::Subject(one) => opened.push(one),
                Read::Other(trail) => others.push(trail),
                Read::Receipts(items) => receipts.extend(items),
            }
        }
        let Some(first) = opened.first() else {
            return Err(Failed::unable("none of the files is a subject's trail")
                .hint("permits, institutions' trails and receipts go beside the trails of the subject"));
        };
        if let Some(other) = opened.iter().find(|one| one.trail.name.owner != first.trail.name.owner) {
            return Err(Failed::unable(format!(
                "the trails are of different custodians: {} and {}",
                first.trail.name.owner, other.trail.name.owner
            )));
        }
        if opened.iter().all(|one| one.shown.iter().flatten().all(|field| field.value.is_none())) {
            screen.talk(
                "Nothing sealed is opened: rules that nobody can read make every permission indeterminate.",
            );
        }
        let others: Vec<&ProvenTrail> = others.iter().map(|trail| &**trail).collect();
        let beside = Beside::of(&others, &receipts.iter().collect::<Vec<_>>()).map_err(Failed::unable)?;
        Ok(Evidence { opened, beside })
    }
}

fn read(
    path: &Path,
    openings: &[Opening],
    basis: &Basis<'_>,
    vault: Option<&Vault>,
    screen: &Screen,
) -> Outcome<Read> {
    let bytes = files::read(path)?;
    let verified = |openings: &[Opening]| {
        verify(&bytes, openings, basis).map_err(|why: NotVerified| why.about(path, screen.speaker()))
    };
    match verified(openings)? {
        Verified::Receipts(receipts) => {
            Ok(Read::Receipts(receipts.into_iter().map(|(proven, _)| proven.item).collect()))
        }
        Verified::Trail(trail, _) if trail.name.kind != TrailKind::Subject => Ok(Read::Other(trail)),
        Verified::Trail(trail, shown) => {
            let Some(vault) = vault else { return Ok(Read::Subject(Opened { trail, shown })) };
            let more = from_vault(vault, &trail)?;
            match verified(&openings.iter().cloned().chain(more).collect::<Vec<_>>())? {
                Verified::Trail(trail, shown) => Ok(Read::Subject(Opened { trail, shown })),
                Verified::Receipts(_) => Err(Failed::unable("the file changed while it was read")),
            }
        }
    }
}

/// Everything that the vault can open of a trail.
fn from_vault(vault: &Vault, trail: &ProvenTrail) -> Outcome<Vec<Opening>> {
    let mut openings = Vec::new();
    for entry in &trail.entries {
        if let Entry::Item(item) = &entry.content
            && vault.entry(&item.hash).is_some()
        {
            openings.extend(vault.openings(&item.hash, None).could_not(|| "read openings from the vault")?);
        }
    }
    Ok(openings)
}
