//! A custodian's desk: its vault, its signing key, and a node to hand in to.
//!
//! What is sent has been sealed and kept in the vault before, so that a crash at any point loses
//! nothing: the next run asks the ledger what became of everything that is unsettled, and sends the
//! rest again with the same bytes.
//!
//! ```text
//!   plan     -> vault          seeds, values and item bytes, synced
//!   sign     -> node           a submission; a lost answer is no loss
//!   receipts -> vault          settled: recorded at this height
//!   refusal  -> ask the node   recorded after all, or dropped for good
//! ```

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use custos_api::answers::SubmissionState;
use custos_api::blocking;
use custos_api::client::{Client, ClientError, Submitted};
use custos_custodian::code::PatientCode;
use custos_custodian::draft::SubjectKey;
use custos_custodian::import::{self, Batch, Plan, Settings};
use custos_custodian::vault::{ItemState, Scope, SubjectId, Vault, VaultKey};
use custos_people::catalogue::Speaker;
use custos_proof::cbor::Wire as _;
use custos_proof::file::Receipts;
use custos_proof::hash::{ChainId, ItemHash};
use custos_proof::ids::{Height, ParticipantId, Random16};
use custos_proof::keys::{KeyPurpose, Signer as _, key_id};
use custos_proof::receipt::Receipt;
use custos_proof::record::Record;
use custos_proof::sealed_values::OwnTrail;
use custos_proof::submission::{Author, Draft, Submission};
use custos_proof::verify::{self, Failure};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use crate::commands::verify::NotVerified;
use crate::exit::{Failed, Outcome, While as _};
use crate::keyfile::{self, KeyFile};
use crate::network::refused;
use crate::screen::Screen;
use crate::subject::{read_code, year_of};
use crate::trails::Ground;
use crate::{files, hand_in, time};

/// How many submissions of one wave are under way at a time.
const UNDER_WAY: usize = 4;
/// How long a node is asked to wait for a commit.
const PATIENCE: Duration = Duration::from_secs(60);
/// For how long a submission can be recorded.
const LIFETIME_MS: u64 = 10 * 60 * 1000;

/// A custodian's vault, and how it is opened.
#[derive(Debug, Clone, Args)]
pub(crate) struct VaultArgs {
    /// The custodian's vault: a folder
    #[arg(long, value_name = "DIR")]
    pub(crate) vault: PathBuf,
    /// The vault's key; by default DIR.key beside the vault
    #[arg(long, value_name = "FILE")]
    pub(crate) vault_key: Option<PathBuf>,
}

impl VaultArgs {
    /// Where the vault's key is.
    fn key_path(&self) -> PathBuf {
        self.vault_key.clone().unwrap_or_else(|| {
            let mut name = self.vault.file_name().unwrap_or_default().to_os_string();
            name.push(".key");
            self.vault.with_file_name(name)
        })
    }

    /// The vault, which has to be there.
    pub(crate) fn open(&self) -> Outcome<Vault> {
        let key = VaultKey::load(&self.key_path()).could_not(|| "read the vault's key")?;
        Vault::open(&self.vault, &key).could_not(|| "open the vault")
    }

    /// The vault; a new one, with a new key, when there is none.
    fn open_or_create(&self, scope: &Scope, screen: &Screen) -> Outcome<Vault> {
        let path = self.key_path();
        if !path.exists() {
            if self.vault.exists() {
                return Err(Failed::unable(format!("there is a vault, but not its key {}", path.display()))
                    .hint("name the key with --vault-key"));
            }
            if let Some(parent) = path.parent() {
                files::folder(parent)?;
            }
            screen.talk(format!(
                "New vault {} with a new key {}: back them up, apart from each other.",
                self.vault.display(),
                path.display()
            ));
        }
        let key = VaultKey::load_or_create(&path).could_not(|| "read the vault's key")?;
        Vault::open_or_create(&self.vault, &key, scope).could_not(|| "open the vault")
    }
}

/// A custodian's vault, where it is of use but not needed.
#[derive(Debug, Clone, Args)]
pub(crate) struct OptionalVault {
    /// The custodian's vault, to open what is sealed
    #[arg(long, value_name = "DIR")]
    vault: Option<PathBuf>,
    /// The vault's key; by default DIR.key beside the vault
    #[arg(long, value_name = "FILE", requires = "vault")]
    vault_key: Option<PathBuf>,
}

impl OptionalVault {
    /// The vault, if one was named.
    pub(crate) fn open(&self) -> Outcome<Option<Vault>> {
        let Some(vault) = &self.vault else { return Ok(None) };
        VaultArgs { vault: vault.clone(), vault_key: self.vault_key.clone() }.open().map(Some)
    }

    /// A desk with the vault, which is needed now; a new one when there is none.
    pub(crate) fn desk(
        &self,
        url: &str,
        key: &Path,
        participant: Option<&ParticipantId>,
        screen: &Screen,
    ) -> Outcome<Desk> {
        let vault = self.vault.clone().ok_or_else(|| {
            Failed::unable("there are sealed fields, and no vault to keep their openings in")
                .hint("name the author's vault with --vault; a new one is made when there is none")
        })?;
        let vault = VaultArgs { vault, vault_key: self.vault_key.clone() };
        let participant = participant.cloned();
        DeskArgs { url: url.into(), key: key.into(), vault, participant, anchor: None }.open(screen)
    }
}

/// A custodian at work.
#[derive(Debug, Clone, Args)]
pub(crate) struct DeskArgs {
    /// The node to hand in to, such as http://127.0.0.1:7700
    #[arg(long = "node", value_name = "URL")]
    url: String,
    /// The custodian's signing key
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    #[command(flatten)]
    vault: VaultArgs,
    /// Which participant the key speaks for; by default whom the registry names
    #[arg(long, value_name = "PARTICIPANT")]
    participant: Option<ParticipantId>,
    /// Take an item for recorded only if its receipt follows from this anchor; without it the node is believed
    #[arg(long, value_name = "FILE")]
    pub(crate) anchor: Option<PathBuf>,
}

/// Which patient is meant: by a name that the vault knows, or by the patient's code.
#[derive(Debug, Clone, Args)]
#[group(required = true, multiple = true)]
pub(crate) struct PatientArgs {
    /// The patient's address (https://fhir.example/Patient/17) or identifier (system|value)
    #[arg(long, value_name = "NAME")]
    patient: Option<String>,
    /// The patient's code, or @FILE to read it from a file
    #[arg(long, value_name = "CODE")]
    code: Option<String>,
}

impl PatientArgs {
    /// The names by which the vault knows the patient.
    pub(crate) fn names(&self, vault: &Vault) -> Outcome<Vec<SubjectKey>> {
        if let Some(code) = &self.code {
            let id = by_code(vault, &read_code(code)?)?;
            return Ok(vault.names(&id).could_not(|| "find the patient")?.to_vec());
        }
        let name = self.patient.as_deref().unwrap_or_default();
        Ok(vec![match name.split_once('|') {
            Some((system, value)) => SubjectKey::identifier(system, value),
            None => SubjectKey::address(name),
        }])
    }
}

/// The same, where no patient need be meant.
#[derive(Debug, Clone, Args)]
pub(crate) struct OptionalPatient {
    /// The patient's address (https://fhir.example/Patient/17) or identifier (system|value)
    #[arg(long, value_name = "NAME")]
    patient: Option<String>,
    /// The patient's code, or @FILE to read it from a file
    #[arg(long, value_name = "CODE")]
    code: Option<String>,
}

impl OptionalPatient {
    /// The patient, if one was named.
    pub(crate) fn named(&self) -> Option<PatientArgs> {
        let is_named = self.patient.is_some() || self.code.is_some();
        is_named.then(|| PatientArgs { patient: self.patient.clone(), code: self.code.clone() })
    }
}

impl PatientArgs {
    /// The patient in the vault.
    pub(crate) fn subject(&self, vault: &Vault) -> Outcome<SubjectId> {
        if let Some(code) = &self.code {
            return by_code(vault, &read_code(code)?);
        }
        let found = vault.find(&self.names(vault)?).could_not(|| "find the patient")?;
        found.ok_or_else(|| Failed::unable("the vault knows no patient of this name"))
    }
}

/// The patient of a code.
pub(crate) fn by_code(vault: &Vault, code: &PatientCode) -> Outcome<SubjectId> {
    vault.find_by_code(code).ok_or_else(|| Failed::unable("the vault knows no patient of this code"))
}

/// A custodian at work: see the module.
pub(crate) struct Desk {
    /// The vault.
    pub(crate) vault: Vault,
    /// The node.
    pub(crate) client: blocking::Client,
    /// Whose desk it is.
    pub(crate) participant: ParticipantId,
    /// The head's height when the desk was opened.
    pub(crate) height: Height,
    /// The calendar year.
    pub(crate) epoch: u16,
    chain: ChainId,
    key: Arc<KeyFile>,
    sender: Client,
    runtime: Runtime,
    anchor: Option<PathBuf>,
    /// What receipts are judged by, if there is an anchor.
    ground: Option<Ground>,
}

/// What became of what was sent.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    /// Recorded, and as what.
    pub(crate) recorded: BTreeMap<ItemHash, Record>,
    /// Refused by the ledger for good, and why.
    pub(crate) refused: BTreeMap<ItemHash, String>,
    /// How many submissions were recorded.
    pub(crate) submissions: usize,
}

impl DeskArgs {
    /// Opens the desk and settles what an earlier run left open.
    pub(crate) fn open(&self, screen: &Screen) -> Outcome<Desk> {
        let key = Arc::new(keyfile::read(&self.key, KeyPurpose::Sign)?);
        let client = blocking::Client::new(&self.url).map_err(refused)?.signed_by(key.clone());
        let sender = Client::new(&self.url).map_err(refused)?.signed_by(key.clone());
        let status = client.status().map_err(refused)?;
        let ground = self.anchor.as_ref().map(|anchor| Ground::of(&client, Some(anchor))).transpose()?;
        if let Some(ground) = &ground {
            ground.warn(screen);
            if ground.anchor.chain != status.chain {
                return Err(Failed::unable("the node is of another chain than the anchor"));
            }
        }
        let participant = owner(&client, &key, self.participant.as_ref(), &self.key)?;
        let scope = Scope { chain: status.chain, custodian: participant.clone() };
        let vault = self.vault.open_or_create(&scope, screen)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .could_not(|| "start")?;
        let mut desk = Desk {
            vault,
            client,
            participant,
            height: Height(status.height),
            epoch: year_of(time::now())?,
            chain: status.chain,
            key,
            sender,
            runtime,
            anchor: self.anchor.clone(),
            ground,
        };
        let found = desk.reconcile(screen.speaker())?;
        if found > 0 {
            screen.talk(format!("An earlier run was cut short: {found} of its items are on the ledger."));
        }
        Ok(desk)
    }
}

/// Whom the key speaks for.
pub(crate) fn owner(
    client: &blocking::Client,
    key: &KeyFile,
    wanted: Option<&ParticipantId>,
    path: &Path,
) -> Outcome<ParticipantId> {
    let id = key_id(&key.public_key());
    let registry = client.registry().map_err(refused)?;
    let owner =
        registry.participants.into_iter().find(|participant| participant.keys.iter().any(|key| key.id == id));
    match (owner, wanted) {
        (Some(owner), Some(wanted)) if owner.id != *wanted => {
            Err(Failed::unable(format!("{} is a key of {}, not of {wanted}", path.display(), owner.id)))
        }
        (Some(owner), _) => Ok(owner.id),
        (None, _) => Err(Failed::unable(format!("{} is not a key of the registry", path.display()))
            .hint("is it the key, and the network, that you mean?")),
    }
}

impl Desk {
    /// The patient's own trail of this year, if the vault has opened one.
    pub(crate) fn own_trail(&self, names: &[SubjectKey]) -> Outcome<Option<OwnTrail>> {
        let Some(subject) = self.vault.find(names).could_not(|| "find the patient")? else {
            return Err(Failed::unable("the vault knows no patient of this name"));
        };
        let trails = self.vault.trails(&subject).could_not(|| "read the vault")?;
        let own = trails.iter().find(|trail| trail.epoch == self.epoch && trail.grantee.is_none());
        Ok(own.map(|trail| OwnTrail { epoch: trail.epoch, local_id: trail.local_id }))
    }

    /// Asks the ledger about everything of which it is not known what became; gives back how much of it is recorded.
    fn reconcile(&mut self, s: &Speaker) -> Outcome<usize> {
        let open: Vec<ItemHash> = self.vault.prepared().map(|(_, item)| item.hash).collect();
        let mut settled = Vec::new();
        for hash in open {
            match self.client.item(&hash, None) {
                Ok(answer) => {
                    let mut height = Height(answer.height);
                    if self.anchor.is_some() {
                        let bytes = self.client.receipt(&hash, None).map_err(refused)?;
                        let receipt = Receipt::from_bytes(&bytes).could_not(|| "read a receipt")?;
                        height = self.judge(&[receipt], &[hash], s)?.first().map_or(height, |one| one.height);
                    }
                    settled.push((hash, ItemState::Recorded(height)));
                }
                Err(ClientError::Problem(problem)) if problem.status == 404 => {}
                Err(error) => return Err(refused(error)),
            }
        }
        self.vault.settle(&settled).could_not(|| "note in the vault what was recorded")?;
        Ok(settled.len())
    }

    /// Sends a plan and everything that was left over, and waits until each item is recorded or refused for good.
    pub(crate) fn carry_out(&mut self, plan: Plan, settings: &Settings, screen: &Screen) -> Outcome<Sent> {
        let mut sent = Sent::default();
        let mut batches = plan.batches;
        let leftover = self.leftover(&batches, settings)?;
        if !leftover.is_empty() {
            batches = leftover;
        }
        let total: usize = batches.iter().map(|batch| batch.items.len()).sum();
        let bar = screen.bar(total as u64, "recording");
        while !batches.is_empty() {
            let refusals = self.send(&batches, &mut sent, &bar, screen.speaker())?;
            if refusals.is_empty() {
                break;
            }
            let mut progress = self.reconcile(screen.speaker())?;
            for refusal in refusals {
                progress += self.drop_refused(&refusal, &mut sent)?;
            }
            if progress == 0 {
                return Err(Failed::unable(
                    "the node refuses what is on the ledger already by its own account",
                )
                .hint("ask another node"));
            }
            batches =
                import::resume(&self.vault, settings).could_not(|| "plan again what was refused")?.batches;
        }
        bar.finish_and_clear();
        Ok(sent)
    }

    /// All that waits, when that is more than the plan: what an interrupted run sealed and never sent.
    fn leftover(&self, planned: &[Batch], settings: &Settings) -> Outcome<Vec<Batch>> {
        let count: usize = planned.iter().map(|batch| batch.items.len()).sum();
        if self.vault.prepared().count() == count {
            return Ok(Vec::new());
        }
        Ok(import::resume(&self.vault, settings).could_not(|| "plan what was left over")?.batches)
    }

    /// Sends batches, wave by wave. Gives back those that were refused.
    fn send(
        &mut self,
        batches: &[Batch],
        sent: &mut Sent,
        bar: &indicatif::ProgressBar,
        s: &Speaker,
    ) -> Outcome<Vec<RefusedBatch>> {
        let last = batches.iter().map(|batch| batch.wave).max().unwrap_or(0);
        for wave in 0..=last {
            let of_wave: Vec<&Batch> = batches.iter().filter(|batch| batch.wave == wave).collect();
            let mut refusals = Vec::new();
            for group in of_wave.chunks(UNDER_WAY) {
                let submissions = group.iter().map(|batch| self.sign(batch)).collect::<Outcome<Vec<_>>>()?;
                for (number, answer) in self.submit_all(&submissions)? {
                    let Some(batch) = group.get(number) else { continue };
                    match answer {
                        Ok(receipts) => {
                            self.settle(&receipts, batch, sent, s)?;
                            sent.submissions += 1;
                            bar.inc(batch.items.len() as u64);
                        }
                        Err(error) => refusals.push(RefusedBatch::of(batch, error)?),
                    }
                }
            }
            // Later waves stand on this one.
            if !refusals.is_empty() {
                return Ok(refusals);
            }
        }
        Ok(Vec::new())
    }

    fn sign(&self, batch: &Batch) -> Outcome<Submission> {
        let mut nonce = [0; 16];
        getrandom::fill(&mut nonce).could_not(|| "draw random bytes")?;
        let draft = Draft {
            chain: &self.chain,
            author: Author::Participant(self.participant.clone()),
            class: batch.class,
            nonce: Random16(nonce),
            not_after: time::now().plus(LIFETIME_MS),
        };
        let items = batch.items.iter().map(|item| item.bytes.clone()).collect();
        Submission::sign(&draft, items, &*self.key).could_not(|| "sign a submission")
    }

    fn submit_all(&self, submissions: &[Submission]) -> Outcome<Vec<(usize, Result<Receipts, ClientError>)>> {
        let answers = self.runtime.block_on(async {
            let mut tasks = JoinSet::new();
            for (number, submission) in submissions.iter().enumerate() {
                let (client, submission) = (self.sender.clone(), submission.clone());
                tasks.spawn(async move { (number, until_recorded(&client, &submission).await) });
            }
            tasks.join_all().await
        });
        answers
            .into_iter()
            .map(|(number, answer)| match answer {
                Ok(Some(receipts)) => Ok((number, Ok(receipts))),
                Ok(None) => Err(Failed::unable("not everything was recorded in time")
                    .hint("run the same command again: nothing is recorded twice")),
                Err(error) => Ok((number, Err(error))),
            })
            .collect()
    }

    fn settle(&mut self, receipts: &Receipts, batch: &Batch, sent: &mut Sent, s: &Speaker) -> Outcome<()> {
        let items: Vec<ItemHash> = batch.items.iter().map(|item| item.hash).collect();
        let mut settled = Vec::new();
        for record in self.judge(&receipts.receipts, &items, s)? {
            if let Some(entry) = record.as_item() {
                let item = entry.item;
                settled.push((item, ItemState::Recorded(record.height)));
                sent.recorded.insert(item, record);
            }
        }
        self.vault.settle(&settled).could_not(|| "note in the vault what was recorded")
    }

    /// The records of receipts, which have to be of exactly these items, and with an anchor have to follow from it.
    fn judge(&mut self, receipts: &[Receipt], items: &[ItemHash], s: &Speaker) -> Outcome<Vec<Record>> {
        for receipt in receipts {
            self.believe(receipt, s)?;
        }
        hand_in::records(receipts, items)
    }

    fn believe(&mut self, receipt: &Receipt, s: &Speaker) -> Outcome<()> {
        let (Some(ground), Some(anchor)) = (&self.ground, &self.anchor) else { return Ok(()) };
        let mut judged = verify::receipt(receipt, &ground.basis()).map(drop);
        if let Err(Failure::Unlinked { .. }) = judged {
            // Other validators came to power since the desk was opened.
            let ground = self.ground.insert(Ground::of(&self.client, Some(anchor))?);
            judged = verify::receipt(receipt, &ground.basis()).map(drop);
        }
        judged.map_err(|failure| NotVerified::from(failure).about("the node's receipt".as_ref(), s))
    }

    /// Drops the item that made a batch be refused, unless it turned out to be recorded.
    fn drop_refused(&mut self, refusal: &RefusedBatch, sent: &mut Sent) -> Outcome<usize> {
        let is_open = self.vault.entry(&refusal.item).is_some_and(|entry| entry.state == ItemState::Prepared);
        if !is_open {
            return Ok(0);
        }
        self.vault
            .settle(&[(refusal.item, ItemState::Dropped)])
            .could_not(|| "note in the vault what was refused")?;
        sent.refused.insert(refusal.item, refusal.why.clone());
        Ok(1)
    }
}

/// Hands in a submission and waits until it is recorded; `None` when that takes too long.
async fn until_recorded(client: &Client, submission: &Submission) -> Result<Option<Receipts>, ClientError> {
    match client.submit_and_wait(submission.bytes(), PATIENCE).await? {
        Submitted::Committed { receipts, .. } => Ok(Some(receipts)),
        Submitted::Pending(status) if status.state == SubmissionState::Committed => {
            // Recorded between the node's patience and its answer: asking again gives the receipts.
            match client.submit_and_wait(submission.bytes(), PATIENCE).await? {
                Submitted::Committed { receipts, .. } => Ok(Some(receipts)),
                Submitted::Pending(_) => Ok(None),
            }
        }
        Submitted::Pending(_) => Ok(None),
    }
}

/// A batch that a node refused, and the item because of which.
struct RefusedBatch {
    item: ItemHash,
    why: String,
}

impl RefusedBatch {
    /// A refusal that names an item is about that item; any other ends the command.
    fn of(batch: &Batch, error: ClientError) -> Outcome<Self> {
        let ClientError::Problem(problem) = error else {
            return Err(refused(error).hint("run the same command again: nothing is recorded twice"));
        };
        let item = match (&batch.items[..], problem.item) {
            ([only], _) if problem.status == 422 => Some(only),
            (items, Some(index)) => items.get(index),
            _ => None,
        };
        match item {
            Some(item) => Ok(Self { item: item.hash, why: format!("{} ({})", problem.detail, problem.code) }),
            None => Err(refused(ClientError::Problem(problem))),
        }
    }
}
