//! Where inputs to begin with come from: the test vectors, the IHE examples, and crashes that were found.
//!
//! Nothing is copied: the vectors in `docs/spec/vectors` and the examples in `testnet/data/ihe` are
//! read where they stand, so that a format that changes changes its seeds. What a run finds worth
//! keeping stays in `corpus/` (not tracked); what it finds wrong goes to `crashes/` (tracked).

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::target::Target;

/// This crate's folder.
const HERE: &str = env!("CARGO_MANIFEST_DIR");

/// The longest seed that is taken from the vectors; longer ones make a run slow and show nothing more.
const MAX_SEED_BYTES: usize = 64 * 1024;

/// The project's folder.
#[must_use]
pub fn project() -> PathBuf {
    Path::new(HERE).join("../..")
}

/// Every byte string of every vector: hexadecimal texts that are not mere hashes or keys.
#[must_use]
pub fn vectors() -> Vec<Vec<u8>> {
    let mut found = BTreeSet::new();
    for path in files(&project().join("docs/spec/vectors"), "json") {
        if let Ok(Ok(json)) = fs::read(&path).map(|bytes| serde_json::from_slice::<Value>(&bytes)) {
            hexadecimal(&json, &mut found);
        }
    }
    found.into_iter().collect()
}

/// The value of one file of vectors.
#[must_use]
pub fn vector_file(name: &str) -> Value {
    let path = project().join("docs/spec/vectors").join(name);
    fs::read(path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or(Value::Null)
}

/// The IHE examples: AuditEvents, Consents and what they refer to.
#[must_use]
pub fn ihe() -> Vec<Vec<u8>> {
    let folders = ["balp", "pcf", "refs"].map(|folder| project().join("testnet/data/ihe").join(folder));
    folders.iter().flat_map(|folder| files(folder, "json")).filter_map(|path| fs::read(path).ok()).collect()
}

/// A file of the project as a seed.
#[must_use]
pub fn project_file(path: &str) -> Vec<u8> {
    fs::read(project().join(path)).unwrap_or_default()
}

/// What a target begins with: its seeds, what runs kept for it, and crashes that were mended.
#[must_use]
pub fn of(target: &Target) -> Vec<Vec<u8>> {
    let kept = ["corpus", "crashes"].map(|folder| Path::new(HERE).join(folder).join(target.name));
    let kept = kept.iter().flat_map(|folder| files(folder, "")).filter_map(|path| fs::read(path).ok());
    (target.seeds)().into_iter().chain(kept).collect()
}

/// Every crash that was ever found: target, name, bytes.
#[must_use]
pub fn crashes() -> Vec<(String, String, Vec<u8>)> {
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut crashes = Vec::new();
    for folder in folders(&Path::new(HERE).join("crashes")) {
        for path in files(&folder, "") {
            crashes.push((name(&folder), name(&path), fs::read(&path).unwrap_or_default()));
        }
    }
    crashes
}

/// Keeps an input of a target in `corpus/` or `crashes/`, under a name that follows from its bytes.
///
/// # Errors
/// The disk's.
pub fn keep(folder: &str, target: &str, bytes: &[u8]) -> io::Result<PathBuf> {
    let folder = Path::new(HERE).join(folder).join(target);
    fs::create_dir_all(&folder)?;
    let name = hex::encode(&custos_proof::hash::sha256(bytes).0[..8]);
    let path = folder.join(name);
    fs::write(&path, bytes)?;
    Ok(path)
}

fn hexadecimal(json: &Value, found: &mut BTreeSet<Vec<u8>>) {
    match json {
        Value::String(text) => {
            if let Ok(bytes) = hex::decode(text)
                && bytes.len() != 32
                && (1..=MAX_SEED_BYTES).contains(&bytes.len())
            {
                found.insert(bytes);
            }
        }
        Value::Array(values) => values.iter().for_each(|value| hexadecimal(value, found)),
        Value::Object(fields) => fields.values().for_each(|value| hexadecimal(value, found)),
        _ => {}
    }
}

fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let is_wanted = |path: &PathBuf| {
        path.is_file() && (extension.is_empty() || path.extension().is_some_and(|found| found == extension))
    };
    entries(folder).into_iter().filter(is_wanted).collect()
}

fn folders(folder: &Path) -> Vec<PathBuf> {
    entries(folder).into_iter().filter(|path| path.is_dir()).collect()
}

/// Sorted, so that runs are the same everywhere.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> =
        fs::read_dir(folder).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path())).collect();
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vectors_and_examples_are_there() {
        assert!(vectors().len() > 500, "{}", vectors().len());
        assert!(ihe().len() >= 69, "{}", ihe().len());
    }
}
