//! Validators that break the rules on purpose, each by the name of what it does.
//!
//! A faulty validator runs the same code as the others, with its own key and its own disk; at a few
//! places the scheduler lets it do something else. Nothing here is judged by the oracles but what
//! becomes of the honest ones.

/// What a faulty validator does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Byzantine {
    /// Signs two different votes, and two proposals, and shows each to some.
    Equivocator,
    /// Proposes, and sends the body to few or nobody; gives wrong bytes to who catches up.
    Withholder,
    /// Proposes blocks with a wrong state root.
    WrongRoot,
    /// Proposes blocks whose records have wrong verdicts.
    WrongVerdict,
    /// Lives an hour ahead, or behind.
    TimeTraveller,
    /// Proposes again what was proposed in an earlier round, with a proof of lock that does not exist.
    Reproposer,
    /// Sends again whatever it ever heard.
    Replayer,
    /// Puts a submission into its block twice, and sends recorded ones again.
    DoubleSubmitter,
    /// Opens trails, puts rules and states accesses in others' names.
    TrailSquatter,
    /// Floods everybody with junk: bytes, votes for far heights, parts of no block.
    Spammer,
}

impl Byzantine {
    /// All of them.
    pub const ALL: [Byzantine; 10] = [
        Byzantine::Equivocator,
        Byzantine::Withholder,
        Byzantine::WrongRoot,
        Byzantine::WrongVerdict,
        Byzantine::TimeTraveller,
        Byzantine::Reproposer,
        Byzantine::Replayer,
        Byzantine::DoubleSubmitter,
        Byzantine::TrailSquatter,
        Byzantine::Spammer,
    ];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Byzantine::Equivocator => "equivocator",
            Byzantine::Withholder => "withholder",
            Byzantine::WrongRoot => "wrong-root",
            Byzantine::WrongVerdict => "wrong-verdict",
            Byzantine::TimeTraveller => "time-traveller",
            Byzantine::Reproposer => "reproposer",
            Byzantine::Replayer => "replayer",
            Byzantine::DoubleSubmitter => "double-submitter",
            Byzantine::TrailSquatter => "trail-squatter",
            Byzantine::Spammer => "spammer",
        }
    }

    /// How the blocks that it builds are wrong, if they are.
    pub(crate) const fn twist(self) -> Option<Twist> {
        match self {
            Byzantine::WrongRoot => Some(Twist::Root),
            Byzantine::WrongVerdict => Some(Twist::Verdict),
            Byzantine::DoubleSubmitter => Some(Twist::Twice),
            _ => None,
        }
    }
}

impl std::str::FromStr for Byzantine {
    type Err = String;
    fn from_str(name: &str) -> Result<Self, String> {
        let names = || Self::ALL.map(Self::name).join(", ");
        Self::ALL
            .into_iter()
            .find(|byzantine| byzantine.name() == name)
            .ok_or_else(|| format!("no validator misbehaves like this; there are {}", names()))
    }
}

/// How a block is built wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Twist {
    /// Another state root.
    Root,
    /// Records with other verdicts.
    Verdict,
    /// One submission twice.
    Twice,
}
