//! What the ledger says of a request at a height, gathered from a node: each trail and each entry of the state
//! verified from the caller's anchor, each opening checked against its seal.
//!
//! ```text
//!   header of h                   t, and how long the log was then
//!   genesis, state, registry      the policy in force at h
//!   state: participants           whether the acting one is active; where the custodian is
//!   the patient's own trails      rules, opt-outs, representatives, lists of further trails
//!   the acting one's trails       permissions that name it
//!   state, receipts: permit       the cited permit, through its amendments
//!   state or institution's trail  the roster that the acting one had bound itself to
//! ```
//!
//! Asked again later, everything is as of h again, so the answer is the same byte for byte. The state knows of rosters
//! only the last one; an older one takes the institution's trail, which its members' keys open.

use std::path::PathBuf;

use clap::Args;
use custos_api::blocking::Client;
use custos_api::client::Part;
use custos_decide::facts::{Eligibility, Facts, Roster};
use custos_decide::gather::{self, Committed, RosterHistory};
use custos_decide::listing::{self, OpenTrail};
use custos_decide::matching::Ruler;
use custos_decide::request::Request;
use custos_decide::terminology::Terminology;
use custos_people::catalogue::Speaker;
use custos_proof::header::Header;
use custos_proof::ids::{Height, ParticipantId, TimeMs};
use custos_proof::policy::DecisionPolicy;
use custos_proof::registry::Policy;
use custos_proof::trail::TrailName;
use custos_proof::verify::ProvenTrail;

use crate::desk::OptionalVault;
use crate::evidence::Opened;
use crate::exit::{Failed, Outcome, While as _};
use crate::network::{self, refused};
use crate::proven;
use crate::roster::RosterFile;
use crate::screen::Screen;
use crate::subject::{read_code, readable};
use crate::trails::{self, Found, Ground};

/// How many entries of an institution's trail are fetched at a time, from its end backwards.
const ROSTER_PART: u64 = 2_000;
/// How many such parts, before the roster counts as not seen.
const MAX_ROSTER_PARTS: usize = 50;

/// A node, a patient and a time.
#[derive(Debug, Clone, Args)]
pub(crate) struct LedgerArgs {
    /// Ask the ledger instead of files: the node's address, such as http://127.0.0.1:7700
    #[arg(long = "node", value_name = "URL", requires = "code")]
    node: Option<String>,
    /// A signing key of the acting organisation, to read its rosters of the past
    #[arg(long, value_name = "FILE", requires = "node")]
    key: Option<PathBuf>,
    /// The patient's code, or @FILE to read it from a file
    #[arg(long, value_name = "CODE", requires = "node")]
    code: Option<String>,
    /// Who holds the data; by default the request's custodian
    #[arg(long, value_name = "PARTICIPANT", requires = "node")]
    custodian: Option<ParticipantId>,
    /// Verify from this anchor; without it the node's own genesis is believed
    #[arg(long, value_name = "FILE", requires = "node")]
    anchor: Option<PathBuf>,
    #[command(flatten)]
    vault: OptionalVault,
    /// As of which block; by default the last one, or the last one at the time of --at
    #[arg(long, value_name = "HEIGHT", requires = "node", conflicts_with = "at")]
    at_height: Option<u64>,
    /// The acting organisation's roster, as `custos roster commit --out` wrote it
    #[arg(long, value_name = "FILE", requires = "node")]
    roster: Option<PathBuf>,
}

/// What was gathered; [`Gathered::facts`] borrows from it.
pub(crate) struct Gathered {
    policy: Policy,
    header: Header,
    jurisdiction: String,
    eligibility: Eligibility,
    rules: Vec<custos_decide::facts::ListedRule>,
    missing_trails: usize,
    permits: Vec<custos_decide::facts::Permit>,
    /// What proofs were judged by, in words.
    pub(crate) ground: String,
}

impl Gathered {
    /// The facts; `base` is the address that relative references belong to.
    pub(crate) fn facts(&self, base: String) -> Facts<'_> {
        let decision: &DecisionPolicy = &self.policy.decision;
        Facts {
            height: self.header.height,
            time: self.header.time,
            policy_version: self.policy.version,
            policy: decision,
            terminology: Terminology::shipped(),
            jurisdiction: self.jurisdiction.clone(),
            base,
            eligibility: self.eligibility.clone(),
            rules: self.rules.clone(),
            missing_trails: self.missing_trails,
            representatives: gather::representatives(&self.rules, self.header.height, self.header.time),
            permits: self.permits.clone(),
        }
    }
}

impl LedgerArgs {
    /// Whether a node is named.
    pub(crate) fn is_given(&self) -> bool {
        self.node.is_some()
    }

    /// Whether the acting organisation's own key is at hand.
    pub(crate) fn has_key(&self) -> bool {
        self.key.is_some()
    }

    /// Everything that the ledger says of a request.
    pub(crate) fn gather(
        &self,
        request: &Request,
        base: &str,
        at: Option<TimeMs>,
        screen: &Screen,
    ) -> Outcome<Gathered> {
        let s = screen.speaker();
        let (Some(url), Some(code)) = (&self.node, &self.code) else {
            return Err(Failed::unable("name a node and the patient's code"));
        };
        let custodian = &request.custodian;
        if let Some(named) = self.custodian.as_ref().filter(|named| *named != custodian) {
            return Err(Failed::unable(format!("the request is to {custodian}, not to {named}")));
        }
        let client = match &self.key {
            Some(key) => network::member(url, key)?,
            None => Client::new(url).map_err(refused)?,
        };
        let ground = Ground::of(&client, self.anchor.as_ref())?;
        ground.warn(screen);
        let header = match (self.at_height, at) {
            (Some(height), _) => proven::header(&client, Height(height), &ground, s)?,
            (None, Some(time)) => last_before(&client, time, &ground, s)?,
            (None, None) => proven::head(&client, &ground, s)?,
        };
        let (height, time) = (header.height, header.time);
        let policy = policy_at(&client, height, &ground, s)?;
        let acting = &request.actor.participant;
        let standing = proven::participant(&client, acting, &ground, s)?;
        let holder = proven::participant(&client, custodian, &ground, s)?;
        let jurisdiction =
            holder.entry.as_ref().map_or_else(String::new, |entry| entry.jurisdiction.to_string());

        let code = read_code(code)?;
        let years = year(proven::genesis(&client, &ground)?.time)?..=year(time)?;
        let grantee = (acting != custodian).then_some(acting);
        let mut found: Vec<Found> = Vec::new();
        let mut has_own = false;
        for year in years {
            for grantee in std::iter::once(None).chain(grantee.map(Some)) {
                let trail = readable(&code, &ground.anchor.chain, custodian, grantee, year);
                let one = trails::fetch(&client, &trail, grantee.cloned(), Part::Whole, &ground, s)?;
                if one.proven.size > 0 {
                    has_own |= grantee.is_none();
                    found.push(one);
                }
            }
        }
        let opened = self.open(found, &ground, s)?;
        let trails: Vec<OpenTrail<'_>> = opened.iter().map(Opened::open).collect();
        let listing = listing::rules(&trails, custodian, acting, height, Terminology::shipped());
        // That the patient has no own trail is proven for every year; then nothing of it is missing.
        let proven_absent = usize::from(!has_own);
        let missing_trails =
            listing.missing_trails.saturating_sub(proven_absent) + usize::from(!listing.is_complete);

        let permits = match &request.permit {
            None => Vec::new(),
            Some(id) => {
                let history = proven::permit(&client, id, &ground, s)?;
                history.and_then(|history| history.as_of(height, time)).into_iter().collect()
            }
        };
        let committed = match standing.roster(height, time) {
            Committed::Unknown if self.key.is_some() => {
                let history = rosters(&client, acting, &ground, s)?;
                history.map_or(Committed::Unknown, |history| history.as_of(height, time))
            }
            known => known,
        };
        let ruler = Ruler { terminology: Terminology::shipped(), policy: &policy.decision, base };
        let roster = match &self.roster {
            Some(path) => committed.lists(&RosterFile::committed(path)?.entries, &request.actor, &ruler),
            None if committed == Committed::Nothing => Roster::NoneCommitted,
            None => Roster::NotSeen,
        };
        Ok(Gathered {
            eligibility: Eligibility {
                key_is_valid: true,
                participant_is_active: standing.is_active(header.log_size.0),
                roster,
            },
            policy,
            header,
            jurisdiction,
            rules: listing.rules,
            missing_trails,
            permits,
            ground: ground.words(s),
        })
    }

    fn open(&self, found: Vec<Found>, ground: &Ground, s: &Speaker) -> Outcome<Vec<Opened>> {
        let vault = self.vault.open()?;
        let open = |found: Found| -> Outcome<Opened> {
            let items = found.proven.entries.iter().filter_map(trails::item_of);
            let openings = match &vault {
                Some(vault) => items
                    .map(|item| trails::openings(vault, &item.hash))
                    .collect::<Outcome<Vec<_>>>()?
                    .concat(),
                None => Vec::new(),
            };
            let shown = trails::shown(&ground.anchor.chain, &found.proven, &openings, s)?;
            Ok(Opened { trail: Box::new(found.proven), shown })
        };
        found.into_iter().map(open).collect()
    }
}

/// The last header of a time or before: its follower, if there is one, is verified to be later.
fn last_before(client: &Client, time: TimeMs, ground: &Ground, s: &Speaker) -> Outcome<Header> {
    let head = proven::head(client, ground, s)?;
    if head.time <= time {
        return Ok(head);
    }
    // The block at `high` is later than the time.
    let (mut low, mut high) = (0, head.height.0);
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        match client.header(Height(middle)).map_err(refused)?.time <= time {
            true => low = middle,
            false => high = middle,
        }
    }
    if low == 0 {
        return Err(Failed::unable(format!("there was no block yet at {}", crate::time::words(time))));
    }
    let found = proven::header(client, Height(low), ground, s)?;
    match found.time <= time && proven::header(client, Height(high), ground, s)?.time > time {
        true => Ok(found),
        false => Err(Failed::against("the node's headers contradict their own times")),
    }
}

/// The policy in force at a height: from the genesis, whose hash is the chain's name, the head's state, and what was
/// proposed in the registry's trail.
fn policy_at(client: &Client, height: Height, ground: &Ground, s: &Speaker) -> Outcome<Policy> {
    let genesis = proven::genesis(client, ground)?;
    let head = proven::policy(client, ground, s)?;
    if head.version == genesis.policy.version {
        return Ok(head);
    }
    let registry = TrailName::registry(&genesis.registrar);
    let registry = trails::fetch_by_key(client, &registry.key(), Part::Whole, ground, s)?;
    gather::policy_at(&genesis.policy, &head, &registry.proven, height).map_err(|unclear| {
        Failed::unable(format!("which policy was in force at block {height} cannot be told: {unclear}"))
            .hint("ask at another height")
    })
}

fn year(time: TimeMs) -> Outcome<u16> {
    u16::try_from(time.year()).could_not(|| "read a year")
}

/// The rosters that an institution bound itself to, from its trail: from the end backwards until the beginning, in
/// bounded parts.
fn rosters(
    client: &Client,
    organisation: &ParticipantId,
    ground: &Ground,
    s: &Speaker,
) -> Outcome<Option<RosterHistory>> {
    let key = TrailName::institution(organisation).key();
    let last = Part::Positions(u64::MAX, u64::MAX);
    let Ok(newest) = trails::fetch_by_key(client, &key, last, ground, s) else { return Ok(None) };
    let mut parts: Vec<ProvenTrail> = Vec::new();
    let mut to = newest.proven.size;
    while to > 0 && parts.len() < MAX_ROSTER_PARTS {
        let from = to.saturating_sub(ROSTER_PART);
        let part = trails::fetch_by_key(client, &key, Part::Positions(from, to), ground, s)?.proven;
        to = part.begin.min(from);
        parts.push(part);
    }
    parts.reverse();
    Ok(RosterHistory::of(&parts.iter().collect::<Vec<_>>()))
}
