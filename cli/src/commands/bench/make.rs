//! What the load consists of: submissions of several kinds, all signed before the clock starts.
//!
//! Nothing here is about a person: events belong to no patient, trails are opened for random
//! pseudonyms, rosters have random roots. All of it is admissible, unless it is spoiled on purpose.

use custos_custodian::draft::AccessValues;
use custos_proof::cbor::Wire as _;
use custos_proof::hash::{ChainId, Digest, ItemHash, SubmissionId};
use custos_proof::ids::{Height, ItemId, ParticipantId, Random16, TimeMs};
use custos_proof::item::Item;
use custos_proof::kinds::access::{Basis, Event, Late, Retention};
use custos_proof::kinds::roster::{Commit, Count};
use custos_proof::kinds::trail::Open;
use custos_proof::kinds::{Class, Fields, Kind};
use custos_proof::seal::{Place, Seal};
use custos_proof::sealed_values::{Reason, Stated, Token};
use custos_proof::submission::{Author, Draft, Submission};

use crate::exit::{Failed, Outcome, While as _};
use crate::keyfile::KeyFile;
use crate::time;

/// The longest that a submission may wait, in ms: near the policy's longest, because all are signed
/// before the first is sent.
const LIFETIME_MS: u64 = 50 * 60 * 1000;
/// How long a roster is good for, in ms.
const ROSTER_MS: u64 = 30 * 86_400_000;

/// What a submission says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Says {
    /// `access.event`: testimony, in the institution's trail
    #[value(name = "access.event")]
    Access,
    /// `trail.open`: an act, a new trail each
    #[value(name = "trail.open")]
    Trail,
    /// `roster.commit`: an act, replaces the last one
    #[value(name = "roster.commit")]
    Roster,
}

/// A submission that is ready to be sent.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) id: SubmissionId,
    pub(super) bytes: Vec<u8>,
    pub(super) first_item: ItemHash,
    /// Whose it is, by place among the authors.
    pub(super) author: usize,
    pub(super) items: usize,
    /// Its signature was broken on purpose.
    pub(super) spoiled: bool,
}

/// Whose submissions they are.
pub(super) struct Maker<'a> {
    pub(super) chain: &'a ChainId,
    pub(super) owner: &'a ParticipantId,
    pub(super) key: &'a KeyFile,
}

impl Maker<'_> {
    /// A signed submission of `items` items that say `says`.
    pub(super) fn submission(&self, says: Says, items: usize, spoiled: bool) -> Outcome<Prepared> {
        let values = AccessValues::default().to_fields();
        let made = (0..items).map(|_| self.item(says, &values)).collect::<Outcome<Vec<_>>>()?;
        let draft = Draft {
            chain: self.chain,
            author: Author::Participant(self.owner.clone()),
            class: match says {
                Says::Access => Class::Testimony,
                Says::Trail | Says::Roster => Class::Act,
            },
            nonce: Random16(random()?),
            not_after: time::now().plus(LIFETIME_MS),
        };
        let submission = Submission::sign(&draft, made, self.key).could_not(|| "sign a submission")?;
        let mut bytes = submission.bytes().to_vec();
        if spoiled {
            spoil(&mut bytes, &submission.envelope().signature().0)?;
        }
        let first_item =
            *submission.item_hashes().first().ok_or_else(|| Failed::unable("a submission has items"))?;
        Ok(Prepared { id: submission.id(), bytes, first_item, author: 0, items, spoiled })
    }

    fn item(&self, says: Says, values: &[Vec<u8>]) -> Outcome<Vec<u8>> {
        let item_id = ItemId(random()?);
        let fields = match says {
            Says::Access => Fields::AccessEvent(Event {
                event: Random16(random()?),
                custodian: self.owner.clone(),
                local_id: None,
                acting: self.owner.clone(),
                basis: Basis::Unknown,
                cited: None,
                at_height: Height(0),
                late: Late::ImportedHistory,
                retention: Retention::Short,
                stream: 0,
                sequence: 0,
                seal: self.seal(Kind::AccessEvent, &item_id, values)?,
            }),
            Says::Trail => Fields::TrailOpen(Open {
                local_id: Digest(random()?),
                grantee: None,
                epoch: year(time::now())?,
                reader: Digest(random()?),
                seal: self.seal(Kind::TrailOpen, &item_id, &unstated(Kind::TrailOpen))?,
            }),
            Says::Roster => Fields::RosterCommit(Commit {
                from: time::now(),
                until: time::now().plus(ROSTER_MS),
                root: Digest(random()?),
                count: Count::Hundred,
            }),
        };
        Ok(Item { item_id, fields }.to_bytes())
    }

    fn seal(&self, kind: Kind, item_id: &ItemId, values: &[Vec<u8>]) -> Outcome<Seal> {
        let place = Place { chain: self.chain, kind, item_id };
        place.seal(&random()?, values).could_not(|| "seal an item")
    }
}

/// A value for every sealed field that says that nothing is stated.
fn unstated(kind: Kind) -> Vec<Vec<u8>> {
    vec![Stated::<Token>::Unknown(Reason::NotStated).to_bytes(); kind.sealed_fields().len()]
}

/// Breaks the signature and nothing else.
fn spoil(bytes: &mut [u8], signature: &[u8; 64]) -> Outcome<()> {
    let at = bytes.windows(64).position(|window| window == signature);
    let byte = at.and_then(|at| bytes.get_mut(at + 40));
    *byte.ok_or_else(|| Failed::unable("a submission carries its signature"))? ^= 1;
    Ok(())
}

fn year(now: TimeMs) -> Outcome<u16> {
    u16::try_from(now.year()).could_not(|| "tell the year")
}

fn random<const N: usize>() -> Outcome<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).could_not(|| "draw random bytes")?;
    Ok(bytes)
}
