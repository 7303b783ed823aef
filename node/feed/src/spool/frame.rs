//! What the spool's frames say, in the deterministic CBOR of the formats.
//!
//! ```text
//! [1, position, accepted, head, head seen, key, mark or none, [draft...]]   a document was accepted
//! [2, number, epoch, through, first sequence, [[slot...]...]]               a batch was fixed
//! [3, number, height]                                                       the batch is recorded
//! [4, state]                                                                what earlier segments came to
//! [5, mark]                                                                 a file was read so far, without a document
//! [6, file]                                                                 a file is gone
//! ```
//!
//! A document is spooled as the drafts that were made of it, not as it came: what was accepted is
//! sealed as it was understood then, also by a later version of the program. Nothing here is hashed
//! or signed; the profile is used because its reader is strict and bounded.

use custos_custodian::draft::{AccessEventDraft, AccessValues, Origin, SubjectKey};
use custos_custodian::seal::Fixed;
use custos_proof::cbor::{DecodeError, Reader, Wire as _, Writer};
use custos_proof::hash::Digest;
use custos_proof::ids::{Height, ItemId, Random16, TimeMs};
use custos_proof::kinds::access::{Basis, Late};
use custos_proof::sealed_values::Party;

/// The longest frame, in bytes.
pub const MAX_FRAME: usize = 16 * 1024 * 1024;
/// The most events that one document can come to.
pub const MAX_DRAFTS: usize = 64;
/// The most submissions of one batch.
pub const MAX_SUBMISSIONS: usize = 32_768;
/// The most drafts that one event can stand for.
pub const MAX_MEMBERS: usize = 16_384;
/// The most keys of the window that a state holds.
pub const MAX_WINDOW: usize = 131_072;
/// The most files that are followed at a time.
pub const MAX_FILES: usize = 4_096;

const MAX_NAME: usize = 8_192;
const MAX_PATH: usize = 4_096;
const MAX_NAMES: usize = 1_024;

/// What tells one document from another: the first half of a SHA-256.
pub type Key = [u8; 16];

/// One frame.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::large_enum_variant)] // Made and taken apart one at a time.
pub enum Frame {
    /// A document was accepted.
    Accepted(Accepted),
    /// A batch was fixed: from now on its events have their ids and numbers.
    Batch(Batch),
    /// All events of the open batch are recorded.
    Recorded {
        /// Which.
        number: u64,
        /// The height that recorded the last of it.
        height: Height,
    },
    /// What all earlier frames came to.
    State(Totals),
    /// A file was read so far without giving a document.
    Read(Mark),
    /// A file is gone for good.
    Gone(FileId),
}

/// An accepted document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// Its place in the order of acceptance, from 1 without gaps.
    pub position: u64,
    /// When, by this machine's clock.
    pub at: TimeMs,
    /// What was accepted.
    pub offer: Offer,
}

/// A document, ready to be accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// The head that the feed saw.
    pub head: Height,
    /// How long ago it had last heard of a head, in milliseconds.
    pub head_age_ms: u64,
    /// What tells it from others.
    pub key: Key,
    /// How far the file it comes from was read with it.
    pub mark: Option<Mark>,
    /// What it says.
    pub drafts: Vec<AccessEventDraft>,
}

/// A file, whatever it is called at the moment.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId {
    /// The input that follows it.
    pub input: String,
    /// The device.
    pub device: u64,
    /// The inode.
    pub inode: u64,
}

/// How far a file was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// Which file.
    pub file: FileId,
    /// The byte after the last line that was taken.
    pub offset: u64,
    /// How many bytes at its beginning the fingerprint covers.
    pub head_bytes: u64,
    /// SHA-256 over them: another file may be given the same inode.
    pub head: Digest,
    /// What it was called when it was last read.
    pub path: String,
}

/// A batch: which drafts become which events, in which order and submissions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Its number, from 1.
    pub number: u64,
    /// The calendar year for which its trails are made.
    pub epoch: u16,
    /// The last position that it, or a batch before it, takes in.
    pub through: u64,
    /// The events, by submission. Numbers are consecutive over all of them.
    pub submissions: Vec<Vec<Slot>>,
}

/// An event of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// The drafts that it stands for: position and place within the document.
    pub members: Vec<(u64, u16)>,
    /// Its ids, seed and number.
    pub fixed: Fixed,
    /// The head that the feed saw when it accepted the last of them.
    pub head: Height,
    /// Whether it waited.
    pub late: Late,
}

/// What earlier segments came to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Totals {
    /// The position that is given next.
    pub next_position: u64,
    /// The number that is given next.
    pub next_sequence: u64,
    /// The batch that is made next.
    pub next_batch: u64,
    /// The last position that batches took in.
    pub through: u64,
    /// The last head that was seen.
    pub head: Height,
    /// The batch that is not recorded yet.
    pub open: Option<Batch>,
    /// How many events were recorded.
    pub recorded: u64,
    /// The documents of the window: key, position, when.
    pub window: Vec<(Key, u64, TimeMs)>,
    /// How far files were read.
    pub marks: Vec<Mark>,
}

impl Batch {
    /// The events in order.
    pub fn slots(&self) -> impl Iterator<Item = &Slot> {
        self.submissions.iter().flatten()
    }
}

impl Frame {
    /// The bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::new();
        match self {
            Frame::Accepted(accepted) => write_accepted(&mut w, accepted),
            Frame::Batch(batch) => {
                w.array(2);
                w.u64(2);
                write_batch(&mut w, batch);
            }
            Frame::Recorded { number, height } => {
                w.array(3);
                w.u64(3);
                w.u64(*number);
                height.write(&mut w);
            }
            Frame::State(totals) => {
                w.array(2);
                w.u64(4);
                write_totals(&mut w, totals);
            }
            Frame::Read(mark) => {
                w.array(2);
                w.u64(5);
                write_mark(&mut w, mark);
            }
            Frame::Gone(file) => {
                w.array(2);
                w.u64(6);
                write_file(&mut w, file);
            }
        }
        w.into_bytes()
    }

    /// Reads a frame.
    ///
    /// # Errors
    /// Bytes that are none.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(bytes);
        let at = r.position();
        let length = r.array_up_to(8)?;
        let frame = match (r.u64()?, length) {
            (1, 8) => Frame::Accepted(read_accepted(&mut r)?),
            (2, 2) => Frame::Batch(read_batch(&mut r)?),
            (3, 3) => Frame::Recorded { number: r.u64()?, height: Height::read(&mut r)? },
            (4, 2) => Frame::State(read_totals(&mut r)?),
            (5, 2) => Frame::Read(read_mark(&mut r)?),
            (6, 2) => Frame::Gone(read_file(&mut r)?),
            _ => return Err(DecodeError::OutOfBounds { at, what: "kind of frame" }),
        };
        r.finish()?;
        Ok(frame)
    }
}

fn write_accepted(w: &mut Writer, accepted: &Accepted) {
    let offer = &accepted.offer;
    w.array(8);
    w.u64(1);
    w.u64(accepted.position);
    accepted.at.write(w);
    offer.head.write(w);
    w.u64(offer.head_age_ms);
    w.bytes(&offer.key);
    w.array(usize::from(offer.mark.is_some()));
    offer.mark.iter().for_each(|mark| write_mark(w, mark));
    w.array(offer.drafts.len());
    offer.drafts.iter().for_each(|draft| write_draft(w, draft));
}

fn read_accepted(r: &mut Reader<'_>) -> Result<Accepted, DecodeError> {
    let (position, at) = (r.u64()?, TimeMs::read(r)?);
    let (head, head_age_ms, key) = (Height::read(r)?, r.u64()?, r.bytes_fixed()?);
    let mark = if r.array_up_to(1)? == 1 { Some(read_mark(r)?) } else { None };
    let drafts = many(r, MAX_DRAFTS, read_draft)?;
    Ok(Accepted { position, at, offer: Offer { head, head_age_ms, key, mark, drafts } })
}

fn write_draft(w: &mut Writer, draft: &AccessEventDraft) {
    // Exhaustive, so that a field that is added is not forgotten here.
    let AccessEventDraft { origin, subject, organisations, basis, cited, cites, values } = draft;
    w.array(8);
    w.bytes(origin.name.as_bytes());
    origin.digest.write(w);
    w.array(subject.len());
    subject.iter().for_each(|key| w.bytes(key.as_str().as_bytes()));
    w.array(organisations.len());
    organisations.iter().for_each(|party| party.write(w));
    basis.write(w);
    cited.write(w);
    w.array(cites.len());
    cites.iter().for_each(|name| w.bytes(name.as_bytes()));
    let values = values.to_fields();
    w.array(values.len());
    values.iter().for_each(|value| w.bytes(value));
}

fn read_draft(r: &mut Reader<'_>) -> Result<AccessEventDraft, DecodeError> {
    r.array(8)?;
    let origin = Origin { name: text(r, MAX_NAME)?, digest: Digest::read(r)? };
    let subject = many(r, MAX_NAMES, |r| text(r, MAX_NAME).map(SubjectKey::from_stored))?;
    let organisations = many(r, MAX_NAMES, Party::read)?;
    let (basis, cited) = (Basis::read(r)?, Option::<Random16>::read(r)?);
    let cites = many(r, MAX_NAMES, |r| text(r, MAX_NAME))?;
    let fields = many(r, 64, |r| r.bytes(MAX_FRAME).map(<[u8]>::to_vec))?;
    let values = AccessValues::from_fields(&fields)?;
    Ok(AccessEventDraft { origin, subject, organisations, basis, cited, cites, values })
}

/// Whether a draft is within what a frame can hold: names of a source have no bound of their own.
#[must_use]
pub fn fits(draft: &AccessEventDraft) -> bool {
    let names = [draft.subject.len(), draft.organisations.len(), draft.cites.len()];
    draft.origin.name.len() <= MAX_NAME
        && names.iter().all(|count| *count <= MAX_NAMES)
        && draft.subject.iter().all(|key| key.as_str().len() <= MAX_NAME)
        && draft.cites.iter().all(|name| name.len() <= MAX_NAME)
}

fn write_batch(w: &mut Writer, batch: &Batch) {
    w.array(4);
    w.u64(batch.number);
    batch.epoch.write(w);
    w.u64(batch.through);
    w.array(batch.submissions.len());
    for submission in &batch.submissions {
        w.array(submission.len());
        submission.iter().for_each(|slot| write_slot(w, slot));
    }
}

fn read_batch(r: &mut Reader<'_>) -> Result<Batch, DecodeError> {
    r.array(4)?;
    Ok(Batch {
        number: r.u64()?,
        epoch: u16::read(r)?,
        through: r.u64()?,
        submissions: many(r, MAX_SUBMISSIONS, |r| many(r, custos_proof::submission::MAX_ITEMS, read_slot))?,
    })
}

fn write_slot(w: &mut Writer, slot: &Slot) {
    w.array(8);
    w.array(slot.members.len());
    for (position, place) in &slot.members {
        w.array(2);
        w.u64(*position);
        place.write(w);
    }
    slot.fixed.item_id.write(w);
    slot.fixed.event.write(w);
    w.bytes(&slot.fixed.seed);
    w.u64(slot.fixed.stream.into());
    w.u64(slot.fixed.sequence);
    slot.head.write(w);
    slot.late.write(w);
}

fn read_slot(r: &mut Reader<'_>) -> Result<Slot, DecodeError> {
    r.array(8)?;
    let members = many(r, MAX_MEMBERS, |r| {
        r.array(2)?;
        Ok((r.u64()?, u16::read(r)?))
    })?;
    let fixed = Fixed {
        item_id: ItemId::read(r)?,
        event: Random16::read(r)?,
        seed: r.bytes_fixed()?,
        stream: u32::read(r)?,
        sequence: r.u64()?,
    };
    Ok(Slot { members, fixed, head: Height::read(r)?, late: Late::read(r)? })
}

fn write_totals(w: &mut Writer, totals: &Totals) {
    w.array(9);
    [totals.next_position, totals.next_sequence, totals.next_batch, totals.through]
        .into_iter()
        .for_each(|number| w.u64(number));
    totals.head.write(w);
    w.array(usize::from(totals.open.is_some()));
    totals.open.iter().for_each(|batch| write_batch(w, batch));
    w.u64(totals.recorded);
    w.array(totals.window.len());
    for (key, position, at) in &totals.window {
        w.array(3);
        w.bytes(key);
        w.u64(*position);
        at.write(w);
    }
    w.array(totals.marks.len());
    totals.marks.iter().for_each(|mark| write_mark(w, mark));
}

fn read_totals(r: &mut Reader<'_>) -> Result<Totals, DecodeError> {
    r.array(9)?;
    let (next_position, next_sequence, next_batch, through) = (r.u64()?, r.u64()?, r.u64()?, r.u64()?);
    let head = Height::read(r)?;
    let open = if r.array_up_to(1)? == 1 { Some(read_batch(r)?) } else { None };
    let recorded = r.u64()?;
    let window = many(r, MAX_WINDOW, |r| {
        r.array(3)?;
        Ok((r.bytes_fixed()?, r.u64()?, TimeMs::read(r)?))
    })?;
    let marks = many(r, MAX_FILES, read_mark)?;
    Ok(Totals { next_position, next_sequence, next_batch, through, head, open, recorded, window, marks })
}

fn write_file(w: &mut Writer, file: &FileId) {
    w.array(3);
    w.bytes(file.input.as_bytes());
    w.u64(file.device);
    w.u64(file.inode);
}

fn read_file(r: &mut Reader<'_>) -> Result<FileId, DecodeError> {
    r.array(3)?;
    Ok(FileId { input: text(r, MAX_NAME)?, device: r.u64()?, inode: r.u64()? })
}

fn write_mark(w: &mut Writer, mark: &Mark) {
    w.array(5);
    write_file(w, &mark.file);
    w.u64(mark.offset);
    w.u64(mark.head_bytes);
    mark.head.write(w);
    w.bytes(mark.path.as_bytes());
}

fn read_mark(r: &mut Reader<'_>) -> Result<Mark, DecodeError> {
    r.array(5)?;
    Ok(Mark {
        file: read_file(r)?,
        offset: r.u64()?,
        head_bytes: r.u64()?,
        head: Digest::read(r)?,
        path: text(r, MAX_PATH)?,
    })
}

fn text(r: &mut Reader<'_>, max: usize) -> Result<String, DecodeError> {
    let at = r.position();
    String::from_utf8(r.bytes(max)?.to_vec()).map_err(|_| DecodeError::OutOfBounds { at, what: "text" })
}

/// An array of at most `max`. Memory grows with what is read, never with what a length claims.
fn many<T>(
    r: &mut Reader<'_>,
    max: usize,
    mut one: impl FnMut(&mut Reader<'_>) -> Result<T, DecodeError>,
) -> Result<Vec<T>, DecodeError> {
    let count = r.array_up_to(max)?;
    let mut values = Vec::with_capacity(count.min(1024));
    for _ in 0..count {
        values.push(one(r)?);
    }
    Ok(values)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn draft(number: u64) -> AccessEventDraft {
        AccessEventDraft {
            origin: Origin {
                name: format!("https://a.example/AuditEvent/{number}"),
                digest: Digest([number as u8; 32]),
            },
            subject: vec![SubjectKey::identifier("urn:oid:1.2.3", &format!("MRN-{}", number % 7))],
            organisations: Vec::new(),
            basis: Basis::Unknown,
            cited: Some(Random16([3; 16])),
            cites: vec!["https://a.example/Consent/1".into()],
            values: AccessValues::default(),
        }
    }

    pub(crate) fn offer(number: u64) -> Offer {
        let mut key = [0; 16];
        key[..8].copy_from_slice(&number.to_be_bytes());
        Offer { head: Height(number), head_age_ms: 5, key, mark: None, drafts: vec![draft(number)] }
    }

    pub(crate) fn mark(offset: u64) -> Mark {
        Mark {
            file: FileId { input: "folder".into(), device: 1, inode: 2 },
            offset,
            head_bytes: 9,
            head: Digest([4; 32]),
            path: "/var/log/audit.ndjson".into(),
        }
    }

    pub(crate) fn batch(number: u64, through: u64, sequences: core::ops::Range<u64>) -> Batch {
        let slot = |sequence: u64| Slot {
            members: vec![(sequence, 0)],
            fixed: Fixed {
                item_id: ItemId([1; 16]),
                event: Random16([2; 16]),
                seed: [3; 32],
                stream: 1,
                sequence,
            },
            head: Height(7),
            late: Late::Spooled,
        };
        Batch { number, epoch: 2026, through, submissions: vec![sequences.map(slot).collect()] }
    }

    #[test]
    fn every_frame_is_read_as_it_was_written() {
        let accepted =
            Accepted { position: 9, at: TimeMs(77), offer: Offer { mark: Some(mark(12)), ..offer(4) } };
        let totals = Totals {
            next_position: 3,
            open: Some(batch(2, 8, 4..9)),
            window: vec![([1; 16], 4, TimeMs(9))],
            marks: vec![mark(3)],
            ..Totals::default()
        };
        for frame in [
            Frame::Accepted(accepted),
            Frame::Batch(batch(1, 2, 1..3)),
            Frame::Recorded { number: 4, height: Height(5) },
            Frame::State(totals),
            Frame::Read(mark(8)),
            Frame::Gone(mark(8).file),
        ] {
            let bytes = frame.encode();
            assert_eq!(Frame::decode(&bytes).unwrap(), frame);
            for cut in 0..bytes.len() {
                assert!(Frame::decode(&bytes[..cut]).is_err(), "{cut} of {frame:?}");
            }
        }
    }
}
