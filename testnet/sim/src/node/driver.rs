//! What a simulated node does with the effects of its core and of its host, in their order.

use custos_consensus::host::{ABSENT_PROPOSE, Answer};
use custos_engine::SyncOutcome;
use custos_engine::core::votes_in;

use super::*;

impl Node {
    // ---- the core -----------------------------------------------------------------------------

    /// Lets core and driver go on until both wait for something.
    pub(crate) fn pump(&mut self, world: &mut World<'_>) {
        while self.run_core(world) || self.run_host(world) {}
    }

    fn run_core(&mut self, world: &mut World<'_>) -> bool {
        let Some(run) = &mut self.run else { return false };
        if !matches!(run.core_waits, CoreWaits::Nothing) {
            return false;
        }
        if let Some(effect) = run.core_todo.pop_front() {
            self.perform_core(world, effect);
            return true;
        }
        let Some(mut input) = run.core_in.pop_front() else { return false };
        let mut started = false;
        if let CoreInput::Start(start, log) = &mut input {
            started = true;
            let key = self.hospital.consensus.public_key();
            let wal = self.disk.memory.log(run.log);
            let entries = wal.begin(start.height);
            if run.aside.is_none() && votes_in(start, &key) {
                self.counts.replayed += u64::try_from(entries.len()).unwrap_or_default();
                *log = entries;
            } else {
                *wal = crate::memory::Wal { height: start.height, ..Default::default() };
            }
        }
        run.core_todo.extend(run.core.on(input));
        if started {
            for (from, part) in std::mem::take(&mut run.early_parts) {
                run.part(from, part);
            }
            self.sync_step(world);
        }
        true
    }

    fn perform_core(&mut self, world: &mut World<'_>, effect: CoreEffect) {
        let slow = self.slow;
        let Some(run) = &mut self.run else { return };
        match effect {
            CoreEffect::StopTimers => run.timers.clear(),
            CoreEffect::StopTimer(timer) => {
                run.timers.remove(&timer);
            }
            CoreEffect::StartTimer(timer, wait) => {
                run.timers_begun += 1;
                run.timers.insert(timer, run.timers_begun);
                let wait = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
                world.out.push(Out::Later(wait, Wake::Timer(timer, run.timers_begun)));
            }
            CoreEffect::WalAppend(height, entry) => self.disk.memory.log(run.log).append(height, entry),
            CoreEffect::WalFlush => {
                if !self.disk.memory.log(run.log).tail.is_empty() {
                    run.core_waits = CoreWaits::Flush;
                    world.out.push(Out::Later(world.rng.within(1, 3) * slow, Wake::Core));
                }
            }
            CoreEffect::StartedRound(height, round) => {
                let ticket = run.keep(Question::Held);
                run.core_waits = CoreWaits::Held(ticket);
                run.host_in.push_back(Input::StartedRound(ticket, height, round));
            }
            CoreEffect::BuildValue(height, round) => {
                if !self.proposes_anew(world, height, round)
                    && let Some(run) = &mut self.run
                {
                    let ticket = run.keep(Question::Build(height, round));
                    run.host_in.push_back(Input::BuildValue(ticket, height, round));
                }
            }
            CoreEffect::Restream(height, round, id) => {
                run.host_in.push_back(Input::Restream(height, round, id));
            }
            CoreEffect::Publish(bytes) => {
                let says = read_consensus(&bytes);
                match says {
                    Some(says) if self.byzantine == Some(Byzantine::Equivocator) => {
                        self.equivocate(world, &says, bytes);
                    }
                    says => {
                        world.out.extend(says.map(Out::Said));
                        world.out.push(Out::Send(None, Frame::Consensus(bytes)));
                    }
                }
            }
            CoreEffect::Encourage(bytes) => {
                world.out.extend(read_liveness(&bytes).map(Out::Said));
                world.out.push(Out::Send(None, Frame::Liveness(bytes)));
            }
            CoreEffect::Decided(certificate) => {
                // Before the host refuses it, if it does.
                world.out.push(Out::Decided(certificate.clone()));
                let ticket = run.keep(Question::Committed);
                run.host_in.push_back(Input::Decided(ticket, certificate));
            }
            CoreEffect::Finalized(height, evidence) => {
                let ticket = run.keep(Question::Start);
                run.host_in.push_back(Input::Finalized(ticket, height, evidence));
            }
            CoreEffect::Judge { height, round, block_id, bytes } => {
                let ticket = run.keep(Question::Synced(round));
                run.host_in.push_back(Input::Synced { ticket, height, block_id, bytes });
            }
            CoreEffect::BadCertificate(height) => self.sync_failed(world, height, true),
            CoreEffect::Failed(reason) => self.stop(world, format!("the core failed: {reason}")),
            CoreEffect::SafetyHang(reason) => self.stop(world, format!("safety hang: {reason}")),
        }
    }

    // ---- the driver ---------------------------------------------------------------------------

    fn run_host(&mut self, world: &mut World<'_>) -> bool {
        let now = Now { wall: self.wall(world.now), steady_ms: self.steady(world.now) };
        let Some(run) = &mut self.run else { return false };
        if run.host_work.is_some() {
            return false;
        }
        if let Some(effect) = run.host_todo.pop_front() {
            self.perform(world, effect);
            return true;
        }
        let Some(input) = run.host_back.pop_front().or_else(|| run.host_in.pop_front()) else { return false };
        run.host_todo.extend(run.host.on(now, input));
        true
    }

    fn steady(&self, now: u64) -> u64 {
        self.run.as_ref().map_or(0, |run| now - run.began)
    }

    fn perform(&mut self, world: &mut World<'_>, effect: Effect) {
        let slow = self.slow;
        let Some(run) = &mut self.run else { return };
        match effect {
            Effect::Answer(ticket, answer) => self.answer(world, ticket, answer),
            Effect::Build(ticket, request) => {
                let built = self.build(world, &request);
                let result = Input::Built(ticket, request, built.map(Box::new));
                self.works(world, 1, Work::Return(Box::new(result)));
            }
            Effect::Check(purpose, id, block) => {
                let verdict = self.disk.check(&mut run.scratch, world.verifications, &block);
                self.counts.refused += u64::from(!matches!(verdict, Ok(custos_consensus::Verdict::Valid)));
                let wait = world.rng.within(0, 2);
                self.works(world, wait, Work::Return(Box::new(Input::Checked(purpose, id, verdict))));
            }
            Effect::Commit(block, certificate) => {
                match self.disk.prepare(&mut run.scratch, world.verifications, &block) {
                    Ok(changes) => {
                        let changes = changes.map(Box::new);
                        let wait = world.rng.within(1, 6) * slow;
                        self.works(world, wait, Work::Commit { changes, block, certificate });
                    }
                    Err(fault) => run.host_back.push_back(Input::Committed(Err(fault))),
                }
            }
            Effect::AskWork => {
                let work = !run.mempool.is_empty();
                run.host_back.push_back(Input::Work(work));
            }
            Effect::Serve(ticket, heights) => {
                let blocks = (heights.start().0..=heights.end().0)
                    .map_while(|height| self.disk.decided(Height(height)).cloned())
                    .collect();
                if let Some(Question::Blocks(peer, id)) = run.open.remove(&ticket) {
                    let blocks = self.spoil(world, blocks);
                    world.out.push(Out::Send(Some(peer), Frame::Response(id, blocks)));
                }
            }
            Effect::ServeEarliest(ticket) => {
                run.open.remove(&ticket);
            }
            Effect::Store(body) => {
                let wait = world.rng.within(1, 4) * slow;
                self.works(world, wait, Work::Store(body));
            }
            Effect::Discard(height, id) => {
                self.disk.bodies.remove(&(height, id));
            }
            Effect::Forget(up_to) => {
                self.disk.bodies.retain(|(height, _), _| *height > up_to);
                self.disk.memory.decided(up_to);
            }
            Effect::Publish(parts) => self.publish(world, parts),
            Effect::Allow(allowed) => {
                run.allow = allowed;
                world.out.push(Out::Allow);
            }
            Effect::Charge(peer, what) => world.out.push(Out::Charged(peer, what)),
            Effect::Report(evidence) => {
                self.report(world, &evidence);
                world.out.push(Out::Reported(evidence));
            }
            Effect::WakeAt(steady_ms) => {
                run.wake_at = Some(steady_ms);
                let wait = (run.began + steady_ms).saturating_sub(world.now);
                world.out.push(Out::Later(wait, Wake::Tick(steady_ms)));
            }
            Effect::NoteDecided(height) => {
                self.disk.memory.decided(height);
                run.has_noted = true;
            }
            // Its operator starts it again, as the message says.
            Effect::Halt(_) if run.has_noted => world.out.push(Out::Anew),
            Effect::Halt(reason) => self.stop(world, reason),
        }
    }

    fn works(&mut self, world: &mut World<'_>, ms: u64, work: Work) {
        if let Some(run) = &mut self.run {
            run.host_work = Some(work);
        }
        if ms == 0 {
            self.finish_work(world);
        } else {
            world.out.push(Out::Later(ms, Wake::Host));
        }
    }

    pub(super) fn finish_work(&mut self, world: &mut World<'_>) {
        let Some(run) = &mut self.run else { return };
        match run.host_work.take() {
            None => {}
            Some(Work::Store(body)) => {
                self.disk.bodies.insert((body.height, body.block_id), body);
            }
            Some(Work::Return(input)) => run.host_back.push_back(*input),
            Some(Work::Commit { changes, block, certificate }) => {
                let committed = match &changes {
                    Some(changes) => self.disk.commit(changes, &block, certificate.clone()),
                    None => Ok(()),
                };
                if committed.is_ok()
                    && let Some(changes) = &changes
                {
                    world.out.push(Out::Committed(Box::new(Block::clone(&block)), certificate));
                    self.after_commit(world, changes);
                }
                let head = committed.and_then(|()| self.disk.head()).map(Box::new);
                if head.as_ref().is_ok_and(|head| self.may_vote(head)) {
                    world.out.push(Out::Anew);
                }
                if let Some(run) = &mut self.run {
                    run.host_back.push_back(Input::Committed(head));
                }
            }
        }
    }

    fn answer(&mut self, world: &mut World<'_>, ticket: Ticket, answer: Answer) {
        let Some(run) = &mut self.run else { return };
        match (run.open.remove(&ticket), answer) {
            (Some(Question::Start), Answer::Start(height)) => {
                let start = run.host.start_height(height);
                self.counts.absent += u64::from(start.timeouts.propose == ABSENT_PROPOSE);
                run.core_in.push_back(CoreInput::Start(start, Vec::new()));
            }
            (Some(Question::Held), Answer::Held(held)) => {
                if matches!(run.core_waits, CoreWaits::Held(waits) if waits == ticket) {
                    run.core_waits = CoreWaits::Nothing;
                }
                run.core_in.extend(held.into_iter().map(CoreInput::Body));
            }
            (Some(Question::Build(height, round)), Answer::Built(id)) => {
                run.core_in.push_back(CoreInput::Propose(height, round, id));
            }
            (Some(Question::Part), Answer::Part(whole)) => {
                run.core_in.extend(whole.map(CoreInput::Body));
            }
            (Some(Question::Committed), Answer::Committed) => run.tip = run.host.head().height,
            (Some(Question::Synced(round)), Answer::Synced(outcome)) => {
                let height = run.host.head().height.next();
                match outcome {
                    SyncOutcome::Good(body) => {
                        self.counts.synced += 1;
                        run.core_in.push_back(CoreInput::Synced(body, round));
                    }
                    SyncOutcome::PeerFault => self.sync_failed(world, height, true),
                    SyncOutcome::Unclear => self.sync_failed(world, height, false),
                }
            }
            // The driver warns of it and goes on.
            _ => {}
        }
    }
}
