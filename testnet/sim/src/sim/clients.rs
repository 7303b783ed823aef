//! The clients of a simulated network: they hand submissions in, ask again, and believe what honest nodes tell them.

use super::*;

impl Sim {
    pub(crate) fn sight(&self) -> Sight {
        Sight { time: self.world.genesis.time.plus(self.now), height: self.watch.height() }
    }

    pub(super) fn work(&mut self) {
        let sight = self.sight();
        let submission = self.workload.next(sight);
        self.errand(&submission, false);
        self.govern();
        let wait = self.rng.within(5, 160);
        self.at(wait, Event::Work);
    }

    pub(super) fn squat(&mut self, node: usize) {
        let sight = self.sight();
        let hospital = &self.nodes[node].hospital;
        let voice = (hospital.id.clone(), hospital.sign.clone());
        let submission = self.workload.squat(sight, &voice);
        self.errand(&submission, false);
    }

    /// Has a submission recorded, if that can be done.
    pub(crate) fn errand(&mut self, submission: &Submission, insists: bool) {
        let errand = Errand {
            bytes: Bytes::copy_from_slice(submission.bytes()),
            not_after: submission.payload().not_after,
            insists,
            patience_ms: RETRY_MS,
        };
        self.errands.insert(submission.id(), errand);
        self.try_errand(submission.id());
    }

    pub(super) fn try_errand(&mut self, id: SubmissionId) {
        let Some(errand) = self.errands.get_mut(&id) else { return };
        if errand.not_after < self.world.genesis.time.plus(self.now) {
            self.errands.remove(&id);
            return;
        }
        let (bytes, insists, patience_ms) = (errand.bytes.clone(), errand.insists, errand.patience_ms);
        if !insists {
            errand.patience_ms = (patience_ms * 2).min(MAX_RETRY_MS);
        }
        let up: Vec<usize> = (0..self.nodes.len()).filter(|node| self.nodes[*node].run.is_some()).collect();
        if let Some(node) = self.rng.pick(&up).copied() {
            let taken = self.with(node, |node, world| node.submit(world, &bytes));
            match taken {
                Taken::Recorded(height) => {
                    if self.nodes[node].byzantine.is_none() {
                        let name = self.name(node);
                        self.watch.acked(&name, id, height);
                        self.done(id);
                    }
                    return;
                }
                Taken::Refused(_) if !insists && self.rng.chance(500) => {
                    self.errands.remove(&id);
                    return;
                }
                Taken::Refused(_) | Taken::Waits => {}
            }
        }
        self.at(patience_ms, Event::Retry(id));
    }

    pub(super) fn done(&mut self, id: SubmissionId) {
        if let Some(errand) = self.errands.remove(&id)
            && let Ok(submission) = Submission::decode(&errand.bytes)
        {
            self.workload.recorded(&submission);
        }
        self.plan_acked(id);
    }
}
