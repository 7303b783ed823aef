//! Faults that are put into the code on purpose, each by name, to see that the oracles find them.

use std::str::FromStr;

/// A planted fault. Every node of the simulation has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plant {
    /// The engine's log keeps nothing.
    WalOff,
    /// What execution computes is not compared with the header.
    RootNotCompared,
    /// A nonce that was used, and a submission that was recorded, are not known any more.
    DedupOff,
    /// A trail forgets the last record that was listed in it.
    TrailOmitted,
    /// One validator too few makes a quorum.
    QuorumOffByOne,
    /// A validator that lost what it remembers of its votes votes at once.
    VotesAtOnce,
}

impl Plant {
    /// All of them.
    pub const ALL: [Plant; 6] = [
        Plant::WalOff,
        Plant::RootNotCompared,
        Plant::DedupOff,
        Plant::TrailOmitted,
        Plant::QuorumOffByOne,
        Plant::VotesAtOnce,
    ];

    /// Its name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Plant::WalOff => "wal-off",
            Plant::RootNotCompared => "root-not-compared",
            Plant::DedupOff => "dedup-off",
            Plant::TrailOmitted => "trail-omitted",
            Plant::QuorumOffByOne => "quorum-off-by-one",
            Plant::VotesAtOnce => "votes-at-once",
        }
    }
}

impl FromStr for Plant {
    type Err = String;
    fn from_str(name: &str) -> Result<Self, String> {
        let names = || Self::ALL.map(Self::name).join(", ");
        Self::ALL
            .into_iter()
            .find(|plant| plant.name() == name)
            .ok_or_else(|| format!("no fault of this name can be planted; there are {}", names()))
    }
}
