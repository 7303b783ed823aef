//! `custos keygen`: a new key in a file that only its owner can read.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use custos_custodian::vault::VaultKey;
use custos_proof::genesis::NO_CHAIN;
use custos_proof::hash::ChainId;
use custos_proof::ids::ParticipantId;
use custos_proof::keys::{KeyPurpose, Signer as _, key_id};
use custos_proof::kinds::key::possession_preimage;
use serde_json::json;

use crate::exit::{Exit, Failed, Outcome, While as _};
use crate::keyfile;
use crate::screen::Screen;

/// Make a key
///
/// Writes a new Ed25519 key to a file of mode 0600 and prints its public key and key id. An existing
/// file is never overwritten. With `--owner` it also prints the proof of possession that a genesis
/// description or a `key.add` needs, so that the secret never has to leave this machine.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    custos keygen -o hospital-sign.key\n  \
    custos keygen -o node/consensus.key --purpose consensus --owner hospital-a.example")]
pub(crate) struct Keygen {
    /// Where to write the key; must not exist
    #[arg(short, long, value_name = "FILE")]
    out: PathBuf,
    /// What the key may do; a key has one purpose, for ever
    #[arg(long, value_enum, default_value_t = Purpose::Sign)]
    purpose: Purpose,
    /// For whom the key will speak: prints its proof of possession
    #[arg(long, value_name = "PARTICIPANT")]
    owner: Option<ParticipantId>,
    /// The chain that the proof of possession is for; without it, for a genesis
    #[arg(long, value_name = "CHAIN", requires = "owner")]
    chain: Option<ChainId>,
}

/// [`KeyPurpose`] on the command line.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Purpose {
    /// Signs submissions
    Sign,
    /// Signs votes and proposals
    Consensus,
    /// Authenticates a node to its peers
    Transport,
    /// Signs checkpoints and witness cosignatures
    Note,
    /// Encrypts a custodian's vault
    Vault,
}

impl From<Purpose> for KeyPurpose {
    fn from(purpose: Purpose) -> Self {
        match purpose {
            Purpose::Sign => KeyPurpose::Sign,
            Purpose::Consensus => KeyPurpose::Consensus,
            Purpose::Transport => KeyPurpose::Transport,
            Purpose::Note => KeyPurpose::Note,
            Purpose::Vault => KeyPurpose::Vault,
        }
    }
}

impl Keygen {
    /// Runs the command.
    pub(crate) fn run(&self, screen: &Screen) -> Outcome {
        if matches!(self.purpose, Purpose::Vault) {
            return self.vault(screen);
        }
        let key = keyfile::create(&self.out, self.purpose.into())?;
        let public = key.public_key();
        let id = key_id(&public);
        let chain = self.chain.unwrap_or(NO_CHAIN);
        let possession = self
            .owner
            .as_ref()
            .map(|owner| key.sign(&possession_preimage(&chain, owner, key.purpose(), &public)))
            .transpose()
            .could_not(|| "prove possession of the key")?;
        screen.result(
            |_| {
                let mut text =
                    format!("public key  {public}\nkey id      {id}\npurpose     {}\n", key.purpose());
                if let Some(possession) = possession {
                    text.push_str(&format!("possession  {possession}\n"));
                }
                text
            },
            || {
                json!({
                    "file": self.out,
                    "public_key": public.to_string(),
                    "key_id": id.to_string(),
                    "purpose": key.purpose().word(),
                    "owner": self.owner.as_ref().map(ToString::to_string),
                    "possession": possession.map(|p| p.to_string()),
                })
            },
        );
        screen.talk(format!("The secret is in {}: keep it, and keep it secret.", self.out.display()));
        Ok(Exit::Done)
    }

    /// A vault's key is secret as a whole: it has no public part, no owner, and never signs.
    fn vault(&self, screen: &Screen) -> Outcome {
        if self.owner.is_some() {
            return Err(Failed::unable("a vault's key is not registered and has no owner on the ledger"));
        }
        VaultKey::create(&self.out).could_not(|| "make the vault's key")?;
        screen.result(|_| "purpose     vault\n".into(), || json!({ "file": self.out, "purpose": "vault" }));
        screen.talk(format!(
            "The key is in {}: without it the vault stays shut for ever. Back it up, apart from the vault.",
            self.out.display()
        ));
        Ok(Exit::Done)
    }
}
