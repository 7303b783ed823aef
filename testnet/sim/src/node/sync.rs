//! How a simulated node catches up: it asks one peer that is ahead, and hands the core one block at a time.
//!
//! Simpler than the engine's sync protocol, over the same core and the same host: a certificate that
//! does not verify, or bytes that are not what it certifies, lead to another peer.

use custos_proof::ids::Height;

use super::*;

#[derive(Default)]
pub(super) struct Sync {
    pub(super) tips: BTreeMap<PeerKey, Height>,
    pub(super) asked: Option<(u64, PeerKey)>,
    requests: u64,
    pub(super) got: BTreeMap<Height, (PeerKey, DecidedBlock)>,
    fed: Option<(Height, u64)>,
    pub(super) bad: BTreeSet<PeerKey>,
}

impl Node {
    /// Hands the core the next decided block, or asks a peer that has it.
    pub(super) fn sync_step(&mut self, world: &mut World<'_>) {
        let Some(run) = &mut self.run else { return };
        let want = run.host.head().height.next();
        run.sync.got.retain(|height, _| *height >= want);
        if run.core.height() != Some(want) {
            return;
        }
        if let Some((height, since)) = run.sync.fed
            && height == want
            && world.now < since + SYNC_TIMEOUT_MS
        {
            return;
        }
        if let Some((peer, block)) = run.sync.got.get(&want) {
            run.sync.fed = Some((want, world.now));
            run.core_in.push_back(CoreInput::Decided(*peer, block.clone()));
            return;
        }
        if run.sync.asked.is_some() {
            return;
        }
        let ahead = |run: &Run| -> Vec<PeerKey> {
            let ahead = run.sync.tips.iter().filter(|(peer, tip)| **tip >= want && run.peers.contains(*peer));
            ahead.map(|(peer, _)| *peer).collect()
        };
        let mut able = ahead(run);
        able.retain(|peer| !run.sync.bad.contains(peer));
        if able.is_empty() {
            run.sync.bad.clear();
            able = ahead(run);
        }
        let Some(peer) = world.rng.pick(&able).copied() else { return };
        run.sync.requests += 1;
        let (id, last) = (run.sync.requests, Height(want.0 + 15));
        run.sync.asked = Some((id, peer));
        world.out.push(Out::Send(Some(peer), Frame::Request(id, want, last)));
        world.out.push(Out::Later(SYNC_TIMEOUT_MS, Wake::SyncTimeout(id)));
    }

    /// What a peer sent was no good.
    pub(super) fn sync_failed(&mut self, world: &mut World<'_>, height: Height, is_fault: bool) {
        let Some(run) = &mut self.run else { return };
        run.sync.fed = None;
        if let Some((peer, _)) = run.sync.got.remove(&height)
            && is_fault
        {
            run.sync.bad.insert(peer);
            // What else it sent is not trusted either.
            run.sync.got.retain(|_, (from, _)| *from != peer);
            self.sync_step(world);
        }
    }
}
