//! The oracles of consensus: what must hold of what honest validators sign, commit, tell and report.
//!
//! They see what leaves a node, never what is in it, and compute nothing with the code they judge. What
//! a block means is for the naive ledger ([`crate::oracle`]), which is asked once for every height; and who
//! decides it, for every certificate by which an honest node decides.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use custos_consensus::{Evidence, EvidenceKind};
use custos_engine::core::Spoken;
use custos_proof::cbor::Wire as _;
use custos_proof::certificate::Certificate;
use custos_proof::hash::{BlockId, SubmissionId};
use custos_proof::header::{Block, Header};
use custos_proof::ids::{Height, ParticipantId, Random16, Round, TimeMs};
use custos_proof::item::Item;
use custos_proof::keys::PublicKey;
use custos_proof::kinds::Fields;
use custos_proof::submission::{Author, Submission};

use crate::oracle::Deciders;

/// Asked about every block once, in order, about certificates of heights up to the next, and about the whole at the
/// end.
pub(crate) trait Judge {
    /// What is wrong with a block.
    fn block(&mut self, block: &Block) -> Result<(), String>;
    /// What is wrong with a certificate, or who decided by it.
    fn certificate(&mut self, certificate: &Certificate) -> Result<Deciders, String>;
    /// What is wrong with who built a block.
    fn turn(&self, header: &Header) -> Result<(), String>;
    /// What is wrong with the whole.
    fn end(&self) -> Result<(), String>;
}

/// Nobody is asked.
pub(crate) struct Nobody;

impl Judge for Nobody {
    fn block(&mut self, _: &Block) -> Result<(), String> {
        Ok(())
    }
    fn certificate(&mut self, _: &Certificate) -> Result<Deciders, String> {
        Ok(Deciders::default())
    }
    fn turn(&self, _: &Header) -> Result<(), String> {
        Ok(())
    }
    fn end(&self) -> Result<(), String> {
        Ok(())
    }
}

impl Judge for crate::oracle::Naive {
    fn block(&mut self, block: &Block) -> Result<(), String> {
        Self::block(self, block).map_err(|finding| finding.to_string())
    }
    fn certificate(&mut self, certificate: &Certificate) -> Result<Deciders, String> {
        Self::certificate(self, certificate).map_err(|finding| finding.to_string())
    }
    fn turn(&self, header: &Header) -> Result<(), String> {
        Self::turn(self, header).map_err(|finding| finding.to_string())
    }
    fn end(&self) -> Result<(), String> {
        self.linkage().map_err(|finding| finding.to_string())
    }
}

/// Something that must not be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Which oracle saw it.
    pub oracle: &'static str,
    /// What it saw.
    pub what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.oracle, self.what)
    }
}

/// Of which message there may be one only.
type Place = (PublicKey, Height, Round, EvidenceKind);

/// A chain's blocks as the first honest node committed them.
pub(crate) struct Watch {
    judge: Box<dyn Judge>,
    faulty: BTreeSet<PublicKey>,
    names: BTreeMap<PublicKey, String>,
    pub(crate) chain: Vec<BlockId>,
    pub(crate) times: Vec<TimeMs>,
    said: BTreeMap<Place, (Option<BlockId>, Option<Round>)>,
    pub(crate) recorded: BTreeMap<SubmissionId, Height>,
    nonces: BTreeSet<(Author, Random16)>,
    pub(crate) acked: BTreeMap<SubmissionId, Height>,
    /// Pairs of conflicting votes of faulty validators that one honest node has received.
    heard: BTreeMap<(usize, Place), BTreeSet<Option<BlockId>>>,
    pub(crate) pairs_heard: u64,
    pub(crate) pairs_reported: u64,
    pub(crate) reports_recorded: u64,
    pub(crate) items: u64,
    pub(crate) kinds: BTreeMap<&'static str, u64>,
    pub(crate) rounds: u32,
    /// Who signed a certificate.
    pub(crate) signers: BTreeSet<ParticipantId>,
    /// Who decides the last height of which a certificate was seen.
    pub(crate) deciding: (Height, Vec<ParticipantId>),
    pub(crate) findings: Vec<Finding>,
}

impl Watch {
    pub(crate) fn new(
        judge: Box<dyn Judge>,
        names: BTreeMap<PublicKey, String>,
        faulty: BTreeSet<PublicKey>,
    ) -> Self {
        Self {
            judge,
            faulty,
            names,
            chain: Vec::new(),
            times: Vec::new(),
            said: BTreeMap::new(),
            recorded: BTreeMap::new(),
            nonces: BTreeSet::new(),
            acked: BTreeMap::new(),
            heard: BTreeMap::new(),
            pairs_heard: 0,
            pairs_reported: 0,
            reports_recorded: 0,
            items: 0,
            kinds: BTreeMap::new(),
            rounds: 0,
            signers: BTreeSet::new(),
            deciding: (Height(0), Vec::new()),
            findings: Vec::new(),
        }
    }

    pub(crate) fn find(&mut self, oracle: &'static str, what: impl Into<String>) {
        self.findings.push(Finding { oracle, what: what.into() });
    }

    pub(crate) fn height(&self) -> Height {
        Height(u64::try_from(self.chain.len()).unwrap_or(u64::MAX))
    }

    fn name(&self, key: &PublicKey) -> String {
        self.names.get(key).cloned().unwrap_or_else(|| key.to_string())
    }

    /// An honest validator sends something signed: never twice differently.
    pub(crate) fn said(&mut self, says: &Spoken) {
        let place = (says.key, says.height, says.round, says.kind);
        let choice = (says.block, says.pol_round);
        match self.said.get(&place).copied() {
            Some(before) if before != choice => {
                let what = format!(
                    "{} signed two {:?}s at height {} round {}: {before:?} and {choice:?}",
                    self.name(&says.key),
                    says.kind,
                    says.height,
                    says.round
                );
                self.find("no honest double sign", what);
            }
            Some(_) => {}
            None => {
                self.said.insert(place, choice);
            }
        }
    }

    /// An honest node receives something that a faulty validator signed.
    pub(crate) fn received(&mut self, node: usize, says: &Spoken) {
        if self.faulty.contains(&says.key) && says.kind != EvidenceKind::Proposal {
            let place = (node, (says.key, says.height, says.round, says.kind));
            let blocks = self.heard.entry(place).or_default();
            if blocks.insert(says.block) && blocks.len() == 2 {
                self.pairs_heard += 1;
            }
        }
    }

    /// An honest node's engine has decided a height by a certificate, or a node has kept one.
    pub(crate) fn decided(&mut self, node: &str, certificate: &Certificate) {
        // A height further on is judged when its block is committed: then everything before it is known.
        if certificate.height > self.height().next() {
            return;
        }
        match self.judge.certificate(certificate) {
            Ok(Deciders { validators, signed }) => {
                self.signers.extend(signed);
                if certificate.height > self.deciding.0 {
                    self.deciding = (certificate.height, validators);
                }
            }
            Err(finding) => self.find("certificates hold", format!("{node} decided by one: {finding}")),
        }
    }

    /// An honest node has a block on its disk.
    pub(crate) fn committed(&mut self, node: &str, block: &Block, certificate: &Certificate) {
        let (height, id) = (block.header.height, block.header.block_id());
        if certificate.block_id != id || certificate.height != height {
            self.find("one header per height", format!("{node} committed {id} with another's certificate"));
        }
        self.decided(node, certificate);
        if certificate.round < block.header.round {
            let what = format!("{node} decided {id} in round {}, before it was built", certificate.round);
            self.find("certificates hold", what);
        }
        let place = usize::try_from(height.0.saturating_sub(1)).unwrap_or(usize::MAX);
        match self.chain.get(place) {
            Some(known) if *known == id => return,
            Some(known) => {
                let what = format!("at height {height} {node} committed {id}, others {known}");
                return self.find("one header per height", what);
            }
            None if place == self.chain.len() => {}
            None => {
                let what = format!("{node} committed height {height} after {}", self.chain.len());
                return self.find("one header per height", what);
            }
        }
        if let Err(finding) = self.judge.turn(&block.header) {
            self.find("certificates hold", format!("built out of turn: {finding}"));
        }
        self.chain.push(id);
        self.rounds = self.rounds.max(certificate.round.0);
        if self.times.last().is_some_and(|before| *before >= block.header.time) {
            self.find("time", format!("block {height} is not after its parent"));
        }
        self.times.push(block.header.time);
        self.record(height, block);
        if let Err(finding) = self.judge.block(block) {
            self.find("naive ledger", format!("block {height} by {}: {finding}", block.header.proposer));
        }
    }

    fn record(&mut self, height: Height, block: &Block) {
        for bytes in &block.body {
            let Ok(submission) = Submission::decode(bytes) else {
                self.find("no item twice", format!("block {height} holds bytes that are no submission"));
                continue;
            };
            let (id, payload) = (submission.id(), submission.payload());
            if let Some(before) = self.recorded.insert(id, height) {
                self.find("no item twice", format!("submission {id} is in blocks {before} and {height}"));
            } else if !self.nonces.insert((payload.author.clone(), payload.nonce)) {
                self.find(
                    "no item twice",
                    format!("submission {id} in block {height} has a nonce that was used"),
                );
            }
            self.items += u64::from(payload.items_count);
            for item in submission.items() {
                let Ok(Item { fields, .. }) = Item::from_bytes(item) else { continue };
                *self.kinds.entry(fields.kind().name()).or_default() += 1;
                if let Fields::MisbehaviourReport(report) = fields {
                    self.reports_recorded += 1;
                    if !self.faulty.contains(&report.key) {
                        let what = format!("a report in block {height} names {}", self.name(&report.key));
                        self.find("misbehaviour names the right one", what);
                    }
                }
            }
        }
    }

    /// Nothing more happens.
    pub(crate) fn end(&mut self) {
        if let Err(what) = self.judge.end() {
            self.find("linkage", what);
        }
    }

    /// A client was told that a submission is recorded.
    pub(crate) fn acked(&mut self, node: &str, id: SubmissionId, height: Height) {
        match self.recorded.get(&id) {
            Some(at) if *at == height => {
                self.acked.insert(id, height);
            }
            at => {
                let what = format!("{node} says that {id} is recorded at {height}; it is at {at:?}");
                self.find("nothing acknowledged is lost", what);
            }
        }
    }

    /// An honest node reports misbehaviour.
    pub(crate) fn reported(&mut self, node: &str, evidence: &[Evidence]) {
        for pair in evidence {
            self.pairs_reported += 1;
            if !self.faulty.contains(&pair.validator) {
                let what = format!("{node} reports {} at height {}", self.name(&pair.validator), pair.height);
                self.find("misbehaviour names the right one", what);
            }
        }
    }
}
