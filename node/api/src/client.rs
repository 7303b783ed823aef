//! A typed client of the HTTP API.
//!
//! Everything has a bound: connecting, the whole request, the length of an answer, and how often the
//! request to try again is obeyed. What comes back as a file comes back as the exact bytes, decoded once to see that
//! they are one; whether to believe them is for `custos_proof::verify`.
//!
//! With a member's key every request is signed (RFC 9421). Nothing is retried but 429, and for what is handed
//! in 503 with `Retry-After`: a submission that was cut off can be sent again as it is, because the same bytes
//! are recorded once.

use std::sync::Arc;
use std::time::Duration;

use custos_proof::anchor::{Advance, Links};
use custos_proof::cbor::{DecodeError, Reader, Wire};
use custos_proof::certificate::Certificate;
use custos_proof::file::Receipts;
use custos_proof::genesis::Genesis;
use custos_proof::hash::{ItemHash, SubmissionId, TrailKey};
use custos_proof::header::{Block, Header};
use custos_proof::ids::{Height, ParticipantId, Random16, TimeMs};
use custos_proof::keys::{SignError, Signer};
use custos_proof::trail::TrailName;
use custos_proof::trail_proof::TrailProof;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Method, StatusCode, Url};
use serde::de::DeserializeOwned;
use thiserror::Error;

use crate::answers::{
    BlockAnswer, CertificateAnswer, CheckpointAnswer, ConsistencyAnswer, HandedIn, Health, ItemAnswer,
    PolicyAnswer, ProposalAnswer, ProposalsAnswer, Ready, RegistryAnswer, Status, SubmissionAnswer,
    SubmissionsAnswer, TrailPage,
};
use crate::permits::{PermitAnswer, PermitsAnswer, StateAnswer};
use crate::problem::Problem;
use crate::signature::{self, CONTENT_DIGEST, SIGNATURE, SIGNATURE_INPUT};
use crate::{CBOR, JSON, READER_HEADER, clock, together};

/// How patient a client is, and how much it takes.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// For a connection to stand.
    pub connect: Duration,
    /// For a whole request, beyond any time that the node is asked to wait.
    pub request: Duration,
    /// The longest answer, in bytes.
    pub max_answer_bytes: usize,
    /// How often a request to try again later is obeyed before it is passed on: a 429, and for what is handed
    /// in a 503 with `Retry-After`, which is a node that is behind for a moment. A reader asks another node.
    pub retries: u32,
    /// The longest time to wait after one of these.
    pub max_retry_after: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            request: Duration::from_secs(30),
            max_answer_bytes: 128 * 1024 * 1024,
            retries: 8,
            max_retry_after: Duration::from_secs(30),
        }
    }
}

/// A node, as seen from outside.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: Url,
    authority: String,
    member: Option<Arc<dyn Signer>>,
    limits: Limits,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("base", &self.base.as_str())
            .field("member", &self.member.is_some())
            .finish()
    }
}

/// Why there is no answer.
#[derive(Debug, Error)]
pub enum ClientError {
    /// Not the address of a node.
    #[error("{0} is not the address of a node; write it like http://127.0.0.1:7700")]
    Address(String),
    /// The node was not reached, or the connection broke.
    #[error("no answer from {url}: {cause}")]
    Unreachable {
        /// What was asked.
        url: String,
        /// What went wrong.
        cause: String,
    },
    /// The node refused, and says why.
    #[error("{0}")]
    Problem(Box<Problem>),
    /// An answer that is no answer of this API.
    #[error("{url} answered {status} with something that is not of this API: {cause}")]
    NotOurs {
        /// What was asked.
        url: String,
        /// The HTTP status.
        status: u16,
        /// What is wrong with it.
        cause: String,
    },
    /// The answer is longer than this client takes.
    #[error("the answer of {url} is longer than {max} bytes")]
    TooLong {
        /// What was asked.
        url: String,
        /// The bound.
        max: usize,
    },
    /// The request could not be signed.
    #[error(transparent)]
    Sign(#[from] SignError),
}

impl ClientError {
    /// The stable code, when the node refused.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        match self {
            ClientError::Problem(problem) => Some(&problem.code),
            _ => None,
        }
    }
}

/// What became of a submission that the node was asked to wait for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Submitted {
    /// It is recorded: the `custos.receipts.v1` file, and what it says.
    Committed {
        /// The exact bytes of the file.
        file: Vec<u8>,
        /// The receipts, in the order of the items.
        receipts: Receipts,
    },
    /// The time was over first.
    Pending(Box<SubmissionAnswer>),
}

/// Which part of a trail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Part {
    /// All of it.
    #[default]
    Whole,
    /// From one position to before another.
    Positions(u64, u64),
    /// What was recorded from one instant to another, with a neighbour on each side.
    Times(TimeMs, TimeMs),
}

impl Client {
    /// A client of the node at `address`, for example `http://127.0.0.1:7700`.
    ///
    /// # Errors
    /// [`ClientError::Address`].
    pub fn new(address: &str) -> Result<Self, ClientError> {
        Self::with_limits(address, Limits::default())
    }

    /// The same, with other limits.
    ///
    /// # Errors
    /// [`ClientError::Address`].
    pub fn with_limits(address: &str, limits: Limits) -> Result<Self, ClientError> {
        let refused = || ClientError::Address(address.to_owned());
        let mut base: Url = address.parse().map_err(|_| refused())?;
        if base.scheme() != "http" || base.query().is_some() || base.fragment().is_some() {
            return Err(refused());
        }
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        let host = base.host_str().ok_or_else(refused)?;
        let authority = match base.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        };
        let http = reqwest::Client::builder()
            .connect_timeout(limits.connect)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .map_err(|_| refused())?;
        Ok(Self { http, base, authority, member: None, limits })
    }

    /// The same client, signing every request with a member's key.
    #[must_use]
    pub fn signed_by(mut self, member: Arc<dyn Signer>) -> Self {
        self.member = Some(member);
        self
    }

    /// The node's address.
    #[must_use]
    pub fn address(&self) -> &str {
        self.base.as_str()
    }

    /// What the node is and where its chain stands.
    ///
    /// # Errors
    /// All methods: [`ClientError`].
    pub async fn status(&self) -> Result<Status, ClientError> {
        self.json(self.read("v1/status")).await
    }

    /// Whether the node's parts work; also when it says that they do not.
    pub async fn health(&self) -> Result<Health, ClientError> {
        self.json(self.read("healthz").tolerating(StatusCode::SERVICE_UNAVAILABLE)).await
    }

    /// Whether the node takes submissions; also when it says that it does not.
    pub async fn ready(&self) -> Result<Ready, ClientError> {
        self.json(self.read("readyz").tolerating(StatusCode::SERVICE_UNAVAILABLE)).await
    }

    /// The metrics, as text.
    pub async fn metrics(&self) -> Result<String, ClientError> {
        let answer = self.send(self.read("metrics").accept("text/plain")).await?;
        Ok(String::from_utf8_lossy(&answer.body).into_owned())
    }

    /// The genesis.
    pub async fn genesis(&self) -> Result<Genesis, ClientError> {
        self.cbor(self.read("v1/genesis")).await.map(|(_, genesis)| genesis)
    }

    /// A header.
    pub async fn header(&self, height: Height) -> Result<Header, ClientError> {
        self.cbor(self.read(&format!("v1/headers/{height}"))).await.map(|(_, header)| header)
    }

    /// A certificate.
    pub async fn certificate(&self, height: Height) -> Result<Certificate, ClientError> {
        self.cbor(self.read(&format!("v1/certificates/{height}"))).await.map(|(_, certificate)| certificate)
    }

    /// A certificate's JSON view.
    pub async fn certificate_view(&self, height: Height) -> Result<CertificateAnswer, ClientError> {
        self.json(self.read(&format!("v1/certificates/{height}"))).await
    }

    /// What is public of a block.
    pub async fn block(&self, height: Height) -> Result<BlockAnswer, ClientError> {
        self.json(self.read(&format!("v1/blocks/{height}"))).await
    }

    /// A block with its body: for members.
    pub async fn block_file(&self, height: Height) -> Result<Block, ClientError> {
        self.cbor(self.read(&format!("v1/blocks/{height}"))).await.map(|(_, block)| block)
    }

    /// The last header as a signed note.
    pub async fn checkpoint(&self) -> Result<CheckpointAnswer, ClientError> {
        self.json(self.read("v1/checkpoint")).await
    }

    /// The last header and its certificate.
    pub async fn head(&self) -> Result<(Header, Certificate), ClientError> {
        let request = self.read("v1/checkpoint").accept(CBOR);
        let url = request.url.to_string();
        let answer = self.send(request).await?;
        let pair = |bytes: &[u8]| {
            let mut r = Reader::new(bytes);
            r.array(2)?;
            let pair = (Header::read(&mut r)?, Certificate::read(&mut r)?);
            r.finish()?;
            Ok(pair)
        };
        pair(&answer.body).map_err(|error: DecodeError| answer.not_ours(url, &error))
    }

    /// The consistency proof between two sizes of the log.
    pub async fn consistency(&self, from: u64, to: u64) -> Result<ConsistencyAnswer, ClientError> {
        self.json(self.read("v1/consistency").query("from", from).query("to", to)).await
    }

    /// The headers after `from` whose validator set changes.
    pub async fn links(&self, from: Height) -> Result<Links, ClientError> {
        self.cbor(self.read("v1/anchor/links").query("from", from)).await.map(|(_, links)| links)
    }

    /// What moves an anchor from `from` to the head.
    pub async fn advance(&self, from: Height) -> Result<Advance, ClientError> {
        self.cbor(self.read("v1/anchor/advance").query("from", from)).await.map(|(_, advance)| advance)
    }

    /// The registry.
    pub async fn registry(&self) -> Result<RegistryAnswer, ClientError> {
        self.json(self.read("v1/registry")).await
    }

    /// The proposals that can still be decided.
    pub async fn proposals(&self) -> Result<ProposalsAnswer, ClientError> {
        self.json(self.read("v1/proposals")).await
    }

    /// A proposal, and what became of it.
    pub async fn proposal(&self, proposal: &Random16) -> Result<ProposalAnswer, ClientError> {
        self.json(self.read(&format!("v1/proposals/{proposal}"))).await
    }

    /// The policy.
    pub async fn policy(&self) -> Result<PolicyAnswer, ClientError> {
        self.json(self.read("v1/policy")).await
    }

    /// A page of the data permits: all, or those of one access body. Pass `next` back for the following page.
    pub async fn permits(
        &self,
        body: Option<&ParticipantId>,
        cursor: Option<&str>,
    ) -> Result<PermitsAnswer, ClientError> {
        let mut request = self.read("v1/permits");
        if let Some(body) = body {
            request = request.query("body", body);
        }
        if let Some(cursor) = cursor {
            request = request.query("cursor", cursor);
        }
        self.json(request).await
    }

    /// A data permit as the node says that it stands.
    pub async fn permit(&self, permit: &Random16) -> Result<PermitAnswer, ClientError> {
        self.json(self.read(&format!("v1/permits/{permit}"))).await
    }

    /// The policy's entry of the state map, with its proof.
    pub async fn policy_state(&self) -> Result<StateAnswer, ClientError> {
        self.json(self.read("v1/state/policy")).await
    }

    /// A participant's entries of the state map, with their proofs.
    pub async fn participant_state(&self, id: &ParticipantId) -> Result<StateAnswer, ClientError> {
        self.json(self.read(&format!("v1/state/participants/{id}"))).await
    }

    /// A permit's entries of the state map, with their proofs.
    pub async fn permit_state(&self, permit: &Random16) -> Result<StateAnswer, ClientError> {
        self.json(self.read(&format!("v1/state/permits/{permit}"))).await
    }

    /// Hands in a submission's bytes and does not wait.
    pub async fn submit(&self, submission: &[u8]) -> Result<SubmissionAnswer, ClientError> {
        self.json(self.write("v1/submissions", submission)).await
    }

    /// Hands in several submissions' bytes, at most [`crate::MAX_TOGETHER`], and does not wait. The answers are in
    /// their order; one that is refused does not hinder the others.
    pub async fn submit_many(&self, submissions: &[&[u8]]) -> Result<Vec<HandedIn>, ClientError> {
        let body = together::write(submissions);
        let call = self.write("v1/submissions/many", &body);
        let url = call.url.to_string();
        let answer = self.send(call).await?;
        let many: SubmissionsAnswer = answer.json(url.clone())?;
        match many.submissions.len() == submissions.len() {
            true => Ok(many.submissions),
            false => Err(answer.not_ours(url, &"not one answer for each submission")),
        }
    }

    /// Hands in a submission's bytes and waits, at most `timeout`, for its receipts.
    pub async fn submit_and_wait(
        &self,
        submission: &[u8],
        timeout: Duration,
    ) -> Result<Submitted, ClientError> {
        let timeout_ms =
            u64::try_from(timeout.as_millis()).unwrap_or(crate::MAX_WAIT_MS).min(crate::MAX_WAIT_MS);
        let mut request = self
            .write("v1/submissions", submission)
            .query("wait", "committed")
            .query("timeout_ms", timeout_ms)
            .accept(CBOR);
        request.patience += Duration::from_millis(timeout_ms);
        let url = request.url.to_string();
        let answer = self.send(request).await?;
        if answer.status == StatusCode::OK && answer.content_type == CBOR {
            match Receipts::from_bytes(&answer.body) {
                Ok(receipts) => Ok(Submitted::Committed { file: answer.body, receipts }),
                Err(error) => Err(answer.not_ours(url, &error)),
            }
        } else {
            answer.json(url).map(|status| Submitted::Pending(Box::new(status)))
        }
    }

    /// How far a submission has come.
    pub async fn submission(&self, id: &SubmissionId) -> Result<SubmissionAnswer, ClientError> {
        self.json(self.read(&format!("v1/submissions/{id}"))).await
    }

    /// Where an item is recorded: for its author, or with the reader's preimage of a trail it stands in.
    pub async fn item(&self, item: &ItemHash, reader: Option<&[u8; 32]>) -> Result<ItemAnswer, ClientError> {
        self.json(self.read(&format!("v1/items/{item}")).reader(reader)).await
    }

    /// An item's receipt: the exact bytes of a `custos.receipt.v1` file.
    pub async fn receipt(&self, item: &ItemHash, reader: Option<&[u8; 32]>) -> Result<Vec<u8>, ClientError> {
        let request = self.read(&format!("v1/items/{item}/receipt")).reader(reader);
        self.cbor::<custos_proof::receipt::Receipt>(request).await.map(|(file, _)| file)
    }

    /// A page of a trail. Pass `at` and `next` of one page back for the following one.
    pub async fn trail(
        &self,
        trail: &TrailKey,
        reader: Option<&[u8; 32]>,
        at: Option<Height>,
        cursor: Option<&str>,
    ) -> Result<TrailPage, ClientError> {
        let mut request = self.read(&format!("v1/trails/{trail}")).reader(reader);
        if let Some(at) = at {
            request = request.query("at", at);
        }
        if let Some(cursor) = cursor {
            request = request.query("cursor", cursor);
        }
        self.json(request).await
    }

    /// A trail proof, or the proof that the trail does not exist: the file's exact bytes, and what it says.
    pub async fn trail_proof(
        &self,
        name: &TrailName,
        part: Part,
        reader: Option<&[u8; 32]>,
    ) -> Result<(Vec<u8>, TrailProof), ClientError> {
        let mut request = self
            .read(&format!("v1/trails/{}/proof", name.key()))
            .reader(reader)
            .query("kind", name.kind)
            .query("owner", &name.owner);
        if let Some(local_id) = &name.local_id {
            request = request.query("local_id", local_id);
        }
        self.cbor(part.onto(request)).await
    }

    /// A proof of a trail that is known by its key only; it has to exist.
    pub async fn trail_proof_by_key(
        &self,
        trail: &TrailKey,
        part: Part,
        reader: Option<&[u8; 32]>,
    ) -> Result<(Vec<u8>, TrailProof), ClientError> {
        self.cbor(part.onto(self.read(&format!("v1/trails/{trail}/proof")).reader(reader))).await
    }

    fn read(&self, path: &str) -> Call<'static> {
        self.call(Method::GET, path, None)
    }

    fn write<'a>(&self, path: &str, body: &'a [u8]) -> Call<'a> {
        self.call(Method::POST, path, Some(body))
    }

    fn call<'a>(&self, method: Method, path: &str, body: Option<&'a [u8]>) -> Call<'a> {
        let mut url = self.base.clone();
        url.set_path(&format!("{}{path}", self.base.path()));
        Call { method, url, body, accept: JSON, reader: None, tolerated: None, patience: self.limits.request }
    }

    async fn json<T: DeserializeOwned>(&self, call: Call<'_>) -> Result<T, ClientError> {
        let url = call.url.to_string();
        self.send(call).await?.json(url)
    }

    async fn cbor<T: Wire>(&self, call: Call<'_>) -> Result<(Vec<u8>, T), ClientError> {
        let url = call.url.to_string();
        let answer = self.send(call.accept(CBOR)).await?;
        match T::from_bytes(&answer.body) {
            Ok(value) => Ok((answer.body, value)),
            Err(error) => Err(answer.not_ours(url, &error)),
        }
    }

    async fn send(&self, call: Call<'_>) -> Result<Answer, ClientError> {
        let mut retries = self.limits.retries;
        loop {
            let answer = self.attempt(&call).await?;
            if let Some(pause) = answer.asks_again(call.body.is_some())
                && retries > 0
            {
                retries -= 1;
                tokio::time::sleep(pause.min(self.limits.max_retry_after)).await;
                continue;
            }
            if answer.status.is_success() || Some(answer.status) == call.tolerated {
                return Ok(answer);
            }
            return Err(match serde_json::from_slice::<Problem>(&answer.body) {
                Ok(problem) => ClientError::Problem(Box::new(problem)),
                Err(error) => answer.not_ours(call.url.to_string(), &error),
            });
        }
    }

    /// One request. Signed anew each time, because a nonce is good once.
    async fn attempt(&self, call: &Call<'_>) -> Result<Answer, ClientError> {
        let unreachable = |error: reqwest::Error| ClientError::Unreachable {
            url: call.url.to_string(),
            cause: describe(&error),
        };
        let mut request = self
            .http
            .request(call.method.clone(), call.url.clone())
            .timeout(call.patience)
            .header(ACCEPT, call.accept)
            .headers(self.signed(call)?);
        if let Some(body) = call.body {
            request = request.header(CONTENT_TYPE, CBOR).body(body.to_vec());
        }
        if let Some(reader) = &call.reader {
            request = request.header(READER_HEADER, reader);
        }
        let mut response = request.send().await.map_err(unreachable)?;
        let header = |name| response.headers().get(name).and_then(|v: &HeaderValue| v.to_str().ok());
        let retry_after = header(RETRY_AFTER).and_then(|text| text.parse().ok()).map(Duration::from_secs);
        let content_type =
            header(CONTENT_TYPE).unwrap_or_default().split(';').next().unwrap_or_default().to_owned();
        let status = response.status();
        let max = self.limits.max_answer_bytes;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            if body.len() + chunk.len() > max {
                return Err(ClientError::TooLong { url: call.url.to_string(), max });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer { status, content_type, retry_after, body })
    }

    fn signed(&self, call: &Call<'_>) -> Result<HeaderMap, ClientError> {
        let mut headers = HeaderMap::new();
        let Some(member) = &self.member else {
            return Ok(headers);
        };
        let created_s = clock::now().0 / 1000;
        let mut nonce = [0; 16];
        getrandom::fill(&mut nonce).map_err(|error| SignError(format!("no randomness: {error}")))?;
        let signed = signature::sign(
            &signature::Request {
                method: call.method.as_str(),
                authority: &self.authority,
                path: call.url.path(),
                query: call.url.query().unwrap_or_default(),
                body: call.body,
            },
            member.as_ref(),
            created_s,
            &nonce,
        )?;
        let mut put = |name: &'static str, value: &str| {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(name, value);
            }
        };
        if let Some(digest) = &signed.content_digest {
            put(CONTENT_DIGEST, digest);
        }
        put(SIGNATURE_INPUT, &signed.signature_input);
        put(SIGNATURE, &signed.signature);
        Ok(headers)
    }
}

struct Call<'a> {
    method: Method,
    url: Url,
    body: Option<&'a [u8]>,
    accept: &'static str,
    reader: Option<String>,
    tolerated: Option<StatusCode>,
    patience: Duration,
}

impl Call<'_> {
    fn query(mut self, name: &str, value: impl std::fmt::Display) -> Self {
        self.url.query_pairs_mut().append_pair(name, &value.to_string());
        self
    }

    fn accept(mut self, media_type: &'static str) -> Self {
        self.accept = media_type;
        self
    }

    fn reader(mut self, preimage: Option<&[u8; 32]>) -> Self {
        self.reader = preimage.map(|bytes| bytes.iter().map(|b| format!("{b:02x}")).collect());
        self
    }

    /// Takes an answer of this status as an answer rather than an error.
    fn tolerating(mut self, status: StatusCode) -> Self {
        self.tolerated = Some(status);
        self
    }
}

impl Part {
    fn onto<'a>(self, call: Call<'a>) -> Call<'a> {
        match self {
            Part::Whole => call,
            Part::Positions(from, to) => call.query("from", from).query("to", to),
            Part::Times(from, to) => call.query("from_ms", from.0).query("to_ms", to.0),
        }
    }
}

struct Answer {
    status: StatusCode,
    content_type: String,
    retry_after: Option<Duration>,
    body: Vec<u8>,
}

impl Answer {
    /// After which time the same request is worth a try, here and not at another node.
    fn asks_again(&self, hands_in: bool) -> Option<Duration> {
        match self.status {
            StatusCode::TOO_MANY_REQUESTS => Some(self.retry_after.unwrap_or(Duration::from_secs(1))),
            StatusCode::SERVICE_UNAVAILABLE if hands_in => self.retry_after,
            _ => None,
        }
    }

    fn json<T: DeserializeOwned>(&self, url: String) -> Result<T, ClientError> {
        serde_json::from_slice(&self.body).map_err(|error| self.not_ours(url, &error))
    }

    fn not_ours(&self, url: String, cause: &dyn std::fmt::Display) -> ClientError {
        ClientError::NotOurs { url, status: self.status.as_u16(), cause: cause.to_string() }
    }
}

/// An error with its causes: `reqwest` says only "error sending request" by itself.
fn describe(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_sent_again_when_the_node_says_so_and_a_question_goes_elsewhere() {
        let answer = |status, seconds: Option<u64>| Answer {
            status,
            content_type: String::new(),
            retry_after: seconds.map(Duration::from_secs),
            body: Vec::new(),
        };
        let second = Duration::from_secs(1);
        for hands_in in [true, false] {
            let full = StatusCode::TOO_MANY_REQUESTS;
            assert_eq!(answer(full, Some(7)).asks_again(hands_in), Some(7 * second));
            assert_eq!(answer(full, None).asks_again(hands_in), Some(second));
            assert_eq!(answer(StatusCode::OK, Some(7)).asks_again(hands_in), None);
        }
        let behind = StatusCode::SERVICE_UNAVAILABLE;
        assert_eq!(answer(behind, Some(2)).asks_again(true), Some(2 * second));
        assert_eq!(answer(behind, Some(2)).asks_again(false), None);
        assert_eq!(answer(behind, None).asks_again(true), None, "it needs its operator");
    }
}
