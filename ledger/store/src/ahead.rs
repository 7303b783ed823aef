//! Pieces of one long job, worked on by every core and taken in their order.
//!
//! ```text
//! give     one piece after the other, under a lock      as long as few are on their way
//! work     any number of pieces at a time               on every thread, the caller's too
//! take     one result after the other, in order         on the caller's thread
//! ```
//!
//! The caller's thread works on a piece itself whenever the next result is not there yet: with one core
//! there is no other thread, and everything happens in turn. What is on its way is bounded, and so is memory.
//!
//! Deliberately absent: anything about ledgers.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

/// The most threads that work on one job: each holds pieces in memory.
const MOST_THREADS: usize = 16;
/// How many pieces are on their way, for each thread.
const PIECES_PER_THREAD: u64 = 3;

/// How many threads a job gets: one for each core that this process may use.
pub(crate) fn threads() -> usize {
    thread::available_parallelism().map_or(1, NonZeroUsize::get).min(MOST_THREADS)
}

/// Works on all pieces that `give` has, on `threads` threads, each with a `T` of its own, and hands the results to
/// `take` in the order of the pieces.
///
/// # Errors
/// The first error of `take`; nothing more is given or taken then.
pub(crate) fn in_order<P: Send, R: Send, T, E>(
    threads: usize,
    give: impl FnMut() -> Option<P> + Send,
    tools: impl Fn() -> T + Sync,
    work: impl Fn(&mut T, P) -> R + Sync,
    mut take: impl FnMut(R) -> Result<(), E>,
) -> Result<(), E> {
    let line = Line {
        limit: threads as u64 * PIECES_PER_THREAD,
        state: Mutex::new(State { give, given: 0, taken: 0, done: BTreeMap::new(), end: false }),
        changed: Condvar::new(),
    };
    thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(|| {
                let _closing = Closing { line: &line, only_in_panic: true };
                let mut tools = tools();
                while let Some((number, piece)) = line.wait_for_piece() {
                    let result = work(&mut tools, piece);
                    line.put(number, result);
                }
            });
        }
        let _closing = Closing { line: &line, only_in_panic: false };
        let mut tools = tools();
        loop {
            match line.next() {
                Next::Take(result) => take(result)?,
                Next::Work(number, piece) => {
                    let result = work(&mut tools, piece);
                    line.put(number, result);
                }
                Next::Nothing => return Ok(()),
            }
        }
    })
}

struct Line<G, R> {
    limit: u64,
    state: Mutex<State<G, R>>,
    changed: Condvar,
}

struct State<G, R> {
    give: G,
    given: u64,
    taken: u64,
    done: BTreeMap<u64, R>,
    /// Nothing more is given.
    end: bool,
}

/// What the caller's thread does next.
enum Next<P, R> {
    Take(R),
    Work(u64, P),
    Nothing,
}

impl<P, R, G: FnMut() -> Option<P>> Line<G, R> {
    fn lock(&self) -> MutexGuard<'_, State<G, R>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State<G, R>>) -> MutexGuard<'a, State<G, R>> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_for_piece(&self) -> Option<(u64, P)> {
        let mut state = self.lock();
        loop {
            if state.end {
                return None;
            }
            if let Some(given) = self.give(&mut state) {
                return Some(given);
            }
            if !state.end {
                state = self.wait(state);
            }
        }
    }

    fn next(&self) -> Next<P, R> {
        let mut state = self.lock();
        loop {
            let number = state.taken;
            if let Some(result) = state.done.remove(&number) {
                state.taken += 1;
                self.changed.notify_all();
                return Next::Take(result);
            }
            if let Some((number, piece)) = self.give(&mut state) {
                return Next::Work(number, piece);
            }
            // After a panic of another thread its piece never comes; the panic goes on when the scope ends.
            if state.end && (state.taken == state.given || state.given == u64::MAX) {
                return Next::Nothing;
            }
            state = self.wait(state);
        }
    }

    /// The next piece, unless enough are on their way.
    fn give(&self, state: &mut State<G, R>) -> Option<(u64, P)> {
        if state.end || state.given - state.taken >= self.limit {
            return None;
        }
        let Some(piece) = (state.give)() else {
            state.end = true;
            self.changed.notify_all();
            return None;
        };
        let number = state.given;
        state.given += 1;
        Some((number, piece))
    }

    fn put(&self, number: u64, result: R) {
        self.lock().done.insert(number, result);
        self.changed.notify_all();
    }
}

/// Ends the job for all threads when one of them leaves: no thread waits for what will not come.
struct Closing<'l, G, R> {
    line: &'l Line<G, R>,
    only_in_panic: bool,
}

impl<G, R> Drop for Closing<'_, G, R> {
    fn drop(&mut self) {
        if !self.only_in_panic || thread::panicking() {
            let mut state = self.line.state.lock().unwrap_or_else(PoisonError::into_inner);
            (state.end, state.given) = (true, u64::MAX);
            drop(state);
            self.line.changed.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};

    /// Results come in order, and never more pieces are on their way than the limit says.
    #[test]
    fn every_piece_is_taken_once_and_in_order() {
        for threads in [1, 2, 5] {
            let (given, taken) = (AtomicU64::new(0), AtomicU64::new(0));
            let give = || {
                let next = given.load(Ordering::SeqCst);
                assert!(next - taken.load(Ordering::SeqCst) <= threads as u64 * PIECES_PER_THREAD);
                (next < 500).then(|| given.fetch_add(1, Ordering::SeqCst))
            };
            let work = |seen: &mut u64, piece: u64| {
                *seen += 1;
                // Pieces are not all as long.
                (0..(piece * 7919) % 5000).fold(piece, |sum, i| std::hint::black_box(sum ^ i ^ i))
            };
            let take = |result| {
                assert_eq!(result, taken.fetch_add(1, Ordering::SeqCst));
                Ok::<(), ()>(())
            };
            assert_eq!(in_order(threads, give, || 0, work, take), Ok(()));
            assert_eq!(taken.load(Ordering::SeqCst), 500, "{threads} threads");
        }
    }

    #[test]
    fn the_first_error_ends_it() {
        for threads in [1, 3] {
            let mut pieces = 0u64..;
            let take = |result| if result < 40 { Ok(()) } else { Err(result) };
            assert_eq!(in_order(threads, || pieces.next(), || (), |(), piece| piece, take), Err(40));
        }
    }

    #[test]
    fn a_panic_on_any_thread_ends_it_and_is_passed_on() {
        for threads in [1, 2, 4] {
            let mut pieces = 0u64..1000;
            let passed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                let work = |(): &mut (), piece: u64| assert!(piece != 77, "piece 77");
                in_order(threads, || pieces.next(), || (), work, |()| Ok::<(), ()>(()))
            }));
            assert!(passed.is_err(), "{threads} threads");
        }
    }
}
