//! The naive ledger: judges every decided block by recomputing everything that its header says.
//!
//! It is given the genesis and the blocks as they were decided, keeps nothing but the list of what was said, and
//! answers every question by going through that list from the beginning: whether a rule was in force, who decides a
//! block, what is owed, what stands in the state map. Roots are taken over all leaves, anew for every block. It was
//! written from docs/spec (items.md, hashing.md, custos.cddl), in the shape of their tables, so that a mistake of
//! `custos-state` is not made here a second time; of `custos-proof` it takes types and decoders, and nothing that
//! computes.
//!
//! Deliberately absent: anything fast or incremental; what validators say before they decide, which is the business of
//! the oracle of consensus; and an opinion about bytes that were never decided.
//!
//! ```no_run
//! # use custos_sim::oracle::{Finding, Naive};
//! # fn decided() -> Vec<custos_proof::header::Block> { Vec::new() }
//! # fn judge(genesis: &[u8]) -> Result<(), Finding> {
//! let mut naive = Naive::new(genesis)?;
//! for block in decided() {
//!     naive.block(&block)?;
//! }
//! naive.linkage()
//! # }
//! ```

// A finding ends a run: its size does not matter.
#![allow(clippy::result_large_err)]

use std::collections::{BTreeMap, BTreeSet};

use custos_proof::cbor::Wire as _;
use custos_proof::genesis::Genesis;
use custos_proof::hash::{BlockId, ChainId, ItemHash, StateKey, SubmissionId, TrailKey};
use custos_proof::header::{Block, Header};
use custos_proof::ids::{Height, Random16, TimeMs};
use custos_proof::kinds::{Class, Fields};
use custos_proof::submission::Author;

mod acts;
mod admission;
mod bounds;
mod calendar;
mod certificate;
mod compare;
mod curve;
mod finding;
mod history;
mod linkage;
mod listing;
mod lives;
mod map;
mod spell;
mod testimony;
mod tree;
mod votes;

pub use certificate::Deciders;
pub use finding::{Finding, What};

use acts::Act;
use admission::Letter;
use history::{Deed, History, Past, Place};
use map::Map;
use testimony::{Statement, Verdict};
use tree::{Hash, leaf, root, tagged};

/// The most facts that fall due in one block, and the bounds of a body.
const MAX_DUE: usize = 256;
const MAX_BODY_BYTES: usize = 4_194_304;
const MAX_SUBMISSIONS: usize = 8_192;

/// A ledger that is recomputed.
#[derive(Debug, Clone)]
pub struct Naive {
    history: History,
    map: Map,
    /// What the body of each submission that was recorded held, and where it is.
    placed: BTreeMap<Hash, Vec<Hash>>,
    valid: certificate::Valid,
}

/// What a node says it did in a block, beside the header: to name what is wrong, not only that something is.
#[derive(Debug, Clone, Copy)]
pub struct Shown<'a> {
    /// The records of the block, in order.
    pub records: &'a [Vec<u8>],
    /// The entries of the state map that it changed; without a value, those that it removed.
    pub entries: &'a [(StateKey, Option<Vec<u8>>)],
}

/// Where an item is recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// The index of its record.
    pub index: u64,
    /// The block.
    pub height: Height,
    /// Who spoke.
    pub author: Author,
}

/// What a block adds, record by record.
struct Added {
    records: Vec<Record>,
}

/// A record with what it is made of.
struct Record {
    index: u64,
    spelt: Vec<u8>,
    made_of: MadeOf,
}

enum MadeOf {
    Block,
    Due { place: Place },
    Item { submission: Hash, position: u32, item: Hash, verdict: Verdict, listed: Vec<Hash> },
}

impl Naive {
    /// The ledger before its first block.
    ///
    /// # Errors
    /// A genesis that cannot begin a chain.
    pub fn new(genesis: &[u8]) -> Result<Self, Finding> {
        let refused = |why: String| Finding { height: Height(0), item: None, what: What::Genesis(why) };
        let decoded = Genesis::from_bytes(genesis).map_err(|error| refused(error.to_string()))?;
        if let Some(defect) = bounds::genesis_defect(&decoded) {
            return Err(refused(defect));
        }
        let parts = spell::elements(genesis).ok_or_else(|| refused("it cannot be taken apart".into()))?;
        let chain = tagged("custos/1/genesis", &[genesis]);
        let history = History {
            chain,
            parts: parts.into_iter().map(<[u8]>::to_vec).collect(),
            past: vec![Past { time: decoded.time.0, id: chain }],
            height: 0,
            time: decoded.time.0,
            genesis: decoded,
            deeds: Vec::new(),
            closings: Vec::new(),
            nonces: Vec::new(),
            facts: Vec::new(),
            submissions: Vec::new(),
            records: Vec::new(),
            leaves: Vec::new(),
            listings: Vec::new(),
        };
        let map = map::of(&history);
        Ok(Self { history, map, placed: BTreeMap::new(), valid: BTreeSet::new() })
    }

    /// Judges the next block; afterwards it is part of the history.
    ///
    /// # Errors
    /// The first thing that does not fit. The history is then what it was before.
    pub fn block(&mut self, block: &Block) -> Result<(), Finding> {
        self.judge(block, None)
    }

    /// The same, and compares what a node wrote: so that a finding names the record or the entry.
    ///
    /// # Errors
    /// The first thing that does not fit.
    pub fn block_shown(&mut self, block: &Block, shown: &Shown<'_>) -> Result<(), Finding> {
        self.judge(block, Some(shown))
    }

    fn judge(&mut self, block: &Block, shown: Option<&Shown<'_>>) -> Result<(), Finding> {
        let header = &block.header;
        let height = Height(self.history.past.len() as u64);
        let at = |what: What| Finding { height, item: None, what };
        self.follows(header, height).map_err(at)?;
        let mut h = self.history.clone();
        (h.height, h.time) = (header.height.0, header.time.0);
        let version = h.protocol().0;
        if header.version != version || version != 1 {
            return Err(at(differs("version", header.version, version)));
        }
        let bytes: usize = block.body.iter().map(Vec::len).sum();
        if bytes > MAX_BODY_BYTES || block.body.len() > MAX_SUBMISSIONS {
            return Err(at(differs("body", bytes, "within bounds")));
        }
        let seats_before = seats_hash(&h.deciding());
        let mut added = Added { records: Vec::new() };
        let parent = h.past[h.past.len() - 1].id;
        added.append(&mut h, 0, MadeOf::Block, &[spell::bytes(&parent)], &[]);
        fall_due(&mut h, &mut added);
        h.close_expired();
        let (mut leaves, mut placed) = (Vec::new(), self.placed.clone());
        for (place, bytes) in block.body.iter().enumerate() {
            let letter = Letter::open(bytes).map_err(|why| at(What::NotASubmission { place, why }))?;
            leaves.push(leaf(&spell::array(&[spell::uint(3), spell::bytes(&letter.id)])));
            submit(&mut h, &mut added, &letter).map_err(|(item, what)| Finding { height, item, what })?;
            placed.insert(letter.id, letter.items.iter().map(|item| leaf(item)).collect());
        }
        let map = map::of(&h);
        if let Some(shown) = shown {
            compare::records(&added.records, shown.records).map_err(|(item, what)| Finding {
                height,
                item,
                what,
            })?;
            compare::entries(&self.map, &map, shown.entries).map_err(at)?;
        }
        let roots = || {
            finding::same("body_root", &header.body_root.0, &root(&leaves))?;
            if header.log_size.0 != h.next_index() {
                return Err(differs("log_size", header.log_size.0, h.next_index()));
            }
            finding::same("log_root", &header.log_root.0, &root(&h.leaves))?;
            finding::same("state_root", &header.state_root.0, &map.root())?;
            finding::same("validators_hash", &header.validators_hash.0, &seats_before)?;
            let seats_after = seats_hash(&h.next_seats());
            finding::same("next_validators_hash", &header.next_validators_hash.0, &seats_after)
        };
        roots().map_err(at)?;
        h.past.push(Past { time: header.time.0, id: block_id(header) });
        (self.history, self.map, self.placed) = (h, map, placed);
        Ok(())
    }

    /// What a header has to say whatever its block holds.
    fn follows(&self, header: &Header, height: Height) -> Result<(), What> {
        let last = &self.history.past[self.history.past.len() - 1];
        finding::same("chain", &header.chain.0, &self.history.chain)?;
        if header.height != height {
            return Err(differs("height", header.height, height));
        }
        finding::same("parent", &header.parent.0, &last.id)?;
        match header.time.0 > last.time {
            true => Ok(()),
            false => Err(differs("time", header.time, format!("after {}", TimeMs(last.time)))),
        }
    }

    // What is there.

    /// The chain.
    #[must_use]
    pub fn chain(&self) -> ChainId {
        ChainId(self.history.chain)
    }

    /// The head's height.
    #[must_use]
    pub fn height(&self) -> Height {
        Height(self.history.past.len() as u64 - 1)
    }

    /// The head's block id.
    #[must_use]
    pub fn head(&self) -> BlockId {
        BlockId(self.history.past[self.history.past.len() - 1].id)
    }

    /// All records, in the order of the log.
    #[must_use]
    pub fn records(&self) -> &[Vec<u8>] {
        &self.history.records
    }

    /// The state map.
    pub fn entries(&self) -> impl Iterator<Item = (StateKey, &[u8])> {
        self.map.0.iter().map(|(key, entry)| (StateKey(*key), &entry.value[..]))
    }

    /// Where an item is recorded: once at most for a statement of one author; an act may be said again.
    #[must_use]
    pub fn recorded(&self, item: &ItemHash) -> Vec<Recorded> {
        let deeds = self.history.deeds.iter().filter(|deed| !deed.voted && deed.item == item.0);
        deeds
            .map(|deed| Recorded {
                index: deed.index,
                height: Height(deed.height),
                author: deed.author.clone(),
            })
            .collect()
    }

    /// What a node acknowledged is there: the submission, exactly once, and each of its items, in a record of this
    /// submission or, for a statement that was sent again, in the first one.
    ///
    /// # Errors
    /// [`What::Lost`].
    pub fn acknowledged(&self, submission: &SubmissionId) -> Result<(), Finding> {
        let lost = |item| Finding { height: self.height(), item, what: What::Lost };
        let items = self.placed.get(&submission.0).ok_or_else(|| lost(None))?;
        match items.iter().find(|item| self.recorded(&ItemHash(**item)).is_empty()) {
            Some(item) => Err(lost(Some(ItemHash(*item)))),
            None => Ok(()),
        }
    }

    /// The records of a trail, found by going through all listings.
    #[must_use]
    pub fn trail(&self, trail: &TrailKey) -> Vec<&[u8]> {
        let listed = self.history.listings.iter().filter(|(listed, _)| *listed == trail.0);
        listed.map(|(_, index)| &self.history.records[*index as usize][..]).collect()
    }

    /// Every trail that lists something.
    #[must_use]
    pub fn trails(&self) -> Vec<TrailKey> {
        let mut trails: Vec<TrailKey> =
            self.history.listings.iter().map(|(trail, _)| TrailKey(*trail)).collect();
        trails.sort();
        trails.dedup();
        trails
    }

    /// What a node shows as all of a trail is all of it, in its order.
    ///
    /// # Errors
    /// [`What::Incomplete`] with the first position that differs.
    pub fn is_complete<R: AsRef<[u8]>>(&self, trail: &TrailKey, shown: &[R]) -> Result<(), Finding> {
        let all = self.trail(trail);
        let same = all.iter().zip(shown).take_while(|(ours, theirs)| **ours == theirs.as_ref()).count();
        if same == all.len() && same == shown.len() {
            return Ok(());
        }
        let what = What::Incomplete { trail: *trail, position: same as u64 };
        Err(Finding { height: self.height(), item: None, what })
    }

    /// No clear value but those of registry, permits and policy occurs in two subjects' trails, over the whole history.
    ///
    /// Custodians have a part in this: a writer that uses an id twice is found, too.
    ///
    /// # Errors
    /// [`What::Linked`].
    pub fn linkage(&self) -> Result<(), Finding> {
        linkage::judge(&self.history).map_err(|(height, item, what)| Finding {
            height: Height(height),
            item: Some(ItemHash(item)),
            what,
        })
    }
}

fn differs(field: &'static str, stated: impl ToString, computed: impl ToString) -> What {
    What::Header { field, stated: stated.to_string(), computed: computed.to_string() }
}

/// The tagged hash of a header, spelt from its fields.
fn block_id(header: &Header) -> Hash {
    let spelt = spell::array(&[
        spell::uint(header.version),
        spell::bytes(&header.chain.0),
        spell::uint(header.height.0),
        spell::uint(u64::from(header.round.0)),
        spell::uint(header.time.0),
        spell::bytes(&header.parent.0),
        spell::bytes(&header.body_root.0),
        spell::uint(header.log_size.0),
        spell::bytes(&header.log_root.0),
        spell::bytes(&header.state_root.0),
        spell::bytes(&header.validators_hash.0),
        spell::bytes(&header.next_validators_hash.0),
        spell::text(header.proposer.as_str()),
    ]);
    tagged("custos/1/block", &[&spelt])
}

fn seats_hash(seats: &[history::Seat]) -> Hash {
    let spelt: Vec<_> = seats
        .iter()
        .map(|seat| {
            spell::array(&[spell::text(seat.0.as_str()), spell::bytes(&seat.1.0), spell::uint(seat.2)])
        })
        .collect();
    tagged("custos/1/validators", &[&spell::array(&spelt)])
}

/// The facts that fall due come first: by deadline, cause and rule, as many as a block takes.
fn fall_due(h: &mut History, added: &mut Added) {
    let mut due = h.owed();
    due.retain(|owed| owed.place.0 <= h.time);
    due.sort_by_key(|owed| owed.place);
    for owed in due.into_iter().take(MAX_DUE) {
        let (deadline, cause, rule) = owed.place;
        let spelt = [spell::bytes(&cause), spell::uint(u64::from(rule)), spell::uint(deadline)];
        added.append(h, 2, MadeOf::Due { place: owed.place }, &spelt, &owed.trails);
        h.facts.push(owed.place);
    }
}

/// Records a submission, or says what is wrong with it.
fn submit(h: &mut History, added: &mut Added, letter: &Letter) -> Result<(), (Option<ItemHash>, What)> {
    let submission = SubmissionId(letter.id);
    let refused = |position: Option<usize>, word| {
        let item = position.map(|position| ItemHash(leaf(&letter.items[position])));
        (item, What::Inadmissible { submission, position, word })
    };
    if let Some(word) = admission::refusal(h, letter) {
        return Err(refused(None, word));
    }
    h.submissions.push(letter.id);
    h.nonces.push(letter.nonce());
    for (position, bytes) in letter.items.iter().enumerate() {
        let fields = admission::item(h, letter, bytes).map_err(|word| refused(Some(position), word))?;
        let item = leaf(bytes);
        let author = &letter.payload.author;
        let (deed, agreed) = match letter.payload.class {
            Class::Act => {
                let act = Act { author, voted: false, item, fields: &fields };
                if let Some(word) = acts::refusal(h, &act) {
                    return Err(refused(Some(position), word));
                }
                let listed = listing::act_trails(h, author, &fields);
                let agreed = match &fields {
                    Fields::ProposalOpen(f) => Some(f.proposal),
                    Fields::ProposalVote(f) => Some(f.proposal),
                    _ => None,
                };
                (Deed { listed, ..h.deed(author, false, item, bytes.clone(), fields) }, agreed)
            }
            Class::Testimony => {
                let said = testimony::statement_id(&fields);
                let first = said.and_then(|id| h.statement(author, &id));
                if first.is_some_and(|first| first.item == item) {
                    // The first record answers for it.
                    continue;
                }
                let judged = author
                    .as_participant()
                    .and_then(|author| testimony::judge(h, &Statement { author, item, fields: &fields }));
                let Some((verdict, listed)) = judged else {
                    return Err(refused(Some(position), "not-allowed"));
                };
                let deed = Deed { verdict, listed, ..h.deed(author, false, item, bytes.clone(), fields) };
                (Deed { due_at: h.falls_due(&deed), ..deed }, None)
            }
        };
        record(h, added, letter, position, deed, agreed);
    }
    Ok(())
}

/// Makes the record of a deed. What a vote decides is carried out at the index of the vote's own record.
fn record(
    h: &mut History,
    added: &mut Added,
    letter: &Letter,
    position: usize,
    mut deed: Deed,
    agreed: Option<Random16>,
) {
    deed.listed.sort_unstable();
    deed.listed.dedup();
    let position = u32::try_from(position).unwrap_or(u32::MAX);
    let spelt = [
        spell::bytes(&letter.id),
        spell::author(&deed.author),
        spell::uint(u64::from(position)),
        spell::bytes(&deed.item),
        deed.verdict.spelt(),
    ];
    let made_of = MadeOf::Item {
        submission: letter.id,
        position,
        item: deed.item,
        verdict: deed.verdict.clone(),
        listed: deed.listed.clone(),
    };
    let listed = deed.listed.clone();
    h.deeds.push(deed);
    if let Some(proposal) = agreed {
        h.settle(&proposal);
    }
    added.append(h, 1, made_of, &spelt, &listed);
}

impl Added {
    /// Appends a record: to the log, and to the trails that list it.
    fn append(&mut self, h: &mut History, kind: u64, made_of: MadeOf, entry: &[Vec<u8>], trails: &[Hash]) {
        let index = h.next_index();
        let entry = if kind == 0 {
            entry.concat()
        } else {
            let listings = trails
                .iter()
                .map(|trail| spell::array(&[spell::bytes(trail), spell::uint(h.trail_size(trail))]));
            spell::array(&[entry, &[spell::array(&listings.collect::<Vec<_>>())]].concat())
        };
        let spelt = spell::array(&[
            spell::uint(2),
            spell::uint(1),
            spell::uint(index),
            spell::uint(h.height),
            spell::uint(h.time),
            spell::uint(kind),
            entry,
        ]);
        h.leaves.push(leaf(&spelt));
        h.records.push(spelt.clone());
        h.listings.extend(trails.iter().map(|trail| (*trail, index)));
        self.records.push(Record { index, spelt, made_of });
    }
}
