//! The vault against crashes, flipped bits and a second process.

use super::*;
use proptest::prelude::*;
use tempfile::TempDir;

fn scope() -> Scope {
    Scope { chain: ChainId([7; 32]), custodian: "hospital.example".parse().unwrap() }
}

pub(super) fn key() -> VaultKey {
    VaultKey::new([9; 32])
}

fn names(number: u64) -> Vec<SubjectKey> {
    vec![
        SubjectKey::identifier("urn:oid:1.2.3", &format!("MRN-{number}")),
        SubjectKey::address(&format!("https://a.example/Patient/{number}")),
    ]
}

/// Bytes stand for an item here: the vault asks no more of them, save for openings.
pub(super) fn item(number: u64) -> StoredItem {
    StoredItem {
        kind: Kind::AccessEvent,
        bytes: format!("item {number}").into_bytes(),
        local_id: Some(Digest([number as u8; 32])),
        rule: None,
        source: format!("https://a.example/AuditEvent/{number}"),
        source_digest: Digest([1; 32]),
        seed: [3; 32],
        values: vec![vec![number as u8; 8]; 16],
    }
}

pub(super) fn filled() -> (TempDir, SubjectId, SubjectId) {
    let directory = tempfile::tempdir().unwrap();
    let mut vault = Vault::create(directory.path(), &key(), &scope()).unwrap();
    let a = vault.subject(&names(1)).unwrap();
    let b = vault.subject(&names(2)).unwrap();
    let trail = Trail { grantee: None, epoch: 2026, local_id: Digest([1; 32]) };
    vault.keep_trail(&a, trail).unwrap();
    vault.keep_items(vec![(a, item(1)), (b, item(2)), (a, item(3))]).unwrap();
    vault.settle(&[(item(1).hash(), ItemState::Recorded(Height(5)))]).unwrap();
    (directory, a, b)
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> =
        fs::read_dir(directory.join(SUBJECTS)).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.push(directory.join(META));
    files
}

#[test]
fn what_was_kept_is_there_after_reopening() {
    let (directory, a, b) = filled();
    let vault = Vault::open(directory.path(), &key()).unwrap();
    assert_eq!(vault.scope(), &scope());
    assert_eq!(vault.find(&names(1)).unwrap(), Some(a));
    assert_eq!(vault.find(&names(2)[..1]).unwrap(), Some(b));
    assert_eq!(vault.find(&names(3)).unwrap(), None);
    assert_eq!(vault.find_by_code(vault.code(&a).unwrap()), Some(a));
    assert_eq!(vault.find_by_code(&PatientCode::new([0; 32])), None);
    assert_eq!(vault.trails(&a).unwrap()[0].epoch, 2026);
    assert_eq!(
        vault.items(&a).unwrap().iter().map(|item| item.hash).collect::<Vec<_>>(),
        [item(1).hash(), item(3).hash()]
    );
    for number in 1..=3 {
        assert_eq!(vault.item(&item(number).hash()).unwrap(), item(number));
    }
    assert_eq!(vault.entry(&item(1).hash()).unwrap().state, ItemState::Recorded(Height(5)));
    assert_eq!(vault.item_of_source("https://a.example/AuditEvent/2").unwrap().hash, item(2).hash());
    assert_eq!(vault.prepared().count(), 2);
    assert!(matches!(vault.item(&ItemHash([0; 32])), Err(VaultError::UnknownItem(_))));
    assert_ne!(vault.code(&a).unwrap(), vault.code(&b).unwrap());
}

#[test]
fn the_directory_shows_nothing() {
    let (directory, ..) = filled();
    let mut shown = String::new();
    for file in files(directory.path()) {
        shown.push_str(&String::from_utf8_lossy(&fs::read(&file).unwrap()));
        shown.push_str(file.to_str().unwrap());
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o077, 0);
    }
    for secret in ["MRN-", "Patient", "a.example", "hospital", "item 1", "access.event"] {
        assert!(!shown.contains(secret), "{secret}");
    }
}

#[test]
fn names_of_two_subjects_are_a_conflict_and_new_names_are_added() {
    let (directory, a, _) = filled();
    let mut vault = Vault::open(directory.path(), &key()).unwrap();
    let both = [names(1)[0].clone(), names(2)[0].clone()];
    assert!(matches!(vault.find(&both), Err(VaultError::Conflict { .. })));
    assert!(matches!(vault.subject(&both), Err(VaultError::Conflict { .. })));
    let added = SubjectKey::identifier("urn:oid:9", "insurance");
    assert_eq!(vault.subject(&[names(1)[1].clone(), added.clone()]).unwrap(), a);
    drop(vault);
    let vault = Vault::open(directory.path(), &key()).unwrap();
    assert_eq!(vault.find(&[added]).unwrap(), Some(a));
}

#[test]
fn a_second_process_waits_outside() {
    let (directory, ..) = filled();
    let vault = Vault::open(directory.path(), &key()).unwrap();
    assert!(matches!(Vault::open(directory.path(), &key()), Err(VaultError::Locked { .. })));
    drop(vault);
    assert!(Vault::open(directory.path(), &key()).is_ok());
}

#[test]
fn the_wrong_key_or_scope_opens_nothing() {
    let (directory, ..) = filled();
    assert!(matches!(
        Vault::open(directory.path(), &VaultKey::new([8; 32])),
        Err(VaultError::WrongKey { .. })
    ));
    let other = Scope { chain: ChainId([6; 32]), ..scope() };
    assert!(matches!(
        Vault::open_or_create(directory.path(), &key(), &other),
        Err(VaultError::OtherScope { .. })
    ));
    assert!(matches!(Vault::create(directory.path(), &key(), &scope()), Err(VaultError::Exists { .. })));
    let empty = tempfile::tempdir().unwrap();
    assert!(matches!(Vault::open(empty.path(), &key()), Err(VaultError::NotAVault { .. })));
}

#[test]
fn key_files_are_for_their_owner_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("vault.key");
    let made = VaultKey::load_or_create(&path).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(VaultKey::load_or_create(&path).unwrap().0, made.0);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    assert!(matches!(VaultKey::load(&path), Err(VaultError::KeyPermissions { mode: 0o640, .. })));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(&path, "hello").unwrap();
    assert!(matches!(VaultKey::load(&path), Err(VaultError::BadKeyFile { .. })));
    assert_eq!(format!("{made:?}"), "VaultKey(..)");
}

#[test]
fn a_key_file_holds_nothing_behind_its_key() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("vault.key");
    VaultKey::create(&path).unwrap();
    let good = fs::read_to_string(&path).unwrap();
    let load = |text: &str| {
        fs::write(&path, text).unwrap();
        VaultKey::load(&path)
    };
    for text in [good.clone(), good.trim().to_owned(), format!("\n {good}\r\n")] {
        assert_eq!(load(&text).unwrap().to_file(), good);
    }
    // Where the first 256 bytes are a key and white space, what stands behind them counts, too.
    let padded = format!("{good}{}", " ".repeat(256));
    for text in
        [format!("{padded}{good}"), padded, format!("{good}{good}"), good.to_uppercase(), "\u{fffd}".into()]
    {
        assert!(matches!(load(&text), Err(VaultError::BadKeyFile { .. })), "{text:?}");
    }
}

#[test]
fn a_file_cut_anywhere_loses_only_what_was_not_acknowledged() {
    let (directory, a, _) = filled();
    let path = directory.path().join(SUBJECTS).join(a.to_string());
    let whole = fs::read(&path).unwrap();
    let (before, entries): (u64, Vec<u64>) = {
        let vault = Vault::open(directory.path(), &key()).unwrap();
        (
            vault.subjects[&a].length,
            vault
                .items(&a)
                .unwrap()
                .iter()
                .map(|item| item.offset + FRAME as u64 + u64::from(item.length))
                .collect(),
        )
    };
    assert_eq!(before, whole.len() as u64);
    // From the end of the first entry on: a file is created whole, by renaming.
    let first = HEADER + FRAME + u32::from_be_bytes(whole[HEADER..HEADER + 4].try_into().unwrap()) as usize;
    for cut in first..whole.len() {
        for padding in [0, 1, 700].into_iter().take(if cut % 11 == 0 { 3 } else { 1 }) {
            let mut torn = whole[..cut].to_vec();
            torn.extend(vec![0; padding]);
            fs::write(&path, &torn).unwrap();
            let mut vault = match Vault::open(directory.path(), &key()) {
                Ok(vault) => vault,
                // Data that reached the disk in part before zeros is no clean cut: it is reported, nothing is lost in silence.
                Err(VaultError::Damaged { file, .. }) if padding > 0 => {
                    assert_eq!(file, path);
                    continue;
                }
                Err(other) => panic!("{cut} {padding}: {other}"),
            };
            let acknowledged = entries.iter().filter(|end| **end <= cut as u64).count();
            assert_eq!(vault.items(&a).unwrap().len(), acknowledged, "{cut}");
            if cut % 97 == 0 {
                // Writing goes on behind the cut, and is there afterwards.
                vault.keep_items(vec![(a, item(77))]).unwrap();
                drop(vault);
                let vault = Vault::open(directory.path(), &key()).unwrap();
                assert_eq!(vault.item(&item(77).hash()).unwrap(), item(77));
                assert_eq!(vault.items(&a).unwrap().len(), acknowledged + 1);
            }
        }
    }
}

#[test]
fn a_lost_tail_of_zeros_is_a_torn_write() {
    let (directory, a, _) = filled();
    let path = directory.path().join(SUBJECTS).join(a.to_string());
    let whole = fs::read(&path).unwrap();
    let mut vault = Vault::open(directory.path(), &key()).unwrap();
    vault.keep_items(vec![(a, item(4))]).unwrap();
    drop(vault);
    let longer = fs::read(&path).unwrap();
    // The length reached the disk, the data did not, or only its first part.
    for kept in [whole.len(), whole.len() + 8, whole.len() + 50, longer.len() - TAG] {
        let mut torn = longer[..kept].to_vec();
        torn.resize(longer.len(), 0);
        fs::write(&path, torn).unwrap();
        let vault = Vault::open(directory.path(), &key()).unwrap();
        assert_eq!(vault.items(&a).unwrap().len(), 2);
        assert_eq!(fs::metadata(&path).unwrap().len(), whole.len() as u64);
    }
}

#[test]
fn a_flipped_bit_anywhere_names_the_file() {
    let (directory, ..) = filled();
    for file in files(directory.path()) {
        let whole = fs::read(&file).unwrap();
        for at in 0..whole.len() {
            let mut flipped = whole.clone();
            flipped[at] ^= 1 << (at % 8);
            fs::write(&file, &flipped).unwrap();
            match Vault::open(directory.path(), &key()) {
                Err(VaultError::Damaged { file: named, .. } | VaultError::WrongKey { file: named }) => {
                    assert_eq!(named, file)
                }
                other => panic!("{} byte {at}: {other:?}", file.display()),
            }
            assert_eq!(fs::read(&file).unwrap(), flipped, "nothing is cut off a damaged file");
        }
        fs::write(&file, &whole).unwrap();
    }
    assert!(Vault::open(directory.path(), &key()).is_ok());
}

#[test]
fn entries_cannot_be_moved_swapped_or_cut_out() {
    let (directory, a, b) = filled();
    let path = |id: SubjectId| directory.path().join(SUBJECTS).join(id.to_string());
    let (bytes_a, bytes_b) = (fs::read(path(a)).unwrap(), fs::read(path(b)).unwrap());
    let refused = |id: SubjectId, bytes: &[u8]| {
        fs::write(path(id), bytes).unwrap();
        assert!(matches!(Vault::open(directory.path(), &key()), Err(VaultError::Damaged { .. })));
        fs::write(path(a), &bytes_a).unwrap();
        fs::write(path(b), &bytes_b).unwrap();
    };
    refused(a, &bytes_b);
    refused(a, &bytes_a[..HEADER]);
    let first = FRAME + u32::from_be_bytes(bytes_a[HEADER..HEADER + 4].try_into().unwrap()) as usize;
    refused(a, &[&bytes_a[..HEADER], &bytes_a[HEADER + first..]].concat());
    refused(a, &[&bytes_a[..], &bytes_a[HEADER..]].concat());
    refused(a, &[&bytes_a[..HEADER], &bytes_b[HEADER..]].concat());
    fs::write(directory.path().join(SUBJECTS).join("notes.txt"), "x").unwrap();
    assert!(matches!(Vault::open(directory.path(), &key()), Err(VaultError::Damaged { .. })));
}

#[test]
fn an_unfinished_creation_leaves_nothing() {
    let (directory, ..) = filled();
    fs::write(directory.path().join(SUBJECTS).join(format!("{TEMPORARY}abc")), "half").unwrap();
    let vault = Vault::open(directory.path(), &key()).unwrap();
    assert_eq!(vault.subjects().count(), 2);
    assert_eq!(files(directory.path()).len(), 3);
}

#[test]
fn an_erased_subject_is_gone_and_the_others_are_not() {
    let (directory, a, b) = filled();
    let path = directory.path().join(SUBJECTS).join(a.to_string());
    let copy = fs::read(&path).unwrap();
    let mut vault = Vault::open(directory.path(), &key()).unwrap();
    vault.erase(&a).unwrap();
    assert!(!path.exists());
    assert_eq!(vault.find(&names(1)).unwrap(), None);
    assert!(vault.item(&item(1).hash()).is_err());
    assert!(vault.item_of_source(&item(1).source).is_none());
    assert_eq!(vault.item(&item(2).hash()).unwrap(), item(2));
    assert_ne!(vault.subject(&names(1)).unwrap(), a);
    drop(vault);
    // A crash between destroying the key and removing the file.
    let mut destroyed = copy;
    destroyed[MAGIC.len()..HEADER].fill(0);
    fs::write(&path, destroyed).unwrap();
    let vault = Vault::open(directory.path(), &key()).unwrap();
    assert!(!path.exists());
    assert_eq!(vault.find(&names(2)).unwrap(), Some(b));
}

#[test]
fn a_refused_item_may_be_sealed_anew() {
    let (directory, _, b) = filled();
    let mut vault = Vault::open(directory.path(), &key()).unwrap();
    vault.settle(&[(item(2).hash(), ItemState::Dropped), (ItemHash([0; 32]), ItemState::Dropped)]).unwrap();
    assert!(vault.item_of_source(&item(2).source).is_none());
    assert_eq!(vault.items(&b).unwrap()[0].state, ItemState::Dropped);
    assert_eq!(vault.prepared().count(), 1);
}

#[test]
fn the_institution_is_no_subject() {
    let directory = tempfile::tempdir().unwrap();
    let mut vault = Vault::create(directory.path(), &key(), &scope()).unwrap();
    let institution = vault.institution().unwrap();
    vault.keep_items(vec![(institution, item(1))]).unwrap();
    drop(vault);
    let mut vault = Vault::open(directory.path(), &key()).unwrap();
    assert_eq!(vault.institution().unwrap(), institution);
    assert_eq!(vault.subjects().count(), 0);
    assert!(vault.code(&institution).is_err());
    assert_eq!(vault.item(&item(1).hash()).unwrap(), item(1));
}

#[test]
fn a_hundred_thousand_items_open_in_seconds() {
    let directory = tempfile::tempdir().unwrap();
    let mut vault = Vault::create(directory.path(), &key(), &scope()).unwrap();
    for subject in 0..20 {
        let id = vault.subject(&names(subject)).unwrap();
        vault.keep_items((0..5_000).map(|number| (id, item(subject * 5_000 + number))).collect()).unwrap();
    }
    drop(vault);
    let start = std::time::Instant::now();
    let vault = Vault::open(directory.path(), &key()).unwrap();
    assert_eq!(vault.prepared().count(), 100_000);
    // Generous, for a busy machine; a quadratic index would take minutes.
    assert!(start.elapsed().as_secs() < 60);
    assert_eq!(vault.item(&item(99_999).hash()).unwrap(), item(99_999));
}

proptest! {
    #[test]
    fn entries_survive_their_bytes_and_foreign_bytes_do_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), number: u64) {
        let _ = Entry::decode(&bytes);
        let _ = decode_scope_of(&bytes);
        let entry = Entry::Item(item(number));
        prop_assert_eq!(Entry::decode(&entry.encode()), Some(entry));
    }
}

fn decode_scope_of(bytes: &[u8]) -> Option<Scope> {
    entry::decode_scope(bytes)
}

#[test]
fn what_could_not_be_read_again_is_not_written() {
    let (directory, a, _) = filled();
    let mut vault = Vault::open(directory.path(), &key()).unwrap();
    let long = SubjectKey::identifier("urn:oid:1.2.3", &"9".repeat(MAX_NAME));
    let many: Vec<SubjectKey> = (0..=MAX_NAMES as u64).flat_map(|number| names(100 + number)).collect();
    for names in [vec![long], many] {
        assert!(matches!(vault.subject(&names), Err(VaultError::TooLarge { .. })));
    }
    let unreadable = StoredItem { source: "x".repeat(MAX_NAME + 1), ..item(9) };
    assert!(matches!(vault.keep_items(vec![(a, unreadable)]), Err(VaultError::TooLarge { .. })));
    drop(vault);
    assert_eq!(Vault::open(directory.path(), &key()).unwrap().items(&a).unwrap().len(), 2);
}
