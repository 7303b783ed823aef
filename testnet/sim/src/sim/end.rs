//! When a simulation is over, and what must hold then.

use custos_proof::ids::ParticipantId;

use super::*;

impl Sim {
    pub(super) fn honest(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.nodes.len())
            .filter(|node| self.nodes[*node].byzantine.is_none() && self.nodes[*node].epoch > 0)
    }

    /// The height at which this simulation ends.
    pub(super) fn target(&self) -> u64 {
        self.plan.last_height().unwrap_or(self.options.heights)
    }

    pub(super) fn is_over(&mut self) -> bool {
        if !self.watch.findings.is_empty() {
            return true;
        }
        let target = self.target();
        let has_none = self.weather.every_ms == u64::MAX && self.losses_every_ms.is_none();
        let faults_end = has_none || self.faults_are_over();
        let is_calm = self.faults_on == 0 && faults_end;
        match (is_calm, self.calm_since) {
            (true, None) => self.calm_since = Some(self.now),
            (false, Some(_)) => self.calm_since = None,
            _ => {}
        }
        let honest: Vec<usize> = self.honest().collect();
        let mut all_there = true;
        for node in honest {
            let height = self.nodes[node].head_height().0;
            let (before, since) = self.progress[node];
            if height > before || self.calm_since.is_none() {
                self.progress[node] = (height, self.now);
            } else if height < target && self.now > since.max(self.calm_since.unwrap_or(0)) + PROGRESS_MS {
                let name = self.name(node);
                let state = self.nodes[node].run.as_ref().map(|run| run.describe());
                let what =
                    format!("{name} stands at {height} of {target} for {PROGRESS_MS} ms of calm: {state:?}");
                self.watch.find("progress", what);
                return true;
            }
            all_there &= height >= target && !self.stands_aside(node, target);
        }
        if !self.watch.findings.is_empty() {
            return true;
        }
        if self.now > MAX_MS {
            self.watch.find("progress", "the simulation does not end");
            return true;
        }
        all_there && self.calm_since.is_some() && self.plan.is_complete(self)
    }

    /// Whether an honest node does not vote yet. It has to within the time in which it has to have a new block, unless the
    /// chain ends and no block comes that could tell it that the others have gone on.
    fn stands_aside(&mut self, node: usize, target: u64) -> bool {
        let aside =
            self.nodes[node].run.as_ref().and_then(|run| run.aside.as_ref().map(|aside| (run.began, aside)));
        let Some((began, aside)) = aside.filter(|_| self.plan.last_height().is_none()) else { return false };
        if self.calm_since.is_some_and(|calm| self.now > began.max(calm) + PROGRESS_MS) {
            let what = format!(
                "{} stands aside after {PROGRESS_MS} ms of calm: {aside:?}, {target}",
                self.name(node)
            );
            self.watch.find("progress", what);
        }
        true
    }

    pub(super) fn at_the_end(&mut self) {
        if !self.watch.findings.is_empty() {
            return;
        }
        // A squatter writes others' ids into its own trails; nobody can keep it from doing so.
        if self.nodes.iter().all(|node| node.byzantine != Some(Byzantine::TrailSquatter)) {
            self.watch.end();
        }
        let honest: Vec<usize> = self.honest().collect();
        let acked: Vec<(SubmissionId, Height)> =
            self.watch.acked.iter().map(|(id, height)| (*id, *height)).collect();
        for node in honest {
            let name = self.name(node);
            let height = self.nodes[node].head_height();
            for (id, at) in &acked {
                if *at <= height && self.options.plant != Some(Plant::DedupOff) {
                    let found = self.nodes[node].disk.recorded(id);
                    if found != Some(*at) {
                        self.watch.find(
                            "nothing acknowledged is lost",
                            format!("{id} was acknowledged at {at}; {name} has it at {found:?}"),
                        );
                        return;
                    }
                }
            }
        }
        let equivocates = self.nodes.iter().any(|node| node.byzantine == Some(Byzantine::Equivocator));
        if equivocates && self.watch.pairs_heard >= 40 && self.watch.pairs_reported == 0 {
            let what = format!("{} pairs were received and none was reported", self.watch.pairs_heard);
            self.watch.find("misbehaviour is reported", what);
        }
    }

    pub(super) fn report(self) -> Report {
        let mut counts = Counts::default();
        for node in self.nodes.iter().filter(|node| node.byzantine.is_none()) {
            counts.add(&node.counts);
        }
        let honest = self.nodes.iter().filter(|node| node.byzantine.is_none());
        let dues = honest.map(|node| node.disk.facts()).max().unwrap_or_default();
        let decides = |id: &ParticipantId| self.watch.deciding.1.contains(id);
        let (newcomer_signed, founder_left) = match self.world.hospitals.split_last() {
            Some((newcomer, founders)) => (
                self.watch.signers.contains(&newcomer.id),
                !self.watch.deciding.1.is_empty() && founders.iter().any(|founder| !decides(&founder.id)),
            ),
            None => (false, false),
        };
        Report {
            seed: self.options.seed,
            trace: self.hasher.finalize()[..16].iter().map(|byte| format!("{byte:02x}")).collect(),
            height: self.watch.height().0,
            ms: self.now,
            events: self.events,
            items: self.watch.items,
            acked: u64::try_from(self.watch.acked.len()).unwrap_or(u64::MAX),
            crashes: self.crashes,
            pairs_reported: self.watch.pairs_reported,
            reports_recorded: self.watch.reports_recorded,
            rounds: self.watch.rounds,
            newcomer_signed,
            founder_left,
            counts,
            dues,
            kinds: self.watch.kinds,
            byzantine: self.nodes.iter().filter_map(|node| node.byzantine).map(Byzantine::name).collect(),
            plan: self.plan.name(),
            recent: self.recent.into_iter().collect(),
            findings: self.watch.findings,
        }
    }
}
