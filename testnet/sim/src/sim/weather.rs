//! How faults begin and heal in a simulation.

use super::*;

impl Sim {
    pub(super) fn fault(&mut self) {
        let (part, whole) = CALM_AT;
        if self.watch.height().0 * whole >= self.target() * part || self.now > MAX_MS / 6 {
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
                self.nodes[node].skew_ms = skew_ms;
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
        };
        self.at(ms, Event::Heal(fault));
    }

    pub(super) fn kill(&mut self, node: usize) {
        if self.nodes[node].run.is_some() {
            self.crashes += 1;
            self.nodes[node].crash(&mut self.fault_rng);
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
            Fault::Crash { node, .. } => self.restart(node),
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
