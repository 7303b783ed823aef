//! Every target, by where its bytes come from.
//!
//! ```text
//!   formats      what is signed, hashed and handed around: ledger/proof
//!   interfaces   what people and programs write: HTTP headers, JSON, TOML, codes
//!   health       what hospitals' systems send: FHIR, DICOM audit XML, syslog
//!   peers        what validators send each other: frames, bundles of submissions, engine messages
//!   files        what people write into files: lists, descriptions, requests, keys
//!   disks        what was written here before: rows, logs, snapshots, bodies, vaults, spools
//! ```

use crate::target::Target;

mod disks;
mod files;
mod formats;
mod health;
mod interfaces;
#[cfg(feature = "node")]
mod peers;

/// All targets.
#[must_use]
pub fn all() -> Vec<Target> {
    let groups: &[&[Target]] = &[
        formats::TARGETS,
        interfaces::TARGETS,
        health::TARGETS,
        files::VAULT,
        disks::VAULT,
        #[cfg(feature = "node")]
        interfaces::CONFIGS,
        #[cfg(feature = "node")]
        health::FEED,
        #[cfg(feature = "node")]
        files::TARGETS,
        #[cfg(feature = "node")]
        peers::TARGETS,
        #[cfg(feature = "node")]
        disks::TARGETS,
    ];
    groups.concat()
}

/// The target of this name.
#[must_use]
pub fn find(name: &str) -> Option<Target> {
    all().into_iter().find(|target| target.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_has_a_name_of_its_own() {
        let mut names: Vec<_> = all().iter().map(|target| target.name).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
