//! How far a long check is, told often enough to be shown and seldom enough not to cost anything.

use crate::fsck::Progress;

/// After how many rows somebody is told.
const EVERY: u64 = 1024;

/// Counts rows and tells.
pub(crate) struct Meter<'p> {
    progress: Progress,
    tell: &'p mut dyn FnMut(Progress),
}

impl<'p> Meter<'p> {
    pub(crate) fn new(total: u64, tell: &'p mut dyn FnMut(Progress)) -> Self {
        Self { progress: Progress { stage: "", done: 0, total }, tell }
    }

    pub(crate) fn stage(&mut self, stage: &'static str) {
        self.progress.stage = stage;
        (self.tell)(self.progress);
    }

    pub(crate) fn tick(&mut self) {
        self.add(1);
    }

    /// Counts many rows.
    pub(crate) fn add(&mut self, rows: u64) {
        let before = self.progress.done / EVERY;
        self.progress.done += rows;
        self.progress.total = self.progress.total.max(self.progress.done);
        if self.progress.done / EVERY > before {
            (self.tell)(self.progress);
        }
    }

    pub(crate) fn end(&mut self) {
        self.progress.done = self.progress.total;
        (self.tell)(self.progress);
    }
}
