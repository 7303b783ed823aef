//! `custos genesis`: the beginning of a chain, from a description that people write.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use custos_proof::anchor::TrustAnchor;
use custos_proof::cbor::{Ascii, List, Text, Wire as _};
use custos_proof::file::{self, File};
use custos_proof::genesis::{Genesis as Beginning, GenesisKey, GenesisValidator, NO_CHAIN};
use custos_proof::header::PROTOCOL_VERSION;
use custos_proof::ids::ParticipantId;
use custos_proof::keys::{KeyPurpose, PublicKey, Signature, Signer as _, key_id};
use custos_proof::kinds::key::possession_preimage;
use custos_proof::kinds::participant::{DisplayName, Register};
use custos_proof::registry::{Policy, Roles};
use custos_state::apply;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::exit::{Exit, Failed, Outcome, While as _};
use crate::keyfile::{self, KeyFile};
use crate::render::json as render;
use crate::render::paint::Paint;
use crate::render::table::table;
use crate::screen::Screen;
use crate::{files, time};

/// The longest description, in bytes: that of the largest genesis is shorter.
pub(crate) const MAX_DESCRIPTION: u64 = 1024 * 1024;

/// Begin a chain, or look at how one began
#[derive(Debug, Subcommand)]
#[command(
    after_help = "Example:\n  custos genesis new --from network.toml -o genesis.custos\n  custos genesis inspect genesis.custos"
)]
pub(crate) enum Genesis {
    New(New),
    Inspect(Inspect),
}

impl Genesis {
    /// Runs the command.
    pub(crate) fn run(&self, screen: &Screen) -> Outcome {
        match self {
            Genesis::New(command) => command.run(screen),
            Genesis::Inspect(command) => command.run(screen),
        }
    }
}

/// Make a genesis from a description
///
/// The description is a TOML file: the network's name, its registrar, and its participants with
/// roles and keys. A key is given by its key file, or, when the secret is elsewhere, by the public
/// key, purpose and proof of possession that `custos keygen --owner` printed there.
#[derive(Debug, Args)]
#[command(after_help = "Example: network.toml\n  \
    name = \"Ward\"\n  \
    registrar = \"registrar.example\"\n\n  \
    [[participants]]\n  \
    id = \"registrar.example\"\n  \
    roles = [\"registrar\"]\n  \
    jurisdiction = \"DE\"\n  \
    name = \"Registrar\"\n  \
    keys = [{ file = \"registrar-sign.key\" }]\n\n  \
    [[participants]]\n  \
    id = \"hospital-a.example\"\n  \
    roles = [\"custodian\", \"validator\"]\n  \
    jurisdiction = \"DE\"\n  \
    name = \"Hospital A\"\n  \
    power = 1\n  \
    keys = [\n    \
    { file = \"a-sign.key\" },\n    \
    { public = \"...\", purpose = \"consensus\", possession = \"...\" },\n  \
    ]\n\n\
    and then\n  \
    custos genesis new --from network.toml -o genesis.custos --anchor anchor.custos")]
pub(crate) struct New {
    /// The description
    #[arg(long, value_name = "FILE")]
    from: PathBuf,
    /// Where to write the genesis; must not exist
    #[arg(short, long, value_name = "FILE")]
    out: PathBuf,
    /// Where to write the trust anchor of the chain's beginning, for verifiers
    #[arg(long, value_name = "FILE")]
    anchor: Option<PathBuf>,
    /// The network's name, instead of the description's
    #[arg(long)]
    name: Option<String>,
    /// The registrar, instead of the description's
    #[arg(long, value_name = "PARTICIPANT")]
    registrar: Option<ParticipantId>,
}

/// Show what a genesis says, and check it
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  custos genesis inspect genesis.custos")]
pub(crate) struct Inspect {
    /// The genesis
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// A network as people describe it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Description {
    /// The network's name.
    pub(crate) name: String,
    /// The registrar's id.
    pub(crate) registrar: String,
    /// When the chain begins, ISO 8601; absent is now.
    #[serde(default)]
    pub(crate) time: Option<String>,
    /// The participants.
    #[serde(default)]
    pub(crate) participants: Vec<DescribedParticipant>,
    /// What differs from the policy of a new network.
    #[serde(default)]
    pub(crate) policy: DescribedPolicy,
}

/// A participant as people describe it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DescribedParticipant {
    /// Its id.
    pub(crate) id: String,
    /// Words of [`custos_proof::registry::Role`].
    pub(crate) roles: Vec<String>,
    /// ISO 3166-1 alpha-2, or `EU`.
    pub(crate) jurisdiction: String,
    /// The organisation's name.
    pub(crate) name: String,
    /// Names for display by language.
    #[serde(default)]
    pub(crate) display_names: BTreeMap<String, String>,
    /// Where its node or gateway is reached.
    #[serde(default)]
    pub(crate) endpoint: String,
    /// Voting power; validators only.
    #[serde(default)]
    pub(crate) power: Option<u64>,
    /// Its keys.
    #[serde(default)]
    pub(crate) keys: Vec<DescribedKey>,
}

/// A key as people describe it.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "KeyWords")]
pub(crate) enum DescribedKey {
    /// A key file on this machine.
    File {
        /// Relative to the description.
        file: PathBuf,
    },
    /// A key whose secret is elsewhere.
    Elsewhere {
        /// The public key.
        public: String,
        /// What it may sign.
        purpose: String,
        /// Its proof of possession.
        possession: String,
    },
}

/// What stands of a key, before it is clear which of the two it is.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyWords {
    file: Option<PathBuf>,
    public: Option<String>,
    purpose: Option<String>,
    possession: Option<String>,
}

impl TryFrom<KeyWords> for DescribedKey {
    type Error = &'static str;

    fn try_from(words: KeyWords) -> Result<Self, Self::Error> {
        match words {
            KeyWords { file: Some(file), public: None, purpose: None, possession: None } => {
                Ok(DescribedKey::File { file })
            }
            KeyWords {
                file: None,
                public: Some(public),
                purpose: Some(purpose),
                possession: Some(possession),
            } => Ok(DescribedKey::Elsewhere { public, purpose, possession }),
            _ => Err("a key is given by `file` alone, or by `public`, `purpose` and `possession`"),
        }
    }
}

/// What differs from [`Policy::initial`].
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct DescribedPolicy {
    /// As in [`Policy`].
    pub(crate) lag_ms: Option<u64>,
    /// As in [`Policy`].
    pub(crate) max_lifetime_ms: Option<u64>,
    /// As in [`Policy`].
    pub(crate) heartbeat_ms: Option<u64>,
    /// As in [`Policy`].
    pub(crate) trust_period_ms: Option<u64>,
    /// As in [`Policy`]: for how long bodies are kept, in days, by class {short, standard, long}.
    pub(crate) retention_days: Option<[u32; 3]>,
    /// As in [`Policy`].
    pub(crate) transfer_ms: Option<u64>,
    /// As in the policy's `decision.emergency`.
    pub(crate) review_hours: Option<u16>,
}

impl New {
    fn run(&self, screen: &Screen) -> Outcome {
        let mut description: Description = read_toml(&self.from, "description of a network")?;
        if let Some(name) = &self.name {
            description.name.clone_from(name);
        }
        if let Some(registrar) = &self.registrar {
            description.registrar = registrar.to_string();
        }
        let folder = self.from.parent().unwrap_or(Path::new("."));
        let genesis = description.begin(&|file| keyfile::read_any(&folder.join(file)))?;
        files::create(&self.out, &genesis.to_bytes(), false)?;
        if let Some(path) = &self.anchor {
            let anchor = TrustAnchor::from_genesis(&genesis).could_not(|| "make a trust anchor")?;
            files::create(path, &anchor.to_bytes(), false)?;
        }
        show(&genesis, screen);
        screen.talk(format!(
            "Written to {}. Compare the chain id with the other participants before anybody starts.",
            self.out.display()
        ));
        Ok(Exit::Done)
    }
}

impl Inspect {
    fn run(&self, screen: &Screen) -> Outcome {
        let genesis = read(&self.file)?;
        apply::start(&genesis)
            .map_err(|error| Failed::against(format!("this genesis cannot begin a chain: {error}")))?;
        show(&genesis, screen);
        Ok(Exit::Done)
    }
}

/// Reads a genesis file.
pub(crate) fn read(path: &Path) -> Outcome<Beginning> {
    match file::decode(&files::read(path)?) {
        Ok(File::Genesis(genesis)) => Ok(genesis),
        Ok(_) => Err(Failed::unable(format!("{} is a Custos file, but not a genesis", path.display()))),
        Err(error) => Err(Failed::unable(format!("{}: {error}", path.display()))),
    }
}

/// What a file in TOML describes: a whole network, or its policy. `what` completes "is no ...".
pub(crate) fn read_toml<T: DeserializeOwned>(path: &Path, what: &str) -> Outcome<T> {
    let bytes = files::read_up_to(path, MAX_DESCRIPTION)?;
    in_toml(&bytes).map_err(|error| Failed::unable(format!("{} is no {what}: {error}", path.display())))
}

/// What the bytes of such a file describe.
pub(crate) fn in_toml<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    let text = std::str::from_utf8(bytes).map_err(|error| format!("not text: {error}"))?;
    toml::from_str(text).map_err(|error| error.to_string())
}

impl Description {
    /// The genesis that it describes; `file` reads a key file that it names.
    pub(crate) fn begin(&self, file: &dyn Fn(&Path) -> Outcome<KeyFile>) -> Outcome<Beginning> {
        let registrar = participant_id(&self.registrar)?;
        let begun = match &self.time {
            Some(text) => time::parse(text).map_err(Failed::unable)?,
            None => time::now(),
        };
        let mut keys = Vec::new();
        let mut participants = Vec::new();
        let mut validators = Vec::new();
        for described in &self.participants {
            let id = participant_id(&described.id)?;
            for key in &described.keys {
                keys.push(key.entry(&id, file)?);
            }
            if let Some(power) = described.power {
                validators.push(GenesisValidator { participant: id.clone(), power });
            }
            participants.push(described.register(id)?);
        }
        let too_many =
            |what| Failed::unable(format!("too many {what} for a genesis; register the others later"));
        let genesis = Beginning {
            name: Ascii::new(&self.name).ok_or_else(|| {
                Failed::unable("the network's name is at most 64 characters of printable ASCII")
            })?,
            time: begun,
            protocol: PROTOCOL_VERSION,
            registrar,
            participants: List::new(participants).ok_or_else(|| too_many("participants"))?,
            keys: List::new(keys).ok_or_else(|| too_many("keys"))?,
            validators: List::new(validators).ok_or_else(|| too_many("validators"))?,
            policy: self.policy.applied(),
        };
        // As a node begins with it: a genesis that no node starts from is none.
        apply::start(&genesis)
            .map_err(|error| Failed::unable(format!("this cannot begin a chain: {error}")))?;
        Ok(genesis)
    }
}

impl DescribedParticipant {
    fn register(&self, id: ParticipantId) -> Outcome<Register> {
        let refused = |what: &str| Failed::unable(format!("participant {}: {what}", self.id));
        let display = |(language, name): (&String, &String)| {
            Some(DisplayName { language: Ascii::new(language)?, name: Text::new(name)? })
        };
        let names: Option<Vec<_>> = self.display_names.iter().map(display).collect();
        Ok(Register {
            id,
            roles: Roles::from_words(self.roles.iter().map(String::as_str)).ok_or_else(|| {
                let words: Vec<_> =
                    custos_proof::registry::Role::ALL.iter().map(|role| role.word()).collect();
                refused("unknown role").hint(format!("roles are {}", words.join(", ")))
            })?,
            jurisdiction: jurisdiction(&self.jurisdiction)
                .ok_or_else(|| refused("the jurisdiction is a country code such as DE, or EU"))?,
            name: Some(Text::new(&self.name).ok_or_else(|| refused("the name is at most 128 bytes"))?),
            sealed_name: None,
            endpoint: Ascii::new(&self.endpoint)
                .ok_or_else(|| refused("the endpoint is at most 255 characters of ASCII"))?,
            display_names: names.and_then(List::new).ok_or_else(|| refused("at most 8 display names"))?,
        })
    }
}

impl DescribedKey {
    fn entry(&self, owner: &ParticipantId, read: &dyn Fn(&Path) -> Outcome<KeyFile>) -> Outcome<GenesisKey> {
        match self {
            DescribedKey::File { file } => {
                let key = read(file)?;
                let preimage = possession_preimage(&NO_CHAIN, owner, key.purpose(), &key.public_key());
                let possession = key.sign(&preimage).could_not(|| format!("sign with {}", file.display()))?;
                Ok(GenesisKey {
                    owner: owner.clone(),
                    key: key.public_key(),
                    purpose: key.purpose(),
                    possession,
                })
            }
            DescribedKey::Elsewhere { public, purpose, possession } => {
                let refused = |what: &str| Failed::unable(format!("a key of {owner}: {what}"));
                Ok(GenesisKey {
                    owner: owner.clone(),
                    key: public
                        .parse::<PublicKey>()
                        .map_err(|_| refused("the public key is 64 hexadecimal digits"))?,
                    purpose: KeyPurpose::from_word(purpose).ok_or_else(|| refused("unknown purpose"))?,
                    possession: possession
                        .parse::<Signature>()
                        .map_err(|_| refused("the proof of possession is 128 hexadecimal digits"))?,
                })
            }
        }
    }
}

impl DescribedPolicy {
    fn applied(&self) -> Policy {
        let mut initial = Policy::initial();
        if let Some(days) = self.retention_days {
            initial.retention_days = List::new(days.to_vec()).unwrap_or_default();
        }
        if let Some(hours) = self.review_hours {
            initial.decision.emergency.review_hours = hours;
        }
        Policy {
            lag_ms: self.lag_ms.unwrap_or(initial.lag_ms),
            max_lifetime_ms: self.max_lifetime_ms.unwrap_or(initial.max_lifetime_ms),
            heartbeat_ms: self.heartbeat_ms.unwrap_or(initial.heartbeat_ms),
            trust_period_ms: self.trust_period_ms.unwrap_or(initial.trust_period_ms),
            transfer_ms: self.transfer_ms.unwrap_or(initial.transfer_ms),
            ..initial
        }
    }
}

/// A country code of ISO 3166-1 alpha-2, or `EU`. Rules that hold for a country are found by these two letters, so that another
/// spelling of it would silently be no country at all.
pub(crate) fn jurisdiction(text: &str) -> Option<Ascii<8>> {
    (text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_uppercase()))
        .then(|| Ascii::new(text))
        .flatten()
}

fn participant_id(text: &str) -> Outcome<ParticipantId> {
    text.parse().map_err(|error| Failed::unable(format!("{text:?}: {error}")))
}

fn show(genesis: &Beginning, screen: &Screen) {
    screen.result(
        |paint| words(genesis, paint),
        || json!({ "chain": genesis.chain().to_string(), "genesis": render::of(genesis) }),
    );
}

fn words(genesis: &Beginning, paint: Paint) -> String {
    let name = |p: &Register| p.name.as_ref().map_or_else(|| "(sealed)".to_owned(), |name| name.to_string());
    let power = |p: &Register| {
        genesis
            .validators
            .iter()
            .find(|v| v.participant == p.id)
            .map_or_else(String::new, |v| v.power.to_string())
    };
    let participants: Vec<_> = genesis
        .participants
        .iter()
        .map(|p| vec![p.id.to_string(), name(p), p.jurisdiction.to_string(), p.roles.to_string(), power(p)])
        .collect();
    let keys: Vec<_> = genesis
        .keys
        .iter()
        .map(|k| vec![k.owner.to_string(), k.purpose.to_string(), key_id(&k.key).to_string()])
        .collect();
    format!(
        "{}\nchain      {}\nbegins     {}\nprotocol   version {}\nregistrar  {}\n\n{}\n\n{}\n",
        paint.head(&*genesis.name),
        genesis.chain(),
        time::words(genesis.time),
        genesis.protocol,
        genesis.registrar,
        table(&["participant", "name", "in", "roles", "power"], &participants),
        table(&["owner", "purpose", "key id"], &keys),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const WARD: &str = r#"
        name = "Ward"
        registrar = "registrar.example"
        [[participants]]
        id = "registrar.example"
        roles = ["registrar", "validator"]
        jurisdiction = "DE"
        name = "Registrar"
        power = 1
        keys = [{ file = "consensus.key" }]
    "#;

    fn begin(text: &str) -> Result<Beginning, String> {
        let key = |_: &Path| Ok(KeyFile::from_seed(KeyPurpose::Consensus, &[7; 32]));
        in_toml::<Description>(text.as_bytes())?.begin(&key).map_err(|failed| failed.message)
    }

    #[test]
    fn what_cannot_be_taken_back_later_is_refused_where_it_is_made() {
        assert!(apply::start(&begin(WARD).unwrap()).is_ok());
        for (was, is, why) in [
            ("\"DE\"", "\"de\"", "a country code"),
            ("\"DE\"", "\"Germany\"", "a country code"),
            ("\"DE\"", "\"\"", "a country code"),
            ("roles = [\"registrar\", \"validator\"]", "roles = []", "no registrar role"),
            ("roles = [\"registrar\", \"validator\"]", "roles = [\"registrar\"]", "needs the validator role"),
            ("power = 1", "power = 0", "cannot begin a chain"),
            ("power = 1", "power = 1\npower = 1", "duplicate key"),
        ] {
            let refused = begin(&WARD.replacen(was, is, 1)).unwrap_err();
            assert!(refused.contains(why), "{is}: {refused}");
        }
    }

    #[test]
    fn a_key_is_given_in_one_of_two_ways() {
        let other = "public = \"00\", purpose = \"note\", possession = \"00\"";
        for keys in [
            "{ }".to_owned(),
            format!("{{ file = \"a\", {other} }}"),
            "{ public = \"00\", purpose = \"note\" }".to_owned(),
        ] {
            let refused = begin(&WARD.replace("{ file = \"consensus.key\" }", &keys)).unwrap_err();
            assert!(refused.contains("a key is given by `file` alone"), "{keys}: {refused}");
        }
        let refused = begin(&WARD.replace("{ file =", "{ fiel =")).unwrap_err();
        assert!(refused.contains("fiel"), "{refused}");
        assert!(begin(&format!("{WARD}\n[policy]\nlag = 1")).unwrap_err().contains("lag"));
    }
}
