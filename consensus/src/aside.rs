//! Votes that this node may have cast and no longer remembers: where it stands aside.
//!
//! The engine's log holds the votes of one height, the one after the ledger's head, and plays them back
//! after a crash. Three accidents take that memory away:
//!
//! ```text
//! the log is gone            the ledger is at h: votes may have been cast at h + 1, and nobody knows which
//! the ledger lost blocks     up to d were decided here, and the ledger is at h before that: the engine would
//!                            reset its log to h + 1 and vote a second time on everything up to d
//! the ledger is a copy       votes may have been cast at any height above it, and nothing here says up to which
//! ```
//!
//! A validator that votes there again may sign twice. So it follows without voting until the others have
//! decided what it does not remember. In the second case that is up to d: it leaves its log alone and goes on
//! with it at d + 1. In the others nothing here bears witness, for a log may be gone *because* the ledger is a
//! copy, and time has to:
//!
//! ```text
//! began ----- votes that are forgotten are for heights up to here
//!   ... blocks with times up to began + twice the clock bound: say nothing
//! height h    its time is later: it was built afterwards, so h was undecided then, and nothing higher begun
//! height h+1  votes
//! ```
//!
//! What a restart must not forget is a note on disk before the engine starts. Nothing ends it but the rule, or
//! an operator who knows that nobody else remembers either ([`vote_again`]): when more than a third of the
//! validators stand aside, none of them would ever see a block.
//!
//! What is decided here is pure: [`decide`] goes from what the files say ([`Found`]) to what is to be done
//! ([`Decision`]), so that a simulator boots its nodes by the same rule. The files themselves are [`files`]'.
//!
//! Deliberately absent: a data directory that is gone altogether, which looks like a new node's; an operator
//! who begins again with nothing must use a new consensus key, or say so first ([`stand_aside`]).

use custos_proof::ids::{Height, TimeMs};

mod files;

pub(crate) use files::{decided, recall};
pub use files::{noted, stand_aside, vote_again};

/// Why a node stands aside whose note cannot be understood.
const DAMAGED: &str = "the note of why was damaged";

/// What a validator waits for that stands aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Aside {
    /// The first height at which it may vote, as far as its own files say.
    pub from: Height,
    /// When it began, if only a block that was built afterwards ends it.
    pub since: Option<TimeMs>,
    /// Why, for people.
    pub reason: String,
}

impl Aside {
    /// Whether a head of this height and time ends it, clocks of honest validators being at most `clock_bound_ms`
    /// apart.
    #[must_use]
    pub fn ends_with(&self, head: Height, time: TimeMs, clock_bound_ms: u64) -> bool {
        let later = |since: TimeMs| time.0 > since.0.saturating_add(clock_bound_ms.saturating_mul(2));
        head.next() >= self.from && self.since.is_none_or(later)
    }
}

/// What the files of consensus say when a node starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The height whose votes the engine's log holds; nothing when there is no log, or a torn one.
    pub log: Option<Height>,
    /// Up to which height this node noted that heights were decided.
    pub decided: Option<Height>,
    /// Whether it stands aside already.
    pub note: Note,
    /// Whether an operator said that it votes at once.
    pub word: bool,
}

/// The note of when a node began to stand aside, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// There is none.
    Absent,
    /// It cannot be understood.
    Damaged,
    /// Since when, and why.
    Since(TimeMs, String),
}

/// Where the node stands that starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Start {
    /// The height of the ledger's head.
    pub head: Height,
    /// That block's time.
    pub time: TimeMs,
    /// How far clocks of honest validators are apart at most.
    pub clock_bound_ms: u64,
    /// What this node's clock shows.
    pub now: TimeMs,
}

/// Whether a node votes, and what it does before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// What is done to the files, in this order and each durable before the next, before the engine starts.
    pub steps: Vec<Step>,
    /// What it waits for before it votes, if it stands aside.
    pub aside: Option<Aside>,
    /// The log that the engine is given.
    pub log: Log,
}

/// A change of the files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Note that it stands aside since then, and why.
    Write(TimeMs, String),
    /// Remove a file, if it is there.
    Remove(Item),
}

/// What can be removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Item {
    /// The engine's log of votes.
    Log,
    /// How far heights were decided.
    Decided,
    /// The note that it stands aside.
    Note,
    /// The operator's word.
    Word,
}

/// Which log the engine is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Log {
    /// The log of votes.
    Votes,
    /// One for following only, beside the log of votes, which stays as it is.
    Following,
}

/// What the note of what was decided says after another height. A ledger that lost blocks gets them back from below:
/// what was decided here above them stays so.
#[must_use]
pub fn decided_now(noted: Option<Height>, height: Height) -> Height {
    noted.map_or(height, |noted| noted.max(height))
}

/// What a validator remembers of its votes, from what its files say.
#[must_use]
pub fn decide(found: &Found, start: &Start) -> Decision {
    let next = start.head.next();
    if found.word {
        // In this order: a crash in between leaves the word, and it is heard again.
        let foreign = found.log.is_some_and(|at| at != next).then_some(Item::Log);
        let steps = foreign.into_iter().chain([Item::Decided, Item::Note, Item::Word]).map(Step::Remove);
        return Decision { steps: steps.collect(), aside: None, log: Log::Votes };
    }
    // A log at s says that s - 1 was decided here.
    let before_log = found.log.map(|at| Height(at.0.saturating_sub(1)));
    let ahead = before_log.max(found.decided).filter(|decided| *decided > start.head);
    let is_lost = found.log.is_none() && ahead.is_none() && start.head > Height(0);
    let anew = |reason: &str| (Some((start.now, reason.to_owned())), true);
    let (noted, is_new) = match &found.note {
        Note::Since(since, reason) => (Some((*since, reason.clone())), false),
        // It counts from now, and is made anew so that it ends.
        Note::Damaged => anew(DAMAGED),
        Note::Absent if is_lost => anew("its log of votes is lost"),
        Note::Absent => (None, false),
    };
    let mut steps = Vec::new();
    if let (Some((since, reason)), true) = (&noted, is_new) {
        steps.push(Step::Write(*since, reason.clone()));
    }
    let noted = noted.map(|(since, reason)| Aside { from: next, since: Some(since), reason });
    let noted = noted.filter(|aside| !aside.ends_with(start.head, start.time, start.clock_bound_ms));
    let Some(decided) = ahead else {
        if noted.is_none() {
            steps.push(Step::Remove(Item::Note));
        }
        return Decision { steps, aside: noted, log: Log::Votes };
    };
    let aside = Aside {
        from: decided.next(),
        since: noted.and_then(|aside| aside.since),
        reason: format!("its log of votes is ahead of its ledger: height {decided} was decided here"),
    };
    Decision { steps, aside: Some(aside), log: Log::Following }
}
