//! The ledger as the feed sees it: several nodes, of which one that answers is enough.
//!
//! A submission is handed in until it is recorded, to one node after the other, with the same bytes
//! for as long as they are valid and in a new envelope after that; the items stay the same, so that a
//! repetition is answered and not recorded twice. That it is recorded is believed only when receipts
//! for every item verify from the trust anchor: a node that lies is left for another.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use custos_api::answers::Status;
use custos_api::client::{Client, ClientError, Limits, Submitted};
use custos_api::problem::Problem;
use custos_custodian::import::Planned;
use custos_proof::anchor::{Link, Recency, TrustAnchor};
use custos_proof::cbor::Wire as _;
use custos_proof::hash::{ChainId, ItemHash};
use custos_proof::ids::{Height, ParticipantId, Random16, TimeMs};
use custos_proof::keys::{Signer, key_id};
use custos_proof::kinds::Class;
use custos_proof::receipt::Receipt;
use custos_proof::record::Record;
use custos_proof::submission::{Author, Draft, Submission};
use custos_proof::verify::{self, Basis};
use tokio::sync::watch;

use crate::clock;
use crate::intake::Head;
use crate::serve::{Stop, stopped};

/// For how long a submission can be recorded.
const LIFETIME_MS: u64 = 10 * 60 * 1000;
/// How long before its end an envelope is not handed in any more.
const REMAINDER_MS: u64 = 60 * 1000;
/// How long a node is asked to wait for a commit.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often nodes are asked for the head.
const POLL: Duration = Duration::from_secs(2);
/// The pauses between tries.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// The anchor is moved when it is older than this.
const ANCHOR_AGE_MS: u64 = 24 * 60 * 60 * 1000;

/// Nodes and the keys to speak to them.
pub struct Ledger {
    clients: Vec<Client>,
    current: AtomicUsize,
    signer: Arc<dyn Signer>,
    /// As configured: what old receipts follow from.
    first: TrustAnchor,
    /// As far as it was moved.
    anchor: TrustAnchor,
    /// Where the moved one is kept.
    file: PathBuf,
    trouble: watch::Sender<Option<String>>,
}

/// Why something is not recorded.
#[derive(Debug)]
pub enum Fate {
    /// The ledger refuses what it was given, for good.
    Refused(Box<Problem>),
    /// The feed stops.
    Stopping,
}

/// What the ledger said to a submission.
enum Said {
    Recorded(BTreeMap<ItemHash, Record>),
    /// Ask this or another node again, after a pause.
    Again(String),
    /// The envelope will not do: make another.
    Envelope(String),
    Refused(Box<Problem>),
}

impl Ledger {
    /// A ledger behind these nodes. `folder` keeps the anchor as it is moved.
    ///
    /// # Errors
    /// [`ClientError::Address`].
    pub fn new(
        nodes: &[String],
        signer: Arc<dyn Signer>,
        anchor: TrustAnchor,
        folder: &Path,
        trouble: watch::Sender<Option<String>>,
    ) -> Result<Self, ClientError> {
        let limits = Limits {
            connect: Duration::from_secs(3),
            request: Duration::from_secs(15),
            retries: 0,
            ..Limits::default()
        };
        let client = |node: &String| Ok(Client::with_limits(node, limits)?.signed_by(Arc::clone(&signer)));
        let clients: Vec<Client> = nodes.iter().map(client).collect::<Result<_, ClientError>>()?;
        let file = folder.join("anchor");
        let kept = std::fs::read(&file).ok().and_then(|bytes| TrustAnchor::from_bytes(&bytes).ok());
        let moved = kept.filter(|kept| kept.chain == anchor.chain && kept.height > anchor.height);
        let first = anchor.clone();
        let anchor = moved.unwrap_or(anchor);
        Ok(Self { clients, current: AtomicUsize::new(0), signer, first, anchor, file, trouble })
    }

    /// The chain.
    #[must_use]
    pub fn chain(&self) -> &ChainId {
        &self.first.chain
    }

    /// Whose the key is, by the registry; waits until a node says so.
    ///
    /// # Errors
    /// The key is nobody's or another's, or the feed stops.
    pub async fn owner(&self, wanted: Option<&ParticipantId>, stop: &Stop) -> Result<ParticipantId, String> {
        let id = key_id(&self.signer.public_key());
        let mut pause = FIRST_PAUSE;
        loop {
            match self.client().registry().await {
                Ok(registry) => {
                    let has_key =
                        |keys: &[custos_api::answers::KeyAnswer]| keys.iter().any(|key| key.id == id);
                    let owner = registry.participants.into_iter().find(|owner| has_key(&owner.keys));
                    return match (owner, wanted) {
                        (Some(owner), Some(wanted)) if owner.id != *wanted => {
                            Err(format!("`key` belongs to {}, `participant` is {wanted}", owner.id))
                        }
                        (Some(owner), _) => Ok(owner.id),
                        (None, _) => {
                            Err("`key` is not a key of the registry; is it the network that you mean?".into())
                        }
                    };
                }
                Err(error) => self.turn(&error.to_string()),
            }
            if !self.pause(&mut pause, stop).await {
                return Err("the feed stops".into());
            }
        }
    }

    /// Where an item is recorded, if it is, by a receipt that verifies from the anchor.
    ///
    /// # Errors
    /// Why this node does not say, or is not believed; the next one is asked next time.
    pub async fn find(&mut self, item: &Planned) -> Result<Option<Height>, String> {
        let answer = self.client().receipt(&item.hash, None).await;
        let said = match answer {
            Err(ClientError::Problem(problem)) if problem.status == 404 => return Ok(None),
            Err(error) => Err(error.to_string()),
            Ok(bytes) => match Receipt::from_bytes(&bytes) {
                Ok(receipt) => self.verified(&[receipt], std::slice::from_ref(item)).await,
                Err(error) => Err(error.to_string()),
            },
        };
        if let Err(why) = &said {
            self.turn(why);
        }
        Ok(said?.get(&item.hash).map(|record| record.height))
    }

    /// Hands items in until they are recorded, or refused for good. Gives back their records.
    ///
    /// # Errors
    /// [`Fate`].
    pub async fn record(
        &mut self,
        author: &ParticipantId,
        class: Class,
        items: &[Planned],
        stop: &Stop,
    ) -> Result<BTreeMap<ItemHash, Record>, Fate> {
        let mut pause = FIRST_PAUSE;
        let mut envelope: Option<(Submission, TimeMs)> = None;
        loop {
            if envelope.as_ref().is_some_and(|(_, end)| end.0 < clock::now().0 + REMAINDER_MS) {
                envelope = None;
            }
            let said = match envelope.take().map_or_else(|| self.sign(author, class, items), Ok) {
                Err(error) => Said::Again(format!("cannot sign: {error}")),
                Ok(signed) => {
                    let said = tokio::select! {
                        () = stopped(stop.clone()) => return Err(Fate::Stopping),
                        said = self.client().submit_and_wait(signed.0.bytes(), PATIENCE) => said,
                    };
                    let said = self.judge(said, items).await;
                    if !matches!(said, Said::Envelope(_)) {
                        envelope = Some(signed);
                    }
                    said
                }
            };
            match said {
                Said::Recorded(records) => {
                    self.trouble.send_replace(None);
                    return Ok(records);
                }
                Said::Refused(problem) => return Err(Fate::Refused(problem)),
                Said::Again(why) | Said::Envelope(why) => self.turn(&why),
            }
            if !self.pause(&mut pause, stop).await {
                return Err(Fate::Stopping);
            }
        }
    }

    fn sign(
        &self,
        author: &ParticipantId,
        class: Class,
        items: &[Planned],
    ) -> Result<(Submission, TimeMs), String> {
        let mut nonce = [0; 16];
        getrandom::fill(&mut nonce).map_err(|error| error.to_string())?;
        let not_after = clock::now().plus(LIFETIME_MS);
        let draft = Draft {
            chain: self.chain(),
            author: Author::Participant(author.clone()),
            class,
            nonce: Random16(nonce),
            not_after,
        };
        let items = items.iter().map(|item| item.bytes.clone()).collect();
        let signed = Submission::sign(&draft, items, &*self.signer).map_err(|error| error.to_string())?;
        Ok((signed, not_after))
    }

    /// What an answer means, in one place.
    async fn judge(&mut self, answer: Result<Submitted, ClientError>, items: &[Planned]) -> Said {
        match answer {
            Ok(Submitted::Committed { receipts, .. }) => match self.verified(&receipts.receipts, items).await
            {
                Ok(records) => Said::Recorded(records),
                Err(why) => Said::Again(format!("receipts that do not verify: {why}")),
            },
            Ok(Submitted::Pending(status)) => match status.rejection {
                Some(rejection) => Said::Envelope(format!("{} ({})", rejection.detail, rejection.code)),
                None => Said::Again("handed in, and not decided yet".into()),
            },
            Err(ClientError::Problem(problem)) => match (problem.status, problem.code.as_str()) {
                // The envelope is at fault, or this machine's clock: another one may do.
                (_, "expired" | "replayed" | "too-far-ahead" | "quota-exceeded") => {
                    Said::Envelope(problem.to_string())
                }
                (408 | 429 | 500.., _) => Said::Again(problem.to_string()),
                _ => Said::Refused(problem),
            },
            Err(error) => Said::Again(error.to_string()),
        }
    }

    /// The records of all items, each proven from the anchor.
    async fn verified(
        &mut self,
        receipts: &[Receipt],
        items: &[Planned],
    ) -> Result<BTreeMap<ItemHash, Record>, String> {
        if clock::now().0.saturating_sub(self.anchor.time.0) > ANCHOR_AGE_MS {
            self.move_anchor().await;
        }
        let mut proven = self.proven(receipts, items, &[]);
        if proven.is_err() {
            // Other validators, perhaps.
            self.move_anchor().await;
            proven = self.proven(receipts, items, &[]);
        }
        if proven.is_err() {
            // Recorded between the first anchor and the moved one, and validators changed in between.
            let links = self.client().links(self.first.height).await.map_err(|error| error.to_string())?;
            proven = self.proven(receipts, items, &links.links);
        }
        proven
    }

    fn proven(
        &self,
        receipts: &[Receipt],
        items: &[Planned],
        links: &[Link],
    ) -> Result<BTreeMap<ItemHash, Record>, String> {
        let mut records = BTreeMap::new();
        for receipt in receipts {
            let from =
                |anchor| verify::receipt(receipt, &Basis { anchor, links, recency: Recency::default() });
            let proven =
                from(&self.anchor).or_else(|_| from(&self.first)).map_err(|error| error.to_string())?;
            records.insert(proven.item.hash, proven.item.record);
        }
        match items.iter().find(|item| !records.contains_key(&item.hash)) {
            Some(missing) => Err(format!("there is none for item {}", missing.hash)),
            None => Ok(records),
        }
    }

    /// Follows the chain's validators, as far as they can be followed.
    async fn move_anchor(&mut self) {
        let advance = match self.client().advance(self.anchor.height).await {
            Ok(advance) => advance,
            Err(error) => {
                tracing::debug!(%error, "the anchor was not moved");
                return;
            }
        };
        match self.anchor.advance(&advance, &Recency::default()) {
            Ok(moved) if moved.height > self.anchor.height => {
                let temporary = self.file.with_extension("new");
                let kept = std::fs::write(&temporary, moved.to_bytes())
                    .and_then(|()| std::fs::rename(&temporary, &self.file));
                if let Err(error) = kept {
                    tracing::warn!(%error, "the moved anchor is not kept; it is moved again after a restart");
                }
                self.anchor = moved;
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "a node's account of the validators does not hold"),
        }
    }

    fn client(&self) -> &Client {
        let at = self.current.load(Ordering::Relaxed) % self.clients.len();
        &self.clients[at]
    }

    /// The next node, because this one did not do. One that refuses what others take is one of these.
    pub(crate) fn turn(&self, why: &str) {
        let why = format!("{}: {why}", self.client().address());
        tracing::warn!(why, "not recorded yet");
        self.trouble.send_replace(Some(why));
        self.current.fetch_add(1, Ordering::Relaxed);
    }

    /// Waits longer each time; false if the feed stops.
    async fn pause(&self, pause: &mut Duration, stop: &Stop) -> bool {
        let this = *pause;
        *pause = (*pause * 2).min(LONGEST_PAUSE);
        tokio::select! {
            () = stopped(stop.clone()) => false,
            () = tokio::time::sleep(this) => true,
        }
    }
}

/// Asks the nodes for their heads and publishes the highest, until the feed stops.
pub async fn watch_head(nodes: Vec<String>, head: watch::Sender<Head>, stop: Stop) {
    let limits = Limits { connect: POLL, request: POLL, retries: 0, ..Limits::default() };
    let clients: Vec<Client> =
        nodes.iter().filter_map(|node| Client::with_limits(node, limits).ok()).collect();
    let mut first = 0;
    loop {
        for offset in 0..clients.len() {
            let at = (first + offset) % clients.len();
            let asked = tokio::select! {
                () = stopped(stop.clone()) => return,
                asked = clients[at].status() => asked,
            };
            if let Ok(status) = asked {
                first = at;
                see(&head, &status, clients[at].address());
                break;
            }
        }
        tokio::select! {
            () = stopped(stop.clone()) => return,
            () = tokio::time::sleep(POLL) => {}
        }
    }
}

fn see(head: &watch::Sender<Head>, status: &Status, node: &str) {
    head.send_modify(|head| {
        head.seen = Some(clock::now());
        node.clone_into(&mut head.node);
        // A node that lags says nothing new.
        if status.height >= head.height.0 {
            head.height = custos_proof::ids::Height(status.height);
            head.time = Some(TimeMs(status.time_ms));
        }
    });
}
