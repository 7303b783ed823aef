//! What the simulated validators decide by vote: who joins and leaves, and a protocol version that nobody has.
//!
//! A plan is a list of proposals, each opened by the registrar at a height; when it is recorded, every
//! founder votes yes. What is agreed on is carried out by the rules; the oracles see whether the network
//! lives through it.

use std::collections::BTreeMap;

use custos_proof::cbor::Wire as _;
use custos_proof::certificate::Validator;
use custos_proof::hash::SubmissionId;
use custos_proof::ids::{Height, Random16};
use custos_proof::keys::{KeyPurpose, Signer as _};
use custos_proof::kinds::key::Add;
use custos_proof::kinds::policy::Upgrade;
use custos_proof::kinds::proposal::{Choice, Open, Vote};
use custos_proof::kinds::validator::{Put, Remove};
use custos_proof::kinds::{Class, Fields};
use custos_proof::registry::{self, Protocol};
use custos_proof::submission::Submission;
use custos_state::view::View as _;

use crate::rng::Rng;
use crate::sim::Sim;
use crate::workload::voted;
use crate::world::{HOSPITAL_ROLES, REGISTRY, participant, registration};

/// How far ahead a protocol version is announced.
const UPGRADE_AHEAD: u64 = 25;

/// What a seed's validators decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Course {
    /// Nothing.
    Still,
    /// One joins.
    Joins,
    /// One joins; later a founder leaves.
    Changes,
    /// A protocol version begins that no program here has.
    Upgrades,
}

/// A plan, and how far it has come.
pub(crate) struct Plan {
    course: Course,
    heights: u64,
    step: usize,
    /// Proposals that are being recorded, by the submission that opens them.
    opening: BTreeMap<SubmissionId, Random16>,
    /// The height at which the proposed version would begin.
    proposed_at: Option<Height>,
    /// The same, once the validators agreed on it.
    upgrade_at: Option<Height>,
    stops: u64,
}

impl Plan {
    pub(crate) fn of(rng: &mut Rng, heights: u64, is_planted: bool) -> Self {
        let course = match rng.below(10) {
            _ if is_planted => Course::Still,
            0 => Course::Joins,
            1 | 2 => Course::Changes,
            3 => Course::Upgrades,
            _ => Course::Still,
        };
        Self {
            course,
            heights,
            step: 0,
            opening: BTreeMap::new(),
            proposed_at: None,
            upgrade_at: None,
            stops: 0,
        }
    }

    pub(crate) fn name(&self) -> &'static str {
        match self.course {
            Course::Still => "nothing is voted on",
            Course::Joins => "one joins",
            Course::Changes => "one joins, another leaves",
            Course::Upgrades => "a version begins that nobody has",
        }
    }

    /// The last height there can be, if the plan ends the chain.
    pub(crate) fn last_height(&self) -> Option<u64> {
        self.upgrade_at.map(|height| height.0 - 1)
    }

    /// Whether what was planned came to its end.
    pub(crate) fn is_complete(&self, _sim: &Sim) -> bool {
        self.upgrade_at.is_none() || self.stops > 0
    }
}

impl Sim {
    /// Opens the next proposal of the plan when its height has come.
    pub(crate) fn govern(&mut self) {
        let height = self.watch.height();
        self.look_for_upgrade();
        let begins = |share: u64| height.0 >= self.plan.heights * share / 10 && height.0 > 1;
        let outside = self.nodes.len() - 1;
        let acts = match (self.plan.course, self.plan.step) {
            (Course::Joins | Course::Changes, 0) if begins(1) => self.joining(outside),
            // Three validators would bear no faulty one.
            (Course::Changes, 1) if begins(4) && self.has_joined(outside) => {
                let leaves = self.world.hospitals[outside - 1].id.clone();
                vec![Fields::ValidatorRemove(Remove { participant: leaves })]
            }
            (Course::Upgrades, 0) if begins(3) => {
                let at = Height(height.0 + UPGRADE_AHEAD);
                self.plan.proposed_at = Some(at);
                vec![Fields::ProtocolUpgrade(Upgrade { version: 2, height: at })]
            }
            _ => return,
        };
        self.plan.step += 1;
        let sight = self.sight();
        let acts = acts.into_iter().map(|fields| self.workload.item_of(fields)).collect();
        let proposal = self.workload.random16();
        let open = Open { proposal, acts: voted(acts), deadline: sight.time.plus(3_600_000) };
        let registrar = participant(REGISTRY);
        let voice = (registrar.clone(), self.world.signers[&registrar].clone());
        let submission = self.lasting(&voice, Fields::ProposalOpen(open));
        self.plan.opening.insert(submission.id(), proposal);
        self.errand(&submission, true);
    }

    /// Whether an honest node may stop at its height with this reason: the version begins right behind it.
    pub(crate) fn expects_stop(&mut self, node: usize, reason: &str) -> bool {
        // Another node may have carried the deciding vote since the last look.
        self.look_for_upgrade();
        let next = self.nodes[node].disk.height().next();
        let expected = self.plan.upgrade_at == Some(next)
            && self.plan.proposed_at == Some(next)
            && reason.contains("protocol version");
        self.plan.stops += u64::from(expected);
        expected
    }

    fn look_for_upgrade(&mut self) {
        if self.plan.course == Course::Upgrades && self.plan.upgrade_at.is_none() {
            self.plan.upgrade_at = self.agreed_upgrade();
        }
    }

    /// The height at which a version begins that the validators agreed on, as the furthest honest node has it.
    fn agreed_upgrade(&self) -> Option<Height> {
        let disks = self.nodes.iter().filter(|node| node.byzantine.is_none()).map(|node| &node.disk);
        let furthest = disks.max_by_key(|disk| disk.height())?;
        let entry = furthest.store.entry(&registry::protocol_key()).ok()??;
        Some(Protocol::from_bytes(&entry).ok()?.upgrade?.height)
    }

    /// The validators of the next block, as the furthest honest node has them.
    fn next_validators(&self) -> Vec<Validator> {
        let disks = self.nodes.iter().filter(|node| node.byzantine.is_none()).map(|node| &node.disk);
        let head = disks.max_by_key(|disk| disk.height()).and_then(|disk| disk.store.head().ok());
        head.map_or_else(Vec::new, |head| head.next_validators.as_slice().to_vec())
    }

    fn has_joined(&self, node: usize) -> bool {
        let joins = &self.world.hospitals[node].id;
        self.next_validators().iter().any(|validator| validator.participant == *joins)
    }

    /// How many validators there are, less the one that is still to leave.
    pub(crate) fn fewest_validators(&self) -> usize {
        let set = self.next_validators();
        let leaves = &self.world.hospitals[self.nodes.len() - 2].id;
        let is_to_leave = self.plan.course == Course::Changes && set.iter().any(|v| v.participant == *leaves);
        set.len() - usize::from(is_to_leave)
    }

    /// A submission that lives long enough to be recorded whatever happens.
    fn lasting(&mut self, voice: &crate::workload::Voice, said: Fields) -> Submission {
        let sight = self.sight();
        loop {
            let submission = self.workload.say(sight, voice, Class::Act, vec![said.clone()]);
            if submission.payload().not_after.0 >= sight.time.0 + 300_000 {
                return submission;
            }
        }
    }

    /// Somebody was told that a submission is recorded: if it opened a proposal, the founders agree.
    pub(crate) fn plan_acked(&mut self, id: SubmissionId) {
        let Some(proposal) = self.plan.opening.remove(&id) else { return };
        let outside = self.nodes.len() - 1;
        let founders: Vec<_> = self.world.hospitals[..outside]
            .iter()
            .map(|hospital| (hospital.id.clone(), hospital.sign.clone()))
            .collect();
        for voice in founders {
            let vote = Vote { proposal, vote: Choice::Yes };
            let submission = self.lasting(&voice, Fields::ProposalVote(vote));
            self.errand(&submission, true);
        }
        if self.plan.course != Course::Upgrades && self.plan.step == 1 {
            self.start(outside);
        }
    }

    /// The acts by which the hospital outside becomes a validator.
    fn joining(&self, outside: usize) -> Vec<Fields> {
        let hospital = &self.world.hospitals[outside];
        let chain = &self.world.chain;
        let mut acts = vec![Fields::ParticipantRegister(registration(&hospital.id, &HOSPITAL_ROLES))];
        for (key, purpose) in hospital.keys() {
            let possession = key.possession(chain, &hospital.id, purpose);
            let (owner, key) = (hospital.id.clone(), key.public_key());
            acts.push(match purpose {
                KeyPurpose::Consensus => {
                    Fields::ValidatorPut(Put { participant: owner, key, possession, power: 1 })
                }
                _ => Fields::KeyAdd(Add { owner, key, purpose, possession }),
            });
        }
        acts
    }
}
