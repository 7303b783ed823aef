//! The client for programs without an async runtime: each call runs to its end on the caller's thread.
//!
//! # Panics
//! Calls panic inside an async task, as blocking there would stop others; use [`crate::client`] there.

use std::sync::Arc;
use std::time::Duration;

use custos_proof::anchor::{Advance, Links};
use custos_proof::certificate::Certificate;
use custos_proof::genesis::Genesis;
use custos_proof::hash::{ItemHash, SubmissionId, TrailKey};
use custos_proof::header::{Block, Header};
use custos_proof::ids::{Height, ParticipantId, Random16};
use custos_proof::keys::Signer;
use custos_proof::trail::TrailName;
use custos_proof::trail_proof::TrailProof;
use tokio::runtime::{Builder, Runtime};

use crate::answers::{
    BlockAnswer, CertificateAnswer, CheckpointAnswer, ConsistencyAnswer, Health, ItemAnswer, PolicyAnswer,
    ProposalAnswer, ProposalsAnswer, Ready, RegistryAnswer, Status, SubmissionAnswer, TrailPage,
};
use crate::client::{self, ClientError, Limits, Part, Submitted};
use crate::permits::{PermitAnswer, PermitsAnswer, StateAnswer};

/// A node, as seen from outside. See [`client::Client`].
#[derive(Debug)]
pub struct Client {
    runtime: Runtime,
    inner: client::Client,
}

impl Client {
    /// See [`client::Client::new`].
    ///
    /// # Errors
    /// [`ClientError::Address`].
    pub fn new(address: &str) -> Result<Self, ClientError> {
        Self::with_limits(address, Limits::default())
    }

    /// See [`client::Client::with_limits`].
    ///
    /// # Errors
    /// [`ClientError::Address`]; [`ClientError::Unreachable`] when the system has no room for a client.
    pub fn with_limits(address: &str, limits: Limits) -> Result<Self, ClientError> {
        let runtime = Builder::new_current_thread().enable_all().build().map_err(|error| {
            ClientError::Unreachable { url: address.to_owned(), cause: error.to_string() }
        })?;
        Ok(Self { runtime, inner: client::Client::with_limits(address, limits)? })
    }

    /// See [`client::Client::signed_by`].
    #[must_use]
    pub fn signed_by(mut self, member: Arc<dyn Signer>) -> Self {
        self.inner = self.inner.signed_by(member);
        self
    }

    /// The node's address.
    #[must_use]
    pub fn address(&self) -> &str {
        self.inner.address()
    }
}

macro_rules! calls {
    ($( $name:ident( $( $arg:ident : $type:ty ),* ) -> $answer:ty; )*) => {
        impl Client {
            $(
                #[doc = concat!("See [`client::Client::", stringify!($name), "`].")]
                ///
                /// # Errors
                /// [`ClientError`].
                pub fn $name(&self $(, $arg: $type )*) -> Result<$answer, ClientError> {
                    self.runtime.block_on(self.inner.$name($( $arg ),*))
                }
            )*
        }
    };
}

calls! {
    status() -> Status;
    health() -> Health;
    ready() -> Ready;
    metrics() -> String;
    genesis() -> Genesis;
    header(height: Height) -> Header;
    certificate(height: Height) -> Certificate;
    certificate_view(height: Height) -> CertificateAnswer;
    block(height: Height) -> BlockAnswer;
    block_file(height: Height) -> Block;
    checkpoint() -> CheckpointAnswer;
    head() -> (Header, Certificate);
    consistency(from: u64, to: u64) -> ConsistencyAnswer;
    links(from: Height) -> Links;
    advance(from: Height) -> Advance;
    registry() -> RegistryAnswer;
    proposals() -> ProposalsAnswer;
    proposal(proposal: &Random16) -> ProposalAnswer;
    policy() -> PolicyAnswer;
    permits(body: Option<&ParticipantId>, cursor: Option<&str>) -> PermitsAnswer;
    permit(permit: &Random16) -> PermitAnswer;
    policy_state() -> StateAnswer;
    participant_state(id: &ParticipantId) -> StateAnswer;
    permit_state(permit: &Random16) -> StateAnswer;
    submit(submission: &[u8]) -> SubmissionAnswer;
    submit_and_wait(submission: &[u8], timeout: Duration) -> Submitted;
    submission(id: &SubmissionId) -> SubmissionAnswer;
    item(item: &ItemHash, reader: Option<&[u8; 32]>) -> ItemAnswer;
    receipt(item: &ItemHash, reader: Option<&[u8; 32]>) -> Vec<u8>;
    trail(trail: &TrailKey, reader: Option<&[u8; 32]>, at: Option<Height>, cursor: Option<&str>) -> TrailPage;
    trail_proof(name: &TrailName, part: Part, reader: Option<&[u8; 32]>) -> (Vec<u8>, TrailProof);
    trail_proof_by_key(trail: &TrailKey, part: Part, reader: Option<&[u8; 32]>) -> (Vec<u8>, TrailProof);
}
