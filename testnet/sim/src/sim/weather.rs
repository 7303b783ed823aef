//! How faults begin and heal in a simulation.

use super::*;

impl Sim {
    pub(super) fn fault(&mut self) {
        if self.faults_are_over() {
            return;
        }
        let wait = self.fault_rng.within(self.weather.every_ms / 2, self.weather.every_ms * 3 / 2);
        self.at(wait, Event::Fault);
        let Some(fault) = self.weather.next(&mut self.fault_rng, self.nodes.len()) else { return };
        self.remember(|| format!("{fault:?}"));
        self.faults_on += 1;
        let ms = match fault {
            Fault::Partition { side, told, ms } => {
                self.partitions.push((side, told));
                self.reconnect();
                ms
            }
            Fault::Crash { node, ms } => {
                self.kill(node);
                self.reconnect();
                ms
            }
            Fault::Blackout { ms } => {
                (0..self.nodes.len()).for_each(|node| self.kill(node));
                ms
            }
            Fault::Clock { node, skew_ms, ms } => {
                self.nodes[node].skew_ms = self.bearable(node, skew_ms);
                ms
            }
            Fault::SlowDisk { node, factor, ms } => {
                self.nodes[node].slow = factor;
                ms
            }
            Fault::BadLinks { loss, twice, late, ms } => {
                self.links = Links { loss, twice, late };
                ms
            }
            // Drawn elsewhere.
            Fault::Loss { ms, .. } => ms,
        };
        self.at(ms, Event::Heal(fault));
    }

    /// Whether the heights have come in which the network finds back.
    pub(super) fn faults_are_over(&self) -> bool {
        let (part, whole) = CALM_AT;
        self.watch.height().0 * whole >= self.target() * part || self.now > MAX_MS / 6
    }

    pub(super) fn kill(&mut self, node: usize) {
        self.kill_with(node, |sim| &mut sim.fault_rng);
        if self.losses_every_ms.is_some() && self.loss_rng.chance(200) {
            self.nodes[node].disk.memory.tear_decided();
        }
    }

    pub(super) fn kill_with(&mut self, node: usize, rng: fn(&mut Self) -> &mut Rng) {
        if self.nodes[node].run.is_some() {
            self.crashes += 1;
            let mut chance = rng(self).clone();
            self.nodes[node].crash(&mut chance);
            *rng(self) = chance;
            self.look_at_the_disk(node);
        }
    }

    /// A batch that reached the disk as the process died is a commit of which nobody was told yet.
    fn look_at_the_disk(&mut self, node: usize) {
        let Node { disk, byzantine: None, .. } = &self.nodes[node] else { return };
        let Some(decided) = disk.decided(disk.height()).filter(|_| disk.height() > self.watch.height())
        else {
            return;
        };
        if let Ok(block) = Block::from_bytes(&decided.block) {
            let certificate = decided.certificate.clone();
            let name = self.name(node);
            self.watch.committed(&name, &block, &certificate);
        }
    }

    pub(super) fn heal(&mut self, fault: Fault) {
        self.faults_on -= 1;
        match fault {
            Fault::Partition { side, told, .. } => {
                if let Some(at) = self.partitions.iter().position(|other| *other == (side, told)) {
                    self.partitions.remove(at);
                }
                self.reconnect();
            }
            Fault::Crash { node, .. } | Fault::Loss { node, .. } => self.restart(node),
            Fault::Blackout { .. } => (0..self.nodes.len()).for_each(|node| self.restart(node)),
            Fault::Clock { node, .. } => self.nodes[node].skew_ms = 0,
            Fault::SlowDisk { node, .. } => self.nodes[node].slow = 1,
            Fault::BadLinks { .. } => self.links = Links::default(),
        }
    }

    pub(super) fn restart(&mut self, node: usize) {
        if self.nodes[node].epoch > 0 {
            let wait = self.fault_rng.below(200);
            self.at(wait, Event::Restart(node));
        }
    }

    /// Starts a node for the first time.
    pub(crate) fn start(&mut self, node: usize) {
        if self.nodes[node].epoch == 0 {
            self.at(50, Event::Restart(node));
        }
    }
}
