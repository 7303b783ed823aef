//! An entrance for fuzzing: a subject's file and its entries, as a damaged disk could give them, and the vault's key file.
//!
//! The form of these files is private to the vault, and stays so; `testnet/fuzz` asks here what
//! becomes of bytes. Deliberately absent: the directory, whose stories are tests of the vault.

use custos_proof::hash::{Digest, ItemHash};
use custos_proof::ids::{Height, Random16};
use custos_proof::kinds::Kind;

use super::entry::{Entry, StoredItem, Trail, decode_scope, encode_scope};
use super::{
    Chain, Frame, ItemState, MAX_KEY_FILE, Scope, SubjectId, SubjectKey, VaultKey, frames, read_frame,
};

const DATA_KEY: [u8; 32] = [7; 32];
const ID: SubjectId = SubjectId(Random16([9; 16]));

/// Reads bytes as an entry, as a scope, and as the entries of a subject's file.
///
/// # Errors
/// When they are none of these.
///
/// # Panics
/// When what was read has another spelling than the one it came in.
pub fn bytes(bytes: &[u8]) -> Result<(), String> {
    if let Some(entry) = Entry::decode(bytes) {
        assert!(entry.encode() == bytes, "an entry has another spelling");
        return Ok(());
    }
    if let Some(scope) = decode_scope(bytes) {
        assert!(encode_scope(&scope) == bytes, "a scope has another spelling");
        return Ok(());
    }
    file(bytes)
}

/// As the vault does when it is opened.
fn file(bytes: &[u8]) -> Result<(), String> {
    let mut offset = 0;
    let mut chain = Chain::default();
    while offset < bytes.len() {
        match read_frame(&DATA_KEY, &ID, &chain, &bytes[offset..]) {
            Frame::Whole { plain, length, next } => {
                Entry::decode(&plain).ok_or("an entry of an unknown form")?;
                offset += length;
                chain = next;
            }
            Frame::Torn if chain.sequence > 0 => break,
            Frame::Torn => return Err("torn at once".into()),
            Frame::Bad(what) => return Err(what.into()),
        }
    }
    Ok(())
}

/// Every kind of entry, a scope, and a file of all entries.
#[must_use]
pub fn samples() -> Vec<Vec<u8>> {
    let hash = ItemHash([1; 32]);
    let item = StoredItem {
        kind: Kind::RulePut,
        bytes: vec![0x84; 60],
        local_id: Some(Digest([2; 32])),
        rule: Some(Random16([3; 16])),
        source: "https://a.example/Consent/1".into(),
        source_digest: Digest([4; 32]),
        seed: [5; 32],
        values: vec![vec![1], vec![2; 40], vec![]],
    };
    let trail = Trail { grantee: "lab.example".parse().ok(), epoch: 2026, local_id: Digest([2; 32]) };
    let entries = [
        Entry::Created { secret: Some([6; 32]) },
        Entry::Created { secret: None },
        Entry::Names(vec![
            SubjectKey::identifier("urn:oid:1.2.3", "MRN-17"),
            SubjectKey::address("https://a.example/Patient/17"),
        ]),
        Entry::Trail(Trail { grantee: None, ..trail.clone() }),
        Entry::Trail(trail),
        Entry::Item(item),
        Entry::Settled { hash, state: ItemState::Prepared },
        Entry::Settled { hash, state: ItemState::Dropped },
        Entry::Settled { hash, state: ItemState::Recorded(Height(9)) },
    ];
    let mut samples: Vec<Vec<u8>> = entries.iter().map(Entry::encode).collect();
    samples.extend(frames(&DATA_KEY, &ID, Chain::default(), &entries).map(|(frames, _)| frames.concat()));
    let custodian = "hospital-a".parse().ok();
    let chain = custos_proof::hash::ChainId([8; 32]);
    samples.extend(custodian.map(|custodian| encode_scope(&Scope { chain, custodian })));
    samples
}

/// Reads bytes as the vault's key file.
///
/// # Errors
/// When they are none.
///
/// # Panics
/// When a key that was read is not the digits in the file, or is written otherwise.
pub fn key_file(bytes: &[u8]) -> Result<(), String> {
    let key = VaultKey::from_file(bytes).map_err(|error| error.to_string())?.ok_or("no key file")?;
    assert!(bytes.len() as u64 <= MAX_KEY_FILE, "a key file beyond its bound");
    let written = key.to_file();
    let digits = core::str::from_utf8(bytes).map(str::trim);
    assert!(digits == Ok(written.trim()), "a key file says something else than its key");
    let again = VaultKey::from_file(written.as_bytes()).ok().flatten();
    assert!(again.is_some_and(|again| again.0 == key.0), "a key file that was written cannot be read");
    Ok(())
}

/// Key files as they are written, by a vault and by people.
#[must_use]
pub fn key_files() -> Vec<Vec<u8>> {
    let written = VaultKey::new(core::array::from_fn(|place| place as u8 * 7)).to_file();
    let typed = format!("  {}\r\n\n", written.trim());
    [written.clone(), typed, format!("{written}{}", " ".repeat(MAX_KEY_FILE as usize - written.len()))]
        .map(String::into_bytes)
        .to_vec()
}

/// Whether a vault that keeps these names, and this item, can be opened again.
#[must_use]
pub fn is_readable(names: &[SubjectKey], item: &StoredItem) -> bool {
    [Entry::Names(names.to_vec()), Entry::Item(item.clone())]
        .iter()
        .all(|entry| Entry::decode(&entry.encode()).as_ref() == Some(entry))
}
