//! The simulated network's people: who is in the genesis, and the keys of everybody.
//!
//! Keys follow from names, so that a seed is all that is needed to see a run again. Validators have
//! three keys each; others speak with one. One more hospital waits outside and can be voted in.

use std::collections::BTreeMap;

use custos_network::PeerKey;
use custos_proof::cbor::{Ascii, List, Text};
use custos_proof::genesis::{Genesis, GenesisKey, GenesisValidator, NO_CHAIN};
use custos_proof::hash::{ChainId, sha256};
use custos_proof::ids::{ParticipantId, TimeMs};
use custos_proof::keys::{KeyPurpose, PublicKey, SignError, Signature, Signer};
use custos_proof::kinds::key::possession_preimage;
use custos_proof::kinds::participant::Register;
use custos_proof::registry::{Policy, Role};
use ed25519_dalek::{Signer as _, SigningKey};

/// The registrar.
pub(crate) const REGISTRY: &str = "registry";
/// A recipient that is no validator.
pub(crate) const CLINIC: &str = "clinic";
/// An auditor.
pub(crate) const AUDITOR: &str = "auditor";
/// Issues permits.
pub(crate) const BODY: &str = "access-body";
/// Uses data under permits.
pub(crate) const USER: &str = "institute";

/// A key that follows from its name.
#[derive(Clone)]
pub(crate) struct SimKey(SigningKey);

impl SimKey {
    /// The key of this name.
    #[must_use]
    pub(crate) fn named(name: &str) -> Self {
        Self(SigningKey::from_bytes(&sha256(format!("key of {name}").as_bytes()).0))
    }

    /// A signature.
    #[must_use]
    pub(crate) fn sign_bytes(&self, message: &[u8]) -> Signature {
        Signature(self.0.sign(message).to_bytes())
    }

    /// Shows that its owner holds it.
    #[must_use]
    pub(crate) fn possession(
        &self,
        chain: &ChainId,
        owner: &ParticipantId,
        purpose: KeyPurpose,
    ) -> Signature {
        self.sign_bytes(&possession_preimage(chain, owner, purpose, &self.public_key()))
    }
}

impl Signer for SimKey {
    fn public_key(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes())
    }
    fn sign(&self, message: &[u8]) -> Result<Signature, SignError> {
        Ok(self.sign_bytes(message))
    }
}

/// The keys of a validator.
#[derive(Clone)]
pub(crate) struct Hospital {
    /// Its name.
    pub(crate) id: ParticipantId,
    /// Signs submissions.
    pub(crate) sign: SimKey,
    /// Signs votes.
    pub(crate) consensus: SimKey,
    /// Is its node's name among peers.
    pub(crate) transport: PeerKey,
    transport_key: SimKey,
}

impl Hospital {
    fn new(index: usize) -> Self {
        let name = format!("hospital-{index}");
        let transport_key = SimKey::named(&format!("{name} transport"));
        Self {
            id: participant(&name),
            sign: SimKey::named(&format!("{name} sign")),
            consensus: SimKey::named(&format!("{name} consensus")),
            transport: PeerKey(transport_key.public_key().0),
            transport_key,
        }
    }

    /// Its keys, with what each is for.
    #[must_use]
    pub(crate) fn keys(&self) -> [(&SimKey, KeyPurpose); 3] {
        [
            (&self.sign, KeyPurpose::Sign),
            (&self.consensus, KeyPurpose::Consensus),
            (&self.transport_key, KeyPurpose::Transport),
        ]
    }
}

/// Everybody.
pub(crate) struct World {
    /// The beginning.
    pub(crate) genesis: Genesis,
    /// The chain.
    pub(crate) chain: ChainId,
    /// The validators of the genesis, then the one that waits outside.
    pub(crate) hospitals: Vec<Hospital>,
    /// Who has a key that signs submissions.
    pub(crate) signers: BTreeMap<ParticipantId, SimKey>,
}

impl World {
    /// A network of so many validators that begins at `time`.
    ///
    /// # Panics
    /// When the names here make no genesis: a mistake in this file.
    #[must_use]
    pub(crate) fn new(validators: usize, time: TimeMs, policy: Policy) -> Self {
        let hospitals: Vec<Hospital> = (0..=validators).map(Hospital::new).collect();
        let founders = &hospitals[..validators];
        let others = [
            (REGISTRY, Role::Registrar),
            (CLINIC, Role::Recipient),
            (AUDITOR, Role::Auditor),
            (BODY, Role::AccessBody),
            (USER, Role::DataUser),
        ];
        let mut participants: Vec<Register> =
            others.iter().map(|(name, role)| registration(&participant(name), &[*role])).collect();
        participants.extend(founders.iter().map(|hospital| registration(&hospital.id, &HOSPITAL_ROLES)));
        let mut keys = Vec::new();
        let mut signers = BTreeMap::new();
        let mut add = |owner: &ParticipantId, key: &SimKey, purpose| {
            let possession = key.possession(&NO_CHAIN, owner, purpose);
            keys.push(GenesisKey { owner: owner.clone(), key: key.public_key(), purpose, possession });
            if purpose == KeyPurpose::Sign {
                signers.insert(owner.clone(), key.clone());
            }
        };
        for (name, _) in others {
            add(&participant(name), &SimKey::named(&format!("{name} sign")), KeyPurpose::Sign);
        }
        for hospital in founders {
            hospital.keys().into_iter().for_each(|(key, purpose)| add(&hospital.id, key, purpose));
        }
        if let Some(outside) = hospitals.last() {
            signers.insert(outside.id.clone(), outside.sign.clone());
        }
        let validators = founders
            .iter()
            .map(|hospital| GenesisValidator { participant: hospital.id.clone(), power: 1 })
            .collect();
        let genesis = Genesis {
            name: Ascii::new("simulated").expect("because it is short"),
            time,
            protocol: 1,
            registrar: participant(REGISTRY),
            participants: List::new(participants).expect("because they are few"),
            keys: List::new(keys).expect("because they are few"),
            validators: List::new(validators).expect("because they are few"),
            policy,
        };
        Self { chain: genesis.chain(), genesis, hospitals, signers }
    }
}

/// What a hospital may do.
pub(crate) const HOSPITAL_ROLES: [Role; 3] = [Role::Custodian, Role::Recipient, Role::Validator];

/// The registration of an organisation.
#[must_use]
pub(crate) fn registration(id: &ParticipantId, roles: &[Role]) -> Register {
    Register {
        id: id.clone(),
        roles: custos_proof::registry::Roles::new(roles),
        jurisdiction: Ascii::new("EU").expect("because it is short"),
        name: Text::new(id.as_str()),
        sealed_name: None,
        endpoint: Ascii::new("").expect("because it is short"),
        display_names: List::default(),
    }
}

/// The participant of this name.
///
/// # Panics
/// When it is no name: a mistake in this crate.
#[must_use]
pub(crate) fn participant(name: &str) -> ParticipantId {
    name.parse().expect("because names here are words with a hyphen")
}
